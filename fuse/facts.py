"""What every form of a report says of a run: sentences in plain text and rows of tables, in no markup."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fuse import record
from fuse.result import Run
from manifests.labels import TASKS

History = Sequence[Mapping[str, float]]
Rows = tuple[list[str], list[list[str]], int]
"""A header, rows, and how many of the columns are words."""

FOLDS = "The model on test, averaged over seeds; least and greatest are over folds and seeds."
MISSING = "What the model says of the test clips when a modality is taken from all of them."
CLASSES = "On test, in percent; counts are added over folds and seeds."
CONFUSION = "Numbers count clips, added over folds and seeds; colour is the share of the true class."
AS_GIVEN = "The weights were scored as given."
THRESHOLD = "A class counts as there from the threshold on."


def summary(run: Run) -> str:
    """Say in a few sentences what was trained on how much."""
    tasks = " and ".join(f"{task} ({_classes_of(task)})" for task in run.tasks)
    parts = ", ".join(f"{split} {len(lacking(run, split)):,}" for split in run.folds[0].parts)
    folds = f" Folds: {len(run.folds)}." if len(run.folds) > 1 else ""
    took = f", {run.seconds_per_epoch:.2g} seconds an epoch" if run.seconds_per_epoch else ""
    return (
        f"The model {run.model} (recipe {run.recipe}) predicts {tasks} on "
        f"{', '.join(run.corpora)}. {run.parameters:,} numbers were trained{took}. "
        f"Clips: {parts}.{folds} Seeds: {', '.join(str(one.seed) for one in run.folds[0].outcomes)}."
    )


def reading(run: Run) -> str:
    """Say how the score tables are to be read."""
    over = "folds and seeds" if len(run.folds) > 1 else "seeds"
    at = ", at the epoch that was best on dev" if trained(run) else ""
    words = f"""In percent where a score is a share{at}.
± is the sample standard deviation over {over}.
Lines before the model's are floors: what it has to beat. Lines after it are what parts of it say alone."""
    if any(line.interval for line in run.lines):
        at_once = " all folds' clips at once," if len(run.folds) > 1 else ""
        words += f"""
95 % of 1,000 scores lie in the interval, each of test clips drawn with replacement,{at_once} averaged over seeds;
whole speakers are drawn where there are ten or more."""
    return words


def clips(run: Run) -> tuple[str, Rows]:
    """Say what becomes of clips that lack something, and count them."""
    rows = []
    for split in run.folds[0].parts:
        for corpus in run.corpora:
            gaps = np.array(list(lacking(run, split, corpus)))
            if len(gaps):
                counts = (len(gaps), *gaps.sum(axis=0), gaps.all(axis=1).sum())
                rows.append([corpus, split, *(f"{count:,}" for count in counts)])
    modalities = list(next(iter(run.folds[0].parts.values())).missing)
    header = ["corpus", "split", "clips", *(f"without {modality}" for modality in modalities), "without any feature"]
    words = "A missing modality is masked. A clip without any feature is scored as the majority of training: "
    again = " Over all folds; each clip counts once in a split." if len(run.folds) > 1 else ""
    return f"{words}{_usual(run)}.{again}", (header, rows, 2)


def lacking(run: Run, split: str, corpus: str | None = None) -> list[tuple[bool, ...]]:
    """Return for each clip of a split, over all folds, which modalities it lacks."""
    found = {
        (part_corpus, clip): row
        for part in (fold.parts[split] for fold in run.folds)
        for part_corpus, clip, *row in zip(part.corpora, part.ids, *part.missing.values(), strict=True)
    }
    return [tuple(map(bool, row)) for (one, _), row in found.items() if corpus in {None, one}]


def trained(run: Run) -> list[tuple[History, int]]:
    """Return the history and the chosen epoch of every seed and fold that was trained."""
    return [(one.history, one.epoch) for fold in run.folds for one in fold.outcomes if one.history]


def thresholds(run: Run) -> list[str]:
    """Return the tasks of which a share decides whether a class is there."""
    return list(dict.fromkeys(task for fold in run.folds for one in fold.outcomes for task in one.thresholds))


def training(run: Run) -> Rows:
    """Return how far each seed of each fold was trained."""
    tasks, several = thresholds(run), len(run.folds) > 1
    rows = [
        [
            *([fold.name] if several else []),
            *(str(number) for number in (one.seed, len(one.history), one.epoch)),
            *(f"{one.thresholds[task]:.3f}" for task in tasks),
        ]
        for fold in run.folds
        for one in fold.outcomes
    ]
    header = ["seed", "epochs trained", "epoch chosen", *(f"threshold of {task}" for task in tasks)]
    return [*(["fold"] if several else []), *header], rows, int(several)


def provenance(run: Run) -> Rows:
    """Return where the numbers come from."""
    return ["what", "value"], list(_flat(run.provenance)), 2


def _classes_of(task: str) -> str:
    count = len(TASKS[task].classes)
    kinds = {"class": f"{count} classes", "multi": f"{count} classes, several at once", "score": "a score"}
    return kinds[TASKS[task].kind]


def _usual(run: Run) -> str:
    """Say what the majority of training is for each task, and for each fold where they differ."""
    found: dict[str, dict[str, None]] = {}
    for (task, _), view in run.views.items():
        for fold in run.folds:
            one = fold.majority[task]
            usual = record.said(task, view, one.shares[0], None if one.sets is None else one.sets[0])
            found.setdefault(task, {})[str(usual)] = None
    return ", ".join(f"{task} {' or '.join(texts)}" for task, texts in found.items())


def _flat(value: Any, name: str = "") -> Iterator[list[str]]:
    """Yield nested mappings as rows of dotted name and text."""
    if isinstance(value, Mapping) and (value or not name):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        yield [name, ", ".join(map(str, value)) or "none"]
    else:
        yield [name, str(value)]
