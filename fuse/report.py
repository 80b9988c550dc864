"""A run, written so that a colleague can read it without us: `report.md`, `report.json`, `predictions.csv`, pictures.

Nothing is read from anywhere else, so the same run gives the same report.
"""

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuse import metrics, pictures
from fuse.result import Line, Outcome, Part, Run, confusion, lines


def table(run: Run) -> str:
    """Return the scores in percent as a Markdown table that is also aligned for a terminal."""
    rows = [
        [line.task, line.split, line.name, f"{line.clips:,}", *(_percent(line, metric) for metric in metrics.IDS)]
        for line in lines(run)
    ]
    return _table(["task", "split", "line", "clips", *metrics.IDS], rows, words=3)


def write(run: Run, folder: Path) -> Path:
    """Write every file of the report beside its place, then rename; return `report.md`, which comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{run.model} on {', '.join(run.corpora)}"
    for task in run.tasks:
        picture = pictures.confusion(f"{title}: {task}", _panels(run, task), run.classes[task])
        _put(folder / f"confusion_{task}.png", picture)
    histories = {one.seed: one.history for one in run.outcomes}
    _put(folder / "curves.png", pictures.curves(title, histories, {one.seed: one.epoch for one in run.outcomes}))
    _put(folder / "predictions.csv", _predictions(run).encode())
    _put(folder / "report.json", (json.dumps(_numbers(run), indent=2, ensure_ascii=False) + "\n").encode())
    return _put(folder / "report.md", _markdown(run).encode())


def _panels(run: Run, task: str) -> dict[str, NDArray[np.int64]]:
    """Name and count one confusion matrix for each split."""
    found = {}
    for split in (split for one, split in run.scored if one == task):
        counts = confusion(run, task, split)
        added = f", {len(run.outcomes)} seeds added" if len(run.outcomes) > 1 else ""
        found[f"{split}\n{counts.sum() // len(run.outcomes):,} clips{added}"] = counts
    return found


def _predictions(run: Run) -> str:
    """Return one row per seed, task, split and clip; texts are quoted, so that an id like `=1` stays a text."""
    names = dict.fromkeys(name for classes in run.classes.values() for name in classes)
    columns = ("seed", "split", "task", "clip", "truth", "predicted", "no_features", *(f"p_{name}" for name in names))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writeheader()
    for one in run.outcomes:
        for task, split in run.scored:
            writer.writerows(_clip_rows(run, one, task, split))
    return buffer.getvalue()


def _clip_rows(run: Run, outcome: Outcome, task: str, split: str) -> Iterator[dict[str, object]]:
    part, classes = run.parts[split], run.classes[task]
    shares = run.shares(outcome.predictions, task, split)
    for clip, truth, featureless, row in zip(part.ids, part.truth[task], part.featureless, shares, strict=True):
        yield {
            "seed": outcome.seed,
            "split": split,
            "task": task,
            "clip": clip,
            "truth": classes[truth] if truth >= 0 else "",
            "predicted": classes[row.argmax()],
            "no_features": int(featureless),
            **{f"p_{name}": round(float(share), 6) for name, share in zip(classes, row, strict=True)},
        }


def _numbers(run: Run) -> Any:
    """Return the whole report in numbers, as JSON can hold it."""
    scores: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for line in lines(run):
        mean = {metric: line.mean(metric) for metric in metrics.IDS}
        spread = {metric: line.spread(metric) for metric in metrics.IDS}
        row = {"line": line.name, "floor": line.floor, "clips": line.clips, "mean": mean, "spread": spread}
        scores.setdefault(line.task, {}).setdefault(line.split, []).append({**row, "each": line.scores})
    matrices = {
        task: {split: confusion(run, task, split) for one, split in run.scored if one == task} for task in scores
    }
    return _plain(
        {
            "recipe": run.recipe,
            "model": run.model,
            "corpora": run.corpora,
            "warnings": run.warnings,
            "classes": run.classes,
            "parts": {split: _coverage(part) for split, part in run.parts.items()},
            "majority": run.majority,
            "scores": scores,
            "confusion": matrices,
            "seeds": [{"seed": one.seed, "epoch": one.epoch, "history": one.history} for one in run.outcomes],
            "command": run.command,
            "provenance": run.provenance,
        }
    )


def _coverage(part: Part) -> dict[str, Any]:
    missing = {modality: int(mask.sum()) for modality, mask in part.missing.items()}
    return {"clips": len(part.ids), "missing": missing, "featureless": int(part.featureless.sum())}


def _plain(value: Any) -> Any:
    """Return what JSON can hold: numbers that are not finite become null, what is unknown becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def _markdown(run: Run) -> str:
    pictured = "\n\n".join(f"![Confusion of {task}](confusion_{task}.png)" for task in run.tasks)
    sections = (
        f"# {_escape(run.model)} on {_escape(', '.join(run.corpora))}",
        *(f"> **Note:** {_escape(warning)}" for warning in run.warnings),
        _summary(run),
        f"## Scores\n\n{_READING}\n\n{table(run)}",
        f"## Clips\n\n{_clips(run)}",
        f"## Confusion\n\nNumbers count clips, added over seeds; colour is the share of the true class.\n\n{pictured}",
        f"## Training\n\n![Losses and dev scores over epochs](curves.png)\n\n{_epochs(run)}",
        f"## Provenance\n\n{_table(['what', 'value'], list(_flat(run.provenance)), words=2)}",
        f"## Again\n\n    {' '.join(run.command.split())}",
        "Every prediction is in [predictions.csv](predictions.csv), every number in [report.json](report.json).",
    )
    return "\n\n".join(sections) + "\n"


