"""One classifier per modality, each on its own, and the mean of what those say whose modality the clip has.

It is the ladder's first step: what a modality is worth alone (`modality/task`), and what the plainest late fusion makes
of them. Works with any modalities, also with one. A clip without any is told nothing: all its logits are zero.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks


@dataclass(frozen=True)
class Config:
    """The dials of every modality's classifier."""

    width: int = 256
    """Width of the hidden layer."""
    dropout: float = 0.3
    """Share of each averaged feature vector that is left out in training."""


class Heads(nn.Module):
    """What one modality says of every task."""

    def __init__(self, width: int, tasks: Tasks) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({task: nn.Linear(width, classes) for task, classes in tasks.items()})

    def forward(self, hidden: Tensor) -> dict[str, Tensor]:
        """Turn (b, width) into logits by task."""
        return {task: head(hidden) for task, head in self.heads.items()}


class Model(nn.Module):
    """Average each modality over its real steps, classify, average the logits."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.hidden = nn.ModuleDict(
            {
                modality: nn.Sequential(nn.Dropout(config.dropout), nn.Linear(d, config.width), nn.ReLU())
                for modality, (_, d) in shapes.items()
            }
        )
        self.representation = nn.Identity()
        self.parts = nn.ModuleDict({m: Heads(config.width, tasks) for m in shapes})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task, and by `modality/task`; those of an absent modality are zero."""
        hidden = self.representation(torch.stack([h(batch.mean_of_steps(m)) for m, h in self.hidden.items()], dim=1))
        logits: dict[str, Tensor] = {}
        for (modality, part), own in zip(self.parts.items(), hidden.unbind(dim=1), strict=True):
            present = batch.present[modality][:, None]
            logits |= {f"{modality}/{task}": found * present for task, found in part(own).items()}
        count = torch.stack([batch.present[modality] for modality in self.parts]).sum(dim=0).clamp(min=1)[:, None]
        final = {task: sum(logits[f"{m}/{task}"] for m in self.parts) / count for task in self.tasks}
        return {**final, **logits}
