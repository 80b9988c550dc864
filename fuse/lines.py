"""One row of the result table: what a floor, the model or a part of it scores over folds and seeds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from fuse import intervals
from fuse.judged import MAIN, Judged, View, joined, main_score

Role = Literal["floor", "model", "part", "ablation", "thinned"]
ROLES: tuple[Role, ...] = ("floor", "model", "part", "ablation", "thinned")
"""What the model has to beat; the model; what a part of it says on its own; what it says without a modality, and while
a share of them is missing at random."""


@dataclass(frozen=True)
class Scores:
    """What was scored once: one seed on one fold."""

    fold: str
    seed: int | None
    """None of a floor."""
    values: Mapping[str, float]
    """By metric; NaN where one is not defined."""


@dataclass(frozen=True)
class Interval:
    """Where the main metric would lie in 95 of 100 tests on other clips, or other speakers, of the same kind."""

    low: float
    high: float
    over: Literal["speakers", "clips"]
    """What was drawn."""


@dataclass(frozen=True)
class Line:
    """One row of the result table."""

    task: str
    corpus: str
    split: str
    name: str
    role: Role
    view: View
    clips: int
    """How many clips have the label; all of them are scored."""
    scores: tuple[Scores, ...]
    """One per fold, and per seed where there are seeds."""
    pooled: tuple[Mapping[str, float], ...] = ()
    """Per seed, the scores of all folds' clips together; empty where folds share clips."""
    together: tuple[Judged, ...] = field(default=(), repr=False, compare=False)
    """Per seed, all folds' clips; of the model's test line alone."""

    @cached_property
    def interval(self) -> Interval | None:
        """Return that of the main metric, pooled over folds and averaged over seeds, for the model's test line."""
        if not self.together:
            return None
        over, groups = self.together[0].groups
        return Interval(*intervals.bootstrap(main_score(self.together), groups), over)

    @property
    def main(self) -> str:
        """Return the metric that the line is judged by."""
        return MAIN[self.view]

    def mean(self, metric: str) -> float:
        """Return the average over folds and seeds."""
        return statistics.fmean(self._each(metric))

    def spread(self, metric: str) -> float | None:
        """Return the sample standard deviation over folds and seeds; one alone has none."""
        return float(np.std(self._each(metric), ddof=1)) if len(self.scores) > 1 else None

    def extremes(self, metric: str) -> tuple[float, float]:
        """Return the least and the greatest score."""
        each = self._each(metric)
        return float(np.min(each)), float(np.max(each))  # which, unlike min and max, hand on what is not defined

    def of_fold(self, fold: str, metric: str) -> float:
        """Return the average over the seeds of one fold."""
        return statistics.fmean(one.values[metric] for one in self.scores if one.fold == fold)

    def of_all(self, metric: str) -> float:
        """Return the score of all folds' clips together, averaged over seeds; NaN where folds share clips."""
        return statistics.fmean(one[metric] for one in self.pooled) if self.pooled else np.nan

    def _each(self, metric: str) -> list[float]:
        return [one.values[metric] for one in self.scores]


def line(cell: tuple[str, str, str], name: str, role: Role, said: Sequence[tuple[str, int | None, Judged]]) -> Line:
    """Score what is said by fold and seed in one cell: a task, a corpus and a split."""
    scores = tuple(Scores(fold, seed, judged.scores()) for fold, seed, judged in said)
    together = [
        joined([judged for _, one, judged in said if one == seed]) for seed in dict.fromkeys(s for _, s, _ in said)
    ]
    whole = [one for one in together if one is not None]
    one_fold = len({fold for fold, _, _ in said}) == 1
    pooled = tuple(one.values for one in scores) if one_fold else tuple(one.scores() for one in whole)
    drawn = tuple(whole) if role == "model" and cell[2] == "test" else ()
    clips = len({name for _, _, judged in said for name in judged.ids})
    return Line(*cell, name, role, said[0][2].view, clips, scores, pooled, drawn)
