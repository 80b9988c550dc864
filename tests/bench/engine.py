"""Our engine on the clips of a contest, and its floors, for `contest.py`.

The engine is a worker in this process, as in its own. Its detector runs for its cost, and what it says is replaced by
fixed boxes, for random weights find no face. Floors are the encoders alone, given the very batches that the engine made
and that already lie in memory, and decoding alone.
"""

import os
import time
from collections.abc import Sequence
from typing import Any

import media
import numpy as np
import setting

from extract.encoders import Encode, Encoded
from extract.media import Files, Need
from extract.plan import plan, wants
from extract.slices import Job
from extract.tally import Meter
from extract.work import Worker
from manifests import Clip, Manifest

PATIENT = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(os.cpu_count() or 1)}
"""What the engine gives to its worker processes; torch reads it while it is imported."""
KEPT_BYTES = 1 << 30
"""How many bytes of batches are kept of each encoder; its floor is scaled up to all of them."""
TIME_LIMIT = 30.0


class Watched:
    """An encoder that keeps the batches it is given; a detector finds the boxes that it is told to."""

    def __init__(self, encode: Encode, boxes: np.ndarray | None) -> None:
        self._encode, self._boxes = encode, boxes
        self.keeps = False
        self._batches: list[tuple[Any, Any]] = []
        self._bytes = self._units = self._kept = 0

    def __call__(self, batch: Any, valid: Any) -> Any:
        """Encode a batch."""
        if self.keeps:
            self._keep(batch, valid)
        found = self._encode(batch, valid)
        return found if self._boxes is None else Encoded([self._boxes] * len(batch))

    def _keep(self, batch: Any, valid: Any) -> None:
        self._units += len(batch)
        if self._bytes < KEPT_BYTES:
            self._batches.append((batch, valid))
            self._kept += len(batch)
            self._bytes += getattr(batch, "nbytes", 0)

    def floor_s(self) -> float:
        """Encode what was kept once more, and nothing else; return the seconds that all would take."""
        began_s = time.perf_counter()
        for batch in self._batches:
            self._encode(*batch)
        return (time.perf_counter() - began_s) * self._units / max(1, self._kept)


class Ours:
    """The engine with its encoders loaded, and the slices that it is to carry out."""

    def __init__(self, contest: setting.Contest, corpus: Manifest, clips: Sequence[Clip], precision: Any) -> None:
        wanted = wants(corpus.corpus, contest.names, precision, contest.weights)
        self.corpus, self.clips = corpus, clips
        chosen = {clip.id for clip in clips}
        self.slices = plan(corpus, wanted, lambda clip: clip.id in chosen).slices
        self.worker = Worker(Job(corpus.root, tuple(wanted), contest.device, weights=contest.weights))
        boxes = media.boxes(contest.corpus, contest.faces)
        self.watched = {
            want.encoder: Watched(self.worker.encode[want.name], boxes if want.spec.detects else None)
            for want in wanted
        }
        self.worker.encode = {want.name: self.watched[want.encoder] for want in wanted}
        self.detectors = [want.encoder for want in wanted if want.spec.detects]
        self.need = Need(
            frozenset(want.rate_hz for want in wanted if want.spec.reads == "audio"),
            frozenset(want.grid.sampling for want in wanted if want.reads_frames),
        )
        self.media_s = sum(self._lengths_s())

    def warm_up(self, *, keeps: bool = False) -> None:
        """Carry the slices out once; keep the batches where the floor is to be measured."""
        for watched in self.watched.values():
            watched.keeps = keeps
        self.round()
        for watched in self.watched.values():
            watched.keeps = False

    def round(self) -> dict[str, float]:
        """Carry the slices out; return the seconds of each stage, and how many frames and crops there were."""
        meter = Meter(TIME_LIMIT)
        began_s = time.perf_counter()
        for part in self.slices:
            self.worker.work(part, meter)
        wall_s = time.perf_counter() - began_s
        tally = meter.tally
        if tally.failed:
            raise RuntimeError(f"expected every clip to go well, got {dict(tally.failures)}")
        self._clear()
        counts = {"frames": sum(tally.units[name] for name in self.detectors), "crops": tally.units["faces"]}
        return {"wall": wall_s, "waited": tally.waited_s, **tally.busy_s, **counts}

    def _clear(self) -> None:
        for folder in {share.want.folder for part in self.slices for share in part.shares}:
            for written in folder.glob("part-*"):
                written.unlink()

    def floor(self) -> dict[str, float]:
        """Return the seconds of each encoder alone, and of decoding alone."""
        began_s = time.perf_counter()
        self._lengths_s()
        decode_s = time.perf_counter() - began_s
        return {"decode": decode_s, **{name: watched.floor_s() for name, watched in self.watched.items()}}

    def _lengths_s(self) -> list[float]:
        """Decode clip by clip, and nothing else; return how long each is."""
        lengths_s = []
        for clip in self.clips:
            with Files(self.corpus.root) as files:
                lengths_s.append(files.read(clip, self.need, lambda *_: None).length_s)
        return lengths_s
