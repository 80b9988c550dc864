"""CLIP's text network in plain torch computes what CoOp and transformers compute, and believes no file unchecked."""

import json
import re
from functools import partial, reduce
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import fill
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from extract import weights
from extract.encoders import clip_text
from extract.network import fill as fill_network
from features import CacheError
from fuse.models import _text_tower, _tokens, mer_clip
from fuse.models._text_tower import Prompts, Sizes, TextTower

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parent / "golden"
BODY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SMALL = {**BODY, "projection_dim": 16}
SIZES = Sizes(layers=2, heads=4, width=32, context=77, activation="quick_gelu", epsilon=1e-5, start_id=198, end_id=199)
LABELS = ["happy", "very sad.", "", "A strong feeling, or none at all; it is 3 o'clock."]
TOLERANCE = 1e-5


# CoOp's names of CLIP's weights, to those of the file that `clip_text` leaves.
RENAMING = (
    (r"^transformer\.resblocks\.(\d+)", r"text_model.encoder.layers.\1"),
    (r"\.attn\.", ".self_attn."),
    (r"\.ln_(\d)", r".layer_norm\1"),
    (r"mlp\.c_fc", "mlp.fc1"),
    (r"mlp\.c_proj", "mlp.fc2"),
    (r"^ln_final", "text_model.final_layer_norm"),
    (r"^token_embedding", "text_model.embeddings.token_embedding"),
    (r"^positional_embedding", "text_model.embeddings.position_embedding.weight"),
)


def renamed(state):
    """Give CoOp's weights the names of transformers; queries, keys and values are apart there."""
    found = {"text_projection.weight": state["text_projection"].T.contiguous()}
    for name, x in state.items():
        new = reduce(lambda n, rule: re.sub(rule[0], rule[1], n), RENAMING, name)
        if "in_proj" in new:
            parts = zip("qkv", x.chunk(3), strict=True)
            found |= {re.sub("in_proj_", f"{letter}_proj.", new): part for letter, part in parts}
        elif new.startswith("text_model."):
            found[new] = x
    return found


