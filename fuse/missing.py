"""Which modalities of which clips are gone when a growing share of them is missing at random.

What goes follows from a clip's corpus and id and from the modality's name alone, so that every seed, fold, model and
run is asked about the same gaps, and what is missing at one rate is missing at every higher one.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def rates(modalities: int) -> tuple[float, ...]:
    """Return the shares that are taken: each tenth below the one at which a single modality is left, and that one."""
    if modalities < 2:
        return ()
    most = 1 - 1 / modalities
    return (*(tenth / 10 for tenth in range(1, 10) if tenth / 10 < most - 0.01), most)


def name(rate: float) -> str:
    """Return what a line of that rate is called."""
    return f"{100 * rate:.0f} % missing"


def gone_from(clips: Sequence[tuple[str, str]], has: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.float64]]:
    """Return for each modality the rate above which each clip (corpus and id) is without it.

    A clip keeps one of those that it has at any rate; each other one is gone with the same chance, so great that over
    many clips the share of what they had is the rate.
    """
    there = np.stack(list(has.values()))
    drawn = np.array([[_drawn(*clip, modality) for clip in clips] for modality in has]).reshape(*there.shape, 2)
    kept = np.where(there, drawn[..., 0], -1).argmax(axis=0)
    count = there.sum(axis=0)
    above = drawn[..., 1] * (count - 1) / np.maximum(count, 1)
    above[~there] = np.inf
    above[kept, np.arange(len(clips))] = np.inf
    return dict(zip(has, above, strict=True))


def _drawn(corpus: str, clip: str, modality: str) -> tuple[float, float]:
    """Return two numbers of [0, 1): who stays, and how soon the others go."""
    digest = hashlib.blake2b(f"{corpus}\n{clip}\n{modality}".encode(errors="surrogatepass"), digest_size=12).digest()
    return int.from_bytes(digest[:6], "big") / 2**48, int.from_bytes(digest[6:], "big") / 2**48
