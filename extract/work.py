"""One slice of a manifest: decode once, cut, encode with every wanted encoder, write. Knows nothing of where it runs.

A clip that fails is data: it is recorded with its stage and reason, and never stops the others.
"""

import os
import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from itertools import groupby
from time import perf_counter

from extract import denoisers, encoders, told, weights
from extract.ahead import Ahead, Frame, Task
from extract.encode import BatchSize
from extract.line import Line
from extract.media import Media, Need
from extract.slices import Job, Slice
from extract.sound import resampled
from extract.sources import reachable
from extract.tally import Meter, Tally
from extract.wanted import Want
from features import about
from features.entries import create
from manifests import Clip, Track

# Whose version can change a number.
LIBRARIES = frozenset(
    "av facenet-pytorch librosa numpy opencv-python-headless opensmile pillow safetensors scikit-image scipy "
    "silero-vad soxr tokenizers torch torchvision transformers ultralytics".split()
)
BYTES_PER_S = 16_000
"""Media of unknown length are taken to be no denser than this when a time limit is set; films are far denser."""


class Worker:
    """The loaded encoders of a job, and the work on one slice after another."""

    def __init__(self, job: Job) -> None:
        self.job, began_s = job, perf_counter()
        self.readers = max(1, (job.threads or int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1) // 2)
        with weights.using(job.weights):
            self.encode = {
                want.name: encoders.module(want.encoder).load(job.device, want.key.precision, **want.options)
                for want in job.wants
            }
            self.separate = {
                name: denoisers.module(name).load(job.device) for name in {want.denoise for want in job.wants} - {""}
            }
            for want in job.wants:  # once: were the cache's disk lost later, its folder would begin anew on another one
                create(want.folder, want.key)
                about.write(want.folder, told.about(want, job.reader, job.weights))
                if leave := getattr(encoders.module(want.encoder), "leave", None):
                    leave(want.folder, job.device)
        on_gpu = job.device.startswith("cuda")
        self.sizes = {want.name: BatchSize(want.spec.batch, grows=on_gpu) for want in job.wants}
        self.provenance = _provenance(job.device)
        self._loading_s = perf_counter() - began_s

    def work(self, part: Slice, meter: Meter) -> Tally:
        """Carry one slice out; what is written stays written."""
        meter.tally.busy_s["load"] += self._loading_s
        self._loading_s = 0.0
        lines = self._lines(part, meter)
        for piece in Ahead(self.job.root, list(self._visits(part)), self.readers, meter):
            if isinstance(piece, Frame):
                for line in lines:
                    if line.want.reads_frames and line.lacks(piece.clip.id):
                        line.see(piece.clip.id, piece.image, piece.time_s, piece.slots)
                continue
            clip, media = piece
            if media.errors:
                reachable(self.job.root)
            self._hear_voices(clip, media, lines, meter)
            meter.tally.files += media.opened
            meter.tally.media_s += media.length_s
            meter.tally.clips += 1
            for line in lines:
                if line.lacks(clip.id):
                    line.end(clip, media)
        for line in lines:  # a detector before the faces that it finds
            line.feed.flush()
        for line in lines:
            terms = told.terms(clip for clip in part.clips if clip.id in line.share.sources)
            line.write([clip.id for clip in part.clips], self.provenance | _origin(line.want) | terms)
        return meter.tally

    def _hear_voices(self, clip: Clip, media: Media, lines: Iterable[Line], meter: Meter) -> None:
        """Separate the voice of a clip from its sound, once for all encoders that want it."""
        wanted = {(line.want.denoise, line.want.spec.rate_hz) for line in lines if line.lacks(clip.id)}
        for name in sorted({name for name, _ in wanted if name and "audio" not in media.errors}):
            from_hz = denoisers.module(name).RATE_HZ
            try:
                with meter.step(name, [clip.id], media.length_s):
                    voice = self.separate[name](media.sound[from_hz])
            except Exception as error:  # noqa: BLE001 (whatever a network throws at one clip must not stop the others)
                media.errors[name] = f"{name}: {type(error).__name__}: {error}"
                continue
            for rate_hz in {rate_hz for one, rate_hz in wanted if one == name}:
                media.voice[name, rate_hz] = resampled(voice, from_hz, rate_hz)

    def _lines(self, part: Slice, meter: Meter) -> list[Line]:
        lines: dict[str, Line] = {}
        for share in part.shares:
            name, leader = share.want.name, share.want.leader
            ahead = lines.get(leader.name) if leader else None
            lines[name] = Line(share, self.encode[name], self.sizes[name], meter, ahead)
        return list(lines.values())

    def _visits(self, part: Slice) -> Iterator[list[Task]]:
        """Put the clips of one file together: it is opened once for all of them."""
        for _, clips in groupby(part.clips, key=_file):
            yield [Task(clip, _need(part, clip), self._length_s(clip)) for clip in clips]

    def _length_s(self, clip: Clip) -> float:
        """Return how long a clip can be, for its time limit."""
        return max(map(self._track_s, clip.tracks), default=0.0)

    def _track_s(self, track: Track) -> float:
        if track.end_s is not None:
            return track.end_s - track.start_s
        try:
            return sum((self.job.root / path).stat().st_size for path in track.paths) / BYTES_PER_S
        except OSError:
            return 0.0  # the decoder will say what is wrong


def _file(clip: Clip) -> str:
    track = clip.video or clip.audio
    return track.path if track else ""


def _need(part: Slice, clip: Clip) -> Need:
    wants = [share.want for share in part.shares if clip.id in share.sources]
    return Need(
        rates_hz=frozenset(want.rate_hz for want in wants if want.spec.reads == "audio"),
        samplings=frozenset(want.grid.sampling for want in wants if want.reads_frames),
        series=frozenset(want.spec.series for want in wants) - {""},
    )


def _origin(want: Want) -> dict[str, str]:
    """Return what a reader of one entry should know of its encoder."""
    spec = want.spec
    found = {
        "weights_of": told.weights_of(spec),
        "parameters": str(spec.parameters or ""),
        "trained_on": ",".join(spec.trained_on),
        "holds": spec.holds,
    }
    return {name: value for name, value in found.items() if value}


def _provenance(device: str) -> dict[str, str]:
    installed = {dist.name.lower(): dist.version for dist in distributions() if dist.name.lower() in LIBRARIES}
    return {"python": platform.python_version(), "processor": platform.machine(), "device": device, **installed}
