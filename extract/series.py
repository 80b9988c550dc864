"""From tables of text to numbers on a clock: what was recorded over time beside sound and picture, as motion capture.

A table has a row for each moment: some columns that count, its seconds, its values, with blanks, tabs, commas or
semicolons between. Lines before the first row name the columns and are passed over. `NaN` stands for what is missing.
"""

import codecs
import io
import math
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from extract.media_stream import MediaError, length_s, start_s
from extract.sound import LONGEST_S
from manifests import Series

MOST_BYTES = 1 << 27
MOST_LINE_BYTES = 1 << 16
MOST_HEAD_LINES = 10
TICKS = 1_000_000
"""Times are whole millionths of a second: a tenth that a table writes as 0.1 begins its slot, and a float may not."""
LATEST_S = 1e9
_BETWEEN = bytes.maketrans(b"\t,;", b"   ")
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)", re.IGNORECASE)

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """The rows of one file that lie in a clip."""

    ticks: NDArray[np.int64]
    """When, from the clip's start; they rise."""
    values: Numbers
    """(rows, columns), NaN where a value is missing."""

    def between(self, first: int, end: int | None) -> Self:
        """Return the rows from one moment on and before another, with times that count from the first."""
        kept = slice(*np.searchsorted(self.ticks, [first, self.ticks[-1] + 1 if end is None else end]))
        return type(self)(self.ticks[kept] - first, self.values[kept])


@dataclass(frozen=True)
class Readings:
    """The tables of a clip side by side, and how long they last."""

    tables: Sequence[Table]
    duration_s: Fraction

    @property
    def nbytes(self) -> int:
        """Return how much memory they hold."""
        return sum(table.ticks.nbytes + table.values.nbytes for table in self.tables)

    @property
    def columns(self) -> tuple[int, ...]:
        """Return how many values each table has at a moment."""
        return tuple(table.values.shape[1] for table in self.tables)

    def steps(self, rate_hz: int) -> tuple[Numbers, int]:
        """Return the mean of the rows in each slot, and how many slots no row fell into.

        Where a value is missing in a whole slot it is what it was before, at the start what it will be first, and zero
        in a clip in which it never was.
        """
        count = math.ceil(self.duration_s * rate_hz)
        met, columns = np.zeros(count, bool), []
        for table in self.tables:
            slots = table.ticks * rate_hz // TICKS
            met[slots] = True
            columns.append(_means(table.values, slots, count))
        return _filled(np.concatenate(columns, axis=1)), int(count - met.sum())


class Tables:
    """The tables of one visit: those of the last clip stay for the next, which may lie in the same ones."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[str, dict[tuple[str, int], Table]] = {}
        self.opened = 0
        """How many files were read so far."""

    def read(self, name: str, track: Series) -> Readings:
        """Return a series of a clip; what is wrong with a table is raised with its name."""
        held = self._held.get(name, {})
        places = [(path, track.time_column) for path in track.paths]
        self._held[name] = {place: held[place] if place in held else self._opened(*place) for place in places}
        return _cut([self._held[name][place] for place in places], track)

    def _opened(self, path: str, time_column: int) -> Table:
        self.opened += 1
        try:
            return _table(self._root / path, time_column)
        except (OSError, ValueError) as error:
            raise MediaError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _cut(tables: Sequence[Table], track: Series) -> Readings:
    zero = min(int(table.ticks[0]) for table in tables)
    first = zero + round(start_s(track) * TICKS)
    most_s = length_s(track)
    end = None if most_s is None else first + round(most_s * TICKS)
    kept = [table.between(first, end) for table in tables]
    if not any(len(table.ticks) for table in kept):
        raise MediaError(f"{track.paths[0]}: no row lies in the clip, which begins at {float(start_s(track))} s")
    last = max(int(table.ticks[-1]) + _usual(table.ticks) for table in tables)
    duration_s = Fraction((last if end is None else min(last, end)) - first, TICKS)
    if duration_s > LONGEST_S:
        hours = float(duration_s) / 3600
        raise MediaError(f"{track.paths[0]}: expected a clip of at most {LONGEST_S // 3600} hours, got {hours:.1f}")
    return Readings(kept, duration_s)


def _table(path: Path, time_column: int) -> Table:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would wait for ever
        raise ValueError("not a regular file")
    if status.st_size > MOST_BYTES:
        raise ValueError(f"expected a table of at most {MOST_BYTES >> 20} MB, got {status.st_size >> 20}")
    text = path.read_bytes().removeprefix(codecs.BOM_UTF8).translate(_BETWEEN)
    head = _head_lines(text, time_column)
    rows = np.loadtxt(io.BytesIO(text), skiprows=head, comments=None, ndmin=2, encoding="latin-1")
    times_s = rows[:, time_column]
    if not (np.abs(times_s) <= LATEST_S).all():
        raise ValueError(f"expected seconds in column {time_column}, got {times_s[~(np.abs(times_s) <= LATEST_S)][0]}")
    ticks = np.rint(times_s * TICKS).astype(np.int64)
    if back := np.flatnonzero(np.diff(ticks) < 0).tolist():
        raise ValueError(f"expected times that rise, got {times_s[back[0] + 1]} after {times_s[back[0]]} s")
    with np.errstate(over="ignore"):  # what does not fit becomes infinite
        values = rows[:, time_column + 1 :].astype(np.float32)
    if infinite := int(np.isinf(values).sum()):
        raise ValueError(f"expected numbers, or NaN where one is missing, got {infinite} that are infinite")
    return Table(ticks, values)


def _head_lines(text: bytes, time_column: int) -> int:
    """Return how many lines stand before the first row, which alone is made of numbers."""
    lines = io.BytesIO(text)
    for number in range(MOST_HEAD_LINES):
        line = lines.readline(MOST_LINE_BYTES)
        if len(line) == MOST_LINE_BYTES:
            raise ValueError(f"expected a table of text, got a line of {MOST_LINE_BYTES} bytes or more")
        cells = line.split()
        if len(cells) > time_column + 1 and all(map(_NUMBER.fullmatch, cells)):
            return number
    raise ValueError(f"expected rows of numbers below a head of at most {MOST_HEAD_LINES} lines, got none")


def _usual(ticks: NDArray[np.int64]) -> int:
    """Return how long a row lasts, and so the last one: as long as most do."""
    return max(1, int(np.median(np.diff(ticks)))) if len(ticks) > 1 else 1


def _means(values: Numbers, slots: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Average what is there of each column in each slot; NaN where nothing is."""
    there = ~np.isnan(values)
    sums, counts = np.zeros((2, count, values.shape[1]))
    if len(slots):
        filled, begin = np.unique(slots, return_index=True)
        sums[filled] = np.add.reduceat(np.where(there, values, 0), begin, axis=0, dtype=np.float64)
        counts[filled] = np.add.reduceat(there, begin, axis=0, dtype=np.float64)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _filled(values: NDArray[np.float64]) -> Numbers:
    """Repeat the value before where one is missing, the first one before that, and zero where none ever was."""
    known = ~np.isnan(values)
    latest = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], -1), axis=0)
    source = np.where(latest >= 0, latest, known.argmax(axis=0))
    return np.nan_to_num(np.take_along_axis(values, source, axis=0)).astype(np.float32)
