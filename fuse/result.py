"""What a run found: the predictions of every seed and floor, and the scores that follow from them.

Scores cover every clip of the protocol that has the label; one without any feature is scored as the training majority.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuse import metrics, missing
from fuse.embedding import Embedded
from fuse.judged import Judged, Shares, View, in_form, view_of
from fuse.lines import ROLES, Interval, Line, Role, line
from fuse.sources import Source
from manifests.labels import TASKS


@dataclass(frozen=True)
class Predicted:
    """What is said of some clips for one task."""

    shares: Shares
    """(clips, k): the probability of each class; of a score task the score itself."""
    sets: NDArray[np.bool_] | None = None
    """(clips, m): which classes are said to be there, where several may be; a neutral class is not one of them."""

    def repeated(self, clips: int) -> "Predicted":
        """Return the same of many clips."""
        sets = None if self.sets is None else np.repeat(self.sets, clips, axis=0)
        return Predicted(np.repeat(self.shares, clips, axis=0), sets)


Predictions = Mapping[str, Mapping[str, Predicted]]
"""Split to task to what is said of its clips."""


@dataclass(frozen=True)
class Part:
    """The clips of one split as the protocol has them, whatever could be extracted."""

    ids: tuple[str, ...]
    corpora: tuple[str, ...]
    """The corpus of each clip."""
    speakers: tuple[str, ...]
    """Who speaks in each clip; the clip's own id where nobody is named."""
    truth: Mapping[str, Shares]
    """Task to (clips, k): the label vector, NaN where the clip has no such label."""
    missing: Mapping[str, NDArray[np.bool_]]
    """Modality to (clips): the clip has no window of it."""

    def __post_init__(self) -> None:
        clips = len(self.ids)
        for name, column in {"corpora": self.corpora, "speakers": self.speakers, **self.truth, **self.missing}.items():
            if len(column) != clips:
                raise ValueError(f"{name}: expected {clips} clips, got {len(column)}")
        twice = clips - len(set(zip(self.corpora, self.ids, strict=True)))
        if twice:
            raise ValueError(f"expected each clip of a corpus once, got {twice} of {clips} again")

    @property
    def featureless(self) -> NDArray[np.bool_]:
        """Return which clips have no window of any modality."""
        everywhere: NDArray[np.bool_] = np.logical_and.reduce(list(self.missing.values()))
        return everywhere

    def known(self, task: str, corpus: str) -> NDArray[np.bool_]:
        """Return which clips are of a corpus and have the label of a task."""
        of_corpus = np.array([one == corpus for one in self.corpora], dtype=np.bool_)
        return np.asarray(of_corpus & ~np.isnan(self.truth[task]).any(axis=1), dtype=np.bool_)


@dataclass(frozen=True)
class Outcome:
    """What one seed gave on one fold."""

    seed: int
    history: Sequence[Mapping[str, float]]
    """Per epoch, numbers by name: `*loss` and `*score` or `<metric> *` are drawn, all are kept in report.json."""
    epoch: int
    """The epoch chosen on dev, counted from 1."""
    predictions: Predictions
    parts: Mapping[str, Predictions] = field(default_factory=dict)
    """Name of a part of the model, such as a modality, to what it says on its own."""
    ablated: Mapping[str, Predictions] = field(default_factory=dict)
    """Name of what was taken away, such as `without audio`, to what the model then says; test alone."""
    thinned: Mapping[float, Predictions] = field(default_factory=dict)
    """The share of modalities that is missing at random to what the model then says; test alone."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Task to the share from which on a class counts as there, where several may be."""
    seconds: float = 0.0
    """What its epochs took."""
    embedded: Embedded | None = None
    """What its heads read of test clips; of one seed on one fold alone."""


