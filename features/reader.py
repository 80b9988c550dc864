"""Reading an entry: all its parts as one mapping from clip to windows."""

import contextlib
import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

from features import index
from features.entries import key_of
from features.index import Rows
from features.roots import CacheError, copies
from features.store import Part, rows_of
from features.windows import Array, Windows

MAX_OPEN = 128
MAX_KNOWN = 2048
"""Parts whose tables are kept, so that opening one again costs no more than opening a file."""
T = TypeVar("T")


class Reader(Mapping[str, Windows]):
    """All parts of one entry as a mapping from clip id to `Windows`; of duplicates the lowest part name wins.

    Its copies in all caches are one, one's own before those that others share. Arrays that it returns are the caller's
    own and hold no file open. `alone` looks at this folder and believes no index: every part is opened, as whoever
    wants to delete must.
    """

    def __init__(self, folder: Path, *, alone: bool = False) -> None:
        self.folders = [folder] if alone else copies(folder) or [folder]
        self.folder = self.folders[0]
        self.key = key_of(self.folder)
        self._known: OrderedDict[Path, Part] = OrderedDict()
        self._open: OrderedDict[Path, Part] = OrderedDict()
        self._process = os.getpid()
        self._look(trust=not alone)

    def _look(self, *, trust: bool) -> None:
        self.rows: dict[Path, Rows] = {}
        for folder in self.folders:
            self.rows |= index.look(folder, lambda path: rows_of(path, self.key), trust=trust)
        self.__dict__.pop("where", None)
        self.__dict__.pop("sources", None)

    @property
    def parts(self) -> list[Path]:
        """Return the parts by name, cache by cache."""
        return list(self.rows)

    @cached_property
    def where(self) -> dict[str, tuple[Path, int]]:
        """Return the part and the row of every clip."""
        found: dict[str, tuple[Path, int]] = {}
        for path, rows in self.rows.items():
            for row, clip in enumerate(rows.clips):
                found.setdefault(clip, (path, row))
        return found

    @cached_property
    def sources(self) -> dict[str, str]:
        """Return the digest of what every clip was computed from."""
        found: dict[str, str] = {}
        for rows in reversed(self.rows.values()):
            found.update(zip(rows.clips, rows.sources, strict=True))
        return found

    def __contains__(self, clip: object) -> bool:
        return clip in self.where

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __len__(self) -> int:
        return len(self.where)

    def __getitem__(self, clip: str) -> Windows:
        return self._at(clip, Part.read)

    def __repr__(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}: {len(self)} clips, {self.key.grid}, {self.key.dtype}"

    def window(self, clip: str, i: int) -> Array:
        """Return the steps of window i of a clip, and read nothing else: the fast way to windows at random."""
        return self._at(clip, lambda part, row: part.window(row, i))

    def outline(self, clip: str) -> tuple[Array, Array]:
        """Return how many steps each window of a clip has, and its seconds; no step is read."""
        return self._at(clip, Part.outline)

    def read(self, clips: Iterable[str]) -> dict[str, Windows]:
        """Return all of these clips that are in the cache, part by part: the fast way to a whole corpus.

        What stands together in a part is read at once: such clips are views of arrays that they share.
        """
        by_part: dict[Path, list[tuple[int, str]]] = defaultdict(list)
        for clip in clips:
            if clip in self.where:
                path, row = self.where[clip]
                by_part[path].append((row, clip))
        found: dict[str, Windows] = {}
        for path, wanted in by_part.items():
            found |= self._read_part(path, dict(sorted(wanted)))
        return found

    def expect(self, clips: Sequence[str]) -> None:
        """Say which clips, following each other in a part, will be read next: the disk fetches them meanwhile."""
        path, row = self.where[clips[0]]
        with contextlib.suppress(FileNotFoundError):  # rewritten just now
            part = self.part(path)
            if part.ids[row : row + len(clips)] == list(clips):
                part.expect(range(row, row + len(clips)))

    def read_run(self, clips: Sequence[str], place: Array) -> Windows | None:
        """Read clips that follow each other in a part straight to their place, as windows of one.

        Nothing where they do not follow each other, or do not fit; then `read` them.
        """
        path, row = self.where[clips[0]]
        try:
            part = self.part(path)
            if part.ids[row : row + len(clips)] == list(clips):
                return part.read_run(range(row, row + len(clips)), place)
        except FileNotFoundError:  # rewritten just now
            self._forget(path)
        return None

    def _read_part(self, path: Path, wanted: Mapping[int, str]) -> dict[str, Windows]:
        try:
            part = self.part(path)
            if [part.ids[row] for row in wanted if row < len(part.ids)] == list(wanted.values()):
                return dict(zip(wanted.values(), part.read_rows(list(wanted)), strict=True))
        except FileNotFoundError:
            pass
        return {clip: windows for clip in wanted.values() if (windows := self.get(clip)) is not None}

    def _at(self, clip: str, read: Callable[[Part, int], T]) -> T:
        """Read where the index says; where it is wrong, or the part was just rewritten, ask the parts themselves."""
        for _ in range(2):
            if clip not in self.where:
                raise KeyError(f"{self.folder} has no features of {clip!r}")
            path, row = self.where[clip]
            try:
                part = self.part(path)
                if part.holds(row, clip):
                    return read(part, row)
            except FileNotFoundError:
                self._forget(path)
            self._look(trust=False)
        raise CacheError(f"{self.folder}: {clip!r} moves while it is read; try again when nothing writes there")

    def part(self, path: Path) -> Part:
        """Return one part; beyond `MAX_OPEN` the file of the least used one is closed."""
        if self._process != os.getpid():  # handles never cross a fork
            self.close()
            self._process = os.getpid()
        part = self._open.get(path)
        if part is None:
            part = self._known.get(path) or Part(path, self.key)
            for kept, most in ((self._known, MAX_KNOWN), (self._open, MAX_OPEN)):
                if len(kept) >= most:
                    kept.popitem(last=False)[1].close()
                kept[path] = part
        self._open.move_to_end(path)
        return part

    def _forget(self, path: Path) -> None:
        for kept in (self._known, self._open):
            kept.pop(path, None)

    def close(self) -> None:
        """Let go of every file; reading opens them again."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
