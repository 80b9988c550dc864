"""Where windows lie and which frames fall into them, against the authors' own windows and against brute force."""

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.window import samples, share, slot_of, slots, spans
from features import Grid

GOLDEN = np.load(Path(__file__).parent / "golden" / "slicing.npz")
META = json.loads(str(GOLDEN["meta"]))
RATE_HZ = META["sample_rate"]
SETS = [
    tuple(Fraction(str(row["params"][name])).limit_denominator(10) for name in ("win", "shift", "min"))
    for row in META["table"]
]
FPS = (10, 15, 20, Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 50, 60)
LEFSA = Grid.parse("windows(3,2,2)")


def in_samples(parts):
    """Return spans as the golden file has them."""
    return [list(samples(part, RATE_HZ)) for part in parts]


def agrees(cut, row):
    """Return whether a rule cuts all 25 durations as the authors did."""
    durations = [Fraction(int(count), RATE_HZ) for count in GOLDEN["n_samples"]]
    return all(
        in_samples(cut(duration)) == wanted
        for duration, wanted in zip(durations, META["table"][row]["windows"], strict=True)
    )


@pytest.mark.parametrize("row", range(len(SETS)), ids=[row["params"]["system"] for row in META["table"]])
def test_windows_are_the_authors_windows(row):
    """Every parameter set of the authors is a grid, and cuts all 25 durations exactly as their code did."""
    grid = Grid("windows", *SETS[row])
    assert agrees(lambda duration: spans(duration, grid), row)


def test_a_clip_inside_a_longer_recording_is_cut_as_the_authors_cut_it():
    """The authors' windows of a segment, counted from the segment's start, are the windows of the clip."""
    for segment in META["offset_segments"]:
        first, last = (int(segment[name] * RATE_HZ) for name in ("start_s", "end_s"))
        found = in_samples(spans(Fraction(last - first, RATE_HZ), LEFSA))
        assert [[first + start, first + end] for start, end in found] == segment["windows"]


def mistaken(duration_s, length_s, step_s, min_tail_s, mistake):
    """Cut as the house does, but for one mistake."""
    shortest_s = min_tail_s + (Fraction(1, RATE_HZ) if mistake == "tail off by one" else 0)
    found, start_s = [], Fraction(0)
    if duration_s <= length_s:
        return [(start_s, duration_s)]
    while start_s < duration_s and (mistake == "no stop" or not found or found[-1][1] < duration_s):
        end_s = min(start_s + length_s, duration_s)
        if end_s - start_s >= shortest_s or mistake == "every tail":
            found.append((start_s, end_s))
        start_s += step_s
    return found


@pytest.mark.parametrize("mistake", ["none", "tail off by one", "no stop", "every tail"])
def test_the_golden_windows_tell_mistakes(mistake):
    """A shortest tail that is one sample off, a missing stop, and a tail that is always kept do not pass the golden."""
    right = [agrees(lambda d, row=row: mistaken(d, *SETS[row], mistake), row) for row in range(len(SETS))]
    assert all(right) == (mistake == "none")


@pytest.mark.parametrize(
    ("duration_s", "grid", "wanted"),
    [
        ("5.9999375", "windows(3,2,2)", [(0, 3), (2, 5)]),
        ("7.2", "clip", [(0, "7.2")]),
        ("0.05", "windows(3,2,2)", [(0, "0.05")]),
        ("4.5", "windows(2,2,0)", [(0, 2), (2, 4), (4, "4.5")]),
        ("4", "windows(2,2,0)", [(0, 2), (2, 4)]),
        ("0", "windows(3,2,2)", []),
        ("-1", "clip", []),
    ],
)
def test_what_the_golden_windows_do_not_hold(duration_s, grid, wanted):
    """A tail one sample short is left out, a whole clip is one span, and a shortest tail of nothing keeps any tail."""
    assert spans(Fraction(duration_s), Grid.parse(grid)) == [tuple(map(Fraction, span)) for span in wanted]


