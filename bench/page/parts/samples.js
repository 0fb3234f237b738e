// Samples: the input, the maps of all methods side by side, and what the model sees along the deletion curve.

const MAX_LEVEL = 15; // of the maps; zero is at 15, see bench/page/pictures.py
const loaded = {};
const pixels = new Map(); // packed picture -> promise of its pixels

/** Known without unpacking them, which takes a while. */
const hasSamples = (task) => content.samples[task].kept > 0;

function samplesOf(task) {
  const block = byId(`samples-${tasks.indexOf(task)}`);
  loaded[task] = loaded[task] || (block ? JSON.parse(block.textContent) : []);
  return loaded[task];
}

const bytes = (packed) => Uint8Array.from(atob(packed), (one) => one.charCodeAt(0));

/** The pixels of a packed PNG: {width, height, data}, data being RGBA. */
function unpacked(packed) {
  if (!pixels.has(packed)) {
    pixels.set(packed, new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => {
        const canvas = el("canvas", { width: image.naturalWidth, height: image.naturalHeight });
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(image, 0, 0);
        resolve(context.getImageData(0, 0, canvas.width, canvas.height));
      };
      image.onerror = () => reject(new Error("a picture of this page cannot be read"));
      image.src = `data:image/png;base64,${packed}`;
    }));
  }
  return pixels.get(packed);
}

/** Red for, blue against the class, as RGB; strength 0 is white. */
function diverging(value) {
  const end = value > 0 ? [178, 24, 43] : [33, 102, 172];
  const strength = Math.min(1, Math.abs(value)) ** 0.8;
  return end.map((channel) => 255 + (channel - 255) * strength);
}

const isSignal = (sample) => Boolean(sample.signal);

// --- images

function painted(width, height, paint) {
  const canvas = el("canvas", { width, height, role: "img" });
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  paint(image.data);
  context.putImageData(image, 0, 0);
  return canvas;
}

/** An empty box now, a canvas in it as soon as its pictures are unpacked. */
function later(label, packed, make) {
  const box = el("span", { class: "picture", role: "img", "aria-label": label });
  Promise.all(packed.map(unpacked)).then((found) => box.replaceChildren(make(...found))).catch((error) => { box.textContent = error.message; });
  return box;
}

function imageInput(sample) {
  return later(`input, ${sample.explained}`, [sample.image], (image) => painted(image.width, image.height, (data) => data.set(image.data)));
}

/** The input, dimmed outside the truth. */
function imageTruth(sample) {
  return later("the truth: where the evidence is", [sample.image, sample.truth], (image, truth) => painted(image.width, image.height, (data) => {
    for (let i = 0; i < data.length; i += 4) {
      const share = truth.data[i] ? 1 : 0.25;
      for (let c = 0; c < 3; c += 1) data[i + c] = image.data[i + c] * share;
      data[i + 3] = 255;
    }
  }));
}

/** The input with the features gone that are removed up to a step (or, put back: those gone that come later). */
function imageAt(sample, name, step, back) {
  const order = sample.methods[name].order;
  return later(`input at step ${step}`, [sample.image, order], (image, place) => painted(image.width, image.height, (data) => {
    const blank = sample.baseline.length === 3 ? sample.baseline : Array(3).fill(sample.baseline[0]);
    for (let i = 0; i < data.length; i += 4) {
      const gone = (place.data[i] <= step) !== back;
      for (let c = 0; c < 3; c += 1) data[i + c] = gone ? blank[c] : image.data[i + c];
      data[i + 3] = 255;
    }
  }));
}

function imageMap(sample, name) {
  return later(`map of ${name}`, [sample.methods[name].map], (map) => painted(map.width, map.height, (data) => {
    for (let i = 0; i < data.length; i += 4) data.set([...diverging((map.data[i] - MAX_LEVEL) / MAX_LEVEL), 255], i);
  }));
}

// --- signals

const SIZE = { width: 240, height: 120 };

function signalPlot(sample, layers, label) {
  const values = sample.signal[0], { width, height } = SIZE, low = Math.min(...sample.signal.flat(), 0), high = Math.max(...sample.signal.flat(), 0);
  const x = (i) => ((i + 0.5) / values.length) * width, y = (value) => 6 + ((high - value) / (high - low || 1)) * (height - 12);
  const path = (line) => line.map((value, i) => `${i ? "L" : "M"}${x(i).toFixed(1)},${y(value).toFixed(1)}`).join("");
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "signal", role: "img", "aria-label": label }, layers({ x, y, path, values, width, height }));
}

