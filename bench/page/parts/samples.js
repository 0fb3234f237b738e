// Samples: the input, the maps of all methods side by side, and the perturbed inputs along the deletion and insertion curves.

function sampleFacts(sample) {
  return facts([
    ["sample", sample.id],
    ["explained class", sample.explained],
    ["true class", sample.label],
    ["output p for the explained class", format(sample.probability)],
    ["size", sample.shape.join(" × ")],
    ["baseline", sample.baseline_known ? null : "not stored with these maps; removed features are drawn as 0"],
  ]);
}

function sampleChooser(task, index, method) {
  return el(
    "div",
    { class: "thumbs", role: "group", "aria-label": "Choose a sample" },
    samplesOf(task).map((sample, i) =>
      el(
        "a",
        {
          class: "thumb",
          href: link("samples", task, i, method),
          "aria-current": i === index ? "true" : null,
          title: sample.id,
        },
        inputPicture(sample),
        el(
          "span",
          {},
          sample.explained,
          sample.explained !== sample.label && el("em", {}, ` (true class ${sample.label})`),
        ),
      ),
    ),
  );
}

function omittedText(task) {
  const { stored, included } = content.samples[task],
    omitted = stored - included;
  return omitted > 0
    ? ` ${plural(omitted, "more stored sample")} did not fit into this file; plots/${task}_gallery.png shows all of them.`
    : "";
}

const methodsOnBoard = (task, sample) => namesOf(boardOf(task).methods).filter((name) => sample.methods[name]);

function allMaps(task, sample, index, method) {
  const rank = (name) => boardOf(task).methods.find((row) => row.method === name).rank;
  return el(
    "div",
    { class: "maps", role: "group", "aria-label": "Maps in the order of the leaderboard" },
    methodsOnBoard(task, sample).map((name) =>
      el(
        "a",
        {
          class: "map",
          href: link("samples", task, index, name),
          "aria-current": name === method ? "true" : null,
          "data-method": name,
        },
        mapPicture(sample, name),
        el(
          "span",
          {},
          hasValue(rank(name)) && el("span", { class: "quiet" }, `${format(rank(name))} `),
          breakable(name),
        ),
      ),
    ),
  );
}

/** The steps shown as small pictures. */
const frameSteps = (last) => [...new Set([0, 1, 2, 4, 7, 10, 14, last].filter((step) => step <= last))];

/** The deletion and insertion curves of one map: `shares` of features, and p and the picture at a step. */
function curvesOf(sample, name) {
  const map = sample.methods[name],
    features = sample.shape.reduce((a, b) => a * b, 1),
    last = Math.min(20, features);
  const curve = (restore) => (restore ? map.insertion : map.deletion);
  return {
    last,
    curve,
    shares: Array.from({ length: last + 1 }, (_, i) => Math.floor((i * features) / last) / features),
    p: (step, restore) => (curve(restore) ? curve(restore)[step] : null),
    picture: (step, restore) => stepPicture(sample, name, step, restore),
  };
}

const CURVES = [
  ["remove", "deletion: remove features, highest attribution first"],
  ["restore", "insertion: restore features, highest attribution first"],
];

