"""One slice of a manifest: decode once, cut, encode with every wanted encoder, write. Knows nothing of where it runs.

A clip that fails is data: it is recorded with its stage and reason, and never stops the others.
"""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

from extract import cut, encoders, media
from extract.cut import Units
from extract.encode import encode_all
from extract.encoders import Encode
from extract.media import Media, MediaError, Need, Pictures
from extract.plan import EntryPlan, Plan, Slice, Want
from extract.tally import Tally
from features import Failure, Reader, Windows, Writer
from features.entries import create
from features.failures import record, recorded
from features.store import discard
from manifests import Clip

# Whose version can change a number.
LIBRARIES = frozenset(
    "av facenet-pytorch librosa numpy opensmile pillow scikit-image scipy silero-vad soxr torch transformers".split()
)

# How many bytes of pictures may wait for a full batch: five minutes of frames in HD would not fit into a laptop.
HELD_BYTES = 1 << 30


def run(plan: Plan, device: str, progress: Callable[[Tally], None] = lambda _: None) -> Tally:
    """Carry a plan out, slice by slice; what is written stays written."""
    tally = Tally()
    entries = [entry for entry in plan.entries if entry.todo]
    loaded = {entry.name: encoders.module(entry.want.encoder).load(device, "exact") for entry in entries}
    for part in plan.slices:
        work = Work(plan.manifest.root, entries, loaded, tally)
        for clip in part.clips:
            work.visit(clip)
            tally.clips += 1
            progress(tally)
        for entry in entries:
            work.encode(entry)
            work.write(entry, part, device)
    return tally


class Work:
    """One slice on its way from media to parts."""

    def __init__(self, root: Path, entries: Sequence[EntryPlan], loaded: Mapping[str, Encode], tally: Tally) -> None:
        self.root, self.entries, self.loaded, self.tally = root, entries, loaded, tally
        self.units: dict[str, dict[str, Units]] = {entry.name: {} for entry in entries}
        self.windows: dict[str, dict[str, Windows]] = {entry.name: {} for entry in entries}
        self.failures: dict[str, dict[str, tuple[str, str]]] = {entry.name: {} for entry in entries}
        self.stored: dict[str, Reader] = {}
        self.held_bytes = 0

    def visit(self, clip: Clip) -> None:
        """Decode a clip once and cut it for every entry that lacks it."""
        todo = [entry for entry in self.entries if clip.id in entry.todo]
        decoded = media.read(clip, self.root, _need([entry.want for entry in todo]))
        self.tally.files += decoded.opened
        self.tally.media_s += decoded.length_s
        for entry in todo:
            with self._failing(entry, clip.id, "decode"):
                units = self.units[entry.name][clip.id] = self._cut(entry, clip, decoded)
                self.tally.repeated[entry.name] += units.repeated
            if entry.want.detects:
                self.encode(entry)  # at once, because this clip's crops are cut by it
        self.held_bytes += sum(image.nbytes for image in decoded.pictures.images) if decoded.pictures else 0
        if self.held_bytes > HELD_BYTES:
            self.held_bytes = 0
            for entry in self.entries:
                self.encode(entry)

    def encode(self, entry: EntryPlan) -> None:
        """Encode what has been cut, in batches over clips."""
        units, self.units[entry.name] = self.units[entry.name], {}
        if not units:
            return
        outputs, failures = encode_all(self.loaded[entry.name], units)
        for clip, output in outputs.items():
            with self._failing(entry, clip, "encode"):
                self.windows[entry.name][clip] = cut.assemble(units[clip], output, entry.want.spec)
        self.failures[entry.name] |= {clip: ("encode", reason) for clip, reason in failures.items()}

    def write(self, entry: EntryPlan, part: Slice, device: str) -> None:
        """Write what one entry gained as one part, and what it could not gain as failures."""
        want, windows, failures = entry.want, self.windows[entry.name], self.failures[entry.name]
        create(want.folder, want.key)
        with Writer(want.folder, want.key, _provenance(device), want.spec.licence) as writer:
            for clip in part.clips:
                if clip.id in windows:
                    with self._failing(entry, clip.id, "write"):
                        writer.add(clip.id, entry.sources[clip.id], windows[clip.id])
        self.tally.windows[entry.name] += sum(len(windows[clip]) for clip in writer.clips)
        renewed = {clip: entry.sources[clip] for clip in entry.stale & writer.clips.keys()}
        if renewed:  # what failed anew, or is still to come, keeps its old row: a lost mount must not empty a cache
            discard(want.folder, lambda _path, _row, clip, source: renewed.get(clip, source) != source)
        before = recorded(want.folder)
        for clip_id, (stage, reason) in failures.items():
            attempts = before[clip_id].attempts + 1 if clip_id in before else 1
            failure = Failure(clip_id, entry.sources[clip_id], stage, reason, attempts)
            self.tally.failures[entry.name].append(failure)
            record(want.folder, [failure])

    def _cut(self, entry: EntryPlan, clip: Clip, decoded: Media) -> Units:
        want, spec, grid = entry.want, entry.want.spec, entry.want.grid
        if spec.reads == "text":
            return cut.text(clip.text or "")
        if spec.reads == "audio":
            if "audio" in decoded.errors:
                raise MediaError(decoded.errors["audio"])
            return cut.sound(decoded.sound[spec.rate_hz], spec, grid)
        if want.boxes:
            return cut.faces(_pictures(decoded), self._boxes(want.boxes, clip, entry.sources[clip.id]), spec, grid)
        return cut.frames(_pictures(decoded), grid)

    def _boxes(self, detector: Want, clip: Clip, source: str) -> Windows:
        """Return the boxes that this visit found, or that an earlier run stored of the same picture."""
        name = detector.key.name
        if clip.id in self.windows.get(name, ()):
            return self.windows[name][clip.id]
        if clip.id in self.failures.get(name, ()):
            raise MediaError("no boxes: " + ": ".join(self.failures[name][clip.id]))
        if name not in self.stored:
            self.stored[name] = Reader(detector.folder)
        if self.stored[name].sources.get(clip.id) != source:
            raise MediaError(f"no boxes: {name} failed before; RETRY=1 tries it again")
        return self.stored[name][clip.id]

    @contextmanager
    def _failing(self, entry: EntryPlan, clip: str, stage: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, LookupError) as error:
            self.failures[entry.name][clip] = stage, str(error)


def _need(wants: Sequence[Want]) -> Need:
    return Need(
        rates_hz=frozenset(want.spec.rate_hz for want in wants if want.spec.reads == "audio"),
        fps=frozenset(want.grid.fps for want in wants if want.spec.reads in ("frames", "faces") and want.grid.fps),
    )


def _pictures(decoded: Media) -> Pictures:
    if decoded.pictures is None:
        raise MediaError(decoded.errors.get("video", "no frames"))
    return decoded.pictures


def _provenance(device: str) -> dict[str, str]:
    installed = {dist.name.lower(): dist.version for dist in distributions() if dist.name.lower() in LIBRARIES}
    return {"python": platform.python_version(), "processor": platform.machine(), "device": device, **installed}
