"""From rated stretches of CMU-MOSEI and CMU-MOSI to clips: which files hold their sound and picture, and where."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from manifests import Audio, Clip, Video, labels, wav
from manifests.corpora._cmu import EMOTIONS, Rated
from manifests.corpora._cmu_folds import Folds
from manifests.tree import Tree

SHORT_BY_S = 1.0
Span = tuple[float, float]
Medium = tuple[str, str]
"""Whether a file holds a `video` or a `clip`, and its path."""


class Media:
    """The sound and the pictures of a tree, by whole videos and by single clips."""

    def __init__(self, tree: Tree) -> None:
        self._root = tree.root
        self._paths: dict[tuple[str, str, str], str] = {}
        self._names: dict[str, set[tuple[str, str]]] = {}
        self._seconds: dict[str, float | None] = {}
        self.has_segmented = False
        for path, _ in tree.find(r"[^/]+\.(?:wav|mp4)"):
            *folders, name = path.split("/")
            stem, _, kind = name.rpartition(".")
            cut = any(folder.lower().startswith("segmented") for folder in folders)
            self.has_segmented |= cut
            self._names[path] = {("clip" if cut else "video", stem)}
            if folders and not cut and re.fullmatch(r"\d+", stem, re.ASCII):  # MMSA: video/number.mp4
                self._names[path].add(("clip", f"{folders[-1]}_{int(stem)}"))
            for unit, known_by in self._names[path]:
                for spelling in (known_by, known_by.lower()):
                    self._paths.setdefault((kind.lower(), unit, spelling), path)

    def of(self, one: Rated, kind: str, units: Iterable[str]) -> list[Medium]:
        """Return the files of a clip; one whose name differs by its letters' case alone will do."""
        names = {"video": one.video, "clip": one.id}
        found = ((unit, self._paths.get((kind, unit, names[unit]))) for unit in units)
        near = ((unit, path or self._paths.get((kind, unit, names[unit].lower()))) for unit, path in found)
        return [(unit, path) for unit, path in near if path]

    def seconds(self, medium: Medium | None) -> float | None:
        """Return how long a wav lasts, where its head tells."""
        if medium and medium[1] not in self._seconds:
            self._seconds[medium[1]] = wav.seconds(self._root / medium[1])
        return self._seconds[medium[1]] if medium else None

    def strays(self, videos: Iterable[str], clips: Iterable[str]) -> Iterator[str]:
        """Name the files of which nothing is labelled."""
        labelled = {("video", name.lower()) for name in videos} | {("clip", name.lower()) for name in clips}
        for path, names in self._names.items():
            if not labelled & {(unit, name.lower()) for unit, name in names}:
                yield path


@dataclass(frozen=True)
class Corpus:
    """What a clip takes from its corpus: its name and terms, and what is known to be wrong with it."""

    name: str
    licence: str
    known_bad: AbstractSet[str] = frozenset()
    bad_films: AbstractSet[str] = frozenset()
    """Videos whose whole film is broken while its parts may be good."""


def clips(tree: Tree, corpus: Corpus, rated: Sequence[Rated], division: Folds) -> Iterator[Clip]:
    """Yield a clip for each rated stretch that the folds name, and tell what is left out."""
    media = Media(tree)
    for one in sorted(rated, key=lambda one: (one.video, one.start_s or 0, one.number or 0)):
        split = division.split(one)
        if split is None:
            tree.leave_out(one.id, f"not in the folds ({division.where})")
        elif one.start_s is not None and one.end_s is not None and one.end_s <= max(0, one.start_s):
            tree.leave_out(one.id, f"ends at {one.end_s} s, before it begins")
        else:
            yield _clip(corpus, one, media, split, division.where)
    videos, ids = {one.video for one in rated}, {one.id for one in rated}
    for name in sorted((division.videos.keys() - videos) | (division.clips.keys() - ids)):
        tree.leave_out(name, f"in the folds ({division.where}), but without a label")
    for path in media.strays(videos, ids):
        tree.leave_out(path, "no label names it")


def _clip(corpus: Corpus, one: Rated, media: Media, split: str, split_source: str) -> Clip:
    span_s = None if one.start_s is None or one.end_s is None else (max(0.0, one.start_s), one.end_s)
    units = ("video", "clip") if span_s else ("clip",)
    if one.video in corpus.bad_films:
        units = units[::-1]
    sounds, films = (media.of(one, kind, units) for kind in ("wav", "mp4"))
    sound, film = next(iter(sounds + films), None), next(iter(films), None)
    native: dict[str, str | float] = {**one.scores}
    clamped = one.start_s is not None and one.start_s < 0
    if clamped and one.start_s is not None:
        native["start_s"] = one.start_s
    if span_s and any(medium and medium[0] == "clip" for medium in (sound, film)):
        native |= {"cut_from": one.video, "cut_start_s": span_s[0], "cut_end_s": span_s[1]}
    if media.has_segmented and not any(media.of(one, kind, ("clip",)) for kind in ("wav", "mp4")):
        native["segmented_clip"] = "none"
    whole_film = film is not None and film[0] == "video"
    there_s, wanted_s = media.seconds(sound), _wanted_s(span_s, sound)
    flags = {
        "missing_video": film is None,
        "missing_audio": sound is None,
        "neg_start_clamped": clamped,
        "dur_mismatch": there_s is not None and wanted_s is not None and there_s < wanted_s - SHORT_BY_S,
        "known_bad": bool({one.id, one.video} & corpus.known_bad) or (whole_film and one.video in corpus.bad_films),
    }
    return Clip(
        id=one.id,
        corpus=corpus.name,
        split=split,
        split_source=split_source,
        dialogue_id=one.video,
        utt_index=one.number,
        speaker_id=one.video,
        language="en",
        duration_s=round(span_s[1] - span_s[0], 6) if span_s else there_s,
        audio=Audio(sound[1], *_within(span_s, sound)) if sound else None,
        video=Video(film[1], *_within(span_s, film)) if film else None,
        text=one.text,
        text_source="transcript" if one.text else None,
        native=native,
        labels=_labels(one.scores),
        label_kind="mean rating",
        flags=(*one.flags, *(flag for flag, raised in flags.items() if raised)),
        licence=corpus.licence,
    )


def _within(span_s: Span | None, medium: Medium) -> Span | tuple[()]:
    """Return where in a file a clip lies; a file of the clip alone is all of it."""
    return span_s if span_s and medium[0] == "video" else ()


def _wanted_s(span_s: Span | None, medium: Medium | None) -> float | None:
    """Return how long a file should at least be."""
    if not span_s or not medium:
        return None
    return span_s[1] if medium[0] == "video" else span_s[1] - span_s[0]


def _labels(scores: Mapping[str, float]) -> dict[str, labels.Vector]:
    found: dict[str, labels.Vector] = {}
    if "sentiment" in scores:
        found["sentiment_score"] = (scores["sentiment"],)
    if scores.keys() >= set(EMOTIONS):
        found["emotion_scores"] = tuple(scores[name] for name in EMOTIONS)
        found["emotion"] = labels.soft_emotion(found["emotion_scores"])
    return found
