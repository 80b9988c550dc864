"""What CMU-MOSEI and CMU-MOSI share: rated stretches of videos, transcripts, folds, media, and how they are joined."""

import ast
import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests import Audio, Clip, ManifestError, Video, labels, splits, wav
from manifests.tables import cell, in_row, number, rows_of, text_of, whole
from manifests.tree import Tree

EMOTIONS = labels.TASKS["emotion_scores"].classes
EXACT_S = 0.001
NEAR_S = 0.5
"""A label belongs to the line of the transcript that begins with it, or else to the nearest that begins so near."""
SHORT_BY_S = 1.0
MAX_LINES = 2_000  # of one transcript; the most that any real one has is below 200
MAX_FOLDS_BYTES = 1 << 24
DAY_S = 86_400
Span = tuple[float, float]
Medium = tuple[str, str]
"""Whether a file holds a `video` or a `clip`, and its path."""
_SLACK = 1e-3  # means are kept in 32 bits
_SPLITS = ("train", "dev", "test")
_VIDEO = re.compile(r"[\w-]{1,64}", re.ASCII)
_BYTES = re.compile(r"b(['\"]).*\1", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rated:
    """A stretch of a video and what its raters gave it on average; it is known by its times, its number, or both."""

    video: str
    scores: Mapping[str, float]
    start_s: float | None = None
    end_s: float | None = None
    number: int | None = None
    """As the transcript counts."""
    text: str | None = None
    split: str = ""
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _VIDEO.fullmatch(self.video):
            raise ValueError(f"column 'video': expected letters, digits, - and _, got {self.video!r}")
        for name, score in self.scores.items():
            least = -3 if name == "sentiment" else 0
            if not least - _SLACK <= score <= 3 + _SLACK:
                raise ValueError(f"column {name!r}: expected a mean from {least} to 3, got {score!r}")
        for column, seconds in (("start", self.start_s), ("end", self.end_s)):
            if seconds is not None and not -DAY_S < seconds < DAY_S:
                raise ValueError(f"column {column!r}: expected seconds in a video, got {seconds!r}")

    @property
    def id(self) -> str:
        """Name the stretch as the field does, or by where it begins where no transcript counts it."""
        if self.number is not None:
            return f"{self.video}_{self.number}"
        return f"{self.video}_at{round(1000 * (self.start_s or 0))}ms"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a transcript; its words are missing where the file is broken."""

    number: int
    text: str | None
    start_s: float | None = None
    end_s: float | None = None


def dimension(word: str) -> str | None:
    """Name the score that the head of a column stands for, as corpora and labs spell it."""
    if word.strip().lower() == "sentiment":
        return "sentiment"
    try:
        vector = labels.emotion(word)
    except ValueError:
        return None
    name = labels.TASKS["emotion"].classes[vector.index(max(vector))]
    return name if name in EMOTIONS else None


def words(text: str) -> str | None:
    """Return the words of a line, or nothing where the file holds something else in their place."""
    return None if not text.strip() or _BYTES.fullmatch(text.strip()) else text.strip()


def from_csd(tree: Tree, path: str, documented: Mapping[int, Sequence[str]]) -> Iterator[Rated]:
    """Read a label file of the SDK; where it does not name its columns, they stand as its authors document."""
    from manifests.corpora import _csd  # HDF5 is slow to load, and most corpora do without

    where = tree.root / path
    found = _csd.read(where)
    named = [dimension(column) for column in found.columns]
    for spans in found.videos:
        width = len(spans.values[0]) if spans.values else 0
        columns = named if len(named) == width and None not in named else documented.get(width)
        if width and columns is None:
            raise ManifestError(f"{where}: does not say what its {width} columns are; expected {documented}")
        if width and columns is not named:
            tree.warn(f"{path} does not name its columns: read as {', '.join(map(str, columns or ()))}")
        for row, ((start_s, end_s), values) in enumerate(zip(spans.times_s, spans.values, strict=True), start=1):
            with in_row(f"{where}, video {spans.video}", row):
                scores = {str(name): round(value, 6) + 0.0 for name, value in zip(columns or (), values, strict=True)}
                yield Rated(spans.video, scores, start_s, end_s)


def from_mmsa(tree: Tree, path: str) -> Iterator[Rated]:
    """Read the `label.csv` that MMSA hands out: no times, but words, numbers and splits."""
    where = tree.root / path
    rows = rows_of(text_of(tree.bytes(path)), where, ("video_id", "clip_id", "text", "label", "mode"))
    for row_number, row in enumerate(rows, start=1):
        with in_row(where, row_number):
            yield Rated(
                row["video_id"],
                {"sentiment": cell(row, "label", number)},
                number=cell(row, "clip_id", whole),
                text=words(row["text"]),
                split=cell(row, "mode", split_named),
            )


def split_named(word: str) -> str:
    """Turn what a table calls a split into what the house calls it."""
    if (split := splits.named(word)) not in _SPLITS:
        raise ValueError(f"expected one of {', '.join(_SPLITS)}, got {word!r}")
    return split


def joined(rated: Iterable[Rated], lines: Mapping[str, Sequence[Line]], tree: Tree) -> list[Rated]:
    """Give each rated stretch its line: by number where it has one, else by time, and never by its place in a row."""
    of_video: defaultdict[str, list[Rated]] = defaultdict(list)
    for one in rated:
        of_video[one.video].append(one)
    found: list[Rated] = []
    away = alone = 0
    lines = _as_labelled(lines, of_video)
    for video in sorted({*of_video, *lines}):
        here, stretches = lines.get(video, ()), of_video[video]
        if len(stretches) > MAX_LINES:
            raise ManifestError(f"{tree.root}: {len(stretches)} labels of video {video}, expected at most {MAX_LINES}")
        pairs = _by_number(stretches, here) | _by_time(stretches, here)
        for index, one in enumerate(stretches):
            line = pairs.get(index)
            gaps_s = _gaps_s(one, line) if line else (0.0, 0.0)
            away += gaps_s[0] > EXACT_S
            alone += one.number is None and line is None
            found.append(_with_line(one, line, mismatch=max(gaps_s) > NEAR_S))
        taken = {line.number for line in pairs.values()}
        for line in here:
            if line.number not in taken:
                tree.leave_out(f"{video}_{line.number}", "a line of a transcript that has no label")
    if away:
        tree.warn(f"{away} labels begin at another time than their line of the transcript, by up to {NEAR_S} s")
    if alone:
        tree.warn(
            f"{alone} labels have no line of a transcript: their ids say where they begin, as in `video_at1500ms`"
        )
    return _distinct(found, tree)


def _as_labelled(lines: Mapping[str, Sequence[Line]], videos: Collection[str]) -> dict[str, Sequence[Line]]:
    """Name transcripts as the labels do, where the case of letters alone is another."""
    known = {video.lower(): video for video in videos}
    alike = {known[name.lower()]: found for name, found in lines.items() if name.lower() in known}
    return {**alike, **{name: found for name, found in lines.items() if name.lower() not in known or name in videos}}


def _by_number(rated: Sequence[Rated], lines: Sequence[Line]) -> dict[int, Line]:
    """Pair what has the same number, but not where the two are known to count differently."""
    numbered = {line.number: line for line in lines}
    alike = ((index, one) for index, one in enumerate(rated) if "label_transcript_mismatch" not in one.flags)
    return {index: numbered[one.number] for index, one in alike if one.number in numbered}


def _by_time(rated: Sequence[Rated], lines: Sequence[Line]) -> dict[int, Line]:
    """Pair one to one what begins together; the nearest first, and of two equally near the one that ends nearest."""
    near = sorted(
        (_gaps_s(one, line), index, place)
        for index, one in enumerate(rated)
        if one.number is None and one.start_s is not None
        for place, line in enumerate(lines)
        if line.start_s is not None and abs(line.start_s - one.start_s) <= NEAR_S
    )
    found: dict[int, Line] = {}
    taken: set[int] = set()
    for _, index, place in near:
        if index not in found and place not in taken:
            found[index] = lines[place]
            taken.add(place)
    return found


def _gaps_s(one: Rated, line: Line) -> tuple[float, float]:
    """Return how far two beginnings and two ends are apart; what has no time is not apart."""
    pairs = ((one.start_s, line.start_s), (one.end_s, line.end_s))
    begin, end = (0.0 if a is None or b is None else abs(a - b) for a, b in pairs)
    return begin, end


def _with_line(one: Rated, line: Line | None, *, mismatch: bool) -> Rated:
    text = one.text or (line.text if line else None)
    flags = {"no_transcript": not text, "label_transcript_mismatch": mismatch}
    raised = (*one.flags, *(flag for flag, up in flags.items() if up))
    if line is None:
        return dataclasses.replace(one, flags=raised)
    timed = one.start_s is not None
    return dataclasses.replace(
        one,
        number=line.number,
        text=text,
        start_s=one.start_s if timed else line.start_s,
        end_s=one.end_s if timed else line.end_s,
        flags=raised,
    )


def _distinct(rated: Iterable[Rated], tree: Tree) -> list[Rated]:
    """Keep the first of what stands twice, with a flag, and say which it was."""
    found: dict[str, Rated] = {}
    for one in rated:
        if one.id not in found:
            found[one.id] = one
            continue
        first = found[one.id]
        tree.leave_out(
            f"{one.id}, a second time",
            "stands twice, with the same label" if first.scores == one.scores else "stands twice, with another label",
        )
        found[one.id] = dataclasses.replace(first, flags=tuple(dict.fromkeys((*first.flags, "dup_segment"))))
    return list(found.values())


@dataclass(frozen=True)
class Folds:
    """Who is trained on and who is scored, by videos or by single clips; without a list all is one split."""

    where: str = ""
    videos: Mapping[str, str] = field(default_factory=dict)
    clips: Mapping[str, str] = field(default_factory=dict)

    def split(self, one: Rated) -> str | None:
        """Return the split of a rated stretch, or nothing where the list leaves it out."""
        if not self.where:
            return "all"
        return self.clips.get(one.id) or self.videos.get(one.video)


def folds(tree: Tree, corpus: str, option: str, rated: Iterable[Rated], source: str) -> Folds:
    """Find the list of folds: the one the user names, that of the labels themselves, or the SDK's in the tree."""
    if option == "none":
        return Folds()
    if option:
        return _read_folds(tree.root / option, f"file: {Path(option).name}")
    if own := {one.id: one.split for one in rated if one.split}:
        return Folds(source, clips=own)
    for path, _ in tree.find(rf"[^/]*{corpus}[^/]*std_folds[^/]*\.(?:py|json)"):
        return _read_folds(tree.root / path, f"official: {Path(path).name}")
    raise ManifestError(
        f"no list of folds under {tree.root}. Put cmu_{corpus}_std_folds.py there, which comes with CMU-MultimodalSDK "
        f"in mmsdk/mmdatasdk/dataset/standard_datasets/CMU_{corpus.upper()}, or name a list with the option folds: "
        "that file, a .json of train, valid and test with ids of videos, or a .csv with the columns segment and split. "
        "folds=none reads everything as one split."
    )


def _read_folds(file: Path, where: str) -> Folds:
    if not file.is_file():
        raise ManifestError(f"option 'folds': no such file: {file}; expected a .py, .json or .csv, or none")
    if file.stat().st_size > MAX_FOLDS_BYTES:
        raise ManifestError(f"{file}: expected a list of folds, got {file.stat().st_size >> 20} MB")
    text = text_of(file.read_bytes())
    if file.suffix.lower() == ".csv":
        return Folds(where, clips=_one_split_each(_table_pairs(text, file), file))
    return Folds(where, videos=_one_split_each(_list_pairs(text, file), file))


def _list_pairs(text: str, file: Path) -> Iterator[tuple[str, str]]:
    """Yield videos with their splits from lists; Python that holds lists is parsed, and never run."""
    try:
        found = json.loads(text) if file.suffix.lower() == ".json" else dict(_assigned(text))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ManifestError(f"{file}: cannot be read as lists of videos: {error}") from None
    lists = {key.lower().removeprefix("standard_").removesuffix("_fold"): value for key, value in _items(found)}
    if not {"train", "test"} <= lists.keys():
        raise ManifestError(f"{file}: expected lists train, valid and test, got {', '.join(lists) or 'none'}")
    for key, videos in lists.items():
        if (split := splits.named(key)) not in _SPLITS:
            continue
        if not isinstance(videos, list) or not all(isinstance(v, str) and _VIDEO.fullmatch(v) for v in videos):
            raise ManifestError(f"{file}: expected a list of ids of videos in {key}, each as text")
        yield from ((video, split) for video in videos)


def _items(found: Any) -> Iterable[tuple[str, Any]]:
    return found.items() if isinstance(found, dict) else ()


def _assigned(code: str) -> Iterator[tuple[str, Any]]:
    for node in ast.parse(code).body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and re.fullmatch(r"standard_\w+_fold", target.id):
                yield target.id, ast.literal_eval(node.value)


def _table_pairs(text: str, file: Path) -> Iterator[tuple[str, str]]:
    """Yield clips with their splits from a table of segments, or from MMSA's `label.csv`."""
    mmsa = "clip_id" in text.partition("\n")[0]
    rows = rows_of(text, file, ("video_id", "clip_id", "mode") if mmsa else ("segment", "split"))
    for row_number, row in enumerate(rows, start=1):
        with in_row(file, row_number):
            name = f"{row['video_id']}_{cell(row, 'clip_id', whole)}" if mmsa else row["segment"].strip()
            yield name, cell(row, "mode" if mmsa else "split", split_named)


def _one_split_each(pairs: Iterable[tuple[str, str]], file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, split in pairs:
        if found.setdefault(name, split) != split:
            raise ManifestError(f"{file}: {name} is in {found[name]} and in {split}")
    return found


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
