"""What a run is held against: the number that the paper prints, and the plain fusion that every model must beat.

The paper's number stands beside a run only where features, model and protocol are the paper's. The plain fusion is a
finished run of `concat` on the same features, tasks and test clips; where there is none, what to type for one is said.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import Any

from fuse import finished, record, score_tables
from fuse.judged import MAIN
from fuse.recipe import Recipe, Table, load, table
from fuse.result import Beside, Run

PLAIN = "concat"
PAPER = "the paper"
HEAD_BYTES = 4096
"""Within so much, `report.json` names its model."""
DIVIDED = ("protocol", "group_by", "folds", "only_folds", "unseen_classes", "test_without", "without")
"""Keys of a recipe that decide which clips are trained on and what is asked of which."""
PUBLISHED = ("model", "config", "used", *DIVIDED)
"""Keys in which a row must be as published to stand beside its paper."""


def laid(run: Run, recipe: Recipe, of: Table, folder: Path) -> Run:
    """Return a run that lies in `folder` with what it is held against."""
    printed = tuple(_printed(run, recipe, of))
    if run.model == PLAIN or not _cells(run):
        return replace(run, beside=printed)
    plain = _plain(run, recipe, folder.parent)
    return replace(run, beside=(*plain, *printed), plain_by="" if plain else command(recipe))


def command(recipe: Recipe) -> str:
    """Return what to type for a run of the plain fusion that may stand beside runs of a recipe."""
    usual = load(PLAIN, corpora=list(recipe.corpora))
    simple = {modality: wheres[0] for modality, wheres in recipe.used.items() if len(wheres) == 1}
    named = {modality: where["encoder"] for modality, where in simple.items() if len(where) == 1}
    told = {m: wheres for m, wheres in recipe.used.items() if m not in named and wheres != usual.encoders.get(m)}
    settings = [f"encoders.{modality}={_toml(wheres)}" for modality, wheres in told.items()]
    if tuple(recipe.used) != tuple(usual.used):
        settings.append(f"modalities={','.join(recipe.used)}")
    asked = {name: getattr(recipe, name) for name in ("tasks", *DIVIDED)}
    settings += [f"{name}={_word(value)}" for name, value in asked.items() if value != getattr(usual, name)]
    settings += ["data.random_weights=true"] if recipe.data.random_weights else []
    said = {
        "MODEL": PLAIN,
        "CORPUS": ",".join(recipe.corpora),
        "ENCODERS": " ".join(f"{modality}={encoder}" for modality, encoder in named.items()),
        "SEEDS": str(recipe.seeds),
        "SET": " ".join(settings),
    }
    words = [f"{name}={shlex.quote(value.replace('$', '$$'))}" for name, value in said.items() if value]
    return " ".join(["make fuse", *words])


def _word(value: object) -> str:
    several = value if isinstance(value, tuple) else (value,)
    return ",".join(str(one).lower() if isinstance(one, bool) else str(one) for one in several)


def _toml(wheres: Sequence[Mapping[str, str]]) -> str:
    """Write entries of the cache so that no space divides them."""
    each = (",".join(f"{json.dumps(name)}={json.dumps(value)}" for name, value in one.items()) for one in wheres)
    return f"[{','.join(f'{{{one}}}' for one in each)}]"


def _printed(run: Run, recipe: Recipe, of: Table) -> Iterator[Beside]:
    """Yield what the paper prints of what was scored here as the paper did."""
    if not of.paper.get(recipe.name) or of.notes or recipe.data.random_weights:
        return
    published = next((row for row in table(of.name).rows if row.name == recipe.name), None)
    if published is None or any(getattr(published, name) != getattr(recipe, name) for name in PUBLISHED):
        return
    where = f"row {recipe.name.removeprefix(f'{of.name}-')} of {of.name}"
    if recipe.corpora != published.corpora:
        where += f", trained on {', '.join(published.corpora)}"
    scored = {(task, corpus): run.views[task, corpus] for task, corpus, split in run.scored if split == "test"}
    for column, value in of.paper[recipe.name].items():
        corpus, task, metric = column.split("/")
        if (task, corpus) in scored:
            mean = value if metric in score_tables.NOT_SHARES else value / 100
            yield Beside(PAPER, corpus, task, metric, mean, where=where)


def _plain(run: Run, recipe: Recipe, runs: Path) -> tuple[Beside, ...]:
    """Return the scores of the newest run of the plain fusion that may stand beside; what is broken is passed over."""
    for report in _candidates(runs, recipe.corpora):
        try:
            data = json.loads(report.read_text(encoding="utf-8"))
            if _alike(data, run, recipe) and _same_clips(report.parent, run):
                return tuple(_scores(data, run, report.parent.name))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError):
            continue
    return ()


def _candidates(runs: Path, corpora: Sequence[str]) -> list[Path]:
    """Return the reports of the plain fusion on these corpora, the newest first; the others are hardly opened."""
    found = []
    for report in runs.glob(f"[!.]*-{escape('+'.join(corpora))}-*/report.json"):
        try:
            if report.is_file() and _names_plain(report):
                found.append((report.stat().st_mtime_ns, report))
        except OSError:
            continue
    return [report for _, report in sorted(found, reverse=True)]


def _names_plain(report: Path) -> bool:
    with report.open("rb") as file:
        return json.dumps({"model": PLAIN})[1:-1].encode() in file.read(HEAD_BYTES)


def _alike(data: Any, run: Run, recipe: Recipe) -> bool:
    """Tell whether a report is of the plain fusion on the same features, divided and scored the same way."""
    made = data["provenance"]
    cells = {
        (task, corpus, data["views"][task][corpus])
        for task, corpora in data["scores"].items()
        for corpus, splits in corpora.items()
        if "test" in splits
    }
    return (
        (data["model"], data["corpora"]) == (PLAIN, list(run.corpora))
        and made["features"] == run.provenance["features"]
        and all(made["recipe"][name] == json.loads(json.dumps(getattr(recipe, name))) for name in DIVIDED)
        and cells == {(task, corpus, run.views[task, corpus]) for task, corpus in _cells(run)}
    )


def _same_clips(folder: Path, run: Run) -> bool:
    theirs = finished.read(folder)
    return all(theirs.truth(cell) == _truths(run, *cell) for cell in _cells(run))


def _truths(run: Run, task: str, corpus: str) -> dict[str, str]:
    """Return the label of each test clip that has one, as a run's files tell it."""
    parts = [fold.parts["test"] for fold in run.folds]
    return {
        part.ids[i]: str(record.truth(task, part.truth[task][i]))
        for part in parts
        for i in part.known(task, corpus).nonzero()[0]
    }


def _cells(run: Run) -> list[tuple[str, str]]:
    return [(task, corpus) for task, corpus, split in run.scored if split == "test"]


def _scores(data: Any, run: Run, name: str) -> Iterator[Beside]:
    for task, corpus in _cells(run):
        metric = MAIN[run.views[task, corpus]]
        (line,) = [one for one in data["scores"][task][corpus]["test"] if one["role"] == "model"]
        mean, spread = line["mean"][metric], line["spread"][metric]
        known = float("nan") if mean is None else float(mean)
        yield Beside(PLAIN, corpus, task, metric, known, None if spread is None else float(spread), name)
