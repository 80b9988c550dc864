"""Shares become sets by LEFSA's rule, and windows vote as the EmoSen authors let them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fuse import decide, metrics

GOLDEN = Path(__file__).parent / "golden"
with np.load(GOLDEN / "metrics.npz") as _file:
    METRICS = dict(_file)
with np.load(GOLDEN / "grouping.npz") as _file:
    GROUPING = dict(_file)
RESULTS = json.loads(str(GROUPING["meta"]))["results"]


def clip_of(corpus):
    """Return the place of each window's file among the files."""
    files = RESULTS[corpus]["files"]
    return np.array([files.index(name) for name in RESULTS[corpus]["window_files"]]), len(files)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", range(5))
def test_the_sets_are_lefsas(case, dtype):
    """Seven shares and the threshold 1/7 give the authors' sets, also on the threshold itself, in either precision."""
    logits = METRICS[f"multi_{case}_logits"]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(dtype)
    found = decide.sets(shares, task="emotion", threshold=1 / 7)
    assert (found == METRICS[f"multi_{case}_pred_bin"]).all()
    assert (decide.there("emotion", METRICS[f"multi_{case}_target"]) == METRICS[f"multi_{case}_target_bin"]).all()


@pytest.mark.parametrize("what", ["pred", "target"])
@pytest.mark.parametrize("task", ["emo", "sen"])
def test_windows_vote_as_the_authors_let_them(task, what):
    """Of one class per window the most frequent is a clip's, the smallest of equals."""
    for corpus in ("MELD",) if task == "emo" else RESULTS:
        shares = GROUPING[f"{corpus}_{'t' if what == 'target' else ''}{task}"]
        voted = decide.votes(shares, *clip_of(corpus))
        assert voted.argmax(axis=1).tolist() == RESULTS[corpus][f"{task}_{what}"]
        assert voted.sum(axis=1) == pytest.approx(np.ones(len(voted)))


def test_sets_of_windows_vote_as_the_authors_let_them():
    """An emotion is a clip's if more than half of its windows show it."""
    said = decide.sets(GROUPING["CMUMOSEI_emo"], task="emotion", threshold=1 / 7)
    true = decide.there("emotion", GROUPING["CMUMOSEI_temo"])
    for what, sets in (("pred", said), ("target", true)):
        voted = decide.votes_of_sets(sets, *clip_of("CMUMOSEI"))
        assert voted.tolist() == np.array(RESULTS["CMUMOSEI"][f"emo_{what}"], bool).tolist()


def test_votes_by_hand():
    """A clip's votes are shares of its windows; one without any window has none, and a tie goes to the first class."""
    shares = np.array([[0.6, 0.4], [0.5, 0.5], [0.1, 0.9], [0.2, 0.8]])
    assert decide.votes(shares, np.array([2, 2, 2, 0]), 3) == pytest.approx(np.array([[0, 1], [0, 0], [2 / 3, 1 / 3]]))


def test_votes_of_sets_by_hand():
    """Half of the windows is not enough, and a clip without any window shows nothing."""
    sets = np.array([[1, 1], [1, 0], [0, 1]], bool)
    found = decide.votes_of_sets(sets, np.array([0, 0, 2]), 3)
    assert found.tolist() == [[True, False], [False, False], [False, True]]


def test_neutral_empties_the_set():
    """From 1 minus the threshold on neutral wins; below it each class stands for itself."""
    shares = np.array([[0.75, 0.25, 0, 0], [0.7, 0.3, 0, 0], [0, 0.5, 0.25, 0.25], [0.7, 0.2, 0.1, 0]])
    found = decide.sets(shares, task="emotion4", threshold=0.25)
    assert found.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0]]


def test_a_multi_task_is_decided_class_by_class():
    """Each share that reaches the threshold counts, and all classes stay."""
    shares = np.array([[0.6, 0.59, 0.9, 0, 0, 1], [0, 0, 0, 0, 0, 0]])
    assert decide.sets(shares, task="emotions", threshold=0.6).tolist() == [[1, 0, 1, 0, 0, 1], [0] * 6]
    assert decide.there("emotions", (shares > 0.5).astype(float)).tolist() == (shares > 0.5).tolist()


@pytest.mark.parametrize(
    ("task", "truth", "expected"),
    [
        ("emotions", np.zeros((2, 6)), True),
        ("emotion", np.eye(7), False),
        ("emotion", np.vstack([np.eye(7), [[0, 0.5, 0.5, 0, 0, 0, 0]]]), True),
        ("emotion", [[0.5, 0.5, 0, 0, 0, 0, 0], [np.nan] * 7], False),
        ("sentiment", [[0.5, 0, 0.5]], False),
        ("sentiment_score", [[1.5]], False),
    ],
)
def test_whether_several_classes_may_be_there(task, truth, expected):
    """Sets are asked for by the kind of task, or by a label with two classes that are not neutral."""
    assert decide.several(task, np.asarray(truth, float)) is expected


@pytest.mark.parametrize("task", ["sentiment", "sentiment_score"])
def test_a_task_without_a_first_neutral_has_no_sets(task):
    """The message names the task, what it has, and how it is scored instead."""
    with pytest.raises(ValueError, match=rf"{task}: expected a multi task or classes that begin with neutral, got .*;"):
        decide.there(task, np.zeros((1, 3)))


@pytest.mark.parametrize("task", ["emotion", "emotions"])
def test_the_tuned_threshold_is_the_best_of_the_grid(task):
    """No other threshold of the grid has a higher mmf1 on the same clips."""
    generator = np.random.default_rng(0)
    classes = 7 if task == "emotion" else 6
    truth = generator.random((60, classes)) * (generator.random((60, classes)) > 0.6)
    logits = truth * 3 + generator.standard_normal((60, classes))
    shares = (
        np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) if task == "emotion" else 1 / (1 + np.exp(-logits))
    )
    true = decide.there(task, truth)
    found = {
        threshold: metrics.several(true, decide.sets(shares, task=task, threshold=threshold))["mmf1"]
        for threshold in decide.GRID
    }
    chosen = decide.tuned(task, truth, shares)
    assert found[chosen] == max(found.values()) > min(found.values())


def test_the_tuned_threshold_is_in_the_middle_of_equals():
    """Between shares of 0.2 and 0.8 any threshold is right, and the one farthest from both is taken."""
    truth = np.repeat([[1.0], [0.0]], 5, axis=0) * np.ones(6)
    assert decide.tuned("emotions", truth, np.where(truth > 0, 0.81, 0.19)) == 0.5


@given(arrays(np.float64, (6, 7), elements=st.floats(0, 1)), st.sampled_from(decide.GRID), st.sampled_from(decide.GRID))
def test_a_lower_threshold_never_takes_a_class_away_from_a_multi_task(shares, one, other):
    """Sets grow as the threshold falls."""
    low, high = (decide.sets(shares[:, 1:], task="emotions", threshold=t) for t in sorted((one, other)))
    assert (low >= high).all()
