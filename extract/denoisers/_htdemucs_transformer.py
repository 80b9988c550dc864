"""Where Hybrid Transformer Demucs' two branches meet: five layers of attention, every other one to the other branch.

Names are those of the published checkpoint.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LAYERS = 5
LONGEST_PERIOD = 10_000.0


class Scale(nn.Module):
    """How much each channel of a residual branch counts."""

    def __init__(self, width: int, axes_after: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(width))
        self.shape = (width, *[1] * axes_after)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel, which so many axes follow."""
        return self.scale.view(self.shape) * x


class Attention(nn.Module):
    """What torch's MultiheadAttention computes, without holding all weights of attention at once."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Turn tokens (b, n, d) into (b, n, d), of what they find in others (b, m, d)."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        query, key, value = (
            torch.unflatten(functional.linear(given, weight, bias), 2, (self.heads, -1)).transpose(1, 2)
            for given, weight, bias in zip((x, other, other), weights, biases, strict=True)
        )
        found = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out_proj(found.transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    """Attention, then two linear layers; what each adds is scaled, and all tokens are normed together at the end."""

    def __init__(self, width: int, heads: int, *, crosses: bool) -> None:
        super().__init__()
        self.crosses = crosses
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        if crosses:
            self.cross_attn = Attention(width, heads)
            self.norm3 = nn.LayerNorm(width)
        else:
            self.self_attn = Attention(width, heads)
        self.norm_out = nn.GroupNorm(1, width)
        self.gamma_1 = Scale(width, 0)
        self.gamma_2 = Scale(width, 0)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Turn tokens (b, n, d) into (b, n, d)."""
        query = self.norm1(x)
        found = self.cross_attn(query, self.norm2(other)) if self.crosses else self.self_attn(query, query)
        x = x + self.gamma_1(found)
        y = (self.norm3 if self.crosses else self.norm2)(x)
        x = x + self.gamma_2(self.linear2(functional.gelu(self.linear1(y))))
        out: Tensor = self.norm_out(x.transpose(1, 2)).transpose(1, 2)
        return out


class CrossTransformer(nn.Module):
    """Both branches, told where they are in time and frequency, side by side through their layers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(width)
        self.norm_in_t = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(width, heads, crosses=i % 2 == 1) for i in range(LAYERS))
        self.layers_t = nn.ModuleList(Layer(width, heads, crosses=i % 2 == 1) for i in range(LAYERS))

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Turn a spectrum (b, d, f, t) and a sequence (b, d, n) into the same shapes."""
        _, width, rows, columns = x.shape
        x = self.norm_in(x.permute(0, 3, 2, 1).flatten(1, 2)) + places_2d(width, rows, columns).to(x.device)
        xt = self.norm_in_t(xt.transpose(1, 2)) + places(width, xt.shape[2]).to(x.device)
        for layer, layer_t in zip(self.layers, self.layers_t, strict=True):
            x, xt = layer(x, xt), layer_t(xt, x)
        return torch.unflatten(x, 1, (columns, rows)).permute(0, 3, 2, 1), xt.transpose(1, 2)


def places(width: int, count: int) -> Tensor:
    """Tell places on a line apart (n, d): cosines, then sines."""
    half = width // 2
    angle = torch.arange(count)[:, None] / LONGEST_PERIOD ** (torch.arange(half) / (half - 1))
    return torch.cat([angle.cos(), angle.sin()], 1)


def places_2d(width: int, rows: int, columns: int) -> Tensor:
    """Tell places in a spectrum apart, column by column (columns x rows, d): half of the width says which column."""
    half = width // 2
    rate = torch.exp(torch.arange(0, half, 2) * (-math.log(LONGEST_PERIOD) / half))

    def waves(count: int) -> Tensor:
        angle = torch.arange(count)[:, None] * rate
        return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)

    column, row = waves(columns)[:, None], waves(rows)[None]
    return torch.cat([column.expand(-1, rows, -1), row.expand(columns, -1, -1)], 2).flatten(0, 1)
