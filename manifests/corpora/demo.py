"""The demo corpus: 64 clips of invented people, made here in half a minute, so that everything runs without a download.

Its scores mean nothing about emotion in the world: they only show that the line from media to report works.
One public-domain portrait is moved and warped, a source-filter voice says the syllables of written sentences, and the
label follows from three made factors. Each modality carries one of them, so only fusing all three tells the emotions
apart: the words are bright or dark, the voice calm or excited, the face open or tense.

    bright + excited + tense  happy       dark + excited + tense  anger
    bright + excited + open   surprise    dark + excited + open   fear
    bright + calm + either    neutral     dark + calm + tense     sad
                                          dark + calm + open      disgust

Licence: CC0-1.0. The portrait is NASA's photograph of Eileen Collins as scikit-image carries it (`astronaut`); she has
nothing to do with what is said here.

Layout: one table, one mp4 per clip (H.264, 192 x 192 at 25 fps; AAC at 16 or 48 kHz, mono or stereo).
Eight pairs of speakers (four train, two dev, two test), two dialogues a pair; no speaker or sentence in two splits.
The three factors are balanced and independent of each other within every speaker pair and split; a clip's length is
independent of them. Neutral has twice the clips of any other emotion.

Quirks:
- Speech is not intelligible: syllables follow the spelling and repeat until the clip is full.
- Every speaker, man or woman, wears the same face in other colours.
- The files are the same bytes whenever the same library versions make them on the same machine.
"""

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from manifests import Audio, Clip, ManifestError, Video, labels
from manifests.licence import PARTS, Licence
from manifests.tree import Tree

LICENCE = Licence("CC0-1.0", shared=PARTS)
TREE = """\
ROOT/                       made when absent: .demo, or what DEMO_ROOT names
  demo.csv                  one row per clip
  demo.json                 written last; tells which recipe made the rest
  clips/demo_d00_u00.mp4    dialogue 0, turn 0"""
BIBTEX = ""
NOTE = "The demo corpus is made by this project: its scores mean nothing about emotion in the world."


def default_root() -> Path:
    """Return where the demo corpus lies unless told otherwise."""
    return Path(os.environ.get("DEMO_ROOT") or ".demo")


def make(root: Path) -> None:
    """Make the media under `root` unless this recipe already did; a killed make leaves nothing that looks complete."""
    made_by = _made_by(root)
    if made_by == recipe():
        return
    # Never replace a folder that no recipe of the demo corpus made.
    if made_by is None and root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ManifestError(
            f"{root}: expected no folder, an empty one or an older demo corpus, got something else. "
            "Name another with ROOT= or DEMO_ROOT=, or move this one away"
        )
    from manifests.corpora._demo_make import replace

    replace(root.resolve(), recipe())


def clips(tree: Tree) -> Iterator[Clip]:
    """Yield the clips of the table that `make` wrote, in its order."""
    table = tree.root / "demo.csv"
    if not table.is_file():
        raise ManifestError(f"expected {table}, got nothing. Make it: make manifest CORPUS=demo. It looks like\n{TREE}")
    with table.open(encoding="utf-8", newline="") as file:
        yield from map(_clip, csv.DictReader(file))


def recipe() -> str:
    """Return the version of the recipe: a digest of the code that makes the corpus, so no one forgets to raise it."""
    sources = sorted(Path(__file__).parent.glob("_demo_*.py"))
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _clip(row: dict[str, str]) -> Clip:
    """Turn one row of the table into a clip."""
    return Clip(
        id=row["clip_id"],
        corpus="demo",
        split=row["split"],
        split_source="made",
        dialogue_id=row["dialogue_id"],
        utt_index=int(row["utt_index"]),
        speaker_id=row["speaker_id"],
        sex="f" if row["sex"] == "f" else "m",
        language="en",
        audio=Audio(row["path"]),
        video=Video(row["path"]),
        text=row["text"],
        text_source="script",
        native={"emotion": row["emotion"], "sentiment": row["sentiment"]},
        labels={"emotion": labels.emotion(row["emotion"]), "sentiment": labels.sentiment(row["sentiment"])},
        label_kind="intended",
        licence=LICENCE.tag,
    )


def _made_by(root: Path) -> str | None:
    """Return the recipe that completed the corpus under `root`, or nothing where none did."""
    try:
        marker = json.loads((root / "demo.json").read_text(encoding="utf-8"))
        return str(marker["recipe"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
