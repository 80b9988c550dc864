"""RAMAS: about seven hours of acted Russian dialogues between two people, rated second by second for seven emotions.

Perepelkina et al. 2018, SPECOM. The least documented corpus of all: its layout is known from the programs of labs that
read it. No official split, no sentiment, no transcripts, and no word on who speaks in which recording.

Licence: on request to the owner, inside the lab; nothing but ids may leave it.

Layout: for each recording a table of votes per second, or for each emotion a table of intervals; a microphone's wav, a
close-up of one actor, and the view of a scene camera.

Options:
- annotations=files sums the votes of all raters second by second; seconds in a row with the same winner are one clip.
  emotions takes the intervals as they stand; the same interval of two emotions is one clip of both.
- video=close is the close-up, web the scene camera.
- min_s drops clips that are shorter; 1.5 s, as the one lab does that tells its limit, so a lone second is no clip.
- time=start takes the time of a row for the start of its second; centre and end are there as nobody documents it.
- sentiment=polarity makes happy positive, angry, sad, disgusted and scared negative, neutral neutral, and gives
  surprised none; the default gives nobody any.

Splits: each recording day is a split of its own, for protocol sessions. A table `ramas_split.csv` anywhere under the
root, with columns base and split, is obeyed; it may say `speaker` and `sex` (f or m) too.

Quirks:
- Raters disagree: where several emotions have the most votes, the label is shared among them, never drawn by lot.
- Domination, Submission, Shame and Tiredness are no emotions of the seven and never win.
- Intervals may begin before the recording; they are cut at zero and flagged.
- Tables have `,` or, after a spreadsheet, `;` and then decimal commas.
- 10dec_O11_1 is skipped by one lab without a reason; it is flagged.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from manifests.clip import Audio, Clip, ManifestError, Video
from manifests.labels import Vector, shares
from manifests.licence import Licence
from manifests.splits import divided
from manifests.tables import cell, in_row, number, rows_of, text_of
from manifests.tree import Tree

LICENCE = Licence("RAMAS on request to its owner")
TREE = """\
ROOT/                                           or one with a wrapper: RAMAS/
  Annotations_by_files/10dec_O11_1_ann.csv      Time, Angry, Sad, Disgusted, Happy, Scared, Surprised, Neutral, ...
  Annotations_by_emotions/data_Angry.csv        ID, File, Start, End; read instead with SET=annotations=emotions
  Data/Audio/10dec_O11_1_mic.wav
  Data/Video_close/10dec_O11_1_Video.mp4
  Data/Video_web/10dec_O11_1_web.mp4            read instead with SET=video=web
  ramas_split.csv                               yours: base, split, and if you know them speaker, sex"""
BIBTEX = """\
@inproceedings{perepelkina2018ramas, doi = {10.1007/978-3-319-99579-3_52}, year = {2018}, pages = {501--510},
  title = {{RAMAS}: {R}ussian Multimodal Corpus of Dyadic Interaction for Affective Computing}, booktitle = {SPECOM},
  author = {Perepelkina, Olga and Kazimirova, Evdokia and Konstantinova, Maria}}"""
NOTE = (
    "RAMAS publishes no splits, no sentiment and no transcripts, so scores on it compare only where both sides tell "
    "their list of recordings, their rule for sentiment and their recogniser of speech."
)
KNOWN_BAD = {"10dec_O11_1": "one lab skips its sound without a reason"}

EMOTIONS = {
    "Angry": "anger",
    "Sad": "sad",
    "Disgusted": "disgust",
    "Happy": "happy",
    "Scared": "fear",
    "Surprised": "surprise",
    "Neutral": "neutral",
}
NO_EMOTIONS = ("Shame", "Tiredness", "Domination", "Submission")
POLARITY = {
    "Angry": "negative",
    "Sad": "negative",
    "Disgusted": "negative",
    "Happy": "positive",
    "Scared": "negative",
    "Neutral": "neutral",
}
Actor = tuple[str | None, Literal["f", "m"] | None]
SEXES: Mapping[str, Literal["f", "m"] | None] = {"f": "f", "m": "m", "": None}
IN_ITS_SECOND_S = {"start": 0.0, "centre": 0.5, "end": 1.0}
MEDIA = {"audio": r"([^/]+)_mic\.wav", "close": r"([^/]+)_Video\.(?:mp4|avi)", "web": r"([^/]+)_web\.(?:mp4|avi)"}
MOST_VOTES = 1000
MOST_S = 86_400
_BASE = re.compile(r"(?P<day>\d{1,2}[a-z]{3})_(?P<scenario>[a-z]+\d+)_\d+", re.ASCII | re.IGNORECASE)


@dataclass
class Span:
    """A stretch of one recording in which the same emotions had the most votes."""

    start_s: float
    end_s: float
    winners: tuple[str, ...]
    votes: Counter[str] = field(default_factory=Counter)


def clips(
    tree: Tree,
    *,
    annotations: Literal["files", "emotions"] = "files",
    video: Literal["close", "web"] = "close",
    min_s: float = 1.5,
    time: Literal["start", "centre", "end"] = "start",
    sentiment: Literal["none", "polarity"] = "none",
) -> Iterator[Clip]:
    """Yield every stretch of every recording in which raters agreed on an emotion, or on several."""
    media = {kind: tree.index(MEDIA[kind], lower=True) for kind in ("audio", video)}
    spans = _by_seconds(tree, IN_ITS_SECOND_S[time]) if annotations == "files" else _by_intervals(tree)
    listed = next((path for path, _ in tree.find(r"ramas_split\.csv")), None)
    actors = _actors(tree, listed) if listed else {}
    found: list[Clip] = []
    for base in sorted(spans):
        streams = [media[kind].pop(base.lower(), None) for kind in ("audio", video)]
        for place, span in enumerate(spans[base]):
            if span.end_s - max(span.start_s, 0) >= max(min_s, 1e-3):
                with in_row(f"recording {base!r}", place):
                    found.append(_clip(base, place, span, streams, actors.get(base, (None, None)), sentiment))
            else:
                tree.leave_out(f"{base}_{place:03}", f"shorter than {min_s:g} s")
    for path in (path for kind in media.values() for path in kind.values()):
        tree.leave_out(path, "no annotation names it")
    if listed:
        yield from divided(found, tree.root / listed, tree)
    else:
        tree.warn(
            "RAMAS has no published split: each recording day is a split here, and its actors may be the same on "
            "several. Put your list at the root as ramas_split.csv (base,split), or say SPLITS=list.csv."
        )
        yield from found


def _by_seconds(tree: Tree, time_s: float) -> dict[str, list[Span]]:
    """Sum the votes of all raters for every second of every recording, and join seconds with the same winners."""
    found: dict[str, list[Span]] = {}
    for path in tree.index(r"([^/]+)_ann\.csv", lower=True).values():
        rated: list[tuple[float, dict[str, float]]] = []
        for row_number, row in enumerate(_table(tree, path, ("Time", *EMOTIONS)), start=1):
            with in_row(tree.root / path, row_number):
                votes = {name: cell(row, name, _votes) for name in (*EMOTIONS, *NO_EMOTIONS) if name in row}
                rated.append((cell(row, "Time", _seconds), votes))
        first_s = min((at_s for at_s, _ in rated), default=0.0)
        seconds: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for at_s, votes in rated:
            seconds[round(at_s - first_s)].update(votes)
        unsure = sum(not _winners(votes) for votes in seconds.values())
        if unsure or not rated:
            tree.leave_out(f"{path}: {unsure} of {len(seconds)} s", "nobody saw one of the seven emotions")
        found[PurePosixPath(path).name[: -len("_ann.csv")]] = _joined(seconds, first_s - time_s)
    return found


def _joined(seconds: Mapping[int, Counter[str]], first_s: float) -> list[Span]:
    """Join seconds that follow each other and have the same winners; a second without any is a gap."""
    found: list[Span] = []
    last = -1
    for second, votes in sorted(seconds.items()):
        winners = _winners(votes)
        if not winners:
            continue
        start_s, end_s = round(first_s + second, 3), round(first_s + second + 1, 3)
        if found and found[-1].winners == winners and second == last + 1:
            found[-1].end_s = end_s
            found[-1].votes.update(votes)
        else:
            found.append(Span(start_s, end_s, winners, Counter(votes)))
        last = second
    return found


def _winners(votes: Mapping[str, float]) -> tuple[str, ...]:
    """Name every emotion that has the most votes; none where nobody saw any."""
    counts = {name: round(votes[name], 6) for name in EMOTIONS}
    return tuple(name for name, count in counts.items() if count == max(counts.values()) > 0)


def _by_intervals(tree: Tree) -> dict[str, list[Span]]:
    """Read the intervals of every emotion; one that stands in several tables is of all their emotions."""
    heard: defaultdict[str, dict[tuple[float, float], list[str]]] = defaultdict(dict)
    spelling: dict[str, str] = {}
    for path in tree.index(r"data_([a-z]+)\.csv", lower=True).values():
        word = PurePosixPath(path).stem.partition("_")[2].title()
        if word not in EMOTIONS:
            tree.leave_out(path, "none of the seven emotions")
            continue
        for row_number, row in enumerate(_table(tree, path, ("File", "Start", "End")), start=1):
            with in_row(tree.root / path, row_number):
                base, span = cell(row, "File", _base), (cell(row, "Start", _seconds), cell(row, "End", _seconds))
            words = heard[spelling.setdefault(base.lower(), base)].setdefault(span, [])
            if span[1] <= max(span[0], 0):
                tree.leave_out(f"{path}, row {row_number}", "ends before it starts, or before the recording does")
            elif word in words:
                tree.leave_out(f"{path}, row {row_number}", "an interval that stands there already")
            else:
                words.append(word)
    return {
        base: [
            Span(*span, tuple(name for name in EMOTIONS if name in words), Counter(words))
            for span, words in sorted(spans.items())
            if words
        ]
        for base, spans in heard.items()
    }


def _table(tree: Tree, path: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a table of which only the words of its head are certain: neither their letters nor what stands between."""
    head, line_end, body = text_of(tree.bytes(path)).partition("\n")
    delimiter = max(",;\t", key=head.count)
    return rows_of(head.replace(" ", "").title() + line_end + body, tree.root / path, columns, delimiter)


