"""Whether a clip costs the same late in a large corpus: `python tests/bench/growth.py` prints JSON.

Small encoders on clips of one second, which are one sound and one film under many names. The seconds are those of
planning and working; the worker process is started, and has worked on one clip, before they begin. Its memory is what
Linux says of it.
"""

import json
import os
import re
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av
import media
import numpy as np
import setting

from extract.guard import Guard
from extract.plan import plan, wants
from extract.slices import Job
from manifests import Audio, Clip, Manifest, Video

RATE_HZ, FPS, HEIGHT, WIDTH = 8_000, 10, 48, 64


@dataclass(frozen=True)
class Growth:
    """How many clips: few, many and very many; in how many rounds."""

    sizes: str = "100,1000,10000"
    rounds: int = 3
    encoders: str = "mfcc,toy_frames,toy_text"


def corpus(clips: int) -> Manifest:
    """Return so many clips; those that are not there yet are made."""
    folder = (media.bench_folder() / "tiny").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sound, film = folder / "one.wav", folder / "one.mp4"
    if not film.exists():
        media.write_noise(sound, 1, RATE_HZ)
        _write_film(film)
    return Manifest("bench", folder, tuple(_clip(i, sound, film) for i in range(clips)))


def _clip(i: int, sound: Path, film: Path) -> Clip:
    tracks = {"audio": Audio(media.another(sound, i)), "video": Video(media.another(film, i))}
    return Clip(f"clip{i}", "bench", "train", text=f"Word {i}.", **tracks)


def _write_film(path: Path) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for level in range(FPS):
            picture = np.full((HEIGHT, WIDTH, 3), 20 * level, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))


def extract(clips: int, encoders: str) -> dict[str, float]:
    """Fill an empty cache; return the seconds that planning and working took, and the worker's memory at its peak."""
    made = corpus(clips)
    first = made.clips[0].id
    with tempfile.TemporaryDirectory(dir=media.bench_folder()) as place:
        os.environ["FEATURES_ROOT"] = place
        wanted = wants(made.corpus, encoders.split(","))
        with closing(Guard(Job(made.root, tuple(wanted)))) as guard:
            for part in plan(made, wanted, lambda clip: clip.id == first).slices:
                guard.work(part)
            for want in wanted:
                (want.folder / "index.jsonl").unlink(missing_ok=True)
                for part in want.folder.glob("part-*"):
                    part.unlink()
            began_s = time.perf_counter()
            todo = plan(made, wanted)
            planned_s = time.perf_counter()
            failed = set[str]().union(*(guard.work(part).failed for part in todo.slices))
            ended_s = time.perf_counter()
            if failed:
                raise RuntimeError(f"expected every clip to go well, {len(failed)} failed")
            peak_mb = _peak_mb(guard._process.pid)
    return {"wall_s": ended_s - began_s, "plan_s": planned_s - began_s, "peak_mb": peak_mb}


def _peak_mb(process: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024 / 1e6


def main(growth: Growth) -> dict[str, object]:
    """Extract corpora of every size in turns; slopes are compared round by round."""
    sizes = [int(size) for size in growth.sizes.split(",")]
    runs = [{size: extract(size, growth.encoders) for size in sizes} for _ in range(growth.rounds)]
    rows = {
        size: {name: statistics.median(run[size][name] for run in runs) for name in runs[0][size]} for size in sizes
    }
    small, middle, large = sizes
    slopes = [(_slope_s(run, middle, large), _slope_s(run, small, middle)) for run in runs]
    return {
        "sizes": rows,
        "late_clip_s": statistics.median(late_s for late_s, _ in slopes),
        "early_clip_s": statistics.median(early_s for _, early_s in slopes),
        "slope_by_slope": statistics.median(late_s / early_s for late_s, early_s in slopes),
        "peak_by_peak": rows[large]["peak_mb"] / rows[small]["peak_mb"],
    }


def _slope_s(run: dict[int, dict[str, float]], few: int, many: int) -> float:
    return (run[many]["wall_s"] - run[few]["wall_s"]) / (many - few)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(setting.read(Growth))) + "\n")
