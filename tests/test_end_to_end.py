"""The whole line: one clip travels from manifest to report, through the commands that a user types."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from command_kit import ROOT, run

from fuse import data, floors, metrics, models, protocol, recipe
from manifests import read
from manifests.labels import TASKS


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo corpus, made and extracted by the real commands, once for this file."""
    place = tmp_path_factory.mktemp("line")
    names = {"FEATURES_ROOT": "features", "MANIFESTS_ROOT": "manifests", "RUNS_ROOT": "runs", "DEMO_ROOT": "demo"}
    environment = {**os.environ, **{name: str(place / folder) for name, folder in names.items()}}
    for command in (["manifests", "demo"], ["extract", "run", "demo"]):
        run(command, environment)
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setenv(name, environment[name])
        yield environment


def linear_score(*modalities):
    """The selection score on dev, mean macro F1 over tasks, of the linear floor on some modalities."""
    chosen = recipe.load("concat", [f"modalities={','.join(modalities)}"], corpora=("demo",))
    clips = read("demo").clips
    split = protocol.official(clips)
    joined = data.load(clips, chosen).standardised(split.train)
    said = floors.linear(joined, split, ("dev",))["linear floor"]["dev"]
    found = []
    for task in chosen.tasks:
        truth = joined.labels[task][list(split.dev)].argmax(dim=1).numpy()
        found.append(metrics.single(truth, said[task].shares.argmax(axis=1), len(TASKS[task].classes))["mf1"])
    return sum(found) / len(found)


def test_extracting_again_decodes_nothing(demo):
    """The second run finds everything in the cache and says so."""
    assert "nothing to do: every chosen clip is in the cache. 0 media files opened." in run(
        ["extract", "run", "demo"], demo
    )


def test_the_cache_is_whole(demo):
    """Every part of the demo cache has the digest of its data."""
    assert ", 0 damaged" in run(["features", "verify", "demo"], demo)


@pytest.mark.usefixtures("demo")
def test_each_modality_carries_only_part_of_the_label():
    """On dev the best single modality stays below 0.8 x the fused score."""
    fused = linear_score("audio", "video", "text")
    best = max(linear_score(modality) for modality in ("audio", "video", "text"))
    assert fused > 0.8
    assert best < 0.8 * fused


def report_of(out):
    """The folder of the report that a run names in its last line."""
    return ROOT / Path(out.strip().splitlines()[-1].removeprefix("report: ")).parent


def test_lefsa_trains_to_a_report(demo):
    """The fused model is far above the majority line, and the report says what made it and what it is worth."""
    folder = report_of(run(["fuse", "lefsa", "--corpus", "demo", "--seeds", "1", "--set", "train.epochs=12"], demo))
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "mean nothing about emotion in the world" in text
    assert "face_hog-" in text
    lines = {
        line["line"]: line["mean"]
        for line in json.loads((folder / "report.json").read_text())["scores"]["emotion"]["demo"]["dev"]
    }
    assert lines["lefsa"]["mf1"] > 0.6 > 4 * lines["majority"]["mf1"]


@pytest.mark.slow
def test_a_trained_single_modality_stays_below_the_fused_model(demo):
    """The same holds for trained networks: the best of audio, video and text alone against LEFSA."""

    def trained(model, *settings):
        out = run(["fuse", model, "--corpus", "demo", "--seeds", "3", "--set", "train.patience=15", *settings], demo)
        seeds = json.loads((report_of(out) / "report.json").read_text())["folds"][0]["seeds"]
        return sum(seed["history"][seed["epoch"] - 1]["score"] for seed in seeds) / len(seeds)

    best = max(trained("concat", f"modalities={modality}") for modality in ("audio", "video", "text"))
    assert best < 0.8 * trained("lefsa")


@pytest.mark.slow
def test_demo_media_that_are_gone_are_made_again(demo):
    """Whoever deletes the demo corpus gets it back, byte for byte: nothing is stale."""
    shutil.rmtree(demo["DEMO_ROOT"])
    out = run(["extract", "run", "demo", "--encoders", "minilm,egemaps"], demo)
    assert "nothing to do" in out
    assert (Path(demo["DEMO_ROOT"]) / "demo.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("model", models.names())
def test_every_model_beats_chance_on_the_demo_corpus(demo, model):
    """Each fusion model, with the default recipe, is on dev well above whoever always says the most frequent class."""
    modalities = getattr(models.module(model), "MODALITIES", ("audio", "video", "text"))
    settings = ["train.epochs=25", "train.lr=1e-3", "encoders.audio=mfcc", f"modalities={','.join(modalities)}"]
    out = run(["fuse", model, "--corpus", "demo", "--seeds", "1", "--set", *settings], demo)
    found = json.loads((report_of(out) / "report.json").read_text())["scores"]
    for task in ("emotion", "sentiment"):
        lines = {line["line"]: line["mean"]["mf1"] for line in found[task]["demo"]["dev"]}
        assert lines[model] > 1.5 * lines["majority"], (task, lines)


@pytest.mark.slow
def test_a_papers_table_prints_every_row(demo):
    """All ten rows of paper 000's table are trained on what stands in for its features here, and printed."""
    out = run(["fuse", "table1", "--corpus", "demo", "--set", "train.epochs=2"], demo)
    rows = re.findall(r"^\| (\d\d)-(?:wav2vec2|exhubert)\S+ +\| +[\d.]+ ", out, re.MULTILINE)
    assert rows == [f"{number:02}" for number in range(1, 11)]
    assert "egemaps stands in for wav2vec2_msp" in out
