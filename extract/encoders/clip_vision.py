"""512 numbers of each whole frame from CLIP's image tower, projected to where texts lie too, of any length.

As CLIP's own preprocessing has it, the shorter side becomes 224 pixels (bicubic, antialiased) and the middle is kept.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.encoders import Encode, Spec
from extract.encoders._clip import BIBTEX, LICENCE, SIZE_PX, TEXT, WEIGHTS, normalised, without
from features.windows import Array

SPEC = Spec(
    reads="frames",
    width=(512,),
    steps=12,
    grids=("clip@even=12",),
    licence=LICENCE,
    weights=WEIGHTS,
    parameters=87_849_216,
    bibtex=BIBTEX,
)


def build(options: dict[str, Any] | None = None) -> Any:
    """Return the network, its weights still to be filled."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return CLIPVisionModelWithProjection(CLIPVisionConfig(**(options or {})))


def read(paths: list[Path]) -> dict[str, Any]:
    """Read what the published checkpoint holds of the network."""
    return without(TEXT, paths)


def cropped(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring the shorter side to 224 pixels and keep the middle."""
    from PIL import Image

    height, width = (SIZE_PX * side // min(frame.shape[:2]) for side in frame.shape[:2])
    top, left = (height - SIZE_PX) // 2, (width - SIZE_PX) // 2
    resized = Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)[top : top + SIZE_PX, left : left + SIZE_PX]


def ready(network: Any, device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch

    from extract.network import Feed, frozen

    network, feed = frozen(network, device, "exact"), Feed(device)  # bfloat16 moves what tells pictures apart

    @torch.inference_mode()
    def encode(batch: NDArray[np.uint8], valid: Array) -> Array:
        pictures = feed(np.stack([cropped(frame) for frame in batch])).permute(0, 3, 1, 2).float() / 255
        found: Array = network(normalised(pictures)).image_embeds.cpu().numpy()
        return found[:, None]  # (b, 1, d)

    return encode


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
