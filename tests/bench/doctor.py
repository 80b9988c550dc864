"""How long the doctor takes over a tree of MELD's size: `python tests/bench/run.py doctor` prints it.

The films are those that stand in for MELD's (720p, 5.1 sound), copied to two hundred files, each under many
names; all are in memory. The floor opens every file and reads the first 64 KB of it, in one thread.
"""

import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import media
import setting

from manifests import Clip, Found, Manifest, corpus_module, doctor
from manifests.tree import Tree

HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Size:
    """How much is examined."""

    clips: int = 13_708
    copies: int = 200
    """Files that are really there; all others are further names of them."""
    films: int = media.LENGTHS
    """Films that differ."""
    rounds: int = 3


def corpus(size: Size) -> Manifest:
    """Return so many clips, each with a file name of its own; what is not there yet is made."""
    films = media.corpus("meld", size.films)
    folder = media.bench_folder().resolve() / "doctor"
    folder.mkdir(exist_ok=True)
    return Manifest("bench", folder, tuple(_clips(films, folder, size)))


def _clips(films: Manifest, folder: Path, size: Size) -> Iterator[Clip]:
    for i in range(size.clips):
        film = films.clips[i % size.films]
        copy = folder / f"{i % size.copies}.mp4"
        if not copy.exists():
            shutil.copyfile(films.root / film.video.path, copy)
        path = media.another(copy, i)
        audio, video = replace(film.audio, path=path), replace(film.video, path=path)
        yield replace(film, id=f"dia{i // 10}_utt{i % 10}", dialogue_id=f"dia{i // 10}", audio=audio, video=video)


def read(manifest: Manifest) -> None:
    """Open every file and read where its head may be."""
    for clip in manifest.clips:
        with (manifest.root / clip.video.path).open("rb") as file:
            file.read(HEAD_BYTES)


def examine(manifest: Manifest) -> None:
    """Let the doctor look at everything by its head, and refuse a film that it cannot open."""
    report = doctor.examine(Found(manifest, Tree(manifest.root)), corpus_module("meld"))
    if any(finding.what == doctor.UNOPENED for finding in report.findings):
        raise RuntimeError("\n".join(doctor.lines(report)))


def seconds(work: Callable[[Manifest], None], manifest: Manifest, rounds: int) -> float:
    """Return how long work takes, in the middle of so many rounds after one to warm up."""
    took_s = []
    for _ in range(1 + rounds):
        began_s = time.perf_counter()
        work(manifest)
        took_s.append(time.perf_counter() - began_s)
    return statistics.median(took_s[1:])


def main(size: Size) -> dict[str, object]:
    """Measure both."""
    manifest = corpus(size)
    floor_s, took_s = seconds(read, manifest, size.rounds), seconds(examine, manifest, size.rounds)
    return {
        "clips": size.clips,
        "seconds": round(took_s, 2),
        "ms_per_file": round(1000 * took_s / size.clips, 3),
        "floor_ms_per_file": round(1000 * floor_s / size.clips, 3),
        "doctor_by_floor": round(took_s / floor_s, 1),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(setting.read(Size))) + "\n")
