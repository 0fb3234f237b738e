// What a board says in words: who is first, what cannot be distinguished from it, and what beats the random control.

const content = readJson("content");
const { tasks } = content;
const boardOf = (task) => content.boards[task];
const ranked = (board) => board.methods.filter((row) => hasValue(row.rank));
const familyOf = (row) => row.method_family || (content.descriptions.methods[row.method] || {}).family || "unknown";
const namesOf = (rows) => rows.map((row) => row.method);
const isOrAre = (count) => (count === 1 ? "is" : "are");

/** Why a row of a board has no rank. */
const STATUS = {
  incomplete: "some scores are missing",
  skipped: "the method does not apply to this task",
  undefined: "its maps are constant or not finite",
  "not run": "too slow for the profile of this run",
};

/** The stored messages for the scores that a method lacks on a task; those about the fewest methods first. */
function notesOf(task, method) {
  const concerns = (entry) => entry.task === task && entry.methods.some(([name]) => name === method);
  const entries = content.missing.filter((entry) => concerns(entry) && hasValue(entry.note));
  return entries.sort((a, b) => a.methods.length - b.methods.length).map((entry) => entry.note);
}

function statusText(task, row) {
  const [note] = notesOf(task, row.method);
  return [STATUS[row.status] || row.status, note].filter(Boolean).join(": ");
}

/** Sentences at the top of a board. */
function conclusion(task) {
  const board = boardOf(task),
    rows = ranked(board),
    first = rows.find((row) => row.is_first);
  if (!first)
    return ["No method is ranked: no metric counts in the rank on this task, or no method has all of the scores."];
  const methods = rows.filter((row) => !row.is_control),
    above = rows.filter((row) => row.is_control && row.rank < first.rank);
  return [
    el("b", {}, first.method),
    ` ranks first of ${first.is_control ? plural(rows.length, "control") : plural(methods.length, "method")} on ${plural(first.n_samples, "sample")}. `,
    ...tiesWithFirst(methods, first),
    ...controlsAbove(above),
    ...againstRandom(task, methods),
  ];
}

function tiesWithFirst(methods, first) {
  const ties = methods.filter((row) => row.top_group === "yes" && row !== first);
  if (methods.length < 2) return [];
  if (!ties.length) return ["Every other method is significantly worse. "];
  if (ties.length === methods.length - 1) return ["No other method can be distinguished from it. "];
  const verb = ties.length === 1 ? "is" : "are";
  return [
    `${plural(ties.length, "other method")} cannot be distinguished from it and ${verb} in the `,
    term("top group"),
    ": ",
    expandableList(namesOf(ties)),
    ". ",
  ];
}

function controlsAbove(rows) {
  if (!rows.length) return [];
  const names = rows.map((row) => (row.method === "oracle" ? "oracle, the ground truth used as a map" : row.method));
  return [
    rows.length === 1 ? "The first row of the table is a " : `The first ${rows.length} rows of the table are `,
    term("control", rows.length === 1 ? "control" : "controls"),
    `: ${names.join("; ")}. `,
  ];
}

function againstRandom(task, methods) {
  const random = boardOf(task).methods.find((row) => row.method === "random");
  if (!random) {
    return [
      "The random control was not run, so the board does not show whether a method is better than a map of noise.",
    ];
  }
  if (!hasValue(random.rank)) return [`The random control has no rank (${statusText(task, random)}).`];
  const having = (value) => methods.filter((row) => row.vs_random === value);
  const better = having("better"),
    worse = having("worse"),
    unclear = having("indistinguishable");
  const rank = `rank ${format(random.rank)} of ${ranked(boardOf(task)).length}`;
  const interval = hasValue(random.rank_low)
    ? ` (95 % interval ${formatRange(random.rank_low, random.rank_high)})`
    : "";
  if (unclear.length === methods.length) {
    return [`No method can be distinguished from the random control, which has ${rank}${interval}.`];
  }
  const others = (rows, text) => rows.length > 0 && [`; ${rows.length} ${text} (`, expandableList(namesOf(rows)), ")"];
  return [
    `${better.length} of ${plural(methods.length, "method")} ${isOrAre(better.length)} significantly better than the random control, `,
    `which has ${rank}${interval}`,
    others(unclear, "cannot be distinguished from it"),
    others(worse, `${isOrAre(worse.length)} significantly worse`),
    ".",
  ];
}

