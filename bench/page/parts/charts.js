// Charts (Observable Plot). A table of the page holds the same numbers.

const FAMILY_COLOURS = {
  gradient: "#0072b2",
  propagation: "#d55e00",
  activation: "#009e73",
  perturbation: "#cc79a7",
  control: "#7f7f7f",
};
const OTHER_COLOURS = ["#e69f00", "#56b4e9", "#b8a000", "#8c564b"];
const CHART_STYLE = { background: "transparent", fontFamily: "inherit", fontSize: "12px", overflow: "visible" };

function colourScale(families) {
  const others = families.filter((family) => !(family in FAMILY_COLOURS));
  const colour = (family) => FAMILY_COLOURS[family] || OTHER_COLOURS[others.indexOf(family) % OTHER_COLOURS.length];
  return { domain: families, range: families.map(colour) };
}

const familiesOf = (rows) => [...new Set(rows.map((row) => row.method_family))];
const shorten = (name, limit) => (name.length > limit ? `${name.slice(0, limit - 1)}…` : name);
const symbolOf = (row) => (row.is_control ? "square" : "circle");

/** Colours of the families in the chart; controls are squares. */
function legend(rows) {
  const { domain, range } = colourScale(familiesOf(rows));
  return el(
    "ul",
    { class: "legend" },
    domain.map((family, i) =>
      el(
        "li",
        {},
        el("span", { class: `dot ${family === "control" ? "square" : ""}`, style: { background: range[i] } }),
        family,
      ),
    ),
  );
}

// --- ranks

function rankTitle(row) {
  return `${row.method}\nrank ${format(row.rank)} (${formatRange(row.rank_low, row.rank_high) || "no interval"})\ntop group: ${row.top_group || "–"}`;
}

/** Rank and 95 % interval of each method, best first; the random control as a line. */
function rankChart(rows, last, width) {
  const narrow = width < 560,
    random = rows.find((row) => row.method === "random");
  return Plot.plot({
    width,
    height: 46 + 17 * rows.length,
    marginLeft: narrow ? 132 : 190,
    marginRight: 14,
    marginTop: 34,
    style: CHART_STYLE,
    x: { axis: "top", label: "rank →", grid: true, domain: [0.5, last + 0.5], ticks: Math.min(10, last) },
    y: {
      domain: rows.map((row) => row.method),
      label: null,
      tickSize: 0,
      tickFormat: (name) => shorten(name, narrow ? 20 : 30),
    },
    color: colourScale(familiesOf(rows)),
    marks: [
      random && Plot.ruleX([random.rank], { strokeDasharray: "4 3", strokeOpacity: 0.8 }),
      Plot.ruleY(
        rows.filter((row) => hasValue(row.rank_low)),
        { y: "method", x1: "rank_low", x2: "rank_high", stroke: "method_family", strokeWidth: 3, strokeOpacity: 0.45 },
      ),
      Plot.dot(rows, { y: "method", x: "rank", fill: "method_family", r: 4, symbol: symbolOf }),
      Plot.tip(
        rows,
        Plot.pointerY({ x: "rank", y: "method", title: rankTitle, fill: "var(--paper)", lineHeight: 1.3 }),
      ),
    ],
  });
}

// --- cost

/** The mean rank by faithfulness, or by all metrics where no faithfulness metric counts. */
const qualityOf = (board) =>
  board.methods.some((row) => hasValue(row.mean_rank_faithfulness)) ? "mean_rank_faithfulness" : "mean_rank";

/** The methods with both a mean rank and a time, each with `seconds` and `quality`. */
function withCost(board) {
  const column = board.metrics.findIndex((metric) => metric.metric === "seconds"),
    quality = qualityOf(board);
  if (column < 0) return [];
  return board.methods
    .map((row, i) => ({ ...row, seconds: board.scores.mean[i][column], quality: row[quality] }))
    .filter((row) => hasValue(row.quality) && row.seconds > 0);
}

/** The rows that no other row beats in both cost and mean rank, fastest first. */
function paretoFront(rows) {
  const front = [];
  for (const row of [...rows].sort((a, b) => a.seconds - b.seconds || a.quality - b.quality)) {
    if (!front.length || row.quality < front.at(-1).quality) front.push(row);
  }
  return front;
}

/** Powers of ten in a range, for a logarithmic axis; a number of ticks where there are fewer than two. */
function powersOfTen([least, most]) {
  const first = Math.ceil(Math.log10(least)),
    last = Math.floor(Math.log10(most));
  return last > first ? Array.from({ length: last - first + 1 }, (_, i) => Number(`1e${first + i}`)) : 3;
}

const LABEL_SIDES = [
  { dx: 0, dy: -13, textAnchor: "middle" },
  { dx: 0, dy: 14, textAnchor: "middle" },
  { dx: 9, dy: 0, textAnchor: "start" },
  { dx: -9, dy: 0, textAnchor: "end" },
];

/** The box of a label in pixels: [left, top, right, bottom]. */
function labelBox({ x, y, text }, { dx, dy, textAnchor }) {
  const width = 7.3 * text.length,
    left = x + dx - { start: 0, middle: width / 2, end: width }[textAnchor];
  return [left, y + dy - 7, left + width, y + dy + 7];
}

