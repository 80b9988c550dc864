"""What predictions show beyond their scores: how sure they are, who agrees with whom, which clips are hardest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fuse.judged import NUMBERS, Judged
from fuse.result import Run
from manifests.labels import TASKS

BINS = 10
HARDEST = 200
"""How many clips are listed at most."""


@dataclass(frozen=True)
class Bin:
    """Clips of which the greatest share lies in one tenth."""

    clips: int
    share: float
    """Their mean greatest share."""
    right: float
    """How many of them are right, as a share."""


@dataclass(frozen=True)
class Agreement:
    """How often the model and its parts say the same of a test clip, counted over folds and seeds."""

    names: tuple[str, ...]
    """The model first."""
    same: NDArray[np.float64]
    """(names, names): share of clips of which both say the same."""
    apart: NDArray[np.int64]
    """(parts, 3): of how many clips a part says something else than the model; of these the model right, the part."""


@dataclass(frozen=True)
class Hard:
    """A test clip that some seed missed."""

    corpus: str
    task: str
    clip: str
    speaker: str
    truth: str
    said: str
    """What most of those that missed it said."""
    share: float
    """The mean share that those that missed it gave to what they said."""
    missed: int
    times: int
    """How often it was scored: once for each seed, in each fold that tests it."""


def calibration(each: Sequence[Judged]) -> tuple[list[Bin | None], float]:
    """Return a bin for each tenth of the greatest share, and the expected calibration error."""
    pairs = [(one.shares.max(axis=1), one.predicted == one.truth) for one in each if one.shares is not None]
    share, right = (np.concatenate(column) for column in zip(*pairs, strict=True))
    tenth = np.minimum((share * BINS).astype(int), BINS - 1)
    members = [tenth == number for number in range(BINS)]
    bins = [Bin(int(m.sum()), float(share[m].mean()), float(right[m].mean())) if m.any() else None for m in members]
    gaps = [one.clips * abs(one.share - one.right) for one in bins if one]
    return bins, sum(gaps) / len(share)


def agreement(run: Run, task: str, corpus: str) -> Agreement | None:
    """Return how the parts of a model agree with it on test; nothing where it has none, or says numbers."""
    if run.views[task, corpus] in NUMBERS or not run.folds[0].outcomes[0].parts:
        return None
    names = [part for part, of in run.folds[0].outcomes[0].parts.items() if task in of.get("test", {})]
    said, truth = _said(run, names, task, corpus)
    same = np.array([[_equal(a, b).mean() for b in said] for a in said])
    apart = []
    for part in said[1:]:
        other = ~_equal(said[0], part)
        apart.append([other.sum(), (other & _equal(said[0], truth)).sum(), (other & _equal(part, truth)).sum()])
    return Agreement((run.model, *names), same, np.array(apart, dtype=np.int64).reshape(-1, 3)) if names else None


def hardest(run: Run) -> list[Hard]:
    """Return the test clips that most seeds miss, those missed with the greatest share first, as many of each task."""
    cells = [(task, corpus) for task, corpus, split in run.scored if split == "test"]
    cells = [cell for cell in cells if run.views[cell] == "single"]
    return [hard for cell in cells for hard in _hardest(run, *cell)[: HARDEST // len(cells)]]


def _said(run: Run, names: Sequence[str], task: str, corpus: str) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Return what the model and each part say of every test clip of every seed, and what is true."""
    columns: list[list[NDArray[np.int64]]] = [[] for _ in range(len(names) + 2)]
    for fold in run.folds:
        for one in fold.outcomes:
            each = [one.predictions, *(one.parts[name] for name in names)]
            judged = [run.judged(fold, predictions, task, corpus, "test") for predictions in each]
            for column, values in zip(columns, [*(j.predicted for j in judged), judged[0].truth], strict=True):
                column.append(values)
    *said, truth = (np.concatenate(column) for column in columns)
    return said, truth


def _equal(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell of each clip whether the same class, or the same set of classes, is meant."""
    same: NDArray[np.bool_] = (one == other).reshape(len(one), -1).all(axis=1)
    return same


def _hardest(run: Run, task: str, corpus: str) -> list[Hard]:
    misses: dict[str, list[tuple[int, float]]] = {}
    about: dict[str, tuple[str, int, int]] = {}
    for clip, speaker, truth, said, share in _each(run.of_model(task, corpus, "test")):
        about[clip] = speaker, truth, about.get(clip, ("", 0, 0))[2] + 1
        if said != truth:
            misses.setdefault(clip, []).append((said, share))
    classes, found = TASKS[task].classes, []
    for clip, wrong in misses.items():
        speaker, truth, times = about[clip]
        said = int(np.bincount([one for one, _ in wrong]).argmax())
        share = float(np.mean([share for _, share in wrong]))
        found.append(Hard(corpus, task, clip, speaker, classes[truth], classes[said], share, len(wrong), times))
    return sorted(found, key=lambda one: (-one.missed / one.times, -one.share, one.clip))


def _each(judged: Sequence[Judged]) -> Iterator[tuple[str, str, int, int, float]]:
    for one in judged:
        if one.shares is not None:
            rows = (one.ids, one.speakers, one.truth.tolist(), one.predicted.tolist(), one.shares.max(axis=1).tolist())
            yield from zip(*rows, strict=True)
