"""Faces by dlib: rows of x0, y0, x1, y1 in pixels of the frame, the detector's score, and five points x, y.

The detector of frontal faces lies inside dlib and looks at the frame at twice its size; its scores may exceed 1. The
points are the corners of the eyes and the one below the nose. Each window is one sampled frame.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.encoders import Encode, Encoded, Spec
from extract.weights import Weights, located
from features.windows import Array

WEIGHTS = Weights(
    id="davisking/dlib-models",
    user=__name__,
    files=("shape_predictor_5_face_landmarks.dat",),
    sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",  # unpacked
    revision="fd81b6308a6a73d4ce08859eb2f4b628a21e27a2",
    sizes=(9_150_489,),
    url="https://github.com/{id}/raw/{revision}/{file}.bz2",
    packed="bz2",
)

BIBTEX = """\
@article{king2009dlib, year = {2009}, volume = {10}, pages = {1755--1758}, author = {King, Davis E.},
  title = {Dlib-ml: A Machine Learning Toolkit}, journal = {Journal of Machine Learning Research}}"""

SPEC = Spec(
    reads="frames",
    width=(15,),
    grids=("windows(0.1,0.1,0)@fps=10", "windows(0.2,0.2,0)@fps=5", "frames@every=5,max=25"),
    dtype="float32",  # pixels of a 4K frame exceed float16's whole numbers
    licence="Boost, points CC0",
    weights=WEIGHTS,
    optional=True,
    settings={"upsample": 1, "threshold": 0.0, "points": "dlib"},
    bibtex=BIBTEX,
)


def rows(image: NDArray[np.uint8], detector: Any, predictor: Any) -> NDArray[np.float32]:
    """Return a row for each face of a frame, the surest first."""
    boxes, scores, _ = detector.run(image, SPEC.settings["upsample"], SPEC.settings["threshold"])
    found = [
        [box.left(), box.top(), box.right() + 1, box.bottom() + 1, score, *_points(predictor(image, box))]
        for box, score in zip(boxes, scores, strict=True)
    ]
    return np.array(found, np.float32).reshape(-1, *SPEC.width)


def _points(shape: Any) -> list[int]:
    return [pixel for point in shape.parts() for pixel in (point.x, point.y)]


def load(device: str, precision: str) -> Encode:  # it knows no device but a processor, and no precision
    """Return the detector."""
    import dlib

    predictor = dlib.shape_predictor(str(located(WEIGHTS, SPEC.licence)[0]))
    detector = dlib.get_frontal_face_detector()

    def encode(batch: Array, valid: Array) -> Encoded:
        return Encoded([rows(image, detector, predictor) for image in batch])

    return encode
