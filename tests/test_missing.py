"""What is missing at random is the same for whoever asks, and as much as is said."""

import numpy as np
import pytest

from fuse import missing

CLIPS = [("demo", f"clip {i}") for i in range(6000)]
THREE = ("audio", "video", "text")


def has(clips=CLIPS, modalities=THREE, lacks=()):
    """Return what clips have: everything, but for every second one what it lacks."""
    every_second = np.arange(len(clips)) % 2 == 1
    return {modality: ~(every_second & (modality in lacks)) for modality in modalities}


def left(rate, **more):
    """Return (modalities, clips) what is there at a rate."""
    there = has(**more)
    gone_from = missing.gone_from(CLIPS, there)
    return np.stack([there[m] & ~(gone_from[m] < rate) for m in there])


def test_rates_end_where_a_single_modality_is_left():
    """Tenths, and then the share of all modalities but one; one alone cannot go."""
    assert missing.rates(0) == missing.rates(1) == ()
    assert missing.rates(2) == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert missing.rates(3) == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 2 / 3))
    assert missing.rates(4) == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75)
    assert [missing.name(rate) for rate in missing.rates(3)][-2:] == ["60 % missing", "67 % missing"]


@pytest.mark.parametrize("modalities", [THREE, THREE[:2]])
def test_the_share_that_is_missing_is_the_rate(modalities):
    """Over many clips so much is missing of each modality, every clip has one left, and at the last rate just one."""
    rates = missing.rates(len(modalities))
    for rate in rates:
        found = left(rate, modalities=modalities)
        np.testing.assert_allclose(found.mean(axis=1), 1 - rate, atol=0.025)
        assert found.any(axis=0).all()
    assert (left(rates[-1], modalities=modalities).sum(axis=0) == 1).all()
    assert left(0.0, modalities=modalities).all()


def test_what_is_missing_stays_missing():
    """No modality of a clip comes back at a higher rate."""
    for lower, higher in zip(missing.rates(3), missing.rates(3)[1:], strict=False):
        assert (left(lower) >= left(higher)).all()


def test_a_clip_keeps_one_of_those_that_it_has():
    """Who lacks a modality anyway loses the same share of the rest, and a last one never goes."""
    whole = np.stack(list(has(lacks=["video"]).values()))
    for rate in missing.rates(3):
        found = left(rate, lacks=["video"])
        assert found.any(axis=0).all()
        part = whole[:, 1::2].sum()
        assert found[:, 1::2].sum() / part == pytest.approx(1 - min(rate, 0.5), abs=0.03)
    alone = left(0.9, lacks=["audio", "text"])
    assert alone[1, 1::2].all()


def test_gaps_follow_from_the_clip_alone():
    """Other clips, their order and their number change nothing; the same id of another corpus has gaps of its own."""
    whole, some = missing.gone_from(CLIPS, has()), CLIPS[2000:1000:-7]
    found = missing.gone_from(some, has(some))
    for modality in THREE:
        np.testing.assert_array_equal(found[modality], whole[modality][2000:1000:-7])
    turned = missing.gone_from(CLIPS, has(modalities=THREE[::-1]))
    assert all(np.array_equal(turned[modality], whole[modality]) for modality in THREE)
    other = missing.gone_from([("other", clip) for _, clip in CLIPS], has())
    assert not np.allclose(other["audio"], whole["audio"])


def test_a_clip_without_anything_and_no_clip_at_all():
    """Nothing can be taken from them, and nothing fails."""
    nothing = missing.gone_from(CLIPS[:2], {"audio": np.zeros(2, bool), "text": np.zeros(2, bool)})
    assert all(np.isinf(above).all() for above in nothing.values())
    assert missing.gone_from([], {m: np.zeros(0, bool) for m in THREE})["audio"].shape == (0,)
