"""The cache on disk: one folder per corpus and key, parts that are written once and never appended.

A part appears under its name complete or not at all; whatever reads one checks its structure first, and `verify` its
digest too. docs/format.md describes the layout.
"""

import contextlib
import errno
import hashlib
import json
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import xxhash

from features import hdf5, index
from features.disk import beside
from features.entries import create, key_of
from features.index import Rows
from features.key import FORMAT, Key
from features.roots import CacheError
from features.windows import Array, Windows

STEPS = "steps/"
TABLES = {
    "windows/start": ("i", 1),
    "windows/span_s": ("f", 2),
    "windows/valid": ("i", 1),
    "clips/id": ("S", 1),
    "clips/window_start": ("i", 1),
    "clips/source": ("S", 1),
}
"""Every dataset beside the values: kind of number and axes."""

_CURE = "delete it and run the same make features again, which computes only what is missing"


class Writer:
    """Collects the clips of one part and writes them, whole or not at all, when the `with` block ends well.

    `begins` makes the entry where there is none. Who has begun it says no, so that an entry whose disk was lost is
    missed and not begun anew in what is left of its folder.
    """

    def __init__(
        self, folder: Path, key: Key, provenance: Mapping[str, str], licence: str, *, begins: bool = True
    ) -> None:
        self.folder, self.key, self.provenance, self.licence, self.begins = folder, key, provenance, licence, begins
        self.clips: dict[str, tuple[str, Windows]] = {}

    def add(self, clip: str, source: str, windows: Windows) -> None:
        """Add the windows of a clip and the digest of what they were computed from.

        Values that are not finite after the cast are refused, and so are windows that do not fit the part's others.
        """
        if not clip or "\0" in clip:
            raise ValueError(f"expected a clip with a name that HDF5 can keep, got {clip!r}")
        if clip in self.clips:
            raise CacheError(f"{clip} was added twice to one part of {self.folder.name}")
        with np.errstate(over="ignore", invalid="ignore"):  # looked for in the next line
            values = windows.values.astype(self.key.dtype, copy=False)
        if not all(np.isfinite(array).all() for array in (values, *windows.steps.values())):
            raise ValueError(f"{self.key.encoder} gave values of {clip} that are not finite as {self.key.dtype}")
        if values.dtype.kind != "f" and values is not windows.values and (values != windows.values).any():
            raise ValueError(f"{self.key.encoder} gave values of {clip} that {self.key.dtype} cannot hold")
        windows = Windows(values, windows.start, windows.spans_s, windows.valid, windows.steps)
        first = next(iter(self.clips.values()), (source, windows))[1]
        if _layout(windows) != _layout(first):
            raise ValueError(
                f"expected steps of {clip} like the part's others, {_layout(first)}, got {_layout(windows)}"
            )
        self.clips[clip] = source, windows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None and self.clips:
            self.write()

    @property
    def path(self) -> Path:
        """Return the part's name, which follows from the clips in it and what they were computed from."""
        return self.folder / part_name({clip: source for clip, (source, _) in self.clips.items()})

    def write(self) -> None:
        """Write the part, as the end of a `with` block does."""
        if self.begins:
            create(self.folder, self.key)
        with beside(self.path) as temporary:
            temporary.write_bytes(self._image())
        sources, windows = zip(*self.clips.values(), strict=True)
        index.add(self.path, Rows(tuple(self.clips), sources, sum(map(len, windows))))

    def _image(self) -> memoryview:
        arrays = self._arrays()
        texts = {
            "key": json.dumps(self.key.to_json(), sort_keys=True),
            "provenance": json.dumps(dict(self.provenance), sort_keys=True),
            "licence": self.licence,
            "digest": _digest(arrays),
        }
        return hdf5.image(arrays, {"format": FORMAT, **texts})

    def _arrays(self) -> dict[str, Array]:
        all_windows = [windows for _, windows in self.clips.values()]
        steps_before = np.cumsum([0, *(len(windows.values) for windows in all_windows)])
        starts = [windows.start[:-1] + before for windows, before in zip(all_windows, steps_before, strict=False)]
        arrays = {
            "frames": np.concatenate([windows.values for windows in all_windows]),
            "windows/start": np.concatenate([*starts, steps_before[-1:]]).astype(np.int64),
            "windows/span_s": np.concatenate([windows.spans_s for windows in all_windows]).astype(np.float64),
            "windows/valid": np.concatenate([windows.valid for windows in all_windows]).astype(np.int32),
            "clips/id": np.array([clip.encode() for clip in self.clips]),
            "clips/window_start": np.cumsum([0, *map(len, all_windows)], dtype=np.int64),
            "clips/source": np.array([source.encode() for source, _ in self.clips.values()]),
        }
        for name in all_windows[0].steps:
            arrays[STEPS + name] = np.concatenate([windows.steps[name] for windows in all_windows])
        return arrays


