"""The benchmarks run and say what they are asked for; how fast anything is stands in no test."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN = Path(__file__).parent / "bench" / "run.py"
STAGES = {"wall", "decode", "mfcc", "yolo_face", "faces", "emoaffectnet", "minilm"}
FIGURES = {
    "meld": "real_time_factor plain_by_ours ours_by_floor frames_per_s crops_per_s".split(),
    "grid-3-faces": "real_time_factor plain_by_ours ours_by_floor frames_per_s crops_per_s".split(),
    "growth": "slope_by_slope peak_by_peak".split(),
    "workers": "dask_by_here one_by_two".split(),
    "plan": "clips seconds".split(),
    "doctor": "seconds ms_per_file floor_ms_per_file doctor_by_floor".split(),
    "manifests": "rows seconds floor_seconds read_by_floor audit_seconds".split(),
    "share": "size_gb pull_by_floor again_s".split(),
    "fusion": "epoch_by_floor open_to_first_step_s peak_memory_over_cache_gb stream_by_disk ours_by_plain".split(),
}


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    """What a tiny run of all that is measured here writes."""
    place = tmp_path_factory.mktemp("bench")
    environment = {**os.environ, "RUNS_ROOT": str(place)}
    command = [sys.executable, str(RUN), "--tiny", *FIGURES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (written,) = (place / "bench").glob("*.json")
    return {"text": written.read_text(encoding="utf-8"), **json.loads(written.read_text(encoding="utf-8"))}


def figures(benches, name):
    """The result of one measurement, or a skip where its media are not beside the checkout."""
    found = benches["benches"][name]
    if "skipped" in found:
        pytest.skip(found["skipped"])
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_a_measurement_says_its_figures(benches, name):
    """Each measurement ends with the figures that the targets are about, each a number."""
    found = figures(benches, name)
    assert all(math.isfinite(found[figure]) for figure in FIGURES[name])


@pytest.mark.parametrize(("name", "faces"), [("meld", 1), ("grid-3-faces", 3)])
def test_every_way_has_its_stages(benches, name, faces):
    """The plain way and ours time the same stages, floors those without cutting, and every frame has its faces."""
    found = figures(benches, name)
    ways = found["seconds_per_media_second"]
    assert ways["plain"].keys() == STAGES
    assert ways["fast"].keys() == ways["exact"].keys() >= STAGES | {"waited", "write"}
    assert ways["floor"].keys() == STAGES - {"wall", "faces"}
    assert found["crops_per_s"] == pytest.approx(faces * found["frames_per_s"])


def test_the_machine_stays_unnamed(benches):
    """What is written says what the machine can do, and neither its name nor where anything lies on it."""
    assert benches["machine"].keys() >= {"cores", "memory_gb", "bf16", "gpu", "torch"}
    assert os.uname().nodename not in benches["text"]
    assert str(RUN.parents[2]) not in benches["text"]
