"""Arrays of other people's files, read some rows at a time, and how far a small file may unfold into large ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.roots import CacheError
from features.windows import Array

BLOCK_BYTES = 8 * 2**20
"""Rows are read in blocks of about so many bytes."""
MOST_TIMES, HARMLESS_BYTES = 64, 64 * 2**20
"""All packed arrays of a file may take so many times what the file does, or so much."""
MOST_ARRAY_BYTES = 2**30


@dataclass(frozen=True)
class Rows:
    """An array that is read block by block, as often as one likes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Callable[[], Iterator[Array]]
    """Some rows at a time, (n, ...), in order."""

    def each(self) -> Iterator[Array]:
        """Yield row after row."""
        for block in self.blocks():
            yield from block

    def whole(self) -> Array:
        """Return all rows as one array."""
        found = [*self.blocks()]
        return np.concatenate(found) if found else np.empty(self.shape, self.dtype)


class Allowance:
    """How much the packed arrays of one file may still unfold to."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self.left = max(HARMLESS_BYTES, MOST_TIMES * size)
        self._taken: set[str] = set()

    def take(self, name: str, nbytes: int) -> None:
        """Ask before an array is unpacked; reading it once more takes nothing."""
        if name not in self._taken:
            self._taken.add(name)
            self.left -= nbytes
            if self.left < 0 or nbytes > MOST_ARRAY_BYTES:
                raise CacheError(
                    f"{self.path}: {name} would unfold to {nbytes / 1e6:.0f} MB out of a file of {self.size / 1e6:.3g} "
                    f"MB; expected arrays of at most {MOST_ARRAY_BYTES >> 30} GiB and {MOST_TIMES} times the file in "
                    "all. If you trust whoever made it, store it without compression"
                )


def step_of(row_bytes: int) -> int:
    """Return how many rows make a block."""
    return max(1, BLOCK_BYTES // max(1, row_bytes))