@pytest.fixture(scope="module")
def golden():
    """Read what CoOp's code gave for weights and inputs that are made from names."""
    with np.load(GOLDEN / "coop_prompt_learner.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def meta(golden):
    """Read how it was made."""
    return json.loads(str(golden["meta"]))


@pytest.fixture(scope="module")
def coop(golden, meta):
    """Return the golden network; its tokens are those that the golden file holds."""
    shapes = {name: shape for name, shape in meta["state_dict"].items() if not name.startswith("visual.")}
    state = fill.fill_({name: torch.zeros(shape) for name, shape in shapes.items()}, seed=meta["seed"])
    state["token_embedding.weight"] *= 4
    state["positional_embedding"] *= 2
    rows = zip(meta["constructor"]["classnames"], golden["tokens"], golden["eot_index"], strict=True)
    numbers = {f"{name}.": row[9:end].tolist() for name, row, end in rows}
    start, end = golden["tokens"][0][0].item(), golden["tokens"].max().item()
    sizes = Sizes(2, 4, 64, 77, "quick_gelu", 1e-5, start, end)
    return TextTower(sizes, renamed(state), numbers.__getitem__)


def prompts(tower, meta, *, specific=False):
    """Return CoOp's prompts: one group that shares its contexts, or a group for each class."""
    names = meta["constructor"]["classnames"]
    made = Prompts(tower, {name: [name] for name in names} if specific else {"all": names}, 8)
    drawn = (
        fill.values("prompt_learner.ctx.csc", (7, 8, 64)) if specific else fill.values("prompt_learner.ctx", (8, 64))
    )
    with torch.no_grad():
        for name, values in zip(made.counts, drawn if specific else [drawn], strict=True):
            made.contexts[name].copy_(torch.from_numpy(values))
    return made.eval()


def assert_golden(got, expected):
    """Compare within the tolerance that the golden file states."""
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("specific", [False, True], ids=["shared", "class-specific"])
def test_prompts_match_coop(golden, meta, coop, specific):
    """Start, contexts, class, stop and end stand where CoOp has them, and mean what they mean there."""
    made, suffix = prompts(coop, meta, specific=specific), "end_csc" if specific else "end"
    embedded, ends = made.embedded(), golden["eot_index"]
    assert embedded.shape[1] == ends.max() + 1
    np.testing.assert_array_equal(made.ends, ends)
    for i, end in enumerate(ends):
        assert_golden(embedded[i, : end + 1, ::8], golden[f"prompts_{suffix}_strided"][i, : end + 1])
    assert_golden(torch.cat(list(made().values())), golden[f"text_features_{suffix}"])


@torch.no_grad()
def test_logits_match_coop(golden, meta, coop):
    """The cosine to each label, times 1 / 0.07, is CoOp's logit, as the model computes it."""
    model = mer_clip.Model(mer_clip.Config(width=32, heads=4), {"text": (1, 8)}, {"emotion": 7})
    features = torch.from_numpy(golden["image_features"])
    found = model.answer("emotion", features, {"emotion_labels": prompts(coop, meta)()["all"]})
    assert_golden(found, golden["logits_end"])


@torch.no_grad()
def test_plain_texts_match_coop(golden, coop):
    """Tokens without contexts mean what CoOp's network makes of them; the end is the greatest number."""
    tokens = torch.from_numpy(golden["tokens"])
    ends = tokens.argmax(dim=1)
    np.testing.assert_array_equal(ends, golden["eot_index"])
    assert_golden(coop(coop.embed(tokens), ends), golden["plain_text_features"])


@torch.no_grad()
def test_texts_may_be_cut_at_their_ends(golden, coop):
    """What stands behind the end, a token or nothing at all, changes nothing: no token sees what follows it."""
    tokens, ends = torch.from_numpy(golden["tokens"]), torch.from_numpy(golden["eot_index"])
    whole = coop(coop.embed(tokens), ends)
    cut = tokens[:, : ends.max() + 1]
    torch.testing.assert_close(coop(coop.embed(cut), ends), whole, rtol=1e-5, atol=1e-5)
    other = torch.where(torch.arange(77) > ends[:, None], 7, tokens)
    torch.testing.assert_close(coop(coop.embed(other), ends), whole, rtol=1e-5, atol=1e-5)


def changed(tower, **changes):
    """Return the same network told otherwise."""
    other = object.__new__(type(tower))
    other.__dict__ = dict(tower.__dict__)
    other.sizes = Sizes(**{**vars(tower.sizes), **changes})
    return other


def seeing_all(monkeypatch, tower):
    """Return the network without its causal mask."""
    attention = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda q, k, v, is_causal: attention(q, k, v)
    )
    return tower


MISTAKES = {
    "usual gelu": lambda monkeypatch, tower: changed(tower, activation="gelu"),
    "other heads": lambda monkeypatch, tower: changed(tower, heads=8),
    "sees what follows": seeing_all,
}


@torch.no_grad()
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(golden, meta, coop, monkeypatch, name):
    """Each way of building the network wrongly moves the features ten times beyond the tolerance."""
    made = prompts(coop, meta)
    wrong = MISTAKES[name](monkeypatch, coop)(made.embedded(), made.ends)
    assert np.abs(wrong.numpy() - golden["text_features_end"]).max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("where", ["the stop for the end", "contexts behind the class"])
