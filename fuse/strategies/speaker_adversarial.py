"""Speaker normalisation (Gat et al. 2022): what the heads read is trained to say nothing of who speaks.

A classifier learns from the representation which training speaker a clip is of, and the gradient that it sends back
into the model is turned around: what would help it is unlearnt. Clips of nobody known teach neither of the two.
What is scored is the model alone. Works with any model whose heads read a `representation`, and with one modality.

Inferred: the paper adapts a speech encoder, whose features are fixed here, so that what is normalised is what a fusion
makes of them; the classifier of two layers and its width; the ramp, which is that of domain-adversarial training (Ganin
et al. 2016), taken at the middle of each epoch.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fuse import losses, seams
from fuse.batch import Batch
from fuse.strategies import Lesson, _strategy

STEEPNESS = 10.0
"""Of the ramp, as its paper has it."""


@dataclass(frozen=True)
class Config:
    """The dials of the adversary."""

    strength: float = 1.0
    """What the gradient of the speaker loss is multiplied by when it is turned around (lambda)."""
    ramp: bool = True
    """Let the strength grow from nothing over the epochs: 2 / (1 + exp(-10 p)) - 1 of it, p being the share done."""
    width: int = 128
    """Width of the classifier's hidden layer."""

    def __post_init__(self) -> None:
        if self.strength < 0 or self.width < 1:
            raise ValueError(
                f"speaker_adversarial: expected a strength of 0 or more and a width of 1 or more, got {self.strength} "
                f"and {self.width}"
            )


class Reversal(torch.autograd.Function):
    """The same on the way there; on the way back turned around, times a strength."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        """Return what is given."""
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of what was given."""
        return -ctx.strength * gradient, None


class Strategy(_strategy.Strategy):
    """A classifier of speakers behind a reversed gradient."""

    def __init__(self, config: Config, lesson: Lesson) -> None:
        super().__init__()
        speakers = lesson.data.speaker
        known = sorted(set(speakers[list(lesson.split.train)].tolist()) - {-1})
        if len(known) < 2:
            raise ValueError(
                f"speaker_adversarial: expected two known speakers or more among the training clips, got "
                f"{len(known)}; take a corpus whose manifest names its speakers, or leave this strategy out"
            )
        module = seams.representation(lesson.model)
        batch = lesson.data.batch(lesson.data.examples(lesson.split.train[:2]))
        (example,) = seams.given(lesson.model, [module], batch)
        hidden = nn.Linear(example[0].numel(), config.width)
        self.classifier = nn.Sequential(hidden, nn.ReLU(), nn.Linear(config.width, len(known)))
        numbers = torch.full((int(speakers.max()) + 1,), -1)
        numbers[known] = torch.arange(len(known))
        self.register_buffer("numbers", numbers, persistent=False)
        self.numbers: Tensor
        self._config, self._epochs, self._heard = config, lesson.train.epochs, seams.Heard(module)
        self.strength = 0.0

    def order(self, examples: Tensor, epoch: int) -> Tensor:
        """Set the strength of an epoch."""
        share = (epoch - 0.5) / self._epochs
        grown = 2 / (1 + math.exp(-STEEPNESS * share)) - 1 if self._config.ramp else 1.0
        self.strength = self._config.strength * grown
        return examples

    def loss(self, outputs: Any, batch: Batch) -> Tensor:  # noqa: ARG002 (the hook's arguments)
        """Return how badly the training speakers are told apart."""
        reversed_: Tensor = Reversal.apply(self._heard.values.float().flatten(1), self.strength)
        # Nobody known is number -1, and so is whoever speaks in no training clip.
        speaker = torch.where(batch.speaker >= 0, self.numbers[batch.speaker], -1)
        each = functional.cross_entropy(self.classifier(reversed_), speaker.clamp(min=0), reduction="none")
        return losses.averaged(each, speaker >= 0)
