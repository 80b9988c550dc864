"""Whether anything was learnt, told from what the same answers score when clips get them at random."""

import dataclasses

import numpy as np
import pytest

from fuse import chance
from fuse.judged import Judged

TRUTH = np.array([0, 1, 2, 3] * 25)


def judged(predicted, truth=TRUTH, task="emotion", view="single"):
    """Return answers to clips that each have a speaker of their own."""
    names = tuple(map(str, range(len(truth))))
    return Judged(task, view, names, names, np.asarray(truth), np.asarray(predicted))


def test_answers_in_any_order_are_luck_and_right_ones_are_not():
    """Shuffled answers score as chance does in every kind; those that are right more often than by chance do not."""
    draw = np.random.default_rng(1)
    assert chance.luck([judged(draw.permutation(TRUTH))]) > chance.LUCK
    assert not chance.learnt([judged(draw.permutation(TRUTH))])
    some = np.where(np.arange(100) % 2, TRUTH, draw.permutation(TRUTH))
    assert chance.luck([judged(some)]) == 1 / (1 + chance.DRAWS)
    scores = draw.standard_normal(100)
    assert chance.learnt([judged(scores + draw.standard_normal(100), scores, "sentiment_score", "score")])
    assert not chance.learnt([judged(draw.standard_normal(100), scores, "sentiment_score", "score")])


def test_one_class_for_all_is_no_skill():
    """Who always says the same cannot score more than by chance, nor can a score without spread be judged."""
    assert chance.luck([judged(np.zeros(100, int))]) == 1
    scores = np.arange(100.0)
    with np.errstate(all="ignore"):
        assert chance.luck([judged(np.ones(100), scores, "sentiment_score", "score")]) == 1


@pytest.mark.parametrize("many", [1, 5])
def test_seeds_are_dealt_out_together(many):
    """What several seeds say of the same clips is one score; more of the same seed change nothing."""
    one = judged(np.where(np.arange(100) % 8, np.random.default_rng(2).permutation(TRUTH), TRUTH))
    assert chance.luck([one] * many) == chance.luck([one])


def test_of_too_few_clips_nothing_is_asked():
    """With three clips not even what is wholly right could be told from chance."""
    few = judged([0, 1, 2], [0, 1, 2])
    assert chance.luck([few]) > chance.LUCK
    assert chance.learnt([few])
    assert chance.learnt([dataclasses.replace(few, predicted=np.array([2, 0, 1]))])
