"""Spoken parts, pieces and transcripts: nothing is lost, said twice or cut where it is loud."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.speech import PIECE_S, SEARCHED_S, bytes_of, only_speech, pieces, words_of

RATE_HZ = 10
"""As few samples as tell tenths of a second apart."""
SECONDS = st.floats(-2, 12, width=32)
SPANS = st.lists(st.tuples(SECONDS, SECONDS).map(sorted), max_size=6)


def counted(samples):
    """Return a sound in which every sample is unlike every other."""
    return np.arange(1, samples + 1, dtype=np.float32)


@given(SPANS, st.integers(0, 100))
def test_the_spoken_parts_are_those_within_a_span(spans_s, samples):
    """Whatever overlaps, leaves the sound or comes in another order: each spoken sample stands once, in its place."""
    sound = counted(samples)
    found = only_speech(sound, np.array(spans_s, np.float32).reshape(-1, 2), RATE_HZ)
    edges = [[round(float(np.float32(edge)) * RATE_HZ) for edge in span] for span in spans_s]
    assert found.tolist() == [sound[i] for i in range(samples) if any(start <= i < end for start, end in edges)]


def test_spans_are_half_open():
    """Of two spans that touch, none loses or repeats the sample between them."""
    assert only_speech(counted(30), np.array([[0.5, 1.0], [1.0, 2.0]]), RATE_HZ).tolist() == list(range(6, 21))


def test_nobody_speaks():
    """Without a span nothing is spoken; what to do then is the caller's to say."""
    assert only_speech(counted(30), np.zeros((0, 2), np.float32), RATE_HZ).shape == (0,)


@given(st.integers(1, 900 * 16_000))
def test_stored_seconds_lead_back_to_their_sample(sample):
    """Spans are stored as float32, which at 16 kHz tells every sample of a quarter of an hour from the next."""
    stored_s = np.array([[(sample - 1) / 16_000, sample / 16_000]], np.float32)
    sound = np.broadcast_to(np.float32(1), (900 * 16_000,))
    assert len(only_speech(sound[:sample], stored_s, 16_000)) == 1
    assert len(only_speech(sound[: sample + 1], stored_s, 16_000)) == 1


@given(st.integers(0, 4 * PIECE_S * RATE_HZ), st.integers(0, 99))
def test_pieces_cover_the_sound(samples, seed):
    """Pieces laid end to end are the sound; none is too long, and all but the last are almost as long as may be."""
    sound = np.random.default_rng(seed).normal(size=samples).astype(np.float32)
    found = pieces(sound, RATE_HZ)
    np.testing.assert_array_equal(np.concatenate(found), sound)
    assert all(len(piece) <= PIECE_S * RATE_HZ for piece in found)
    assert all(len(piece) >= (PIECE_S - SEARCHED_S) * RATE_HZ for piece in found[:-1])
    assert len(found) == 1 or all(len(piece) for piece in found)


@pytest.mark.parametrize("pause_s", [25.0, 26.3, 29.85])
def test_pieces_end_where_it_is_quiet(pause_s):
    """A pause within the last seconds of a piece is found; one before them is not looked for."""
    rate_hz = 1000
    sound = np.random.default_rng(0).uniform(0.5, 1, 40 * rate_hz).astype(np.float32)
    sound[round(pause_s * rate_hz) : round((pause_s + 0.15) * rate_hz)] *= 0.01
    sound[10 * rate_hz : 11 * rate_hz] = 0
    first, second = pieces(sound, rate_hz)
    assert pause_s < len(first) / rate_hz < pause_s + 0.15
    assert len(first) + len(second) == len(sound)


def test_a_sound_of_one_piece_stays_whole():
    """Thirty seconds are one piece, and so is nothing at all; one sample more makes two."""
    sound = counted(PIECE_S * RATE_HZ)
    assert [len(piece) for piece in pieces(sound, RATE_HZ)] == [len(sound)]
    assert [len(piece) for piece in pieces(sound[:0], RATE_HZ)] == [0]
    assert len(pieces(counted(PIECE_S * RATE_HZ + 1), RATE_HZ)) == 2


@given(st.text())
def test_a_transcript_survives_its_bytes(text):
    """Text of any script becomes steps of one byte and is read back to the letter, empty text from no step."""
    values = bytes_of(text)
    assert values.shape == (len(text.encode()), 1)
    assert values.dtype == np.uint8
    assert words_of(values) == text


@pytest.mark.parametrize(("cut", "place"), [(slice(0, 4), 3), (slice(4, 9), 0)])
def test_damaged_transcripts_are_refused(cut, place):
    """Bytes that are no UTF-8 are named with their place and what to do about them."""
    values = bytes_of("abc\N{EM DASH}def")[cut]
    with pytest.raises(ValueError, match=rf"expected a transcript in UTF-8, got byte 0x.. at step {place} of .*again"):
        words_of(values)


def test_features_are_no_transcript():
    """Features of another encoder are refused before they are taken for letters."""
    with pytest.raises(ValueError, match="expected a transcript as uint8, got float16; is this the entry of a"):
        words_of(np.ones((3, 1), np.float16))
