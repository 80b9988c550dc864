"""The cache on disk: one folder per corpus and key, parts that are written once and never appended.

The only module that opens HDF5. A part appears under its name complete or not at all; whatever reads one checks its
structure first, and `verify` its digest too. docs/format.md describes the layout.
"""

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
import xxhash

from features.entries import CacheError, beside, create, key_of
from features.key import FORMAT, Key
from features.windows import Array, Windows

MAX_OPEN = 128
STEPS = "steps/"


_CURE = "delete it and run the same make features again, which computes only what is missing"


class Writer:
    """Collects the clips of one part and writes them, whole or not at all, when the `with` block ends well."""

    def __init__(self, folder: Path, key: Key, provenance: Mapping[str, str], licence: str) -> None:
        self.folder, self.key, self.provenance, self.licence = folder, key, provenance, licence
        self.clips: dict[str, tuple[str, Windows]] = {}

    def add(self, clip: str, source: str, windows: Windows) -> None:
        """Add the windows of a clip and the digest of what they were computed from; non-finite values are refused."""
        values = windows.values.astype(self.key.dtype, copy=False)
        if not np.isfinite(values).all():
            raise ValueError(f"{self.key.encoder} gave values of {clip} that are not finite as {self.key.dtype}")
        if clip in self.clips:
            raise CacheError(f"{clip} was added twice to one part of {self.folder.name}")
        # replace() would check the whole again; the cast changes neither shape nor order.
        self.clips[clip] = source, Windows(values, windows.start, windows.spans_s, windows.valid, windows.steps)

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
            file.attrs["key"] = json.dumps(self.key.to_json(), sort_keys=True)
            file.attrs["provenance"] = json.dumps(dict(self.provenance), sort_keys=True)
            file.attrs["licence"] = self.licence
            file.attrs["digest"] = _digest(arrays)

    def _arrays(self) -> dict[str, Array]:
        all_windows = [windows for _, windows in self.clips.values()]
        steps_before = np.cumsum([0, *(len(windows.values) for windows in all_windows)])
        starts = [windows.start[:-1] + before for windows, before in zip(all_windows, steps_before, strict=False)]
        arrays = {
            "frames": np.concatenate([windows.values for windows in all_windows]),
            "windows/start": np.concatenate([*starts, steps_before[-1:]]).astype(np.int64),
            "windows/span_s": np.concatenate([windows.spans_s for windows in all_windows]),
            "windows/valid": np.concatenate([windows.valid for windows in all_windows]),
            "clips/id": np.array([clip.encode() for clip in self.clips]),
            "clips/window_start": np.cumsum([0, *map(len, all_windows)], dtype=np.int64),
            "clips/source": np.array([source.encode() for source, _ in self.clips.values()]),
        }
        for name in all_windows[0].steps:
            arrays[STEPS + name] = np.concatenate([windows.steps[name] for windows in all_windows])
        return arrays


def _digest(arrays: Mapping[str, Array]) -> str:
    digest = xxhash.xxh3_128()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


class Part:
    """One open part, its structure checked: plain, contiguous, fully stored datasets that fit each other."""

    def __init__(self, path: Path, key: Key) -> None:
        self.path = path
        try:
            self.file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise CacheError(f"{path}: cut short or not HDF5 ({error}); {_CURE}") from None
        try:
            self._check(key)
        except CacheError:
            self.file.close()
            raise
        except (KeyError, ValueError, OSError, RuntimeError, TypeError) as error:
            self.file.close()
            raise CacheError(f"{path}: damaged ({error}); {_CURE}") from None

    def _check(self, key: Key) -> None:
        attrs = self.file.attrs
        if attrs["format"] != FORMAT or Key.from_json(json.loads(attrs["key"])) != key:
            raise CacheError(f"{self.path}: belongs to another entry than {key.name}; move it away")
        self.data = {name: self._dataset(name) for name in self._names()}
        self.window_start = self.data["windows/start"][()]
        self.clip_start = self.data["clips/window_start"][()]
        self.ids = [name.decode() for name in self.data["clips/id"][()]]
        self.sources = [source.decode() for source in self.data["clips/source"][()]]
        frames, rows = len(self.data["frames"]), len(self.data["windows/valid"])
        for name, array, end in (("windows", self.window_start, frames), ("clips", self.clip_start, rows)):
            if array[0] != 0 or array[-1] != end or (np.diff(array) < 0).any():
                raise CacheError(f"{self.path}: {name} do not rise from 0 to {end}; {_CURE}")
        lengths = (
            len(self.window_start) - 1,
            len(self.data["windows/span_s"]),
            len(self.clip_start) - 1,
            len(self.ids),
        )
        if lengths != (rows, rows, len(self.sources), len(self.sources)):
            raise CacheError(f"{self.path}: its tables do not fit each other; {_CURE}")

    def _names(self) -> list[str]:
        required = ["frames", "windows/start", "windows/span_s", "windows/valid"]
        required += ["clips/id", "clips/window_start", "clips/source"]
        return required + [STEPS + name for name in self.file.get(STEPS.rstrip("/"), ())]

    def _dataset(self, name: str) -> h5py.Dataset:
        """Law 13: no links to other files, no objects, nothing promised that is not stored."""
        group = self.file
        for step in name.split("/"):
            if not isinstance(group.get(step, getlink=True), h5py.HardLink):
                raise CacheError(f"{self.path}: {name} is missing or a link; {_CURE}")
            group = group[step]
        plain = isinstance(group, h5py.Dataset) and group.dtype.kind in "iufbS" and group.chunks is None
        if not plain or group.is_virtual or group.external is not None:
            raise CacheError(f"{self.path}: {name} is not a plain array; {_CURE}")
        if group.id.get_storage_size() != group.nbytes:
            raise CacheError(f"{self.path}: {name} promises more than is stored; {_CURE}")
        return group

    def read(self, row: int) -> Windows:
        """Return the windows of the clip in a row."""
        first, last = self.clip_start[row], self.clip_start[row + 1]
        start = self.window_start[first : last + 1]
        steps = slice(start[0], start[-1])
        return Windows(
            values=self.data["frames"][steps],
            start=start - start[0],
            spans_s=self.data["windows/span_s"][first:last],
            valid=self.data["windows/valid"][first:last],
            steps={name.removeprefix(STEPS): data[steps] for name, data in self.data.items() if name.startswith(STEPS)},
        )

    def verify(self) -> None:
        """Compare the digest of the data with the one written beside it."""
        if _digest({name: data[()] for name, data in self.data.items()}) != self.file.attrs["digest"]:
            raise CacheError(f"{self.path}: its data do not match its digest; {_CURE}")

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


class Reader:
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
    for path in sorted(folder.glob("part-*.h5")):
        part = Part(path, key)
        rows = list(enumerate(zip(part.ids, part.sources, strict=True)))
        kept = [(row, clip, source) for row, (clip, source) in rows if not unwanted(path, row, clip, source)]
        if len(kept) < len(rows):
            attrs = part.file.attrs
            with Writer(folder, key, json.loads(attrs["provenance"]), attrs["licence"]) as writer:
                for row, clip, source in kept:
                    writer.add(clip, source, part.read(row))
            path.unlink()
            gone += len(rows) - len(kept)
        part.close()
    return gone
