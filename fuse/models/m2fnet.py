"""M2FNet (Chudasama et al. 2022): each modality goes over a clip's steps and over the turns, then text asks the others.

Two levels per modality: a transformer over the clip's own steps, whose mean is the clip's vector, and transformers over
the turns, each added to what it was given. In each fusion layer the turns of one modality, text or else the first there
is, attend over all others' turns; what was found beside who asked passes a linear layer. All of it, side by side, is
classified. With one modality there is nobody to ask, and its turns are classified as they are.

No code of the authors is known. Inferred, after what others built from the paper: how many transformers, layers and
heads there are; that skips are sums; that text asks, and whom it asks give keys and values (others take values from
text); that the other modalities lie one after another as keys, so that any number of them can.
Departs: features are frozen, so that nothing stands here of how the paper trains RoBERTa, and extractors of sound and
faces by a triplet loss of adaptive margin; a transformer over their steps is in their place. Modalities are projected
to one width, turns know their place, and feed-forward parts are twice as wide as a state.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.conversation import Context, Conversations
from fuse.models._crossing import check_heads
from fuse.models._turns import Attention, positions


@dataclass(frozen=True)
class Config:
    """The dials of M2FNet."""

    context: Context = "both"
    """Which other turns an answer may rest on: both those before and after it, the past alone, or none."""
    width: int = 128
    """Width that every modality is projected to, and of all states."""
    heads: int = 8
    """Attention heads of every layer."""
    step_layers: int = 1
    """Layers over a clip's own steps; with none the steps are averaged."""
    encoders: int = 2
    """Transformers over the turns of each modality, each with a skip beside it."""
    layers: int = 1
    """Layers of each of them."""
    fusion_layers: int = 2
    """Layers in which one modality asks the others."""
    dropout: float = 0.3
    """Share of each feature vector, in every layer and before the heads, that is left out in training."""


class Steps(nn.Module):
    """A clip's own steps as one vector; zero where there is none."""

    def __init__(self, d: int, config: Config) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.projection = nn.Sequential(nn.Dropout(dropout), nn.Linear(d, width), nn.ReLU())
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, config.heads, 2 * width, dropout, batch_first=True)
            for _ in range(config.step_layers)
        )

    def forward(self, values: Tensor, real: Tensor) -> Tensor:
        """Turn (b, t, d) and which of them are real (b, t) into (b, width)."""
        steps = self.projection(values.masked_fill(~real[:, :, None], 0))
        # Steps are counted as they are real, whatever padding lies between windows.
        steps = steps + positions(real.cumsum(dim=1).clamp(min=1), steps.shape[2])
        unheard = ~(real | ~real.any(dim=1, keepdim=True))  # of no step at all there is no softmax
        for layer in self.layers:
            steps = layer(steps, src_key_padding_mask=unheard)
        total = steps.masked_fill(~real[:, :, None], 0).sum(dim=1)
        return cast("Tensor", total / real.sum(dim=1, keepdim=True).clamp(min=1))


class Part(nn.Module):
    """What is of one modality alone: its steps, then its turns."""

    def __init__(self, d: int, config: Config) -> None:
        super().__init__()
        self.steps = Steps(d, config)
        self.encoders = nn.ModuleList(
            Attention(config.width, config.heads, config.layers, config.dropout) for _ in range(config.encoders)
        )

    def forward(self, values: Tensor, real: Tensor, conversations: Conversations) -> Tensor:
        """Turn (b, t, d) into (b, width)."""
        turns = conversations.lay(self.steps(values, real))
        for encoder in self.encoders:
            turns = turns + encoder(turns, conversations)
        return conversations.back(turns)


class Fusion(nn.Module):
    """One modality's turns ask those of the others; what they find lies beside them in a linear layer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(config.width, config.heads, config.dropout, batch_first=True)
        self.linear = nn.Linear(2 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, asking: Tensor, others: Tensor, unheard: Tensor) -> Tensor:
        """Turn (c, u, width), given keys (c, k, width) and which no head may hear (c * heads, u, k), into another."""
        found, _ = self.attention(asking, others, others, attn_mask=unheard, need_weights=False)
        mixed: Tensor = self.dropout(self.linear(torch.cat([found, asking], dim=2).relu()))
        return mixed


class Model(nn.Module):
    """Steps, turns, fusion, classifier."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        check_heads("m2fnet", config.width, config.heads)
        self.config = config
        self.asking = "text" if "text" in shapes else next(iter(shapes))
        self.parts = nn.ModuleDict({modality: Part(d, config) for modality, (_, d) in shapes.items()})
        self.fusion = nn.ModuleList(Fusion(config) for _ in range(config.fusion_layers if len(shapes) > 1 else 0))
        joined = nn.Linear(len(shapes) * config.width, config.width)
        self.joined = nn.Sequential(joined, nn.ReLU(), nn.Dropout(config.dropout))
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(config.width, k) for task, k in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        conversations = Conversations.of(batch, self.config.context)
        turns = {m: part(*batch.sequence(m), conversations) for m, part in self.parts.items()}
        asking = conversations.lay(turns.pop(self.asking))
        if turns:
            others = torch.cat([conversations.lay(one) for one in turns.values()], dim=1)
            unheard = ~conversations.heard.repeat(1, 1, len(turns)).repeat_interleave(self.config.heads, dim=0)
            for layer in self.fusion:
                asking = layer(asking, others, unheard)
        features = torch.cat([conversations.back(asking), *turns.values()], dim=1)
        features = self.representation(self.joined(features))
        return {task: head(features) for task, head in self.heads.items()}