/** Perturbed inputs of one map, with a slider along its curve. */
function perturbation(task, sample, name) {
  if (!sample.methods[name] || !sample.methods[name].order)
    return el("p", { class: "quiet" }, `${name} has no map for this sample.`);
  const curves = curvesOf(sample, name),
    state = { step: Math.min(4, curves.last), restore: false, width: 0 };
  const picture = el("div", { class: "stage" }),
    status = el("output", { class: "status" }),
    chart = el("div", { class: "curve" }),
    strip = el("div", { class: "strip" });
  const slider = el("input", {
    type: "range",
    min: 0,
    max: curves.last,
    step: 1,
    value: state.step,
    "aria-label": `Step along the curve of ${name}`,
    oninput: () => goTo(Number(slider.value)),
  });
  function goTo(step) {
    state.step = step;
    slider.value = step;
    const p = curves.p(step, state.restore),
      verb = state.restore ? "restored" : "removed",
      at = { share: curves.shares[step], p };
    picture.replaceChildren(curves.picture(step, state.restore));
    status.textContent = `${format(100 * at.share)} % of the features ${verb}: p = ${format(p)}`;
    const line = { name, share: curves.shares, p: curves.curve(state.restore) };
    if (state.width && line.p) chart.replaceChildren(curveChart([line], state.width, { verb, at }));
  }
  function setDirection(value) {
    state.restore = value === "restore";
    strip.replaceChildren(...frames(curves, state.restore, goTo));
    goTo(state.step);
  }
  drawToWidth(chart, (width) => {
    state.width = width;
    goTo(state.step);
    return chart.firstChild || "";
  });
  setDirection("remove");
  return el(
    "section",
    { class: "perturbation", "data-method": name },
    el(
      "h3",
      {},
      "Perturbed inputs of ",
      el("button", { type: "button", class: "name", onclick: () => go("card", task, name) }, name),
    ),
    selectField("Curve", CURVES, "remove", setDirection),
    el("div", { class: "stages" }, el("div", {}, picture, slider, status), chart),
    strip,
  );
}

/** Small pictures of some steps; each leads to its step. */
function frames(curves, restore, goTo) {
  return frameSteps(curves.last).map((step) => {
    const p = curves.p(step, restore),
      text = el("span", {}, `${format(100 * curves.shares[step])} %`, hasValue(p) && el("b", {}, `p ${p.toFixed(2)}`));
    return el(
      "button",
      { type: "button", class: "frame", onclick: () => goTo(step) },
      curves.picture(step, restore),
      text,
    );
  });
}

function noSamples(task) {
  const others = tasks.filter(hasSamples);
  return [
    el(
      "p",
      {},
      `The results folder holds no maps for this task, or they are of other weights than the scores. Run the task again to store some.${omittedText(task)}`,
    ),
    others.length > 0 &&
      el(
        "p",
        {},
        "Tasks with maps: ",
        others.map((other, i) => [i > 0 && ", ", el("a", { href: link("samples", other) }, other)]),
        ".",
      ),
  ];
}

function samplesView(task, index, method) {
  const samples = samplesOf(task),
    head = [taskTabs("samples", task), el("h2", {}, `Samples: ${task}`), taskSummary(task)];
  if (!samples.length) return [...head, noSamples(task)];
  const at = Math.max(0, Math.min(Math.trunc(Number(index)) || 0, samples.length - 1)),
    sample = samples[at];
  const chosen = method || methodsOnBoard(task, sample).find((name) => sample.methods[name].order);
  const figure = (picture, text) => el("figure", { class: "stage" }, picture, el("figcaption", {}, text));
  return [
    ...head,
    el("p", { class: "quiet" }, `${plural(samples.length, "sample")} with stored maps.${omittedText(task)}`),
    sampleChooser(task, at, method),
    el(
      "section",
      { class: "input" },
      figure(inputPicture(sample), "input"),
      sample.truth && figure(truthPicture(sample), "ground truth: the part that holds the evidence"),
      sampleFacts(sample),
    ),
    el(
      "div",
      { class: "split" },
      el(
        "section",
        {},
        el("h3", {}, "Maps of all methods"),
        el(
          "p",
          { class: "quiet" },
          "In the order of the leaderboard, after the rank. ",
          el("span", { class: "positive-key" }),
          "positive and ",
          el("span", { class: "negative-key" }),
          "negative attribution, each map scaled to its largest value. ",
          "Some methods give no sign; their maps are red only. Choose a map to see the inputs that its deletion curve is measured on.",
        ),
        allMaps(task, sample, at, chosen),
      ),
      chosen && perturbation(task, sample, chosen),
    ),
  ];
}
