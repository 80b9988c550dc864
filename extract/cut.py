"""What one encoder is given of one clip, and how its outputs become windows again. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from extract.encoders import Spec
from extract.series import Numbers, Readings
from extract.window import Span, samples, share, slots, spans, spread
from features import Grid, Windows
from features.windows import Array


@dataclass(frozen=True)
class Layout:
    """Where the units of a clip stand. A group of units makes one block of steps, a row of groups one window."""

    groups: Sequence[tuple[int, ...]]
    """Indices of units whose features are averaged: one, or the faces of a frame, perhaps none."""
    windows: Sequence[tuple[int, ...]]
    """Indices of the groups that each window holds, in order."""
    spans: Sequence[Span]
    length_s: Fraction = Fraction(0)
    """A window's full length, where a shorter span means padding."""
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Side channels that are known before encoding, per group."""
    valid: Sequence[int] = ()
    """Leading real steps of each window, where that is known before encoding."""
    repeated: int = 0
    """Slots of all windows that had no frame of their own and show the one before."""


@dataclass(frozen=True)
class Output:
    """What an encoder made of one unit."""

    values: Array
    """(t, ...) its steps."""
    valid: int | None = None
    steps: Mapping[str, Array] = field(default_factory=dict)


def sound(audio: NDArray[np.float32], spec: Spec, grid: Grid) -> tuple[list[tuple[Array, int]], Layout]:
    """Cut sound into windows, each with its count of real samples; the last is padded with silence to full length."""
    parts = spans(Fraction(len(audio), spec.rate_hz), grid)
    full = samples((Fraction(0), grid.length_s), spec.rate_hz)[1]
    pieces = [audio[slice(*samples(part, spec.rate_hz))] for part in parts]
    each = [(i,) for i in range(len(pieces))]
    padded = [(np.pad(piece, (0, max(0, full - len(piece)))), len(piece)) for piece in pieces]
    return padded, Layout(each, each, parts, grid.length_s)


def series(given: Readings, spec: Spec, grid: Grid) -> tuple[list[tuple[Numbers, int]], Layout]:
    """Cut a series into windows, each with its count of real steps; the last repeats its last step to full length."""
    if sum(given.columns) != spec.columns:
        found = " + ".join(map(str, given.columns))
        raise ValueError(
            f"expected {spec.columns} columns of {spec.series} in all, got {found}; is a table of another kind?"
        )
    values, empty = given.steps(spec.rate_hz)
    parts = spans(given.duration_s, grid)
    full = round(grid.length_s * spec.rate_hz)
    ends = [(int(start * spec.rate_hz), math.ceil(end * spec.rate_hz)) for start, end in parts]
    pieces = [values[first:end][: full or None] for first, end in ends]
    each = [(i,) for i in range(len(pieces))]
    padded = [(np.pad(piece, ((0, max(0, full - len(piece))), (0, 0)), mode="edge"), len(piece)) for piece in pieces]
    return padded, Layout(each, each, parts, grid.length_s, repeated=empty)


def frames(times_s: Sequence[Fraction], taken: Sequence[int], duration_s: Fraction, grid: Grid) -> Layout:
    """Lay sampled frames, each of which is one unit however many windows share it, into windows.

    `taken` are the slots that they begin, in the grid's sampling.
    """
    if grid.form == "frames":
        each = [(i,) for i in range(len(times_s))]
        return Layout(each, each, list(pairwise([*times_s, max(duration_s, *times_s)])))
    parts = spans(duration_s, grid)
    if grid.fps:
        filled = [slots(times_s, part, grid.fps) for part in parts]
    else:
        filled = [spread(taken, grid.even or len(taken)) for _ in parts]
    windows = [_full(window.frames, grid) for window in filled]
    groups = [(i,) for i in range(1 + max((frame for window in windows for frame in window), default=-1))]
    return Layout(groups, windows, parts, grid.length_s, repeated=sum(window.repeated for window in filled))


def text() -> Layout:
    """Take a sentence as the one unit of its clip; words have no place in time here."""
    return Layout([(0,)], [(0,)], [(Fraction(0), Fraction(0))])


def silence(spec: Spec) -> Layout:
    """Lay out what nobody said: zeros, none of them real."""
    steps = spec.steps or 1
    return Layout([()] * steps, [tuple(range(steps))], [(Fraction(0), Fraction(0))], valid=[0])


def without_empty(layout: Layout) -> Layout:
    """Leave out the steps that rest on nothing, such as frames without a face; one of them stays where all are."""
    windows = [tuple(i for i in window if layout.groups[i]) or window[:1] for window in layout.windows]
    return replace(layout, windows=windows)


def assemble(layout: Layout, outputs: Mapping[int, Output], spec: Spec) -> Windows:
    """Average each group, lay groups into windows, and say how much of each window is real."""
    blocks = [_block([outputs[i] for i in group], spec) for group in layout.groups]
    channels = {name: _channel(name, layout, outputs, blocks) for name in spec.channels}
    values = [np.concatenate([blocks[group] for group in window]) for window in layout.windows]
    return Windows.join(
        values,
        [(float(start), float(end)) for start, end in layout.spans],
        [_valid(layout, outputs, i, len(window), spec) for i, window in enumerate(values)],
        {
            name: [np.concatenate([channel[group] for group in window]) for window in layout.windows]
            for name, channel in channels.items()
        },
    )


def _full(chosen: tuple[int, ...], grid: Grid) -> tuple[int, ...]:
    """Repeat the last frame of a short last window up to full length; `valid` says that this is padding."""
    missing = round(grid.length_s * (grid.fps or 1)) - len(chosen)
    return chosen + chosen[-1:] * max(0, missing)


def _block(group: Sequence[Output], spec: Spec) -> Array:
    if not group:
        return np.zeros((1, *spec.width), np.float32)
    values = [output.values for output in group]
    return values[0] if len(values) == 1 else np.mean(values, axis=0)


def _channel(name: str, layout: Layout, outputs: Mapping[int, Output], blocks: Sequence[Array]) -> list[Array]:
    if name in layout.counts:
        return [np.full(len(block), n, np.uint16) for block, n in zip(blocks, layout.counts[name], strict=True)]
    return [np.asarray(outputs[group[0]].steps[name]) if group else np.zeros(1, np.uint8) for group in layout.groups]


def _valid(layout: Layout, outputs: Mapping[int, Output], i: int, steps: int, spec: Spec) -> int:
    if layout.valid:
        return layout.valid[i]
    group = layout.groups[layout.windows[i][0]]
    said = outputs[group[0]].valid if group else None
    if said is not None:
        return said
    return steps if spec.steps is None else share(steps, layout.spans[i], layout.length_s)
