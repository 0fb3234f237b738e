// The one tooltip of the page, for what is hovered over, focused or tapped, and the terms that it explains.

const tip = byId("tip");
const TOUCH = matchMedia("(hover: none)").matches;
let tipAnchor = null; // {node, top, left}: what the tooltip is about, and where that was when it was shown

const TERMS = {
  rank: "Methods are ranked on each sample by each metric that counts in the rank; 1 is best. The mean of these ranks orders the methods.",
  "rank interval": "95 % interval: it leaves out the positions of the methods that are significantly better or worse.",
  "top group":
    "The methods that cannot be distinguished from the best: paired tests over the samples find no significant difference at the 5 % level, Holm-corrected over all pairs.",
  "beats random":
    "Whether the method ranks significantly better than the random control, a map of noise. “unclear”: the samples show no significant difference.",
  "mean rank":
    "Mean over the samples of the ranks by the metrics that count in the rank. Each family of metrics has the same weight.",
  group:
    "Two methods that share a letter cannot be distinguished (paired tests over the samples, Holm-corrected over all pairs).",
  "counts in the rank":
    "Faithfulness and localisation metrics count in the rank, unless they fail the conformance checks or cannot separate methods from the random control on this task. Metrics whose scores correlate above 0.95 share the weight of one.",
  control:
    "A row for comparison that explains nothing. random: a map of noise. oracle: the ground truth used as a map.",
  skill:
    "The score on a common scale: 0 is the random control. For localisation metrics 1 is the ground truth used as a map; for other metrics the unit is the standard deviation of the scores (Cohen's d).",
  "checked here":
    "Measured on this task's network (python -m bench check --task). exact here: the map has the values, or the sum, that are known another way. as promised: what can be checked holds. gap: the share of what the output gains over the baseline that the map misses. not to be trusted: a check fails. not this network: the method cannot explain it.",
  "conformance checks":
    "Each metric is run on small models whose exact attributions are known. A metric passes if it gives the more accurate map the better score.",
  tau: "Kendall's tau compares two orders of the methods: 1 is the same order, 0 no relation, −1 the reverse order.",
  alpha:
    "Krippendorff's alpha measures how well all metrics of a family agree on the order of the methods: 1 is perfect agreement, 0 is chance.",
  p: "The model's output for the explained class: for classifiers, its probability.",
};

/** A word whose definition is shown on hover, focus or tap. */
const term = (name, text) =>
  addTip(el("span", { class: "term", tabindex: 0 }, text || name), () => [name, TERMS[name]]);

/** Shows lines beside a node: a title, then texts or [name, text] pairs. */
function showTip(node, lines) {
  const [title, ...rest] = lines.filter((line) => hasValue(line) && line !== false);
  const body = rest.map((line) =>
    Array.isArray(line)
      ? el("div", { class: "pair" }, el("span", {}, line[0]), el("b", {}, line[1]))
      : el("p", {}, line),
  );
  tip.replaceChildren(el("strong", {}, title), ...body);
  (node.closest("dialog") || document.body).append(tip);
  tip.hidden = false;
  node.setAttribute("aria-describedby", "tip");
  const at = node.getBoundingClientRect(),
    box = tip.getBoundingClientRect();
  const below = at.bottom + 6 + box.height < innerHeight || at.top < box.height + 6;
  tipAnchor = { node, top: at.top, left: at.left };
  tip.style.left = `${Math.max(6, Math.min(at.left, innerWidth - box.width - 6))}px`;
  tip.style.top = `${below ? Math.min(at.bottom + 6, innerHeight - box.height - 6) : at.top - box.height - 6}px`;
}

function hideTip() {
  tip.hidden = true;
  document.querySelectorAll("[aria-describedby=tip]").forEach((node) => node.removeAttribute("aria-describedby"));
}

/** Shows `lines()` while the node is hovered over or focused. */
function addTip(node, lines) {
  const show = () => showTip(node, lines());
  node.addEventListener("mouseenter", show);
  node.addEventListener("focus", () => requestAnimationFrame(() => node === document.activeElement && show())); // after scrolling into view
  node.addEventListener("mouseleave", hideTip);
  node.addEventListener("blur", hideTip);
  return node;
}

/** A “?” for touch screens, where a tap on a column heading sorts. */
function helpButton(label, lines) {
  const button = el(
    "button",
    {
      type: "button",
      class: "help",
      tabindex: -1,
      "aria-label": `About ${label}`,
      onclick: () => showTip(button, lines()),
    },
    "?",
  );
  button.addEventListener("blur", hideTip);
  return button;
}

addEventListener(
  "scroll",
  () => {
    const at = !tip.hidden && tipAnchor.node.getBoundingClientRect();
    if (at && (Math.abs(at.top - tipAnchor.top) > 2 || Math.abs(at.left - tipAnchor.left) > 2)) hideTip();
  },
  { passive: true, capture: true },
);
