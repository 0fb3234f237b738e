// Tables as CSV files. They are made in the page, so that they can be saved without a network.

const csvCell = (value) => {
  const text = hasValue(value) ? String(value) : "";
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** columns: [name, value(row)] pairs. */
function toCsv(columns, rows) {
  const lines = [columns.map(([name]) => name), ...rows.map((row) => columns.map(([, value]) => value(row)))];
  return `${lines.map((line) => line.map(csvCell).join(",")).join("\n")}\n`;
}

/** A button that saves `text()` as a file. */
function downloadButton(label, fileName, text) {
  return el(
    "button",
    {
      type: "button",
      class: "plain",
      onclick: () => {
        const address = URL.createObjectURL(new Blob([text()], { type: "text/csv;charset=utf-8" }));
        el("a", { href: address, download: fileName }).click();
        setTimeout(() => URL.revokeObjectURL(address), 10_000); // once the browser has read it
      },
    },
    label,
  );
}
