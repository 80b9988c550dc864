"""The models of paper 001's Table I that look at one modality alone, without their outputs."""

from torch import Tensor, nn

from fuse.batch import Batch
from fuse.models._branches import CHANNELS, Pictures, States, averaged


class FirstToken(nn.Module):
    """BERT alone."""

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, d)."""
        return averaged(batch, "text")[0][:, 0]


class LastState(nn.Module):
    """An LSTM alone."""

    def __init__(self, modality: str, shape: tuple[int, ...], steps: int, width: int) -> None:
        super().__init__()
        self.states = States(modality, shape, steps, width)

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, width)."""
        last: Tensor = self.states(batch)[:, -1]
        return last


class TwoConvolutions(nn.Module):
    """Pictures alone: the convolution of the fused model, another, and their mean."""

    width = 2 * CHANNELS

    def __init__(self, shape: tuple[int, ...], *, overlap: bool) -> None:
        super().__init__()
        self.pictures = Pictures(*shape[1:], overlap=overlap)
        second = nn.Conv3d(CHANNELS, self.width, 4, stride=2, padding=1, bias=False)
        self.second = nn.Sequential(nn.ReLU(), second, nn.BatchNorm3d(self.width), nn.ReLU())

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, width)."""
        mean: Tensor = self.second(self.pictures(batch)).mean(dim=(2, 3, 4))
        return mean
