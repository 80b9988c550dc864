"""What networks of the wav2vec 2.0 family share: their convolutions over sound, computed as products of matrices."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
FIELD, HOP = 400, 320
"""Samples that one step hears, and samples from one step to the next."""
PIECE = 3000
"""Steps that are heard at once: a minute, so that long sounds need no more memory."""


class Rows(nn.Module):
    """The convolutions of wav2vec 2.0 with steps as rows: the same sums, in half the network's time.

    A convolution over one long line, between transpositions for the norms, is what processors are slow at.
    """

    def __init__(self, layers: Iterable[tuple[Any, Any]]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_Row(*layer) for layer in layers))

    def forward(self, sound: Tensor) -> Tensor:
        """Turn (b, samples) into (b, d, t)."""
        firsts = range(0, sound.shape[1] - FIELD + 1, PIECE * HOP)
        heard = (sound[:, first : first + (PIECE - 1) * HOP + FIELD, None] for first in firsts)
        return torch.cat([self.layers(x) for x in heard], dim=1).transpose(1, 2)


class _Row(nn.Module):
    """A convolution, its norm and GELU."""

    def __init__(self, convolution: Any, norm: Any) -> None:
        super().__init__()
        self.kernel: int = convolution.kernel_size[0]
        self.stride: int = convolution.stride[0]
        self.weight = nn.Parameter(convolution.weight.transpose(1, 2).flatten(1).contiguous())
        self.bias: Tensor | None = convolution.bias
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        seen = x.unfold(1, self.kernel, self.stride).transpose(2, 3)  # (b, t, kernel, d)
        rows = functional.linear(seen.reshape(-1, self.weight.shape[1]), self.weight, self.bias)
        return functional.gelu(self.norm(rows)).view(*seen.shape[:2], -1)


class Transpose(nn.Module):
    """Change from steps as columns to steps as rows, or back."""

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, d, t) into (b, t, d)."""
        return x.transpose(1, 2)


def columns(channels: int, layer: Callable[[int, int, int, int], nn.Module]) -> nn.Sequential:
    """Build the convolutions with steps as columns, under the names of published checkpoints."""
    shapes = zip((1, *[channels] * 6), KERNELS, STRIDES, strict=True)
    layers = (layer(width_in, channels, kernel, stride) for width_in, kernel, stride in shapes)
    return nn.Sequential(OrderedDict(line=nn.Unflatten(1, (1, -1)), conv_layers=nn.Sequential(*layers)))
