"""Long recordings are cut where it is silent, and where nobody pauses at the length that was wished."""

import media_kit as kit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuse import cutting, recordings
from fuse.recordings import Wish


def spoken(length_s, *silent):
    """Return the loudness of a recording with silences from one second to another."""
    loudness = np.full(round(length_s / cutting.STEP_S), 0.2)
    for start_s, end_s in silent:
        loudness[round(start_s / cutting.STEP_S) : round(end_s / cutting.STEP_S)] = 1e-3
    return loudness


@pytest.mark.parametrize(
    ("silent", "expected"),
    [
        ((), [9, 18, 21]),
        (((7.0, 7.4),), [7.2, 16.2, 21]),  # in the last third
        (((6.5, 6.8), (7.6, 8.2), (8.5, 8.8)), [7.9, 16.9, 21]),  # the longest of several
        (((6.5, 6.8), (8.0, 8.3)), [8.15, 17.15, 21]),  # the last of equally long ones
        (((2.0, 4.0),), [9, 18, 21]),  # too early
        (((8.0, 8.1),), [9, 18, 21]),  # too short for a pause
        (((8.0, 12.0),), [8.5, 17.5, 21]),  # goes on after it
        (((0.0, 21.0),), [9, 18, 21]),  # 0.001 everywhere is as loud as it gets
    ],
)
def test_a_cut_lies_in_the_longest_silence_near_it(silent, expected):
    """It is looked for in the last third of a piece of nine seconds; the next piece begins where one ends."""
    assert list(cutting.ends_s(spoken(21, *silent), 21, 9, 0.5)) == pytest.approx(expected)


def test_a_short_rest_joins_the_last_piece():
    """What would be shorter than half a second is no piece of its own."""
    assert list(cutting.ends_s(spoken(18.4), 18.4, 9, 0.5)) == [9, 18.4]
    assert list(cutting.ends_s(spoken(18.6), 18.6, 9, 0.5)) == [9, 18, 18.6]
    assert list(cutting.ends_s(np.zeros(0), 20, 9, 0.5)) == [9, 18, 20]


@given(st.lists(st.floats(0, 1), max_size=400), st.floats(1, 9), st.floats(1, 60))
def test_pieces_cover_a_recording_whatever_is_heard(loudness, cut_s, length_s):
    """They rise to the end, none is longer than wished but for the last, none shorter than two thirds of it."""
    ends = np.array([0.0, *cutting.ends_s(np.array(loudness), length_s, cut_s, 0.5)])
    assert ends[-1] == length_s
    lasts = np.diff(ends)
    assert (lasts[:-1] <= cut_s + 1e-6).all()
    assert (lasts[:-1] >= 2 / 3 * cut_s - 1e-3).all()
    assert 0 < lasts[-1] <= cut_s + 0.5 + 1e-6


def test_silences_of_a_file_are_heard(tmp_path):
    """A wav file with two pauses is cut in them, and nothing of it is lost or twice; the note says so."""
    sound = kit.tone(200, 6.2, 8_000)
    for start_s, end_s in ((1.5, 1.9), (3.4, 3.8)):
        sound[..., round(8_000 * start_s) : round(8_000 * end_s)] = 0
    kit.write(tmp_path / "talk.wav", sound=sound, how=kit.Sound("pcm_s16le", "s16", 8_000))
    found = recordings.find(tmp_path / "talk.wav", Wish(cut_s=2))
    spans = [(clip.audio.start_s, clip.audio.end_s) for clip in found.clips]
    ends = [pytest.approx(1.7, abs=0.06), pytest.approx(3.6, abs=0.06)]
    assert [end_s for _, end_s in spans[:2]] == ends
    assert [start_s for start_s, _ in spans] == [0, *(end_s for _, end_s in spans[:-1])]
    assert spans[-1][1] == pytest.approx(6.2)
    assert "talk: cut into 4 pieces, 2 of them in a pause." in found.notes


def test_a_length_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    """A recording that is cut into more pieces than anybody reads is named, with what to do."""
    monkeypatch.setattr(recordings, "MOST_PIECES", 2)
    kit.write(tmp_path / "talk.wav", sound=kit.tone(200, 6.2, 8_000), how=kit.Sound("pcm_s16le", "s16", 8_000))
    with pytest.raises(ValueError, match="would be cut into more than 2 pieces; say a longer CUT"):
        recordings.find(tmp_path / "talk.wav", Wish(cut_s=2))
