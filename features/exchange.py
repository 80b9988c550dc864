"""What the files of other tools have in common: features come in as pieces, and go out as one sequence for each clip.

A format is a module of this package with `read(source, **options)`, which yields a `Piece` for every clip and feature
without holding more than it must, and `write(target, chosen, **options)`. It may have `labels(source)`, rows of a table
that `make manifest CORPUS=folder` reads, and `said(source)`, what the file says of its making. `IDLE` names those of
its options that decide no number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from features.reader import Reader
from features.roots import CacheError
from features.windows import Array, Windows

FORMATS = ("arrays", "conv_emotion", "csd", "huggingface", "merbench", "mmsa", "parquet")
How = Literal["steps", "windows", "clip"]
HOWS: tuple[How, ...] = get_args(How)
INTERVALS = "interval_s"
"""The side channel that holds from when to when each step lasts, where the steps of a file are not evenly spaced."""
SPLITS = {"training": "train", "validation": "dev", "valid": "dev", "val": "dev", "testing": "test"}
"""What others call our splits."""
AT_ONCE = 256
"""Clips that are read together on their way out."""


@dataclass(frozen=True)
class Piece:
    """What another tool's file holds of one clip and one feature."""

    feature: str
    """As the file calls it."""
    clip: str
    windows: Windows


def whole(
    values: Array,
    *,
    valid: int | None = None,
    span_s: tuple[float, float] = (0.0, 0.0),
    interval_s: Array | None = None,
) -> Windows:
    """Return all steps (t, ...) as one window over the whole clip; where nobody knows its seconds, they are 0, 0."""
    steps = {} if interval_s is None else {INTERVALS: [np.asarray(interval_s, np.float64).reshape(-1, 2)]}
    return Windows.join([values], [span_s], [len(values) if valid is None else valid], steps)


@dataclass(frozen=True)
class Steps:
    """One clip's way out: its real steps one after another, and from when to when each lasts."""

    values: Array
    """(t, ...)"""
    interval_s: Array
    """(t, 2)"""


@dataclass(frozen=True)
class Chosen:
    """What goes out: entries under the names that they shall have there, clips in order, and a table's rows of them."""

    corpus: str
    readers: Mapping[str, Reader]
    """By the name that a feature shall have in the other tool's file."""
    clips: Sequence[str]
    rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of a clip, the row of the table of labels; its columns are those of `CORPUS=folder`."""
    how: How = "steps"
    """Every real step, the mean of each window, or one mean of the whole clip."""

    def sequences(self) -> Iterator[tuple[str, dict[str, Steps]]]:
        """Yield every clip with those of its features that are there, some clips at a time."""
        for first in range(0, len(self.clips), AT_ONCE):
            some = self.clips[first : first + AT_ONCE]
            found = {name: reader.read(some) for name, reader in self.readers.items()}
            for clip in some:
                yield clip, {name: sequence(each[clip], self.how) for name, each in found.items() if clip in each}

    def table(self, *columns: str) -> dict[str, Mapping[str, str]]:
        """Return the row of every clip; a format that needs columns which nobody gave says how to get them."""
        lacking = {name for name in columns for clip in self.clips if not self.rows.get(clip, {}).get(name)}
        if lacking:
            raise CacheError(
                f"this format needs {', '.join(sorted(lacking))} of every clip: write a table with "
                f"python -m manifests table {self.corpus} -o labels.csv, and say --labels labels.csv"
            )
        return {clip: self.rows.get(clip, {}) for clip in self.clips}


def sequence(windows: Windows, how: How) -> Steps:
    """Return the real steps of all windows one after another, the mean of each window, or that of the whole clip."""
    if how == "steps":
        return Steps(windows.real(), _intervals(windows))
    there = windows.valid > 0
    spans_s = windows.spans_s[there]
    if how == "windows" or not there.any():
        means = [_mean(windows.window(i)[: windows.valid[i]]) for i in np.flatnonzero(there).tolist()]
        return Steps(np.array(means, windows.values.dtype).reshape(-1, *windows.values.shape[1:]), spans_s)
    return Steps(_mean(windows.real())[None], np.array([[spans_s[:, 0].min(), spans_s[:, 1].max()]]))


def _mean(values: Array) -> Array:
    mean: Array = values.mean(axis=0, dtype=np.float64).astype(values.dtype)
    return mean


def _intervals(windows: Windows) -> Array:
    """Divide every window evenly among its real steps, unless the steps themselves say when they last."""
    told = windows.steps.get(INTERVALS)
    found = [np.zeros((0, 2))]
    for i, valid in enumerate(windows.valid.tolist()):
        start = windows.start[i]
        begin_s, end_s = windows.spans_s[i].tolist()
        edges = np.linspace(begin_s, end_s, valid + 1)
        found.append(np.stack([edges[:-1], edges[1:]], axis=1) if told is None else told[start : start + valid])
    return np.concatenate(found)
