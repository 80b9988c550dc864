"""How fast the cache writes and reads against a copy in memory: `python tests/bench/run.py store` prints it.

Everything is measured in one process, interleaved, with the files in the page cache: medians of several rounds in GB/s.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from features import Key, Reader, Windows, Writer

SHAPES = {"30 KB": (30, 512), "96 KB": (48, 1024), "298 KB": (149, 1024), "1.2 MB": (149, 4096)}
"""Steps and width of a float16 window: a sentence, text, sound, and what is larger than any of today's."""
CLIPS, WINDOWS_PER_CLIP = 64, 2
"""In a part, as the house's grid makes of a clip of three to five seconds."""
ENTRY_BYTES, ROUNDS = 256 << 20, 7


def fill(folder: Path, shape: tuple[int, int]) -> tuple[Path, float]:
    """Write an entry of random windows; return its folder and the seconds per part."""
    key = Key("bench", 1, "windows(3,2,2)", settings={"shape": str(shape)})
    parts = ENTRY_BYTES // (CLIPS * WINDOWS_PER_CLIP * bytes_of(shape)) + 1
    noise = np.random.default_rng(0).standard_normal((WINDOWS_PER_CLIP, *shape)).astype(np.float16)
    took_s = []
    for part in range(parts):
        with Writer(folder / key.name, key, {}, "") as writer:
            for i in range(CLIPS):
                spans_s = [(2.0 * j, 2.0 * j + 3) for j in range(WINDOWS_PER_CLIP)]
                clip = Windows.join(list(noise + np.float16(i)), spans_s, [shape[0]] * WINDOWS_PER_CLIP)
                writer.add(f"{part}_{i}", "s", clip)
            began_s = time.perf_counter()
        took_s.append(time.perf_counter() - began_s)
    return folder / key.name, statistics.median(took_s)


def speeds(folder: Path, shape: tuple[int, int]) -> dict[str, float]:
    """Return GB/s of every way to read an entry, and of copies in memory of the same size and order."""
    reader = Reader(folder)
    windows = [(clip, i) for clip in reader for i in range(WINDOWS_PER_CLIP)]
    random.Random(0).shuffle(windows)
    clips = random.Random(1).sample(list(reader), len(reader))
    memory = np.concatenate([one.values for one in reader.read(reader).values()])
    places = [at * shape[0] for at in random.Random(2).sample(range(len(windows)), len(windows))]
    parts = [rows.clips for rows in reader.rows.values()]
    step = CLIPS * WINDOWS_PER_CLIP * shape[0]
    ways: dict[str, tuple[float, Callable[[], object]]] = {
        "copy of windows": (len(places), lambda: [drop(memory[at : at + shape[0]].copy()) for at in places]),
        "random windows": (len(windows), lambda: [drop(reader.window(*window)) for window in windows]),
        "random clips": (
            len(reader) * WINDOWS_PER_CLIP,
            lambda: [drop(reader[clip]) for clip in clips],
        ),
        "copy of parts": (
            len(windows),
            lambda: [drop(memory[at : at + step].copy()) for at in range(0, len(memory), step)],
        ),
        "whole parts": (len(windows), lambda: [drop(reader.part(path).whole()) for path in reader.parts]),
        "whole parts, clip by clip": (len(windows), lambda: [drop(reader.read(part)) for part in parts]),
    }
    return {name: round(speed * bytes_of(shape) / 1e9, 2) for name, speed in interleaved(ways).items()}


def bytes_of(shape: tuple[int, int]) -> int:
    """Return the size of a window."""
    return 2 * shape[0] * shape[1]


def drop(_: object) -> None:
    """Let go of what was read, as a training loop does once it is on its device."""


def interleaved(ways: dict[str, tuple[float, Callable[[], object]]]) -> dict[str, float]:
    """Return units per second of each way: medians over rounds in which every way has its turn."""
    took_s: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (_, go) in ways.items():
            began_s = time.perf_counter()
            go()
            took_s[name].append(time.perf_counter() - began_s)
    return {name: ways[name][0] / statistics.median(times) for name, times in took_s.items()}


def main() -> dict[str, dict[str, float]]:
    """Measure every size of windows."""
    found = {}
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            entry, write_s = fill(Path(folder), shape)
            part_bytes = CLIPS * WINDOWS_PER_CLIP * bytes_of(shape)
            found[name] = {"write": round(part_bytes / write_s / 1e9, 2), **speeds(entry, shape)}
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