def part_name(sources: Mapping[str, str]) -> str:
    """Name the part that holds these clips, computed from these sources."""
    rows = "\n".join(f"{clip}\t{source}" for clip, source in sorted(sources.items()))
    return f"part-{hashlib.sha256(rows.encode()).hexdigest()[:16]}.h5"


def _layout(windows: Windows) -> dict[str, tuple[Any, ...]]:
    """Say what all clips of a part share, so that their steps can stand one after another."""
    channels = {"values": windows.values, **windows.steps}
    return {name: (str(array.dtype), *array.shape[1:]) for name, array in channels.items()}


def _digest(arrays: Mapping[str, Array]) -> str:
    digest = xxhash.xxh3_128()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _runs(rows: Sequence[int]) -> Iterator[range]:
    """Join numbers that follow each other."""
    begin = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or rows[end] != rows[end - 1] + 1:
            yield range(rows[begin], rows[end - 1] + 1)
            begin = end


class Part:
    """One part, its structure checked: plain, contiguous, fully stored arrays that fit each other.

    HDF5 is asked once where the arrays lie. From then on their bytes are read from there into arrays of their own, as
    fast as memory is copied; unlike a mapped file, one that is cut short meanwhile is an error and ends no process.
    """

    def __init__(self, path: Path, key: Key) -> None:
        self.path = path
        with hdf5.whole(path, _CURE), hdf5.opened(path, _CURE) as file:
            self._keep(file.handle())
            try:
                self._check(file, key)
            except BaseException:
                self.close()
                raise

    def _check(self, file: hdf5.Opened, key: Key) -> None:
        if file.number("format") != FORMAT or Key.from_json(json.loads(file.text("key"))) != key:
            raise CacheError(f"{self.path}: belongs to another entry than {key.name}; move it away")
        self.stamp = index.stamp(os.fstat(self._handle))
        names = ["frames", *TABLES, *(STEPS + name for name in file.names(STEPS[:-1]))]
        self.stored = {name: file.array(name, self.stamp[0]) for name in names}
        kinds = {name: (self.stored[name].dtype.kind, len(self.stored[name].shape)) for name in TABLES}
        if kinds != TABLES or self.stored["frames"].dtype != key.dtype:
            raise CacheError(f"{self.path}: its arrays are not of the kinds that format {FORMAT} has; {_CURE}")
        tables = {name: self._read(name) for name in TABLES}
        self.window_start, self.clip_start = tables["windows/start"], tables["clips/window_start"]
        self.spans_s, self.valid = tables["windows/span_s"], tables["windows/valid"]
        self.ids = [name.decode() for name in tables["clips/id"].tolist()]
        self.sources = [source.decode() for source in tables["clips/source"].tolist()]
        self._check_fit()

    def _check_fit(self) -> None:
        frames, rows = self.stored["frames"].shape[0], len(self.valid)
        for name, array, end in (("windows", self.window_start, frames), ("clips", self.clip_start, rows)):
            if array[0] != 0 or array[-1] != end or (np.diff(array) < 0).any():
                raise CacheError(f"{self.path}: {name} do not rise from 0 to {end}; {_CURE}")
        self.steps = [name for name in self.stored if name.startswith(STEPS)]
        lengths = (len(self.window_start) - 1, len(self.spans_s), len(self.clip_start) - 1, len(self.ids))
        channels = {self.stored[name].shape[0] for name in self.steps}
        if lengths != (rows, rows, len(self.sources), len(self.sources)) or channels - {frames}:
            raise CacheError(f"{self.path}: its tables do not fit each other; {_CURE}")

    def attribute(self, name: str) -> str:
        """Return one of the texts that say what the part is: `key`, `provenance`, `licence` or `digest`."""
        with hdf5.whole(self.path, _CURE), hdf5.opened(self.path, _CURE) as file:
            return file.text(name)

    @property
    def provenance(self) -> dict[str, str]:
        """Return what the part says of its making, and of its corpus' terms."""
        with hdf5.whole(self.path, _CURE):
            told = json.loads(self.attribute("provenance"))
            if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
                raise ValueError("its provenance is not what the format says")
            return told

    @property
    def rows(self) -> Rows:
        """Return which clips the part holds."""
        return Rows(tuple(self.ids), tuple(self.sources), len(self.valid))

    def holds(self, row: int, clip: str) -> bool:
        """Return whether a clip stands in a row."""
        return row < len(self.ids) and self.ids[row] == clip

    def read(self, row: int) -> Windows:
        """Return the windows of the clip in a row."""
        return self.read_rows([row])[0]

    def read_rows(self, rows: Sequence[int]) -> list[Windows]:
        """Return the windows of some clips; those that stand one after another are read at once and share arrays."""
        found: list[Windows] = []
        for run in _runs(rows):
            clips = self.clip_start[run.start : run.stop + 1]
            found += self._windows(*clips[[0, -1]].tolist()).split((clips - clips[0]).tolist())
        return found

    def expect(self, rows: range) -> None:
        """Have the system fetch the steps of clips that follow each other while something else is done."""
        first, last = self.window_start[self.clip_start[[rows.start, rows.stop]]].tolist()
        row_bytes = self.stored["frames"].row_bytes
        begin, length = self.stored["frames"].begin + first * row_bytes, (last - first) * row_bytes
        if hasattr(os, "posix_fadvise"):  # not everywhere, and nothing depends on it
            os.posix_fadvise(self._open(), begin, length, os.POSIX_FADV_WILLNEED)

    def read_run(self, rows: range, place: Array) -> Windows | None:
        """Return the windows of clips that follow each other as one, their steps read straight to their place.

        Nothing where they do not fit there.
        """
        begin, end = self.clip_start[[rows.start, rows.stop]].tolist()
        first, last = self.window_start[[begin, end]].tolist()
        values = self.stored["frames"]
        fits = place.shape == (last - first, *values.shape[1:]) and place.dtype == values.dtype
        return self._windows(begin, end, place) if fits else None

    def whole(self) -> Windows:
        """Return the windows of all clips as one; `clip_start` says where those of each clip begin."""
        return self._windows(0, len(self.valid))

    def outline(self, row: int) -> tuple[Array, Array]:
        """Return how many steps each window of the clip in a row has, and its seconds; no step is read."""
        first, last = self.clip_start[row : row + 2].tolist()
        return np.diff(self.window_start[first : last + 1]), self.spans_s[first:last]

    def bytes_of(self, row: int) -> int:
        """Return what the steps of the clip in a row take on the disk."""
        first, last = self.window_start[self.clip_start[[row, row + 1]]].tolist()
        return int(last - first) * self.stored["frames"].row_bytes

    def window(self, row: int, i: int) -> Array:
        """Return the steps of one window of the clip in a row, and read nothing else."""
        first, last = self.clip_start[row : row + 2].tolist()
        i = range(first, last)[i]  # counts from the end below zero, and refuses what is not there
        begin, end = self.window_start[i : i + 2].tolist()
        return self._read("frames", begin, end)

    def _windows(self, begin: int, end: int, place: Array | None = None) -> Windows:
        start = self.window_start[begin : end + 1]
        first, last = start[[0, -1]].tolist()
        with hdf5.whole(self.path, _CURE):
            return Windows(
                values=self._read("frames", first, last, place),
                start=start - first,
                spans_s=self.spans_s[begin:end].copy(),
                valid=self.valid[begin:end].copy(),
                steps={name.removeprefix(STEPS): self._read(name, first, last) for name in self.steps},
            )

    def verify(self) -> None:
        """Compare the digest of the data with the one written beside it."""
        with hdf5.whole(self.path, _CURE):
            if _digest({name: self._read(name) for name in self.stored}) != self.attribute("digest"):
                raise CacheError(f"{self.path}: its data do not match its digest; {_CURE}")

    def _read(self, name: str, first: int = 0, last: int | None = None, place: Array | None = None) -> Array:
        stored = self.stored[name]
        rows = (stored.shape[0] if last is None else last) - first
        array = np.empty((rows, *stored.shape[1:]), stored.dtype) if place is None else place
        handle, begin, done = self._open(), stored.begin + first * stored.row_bytes, 0
        while done < array.nbytes:
            rest = array.reshape(-1).view(np.uint8)[done:] if done else array  # one call reads no more than 2 GB
            try:
                size = os.preadv(handle, [rest.data], begin + done)
            except OSError as error:
                raise CacheError(f"{self.path}: {error.strerror}; see whether its disk is still mounted") from None
            if not size:
                raise CacheError(f"{self.path}: cut short while it was read; {_CURE}")
            done += size
        return array

    def _open(self) -> int:
        if not self.is_open:
            self._keep(os.open(self.path, os.O_RDONLY))
            if index.stamp(os.fstat(self._handle)) != self.stamp:
                self.close()
                raise FileNotFoundError(errno.ENOENT, "no longer the file that was checked", str(self.path))
        return self._handle

    def _keep(self, handle: int) -> None:
        self._handle, self._close = handle, weakref.finalize(self, os.close, handle)

    @property
    def is_open(self) -> bool:
        """Return whether the file is open."""
        return self._close.alive

    def close(self) -> None:
        """Let go of the file; reading opens it again."""
        self._close()


