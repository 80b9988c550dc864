"""What is in a media file: by its head alone, or piece by piece, decoded. The one place here that knows a decoder.

Whatever a damaged, cut off or hostile file does to the decoder becomes a word about that file.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from manifests import wav

INSTALL = "pip install '.[extract]' (or make setup)"
# Playlists and concat scripts name other files and addresses; only real containers are opened.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,wav,w64,flac,mp3,aac,aiff,au,caf"
# A head may claim any size, and the decoder would reserve the memory: nothing above 8K is a person's face.
MOST_PIXELS = 8192 * 4608
MAX_PARTS = 256
# Recorders that stream leave a size that means nothing; some writers count the eight bytes of the head twice.
NO_SIZE, SLACK_BYTES = 0x7F00_0000, 16
SHORTFALL_S = 1
SMALL_PX = (64, 48)
USUAL_NAMES = {"1 channels": "mono", "2 channels": "stereo"}
"""Loudspeakers where a file only counts them, as plain wav files do."""

Kind = Literal["audio", "video"]


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a file says of it; `error` where it cannot be opened."""

    seconds: float | None = None
    sound: str = ""
    """Sample rate and loudspeakers; empty where it has no sound."""
    picture: str = ""
    """Width, height and rate; empty where it has no picture."""
    lacks_bytes: int = 0
    """How much of the file is not there, by the sizes that it states of its parts."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of sound, one row for each loudspeaker."""

    kind: ClassVar[Kind] = "audio"
    time_s: float
    rate_hz: int
    names: tuple[str, ...]
    planes: NDArray[np.float32]

    @property
    def end_s(self) -> float:
        """Return when it ends."""
        samples: int = self.planes.shape[1]
        return self.time_s + samples / self.rate_hz


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture, made into pixels when it is asked for."""

    kind: ClassVar[Kind] = "video"
    time_s: float
    frame: Any

    @property
    def end_s(self) -> float:
        """Return when it was there; how long it stays is not its own to say."""
        return self.time_s

    def small(self) -> NDArray[np.uint8]:
        """Return it in grey and small, which is enough to see whether anything moves."""
        width, height = SMALL_PX
        small: NDArray[np.uint8] = self.frame.reformat(width=width, height=height, format="gray").to_ndarray()
        return small

    def whole(self) -> NDArray[np.uint8]:
        """Return it in colour, as large as it is."""
        whole: NDArray[np.uint8] = self.frame.to_ndarray(format="rgb24")
        return whole


@dataclass(frozen=True, slots=True)
class Broken:
    """What is wrong with a stream at a moment, or from there to its end."""

    kind: Kind
    time_s: float
    why: str
    to_end: bool = False

    @property
    def end_s(self) -> float:
        """Return up to when it holds."""
        return math.inf if self.to_end else self.time_s


@dataclass(frozen=True, slots=True)
class Lasted:
    """From when to when a stream had packets."""

    kind: Kind
    start_s: float
    end_s: float


def installed() -> bool:
    """Return whether there is a decoder."""
    return find_spec("av") is not None


def head(file: Path) -> Head:
    """Return what the head of a file says; without a decoder, how long a wav lasts."""
    seconds, lacks_bytes = wav.seconds(file), _lacks_bytes(file)
    if not installed():
        return Head(seconds, lacks_bytes=lacks_bytes)
    try:
        # To look for rates and sizes FFmpeg decodes pictures, which takes twenty times as long; heads have them.
        with _opened(file, skip_frame="all") as container:
            streams = _streams(container)
            if seconds is None and (container.duration or 0) > 0:  # in millionths
                seconds = container.duration / 1e6
            sound, picture = (_said(streams[kind]) if kind in streams else "" for kind in ("audio", "video"))
            return Head(seconds, sound, picture, lacks_bytes)
    except Exception as error:  # noqa: BLE001 (whatever a decoder finds in damaged bytes is about this file alone)
        return Head(seconds, lacks_bytes=lacks_bytes, error=_reason(error))


def pieces(file: Path, kinds: set[Kind], until_s: float) -> Iterator[Heard | Seen | Broken | Lasted]:
    """Decode what is wanted of a file up to a moment; then only the times of its packets are read."""
    last_s = dict.fromkeys(kinds, 0.0)
    try:
        with _opened(file) as container:
            yield from _decoded(container, last_s, until_s)
    except Exception as error:  # noqa: BLE001 (as above)
        yield from (Broken(kind, time_s, _reason(error), to_end=True) for kind, time_s in last_s.items())


def _decoded(container: Any, last_s: dict[Kind, float], until_s: float) -> Iterator[Heard | Seen | Broken | Lasted]:
    from av import AudioResampler, FFmpegError

    streams = _streams(container)
    origin_s = _origin_s(container)
    floats = AudioResampler(format="fltp")
    spans_s: dict[Kind, list[float]] = {}
    for stream in streams.values():
        stream.codec_context.thread_count = 1  # readers of several files side by side keep the cores busy
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    for packet in container.demux(list(streams.values())):
        kind, base = packet.stream.type, packet.time_base or 0
        if packet.pts is not None:
            first_s = float(packet.pts * base) - origin_s
            span_s = spans_s.setdefault(kind, [first_s, first_s])
            span_s[:] = min(span_s[0], first_s), max(span_s[1], first_s + float((packet.duration or 0) * base))
        passed = packet.dts is not None and float(packet.dts * base) - origin_s > until_s
        if kind not in last_s or passed:
            continue
        if packet.is_corrupt:
            yield Broken(kind, last_s[kind], "damaged or cut short")
        try:
            for frame in packet.stream.codec_context.decode(packet):
                if frame.pts is not None and frame.time_base is not None:
                    last_s[kind] = float(frame.pts * frame.time_base) - origin_s
                if kind == "video":
                    yield Seen(last_s[kind], frame)
                else:
                    yield from _heard(last_s, floats.resample(frame))
        except (FFmpegError, ValueError) as error:
            yield Broken(kind, last_s[kind], _reason(error))
    yield from (Lasted(kind, *span_s) for kind, span_s in spans_s.items())
    yield from _shortfalls(container, streams, spans_s)


def _heard(last_s: dict[Kind, float], frames: list[Any]) -> Iterator[Heard]:
    """Yield pieces of sound; those without a time follow one another."""
    for frame in frames:
        names = tuple(channel.name for channel in frame.layout.channels)
        yield Heard(last_s["audio"], frame.sample_rate, names, frame.to_ndarray())
        last_s["audio"] += frame.samples / frame.sample_rate


def _shortfalls(container: Any, streams: dict[Kind, Any], spans_s: dict[Kind, list[float]]) -> Iterator[Broken]:
    """Tell streams that end much earlier than the head says, where heads do say it."""
    whole_s = max((end_s for _, end_s in spans_s.values()), default=0.0)
    for kind, stream in streams.items():
        end_s, stated_s = spans_s.get(kind, [0.0, 0.0])[1], 0.0
        if "mov" in container.format.name:
            stated_s = float((stream.duration or 0) * (stream.time_base or 0))
        elif {"flac", "matroska"} & set(container.format.name.split(",")) and end_s == whole_s:
            stated_s = (container.duration or 0) / 1e6
        if end_s + SHORTFALL_S < stated_s:
            yield Broken(kind, end_s, f"ends at {end_s:.1f} s; its head says {stated_s:.1f} s", to_end=True)


def _opened(file: Path, **options: str) -> Any:
    import av

    if not file.is_file():
        raise ValueError("expected a regular file")
    safe = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file", "max_pixels": str(MOST_PIXELS)}
    return av.open(str(file), options=safe | options, metadata_errors="replace")


def _streams(container: Any) -> dict[Kind, Any]:
    """Return the first sound and the first film; the picture on a record's sleeve is none."""
    from av.stream import Disposition

    films = [film for film in container.streams.video if not film.disposition & Disposition.attached_pic]
    found: dict[Kind, list[Any]] = {"audio": list(container.streams.audio), "video": films}
    return {kind: streams[0] for kind, streams in found.items() if streams and streams[0].codec_context is not None}


