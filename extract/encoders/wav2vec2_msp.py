"""Hidden states of wav2vec 2.0 fine-tuned on MSP-Podcast for arousal, dominance and valence: 149 steps in 3 s.

As in the authors' extractor, sound is brought to mean 0 and variance 1 by its real samples alone, padding is 0 after
that, and no mask reaches the network, so padded steps take part in attention; `valid` marks them.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.encoders import WINDOWS, Encode, Spec
from extract.weights import Weights
from features.windows import Array

SHORTEST_SAMPLES = 400
"""What one step of the network sees."""

WEIGHTS = Weights(
    id="audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
    files=("model.safetensors",),
    sha256="efa5ac1a13b2d2f42182738e44794b1eb4c0cdd221a8b4ae11304c3a5f5fae95",  # stated by one project only
    revision="6eba34a2485ea31cb03600241787c3a5edab8626",
    sizes=(661_375_508,),
)

SPEC = Spec(
    reads="audio",
    width=(1024,),
    steps=149,
    grids=(WINDOWS, "clip"),
    rate_hz=16_000,
    licence="CC BY-NC-SA 4.0, no commercial use",
    fast=True,
    weights=WEIGHTS,
    parameters=164_284_032,
    trained_on=("msp-podcast",),
    settings={"shortest_samples": SHORTEST_SAMPLES},
    cite="Wagner et al., Dawn of the Transformer Era in Speech Emotion Recognition, IEEE TPAMI 2023",
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


def build(options: dict[str, Any] = PUBLISHED) -> Any:
    """Return the network, its weights still to be filled."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return Wav2Vec2Model(Wav2Vec2Config(**options))


def read(paths: list[Path]) -> dict[str, Any]:
    """Read what the published checkpoint holds of the network; its regression head is not asked."""
    from safetensors.torch import load_file

    state = load_file(paths[0])
    return {name.removeprefix("wav2vec2."): x for name, x in state.items() if not name.startswith("classifier.")}


def normalised(sounds: NDArray[np.float32], real: Array) -> NDArray[np.float32]:
    """Bring each sound to mean 0 and variance 1 by its real samples, and what follows them to 0."""
    out = np.zeros_like(sounds, shape=(len(sounds), max(sounds.shape[1], SHORTEST_SAMPLES)))
    for row, sound, samples in zip(out, sounds, real, strict=True):
        part = sound[:samples]
        row[:samples] = (part - part.mean()) / np.sqrt(part.var() + 1e-7)
    return out


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch

    from extract.encoders._wav2vec2 import Rows
    from extract.network import Feed, dtype_of, frozen

    torch.nn.utils.parametrize.remove_parametrizations(network.encoder.pos_conv_embed.conv, "weight")
    network.feature_extractor = Rows(network.feature_extractor)
    network, feed, dtype = frozen(network, device, precision), Feed(device), dtype_of(device, precision)

    @torch.inference_mode()
    def encode(batch: NDArray[np.float32], valid: Array) -> Array:
        states: Array = network(feed(normalised(batch, valid)).to(dtype)).last_hidden_state.float().cpu().numpy()
        return states

    return encode


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
