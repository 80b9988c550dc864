"""What a run found: the predictions of every seed and floor, and the scores that follow from them.

Scores cover every clip of the protocol that has the label; one without any feature is scored as the training majority.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuse import metrics

Shares = NDArray[np.float64]
Predictions = Mapping[str, Mapping[str, Shares]]
"""Split to task to the probability of each class (clips, classes)."""


@dataclass(frozen=True)
class Part:
    """The clips of one split as the protocol has them, whatever could be extracted."""

    ids: tuple[str, ...]
    truth: Mapping[str, NDArray[np.int64]]
    """Task to (clips): the true class, -1 where the clip has no such label."""
    missing: Mapping[str, NDArray[np.bool_]]
    """Modality to (clips): the clip has no window of it."""

    @property
    def featureless(self) -> NDArray[np.bool_]:
        """Return which clips have no window of any modality."""
        everywhere: NDArray[np.bool_] = np.logical_and.reduce(list(self.missing.values()))
        return everywhere


@dataclass(frozen=True)
class Outcome:
    """What one seed gave."""

    seed: int
    history: Sequence[Mapping[str, float]]
    """Per epoch, numbers by name: `*loss` and `*score` or `<metric> *` are drawn, all are kept in report.json."""
    epoch: int
    """The epoch chosen on dev, counted from 1."""
    predictions: Predictions


@dataclass(frozen=True)
class Run:
    """Everything that a report is made of."""

    recipe: str
    model: str
    corpora: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]]
    """Task to its classes."""
    parts: Mapping[str, Part]
    """Split to its clips, training too."""
    majority: Mapping[str, Shares]
    """Task to the share of each class in training; the greatest is the majority."""
    floors: Mapping[str, Predictions]
    """Name of a floor to what it predicts; the majority line comes of itself."""
    outcomes: tuple[Outcome, ...]
    """One per seed; the splits they predict are those that are scored."""
    command: str
    """What to type to make this report again."""
    provenance: Mapping[str, Any]
    """Code version, settings, fingerprints and the like, nested as deep as is useful."""
    warnings: tuple[str, ...] = ()
    """What a reader must know before believing a number."""

    def __post_init__(self) -> None:
        if not self.outcomes:
            raise ValueError("expected the outcome of at least one seed, got none")
        given = dict(self.floors) | {f"seed {one.seed}": one.predictions for one in self.outcomes}
        for name, predictions in given.items():
            for task, split in self.scored:
                expected = (len(self.parts[split].ids), len(self.classes[task]))
                found = predictions.get(split, {}).get(task)
                if found is None or found.shape != expected:
                    got = "none" if found is None else found.shape
                    raise ValueError(f"{name}, {split}, {task}: expected probabilities of shape {expected}, got {got}")

    @property
    def tasks(self) -> list[str]:
        """Return the tasks that can be scored at all."""
        return list(dict.fromkeys(task for task, _ in self.scored))

    @property
    def scored(self) -> list[tuple[str, str]]:
        """Return every pair of task and split in which some clip has the label."""
        splits = self.outcomes[0].predictions
        return [
            (task, split) for task in self.classes for split in splits if (self.parts[split].truth[task] >= 0).any()
        ]

    def shares(self, predictions: Predictions, task: str, split: str) -> Shares:
        """Return (clips, classes); a clip without any feature gets the shares of training."""
        return np.where(self.parts[split].featureless[:, None], self.majority[task], predictions[split][task])

    def judged(self, predictions: Predictions, task: str, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the true and the predicted class of each clip that has the label."""
        known = self.parts[split].truth[task] >= 0
        return self.parts[split].truth[task][known], self.shares(predictions, task, split)[known].argmax(axis=1)


@dataclass(frozen=True)
class Line:
    """One row of the result table."""

    task: str
    split: str
    name: str
    floor: bool
    """What the model has to beat, not the model."""
    clips: int
    """How many clips have the label; all of them are scored."""
    scores: tuple[Mapping[str, float], ...]
    """Metric to value: once for a floor, once per seed for the model."""

    def mean(self, metric: str) -> float:
        """Return the average over seeds."""
        return statistics.fmean(one[metric] for one in self.scores)

    def spread(self, metric: str) -> float | None:
        """Return the sample standard deviation over seeds; one seed has none."""
        return statistics.stdev(one[metric] for one in self.scores) if len(self.scores) > 1 else None


def lines(run: Run) -> list[Line]:
    """Score the majority, the floors and the model, in this order, for each task and split."""
    found = []
    for task, split in run.scored:
        truth, _ = run.judged(run.outcomes[0].predictions, task, split)
        floors = {
            "majority": {split: {task: np.tile(run.majority[task], (len(run.parts[split].ids), 1))}},
            **run.floors,
        }
        of_floors = [(name, True, [predictions]) for name, predictions in floors.items()]
        for name, floor, given in [*of_floors, (run.model, False, [one.predictions for one in run.outcomes])]:
            scores = [metrics.scores(*run.judged(one, task, split), len(run.classes[task])) for one in given]
            found.append(Line(task, split, name, floor, len(truth), tuple(scores)))
    return found


def confusion(run: Run, task: str, split: str) -> NDArray[np.int64]:
    """Count true (rows) against predicted classes, added over seeds."""
    judged = [run.judged(one.predictions, task, split) for one in run.outcomes]
    truth, predicted = (np.concatenate(column) for column in zip(*judged, strict=True))
    return metrics.confusion(truth, predicted, len(run.classes[task]))
