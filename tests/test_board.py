"""What TensorBoard is given of a run: the report's own numbers, each epoch once, and never a run that fails for it."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import fuse_kit
import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tensorboardX.record_writer import masked_crc32c

from fuse import board, recipe, train
from fuse.__main__ import _run, main

RUN = ["concat", "--corpus", "demo", "--seeds", "1", "--set", "encoders.audio=mfcc", "train.epochs=4"]


@pytest.fixture(autouse=True)
def _cache(roots):  # noqa: ARG001 - it says where the cache lies
    fuse_kit.store(fuse_kit.clips())


def events(path):
    """Read a file of events, each with the checksums that TensorBoard compares."""
    data, found = path.read_bytes(), []
    while data:
        length, of_length = struct.unpack("<QI", data[:12])
        event, (of_event,) = data[12 : 12 + length], struct.unpack("<I", data[12 + length : 16 + length])
        assert (masked_crc32c(data[:8]), masked_crc32c(event)) == (of_length, of_event)
        found.append(Event.FromString(event))
        data = data[16 + length :]
    return found


def values(path):
    """Return every number of a file: tag to steps and values, as they follow each other."""
    found = {}
    for event in events(path):
        for one in event.summary.value:
            if one.WhichOneof("value") == "simple_value":
                found.setdefault(one.tag, []).append((event.step, one.simple_value))
    return found


def trained(*settings):
    """Train as the command does, without a report; return the history by fold and seed, and their files."""
    table = recipe.table("concat", [*fuse_kit.QUICK, "modalities=text", "tasks=emotion", *settings], corpora=["demo"])
    run, experiment = _run(table.rows[0], table, "", fresh=False)
    seeds = {
        f"{fold.name.replace(' ', '-')}-seed-{one.seed}".removeprefix("-"): one.history
        for fold in run.folds
        for one in fold.outcomes
    }
    return seeds, {path.parent.name: path for path in (experiment.folder / "board").glob(f"*/{board.FILE}")}


def same_as_history(found, history):
    """Compare the curves of a seed with the history in its report: each epoch once, in order, the same numbers."""
    for name, (first, *_) in {name: [one[name] for one in history] for name in history[0]}.items():
        tag = next(tag for tag in found if tag in {f"train/{name}", f"dev/{name}"})
        assert found[tag][0] == (1, pytest.approx(first))
        assert found[tag] == [(epoch, pytest.approx(one[name])) for epoch, one in enumerate(history, start=1)]
    return True


def test_the_curves_are_the_history():
    """Every fold and seed has its own curves, with the learning rate, losses and dev scores of its history."""
    seeds, files = trained("protocol=random", "folds=3", "seeds=2")
    assert len(seeds) == 6
    assert files.keys() == seeds.keys()
    for name, history in seeds.items():
        found = values(files[name])
        assert same_as_history(found, history)
        assert [step for step, _ in found["train/seconds"]] == [1, 2, 3, 4]


def test_scores_and_recipe_stand_beside_the_curves(roots):
    """As in the report: test scores at the chosen epoch, what was set as a table compares it, the recipe to read."""
    assert main(RUN) == 0
    (report,) = roots.glob("runs/*/report.json")
    (file,) = report.parent.glob(f"board/seed-0/{board.FILE}")
    numbers, found = json.loads(report.read_text()), values(file)
    (seed,) = numbers["folds"][0]["seeds"]
    assert same_as_history(found, seed["history"])
    (line,) = [one for one in numbers["scores"]["emotion"]["demo"]["test"] if one["role"] == "model"]
    scores = {name: x for name, x in line["each"][0].items() if name not in {"fold", "seed"} and x is not None}
    assert scores
    for name, score in scores.items():
        assert found[f"test/{name} emotion"] == [(seed["epoch"], pytest.approx(score))]
    shown = {one.tag: one for event in events(file) for one in event.summary.value}
    assert json.loads(shown["recipe/text_summary"].tensor.string_val[0]) == numbers["provenance"]["recipe"]
    plugin = shown["_hparams_/session_start_info"].metadata.plugin_data
    set_to = HParamsPluginData.FromString(plugin.content).session_start_info.hparams
    assert set_to["train.epochs"].number_value == 4
    assert set_to["model"].string_value == "concat"


def test_a_killed_run_has_each_epoch_once(roots, monkeypatch):
    """An epoch that was drawn and not saved, and a torn end, are gone when the run goes on; times are kept."""
    monkeypatch.setattr(train, "SAVE_EVERY_S", 0)

    class Killed(board.Board):
        def note(self):
            super().note()
            epoch = self._seed.progress.epoch
            monkeypatch.setattr(train, "SAVE_EVERY_S", 0 if epoch < 2 else 1e9)
            if epoch == 3:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(board, "Board", Killed)
        with pytest.raises(KeyboardInterrupt):
            trained()
    (file,) = roots.glob(f"runs/*/board/*/{board.FILE}")
    before = values(file)
    assert [step for step, _ in before["train/loss"]] == [1, 2, 3]
    file.write_bytes(file.read_bytes() + file.read_bytes()[:70])
    seeds, _ = trained()
    after = values(file)
    assert same_as_history(after, seeds["seed-0"])
    assert after["train/seconds"][:2] == before["train/seconds"][:2]
    assert [path.name for path in file.parent.iterdir()] == [board.FILE]


def test_a_finished_run_is_told_again_and_once():
    """The same command changes no number; curves that were deleted or are no curves come back."""
    _, files = trained()
    first = values(files["seed-0"])
    trained()
    assert values(files["seed-0"]) == first
    files["seed-0"].write_bytes(struct.pack("<QI", 5, 0) + b"\xff" * 40)
    trained()
    again = values(files["seed-0"])
    assert {tag: again.get(tag) for tag in first} == {**first, "train/seconds": None}


@pytest.mark.parametrize("lack", ["library", "place"])
def test_a_run_needs_no_curves(lack, monkeypatch):
    """Without the library, and where nothing can be written, a run is trained as ever."""
    if lack == "library":
        monkeypatch.setitem(sys.modules, "tensorboardX", None)
    else:
        monkeypatch.setattr(board, "path_of", lambda folder, fold, seed: Path("/dev/null", fold, str(seed)))
    seeds, files = trained()
    assert len(seeds["seed-0"]) == 4
    assert files == {}


def test_a_full_disk_adds_nothing():
    """A record that finds no room is no error."""
    assert not board._added(Path("/dev/full"), b"record")


def test_nothing_heavy_is_imported_for_it():
    """The library, and torch with it, is imported when there is something to write."""
    code = "import sys, fuse.board; print({'tensorboardX', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
