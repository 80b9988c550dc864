"""From a media file to mono sound and upright RGB frames, on one exact timeline; the only module that knows a decoder.

A file is opened once per visit and read once, however much is wanted of it. Times are pts x time base as `Fraction`,
from the first moment that any stream of the file has, then from the clip's start.
"""

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from extract.window import slot_of
from manifests import Audio, Clip, Video

# Playlists and concat scripts name other files and addresses; only real containers are opened.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,wav,w64,flac,mp3,aac,aiff,au,caf"
# What each loudspeaker gives to mono, after ITU-R BS.775; speech on film lies in the front centre.
MONO_SHARE = {"FL": 0.5, "FR": 0.5, "FC": 0.7071, "BL": 0.3536, "BR": 0.3536, "SL": 0.3536, "SR": 0.3536, "LFE": 0.0}
# A seek lands here before the wanted moment, so that decoders that lean on earlier packets have settled.
PREROLL_S = Fraction(1)
# What a frame lasts when neither the file nor a neighbour says.
LONE_FRAME_S = Fraction(1, 25)


class MediaError(ValueError):
    """Media that cannot be read; the message says what was expected and found."""


@dataclass(frozen=True)
class Need:
    """What the encoders of one visit want: sound at these rates, frames at these samplings."""

    rates_hz: frozenset[int] = frozenset()
    fps: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Pictures:
    """The frames that the samplings take, with their times from the clip's start."""

    images: list[NDArray[np.uint8]]
    times_s: list[Fraction]
    duration_s: Fraction
    decoded: int


@dataclass
class Media:
    """Sound and picture of one clip; what could not be had stands in `errors` by modality."""

    sound: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    pictures: Pictures | None = None
    errors: dict[str, str] = field(default_factory=dict)
    opened: int = 0
    """How many files were opened."""

    @property
    def length_s(self) -> float:
        """Return the seconds of media that were decoded."""
        lengths = [len(samples) / rate_hz for rate_hz, samples in self.sound.items()]
        return max(lengths + ([float(self.pictures.duration_s)] if self.pictures else []), default=0.0)


def read(clip: Clip, root: Path, need: Need) -> Media:
    """Decode what is needed of a clip, opening each of its files once."""
    tracks: dict[str, dict[str, Audio | Video]] = {}
    if clip.audio and need.rates_hz:
        tracks.setdefault(clip.audio.path, {})["audio"] = clip.audio
    if clip.video and need.fps:
        tracks.setdefault(clip.video.path, {})["video"] = clip.video
    media = Media()
    for path, wanted in tracks.items():
        media.opened += 1
        try:
            _read_file(root / path, wanted, need, media)
        except (MediaError, OSError, av.FFmpegError, ValueError) as error:
            for modality in wanted:
                media.errors[modality] = f"{path}: {error}"
    return media


def _read_file(path: Path, wanted: Mapping[str, Audio | Video], need: Need, media: Media) -> None:
    with _opened(path) as container:
        origin_s = _origin_s(container)
        sinks: dict[int, _Sound | _Frames] = {}
        for modality, track in wanted.items():
            stream = next(iter(getattr(container.streams, modality)), None)
            if stream is None:
                media.errors[modality] = f"{path.name}: has no {modality} stream"
            elif isinstance(track, Audio):
                sinks[stream.index] = _Sound(track, origin_s)
            else:
                sinks[stream.index] = _Frames(track, origin_s, need.fps)
                stream.thread_type = "AUTO"
        _pump(container, sinks, origin_s)
        for sink in sinks.values():
            sink.finish(media, need)


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    if not stat.S_ISREG(path.stat().st_mode):
        raise MediaError("expected a regular file")
    with av.open(str(path), options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}) as container:
        yield container


def _origin_s(container: InputContainer) -> Fraction:
    starts = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.audio, *container.streams.video)
        if stream.start_time is not None and stream.time_base is not None
    ]
    # A negative start is a codec's priming, cut away by the decoder; the timeline still begins at zero.
    return max(Fraction(0), min(starts, default=Fraction(0)))


def _pump(container: InputContainer, sinks: Mapping[int, Any], origin_s: Fraction) -> None:
    if not sinks:
        return
    first_s = min(sink.start_s for sink in sinks.values())
    if first_s > PREROLL_S:
        container.seek(int((first_s - PREROLL_S + origin_s) * av.time_base), backward=True)
    for packet in container.demux([container.streams[index] for index in sinks]):
        sink = sinks[packet.stream.index]
        if not sink.done:
            for frame in packet.decode():
                sink.take(frame)
        elif all(other.done for other in sinks.values()):
            return


class _Track:
    """The part of a timeline that a clip covers."""

    def __init__(self, track: Audio | Video, origin_s: Fraction) -> None:
        offset_s = Fraction(str(track.offset_s))
        self.start_s = max(Fraction(0), Fraction(str(track.start_s)) + offset_s)
        self.end_s = None if track.end_s is None else Fraction(str(track.end_s)) + offset_s
        self.origin_s = origin_s
        self.done = False

    def moment_s(self, frame: AudioFrame | VideoFrame) -> Fraction | None:
        """Return the frame's time from the clip's start."""
        if frame.pts is None or frame.time_base is None:
            return None
        return frame.pts * frame.time_base - self.origin_s - self.start_s

    @property
    def length_s(self) -> Fraction | None:
        """Return how long the clip may be, where the manifest says so."""
        return None if self.end_s is None else self.end_s - self.start_s