def brute(times_s, start_s, end_s, fps):
    """Look at every frame for every slot, from the clip's first slot on."""
    chosen, empty = [], 0
    for k in range(math.ceil(end_s * fps)):
        inside = [
            i for i, time_s in enumerate(times_s) if Fraction(k, fps) <= time_s < min(Fraction(k + 1, fps), end_s)
        ]
        chosen.append(inside[0] if inside else chosen[-1] if chosen else 0)
        empty += not inside and k >= start_s * fps
    return tuple(chosen[int(start_s * fps) :]), empty


@pytest.mark.parametrize("source_fps", FPS, ids=str)
@pytest.mark.parametrize("fps", [5, 10])
def test_every_slot_takes_its_first_frame_over_thirty_windows(source_fps, fps):
    """Slot k takes the first frame in [k/fps, (k+1)/fps), at every usual rate, in each of 30 windows."""
    times_s = [i / Fraction(source_fps) for i in range(math.ceil(61 * source_fps))]
    parts = spans(Fraction(61), LEFSA)
    assert len(parts) == 30
    for start_s, end_s in parts:
        near = [i for i, time_s in enumerate(times_s) if start_s <= time_s < end_s]
        chosen, empty = brute([times_s[i] - start_s for i in near], Fraction(0), end_s - start_s, fps)
        found = slots(times_s, (start_s, end_s), fps)
        assert (found.frames, found.repeated) == (tuple(near[i] for i in chosen), empty)
        assert found.repeated == 0


def test_floats_would_misplace_frames():
    """At 30 frames a second the float formula puts 338 of the 2,700 frames of 30 windows into a wrong slot."""
    exact = [slot_of(Fraction(2 * n) + Fraction(i, 30) - 2 * n, 10) for n in range(30) for i in range(90)]
    floats = [math.floor(((2 * n + i / 30) - 2 * n) * 10) for n in range(30) for i in range(90)]
    assert len(exact) == 2700
    assert sum(a != b for a, b in zip(exact, floats, strict=True)) == 338


@pytest.mark.parametrize(
    ("times_s", "frames", "repeated"),
    [
        (["0", "0.3"], (0, 0, 0, 1, 1), 3),
        (["0.25", "0.45"], (0, 0, 0, 0, 1), 3),
        (["0", "0.05", "0.1", "0.11", "0.2", "0.3", "0.4"], (0, 2, 4, 5, 6), 0),
        (["0.5"], (0, 0, 0, 0, 0), 5),
        ([], (), 0),
    ],
)
def test_an_empty_slot_repeats_and_is_counted(times_s, frames, repeated):
    """A slot without a frame repeats the one before, the first frame fills those before it, and both are counted."""
    found = slots([Fraction(time_s) for time_s in times_s], (Fraction(0), Fraction(1, 2)), 10)
    assert (found.frames, found.repeated) == (frames, repeated)


variable_rate = st.lists(st.fractions(0, 9, max_denominator=90_000), min_size=1, max_size=60, unique=True).map(sorted)


@given(times_s=variable_rate, fps=st.sampled_from([1, 5, 10, 12]))
def test_variable_frame_rate(times_s, fps):
    """Whatever the times of the frames, slots are those of brute force."""
    for part in spans(Fraction(9), LEFSA):
        found = slots(times_s, part, fps)
        assert (found.frames, found.repeated) == brute(times_s, *part, fps)


@given(times_s=variable_rate, fps=st.sampled_from([5, 10]))
def test_slots_of_a_window_are_slots_of_the_clip(times_s, fps):
    """A window that begins at 2n seconds has in slot k what the clip has in slot 2n x fps + k, empty or not."""
    whole = slots(times_s, (Fraction(0), Fraction(9)), fps)
    for part in spans(Fraction(9), LEFSA):
        first = int(part[0] * fps)
        assert slots(times_s, part, fps).frames == whole.frames[first : first + 3 * fps]


@pytest.mark.parametrize(
    ("steps", "span", "length_s", "real"),
    [
        (149, (2, 5), 3, 149),
        (149, (0, "1.5"), 3, 75),
        (149, (0, "0.001"), 3, 1),
        (1, (0, "0.5"), 3, 1),
        (7, (0, 9), 0, 7),
    ],
)
def test_share_of_real_steps(steps, span, length_s, real):
    """A step is real when any of it rests on real input; a whole clip has no padding."""
    assert share(steps, (Fraction(span[0]), Fraction(span[1])), Fraction(length_s)) == real
