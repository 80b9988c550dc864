"""Hidden states of emotion2vec+ base, data2vec 2.0 trained on the emotion in speech: 149 steps in 3 s.

Sound is brought to mean 0 and variance 1 by its real samples alone, and padding is 0 after that. The authors never pad;
here no mask reaches the network, so padded steps take part in attention; `valid` marks them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.encoders import WINDOWS, Encode, Spec
from extract.encoders._waveform import SHORTEST_SAMPLES, normalised
from extract.weights import Weights
from features.windows import Array

if TYPE_CHECKING:
    from torch import Tensor

    from extract.encoders._emotion2vec import Emotion2vec

EPS = 1e-5

WEIGHTS = Weights(
    id="emotion2vec/emotion2vec_plus_base",
    user=__name__,
    files=("model.pt",),
    sha256="60710b5aae1dbe69bdac8920028fb05882d4314fd09031922b4b61ee9e7aadbd",
    revision="b318240bfe67db81a8c572ecb37ce9c3759b81c9",
)

BIBTEX = """\
@inproceedings{ma2024emotion2vec, doi = {10.18653/v1/2024.findings-acl.931}, year = {2024}, pages = {15747--15760},
  title = {{emotion2vec}: Self-Supervised Pre-Training for Speech Emotion Representation},
  booktitle = {Findings of the Association for Computational Linguistics: ACL},
  author = {Ma, Ziyang and Zheng, Zhisheng and Ye, Jiaxin and Li, Jinchao and Gao, Zhifu and Zhang, Shiliang and
            Chen, Xie}}"""

SPEC = Spec(
    reads="audio",
    width=(768,),
    steps=149,
    grids=(WINDOWS, "clip"),
    rate_hz=16_000,
    licence="FunASR model licence",
    fast=True,
    weights=WEIGHTS,
    parameters=93_171_212,
    trained_on=("iemocap", "meld", "cmu-mosei", "mead", "msp-podcast", "ravdess", "crema-d"),
    settings={"shortest_samples": SHORTEST_SAMPLES},
    bibtex=BIBTEX,
)

PUBLISHED = {
    "width": 768,
    "heads": 12,
    "prenet_depth": 4,
    "depth": 8,
    "tokens": 10,
    "channels": 512,
    "groups": 16,
}
AUDIO = "modality_encoders.AUDIO."
UNASKED = ("proj.", f"{AUDIO}decoder.", "_ema")


def build(options: dict[str, int] = PUBLISHED) -> "Emotion2vec":
    """Return the network, its weights still to be filled."""
    from extract.encoders._emotion2vec import Emotion2vec

    return Emotion2vec(**options)


def read(paths: list[Path]) -> "dict[str, Tensor]":
    """Read what the published checkpoint holds of the network, however it was wrapped."""
    import torch

    state = torch.load(paths[0], map_location="cpu", weights_only=True)
    state = state.get("model", state.get("state_dict", state))
    inner = {name.removeprefix("d2v_model."): x for name, x in state.items()}
    asked = {name.removeprefix(AUDIO): x for name, x in inner.items() if not name.startswith(UNASKED)}
    return {name: x.reshape(-1, 1, 1) if name == "alibi_scale" else x for name, x in asked.items()}


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch

    from extract.encoders._wav2vec2 import Rows
    from extract.network import Feed, dtype_of, frozen

    network.local_encoder = Rows((layer[0], layer[2][1]) for layer in network.local_encoder.conv_layers)
    network, feed, dtype = frozen(network, device, precision), Feed(device), dtype_of(device, precision)

    @torch.inference_mode()
    def encode(batch: NDArray[np.float32], valid: Array) -> Array:
        states: Array = network(feed(normalised(batch, valid, EPS)).to(dtype)).float().cpu().numpy()
        return states

    return encode


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
