"""What every form of a report says of a run: sentences in plain text and rows of tables, in no markup."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import manifests
from fuse import record, score_tables
from fuse.result import Run
from manifests.labels import TASKS

History = Sequence[Mapping[str, float]]
Rows = tuple[list[str], list[list[str]], int]
"""A header, rows, and how many of the columns are words."""

FOLDS = "The model on test, averaged over seeds; least and greatest are over folds and seeds."
MISSING = "What the model says of the test clips when a modality is taken from all of them."
THINNED = (
    "What the model says of the test clips while a growing share of the modalities that they have is missing at "
    "random: so many on average, and every clip keeps one. What is missing follows from the clip's id and the "
    "modality's name alone and stays missing at all higher shares, so that seeds, models and runs are asked about the "
    "same gaps."
)
CLASSES = "On test, in percent; counts are added over folds and seeds."
CONFUSION = "Numbers count clips, added over folds and seeds; colour is the share of the true class."
AS_GIVEN = "The weights were scored as given."
BESIDE = (
    "The paper's number stands here where features, model and protocol are the paper's; concat is the plain fusion of "
    "the same features, on the same test clips."
)
UNLAID = (
    "No run of concat, the plain fusion that a model has to beat, has these features, tasks, folds and test clips. "
    "This makes one; the command of this run then writes this report again, with both:"
)
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


def beside(run: Run) -> Rows:
    """Return the model's scores on test, and below each what it is held against."""
    own = {(one.task, one.corpus): one for one in run.lines if (one.role, one.split) == ("model", "test")}
    rows = []
    for (task, corpus), line in own.items():
        near = [one for one in run.beside if (one.task, one.corpus) == (task, corpus)]
        for metric in dict.fromkeys(one.metric for one in near if one.metric in line.scores[0].values):
            mine = shown(metric, line.mean(metric), line.spread(metric))
            rows.append([task, corpus, metric, run.model, "this run", mine])
            rows += [
                [task, corpus, metric, one.name, one.where, shown(metric, one.mean, one.spread)]
                for one in near
                if one.metric == metric
            ]
    return ["task", "corpus", "metric", "what", "where", "score"], rows, 5


def shown(metric: str, mean: float, spread: float | None) -> str:
    """Return a score, with its deviation where it has one."""
    return score_tables.number(metric, mean) if spread is None else score_tables.with_spread(metric, mean, spread)


def sources(run: Run) -> Rows:
    """Return whose features the run is made of."""
    header = ["modality", "entry of the cache", "encoder", "what it does", "licence", "weights", "trained on"]
    rows = [
        [
            *(one.modality, one.entry, one.encoder),
            *(said or score_tables.DASH for said in (one.does, one.licence, one.weights, one.trained_on)),
        ]
        for one in run.sources
    ]
    return header, rows, len(header)


def untold(run: Run) -> str:
    """Name the entries beside which nobody left a word."""
    names = [one.entry for one in run.sources if not one.told]
    return f"No about.json lies beside {', '.join(names)}: whose work they are is not known here." if names else ""


def terms(run: Run) -> list[str]:
    """Say on what terms each corpus may be used, as far as its reader knows."""
    known = [corpus for corpus in run.corpora if corpus in manifests.corpus_names()]
    said = [f"Terms of {corpus}: {manifests.corpus_module(corpus).LICENCE.name}." for corpus in known]
    if unknown := [corpus for corpus in run.corpora if corpus not in known]:
        said.append(f"No reader is named {', '.join(unknown)}; its terms stand in its manifest.")
    return said


def citations(run: Run) -> list[str]:
    """Return what to cite in BibTeX, each once: the corpora, then those whose features these are."""
    known = [corpus for corpus in run.corpora if corpus in manifests.corpus_names()]
    cited = [manifests.corpus_module(corpus).BIBTEX for corpus in known]
    cited += [one.bibtex.get(whose, "") for whose in ("corpus", "encoder") for one in run.sources]
    return list(dict.fromkeys(one.strip() for one in cited if one.strip()))


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
