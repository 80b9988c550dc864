"""A paper's table, filled with what was measured here, with the paper's own numbers in parentheses."""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import product

from fuse import markdown, score_tables
from fuse.judged import MAIN
from fuse.recipe import Recipe, Table
from fuse.result import Summary


def render(table: Table, found: Mapping[str, Summary], failed: Mapping[str, str]) -> str:
    """Return the table for a terminal, a row for each recipe; `failed` says by row why it was not run."""
    columns = _columns(table, found)
    averaged = _averageable(table, columns, found)
    rows = [
        [
            _short(table, row),
            *(_cell(found, table, row, column) for column in columns),
            *([_average(table, row, columns, found)] if averaged else []),
            *_cost(found.get(row.name)),
        ]
        for row in table.rows
    ]
    header = ["row", *columns, *(["average"] if averaged else []), "parameters", "s/epoch"]
    notes = [READING, *table.notes, *_not_run(table, found, failed)]
    listed = "\n".join(f"- {markdown.escape(note)}" for note in notes)
    return f"{markdown.escape(table.title)}\n\n{markdown.table(header, rows, words=1)}\n\n{listed}"


READING = (
    "On test, in percent where a score is a share; ± is the sample standard deviation over folds and seeds; "
    "from and to say where 95 % of scores on other clips or speakers would lie; in parentheses what the paper prints."
)


def _columns(table: Table, found: Mapping[str, Summary]) -> list[str]:
    """Return the paper's columns, or where none of its corpora was used the same for those that were."""
    used = list(dict.fromkeys(corpus for row in table.rows for corpus in row.corpora))
    if {column.split("/")[0] for column in table.columns} & set(used):
        return list(table.columns)
    asked = dict.fromkeys(column.split("/", 1)[1] for column in table.columns)
    moved = [f"{corpus}/{rest}" for corpus, rest in product(used, asked)]
    measured = [column for column in moved if any(_ours(found, row, column) for row in table.rows)]
    return measured or _mains(found) or moved


def _mains(found: Mapping[str, Summary]) -> list[str]:
    """Return a column for the main metric of everything that was scored."""
    return list(
        dict.fromkeys(
            f"{corpus}/{task}/{metric}"
            for cells in found.values()
            for corpus, task, metric in cells.scores
            if metric in MAIN.values()
        )
    )


def _ours(found: Mapping[str, Summary], row: Recipe, column: str) -> tuple[float, float | None] | None:
    corpus, task, metric = column.split("/")
    return found[row.name].scores.get((corpus, task, metric)) if row.name in found else None


def _paper(table: Table, row: Recipe, column: str) -> float | None:
    return table.paper.get(row.name, {}).get(column)


def _cell(found: Mapping[str, Summary], table: Table, row: Recipe, column: str) -> str:
    corpus, task, metric = column.split("/")
    ours, paper = _ours(found, row, column), _paper(table, row, column)
    interval = found[row.name].intervals.get((corpus, task, metric)) if ours else None
    own = score_tables.with_spread(metric, *ours) if ours else score_tables.DASH
    if interval and math.isfinite(interval.low):
        own += f", {score_tables.number(metric, interval.low)} to {score_tables.number(metric, interval.high)}"
    return own if paper is None else f"{own} ({paper:g})"


def _cost(found: Summary | None) -> list[str]:
    return [f"{found.parameters:,}", f"{found.seconds_per_epoch:.2g}"] if found else [score_tables.DASH] * 2


def _averageable(table: Table, columns: Sequence[str], found: Mapping[str, Summary]) -> bool:
    """Tell whether an average says something: one share of each of several tasks, all of which some row has."""
    tasks = {column.rpartition("/")[0] for column in columns}
    shares = all(column.rpartition("/")[2] not in score_tables.NOT_SHARES for column in columns)
    several = len(tasks) == len(columns) > 1
    return several and shares and any(_mean(_all_ours(found, row, columns)) is not None for row in table.rows)


def _average(table: Table, row: Recipe, columns: Sequence[str], found: Mapping[str, Summary]) -> str:
    ours = _mean(_all_ours(found, row, columns))
    paper = _mean([_paper(table, row, column) for column in columns])
    own = score_tables.DASH if ours is None else score_tables.number("", ours)
    return own if paper is None else f"{own} ({paper:.2f})"


def _all_ours(found: Mapping[str, Summary], row: Recipe, columns: Sequence[str]) -> list[float | None]:
    values = [_ours(found, row, column) for column in columns]
    return [one[0] if one and math.isfinite(one[0]) else None for one in values]


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the average, if there is nothing missing."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _not_run(table: Table, found: Mapping[str, Summary], failed: Mapping[str, str]) -> list[str]:
    """Say of each row without numbers why; rows with the same reason are named together."""
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.name not in found:
            rows.setdefault(failed.get(row.name, "not asked for"), []).append(_short(table, row))
    return [f"Not run: {', '.join(names)}: {reason}" for reason, names in rows.items()]


def _short(table: Table, row: Recipe) -> str:
    return row.name.removeprefix(f"{table.name}-")
