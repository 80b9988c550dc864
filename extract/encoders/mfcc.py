"""40 mel-frequency cepstral coefficients a step, computed by librosa on wav2vec 2.0's clock: 20 ms hop, 25 ms window.

Nothing is relative to a maximum over the sound, so that neighbours and padding cannot change a step.
"""

from typing import Any

import numpy as np

from extract.encoders import WINDOWS, Encode, Spec
from features.windows import Array

BIBTEX = """\
@inproceedings{mcfee2015librosa, year = {2015}, booktitle = {Python in Science Conference (SciPy)}, pages = {18--25},
  title = {librosa: Audio and Music Signal Analysis in {Python}}, doi = {10.25080/Majora-7b98e3ed-003},
  author = {McFee, Brian and Raffel, Colin and Liang, Dawen and Ellis, Daniel P. W. and McVicar, Matt and
            Battenberg, Eric and Nieto, Oriol}}"""

SPEC = Spec(
    reads="audio",
    width=(40,),
    steps=149,
    grids=(WINDOWS, "clip"),
    rate_hz=16_000,
    licence="ISC",
    settings={"n_mfcc": 40, "n_mels": 64, "n_fft": 512, "win_length": 400, "hop_length": 320},
    bibtex=BIBTEX,
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder; sound shorter than one analysis window is padded to it."""
    import librosa

    options: dict[str, Any] = {name: SPEC.settings[name] for name in ("n_mels", "n_fft", "win_length", "hop_length")}

    def encode(batch: Array, valid: Array) -> Array:  # padding is marked, not cut: steps stay in place
        short = max(0, options["n_fft"] - batch.shape[1])
        sound = np.pad(batch, ((0, 0), (0, short)))
        mel = librosa.feature.melspectrogram(y=sound, sr=SPEC.rate_hz, center=False, **options)
        level_db = librosa.power_to_db(mel, top_db=None)
        mfcc = librosa.feature.mfcc(S=level_db, n_mfcc=SPEC.settings["n_mfcc"])  # (b, d, t)
        return np.ascontiguousarray(mfcc.swapaxes(1, 2), np.float32)

    return encode
