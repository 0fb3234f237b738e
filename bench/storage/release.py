"""Release files: the scores of a results folder in one small parquet file, beside which other methods can be ranked.

One row per task, method, metric and sample, as in the store, without curves and costs: a cost measures a machine. Scores keep
all their digits. Each task is a row group; what is the same for all its rows stands in the metadata, as JSON under `bench`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench import __version__
from bench.core.errors import RequestError
from bench.core.hashing import digest
from bench.core.vocabulary import COST
from bench.storage.parts import NAMES, READ, SCHEMA

FORMAT = 1
KEY = b"bench"
OF_TASK = ("task", "fingerprint", "written", "seed", "features", "curve")  # columns that the file has no need of
COLUMNS = [name for name in READ if name not in OF_TASK]
SORTED = ["metric_id", "method_id", "sample_id"]
LEVELS = SMALL, FAST = 19, 3  # of compression
PAGE = 1 << 24  # bytes; pages of whole columns are the smallest


@dataclass(frozen=True)
class TaskFacts:
    """What holds for all scores of a task."""

    task_id: str
    fingerprint: str
    rows: int  # in the file
    features: int  # of a sample
    written: str  # when the last score was
    samples: int  # in the file: the first of the task
    samples_scored: int  # in the results folder
    methods: dict[str, str]  # name -> id
    metrics: dict[str, str]


@dataclass(frozen=True)
class Part:
    """The scores of a task that go into a file."""

    task_id: str
    rows: pd.DataFrame  # as `Store.read` gives them, of one seed
    order: Sequence[str]  # all sample ids, as the task counts them


@dataclass(frozen=True)
class Release:
    """A release file that was read."""

    content: bytes
    name: str  # what messages call it
    version: str  # of the harness that wrote it
    seed: int
    tasks: dict[str, TaskFacts]

    def samples(self, task: str) -> dict[str, str]:
        """Sample id -> digest of its input, of a task."""
        table = self._read(task, ["sample_id", "sample_digest"])
        return dict(zip(table["sample_id"].to_pylist(), table["sample_digest"].to_pylist(), strict=True))

    def rows(
        self, task: str, *, methods: Collection[str], metrics: Collection[str], samples: Collection[str]
    ) -> pa.Table:
        """The scores of a task by these methods (names) and metrics (ids) on these samples, in the columns of `READ`."""
        table, facts = self._read(task, COLUMNS), self.tasks[task]
        table = chosen(table, method=methods, metric_id=metrics, sample_id=samples)
        same: dict[str, Any] = {"task": task, "fingerprint": facts.fingerprint, "written": facts.written}
        same |= {"seed": self.seed, "features": facts.features, "curve": None}
        for name, value in same.items():
            table = table.append_column(name, _repeated(name, value, len(table)))
        return table.select(READ)

    def _read(self, task: str, columns: list[str]) -> pa.Table:
        names = [name for name in columns if name in NAMES]
        try:
            file = pq.ParquetFile(BytesIO(self.content), read_dictionary=names, page_checksum_verification=True)
            table = file.read_row_group(list(self.tasks).index(task), columns=columns, use_threads=False)
            table.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged(self.name) from error
        if len(table) != self.tasks[task].rows:
            raise damaged(self.name)
        return table


def read(content: bytes, name: str) -> Release:
    """A release file from its bytes; `name`: what messages call it. Raises RequestError for any other content."""
    try:
        file = pq.ParquetFile(BytesIO(content))
        types = {one.name: one.type for one in file.schema_arrow}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(name) from error
    facts = _facts(file.schema_arrow.metadata or {})
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        raise RequestError(f"{name} is not a release file of this harness; `python -m bench pack` writes one")
    if facts["format"] > FORMAT:
        raise RequestError(
            f"{name} was written by bench {facts.get('bench')}, in a newer form than bench {__version__} reads; update bench"
        )
    if facts.pop("digest", None) != _digest(facts):
        raise damaged(name)
    try:
        tasks = {task: TaskFacts(**own) for task, own in facts["tasks"].items()}
        release = Release(content, name, facts["bench"], facts["seed"], tasks)
    except (KeyError, TypeError, AttributeError) as error:
        raise damaged(name) from error
    whole = len(tasks) == file.num_row_groups and all(types.get(one) == SCHEMA.field(one).type for one in COLUMNS)
    if not whole:
        raise damaged(name)
    return release


def damaged(name: str) -> RequestError:
    return RequestError(f"{name} is not a whole release file; get it again, or write it with `python -m bench pack`")


def encoded(
    parts: Mapping[str, Part], seed: int, *, samples: int | None = None, limit: float = np.inf, level: int = SMALL
) -> bytes:
    """The content of a release file, at most `limit` bytes: of tasks with many samples the first are kept.

    `samples`: at most so many of each task. Raises RequestError where not even one sample of each task fits.
    """
    most = min(samples or np.inf, max(len(part.order) for part in parts.values()))
    while True:
        content = _encoded(parts, seed, int(most), level)
        if len(content) <= limit:
            return content
        most = _fewer(content, parts, int(most), limit)


def _encoded(parts: Mapping[str, Part], seed: int, most: int, level: int) -> bytes:
    kept = {task: _first(part, most) for task, part in parts.items()}
    tasks = {task: asdict(_task_facts(part, kept[task])) for task, part in parts.items()}
    facts = {"format": FORMAT, "bench": __version__, "seed": seed, "tasks": tasks}
    facts["digest"] = _digest(facts)
    fields = [SCHEMA.field(name) for name in COLUMNS]
    schema = pa.schema(fields, metadata={KEY: json.dumps(facts, separators=(",", ":")).encode()})
    buffer = BytesIO()
    with pq.ParquetWriter(
        buffer,
        schema,
        compression="zstd",
        compression_level=level,
        use_dictionary=[name for name in COLUMNS if name in NAMES],
        use_byte_stream_split=["score"],
        write_statistics=False,
        write_page_checksum=True,
        data_page_size=PAGE,
    ) as writer:
        for rows in kept.values():
            arrays = [_array(rows[name], SCHEMA.field(name).type) for name in COLUMNS]
            writer.write_table(pa.table(arrays, schema=schema), row_group_size=max(1, len(rows)))
    return buffer.getvalue()


def _array(column: pd.Series, kind: pa.DataType) -> pa.Array:
    """A column as the file holds it; a score that is missing stays NaN."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pa.array(column).cast(kind)
    return pa.array(column.to_numpy(), kind)


