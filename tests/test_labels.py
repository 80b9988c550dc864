"""The vocabularies: order, spellings and what cannot be a label."""

import math

import pytest

from manifests import labels
from manifests.labels import TASKS


def test_house_order():
    """Predictions are columns of numbers, so the order of classes never changes."""
    assert TASKS["emotion"].classes == ("neutral", "happy", "sad", "anger", "surprise", "disgust", "fear")
    assert TASKS["sentiment"].classes == ("negative", "neutral", "positive")


@pytest.mark.parametrize(
    ("word", "house"),
    [("joy", "happy"), ("Happiness", "happy"), ("sadness", "sad"), ("ANGRY", "anger"), (" fearful ", "fear")],
)
def test_spellings(word, house):
    """Every corpus' own word lands at the class that the house calls by another name."""
    vector = labels.emotion(word)
    assert vector == labels.one_hot("emotion", house)
    assert TASKS["emotion"].classes[vector.index(1)] == house


@pytest.mark.parametrize("task", ["emotion", "sentiment"])
def test_every_class_has_its_own_one_hot(task):
    """Each class is one at its own place, zero elsewhere, and a valid label."""
    for index, name in enumerate(TASKS[task].classes):
        vector = labels.one_hot(task, name)
        assert vector.index(1) == index
        assert sum(vector) == 1
        TASKS[task].check(vector)


def test_unknown_word_names_the_vocabulary():
    """A word outside the vocabulary is refused with the words that are inside."""
    with pytest.raises(ValueError, match=r"expected one of neutral, happy, .*, got 'boredom'"):
        labels.emotion("boredom")
    with pytest.raises(ValueError, match="expected one of negative, neutral, positive, got 'mixed'"):
        labels.sentiment("mixed")


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ((1.0, 0.0), r"expected 3 numbers \(negative, neutral, positive\), got 2"),
        ((math.nan, 0.5, 0.5), "expected finite numbers"),
        ((True, False, False), "expected finite numbers"),
        (("1", "0", "0"), "expected finite numbers"),
        ((0.0, 0.0, 0.0), "sum to 1"),
        ((1.5, -0.5, 0.0), "sum to 1"),
        ((10**400, 0, 0), "sum to 1"),
    ],
)
def test_what_is_no_label(vector, message):
    """A vector of the wrong length, kind or sum is refused, and the message says which."""
    with pytest.raises(ValueError, match=message):
        TASKS["sentiment"].check(vector)


def test_soft_labels_and_scores_are_labels():
    """Shares of disagreeing raters are a label, and a score need not be a share."""
    TASKS["sentiment"].check((0.2, 0.3, 0.5))
    TASKS["sentiment_score"].check((-2.4,))
