"""From a media file to mono sound and upright RGB frames, on one exact timeline; the only module that knows a decoder.

A file is opened once per visit and read once, however much is wanted of it. Times are pts x time base as `Fraction`,
from the first moment that any stream of the file has, then from the clip's start.
"""

import stat
from abc import ABC, abstractmethod
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
from av.packet import Packet
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from extract.window import slot_of
from manifests import Audio, Clip, Video

# Playlists and concat scripts name other files and addresses; only real containers are opened.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,wav,w64,flac,mp3,aac,aiff,au,caf"
# What each loudspeaker gives to mono, after ITU-R BS.775; speech on film lies in the front centre.
MONO_SHARE = {"FL": 0.5, "FR": 0.5, "FC": 0.7071, "BL": 0.3536, "BR": 0.3536, "SL": 0.3536, "SR": 0.3536, "LFE": 0.0}
# Names of loudspeakers where a file only counts its channels, as plain stereo wav files do.
USUAL_LAYOUT = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
# A seek aims this long before the wanted moment, so that decoders that lean on earlier packets have settled. Without an
# index it may still land too late: then further back is tried, and in the end the file is read from its start.
PREROLLS_S = (Fraction(1), Fraction(15))
# Time stamps of sound that jump by more are a hole in the recording; less is rounding, much more a fault.
HOLE_S, LONGEST_HOLE_S = Fraction(1, 10), 600
# Containers whose header holds the length, where others guess; what ends so much earlier was cut short.
SAYS_LENGTH, SHORTFALL_S = frozenset(("flac", "matroska", "mov")), 1
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
    """How many files were opened; once each, unless a seek failed."""

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
        try:
            _read_file(root / path, wanted, need, media)
        except (MediaError, OSError, av.FFmpegError, ValueError) as error:
            for modality in wanted:
                media.errors[modality] = f"{path}: {error}"
    return media


def _read_file(path: Path, wanted: Mapping[str, Audio | Video], need: Need, media: Media) -> None:
    start_s = min(map(_start_s, wanted.values()))
    for entrance_s in [start_s - preroll_s for preroll_s in PREROLLS_S if start_s > preroll_s] + [Fraction(0)]:
        media.opened += 1
        with _opened(path) as container:
            sinks = {modality: _sink(track, container, need) for modality, track in wanted.items()}
            if entrance_s:
                container.seek(int((entrance_s + _origin_s(container)) * av.time_base))
            if _pump(container, sinks, sought=entrance_s > 0):
                break
    for modality, sink in sinks.items():
        try:
            sink.finish(media, need)
        except MediaError as error:  # the other stream may be whole
            media.errors[modality] = f"{wanted[modality].path}: {error}"


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    if not stat.S_ISREG(path.stat().st_mode):
        raise MediaError("expected a regular file")
    try:
        container = av.open(str(path), options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"})
    except av.FFmpegError as error:
        raise MediaError(f"expected a whole film or sound file of a usual kind; FFmpeg: {error.strerror}") from None
    with container:
        yield container


def _origin_s(container: InputContainer) -> Fraction:
    starts = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.audio, *container.streams.video)
        if stream.start_time is not None and stream.time_base is not None
    ]
    # A negative start is a codec's priming, cut away by the decoder; the timeline still begins at zero.
    return max(Fraction(0), min(starts, default=Fraction(0)))


def _sink(track: Audio | Video, container: InputContainer, need: Need) -> "_Sound | _Frames":
    origin_s = _origin_s(container)
    return _Sound(track, origin_s) if isinstance(track, Audio) else _Frames(track, origin_s, need.fps)


def _pump(container: InputContainer, sinks: Mapping[str, "_Sound | _Frames"], *, sought: bool) -> bool:
    """Fill the sinks; return whether each saw its clip's start, as after a seek it may not."""
    wanted = _by_stream(container, sinks)
    end_s = Fraction(0)
    for packet in container.demux():
        if packet.is_corrupt:
            _cut_short(sinks)
        if packet.pts is not None:
            end_s = max(end_s, (packet.pts + (packet.duration or 0)) * packet.time_base)
        if packet.stream.index in wanted:
            wanted[packet.stream.index].decode(packet)
        if all(sink.done for sink in wanted.values()) or (sought and any(sink.missed for sink in wanted.values())):
            break
    else:
        if end_s + SHORTFALL_S < _promised_s(container):
            _cut_short(sinks)
    return not sought or not any(sink.missed or sink.first_s is None for sink in wanted.values())


def _by_stream(container: InputContainer, sinks: Mapping[str, "_Sound | _Frames"]) -> dict[int, "_Sound | _Frames"]:
    found: dict[int, _Sound | _Frames] = {}
    for modality, sink in sinks.items():
        streams = getattr(container.streams, modality)
        if streams:
            streams[0].thread_type = "AUTO"
            found[streams[0].index] = sink
        else:
            sink.fail(f"has no {modality} stream")
    return found


def _promised_s(container: InputContainer) -> Fraction:
    """Return how long the file is by its own header; nothing where that is a guess."""
    says = SAYS_LENGTH.intersection(container.format.name.split(","))
    return Fraction(container.duration, av.time_base) if says and container.duration else Fraction(0)


def _start_s(track: Audio | Video) -> Fraction:
    return max(Fraction(0), Fraction(str(track.start_s)) + Fraction(str(track.offset_s)))


def _cut_short(sinks: Mapping[str, "_Sound | _Frames"]) -> None:
    for sink in sinks.values():
        if not sink.done:
            sink.fail("damaged or cut short: its end is missing")


