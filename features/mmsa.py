"""MMSA: one pickle of feature sequences, texts and sentiment, as thuiar/MMSA loads it and MMSA-FET writes it.

Layout, as its README and its loader have it: `{"train": …, "valid": …, "test": …}`, and of MMSA-FET `config` beside
them. Each split holds, with a row per clip, `id` (`video$_$clip`), `raw_text`, `text` (n, L, width), `audio`,
`vision`, `text_bert` (n, 3, L: ids of tokens, mask, segment), `audio_lengths` and `vision_lengths` unless features are
aligned with words, `annotations` (Negative, Neutral, Positive), `classification_labels` (0, 1, 2) and
`regression_labels`; CH-SIMS also `regression_labels_T`, `_A` and `_V`. What MMSA-FET saved as tensors of torch
(`return_type="pt"`) is refused; a file of its aligned features has lists of words in `align`, which are left out.

Read: the real steps of every clip, without padding. Which they are say a feature's lengths; where it has none, the
mask in `text_bert`, if it is as long and leaves out of `audio` and `vision` nothing but zeros; else all are. Padding
stands at the end or, where MMSA-FET was told so, at the start; `padding=auto` looks for the zeros. A clip of length 0
is left out of that feature. `text_bert` comes as steps of three whole numbers. MMSA's loader takes -inf in `audio` for
0; importing with `--zeros` does. A pickle is read at once: it takes as much memory as the file is long.

Options:
- ids=house names clips `video_clip`, as our MOSI and MOSEI do; ids=file leaves `video$_$clip`. Written, `video_clip`
  is parted at its last `_`.
- padding=end, padding=start, or padding=none, which takes lengths for no guide; only for reading.
- length=N, only for writing: cut or pad every sequence to N steps; without it, to the longest of all splits.

Written are sequences as float32 (`text_bert` as int64), padded with zeros at the end, `*_lengths` of every feature but
`text_bert`, and the labels of a table: `regression_labels` from `sentiment_score`, classes and annotations by its sign.
Where no clip has a score, `classification_labels` are the place of `emotion` in the house order (neutral, happy, sad,
anger, surprise, disgust, fear), `annotations` its word, and there are no regression labels, without which version 2 of
MMSA trains nothing. A clip without a feature gets one step of zeros: MMSA cannot do with none. Not written are the
seconds of steps and side channels.
"""

import functools
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from features import unpickle
from features.exchange import Chosen, Piece, whole
from features.roots import CacheError
from features.windows import Array

SPLITS = {"train": "train", "valid": "dev", "test": "test"}
"""Of the file, and ours."""
FEATURES = ("text", "audio", "vision", "text_bert")
TOKENS = "text_bert"
TOLD = {"raw_text": "text", "regression_labels": "sentiment_score", "annotations": "annotation"}
TOLD |= {name: name for name in ("regression_labels_T", "regression_labels_A", "regression_labels_V")}
"""Columns of the file that are no features, and what ours are called."""
SENTIMENTS = ("negative", "neutral", "positive")
EMOTIONS = ("neutral", "happy", "sad", "anger", "surprise", "disgust", "fear")
PARTING = "$_$"
IDS = ("house", "file")
PADDINGS = ("auto", "end", "start", "none")
MOST_SAID, DEEPEST = 100, 5


def read(source: Path, *, ids: str = "house", padding: str = "auto") -> Iterator[Piece]:
    """Yield the real steps of every clip and feature."""
    _expect("padding", padding, PADDINGS)
    for split in _splits(source, _file(source)):
        clips = split.clips(ids)
        for feature in split.features():
            for clip, values in zip(clips, split.real(feature, padding), strict=True):
                if len(values):
                    yield Piece(feature, clip, whole(values))


