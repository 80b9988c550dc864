"""ResEmoteNet computes what the authors' code computes, and the comparison notices the mistakes one could make."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import fill
from torch import nn

from extract.encoders import resemotenet
from extract.faces import PRESETS, cut, gray

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parent / "golden" / "resemotenet.npz"


@pytest.fixture(scope="module")
def golden():
    """Read what the authors' code gave for weights and inputs that are made from names."""
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture(scope="module")
def network(golden):
    """Build the network with the golden weights, under the authors' names."""
    meta = json.loads(str(golden["meta"]))
    state = fill.fill_({name: torch.zeros(shape) for name, shape in meta["state_dict"].items()}, seed=meta["seed"])
    with torch.device("meta"):
        built = resemotenet.build()
    built.load_state_dict(state, strict=True, assign=True)
    return built.eval().requires_grad_(requires_grad=False)


def pictures():
    """Return the two golden pictures."""
    coarse = torch.from_numpy(fill.inputs("resemotenet.low", (2, 3, 8, 8), 0))
    fine = torch.from_numpy(fill.inputs("resemotenet.image", (2, 3, 64, 64), 0))
    return 0.5 * fine + coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)


def assert_golden(got, expected):
    """Compare within the tolerance that the golden file states."""
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-4, atol=1e-6)


def test_features_match_the_authors(golden, network):
    """The 256 features after the ReLU, the seven logits behind them, and every stage are those of the authors' code."""
    stages, blocks = {}, {"se": "se", "res1": "res_block1", "res2": "res_block2", "res3": "res_block3"}
    for name, block in blocks.items():
        keep = functools.partial(lambda name, _, __, found: stages.update({name: found}), name)
        network.get_submodule(block).register_forward_hook(keep)
    features = network(pictures())
    assert_golden(features, golden["features"])
    assert_golden(network.fc4(features), golden["logits"])
    for name, found in stages.items():
        assert_golden(found.mean((2, 3)), golden[f"{name}_mean"])


def no_weighing(network, patch):
    """Leave the channels as they are."""
    patch.setattr(network.se, "forward", lambda x: x)


def no_bias(network, patch):
    """Drop the biases of the shortcuts."""
    for block in (network.res_block1, network.res_block2, network.res_block3):
        patch.setitem(block.shortcut[0]._parameters, "bias", None)


def other_norms(network, patch):
    """Divide as EmoAffectNet does."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            patch.setattr(module, "eps", 1e-3)


@pytest.mark.parametrize(("mistake", "change"), [(no_weighing, 0.2), (no_bias, 0.02), (other_norms, 5e-4)])
def test_a_mistake_is_noticed(golden, network, monkeypatch, mistake, change):
    """Each way of building it wrongly moves the features far beyond the tolerance."""
    mistake(network, monkeypatch)
    assert np.abs(network(pictures()).numpy() - golden["features"]).max() > change


@pytest.mark.parametrize("i", range(3))
def test_preparation_matches_the_authors(golden, i):
    """A face of any size is cut, brought to 64 pixels, turned to gray and normalised as the authors do."""
    height, width = (int(side) for side in golden[f"prep_size_{i}"])
    image = fill.integers(f"resemotenet.prep.{i}", (height, width, 3), 0, 0, 256).astype(np.uint8)
    spec = resemotenet.SPEC
    face = cut(image, np.array([0, 0, width, height, 1], np.float32), PRESETS[spec.preset], spec.size_px, spec.resize)
    found = resemotenet.prepared(torch.from_numpy(gray(face[None])))[0].numpy()
    np.testing.assert_allclose(found[:, 1::4, 2::4], golden[f"prep_strided_{i}"], atol=0.02)
    np.testing.assert_allclose(found.mean((1, 2)), golden[f"prep_mean_{i}"], atol=0.02)


def test_nobody_is_the_picture_of_nothing(network):
    """Where there is no face, features are those of an input of zeros, whatever is shown and whoever stands beside."""
    shown = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    found = resemotenet.ready(network, "cpu")(shown, np.array([1, 0, 1]))
    assert found.shape == (3, 1, 256)
    np.testing.assert_allclose(found[1], network(torch.zeros(1, 3, 64, 64)), atol=1e-6)
    np.testing.assert_allclose(found[[0, 2]], resemotenet.ready(network, "cpu")(shown[[0, 2]], np.ones(2)), atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_checkpoints_are_read_as_weights_alone(tmp_path):
    """Weights beside other things, as published, and bare weights are read; a file that would run code is refused."""
    state = {"fc4.bias": torch.zeros(7)}
    for name, saved in {"bare": state, "held": {"model_state_dict": state, "epoch": 80}}.items():
        torch.save(saved, tmp_path / name)
        assert resemotenet.read([tmp_path / name]).keys() == state.keys()
    torch.save({"model_state_dict": print}, tmp_path / "bad")
    with pytest.raises(Exception, match="Weights only load failed"):
        resemotenet.read([tmp_path / "bad"])
