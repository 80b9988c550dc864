"""CMU-MOSI: 2,199 labelled sentences of 93 film reviews on YouTube, each rated for sentiment by five people.

Zadeh et al. 2016, IEEE Intelligent Systems 31(6). Sentiment from -3 to 3, the mean of five raters; no emotions.
Standard folds of the SDK, by video.

Licence: labels and features are public; raw video stays inside the lab, for the privacy of those who are seen in it.

Layout: wavs and films both whole and cut into numbered segments, and a transcript of each video, `number_DELIM_WORDS`.
`Raw` may be renamed; MMSA's `video/number.mp4` is read too. Whole files are preferred. Labels are read from the first
that is there: `OpinionLevelSentiment.csv`, which has no head; the SDK's `CMU_MOSI_Opinion_Labels.csd`; MMSA's
`label.csv`. The list of folds is no part of the archive. Put the SDK's `cmu_mosi_std_folds.py` anywhere below ROOT.

Options:
- folds=FILE names a list of folds: the SDK's .py, a .json of train, valid and test with ids of videos, or a .csv with
  columns segment and split. folds=none reads all labels as one split, `all`.

Quirks:
- The .csd has times and no numbers. Segments are counted from 1 in the order in which they begin; where the transcript
  of a video does not count as many, its clips have no text, and a flag.
- Ids hold `_` and `-`, and may begin with them; the number is what stands after the last `_`.
- The whole film of c5xsKMxpXnc does not open; its segments are used where they are there.
- 89 people speak in 93 videos and no public list says who, so a video stands for its speaker.
- Words are in capitals.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from manifests import Clip, ManifestError
from manifests.corpora import _cmu, _cmu_clips, _cmu_folds
from manifests.corpora._cmu import Line, Rated
from manifests.licence import Licence
from manifests.tables import cell, in_row, number, rows_of, text_of, whole
from manifests.tree import Tree

LICENCE = Licence("CMU-MOSI, no raw video outside the lab", shared=("transcript", "labels", "features"))
TREE = """\
ROOT/                                              or one with a wrapper: CMU_MOSI/, Raw/
  Labels/OpinionLevelSentiment.csv                 or CMU_MOSI_Opinion_Labels.csd, or label.csv
  cmu_mosi_std_folds.py                            from CMU-MultimodalSDK, or say SET="folds=/path/list.json"
  Audio/WAV_16000/Full/03bSnISJMiM.wav             or Audio/WAV_16000/Segmented/03bSnISJMiM_1.wav
  Video/Full/03bSnISJMiM.mp4                       or Video/Segmented/03bSnISJMiM_1.mp4, or 03bSnISJMiM/1.mp4
  Transcript/Segmented/03bSnISJMiM.annotprocessed"""
BIBTEX = """\
@article{zadeh2016mosi, doi = {10.1109/MIS.2016.94}, year = {2016}, volume = {31}, number = {6}, pages = {82--88},
  title = {Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and Verbal Messages},
  author = {Zadeh, Amir and Zellers, Rowan and Pincus, Eli and Morency, Louis-Philippe},
  journal = {IEEE Intelligent Systems}}"""

BAD_FILM = "c5xsKMxpXnc"
_AGAINST_TEXT = "words of its neighbour, too"
# Issues 37 and 217 of CMU-MultimodalSDK.
KNOWN_BAD = {
    BAD_FILM: "its whole film does not open",
    "2WGyTLYerpo_43": _AGAINST_TEXT,
    "2WGyTLYerpo_44": "its cut goes on to the end of the video",
    "9qR7uwkblbs_32": _AGAINST_TEXT,
    "9qR7uwkblbs_33": "no words in its cut",
    "BI97DNYfe5I_18": _AGAINST_TEXT,
    "BI97DNYfe5I_20": _AGAINST_TEXT,
    "VCslbP0mgZI_1": "words of the next",
}
EXPECTED = {
    "split train": 1284,
    "split dev": 229,
    "split test": 686,
    "speakers, split train": 52,
    "speakers, split dev": 10,
    "speakers, split test": 31,
    "split train, sentiment negative": 552,
    "split train, sentiment neutral": 53,
    "split train, sentiment positive": 679,
    "split dev, sentiment negative": 92,
    "split dev, sentiment neutral": 13,
    "split dev, sentiment positive": 124,
    "split test, sentiment negative": 379,
    "split test, sentiment neutral": 30,
    "split test, sentiment positive": 277,
    **{
        f"split test, sentiment7 {step}": n
        for step, n in zip(range(-3, 4), (46, 156, 145, 106, 113, 100, 20), strict=True)
    },
}
NOTE = "MOSI: a video stands for its speaker, though 89 people speak in 93 videos."
COLUMNS = ("start", "end", "video_id", "segment_no", "label")


def clips(tree: Tree, *, folds: str = "") -> Iterator[Clip]:
    """Yield every labelled segment of the folds, whether or not its media are there."""
    found = {pattern: [path for path, _ in tree.find(pattern)] for pattern in SOURCES}
    there = [pattern for pattern in SOURCES if found[pattern]]
    if not there:
        raise ManifestError(f"no labels of MOSI under {tree.root}. Expected there:\n{TREE}")
    used, *others = (found[pattern][0] for pattern in there)
    if others:
        tree.warn(f"labels are read from {used}, not from {', '.join(others)}")
    lines = _transcripts(tree)
    rated = _cmu.joined(SOURCES[there[0]](tree, used, lines), lines, tree)
    division = _cmu_folds.folds(tree, "mosi", folds, rated, used.rpartition("/")[2])
    corpus = _cmu_clips.Corpus("mosi", LICENCE.tag, KNOWN_BAD.keys() - {BAD_FILM}, {BAD_FILM})
    yield from _cmu_clips.clips(tree, corpus, rated, division)


def _table(tree: Tree, path: str, _: object) -> Iterator[Rated]:
    """Read the table that comes without a head; some labs have given it one."""
    text, where = text_of(tree.bytes(path)), tree.root / path
    headless = not text.lower().startswith(COLUMNS[0])
    head = ",".join(COLUMNS)
    rows = rows_of(f"{head}\n{text if headless else text.partition(chr(10))[2]}", where, COLUMNS)
    for row_number, row in enumerate(rows, start=1):
        with in_row(where, row_number):
            yield Rated(
                row["video_id"].strip(),
                {"sentiment": cell(row, "label", number)},
                cell(row, "start", number),
                cell(row, "end", number),
                cell(row, "segment_no", whole),
            )


def _csd(tree: Tree, path: str, lines: Mapping[str, Sequence[Line]]) -> Iterator[Rated]:
    """Read the SDK's label file, and count the segments of each video in the order in which they begin."""
    of_video: defaultdict[str, list[Rated]] = defaultdict(list)
    for one in _cmu.from_csd(tree, path, {1: ("sentiment",)}):
        of_video[one.video].append(one)
    tree.warn(f"{path} has no numbers: segments are counted in the order in which they begin")
    numbers = {video.lower(): {line.number for line in found} for video, found in lines.items()}
    for video, rated in of_video.items():
        counted = sorted(rated, key=lambda one: (one.start_s or 0, one.end_s or 0))
        agree = numbers.get(video.lower(), set()) in (set(), set(range(1, len(counted) + 1)))
        for place, one in enumerate(counted, start=1):
            yield dataclasses.replace(one, number=place, flags=() if agree else ("label_transcript_mismatch",))


