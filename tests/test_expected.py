"""Counts in words: each word against counting by hand, and the words of every corpus."""

import pytest

from manifests import Clip, corpus_module, corpus_names
from manifests.expected import count
from manifests.labels import emotion, sentiment

CLIPS = (
    Clip("a", "toy", "train", speaker_id="Ann", dialogue_id="d1", sex="f", labels={"emotion": emotion("joy")}),
    Clip("b", "toy", "train", speaker_id="Ann", dialogue_id="d2", sex="f", native={"word": "very glad", "level": 2}),
    Clip("c", "toy", "train", speaker_id="Bob", sex="m", flags=("too_long", "known_bad")),
    Clip("d", "toy", "test", speaker_id="Bob", sex="m", labels={"emotion": (0.5, 0.5, 0, 0, 0, 0, 0)}),
    Clip("e", "toy", "test", labels={"sentiment_score": (-1.2,), "emotions": (0,) * 6}),
    Clip("f", "toy", "test", labels={"sentiment": sentiment("positive"), "emotions": (1.0, 1.0, 0, 0, 0, 0)}),
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("clips", 6),
        ("split train", 3),
        ("split dev", 0),
        ("clips, split test", 3),
        ("speakers", 2),
        ("speakers, split test", 1),
        ("dialogues", 2),
        ("dialogues, split test", 0),
        ("splits", 2),
        ("sex f", 2),
        ("sex None", 2),
        ("split train, sex m", 1),
        ("flags too_long", 1),
        ("native.word very glad", 1),
        ("native.level 2", 1),
        ("native.level 3", 0),
        ("emotion", 2),
        ("emotion happy", 2),
        ("emotion neutral", 1),
        ("emotion anger", 0),
        ("emotion4 happy", 1),
        ("emotions happy", 3),
        ("emotions sad", 1),
        ("emotions fear", 0),
        ("sentiment", 2),
        ("sentiment negative", 1),
        ("sentiment7 -1", 1),
        ("speakers, emotion happy, split train", 1),
    ],
)
def test_words(words, expected):
    """Each word counts what it says; raters who were even count for both, and derived labels as those that stand."""
    assert count(CLIPS, words) == expected
    assert count(reversed(CLIPS), words) == expected
    assert count([], words) == 0


@pytest.mark.parametrize("words", ["emotion gloom", "sentiment very positive", "colour red"])
def test_wrong_words(words):
    """A class or a column that does not exist is a mistake of ours, and is not counted as nothing."""
    with pytest.raises((ValueError, AttributeError)):
        count(CLIPS, words)


@pytest.mark.parametrize("corpus", corpus_names())
def test_words_of_every_corpus(corpus):
    """What a corpus expects can be counted, and is more than nothing."""
    expected = getattr(corpus_module(corpus), "EXPECTED", {})
    assert all(count(CLIPS, words) >= 0 and promised > 0 for words, promised in expected.items())
