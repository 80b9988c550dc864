"""What a run found, written so that a colleague can read it without us.

A `Run` is everything that was measured; all that follows from it is computed here: `report.md`, `report.json`,
`predictions.csv` and the pictures. Nothing is read from anywhere else, so the same run gives the same report.
Every number comes from the epoch that was chosen on dev, and covers every clip of the protocol that has the label: one
without any feature counts as the training majority.
"""

import csv
import io
import json
import math
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuse import metrics, pictures

Shares = NDArray[np.float64]
Predictions = Mapping[str, Mapping[str, Shares]]
"""Split to task to the probability of each class (clips, classes)."""


@dataclass(frozen=True)
class Part:
    """One part of the split: its clips as the protocol has them, whatever could be extracted."""

    ids: tuple[str, ...]
    truth: Mapping[str, NDArray[np.int64]]
    """Task to (clips): the true class, -1 where the clip has no such label."""
    missing: Mapping[str, NDArray[np.bool_]]
    """Modality to (clips): the clip has no window of it."""

    @property
    def featureless(self) -> NDArray[np.bool_]:
        """Return which clips have no window of any modality."""
        return np.logical_and.reduce(list(self.missing.values()))


@dataclass(frozen=True)
class Outcome:
    """What one seed gave."""

    seed: int
    history: Sequence[Mapping[str, float]]
    """Numbers by name, per epoch: `…loss` is drawn as a loss, `…score` and `<metric> …` as scores, the rest is kept."""
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
    """Task to its classes, in house order."""
    parts: Mapping[str, Part]
    """Name to part; the ones that predictions name are scored."""
    majority: Mapping[str, Shares]
    """Task to the share of each class in training; the greatest is the majority."""
    floors: Mapping[str, Predictions]
    """Line to what it predicts, beside the majority line."""
    outcomes: tuple[Outcome, ...]
    command: str
    """What to type to get this report again."""
    provenance: Mapping[str, Any]
    """Code version, settings, fingerprints, whatever else; nested mappings are shown with dotted names."""
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.outcomes:
            raise ValueError("expected the outcome of at least one seed, got none")
        for name, predictions in [*self.floors.items(), *((f"seed {one.seed}", one.predictions) for one in self.outcomes)]:
            for split, task in self.scored():
                expected = (len(self.parts[split].ids), len(self.classes[task]))
                if (got := predictions[split][task].shape) != expected:
                    raise ValueError(f"{name}, {split}, {task}: expected probabilities of shape {expected}, got {got}")

    def scored(self) -> list[tuple[str, str]]:
        """Return each scored split with each task."""
        return [(split, task) for task in self.classes for split in self.outcomes[0].predictions]

    def shares(self, predictions: Predictions, split: str, task: str) -> Shares:
        """Return probabilities (clips, classes); a clip without any feature gets the shares of the classes in training."""
        return np.where(self.parts[split].featureless[:, None], self.majority[task], predictions[split][task])

    def judged(self, predictions: Predictions, split: str, task: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return true and predicted class of the clips that have the label."""
        truth = self.parts[split].truth[task]
        return truth[truth >= 0], self.shares(predictions, split, task).argmax(axis=1)[truth >= 0]


@dataclass(frozen=True)
class Line:
    """One row of the result table: how well a floor or the model did at one task on one split."""

    task: str
    split: str
    name: str
    clips: int
    scores: tuple[Mapping[str, float], ...]
    """Metric to value: one mapping for a floor, one per seed for the model."""
    of_model: bool

    def mean(self, metric: str) -> float:
        """Average over seeds."""
        return statistics.fmean(one[metric] for one in self.scores)

    def spread(self, metric: str) -> float | None:
        """Return the sample standard deviation over seeds; one seed has none."""
        return statistics.stdev(one[metric] for one in self.scores) if len(self.scores) > 1 else None
