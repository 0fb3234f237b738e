// The leaderboard of a task: what to conclude, filters, the table, and two charts.

const content = read("content");
const tasks = content.order;
const boardOf = (task) => content.tasks[task].board;
const METRIC_WORTH = [
  ["all", "all"],
  ["vote", "those with a vote in the ranks"],
  ["sound", "those that do not fail their checks"],
  ["informative", "those that tell methods from random here"],
];
const filters = {}; // task -> what is chosen

/** Of families those are kept that are left out: others may come while a run goes on. */
function chosenOf(task) {
  if (!filters[task]) {
    const board = boardOf(task), before = kept[`filters of ${task}`] || { out: [], outKinds: [] };
    const without = (names, out) => new Set(names.filter((name) => !out.includes(name)));
    filters[task] = {
      worth: "all", method: "", metric: "", ...before,
      families: without(familyNames(board), before.out), kinds: without(kindNames(board), before.outKinds),
    };
  }
  return filters[task];
}

function keepChosen(task) {
  const board = boardOf(task), { families, kinds, worth, method, metric } = filters[task];
  const out = familyNames(board).filter((name) => !families.has(name)), outKinds = kindNames(board).filter((name) => !kinds.has(name));
  keep(`filters of ${task}`, { worth, method, metric, out, outKinds });
}

const kindNames = (board) => [...new Set(board.metrics.map((one) => one.metric_family))];
const familyNames = (board) => [...new Set(board.methods.map((one) => familyOf(one)))].sort();
const familyOf = (one) => one.family || (content.about.methods[one.method] || {}).family || "unknown";

function metricShown(one, chosen) {
  if (!chosen.kinds.has(one.metric_family)) return false;
  if (!`${one.metric} ${one.label}`.toLowerCase().includes(chosen.metric.toLowerCase())) return false;
  if (chosen.worth === "vote") return one.rank_weight > 0;
  if (chosen.worth === "sound") return one.conformance !== "fail";
  return chosen.worth !== "informative" || (one.informative !== "no" && one.conformance !== "fail");
}

const methodShown = (one, chosen) =>
  chosen.families.has(familyOf(one)) && one.method.toLowerCase().includes(chosen.method.toLowerCase());

/** Sentences that name the first, those it cannot be told from, and how all stand to the random control. */
function conclusion(board) {
  const lines = ranked(board), explaining = lines.filter((one) => !one.control);
  const first = lines.find((one) => one.first), random = board.methods.find((one) => one.role === "random");
  if (!first) return ["No method has a rank here: no metric has a vote, or no method has all the scores."];
  const n = Math.max(...board.methods.map((one) => one.n || 0));
  const among = explaining.length ? plural(explaining.length, "method") : plural(lines.length, "control");
  const said = [el("b", {}, first.method), ` comes first of ${among} on ${plural(n, "sample")}`];
  const ties = lines.filter((one) => one.ties_first && one !== first), named = (one) => (one.control ? `the control ${one.method}` : one.method);
  said.push(ties.length ? `, and cannot be told apart from ${listed(ties.map(named), 6)}. ` : ", and no other shares its group. ");
  const above = lines.filter((one) => one.control && one.rank < first.rank && !one.ties_first);
  if (above.length) said.push(`Above it: ${listed(above.map(named))}. `);
  if (!random) said.push("There is no random control on this board: nothing says what a rank is worth.");
  else if (!known(random.rank)) said.push(`The random control has no rank (${STATUS[random.status] || random.status}): compare its scores, metric by metric.`);
  else said.push(...againstRandom(explaining, random));
  return said;
}

function againstRandom(explaining, random) {
  const names = (lines) => listed(lines.map((one) => one.method), 6);
  const ties = explaining.filter((one) => one.ties_random), below = explaining.filter((one) => !one.ties_random && one.rank > random.rank);
  const better = explaining.length - ties.length - below.length;
  return [
    `The random control is at place ${figure(random.rank)}${known(random.rank_low) ? ` (${interval(random)})` : ""}: `,
    ties.length + below.length ? `${better} of ${plural(explaining.length, "method")} ${better === 1 ? "is" : "are"} significantly better` : "every method is significantly better",
    ties.length > 0 && `, ${ties.length} cannot be told apart from it (${names(ties)})`, below.length > 0 && `, ${below.length} ${below.length === 1 ? "is" : "are"} significantly worse (${names(below)})`, ".",
  ];
}

function methodCell(task, one) {
  return [
    el("button", { type: "button", class: "name", onclick: () => go("card", task, one.method) }, breakable(one.method)),
    el("span", { class: "under" }, familyOf(one), one.role === "random" && tag("floor", "mark", "what a map of noise reaches"), one.role === "oracle" && tag("truth", "mark", "the truth as a map")),
  ];
}

const interval = (one) => (known(one.rank_low) ? `${figure(one.rank_low)}–${figure(one.rank_high)}` : "");

