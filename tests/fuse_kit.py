"""A small corpus with a cache, made without media: three modalities, each of which knows only part of the label."""

import os
from pathlib import Path

import numpy as np

import manifests
from features import Key, Windows, Writer, folder_of
from fuse import data, protocol, recipe
from fuse.train import Seed
from manifests import Clip, Manifest, labels

EMOTIONS = ("neutral", "happy", "sad", "anger")
SCORES = {"neutral": 0.0, "happy": 1.6, "sad": -0.8, "anger": -2.2}
SHAPES = {"audio": ("mfcc", 5, 4), "video": ("face_hog", 3, 6), "text": ("minilm", 4, 8)}
QUICK = ("train.epochs=4", "train.batch=8", "train.lr=1e-2", "seeds=1", "encoders.audio=mfcc")


def clips(train=24, dev=8, test=8, corpus="demo"):
    """Clips of one corpus, in dialogues of four, each with a speaker of its own; every class in every split."""
    made = []
    for split, count in (("train", train), ("dev", dev), ("test", test)):
        for i in range(count):
            word = EMOTIONS[i % len(EMOTIONS)]
            mood = {"neutral": "neutral", "happy": "positive"}.get(word, "negative")
            told = {"emotion": labels.emotion(word), "sentiment": labels.sentiment(mood)}
            made.append(
                Clip(
                    id=f"{split}_{i}",
                    corpus=corpus,
                    split=split,
                    dialogue_id=f"{split}_d{i // 4}",
                    utt_index=i % 4,
                    speaker_id=f"{split}_s{i // 4}",
                    text="words",
                    labels={**told, "sentiment_score": (SCORES[word],)},
                    label_kind="intended",
                )
            )
    return tuple(made)


def store(clip_list, missing=lambda modality, clip: False, windows=2, weights=None):
    """Write the manifest of each corpus and one entry per modality; features of a clip follow from its id and label.

    `weights` says by modality which an entry was computed with, `random:0` for instance.
    """
    assert os.environ["MANIFESTS_ROOT"], "a test's manifests have a place of their own: ask for the fixture roots"
    for corpus in dict.fromkeys(clip.corpus for clip in clip_list):
        mine = tuple(clip for clip in clip_list if clip.corpus == corpus)
        manifests.write(Manifest(corpus, Path("nowhere"), mine))
    for number, (modality, (encoder, t, d)) in enumerate(SHAPES.items()):
        n = 1 if modality == "text" else windows
        kept = [clip for clip in clip_list if not missing(modality, clip)]
        made = {(clip.corpus, clip.id): _windows(clip, number, n, t, d) for clip in kept}
        grid = "clip" if modality == "text" else "windows(3,2,2)"
        entry(kept, encoder, lambda clip, made=made: made[clip.corpus, clip.id], grid, (weights or {}).get(modality))


def entry(clip_list, encoder, make, grid="clip", weights=None, dtype="float32", provenance=None):
    """Write one part of one entry for each corpus, of what `make` says of a clip; return the last part."""
    assert os.environ["FEATURES_ROOT"], "a test's cache has a place of its own: ask for the fixture roots"
    key = Key(encoder, 1, grid, dtype, weights or "")
    for corpus in dict.fromkeys(clip.corpus for clip in clip_list):
        with Writer(folder_of(corpus, key), key, provenance or {}, "MIT") as writer:
            for i, clip in enumerate(clip_list):
                if clip.corpus == corpus:
                    writer.add(clip.id, f"{i}", make(clip))
    return writer.path


def ragged(clip_list, d=2, encoder="ragged"):
    """Write an entry of whole clips, of 1 to 4 steps, all of whose numbers are the clip's number of steps."""
    lengths = {clip.id: 1 + i % 4 for i, clip in enumerate(clip_list)}

    def make(clip):
        t = lengths[clip.id]
        return Windows.join([np.full((t, d), t, np.float16)], [(0.0, 2.0)], [t])

    entry(clip_list, encoder, make, dtype="float16")
    return lengths


def _windows(clip, number, n, t, d):
    rng = np.random.default_rng([number, *f"{clip.corpus}{clip.id}".removeprefix("demo").encode()])
    emotion = int(np.argmax(clip.labels["emotion"])) if "emotion" in clip.labels else 0
    values = 0.1 * rng.standard_normal((n, t, d)).astype(np.float32)
    values[..., number % d] += (emotion >> number % 2) & 1
    return Windows.join(list(values), spans(n), [t] * n)


def spans(n):
    """Return the seconds of windows of three seconds that begin every two."""
    return [(2.0 * i, 2.0 * i + 3) for i in range(n)]


def load_recipe(name="concat", *settings, corpora=("demo",)):
    """The default recipe, cut down to seconds."""
    return recipe.load(name, [*QUICK, *settings], corpora=list(corpora))


def joined(clip_list, *settings):
    """Join clips with the cache under the small recipe."""
    corpora = dict.fromkeys(clip.corpus for clip in clip_list)
    return data.load(clip_list, load_recipe("concat", *settings, corpora=corpora))


def seed_of(clip_list, folder, *settings, number=0, begin=None):
    """Return one seed of the small recipe, ready to be trained."""
    corpora = dict.fromkeys(clip.corpus for clip in clip_list)
    small = load_recipe("concat", *settings, corpora=corpora)
    (split,) = protocol.splits(clip_list, small)
    return Seed(data.load(clip_list, small), split, small, number, folder, begin)


def trained(clip_list, folder, *settings, number=0):
    """Return one seed of the small recipe after its last epoch."""
    seed = seed_of(clip_list, folder, *settings, number=number)
    for _ in seed.epochs():
        pass
    return seed


def strategy_of(seed):
    """Return the one strategy of a seed."""
    (strategy,) = seed.strategies
    return strategy
