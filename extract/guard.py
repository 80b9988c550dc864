"""A worker in a process of its own, watched: started again when it dies or hangs, until the clip at fault is known.

A slice whose worker died is tried again as it is, because what killed it may have come from outside. If it dies again,
the clips that were under way are done one by one, and one that kills its worker alone is quarantined.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from extract.slices import Job, Share, Slice
from extract.tally import Progress, Step, Tally
from features import Failure
from features.failures import record

ATTEMPTS = 3
LIBRARY_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
DEFAULTS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait are a plague where others want the same cores
    "HF_HUB_OFFLINE": "1",  # nothing is fetched at run time, whoever starts this
    "TRANSFORMERS_OFFLINE": "1",
}
HERE = Path(__file__).parents[1]


class WorkerError(OSError):
    """A worker that dies again and again, and no clip to blame."""


@dataclass(frozen=True)
class Death:
    """How an attempt ended, and the clips that were under way."""

    reason: str
    suspects: tuple[str, ...]
    stage: str
    hung: bool


class Guard:
    """One worker process and its successors. `show` is told the progress of the slice under way."""

    def __init__(self, job: Job, show: Callable[[Progress], None] = lambda _: None) -> None:
        self.job, self.show = job, show
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def work(self, part: Slice, deaths: int = 0) -> Tally:
        """Carry a slice out, whatever happens to the worker, which it has killed so many times already."""
        ended = self._attempt(part)
        if isinstance(ended, Tally):
            return ended
        deaths += 1
        tally = Tally(deaths=1)
        suspects = ended.suspects
        if culprit := _culprit(part, ended, deaths):
            tally.add(_quarantine(part, culprit, ended, deaths))
            then = [(part.lacking(lambda share, clip: clip != culprit or not _concerned(share, ended.stage)), 0)]
        elif not suspects and deaths >= ATTEMPTS:
            raise WorkerError(f"the worker {ended.reason}, {deaths} times, with no clip under way; is memory short?")
        elif not suspects or deaths < ATTEMPTS - 1 or len(part.clips) == 1:
            then = [(part, deaths)]
        else:
            others = [clip.id for clip in part.clips if clip.id not in suspects]
            then = [(part.only(others), 0), *((part.only([clip]), deaths) for clip in suspects)]
        for rest, died in then:
            if rest.shares:
                tally.add(self.work(rest, died))
        return tally

    def close(self) -> None:
        """End the worker."""
        if self._process:
            self._process.kill()
            self._process.wait()
        if self._connection:
            self._connection.close()
        self._process = self._connection = None

    def _attempt(self, part: Slice) -> Tally | Death:
        watch = _Watch()
        try:
            connection = self._connection or self._start()
            connection.send(part)
            while True:
                ready = connection.poll(watch.patience_s)
                if ready and isinstance(message := watch.told(connection.recv(), self.show), Tally):
                    return message
                if overdue := watch.overdue():
                    self.close()
                    reason = f"took more than {overdue.limit_s:.0f} s (TIME_LIMIT={self.job.time_limit:g} a second)"
                    return Death(reason, overdue.clips, overdue.stage, hung=True)
        except (EOFError, ConnectionError):
            return self._died(watch)

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (our own module)
                [sys.executable, "-m", "extract.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,  # ours is the only voice
                env=self._environment(),
            )
        self._connection = Connection(ours.detach())
        self._connection.send(self.job)
        _unwrapped(self._connection.recv())
        return self._connection

    def _environment(self) -> dict[str, str]:
        found = {**DEFAULTS, **os.environ}
        found["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        if self.job.threads:  # dask thinks that its own process does the work, and sets these for that
            found |= dict.fromkeys(LIBRARY_THREADS, str(self.job.threads))
            found.pop("MALLOC_TRIM_THRESHOLD_", None)  # gives memory back at once: a third slower
        return found

    def _died(self, watch: "_Watch") -> Death:
        status = self._process.wait() if self._process else 0
        self.close()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with code {status}"
        return Death(how, *watch.under_way(), hung=False)


class _Watch:
    """What a worker is doing, by what it told, and for how long already."""

    patience_s = 1.0

    def __init__(self) -> None:
        self._steps: dict[int, Step] = {}
        self._spent_s: dict[int, float] = {}
        self._looked_s = time.monotonic()

    def told(self, message: object, show: Callable[[Progress], None]) -> Tally | None:
        """Take a message of the worker; return the tally that ends a slice."""
        if isinstance(message, Step):
            self._steps[message.number], self._spent_s[message.number] = message, 0.0
        elif isinstance(message, int):
            del self._steps[message], self._spent_s[message]
        elif isinstance(message, Progress):
            show(message)
        else:
            tally = _unwrapped(message)
            return tally if isinstance(tally, Tally) else None
        return None

    def overdue(self) -> Step | None:
        """Return a step that lasts too long. While this process itself was stopped, no time has passed."""
        now_s = time.monotonic()
        passed_s, self._looked_s = min(now_s - self._looked_s, 2 * self.patience_s), now_s
        for number in self._spent_s:
            self._spent_s[number] += passed_s
        return next((step for number, step in self._steps.items() if self._spent_s[number] > step.limit_s), None)

    def under_way(self) -> tuple[tuple[str, ...], str]:
        """Return the clips of all steps, and what was done with them."""
        clips = dict.fromkeys(clip for step in self._steps.values() for clip in step.clips)
        return tuple(clips), " or ".join(dict.fromkeys(step.stage for step in self._steps.values()))


def _unwrapped(message: object) -> object:
    if isinstance(message, Exception):
        raise message
    return message


def _culprit(part: Slice, ended: Death, deaths: int) -> str | None:
    """Return the clip that is surely at fault: one that hangs, or one that has killed its worker when alone."""
    proven = len(part.clips) == 1 and deaths >= ATTEMPTS
    return ended.suspects[0] if ended.suspects and (proven or (ended.hung and len(ended.suspects) == 1)) else None


def _quarantine(part: Slice, clip: str, ended: Death, deaths: int) -> Tally:
    reason = f"the worker {ended.reason}" + ("" if ended.hung else f", {deaths} times")
    tally = Tally(clips=int(_reading(ended.stage)))
    for share in part.shares:
        if clip in share.sources and _concerned(share, ended.stage):
            attempts = share.attempts.get(clip, 0) + deaths
            failure = Failure(clip, share.sources[clip], ended.stage, reason, attempts)
            record(share.want.folder, [failure])
            tally.failures[share.want.name].append(failure)
    return tally


def _concerned(share: Share, stage: str) -> bool:
    """Return whether an entry cannot be had when this stage fails: its own, one that it builds on, or the reading."""
    return stage in share.want.stages or _reading(stage)


def _reading(stage: str) -> bool:
    return "decode" in stage
