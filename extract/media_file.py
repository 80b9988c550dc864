"""One open media file, and one way through it; times are pts x time base, from the first moment of any stream."""

import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from extract.media_stream import FLUSHED, REMADE, Heard, Kept, MediaError, Seen, length_s, start_s
from extract.picture import LONE_FRAME_S, Pictures, Sampling
from extract.sound import LONGEST_S, Samples
from manifests import Audio, Video
from manifests.probe import CONTAINERS, MOST_PIXELS

# Containers whose header holds the length, where others guess; what ends so much earlier was cut short.
SAYS_LENGTH, SHORTFALL_S = frozenset(("flac", "matroska", "mov")), 1
# How many bytes of frames may wait for the sound of the same clip to begin.
HELD_BYTES = 1 << 28

Tracks = Mapping[str, Audio | Video]


class File:
    """An open container."""

    def __init__(self, path: Path, threads: int) -> None:
        if not stat.S_ISREG(path.stat().st_mode):
            raise MediaError("expected a regular file")
        options = {
            "format_whitelist": CONTAINERS,
            "protocol_whitelist": "file",
            "max_pixels": str(MOST_PIXELS),
        }
        try:
            self.container = av.open(str(path), options=options, metadata_errors="replace")
        except av.FFmpegError as error:
            raise MediaError(f"expected a whole film or sound file of a usual kind; FFmpeg: {error.strerror}") from None
        self.touched = False
        """Whether it stands anywhere but at its start."""
        self.origin_s = self._origin_s()
        pictures = [stream for stream in self.container.streams.video if not _is_cover(stream)]
        self.streams: dict[str, list[Any]] = {"audio": list(self.container.streams.audio[:1]), "video": pictures[:1]}
        for stream in self.streams["audio"] + self.streams["video"]:
            if stream.codec_context is not None:
                stream.codec_context.thread_count = threads
                stream.codec_context.thread_type = "AUTO"
                stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}

    def _origin_s(self) -> Fraction:
        starts = [
            stream.start_time * stream.time_base
            for stream in (*self.container.streams.audio, *self.container.streams.video)
            if stream.start_time is not None and stream.time_base is not None
        ]
        # A negative start is a codec's priming, cut away by the decoder; the timeline still begins at zero.
        return max(Fraction(0), min(starts, default=Fraction(0)))

    def starts_anew(self, wanted: Tracks) -> bool:
        """Return whether the decoders of what is wanted forget all that they decoded before."""
        sounds = [stream.codec_context for stream in self.streams["audio"] if "audio" in wanted]
        return all(sound and (sound.name in REMADE or sound.name.startswith(FLUSHED)) for sound in sounds)

    def seek(self, time_s: Fraction) -> bool:
        """Go to a key frame before a moment; return whether the container knows how."""
        with suppress(av.FFmpegError):
            self.container.seek(int((time_s + self.origin_s) * av.time_base))
            return True
        return False

    @property
    def promised_s(self) -> Fraction:
        """Return how long the file is by its own header; nothing where that is a guess."""
        names = set(self.container.format.name.split(","))
        if "avi" in names:  # its durations are corrected to what is there, its numbers of frames are not
            films = (film for film in self.container.streams.video if film.average_rate)
            return max((film.frames / Fraction(film.average_rate or 1) for film in films), default=Fraction(0))
        return Fraction(self.container.duration or 0, av.time_base) if names & SAYS_LENGTH else Fraction(0)

    def lacks_end(self, index: int, ends_s: Mapping[int, Fraction]) -> bool:
        """Return whether a stream, or all of them, ended much earlier than the header says."""
        stream = self.container.streams[index]
        says = "mov" in self.container.format.name  # here each stream has a table that names its length
        own_s = (stream.duration or 0) * (stream.time_base or Fraction(0)) if says else Fraction(0)
        last_s = max(ends_s.values(), default=Fraction(0))
        return ends_s.get(index, last_s) + SHORTFALL_S < own_s or last_s + SHORTFALL_S < self.promised_s

    def pictures_end_s(self) -> Fraction:
        """Return where the pictures end, by the time stamps of their packets: read to the end, none is decoded."""
        lasts_s = {Fraction(0): Fraction(0)}
        for packet in self.container.demux():
            if packet.stream in self.streams["video"] and packet.pts is not None:
                lasts_s[packet.pts * packet.time_base - self.origin_s] = (packet.duration or 0) * packet.time_base
        before_s, last_s = [Fraction(0), *sorted(lasts_s)][-2:]
        return last_s + (lasts_s[last_s] or (last_s - before_s) or LONE_FRAME_S)


