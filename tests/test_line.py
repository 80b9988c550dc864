"""One entry's way through a slice: which frames and faces are encoded, once each, and into which windows they go."""

from dataclasses import replace
from fractions import Fraction

import media_kit as kit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.encode import BatchSize
from extract.encoders import Encoded
from extract.line import Line
from extract.media import Media, Pictures
from extract.slices import Share
from extract.tally import Meter
from extract.wanted import wants
from extract.window import slots

CLIP = kit.clip(video="a.mp4", id="a")
FULL = [0, 0, 8, 8, 1]


def shade(number):
    """Return a picture of one shade."""
    return np.full((8, 8, 3), number % 256, np.uint8)


class Film:
    """A face line behind its detector, and all that either was given to encode."""

    def __init__(self, boxes_of=lambda _: [FULL], batch=4):
        self.found, self.encoded = [], []
        detector, faces = wants("toys", ["face_hog"])
        faces = replace(faces, spec=replace(faces.spec, width=(1,)))
        size, meter = BatchSize(batch, grows=False), Meter(30)

        def detect(images, _):
            self.found += [int(image[0, 0, 0]) for image in images]
            return Encoded([np.array(boxes_of(int(image[0, 0, 0])), np.float32).reshape(-1, 5) for image in images])

        def describe(crops, _):
            self.encoded += [int(crop.mean()) for crop in crops]
            return crops.mean(axis=(1, 2, 3))[:, None, None]

        self.boxes = Line(Share(detector, {"a": "x"}, frozenset(), {}), detect, size, meter, None)
        self.faces = Line(Share(faces, {"a": "x"}, frozenset(), {}), describe, size, meter, self.boxes)

    def show(self, times_s, duration_s, image=shade):
        """Let both see a film, to its end."""
        for number, time_s in enumerate(times_s):
            for line in (self.boxes, self.faces):
                line.see("a", image(number), time_s)
        pictures = Pictures(tuple(times_s), Fraction(duration_s), len(times_s))
        for line in (self.boxes, self.faces):
            line.end(CLIP, Media(pictures=pictures))
        for line in (self.boxes, self.faces):
            line.feed.flush()
        return self.faces._assembled("a")


frame_times = st.lists(st.fractions(0, 7, max_denominator=600), min_size=1, max_size=40, unique=True).map(sorted)


@given(frame_times, st.integers(1, 9))
def test_each_step_shows_the_picture_of_its_slot(times_s, batch):
    """At any frame rate and batch size, step k of a window is the face on the picture of slot k, encoded once."""
    film = Film(batch=batch)
    windows = film.show(times_s, 7)
    seen = list(slots(times_s, (Fraction(0), Fraction(7)), 10).frames)
    for window, (start_s, _) in enumerate(windows.spans_s):
        first = round(start_s * 10)
        assert windows.window(window)[:, 0].tolist() == seen[first : first + 30]
    assert sorted(film.encoded) == sorted(set(seen))
    assert film.found == sorted(film.found) == sorted(set(film.found))


@pytest.mark.parametrize(("seconds", "encoded"), [(Fraction(7, 2), 30), (4, 40), (Fraction(49, 10), 49), (1, 10)])
def test_frames_that_lie_in_no_window_are_not_encoded(seconds, encoded):
    """A tail that is too short to be a window costs the faces' encoder nothing; boxes are found everywhere."""
    film = Film()
    times_s = [Fraction(i, 10) for i in range(round(seconds * 10))]
    film.show(times_s, seconds)
    assert len(film.encoded) == encoded
    assert len(film.found) == len(times_s)


def test_faces_of_a_frame_are_averaged_and_counted():
    """Two faces give their mean, no face gives zeros, and the side channel tells which is which."""
    boxes = {0: [[0, 0, 4, 8, 1], [4, 0, 8, 8, 1]], 1: [], 2: [FULL]}

    def halves(number):
        image = shade(10 * (number + 1))
        image[:, 4:] = image[:, 4:] if number else 90
        return image

    numbers = {10: 0, 20: 1, 30: 2}
    film = Film(lambda shown: boxes[numbers[shown]])
    windows = film.show([Fraction(k, 10) for k in range(3)], Fraction(3, 10), halves)
    assert windows.values[:4, 0].tolist() == [50, 0, 30, 30]
    assert windows.steps["n_faces"][:4].tolist() == [2, 0, 1, 1]
    assert windows.valid.tolist() == [3]


def test_a_clip_without_any_face_is_zeros():
    """Where no face is found at all nothing is encoded, and the windows are there all the same."""
    film = Film(lambda _: [])
    windows = film.show([Fraction(k, 10) for k in range(30)], 3)
    assert not film.encoded
    assert windows.stack().shape == (1, 30, 1)
    assert not windows.values.any()
    assert not windows.steps["n_faces"].any()


def test_a_detector_that_fails_takes_the_faces_with_it():
    """When the boxes of a clip cannot be had, its face line gives the reason and keeps nothing of it."""
    film = Film(lambda shown: [FULL] if shown != 5 else 1 / 0)
    with pytest.raises(KeyError):
        film.show([Fraction(k, 10) for k in range(30)], 3)
    assert film.boxes.failed["a"][0] == "encode"
    assert film.faces.failed["a"][1].startswith("no boxes: ZeroDivisionError")
    assert not film.faces.lacks("a")