def rows_of(path: Path, key: Key) -> Rows:
    """Open a part to see what it holds."""
    with contextlib.closing(Part(path, key)) as part:
        return part.rows


def discard(folder: Path, unwanted: Callable[[Path, int, str, str], bool]) -> int:
    """Rewrite the parts that hold unwanted rows (part, row, clip, source) without them; return how many rows went.

    The new part is there before the old one goes, so a kill in between leaves duplicates and loses nothing.
    """
    key, gone = key_of(folder), 0
    written: set[Path] = set()

    def kept(path: Path, rows: Rows) -> list[int]:
        listed = enumerate(zip(rows.clips, rows.sources, strict=True))
        return [row for row, (clip, source) in listed if not unwanted(path, row, clip, source)]

    for path, rows in index.look(folder, lambda path: rows_of(path, key)).items():
        # One made by this call, perhaps over what a killed one had left, is wanted as a whole.
        if path in written or len(kept(path, rows)) == len(rows.clips):
            continue
        writer, count = rest(path, key, kept)
        if count:
            if writer.clips:
                writer.write()
                written.add(writer.path)
            path.unlink(missing_ok=True)
            gone += count
    return gone


def rest(path: Path, key: Key, kept: Callable[[Path, Rows], list[int]]) -> tuple[Writer, int]:
    """Return the wanted rows of a part, ready to be written, and how many are not, as the part itself says."""
    writer = Writer(path.parent, key, {}, "", begins=False)
    with contextlib.suppress(FileNotFoundError), contextlib.closing(Part(path, key)) as part:  # or just rewritten
        rows = kept(path, part.rows)
        if len(rows) == len(part.ids):
            return writer, 0
        part.verify()  # damaged values must not be given a digest that fits
        writer.provenance, writer.licence = json.loads(part.attribute("provenance")), part.attribute("licence")
        for row, windows in zip(rows, part.read_rows(rows), strict=True):
            writer.add(part.ids[row], part.sources[row], windows)
        return writer, len(part.ids) - len(rows)
    return writer, 0
