"""wav2vec2_msp gives the features and dimensions that the authors' code gives, here at a reduced size."""

from functools import partial

import numpy as np
import pytest
import speech_kit as kit
import torch
from safetensors.torch import save_file

from extract.encoders import _wav2vec2, _waveform, wav2vec2_msp
from extract.network import filled
from extract.weights import WeightsError

pytestmark = pytest.mark.usefixtures("one_thread")

FILE = "model.safetensors"
PREFIX = "wav2vec2."
GAIN, DIRECTION = (f"encoder.pos_conv_embed.conv.parametrizations.weight.{name}" for name in ("original0", "original1"))


@pytest.fixture(scope="module")
def golden():
    """Read what the authors' code gave for weights and inputs that are made from names."""
    return kit.golden("w2v2_msp_dim_small")


@pytest.fixture(scope="module")
def state(golden):
    """Fill the same weights under the authors' names, head included."""
    state = kit.weights(golden)
    for i in range(1, 7):
        weight = state[f"{PREFIX}feature_extractor.conv_layers.{i}.conv.weight"]
        weight -= weight.mean(-1, keepdim=True)
        state[f"{PREFIX}feature_extractor.conv_layers.{i}.conv.bias"] *= 25
    state[PREFIX + GAIN] *= 4
    return state


def saved(state, path):
    """Save a checkpoint as it is published."""
    save_file({name: x.contiguous() for name, x in state.items()}, path)
    return [path]


@pytest.fixture
def network(golden, state, tmp_path):
    """Load the reduced network from a checkpoint on the disk."""
    network = wav2vec2_msp.build(golden["constructor"])
    network.load_state_dict(wav2vec2_msp.read(saved(state, tmp_path / FILE)), strict=True)
    return network


@pytest.fixture
def encode(network):
    """Return the reduced encoder."""
    return wav2vec2_msp.ready(network, "cpu", "exact")


@pytest.fixture(scope="module")
def windows(golden):
    """Cut or pad the golden sounds to 3 s; return them and how much of each is real."""
    return kit.windows(kit.sound, "w2v2.wave", golden["n_samples"])


def dimensions(found):
    """Return the three numbers of each window, which are the same at each of its steps."""
    channel = found.steps["arousal_dominance_valence"]
    assert channel.shape == (*found.values.shape[:2], 3)
    assert channel.dtype == np.float32
    assert (channel == channel[:, :1]).all()
    return channel[:, 0]


def test_sound_is_normalised_as_the_authors_do(golden, windows):
    """Mean and variance are those of the real samples alone, and padding is 0 after that."""
    for j, found in enumerate(_waveform.normalised(*windows)):
        np.testing.assert_allclose(found[::97], golden[f"norm_mask1_{j}"], atol=1e-5)
        np.testing.assert_allclose(found[-3:], golden[f"norm_mask1_{j}_tail"], atol=1e-5)


