"""MELD: 13,708 utterances of the TV series Friends, each with its clip, its subtitle and three raters' emotion.

Poria et al. 2019, ACL. Seven emotions and three sentiments, both by majority of the raters; many speakers and
several faces in a picture; official splits, which share speakers.

Licence: GPL-3.0 on the tables; the clips are cut from a copyrighted broadcast and stay inside the lab.

Layout: one mp4 per utterance, `dia{D}_utt{U}.mp4`, numbered anew in every split, and one table per split.
The archives inside the archive unpack in place or into `train`, `dev`, `test`, and people rename folders, so a clip
belongs to the split that its nearest telling folder names, and a table may lie anywhere. Tables alone are read too:
then every clip is text alone.

Quirks:
- StartTime and EndTime are times of the episode, not of the clip; they tell only that two test clips are far too long.
- Older tables hold C1 control characters where cp1252 has quotes and dashes; both generations read alike.
- Most clips have 5.1 sound with the speech in the centre channel, and laughter elsewhere.
- Train dialogue 60 does not exist, train dia125_utt3 does not decode, dev dia110_utt7 was never published.
- `final_videos_test*` are unlabelled re-cuts, which the authors say to ignore.
"""

import csv
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from manifests import Audio, Clip, ManifestError, Video, labels

T = TypeVar("T")

LICENCE = "GPL-3.0 tables, copyrighted clips: lab only"
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
COLUMNS = "Utterance Speaker Emotion Sentiment Dialogue_ID Utterance_ID StartTime EndTime".split()
TOO_LONG_S = 200
DEEPEST = 5  # folders below the root; the deepest habit seen is MELD-RAW/MELD.Raw/train/train_splits/
# Wrong cuts, disturbed sound or words out of step with the picture: issues 9, 20, 39 and 52 of declare-lab/MELD.
KNOWN_BAD = frozenset(
    "train_dia125_utt3 train_dia164_utt5 train_dia241 train_dia309_utt0 train_dia338_utt3 train_dia485_utt0 "
    "train_dia529_utt2 train_dia682_utt1 train_dia757_utt7 train_dia793_utt0 train_dia1008_utt1 train_dia1029_utt1 "
    "dev_dia74_utt7 dev_dia74_utt19 test_dia38_utt4 test_dia88_utt4 test_dia155_utt3 test_dia220_utt0".split()
)
# C1 characters and bytes that are not UTF-8 both stand for cp1252; `surrogateescape` turns byte b into 0xDC00 + b.
_CP1252 = {code: bytes([code]).decode("cp1252", "replace") for code in range(0x80, 0x100)} | {0xA0: " "}
_REPAIR = _CP1252 | {0xDC00 + code: character for code, character in _CP1252.items()}


def clips(root: Path) -> Iterator[Clip]:
    """Yield every utterance of the three tables, whether or not its mp4 is there."""
    files = _files(root)
    media = {_clip_id(path): path.as_posix() for path in reversed(files)}  # of two copies, the one nearest to the root
    for split in SPLITS:
        row_of: dict[str, int] = {}
        where, rows = _rows(root, files, split)
        for number, row in enumerate(rows, start=1):
            try:
                clip = _clip(split, row, media)
                if clip.id in row_of:
                    raise ValueError(f"column 'Utterance_ID': {clip.id} already stands in row {row_of[clip.id]}")
            except ValueError as error:
                raise ManifestError(f"{where}, row {number}, {error}") from None
            row_of[clip.id] = number
            yield clip


def strays(root: Path) -> list[str]:
    """List the mp4 files that no table names."""
    named = {clip.id for clip in clips(root)}
    return [path.as_posix() for path in _files(root) if path.suffix.lower() == ".mp4" and _clip_id(path) not in named]


def _files(root: Path) -> list[Path]:
    """List clips and tables under `root`, nearest first."""
    wanted = re.compile(r"dia\d+_utt\d+\.mp4|(train|dev|test)_sent_emo\.csv", re.IGNORECASE | re.ASCII)
    found: list[Path] = []
    for folder, subfolders, names in os.walk(root, followlinks=True):
        here = Path(folder).relative_to(root)
        if len(here.parts) == DEEPEST:
            subfolders.clear()
        found += [here / name for name in names if wanted.fullmatch(name) and _arrived(Path(folder, name))]
    return sorted(found, key=lambda path: (len(path.parts), path))


