"""What both models of paper 001 do with sound and pictures before they fuse them.

Vectors of any length are averaged to so many steps, and one normed layer is to them what the convolution is to
pictures. Pictures go through the authors' one 3-D convolution: the first 25 stand in five groups of ten slots, the
groups are its channels, and its outputs are cut into so many steps in the order in which they lie in memory. So an LSTM
over them does not go along time; the authors do the same. Pictures are taken as they come, 0 to 255 or standardised:
the batch norm right after the convolution takes the scale out.
"""

from math import prod

import torch
from torch import Tensor, nn

from fuse.batch import Batch

FRAMES, SLOTS, HOP = 25, 10, 5
CHANNELS = 32
VECTOR = 256
"""What vectors are brought to before the LSTM, so that its first states do not hang on how wide an encoder is."""
KERNEL, STRIDE, PADDING = (4, 4, 4), (2, 2, 1), (1, 1, 2)


def averaged(batch: Batch, modality: str) -> tuple[Tensor, Tensor]:
    """Return (b, t, d) and (b, t) bool: each step's mean over the windows that have it, and whether any has."""
    values, real = batch.values[modality], batch.steps[modality] & batch.windows[modality][:, :, None]
    mask = real.reshape(*real.shape, *(1,) * (values.dim() - real.dim()))
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1), real.any(dim=1)


def lengthened(steps: Tensor, t: int) -> Tensor:
    """Return (b, t, ...): zeros, or False, after the steps that are there."""
    return torch.cat([steps, steps.new_zeros(len(steps), t - steps.shape[1], *steps.shape[2:])], dim=1)


def resampled(values: Tensor, real: Tensor, steps: int) -> Tensor:
    """Average (b, t, d) to so many steps, as adaptive pooling would do with the real steps of each clip alone."""
    length, place = real.sum(dim=1, keepdim=True), torch.arange(steps, device=real.device)
    begin, end = place * length // steps, ((place + 1) * length + steps - 1) // steps  # (b, steps)
    rank = real.cumsum(dim=1)[:, None] - 1  # (b, 1, t)
    chosen = (rank >= begin[:, :, None]) & (rank < end[:, :, None]) & real[:, None]
    return chosen.to(values.dtype) @ values / chosen.sum(dim=2, keepdim=True).clamp(min=1)


def grouped(frames: Tensor, *, overlap: bool) -> Tensor:
    """Turn (b, t, h, w) into groups (b, 5, 10, h, w) that begin every five frames; without overlap half is empty."""
    fresh = lengthened(frames[:, :FRAMES], FRAMES)
    fresh = fresh.reshape(len(fresh), -1, HOP, *fresh.shape[2:])
    nothing = torch.zeros_like(fresh)
    following = torch.cat([fresh[:, 1:], nothing[:, :1]], dim=1) if overlap else nothing
    return torch.cat([fresh, following], dim=2)


class Pictures(nn.Module):
    """The authors' convolution over groups of pictures, and its norm."""

    def __init__(self, height: int, width: int, *, overlap: bool) -> None:
        super().__init__()
        self.overlap = overlap
        self.convolution = nn.Conv3d(FRAMES // HOP, CHANNELS, KERNEL, STRIDE, PADDING, bias=False)
        self.norm = nn.BatchNorm3d(CHANNELS)
        sizes = zip((SLOTS, height, width), KERNEL, STRIDE, PADDING, strict=True)
        self.outputs = CHANNELS * prod((size + 2 * pad - kernel) // stride + 1 for size, kernel, stride, pad in sizes)

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, channels, depth, height, width)."""
        frames, _ = averaged(batch, "video")
        convolved: Tensor = self.norm(self.convolution(grouped(frames, overlap=self.overlap)))
        return convolved


class Cut(nn.Module):
    """Pictures as so many steps: what the convolution gives, cut as it lies in memory."""

    def __init__(self, shape: tuple[int, ...], steps: int, *, overlap: bool) -> None:
        super().__init__()
        self.pictures = Pictures(*shape[1:], overlap=overlap)
        self.steps, self.width = steps, -(-self.pictures.outputs // steps)

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, steps, width)."""
        flat = self.pictures(batch).flatten(1)
        return lengthened(flat, self.steps * self.width).reshape(len(flat), self.steps, self.width)


class Averaged(nn.Module):
    """Vectors as so many steps."""

    def __init__(self, modality: str, shape: tuple[int, ...], steps: int) -> None:
        super().__init__()
        self.modality, self.steps, self.width = modality, steps, VECTOR
        self.layer, self.norm = nn.Linear(shape[1], VECTOR, bias=False), nn.LayerNorm(VECTOR)

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, steps, width)."""
        normed: Tensor = self.norm(self.layer(resampled(*batch.sequence(self.modality), self.steps)))
        return normed


class States(nn.Module):
    """The states of a two-layer LSTM over so many steps of pictures or vectors; zero where they are absent."""

    def __init__(self, modality: str, shape: tuple[int, ...], steps: int, width: int, *, overlap: bool = True) -> None:
        super().__init__()
        self.modality = modality
        made = Cut(shape, steps, overlap=overlap) if len(shape) > 2 else Averaged(modality, shape, steps)
        self.sequence = made
        self.lstm = nn.LSTM(made.width, width, num_layers=2, batch_first=True)

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, steps, width)."""
        states: Tensor = self.lstm(self.sequence(batch))[0]
        return states * batch.present[self.modality][:, None, None]
