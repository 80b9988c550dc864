"""Inputs of many clips through one encoder, in batches of equal shape; a clip that breaks a batch is named."""

from collections.abc import Iterator, Mapping
from itertools import groupby

import numpy as np

from extract.cut import Outputs, Units
from extract.encoders import Encode, Encoded

BATCH = 32

Place = tuple[str, int]
"""A clip, and which of its inputs."""


def encode_all(encode: Encode, clips: Mapping[str, Units]) -> tuple[dict[str, Outputs], dict[str, str]]:
    """Return the outputs of each clip, and why the others have none."""
    try:
        return _encode(encode, clips), {}
    except Exception as error:  # noqa: BLE001 (whatever a network throws at one clip must not stop the others)
        if len(clips) == 1:
            return {}, {next(iter(clips)): f"{type(error).__name__}: {error}"}
    outputs: dict[str, Outputs] = {}
    failures: dict[str, str] = {}
    for clip, units in clips.items():
        good, bad = encode_all(encode, {clip: units})
        outputs |= good
        failures |= bad
    return outputs, failures


def _encode(encode: Encode, clips: Mapping[str, Units]) -> dict[str, Outputs]:
    found: dict[Place, tuple[Encoded, int]] = {}
    for places in _batches(clips):
        units = [clips[clip].inputs[i] for clip, i in places]
        real = np.array([clips[clip].real[i] for clip, i in places])
        encoded = _as_encoded(encode(units if isinstance(units[0], str) else np.stack(units), real))
        found |= {place: (encoded, row) for row, place in enumerate(places)}
    return {clip: _outputs([found[clip, i] for i in range(len(units.inputs))]) for clip, units in clips.items()}


def _batches(clips: Mapping[str, Units]) -> Iterator[list[Place]]:
    places = [(clip, i) for clip, units in clips.items() for i in range(len(units.inputs))]

    def shape(place: Place) -> tuple[int, ...]:
        return np.shape(clips[place[0]].inputs[place[1]])

    for _, alike in groupby(sorted(places, key=shape), key=shape):
        same = list(alike)
        for first in range(0, len(same), BATCH):
            yield same[first : first + BATCH]


def _as_encoded(output: object) -> Encoded:
    return output if isinstance(output, Encoded) else Encoded(np.asarray(output))


def _outputs(rows: list[tuple[Encoded, int]]) -> Outputs:
    marked = rows and rows[0][0].valid is not None
    return Outputs(
        values=[encoded.values[row] for encoded, row in rows],
        valid=[encoded.valid[row] for encoded, row in rows if encoded.valid is not None] if marked else None,
        steps={
            name: [encoded.steps[name][row] for encoded, row in rows] for name in (rows[0][0].steps if rows else ())
        },
    )
