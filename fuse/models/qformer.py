"""The EmoQ-Former of "EmoQ: Speech Emotion Recognition via Speech-Aware Q-Former" (Yang and Mak 2025), on its own.

Learned queries look at one another and then at the steps of each modality in turn, in the order of the recipe, and go
through a feed-forward layer; so do several layers. The mean of the queries is classified. Works with any modalities.

In the paper the queries become soft prompts of a large language model, which answers: that needs the model at training
time and is left out, so that heads take its place. What else the paper trains by, focal loss and a supervised
contrastive one, belongs to the recipe.

Inferred, since no code is public: every size, among them how many queries there are; post-norm; one cross-attention for
each modality in a layer; that queries are averaged. Turns are not in the paper: they are heard only where
`config.context` says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.conversation import Context
from fuse.models._crossing import Looking, check_heads
from fuse.models._turns import Around


@dataclass(frozen=True)
class Config:
    """The sizes."""

    context: Context = "none"
    """Which other turns an answer may rest on: both those before and after it, the past alone, or none."""
    width: int = 128
    """Width of queries and of projected steps, and of the recurrent states of each direction."""
    heads: int = 4
    """Attention heads."""
    queries: int = 16
    """Learned queries."""
    layers: int = 2
    """How often the queries look."""
    dropout: float = 0.2
    """On features, on attention weights, in feed-forward layers and on what is classified."""

    def __post_init__(self) -> None:
        check_heads("qformer", self.width, self.heads)


class Layer(nn.Module):
    """Queries look at one another, at each modality in turn, and are mixed."""

    def __init__(self, config: Config, modalities: Shapes) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.own = Looking(width, config.heads, dropout)
        self.across = nn.ModuleDict({f"to_{m}": Looking(width, config.heads, dropout) for m in modalities})
        self.ff = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, queries: Tensor, steps: Mapping[str, Tensor], real: Mapping[str, Tensor]) -> Tensor:
        """Turn (b, queries, width) into the same."""
        queries = self.own(queries, queries, torch.ones_like(queries[:, :, 0], dtype=torch.bool))
        for m in steps:
            queries = self.across[f"to_{m}"](queries, steps[m], real[m])
        mixed: Tensor = self.norm(queries + self.ff(queries))
        return mixed


class Model(nn.Module):
    """Project, ask, average the queries, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        width = config.width
        self.steps = nn.ModuleDict(
            {m: nn.Sequential(nn.Dropout(config.dropout), nn.Linear(d, width)) for m, (_, d) in shapes.items()}
        )
        self.queries = nn.Parameter(torch.randn(config.queries, width))
        self.layers = nn.ModuleList(Layer(config, shapes) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.around = Around(width, width, config.context)
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(self.around.width, classes) for task, classes in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        steps, real = {}, {}
        for m, project in self.steps.items():
            values, real[m] = batch.sequence(m)
            steps[m] = project(values * real[m][:, :, None])
        queries = self.queries.expand(len(batch), -1, -1)
        for layer in self.layers:
            queries = layer(queries, steps, real)
        features = self.representation(self.dropout(self.around(queries.mean(dim=1), batch)))
        return {task: head(features) for task, head in self.heads.items()}