function rankCell(one, last, width = 88) {
  if (!known(one.rank)) return tag(one.status, "status");
  return el("span", { class: "rank" }, el("b", {}, figure(one.rank)), el("span", { class: "quiet" }, interval(one)),
    whisker(one.rank, one.rank_low, one.rank_high, 1, last, innerWidth < 700 ? 56 : width));
}

function rankTip(one) {
  return [one.method, ["rank", figure(one.rank)], ["95 % interval", range(one.rank_low, one.rank_high) || "none"],
    ["mean rank", `${figure(one.mean_rank)} (${range(one.mean_rank_low, one.mean_rank_high)})`], ["group", one.group || "–"], ["samples", one.n],
    known(one.n_required_vs_best) && ["samples that would tell it from the first on such a board", figure(one.n_required_vs_best)],
    one.ties_first ? "Cannot be told apart from the first." : "", one.ties_random && one.role !== "random" ? "Cannot be told apart from the random control." : "", known(one.rank) ? "" : `No rank: ${one.status}.`];
}

/** Why a method has no rank, in words. */
const STATUS = {
  incomplete: "some scores are missing", skipped: "the task cannot serve it", undefined: "its maps are constant or not finite",
  "not run": "left out of this profile as too slow", complete: "",
};

function ownColumns(task, board) {
  const last = ranked(board).length;
  const families = Object.keys(board.methods[0] || {}).filter((key) => /^mean_rank_(?!.*(low|high)$)/.test(key));
  const means = (families.length > 1 ? families : ["mean_rank"]).filter((key) => board.methods.some((one) => known(one[key])));
  return [
    { key: "method", name: "method", class: "first", value: (one) => one.method, cell: (one) => methodCell(task, one),
      tip: (one) => [one.method, (content.about.methods[one.method] || {}).summary, STATUS[one.status], "Enter opens its card."] },
    { key: "rank", name: "rank", class: "ranks", value: (one) => one.rank, cell: (one) => rankCell(one, last), tip: rankTip,
      about: () => ["rank", "By mean rank over the metrics that have a vote; dot and line are the rank and its 95 % interval, which leaves out those that are significantly better or worse."] },
    { key: "group", name: "group", class: "group", value: (one) => one.group, cell: (one) => one.group || "–",
      tip: (one) => [one.method, ["group", one.group || "–"], "Methods that share a letter cannot be told apart."],
      about: () => ["group", "Methods that share a letter cannot be told apart (paired tests of their ranks on the samples, Holm-corrected)."] },
    ...means.map((key) => ({ key, name: key.replace(/^mean_rank_?/, "") || "mean rank", value: (one) => one[key],
      head: key === "mean_rank" ? "mean rank" : [el("small", {}, "mean rank"), key.slice(10)],
      tip: (one) => [one.method, [spaced(key), figure(one[key])], ["95 % interval", range(one[`${key}_low`], one[`${key}_high`]) || "none"], ["samples", one.n]], about: () => [spaced(key), "Mean of the ranks on the metrics of this family, by their votes."] })),
  ];
}

function metricColumn(board, place) {
  const metric = board.metrics[place], at = (one, field) => board.cells[field][board.methods.indexOf(one)][place];
  const skills = board.methods.map((one) => Math.abs(at(one, "skill") || 0));
  const largest = Math.max(...skills) || 1;
  const certain = (one) => known(at(one, "p_random")) && at(one, "p_random") < 0.05;
  return {
    key: `metric:${metric.metric}`, name: metric.metric, best: metric.higher_is_better ? 1 : -1,
    class: `metric ${metric.exclusion_reason ? "silent" : ""}`, value: (one) => at(one, "mean"),
    head: [el("small", {}, metric.metric_family), breakable(metric.metric), ` ${metric.higher_is_better ? "↑" : "↓"}`, metric.exclusion_reason && metric.metric_family !== "cost" && el("small", { class: "why" }, "no vote")],
    style: (one) => (metric.exclusion_reason || !known(at(one, "skill")) ? {} : tint((at(one, "skill") / largest) * (certain(one) ? 0.75 : 0.12))),
    about: () => [metric.label, (content.about.metrics[metric.metric] || {}).summary, ["better", metric.higher_is_better ? "higher" : "lower"],
      ["checks", metric.conformance || "not known"], ["vote", figure(metric.rank_weight)], known(metric.beats_random) && ["methods above random", `${figure(100 * metric.beats_random)} %`],
      known(metric.n_required_top_two) && ["samples that would tell the first two apart", figure(metric.n_required_top_two)], metric.exclusion_reason && `No vote: ${metric.exclusion_reason}.`],
    tip: (one) => cellTip(one, metric, (field) => at(one, field)),
  };
}

