"""Two small real sets of features, laid into manifests and a cache, so that an ablation has more than one corpus.

`PYTHONPATH=. FEATURES_ROOT=… MANIFESTS_ROOT=… python tests/real_kit.py [FOLDER]` lays both, of the folder that holds
them, which by default lies beside the checkout. Their values stay as they are, but for float32.

- `ravdess_au`: 1,440 takes of RAVDESS, one vector each of audio (`mfcc_statistics`, 259) and video (`openface_au`, 35).
  Splits are the six parts into which EmoBox divides the actors: protocol `sessions`. Divided at random, faces leak.
- `ict_mmmo`: 340 reviews, up to 20 words of audio (`covarep`, 74), video (`facet`, 36) and, but for training, text
  (`glove`, 300). Official splits; the score is the rating less 3, from -2 to 2. The files have no masks, and padding
  before and behind the words: real are those from the first to the last with sound, which are also those with text.
  Where no face was found, video is zero. Pitch (column 0 of audio) ends at 255; five values of column 7 are -255.
"""

import dataclasses
import os
import shutil
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

import manifests
from features import Key, Windows, Writer, find, folder_of
from manifests import Clip, Manifest, labels
from manifests.corpora import ravdess

FOLDER = Path(__file__).parents[2] / "shared" / "data"
RAVDESS, MMMO = "ravdess-au-mfcc", "ict-mmmo-seq"
SPLITS = {"train": "train", "valid": "dev", "test": "test"}
MIDDLE = 3
"""The rating that is neither good nor bad."""
Laid = tuple[Manifest, dict[str, int]]
"""The manifest of a corpus, and of each of its entries the number of clips."""


