"""Windows of many clips in memory, one after another, and how a batch is taken out of them."""

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

AT_ONCE_BYTES = 2**21
"""What is brought to float32 at once: as much as stays in a core's own cache."""


@dataclass(frozen=True)
class Stored:
    """One modality of some clips: their windows without gaps, so that one long clip costs nobody else memory.

    N clips, r windows. Values stay in the type of the cache; a batch is float32.
    """

    frames: Tensor
    """(r, t, d) where all windows are equally long, else (steps of all windows, d)."""
    start: Tensor | None
    """(r + 1) where each window begins in `frames`; nothing where all are equally long."""
    valid: Tensor
    """(r) how many leading steps of each window rest on real input."""
    first: Tensor
    """(N + 1) the first window of each clip; always on the CPU."""
    scaling: tuple[Tensor, Tensor] | None = None
    """(d) what standardising subtracts, and what it then multiplies with."""

    @property
    def counts(self) -> Tensor:
        """(N) how many windows each clip has."""
        return self.first.diff()

    def take(self, clips: Tensor, window: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (b, n, t, d), which windows exist (b, n), and which steps are real (b, n, t).

        `window` picks one window of each clip; a clip that has only one has it at every moment.
        """
        device = self.frames.device
        rows, exist = self._rows(clips, window)
        rows, exist = rows.to(device), exist.to(device)
        values, real = self._whole(rows) if self.start is None else self._ragged(rows)
        real = real & exist[:, :, None]
        if self.scaling is not None:
            shift, scale = self.scaling
            values = (values - shift) * scale
        mask = exist if self.start is None else real
        if not bool(mask.all()):
            values = values * mask.reshape(*mask.shape, *(1,) * (values.dim() - mask.dim()))
        return values, exist, real

    def _rows(self, clips: Tensor, window: Tensor | None) -> tuple[Tensor, Tensor]:
        counts = self.first[clips + 1] - self.first[clips]
        if window is None:
            place = torch.arange(max(int(counts.max()), 1)).expand(len(clips), -1)
        else:
            place = torch.where(counts > 1, window, 0)[:, None]
        exist = place < counts[:, None]
        return torch.where(exist, self.first[clips][:, None] + place, 0), exist

    def _whole(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        values = _taken(self.frames, rows.flatten()).reshape(*rows.shape, *self.frames.shape[1:])
        steps = torch.arange(values.shape[2], device=rows.device)
        return values, steps < self.valid[rows][:, :, None]

    def _ragged(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        assert self.start is not None  # noqa: S101 (take chooses)
        begin, end = self.start[rows], self.start[rows + 1]
        steps = torch.arange(max(int((end - begin).max()), 1), device=rows.device)
        place = (begin[:, :, None] + steps).clamp(max=len(self.frames) - 1)
        values = _taken(self.frames, place.flatten()).reshape(*place.shape, *self.frames.shape[1:])
        return values, steps < self.valid[rows][:, :, None]

    def standardised(self, shift: Tensor, scale: Tensor) -> Self:
        """Return the same windows, which `take` will standardise."""
        device = self.frames.device
        return dataclasses.replace(self, scaling=(shift.to(device), scale.to(device)))

    def to(self, device: torch.device) -> Self:
        """Return the windows on a device."""
        return dataclasses.replace(
            self,
            frames=self.frames.to(device),
            start=None if self.start is None else self.start.to(device),
            valid=self.valid.to(device),
            scaling=self.scaling and (self.scaling[0].to(device), self.scaling[1].to(device)),
        )


def _taken(frames: Tensor, rows: Tensor) -> Tensor:
    """Return some rows as float32; numpy asks for large pages, and those of torch's cost more than the copy itself."""
    if frames.device.type != "cpu":
        return frames.index_select(0, rows).float()
    values = torch.from_numpy(np.empty((len(rows), *frames.shape[1:]), np.float32))
    at_once = max(1, AT_ONCE_BYTES // (frames[:1].nbytes or 1))
    for some, place in zip(torch.split(rows, at_once), torch.split(values, at_once), strict=True):
        place.copy_(frames.index_select(0, some))
    return values