const signalLines = (sample, path, kind) => sample.signal.map((line) => svg("path", { d: path(line), class: kind || "line" }));

function signalInput(sample, marked) {
  const truth = marked && bytes(sample.truth);
  return signalPlot(sample, ({ x, path, values, width, height }) => [
    truth && values.map((_, i) => truth[i] > 0 && svg("rect", { class: "truth", x: x(i) - width / values.length / 2, y: 0, width: width / values.length, height })),
    signalLines(sample, path)], `input, ${sample.explained}`);
}

function signalMap(sample, name) {
  const levels = bytes(sample.methods[name].map);
  return signalPlot(sample, ({ x, path, values, width, height }) => [
    values.map((_, i) => {
      const value = (levels[i] - MAX_LEVEL) / MAX_LEVEL;
      return value !== 0 && svg("rect", { x: x(i) - width / values.length / 2, y: 0, width: width / values.length, height, "shape-rendering": "crispEdges", class: value > 0 ? "for" : "against", style: { opacity: Math.abs(value) * 0.85 } });
    }), signalLines(sample, path)], `map of ${name}`);
}

function signalAt(sample, name, step, back) {
  const order = bytes(sample.methods[name].order);
  const gone = [...order].map((one) => (one <= step) !== back);
  return signalPlot(sample, ({ x, y, path, values }) => [
    signalLines(sample, path, "ghost"),
    sample.signal.map((line, c) => svg("path", { class: "line", d: path(line.map((value, i) => (gone[i] ? sample.baseline[c] : value))) })),
    values.map((_, i) => gone[i] && svg("circle", { class: "gone", cx: x(i), cy: y(sample.baseline[0]), r: 2.4 })),
  ], `input at step ${step}`);
}

// --- both

const inputPicture = (sample) => (isSignal(sample) ? signalInput(sample) : imageInput(sample));
const atPicture = (sample, ...rest) => (isSignal(sample) ? signalAt(sample, ...rest) : imageAt(sample, ...rest));
function mapPicture(sample, name) {
  if (!sample.methods[name] || !sample.methods[name].map) return el("span", { class: `picture nomap ${isSignal(sample) ? "flat" : ""}` }, "no map");
  return isSignal(sample) ? signalMap(sample, name) : imageMap(sample, name);
}

function caption(sample) {
  return facts([["sample", sample.id], ["explained class", sample.explained], ["true class", sample.label], ["p of the explained class", figure(sample.probability)],
    ["size", sample.shape.join(" × ")], ["absent means", sample.baseline_known ? null : "not stored with these maps; drawn as 0"]]);
}

function sampleChoice(task, place, method) {
  const there = samplesOf(task);
  return el("div", { class: "thumbs", role: "group", "aria-label": "Choose a sample" }, there.map((one, i) =>
    el("a", { class: "thumb", href: link("samples", task, i, method), "aria-current": i === place ? "true" : null, title: one.id },
      inputPicture(one), el("span", {}, one.explained, one.explained !== one.label && el("em", {}, ` (${one.label})`)))));
}

function leftOut(task) {
  const { there, kept } = content.samples[task];
  const out = there - kept;
  return out > 0 ? ` ${plural(out, "kept sample")} more would not fit into this file; plots/${task}_gallery.png shows all.` : "";
}

function allMaps(task, sample, place, method) {
  const names = boardOf(task).methods.map((one) => one.method).filter((name) => sample.methods[name]);
  const rank = (name) => figure(boardOf(task).methods.find((one) => one.method === name).rank);
  return el("div", { class: "maps", role: "group", "aria-label": "Maps in the order of the board" }, names.map((name) =>
    el("a", { class: "map", href: link("samples", task, place, name), "aria-current": name === method ? "true" : null, "data-method": name }, mapPicture(sample, name),
      el("span", {}, el("span", { class: "quiet" }, `${rank(name)} `), breakable(name)))));
}