def _origin_s(container: Any) -> float:
    """Return the first moment of any stream; a negative one is a codec's priming, which the decoder cuts away."""
    streams = (*container.streams.audio, *container.streams.video)
    starts_s = [
        float(stream.start_time * (stream.time_base or 0)) for stream in streams if stream.start_time is not None
    ]
    return max(0.0, min(starts_s, default=0.0))


def _said(stream: Any) -> str:
    """Describe a stream as its head does."""
    if stream.type == "audio":
        return f"{stream.rate} Hz, {USUAL_NAMES.get(stream.layout.name, stream.layout.name)}"
    return f"{stream.width} x {stream.height}, {float(stream.average_rate or 0):.5g} fps"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _lacks_bytes(file: Path) -> int:
    """Add up what a wav, avi, mp4 or mov says of its parts, and return how much of that is not there."""
    with suppress(OSError), file.open("rb") as stream:
        there, first = file.stat().st_size, stream.read(12)
        if first[:4] == b"RIFF":
            stated = int.from_bytes(first[4:8], "little")
            return max(0, stated + 8 - there - SLACK_BYTES) if stated < NO_SIZE else 0
        end = 0
        for _ in range(MAX_PARTS if first[4:8] == b"ftyp" else 0):
            stream.seek(end)
            part = stream.read(16)
            size = int.from_bytes(part[:4], "big")
            size = int.from_bytes(part[8:], "big") if size == 1 else size
            if size < 8 or not part[4:8].isalnum():  # up to the end, whatever that is, or no part at all
                return 0
            end += size
            if end >= there:
                return end - there
    return 0
