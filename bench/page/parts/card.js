// A method's card: what it is, where it stands, where it wins and loses, and its maps.

const card = byId("card");

/** Text with paragraphs; indented ones, formulas, keep their spaces. */
function prose(text) {
  return String(text).split(/\n\s*\n/).filter((part) => part.trim()).map((part) =>
    (/^ {2,}/.test(part) ? el("pre", { class: "formula", tabindex: 0 }, part.replace(/^ {4}/gm, "")) : el("p", {}, cites(part.trim()))));
}

/** Text in which [key] leads to the reference. */
function cites(text) {
  return text.split(/(\[[a-z]+\d{4}[a-z0-9]*\])/).map((part) => {
    const key = part.slice(1, -1), found = part.startsWith("[") && content.references[key];
    return found ? reference(key) : part;
  });
}

function reference(key) {
  const found = content.references[key];
  if (!found) return el("span", {}, key);
  return found.link ? el("a", { href: found.link, rel: "noreferrer", title: found.text }, key) : el("span", { title: found.text }, key);
}

/** A reference in full, with its link. */
function source(key) {
  const found = content.references[key];
  return found ? el("span", {}, found.text, " ", found.link && el("a", { href: found.link, rel: "noreferrer" }, key)) : el("span", {}, key);
}

function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.filter(([, value]) => known(value)).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** Hyper-parameters as the store's id has them: `name@1[a=1,b=2]`. */
function settings(one, about) {
  const inside = /\[(.*)\]$/.exec(one.method_id || "");
  if (inside) return inside[1].replaceAll(",", ", ").replaceAll("=", " = ");
  return about && about.params.length ? about.params.map(([name, value]) => `${name} = ${value}`).join(", ") : "none";
}

const COSTS = {
  seconds: (value) => `${figure(value)} s`, forward_queries: (value) => `${figure(value)} forward`, backward_queries: (value) => `${figure(value)} backward`,
  peak_memory: (value) => `${figure(value)} MiB at most`,
};

/** What an explanation of a sample was measured to cost. */
function measured(task, name) {
  const board = boardOf(task), line = board.methods.findIndex((one) => one.method === name);
  const found = Object.keys(COSTS).map((metric) => [metric, line < 0 ? null : board.cells.mean[line][board.metrics.findIndex((one) => one.metric === metric)]]);
  return found.filter(([, value]) => known(value)).map(([metric, value]) => COSTS[metric](value)).join(", ");
}

/** What every map of the method holds to, as tests check. */
const promised = (about) => about.promises.map((name) => content.promises[name] || name).join("; ");

function placeRow(task, name) {
  const board = boardOf(task), one = board.methods.find((line) => line.method === name);
  if (!one) return null;
  const last = ranked(board).length;
  const ties = [one.ties_first && !one.first && "the first", one.ties_random && one.role !== "random" && "the random control"].filter(Boolean);
  const tie = ties.length ? `cannot be told apart from ${ties.join(" and ")}` : "";
  return el("tr", {}, el("th", { scope: "row" }, el("a", { href: link("board", task) }, task)), el("td", {}, rankCell(one, last)),
    el("td", {}, known(one.rank) ? String(last) : STATUS[one.status] || ""), el("td", {}, one.group || "–"), el("td", { class: "quiet" }, tie));
}

/** Metrics of a task by the method's rank; left out: those without a vote, those it was not scored on, and all but the first of those that say the same. */
function skills(task, name) {
  const board = boardOf(task), line = board.methods.findIndex((one) => one.method === name);
  if (line < 0) return [];
  return board.metrics.map((metric, i) => ({ task, metric, rank: board.cells.rank[line][i], skill: board.cells.skill[line][i],
    low: board.cells.skill_low[line][i], high: board.cells.skill_high[line][i], of: ranked(board).length }))
    .filter((one) => !one.metric.exclusion_reason && one.metric.redundancy_group === one.metric.metric && known(one.rank)).sort((a, b) => a.rank - b.rank || (b.skill || 0) - (a.skill || 0));
}

