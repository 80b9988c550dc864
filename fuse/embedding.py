"""Where test clips lie in what the heads of a trained model read, and that drawn in the plane."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # a run holds what is drawn here
    from fuse.result import Run

AT_MOST = 1000
"""How many clips are drawn; more would be slow to lay out and a blot to look at."""
FEW = 10
"""Fewer clips than this have no neighbourhoods that t-SNE could keep."""
STEPS = 500
UNKNOWN = -1
Vectors = NDArray[np.float64]
Classes = NDArray[np.int64]


@dataclass(frozen=True)
class Nearest:
    """How well classes lie apart in the full space."""

    clips: int
    """Those that have the label."""
    share: float
    """How many of them have the class of their nearest neighbour by cosine."""
    chance: float
    """The same if any other clip were as likely the nearest."""


@dataclass(frozen=True)
class Embedded:
    """What the heads of one seed on one fold read of some of its test clips."""

    rows: tuple[int, ...]
    """Places of the clips in the test part."""
    vectors: Vectors
    """(clips, d)."""

    @cached_property
    def spoilt(self) -> str:
        """Return why nothing can be drawn; empty where it can."""
        if len(self.rows) < 3:
            return f"only {len(self.rows)} of the test clips could be drawn"
        if not np.isfinite(self.vectors).all():
            return "some of it is not finite"
        return "" if np.ptp(self._unit, axis=0).max(initial=0) > 1e-6 else "it is the same for every clip"

    @property
    def how(self) -> str:
        """Return by what the points were laid out."""
        if len(self.rows) < FEW:
            return "principal components"
        return (
            f"t-SNE of vectors brought to length one (perplexity {self._perplexity:.3g}, {STEPS} steps, begun from PCA)"
        )

    @cached_property
    def points(self) -> Vectors:
        """Return where each clip lies in the plane (clips, 2); laid out when first asked for."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):  # several threads add in another order each time, and on few points only wait
            begin = _principal(self._unit)
            return begin if len(self.rows) < FEW else self._neighbourly(begin)

    def nearest(self, classes: Classes) -> Nearest | None:
        """Return how often neighbours share a class; nothing where fewer than two clips have one."""
        known = classes != UNKNOWN
        own, unit = classes[known], self._unit[known]
        clips = len(own)
        if clips < 2:
            return None
        alike = unit @ unit.T
        np.fill_diagonal(alike, -np.inf)
        counts = np.unique(own, return_counts=True)[1]
        chance = (counts * (counts - 1)).sum() / (clips * (clips - 1))
        return Nearest(clips, float((own[alike.argmax(axis=1)] == own).mean()), float(chance))

    @cached_property
    def _unit(self) -> Vectors:
        unit: Vectors = self.vectors / np.linalg.norm(self.vectors, axis=1, keepdims=True).clip(min=1e-12)
        return unit

    @property
    def _perplexity(self) -> float:
        return min(30.0, (len(self.rows) - 1) / 3)

    def _neighbourly(self, begin: Vectors) -> Vectors:
        from sklearn.manifold import TSNE  # slow to import, and only a report asks for it

        begin = begin / begin[:, 0].std() * 1e-4
        layout = TSNE(init=begin, random_state=0, perplexity=self._perplexity, max_iter=STEPS)
        found: Vectors = layout.fit_transform(self._unit).astype(np.float64)
        return found


def spread_over(clips: Sequence[tuple[str, str]], at_most: int = AT_MOST) -> list[int]:
    """Return the places of so many clips (corpus and id), taken at even steps along their sorted names."""
    order = sorted(range(len(clips)), key=lambda i: clips[i])
    if len(order) <= at_most:
        return sorted(order)
    return sorted(order[i * len(order) // at_most] for i in range(at_most))


def of(run: "Run") -> Embedded | None:
    """Return what is drawn of a run: its first seed on its first fold."""
    return run.folds[0].outcomes[0].embedded


def classes(run: "Run") -> dict[str, Classes]:
    """Return for each task with one class per clip the true class of each clip drawn; -1 where none is known."""
    drawn, part = of(run), run.folds[0].parts["test"]
    found = {}
    for task in run.tasks if drawn else ():
        known = np.zeros(len(part.ids), dtype=np.bool_)
        for corpus in run.corpora:
            if run.views.get((task, corpus)) == "single":
                known |= part.known(task, corpus)
        if known.any() and drawn:
            truth = np.where(known, part.truth[task].argmax(axis=1), UNKNOWN)
            found[task] = truth[list(drawn.rows)]
    return found


def _principal(unit: Vectors) -> Vectors:
    """Return the first two principal components; the clip that lies farthest out on each lies on its positive side."""
    centred = unit - unit.mean(axis=0)
    squares, left = np.linalg.eigh(centred @ centred.T)
    found: Vectors = (left * np.sqrt(squares.clip(min=0)))[:, :-3:-1]
    return found * np.sign(found[np.abs(found).argmax(axis=0), (0, 1)])
