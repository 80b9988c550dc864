"""512 features of each face from EmoAffectNet, a ResNet-50 trained on VGGFace2 and AffectNet, before the ReLU.

Each crop is brought to 224 pixels by the nearest neighbour, turned to BGR and lessened by VGGFace2's mean colour.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from extract.encoders import WINDOWS, Encode, Spec
from extract.weights import Weights
from features.windows import Array

if TYPE_CHECKING:
    from torch import Tensor

    from extract.encoders._emoaffectnet import EmoAffectNet

MEAN_BGR = (91.4953, 103.8827, 131.0912)

WEIGHTS = Weights(
    id="ElenaRyumina/face_emotion_recognition",
    user=__name__,
    files=("FER_static_ResNet50_AffectNet.pt",),
    sha256="8274190b5be4355bd2f07b59f593fcdb294f9d7c563bfa9ac9e5ea06c10692d2",
    revision="586bafda3d5ca1427d62b9447f1bea70171663e1",  # stated by one organisation only
    sizes=(98_562_934,),
)

BIBTEX = """\
@article{ryumina2022search, doi = {10.1016/j.neucom.2022.10.013}, year = {2022}, volume = {514}, pages = {435--450},
  title = {In Search of a Robust Facial Expressions Recognition Model: A Large-Scale Visual Cross-Corpus Study},
  journal = {Neurocomputing}, author = {Ryumina, Elena and Dresvyanskiy, Denis and Karpov, Alexey}}"""

SPEC = Spec(
    reads="faces",
    width=(512,),
    steps=30,
    grids=(f"{WINDOWS}@fps=10", f"{WINDOWS}@fps=5"),
    size_px=224,
    resize="nearest",
    preset="lefsa",
    channels=("n_faces",),
    licence="MIT, weights for scientific use",
    fast=True,
    weights=WEIGHTS,
    parameters=24_560_711,
    trained_on=("vggface2", "affectnet"),
    bibtex=BIBTEX,
)


def build() -> "EmoAffectNet":
    """Return the network, its weights still to be filled."""
    from extract.encoders._emoaffectnet import EmoAffectNet

    return EmoAffectNet()


def read(paths: list[Path]) -> "dict[str, Tensor]":
    """Read the published checkpoint."""
    import torch

    state: dict[str, Tensor] = torch.load(paths[0], map_location="cpu", weights_only=True)
    return state


def prepared(faces: "Tensor") -> "Tensor":
    """Turn uint8 RGB pictures (b, h, w, 3) into what the network was trained on, (b, 3, h, w)."""
    pictures = faces.flip(-1).float()
    return (pictures - pictures.new_tensor(MEAN_BGR)).permute(0, 3, 1, 2)


def ready(network: "EmoAffectNet", device: str, precision: str) -> Encode:
    """Return the encoder around a filled network."""
    import torch

    from extract.encoders._emoaffectnet import folded
    from extract.network import Feed, dtype_of, frozen

    network = frozen(folded(network) if precision == "fast" else network, device, precision)
    feed, dtype = Feed(device), dtype_of(device, precision)

    @torch.inference_mode()
    def encode(batch: NDArray[np.uint8], valid: Array) -> Array:
        shown = feed(np.asarray(valid) > 0)[:, None, None, None]  # of nobody, the picture of nothing
        found: Array = network((prepared(feed(batch)) * shown).to(dtype)).float().cpu().numpy()
        return found[:, None]  # (b, 1, d)

    return encode


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision)
