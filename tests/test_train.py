"""The loop: same seed, same numbers; killed and continued, same weights."""

import os
import signal
import subprocess
import sys
import time

import fuse_kit
import pytest
import torch
from safetensors.torch import load_file

from fuse import data, protocol, train
from fuse.train import Seed

pytestmark = pytest.mark.usefixtures("roots")


@pytest.fixture
def joined():
    """The small corpus, joined."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    return clips


def seed_of(clips, folder, *settings, number=0):
    """One seed of the small recipe."""
    recipe = fuse_kit.load_recipe("concat", *settings)
    split = protocol.official(clips)
    return Seed(data.load(clips, recipe, split.train), split, recipe, number, folder)


def weights(seed):
    """The model that is scored."""
    return seed.best().state_dict()


def same(one, other):
    """Whether two sets of weights are equal to the bit."""
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_same_seed_same_numbers(joined, tmp_path):
    """Two runs of a seed agree to the bit; another seed does not."""
    runs = [seed_of(joined, tmp_path / str(i), number=number) for i, number in enumerate((0, 0, 1))]
    histories = [[dict(p.history[-1]) for p in run.epochs()] for run in runs]
    assert histories[0] == histories[1]
    assert same(weights(runs[0]), weights(runs[1]))
    assert not same(weights(runs[0]), weights(runs[2]))


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_stopped_and_continued_ends_with_the_same_weights(joined, tmp_path, monkeypatch, stop):
    """Whatever epoch a run is dropped at, the next one goes on to equal weights and history."""
    monkeypatch.setattr(train, "SAVE_EVERY_S", 0.0)
    whole = seed_of(joined, tmp_path / "whole")
    list(whole.epochs())
    for _, progress in zip(range(stop), seed_of(joined, tmp_path / "cut").epochs(), strict=False):
        assert progress.epoch <= stop
    again = seed_of(joined, tmp_path / "cut")
    assert again.progress.epoch == stop
    list(again.epochs())
    assert again.progress == whole.progress
    assert same(weights(again), weights(whole))


def test_a_finished_seed_is_not_trained_again(joined, tmp_path):
    """Its best weights alone stay on the disk, and come back."""
    first = seed_of(joined, tmp_path)
    list(first.epochs())
    again = seed_of(joined, tmp_path)
    assert again.over
    assert not list(again.epochs())
    assert same(weights(again), weights(first))
    assert all(name.startswith("best/") for name in load_file(tmp_path / "seed-0.safetensors"))


def test_the_best_epoch_on_dev_is_kept(joined, tmp_path):
    """The weights that are scored give the best dev score of the history."""
    seed = seed_of(joined, tmp_path, "train.epochs=8")
    list(seed.epochs())
    best = max(seed.progress.history, key=lambda record: record["score"])
    assert seed.progress.history[seed.progress.best_epoch - 1] == best
    seed.best()
    assert seed._score()["score"] == pytest.approx(best["score"])


def test_patience_stops_early(joined, tmp_path):
    """Without a better dev score training ends after `patience` epochs more."""
    seed = seed_of(joined, tmp_path, "train.epochs=50", "train.patience=2", "train.lr=0.0", "train.min_lr=0.0")
    list(seed.epochs())
    assert (seed.progress.epoch, seed.progress.best_epoch) == (3, 1)


def test_the_learning_rate_is_half_a_cosine(joined, tmp_path):
    """It starts at lr, never rises, and ends near min_lr."""
    seed = seed_of(joined, tmp_path, "train.epochs=20", "train.patience=100", "train.min_lr=1e-4")
    list(seed.epochs())
    rates = [record["lr"] for record in seed.progress.history]
    assert rates[0] == pytest.approx(1e-2)
    assert rates == sorted(rates, reverse=True)
    assert 1e-4 < rates[-1] < 3e-4


def test_class_weights_are_balanced_over_training(joined, tmp_path):
    """N / (K n_k): absent classes weigh nothing, and `none` switches them off."""
    weighed = seed_of(joined, tmp_path)._weights["emotion"]
    torch.testing.assert_close(weighed, torch.tensor([24 / 7 / 6] * 4 + [0.0] * 3))
    assert seed_of(joined, tmp_path, "train.class_weights=none")._weights["emotion"] is None


def test_training_learns(joined, tmp_path):
    """The dev score rises well above chance on what can be learnt."""
    seed = seed_of(joined, tmp_path, "train.epochs=30", "train.patience=30")
    list(seed.epochs())
    assert seed.progress.best_score > 0.8


def test_a_state_of_something_else_is_refused(joined, tmp_path):
    """A damaged or foreign state is named, with what to do."""
    (tmp_path / "seed-0.safetensors").write_bytes(b"not tensors")
    with pytest.raises(ValueError, match=r"seed-0\.safetensors is not the state of this run .* delete it"):
        seed_of(joined, tmp_path)


def test_killed_for_real_and_continued(joined, roots):
    """A process killed with SIGKILL in the middle of training leaves a state from which the same command goes on."""
    command = [sys.executable, "-m", "fuse", "concat", "--corpus", "demo", "--seeds", "1", "--set"]
    command += ["encoders.audio=mfcc", "train.epochs=4000", "train.patience=4000", "train.batch=8"]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(roots.glob("**/seed-0.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (state,) = roots.glob("**/seed-0.safetensors")
    recipe = fuse_kit.load_recipe("concat", "train.epochs=4000", "train.patience=4000", "train.lr=3e-4")
    split = protocol.official(joined)
    again = Seed(data.load(joined, recipe, split.train), split, recipe, 0, state.parent)
    assert 0 < again.progress.epoch < 4000
    assert next(again.epochs()).epoch == len(again.progress.history)