def test_a_mistake_in_the_prompt_is_noticed(golden, meta, coop, where):
    """Reading the stop, or putting the contexts elsewhere, moves the features ten times beyond the tolerance."""
    made = prompts(coop, meta)
    embedded, ends = made.embedded(), made.ends
    if where == "the stop for the end":
        ends = ends - 1
    else:
        embedded = torch.cat([embedded[:, :1], embedded[:, 9:], embedded[:, 1:9]], dim=1)
        ends = ends - 8
    assert np.abs(coop(embedded, ends).numpy() - golden["text_features_end"]).max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_the_network_matches_transformers(activation):
    """Random tokens of several lengths mean what transformers makes of them, with either activation."""
    config = CLIPTextConfig(**SMALL, vocab_size=200, hidden_act=activation, eos_token_id=199, bos_token_id=198)
    network = CLIPTextModelWithProjection(config).eval()
    fill_network(network, 0)
    sizes = Sizes(**{**vars(SIZES), "activation": activation})
    tower = TextTower(sizes, network.state_dict(), list)
    ids = torch.randint(0, 198, (5, 77), generator=torch.Generator().manual_seed(0))
    ends = torch.tensor([1, 5, 20, 3, 76])
    ids[torch.arange(5), ends] = 199
    np.testing.assert_allclose(tower(tower.embed(ids), ends), network(ids).text_embeds, atol=TOLERANCE)


def leave(folder, options):
    """Let the encoder leave its network, of random weights, and return what it makes of the labels."""
    with pytest.MonkeyPatch.context() as patch, weights.using("random:0"):
        patch.setattr(clip_text, "build", partial(clip_text.build, options))
        clip_text.leave(folder, "cpu")
        found = clip_text.load("cpu", "exact")([f"{text.removesuffix('.')}." for text in LABELS], np.ones(4))
    return np.stack([states[valid - 1] for states, valid in zip(found.values, found.valid, strict=True)])


@torch.no_grad()
@pytest.mark.parametrize("options", [SMALL, pytest.param({}, marks=pytest.mark.slow)], ids=["small", "full"])
def test_what_the_encoder_leaves_is_the_encoder(tmp_path, options):
    """The two files alone give the labels the meaning that the encoder gives the same sentences."""
    expected = leave(tmp_path, options)
    tower = _text_tower.read(tmp_path)
    found = Prompts(tower, {"labels": LABELS}, 0)()["labels"]
    assert found.shape == (4, options.get("projection_dim", 512))
    np.testing.assert_allclose(found, expected, atol=1e-4 if not options else TOLERANCE)
    assert not tower.state_dict()
    assert not list(tower.parameters())


def random_state(sizes=SIZES, ff=48, projected=16, words=200):
    """Return random weights of these sizes by name."""
    w = sizes.width
    shapes = {"fc1.weight": (ff, w), "fc1.bias": (ff,), "fc2.weight": (w, ff), "token_embedding.weight": (words, w)}
    shapes |= {"position_embedding.weight": (sizes.context, w), "text_projection.weight": (projected, w)}
    generator, state = torch.Generator().manual_seed(0), {}
    for name in sizes.names():
        usual = (w, w) if name.endswith("_proj.weight") else (w,)
        shape = next((s for end, s in shapes.items() if name.endswith(end)), usual)
        state[name] = torch.randn(shape, generator=generator) / w**0.5
    return state


def tiny(**changes):
    """Return a small network whose words are letters."""
    return TextTower(Sizes(**{**vars(SIZES), **changes}), random_state(), lambda text: [ord(x) for x in text])


def test_only_contexts_are_trained_and_stored():
    """The gradient passes through the network to the contexts of each group, which alone are parameters and state."""
    made = Prompts(tiny(), {"labels": ["glad", "sad"], "query": ["felt"]}, 3)
    found = made()
    assert {name: x.shape for name, x in found.items()} == {"labels": (2, 16), "query": (1, 16)}
    found["labels"].square().sum().backward()
    assert made.contexts["labels"].grad.abs().min() > 0
    assert not made.contexts["query"].grad.any()
    assert [*made.state_dict()] == [name for name, _ in made.named_parameters()]
    assert [*made.state_dict()] == ["contexts.labels", "contexts.query"]
    assert made.contexts["labels"].shape == (3, 32)
    assert 0.01 < Prompts(tiny(), {"labels": ["glad"]}, 60).contexts["labels"].std() < 0.03


