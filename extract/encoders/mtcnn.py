"""Face boxes by MTCNN, with its confidence: rows of x0, y0, x1, y1 in pixels of the frame, and the probability.

The weights lie inside facenet-pytorch's wheel. Each window is one sampled frame.
"""

import numpy as np

from extract.encoders import Encode, Encoded, Spec
from features.windows import Array

SPEC = Spec(
    reads="frames",
    width=(5,),
    grids=("windows(0.1,0.1,0)@fps=10", "windows(0.2,0.2,0)@fps=5"),
    dtype="float32",  # pixels of a 4K frame exceed float16's whole numbers
    licence="MIT",
    parameters=495_850,
    settings={"min_face_px": 20, "threshold_p": 0.6, "threshold_r": 0.7, "threshold_o": 0.7},
    cite="Zhang et al., Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks, SPL 2016",
)


def load(device: str, precision: str) -> Encode:  # half precision moves boxes
    """Return the detector."""
    from facenet_pytorch import MTCNN

    network = MTCNN(
        min_face_size=SPEC.settings["min_face_px"],
        thresholds=[SPEC.settings[f"threshold_{stage}"] for stage in "pro"],
        keep_all=True,
        device=device,
    )

    def encode(batch: Array, valid: Array) -> Encoded:
        boxes, confidences = network.detect(list(batch))
        faces = [
            np.column_stack([box, confidence]).astype(np.float32) if box is not None else np.empty((0, 5), np.float32)
            for box, confidence in zip(boxes, confidences, strict=True)
        ]
        return Encoded(faces)

    return encode
