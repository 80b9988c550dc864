"""Sharing as a lab does it, by commands: what two people extracted in their own ways is one cache afterwards."""

import dataclasses
import os
from pathlib import Path

import command_kit
import media_kit as kit
import numpy as np
import pytest

import manifests
from features import Reader
from features.entries import entries
from features.roots import root
from manifests.licence import PARTS, Licence

TOYS = "toy_audio,toy_frames,toy_text"


def run(*words, **environment):
    """Run a module as a command; return what it printed."""
    return command_kit.run([*map(str, words)], os.environ | environment)


@pytest.fixture
def corpus(roots):
    """Make the small corpus, which everything of may be shared, and its manifest."""
    made = kit.small_corpus(roots / "media")
    clips = [dataclasses.replace(clip, licence=Licence("free", PARTS).tag) for clip in made.clips]
    made = dataclasses.replace(made, clips=tuple(clips))
    manifests.write(made)
    return made


@pytest.mark.slow
@pytest.mark.usefixtures("corpus")
def test_caches_made_in_different_ways_merge_to_one(roots, monkeypatch):
    """One person extracts in two goes by one process, another at once by two: pushed, each clip is there once."""
    own = {name: str(roots / name) for name in ("one", "other")}
    run("extract", "run", "toys", "--encoders", TOYS, "--limit", "4", FEATURES_ROOT=own["one"], OMP_NUM_THREADS="1")
    run("extract", "run", "toys", "--encoders", TOYS, FEATURES_ROOT=own["one"], OMP_NUM_THREADS="1")
    run("extract", "run", "toys", "--encoders", TOYS, "--workers", "2", FEATURES_ROOT=own["other"])
    lab = str(roots / "lab")
    for top in own.values():
        run("features", "push", lab, "toys", FEATURES_ROOT=top)
    found = {}
    for name, top in {**own, "lab": lab}.items():
        monkeypatch.setenv("FEATURES_ROOT", top)
        found[name] = {folder.name: dict(Reader(folder)) for folder in entries("toys")}
    for name, clips in found["lab"].items():
        folder = Path(lab) / "toys" / name
        with Reader(folder, alone=True) as reader:
            assert sum(len(rows.clips) for rows in reader.rows.values()) == len(clips)
        for theirs in found.values():
            assert theirs[name].keys() == clips.keys()
            assert all(np.array_equal(theirs[name][clip].values, clips[clip].values) for clip in clips)
    assert {len(clips) for clips in found["lab"].values()} == {6, 5, 7}
    run("features", "verify", FEATURES_ROOT=lab)


@pytest.mark.usefixtures("corpus")
def test_what_a_colleague_made_is_not_made_again(roots):
    """Behind one's own cache, a shared one leaves nothing to do; what it lacks goes to one's own, and both are read."""
    lab, own = str(roots / "lab"), str(roots / "own")
    run("extract", "run", "toys", "--encoders", TOYS, "--limit", "6", FEATURES_ROOT=lab)
    before = {path: path.stat().st_mtime_ns for path in Path(lab).rglob("*.h5")}
    both = os.pathsep.join((own, lab))
    said = run("extract", "run", "toys", "--encoders", TOYS, FEATURES_ROOT=both)
    assert "3 clips" in said
    assert "nothing to do" in run("extract", "run", "toys", "--encoders", TOYS, FEATURES_ROOT=both)
    assert {path: path.stat().st_mtime_ns for path in Path(lab).rglob("*.h5")} == before
    listed = [line.split()[:3] for line in run("features", "ls", FEATURES_ROOT=both).splitlines()[1:]]
    assert sorted(int(line[2]) for line in listed) == [5, 6, 7]


@pytest.mark.usefixtures("corpus")
def test_an_entry_tells_its_making(roots):
    """What extraction leaves is enough for a methods section, the terms of the corpus and the command once more."""
    run("extract", "run", "toys", "--encoders", "toy_text")
    shown = run("features", "show", "toys")
    assert "Features were computed with toy_text (version 1" in shown
    assert "terms of the corpus: free; may leave under them: raw, transcript, labels, features" in shown
    assert "made again by: make features CORPUS=toys ENCODERS=toy_text" in shown
    assert root().is_relative_to(roots)
