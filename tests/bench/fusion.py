"""What training costs beside the network itself, and beside a plain loader: `python tests/bench/fusion.py` prints JSON.

LEFSA over a generated cache of MELD's size, which is kept under `<RUNS_ROOT>/bench/` and takes 6 GB of disk there.
Whatever is measured cold or by its memory has a process of its own; what is compared in speed takes turns.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import fusion_cache as cache
import media
import setting

Row = Mapping[str, float]
SCRIPTS = Path(__file__).parent
PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads sleep while they wait, as `python -m fuse` sets it; as torch comes, they spin."""
STREAMED = 0.25
"""Share of the cache that may be in memory at once when it is streamed."""
EPOCHS = 75


@dataclass(frozen=True)
class Fusion:
    """How large the cache is, and by how much of it an epoch is measured."""

    clips: int = cache.CLIPS
    trained: int = 1024
    """Clips of a measured epoch."""
    plain: int = 256
    """Clips that the plain way trains on one by one, and twice as many in batches."""
    rounds: int = 3


def measure(fusion: Fusion) -> dict[str, object]:
    """Make the cache, measure the disk and what reads it, then train in turns; medians over rounds."""
    place = (media.bench_folder() / f"fusion-{fusion.clips}").resolve()
    os.environ.update(FEATURES_ROOT=str(place / "features"), MANIFESTS_ROOT=str(place / "manifests"))
    cache.make(fusion.clips)
    cache_gb = cache.size_bytes(fusion.clips) / 1e9
    disk = [_disk(STREAMED * cache_gb) for _ in range(fusion.rounds)]
    memory = _of_memory(disk, {way: _once(way)["peak_gb"] for way in ("load", "bare")}, cache_gb)
    counts = fusion.plain, 2 * fusion.plain
    with (
        _rival("fusion_ours.py", "turns", fusion.trained, environment=PATIENT) as ours,
        _rival("fusion_plain.py", "plain", *counts) as plain,
        _rival("fusion_plain.py", "patient", *counts, environment=PATIENT) as patient,
    ):
        speeds = [{**ours(), **plain(), **patient()} for _ in range(fusion.rounds)]
    return {"clips": fusion.clips, "cache_gb": cache_gb, **_of_disk(disk), **memory, **_of_speeds(speeds)}


def _disk(limit_gb: float) -> dict[str, Row]:
    """Read the cache in every way, each once with the files forgotten by the system and once with them in memory."""
    found: dict[str, Row] = {}
    ways = {
        "sequential": lambda: {"gb_per_s": cache.read_gb_per_s()},
        "streamed": lambda: _once("stream", limit_gb),
        "opened": lambda: _once("open"),
    }
    for name, go in ways.items():
        cache.drop()
        found |= {f"{name} cold": go(), f"{name} warm": go()}
    return found


def _once(*words: object) -> Row:
    began_s = time.monotonic()
    done = subprocess.run(
        _command("fusion_ours.py", *words), env=os.environ | PATIENT, stdout=subprocess.PIPE, check=True
    )
    row = json.loads(done.stdout)
    if at_s := row.pop("first_step_at_s", None):  # one clock for all processes
        row["command_to_first_step_s"] = at_s - began_s
    return row


@contextlib.contextmanager
def _rival(script: str, *words: object, environment: Mapping[str, str] | None = None) -> Iterator[Callable[[], Row]]:
    """Start a process that loads and warms up by itself; once it has, what is yielded runs one round."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(_command(script, *words), env={**os.environ, **(environment or {})}, **pipes) as process:

        def row() -> Row:
            process.stdin.write("\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        process.stdout.readline()  # it is ready
        yield row


def _command(script: str, *words: object) -> list[str]:
    return [sys.executable, str(SCRIPTS / script), *map(str, words)]


def _of_disk(rounds: Sequence[Mapping[str, Row]]) -> dict[str, object]:
    def median(way: str, what: str) -> float:
        return statistics.median(row[way][what] for row in rounds)

    def ratio(state: str) -> float:
        return statistics.median(
            row[f"streamed {state}"]["gb_per_s"] / row[f"sequential {state}"]["gb_per_s"] for row in rounds
        )

    ways = [f"{name} {state}" for name in ("sequential", "streamed") for state in ("cold", "warm")]
    return {
        "stream_by_disk": ratio("cold"),
        "stream_by_disk_warm": ratio("warm"),
        "open_to_first_step_s": median("opened cold", "to_first_step_s"),
        "open_to_first_step_warm_s": median("opened warm", "to_first_step_s"),
        "open_to_loaded_s": median("opened cold", "load_s"),
        "open_to_loaded_warm_s": median("opened warm", "load_s"),
        "command_to_first_step_s": median("opened cold", "command_to_first_step_s"),
        "gb_per_s": {way: median(way, "gb_per_s") for way in ways},
    }


def _of_memory(rounds: Sequence[Mapping[str, Row]], alone_gb: Row, cache_gb: float) -> dict[str, float]:
    """Say what processes took at their peak: torch and all else that they import is part of it."""

    def most(way: str) -> float:
        return max(row[f"{way} {state}"]["peak_gb"] for row in rounds for state in ("cold", "warm"))

    return {
        "loader_memory_over_cache_gb": alone_gb["load"] - cache_gb,
        "peak_memory_over_cache_gb": most("opened") - cache_gb,
        "peak_memory_over_cache_and_network_gb": most("opened") - cache_gb - alone_gb["bare"],
        "network_alone_gb": alone_gb["bare"],
        "imports_alone_gb": rounds[0]["opened cold"]["process_gb"],
        "stream_limit_gb": STREAMED * cache_gb,
        "stream_peak_gb": most("streamed"),
    }


def _of_speeds(rounds: Sequence[Row]) -> dict[str, object]:
    def by(one: str, other: str) -> float:
        return statistics.median(row[one] / row[other] for row in rounds)

    def minutes(precision: str) -> float:
        rows = [(row[f"ours {precision}"], row[f"scoring {precision}"]) for row in rounds]
        epoch_s = [cache.SPLITS["train"] / trained + cache.SPLITS["dev"] / scored for trained, scored in rows]
        return EPOCHS * statistics.median(epoch_s) / 60

    return {
        "epoch_by_floor": by("floor bfloat16", "ours bfloat16"),
        "epoch_by_floor_float32": by("floor float32", "ours float32"),
        "ours_by_plain": by("ours bfloat16", "plain one by one"),
        "ours_by_patient": by("ours bfloat16", "patient one by one"),
        "ours_by_plain_in_batches": by("ours bfloat16", "plain in batches"),
        "ours_by_patient_in_batches": by("ours bfloat16", "patient in batches"),
        "float32_by_plain": by("ours float32", "plain one by one"),
        "extrapolated_minutes_of_75_epochs": minutes("bfloat16"),
        "extrapolated_minutes_of_75_epochs_float32": minutes("float32"),
        "clips_per_s": {way: statistics.median(row[way] for row in rounds) for way in rounds[0]},
        "rounds": list(rounds),
    }


def main() -> None:
    """Measure what the command line says."""
    fusion = setting.read(Fusion)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = measure(fusion)
    except cache.FullError as error:
        found = {"skipped": str(error)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
