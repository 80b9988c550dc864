"""How sound is prepared for the networks that hear the waveform itself."""

import numpy as np
from numpy.typing import NDArray

from features.windows import Array

SHORTEST_SAMPLES = 400
"""What one step of these networks hears; a shorter sound is padded to it."""


def normalised(sounds: NDArray[np.float32], real: Array, eps: float = 1e-7) -> NDArray[np.float32]:
    """Bring each sound to mean 0 and variance 1 by its real samples, and what follows them to 0."""
    out = np.zeros_like(sounds, shape=(len(sounds), max(sounds.shape[1], SHORTEST_SAMPLES)))
    for row, sound, samples in zip(out, sounds, real, strict=True):
        part = sound[:samples]
        row[:samples] = (part - part.mean()) / np.sqrt(part.var() + eps)
    return out
