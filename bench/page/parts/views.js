// The views of the page, the address that leads to each (#view/task/...), and what stands around them.

const VIEWS = [["overview", "Overview"], ["board", "Leaderboard"], ["samples", "Samples"], ["agreement", "Agreement"], ["conformance", "Conformance"], ["failures", "Failures"], ["cite", "Reproduce & cite"]];
const OF_TASK = new Set(["board", "samples", "agreement", "card"]);
const main = byId("main");
let shown = []; // the address of the view behind the card
let lastTask = tasks[0];

const link = (...parts) => `#${parts.filter(known).map(encodeURIComponent).join("/")}`;
const go = (...parts) => { location.hash = link(...parts); };

function taskTabs(view, task) {
  if (tasks.length < 2) return null;
  return el("nav", { class: "tabs", "aria-label": "Tasks" }, tasks.map((one) =>
    el("a", { href: link(view, one), "aria-current": one === task ? "page" : null }, one)));
}

// --- overview

const SUMMARY = [
  "Methods that share a group letter are ties: conclude that a method is better than another only where they share no letter, and only for these models and data.",
  "A method that is not significantly better than the random control has shown nothing here, however convincing its maps look.",
];

function runFacts() {
  const run = content.run, [first, last] = content.written.map((moment) => moment.slice(0, 10));
  return facts([
    ["scores written", first === last ? first : `${first} to ${last}`], ["profile", run.profile], ["seed", run.seed], ["device", run.environment],
    ["harness", run.bench && `attribution-bench ${run.bench}`],
    ["methods left out", run.left_out && listed(run.left_out.methods || [], 12)], ["metrics left out", run.left_out && listed(run.left_out.metrics || [], 12)],
    ["tasks not run", listed([...Object.entries(run.skipped_tasks || {}), ...Object.entries(run.failed_tasks || {})].map(([name, why]) => (String(why).startsWith(name) ? why : `${name}: ${why}`)))],
  ]);
}

function taskCard(task) {
  const board = boardOf(task), n = Math.max(...board.methods.map((one) => one.n || 0));
  const votes = board.metrics.filter((one) => one.rank_weight > 0).length;
  return el("article", { class: "taskcard" }, el("h3", {}, el("a", { href: link("board", task) }, task)),
    taskSummary(task), el("p", {}, conclusion(board)),
    el("p", { class: "quiet" }, `${plural(n, "sample")}, ${plural(ranked(board).length, "ranked method")}, ${plural(board.metrics.length, "metric")}, ${votes} with a vote.`));
}

/** Rank of every method on every task. */
function allTasks() {
  const lines = new Map();
  for (const task of tasks) for (const one of boardOf(task).methods) lines.set(one.method, { ...(lines.get(one.method) || { method: one.method, family: familyOf(one), of: {} }) });
  for (const task of tasks) for (const one of boardOf(task).methods) lines.get(one.method).of[task] = one;
  const rows = [...lines.values()].filter((line) => tasks.some((task) => line.of[task] && known(line.of[task].rank)));
  const columns = [
    { key: "method", name: "method", class: "first", value: (line) => line.method, cell: (line) => methodCell(lastTask, { ...line, role: "" }), tip: (line) => [line.method, (content.about.methods[line.method] || {}).summary] },
    ...tasks.map((task) => {
      const last = ranked(boardOf(task)).length;
      return { key: `task:${task}`, name: task, class: "ranks", head: task, value: (line) => line.of[task] && line.of[task].rank,
        cell: (line) => (line.of[task] ? rankCell(line.of[task], last, 56) : "–"), tip: (line) => (line.of[task] ? rankTip(line.of[task]) : [line.method, "not run on this task"]) };
    }),
  ];
  return grid({ caption: "Ranks on all tasks", columns, rows, sort: { key: `task:${tasks[0]}`, direction: "ascending" }, rowClass: (line) => (line.method === "random" ? "marked" : "") }).node;
}

