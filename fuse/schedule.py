"""How fast is learnt: one optimiser for all parameters, and a learning rate that follows from the epochs done."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from fuse.dials import Train
from fuse.strategies._strategy import Strategy

BETTER = 1e-3
"""How much a dev score must rise, by its own size, to count on a plateau."""


def optimiser(model: nn.Module, train: Train, strategies: Sequence[Strategy] = ()) -> torch.optim.Optimizer:
    """Return an optimiser with one group for each learning rate; what is frozen is in none."""
    frozen = tuple(train.freeze)
    for prefix in (*train.freeze, *train.lr_of):
        if not any(name.startswith(prefix) for name, _ in model.named_parameters()):
            known = ", ".join(sorted({name.partition(".")[0] for name, _ in model.named_parameters()}))
            raise ValueError(f"train: no parameter's name begins with {prefix!r}; there are {known}")
    if train.every < 1:
        raise ValueError(f"train.every: expected at least one epoch, got {train.every}")
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not (frozen and name.startswith(frozen)) and parameter.requires_grad)
        if parameter.requires_grad:
            nearest = max((prefix for prefix in train.lr_of if name.startswith(prefix)), key=len, default="")
            groups.setdefault(train.lr_of.get(nearest, train.lr), []).append(parameter)
    if not groups:
        raise ValueError("train.freeze: nothing is left to be trained")
    for strategy in strategies:
        if own := list(strategy.parameters()):
            groups.setdefault(strategy.lr or train.lr, []).extend(own)
    kind = torch.optim.AdamW if train.optimiser == "adamw" else torch.optim.Adam
    listed = [{"params": parameters, "lr": lr, "highest": lr} for lr, parameters in groups.items()]
    if len(train.betas) != 2:
        raise ValueError(f"train.betas: expected two numbers, got {train.betas}")
    beta, gamma = train.betas
    return kind(listed, betas=(beta, gamma), eps=train.eps, weight_decay=train.weight_decay)


def lr(train: Train, highest: float, epoch: float, scores: Sequence[float]) -> float:
    """Return the learning rate after `epoch` epochs, a whole number except where it changes within one."""
    if train.schedule == "cosine":
        return _cosine(train, highest, epoch / train.epochs)
    if train.schedule == "restarts":
        length, begin = train.every, 0
        while epoch >= begin + length:
            begin, length = begin + length, 2 * length
        return _cosine(train, highest, (epoch - begin) / length)
    falls = {
        "constant": 0,
        "exponential": int(epoch),
        "steps": int(epoch) // train.every,
        "plateau": _plateaus(scores, train.plateau),
    }
    return float(highest * train.factor ** falls[train.schedule])


def _cosine(train: Train, highest: float, share: float) -> float:
    lowest = min(train.min_lr, highest)
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * share)) / 2


def _plateaus(scores: Sequence[float], patience: int) -> int:
    best, waited, falls = -math.inf, 0, 0
    for score in scores:
        if score > best + abs(best) * BETTER or math.isinf(best):
            best, waited = score, 0
        else:
            waited += 1
        if waited > patience:
            falls, waited = falls + 1, 0
    return falls
