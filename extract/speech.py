"""What is done with speech: the spoken parts of a sound, pieces cut where it is quiet, transcripts as bytes. Pure."""

import numpy as np
from numpy.typing import NDArray

from features.windows import Array

PIECE_S, SEARCHED_S = 30, 5
"""No piece is longer; it ends at the quietest tenth of a second of the last that many."""


def only_speech(sound: NDArray[np.float32], spans_s: Array, rate_hz: int) -> NDArray[np.float32]:
    """Return the spoken parts one after another, what lies in several spans once; nothing where nobody speaks."""
    spoken = np.zeros(len(sound), bool)
    edges = np.rint(np.asarray(spans_s, np.float64).reshape(-1, 2) * rate_hz).clip(0, len(sound))
    for start, end in edges.astype(int):
        spoken[start:end] = True
    return sound[spoken]


def pieces(sound: NDArray[np.float32], rate_hz: int) -> list[NDArray[np.float32]]:
    """Cut a sound that is longer than one piece, each time in the middle of the quietest tenth of a second."""
    tenth, longest = rate_hz // 10, PIECE_S * rate_hz
    searched = 10 * SEARCHED_S * tenth
    found = []
    while len(sound) > longest:
        power = np.square(sound[longest - searched : longest], dtype=np.float64).reshape(-1, tenth).sum(axis=1)
        cut = longest - searched + int(power.argmin()) * tenth + tenth // 2
        found.append(sound[:cut])
        sound = sound[cut:]
    return [*found, sound]


def bytes_of(text: str) -> NDArray[np.uint8]:
    """Return a transcript as steps of one byte each, (n, 1) in UTF-8."""
    return np.frombuffer(text.encode(), np.uint8)[:, None]


def words_of(values: Array) -> str:
    """Return the transcript that such steps spell."""
    if values.dtype != np.uint8:
        raise ValueError(f"expected a transcript as uint8, got {values.dtype}; is this the entry of a transcriber?")
    try:
        return values.tobytes().decode()
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} at step {error.start} of {len(values)}"
        raise ValueError(f"expected a transcript in UTF-8, got {found}; extract the clip again") from None
