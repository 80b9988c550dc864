"""What `triple` and `double` share: two fusions that the authors of paper 000 built before LEFSA.

Audio, video and text are brought to 20 steps of one width: audio (199 x 1024 there) by a convolution over channels and
two of k=7 and stride 3 over time, text (32 x 1024) by the same with stride 1; video (20 x 512) has that shape already.
Here any shape will do, at the price of departures that a model's `notes` name:

- Sequences of other lengths are pooled to 20 steps after the convolutions, by adaptive averages; one that is too short
  for the convolutions is lengthened with zeros first.
- Video of another width than the common one is projected to it.

Their blocks hold a layer norm that never runs; it is left out. Their statistics of windows (means and deviations side
by side) and their label encoders, which read what separately trained models say, are not here.
"""

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.models._crossing import MODALITIES, CrossBlock, check_shapes, lengthened

STEPS = 20
KERNEL = 7
STRIDES = {"audio": 3, "text": 1}
"""Of the convolutions over time; video has none."""


class Reader(nn.Module):
    """One modality as 20 steps of the common width."""

    def __init__(self, modality: str, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        t, d = shape
        stride = STRIDES.get(modality)
        self.t = max(t, KERNEL + (KERNEL - 1) * stride) if stride else t
        left = self.t
        if stride:
            left = ((left - KERNEL) // stride + 1 - KERNEL) // stride + 1
            self.layers = nn.Sequential(
                nn.Conv1d(d, width, 1),
                nn.GELU(),
                nn.Conv1d(width, width, KERNEL, stride),
                nn.GroupNorm(width, width),
                nn.GELU(),
                nn.Conv1d(width, width, KERNEL, stride),
                nn.GELU(),
            )
        else:
            self.layers = nn.Sequential(*() if d == width else [nn.Conv1d(d, width, 1)])
        pooled = [f"{modality}: {left} steps of {t} are left, averaged to {STEPS}"] if left != STEPS else []
        projected = [f"{modality}: {d} wide, projected to {width}"] if not stride and d != width else []
        self.notes = (*pooled, *projected)

    def forward(self, features: Tensor) -> Tensor:
        """Turn (b, t, d) into (b, 20, width)."""
        read = self.layers(lengthened(features, self.t).mT)
        return nn.functional.adaptive_avg_pool1d(read, STEPS).mT


class Readers(nn.Module):
    """All three modalities of a clip, the windows of each averaged element-wise; an absent one is zeros."""

    def __init__(self, model: str, shapes: Shapes, width: int) -> None:
        super().__init__()
        check_shapes(model, shapes)
        readers = {m: Reader(m, shapes[m], width) for m in MODALITIES}
        self.of = nn.ModuleDict(readers)
        self.notes = tuple(note for reader in readers.values() for note in reader.notes)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return (b, 20, width) by modality."""
        return {m: reader(batch.mean_of_windows(m)) for m, reader in self.of.items()}


class Block(nn.Module):
    """A cross block without biases in its attention, all of whose inputs are told their steps."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.block = CrossBlock(nn.MultiheadAttention(width, heads, bias=False, batch_first=True), dropout)
        self.dropout = nn.Dropout(dropout)
        angles = torch.arange(STEPS)[:, None] * 10_000 ** (-torch.arange(0, width, 2) / width)
        positions = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
        self.register_buffer("positions", positions, persistent=False)
        self.positions: Tensor

    def forward(self, query: Tensor, looked_at: Tensor) -> Tensor:
        """Return (b, 20, width): what the query finds in the other sequence."""
        query, key, value = (self.dropout(x + self.positions) for x in (query, looked_at, looked_at))
        mixed: Tensor = self.block(query, key, value)
        return mixed


class BatchNorm(nn.BatchNorm1d):
    """Norm over the batch; a clip alone in a training batch is normed with the running statistics, as in scoring."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, d)."""
        if len(x) > 1:
            return super().forward(x)
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class Classifier(nn.Module):
    """What both put after their fusion."""

    def __init__(self, pooled: int, hidden: int, tasks: Tasks) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(pooled, hidden), BatchNorm(hidden), nn.Tanh())
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(hidden, classes) for task, classes in tasks.items()})

    def forward(self, pooled: Tensor) -> dict[str, Tensor]:
        """Return logits by task."""
        hidden = self.representation(self.hidden(pooled))
        return {task: head(hidden) for task, head in self.heads.items()}
