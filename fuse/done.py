"""Runs that are finished, as rows of tables: what `report.json` says of each, taken only as it should be."""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fuse.judged import MAIN
from fuse.lines import Interval
from fuse.recipe import Recipe
from fuse.result import Summary
from manifests.labels import TASKS


@dataclass(frozen=True)
class Done:
    """One finished run."""

    folder: Path
    recipe: Any
    """As JSON holds it."""
    code: str
    """A digest of what trained it."""
    summary: Summary
    when_ns: int

    @cached_property
    def corpora(self) -> tuple[str, ...]:
        """Return what it was trained and scored on."""
        return tuple(self.recipe["corpora"])

    @property
    def name(self) -> str:
        """Return what the run is called."""
        return self.folder.name

    @property
    def mains(self) -> Iterator[tuple[str, str, str]]:
        """Yield corpus, task and metric of what the run is judged by."""
        return (cell for cell in self.summary.scores if cell[2] in MAIN.values())

    def is_of(self, row: Recipe) -> bool:
        """Tell whether this recipe was run, with all that it says."""
        return bool(self.recipe == json.loads(json.dumps(row.to_json())))


def root() -> Path:
    """Return where runs go: `RUNS_ROOT`, or `.runs`."""
    return Path(os.environ.get("RUNS_ROOT") or ".runs")


def read(runs: Path) -> tuple[list[Done], list[str]]:
    """Return every finished run, the newest first, and a word on each that cannot be read."""
    found, broken = [], []
    for report in sorted(one for one in runs.glob("[!.]*/report.json") if one.is_file()):
        try:
            found.append(_done(report))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError) as error:
            broken.append(f"{report} is passed over: expected what this version writes, got {error!r}")
    return sorted(found, key=lambda one: -one.when_ns), broken


def _done(report: Path) -> Done:
    data = json.loads(report.read_text(encoding="utf-8"))
    made = data["provenance"]
    recipe = made["recipe"]
    _expect(recipe["name"], str)
    _expect(recipe["seeds"], int)
    for corpus in _expect(recipe["corpora"], list):
        _expect(corpus, str)
    code = _expect(made["training code"], str)
    return Done(report.parent, recipe, code, _summary(data), report.stat().st_mtime_ns)


def _summary(data: Any) -> Summary:
    """Return what the model scored on test, and what that cost."""
    scores, intervals = {}, {}
    for corpus, task, line in _lines(data):
        for metric, mean in line["mean"].items():
            spread = line["spread"][metric]
            scores[corpus, task, metric] = _number(mean), None if spread is None else _number(spread)
        if (lies := line["interval"]) is not None:
            low, high = _number(lies["low"]), _number(lies["high"])
            intervals[corpus, task, _expect(lies["metric"], str)] = Interval(low, high, lies["over"])
    return Summary(scores, intervals, _expect(data["parameters"], int), _number(data["seconds_per_epoch"]))


def _lines(data: Any) -> Iterator[tuple[str, str, Any]]:
    for task, corpora in data["scores"].items():
        if task not in TASKS:
            raise ValueError(f"a task {task!r}")
        for corpus, splits in corpora.items():
            for line in splits.get("test", ()):
                if line["role"] == "model":
                    yield corpus, task, line


def _number(value: Any) -> float:
    """Return a number; what is not defined was written as null."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} for a number")
    return float(value)


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r} where {kind.__name__} belongs")
    return value
