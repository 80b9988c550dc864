"""The test clips on which runs differ most, with what each run says of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fuse.compare import Compared, Comparison, Row
from fuse.judged import NUMBERS

MOST = 200
"""How many clips are listed at most."""


@dataclass(frozen=True)
class Apart:
    """One clip that some runs get right, or nearly, and others do not."""

    cell: Compared
    clip: str
    speaker: str
    truth: str
    said: tuple[str, ...]
    """What most seeds of each run say, or their mean."""
    right: tuple[bool, ...]
    """Of which run more than half of the seeds are right; of none where numbers are said."""
    apart: float
    """By how much the share of seeds that are wrong, or the distance to the truth, differs between two runs."""


def clips(found: Comparison) -> list[Apart]:
    """Return the clips on which runs differ most, those first, as many of each task and corpus."""
    share = max(1, MOST // len(found.cells))
    return [one for cell in found.cells for one in _clips(cell, share)][:MOST]


def _clips(cell: Compared, most: int) -> Iterator[Apart]:
    errors = np.stack([row.error for row in cell.rows])
    apart = errors.max(axis=0) - errors.min(axis=0)
    for place in np.argsort(-apart, kind="stable")[:most].tolist():
        if apart[place] > 0:
            clip = cell.clips[place]
            (one, *_) = cell.rows[0].run.clips[cell.task, cell.corpus].values()
            said = tuple(_said(row, cell, place) for row in cell.rows)
            right = tuple(cell.view not in NUMBERS and bool(error[place] < 0.5) for error in errors)
            yield Apart(cell, clip, one[clip].speaker, one[clip].truth, said, right, float(apart[place]))


def _said(row: Row, cell: Compared, place: int) -> str:
    if cell.view in NUMBERS:
        return f"{float(np.mean([one.predicted[place] for one in row.judged])):.3g}"
    seeds = row.run.clips[cell.task, cell.corpus].values()
    ((word, count), *_) = Counter(clips[cell.clips[place]].predicted for clips in seeds).most_common(1)
    return word if count == len(seeds) else f"{word} ({count} of {len(seeds)})"
