"""Finished runs, read back from `report.json` and `predictions.csv`; nothing in these files is taken on trust."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fuse.judged import MAIN, NUMBERS, Judged, View
from fuse.record import COLUMNS, NOBODY
from manifests.labels import TASKS

Cell = tuple[str, str]
"""A task and a corpus."""


@dataclass(frozen=True)
class Clip:
    """What one seed says of a test clip."""

    speaker: str
    truth: str
    predicted: str


@dataclass(frozen=True)
class Finished:
    """The test predictions of one run."""

    folder: Path
    model: str
    views: Mapping[Cell, View]
    clips: Mapping[Cell, Mapping[str, Mapping[str, Clip]]]
    """Seed to clip to what is said of it; every seed has the same clips with the same truth."""
    command: str = ""
    """What makes it again."""
    warnings: tuple[str, ...] = ()
    recipe: Mapping[str, str] = field(default_factory=dict)
    """Every setting by its dotted name."""
    features: Mapping[str, str] = field(default_factory=dict)
    """Modality to the entries of the cache that it was trained from."""

    def truth(self, cell: Cell) -> dict[str, str]:
        """Return the label of each clip that has one."""
        return {clip: one.truth for clip, one in next(iter(self.clips[cell].values())).items()}

    def judged(self, cell: Cell, clips: list[str]) -> list[Judged]:
        """Return some clips in a given order, once for each seed."""
        found = []
        for rows in self.clips[cell].values():
            chosen = [rows[clip] for clip in clips]
            truth, predicted = (
                np.array([_in_form(self.views[cell], cell[0], getattr(one, key)) for one in chosen])
                for key in ("truth", "predicted")
            )
            speakers = tuple(one.speaker for one in chosen)
            found.append(Judged(cell[0], self.views[cell], tuple(clips), speakers, truth, predicted))
        return found


def read(folder: Path) -> Finished:
    """Read the run in a folder; what is not a finished run of this version is refused."""
    report, predictions = folder / "report.json", folder / "predictions.csv"
    try:
        data = json.loads(report.read_text(encoding="utf-8"))
        model, views = _report(data)
        told = _told(data)
        clips = _predictions(predictions, views)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{folder}: expected a finished run with report.json and predictions.csv, got {_content(folder)}; "
            f"the command that trains it writes both"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise ValueError(
            f"{folder}: expected report.json and predictions.csv as this version writes them, got {error}; "
            f"run its command again"
        ) from None
    return Finished(folder, model, {cell: view for cell, view in views.items() if cell in clips}, clips, **told)


def _report(data: Any) -> tuple[str, dict[Cell, View]]:
    views: dict[Cell, View] = {}
    for task, corpora in data["views"].items():
        for corpus, view in corpora.items():
            if task not in TASKS or view not in MAIN:
                raise ValueError(f"the view {view!r} of a task {task!r}")
            views[task, corpus] = view
    return str(data["model"]), views


def _told(data: Any) -> dict[str, Any]:
    """Return what a report says of how its run was made; what it leaves out is not known."""
    made, warnings = data.get("provenance", {}), data.get("warnings", [])
    if not isinstance(warnings, list):
        raise TypeError(f"the warnings {warnings!r}")
    return {
        "command": str(data.get("command", "")),
        "warnings": tuple(map(str, warnings)),
        "recipe": dict(_leaves(made.get("recipe", {}))),
        "features": {str(modality): str(entries) for modality, entries in made.get("features", {}).items()},
    }


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every setting of nested ones with its dotted name, a text as it is and all else as JSON."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        value = {str(number): one for number, one in enumerate(value)}
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _leaves(one, f"{name}.{key}" if name else key)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _predictions(path: Path, views: Mapping[Cell, View]) -> dict[Cell, dict[str, dict[str, Clip]]]:
    found: dict[Cell, dict[str, dict[str, Clip]]] = {}
    for row in _rows(path):
        cell = row["task"], row["corpus"]
        if row["split"] != "test" or not row["truth"]:
            continue
        if cell not in views:
            raise ValueError(f"predictions of {row['task']!r} on {row['corpus']!r}, which report.json does not have")
        for key in ("truth", "predicted"):
            _in_form(views[cell], row["task"], row[key])
        clips = found.setdefault(cell, {}).setdefault(row["seed"], {})
        if row["clip"] in clips:
            raise ValueError(f"two predictions of test clip {row['clip']!r} by seed {row['seed']}")
        clips[row["clip"]] = Clip(row["speaker"], row["truth"], row["predicted"])
    for (task, corpus), seeds in found.items():
        truths = [{clip: one.truth for clip, one in clips.items()} for clips in seeds.values()]
        if any(truth != truths[0] for truth in truths):
            raise ValueError(f"seeds with other clips or other labels of {task} on {corpus}")
    return found


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if missing := set(COLUMNS) - set(reader.fieldnames or ()):
            raise ValueError(f"no column {', '.join(sorted(missing))}")
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"line {reader.line_num} of another length")
            yield row


def _in_form(view: View, task: str, text: str) -> Any:
    """Return what a cell of the table says, as metrics take it."""
    if view in NUMBERS:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"the score {text!r}")
        return value
    classes, words = TASKS[task].classes, text.split("+")
    neutral = classes[0] if classes[0] == "neutral" else NOBODY
    if not set(words) <= {*classes, neutral}:
        raise ValueError(f"the classes {text!r} of {task}")
    if view == "single":
        return classes.index(words[0])
    return [name in words for name in classes if name != neutral]


def _content(folder: Path) -> str:
    if not folder.is_dir():
        return "no folder"
    return ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "an empty folder"
