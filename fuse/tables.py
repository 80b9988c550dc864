"""A paper's table, filled with what was measured here, with the paper's own numbers in parentheses."""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from fuse import markdown, score_tables
from fuse.judged import MAIN
from fuse.recipe import Recipe, Table
from fuse.result import Summary

AVERAGE = "average"
LESS_IS_BETTER = {"mae", "sims_mae"}
MARK = "\N{DAGGER}"
READING = (
    "On test, in percent where a score is a share; ± is the sample standard deviation over folds and seeds; "
    "from and to say where 95 % of scores on other clips or speakers would lie; in parentheses what the paper prints."
)
OTHER_CODE = f"{MARK} Trained under other training code than today's; the same command trains it anew."


@dataclass(frozen=True)
class Cell:
    """One number of ours, as it is read, beside the paper's."""

    score: str
    spread: str = ""
    lies: str = ""
    """From where to where 95 % of scores would lie."""
    paper: str = ""
    more: str = ""
    """How much more ours is than the paper's, with its sign."""
    better: bool | None = None
    """Whether that is better; None where both are the same, or one of them is not there."""
    best: bool = False
    """Whether no other row has a better one of ours."""

    @property
    def text(self) -> str:
        """Return it in one line."""
        own = f"{self.score}{self.spread}" + (f", {self.lies}" if self.lies else "")
        return f"{own} ({self.paper})" if self.paper else own


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    recipe: str
    name: str
    cells: tuple[Cell, ...]
    parameters: str
    seconds: str
    """What an epoch took."""


@dataclass(frozen=True)
class Filled:
    """A table as data, whatever form it then has."""

    name: str
    title: str
    columns: tuple[str, ...]
    """`corpus/task/metric` of each cell of a row, and perhaps their average."""
    lines: tuple[Line, ...]
    reading: str
    notes: tuple[str, ...]

    @property
    def header(self) -> list[str]:
        """Return what stands above each column."""
        return ["row", *self.columns, "parameters", "s/epoch"]


def filled(
    table: Table, found: Mapping[str, Summary], failed: Mapping[str, str], marked: Collection[str] = ()
) -> Filled:
    """Return the table, a row for each recipe; `failed` says by row why it was not run, `marked` which are outdated."""
    columns = _columns(table, found)
    averaged = [AVERAGE] if _averageable(table, columns, found) else []
    lines = [
        Line(
            row.name,
            _short(table, row) + (f" {MARK}" if row.name in marked else ""),
            (
                *(_cell(found, table, row, column) for column in columns),
                *(_average(table, row, columns, found) for _ in averaged),
            ),
            *_cost(found.get(row.name)),
        )
        for row in table.rows
    ]
    notes = (*table.notes, *_not_run(table, found, failed), *([OTHER_CODE] if marked else []))
    every = (*columns, *averaged)
    return Filled(table.name, table.title, every, tuple(_with_best(lines, every)), READING, notes)


def render(table: Table, found: Mapping[str, Summary], failed: Mapping[str, str]) -> str:
    """Return the table for a terminal."""
    return text(filled(table, found, failed))


def text(one: Filled) -> str:
    """Return a table as Markdown."""
    rows = [[line.name, *(cell.text for cell in line.cells), line.parameters, line.seconds] for line in one.lines]
    listed = "\n".join(f"- {markdown.escape(note)}" for note in (one.reading, *one.notes))
    return f"{markdown.escape(one.title)}\n\n{markdown.table(one.header, rows, words=1)}\n\n{listed}"


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


def place(column: str) -> tuple[str, str, str]:
    """Return the corpus, the task and the metric of a column."""
    corpus, task, metric = column.rsplit("/", 2)
    return corpus, task, metric


def _ours(found: Mapping[str, Summary], row: Recipe, column: str) -> tuple[float, float | None] | None:
    return found[row.name].scores.get(place(column)) if row.name in found else None


def _paper(table: Table, row: Recipe, column: str) -> float | None:
    return table.paper.get(row.name, {}).get(column)


def _cell(found: Mapping[str, Summary], table: Table, row: Recipe, column: str) -> Cell:
    metric, ours, paper = place(column)[2], _ours(found, row, column), _paper(table, row, column)
    printed = "" if paper is None else f"{paper:g}"
    if ours is None:
        return Cell(score_tables.DASH, paper=printed)
    score, spread = score_tables.with_spread(metric, *ours).split(" ", 1)
    interval = found[row.name].intervals.get(place(column))
    ends = (interval.low, interval.high) if interval and math.isfinite(interval.low) else ()
    lies = " to ".join(score_tables.number(metric, end) for end in ends)
    return Cell(score, f" {spread}", lies, printed, *_more(metric, ours[0], paper))


def _more(metric: str, ours: float | None, paper: float | None) -> tuple[str, bool | None]:
    """Return how much more ours is than what the paper prints, and whether that is better."""
    if ours is None or paper is None or not math.isfinite(ours):
        return "", None
    more = ours - (paper if metric in score_tables.NOT_SHARES else paper / 100)
    shown = score_tables.number(metric, more, sign=True)
    same = float(shown) == 0
    return shown.replace("-0.0", "+0.0") if same else shown, None if same else (more < 0) == (metric in LESS_IS_BETTER)


def _with_best(lines: Sequence[Line], columns: Sequence[str]) -> list[Line]:
    """Mark in each column that several rows have a score of the best one, and all that read the same."""
    best = [_best([line.cells[i].score for line in lines], column) for i, column in enumerate(columns)]
    return [
        replace(
            line, cells=tuple(replace(cell, best=cell.score == top) for cell, top in zip(line.cells, best, strict=True))
        )
        for line in lines
    ]


def _best(scores: Sequence[str], column: str) -> str:
    known = [score for score in scores if score != score_tables.DASH]
    best = min if column.rpartition("/")[2] in LESS_IS_BETTER else max
    return best(known, key=float) if len(known) > 1 else ""


def _cost(found: Summary | None) -> tuple[str, str]:
    if found is None:
        return score_tables.DASH, score_tables.DASH
    return f"{found.parameters:,}", f"{found.seconds_per_epoch:.2g}"


def _averageable(table: Table, columns: Sequence[str], found: Mapping[str, Summary]) -> bool:
    """Tell whether an average says something: one share of each of several tasks, all of which some row has."""
    tasks = {column.rpartition("/")[0] for column in columns}
    shares = all(column.rpartition("/")[2] not in score_tables.NOT_SHARES for column in columns)
    several = len(tasks) == len(columns) > 1
    return several and shares and any(_mean(_all_ours(found, row, columns)) is not None for row in table.rows)


def _average(table: Table, row: Recipe, columns: Sequence[str], found: Mapping[str, Summary]) -> Cell:
    ours = _mean(_all_ours(found, row, columns))
    paper = _mean([_paper(table, row, column) for column in columns])
    own = score_tables.DASH if ours is None else score_tables.number("", ours)
    more, better = _more("", ours, paper)
    return Cell(own, paper="" if paper is None else f"{paper:.2f}", more=more, better=better)


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
