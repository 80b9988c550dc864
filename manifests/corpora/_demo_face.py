"""Moves and warps one public-domain portrait into the frames of a talking head.

The portrait is NASA's photograph of Eileen Collins, which scikit-image carries as `astronaut`.
An open face has raised brows, wide eyes and a narrow tall mouth, a tense one the opposite; the mouth follows the voice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from manifests.corpora._demo_script import FPS, Script, Speaker

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]

SIZE_PX = 192
# Coordinates are pixels of the portrait, x before y.
CORNER_PX = (104, 0)
SIDE_PX = 240
CENTRE_PX = (224.0, 115.0)
EYES_PX = ((205.0, 102.0), (247.0, 104.0))
MOUTH_PX = (224.0, 143.0)
VIEW_PX = 150.0  # how much of the portrait one frame shows at zoom 1
FINER = 3  # the portrait is enlarged this much, so that the nearest pixel is near enough


@dataclass(frozen=True)
class Bulge:
    """A soft ellipse of the face that is stretched about its centre and moved up."""

    centre_px: tuple[float, float]
    radius_px: tuple[float, float]
    stretch: tuple[float, float] = (1.0, 1.0)
    up_px: float = 0.0


def frames(script: Script, mouth: Array, rng: np.random.Generator) -> Iterator[Picture]:
    """Yield the frames of a clip; `mouth` says for each how far the voice opens it, from 0 to 1."""
    portrait = _portrait(script.speaker)
    strength = rng.uniform(0.85, 1.1)
    phase, rate_hz = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.15, 0.45, 4)
    for index, opening in enumerate(mouth):
        sway = np.sin(phase + 2 * np.pi * rate_hz * index / FPS)
        x, y = _place(script.speaker, sway)
        yield _sampled(portrait, *_bent(x, y, _expression(script.face, strength, float(opening))))


@cache
def _enlarged() -> Array:
    """Return the head and shoulders of the portrait, enlarged, between 0 and 1."""
    from skimage.data import astronaut
    from skimage.transform import rescale

    (left, top), side = CORNER_PX, SIDE_PX
    portrait: Picture = astronaut()  # type: ignore[no-untyped-call]  # scikit-image types only half of itself
    head = portrait[top : top + side, left : left + side]
    enlarged: Array = rescale(head, FINER, order=3, channel_axis=2)
    return enlarged


def _portrait(speaker: Speaker) -> Picture:
    """Return the portrait in the speaker's colours."""
    return (255 * np.clip(_enlarged() * speaker.tint, 0, 1)).astype(np.uint8)


def _expression(face: str, strength: float, opening: float) -> list[Bulge]:
    """Return the bulges of an open or tense face whose mouth is `opening` far open."""
    sign = strength if face == "open" else -strength
    eyes = [Bulge(eye_px, (17.0, 8.0), stretch=(1.0, 1.5**sign)) for eye_px in EYES_PX]
    brows = [Bulge((x_px, y_px - 12), (20.0, 8.0), up_px=2.5 * sign) for x_px, y_px in EYES_PX]
    mouth = Bulge(MOUTH_PX, (26.0, 14.0), stretch=(0.75**sign, 1.45**sign * (1 + 0.5 * opening)))
    return [*eyes, *brows, mouth]


def _place(speaker: Speaker, sway: Array) -> tuple[Array, Array]:
    """Return for each pixel of a frame where it lies on the portrait, while the head sways."""
    pixels_px = (np.arange(SIZE_PX) + 0.5 - SIZE_PX / 2) * VIEW_PX / SIZE_PX / speaker.zoom / (1 + 0.03 * sway[3])
    down, right = np.meshgrid(pixels_px, -pixels_px if speaker.flip else pixels_px, indexing="ij")
    angle = np.radians(4.0) * sway[2]
    x = CENTRE_PX[0] + 4 * sway[0] + right * np.cos(angle) - down * np.sin(angle)
    y = CENTRE_PX[1] + 3 * sway[1] + right * np.sin(angle) + down * np.cos(angle)
    return x, y


def _bent(x: Array, y: Array, bulges: list[Bulge]) -> tuple[Array, Array]:
    """Return where each pixel of the bent face lies on the straight one."""
    to_x, to_y = x.copy(), y.copy()
    for bulge in bulges:
        off_x, off_y = x - bulge.centre_px[0], y - bulge.centre_px[1]
        weight = np.exp(-((off_x / bulge.radius_px[0]) ** 2) - (off_y / bulge.radius_px[1]) ** 2)
        to_x += weight * off_x * (1 / bulge.stretch[0] - 1)
        to_y += weight * (off_y * (1 / bulge.stretch[1] - 1) + bulge.up_px)
    return to_x, to_y


def _sampled(portrait: Picture, x: Array, y: Array) -> Picture:
    """Read the enlarged portrait at the nearest pixels."""
    column = np.clip((x - CORNER_PX[0]) * FINER, 0, portrait.shape[1] - 1).astype(np.int64)
    row = np.clip((y - CORNER_PX[1]) * FINER, 0, portrait.shape[0] - 1).astype(np.int64)
    return portrait[row, column]
