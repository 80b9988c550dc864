"""Multimodal Interaction of paper 001: one vector a modality, and what comes of them in pairs and threes.

The paper gives a figure and no code. What its text and the code of its other model leave open was chosen so:

- A modality's vector: the first token of text, the mean over the steps of audio, the last state of an LSTM over video
  (pictures go through the convolution of `cross_bert` first); projected to one width and normed, times a learnt weight.
  The norm is ours: without it products of four vectors vanish or explode with the scale of an encoder's features.
- A pair: each element of one vector attends to all of the other's, softmax(x y^T) y, times itself, and the same the
  other way round; both side by side.
- The triple: the product of the three vectors, element by element.
- Unions of pairs: the same as a pair, of each two of the three pairs.

Each set has its own bias, taken to be one number. An absent modality is zero, and so is every pair,
triple and union that it has a part in. Of two modalities there are only the vectors and the pair, of one only the
vector: what does not exist is left out, and the report says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.models._branches import States, averaged

MODALITIES = ("text", "audio", "video")
SETS = {"uni": 1, "pairs": 2, "triple": 3, "unions": 3}
"""What can be classified, and how many modalities each needs."""
STEPS = 50
"""Of the LSTM over video, as paper 001 has it."""


@dataclass(frozen=True)
class Config:
    """The sizes, and what is classified."""

    width: int = 128
    """Width of every modality's vector."""
    dropout: float = 0.3
    """Share of the joined sets that is left out in training."""
    sets: tuple[str, ...] = tuple(SETS)
    """Which are joined: the vectors (`uni`), their `pairs`, the `triple`, and `unions` of pairs."""

    def __post_init__(self) -> None:
        if not self.sets or not set(self.sets) <= set(SETS) or len(set(self.sets)) < len(self.sets):
            expected, got = ", ".join(SETS), ", ".join(self.sets) or "none"
            raise ValueError(f"interaction: expected sets out of {expected}, each at most once, got {got}")


def pair(x: Tensor, y: Tensor) -> Tensor:
    """Return what two vectors (b, d) make of each other (b, 2 d); zero where one of them is."""
    return torch.cat([_seen_by(x, y) * x, _seen_by(y, x) * y], dim=1)


def _seen_by(x: Tensor, y: Tensor) -> Tensor:
    """Return softmax(x y^T) y (b, d): attention whose queries, keys and values are one element wide."""
    query, key = x[:, None, :, None], y[:, None, :, None]
    return nn.functional.scaled_dot_product_attention(query, key, key, scale=1.0)[:, 0, :, 0]


class Vector(nn.Module):
    """One modality as one vector; zero where it is absent."""

    def __init__(self, modality: str, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.modality = modality
        self.states = States(modality, shape, STEPS, width) if modality == "video" else None
        self.project = nn.Identity() if modality == "video" else nn.Linear(shape[1], width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, width)."""
        if self.states is not None:
            whole = self.states(batch)[:, -1]
        elif self.modality == "text":
            whole = averaged(batch, "text")[0][:, 0]
        else:
            whole = batch.mean_of_steps(self.modality)
        vector: Tensor = self.weight * self.norm(self.project(whole))
        return vector * batch.present[self.modality][:, None]


def _check(shapes: Shapes) -> None:
    if not shapes or not set(shapes) <= set(MODALITIES):
        raise ValueError(
            f"interaction: expected modalities out of {', '.join(MODALITIES)}, got {', '.join(shapes) or 'none'}; "
            "or use the model concat, which takes any"
        )
    if flawed := [modality for modality, shape in shapes.items() if len(shape) > 2 and modality != "video"]:
        raise ValueError(f"interaction: expected vectors as {' and '.join(flawed)}, got pictures; name another encoder")


class Model(nn.Module):
    """Join the sets that exist, and classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        _check(shapes)
        self.absent = tuple(name for name in config.sets if SETS[name] > len(shapes))
        self.sets = tuple(name for name in config.sets if name not in self.absent)
        if not self.sets:
            least = min(SETS[name] for name in config.sets)
            raise ValueError(
                f"interaction: expected at least {least} modalities for {', '.join(config.sets)}, got "
                f"{', '.join(shapes)}; name more encoders, or add uni to config.sets"
            )
        # In the order of the paper and not of the recipe, which must not decide what stands where.
        self.vectors = nn.ModuleDict({m: Vector(m, shapes[m], config.width) for m in MODALITIES if m in shapes})
        self.biases = nn.ParameterDict({name: nn.Parameter(torch.zeros(1)) for name in self.sets})
        self.dropout = nn.Dropout(config.dropout)
        pairs = len(shapes) * (len(shapes) - 1) // 2
        vectors = {"uni": len(shapes), "pairs": 2 * pairs, "triple": 1, "unions": 4 * pairs}
        width = config.width * sum(vectors[name] for name in self.sets)
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(width, classes) for task, classes in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        found = self.made([vector(batch) for vector in self.vectors.values()])
        joined = self.dropout(torch.cat([found[name] + self.biases[name] for name in self.sets], dim=1))
        joined = self.representation(joined)
        return {task: head(joined) for task, head in self.heads.items()}

    def made(self, vectors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return every set that is asked for, its vectors side by side (b, d of the set)."""
        pairs = [pair(x, y) for x, y in combinations(vectors, 2)] if {"pairs", "unions"} & set(self.sets) else []
        unions = [pair(x, y) for x, y in combinations(pairs, 2)] if "unions" in self.sets else []
        sets = {"uni": vectors, "pairs": pairs, "triple": [prod(vectors[1:], start=vectors[0])], "unions": unions}
        return {name: torch.cat(list(sets[name]), dim=1) for name in self.sets}

    def notes(self) -> tuple[str, ...]:
        """Say which sets do not exist for lack of modalities."""
        there = " and ".join(self.vectors)
        return tuple(f"There are no {name} of {there}: left out." for name in self.absent)
