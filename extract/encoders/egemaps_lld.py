"""The 25 low-level descriptors of eGeMAPSv02 as a sequence, one step every 10 ms, computed by openSMILE.

Short windows are padded with silence, so that every window has the same steps; `valid` says which are real.
"""

import numpy as np

from extract.encoders import WINDOWS, Encode, Spec
from extract.encoders.egemaps import BIBTEX, SHORTEST_SAMPLES
from features.windows import Array

SPEC = Spec(
    reads="audio",
    width=(25,),
    steps=296,
    grids=(WINDOWS, "clip"),
    rate_hz=16_000,
    dtype="float32",  # formant frequencies in Hz
    licence="audEERING research licence, no commercial use",
    settings={"feature_set": "eGeMAPSv02", "shortest_samples": SHORTEST_SAMPLES},
    bibtex=BIBTEX,
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)

    def encode(batch: Array, valid: Array) -> Array:  # padding is marked, not cut: steps stay in place
        short = max(0, SHORTEST_SAMPLES - batch.shape[1])
        sounds = np.pad(batch, ((0, 0), (0, short)))
        return np.stack([smile.process_signal(sound, SPEC.rate_hz).to_numpy(np.float32) for sound in sounds])

    return encode
