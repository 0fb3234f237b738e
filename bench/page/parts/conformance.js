// Conformance: how each metric did on closed-form problems.

const usedHere = (name) => tasks.some((task) => boardOf(task).metrics.some((metric) => metric.metric === name));

const COMPARED_MAPS =
  "exact: the exact attribution; noisy(0.1), noisy(1): with noise of 0.1 or 1 standard deviation; random: noise; negated: the exact attribution times −1.";
const DECISION =
  "0.5 is chance. For each kind of input a sign test at the 1 % level decides; exact need not be better than noisy(0.1), but must not be worse.";

/** One comparison of two maps: `key` is the column, `label` is “better > worse”. */
function stepColumn({ key, label }) {
  const [better, worse] = label.split(" > ");
  return {
    key,
    name: label,
    best: 1,
    class: "step",
    head: [better, el("br"), `> ${worse}`],
    value: (row) => row[key],
    cell: (row) => (hasValue(row[key]) ? row[key].toFixed(2) : "–"),
    style: (row) => (hasValue(row[key]) ? tint((row[key] - 0.5) * 1.5) : {}),
    tip: (row) => [row.metric, `“${better}” is scored better than “${worse}” with probability ${format(row[key])}.`],
    about: () => [
      label,
      `The probability that the map “${better}” is scored better than “${worse}”. ${DECISION}`,
      COMPARED_MAPS,
    ],
  };
}

const CHANGE_TEXT = {
  batch: ["other\u00a0batches", "computed in other batches or in another order. Above 0.001 the metric fails"],
  times_10: ["map\u00a0×\u00a010", "computed on the map times 10"],
  plus_1: ["map\u00a0+\u00a01", "computed on the map plus 1"],
  absolute: ["|map|", "computed on the absolute values of the map"],
};

function changeColumn(key) {
  const [title, text] = CHANGE_TEXT[key];
  const meaning = `Greatest change of a score, in standard deviations of the scores, when it is ${text}.`;
  return {
    key,
    name: title,
    value: (row) => row[key],
    cell: (row) => format(row[key], 2),
    about: () => [title, meaning],
  };
}

function conformanceColumns(steps, changes) {
  const text = (key, name, about) => ({
    key,
    name,
    class: "left",
    value: (row) => row[key],
    cell: (row) => row[key] || "–",
    about: () => [name, about],
  });
  return [
    {
      key: "metric",
      name: "metric",
      class: "first",
      value: (row) => row.metric,
      cell: (row) => [el("b", {}, breakable(row.metric)), el("span", { class: "under" }, row.family)],
      tip: (row) => [...metricSummary(row.metric), ["id", row.metric_id]],
    },
    {
      key: "verdict",
      name: "verdict",
      class: "verdict",
      value: (row) => row.verdict,
      cell: (row) => [badge(row.verdict, row.verdict), el("span", { class: "under" }, row.failure_reasons)],
      tip: (row) => [row.metric, row.verdict, row.failure_reasons],
      about: () => ["verdict", "A metric that fails any check does not count in the rank."],
    },
    ...steps.map(stepColumn),
    text("uses_sign", "uses sign", "Whether the score depends on the sign of the attribution."),
    text("input_shapes", "input shapes", "The shapes of input that the metric accepts."),
    ...changes.map(changeColumn),
  ];
}

/** Counts in words. */
function conformanceText(lines) {
  const having = (verdict) => lines.filter((row) => row.verdict === verdict).length;
  const passed = having("pass"),
    failed = having("fail"),
    untested = lines.length - passed - failed,
    used = lines.filter((row) => usedHere(row.metric)).length;
  return [
    `${passed} of ${plural(lines.length, "metric")} pass the `,
    term("conformance checks"),
    `; ${failed} fail and do not count in the rank`,
    untested > 0 && `; ${untested} cannot be tested`,
    `. ${used} of the ${lines.length} were run on the tasks of this page.`,
  ];
}

/** The table with its filters. */
function conformanceTable({ steps, changes, lines }) {
  const columns = conformanceColumns(steps, changes),
    filters = { verdict: "", family: "", used: "" };
  const shown = (row) =>
    (!filters.verdict || row.verdict === filters.verdict) &&
    (!filters.family || row.family === filters.family) &&
    (!filters.used || usedHere(row.metric));
  const table = sortableTable({
    caption: "Conformance of the metrics",
    columns,
    rows: lines,
    sort: { key: "verdict", direction: "ascending" },
    status: (rows) => `${rows.length} of ${plural(lines.length, "metric")}`,
    rowClass: (row) => (row.verdict === "fail" ? "fails" : ""),
  });
  const set = (name) => (value) => {
    filters[name] = value;
    table.update(columns, lines.filter(shown));
  };
  const values = (name) => [
    ["", "all"],
    ...[...new Set(lines.map((row) => row[name]))].sort().map((value) => [value, value]),
  ];
  const used = [
    ["", "all"],
    ["used", "run on the tasks of this page"],
  ];
  return [
    el(
      "div",
      { class: "fields" },
      selectField("Verdict", values("verdict"), "", set("verdict")),
      selectField("Family", values("family"), "", set("family")),
      selectField("Metrics", used, "", set("used")),
    ),
    table.node,
  ];
}

function conformanceView() {
  const title = el("h2", {}, "Conformance of metrics");
  if (!content.conformance.lines.length)
    return [
      title,
      el("p", {}, "This results folder has no verdicts on metrics. To make them: python -m bench check metrics"),
    ];
  return [
    title,
    el("p", { class: "lead" }, conformanceText(content.conformance.lines)),
    el(
      "p",
      { class: "quiet" },
      "Columns with “>” compare two maps of known quality: the share of samples on which the better map has the better score. ",
      "0.5 is chance; a sign test at the 1 % level decides. Each heading explains its column.",
    ),
    conformanceTable(content.conformance),
  ];
}
