"""exhubert gives the features that the authors' code gives, here at a reduced size, and notices mistakes."""

from functools import partial

import numpy as np
import pytest
import speech_kit as kit
import torch
from safetensors.torch import save_file
from torch import nn

from extract import weights as pinned
from extract.encoders import exhubert
from extract.network import filled
from extract.weights import WeightsError

pytestmark = pytest.mark.usefixtures("one_thread")

FILE = "pytorch_model.bin"
PREFIX = "hubert."
GAIN, DIRECTION = (f"encoder.pos_conv_embed.conv.parametrizations.weight.{name}" for name in ("original0", "original1"))
SMALL = {"width": 64, "heads": 4, "inner": 128, "layers": 48, "channels": 32}
TOLERANCE = {"rtol": 1e-3, "atol": 2e-4}


@pytest.fixture(scope="module")
def golden():
    """Read what the authors' code gave for weights and inputs that are made from names."""
    return kit.golden("exhubert_small")


@pytest.fixture(scope="module")
def state(golden):
    """Fill the same weights under the authors' names, classes included."""
    state = kit.weights(golden)
    for i in range(1, 7):
        weight = state[f"{PREFIX}feature_extractor.conv_layers.{i}.conv.weight"]
        weight -= weight.mean(-1, keepdim=True)
        state[f"{PREFIX}feature_extractor.conv_layers.{i}.conv.bias"] *= 25
    state[PREFIX + GAIN] *= 4
    for name, x in state.items():
        if name.endswith("gate_bb_linear.weight"):
            x.mul_(0.15).add_(0.62 * torch.eye(len(x)))
        if name.endswith("attention.out_proj.weight"):
            x.mul_(0.5)
    return state


def saved(state, path):
    """Save a checkpoint as it is published, or as safetensors."""
    save = save_file if path.suffix == ".safetensors" else torch.save
    save({name: x.contiguous() for name, x in state.items()}, path)
    return [path]


@pytest.fixture(scope="module")
def paths(state, tmp_path_factory):
    """Save the checkpoint once."""
    return saved(state, tmp_path_factory.mktemp("published") / FILE)


@pytest.fixture
def network(paths):
    """Load the reduced network from the disk, to be changed."""
    network = exhubert.build(SMALL)
    network.load_state_dict(exhubert.read(paths), strict=True)
    return network


@pytest.fixture(scope="module")
def encode(paths):
    """Return the reduced encoder."""
    network = exhubert.build(SMALL)
    network.load_state_dict(exhubert.read(paths), strict=True)
    return exhubert.ready(network, "cpu", "exact")


@pytest.fixture(scope="module")
def windows(golden):
    """Pad the golden sounds to 3 s; return them and how much of each is real."""
    return kit.windows(kit.sound, "exhubert.wave", golden["n_samples"])


@pytest.fixture(scope="module")
def found(windows, encode):
    """Encode the golden sounds once."""
    return encode(*windows)


def first(windows, network):
    """Encode the first golden sound with a network that was changed."""
    with torch.inference_mode():
        return exhubert.ready(network, "cpu", "exact")(windows[0][:1], windows[1][:1])[0]


def test_features_match_the_authors(golden, found):
    """Hidden states of whole and of padded sounds are those of the authors' code."""
    assert found.shape == (2, 149, 64)
    np.testing.assert_allclose(found[0], golden["hidden_0"], **TOLERANCE)
    np.testing.assert_allclose(found[1, ::8], golden["hidden_1"], **TOLERANCE)


def test_classes_match_the_authors(golden, state, found):
    """The published classifier, which is not part of ours, makes the authors' logits of our features."""
    for j, states in enumerate(torch.from_numpy(found)):
        inner = states @ state["projector.weight"].T + state["projector.bias"]
        logits = inner.mean(0) @ state["classifier.weight"].T + state["classifier.bias"]
        np.testing.assert_allclose(logits, golden[f"logits_{j}"], **TOLERANCE)


def test_every_layer_matches_the_authors(golden, windows, network):
    """What each layer is given matches, so that a difference can be found."""
    given = []
    for layer in [*network.encoder.layers, network.encoder.layer_norm]:
        layer.register_forward_pre_hook(lambda _, x: given.append(x[0][0]))
    first(windows, network)
    np.testing.assert_allclose(np.stack([x[70] for x in given[:-1]]), golden["layer_inputs_frame70"][:-1], **TOLERANCE)
    means = [float(x.abs().mean()) for x in given[:-1]]
    np.testing.assert_allclose(means, golden["layer_input_absmean"][:-1], **TOLERANCE)


def test_four_layers_match_the_authors(golden, windows, network):
    """The same network with its first four layers alone matches more closely."""
    network.encoder.layers = network.encoder.layers[:4]
    np.testing.assert_allclose(first(windows, network), golden["hidden_4layers_0"], rtol=1e-3, atol=1e-4)


def rewired(network, shift, share=1.0):
    """Let the encoder add what a layer gave, or a share of it, from another layer on."""
    encoder = network.encoder

    def forward(x):
        x, kept = x + encoder.pos_conv_embed(x), 0
        for i, layer in enumerate(encoder.layers):
            x = layer(x)
            if (i + shift) % 2:
                x = x + share * kept
            else:
                kept = x
        return encoder.layer_norm(x)

    encoder.forward = forward


def ungated(network):
    """Leave every gate open."""
    for layer in network.encoder.layers:
        layer.gate_bb_linear = nn.Identity()


MISTAKES = {
    "no gate": ungated,
    "nothing added": lambda network: rewired(network, 0, share=0.0),
    "added one layer later": lambda network: rewired(network, 1),
    "no place": lambda network: setattr(network.encoder.pos_conv_embed, "forward", torch.zeros_like),
    "half the layers": lambda network: setattr(network.encoder, "layers", network.encoder.layers[:24]),
}


