"""What the features of an entry look like, told from the cache alone: how long, how large, how empty, how alike.

A part is read once and in one piece, and its steps are looked at a block at a time; what was found may be kept beside,
and counts while the part has the same size and time of change.
"""

import contextlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from features import index
from features.disk import beside, make_folder
from features.index import Rows, Stamp
from features.reader import Reader
from features.roots import CacheError
from features.store import Part
from features.windows import Array

WIDEST = 4096
"""Steps of more values, such as pictures, have no mean that anybody would compare."""
SUFFIX = ".measured"
_FORMAT = 1
_BLOCK_BYTES = 2**19
"""Steps are looked at in blocks of about so many bytes, which stay within a processor's own memory."""
_ROWS = 512
"""Clips are compared with all others so many at a time."""
_DIGEST_BYTES = 16
_MOST = float(np.finfo(np.float32).max)
_TABLE = (
    ("windows", "<i8"),
    ("seconds", "<f8"),
    ("valid", "<f8"),
    ("norms", "<f4"),
    ("zeros", "<f4"),
    ("bad", "<i8"),
)
Table = NDArray[np.void]
"""(c) what was measured of each clip of a part, in the order of its rows."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What each clip of an entry looks like: c clips, d values of a step laid flat.

    A step with a value that is no number is counted in `bad` and left out of what follows from values.
    """

    clips: tuple[str, ...]
    """In the reader's order; of duplicates the one that it reads."""
    windows: NDArray[np.int64]
    """(c) how many windows."""
    seconds: NDArray[np.float64]
    """(c) where the last window ends; 0 for words, which lie nowhere in time."""
    valid: NDArray[np.float64]
    """(c) share of steps that rest on real input; 0 where there is no step."""
    norms: NDArray[np.float32]
    """(c) mean L2 norm of the real steps."""
    zeros: NDArray[np.float32]
    """(c) share of the real steps' values that are exactly zero."""
    bad: NDArray[np.int64]
    """(c) how many values of the real steps are NaN or infinite."""
    means: NDArray[np.float32]
    """(c, d) mean of the real steps, zeros where there is none.

    d is 0 where a mean says nothing: for whole numbers, which are letters, tokens or gray pixels, and for wide steps.
    """
    unreadable: tuple[str, ...] = ()
    """`part: reason` of every part that could not be read; its clips are left out."""


def measure(reader: Reader, keep: Path | None = None, tell: Callable[[int, int], None] = lambda *_: None) -> Measured:
    """Measure every clip of an entry; `keep` is a folder in which what was found of each part is kept.

    `tell` hears how many parts are done, and of how many. A part that cannot be read stops no other.
    """
    wanted: dict[Path, list[int]] = defaultdict(list)
    for path, row in reader.where.values():
        wanted[path].append(row)
    clips: list[str] = []
    tables: list[Table] = []
    unreadable: list[str] = []
    for done, (path, rows) in enumerate(wanted.items(), 1):
        try:
            table = _table(reader, path, keep)
            if tables and tables[0].dtype != table.dtype:
                raise CacheError("its steps are not as wide as those of the parts before")
            tables.append(table[rows])
            clips += [reader.rows[path].clips[row] for row in rows]
        except FileNotFoundError:
            unreadable.append(f"{path.name}: removed or rewritten meanwhile; measure again")
        except (CacheError, OSError) as error:
            reason = str(error).removeprefix(f"{path}: ").replace(str(path), path.name)
            unreadable.append(f"{path.name}: {reason}")
        tell(done, len(wanted))
    whole = np.concatenate(tables) if tables else np.zeros(0, _kind(0))
    columns = {name: np.ascontiguousarray(whole[name]) for name in _kind(0).names or ()}
    return Measured(tuple(clips), **columns, unreadable=tuple(unreadable))


def _kind(width: int) -> np.dtype[np.void]:
    return np.dtype([*_TABLE, ("means", "<f4", (width,))])


def _table(reader: Reader, path: Path, keep: Path | None) -> Table:
    """Return what was kept of a part, or measure it and keep that."""
    rows = reader.rows[path]
    if keep is None:
        return _measured(reader.part(path), rows)
    file = keep / reader.folder.parent.name / reader.folder.name / f"{path.name}{SUFFIX}"
    kept = _kept(file, index.stamp(path.stat()), rows)
    if kept is not None:
        return kept
    part = reader.part(path)
    table = _measured(part, rows)
    with contextlib.suppress(OSError):  # then it is measured again next time
        make_folder(file.parent)
        with beside(file) as temporary:
            temporary.write_bytes(_digest(part.stamp, rows, table.tobytes()) + table.tobytes())
    return table


