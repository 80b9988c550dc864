"""Real runs of the real command, and what befalls them: kills, hangs, full disks."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import media_kit as kit

import manifests

HERE = Path(__file__).parent
TOYS = "toy_audio,toy_frames,toy_text"


def films(folder, files=4, segments=33):
    """Make a corpus of films with many clips in each: as many slices as films, for two would be too many clips."""
    folder.mkdir(parents=True)
    clips = []
    for file in range(files):
        film = kit.Film(fps=Fraction(10))
        pictures = [kit.picture(i) for i in range(5 * segments)]
        kit.write(folder / f"{file}.mkv", pictures, kit.noise(segments / 2, 16_000, file), film=film)
        for i in range(segments):
            track = {"path": f"{file}.mkv", "start_s": i / 2, "end_s": i / 2 + 0.3 + i / 200}
            clips.append(kit.clip(track, track, id=f"{file}_{i}", text=f"{file} {i}!"))
    made = kit.manifest(folder, clips)
    manifests.write(made)
    return made


def command(*options, corpus="toys", encoders=TOYS):
    """Return the command line of an extraction."""
    return [sys.executable, "-m", "extract", "run", corpus, "--encoders", encoders, *options]


def environment(cache, **more):
    """Return the environment of a run that may be struck."""
    path = os.pathsep.join([str(HERE / "killer"), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"FEATURES_ROOT": str(cache), "PYTHONPATH": path} | {n: str(v) for n, v in more.items()}


def run(cache, *options, corpus="toys", encoders=TOYS, seconds=120, **more):
    """Run to the end, whatever that is."""
    return subprocess.run(
        command(*options, corpus=corpus, encoders=encoders),
        cwd=HERE.parent,
        env=environment(cache, **more),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def parts(cache):
    """Return the parts and keys of a cache, byte for byte."""
    found = kit.snapshot(cache)
    return {name: content for name, content in found.items() if name.endswith((".h5", "spec.json"))}
