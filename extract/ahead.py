"""Media read ahead: threads decode the next clips into a queue of bounded size while the encoders run.

Pieces come out in the order of the clips, whichever thread was faster, so that batches are the same in every run.
"""

import contextlib
import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from extract.media import Files, Media, Need
from extract.tally import Clock, Meter
from manifests import Clip

QUEUE_BYTES = 1 << 28


@dataclass(frozen=True)
class Task:
    """One clip to read: what its encoders need, and how long it should be."""

    clip: Clip
    need: Need
    length_s: float


@dataclass(frozen=True)
class Frame:
    """A frame on its way to the encoders; many come before the clip's `Media`."""

    clip: Clip
    image: NDArray[np.uint8]
    time_s: Fraction
    slots: Mapping[str, int]
    """The samplings that want it, each with the slot that it begins."""


Piece = Frame | tuple[Clip, Media]
Paused = Callable[[], AbstractContextManager[None]]


class Ahead:
    """The pieces of all visits, in order. A visit is the clips that share a file, which is opened once."""

    def __init__(self, root: Path, visits: Sequence[Sequence[Task]], readers: int, meter: Meter) -> None:
        self._root, self._visits, self._meter = root, visits, meter
        self._ready: list[deque[Piece | Exception | None]] = [deque() for _ in visits]
        self._next, self._head, self._held = 0, 0, 0
        self._stopped = False
        self._moved = threading.Condition()
        self._threads = [threading.Thread(target=self._read, daemon=True) for _ in range(min(readers, len(visits)))]

    def __iter__(self) -> Iterator[Piece]:
        for thread in self._threads:
            thread.start()
        try:
            while self._head < len(self._visits):
                if (piece := self._taken()) is not None:
                    yield piece
        finally:
            with self._moved:
                self._stopped = True
                self._moved.notify_all()
            for thread in self._threads:
                thread.join()

    def _taken(self) -> Piece | None:
        began_s = perf_counter()
        with self._moved:
            self._moved.wait_for(lambda: self._ready[self._head])
            piece = self._ready[self._head].popleft()
            self._head += piece is None  # the visit is over
            self._held -= _bytes(piece)
            self._meter.held = min(1.0, self._held / QUEUE_BYTES)
            self._moved.notify_all()
        self._meter.tally.waited_s += perf_counter() - began_s
        if isinstance(piece, Exception):
            raise piece
        return piece

    def _read(self) -> None:
        while True:
            with self._moved:
                visit, self._next = self._next, self._next + 1
            if visit >= len(self._visits):
                return
            try:
                self._visit(visit)
            except _StoppedError:
                return
            except Exception as error:  # noqa: BLE001 (raised where the pieces are taken)
                with self._moved:
                    self._ready[visit].append(error)
                    self._moved.notify_all()
                return

    def _visit(self, visit: int) -> None:
        with Files(self._root) as files:
            for task in self._visits[visit]:
                if task.need == Need():  # words lie in the manifest
                    self._put(visit, (task.clip, Media()))
                    continue
                with self._meter.step("decode", [task.clip.id], task.length_s) as clock:
                    show = functools.partial(self._show, visit, task.clip, clock)
                    media = files.read(task.clip, task.need, show)
                    clock.media_s = media.length_s
                self._put(visit, (task.clip, media))
            self._put(visit, None)

    def _show(
        self,
        visit: int,
        clip: Clip,
        clock: Clock,
        image: NDArray[np.uint8],
        time_s: Fraction,
        slots: Mapping[str, int],
    ) -> None:
        self._put(visit, Frame(clip, image, time_s, slots), clock.paused)

    def _put(self, visit: int, piece: Piece | None, paused: Paused = contextlib.nullcontext) -> None:
        with self._moved:
            if not self._has_room(visit):
                with paused():  # waiting for room is not decoding
                    self._moved.wait_for(lambda: self._has_room(visit))
            if self._stopped:
                raise _StoppedError
            self._ready[visit].append(piece)
            self._held += _bytes(piece)
            self._moved.notify_all()

    def _has_room(self, visit: int) -> bool:
        """Return whether a piece may be put: one of the visit whose turn it is always may, or nothing would move."""
        return self._stopped or self._held < QUEUE_BYTES or (visit == self._head and not self._ready[visit])


class _StoppedError(Exception):
    """Nobody takes pieces any more."""


def _bytes(piece: object) -> int:
    if isinstance(piece, Frame):
        return piece.image.nbytes
    return piece[1].nbytes if isinstance(piece, tuple) else 0
