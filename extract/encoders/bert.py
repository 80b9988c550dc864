"""Token states of BERT base, uncased: 50 tokens, padded or cut, and a mask that says which are real."""

from pathlib import Path
from typing import Any

from extract.encoders import Encode, Spec
from extract.weights import Weights

TOKENS = 50
PADDING = 0
ID, REVISION = "google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594"

WEIGHTS = Weights(
    id=ID,
    user=__name__,
    files=("model.safetensors",),
    sha256="68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3",
    revision=REVISION,
    sizes=(440_449_768,),
)
TOKENIZER = Weights(id=ID, user=__name__, files=("tokenizer.json",), sha256="", revision=REVISION)

BIBTEX = """\
@inproceedings{devlin2019bert, doi = {10.18653/v1/N19-1423}, year = {2019}, pages = {4171--4186},
  title = {{BERT}: Pre-training of Deep Bidirectional Transformers for Language Understanding}, booktitle = {NAACL},
  author = {Devlin, Jacob and Chang, Ming-Wei and Lee, Kenton and Toutanova, Kristina}}"""

SPEC = Spec(
    reads="text",
    width=(768,),
    steps=TOKENS,
    grids=("clip",),
    channels=("token_mask",),
    licence="Apache-2.0",
    fast=True,
    weights=WEIGHTS,
    tokenizer=TOKENIZER,
    parameters=108_891_648,
    settings={"tokens": TOKENS},
    bibtex=BIBTEX,
)


def build(options: dict[str, Any] | None = None) -> Any:
    """Return the network, its weights still to be filled; its pooler would not be asked and is left out."""
    from transformers import BertConfig, BertModel
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return BertModel(BertConfig(**(options or {})), add_pooling_layer=False)


def read(paths: list[Path]) -> dict[str, Any]:
    """Read what the published checkpoint holds of the network; its norms still bear TensorFlow's names."""
    from extract.encoders._tokens import body

    state = body(paths[0], "bert.").items()
    return {name.replace("Norm.gamma", "Norm.weight").replace("Norm.beta", "Norm.bias"): x for name, x in state}


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    from extract.encoders._tokens import last_states

    return last_states(network, SPEC, PADDING, device, precision)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
