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
from extract.picture import Sampling
from extract.slices import Share
from extract.speech import bytes_of
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

    def __init__(self, boxes_of=lambda _: [FULL], batch=4, name="face_hog"):
        self.found, self.encoded, self.real = [], [], []
        detector, faces = wants("toys", [name], weights="random:0")
        self.sampling = faces.grid.sampling
        faces = replace(faces, spec=replace(faces.spec, width=(1,)))
        size, meter = BatchSize(batch, grows=False), Meter(30)

        def detect(images, _):
            self.found += [int(image[0, 0, 0]) for image in images]
            return Encoded([np.array(boxes_of(int(image[0, 0, 0])), np.float32).reshape(-1, 5) for image in images])

        def describe(crops, real):
            self.encoded += [int(crop.mean()) for crop in crops]
            self.real += real.tolist()
            return crops.mean(axis=(1, 2, 3))[:, None, None]

        self.boxes = Line(Share(detector, {"a": "x"}, frozenset(), {}), detect, size, meter, None)
        self.faces = Line(Share(faces, {"a": "x"}, frozenset(), {}), describe, size, meter, self.boxes)

    def show(self, times_s, duration_s, image=shade):
        """Let both see a film, to its end."""
        sampling = Sampling(None, [self.sampling])
        for number, time_s in enumerate(times_s):
            taken = sampling.takes(time_s, Fraction(0))
            for line in (self.boxes, self.faces):
                line.see("a", image(number), time_s, taken)
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
    assert film.faces.failed["a"][1].startswith("without mtcnn: ZeroDivisionError")
    assert not film.faces.lacks("a")


class Sound:
    """A line that hears speech alone behind one that says where somebody speaks; what either was given is kept."""

    def __init__(self, speech_s, name="mfcc:clip+vad=cut", language=""):
        self.heard = []
        speech, hearer = wants("toys", [name], weights="random:0", language=language)
        size, meter = BatchSize(4, grows=False), Meter(30)
        sources = {"a": "x"}

        def say(sounds, _):
            return Encoded([np.array(speech_s, np.float32).reshape(-1, 2) for _ in sounds])

        def hear(sounds, real):
            self.heard += [sound[:samples] for sound, samples in zip(sounds, real, strict=True)]
            return Encoded([np.ones((2, *hearer.spec.width), hearer.spec.dtype) for _ in sounds])

        self.speech = Line(Share(speech, sources, frozenset(), {}), say, size, meter, None)
        self.hearer = Line(Share(hearer, sources, frozenset(), {}), hear, size, meter, self.speech)

    def play(self, sound):
        """Let both hear a sound to its end; return the windows."""
        for line in (self.speech, self.hearer):
            line.end(CLIP, Media(sound={16_000: sound}))
        for line in (self.speech, self.hearer):
            line.feed.flush()
        return self.hearer._assembled("a")


def seconds(length_s):
    """Return a sound that tells every moment from every other."""
    return np.arange(1, 1 + round(length_s * 16_000), dtype=np.float32)


def test_speech_alone_is_heard():
    """The spoken parts are heard one after another, and the window still covers the whole clip."""
    line = Sound([[0.5, 1.0], [2.0, 4.0]])
    windows = line.play(sound := seconds(5))
    np.testing.assert_array_equal(line.heard[0], np.concatenate([sound[8000:16_000], sound[32_000:64_000]]))
    assert windows.spans_s.tolist() == [[0, 5]]


@pytest.mark.parametrize(("length_s", "speech_s"), [(3.0, [[1.0, 2.0]]), (5.0, [])])
def test_short_clips_and_those_without_speech_are_heard_whole(length_s, speech_s):
    """As in MFER a clip of three seconds stays whole, and so does one in which nobody speaks."""
    line = Sound(speech_s)
    line.play(sound := seconds(length_s))
    np.testing.assert_array_equal(line.heard[0], sound)


def test_a_transcriber_hears_silence_where_nobody_speaks():
    """Whisper invents words where there are none, so it is given no sound in which nobody speaks."""
    line = Sound([], "whisper_base", "en")
    line.play(seconds(5))
    assert [sound.tolist() for sound in line.heard] == [[0.0]]


@pytest.mark.parametrize(("said", "given"), [("Yes, I am.", ["Yes, I am."]), ("", []), (" \n", [])])
def test_words_follow_their_transcript(said, given):
    """A text line reads what was transcribed; where nothing was said it holds zeros, none of them real."""
    *_, transcript, words = wants("toys", ["minilm+words=whisper_base"], weights="random:0", language="en")
    read, size, meter, sources = [], BatchSize(4, grows=False), Meter(30), {"a": "x"}

    def transcribe(sounds, _):
        return Encoded([bytes_of(said) for _ in sounds])

    def encode(sentences, _):
        read.extend(sentences)
        return Encoded([np.ones((48, 384), np.float32)], [7], {"token_mask": [np.ones(48, np.uint8)]})

    first = Line(Share(replace(transcript, leader=None), sources, frozenset(), {}), transcribe, size, meter, None)
    second = Line(Share(words, sources, frozenset(), {}), encode, size, meter, first)
    for line in (first, second):
        line.end(CLIP, Media(sound={16_000: seconds(1)}))
    for line in (first, second):
        line.feed.flush()
    found = second._assembled("a")
    assert read == given
    assert found.valid.tolist() == [7 if given else 0]
    assert found.values.any() == bool(given)


def half_empty(film):
    """Show a film of three seconds in which every other frame has no face."""
    return film.show([Fraction(k, 10) for k in range(30)], 3)


def test_a_frame_without_a_face_is_marked_and_zero():
    """Where no face is found nothing is encoded: the step is zero and counted as none."""
    film = Film(lambda shown: [FULL] * (shown % 2))
    windows = half_empty(film)
    assert windows.steps["n_faces"].tolist() == [0, 1] * 15
    assert film.encoded == list(range(1, 30, 2))
    assert not windows.values[::2].any()


def test_authors_ask_what_the_network_says_of_nothing():
    """In the authors' way an empty crop that is not real is encoded; the step still counts no face."""
    film = Film(lambda shown: [FULL] * (shown % 2), name="face_hog+as=authors")
    windows = half_empty(film)
    assert windows.steps["n_faces"].tolist() == [0, 1] * 15
    assert sorted(film.real) == [0] * 15 + [1] * 15
    assert sorted(film.encoded) == [0] * 15 + list(range(1, 30, 2))


def test_authors_of_a_sequence_skip_frames_without_a_face():
    """MFER's sequences hold faces alone in the authors' way, and marked zeros in the repaired one."""
    skipping = half_empty(Film(lambda shown: [FULL] * (shown % 4 // 2), name="vit_fer:clip@fps=5+as=authors"))
    assert skipping.steps["n_faces"].tolist() == [1] * 7
    whole = half_empty(Film(lambda shown: [FULL] * (shown % 4 // 2), name="vit_fer:clip@fps=5"))
    assert whole.steps["n_faces"].tolist() == [0, 1] * 7 + [0]


def test_the_largest_face_is_taken_and_all_are_counted():
    """A preset that takes one face encodes the largest; how many were found is still said."""
    boxes = [[0, 0, 64, 64, 1], [0, 0, 200, 200, 0.6]]
    film = Film(lambda _: boxes, name="vit_fer:clip@fps=5")
    windows = half_empty(film)
    assert len(film.encoded) == 15
    assert set(windows.steps["n_faces"].tolist()) == {2}
