"""emotion2vec gives the features that the authors' code gives, reduced and at full size, and notices mistakes."""

from functools import partial

import numpy as np
import pytest
import speech_kit as kit
import torch
from torch import nn

from extract.encoders import _emotion2vec, _wav2vec2, emotion2vec
from extract.encoders._emotion2vec import Fading
from extract.network import filled
from extract.weights import WeightsError

pytestmark = pytest.mark.usefixtures("one_thread")

FILE = "model.pt"
AUDIO = "modality_encoders.AUDIO."
SMALL = {"width": 48, "heads": 6, "prenet_depth": 2, "depth": 2, "tokens": 3, "channels": 32, "groups": 4}
TOLERANCE = {"rtol": 1e-3, "atol": 2e-4}


def weights(golden):
    """Fill the same weights under the authors' names, classes included."""
    state = kit.weights(golden)
    state[f"{AUDIO}alibi_scale"] *= 10
    for i in range(1, 7):
        weight = state[f"{AUDIO}local_encoder.conv_layers.{i}.0.weight"]
        weight -= weight.mean(-1, keepdim=True)
    return state


@pytest.fixture(scope="module")
def golden():
    """Read what the authors' code gave for weights and inputs that are made from names."""
    return kit.golden("emotion2vec_small")


@pytest.fixture(scope="module")
def state(golden):
    """Fill the weights of the reduced network."""
    return weights(golden)


def published(state):
    """Name weights as the published checkpoint does, which also holds the classifier and how it was trained."""
    named = {name if name.startswith("proj.") else f"d2v_model.{name}": x for name, x in state.items()}
    return {"args": None, "model": named, "extra_state": {"epoch": 1}}


def loaded(options, checkpoint, folder):
    """Load a network from a checkpoint on the disk."""
    torch.save(checkpoint, folder / FILE)
    network = emotion2vec.build(options)
    network.load_state_dict(emotion2vec.read([folder / FILE]), strict=True)
    return network


@pytest.fixture
def network(state, tmp_path):
    """Load the reduced network."""
    return loaded(SMALL, published(state), tmp_path)


@pytest.fixture
def encode(network):
    """Return the reduced encoder."""
    return emotion2vec.ready(network, "cpu", "exact")


@pytest.fixture(scope="module")
def sounds(golden):
    """Make the golden sounds, and one for the batch."""
    lengths = golden["n_samples"]
    made = [kit.livelier(f"emotion2vec_small.wave.{j}", samples) for j, samples in enumerate(lengths)]
    return [*made, kit.livelier("emotion2vec_small.batch", lengths[-1])]


def alone(encode, sound):
    """Encode one sound that is not padded."""
    return encode(sound[None], np.array([len(sound)]))[0]


def assert_golden(golden, sounds, encode, state):
    """Compare features, their mean and the published classifier's logits of every sound, and means of a batch."""
    for j, sound in enumerate(sounds[:2]):
        found, expected = alone(encode, sound), golden[f"x_{j}"]
        logits = found.mean(0) @ state["proj.weight"].numpy().T + state["proj.bias"].numpy()
        np.testing.assert_allclose(found if len(found) == len(expected) else found[::8], expected, **TOLERANCE)
        np.testing.assert_allclose(found.mean(0), golden[f"utt_{j}"], **TOLERANCE)
        np.testing.assert_allclose(logits, golden[f"logits_{j}"], **TOLERANCE)
    together = encode(np.stack(sounds[1:]), np.full(2, len(sounds[1])))
    np.testing.assert_allclose(together.mean(axis=1), golden["batch2_utt"], **TOLERANCE)


def test_features_match_the_authors(golden, sounds, encode, state):
    """Hidden states of whole sounds, alone and in a batch, are those of the authors' code."""
    assert_golden(golden, sounds, encode, state)


