"""Hierarchical classification in two stages: first which group of classes, then which class within it.

After the two-stage classifier of "Is style all you need" (2022), which decides neutral or not before the emotion.
Inferred: both stages read the same network and the same logits, a group's being the log-sum-exp of its classes', where
the authors train classifiers of their own. Without class weights the two losses sum to plain cross-entropy; what
differs are the weights of each stage, and that an answer's group is decided before its class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fuse import losses
from fuse.batch import Batch
from fuse.strategies import Lesson, _strategy
from fuse.strategies._task import class_task
from manifests import unknown
from manifests.labels import TASKS

FAR = 1e4
"""How far below the others a class is put that the first stage has ruled out; its share is zero."""


@dataclass(frozen=True)
class Config:
    """The dials of the two stages."""

    task: str = ""
    """Which task has two stages; the recipe's first where nothing is said."""
    groups: str = ""
    """Classes joined with `+`, groups with `|`: `neutral|happy+surprise|sad+anger+disgust+fear`; neutral and all others
    where nothing is said."""
    within: float = 1.0
    """What the loss of the second stage counts beside that of the first."""


class Strategy(_strategy.Strategy):
    """A loss for each stage, each with class weights of its own, and answers of one group alone."""

    of_groups: Tensor
    of_classes: Tensor
    group: Tensor

    def __init__(self, config: Config, lesson: Lesson) -> None:
        super().__init__()
        self.task = class_task("two_stage", lesson.tasks, config.task)
        self.within, self.dials = config.within, lesson.train
        self.groups = groups_of(config.groups, TASKS[self.task].classes)
        sums = lesson.data.labels[self.task][list(lesson.split.train)].sum(dim=0)
        self.register_buffer("of_groups", self._weights(self.shares(sums[None])[0]), persistent=False)
        of_classes, group = torch.empty_like(sums), torch.empty(len(sums), dtype=torch.long)
        for number, members in enumerate(self.groups):
            of_classes[members], group[members] = self._weights(sums[members]), number
        self.register_buffer("of_classes", of_classes, persistent=False)
        self.register_buffer("group", group, persistent=False)
        lesson.model.register_forward_hook(self._answer)

    def task_loss(self, task: str, logits: Tensor, batch: Batch) -> Tensor | None:
        """Return the loss of the group, and of the class among those of its true group."""
        if task != self.task:
            return None
        targets = batch.labels[task]
        first = self._loss(self.scores(logits), self.shares(targets), self.of_groups)
        second = torch.zeros_like(first)
        for members in self.groups:
            share = targets[:, members].sum(dim=1)
            inside = targets[:, members] / share.clamp(min=1e-6)[:, None]
            second = second + share * self._loss(logits[:, members], inside, self.of_classes[members])
        return first + self.within * second

    def scores(self, logits: Tensor) -> Tensor:
        """Return the logits of groups from those of classes."""
        return torch.stack([logits[:, members].logsumexp(dim=1) for members in self.groups], dim=1)

    def shares(self, targets: Tensor) -> Tensor:
        """Return the shares of groups from those of classes."""
        return torch.stack([targets[:, members].sum(dim=1) for members in self.groups], dim=1)

    def decided(self, logits: Tensor) -> Tensor:
        """Put the classes of every group but the likeliest far down."""
        outside = self.group != self.scores(logits).argmax(dim=1, keepdim=True)
        return logits - FAR * outside

    def _answer(self, model: nn.Module, _given: Any, outputs: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        if model.training:
            return None
        return {n: self.decided(one) if n.rpartition("/")[2] == self.task else one for n, one in outputs.items()}

    def _weights(self, sums: Tensor) -> Tensor:
        return losses.class_weights(sums, self.dials.class_weights, self.dials.class_weight_power)

    def _loss(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        smoothing, focus = self.dials.label_smoothing, self.dials.focus
        return losses.losses("class", logits, targets, weights=weights, smoothing=smoothing, focus=focus)


def groups_of(said: str, classes: Sequence[str]) -> list[list[int]]:
    """Return the places of the classes of each group; every class must be in one."""
    if not said and "neutral" not in classes:
        raise ValueError(f"strategies.two_stage.groups: expected groups of {', '.join(classes)}, got none")
    whole = said or f"neutral|{'+'.join(name for name in classes if name != 'neutral')}"
    groups = [group.split("+") for group in whole.split("|")]
    named = [name for group in groups for name in group]
    for name in named:
        if name not in classes:
            raise ValueError(f"strategies.two_stage.groups: {unknown('class', name, classes)}")
    if len(groups) < 2 or sorted(named) != sorted(classes):
        raise ValueError(
            f"strategies.two_stage.groups: expected groups that hold each of {', '.join(classes)} once, got {whole}"
        )
    return [[classes.index(name) for name in group] for group in groups]
