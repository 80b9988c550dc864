"""Finished runs side by side, on the test clips that all of them have, with how sure their differences are."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fuse import finished, intervals
from fuse.finished import Cell, Finished
from fuse.intervals import Difference
from fuse.judged import MAIN, NUMBERS, Judged, View, main_score


@dataclass(frozen=True)
class Agreed:
    """Of how many clips a run and the first are right; a run is right if more than half of its seeds are."""

    both: int
    first: int
    """Only the first run."""
    own: int
    """Only this one."""
    neither: int
    p: float
    """McNemar's."""
    holm: float = math.nan


@dataclass(frozen=True)
class Against:
    """How a run differs from the first."""

    more: Difference
    holm: float = math.nan
    """Its p among all comparisons."""
    agreed: Agreed | None = None
    """None where numbers are said, which are never quite right."""


@dataclass(frozen=True)
class Row:
    """One run on the shared clips of one cell."""

    run: Finished
    name: str
    clips: int
    """How many test clips it has the label of."""
    judged: tuple[Judged, ...]
    """One for each seed."""
    against: Against | None = None
    """None for the first run."""

    @cached_property
    def scores(self) -> list[dict[str, float]]:
        """Return every metric of each seed."""
        return [one.scores() for one in self.judged]

    def mean(self, metric: str) -> float:
        """Return the average over seeds."""
        return float(np.mean([one[metric] for one in self.scores]))

    def spread(self, metric: str) -> float | None:
        """Return the sample standard deviation over seeds; one alone has none."""
        return float(np.std([one[metric] for one in self.scores], ddof=1)) if len(self.scores) > 1 else None

    @cached_property
    def error(self) -> NDArray[np.float64]:
        """Return for each clip the share of seeds that are wrong, or how far they are off on average."""
        if self.judged[0].view in NUMBERS:
            off = [np.abs(one.predicted - one.truth) for one in self.judged]
        else:
            off = [(one.predicted != one.truth).reshape(len(one), -1).any(axis=1) for one in self.judged]
        mean: NDArray[np.float64] = np.mean(off, axis=0, dtype=np.float64)
        return mean


@dataclass(frozen=True)
class Compared:
    """All runs on one task and corpus."""

    task: str
    corpus: str
    view: View
    clips: tuple[str, ...]
    """Those that all runs have."""
    over: str
    """What draws are of: clips or speakers."""
    interval: tuple[float, float]
    """Where the first run's main metric lies in 95 % of draws."""
    rows: tuple[Row, ...]

    @property
    def main(self) -> str:
        """Return the metric that differences are given of."""
        return MAIN[self.view]

    @property
    def name(self) -> str:
        """Return what it is called."""
        return f"{self.task} on {self.corpus}"


@dataclass(frozen=True)
class Comparison:
    """What was found; the first run is the measure."""

    runs: tuple[Finished, ...]
    names: tuple[str, ...]
    cells: tuple[Compared, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())
    """Settings of the recipes that differ: name, and what it is in each run."""
    features: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())
    """Modalities whose entries of the cache differ, likewise."""

    @property
    def comparisons(self) -> int:
        """Return how many differences have a p."""
        return sum(math.isfinite(one.more.p) for cell in self.cells for one in _against(cell))


def compare(folders: Sequence[Path]) -> Comparison:
    """Compare runs on each task and corpus that all of them have."""
    if len(folders) < 2:
        raise ValueError(f"expected the folders of at least two runs, got {len(folders)}")
    runs = tuple(finished.read(folder) for folder in folders)
    cells = [cell for cell in runs[0].clips if all(cell in run.clips for run in runs)]
    if not cells:
        raise ValueError(f"expected a task on a corpus that all runs were tested on, got {_have(runs)}")
    names = _names(runs)
    compared = _corrected([_compared(runs, names, cell) for cell in cells])
    settings, features = _differing([run.recipe for run in runs]), _differing([run.features for run in runs])
    return Comparison(runs, names, compared, settings, features)


