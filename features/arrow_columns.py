"""Chosen clips as rows of Arrow, of which parquet files and Hugging Face datasets are made; `arrow_rows` reads them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from features import about
from features.arrow import library
from features.arrow_rows import FLOATS, INTERVALS, OURS
from features.exchange import Chosen, Steps
from features.reader import Reader
from features.roots import CacheError
from features.windows import Array

ROWS, BYTES = 64, 32 * 2**20
"""Rows go out together when there are so many, or so many bytes."""
NUMBERS = {"turn": "int64", **dict.fromkeys("sentiment_score valence arousal dominance start end".split(), "float64")}
"""Columns of a table that are numbers wherever every one of their cells is."""
MOST_MAKINGS = 8


@dataclass(frozen=True)
class Lists:
    """A column that has for every clip a list of steps, or one of them, each of so many numbers; or nothing."""

    width: int
    dtype: str
    vector: bool
    """One step for each clip, and no list of steps."""

    @property
    def kind(self) -> Any:
        """Return its type."""
        pa = library()
        step = pa.list_(pa.from_numpy_dtype(self.dtype), self.width)
        return step if self.vector else pa.list_(step)

    def column(self, steps: Sequence[Array | None]) -> Any:
        """Lay the steps of some clips out one after another; what is absent is told apart from no steps."""
        pa = library()
        some = [each if each is not None and (len(each) or not self.vector) else None for each in steps]
        blank = np.zeros((int(self.vector), self.width))
        flat = [
            (blank if each is None else each.reshape(-1, self.width)).astype(self.dtype, copy=False) for each in some
        ]
        lists = pa.FixedSizeListArray.from_arrays
        absent, numbers = pa.array([each is None for each in some]), pa.array(np.concatenate(flat).reshape(-1))
        if self.vector:
            return lists(numbers, self.width, mask=absent)
        ends = pa.array(np.cumsum([0, *map(len, flat)]), pa.int32())
        return pa.ListArray.from_arrays(ends, lists(numbers, self.width), mask=absent)


@dataclass(frozen=True)
class Feature:
    """One feature on its way out: what a step of it is, its columns, how it was made."""

    name: str
    shape: tuple[int, ...]
    values: Lists
    times: Lists | None
    making: Mapping[str, Any]

    def columns(self, rows: Sequence[tuple[str, Mapping[str, Steps]]]) -> Iterator[Any]:
        """Yield its values of some clips, and from when to when each step of them lasts."""
        for clip, found in rows:
            if self.name in found and found[self.name].values.shape[1:] != self.shape:
                raise CacheError(
                    f"expected every step of {self.name} to have the axes {self.shape}, "
                    f"got {found[self.name].values.shape[1:]} of {clip!r}; leave that clip out"
                )
        steps = [found.get(self.name) for _, found in rows]
        yield self.values.column([each.values if each else None for each in steps])
        if self.times:
            yield self.times.column([each.interval_s if each else None for each in steps])


@dataclass
class Sheet:
    """All rows: what they are called, of what type, and how they go out some at a time."""

    chosen: Chosen
    dtype: str = ""
    """As the cache has it, unless it is said."""
    intervals: str = "yes"
    """Whether each step says from when to when it lasts."""
    features: list[Feature] = field(init=False)
    labels: dict[str, str] = field(init=False)
    """Columns of the table, by what kind of value they hold."""

    def __post_init__(self) -> None:
        if self.dtype not in ("", *FLOATS):
            raise CacheError(f"expected dtype to be {', '.join(FLOATS)}, or not said, got {self.dtype!r}")
        if self.intervals not in ("yes", "no"):
            raise CacheError(f"expected intervals to be yes or no, got {self.intervals!r}")
        self.features = [self._feature(name) for name in self.chosen.readers]
        rows = [self.chosen.rows.get(clip, {}) for clip in self.chosen.clips]
        columns = dict.fromkeys(name for row in rows for name in row if name != "id")
        self.labels = {name: _kind(name, [row.get(name, "") for row in rows]) for name in columns}
        names = self.schema.names
        if twice := {name for name in names if names.count(name) > 1}:
            raise CacheError(f"two columns would be called {', '.join(sorted(twice))}; give that feature another name")

    def _feature(self, name: str) -> Feature:
        reader = self.chosen.readers[name]
        clips = [clip for clip in self.chosen.clips if clip in reader]
        if not clips:
            raise CacheError(f"{reader.folder} has no features of any clip that was chosen; leave {name} out")
        shape, dtype = reader[clips[0]].values.shape[1:], self.dtype or reader.key.dtype
        if not np.prod(shape):
            raise CacheError(f"the steps of {name} have the axes {shape} and hold no numbers; leave it out")
        if not np.can_cast(reader.key.dtype, dtype, "safe"):
            raise CacheError(f"{name} is {reader.key.dtype}, which {dtype} cannot hold to the bit; say another dtype")
        vector = self.chosen.how == "clip"
        values = Lists(int(np.prod(shape)), dtype, vector)
        times = Lists(2, "float64", vector) if self.intervals == "yes" else None
        return Feature(name, shape, values, times, _making(self.chosen.corpus, reader, clips))

    @cached_property
    def schema(self) -> Any:
        """Return names and types of all columns, with what made them as metadata."""
        pa = library()
        columns = [("id", pa.string()), *((name, pa.type_for_alias(kind)) for name, kind in self.labels.items())]
        for each in self.features:
            columns.append((each.name, each.values.kind))
            columns += [(each.name + INTERVALS, each.times.kind)] if each.times else []
        features = {each.name: {"shape": list(each.shape), **each.making} for each in self.features}
        made = {"corpus": self.chosen.corpus, "how": self.chosen.how, "features": features}
        return pa.schema(columns, {OURS: json.dumps(made, sort_keys=True)})

    def batches(self, group: Callable[[str], str] = lambda _: "") -> Iterator[tuple[str, Any]]:
        """Yield rows, some at a time, with the group of their clips, in the order in which they fill up."""
        waiting: dict[str, list[tuple[str, dict[str, Steps]]]] = {}
        for clip, found in self.chosen.sequences():
            rows = waiting.setdefault(group(clip), [])
            rows.append((clip, found))
            size = sum(steps.values.nbytes for _, row in rows for steps in row.values())
            if len(rows) >= ROWS or size >= BYTES:
                yield group(clip), self._batch(waiting.pop(group(clip)))
        for name, rows in waiting.items():
            yield name, self._batch(rows)

    def _batch(self, rows: Sequence[tuple[str, Mapping[str, Steps]]]) -> Any:
        pa = library()
        columns = [pa.array([clip for clip, _ in rows], pa.string())]
        for name, kind in self.labels.items():
            cells = [self.chosen.rows.get(clip, {}).get(name, "") for clip, _ in rows]
            columns.append(pa.array([_value(cell, kind) for cell in cells], pa.type_for_alias(kind)))
        for feature in self.features:
            columns += feature.columns(rows)
        return pa.record_batch(columns, self.schema)


def _making(corpus: str, reader: Reader, clips: Sequence[str]) -> dict[str, Any]:
    """Return all that is known of how an entry was made, as far as these clips go."""
    parts = [reader.part(path) for path in dict.fromkeys(reader.where[clip][0] for clip in clips)]
    makings = list(dict.fromkeys(part.attribute("provenance") for part in parts))
    return {
        "entry": f"{corpus}/{reader.key.name}",
        "dtype": reader.key.dtype,
        "key": reader.key.to_json(),
        "licences": list(dict.fromkeys(part.attribute("licence") for part in parts)),
        "provenance": [json.loads(each) for each in makings[:MOST_MAKINGS]],
        "about": about.known(reader.folder),
    }


def _kind(name: str, cells: Sequence[str]) -> str:
    kind = NUMBERS.get(name, "string")
    try:
        for cell in cells:
            _value(cell, kind)
    except ValueError:
        return "string"
    return kind


def _value(cell: str, kind: str) -> str | int | float | None:
    if not cell:
        return None
    return int(cell) if kind == "int64" else float(cell) if kind == "float64" else cell
