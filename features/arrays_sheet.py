"""Which arrays of a table are features and which are labels, and which of their steps are real."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from features.arrays_tables import IDS, Table, texts
from features.exchange import SPLITS, Piece, whole
from features.roots import CacheError
from features.rows import Rows
from features.windows import Array, Windows

LENGTHS, TIMES = "{feature}_lengths", "{feature}_interval_s"
NUMBERS = "iufb"
STEPS = 3
"""Axes of an array that has steps: clips, steps, numbers."""
Span = tuple[int, int]
"""The first real step, and the one after the last; 0, 0 where there is none."""


@dataclass(frozen=True)
class Asked:
    """What a user says of the arrays."""

    ids: str = ""
    features: str = ""
    labels: str = ""
    lengths: str = LENGTHS
    times: str = TIMES
    padding: str = ""
    align: str = ""
    files: str = ""

    def __post_init__(self) -> None:
        if self.padding not in ("", "zeros"):
            raise CacheError(f"expected padding=zeros, or none said, got padding={self.padding}")

    def names(self, option: str) -> list[str]:
        """Return the arrays that an option names."""
        return [name.strip() for name in str(getattr(self, option)).split(",") if name.strip()]


class Sheet:
    """The arrays of one split."""

    def __init__(self, table: Table, asked: Asked) -> None:
        self.table, self.asked = table, asked
        self.ids = table.ids(asked.ids)
        self.features = self._chosen("features", lambda rows: rows.dtype.kind in NUMBERS and len(rows.shape) > 1)
        self.labels = self._chosen("labels", lambda rows: len(rows.shape) == 1)
        for name, rows in self.features.items():
            if rows.dtype.kind not in NUMBERS:
                raise self._wrong(name, "numbers")

    def _chosen(self, option: str, usual: Callable[[Rows], bool]) -> dict[str, Rows]:
        """Return the arrays that a user names, or else all that look so and are not told to be something else."""
        arrays = self.table.arrays
        if named := [name for name in self.asked.names(option) if name in arrays]:
            return {name: self._array(name) for name in named}
        if self.asked.names(option):
            return {}
        other = {self.asked.ids or IDS, *self.asked.names("features"), *self.asked.names("labels")}
        other |= {of(pattern, name) for name in arrays for pattern in (self.asked.lengths, self.asked.times)}
        fits = {name: rows for name, rows in arrays.items() if name not in other and rows.shape[0] == len(self.ids)}
        return {name: rows for name, rows in fits.items() if usual(rows)}

    def _array(self, name: str, *axes: int) -> Rows:
        """Return an array that has a row for each clip, of these axes where they are told."""
        rows = self.table.arrays[name]
        if rows.shape[0] != len(self.ids) or (axes and rows.shape[1:] != axes):
            raise self._wrong(name, f"{len(self.ids)} rows, one for each clip" + f", of the axes {axes}" * bool(axes))
        return rows

    def _wrong(self, name: str, expected: str) -> CacheError:
        rows = self.table.arrays[name]
        where = f"{self.table.where}: {self.table.split}".rstrip(": ")
        return CacheError(f"{where}: expected {expected} in {name}, got {rows.shape} of {rows.dtype}")

    def pieces(self) -> Iterator[Piece]:
        """Yield every clip of every feature that has a real step."""
        align = self.asked.align
        if align and align not in self.features:
            raise CacheError(f"{self.table.where}: {self.table.split or 'it'} has no {align} to align others with")
        aligned = [span for _, span, _ in self._each(align)] if align else []
        for name, rows in self.features.items():
            in_steps = bool(align) and len(rows.shape) >= STEPS
            if in_steps and rows.shape[1] != (steps := self.features[align].shape[1]):
                raise self._wrong(name, f"{steps} steps, as {align} has,")
            for row, (steps_of_clip, own, times) in enumerate(self._each(name)):
                span = aligned[row] if in_steps and any(own) and any(aligned[row]) else own
                if any(span):
                    yield Piece(name, self.ids[row], self._windows(name, steps_of_clip, span, times))

    def _each(self, name: str) -> Iterator[tuple[Array, Span, Array | None]]:
        """Yield of every clip all steps, which of them are real, and when each lasts where that is told."""
        rows = self.features[name]
        in_steps = len(rows.shape) >= STEPS
        count = rows.shape[1] if in_steps else 1
        lengths, times = self._lengths(name, count), self._times(name, count if in_steps else None)
        zeros = self.asked.padding == "zeros" or (name == self.asked.align and lengths is None)
        clips = len(self.ids)
        for row, length, time in zip(
            rows.each(), lengths or repeat(count, clips), times.each() if times else repeat(None, clips), strict=True
        ):
            steps = row if in_steps else np.reshape(row, (1, -1))
            yield steps, _real(steps[:length]) if zeros else (0, length), time

    def _lengths(self, name: str, most: int) -> list[int] | None:
        told = of(self.asked.lengths, name)
        if told not in self.table.arrays:
            if self.asked.lengths != LENGTHS:
                raise CacheError(
                    f"{self.table.where}: expected {told}, the lengths of {name}, got {self.table.shown()}"
                )
            return None
        lengths = self._array(told).whole().reshape(-1)
        if (
            lengths.dtype.kind not in "iu"
            or lengths.shape != (len(self.ids),)
            or not np.isin(lengths, range(most + 1)).all()
        ):
            raise self._wrong(told, f"for each clip a number of steps, from 0 to {most},")
        return [int(length) for length in lengths]

    def _times(self, name: str, steps: int | None) -> Rows | None:
        told = of(self.asked.times, name)
        if told not in self.table.arrays:
            if self.asked.times != TIMES:
                raise CacheError(f"{self.table.where}: expected {told}, the times of {name}, got {self.table.shown()}")
            return None
        return self._array(told, *(() if steps is None else (steps,)), 2)

    def _windows(self, name: str, steps: Array, span: Span, times: Array | None) -> Windows:
        values = steps[slice(*span)]
        if times is None:
            return whole(values)
        interval_s = np.asarray(times, np.float64).reshape(-1, 2)[slice(*span)]
        begin_s, end_s = float(interval_s[:, 0].min()), float(interval_s[:, 1].max())
        if not np.isfinite(interval_s).all() or end_s < begin_s:
            raise self._wrong(of(self.asked.times, name), "seconds from when to when each step lasts")
        return whole(values, span_s=(begin_s, end_s), interval_s=interval_s)

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield the labels of every clip."""
        columns = {name.rpartition("/")[2]: texts(rows) for name, rows in self.labels.items()}
        if self.table.split:
            columns["split"] = [self.table.split] * len(self.ids)
        for row, clip in enumerate(self.ids):
            found = {"id": clip} | {name: values[row] for name, values in columns.items() if name != "id"}
            if "split" in found:
                found["split"] = SPLITS.get(found["split"].lower(), found["split"])
            yield found


def of(pattern: str, feature: str) -> str:
    """Return what an array that belongs to a feature is called."""
    return pattern.replace("{feature}", feature)


def _real(steps: Array) -> Span:
    """Leave out steps of nothing but 0 before the first that has another number, and after the last."""
    there = np.flatnonzero(steps.reshape(len(steps), -1).any(axis=1))
    return (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)
