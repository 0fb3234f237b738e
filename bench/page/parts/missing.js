// Missing scores, grouped by reason.

const MISSING_COLUMNS = [
  {
    key: "note",
    name: "reason",
    class: "text first wide-first",
    value: (row) => row.note,
    cell: (row) => row.note || "no message",
    about: () => ["reason", "The message stored with the scores."],
  },
  {
    key: "status",
    name: "status",
    class: "left",
    value: (row) => row.status,
    cell: (row) => badge(row.status, row.status === "failed" ? "fail" : "status"),
    about: () => [
      "status",
      "failed: an error was raised; undefined: the map or the score is constant or not finite; skipped: the method or the metric does not apply to the task.",
    ],
  },
  { key: "task", name: "task", class: "left", value: (row) => row.task, cell: (row) => row.task },
  {
    key: "methods",
    name: "methods",
    class: "text",
    value: (row) => row.methods.length,
    cell: (row) =>
      shortList(
        row.methods.map(([name, n]) => `${name} (${n})`),
        5,
      ),
    tip: (row) => [
      plural(row.methods.length, "method"),
      ...row.methods.map(([name, n]) => [name, plural(n, "sample")]),
    ],
    about: () => ["methods", "In brackets: the number of samples without a score."],
  },
  {
    key: "metrics",
    name: "metrics",
    class: "text",
    value: (row) => row.metrics.length,
    cell: (row) => shortList(row.metrics, 3),
    tip: (row) => [plural(row.metrics.length, "metric"), row.metrics.join(", ")],
  },
  {
    key: "n_scores",
    name: "scores",
    best: 1,
    value: (row) => row.n_scores,
    about: () => ["scores", "The number of missing scores."],
  },
];

function missingView() {
  const rows = content.missing,
    errors = rows.filter((row) => row.status === "failed").length,
    rest = rows.length - errors;
  const tasksNotRun = [
    ...Object.entries(content.run.failed_tasks || {}),
    ...Object.entries(content.run.skipped_tasks || {}),
  ];
  return [
    el("h2", {}, "Missing scores"),
    el(
      "p",
      { class: "lead" },
      errors ? `Errors were raised for ${plural(errors, "reason")}. ` : "No error was raised. ",
      rest > 0 &&
        `${plural(rest, "other reason")}: the map or the score is undefined, or the method or the metric does not apply to the task. Errors come first, controls last.`,
    ),
    tasksNotRun.length > 0 &&
      el(
        "ul",
        {},
        tasksNotRun.map(([name, reason]) => el("li", {}, el("b", {}, name), `: ${reason}`)),
      ),
    rows.length > 0 &&
      sortableTable({
        caption: "Missing scores by reason",
        columns: MISSING_COLUMNS,
        rows,
        status: (shown) => plural(shown.length, "reason"),
      }).node,
  ];
}
