"""EmoAffectNet computes what the authors' code computes, and the comparison notices the mistakes one could make."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import fill
from torch import nn

from extract.encoders import emoaffectnet
from extract.encoders._emoaffectnet import Bottleneck, folded
from extract.faces import PRESETS, cut

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parent / "golden"


def read(name):
    """Read a golden file and what it says of itself."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = dict(file)
    return arrays, json.loads(str(arrays.pop("meta")))


@pytest.fixture(scope="module")
def golden():
    """Read what the authors' code gave for weights and inputs that are made from names."""
    return read("emoaffectnet")[0]


@pytest.fixture(scope="module")
def state():
    """Fill the same weights under the authors' names."""
    meta = read("emoaffectnet")[1]
    return fill.fill_({name: torch.zeros(shape) for name, shape in meta["state_dict"].items()}, seed=meta["seed"])


def network(state):
    """Return the network with the golden weights."""
    built = emoaffectnet.build()
    built.load_state_dict(state, strict=True)
    return built.eval().requires_grad_(requires_grad=False)


def pictures(prepare=emoaffectnet.prepared):
    """Prepare the two golden pictures."""
    images = fill.integers("emoaffectnet.image", (2, 224, 224, 3), 0, 0, 256).astype(np.uint8)
    coarse = torch.from_numpy(fill.inputs("emoaffectnet.low", (2, 3, 7, 7), 0))
    return prepare(torch.from_numpy(images)) / 8 + 40 * coarse.repeat_interleave(32, 2).repeat_interleave(32, 3)


def assert_golden(got, expected):
    """Compare within the tolerance that the golden file states."""
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-4, atol=1e-4)


def test_features_match_the_authors(golden, state):
    """The 512 features before the ReLU, and the seven logits after it, are those of the authors' code."""
    built = network(state)
    features = built(pictures())
    assert_golden(features, golden["features"])
    assert_golden(built.fc2(features.relu()), golden["logits"])
    assert_golden(built(torch.zeros(1, 3, 224, 224)), golden["features_zero_input"])


def test_nobody_is_the_picture_of_nothing(golden, state):
    """Where there is no face, features are the authors' response to an input of zeros, whatever is shown."""
    shown = fill.integers("emoaffectnet.image", (2, 224, 224, 3), 0, 0, 256).astype(np.uint8)
    found = emoaffectnet.ready(network(state), "cpu", "exact")(shown, np.array([0, 1]))
    assert found.shape == (2, 1, 512)
    assert_golden(found[0], golden["features_zero_input"])
    assert np.abs(found[1] - found[0]).max() > 1


def test_every_stage_matches_the_authors(golden, state):
    """The map after each stage matches, so that a difference can be found; corners show the uneven padding."""
    built, maps = network(state), {}
    built.max_pool.register_forward_hook(lambda _, given, found: maps.update(stem=given[0], pool=found))
    for name in ("layer1", "layer2", "layer3", "layer4"):
        built.get_submodule(name).register_forward_hook(lambda _, __, found, name=name: maps.update({name: found}))
    built(pictures())
    for name, found in maps.items():
        assert_golden(found.mean((2, 3)), golden[f"{name}_mean"])
    for name in ("stem", "pool"):
        assert_golden(maps[name][:, :8, :4, -4:], golden[f"{name}_corner"])


def other_norms(built):
    """Divide by torch's usual epsilon."""
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5


def other_strides(built):
    """Move each stride to the convolution that looks around, as torchvision has it."""
    for block in built.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = (1, 1), block.conv1.stride


MISTAKES = {
    "usual epsilon": other_norms,
    "even padding": lambda built: setattr(built, "pad", nn.ZeroPad2d(3)),
    "padded pooling": lambda built: setattr(built, "max_pool", nn.MaxPool2d(3, 2, padding=1)),
    "pooling of halves": lambda built: setattr(built, "max_pool", nn.MaxPool2d(3, 2, ceil_mode=True)),
    "stride on the 3x3": other_strides,
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(golden, state, name):
    """Each way of building it wrongly moves the features a thousand times beyond the tolerance."""
    built = network(state)
    MISTAKES[name](built)
    change = np.abs(built(pictures()).numpy() - golden["features"]).max()
    assert change > 0.2, f"{name} changes the features by {change:.1e}"


def test_the_wrong_order_of_colours_is_noticed(golden, state):
    """Pictures that stay RGB give other features."""
    found = network(state)(pictures(lambda images: emoaffectnet.prepared(images.flip(-1))))
    assert np.abs(found.numpy() - golden["features"]).max() > 1


def test_folding_changes_nothing(golden, state):
    """With its norms folded into its convolutions the network computes the same, and holds no norm any more."""
    built = folded(network(state))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in built.modules())
    np.testing.assert_allclose(built(pictures()), golden["features"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("i", range(4))
def test_preparation_matches_the_authors(i):
    """A face of any size is cut, brought to 224 pixels by the nearest neighbour and prepared as the authors do."""
    golden = read("emoaffectnet_preprocess")[0]
    height, width = (int(side) for side in golden[f"size_{i}"])
    image = fill.integers(f"emoaffectnet.prep.{i}", (height, width, 3), 0, 0, 256).astype(np.uint8)
    spec = emoaffectnet.SPEC
    face = cut(image, np.array([0, 0, width, height, 1], np.float32), PRESETS[spec.preset], spec.size_px, spec.resize)
    found = emoaffectnet.prepared(torch.from_numpy(np.array(face[None])))[0].double().numpy()
    for name, got in {
        "strided": found[:, 3::16, 5::16],
        "mean": found.mean((1, 2)),
        "std": found.std((1, 2)),
        "row0": found[:, 0],
        "col_last": found[:, :, -1],
    }.items():
        np.testing.assert_allclose(got, golden[f"{name}_{i}"], rtol=1e-5, atol=1e-4, err_msg=name)


def test_a_checkpoint_is_read_as_weights_alone(state, tmp_path):
    """The published form, a saved dictionary, is read; one that would run code is refused."""
    torch.save(state, tmp_path / "good.pt")
    found = emoaffectnet.read([tmp_path / "good.pt"])
    assert found.keys() == state.keys()
    torch.save({"fc1.weight": print}, tmp_path / "bad.pt")
    with pytest.raises(Exception, match="Weights only load failed"):
        emoaffectnet.read([tmp_path / "bad.pt"])