@pytest.mark.slow
def test_features_match_the_authors_at_full_size(tmp_path):
    """The published size, too, gives the authors' states."""
    golden = kit.golden("emotion2vec_base")
    lengths, state = golden["n_samples"], weights(golden)
    made = [kit.livelier(f"emotion2vec_base.wave.{j}", samples) for j, samples in enumerate(lengths)]
    encode = emotion2vec.ready(loaded(emotion2vec.PUBLISHED, published(state), tmp_path), "cpu", "exact")
    assert alone(encode, made[0]).shape == (149, 768)
    assert_golden(golden, [*made, kit.livelier("emotion2vec_base.batch", lengths[-1])], encode, state)


def test_every_stage_matches_the_authors(golden, sounds, network, encode):
    """What each stage gives matches, so that a difference can be found; convolutions were given sound as it was."""
    for j, sound in enumerate(sounds[:2]):
        with torch.inference_mode():
            heard = network.local_encoder(torch.from_numpy(sound[None]))[0]
        np.testing.assert_allclose(heard.mean(dim=1), golden[f"conv_mean_{j}"], **TOLERANCE)
    found = {}
    for name in ("project_features", "relative_positional_encoder", "context_encoder"):
        stage = network.get_submodule(name)
        stage.register_forward_hook(lambda _, __, x, name=name: found.update({name: x[0, ::10]}))
    alone(encode, sounds[0])
    np.testing.assert_allclose(found["project_features"], golden["projected_0_every10"], **TOLERANCE)
    np.testing.assert_allclose(found["relative_positional_encoder"], golden["position_0_every10"], **TOLERANCE)
    np.testing.assert_allclose(found["context_encoder"], golden["prenet_out_0_every10"], **TOLERANCE)


def fades(monkeypatch, change):
    """Let attention fade in another way."""
    monkeypatch.setattr(_emotion2vec, "Fading", lambda *given: Fading(*change(*given)))


def norm_afterwards(prenet):
    """Norm what the first blocks give, and not what they are given."""
    norm, prenet.norm = prenet.norm, nn.Identity()
    prenet.register_forward_hook(lambda _, __, x: norm(x))


