"""A run for machines: every number of `report.json`, every row of `predictions.csv`."""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuse import embedding
from fuse.judged import NUMBERS, Shares, View
from fuse.lines import Line
from fuse.result import Fold, Outcome, Part, Run, confusion
from manifests.labels import TASKS

COLUMNS = "corpus fold seed split task clip speaker truth predicted no_features".split()
NOBODY = "none"
"""What is written for a set without any class of a task that has no neutral one."""
DECIMALS = 6


def numbers(run: Run) -> dict[str, Any]:
    """Return the whole report in numbers, as JSON can hold it."""
    scores: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {}
    for line in run.lines:
        of_task = scores.setdefault(line.task, {}).setdefault(line.corpus, {})
        of_task.setdefault(line.split, []).append({**_line(line), **_rate(run, line)})
    matrices: dict[str, dict[str, dict[str, Any]]] = {}
    for task, corpus, split in run.scored:
        if run.views[task, corpus] == "single":
            matrices.setdefault(task, {}).setdefault(corpus, {})[split] = confusion(run, task, corpus, split)
    found: dict[str, Any] = _plain(
        {
            "recipe": run.recipe,
            "model": run.model,
            "parameters": run.parameters,
            "seconds_per_epoch": run.seconds_per_epoch,
            "corpora": run.corpora,
            "warnings": run.warnings,
            "classes": {task: TASKS[task].classes for task in run.tasks},
            "views": {task: {c: view for (t, c), view in run.views.items() if t == task} for task in run.tasks},
            "scores": scores,
            "confusion": matrices,
            "beside": [asdict(one) for one in run.beside],
            "plain_by": run.plain_by,
            "map": _map(run),
            "folds": [_fold(fold) for fold in run.folds],
            "command": run.command,
            "sources": [asdict(one) for one in run.sources],
            "provenance": run.provenance,
        }
    )
    return found


def predictions(run: Run) -> str:
    """Return one row per fold, seed, task, split and clip; texts are quoted, so that an id like `=1` stays a text."""
    names = dict.fromkeys(name for task in run.tasks if TASKS[task].kind != "score" for name in TASKS[task].classes)
    header = [*COLUMNS, *(f"p_{name}" for name in names)]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, restval="", quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writeheader()
    for fold in run.folds:
        for outcome in fold.outcomes:
            for task in run.tasks:
                for split in run.splits:
                    writer.writerows(_clips(run, fold, outcome, task, split))
    return buffer.getvalue()


def counts(part: Part, corpus: str) -> dict[str, Any]:
    """Return how many clips of a corpus there are, and how many of them lack each modality, and all."""
    own = np.array([one == corpus for one in part.corpora], dtype=np.bool_)
    missing = {modality: int((mask & own).sum()) for modality, mask in part.missing.items()}
    return {"clips": int(own.sum()), "missing": missing, "featureless": int((part.featureless & own).sum())}


def said(task: str, view: View, shares: Shares, there: NDArray[np.bool_] | None) -> str | float:
    """Return what is said of one clip: its score, its class, or the classes that are there, joined with `+`."""
    classes = TASKS[task].classes
    if view in NUMBERS:
        return round(float(shares[0]), DECIMALS)
    if view == "single" or there is None:
        return classes[shares.argmax()]
    members = classes[-len(there) :]
    nobody = NOBODY if len(members) == len(classes) else classes[0]
    return "+".join(name for name, one in zip(members, there, strict=True) if one) or nobody


def _line(line: Line) -> dict[str, Any]:
    metrics = list(line.scores[0].values)
    low_high = {metric: line.extremes(metric) for metric in metrics}
    return {
        "line": line.name,
        "role": line.role,
        "view": line.view,
        "clips": line.clips,
        "mean": {metric: line.mean(metric) for metric in metrics},
        "spread": {metric: line.spread(metric) for metric in metrics},
        "min": {metric: low for metric, (low, _) in low_high.items()},
        "max": {metric: high for metric, (_, high) in low_high.items()},
        "each": [{"fold": one.fold, "seed": one.seed, **one.values} for one in line.scores],
        "pooled": line.pooled,
        "interval": line.interval and {"metric": line.main, "level": 0.95, **asdict(line.interval)},
    }


def _rate(run: Run, line: Line) -> dict[str, float]:
    return {"missing": run.rates[line.name]} if line.role == "thinned" else {}


def _map(run: Run) -> dict[str, Any] | None:
    """Return where clips lie in the plane, and how often neighbours share a class."""
    drawn, fold = embedding.of(run), run.folds[0]
    if drawn is None or drawn.spoilt:
        return None
    part = fold.parts["test"]
    found = {task: drawn.nearest(classes) for task, classes in embedding.classes(run).items()}
    return {
        "fold": fold.name,
        "seed": fold.outcomes[0].seed,
        "how": drawn.how,
        "clips": [
            {"corpus": part.corpora[i], "clip": part.ids[i], "x": round(x, 3), "y": round(y, 3)}
            for i, (x, y) in zip(drawn.rows, drawn.points.tolist(), strict=True)
        ],
        "nearest": {task: asdict(one) for task, one in found.items() if one},
    }


def _fold(fold: Fold) -> dict[str, Any]:
    seeds = [
        {"seed": one.seed, "epoch": one.epoch, "thresholds": one.thresholds, "history": one.history}
        for one in fold.outcomes
    ]
    parts = {
        split: {corpus: counts(part, corpus) for corpus in dict.fromkeys(part.corpora)}
        for split, part in fold.parts.items()
    }
    majority = {task: one.shares[0] for task, one in fold.majority.items()}
    return {"name": fold.name, "parts": parts, "majority": majority, "seeds": seeds}


def _clips(run: Run, fold: Fold, outcome: Outcome, task: str, split: str) -> Iterator[dict[str, object]]:
    part, counted = fold.parts[split], fold.counted(outcome.predictions, split, task)
    scored = {corpus for one, corpus, where in run.scored if (one, where) == (task, split)}
    for i, corpus in enumerate(part.corpora):
        if corpus not in scored:
            continue
        shares, sets, label = counted.shares[i], counted.sets, part.truth[task][i]
        yield {
            "corpus": corpus,
            "fold": fold.name,
            "seed": outcome.seed,
            "split": split,
            "task": task,
            "clip": part.ids[i],
            "speaker": part.speakers[i],
            "truth": "" if np.isnan(label).any() else truth(task, label),
            "predicted": said(task, run.views[task, corpus], shares, None if sets is None else sets[i]),
            "no_features": int(part.featureless[i]),
            **_shares(task, shares),
        }


def truth(task: str, label: Shares) -> str | float:
    """Return every class that has a share, the greatest first, so that the first is the one that is scored alone."""
    if TASKS[task].kind == "score":
        return round(float(label[0]), DECIMALS)
    order = np.argsort(-label, kind="stable")
    return "+".join(TASKS[task].classes[i] for i in order if label[i] > 0) or NOBODY


def _shares(task: str, shares: Shares) -> dict[str, float]:
    if TASKS[task].kind == "score":
        return {}
    return {f"p_{name}": round(float(x), DECIMALS) for name, x in zip(TASKS[task].classes, shares, strict=True)}


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
