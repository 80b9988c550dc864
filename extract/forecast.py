"""How long a run will take and how much disk it will fill, by a short trial on its own first clips."""

import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from extract.guard import Guard
from extract.plan import Plan
from extract.slices import Job, Slice
from extract.wanted import Want

TRIAL_CLIPS = 4
"""So many clips say how fast a run will be, and whether `fast` is close enough."""


@dataclass(frozen=True)
class Forecast:
    """What a trial says about the whole run."""

    clips: int
    """On how many clips it rests."""
    wall_s: float
    disk_bytes: float


def forecast(todo: Plan, job: Job, workers: int = 1) -> Forecast:
    """Run the first clips into a folder that is thrown away, and scale up by the length of the media."""
    part = todo.slices[0]
    trial = part.only(clip.id for clip in part.clips[:TRIAL_CLIPS])
    with tempfile.TemporaryDirectory() as folder, closing(Guard(_job(job, Path(folder)))) as guard:
        trial = _slice(trial, Path(folder))
        guard.work(trial.only([trial.clips[0].id]))  # the first call of a network is slow
        began_s = time.perf_counter()
        tally = guard.work(trial)
        wall_s = time.perf_counter() - began_s
        disk_bytes = sum(part.stat().st_size for part in Path(folder).glob("*/part-*.h5"))
    share = tally.media_s / todo.media_s if tally.media_s and todo.media_s else len(trial.clips) / todo.clips_todo
    return Forecast(len(trial.clips), wall_s / share / workers, disk_bytes / share)


def _job(job: Job, folder: Path) -> Job:
    return replace(job, wants=tuple(_elsewhere(want, folder) for want in job.wants))


def _slice(part: Slice, folder: Path) -> Slice:
    return replace(part, shares=tuple(replace(share, want=_elsewhere(share.want, folder)) for share in part.shares))


def _elsewhere(want: Want, folder: Path) -> Want:
    """Return an entry that is written to another folder; stored boxes are still read where they are."""
    return replace(want, folder=folder / want.name)