class _Sound(_Track):
    """Gathers mono samples at the file's own rate, silence where the stream starts late."""

    def __init__(self, track: Audio, origin_s: Fraction) -> None:
        super().__init__(track, origin_s)
        self.channel = track.channel
        self.rate_hz = 0
        self.pieces: list[NDArray[np.float32]] = []
        self.first_s = Fraction(0)
        self.samples = 0
        self.planar = av.AudioResampler(format="fltp")

    def take(self, frame: AudioFrame) -> None:
        """Keep the samples of a frame, mixed to mono."""
        if not self.pieces:
            self.rate_hz = frame.sample_rate
            self.first_s = self.moment_s(frame) or Fraction(0)
        if frame.sample_rate != self.rate_hz:
            raise MediaError(f"expected one sample rate, got {self.rate_hz} Hz and then {frame.sample_rate} Hz")
        names = [channel.name for channel in frame.layout.channels]
        for planar in self.planar.resample(frame):
            piece = _mono(planar.to_ndarray().astype(np.float32, copy=False), names, self.channel)
            self.pieces.append(piece)
            self.samples += len(piece)
        if self.length_s is not None:
            self.done = self.first_s + Fraction(self.samples, self.rate_hz) >= self.length_s

    def finish(self, media: Media, need: Need) -> None:
        """Cut the clip out, exactly to the sample, and bring it to every wanted rate."""
        if not self.pieces:
            raise MediaError("its audio stream holds no samples")
        samples = np.concatenate(self.pieces)
        first = round(self.first_s * self.rate_hz)
        samples = samples[-first:] if first < 0 else np.pad(samples, (first, 0))
        if self.length_s is not None:
            samples = samples[: round(self.length_s * self.rate_hz)]
        if not len(samples):
            raise MediaError(f"its sound ends before {float(self.start_s)} s")
        if not np.isfinite(samples).all():
            raise MediaError(f"{(~np.isfinite(samples)).sum()} samples are not finite")
        for rate_hz in need.rates_hz:
            media.sound[rate_hz] = _resampled(samples, self.rate_hz, rate_hz)


class _Frames(_Track):
    """Keeps the first frame of every slot of every sampling, upright and in RGB; converts no other."""

    def __init__(self, track: Video, origin_s: Fraction, fps: frozenset[int]) -> None:
        super().__init__(track, origin_s)
        self.side = track.side
        self.last_slot = dict.fromkeys(fps, -1)
        self.images: list[NDArray[np.uint8]] = []
        self.times_s: list[Fraction] = []
        self.decoded = 0
        self.last_s = Fraction(0)
        self.end_s_seen = Fraction(0)

    def take(self, frame: VideoFrame) -> None:
        """Keep a frame when it is the first of a slot."""
        time_s = self.moment_s(frame)
        if time_s is None:
            raise MediaError("a video frame has no time")
        if time_s < 0:
            return
        if self.length_s is not None and time_s >= self.length_s:
            self.done = True
            return
        self.decoded += 1
        self.end_s_seen = time_s + _frame_length_s(frame, time_s - self.last_s)
        self.last_s = time_s
        slots = {fps: slot_of(time_s, fps) for fps in self.last_slot}
        if any(slot > self.last_slot[fps] for fps, slot in slots.items()):
            self.last_slot = {fps: max(slot, self.last_slot[fps]) for fps, slot in slots.items()}
            self.images.append(_upright(frame, self.side))
            self.times_s.append(time_s)

    def finish(self, media: Media, _: Need) -> None:
        """Hand the frames over."""
        if not self.images:
            raise MediaError(f"its video stream holds no frame from {float(self.start_s)} s on")
        duration_s = self.end_s_seen if self.length_s is None else min(self.length_s, self.end_s_seen)
        media.pictures = Pictures(self.images, self.times_s, duration_s, self.decoded)


def _mono(planes: NDArray[np.float32], names: list[str], channel: str) -> NDArray[np.float32]:
    chosen = {"centre": "FC", "left": "FL", "right": "FR"}.get(channel)
    if len(planes) == 1 or chosen in names:
        return np.asarray(planes[names.index(chosen) if chosen in names else 0])
    shares = np.array([MONO_SHARE.get(name, 0.5) for name in names], np.float32)
    if not shares.any():
        shares[:] = 1
    return np.asarray((shares / shares.sum()) @ planes, np.float32)


def _resampled(samples: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    if from_hz == to_hz:
        return samples
    return np.asarray(soxr.resample(samples, from_hz, to_hz, quality="HQ"), np.float32)


def _frame_length_s(frame: VideoFrame, since_last_s: Fraction) -> Fraction:
    if frame.duration and frame.time_base:
        return frame.duration * frame.time_base
    return since_last_s or LONE_FRAME_S


def _upright(frame: VideoFrame, side: str) -> NDArray[np.uint8]:
    image = frame.to_ndarray(format="rgb24")
    image = np.rot90(image, k=round(frame.rotation / 90) % 4)
    half = image.shape[1] // 2
    kept = {"full": image, "left": image[:, :half], "right": image[:, half:]}[side]
    return np.ascontiguousarray(kept, np.uint8)
