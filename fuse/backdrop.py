"""What a time line shows behind its curves: how loud it is, and when a face is there, as far as the cache knows."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features import CacheError, Reader, find
from features.entries import entries, key_of
from fuse.recordings import CORPUS
from manifests import Clip

DETECTORS = frozenset(("mtcnn", "dlib", "yolo_face"))
ENVELOPE, SPEECH = "envelope", "silero"
STEP_S = 0.05
"""Between two steps of an envelope."""


@dataclass(frozen=True)
class Backdrop:
    """What is known of one clip over time."""

    loudness: tuple[float, ...] = ()
    """The greatest amplitude of every 50 ms."""
    faces_s: tuple[tuple[float, float], ...] | None = None
    """When a face is there; nothing where nobody looked."""
    face_share: float | None = None
    """Of the frames that were looked at."""


def read(clips: Iterable[Clip], trained: Iterable[Path]) -> dict[str, Backdrop]:
    """Return the backdrop of each clip; faces are those that the run's own features were cut by."""
    loud, boxes = _envelope(), _boxes(trained)
    found = {clip.id: _of(clip.id, loud, boxes) for clip in clips}
    for reader in filter(None, (loud, boxes)):
        reader.close()
    return found


def _envelope() -> Reader | None:
    try:
        return Reader(find(CORPUS, ENVELOPE))
    except CacheError:
        return None


def _boxes(trained: Iterable[Path]) -> Reader | None:
    wanted = {name for folder in trained for name in key_of(folder).builds_on}
    found = (path for path, key in entries(CORPUS).items() if path.name in wanted and key.encoder in DETECTORS)
    return next(map(Reader, found), None)


def _of(clip: str, loud: Reader | None, boxes: Reader | None) -> Backdrop:
    loudness: tuple[float, ...] = ()
    if loud and clip in loud:
        windows = loud[clip]
        steps = [windows.window(i)[:valid, 0] for i, valid in enumerate(windows.valid.tolist())]
        loudness = tuple(np.concatenate(steps).astype(float).tolist())
    if not boxes or clip not in boxes:
        return Backdrop(loudness)
    counts, spans_s = boxes.outline(clip)
    there = [span for span, count in zip(spans_s.tolist(), counts.tolist(), strict=True) if count]
    return Backdrop(loudness, merged(there), len(there) / max(1, len(counts)))


def merged(spans_s: list[list[float]]) -> tuple[tuple[float, float], ...]:
    """Join spans of which one ends where the next begins."""
    found: list[tuple[float, float]] = []
    for start_s, end_s in spans_s:
        if found and start_s <= found[-1][1] + 1e-6:
            found[-1] = found[-1][0], end_s
        else:
            found.append((start_s, end_s))
    return tuple(found)
