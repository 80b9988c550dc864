"""How to make one vector of a sequence: four ways of pooling, beside three back-ends, each modality on its own.

Morais et al. 2022, "Speech Emotion Recognition using Self-Supervised Features", study what becomes of an encoder's
frames: how they are made one vector, what classifies it, and how the encoder is tuned, which cached features rule out.
Works with any modalities; of an encoder with a single step mean, attentive and last are the same. Inferred: which
poolings and back-ends these are, one score a step for the attention, and a recurrent layer that goes forwards alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.conversation import Context
from fuse.models._steps import in_front
from fuse.models._turns import Around

Pooling = Literal["mean", "attentive", "last", "statistics"]
Pool = Callable[[Tensor, Tensor], Tensor]
"""Turns steps (b, t, d), the real ones first and zero behind them, and which are real (b, t), into a vector a clip."""


@dataclass(frozen=True)
class Config:
    """Which two are put together, and their dials."""

    pooling: Pooling = "mean"
    """The mean over real steps, the mean that a learnt score of each step weights, the last real step, or mean and
    deviation side by side."""
    backend: Literal["linear", "mlp", "recurrent"] = "linear"
    """A linear layer on what was pooled, a hidden layer with ReLU (with the mean, that is `concat`), or a GRU over the
    steps before they are pooled."""
    width: int = 128
    """Width of each modality's layer, and of the states of the recurrent one."""
    dropout: float = 0.3
    """Share of each pooled vector that is left out in training."""
    context: Context = "none"
    """Which other turns an answer may rest on: both those before and after it, the past alone, or none."""


class Model(nn.Module):
    """Pool each modality, concatenate, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        self.of = nn.ModuleDict({modality: Pooled(config, d) for modality, (_, d) in shapes.items()})
        width = sum(pooled.width + 1 for pooled in self.of.values() if isinstance(pooled, Pooled))
        self.around = Around(width, config.width, config.context)
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(self.around.width, classes) for task, classes in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        joined: list[Tensor] = []
        for modality, pooled in self.of.items():
            present = batch.present[modality][:, None].float()
            joined += [pooled(*in_front(*batch.sequence(modality))) * present, present]
        features = self.representation(self.around(torch.cat(joined, dim=1), batch))
        return {task: head(features) for task, head in self.heads.items()}


class Pooled(nn.Module):
    """One modality's steps (b, t, d), the real ones first, as one vector (b, width)."""

    def __init__(self, config: Config, d: int) -> None:
        super().__init__()
        recurrent = config.backend == "recurrent"
        self.steps = nn.GRU(d, config.width, batch_first=True) if recurrent else None
        d = config.width if recurrent else d
        self.pool: Pool = _Attentive(d) if config.pooling == "attentive" else _PLAIN[config.pooling]
        d = 2 * d if config.pooling == "statistics" else d
        self.width = d if recurrent else config.width
        layer = nn.Identity() if recurrent else nn.Linear(d, config.width)
        self.layers = nn.Sequential(
            nn.Dropout(config.dropout), layer, nn.ReLU() if config.backend == "mlp" else nn.Identity()
        )

    def forward(self, steps: Tensor, real: Tensor) -> Tensor:
        """Return one vector a clip; of a clip without steps it is what the layers make of zeros."""
        if self.steps is not None:
            steps = self.steps(steps)[0].float() * real[:, :, None]
        vector: Tensor = self.layers(self.pool(steps, real))
        return vector


class _Attentive(nn.Module):
    """The mean that a learnt score of each step weights."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.score = nn.Linear(d, 1)

    def forward(self, steps: Tensor, real: Tensor) -> Tensor:
        scores = self.score(steps)[:, :, 0].float().masked_fill(~real, torch.finfo(torch.float32).min)
        pooled: Tensor = (scores.softmax(dim=1)[:, :, None] * steps).sum(dim=1)
        return pooled


def mean(steps: Tensor, real: Tensor) -> Tensor:
    """(b, d): the mean over real steps, zero where there is none."""
    return steps.sum(dim=1) / real.sum(dim=1).clamp(min=1)[:, None]


def last(steps: Tensor, real: Tensor) -> Tensor:
    """(b, d): the last real step."""
    place = (real.sum(dim=1) - 1).clamp(min=0)
    return steps[torch.arange(len(steps), device=steps.device), place]


def statistics(steps: Tensor, real: Tensor) -> Tensor:
    """(b, 2 d): the mean over real steps beside the deviation around it."""
    centre = mean(steps, real)
    spread = mean((steps - centre[:, None]).square() * real[:, :, None], real)
    # The root of nothing has no gradient.
    return torch.cat([centre, spread.clamp(min=1e-12).sqrt()], dim=1)


_PLAIN = {"mean": mean, "last": last, "statistics": statistics}