def _first(part: Part, most: int) -> pd.DataFrame:
    """The scores of the first samples of a task, without costs, in the order in which they are the smallest."""
    wanted = part.rows["sample_id"].isin(part.order[:most]) & (part.rows["metric_family"] != COST)
    return part.rows[wanted].sort_values(SORTED, kind="stable")


def _task_facts(part: Part, kept: pd.DataFrame) -> TaskFacts:
    return TaskFacts(
        task_id=part.task_id,
        fingerprint=str(part.rows["fingerprint"].iloc[0]),
        rows=len(kept),
        features=int(part.rows["features"].iloc[0]),
        written=str(part.rows["written"].astype(str).max()),
        samples=int(kept["sample_id"].nunique()),
        samples_scored=len(part.order),
        methods=_ids(kept, "method"),
        metrics=_ids(kept, "metric"),
    )


def _ids(rows: pd.DataFrame, kind: str) -> dict[str, str]:
    return dict(sorted(set(zip(rows[kind].astype(str), rows[f"{kind}_id"].astype(str), strict=True))))


def _fewer(content: bytes, parts: Mapping[str, Part], most: int, limit: float) -> int:
    """How many samples of each task will fit, where `most` do not."""
    metadata = pq.ParquetFile(BytesIO(content)).metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    sizes = [sum(group.column(one).total_compressed_size for one in range(group.num_columns)) for group in groups]
    have = [min(most, len(part.order)) for part in parts.values()]
    rest = len(content) - sum(sizes)
    for fewer in range(most - 1, 0, -1):
        need = sum(size * min(1.0, fewer / n) for size, n in zip(sizes, have, strict=True))
        if rest + need <= limit:
            return max(1, fewer - fewer % 10) if fewer > 10 else fewer
    raise RequestError(f"one sample of each task takes more than {limit / 1e6:g} MB; allow more, or name fewer tasks")


def chosen(table: pa.Table, **wanted: Collection[str]) -> pa.Table:
    """The rows whose texts are among those wanted, by column."""
    takes = np.ones(len(table), dtype=bool)
    for name, texts in wanted.items():
        column, some = table[name].combine_chunks(), set(texts)
        among = np.array([text in some for text in column.dictionary.to_pylist()], dtype=bool)
        takes &= among[column.indices.to_numpy()] if len(table) else True
    return table if takes.all() else table.filter(pa.array(takes))


def _repeated(name: str, value: Any, n: int) -> pa.Array:
    """A column of one value, as `parts.read` gives it: texts as dictionaries."""
    kind = SCHEMA.field(name).type
    if name in NAMES:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value], kind))
    return pa.repeat(pa.scalar(value, kind), n) if value is not None else pa.nulls(n, kind)


def _digest(facts: Mapping[str, Any]) -> str:
    """Pages have checksums of their own; the metadata have this one."""
    return digest(json.dumps(facts, sort_keys=True))


def _facts(metadata: Mapping[bytes, bytes]) -> Any:
    try:
        return json.loads(metadata.get(KEY, b""))
    except ValueError:
        return None
