"""A paper's table, filled with what was measured here, with the paper's own numbers in parentheses."""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import product

from fuse import markdown, score_tables
from fuse.judged import MAIN
from fuse.recipe import Recipe, Table

Measured = Mapping[tuple[str, str, str], Mapping[str, tuple[float, float | None]]]
"""Corpus, task and split to metric to mean and deviation, as `result.summary` gives them."""


def render(table: Table, found: Mapping[str, Measured], failed: Mapping[str, str]) -> str:
    """Return the table for a terminal, a row for each recipe; `failed` says by row why it was not run."""
    columns = _columns(table, found)
    averaged = _averageable(table, columns, found)
    rows = [
        [
            _short(table, row),
            *(_cell(_ours(found, row, column), _paper(table, row, column), column) for column in columns),
            *([_average(table, row, columns, found)] if averaged else []),
        ]
        for row in table.rows
    ]
    header = ["row", *columns, *(["average"] if averaged else [])]
    notes = [READING, *table.notes, *_not_run(table, found, failed)]
    listed = "\n".join(f"- {markdown.escape(note)}" for note in notes)
    return f"{markdown.escape(table.title)}\n\n{markdown.table(header, rows, words=1)}\n\n{listed}"


READING = (
    "On test, in percent where a score is a share; ± is the sample standard deviation over folds and seeds; "
    "in parentheses what the paper prints."
)


def _columns(table: Table, found: Mapping[str, Measured]) -> list[str]:
    """Return the paper's columns, or where none of its corpora was used the same for those that were."""
    used = list(dict.fromkeys(corpus for row in table.rows for corpus in row.corpora))
    if {column.split("/")[0] for column in table.columns} & set(used):
        return list(table.columns)
    asked = dict.fromkeys(column.split("/", 1)[1] for column in table.columns)
    moved = [f"{corpus}/{rest}" for corpus, rest in product(used, asked)]
    measured = [column for column in moved if any(_ours(found, row, column) for row in table.rows)]
    return measured or _mains(found) or moved


def _mains(found: Mapping[str, Measured]) -> list[str]:
    """Return a column for the main metric of everything that was scored."""
    return list(
        dict.fromkeys(
            f"{corpus}/{task}/{metric}"
            for cells in found.values()
            for (corpus, task, split), values in cells.items()
            for metric in MAIN.values()
            if split == "test" and metric in values
        )
    )


def _ours(found: Mapping[str, Measured], row: Recipe, column: str) -> tuple[float, float | None] | None:
    corpus, task, metric = column.split("/")
    return found.get(row.name, {}).get((corpus, task, "test"), {}).get(metric)


def _paper(table: Table, row: Recipe, column: str) -> float | None:
    return table.paper.get(row.name, {}).get(column)


def _cell(ours: tuple[float, float | None] | None, paper: float | None, column: str) -> str:
    own = score_tables.with_spread(column.rpartition("/")[2], *ours) if ours else score_tables.DASH
    return own if paper is None else f"{own} ({paper:g})"


def _averageable(table: Table, columns: Sequence[str], found: Mapping[str, Measured]) -> bool:
    """Tell whether an average says something: one share of each of several tasks, all of which some row has."""
    tasks = {column.rpartition("/")[0] for column in columns}
    shares = all(column.rpartition("/")[2] not in score_tables.NOT_SHARES for column in columns)
    several = len(tasks) == len(columns) > 1
    return several and shares and any(_mean(_all_ours(found, row, columns)) is not None for row in table.rows)


def _average(table: Table, row: Recipe, columns: Sequence[str], found: Mapping[str, Measured]) -> str:
    ours = _mean(_all_ours(found, row, columns))
    paper = _mean([_paper(table, row, column) for column in columns])
    own = score_tables.DASH if ours is None else score_tables.number("", ours)
    return own if paper is None else f"{own} ({paper:.2f})"


def _all_ours(found: Mapping[str, Measured], row: Recipe, columns: Sequence[str]) -> list[float | None]:
    values = [_ours(found, row, column) for column in columns]
    return [one[0] if one and math.isfinite(one[0]) else None for one in values]


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the average, if there is nothing missing."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _not_run(table: Table, found: Mapping[str, Measured], failed: Mapping[str, str]) -> list[str]:
    """Say of each row without numbers why; rows with the same reason are named together."""
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.name not in found:
            rows.setdefault(failed.get(row.name, "not asked for"), []).append(_short(table, row))
    return [f"Not run: {', '.join(names)}: {reason}" for reason, names in rows.items()]


def _short(table: Table, row: Recipe) -> str:
    return row.name.removeprefix(f"{table.name}-")
