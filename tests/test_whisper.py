"""Both sizes of Whisper hear and write as transformers' own greedy decoding does, here at a reduced size."""

import hashlib

import librosa
import media_kit as kit
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, pre_tokenizers
from transformers import GenerationConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer
from transformers.models.whisper.configuration_whisper import NON_SPEECH_TOKENS_MULTI
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from extract import weights
from extract.encoders import _whisper, minilm, whisper_base, whisper_large_v3_turbo
from extract.network import fill, filled
from extract.speech import pieces, words_of
from extract.weights import Weights, WeightsError

pytestmark = pytest.mark.usefixtures("one_thread")

RATE_HZ = whisper_base.SPEC.rate_hz
SIZES = {"base": whisper_base, "turbo": whisper_large_v3_turbo}
REDUCED = {
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "max_target_positions": 24,
}
# As published beside the checkpoints: the marks of what is no word, the first and last of them apart.
MARKS = {"base": (50358, 50362), "turbo": (50359, 50363)}
LIVELY = {"embed_tokens": 8, "decoder.embed_positions": 8, "encoder_attn": 4, "encoder.conv": 2}
"""How much random weights are enlarged so that words follow from what was heard and said before."""


@pytest.fixture(scope="module")
def networks():
    """Build both sizes, reduced, with random weights that say many things."""
    return {size: lively(module.build(module.PUBLISHED | REDUCED), MARKS[size][1]) for size, module in SIZES.items()}


def lively(network, last_mark):
    """Fill a network so that it says many things, though no time stamps, which a trained one is told to leave out."""
    fill(network, 0)
    with torch.no_grad():
        for name, x in network.state_dict().items():
            for part, factor in LIVELY.items():
                x.mul_(factor if part in name else 1)
        network.decoder.embed_tokens.weight[last_mark + 1 :] = 0
    return network


def listener(networks, size="base", language="en"):
    """Return what turns one piece of sound into tokens."""
    return _whisper.listener(networks[size], "cpu", SIZES[size].SPEC, language)


@pytest.fixture(scope="module")
def encode(networks):
    """Load the reduced base size, with the vocabulary that stands in under random weights."""
    with weights.using("random:0"):
        return whisper_base.ready(networks["base"], "cpu", "exact")


def transcript(encode, sound):
    """Encode one sound alone."""
    return words_of(encode(sound[None], np.array([len(sound)])).values[0])


def generator(network, size):
    """Put transformers' own decoding around the same weights, told what is published beside them."""
    first, last = MARKS[size]
    never = [token for token in NON_SPEECH_TOKENS_MULTI if token < 50257]
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(network.config).eval()
    model.model, model.proj_out.weight = network, network.decoder.embed_tokens.weight
    languages = SIZES[size].SPEC.options["language"]
    model.generation_config = GenerationConfig(
        decoder_start_token_id=50258,
        bos_token_id=50257,
        eos_token_id=50257,
        pad_token_id=50257,
        suppress_tokens=[*never, 50258, *range(first, last + 1)],
        begin_suppress_tokens=[220, 50257],
        no_timestamps_token_id=last + 1,
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": 50259 + place for place, code in enumerate(languages)},
        task_to_id={"translate": first, "transcribe": first + 1},
        max_length=network.config.max_target_positions,
        return_timestamps=False,
    )
    return model


def generated(model, sound, language):
    """Return what transformers decodes greedily."""
    mel = WhisperFeatureExtractor(model.config.num_mel_bins)(sound, sampling_rate=RATE_HZ, return_tensors="pt")
    with torch.no_grad():
        found = model.generate(mel.input_features, language=language, task="transcribe", do_sample=False, num_beams=1)
    return found[0].tolist()


