"""A manifest in fixed slices, and what one of them lacks: the unit of work, small enough to travel to any process.

Which clips share a slice follows from the whole manifest and never from what was chosen or done before, so a run that
was interrupted goes on with the same parts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from extract.wanted import Want
from manifests import Clip, Track

PART_CLIPS = 64
PART_MEDIA_S = 300.0
UNKNOWN_LENGTH_S = 4.0
"""Taken for a clip whose manifest gives no end: it evens out the parts and stands in forecasts."""


@dataclass(frozen=True)
class Share:
    """What one entry lacks of one slice."""

    want: Want
    sources: Mapping[str, str]
    """Clip to the digest of what the encoder reads, of every clip to compute."""
    stale: frozenset[str]
    """Those of them whose old row goes when they are written."""
    attempts: Mapping[str, int]
    """Earlier failures of clips that are retried, for their next record."""


@dataclass(frozen=True)
class Slice:
    """Clips that are visited together; what each entry gains becomes one part."""

    clips: tuple[Clip, ...]
    """Those with something to do, in the manifest's order."""
    shares: tuple[Share, ...]
    """Of the entries with something to do here, in the plan's order: a detector before who builds on it."""
    media_s: float
    """Expected length of the media that is read."""

    def only(self, clips: Iterable[str]) -> Self:
        """Return the slice with some of its clips."""
        kept = set(clips)
        return self.lacking(lambda _, clip: clip in kept)

    def lacking(self, still: Callable[[Share, str], bool]) -> Self:
        """Return the slice with what is still wanted of each entry."""
        shares = [replace(s, sources={c: d for c, d in s.sources.items() if still(s, c)}) for s in self.shares]
        left = set[str]().union(*(share.sources for share in shares))
        clips = tuple(clip for clip in self.clips if clip.id in left)
        return replace(self, clips=clips, shares=tuple(share for share in shares if share.sources))


@dataclass(frozen=True)
class Job:
    """What a worker is told once: everything but the slices."""

    root: Path
    wants: tuple[Want, ...]
    device: str = "cpu"
    threads: int = 0
    """Cores that are this worker's own; where 0, what the environment gives it."""
    weights: str = ""
    time_limit: float = 30.0
    """Seconds that a step may take per second of media, before its clip is given up."""
    reader: str = ""
    """The file in `corpora/` that read the manifest, for whoever wants to cite the corpus."""


def slice_up(clips: Sequence[Clip]) -> Iterator[tuple[Clip, ...]]:
    """Cut a manifest into fixed slices: whole media files together, at most 64 clips or 5 minutes."""
    part: list[Clip] = []
    media_s = 0.0
    for group in _by_media_file(clips):
        group_s = sum(_expected_s(clip.video or clip.audio) for clip in group)
        if part and (len(part) + len(group) > PART_CLIPS or media_s + group_s > PART_MEDIA_S):
            yield tuple(part)
            part, media_s = [], 0.0
        part += group
        media_s += group_s
    if part:
        yield tuple(part)


def length_s(clip: Clip, media: Iterable[str]) -> float | None:
    """Return the seconds of media that a visit decodes, or nothing where the manifest does not say."""
    tracks = [found for medium in media if (found := clip.track(medium))]
    if any(found.end_s is None for found in tracks):
        return None
    return max(map(_expected_s, tracks), default=0.0)


def expected_s(clip: Clip, media: Iterable[str]) -> float:
    """Return the seconds of media that a visit decodes, with a guess where the manifest does not say."""
    return max((_expected_s(clip.track(medium)) for medium in media), default=0.0)


def _expected_s(found: Track | None) -> float:
    if found is None:
        return 0.0
    return UNKNOWN_LENGTH_S if found.end_s is None else found.end_s - found.start_s


def _by_media_file(clips: Sequence[Clip]) -> Iterator[list[Clip]]:
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        found = clip.video or clip.audio
        groups.setdefault(found.path if found else f"\0{clip.id}", []).append(clip)
    for group in groups.values():
        for first in range(0, len(group), PART_CLIPS):
            yield group[first : first + PART_CLIPS]
