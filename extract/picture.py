"""Which frames of a film the samplings of a clip take, and when; knows no decoder."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from extract.sound import LONGEST_HOLE_S, LONGEST_S
from extract.window import slot_of

# What a frame lasts when neither the file nor a neighbour says.
LONE_FRAME_S = Fraction(1, 25)


@dataclass(frozen=True)
class Pictures:
    """When the frames that were shown stand, from the clip's start."""

    times_s: list[Fraction]
    duration_s: Fraction
    decoded: int
    """How many frames were decoded, also those before the clip that a seek needs."""


class Sampling:
    """Takes the first frame of every slot of every sampling; times count from the clip's start."""

    def __init__(self, length_s: Fraction | None, fps: Iterable[int]) -> None:
        self._length_s = length_s
        self._last_slot = dict.fromkeys(fps, -1)
        self._last_s = self._end_s = Fraction(0)
        self._times_s: list[Fraction] = []
        self._decoded = 0
        self.done = False

    def takes(self, time_s: Fraction, lasts_s: Fraction) -> bool:
        """Return whether a frame is wanted; `lasts_s` is 0 where the file does not say."""
        self._decoded += 1
        self.done = self.done or (self._length_s is not None and time_s >= self._length_s)
        if self.done or time_s < 0:
            return False
        since_s = time_s - self._last_s
        if since_s > LONGEST_HOLE_S:
            raise ValueError(f"the time stamps of its pictures jump by {float(since_s):.1f} s")
        if time_s > LONGEST_S:
            raise ValueError(f"expected at most {LONGEST_S // 3600} hours of pictures in a clip, got more")
        self._end_s = time_s + min(lasts_s or max(since_s, Fraction(0)) or LONE_FRAME_S, Fraction(LONGEST_HOLE_S))
        self._last_s = time_s
        slots = {fps: slot_of(time_s, fps) for fps in self._last_slot}
        if all(slot <= self._last_slot[fps] for fps, slot in slots.items()):
            return False
        self._last_slot = {fps: max(slot, self._last_slot[fps]) for fps, slot in slots.items()}
        self._times_s.append(time_s)
        return True

    def finish(self, start_s: Fraction) -> Pictures:
        """Return the times of the frames that were taken; complain with where the clip begins in the file."""
        if not self._times_s:
            raise ValueError(f"its video stream holds no frame from {float(start_s)} s on")
        duration_s = self._end_s if self._length_s is None else min(self._length_s, self._end_s)
        return Pictures(self._times_s, duration_s, self._decoded)
