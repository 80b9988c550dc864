"""What is left to do: the manifest minus the cache. Decides everything and changes neither.

The same plan is printed by a dry run and carried out by a real one. All it leaves behind are notes that spare the next
one work: the digests of media files, and the index of an entry that has none.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from extract.slices import Share, Slice, expected_s, length_s, slice_up
from extract.sources import Sources
from extract.wanted import Want, wants
from features import CacheError, Grid, Reader
from features.failures import recorded
from features.roots import copies
from manifests import Clip, Manifest, gc_paused

__all__ = ["EntryPlan", "Plan", "Share", "Slice", "Want", "plan", "wants"]


@dataclass(frozen=True)
class EntryPlan:
    """What one entry has and lacks, clip by clip."""

    want: Want
    sources: Mapping[str, str]
    """Digest of what the encoder reads, of every chosen clip that has the modality."""
    done: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()
    quarantined: frozenset[str] = frozenset()
    attempts: Mapping[str, int] = field(default_factory=dict)
    """Earlier failures of the clips that are retried."""
    absent: int = 0
    windows: int = 0
    """To compute, as far as the manifest knows lengths."""
    unknown: int = 0
    """Clips to compute whose length the manifest does not know: their windows are not among these."""

    @property
    def name(self) -> str:
        """Return the entry's folder name."""
        return self.want.name

    @cached_property
    def todo(self) -> frozenset[str]:
        """Return the clips to compute, stale ones included."""
        return frozenset(self.sources.keys() - self.done - self.quarantined)


@dataclass(frozen=True)
class Plan:
    """All that a run would do."""

    manifest: Manifest
    entries: tuple[EntryPlan, ...]
    slices: tuple[Slice, ...] = field(repr=False)
    """Those with something to do; clips that are retried come last, each alone."""

    @property
    def clips_todo(self) -> int:
        """Return how many clips need at least one encoder."""
        return sum(len(part.clips) for part in self.slices)

    @property
    def media_s(self) -> float:
        """Return the seconds of media that are to be read, with a guess where the manifest gives no end."""
        return sum(part.media_s for part in self.slices)


@gc_paused()
def plan(
    manifest: Manifest,
    wanted: Sequence[Want],
    chosen: Callable[[Clip], bool] = lambda _: True,
    *,
    retry: bool = False,
    deep: bool = False,
) -> Plan:
    """Compare what is wanted with what the cache has.

    `retry` takes quarantined clips up again; `deep` hashes every media file, whatever its size and time say.
    """
    clips = [clip for clip in manifest.clips if chosen(clip)]
    sources = Sources(manifest, deep=deep)
    digests = {medium: sources.of(clips, medium) for medium in {want.source for want in wanted}}
    sources.save()
    entries = tuple(_entry(want, clips, digests[want.source], retry=retry) for want in wanted)
    return Plan(manifest, entries, tuple(_slices(manifest.clips, entries)))


def _slices(clips: Sequence[Clip], entries: Sequence[EntryPlan]) -> Iterator[Slice]:
    todo = set[str]().union(*(entry.todo for entry in entries))
    retried = set[str]().union(*(entry.attempts for entry in entries))
    if todo - retried:
        for part in slice_up(clips):
            if here := tuple(clip for clip in part if clip.id in todo and clip.id not in retried):
                yield _slice(here, entries)
    for clip in clips:
        if clip.id in retried:
            yield _slice((clip,), entries)


def _slice(clips: tuple[Clip, ...], entries: Iterable[EntryPlan]) -> Slice:
    lacking = {entry.name: [clip.id for clip in clips if clip.id in entry.todo] for entry in entries}
    shares = tuple(_share(entry, lacking[entry.name]) for entry in entries if lacking[entry.name])
    media_s = sum(expected_s(clip, [s.want.spec.medium for s in shares if clip.id in s.sources]) for clip in clips)
    return Slice(clips, shares, media_s)


def _share(entry: EntryPlan, clips: Sequence[str]) -> Share:
    return Share(
        entry.want,
        {clip: entry.sources[clip] for clip in clips},
        entry.stale.intersection(clips),
        {clip: entry.attempts[clip] for clip in clips if clip in entry.attempts},
    )


def windows_in(length_s: float, grid: Grid) -> int:
    """Return how many windows a grid cuts a length into: `len(window.spans(...))` without a list of them."""
    if length_s <= 0 or grid.form == "clip" or length_s <= grid.length_s:
        return int(length_s > 0)
    full = math.ceil(round((length_s - float(grid.length_s)) / float(grid.step_s), 6))
    tail_s = round(length_s - full * float(grid.step_s), 6)
    return full + (tail_s > 0 and tail_s >= float(grid.min_tail_s))


def _entry(want: Want, clips: Sequence[Clip], reads: Mapping[str, str], *, retry: bool) -> EntryPlan:
    cached = _cached(want)
    done = frozenset(clip for clip, digest in reads.items() if cached.get(clip) == digest)
    # Of another source, a failure says nothing any more: a mended file is tried again by itself.
    failed = {
        clip: failure.attempts
        for clip, failure in recorded(want.folder).items()
        if clip not in done and reads.get(clip) == failure.source
    }
    entry = EntryPlan(
        want,
        reads,
        done,
        stale=frozenset(reads.keys() & cached.keys()) - done,
        quarantined=frozenset() if retry else frozenset(failed),
        attempts=failed if retry else {},
        absent=len(clips) - len(reads),
    )
    if not entry.todo:
        return entry
    windows = [_windows(want, clip) for clip in clips if clip.id in entry.todo]
    return replace(entry, windows=sum(count or 0 for count in windows), unknown=windows.count(None))


def _windows(want: Want, clip: Clip) -> int | None:
    if want.spec.reads == "text":
        return 1
    if want.grid.form == "frames":
        return None
    seconds = length_s(clip, [want.spec.medium])
    return None if seconds is None else windows_in(seconds, want.grid)


def _cached(want: Want) -> Mapping[str, str]:
    if not copies(want.folder):
        return {}
    with Reader(want.folder) as reader:
        if reader.key != want.key:
            raise CacheError(f"{want.folder} holds {reader.key}, expected {want.key}")
        return reader.sources