def test_features_match_the_authors(golden, windows, encode):
    """Hidden states and dimensions of whole, cut and padded sounds are those of the authors' code."""
    found = encode(*windows)
    assert found.values.shape == (3, 149, 64)
    for j, states in enumerate(found.values):
        expected = golden[f"hidden_{j}"]
        np.testing.assert_allclose(states if len(expected) == 149 else states[::8], expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(states.mean(axis=0), golden[f"pooled_{j}"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(dimensions(found)[j], golden[f"avd_{j}"], rtol=1e-3, atol=1e-4)


def test_a_whole_clip_matches_the_authors(golden, encode):
    """A sound of any length that is neither cut nor padded gives the authors' mean feature and dimensions."""
    for j, samples in enumerate(golden["n_samples"]):
        found = encode(kit.sound(f"w2v2.wave.{j}", samples)[None], np.array([samples]))
        np.testing.assert_allclose(found.values[0].mean(0), golden[f"pooled_unpadded_{j}"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(dimensions(found)[0], golden[f"avd_unpadded_{j}"], rtol=1e-3, atol=1e-4)


def test_statistics_over_padding_are_noticed(golden, windows, encode):
    """Whoever takes padding into mean and variance gets other features of a padded sound."""
    padded, _ = windows
    found = encode(padded, np.full(3, 48_000))
    assert np.abs(found.values[1, ::8] - golden["hidden_1"]).max() > 0.05


BODIES = {
    "no place": lambda body: setattr(body.encoder.pos_conv_embed, "forward", torch.zeros_like),
    "a norm too few": lambda body: setattr(body.encoder, "layer_norm", torch.nn.Identity()),
    "a layer too few": lambda body: body.encoder.layers.pop(1),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_mistake_in_the_body_is_noticed(golden, windows, network, encode, name):
    """Each way of building the body wrongly moves features and dimensions far beyond the tolerance."""
    BODIES[name](network["wav2vec2"])
    found = encode(*windows)
    change = np.abs(found.values[0] - golden["hidden_0"]).max()
    assert change > 0.5, f"{name} changes the features by {change:.1e}"
    assert np.abs(dimensions(found)[0] - golden["avd_0"]).max() > 0.05


HEADS = {
    "no tanh": lambda head, states: head["out_proj"](head["dense"](states.mean(0))),
    "only real steps": lambda head, states: head["out_proj"](head["dense"](states[:93].mean(0)).tanh()),
    "the mean afterwards": lambda head, states: head["out_proj"](head["dense"](states).tanh()).mean(0),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_mistake_in_the_head_is_noticed(golden, windows, network, encode, name):
    """Each way of building the head wrongly moves the dimensions far beyond the tolerance."""
    with torch.inference_mode():
        found = HEADS[name](network["classifier"], torch.from_numpy(encode(*windows).values[1]))
    change = np.abs(found.numpy() - golden["avd_1"]).max()
    assert change > 0.01, f"{name} changes the dimensions by {change:.1e}"


def test_neighbours_and_order_change_nothing(windows, encode):
    """Alone, together and turned round, each sound keeps its features and dimensions."""
    padded, real = windows
    together = encode(padded, real)
    turned = encode(padded[::-1], real[::-1])
    alone = [encode(padded[j : j + 1], real[j : j + 1]) for j in range(3)]
    for part in (lambda found: found.values, dimensions):
        np.testing.assert_allclose(np.concatenate([part(one) for one in alone]), part(together), atol=1e-5)
        np.testing.assert_allclose(part(turned)[::-1], part(together), atol=1e-5)


def test_threads_change_nothing(windows, encode):
    """On one core and on two, each sound keeps its features."""
    one = encode(*windows).values
    torch.set_num_threads(2)
    try:
        np.testing.assert_allclose(encode(*windows).values, one, atol=1e-5)
    finally:
        torch.set_num_threads(1)


def test_a_long_sound_is_heard_in_pieces(windows, encode, monkeypatch):
    """However few steps are heard at once, convolutions give every step the same."""
    whole = encode(*windows).values
    monkeypatch.setattr(_wav2vec2, "PIECE", 7)
    np.testing.assert_allclose(encode(*windows).values, whole, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 160, 399, 400, 719, 720])
def test_the_shortest_sounds(encode, samples):
    """A sound shorter than what one step sees is padded to it."""
    found = encode(np.full((1, samples), 0.1, np.float32), np.array([samples]))
    assert found.values.shape == (1, 2 if samples >= 720 else 1, 64)
    assert np.isfinite(found.values).all()
    assert np.isfinite(dimensions(found)).all()


def test_both_spellings_of_the_weight_norm_are_read(golden, state, windows, encode, tmp_path):
    """Older checkpoints call gain and direction of the positional convolution `weight_g` and `weight_v`."""
    old = dict(state)
    stem = PREFIX + GAIN.partition("parametrizations")[0]
    for new, name in ((GAIN, "weight_g"), (DIRECTION, "weight_v")):
        old[stem + name] = old.pop(PREFIX + new)
    network = wav2vec2_msp.build(golden["constructor"])
    network.load_state_dict(wav2vec2_msp.read(saved(old, tmp_path / FILE)), strict=True)
    found = wav2vec2_msp.ready(network, "cpu", "exact")(*windows)
    np.testing.assert_array_equal(found.values, encode(*windows).values)


@pytest.mark.parametrize("name", [PREFIX + "encoder.layer_norm.weight", "classifier.out_proj.weight"])
@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_a_checkpoint_that_does_not_fit_is_refused(golden, state, tmp_path, monkeypatch, change, name):
    """A name that is missing or unknown, or another shape, is named; nothing is left at its initial value."""
    wrong = {other: x for other, x in state.items() if other != name or change != "missing"}
    if change == "unknown":
        wrong[name.replace("weight", "wait")] = state[name].clone()
    if change == "shape":
        wrong[name] = state[name][:-1].clone()
    pin = kit.offered(partial(saved, wrong), FILE, tmp_path, monkeypatch)
    expected = name.replace("weight", "wait") if change == "unknown" else name
    with pytest.raises(WeightsError, match=rf"a/b does not fit its network: [\s\S]*{expected}"):
        filled(wav2vec2_msp.build(golden["constructor"]), pin, "", wav2vec2_msp.read)
