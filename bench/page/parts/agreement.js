// Agreement: do the metrics order the methods alike, and as the ground truth does?

function tauTable(task) {
  const { order, pairs } = content.agreement[task],
    byPair = new Map();
  for (const pair of pairs) {
    byPair.set(`${pair.metric_a}\n${pair.metric_b}`, pair);
    byPair.set(`${pair.metric_b}\n${pair.metric_a}`, pair);
  }
  const pairOf = (a, b) => byPair.get(`${a}\n${b}`),
    tau = (a, b) => (a === b ? 1 : (pairOf(a, b) || {}).tau);
  const text = (value) => (hasValue(value) ? value.toFixed(1).replace("0.", ".").replace("-.0", ".0") : "–");
  const columns = [
    {
      key: "metric",
      name: "metric",
      class: "first line",
      value: (row) => order.indexOf(row.metric),
      cell: (row) => row.metric,
      tip: (row) => metricSummary(row.metric),
    },
    ...order.map((metric) => ({
      key: metric,
      name: metric,
      best: 1,
      class: "square",
      head: el("span", { class: "upright" }, metric),
      value: (row) => tau(row.metric, metric),
      about: () => metricSummary(metric),
      cell: (row) => (row.metric === metric ? "" : text(tau(row.metric, metric))),
      style: (row) => tint(tau(row.metric, metric) * 0.75),
      tip: (row) => pairTip(row.metric, metric, pairOf(row.metric, metric)),
    })),
  ];
  return sortableTable({
    caption: `Kendall's tau of each pair of metrics on ${task}`,
    columns,
    rows: order.map((metric) => ({ metric })),
    status: (rows) => plural(rows.length, "metric"),
  }).node;
}

const metricSummary = (name) => [name, (content.descriptions.metrics[name] || {}).summary];

function pairTip(a, b, pair) {
  if (a === b) return [a];
  return pair ? [`${a} · ${b}`, ...tauFacts(pair)] : [`${a} · ${b}`, "Not compared."];
}

function tauFacts(row) {
  return [
    ["tau", format(row.tau)],
    ["95 % interval", formatRange(row.tau_low, row.tau_high) || "none"],
    ["methods", format(row.n_methods)],
    ["samples", format(row.n_samples)],
    ["|tau| of unrelated orders, 95 % limit", format(row.tau_critical)],
  ];
}

// --- agreement with the ground truth

function tauCell(row) {
  return el(
    "span",
    { class: "rank tau" },
    el("b", {}, row.tau.toFixed(2)),
    el(
      "span",
      { class: "quiet" },
      hasValue(row.tau_low) ? `${row.tau_low.toFixed(2)} to ${row.tau_high.toFixed(2)}` : "",
    ),
    whisker(row.tau, row.tau_low, row.tau_high, -1, 1),
  );
}

const TRUST_COLUMNS = [
  {
    key: "metric",
    name: "metric",
    class: "first",
    value: (row) => row.metric,
    cell: (row) => breakable(row.metric),
    tip: (row) => metricSummary(row.metric),
  },
  {
    key: "tau",
    name: "tau",
    class: "ranks",
    best: 1,
    head: [el("small", {}, "95 % interval"), "tau"],
    value: (row) => row.tau,
    cell: tauCell,
    tip: (row) => [row.metric, ...tauFacts(row)],
    about: () => ["tau", TERMS.tau],
  },
  {
    key: "metric_family",
    name: "family",
    class: "left",
    value: (row) => row.metric_family,
    cell: (row) => row.metric_family,
    about: () => ["family", "What kind of question the metric asks."],
  },
  {
    key: "truth_metric",
    name: "ground truth",
    class: "left",
    value: (row) => row.truth_metric,
    cell: (row) => breakable(row.truth_metric),
    about: () => [
      "ground truth",
      "The localisation metric whose order of the methods is taken as the truth; “mean rank” is the mean over all of them.",
    ],
  },
  {
    key: "n_methods",
    name: "methods",
    best: 1,
    value: (row) => row.n_methods,
    about: () => ["methods", "The number of methods that are compared; controls are left out."],
  },
  {
    key: "tau_critical",
    name: "95 % limit",
    value: (row) => row.tau_critical,
    about: () => [
      "95 % limit",
      "|tau| of two unrelated orders of as many methods is at most this in 95 % of all cases. A smaller tau may be chance.",
    ],
  },
];

function trustTable(task) {
  const rows = content.agreement[task].trust,
    truths = [...new Set(rows.map((row) => row.truth_metric))];
  const preferred = truths.includes("mean rank") ? "mean rank" : truths[0],
    having = (truth) => rows.filter((row) => !truth || row.truth_metric === truth);
  const table = sortableTable({
    caption: `Kendall's tau of each metric with the ground truth on ${task}`,
    columns: TRUST_COLUMNS,
    rows: having(preferred),
    sort: { key: "tau", direction: "descending" },
  });
  return [
    selectField("Ground truth", [["", "all"], ...truths.map((truth) => [truth, truth])], preferred, (truth) =>
      table.update(TRUST_COLUMNS, having(truth)),
    ),
    table.node,
  ];
}

function alphaTable(rows) {
  const headings = ["family of metrics", "metrics", "methods", "alpha", "95 % interval"].map((text) =>
    el("th", { scope: "col", class: "flat" }, text),
  );
  return [
    el("h3", {}, "Agreement of all metrics of a family"),
    el(
      "p",
      { class: "quiet" },
      "Krippendorff's ",
      term("alpha"),
      " of the ranks that the metrics give to the methods. “ranking”: the metrics that ",
      term("counts in the rank", "count in the rank"),
      ".",
    ),
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, headings)),
        el(
          "tbody",
          {},
          rows.map((row) =>
            el(
              "tr",
              {},
              el("th", { scope: "row" }, row.metric_family),
              el("td", {}, row.n_metrics),
              el("td", {}, row.n_methods),
              el("td", {}, el("b", {}, format(row.alpha))),
              el("td", {}, formatRange(row.alpha_low, row.alpha_high)),
            ),
          ),
        ),
      ),
    ),
  ];
}

function agreementView(task) {
  const { order, trust, alphas } = content.agreement[task];
  return [
    taskTabs("agreement", task),
    el("h2", {}, `Agreement of metrics: ${task}`),
    el(
      "p",
      { class: "lead" },
      "Kendall's ",
      term("tau"),
      " compares the orders in which two metrics put the methods. Metrics that agree are not thereby right: they may share a fault.",
    ),
    trust.length
      ? [
          el("h3", {}, "Agreement with the ground truth"),
          el(
            "p",
            { class: "quiet" },
            "The ground truth is the mean rank by the localisation metrics unless another is chosen.",
          ),
          trustTable(task),
        ]
      : el("p", {}, "This task has no ground truth to compare the metrics with."),
    el("h3", {}, "Agreement of pairs of metrics"),
    order.length
      ? [
          el(
            "p",
            { class: "quiet" },
            el("span", { class: "swatch", style: tint(0.75) }),
            "same order, ",
            el("span", { class: "swatch", style: tint(-0.75) }),
            "reverse order. Metrics that agree are side by side; hover over or focus a cell for its interval.",
          ),
          tauTable(task),
        ]
      : el("p", {}, "There are too few methods or metrics to compare."),
    alphas.length > 0 && alphaTable(alphas),
  ];
}
