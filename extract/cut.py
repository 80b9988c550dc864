"""What one encoder is given of one clip, and how its outputs become windows again. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.encoders import Spec
from extract.faces import crop
from extract.media import Pictures
from extract.window import Span, samples, share, slots, spans
from features import Grid, Windows
from features.windows import Array


@dataclass(frozen=True)
class Units:
    """Inputs of one encoder from one clip. A group of inputs makes one block of steps, a row of groups one window."""

    inputs: Sequence[Any]
    real: Sequence[int]
    """Leading samples of each input that are not padding."""
    groups: Sequence[tuple[int, ...]]
    """Indices of inputs whose features are averaged: one, or the faces of a frame, perhaps none."""
    windows: Sequence[tuple[int, ...]]
    """Indices of the groups that each window holds, in order."""
    spans: Sequence[Span]
    length_s: Fraction = Fraction(0)
    """A window's full length, where a shorter span means padding."""
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Side channels that are known before encoding, per group."""
    repeated: int = 0
    """Slots of all windows that had no frame of their own and show the one before."""


@dataclass(frozen=True)
class Outputs:
    """What an encoder made of the inputs of one clip, one item per input."""

    values: Sequence[Array]
    valid: Sequence[int] | None
    steps: Mapping[str, Sequence[Array]]


def sound(audio: NDArray[np.float32], spec: Spec, grid: Grid) -> Units:
    """Cut sound into windows; the last one is padded with silence to full length."""
    parts = spans(Fraction(len(audio), spec.rate_hz), grid)
    full = samples((Fraction(0), grid.length_s), spec.rate_hz)[1]
    pieces = [audio[slice(*samples(part, spec.rate_hz))] for part in parts]
    return Units(
        inputs=[np.pad(piece, (0, max(0, full - len(piece)))) for piece in pieces],
        real=[len(piece) for piece in pieces],
        groups=[(i,) for i in range(len(pieces))],
        windows=[(i,) for i in range(len(pieces))],
        spans=parts,
        length_s=grid.length_s,
    )


def frames(pictures: Pictures, grid: Grid) -> Units:
    """Take each sampled frame once, however many windows share it."""
    parts = spans(pictures.duration_s, grid)
    filled = [slots(pictures.times_s, part, grid.fps or 1) for part in parts]
    windows = [_full(window.frames, grid) for window in filled]
    used = sorted({frame for window in windows for frame in window})
    place = {frame: i for i, frame in enumerate(used)}
    return Units(
        inputs=[pictures.images[frame] for frame in used],
        real=[1] * len(used),
        groups=[(i,) for i in range(len(used))],
        windows=[tuple(place[frame] for frame in window) for window in windows],
        spans=parts,
        length_s=grid.length_s,
        repeated=sum(window.repeated for window in filled),
    )


def faces(pictures: Pictures, boxes: Windows, spec: Spec, grid: Grid) -> Units:
    """Cut the faces of each sampled frame out once; a frame's faces make one group, which may be empty."""
    whole = frames(pictures, grid)
    fps = grid.fps or 1
    found: dict[int, Array] = {}
    for part, window in zip(whole.spans, whole.windows, strict=True):
        for k, group in enumerate(window):
            slot = min(int(part[0] * fps) + k, len(boxes) - 1)
            found.setdefault(group, boxes.window(slot))
    crops: list[Array] = []
    groups = []
    for group, image in enumerate(whole.inputs):
        groups.append(tuple(range(len(crops), len(crops) + len(found[group]))))
        crops += [crop(image, box, spec.size_px) for box in found[group]]
    counts = {"n_faces": [len(group) for group in groups]}
    return replace(whole, inputs=crops, real=[1] * len(crops), groups=groups, counts=counts)


def text(sentence: str) -> Units:
    """Take a sentence as the one unit of its clip; words have no place in time here."""
    nowhere = (Fraction(0), Fraction(0))
    return Units([sentence], [1], [(0,)], [(0,)], [nowhere])


def assemble(units: Units, outputs: Outputs, spec: Spec) -> Windows:
    """Average each group, lay groups into windows, and say how much of each window is real."""
    blocks = [_block(group, outputs.values, spec) for group in units.groups]
    channels = {name: _channel(name, units, outputs, blocks) for name in spec.channels}
    values = [np.concatenate([blocks[group] for group in window]) for window in units.windows]
    return Windows.join(
        values,
        [(float(start), float(end)) for start, end in units.spans],
        [_valid(units, outputs, i, len(window), spec) for i, window in enumerate(values)],
        {
            name: [np.concatenate([channel[group] for group in window]) for window in units.windows]
            for name, channel in channels.items()
        },
    )


def _full(chosen: tuple[int, ...], grid: Grid) -> tuple[int, ...]:
    """Repeat the last frame of a short last window up to full length; `valid` says that this is padding."""
    missing = round(grid.length_s * (grid.fps or 1)) - len(chosen)
    return chosen + chosen[-1:] * max(0, missing)


def _block(group: tuple[int, ...], values: Sequence[Array], spec: Spec) -> Array:
    if not group:
        return np.zeros((1, *spec.width), np.float32)
    return values[group[0]] if len(group) == 1 else np.mean([values[i] for i in group], axis=0)


def _channel(name: str, units: Units, outputs: Outputs, blocks: Sequence[Array]) -> list[Array]:
    if name in units.counts:
        return [np.full(len(block), n, np.uint16) for block, n in zip(blocks, units.counts[name], strict=True)]
    return [np.asarray(outputs.steps[name][group[0]]) for group in units.groups]


def _valid(units: Units, outputs: Outputs, i: int, steps: int, spec: Spec) -> int:
    if outputs.valid is not None:
        return outputs.valid[units.groups[units.windows[i][0]][0]]
    if spec.steps is None:
        return steps
    return share(steps, units.spans[i], units.length_s)
