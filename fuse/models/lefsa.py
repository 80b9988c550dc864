"""LEFSA: label-encoder fusion with self- and cross-attention, of emotion and sentiment, as its authors run it.

Every modality guesses the labels on its own; the guess is spread over time and added to its features. Six blocks attend
from each modality to each other one; the answer is the mean of the three unimodal and the multimodal logit vectors.
Input is the element-wise mean of a clip's windows; an absent modality is zeros, padded steps are values like any other.

It departs from the paper where the authors' code does:

- Sequences keep their lengths (149, 30 and 48). The k=7 convolutions that would bring all to 30 exist and never run.
- The label encoding goes to query and value, as the paper's text has it, not to query and key (its equation 2).
- The three matrices of a weighted fusion of predictions exist and are unused: the mean is what is published.

What never runs is built all the same: the authors' 7,186,260 parameters count it, and their checkpoint holds it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks

MODALITIES = ("audio", "video", "text")
WIRING = (("audio", "text", "video"), ("audio", "video", "text"), ("video", "text", "audio"))
"""Per group its two keys and the query they share, in the order in which `fc1` of the authors expects them."""


@dataclass(frozen=True)
class Config:
    """The sizes that the authors use."""

    width: int = 256
    """Channels of every modality after its projection."""
    heads: int = 4
    """Attention heads of each cross block."""
    dropout: float = 0.1
    """In attention, after each sub-layer of a block, and before the multimodal heads."""

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise ValueError(f"lefsa: expected a width that its heads share evenly, got {self.width} and {self.heads}")


_RENAMING = (
    (r"^(\w)_(down|up)sampler", r"modalities.\1"),
    (r"f_downsampler\.1", "channels"),
    (r"t_downsampler", "time"),
    (r"upsampler\.0", "spread"),
    (r"classifier\.fc_emo", "heads.emotion"),
    (r"classifier\.fc_sen", "heads.sentiment"),
    (r"^block_(\w)_(\w)", r"blocks.\1_\2"),
    (r"self_attention", "attention"),
    (r"add_norm_after_(\w+)\.layer_norm", r"norm_\1"),
    (r"feed_forward\.layer_1", "ff.0"),
    (r"feed_forward\.layer_2", "ff.3"),
    (r"^fc1", "hidden.0"),
    (r"^predictions_fusion\.w_", "unused_fusion."),
    *((rf"(?<=[._]){m[0]}(?=[._]|$)", m) for m in MODALITIES),
)


def from_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the authors' parameters, as their checkpoint holds them, to those of `Model`."""
    return {reduce(lambda n, rule: re.sub(rule[0], rule[1], n), _RENAMING, name): x for name, x in state.items()}


class Modality(nn.Module):
    """One modality at the common width, and the labels guessed from it alone."""

    def __init__(self, shape: tuple[int, int], tasks: Tasks, width: int) -> None:
        super().__init__()
        t, d = shape
        self.channels = nn.Conv1d(d, width, 1)
        # Never run by the authors; see the module's docstring.
        self.time = nn.Sequential(
            nn.Conv1d(width, width, 7), nn.GroupNorm(width, width), nn.GELU(), nn.Conv1d(width, width, 7), nn.GELU()
        )
        self.heads = nn.ModuleDict({task: nn.Linear(d, classes) for task, classes in tasks.items()})
        self.spread = nn.ConvTranspose1d(sum(tasks.values()), width, t)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn (b, t, d) into logits of all tasks (b, k), features (b, t, width), and these plus the label encoding."""
        logits = torch.cat([head(features.mean(dim=1)) for head in self.heads.values()], dim=1)
        plain = nn.functional.gelu(self.channels(features.mT)).mT
        return logits, plain, plain + self.spread(logits[:, :, None]).relu().mT


class CrossBlock(nn.Module):
    """One post-norm transformer layer whose query comes from another modality than its key and value."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.attention = nn.MultiheadAttention(width, config.heads, config.dropout, batch_first=True)
        self.norm_attention = nn.LayerNorm(width)
        self.ff = nn.Sequential(nn.Linear(width, width), nn.Dropout(config.dropout), nn.ReLU(), nn.Linear(width, width))
        self.norm_ff = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return (b, t of the query, width)."""
        attended, _ = self.attention(query, key, value, need_weights=False)
        attended = self.norm_attention(self.dropout(attended) + query)
        mixed: Tensor = self.norm_ff(self.dropout(self.ff(attended)) + attended)
        return mixed


class Model(nn.Module):
    """The authors' `LabelEncoderMeanSimpleFusion`, for any shapes of the three modalities and any tasks."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        if set(shapes) != set(MODALITIES):
            raise ValueError(
                f"lefsa: expected the modalities {', '.join(MODALITIES)}, got {', '.join(shapes) or 'none'}; "
                "name one encoder for each in the recipe, or use the model concat, which takes any"
            )
        self.tasks = dict(tasks)
        width, outputs = config.width, sum(tasks.values())
        self.modalities = nn.ModuleDict({m: Modality(shapes[m], tasks, width) for m in MODALITIES})
        self.blocks = nn.ModuleDict({f"{key}_{query}": CrossBlock(config) for *keys, query in WIRING for key in keys})
        self.hidden = nn.Sequential(nn.Linear(6 * width, 2 * width), nn.ReLU(), nn.Dropout(config.dropout))
        self.heads = nn.ModuleDict({task: nn.Linear(2 * width, classes) for task, classes in tasks.items()})
        unused = {m: nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, outputs))) for m in MODALITIES}
        self.unused_fusion = nn.ParameterDict(unused)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task, and by `modality/task` for each modality and for `multimodal`."""
        logits, plain, labelled = {}, {}, {}
        for m in MODALITIES:
            logits[m], plain[m], labelled[m] = self.modalities[m](batch.mean_of_windows(m))
        hidden = self.fuse([self.attend(key, query, plain, labelled) for *keys, query in WIRING for key in keys])
        logits["multimodal"] = torch.cat([head(hidden) for head in self.heads.values()], dim=1)
        final = torch.stack(list(logits.values())).mean(dim=0)
        return self.split(final) | {f"{m}/{task}": x for m in logits for task, x in self.split(logits[m]).items()}

    def attend(self, key: str, query: str, plain: Mapping[str, Tensor], labelled: Mapping[str, Tensor]) -> Tensor:
        """Return the time mean (b, width) of one cross block; the query and the value know the unimodal guesses."""
        mixed: Tensor = self.blocks[f"{key}_{query}"](labelled[query], plain[key], labelled[key])
        return mixed.mean(dim=1)

    def fuse(self, means: list[Tensor]) -> Tensor:
        """Turn the six block means into what the multimodal heads read (b, 2 * width)."""
        pooled = torch.cat(means, dim=1)
        # Two blocks make a group as wide as the hidden layer, so the groups themselves are its shortcut.
        hidden: Tensor = self.hidden(pooled) + sum(pooled.chunk(len(WIRING), dim=1))
        return hidden

    def split(self, logits: Tensor) -> dict[str, Tensor]:
        """Cut logits of all tasks side by side into one tensor per task."""
        return dict(zip(self.tasks, torch.split(logits, list(self.tasks.values()), dim=1), strict=True))