def _mmsa(tree: Tree, path: str, _: object) -> Iterator[Rated]:
    return _cmu.from_mmsa(tree, path)


SOURCES: Mapping[str, Callable[[Tree, str, Mapping[str, Sequence[Line]]], Iterable[Rated]]] = {
    r"OpinionLevelSentiment\.csv": _table,
    r"(?:CMU_MOSI_Opinion_Labels|Opinion[ _]Segment[ _]Labels)\.csd": _csd,
    r"(?:mosi_)?label\.csv": _mmsa,
}
"""Where labels may lie, in the order in which they are believed."""


def _transcripts(tree: Tree) -> dict[str, list[Line]]:
    """Read the transcripts by video, as their files are named."""
    found: dict[str, list[Line]] = {}
    for video, path in tree.index(r"([^/]+)\.annotprocessed").items():
        numbered: dict[int, Line] = {}
        for row, text in enumerate(text_of(tree.bytes(path)).split("\n"), start=1):
            parts = re.fullmatch(r"\s*(\d{1,9})_DELIM_(.*)", text.rstrip("\r"), re.ASCII | re.DOTALL)
            if parts and int(parts[1]) not in numbered:
                numbered[int(parts[1])] = Line(int(parts[1]), _cmu.words(parts[2]))
            elif text.strip():
                tree.leave_out(f"{path}, line {row}", "not number_DELIM_words, or its number stands twice")
        if len(numbered) > _cmu.MAX_LINES:
            raise ManifestError(f"{tree.root / path}: expected a transcript, got {len(numbered)} lines")
        found[video] = list(numbered.values())
    return found
