"""What an encoder is given of a clip, and how its outputs become windows again."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import cut, encoders
from extract.cut import Outputs
from extract.media import Pictures
from extract.window import slots
from features import Grid, Windows

WINDOWS = Grid.parse("windows(3,2,2)")
TEN = Grid.parse("windows(3,2,2)@fps=10")
BOXES = Grid.parse("windows(0.1,0.1,0)@fps=10")
AUDIO = encoders.spec("toy_audio")
HOG = replace(encoders.spec("face_hog"), width=(3,))


def pictures(seconds, fps=25, first_s=0):
    """Return pictures that are one shade each, the shade counting them."""
    times_s = [Fraction(first_s) + Fraction(i, fps) for i in range(round((seconds - first_s) * fps))]
    images = [np.full((8, 8, 3), i % 256, np.uint8) for i in range(len(times_s))]
    return Pictures(images, times_s, Fraction(seconds), len(images))


def outputs(units, width, **steps):
    """Answer every input with one step that holds its mean."""
    values = [np.full((1, *width), np.mean(unit), np.float32) for unit in units.inputs]
    return Outputs(values, None, steps)


@pytest.mark.parametrize(
    ("seconds", "real"), [(1.0, [16_000]), (3.0, [48_000]), (4.9, [48_000, 46_400]), (7.0, [48_000] * 3)]
)
def test_sound_is_cut_and_padded(seconds, real):
    """Every window has full length, its sound in front and silence behind, and says how much is sound."""
    sound = np.arange(1, round(seconds * 16_000) + 1, dtype=np.float32)
    units = cut.sound(sound, AUDIO, WINDOWS)
    assert units.real == real
    for i, window in enumerate(units.inputs):
        assert len(window) == 48_000
        np.testing.assert_array_equal(window[: real[i]], sound[i * 32_000 : i * 32_000 + real[i]])
        assert not window[real[i] :].any()


def test_a_whole_clip_of_sound_is_one_unit_without_padding():
    """On the grid "clip" nothing is cut and nothing is added."""
    units = cut.sound(np.ones(70_000, np.float32), AUDIO, Grid.parse("clip"))
    assert [len(window) for window in units.inputs] == units.real == [70_000]
    assert cut.assemble(units, Outputs([np.zeros((219, 2))], None, {}), AUDIO).valid.tolist() == [219]


def test_each_picture_is_encoded_once_however_many_windows_share_it():
    """Windows overlap by a second: its ten pictures stand in both and are given to the encoder once."""
    units = cut.frames(pictures(5), TEN)
    assert [len(window) for window in units.windows] == [30, 30]
    assert units.windows[0][20:] == units.windows[1][:10]
    assert len(units.inputs) == 50
    shades = [[int(units.inputs[i][0, 0, 0]) for i in window] for window in units.windows]
    assert shades[0] == [min(i for i in range(125) if i * 10 // 25 == k) for k in range(30)]


def test_a_short_window_of_pictures_repeats_its_last_one():
    """A clip of 1.2 s fills its 30 steps by repeating the last picture, and 12 of them are real."""
    found = cut.assemble(units := cut.frames(pictures(1.2), TEN), outputs(units, (3,)), encoders.spec("toy_frames"))
    assert found.stack().shape == (1, 30, 3)
    assert found.valid.tolist() == [12]
    assert (found.values[12:] == found.values[11]).all()
    np.testing.assert_allclose(found.spans_s, [[0, 1.2]])


frame_times = st.lists(st.fractions(0, 7, max_denominator=600), min_size=1, max_size=40, unique=True).map(sorted)


@given(frame_times)
def test_boxes_and_crops_see_the_same_pictures(times_s):
    """The detector's window k looks at the very picture that step k of a face window is cut from, at any frame rate."""
    images = [np.full((8, 8, 3), i, np.uint8) for i in range(len(times_s))]
    film = Pictures(images, times_s, Fraction(7), len(images))
    seen = [int(units.inputs[i][0, 0, 0]) for units in [cut.frames(film, BOXES)] for (i,) in units.windows]
    assert seen == list(slots(times_s, (Fraction(0), Fraction(7)), 10).frames)
    rows = [np.array([[0, 0, 8, 8, shade]], np.float32) for shade in seen]
    boxes = Windows.join(rows, [(k / 10, (k + 1) / 10) for k in range(70)], [1] * 70)
    units = cut.faces(film, boxes, HOG, TEN)
    found = cut.assemble(units, outputs(units, (3,)), HOG)
    for window, (start_s, _) in enumerate(found.spans_s):
        first = round(start_s * 10)
        assert found.window(window)[:, 0].tolist() == seen[first : first + 30]


def test_faces_of_a_frame_are_averaged_and_counted():
    """Two faces give their mean, no face gives zeros, and the side channel tells which is which."""
    film = Pictures(
        [np.full((8, 8, 3), shade, np.uint8) for shade in (10, 20, 30)],
        [Fraction(k, 10) for k in range(3)],
        Fraction(3, 10),
        3,
    )
    film.images[0][:, 4:] = 90
    rows = [np.array([[0, 0, 4, 8, 1], [4, 0, 8, 8, 1]]), np.empty((0, 5)), np.array([[0, 0, 8, 8, 1]])]
    boxes = Windows.join(rows, [(k / 10, (k + 1) / 10) for k in range(3)], [2, 0, 1])
    units = cut.faces(film, boxes, HOG, TEN)
    found = cut.assemble(units, outputs(units, (3,)), HOG)
    assert found.values[:4, 0].tolist() == [50, 0, 30, 30]
    assert found.steps["n_faces"][:4].tolist() == [2, 0, 1, 1]
    assert found.valid.tolist() == [3]


def test_a_clip_without_any_face_is_zeros():
    """Where no face is found at all nothing is encoded, and the windows are there all the same."""
    boxes = Windows.join([np.empty((0, 5))] * 30, [(k / 10, (k + 1) / 10) for k in range(30)], [0] * 30)
    units = cut.faces(pictures(3), boxes, HOG, TEN)
    assert not units.inputs
    found = cut.assemble(units, outputs(units, (3,)), HOG)
    assert found.stack().shape == (1, 30, 3)
    assert not found.values.any()
    assert not found.steps["n_faces"].any()


def test_text_is_one_window_that_covers_no_time():
    """Words have no place in time, and only the encoder knows how many of its steps are words."""
    units = cut.text("so it is")
    channel = {"token_mask": [np.array([1, 1, 1, 0], np.uint8)]}
    found = cut.assemble(units, Outputs([np.ones((4, 1))], [3], channel), encoders.spec("toy_text"))
    assert found.spans_s.tolist() == [[0, 0]]
    assert found.valid.tolist() == [3]
    assert found.steps["token_mask"].tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize(("seconds", "valid"), [(1.5, [75]), (3.0, [149]), (4.9, [149, 145])])
def test_valid_steps_are_a_share_of_the_window(seconds, valid):
    """How many steps rest on sound follows from how much of the window is sound."""
    units = cut.sound(np.ones(round(seconds * 16_000), np.float32), AUDIO, WINDOWS)
    found = cut.assemble(units, Outputs([np.zeros((149, 2))] * len(valid), None, {}), AUDIO)
    assert found.valid.tolist() == valid
