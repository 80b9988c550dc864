"""One stream of a media file, from packets to what a clip needs of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from extract.picture import Pictures, Sampling
from extract.sound import Samples, Sound
from manifests import Audio, Track, Video
from manifests.probe import MOST_PIXELS

# After a seek sound is decoded from exactly this long before the clip, wherever the seek landed, or its samples would
# depend on that; the first half of it settles the decoder and is dropped.
SOUND_PREROLL_S, SOUND_SETTLED_S = Fraction(1), Fraction(1, 2)
# Sound decoders that a flush leaves as new, and those that keep a state (noise seeds, delays) and are made anew. Any
# other is met in a newly opened file only.
FLUSHED, REMADE = ("pcm_", "flac", "alac"), frozenset("aac ac3 eac3 mp2 mp2float mp3 mp3float opus vorbis".split())

Image = NDArray[np.uint8]
Kept = tuple[Image, Fraction, Mapping[str, int]]
"""A frame, its time from the clip's start, and the slot that it begins in each sampling that wants it."""


class MediaError(ValueError):
    """Media that cannot be read; the message says what was expected and found."""


class Line(ABC):
    """One wanted stream, from packets to what the clip needs of it."""

    def __init__(self, track: Audio | Video, stream: Any, origin_s: Fraction, *, sought: bool) -> None:
        self.start_s = start_s(track)
        self.origin_s = origin_s
        self.decoder = stream.codec_context
        self.sought = sought
        self.begun = not sought
        """Whether decoding is known to have come before the clip's start."""
        self.missed = False
        """Whether it came too late."""
        self.error = ""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Return whether nothing more is wanted."""

    @abstractmethod
    def take(self, frame: Any, time_s: Fraction) -> Iterator[Kept]:
        """Keep what is wanted of a frame."""

    def decode(self, packet: "Packet[Any]") -> list[Kept]:
        """Take the frames of a packet; what breaks this stream leaves the other alone."""
        kept: list[Kept] = []
        try:
            if self.decoder is None:
                raise MediaError("is in a code that this FFmpeg does not know")
            for frame in () if self.done else self.decoder.decode(packet):
                kept += self.take(frame, self._time_s(frame))
        except av.FFmpegError as error:
            self.fail(f"damaged; FFmpeg: {error.strerror}")
        except ValueError as error:
            self.fail(str(error))
        return kept

    def fail(self, reason: str) -> None:
        """Give this stream up; before the clip's start another landing may help."""
        self.error = self.error or reason
        self.missed = self.missed or not self.begun

    def _time_s(self, frame: Any) -> Fraction:
        """Return the frame's time from the clip's start."""
        if frame.pts is None or frame.time_base is None:
            raise MediaError("a frame has no time")
        time_s: Fraction = frame.pts * frame.time_base - self.origin_s - self.start_s
        return time_s


class Heard(Line):
    """Sound on its way; after a seek the decoder begins with the packet that holds one certain moment."""

    def __init__(self, track: Audio, stream: Any, origin_s: Fraction, rates_hz: Iterable[int], *, sought: bool) -> None:
        super().__init__(track, stream, origin_s, sought=sought)
        if sought and self.decoder is not None and self.decoder.name in REMADE:
            self.decoder = _remade(self.decoder)
        self.sound = Sound(length_s(track), track.channel, rates_hz)
        self.before: Packet[Any] | None = None
        """The last packet before that moment, which may reach into it."""
        self.inside = not sought

    @property
    def done(self) -> bool:
        """Return whether nothing more is wanted."""
        return bool(self.error) or self.sound.done

    def decode(self, packet: "Packet[Any]") -> list[Kept]:
        """Take the samples of a packet, but none of those before the decoder's beginning."""
        if not self.inside and packet.size:
            return self._approach(packet)
        super().decode(packet)
        if not packet.size and self.before is not None and not self.missed:
            self.begun = True  # the sound ends here, before the clip
        return []

    def _approach(self, packet: "Packet[Any]") -> list[Kept]:
        if packet.pts is None:
            return []
        if packet.pts * packet.time_base < self.origin_s + self.start_s - SOUND_PREROLL_S:
            self.before = packet
            return []
        if self.before is None:
            self.missed = True
            return []
        self.inside = True
        super().decode(self.before)
        return super().decode(packet)

    def _time_s(self, frame: AudioFrame) -> Fraction:
        if frame.pts is None and not self.sought:  # some codes of wav have no time stamps: one piece follows the other
            return -self.start_s if self.sound.next_s is None else self.sound.next_s
        return super()._time_s(frame)

    def take(self, frame: AudioFrame, time_s: Fraction) -> Iterator[Kept]:
        """Keep the samples of a frame."""
        if self.sought and time_s + Fraction(frame.samples, frame.sample_rate) < -SOUND_SETTLED_S:
            return
        self.begun = True
        names = [channel.name for channel in frame.layout.channels]
        self.sound.take(_planes(frame), names, frame.sample_rate, time_s)
        yield from ()

    def finish(self) -> dict[int, Samples]:
        """Return the samples at every wanted rate."""
        if self.error:
            raise MediaError(self.error)
        return self.sound.finish(self.start_s)