function overviewView() {
  return [
    el("h2", {}, "What was run, and what to conclude"), el("p", { class: "lead" }, SUMMARY.join(" ")), runFacts(),
    el("div", { class: "taskcards" }, tasks.map(taskCard)),
    tasks.length > 1 && [el("h3", {}, "Ranks on all tasks"), el("p", { class: "quiet" }, "Dot and line: rank and 95 % interval over samples. Ranks of different tasks are of different sets of methods and metrics."), allTasks()],
  ];
}

// --- agreement

function tauTable(task) {
  const { order, pairs } = content.tasks[task].beliefs, at = new Map();
  for (const [a, b, ...rest] of pairs) { at.set(`${a}\n${b}`, rest); at.set(`${b}\n${a}`, rest); }
  const rows = order.map((metric) => ({ metric }));
  const tau = (a, b) => (a === b ? 1 : (at.get(`${a}\n${b}`) || [null])[0]);
  const columns = [
    { key: "metric", name: "metric", class: "first line", value: (row) => order.indexOf(row.metric), cell: (row) => row.metric, tip: (row) => [row.metric, (content.about.metrics[row.metric] || {}).summary] },
    ...order.map((metric) => ({
      key: metric, name: metric, best: 1, class: "square", head: el("span", { class: "upright" }, metric), value: (row) => tau(row.metric, metric),
      cell: (row) => (row.metric === metric ? "" : known(tau(row.metric, metric)) ? tau(row.metric, metric).toFixed(1).replace("0.", ".").replace("-.0", ".0") : "–"),
      style: (row) => tint(tau(row.metric, metric) * 0.75),
      tip: (row) => pairTip(row.metric, metric, at.get(`${row.metric}\n${metric}`)),
    })),
  ];
  return grid({ caption: `Kendall's tau of each two metrics on ${task}`, columns, rows, said: (lines) => `${plural(lines.length, "metric")}` }).node;
}

function pairTip(a, b, found) {
  if (a === b) return [a];
  if (!found) return [`${a} · ${b}`, "not compared"];
  const [tau, low, high, chanceTau, n, methods] = found;
  return [`${a} · ${b}`, ["tau", figure(tau)], ["95 % interval", range(low, high) || "none"], ["methods", figure(methods)], ["samples", figure(n)],
    ["by chance below", figure(chanceTau)]];
}

function trustTable(task) {
  const rows = content.tasks[task].beliefs.trust;
  const columns = [
    { key: "metric", name: "metric", class: "first", value: (row) => row.metric, cell: (row) => breakable(row.metric), tip: (row) => [row.metric, row.label] },
    { key: "tau", name: "tau", class: "ranks", best: 1, value: (row) => row.tau, cell: (row) => el("span", { class: "rank tau" }, el("b", {}, row.tau.toFixed(2)), el("span", { class: "quiet" }, known(row.low) ? `${row.low.toFixed(2)} to ${row.high.toFixed(2)}` : ""), whisker(row.tau, row.low, row.high, -1, 1)),
      tip: (row) => [row.metric, ["tau", figure(row.tau)], ["95 % interval", range(row.low, row.high) || "none"], ["methods", figure(row.methods)], ["samples", figure(row.n)], ["by chance below", figure(row.chance)]] },
    { key: "metric_family", name: "family", class: "left", value: (row) => row.metric_family, cell: (row) => row.metric_family },
    { key: "truth_metric", name: "truth", class: "left", value: (row) => row.truth_metric, cell: (row) => breakable(row.truth_metric) },
    { key: "methods", name: "methods", best: 1, value: (row) => row.methods }, { key: "chance", name: "by chance below", value: (row) => row.chance },
  ];
  const truths = [...new Set(rows.map((row) => row.truth_metric))], preferred = truths.includes("mean rank") ? "mean rank" : truths[0];
  const table = grid({ caption: `Kendall's tau of each metric with the truth on ${task}`, columns, rows: rows.filter((row) => row.truth_metric === preferred), sort: { key: "tau", direction: "descending" } });
  const filter = choice("Ground truth", [["", "all"], ...truths.map((one) => [one, spaced(one)])], preferred, (value) => table.show(columns, rows.filter((row) => !value || row.truth_metric === value)));
  return [filter, table.node];
}

