"""Gray pictures of faces, 64 x 64 pixels and nothing computed: what 3-Modal Cross-BERT's network looks at."""

import numpy as np
from numpy.typing import NDArray

from extract.encoders import Encode, Spec
from extract.faces import gray
from features.windows import Array

BIBTEX = """\
@inproceedings{voloshina2023multimodal, year = {2023}, booktitle = {Conference of Open Innovations Association (FRUCT)},
  title = {Multimodal Emotion Recognition and Sentiment Analysis Using Masked Attention and Multimodal Interaction},
  author = {Voloshina, Tatiana and Makhnytkina, Olesia}}"""

SPEC = Spec(
    reads="faces",
    width=(64, 64),
    grids=("clip@every=5,max=25",),
    size_px=64,
    preset="cross_bert",
    channels=("n_faces",),
    dtype="uint8",
    holds="raw",
    licence="that of the film",
    bibtex=BIBTEX,
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""

    def encode(batch: NDArray[np.uint8], valid: Array) -> NDArray[np.uint8]:
        return gray(batch)[:, None] * (np.asarray(valid) > 0)[:, None, None, None]

    return encode
