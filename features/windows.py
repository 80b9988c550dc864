"""The features of one clip: all time steps of all its windows, and where each window lies in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Windows:
    """One clip's windows; fixed-size windows `stack()` into one array, ragged ones need no second layout.

    n windows, f time steps of all windows one after another.
    """

    values: Array
    """(f, ...) all steps of all windows."""
    start: Array
    """(n + 1) window i holds the steps start[i] to start[i + 1]."""
    spans_s: Array
    """(n, 2) half-open seconds, relative to the clip's start."""
    valid: Array
    """(n) how many leading steps of each window rest on real input and not on padding."""
    steps: Mapping[str, Array] = field(default_factory=dict)
    """Per-step side channels such as `n_faces` or `token_mask`, each (f, ...)."""

    def __post_init__(self) -> None:
        n = len(self.valid)
        shapes = self.valid.shape, self.start.shape, self.spans_s.shape
        if self.values.ndim < 1 or shapes != ((n,), (n + 1,), (n, 2)):
            raise ValueError(
                f"expected valid ({n},), start ({n + 1},), spans_s ({n}, 2) and values (f, ...), "
                f"got {', '.join(map(str, shapes))} and {self.values.shape}"
            )
        if self.start.dtype.kind != "i" or self.valid.dtype.kind != "i":
            raise ValueError(f"expected start and valid as integers, got {self.start.dtype} and {self.valid.dtype}")
        lengths = np.diff(self.start)
        if self.start[0] != 0 or self.start[-1] != len(self.values) or (lengths < 0).any():
            raise ValueError(f"expected start to rise from 0 to {len(self.values)}, got {self.start.tolist()}")
        if (self.valid < 0).any() or (self.valid > lengths).any():
            raise ValueError(f"expected valid between 0 and {lengths.tolist()}, got {self.valid.tolist()}")
        if not np.isfinite(self.spans_s).all() or (self.spans_s[:, 1] < self.spans_s[:, 0]).any():
            raise ValueError(f"expected finite spans that do not end before they start, got {self.spans_s.tolist()}")
        for name, channel in self.steps.items():
            if len(channel) != len(self.values):
                raise ValueError(f"expected {len(self.values)} steps of {name}, got {len(channel)}")

    def __len__(self) -> int:
        return len(self.valid)

    @classmethod
    def join(
        cls,
        windows: Sequence[Array],
        spans_s: Sequence[tuple[float, float]],
        valid: Sequence[int],
        steps: Mapping[str, Sequence[Array]] | None = None,
    ) -> Self:
        """Lay windows of any lengths one after another."""
        lengths = [len(window) for window in windows]
        return cls(
            values=np.concatenate(windows),
            start=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            spans_s=np.asarray(spans_s, np.float64).reshape(-1, 2),
            valid=np.asarray(valid, np.int32),
            steps={name: np.concatenate(channel) for name, channel in (steps or {}).items()},
        )

    def split(self, bounds: Sequence[int]) -> list[Self]:
        """Return the windows from each bound to the next as one of their own: views, and sound because this is."""
        starts = self.start[list(bounds)].tolist()
        return [self._part(*windows, *steps) for windows, steps in zip(pairwise(bounds), pairwise(starts), strict=True)]

    def _part(self, begin: int, end: int, first: int, last: int) -> Self:
        part = object.__new__(type(self))
        vars(part).update(
            values=self.values[first:last],
            start=self.start[begin : end + 1] - first,
            spans_s=self.spans_s[begin:end],
            valid=self.valid[begin:end],
            steps={name: channel[first:last] for name, channel in self.steps.items()},
        )
        return part

    def stack(self) -> Array:
        """Return (n, t, ...) when all windows have t steps."""
        lengths = np.diff(self.start)
        if len(set(lengths.tolist())) > 1:
            raise ValueError(f"expected windows of one length, got lengths {lengths.tolist()}; use window(i)")
        return self.values.reshape(len(self), lengths[0] if len(self) else 0, *self.values.shape[1:])

    def real(self) -> Array:
        """Return the steps that rest on real input, one after another; their mean is one vector for the clip."""
        return np.concatenate([self.window(i)[:valid] for i, valid in enumerate(self.valid)] or [self.values[:0]])

    def window(self, i: int) -> Array:
        """Return the steps of window i."""
        i = range(len(self))[i]  # counts from the end below zero, and refuses what is not there
        return self.values[self.start[i] : self.start[i + 1]]
