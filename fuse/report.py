"""A run, written so that a colleague can read it without us: `report.md`, `report.json`, `predictions.csv`, pictures.

Nothing is read from anywhere else, so the same run gives the same report.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fuse import markdown, pictures, record, score_tables
from fuse.markdown import escape
from fuse.pictures import Counts
from fuse.result import Run, confusion
from manifests.labels import TASKS


def table(run: Run) -> str:
    """Return the scores as Markdown tables that are also aligned for a terminal."""
    return score_tables.scores(run.lines)


def write(run: Run, folder: Path) -> Path:
    """Write every file of the report beside its place, then rename; return `report.md`, which comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{run.model} on {', '.join(run.corpora)}"
    for task in _pictured(run):
        picture = pictures.confusion(f"{title}: {task}", _panels(run, task), TASKS[task].classes)
        _put(folder / f"confusion_{task}.png", picture)
    if _trained(run):
        _put(folder / "curves.png", pictures.curves(title, _trained(run)))
    _put(folder / "predictions.csv", record.predictions(run).encode())
    _put(folder / "report.json", (json.dumps(record.numbers(run), indent=2, ensure_ascii=False) + "\n").encode())
    return _put(folder / "report.md", text(run).encode())


def _pictured(run: Run) -> list[str]:
    """Return the tasks of which each clip has one class, somewhere."""
    return list(dict.fromkeys(task for task, corpus, _ in run.scored if run.views[task, corpus] == "single"))


def _panels(run: Run, task: str) -> list[dict[str, Counts]]:
    """Name and count one confusion matrix for each split, a row for each corpus."""
    found: dict[str, dict[str, Counts]] = {}
    seeds, folds = len(run.folds[0].outcomes), len(run.folds)
    times = ", ".join(f"{count} {name}" for count, name in ((folds, "folds"), (seeds, "seeds")) if count > 1)
    for line in run.lines:
        if (line.task, line.view, line.role) == (task, "single", "model"):
            name = f"{line.corpus} {line.split}" if len(run.corpora) > 1 else line.split
            label = f"{name}\n{line.clips:,} clips{f', {times} added' if times else ''}"
            found.setdefault(line.corpus, {})[label] = confusion(run, task, line.corpus, line.split)
    return list(found.values())


def text(run: Run) -> str:
    """Return what `report.md` says."""
    sections = (
        f"# {escape(run.model)} on {escape(', '.join(run.corpora))}",
        *(f"> **Note:** {escape(warning)}" for warning in run.warnings),
        _summary(run),
        f"## Scores\n\n{_reading(run)}\n\n{_scores(run)}",
        *_folds(run),
        *_missing(run),
        f"## Clips\n\n{_clips(run)}",
        *_classes(run),
        *_confusion(run),
        f"## Training\n\n{_training(run)}",
        f"## Provenance\n\n{markdown.table(['what', 'value'], list(_flat(run.provenance)), words=2)}",
        f"## Again\n\n    {' '.join(run.command.split())}",
        "Every prediction is in [predictions.csv](predictions.csv), every number in [report.json](report.json).",
    )
    return "\n\n".join(sections) + "\n"


def _summary(run: Run) -> str:
    tasks = " and ".join(f"{escape(task)} ({_classes_of(task)})" for task in run.tasks)
    parts = ", ".join(f"{escape(split)} {len(_lacking(run, split)):,}" for split in run.folds[0].parts)
    folds = f" Folds: {len(run.folds)}." if len(run.folds) > 1 else ""
    return (
        f"The model {escape(run.model)} (recipe {escape(run.recipe)}) predicts {tasks} on "
        f"{escape(', '.join(run.corpora))}. {run.parameters:,} numbers were trained{_took(run)}. "
        f"Clips: {parts}.{folds} Seeds: {', '.join(str(one.seed) for one in run.folds[0].outcomes)}."
    )


def _took(run: Run) -> str:
    return f", {run.seconds_per_epoch:.2g} seconds an epoch" if run.seconds_per_epoch else ""


def _classes_of(task: str) -> str:
    count = len(TASKS[task].classes)
    kinds = {"class": f"{count} classes", "multi": f"{count} classes, several at once", "score": "a score"}
    return kinds[TASKS[task].kind]


def _scores(run: Run) -> str:
    return score_tables.scores([line for line in run.lines if line.role != "ablation"])


def _reading(run: Run) -> str:
    """Say how the score tables are to be read."""
    over = "folds and seeds" if len(run.folds) > 1 else "seeds"
    at = ", at the epoch that was best on dev" if _trained(run) else ""
    words = f"""In percent where a score is a share{at}.
± is the sample standard deviation over {over}.
Lines before the model's are floors: what it has to beat. Lines after it are what parts of it say alone."""
    if any(line.interval for line in run.lines):
        at_once = " all folds' clips at once," if len(run.folds) > 1 else ""
        words += f"""
95 % of 1,000 scores lie in the interval, each of test clips drawn with replacement,{at_once} averaged over seeds;
whole speakers are drawn where there are ten or more."""
    return f"{words}\n\n{score_tables.explained(run.lines)}"


