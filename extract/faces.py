"""Face crops by the rows that a detector entry stored: whose face is cut, and how; crops themselves are never stored.

A row is a box x0, y0, x1, y1 in pixels of the frame, a confidence, and five points x, y where the detector knows them.
"""

import cmath
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RESIZE = {"bilinear": Image.Resampling.BILINEAR, "nearest": Image.Resampling.NEAREST}
Points = Literal["", "mtcnn", "dlib"]
"""Whose five points a row holds: MTCNN's eyes, nose and mouth, or dlib's corners of the eyes and below the nose."""

CORNERS = np.array(
    [
        0.8595674595992 + 0.2134981538014j,
        0.6460604764104 + 0.2289674387677j,
        0.1205750620789 + 0.2137274526848j,
        0.3340850613712 + 0.2290642403242j,
        0.4901123135679 + 0.6277975316475j,
    ]
)
"""Where dlib's five points lie in a mean face of side 1, as x + iy."""
UPRIGHT = {"dlib": CORNERS, "mtcnn": np.array([CORNERS[2:4].mean(), CORNERS[:2].mean()])}
PADDING = 0.25
"""How far the picture of an upright face reaches beyond the mean face, as dlib's own default."""


@dataclass(frozen=True)
class Preset:
    """How faces are found in frames and cut out of them."""

    detector: str
    """The entry whose rows are used where its files and packages are there."""
    instead: str
    """Which one otherwise; nothing means none."""
    options: Mapping[str, str]
    """The detector's own, where they are not its defaults."""
    take: Literal["all", "largest"]
    margin_px: int = 0
    """facenet-pytorch's: in pixels of the crop once it has its size."""
    prescale_px: tuple[int, int] | None = None
    """Width and height that every frame is brought to before anything else."""
    colour: Literal["rgb", "gray"] = "rgb"
    align: bool = False
    """Whether faces are turned upright by their points."""
    absent: Literal["answer", "skip"] = "answer"
    """What the paper's authors do with a frame without a face: what the network answers to nothing, or no step."""


PRESETS = {
    "house": Preset("mtcnn", "", {}, "all"),
    "lefsa": Preset("yolo_face", "mtcnn", {}, "all"),
    "mfer": Preset(
        "mtcnn", "", {}, "largest", margin_px=int(224 * 0.3 / 2), prescale_px=(256, 256), colour="gray", absent="skip"
    ),
    "cross_bert": Preset("dlib", "mtcnn", {}, "largest", colour="gray", align=True, absent="skip"),
}


def settings(name: str) -> dict[str, str | int | float | bool]:
    """Return all of a preset that changes numbers; which detector found the faces stands in the detector's key."""
    preset = PRESETS[name]
    return {
        "faces": name,
        "take": preset.take,
        "margin_px": preset.margin_px,
        "prescale_px": "x".join(map(str, preset.prescale_px or ())),
        "colour": preset.colour,
        "align": preset.align,
        "absent": preset.absent,
    }


def prescaled(image: NDArray[np.uint8], preset: Preset) -> NDArray[np.uint8]:
    """Bring a frame to the size in which its faces are found and cut, whatever becomes of its proportions."""
    if preset.prescale_px is None:
        return image
    return np.asarray(Image.fromarray(image).resize(preset.prescale_px, Image.Resampling.BICUBIC))


def chosen(rows: NDArray[np.float32], preset: Preset) -> NDArray[np.float32]:
    """Return the rows of the faces to be cut out of a frame; of equally large ones the first."""
    if preset.take == "all" or not len(rows):
        return rows
    largest = int((rows[:, 2:4] - rows[:, :2]).prod(axis=1).argmax())
    return rows[largest : largest + 1]


def cut(
    image: NDArray[np.uint8],
    row: NDArray[np.float32],
    preset: Preset,
    size_px: int,
    resize: str = "bilinear",
    points: Points = "",
) -> NDArray[np.uint8]:
    """Return the square picture of one face, three channels also where it is gray.

    Of a box, what reaches over the frame's edge is cut off, and at least one pixel remains; of an upright face it is
    black.
    """
    if preset.align:
        face = _upright(image, row, points, size_px, resize)
    else:
        x0, y0, x1, y1 = _corners(image, row[:4], preset.margin_px, size_px)
        face = Image.fromarray(image[y0:y1, x0:x1]).resize((size_px, size_px), RESIZE[resize])
    picture = np.asarray(face)
    return picture if preset.colour == "rgb" else np.repeat(gray(picture)[..., None], 3, axis=-1)


def gray(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn RGB (..., 3) into the gray of ITU-R 601, rounded as Pillow does; gray pictures stay what they are."""
    red, green, blue = (pictures[..., i].astype(np.uint32) for i in range(3))
    return ((19_595 * red + 38_470 * green + 7_471 * blue + 2**15) >> 16).astype(np.uint8)


def placed(row: NDArray[np.float32], points: Points, size_px: int) -> tuple[complex, complex]:
    """Return how an upright picture lies in the frame: its point z at turn * z + shift, as near as its points allow."""
    if points not in UPRIGHT:
        raise ValueError(
            "expected faces with points to turn them upright by, got boxes alone; find them by mtcnn or dlib"
        )
    mean = (UPRIGHT[points] + PADDING * (1 + 1j)) / (1 + 2 * PADDING) * size_px
    found = row[5:15].astype(np.float64).view(np.complex128)[: len(mean)]
    turn = np.vdot(mean - mean.mean(), found) / np.vdot(mean - mean.mean(), mean)
    return complex(turn), complex(found.mean() - turn * mean.mean())


def _upright(
    image: NDArray[np.uint8], row: NDArray[np.float32], points: Points, size_px: int, resize: str
) -> Image.Image:
    """Sample a turned face as densely as the frame does, then average, so that shrinking skips no pixel."""
    turn, shift = placed(row, points, size_px)
    middle = turn * size_px / 2 * (1 + 1j) + shift
    # As dlib has it, the middles of the outermost pixels lie half a pixel within the square's edge, on either side.
    step = cmath.rect((abs(turn) * size_px - 1) / max(size_px - 1, 1), cmath.phase(turn))
    many = max(math.ceil(abs(step)), 1) if resize == "bilinear" else 1
    start, fine = middle - step * size_px / 2 * (1 + 1j) + (0.5 + 0.5j), step / many
    lines = (fine.real, -fine.imag, start.real, fine.imag, fine.real, start.imag)
    side = many * size_px
    return Image.fromarray(image).transform((side, side), Image.Transform.AFFINE, lines, RESIZE[resize]).reduce(many)


def _corners(image: NDArray[np.uint8], box: NDArray[np.float32], margin_px: int, size_px: int) -> tuple[int, ...]:
    """Round a box outwards; one with a margin as facenet-pytorch does, towards 0."""
    height, width = image.shape[:2]
    margin = margin_px * (box[2:] - box[:2]) / (size_px - margin_px) / 2
    near = np.floor(box[:2] - margin).clip(0, (width - 1, height - 1))
    far = (np.trunc if margin_px else np.ceil)(box[2:] + margin).clip(near + 1, (width, height))
    return (*near.astype(int), *far.astype(int))
