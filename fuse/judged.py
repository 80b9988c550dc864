"""Clips that have a label beside what is said of them, in the form that their metrics take.

A task has one of four views in a corpus: one class per clip, several classes that may be there, a score of sentiment,
or a dimension such as valence on a scale of the corpus' own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fuse import decide, metrics
from manifests.labels import TASKS

View = Literal["single", "several", "score", "dimension"]
Shares = NDArray[np.float64]
Index = NDArray[np.int64]

NUMBERS: frozenset[View] = frozenset(("score", "dimension"))
MAIN: dict[View, str] = {"single": "mf1", "several": "mmf1", "score": "corr", "dimension": "ccc"}
"""The metric of each view that intervals and differences are given of."""
FEW_SPEAKERS = 10
"""From how many speakers on an interval is over speakers; fewer say too little of what another would give."""


@dataclass(frozen=True)
class Judged:
    """Clips of one corpus that have the label of a task."""

    task: str
    view: View
    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    truth: NDArray[Any]
    """(clips) the class number or the score; where several may be (clips, m) whether each is there."""
    predicted: NDArray[Any]
    """What is said, in the same form."""
    shares: Shares | None = None
    """(clips, k) as a model gave them, where they are still known."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def members(self) -> tuple[str, ...]:
        """Return the classes that are counted; neutral is not one of those of which several may be."""
        classes = TASKS[self.task].classes
        return classes[-self.truth.shape[1] :] if self.view == "several" else classes

    @property
    def groups(self) -> tuple[Literal["speakers", "clips"], tuple[str, ...]]:
        """Return what is drawn for an interval, and to which of it each clip belongs."""
        count = len(set(self.speakers))
        return ("speakers", self.speakers) if FEW_SPEAKERS <= count < len(self) else ("clips", self.ids)

    def scores(self) -> dict[str, float]:
        """Return every metric of the view, and those that need shares where these are known."""
        found = self.scores_at(np.arange(len(self)))
        if self.shares is None:
            return found
        if self.view == "several":
            return found | metrics.ranked(self.truth, self.shares[:, -self.truth.shape[1] :])
        if self.task == "sentiment":
            return found | metrics.polarity(self.truth, self.shares)
        return found

    def tables(self) -> NDArray[np.int64]:
        """Return for each class (k, 3): how often it is true, said, and both."""
        columns = [self.truth, self.predicted]
        if self.view == "single":
            columns = [column[:, None] == np.arange(len(self.members)) for column in columns]
        true, said = columns
        return np.stack([true.sum(axis=0), said.sum(axis=0), (true & said).sum(axis=0)], axis=1)

    def scores_at(self, index: Index) -> dict[str, float]:
        """Return the metrics of the clips at some places, of which each may come more than once."""
        truth, predicted = self.truth[index], self.predicted[index]
        if self.view == "single":
            return metrics.single(truth, predicted, len(self.members))
        if self.view == "several":
            return metrics.several(truth, predicted)
        return metrics.score(truth, predicted) if self.view == "score" else metrics.dimension(truth, predicted)


def joined(pieces: Sequence[Judged]) -> Judged | None:
    """Put clips one after another; nothing comes of it if a clip is there twice."""
    first = pieces[0]
    ids, speakers = (tuple(name for one in pieces for name in getattr(one, key)) for key in ("ids", "speakers"))
    if len(set(ids)) < len(ids):
        return None
    truth, predicted = (np.concatenate([getattr(one, key) for one in pieces]) for key in ("truth", "predicted"))
    known = [one.shares for one in pieces if one.shares is not None]
    shares = np.concatenate(known) if len(known) == len(pieces) else None
    return replace(first, ids=ids, speakers=speakers, truth=truth, predicted=predicted, shares=shares)


def main_score(seeds: Sequence[Judged]) -> Callable[[Index], float]:
    """Return what scores drawn clips: the main metric of each seed on them, averaged over seeds."""
    metric = MAIN[seeds[0].view]
    return lambda index: float(np.mean([one.scores_at(index)[metric] for one in seeds]))


def view_of(task: str, truth: Shares, *, votes: bool = False) -> View:
    """Return how a task is scored in the corpus that has these labels (clips, k), NaN where unknown."""
    if TASKS[task].kind == "score":
        return "score" if task == "sentiment_score" else "dimension"
    return "several" if decide.several(task, truth[~np.isnan(truth).any(axis=1)], votes=votes) else "single"


def in_form(view: View, task: str, truth: Shares) -> NDArray[Any]:
    """Return label vectors in the form that a view takes."""
    if view == "several":
        return decide.there(task, truth)
    return truth.argmax(axis=1) if view == "single" else truth.squeeze(axis=1)
