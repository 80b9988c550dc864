"""A small corpus with a cache, made without media: three modalities, each of which knows only part of the label."""

from pathlib import Path

import numpy as np

import manifests
from features import Key, Windows, Writer, folder_of
from fuse import recipe
from manifests import Clip, Manifest, labels

EMOTIONS = ("neutral", "happy", "sad", "anger")
SHAPES = {"audio": ("mfcc", 5, 4), "video": ("face_hog", 3, 6), "text": ("minilm", 4, 8)}
QUICK = ("train.epochs=4", "train.batch=8", "train.lr=1e-2", "seeds=1", "encoders.audio=mfcc")


def clips(train=24, dev=8, test=8):
    """Clips of the corpus demo, in dialogues of four, every class in every split."""
    made = []
    for split, count in (("train", train), ("dev", dev), ("test", test)):
        for i in range(count):
            word = EMOTIONS[i % len(EMOTIONS)]
            mood = {"neutral": "neutral", "happy": "positive"}.get(word, "negative")
            made.append(
                Clip(
                    id=f"{split}_{i}",
                    corpus="demo",
                    split=split,
                    dialogue_id=f"{split}_d{i // 4}",
                    utt_index=i % 4,
                    text="words",
                    labels={"emotion": labels.emotion(word), "sentiment": labels.sentiment(mood)},
                    label_kind="intended",
                )
            )
    return tuple(made)


def store(clip_list, missing=lambda modality, clip: False, windows=2, weights=None):
    """Write a manifest and one entry per modality; the features of a clip follow from its id and label.

    `weights` says by modality which an entry was computed with, `random:0` for instance.
    """
    manifests.write(Manifest("demo", Path("nowhere"), tuple(clip_list)))
    for number, (modality, (encoder, t, d)) in enumerate(SHAPES.items()):
        key = Key(
            encoder, 1, "clip" if modality == "text" else "windows(3,2,2)", "float32", (weights or {}).get(modality, "")
        )
        with Writer(folder_of("demo", key), key, {}, "MIT") as writer:
            for i, clip in enumerate(clip_list):
                if not missing(modality, clip):
                    n = 1 if modality == "text" else windows
                    writer.add(clip.id, f"{i}", _windows(clip, number, n, t, d))


def _windows(clip, number, n, t, d):
    rng = np.random.default_rng([number, *clip.id.encode()])
    emotion = int(np.argmax(clip.labels["emotion"])) if "emotion" in clip.labels else 0
    values = 0.1 * rng.standard_normal((n, t, d)).astype(np.float32)
    values[..., number % d] += (emotion >> number % 2) & 1
    spans = [(2.0 * i, 2.0 * i + 3) for i in range(n)]
    return Windows.join(list(values), spans, [t] * n)


def load_recipe(name="concat", *settings):
    """The default recipe, cut down to seconds."""
    return recipe.load(name, [*QUICK, *settings], corpus="demo")
