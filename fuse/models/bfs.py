"""BFS, the baseline strategy of paper 000: six cross-attention blocks over audio, video and text, and one classifier.

Every modality is brought to one width; each block attends from one modality to another; what two blocks with the same
query find is averaged over time. `lefs` adds label encoders to it and `lefsa` lets their guesses count in the answer.

Input is the element-wise mean of a clip's windows; an absent modality is zeros, padded steps are values like any other.

The variant `authors` is the authors' code, which is published for LEFSA alone: BFS follows from it by removal. Where it
departs from the paper: sequences keep their lengths (149, 30 and 48), and the k=7 convolutions that would bring all to
30 exist and never run. They are built all the same, since the authors' numbers of parameters count them.

The variant `paper_literal` is 30 x 256, as the paper has it. How it gets there the paper does not say; here the
convolutions run, padded by 3 so that short sequences survive them, and adaptive average pooling to 30 steps follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.models._crossing import MODALITIES, CrossBlock, check_heads, check_shapes, lengthened

THRESHOLD = 1 / 7
"""From which share on an emotion counts as there: what each of the seven has when nothing is known."""
WIRING = (("audio", "text", "video"), ("audio", "video", "text"), ("video", "text", "audio"))
"""Per group its two keys and the query they share, in the order in which `fc1` of the authors expects them."""
LITERAL_STEPS = 30


@dataclass(frozen=True)
class Config:
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

    def __post_init__(self) -> None:
        check_heads("bfs, lefs, lefsa", self.width, self.heads)


class Projection(nn.Module):
    """One modality at the common width."""

    def __init__(self, modality: str, shape: tuple[int, ...], config: Config) -> None:
        super().__init__()
        t, d = shape
        width = config.width
        self.resamples = config.variant == "paper_literal"
        if self.resamples and t < 2:
            raise ValueError(
                f"{modality}: expected two steps or more for the variant paper_literal, which norms each channel over "
                "time, got 1; use the variant authors"
            )
        self.channels = nn.Conv1d(d, width, 1)
        self.time = nn.Sequential(
            nn.Conv1d(width, width, 7, padding=3),
            nn.GroupNorm(width, width),
            nn.GELU(),
            nn.Conv1d(width, width, 7, padding=3),
            nn.GELU(),
            nn.AdaptiveAvgPool1d(LITERAL_STEPS),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Turn (b, t, d) into (b, t or 30, width)."""
        projected: Tensor = nn.functional.gelu(self.channels(features.mT))
        return (self.time(projected) if self.resamples else projected).mT


class WindowAttention(nn.Module):
    """A weight for each window of a clip, the same for all before training."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.score = nn.Linear(d, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, batch: Batch, modality: str) -> Tensor:
        """Return (b, t, d): the weighted mean of the windows that exist; zero where there is none."""
        exists, steps = batch.windows[modality], batch.steps[modality][..., None]
        values = batch.values[modality] * exists[:, :, None, None]
        scores: Tensor = self.score((values * steps).sum(dim=2) / steps.sum(dim=2).clamp(min=1)).squeeze(2)
        shares = scores.masked_fill(~exists, torch.finfo(scores.dtype).min).softmax(dim=1)
        return (values * shares[:, :, None, None]).sum(dim=1)


class Model(nn.Module):
    """Six cross blocks for any shapes of the three modalities and any tasks."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        check_shapes(type(self).__module__.rpartition(".")[2], shapes)
        self.t = {m: shapes[m][0] for m in MODALITIES}
        # Side by side they always lie as in the authors' checkpoint, emotion before sentiment.
        self.tasks = dict(sorted(tasks.items()))
        width = config.width
        self.projections = nn.ModuleDict({m: Projection(m, shapes[m], config) for m in MODALITIES})
        self.blocks = nn.ModuleDict({f"{key}_{query}": _block(config) for *keys, query in WIRING for key in keys})
        self.hidden = nn.Sequential(nn.Linear(6 * width, 2 * width), nn.ReLU(), nn.Dropout(config.dropout))
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(2 * width, classes) for task, classes in self.tasks.items()})
        weighed = MODALITIES if config.windows == "attention" else ()
        self.window_attention = nn.ModuleDict({m: WindowAttention(shapes[m][1]) for m in weighed})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        plain = {m: self.projections[m](self.read(batch, m)) for m in MODALITIES}
        return self.split(self.cross(plain, plain))

    def read(self, batch: Batch, modality: str) -> Tensor:
        """Return one sequence per clip (b, t, d), t being that of the longest of all clips."""
        weighed = modality in self.window_attention
        windows = self.window_attention[modality](batch, modality) if weighed else batch.mean_of_windows(modality)
        return lengthened(windows, self.t[modality])

    def cross(self, plain: Mapping[str, Tensor], labelled: Mapping[str, Tensor]) -> Tensor:
        """Return the multimodal logits of all tasks (b, k)."""
        hidden = self.fuse([self.attend(key, query, plain, labelled) for *keys, query in WIRING for key in keys])
        hidden = self.representation(hidden)
        return torch.cat([head(hidden) for head in self.heads.values()], dim=1)

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


def _block(config: Config) -> CrossBlock:
    attention = nn.MultiheadAttention(config.width, config.heads, config.dropout, batch_first=True)
    return CrossBlock(attention, config.dropout)
