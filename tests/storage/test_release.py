"""Release files: every digit comes back, the first samples stay where not all fit, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.core.errors import RequestError
from bench.storage import release
from bench.storage.parts import NAMES, READ, frame
from bench.storage.release import Part

SAMPLES = ("c", "a", "d", "b")  # the task's order, which is not that of the alphabet
METHODS, METRICS = ("grad_cam", "random"), ("deletion", "drop", "seconds")


def rows(task: str = "signals", samples: tuple[str, ...] = SAMPLES, seed: int = 0) -> pd.DataFrame:
    """Scores with every bit of a float64 in use, one of them missing, as the store gives them."""
    rng = np.random.default_rng(seed)
    found = [
        {
            "task": task,
            "method": method,
            "metric": metric,
            "method_id": f"{method}@1",
            "metric_id": f"{metric}@2[k=None]",
            "method_family": "control" if method == "random" else "activation",
            "metric_family": "cost" if metric == "seconds" else "faithfulness",
            "label": metric,
            "fingerprint": f"weights of {task}",
            "sample_id": sample,
            "sample_digest": f"digest of {sample}",
            "status": "ok",
            "note": "",
            "written": "2026-01-02T03:04:05+00:00",
            "higher_is_better": metric == "drop",
            "seed": 0,
            "features": 40,
            "score": rng.random(),
            "curve": None,
        }
        for method in METHODS
        for metric in METRICS
        for sample in samples
    ]
    table = pd.DataFrame(found)[READ]
    table.loc[0, ["score", "status", "note"]] = [np.nan, "undefined", "the map is constant"]
    return table.astype(dict.fromkeys(NAMES, "category"))


def part(task: str = "signals", samples: tuple[str, ...] = SAMPLES) -> Part:
    return Part(f"{task}@1", rows(task, samples), samples)


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype(dict.fromkeys(NAMES, object)).sort_values(
        ["task", "method", "metric", "sample_id"], ignore_index=True
    )


def everything(file: release.Release, task: str = "signals", **fewer: object) -> pd.DataFrame:
    facts = file.tasks[task]
    wanted = {"methods": facts.methods, "metrics": facts.metrics.values(), "samples": file.samples(task)} | fewer
    return in_order(frame([file.rows(task, **wanted)]))  # type: ignore[arg-type]


def test_every_score_comes_back_with_all_its_digits_but_costs():
    file = release.read(release.encoded({"signals": part(), "images": part("images")}, 3), "x.parquet")
    assert list(file.tasks) == ["signals", "images"]
    for task in file.tasks:
        expected = rows(task)
        expected = expected[expected["metric"] != "seconds"].assign(seed=3)
        pd.testing.assert_frame_equal(everything(file, task), in_order(expected), check_exact=True)
    facts = file.tasks["images"]
    assert (facts.task_id, facts.fingerprint, facts.features) == ("images@1", "weights of images", 40)
    assert (facts.rows, facts.samples, facts.samples_scored) == (16, 4, 4)
    assert facts.methods == {"grad_cam": "grad_cam@1", "random": "random@1"}
    assert facts.metrics == {"deletion": "deletion@2[k=None]", "drop": "drop@2[k=None]"}
    assert (file.seed, file.version) == (3, "0.2.0")
    assert file.samples("signals") == {name: f"digest of {name}" for name in SAMPLES}


def test_only_what_is_asked_for_is_read():
    file = release.read(release.encoded({"signals": part()}, 0), "x.parquet")
    found = everything(file, methods=["random"], metrics=["drop@2[k=None]"], samples=["b", "c", "unknown"])
    assert found[["method", "metric", "sample_id"]].to_numpy().tolist() == [["random", "drop", name] for name in "bc"]


def test_the_same_scores_give_the_same_bytes_in_any_order_of_rows():
    shuffled = Part("signals@1", rows().sample(frac=1, random_state=0), SAMPLES)
    assert release.encoded({"signals": shuffled}, 0) == release.encoded({"signals": part()}, 0)


def test_where_not_all_fits_the_first_samples_of_the_largest_task_stay():
    many = tuple(f"{number:03d}" for number in reversed(range(400)))
    parts = {"signals": part("signals", many), "images": part("images")}
    whole = release.encoded(parts, 0)
    limit = len(whole) * 0.6
    content = release.encoded(parts, 0, limit=limit)
    file = release.read(content, "x.parquet")
    assert limit * 0.8 < len(content) <= limit
    kept = file.tasks["signals"].samples
    assert 120 < kept < 260
    assert file.tasks["signals"].samples_scored == 400
    assert set(file.samples("signals")) == set(many[:kept])
    assert set(file.samples("images")) == set(SAMPLES)
    few = release.read(release.encoded(parts, 0, samples=2), "x.parquet")
    assert [set(few.samples(task)) for task in few.tasks] == [{"399", "398"}, {"c", "a"}]


def test_a_flipped_bit_is_noticed_or_changes_nothing():
    content = release.encoded({"signals": part("signals", tuple(map(str, range(30)))), "images": part("images")}, 0)
    whole = release.read(content, "x.parquet")
    expected = [everything(whole, task) for task in whole.tasks]
    refused = 0
    for place in range(0, len(content), 23):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        try:
            file = release.read(bytes(changed), "x.parquet")
            found = [everything(file, task) for task in file.tasks]
        except RequestError:
            refused += 1
        else:
            assert len(found) == len(expected)
            for table, right in zip(found, expected, strict=True):
                pd.testing.assert_frame_equal(table, right, check_exact=True)
    assert refused > len(content) / 23 / 2


def test_a_torn_file_is_noticed():
    content = release.encoded({"signals": part()}, 0)
    for size in (0, 4, len(content) // 2, len(content) - 1):
        with pytest.raises(RequestError, match="not a whole release file"):
            release.read(content[:size], "x.parquet")
