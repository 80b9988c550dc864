"""768 features of each face from a ViT-B/16 that was fine-tuned for facial expressions: its first token's last state.

Gray or not, each crop of 224 pixels is brought from 0 to 255 to -1 to 1.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.encoders import WINDOWS, Encode, Spec
from extract.weights import Weights
from features.windows import Array

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Weights(id="dima806/facial_emotions_image_detection", user=__name__, files=("model.safetensors",))

BIBTEX = """\
@inproceedings{dosovitskiy2021image, year = {2021}, booktitle = {ICLR},
  title = {An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale},
  author = {Dosovitskiy, Alexey and Beyer, Lucas and Kolesnikov, Alexander and Weissenborn, Dirk and Zhai, Xiaohua and
            Unterthiner, Thomas and Dehghani, Mostafa and Minderer, Matthias and Heigold, Georg and Gelly, Sylvain and
            Uszkoreit, Jakob and Houlsby, Neil}, note = {fine-tuned by dima806}}"""

SPEC = Spec(
    reads="faces",
    width=(768,),
    steps=30,
    grids=(f"{WINDOWS}@fps=10", f"{WINDOWS}@fps=5", "clip@fps=5"),
    size_px=224,
    preset="mfer",
    channels=("n_faces",),
    licence="Apache-2.0",
    fast=True,
    weights=WEIGHTS,
    parameters=85_798_656,
    bibtex=BIBTEX,
)

PUBLISHED = {
    "encoder.layer.": "layers.",
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
"""Parts of published names, and what transformers calls them since."""


def build(options: dict[str, Any] | None = None) -> Any:
    """Return the network, its weights still to be filled; its pooler would not be asked and is left out."""
    from transformers import ViTConfig, ViTModel
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return ViTModel(ViTConfig(**(options or {})), add_pooling_layer=False)


def read(paths: list[Path]) -> "dict[str, Tensor]":
    """Read what the published checkpoint holds of the network, under the names that this transformers has."""
    import torch
    from safetensors.torch import load_file

    state = {name.removeprefix("vit."): x for name, x in load_file(paths[0]).items()}
    state = {name: x for name, x in state.items() if not name.startswith("classifier.")}
    with torch.device("meta"):
        known = build().state_dict().keys()
    return state if state.keys() == known else {_renamed(name): x for name, x in state.items()}


def _renamed(name: str) -> str:
    for theirs, ours in PUBLISHED.items():
        name = name.replace(theirs, ours)
    return name


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch

    from extract.network import Feed, dtype_of, frozen

    network, feed, dtype = frozen(network, device, "exact"), Feed(device), dtype_of(device, precision)
    # Neighbouring pixels differ by less than bfloat16 can say of them; what is made of patches bears it.
    network.embeddings.register_forward_hook(lambda _, __, found: found.to(dtype))
    network.layers.to(dtype)
    network.layernorm.to(dtype)

    @torch.inference_mode()
    def encode(batch: NDArray[np.uint8], valid: Array) -> Array:
        shown = feed(np.asarray(valid) > 0)[:, None, None, None]  # of nobody, the picture of nothing
        pictures = (feed(batch).permute(0, 3, 1, 2) / 127.5 - 1) * shown
        states: Array = network(pictures).last_hidden_state[:, :1].float().cpu().numpy()
        return states  # (b, 1, d)

    return encode


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
