"""CREMA-D: 7,442 clips of 91 actors who say twelve English sentences in six emotions, and what the crowd heard and saw.

Cao et al. 2014, IEEE Transactions on Affective Computing. The intended emotion is in the name; raters voted on voice
alone, face alone and both; scripted words; one face from the front in every picture.

Licence: ODbL 1.0 on the database, DbCL 1.0 on its contents.

Layout: names like `1001_IEO_ANG_HI` (actor, sentence, emotion, level) tell a clip's files, wherever they lie.
Sound is the wav, else the mp3, else that of the film; the picture is the flv, else an mp4 made of it.
`VideoDemographics.csv` tells the actors' sex and age, `summaryTable.csv` the votes; without them both are unknown.
Every clip of `summaryTable.csv` is read, whether or not its files are there.

Options:
- labels=voice, labels=face or labels=multimodal takes what most raters heard, saw, or heard and saw, in place of what
  was intended; the classes of a tie share the label. The two agree on 42, 66 and 72 % of the clips.

Quirks:
- There is no official split; EmoBox' folds share actors. Protocol group keeps every actor on one side.
- Four clips are bad in mp3 and film; of one, 1076_MTI_SAD_XX, the wav is silent, too.
- Level X of re-uploads is XX.
- The archive of the repository is stored by Git LFS: what `git lfs pull` did not bring is told, and counts as missing.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Literal

from manifests import Audio, Clip, ManifestError, Video, wav
from manifests.labels import TASKS, Vector, one_hot
from manifests.licence import PARTS, Licence
from manifests.tables import cell, in_row, number, rows_of, text_of, whole
from manifests.tree import Tree

LICENCE = Licence("ODbL 1.0, DbCL 1.0", shared=PARTS)
TREE = """\
ROOT/                                   or one with a wrapper: CREMA-D/
  AudioWAV/1001_IEO_ANG_HI.wav          the sound
  AudioMP3/1001_IEO_ANG_HI.mp3          only where a wav is missing
  VideoFlash/1001_IEO_ANG_HI.flv        the picture
  VideoDemographics.csv                 sex and age
  processedResults/summaryTable.csv     votes"""
BIBTEX = """\
@article{cao2014cremad, doi = {10.1109/TAFFC.2014.2336244}, year = {2014}, volume = {5}, number = {4},
  title = {{CREMA-D}: Crowd-Sourced Emotional Multimodal Actors Dataset}, pages = {377--390},
  journal = {IEEE Transactions on Affective Computing},
  author = {Cao, Houwei and Cooper, David G. and Keutmann, Michael K. and Gur, Ruben C. and
            Nenkova, Ani and Verma, Ragini}}"""

TOO_LONG_S = 10
SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
VOTES = {code[0]: word for code, word in EMOTIONS.items()}
RATED = {"voice": "Voice", "face": "Face", "multimodal": "MultiModal"}
NAME = re.compile(rf"(10\d\d)_({'|'.join(SENTENCES)})_({'|'.join(EMOTIONS)})_(LO|MD|HI|XX?)", re.ASCII)
SOUND, PICTURE = ("wav", "mp3", "flv", "mp4"), ("flv", "mp4")
# By the readme of the authors.
KNOWN_BAD = {
    "1064_IEO_DIS_MD": "mp3 and flv last a minute and hold every emotion",
    "1064_TIE_SAD_XX": "mp3 and flv have no duration",
    "1076_MTI_NEU_XX": "mp3 and flv are empty, the wav is fine",
    "1076_MTI_SAD_XX": "no signal in wav, mp3 and flv",
}
EXPECTED = {
    "clips": 7442,
    "speakers": 91,
    "sex m": 3930,
    "sex f": 3512,
    **{f"native.emotion {code}": 1087 if code == "NEU" else 1271 for code in EMOTIONS},
    **{f"native.level {code}": count for code, count in {"XX": 6077, "LO": 455, "MD": 455, "HI": 455}.items()},
}


def clips(tree: Tree, *, labels: Literal["intended", "voice", "face", "multimodal"] = "intended") -> Iterator[Clip]:
    """Yield every clip that has a file or votes."""
    media: dict[str, dict[str, str]] = defaultdict(dict)
    for path, match in tree.find(r"([^/]+)\.(wav|mp3|flv|mp4)"):
        try:
            media[_clip_id(match[1])].setdefault(match[2].lower(), path)
        except ValueError as error:
            tree.leave_out(path, str(error))
    votes, actors = _votes(tree), _actors(tree)
    if labels != "intended" and not votes:
        raise ManifestError(f"labels={labels}: no summaryTable.csv under {tree.root}. Expected there:\n{TREE}")
    for clip_id in sorted(media.keys() | votes.keys()):
        if labels != "intended" and clip_id not in votes:
            tree.leave_out(clip_id, "no row of summaryTable.csv has votes on it")
        else:
            yield _clip(tree, clip_id, media.get(clip_id, {}), votes.get(clip_id, {}), actors, labels)


def _clip_id(name: str) -> str:
    """Return a clip's name as the tables have it."""
    match = NAME.fullmatch(name.strip().upper())
    if not match:
        raise ValueError(f"expected a name like 1001_IEO_ANG_HI, got {name!r}")
    actor, sentence, emotion, level = match.groups()
    return f"{actor}_{sentence}_{emotion}_{'XX' if level == 'X' else level}"


