"""Scores as people read them: percent with one decimal, errors and correlations with three, deviations behind ±."""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fuse.judged import MAIN, NUMBERS, View
from fuse.lines import Line
from fuse.markdown import table
from fuse.metrics import EXPLAINED, SHOWN
from fuse.result import Run

NOT_SHARES = {"mae", "corr", "sims_mae", "sims_corr"}
DASH = "\N{EN DASH}"
Draw = Callable[[Sequence[str], Sequence[Sequence[str]], int], str]
"""What makes a table of a header, rows, and how many of the columns are words: Markdown, or another form."""


def number(metric: str, value: float, *, sign: bool = False) -> str:
    """Return one score; a dash where it is not defined."""
    if not math.isfinite(value):
        return DASH
    form = f"{'+' if sign else ''}z.{3 if metric in NOT_SHARES else 1}f"
    return format(value if metric in NOT_SHARES else 100 * value, form)


def with_spread(metric: str, mean: float, spread: float | None) -> str:
    """Return a score with its deviation; a dash where there is none."""
    return f"{number(metric, mean)} ± {DASH if spread is None else number(metric, spread)}"


def scores(lines: Sequence[Line], draw: Draw = table) -> str:
    """Return one table for each view of a task that occurs."""
    return "\n\n".join(_scores(view, chosen, draw) for view, chosen in _by_view(lines))


def explained(lines: Sequence[Line]) -> str:
    """Return what each metric of the score tables is."""
    ids = dict.fromkeys(metric for view, _ in _by_view(lines) for metric in SHOWN[view])
    return "\n".join(f"- `{metric}`: {EXPLAINED[metric]}" for metric in ids)


def folds(lines: Sequence[Line], draw: Draw = table) -> str:
    """Return the model's test scores fold by fold, their extremes, and those of all clips together."""
    return "\n\n".join(_folds(view, chosen, draw) for view, chosen in _by_view(_on_test(lines, {"model"})))


def missing(lines: Sequence[Line], draw: Draw = table) -> str:
    """Return what the model scores on test without each modality, and what that changes."""
    chosen = _by_view(_on_test(lines, {"model", "ablation"}))
    return "\n\n".join(_missing(view, of_view, draw) for view, of_view in chosen)


def thinned(lines: Sequence[Line], draw: Draw = table) -> str:
    """Return what the model scores on test while a share of modalities is missing, and what that changes."""
    chosen = _by_view(_on_test(lines, {"model", "thinned"}))
    return "\n\n".join(_missing(view, of_view, draw) for view, of_view in chosen)


def classes(run: Run, draw: Draw = table) -> str:
    """Return precision, recall and F1 of each class on test, from counts added over folds and seeds."""
    rows = []
    for task, corpus, split in run.scored:
        if split != "test" or run.views[task, corpus] in NUMBERS:
            continue
        judged = run.of_model(task, corpus, split)
        added = np.sum([one.tables() for one in judged], axis=0)
        for name, (true, said, both) in zip(judged[0].members, added, strict=True):
            shares = [_percent(both, said), _percent(both, true), _percent(2 * both, true + said)]
            rows.append([task, corpus, name, f"{true:,}", f"{said:,}", *shares])
    header = ["task", "corpus", "class", "true", "said", "precision", "recall", "F1"]
    return draw(header, rows, 3) if rows else ""


def _scores(view: View, lines: Sequence[Line], draw: Draw) -> str:
    ids, drawn = SHOWN[view], any(line.interval for line in lines)
    rows = [
        [
            *(line.task, line.corpus, line.split, _name(line), f"{line.clips:,}"),
            *(_score(line, metric) for metric in ids),
            *([_interval(line)] if drawn else []),
        ]
        for line in lines
    ]
    header = ["task", "corpus", "split", "line", "clips", *ids, *([f"95 % of {MAIN[view]}"] if drawn else [])]
    return draw(header, rows, 4)


def _folds(view: View, lines: Sequence[Line], draw: Draw) -> str:
    ids, rows = SHOWN[view], []
    for line in lines:
        names = dict.fromkeys(one.fold for one in line.scores)
        values: dict[str, Sequence[float]] = {name: [line.of_fold(name, metric) for metric in ids] for name in names}
        values["least"], values["greatest"] = zip(*(line.extremes(metric) for metric in ids), strict=True)
        values["all clips together"] = [line.of_all(metric) for metric in ids]
        for name, row in values.items():
            rows.append([line.task, line.corpus, name, *map(number, ids, row)])
    return draw(["task", "corpus", "fold", *ids], rows, 3)


def _missing(view: View, lines: Sequence[Line], draw: Draw) -> str:
    ids, main = SHOWN[view], MAIN[view]
    whole = {(line.task, line.corpus): line.mean(main) for line in lines if line.role == "model"}
    rows = []
    for line in lines:
        change = line.mean(main) - whole[line.task, line.corpus]
        shown = "" if line.role == "model" else number(main, change, sign=True)
        rows.append([line.task, line.corpus, line.name, *(_score(line, metric) for metric in ids), shown])
    return draw(["task", "corpus", "line", *ids, f"change of {main}"], rows, 3)


def _on_test(lines: Iterable[Line], roles: set[str]) -> list[Line]:
    return [line for line in lines if line.split == "test" and line.role in roles]


def _by_view(lines: Sequence[Line]) -> list[tuple[View, list[Line]]]:
    found = [(view, [line for line in lines if line.view == view]) for view in MAIN]
    return [(view, chosen) for view, chosen in found if chosen]


def _percent(count: int, whole: int) -> str:
    return f"{100 * count / whole:.1f}" if whole else DASH


def _name(line: Line) -> str:
    return f"{line.name} alone" if line.role == "part" else line.name


def _score(line: Line, metric: str) -> str:
    mean, spread = line.mean(metric), line.spread(metric)
    return number(metric, mean) if line.role == "floor" and spread is None else with_spread(metric, mean, spread)


def _interval(line: Line) -> str:
    found = line.interval
    if found is None or not math.isfinite(found.low):
        return ""
    return f"{number(line.main, found.low)} to {number(line.main, found.high)} ({found.over})"
