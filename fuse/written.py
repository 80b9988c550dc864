"""Files that are made of several runs: what they are called, how they are put there, and where they lead."""

import hashlib
import os
import re
from pathlib import Path

from features.disk import beside, make_folder
from fuse import done
from fuse.compare import Comparison
from fuse.pages import of_comparison, page

LONGEST = 80
REPORT = "report.html"


def comparison(found: Comparison, out: Path | None) -> Path:
    """Write the page of a comparison, if nothing else is said below `RUNS_ROOT`, and return where it is."""
    folders = [run.folder.resolve() for run in found.runs]
    digest = hashlib.sha256("\n".join(map(str, folders)).encode(errors="surrogateescape")).hexdigest()[:8]
    name = f"{file_name('+'.join(run.model for run in found.runs))}-{digest}.html"
    path = done.root() / "comparisons" / name if out is None else out / name if out.is_dir() else out
    return put(path, of_comparison.html(found, [to_report(folder, path.parent) for folder in folders]))


def file_name(words: str) -> str:
    """Return words as the name of a file, whatever they are."""
    return re.sub(r"[^\w.+-]", "_", words).lstrip(".")[:LONGEST] or "_"


def put(path: Path, words: str) -> Path:
    """Write a text beside its place, then rename."""
    make_folder(path.parent)
    with beside(path) as temporary:
        temporary.write_text(words, encoding="utf-8", errors="replace")
    return path


def to_report(run: Path, place: Path) -> str:
    """Return how a file that lies in the folder `place` leads to the report of a run; nothing where it is too far.

    Both move together where the run lies beside or below something that the file lies in.
    """
    run, place = run.resolve(), place.resolve()
    if run.parent not in (place, *place.parents) or run.parent == Path(run.anchor) or not (run / REPORT).is_file():
        return ""
    return page.address(os.path.relpath(run / REPORT, place).replace(os.sep, "/"))
