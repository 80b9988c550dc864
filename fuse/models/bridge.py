"""Bridge tokens between modalities, for classes and dimensions at once (Ispas et al. 2023).

The steps of each modality look at one another. Learned tokens, a set for each modality, then gather what its steps have
found, and the steps of every modality read the tokens of the others: nothing else passes between modalities. The means
over real steps are classified side by side, classes and dimensions alike. Works with any modalities; with one there is
nobody to read, and no token.

The paper, "A Multi-Task, Multi-Modal Approach for Predicting Categorical and Dimensional Emotions", fuses speech and
words. It trains classes by cross-entropy, valence and arousal by concordance, and now and then hides a modality;
`fuse/recipes/bridge_iemocap.toml` has that.

Inferred, since no code of the authors is public: one layer of each kind, post-norm, without positions or feed-forward
layers; every size; the means. Others who rebuilt it read the paper otherwise: tokens ask, one modality is the keys and
the other the values, which needs as many frames as words. Here tokens look at one modality and are read by the others.
Turns are not in the paper: they are heard only where `config.context` says so.
"""

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
    """Width that every modality is projected to, and of the recurrent states of each direction."""
    heads: int = 4
    """Attention heads."""
    tokens: int = 8
    """Bridge tokens of each modality."""
    dropout: float = 0.2
    """On features, on attention weights and on what is classified."""

    def __post_init__(self) -> None:
        check_heads("bridge", self.width, self.heads)


class Steps(nn.Module):
    """The steps of one modality, projected and having looked at one another; zero where they are not real."""

    def __init__(self, d: int, config: Config) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(d, config.width))
        self.looking = Looking(config.width, config.heads, config.dropout)

    def forward(self, values: Tensor, real: Tensor) -> Tensor:
        """Turn (b, t, d), of which (b, t) is real, into (b, t, width)."""
        steps = self.project(values * real[:, :, None])
        refined: Tensor = self.looking(steps, steps, real) * real[:, :, None]
        return refined


class Bridge(nn.Module):
    """Learned tokens that have gathered what is in the steps of one modality."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(config.tokens, config.width) * 0.02)
        self.looking = Looking(config.width, config.heads, config.dropout)

    def forward(self, steps: Tensor, real: Tensor) -> Tensor:
        """Turn (b, t, width), of which (b, t) is real, into (b, tokens, width)."""
        gathered: Tensor = self.looking(self.tokens.expand(len(steps), -1, -1), steps, real)
        return gathered


class Model(nn.Module):
    """Look within each modality, gather, read across, average, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        crossing = shapes if len(shapes) > 1 else {}
        self.steps = nn.ModuleDict({m: Steps(d, config) for m, (_, d) in shapes.items()})
        self.bridges = nn.ModuleDict({m: Bridge(config) for m in crossing})
        self.readers = nn.ModuleDict({f"to_{m}": Looking(config.width, config.heads, config.dropout) for m in crossing})
        self.dropout = nn.Dropout(config.dropout)
        self.around = Around(len(shapes) * config.width, config.width, config.context)
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(self.around.width, classes) for task, classes in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        sequences = {m: batch.sequence(m) for m in self.steps}
        real = {m: mask for m, (_, mask) in sequences.items()}
        steps = {m: within(*sequences[m]) for m, within in self.steps.items()}
        means = torch.cat([mean(x, real[m]) for m, x in self.read(steps, real).items()], dim=1)
        features = self.representation(self.dropout(self.around(means, batch)))
        return {task: head(features) for task, head in self.heads.items()}

    def read(self, steps: dict[str, Tensor], real: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the steps of each modality after reading the tokens of the others."""
        tokens = {m: bridge(steps[m], real[m]) for m, bridge in self.bridges.items()}
        if not tokens:
            return steps
        there = {m: real[m].any(dim=1, keepdim=True).expand(tokens[m].shape[:2]) for m in tokens}
        read: dict[str, Tensor] = {}
        for m in tokens:
            others = [other for other in tokens if other != m]
            asked, said = (torch.cat([one[other] for other in others], dim=1) for one in (tokens, there))
            read[m] = self.readers[f"to_{m}"](steps[m], asked, said)
        return read


def mean(steps: Tensor, real: Tensor) -> Tensor:
    """Return the mean (b, width) over the steps (b, t, width) that are real (b, t); zero where none is."""
    return (steps * real[:, :, None]).sum(dim=1) / real.sum(dim=1, keepdim=True).clamp(min=1)
