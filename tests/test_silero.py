"""silero finds speech in real recordings, by the settings of either paper, and none where nobody speaks."""

import sys
from functools import cache

import av
import media_kit as kit
import numpy as np
import pytest
import torch

from extract.encoders import silero
from extract.speech import only_speech
from features import Grid

PRESETS = tuple(silero.PRESETS)
RATE_HZ = silero.SPEC.rate_hz
LONGEST_S = 12
REAL = pytest.mark.parametrize("shared", ["speech-public-domain"], indirect=True)


@cache
def detector(preset):
    """Load the detector once for all tests."""
    return silero.load("cpu", "exact", preset=preset)


def speech_s(sound, preset):
    """Return where somebody speaks."""
    return detector(preset)(sound[None].astype(np.float32), np.array([len(sound)])).values[0]


@cache
def recordings(folder):
    """Read the real recordings in a folder."""
    return {path.stem: read(path) for path in sorted((*folder.glob("*.wav"), *folder.glob("*.flac")))}


def read(path):
    """Decode one recording."""
    with av.open(path) as file:
        resampler = av.AudioResampler("flt", "mono", RATE_HZ)
        return np.concatenate([part.to_ndarray()[0] for frame in file.decode() for part in resampler.resample(frame)])


@REAL
@pytest.mark.parametrize("preset", PRESETS)
def test_speech_is_found_in_real_speech(shared, preset):
    """Most of each reading is speech; spans lie within the clip, one after another, none of them empty."""
    for name, sound in recordings(shared).items():
        spans_s = speech_s(sound, preset)
        length_s = len(sound) / RATE_HZ
        assert spans_s.dtype == np.float32
        assert 0.6 < (spans_s[:, 1] - spans_s[:, 0]).sum() / length_s < 1 + 1e-6, name
        assert (spans_s[:, 1] > spans_s[:, 0]).all()
        assert (spans_s[1:, 0] >= spans_s[:-1, 1]).all()
        assert spans_s.min() >= 0
        assert spans_s.max() <= np.float32(length_s)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(2 * RATE_HZ),
        np.zeros(0),
        kit.noise(3, RATE_HZ) * 0.002,
        np.random.default_rng(0).normal(0, 0.1, 3 * RATE_HZ),
        kit.tone(220, 3),
    ],
    ids=["silence", "nothing", "faint noise", "noise", "a tone"],
)
def test_nobody_speaks(sound, preset):
    """Silence, noise and tones hold no speech."""
    assert speech_s(sound, preset).shape == (0, 2)


@REAL
def test_lefsa_joins_short_pauses(shared):
    """What the library parts at a tenth of a second is one span by LEFSA's settings, which keep more of the sound."""
    found = {name: [speech_s(sound, preset) for preset in PRESETS] for name, sound in recordings(shared).items()}
    for mfer, lefsa in found.values():
        assert len(lefsa) <= len(mfer)
        assert np.diff(lefsa).sum() >= np.diff(mfer).sum()
        assert all(((lefsa[:, 0] <= start) & (end <= lefsa[:, 1])).any() for start, end in mfer)
    assert [[len(spans_s) for spans_s in found[name]] for name in ("LJ001-0004", "jfk")] == [[2, 1], [4, 4]]


@REAL
def test_lefsa_parts_long_speech(shared):
    """Who speaks without a pause is one span by the library's settings; LEFSA's spans are no longer than 12 s."""
    long = np.tile(recordings(shared)["LJ001-0002"], 14)
    mfer, lefsa = (speech_s(long, preset) for preset in PRESETS)
    assert np.diff(mfer).max() > 2 * LONGEST_S
    assert len(lefsa) > 2
    assert np.diff(lefsa).max() <= LONGEST_S


@REAL
@pytest.mark.parametrize("preset", PRESETS)
def test_only_speech_is_what_the_library_collects(shared, preset):
    """The spoken parts by the spans that are stored are, sample for sample, those that the library would join."""
    from silero_vad import collect_chunks

    for sound in recordings(shared).values():
        spans_s = speech_s(sound, preset)
        chunks = [{"start": round(start * RATE_HZ), "end": round(end * RATE_HZ)} for start, end in spans_s.tolist()]
        np.testing.assert_array_equal(
            only_speech(sound, spans_s, RATE_HZ), collect_chunks(chunks, torch.from_numpy(sound))
        )


@REAL
def test_padding_and_neighbours_change_nothing(shared):
    """Beside longer sounds, padded to their length, a recording keeps its spans to the last bit."""
    sounds = list(recordings(shared).values())
    batch = np.zeros((len(sounds), max(map(len, sounds))), np.float32)
    for row, sound in zip(batch, sounds, strict=True):
        row[: len(sound)] = sound
    together = detector("mfer")(batch, np.array([len(sound) for sound in sounds])).values
    for sound, found in zip(sounds, together, strict=True):
        np.testing.assert_array_equal(found, speech_s(sound, "mfer"))


def test_presets_are_told_apart_by_the_key():
    """The library's own numbers keep the key that they had; whatever LEFSA decides otherwise stands in its key."""
    assert silero.SPEC.settings == silero.settings() == silero.settings("mfer")
    assert silero.settings() == {"threshold": 0.5, "min_speech_ms": 250, "min_silence_ms": 100, "pad_ms": 30}
    assert silero.SPEC.options == {"preset": PRESETS}
    assert all(settings.keys() <= silero.ARGUMENTS.keys() for settings in silero.PRESETS.values())
    keys = [silero.SPEC.key("silero", Grid.parse("clip"), settings=silero.settings(name)) for name in PRESETS]
    assert keys[0] == silero.SPEC.key("silero", Grid.parse("clip"))
    assert len({key.name for key in keys}) == len(PRESETS)


def test_threads_are_given_back(monkeypatch):
    """Its package takes all threads but one from torch when it is imported; loading and asking it leave them alone."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "silero_vad"]:
        monkeypatch.delitem(sys.modules, name)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        encode = silero.load("cpu", "exact")
        assert torch.get_num_threads() == 2
        encode(np.zeros((1, RATE_HZ), np.float32), np.array([RATE_HZ]))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
