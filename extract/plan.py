"""What is left to do: the manifest minus the cache. Decides everything and changes neither.

The same plan is printed by a dry run and carried out by a real one. All it leaves behind are the digests of media files
in a local side file, so that no run has to hash them twice.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from extract import encoders
from extract.encoders import Spec
from extract.sources import Sources
from features import CacheError, Grid, Key, Reader, folder_of
from features.failures import recorded
from manifests import Clip, Manifest, unknown

PART_CLIPS = 64
PART_MEDIA_S = 300.0
UNKNOWN_LENGTH_S = 4.0
"""Taken for a clip whose manifest gives no end: only evens out the parts."""


@dataclass(frozen=True)
class Want:
    """One entry to be filled: an encoder on a grid, and where its features go."""

    encoder: str
    spec: Spec
    grid: Grid
    key: Key
    folder: Path
    boxes: "Want | None" = None

    @property
    def detects(self) -> bool:
        """Return whether others may cut crops by what this entry finds."""
        return self.spec.reads == "frames" and self.spec.steps is None


@dataclass(frozen=True)
class EntryPlan:
    """What one entry has and lacks, clip by clip."""

    want: Want
    sources: dict[str, str]
    """Digest of what the encoder reads, of every chosen clip that has the modality."""
    done: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()
    quarantined: frozenset[str] = frozenset()
    absent: int = 0

    @property
    def name(self) -> str:
        """Return the entry's folder name."""
        return self.want.key.name

    @property
    def todo(self) -> set[str]:
        """Return the clips to compute, stale ones included."""
        return set(self.sources) - self.done - self.quarantined


@dataclass(frozen=True)
class Slice:
    """A fixed slice of the manifest; what it lacks of each entry becomes one part."""

    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class Plan:
    """All that a run would do."""

    manifest: Manifest
    entries: tuple[EntryPlan, ...]
    slices: tuple[Slice, ...] = field(repr=False)
    """Those with something to do."""

    @property
    def clips_todo(self) -> int:
        """Return how many clips need at least one encoder."""
        return len(set().union(*(entry.todo for entry in self.entries)))


def wants(corpus: str, names: Iterable[str]) -> list[Want]:
    """Turn `face_hog` or `mfcc:clip` into entries; a detector that one builds on stands before it."""
    found: dict[str, Want] = {}
    for name in names:
        encoder, _, grid = name.strip().partition(":")
        for want in _with_boxes(corpus, encoder, grid):
            found[want.key.name] = want
    return list(found.values())


def plan(
    manifest: Manifest,
    wanted: Sequence[Want],
    chosen: Callable[[Clip], bool] = lambda _: True,
    *,
    retry: bool = False,
) -> Plan:
    """Compare what is wanted with what the cache has. `retry` takes quarantined clips up again."""
    sources = Sources(manifest)
    clips = [clip for clip in manifest.clips if chosen(clip)]
    entries = tuple(_entry(want, clips, sources, retry=retry) for want in wanted)
    sources.save()
    todo = set().union(*(entry.todo for entry in entries))
    slices = (tuple(clip for clip in part if clip.id in todo) for part in slice_up(manifest.clips))
    return Plan(manifest, entries, tuple(Slice(part) for part in slices if part))


def slice_up(clips: Sequence[Clip]) -> Iterator[tuple[Clip, ...]]:
    """Cut a manifest into fixed slices: whole media files together, at most 64 clips or 5 minutes."""
    part: list[Clip] = []
    media_s = 0.0
    for group in _by_media_file(clips):
        group_s = sum(map(_length_s, group))
        if part and (len(part) + len(group) > PART_CLIPS or media_s + group_s > PART_MEDIA_S):
            yield tuple(part)
            part, media_s = [], 0.0
        part += group
        media_s += group_s
    if part:
        yield tuple(part)


def _by_media_file(clips: Sequence[Clip]) -> Iterator[list[Clip]]:
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        track = clip.video or clip.audio
        groups.setdefault(track.path if track else f"\0{clip.id}", []).append(clip)
    for group in groups.values():
        for first in range(0, len(group), PART_CLIPS):
            yield group[first : first + PART_CLIPS]


def _length_s(clip: Clip) -> float:
    track = clip.video or clip.audio
    if track is None:
        return 0.0
    return UNKNOWN_LENGTH_S if track.end_s is None else track.end_s - track.start_s


def _with_boxes(corpus: str, encoder: str, grid_text: str) -> list[Want]:
    spec = encoders.spec(encoder)
    if grid_text and grid_text not in spec.grids:
        raise ValueError(f"{encoder}: {unknown('grid', grid_text, spec.grids)}")
    grid = Grid.parse(grid_text or spec.grids[0])
    boxes = _with_boxes(corpus, spec.boxes, _boxes_grid(grid)) if spec.boxes else []
    key = spec.key(encoder, grid, tuple(want.key.name for want in boxes))
    return [*boxes, Want(encoder, spec, grid, key, folder_of(corpus, key), boxes[0] if boxes else None)]


def _boxes_grid(grid: Grid) -> str:
    """Name the grid whose windows are the slots of whoever needs the boxes."""
    slot_s = Fraction(1, grid.fps or 1)
    return str(Grid("windows", slot_s, slot_s, Fraction(0), grid.sampling))


def _entry(want: Want, clips: Sequence[Clip], sources: Sources, *, retry: bool) -> EntryPlan:
    digests = {clip.id: sources(clip, want.spec.reads) for clip in clips}
    reads = {clip: digest for clip, digest in digests.items() if digest is not None}
    cached = _cached(want)
    done = frozenset(clip for clip, digest in reads.items() if cached.get(clip) == digest)
    failed = {} if retry or not want.folder.is_dir() else recorded(want.folder)
    quarantined = {clip for clip, digest in reads.items() if clip in failed and failed[clip].source == digest}
    return EntryPlan(
        want,
        reads,
        done,
        stale=frozenset(clip for clip in reads if clip in cached and clip not in done),
        quarantined=frozenset(quarantined - done),
        absent=len(clips) - len(reads),
    )


def _cached(want: Want) -> dict[str, str]:
    if not (want.folder / "spec.json").is_file():
        return {}
    with Reader(want.folder) as reader:
        if reader.key != want.key:
            raise CacheError(f"{want.folder} holds {reader.key}, expected {want.key}")
        return reader.sources
