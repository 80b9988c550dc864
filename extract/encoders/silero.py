"""Where somebody speaks: Silero's voice activity detection over a whole clip, as rows of start and end in seconds."""

from typing import Any

import numpy as np

from extract.encoders import Encode, Encoded, Spec
from extract.weights import Weights, located
from features.windows import Array

WEIGHTS = Weights(
    id="snakers4/silero-vad",
    package="silero_vad",
    files=("data/silero_vad.jit",),
    sha256="e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720",
)

PRESETS: dict[str, dict[str, Any]] = {
    "mfer": {"threshold": 0.5, "min_speech_ms": 250, "min_silence_ms": 100, "pad_ms": 30},
    "lefsa": {
        "threshold": 0.4,
        "negative_threshold": 0.25,
        "min_speech_ms": 150,
        "min_silence_ms": 300,
        "pad_ms": 120,
        "max_speech_s": 12,
    },
}
"""MFER takes the library's defaults; LEFSA's pipeline waits longer before it believes in a pause."""

ARGUMENTS = {
    "threshold": "threshold",
    "negative_threshold": "neg_threshold",
    "min_speech_ms": "min_speech_duration_ms",
    "min_silence_ms": "min_silence_duration_ms",
    "pad_ms": "speech_pad_ms",
    "max_speech_s": "max_speech_duration_s",
}
"""What the library calls them."""


def settings(preset: str = "mfer") -> dict[str, Any]:
    """Return all that a preset decides, for the key."""
    return dict(PRESETS[preset])


BIBTEX = """\
@misc{silero2024vad, year = {2024}, author = {{Silero Team}}, howpublished = {github.com/snakers4/silero-vad},
  title = {{Silero VAD}: pre-trained enterprise-grade Voice Activity Detector ({VAD}), Number Detector and
           Language Classifier}}"""

SPEC = Spec(
    reads="audio",
    width=(2,),
    grids=("clip",),
    rate_hz=16_000,
    options={"preset": tuple(PRESETS)},
    dtype="float32",  # seconds
    licence="MIT",
    parameters=462_594,  # both halves of the file; the one for 8 kHz rests
    weights=WEIGHTS,
    settings=settings(),
    bibtex=BIBTEX,
)


def load(device: str, precision: str, preset: str = "mfer") -> Encode:  # so small that the CPU is its home
    """Return the detector."""
    import torch

    located(WEIGHTS)
    threads = torch.get_num_threads()
    from silero_vad import get_speech_timestamps, load_silero_vad

    torch.set_num_threads(threads)  # its import takes them from every other encoder
    network = load_silero_vad()
    arguments = {ARGUMENTS[name]: value for name, value in settings(preset).items()}

    def speech_s(sound: Array) -> Array:
        found = get_speech_timestamps(torch.from_numpy(sound), network, sampling_rate=SPEC.rate_hz, **arguments)
        rows = [(span["start"] / SPEC.rate_hz, span["end"] / SPEC.rate_hz) for span in found]
        return np.array(rows, np.float32).reshape(-1, 2)

    def encode(batch: Array, valid: Array) -> Encoded:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # its layers are so small that threads only wait for each other
        try:
            return Encoded([speech_s(sound[:samples]) for sound, samples in zip(batch, valid, strict=True)])
        finally:
            torch.set_num_threads(threads)

    return encode