/** A side for each label on which it covers no point and no other label; labels that fit nowhere are left out. */
function placeLabels(labels, points, area) {
  const taken = points.map(({ x, y }) => [x - 4, y - 4, x + 4, y + 4]);
  const overlaps = ([left, top, right, bottom]) =>
    left < area.left ||
    right > area.right ||
    top < area.top ||
    bottom > area.bottom ||
    taken.some((box) => left < box[2] && box[0] < right && top < box[3] && box[1] < bottom);
  return labels.flatMap((label) => {
    const side = LABEL_SIDES.find((each) => !overlaps(labelBox(label, each)));
    if (!side) return [];
    taken.push(labelBox(label, side));
    return [{ ...label, side }];
  });
}

/** Seconds per sample against mean rank; the Pareto front is that of `rows`, controls left out. */
function costChart(rows, quality, width) {
  const front = paretoFront(rows.filter((row) => !row.is_control));
  const labelled = [...front, ...rows.filter((row) => row.method === "random")];
  const withoutLabels = costPlot(rows, front, quality, width, []);
  const x = withoutLabels.scale("x"),
    y = withoutLabels.scale("y");
  const position = (row) => ({ x: x.apply(row.seconds), y: y.apply(row.quality), text: shorten(row.method, 24), row });
  const area = {
    left: Math.min(...x.range),
    right: width,
    top: Math.min(...y.range) - 12,
    bottom: Math.max(...y.range),
  };
  return costPlot(rows, front, quality, width, placeLabels(labelled.map(position), rows.map(position), area));
}

function costPlot(rows, front, quality, width, labels) {
  const narrow = width < 560,
    seconds = rows.map((row) => row.seconds),
    domain = [0.7 * Math.min(...seconds), 1.4 * Math.max(...seconds)];
  const qualityLabel = `↑ ${withSpaces(quality).replace("rank ", "rank by ")} (1 is best)`;
  return Plot.plot({
    width,
    height: narrow ? 360 : 430,
    marginLeft: 46,
    marginRight: narrow ? 24 : 60,
    marginTop: 28,
    marginBottom: 40,
    style: CHART_STYLE,
    x: {
      type: "log",
      label: "seconds per sample →",
      grid: true,
      domain,
      ticks: powersOfTen(domain),
      tickFormat: (value) => format(value, 1),
    },
    y: { reverse: true, label: qualityLabel, grid: true, nice: true },
    color: colourScale(familiesOf(rows)),
    marks: costMarks(rows, front, labels),
  });
}

function costMarks(rows, front, labels) {
  const at = { x: "seconds", y: "quality" },
    title = (row) => `${row.method}\nmean rank ${format(row.quality)}\n${format(row.seconds)} s per sample`;
  const textStyle = { fontWeight: 600, stroke: "var(--paper)", fill: "currentColor", strokeWidth: 4 };
  const onSide = (side) => labels.filter((label) => label.side === side).map((label) => label.row);
  return [
    Plot.line(front, { ...at, curve: "step-after", strokeOpacity: 0.5, strokeDasharray: "3 3" }),
    Plot.dot(front, { ...at, r: 7, stroke: "currentColor", strokeWidth: 1.2, className: "pareto" }),
    Plot.dot(rows, { ...at, fill: "method_family", r: 4, fillOpacity: 0.85, symbol: symbolOf }),
    ...LABEL_SIDES.map((side) =>
      Plot.text(onSide(side), { ...at, text: (row) => shorten(row.method, 24), ...side, ...textStyle }),
    ),
    Plot.tip(rows, Plot.pointer({ ...at, fill: "var(--paper)", lineHeight: 1.3, title })),
  ];
}

// --- curves

/** p over the share of features: `lines` of {name, share, p}; `verb`: removed or restored; `at`: {share, p} of a marked point. */
function curveChart(lines, width, { verb, at = null }) {
  const points = lines.flatMap((line) => line.p.map((p, i) => ({ name: line.name, share: 100 * line.share[i], p })));
  const isRandom = (point) => point.name === "random";
  const pointer = {
    x: "share",
    y: "p",
    fill: "var(--paper)",
    lineHeight: 1.3,
    title: (point) => `${point.name}\n${format(point.share)} % ${verb}\np = ${format(point.p)}`,
  };
  return Plot.plot({
    width,
    height: Math.min(220, Math.max(150, width * 0.5)),
    marginLeft: 38,
    marginRight: 12,
    marginTop: 24,
    marginBottom: 36,
    style: CHART_STYLE,
    x: { label: `% of features ${verb} →`, domain: [0, 100], ticks: 5 },
    y: { label: "↑ p", domain: [0, 1], ticks: 5, grid: true },
    marks: [
      Plot.ruleY([0]),
      Plot.line(points, {
        x: "share",
        y: "p",
        z: "name",
        stroke: (point) => (isRandom(point) ? "currentColor" : "var(--accent)"),
        strokeOpacity: (point) => (isRandom(point) ? 0.5 : 1),
        strokeWidth: 2,
      }),
      at
        ? [
            Plot.ruleX([100 * at.share], { strokeDasharray: "3 3" }),
            Plot.dot([at], { x: (point) => 100 * point.share, y: "p", r: 5, fill: "var(--accent)" }),
          ]
        : Plot.tip(points, Plot.pointerX(pointer)),
    ],
  });
}