@dataclass(frozen=True)
class Fold:
    """One division of the clips, and what was found on it."""

    name: str
    """Empty where there is only one."""
    parts: Mapping[str, Part]
    """Split to its clips, training too."""
    majority: Mapping[str, Predicted]
    """Task to what is said of any clip (1, k) by whoever knows only the training labels."""
    floors: Mapping[str, Predictions]
    """Name of a floor to what it predicts; the majority line comes of itself."""
    outcomes: tuple[Outcome, ...]
    """One per seed; the splits they predict are those that are scored."""

    def said(self) -> Iterator["Said"]:
        """Yield everything that is said of this fold's clips."""
        lengths = {split: len(self.parts[split].ids) for split in self.outcomes[0].predictions}
        usual = {split: {t: one.repeated(n) for t, one in self.majority.items()} for split, n in lengths.items()}
        for name, predictions in {"majority": usual, **self.floors}.items():
            yield Said("floor", name, None, predictions)
        for one in self.outcomes:
            yield Said("model", "", one.seed, one.predictions)
            for name, predictions in one.parts.items():
                yield Said("part", name, one.seed, predictions)
            for name, predictions in one.ablated.items():
                yield Said("ablation", name, one.seed, predictions)
            for rate, predictions in one.thinned.items():
                yield Said("thinned", missing.name(rate), one.seed, predictions)

    def counted(self, predictions: Predictions, split: str, task: str) -> Predicted:
        """Return what counts of what is said: of a clip without any feature that is the majority."""
        given, usual, lost = predictions[split][task], self.majority[task], self.parts[split].featureless[:, None]
        shares = np.where(lost, usual.shares, given.shares)
        if given.sets is None or usual.sets is None:
            return Predicted(shares)
        return Predicted(shares, np.where(lost, usual.sets, given.sets))


@dataclass(frozen=True)
class Said:
    """Predictions, and whose they are."""

    role: Role
    name: str
    """Empty for the model."""
    seed: int | None
    predictions: Predictions


@dataclass(frozen=True)
class Beside:
    """A score from elsewhere that the run's own is held against."""

    name: str
    corpus: str
    task: str
    metric: str
    mean: float
    spread: float | None = None
    where: str = ""
    """A run's folder, or the row of a paper's table."""


