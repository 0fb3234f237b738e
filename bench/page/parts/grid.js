// A table that sorts by any column and is navigated with the arrow keys (the grid pattern of ARIA). The Tab key stops at it once.

/**
 * options: {caption, columns, rows, sort: {key, direction}, rowClass(row), status(rows) -> text}. The sort order is saved under the caption.
 * columns: {key, name, head: node or text, value(row), cell(row) -> node or text, tip(row) -> lines, about() -> lines for the heading,
 *   best: 1 where higher is better, else -1, class, style(row)}. The first column names the row.
 * Returns {node, update(columns, rows), sortedRows()}.
 */
function sortableTable(options) {
  const storageName = `sort of ${options.caption}`;
  const state = { columns: options.columns, rows: options.rows, sort: saved[storageName] || options.sort || null };
  const table = el("table", { role: "grid" }),
    body = el("tbody");
  const status = el("p", { class: "status quiet", role: "status" });
  const box = el("div", { class: "scroll" }, table);

  const sortColumn = () => state.sort && state.columns.find((column) => column.key === state.sort.key);
  const sortedRows = () => sortRows(state.rows, sortColumn(), state.sort);

  function sortBy(column) {
    const first = column.best === 1 ? "descending" : "ascending";
    const repeated = state.sort && state.sort.key === column.key;
    const opposite = state.sort && state.sort.direction === "ascending" ? "descending" : "ascending";
    state.sort = { key: column.key, direction: repeated ? opposite : first };
    save(storageName, state.sort);
    fill();
  }

  function fill() {
    for (const heading of table.querySelectorAll("thead th")) {
      const sorted = state.sort && heading.dataset.key === state.sort.key;
      if (sorted) heading.setAttribute("aria-sort", state.sort.direction);
      else heading.removeAttribute("aria-sort");
    }
    const rows = sortedRows(),
      column = sortColumn();
    body.replaceChildren(
      ...rows.map((row) =>
        el(
          "tr",
          { class: options.rowClass && options.rowClass(row) },
          state.columns.map((each, i) => tableCell(each, row, i === 0)),
        ),
      ),
    );
    if (!rows.length)
      body.append(el("tr", {}, el("td", { colspan: state.columns.length, class: "none" }, "Nothing matches.")));
    const order = column ? `, sorted by ${withSpaces(column.name)}, ${state.sort.direction}` : "";
    status.textContent = `${options.status ? options.status(rows) : plural(rows.length, "row")}${order}.`;
    setTabStop(table, table.contains(document.activeElement) && document.activeElement);
  }

  function update(columns, rows) {
    Object.assign(state, { columns, rows });
    if (state.sort && !sortColumn()) state.sort = options.sort || null;
    const headings = columns.map((column) => tableHeading(column, () => sortBy(column)));
    table.replaceChildren(
      el("caption", { class: "unseen" }, options.caption),
      el("thead", {}, el("tr", {}, headings)),
      body,
    );
    fill();
  }

  addKeyboard(table, box);
  update(state.columns, state.rows);
  return { node: el("div", { class: "grid" }, status, box), update, sortedRows };
}

/** Rows in the order of a column; rows without a value come last, ties keep their order. */
function sortRows(rows, column, sort) {
  if (!column) return [...rows];
  const sign = sort.direction === "ascending" ? 1 : -1;
  const keyed = rows.map((row, i) => [column.value(row), i, row]);
  keyed.sort(([a, i], [b, j]) => {
    if (!hasValue(a) || !hasValue(b)) return hasValue(a) ? -1 : hasValue(b) ? 1 : i - j;
    return (typeof a === "number" ? a - b : String(a).localeCompare(String(b))) * sign || i - j;
  });
  return keyed.map(([, , row]) => row);
}

function tableHeading(column, onSort) {
  const button = el(
    "button",
    { type: "button", tabindex: -1, onclick: onSort },
    column.head || withSpaces(column.name),
    el("span", { class: "arrow", "aria-hidden": "true" }),
  );
  if (column.about && !TOUCH) addTip(button, column.about);
  const help = column.about && TOUCH && helpButton(column.name, column.about);
  return el("th", { scope: "col", class: column.class, "data-key": column.key }, button, help);
}

function tableCell(column, row, first) {
  const content = column.cell ? column.cell(row) : format(column.value(row));
  const cell = el(
    first ? "th" : "td",
    { scope: first && "row", class: column.class, style: column.style ? column.style(row) : {}, tabindex: -1 },
    content,
  );
  const target = focusTarget(cell);
  if (target !== cell) {
    cell.removeAttribute("tabindex");
    target.tabIndex = -1;
  }
  if (column.tip) addTip(target, () => column.tip(row));
  return cell;
}

/** What takes the focus in a cell: its button or link, or the cell itself. */
const focusTarget = (cell) => cell.querySelector("button, a") || cell;
const focusTargets = (table) => [...table.rows].map((row) => [...row.cells].map(focusTarget));

/** The Tab key enters the table at one cell: the last that had the focus, or the first heading. */
function setTabStop(table, target) {
  table.querySelectorAll("[tabindex='0']").forEach((node) => {
    node.tabIndex = -1;
  });
  const stop = target || focusTargets(table)[0][0];
  if (stop) stop.tabIndex = 0;
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const ROW_ENDS = { Home: 0, End: Infinity };

function addKeyboard(table, box) {
  const clamp = (value, length) => Math.max(0, Math.min(length - 1, value));
  table.addEventListener("focusin", (event) => {
    setTabStop(table, event.target);
    const cell = event.target.closest("th, td"),
      first = cell && cell.parentNode.cells[0];
    if (!cell || cell === first || getComputedStyle(first).position !== "sticky") return;
    const covered = first.getBoundingClientRect().right - cell.getBoundingClientRect().left;
    if (covered > 0) box.scrollLeft -= covered;
  });
  table.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideTip();
    const step = ARROWS[event.key],
      end = ROW_ENDS[event.key];
    if (!step && end === undefined) return;
    const targets = focusTargets(table),
      row = targets.findIndex((nodes) => nodes.includes(document.activeElement));
    if (row < 0) return;
    const column = targets[row].indexOf(document.activeElement);
    const next = targets[clamp(row + (step ? step[0] : 0), targets.length)];
    event.preventDefault();
    next[clamp(end === undefined ? column + step[1] : end, next.length)].focus();
  });
}
