"""The frames of one clip in one sampling: which are sure to lie in a window, and which units stand for which frame."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from extract import cut
from extract.cut import Layout
from extract.window import covered_s
from features import Grid
from features.windows import Array


@dataclass(frozen=True)
class Shot:
    """A frame, with what is to be encoded of it: the frame itself, or its faces."""

    index: int
    time_s: Fraction
    units: Sequence[Array]
    faces: int | None = None
    """How many were found, where faces are looked for."""


class Reel:
    """Takes frames in the order of their times; hands out units for those that count."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._times_s: list[Fraction] = []
        self._taken: list[int] = []
        self._held: deque[Shot] = deque()
        self._groups: dict[int, tuple[int, ...]] = {}
        self._faces: dict[int, int] = {}
        self._given = 0

    def take(self, time_s: Fraction, slot: int) -> int:
        """Note a frame that begins a slot; return its place."""
        self._times_s.append(time_s)
        self._taken.append(slot)
        return len(self._times_s) - 1

    def end(self, duration_s: Fraction) -> Layout:
        """Lay the frames out, now that no more will come."""
        return cut.frames(self._times_s, self._taken, duration_s, self._grid)

    def hold(self, shot: Shot) -> None:
        """Keep a shot until it is sure to count."""
        self._held.append(shot)

    def sure(self, layout: Layout | None) -> Iterator[tuple[Shot, range]]:
        """Yield the shots that are sure to lie in a window, each with the numbers of its units.

        Those of a tail that is too short never are, as the layout says once it is known.
        """
        sure_s = covered_s(self._held[-1].time_s, self._grid) if self._held else Fraction(0)
        while self._held:
            shot = self._held[0]
            if not (shot.index < len(layout.groups) if layout else shot.time_s < sure_s):
                break
            yield self._held.popleft(), self._numbered(shot)
        if layout:
            self._held.clear()

    def grouped(self, layout: Layout, *, skips: bool) -> Layout:
        """Return the layout with the units and faces of each frame; frames without a face may be left out."""
        places = range(len(layout.groups))
        layout = replace(layout, groups=[self._groups[place] for place in places])
        if self._faces:
            layout = replace(layout, counts={"n_faces": [self._faces[place] for place in places]})
        return cut.without_empty(layout) if skips else layout

    def _numbered(self, shot: Shot) -> range:
        numbers = range(self._given, self._given + len(shot.units))
        self._given = numbers.stop
        self._groups[shot.index] = tuple(numbers)
        if shot.faces is not None:
            self._faces[shot.index] = shot.faces
        return numbers
