"""The CLIP encoders compute what transformers computes, here at a reduced size; the text tower runs without it too."""

import json
from dataclasses import replace
from functools import partial
from hashlib import sha256

import librosa
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from skimage.data import astronaut
from tokenizers import Tokenizer
from torch.nn.functional import layer_norm, linear, scaled_dot_product_attention
from transformers import CLIPConfig, CLIPImageProcessor, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from extract import weights
from extract.encoders import _clip, _tokens, clip_mel, clip_text, clip_vision
from extract.network import fill, filled
from extract.weights import Weights, WeightsError

pytestmark = pytest.mark.usefixtures("one_thread")

END = 102  # of MiniLM's tokenizer, which stands in under random weights
BODY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SMALL = {**BODY, "projection_dim": 16}
SENTENCES = [
    "I am so happy to see you!",
    "No.",
    "",
    "word " * 100,
    "Wait \N{EM DASH} what? \N{SLIGHTLY SMILING FACE}",
]
SIZES = [(480, 640), (288, 360), (640, 360), (224, 224), (223, 341), (240, 321), (100, 80), (1, 1), (2, 40)]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def reference():
    """Build transformers' reduced network, both towers, with random weights; its attention is spelt out, not fused."""
    config = CLIPConfig(text_config={**SMALL, "eos_token_id": END}, vision_config=SMALL, projection_dim=16)
    network = CLIPModel._from_config(config, attn_implementation="eager").eval()
    fill(network, 0)
    return network


def published(network):
    """Return its state as it was published: positions were still saved."""
    positions = {"text_model.embeddings.position_ids": 77, "vision_model.embeddings.position_ids": 50}
    state = {name: x.clone() for name, x in network.state_dict().items()}
    return state | {name: torch.arange(count)[None] for name, count in positions.items()}


@pytest.fixture(scope="module")
def checkpoint(reference, tmp_path_factory):
    """Save it so."""
    path = tmp_path_factory.mktemp("clip") / "model.safetensors"
    save_file(published(reference), path)
    return path


def loaded(module, checkpoint):
    """Load a reduced encoder from that file."""
    network = module.build(SMALL)
    network.load_state_dict(module.read([checkpoint]), strict=True)
    with weights.using("random:0"):
        return module.ready(network, "cpu", "exact")


@pytest.fixture(scope="module")
def text(checkpoint):
    """Load the reduced text encoder."""
    return loaded(clip_text, checkpoint)


@pytest.fixture(scope="module")
def vision(checkpoint):
    """Load the reduced encoder of frames."""
    return loaded(clip_vision, checkpoint)


@pytest.fixture(scope="module")
def mel(checkpoint):
    """Load the reduced encoder of spectrograms."""
    return loaded(clip_mel, checkpoint)


def cut():
    """Cut the sentences with the stand-in tokenizer."""
    with weights.using("random:0"):
        return torch.tensor([each.ids for each in clip_text.tokenizer().encode_batch(SENTENCES)])


def frame(height, width, seed=0):
    """Return a part of a portrait, brought to a size, with some noise."""
    image = Image.fromarray(astronaut()[20 * seed : 20 * seed + 300, 60:460]).resize((width, height))
    noise = np.random.default_rng(seed).integers(-20, 20, (height, width, 3))
    return (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)


def sound(seed=0, samples=32_000):
    """Return a chirp whose loudness goes up and down, in noise that leaves more or less than 80 dB of contrast."""
    t = np.arange(samples) / 16_000
    chirp = np.sin(2 * np.pi * (200 + 700 * (seed + 1) * t) * t) * np.abs(np.sin(2 * np.pi * (seed + 1.3) * t))
    return (0.3 * chirp + (0.03 if seed else 1e-5) * np.random.default_rng(seed).standard_normal(samples)).astype(
        np.float32
    )


def test_token_states_match_transformers(text, reference):
    """Every token, also behind the end, has passed the last norm and the projection; the end token's are the text's."""
    found, ids = text(SENTENCES, np.ones(5)), cut()
    assert found.values.shape == (5, 77, 16)
    with torch.no_grad():
        expected = reference.text_projection(reference.text_model(ids).last_hidden_state)
        pooled = reference.get_text_features(ids).pooler_output
    np.testing.assert_allclose(found.values, expected, atol=TOLERANCE)
    ends = [states[valid - 1] for states, valid in zip(found.values, found.valid, strict=True)]
    np.testing.assert_allclose(ends, pooled, atol=TOLERANCE)