@dataclass(frozen=True)
class Run:
    """Everything that a report is made of."""

    recipe: str
    model: str
    corpora: tuple[str, ...]
    tasks: tuple[str, ...]
    """Names in `manifests.labels.TASKS`, which knows their kinds and classes."""
    folds: tuple[Fold, ...]
    command: str
    """What to type to make this report again."""
    provenance: Mapping[str, Any]
    """Code version, settings, fingerprints and the like, nested as deep as is useful."""
    warnings: tuple[str, ...] = ()
    """What a reader must know before believing a number."""
    parameters: int = 0
    """How many numbers were trained."""
    voted: frozenset[str] = frozenset()
    """Corpora whose soft labels are votes for one class."""
    beside: tuple[Beside, ...] = ()
    """What it is held against."""
    plain_by: str = ""
    """What to type for the plain fusion that should stand beside it, and does not."""
    sources: tuple[Source, ...] = ()
    """Whose features it is made of."""

    def __post_init__(self) -> None:
        if not self.folds or not all(fold.outcomes for fold in self.folds):
            raise ValueError("expected the outcome of at least one seed on at least one fold, got none")
        for fold in self.folds:
            for said in fold.said():
                self._check(fold, said)
        _check_same(self.folds)

    @property
    def seconds_per_epoch(self) -> float:
        """Return what an epoch took on average over folds and seeds; nothing where none was trained."""
        outcomes = [one for fold in self.folds for one in fold.outcomes]
        return sum(one.seconds for one in outcomes) / max(1, sum(len(one.history) for one in outcomes))

    @property
    def splits(self) -> tuple[str, ...]:
        """Return the splits that are scored."""
        return tuple(self.folds[0].outcomes[0].predictions)

    @property
    def rates(self) -> dict[str, float]:
        """Return which share of modalities is missing in each line that is named after it."""
        return {missing.name(rate): rate for rate in self.folds[0].outcomes[0].thinned}

    @cached_property
    def views(self) -> dict[tuple[str, str], View]:
        """Return how each task is scored in each corpus that has its label."""
        parts = [part for fold in self.folds for part in fold.parts.values()]
        found: dict[tuple[str, str], View] = {}
        for task in self.tasks:
            for corpus in self.corpora:
                truth = np.concatenate([part.truth[task][part.known(task, corpus)] for part in parts])
                if len(truth):
                    found[task, corpus] = view_of(task, truth, votes=corpus in self.voted)
        return found

    @cached_property
    def scored(self) -> list[tuple[str, str, str]]:
        """Return every task, corpus and split in which some clip has the label."""
        return [
            (task, corpus, split)
            for task, corpus in self.views
            for split in self.splits
            if any(fold.parts[split].known(task, corpus).any() for fold in self.folds)
        ]

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Return the result table: for each task, corpus and split the floors, the model, its parts, its ablations."""
        return tuple(line for cell in self.scored for line in self._lines(*cell))

    def judged(self, fold: Fold, predictions: Predictions, task: str, corpus: str, split: str) -> Judged:
        """Return the clips that have the label beside what counts of what is said of them."""
        part, view, counted = fold.parts[split], self.views[task, corpus], fold.counted(predictions, split, task)
        rows = np.flatnonzero(part.known(task, corpus))
        shares = counted.shares[rows]
        predicted = (
            counted.sets[rows] if view == "several" and counted.sets is not None else in_form(view, task, shares)
        )
        ids, speakers = (tuple(names[i] for i in rows) for names in (part.ids, part.speakers))
        return Judged(task, view, ids, speakers, in_form(view, task, part.truth[task][rows]), predicted, shares)

    def of_model(self, task: str, corpus: str, split: str) -> list[Judged]:
        """Return what the model says with every seed on every fold that has such clips."""
        each = [self.judged(fold, one.predictions, task, corpus, split) for fold in self.folds for one in fold.outcomes]
        return [judged for judged in each if len(judged)]

    def _lines(self, task: str, corpus: str, split: str) -> Iterator[Line]:
        found: dict[tuple[Role, str], list[tuple[str, int | None, Judged]]] = {}
        for fold in self.folds:
            if not fold.parts[split].known(task, corpus).any():
                continue
            for said in fold.said():
                if task in said.predictions.get(split, {}):
                    judged = self.judged(fold, said.predictions, task, corpus, split)
                    found.setdefault((said.role, said.name), []).append((fold.name, said.seed, judged))
        for role, name in sorted(found, key=lambda key: ROLES.index(key[0])):
            yield line((task, corpus, split), name or self.model, role, found[role, name])

    def _check(self, fold: Fold, said: Said) -> None:
        """Refuse predictions that do not fit the clips."""
        who = f"{fold.name} {said.name or f'seed {said.seed}'}".strip()
        wanted = dict.fromkeys(self.splits, self.tasks) if said.role == "model" else said.predictions
        for split, task in ((split, task) for split, tasks in wanted.items() for task in tasks):
            where, part, classes = f"{who}, {split}, {task}", fold.parts[split], TASKS[task].classes
            given = said.predictions.get(split, {}).get(task)
            shape = None if given is None else given.shares.shape
            if given is None or shape != (len(part.ids), len(classes)):
                raise ValueError(f"{where}: expected shares of shape {(len(part.ids), len(classes))}, got {shape}")
            if not np.isfinite(given.shares[~part.featureless]).all():
                raise ValueError(f"{where}: expected finite shares, got some that are not")
            members = (len(part.ids), len(classes) - (classes[0] == "neutral"))
            sets = None if given.sets is None else given.sets.shape
            if sets != members and (sets or any(self.views.get((task, one)) == "several" for one in self.corpora)):
                raise ValueError(f"{where}: expected sets of shape {members}, got {sets}")


def confusion(run: Run, task: str, corpus: str, split: str) -> metrics.Counts:
    """Count true (rows) against predicted classes, added over folds and seeds."""
    each = [metrics.confusion(one.truth, one.predicted, len(one.members)) for one in run.of_model(task, corpus, split)]
    total: metrics.Counts = np.sum(each, axis=0)
    return total


@dataclass(frozen=True)
class Summary:
    """What one row of a table shows of a run."""

    scores: Mapping[tuple[str, str, str], tuple[float, float | None]]
    """Corpus, task and metric to mean and spread of the model on test."""
    intervals: Mapping[tuple[str, str, str], Interval] = field(default_factory=dict)
    """The same to the interval, of those metrics that have one."""
    parameters: int = 0
    seconds_per_epoch: float = 0.0


def summary(run: Run) -> Summary:
    """Return what the model scored on test, and what that cost."""
    lines = [one for one in run.lines if one.role == "model" and one.split == "test"]
    return Summary(
        {
            (one.corpus, one.task, metric): (one.mean(metric), one.spread(metric))
            for one in lines
            for metric in one.scores[0].values
        },
        {(one.corpus, one.task, one.main): one.interval for one in lines if one.interval},
        run.parameters,
        run.seconds_per_epoch,
    )


def _check_same(folds: Sequence[Fold]) -> None:
    """Refuse folds of which one says what another does not: an average over them would mean nothing."""
    names, seeds = [fold.name for fold in folds], [one.seed for one in folds[0].outcomes]
    if len(set(names)) < len(names) or len(set(seeds)) < len(seeds):
        raise ValueError(f"expected each fold and each seed once, got folds {names} and seeds {seeds}")
    said = [
        {
            (one.role, one.name, one.seed, s, t)
            for one in fold.said()
            for s, tasks in one.predictions.items()
            for t in tasks
        }
        for fold in folds
    ]
    if any(one != said[0] for one in said):
        raise ValueError(f"expected the same seeds, floors and parts on each fold, got others on one of {names}")