class Reading:
    """One way through a file, from where it stands to the end of a clip."""

    def __init__(
        self,
        file: File,
        wanted: Tracks,
        rates_hz: Iterable[int],
        samplings: Iterable[str],
        *,
        pictures_end_s: Fraction | None = None,
        sought: bool,
    ) -> None:
        self.file, self.sought = file, sought
        self.wanted = wanted
        self.lines: dict[int, Heard | Seen] = {}
        for modality, track in wanted.items():
            if track.end_s is None and file.promised_s - start_s(track) > LONGEST_S:  # known before hours are decoded
                hours = float(file.promised_s - start_s(track)) / 3600
                raise MediaError(f"expected a clip of at most {LONGEST_S // 3600} hours, got {hours:.1f}")
            for stream in file.streams[modality]:
                self.lines[stream.index] = (
                    Heard(track, stream, file.origin_s, rates_hz, sought=sought)
                    if isinstance(track, Audio)
                    else Seen(track, stream, file.origin_s, _sampling(track, samplings, pictures_end_s), sought=sought)
                )

    @property
    def begun(self) -> bool:
        """Return whether every stream saw its clip's start, as after a seek it may not."""
        return not self.sought or all(line.begun for line in self.lines.values())

    def frames(self) -> Iterator[Kept]:
        """Decode and yield the frames that are kept; none before every stream has begun."""
        held: list[Kept] = []
        ends_s: dict[int, Fraction] = {}
        for packet in self.file.container.demux():
            if packet.is_corrupt:
                self._cut_short(self.lines)
            if packet.pts is not None:
                end_s = (packet.pts + (packet.duration or 0)) * packet.time_base
                ends_s[packet.stream.index] = max(end_s, ends_s.get(packet.stream.index, end_s))
            if packet.stream.index in self.lines:
                held += self.lines[packet.stream.index].decode(packet)
            if self.begun:
                yield from held
                held.clear()
            elif (
                any(line.missed for line in self.lines.values()) or sum(image.nbytes for image, *_ in held) > HELD_BYTES
            ):
                return
            if all(line.done for line in self.lines.values()):
                return
        self._cut_short(index for index in self.lines if self.file.lacks_end(index, ends_s))

    def _cut_short(self, indices: Iterable[int]) -> None:
        for index in indices:
            if not self.lines[index].done:
                self.lines[index].fail("damaged or cut short: its end is missing")

    def results(self) -> Iterator[tuple[str, dict[int, Samples] | Pictures | str]]:
        """Yield for each modality what it gave, or what is wrong with it; that leaves the other alone."""
        for modality, track in self.wanted.items():
            try:
                if not self.file.streams[modality]:
                    raise MediaError(f"has no {modality} stream")
                yield modality, self.lines[self.file.streams[modality][0].index].finish()
            except ValueError as error:
                yield modality, f"{track.path}: {error}"


def _sampling(track: Video, samplings: Iterable[str], pictures_end_s: Fraction | None) -> Sampling:
    most_s = length_s(track)
    if pictures_end_s is None:
        return Sampling(most_s, samplings)
    left_s = max(pictures_end_s - start_s(track), LONE_FRAME_S)
    return Sampling(most_s, samplings, left_s if most_s is None else min(left_s, most_s))


def _is_cover(stream: Any) -> bool:
    """Tell the picture on a record's sleeve, which music files carry as a film of one frame."""
    return bool(stream.disposition & Disposition.attached_pic)
