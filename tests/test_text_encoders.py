"""bert and xlmr compute what transformers computes, here at a reduced size, and read what their authors published."""

import json
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForPreTraining,
    CLIPConfig,
    CLIPModel,
    JinaEmbeddingsV3Config,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaTokenizer,
)

from extract import weights
from extract.encoders import _tokens, bert, clip_text, jina_v3, xlmr
from extract.network import fill, filled
from extract.weights import Weights, WeightsError

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
END = 102  # of MiniLM's tokenizer, which stands in under random weights
SENTENCES = [
    "I am so happy to see you!",
    "No.",
    "",
    "word " * 100,
    "Wait \N{EM DASH} what? \N{SLIGHTLY SMILING FACE}",
    "   spaces\tand\nlines  ",
]
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Family:
    """An encoder, and what transformers calls the network with the heads that were published around it."""

    module: ModuleType
    reference: type
    config: type
    full: dict[str, Any]
    lacks: tuple[str, ...]
    """What transformers ties to other weights and so does not save."""
    extra: dict[str, tuple[int, ...]]
    """What only the published file holds."""

    @property
    def small(self):
        """Return the options of the reduced network; every number of the stand-in tokenizer has a row in it."""
        return {**self.full, **SMALL, "vocab_size": 30_522}

    def build(self, options):
        """Build transformers' network; its attention is spelt out, not fused."""
        return self.reference._from_config(self.config(**options), attn_implementation="eager").eval()

    def published(self, network):
        """Return its state under the published names."""
        state = {name: x for name, x in network.state_dict().items() if name not in self.lacks}
        state |= {name: torch.zeros(shape) for name, shape in self.extra.items()}
        if self.module is not bert:
            return state
        old = {"Norm.weight": "Norm.gamma", "Norm.bias": "Norm.beta"}
        return {re.sub(r"Norm\.\w+$", lambda new: old[new[0]], name): x for name, x in state.items()}


