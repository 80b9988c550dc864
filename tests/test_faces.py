"""Face crops by boxes, wherever these lie."""

import numpy as np
import pytest

from extract.faces import crop

IMAGE = np.zeros((40, 60, 3), np.uint8)
IMAGE[:, :30] = (200, 0, 0)
IMAGE[:, 30:] = (0, 0, 200)


@pytest.mark.parametrize(
    ("box", "mean"),
    [
        ((0, 0, 30, 40), (200, 0, 0)),
        ((30, 0, 60, 40), (0, 0, 200)),
        ((-50, -50, 30, 90), (200, 0, 0)),
        ((29.2, 0, 30.6, 40), (100, 0, 100)),
        ((10.4, 10.4, 10.5, 10.5), (200, 0, 0)),
        ((5, 5, 5, 5), (200, 0, 0)),
        ((20, 20, 10, 10), (200, 0, 0)),
        ((500, 500, 600, 600), (0, 0, 200)),
        ((-60, -60, -50, -50), (200, 0, 0)),
    ],
    ids="left right over-the-edge rounded-outwards tiny empty inverted beyond before".split(),
)
def test_crop(box, mean):
    """A box is rounded outwards and cut at the frame's edge; of a tiny, inverted or outside box one pixel remains."""
    face = crop(IMAGE, np.array([*box, 0.9], np.float32), 16)
    assert (face.shape, face.dtype) == ((16, 16, 3), np.uint8)
    np.testing.assert_allclose(face.mean(axis=(0, 1)), mean, atol=2)


def test_a_crop_of_the_right_size_is_the_picture_itself():
    """Nothing is resampled where the box is as large as the crop."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    np.testing.assert_array_equal(crop(noise, np.array([8, 4, 24, 20], np.float32), 16), noise[4:20, 8:24])
