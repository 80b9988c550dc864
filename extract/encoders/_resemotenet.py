"""ResEmoteNet as its authors trained it; names are those of the published checkpoint."""

from torch import Tensor, nn
from torch.nn import functional


class Excitation(nn.Module):
    """Weigh each channel by what all channels hold on average."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        first, second = nn.Linear(width, narrow, bias=False), nn.Linear(narrow, width, bias=False)
        self.fc = nn.Sequential(first, nn.ReLU(), second, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, d, h, w) into the same shape."""
        weighed: Tensor = x * self.fc(x.mean((2, 3)))[:, :, None, None]
        return weighed


class Residual(nn.Module):
    """Halve height and width, double the channels, and add what came in."""

    def __init__(self, width_in: int) -> None:
        super().__init__()
        width = 2 * width_in
        self.conv1 = nn.Conv2d(width_in, width, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential(nn.Conv2d(width_in, width, 1, stride=2), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, d, h, w) into (b, 2 d, h / 2, w / 2)."""
        y = functional.relu_(self.bn1(self.conv1(x)))
        return functional.relu_(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResEmoteNet(nn.Module):
    """256 features of a face, after the ReLU; the last layer, seven emotions, is loaded and not asked."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(128)
        self.conv3 = nn.Conv2d(128, 256, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(256)
        self.se = Excitation(256, 16)
        self.res_block1 = Residual(256)
        self.res_block2 = Residual(512)
        self.res_block3 = Residual(1024)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, 512)
        self.fc3 = nn.Linear(512, 256)
        self.fc4 = nn.Linear(256, 7)

    def forward(self, x: Tensor) -> Tensor:
        """Turn prepared pictures (b, 3, 64, 64) into (b, 256)."""
        for place in "123":
            convolution, norm = self.get_submodule(f"conv{place}"), self.get_submodule(f"bn{place}")
            x = functional.max_pool2d(functional.relu_(norm(convolution(x))), 2)
        x = self.res_block3(self.res_block2(self.res_block1(self.se(x)))).mean((2, 3))
        for layer in (self.fc1, self.fc2, self.fc3):
            x = functional.relu_(layer(x))
        return x
