// The leaderboard of a task: filters, the table, its download, and two charts.

const boardFilters = {}; // task -> {metrics, method, metric, details, families}

/** The families left out are saved, not those shown: others may appear during a run. */
function filtersOf(task) {
  if (!boardFilters[task]) {
    const { hiddenFamilies = [], ...rest } = saved[`filters of ${task}`] || {};
    const families = new Set(methodFamilies(boardOf(task)).filter((name) => !hiddenFamilies.includes(name)));
    boardFilters[task] = { metrics: "counted", method: "", metric: "", details: false, ...rest, families };
  }
  return boardFilters[task];
}

function saveFilters(task) {
  const { families, ...rest } = filtersOf(task);
  save(`filters of ${task}`, {
    ...rest,
    hiddenFamilies: methodFamilies(boardOf(task)).filter((name) => !families.has(name)),
  });
}

const methodFamilies = (board) => [...new Set(board.methods.map(familyOf))].sort();
const metricFamilies = (board) => [...new Set(board.metrics.map((metric) => metric.metric_family))];

/** The choices of metrics: key -> [text, test]. */
function metricChoices(board) {
  const families = metricFamilies(board).map((family) => [
    `family ${family}`,
    [`${family} metrics`, (metric) => metric.metric_family === family],
  ]);
  return new Map([
    ["counted", ["metrics that count in the rank", board.metrics.some(counted) ? counted : () => true]],
    ["all", ["all metrics", () => true]],
    ["sound", ["metrics that do not fail the conformance checks", (metric) => metric.conformance !== "fail"]],
    ...families,
  ]);
}

/** A search by name covers all metrics. */
function shownMetrics(board, filters) {
  const search = filters.metric.toLowerCase(),
    [, test] = metricChoices(board).get(filters.metrics) || metricChoices(board).get("counted");
  return board.metrics.filter((metric) =>
    search ? `${metric.metric} ${metric.label}`.toLowerCase().includes(search) : test(metric),
  );
}

const shownMethods = (board, filters) =>
  board.methods.filter(
    (row) => filters.families.has(familyOf(row)) && row.method.toLowerCase().includes(filters.method.toLowerCase()),
  );

// --- the table

/** The shown rows and columns under their names in the CSV files of the results folder, and with the same digits. */
function boardCsv(task, rows, filters) {
  const board = boardOf(task),
    field = (name) => [name, (row) => row[name]];
  const names = [
    "method",
    "method_id",
    "method_family",
    ...(board.methods.some((row) => row.scores_from) ? ["scores_from"] : []),
    "n_samples",
    "status",
    "rank",
    "rank_low",
    "rank_high",
    "top_group",
    "vs_random",
  ];
  const details = filters.details
    ? Object.keys(board.methods[0] || {}).filter((name) => name === "group" || name.startsWith("mean_rank"))
    : [];
  const metrics = shownMetrics(board, filters).map((metric) => [
    metric.metric,
    (row) => board.scores.mean[board.methods.indexOf(row)][board.metrics.indexOf(metric)],
  ]);
  return toCsv([["task", () => task], ...[...names, ...details].map(field), ...metrics], rows);
}

/** The table with its filters; `onChange(rows)` is called with the methods shown. */
function boardTable(task, onChange) {
  const board = boardOf(task),
    filters = filtersOf(task);
  const columns = () => [
    ...standingColumns(task),
    ...(filters.details ? detailColumns(board) : []),
    ...shownMetrics(board, filters).map((metric) => metricColumn(board, metric)),
  ];
  const hidden = () => board.metrics.length - shownMetrics(board, filters).length;
  const table = sortableTable({
    caption: `Leaderboard of ${task}`,
    columns: columns(),
    rows: shownMethods(board, filters),
    sort: { key: "rank", direction: "ascending" },
    status: (rows) => `${rows.length} of ${plural(board.methods.length, "row")}; ${plural(hidden(), "metric")} hidden`,
    rowClass: (row) =>
      [row.is_control && "control-row", row.top_group === "yes" && "top-group"].filter(Boolean).join(" "),
  });
  function change(name, value) {
    filters[name] = value;
    hideTip();
    saveFilters(task);
    table.update(columns(), shownMethods(board, filters));
    controls.update(hidden());
    onChange(shownMethods(board, filters));
  }
  const controls = boardControls(task, change, () => boardCsv(task, table.sortedRows(), filters));
  controls.update(hidden());
  onChange(shownMethods(board, filters));
  return [controls.filters, boardKey(task), controls.buttons, table.node];
}