def test_valid_ends_with_the_end_token(text):
    """Empty, long or odd, a sentence keeps its end token, the last that mask and `valid` count."""
    found, ids = text(SENTENCES, np.ones(5)), cut()
    assert found.valid[1:4] == [4, 2, 77]
    for mask, numbers, valid in zip(found.steps["token_mask"], ids.tolist(), found.valid, strict=True):
        assert mask.tolist() == [1] * valid + [0] * (77 - valid)
        assert numbers[valid - 1 :] == [END] + [clip_text.PADDING] * (77 - valid)


def test_the_published_tokenizer_is_used(tmp_path, monkeypatch):
    """With pinned weights the pinned file cuts: its own marks, the end kept where a text is cut, filled up with it."""
    marks = {"<|startoftext|>": 49_406, "<|endoftext|>": 49_407}
    cutter = CLIPTokenizer(vocab={"a</w>": 0, "!</w>": 1, **marks}, merges=[]).backend_tokenizer
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    clip_text.TOKENIZER.folder.mkdir(parents=True)
    path = clip_text.TOKENIZER.folder / "tokenizer.json"
    cutter.save(str(path))
    pinned = replace(clip_text.TOKENIZER, sha256=sha256(path.read_bytes()).hexdigest())
    found = _tokens.tokenizer(pinned, "", 77, clip_text.PADDING)
    assert found.encode("A!").ids == [49_406, 0, 1] + [49_407] * 74
    assert found.encode("a " * 100).ids == [49_406] + [0] * 75 + [49_407]
    assert found.encode("").ids == [49_406] + [49_407] * 76


def levels(processor, image):
    """Return what transformers makes of a frame before it normalises it, as 8-bit levels, (h, w, 3)."""
    given = {"images": image, "input_data_format": "channels_last", "return_tensors": "pt"}
    found = processor(do_rescale=False, do_normalize=False)(**given)["pixel_values"][0]
    return found.permute(1, 2, 0).numpy().astype(int)


@pytest.mark.parametrize("size", SIZES)
def test_frames_are_cropped_as_transformers_does(size):
    """A frame of any size has the pixels that Pillow gives in transformers, and within a level those of torchvision."""
    image = frame(*size)
    found = clip_vision.cropped(image)
    assert found.shape == (224, 224, 3)
    np.testing.assert_array_equal(found, levels(CLIPImageProcessorPil, image))
    assert (np.abs(found - levels(CLIPImageProcessor, image)) > 1).mean() < 1e-4


def test_colours_are_normalised_as_transformers_does():
    """Levels are brought to the mean and deviation of the pictures that the tower was trained on."""
    image = frame(224, 224)
    expected = CLIPImageProcessorPil()(images=image, return_tensors="pt", input_data_format="channels_last")
    pictures = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    np.testing.assert_allclose(_clip.normalised(pictures), expected["pixel_values"], atol=TOLERANCE)


def test_images_match_transformers(vision, reference):
    """A frame's feature is the projected class token, not brought to length 1."""
    for size in SIZES[:3]:
        images = np.stack([frame(*size, seed) for seed in range(3)])
        given = CLIPImageProcessorPil()(images=list(images), return_tensors="pt", input_data_format="channels_last")
        with torch.no_grad():
            expected = reference.get_image_features(**given).pooler_output
        found = vision(images, np.ones(3))
        assert found.shape == (3, 1, 16)
        np.testing.assert_allclose(found[:, 0], expected, atol=TOLERANCE)