def test_the_network_moves_with_its_model():
    """All weights but the words that were looked up already follow a model to its device."""
    made = Prompts(tiny(), {"labels": ["glad", "sad"]}, 3).to("meta")
    assert {x.device.type for x in made.buffers()} == {"meta"}
    assert made()["labels"].device.type == "meta"


def test_groups_and_neighbours_do_not_matter():
    """A text means the same alone and beside a longer one, of its group or of another."""
    tower = tiny()
    alone = Prompts(tower, {"a": ["glad"]}, 4)
    beside = Prompts(tower, {"b": ["a much longer text"], "a": ["sad", "glad"]}, 4)
    beside.contexts["a"].data = alone.contexts["a"].data
    torch.testing.assert_close(beside()["a"][1], alone()["a"][0], rtol=1e-5, atol=1e-5)


def test_a_text_that_is_too_long_is_refused():
    """The message counts start, contexts and end, and names the text; the longest that fits is taken."""
    longest = "a" * (77 - 2 - 8 - 1)
    assert Prompts(tiny(), {"labels": [longest]}, 8).embedded().shape == (1, 77, 32)
    with pytest.raises(ValueError, match=r"at most 77 tokens with start, 8 contexts and end, got 78 of 'aaa.*shorter"):
        Prompts(tiny(), {"labels": ["sad", f"{longest}a"]}, 8)


def test_a_token_that_the_network_lacks_is_refused():
    """A tokenizer of another network is noticed where its numbers are too great."""
    tower = tiny()
    tower.cut = lambda text: [5, 200]
    with pytest.raises(ValueError, match="tokens below 200, got 200"):
        Prompts(tower, {"labels": ["sad"]}, 2)


VOCABULARY = {**{chr(i): i for i in range(33, 127)}, **{f"{chr(i)}</w>": 60 + i for i in range(33, 127)}}