/** The fields above the table; `change(name, value)` sets a filter, `update(hidden)` follows the number of hidden metrics. */
function boardControls(task, change, csv) {
  const board = boardOf(task),
    filters = filtersOf(task),
    choices = [...metricChoices(board)].map(([key, [text]]) => [key, text]);
  const metrics = selectField("Metrics shown", choices, filters.metrics, (value) => change("metrics", value)),
    { lastChild: select } = metrics;
  const showAll = el(
    "button",
    {
      type: "button",
      class: "plain",
      onclick: () => {
        select.value = "all";
        change("metrics", "all");
      },
    },
    `Show all ${plural(board.metrics.length, "metric")}`,
  );
  const fields = el(
    "div",
    { class: "fields" },
    searchField("Find a method", filters.method, (text) => change("method", text)),
    searchField("Find a metric", filters.metric, (text) => change("metric", text)),
    metrics,
  );
  const families = checkboxGroup("Families of methods", methodFamilies(board), filters.families, () =>
    change("families", filters.families),
  );
  return {
    filters: el(
      "details",
      { class: "filters", open: innerWidth > 700 },
      el("summary", {}, "Filters"),
      fields,
      families,
    ),
    buttons: el(
      "div",
      { class: "buttons" },
      showAll,
      checkbox("mean ranks and group letters", filters.details, (checked) => change("details", checked)),
      downloadButton("Download as CSV", `${task}.csv`, csv),
    ),
    update: (hidden) => {
      showAll.hidden = !hidden;
    },
  };
}

function boardKey(task) {
  const checked = boardOf(task).methods.some((row) => exactnessOf(task, row));
  return el(
    "p",
    { class: "key quiet" },
    el("span", { class: "bar-key" }),
    term("top group", "in the top group"),
    "; shaded rows are ",
    term("control", "controls"),
    ". ",
    el("span", { class: "swatch", style: tint(0.75) }),
    "better than the random control, ",
    el("span", { class: "swatch", style: tint(-0.75) }),
    "worse; pale where the difference is not significant. Colours show the ",
    term("skill"),
    "; ↑ and ↓ say whether higher or lower scores are better. ",
    "The ",
    term("rank"),
    " is the order by the mean of the ranks by each metric that ",
    term("counts in the rank"),
    ". ",
    checked && ["A label under a method says whether it is exact on this network: ", term("checked here"), ". "],
    TOUCH
      ? "Tap a cell for its details, and the ? of a heading for its definition."
      : "Hover over a cell or heading for details, or use the arrow keys; Enter sorts by a column or opens a method.",
  );
}

// --- the view

/** The two charts; `update(rows)` draws them for these methods. */
function boardCharts(task) {
  const board = boardOf(task),
    last = ranked(board).length,
    costs = withCost(board),
    quality = qualityOf(board);
  if (last < 2) return { node: null, update: () => {} };
  const ranks = chartSection(
    "Ranks and their 95 % intervals",
    "Methods with overlapping intervals may still differ: see the top group and the group letters. Dashed line: the random control.",
    `Ranks with intervals on ${task}; the table has the same numbers`,
    (rows, width) => rankChart(rows, last, width),
  );
  const cost = chartSection(
    `Cost and ${withSpaces(quality).replace("mean rank ", "")}`,
    "Circled: the Pareto front of the methods shown, those that no other shown method beats in both cost and mean rank.",
    `Seconds per sample and mean rank on ${task}; the table has the same numbers`,
    (rows, width) => costChart(rows, quality, width),
  );
  function update(rows) {
    const names = new Set(namesOf(rows));
    ranks.update(ranked(board).filter((row) => names.has(row.method)));
    cost.update(costs.filter((row) => names.has(row.method)));
  }
  return { node: el("div", { class: "halves" }, ranks.node, costs.length > 1 && cost.node), update };
}

/** A chart with heading and legend; `update(rows)` calls `draw(rows, width)`. */
function chartSection(title, text, label, draw) {
  const box = el("div");
  function update(rows) {
    const figure = drawToWidth(el("figure", { "aria-label": label }), (width) => draw(rows, width));
    box.replaceChildren(
      ...(rows.length ? [legend(rows), figure] : [el("p", { class: "quiet" }, "No method shown has a rank.")]),
    );
  }
  return {
    node: el("section", { class: "half" }, el("h3", {}, title), el("p", { class: "quiet" }, text), box),
    update,
  };
}

function boardView(task) {
  const board = boardOf(task),
    charts = boardCharts(task);
  return [
    taskTabs("board", task),
    el("h2", {}, `Leaderboard: ${task}`),
    el("p", { class: "quiet" }, resolution(board)),
    el("p", { class: "lead" }, conclusion(task)),
    taskSummary(task, true),
    el("p", { class: "quiet" }, counts(board)),
    boardTable(task, charts.update),
    metricsList(board),
    charts.node,
  ];
}
