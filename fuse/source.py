"""One modality of an experiment on the disk: which entries hold it, how large it is, and reading some clips of it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from features import CacheError, Reader, Windows
from fuse.stored import Stored
from manifests import Clip

AT_ONCE_BYTES = 256 * 2**20
"""What is read before it is put into its place: memory that a corpus costs beside itself."""
Outline = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Of each window of a clip the number of its steps, and its seconds."""


class Source:
    """One modality of all clips: several entries lie side by side, and windows may be averaged while they are read."""

    def __init__(
        self, modality: str, readers: Mapping[str, Sequence[Reader]], clips: Sequence[Clip], *, mean: bool
    ) -> None:
        self.modality, self.readers, self.clips, self.mean = modality, readers, clips, mean
        self._averaged: set[tuple[str, str]] = set()
        self.outlines = [self._outline(clip) for clip in clips]
        if not any(outline is not None for outline in self.outlines):
            folders = ", ".join(str(reader.folder) for each in readers.values() for reader in each)
            raise CacheError(f"{folders}: none of the {len(clips)} clips is here; make features fills it")
        sample = next(i for i, outline in enumerate(self.outlines) if outline is not None)
        windows = self._read([sample])[sample]
        self.axes, self.dtype = windows.values.shape[1:], windows.values.dtype

    def _outline(self, clip: Clip) -> Outline | None:
        """Return a clip's windows as they will be; nothing where any of its entries lacks it."""
        readers = self.readers[clip.corpus]
        found = [reader.outline(clip.id) for reader in readers if clip.id in reader]
        if len(found) < len(readers) or not all(len(each) for each, _ in found):
            return None
        lengths, spans_s = found[0]
        for reader, (_, others) in zip(readers[1:], found[1:], strict=True):
            if others.shape != spans_s.shape or not np.allclose(others, spans_s, atol=0.05):
                raise CacheError(
                    f"encoders.{self.modality}: {readers[0].folder.name} and {reader.folder.name} have other windows "
                    f"of {clip.id}; give both the same grid"
                )
        every = np.array([each for each, _ in found])
        lengths = every.max(axis=0)
        if ((every != 1) & (every != lengths)).any():
            names, steps = [reader.folder.name for reader in readers], every.tolist()
            raise CacheError(
                f"encoders.{self.modality}: entries side by side need equally many steps in a window, or one; "
                f"{' and '.join(names)} have {' and '.join(map(str, steps))} of {clip.id}"
            )
        if not self.mean or len(lengths) < 2:
            return lengths, spans_s
        if lengths.min() != lengths.max():
            raise CacheError(
                f"encoders.{self.modality}: {readers[0].folder.name} has windows of different lengths, which cannot "
                'be averaged; say SET="data.windows=all", or use an entry with another grid'
            )
        self._averaged.add((clip.corpus, clip.id))
        return lengths[:1], np.array([[spans_s[0, 0], spans_s[-1, 1]]])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(N) how many windows each clip has."""
        return np.array([0 if outline is None else len(outline[0]) for outline in self.outlines])

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """(N) how many steps each clip has in all."""
        return np.array([0 if outline is None else outline[0].sum() for outline in self.outlines])

    @cached_property
    def lengths(self) -> tuple[int, int]:
        """Return the steps of the shortest and of the longest window."""
        every = np.concatenate([outline[0] for outline in self.outlines if outline is not None])
        return int(every.min()), int(every.max())

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (t, d): the steps of the longest window, and what a step is."""
        return (self.lengths[1], *self.axes)

    @property
    def step_bytes(self) -> int:
        """Return what one step takes in memory."""
        return int(np.prod(self.axes)) * self.dtype.itemsize

    @property
    def bytes(self) -> int:
        """Return what all clips take in memory."""
        return int(self.steps.sum()) * self.step_bytes

    @cached_property
    def order(self) -> list[int]:
        """Return the clips in the order in which they lie on the disk."""

        def place(i: int) -> tuple[str, str, int]:
            clip = self.clips[i]
            path, row = self.readers[clip.corpus][0].where.get(clip.id, ("", 0))
            return clip.corpus, str(path), row

        return sorted(range(len(self.clips)), key=place)

    def sources(self) -> Iterator[str]:
        """Yield the digests of what every clip's features were computed from."""
        for clip in self.clips:
            yield " ".join(str(reader.sources.get(clip.id)) for reader in self.readers[clip.corpus])

    def load(self, index: Sequence[int]) -> Stored:
        """Read some clips into memory, in the order given."""
        counts, shortest_longest = self.counts[index], self.lengths
        first = np.concatenate([[0], counts.cumsum()])
        lengths = [length for i in index if (outline := self.outlines[i]) is not None for length in outline[0]]
        lengths = lengths or [shortest_longest[0]]  # nobody's window, so that there is something to take nothing from
        start = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        frames = np.zeros((start[-1], *self.axes), self.dtype)
        valid = np.zeros(len(lengths), np.int64)
        at = {clip: place for place, clip in enumerate(index)}
        wanted = [i for i in self._sorted(index) if self.counts[i]]
        others = [i for i in wanted if self._is_averaged(i)]
        runs = [*self._runs([i for i in wanted if not self._is_averaged(i)], at), []]
        for run, after in pairwise(runs):
            self._expect(after)
            rows = slice(int(first[at[run[0]]]), int(first[at[run[-1]] + 1]))
            lengths_here = np.diff(start[rows.start : rows.stop + 1])
            found = self._straight(run, frames[start[rows.start] : start[rows.stop]], lengths_here)
            if found is None:
                others += run
            else:
                valid[rows] = found
        for some in self._pieces(others):
            for i, windows in self._read(some).items():
                row = int(first[at[i]])
                rows = slice(row, row + len(windows))
                self._check(windows, np.diff(start[row : rows.stop + 1]), i)
                frames[start[row] : start[rows.stop]] = windows.values
                valid[rows] = windows.valid
        whole = torch.from_numpy(frames)
        uniform = shortest_longest[0] == shortest_longest[1]
        return Stored(
            whole.reshape(-1, shortest_longest[0], *self.axes) if uniform else whole,
            None if uniform else torch.from_numpy(start),
            torch.from_numpy(valid),
            torch.from_numpy(first),
        )

    def _is_averaged(self, i: int) -> bool:
        return (self.clips[i].corpus, self.clips[i].id) in self._averaged

    def _runs(self, index: Sequence[int], at: Mapping[int, int]) -> Iterator[list[int]]:
        """Cut clips in the order of the disk wherever two do not follow each other there and in memory."""
        run: list[int] = []
        expected: tuple[str, Path, int, int] | None = None
        for i in index:
            corpus = self.clips[i].corpus
            path, row = self.readers[corpus][0].where[self.clips[i].id]
            if run and (corpus, path, row, at[i]) != expected:
                yield run
                run = []
            run.append(i)
            expected = corpus, path, row + 1, at[i] + 1
        if run:
            yield run

    def _expect(self, run: Sequence[int]) -> None:
        for reader in self.readers[self.clips[run[0]].corpus][:1] if run else ():
            reader.expect([self.clips[i].id for i in run])

    def _straight(
        self, run: Sequence[int], place: NDArray[np.generic], lengths: NDArray[np.int64]
    ) -> NDArray[np.int64] | None:
        """Read clips straight to their place and return what is valid; nothing where they need work, or are damaged.

        What is damaged is read again, clip by clip, which says what is wrong with which.
        """
        reader, *more = self.readers[self.clips[run[0]].corpus]
        windows = None if more else reader.read_run([self.clips[i].id for i in run], place)
        if windows is None or not np.array_equal(np.diff(windows.start), lengths) or not _finite(windows.values):
            return None
        return windows.valid

    def _sorted(self, index: Sequence[int]) -> list[int]:
        wanted = set(index)
        return [i for i in self.order if i in wanted]

    def _pieces(self, index: Sequence[int]) -> Iterator[list[int]]:
        """Cut a list of clips wherever another `AT_ONCE_BYTES` are full."""
        ends = list(accumulate(int(self.steps[i]) * self.step_bytes for i in index))
        piece: list[int] = []
        for i, end in zip(index, ends, strict=True):
            piece.append(i)
            if end // AT_ONCE_BYTES > (end - int(self.steps[i]) * self.step_bytes) // AT_ONCE_BYTES:
                yield piece
                piece = []
        if piece:
            yield piece

    def _read(self, index: Sequence[int]) -> dict[int, Windows]:
        found: dict[int, list[Windows]] = {i: [] for i in index}
        for corpus, readers in self.readers.items():
            mine = [i for i in index if self.clips[i].corpus == corpus]
            for reader in readers:
                read = reader.read(self.clips[i].id for i in mine)
                for i in mine:
                    if self.clips[i].id not in read:
                        raise CacheError(f"{reader.folder}: {self.clips[i].id!r} is gone; nothing may write there now")
                    found[i].append(read[self.clips[i].id])
        return {i: self._made(windows) for i, windows in found.items()}

    def _made(self, entries: Sequence[Windows]) -> Windows:
        windows = entries[0] if len(entries) == 1 else _side_by_side(entries)
        if not self.mean or len(windows) < 2:
            return windows
        stacked = windows.stack()
        values = stacked.mean(axis=0, dtype=np.float32).astype(stacked.dtype)
        whole = (windows.spans_s[0, 0], windows.spans_s[-1, 1])
        return Windows.join([values], [whole], [int(windows.valid.max())])

    def _check(self, windows: Windows, lengths: NDArray[np.int64], i: int) -> None:
        where = f"{self.modality} of {self.clips[i].id}"
        if windows.values.shape[1:] != self.axes or not np.array_equal(np.diff(windows.start), lengths):
            raise CacheError(f"{where}: expected steps of {self.axes}, got {windows.values.shape[1:]}")
        if not _finite(windows.values):
            raise CacheError(f"{where}: some features are not finite numbers; make it again with make features RETRY=1")


def _side_by_side(entries: Sequence[Windows]) -> Windows:
    """Join entries along the width; where one has a single step in a window, it holds for all of its steps."""
    lengths = np.max([np.diff(one.start) for one in entries], axis=0)
    parts = []
    for i, length in enumerate(lengths.tolist()):
        steps = [one.window(i).astype(np.float32, copy=False) for one in entries]
        parts.append(np.concatenate([np.broadcast_to(each, (length, each.shape[1])) for each in steps], axis=1))
    longest = max(entries, key=lambda one: len(one.values))
    return Windows.join(parts, [(begin, end) for begin, end in longest.spans_s.tolist()], longest.valid.tolist())


def _finite(values: NDArray[np.generic]) -> bool:
    """Look at the bits of half floats, for asking numpy takes as long as reading them from the disk."""
    if values.dtype == np.float16:
        return not values.size or bool((values.view(np.uint16) & 0x7FFF).max() < 0x7C00)
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())
