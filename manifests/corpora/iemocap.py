"""IEMOCAP: 10,039 turns of ten actors in pairs, improvised and scripted, in five sessions, each rated by several.

Busso et al. 2008, Language Resources and Evaluation. Ten emotion words, by majority of the raters, and mean ratings of
valence, activation and dominance. No official split: the field leaves each session, and so two actors, out once.

Licence: a signed release form, for research; nothing but ids may leave the lab.

Layout: one evaluation and one transcript per dialogue, one wav per turn, one film per dialogue, in which both actors
stand side by side. The package without films is read too, and so are dialogues' wavs where no turn has one of its own.
Three tables per turn have the markers of motion capture, 120 rows a second: face, hands and head (series `mocap`).

Options:
- side=wearer_left takes who speaks from the left half of the film if they wear the markers, else from the right;
  wearer_right is the mirror of it, full keeps the whole picture. The rule is from one public project: look at it.
- offset_frames moves what is cut from the films by so many of their frames (29.97 a second); -5 is five earlier.
- happy=strict keeps excited turns out of `happy`; merged, as the field has it, makes happy and excited one class.
- labels=votes makes soft labels of what the raters said, one vote a rater, instead of their majority. A task has a
  label where more than half of the votes are for its classes.
- markers=speaker leaves out the motion capture of turns in which who wears the markers listens; wearer keeps it.
- channel, for dialogues' wavs only, said to have an actor in each channel: mix hears both; wearer_left, wearer_right,
  female_left and female_right hear who speaks. Which of the four is right is not documented: listen.

Quirks:
- The letter after the session tells who wears the markers, the last letter who speaks: `Ses01F_impro01_M000` is the
  man of session 1.
- One actor of a dialogue wears markers: beside the other's turns, motion capture shows who listens.
- A turn has motion capture where all three of its tables are there; a marker that is hidden is `NaN`. Their layout is
  from public code that reads them; whether seconds count from the turn or the dialogue, which they do not say, is one.
- Without a majority the emotion is `xxx`: such turns are kept and flagged, without a class, with their ratings.
- Dominance may be missing; the house calls activation arousal.
- `fru`, `oth` and `xxx` are none of the seven emotions; the six classes of `emotion6` have `fru`.
- Transcripts have lines with `XX` for a number, which were never cut or rated, and lines of another form.
- Subfolders of EmoEvaluation repeat single raters in files of their own; they are not read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from manifests.clip import Audio, Clip, Series, Video
from manifests.labels import TASKS, Vector, shares
from manifests.labels import of as label_of
from manifests.licence import Licence
from manifests.tables import cell, in_row, number, text_of
from manifests.tree import Tree

LICENCE = Licence("IEMOCAP release form, research only")
TREE = """\
ROOT/                                                       or one with a wrapper: IEMOCAP_full_release/
  Session1/dialog/EmoEvaluation/Ses01F_impro01.txt          who spoke when, and what raters said; Session1 to 5
  Session1/dialog/transcriptions/Ses01F_impro01.txt
  Session1/dialog/avi/DivX/Ses01F_impro01.avi               not in the package without films
  Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav
  Session1/dialog/wav/Ses01F_impro01.wav                    read only where there is no sentences/wav
  Session1/sentences/MOCAP_rotated/Ses01F_impro01/Ses01F_impro01_F000.txt    and MOCAP_hand, MOCAP_head, or none"""
BIBTEX = """\
@article{busso2008iemocap, doi = {10.1007/s10579-008-9076-6}, year = {2008}, volume = {42}, number = {4},
  title = {{IEMOCAP}: Interactive Emotional Dyadic Motion Capture Database}, pages = {335--359},
  journal = {Language Resources and Evaluation}, author = {Busso, Carlos and Bulut, Murtaza and Lee, Chi-Chun and
            Kazemzadeh, Abe and Mower, Emily and Kim, Samuel and Chang, Jeannette N. and Lee, Sungbok and
            Narayanan, Shrikanth S.}}"""
NOTE = (
    "IEMOCAP's films show both actors, and no document says who stands where: look at a few pictures of each session, "
    "and read the corpus with side=wearer_right if the listener is shown."
)
EXPECTED = {
    "clips": 10039,
    "split session1": 1819,
    "split session2": 1811,
    "split session3": 2136,
    "split session4": 2103,
    "split session5": 2170,
    "dialogues": 151,
    "dialogues, split session1": 28,
    "dialogues, split session2": 30,
    "dialogues, split session3": 32,
    "dialogues, split session4": 30,
    "dialogues, split session5": 31,
    "dialogues, native.style improvised": 80,
    "dialogues, native.style scripted": 71,
    "speakers": 10,
    "native.style improvised": 4784,
    "native.emotion neu": 1708,
    "native.emotion ang": 1103,
    "native.emotion sad": 1084,
    "native.emotion hap": 595,
    "native.emotion exc": 1041,
    "native.emotion fru": 1849,
    "native.emotion sur": 107,
    "native.emotion fea": 40,
    "native.emotion dis": 2,
    "native.emotion oth": 3,
    "flags xxx_label": 2507,
    "emotion4": 5531,
    "emotion4 happy": 1636,
    "emotion4, split session1": 1085,
    "emotion4, split session2": 1023,
    "emotion4, split session3": 1151,
    "emotion4, split session4": 1031,
    "emotion4, split session5": 1241,
    "emotion6": 7380,
}

WORDS = {
    "neu": "neutral",
    "hap": "happy",
    "sad": "sad",
    "ang": "anger",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
    "exc": "excited",
    "fru": "frustrated",
    "oth": "other",
    "xxx": "no agreement",
}
KINDS = {"majority": "majority", "votes": "vote series"}
SCALES = {"valence": "valence", "activation": "arousal", "dominance": "dominance"}
"""How raters called what the house predicts."""
FRAME_S = 1001 / 30_000
MARKERS = ("rotated", "hand", "head")
"""Whose tables stand side by side, in this order: frame, seconds, and then 165, 18 and 6 numbers a row."""
_DIALOGUE = r"Ses0[1-5][FM]_(?:impro\d\d[ab]?|script\d\d_\d[ab]?)"
_UTTERANCE = re.compile(
    r"(?P<dialogue>Ses0(?P<session>[1-5])(?P<wearer>[FM])_(?P<scene>impro\d\d|script\d\d_\d)[ab]?)_(?P<speaker>[FM])\d{3}",
    re.ASCII,
)
_RATED = re.compile(
    r"\[\s*(?P<start>\S+)\s*-\s*(?P<end>\S+?)\s*\]\s+(?P<utterance>\S+)\s+(?P<emotion>\S+)\s+\[(?P<ratings>[^\]]*)\]\s*"
)
_RATER = re.compile(r"[CA]-\w+:.*")
_CATEGORIES = re.compile(r"C-E\w*:([^(]*).*")  # C-F and C-M are what the actors said of themselves
_SPOKEN = re.compile(r"(\S+)\s+\[\s*[\d.]+\s*-\s*[\d.]+\s*\]:(.*)", re.ASCII)
_NEVER_CUT = re.compile(rf"{_DIALOGUE}_[FM]XX\d+", re.ASCII)
_NO_VALUE = ("", "nan")


@dataclass(frozen=True)
class Turn:
    """One turn as the evaluation of its dialogue has it."""

    parts: re.Match[str]
    start_s: float
    end_s: float
    emotion: str
    ratings: Mapping[str, float]
    raters: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Return the name of the turn, the same in every folder."""
        return self.parts[0]

    @property
    def of_wearer(self) -> bool:
        """Return whether who speaks wears the markers."""
        return self.parts["speaker"] == self.parts["wearer"]

    def half(self, rule: str) -> Literal["left", "right"] | None:
        """Return the half, of a picture or of two channels, in which a rule like `wearer_left` has who speaks."""
        who, _, half = rule.partition("_")
        if not half:
            return None
        first = self.of_wearer if who == "wearer" else self.parts["speaker"] == "F"
        return "left" if first == (half == "left") else "right"