MISTAKES = {
    "no clamp": lambda network, patch: fades(patch, lambda _, n: (network.slopes * network.alibi_scale, n)),
    "no fading": lambda network, patch: fades(patch, lambda per_step, n: (0 * per_step, n)),
    "fading tokens": lambda network, patch: fades(patch, lambda per_step, _: (per_step, 0)),
    "slopes in another order": lambda network, patch: network.slopes.copy_(network.slopes.flip(0)),
    "tokens zeroed": lambda network, patch: network.extra_tokens.data.zero_(),
    "norm afterwards": lambda network, patch: norm_afterwards(network.context_encoder),
    "no place": lambda network, patch: setattr(network.relative_positional_encoder, "forward", torch.zeros_like),
    "not normalised": lambda network, patch: patch.setattr(emotion2vec, "normalised", lambda sounds, *_: sounds),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(golden, sounds, network, encode, monkeypatch, name):
    """Each way of building it wrongly moves the features far beyond the tolerance."""
    MISTAKES[name](network, monkeypatch)
    change = np.abs(alone(encode, sounds[0]) - golden["x_0"]).max()
    assert change > 0.005, f"{name} changes the features by {change:.1e}"


@pytest.mark.parametrize(("heads", "expected"), [(4, [2, 4, 6, 8]), (6, [2, 4, 6, 8, 1, 3]), (1, [8])])
def test_slopes(heads, expected):
    """Heads fade by powers of two that are evenly spaced; heads beyond a power of two lie between them."""
    assert _emotion2vec.slopes(heads).flatten().tolist() == [2.0**-exponent for exponent in expected]


def test_padding_is_zero_after_the_real_samples_were_normalised(sounds, encode):
    """What lies behind the real samples does not matter, for it is 0; but that it is there does."""
    sound = sounds[1]
    padded, noisy = (np.concatenate([sound, tail]) for tail in (np.zeros(5000, np.float32), sounds[0][:5000]))
    real = np.array([len(sound)])
    found = encode(padded[None], real)
    np.testing.assert_array_equal(encode(noisy[None], real), found)
    assert np.abs(found[0, :24] - alone(encode, sound)).max() > 0.01


@pytest.mark.parametrize(("module", "name"), [(_emotion2vec, "QUERIES"), (_wav2vec2, "PIECE")])
def test_a_long_sound_is_encoded_in_pieces(sounds, encode, monkeypatch, module, name):
    """However few steps ask or are heard at once, every step gives the same."""
    whole = alone(encode, sounds[0])
    monkeypatch.setattr(module, name, 7)
    np.testing.assert_allclose(alone(encode, sounds[0]), whole, atol=1e-5)


def test_rows_change_nothing(sounds, state, tmp_path):
    """Convolutions computed as products of matrices give what plain ones give."""
    network = loaded(SMALL, published(state), tmp_path)
    sound = torch.from_numpy(sounds[0][None])
    with torch.inference_mode():
        plain = network(sound)
        emotion2vec.ready(network, "cpu", "exact")
        np.testing.assert_allclose(network(sound), plain, atol=1e-4)


def test_neighbours_order_and_threads_change_nothing(sounds, encode):
    """Alone, together, turned round and on two cores, each sound keeps its features."""
    batch, real = np.stack([*sounds[1:], sounds[0][:7777]]), np.array([7777, 7777, 5000])
    together = encode(batch, real)
    for j in range(3):
        np.testing.assert_allclose(encode(batch[j : j + 1], real[j : j + 1])[0], together[j], atol=1e-5)
    np.testing.assert_allclose(encode(batch[::-1], real[::-1])[::-1], together, atol=1e-5)
    torch.set_num_threads(2)
    try:
        np.testing.assert_allclose(encode(batch, real), together, atol=1e-5)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("samples", [1, 399, 400, 720])
def test_the_shortest_sounds(encode, samples):
    """A sound shorter than what one step sees is padded to it."""
    found = alone(encode, np.full(samples, 0.1, np.float32))
    assert found.shape == (2 if samples >= 720 else 1, 48)
    assert np.isfinite(found).all()


WRAPPERS = {
    "bare": lambda state: state,
    "published": published,
    "another wrapper": lambda state: {"state_dict": state},
    "a decoder": lambda state: published(state | {f"{AUDIO}decoder.proj.bias": torch.zeros(2), "_ema": {"a": 1}}),
    "flat scale": lambda state: published(state | {f"{AUDIO}alibi_scale": state[f"{AUDIO}alibi_scale"].flatten()}),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_every_form_of_the_checkpoint_is_read(state, sounds, encode, tmp_path, name):
    """However it was wrapped, and with its decoder or without, the checkpoint gives the same features."""
    network = loaded(SMALL, WRAPPERS[name](state), tmp_path)
    found = alone(emotion2vec.ready(network, "cpu", "exact"), sounds[1])
    np.testing.assert_array_equal(found, alone(encode, sounds[1]))


def test_a_checkpoint_is_read_as_weights_alone(tmp_path):
    """A checkpoint that would run code is refused."""
    torch.save({"model": {"d2v_model.blocks.0.norm1.bias": print}}, tmp_path / FILE)
    with pytest.raises(Exception, match="Weights only load failed"):
        emotion2vec.read([tmp_path / FILE])


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_checkpoint_that_does_not_fit_is_refused(state, tmp_path, monkeypatch, change):
    """A name that is missing or unknown is named; nothing is left at its initial value."""
    wrong = {name: x for name, x in state.items() if name != f"{AUDIO}extra_tokens" or change != "missing"}
    if change == "unknown":
        wrong["blocks.9.norm1.bias"] = torch.zeros(48)
    pin = kit.offered(partial(torch.save, published(wrong)), FILE, tmp_path, monkeypatch)
    name = "blocks.9.norm1.bias" if change == "unknown" else "extra_tokens"
    with pytest.raises(WeightsError, match=rf"does not fit its network: [\s\S]*{name}"):
        filled(emotion2vec.build(SMALL), pin, "", emotion2vec.read)


def test_the_published_network_is_as_large_as_declared():
    """Without memory for its weights, the full network has the authors' parameters but those of nine classes."""
    with torch.device("meta"):
        network = emotion2vec.build()
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == emotion2vec.SPEC.parameters == kit.golden("emotion2vec_base")["parameters"] - (768 * 9 + 9)