def labels(source: Path, *, ids: str = "house", padding: str = "auto") -> Iterator[dict[str, str]]:
    """Yield what the file says of every clip; the video that it is from stands for a dialogue."""
    _expect("padding", padding, PADDINGS)
    for split in _splits(source, _file(source)):
        columns = {ours: split.column(theirs) for theirs, ours in TOLD.items() if theirs in split.values}
        for row, (clip, theirs) in enumerate(zip(split.clips(ids), split.ids, strict=True)):
            video, _, number = theirs.rpartition(PARTING)
            turn = number if video and number.isascii() and number.isdecimal() else ""
            cells = {name: _cell(values[row]) for name, values in columns.items()}
            word = cells.get("annotation", "").lower()
            if word in (SENTIMENTS if "sentiment_score" in cells else EMOTIONS):
                cells["sentiment" if "sentiment_score" in cells else "emotion"] = word
            yield {"id": clip, "split": SPLITS[split.name], "dialogue": video, "turn": turn, **cells}


def said(source: Path, *, ids: str = "house", padding: str = "auto") -> dict[str, str]:
    """Return how many clips there are, and the settings with which MMSA-FET made them."""
    _expect("padding", padding, PADDINGS)
    values = _file(source)
    told = {"clips": ", ".join(f"{len(split.clips(ids))} {split.name}" for split in _splits(source, values))}
    settings = ", ".join(itertools.islice(_settings(values.get("config", {})), MOST_SAID))
    return told | ({"config": settings} if settings else {})


def write(target: Path, chosen: Chosen, *, ids: str = "house", length: str = "") -> None:
    """Write at once what MMSA's loader reads; it takes memory for the features twice."""
    unpickle.expect_none(target)
    _expect("ids", ids, IDS)
    if length and not re.fullmatch(r"[1-9]\d{0,6}", length, re.ASCII):
        raise CacheError(f"option 'length': expected a number of steps, got {length!r}")
    if taken := ", ".join(sorted({"id", "classification_labels", *TOLD}.intersection(chosen.readers))):
        raise CacheError(
            f"{target}: no feature can be called {taken}, which is a column of labels there; call it audio"
        )
    parts = _labelled(target, chosen, ids)
    found = dict(chosen.sequences())
    for feature in chosen.readers:
        steps = {clip: _checked(feature, clip, each[feature].values) for clip, each in found.items() if feature in each}
        longest = int(length) if length else max(map(len, steps.values()), default=1)
        width = next((values.shape[1] for values in steps.values()), 1)
        for clips, part in parts:
            part.update(_padded(feature, [steps.get(clip) for clip in clips], max(1, longest), width))
    unpickle.dump({name: part for name, (_, part) in zip(SPLITS, parts, strict=True)}, target)


def _expect(option: str, got: str, among: Sequence[str]) -> None:
    if got not in among:
        raise CacheError(f"option {option!r}: expected one of {', '.join(among)}, got {got!r}")


def _file(source: Path) -> dict[Any, Any]:
    values = unpickle.load(source)
    if not isinstance(values, dict) or not any(isinstance(values.get(name), dict) for name in SPLITS):
        got = f"a dictionary of {list(values)[:9]!r:.200}" if isinstance(values, dict) else f"a {type(values).__name__}"
        raise CacheError(f"{source}: expected a dictionary of train, valid and test, as MMSA has it, got {got}")
    return values


def _splits(source: Path, values: Mapping[Any, Any]) -> "list[_Split]":
    return [_Split(source, name, values[name]) for name in SPLITS if isinstance(values.get(name), dict)]


