"""Hidden states of ExHuBERT, HuBERT large with its layers doubled and trained on 37 emotion corpora: 149 steps in 3 s.

As in the authors' extractor, sound is brought to mean 0 and variance 1 by all samples of a window, padding included,
and no mask reaches the network, so padded steps take part in attention; `valid` marks them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.encoders import WINDOWS, Encode, Spec
from extract.encoders._waveform import SHORTEST_SAMPLES, normalised
from extract.weights import Weights, random_seed
from features.windows import Array

if TYPE_CHECKING:
    from torch import Tensor

    from extract.encoders._exhubert import ExHuBERT

WEIGHTS = Weights(
    id="amiriparian/ExHuBERT",
    user=__name__,
    files=("pytorch_model.bin",),  # the hub's tags name PyTorch and not safetensors
    sha256="",  # no project states it
    revision="b158d45ed8578432468f3ab8d46cbe5974380812",  # of the model card's example, of EmoSen and of chimera_ml
)

BIBTEX = """\
@inproceedings{amiriparian2024exhubert, year = {2024}, booktitle = {Interspeech}, eprint = {2406.10275},
  title = {{ExHuBERT}: Enhancing {HuBERT} Through Block Extension and Fine-Tuning on 37 Emotion Datasets},
  author = {Amiriparian, Shahin and Packań, Filip and Gerczuk, Maurice and Schuller, Björn W.}}"""

SPEC = Spec(
    reads="audio",
    width=(1024,),
    steps=149,
    grids=(WINDOWS, "clip"),
    rate_hz=16_000,
    licence="CC BY-NC-SA 4.0, research only",
    fast=True,
    weights=WEIGHTS,
    parameters=668_127_872,
    trained_on=("iemocap", "meld", "ravdess", "crema-d", "shemo", "urdu"),
    settings={"shortest_samples": SHORTEST_SAMPLES},
    bibtex=BIBTEX,
)

PUBLISHED = {"width": 1024, "heads": 16, "inner": 4096, "layers": 48, "channels": 512}
UNASKED = ("hubert.masked_spec_embed", "projector.", "classifier.")


def build(options: dict[str, int] = PUBLISHED) -> "ExHuBERT":
    """Return the network, its weights still to be filled; first values, soon overwritten, would take seconds."""
    import torch

    from extract.encoders._exhubert import ExHuBERT

    device = torch.get_default_device()
    with torch.device("meta"):
        network = ExHuBERT(**options)
    return network.to_empty(device=device)


def read(paths: list[Path]) -> "dict[str, Tensor]":
    """Read what the published checkpoint, or a copy as safetensors, holds of the network."""
    import torch
    from safetensors.torch import load_file

    if paths[0].suffix == ".safetensors":
        state = load_file(paths[0])
    else:
        state = torch.load(paths[0], map_location="cpu", weights_only=True)
    return {name.removeprefix("hubert."): x for name, x in state.items() if not name.startswith(UNASKED)}


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch

    from extract.encoders._wav2vec2 import Rows
    from extract.network import Feed, frozen

    torch.nn.utils.parametrize.remove_parametrizations(network.encoder.pos_conv_embed.conv, "weight")
    layers = network.feature_extractor.conv_layers
    network.feature_extractor = Rows((layer.conv, layer.layer_norm) for layer in layers)
    network, feed = frozen(network, device, "exact"), Feed(device)
    for layer in network.encoder.layers:  # norms and gates stay exact: 48 roundings in a row would show
        frozen(layer.attention, device, precision)
        frozen(layer.feed_forward, device, precision)

    @torch.inference_mode()
    def encode(batch: NDArray[np.float32], valid: Array) -> Array:
        whole = np.full(len(batch), batch.shape[1])
        states: Array = network(feed(normalised(batch, whole))).cpu().numpy()
        return states

    return encode


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.encoders._exhubert import opened
    from extract.network import filled

    network = filled(build(), WEIGHTS, SPEC.licence, read)
    return ready(network if random_seed() is None else opened(network), device, precision)