def _arrived(path: Path) -> bool:
    """Tell a file from a broken link, an empty file and the pointer that Git LFS leaves for one not downloaded."""
    size_bytes = path.stat().st_size if path.is_file() else 0
    return size_bytes >= 200 or (size_bytes > 0 and not path.read_bytes().startswith(b"version https://git-lfs"))


def _clip_id(path: Path) -> str | None:
    """Name the clip that lies at `path`, or nothing where no folder tells its split."""
    numbers = re.fullmatch(r"dia(\d+)_utt(\d+)", path.stem.lower())
    for folder in reversed(path.parent.parts):
        split = set(re.split(r"[^a-z]+", folder.lower())) & set(SPLITS)
        if numbers and len(split) == 1:
            return f"{split.pop()}_dia{int(numbers[1])}_utt{int(numbers[2])}"
    return None


def _rows(root: Path, files: list[Path], split: str) -> tuple[Path, list[dict[str, str]]]:
    """Read the table of one split; copies of it are welcome while they say the same."""
    name = f"{split}_sent_emo.csv"
    texts = {root / path: _text(root / path) for path in files if path.name.lower() == name}
    if not texts:
        raise ManifestError(f"no {name} under {root}. Expected there:\n{TREE}")
    if len(set(texts.values())) > 1:
        raise ManifestError(f"{' and '.join(map(str, texts))} differ: keep the one that is right")
    where, text = next(iter(texts.items()))
    table = csv.DictReader(io.StringIO(text), restval="", strict=True)
    try:
        missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
        if missing:
            raise ManifestError(f"{where}: expected columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
        return where, list(table)
    except csv.Error as error:
        raise ManifestError(f"{where}, line {table.line_num}: {error}; is the file complete?") from None


def _text(path: Path) -> str:
    """Read a table of either generation as the same text."""
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape").translate(_REPAIR)
    return text.replace("\r\n", "\n")


def _clip(split: str, row: Mapping[str, str], media: Mapping[str | None, str]) -> Clip:
    """Turn one row into a clip; every complaint names the column."""
    dialogue_id = f"{split}_dia{_cell(row, 'Dialogue_ID', _index)}"
    utt_index = _cell(row, "Utterance_ID", _index)
    clip_id = f"{dialogue_id}_utt{utt_index}"
    duration_s = _cell(row, "EndTime", _seconds) - _cell(row, "StartTime", _seconds)
    path = media.get(clip_id)
    flags = {
        "missing_video": path is None,
        "missing_audio": path is None,
        "known_bad": bool(KNOWN_BAD & {dialogue_id, clip_id}),
        "too_long": duration_s > TOO_LONG_S,
    }
    return Clip(
        id=clip_id,
        corpus="meld",
        split=split,
        split_source="official",
        dialogue_id=dialogue_id,
        utt_index=utt_index,
        speaker_id=row["Speaker"],
        language="en",
        audio=Audio(path, channel="centre") if path else None,
        video=Video(path) if path else None,
        text=row["Utterance"],
        text_source="subtitles",
        native={"emotion": row["Emotion"], "sentiment": row["Sentiment"]},
        labels={
            "emotion": _cell(row, "Emotion", labels.emotion),
            "sentiment": _cell(row, "Sentiment", labels.sentiment),
        },
        label_kind="majority",
        flags=tuple(flag for flag, raised in flags.items() if raised),
        licence=LICENCE,
    )


def _cell(row: Mapping[str, str], column: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(row[column])
    except ValueError as error:
        raise ValueError(f"column {column!r}: {error}") from None


def _index(cell: str) -> int:
    if not re.fullmatch(r"\d{1,6}", cell, re.ASCII):
        raise ValueError(f"expected a whole number from 0, got {cell!r}")
    return int(cell)


def _seconds(cell: str) -> float:
    """Read `H:MM:SS,fff`; the fraction may have two digits, so it is a decimal, not a count of milliseconds."""
    parts = re.fullmatch(r"(\d+):(\d\d):(\d\d)[,.](\d+)", cell.strip(), re.ASCII)
    if not parts:
        raise ValueError(f"expected a time like 00:16:21,731, got {cell!r}")
    return int(parts[1]) * 3600 + int(parts[2]) * 60 + float(f"{parts[3]}.{parts[4]}")
