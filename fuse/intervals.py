"""How far chance could have moved a score: bootstrap intervals, paired differences, and McNemar's test.

Whole groups are drawn, with replacement and as many as there are. Clips of one speaker resemble each other, so an
interval over clips is too narrow to say what other speakers would give; name the speakers as groups to learn that.
The same groups and seed give the same draws, whatever is scored.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Index = NDArray[np.int64]
Score = Callable[[Index], float]
"""The score of some clips, named by their places; a place may come more than once."""


@dataclass(frozen=True)
class Difference:
    """How much better one score is than another."""

    mean: float
    """The difference over all clips."""
    low: float
    high: float
    p: float
    """How often chance alone would give a difference as large either way."""


def bootstrap(
    score: Score, groups: Sequence[str], draws: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile interval of a score; `groups` names the clip, speaker, ... that each clip belongs to.

    Draws in which the score is not defined are left out. Without any other, and with fewer than two groups, it is NaN.
    """
    return _interval(np.array([score(index) for index in _drawn(groups, draws, seed)]), level)


def paired(
    score_a: Score, score_b: Score, groups: Sequence[str], draws: int = 1000, seed: int = 0, level: float = 0.95
) -> Difference:
    """Return how much higher a is than b, both scored on the same draws.

    `p` is the bootstrap's: twice the share of draws in which the difference is zero or of the other sign, each side
    counted with one draw more so that it is never 0.
    """
    found = np.array([score_a(index) - score_b(index) for index in _drawn(groups, draws, seed)])
    found = found[np.isfinite(found)]
    everyone = np.arange(len(groups))
    other_side = min((found <= 0).sum(), (found >= 0).sum())
    p = min(1.0, 2 * float(other_side + 1) / (len(found) + 1)) if len(found) else math.nan
    return Difference(score_a(everyone) - score_b(everyone), *_interval(found, level), p)


def mcnemar(right_a: ArrayLike, right_b: ArrayLike) -> float:
    """Return McNemar's exact two-sided p for the clips that two models got right (n, bool).

    Where both are right or both are wrong nothing is said; the rest are tosses of a fair coin if the models are equal.
    """
    a, b = np.asarray(right_a, dtype=np.bool_), np.asarray(right_b, dtype=np.bool_)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"expected right or wrong for the same clips, got {a.shape}, {b.shape}")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    tosses = only_a + only_b
    at_most, ways = 0, 1
    for heads in range(min(only_a, only_b) + 1):
        at_most += ways
        ways = ways * (tosses - heads) // (heads + 1)
    p: float = 2 * at_most / 2**tosses
    return min(1.0, p)


def _drawn(groups: Sequence[str], draws: int, seed: int) -> Iterator[Index]:
    """Yield the places of the clips in each draw; nothing if there are not two groups to draw from."""
    _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    order, sizes = np.argsort(group_of, kind="stable"), np.bincount(group_of)
    starts = np.cumsum(sizes) - sizes
    generator = np.random.default_rng(seed)
    for _ in range(draws if len(sizes) > 1 else 0):
        chosen = generator.integers(len(sizes), size=len(sizes))
        lengths = sizes[chosen]
        first = starts[chosen] - (np.cumsum(lengths) - lengths)
        yield order[np.repeat(first, lengths) + np.arange(lengths.sum())]


def _interval(found: NDArray[np.float64], level: float) -> tuple[float, float]:
    defined = found[np.isfinite(found)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
