"""Units of many clips through one encoder, in batches of equal shape; a clip that breaks a batch is named."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from time import perf_counter
from typing import Any

import numpy as np

from extract.cut import Output
from extract.encoders import Encode, Encoded

HELD_BYTES = 1 << 28
"""How many bytes of units may wait for a full batch: frames in HD are large."""
WORTHWHILE = 0.95
"""A larger batch must take less than this share of the time a unit took before."""


@dataclass(frozen=True)
class Unit:
    """One input of an encoder: a window of sound or of numbers, a frame, a face or a sentence."""

    clip: str
    index: int
    """Which of the clip's units."""
    data: Any
    real: int = 1
    """Leading samples, or steps, that are not padding."""
    media_s: float = 0.0
    """Seconds of media that it stands for."""
    time_s: Fraction = Fraction(0)


class BatchSize:
    """How many units make a batch.

    On a CPU a fixed number, because batches decide the last bit of a feature. On a GPU it doubles for as long as that
    pays. Below either, whatever memory holds.
    """

    def __init__(self, first: int, *, grows: bool) -> None:
        self.now, self._grows = first, grows
        self._unit_s = float("inf")

    def took(self, units: int, wall_s: float) -> None:
        """Learn from a batch that went well."""
        if self._grows and units == self.now:
            if wall_s / units < WORTHWHILE * self._unit_s:
                self._unit_s, self.now = wall_s / units, self.now * 2
            else:
                self._grows, self.now = False, max(1, self.now // 2)

    def did_not_fit(self, units: int) -> None:
        """Learn from a batch that was too large for memory."""
        self._grows, self.now = False, max(1, units // 2)

    def full(self, units: Sequence[Unit]) -> bool:
        """Return whether these units are a batch."""
        return len(units) >= self.now or len(units) * getattr(units[0].data, "nbytes", 0) >= HELD_BYTES


class Feed:
    """What waits for one encoder. Outputs are delivered unit by unit, in the order of the batches."""

    def __init__(
        self,
        encode: Encode,
        size: BatchSize,
        step: Callable[[Sequence[Unit]], AbstractContextManager[object]],
        deliver: Callable[[Unit, Output], None],
        fail: Callable[[str, str], None],
    ) -> None:
        self._encode, self._size, self._step, self._deliver, self._fail = encode, size, step, deliver, fail
        self._waiting: dict[tuple[int, ...], list[Unit]] = {}

    def add(self, unit: Unit) -> None:
        """Take a unit, and encode its batch once that is full."""
        alike = self._waiting.setdefault(np.shape(unit.data), [])
        alike.append(unit)
        if self._size.full(alike):
            self._run(self._waiting.pop(np.shape(unit.data)))

    def flush(self) -> None:
        """Encode what waits, batch full or not."""
        while self._waiting:
            self._run(self._waiting.pop(next(iter(self._waiting))))

    def drop(self, clip: str) -> None:
        """Forget the units of a clip that has failed."""
        kept = {shape: [unit for unit in units if unit.clip != clip] for shape, units in self._waiting.items()}
        self._waiting = {shape: units for shape, units in kept.items() if units}

    def _run(self, units: Sequence[Unit]) -> None:
        began_s = perf_counter()
        try:
            with self._step(units):
                outputs = _outputs(self._encode(_stacked(units), np.array([unit.real for unit in units])), len(units))
        except Exception as error:  # noqa: BLE001 (whatever a network throws at one clip must not stop the others)
            self._split(units, error)
            return
        self._size.took(len(units), perf_counter() - began_s)
        for unit, output in zip(units, outputs, strict=True):
            self._deliver(unit, output)

    def _split(self, units: Sequence[Unit], error: Exception) -> None:
        """Go on with smaller batches, down to the unit that cannot be encoded."""
        if len(units) == 1:
            self._fail(units[0].clip, f"{type(error).__name__}: {error}")
        elif _short_of_memory(error):
            self._size.did_not_fit(len(units))
            self._run(units[: len(units) // 2])
            self._run(units[len(units) // 2 :])
        else:
            for unit in units:
                self._run([unit])


def _stacked(units: Sequence[Unit]) -> Any:
    data = [unit.data for unit in units]
    return data if isinstance(data[0], str) else np.stack(data)


def _outputs(output: object, units: int) -> list[Output]:
    encoded = output if isinstance(output, Encoded) else Encoded(np.asarray(output))
    if len(encoded.values) != units:
        raise ValueError(f"expected features of {units} units, got {len(encoded.values)}")
    valid = encoded.valid if encoded.valid is not None else [None] * units
    return [
        Output(encoded.values[i], valid[i], {name: channel[i] for name, channel in encoded.steps.items()})
        for i in range(units)
    ]


def _short_of_memory(error: Exception) -> bool:
    """Tell a batch that was too large; torch says so on a GPU by type and on a CPU by its words."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "allocate memory" in str(error)
