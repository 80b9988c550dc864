"""Token states of CLIP's text tower, projected to where images lie too: 77 tokens, padded or cut, each 512 numbers.

A token sees those before it only, so the end token, the last that `valid` counts, stands for the sentence.
"""

import json
from pathlib import Path
from typing import Any

from extract.encoders import Encode, Spec
from extract.encoders._clip import BIBTEX, ID, IMAGE, LICENCE, REVISION, WEIGHTS, without
from extract.weights import RANDOM, Weights, random_seed
from features.disk import beside

TOKENS = 77
PADDING = 49_407
"""The end token again, as in the published tokenizer; nothing real attends to it."""
TOWER = "text_tower.safetensors"
TOKENIZER = Weights(id=ID, user=__name__, files=("tokenizer.json",), sha256="", revision=REVISION)

SPEC = Spec(
    reads="text",
    width=(512,),
    steps=TOKENS,
    grids=("clip",),
    channels=("token_mask",),
    licence=LICENCE,
    fast=True,
    weights=WEIGHTS,
    tokenizer=TOKENIZER,
    parameters=63_428_097,
    settings={"tokens": TOKENS},
    bibtex=BIBTEX,
)


def build(options: dict[str, Any] | None = None) -> Any:
    """Return the network, its weights still to be filled, with the scale of likeness, which only training asks for."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection
    from transformers.initialization import no_init_weights

    with no_init_weights():
        network = CLIPTextModelWithProjection(CLIPTextConfig(**(options or {})))
    network.logit_scale = torch.nn.Parameter(torch.empty(()))
    return network


def read(paths: list[Path]) -> dict[str, Any]:
    """Read what the published checkpoint holds of the network."""
    return without(IMAGE, paths)


def tokenizer() -> Any:
    """Return what cuts sentences into 77 numbers and a mask."""
    from extract.encoders import _tokens

    return _tokens.tokenizer(TOKENIZER, LICENCE, TOKENS, PADDING)


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    from extract.encoders._tokens import encoder
    from extract.network import frozen

    network = frozen(network, device, precision)
    return encoder(
        lambda ids, _: network.text_projection(network.text_model(ids).last_hidden_state), tokenizer(), device
    )


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, LICENCE, read), device, precision)


def leave(folder: Path, device: str) -> None:
    """Write tokenizer and network beside the features, unless they are there: `fuse` trains prompts through them."""
    from safetensors.torch import save

    from extract.network import filled

    cut = tokenizer()
    if not (folder / "tokenizer.json").exists():
        with beside(folder / "tokenizer.json") as temporary:
            cut.save(str(temporary))
    if not (folder / TOWER).exists():
        network = filled(build(), WEIGHTS, LICENCE, read)
        start, end = cut.encode("").ids[:2]
        # One entry: the library writes several in any order, and to a file only for oneself.
        said = {"config": json.dumps(_config(network) | {"start_id": start, "end_id": end, "padding_id": PADDING})}
        with beside(folder / TOWER) as temporary:
            temporary.write_bytes(save(network.state_dict(), said))


def _config(network: Any) -> dict[str, Any]:
    """Return what one must know to run the network without this code, and whose weights it has."""
    numbers, seed = network.text_model.config, random_seed()
    return {
        "layers": numbers.num_hidden_layers,
        "heads": numbers.num_attention_heads,
        "width": numbers.hidden_size,
        "context": TOKENS,
        "activation": numbers.hidden_act,
        "epsilon": numbers.layer_norm_eps,
        "weights": WEIGHTS.sha256 if seed is None else f"{RANDOM}:{seed}",
    }
