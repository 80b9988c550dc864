"""Face crops: whose face, by box, with a margin or turned upright, wherever it lies."""

import dlib
import numpy as np
import pytest
from facenet_pytorch.models.utils.detect_face import extract_face
from PIL import Image
from skimage.data import astronaut

from extract import encoders, faces
from extract.encoders import dlib as detector
from extract.faces import PRESETS, Preset, cut

IMAGE = np.zeros((40, 60, 3), np.uint8)
IMAGE[:, :30] = (200, 0, 0)
IMAGE[:, 30:] = (0, 0, 200)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
HOUSE, MFER, CROSS_BERT = PRESETS["house"], PRESETS["mfer"], PRESETS["cross_bert"]
COLOURED = Preset("", "", {}, "all", margin_px=MFER.margin_px)
UPRIGHT = Preset("", "", {}, "all", align=True)
ANYWHERE = {
    "left": ((0, 0, 30, 40), (200, 0, 0)),
    "right": ((30, 0, 60, 40), (0, 0, 200)),
    "over the edge": ((-50, -50, 30, 90), (200, 0, 0)),
    "rounded outwards": ((29.2, 0, 30.6, 40), (100, 0, 100)),
    "tiny": ((10.4, 10.4, 10.5, 10.5), (200, 0, 0)),
    "empty": ((5, 5, 5, 5), (200, 0, 0)),
    "inverted": ((20, 20, 10, 10), (200, 0, 0)),
    "beyond": ((500, 500, 600, 600), (0, 0, 200)),
    "before": ((-60, -60, -50, -50), (200, 0, 0)),
}


def row(box, points=()):
    """Return what a detector says of a face."""
    return np.array([*box, 0.9, *np.ravel(points)], np.float32)


@pytest.mark.parametrize(("box", "mean"), ANYWHERE.values(), ids=ANYWHERE)
def test_cut(box, mean):
    """A box is rounded outwards and cut at the frame's edge; of a tiny, inverted or outside box one pixel remains."""
    face = cut(IMAGE, row(box), HOUSE, 16)
    assert (face.shape, face.dtype) == ((16, 16, 3), np.uint8)
    np.testing.assert_allclose(face.mean(axis=(0, 1)), mean, atol=2)


def test_a_crop_of_the_right_size_is_the_picture_itself():
    """Nothing is resampled where the box is as large as the crop."""
    np.testing.assert_array_equal(cut(NOISE, row([8, 4, 24, 20]), HOUSE, 16), NOISE[4:20, 8:24])


@pytest.mark.parametrize("box", [(100.7, 40.2, 210.4, 190.9), (-3.5, -8, 90, 100), (400, 300, 530, 520.2)])
def test_a_margin_is_that_of_facenet(box):
    """With a margin the crop is, pixel for pixel, what facenet-pytorch cuts out of the same picture."""
    wanted = extract_face(Image.fromarray(astronaut()), row(box), 224, COLOURED.margin_px)
    np.testing.assert_array_equal(cut(astronaut(), row(box), COLOURED, 224), wanted.permute(1, 2, 0).byte())


@pytest.mark.parametrize("box", [box for box, _ in ANYWHERE.values()], ids=ANYWHERE)
def test_a_margin_anywhere(box):
    """A box with a margin, too, gives a picture wherever it lies."""
    face = cut(IMAGE, row(box), COLOURED, 224)
    assert face.shape == (224, 224, 3)
    assert face.max() == 200


def test_gray_is_pillows_and_the_papers():
    """Gray is Pillow's, in three channels, and within one level of the paper's 0.2989 R + 0.587 G + 0.114 B."""
    found = cut(NOISE, row([0, 0, 60, 40]), Preset("", "", {}, "all", colour="gray"), 40)
    coloured = cut(NOISE, row([0, 0, 60, 40]), HOUSE, 40)
    for channel in np.moveaxis(found, -1, 0):
        np.testing.assert_array_equal(channel, Image.fromarray(coloured).convert("L"))
    assert np.abs(found[..., 0] - coloured @ np.array([0.2989, 0.5870, 0.1140])).max() < 1
    np.testing.assert_array_equal(faces.gray(found), found[..., 0])


