"""Token states of jina-embeddings-v3 without an adapter: 48 tokens, padded or cut, and a mask that says which are real.

With random weights its tokenizer may be missing too: then MiniLM's stands in, whose numbers lie below its vocabulary.
"""

from pathlib import Path
from typing import Any

import numpy as np

from extract.encoders import Encode, Encoded, Spec, minilm
from extract.weights import Weights, located, random_seed
from features.windows import Array

TOKENS = 48
PADDING = 1
ID, REVISION = "jinaai/jina-embeddings-v3-hf", "d18862d9a48706220815554fac3ebb4dfa46fc28"

WEIGHTS = Weights(
    id=ID,
    files=("model.safetensors",),
    sha256="d6963495e160ad49efe4e82afc7a3ba3f03c7ccd27af97ab845b6c52d8768545",  # stated by one project only
    revision=REVISION,
)
TOKENIZER = Weights(
    id=ID,
    files=("tokenizer.json",),
    sha256="f59925fcb90c92b894cb93e51bb9b4a6105c5c249fe54ce1c704420ac39b81af",  # stated by the same project only
    revision=REVISION,
    sizes=(17_082_756,),
)

SPEC = Spec(
    reads="text",
    width=(1024,),
    steps=TOKENS,
    grids=("clip",),
    channels=("token_mask",),
    licence="CC BY-NC 4.0, no commercial use",
    fast=True,
    weights=WEIGHTS,
    parameters=558_314_496,
    settings={"tokens": TOKENS, "adapter": "", "tokenizer": TOKENIZER.sha256},
    cite="Sturua et al., jina-embeddings-v3: Multilingual Embeddings With Task LoRA, 2024",
)


def build(options: dict[str, Any] | None = None) -> Any:
    """Return the network, its weights still to be filled; its pooler would not be asked and is left out."""
    from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return JinaEmbeddingsV3Model(JinaEmbeddingsV3Config(**(options or {})), add_pooling_layer=False)


def read(paths: list[Path]) -> dict[str, Any]:
    """Read what the published checkpoint holds of the network, whether or not a head was saved around it."""
    from safetensors.torch import load_file

    state = {name.removeprefix("roberta."): x for name, x in load_file(paths[0]).items()}
    return {name: x for name, x in state.items() if not name.startswith(("pooler.", "lm_head."))}


def tokenizer() -> Any:
    """Return what cuts sentences into 48 numbers and a mask."""
    from tokenizers import Tokenizer

    if random_seed() is None:
        path = located(TOKENIZER, SPEC.licence)[0]
    else:
        path = located(minilm.WEIGHTS)[0].with_name("tokenizer.json")
    found = Tokenizer.from_file(str(path))
    found.enable_truncation(TOKENS)
    found.enable_padding(length=TOKENS, pad_id=PADDING)
    return found


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch

    from extract.network import Feed, frozen

    network, feed, cut = frozen(network, device, precision), Feed(device), tokenizer()

    @torch.inference_mode()
    def encode(batch: list[str], valid: Array) -> Encoded:
        tokens = cut.encode_batch(batch)
        mask = np.array([sentence.attention_mask for sentence in tokens], np.uint8)
        ids = np.array([sentence.ids for sentence in tokens])
        states = network(feed(ids), feed(mask).bool()).last_hidden_state.float().cpu().numpy()
        return Encoded(states, valid=mask.sum(axis=1).tolist(), steps={"token_mask": mask})

    return encode


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
