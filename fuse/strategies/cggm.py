"""Classifier-guided gradient modulation (Guo et al., NeurIPS 2024): slow modalities are given the greater steps.

Beside each modality's own part of the model stands a guide, a small classifier of the first task that learns from what
that part gives out and sends nothing back into it. How much a guide's training accuracy rose in a step says how fast
its modality is being learnt: of the gain of all, c is the share that the other modalities have. The gradients of the
modality's own parameters are multiplied by rho c. To the next step's loss a term is added that draws the direction in
which the fusion learns to those of the guides, mean(|c| - c cosine), times `direction`.

What the authors' code does, as `variant = "authors"`, and what is done here unless that is asked for:

- The cosine is that of the weights of a guide's last layer and of the fusion's head, so that the term moves this head
  alone. Here it is that of the gradients of the two, as the paper means it, which reaches whatever the head reads.
- Gains may be negative, and their sum, by which is divided, near zero: only 1e-8 is added, so that c has no bounds and
  gradients are turned around. Here a loss of accuracy is no gain, so that c lies between 0 and 1; where no modality
  gained, all have the same c, (m - 1) / m.

Where this departs from the authors' code in either: theirs is a model of one width, here a guide projects a modality to
its own width first and to that of the head last, once where theirs passes one layer twice; it looks at the mean of the
real steps and not at the first, and knows no order of steps; the cosine of weights is that of this step's, not of those
before the last step; a score is right on the right side of the training clips' mean, not of 0. Clips without a
modality, or without the label, are left out of its accuracy, and a batch of only such clips is no gain. Where the model
has no linear head on its representation (`cross_bert`, `unimodal`, `mer_clip` with its label encoder), or that is
frozen, there is no direction term.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from fuse import losses, seams
from fuse.batch import Batch
from fuse.strategies import Lesson, _strategy
from manifests.labels import TASKS

Variant = Literal["authors", "repaired"]


@dataclass(frozen=True)
class Config:
    """The authors' dials."""

    variant: Variant = "repaired"
    """The authors' cosine of weights and unbounded coefficients, or gradients and coefficients from 0 to 1."""
    rho: float = 1.3
    """What a modality's gradients are multiplied by, times its coefficient."""
    direction: float = 0.2
    """What the direction term counts in the next step's loss; 0 leaves it out."""
    lr: float = 5e-4
    """Learning rate of the guides."""
    width: int = 40
    """Width of a guide."""
    heads: int = 5
    """Attention heads of each of its layers."""
    layers: int = 2
    """Transformer layers of a guide."""
    dropout: float = 0.15
    """In the layers of a guide."""

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise ValueError(f"cggm: expected a width that its heads share evenly, got {self.width} and {self.heads}")
        if self.lr <= 0:
            raise ValueError(f"cggm: expected a learning rate above 0, got {self.lr}")


def coefficients(gains: Tensor, variant: Variant) -> Tensor:
    """Return by modality (m) which share of the gain of all the others have."""
    if variant == "authors":
        total = gains.sum() + 1e-8
        return (total - gains) / total
    gains = gains.clamp(min=0)
    total = gains.sum()
    count = len(gains)
    return torch.where(total > 0, (total - gains) / total.clamp(min=1e-8), (count - 1) / count)


def direction_loss(shares: Tensor, guides: Sequence[Tensor], fusion: Tensor) -> Tensor:
    """Return how far a fusion's head goes elsewhere than the guides of coefficients (m) do."""
    cosines = [functional.cosine_similarity(guide.flatten(), fusion.flatten(), dim=0) for guide in guides]
    return (shares.abs() - shares * torch.stack(cosines)).mean()


class Guide(nn.Module):
    """What one modality says of the first task: a transformer over its steps, and a last layer like the fusion's."""

    def __init__(self, config: Config, d: int, read: int, classes: int) -> None:
        super().__init__()
        width = config.width
        self.project = nn.Linear(d, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, config.heads, 4 * width, config.dropout, batch_first=True)
            for _ in range(config.layers)
        )
        self.hidden = nn.Sequential(nn.Linear(width, read), nn.ReLU())
        self.last = nn.Linear(read, classes)

    def forward(self, steps: Tensor, real: Tensor) -> Tensor:
        """Turn (b, t, d) and (b, t) bool into logits (b, k); of a clip without real steps they mean nothing."""
        real = real | ~real.any(dim=1, keepdim=True)  # of no step at all there is no softmax
        x = self.project(steps)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~real)
        mean = (x * real[:, :, None]).sum(dim=1) / real.sum(dim=1, keepdim=True)
        logits: Tensor = self.last(self.hidden(mean))
        return logits


