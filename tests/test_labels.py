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


@pytest.mark.parametrize("vector", [(0,) * 6, (1,) * 6, (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)])
def test_of_several_classes_none_and_all_may_be_there(vector):
    """A multi label is there or not, class by class."""
    TASKS["emotions"].check(vector)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ((0.5, 0, 0, 0, 0, 0), "expected 0 or 1 for each of happy, sad, anger, surprise, disgust, fear"),
        ((2, 0, 0, 0, 0, 0), "expected 0 or 1"),
        ((-1, 0, 0, 0, 0, 0), "expected 0 or 1"),
        ((math.nan, 0, 0, 0, 0, 0), "expected finite numbers"),
        ((1, 0, 0), "expected 6 numbers"),
    ],
)
def test_what_is_no_multi_label(vector, message):
    """A share, a count and a wrong length are refused."""
    with pytest.raises(ValueError, match=message):
        TASKS["emotions"].check(vector)


def test_classes_are_spelt_as_in_the_house():
    """A word means the same class in every vocabulary, each has its classes once, and is called as it is filed."""
    emotions = {name for task in TASKS if task.startswith("emotion") for name in TASKS[task].classes}
    known = set(TASKS["emotion"].classes) | {"calm", "excited", "frustrated"}
    assert emotions == known
    for name, task in TASKS.items():
        assert task.name == name
        assert len(set(task.classes)) == len(task.classes)


SOFT = (0.4, 0.0, 0.6, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("task", "known", "expected"),
    [
        ("emotion", {"emotion": SOFT}, SOFT),
        ("emotion", {}, None),
        ("emotion", {"emotion4": labels.one_hot("emotion4", "sad")}, None),
        # Several emotions: whatever has any share, and neutral is none.
        ("emotions", {"emotion": labels.emotion("neutral")}, (0.0,) * 6),
        ("emotions", {"emotion": labels.emotion("sad")}, (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)),
        ("emotions", {"emotion": (0.0, 0.1, 0.6, 0.0, 0.0, 0.3, 0.0)}, (1.0, 1.0, 0.0, 0.0, 1.0, 0.0)),
        ("emotions", {"emotion": labels.emotion("sad"), "emotions": (1.0,) * 6}, (1.0,) * 6),
        # A smaller vocabulary: clear labels of its words, and no others.
        ("emotion4", {"emotion": labels.emotion("anger")}, (0.0, 0.0, 0.0, 1.0)),
        ("emotion4", {"emotion": labels.emotion("fear")}, None),
        ("emotion4", {"emotion": SOFT}, None),
        ("emotion4", {"emotion8": labels.one_hot("emotion8", "happy")}, (0.0, 1.0, 0.0, 0.0)),
        ("emotion4", {"emotion8": labels.one_hot("emotion8", "calm")}, None),
        ("emotion4", {"emotion": SOFT, "emotion8": labels.one_hot("emotion8", "sad")}, (0.0, 0.0, 1.0, 0.0)),
        # Sentiment: its own label goes before the sign of the score.
        ("sentiment", {"sentiment_score": (-0.2,)}, (1.0, 0.0, 0.0)),
        ("sentiment", {"sentiment_score": (0.0,)}, (0.0, 1.0, 0.0)),
        ("sentiment", {"sentiment_score": (-0.2,), "sentiment": (0.0, 0.0, 1.0)}, (0.0, 0.0, 1.0)),
        ("sentiment2", {"sentiment_score": (2.5,)}, (0.0, 1.0)),
        ("sentiment2", {"sentiment_score": (0.0,)}, None),
        ("sentiment2", {"sentiment": labels.sentiment("negative")}, (1.0, 0.0)),
        ("sentiment2", {"sentiment": labels.sentiment("neutral")}, None),
        ("sentiment_score", {"sentiment": labels.sentiment("negative")}, None),
        ("emotion8", {"emotion": labels.emotion("sad")}, None),
    ],
)
def test_labels_that_follow_from_others(task, known, expected):
    """A label as it stands goes first, else it is derived where that is certain, else there is none."""
    assert labels.of(task, known) == expected


