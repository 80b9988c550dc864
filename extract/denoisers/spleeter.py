"""The vocals of Spleeter's two stems, in plain torch: what paper 000 heard, without TensorFlow.

A mono sound is given to both of the channels that Spleeter expects, as Spleeter itself does, and the mean of the two
vocals is returned. As there, a frame of silence comes first, and 512 frames, 11.9 s, are masked at once, without a look
at their neighbours; so a sound is cut where Spleeter cuts it, and working piece by piece changes nothing.

The weights are those of csukuangfj's ONNX export of Spleeter's own; its tensors are read, its graph is not.
Hennequin et al., Spleeter: a fast and efficient music source separation tool with pre-trained models, JOSS 2020.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extract.denoisers import Clean, Sound
from extract.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from extract.denoisers._spleeter import Spleeter

ID, REVISION = "csukuangfj/sherpa-onnx-spleeter-2stems", "7001ba316a615cacddb3f9ef3ec416661a277e26"

WEIGHTS = (
    Weights(
        id=ID,
        user=__name__,
        files=("vocals.onnx",),
        sha256="bdc16ab6bf6117ddd4842c19e80e40e2be188fc555295064d424616b0224ac97",
        revision=REVISION,
        sizes=(39_318_336,),
    ),
    Weights(
        id=ID,
        user=__name__,
        files=("accompaniment.onnx",),
        sha256="671ace17acd3720674a2bc14de32ac6292453dec20d9eb0ba4255d4ad8e3d8c0",
        revision=REVISION,
        sizes=(39_318_343,),
    ),
)
RATE_HZ = 44_100
LICENCE = "MIT"
PARAMETERS = 19_645_450
VERSION = 1

PARTS = ("weight", "bias")
NORM_PARTS = (*PARTS, "running_mean", "running_var")


def build() -> "Spleeter":
    """Return the two networks, their weights still to be filled."""
    from extract.denoisers._spleeter import Spleeter

    return Spleeter()


def published() -> dict[str, str]:
    """Map our names of one network's tensors to those of the export."""
    layers = {f"down.{i}": f"conv{i or ''}" for i in range(6)} | {f"up.{i}": f"up{i + 1}" for i in range(6)}
    norms = {f"down_norm.{i}": f"bn{i or ''}" for i in range(5)} | {f"up_norm.{i}": f"bn{i + 5}" for i in range(6)}
    found = {f"{ours}.{part}": f"{its}.{part}" for ours, its in (layers | {"mask": "up7"}).items() for part in PARTS}
    return found | {f"{ours}.{part}": f"{its}.{part}" for ours, its in norms.items() for part in NORM_PARTS}


def read(paths: list[Path]) -> "dict[str, Tensor]":
    """Read one network from its export; what the export does not hold is missed when it is loaded."""
    import torch

    from extract.denoisers._onnx import tensors

    held = tensors(paths[0])
    return {name: torch.from_numpy(held[its]) for name, its in published().items() if its in held}


def ready(network: "Spleeter", device: str) -> Clean:
    """Return what lifts the voice out of a sound."""
    import torch

    from extract.denoisers._spleeter import FRAME, FRAMES, STEP, masked
    from extract.network import Feed, frozen

    network, feed = frozen(network, device, "exact"), Feed(device)

    @torch.inference_mode()
    def clean(sound: Sound) -> Sound:
        frames = -(-(FRAME + len(sound)) // STEP)
        whole = np.zeros((frames - 1) * STEP + FRAME, np.float32)
        whole[FRAME : FRAME + len(sound)] = sound
        out = np.zeros_like(whole)
        for first in range(0, frames, FRAMES):
            last = min(first + FRAMES, frames) - 1
            piece = slice(first * STEP, last * STEP + FRAME)
            out[piece] += masked(network, feed(whole[piece])).cpu().numpy()
        return out[FRAME : FRAME + len(sound)]

    return clean


def load(device: str) -> Clean:
    """Return what lifts the voice out of a sound, with the pinned weights or with the random ones that were chosen."""
    from extract.network import fill, filled
    from extract.weights import random_seed

    network, seed = build(), random_seed()
    if seed is None:
        filled(network.vocals, WEIGHTS[0], LICENCE, read)
        filled(network.accompaniment, WEIGHTS[1], LICENCE, read)
    else:
        fill(network, seed)  # at once, for names alone make them differ
    return ready(network, device)
