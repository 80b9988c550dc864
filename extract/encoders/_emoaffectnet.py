"""EmoAffectNet's network as its authors trained it: a ResNet-50 as Caffe and VGGFace2 have it.

The stride lies on the first 1x1 convolution of a block, the 7x7 is padded more on the right than on the left, the
pooling is not padded, and norms divide by sqrt(variance + 0.001). Names are those of the published checkpoint.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

EPS = 1e-3


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=EPS)


class Bottleneck(nn.Module):
    """Narrow, look around, widen, and add what came in."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 1, stride=stride, bias=False)
        self.batch_norm1 = _norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.batch_norm2 = _norm(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.batch_norm3 = _norm(4 * width)
        shortcut = (nn.Conv2d(width_in, 4 * width, 1, stride=stride, bias=False), _norm(4 * width))
        self.i_downsample = nn.Sequential(*shortcut if width_in != 4 * width else ())

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, d, h, w) into (b, 4 width, h / stride, w / stride)."""
        y = functional.relu_(self.batch_norm1(self.conv1(x)))
        y = functional.relu_(self.batch_norm2(self.conv2(y)))
        return functional.relu_(self.batch_norm3(self.conv3(y)) + self.i_downsample(x))


class EmoAffectNet(nn.Module):
    """512 features of a face, before the ReLU; the last layer, seven emotions, is loaded and not asked."""

    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((2, 3, 2, 3))
        self.conv_layer_s2_same = nn.Conv2d(3, 64, 7, stride=2, bias=False)
        self.batch_norm1 = _norm(64)
        self.max_pool = nn.MaxPool2d(3, stride=2)
        self.layer1 = _stage(64, 64, 3, 1)
        self.layer2 = _stage(256, 128, 4, 2)
        self.layer3 = _stage(512, 256, 6, 2)
        self.layer4 = _stage(1024, 512, 3, 2)
        self.fc1 = nn.Linear(2048, 512)
        self.fc2 = nn.Linear(512, 7)

    def forward(self, x: Tensor) -> Tensor:
        """Turn prepared pictures (b, 3, 224, 224) into (b, 512)."""
        x = self.max_pool(functional.relu_(self.batch_norm1(self.conv_layer_s2_same(self.pad(x)))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        features: Tensor = self.fc1(x.mean((2, 3)))
        return features


def _stage(width_in: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(width_in, width, stride)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))


def folded(network: EmoAffectNet) -> EmoAffectNet:
    """Put each norm into the convolution before it: half the time in bfloat16."""
    network.eval()
    _fold(network, "conv_layer_s2_same", "batch_norm1")
    for block in network.modules():
        if isinstance(block, Bottleneck):
            for place in "123":
                _fold(block, f"conv{place}", f"batch_norm{place}")
            if len(block.i_downsample):
                _fold(block.i_downsample, "0", "1")
    return network


def _fold(module: nn.Module, convolution: str, norm: str) -> None:
    both: Any = module.get_submodule(convolution), module.get_submodule(norm)
    module.add_module(convolution, fuse_conv_bn_eval(*both))
    module.add_module(norm, nn.Identity())
