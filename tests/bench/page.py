"""How long the page of a large cache takes to make and to open: `python tests/bench/run.py page` prints it.

A browser opens the first page and that of the corpus, of many clips and of few, in turns; what counts is when something
is first seen, by the browser's own clock.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from browser_kit import Browser

import manifests
from features import Key, Reader, Windows, Writer, folder_of
from fuse import site
from manifests import Clip, Manifest
from manifests.licence import Licence

ENTRIES = {"audio": (30, 128), "video": (10, 64), "text": (8, 96)}
A_PART, FEW = 64, 100
OPEN = Licence("CC BY 4.0", ("raw", "transcript", "labels", "features")).tag
PAINTED = (
    "performance.getEntriesByType('paint').find((one) => one.name === 'first-contentful-paint')?.startTime ?? null"
)


def lay(clips: int) -> None:
    """Lay a corpus of so many clips with three entries of two windows a clip."""
    names = [f"dia{i // 12}_utt{i % 12}" for i in range(clips)]
    made = tuple(
        Clip(name, "bench", ("train", "dev", "test")[i % 3], speaker_id=f"s{i % 40}", text="words", licence=OPEN)
        for i, name in enumerate(names)
    )
    manifests.write(Manifest("bench", Path("nowhere"), made))
    rng = np.random.default_rng(0)
    for encoder, (steps, width) in ENTRIES.items():
        key = Key(encoder, 1, "windows(3,2,2)")
        for first in range(0, clips, A_PART):
            values = rng.standard_normal((A_PART, 2, steps, width)).astype(np.float16)
            with Writer(folder_of("bench", key), key, {"holds": "features"}, "MIT") as writer:
                for name, of in zip(names[first : first + A_PART], values, strict=False):
                    writer.add(name, name, Windows.join(list(of), [(0, 3), (2, 5)], [steps, steps]))


def plain_read() -> float:
    """Read every value once, and return what that took."""
    began = time.perf_counter()
    for folder in sorted(Path(os.environ["FEATURES_ROOT"]).glob("bench/*-*")):
        with Reader(folder) as reader:
            for path in reader.parts:
                reader.part(path).whole()
    return time.perf_counter() - began


def made(target: Path) -> float:
    """Make the page, and return what that took."""
    began = time.perf_counter()
    site.write(target, (), lambda _: None)
    return time.perf_counter() - began


def first_seen_ms(browser: Browser, path: Path) -> float:
    """Open a page and return when something was first seen."""
    page = browser.open(path)
    until = time.monotonic() + 30
    while (seen := page.run(PAINTED)) is None and time.monotonic() < until:
        page.picture(whole=False)
    return float(seen)


def main() -> None:
    """Measure, and print the result as one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        pages = {}
        for clips in (FEW, options.clips):
            for name in ("FEATURES_ROOT", "MANIFESTS_ROOT", "RUNS_ROOT"):
                os.environ[name] = f"{top}/{clips}/{name}"
            lay(clips)
            pages[clips] = Path(top) / f"page-{clips}"
            read_s, first_s, again_s = plain_read(), made(pages[clips]), made(pages[clips])
        sizes = [path.stat().st_size for path in pages[options.clips].rglob("*.html")]
        seen: dict[str, list[float]] = {}
        with Browser() as browser:
            for _ in range(options.rounds):
                for clips, folder in pages.items():
                    for name in ("index.html", "bench/index.html", "bench/clips-001.html"):
                        seen.setdefault(f"{name}, {clips} clips", []).append(first_seen_ms(browser, folder / name))
    found = {
        "clips": options.clips,
        "plain_read_s": round(read_s, 2),
        "made_first_s": round(first_s, 2),
        "made_again_s": round(again_s, 2),
        "megabytes": round(sum(sizes) / 1e6, 1),
        "files": len(sizes),
        "slowest_view_s": max(max(each) for each in seen.values()) / 1000,
        "first_seen_ms": {name: round(statistics.median(each), 1) for name, each in seen.items()},
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
