"""A run, written so that a colleague can read it without us: `report.html`, `report.md`, `report.json`, pictures.

Nothing is read from anywhere else, so the same run gives the same report.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from fuse import facts, markdown, pictures, record, score_tables
from fuse.markdown import escape
from fuse.pages import of_run
from fuse.pictures import Counts
from fuse.result import Run, confusion
from manifests.labels import TASKS

FILES = (
    "The same as a page with charts is [report.html](report.html), every prediction is in "
    "[predictions.csv](predictions.csv), every number in [report.json](report.json)."
)


def table(run: Run) -> str:
    """Return the scores as Markdown tables that are also aligned for a terminal."""
    return score_tables.scores([line for line in run.lines if line.role != "thinned"])


def write(run: Run, folder: Path) -> Path:
    """Write every file of the report beside its place, then rename; return `report.md`, which comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{run.model} on {', '.join(run.corpora)}"
    for task in _pictured(run):
        picture = pictures.confusion(f"{title}: {task}", _panels(run, task), TASKS[task].classes)
        _put(folder / f"confusion_{task}.png", picture)
    if trained := facts.trained(run):
        _put(folder / "curves.png", pictures.curves(title, trained))
    _put(folder / "predictions.csv", record.predictions(run).encode())
    _put(folder / "report.json", (json.dumps(record.numbers(run), indent=2, ensure_ascii=False) + "\n").encode())
    _put(folder / "report.html", of_run.html(run).encode())
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
    words, counted = facts.clips(run)
    sections = (
        f"# {escape(run.model)} on {escape(', '.join(run.corpora))}",
        *(f"> **Note:** {escape(warning)}" for warning in run.warnings),
        escape(facts.summary(run)),
        f"## Scores\n\n{facts.reading(run)}\n\n{score_tables.explained(run.lines)}\n\n{_scores(run)}",
        *_beside(run),
        *_folds(run),
        *_missing(run),
        f"## Clips\n\n{escape(words)}\n\n{markdown.table(*counted)}",
        *_classes(run),
        *_confusion(run),
        f"## Training\n\n{_training(run)}",
        f"## Sources\n\n{_sources(run)}",
        f"## Provenance\n\n{markdown.table(*facts.provenance(run))}",
        f"## Again\n\n    {' '.join(run.command.split())}",
        FILES,
    )
    return "\n\n".join(sections) + "\n"


def _scores(run: Run) -> str:
    return score_tables.scores([line for line in run.lines if line.role not in {"ablation", "thinned"}])


def _beside(run: Run) -> Iterator[str]:
    if (found := facts.beside(run))[1]:
        yield f"## Beside others\n\n{facts.BESIDE}\n\n{markdown.table(*found)}"
    if run.plain_by:
        yield f"{facts.UNLAID}\n\n{_fenced(run.plain_by)}"


def _sources(run: Run) -> str:
    said = [escape(words) for words in (*facts.terms(run), facts.untold(run)) if words]
    table = [markdown.table(*facts.sources(run))] if run.sources else []
    cited = [_fenced("\n\n".join(citations), "bibtex")] if (citations := facts.citations(run)) else []
    return "\n\n".join([*table, *said, *cited])


def _fenced(text: str, language: str = "") -> str:
    """Return text that stands as it is, in a fence longer than any that it holds."""
    lines = ("".join(x if x.isprintable() else " " for x in line) for line in text.splitlines())
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return "\n".join([fence + language, *lines, fence])


def _folds(run: Run) -> Iterator[str]:
    if len(run.folds) > 1 and (found := score_tables.folds(run.lines)):
        yield f"## Folds\n\n{facts.FOLDS}\n\n{found}"


def _missing(run: Run) -> Iterator[str]:
    if any(line.role == "ablation" for line in run.lines):
        yield f"## Missing modalities\n\n{facts.MISSING}\n\n{score_tables.missing(run.lines)}"
    if run.rates:
        yield f"## Modalities missing at random\n\n{facts.THINNED}\n\n{score_tables.thinned(run.lines)}"


def _classes(run: Run) -> Iterator[str]:
    if found := score_tables.classes(run):
        yield f"## Classes\n\n{facts.CLASSES}\n\n{found}"


def _confusion(run: Run) -> Iterator[str]:
    if tasks := _pictured(run):
        pictured = "\n\n".join(f"![Confusion of {task}](confusion_{task}.png)" for task in tasks)
        yield f"## Confusion\n\n{facts.CONFUSION}\n\n{pictured}"


def _training(run: Run) -> str:
    curves = "![Losses and dev scores over epochs](curves.png)" if facts.trained(run) else facts.AS_GIVEN
    said = f"{facts.THRESHOLD}\n\n" if facts.thresholds(run) else ""
    return f"{curves}\n\n{said}{markdown.table(*facts.training(run))}"


def _put(path: Path, data: bytes) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
