"""The 88 functionals of eGeMAPSv02 over a window or a whole clip, computed by openSMILE.

Only real sound enters: statistics over padding would say how short the clip is. Sound that is too short for openSMILE
is lengthened with silence.
"""

import numpy as np

from extract.encoders import WINDOWS, Encode, Spec
from features.windows import Array

SHORTEST_SAMPLES = 8_000

BIBTEX = """\
@article{eyben2016gemaps, doi = {10.1109/TAFFC.2015.2457417}, year = {2016}, volume = {7}, number = {2},
  title = {The {Geneva} Minimalistic Acoustic Parameter Set ({GeMAPS}) for Voice Research and Affective Computing},
  journal = {IEEE Transactions on Affective Computing}, pages = {190--202},
  author = {Eyben, Florian and Scherer, Klaus R. and Schuller, Björn W. and Sundberg, Johan and
            André, Elisabeth and Busso, Carlos and Devillers, Laurence Y. and Epps, Julien and Laukka, Petri and
            Narayanan, Shrikanth S. and Truong, Khiet P.}}
@inproceedings{eyben2010opensmile, doi = {10.1145/1873951.1874246}, year = {2010}, pages = {1459--1462},
  title = {{openSMILE}: The {Munich} Versatile and Fast Open-Source Audio Feature Extractor},
  booktitle = {ACM Multimedia}, author = {Eyben, Florian and Wöllmer, Martin and Schuller, Björn}}"""

SPEC = Spec(
    reads="audio",
    width=(88,),
    steps=1,
    grids=(WINDOWS, "clip"),
    rate_hz=16_000,
    dtype="float32",  # formants and their bandwidths reach thousands, jitter lies below a hundredth
    licence="audEERING research licence, no commercial use",
    settings={"feature_set": "eGeMAPSv02", "shortest_samples": SHORTEST_SAMPLES},
    bibtex=BIBTEX,
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)

    def encode(batch: Array, valid: Array) -> Array:
        rows = []
        for sound, samples in zip(batch, valid, strict=True):
            real = sound[:samples]
            padded = np.pad(real, (0, max(0, SHORTEST_SAMPLES - len(real))))
            rows.append(smile.process_signal(padded, SPEC.rate_hz).to_numpy(np.float32))
        return np.stack(rows)  # (b, 1, 88)

    return encode
