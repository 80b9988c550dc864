"""Histograms of oriented gradients of face crops: the shape of a face without a network, computed by scikit-image."""

from typing import Any

import numpy as np

from extract.encoders import WINDOWS, Encode, Spec
from features.windows import Array

BIBTEX = """\
@inproceedings{dalal2005histograms, doi = {10.1109/CVPR.2005.177}, year = {2005}, pages = {886--893},
  title = {Histograms of Oriented Gradients for Human Detection}, booktitle = {CVPR},
  author = {Dalal, Navneet and Triggs, Bill}}
@article{vanderwalt2014scikitimage, doi = {10.7717/peerj.453}, year = {2014}, journal = {PeerJ}, volume = {2},
  title = {{scikit-image}: Image Processing in {Python}}, pages = {e453},
  author = {van der Walt, Stéfan and Schönberger, Johannes L. and Nunez-Iglesias, Juan and
            Boulogne, François and Warner, Joshua D. and Yager, Neil and Gouillart, Emmanuelle and Yu, Tony and
            {the scikit-image contributors}}}"""

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
    bibtex=BIBTEX,
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
