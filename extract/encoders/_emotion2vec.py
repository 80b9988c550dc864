"""emotion2vec's network: data2vec 2.0 for sound, as its authors ask it for features, without its decoder.

Attention fades with distance (ALiBi), by a learned share per head that is never negative; towards the learned tokens
at the front, and from them, it does not. Norms stand behind their sums, and one before the first block. Names are those
of the published checkpoint without `modality_encoders.AUDIO.`.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from extract.encoders._wav2vec2 import Transpose, columns

QUERIES = 256
"""Steps that ask at once: what attention adds to its scores would otherwise outgrow memory in sounds of minutes."""
POSITIONS, POSITION_KERNEL = 5, 19


@dataclass(frozen=True)
class Fading:
    """What attention loses with distance."""

    per_step: Tensor
    """(heads, 1, 1)"""
    tokens: int
    """How many learned tokens stand at the front, which are equally near to all."""

    def __call__(self, first: int, last: int, steps: int) -> Tensor:
        """Return what is added to the scores of steps `first` to `last`, (1, heads, last - first, steps)."""
        asked = torch.arange(steps, dtype=self.per_step.dtype, device=self.per_step.device)
        asking = asked[first:last, None]
        apart = (asking - asked).abs() * (asking >= self.tokens) * (asked >= self.tokens)
        return (-self.per_step * apart)[None]  # of four axes: with three, processors take a slow way


def slopes(heads: int) -> Tensor:
    """Return how fast heads fade, (heads, 1, 1): a geometric row, filled up from the row of twice as many heads."""
    whole = 2 ** math.floor(math.log2(heads))
    exponents = [8 * (i + 1) / whole for i in range(whole)] + [4 * (2 * i + 1) / whole for i in range(heads - whole)]
    return torch.tensor([[[2**-exponent]] for exponent in exponents])


class Attention(nn.Module):
    """Each step asks all steps, padding too, near ones more."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, fading: Fading) -> Tensor:
        """Turn (b, t, d) into (b, t, d)."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        steps = x.shape[1]
        found = [
            functional.scaled_dot_product_attention(
                q[:, :, first : first + QUERIES], k, v, fading(first, first + QUERIES, steps).to(q.dtype)
            )
            for first in range(0, steps, QUERIES)
        ]
        mixed: Tensor = self.proj(torch.cat(found, dim=2).transpose(1, 2).flatten(2))
        return mixed


class Block(nn.Module):
    """Attention and two linear layers, each added and then normed."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(fc1=nn.Linear(width, 4 * width), activation=nn.GELU(), fc2=nn.Linear(4 * width, width))
        )

    def forward(self, x: Tensor, fading: Fading) -> Tensor:
        """Turn (b, t, d) into (b, t, d)."""
        x = self.norm1(x + self.attn(x, fading))
        normed: Tensor = self.norm2(x + self.mlp(x))
        return normed


class Prenet(nn.Module):
    """The first blocks, and a norm before them."""

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))

    def forward(self, x: Tensor, fading: Fading) -> Tensor:
        """Turn (b, t, d) into (b, t, d)."""
        x = self.norm(x)
        for block in self.blocks:
            x = block(x, fading)
        return x


class Emotion2vec(nn.Module):
    """The states of the last block; the nine classes behind them are not built."""

    slopes: Tensor

    def __init__(
        self, width: int, heads: int, prenet_depth: int, depth: int, tokens: int, channels: int, groups: int
    ) -> None:
        super().__init__()
        positions = (_position(width, groups) for _ in range(POSITIONS))
        self.local_encoder = columns(channels, _convolution)
        self.project_features = nn.Sequential(Transpose(), nn.LayerNorm(channels), nn.Linear(channels, width))
        self.relative_positional_encoder = nn.Sequential(Transpose(), *positions, Transpose())
        self.extra_tokens = nn.Parameter(torch.zeros(1, tokens, width))
        self.alibi_scale = nn.Parameter(torch.ones(heads, 1, 1))
        self.register_buffer("slopes", slopes(heads), persistent=False)
        self.context_encoder = Prenet(width, heads, prenet_depth)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))

    def forward(self, sound: Tensor) -> Tensor:
        """Turn prepared sound (b, samples) into (b, t, width)."""
        x = self.project_features(self.local_encoder(sound))
        x = x + self.relative_positional_encoder(x)
        tokens = self.extra_tokens.expand(len(x), -1, -1)
        fading = Fading(self.slopes * self.alibi_scale.clamp(min=0), tokens.shape[1])
        x = self.context_encoder(torch.cat([tokens, x], dim=1), fading)
        for block in self.blocks:
            x = block(x, fading)
        states: Tensor = x[:, tokens.shape[1] :]
        return states


def _convolution(width_in: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    norm = nn.Sequential(Transpose(), nn.LayerNorm(width), Transpose())
    convolution = nn.Conv1d(width_in, width, kernel, stride, bias=False)
    return nn.Sequential(convolution, nn.Identity(), norm, nn.GELU())


def _position(width: int, groups: int) -> nn.Sequential:
    convolution = nn.Conv1d(width, width, POSITION_KERNEL, padding=POSITION_KERNEL // 2, groups=groups)
    norm = nn.LayerNorm(width, elementwise_affine=False)
    return nn.Sequential(convolution, Transpose(), norm, Transpose(), nn.GELU())