function cellTip(one, metric, at) {
  const better = known(at("superiority")) ? `, better on ${figure(100 * at("superiority"))} % of the samples` : "";
  return [`${one.method} · ${metric.label}`, ["mean", figure(at("mean"), 4)], ["95 % interval", range(at("low"), at("high")) || "none"],
    ["n", figure(at("n"))], ["rank", figure(at("rank"))], known(at("group")) && ["group", at("group")],
    known(at("skill")) && ["skill", `${figure(at("skill"))} (${range(at("skill_low"), at("skill_high"))})`],
    one.role !== "random" && known(at("p_random")) && ["against random", chance(at("p_random")) + better],
    known(at("status")) && at("status") !== "ok" && `Scores: ${at("status")}.`, metric.exclusion_reason && `No vote: ${metric.exclusion_reason}.`];
}

/** Table and filters of a task. */
function boardTable(task) {
  const board = boardOf(task), chosen = chosenOf(task);
  const columns = () => [...ownColumns(task, board), ...board.metrics.flatMap((one, i) => (metricShown(one, chosen) ? [metricColumn(board, i)] : []))];
  const rows = () => board.methods.filter((one) => methodShown(one, chosen));
  const count = (shown) => `${shown.length} of ${plural(board.methods.length, "method")}, ${board.metrics.filter((one) => metricShown(one, chosen)).length} of ${plural(board.metrics.length, "metric")}`;
  const table = grid({ caption: `Leaderboard of ${task}`, columns: columns(), rows: rows(), sort: { key: "rank", direction: "ascending" }, said: count,
    rowClass: (one) => [one.role && "marked", one.ties_first && "ties"].filter(Boolean).join(" ") });
  const again = () => { hideTip(); keepChosen(task); table.show(columns(), rows()); };
  const fields = el("div", { class: "fields" },
    searchBox("Find a method", chosen.method, (text) => { chosen.method = text; again(); }),
    searchBox("Find a metric", chosen.metric, (text) => { chosen.metric = text; again(); }),
    choice("Metrics by their checks", METRIC_WORTH, chosen.worth, (value) => { chosen.worth = value; again(); }));
  return [
    el("details", { class: "filters", open: innerWidth > 700 }, el("summary", {}, "Filters"), fields,
      checks("Families of methods", familyNames(board), chosen.families, again), checks("Families of metrics", kindNames(board), chosen.kinds, again)),
    table.node, boardKey(),
  ];
}

function boardKey() {
  return el("p", { class: "key quiet" },
    el("span", { class: "swatch", style: tint(0.75) }), "better than the random control, ",
    el("span", { class: "swatch", style: tint(-0.75) }), "worse, pale where that may be chance. ",
    el("span", { class: "bar-key" }), "cannot be told apart from the first. Grey columns have no vote in the ranks; hover or focus their heading for why. ",
    "Skill, in the tips: 0 is the random control; 1 is the truth itself where a metric compares with it, elsewhere it counts standard deviations of the scores. ",
    "Arrow keys walk through the table, Enter sorts or opens a card.");
}

/** What the task asks, as its own file says; with `more`, all of it. */
function taskSummary(task, more) {
  const about = content.about.tasks[task];
  if (!about) return null;
  return [el("p", { class: "quiet" }, `${about.summary}.`), more && el("details", { class: "more" }, el("summary", {}, "About this task"),
    el("div", { class: "prose" }, prose(about.about || about.doc)), about.cite && el("p", { class: "quiet" }, "Source: ", source(about.cite)))];
}

/** What each metric asks, with its source. */
function metricsList(board) {
  const told = board.metrics.filter((one) => content.about.metrics[one.metric]);
  if (!told.length) return null;
  return el("details", { class: "more" }, el("summary", {}, "What the metrics ask"), el("dl", { class: "facts" }, told.map((one) => {
    const about = content.about.metrics[one.metric];
    return [el("dt", {}, breakable(one.metric), ` ${one.higher_is_better ? "↑" : "↓"}`), el("dd", {}, `${about.summary}. `, about.cite && el("span", { class: "quiet" }, reference(about.cite)))];
  })));
}

function boardView(task) {
  const board = boardOf(task), lines = ranked(board);
  const charts = lines.length > 1 ? [
    el("section", { class: "half" }, el("h3", {}, "Ranks and their 95 % intervals"),
      el("p", { class: "quiet" }, "Do not read an order into overlapping intervals: the groups say which two can be told apart. Dashed: the random control; squares: controls."), legend(familiesOf(lines)),
      drawn(el("figure", { "aria-label": `Ranks with intervals on ${task}; the same figures are in the table` }), (width) => rankChart(board, width))),
    costs(board).length > 1 && el("section", { class: "half" }, el("h3", {}, `Cost against ${spaced(qualityOf(board)).replace("mean rank ", "")}`),
      el("p", { class: "quiet" }, "Named: methods that none beats in both cost and mean rank, and the random control."), legend(familiesOf(costs(board))),
      drawn(el("figure", { "aria-label": `Seconds per sample against mean rank on ${task}; the same figures are in the table` }), (width) => costChart(board, width))),
  ] : [];
  return [
    taskTabs("board", task), el("h2", {}, `Leaderboard: ${task}`), taskSummary(task, true), el("p", { class: "lead" }, conclusion(board)),
    boardTable(task), metricsList(board), el("div", { class: "halves" }, charts),
  ];
}