class Seen(Line):
    """Pictures on their way: those that the samplings take are made upright and RGB, no others."""

    def __init__(self, track: Video, stream: Any, origin_s: Fraction, sampling: Sampling, *, sought: bool) -> None:
        super().__init__(track, stream, origin_s, sought=sought)
        self.side = track.side
        self.sampling = sampling
        self.reformatter = VideoReformatter()

    @property
    def done(self) -> bool:
        """Return whether nothing more is wanted."""
        return bool(self.error) or self.sampling.done

    def take(self, frame: VideoFrame, time_s: Fraction) -> Iterator[Kept]:
        """Keep a frame when it is the first of a slot of any sampling."""
        self.missed = not self.begun and time_s > 0
        self.begun = not self.missed
        if frame.width * frame.height > MOST_PIXELS:
            raise MediaError(f"expected pictures up to 8K, got {frame.width} x {frame.height}")
        lasts_s = frame.duration * frame.time_base if frame.duration and frame.time_base else Fraction(0)
        if not self.missed and (slots := self.sampling.takes(time_s, lasts_s)):
            yield self._upright(frame), time_s, slots

    def _upright(self, frame: VideoFrame) -> Image:
        image = self.reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        image = np.rot90(image, k=round(frame.rotation / 90) % 4)
        half = image.shape[1] // 2
        kept = {"full": image, "left": image[:, :half], "right": image[:, half:]}[self.side]
        return np.ascontiguousarray(kept, np.uint8)

    def finish(self) -> Pictures:
        """Return the times of the frames that were kept."""
        if self.error:
            raise MediaError(self.error)
        return self.sampling.finish(self.start_s)


def start_s(track: Track) -> Fraction:
    """Return where a clip begins in its file."""
    return max(Fraction(0), Fraction(str(track.start_s)) + Fraction(str(track.offset_s)))


def length_s(track: Track) -> Fraction | None:
    """Return how long the clip may be, where the manifest says so."""
    if track.end_s is None:
        return None
    return max(Fraction(0), Fraction(str(track.end_s)) + Fraction(str(track.offset_s)) - start_s(track))


def _remade(decoder: Any) -> AudioCodecContext:
    new: AudioCodecContext = av.CodecContext.create(decoder.name, "r")
    new.extradata = decoder.extradata
    new.sample_rate, new.layout = decoder.sample_rate, decoder.layout
    return new


def _planes(frame: AudioFrame) -> Samples:
    """Return one row of float samples for each loudspeaker."""
    raw: NDArray[Any] = frame.to_ndarray()
    rows = raw if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels).T
    with np.errstate(over="ignore"):  # what does not fit becomes infinite
        samples = rows.astype(np.float32)
    if raw.dtype.kind == "u":
        samples = (samples - np.float32(128)) / np.float32(128)
    elif raw.dtype.kind == "i":
        samples /= np.float32(-float(np.iinfo(raw.dtype).min))
    return samples
