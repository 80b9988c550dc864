"""What networks of the wav2vec 2.0 family share: their convolutions over sound, computed as products of matrices."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


class Rows(nn.Module):
    """The convolutions of wav2vec 2.0 with steps as rows: the same sums, in half the network's time.

    A convolution over one long line, between transpositions for the norms, is what processors are slow at.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Row(layer) for layer in extractor.conv_layers)

    def forward(self, sound: Tensor) -> Tensor:
        """Turn (b, samples) into (b, d, t)."""
        x = sound[:, :, None]
        for layer in self.layers:
            x = layer(x)
        return x.transpose(1, 2)


class _Row(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        convolution = layer.conv
        self.kernel: int = convolution.kernel_size[0]
        self.stride: int = convolution.stride[0]
        self.weight = nn.Parameter(convolution.weight.transpose(1, 2).flatten(1).contiguous())
        self.bias: Tensor = convolution.bias
        self.norm, self.activation = layer.layer_norm, layer.activation

    def forward(self, x: Tensor) -> Tensor:
        seen = x.unfold(1, self.kernel, self.stride).transpose(2, 3)  # (b, t, kernel, d)
        rows = functional.linear(seen.reshape(-1, self.weight.shape[1]), self.weight, self.bias)
        lively: Tensor = self.activation(self.norm(rows))
        return lively.view(*seen.shape[:2], -1)
