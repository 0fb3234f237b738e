// Inputs, maps and perturbed inputs, drawn from the stored samples: images on a canvas, signals as SVG.

const MAX_LEVEL = 15; // of the maps; zero is at 15, see bench/page/pictures.py
const loadedSamples = {};
const decodedImages = new Map(); // PNG as base64 -> promise of its pixels

const hasSamples = (task) => content.samples[task].included > 0;

/** The samples of a task; they are parsed when they are first needed. */
function samplesOf(task) {
  const block = byId(`samples-${tasks.indexOf(task)}`);
  loadedSamples[task] = loadedSamples[task] || (block ? JSON.parse(block.textContent) : []);
  return loadedSamples[task];
}

const isSignal = (sample) => Boolean(sample.signal);
const decodeBytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

/** The pixels of a PNG: {width, height, data}, data being RGBA. */
function decodeImage(base64) {
  if (!decodedImages.has(base64)) {
    decodedImages.set(
      base64,
      new Promise((resolve, reject) => {
        const image = new Image();
        image.onload = () => {
          const canvas = el("canvas", { width: image.naturalWidth, height: image.naturalHeight });
          const context = canvas.getContext("2d", { willReadFrequently: true });
          context.drawImage(image, 0, 0);
          resolve(context.getImageData(0, 0, canvas.width, canvas.height));
        };
        image.onerror = () => reject(new Error("This picture cannot be read."));
        image.src = `data:image/png;base64,${base64}`;
      }),
    );
  }
  return decodedImages.get(base64);
}

/** Red for positive, blue for negative values, white for 0: RGB. */
function divergingColour(value) {
  const end = value > 0 ? [178, 24, 43] : [33, 102, 172],
    strength = Math.min(1, Math.abs(value)) ** 0.8;
  return end.map((channel) => 255 + (channel - 255) * strength);
}

// --- images

function paintCanvas(width, height, paint) {
  const canvas = el("canvas", { width, height, role: "img" });
  const context = canvas.getContext("2d"),
    image = context.createImageData(width, height);
  paint(image.data);
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A box that receives its canvas when its images are decoded. */
function pictureBox(label, images, draw) {
  const box = el("span", { class: "picture", role: "img", "aria-label": label });
  Promise.all(images.map(decodeImage))
    .then((decoded) => box.replaceChildren(draw(...decoded)))
    .catch((error) => {
      box.textContent = error.message;
    });
  return box;
}

function imageInput(sample) {
  return pictureBox(`input, ${sample.explained}`, [sample.image], (image) =>
    paintCanvas(image.width, image.height, (data) => data.set(image.data)),
  );
}

/** The input, dimmed outside the ground truth. */
function imageTruth(sample) {
  return pictureBox("ground truth", [sample.image, sample.truth], (image, truth) =>
    paintCanvas(image.width, image.height, (data) => {
      for (let i = 0; i < data.length; i += 4) {
        const share = truth.data[i] ? 1 : 0.25;
        for (let c = 0; c < 3; c += 1) data[i + c] = image.data[i + c] * share;
        data[i + 3] = 255;
      }
    }),
  );
}

/** The input without the features removed up to a step or, with `restore`, with those only. */
function imageAtStep(sample, name, step, restore) {
  const { order } = sample.methods[name];
  return pictureBox(`input at step ${step}`, [sample.image, order], (image, steps) =>
    paintCanvas(image.width, image.height, (data) => {
      const baseline = sample.baseline.length === 3 ? sample.baseline : Array(3).fill(sample.baseline[0]);
      for (let i = 0; i < data.length; i += 4) {
        const removed = steps.data[i] <= step !== restore;
        for (let c = 0; c < 3; c += 1) data[i + c] = removed ? baseline[c] : image.data[i + c];
        data[i + 3] = 255;
      }
    }),
  );
}

function imageMap(sample, name) {
  return pictureBox(`map of ${name}`, [sample.methods[name].map], (map) =>
    paintCanvas(map.width, map.height, (data) => {
      for (let i = 0; i < data.length; i += 4)
        data.set([...divergingColour((map.data[i] - MAX_LEVEL) / MAX_LEVEL), 255], i);
    }),
  );
}

// --- signals

const SIGNAL_SIZE = { width: 240, height: 120 };

/** An SVG of the layers that `draw` makes with the scales x and y, `path(values)`, and `band(i, attributes)`: one time step in full height. */
function signalPlot(sample, label, draw) {
  const { width, height } = SIGNAL_SIZE,
    all = sample.signal.flat(),
    steps = sample.signal[0].length;
  const low = Math.min(...all, 0),
    high = Math.max(...all, 0);
  const x = (i) => ((i + 0.5) / steps) * width,
    y = (value) => 6 + ((high - value) / (high - low || 1)) * (height - 12);
  const path = (values) =>
    values.map((value, i) => `${i ? "L" : "M"}${x(i).toFixed(1)},${y(value).toFixed(1)}`).join("");
  const band = (i, attributes) =>
    svg("rect", {
      x: x(i) - width / steps / 2,
      y: 0,
      width: width / steps,
      height,
      "shape-rendering": "crispEdges",
      ...attributes,
    });
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "signal", role: "img", "aria-label": label },
    draw({ x, y, path, band }),
  );
}

const channelLines = (sample, path, kind = "line") =>
  sample.signal.map((values) => svg("path", { d: path(values), class: kind }));

function signalInput(sample, withTruth) {
  const truth = withTruth ? [...decodeBytes(sample.truth)] : [];
  return signalPlot(sample, withTruth ? "ground truth" : `input, ${sample.explained}`, ({ path, band }) => [
    truth.map((inside, i) => inside > 0 && band(i, { class: "truth" })),
    channelLines(sample, path),
  ]);
}

function signalMap(sample, name) {
  const values = [...decodeBytes(sample.methods[name].map)].map((level) => (level - MAX_LEVEL) / MAX_LEVEL);
  return signalPlot(sample, `map of ${name}`, ({ path, band }) => [
    values.map(
      (value, i) =>
        value !== 0 &&
        band(i, { class: value > 0 ? "positive" : "negative", style: { opacity: Math.abs(value) * 0.85 } }),
    ),
    channelLines(sample, path),
  ]);
}

function signalAtStep(sample, name, step, restore) {
  const removed = [...decodeBytes(sample.methods[name].order)].map((removedAt) => removedAt <= step !== restore);
  return signalPlot(sample, `input at step ${step}`, ({ x, y, path }) => [
    channelLines(sample, path, "original"),
    sample.signal.map((values, c) =>
      svg("path", { class: "line", d: path(values.map((value, i) => (removed[i] ? sample.baseline[c] : value))) }),
    ),
    removed.map(
      (isRemoved, i) => isRemoved && svg("circle", { class: "removed", cx: x(i), cy: y(sample.baseline[0]), r: 2.4 }),
    ),
  ]);
}

// --- of either kind

const inputPicture = (sample) => (isSignal(sample) ? signalInput(sample, false) : imageInput(sample));
const truthPicture = (sample) => (isSignal(sample) ? signalInput(sample, true) : imageTruth(sample));
const stepPicture = (sample, ...rest) =>
  isSignal(sample) ? signalAtStep(sample, ...rest) : imageAtStep(sample, ...rest);

const hasMap = (sample, name) => Boolean(sample.methods[name] && sample.methods[name].map);

function mapPicture(sample, name) {
  if (!hasMap(sample, name)) return el("span", { class: `picture no-map ${isSignal(sample) ? "flat" : ""}` }, "no map");
  return isSignal(sample) ? signalMap(sample, name) : imageMap(sample, name);
}
