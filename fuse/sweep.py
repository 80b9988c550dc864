"""Many settings of one recipe: all are ranked on dev, and the test set is looked at once, for the best of them."""

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuse import report
from fuse.markdown import table
from fuse.result import Run


@dataclass(frozen=True)
class Tried:
    """One combination of settings, and what came of it."""

    settings: tuple[str, ...]
    run: Run
    folder: Path

    @property
    def dev(self) -> tuple[float, float | None]:
        """Return the dev score of the chosen epochs, mean and deviation over folds and seeds."""
        outcomes = [one for fold in self.run.folds for one in fold.outcomes]
        scores = [one.history[one.epoch - 1]["score"] for one in outcomes]
        return statistics.fmean(scores), statistics.stdev(scores) if len(scores) > 1 else None


def combinations(over: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every combination of `key=value1,value2` lists, as settings."""
    lists = []
    for one in over:
        key, separator, values = one.partition("=")
        if not separator or not key or not values:
            raise ValueError(f"OVER: expected key=value1,value2 such as train.lr=1e-3,3e-4, got {one!r}")
        lists.append([f"{key}={value}" for value in values.split(",")])
    yield from itertools.product(*lists)


def render(tried: Sequence[Tried]) -> str:
    """Return every combination with its dev score, best first, and the report of the best alone."""
    ranked = sorted(tried, key=lambda one: -one.dev[0])
    rows = []
    for one in ranked:
        mean, spread = one.dev
        rows.append(
            [" ".join(one.settings), f"{100 * mean:.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")]
        )
    best = ranked[0]
    written = report.write(best.run, best.folder)
    return (
        f"{table(['settings', 'dev score'], rows, words=1)}\n\n"
        f"Best on dev: {' '.join(best.settings)}; the test set was scored for it alone.\n\n"
        f"{report.table(best.run)}\nreport: {written}"
    )
