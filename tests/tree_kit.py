"""Tiny real media for the trees of corpora: a tone in a wav, a face in a film, two faces side by side."""

import wave
from fractions import Fraction
from functools import cache
from pathlib import Path

import media_kit
import numpy as np
from skimage.data import astronaut
from skimage.transform import resize

SIZE_PX = 160
FPS = 10
CODECS = {".mp4": ("libx264", "aac"), ".avi": ("mpeg4", "libmp3lame"), ".flv": ("flv1", "libmp3lame")}
RATE_HZ = {".mp4": 48_000, ".avi": 44_100, ".flv": 44_100}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
FORK = b"\0\5\x16\7" + bytes(60)
"""What an Apple leaves beside each file of an archive."""


def lay(root, files):
    """Put files, given as {path: text or bytes}, under `root`."""
    for path, content in files.items():
        target = Path(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)


def wav(path, seconds=0.6, rate_hz=16_000, hz=220, channels=1):
    """Write a tone as 16-bit PCM; the tone is the same in every channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (media_kit.tone(hz, seconds, rate_hz) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(samples[:, None], channels, axis=1).tobytes())


def film(path, seconds=0.6, hz=220, faces=1, *, sound=True, layout="mono"):
    """Write a face, or several side by side, in the codecs that the suffix stands for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    video, audio = CODECS[path.suffix.lower()]
    rate_hz = RATE_HZ[path.suffix.lower()]
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    samples = np.repeat(media_kit.tone(hz, seconds, rate_hz)[None], channels, axis=0) if sound else None
    media_kit.write(
        path,
        [np.concatenate([face(n + side) for side in range(faces)], axis=1) for n in range(round(seconds * FPS))],
        samples,
        media_kit.Film(video, fps=Fraction(FPS)),
        media_kit.Sound(audio, rate_hz=rate_hz, layout=layout),
    )


@cache
def _portrait():
    return (resize(astronaut()[:240, 110:350], (SIZE_PX, SIZE_PX), anti_aliasing=True) * 255).astype(np.uint8)


def face(number):
    """Return a picture of one face, a little brighter or darker by its number."""
    return np.clip(_portrait().astype(int) + number % 5 * 6 - 12, 0, 255).astype(np.uint8)
