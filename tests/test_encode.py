"""Inputs of many clips go through an encoder in batches, and a clip that breaks it is named."""

import numpy as np
import pytest

from extract import cut
from extract.cut import Units
from extract.encode import BATCH, encode_all
from extract.encoders import Encoded


def units(*inputs):
    """Return inputs of one clip, each a window of its own."""
    nowhere = [(0, 0)] * len(inputs)
    alone = [(i,) for i in range(len(inputs))]
    return Units(inputs, [len(unit) for unit in inputs], alone, alone, nowhere)


def mean(batch, valid):
    """Return the mean of what is real of each unit, and refuse units that hold -1."""
    if (batch == -1).any():
        raise RuntimeError("it does not like -1")
    return np.array([[[unit[:real].mean()]] for unit, real in zip(batch, valid, strict=True)])


def test_units_of_one_shape_share_batches_and_come_back_to_their_clips():
    """70 units of two lengths go in batches of at most 32 of one shape, and each clip gets its own back."""
    seen = []

    def watched(batch, valid):
        seen.append(batch.shape)
        return mean(batch, valid)

    clips = {f"c{i}": units(np.full(4, i, float), np.full(4 if i % 2 else 6, i + 0.5)) for i in range(35)}
    found, failures = encode_all(watched, clips)
    assert not failures
    assert sum(rows for rows, _ in seen) == 70
    assert max(rows for rows, _ in seen) == BATCH
    assert [length for _, length in seen] == [4, 4, 6]
    for i in range(35):
        assert [float(value[0, 0]) for value in found[f"c{i}"].values] == [i, i + 0.5]


@pytest.mark.parametrize("bad", [{"c3"}, {"c0", "c34"}, {f"c{i}" for i in range(35)}])
def test_a_clip_that_breaks_an_encoder_is_named_and_the_others_are_encoded(bad):
    """One clip in a batch raises: it alone fails, with the kind of error and its words."""
    clips = {f"c{i}": units(np.full(4, -1.0 if f"c{i}" in bad else i)) for i in range(35)}
    found, failures = encode_all(mean, clips)
    assert failures == dict.fromkeys(failures, "RuntimeError: it does not like -1")
    assert failures.keys() == bad
    assert found.keys() == clips.keys() - bad


def test_side_channels_and_marks_travel_with_their_unit():
    """What an encoder says about the steps of each unit is handed back with that unit."""

    def encode(batch, _):
        values = [np.arange(len(word))[:, None] for word in batch]
        return Encoded(
            values, valid=[len(word) for word in batch], steps={"mask": [np.ones(len(word)) for word in batch]}
        )

    found, _ = encode_all(encode, {"a": cut.text("abc"), "b": cut.text("abcdef")})
    assert {clip: (output.valid, len(output.steps["mask"][0])) for clip, output in found.items()} == {
        "a": ([3], 3),
        "b": ([6], 6),
    }


def test_a_clip_with_nothing_to_encode_has_empty_outputs():
    """A clip without any face gives the encoder nothing and does not stop the others."""
    found, failures = encode_all(mean, {"none": units(), "one": units(np.ones(4))})
    assert (len(found["none"].values), len(found["one"].values), failures) == (0, 1, {})
