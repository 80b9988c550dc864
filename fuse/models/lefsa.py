"""LEFSA: label-encoder fusion with averaging, of emotion and sentiment, as the authors of paper 000 run it.

LEFS, whose answer is the mean of the three unimodal and the multimodal logit vectors. What is said of `bfs` and `lefs`
holds here; the variant `authors` is the authors' own, and their checkpoint fits it.

Their code also has a weighted fusion of predictions, which is unused: the mean is what is published. Its three matrices
are built all the same, since the authors' 7,186,260 parameters count them and their checkpoint holds them. The variant
`paper_literal` has none, for the paper's strategy adds no parameter to LEFS.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.models import bfs, lefs
from fuse.models._crossing import MODALITIES

THRESHOLD = bfs.THRESHOLD


@dataclass(frozen=True)
class Config(bfs.Config):
    """The sizes that the authors use."""

    width: int = 256
    """Channels of every modality after its projection."""
    heads: int = 4
    """Attention heads of each cross block."""
    dropout: float = 0.1
    """In attention, after each sub-layer of a block, and before the multimodal heads."""
    variant: Literal["authors", "paper_literal"] = "authors"
    """As the authors' code has it, or 30 steps of every modality, as the paper says."""
    windows: Literal["mean", "attention"] = "mean"
    """Average a clip's windows, or weigh each by a learned score, for which `data.windows` has to be `all`."""
    fusion: Literal["mean", "weighted"] = "mean"
    """Average the four logit vectors, or add the unimodal ones, each times a learned matrix, to the multimodal one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant == "paper_literal" and self.fusion != "mean":
            raise ValueError(f"lefsa: expected fusion mean with the variant paper_literal, got {self.fusion}")


_RENAMING = (
    (r"^(\w)_downsampler\.f_downsampler\.1", r"projections.\1.channels"),
    (r"^(\w)_downsampler\.t_downsampler", r"projections.\1.time"),
    (r"^(\w)_upsampler", r"label_encoders.\1"),
    (r"upsampler\.0", "spread"),
    (r"classifier\.fc_emo", "heads.emotion"),
    (r"classifier\.fc_sen", "heads.sentiment"),
    (r"^block_(\w)_(\w)", r"blocks.\1_\2"),
    (r"self_attention", "attention"),
    (r"add_norm_after_(\w+)\.layer_norm", r"norm_\1"),
    (r"feed_forward\.layer_1", "ff.0"),
    (r"feed_forward\.layer_2", "ff.3"),
    (r"^fc1", "hidden.0"),
    (r"^predictions_fusion\.w_", "fusion_weights."),
    *((rf"(?<=[._]){m[0]}(?=[._]|$)", m) for m in MODALITIES),
)


def from_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the authors' parameters, as their checkpoint holds them, to those of `Model`."""
    return {reduce(lambda n, rule: re.sub(rule[0], rule[1], n), _RENAMING, name): x for name, x in state.items()}


class Model(lefs.Model):
    """The authors' `LabelEncoderMeanSimpleFusion`, for any shapes of the three modalities and any tasks."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__(config, shapes, tasks)
        self.fusion, outputs = config.fusion, sum(tasks.values())
        matrices = MODALITIES if config.variant == "authors" else ()
        self.fusion_weights = nn.ParameterDict(
            {m: nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, outputs))) for m in matrices}
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task, and by `modality/task` for each modality and for `multimodal`."""
        guesses, multimodal = self.guess(batch)
        final = self.average(guesses, multimodal) if self.fusion == "mean" else self.weigh(guesses, multimodal)
        return self.split(final) | self.parts({**guesses, "multimodal": multimodal})

    def average(self, guesses: Mapping[str, Tensor], multimodal: Tensor) -> Tensor:
        """Return the mean of all logit vectors (b, k)."""
        return torch.stack([*guesses.values(), multimodal]).mean(dim=0)

    def weigh(self, guesses: Mapping[str, Tensor], multimodal: Tensor) -> Tensor:
        """Return the multimodal logits and, each through its matrix, the unimodal ones on top (b, k)."""
        return multimodal + torch.stack([x @ self.fusion_weights[m] for m, x in guesses.items()]).sum(dim=0)
