// A table that sorts by any column and is walked with the arrow keys (the grid pattern of ARIA): one stop of the tab key, not one
// per cell. No library does this in a real <table>, with a first column and a head that stay in sight.

/**
 * columns: {key, head: Node|text, name: text, value(row), cell(row) -> Node|text, tip(row) -> lines, about() -> lines of the
 *   head's tip, best: 1 where higher is better else -1, numeric, class, style(row)}; the first column names the row.
 * options: {caption, columns, rows, sort: {key, direction}, rowClass(row), said(rows) -> text}; the caption names it among those whose
 *   order is kept.
 * Returns {node, show(columns, rows)}.
 */
function grid(options) {
  const usual = options.sort || null, shelf = `sort of ${options.caption}`;
  const state = { columns: options.columns, rows: options.rows, sort: kept[shelf] || usual };
  const table = el("table", { role: "grid" });
  const said = el("p", { class: "said quiet", role: "status" });
  const box = el("div", { class: "scroll" }, table);
  const node = el("div", { class: "grid" }, said, box);

  const sorted = () => {
    const column = state.sort && state.columns.find((one) => one.key === state.sort.key);
    if (!column) return [...state.rows];
    const way = state.sort.direction === "ascending" ? 1 : -1;
    const keyed = state.rows.map((row, place) => [column.value(row), place, row]);
    keyed.sort(([a, i], [b, j]) => {
      if (!known(a) || !known(b)) return known(a) ? -1 : known(b) ? 1 : i - j;
      return (typeof a === "number" ? a - b : String(a).localeCompare(String(b))) * way || i - j;
    });
    return keyed.map(([, , row]) => row);
  };

  const sortBy = (column) => {
    const first = column.best === 1 ? "descending" : "ascending";
    const same = state.sort && state.sort.key === column.key;
    const other = state.sort && state.sort.direction === "ascending" ? "descending" : "ascending";
    state.sort = { key: column.key, direction: same ? other : first };
    keep(shelf, state.sort);
    fill();
  };

  const head = (column) => {
    const button = el("button", { type: "button", tabindex: -1, onclick: () => sortBy(column) },
      column.head || spaced(column.name), el("span", { class: "way", "aria-hidden": "true" }));
    if (column.about) tipped(button, column.about);
    return el("th", { scope: "col", class: column.class, "data-key": column.key }, button);
  };

  const cell = (column, row, first) => {
    const style = column.style ? column.style(row) : {};
    const content = column.cell ? column.cell(row) : figure(column.value(row));
    const made = el(first ? "th" : "td", { scope: first && "row", class: column.class, style, tabindex: -1 }, content);
    const target = made.querySelector("button, a") || made;
    if (target !== made) { made.removeAttribute("tabindex"); target.tabIndex = -1; }
    if (column.tip) tipped(target, () => column.tip(row));
    return made;
  };

  const body = el("tbody");
  function fill() {
    for (const heading of table.querySelectorAll("thead th")) {
      const own = state.sort && heading.dataset.key === state.sort.key;
      if (own) heading.setAttribute("aria-sort", state.sort.direction); else heading.removeAttribute("aria-sort");
    }
    const rows = sorted();
    body.replaceChildren(...rows.map((row) => el("tr", { class: options.rowClass && options.rowClass(row) },
      state.columns.map((column, i) => cell(column, row, i === 0)))));
    if (!rows.length) body.append(el("tr", {}, el("td", { colspan: state.columns.length, class: "none" }, "Nothing matches.")));
    const by = state.sort && state.columns.find((one) => one.key === state.sort.key);
    const order = by ? `, sorted by ${spaced(by.name)}, ${state.sort.direction}` : "";
    said.textContent = (options.said ? options.said(rows) : plural(rows.length, "row")) + order + ".";
    entrance(table.contains(document.activeElement) && document.activeElement);
  }

  const targets = () => [...table.rows].map((row) => [...row.cells].map((one) => one.querySelector("button, a") || one));
  /** The tab key enters at one cell only: the one that was last in focus, or the first heading. */
  function entrance(chosen) {
    table.querySelectorAll("[tabindex='0']").forEach((one) => { one.tabIndex = -1; });
    const one = chosen || targets()[0][0];
    if (one) one.tabIndex = 0;
  }
  table.addEventListener("focusin", (event) => {
    entrance(event.target);
    const cell = event.target.closest("th, td"), first = cell && cell.parentNode.cells[0];
    const hidden = first && cell !== first && getComputedStyle(first).position === "sticky" ? first.getBoundingClientRect().right - cell.getBoundingClientRect().left : 0;
    if (hidden > 0) box.scrollLeft -= hidden; // it would lie under the first column
  });
  table.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const end = { Home: 0, End: 1e6 }[event.key];
    if (!step && end === undefined) { if (event.key === "Escape") hideTip(); return; }
    const all = targets();
    const line = all.findIndex((row) => row.includes(document.activeElement));
    if (line < 0) return;
    const place = all[line].indexOf(document.activeElement);
    const clamp = (value, length) => Math.max(0, Math.min(length - 1, value));
    const row = all[clamp(line + (step ? step[0] : 0), all.length)];
    event.preventDefault();
    row[clamp(end === undefined ? place + step[1] : end, row.length)].focus();
  });

  function show(columns, rows) {
    Object.assign(state, { columns, rows });
    if (state.sort && !columns.some((one) => one.key === state.sort.key)) state.sort = usual;
    table.replaceChildren(el("caption", { class: "unseen" }, options.caption), el("thead", {}, el("tr", {}, columns.map(head))), body);
    fill();
  }
  show(state.columns, state.rows);
  return { node, show };
}
