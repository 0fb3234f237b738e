// The columns of a leaderboard: standing of each method, details, and one column per metric.

function standingColumns(task) {
  const board = boardOf(task),
    last = ranked(board).length;
  return [
    {
      key: "method",
      name: "method",
      class: "first",
      value: (row) => row.method,
      cell: (row) => methodCell(task, row),
      tip: (row) => [
        row.method,
        (content.descriptions.methods[row.method] || {}).summary,
        exactnessText(task, row),
        row.scores_from && originText(row),
        row.outdated === "yes" && outdatedText(content.descriptions.methods[row.method]),
        "Press Enter for details.",
      ],
    },
    {
      key: "rank",
      name: "rank",
      class: "ranks",
      head: [el("small", {}, "95 % interval"), "rank"],
      value: (row) => row.rank,
      cell: (row) => rankCell(task, row, last),
      tip: (row) => rankTip(task, row),
      about: () => ["rank", TERMS.rank, TERMS["rank interval"]],
    },
    {
      key: "top_group",
      name: "top group",
      class: "left",
      best: 1,
      value: (row) => row.top_group,
      cell: topGroupCell,
      tip: (row) => rankTip(task, row),
      about: () => ["top group", TERMS["top group"]],
    },
    {
      key: "vs_random",
      name: "beats random",
      class: "left",
      value: (row) => row.vs_random,
      cell: randomCell,
      tip: (row) => rankTip(task, row),
      about: () => ["beats random", TERMS["beats random"]],
    },
  ];
}

/** Group letters and mean ranks. */
function detailColumns(board) {
  const names = Object.keys(board.methods[0] || {}).filter((name) => /^mean_rank(?!.*_(low|high)$)/.test(name));
  return [
    {
      key: "group",
      name: "group",
      class: "left group",
      value: (row) => row.group,
      cell: (row) => row.group || "–",
      about: () => ["group", TERMS.group],
    },
    ...names
      .filter((name) => board.methods.some((row) => hasValue(row[name])))
      .map((name) => ({
        key: name,
        name: withSpaces(name),
        value: (row) => row[name],
        head: name === "mean_rank" ? "mean rank" : [el("small", {}, "mean rank"), name.replace("mean_rank_", "")],
        tip: (row) => [
          row.method,
          [withSpaces(name), format(row[name])],
          ["95 % interval", formatRange(row[`${name}_low`], row[`${name}_high`]) || "none"],
          ["samples", row.n_samples],
        ],
        about: () => [
          withSpaces(name),
          TERMS["mean rank"],
          name !== "mean_rank" && "Here: the metrics of this family only.",
        ],
      })),
  ];
}

function metricColumn(board, metric) {
  const column = board.metrics.indexOf(metric),
    field = (row, name) => board.scores[name][board.methods.indexOf(row)][column];
  const largest = Math.max(...board.methods.map((row) => Math.abs(field(row, "skill") || 0))) || 1;
  const certain = (row) => hasValue(field(row, "p_vs_random")) && field(row, "p_vs_random") < 0.05;
  const excluded = !counted(metric);
  return {
    key: `metric:${metric.metric}`,
    name: metric.metric,
    best: metric.higher_is_better ? 1 : -1,
    class: `metric ${excluded ? "excluded" : ""}`,
    value: (row) => field(row, "mean"),
    tip: (row) => scoreTip(row, metric, (name) => field(row, name)),
    about: () => metricTip(metric),
    head: [
      el("small", {}, metric.metric_family),
      breakable(metric.metric),
      `\u00a0${metric.higher_is_better ? "↑" : "↓"}`,
      excluded && metric.metric_family !== "cost" && el("small", { class: "why" }, "not counted in the rank"),
      metric.outdated === "yes" && el("small", { class: "why" }, "older version"),
    ],
    style: (row) =>
      excluded || !hasValue(field(row, "skill"))
        ? {}
        : tint((field(row, "skill") / largest) * (certain(row) ? 0.75 : 0.12)),
  };
}

const counted = (metric) => metric.rank_weight > 0;
const notCounted = (metric) =>
  !counted(metric) && hasValue(metric.exclusion_text) && `Not counted in the rank: ${metric.exclusion_text}.`;

function metricTip(metric) {
  const about = content.descriptions.metrics[metric.metric] || {};
  return [
    `${metric.metric}: ${metric.label}`,
    about.summary,
    ["better", metric.higher_is_better ? "higher" : "lower"],
    ["conformance checks", metric.conformance || "not run"],
    ["weight in the rank", format(metric.rank_weight)],
    hasValue(metric.share_beats_random) && [
      "methods above the random control",
      `${format(100 * metric.share_beats_random)} %`,
    ],
    hasValue(metric.n_required_top_two) && [
      "samples needed to distinguish the first two",
      format(metric.n_required_top_two),
    ],
    metric.redundancy_group !== metric.metric &&
      `Correlates above 0.95 with ${metric.redundancy_group}: they share the weight of one metric.`,
    notCounted(metric),
    metric.outdated === "yes" && outdatedText(about),
  ];
}

function scoreTip(row, metric, field) {
  const better = hasValue(field("superiority"))
    ? `, better on ${format(100 * field("superiority"))} % of the samples`
    : "";
  return [
    `${row.method} · ${metric.metric}`,
    metric.label,
    ["mean", format(field("mean"), 4)],
    ["95 % interval", formatRange(field("mean_low"), field("mean_high")) || "none"],
    ["samples", format(field("n_samples"))],
    ["rank by this metric", format(field("rank"))],
    hasValue(field("group")) && ["group letters", field("group")],
    hasValue(field("skill")) && ["skill", withRange(field("skill"), field("skill_low"), field("skill_high"))],
    row.method !== "random" &&
      hasValue(field("p_vs_random")) && ["against the random control", formatP(field("p_vs_random")) + better],
    hasValue(field("status")) && field("status") !== "ok" && `Scores: ${field("status")}.`,
    notCounted(metric),
  ];
}

// --- descriptions

/** What the task is; with `more`, its full description. */
function taskSummary(task, more) {
  const about = content.descriptions.tasks[task];
  if (!about) return null;
  return [
    el("p", { class: "quiet" }, `${about.summary}.`),
    more &&
      el(
        "details",
        { class: "more" },
        el("summary", {}, "About this task"),
        el("div", { class: "prose" }, prose(about.about || about.doc)),
        about.cite && el("p", { class: "quiet" }, "Source: ", reference(about.cite)),
      ),
  ];
}

function metricsList(board) {
  const described = board.metrics.filter((metric) => content.descriptions.metrics[metric.metric]);
  if (!described.length) return null;
  return el(
    "details",
    { class: "more" },
    el("summary", {}, "What the metrics measure"),
    el(
      "p",
      { class: "quiet" },
      "x is the input; ",
      term("p", "p(x)"),
      " is the model's output for the explained class; k is the share of features that is kept or removed, set by the task; a is the map; ",
      "↑ higher is better, ↓ lower is better.",
    ),
    el(
      "dl",
      { class: "facts" },
      described.map((metric) => {
        const about = content.descriptions.metrics[metric.metric];
        return [
          el("dt", {}, breakable(metric.metric), ` ${metric.higher_is_better ? "↑" : "↓"}`),
          el(
            "dd",
            {},
            `${metric.label}. ${about.summary}. `,
            about.cite && el("span", { class: "quiet" }, citation(about.cite)),
          ),
        ];
      }),
    ),
  );
}
