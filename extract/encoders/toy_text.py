"""Code points of the first sixteen characters: the smallest text encoder, for tests and to copy."""

import numpy as np

from extract.encoders import Encode, Encoded, Spec
from features.windows import Array

SPEC = Spec(
    reads="text",
    width=(1,),
    steps=16,
    grids=("clip",),
    channels=("token_mask",),
    holds="transcript",
    licence="MIT",
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""

    def encode(batch: list[str], valid: Array) -> Encoded:
        codes = np.zeros((len(batch), 16, 1), np.float32)
        mask = np.zeros((len(batch), 16), np.uint8)
        for row, sentence in enumerate(batch):
            kept = [ord(character) % 1024 for character in sentence[:16]]
            codes[row, : len(kept), 0], mask[row, : len(kept)] = kept, 1
        return Encoded(codes, valid=mask.sum(axis=1).tolist(), steps={"token_mask": mask})

    return encode