function agreementView(task) {
  const { order, trust, alphas } = content.tasks[task].beliefs;
  return [
    taskTabs("agreement", task), el("h2", {}, `Which metric to believe: ${task}`),
    el("p", { class: "lead" }, "Kendall's tau says how far two metrics put the methods in the same order: 1 the same, 0 unrelated, −1 reversed. Agreement is no proof of truth: metrics that share a fault agree as well."),
    trust.length > 0 && [el("h3", {}, "With the ground truth"), el("p", { class: "quiet" }, "The truth is the mean rank over the localisation metrics unless another is chosen."), trustTable(task)],
    el("h3", {}, "With each other"),
    order.length ? [el("p", { class: "quiet" }, el("span", { class: "swatch", style: tint(0.75) }), "same order, ", el("span", { class: "swatch", style: tint(-0.75) }), "reversed. Metrics that agree stand side by side; hover or focus a field for interval and n."), tauTable(task)] : el("p", {}, "Too few methods or metrics to compare."),
    alphas.length > 0 && [el("h3", {}, "Krippendorff's alpha"), el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["family of metrics", "metrics", "methods", "alpha", "95 % interval"].map((text) => el("th", { scope: "col", class: "flat" }, text)))),
      el("tbody", {}, alphas.map((one) => el("tr", {}, el("th", { scope: "row" }, one.family), el("td", {}, one.metrics), el("td", {}, one.methods), el("td", {}, el("b", {}, figure(one.alpha))), el("td", {}, range(one.low, one.high))))))) ],
  ];
}

// --- conformance

function conformanceView() {
  const { steps, changes, lines } = content.conformance;
  if (!lines.length) return [el("h2", {}, "Conformance"), el("p", {}, "No metric has been judged in this results folder: python -m bench check metrics")];
  const step = (name) => ({
    key: name, name, best: 1, class: "step", head: name.split(" > ").flatMap((part, i) => (i ? [el("br"), "> " + part] : [part])), value: (row) => row[name],
    cell: (row) => (known(row[name]) ? row[name].toFixed(2) : "–"), style: (row) => (known(row[name]) ? tint((row[name] - 0.5) * 1.5) : {}),
    tip: (row) => [row.metric, `${name}: the better map is scored better with probability ${figure(row[name])}`] });
  const columns = [
    { key: "metric", name: "metric", class: "first", value: (row) => row.metric, cell: (row) => [el("b", {}, breakable(row.metric)), el("span", { class: "under" }, row.family)], tip: (row) => [row.metric, (content.about.metrics[row.metric] || {}).summary, ["id", row.metric_id]] },
    { key: "verdict", name: "verdict", class: "verdict", value: (row) => row.verdict, cell: (row) => [tag(row.verdict, row.verdict), el("span", { class: "under" }, row.failure_reasons)], tip: (row) => [row.metric, row.verdict, row.failure_reasons] },
    ...steps.map(step),
    { key: "uses_sign", name: "uses sign", class: "left", value: (row) => row.uses_sign, cell: (row) => row.uses_sign || "–" }, { key: "input_shapes", name: "input shapes", class: "left", value: (row) => row.input_shapes, cell: (row) => row.input_shapes || "–" },
    ...changes.map((name) => ({ key: name, name: name === "batch" ? "other batches" : name, value: (row) => row[name], cell: (row) => figure(row[name], 2),
      about: () => [name, "Greatest change of a score, in spreads of the scores, when the map (or the batch) is changed so."] })),
  ];
  const state = { verdict: "", family: "" }, some = (name) => [["", "all"], ...[...new Set(lines.map((row) => row[name]))].sort().map((one) => [one, one])];
  const rows = () => lines.filter((row) => (!state.verdict || row.verdict === state.verdict) && (!state.family || row.family === state.family));
  const table = grid({ caption: "Conformance of the metrics", columns, rows: rows(), sort: { key: "verdict", direction: "ascending" }, said: (kept) => `${kept.length} of ${plural(lines.length, "metric")}`, rowClass: (row) => (row.verdict === "fail" ? "fails" : "") });
  const set = (name) => (value) => { state[name] = value; table.show(columns, rows()); };
  const failed = lines.filter((row) => row.verdict === "fail").length, passed = lines.filter((row) => row.verdict === "pass").length;
  return [
    el("h2", {}, "Conformance: metrics are judged before they judge"),
    el("p", { class: "lead" }, `${passed} of ${lines.length} metrics keep known attributions in the right order; ${failed} fail and have no vote in the ranks.`),
    el("p", { class: "quiet" }, "On small models whose exact attribution is known: the probability that the better of two maps is scored better, 0.5 being chance."),
    el("div", { class: "fields" }, choice("Verdict", some("verdict"), "", set("verdict")), choice("Family", some("family"), "", set("family"))), table.node,
  ];
}

