"""What a person sees of a run: a live line per stage while it goes on, a summary that names what bound it."""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.check import NEIGHBOURS, Verdict
from extract.plan import Plan
from extract.tally import Tally
from features import Failure
from features.waiting import redraws
from manifests import Clip

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_LINE_EVERY_S = 10.0
MOST_REASONS = 5
PLACE = {"load": 0, "decode": 1, "write": 4}
"""Where stages stand that are no encoder's."""


def plan_lines(todo: Plan) -> Iterator[str]:
    """Say what a run would do."""
    row = "{:26} {:24} {:>7} {:>8} {:>6} {:>7} {:>7} {:>9}".format
    yield row("entry", "grid", "done", "to do", "stale", "failed", "absent", "windows")
    for entry in todo.entries:
        counts = map(len, (entry.done, entry.todo, entry.stale, entry.quarantined))
        windows = f"{entry.windows}+?" if entry.unknown else entry.windows
        yield row(entry.name, str(entry.want.grid), *counts, entry.absent, windows)
    quarantined = len({clip for entry in todo.entries for clip in entry.quarantined})
    if quarantined:
        yield f"{quarantined} clips failed before and are left out; RETRY=1 tries them again"
    length = f", about {lasting(todo.media_s)} of media" if todo.media_s else ""
    yield f"{todo.clips_todo} clips to visit in {len(todo.slices)} parts{length}"


def lasting(seconds: float) -> str:
    """Write a duration as a person would say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def stages(tally: Tally) -> list[tuple[str, float, float, int]]:
    """Return each stage with its seconds of work, its media seconds per second of work, and its units."""
    order = sorted(filter(tally.busy_s.get, tally.busy_s), key=lambda stage: (PLACE.get(stage, 2), stage))
    return [(stage, busy := tally.busy_s[stage], tally.staged_s[stage] / busy, tally.units[stage]) for stage in order]


def bound_by(tally: Tally, wall_s: float) -> str:
    """Name the stage that decided how long the run took."""
    encoding = {stage: busy_s for stage, busy_s in tally.busy_s.items() if stage not in ("load", "decode")}
    slowest = max(encoding, key=encoding.__getitem__, default="")
    if not slowest or tally.waited_s > encoding[slowest]:
        return f"decode: the encoders waited for it {tally.waited_s / wall_s:.0%} of the time"
    return f"{slowest}: {encoding[slowest] / sum(encoding.values()):.0%} of the work after decoding"


def summary(tally: Tally, wall_s: float, todo: Plan) -> Iterator[str]:
    """Say what a run did, how fast, and what bound it."""
    media = f", {tally.media_s:.0f} s of media" if tally.media_s else ""
    speed = f"{tally.media_s / wall_s:.1f} media seconds" if tally.media_s else f"{tally.clips / wall_s:.1f} clips"
    yield f"{tally.clips} clips{media} in {wall_s:.0f} s: {speed} per second; {tally.files} files opened"
    for stage, busy_s, rate, units in stages(tally):
        yield (
            f"  {stage:18} {busy_s:8.1f} s of work"
            + (f", {rate:8.1f} media s/s" if rate else "")
            + (f", {units / busy_s:8.1f} units/s" if stage not in PLACE else "")
        )
    if tally.busy_s:
        yield f"  bound by {bound_by(tally, wall_s)}"
    folders = {entry.name: entry.want.folder for entry in todo.entries}
    for name, windows in tally.windows.items():
        yield f"  {name}: {windows} windows, in {folders[name]}"
        if tally.repeated[name]:
            yield f"    {tally.repeated[name]} slots had no frame of their own and repeat the one before"
    if tally.deaths:
        yield f"  {tally.deaths} times a worker died or hung and was started again"
    yield from _failures(tally, todo, folders)


def _failures(tally: Tally, todo: Plan, folders: Mapping[str, Path]) -> Iterator[str]:
    failed_clips = tally.failed
    clips = {clip.id: clip for clip in todo.manifest.clips if clip.id in failed_clips}
    for name, failed in tally.failures.items():
        if failed:
            yield f"  {name}: {len(failed)} clips failed, recorded in {folders[name] / 'failures.jsonl'}"
            groups: dict[str, list[str]] = defaultdict(list)
            for failure in failed:
                groups[f"{failure.stage}: {_cause(failure, clips.get(failure.clip))}"].append(failure.clip)
            largest = sorted(groups.items(), key=lambda group: -len(group[1]))[:MOST_REASONS]
            yield from (f"    {len(ids)} x {reason} (first: {ids[0]})" for reason, ids in largest)


def _cause(failure: Failure, clip: Clip | None) -> str:
    """Return a reason without the file that it names, which differs from clip to clip."""
    paths = {path for track in clip.tracks for path in track.paths} if clip else set()
    return next(
        (failure.reason.replace(f"{path}: ", "", 1) for path in paths if path in failure.reason), failure.reason
    )


def verdict_lines(verdict: Verdict, *, random: bool = False) -> Iterator[str]:
    """Say what a check measured, and what it should have been."""
    mean, worst = verdict.bars
    alike = "overlap of boxes" if verdict.boxes else "cosine per step, without the mean feature"
    yield f"{verdict.encoder}: {verdict.units} units, {verdict.steps} {'boxes' if verdict.boxes else 'steps'}"
    yield f"  neighbours and order move a feature by {verdict.neighbours:.1e} of the spread (at most {NEIGHBOURS:g})"
    yield f"  fast against exact, {alike}: {verdict.mean:.5f} on average (at least {mean:g}),"
    yield f"  {verdict.worst:.5f} at worst (at least {worst:g})"
    answer = "passed" if verdict.passed else "NOT passed: PRECISION=fast is refused"
    yield f"  {answer}" + (" (random weights: this says little)" if random else "")


def console() -> "Console":
    """Return the terminal; to rich, NO_COLOR leaves bold and dim letters, as hard to read as colours."""
    from rich.console import Console

    return Console(color_system=None if os.environ.get("NO_COLOR") else "auto")


@contextmanager
def progress(total: int) -> Iterator[Callable[[Tally, float], None]]:
    """Show a live table on a terminal, and a plain line now and then elsewhere."""
    began_s = time.monotonic()
    if redraws(sys.stdout):
        from rich.live import Live

        first = _table(Tally(), 0.0, total, 0.0)  # loading networks may take long
        with Live(first, console=console(), refresh_per_second=4) as live:
            yield lambda tally, held: live.update(_table(tally, held, total, time.monotonic() - began_s))
        return
    told_s = began_s

    def line(tally: Tally, held: float) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s >= PLAIN_LINE_EVERY_S:
            told_s = now_s
            sys.stdout.write(_line(tally, held, total, now_s - began_s) + "\n")
            sys.stdout.flush()

    yield line


def _line(tally: Tally, held: float, total: int, wall_s: float) -> str:
    left_s = wall_s / max(1, tally.clips) * (total - tally.clips)
    speed = f", {tally.media_s / wall_s:.1f} media s/s" if tally.media_s else ""
    left = f"about {lasting(left_s)} left" if tally.clips else "starting"
    return f"{tally.clips}/{total} clips{speed}, queue {held:.0%} full, {len(tally.failed)} failed, {left}"


def _table(tally: Tally, held: float, total: int, wall_s: float) -> Any:
    from rich.table import Table

    table = Table("stage", "media s/s", "units/s", "busy", box=None, caption=_line(tally, held, total, wall_s))
    for stage, busy_s, rate, units in stages(tally):
        table.add_row(stage, f"{rate:.1f}", f"{units / busy_s:.1f}", f"{busy_s / wall_s:.0%}")
    return table
