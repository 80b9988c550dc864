"""Faces by MTCNN: rows of x0, y0, x1, y1 in pixels of the frame, the probability, and five points x, y.

The points are the eyes, the left one in the picture first, the nose, and the corners of the mouth. The weights lie
inside facenet-pytorch's wheel. Each window is one sampled frame.
"""

import numpy as np
from numpy.typing import NDArray

from extract.encoders import Encode, Encoded, Spec
from extract.weights import Weights, located
from features.windows import Array

WEIGHTS = Weights(
    id="timesler/facenet-pytorch",
    package="facenet_pytorch",
    files=("data/pnet.pt", "data/rnet.pt", "data/onet.pt"),
    sha256="743721dfef3c9612636462a252c4e3d23c1fab4031274a9692fe3c587dbf1fe5",
)

BIBTEX = """\
@article{zhang2016joint, doi = {10.1109/LSP.2016.2603342}, year = {2016}, volume = {23}, number = {10},
  title = {Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks},
  journal = {IEEE Signal Processing Letters}, pages = {1499--1503},
  author = {Zhang, Kaipeng and Zhang, Zhanpeng and Li, Zhifeng and Qiao, Yu}}"""

SPEC = Spec(
    reads="frames",
    width=(15,),
    grids=("windows(0.1,0.1,0)@fps=10", "windows(0.2,0.2,0)@fps=5", "frames@every=5,max=25"),
    dtype="float32",  # pixels of a 4K frame exceed float16's whole numbers
    licence="MIT",
    version=2,
    parameters=495_850,
    weights=WEIGHTS,
    settings={"min_face_px": 20, "threshold_p": 0.6, "threshold_r": 0.7, "threshold_o": 0.7, "points": "mtcnn"},
    bibtex=BIBTEX,
)


def rows(boxes: Array, confidences: Array, points: Array) -> NDArray[np.float32]:
    """Lay what was found in a frame into rows."""
    return np.column_stack([boxes, confidences, points.reshape(len(boxes), -1)]).astype(np.float32)


def load(device: str, precision: str) -> Encode:  # half precision moves boxes
    """Return the detector."""
    import torch
    from facenet_pytorch import MTCNN

    located(WEIGHTS)
    network = MTCNN(
        min_face_size=SPEC.settings["min_face_px"],
        thresholds=[SPEC.settings[f"threshold_{stage}"] for stage in "pro"],
        keep_all=True,
        device=device,
    ).to(memory_format=torch.channels_last)  # a quarter faster on a CPU; boxes move by less than 0.0001 px

    nobody = np.empty((0, *SPEC.width), np.float32)

    def encode(batch: Array, valid: Array) -> Encoded:
        if min(batch.shape[1:3]) < SPEC.settings["min_face_px"]:  # no scale fits, and the library fails
            return Encoded([nobody] * len(batch))
        found = zip(*network.detect(list(batch), landmarks=True), strict=True)
        return Encoded([rows(*frame) if frame[0] is not None else nobody for frame in found])

    return encode
