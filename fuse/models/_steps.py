"""How models that read a clip step by step are given its steps."""

import torch
from torch import Tensor


def in_front(steps: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Bring a clip's real steps before its padding, in their order, cut to the longest of the batch; padding is zero.

    So a recurrent layer goes from one window straight to the next, and no padding can be heard.
    """
    order = (~real).to(torch.uint8).argsort(dim=1, stable=True)[:, : max(1, int(real.sum(dim=1).max()))]
    real = real.gather(1, order)
    return steps.gather(1, order[:, :, None].expand(-1, -1, steps.shape[2])) * real[:, :, None], real
