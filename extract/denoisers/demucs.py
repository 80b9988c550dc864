"""The vocals of Hybrid Transformer Demucs, htdemucs, in plain torch.

A mono sound is given to both of the channels that Demucs expects, and the mean of the two vocals is returned. As its
authors apply it: the clip is brought to mean 0 and variance 1, cut into segments of 7.8 s that overlap by a quarter,
and put together again with weights that rise to the middle of each. A shorter last segment is centred between what
comes before it and silence. No segment is shifted at random.

Rouard et al., Hybrid Transformers for Music Source Separation, ICASSP 2023.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extract.denoisers import Clean, Sound
from extract.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from extract.denoisers._htdemucs import HTDemucs

WEIGHTS = (
    Weights(
        id="facebookresearch/demucs",
        user=__name__,
        files=("955717e8-8726e21a.th",),
        sha256="8726e21a993978c7ba086d3872e7608d7d5bfca646ca4aca459ffda844faa8b4",
        revision="955717e8",
        sizes=(84_141_911,),
        url="https://dl.fbaipublicfiles.com/demucs/hybrid_transformer/{file}",
    ),
)
RATE_HZ = 44_100
LICENCE = "MIT"
PARAMETERS = 41_984_456
VERSION = 1

SEGMENT = 343_980
"""Samples in 7.8 s, what the network was trained on."""
OVERLAP = 0.25
LEAST = np.float32(1e-8)


class Ignored:
    """Stands for what the checkpoint holds beside its weights: its class, its length as a fraction, its scores."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


IGNORED = ("demucs.htdemucs.HTDemucs", "fractions.Fraction", "numpy.core.multiarray.scalar", "numpy.dtype")


def build() -> "HTDemucs":
    """Return the network, its weights still to be filled."""
    from extract.denoisers._htdemucs import HTDemucs

    return HTDemucs()


def read(paths: list[Path]) -> "dict[str, Tensor]":
    """Read the weights of the published checkpoint; what else it names is replaced by something that does nothing."""
    import torch

    with torch.serialization.safe_globals([(Ignored, name) for name in IGNORED]):
        state: dict[str, Tensor] = torch.load(paths[0], map_location="cpu", weights_only=True)["state"]
    return state


def ready(network: "HTDemucs", device: str, segment: int = SEGMENT) -> Clean:
    """Return what lifts the voice out of a sound."""
    import torch

    from extract.network import Feed, frozen

    network, feed = frozen(network, device, "exact"), Feed(device)

    @torch.inference_mode()
    def vocals(piece: Sound) -> Sound:
        found: Sound = network(feed(piece).expand(1, 2, -1)).mean((0, 1)).cpu().numpy()
        return found

    def clean(sound: Sound) -> Sound:
        if not len(sound):
            return sound
        mean, std = sound.mean(), sound.std() + LEAST
        lifted: Sound = joined(vocals, (sound - mean) / std, segment) * std + mean
        return lifted

    return clean


def joined(vocals: Clean, sound: Sound, segment: int) -> Sound:
    """Lift the voice out of overlapping segments, and fade from each to the next."""
    rise = np.arange(1, segment // 2 + 1, dtype=np.float32)
    weight = np.concatenate([rise, np.arange(segment - segment // 2, 0, -1, dtype=np.float32)])
    weight /= weight.max()
    out, total = np.zeros_like(sound), np.zeros_like(sound)
    for start in range(0, len(sound), int((1 - OVERLAP) * segment)):
        length = min(segment, len(sound) - start)
        before = (segment - length) // 2
        found = vocals(_piece(sound, start - before, segment))
        out[start : start + length] += weight[:length] * found[before : before + length]
        total[start : start + length] += weight[:length]
    return out / total


def _piece(sound: Sound, start: int, samples: int) -> Sound:
    """Return so many samples from a place on that may lie before the first, with silence around the sound."""
    piece = np.zeros(samples, np.float32)
    first, last = max(start, 0), min(start + samples, len(sound))
    piece[first - start : last - start] = sound[first:last]
    return piece


def load(device: str) -> Clean:
    """Return what lifts the voice out of a sound, with the pinned weights or with the random ones that were chosen."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS[0], LICENCE, read), device)
