"""The runs that are finished, as the page of a cache lists them."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import manifests
from fuse import score_tables
from fuse.judged import MAIN
from fuse.pages import page
from manifests import ManifestError
from manifests.licence import may_share

REPORT = "report.html"


@dataclass(frozen=True)
class Ran:
    """One finished run."""

    folder: Path
    model: str
    corpora: tuple[str, ...]
    scores: tuple[tuple[str, str, str, str], ...]
    """Corpus, task, the metric that it is judged by, and what the model scored on test."""
    parameters: int

    @property
    def name(self) -> str:
        """Return what the run is called."""
        return self.folder.name


def root() -> Path:
    """Return where runs go: `RUNS_ROOT`, or `.runs`."""
    return Path(os.environ.get("RUNS_ROOT") or ".runs")


def read(root: Path) -> list[Ran]:
    """Return every run that is finished; a folder that holds none, or a broken one, is passed over."""
    return sorted(_read(root), key=lambda ran: (ran.corpora, ran.name)) if root.is_dir() else []


def shown(ran: Ran) -> str:
    """Return the report of a run if it may be shown to anybody, for it names clips and their labels.

    One that was not written by this version is not shown: what a browser would run of it, nobody knows.
    """
    try:
        report = (ran.folder / REPORT).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return report if page.is_ours(report) and _labels_may_leave(ran) else ""


def _labels_may_leave(ran: Ran) -> bool:
    try:
        tags = {clip.licence for corpus in ran.corpora for clip in manifests.read(corpus).clips}
    except ManifestError:
        return False
    return all(may_share(tag, "labels") for tag in tags)


def _read(root: Path) -> Iterator[Ran]:
    for report in root.glob("*/report.json"):
        try:
            yield _ran(report.parent, json.loads(report.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue


def _ran(folder: Path, data: Any) -> Ran:
    scores = []
    for task, corpora in data["scores"].items():
        for corpus, splits in corpora.items():
            scores += [(corpus, task, *_score(line)) for line in splits.get("test", ()) if line["role"] == "model"]
    return Ran(folder, str(data["model"]), tuple(map(str, data["corpora"])), tuple(scores), int(data["parameters"]))


def _score(line: Any) -> Sequence[str]:
    metric = MAIN[line["view"]]
    mean, spread = line["mean"][metric], line["spread"][metric]
    known = math.nan if mean is None else float(mean)
    return metric, score_tables.with_spread(metric, known, None if spread is None else float(spread))