class _Track(ABC):
    """The part of a timeline that a clip covers."""

    def __init__(self, track: Audio | Video, origin_s: Fraction) -> None:
        self.start_s = _start_s(track)
        end_s = None if track.end_s is None else Fraction(str(track.end_s)) + Fraction(str(track.offset_s))
        self.length_s = None if end_s is None else max(Fraction(0), end_s - self.start_s)
        """How long the clip may be, where the manifest says so."""
        self.origin_s = origin_s
        self.first_s: Fraction | None = None
        """When the first decoded frame begins, from the clip's start."""
        self.done = False
        self.error = ""

    @property
    def missed(self) -> bool:
        """Return whether decoding began after the clip's start, or not at all."""
        return bool(self.error) or (self.first_s is not None and self.first_s > 0)

    def decode(self, packet: "Packet[Any]") -> None:
        """Take the frames of a packet; what breaks this stream leaves the other alone."""
        try:
            for frame in () if self.done else packet.decode():
                self.take(frame, self._moment_s(frame))
        except av.FFmpegError as error:
            self.fail(f"damaged; FFmpeg: {error.strerror}")
        except ValueError as error:
            self.fail(str(error))

    def fail(self, reason: str) -> None:
        """Give this stream up."""
        self.error, self.done = reason, True

    def _moment_s(self, frame: Any) -> Fraction:
        """Return the frame's time from the clip's start."""
        if frame.pts is None or frame.time_base is None:
            raise MediaError("a frame has no time")
        time_s: Fraction = frame.pts * frame.time_base - self.origin_s - self.start_s
        self.first_s = time_s if self.first_s is None else self.first_s
        return time_s

    @abstractmethod
    def take(self, frame: Any, time_s: Fraction) -> None:
        """Keep what is wanted of a frame."""

    @abstractmethod
    def finish(self, media: Media, need: Need) -> None:
        """Hand over what was kept."""


class _Sound(_Track):
    """Gathers mono samples at the file's own rate, with silence where the recording starts late or has a hole."""

    def __init__(self, track: Audio, origin_s: Fraction) -> None:
        super().__init__(track, origin_s)
        self.channel = track.channel
        self.rate_hz = 0
        self.pieces: list[NDArray[np.float32]] = []
        self.next_s = Fraction(0)
        """Where the samples that were kept end."""
        self.planar = av.AudioResampler(format="fltp")

    def take(self, frame: AudioFrame, time_s: Fraction) -> None:
        """Keep the samples of a frame, mixed to mono."""
        self.rate_hz = self.rate_hz or frame.sample_rate
        if frame.sample_rate != self.rate_hz:
            raise MediaError(f"expected one sample rate, got {self.rate_hz} Hz and then {frame.sample_rate} Hz")
        if not self.pieces:
            self.next_s = min(time_s, Fraction(0))
        if time_s - self.next_s > (HOLE_S if self.pieces else 0):
            self._silence(time_s - self.next_s)
        for planar in self.planar.resample(frame):
            self._keep(_mono(planar.to_ndarray().astype(np.float32, copy=False), _loudspeakers(frame), self.channel))
        self.done = self.length_s is not None and self.next_s >= self.length_s

    def _silence(self, hole_s: Fraction) -> None:
        if hole_s > LONGEST_HOLE_S:
            raise MediaError(f"the time stamps of its sound jump by {float(hole_s):.1f} s")
        self._keep(np.zeros(round(hole_s * self.rate_hz), np.float32))

    def _keep(self, piece: NDArray[np.float32]) -> None:
        self.pieces.append(piece)
        self.next_s += Fraction(len(piece), self.rate_hz)

    def finish(self, media: Media, need: Need) -> None:
        """Cut the clip out, exactly to the sample, and bring it to every wanted rate."""
        if self.error or self.first_s is None:
            raise MediaError(self.error or "its audio stream holds no samples")
        samples = np.concatenate(self.pieces)
        samples = samples[max(0, -round(self.first_s * self.rate_hz)) :]
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
        self.end_s = Fraction(0)

    def take(self, frame: VideoFrame, time_s: Fraction) -> None:
        """Keep a frame when it is the first of a slot."""
        if time_s < 0:
            return
        if self.length_s is not None and time_s >= self.length_s:
            self.done = True
            return
        self.decoded += 1
        self.end_s = time_s + _frame_length_s(frame, time_s - self.last_s)
        self.last_s = time_s
        slots = {fps: slot_of(time_s, fps) for fps in self.last_slot}
        if any(slot > self.last_slot[fps] for fps, slot in slots.items()):
            self.last_slot = {fps: max(slot, self.last_slot[fps]) for fps, slot in slots.items()}
            self.images.append(_upright(frame, self.side))
            self.times_s.append(time_s)

    def finish(self, media: Media, _: Need) -> None:
        """Hand the frames over."""
        if self.error or not self.images:
            raise MediaError(self.error or f"its video stream holds no frame from {float(self.start_s)} s on")
        duration_s = self.end_s if self.length_s is None else min(self.length_s, self.end_s)
        media.pictures = Pictures(self.images, self.times_s, duration_s, self.decoded)


def _loudspeakers(frame: AudioFrame) -> list[str]:
    names = [channel.name for channel in frame.layout.channels]
    if MONO_SHARE.keys().isdisjoint(names) and len(names) in USUAL_LAYOUT:
        return [channel.name for channel in av.AudioLayout(USUAL_LAYOUT[len(names)]).channels]
    return names


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
