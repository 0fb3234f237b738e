"""Files of scores: what a method got in one go, by any number of metrics, one row per sample and metric.

A file is written under another name and then renamed, so that a run that is killed leaves whole files only. It is never
changed. Of rows of the same method, metric and sample those of the later file count; a few files are merged into one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.core.entries import Entry, Metric
from bench.core.errors import BenchError
from bench.core.files import atomic
from bench.core.records import Record, ScoreKey

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("method", pa.string()),
        ("metric", pa.string()),
        ("task_id", pa.string()),
        ("method_id", pa.string()),
        ("metric_id", pa.string()),
        ("method_family", pa.string()),
        ("metric_family", pa.string()),
        ("higher_is_better", pa.bool_()),
        ("label", pa.string()),
        ("fingerprint", pa.string()),
        ("seed", pa.int64()),
        ("sample_id", pa.string()),
        ("sample_digest", pa.string()),
        ("features", pa.int64()),
        ("score", pa.float64()),
        ("status", pa.string()),
        ("note", pa.string()),
        ("seconds", pa.float64()),
        ("environment", pa.string()),
        ("written", pa.string()),
        ("curve", pa.list_(pa.float32())),
    ]
)
NAMES = (  # texts that repeat: categories in memory, a tenth of the room and of the time
    *("task", "method", "metric", "method_id", "metric_id", "method_family", "metric_family", "label", "fingerprint"),
    *("sample_id", "sample_digest", "status", "note", "written"),
)
READ = [*NAMES, "higher_is_better", "seed", "features", "score", "curve"]  # what reports are made of
KEY = ["task_id", "method_id", "metric_id", "seed", "fingerprint"]
KEY_NAMES = ["task_id", "method_id", "metric_id", "fingerprint"]
REPEATED = [name for name in SCHEMA.names if name not in ("score", "curve")]  # worth a dictionary on disk
SORTED = ["task", "method_id", "metric_id", "seed", "sample_id"]
THREADS = 2  # that read
MOST = 16  # files of one method with the same settings, before they are merged


def of_task(folder: Path) -> list[Path]:
    """The score files of a task's folder, the earliest first."""
    return sorted(folder.glob("method=*/*.parquet"), key=_order)


def of_method(folder: Path, stem: str) -> list[Path]:
    """The score files of a method's folder with this stem, the earliest first."""
    return sorted((path for path in folder.glob("*.parquet") if _stem(path) == stem), key=_order)


def append(folder: Path, stem: str, scored: Sequence[tuple[Record, Metric]], task: Entry, method: Entry) -> None:
    """Writes what a method got as a file of its own."""
    before = of_method(folder, stem)
    _write(folder, stem, before, pa.concat_tables([_table(record, task, method, metric) for record, metric in scored]))
    if len(before) + 1 >= MOST:
        merge(folder, stem)


def merge(folder: Path, stem: str) -> None:
    """Puts the rows that count into one file. Until it is there the others stay, and after it they say nothing new."""
    before = of_method(folder, stem)
    table = pa.concat_tables([read(path, None) for path in before])
    rows = table.select(["metric_id", "sample_id"]).to_pandas()
    _write(folder, stem, before, table.filter(pa.array(~rows.duplicated(keep="last").to_numpy())))
    for path in before:
        path.unlink()


