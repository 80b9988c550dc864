"""Weights from elsewhere: whole or refused with a word, and nothing of a file is ever run."""

import hashlib
import pickle
from pathlib import Path
from types import SimpleNamespace

import fuse_kit
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fuse import handover, models

pytestmark = pytest.mark.usefixtures("one_thread")

NAME = "concat"
SHAPES = {"audio": (5, 4), "text": (4, 8)}


def model(seed, shapes=SHAPES, width=16):
    """Return an untrained model."""
    torch.manual_seed(seed)
    file = models.module(NAME)
    return file.Model(file.Config(width=width), shapes, {"emotion": 7})


def same(one, other):
    """Whether two models have the same weights to the bit."""
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in one.state_dict().items())


def test_our_own_state_gives_its_best_weights(roots, tmp_path):
    """A run's file holds more than one model while it is trained; the best on dev is the one that is meant."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    seed = fuse_kit.seed_of(clips, tmp_path / "run", "train.epochs=6", "train.lr=0.1")
    for progress in seed.epochs():
        seed._save()
        if progress.epoch > progress.best_epoch > 0:
            break
    else:
        pytest.fail("no epoch was worse than one before")
    (path,) = (tmp_path / "run").iterdir()
    fresh = fuse_kit.seed_of(clips, tmp_path / "other").model
    handover.from_file(NAME, fresh, path)
    assert not same(fresh, seed.model)
    assert same(fresh, seed.best())
    assert roots


@pytest.mark.parametrize("key", ["", *handover.NESTED])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_of_training_code_are_read(tmp_path, key, prefix):
    """Weights lie at the top or under a usual name, perhaps as a parallel model named them; the rest is left."""
    given, fresh = model(1), model(2)
    state = {prefix + name: tensor for name, tensor in given.state_dict().items()}
    torch.save({key: state, "epoch": 3, "optimizer": {"lr": 0.1}} if key else state, tmp_path / "authors.pt")
    assert not same(fresh, given)
    handover.from_file(NAME, fresh, tmp_path / "authors.pt")
    assert same(fresh, given)


def test_tensors_without_a_training_state_are_read(tmp_path):
    """A plain safetensors file is a checkpoint like any other."""
    given, fresh = model(1), model(2)
    save_file(given.state_dict(), tmp_path / "authors.safetensors")
    handover.from_file(NAME, fresh, tmp_path / "authors.safetensors")
    assert same(fresh, given)


def test_a_model_may_know_the_authors_names(tmp_path, monkeypatch):
    """`from_reference` of the model's file turns their names into ours; our own states need no turning."""
    given, fresh = model(1), model(2)

    def from_reference(state):
        return {name.removeprefix("theirs/"): tensor for name, tensor in state.items()}

    monkeypatch.setattr(models.module(NAME), "from_reference", from_reference, raising=False)
    for prefix in ("theirs/", "best/"):
        torch.save({prefix + name: x for name, x in given.state_dict().items()}, tmp_path / "authors.pt")
        handover.from_file(NAME, fresh, tmp_path / "authors.pt")
        assert same(fresh, given)
        fresh = model(2)


