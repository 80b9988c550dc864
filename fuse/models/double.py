"""DoubleFusion, a precursor of LEFSA by the authors of paper 000: one modality asks the other two, and these cross.

Each modality attends to itself; one of them, the text, asks the two others; what it finds in one attends to what it
finds in the other, and the other way round. Averages and maxima over time of both are classified.

The authors took each window of a clip as an example and let the windows vote (`data.windows = "vote"`); where a clip
has several windows here, they are averaged element-wise. An absent modality is zeros, padded steps are values like any
other. Where it departs from the authors' code is said in `_precursor.py`, and by `notes` for the shapes at hand.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.models._crossing import MODALITIES, check_heads
from fuse.models._precursor import Block, Classifier, Readers


@dataclass(frozen=True)
class Config:
    """The sizes that the authors use."""

    width: int = 512
    """Channels of every modality."""
    heads: int = 8
    """Attention heads of each block."""
    dropout: float = 0.1
    """On what a block is given, and after each of its sub-layers."""
    hidden: int = 256
    """Width of the layer before the heads."""
    query: Literal["text", "video", "audio"] = "text"
    """The modality that asks the other two; the authors tried each."""

    def __post_init__(self) -> None:
        check_heads("double", self.width, self.heads)


class Model(nn.Module):
    """Attend within each modality, ask two from the third, cross these, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        self.query = config.query
        self.asked = tuple(m for m in MODALITIES if m != config.query)
        self.readers = Readers("double", shapes, config.width)
        self.alone = _blocks(config, MODALITIES)
        self.asking = _blocks(config, self.asked)
        self.crossing = _blocks(config, self.asked)
        self.classifier = Classifier(4 * config.width, config.hidden, tasks)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        read = {m: self.alone[m](x, x) for m, x in self.readers(batch).items()}
        first, second = (self.asking[m](read[self.query], read[m]) for m in self.asked)
        both = zip(self.crossing.values(), ((first, second), (second, first)), strict=True)
        crossed = torch.cat([block(query, looked_at) for block, (query, looked_at) in both], dim=2)
        logits: dict[str, Tensor] = self.classifier(torch.cat([crossed.mean(dim=1), crossed.amax(dim=1)], dim=1))
        return logits

    def notes(self) -> tuple[str, ...]:
        """Say where these shapes need more than the authors' layers."""
        return self.readers.notes


def _blocks(config: Config, modalities: tuple[str, ...]) -> nn.ModuleDict:
    return nn.ModuleDict({m: Block(config.width, config.heads, config.dropout) for m in modalities})
