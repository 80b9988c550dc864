"""How loud the sound is every 50 ms: its greatest and its root-mean-square amplitude, from which wave forms are drawn.

No features to learn from: `make predict` draws its time line with it.
"""

import numpy as np

from extract.encoders import Encode, Spec
from features.windows import Array

SPEC = Spec(
    reads="audio",
    width=(2,),
    steps=200,
    grids=("windows(10,10,0)", "clip"),
    rate_hz=16_000,
    licence="MIT",
    settings={"hop_length": 800},
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    hop = int(SPEC.settings["hop_length"])

    def encode(batch: Array, valid: Array) -> Array:  # padding is marked, not cut: steps stay in place
        short = -batch.shape[1] % hop
        steps = np.pad(batch, ((0, 0), (0, short))).reshape(len(batch), -1, hop)
        return np.stack([np.abs(steps).max(axis=-1), np.sqrt((steps**2).mean(axis=-1))], axis=-1)  # (b, t, 2)

    return encode
