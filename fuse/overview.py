"""What a cache holds of a corpus beside what its manifest says there is: all that the page of a cache is made of.

Where there is no manifest, the clips are those of the cache, and nobody knows their splits and labels.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import manifests
from features import CacheError, Key, Reader, about
from features.entries import key_of
from features.failures import Failure, recorded
from features.look import size
from features.measured import Measured, measure
from features.roots import folders
from fuse.backdrop import DETECTORS, ENVELOPE, SPEECH
from manifests import Clip, ManifestError
from manifests.labels import TASKS
from manifests.licence import PARTS, may_share, name_of

FOUND = DETECTORS | {SPEECH, ENVELOPE}
"""Encoders whose numbers say where something is, and are no features to compare."""
UNKNOWN = "unknown"
"""The split of a clip that no manifest tells of, and the terms that nobody noted."""


@dataclass(frozen=True)
class Row:
    """One clip, with nothing that its licence keeps in the lab."""

    id: str
    split: str = UNKNOWN
    speaker: str = ""
    label: str = ""
    text: str = ""
    lacks: tuple[str, ...] = ()
    """Sound, picture or words that it does not have."""


@dataclass(frozen=True)
class Held:
    """One entry of the cache, in all its copies."""

    folder: Path
    key: Key
    nbytes: int
    failed: Mapping[str, Failure]
    """Clips that could not be extracted, and are not there."""
    made: Mapping[str, str]
    """What most of its parts say of their making."""
    licence: str
    """The terms of the encoder."""
    told: Mapping[str, Any]
    measured: Measured

    @property
    def name(self) -> str:
        """Return what the entry is called."""
        return self.folder.name

    @cached_property
    def place(self) -> dict[str, int]:
        """Return where each clip stands in what was measured."""
        return {clip: place for place, clip in enumerate(self.measured.clips)}

    @property
    def shows_values(self) -> bool:
        """Return whether its numbers are features, whose size and likeness say something."""
        features = self.made.get("holds", "features") == "features" and self.key.encoder not in FOUND
        return features and self.measured.means.shape[1] > 0


@dataclass(frozen=True)
class Overview:
    """What there is of one corpus."""

    corpus: str
    rows: tuple[Row, ...]
    terms: tuple[str, ...]
    leave: frozenset[str]
    """What the terms of every clip let leave."""
    known: bool
    """Whether there is a manifest."""
    held: tuple[Held, ...]
    broken: tuple[str, ...]
    """Why entries cannot be shown."""

    def absent(self, held: Held) -> list[Row]:
        """Return the clips that an entry lacks without anybody having tried."""
        return [row for row in self.rows if row.id not in held.place and row.id not in held.failed]

    @property
    def splits(self) -> list[str]:
        """Name the splits."""
        return list(dict.fromkeys(row.split for row in self.rows))


def read(corpus: str, keep: Path) -> Overview:
    """Read what there is of a corpus; what was measured of its parts is kept for the next time."""
    held, broken = _shelf(corpus, keep)
    try:
        clips: Sequence[Clip] = manifests.read(corpus).clips
    except ManifestError:
        clips = ()
    if clips:
        tags = dict.fromkeys(clip.licence for clip in clips)
        leave = frozenset(part for part in PARTS if all(may_share(tag, part) for tag in tags))
        terms = tuple(dict.fromkeys(map(name_of, tags)))
        return Overview(corpus, tuple(_rows(clips, leave)), terms, leave, known=True, held=held, broken=broken)
    said = [set(one.made.get("corpus_shares", "").split(",")) for one in held]
    ids = dict.fromkeys(clip for one in held for clip in (*one.measured.clips, *one.failed))
    terms = tuple(dict.fromkeys(one.made.get("corpus_licence") or UNKNOWN for one in held))
    leave = frozenset(set(PARTS).intersection(*said))
    return Overview(corpus, tuple(map(Row, ids)), terms, leave, known=False, held=held, broken=broken)


def _shelf(corpus: str, keep: Path) -> tuple[tuple[Held, ...], tuple[str, ...]]:
    """Return the entries of a corpus, and why some of them cannot be read: one that is damaged hides no other."""
    held, broken, met = [], [], set[str]()
    for folder in folders(corpus):  # an entry's copies follow each other, one's own first
        if folder.name in met:
            continue
        met.add(folder.name)
        try:
            held.append(_held(folder, key_of(folder), keep))
        except CacheError as error:
            # A page may be for everybody: where the cache lies is nobody's business.
            broken.append(f"{folder.name}: {str(error).replace(f'{folder.parent.parent}/', '')}")
    return tuple(held), tuple(broken)


def _held(folder: Path, key: Key, keep: Path) -> Held:
    with Reader(folder) as reader:
        made: Counter[tuple[str, str]] = Counter()
        for path in reader.parts:
            with suppress(CacheError):  # what is damaged is told of where it is measured
                part = reader.part(path)
                made[json.dumps(part.provenance, sort_keys=True), part.attribute("licence")] += 1
        provenance, licence = made.most_common(1)[0][0] if made else ("{}", "")
        return Held(
            folder=folder,
            key=key,
            nbytes=sum(map(size, reader.folders)),
            failed={clip: one for clip, one in recorded(folder).items() if clip not in reader},
            made=json.loads(provenance),
            licence=licence,
            told=about.known(folder),
            measured=measure(reader, keep),
        )


def _rows(clips: Iterable[Clip], leave: frozenset[str]) -> Iterator[Row]:
    """Yield clips as they may be shown: without labels or words that stay in the lab, and speakers as numbers then."""
    numbers: dict[str, str] = {}
    for clip in clips:
        speaker = clip.speaker_id or ""
        if "labels" not in leave and speaker:
            speaker = numbers.setdefault(speaker, f"speaker {len(numbers) + 1}")
        media = {"sound": clip.audio, "picture": clip.video, "words": clip.text}
        yield Row(
            clip.id,
            clip.split,
            speaker,
            _label(clip) if "labels" in leave else "",
            clip.text or "" if "transcript" in leave else "",
            tuple(name for name, one in media.items() if not one),
        )


def _label(clip: Clip) -> str:
    """Return of each task the likeliest class, every class that is there, or the score."""
    found = []
    for task, vector in clip.labels.items():
        kind, classes = TASKS[task].kind, TASKS[task].classes
        if kind == "score":
            said = " ".join(f"{value:g}" for value in vector)
        elif kind == "multi":
            said = "+".join(name for name, there in zip(classes, vector, strict=True) if there) or "none"
        else:
            said = classes[vector.index(max(vector))]
        found.append(f"{task} {said}")
    return ", ".join(found)
