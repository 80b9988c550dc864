"""Unified sentiment-and-emotion labels: a training clip that lacks one of two labels is given it by its nearest.

UniMSE (Hu et al. 2022) completes the labels of its corpora so: among the texts of the same polarity, the most similar
one gives its label. There a sentence encoder of its own says what is similar, and emotions are sorted into polarities
where a corpus has no sentiment; here the recipe's features say it, and only a clip that has both labels gives one.
Inferred: that soft labels agree where their greatest class is the same.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from fuse.strategies import Lesson, _strategy
from manifests import unknown
from manifests.labels import TASKS

if TYPE_CHECKING:  # the dataset reads the cache, which a strategy never does
    from fuse.data import Dataset

AT_ONCE = 512
"""Clips that are compared with all others at a time."""


@dataclass(frozen=True)
class Config:
    """The dials of unified labels."""

    tasks: tuple[str, ...] = ()
    """The two tasks; the recipe's first two where nothing is said."""


class Strategy(_strategy.Strategy):
    """Complete the labels of training clips, before the first epoch."""

    def __init__(self, config: Config, lesson: Lesson) -> None:
        super().__init__()
        self.tasks = _pair(config.tasks or tuple(lesson.tasks)[:2], tuple(lesson.tasks))
        self.clips = torch.tensor(lesson.split.train)

    def relabelled(self, data: "Dataset") -> "Dataset":
        """Give each training clip that has one of the two labels the other one, too."""
        one, other = self.tasks
        both = data.known[one][self.clips] & data.known[other][self.clips]
        either = data.known[one][self.clips] | data.known[other][self.clips]
        if not both.any():
            raise ValueError(
                f"strategies.unified: no training clip has both {one} and {other} to give one of them; take a corpus "
                "that has both, too, or leave it out"
            )
        if bool((both == either).all()):
            raise ValueError(
                f"strategies.unified: every training clip has both {one} and {other}, so that there is nothing to "
                "give; leave it out"
            )
        vectors = _vectors(data, self.clips)
        givers, labels, known = both & vectors.any(dim=1), dict(data.labels), dict(data.known)
        for lacked, shown in ((one, other), (other, one)):
            lacking = data.known[shown][self.clips] & ~both & vectors.any(dim=1)
            kinds = polarity(shown, data.labels[shown][self.clips])
            asking, giving = (self.clips[rows] for rows in nearest(vectors, kinds, lacking, givers))
            labels[lacked], known[lacked] = labels[lacked].clone(), known[lacked].clone()
            labels[lacked][asking], known[lacked][asking] = data.labels[lacked][giving], True
        return dataclasses.replace(data, labels=labels, known=known)


def polarity(task: str, labels: Tensor) -> Tensor:
    """Return a number (n) that labels (n, k) which agree share: the class, the classes, or the sign of a score."""
    if TASKS[task].kind == "multi":
        different: Tensor = torch.unique(labels.bool(), dim=0, return_inverse=True)[1]
        return different
    return labels.argmax(dim=1) if TASKS[task].kind == "class" else labels[:, 0].sign().long()


def nearest(vectors: Tensor, kinds: Tensor, lacking: Tensor, givers: Tensor) -> tuple[Tensor, Tensor]:
    """Return those of `lacking` that have a giver of their kind, and the one whose vector's direction is nearest."""
    asking, giving = [lacking.new_zeros(0, dtype=torch.long)], [lacking.new_zeros(0, dtype=torch.long)]
    for kind in torch.unique(kinds[lacking]):
        wanting = (lacking & (kinds == kind)).nonzero()[:, 0]
        able = (givers & (kinds == kind)).nonzero()[:, 0]
        for some in wanting.split(AT_ONCE) if len(able) else ():
            asking.append(some)
            giving.append(able[(vectors[some] @ vectors[able].T).argmax(dim=1)])
    return torch.cat(asking), torch.cat(giving)


def _pair(said: Sequence[str], tasks: Sequence[str]) -> tuple[str, str]:
    for task in said:
        if task not in tasks:
            raise ValueError(f"strategies.unified.tasks: {unknown('task', task, tasks)}")
    if len(set(said)) != 2:
        raise ValueError(f"strategies.unified.tasks: expected two tasks, got {', '.join(said)}")
    return said[0], said[1]


def _vectors(data: "Dataset", clips: Tensor) -> Tensor:
    """Return each clip's mean features as a vector of length 1, of its text where the recipe has that; else of all."""
    used = {m: s for m, s in data.shapes.items() if m == "text"} or data.shapes
    row = torch.zeros(len(data.clips), dtype=torch.long)
    row[clips] = torch.arange(len(clips))
    found = torch.zeros(len(clips), sum(math.prod(shape[1:]) for shape in used.values()))
    for chosen, batch in data.batches(data.examples(clips.tolist()).sort().values, AT_ONCE):
        means = [functional.normalize(batch.mean_of_steps(m).flatten(1), dim=1) for m in used]
        found.index_add_(0, row[data.clip_of[chosen]], torch.cat(means, dim=1).cpu())
    return functional.normalize(found, dim=1)
