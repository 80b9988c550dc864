"""Says a sentence's syllables with a source-filter voice: pulses and noise through moving formants.

Calm and excited voices differ in pitch, its range, loudness, rate and spectral tilt; nothing else depends on the label.
The same control track that shapes the loudness opens the mouth in `_demo_face`.
"""

import re
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from manifests.corpora._demo_script import Script

Array = NDArray[np.float64]

HOP_S = 0.005
RING_S = 0.064  # how long a filter may ring
MARGIN_S = 0.12
# First three formants of a man's vowels (after Peterson and Barney, 1952), by spelling.
VOWELS_HZ = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (300.0, 2250.0, 3000.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (320.0, 880.0, 2240.0),
    "y": (400.0, 1900.0, 2550.0),
}
HIGH_FORMANTS_HZ = (3500.0, 4500.0)
REST_HZ = (500.0, 1500.0, 2500.0)
HISSING = set("sfzxhcv")
STOPPED = set("ptkbdgq")
FLOOR = 3e-4  # a recording is never digitally silent


@dataclass(frozen=True)
class Manner:
    """How a voice sounds when calm or excited."""

    syllables_per_s: float
    raise_st: float
    range_st: float
    level_dbfs: float
    tilt_hz: float
    breath: float


MANNERS = {
    "calm": Manner(3.4, raise_st=0.0, range_st=1.0, level_dbfs=-29.0, tilt_hz=350.0, breath=0.05),
    "excited": Manner(4.8, raise_st=6.0, range_st=4.0, level_dbfs=-20.0, tilt_hz=1500.0, breath=0.02),
}


@dataclass(frozen=True)
class Tracks:
    """What the voice does every `HOP_S`: loudness of voicing and hiss, pitch shift, and three formants."""

    voicing: Array
    hiss: Array
    pitch_st: Array
    formants_hz: Array


def plan(script: Script, rng: np.random.Generator) -> Tracks:
    """Lay the sentence's syllables one after another until the clip is full, with a breath every few."""
    manner = MANNERS[script.voice]
    hops, margin = round(script.length_s / HOP_S), round(MARGIN_S / HOP_S)
    tracks = np.tile(np.array([0.0, 0.0, 0.0, *REST_HZ]), (hops, 1))
    at, since_breath = margin, 0
    for onset, vowel in cycle(syllables(script.text)):
        length = round(rng.uniform(0.8, 1.25) / manner.syllables_per_s / HOP_S)
        if at + length > hops - margin:
            break
        accent_st = manner.raise_st + manner.range_st * (rng.normal() - 0.25 * since_breath)
        begin = at + round(0.35 * length)
        tracks[at : at + length, 2] = accent_st
        tracks[at : at + length, 3:] = VOWELS_HZ[vowel]
        tracks[at:begin, :2] = _onset(onset)
        tracks[begin : at + length, 0] = rng.uniform(0.8, 1.0)
        since_breath = (since_breath + 1) % 6
        at += length + (round(0.16 / HOP_S) if since_breath == 0 else 0)
    smooth = np.stack([_smooth(track, 9) for track in tracks.T])
    return Tracks(smooth[0], smooth[1], _smooth(tracks[:, 2], 25), smooth[3:].T * script.speaker.formant_scale)


def syllables(text: str) -> list[tuple[str, str]]:
    """Split a sentence into (consonants, vowel) by its spelling; English sounds are not attempted."""
    return [(onset, vowels[0]) for onset, vowels in re.findall(r"([^aeiouy\W]*)([aeiouy]+)", text.lower())]


def speak(script: Script, tracks: Tracks, rng: np.random.Generator) -> Array:
    """Return the voice as (samples, channels), within -1 and 1."""
    manner, rate_hz = MANNERS[script.voice], script.speaker.rate_hz
    samples = round(script.length_s * rate_hz)
    voicing = _at_samples(tracks.voicing, samples)
    pitch_hz = script.speaker.pitch_hz * 2 ** (_at_samples(tracks.pitch_st, samples) / 12)
    breath = manner.breath * rng.normal(size=samples)
    voiced = _filtered((_pulses(pitch_hz, rate_hz, rng) + breath) * voicing, _throat(tracks, manner.tilt_hz, rate_hz))
    noise = rng.normal(size=samples) * _at_samples(tracks.hiss, samples)
    voiced /= np.sqrt(np.mean(voiced[voicing > 0.5] ** 2))
    sound = voiced + _filtered(noise, _teeth(rate_hz))
    level = 10 ** ((manner.level_dbfs + rng.uniform(-1.5, 1.5)) / 20)
    level = min(level, 0.9 / float(np.abs(sound).max()))
    sound = level * sound + FLOOR * rng.normal(size=samples)
    return np.stack([sound, 0.8 * sound][: script.speaker.channels], axis=1)