@dataclass(frozen=True)
class Media:
    """The files by turn and by dialogue, in small letters, and which part of a dialogue's shows or hears who speaks."""

    sentences: Mapping[str, str]
    dialogues: Mapping[str, str]
    films: Mapping[str, str]
    tables: Mapping[tuple[str, str], str]
    """Of motion capture, by what they are of and by turn."""
    markers: str
    channel: str
    side: str
    offset_s: float

    def audio(self, turn: Turn) -> Audio | None:
        """Return where a turn is heard."""
        if path := self.sentences.get(turn.id.lower()):
            return Audio(path)
        if path := self.dialogues.get(turn.parts["dialogue"].lower()):
            return Audio(path, turn.start_s, turn.end_s, turn.half(self.channel) or "mix")
        return None

    def video(self, turn: Turn) -> Video | None:
        """Return where a turn is seen."""
        path = self.films.get(turn.parts["dialogue"].lower())
        return Video(path, turn.start_s, turn.end_s, turn.half(self.side) or "full", self.offset_s) if path else None

    def series(self, turn: Turn) -> dict[str, Series]:
        """Return where the motion capture of a turn lies."""
        paths = tuple(path for of in MARKERS if (path := self.tables.get((of, turn.id.lower()))))
        shown = len(paths) == len(MARKERS) and (turn.of_wearer or self.markers == "wearer")
        return {"mocap": Series(paths, time_column=1)} if shown else {}