def chirp(seconds):
    """Return a sound that rises, from which the reduced network makes many different tokens."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * (100 + 500 * t / seconds * 3) * t)).astype(np.float32)


SOUNDS = {
    "chirp": chirp(3),
    "tone": kit.tone(220, 1).astype(np.float32),
    "pulses": (kit.tone(150, 2.5) * np.abs(kit.tone(2, 2.5))).astype(np.float32),
    "full": (kit.noise(30, RATE_HZ) * 0.3).astype(np.float32),
    "one sample": np.full(1, 0.1, np.float32),
}


@pytest.mark.parametrize(
    ("size", "sound", "language"),
    [
        ("base", "chirp", "en"),
        ("base", "pulses", "su"),
        ("base", "full", "de"),
        ("base", "one sample", "en"),
        ("turbo", "chirp", "yue"),
        ("turbo", "tone", "en"),
    ],
)
def test_tokens_are_those_of_greedy_decoding(networks, size, sound, language):
    """For the same weights, sound and language: token for token what transformers decodes, up to the last position."""
    found = listener(networks, size, language)(SOUNDS[sound])
    assert found == generated(generator(networks[size], size), SOUNDS[sound], language)
    assert len(found) == REDUCED["max_target_positions"] - 4


def test_the_language_is_heard(networks):
    """Told another language, the network of the tests above says something else; they would notice a wrong one."""
    said = [listener(networks, language=language)(SOUNDS["chirp"]) for language in ("en", "ru", "de")]
    assert all(len(set(tokens)) > 5 for tokens in said)
    assert len({tuple(tokens) for tokens in said}) == 3


@pytest.mark.parametrize(
    ("token", "place"),
    [(_whisper.END, 3), (_whisper.END, 0), (_whisper.BLANK, 0), (58, 3), (50_358, 3), (50_362, 3)],
)
def test_what_is_not_said(networks, token, place):
    """The end ends, but not before the first token, where no blank stands either; marks of no word never stand."""
    said = listener(networks)(SOUNDS["chirp"])
    embedded = networks["base"].decoder.embed_tokens.weight
    kept = embedded[token].clone()
    embedded[token] = 1.01 * embedded[said[place]]  # likelier wherever that token was the likeliest
    try:
        found = listener(networks)(SOUNDS["chirp"])
        assert found == generated(generator(networks["base"], "base"), SOUNDS["chirp"], "en")
    finally:
        embedded[token] = kept
    assert token not in found
    assert found == (said[:place] if token == _whisper.END and place else said)


def test_what_is_never_written_is_what_was_published():
    """Marks of what nobody says are transformers' list for many languages; codes stand in the order of their tokens."""
    assert [token for token in NON_SPEECH_TOKENS_MULTI if token < _whisper.END] == _whisper.NON_SPEECH
    assert whisper_large_v3_turbo.SPEC.options == {"language": tuple(LANGUAGES)}
    assert whisper_base.SPEC.options == {"language": tuple(LANGUAGES)[:-1]}


@pytest.mark.parametrize("size", SIZES)
def test_features_are_whispers(networks, size):
    """The network hears transformers' log-mel features, and these are what Whisper's paper says they are."""
    sound, heard = SOUNDS["pulses"], []
    hook = networks[size].encoder.register_forward_pre_hook(lambda _, given: heard.append(given[0].numpy()[0]))
    listener(networks, size)(sound)
    hook.remove()
    bins = networks[size].config.num_mel_bins
    expected = WhisperFeatureExtractor(bins)(sound, sampling_rate=RATE_HZ, return_tensors="np").input_features[0]
    np.testing.assert_array_equal(heard[0], expected)
    whole = np.pad(sound, (0, 30 * RATE_HZ - len(sound))).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(whole, 200, "reflect"), 400)[::160][:-1]
    power = np.abs(np.fft.rfft(frames * np.hanning(401)[:-1])) ** 2
    level = np.log10((power @ librosa.filters.mel(sr=RATE_HZ, n_fft=400, n_mels=bins).T.astype(np.float64)).clip(1e-10))
    np.testing.assert_allclose(heard[0].T, (level.clip(level.max() - 8) + 4) / 4, atol=1e-4)


def test_silence_has_no_transcript(networks):
    """Nothing, or only zeros, gives an empty transcript, and the network is not even asked."""
    asked = []
    with weights.using("random:0"):
        encode = whisper_base.ready(networks["base"], "cpu", "exact")
    hook = networks["base"].encoder.register_forward_pre_hook(lambda *_: asked.append(1))
    for samples in (0, 1, RATE_HZ, 70 * RATE_HZ):
        values = encode(np.zeros((2, samples), np.float32), np.array([samples, 0])).values
        assert [(steps.shape, steps.dtype) for steps in values] == [((0, 1), np.uint8)] * 2
    padded = np.concatenate([np.zeros(10, np.float32), SOUNDS["tone"]])
    assert len(encode(padded[None], np.array([10])).values[0]) == 0
    hook.remove()
    assert not asked


def test_long_sound_is_heard_in_pieces(encode):
    """Of a minute and more, pieces are transcribed one by one and joined by a blank; silent ones leave no trace."""
    long = np.concatenate([chirp(29), np.zeros(31 * RATE_HZ, np.float32), chirp(8), SOUNDS["pulses"]])
    parts = pieces(long, RATE_HZ)
    assert len(parts) == 3
    said = [transcript(encode, part) for part in parts]
    assert [bool(text) for text in said] == [True, False, True]
    assert transcript(encode, long) == f"{said[0]} {said[2]}"


def test_neighbours_padding_and_threads_change_no_letter(networks, encode):
    """Alone, beside others, padded to a longer one and on two cores: each sound keeps its transcript to the byte."""
    sounds = [SOUNDS[name] for name in ("chirp", "tone")]
    lengths = [len(sound) for sound in sounds]
    batch = np.stack([np.pad(sound, (0, max(lengths) - len(sound)), constant_values=0.3) for sound in sounds])
    together = [words_of(values) for values in encode(batch, np.array(lengths)).values]
    assert together == [transcript(encode, sound) for sound in sounds]
    assert len(set(together)) == 2
    ids = listener(networks)(SOUNDS["chirp"])
    torch.set_num_threads(2)
    try:
        assert listener(networks)(SOUNDS["chirp"]) == ids
    finally:
        torch.set_num_threads(1)


