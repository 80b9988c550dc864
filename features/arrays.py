"""Arrays with a row for each clip, and the clips' names, as numpy and h5py save them: `.npz`, HDF5, a folder of `.npy`.

Layout: arrays of one file, or of the files of a folder, share their first axis. (n, d) is a vector for each clip,
(n, t, d) are t steps of it. What a file calls its arrays is told by options; what we write needs none:

- `ids=NAME` is the array that names the clips, by default `ids`; or a `.txt`, a clip a line, or a `.csv` with a column
  `id`, among the arrays or anywhere; or a pattern where nothing names them, as `ids={split}_{row:03}`.
- `features=A,B` are the arrays to read: by default all numbers of two axes or more that have a row for each clip.
- `labels=A,B` are columns of the table of labels: by default all that have one value for each clip.
- `lengths=NAME` tells how many steps are real, by default `lengths={feature}_lengths` where there is such an array;
  0 where a clip lacks the feature. `times={feature}_interval_s` tells from when to when each step lasts.
- `padding=zeros`: steps in which every number is 0 are none, before the first that has another and after the last. A
  clip without a real step lacks the feature. `align=FEATURE` takes of every feature those steps that are real in that.
- `files=PATTERN,PATTERN` tells what the files of a folder are called, by default `{feature}.npy`, as in
  `files={feature}_{split}_emb.h5,{feature}_{split}.h5`: the first that fits counts, a split is train, valid or test.

Kept: every real step to the bit, and when it lasts. Lost on the way out: padding, which steps make up a window, side
channels. Nothing is unpickled; rows are read block by block.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from features import arrays_tables, folders, hdf5_making, npy
from features.arrays_sheet import LENGTHS, TIMES, Asked, Sheet, of
from features.arrays_tables import HDF5, IDS
from features.disk import beside, make_folder
from features.exchange import Chosen, Piece, Steps
from features.roots import CacheError
from features.rows import step_of
from features.windows import Array

IDLE = frozenset(("labels",))
MOST_SAID = 4000
"""Letters that are told of what a file holds."""


def read(
    source: Path,
    *,
    ids: str = "",
    features: str = "",
    labels: str = "",
    lengths: str = LENGTHS,
    times: str = TIMES,
    padding: str = "",
    align: str = "",
    files: str = "",
) -> Iterator[Piece]:
    """Yield every clip of every feature, split by split."""
    asked = Asked(ids, features, labels, lengths, times, padding, align, files)
    with arrays_tables.opened(source, files) as found:
        sheets = [Sheet(table, asked) for table in found]
        there = {name for sheet in sheets for name in sheet.features}
        absent = {*asked.names("features"), *asked.names("align")} - there
        if absent or not there:
            what = ", ".join(sorted(absent)) or "numbers of two axes or more, with a row for each clip"
            shown = "; ".join(f"{table.split} {table.shown()}".lstrip() for table in found)
            raise CacheError(f"{source}: expected {what}, got {shown:.{MOST_SAID}}; say which are meant with features=")
        for sheet in sheets:
            yield from sheet.pieces()


def labels(source: Path, **options: str) -> Iterator[dict[str, str]]:
    """Yield the single values of every clip, and the split that it lies in; options are those of `read`."""
    asked = Asked(**options)
    with arrays_tables.opened(source, asked.files) as found:
        for table in found:
            yield from Sheet(table, asked).rows()


def said(source: Path, **options: str) -> dict[str, str]:
    """Return which arrays there are; they say nothing else of their making."""
    with arrays_tables.opened(source, Asked(**options).files) as found:
        return {f"arrays {table.split}".rstrip(): table.shown()[:MOST_SAID] for table in found}


class Making(Protocol):
    """What arrays are written to."""

    def table(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[Array]) -> None:
        """Write an array some rows at a time."""
        ...

    def texts(self, name: str, texts: Sequence[str]) -> None:
        """Write texts."""
        ...


def write(target: Path, chosen: Chosen, *, intervals: str = "yes") -> None:
    """Write the clips' names, of each feature an array padded with 0, lengths and times, and the columns of the table.

    A clip that lacks a feature has the length 0. `intervals=no` leaves the times away; so does who does not know them.
    """
    rows = [chosen.rows.get(clip, {}) for clip in chosen.clips]
    columns = dict.fromkeys(name for row in rows for name, value in row.items() if value and name != "id")
    features = {name: (name, of(LENGTHS, name), of(TIMES, name)) for name in chosen.readers}
    names = [
        folders.file_name(name) for name in (IDS, *columns, *(name for each in features.values() for name in each))
    ]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CacheError(f"two arrays would be called {', '.join(sorted(twice))}; give that feature another name")
    if wrong := [clip for clip in chosen.clips if not clip or "\0" in clip]:
        raise CacheError(f"expected clips with names that arrays can hold, got {wrong[0]!r:.80}")
    with _made(target) as made:
        made.texts(IDS, chosen.clips)
        for column in columns:
            made.texts(column, [row.get(column, "") for row in rows])
        for name, called in features.items():
            one = replace(chosen, readers={name: chosen.readers[name]})
            _write(made, called, one, np.dtype(chosen.readers[name].key.dtype), timed=intervals == "yes")


def _write(made: Making, called: tuple[str, str, str], chosen: Chosen, dtype: np.dtype[Any], *, timed: bool) -> None:
    name, lengths, times = called
    counts, step, known = _extents(chosen, name)
    most = max(counts)
    # A vector for each clip, but not a matrix: that would be taken for steps.
    axes = (len(counts),) if chosen.how == "clip" and len(step) == 1 else (len(counts), most)
    made.table(name, (*axes, *step), dtype, _padded(chosen, axes, (most, *step), dtype, lambda steps: steps.values))
    made.table(lengths, (len(counts),), np.dtype(np.int64), [np.array(counts, np.int64)])
    if timed and known:
        seconds = np.dtype(np.float64)
        made.table(
            times, (*axes, 2), seconds, _padded(chosen, axes, (most, 2), seconds, lambda steps: steps.interval_s)
        )


def _extents(chosen: Chosen, name: str) -> tuple[list[int], tuple[int, ...], bool]:
    """Return how many steps each clip has, the axes of one, and whether anybody knows when they last."""
    counts, axes, known = [], set(), False
    for clip, found in chosen.sequences():
        steps = found[name].values if name in found else np.empty(0)
        counts.append(len(steps))
        axes |= {steps.shape[1:] or (1,)} if len(steps) else set()
        known = known or (name in found and bool(found[name].interval_s.any()))
        if len(axes) > 1:
            raise CacheError(f"expected every step of {name} to have the same axes, got {axes} up to {clip!r}")
    if not axes:
        raise CacheError(f"{chosen.readers[name].folder} has no step of any clip that was chosen; leave {name} out")
    return counts, axes.pop(), known


def _padded(
    chosen: Chosen, axes: tuple[int, ...], row: tuple[int, ...], dtype: np.dtype[Any], take: Callable[[Steps], Array]
) -> Iterator[Array]:
    """Yield some clips at a time, each padded to as many steps as the longest has."""
    most = min(step_of(math.prod(row) * dtype.itemsize), axes[0])
    block, filled = np.zeros((most, *row), dtype), 0
    for _, found in chosen.sequences():
        for steps in found.values():
            values = take(steps)
            block[filled, : len(values)] = values.reshape(len(values), *row[1:])
        filled += 1
        if filled == most:
            yield block.reshape(most, *axes[1:], *row[1:])
            block, filled = np.zeros((most, *row), dtype), 0
    if filled:
        yield block[:filled].reshape(filled, *axes[1:], *row[1:])


@contextlib.contextmanager
def _made(target: Path) -> Iterator[Making]:
    if target.suffix not in ("", ".npz", *HDF5):
        raise CacheError(f"expected NAME.npz, NAME.h5 or the name of a new folder, without a dot, got {target}")
    if not target.suffix:
        with folders.new(target) as folder:
            yield _Folder(folder)
        return
    if target.exists():
        raise CacheError(f"{target} is there already; name another file, or move it away")
    make_folder(target.parent)
    making = npy.making if target.suffix == ".npz" else hdf5_making.making
    with beside(target) as temporary, making(temporary) as made:
        yield made


class _Folder(npy.Making):
    """A file for each array, and the clips' names line by line."""

    def __init__(self, folder: Path) -> None:
        super().__init__(lambda name: (folder / name).open("xb"))
        self._folder = folder

    def texts(self, name: str, texts: Sequence[str]) -> None:
        """Write texts."""
        if name != IDS:
            super().texts(name, texts)
            return
        if wrong := [text for text in texts if text.splitlines() != [text.strip()]]:
            raise CacheError(
                f"expected clips whose names are lines of {IDS}.txt, got {wrong[0]!r:.80}; write .npz or .h5"
            )
        lines = "".join(f"{text}\n" for text in texts)
        (self._folder / f"{IDS}.txt").write_text(lines, encoding="utf-8", newline="\n")