def test_frames_are_scaled_before_anything_else():
    """MFER's frames become 256 x 256, whatever their shape; other presets take them as they are."""
    wide = np.repeat(np.repeat(IMAGE, 4, axis=0), 8, axis=1)
    scaled = faces.prescaled(wide, MFER)
    assert scaled.shape == (256, 256, 3)
    np.testing.assert_allclose(scaled[:, :120].mean((0, 1)), (200, 0, 0), atol=1)
    assert faces.prescaled(wide, HOUSE) is wide


def test_all_faces_or_the_largest():
    """Of several faces all are taken, or the one of the largest area, the first of equals; of none, none."""
    rows = np.stack([row((0, 0, 10, 10)), row((0, 0, 20, 30)), row((5, 5, 35, 25)), row((0, 0, 40, 1))])
    assert faces.chosen(rows, HOUSE) is rows
    np.testing.assert_array_equal(faces.chosen(rows, MFER), rows[1:2])
    np.testing.assert_array_equal(faces.chosen(rows[::-1], MFER), rows[2:3])
    assert faces.chosen(rows[:0], MFER).shape == (0, 5)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_what_exists(name):
    """A preset's detectors detect, know points where faces are turned by them, and take the options it says."""
    preset = PRESETS[name]
    for used in filter(None, (preset.detector, preset.instead)):
        spec = encoders.spec(used)
        assert spec.detects
        assert not preset.align or spec.settings["points"] in faces.UPRIGHT
        assert preset.options.keys() <= spec.options.keys()


def test_settings_are_flat_and_tell_presets_apart():
    """What goes into a key holds plain values alone, and no two presets the same."""
    said = [faces.settings(name) for name in PRESETS]
    assert all(isinstance(value, str | int | float | bool) for settings in said for value in settings.values())
    unnamed = [tuple({**settings, "faces": ""}.values()) for settings in said]
    assert len(set(unnamed)) == len(PRESETS) - 1  # house and lefsa differ in their detector, whose key says so
    assert faces.settings("mfer")["margin_px"] == 33


def turned(scale, angle, middle, seed=0):
    """Return dlib's five points of a face of our making, on whole pixels, not quite a mean one."""
    crooked = np.random.default_rng(seed).normal(0, 0.02, (5, 2)).view(complex)[:, 0]
    points = (faces.CORNERS - (0.5 + 0.4j) + crooked) * scale * np.exp(1j * angle) + complex(*middle)
    return np.round(points.view(float).reshape(5, 2)).astype(int)


def shape(points):
    """Return the same for dlib."""
    return dlib.full_object_detection(dlib.rectangle(0, 0, 9, 9), [dlib.point(*map(int, point)) for point in points])


TURNED = [(43, 0.3, (250, 150)), (50, -0.8, (226, 100)), (150, 0.2, (240, 200)), (90, 3.0, (0, 500))]


@pytest.mark.parametrize("size_px", [64, 150])
@pytest.mark.parametrize(("scale", "angle", "middle"), TURNED)
def test_an_upright_face_lies_where_dlib_puts_it(scale, angle, middle, size_px):
    """Place, side and angle of the square that is cut out are dlib's, for its own five points."""
    points = turned(scale, angle, middle)
    turn, shift = faces.placed(row([0] * 4, points), "dlib", size_px)
    wanted = dlib.get_face_chip_details(shape(points), size=size_px, padding=faces.PADDING)
    square, middle = wanted.rect, turn * size_px / 2 * (1 + 1j) + shift
    assert wanted.angle == pytest.approx(np.angle(turn), abs=1e-9)
    assert (square.right() - square.left() + 1) == pytest.approx(abs(turn) * size_px, abs=1e-9)
    assert (square.left() + square.right()) / 2 == pytest.approx(middle.real, abs=1e-9)
    assert (square.top() + square.bottom()) / 2 == pytest.approx(middle.imag, abs=1e-9)


# Shrunk, dlib blurs more than an average does, and shifts a little. Measured: 0, 0.85, 4.6 and 8.4 levels.
@pytest.mark.parametrize(("scale", "levels"), [(35, 0.05), (55, 1), (120, 5), (190, 9)])
def test_an_upright_face_looks_as_dlib_cuts_it(scale, levels):
    """Pixels of a real face are dlib's within so many levels on average, grown or shrunk."""
    points = turned(scale, 0.2, (225, 115 + scale / 3))
    wanted = dlib.get_face_chip(astronaut(), shape(points), size=64, padding=faces.PADDING).astype(float)
    found = cut(astronaut(), row([0] * 4, points), UPRIGHT, 64, points="dlib")
    assert np.abs(found - wanted).mean() < levels