class Runs:
    """A pickle of this writes a file when it is read carelessly."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        """Say what reading is to do."""
        return Path.write_text, (self.path, "it ran")


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("name", ["authors.pt", "authors.bin", "authors.safetensors"])
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(tmp_path, name, protocol):
    """Whatever it is called, and as a plain pickle or in torch's own wrapping."""
    trap, path = tmp_path / "ran", tmp_path / name
    path.write_bytes(pickle.dumps({"weights": Runs(trap)}, protocol))
    with pytest.raises(ValueError, match=rf"{name}: expected a file of weights and nothing that would run"):
        handover.from_file(NAME, model(1), path)
    torch.save({**model(1).state_dict(), "more": Runs(trap)}, path)
    with pytest.raises(ValueError, match=rf"{name}: expected a file of weights and nothing that would run"):
        handover.from_file(NAME, model(1), path)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Runs(trap)))  # noqa: S301 - the test's own control: it would have run
    assert trap.exists()


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x02N.", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_what_is_no_file_of_weights_is_refused(tmp_path, content, name):
    """Damaged files are named, and no stack trace is shown for them."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: expected"):
        handover.from_file(NAME, model(1), tmp_path / name)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"model": {"weight": [1, 2]}}, [torch.ones(2)], torch.ones(2)])
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    """The message says where tensors are looked for."""
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt: expected tensors by name, at the top or under model_state_dict"):
        handover.from_file(NAME, model(1), tmp_path / "a.pt")


def test_shapes_that_do_not_fit_are_named(tmp_path):
    """Weights of another width name the first place where they differ."""
    torch.save(model(1, width=8).state_dict(), tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt does not fit concat as this recipe builds it: (.|\n)*heads\.emotion"):
        handover.from_file(NAME, model(1), tmp_path / "a.pt")


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_all_weights_come_from_the_file_or_none(tmp_path, change):
    """One that is missing would stay random, and one too many belongs to another model."""
    state = dict(model(1).state_dict())
    if change == "missing":
        del state["heads.emotion.bias"]
    else:
        state["heads.sentiment.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"does not fit concat (.|\n)*heads\."):
        handover.from_file(NAME, model(1), tmp_path / "a.pt")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path, wrong):
    """The tensor that holds them is named."""
    state = model(1).state_dict()
    state["heads.emotion.bias"][2] = wrong
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt: heads\.emotion\.bias holds numbers that are not finite"):
        handover.from_file(NAME, model(1), tmp_path / "a.pt")


def test_a_file_is_known_by_its_content(tmp_path):
    """The name of a run follows from what is in the file; one that is not there is named."""
    (tmp_path / "a").write_bytes(b"weights")
    assert handover.digest(tmp_path / "a") == hashlib.sha256(b"weights").hexdigest()[:16]
    with pytest.raises(ValueError, match=r"FROM: cannot read .*/b: No such file"):
        handover.digest(tmp_path / "b")


# Stages.


def test_stages_give_whatever_fits():
    """By default weights of the same name and shape are taken; all others stay as they were drawn."""
    audio, fresh, drawn = model(1, {"audio": (5, 4)}), model(2), model(2)
    handover.from_stages(NAME, fresh, {"audio": audio.state_dict()})
    assert drawn.heads["emotion"].weight.shape != audio.heads["emotion"].weight.shape
    for name, tensor in fresh.state_dict().items():
        left = name == "heads.emotion.weight" or name.startswith("projections.text")
        assert torch.equal(tensor, (drawn if left else audio).state_dict()[name]), name


def test_of_two_stages_the_later_one_counts():
    """Where both have a weight, it is as the later stage left it."""
    first, second, fresh = model(1, {"audio": (5, 4)}), model(2, {"audio": (5, 4)}), model(3)
    handover.from_stages(NAME, fresh, {"first": first.state_dict(), "second": second.state_dict()})
    assert torch.equal(fresh.projections["audio"][1].weight, second.projections["audio"][1].weight)


def test_stages_of_which_nothing_fits_are_refused():
    """Training on would forget them without a word."""
    with pytest.raises(ValueError, match="concat: none of the weights of audio, text fits"):
        handover.from_stages(NAME, model(1), {"audio": nn.Linear(2, 2).state_dict(), "text": {}})


def test_a_model_may_say_what_stages_give_it(monkeypatch):
    """`begin` of the model's file has the last word."""
    told = SimpleNamespace()
    monkeypatch.setattr(models.module(NAME), "begin", lambda *given: vars(told).update(given=given), raising=False)
    fresh, states = model(1), {"audio": {}}
    handover.from_stages(NAME, fresh, states)
    assert told.given == (fresh, states)