def _digest(at: Stamp, rows: Rows, body: bytes) -> bytes:
    """Return what only the same file with the same clips and the same measures has."""
    digest = xxhash.xxh3_128(json.dumps([_FORMAT, *at, *rows.clips]).encode())
    digest.update(body)
    return digest.digest()


def _kept(file: Path, at: Stamp, rows: Rows) -> Table | None:
    """Return what was kept of a part; nothing where it is of another, damaged, or not what anybody could measure."""
    clips = len(rows.clips)
    try:
        if not file.is_file() or file.stat().st_size > _DIGEST_BYTES + clips * _kind(WIDEST).itemsize:
            return None
        data = file.read_bytes()
    except OSError:
        return None
    body = data[_DIGEST_BYTES:]
    kind = _kind(max(0, len(body) // clips - _kind(0).itemsize) // 4)
    if data[:_DIGEST_BYTES] != _digest(at, rows, body) or len(body) != clips * kind.itemsize:
        return None
    table = np.frombuffer(body, kind)
    sound = table["windows"].sum() == rows.windows and all(np.isfinite(table[name]).all() for name in kind.names or ())
    return table if sound else None


def _measured(part: Part, rows: Rows) -> Table:
    if part.rows != rows:
        raise CacheError("holds other clips than the index beside it says; delete index.jsonl there and measure again")
    found = part.whole()
    if found.values.dtype.kind not in "biuf":
        raise CacheError(f"expected numbers, got {found.values.dtype}")
    width = math.prod(found.values.shape[1:])
    averaged = found.values.dtype.kind == "f" and width <= WIDEST
    table = np.zeros(len(part.ids), _kind(width if averaged else 0))
    starts, lengths = found.start[part.clip_start], np.diff(found.start)
    table["windows"] = windows = np.diff(part.clip_start)
    table["seconds"][windows > 0] = found.spans_s[part.clip_start[1:][windows > 0] - 1, 1]
    real = np.arange(len(found.values)) < np.repeat(found.start[:-1] + found.valid, lengths)
    before = np.concatenate([[0], np.cumsum(real)])[starts]
    table["valid"] = np.diff(before) / np.maximum(np.diff(starts), 1)
    steps = found.values.reshape(len(found.values), width)
    for row, (first, last) in enumerate(zip(starts.tolist(), starts[1:].tolist(), strict=False)):
        here = real[first:last]
        _look(steps[first:last] if here.all() else steps[first:last][here], table[row : row + 1])
    return table


def _look(steps: Array, into: Table) -> None:
    """Measure the real steps (f, d) of one clip."""
    total = np.zeros(steps.shape[1])
    norm, zeros, count = 0.0, 0, 0
    for block, squares, bad in _blocks(steps):
        norm += float(np.sqrt(squares).sum(dtype=np.float64))
        zeros += int(np.count_nonzero(block == 0))
        count += len(block)
        into["bad"] += bad
        if into["means"].size:
            total += block.sum(axis=0)
    into["norms"] = min(norm / max(count, 1), _MOST)
    into["zeros"] = zeros / max(count * steps.shape[1], 1)
    if into["means"].size:
        into["means"] = np.clip(total / max(count, 1), -_MOST, _MOST)


def _blocks(steps: Array) -> Iterator[tuple[Array, Array, int]]:
    """Yield steps that can be calculated with, the squares of their norms, and how many values beside are no numbers.

    Squares that are finite show that all is well; only where one is not is each value asked, and with more digits.
    """
    some = max(1, _BLOCK_BYTES // max(4 * steps.shape[1], 1))
    for first in range(0, len(steps), some):
        taken = steps[first : first + some]
        block: Array = taken.astype(np.float64 if taken.dtype.itemsize > 4 else np.float32, copy=False)
        squares, bad = np.einsum("ij,ij->i", block, block), 0
        if not np.isfinite(squares).all():
            finite = np.isfinite(taken)
            block = taken[finite.all(axis=1)].astype(np.float64)
            squares, bad = np.einsum("ij,ij->i", block, block), int(np.count_nonzero(~finite))
        yield block, squares, bad


def nearest(
    means: NDArray[np.float32], of: Sequence[int] | NDArray[np.integer[Any]], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k clips most like each clip of `of`, by the cosine of their means around the mean of all.

    Both are (len(of), k), the most alike first. Cosines count to six digits, and clips that are as alike come in their
    order. A clip whose mean is all zeros, as without a real step, is no neighbour and has none; where there are fewer
    than k, -1 stands, and 0.
    """
    asked = np.asarray(of, np.int64).reshape(-1)
    places, cosines = np.full((len(asked), k), -1, np.int64), np.zeros((len(asked), k), np.float32)
    real = _real(means)
    directions = _directions(means, real)
    for first in range(0, len(asked), _ROWS):
        rows = asked[first : first + _ROWS]
        alike = directions[rows] @ directions.T
        np.round(alike, 6, out=alike)
        alike[:, ~real] = -np.inf
        alike[~real[rows]] = -np.inf
        each = np.arange(len(rows))
        alike[each, rows] = -np.inf
        for rank in range(min(k, len(means))):
            best = alike.argmax(axis=1)
            found = alike[each, best]
            there = np.isfinite(found)
            places[first : first + _ROWS, rank] = np.where(there, best, -1)
            cosines[first : first + _ROWS, rank] = np.where(there, found, 0)
            alike[each, best] = -np.inf
    return places, cosines


def _real(means: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which clips have a mean that says something."""
    return np.asarray(means.any(axis=1), np.bool_)


def _directions(means: NDArray[np.float32], real: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return each clip's mean less the mean of all as a vector of length 1; zeros where nothing is left."""
    centre = means.mean(axis=0, dtype=np.float64, where=real[:, None]) if real.any() else np.zeros(means.shape[1])
    directions = np.zeros(means.shape, np.float32)
    for first in range(0, len(means), _ROWS):
        rows = means[first : first + _ROWS]
        away = rows - centre.astype(np.float32).astype(np.float64)  # as exact as the rows, so that equal ones are zero
        lengths = np.sqrt(np.einsum("ij,ij->i", away, away))[:, None]
        np.divide(away, lengths, out=away, where=lengths > 0)
        directions[first : first + _ROWS] = away
    return directions


@dataclass(frozen=True)
class Drift:
    """How far the mean of a group of clips lies from that of the others."""

    group: str
    clips: int
    distance: float
    """In standard deviations of a dimension, root mean square over dimensions."""
    expected: float
    """What chance alone gives for so many clips."""


def drift(means: NDArray[np.float32], groups: Sequence[str], against: NDArray[np.bool_]) -> list[Drift]:
    """Compare the mean of each group with that of the clips of `against` that are not in it.

    The unit is the standard deviation of the clips of `against` in each dimension; dimensions in which they do not
    differ are left out. If nothing sets a group of n clips apart from the m others, the square of the distance is
    1/n + 1/m on average, whatever the dimensions have to do with each other. Clips whose mean is all zeros, as
    without a real step, are nobody's. Where a group, or what it is compared with, has fewer than 2 clips, nothing is
    said. Groups come in the order in which they first appear.
    """
    real = _real(means)
    against = against & real
    members: dict[str, list[int]] = defaultdict(list)
    for place in np.flatnonzero(real).tolist():
        members[groups[place]].append(place)
    total, spread = _total_and_spread(means[against])
    differing = spread > 0
    found = []
    for group, places in members.items():
        inside = np.asarray(places)[against[places]]
        others = int(against.sum()) - len(inside)
        if len(places) < 2 or others < 2 or not differing.any():
            continue
        rest = (total - means[inside].sum(axis=0, dtype=np.float64)) / others
        away = (means[places].mean(axis=0, dtype=np.float64) - rest)[differing] / spread[differing]
        distance = math.sqrt(float(np.mean(away**2)))
        found.append(Drift(group, len(places), distance, math.sqrt(1 / len(places) + 1 / others)))
    return found


def _total_and_spread(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum and the standard deviation of each column."""
    total = rows.sum(axis=0, dtype=np.float64)
    away = rows - (total / max(len(rows), 1)).astype(np.float32)
    return total, np.sqrt(np.einsum("ij,ij->j", away, away, dtype=np.float64) / max(len(rows), 1))