def clips(
    tree: Tree,
    *,
    side: Literal["wearer_left", "wearer_right", "full"] = "wearer_left",
    markers: Literal["wearer", "speaker"] = "wearer",
    channel: Literal["mix", "wearer_left", "wearer_right", "female_left", "female_right"] = "mix",
    offset_frames: float = 0.0,
    happy: Literal["merged", "strict"] = "merged",
    labels: Literal["majority", "votes"] = "majority",
) -> Iterator[Clip]:
    """Yield every rated turn, whether or not it was heard, seen or written down."""
    sentences = tree.index(rf"sentences/wav/(?:[^/]+/)?({_DIALOGUE}_[FM]\d{{3}})\.wav", lower=True)
    dialogues = {} if sentences else tree.index(rf"dialog/wav/({_DIALOGUE})\.wav", lower=True)
    films = tree.index(rf"dialog/avi/(?:DivX/)?({_DIALOGUE})\.avi", lower=True)
    tables = _tables(tree)
    media = Media(sentences, dialogues, films, tables, markers, channel, side, offset_frames * FRAME_S)
    if dialogues:
        heard = "both actors (see the option channel)" if channel == "mix" else f"one actor in each channel, {channel}"
        tree.warn(f"no sentences/wav: sound is cut from the wavs of whole dialogues, which hear {heard}")
    texts = _texts(tree)
    unnamed = sentences | dialogues | films
    not_taken = set(tables.values())
    for name, path in sorted(tree.index(r"EmoEvaluation/([^/]+)\.txt", lower=True).items()):
        if not re.fullmatch(_DIALOGUE, name, re.ASCII | re.IGNORECASE):
            tree.leave_out(path, "not named like a dialogue, Ses01F_impro01")
            continue
        unnamed.pop(name, None)
        for place, turn in enumerate(_turns(tree, path, name)):
            unnamed.pop(turn.id.lower(), None)
            said = _votes(tree, path, turn) if labels == "votes" else {WORDS[turn.emotion]: 1.0}
            clip = _clip(turn, place, media, texts.pop(turn.id, ""), _labels(said, happy), KINDS[labels])
            not_taken.difference_update(path for track in clip.series.values() for path in track.paths)
            yield clip
    for path in sorted(not_taken):
        tree.leave_out(path, "no turn takes it: none is rated, another of its tables is missing, or markers=speaker")
    for path in unnamed.values():
        tree.leave_out(path, "no evaluation names it")
    for turn_id in texts:
        tree.leave_out(turn_id, "written down, but not rated")


def _tables(tree: Tree) -> dict[tuple[str, str], str]:
    """Return the tables of motion capture by what they are of, and by turn."""
    found: dict[tuple[str, str], str] = {}
    pattern = rf"sentences/MOCAP_({'|'.join(MARKERS)})/(?:[^/]+/)?({_DIALOGUE}_[FM]\d{{3}})\.txt"
    for path, match in tree.find(pattern):
        found.setdefault((match[1].lower(), match[2].lower()), path)
    return found


def _turns(tree: Tree, path: str, name: str) -> list[Turn]:
    """Read the evaluation of one dialogue in order of time: a line for each turn, and below it one for each rater."""
    found: dict[str, Turn] = {}
    turn = None
    for row, line in enumerate(map(str.strip, text_of(tree.bytes(path)).splitlines()), start=1):
        if line.startswith("["):
            with in_row(tree.root / path, row):
                turn = _turn(line, name)
                if found.setdefault(turn.id, turn) is not turn:
                    raise ValueError(f"column 'utterance': {turn.id} has a line already")
        elif turn and _RATER.fullmatch(line):
            turn.raters.append(line)
        elif line and not line.startswith("%"):
            tree.leave_out(f"{path}, row {row}", "neither a turn nor a rater")
    if not found:
        tree.leave_out(path, "rates no turn")
    return sorted(found.values(), key=lambda turn: turn.start_s)


def _turn(line: str, name: str) -> Turn:
    found = _RATED.fullmatch(line)
    if not found:
        raise ValueError(
            f"expected [start - end], an utterance, its emotion, [V, A, D], got {line[:100]!r}; is the file complete?"
        )
    row = found.groupdict()
    parts = _UTTERANCE.fullmatch(row["utterance"])
    if not parts or parts["dialogue"].lower() != name:
        raise ValueError(f"column 'utterance': expected one of {name}, like Ses01F_impro01_M000, got {found[3]!r}")
    start_s, end_s = cell(row, "start", number), cell(row, "end", number)
    if not 0 <= start_s < end_s:
        raise ValueError(f"column 'end': expected a span from 0 on that ends after it starts, got {start_s} to {end_s}")
    return Turn(parts, start_s, end_s, cell(row, "emotion", _code), cell(row, "ratings", _ratings))


