"""What stands where in the pickles of conv-emotion; every value is looked at when it is read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from features import conv_emotion_meld as meld
from features import unpickle
from features.roots import CacheError
from features.windows import Array

ROBERTA = "roberta1 roberta2 roberta3 roberta4"
LAYOUTS = {
    "iemocap": "ids speakers emotion text audio visual sentences train test".split(),
    "meld": "ids speakers emotion text audio sentences train test sentiment".split(),
    "meld with visual": "ids speakers emotion text audio visual sentences train test sentiment".split(),
    "cosmic": f"speakers emotion {ROBERTA} sentences train test dev".split(),
    "cosmic meld": f"speakers emotion sentiment {ROBERTA} sentences train test dev".split(),
    "cosmic labels": "speakers emotion sentences train test dev".split(),
    "cosmic meld labels": "speakers emotion sentiment sentences train test dev".split(),
}
"""What stands in which place; no two of them have dictionaries in the same places."""
SPLITS = ("train", "dev", "test")
FEATURES = ("text", "audio", "visual", *ROBERTA.split())
EMOTIONS = {
    "iemocap": ("happy", "sad", "neutral", "anger", "excited", "frustrated"),
    "meld": ("neutral", "surprise", "fear", "sad", "happy", "disgust", "anger"),
}
"""In the order of the files, in our words."""
SENTIMENTS = ("neutral", "positive", "negative")
Name = str | int
"""Of a dialogue in a file: a number in MELD."""


@dataclass(frozen=True)
class Utterance:
    """One utterance, where it stands, and its vectors by feature."""

    clip: str
    split: str
    dialogue: str
    turn: int
    vectors: Mapping[str, Any]

    def row(self) -> dict[str, str]:
        """Return where it stands, as a row of a table."""
        return {"id": self.clip, "split": self.split, "dialogue": self.dialogue, "turn": str(self.turn)}


def opened(source: Path, names: str = "") -> "Dialogues | Vectors":
    """Read a file of any of the layouts; names of utterances may stand in another of its folder."""
    values = unpickle.load(source)
    beside = _beside(source, names) if names else None
    if isinstance(values, list | tuple):
        places = [isinstance(value, dict) for value in values]
        if places == [True] * len(SPLITS):
            return Vectors(source, dict(zip(SPLITS, values, strict=True)))
        for layout, fields in LAYOUTS.items():
            if places == [name not in SPLITS for name in fields]:
                return Dialogues(source, layout, dict(zip(fields, values, strict=True)), beside)
    got = f"{len(values)} others" if isinstance(values, list | tuple) else shown(values)
    raise CacheError(
        f"{source}: expected dictionaries and lists as one of the layouts {', '.join(LAYOUTS)} has them, or three "
        f"dictionaries as MELD's own, got {got}; is it the file of the features?"
    )


def _beside(source: Path, names: str) -> "Dialogues":
    if Path(names).name != names or names == "..":
        raise CacheError(f"option 'names': expected the name of a file in the folder of {source.name}, got {names!r}")
    found = opened(source.parent / names)
    if isinstance(found, Vectors) or "ids" not in found.fields:
        raise CacheError(f"{found.source}: expected a file with names of utterances, as IEMOCAP_features.pkl has them")
    return found


def shown(value: object) -> str:
    """Say what stands there, in few words whatever it holds."""
    if isinstance(value, str):
        return repr(value[:80])
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {value.shape}"
    return str(value) if isinstance(value, int | float) else f"a {type(value).__name__}"


def vector(source: Path, clip: str, value: Any) -> Array:
    """Return a vector as one step."""
    if isinstance(value, list) and {*map(type, value)} <= {int, float}:
        value = np.array(value, np.float64)
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "biuf" or not value.size:
        raise CacheError(f"{source}, {clip!r:.80}: expected a vector of numbers, got {shown(value)}; is it whole?")
    return value[None]


@dataclass(frozen=True)
class Dialogues:
    """A file with a dictionary of dialogues for each field."""

    source: Path
    layout: str
    fields: Mapping[str, Any]
    beside: "Dialogues | None" = None

    def _error(self, field: str, dialogue: Name, expected: str, got: object) -> CacheError:
        where = f"{self.source}, {field} of {shown(dialogue)}"
        return CacheError(f"{where}: expected {expected}, got {shown(got)}; is the file complete?")

    @cached_property
    def dialogues(self) -> list[Name]:
        """Return what dialogues are called in the file."""
        for name in self.fields["emotion"]:
            if type(name) not in (str, int) or (isinstance(name, int) and not 0 <= name < meld.END):
                raise CacheError(
                    f"{self.source}: expected dialogues by name, or as in MELD by a number up to {meld.END - 1}, "
                    f"got {shown(name)}; is it a file of another corpus?"
                )
        return list(self.fields["emotion"])

    @cached_property
    def _splits(self) -> dict[Name, str]:
        found: dict[Name, str] = {}
        for split in SPLITS:
            names = self.fields.get(split, [])
            names = names.tolist() if isinstance(names, np.ndarray) else names
            if not isinstance(names, list | tuple | set | frozenset):
                raise self._error(split, "dialogues", "a list of dialogues", names)
            found.update((name, split) for name in names if isinstance(name, str | int))
        return found

    def _row(self, field: str, dialogue: Name) -> Sequence[Any]:
        """Return what a field says of every utterance of a dialogue."""
        row, labels = self.fields[field].get(dialogue), self.fields["emotion"].get(dialogue)
        for value in (row, labels):
            if not isinstance(value, list | tuple) and not (isinstance(value, np.ndarray) and value.ndim):
                raise self._error(field, dialogue, "a value of each utterance", value)
        if len(row) != len(labels):
            raise self._error(field, dialogue, f"{len(labels)} values, as of labels", len(row))
        return row  # type: ignore[no-any-return]

    def utterances(self) -> Iterator[Utterance]:
        """Yield every utterance in order."""
        for dialogue in self.dialogues:
            yield from self._utterances(dialogue)

    def _utterances(self, dialogue: Name) -> Iterator[Utterance]:
        name = meld.name_of(dialogue) if isinstance(dialogue, int) else dialogue
        split = meld.split_of(dialogue) if isinstance(dialogue, int) else self._splits.get(dialogue, "")
        rows = {field: self._row(field, dialogue) for field in FEATURES if dialogue in self.fields.get(field, ())}
        for place, (clip, turn) in enumerate(self.names(dialogue)):
            yield Utterance(clip, split, name, turn, {feature: row[place] for feature, row in rows.items()})

    def names(self, dialogue: Name) -> list[tuple[str, int]]:
        """Return the name and the turn of every utterance of a dialogue."""
        if "ids" not in self.fields:
            return self._unnamed(dialogue)
        ids = self._row("ids", dialogue)
        if isinstance(dialogue, int):
            return self._numbered(dialogue, [self._number(dialogue, value) for value in ids])
        for value in ids:
            if not isinstance(value, str):
                raise self._error("names", dialogue, "texts", value)
        return [(str(value), turn) for turn, value in enumerate(ids)]

    def _unnamed(self, dialogue: Name) -> list[tuple[str, int]]:
        emotions = self.classes("emotion", dialogue) if self.beside else ()
        if self.beside and self.beside.classes("emotion", dialogue) != emotions:
            raise self._error("labels", dialogue, f"those of {self.beside.source.name}", "others")
        if self.beside:
            return self.beside.names(dialogue)
        count = len(self._row("emotion", dialogue))
        if isinstance(dialogue, int):
            return self._numbered(dialogue, meld.utterances(dialogue, count))
        return [(f"{dialogue}_turn{turn}", turn) for turn in range(count)]

    def _number(self, dialogue: Name, value: object) -> int:
        text = str(value) if isinstance(value, int | str | np.integer) else ""
        if found := re.fullmatch(r"(?:dia\d+_utt)?(\d{1,6})", text, re.ASCII):
            return int(found[1])
        raise self._error("utterances", dialogue, "numbers", value)

    @staticmethod
    def _numbered(dialogue: int, turns: Sequence[int]) -> list[tuple[str, int]]:
        return [(f"{meld.name_of(dialogue)}_utt{turn}", turn) for turn in turns]

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield what the file says of every utterance."""
        told = self._told_meld if "sentiment" in self.fields else self._told_iemocap
        for dialogue in self.dialogues:
            texts = self._row("sentences", dialogue)
            for each, text, cells in zip(self._utterances(dialogue), texts, told(dialogue), strict=True):
                yield each.row() | cells | {"text": str(text) if isinstance(text, str) else ""}

    def _told_meld(self, dialogue: Name) -> Iterator[dict[str, str]]:
        name = meld.name_of(dialogue) if isinstance(dialogue, int) else dialogue
        fields = (self.classes("emotion", dialogue), self.classes("sentiment", dialogue))
        for emotion, sentiment, who in zip(*fields, self._row("speakers", dialogue), strict=True):
            yield {"speaker": f"{name}_{self._party(dialogue, who)}", "emotion": emotion, "sentiment": sentiment}

    def _told_iemocap(self, dialogue: Name) -> Iterator[dict[str, str]]:
        session = re.match(r"Ses\d\d", str(dialogue), re.ASCII)
        for emotion, who in zip(self.classes("emotion", dialogue), self._row("speakers", dialogue), strict=True):
            if not isinstance(who, str) or who not in ("M", "F"):
                raise self._error("speakers", dialogue, "M or F, as in IEMOCAP", who)
            speaker = f"{session[0] if session else dialogue}_{who}"
            yield {"speaker": speaker, "sex": who.lower(), "label.emotion6": emotion}

    def classes(self, field: str, dialogue: Name) -> list[str]:
        """Return the labels of a dialogue in our words."""
        emotions = EMOTIONS["meld" if "sentiment" in self.fields else "iemocap"]
        words = emotions if field == "emotion" else SENTIMENTS
        found = []
        for value in self._row(field, dialogue):
            if not isinstance(value, int | np.integer) or not 0 <= value < len(words):
                raise self._error(field, dialogue, f"classes from 0 to {len(words) - 1}", value)
            found.append(words[int(value)])
        return found

    def _party(self, dialogue: Name, value: object) -> str:
        """Return who of a dialogue speaks: a 1 stands in his place, and 0 in all others."""
        ones = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
        if (
            not isinstance(ones, list | tuple)
            or {*map(type, ones)} - {int, float}
            or sorted(ones)[-2:] not in ([0, 1], [1])
        ):
            raise self._error("speakers", dialogue, "one 1 among zeros", value)
        return f"speaker{ones.index(1)}"


