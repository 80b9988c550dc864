"""Which frames of a film the samplings of a clip take, by time, by number, or evenly spread."""

from fractions import Fraction

import media_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.media import Files, Need
from extract.picture import Sampling

RATES = st.sampled_from([Fraction(10), Fraction(24_000, 1001), Fraction(25), Fraction(30_000, 1001), Fraction(60)])


def taken(sampling, times_s, length_s=None, pictures_s=None):
    """Return the numbers of the frames that a sampling takes, by slot."""
    found = Sampling(length_s, [sampling], pictures_s)
    slots = [found.takes(time_s, Fraction(0)).get(sampling) for time_s in times_s]
    return {slot: number for number, slot in enumerate(slots) if slot is not None}


def times(count, rate):
    """Return the times of a film's frames."""
    return [number / rate for number in range(count)]


@given(st.integers(1, 400), RATES)
def test_every_fifth_frame_at_most_25(count, rate):
    """Frames 0, 5, 10 … are taken whatever the clock says, and no more than 25 of them."""
    found = taken("every=5,max=25", times(count, rate))
    assert list(found.values()) == list(range(0, count, 5))[:25]
    assert list(found) == list(range(len(found)))


@given(st.integers(1, 400), RATES)
def test_evenly_spread_frames(count, rate):
    """Of a film of n frames at a steady rate, slot k of 12 begins with frame ⌈k n / 12⌉."""
    found = taken("even=12", times(count, rate), pictures_s=count / rate)
    wanted = [-(-slot * count // 12) for slot in range(12)]
    assert list(found.values()) == sorted(set(wanted) & set(range(count)))
    assert list(found) == sorted(found)


@given(st.integers(1, 200), RATES)
def test_samplings_do_not_know_each_other(count, rate):
    """Several samplings of one film take what each takes alone."""
    names, when = ["fps=10", "every=5,max=25", "even=12"], times(count, rate)
    together = Sampling(None, names, count / rate)
    slots = [together.takes(time_s, Fraction(0)) for time_s in when]
    for name in names:
        both = {begun[name]: number for number, begun in enumerate(slots) if name in begun}
        assert both == taken(name, when, pictures_s=count / rate)


def test_spreading_asks_how_long_the_pictures_last():
    """Without a length nothing can be spread over it; that is said and not guessed."""
    with pytest.raises(ValueError, match="even=12 asks how long"):
        Sampling(None, ["even=12"])


@pytest.mark.parametrize(
    ("start_s", "end_s", "wanted"),
    [(0.0, None, range(0, 60, 5)), (1.0, None, [25 + -(-k * 35 // 12) for k in range(12)]), (0.5, 1.0, range(13, 25))],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.mpg"])
def test_frames_of_a_real_film_are_spread_evenly(tmp_path, name, start_s, end_s, wanted):
    """The packets of the file say how long the clip lasts, whatever its container's header does."""
    codec = {"a.mpg": "mpeg2video", "a.avi": "mpeg4"}.get(name, "libx264")
    kit.write(tmp_path / name, [kit.picture(i) for i in range(60)], film=kit.Film(codec=codec))
    shown = []
    with Files(tmp_path) as files:
        clip = kit.clip(video={"path": name, "start_s": start_s, "end_s": end_s})
        found = files.read(clip, Need(samplings=frozenset({"even=12"})), lambda image, *_: shown.append(image))
    assert not found.errors
    assert [kit.number_of(image) for image in shown] == list(wanted)
    assert found.opened <= 2 + bool(start_s)