@pytest.mark.parametrize(
    ("score", "of5", "of7"),
    [
        (-3.0, "-2", "-3"),
        (-2.5, "-2", "-2"),  # halves to even
        (-1.5, "-2", "-2"),
        (-0.5, "0", "0"),
        (0.0, "0", "0"),
        (0.6, "1", "1"),
        (2.5, "2", "2"),
        (2.6, "2", "3"),
        (7.0, "2", "3"),
    ],
)
def test_scores_are_cut_and_rounded_to_classes(score, of5, of7):
    """As the field's evaluations do: clipped first, then halves to even."""
    for task, word in (("sentiment5", of5), ("sentiment7", of7)):
        assert labels.of(task, {"sentiment_score": (score,)}) == labels.one_hot(task, word)


def test_every_derived_label_is_a_label():
    """What follows from a valid label is valid, for every task that follows from another."""
    for task, sources in labels._DERIVED.items():
        for source, derive in sources.items():
            kind = TASKS[source].kind
            vectors = (
                [(x / 4,) * len(TASKS[source].classes) for x in range(-12, 13)]
                if kind == "score"
                else [labels.one_hot(source, word) for word in TASKS[source].classes]
            )
            for vector in vectors:
                TASKS[source].check(vector)
                found = derive(vector)
                if found is not None:
                    TASKS[task].check(found)


@pytest.mark.parametrize(
    ("scores", "shares"),
    [
        ((2.0, 0, 0, 0, 0, 0), (0, 1, 0, 0, 0, 0, 0)),
        ((1.0, 0, 0, 0, 0, 3.0), (0, 0.25, 0, 0, 0, 0, 0.75)),
        ((0,) * 6, (1, 0, 0, 0, 0, 0, 0)),
    ],
)
def test_soft_targets_of_paper_000(scores, shares):
    """Each emotion has its share of all that was seen; where nobody saw any, the clip is neutral and never happy."""
    assert labels.soft_emotion(scores) == shares
    TASKS["emotion"].check(labels.soft_emotion(scores))


def test_votes_become_shares():
    """Only votes for words of the task count; without one there is no label."""
    assert labels.shares("emotion4", {"sad": 3, "anger": 1, "tired": 6}) == (0, 0, 0.75, 0.25)
    assert labels.shares("emotion4", {"tired": 6}) is None


@pytest.mark.parametrize(
    ("score", "rounded", "binned"),
    [
        (0.0, "0", "0"),
        (0.2, "0", "1"),
        (-0.2, "0", "-1"),
        (0.5, "0", "1"),
        (1.5, "2", "2"),
        (-1.0, "-1", "-1"),
        (-1.2, "-1", "-2"),
        (2.5, "2", "3"),
        (3.0, "3", "3"),
        (-3.0, "-3", "-3"),
    ],
)
def test_both_ways_to_seven_sentiments(score, rounded, binned):
    """Evaluations round half to even; the authors of MOSEI let only 0 be neutral and go away from it."""
    assert labels.of("sentiment7", {"sentiment_score": (score,)}) == labels.one_hot("sentiment7", rounded)
    assert labels.of("sentiment7_bins", {"sentiment_score": (score,)}) == labels.one_hot("sentiment7_bins", binned)


def test_both_ways_to_two_sentiments():
    """Until 2019 a score of zero counted as not negative; since then it is left out."""
    zero, low = {"sentiment_score": (0.0,)}, {"sentiment_score": (-0.1,)}
    assert labels.of("sentiment2", zero) is None
    assert labels.of("sentiment2_has0", zero) == (0, 1)
    assert labels.of("sentiment2", low) == labels.of("sentiment2_has0", low) == (1, 0)


def test_what_raters_saw_tells_which_emotions_are_there():
    """Any score above zero is present, all at once or none."""
    assert labels.of("emotions", {"emotion_scores": (0.0, 0.3, 0.0, 3.0, 0.0, 0.0)}) == (0, 1, 0, 1, 0, 0)
    assert labels.of("emotions", {"emotion_scores": (0.0,) * 6, "emotion": (1, 0, 0, 0, 0, 0, 0)}) == (0,) * 6