def _code(text: str) -> str:
    if text not in WORDS:
        raise ValueError(f"expected one of {', '.join(WORDS)}, got {text!r}")
    return text


def _ratings(text: str) -> dict[str, float]:
    """Read `V, A, D`; where one is missing, as dominance is at times, the others stand."""
    found = text.split(",")
    if len(found) > len(SCALES):
        raise ValueError(f"expected {', '.join(SCALES)}, got {text!r}")
    cells = {scale: value.strip() for scale, value in zip(SCALES, found, strict=False)}
    return {scale: cell(cells, scale, _rating) for scale, value in cells.items() if value.lower() not in _NO_VALUE}


def _rating(text: str) -> float:
    """Read a mean of ratings from 1 to 5; a slip of one rater can carry it half a step beyond."""
    value = number(text)
    if not 0 <= value <= 6:
        raise ValueError(f"expected a rating from 1 to 5, got {text!r}")
    return value


def _texts(tree: Tree) -> dict[str, str]:
    """Return what was said by utterance, and tell about every line that is not read."""
    found: dict[str, str] = {}
    for path in sorted(tree.index(rf"transcriptions/({_DIALOGUE})\.txt", lower=True).values()):
        for row, line in enumerate(map(str.strip, text_of(tree.bytes(path)).splitlines()), start=1):
            spoken = _SPOKEN.fullmatch(line)
            name = spoken[1] if spoken else ""
            if spoken and _UTTERANCE.fullmatch(name) and name not in found:
                found[name] = spoken[2].strip()
            elif spoken and _NEVER_CUT.fullmatch(name):
                tree.leave_out(f"{name}, row {row}", "a turn without a number, never cut or rated")
            elif line:
                why = "a second line of its turn" if name in found else "not like Ses01F_impro01_F000 [1.0-2.0]: Hi."
                tree.leave_out(f"{path}, row {row}", why)
    return found


def _votes(tree: Tree, path: str, turn: Turn) -> Mapping[str, float]:
    """Count the raters by word; who named several words gives each a part of the vote."""
    votes = dict.fromkeys(WORDS.values(), 0.0)
    for line in turn.raters:
        if found := _CATEGORIES.fullmatch(line):
            words = [word for word in map(str.strip, found[1].split(";")) if word]
            for word in words:
                code = word[:3].lower()
                if code not in WORDS:
                    tree.warn(f"{path}: a rater's word {word!r} is none of the ten; it counts as other")
                votes[WORDS.get(code, "other")] += 1 / len(words)
    return votes


def _labels(said: Mapping[str, float], happy: str) -> dict[str, Vector]:
    """Return shares of each task's classes, where most of what raters said is one of them."""
    merged = dict(said)
    if happy == "merged":
        merged["happy"] = merged.get("happy", 0) + merged.pop("excited", 0)
    found: dict[str, Vector] = {}
    for task, votes in (("emotion", merged), ("emotion4", merged), ("emotion6", said)):
        most = sum(votes.get(word, 0) for word in TASKS[task].classes) > sum(votes.values()) / 2
        shared = shares(task, votes) if most else None
        if shared and label_of(task, found) != shared:  # emotion4 follows from a clear emotion
            found[task] = shared
    return found


def _clip(turn: Turn, place: int, media: Media, text: str, labels: Mapping[str, Vector], kind: str) -> Clip:
    session, speaker, scene = turn.parts["session"], turn.parts["speaker"], turn.parts["scene"]
    audio, video = media.audio(turn), media.video(turn)
    flags = {
        "missing_video": video is None,
        "missing_audio": audio is None,
        "no_transcript": not text,
        "xxx_label": turn.emotion == "xxx",
    }
    scripted = {"style": "scripted", "script": scene} if scene.startswith("script") else {"style": "improvised"}
    return Clip(
        id=turn.id,
        corpus="iemocap",
        split=f"session{session}",
        split_source="the corpus' sessions",
        dialogue_id=turn.parts["dialogue"],
        utt_index=place,
        speaker_id=f"Ses0{session}_{speaker}",
        sex="f" if speaker == "F" else "m",
        language="en",
        duration_s=round(turn.end_s - turn.start_s, 4),
        audio=audio,
        video=video,
        series=media.series(turn),
        text=text or None,
        text_source="transcriptions" if text else None,
        native={
            "emotion": turn.emotion,
            **turn.ratings,
            **scripted,
            "cut_from": turn.parts["dialogue"],
            "cut_start_s": turn.start_s,
            "cut_end_s": turn.end_s,
        },
        labels={**labels, **{SCALES[scale]: (rating,) for scale, rating in turn.ratings.items()}},
        label_kind=kind,
        flags=tuple(flag for flag, raised in flags.items() if raised),
        licence=LICENCE.tag,
    )