def drawn(samples, real):
    """Draw the picture of one sound with librosa's own range and numpy's own interpolation."""
    power = librosa.feature.melspectrogram(y=samples, sr=16_000, n_fft=1024, hop_length=512, n_mels=224)
    heard = power[:, : 1 + real // 512]
    level = librosa.power_to_db(power, top_db=None).clip(librosa.power_to_db(heard, top_db=80).min())
    picture = ((level - level.min()) / (librosa.power_to_db(heard).max() - level.min())).clip(0, 1)[::-1]
    columns = ((np.arange(224) + 0.5) * picture.shape[1] / 224 - 0.5).clip(0, picture.shape[1] - 1)
    return np.stack([np.interp(columns, np.arange(picture.shape[1]), row) for row in picture])


def padded(seed, real):
    """Return a sound that was shorter, padded with silence as windows are."""
    return np.pad(sound(seed, real), (0, 32_000 - real))


def test_sounds_match_transformers(mel, reference):
    """A sound's feature is the image tower's of its spectrogram, drawn by librosa, in grey; a padded one's too."""
    real = np.array([32_000, 32_000, 20_000, 900])
    sounds = np.stack([padded(seed, samples) for seed, samples in enumerate(real)])
    pictures = np.stack([drawn(*pair) for pair in zip(sounds, real, strict=True)]).astype(np.float32)
    shown = _clip.normalised(torch.from_numpy(pictures)[:, None].expand(-1, 3, -1, -1))
    with torch.no_grad():
        expected = reference.get_image_features(shown).pooler_output
    found = mel(sounds, real)
    assert found.shape == (4, 1, 16)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-4)


def test_the_picture_of_a_sound():
    """A tone is a bright line at its height from left to right; what follows the end is black; loudness is nothing."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(32_000) / 16_000).astype(np.float32)
    short = np.where(np.arange(32_000) < 16_000, tone, 0).astype(np.float32)
    whole, half, quiet = clip_mel.pictures(np.stack([tone, short, tone / 100]), np.array([32_000, 16_000, 32_000]))
    band = 223 - np.abs(librosa.mel_frequencies(226, fmax=8000)[1:-1] - 1000).argmin()
    assert whole.shape == (224, 63)
    assert (np.abs(whole.argmax(axis=0)[1:-1] - band) <= 1).all()
    assert whole[band - 1 : band + 2].max(axis=0)[1:-1].min() > 0.9
    np.testing.assert_allclose(half[:, :30], whole[:, :30], atol=0.05)
    assert half[:, 33:].max() == 0
    np.testing.assert_allclose(quiet, whole, atol=1e-3)


@pytest.mark.parametrize("loudness", [0, 3e-7])
def test_silence_is_black(mel, loudness):
    """Silence, and noise below -100 dB, is black all over; nothing divides by 0."""
    quiet = (loudness * np.random.default_rng(0).standard_normal((1, 32_000))).astype(np.float32)
    assert clip_mel.pictures(quiet, np.array([32_000])).max() == 0
    assert np.isfinite(mel(quiet, np.array([32_000]))).all()


@pytest.mark.parametrize("samples", [1, 511, 800, 31_999])
def test_the_shortest_sounds(mel, samples):
    """A sound of any length gives what it gives when it is padded to 2 s."""
    found = mel(sound(0, samples)[None], np.array([samples]))
    np.testing.assert_array_equal(found, mel(padded(0, samples)[None], np.array([samples])))


def test_neighbours_and_order_change_nothing(text, vision, mel):
    """Alone, together and turned round, each unit keeps its feature, beside louder sounds and longer texts too."""
    real = np.array([32_000, 9_000, 32_000])
    sounds = np.stack([padded(0, 32_000) * 0.01, padded(1, 9_000), padded(2, 32_000) * 3])
    frames = np.stack([frame(90, 120, seed) for seed in range(3)])
    for encode, units, counts in ((vision, frames, np.ones(3)), (mel, sounds, real)):
        together = encode(units, counts)
        np.testing.assert_allclose(encode(units[::-1], counts[::-1])[::-1], together, atol=TOLERANCE)
        for i in range(3):
            np.testing.assert_allclose(encode(units[i : i + 1], counts[i : i + 1])[0], together[i], atol=TOLERANCE)
    together = text(SENTENCES, np.ones(5)).values
    np.testing.assert_allclose(text(SENTENCES[::-1], np.ones(5)).values[::-1], together, atol=TOLERANCE)
    for sentence, states in zip(SENTENCES, together, strict=True):
        np.testing.assert_allclose(text([sentence], np.ones(1)).values[0], states, atol=TOLERANCE)


MISTAKES = {
    "usual gelu": lambda network: [setattr(layer.mlp, "activation_fn", torch.nn.GELU()) for layer in layers(network)],
    "no norm before the layers": lambda network: setattr(network.vision_model, "pre_layrnorm", torch.nn.Identity()),
    "no norm after the layers": lambda network: setattr(network.vision_model, "post_layernorm", torch.nn.Identity()),
    "no projection": lambda network: setattr(network, "visual_projection", torch.nn.AdaptiveAvgPool1d(16)),
    "mean of patches": lambda network: network.vision_model.encoder.register_forward_hook(
        lambda _, __, found: type(found)(last_hidden_state=found.last_hidden_state[:, 1:].mean(1, keepdim=True))
    ),
    "a layer missing": lambda network: setattr(network.vision_model.encoder, "layers", layers(network)[:1]),
}


def layers(network):
    """Return the layers of the image tower."""
    return network.vision_model.encoder.layers


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_image_tower_is_noticed(checkpoint, vision, name):
    """Each way of building it wrongly moves the features a hundred times beyond the tolerance."""
    network = clip_vision.build(SMALL)
    network.load_state_dict(clip_vision.read([checkpoint]))
    MISTAKES[name](network)
    images = np.stack([frame(240, 320, seed) for seed in range(2)])
    change = np.abs(clip_vision.ready(network, "cpu", "exact")(images, np.ones(2)) - vision(images, np.ones(2))).max()
    assert change > 100 * TOLERANCE, f"{name} changes the features by {change:.1e}"


@pytest.mark.parametrize("wrong", [{"MEAN": (0.485, 0.456, 0.406)}, {"STD": (0.229, 0.224, 0.225)}, {"MEAN": (0,) * 3}])
def test_other_colours_are_noticed(vision, monkeypatch, wrong):
    """Another network's mean or deviation of colours gives other features."""
    image = frame(240, 320)[None]
    right = vision(image, np.ones(1))
    for name, values in wrong.items():
        monkeypatch.setattr(_clip, name, values)
    assert np.abs(vision(image, np.ones(1)) - right).max() > 100 * TOLERANCE


