"""The floor that every fusion has to clear: one averaged vector per modality, set side by side, and one linear layer.

Works with any modalities. A flag beside each vector tells the heads whether the clip has that modality at all.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks


@dataclass(frozen=True)
class Config:
    """The two dials of the floor."""

    width: int = 128
    """Width that every modality is projected to."""
    dropout: float = 0.3
    """Share of each averaged feature vector that is left out in training."""


class Model(nn.Module):
    """Average each modality over its real steps, project, concatenate, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        self.projections = nn.ModuleDict(
            {
                modality: nn.Sequential(nn.Dropout(config.dropout), nn.Linear(d, config.width), nn.ReLU())
                for modality, (_, d) in shapes.items()
            }
        )
        width = len(shapes) * (config.width + 1)
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(width, classes) for task, classes in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        joined: list[Tensor] = []
        for modality, project in self.projections.items():
            present = batch.present[modality][:, None].float()  # (b, 1)
            # The projection of nothing is its bias, so what is absent is set to zero here and not before.
            joined += [project(batch.mean_of_steps(modality)) * present, present]
        features = self.representation(torch.cat(joined, dim=1))
        return {task: head(features) for task, head in self.heads.items()}
