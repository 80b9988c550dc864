"""ExHuBERT's network: HuBERT large with each layer doubled, and every layer ending in a gate, which is a linear map.

Counted from 0, what layers 0, 2, 4, ... give is added to what layers 1, 3, 5, ... give. Names are those of the
published checkpoint.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from extract.encoders._wav2vec2 import Transpose, columns

KERNEL, GROUPS = 128, 16


class Positions(nn.Module):
    """What a step's neighbourhood says about its place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=GROUPS), dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, t, d) into (b, t, d); a kernel of even length makes one step too many, which is dropped."""
        return functional.gelu(self.conv(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)


class Attention(nn.Module):
    """Each step asks all steps, padding too."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, t, d) into (b, t, d)."""
        projections = (self.q_proj, self.k_proj, self.v_proj)
        heads = (project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for project in projections)
        found: Tensor = self.out_proj(functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        return found


class Layer(nn.Module):
    """A layer of HuBERT large and the gate behind it."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.layer_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            OrderedDict(
                intermediate_dense=nn.Linear(width, inner), activation=nn.GELU(), output_dense=nn.Linear(inner, width)
            )
        )
        self.final_layer_norm = nn.LayerNorm(width)
        self.gate_bb_linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, t, d) into (b, t, d); what layers hand on keeps its digits, whatever type they compute in."""
        dtype = self.attention.out_proj.weight.dtype
        x = x + self.attention(self.layer_norm(x).to(dtype))
        gated: Tensor = self.gate_bb_linear(x + self.feed_forward(self.final_layer_norm(x).to(dtype)))
        return gated


class Encoder(nn.Module):
    """The layers, in pairs."""

    def __init__(self, width: int, heads: int, inner: int, layers: int) -> None:
        super().__init__()
        self.pos_conv_embed = Positions(width)
        self.layers = nn.ModuleList(Layer(width, heads, inner) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, t, d) into (b, t, d)."""
        x = x + self.pos_conv_embed(x)
        for first, second in zip(self.layers[::2], self.layers[1::2], strict=True):
            kept = first(x)
            x = second(kept) + kept
        states: Tensor = self.layer_norm(x)
        return states


class ExHuBERT(nn.Module):
    """The states of the last layer; the six classes behind them are not built."""

    def __init__(self, width: int, heads: int, inner: int, layers: int, channels: int) -> None:
        super().__init__()
        self.feature_extractor = columns(channels, _convolution)
        self.feature_projection = nn.Sequential(
            OrderedDict(layer_norm=nn.LayerNorm(channels), projection=nn.Linear(channels, width))
        )
        self.encoder = Encoder(width, heads, inner, layers)

    def forward(self, sound: Tensor) -> Tensor:
        """Turn prepared sound (b, samples) into (b, t, width)."""
        states: Tensor = self.encoder(self.feature_projection(self.feature_extractor(sound).transpose(1, 2)))
        return states


def opened(network: ExHuBERT) -> ExHuBERT:
    """Open random gates halfway, for 48 of them one after another would make all steps alike."""
    with torch.no_grad():
        for layer in network.encoder.layers:
            weight = layer.get_parameter("gate_bb_linear.weight")
            weight.mul_(0.3).add_(torch.eye(len(weight)), alpha=0.62)
    return network


def _convolution(width_in: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv1d(width_in, width, kernel, stride),
            to_rows=Transpose(),
            layer_norm=nn.LayerNorm(width),
            to_columns=Transpose(),
            activation=nn.GELU(),
        )
    )
