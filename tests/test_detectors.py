"""MTCNN and dlib find the faces of real portraits with their points, whatever lies beside or around these."""

import functools

import dlib as library
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from extract import faces, weights
from extract.encoders import dlib, mtcnn
from extract.weights import WeightsError

pytestmark = pytest.mark.usefixtures("one_thread")

FACE = (175, 60, 270, 175)
"""Around eyes and mouth of the portrait, as seen by eye."""
EYES = ((204, 101), (247, 103))
REAL = {"obama.jpg": ((440, 215), (555, 215)), "biden.jpg": ((535, 320), (656, 345))}
"""Eyes of real portraits, as seen by eye."""


def five(box):
    """Say where points are that nobody looked for: dlib's own file of them may not be here."""
    shares = [(0.9, 0.3), (0.7, 0.3), (0.1, 0.3), (0.3, 0.3), (0.5, 0.7)]
    return [(box.left() + round(x * box.width()), box.top() + round(y * box.height())) for x, y in shares]


@functools.cache
def frontal():
    """Unpack the detector that lies inside dlib; that takes half a second."""
    return library.get_frontal_face_detector()


def by_dlib(images):
    """Find faces by dlib's own detector, their points by us."""

    def predictor(_, box):
        return library.full_object_detection(box, [library.point(*point) for point in five(box)])

    return [dlib.rows(image, frontal(), predictor) for image in images]


@pytest.fixture(scope="module")
def find():
    """Return each detector as a function of frames."""
    encode = mtcnn.load("cpu", "exact")
    return {"mtcnn": lambda images: encode(np.stack(images), np.ones(len(images))).values, "dlib": by_dlib}


DETECTORS = pytest.mark.parametrize("name", ["mtcnn", "dlib"])


def overlap(row, box):
    """Return how much two boxes share, as intersection over union."""
    near, far = np.maximum(row[:2], box[:2]), np.minimum(row[2:4], box[2:])
    shared = (far - near).clip(0).prod()
    return shared / ((row[2:4] - row[:2]).prod() + np.subtract(box[2:], box[:2]).prod() - shared)


@DETECTORS
def test_a_face_is_found_where_it_is(find, name):
    """The surest or largest row is the real face, none is found in black, and rows are 15 wide even then."""
    found = find[name]([astronaut(), np.zeros_like(astronaut())])
    assert overlap(found[0][0], FACE) > 0.6
    assert [rows.shape[1] for rows in found] == [15, 15]
    assert len(found[1]) == 0
    assert {rows.dtype for rows in found} == {np.dtype("float32")}


@DETECTORS
def test_two_persons_and_a_face_at_the_border(find, name):
    """Both of two persons are found, and one whose head the frame's edge touches; their crops have the right size."""
    left = astronaut()[:256, 96:352]
    pair = np.concatenate([left, left[:, ::-1]], axis=1)
    edge = astronaut()[55:311, 170:426]
    found = find[name]([pair, pair[::-1].copy()])
    assert sum(overlap(row, (79, 60, 174, 175)) > 0.5 for row in found[0]) == 1
    assert sum(overlap(row, (338, 60, 433, 175)) > 0.5 for row in found[0]) == 1
    at_edge = find[name]([edge])[0]
    assert max(overlap(row, (5, 5, 100, 120)) for row in at_edge) > 0.5
    for preset in faces.PRESETS.values():
        crop = faces.cut(edge, at_edge[0], preset, 64, points={"mtcnn": "mtcnn", "dlib": "dlib"}[name])
        assert crop.shape == (64, 64, 3)
        assert crop.std() > 10


@DETECTORS
def test_neighbours_change_nothing(find, name):
    """Alone, in a small batch and in a large one, each frame keeps its rows, within 0.01 pixels."""
    corners = [(top, left) for top in (0, 40) for left in (110, 150, 300)]
    images = [astronaut()[top : top + 160, left : left + 160].copy() for top, left in corners]
    alone = [find[name]([image])[0] for image in images]
    for size in (2, 6):
        together = [rows for i in range(0, 6, size) for rows in find[name](images[i : i + size])]
        assert [len(rows) for rows in together] == [len(rows) for rows in alone]
        np.testing.assert_allclose(np.concatenate(together), np.concatenate(alone), atol=0.01)
    assert {len(rows) for rows in alone} >= {0, 1}