def test_shrinking_skips_no_pixel():
    """Lines of one pixel, black and white in turn, become gray when a face is shrunk, and no pattern."""
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[::2] = 255
    found = cut(stripes, row([0] * 4, turned(250, 0.05, (300, 270))), UPRIGHT, 64, points="dlib")
    assert np.abs(found[4:-4, 4:-4].astype(float) - 127.5).max() < 30


def test_eyes_of_mtcnn_come_to_where_dlib_has_them():
    """By MTCNN's points each eye comes to the middle between dlib's corners of it; the other three turn nothing."""
    eyes = np.array([[200, 100], [240, 120]])
    for others in (np.zeros((3, 2)), np.full((3, 2), 77)):
        turn, shift = faces.placed(row([0] * 4, [*eyes, *others]), "mtcnn", 64)
        corners = (faces.CORNERS + faces.PADDING * (1 + 1j)) / (1 + 2 * faces.PADDING) * 64
        assert turn * corners[2:4].mean() + shift == pytest.approx(200 + 100j)
        assert turn * corners[:2].mean() + shift == pytest.approx(240 + 120j)


def test_a_tilted_face_becomes_upright():
    """A portrait that was tilted by 25 degrees gives nearly the same upright face as the portrait."""
    found = encoders.module("mtcnn").load("cpu", "exact")
    tilted = np.asarray(Image.fromarray(astronaut()).rotate(25, Image.Resampling.BICUBIC, center=(224, 115)))
    rows = found(np.stack([astronaut(), tilted]), np.ones(2)).values
    straight, turned_back = (
        cut(image, one[0], CROSS_BERT, 64, points="mtcnn").astype(float)
        for image, one in zip((astronaut(), tilted), rows, strict=True)
    )
    assert np.corrcoef(straight.ravel(), turned_back.ravel())[0, 1] > 0.85
    boxed = cut(tilted, rows[1][0], HOUSE, 64).astype(float)
    assert np.corrcoef(cut(astronaut(), rows[0][0], HOUSE, 64).ravel(), boxed.ravel())[0, 1] < 0.65


ODD = [np.full((5, 2), 7), np.full((5, 2), -900), turned(5, 0, (30, 20)), turned(80, 1, (0, 0))]


@pytest.mark.parametrize("size_px", [1, 16, 64])
@pytest.mark.parametrize("resize", faces.RESIZE)
@pytest.mark.parametrize("points", ODD, ids=["one spot", "outside", "tiny", "around"])
def test_upright_faces_anywhere(points, resize, size_px):
    """Points that coincide, lie outside of the frame or around it all give a picture of the right size."""
    face = cut(IMAGE, row([0] * 4, points), UPRIGHT, size_px, resize, points="dlib")
    assert (face.shape, face.dtype) == ((size_px, size_px, 3), np.uint8)


def test_boxes_alone_turn_nothing_upright():
    """Rows without points are refused, and it is said which detectors know them."""
    with pytest.raises(ValueError, match=r"expected faces with points .*, got boxes alone; find them by mtcnn or dlib"):
        cut(IMAGE, row([0, 0, 9, 9]), UPRIGHT, 16)


def test_points_are_the_detectors_own():
    """Rows say whose points they hold, so that no other shape is laid on them."""
    assert detector.SPEC.settings["points"] == "dlib"
    assert encoders.spec("mtcnn").settings["points"] == "mtcnn"
    assert encoders.spec("yolo_face").settings["points"] == ""


def test_gray_faces_are_kept_as_they_are():
    """face_gray64 gives each crop's gray, byte for byte and in a batch as alone, and black where nobody is."""
    crops = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    encode = encoders.module("face_gray64").load("cpu", "exact")
    found = encode(crops, np.array([1, 0, 1]))
    assert (found.shape, found.dtype) == ((3, 1, 64, 64), np.uint8)
    np.testing.assert_array_equal(found[0, 0], np.asarray(Image.fromarray(crops[0]).convert("L")))
    assert not found[1].any()
    np.testing.assert_array_equal(encode(crops[2:], np.ones(1))[0], found[2])


def test_gradients_of_nobody_are_none():
    """face_hog answers zeros where nobody is, whatever is shown."""
    crops = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    found = encoders.module("face_hog").load("cpu", "exact")(crops, np.array([0, 1]))
    assert (found.shape, found.dtype) == ((2, 1, 576), np.float32)
    assert not found[0].any()
    assert found[1].any()