def holm(chances: Sequence[float]) -> list[float]:
    """Return p values as Holm corrects them for their number; one that is not defined counts for nothing."""
    order = sorted((p, place) for place, p in enumerate(chances) if math.isfinite(p))
    found, least = [math.nan] * len(chances), 0.0
    for rank, (p, place) in enumerate(order):
        least = max(least, min(1.0, p * (len(order) - rank)))
        found[place] = least
    return found


def _compared(runs: Sequence[Finished], names: Sequence[str], cell: Cell) -> Compared:
    task, corpus = cell
    if len({run.views[cell] for run in runs}) > 1:
        raise ValueError(f"{task} on {corpus}: expected one way of scoring it, got {[run.views[cell] for run in runs]}")
    clips = _shared(runs, cell)
    rows = [
        Row(run, name, len(run.truth(cell)), tuple(run.judged(cell, clips)))
        for name, run in zip(names, runs, strict=True)
    ]
    first = rows[0]
    over, groups = first.judged[0].groups
    interval = intervals.bootstrap(main_score(first.judged), groups)
    others = [replace(row, against=_held(row, first, groups)) for row in rows[1:]]
    return Compared(task, corpus, runs[0].views[cell], tuple(clips), over, interval, (first, *others))


def _held(row: Row, first: Row, groups: Sequence[str]) -> Against:
    more = intervals.paired(main_score(row.judged), main_score(first.judged), groups)
    if row.judged[0].view in NUMBERS:
        return Against(more)
    right, right_first = row.error < 0.5, first.error < 0.5
    counts = (right & right_first, right_first & ~right, right & ~right_first, ~right & ~right_first)
    both, only_first, own, neither = (int(one.sum()) for one in counts)
    return Against(more, agreed=Agreed(both, only_first, own, neither, intervals.mcnemar(right, right_first)))


def _corrected(cells: Sequence[Compared]) -> tuple[Compared, ...]:
    """Return the cells with every p corrected for the number of comparisons."""
    every = [one for cell in cells for one in _against(cell)]
    by_draws = iter(holm([one.more.p for one in every]))
    by_clips = iter(holm([one.agreed.p for one in every if one.agreed]))

    def corrected(one: Against) -> Against:
        agreed = replace(one.agreed, holm=next(by_clips)) if one.agreed else None
        return replace(one, holm=next(by_draws), agreed=agreed)

    return tuple(
        replace(
            cell, rows=tuple(replace(row, against=corrected(row.against)) if row.against else row for row in cell.rows)
        )
        for cell in cells
    )


def _against(cell: Compared) -> Iterator[Against]:
    return (row.against for row in cell.rows if row.against)


def _shared(runs: Sequence[Finished], cell: Cell) -> list[str]:
    """Return the clips that all runs have, in order; the label must be the same in all."""
    truths = [run.truth(cell) for run in runs]
    clips = sorted(set(truths[0]).intersection(*truths[1:]))
    where = f"{cell[0]} on {cell[1]}"
    if not clips:
        raise ValueError(f"{where}: expected test clips that all runs have, got none; were they divided differently?")
    for run, truth in zip(runs, truths, strict=True):
        for clip in clips:
            if truth[clip] != truths[0][clip]:
                raise ValueError(
                    f"{where}: expected one label of clip {clip!r}, got {truths[0][clip]!r} in {runs[0].folder} and "
                    f"{truth[clip]!r} in {run.folder}; run again what is older than its labels"
                )
    return clips


def _differing(tables: Sequence[Mapping[str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the keys that are not the same everywhere, with what each table has; nothing where it has none."""
    keys = dict.fromkeys(key for table in tables for key in table)
    rows = ((key, tuple(table.get(key, "") for table in tables)) for key in keys)
    return tuple((key, values) for key, values in rows if len(set(values)) > 1)


def _names(runs: Sequence[Finished]) -> tuple[str, ...]:
    """Name runs by their folders, with what lies above them where that is not enough."""
    names = tuple(run.folder.resolve().name for run in runs)
    return names if len(set(names)) == len(names) else tuple(str(run.folder) for run in runs)


def _have(runs: Sequence[Finished]) -> str:
    return "; ".join(f"{run.folder}: {', '.join(f'{t} on {c}' for t, c in run.clips) or 'nothing'}" for run in runs)
