// The views, the address of each (#view/task/...), navigation, and light and dark colours.

const VIEWS = [
  ["overview", "Overview"],
  ["board", "Leaderboard"],
  ["samples", "Samples"],
  ["agreement", "Agreement"],
  ["conformance", "Conformance"],
  ["failures", "Missing scores"],
  ["cite", "Reproduce & cite"],
];
const DRAW = {
  overview: overviewView,
  board: boardView,
  samples: samplesView,
  agreement: agreementView,
  conformance: conformanceView,
  failures: missingView,
  cite: citeView,
};
const VIEWS_OF_TASKS = new Set(["board", "samples", "agreement", "card"]);
const main = byId("main"),
  navigation = byId("views");
let current = []; // the address of the view, or of the view behind the card
let lastTask = tasks[0];

const link = (...parts) => `#${parts.filter(hasValue).map(encodeURIComponent).join("/")}`;
const go = (...parts) => {
  location.hash = link(...parts);
};

function taskTabs(view, task) {
  if (tasks.length < 2) return null;
  return el(
    "nav",
    { class: "tabs", "aria-label": "Tasks" },
    tasks.map((each) => el("a", { href: link(view, each), "aria-current": each === task ? "page" : null }, each)),
  );
}

/** The parts of the address; an unknown view is the overview, an unknown task the last one. */
function address() {
  const parts = location.hash
    .slice(1)
    .split("/")
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return "";
      }
    });
  const view = Object.hasOwn(DRAW, parts[0]) || (parts[0] === "card" && hasValue(parts[2])) ? parts[0] : "overview";
  if (VIEWS_OF_TASKS.has(view) && !tasks.includes(parts[1])) parts[1] = lastTask;
  return [view, ...parts.slice(1)];
}

function drawView(view, ...rest) {
  hideTip();
  const target = [view, ...rest].filter(hasValue);
  if (link(...target) === link(...current)) return;
  const isFirst = !current.length,
    sameView = link(...current.slice(0, 2)) === link(...target.slice(0, 2));
  const active = document.activeElement,
    followed = sameView && active && active.closest("a.map, a.thumb");
  current = target;
  main.replaceChildren(
    ...DRAW[view](...rest)
      .flat(Infinity)
      .filter(Boolean),
  );
  const title = main.querySelector("h2");
  document.title = `${title.textContent} – attribution benchmark`;
  if (!sameView && !isFirst) startAt(title);
  else if (followed) focusAgain(followed);
}

/** The reader, and a screen reader, continue at the top of the new view. */
function startAt(title) {
  scrollTo(0, 0);
  title.tabIndex = -1;
  title.focus({ preventScroll: true });
}

/** The focus returns to the link that was followed within a view; on a narrow screen the perturbed inputs are below all maps. */
function focusAgain(followed) {
  const same = [...main.querySelectorAll("a.map, a.thumb")].find(
    (each) => each.getAttribute("href") === followed.getAttribute("href"),
  );
  if (same) same.focus({ preventScroll: true });
  const below = followed.matches("a.map") && innerWidth <= 1000 && main.querySelector(".perturbation");
  if (below) below.scrollIntoView({ block: "start" });
}

/** The links lead to the task that was viewed last; the current view is marked. */
function updateNavigation(currentView) {
  for (const item of navigation.children) {
    const { view } = item.dataset,
      task = view === "samples" ? [lastTask, ...tasks].find(hasSamples) || lastTask : lastTask;
    item.href = VIEWS_OF_TASKS.has(view) ? link(view, task) : link(view);
    if (view !== currentView) {
      item.removeAttribute("aria-current");
      continue;
    }
    item.setAttribute("aria-current", "page");
    navigation.scrollLeft = item.offsetLeft - (navigation.clientWidth - item.offsetWidth) / 2;
  }
}

function route() {
  const [view, ...rest] = address();
  if (VIEWS_OF_TASKS.has(view)) [lastTask] = rest;
  if (view === "card") {
    const isOverlay = current.length > 0;
    if (!isOverlay) {
      updateNavigation("board");
      drawView("board", rest[0]);
    }
    openCard(rest[0], rest[1], isOverlay);
    return;
  }
  if (card.open) card.close();
  updateNavigation(view);
  drawView(view, ...rest);
}

/** The address returns to that of the view behind the card. */
function leaveCard() {
  if (!location.hash.startsWith("#card")) return;
  if (cardIsOverlay) history.back();
  else history.replaceState(null, "", link(...current));
}

// --- light and dark

const themeButton = byId("theme"),
  systemDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";

function labelThemeButton() {
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
}

function switchTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  save("theme", document.documentElement.dataset.theme);
  labelThemeButton();
}

// --- start

navigation.append(...VIEWS.map(([view, title]) => el("a", { "data-view": view }, title)));
byId("foot").append("Made by attribution-bench from stored scores. The page needs no network.");
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
}); // the address stays that of the view
if (saved.theme) document.documentElement.dataset.theme = saved.theme;
labelThemeButton();
themeButton.addEventListener("click", switchTheme);
systemDark.addEventListener("change", labelThemeButton);
addEventListener("hashchange", route);
route();
