"""What makes training harder on purpose: modalities that go missing, noise, and stretches of silence.

Pictures and sound cannot be bent here, for they are features already.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from fuse.batch import Batch
from fuse.dials import Train


def harder(batch: Batch, train: Train) -> Batch:
    """Return a training batch as the recipe wants it; what is random follows torch's generator."""
    if train.modality_drop:
        batch = batch.without(_dropped(batch, train.modality_drop))
    if train.noise or train.time_mask:
        values = {m: _spoilt(x, batch.steps[m], train) for m, x in batch.values.items()}
        batch = batch.replaced(values)
    return batch


def _dropped(batch: Batch, shares: Mapping[str, float]) -> dict[str, Tensor]:
    """Draw for each clip which modalities it loses, or none."""
    ends = torch.tensor(list(shares.values())).cumsum(0)
    drawn = torch.searchsorted(ends, torch.rand(len(batch)), right=True)
    lost = [frozenset(names.split("+")) for names in shares] + [frozenset()]
    mask = torch.tensor([[modality in one for one in lost] for modality in batch.values])
    device = batch.dialogue.device
    return {modality: mask[row][drawn].to(device) for row, modality in enumerate(batch.values)}


def _spoilt(values: Tensor, steps: Tensor, train: Train) -> Tensor:
    if train.noise:
        real = steps.reshape(*steps.shape, *(1,) * (values.dim() - 3))  # padding stays zero
        values = values + train.noise * torch.randn_like(values) * real
    if train.time_mask:
        t = values.shape[2]
        length = round(train.time_mask * t)
        begin = torch.randint(0, t - length + 1, (len(values), 1), device=values.device)
        step = torch.arange(t, device=values.device)
        silent = (step >= begin) & (step < begin + length)
        values = values * ~silent.reshape(len(values), 1, t, *(1,) * (values.dim() - 3))
    return values
