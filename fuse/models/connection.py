"""Connection vectors between modalities (Shi et al. 2024, "Emotional Cross-Modal Fusion and Inter-class Contrastive").

Each modality's averaged vector goes over the turns of its conversation. A learned connection vector then asks the
modalities of a turn what they share: how much each counts is how well it answers, and the weighted mean is the shared
part. What is left of a modality without it is what it alone has to say. The shared part, once, and what each modality
has beside it are fused and classified. Works with any modalities; with one, all is shared and nothing is left.

The paper's inter-class contrastive loss belongs to the recipe.

Inferred, since the abstract alone says how modalities are connected and no code is public: what the connection vector
is, that steps are averaged and that a recurrent layer over the turns of each modality is the context; every size. The
paper trains its encoders of speech and text; here they are frozen.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.conversation import Context
from fuse.models._turns import Around, Vectors


@dataclass(frozen=True)
class Config:
    """The sizes."""

    context: Context = "both"
    """Which other turns an answer may rest on: both those before and after it, the past alone, or none."""
    width: int = 128
    """Width of every modality, of the connection vector, and of the recurrent states of each direction."""
    dropout: float = 0.3
    """On each averaged feature vector, and on what the heads read."""


class InContext(nn.Module):
    """One modality of a clip together with what it was in the turns around."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.around = Around(config.width, config.width, config.context)
        self.mix = nn.Sequential(nn.Linear(self.around.width, config.width), nn.LayerNorm(config.width))

    def forward(self, own: Tensor, batch: Batch) -> Tensor:
        """Turn (b, width) into the same."""
        mixed: Tensor = self.mix(self.around(own, batch))
        return mixed


class Connection(nn.Module):
    """A learned vector that collects what the modalities of a turn share, and takes it away from each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.randn(width))
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, modalities: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Turn (b, m, width), of which (b, m) is present, into what is shared (b, width) and the rest (b, m, width)."""
        answers = self.key(modalities) @ self.vector / len(self.vector) ** 0.5
        absent = ~present & present.any(dim=1, keepdim=True)  # of a turn without any, what was heard around is left
        weights = answers.masked_fill(absent, -torch.inf).softmax(dim=1)
        shared = (weights[:, :, None] * modalities).sum(dim=1)
        return shared, (modalities - shared[:, None]) * ~absent[:, :, None]


class Model(nn.Module):
    """Average, go over the turns, connect, fuse, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        width = config.width
        self.vectors = Vectors(shapes, width, config.dropout)
        self.in_context = nn.ModuleDict({m: InContext(config) for m in shapes})
        self.connection = Connection(width)
        self.fusion = nn.Sequential(nn.Linear((1 + len(shapes)) * width, 2 * width), nn.ReLU())
        self.dropout = nn.Dropout(config.dropout)
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(2 * width, classes) for task, classes in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        vectors, present = self.vectors(batch), batch.present
        modalities = torch.stack([placed(vectors[m], batch) for m, placed in self.in_context.items()], dim=1)
        shared, rest = self.connection(modalities, torch.stack([present[m] for m in vectors], dim=1))
        fused = self.fusion(torch.cat([shared, rest.flatten(1)], dim=1))
        features = self.representation(self.dropout(fused))
        return {task: head(features) for task, head in self.heads.items()}
