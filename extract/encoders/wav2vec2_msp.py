"""Hidden states of wav2vec 2.0 fine-tuned on MSP-Podcast, 149 steps in 3 s; arousal, dominance and valence beside them.

As in the authors' extractor, sound is brought to mean 0 and variance 1 by its real samples alone, padding is 0 after
that, and no mask reaches the network, so padded steps take part in attention and in the three numbers of a window;
`valid` marks them. The numbers lie about from 0 to 1; their own two layers compute exactly at every precision.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.encoders import WINDOWS, Encode, Encoded, Spec
from extract.encoders._waveform import SHORTEST_SAMPLES, normalised
from extract.weights import Weights
from features.windows import Array

if TYPE_CHECKING:
    from torch import Tensor, nn

DIMENSIONS = "arousal_dominance_valence"

WEIGHTS = Weights(
    id="audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
    user=__name__,
    files=("model.safetensors",),
    sha256="efa5ac1a13b2d2f42182738e44794b1eb4c0cdd221a8b4ae11304c3a5f5fae95",  # stated by one project only
    revision="6eba34a2485ea31cb03600241787c3a5edab8626",
    sizes=(661_375_508,),
)

BIBTEX = """\
@article{wagner2023dawn, doi = {10.1109/TPAMI.2023.3263585}, year = {2023}, volume = {45}, number = {9},
  title = {Dawn of the Transformer Era in Speech Emotion Recognition: Closing the Valence Gap}, pages = {10745--10759},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
  author = {Wagner, Johannes and Triantafyllopoulos, Andreas and Wierstorf, Hagen and Schmitt, Maximilian and
            Burkhardt, Felix and Eyben, Florian and Schuller, Björn W.}}"""

SPEC = Spec(
    reads="audio",
    width=(1024,),
    steps=149,
    grids=(WINDOWS, "clip"),
    rate_hz=16_000,
    channels=(DIMENSIONS,),
    licence="CC BY-NC-SA 4.0, no commercial use",
    fast=True,
    version=2,
    weights=WEIGHTS,
    parameters=165_336_707,
    trained_on=("msp-podcast",),
    settings={"shortest_samples": SHORTEST_SAMPLES},
    bibtex=BIBTEX,
)

PUBLISHED = {
    "hidden_size": 1024,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}


def build(options: dict[str, Any] = PUBLISHED) -> "nn.ModuleDict":
    """Return the network and its regression head, their weights still to be filled."""
    from torch import nn
    from transformers import Wav2Vec2Config, Wav2Vec2Model
    from transformers.initialization import no_init_weights

    width = options["hidden_size"]
    with no_init_weights():
        head = nn.ModuleDict({"dense": nn.Linear(width, width), "out_proj": nn.Linear(width, 3)})
        return nn.ModuleDict({"wav2vec2": Wav2Vec2Model(Wav2Vec2Config(**options)), "classifier": head})


def read(paths: list[Path]) -> "dict[str, Tensor]":
    """Read the published checkpoint."""
    from safetensors.torch import load_file

    state: dict[str, Tensor] = load_file(paths[0])
    return state


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch

    from extract.encoders._wav2vec2 import Rows
    from extract.network import Feed, dtype_of, frozen

    body, head = network["wav2vec2"], frozen(network["classifier"], device, "exact")
    torch.nn.utils.parametrize.remove_parametrizations(body.encoder.pos_conv_embed.conv, "weight")
    body.feature_extractor = Rows((layer.conv, layer.layer_norm) for layer in body.feature_extractor.conv_layers)
    body, feed, dtype = frozen(body, device, precision), Feed(device), dtype_of(device, precision)

    @torch.inference_mode()
    def encode(batch: NDArray[np.float32], valid: Array) -> Encoded:
        states = body(feed(normalised(batch, valid)).to(dtype)).last_hidden_state.float()
        said = head["out_proj"](head["dense"](states.mean(dim=1)).tanh())
        everywhere = said[:, None].expand(-1, states.shape[1], -1)
        return Encoded(states.cpu().numpy(), steps={DIMENSIONS: everywhere.cpu().numpy()})

    return encode


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
