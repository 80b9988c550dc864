"""Intervals cover what they say, follow groups, and find no difference between equals."""

import math

import numpy as np
import pytest

from fuse import intervals, metrics


def accuracy(right):
    """Return the score that is the share of right clips."""
    return lambda index: float(right[index].mean())


def named(numbers):
    """Name groups by numbers."""
    return [f"speaker {number}" for number in numbers]


def covered(groups, rights, truth):
    """Return how often the interval of a sample holds the true accuracy."""
    found = [intervals.bootstrap(accuracy(right), groups, draws=200, seed=seed) for seed, right in enumerate(rights)]
    return np.mean([low <= truth <= high for low, high in found])


def test_the_interval_covers():
    """Of samples of 100 clips about 95 percent have the true accuracy in their interval."""
    rights = np.random.default_rng(0).random((150, 100)) < 0.7
    assert 0.88 <= covered(named(range(100)), rights, 0.7) <= 0.99


def test_groups_are_drawn_whole():
    """Where the clips of a speaker are all alike, only drawing speakers covers; drawing clips is far too sure."""
    rights = np.repeat(np.random.default_rng(1).random((100, 40)) < 0.6, 10, axis=1)
    speakers = named(np.repeat(np.arange(40), 10))
    assert covered(speakers, rights, 0.6) >= 0.86
    assert covered(named(range(400)), rights, 0.6) <= 0.6


def test_a_draw_holds_whole_groups_with_all_their_clips():
    """Every clip of a drawn group comes as often as the others of it, and as many groups come as there are."""
    numbers = np.array([3, 1, 2, 1, 3, 3])
    seen = []
    intervals.bootstrap(lambda index: seen.append(index) or 0.0, named(numbers), draws=50)
    assert len(seen) == 50
    for index in seen:
        times = np.bincount(index, minlength=6)
        per_group = [set(times[numbers == number].tolist()) for number in (1, 2, 3)]
        assert [len(found) for found in per_group] == [1, 1, 1]
        assert sum(found.pop() for found in per_group) == 3


def test_the_interval_repeats():
    """The same seed gives the same interval, another one another, and a higher level a wider one."""
    right = np.random.default_rng(2).random(80) < 0.5
    score, groups = accuracy(right), named(range(80))
    low, high = intervals.bootstrap(score, groups)
    assert (low, high) == intervals.bootstrap(score, groups)
    assert (low, high) != intervals.bootstrap(score, groups, seed=1)
    wider = intervals.bootstrap(score, groups, level=0.99)
    assert wider[0] < low < right.mean() < high < wider[1]


def test_the_normal_interval_is_met():
    """For the mean of many clips the interval is the one of the textbook."""
    values = np.random.default_rng(3).standard_normal(500)
    low, high = intervals.bootstrap(accuracy(values), named(range(500)), draws=4000)
    half = 1.96 * values.std() / math.sqrt(500)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_undefined_draws_are_left_out():
    """A score that is NaN in some draws has the interval of the others; one that always is has none."""
    score = np.array([0.0, 0.0, 0.0, 1.0])
    low, high = intervals.bootstrap(lambda index: metrics.score(score[index], -score[index])["corr"], list("abcd"))
    assert (low, high) == (-1, -1)
    assert all(math.isnan(bound) for bound in intervals.bootstrap(lambda index: math.nan, list("abcd")))


def test_one_group_has_no_interval():
    """From a single speaker nothing can be said about others."""
    assert all(math.isnan(bound) for bound in intervals.bootstrap(accuracy(np.ones(3)), named([0, 0, 0])))
    found = intervals.paired(accuracy(np.ones(3)), accuracy(np.zeros(3)), named([0, 0, 0]))
    assert found.mean == 1
    assert all(math.isnan(value) for value in (found.low, found.high, found.p))


def test_identical_runs_do_not_differ():
    """Their difference is zero in every draw and as likely by chance as can be."""
    score, groups = accuracy(np.random.default_rng(4).random(60) < 0.5), named(range(60))
    assert intervals.paired(score, score, groups) == intervals.Difference(0.0, 0.0, 0.0, 1.0)


def test_a_clear_difference_is_found():
    """The better run is better in every draw; exchanged, everything changes its sign but not its chance."""
    generator = np.random.default_rng(5)
    a, b = accuracy(generator.random(300) < 0.9), accuracy(generator.random(300) < 0.5)
    groups = named(range(300))
    found, exchanged = intervals.paired(a, b, groups), intervals.paired(b, a, groups)
    assert 0 < found.low < found.mean < found.high
    assert found.p == exchanged.p == pytest.approx(2 / 1001)
    assert (exchanged.mean, exchanged.low, exchanged.high) == pytest.approx((-found.mean, -found.high, -found.low))


def test_pairing_is_narrower_than_two_intervals():
    """Two runs that err on the same clips are compared on the same draws."""
    a = np.random.default_rng(6).random(200) < 0.7
    b = a.copy()
    b[:5] = False
    found = intervals.paired(accuracy(a), accuracy(b), named(range(200)))
    low, high = intervals.bootstrap(accuracy(a), named(range(200)))
    assert found.high - found.low < (high - low) / 2


def test_equal_models_seldom_differ():
    """Of pairs that are equally good about one in twenty has p below 0.05, and those alone leave 0 out."""
    generator, groups = np.random.default_rng(7), named(range(100))
    found = [
        intervals.paired(accuracy(a), accuracy(b), groups, draws=200) for a, b in generator.random((150, 2, 100)) < 0.6
    ]
    assert 0.01 <= np.mean([one.p < 0.05 for one in found]) <= 0.1
    assert all(one.low <= 0 <= one.high for one in found if one.p > 0.06)


@pytest.mark.parametrize(
    ("only_a", "only_b", "expected"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (8, 2, 112 / 1024), (3, 3, 1.0)]
)
def test_mcnemar_by_hand(only_a, only_b, expected):
    """Clips that one model alone got right are tosses of a coin; those that both got right say nothing."""
    a = np.array([True] * only_a + [False] * only_b + [True] * 50 + [False] * 9)
    b = np.array([False] * only_a + [True] * only_b + [True] * 50 + [False] * 9)
    assert intervals.mcnemar(a, b) == intervals.mcnemar(b, a) == pytest.approx(expected)


def test_mcnemar_bears_many_clips():
    """Thousands of tosses neither overflow nor lose the exact tail, which the normal curve nearly meets."""
    generator = np.random.default_rng(8)
    a, b = generator.random(6000) < 0.52, generator.random(6000) < 0.5
    only_a, only_b = np.sum(a & ~b), np.sum(b & ~a)
    corrected = (abs(only_a - only_b) - 1) / math.sqrt(only_a + only_b)
    assert intervals.mcnemar(a, b) == pytest.approx(math.erfc(corrected / math.sqrt(2)), rel=0.02)


def test_mcnemar_wants_the_same_clips():
    """Two lengths are refused."""
    with pytest.raises(ValueError, match=r"the same clips, got \(2,\), \(3,\)"):
        intervals.mcnemar([True, False], [True, False, True])
