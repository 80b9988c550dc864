"""Mean red, green and blue of a frame: the smallest picture encoder, for tests and to copy."""

import numpy as np

from extract.encoders import WINDOWS, Encode, Spec
from features.windows import Array

SPEC = Spec(
    reads="frames",
    width=(3,),
    steps=30,
    grids=(f"{WINDOWS}@fps=10", f"{WINDOWS}@fps=5", "clip@fps=5"),
    licence="MIT",
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""

    def encode(batch: Array, valid: Array) -> Array:
        colour = batch.mean(axis=(1, 2), dtype=np.float64)
        return np.asarray(colour[:, None], np.float32)  # (b, 1, 3)

    return encode
