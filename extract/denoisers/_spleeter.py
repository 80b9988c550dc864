"""Spleeter's networks and the spectrum around them, as its authors' configuration `2stems` has them.

Two U-Nets estimate how much of a spectrum is voice and how much is not; the share of the voice, in squares, is what is
kept of each point. Both see 1024 of 2049 bins, up to 11 kHz, and 512 frames at once; nothing is kept above.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

FRAME, STEP, BINS, FRAMES = 4096, 1024, 1024, 512
OVERLAPS = FRAME // STEP
WIDTHS = (16, 32, 64, 128, 256, 512)
SAME = (1, 2, 1, 2)
"""How TensorFlow pads an even side before a kernel of 5 that moves by 2."""
LEAST = 1e-10


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


class UNet(nn.Module):
    """How much of each point of two channels' spectra belongs to one stem."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(a, b, 5, stride=2) for a, b in pairwise((2, *WIDTHS)))
        self.down_norm = nn.ModuleList(_norm(width) for width in WIDTHS[:-1])
        widths_in = (WIDTHS[-1], *(2 * width for width in WIDTHS[-2::-1]))
        widths_out = (*WIDTHS[-2::-1], 1)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 5, stride=2) for a, b in zip(widths_in, widths_out, strict=True)
        )
        self.up_norm = nn.ModuleList(_norm(width) for width in widths_out)
        self.mask = nn.Conv2d(1, 2, 4, dilation=2, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Turn magnitudes (b, 2, frames, bins), both sides multiples of 64, into those of the stem."""
        y, skips = x, []
        for convolution, norm in zip(self.down[:-1], self.down_norm, strict=True):
            skips.append(convolution(functional.pad(y, SAME)))
            y = functional.leaky_relu(norm(skips[-1]), 0.2)
        y = self.down[-1](functional.pad(y, SAME))
        for convolution, norm in zip(self.up, self.up_norm, strict=True):
            y = norm(functional.relu(convolution(y)[..., 1:-2, 1:-2]))
            if skips:
                y = torch.cat([skips.pop(), y], 1)
        return torch.sigmoid(self.mask(y)) * x


class Spleeter(nn.Module):
    """The share of the voice in each point of a spectrum."""

    def __init__(self) -> None:
        super().__init__()
        self.vocals = UNet()
        self.accompaniment = UNet()

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Turn the magnitudes of one channel (512, 1024) into a mask, the mean of those of two equal channels."""
        both = magnitudes.expand(1, 2, FRAMES, BINS)
        voice, rest = self.vocals(both).square(), self.accompaniment(both).square()
        share: Tensor = ((voice + LEAST / 2) / (voice + rest + LEAST)).mean((0, 1))
        return share


def masked(mask: nn.Module, sound: Tensor) -> Tensor:
    """Return what a mask keeps of overlapping frames, at most 512, added up again.

    A sample that four frames saw is whole; the first and the last 3072 are not.
    """
    window = torch.hann_window(FRAME, device=sound.device)
    spectrum = torch.fft.rfft(sound.unfold(0, FRAME, STEP) * window)[:, :BINS]
    count = len(spectrum)
    kept = mask(functional.pad(spectrum.abs(), (0, 0, 0, FRAMES - count)))[:count]
    # The squares of four windows sum to 3/2.
    frames = torch.fft.irfft(spectrum * kept, FRAME) * window * (2 / 3)
    rows = sound.new_zeros(count + OVERLAPS - 1, STEP)
    for place, part in enumerate(frames.view(count, OVERLAPS, STEP).unbind(1)):
        rows[place : place + count] += part
    return rows.flatten()
