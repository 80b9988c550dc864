"""From the media files of clips to mono sound, upright RGB frames and series of numbers, on one exact timeline.

A file is opened once per visit, however many clips lie in it and however much is wanted of them. What a clip gives
depends on its files and itself alone, never on which clips were read before.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Self

from extract.media_file import File, Reading, Tracks
from extract.media_stream import Image, Kept, MediaError
from extract.media_stream import start_s as start_of
from extract.picture import Pictures
from extract.series import Readings, Tables
from extract.sound import Samples
from manifests import Audio, Clip, Video

__all__ = ["Files", "Image", "Media", "MediaError", "Need", "Pictures", "Show"]

# A seek aims this long before the wanted moment, so that decoders that lean on earlier packets have settled. Without an
# index it may still land too late: then further back is tried, and in the end the file is read from its start.
PREROLLS_S = (Fraction(3, 2), Fraction(5), Fraction(15))

Show = Callable[[Image, Fraction, Mapping[str, int]], None]
"""What is told of every kept frame: upright RGB, its time from the clip's start, and the slots that it begins."""
EVEN = "even="
"""Samplings that depend on how long the pictures last, which no header says for sure."""


@dataclass(frozen=True)
class Need:
    """What the encoders of one visit want: sound at these rates, frames at these samplings, series of these names."""

    rates_hz: frozenset[int] = frozenset()
    samplings: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()


@dataclass
class Media:
    """Sound of one clip, when its shown frames stand, its series; what could not be had is in `errors` by medium.

    A picture that fails late has shown frames before; they are worth nothing without `pictures`.
    """

    sound: dict[int, Samples] = field(default_factory=dict)
    pictures: Pictures | None = None
    series: dict[str, Readings] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    voice: dict[tuple[str, int], Samples] = field(default_factory=dict)
    """The voice that was separated from the sound, by what did that and at which rate it is heard."""
    opened: int = 0
    """How many files had to be opened; none where the clip before lay in the same ones."""

    @property
    def length_s(self) -> float:
        """Return the seconds of media that were decoded."""
        lengths = [len(samples) / rate_hz for rate_hz, samples in self.sound.items()]
        lengths += [float(shown.duration_s) for shown in (self.pictures, *self.series.values()) if shown]
        return max(lengths, default=0.0)

    @property
    def nbytes(self) -> int:
        """Return how much memory is held; frames are on their way already."""
        return sum(sound.nbytes for sound in self.sound.values()) + sum(one.nbytes for one in self.series.values())

    def heard(self, rate_hz: int, denoise: str = "") -> Samples:
        """Return the sound of the clip, or its voice alone; what could not be had is raised with the reason."""
        for stage in ("audio", denoise):
            if stage in self.errors:
                raise MediaError(self.errors[stage])
        return self.voice[denoise, rate_hz] if denoise else self.sound[rate_hz]

    def measured(self, name: str) -> Readings:
        """Return a series of the clip; what could not be had is raised with the reason."""
        if name in self.errors:
            raise MediaError(self.errors[name])
        return self.series[name]

    def fill(self, results: Iterable[tuple[str, dict[int, Samples] | Pictures | str]]) -> None:
        """Take what each modality gave, or what is wrong with it."""
        for modality, given in results:
            if isinstance(given, str):
                self.errors[modality] = given
            elif isinstance(given, Pictures):
                self.pictures = given
            else:
                self.sound = given


class Files:
    """The media files of one visit: those of the last clip stay open for the next. For one thread alone.

    `threads` decode each film; one costs the least, and readers of several clips side by side keep the cores busy.
    """

    def __init__(self, root: Path, threads: int = 1) -> None:
        self._root, self._threads = root, threads
        self._open: dict[str, File] = {}
        self._ends_s: dict[str, Fraction] = {}
        self._tables = Tables(root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for path in list(self._open):
            self._close(path)

    def read(self, clip: Clip, need: Need, show: Show) -> Media:
        """Decode what is needed of a clip; its frames go to `show` as they come, upright RGB with rising times."""
        tracks: dict[str, dict[str, Audio | Video]] = {}
        if clip.audio and need.rates_hz:
            tracks.setdefault(clip.audio.path, {})["audio"] = clip.audio
        if clip.video and need.samplings:
            tracks.setdefault(clip.video.path, {})["video"] = clip.video
        for path in self._open.keys() - tracks.keys():
            self._close(path)
        media = Media()
        for path, wanted in tracks.items():
            for image, time_s, slots in self._visit(path, wanted, need, media):
                show(image, time_s, slots)
        self._read_series(clip, need, media)
        return media

    def _read_series(self, clip: Clip, need: Need, media: Media) -> None:
        before = self._tables.opened
        for name in need.series & clip.series.keys():
            try:
                media.series[name] = self._tables.read(name, clip.series[name])
            except MediaError as error:
                media.errors[name] = str(error)
        media.opened += self._tables.opened - before

    def _visit(self, path: str, wanted: Tracks, need: Need, media: Media) -> Iterator[Kept]:
        try:
            start_s = min(map(start_of, wanted.values()))
            even = "video" in wanted and any(sampling.startswith(EVEN) for sampling in need.samplings)
            end_s = self._pictures_end_s(path, media) if even else None
            for entrance_s in [start_s - preroll_s for preroll_s in PREROLLS_S if start_s > preroll_s] + [Fraction(0)]:
                file = self._opened(path, wanted, media, anew=not entrance_s)
                if entrance_s and not file.seek(entrance_s):
                    continue
                sought = entrance_s > 0
                reading = Reading(file, wanted, need.rates_hz, need.samplings, pictures_end_s=end_s, sought=sought)
                yield from reading.frames()
                if reading.begun:
                    media.fill(reading.results())
                    break
        except Exception as error:  # noqa: BLE001 (whatever a decoder finds in damaged bytes is about this file alone)
            self._close(path)
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            media.errors |= dict.fromkeys(wanted, f"{path}: {reason}")

    def _opened(self, path: str, wanted: Tracks, media: Media, *, anew: bool) -> File:
        """Return an open file; opened anew where it was read before and going back would not be exact."""
        file = self._open.get(path)
        if file is None or (file.touched and (anew or not file.starts_anew(wanted))):
            self._close(path)
            media.opened += 1
            file = self._open[path] = File(self._root / path, self._threads)
        file.touched = True
        return file

    def _pictures_end_s(self, path: str, media: Media) -> Fraction:
        """Return where the pictures of a file end; it is opened once more for that, for all its clips."""
        if path not in self._ends_s:
            media.opened += 1
            file = File(self._root / path, self._threads)
            with file.container:
                self._ends_s[path] = file.pictures_end_s()
        return self._ends_s[path]

    def _close(self, path: str) -> None:
        if path in self._open:
            self._open.pop(path).container.close()
