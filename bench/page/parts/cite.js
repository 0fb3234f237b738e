// How to reproduce and to cite the results.

const codeBlock = (caption, text) =>
  el("figure", { class: "code" }, el("figcaption", {}, caption), el("pre", { tabindex: 0 }, text));

function referenceList(keys) {
  return el(
    "ol",
    { class: "references" },
    keys.map((key) => {
      const { text, link: address } = content.references[key];
      return el(
        "li",
        {},
        el("span", {}, text),
        " ",
        address && el("a", { href: address, rel: "noreferrer" }, address.replace("https://", "")),
      );
    }),
  );
}

function citeView() {
  const { run } = content,
    cited = content.cited.filter((key) => content.references[key]);
  const taskFacts = Object.entries(run.tasks || {}).map(([name, task]) => [
    name,
    `${task.id}, ${plural(task.samples, "sample")}, fingerprint ${task.fingerprint}`,
  ]);
  const statement = `attribution-bench ${run.bench || ""}, profile ${run.profile || "–"}, seed ${format(run.seed)}; ${taskFacts.map(([, text]) => text).join("; ")}`;
  const bibtex = `@misc{attributionbench, title={attribution-bench: which attribution method to trust for a model, and how far}, note={Version ${run.bench || "unknown"}}}`;
  return [
    el("h2", {}, "Reproduce and cite"),
    run.command && codeBlock("The command of the last run into this folder", run.command),
    codeBlock(
      "To make the tables, the plots and this page again from the stored scores of a folder",
      "python -m bench report --out FOLDER",
    ),
    el("h3", {}, "Versions"),
    facts([["attribution-bench", run.bench], ...Object.entries(run.versions || {}), ["device", run.environment]]),
    el("h3", {}, "Tasks"),
    el("p", { class: "quiet" }, "The fingerprint is a hash of the weights and the settings of the task."),
    facts(taskFacts),
    el("h3", {}, "Citation"),
    codeBlock("State what the results are of", statement),
    codeBlock("The benchmark, as BibTeX", bibtex),
    el("p", {}, "The methods, metrics and data:"),
    referenceList(cited),
    el(
      "details",
      {},
      el("summary", {}, "All of these as BibTeX"),
      codeBlock("BibTeX", cited.map((key) => content.references[key].bibtex).join("\n")),
    ),
    el("p", { class: "quiet" }, "Charts: Observable Plot and D3, by Observable and Mike Bostock, ISC licence."),
  ];
}
