// Elements, text and form fields. Data reaches the page as text only: nothing in these scripts parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const el = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => build(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);
const readJson = (id) => JSON.parse(byId(id).textContent);

// --- settings of the reader, kept for the session so that a page that reloads during a run keeps them

const STORAGE_KEY = `bench ${location.pathname}`;
const saved = (() => {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE_KEY)) || {};
  } catch {
    return {};
  }
})();

function save(name, value) {
  saved[name] = value;
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(saved));
  } catch {
    /* without storage, settings last as long as the page */
  }
}

// --- text

const hasValue = (value) => value !== null && value !== undefined && value !== "";
const withSpaces = (name) => String(name).replaceAll("_", " ");
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const joined = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

/** A number with three significant digits, without an exponent where possible. */
function format(value, digits = 3) {
  if (!hasValue(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(digits - 1).replace("e+", "e");
  return size >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(digits)));
}

const formatRange = (low, high) => (hasValue(low) && hasValue(high) ? `${format(low)} to ${format(high)}` : "");
const withRange = (value, low, high) =>
  hasValue(low) && hasValue(high) ? `${format(value)} (${formatRange(low, high)})` : format(value);
const formatP = (p) => (p < 0.0001 ? "p < 0.0001" : `p = ${format(p, 2)}`);

/** A name that may break after its underscores. */
function breakable(name) {
  return String(name)
    .split("_")
    .flatMap((part, i, all) => (i < all.length - 1 ? [`${part}_`, el("wbr")] : [part]));
}

/** Names as text; a long list ends in the number of names left out. */
function shortList(names, limit = 8) {
  return names.length <= limit
    ? names.join(", ")
    : `${names.slice(0, limit).join(", ")} and ${names.length - limit} more`;
}

/** Names as text; a long list ends in a button that shows the rest. */
function expandableList(names, limit = 6) {
  if (names.length <= limit + 1) return [names.join(", ")];
  const rest = el("span");
  const expand = () => rest.replaceChildren(`, ${names.slice(limit).join(", ")}`);
  const more = el("button", { type: "button", class: "inline", onclick: expand }, `${names.length - limit} more`);
  rest.append(" and ", more);
  return [names.slice(0, limit).join(", "), rest];
}

function badge(text, kind, title) {
  return el("span", { class: `badge ${kind || ""}`, title }, text);
}

/** A definition list of the pairs that have a value. */
function facts(pairs) {
  return el(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => hasValue(value) && value !== false)
      .map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

// --- form fields

/** Checkboxes, any number of which may be checked; `selected` is a Set that follows them. */
function checkboxGroup(legend, names, selected, onChange) {
  const boxes = names.map((name) =>
    checkbox(withSpaces(name), selected.has(name), (checked) => {
      if (checked) selected.add(name);
      else selected.delete(name);
      onChange();
    }),
  );
  return el("fieldset", { class: "chips" }, el("legend", {}, legend), boxes);
}

function checkbox(label, checked, onChange) {
  const box = el("input", { type: "checkbox", checked, onchange: () => onChange(box.checked) });
  return el("label", { class: "chip" }, box, label);
}

function selectField(label, options, value, onChange) {
  const select = el(
    "select",
    { onchange: () => onChange(select.value) },
    options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)),
  );
  return el("label", { class: "field" }, el("span", {}, label), select);
}

function searchField(label, value, onChange) {
  const box = el("input", {
    type: "search",
    value,
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => onChange(box.value),
  });
  return el("label", { class: "field" }, el("span", {}, label), box);
}

/** Calls `draw(width)` now and whenever the width of the box changes. */
function drawToWidth(box, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const current = Math.floor(entry.contentRect.width);
    if (current <= 0 || Math.abs(current - width) <= 1) return;
    width = current;
    requestAnimationFrame(() => box.replaceChildren(draw(current))); // not inside the observer: it would be notified of its own change
  }).observe(box);
  return box;
}

// --- small graphics in tables

/** A point with its interval on a scale from `first` to `last`. */
function whisker(value, low, high, first, last, width = 96) {
  const x = (number) => 4 + ((number - first) / (last - first || 1)) * (width - 8);
  return svg(
    "svg",
    { class: "whisker", width, height: 14, "aria-hidden": "true" },
    svg("line", { class: "rail", x1: 4, x2: width - 4, y1: 7, y2: 7 }),
    hasValue(low) && svg("line", { class: "span", x1: x(low), x2: x(high), y1: 7, y2: 7 }),
    hasValue(value) && svg("circle", { cx: x(value), cy: 7, r: 3.4 }),
  );
}

/** A background between two colours: -1 worst, 0 none, 1 best. */
function tint(value) {
  if (!hasValue(value) || value === 0) return {};
  return {
    "--strength": `${Math.round(Math.min(1, Math.abs(value)) * 100)}%`,
    "--hue": value > 0 ? "var(--good)" : "var(--bad)",
  };
}