// --- failures

function failuresView() {
  const lines = content.failures, failed = lines.filter((one) => one.status === "failed");
  const tasksNot = [...Object.entries(content.run.failed_tasks || {}), ...Object.entries(content.run.skipped_tasks || {})];
  const columns = [
    { key: "note", name: "message", class: "text first wide-first", value: (row) => row.note, cell: (row) => row.note || "no message" },
    { key: "status", name: "status", class: "left", value: (row) => row.status, cell: (row) => tag(row.status, row.status === "failed" ? "fail" : "status") },
    { key: "task", name: "task", class: "left", value: (row) => row.task, cell: (row) => row.task },
    { key: "methods", name: "methods", class: "text", value: (row) => row.methods.length, cell: (row) => listed(row.methods.map(([name, n]) => `${name} (${n})`), 5), tip: (row) => [plural(row.methods.length, "method"), ...row.methods.map(([name, n]) => [name, plural(n, "sample")])],
      about: () => ["methods", "In brackets: the samples that lack a score."] },
    { key: "metrics", name: "metrics", class: "text", value: (row) => row.metrics.length, cell: (row) => listed(row.metrics, 3), tip: (row) => [plural(row.metrics.length, "metric"), row.metrics.join(", ")] },
    { key: "n", name: "rows", best: 1, value: (row) => row.n },
  ];
  return [
    el("h2", {}, "Scores that are missing, and why"),
    el("p", { class: "lead" }, `${failed.length ? `${plural(failed.length, "kind")} of failure.` : "Nothing failed."} ${plural(lines.length - failed.length, "other reason")} for a missing score: undefined (the map says nothing there) or skipped (the task cannot serve the method).`),
    tasksNot.length > 0 && el("ul", {}, tasksNot.map(([name, why]) => el("li", {}, el("b", {}, name), `: ${why}`))),
    lines.length > 0 && grid({ caption: "Missing scores by reason", columns, rows: lines, said: (rows) => plural(rows.length, "reason") }).node,
  ];
}

// --- reproduce and cite

function citeView() {
  const run = content.run, used = content.used.filter((key) => content.references[key]);
  const block = (label, text) => el("figure", { class: "code" }, el("figcaption", {}, label), el("pre", { tabindex: 0 }, text));
  const prints = Object.entries(run.tasks || {}).map(([name, of]) => [name, `${of.id}, ${plural(of.samples, "sample")}, fingerprint ${of.fingerprint}`]);
  const text = `attribution-bench ${run.bench || ""}, profile ${run.profile || "–"}, seed ${figure(run.seed)}; ${prints.map(([, one]) => one).join("; ")}`;
  return [
    el("h2", {}, "How to reproduce, and how to cite"),
    run.command && block("The command of the last run into this folder", run.command),
    block("The tables, the plots and this page again, from the stored scores in a folder", "python -m bench report --out FOLDER"),
    el("h3", {}, "Versions"), facts([["attribution-bench", run.bench], ...Object.entries(run.versions || {}), ["device", run.environment]]),
    el("h3", {}, "Tasks: weights and settings"), facts(prints),
    block("To cite these results, say what they are of", text),
    block("the benchmark, as BibTeX", `@misc{attributionbench, title={attribution-bench: which attribution method to trust for a model, and how far}, note={Version ${run.bench || "unknown"}}}`),
    el("p", {}, "and the methods, metrics and data that you report:"),
    el("ol", { class: "references" }, used.map((key) => { const one = content.references[key]; return el("li", {}, el("span", {}, one.text), " ", one.link && el("a", { href: one.link, rel: "noreferrer" }, one.link.replace("https://", ""))); })),
    el("details", {}, el("summary", {}, "All of them as BibTeX"), block("BibTeX", used.map((key) => content.references[key].bibtex).join("\n"))),
    el("p", { class: "quiet" }, "Charts: Observable Plot and D3, by Observable and Mike Bostock, ISC licence."),
  ];
}