@pytest.mark.parametrize("mistake", ["no projection", "no last norm", "sees what follows", "one state for all"])
def test_a_mistake_in_the_text_tower_is_noticed(text, reference, mistake):
    """Each way of asking it wrongly moves the states of real tokens a hundred times beyond the tolerance."""
    ids, found = cut(), text(SENTENCES, np.ones(5))
    with torch.no_grad():
        asked = reference.text_model(ids, output_hidden_states=True)
        wrong = {
            "no projection": asked.last_hidden_state[..., :16],
            "no last norm": reference.text_projection(asked.hidden_states[-1]),
            "sees what follows": reference.text_projection(seeing(reference.text_model, ids)),
            "one state for all": reference.text_projection(asked.pooler_output)[:, None],
        }[mistake]
    real = found.steps["token_mask"] > 0
    assert np.abs(wrong.numpy() - found.values)[real].max() > 100 * TOLERANCE


def seeing(network, ids):
    """Ask the text tower without its causal mask."""
    states = network.embeddings(ids)
    for layer in network.encoder.layers:
        states = layer(states, None)
    return network.final_layer_norm(states)


@pytest.mark.parametrize("module", [clip_text, clip_vision])
@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_a_checkpoint_that_does_not_fit_is_refused(module, reference, tmp_path, monkeypatch, change):
    """A name that is missing or belongs to no tower, or another shape, is named."""
    state = published(reference)
    name = {clip_text: "text_model.final_layer_norm.bias", clip_vision: "vision_model.post_layernorm.bias"}[module]
    if change == "missing":
        del state[name]
    elif change == "unknown":
        name = "model.bias"
        state[name] = torch.zeros(1)
    else:
        state[name] = state[name][:-1].clone()
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    wanted = Weights("a/b", ("model.safetensors",), sha256="", revision="r")
    wanted.folder.mkdir(parents=True)
    save_file(state, wanted.folder / "model.safetensors")
    digest = sha256((wanted.folder / "model.safetensors").read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match=rf"a/b does not fit its network: [\s\S]*{name}"):
        filled(module.build(SMALL), replace(wanted, sha256=digest), "", module.read)