function skillList(title, lines) {
  if (!lines.length) return null;
  return el("section", {}, el("h4", {}, title), el("ul", { class: "plainlist" }, lines.map((one) =>
    el("li", {}, el("b", {}, one.metric.metric), ` rank ${figure(one.rank)} of ${one.of}`, el("span", { class: "quiet" }, known(one.skill) ? `, skill ${figure(one.skill)} (${range(one.low, one.high)})` : "")))));
}

function winsAndLosses(task, name) {
  const lines = skills(task, name), half = Math.min(4, Math.floor(lines.length / 2));
  if (!half) return null;
  return el("div", { class: "halves" }, skillList("Its best metrics", lines.slice(0, half)), skillList("Its worst", lines.slice(-half).reverse()));
}

function cardCurves(task, name) {
  const curves = boardOf(task).curves;
  return Object.entries(curves).filter(([, of]) => of.p[name]).map(([metric, of]) => {
    const lines = [...new Set([name, "random"])].filter((one) => of.p[one]).map((one) => ({ name: one, share: of.share, p: of.p[one] }));
    const what = metric === "deletion" ? "removed" : "put back";
    return el("figure", { class: "curve" }, el("figcaption", {}, `Mean ${metric} curve${name === "random" ? "" : "; grey: the random control"}`),
      drawn(el("div"), (width) => curveChart(lines, width, { what })));
  });
}

/** Of the task, or of the first that has some. */
function cardMaps(task, name) {
  const own = (one) => hasSamples(one) && samplesOf(one).some((sample) => sample.methods[name]), where = [task, ...tasks].find(own);
  if (!where) return null;
  return el("section", {}, el("h3", {}, where === task ? "Its maps" : `Its maps on ${where}; of ${task} none are kept`), el("div", { class: "maps" }, samplesOf(where).map((one, i) => one.methods[name] &&
    el("a", { class: "map", href: link("samples", where, i, name) }, mapPicture(one, name), el("span", {}, one.explained)))));
}

function cardBody(task, name) {
  const one = boardOf(task).methods.find((line) => line.method === name) || { method: name };
  const about = content.about.methods[name];
  const places = tasks.map((other) => placeRow(other, name)).filter(Boolean);
  return [
    el("header", {}, el("h2", { id: "card-title", tabindex: -1, autofocus: true }, breakable(name)), el("button", { type: "button", class: "plain", onclick: () => card.close() }, "Close")),
    about ? [el("p", { class: "lead" }, `${about.summary}.`), el("section", { class: "prose" }, prose(about.about || about.doc))]
      : el("p", { class: "quiet" }, "No description: the method's file was not loaded when this page was written (python -m bench report --plugins FILE)."),
    facts([["family", familyOf(one)], ["hyper-parameters", settings(one, about)], ["cost class", about && about.cost], [`cost of a map of ${task}`, measured(task, name)], ["source", about && about.cite && source(about.cite)],
      ["holds for every map", about && promised(about)], ["id", one.method_id], [`status on ${task}`, one.status && `${one.status}${STATUS[one.status] ? `: ${STATUS[one.status]}` : ""}`]]),
    el("h3", {}, "Where it stands"), el("div", { class: "scroll" }, el("table", { class: "places" },
      el("thead", {}, el("tr", {}, ["task", "rank, 95 % interval", "of", "group", ""].map((text) => el("th", { scope: "col", class: "flat" }, text)))), el("tbody", {}, places))),
    el("h3", {}, `On ${task}`), winsAndLosses(task, name), el("div", { class: "halves" }, cardCurves(task, name)), cardMaps(task, name),
  ];
}

let over = false; // the card lies over a view of this page, to which the browser's way back leads

function openCard(task, name, overView) {
  hideTip();
  over = overView;
  card.replaceChildren(...cardBody(task, name).flat().filter(Boolean));
  if (!card.open) card.showModal();
  card.scrollTop = 0;
}

card.addEventListener("close", () => { hideTip(); afterCard(); });
card.addEventListener("click", (event) => { if (event.target === card) card.close(); }); // beside the card
