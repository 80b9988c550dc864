"""Learning Alignment (Xu et al. 2019): each word listens to the speech frames that go with it.

Two-way LSTMs go over tokens and over frames. Every token weighs all frames, their weighted mean is put beside it, and a
third two-way LSTM goes over these pairs; the greatest value of each unit over the tokens is classified. A score is tanh
of a term of the token plus one of the frame: weights differ by a factor of e^2 at most. `score = "product"` has scaled
products instead, as the authors' code has in several heads.

Inferred: the paper's score, widths, dropout and the layer before the heads; the code attends where the paper takes the
greatest values. Ours: modalities beside text are aligned each on its own and lie side by side; a clip without text
asks with one empty token, so that it is answered from what else it has; a GRU may go over the turns of a conversation.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.conversation import Context
from fuse.models._steps import in_front
from fuse.models._turns import Around

ASKING = "text"


@dataclass(frozen=True)
class Config:
    """The dials of the alignment."""

    context: Context = "none"
    """Which other turns an answer may rest on: none, as in the paper, the past alone, or those after it, too."""
    score: Literal["sum", "product"] = "sum"
    """What a token and a frame are scored by: tanh of a sum of two terms, or the product of two vectors."""
    width: int = 128
    """Width of the states of each direction, and of the layer before the heads."""
    dropout: float = 0.3
    """Share of all features, of what is aligned and before the heads, that is left out in training."""


class Steps(nn.Module):
    """A two-way LSTM over the real steps, which come first."""

    def __init__(self, d: int, width: int) -> None:
        super().__init__()
        self.forwards = nn.LSTM(d, width, batch_first=True)
        self.backwards = nn.LSTM(d, width, batch_first=True)

    def forward(self, steps: Tensor, real: Tensor) -> Tensor:
        """Turn (b, t, d) and which of them are real (b, t) into (b, t, 2 * width), zero where they are not."""
        place = torch.arange(real.shape[1], device=real.device)
        mirrored = torch.where(real, real.sum(dim=1, keepdim=True) - 1 - place, place)[:, :, None]
        back = self.backwards(steps.gather(1, mirrored.expand_as(steps)))[0]
        back = back.gather(1, mirrored.expand_as(back))
        return torch.cat([self.forwards(steps)[0], back], dim=2).float() * real[:, :, None]


class Alignment(nn.Module):
    """What each token hears of another modality's steps; nothing where there are none."""

    def __init__(self, d: int, config: Config) -> None:
        super().__init__()
        self.product = config.score == "product"
        self.token = nn.Linear(d, config.width if self.product else 1)
        self.step = nn.Linear(d, config.width if self.product else 1, bias=False)

    def forward(self, tokens: Tensor, steps: Tensor, real: Tensor) -> Tensor:
        """Turn tokens (b, t, d) and steps (b, s, d), of which some are real (b, s), into (b, t, d)."""
        return self.weights(tokens, steps, real) @ steps

    def weights(self, tokens: Tensor, steps: Tensor, real: Tensor) -> Tensor:
        """Return how much each token hears of each step (b, t, s)."""
        token, step = self.token(tokens), self.step(steps)
        scores: Tensor = token @ step.mT / token.shape[2] ** 0.5 if self.product else (token + step.mT).tanh()
        scores = scores.float()
        lowest = torch.finfo(scores.dtype).min  # where no step is real, all are alike, and zero
        return scores.masked_fill(~real[:, None], lowest).softmax(dim=2)


class Model(nn.Module):
    """Encode, align, encode again, take the greatest, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        if ASKING not in shapes or len(shapes) < 2 or any(len(shape) > 2 for shape in shapes.values()):
            named = ", ".join(f"{m} of {'pictures' if len(shape) > 2 else 'vectors'}" for m, shape in shapes.items())
            raise ValueError(
                f"align: expected vectors of {ASKING} and of one or more modalities that it is aligned with, got "
                f"{named or 'nothing'}; name encoders for them in the recipe, or use the model concat, which takes any"
            )
        width = config.width
        self.dropout = nn.Dropout(config.dropout)
        self.steps = nn.ModuleDict({m: Steps(d, width) for m, (_, d) in shapes.items()})
        others = [m for m in shapes if m != ASKING]
        self.alignments = nn.ModuleDict({f"{ASKING}_{m}": Alignment(2 * width, config) for m in others})
        self.aligned = Steps(len(shapes) * 2 * width, width)
        self.around = Around(2 * width, width, config.context)
        self.hidden = nn.Sequential(nn.Linear(self.around.width, width), nn.ReLU(), nn.Dropout(config.dropout))
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(width, k) for task, k in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        features = self.representation(self.hidden(self.around(self.read(batch), batch)))
        return {task: head(features) for task, head in self.heads.items()}

    def read(self, batch: Batch) -> Tensor:
        """Return what each clip's tokens and what they heard come to (b, 2 * width)."""
        given = {m: in_front(*batch.sequence(m)) for m in self.steps}
        tokens, asks = given.pop(ASKING)
        asks = asks | ~asks.any(dim=1, keepdim=True) & (torch.arange(asks.shape[1], device=asks.device) == 0)
        tokens = self.steps[ASKING](self.dropout(tokens), asks)
        beside = [tokens]
        for modality, (values, real) in given.items():
            steps = self.steps[modality](self.dropout(values), real)
            beside.append(self.alignments[f"{ASKING}_{modality}"](tokens, steps, real))
        states = self.aligned(self.dropout(torch.cat(beside, dim=2)), asks)
        greatest: Tensor = states.masked_fill(~asks[:, :, None], -torch.inf).amax(dim=1)
        return greatest
