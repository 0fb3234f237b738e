// The overview: what to conclude on each task, ranks on all tasks, and how the results were made.

const INTRODUCTION = [
  "Each task is a model with inputs; each method explains the model's output for each input by a map; each metric scores the maps. ",
  "Conclude that one method is better than another only where the difference is significant, and only for these models and data. ",
  "A method that is not significantly better than the random control is not shown to be better than noise, however convincing its maps look.",
];

function taskCard(task) {
  return el(
    "article",
    { class: "taskcard" },
    el("h3", {}, el("a", { href: link("board", task) }, task)),
    taskSummary(task),
    el("p", {}, conclusion(task)),
    el("p", { class: "quiet" }, counts(boardOf(task)), " ", resolution(boardOf(task))),
  );
}

/** Each method with its row on each task. */
function methodsOfAllTasks() {
  const methods = new Map();
  for (const task of tasks) {
    for (const row of boardOf(task).methods) {
      const entry = methods.get(row.method) || {
        method: row.method,
        method_family: familyOf(row),
        is_control: row.is_control,
        scores_from: row.scores_from,
        rows: {},
      };
      entry.rows[task] = row;
      methods.set(row.method, entry);
    }
  }
  return [...methods.values()].filter((entry) =>
    tasks.some((task) => entry.rows[task] && hasValue(entry.rows[task].rank)),
  );
}

function taskColumn(task) {
  const last = ranked(boardOf(task)).length;
  const cell = (row) =>
    row
      ? [
          rankCell(task, row, last, 56),
          row.top_group === "yes" && el("span", { class: "mark yes", title: "in the top group" }, " ✓"),
        ]
      : "–";
  return {
    key: `task:${task}`,
    name: task,
    class: "ranks",
    head: task,
    value: (entry) => entry.rows[task] && entry.rows[task].rank,
    cell: (entry) => cell(entry.rows[task]),
    tip: (entry) => (entry.rows[task] ? rankTip(task, entry.rows[task]) : [entry.method, "not run on this task"]),
    about: () => [task, (content.descriptions.tasks[task] || {}).summary],
  };
}

function allTasks() {
  const method = {
    key: "method",
    name: "method",
    class: "first",
    value: (entry) => entry.method,
    cell: (entry) => methodCell(lastTask, entry),
    tip: (entry) => [entry.method, (content.descriptions.methods[entry.method] || {}).summary],
  };
  return sortableTable({
    caption: "Ranks on all tasks",
    columns: [method, ...tasks.map(taskColumn)],
    rows: methodsOfAllTasks(),
    sort: { key: `task:${tasks[0]}`, direction: "ascending" },
    rowClass: (entry) => (entry.is_control ? "control-row" : ""),
  }).node;
}

/** When, where and with which settings the scores were made. */
function provenance() {
  const { run } = content,
    [first, last] = content.written.map((moment) => moment.slice(0, 10));
  const notRun = [...Object.entries(run.skipped_tasks || {}), ...Object.entries(run.failed_tasks || {})].map(
    ([name, reason]) => (String(reason).startsWith(name) ? reason : `${name}: ${reason}`),
  );
  const omitted = run.left_out || {};
  return facts(
    [
      ["scores written", first === last ? first : `${first} to ${last}`],
      ["profile", run.profile],
      ["seed", run.seed],
      ["device", run.environment],
      ["version", run.bench && `attribution-bench ${run.bench}`],
      ["methods too slow for the profile", el("span", {}, expandableList(omitted.methods || [], 12))],
      ["metrics too slow for the profile", el("span", {}, expandableList(omitted.metrics || [], 12))],
      ["tasks not run", notRun.join("; ")],
    ].filter(([, value]) => !(value instanceof Node) || value.textContent),
  );
}

function overviewView() {
  return [
    el("h2", {}, "Results at a glance"),
    el("p", { class: "lead" }, INTRODUCTION),
    el("div", { class: "taskcards" }, tasks.map(taskCard)),
    tasks.length > 1 && [
      el("h3", {}, "Ranks on all tasks"),
      el(
        "p",
        { class: "quiet" },
        "Point and line: ",
        term("rank"),
        " and its ",
        term("rank interval", "95 % interval"),
        "; ✓: in the ",
        term("top group"),
        ". Ranks on different tasks are among different methods and by different metrics.",
      ),
      allTasks(),
    ],
    el("h3", {}, "How these results were made"),
    provenance(),
  ];
}
