"""One entry's way through a slice: media in, units through the encoder, windows out, one part written.

A face line stands behind its detector's line: it is handed the frames and their boxes as these are found.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from extract import cut
from extract.cut import Layout, Output
from extract.encode import BatchSize, Feed, Unit
from extract.encoders import Encode
from extract.faces import crop
from extract.media import Media, MediaError
from extract.slices import Share
from extract.tally import Meter
from extract.wanted import Want
from extract.window import covered_s, slot_of
from features import Failure, Reader, Windows, Writer
from features.failures import record
from features.store import discard
from features.windows import Array
from manifests import Clip


@dataclass(frozen=True)
class Shot:
    """A frame of a sampling, with what is to be encoded of it: the frame, or its faces."""

    index: int
    time_s: Fraction
    units: Sequence[Array]


class Line:
    """What one entry gains from one slice."""

    def __init__(self, share: Share, encode: Encode, size: BatchSize, meter: Meter, boxes: "Line | None") -> None:
        self.share, self.want, self.meter, self.detector = share, share.want, meter, boxes
        self.feed = Feed(encode, size, self._step, self._deliver, self._could_not_encode)
        self.followers: list[Line] = []
        if boxes:
            boxes.followers.append(self)
        self.layouts: dict[str, Layout] = {}
        self.outputs: dict[str, dict[int, Output]] = defaultdict(dict)
        self.failed: dict[str, tuple[str, str]] = {}
        self._times_s: dict[str, list[Fraction]] = defaultdict(list)
        self._held: dict[str, deque[Shot]] = defaultdict(deque)
        self._groups: dict[str, dict[int, tuple[int, ...]]] = defaultdict(dict)
        self._given: dict[str, int] = defaultdict(int)
        self._slot_s = 1 / (self.want.grid.fps or 1)
        self._stored: Reader | None = None

    def lacks(self, clip: str) -> bool:
        """Return whether a clip is still to be computed here."""
        return clip in self.share.sources and clip not in self.failed

    def see(self, clip: str, image: NDArray[np.uint8], time_s: Fraction) -> None:
        """Take a frame, when it is the first of its slot."""
        fps = self.want.grid.fps or 1
        times_s = self._times_s[clip]
        if times_s and slot_of(time_s, fps) <= slot_of(times_s[-1], fps):
            return
        times_s.append(time_s)
        index = len(times_s) - 1
        if not self.want.boxes:
            self._offer(clip, Shot(index, time_s, [image]))
        elif self.detector is None or clip not in self.detector.share.sources:
            with self.failing(clip, "decode"):
                boxes = self._stored_boxes(self.want.boxes, clip)
                row = min(slot_of(time_s, fps), len(boxes) - 1)
                self.cut_faces(clip, index, time_s, image, boxes.window(row))

    def cut_faces(self, clip: str, index: int, time_s: Fraction, image: NDArray[np.uint8], boxes: Array) -> None:
        """Cut the faces out of a frame."""
        spec = self.want.spec
        with self.meter.step("faces", (), self._slot_s, len(boxes)):
            faces = [crop(image, box, spec.size_px, spec.resize) for box in boxes]
        self._offer(clip, Shot(index, time_s, faces))

    def end(self, clip: Clip, media: Media) -> None:
        """Take what is known once a clip has been read to its end."""
        spec, grid = self.want.spec, self.want.grid
        if spec.reads == "text":
            self.layouts[clip.id] = cut.text()
            self.feed.add(Unit(clip.id, 0, clip.text or ""))
        elif spec.reads == "audio":
            if "audio" in media.errors:
                return self.fail(clip.id, "decode", media.errors["audio"])
            windows, self.layouts[clip.id] = cut.sound(media.sound[spec.rate_hz], spec, grid)
            share_s = len(media.sound[spec.rate_hz]) / spec.rate_hz / len(windows)
            for index, (samples, real) in enumerate(windows):
                self.feed.add(Unit(clip.id, index, samples, real, share_s))
        elif media.pictures is None:
            return self.fail(clip.id, "decode", media.errors.get("video", "no frames"))
        else:
            self.layouts[clip.id] = cut.frames(self._times_s[clip.id], media.pictures.duration_s, grid)
            self.meter.tally.repeated[self.want.name] += self.layouts[clip.id].repeated
            self._release(clip.id)
        return None

    def fail(self, clip: str, stage: str, reason: str) -> None:
        """Give a clip up: here, and where crops wait for its boxes."""
        self.failed.setdefault(clip, (stage, reason))
        self.feed.drop(clip)
        for kept in (self.outputs, self._held, self._groups):
            kept.pop(clip, None)
        for follower in self.followers:
            if follower.lacks(clip):
                follower.fail(clip, stage, f"no boxes: {reason}")

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
        if clip in self._groups:
            groups = [self._groups[clip][index] for index in range(len(layout.groups))]
            counts = {"n_faces": [len(group) for group in groups]} if self.want.boxes else {}
            layout = replace(layout, groups=groups, counts=counts)
        return cut.assemble(layout, self.outputs[clip], self.want.spec)

    def _offer(self, clip: str, shot: Shot) -> None:
        self._held[clip].append(shot)
        self._release(clip)

    def _release(self, clip: str) -> None:
        """Encode the frames that are sure to lie in a window; those of a tail that is too short never are."""
        held, layout = self._held[clip], self.layouts.get(clip)
        sure_s = covered_s(held[-1].time_s, self.want.grid) if held else Fraction(0)
        while held and self.lacks(clip) and (held[0].index < len(layout.groups) if layout else held[0].time_s < sure_s):
            self._encode(clip, held.popleft())
        if layout:
            held.clear()

    def _encode(self, clip: str, shot: Shot) -> None:
        first = self._given[clip]
        self._given[clip] += len(shot.units)
        self._groups[clip][shot.index] = tuple(range(first, self._given[clip]))
        for index, data in enumerate(shot.units, first):
            self.feed.add(Unit(clip, index, data, 1, self._slot_s, shot.time_s))

    def _deliver(self, unit: Unit, output: Output) -> None:
        if unit.clip in self.failed:
            return
        self.outputs[unit.clip][unit.index] = output
        for follower in self.followers:
            if follower.lacks(unit.clip):
                with follower.failing(unit.clip, "decode"):
                    follower.cut_faces(unit.clip, unit.index, unit.time_s, unit.data, output.values)

    def _stored_boxes(self, detector: Want, clip: str) -> Windows:
        """Return the boxes that an earlier run stored of the same picture."""
        if self._stored is None:
            self._stored = Reader(detector.folder)
        if self._stored.sources.get(clip) != self.share.sources[clip]:
            raise MediaError(f"no boxes: {detector.name} failed before; RETRY=1 tries it again")
        return self._stored[clip]

    def _could_not_encode(self, clip: str, reason: str) -> None:
        self.fail(clip, "encode", reason)

    def _step(self, units: Sequence[Unit]) -> AbstractContextManager[object]:
        clips = [unit.clip for unit in units]
        return self.meter.step(self.want.encoder, clips, sum(unit.media_s for unit in units), len(units))
