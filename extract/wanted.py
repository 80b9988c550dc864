"""Which entries are to be filled: an encoder's name, a grid and a precision become a key and a folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from extract import encoders
from extract.encoders import Spec
from features import Grid, Key, folder_of
from features.key import Precision
from manifests import unknown


@dataclass(frozen=True)
class Want:
    """One entry to be filled: an encoder on a grid, and where its features go."""

    encoder: str
    spec: Spec
    grid: Grid
    key: Key
    folder: Path
    boxes: "Want | None" = None

    @property
    def name(self) -> str:
        """Return the entry's folder name."""
        return self.key.name

    @property
    def reads_frames(self) -> bool:
        """Return whether frames are to be decoded for this entry, whole or for their faces."""
        return self.spec.reads in ("frames", "faces")

    @property
    def detects(self) -> bool:
        """Return whether others may cut crops by what this entry finds."""
        return self.spec.reads == "frames" and self.spec.steps is None


def wants(corpus: str, names: Iterable[str], precision: Precision = "exact", weights: str = "") -> list[Want]:
    """Turn `face_hog` or `mfcc:clip` into entries; a detector that one builds on stands before it.

    `precision` and `weights` are for the encoders to understand; a detector is given the same as who builds on it.
    """
    found: dict[str, Want] = {}
    for name in names:
        encoder, _, grid = name.strip().partition(":")
        for want in _with_boxes(corpus, encoder, grid, precision, weights):
            found[want.name] = want
    return list(found.values())


def _with_boxes(corpus: str, encoder: str, grid_text: str, precision: Precision, weights: str) -> list[Want]:
    spec = encoders.spec(encoder)
    if grid_text and grid_text not in spec.grids:
        raise ValueError(f"{encoder}: {unknown('grid', grid_text, spec.grids)}")
    grid = Grid.parse(grid_text or spec.grids[0])
    boxes = _with_boxes(corpus, spec.boxes, _boxes_grid(grid), precision, weights) if spec.boxes else []
    builds_on = tuple(want.name for want in boxes)
    key = spec.key(encoder, grid, builds_on, precision=precision, weights=weights)
    return [*boxes, Want(encoder, spec, grid, key, folder_of(corpus, key), boxes[0] if boxes else None)]


def _boxes_grid(grid: Grid) -> str:
    """Name the grid whose windows are the slots of whoever needs the boxes."""
    slot_s = Fraction(1, grid.fps or 1)
    return str(Grid("windows", slot_s, slot_s, Fraction(0), grid.sampling))