def _actors(tree: Tree, path: str) -> dict[str, Actor]:
    """Return what the user's own table knows of who acts in which recording."""
    found: dict[str, Actor] = {}
    for row_number, row in enumerate(rows_of(text_of(tree.bytes(path)), tree.root / path, ("base", "split")), start=1):
        sex = row.get("sex", "").strip().lower()
        if sex not in SEXES:
            raise ManifestError(f"{tree.root / path}, row {row_number}, column 'sex': expected f or m, got {sex!r}")
        found[row["base"].strip()] = row.get("speaker", "").strip() or None, SEXES[sex]
    return found


def _decimal(text: str) -> float:
    """Read a number of a table that may come from a Russian spreadsheet."""
    return number(text.replace(",", "."))


def _seconds(text: str) -> float:
    value = _decimal(text)
    if abs(value) > MOST_S:
        raise ValueError(f"expected seconds of one recording, got {text!r}")
    return round(value, 3)


def _votes(text: str) -> float:
    value = _decimal(text) if text.strip() else 0
    if not 0 <= value <= MOST_VOTES:
        raise ValueError(f"expected votes from 0 to {MOST_VOTES}, got {text!r}")
    return value


def _base(text: str) -> str:
    if not text.strip():
        raise ValueError("expected the name of a recording, got nothing")
    return text.strip()


