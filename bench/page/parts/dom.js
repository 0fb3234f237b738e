// Small helpers. Whatever comes from the data reaches the page as text: nothing here, or elsewhere, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const el = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => build(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);
const read = (id) => JSON.parse(byId(id).textContent);

// --- what the reader chose: kept while the tab is open, for a page that loads itself anew while a run goes on

const SHELF = `bench ${location.pathname}`;
const kept = (() => { try { return JSON.parse(sessionStorage.getItem(SHELF)) || {}; } catch { return {}; } })();

function keep(name, value) {
  kept[name] = value;
  try { sessionStorage.setItem(SHELF, JSON.stringify(kept)); } catch { /* where nothing can be kept it lasts as long as the page */ }
}

const known = (value) => value !== null && value !== undefined && value !== "";
const spaced = (name) => String(name).replaceAll("_", " ");
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** A figure with three digits, without an exponent where one can do without. */
function figure(value, digits = 3) {
  if (!known(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(digits - 1).replace("e+", "e");
  return size >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(digits)));
}

const range = (low, high) => (known(low) && known(high) ? `${figure(low)} to ${figure(high)}` : "");
const chance = (p) => (!known(p) ? "" : p < 0.0001 ? "p < 0.0001" : `p = ${figure(p, 2)}`);

/** A name that may break after its underscores. */
function breakable(name) {
  return String(name).split("_").flatMap((part, i, all) => (i < all.length - 1 ? [part + "_", el("wbr")] : [part]));
}

/** One sentence of names; long lists end in a count. */
function listed(names, most = 8) {
  if (names.length <= most) return names.join(", ");
  return `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
}

function tag(text, kind, title) {
  return el("span", { class: `tag ${kind || ""}`, title }, text);
}

/** A group of choices of which any number hold: `chosen` is a Set that follows them. */
function checks(legend, names, chosen, changed) {
  const boxes = names.map((name) => {
    const box = el("input", { type: "checkbox", checked: chosen.has(name), onchange: () => {
      if (box.checked) chosen.add(name); else chosen.delete(name);
      changed();
    } });
    return el("label", { class: "chip" }, box, spaced(name));
  });
  return el("fieldset", { class: "chips" }, el("legend", {}, legend), ...boxes);
}

function choice(label, options, value, changed) {
  const list = el("select", { onchange: () => changed(list.value) },
    options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  return el("label", { class: "field" }, el("span", {}, label), list);
}

function searchBox(label, value, changed) {
  const box = el("input", { type: "search", value, autocomplete: "off", spellcheck: "false", oninput: () => changed(box.value) });
  return el("label", { class: "field" }, el("span", {}, label), box);
}

/** Runs `draw(width)` now and whenever the box's width changes. */
function drawn(box, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now <= 0 || Math.abs(now - width) <= 1) return;
    width = now;
    requestAnimationFrame(() => box.replaceChildren(draw(now))); // not while sizes are being told
  }).observe(box);
  return box;
}

// --- the one tooltip of the page: for what is hovered or focused

const tip = byId("tip");
let anchor = null; // what the tip is about: {node, top, left} when it was shown

/** Shows lines beside a node: a title, then texts or [name, text] pairs. */
function showTip(node, lines) {
  const [title, ...rest] = lines.filter(known);
  const pairs = rest.map((line) => Array.isArray(line)
    ? el("div", { class: "pair" }, el("span", {}, line[0]), el("b", {}, line[1])) : el("p", {}, line));
  tip.replaceChildren(el("strong", {}, title), ...pairs);
  (node.closest("dialog") || document.body).append(tip);
  tip.hidden = false;
  node.setAttribute("aria-describedby", "tip");
  const at = node.getBoundingClientRect(), own = tip.getBoundingClientRect();
  const below = at.bottom + 6 + own.height < innerHeight || at.top < own.height + 6;
  anchor = { node, top: at.top, left: at.left };
  tip.style.left = `${Math.max(6, Math.min(at.left, innerWidth - own.width - 6))}px`;
  tip.style.top = `${below ? Math.min(at.bottom + 6, innerHeight - own.height - 6) : at.top - own.height - 6}px`;
}

function hideTip() {
  tip.hidden = true;
  document.querySelectorAll("[aria-describedby=tip]").forEach((node) => node.removeAttribute("aria-describedby"));
}

/** `lines()` are shown while the node is hovered or focused. */
function tipped(node, lines) {
  const show = () => showTip(node, lines());
  node.addEventListener("mouseenter", show);
  node.addEventListener("focus", () => requestAnimationFrame(() => node === document.activeElement && show())); // once it is in sight
  node.addEventListener("mouseleave", hideTip);
  node.addEventListener("blur", hideTip);
  return node;
}
addEventListener("scroll", () => {
  const at = !tip.hidden && anchor.node.getBoundingClientRect();
  if (at && (Math.abs(at.top - anchor.top) > 2 || Math.abs(at.left - anchor.left) > 2)) hideTip();
}, { passive: true, capture: true });

// --- little pictures inside tables

/** Dot and whisker on a scale from `first` to `last`. */
function whisker(value, low, high, first, last, width = 96) {
  const place = (x) => 4 + ((x - first) / (last - first || 1)) * (width - 8);
  return svg("svg", { class: "whisker", width, height: 14, "aria-hidden": "true" },
    svg("line", { class: "rail", x1: 4, x2: width - 4, y1: 7, y2: 7 }),
    known(low) && svg("line", { class: "span", x1: place(low), x2: place(high), y1: 7, y2: 7 }),
    known(value) && svg("circle", { cx: place(value), cy: 7, r: 3.4 }));
}

/** A background between two colours: -1 worst, 0 none, 1 best. */
function tint(value) {
  if (!known(value) || value === 0) return {};
  return { "--strength": `${Math.round(Math.min(1, Math.abs(value)) * 100)}%`, "--hue": value > 0 ? "var(--good)" : "var(--bad)" };
}
