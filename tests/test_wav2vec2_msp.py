"""wav2vec2_msp prepares sound and computes features as the authors' code does, here at a reduced size."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import fill
from safetensors.torch import save_file

from extract.encoders import wav2vec2_msp
from extract.network import filled
from extract.weights import Weights, WeightsError

GOLDEN = Path(__file__).parent / "golden"
PREFIX = "wav2vec2."
GAIN, DIRECTION = (f"encoder.pos_conv_embed.conv.parametrizations.weight.{name}" for name in ("original0", "original1"))


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Two threads would wait for each other while other tests run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def golden():
    """Read what the authors' code gave for weights and inputs that are made from names."""
    with np.load(GOLDEN / "w2v2_msp_dim_small.npz") as file:
        arrays = dict(file)
    return arrays | json.loads(str(arrays.pop("meta")))


@pytest.fixture(scope="module")
def state(golden):
    """Fill the same weights under the authors' names, head included."""
    state = fill.fill_({name: torch.zeros(shape) for name, shape in golden["state_dict"].items()}, golden["seed"])
    for i in range(1, 7):
        weight = state[f"{PREFIX}feature_extractor.conv_layers.{i}.conv.weight"]
        weight -= weight.mean(-1, keepdim=True)
        state[f"{PREFIX}feature_extractor.conv_layers.{i}.conv.bias"] *= 25
    state[PREFIX + GAIN] *= 4
    return state


def saved(state, folder):
    """Save a checkpoint as it is published."""
    save_file({name: x.contiguous() for name, x in state.items()}, folder / "model.safetensors")
    return [folder / "model.safetensors"]


@pytest.fixture
def encode(golden, state, tmp_path):
    """Load the reduced network from a checkpoint on the disk."""
    network = wav2vec2_msp.build(golden["constructor"])
    network.load_state_dict(wav2vec2_msp.read(saved(state, tmp_path)), strict=True)
    return wav2vec2_msp.ready(network, "cpu", "exact")


def sound(j, samples):
    """Make one golden sound."""
    t = np.arange(samples) / 16_000
    noise = fill.inputs(f"w2v2.wave.{j}", (samples,), 0).astype(np.float64)
    kinds = [
        0.3 * noise,
        0.5 * np.sin(2 * np.pi * 220 * t),
        0.3 * np.sin(2 * np.pi * 1000 * t) + 0.3 * np.sin(2 * np.pi * 3100 * t),
        0.4 * np.sin(2 * np.pi * (100 + 2000 * t) * t),
    ]
    return (0.3 * np.choose((np.arange(samples) // 1200) % 4, kinds) + 0.01 * noise + 0.02).astype(np.float32)


@pytest.fixture(scope="module")
def windows(golden):
    """Cut or pad the golden sounds to 3 s; return them and how much of each is real."""
    sounds = [sound(j, samples)[:48_000] for j, samples in enumerate(golden["n_samples"])]
    padded = np.stack([np.pad(one, (0, 48_000 - len(one))) for one in sounds])
    return padded, np.array([len(one) for one in sounds])


def test_sound_is_normalised_as_the_authors_do(golden, windows):
    """Mean and variance are those of the real samples alone, and padding is 0 after that."""
    for j, found in enumerate(wav2vec2_msp.normalised(*windows)):
        np.testing.assert_allclose(found[::97], golden[f"norm_mask1_{j}"], atol=1e-5)
        np.testing.assert_allclose(found[-3:], golden[f"norm_mask1_{j}_tail"], atol=1e-5)


def test_features_match_the_authors(golden, windows, encode):
    """The last hidden states of whole, cut and padded sounds are those of the authors' code."""
    found = encode(*windows)
    assert found.shape == (3, 149, 64)
    for j, states in enumerate(found):
        expected = golden[f"hidden_{j}"]
        np.testing.assert_allclose(states if len(expected) == 149 else states[::8], expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(states.mean(axis=0), golden[f"pooled_{j}"], rtol=1e-3, atol=1e-4)


def test_a_whole_clip_matches_the_authors(golden, encode):
    """A sound of any length that is neither cut nor padded gives the authors' mean feature."""
    for j, samples in enumerate(golden["n_samples"]):
        found = encode(sound(j, samples)[None], np.array([samples]))[0]
        np.testing.assert_allclose(found.mean(axis=0), golden[f"pooled_unpadded_{j}"], rtol=1e-3, atol=1e-4)


def test_statistics_over_padding_are_noticed(golden, windows, encode):
    """Whoever takes padding into mean and variance gets other features of a padded sound."""
    padded, _ = windows
    found = encode(padded, np.full(3, 48_000))
    assert np.abs(found[1, ::8] - golden["hidden_1"]).max() > 0.05


def test_neighbours_and_order_change_nothing(windows, encode):
    """Alone, together and turned round, each sound keeps its features."""
    padded, real = windows
    together = encode(padded, real)
    for j in range(3):
        np.testing.assert_allclose(encode(padded[j : j + 1], real[j : j + 1])[0], together[j], atol=1e-5)
    np.testing.assert_allclose(encode(padded[::-1], real[::-1])[::-1], together, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 160, 399, 400, 719, 720])
def test_the_shortest_sounds(encode, samples):
    """A sound shorter than what one step sees is padded to it."""
    found = encode(np.full((1, samples), 0.1, np.float32), np.array([samples]))
    assert found.shape == (1, 2 if samples >= 720 else 1, 64)
    assert np.isfinite(found).all()


def test_both_spellings_of_the_weight_norm_are_read(golden, state, windows, encode, tmp_path):
    """Older checkpoints call gain and direction of the positional convolution `weight_g` and `weight_v`."""
    old = dict(state)
    stem = PREFIX + GAIN.partition("parametrizations")[0]
    for new, name in ((GAIN, "weight_g"), (DIRECTION, "weight_v")):
        old[stem + name] = old.pop(PREFIX + new)
    network = wav2vec2_msp.build(golden["constructor"])
    network.load_state_dict(wav2vec2_msp.read(saved(old, tmp_path)), strict=True)
    found = wav2vec2_msp.ready(network, "cpu", "exact")(*windows)
    np.testing.assert_array_equal(found, encode(*windows))


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_a_checkpoint_that_does_not_fit_is_refused(golden, state, tmp_path, monkeypatch, change):
    """A name that is missing or unknown, or another shape, is named; nothing is left at its initial value."""
    name = PREFIX + "encoder.layer_norm.weight"
    wrong = {other: x for other, x in state.items() if other != name or change != "missing"}
    if change == "unknown":
        wrong[PREFIX + "encoder.layer_norm.wait"] = state[name].clone()
    if change == "shape":
        wrong[name] = state[name][:-1].clone()
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    weights = Weights("a/b", ("model.safetensors",), sha256="", revision="r")
    weights.folder.mkdir(parents=True)
    digest = hashlib.sha256(saved(wrong, weights.folder)[0].read_bytes()).hexdigest()
    weights = Weights("a/b", ("model.safetensors",), sha256=digest, revision="r")
    with pytest.raises(WeightsError, match=r"a/b does not fit its network: [\s\S]*encoder.layer_norm.w"):
        filled(wav2vec2_msp.build(golden["constructor"]), weights, "", wav2vec2_msp.read)