def lay_ravdess(folder: Path) -> Laid:
    """Lay the vectors of RAVDESS."""
    with np.load(folder / RAVDESS / "ravdess_au_mfcc.npz", allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    clips = tuple(_take(str(name)) for name in found["clip"])
    words = [ravdess.EMOTIONS[f"{code + 1:02}"] for code in found["emotion"].tolist()]
    assert [clip.native["emotion"] for clip in clips] == words, "names and labels of takes do not agree"
    one = np.ones(len(clips), int)
    entries = {
        encoder: _entry(clips, encoder, "CC BY-NC-SA 4.0", found[name][:, None], one)
        for encoder, name in (("mfcc_statistics", "audio_mfcc"), ("openface_au", "video_au"))
    }
    return _manifest("ravdess_au", folder / RAVDESS, clips), entries


def _take(name: str) -> Clip:
    """Return the clip that a file's name of seven numbers tells of."""
    take = name.partition("-")[2]
    emotion, actor = take.split("-")[1], take.split("-")[-1]
    word = ravdess.EMOTIONS[emotion]
    found = {"emotion8": labels.one_hot("emotion8", labels.TASKS["emotion8"].classes[int(emotion) - 1])}
    return Clip(
        id=take,
        corpus="ravdess_au",
        split=ravdess.FOLD_OF[actor],
        split_source="EmoBox",
        speaker_id=actor,
        sex="m" if int(actor) % 2 else "f",
        language="en",
        native={"emotion": word},
        labels=found if word == "calm" else {**found, "emotion": labels.emotion(word)},
        label_kind="intended",
        licence=ravdess.LICENCE.tag,
    )


def lay_mmmo(folder: Path) -> Laid:
    """Lay the sequences of ICT-MMMO; the words of training reviews are not there."""
    clips: list[Clip] = []
    entries = dict.fromkeys(("covarep", "facet", "glove"), 0)
    for theirs, split in SPLITS.items():
        names = {"covarep": f"audio_{theirs}", "facet": f"video_{theirs}", "glove": f"text_{theirs}_emb"}
        paths = {encoder: folder / MMMO / f"{name}.h5" for encoder, name in names.items()}
        ratings = _read(folder / MMMO / f"y_{theirs}.h5")
        mine = [_review(f"{split}_{i:03}", split, rating) for i, rating in enumerate(ratings.flatten().tolist())]
        first, count = _words(_read(paths["covarep"]))
        for encoder, path in paths.items():
            if path.is_file():
                values = _in_front(_read(path), first)
                entries[encoder] += _entry(mine, encoder, "research use", values, count)
        clips += mine
    return _manifest("ict_mmmo", folder / MMMO, clips), entries


def lay_meld_halves() -> Manifest:
    """Lay MELD as if it were two corpora, one of emotions and one of sentiments, that share a fifth of their clips.

    Of the training clips two fifths keep their emotion alone and two fifths their sentiment alone, by digests of their
    ids; the features are those of MELD.
    """
    whole = manifests.read("meld")
    source = find("meld", "minilm")
    target = source.parent.parent / "meld_halves" / source.name
    if not target.exists():
        shutil.copytree(source, target, copy_function=os.link)
    return _manifest("meld_halves", whole.root, [_halved(clip) for clip in whole.clips])


def _halved(clip: Clip) -> Clip:
    fifth = zlib.crc32(clip.id.encode()) % 5
    hidden = {"emotion": fifth < 2, "sentiment": fifth in (2, 3)} if clip.split == "train" else {}
    kept = {task: label for task, label in clip.labels.items() if not hidden.get(task)}
    return dataclasses.replace(clip, corpus="meld_halves", labels=kept)


def _review(name: str, split: str, rating: float) -> Clip:
    return Clip(
        id=name,
        corpus="ict_mmmo",
        split=split,
        split_source="official",
        language="en",
        native={"rating": rating},
        labels={"sentiment_score": (rating - MIDDLE,)},
        label_kind="mean rating",
        licence="research use",
    )


def _read(path: Path) -> NDArray[np.float64]:
    with h5py.File(path) as file:
        values: NDArray[np.float64] = file["d1"][:]
    return values


def _words(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(clips) which step is the first with any number, and (clips) how many there are up to the last."""
    there = values.any(axis=2)
    first = there.argmax(axis=1)
    return first, values.shape[1] - there[:, ::-1].argmax(axis=1) - first


def _in_front(values: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bring each clip's first word to the front; what stood before it, which is zero, stands behind."""
    return np.stack([np.roll(steps, -by, axis=0) for steps, by in zip(values, first, strict=True)])


def _entry(
    clips: Sequence[Clip], encoder: str, licence: str, values: NDArray[np.float64], valid: NDArray[np.int64]
) -> int:
    """Write one part of an entry: steps (clips, t, d), of which so many are real; return how many clips it holds."""
    key = Key(encoder, 1, "clip", "float32")
    with Writer(folder_of(clips[0].corpus, key), key, {}, licence) as writer:
        for clip, steps, real in zip(clips, values, valid.tolist(), strict=True):
            # Nobody says how long a clip is.
            writer.add(clip.id, f"{encoder} {clip.id}", Windows.join([steps], [(0.0, 0.0)], [real]))
    return len(clips)


def _manifest(corpus: str, root: Path, clips: Sequence[Clip]) -> Manifest:
    manifest = Manifest(corpus, root, tuple(clips))
    manifests.write(manifest)
    return manifest


def told(laid: Laid) -> Iterator[str]:
    """Say what was laid, a line each."""
    manifest, entries = laid
    counts = Counter(clip.split for clip in manifest.clips)
    splits = ", ".join(f"{count} {split}" for split, count in sorted(counts.items()))
    yield f"{manifest.corpus}: {len(manifest.clips)} clips ({splits})"
    for encoder, count in entries.items():
        yield f"  {encoder}: {count} clips, in {folder_of(manifest.corpus, Key(encoder, 1, 'clip', 'float32'))}"


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for laid_here in (lay_ravdess(given), lay_mmmo(given)):
        sys.stdout.write("\n".join(told(laid_here)) + "\n")