def _votes(tree: Tree) -> dict[str, dict[str, str]]:
    """Read what raters said of each clip: the letters that most chose, and how strong it was to them."""
    found: dict[str, dict[str, str]] = {}
    columns = {f"{ours}_{what}".lower(): theirs + what for ours, theirs in RATED.items() for what in ("Vote", "Level")}
    for where, row_number, row in _rows(tree, "summaryTable.csv", ("FileName", *columns.values())):
        with in_row(where, row_number):
            clip_id = cell(row, "FileName", _clip_id)
            if clip_id in found:
                raise ValueError(f"column 'FileName': {clip_id} stands in an earlier row, too")
            for column in RATED.values():
                cell(row, f"{column}Vote", _tied)
                cell(row, f"{column}Level", lambda text: [number(level) for level in text.split(":")])
            found[clip_id] = {ours: row[theirs].strip() for ours, theirs in columns.items()}
    return found


def _actors(tree: Tree) -> dict[str, tuple[Literal["f", "m"], int]]:
    """Read the sex and age of each actor."""
    found: dict[str, tuple[Literal["f", "m"], int]] = {}
    for where, row_number, row in _rows(tree, "VideoDemographics.csv", ("ActorID", "Age", "Sex")):
        with in_row(where, row_number):
            actor = str(cell(row, "ActorID", whole))
            if actor in found:
                raise ValueError(f"column 'ActorID': {actor} stands in an earlier row, too")
            found[actor] = (cell(row, "Sex", _sex), cell(row, "Age", whole))
    return found


def _rows(tree: Tree, name: str, columns: tuple[str, ...]) -> Iterator[tuple[Path, int, dict[str, str]]]:
    """Yield the numbered rows of the table nearest to the root, where there is one."""
    for path, _ in islice(tree.find(re.escape(name)), 1):
        where = tree.root / path
        for row_number, row in enumerate(rows_of(text_of(tree.bytes(path)), where, columns), start=1):
            yield where, row_number, row


def _tied(text: str) -> Vector:
    """Share a label among the classes that got the most votes."""
    letters = text.strip().split(":")
    if len(set(letters)) < len(letters) or not VOTES.keys() >= set(letters):
        raise ValueError(f"expected some of {', '.join(VOTES)} joined by ':', got {text!r}")
    tied = [VOTES[letter] for letter in letters]
    return tuple((name in tied) / len(tied) for name in TASKS["emotion"].classes)


def _sex(word: str) -> Literal["f", "m"]:
    if word.strip().lower() not in ("female", "male"):
        raise ValueError(f"expected Female or Male, got {word!r}")
    return "f" if word.strip().lower() == "female" else "m"


def _clip(
    tree: Tree,
    clip_id: str,
    files: Mapping[str, str],
    votes: Mapping[str, str],
    actors: Mapping[str, tuple[Literal["f", "m"], int]],
    rated: str,
) -> Clip:
    """Join the files of one clip, by suffix, with its name, its votes and its actor."""
    actor, sentence, emotion, level = clip_id.split("_")
    sound, picture = (next((files[suffix] for suffix in kinds if suffix in files), None) for kinds in (SOUND, PICTURE))
    sex, age = actors.get(actor, (None, None))
    flags = {
        "missing_video": picture is None,
        "missing_audio": sound is None,
        "known_bad": clip_id in KNOWN_BAD,
    }
    return Clip(
        id=clip_id,
        corpus="cremad",
        split="all",
        split_source="none",
        speaker_id=actor,
        sex=sex,
        language="en",
        duration_s=wav.seconds(tree.root / sound) if sound else None,
        audio=Audio(sound) if sound else None,
        video=Video(picture) if picture else None,
        text=SENTENCES[sentence],
        text_source="script",
        native={
            "emotion": emotion,
            "level": level,
            "sentence": sentence,
            **({} if age is None else {"age": age}),
            **votes,
        },
        labels={
            "emotion": one_hot("emotion", EMOTIONS[emotion]) if rated == "intended" else _tied(votes[f"{rated}_vote"])
        },
        label_kind="intended" if rated == "intended" else "majority",
        flags=tuple(flag for flag, raised in flags.items() if raised),
        licence=LICENCE.tag,
    )
