"""jina_v3 computes what transformers computes, here at a reduced size, and asks for its files by name."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3ForMaskedLM

from extract import weights
from extract.encoders import _tokens, jina_v3
from extract.network import fill, filled
from extract.weights import WeightsError

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
SENTENCES = ["I am so happy to see you!", "No.", "", "word " * 100, "Wait \N{EM DASH} what?"]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def reference():
    """Build transformers' network with a head around it, and with random weights."""
    built = JinaEmbeddingsV3ForMaskedLM._from_config(JinaEmbeddingsV3Config(**SMALL), attn_implementation="eager")
    fill(built, 0)
    return built.eval()


@pytest.fixture(scope="module")
def network(reference):
    """Build the reduced network with the same weights."""
    built = jina_v3.build(SMALL)
    built.load_state_dict(reference.roberta.state_dict(), strict=True)
    return built


@pytest.fixture(scope="module")
def encode(network):
    """Load the reduced encoder, with the tokenizer that stands in under random weights."""
    with weights.using("random:0"):
        return jina_v3.ready(network, "cpu", "exact")


def test_every_sentence_has_48_steps_and_a_mask(encode):
    """States of all 48 tokens are kept; the mask and `valid` say which are real, end marks included."""
    found = encode(SENTENCES, np.ones(5))
    assert np.shape(found.values) == (5, 48, 64)
    assert found.valid[1:4] == [4, 2, 48]
    for mask, real in zip(found.steps["token_mask"], found.valid, strict=True):
        assert mask.tolist() == [1] * real + [0] * (48 - real)


def test_padding_is_not_attended_to(encode, reference):
    """The states of a short sentence's real tokens are those that transformers gives of them alone."""
    found = encode(SENTENCES[:1], np.ones(1))
    with weights.using("random:0"):
        ids = _tokens.tokenizer(jina_v3.TOKENIZER, "", 48, jina_v3.PADDING).encode(SENTENCES[0]).ids
    real = found.valid[0]
    assert set(ids[real:]) == {jina_v3.PADDING}
    with torch.no_grad():
        alone = reference.roberta(torch.tensor([ids[:real]])).last_hidden_state[0]
    np.testing.assert_allclose(found.values[0][:real], alone, atol=TOLERANCE)


def test_neighbours_and_order_change_nothing(encode):
    """Alone, together and turned round, each sentence keeps its states."""
    together = encode(SENTENCES, np.ones(5)).values
    for sentence, states in zip(SENTENCES, together, strict=True):
        np.testing.assert_allclose(encode([sentence], np.ones(1)).values[0], states, atol=TOLERANCE)
    np.testing.assert_allclose(encode(SENTENCES[::-1], np.ones(5)).values[::-1], together, atol=TOLERANCE)


@pytest.mark.parametrize("prefix", ["", "roberta."])
def test_a_checkpoint_is_read_with_or_without_a_head(network, tmp_path, prefix):
    """With or without a prefix, pooler, head and counted positions are left out; the rest fills the network."""
    state = {prefix + name: x for name, x in network.state_dict().items()}
    state |= {f"{prefix}pooler.dense.bias": torch.zeros(64), "lm_head.bias": torch.zeros(9)}
    state[f"{prefix}embeddings.position_ids"] = torch.arange(9)
    save_file(state, tmp_path / "model.safetensors")
    fresh = jina_v3.build(SMALL)
    fresh.load_state_dict(jina_v3.read([tmp_path / "model.safetensors"]), strict=True)
    assert all(torch.equal(x, network.state_dict()[name]) for name, x in fresh.state_dict().items())


def test_missing_files_are_asked_for_by_name(network, tmp_path, monkeypatch):
    """Without its weights or its tokenizer the message names file, size if known, folder, licence and what to do."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    folder = tmp_path / "jinaai--jina-embeddings-v3-hf" / jina_v3.REVISION
    with pytest.raises(WeightsError, match=f"model.safetensors .* at {folder}/.*CC BY-NC 4.0.*WEIGHTS=random:0"):
        filled(network, jina_v3.WEIGHTS, jina_v3.SPEC.licence, jina_v3.read)
    with pytest.raises(WeightsError, match=r"expected tokenizer.json .*, 17 MB, at .*CC BY-NC 4.0"):
        jina_v3.ready(network, "cpu", "exact")
