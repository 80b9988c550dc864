"""Runs put together by hand, small enough to be scored on paper."""

import dataclasses

import numpy as np

from fuse.result import Fold, Outcome, Part, Predicted, Run
from manifests.labels import TASKS

NAMES = ("=1+1", "-b", "@c", 'say "d", e|f')
EMOTION = ("neutral", "happy", "happy", None)
SENTIMENT = ("negative", "negative", "positive", "positive")


def vectors(task, words):
    """Return label vectors: of one class, of several joined with `+`, of a number; NaN for None."""
    classes = TASKS[task].classes
    rows = np.full((len(words), len(classes)), np.nan)
    for row, word in zip(rows, words, strict=True):
        if isinstance(word, str):
            chosen = [classes.index(one) for one in word.split("+") if one]
            row[:] = 0
            row[chosen] = 1 if TASKS[task].kind == "multi" else 1 / len(chosen)
        elif word is not None:
            row[:] = word
    return rows


def said(task, words, *, several=False):
    """Return what is sure of these classes; as sets, too, where several may be."""
    shares = vectors(task, words)
    members = len(TASKS[task].classes) - (TASKS[task].classes[0] == "neutral")
    return Predicted(shares, shares[:, -members:] > 0 if several else None)


def part(truth, names=NAMES, corpora=None, speakers=None, featureless=(), no_video=(0,)):
    """Return clips with a truth by task; some have no video, some nothing at all."""
    clips = np.arange(len(names))
    nothing = np.isin(clips, featureless)
    return Part(
        ids=tuple(names),
        corpora=tuple(corpora or ["demo"] * len(names)),
        speakers=tuple(speakers or names),
        truth={task: vectors(task, words) for task, words in truth.items()},
        missing={"audio": nothing, "video": nothing | np.isin(clips, no_video)},
    )


def outcome(seed, predictions, **more):
    """Return a seed of three epochs that says the same on dev and test."""
    history = [{"loss": 2.0 / epoch, "lr": 0.1, "score": 0.2 * epoch, "mf1 emotion": 0.1} for epoch in (1, 2, 3)]
    return Outcome(seed, history, 2, {"dev": predictions, "test": predictions}, **more)


def both(emotion, sentiment=SENTIMENT):
    """Return what is said of four clips for two tasks."""
    return {"emotion": said("emotion", emotion), "sentiment": said("sentiment", sentiment)}


def fold(name="", test=None, **changes):
    """Return four clips; the last has no emotion, the first no video. Seed 0 is all right, seed 1 always says happy."""
    own = part({"emotion": EMOTION, "sentiment": SENTIMENT})
    linear = both(["neutral", "neutral", "happy", "happy"], ["positive"] * 4)
    majority = {"emotion": [[0.5, 0.3, 0.2, 0, 0, 0, 0]], "sentiment": [[0.4, 0, 0.6]]}
    made = Fold(
        name=name,
        parts={"train": own, "dev": own, "test": test or own},
        majority={task: Predicted(np.array(shares)) for task, shares in majority.items()},
        floors={"linear": {"dev": linear, "test": linear}},
        outcomes=(outcome(0, both(["neutral", "happy", "happy", "sad"])), outcome(1, both(["happy"] * 4))),
    )
    return dataclasses.replace(made, **changes)


def two_folds():
    """Return the same clips divided in two: of the second all are happy, and no seed says so."""
    other = part({"emotion": ["happy"] * 4, "sentiment": SENTIMENT}, [f"2{name}" for name in NAMES])
    return fold("one"), fold("two", test=other, outcomes=tuple(outcome(seed, both(["sad"] * 4)) for seed in (0, 1)))


def sole(task, truth, said_of_it, usual, *, several=False, **more):
    """Return a fold of one task in which one seed says the same on dev and test."""
    shares = said(task, [usual], several=several)
    own = part({task: truth}, **more)
    return Fold(
        name="",
        parts=dict.fromkeys(("train", "dev", "test"), own),
        majority={task: shares},
        floors={},
        outcomes=(outcome(0, {task: said(task, said_of_it, several=several)}),),
    )


def run(*folds, **changes):
    """Return the run of some folds."""
    made = {
        "recipe": "mine",
        "model": "lefsa",
        "corpora": tuple(dict.fromkeys(corpus for one in folds for corpus in one.parts["test"].corpora)),
        "tasks": tuple(folds[0].parts["train"].truth),
        "folds": folds,
        "command": "make fuse MODEL=lefsa CORPUS=demo",
        "provenance": {"code": "abc", "features": {"audio": "mfcc-12", "video": ["a|b", "c"]}, "none": {}},
        "warnings": ("its scores mean *nothing*",),
        "parameters": 1234567,
    }
    return Run(**{**made, **changes})
