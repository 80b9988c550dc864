"""Where a long recording is cut into pieces: in the longest silence near the length that is wished, or just there."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manifests import probe

STEP_S = 0.05
NEAR = 1 / 3
"""The last share of a piece in which a silence is looked for."""
QUIET = 0.1
"""What is below this share of the recording's loud moments (its 95th percentile) is silence: 20 dB."""
LEAST_SILENCE_S = 0.2
"""The closure of a plosive is shorter; whoever pauses takes longer."""
MOST_S = 48 * 3600
"""What is longer is not listened to."""
Loudness = NDArray[np.float64]
"""(steps of 50 ms) the root mean square of the samples."""


def ends_s(loudness: Loudness, length_s: float, cut_s: float, least_s: float) -> Iterator[float]:
    """Yield where each piece ends; none is longer than is wished, but for the last, which takes up a shorter rest."""
    silent = loudness < QUIET * np.percentile(loudness, 95) if len(loudness) else np.zeros(0, bool)
    start_s = 0.0
    while length_s - start_s > cut_s + least_s:
        from_s, start_s = start_s + (1 - NEAR) * cut_s, start_s + cut_s
        before = math.ceil(from_s / STEP_S)
        first, end = _longest(silent[before : int(start_s / STEP_S)])
        if (end - first) * STEP_S >= LEAST_SILENCE_S - 1e-9:
            start_s = round((before + (first + end) / 2) * STEP_S, 3)
        yield start_s
    yield length_s


def _longest(silent: NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the longest run begins and ends; of equal ones the last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], silent, [False])).astype(np.int8)))
    runs = edges.reshape(-1, 2).tolist()
    first, end = max(runs, key=lambda run: (run[1] - run[0], run[0]), default=(0, 0))
    return first, end


def loudness(file: Path, length_s: float) -> Loudness:
    """Listen to a file, piece by piece; what cannot be decoded is silent, and no file is all of it."""
    if length_s > MOST_S:
        return np.zeros(0)
    squares, counts = np.zeros((2, int(length_s / STEP_S) + 1))
    for piece in probe.pieces(file, {"audio"}, length_s):
        if isinstance(piece, probe.Heard) and 0 <= piece.time_s < length_s:
            samples = np.square(piece.planes).mean(axis=0)
            steps = ((piece.time_s + np.arange(len(samples)) / piece.rate_hz) / STEP_S).astype(np.int64)
            squares += np.bincount(steps, samples, len(squares))[: len(squares)]
            counts += np.bincount(steps, minlength=len(counts))[: len(counts)]
    return np.asarray(np.sqrt(squares / np.maximum(counts, 1)))
