"""The simplified fusion of "Rethinking Multimodal Sentiment Analysis" (Mandal and Li 2025), for any modalities.

Each modality's averaged vector goes through fully connected layers with dropout; the results stand side by side, and a
dense layer fuses them. The paper looks at one utterance at a time, so that no other turn is heard unless
`config.context` says so; then recurrent layers over the turns stand beside what was fused.

Inferred, since the abstract names no sizes and no code is public: two layers for each modality, all widths, ReLU,
dropout after every layer, and that steps are averaged. Turns are not in the paper. An absent modality is zero where
the modalities meet.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.conversation import Context
from fuse.models._turns import Around


@dataclass(frozen=True)
class Config:
    """The sizes."""

    context: Context = "none"
    """Which other turns an answer may rest on: both those before and after it, the past alone, or none."""
    width: int = 128
    """Width of every layer of a modality, and of the recurrent states of each direction."""
    fused: int = 128
    """Width of the dense layer over all modalities."""
    dropout: float = 0.3
    """After every layer."""


class Model(nn.Module):
    """Average, encode, concatenate, fuse, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()

        def dense(d: int, width: int) -> list[nn.Module]:
            return [nn.Linear(d, width), nn.ReLU(), nn.Dropout(config.dropout)]

        width = config.width
        self.encoders = nn.ModuleDict(
            {m: nn.Sequential(*dense(d, width), *dense(width, width)) for m, (_, d) in shapes.items()}
        )
        self.fusion = nn.Sequential(*dense(len(shapes) * width, config.fused))
        self.around = Around(config.fused, width, config.context)
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(self.around.width, classes) for task, classes in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        present = batch.present
        encoded = [encode(batch.mean_of_steps(m)) * present[m][:, None] for m, encode in self.encoders.items()]
        features = self.representation(self.around(self.fusion(torch.cat(encoded, dim=1)), batch))
        return {task: head(features) for task, head in self.heads.items()}
