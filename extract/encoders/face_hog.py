"""Histograms of oriented gradients of face crops: the shape of a face without a network, computed by scikit-image."""

from typing import Any

import numpy as np

from extract.encoders import WINDOWS, Encode, Spec
from features.windows import Array

SPEC = Spec(
    reads="faces",
    width=(576,),
    steps=30,
    grids=(f"{WINDOWS}@fps=10",),
    size_px=64,
    preset="house",
    channels=("n_faces",),
    licence="BSD-3-Clause",
    settings={"orientations": 9, "cell_px": 8},
    cite="Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005",
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from skimage.feature import hog

    cell_px = SPEC.settings["cell_px"]
    options: dict[str, Any] = {
        "orientations": SPEC.settings["orientations"],
        "pixels_per_cell": (cell_px, cell_px),
        "cells_per_block": (1, 1),
        "channel_axis": -1,
    }

    def encode(batch: Array, valid: Array) -> Array:
        found = np.stack([hog(face, **options) for face in batch]).astype(np.float32)
        return (found * (np.asarray(valid) > 0)[:, None])[:, None]  # (b, 1, d)

    return encode