@dataclass(frozen=True)
class Vectors:
    """One of MELD's own files: dictionaries of vectors, or of dialogues, by split."""

    source: Path
    parts: Mapping[str, Mapping[Any, Any]]
    layout: str = "MELD's own"

    def utterances(self) -> Iterator[Utterance]:
        """Yield every utterance."""
        for split, part in self.parts.items():
            for key, value in part.items():
                numbers = re.fullmatch(r"(\d{1,6})(?:_(\d{1,6}))?", key if isinstance(key, str) else "", re.ASCII)
                if not numbers:
                    raise CacheError(f"{self.source}, {split}: expected keys such as '0_0' or '0', got {shown(key)}")
                turns = [int(numbers[2])] if numbers[2] else self._turns(split, int(numbers[1]), value)
                name = f"{split}_dia{int(numbers[1])}"
                for turn, each in zip(turns, [value] if numbers[2] else value, strict=False):
                    yield Utterance(f"{name}_utt{turn}", split, name, turn, {self.source.stem: each})

    def _turns(self, split: str, dialogue: int, value: object) -> list[int]:
        """Return the numbers of utterances whose vectors stand in a dialogue, but for zeros at its end."""
        if not isinstance(value, np.ndarray) or value.ndim != 2 or value.dtype.kind not in "biuf":
            where = f"{self.source}, {split} {dialogue}"
            raise CacheError(f"{where}: expected vectors of a dialogue (33, width), got {shown(value)}; is it whole?")
        told = np.flatnonzero(value.any(axis=1))
        return meld.utterances(meld.FIRST[split] + dialogue, told[-1] + 1) if len(told) else []

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield where every utterance stands; such a file says no more."""
        return (each.row() for each in self.utterances())
