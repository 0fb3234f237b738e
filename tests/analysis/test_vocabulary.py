"""Names of columns stand in the vocabulary and nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path

import pandas as pd
import pytest
from test_board import THREE, rows

import bench
from bench.analysis import task_tables
from bench.analysis.metric_table import metric_facts
from bench.core import vocabulary
from bench.core.vocabulary import MEANINGS, Column

PACKAGE = Path(bench.__file__).parent
NAMES = {value for name, value in vars(Column).items() if name.isupper()}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != Path(vocabulary.__file__)]
FILES = [
    path for path in FILES if "metrics" not in path.relative_to(PACKAGE).parts
]  # Quantus has an argument n_samples


def spelled(source: str) -> set[str]:
    """The columns that a source file spells: as a text, or as a keyword of `DataFrame.assign`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in NAMES:
            found.add(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "assign":
            found |= {word.arg for word in node.keywords} & NAMES
    return found


def test_the_scan_finds_a_column_that_is_spelled():
    assert spelled('table["rank_weight"]; table.assign(outdated=1); table.rank_weight') == {"rank_weight", "outdated"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_columns_are_spelled_in_the_vocabulary_alone(path):
    assert spelled(path.read_text(encoding="utf-8")) == set()


def test_names_are_not_used_for_two_columns():
    assert len(NAMES) == sum(name.isupper() for name in vars(Column))


def test_every_column_of_the_tables_has_a_meaning():
    """The store's own columns (task, method, ids, label, direction) and the metrics' names need none."""
    tables = task_tables.of_task(rows(THREE))
    named = {word for words in MEANINGS for word in words.replace("mean_rank_<family>", "").split(", ")}
    stored = {"task", "method", "metric", "method_id", "metric_id", "method_family", "metric_family", "label"}
    stored |= {"higher_is_better", *THREE["good"]}
    parts: list[pd.DataFrame] = [
        tables.wide,
        tables.long,
        tables.metrics,
        tables.wins,
        tables.failures,
        *tables.beliefs,
    ]
    for table in parts:
        columns = {str(name) for name in table if not str(name).startswith("mean_rank_")}
        assert columns - named - stored == set()


def test_units_are_read_from_labels():
    labels = {
        "drop (%)": "%",
        "complexity (nats)": "nats",
        "non-sensitivity (% of features)": "% of features",
        "seconds per sample": "seconds per sample",
        "peak memory (MiB)": "MiB",
        "local Lipschitz estimate (per unit of input)": "per unit of input",
        "sparseness (Gini index)": "",
        "infidelity (Quantus)": "",
        "deletion AUC": "",
    }
    metrics = pd.DataFrame(
        {"metric": list("abcdefghi"), "metric_id": "a@1", "metric_family": "axiom", "label": list(labels)}
    ).assign(higher_is_better=True)
    assert metric_facts(metrics)["unit"].tolist() == list(labels.values())
