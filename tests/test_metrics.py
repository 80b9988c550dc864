"""The numbers are those worked out by hand, also where a class is absent."""

import numpy as np
import pytest

from fuse import metrics

# Four true classes 0, 1, 2, 2, 2, 1: precision 1/2, 1/1, 2/3 and recall 1, 1/2, 2/3 of the classes 0, 1, 2.
TRUTH, PREDICTED = [0, 1, 2, 2, 2, 1], [0, 1, 2, 2, 0, 2]


def test_by_hand():
    """Accuracy, weighted F1, macro F1 and mean recall of six clips, worked out on paper."""
    got = metrics.scores(TRUTH, PREDICTED, 3)
    f1 = (2 / 3, 2 / 3, 2 / 3)
    expected = {"acc": 4 / 6, "wf1": np.average(f1, weights=[1, 2, 3]), "mf1": 2 / 3, "uar": (1 + 1 / 2 + 2 / 3) / 3}
    assert got == pytest.approx(expected)
    assert tuple(got) == metrics.IDS


def test_a_class_without_clips_is_left_out():
    """More classes in the vocabulary than in truth and prediction change nothing."""
    assert metrics.scores(TRUTH, PREDICTED, 7) == pytest.approx(metrics.scores(TRUTH, PREDICTED, 3))


def test_a_class_that_is_only_predicted():
    """It costs its clips' own classes recall and is not averaged itself."""
    got = metrics.scores([0, 0, 1, 1], [0, 2, 1, 1], 3)
    assert got == pytest.approx({"acc": 3 / 4, "wf1": (2 / 3 + 1) / 2, "mf1": (2 / 3 + 1) / 2, "uar": 3 / 4})


def test_a_constant_prediction():
    """Only one class of three is ever right: chance for recall, a third of its F1 for macro F1."""
    got = metrics.scores([0, 1, 2, 0], [0, 0, 0, 0], 3)
    assert got == pytest.approx({"acc": 1 / 2, "wf1": 1 / 3, "mf1": 2 / 9, "uar": 1 / 3})


def test_one_class_only():
    """A truth of one class is scored by that class, all right or all wrong."""
    assert metrics.scores([1, 1], [1, 1], 3) == {"acc": 1, "wf1": 1, "mf1": 1, "uar": 1}
    assert metrics.scores([1, 1], [0, 2], 3) == {"acc": 0, "wf1": 0, "mf1": 0, "uar": 0}


def test_averaging_over_supported_classes_as_the_lefsa_authors_do():
    """A draw with a class that is only predicted: higher than scikit-learn's default, which averages over it."""
    generator = np.random.default_rng(0)
    truth, predicted = generator.integers(0, 6, 90), generator.integers(0, 7, 90)
    recalls, f1s = [], []
    for k in range(6):
        hits = np.sum((truth == k) & (predicted == k))
        recalls.append(hits / np.sum(truth == k))
        f1s.append(2 * hits / (np.sum(truth == k) + np.sum(predicted == k)))
    got = metrics.scores(truth, predicted, 7)
    assert got["uar"] == pytest.approx(np.mean(recalls))
    assert got["mf1"] == pytest.approx(np.mean(f1s))


def test_confusion_counts_truth_in_rows():
    """Rows are true classes, columns predicted ones, and a class without clips keeps its place."""
    expected = [[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert metrics.confusion(TRUTH, PREDICTED, 4).tolist() == expected


def test_majority_takes_the_first_of_equals():
    """The most frequent class; the order of the vocabulary settles a tie."""
    assert metrics.majority([2, 2, 1], 3) == 2
    assert metrics.majority([2, 1, 2, 1], 3) == 1


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([], [], "at least one"),
        ([0, 1], [0], "as many predictions"),
        ([0, 3], [0, 1], "truth: expected class numbers from 0 to 2"),
        ([0, 1], [0, -1], "predicted: expected class numbers from 0 to 2"),
        ([0.5, 1.0], [0, 1], "truth: expected class numbers"),
    ],
)
def test_what_cannot_be_scored_is_refused(truth, predicted, message):
    """Nothing, unequal lengths, unknown classes and scores in place of classes are named, not averaged."""
    with pytest.raises(ValueError, match=message):
        metrics.scores(truth, predicted, 3)
