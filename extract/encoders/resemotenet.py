"""256 features of each face from ResEmoteNet, trained on AffectNet, after the last hidden ReLU.

Each crop is brought to 64 pixels, turned to gray, which stands in three channels, and normalised by ImageNet's colours.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from extract.encoders import WINDOWS, Encode, Spec
from extract.faces import gray
from extract.weights import Weights
from features.windows import Array

if TYPE_CHECKING:
    from torch import Tensor

    from extract.encoders._resemotenet import ResEmoteNet

MEAN_RGB, STD_RGB = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

WEIGHTS = Weights(
    id="ArnabKumarRoy02/ResEmoteNet",
    user=__name__,
    files=("affectnet7_model.pth",),
    page="https://github.com/ArnabKumarRoy02/ResEmoteNet#checkpoints",  # which leads to a folder of a cloud drive
)

BIBTEX = """\
@article{roy2024resemotenet, doi = {10.1109/LSP.2024.3521321}, year = {2024},
  title = {{ResEmoteNet}: Bridging Accuracy and Loss Reduction in Facial Emotion Recognition},
  journal = {IEEE Signal Processing Letters},
  author = {Roy, Arnab Kumar and Kathania, Hemant Kumar and Sharma, Adhitiya and Dey, Abhishek and
            Ansari, Md. Sarfaraj Alam}}"""

SPEC = Spec(
    reads="faces",
    width=(256,),
    steps=30,
    grids=(f"{WINDOWS}@fps=10", f"{WINDOWS}@fps=5"),
    size_px=64,
    preset="lefsa",
    channels=("n_faces",),
    licence="MIT, weights without a word",
    batch=32,  # half the time of 8
    weights=WEIGHTS,
    parameters=80_238_599,
    trained_on=("affectnet",),
    bibtex=BIBTEX,
)


def build() -> "ResEmoteNet":
    """Return the network, its weights still to be filled."""
    from extract.encoders._resemotenet import ResEmoteNet

    return ResEmoteNet()


def read(paths: list[Path]) -> "dict[str, Tensor]":
    """Read the published checkpoint, a dictionary of weights or one that holds it."""
    import torch

    held = torch.load(paths[0], map_location="cpu", weights_only=True)
    state: dict[str, Tensor] = held.get("model_state_dict", held)
    return state


def prepared(grays: "Tensor") -> "Tensor":
    """Turn uint8 pictures (b, h, w) into what the network was trained on, (b, 3, h, w)."""
    pictures = grays[:, None].float() / 255
    mean, std = (pictures.new_tensor(colour)[:, None, None] for colour in (MEAN_RGB, STD_RGB))
    return (pictures - mean) / std


def ready(network: "ResEmoteNet", device: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch

    from extract.network import Feed, frozen

    network, feed = frozen(network, device, "exact"), Feed(device)

    @torch.inference_mode()
    def encode(batch: NDArray[np.uint8], valid: Array) -> Array:
        shown = feed(np.asarray(valid) > 0)[:, None, None, None]  # of nobody, the picture of nothing
        found: Array = network(prepared(feed(gray(batch))) * shown).cpu().numpy()
        return found[:, None]  # (b, 1, d)

    return encode


def load(device: str, precision: str) -> Encode:  # bfloat16 blurs what faces do not share, and is no faster
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device)