@dataclass(frozen=True)
class _Split:
    """One split of a file, each of whose columns is looked at when it is read."""

    source: Path
    name: str
    values: Mapping[Any, Any]

    def error(self, column: str, expected: str, got: object) -> CacheError:
        """Return what is wrong with a column."""
        return CacheError(
            f"{self.source}, {self.name}, {column}: expected {expected}, got {got}; is the file complete?"
        )

    @functools.cached_property
    def ids(self) -> list[str]:
        """Return the names of clips as the file has them."""
        value = self.values.get("id")
        found = value.tolist() if isinstance(value, np.ndarray) else value
        if not isinstance(found, list) or {*map(type, found)} - {str}:
            raise self.error("id", "a list of texts such as video$_$clip", _kind(value))
        return found

    def clips(self, ids: str) -> list[str]:
        """Return the names of clips."""
        _expect("ids", ids, IDS)
        return [clip.replace(PARTING, "_") if ids == "house" else clip for clip in self.ids]

    def column(self, name: str) -> list[Any]:
        """Return what a column says of every clip."""
        value = self.values[name]
        found = list(value.reshape(-1)) if isinstance(value, np.ndarray) else value
        if not isinstance(found, list) or len(found) != len(self.ids):
            raise self.error(name, f"{len(self.ids)} values, one of each clip", _kind(value))
        return found

    def features(self) -> list[str]:
        """Name the features that are there."""
        there = {name: self.values.get(name) for name in FEATURES}
        return [name for name, value in there.items() if not (value is None or (isinstance(value, list) and not value))]

    def rows(self, feature: str) -> Iterator[Array]:
        """Yield the steps of every clip, with their padding."""
        value = self.values[feature]
        is_row = isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim)
        if not is_row or len(value) != len(self.ids):
            raise self.error(feature, f"{len(self.ids)} arrays, one of each clip", _kind(value))
        for row in value:
            if not isinstance(row, np.ndarray) or row.ndim != 2 or row.dtype.kind not in "biuf":
                raise self.error(feature, "steps of numbers (L, width) of each clip", _kind(row))
            yield self._tokens(row) if feature == TOKENS else row

    def _tokens(self, row: Array) -> Array:
        """Turn three rows of whole numbers, which MMSA-FET leaves as float, into steps of three."""
        with np.errstate(invalid="ignore"):  # what does not fit is found in the next line
            found = row.T.astype(np.int32)
        if len(row) != 3 or (found != row.T).any():
            raise self.error(TOKENS, "ids of tokens, mask and segment (3, L) in whole numbers", _kind(row))
        return found

    def real(self, feature: str, padding: str) -> Iterator[Array]:
        """Yield the steps of every clip that are no padding."""
        if padding == "none":
            yield from self.rows(feature)
        elif f"{feature}_lengths" in self.values:
            lengths = self._lengths(feature)
            for row, values in enumerate(self.rows(feature)):
                yield values[self._side(feature, row, values, lengths[row], padding)]
        else:
            masks = self._masks if self._are_guides(feature) else [slice(None)] * len(self.ids)
            for mask, values in zip(masks, self.rows(feature), strict=True):
                yield values[mask]

    def _are_guides(self, feature: str) -> bool:
        """Tell whether masks fit the steps; what they leave out of sounds and pictures must be zeros."""
        if not self._masks:
            return False
        pairs = zip(self._masks, self.rows(feature), strict=True)
        words = feature in ("text", TOKENS)
        return all(len(mask) == len(values) and (words or not values[~mask].any()) for mask, values in pairs)

    def _side(self, feature: str, row: int, values: Array, length: int, padding: str) -> slice:
        start = len(values) - length
        if not 0 <= length <= len(values):
            raise self.error(f"{feature}_lengths", f"a length up to {len(values)} of {self.ids[row]!r:.80}", length)
        if padding == "end" or (padding == "auto" and not values[length:].any()):
            return slice(length)
        if padding == "start" or not values[:start].any():
            return slice(start, None)
        what = f"zeros before or after the {length} steps of {self.ids[row]!r:.80}"
        raise self.error(feature, what, "other numbers; say --set padding=end, start or none")

    def _lengths(self, feature: str) -> list[int]:
        column = self.column(f"{feature}_lengths")
        if not all(_is_number(value) and float(value).is_integer() for value in column):
            raise self.error(f"{feature}_lengths", "whole numbers", "others")
        return list(map(int, column))

    @functools.cached_property
    def _masks(self) -> Sequence[Any]:
        """Return which tokens of every clip are real, where the file says so."""
        if TOKENS not in self.features():
            return []
        found = [tokens[:, 1] for tokens in self.rows(TOKENS)]
        if any(((mask != 0) & (mask != 1)).any() for mask in found):
            raise self.error(TOKENS, "a mask of 0 and 1", "other numbers")
        return [mask == 1 for mask in found]