def loudness(tracks: Tracks, frames: int) -> Array:
    """Return for each video frame how far the voice opens the mouth, from 0 to 1."""
    return _at_samples(tracks.voicing, frames)


def _onset(letters: str) -> tuple[float, float]:
    """Return loudness of voicing and hiss before the vowel."""
    if HISSING & set(letters):
        return 0.05, 0.35
    if STOPPED & set(letters):
        return 0.0, 0.05
    return 0.45, 0.0


def _smooth(track: Array, hops: int) -> Array:
    """Round the corners off: a mouth cannot jump."""
    window = np.hanning(hops + 2)[1:-1]
    padded = np.pad(track, hops // 2, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid").astype(np.float64)


def _at_samples(track: Array, samples: int) -> Array:
    """Read a control track at evenly spaced sample times."""
    return np.interp((np.arange(samples) + 0.5) / samples * len(track), np.arange(len(track)) + 0.5, track)


def _pulses(pitch_hz: Array, rate_hz: int, rng: np.random.Generator) -> Array:
    """Return one unit pulse per glottal period, split over two samples so that pitch is finer than one sample."""
    cycles = np.cumsum(pitch_hz) / rate_hz
    # A steady period sounds like a buzzer and is not taken for speech: let each differ by about a percent.
    marks = np.arange(1, int(cycles[-1])) + 0.01 * rng.normal(size=int(cycles[-1]) - 1)
    at = np.interp(marks, cycles, np.arange(len(cycles)))
    whole = at.astype(np.int64)
    pulses = np.zeros(len(cycles) + 1)
    np.add.at(pulses, whole, 1 - (at - whole))
    np.add.at(pulses, whole + 1, at - whole)
    return pulses[:-1]


def _frequencies_hz(rate_hz: int) -> Array:
    """Return the frequencies at which filters are written down."""
    return np.fft.rfftfreq(round(RING_S * rate_hz), 1 / rate_hz).astype(np.float64)


def _throat(tracks: Tracks, tilt_hz: float, rate_hz: int) -> NDArray[np.complex128]:
    """Return glottis, formants and lips as one response per hop."""
    f_hz = _frequencies_hz(rate_hz)
    response = np.tile((1j * f_hz / 100) / (1 + 1j * f_hz / tilt_hz) ** 2, (len(tracks.formants_hz), 1))
    for formant_hz in (*tracks.formants_hz.T, *HIGH_FORMANTS_HZ):
        centre_hz = np.atleast_1d(formant_hz)[:, None]
        width_hz = 50 + 0.04 * centre_hz
        response *= centre_hz**2 / (centre_hz**2 - f_hz**2 + 1j * f_hz * width_hz)
    return response


def _teeth(rate_hz: int) -> NDArray[np.complex128]:
    """Return the band in which an s or f hisses."""
    return np.exp(-(((_frequencies_hz(rate_hz) - 5000) / 1500) ** 2))[None].astype(np.complex128)


def _filtered(source: Array, response: NDArray[np.complex128]) -> Array:
    """Filter short overlapping frames each by its own response and add them up."""
    ring = 2 * (response.shape[1] - 1)
    hop = round(ring * HOP_S / RING_S)
    hops = len(source) // hop
    padded = np.pad(source, (hop // 2, 2 * hop))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[: hops * hop : hop] * window
    rung = np.fft.irfft(np.fft.rfft(frames, ring) * response, ring)
    out = np.zeros(len(padded) + ring)
    for index, frame in enumerate(rung):
        out[index * hop : index * hop + ring] += frame
    return out[hop // 2 : hop // 2 + len(source)]
