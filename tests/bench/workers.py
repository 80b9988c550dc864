"""What dask costs, and what a second worker gains: `python tests/bench/workers.py` prints JSON.

Parts of equal work on sound, which one thread decodes in no time. A part's file says when it was done; the seconds
for each part count from when two for each worker were done, so that starting is not among them.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass

import media
import setting

from extract import scale
from extract.plan import plan, wants
from extract.scale import Where
from extract.slices import Job, Slice
from manifests import Audio, Clip, Manifest

RATE_HZ, CLIP_S = 16_000, 3
EARLY = 2
"""Parts for each worker that are done before time counts: workers do not start at the same moment."""
ALL = os.cpu_count() or 1
"""How many threads one worker alone has."""
WAYS = {
    "here": (Where(), ALL),
    "dask": (Where(workers=1), ALL),
    "one": (Where(workers=1), 1),
    "two": (Where(workers=2), 1),
}


@dataclass(frozen=True)
class Workers:
    """What is encoded, in how many parts of how many clips of 3 s."""

    encoder: str = "wav2vec2_msp"
    parts: int = 16
    clips: int = 8
    rounds: int = 3
    weights: str = "random:0"


def corpus(clips: int) -> Manifest:
    """Return so many clips, which are one sound under many names."""
    folder = (media.bench_folder() / "sound").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sound = folder / "one.wav"
    if not sound.exists():
        media.write_noise(sound, CLIP_S, RATE_HZ)
    made = (Clip(f"clip{i}", "bench", "train", audio=Audio(media.another(sound, i))) for i in range(clips))
    return Manifest("bench", folder, tuple(made))


def extract(workers: Workers, where: Where, threads: int) -> dict[str, float]:
    """Fill an empty cache; return the seconds for each part, of the whole run, and of all that is not parts."""
    made = corpus(workers.parts * workers.clips)
    with tempfile.TemporaryDirectory(dir=media.bench_folder()) as cache:
        os.environ["FEATURES_ROOT"] = cache
        wanted = wants(made.corpus, [workers.encoder], "fast", workers.weights)
        parts = [small for part in plan(made, wanted).slices for small in _cut(part, workers.clips)]
        job = Job(made.root, tuple(wanted), threads=threads, weights=workers.weights)
        began_s = time.perf_counter()
        failed = scale.run(job, parts, where, lambda *_: None, lambda _: None).failed
        wall_s = time.perf_counter() - began_s
        done_s = sorted(path.stat().st_mtime for path in wanted[0].folder.glob("part-*"))
    if failed or len(done_s) != workers.parts:
        raise RuntimeError(f"expected {workers.parts} parts, got {len(done_s)}, and {len(failed)} clips failed")
    early = EARLY * max(1, where.workers)
    part_s = (done_s[-1] - done_s[early - 1]) / (len(done_s) - early)
    return {"part_s": part_s, "wall_s": wall_s, "around_s": wall_s - part_s * len(done_s)}


def _cut(part: Slice, clips: int) -> list[Slice]:
    names = [clip.id for clip in part.clips]
    return [part.only(names[first : first + clips]) for first in range(0, len(names), clips)]


def main(workers: Workers) -> dict[str, object]:
    """Run every way in turns; compare round by round."""
    rounds = [{name: extract(workers, *way) for name, way in WAYS.items()} for _ in range(workers.rounds)]
    part_s = [{name: row["part_s"] for name, row in found.items()} for found in rounds]
    return {
        "parts": workers.parts,
        "media_s_per_part": workers.clips * CLIP_S,
        "ways": {
            name: {figure: statistics.median(row[name][figure] for row in rounds) for figure in rounds[0][name]}
            for name in WAYS
        },
        "dask_by_here": statistics.median(row["dask"] / row["here"] for row in part_s),
        "one_by_two": statistics.median(row["one"] / row["two"] for row in part_s),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(setting.read(Workers))) + "\n")