def test_each_tower_is_read_alone(checkpoint, reference):
    """Together the towers are the whole checkpoint, each name in one of them; only the text tower needs the scale."""
    texts, images = clip_text.read([checkpoint]), clip_vision.read([checkpoint])
    assert texts.keys() | images.keys() == reference.state_dict().keys()
    assert not texts.keys() & images.keys()
    assert "logit_scale" in texts


def test_sizes_are_those_of_the_literature():
    """The full towers have the parameters that are told of them, together 151 million and not one left over."""
    with torch.device("meta"):
        counted = [sum(p.numel() for p in module.build().parameters()) for module in (clip_vision, clip_text)]
    assert counted == [clip_vision.SPEC.parameters, clip_text.SPEC.parameters]
    assert [round(count / 1e6, 1) for count in counted] == [87.8, 63.4]
    assert sum(counted) == 151_277_313
    assert clip_mel.SPEC.parameters == counted[0]


def plain(folder, sentences):
    """Compute token states with torch alone, from nothing but what `leave` wrote."""
    with safe_open(folder / "text_tower.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json")).encode_batch(sentences)
    ids = torch.tensor([each.ids for each in tokens])
    embeddings = "text_model.embeddings."
    x = held[f"{embeddings}token_embedding.weight"][ids] + held[f"{embeddings}position_embedding.weight"]
    assert ids.shape[1] == config["context"]
    assert x.shape[2] == config["width"]
    assert (ids[:, 0] == config["start_id"]).all()
    assert set(ids[1].tolist()[4:]) == {config["padding_id"]}
    assert ids[1][3] == config["end_id"]
    assert config["activation"] == "quick_gelu"

    def dense(y, name):
        return linear(y, held[f"{name}.weight"], held[f"{name}.bias"])

    def norm(y, name):
        return layer_norm(y, y.shape[-1:], held[f"{name}.weight"], held[f"{name}.bias"], config["epsilon"])

    for i in range(config["layers"]):
        layer = f"text_model.encoder.layers.{i}."
        y = norm(x, f"{layer}layer_norm1")
        q, k, v = (
            dense(y, f"{layer}self_attn.{name}_proj").unflatten(2, (config["heads"], -1)).transpose(1, 2)
            for name in "qkv"
        )
        y = scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + dense(y, f"{layer}self_attn.out_proj")
        y = dense(norm(x, f"{layer}layer_norm2"), f"{layer}mlp.fc1")
        x = x + dense(y * torch.sigmoid(1.702 * y), f"{layer}mlp.fc2")
    return linear(norm(x, "text_model.final_layer_norm"), held["text_projection.weight"]), config, held


@pytest.mark.parametrize("options", [SMALL, pytest.param({}, marks=pytest.mark.slow)], ids=["small", "full"])
def test_the_text_tower_is_left_for_training(tmp_path, monkeypatch, options):
    """What `leave` writes gives, with torch alone, the encoder's states; it says whose weights they are."""
    monkeypatch.setattr(clip_text, "build", partial(clip_text.build, options))
    with weights.using("random:3"):
        clip_text.leave(tmp_path, "cpu")
        expected = clip_text.load("cpu", "exact")(SENTENCES, np.ones(5)).values
    found, config, held = plain(tmp_path, SENTENCES)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert config["weights"] == "random:3"
    assert held["logit_scale"].shape == ()
    assert {x.dtype for x in held.values()} == {torch.float32}


def test_the_text_tower_is_written_once(tmp_path, monkeypatch):
    """Written elsewhere it has the same bytes, and may be read by all; what is there already is never touched."""
    monkeypatch.setattr(clip_text, "build", partial(clip_text.build, SMALL))
    names = ["text_tower.safetensors", "tokenizer.json"]
    usual = tmp_path / "usual"
    usual.touch()
    with weights.using("random:0"):
        for folder in (tmp_path / "one", tmp_path / "two"):
            folder.mkdir()
            clip_text.leave(folder, "cpu")
            assert sorted(path.name for path in folder.iterdir()) == names
        for name in names:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
            assert (tmp_path / "one" / name).stat().st_mode == usual.stat().st_mode
            (tmp_path / "one" / name).write_text("mine")
        clip_text.leave(tmp_path / "one", "cpu")
    assert all((tmp_path / "one" / name).read_text() == "mine" for name in names)