def read(path: Path, columns: list[str] | None, categories: Sequence[str] = ()) -> pa.Table:
    """Some columns of a score file (None: all), the categories as dictionaries. Raises BenchError for any other file."""
    try:
        return pq.ParquetFile(path, read_dictionary=list(categories)).read(columns=columns, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise BenchError(f"{path}: not a score file of this harness ({error}); move it away and run again") from error


def read_all(
    files: Sequence[Path], mark: Mapping[str, str], samples: Mapping[str, str] | None = None
) -> list[pa.Table]:
    """READ, and the columns of the mark, of the files whose rows have its values.

    `samples`: id -> digest of the only samples whose rows are wanted; None: all.
    """
    columns = [*READ, *set(mark) - set(READ)]
    names = [name for name in columns if SCHEMA.field(name).type == pa.string()]
    with ThreadPoolExecutor(THREADS) as pool:
        tables = list(pool.map(partial(read, columns=columns, categories=names), files))
    if samples is not None:
        tables = [_of_samples(table, samples) for table in tables]
    return [
        table for table in tables if len(table) and all(table[name][0].as_py() == value for name, value in mark.items())
    ]


def _of_samples(table: pa.Table, samples: Mapping[str, str]) -> pa.Table:
    """The rows of these samples, by id and digest."""
    ids, digests = (table[name].combine_chunks() for name in ("sample_id", "sample_digest"))
    code = {digest: place for place, digest in enumerate(digests.dictionary.to_pylist())}
    wanted = np.array([code.get(samples.get(name, ""), -1) for name in ids.dictionary.to_pylist()], dtype=np.int64)
    rows = wanted[ids.indices.to_numpy()] == digests.indices.to_numpy()
    return table.filter(pa.array(rows))


def keys_of(table: pa.Table) -> tuple[list[ScoreKey], np.ndarray]:
    """The keys of a file's rows, and for each row which of them it has: (N,)."""
    first = {name: table[name][0].as_py() for name in ("task_id", "method_id", "seed", "fingerprint")}
    metrics = table["metric_id"].combine_chunks()
    keys = [
        ScoreKey(first["task_id"], first["method_id"], metric, first["seed"], first["fingerprint"])
        for metric in metrics.dictionary.to_pylist()
    ]
    return keys, metrics.indices.to_numpy()


def in_order(table: pa.Table, name: str) -> list[str]:
    """The different texts of a column that was read as a category, in the order in which they come."""
    column = table[name].combine_chunks()
    codes, first = np.unique(column.indices.to_numpy(), return_index=True)
    texts = column.dictionary.to_pylist()
    return [texts[code] for code in codes[np.argsort(first)]]


def frame(tables: Sequence[pa.Table]) -> pd.DataFrame:
    """The rows of score files, the earliest first, as one sorted table with names as categories; the latest of a kind."""
    empty = _with_categories(SCHEMA.empty_table().select(READ))
    table = pa.concat_tables([empty, *(table.select(READ) for table in tables)]).unify_dictionaries()
    names = {name: table[name].combine_chunks() for name in NAMES}
    numbers = table.drop_columns(list(NAMES)).to_pandas(split_blocks=True)
    rows = numbers.assign(**{name: _category(column) for name, column in names.items()})[READ]
    codes = [rows[name] if name == "seed" else rows[name].cat.codes for name in SORTED]
    order = np.lexsort(codes[::-1])  # stable: of the same key the latest is last
    differs = np.any([np.diff(code.to_numpy()[order]) != 0 for code in codes], axis=0)
    return rows.take(order[np.append(differs, True)] if len(order) else order).reset_index(drop=True)


def _number(path: Path) -> int:
    """Files are numbered from 1 on; those of versions that had one for each metric have no number, and are older."""
    number = path.stem.partition("-")[2]
    return int(number) if number.isdigit() else 0


def _order(path: Path) -> tuple[int, Path]:
    return _number(path), path


def _stem(path: Path) -> str:
    if _number(path):
        return path.stem.partition("-")[0]
    table = read(path, KEY, KEY_NAMES)
    return keys_of(table)[0][0].stem if len(table) else ""


def _write(folder: Path, stem: str, before: Sequence[Path], table: pa.Table) -> None:
    number = 1 + max(map(_number, before), default=0)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / f"{stem}-{number:05d}.parquet") as part:
        pq.write_table(table, part, compression="zstd", use_dictionary=REPEATED, write_statistics=False)


def _table(record: Record, task: Entry, method: Entry, metric: Metric) -> pa.Table:
    n = len(record.sample_ids)
    constant = {
        "task": task.name,
        "method": method.name,
        "metric": metric.name,
        "task_id": task.id,
        "method_id": method.id,
        "metric_id": metric.id,
        "method_family": method.family,
        "metric_family": metric.family,
        "higher_is_better": metric.higher_is_better,
        "label": metric.label,
        "fingerprint": record.key.fingerprint,
        "seed": record.key.seed,
        "features": record.features,
        "seconds": record.seconds / n,
        "environment": record.environment,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    columns = {
        "sample_id": record.sample_ids,
        "sample_digest": record.sample_digests,
        "score": record.scores,
        "status": record.status,
        "note": record.note,
    }
    arrays = {name: pa.repeat(pa.scalar(value, SCHEMA.field(name).type), n) for name, value in constant.items()}
    arrays |= {name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()}
    arrays["curve"] = _curves(record.curves, n)
    return pa.table([arrays[name] for name in SCHEMA.names], schema=SCHEMA)


def _curves(curves: np.ndarray | None, n: int) -> pa.Array:
    """Curves (N, steps + 1) as lists; none where a row has a gap."""
    kind = SCHEMA.field("curve").type
    if curves is None:
        return pa.nulls(n, kind)
    whole = ~np.isnan(curves).any(1)
    ends = np.concatenate([[0], np.cumsum(whole * curves.shape[1])]).astype(np.int32)
    values = pa.array(curves[whole].astype(np.float32).ravel())
    return pa.ListArray.from_arrays(pa.array(ends), values, type=kind, mask=pa.array(~whole))


def _with_categories(table: pa.Table) -> pa.Table:
    """The names of a table as dictionaries, as `read` gives them."""
    for index, name in enumerate(table.column_names):
        if name in NAMES:
            table = table.set_column(index, name, table[name].dictionary_encode())
    return table


def _category(column: pa.Array) -> pd.Categorical:
    """Texts as categories in alphabetical order."""
    names = np.array(column.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names, kind="stable")
    code = np.empty(len(order), dtype=np.int64)
    code[order] = np.arange(len(order))
    return pd.Categorical.from_codes(code[column.indices.to_numpy()], categories=pd.Index(names[order], dtype=object))
