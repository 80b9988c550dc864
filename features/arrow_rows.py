"""Reading what parquet files and Hugging Face datasets have in common: a row for every clip, features in lists.

A column of lists of numbers is a feature: of lists of lists the outer ones are steps, a plain list is one vector. What
we wrote ourselves says more in the schema's metadata, as JSON under `affectline`: the axes of a step, the stored dtype,
and how each feature was made.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features import arrow
from features.exchange import SPLITS, Piece, whole
from features.roots import CacheError
from features.windows import Array

OURS = b"affectline"
INTERVALS = "_interval_s"
"""Behind the name of a feature: the column that says from when to when each of its steps lasts."""
FLOATS = ("float16", "float32", "float64")
MOST_TEXT, MOST_ID = 1 << 16, 1 << 10
"""Letters of a cell, and of a clip's id."""
MOST_SAID, MOST_WORDS = 32, 4000


@dataclass(frozen=True)
class Told:
    """What we said of a feature when we wrote it; nothing where others did."""

    shape: tuple[int, ...] | None = None
    """Of a step."""
    dtype: str = ""
    """In the cache that it came from."""

    def steps(self, column: Any, row: int) -> Array | None:
        """Return the steps of a row as they were in the cache."""
        values = arrow.steps(column, row, self.shape)
        if values is None or not self.dtype or not np.can_cast(self.dtype, values.dtype, "safe"):
            return values
        with np.errstate(over="ignore"):  # what does not fit is found on its way into the cache
            return values.astype(self.dtype, copy=False)


@dataclass(frozen=True)
class Layout:
    """Which columns of a file hold what."""

    path: Path
    ids: str
    features: Mapping[str, Told]
    intervals: Mapping[str, str]
    """By feature."""
    labels: Mapping[str, tuple[str, ...]]
    """Columns of single values, with the names that whole numbers stand for."""

    @property
    def arrays(self) -> list[str]:
        """Return the columns that features are read from; a file without any is refused."""
        if not self.features:
            raise CacheError(f"{self.path}: no column holds lists of numbers, as features are")
        return [self.ids, *self.features, *self.intervals.values()]

    @property
    def words(self) -> list[str]:
        """Return the columns that hold a word or a number."""
        return [self.ids, *self.labels]

    def pieces(self, batch: Any) -> Iterator[Piece]:
        """Yield what some rows hold of every feature; a row may lack any of them."""
        columns = arrow.checked(batch, self.arrays)
        for row in range(batch.num_rows):
            clip = self._clip(columns, row)
            for name, told in self.features.items():
                try:
                    values = told.steps(columns[name], row)
                    if values is not None:
                        yield Piece(name, clip, whole(values, **self._times(columns, row, name, len(values))))
                except ValueError as error:
                    raise CacheError(f"{self.path}, {name} of {clip!r}: {error}") from None

    def rows(self, batch: Any, split: str = "") -> Iterator[dict[str, str]]:
        """Yield what some rows hold beside features, as words; `split` is theirs where no column says it."""
        columns = arrow.checked(batch, self.words)
        for row in range(batch.num_rows):
            found = {"id": self._clip(columns, row), **({"split": split} if split else {})}
            for name, classes in self.labels.items():
                text = arrow.text(columns[name], row, classes)
                if len(text) > MOST_TEXT:
                    raise CacheError(f"{self.path}, {name} of {found['id']!r}: {len(text)} letters are no label")
                if name == "split":
                    text = SPLITS.get(text.lower(), text) or split
                found[name] = text
            yield found

    def _clip(self, columns: Mapping[str, Any], row: int) -> str:
        clip = arrow.text(columns[self.ids], row)
        if not clip or len(clip) > MOST_ID:
            raise CacheError(f"{self.path}: expected a clip's name in every {self.ids!r}, got {clip!r:.80}")
        return clip

    def _times(self, columns: Mapping[str, Any], row: int, feature: str, count: int) -> dict[str, Any]:
        if feature not in self.intervals:
            return {}
        found = arrow.numbers(columns[self.intervals[feature]], row)
        seconds = np.zeros((count, 2)) if found is None else found[1].astype(np.float64)
        if seconds.size != 2 * count:
            raise ValueError(f"expected from when to when each of {count} steps lasts, got {seconds.size} numbers")
        seconds = seconds.reshape(count, 2)
        span_s = (float(seconds[:, 0].min()), float(seconds[:, 1].max())) if count else (0.0, 0.0)
        return {"span_s": span_s, "interval_s": seconds}


def layout(schema: Any, path: Path, ids: str) -> Layout:
    """Return which columns hold what; a file without a column of clips is refused."""
    types = {name: arrow.plain(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
    if len(types) < len(schema.names):
        raise CacheError(f"{path}: two of its columns have one name: {', '.join(sorted(schema.names)):.200}")
    if ids not in types or not arrow.is_name(types[ids]):
        raise CacheError(
            f"{path}: expected a column {ids!r} of clips' names, got: {', '.join(types) or 'none':.400}; "
            "say which one it is, as in --set id=filename"
        )
    told, classes = _told(schema), _classes(schema)
    lists = [name for name, kind in types.items() if arrow.is_lists(kind)]
    times = {name: name + INTERVALS for name in lists if name + INTERVALS in lists}
    labels = [name for name, kind in types.items() if name not in (ids, "id") and arrow.is_value(kind)]
    return Layout(
        path=path,
        ids=ids,
        features={name: told.get(name, Told()) for name in lists if name not in times.values()},
        intervals=times,
        labels={name: classes.get(name, ()) for name in labels},
    )


def said(schema: Any) -> dict[str, str]:
    """Return what we said in the schema's metadata of how each feature was made, as short texts."""
    told = _dict(_json(schema, OURS))
    texts = {name: json.dumps(of) for name, of in _dict(told.get("features")).items()}
    texts |= {name: str(told[name]) for name in ("corpus", "how") if name in told}
    return {name[:80]: text[:MOST_WORDS] for name, text in list(texts.items())[:MOST_SAID]}


def _told(schema: Any) -> dict[str, Told]:
    found = {}
    for name, of in _dict(_dict(_json(schema, OURS)).get("features")).items():
        shape, dtype = _dict(of).get("shape"), _dict(of).get("dtype")
        if isinstance(shape, list) and all(type(size) is int and 0 < size < 1 << 31 for size in shape):
            found[name] = Told(tuple(shape), dtype if dtype in FLOATS else "")
    return found


def _classes(schema: Any) -> dict[str, tuple[str, ...]]:
    """Return the names that the numbers of a column stand for, where it is one of Hugging Face's class labels."""
    info = _dict(_dict(_json(schema, b"huggingface")).get("info"))
    features = {name: _dict(of) for name, of in _dict(info.get("features")).items()}
    named = {name: of.get("names") for name, of in features.items() if of.get("_type") == "ClassLabel"}
    return {name: tuple(map(str, names)) for name, names in named.items() if isinstance(names, list)}


def _json(schema: Any, key: bytes) -> object:
    try:
        return json.loads((schema.metadata or {}).get(key, b"{}"))
    except (ValueError, RecursionError):
        return {}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
