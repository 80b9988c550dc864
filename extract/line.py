"""One entry's way through a slice: media in, units through the encoder, windows out, one part written.

An entry that builds on another stands behind that one's line and follows it: it is handed each frame with its boxes,
each sound with where somebody speaks, each transcript, as these are found.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from extract import cut, faces
from extract.cut import Layout, Output
from extract.encode import BatchSize, Feed, Unit
from extract.encoders import Encode
from extract.media import Media, MediaError
from extract.reel import Reel, Shot
from extract.series import Readings
from extract.slices import Share
from extract.sound import Samples
from extract.speech import only_speech, words_of
from extract.tally import Meter
from extract.wanted import LONGER_THAN_S, Want
from features import Failure, Reader, Windows, Writer
from features.failures import record
from features.store import discard
from features.windows import Array
from manifests import Clip


class Line:
    """What one entry gains from one slice."""

    def __init__(self, share: Share, encode: Encode, size: BatchSize, meter: Meter, leader: "Line | None") -> None:
        self.share, self.want, self.meter, self.leader = share, share.want, meter, leader
        self.feed = Feed(encode, size, self._step, self._deliver, self._could_not_encode)
        self.followers: list[Line] = []
        if leader:
            leader.followers.append(self)
        self.layouts: dict[str, Layout] = {}
        self.outputs: dict[str, dict[int, Output]] = defaultdict(dict)
        self.failed: dict[str, tuple[str, str]] = {}
        self._reels: dict[str, Reel] = defaultdict(lambda: Reel(self.want.grid))
        self._slot_s = 1 / self.want.grid.fps if self.want.grid.fps else 0.0
        self._stored: Reader | None = None

    def lacks(self, clip: str) -> bool:
        """Return whether a clip is still to be computed here."""
        return clip in self.share.sources and clip not in self.failed

    def see(self, clip: str, image: NDArray[np.uint8], time_s: Fraction, slots: Mapping[str, int]) -> None:
        """Take a frame, when this entry's sampling wants it."""
        slot = slots.get(self.want.grid.sampling)
        if slot is None:
            return
        index = self._reels[clip].take(time_s, slot)
        if self._follows(clip):
            return  # its leader looks first, and hands the frame on
        if self.want.faces:
            image = faces.prescaled(image, self.want.faces)
        if not self.want.leader:
            self._offer(clip, Shot(index, time_s, [image]))
        else:
            with self.failing(clip, "decode"):
                boxes = self._stored_windows(self.want.leader, clip)
                self.cut_faces(clip, index, time_s, image, boxes.window(min(slot, len(boxes) - 1)))

    def follow(self, unit: Unit, found: Array) -> None:
        """Take what the entry that this one builds on found in a unit."""
        if self.want.spec.reads == "faces":
            self.cut_faces(unit.clip, unit.index, unit.time_s, unit.data, found)
        elif self.want.spec.reads == "audio":
            self.hear(unit.clip, unit.data[: unit.real], found)
        else:
            self.read(unit.clip, words_of(found))

    def cut_faces(self, clip: str, index: int, time_s: Fraction, image: NDArray[np.uint8], boxes: Array) -> None:
        """Cut the faces out of a frame; where none is, authors' ways may ask what the network says of nothing."""
        spec, preset, leader = self.want.spec, self.want.faces, self.want.leader
        if preset is None or leader is None:
            raise TypeError(f"{self.want.name} cuts no faces")
        points = leader.spec.settings.get("points", "")
        with self.meter.step("faces", (), self._slot_s, len(boxes)):
            rows = faces.chosen(boxes, preset)
            crops = [faces.cut(image, row, preset, spec.size_px, spec.resize, points=points) for row in rows]
        if not crops and self._authors == "answer":
            crops = [np.zeros((spec.size_px, spec.size_px, 3), np.uint8)]
        self._offer(clip, Shot(index, time_s, crops, len(boxes)))

    def hear(self, clip: str, sound: Samples, speech_s: Array | None = None) -> None:
        """Cut sound into windows; of what somebody speaks in alone, where that is known."""
        spec, whole_s = self.want.spec, Fraction(len(sound), self.want.spec.rate_hz)
        if speech_s is not None and (spec.vad == "cut" or whole_s > LONGER_THAN_S):
            spoken = only_speech(sound, speech_s, spec.rate_hz)
            if len(spoken):
                sound = spoken
            elif spec.vad == "cut":
                sound = np.zeros(1, np.float32)  # silence; to other encoders all of it stays
        windows, layout = cut.sound(sound, spec, self.want.grid)
        layout = layout if speech_s is None else replace(layout, spans=[(Fraction(0), whole_s)])
        self._take_windows(clip, windows, layout, whole_s)

    def measure(self, clip: str, series: Readings) -> None:
        """Cut a series of numbers into windows."""
        windows, layout = cut.series(series, self.want.spec, self.want.grid)
        self.meter.tally.repeated[self.want.name] += layout.repeated
        self._take_windows(clip, windows, layout, series.duration_s)

    def read(self, clip: str, text: str) -> None:
        """Take the words of a clip; a transcript may be empty."""
        self.layouts[clip] = cut.text() if text.strip() else cut.silence(self.want.spec)
        if text.strip():
            self.feed.add(Unit(clip, 0, text))

    def end(self, clip: Clip, media: Media) -> None:
        """Take what is known once a clip has been read to its end."""
        if self.want.reads_frames:
            self._end_of_pictures(clip.id, media)
        elif self.want.spec.series:
            with self.failing(clip.id, "decode"):
                self.measure(clip.id, media.measured(self.want.spec.series))
        elif self._follows(clip.id):
            return  # its leader hears or reads first
        elif self.want.spec.reads == "audio":
            with self.failing(clip.id, "decode"):
                sound = media.heard(self.want.spec.rate_hz, self.want.denoise)
                self.hear(clip.id, sound, self._stored_of_leader(clip.id))
        else:
            with self.failing(clip.id, "decode"):
                said = self._stored_of_leader(clip.id)
                self.read(clip.id, clip.text or "" if said is None else words_of(said))

    def _take_windows(self, clip: str, windows: Sequence[tuple[Array, int]], layout: Layout, whole_s: Fraction) -> None:
        self.layouts[clip] = layout
        for index, (data, real) in enumerate(windows):
            self.feed.add(Unit(clip, index, data, real, float(whole_s) / len(windows)))

    def _end_of_pictures(self, clip: str, media: Media) -> None:
        if media.pictures is None:
            self.fail(clip, "decode", media.errors.get("video", "no frames"))
            return
        self.layouts[clip] = self._reels[clip].end(media.pictures.duration_s)
        self.meter.tally.repeated[self.want.name] += self.layouts[clip].repeated
        self._encode_sure(clip)

    def _follows(self, clip: str) -> bool:
        """Return whether what this entry builds on is found in this very slice."""
        return self.leader is not None and clip in self.leader.share.sources

    @property
    def _authors(self) -> str:
        """Return what is done about frames without a face where the authors' way is asked for."""
        return self.want.faces.absent if self.want.faces and self.want.key.variant == "authors" else ""

    def fail(self, clip: str, stage: str, reason: str) -> None:
        """Give a clip up: here, and where crops wait for its boxes."""
        self.failed.setdefault(clip, (stage, reason))
        self.feed.drop(clip)
        for kept in (self.outputs, self._reels):
            kept.pop(clip, None)
        for follower in self.followers:
            if follower.lacks(clip):
                follower.fail(clip, stage, f"without {self.want.encoder}: {reason}")

    @contextmanager
    def failing(self, clip: str, stage: str) -> Iterator[None]:
        """Make a failed clip of what is raised."""
        try:
            yield
        except (ValueError, LookupError) as error:
            self.fail(clip, stage, str(error))

    def write(self, clips: Iterable[str], provenance: Mapping[str, str]) -> None:
        """Write what was gained as one part, and what could not be gained as failures."""
        want, sources, tally = self.want, self.share.sources, self.meter.tally
        with (
            self.meter.step("write", ()),
            Writer(want.folder, want.key, provenance, want.spec.licence, begins=False) as writer,
        ):
            for clip in clips:
                if clip in self.layouts and clip not in self.failed:
                    with self.failing(clip, "encode"):
                        windows = self._assembled(clip)
                        with self.failing(clip, "write"):
                            writer.add(clip, sources[clip], windows)
                            tally.windows[self.want.name] += len(windows)
        renewed = {clip: sources[clip] for clip in self.share.stale & writer.clips.keys()}
        if renewed:  # what failed anew, or is still to come, keeps its old row: a lost mount must not empty a cache
            discard(want.folder, lambda _path, _row, clip, source: renewed.get(clip, source) != source)
        failures = [
            Failure(clip, sources[clip], stage, reason, self.share.attempts.get(clip, 0) + 1, provenance)
            for clip, (stage, reason) in self.failed.items()
        ]
        record(want.folder, failures)
        tally.failures[self.want.name] += failures

    def _assembled(self, clip: str) -> Windows:
        layout = self.layouts[clip]
        if self.want.reads_frames:
            skips = self._authors == "skip" and self.want.grid.form == "clip"
            layout = self._reels[clip].grouped(layout, skips=skips)
        return cut.assemble(layout, self.outputs[clip], self.want.spec)

    def _offer(self, clip: str, shot: Shot) -> None:
        self._reels[clip].hold(shot)
        self._encode_sure(clip)

    def _encode_sure(self, clip: str) -> None:
        for shot, numbers in self._reels[clip].sure(self.layouts.get(clip)):
            for number, data in zip(numbers, shot.units, strict=True):
                self.feed.add(Unit(clip, number, data, int(shot.faces != 0), self._slot_s, shot.time_s))
            if not self.lacks(clip):
                break

    def _deliver(self, unit: Unit, output: Output) -> None:
        if unit.clip in self.failed:
            return
        self.outputs[unit.clip][unit.index] = output
        for follower in self.followers:
            if follower.lacks(unit.clip):
                with follower.failing(unit.clip, "decode"):
                    follower.follow(unit, output.values)

    def _stored_of_leader(self, clip: str) -> Array | None:
        return self._stored_windows(self.want.leader, clip).values if self.want.leader else None

    def _stored_windows(self, leader: Want, clip: str) -> Windows:
        """Return what an earlier run stored of the same media."""
        if self._stored is None:
            self._stored = Reader(leader.folder)
        if self._stored.sources.get(clip) != self.share.sources[clip]:
            raise MediaError(f"{leader.name} failed before; RETRY=1 tries it again")
        return self._stored[clip]

    def _could_not_encode(self, clip: str, reason: str) -> None:
        self.fail(clip, "encode", reason)

    def _step(self, units: Sequence[Unit]) -> AbstractContextManager[object]:
        clips = [unit.clip for unit in units]
        return self.meter.step(self.want.encoder, clips, sum(unit.media_s for unit in units), len(units))