def test_the_rewiring_is_right(golden, windows, network):
    """Without a mistake the encoder that the mistakes are made of is the authors'."""
    rewired(network, 0)
    np.testing.assert_allclose(first(windows, network), golden["hidden_0"], **TOLERANCE)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(golden, windows, network, name):
    """Each way of building it wrongly moves the features far beyond the tolerance."""
    MISTAKES[name](network)
    change = np.abs(first(windows, network) - golden["hidden_0"]).max()
    assert change > 0.1, f"{name} changes the features by {change:.1e}"


def test_statistics_of_real_samples_alone_are_noticed(golden, windows, encode, monkeypatch):
    """Whoever leaves padding out of mean and variance gets other features of a padded sound."""
    right = exhubert.normalised
    monkeypatch.setattr(exhubert, "normalised", lambda sounds, _: right(sounds, windows[1]))
    assert np.abs(encode(*windows)[1, ::8] - golden["hidden_1"]).max() > 0.05


def test_neighbours_and_order_change_nothing(windows, encode, found):
    """Alone, together and turned round, each sound keeps its features."""
    padded, real = windows
    for j in range(2):
        np.testing.assert_allclose(encode(padded[j : j + 1], real[j : j + 1])[0], found[j], atol=1e-5)
    np.testing.assert_allclose(encode(padded[::-1], real[::-1])[::-1], found, atol=1e-5)


def test_threads_change_nothing(windows, encode):
    """On one core and on two, a sound keeps its features."""
    short = windows[0][:1, :8000], np.array([8000])
    one = encode(*short)
    torch.set_num_threads(2)
    try:
        np.testing.assert_allclose(encode(*short), one, atol=1e-5)
    finally:
        torch.set_num_threads(1)


def test_rounding_is_kept_small(windows, network, found):
    """With norms, gates and sums exact, bfloat16 costs less than half of what it costs where everything is rounded."""

    def missed(states):
        one, other = (x - found.mean((0, 1)) for x in (found, states))
        return np.sqrt(((one - other) ** 2).mean() / (one**2).mean())

    for layer in network.encoder.layers:
        layer.attention.bfloat16()
        layer.feed_forward.bfloat16()
    sounds = torch.from_numpy(exhubert.normalised(windows[0], np.full(2, 48_000)))
    with torch.inference_mode():
        mixed = missed(network(sounds).numpy())
        rounded = missed(network.bfloat16()(sounds.bfloat16()).float().numpy())
    assert 0 < mixed < rounded / 2


@pytest.mark.parametrize("samples", [1, 399, 400, 720])
def test_the_shortest_sounds(encode, samples):
    """A sound shorter than what one step sees is padded to it."""
    states = encode(np.full((1, samples), 0.1, np.float32), np.array([samples]))
    assert states.shape == (1, 2 if samples >= 720 else 1, 64)
    assert np.isfinite(states).all()


@pytest.mark.parametrize("name", ["model.safetensors", FILE])
def test_every_form_of_the_checkpoint_is_read(state, windows, found, tmp_path, name):
    """Pickled or not, with old or new names of the weight norm, the checkpoint gives the same features."""
    old = dict(state)
    stem = PREFIX + GAIN.partition("parametrizations")[0]
    for new, spelling in ((GAIN, "weight_g"), (DIRECTION, "weight_v")):
        old[stem + spelling] = old.pop(PREFIX + new)
    network = exhubert.build(SMALL)
    network.load_state_dict(exhubert.read(saved(old, tmp_path / name)), strict=True)
    np.testing.assert_array_equal(exhubert.ready(network, "cpu", "exact")(*windows), found)


def test_a_checkpoint_is_read_as_weights_alone(tmp_path):
    """A checkpoint that would run code is refused."""
    torch.save({"hubert.encoder.layer_norm.weight": print}, tmp_path / "bad.bin")
    with pytest.raises(Exception, match="Weights only load failed"):
        exhubert.read([tmp_path / "bad.bin"])


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_checkpoint_that_does_not_fit_is_refused(state, tmp_path, monkeypatch, change):
    """A name that is missing or unknown is named; nothing is left at its initial value."""
    name = "encoder.layers.47.gate_bb_linear.bias"
    wrong = {other: x for other, x in state.items() if other != PREFIX + name or change != "missing"}
    if change == "unknown":
        wrong[PREFIX + name.replace("47", "48")] = state[PREFIX + name]
    pin = kit.offered(partial(saved, wrong), FILE, tmp_path, monkeypatch)
    expected = name.replace("47", "48") if change == "unknown" else name
    with pytest.raises(WeightsError, match=rf"does not fit its network: [\s\S]*{expected}"):
        filled(exhubert.build(SMALL), pin, "", exhubert.read)


def test_the_published_network_is_as_large_as_declared():
    """Without memory for its weights, the full network has the declared parameters: two thirds of a billion."""
    with torch.device("meta"):
        network = exhubert.build()
    assert all(parameter.is_meta for parameter in network.parameters())
    assert sum(parameter.numel() for parameter in network.parameters()) == exhubert.SPEC.parameters == 668_127_872


@pytest.mark.slow
@pytest.mark.parametrize("shared", ["speech-public-domain"], indirect=True)
def test_random_gates_let_steps_differ(shared):
    """With random weights at full size, the steps of real speech are as different as their features."""
    with pinned.using("random:0"):
        encode = exhubert.load("cpu", "exact")
    states = encode(kit.recorded(shared, "jfk.flac")[None], np.array([48_000]))[0]
    assert np.isfinite(states).all()
    assert states.std(axis=0).mean() > 0.1 * states.std()
