"""vit_fer computes what transformers computes of the published checkpoint's form, at a reduced size."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from extract.encoders import vit_fer
from extract.network import fill

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "image_size": 64,
}
FACES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)


@pytest.fixture(scope="module")
def theirs():
    """Build transformers' classifier."""
    network = ViTForImageClassification(ViTConfig(**SMALL, num_labels=7))
    fill(network, 0)
    return network.eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="module")
def path(theirs, tmp_path_factory):
    """Save it as such checkpoints are published."""
    folder = tmp_path_factory.mktemp("vit")
    theirs.save_pretrained(folder)
    return folder / "model.safetensors"


@pytest.fixture
def ours(path):
    """Build our network from that file."""
    network = vit_fer.build(SMALL)
    network.load_state_dict(vit_fer.read([path]), strict=True)
    return network


def wanted(theirs, faces):
    """Return what transformers makes of faces: its own preparation, and the normed state of the first token."""
    processor = ViTImageProcessor(do_resize=False, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    pixels = processor(list(faces), return_tensors="pt")["pixel_values"]
    return theirs.vit(pixels).last_hidden_state[:, :1].numpy()


def test_published_names_are_the_old_ones(path):
    """The file that we read from has the names of checkpoints that were published years ago, the classifier's too."""
    with safe_open(path, "pt") as file:
        names = set(file.keys())
    assert {"vit.encoder.layer.0.attention.attention.query.weight", "classifier.weight"} <= names


def test_features_are_those_of_transformers(theirs, ours):
    """The first token's last state, after the last norm, is what transformers computes from the same pictures."""
    found = vit_fer.ready(ours, "cpu", "exact")(FACES, np.ones(3))
    assert found.shape == (3, 1, 48)
    np.testing.assert_allclose(found, wanted(theirs, FACES), atol=1e-5)
    states = theirs.vit(torch.from_numpy(FACES).permute(0, 3, 1, 2) / 127.5 - 1, output_hidden_states=True)
    assert np.abs(states.hidden_states[-1][:, :1].numpy() - found).max() > 0.1, "the last norm would not be missed"


def test_nobody_is_the_picture_of_nothing(theirs, ours):
    """Where there is no face, features are those of an input of zeros, and its neighbours' are as without it."""
    encode = vit_fer.ready(ours, "cpu", "exact")
    found = encode(FACES, np.array([1, 0, 1]))
    nothing = theirs.vit(torch.zeros(1, 3, 64, 64)).last_hidden_state[:, 0]
    np.testing.assert_allclose(found[1], nothing, atol=1e-5)
    np.testing.assert_allclose(found[[0, 2]], encode(FACES[[0, 2]], np.ones(2)), atol=1e-5)


def test_fast_keeps_faces_apart(ours):
    """In bfloat16, faces that differ by one level still differ: what the patches say is computed in float32."""
    encode = vit_fer.ready(ours, "cpu", "fast")
    assert {parameter.dtype for parameter in ours.embeddings.parameters()} == {torch.float32}
    lighter = np.where(FACES < 255, FACES + 1, FACES).astype(np.uint8)
    assert (encode(FACES, np.ones(3)) != encode(lighter, np.ones(3))).any(axis=(1, 2)).all()


@pytest.mark.slow
def test_full_size_without_its_classifier():
    """The published network at full size has the declared parameters but for the 5,383 of its classifier."""
    with torch.device("meta"):
        whole = ViTForImageClassification(ViTConfig(num_labels=7))
    assert sum(x.numel() for x in whole.parameters()) - 5_383 == vit_fer.SPEC.parameters
