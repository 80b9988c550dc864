"""From the decoded pieces of a recording to the mono samples of one clip, at every wanted rate; knows no decoder."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]

# What each loudspeaker gives to mono, after ITU-R BS.775; speech on film lies in the front centre.
MONO_SHARE = {"FL": 0.5, "FR": 0.5, "FC": 0.7071, "BL": 0.3536, "BR": 0.3536, "SL": 0.3536, "SR": 0.3536, "LFE": 0.0}
# Loudspeakers where a file only counts its channels, as plain stereo wav files do.
USUAL_NAMES = {
    1: "FC",
    2: "FL FR",
    3: "FL FR LFE",
    4: "FL FR FC BC",
    5: "FL FR FC BL BR",
    6: "FL FR FC LFE BL BR",
    7: "FL FR FC LFE BC SL SR",
    8: "FL FR FC LFE BL BR SL SR",
}
# Time stamps of sound that jump by more are a hole in the recording; less is rounding, much more a fault.
HOLE_S, LONGEST_HOLE_S = Fraction(1, 10), 600
# A tiny file can hold days of silence; no clip may fill the memory.
LONGEST_S = 4 * 3600
# How many samples are brought to another rate at once, and how well.
CHUNK, QUALITY = 1 << 16, "HQ"


class Sound:
    """Gathers a clip's mono samples, with silence where the recording starts late or has a hole.

    Times count from the clip's start; samples before it and after its end are dropped as they come.
    """

    def __init__(self, length_s: Fraction | None, channel: str, rates_hz: Iterable[int]) -> None:
        self._length_s, self._channel = length_s, channel
        self._outputs = {rate_hz: _Output(rate_hz) for rate_hz in rates_hz}
        self._rate_hz = 0
        self.next_s: Fraction | None = None
        """Where the samples that came so far end."""
        self._skip = 0
        self._kept = 0
        self._not_finite = 0

    @property
    def done(self) -> bool:
        """Return whether the clip's end was reached."""
        return self.next_s is not None and self._length_s is not None and self.next_s >= self._length_s

    def take(self, planes: Samples, names: Sequence[str], rate_hz: int, time_s: Fraction) -> None:
        """Take the next piece, one row for each loudspeaker."""
        if self.next_s is None:
            self._rate_hz, self.next_s = rate_hz, min(time_s, Fraction(0))
            self._skip = -round(self.next_s * rate_hz)
            self._fill(time_s - self.next_s)
        if rate_hz != self._rate_hz:
            raise ValueError(f"expected one sample rate, got {self._rate_hz} Hz and then {rate_hz} Hz")
        if time_s - self.next_s > HOLE_S:
            self._fill(time_s - self.next_s)
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is counted, and named in the end
            self._keep(mono(planes, names, self._channel))

    def finish(self, start_s: Fraction) -> dict[int, Samples]:
        """Return the samples by rate; complain with where the clip begins in the file."""
        if self.next_s is None and not start_s:
            raise ValueError("its audio stream holds no samples")
        if not self._kept:
            raise ValueError(f"its sound ends before {float(start_s)} s")
        if self._not_finite:
            raise ValueError(f"{self._not_finite} samples are not finite")
        return {rate_hz: output.finish() for rate_hz, output in self._outputs.items()}

    def _fill(self, hole_s: Fraction) -> None:
        if hole_s > LONGEST_HOLE_S:
            raise ValueError(f"the time stamps of its sound jump by {float(hole_s):.1f} s")
        self._keep(np.zeros(round(hole_s * self._rate_hz), np.float32))

    def _keep(self, piece: Samples) -> None:
        self.next_s = (self.next_s or Fraction(0)) + Fraction(len(piece), self._rate_hz)
        wanted = piece[self._skip :]
        self._skip = max(0, self._skip - len(piece))
        if self._length_s is not None:
            wanted = wanted[: max(0, round(self._length_s * self._rate_hz) - self._kept)]
        if self.next_s > LONGEST_S and len(wanted):
            raise ValueError(f"expected at most {LONGEST_S // 3600} hours of sound in a clip, got more")
        self._kept += len(wanted)
        self._not_finite += len(wanted) - int(np.isfinite(wanted).sum())
        for output in self._outputs.values():
            output.add(wanted, self._rate_hz)


class _Output:
    """The samples at one rate; resampled on the way, so that memory holds no more than what is asked for."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.waiting: list[Samples] = []
        self.wait = 0
        """How many samples wait to be resampled."""
        self.ready: list[Samples] = []
        self.stream: soxr.ResampleStream | None = None

    def add(self, piece: Samples, from_hz: int) -> None:
        if from_hz == self.rate_hz:
            self.ready.append(piece)
            return
        if self.stream is None:
            self.stream = soxr.ResampleStream(from_hz, self.rate_hz, 1, dtype="float32", quality=QUALITY)
        self.waiting.append(piece)
        self.wait += len(piece)
        if self.wait >= CHUNK:
            self.resample(last=False)

    def resample(self, *, last: bool) -> None:
        if self.stream is not None:
            piece = np.concatenate([*self.waiting, np.empty(0, np.float32)])
            self.waiting, self.wait = [], 0
            self.ready.append(self.stream.resample_chunk(piece, last=last))

    def finish(self) -> Samples:
        self.resample(last=True)
        return np.concatenate(self.ready)


def resampled(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Bring a whole sound to another rate."""
    if from_hz == to_hz:
        return samples
    return np.asarray(soxr.resample(samples, from_hz, to_hz, quality=QUALITY), np.float32)


def mono(planes: Samples, names: Sequence[str], channel: str) -> Samples:
    """Mix loudspeakers to one channel, or take the one that is asked for where the recording has it."""
    if MONO_SHARE.keys().isdisjoint(names) and len(names) in USUAL_NAMES:
        names = USUAL_NAMES[len(names)].split()
    chosen = {"centre": "FC", "left": "FL", "right": "FR"}.get(channel)
    if len(planes) == 1 or chosen in names:
        return np.asarray(planes[names.index(chosen) if chosen in names else 0])
    shares = np.array([MONO_SHARE.get(name, 0.5) for name in names], np.float32)
    if not shares.any():
        shares[:] = 1
    shares /= shares.sum()
    mixed = shares[0] * planes[0]  # sample by sample: a matrix product rounds differently with where a piece begins
    for share, plane in zip(shares[1:], planes[1:], strict=True):
        mixed += share * plane
    return np.asarray(mixed, np.float32)
