"""How fast a pull is against a plain copy and one digest pass: `python tests/bench/run.py share` prints it.

From one folder to another on the same disk, in one process, in turns; the plain copy is flushed to the disk as the pull
is, once more without.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from features import Key, Windows, Writer, share, transfer
from features.places import Folder
from features.store import Part

KEY = Key("bench", 1, "windows(3,2,2)")
CLIPS, WINDOWS, SHAPE = 64, 2, (149, 1024)
"""Of a part, and of a clip: what a speech encoder gives for clips of three to five seconds, 39 MB a part."""


def lay(top: Path, parts: int) -> None:
    """Lay an entry of random windows."""
    noise = np.random.default_rng(0).standard_normal((WINDOWS, *SHAPE)).astype(np.float16)
    for part in range(parts):
        with Writer(top / "meld" / KEY.name, KEY, {}, "") as writer:
            for i in range(CLIPS):
                spans_s = [(2.0 * j, 2.0 * j + 3) for j in range(WINDOWS)]
                writer.add(f"{part}_{i}", "s", Windows.join(list(noise + np.float16(i)), spans_s, [SHAPE[0]] * WINDOWS))


def plain_copy(source: Path, target: Path, *, flush: bool) -> None:
    """Copy every file, one after the other, as cp does."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)
        if flush:
            handle = os.open(target / path.name, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)


def digest_pass(folder: Path) -> None:
    """Compare the digest of every part."""
    for path in sorted(folder.glob("part-*.h5")):
        with contextlib.closing(Part(path, KEY)) as part:
            part.verify()


def pull(source: Path, target: Path) -> None:
    """Bring what is lacking, as the command does."""
    places = Folder(source), Folder(target)
    transfer.pull(*places, share.lacks(*places, share.chosen(places[0], "meld")))


def took_s(go: Callable[[], object]) -> float:
    """Time one call, with what others left for the disk written before."""
    os.sync()
    began_s = time.perf_counter()
    go()
    return time.perf_counter() - began_s


def main() -> dict[str, float]:
    """Measure every way in turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", type=int, default=52)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    ways: dict[str, list[float]] = {name: [] for name in ("copy", "copy_unflushed", "digest", "pull", "again")}
    with tempfile.TemporaryDirectory() as place:
        source, top = Path(place) / "lab", Path(place) / "mine"
        lay(source, asked.parts)
        entry = source / "meld" / KEY.name
        size_gb = sum(path.stat().st_size for path in entry.iterdir()) / 1e9
        for _ in range(asked.rounds):
            for name, flush in (("copy", True), ("copy_unflushed", False)):
                ways[name].append(took_s(partial(plain_copy, entry, top / "plain", flush=flush)))
                if flush:
                    ways["digest"].append(took_s(lambda: digest_pass(top / "plain")))
                shutil.rmtree(top)
            ways["pull"].append(took_s(lambda: pull(source, top)))
            ways["again"].append(took_s(lambda: pull(source, top)))
            shutil.rmtree(top)
    times_s = {name: statistics.median(times) for name, times in ways.items()}
    return {
        "size_gb": size_gb,
        "pull_by_floor": (times_s["copy"] + times_s["digest"]) / times_s["pull"],
        "pull_by_unflushed_floor": (times_s["copy_unflushed"] + times_s["digest"]) / times_s["pull"],
        "again_s": times_s["again"],
        **{f"{name}_s": times_s[name] for name in ("copy", "copy_unflushed", "digest", "pull")},
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
