"""TripleFusion, a precursor of LEFSA by the authors of paper 000: all pairs cross, then the two halves.

Six blocks attend from each modality to each other one. Three of them, in which every modality asks once and is looked
at once, stand side by side; so do the other three; and the two triples attend to each other. Means and deviations over
time of both are classified.

The authors took each window of a clip as an example and let the windows vote (`data.windows = "vote"`); where a clip
has several windows here, they are averaged element-wise. An absent modality is zeros, padded steps are values like any
other. Where it departs from the authors' code is said in `_precursor.py`, and by `notes` for the shapes at hand.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.models import _crossing
from fuse.models._precursor import Block, Classifier, Readers

MODALITIES = _crossing.MODALITIES
TRIPLES = (
    (("video", "audio"), ("text", "video"), ("audio", "text")),
    (("audio", "video"), ("video", "text"), ("text", "audio")),
)
"""The (query, key) of the blocks that stand side by side."""


@dataclass(frozen=True)
class Config:
    """The sizes that the authors use."""

    width: int = 512
    """Channels of every modality; the second crossing is three times as wide."""
    heads: int = 8
    """Attention heads of each block."""
    dropout: float = 0.1
    """On what a block is given, and after each of its sub-layers."""
    hidden: int = 256
    """Width of the layer before the heads."""

    def __post_init__(self) -> None:
        _crossing.check_heads("triple", self.width, self.heads)


class Model(nn.Module):
    """Cross in pairs, cross the pairs, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        width, heads, dropout = config.width, config.heads, config.dropout
        self.readers = Readers("triple", shapes, width)
        self.blocks = nn.ModuleDict(
            {f"{key}_{query}": Block(width, heads, dropout) for triple in TRIPLES for query, key in triple}
        )
        self.crossing = nn.ModuleList(Block(3 * width, heads, dropout) for _ in TRIPLES)
        self.classifier = Classifier(12 * width, config.hidden, tasks)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        read = self.readers(batch)
        first, second = (
            torch.cat([self.blocks[f"{key}_{query}"](read[query], read[key]) for query, key in triple], dim=2)
            for triple in TRIPLES
        )
        crossed = torch.cat([self.crossing[0](second, first), self.crossing[1](first, second)], dim=2)
        logits: dict[str, Tensor] = self.classifier(torch.cat([crossed.mean(dim=1), crossed.std(dim=1)], dim=1))
        return logits

    def notes(self) -> tuple[str, ...]:
        """Say where these shapes need more than the authors' layers."""
        return self.readers.notes
