"""What a run has done so far, and how long each stage took: for its progress, its summary and its exit code."""

import copy
import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from time import perf_counter
from typing import Self

from features import Failure


def _zeros() -> "defaultdict[str, float]":
    return defaultdict(float)


def _counts() -> "defaultdict[str, int]":
    return defaultdict(int)


@dataclass
class Tally:
    """What was done: of one slice, of one worker, or of a whole run."""

    clips: int = 0
    files: int = 0
    media_s: float = 0.0
    waited_s: float = 0.0
    """How long the encoders waited for the decoder."""
    deaths: int = 0
    """Workers that died or hung and were started again."""
    busy_s: dict[str, float] = field(default_factory=_zeros)
    """Stage to its seconds of work, summed over threads."""
    staged_s: dict[str, float] = field(default_factory=_zeros)
    """Stage to the seconds of media that it dealt with."""
    units: dict[str, int] = field(default_factory=_counts)
    """Stage to the units (frames, faces, windows, sentences) that it dealt with."""
    windows: dict[str, int] = field(default_factory=_counts)
    repeated: dict[str, int] = field(default_factory=_counts)
    """Entry to the slots that had no frame of their own."""
    failures: dict[str, list[Failure]] = field(default_factory=lambda: defaultdict(list))

    @property
    def failed(self) -> set[str]:
        """Return the clips that failed for at least one entry."""
        return {failure.clip for failures in self.failures.values() for failure in failures}

    def add(self, other: "Tally") -> None:
        """Count what another has done as well."""
        for entry in fields(self):
            mine, theirs = getattr(self, entry.name), getattr(other, entry.name)
            if isinstance(mine, dict):
                for name, value in theirs.items():
                    mine[name] = mine[name] + value
            else:
                setattr(self, entry.name, mine + theirs)


@dataclass(frozen=True)
class Step:
    """Something a worker does now, which must not last longer than `limit_s`."""

    number: int
    stage: str
    clips: tuple[str, ...]
    limit_s: float


@dataclass(frozen=True)
class Progress:
    """How far a worker is with its slice."""

    tally: Tally
    held: float
    """How full the queue between decoder and encoders is, from 0 to 1."""


class Clock:
    """Times one step, without the pauses in which it waited for others."""

    def __init__(self, start: Callable[[], None], stop: Callable[[], None], media_s: float) -> None:
        self.media_s = media_s
        """Seconds of media that the step dealt with; known better once it is over."""
        self.busy_s = 0.0
        self._start, self._stop = start, stop
        self._began_s = 0.0

    def __enter__(self) -> Self:
        self._start()
        self._began_s = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.busy_s += perf_counter() - self._began_s
        self._stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Wait for something that is not this step's own doing."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


class Meter:
    """Times the steps of a worker and tells its supervisor of each, so that a death or a hang has a suspect."""

    def __init__(self, time_limit: float, tell: Callable[[Step | int], None] = lambda _: None) -> None:
        self.tally = Tally()
        self.held = 0.0
        self._time_limit, self._tell = time_limit, tell
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @contextmanager
    def step(self, stage: str, clips: Iterable[str], media_s: float = 0.0, units: int = 1) -> Iterator[Clock]:
        """Time a step; one with suspects is told, with a limit in proportion to the media it deals with."""
        step = Step(next(self._numbers), stage, tuple(dict.fromkeys(clips)), self._time_limit * (media_s + 2))
        tell = self._tell if step.clips else lambda _: None
        clock = Clock(lambda: tell(step), lambda: tell(step.number), media_s)
        try:
            with clock:
                yield clock
        finally:
            with self._lock:
                self.tally.busy_s[stage] += clock.busy_s
                self.tally.staged_s[stage] += clock.media_s
                self.tally.units[stage] += units

    def progress(self) -> Progress:
        """Return a copy of what was done so far; called by the thread that counts windows and failures."""
        with self._lock:
            return Progress(copy.deepcopy(self.tally), self.held)