// --- addresses

const DRAW = { overview: overviewView, board: boardView, samples: samplesView, agreement: agreementView, conformance: conformanceView, failures: failuresView, cite: citeView };

function address() {
  const parts = location.hash.slice(1).split("/").map((part) => { try { return decodeURIComponent(part); } catch { return ""; } });
  const view = Object.hasOwn(DRAW, parts[0]) || (parts[0] === "card" && known(parts[2])) ? parts[0] : "overview";
  if (OF_TASK.has(view) && !tasks.includes(parts[1])) parts[1] = lastTask;
  return [view, ...parts.slice(1)];
}

function drawView(view, ...rest) {
  hideTip();
  const asked = [view, ...rest].filter(known), same = link(...shown.slice(0, 2)) === link(...asked.slice(0, 2));
  if (link(...asked) === link(...shown)) return;
  const first = !shown.length;
  const active = document.activeElement, trail = same && active && active.closest && active.closest("a.map, a.thumb") && active.getAttribute("href");
  shown = asked;
  main.replaceChildren(...DRAW[view](...rest).flat(Infinity).filter(Boolean));
  const title = main.querySelector("h2");
  document.title = `${title.textContent} – attribution benchmark`;
  if (!same && !first) { // the reader, and who reads the page aloud, goes on at the top of what is new
    scrollTo(0, 0);
    title.tabIndex = -1;
    title.focus({ preventScroll: true });
  } else if (trail) [...main.querySelectorAll("a.map, a.thumb")].find((one) => one.getAttribute("href") === trail)?.focus({ preventScroll: true });
  const walk = trail && active.matches("a.map") && innerWidth <= 1000 && main.querySelector(".walk"); // it is below all maps there
  if (walk) walk.scrollIntoView({ block: "start" });
}

const views = byId("views");
views.append(...VIEWS.map(([view, title]) => el("a", { "data-view": view }, title)));
const withSamples = (task) => [task, ...tasks].find(hasSamples) || task;

/** The links to the views lead to the task that was looked at last, and say which view it is. */
function navigation(current) {
  for (const one of views.children) {
    const { view } = one.dataset;
    one.href = OF_TASK.has(view) ? link(view, view === "samples" ? withSamples(lastTask) : lastTask) : link(view);
    if (view === current) { one.setAttribute("aria-current", "page"); views.scrollLeft = one.offsetLeft - (views.clientWidth - one.offsetWidth) / 2; } else one.removeAttribute("aria-current");
  }
}

function route() {
  const [view, ...rest] = address();
  if (OF_TASK.has(view)) [lastTask] = rest;
  if (view === "card") {
    const over = shown.length > 0;
    if (!over) { navigation("board"); drawView("board", rest[0]); }
    openCard(rest[0], rest[1], over);
    return;
  }
  if (card.open) card.close();
  navigation(view);
  drawView(view, ...rest);
}

/** The address goes back to what is behind the card. */
function afterCard() {
  if (!location.hash.startsWith("#card")) return;
  if (over) history.back(); else history.replaceState(null, "", link(...shown));
}

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); }); // the address is the view's

// --- light and dark

const theme = byId("theme");
const prefers = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (prefers.matches ? "dark" : "light")) === "dark";
if (kept.theme) document.documentElement.dataset.theme = kept.theme;
function namedTheme() { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`); }
theme.addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; keep("theme", document.documentElement.dataset.theme); namedTheme(); });
prefers.addEventListener("change", namedTheme);

byId("foot").append("Made by attribution-bench from stored scores; the same store gives the same page. No network is used.");
namedTheme();
addEventListener("hashchange", route);
route();
