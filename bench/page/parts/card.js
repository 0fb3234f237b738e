// The card of a method: what it is, how it ranks, its best and worst metrics, and its maps.

const card = byId("card");

/** Text as paragraphs; indented ones are formulas and keep their spaces. */
function prose(text) {
  return String(text)
    .split(/\n\s*\n/)
    .filter((part) => part.trim())
    .map((part) =>
      /^ {2,}/.test(part)
        ? el("pre", { class: "formula", tabindex: 0 }, part.replace(/^ {4}/gm, ""))
        : el("p", {}, withCitations(part.trim())),
    );
}

/** Text in which [key] links to the reference. */
function withCitations(text) {
  return text.split(/(\[[a-z]+\d{4}[a-z0-9]*\])/).map((part) => {
    const key = part.slice(1, -1);
    return part.startsWith("[") && content.references[key] ? citation(key) : part;
  });
}

/** The key of a reference, linked where the reference has an address. */
function citation(key) {
  const { text, link: address } = content.references[key] || {};
  return address ? el("a", { href: address, rel: "noreferrer", title: text }, key) : el("span", { title: text }, key);
}

/** A reference in full, with its link. */
function reference(key) {
  const entry = content.references[key];
  return entry
    ? el("span", {}, entry.text, " ", entry.link && el("a", { href: entry.link, rel: "noreferrer" }, key))
    : el("span", {}, key);
}

/** Hyper-parameters from the stored id, `name@1[a=1,b=2]`, else the defaults. */
function hyperparameters(row, about) {
  const [, inId] = /\[(.*)\]$/.exec(row.method_id || "") || [];
  if (inId) return inId.replaceAll(",", ", ").replaceAll("=", " = ");
  return about && about.params.length ? about.params.map(([name, value]) => `${name} = ${value}`).join(", ") : "none";
}

const passes = (count, kind) => `${format(count)} ${kind} ${count === 1 ? "pass" : "passes"}`;

const COST_TEXT = {
  seconds: (value) => `${format(value)} s`,
  forward_queries: (value) => passes(value, "forward"),
  backward_queries: (value) => passes(value, "backward"),
  peak_memory: (value) => `peak memory ${format(value)} MiB`,
};

/** The measured cost of the map of one sample. */
function measuredCost(task, name) {
  const board = boardOf(task),
    line = board.methods.findIndex((row) => row.method === name);
  if (line < 0) return "";
  const score = (metric) => board.scores.mean[line][board.metrics.findIndex((each) => each.metric === metric)];
  return Object.keys(COST_TEXT)
    .filter((metric) => hasValue(score(metric)))
    .map((metric) => COST_TEXT[metric](score(metric)))
    .join(", ");
}

/** The properties of every map of the method that the tests check. */
const promisedProperties = (about) => about.promises.map((name) => content.promises[name] || name).join("; ");

function standingRow(task, name) {
  const board = boardOf(task),
    row = board.methods.find((each) => each.method === name);
  if (!row) return null;
  const last = ranked(board).length;
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("a", { href: link("board", task) }, task)),
    el("td", {}, rankCell(task, row, last)),
    el("td", {}, hasValue(row.rank) ? String(last) : ""),
    el("td", {}, topGroupCell(row)),
    el("td", {}, randomCell(row)),
    el("td", { class: "quiet reason" }, hasValue(row.rank) ? "" : statusText(task, row)),
  );
}

const STANDING_HEADINGS = [
  ["task"],
  ["rank, 95 % interval", "rank interval"],
  ["of"],
  ["top group", "top group"],
  ["beats random", "beats random"],
  [""],
];

function standings(name) {
  const headings = STANDING_HEADINGS.map(([text, key]) =>
    el("th", { scope: "col", class: "flat" }, key ? term(key, text) : text),
  );
  return [
    el("h3", {}, "Rank on each task"),
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        { class: "standings" },
        el("thead", {}, el("tr", {}, headings)),
        el(
          "tbody",
          {},
          tasks.map((task) => standingRow(task, name)),
        ),
      ),
    ),
  ];
}

/** The metrics that count in the rank of a task, by the rank of the method; one of each redundancy group. */
function metricRanks(task, name) {
  const board = boardOf(task),
    line = board.methods.findIndex((row) => row.method === name);
  if (line < 0) return [];
  const field = (key, i) => board.scores[key][line][i];
  return board.metrics
    .map((metric, i) => ({
      metric,
      rank: field("rank", i),
      skill: field("skill", i),
      low: field("skill_low", i),
      high: field("skill_high", i),
      of: board.scores.rank.filter((ranks) => hasValue(ranks[i])).length,
    }))
    .filter(({ metric, rank }) => counted(metric) && metric.redundancy_group === metric.metric && hasValue(rank))
    .sort((a, b) => a.rank - b.rank || (b.skill || 0) - (a.skill || 0));
}

