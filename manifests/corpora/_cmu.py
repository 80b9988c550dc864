"""What CMU-MOSEI and CMU-MOSI share: rated stretches of videos, and how they are joined with their transcripts."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from manifests import ManifestError, labels, splits
from manifests.tables import cell, in_row, number, rows_of, text_of, whole
from manifests.tree import Tree

EMOTIONS = labels.TASKS["emotion_scores"].classes
EXACT_S = 0.001
NEAR_S = 0.5
"""A label belongs to the line of the transcript that begins with it, or else to the nearest that begins so near."""
MAX_LINES = 2_000  # of one transcript; the most that any real one has is below 200
DAY_S = 86_400
VIDEO = re.compile(r"[\w-]{1,64}", re.ASCII)
_SLACK = 1e-3  # means are kept in 32 bits
SPLITS = ("train", "dev", "test")
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
        if not VIDEO.fullmatch(self.video):
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
    if (split := splits.named(word)) not in SPLITS:
        raise ValueError(f"expected one of {', '.join(SPLITS)}, got {word!r}")
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
