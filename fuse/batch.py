"""What a fusion model is given: cached windows of some clips, padded, with every mask beside them.

Axes: b clips, n windows, t time steps, d width. What a mask leaves out is zero and cannot change an output.
Pictures have two axes in the place of d, and only models that ask for pictures are given them.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]
"""Modality to (t, d): the steps of its longest window, and what a step is."""
Tasks = Mapping[str, int]
"""Task to the number of its classes."""


@dataclass(frozen=True)
class Batch:
    """Some clips, joined from the cache and the manifest."""

    ids: tuple[str, ...]
    values: Mapping[str, Tensor]
    """Modality to (b, n, t, d); t is the same in every batch, or that of the batch's longest where lengths differ."""
    windows: Mapping[str, Tensor]
    """Modality to (b, n) bool: this window exists."""
    steps: Mapping[str, Tensor]
    """Modality to (b, n, t) bool: this step rests on real input, not on padding."""
    dialogue: Tensor
    """(b) whole number: clips of one conversation share it; -1 stands alone."""
    turn: Tensor
    """(b) whole number: the clip's place in its conversation; a number that is skipped is a turn that is not there."""
    speaker: Tensor
    """(b) whole number: clips of one voice share it; -1 is nobody known."""
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    """Task to (b, k): one-hot, soft, several or a score; zero where unknown."""
    known: Mapping[str, Tensor] = field(default_factory=dict)
    """Task to (b) bool: this clip has this label."""

    def __post_init__(self) -> None:
        b = len(self.ids)
        for modality, values in self.values.items():
            n, t = values.shape[1:3]
            shapes = tuple(values.shape[:1]), tuple(self.windows[modality].shape), tuple(self.steps[modality].shape)
            if shapes != ((b,), (b, n), (b, n, t)):
                raise ValueError(f"{modality}: expected ({b},), ({b}, {n}) and ({b}, {n}, {t}), got {shapes}")
        for task, labels in self.labels.items():
            if len(labels) != b or self.known[task].shape != (b,):
                raise ValueError(f"{task}: expected labels of {b} clips, got {len(labels)}")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def present(self) -> dict[str, Tensor]:
        """Modality to (b) bool: the clip has at least one window of it."""
        return {modality: mask.any(dim=1) for modality, mask in self.windows.items()}

    def mean_of_windows(self, modality: str) -> Tensor:
        """(b, t, d): the element-wise mean of a clip's windows; zero where it has none."""
        values = self.values[modality]
        mask = _beside(self.windows[modality], values)
        return (values * mask).sum(dim=1) / _beside(self.windows[modality].sum(dim=1).clamp(min=1), values[:, 0])

    def mean_of_steps(self, modality: str) -> Tensor:
        """(b, d): the mean over every real step of every window; zero where there is none."""
        values, mask = self.sequence(modality)
        return (values * _beside(mask, values)).sum(dim=1) / _beside(mask.sum(dim=1).clamp(min=1), values[:, 0])

    def sequence(self, modality: str) -> tuple[Tensor, Tensor]:
        """(b, n * t, d) and (b, n * t) bool: every step of every window one after another, and which are real."""
        real = self.steps[modality] & self.windows[modality][:, :, None]
        return self.values[modality].flatten(1, 2), real.flatten(1, 2)

    def without(self, gone: Mapping[str, Tensor]) -> Self:
        """Return the batch as if some clips (b, bool) lacked a modality."""
        kept = {modality: ~clips for modality, clips in gone.items()}
        values, windows, steps = (
            {m: x * _beside(kept[m], x) if m in kept else x for m, x in mapping.items()}
            for mapping in (self.values, self.windows, self.steps)
        )
        return dataclasses.replace(self, values=values, windows=windows, steps=steps)

    def replaced(self, values: Mapping[str, Tensor]) -> Self:
        """Return the batch with other values and the same masks."""
        return dataclasses.replace(self, values=values)

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device."""

        def move(mapping: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor.to(device, non_blocking=True) for name, tensor in mapping.items()}

        return dataclasses.replace(
            self,
            values=move(self.values),
            windows=move(self.windows),
            steps=move(self.steps),
            dialogue=self.dialogue.to(device),
            turn=self.turn.to(device),
            speaker=self.speaker.to(device),
            labels=move(self.labels),
            known=move(self.known),
        )


def _beside(mask: Tensor, values: Tensor) -> Tensor:
    """Return a mask with as many axes as the values that it is to be multiplied with."""
    return mask.reshape(*mask.shape, *(1,) * (values.dim() - mask.dim()))