def _kind(value: object) -> str:
    """Say what stands there, in few words whatever it holds."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {value.shape}"
    return (
        f"{len(value)} in a {type(value).__name__}" if isinstance(value, list | dict) else f"a {type(value).__name__}"
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float | np.integer | np.floating)


def _cell(value: object) -> str:
    """Write a value of a label as short as it is exact; what is no number is left blank."""
    return str(value) if isinstance(value, str) or (_is_number(value) and math.isfinite(value)) else ""


def _settings(value: object, name: str = "", depth: int = 0) -> Iterator[str]:
    """Flatten settings; every step says something, so that whoever takes a few is soon done."""
    if isinstance(value, dict) and value and depth < DEEPEST:
        for key, below in value.items():
            yield from _settings(below, f"{name}.{str(key)[:80]}" if name else str(key)[:80], depth + 1)
    elif name:
        yield f"{name}={str(value)[:80] if isinstance(value, str | int | float | None) else _kind(value)}"


def _labelled(target: Path, chosen: Chosen, ids: str) -> list[tuple[list[str], dict[str, Any]]]:
    """Return the clips of every split, and the beginning of what is written of them."""
    told = [chosen.rows.get(clip, {}) for clip in chosen.clips]
    emotional = any(row.get("emotion") for row in told) and not any(row.get("sentiment_score") for row in told)
    rows = chosen.table("split", "emotion" if emotional else "sentiment_score")
    if lost := {rows[clip]["split"] for clip in chosen.clips} - {*SPLITS.values()}:
        got = ", ".join(sorted(lost))
        raise CacheError(f"{target}: expected clips of the splits train, dev and test, got {got:.200}; mend the table")
    parts = []
    for split in SPLITS.values():
        clips = [clip for clip in chosen.clips if rows[clip]["split"] == split]
        told = [rows[clip] for clip in clips]
        part = {"id": [_their_id(clip, ids) for clip in clips], "raw_text": [row.get("text", "") for row in told]}
        parts.append((clips, part | (_emotions(told) if emotional else _scores(told))))
    return parts


def _their_id(clip: str, ids: str) -> str:
    video, _, number = clip.rpartition("_")
    return clip if ids == "file" or PARTING in clip or not (video and number) else f"{video}{PARTING}{number}"


def _scores(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    try:
        scores = np.array([float(row["sentiment_score"]) for row in rows], np.float32)
    except ValueError as error:
        raise CacheError(f"column 'sentiment_score': expected numbers, got one that is none: {error}") from None
    classes = [1 + int(sign) for sign in np.sign(scores)]
    return {
        "annotations": [SENTIMENTS[place].capitalize() for place in classes],
        "classification_labels": np.array(classes, np.int64),
        "regression_labels": scores,
    }


def _emotions(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    words = [row["emotion"] for row in rows]
    for word in words:
        if word not in EMOTIONS:
            raise CacheError(f"column 'emotion': expected one of {', '.join(EMOTIONS)}, got {word!r:.80}")
    return {"annotations": words, "classification_labels": np.array([*map(EMOTIONS.index, words)], np.int64)}


def _checked(feature: str, clip: str, values: Array) -> Array:
    if values.ndim != 2 or (feature == TOKENS and values.shape[1] != 3):
        steps = "steps of three numbers" if feature == TOKENS else "steps (t, width)"
        raise CacheError(f"{feature} of {clip!r:.80}: MMSA has {steps}, got {values.shape}; export another entry")
    return values


def _padded(feature: str, steps: Sequence[Array | None], longest: int, width: int) -> dict[str, Any]:
    block = np.zeros((len(steps), longest, width), np.int64 if feature == TOKENS else np.float32)
    lengths = [1] * len(steps)
    for row, values in enumerate(steps):
        if values is not None and len(values):
            lengths[row] = min(longest, len(values))
            with np.errstate(over="ignore"):  # looked for below
                block[row, : lengths[row]] = values[:longest]
    if not np.isfinite(block).all():
        raise CacheError(f"{feature}: expected numbers that float32 can hold, got larger ones; export another entry")
    return {feature: block.transpose(0, 2, 1)} if feature == TOKENS else {feature: block, f"{feature}_lengths": lengths}
