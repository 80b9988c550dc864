"""A comparison of runs as tables for a terminal."""

import math
from collections.abc import Iterator

from fuse import score_tables
from fuse.compare import Against, Compared, Comparison, Row
from fuse.markdown import escape, table
from fuse.metrics import SHOWN

READING = """In percent where a score is a share. ± is the sample standard deviation over seeds, each scored on the
clips of all folds. The difference is to the first run, averaged over seeds. Of 1,000 draws of clips, the same for both
runs, 95 % lie in its interval; whole speakers are drawn where there are ten or more.
p is how often chance alone would give a difference as large."""
SEVERAL = "These are {} comparisons, of which chance makes some look clear; Holm's p is corrected for their number."


def lines(found: Comparison) -> Iterator[str]:
    """Yield a table for each task and corpus that all runs have, and how to read it."""
    several = found.comparisons > 1
    yield from (_side_by_side(cell, several=several) for cell in found.cells)
    yield f"{READING}\n{SEVERAL.format(found.comparisons)}" if several else READING


def cells(row: Row, cell: Compared, *, several: bool) -> list[str]:
    """Return what a table says of one run: its scores, and how it stands to the first."""
    scores = [score_tables.with_spread(metric, row.mean(metric), row.spread(metric)) for metric in SHOWN[cell.view]]
    told = _difference(row.against, cell) if row.against else [""] * 4
    return [f"{row.clips:,}", *scores, *(told if several else told[:-1])]


def head(cell: Compared, *, several: bool) -> list[str]:
    """Return what stands above `cells`."""
    return [
        "clips",
        *SHOWN[cell.view],
        f"{cell.main} more",
        f"95 % of {cell.over}",
        "p",
        *(["p, Holm"] if several else []),
    ]


def interval(low: float, high: float, metric: str) -> str:
    """Return between which ends a difference lies; a dash where that is not known."""
    if not math.isfinite(low):
        return score_tables.DASH
    return f"{score_tables.number(metric, low, sign=True)} to {score_tables.number(metric, high, sign=True)}"


def chance(p: float) -> str:
    """Return a p as people read it."""
    return f"{p:.3f}" if math.isfinite(p) else score_tables.DASH


def title(cell: Compared) -> str:
    """Return what a table is of."""
    return f"{cell.name}, {len(cell.clips):,} test clips that all runs have"


def _side_by_side(cell: Compared, *, several: bool) -> str:
    rows = [[row.name, row.run.model, *cells(row, cell, several=several)] for row in cell.rows]
    header = ["run", "model", *head(cell, several=several)]
    return f"{escape(title(cell))}:\n\n{table(header, rows, words=2)}"


def _difference(against: Against, cell: Compared) -> list[str]:
    more = against.more
    mean, lies = score_tables.number(cell.main, more.mean, sign=True), interval(more.low, more.high, cell.main)
    return [mean, lies, chance(more.p), chance(against.holm)]
