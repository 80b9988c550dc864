"""Face boxes by YOLOv8n, trained on WIDER FACE: rows of x0, y0, x1, y1 in pixels of the frame, and the confidence.

Each window is one sampled frame, brought to 640 pixels on its longer side and padded to whole strides. ultralytics
(AGPL-3.0) lends the network alone: resizing, decoding and suppression stand here, the last two in float32.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from extract.encoders import Encode, Encoded, Spec
from extract.weights import Weights, random_seed
from features.windows import Array

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = Weights(
    id="lindevs/yolov8-face",
    user=__name__,
    files=("yolov8n-face-lindevs.pt",),
    sha256="b038ca653b503453a94f6e12d76feca6840b2a97d7a1322b4498c5e922f29832",
    revision="1.0.1",
    url="https://github.com/{id}/releases/download/{revision}/{file}",
)

BIBTEX = """\
@misc{lindevs2023yolov8face, year = {2023}, author = {{Lindevs}}, title = {{YOLOv8} Face},
  howpublished = {github.com/lindevs/yolov8-face}}
@misc{jocher2023yolov8, year = {2023}, title = {{Ultralytics YOLOv8}},
  howpublished = {github.com/ultralytics/ultralytics},
  author = {Jocher, Glenn and Chaurasia, Ayush and Qiu, Jing}}"""

SPEC = Spec(
    reads="frames",
    width=(5,),
    grids=("windows(0.1,0.1,0)@fps=10", "windows(0.2,0.2,0)@fps=5", "frames@every=5,max=25"),
    dtype="float32",  # pixels of a 4K frame exceed float16's whole numbers
    licence="MIT, of a network that is AGPL-3.0",
    fast=True,
    weights=WEIGHTS,
    needs="ultralytics",
    parameters=3_011_043,
    trained_on=("wider-face",),
    settings={"size_px": 640, "confidence": 0.01, "iou": 0.5, "most": 300, "points": ""},
    bibtex=BIBTEX,
)


def build() -> "nn.Module":
    """Return the network, its weights still to be filled."""
    from extract.encoders._ultralytics import detection_network

    return detection_network()


def load(device: str, precision: str) -> Encode:
    """Return the detector."""
    import torch

    from extract.encoders import _ultralytics, _yolo
    from extract.network import Feed, dtype_of, filled, frozen

    network = filled(build(), WEIGHTS, SPEC.licence, _ultralytics.read)
    if random_seed() is not None:
        _ultralytics.silence(network)
    network = frozen(_ultralytics.fused(network) if precision == "fast" else network, device, precision)
    feed, dtype = Feed(device), dtype_of(device, precision)
    if dtype == torch.bfloat16 and feed.device.type == "cpu":
        network = _ultralytics.joined(network)
    network = _ultralytics.raw(network)
    limits = SPEC.settings["confidence"], SPEC.settings["iou"], SPEC.settings["most"]

    @torch.inference_mode()
    def encode(batch: NDArray[np.uint8], valid: Array) -> Encoded:
        pictures, scale, added = _yolo.letterbox(batch, SPEC.settings["size_px"])
        said = network(feed(pictures).permute(0, 3, 1, 2).to(dtype) / 255)
        found = _yolo.decoded(said["boxes"], said["scores"], *pictures.shape[1:3])
        height, width = batch.shape[1:3]
        rows = [_yolo.placed(_yolo.kept(frame, *limits), scale, added, width, height) for frame in found]
        return Encoded([boxes.cpu().numpy() for boxes in rows])

    return encode