/** How many neighbours in the ranking differ significantly. */
function resolution(board) {
  const { pairs, distinguishable } = board.adjacent;
  if (!pairs) return "";
  const share = Math.round((100 * distinguishable) / pairs);
  return `${distinguishable} of ${plural(pairs, "adjacent pair")} in the ranking can be distinguished (${share} %); the order within the others may be chance.`;
}

/** How many rows are methods, controls, or without a rank, and how many metrics count. */
function counts(board) {
  const rows = ranked(board),
    controls = rows.filter((row) => row.is_control).length,
    without = board.methods.length - rows.length,
    origins = new Set(board.methods.map((row) => row.scores_from).filter(Boolean)),
    beside = board.methods.filter((row) => row.scores_from).length;
  const counted = board.metrics.filter((metric) => metric.rank_weight > 0).length;
  return [
    `${plural(rows.length - controls, "method")} and ${plural(controls, "control")} are ranked`,
    without > 0 && `, ${plural(without, "row")} ${without === 1 ? "has" : "have"} no rank`,
    `. ${counted} of ${plural(board.metrics.length, "metric")} ${counted === 1 ? "counts" : "count"} in the rank.`,
    beside > 0 && ` ${plural(beside, "row")} marked "beside": scores from ${[...origins].join(", ")}.`,
  ];
}

// --- marks in tables

function methodCell(task, row) {
  return [
    el("button", { type: "button", class: "name", onclick: () => go("card", task, row.method) }, breakable(row.method)),
    el(
      "span",
      { class: "under" },
      familyOf(row),
      exactnessChip(task, row),
      row.scores_from && badge("beside", "", originText(row)),
      row.outdated === "yes" && badge("older version", "warn", outdatedText(content.descriptions.methods[row.method])),
    ),
  ];
}

/** What checks of the method on the task's network found (`bench check --task`), or null. */
const exactnessOf = (task, row) => (!row.is_control && content.exactness[task][row.method_id]) || null;

function exactnessChip(task, row) {
  const found = exactnessOf(task, row);
  return found && badge(found.chip, `exactness ${found.kind.replaceAll(" ", "-")}`, found.note);
}

/** What the chip means, as a line of a tooltip or a card. */
const exactnessText = (task, row) => {
  const found = exactnessOf(task, row);
  return found && `On this network: ${found.note}`;
};

const originText = (row) => `Scores from ${row.scores_from}. Costs were measured elsewhere and are not compared.`;

const outdatedText = (about) =>
  `Scored with an earlier version; the installed version is ${about ? about.version : "newer"}. Run it again to update the scores.`;

const rankInterval = (row) => (hasValue(row.rank_low) ? `${format(row.rank_low)}–${format(row.rank_high)}` : "");

function rankCell(task, row, last, width = 88) {
  if (!hasValue(row.rank)) return badge(row.status, "status", statusText(task, row));
  return el(
    "span",
    { class: "rank" },
    el("b", {}, format(row.rank)),
    el("span", { class: "quiet" }, rankInterval(row)),
    whisker(row.rank, row.rank_low, row.rank_high, 1, last, innerWidth < 700 ? 56 : width),
  );
}

function topGroupCell(row) {
  return (
    { yes: el("span", { class: "mark yes" }, "✓ yes"), no: el("span", { class: "quiet" }, "no") }[row.top_group] || "–"
  );
}

function randomCell(row) {
  return (
    {
      better: el("span", { class: "mark yes" }, "✓ yes"),
      worse: el("span", { class: "mark no" }, "✗ worse"),
      indistinguishable: el("span", { class: "quiet" }, "unclear"),
    }[row.vs_random] || "–"
  );
}

const VS_RANDOM = {
  better: "Significantly better than the random control.",
  worse: "Significantly worse than the random control.",
  indistinguishable: "Cannot be distinguished from the random control.",
};

function rankTip(task, row) {
  if (!hasValue(row.rank)) return [row.method, `No rank: ${statusText(task, row)}.`];
  return [
    row.method,
    ["rank", format(row.rank)],
    ["95 % interval", formatRange(row.rank_low, row.rank_high) || "none"],
    ["mean rank", withRange(row.mean_rank, row.mean_rank_low, row.mean_rank_high)],
    ["group letters", row.group || "–"],
    ["samples", row.n_samples],
    hasValue(row.n_required_vs_best) && [
      "samples needed to distinguish it from the first",
      format(row.n_required_vs_best),
    ],
    row.top_group === "yes" ? "In the top group." : "",
    VS_RANDOM[row.vs_random],
  ];
}