def _clip(base: str, place: int, span: Span, streams: Sequence[str | None], actor: Actor, sentiment: str) -> Clip:
    audio, video = streams
    start_s = max(span.start_s, 0.0)
    named = _BASE.fullmatch(base)
    flags = {
        "missing_video": video is None,
        "missing_audio": audio is None,
        "neg_start_clamped": span.start_s < 0,
        "known_bad": base.lower() in map(str.lower, KNOWN_BAD),
    }
    found: dict[str, Vector | None] = {"emotion": shares("emotion", {EMOTIONS[name]: 1 for name in span.winners})}
    if sentiment == "polarity" and all(name in POLARITY for name in span.winners):
        found["sentiment"] = shares("sentiment", Counter(POLARITY[name] for name in span.winners))
    return Clip(
        id=f"{base}_{place:03}",
        corpus="ramas",
        split=base.partition("_")[0].lower() or "unknown day",
        split_source="the day of the recording",
        dialogue_id=base,
        utt_index=place,
        speaker_id=actor[0],
        sex=actor[1],
        language="ru",
        duration_s=round(span.end_s - start_s, 3),
        audio=Audio(audio, start_s, span.end_s) if audio else None,
        video=Video(video, start_s, span.end_s) if video else None,
        native={
            "emotion": "+".join(span.winners),
            "votes": ", ".join(f"{name} {count:g}" for name, count in span.votes.most_common() if count),
            **({"scenario": named["scenario"]} if named else {}),
        },
        labels={task: vector for task, vector in found.items() if vector},
        label_kind="vote series",
        flags=tuple(flag for flag, raised in flags.items() if raised),
        licence=LICENCE.tag,
    )
