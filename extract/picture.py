"""Which frames of a film the samplings of a clip take, and when; knows no decoder."""

import math
from collections.abc import Callable, Iterable, Mapping
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


Slot = Callable[[Fraction, int], int]
"""The slot of a frame, by its time and by its place among the clip's frames."""


def slot_by(sampling: str, length_s: Fraction | None) -> Slot:
    """Return what numbers the slots of `fps=10`, `every=5,max=25` or `even=12`; only the last asks for the length."""
    values = {name: int(value) for name, _, value in (part.partition("=") for part in sampling.split(","))}
    if "fps" in values:
        return lambda time_s, _: slot_of(time_s, values["fps"])
    if "every" in values:
        return lambda _, place: min(place // values["every"], values["max"] - 1)
    if length_s is None:
        raise ValueError(f"{sampling} asks how long the pictures last")
    return lambda time_s, _: min(math.floor(time_s * values["even"] / length_s), values["even"] - 1)


class Sampling:
    """Takes the first frame of every slot of every sampling; times count from the clip's start.

    `pictures_s` is how long the pictures last, where a sampling spreads its frames evenly over them.
    """

    def __init__(self, length_s: Fraction | None, samplings: Iterable[str], pictures_s: Fraction | None = None) -> None:
        self._length_s = length_s
        self._slots = {sampling: slot_by(sampling, pictures_s) for sampling in samplings}
        self._last_slot = dict.fromkeys(self._slots, -1)
        self._last_s = self._end_s = Fraction(0)
        self._times_s: list[Fraction] = []
        self._place = 0
        self._decoded = 0
        self.done = False

    def takes(self, time_s: Fraction, lasts_s: Fraction) -> Mapping[str, int]:
        """Return the samplings that want a frame, each with the slot; `lasts_s` is 0 where the file does not say."""
        self._decoded += 1
        self.done = self.done or (self._length_s is not None and time_s >= self._length_s)
        if self.done or time_s < 0:
            return {}
        since_s = time_s - self._last_s
        if since_s > LONGEST_HOLE_S:
            raise ValueError(f"the time stamps of its pictures jump by {float(since_s):.1f} s")
        if time_s > LONGEST_S:
            raise ValueError(f"expected at most {LONGEST_S // 3600} hours of pictures in a clip, got more")
        self._end_s = time_s + min(lasts_s or max(since_s, Fraction(0)) or LONE_FRAME_S, Fraction(LONGEST_HOLE_S))
        self._last_s = time_s
        begun = {sampling: number(time_s, self._place) for sampling, number in self._slots.items()}
        begun = {sampling: slot for sampling, slot in begun.items() if slot > self._last_slot[sampling]}
        self._place += 1
        self._last_slot |= begun
        if begun:
            self._times_s.append(time_s)
        return begun

    def finish(self, start_s: Fraction) -> Pictures:
        """Return the times of the frames that were taken; complain with where the clip begins in the file."""
        if not self._times_s:
            raise ValueError(f"its video stream holds no frame from {float(start_s)} s on")
        duration_s = self._end_s if self._length_s is None else min(self._length_s, self._end_s)
        return Pictures(self._times_s, duration_s, self._decoded)
