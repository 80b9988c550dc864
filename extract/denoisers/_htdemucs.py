"""Hybrid Transformer Demucs: two U-Nets, over the spectrum and over the waveform, which meet in a transformer.

As published under 955717e8: four stages that each shorten frequencies, or samples, four times and have residual
branches on both ways, no norms outside of those, and real and imaginary parts as channels. Names are those of the
published checkpoint.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from extract.denoisers._htdemucs_transformer import CrossTransformer, Scale

CHANNELS, SOURCES, VOCALS = 2, 4, 3
FRAME, STEP = 4096, 1024
STAGES = 4
KERNEL, STRIDE = 8, 4
MARGIN = STRIDE // 2
EMBEDDING_GAIN = 10 * 0.2
"""The embedding is stored ten times too small, and a fifth of it counts."""
LEAST = 1e-5


class Branches(nn.Module):
    """Two residual branches along time, of dilated convolutions through an eighth of the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_branch(width, width // 8, dilation) for dilation in (1, 2))

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, d, t), or (b, d, f, t) each frequency for itself, into the same shape."""
        if x.dim() == 4:
            rows = x.transpose(1, 2)
            return torch.unflatten(self(rows.flatten(0, 1)), 0, rows.shape[:2]).transpose(1, 2)
        for layer in self.layers:
            x = x + layer(x)
        return x


def _branch(width: int, hidden: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(width, hidden, 3, dilation=dilation, padding=dilation),
        nn.GroupNorm(1, hidden),
        nn.GELU(),
        nn.Conv1d(hidden, 2 * width, 1),
        nn.GroupNorm(1, 2 * width),
        nn.GLU(1),
        Scale(width, 1),
    )


class Encoder(nn.Module):
    """Shorten frequencies, or samples, four times."""

    def __init__(self, width_in: int, width: int, *, spectral: bool) -> None:
        super().__init__()
        kind, kernel, stride, margin = _along(spectral=spectral)
        self.conv = kind(width_in, width, kernel, stride, margin)
        self.rewrite = kind(width, 2 * width, 1)
        self.dconv = Branches(width)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (b, d, f, t) into (b, d', f / 4, t), or (b, d, n) into (b, d', n / 4), rounded up."""
        if x.dim() == 3:
            x = functional.pad(x, (0, -x.shape[2] % STRIDE))
        y = self.dconv(functional.gelu(self.conv(x)))
        return functional.glu(self.rewrite(y), 1)


class Decoder(nn.Module):
    """Lengthen frequencies, or samples, four times."""

    def __init__(self, width: int, width_out: int, *, spectral: bool, last: bool) -> None:
        super().__init__()
        kind, kernel, stride, _ = _along(spectral=spectral)
        transposed = nn.ConvTranspose2d if spectral else nn.ConvTranspose1d
        self.last = last
        self.rewrite = kind(width, 2 * width, 3, padding=1)
        self.dconv = Branches(width)
        self.conv_tr = transposed(width, width_out, kernel, stride)

    def forward(self, x: Tensor, skip: Tensor, length: int) -> Tensor:
        """Turn (b, d, f, t) or (b, d, n), and what was encoded there, into (b, d', length, t) or (b, d', length)."""
        y = self.conv_tr(self.dconv(functional.glu(self.rewrite(x + skip), 1)))
        y = y[:, :, MARGIN : MARGIN + length]
        return y if self.last else functional.gelu(y)


def _along(*, spectral: bool) -> tuple[Any, Any, Any, Any]:
    """Return the convolution, its kernel, stride and padding, along frequencies alone or along samples."""
    return (nn.Conv2d, (KERNEL, 1), (STRIDE, 1), (MARGIN, 0)) if spectral else (nn.Conv1d, KERNEL, STRIDE, MARGIN)


