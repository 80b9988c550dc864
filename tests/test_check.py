"""The check of an encoder: real weights pass, and each way of breaking the promise is noticed."""

import numpy as np
import pytest

from extract import check, encoders
from extract.check import Verdict
from extract.encoders import Encoded, minilm

SENTENCES = [
    "I am so happy to see you!",
    "No.",
    "",
    "Wait \N{EM DASH} what?",
    "He never said that he would come back before the winter.",
    "The train to the coast leaves at nine.",
]


@pytest.fixture(scope="module")
def verdict():
    """Check MiniLM with its real weights."""
    return check.check("minilm", [(sentence, 1) for sentence in SENTENCES], "cpu")


def test_a_real_encoder_passes(verdict):
    """MiniLM keeps its features among neighbours, and its fast way is as close as asked, alone and in a batch."""
    exact = minilm.load("cpu", "exact")(SENTENCES, np.ones(6))
    assert verdict.passed
    assert (verdict.encoder, verdict.units, verdict.steps) == ("minilm", 6, 2 * sum(exact.valid))
    assert verdict.neighbours < 1e-4
    assert 0.999 < verdict.worst <= verdict.mean <= 1 + 1e-9
    assert verdict.bars == (0.999, 0.99)


def test_an_encoder_without_a_fast_way_is_checked_for_neighbours():
    """Sounds of two lengths go through it; there is nothing to compare for precision."""
    sounds = [np.sin(np.arange(n) / k).astype(np.float32) for n in (16_000, 48_000) for k in (3, 7, 20)]
    found = check.check("toy_audio", [(sound, len(sound)) for sound in sounds], "cpu")
    assert found == Verdict("toy_audio", 6, 3 * 50 + 3 * 150, 0.0)
    assert found.passed


def encoder_of(function, **spec):
    """Return something that is loaded like an encoder's file."""

    class Module:
        SPEC = encoders.Spec("audio", (4,), ("clip",), "MIT", rate_hz=1, batch=2, **spec)

        @staticmethod
        def load(_, precision):
            return lambda batch, valid: function(batch, precision)

    return Module


def checked(monkeypatch, function, units=5, **spec):
    """Check an encoder of our making on sounds of 3 steps of 4 values."""
    made = encoder_of(function, **spec)
    monkeypatch.setattr(encoders, "module", lambda _: made)
    sounds = np.random.default_rng(0).standard_normal((units, 3, 4)) + 10
    return check.check("made", [(sound, 3) for sound in sounds], "cpu")


def test_neighbours_that_leak_are_noticed(monkeypatch):
    """A feature that is relative to its batch fails."""
    assert checked(monkeypatch, lambda batch, _: batch).passed
    found = checked(monkeypatch, lambda batch, _: batch - batch.mean(axis=0))
    assert found.neighbours > 0.1
    assert not found.passed


@pytest.mark.parametrize(("scale", "passes"), [(0.01, True), (0.3, False)])
def test_coarse_steps_are_noticed(monkeypatch, scale, passes):
    """Fast features that lie off by a hundredth of the spread pass, by a third fail; a common offset hides nothing."""

    def rounded(batch, precision):
        return batch if precision == "exact" else batch + scale * np.sin(1e5 * batch)

    found = checked(monkeypatch, rounded, fast=True)
    assert found.passed == passes
    assert found.steps == 2 * 15


def test_one_bad_step_among_many_is_noticed(monkeypatch):
    """The mean alone would pass."""
    largest = (np.random.default_rng(0).standard_normal((999, 3, 4)) + 10).max()

    def broken(batch, precision):
        out = batch.copy()
        if precision == "fast":
            out[(batch == largest).any(axis=-1)] = 10
        return out

    found = checked(monkeypatch, broken, units=999, fast=True)
    assert found.mean > 0.999
    assert found.worst < 0.99
    assert not found.passed


def test_nothing_found_is_no_pass(monkeypatch):
    """Where no step was compared, nothing was shown."""
    found = checked(monkeypatch, lambda batch, _: Encoded([one[:0] for one in batch]), fast=True)
    assert found.steps == 0
    assert not found.passed


def test_boxes_are_compared_by_how_much_they_overlap():
    """Only boxes that one way is sure of count; one without a counterpart counts as 0."""
    boxes = np.array([[0, 0, 10, 10, 0.9], [50, 50, 60, 60, 0.8], [20, 20, 30, 30, 0.1]])
    others = np.array([[0, 0, 10, 5, 0.3], [100, 100, 110, 110, 0.9]])
    assert check.overlaps(boxes, others).tolist() == [0.5, 0]
    assert check.overlaps(others, boxes).tolist() == [0]
    assert check.overlaps(boxes, others[:0]).tolist() == [0, 0]
    assert check.overlaps(boxes, boxes).tolist() == [1, 1]
