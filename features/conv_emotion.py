"""conv-emotion: pickles of dialogues with one vector for each utterance, as declare-lab/conv-emotion loads them.

Layouts, by their loaders; all but the last are one tuple or list of dictionaries by dialogue and of lists of dialogues:
- IEMOCAP_features.pkl and _raw.pkl (DialogueRNN, DialogueGCN, bc-LSTM): names of utterances, speakers (M or F), labels,
  text, audio, visual, sentences, training dialogues, test dialogues.
- MELD_features_raw.pkl: numbers of utterances, speakers (one-hot), emotions, text, audio, sentences, training
  dialogues, test dialogues, sentiments. MELD_features_raw1.pkl, which MMGCN and others use, has visual after audio.
- COSMIC's iemocap_features_roberta.pkl: speakers, labels, roberta1 to roberta4, sentences, training, test and
  validation dialogues; meld_features_roberta.pkl has sentiments after emotions. Without roberta they are COSMIC's
  iemocap.pkl and meld.pkl, which hold labels alone.
- MELD's own (text_glove_average_emotion.pkl and such): three dictionaries, of train, dev and test, of vectors by
  `dialogue_utterance`, or of (33, width) by dialogue with rows of zeros at the end. The feature is called as the file.

Emotions are counted happy, sad, neutral, angry, excited, frustrated in IEMOCAP; neutral, surprise, fear, sadness, joy,
disgust, anger in MELD, and sentiments neutral, positive, negative. Inferred, as no loader of theirs says it: MELD's
dialogues are numbered on, 0 to 1038 train, 1039 to 1152 dev, 1153 to 1432 test, and speakers in the order in which they
first speak. All 13,708 sentences, emotions and sentiments of COSMIC's meld.pkl stand so in MELD's tables, and loaders
of others for MELD_features_raw1.pkl name files so, with the numbers of utterances that the tables have.

Read: each utterance as a clip of one step, named as our IEMOCAP and MELD name it (`Ses01F_impro01_F000`,
`train_dia0_utt0`). Files without names or numbers of utterances hold them in order: in MELD the numbers that its tables
leave out are left out; in IEMOCAP, of which unrated utterances are missing, a clip is called
`Ses01F_impro01_turn3` unless `names=` says where the names stand. A pickle is read at once.
Of labels, emotions of IEMOCAP come as `label.emotion6`; the two who speak as `Ses01_F`; those of MELD by number, as
names are not in the file. Training dialogues of IEMOCAP hold those that loaders choose by at random.

Options:
- names=IEMOCAP_features.pkl, of the same folder, only for reading: whose names of utterances and order are taken.
- layout=iemocap or layout=meld, only for writing: what the loader of DialogueRNN reads; with `visual`, meld is raw1.

Written are one float32 vector of each utterance (say --how clip), zeros where there is none, and the labels of a table:
split, dialogue, turn, speaker, and for iemocap `label.emotion6` or `emotion`, for meld `emotion` and `sentiment`.
Utterances without a label of these are left out, as their loaders train on all. Dev is written as training, where
loaders choose theirs; session1 to session4 of IEMOCAP are training, session5 is test, as the authors have it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from features import conv_emotion_meld as meld
from features import unpickle
from features.conv_emotion_file import EMOTIONS, LAYOUTS, SENTIMENTS, opened, vector
from features.exchange import Chosen, Piece, whole
from features.roots import CacheError
from features.windows import Array

NEEDED = {"iemocap": ("text", "audio", "visual"), "meld": ("text", "audio")}
"""Features that the loader of a layout takes."""
PARTIES = 9
"""The most speakers of a dialogue of MELD."""
TRAINED_ON = {"train", "dev", "session1", "session2", "session3", "session4"}
TESTED_ON = {"test", "session5"}
Rows = Mapping[str, Mapping[str, str]]


def read(source: Path, *, names: str = "") -> Iterator[Piece]:
    """Yield every vector of every utterance as one step."""
    for each in opened(source, names).utterances():
        for feature, value in each.vectors.items():
            yield Piece(feature, each.clip, whole(vector(source, each.clip, value)))


def labels(source: Path, *, names: str = "") -> Iterator[dict[str, str]]:
    """Yield what the file says of every utterance."""
    yield from opened(source, names).rows()


def said(source: Path, *, names: str = "") -> dict[str, str]:
    """Return which of the layouts a file has, and how much is in it."""
    found = opened(source, names)
    dialogues = [each.dialogue for each in found.utterances()]
    return {"layout": found.layout, "dialogues": str(len({*dialogues})), "utterances": str(len(dialogues))}


def write(target: Path, chosen: Chosen, *, layout: str = "iemocap") -> None:
    """Write at once what a loader of dialogues reads; it takes memory for the features twice."""
    unpickle.expect_none(target)
    if layout not in NEEDED:
        raise CacheError(f"option 'layout': expected one of {', '.join(NEEDED)}, got {layout!r}")
    features = _features(layout, list(chosen.readers))
    rows = chosen.table("split", "dialogue", "turn", "speaker")
    dialogues = _dialogues(target, layout, rows)
    vectors = _vectors(chosen)
    fields: dict[str, Any] = {
        "ids": {key: _ids(key, clips, rows) for key, clips in dialogues.items()},
        "speakers": {key: SPEAKERS[layout](key, _column(clips, rows, "speaker")) for key, clips in dialogues.items()},
        "emotion": {key: [_emotion(layout, rows[clip]) for clip in clips] for key, clips in dialogues.items()},
        "sentences": {key: _column(clips, rows, "text") for key, clips in dialogues.items()},
        "train": [key for key, clips in dialogues.items() if rows[clips[0]]["split"] in TRAINED_ON],
        "test": [key for key, clips in dialogues.items() if rows[clips[0]]["split"] in TESTED_ON],
        "sentiment": {key: [_sentiment(rows[clip]) for clip in clips] for key, clips in dialogues.items()},
    }
    for feature in features:
        fields[feature] = {
            key: np.stack([vectors[feature][clip] for clip in clips]) for key, clips in dialogues.items()
        }
    wanted = LAYOUTS["meld with visual" if layout == "meld" and "visual" in features else layout]
    unpickle.dump(tuple(fields[name] for name in wanted), target)


def _features(layout: str, given: Sequence[str]) -> Sequence[str]:
    needed = NEEDED[layout]
    if absent := [name for name in needed if name not in given]:
        raise CacheError(f"layout={layout} needs {', '.join(absent)}: say --entries {absent[0]}=ENTRY for each of them")
    if others := [name for name in given if name not in (*needed, "visual")]:
        raise CacheError(f"layout={layout} has no place for {', '.join(others)}; it has: {', '.join(needed)}")
    return given


def _dialogues(target: Path, layout: str, rows: Rows) -> dict[str | int, list[str]]:
    """Return the clips of every dialogue that have labels, in order of their turns."""
    found: dict[str, list[str]] = {}
    for clip, row in rows.items():
        if _emotion(layout, row) >= 0 and (layout != "meld" or _sentiment(row) >= 0):
            found.setdefault(row["dialogue"], []).append(clip)
    if not found:
        raise CacheError(
            f"{target}: expected emotions of {', '.join(EMOTIONS[layout])} in a column emotion"
            f"{' or label.emotion6' if layout == 'iemocap' else ', and sentiments'}; none of {len(rows)} clips has one"
        )
    for dialogue, clips in found.items():
        splits = sorted({rows[clip]["split"] for clip in clips})
        if len(splits) > 1 or splits[0] not in TRAINED_ON | TESTED_ON:
            got = ", ".join(splits)
            raise CacheError(
                f"{target}: expected {dialogue!r:.80} in train, dev or test, got {got:.80}; mend the table"
            )
        clips.sort(key=lambda clip: _turn(clip, rows))
    return {_key(layout, dialogue, clips, rows): clips for dialogue, clips in found.items()}


def _turn(clip: str, rows: Rows) -> int:
    turn = rows[clip]["turn"]
    if not re.fullmatch(r"\d{1,9}", turn, re.ASCII):
        raise CacheError(f"column 'turn' of {clip!r:.80}: expected a whole number, got {turn!r:.80}")
    return int(turn)


def _key(layout: str, dialogue: str, clips: Sequence[str], rows: Rows) -> str | int:
    """Return MELD's number of a dialogue, where its utterances can be told by numbers alone."""
    number = meld.number_of(dialogue) if layout == "meld" else None
    plain = all(clip == f"{dialogue}_utt{_turn(clip, rows)}" for clip in clips)
    return dialogue if number is None or not plain else number


