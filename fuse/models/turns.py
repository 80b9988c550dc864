"""The floor of what looks at conversations: averaged vectors side by side, and one recurrent layer over the turns.

Works with any modalities. The heads read a turn's own vectors beside what was heard around it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.conversation import Context
from fuse.models._turns import Around, Vectors


@dataclass(frozen=True)
class Config:
    """The dials of the floor."""

    context: Context = "both"
    """Which other turns an answer may rest on: both those before and after it, the past alone, or none."""
    width: int = 128
    """Width that every modality is projected to, and of the states of each direction."""
    dropout: float = 0.3
    """Share of each averaged feature vector, and of what the heads read, that is left out in training."""


class Model(nn.Module):
    """Average, project, go over the turns, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        self.vectors = Vectors(shapes, config.width, config.dropout)
        self.around = Around(len(shapes) * config.width, config.width, config.context)
        self.dropout = nn.Dropout(config.dropout)
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(self.around.width, classes) for task, classes in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        own = torch.cat(list(self.vectors(batch).values()), dim=1)
        features = self.representation(self.dropout(self.around(own, batch)))
        return {task: head(features) for task, head in self.heads.items()}
