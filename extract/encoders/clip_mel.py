"""512 numbers of each 2 s of sound from CLIP's image tower, which is shown a picture of the spectrogram.

224 mel bands, low ones at the bottom, in 64 ms windows every 32 ms; time is stretched to 224 columns, one grey for all
three colours. What the paper leaves open: contrast is that of the real part, from its faintest place, or 80 dB below
its loudest, to its loudest; where all of it is alike, and after its end, the picture is black.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.encoders import Encode, Spec
from extract.encoders._clip import BIBTEX, LICENCE, SIZE_PX, WEIGHTS, normalised
from extract.encoders.clip_vision import build, read
from features.windows import Array

SECONDS, RATE_HZ = 2, 16_000
FAINTEST = 1e-10
"""Power below which all is silence, -100 dB."""
RANGE_DB = 80.0
MEL: dict[str, Any] = {"n_mels": SIZE_PX, "n_fft": 1024, "hop_length": 512}

MER_CLIP = """\
@inproceedings{song2025leveraging, year = {2025}, booktitle = {WACV}, eprint = {2506.00903},
  title = {Leveraging {CLIP} Encoder for Multimodal Emotion Recognition},
  author = {Song, Yehun and Cho, Sunyoung}}
"""

SPEC = Spec(
    reads="audio",
    width=(512,),
    steps=1,
    grids=(f"windows({SECONDS},{SECONDS},0)",),
    rate_hz=RATE_HZ,
    licence=LICENCE,
    weights=WEIGHTS,
    parameters=87_849_216,
    settings={**MEL, "faintest": FAINTEST, "range_db": RANGE_DB, "stretch": "bilinear", "low_bands": "bottom"},
    bibtex=MER_CLIP + BIBTEX,
)


def pictures(sounds: NDArray[np.float32], real: Array) -> NDArray[np.float32]:
    """Draw sounds from black, 0, to white, 1: (b, bands, windows), low bands at the bottom; the least is 2 s."""
    import librosa

    short = max(0, SECONDS * RATE_HZ - sounds.shape[1])
    mel = librosa.feature.melspectrogram(y=np.pad(sounds, ((0, 0), (0, short))), sr=RATE_HZ, **MEL)
    level_db = librosa.power_to_db(mel, amin=FAINTEST, top_db=None)
    drawn: NDArray[np.float32] = np.zeros_like(level_db)
    for picture, level, samples in zip(drawn, level_db, real, strict=True):
        heard = level[:, : 1 + samples // MEL["hop_length"]]  # windows whose middle is real
        black = max(heard.min(), heard.max() - RANGE_DB)
        if heard.max() > black:
            picture[:] = ((level - black) / (heard.max() - black)).clip(0, 1)
    return drawn[:, ::-1]


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch
    from torch.nn.functional import interpolate

    from extract.network import Feed, frozen

    network, feed = frozen(network, device, "exact"), Feed(device)  # bfloat16 moves what tells pictures apart

    @torch.inference_mode()
    def encode(batch: NDArray[np.float32], valid: Array) -> Array:
        grey = interpolate(feed(pictures(batch, valid))[:, None], size=(SIZE_PX, SIZE_PX), mode="bilinear")
        found: Array = network(normalised(grey.expand(-1, 3, -1, -1))).image_embeds.cpu().numpy()
        return found[:, None]  # (b, 1, d)

    return encode


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
