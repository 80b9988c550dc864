"""Batches made by hand: one window per clip and modality."""

import torch

from fuse.batch import Batch


def batch_of(values, real=None):
    """Give every clip one window (b, t, ...); `real` says of some modalities which steps, or how many, are real."""
    b = len(next(iter(values.values())))
    said = {m: torch.ones(x.shape[:2], dtype=torch.bool) for m, x in values.items()} | (real or {})
    real = {m: x if torch.is_tensor(x) else first(x, values[m].shape[1]) for m, x in said.items() if m in values}
    return Batch(
        ids=tuple(f"clip{i}" for i in range(b)),
        values={m: x[:, None] for m, x in values.items()},
        windows={m: real[m].any(dim=1)[:, None] for m in values},
        steps={m: real[m][:, None] for m in values},
        dialogue=torch.full((b,), -1),
        turn=torch.zeros(b, dtype=torch.long),
        speaker=torch.full((b,), -1),
    )


def first(lengths, t):
    """Say that so many steps of each clip are real."""
    return torch.arange(t) < torch.tensor(lengths)[:, None]