def _ids(key: str | int, clips: Sequence[str], rows: Rows) -> list[str | int]:
    return [_turn(clip, rows) for clip in clips] if isinstance(key, int) else list(clips)


def _column(clips: Sequence[str], rows: Rows, name: str) -> list[str]:
    return [rows[clip].get(name, "") for clip in clips]


def _emotion(layout: str, row: Mapping[str, str]) -> int:
    """Return the class of an emotion; -1 where the layout has none for it."""
    words = EMOTIONS[layout]
    said = (row.get("label.emotion6", ""), row.get("emotion", "")) if layout == "iemocap" else (row.get("emotion", ""),)
    return next((words.index(word) for word in said if word in words), -1)


def _sentiment(row: Mapping[str, str]) -> int:
    word = row.get("sentiment", "")
    return SENTIMENTS.index(word) if word in SENTIMENTS else -1


def _two(dialogue: str | int, speakers: Sequence[str]) -> list[str]:
    """Return M and F as names end, and where they do not end so, M for who speaks first."""
    ends = {name: name[-2:].lstrip("_").upper() for name in speakers}
    if len(ends) > 2:
        raise CacheError(f"layout=iemocap: expected two speakers of {dialogue!r:.80}, got {len(ends)}; say layout=meld")
    if not {*ends.values()} <= {"M", "F"} or len({*ends.values()}) < len(ends):
        ends = dict(zip(ends, "MF", strict=False))
    return [ends[name] for name in speakers]


def _many(_: str | int, speakers: Sequence[str]) -> list[list[int]]:
    """Return for every utterance a 1 in the place of who speaks, in the order in which they first do."""
    order = list(dict.fromkeys(speakers))
    return [[int(place == order.index(name)) for place in range(max(PARTIES, len(order)))] for name in speakers]


SPEAKERS = {"iemocap": _two, "meld": _many}


def _vectors(chosen: Chosen) -> dict[str, dict[str, Array]]:
    """Return one vector of every clip and feature, zeros where there is none."""
    found: dict[str, dict[str, Array]] = {name: {} for name in chosen.readers}
    for clip, steps in chosen.sequences():
        for feature, each in steps.items():
            if len(each.values) > 1:
                raise CacheError(
                    f"{feature} of {clip!r:.80}: expected one vector, got {len(each.values)}; say --how clip"
                )
            with np.errstate(over="ignore"):  # looked for in the next line
                values = each.values.reshape(-1).astype(np.float32)
            if not np.isfinite(values).all():
                raise CacheError(
                    f"{feature} of {clip!r:.80}: expected numbers that float32 can hold; export another entry"
                )
            if len(values):
                found[feature][clip] = values
    for of in found.values():
        blank = np.zeros_like(next(iter(of.values()), np.zeros(1, np.float32)))
        of.update({clip: blank for clip in chosen.clips if clip not in of})
    return found
