"""Units of many clips go through an encoder in batches, and a clip that breaks it is named."""

from contextlib import nullcontext

import numpy as np
import pytest

from extract import encode
from extract.encode import BatchSize, Feed, Unit
from extract.encoders import Encoded


class Kept:
    """A feed, with what it delivered and what it failed."""

    def __init__(self, function, size=8, *, grows=False):
        self.found, self.failed, self.batches = {}, {}, []
        self.size = BatchSize(size, grows=grows)

        def watched(batch, real):
            self.batches.append(np.shape(batch))
            return function(batch, real)

        self.feed = Feed(watched, self.size, lambda _: nullcontext(), self.deliver, self.fail)

    def deliver(self, unit, output):
        """Keep an output."""
        self.found[unit.clip, unit.index] = output

    def fail(self, clip, reason):
        """Note a failure, as a line does: what waits of the clip is dropped."""
        self.failed[clip] = reason
        self.feed.drop(clip)

    def give(self, *units):
        """Add units and encode them all."""
        for unit in units:
            self.feed.add(unit)
        self.feed.flush()


def mean(batch, valid):
    """Return the mean of what is real of each unit, and refuse units that hold -1."""
    if (batch == -1).any():
        raise RuntimeError("it does not like -1")
    return np.array([[[unit[:real].mean()]] for unit, real in zip(batch, valid, strict=True)])


def test_units_of_one_shape_share_batches_and_come_back_to_their_clips():
    """70 units of two lengths go in batches of at most 32 of one shape, and each clip gets its own back."""
    kept = Kept(mean, 32)
    for i in range(35):
        length = 4 if i % 2 else 6
        kept.feed.add(Unit(f"c{i}", 0, np.full(4, i, float), 4))
        kept.feed.add(Unit(f"c{i}", 1, np.full(length, i + 0.5), length))
    kept.feed.flush()
    assert sorted(kept.batches) == [(18, 6), (20, 4), (32, 4)]
    for i in range(35):
        assert [float(kept.found[f"c{i}", index].values[0, 0]) for index in (0, 1)] == [i, i + 0.5]


@pytest.mark.parametrize("bad", [{"c3"}, {"c0", "c34"}, {f"c{i}" for i in range(35)}])
def test_a_clip_that_breaks_an_encoder_is_named_and_the_others_are_encoded(bad):
    """One clip in a batch raises: it alone fails, with the kind of error and its words."""
    kept = Kept(mean)
    names = [f"c{i}" for i in range(35)]
    kept.give(*(Unit(name, 0, np.full(4, -1.0 if name in bad else 1.0), 4) for name in names))
    assert kept.failed == dict.fromkeys(bad, "RuntimeError: it does not like -1")
    assert {clip for clip, _ in kept.found} == set(names) - bad


def test_side_channels_and_marks_travel_with_their_unit():
    """What an encoder says about the steps of each unit is handed back with that unit."""

    def encode(batch, _):
        values = [np.arange(len(word))[:, None] for word in batch]
        masks = [np.ones(len(word)) for word in batch]
        return Encoded(values, valid=[len(word) for word in batch], steps={"mask": masks})

    kept = Kept(encode)
    kept.give(Unit("a", 0, "abc"), Unit("b", 0, "abcdef"))
    marks = {clip: (output.valid, len(output.steps["mask"])) for (clip, _), output in kept.found.items()}
    assert marks == {"a": (3, 3), "b": (6, 6)}


def test_an_encoder_that_answers_for_fewer_units_is_an_error():
    """Two units and one answer: both clips fail, and none is given the other's features."""
    kept = Kept(lambda batch, _: np.zeros((1, 1)) if len(batch) > 1 else np.zeros((0, 1)))
    kept.give(Unit("a", 0, np.zeros(3)), Unit("b", 0, np.zeros(3)))
    assert kept.failed.keys() == {"a", "b"}
    assert not kept.found


def test_what_waits_of_a_failed_clip_is_forgotten():
    """A dropped clip's units are not encoded any more; its neighbour's are."""
    kept = Kept(mean)
    kept.feed.add(Unit("a", 0, np.ones(4), 4))
    kept.feed.add(Unit("b", 0, np.ones(4), 4))
    kept.feed.drop("a")
    kept.feed.flush()
    assert (kept.batches, list(kept.found)) == ([(1, 4)], [("b", 0)])


@pytest.mark.parametrize("words", ["CUDA out of memory", "DefaultCPUAllocator: can't allocate memory"])
def test_a_batch_too_large_for_memory_is_halved_for_good(words):
    """When more than three units do not fit, all are encoded in smaller batches, and no clip fails for it."""

    def cramped(batch, valid):
        if len(batch) > 3:
            raise RuntimeError(words)
        return mean(batch, valid)

    kept = Kept(cramped, 16)
    kept.give(*(Unit("a", i, np.full(4, i, float), 4) for i in range(40)))
    assert (kept.failed, len(kept.found)) == ({}, 40)
    assert kept.size.now <= 3
    assert [float(kept.found["a", i].values[0, 0]) for i in range(40)] == list(range(40))


def test_a_batch_grows_for_as_long_as_that_pays():
    """On a GPU a batch doubles while units get cheaper, and goes back to the last that paid; on a CPU it stays."""
    size, fixed = BatchSize(8, grows=True), BatchSize(8, grows=False)
    for _ in range(20):
        size.took(size.now, 1.0 if size.now <= 64 else size.now / 64)
        fixed.took(8, 1.0)
    assert (size.now, fixed.now) == (64, 8)


def test_large_units_do_not_wait_for_a_full_batch(monkeypatch):
    """Frames are encoded as soon as those that wait fill the memory that they may."""
    monkeypatch.setattr(encode, "HELD_BYTES", 64)
    kept = Kept(mean, 32)
    kept.give(*(Unit("a", i, np.full(4, i, float), 4) for i in range(6)))
    assert kept.batches == [(2, 4)] * 3
