"""What the text encoders share: a sentence becomes a fixed count of numbers and a mask, and has a state for each.

With random weights the published tokenizer may be missing too: then MiniLM's stands in, special tokens included, whose
numbers lie below every vocabulary here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from extract.encoders import Encode, Encoded, Spec, minilm
from extract.network import Feed, frozen
from extract.weights import Weights, located, random_seed
from features.windows import Array

HEADS = ("pooler.", "lm_head.", "cls.")


def tokenizer(published: Weights | None, licence: str, tokens: int, padding: int) -> Tokenizer:
    """Return what cuts a sentence into so many numbers, the end mark kept, and fills it up with `padding`."""
    if published and random_seed() is None:
        path = located(published, licence)[0]
    else:
        path = located(minilm.WEIGHTS)[0].with_name("tokenizer.json")
    found = Tokenizer.from_file(str(path))
    found.enable_truncation(tokens)
    found.enable_padding(length=tokens, pad_id=padding)
    return found


def encoder(states: Callable[[Tensor, Tensor], Tensor], cut: Tokenizer, device: str) -> Encode:
    """Return the encoder around what gives states (b, t, d) of numbers and their mask, both (b, t)."""
    feed = Feed(device)

    @torch.inference_mode()
    def encode(batch: list[str], valid: Array) -> Encoded:
        tokens = cut.encode_batch(batch)
        ids = np.array([sentence.ids for sentence in tokens])
        mask = np.array([sentence.attention_mask for sentence in tokens], np.uint8)
        found = states(feed(ids), feed(mask).bool()).float().cpu().numpy()
        return Encoded(found, valid=mask.sum(axis=1).tolist(), steps={"token_mask": mask})

    return encode


def last_states(network: Any, spec: Spec, padding: int, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network of transformers that states its last layer, mask beside it."""
    network = frozen(network, device, precision)
    cut = tokenizer(spec.tokenizer, spec.licence, spec.steps or 0, padding)
    return encoder(lambda ids, mask: network(ids, mask).last_hidden_state, cut, device)


def body(checkpoint: Path, family: str) -> dict[str, Tensor]:
    """Read what a checkpoint holds of the network under its heads, whether or not they were saved around it."""
    state = {name.removeprefix(family): x for name, x in load_file(checkpoint).items()}
    return {name: x for name, x in state.items() if not name.startswith(HEADS) and not name.endswith(".position_ids")}