def _folds(run: Run) -> Iterator[str]:
    if len(run.folds) > 1 and (found := score_tables.folds(run.lines)):
        words = "The model on test, averaged over seeds; least and greatest are over folds and seeds."
        yield f"## Folds\n\n{words}\n\n{found}"


def _missing(run: Run) -> Iterator[str]:
    if any(line.role == "ablation" for line in run.lines):
        words = "What the model says of the test clips when a modality is taken from all of them."
        yield f"## Missing modalities\n\n{words}\n\n{score_tables.missing(run.lines)}"


def _clips(run: Run) -> str:
    rows = []
    for split in run.folds[0].parts:
        for corpus in run.corpora:
            lacking = np.array(list(_lacking(run, split, corpus)))
            if len(lacking):
                counts = (len(lacking), *lacking.sum(axis=0), lacking.all(axis=1).sum())
                rows.append([corpus, split, *(f"{count:,}" for count in counts)])
    modalities = list(next(iter(run.folds[0].parts.values())).missing)
    header = ["corpus", "split", "clips", *(f"without {modality}" for modality in modalities), "without any feature"]
    words = "A missing modality is masked. A clip without any feature is scored as the majority of training: "
    again = " Over all folds; each clip counts once in a split." if len(run.folds) > 1 else ""
    return f"{words}{escape(_usual(run))}.{again}\n\n{markdown.table(header, rows, words=2)}"


def _lacking(run: Run, split: str, corpus: str | None = None) -> list[tuple[bool, ...]]:
    """Return for each clip of a split, over all folds, which modalities it lacks."""
    found = {
        (part_corpus, clip): row
        for part in (fold.parts[split] for fold in run.folds)
        for part_corpus, clip, *row in zip(part.corpora, part.ids, *part.missing.values(), strict=True)
    }
    return [tuple(map(bool, row)) for (one, _), row in found.items() if corpus in {None, one}]


def _usual(run: Run) -> str:
    """Say what the majority of training is for each task, and for each fold where they differ."""
    found: dict[str, dict[str, None]] = {}
    for (task, _), view in run.views.items():
        for fold in run.folds:
            one = fold.majority[task]
            usual = record.said(task, view, one.shares[0], None if one.sets is None else one.sets[0])
            found.setdefault(task, {})[str(usual)] = None
    return ", ".join(f"{task} {' or '.join(texts)}" for task, texts in found.items())


def _classes(run: Run) -> Iterator[str]:
    if found := score_tables.classes(run):
        words = "On test, in percent; counts are added over folds and seeds."
        yield f"## Classes\n\n{words}\n\n{found}"


def _confusion(run: Run) -> Iterator[str]:
    if tasks := _pictured(run):
        words = "Numbers count clips, added over folds and seeds; colour is the share of the true class."
        pictured = "\n\n".join(f"![Confusion of {task}](confusion_{task}.png)" for task in tasks)
        yield f"## Confusion\n\n{words}\n\n{pictured}"


def _trained(run: Run) -> list[tuple[pictures.History, int]]:
    return [(one.history, one.epoch) for fold in run.folds for one in fold.outcomes if one.history]


def _training(run: Run) -> str:
    curves = (
        "![Losses and dev scores over epochs](curves.png)" if _trained(run) else "The weights were scored as given."
    )
    outcomes = [(fold.name, one) for fold in run.folds for one in fold.outcomes]
    tasks = list(dict.fromkeys(task for _, one in outcomes for task in one.thresholds))
    rows = [
        [
            *([name] if len(run.folds) > 1 else []),
            *(str(number) for number in (one.seed, len(one.history), one.epoch)),
            *(f"{one.thresholds[task]:.3f}" for task in tasks),
        ]
        for name, one in outcomes
    ]
    fold = ["fold"] if len(run.folds) > 1 else []
    header = [*fold, "seed", "epochs trained", "epoch chosen", *(f"threshold of {task}" for task in tasks)]
    said = "A class counts as there from the threshold on.\n\n" if tasks else ""
    return f"{curves}\n\n{said}{markdown.table(header, rows, words=len(fold))}"


def _flat(value: Any, name: str = "") -> Iterator[list[str]]:
    """Yield nested mappings as rows of dotted name and text."""
    if isinstance(value, Mapping) and (value or not name):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        yield [name, ", ".join(map(str, value)) or "none"]
    else:
        yield [name, str(value)]


def _put(path: Path, data: bytes) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
