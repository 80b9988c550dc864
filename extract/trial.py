"""Whether an encoder may be trusted with the user's own weights and clips, measured before hours rest on it."""

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from extract.check import Unit, Verdict, check
from extract.display import verdict_lines
from extract.encoders import Encode
from extract.forecast import TRIAL_CLIPS
from extract.plan import Plan, Want, plan, wants
from extract.slices import Job
from extract.tally import Meter
from extract.weights import using
from extract.work import Worker
from features.disk import beside
from features.waiting import waiting
from features.windows import Array
from manifests import Manifest

MOST_UNITS = 256


def tried(manifest: Manifest, wanted: Sequence[Want], clips: Sequence[str], device: str, weights: str = "") -> Verdict:
    """Check the encoder of the last entry, on what it is given of these clips, and remember the verdict."""
    want = wanted[-1]
    with waiting(f"{want.encoder}: reading {len(clips)} clips"):
        units = gathered(manifest, wanted, clips, device, weights)
    if not units:
        raise ValueError(f"these {len(clips)} clips give {want.encoder} nothing to encode; name others: CLIPS=")
    with using(weights), waiting(f"{want.encoder}: alone, in a batch, beside longer ones, exact and fast"):
        verdict = check(want.encoder, units, device, want.options)
    place = _place(want, device)
    place.parent.mkdir(parents=True, exist_ok=True)
    with beside(place) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(verdict)), encoding="utf-8")
    return verdict


def refuse_unlike(todo: Plan, device: str, say: Callable[[str], None]) -> None:
    """Let nobody extract in bfloat16 what bfloat16 changes; what was never measured is measured first."""
    manifest = todo.manifest
    for want in (entry.want for entry in todo.entries if entry.todo and entry.want.key.precision == "fast"):
        verdict = known(want, device)
        if verdict is None:
            say(f"{want.encoder}: measuring PRECISION=fast on your clips, once")
            clips = [clip.id for clip in todo.slices[0].clips[:TRIAL_CLIPS]]
            fast = wants(manifest.corpus, [want.asked], "fast", language=manifest.language)
            verdict = tried(manifest, fast, clips, device)
        if not verdict.passed:
            raise ValueError("\n".join((*verdict_lines(verdict), "PRECISION=exact is always right")))


def known(want: Want, device: str) -> Verdict | None:
    """Return an earlier verdict on the same weights, kind of device and version of torch."""
    try:
        return Verdict(**json.loads(_place(want, device).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def gathered(
    manifest: Manifest, wanted: Sequence[Want], clips: Sequence[str], device: str, weights: str = ""
) -> list[Unit]:
    """Return what the last entry's encoder is given of some clips: it goes the whole way, into a folder thrown away."""
    units: list[Unit] = []

    def noting(encode: Encode) -> Encode:
        def noted(batch: Sequence[object] | Array, real: Array) -> object:
            units.extend(zip(batch, np.asarray(real).tolist(), strict=True))
            return encode(batch, real)

        return noted  # type: ignore[return-value] # whatever the encoder returns

    with tempfile.TemporaryDirectory() as folder:
        elsewhere = [_moved(want, Path(folder)) for want in wanted]
        todo = plan(manifest, elsewhere, lambda clip: clip.id in clips)
        worker = Worker(Job(manifest.root, tuple(elsewhere), device, weights=weights))
        name = wanted[-1].name
        worker.encode[name] = noting(worker.encode[name])
        for part in todo.slices:
            worker.work(part, Meter(float("inf")))
    return units[:MOST_UNITS]


def _moved(want: Want, folder: Path) -> Want:
    leader = _moved(want.leader, folder) if want.leader else None
    return replace(want, folder=folder / want.name, leader=leader)


def _place(want: Want, device: str) -> Path:
    runs = Path(os.environ.get("RUNS_ROOT") or ".runs")
    return runs / "checks" / f"{want.name}-{device.partition(':')[0]}-torch{version('torch')}.json"
