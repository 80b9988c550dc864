"""What models of conversations share: a clip's modalities as vectors, and layers that go over its turns.

No layer looks at a turn that `Conversations.heard` does not allow, and none norms over a batch, where turns to come
would be heard.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes
from fuse.conversation import Context, Conversations


class Vectors(nn.Module):
    """Each modality of a clip as one vector: the mean of its real steps through a layer; zero where it is absent."""

    def __init__(self, shapes: Shapes, width: int, dropout: float) -> None:
        super().__init__()
        self.of = nn.ModuleDict(
            {
                modality: nn.Sequential(nn.Dropout(dropout), nn.Linear(d, width), nn.ReLU())
                for modality, (_, d) in shapes.items()
            }
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return (b, width) by modality."""
        present = batch.present
        return {m: layer(batch.mean_of_steps(m)) * present[m][:, None] for m, layer in self.of.items()}


class Recurrent(nn.Module):
    """A GRU over turns from the first on, and where turns to come may be heard another from the last back."""

    def __init__(self, d: int, width: int, context: Context) -> None:
        super().__init__()
        self.forwards = nn.GRU(d, width, batch_first=True)
        self.backwards = nn.GRU(d, width, batch_first=True) if context == "both" else None
        self.width = width * (2 if context == "both" else 1)

    def forward(self, turns: Tensor, conversations: Conversations) -> Tensor:
        """Turn (c, u, d) into (c, u, width)."""
        states: Tensor = self.forwards(turns)[0]
        if self.backwards is None:
            return states
        back = conversations.reversed(self.backwards(conversations.reversed(turns))[0])
        return torch.cat([states, back], dim=2)


class Around(nn.Module):
    """What a clip says itself and, where other turns may be heard, beside it what was heard in them."""

    def __init__(self, width: int, states: int, context: Context) -> None:
        super().__init__()
        self.context = context
        self.recurrent = None if context == "none" else Recurrent(width, states, context)
        self.width = width if self.recurrent is None else width + self.recurrent.width

    def forward(self, own: Tensor, batch: Batch) -> Tensor:
        """Turn (b, width that it was given) into (b, its own width)."""
        if self.recurrent is None:
            return own
        conversations = Conversations.of(batch, self.context)
        around = conversations.back(self.recurrent(conversations.lay(own), conversations))
        return torch.cat([own, around], dim=1)


class Attention(nn.Module):
    """Transformer layers over turns, each of which knows its place."""

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True) for _ in range(layers)
        )

    def forward(self, turns: Tensor, conversations: Conversations) -> Tensor:
        """Turn (c, u, width) into (c, u, width)."""
        unheard = ~conversations.heard.repeat_interleave(self.heads, dim=0)
        turns = turns + positions(conversations.turn, turns.shape[2])
        for layer in self.layers:
            turns = cast("Tensor", layer(turns, src_mask=unheard))
        return turns


def positions(turn: Tensor, width: int) -> Tensor:
    """Return sines and cosines (c, u, width) of places, counted from each conversation's first turn that is there."""
    rates = torch.exp(torch.arange(0, width, 2, device=turn.device) * (-math.log(10_000) / width))
    angles = (turn - turn[:, :1])[:, :, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=3).flatten(2)[:, :, :width]
