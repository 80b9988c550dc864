"""MELD: 13,708 utterances of the TV series Friends, each with its clip, its subtitle and three raters' emotion.

Poria et al. 2019, ACL. Seven emotions and three sentiments, both by majority of the raters; many speakers and
several faces in a picture; official splits, which share speakers.

Licence: GPL-3.0 on the tables; the clips are cut from a copyrighted broadcast and stay inside the lab.

Layout: one mp4 per utterance, `dia{D}_utt{U}.mp4`, numbered anew in every split, and one table per split.
The archives inside the archive unpack in place or into `train`, `dev`, `test`, and people rename folders, so a clip
belongs to the split that its nearest telling folder names, and a table may lie anywhere. Tables alone are read too:
then every clip is text alone.

Options:
- tables=dyadic reads the tables of two-party dialogues; their utterances say by `Old_` numbers which clip is theirs.

Quirks:
- StartTime and EndTime are times of the episode, not of the clip; they tell how long a clip should be, and that two
  test clips are far too long.
- Older tables hold C1 control characters where cp1252 has quotes and dashes; both generations read alike.
- Most clips have 5.1 sound with the speech in the centre channel, and laughter elsewhere.
- Train dialogue 60 does not exist, train dia125_utt3 does not decode, dev dia110_utt7 was never published.
- `final_videos_test*` are unlabelled re-cuts, which the authors say to ignore.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from manifests import Audio, Clip, ManifestError, Video, labels
from manifests.licence import Licence
from manifests.tables import cell, in_row, rows_of, whole
from manifests.tree import Tree

LICENCE = Licence("GPL-3.0 tables, copyrighted clips", shared=("transcript", "labels"))
TREE = """\
ROOT/                                           or one with a wrapper: MELD.Raw/, Raw/
  train_sent_emo.csv  dev_sent_emo.csv  test_sent_emo.csv       here, beside the clips or in data/MELD/
  train_splits/dia0_utt0.mp4                    or train/, train/train_splits/
  dev_splits_complete/dia0_utt0.mp4             or dev/, dev/dev_splits_complete/
  output_repeated_splits_test/dia0_utt0.mp4     or test/, test/output_repeated_splits_test/"""
BIBTEX = """\
@inproceedings{poria2019meld, doi = {10.18653/v1/P19-1050}, year = {2019}, pages = {527--536},
  title = {{MELD}: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations}, booktitle = {ACL},
  author = {Poria, Soujanya and Hazarika, Devamanyu and Majumder, Navonil and Naik, Gautam and Cambria, Erik and
            Mihalcea, Rada}}"""

SPLITS = ("train", "dev", "test")
NUMBERS = {"multiparty": ("Dialogue_ID", "Utterance_ID"), "dyadic": ("Old_Dialogue_ID", "Old_Utterance_ID")}
COLUMNS = "Utterance Speaker Emotion Sentiment Dialogue_ID Utterance_ID Season Episode StartTime EndTime".split()
TOO_LONG_S = 200
_AGAINST_TEXT = "words out of step with the picture"
_DISTURBED = "disturbed sound"
# Issues 9, 20, 22, 27, 39 and 52 of declare-lab/MELD.
KNOWN_BAD = {
    "train_dia125_utt3": "does not decode",
    "train_dia164_utt5": _DISTURBED,
    "train_dia241": _AGAINST_TEXT,
    "train_dia309_utt0": "41 s long, its text describes the scene",
    "train_dia338_utt3": "6 ms by the table, 2.5 s of film",
    "train_dia485_utt0": "26 s of film for a short text",
    "train_dia529_utt2": _DISTURBED,
    "train_dia682_utt1": _DISTURBED,
    "train_dia757_utt7": _AGAINST_TEXT,
    "train_dia793_utt0": _DISTURBED,
    "train_dia1008_utt1": _DISTURBED,
    "train_dia1029_utt1": _DISTURBED,
    "dev_dia74_utt7": "21 s of film for a short text",
    "dev_dia74_utt19": "28 s of film for a short text",
    "dev_dia110_utt7": "never published",
    "test_dia38_utt4": "wrong cut of 305 s",
    "test_dia88_utt4": "7 s of film, 1.5 s by the table",
    "test_dia155_utt3": "no duration by the table",
    "test_dia220_utt0": "wrong scene of 235 s",
}
EXPECTED = {
    "split train": 9989,
    "split dev": 1109,
    "split test": 2610,
    "dialogues, split train": 1038,
    "dialogues, split dev": 114,
    "dialogues, split test": 280,
    "native.emotion anger": 1607,
    "native.emotion disgust": 361,
    "native.emotion fear": 358,
    "native.emotion joy": 2308,
    "native.emotion neutral": 6436,
    "native.emotion sadness": 1002,
    "native.emotion surprise": 1636,
    "native.sentiment negative": 4184,
    "native.sentiment neutral": 6436,
    "native.sentiment positive": 3088,
}
# C1 characters and bytes that are not UTF-8 both stand for cp1252; `surrogateescape` turns byte b into 0xDC00 + b.
_CP1252 = {code: bytes([code]).decode("cp1252", "replace") for code in range(0x80, 0x100)} | {0xA0: " "}
_REPAIR = _CP1252 | {0xDC00 + code: character for code, character in _CP1252.items()}


def clips(tree: Tree, *, tables: Literal["multiparty", "dyadic"] = "multiparty") -> Iterator[Clip]:
    """Yield every utterance of the three tables, whether or not its mp4 is there."""
    media: dict[str, str] = {}
    unnamed: dict[str, str] = {}
    for path, _ in tree.find(r"dia\d+_utt\d+\.mp4"):
        media_id = _media_id(path)
        if media_id is None:
            tree.leave_out(path, "no folder tells whether it is of train, dev or test")
        elif media.setdefault(media_id, path) == path:  # of two copies, the one nearest to the root
            unnamed[media_id] = path
    for split in SPLITS:
        seen: dict[str, int] = {}
        where, rows = _rows(tree, split, tables)
        for number, row in enumerate(rows, start=1):
            with in_row(where, number):
                media_id = "{}_dia{}_utt{}".format(split, *(cell(row, column, whole) for column in NUMBERS[tables]))
                unnamed.pop(media_id, None)
                clip = _clip(split, row, media_id, media.get(media_id))
                if clip.id in seen:
                    raise ValueError(f"column 'Utterance_ID': {clip.id} already stands in row {seen[clip.id]}")
            seen[clip.id] = number
            yield clip
    for path in unnamed.values():
        tree.leave_out(path, "no table names it")


def _media_id(path: str) -> str | None:
    """Name the utterance whose clip lies at `path`, or nothing where no folder tells its split."""
    *folders, name = path.lower().split("/")
    numbers = re.findall(r"\d+", name)
    for folder in reversed(folders):
        split = set(re.split(r"[^a-z]+", folder)) & set(SPLITS)
        if len(split) == 1:
            return f"{split.pop()}_dia{int(numbers[0])}_utt{int(numbers[1])}"
    return None


def _rows(tree: Tree, split: str, tables: str) -> tuple[Path, list[dict[str, str]]]:
    """Read the table of one split; copies of it are welcome while they say the same."""
    name = f"{split}_sent_emo{'_dya' if tables == 'dyadic' else ''}.csv"
    texts = {tree.root / path: _text(tree.bytes(path)) for path, _ in tree.find(re.escape(name))}
    if not texts:
        raise ManifestError(f"no {name} under {tree.root}. Expected there:\n{TREE}")
    if len(set(texts.values())) > 1:
        raise ManifestError(f"{' and '.join(map(str, texts))} differ: keep the one that is right")
    where, text = next(iter(texts.items()))
    return where, rows_of(text, where, dict.fromkeys((*COLUMNS, *NUMBERS[tables])))


def _text(raw: bytes) -> str:
    """Read a table of either generation as the same text."""
    return raw.decode("utf-8-sig", "surrogateescape").translate(_REPAIR).replace("\r\n", "\n")


def _clip(split: str, row: Mapping[str, str], media_id: str, path: str | None) -> Clip:
    """Turn one row into a clip; every complaint names the column."""
    dialogue_id = f"{split}_dia{cell(row, 'Dialogue_ID', whole)}"
    utt_index = cell(row, "Utterance_ID", whole)
    start_s, end_s = cell(row, "StartTime", _seconds), cell(row, "EndTime", _seconds)
    flags = {
        "missing_video": path is None,
        "missing_audio": path is None,
        "known_bad": media_id in KNOWN_BAD or media_id.rpartition("_")[0] in KNOWN_BAD,
        "too_long": end_s - start_s > TOO_LONG_S,
    }
    return Clip(
        id=f"{dialogue_id}_utt{utt_index}",
        corpus="meld",
        split=split,
        split_source="official",
        dialogue_id=dialogue_id,
        utt_index=utt_index,
        speaker_id=row["Speaker"],
        language="en",
        duration_s=round(max(0.0, end_s - start_s), 3) or None,
        audio=Audio(path, channel="centre") if path else None,
        video=Video(path) if path else None,
        text=row["Utterance"],
        text_source="subtitles",
        native={
            "emotion": row["Emotion"],
            "sentiment": row["Sentiment"],
            "cut_from": f"season {row['Season']}, episode {row['Episode']}",
            "cut_start_s": start_s,
            "cut_end_s": end_s,
        },
        labels={
            "emotion": cell(row, "Emotion", labels.emotion),
            "sentiment": cell(row, "Sentiment", labels.sentiment),
        },
        label_kind="majority",
        flags=tuple(flag for flag, raised in flags.items() if raised),
        licence=LICENCE.tag,
    )


def _seconds(cell: str) -> float:
    """Read `H:MM:SS,fff`; the fraction may have two digits, so it is a decimal, not a count of milliseconds."""
    parts = re.fullmatch(r"(\d{1,3}):(\d\d):(\d\d)[,.](\d+)", cell.strip(), re.ASCII)
    if not parts:
        raise ValueError(f"expected a time like 00:16:21,731, got {cell!r}")
    return int(parts[1]) * 3600 + int(parts[2]) * 60 + float(f"{parts[3]}.{parts[4]}")
