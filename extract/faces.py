"""Face crops by the boxes that a detector entry stored; crops themselves are never stored."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RESIZE = {"bilinear": Image.Resampling.BILINEAR, "nearest": Image.Resampling.NEAREST}


def crop(
    image: NDArray[np.uint8], box: NDArray[np.float32], size_px: int, resize: str = "bilinear"
) -> NDArray[np.uint8]:
    """Return the square RGB picture of one face; `box` is x0, y0, x1, y1 in pixels of the frame.

    What reaches over the frame's edge is cut off; at least one pixel remains.
    """
    height, width = image.shape[:2]
    x0, y0 = np.floor(box[:2]).clip(0, (width - 1, height - 1)).astype(int)
    x1, y1 = np.ceil(box[2:4]).clip((x0 + 1, y0 + 1), (width, height)).astype(int)
    face = Image.fromarray(image[y0:y1, x0:x1])
    return np.asarray(face.resize((size_px, size_px), RESIZE[resize]))