def test_random_weights_say_little(networks, encode):
    """With random weights a piece has 16 tokens, spelt by MiniLM's vocabulary, whose numbers come round again."""
    with weights.using("random:0"):
        ids = listener(networks)(SOUNDS["chirp"])
    vocabulary = Tokenizer.from_file(str(weights.located(minilm.WEIGHTS)[0].with_name("tokenizer.json")))
    assert len(ids) == 16
    assert transcript(encode, SOUNDS["chirp"]) == vocabulary.decode(
        [token % vocabulary.get_vocab_size() for token in ids if token < _whisper.END]
    )


@pytest.fixture(scope="module")
def tokenizer():
    """Make a vocabulary of single bytes as transformers makes Whisper's, with special tokens in their places."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {symbol: i for i, symbol in enumerate([*alphabet, *(f"unused{i}" for i in range(50_257 - len(alphabet)))])}
    made = WhisperTokenizer(vocab, [])
    made.add_special_tokens({"additional_special_tokens": ["<|startoftranscript|>", "<|en|>"]})
    return made


@pytest.mark.parametrize("text", [" Don't  stop.", " Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600", "", " \t "])
def test_tokens_are_written_as_transformers_does(tokenizer, tmp_path, monkeypatch, text):
    """Bytes become letters, special tokens and time stamps nothing, half a letter its replacement, outer blanks go."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    path = Weights("a/b", ("tokenizer.json",), revision="r").folder / "tokenizer.json"
    path.parent.mkdir(parents=True)
    tokenizer.backend_tokenizer.save(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text_of = _whisper.writer(Weights("a/b", ("tokenizer.json",), digest, revision="r"), "")
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|startoftranscript|>", "<|en|>"]) == [
        _whisper.END,
        _whisper.START,
        _whisper.START + 1,
    ]
    assert text_of([_whisper.START, _whisper.START + 1, *ids, 50_364 + 7]) == text.strip()
    assert text_of(ids[:-1]) == tokenizer.decode(ids[:-1], skip_special_tokens=True).strip()


@pytest.mark.parametrize("head", [False, True], ids=["tied", "twice"])
def test_a_checkpoint_is_read_as_it_is_published(networks, tmp_path, head):
    """Names carry a prefix, numbers may be halves, and words may be saved twice; all fill the network to the last."""
    state = {f"model.{name}": x.half() for name, x in networks["turbo"].state_dict().items()}
    twice = {"proj_out.weight": state["model.decoder.embed_tokens.weight"].clone()} if head else {}
    save_file(state | twice, tmp_path / "model.safetensors")
    fresh = whisper_large_v3_turbo.build(whisper_large_v3_turbo.PUBLISHED | REDUCED)
    fresh.load_state_dict(whisper_large_v3_turbo.read([tmp_path / "model.safetensors"]), strict=True)
    assert all(torch.equal(x, state[f"model.{name}"].float()) for name, x in fresh.state_dict().items())


def test_a_checkpoint_that_does_not_fit_is_refused(networks, tmp_path, monkeypatch):
    """A name that is missing is named; nothing is left at its initial value."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    path = Weights("a/b", ("model.safetensors",), revision="r").folder / "model.safetensors"
    path.parent.mkdir(parents=True)
    state = {f"model.{name}": x for name, x in networks["base"].state_dict().items()}
    state.pop("model.encoder.layer_norm.weight")
    save_file(state, path)
    found = Weights("a/b", ("model.safetensors",), hashlib.sha256(path.read_bytes()).hexdigest(), revision="r")
    with pytest.raises(WeightsError, match=r"a/b does not fit its network: [\s\S]*encoder.layer_norm.weight"):
        filled(whisper_base.build(whisper_base.PUBLISHED | REDUCED), found, "", whisper_base.read)


@pytest.mark.parametrize(("size", "length"), [("base", "290 MB"), ("turbo", "1.6 GB")])
def test_missing_files_are_asked_for_by_name(networks, tmp_path, monkeypatch, size, length):
    """Without weights or tokenizer the message names file, size if known, folder, licence and what to do."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    module, licence = SIZES[size], SIZES[size].SPEC.licence
    where = f"{tmp_path}/{module.ID.replace('/', '--')}/{module.REVISION}"
    with pytest.raises(WeightsError, match=f"model.safetensors .*, {length}, at {where}/.*{licence}.*WEIGHTS=random:0"):
        filled(networks[size], module.WEIGHTS, licence, module.read)
    with pytest.raises(WeightsError, match=f"expected tokenizer.json .* at {where}/.*{licence}"):
        module.ready(networks[size], "cpu", "exact")


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_full_size(size):
    """The whole network, of as many parameters as declared, hears half a minute of noise and says 16 tokens."""
    with weights.using("random:0"):
        network = filled(SIZES[size].build(), SIZES[size].WEIGHTS, "", SIZES[size].read)
        found = listener({size: network}, size)(SOUNDS["full"])
    assert sum(x.numel() for x in network.parameters()) == SIZES[size].SPEC.parameters
    assert len(found) == _whisper.RANDOM_TOKENS