@DETECTORS
@pytest.mark.parametrize("size_px", [1, 12, 20])
def test_tiny_pictures_hold_nobody(find, name, size_px):
    """A picture smaller than any face has no rows, and is no error."""
    assert find[name]([np.full((size_px, size_px, 3), 99, np.uint8)])[0].shape == (0, 15)


def test_eyes_nose_and_mouth_by_mtcnn(find):
    """MTCNN's points are the eyes, the left one in the picture first, the nose, and the corners of the mouth."""
    points = find["mtcnn"]([astronaut()])[0][0][5:].reshape(5, 2)
    np.testing.assert_allclose(points[:2], EYES, atol=4)
    assert EYES[0][0] < points[2][0] < EYES[1][0]
    assert points[:2, 1].max() < points[2, 1] < points[3:, 1].min()
    assert points[3, 0] < points[4, 0]


def test_rows_of_dlib_hold_what_it_said():
    """A row is dlib's box, its end exclusive, the raw score, which may exceed 1, and the points in their own order."""
    boxes, scores, _ = frontal().run(astronaut(), 1, 0.0)
    found = by_dlib([astronaut()])[0]
    assert len(found) == len(boxes)
    assert found[0, 4] == np.float32(max(scores)) > 1
    assert found[0, :4].tolist() == [boxes[0].left(), boxes[0].top(), boxes[0].right() + 1, boxes[0].bottom() + 1]
    assert found[0, 5:].reshape(5, 2).tolist() == [list(point) for point in five(boxes[0])]


def test_small_faces_are_why_dlib_looks_twice_as_large():
    """A face of 50 pixels is found at twice the frame's size and missed at its own."""
    small = np.asarray(Image.fromarray(astronaut()).resize((256, 256)))
    assert len(frontal().run(small, 0, 0.0)[0]) == 0
    assert overlap(by_dlib([small])[0][0], np.array(FACE) / 2) > 0.5


def test_without_its_points_dlib_cannot_be_loaded(tmp_path, monkeypatch):
    """The file of its points is named with its licence, also where other encoders would have random weights."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    with weights.using("random:0"), pytest.raises(WeightsError, match=r"shape_predictor_5_face_landmarks\.dat.*CC0"):
        dlib.load("cpu", "exact")


def test_points_by_dlib(find):
    """Corners of the eyes and the point below the nose; upright by these a face looks as it does by MTCNN's points."""
    if not weights.present(dlib.WEIGHTS):
        pytest.skip(f"{dlib.WEIGHTS.files[0]} is not here: make weights ENCODERS=dlib")
    row = dlib.load("cpu", "exact")(astronaut()[None], np.ones(1)).values[0][0]
    points = row[5:].reshape(5, 2)
    np.testing.assert_allclose([points[2:4].mean(0), points[:2].mean(0)], EYES, atol=6)
    assert points[:, 0].argsort().tolist() == [2, 3, 4, 1, 0]
    ways = {"dlib": row, "mtcnn": find["mtcnn"]([astronaut()])[0][0]}
    upright = [faces.cut(astronaut(), way, faces.PRESETS["cross_bert"], 64, points=name) for name, way in ways.items()]
    assert np.corrcoef(*(face.ravel() for face in upright))[0, 1] > 0.9


@pytest.mark.parametrize("shared", ["faces"], indirect=True)
@pytest.mark.parametrize("name", REAL)
def test_real_portraits(shared, find, name):
    """Either detector's largest face of a photograph holds both eyes, and MTCNN's points lie on them."""
    image = np.asarray(Image.open(shared / name).convert("RGB"))
    for detector, way in find.items():
        row = faces.chosen(way([image])[0], faces.PRESETS["mfer"])[0]
        assert all((row[:2] < eye).all() and (eye < row[2:4]).all() for eye in REAL[name])
        if detector == "mtcnn":
            np.testing.assert_allclose(row[5:9].reshape(2, 2), REAL[name], atol=12)
