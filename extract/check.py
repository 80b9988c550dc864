"""Whether an encoder keeps its promises on given inputs: neighbours change nothing, `fast` is close enough. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract import encoders
from extract.encoders import Encode, Encoded

Unit = tuple[Any, int]
"""One input of an encoder, and how many of its leading samples are real."""
Found = NDArray[np.float64]
"""Features of the real steps of one unit, (t, d)."""

NOTHING: Mapping[str, str] = {}
NEIGHBOURS = 1e-3
"""How far neighbours and order may move an exact feature, against the spread of all features."""
MEAN, WORST = 0.999, 0.99
"""How alike exact and fast steps must be, as cosines after the mean feature is taken away."""
SMALLEST = 1e-30
BOXES_MEAN, BOXES_WORST, SURE = 0.9, 0.5, 0.5
"""The same of a detector: how much boxes overlap (intersection over union) that either way is as sure of."""


@dataclass(frozen=True)
class Verdict:
    """What was measured; `mean` and `worst` are 1 where an encoder has no fast way."""

    encoder: str
    units: int
    steps: int
    """How many steps, or boxes, were compared."""
    neighbours: float
    """The largest difference between alone, in a batch and in another order, against the spread of all features."""
    mean: float = 1.0
    worst: float = 1.0
    boxes: bool = False

    @property
    def bars(self) -> tuple[float, float]:
        """Return what `mean` and `worst` must reach."""
        return (BOXES_MEAN, BOXES_WORST) if self.boxes else (MEAN, WORST)

    @property
    def passed(self) -> bool:
        """Return whether every bar was reached; where nothing was found, none was."""
        mean, worst = self.bars
        return self.steps > 0 and self.neighbours <= NEIGHBOURS and self.mean >= mean and self.worst >= worst


def check(encoder: str, units: Sequence[Unit], device: str, options: Mapping[str, str] = NOTHING) -> Verdict:
    """Measure an encoder on units, with the weights and the options that are chosen."""
    module, spec = encoders.module(encoder), encoders.spec(encoder)
    exact: Encode = module.load(device, "exact", **options)
    together, alone = encoded(exact, units, spec.batch), encoded(exact, units, 1)
    turned = encoded(exact, units[::-1], spec.batch)[::-1]
    moved = max(_moved(together, alone), _moved(together, turned))
    detects = spec.detects
    alike = np.ones(sum(map(len, together)))
    if spec.fast:
        fast: Encode = module.load(device, "fast", **options)
        ways = [encoded(fast, units, spec.batch), encoded(fast, units, 1)]
        alike = np.concatenate([_alike(together, way, detects=detects) for way in ways])
    mean, worst = (float(alike.mean()), float(alike.min())) if len(alike) else (0.0, 0.0)
    return Verdict(encoder, len(units), len(alike), moved, mean, worst, detects)


def encoded(encode: Encode, units: Sequence[Unit], size: int) -> list[Found]:
    """Encode units of any shapes in batches of at most `size`, as an extraction would, and keep their real steps."""
    found: dict[int, Found] = {}
    for places in _batches(units, size):
        data, real = [units[i][0] for i in places], np.array([units[i][1] for i in places])
        output = encode(data if isinstance(data[0], str) else np.stack(data), real)
        output = output if isinstance(output, Encoded) else Encoded(output)
        for row, i in enumerate(places):
            steps = np.asarray(output.values[row], np.float64)[: output.valid[row] if output.valid else None]
            found[i] = steps.reshape(len(steps), math.prod(steps.shape[1:]))
    return [found[i] for i in range(len(units))]


def _batches(units: Sequence[Unit], size: int) -> Iterator[list[int]]:
    shapes: dict[tuple[int, ...], list[int]] = {}
    for i, (data, _) in enumerate(units):
        shapes.setdefault(np.shape(data), []).append(i)
    for places in shapes.values():
        yield from (places[first : first + size] for first in range(0, len(places), size))


def _moved(one: Sequence[Found], other: Sequence[Found]) -> float:
    if [len(steps) for steps in one] != [len(steps) for steps in other]:
        return float("inf")
    steps = np.concatenate(one)
    if not len(steps):
        return 0.0
    spread = float(np.sqrt(((steps - steps.mean(axis=0)) ** 2).mean()))
    return float(np.abs(steps - np.concatenate(other)).max()) / max(spread, SMALLEST)


def _alike(exact: Sequence[Found], fast: Sequence[Found], *, detects: bool) -> Found:
    if detects:
        both = zip(exact, fast, strict=True)
        return np.concatenate([overlaps(*pair) for one, other in both for pair in ((one, other), (other, one))])
    one, other = np.concatenate(exact), np.concatenate(fast)
    mean = one.sum(axis=0) / max(len(one), 1)
    one, other = one - mean, other - mean
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines: Found = (one * other).sum(axis=1) / np.maximum(lengths, SMALLEST)
    return cosines


def overlaps(boxes: Found, others: Found) -> Found:
    """Return how much of each sure box its best counterpart covers, as intersection over union; 0 where it has none."""
    sure = boxes[boxes[:, 4] >= SURE]
    if not len(others):
        return np.zeros(len(sure))
    near = np.maximum(sure[:, None, :2], others[None, :, :2])
    far = np.minimum(sure[:, None, 2:4], others[None, :, 2:4])
    shared = (far - near).clip(0).prod(axis=-1)
    areas = [(rows[:, 2:4] - rows[:, :2]).prod(axis=-1) for rows in (sure, others)]
    shares: Found = shared / (areas[0][:, None] + areas[1][None] - shared)
    best: Found = shares.max(axis=1)
    return best
