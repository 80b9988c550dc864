"""How long MELD's tables take to become clips, and the clips to be audited: `make bench ONLY=manifests` prints it.

The floor reads the same three tables with Python's own csv and keeps the rows. All in one process, in turn, with the
files in the page cache: medians of several rounds.
"""

import csv
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import setting

from manifests import audit, scan

TABLES = Path(__file__).parents[3] / "shared" / "data" / "meld"


@dataclass(frozen=True)
class Size:
    """How often all is measured."""

    rounds: int = 7


def floor() -> int:
    """Read the tables and nothing more; return their rows."""
    rows: list[dict[str, str]] = []
    for path in sorted(TABLES.glob("*_sent_emo.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return len(rows)


def measure(rounds: int) -> dict[str, object]:
    """Measure reading, the floor and the audit in turn, so that whatever else the machine does meets all three."""
    manifest = scan("meld", TABLES).manifest
    took_s: dict[str, list[float]] = {"seconds": [], "floor_seconds": [], "audit_seconds": []}
    ways: tuple[Callable[[], object], ...] = (lambda: scan("meld", TABLES), floor, lambda: audit.audit([manifest]))
    for _ in range(rounds):
        audit.words.cache_clear()  # or the next audit finds half of its work done
        for times, way in zip(took_s.values(), ways, strict=True):
            began = time.perf_counter()
            way()
            times.append(time.perf_counter() - began)
    found = {name: statistics.median(times) for name, times in took_s.items()}
    if len(manifest.clips) != floor():
        raise RuntimeError(f"{len(manifest.clips)} clips were read from {floor()} rows")
    rows = {"rows": len(manifest.clips)}
    return {**rows, **found, "read_by_floor": found["seconds"] / found["floor_seconds"]}


def main() -> None:
    """Measure what the command line says."""
    size = setting.read(Size)
    absent = {"skipped": "MELD's tables are not beside this checkout (shared/data/meld)"}
    found = measure(size.rounds) if TABLES.is_dir() else absent
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