function metricRankList(title, entries) {
  return el(
    "section",
    {},
    el("h4", {}, title),
    el(
      "ul",
      { class: "plainlist" },
      entries.map(({ metric, rank, of, skill, low, high }) =>
        el(
          "li",
          {},
          el("b", {}, metric.metric),
          ` rank ${format(rank)} of ${of}`,
          hasValue(skill) && el("span", { class: "quiet" }, `, skill ${withRange(skill, low, high)}`),
        ),
      ),
    ),
  );
}

function bestAndWorst(task, name) {
  const entries = metricRanks(task, name),
    count = Math.min(4, Math.floor(entries.length / 2));
  if (!count) return null;
  return [
    el(
      "p",
      { class: "quiet" },
      "Of the metrics that ",
      term("counts in the rank", "count in the rank"),
      "; of those that are nearly the same, one. In brackets: the 95 % interval of the ",
      term("skill"),
      ".",
    ),
    el(
      "div",
      { class: "halves" },
      metricRankList("Best metrics", entries.slice(0, count)),
      metricRankList("Worst metrics", entries.slice(-count).reverse()),
    ),
  ];
}

function cardCurves(task, name) {
  return Object.entries(boardOf(task).curves)
    .filter(([, curve]) => curve.p[name])
    .map(([metric, curve]) => {
      const lines = [...new Set([name, "random"])]
        .filter((method) => curve.p[method])
        .map((method) => ({ name: method, share: curve.share, p: curve.p[method] }));
      const verb = metric === "deletion" ? "removed" : "restored";
      return el(
        "figure",
        { class: "curve" },
        el("figcaption", {}, `Mean ${metric} curve${name === "random" ? "" : "; grey: the random control"}`),
        drawToWidth(el("div"), (width) => curveChart(lines, width, { verb })),
      );
    });
}

/** The maps on the task, or on the first task that has some. */
function cardMaps(task, name) {
  const source = [task, ...tasks].find(
    (each) => hasSamples(each) && samplesOf(each).some((sample) => hasMap(sample, name)),
  );
  if (!source) return null;
  const maps = samplesOf(source).map(
    (sample, i) =>
      hasMap(sample, name) &&
      el(
        "a",
        { class: "map", href: link("samples", source, i, name) },
        mapPicture(sample, name),
        el("span", {}, sample.explained),
      ),
  );
  return el(
    "section",
    {},
    el("h3", {}, source === task ? "Maps" : `Maps on ${source} (none are stored for ${task})`),
    el("div", { class: "maps" }, maps),
  );
}

function cardResults(task, name) {
  const metrics = bestAndWorst(task, name),
    curves = cardCurves(task, name);
  if (!metrics && !curves.length) return null;
  return [el("h3", {}, `Results on ${task}`), metrics, el("div", { class: "halves" }, curves)];
}

function cardBody(task, name) {
  const row = boardOf(task).methods.find((each) => each.method === name) || { method: name };
  const about = content.descriptions.methods[name];
  return [
    el(
      "header",
      {},
      el("h2", { id: "card-title", tabindex: -1, autofocus: true }, breakable(name)),
      el("button", { type: "button", class: "plain", onclick: () => card.close() }, "Close"),
    ),
    about
      ? [
          el("p", { class: "lead" }, `${about.summary}.`),
          el("section", { class: "prose" }, prose(about.about || about.doc)),
        ]
      : el(
          "p",
          { class: "quiet" },
          row.method_family === "given maps"
            ? "Maps that were made elsewhere and given to the run."
            : "No description: the file of this method was not loaded when the page was written. To load it: python -m bench report --plugins FILE",
        ),
    facts([
      ["family", familyOf(row)],
      ["hyper-parameters", hyperparameters(row, about)],
      ["cost class", about && about.cost],
      [`cost per sample on ${task}`, measuredCost(task, name)],
      ["source", about && about.cite && reference(about.cite)],
      ["guaranteed properties", about && promisedProperties(about)],
      [`checked on ${task}`, (exactnessOf(task, row) || {}).note],
      ["id", row.method_id],
      ["scores from", row.scores_from],
      ["version", row.outdated === "yes" && outdatedText(about)],
    ]),
    standings(name),
    cardResults(task, name),
    cardMaps(task, name),
  ];
}

let cardIsOverlay = false; // over a view of this page, to which the browser's Back button returns

function openCard(task, name, isOverlay) {
  hideTip();
  cardIsOverlay = isOverlay;
  card.replaceChildren(...cardBody(task, name).flat(Infinity).filter(Boolean));
  if (!card.open) card.showModal();
  card.scrollTop = 0;
}

card.addEventListener("close", () => {
  hideTip();
  leaveCard();
});
card.addEventListener("click", (event) => {
  if (event.target === card) card.close();
}); // a click beside the card
