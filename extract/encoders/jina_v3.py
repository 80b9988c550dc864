"""Token states of jina-embeddings-v3 without an adapter: 48 tokens, padded or cut, and a mask says which are real."""

from pathlib import Path
from typing import Any

from extract.encoders import Encode, Spec
from extract.weights import Weights

TOKENS = 48
PADDING = 1
ID, REVISION = "jinaai/jina-embeddings-v3-hf", "d18862d9a48706220815554fac3ebb4dfa46fc28"

WEIGHTS = Weights(
    id=ID,
    user=__name__,
    files=("model.safetensors",),
    sha256="d6963495e160ad49efe4e82afc7a3ba3f03c7ccd27af97ab845b6c52d8768545",  # stated by one project only
    revision=REVISION,
)
TOKENIZER = Weights(
    id=ID,
    user=__name__,
    files=("tokenizer.json",),
    sha256="f59925fcb90c92b894cb93e51bb9b4a6105c5c249fe54ce1c704420ac39b81af",  # stated by the same project only
    revision=REVISION,
    sizes=(17_082_756,),
)

BIBTEX = """\
@misc{sturua2024jina, year = {2024}, eprint = {2409.10173}, archiveprefix = {arXiv},
  title = {{jina-embeddings-v3}: Multilingual Embeddings With Task {LoRA}},
  author = {Sturua, Saba and Mohr, Isabelle and Akram, Mohammad Kalim and Günther, Michael and Wang, Bo and
            Krimmel, Markus and Wang, Feng and Mastrapas, Georgios and Koukounas, Andreas and Wang, Nan and
            Xiao, Han}}"""

SPEC = Spec(
    reads="text",
    width=(1024,),
    steps=TOKENS,
    grids=("clip",),
    channels=("token_mask",),
    licence="CC BY-NC 4.0, no commercial use",
    fast=True,
    weights=WEIGHTS,
    tokenizer=TOKENIZER,
    parameters=558_314_496,
    settings={"tokens": TOKENS, "adapter": ""},
    bibtex=BIBTEX,
)


def build(options: dict[str, Any] | None = None) -> Any:
    """Return the network, its weights still to be filled; its pooler would not be asked and is left out."""
    from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return JinaEmbeddingsV3Model(JinaEmbeddingsV3Config(**(options or {})), add_pooling_layer=False)


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