/** Steps at which a strip of pictures looks; the curve has as many steps as its p less one. */
const looks = (last) => [...new Set([0, 1, 2, 4, 7, 10, 14, last].filter((step) => step <= last))];

function walk(task, sample, name) {
  const own = sample.methods[name], state = { step: 4, back: false, width: 0 };
  if (!own || !own.order) return el("p", { class: "quiet" }, `${name} has no map for this sample, so nothing is removed in its order.`);
  const features = sample.shape.reduce((a, b) => a * b, 1), last = Math.min(20, features);
  state.step = Math.min(state.step, last);
  const shares = Array.from({ length: last + 1 }, (_, i) => Math.floor((i * features) / last) / features);
  const curve = () => (state.back ? own.insertion : own.deletion);
  const what = () => (state.back ? "put back" : "removed");
  const picture = el("div", { class: "stage" }), said = el("output", { class: "said" }), chart = el("div", { class: "curve" }), strip = el("div", { class: "strip" });
  const slider = el("input", { type: "range", min: 0, max: last, step: 1, value: state.step, "aria-label": `Step along the curve of ${name}`, oninput: () => { state.step = Number(slider.value); step(); } });
  const line = () => (curve() ? [{ name, share: shares, p: curve() }] : []);
  const p = (at) => (curve() ? curve()[at] : null);
  function step() {
    picture.replaceChildren(atPicture(sample, name, state.step, state.back));
    said.textContent = `${figure(100 * shares[state.step])} % of the features ${what()}: p = ${figure(p(state.step))}`;
    if (state.width && curve()) chart.replaceChildren(curveChart(line(), state.width, { what: what(), at: { share: shares[state.step], p: p(state.step) } }));
  }
  function all() {
    strip.replaceChildren(...looks(last).map((at) => el("button", { type: "button", class: "film", onclick: () => { state.step = at; slider.value = at; step(); } },
      atPicture(sample, name, at, state.back), el("span", {}, `${figure(100 * shares[at])} %`, known(p(at)) && el("b", {}, `p ${p(at).toFixed(2)}`)))));
    step();
  }
  drawn(chart, (width) => { state.width = width; step(); return chart.firstChild || ""; });
  all();
  return el("section", { class: "walk", "data-method": name },
    el("h3", {}, "Along the curve of ", el("button", { type: "button", class: "name", onclick: () => go("card", task, name) }, name)),
    choice("What happens", [["", "features are removed, highest first"], ["back", "features are put back, highest first"]], "", (value) => { state.back = Boolean(value); all(); }),
    el("div", { class: "stages" }, el("div", {}, picture, slider, said), chart), strip);
}

function samplesView(task, place, method) {
  const there = samplesOf(task);
  const head = [taskTabs("samples", task), el("h2", {}, `Samples: ${task}`), taskSummary(task)];
  const others = tasks.filter(hasSamples);
  if (!there.length) return [...head, el("p", {}, `No maps are kept for this task.${leftOut(task)}`), others.length > 0 && el("p", {}, "There are some of ", others.map((one, i) => [i > 0 && ", ", el("a", { href: link("samples", one) }, one)]), ".")];
  const at = Math.max(0, Math.min(Math.trunc(Number(place)) || 0, there.length - 1)), sample = there[at];
  const names = boardOf(task).methods.map((one) => one.method).filter((name) => sample.methods[name] && sample.methods[name].order);
  const chosen = method || names[0];
  return [
    ...head, el("p", { class: "quiet" }, `${plural(there.length, "sample")} that the gallery shows.${leftOut(task)}`), sampleChoice(task, at, method),
    el("section", { class: "input" }, el("figure", { class: "stage" }, inputPicture(sample), el("figcaption", {}, "input")),
      sample.truth && el("figure", { class: "stage" }, isSignal(sample) ? signalInput(sample, true) : imageTruth(sample), el("figcaption", {}, "truth: where the evidence is")), caption(sample)),
    el("div", { class: "drill" }, el("section", {}, el("h3", {}, "Maps of all methods"), el("p", { class: "quiet" }, "In the order of the board, with the rank. ", el("span", { class: "for-key" }), "for and ", el("span", { class: "against-key" }), "against the explained class, each map over its own largest value. Choose one to see what the model sees when its features go."),
      allMaps(task, sample, at, chosen)), chosen && walk(task, sample, chosen)),
  ];
}
