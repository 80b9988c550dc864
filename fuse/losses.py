"""What training minimises: the loss of each clip by the kind of its task, averaged over those that have the label."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def losses(
    kind: Literal["class", "multi", "score"],
    logits: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
    focus: float = 0.0,
) -> Tensor:
    """Return the loss of each clip (b) from (b, k) logits and targets.

    - class: cross-entropy with shares as targets, as torch has it: weights multiply, and nothing is divided by them.
    - multi: the mean over classes of the binary cross-entropy, each class multiplied by its weight.
    - score: the distance between score and target, as MMSA trains; it knows neither weights nor smoothing.

    With a focus above zero each class counts (1 - p) ** focus of its loss, p being what the model gives to what is
    true of it: what is learnt already counts little (Lin et al. 2017).
    Smoothing moves that share of each target to all classes of the task evenly, or to one half where each is there or
    not.
    """
    precision = torch.promote_types(logits.dtype, targets.dtype)
    logits, targets = logits.to(precision), targets.to(precision)
    if kind == "score":
        return (logits - targets).abs().mean(dim=1)
    smooth = targets * (1 - smoothing) + smoothing / (logits.shape[1] if kind == "class" else 2)
    if kind == "class":
        log_shares = logits.log_softmax(dim=1)
        each = -smooth * log_shares
        if focus:
            each = each * (-log_shares.expm1()).clamp(min=1e-12) ** focus
    elif focus:
        there, absent = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        each = -smooth * there * (focus * absent).exp() - (1 - smooth) * absent * (focus * there).exp()
    else:
        each = functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
    weighed = each if weights is None else each * weights
    return weighed.sum(dim=1) if kind == "class" else weighed.mean(dim=1)


def concordance(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Return 1 minus the concordance of values (b, 1) and targets over the clips in `known` (b).

    It is of a batch, not of clips: one of a single clip, or of equal targets met exactly, teaches nothing.
    """
    said, true = logits[known, 0].double(), targets[known, 0].double()
    if len(true) < 2:
        return logits.sum() * 0
    together = 2 * ((said - said.mean()) * (true - true.mean())).mean()
    apart = said.var(correction=0) + true.var(correction=0) + (said.mean() - true.mean()) ** 2
    return (1 - together / apart.clamp(min=1e-8)).to(logits.dtype)


def averaged(each: Tensor, known: Tensor) -> Tensor:
    """Average the losses of clips (b) over those in `known` (b); no known clip gives zero."""
    return torch.where(known, each, 0).sum() / known.sum().clamp(min=1)


def soft_cross_entropy(logits: Tensor, targets: Tensor, known: Tensor, weights: Tensor | None = None) -> Tensor:
    """Average the cross-entropy of (b, k) logits and shares over the clips in `known` (b).

    With class weights it is still divided by the number of clips, as torch does for targets that are shares; torch
    divides by the sum of the weights where targets are class numbers, which is another scale.
    """
    return averaged(losses("class", logits, targets, weights=weights), known)


def class_weights(
    label_sums: Tensor, scheme: Literal["balanced", "share", "none"] = "balanced", power: float = 1.0
) -> Tensor:
    """Return what each class counts (k) from the sum of its labels: N / (K n_k), n_k / N, or 1; to some power.

    A class without examples weighs nothing. Some references give it 1, which no loss can tell from 0 unless labels are
    smoothed.
    """
    shares = label_sums / label_sums.sum()
    if scheme == "none":
        return torch.ones_like(shares)
    weights = shares if scheme == "share" else 1 / (len(shares) * shares)
    return torch.where(label_sums > 0, weights**power, 0)