FAMILIES = {
    "bert": Family(
        bert,
        BertForPreTraining,
        BertConfig,
        {},
        ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias"),
        {},
    ),
    "xlmr": Family(
        xlmr,
        XLMRobertaForMaskedLM,
        XLMRobertaConfig,
        xlmr.PUBLISHED,
        ("lm_head.decoder.weight", "lm_head.decoder.bias"),
        {"roberta.pooler.dense.weight": (768, 768), "roberta.pooler.dense.bias": (768,)},
    ),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """Name one encoder after the other."""
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def reference(family):
    """Fill transformers' reduced network with random weights."""
    network = family.build(family.small)
    fill(network, 0)
    return network


@pytest.fixture(scope="module")
def checkpoint(family, reference, tmp_path_factory):
    """Save it as its authors did."""
    path = tmp_path_factory.mktemp(family.module.__name__) / "model.safetensors"
    save_file({name: x.clone() for name, x in family.published(reference).items()}, path)
    return path


@pytest.fixture(scope="module")
def network(family, checkpoint):
    """Read the reduced network from that file."""
    built = family.module.build(family.small)
    built.load_state_dict(family.module.read([checkpoint]), strict=True)
    return built


@pytest.fixture(scope="module")
def encode(family, network):
    """Load the reduced encoder."""
    with weights.using("random:0"):
        return family.module.ready(network, "cpu", "exact")


def cut(module):
    """Cut sentences with the stand-in tokenizer; return numbers and mask."""
    with weights.using("random:0"):
        found = _tokens.tokenizer(module.TOKENIZER, "", module.TOKENS, module.PADDING).encode_batch(SENTENCES)
    return torch.tensor([each.ids for each in found]), torch.tensor([each.attention_mask for each in found])


def states(reference, ids, mask=None):
    """Ask transformers' network under its head for the states of all tokens."""
    with torch.no_grad():
        return reference.base_model(ids, attention_mask=mask).last_hidden_state.numpy()


def test_states_match_transformers(family, reference, encode):
    """All positions, padded ones too, have the states that transformers gives of the same numbers and mask."""
    found = encode(SENTENCES, np.ones(len(SENTENCES))).values
    assert found.shape == (len(SENTENCES), family.module.TOKENS, 32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, states(reference, *cut(family.module)), atol=TOLERANCE)


def test_real_tokens_know_nothing_of_padding(family, reference, encode):
    """The states of real tokens are those that transformers gives of them alone, without padding and mask."""
    ids, _ = cut(family.module)
    found = encode(SENTENCES, np.ones(len(SENTENCES)))
    for i, real in enumerate(found.valid):
        np.testing.assert_allclose(found.values[i, :real], states(reference, ids[i : i + 1, :real])[0], atol=TOLERANCE)


@pytest.mark.parametrize("mistake", ["no mask", "other padding", "first state only", "no second layer"])
def test_a_mistake_is_noticed(family, reference, encode, mistake):
    """Each way of asking the network wrongly moves the states a thousand times beyond the tolerance."""
    ids, mask = cut(family.module)
    real = mask.bool().numpy()
    if mistake == "no mask":
        wrong = states(reference, ids)
    elif mistake == "other padding":
        wrong, real = states(reference, ids.masked_fill(mask == 0, 5), mask), ~real
    elif mistake == "first state only":
        wrong = states(reference, ids, mask)[:, :1]
    else:
        with torch.no_grad():
            wrong = reference.base_model(ids, mask, output_hidden_states=True).hidden_states[1].numpy()
    change = np.abs(wrong - encode(SENTENCES, np.ones(len(SENTENCES))).values)[real].max()
    assert change > 1000 * TOLERANCE, f"{mistake} changes the states by {change:.1e}"


def test_every_sentence_has_all_steps_and_a_mask(family, encode):
    """Empty, long or odd, a sentence has both its end marks, so many steps, and a mask of the real ones."""
    steps = family.module.TOKENS
    found, (ids, _) = encode(SENTENCES, np.ones(len(SENTENCES))), cut(family.module)
    assert found.valid[1:4] == [4, 2, steps]
    for mask, numbers, real in zip(found.steps["token_mask"], ids, found.valid, strict=True):
        assert mask.dtype == np.uint8
        assert mask.tolist() == [1] * real + [0] * (steps - real)
        assert numbers[real - 1] == END
        assert set(numbers[real:].tolist()) <= {family.module.PADDING}


def test_neighbours_and_order_change_nothing(encode):
    """Alone, together and turned round, each sentence keeps its states."""
    together = encode(SENTENCES, np.ones(len(SENTENCES))).values
    for sentence, alone in zip(SENTENCES, together, strict=True):
        np.testing.assert_allclose(encode([sentence], np.ones(1)).values[0], alone, atol=TOLERANCE)
    turned = encode(SENTENCES[::-1], np.ones(len(SENTENCES))).values[::-1]
    np.testing.assert_allclose(turned, together, atol=TOLERANCE)


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_a_checkpoint_that_does_not_fit_is_refused(family, reference, tmp_path, monkeypatch, change):
    """A name that is missing or unknown, or another shape, is named; nothing is left at its initial value."""
    state = {name: x.clone() for name, x in family.published(reference).items()}
    name = next(name for name in state if name.endswith("layer.1.attention.output.dense.bias"))
    if change == "missing":
        del state[name]
    elif change == "unknown":
        state[name.replace("bias", "bios")] = state[name].clone()
    else:
        state[name] = state[name][:-1].clone()
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    pinned = placed(
        Weights("a/b", ("model.safetensors",), sha256="", revision="r"), lambda path: save_file(state, path)
    )
    with pytest.raises(WeightsError, match=r"a/b does not fit its network: [\s\S]*layer.1.attention.output.dense.bi"):
        filled(family.module.build(family.small), pinned, "", family.module.read)


def placed(wanted, write):
    """Write a file where weights are looked for; return them with its digest."""
    wanted.folder.mkdir(parents=True)
    path = wanted.folder / wanted.files[0]
    write(path)
    return replace(wanted, sha256=sha256(path.read_bytes()).hexdigest())


def test_the_published_tokenizer_is_used(tmp_path, monkeypatch):
    """With pinned weights numbers come from the pinned file: a space before the first word, end marks, own padding."""
    words = ["<s>", "<pad>", "</s>", "<unk>", "\N{LOWER ONE EIGHTH BLOCK}hello", "\N{LOWER ONE EIGHTH BLOCK}you"]
    published = XLMRobertaTokenizer(vocab=[(word, -1.0) for word in words]).backend_tokenizer
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    pinned = placed(xlmr.TOKENIZER, lambda path: published.save(str(path)))
    found = _tokens.tokenizer(pinned, "MIT", 5, xlmr.PADDING)
    assert [found.encode(text).ids for text in ("hello you", "hello", "", "you " * 9)] == [
        [0, 4, 5, 2, 1],
        [0, 4, 2, 1, 1],
        [0, 2, 1, 1, 1],
        [0, 5, 5, 5, 2],
    ]


@pytest.mark.parametrize("module", [bert, xlmr])
def test_missing_files_are_asked_for_by_name(module, tmp_path, monkeypatch):
    """Without its tokenizer the message names file, folder and licence."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    network = module.build(FAMILIES[module.__name__.rpartition(".")[2]].small)
    with pytest.raises(WeightsError, match=f"expected tokenizer.json of {module.ID}, .*its licence is"):
        module.ready(network, "cpu", "exact")


def test_the_stand_in_tokenizer_fits_every_vocabulary():
    """No number of the tokenizer that stands in under random weights lies outside a network's vocabulary."""
    with weights.using("random:0"):
        most = _tokens.tokenizer(bert.TOKENIZER, "", 8, 0).get_vocab_size()
    vocabularies = {
        bert: BertConfig().vocab_size,
        xlmr: xlmr.PUBLISHED["vocab_size"],
        jina_v3: JinaEmbeddingsV3Config().vocab_size,
        clip_text: clip_text.PADDING + 1,
    }
    assert all(size > max(most - 1, module.PADDING) for module, size in vocabularies.items())


@pytest.mark.parametrize(("name", "shape", "millions"), [("bert", (50, 768), 109.5), ("xlmr", (48, 768), 278.0)])
def test_sizes_are_those_of_the_literature(name, shape, millions):
    """The full networks have the parameters that are told of them, poolers included that are not built here."""
    spec, pooler = FAMILIES[name].module.SPEC, 768 * 768 + 768
    with torch.device("meta"):
        counted = sum(parameter.numel() for parameter in FAMILIES[name].module.build().parameters())
    assert (spec.steps, *spec.width) == shape
    assert counted == spec.parameters
    assert round((counted + pooler) / 1e6, 1) == millions


def clip_published():
    """Return the shapes of CLIP's checkpoint; it counts its positions in whole numbers."""
    state = CLIPModel(CLIPConfig(text_config={}, vision_config={})).state_dict()
    positions = {"text_model.embeddings.position_ids": 77, "vision_model.embeddings.position_ids": 50}
    return state | {name: torch.arange(count)[None] for name, count in positions.items()}


def bert_published():
    """Return the shapes of BERT's checkpoint."""
    return FAMILIES["bert"].published(BertForPreTraining(BertConfig()))


def xlmr_published():
    """Return the shapes of XLM-RoBERTa's checkpoint."""
    return FAMILIES["xlmr"].published(XLMRobertaForMaskedLM(XLMRobertaConfig(**xlmr.PUBLISHED)))


@pytest.mark.parametrize(
    ("module", "published"), [(bert, bert_published), (xlmr, xlmr_published), (clip_text, clip_published)]
)
def test_the_published_file_has_the_expected_names(module, published):
    """The size that is told of the published file is, to the byte, that of a file with the names `read` expects."""
    with torch.device("meta"):
        state = published()
    head, end = {"__metadata__": {"format": "pt"}}, 0
    for name, x in sorted(state.items(), key=lambda item: (-item[1].itemsize, item[0])):
        begin, end = end, end + x.numel() * x.itemsize
        dtype = {torch.float32: "F32", torch.int64: "I64"}[x.dtype]
        head[name] = {"dtype": dtype, "shape": list(x.shape), "data_offsets": [begin, end]}
    size = 8 + len(json.dumps(head, separators=(",", ":"))) + end
    assert module.WEIGHTS.sizes[0] - size in range(8)  # heads may be filled up to whole words