class HTDemucs(nn.Module):
    """The vocals of a stereo sound that is as long as what the network was trained on."""

    def __init__(self, channels: int = 48, width: int = 512, heads: int = 8) -> None:
        super().__init__()
        widths = [channels * 2**stage for stage in range(STAGES)]
        self.encoder = _encoders([2 * CHANNELS, *widths], spectral=True)
        self.tencoder = _encoders([CHANNELS, *widths], spectral=False)
        self.decoder = _decoders([2 * CHANNELS * SOURCES, *widths], spectral=True)
        self.tdecoder = _decoders([CHANNELS * SOURCES, *widths], spectral=False)
        self.freq_emb = nn.ModuleDict({"embedding": nn.Embedding(FRAME // 2 // STRIDE, channels)})
        self.channel_upsampler = nn.Conv1d(widths[-1], width, 1)
        self.channel_upsampler_t = nn.Conv1d(widths[-1], width, 1)
        self.channel_downsampler = nn.Conv1d(width, widths[-1], 1)
        self.channel_downsampler_t = nn.Conv1d(width, widths[-1], 1)
        self.crosstransformer = CrossTransformer(width, heads)

    def forward(self, mix: Tensor) -> Tensor:
        """Turn (b, 2, samples) into the vocals, (b, 2, samples)."""
        parts = torch.view_as_real(spectrum(mix)).movedim(-1, 2).flatten(1, 2)
        x, mean, std = _standard(parts)
        xt, mean_t, std_t = _standard(mix)
        x, xt = self._separated(x, xt)
        x = torch.unflatten(x * std + mean, 1, (SOURCES, CHANNELS, 2))[:, VOCALS]
        xt = torch.unflatten(xt * std_t + mean_t, 1, (SOURCES, CHANNELS))[:, VOCALS]
        return xt + sound(torch.view_as_complex(x.movedim(2, -1).contiguous()), mix.shape[2])

    def _separated(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        seen: list[tuple[Tensor, Tensor, int, int]] = []
        for encode, encode_t in zip(self.encoder, self.tencoder, strict=True):
            lengths = x.shape[2], xt.shape[2]
            x, xt = encode(x), encode_t(xt)
            if not seen:  # tells frequencies apart
                x = x + EMBEDDING_GAIN * self.freq_emb.get_parameter("embedding.weight").t()[:, :, None]
            seen.append((x, xt, *lengths))
        x, xt = self._met(x, xt)
        for decode, decode_t in zip(self.decoder, self.tdecoder, strict=True):
            skip, skip_t, length, length_t = seen.pop()
            x, xt = decode(x, skip, length), decode_t(xt, skip_t, length_t)
        return x, xt

    def _met(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        size = x.shape[2:]
        wide = torch.unflatten(self.channel_upsampler(x.flatten(2)), 2, size)
        wide, wide_t = self.crosstransformer(wide, self.channel_upsampler_t(xt))
        x = torch.unflatten(self.channel_downsampler(wide.flatten(2)), 2, size)
        return x, self.channel_downsampler_t(wide_t)


def _encoders(widths: list[int], *, spectral: bool) -> nn.ModuleList:
    return nn.ModuleList(Encoder(a, b, spectral=spectral) for a, b in pairwise(widths))


def _decoders(widths: list[int], *, spectral: bool) -> nn.ModuleList:
    pairs = [*pairwise(widths)]
    return nn.ModuleList(Decoder(b, a, spectral=spectral, last=(a, b) == pairs[0]) for a, b in reversed(pairs))


def _standard(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bring each of a batch to mean 0 and variance 1, and return what takes it back."""
    axes = tuple(range(1, x.dim()))
    mean, std = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
    return (x - mean) / (LEAST + std), mean, std


def spectrum(mix: Tensor) -> Tensor:
    """Turn (b, c, samples) into (b, c, 2048, t): a frame for every 1024 samples begun, without the highest bin."""
    frames = -(-mix.shape[2] // STEP)
    edge = 3 * STEP // 2
    padded = functional.pad(mix, (edge, edge + frames * STEP - mix.shape[2]), mode="reflect").flatten(0, 1)
    window = torch.hann_window(FRAME, device=mix.device)
    found = torch.stft(padded, FRAME, STEP, window=window, normalized=True, return_complex=True)
    return torch.unflatten(found[:, :-1, 2 : 2 + frames], 0, mix.shape[:2])


def sound(spectrum: Tensor, samples: int) -> Tensor:
    """Turn (b, c, 2048, t) back into (b, c, samples)."""
    edge = 3 * STEP // 2
    padded = functional.pad(spectrum, (2, 2, 0, 1)).flatten(0, 1)
    window = torch.hann_window(FRAME, device=spectrum.device)
    length = spectrum.shape[3] * STEP + 2 * edge
    found = torch.istft(padded, FRAME, STEP, window=window, normalized=True, length=length)
    return torch.unflatten(found[:, edge : edge + samples], 0, spectrum.shape[:2])
