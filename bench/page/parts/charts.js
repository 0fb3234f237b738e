// Charts (Observable Plot). Each shows figures that a table of the page holds too.

const FAMILY_COLOURS = { gradient: "#0072b2", propagation: "#d55e00", activation: "#009e73", perturbation: "#cc79a7", control: "#7f7f7f" };
const OTHER_COLOURS = ["#e69f00", "#56b4e9", "#b8a000", "#8c564b"];

function colourScale(families) {
  const other = families.filter((name) => !(name in FAMILY_COLOURS));
  return { domain: families, range: families.map((name) => FAMILY_COLOURS[name] || OTHER_COLOURS[other.indexOf(name) % OTHER_COLOURS.length]) };
}

const ranked = (board) => board.methods.filter((one) => known(one.rank));
const familiesOf = (lines) => [...new Set(lines.map((one) => one.family))];
const STYLE = { background: "transparent", fontFamily: "inherit", fontSize: "12px", overflow: "visible" };
const cut = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);

function legend(families) {
  const { domain, range: colours } = colourScale(families);
  return el("ul", { class: "legend" }, domain.map((name, i) =>
    el("li", {}, el("span", { class: "dot", style: { background: colours[i] } }), name)));
}

function rankTitle(one) {
  return `${one.method}\nrank ${figure(one.rank)} (${range(one.rank_low, one.rank_high) || "no interval"})\ngroup ${one.group || "–"}`;
}

/** Rank and 95 % interval of each method, best first; the random control as a line. */
function rankChart(board, width) {
  const lines = ranked(board), narrow = width < 560, random = lines.find((one) => one.role === "random");
  return Plot.plot({
    width, height: 46 + 17 * lines.length, marginLeft: narrow ? 132 : 190, marginRight: 14, marginTop: 34, style: STYLE,
    x: { axis: "top", label: "rank →", grid: true, domain: [0.5, lines.length + 0.5], ticks: Math.min(10, lines.length) },
    y: { domain: lines.map((one) => one.method), label: null, tickSize: 0, tickFormat: (name) => cut(name, narrow ? 20 : 30) },
    color: colourScale(familiesOf(lines)),
    marks: [
      random && Plot.ruleX([random.rank], { strokeDasharray: "4 3", strokeOpacity: 0.8 }),
      Plot.ruleY(lines.filter((one) => known(one.rank_low)), { y: "method", x1: "rank_low", x2: "rank_high", stroke: "family", strokeWidth: 3, strokeOpacity: 0.45 }),
      Plot.dot(lines, { y: "method", x: "rank", fill: "family", r: 4, symbol: (one) => (one.control ? "square" : "circle") }),
      Plot.tip(lines, Plot.pointerY({ x: "rank", y: "method", title: rankTitle, fill: "var(--paper)", lineHeight: 1.3 })),
    ],
  });
}

/** The methods that no other beats in both cost and mean rank. */
function pareto(lines) {
  const found = [];
  for (const one of [...lines].sort((a, b) => a.seconds - b.seconds || a.quality - b.quality)) {
    if (!found.length || one.quality < found[found.length - 1].quality) found.push(one);
  }
  return found;
}

/** Powers of ten among values, for a logarithmic axis; where there are less than two, how many ticks it may choose. */
function decades([least, most]) {
  const first = Math.ceil(Math.log10(least)), last = Math.floor(Math.log10(most));
  return last > first ? Array.from({ length: last - first + 1 }, (_, i) => Number(`1e${first + i}`)) : 3;
}

/** What a cost is set against: the mean rank by faithfulness, or by all metrics where none asks that. */
const qualityOf = (board) => (board.methods.some((one) => known(one.mean_rank_faithfulness)) ? "mean_rank_faithfulness" : "mean_rank");

function costs(board) {
  const place = board.metrics.findIndex((one) => one.metric === "seconds"), quality = qualityOf(board);
  if (place < 0) return [];
  return board.methods.map((one, i) => ({ ...one, seconds: board.cells.mean[i][place], quality: one[quality] }))
    .filter((one) => known(one.quality) && one.seconds > 0);
}

/** Seconds per sample against mean rank, with the front of those that are not beaten in both. */
function costChart(board, width) {
  const lines = costs(board), candidates = lines.filter((one) => !one.control), front = pareto(candidates), narrow = width < 560;
  const domain = [0.7 * Math.min(...lines.map((one) => one.seconds)), 1.4 * Math.max(...lines.map((one) => one.seconds))];
  return Plot.plot({
    width, height: narrow ? 360 : 430, marginLeft: 46, marginRight: narrow ? 24 : 60, marginTop: 28, marginBottom: 40, style: STYLE,
    x: { type: "log", label: "seconds per sample →", grid: true, domain, ticks: decades(domain), tickFormat: (value) => figure(value, 1) },
    y: { reverse: true, label: `↑ ${spaced(qualityOf(board)).replace("rank ", "rank by ")} (1 is best)`, grid: true, nice: true },
    color: colourScale(familiesOf(lines)),
    marks: [
      Plot.line(front, { x: "seconds", y: "quality", curve: "step-after", strokeOpacity: 0.5, strokeDasharray: "3 3" }),
      Plot.dot(lines, { x: "seconds", y: "quality", fill: "family", r: 4, fillOpacity: 0.85, symbol: (one) => (one.control ? "square" : "circle") }),
      Plot.text([...front, ...lines.filter((one) => one.role === "random")], { x: "seconds", y: "quality", text: (one) => cut(one.method, 24), dy: -10, textAnchor: "middle", fontWeight: 600, stroke: "var(--paper)", fill: "currentColor", strokeWidth: 4 }),
      Plot.tip(lines, Plot.pointer({ x: "seconds", y: "quality", fill: "var(--paper)", lineHeight: 1.3, title: (one) => `${one.method}\nmean rank ${figure(one.quality)}\n${figure(one.seconds)} s per sample` })),
    ],
  });
}

/** p over the share of features, of one method and of the random control: `lines` of {name, share, p}. */
function curveChart(lines, width, options = {}) {
  const points = lines.flatMap((line) => line.p.map((p, i) => ({ name: line.name, share: 100 * line.share[i], p })));
  const marks = [
    Plot.ruleY([0]),
    Plot.line(points, { x: "share", y: "p", z: "name", stroke: (one) => (one.name === "random" ? "currentColor" : "var(--accent)"), strokeDasharray: "none", strokeOpacity: (one) => (one.name === "random" ? 0.5 : 1), strokeWidth: 2 }),
  ];
  if (options.at) marks.push(Plot.ruleX([100 * options.at.share], { strokeDasharray: "3 3" }), Plot.dot([options.at], { x: (one) => 100 * one.share, y: "p", r: 5, fill: "var(--accent)" }));
  else marks.push(Plot.tip(points, Plot.pointerX({ x: "share", y: "p", fill: "var(--paper)", lineHeight: 1.3, title: (one) => `${one.name}\n${figure(one.share)} % ${options.what || "removed"}\np = ${figure(one.p)}` })));
  return Plot.plot({
    width, height: Math.min(220, Math.max(150, width * 0.5)), marginLeft: 38, marginRight: 12, marginTop: 24, marginBottom: 36, style: STYLE,
    x: { label: `% of features ${options.what || "removed"} →`, domain: [0, 100], ticks: 5 },
    y: { label: "↑ p", domain: [0, 1], ticks: 5, grid: true },
    marks,
  });
}
