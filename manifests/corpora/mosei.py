"""CMU-MOSEI: 23,259 labelled sentences of 3,293 YouTube monologues, rated for sentiment and for six emotions.

Zadeh et al. 2018, ACL. Sentiment from -3 to 3 and each emotion from 0 to 3, means of three raters or more; several
emotions may be there at once, or none. Standard folds of the SDK, by video.

Licence: labels and features are public; raw video stays inside the lab, for the privacy of those who are seen in it.

Layout: whole wavs and films, named by video, and a label file that is fetched apart. `Raw` may be renamed, and the
folders below Audio, Videos and Transcript may lack `Full`, `WAV_16000` or `Combined`; MMSA's `video/number.mp4` is read
too. Whole files are preferred, as many of the `Segmented` are broken. Labels are read from the first that is there: a
.csd of the SDK; MMSA's `label.csv` (sentiment alone); a lab's tables `Data_Train_modified.csv`, `Data_Val_modified.csv`
and `Data_Test_original.csv`; the exports of Mechanical Turk in `Labels`, averaged here over raters.
The list of folds is no part of the archive. Put the SDK's `cmu_mosei_std_folds.py` anywhere below ROOT.

Options:
- folds=FILE names a list of folds: the SDK's .py, a .json of train, valid and test with ids of videos, or a .csv with
  columns segment and split, such as that of MME2E. folds=none reads all labels as one split, `all`.
- variant=processed22856 has the segments of the processed set that most papers since 2019 use: nine fewer of four
  videos, and four of a fifth that is in no fold. variant=sdk, the default, has all 22,860 of the folds.

Quirks:
- The order of segments in a .csd is not that of time, and its places are not the numbers of the transcript. A label
  belongs to the line that begins and ends with it to a millisecond, or else to the nearest that begins within 0.5 s.
- A label without a line of a transcript is named by its beginning: `81406_at12340ms`.
- 239 segments begin before the video does; they begin at 0 here, and native start_s says what the label file has.
- Neighbours overlap by up to 1.5 s. Clips last from 0.12 s to 109.4 s.
- Where nobody saw any of six emotions the clip is neutral; the argmax of nothing but zeros would be happy.
- Labels outside the folds, 399, are left out by name.
- Some transcripts hold Python bytes or numbers in place of words; those clips have no text.
- Who speaks is not known, so a video stands for its speaker.
- A long video without Segmented clips (native segmented_clip none) may be out of step with its transcript.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from manifests import Clip, ManifestError
from manifests.corpora import _cmu, _cmu_clips, _cmu_folds
from manifests.corpora._cmu import EMOTIONS, Line, Rated
from manifests.licence import Licence
from manifests.tables import cell, in_row, number, rows_of, text_of, whole
from manifests.tree import Tree

LICENCE = Licence("CMU-MOSEI, no raw video outside the lab", shared=("transcript", "labels", "features"))
TREE = """\
ROOT/                                              or one with a wrapper: CMU_MOSEI/
  CMU_MOSEI_Labels.csd                             or CMU_MOSEI_All_Labels.csd, or label.csv, or a lab's tables
  cmu_mosei_std_folds.py                           from CMU-MultimodalSDK, or say SET="folds=/path/list.json"
  Raw/Audio/Full/WAV_16000/03bSnISJMiM.wav         or Audio/WAV_16000/
  Raw/Videos/Full/Combined/03bSnISJMiM.mp4         or Video/Combined/
  Raw/Videos/Segmented/Combined/03bSnISJMiM_0.mp4  where whole films are missing; or Raw/03bSnISJMiM/0.mp4
  Raw/Transcript/Segmented/Combined/03bSnISJMiM.txt"""
BIBTEX = """\
@inproceedings{zadeh2018mosei, doi = {10.18653/v1/P18-1208}, year = {2018}, pages = {2236--2246}, booktitle = {ACL},
  title = {Multimodal Language Analysis in the Wild: {CMU-MOSEI} Dataset and Interpretable Dynamic Fusion Graph},
  author = {Bagher Zadeh, AmirAli and Liang, Paul Pu and Poria, Soujanya and Cambria, Erik and
            Morency, Louis-Philippe}}"""

TOO_LONG_S = 110
# Issues 227 and 278 of CMU-MultimodalSDK.
KNOWN_BAD = {
    "hh04W3xXa5s": "mislabelled",
    "ZZzdvUdOTww": "times out of step with the video",
}
EXPECTED = {
    "split train": 16327,
    "split dev": 1871,
    "split test": 4662,
    "speakers, split train": 2249,
    "speakers, split dev": 300,
    "speakers, split test": 676,
    "split train, sentiment negative": 4739,
    "split train, sentiment neutral": 3538,
    "split train, sentiment positive": 8050,
    "split dev, sentiment negative": 506,
    "split dev, sentiment neutral": 433,
    "split dev, sentiment positive": 932,
    "split test, sentiment negative": 1350,
    "split test, sentiment neutral": 1025,
    "split test, sentiment positive": 2287,
}
NOTE = (
    "MOSEI: a video stands for its speaker; papers count seven sentiments in two ways (sentiment7 rounds, "
    "sentiment7_bins goes away from zero), and two with or without the neutral (sentiment2_has0, sentiment2)."
)
DOCUMENTED = {7: ("sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear"), 1: ("sentiment",)}
PROCESSED: Mapping[str, tuple[str, frozenset[int]]] = {
    "HuIKyKkEL0Q": ("train", frozenset()),
    "JGEEA_JVriE": ("train", frozenset({0})),
    "zsRTbbKlsEg": ("train", frozenset({6})),
    "aa0J1AXSseY": ("test", frozenset({0, 1, 2, 3})),
    "-NFrJFQijFE": ("train", frozenset({0, 1, 2, 8})),
}
"""Where the processed set of 22,856 differs from the folds: the split of a video, and the numbers that it keeps."""
_LINE = re.compile(r"([\w-]+?)___(\d{1,9})___([^_]+)___([^_]+)___(.*)", re.ASCII | re.DOTALL)
_LAB_TABLE = r"Data_(Train|Val|Valid|Dev|Test)_\w+\.csv"


def clips(tree: Tree, *, folds: str = "", variant: Literal["sdk", "processed22856"] = "sdk") -> Iterator[Clip]:
    """Yield every labelled segment of the folds, whether or not its media are there."""
    source, said = _labels(tree)
    rated = _cmu.joined(said, _transcripts(tree), tree)
    division = _cmu_folds.folds(tree, "mosei", folds, rated, source)
    if variant == "processed22856" and division.where:
        division = _processed(division)
    yield from _cmu_clips.clips(tree, _cmu_clips.Corpus("mosei", LICENCE.tag, KNOWN_BAD.keys()), rated, division)


def _processed(division: _cmu_folds.Folds) -> _cmu_folds.Folds:
    """Divide as the processed set does; it knows the segments of five videos by their numbers."""
    kept = {f"{video}_{number}": split for video, (split, numbers) in PROCESSED.items() for number in numbers}
    return dataclasses.replace(
        division,
        where=f"{division.where}, processed22856",
        videos={video: split for video, split in division.videos.items() if video not in PROCESSED},
        clips={id_: split for id_, split in division.clips.items() if id_.rpartition("_")[0] not in PROCESSED} | kept,
    )


def _labels(tree: Tree) -> tuple[str, list[Rated]]:
    """Read the first of the label sources that is there, and name it."""
    found = {pattern: [path for path, _ in tree.find(pattern)] for pattern in SOURCES}
    there = [pattern for pattern in SOURCES if found[pattern]]
    if not there:
        raise ManifestError(f"no labels of MOSEI under {tree.root}. Expected there:\n{TREE}")
    used, *others = there
    if unread := [found[pattern][0] for pattern in others if pattern != _MTURK]:
        tree.warn(f"labels are read from {found[used][0]}, not from {', '.join(unread)}")
    return found[used][0].rpartition("/")[2], list(SOURCES[used](tree, found[used]))


def _csd(tree: Tree, paths: Sequence[str]) -> Iterator[Rated]:
    return _cmu.from_csd(tree, paths[0], DOCUMENTED)


def _pair(tree: Tree, paths: Sequence[str]) -> Iterator[Rated]:
    """Read the older pair of label files: emotions in one, sentiment in the other, of the same spans."""
    merged: dict[tuple[str, float | None, float | None], Rated] = {}
    for half in ("emotions", "sentiment"):
        for path in [path for path in paths if half in path.rpartition("/")[2].lower()][:1]:
            for one in _cmu.from_csd(tree, path, DOCUMENTED):
                span = (one.video, round(one.start_s or 0, 3), round(one.end_s or 0, 3))
                there = merged.get(span, one)
                merged[span] = dataclasses.replace(there, scores={**there.scores, **one.scores})
    yield from merged.values()


def _mmsa(tree: Tree, paths: Sequence[str]) -> Iterator[Rated]:
    tree.warn(f"{paths[0]} has no emotions: sentiment alone is read")
    return _cmu.from_mmsa(tree, paths[0])


def _lab_tables(tree: Tree, paths: Sequence[str]) -> Iterator[Rated]:
    """Read one table of each split; of several the nearest to the root."""
    seen: set[str] = set()
    for path in paths:
        split = _cmu.split_named(path.rpartition("/")[2].split("_")[1])
        if split in seen:
            tree.warn(f"{path} is not read: another table of {split} lies nearer")
            continue
        seen.add(split)
        where = tree.root / path
        rows = rows_of(text_of(tree.bytes(path)), where, ("video", "start_time", "end_time", "sentiment", "text"))
        named = {column: name for column in (rows[0] if rows else ()) if (name := _cmu.dimension(column or ""))}
        for row_number, row in enumerate(rows, start=1):
            with in_row(where, row_number):
                yield Rated(
                    row["video"],
                    {name: cell(row, column, number) for column, name in named.items()},
                    cell(row, "start_time", number),
                    cell(row, "end_time", number),
                    text=_cmu.words(row["text"]),
                    split=split,
                )


def _mturk(tree: Tree, paths: Sequence[str]) -> Iterator[Rated]:
    """Average what raters said of each clip; who rated it in two exports is counted once."""
    answers = {name: f"Answer.{word}" for name, word in zip(("sentiment", *EMOTIONS), _ANSWERS, strict=True)}
    said: defaultdict[tuple[str, int], dict[str, dict[str, float]]] = defaultdict(dict)
    for path in paths:
        text, where = text_of(tree.bytes(path)), tree.root / path
        if "Input.VIDEO_ID" not in text.partition("\n")[0]:
            tree.leave_out(path, "not an export of Mechanical Turk")
            continue
        for row_number, row in enumerate(rows_of(text, where, ("Input.VIDEO_ID", "Input.CLIP", *answers.values())), 1):
            if not all(row[column].strip() for column in answers.values()):
                tree.leave_out(f"{path}, row {row_number}", "a rater did not answer")
                continue
            with in_row(where, row_number):
                video, clip = row["Input.VIDEO_ID"].rpartition("/")[2], cell(row, "Input.CLIP", whole)
                scores = {name: cell(row, column, number) for name, column in answers.items()}
                Rated(video, scores)  # a complaint names this row, not the mean that it would go into
                said[video, clip].setdefault(row.get("WorkerId") or f"{path} {row_number}", scores)
    tree.warn("labels are means of the exports of Mechanical Turk; papers use CMU_MOSEI_Labels.csd")
    for (video, clip), raters in said.items():
        means = {name: sum(one[name] for one in raters.values()) / len(raters) for name in answers}
        yield Rated(video, {name: round(mean, 6) for name, mean in means.items()}, number=clip)


_ANSWERS = ("sentiment", "happiness", "sadness", "anger", "surprise", "disgust", "fear")
_MTURK = r"Labels/(?!Data_|label\.csv)[^/]+\.csv"
SOURCES: Mapping[str, Callable[[Tree, Sequence[str]], Iterator[Rated]]] = {
    r"(?:CMU_MOSEI_)?(?:All[_ ])?Labels\.csd": _csd,
    r"CMU_MOSEI_Labels(?:Emotions|Sentiment)\.csd": _pair,
    r"(?:mosei_)?label\.csv": _mmsa,
    _LAB_TABLE: _lab_tables,
    _MTURK: _mturk,
}
"""Where labels may lie, in the order in which they are believed."""


def _transcripts(tree: Tree) -> dict[str, list[Line]]:
    """Read the transcripts by video; a file that is broken is told, and what of it can be read is kept."""
    found: dict[str, list[Line]] = {}
    for stem, path in tree.index(r"Transcripts?(?:/Segmented)?(?:/Combined)?/([^/]+)\.txt").items():
        numbered: dict[int, Line] = {}
        broken = 0
        video = stem
        for line in text_of(tree.bytes(path)).split("\n"):
            if not line.strip():
                continue
            try:
                video, read = _line(line.rstrip("\r"), stem)
            except ValueError:
                broken += 1
                continue
            if numbered.setdefault(read.number, read) != read:
                tree.leave_out(f"{path}, another line {read.number}", "its number stands twice, the first is used")
        if len(numbered) > _cmu.MAX_LINES:
            raise ManifestError(f"{tree.root / path}: expected a transcript, got {len(numbered)} lines")
        if broken:
            tree.leave_out(f"{path}, {broken} lines", "not video___number___start___end___words")
        lines = list(numbered.values())
        if not any(line.text and re.search(r"[^\W\d_]", line.text) for line in lines):
            lines = [dataclasses.replace(line, text=None) for line in lines]
        if wordless := sum(line.text is None for line in lines):
            tree.warn(f"{path} is broken: {wordless} of its {len(lines)} lines hold no words; those clips have no text")
        found[video] = lines
    return found


def _line(text: str, stem: str) -> tuple[str, Line]:
    """Read one line; the video's id may hold a single or a double separator of its own, the words any."""
    parts = _LINE.fullmatch(text)
    if not parts or parts[1].lower() != stem.lower():
        raise ValueError(f"expected a line of {stem}")
    start_s, end_s = number(parts[3]), number(parts[4])
    if max(abs(start_s), abs(end_s)) >= _cmu.DAY_S:
        raise ValueError(f"expected seconds in a video, got {start_s} and {end_s}")
    return parts[1], Line(whole(parts[2]), _cmu.words(parts[5]), start_s, end_s)