_READING = """In percent, at the epoch that was best on dev; ± is the sample standard deviation over seeds.
`acc` is the share of clips that are right, `wf1` the F1 of the classes averaged by their true clips, `mf1` the plain
average of F1 and `uar` that of recall, both over the classes that occur in the truth.
All lines but the model's are floors: what it has to beat."""


def _summary(run: Run) -> str:
    seeds = ", ".join(str(one.seed) for one in run.outcomes)
    tasks = " and ".join(f"{_escape(task)} ({len(classes)} classes)" for task, classes in run.classes.items())
    parts = ", ".join(f"{_escape(split)} {len(part.ids):,}" for split, part in run.parts.items())
    return (
        f"The model {_escape(run.model)} (recipe {_escape(run.recipe)}) predicts {tasks} on "
        f"{_escape(', '.join(run.corpora))}. Clips: {parts}. Seeds: {seeds}."
    )


def _clips(run: Run) -> str:
    modalities = list(next(iter(run.parts.values())).missing)
    rows = []
    for split, part in run.parts.items():
        found = _coverage(part)
        counts = (found["clips"], *found["missing"].values(), found["featureless"])
        rows.append([split, *(f"{count:,}" for count in counts)])
    header = ["split", "clips", *(f"without {modality}" for modality in modalities), "without any feature"]
    classes = ", ".join(f"{task} {run.classes[task][run.majority[task].argmax()]}" for task in run.classes)
    text = "A missing modality is masked. A clip without any feature is scored as the majority of training: "
    return f"{text}{_escape(classes)}.\n\n{_table(header, rows, words=1)}"


def _epochs(run: Run) -> str:
    rows = [[str(one.seed), str(len(one.history)), str(one.epoch)] for one in run.outcomes]
    return _table(["seed", "epochs trained", "epoch chosen"], rows, words=0)


def _flat(value: Any, name: str = "") -> Iterator[list[str]]:
    """Yield nested mappings as rows of dotted name and text."""
    if isinstance(value, Mapping) and (value or not name):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        yield [name, ", ".join(map(str, value)) or "none"]
    else:
        yield [name, str(value)]


def _percent(line: Line, metric: str) -> str:
    mean, spread = f"{100 * line.mean(metric):.1f}", line.spread(metric)
    if line.floor:
        return mean
    return f"{mean} ± \N{EN DASH}" if spread is None else f"{mean} ± {100 * spread:.1f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """Return a Markdown table whose columns are aligned as text; after `words` columns come numbers."""
    cells = [[_escape(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [
        [
            cell.ljust(width) if i < words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]
    rule = ["-" * width if i < words else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (aligned[0], rule, *aligned[1:]))


def _escape(text: str) -> str:
    """Return text as one line that Markdown shows as it is."""
    return re.sub(r"([\\`*<>\[\]|#])", r"\\\1", " ".join(text.split()))


def _put(path: Path, data: bytes) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
