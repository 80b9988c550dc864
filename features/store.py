"""The cache on disk: one folder per corpus and key, parts that are written once and never appended.

The only module that opens HDF5. A part appears under its name complete or not at all; whatever reads one checks its
structure first, and `verify` its digest too. docs/format.md describes the layout.
"""

import contextlib
import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import xxhash

from features.entries import CacheError, beside, create, key_of
from features.key import FORMAT, Key
from features.windows import Array, Windows

MAX_OPEN = 128
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
    """Collects the clips of one part and writes them, whole or not at all, when the `with` block ends well."""

    def __init__(self, folder: Path, key: Key, provenance: Mapping[str, str], licence: str) -> None:
        self.folder, self.key, self.provenance, self.licence = folder, key, provenance, licence
        self.clips: dict[str, tuple[str, Windows]] = {}

    def add(self, clip: str, source: str, windows: Windows) -> None:
        """Add the windows of a clip and the digest of what they were computed from.

        Values that are not finite after the cast are refused, and so are windows that do not fit the part's others.
        """
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
            self._write()

    @property
    def path(self) -> Path:
        """Return the part's name, which follows from the clips in it and what they were computed from."""
        rows = "\n".join(f"{clip}\t{source}" for clip, (source, _) in sorted(self.clips.items()))
        return self.folder / f"part-{hashlib.sha256(rows.encode()).hexdigest()[:16]}.h5"

    def _write(self) -> None:
        create(self.folder, self.key)
        arrays = self._arrays()
        with beside(self.path) as temporary, h5py.File(temporary, "w", locking=False) as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array, track_times=False)
            file.attrs["format"] = FORMAT
            texts = {
                "key": json.dumps(self.key.to_json(), sort_keys=True),
                "provenance": json.dumps(dict(self.provenance), sort_keys=True),
                "licence": self.licence,
                "digest": _digest(arrays),
            }
            for name, text in texts.items():
                # Of fixed length: others lie in a heap, where one wrong byte makes HDF5 hang or crash.
                dtype = h5py.string_dtype("utf-8", len(text.encode()) or 1)
                file.attrs.create(name, text.encode(), dtype=dtype)

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


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn whatever HDF5 raises on damaged bytes into one message that names the file."""
    try:
        yield
    except (CacheError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - which one it is depends on which byte is wrong
        raise CacheError(f"{path}: cut short or damaged ({error}); {_CURE}") from None


class Part:
    """One open part, its structure checked: plain, contiguous, fully stored datasets that fit each other."""

    def __init__(self, path: Path, key: Key) -> None:
        self.path = path
        self._followed: dict[str, Any] = {}
        with _whole(path):
            self.file = h5py.File(path, "r", locking=False)
            try:
                self._check(key)
            except BaseException:
                self.file.close()
                raise

    def _check(self, key: Key) -> None:
        if self._attribute("format", "i") != FORMAT or Key.from_json(json.loads(self.attribute("key"))) != key:
            raise CacheError(f"{self.path}: belongs to another entry than {key.name}; move it away")
        size = self.path.stat().st_size
        self.data = {name: self._dataset(name, size) for name in self._names()}
        kinds = {name: (self.data[name].dtype.kind, self.data[name].ndim) for name in TABLES}
        if kinds != TABLES or self.data["frames"].dtype != key.dtype:
            raise CacheError(f"{self.path}: its arrays are not of the kinds that format {FORMAT} has; {_CURE}")
        self.window_start = self.data["windows/start"][()]
        self.clip_start = self.data["clips/window_start"][()]
        self.ids = [name.decode() for name in self.data["clips/id"][()]]
        self.sources = [source.decode() for source in self.data["clips/source"][()]]
        frames, rows = len(self.data["frames"]), len(self.data["windows/valid"])
        for name, array, end in (("windows", self.window_start, frames), ("clips", self.clip_start, rows)):
            if array[0] != 0 or array[-1] != end or (np.diff(array) < 0).any():
                raise CacheError(f"{self.path}: {name} do not rise from 0 to {end}; {_CURE}")
        self.steps = {n.removeprefix(STEPS): data for n, data in self.data.items() if n.startswith(STEPS)}
        lengths = (
            len(self.window_start) - 1,
            len(self.data["windows/span_s"]),
            len(self.clip_start) - 1,
            len(self.ids),
        )
        if lengths != (rows, rows, len(self.sources), len(self.sources)) or {*map(len, self.steps.values())} - {frames}:
            raise CacheError(f"{self.path}: its tables do not fit each other; {_CURE}")

    def _names(self) -> list[str]:
        # Asking for the link itself follows it nowhere.
        channels = self._follow(STEPS[:-1]) if self.file.get(STEPS[:-1], getlink=True) else ()
        return ["frames", *TABLES, *(STEPS + name for name in channels)]

    def _follow(self, name: str) -> Any:
        """Law 13: go nowhere by a link, neither to other files nor within this one."""
        if name not in self._followed:
            above, _, step = name.rpartition("/")
            group = self._follow(above) if above else self.file
            if not isinstance(group.get(step, getlink=True), h5py.HardLink):
                raise CacheError(f"{self.path}: {name} is missing or a link; {_CURE}")
            self._followed[name] = group[step]
        return self._followed[name]

    def _dataset(self, name: str, size: int) -> h5py.Dataset:
        """Law 13: no objects, nothing that lies in other files, nothing promised that is not stored."""
        found = self._follow(name)
        plain = isinstance(found, h5py.Dataset) and found.dtype.kind in "iufbS" and found.chunks is None
        if not plain or found.is_virtual or found.external is not None:
            raise CacheError(f"{self.path}: {name} is not a plain array; {_CURE}")
        begin = found.id.get_offset() if found.nbytes else 0
        if found.id.get_storage_size() != found.nbytes or begin is None or begin + found.nbytes > size:
            raise CacheError(f"{self.path}: {name} promises more than is stored; {_CURE}")
        return found

    def attribute(self, name: str) -> str:
        """Return one of the texts that say what the part is: `key`, `provenance`, `licence` or `digest`."""
        with _whole(self.path):
            return str(self._attribute(name, "S").decode())

    def _attribute(self, name: str, kind: str) -> Any:
        found = h5py.h5a.open(self.file.id, name.encode())
        if found.dtype.kind != kind:
            raise CacheError(f"{self.path}: {name} is not what format {FORMAT} says; {_CURE}")
        return self.file.attrs[name]

    def read(self, row: int) -> Windows:
        """Return the windows of the clip in a row."""
        first, last = self.clip_start[row], self.clip_start[row + 1]
        start = self.window_start[first : last + 1]
        steps = slice(start[0], start[-1])
        with _whole(self.path):
            return Windows(
                values=self.data["frames"][steps],
                start=start - start[0],
                spans_s=self.data["windows/span_s"][first:last],
                valid=self.data["windows/valid"][first:last],
                steps={name: data[steps] for name, data in self.steps.items()},
            )

    def verify(self) -> None:
        """Compare the digest of the data with the one written beside it."""
        with _whole(self.path):
            if _digest({name: data[()] for name, data in self.data.items()}) != self.attribute("digest"):
                raise CacheError(f"{self.path}: its data do not match its digest; {_CURE}")

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


class Reader(Mapping[str, Windows]):
    """All parts of one entry as a mapping from clip id to `Windows`; of duplicates the lowest part name wins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = key_of(folder)
        self._open: OrderedDict[Path, Part] = OrderedDict()
        self._process = os.getpid()
        self.parts = sorted(folder.glob("part-*.h5"))
        self.sources: dict[str, str] = {}
        self.where: dict[str, tuple[Path, int]] = {}
        for path in self.parts:
            part = self.part(path)
            for row, clip in enumerate(part.ids):
                self.where.setdefault(clip, (path, row))
                self.sources.setdefault(clip, part.sources[row])

    def __contains__(self, clip: object) -> bool:
        return clip in self.where

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __len__(self) -> int:
        return len(self.where)

    def __getitem__(self, clip: str) -> Windows:
        if clip not in self.where:
            raise KeyError(f"{self.folder} has no features of {clip!r}")
        path, row = self.where[clip]
        return self.part(path).read(row)

    def part(self, path: Path) -> Part:
        """Return one part, open; the least used one is let go beyond `MAX_OPEN`."""
        if self._process != os.getpid():  # a handle must not cross a fork: forget, but do not close, the parent's
            self._open, self._process = OrderedDict(), os.getpid()
        if path not in self._open:
            if len(self._open) >= MAX_OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[path] = Part(path, self.key)
        self._open.move_to_end(path)
        return self._open[path]

    def close(self) -> None:
        """Let go of every open part."""
        while self._process == os.getpid() and self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def discard(folder: Path, unwanted: Callable[[Path, int, str, str], bool]) -> int:
    """Rewrite the parts that hold unwanted rows (part, row, clip, source) without them; return how many rows went.

    The new part is there before the old one goes, so a kill in between leaves duplicates and loses nothing.
    """
    key, gone = key_of(folder), 0
    written: set[Path] = set()
    for path in sorted(folder.glob("part-*.h5")):
        if path in written:  # made by this call, perhaps over what a killed one had left: all of it is wanted
            continue
        with contextlib.closing(Part(path, key)) as part:
            rows = list(enumerate(zip(part.ids, part.sources, strict=True)))
            kept = [(row, clip, source) for row, (clip, source) in rows if not unwanted(path, row, clip, source)]
            if len(kept) == len(rows):
                continue
            part.verify()  # damaged values must not be given a digest that fits
            with Writer(folder, key, json.loads(part.attribute("provenance")), part.attribute("licence")) as writer:
                for row, clip, source in kept:
                    writer.add(clip, source, part.read(row))
        written.add(writer.path)
        path.unlink()
        gone += len(rows) - len(kept)
    return gone