class Strategy(_strategy.Strategy):
    """Guides for all modalities of a model."""

    def __init__(self, config: Config, lesson: Lesson) -> None:
        super().__init__()
        modalities = tuple(lesson.data.shapes)
        if len(modalities) < 2:
            raise ValueError(
                f"cggm: expected at least two modalities to balance, got {', '.join(modalities)}; name more encoders, "
                "or leave this strategy out"
            )
        self._config, self.lr = config, config.lr
        self._task, classes = next(iter(lesson.tasks.items()))
        self._kind = TASKS[self._task].kind
        self._own = [_parameters(lesson.model, m, modalities) for m in modalities]
        # In a tuple, for what is the model's is no part of the strategy.
        self._head = (seams.head(lesson.model, self._task),)
        branches = [seams.branch(lesson.model, m) for m in modalities]
        batch = lesson.data.batch(lesson.data.examples(lesson.split.train[:2]))
        examples = seams.given(lesson.model, branches, batch)
        read = config.width if self._head[0] is None else self._head[0].in_features
        guides = {m: Guide(config, x.shape[-1], read, classes) for m, x in zip(modalities, examples, strict=True)}
        self.guides = nn.ModuleDict(guides)
        self._heard = {m: seams.Heard(module) for m, module in zip(modalities, branches, strict=True)}
        labels, known = lesson.data.labels[self._task], lesson.data.known[self._task]
        train = torch.tensor(lesson.split.train)
        self.register_buffer("middle", labels[train[known[train]]].mean(dim=0), persistent=False)
        self.middle: Tensor
        for name in ("accuracies", "shares", "right", "seen"):
            self.register_buffer(name, torch.zeros(len(modalities)))
        self.accuracies: Tensor
        """(m) of the last step."""
        self.shares: Tensor
        """(m) the coefficients of the last step."""
        self.right: Tensor
        """(m) clips of the step that is being made whose label a guide knew."""
        self.seen: Tensor
        """(m) clips of the step that is being made."""

    def loss(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Return the losses of the guides, and how far the fusion goes elsewhere."""
        labels, found = batch.labels[self._task], []
        for number, (m, guide) in enumerate(self.guides.items()):
            steps = self._heard[m].values.detach().float()
            steps = steps.reshape(len(batch), -1, steps.shape[-1])
            logits = guide(steps, _real(batch, m, steps.shape[1]))
            chosen = batch.present[m] & batch.known[self._task]
            found.append(losses.averaged(losses.losses(self._kind, logits, labels), chosen))
            self.right[number] += (self._known(logits.detach(), labels) * chosen).sum()
            self.seen[number] += chosen.sum()
        return torch.stack([*found, *self._direction(found, outputs, batch)]).sum()

    @torch.no_grad()
    def steer(self) -> None:
        """Multiply the gradients of each modality by what the accuracies of this step say."""
        accuracies = torch.where(self.seen > 0, self.right / self.seen.clamp(min=1), self.accuracies)
        self.shares.copy_(coefficients(accuracies - self.accuracies, self._config.variant))
        self.accuracies.copy_(accuracies)
        self.right.zero_()
        self.seen.zero_()
        for share, parameters in zip(self.shares, self._own, strict=True):
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad *= self._config.rho * share

    def _known(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return which share of each clip's label (b) a guide has right."""
        if self._kind == "class":
            return (logits.argmax(dim=1) == labels.argmax(dim=1)).float()
        said, true = logits > self.middle, labels > self.middle
        if self._kind == "multi":
            said, true = logits > 0, labels >= 1 / 2
        return (said == true).float().mean(dim=1)

    def _direction(self, found: Sequence[Tensor], outputs: Mapping[str, Tensor], batch: Batch) -> list[Tensor]:
        """Return the direction term, if there is one, from the losses of the guides."""
        (head,) = self._head
        if head is None or not head.weight.requires_grad or not self._config.direction:
            return []
        lasts = [guide.get_parameter("last.weight") for guide in self.guides.values()]
        guides: Sequence[Tensor] = [last.detach() for last in lasts]
        fusion: Tensor = head.weight
        if self._config.variant == "repaired":
            guides = torch.autograd.grad(torch.stack(list(found)).sum(), lasts, retain_graph=True)
            each = losses.losses(self._kind, outputs[self._task].float(), batch.labels[self._task])
            total = losses.averaged(each, batch.known[self._task])
            (fusion,) = torch.autograd.grad(total, head.weight, create_graph=True)
        return [self._config.direction * direction_loss(self.shares, guides, fusion)]


def _parameters(model: nn.Module, modality: str, modalities: Sequence[str]) -> list[nn.Parameter]:
    """Return what of a model is of one modality alone; nothing could be steered where there is nothing."""
    if found := seams.parameters_of(model, modality, modalities):
        return found
    raise ValueError(
        f"cggm: nothing that is trained is of {modality} alone; use concat, or another model whose modalities are named"
    )


def _real(batch: Batch, modality: str, t: int) -> Tensor:
    """Return which steps (b, t) of what a modality's part gave out are real; all, where it has steps of its own."""
    real = batch.steps[modality] & batch.windows[modality][:, :, None]
    for mask in (real.flatten(1), real.any(dim=1)):
        if mask.shape[1] == t:
            return mask
    return real.new_ones(len(batch), t)
