"""Token states of XLM-RoBERTa base: 48 tokens, padded or cut, and a mask that says which are real.

As in the authors' pipeline, padded positions are kept, though no real token attends to them, and the tokenizer puts a
space before the first word.
"""

from pathlib import Path
from typing import Any

from extract.encoders import Encode, Spec
from extract.weights import Weights

TOKENS = 48
PADDING = 1
"""The network counts its positions past this number."""
ID, REVISION = "FacebookAI/xlm-roberta-base", "e73636d4f797dec63c3081bb6ed5c7b0bb3f2089"

WEIGHTS = Weights(
    id=ID,
    user=__name__,
    files=("model.safetensors",),
    sha256="6fd4797bc397c3b8b55d6bb5740366b57e6a3ce91c04c77f22aafc0c128e6feb",
    revision=REVISION,
    sizes=(1_115_567_652,),
)
TOKENIZER = Weights(id=ID, user=__name__, files=("tokenizer.json",), sha256="", revision=REVISION)

BIBTEX = """\
@inproceedings{conneau2020unsupervised, doi = {10.18653/v1/2020.acl-main.747}, year = {2020}, pages = {8440--8451},
  title = {Unsupervised Cross-lingual Representation Learning at Scale}, booktitle = {ACL},
  author = {Conneau, Alexis and Khandelwal, Kartikay and Goyal, Naman and Chaudhary, Vishrav and
            Wenzek, Guillaume and Guzmán, Francisco and Grave, Edouard and Ott, Myle and Zettlemoyer, Luke and
            Stoyanov, Veselin}}"""

SPEC = Spec(
    reads="text",
    width=(768,),
    steps=TOKENS,
    grids=("clip",),
    channels=("token_mask",),
    licence="MIT",
    fast=True,
    weights=WEIGHTS,
    tokenizer=TOKENIZER,
    parameters=277_453_056,
    settings={"tokens": TOKENS},
    bibtex=BIBTEX,
)

PUBLISHED = {
    "vocab_size": 250_002,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": PADDING,
}


def build(options: dict[str, Any] = PUBLISHED) -> Any:
    """Return the network, its weights still to be filled; its pooler would not be asked and is left out."""
    from transformers import XLMRobertaConfig, XLMRobertaModel
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return XLMRobertaModel(XLMRobertaConfig(**options), add_pooling_layer=False)


def read(paths: list[Path]) -> dict[str, Any]:
    """Read what the published checkpoint holds of the network."""
    from extract.encoders._tokens import body

    return body(paths[0], "roberta.")


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    from extract.encoders._tokens import last_states

    return last_states(network, SPEC, PADDING, device, precision)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
