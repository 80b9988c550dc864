"""What an encoder is given of a clip, and how its outputs become windows again."""

from fractions import Fraction

import numpy as np
import pytest

from extract import cut, encoders
from extract.cut import Layout, Output
from features import Grid

WINDOWS = Grid.parse("windows(3,2,2)")
TEN = Grid.parse("windows(3,2,2)@fps=10")
AUDIO = encoders.spec("toy_audio")


def first_of_slots(seconds, fps=25):
    """Return the times of the frames that begin a slot of a tenth of a second."""
    times_s = [Fraction(i, fps) for i in range(round(seconds * fps))]
    slots = {int(time_s * 10): time_s for time_s in reversed(times_s)}
    return [slots[slot] for slot in sorted(slots)]


def zeros(count, steps, width):
    """Answer every unit with zeros."""
    return {i: Output(np.zeros((steps, width))) for i in range(count)}


@pytest.mark.parametrize(
    ("seconds", "real"), [(1.0, [16_000]), (3.0, [48_000]), (4.9, [48_000, 46_400]), (7.0, [48_000] * 3)]
)
def test_sound_is_cut_and_padded(seconds, real):
    """Every window has full length, its sound in front and silence behind, and says how much is sound."""
    sound = np.arange(1, round(seconds * 16_000) + 1, dtype=np.float32)
    windows, _ = cut.sound(sound, AUDIO, WINDOWS)
    assert [count for _, count in windows] == real
    for i, (window, count) in enumerate(windows):
        assert len(window) == 48_000
        np.testing.assert_array_equal(window[:count], sound[i * 32_000 : i * 32_000 + count])
        assert not window[count:].any()


def test_a_whole_clip_of_sound_is_one_unit_without_padding():
    """On the grid "clip" nothing is cut and nothing is added."""
    windows, layout = cut.sound(np.ones(70_000, np.float32), AUDIO, Grid.parse("clip"))
    assert [(len(window), count) for window, count in windows] == [(70_000, 70_000)]
    assert cut.assemble(layout, zeros(1, 219, 2), AUDIO).valid.tolist() == [219]


def test_windows_share_the_frames_of_the_second_that_they_share():
    """Windows overlap by a second: its ten frames stand in both, and there are fifty in all."""
    layout = cut.frames(first_of_slots(5), range(50), Fraction(5), TEN)
    assert [len(window) for window in layout.windows] == [30, 30]
    assert layout.windows[0][20:] == layout.windows[1][:10]
    assert len(layout.groups) == 50
    assert layout.repeated == 0


def test_a_short_window_of_frames_repeats_its_last_one():
    """A clip of 1.2 s fills its 30 steps by repeating the last frame, and 12 of them are real."""
    layout = cut.frames(first_of_slots(1.2), range(12), Fraction(6, 5), TEN)
    outputs = {i: Output(np.full((1, 3), i, np.float32)) for i in range(len(layout.groups))}
    found = cut.assemble(layout, outputs, encoders.spec("toy_frames"))
    assert found.stack().shape == (1, 30, 3)
    assert found.valid.tolist() == [12]
    assert found.values[:, 0].tolist() == [*range(12), *[11] * 18]
    np.testing.assert_allclose(found.spans_s, [[0, 1.2]])


def test_every_fifth_frame_is_one_sequence():
    """Frames that are taken by their number stand one after another, as many as there are."""
    layout = cut.frames(first_of_slots(0.7), range(7), Fraction(7, 10), Grid.parse("clip@every=5,max=25"))
    assert layout.windows == [tuple(range(7))]
    assert layout.spans == [(0, Fraction(7, 10))]


def test_evenly_spread_frames_fill_every_slot():
    """Of a film with fewer frames than slots, an empty slot shows the frame before it, and is counted."""
    layout = cut.frames(first_of_slots(0.3), [0, 4, 8], Fraction(3, 10), Grid.parse("clip@even=12"))
    assert layout.windows == [(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2)]
    assert layout.repeated == 9


def test_frame_by_frame_each_is_a_window():
    """On the grid "frames" each frame lasts until the next, the last until the film ends."""
    times_s = [Fraction(0), Fraction(1, 5), Fraction(2, 5)]
    layout = cut.frames(times_s, range(3), Fraction(1, 2), Grid.parse("frames@every=5,max=25"))
    assert layout.windows == [(0,), (1,), (2,)]
    assert layout.spans == [(times_s[0], times_s[1]), (times_s[1], times_s[2]), (times_s[2], Fraction(1, 2))]


def test_what_nobody_said_is_zeros():
    """An empty transcript has a window of full length of which nothing is real, its mask included."""
    spec = encoders.spec("minilm")
    found = cut.assemble(cut.silence(spec), {}, spec)
    assert found.stack().shape == (1, 48, 384)
    assert found.valid.tolist() == [0]
    assert not found.values.any()
    assert found.steps["token_mask"].tolist() == [0] * 48


def test_empty_groups_are_left_out():
    """Frames without a face leave a sequence, in order; of none but such, one step of zeros stays."""
    layout = Layout([(0,), (), (1,), ()], [(0, 1, 2, 3), (1, 3)], [(Fraction(0), Fraction(1))] * 2)
    assert cut.without_empty(layout).windows == [(0, 2), (1,)]


def test_text_is_one_window_that_covers_no_time():
    """Words have no place in time, and only the encoder knows how many of its steps are words."""
    output = Output(np.ones((4, 1)), 3, {"token_mask": np.array([1, 1, 1, 0], np.uint8)})
    found = cut.assemble(cut.text(), {0: output}, encoders.spec("toy_text"))
    assert found.spans_s.tolist() == [[0, 0]]
    assert found.valid.tolist() == [3]
    assert found.steps["token_mask"].tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize(("seconds", "valid"), [(1.5, [75]), (3.0, [149]), (4.9, [149, 145])])
def test_valid_steps_are_a_share_of_the_window(seconds, valid):
    """How many steps rest on sound follows from how much of the window is sound."""
    _, layout = cut.sound(np.ones(round(seconds * 16_000), np.float32), AUDIO, WINDOWS)
    found = cut.assemble(layout, zeros(len(valid), 149, 2), AUDIO)
    assert found.valid.tolist() == valid
