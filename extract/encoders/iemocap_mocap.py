"""Markers of IEMOCAP's motion capture: face, hands and head of the actor who wears them, ten steps a second.

The 189 numbers are those that Tripathi et al. feed their network, in their order: 165 of `MOCAP_rotated` (x, y and z of
55 points of the face, turned upright), 18 of `MOCAP_hand` (six points) and 6 of `MOCAP_head` (pitch, roll, yaw, and
where the head is). Nothing is standardised here, because that would need other clips; training does it.

The authors average each turn in 200 equal parts, however long it is, and a missing marker makes a part NaN. Here a step
is the mean over a tenth of a second of what is there, so that a step means the same in all turns and beside sound.
"""

import numpy as np

from extract.encoders import WINDOWS, Encode, Spec
from features.windows import Array

BIBTEX = """\
@misc{tripathi2018multimodal, year = {2018}, eprint = {1804.05788}, archiveprefix = {arXiv},
  title = {Multi-Modal Emotion Recognition on {IEMOCAP} Dataset Using Deep Learning},
  author = {Tripathi, Samarth and Tripathi, Sarthak and Beigi, Homayoon}}"""

SPEC = Spec(
    reads="series",
    series="mocap",
    columns=189,
    width=(189,),
    steps=30,
    grids=(WINDOWS, "clip"),
    rate_hz=10,
    dtype="float32",  # positions in millimetres
    holds="raw",
    licence="MIT",
    bibtex=BIBTEX,
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""

    def encode(batch: Array, valid: Array) -> Array:  # padding is marked, not cut: steps stay in place
        return np.asarray(batch, np.float32)

    return encode
