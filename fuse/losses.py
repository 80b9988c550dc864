"""What training minimises: the loss of each clip by the kind of its task, averaged over those that have the label."""

from collections.abc import Callable, Mapping
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


ANCHOR = 0.1
"""What the distance counts beside `ranklist`, which alone leaves open where scores lie and how far apart."""


def ranklist(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Return the loss of the order of values (b, 1) over the clips in `known` (b), by RankList (Naini et al. 2025).

    As RankNet has it, a pair in which `a` is truly above `b` costs log(1 + exp(b - a)). Clips are ranked by their
    targets, equal ones on one rank; pairs that are equally many ranks apart are one list, for which the sum over pairs
    becomes log(1 + sum of exp(b - a)), and the lists of all distances are averaged. `ANCHOR` of the distance is added.

    Inferred, because only the summary is known (RankNet for lists, local and not local, log-sum-exp, skips): this
    formula; ranks in the place of positions; all skips from the beginning, each as heavy; no least margin; the anchor.
    """
    said, true = logits[known, 0].double(), targets[known, 0].double()
    if not len(true):
        return logits.sum() * 0
    rank: Tensor = torch.unique(true, return_inverse=True)[1]
    apart = rank[:, None] - rank
    skip, wrong = apart[apart > 0] - 1, (said - said[:, None])[apart > 0]
    most = wrong.new_zeros(int(rank.max())).scatter_reduce(0, skip, wrong.detach(), "amax")
    sums = (-most).exp().index_add(0, skip, (wrong - most[skip]).exp())
    order = (most + sums.log()).sum() / max(1, len(most))
    return (order + ANCHOR * (said - true).abs().mean()).to(logits.dtype)


OF_BATCHES: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "concordance": concordance,
    "ranklist": ranklist,
}
"""What scores can be trained by that is of a batch, not of clips."""


def supervised_contrast(vectors: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Return how much nearer clips are to others of their class than to any, by Khosla et al. (2020), equation 2.

    Vectors (b, d) have length 1. A clip whose class no other clip has teaches nothing itself.
    """
    alike = vectors @ vectors.T / temperature
    itself = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    same = (classes[:, None] == classes) & ~itself
    log_shares = alike.masked_fill(itself, torch.finfo(alike.dtype).min).log_softmax(dim=1)
    each = -torch.where(same, log_shares, 0).sum(dim=1) / same.sum(dim=1).clamp(min=1)
    return averaged(each, same.any(dim=1))


def inter_class_contrast(vectors: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Return how much nearer clips are to the centre of their class than to those of other classes.

    Vectors (b, d) have length 1, centres too. It is averaged within each class and then over classes, so that rare
    ones count as much. One class alone teaches nothing.
    """
    if not len(classes):
        return vectors.sum() * 0
    _, place, sizes = torch.unique(classes, return_inverse=True, return_counts=True)
    members: Tensor = functional.one_hot(place).to(vectors.dtype)
    centres = functional.normalize(members.T @ vectors, dim=1)
    each = functional.cross_entropy(vectors @ centres.T / temperature, place, reduction="none")
    of_class: Tensor = members.T @ each / sizes
    return of_class.mean()


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