def trained():
    """Return CLIP's tokenizer with pairs that are learnt from a few sentences."""
    letters = CLIPTokenizer(vocab={**VOCABULARY, "<|startoftext|>": 198, "<|endoftext|>": 199}, merges=[])
    tokenizer = Tokenizer(BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tokenizer.normalizer = letters.backend_tokenizer.normalizer
    tokenizer.pre_tokenizer = letters.backend_tokenizer.pre_tokenizer
    texts = [*mer_clip.SENTENCES.values(), *mer_clip.PHRASES.values(), "I'm he'll they've 2024 ... !!"] * 3
    alphabet = [chr(i) for i in range(33, 127)]
    trainer = BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, end_of_word_suffix="</w>", continuing_subword_prefix=""
    )
    tokenizer.train_from_iterator([*texts, *alphabet], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    count = len(model["vocab"])
    marks = {"<|startoftext|>": count, "<|endoftext|>": count + 1}
    merges = [tuple(pair) for pair in model["merges"]]
    return CLIPTokenizer(vocab={**model["vocab"], **marks}, merges=merges).backend_tokenizer


@pytest.fixture(scope="module")
def cutters(tmp_path_factory):
    """Return by kind the reading of a tokenizer's file and the tokenizer itself."""
    folder = tmp_path_factory.mktemp("tokenizers")
    pairs = trained()
    with weights.using("random:0"):
        pieces = clip_text.tokenizer()
    found = {}
    for name, tokenizer in (("pairs", pairs), ("pieces", pieces)):
        tokenizer.enable_truncation(77)
        tokenizer.enable_padding(length=77)
        tokenizer.save(str(folder / name))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        found[name] = _tokens.read(folder / name), tokenizer
    return found


@pytest.mark.parametrize("kind", ["pairs", "pieces"])
def test_every_label_is_cut_as_the_library_cuts_it(cutters, kind):
    """Words, phrases, sentences and queries have the numbers that the tokenizers library gives them."""
    cut, tokenizer = cutters[kind]
    texts = [*mer_clip.WORDS.values(), *mer_clip.SENTENCES.values(), *mer_clip.OUR_SENTENCES.values()]
    texts += [*mer_clip.PHRASES.values(), *mer_clip.OUR_PHRASES.values(), "Emotion.", "Sentiment.", "(no word).", "."]
    for text in texts:
        assert cut(text) == tokenizer.encode(text, add_special_tokens=False).ids, text


@pytest.mark.parametrize("kind", ["pairs", "pieces"])
@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_any_plain_text_is_cut_as_the_library_cuts_it(cutters, kind, text):
    """Any printable text that names no mark of the tokenizer has the numbers that the library gives it."""
    cut, tokenizer = cutters[kind]
    assert cut(text) == tokenizer.encode(text, add_special_tokens=False).ids


def test_merges_may_be_written_as_lines(cutters, tmp_path):
    """Older files have a blank between the two pieces, with the same meaning."""
    cut, tokenizer = cutters["pairs"]
    said = json.loads(tokenizer.to_str())
    said["model"]["merges"] = [" ".join(pair) for pair in said["model"]["merges"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(said), encoding="utf-8")
    assert _tokens.read(tmp_path / "tokenizer.json")("A state of feeling.") == cut("A state of feeling.")


@pytest.mark.parametrize("text", ["\N{LATIN SMALL LETTER E WITH ACUTE}motion", "a\nb", "\0"])
def test_other_letters_are_refused(cutters, text):
    """What is not plain and printable is refused, never cut otherwise than the library would."""
    with pytest.raises(ValueError, match="a text of plain letters"):
        cutters["pairs"][0](text)


def write(folder, said=None, state=None, config=None):
    """Write a small network and tokenizer into the folder of an entry, or what is given in their place."""
    usual = {"type": "BPE", "vocab": VOCABULARY, "merges": []}
    usual |= {"end_of_word_suffix": "</w>", "continuing_subword_prefix": ""}
    text = said if isinstance(said, str) else json.dumps({"model": {**usual, **(said or {})}})
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    sizes = config if isinstance(config, str) else json.dumps({**vars(SIZES), "weights": "x", **(config or {})})
    state = {**random_state(), **(state or {})}
    held = {name: x for name, x in state.items() if x is not None}
    save_file(held, folder / "text_tower.safetensors", {"config": sizes})


def test_a_network_is_found_in_the_folders_of_entries(tmp_path):
    """The first folder that has one gives it; no folder, or none that has one, gives none."""
    (tmp_path / "other").mkdir()
    (tmp_path / "clip").mkdir()
    write(tmp_path / "clip")
    assert _text_tower.found([]) is None
    assert _text_tower.found([tmp_path / "other"]) is None
    found = _text_tower.found([tmp_path / "other", tmp_path / "clip"])
    assert (found.projected, found.sizes) == (16, SIZES)


def test_half_precision_is_read_as_float32(tmp_path):
    """A file of 16-bit numbers becomes a network of float32."""
    write(tmp_path, state={name: x.half() for name, x in random_state().items()})
    assert {x.dtype for x in _text_tower.read(tmp_path).buffers()} == {torch.float32}


PROJECTION, LAST = "text_projection.weight", "text_model.final_layer_norm.bias"
QUERY = "text_model.encoder.layers.1.self_attn.q_proj.bias"
WORDS = "text_model.embeddings.token_embedding.weight"
WRONG = {
    "not JSON": ({"said": "{"}, "Expecting"),
    "deep": ({"said": "[" * 100_000}, "recursion"),
    "no model": ({"said": "[]"}, "a tokenizer with a model"),
    "another kind": ({"said": {"type": "Unigram"}}, "byte pairs of CLIP or word pieces of BERT, got .*Unigram"),
    "another suffix": ({"said": {"end_of_word_suffix": None}}, "byte pairs of CLIP"),
    "a list of words": ({"said": {"vocab": ["a"]}}, "a vocabulary of pieces"),
    "numbers as text": ({"said": {"vocab": {"a": "1"}}}, "a vocabulary of pieces"),
    "negative numbers": ({"said": {"vocab": {"a": -1}}}, "a vocabulary of pieces"),
    "huge numbers": ({"said": {"vocab": {"a": 1 << 70}}}, "a vocabulary of pieces"),
    "merges of three": ({"said": {"merges": [["a", "b", "c"]]}}, "merges of two pieces"),
    "merges of numbers": ({"said": {"merges": [[1, 2]]}}, "merges of two pieces"),
    "sizes not JSON": ({"config": "layers=2"}, "Expecting"),
    "sizes in a list": ({"config": "[2]"}, "sizes by name"),
    "no layers": ({"config": {"layers": None}}, "layers: expected a whole number from 1 to 64, got None"),
    "layers as truth": ({"config": {"layers": True}}, "layers: expected a whole number"),
    "endless layers": ({"config": {"layers": 1 << 40}}, "layers: expected a whole number"),
    "heads that do not fit": ({"config": {"heads": 5}}, "share 32 evenly, got 5"),
    "another activation": ({"config": {"activation": "os.system"}}, "quick_gelu or gelu, got 'os.system'"),
    "no epsilon": ({"config": {"epsilon": float("nan")}}, "epsilon: expected a number between 0 and 1, got nan"),
    "start below 0": ({"config": {"start_id": -1}}, "start_id"),
    "one more layer": ({"config": {"layers": 3}}, r"layers\.2"),
    "a wider network": ({"config": {"width": 64}}, "expected the shape"),
    "more places": ({"config": {"context": 78}}, r"expected the shape \(78, 32\), got \(77, 32\)"),
    "a missing weight": ({"state": {PROJECTION: None}}, PROJECTION),
    "a shorter weight": ({"state": {QUERY: torch.zeros(31)}}, rf"{QUERY}: expected the shape \(32,\), got \(31,\)"),
    "a number for a table": ({"state": {WORDS: torch.zeros(())}}, f"{WORDS}: expected the shape"),
    "no words": ({"state": {WORDS: torch.zeros(0, 32)}}, f"{WORDS}: expected the shape"),
    "whole numbers": ({"state": {LAST: torch.zeros(32, dtype=torch.int64)}}, f"{LAST}: expected finite numbers"),
    "eight bits": ({"state": {LAST: torch.zeros(32).to(torch.float8_e4m3fn)}}, f"{LAST}: expected finite numbers"),
    "not a number": ({"state": {LAST: torch.full((32,), torch.nan)}}, f"{LAST}: expected finite numbers"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_does_not_fit_is_refused(tmp_path, name):
    """Whatever is wrong in either file, the file is named with what was expected and what to do."""
    change, message = WRONG[name]
    write(tmp_path, **change)
    file = "tokenizer.json" if "said" in change else "text_tower.safetensors"
    with pytest.raises(
        CacheError, match=rf"{file} is not what clip_text leaves for training: .*{message}.*; delete it"
    ):
        _text_tower.read(tmp_path)


@pytest.mark.parametrize("name", ["text_tower.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("how", ["missing", "torn", "huge", "bytes"])
def test_a_file_that_is_none_is_refused(tmp_path, monkeypatch, name, how):
    """A file that is missing, torn, too large to be one, or no text or tensors at all is named."""
    write(tmp_path)
    path = tmp_path / name
    if how == "missing":
        path.unlink()
    elif how == "torn":
        path.write_bytes(path.read_bytes()[:-1])
    elif how == "bytes":
        path.write_bytes(bytes(range(256)))
    else:
        monkeypatch.setattr(_text_tower if name.startswith("text") else _tokens, "_MOST_BYTES", 1000)
    with pytest.raises(CacheError, match=f"{name} is not what clip_text leaves"):
        _text_tower.read(tmp_path)
