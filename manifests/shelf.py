"""Manifests on the disk: written whole, read back exactly, refused by row and column.

A manifest is one JSON-lines file per corpus under `MANIFESTS_ROOT`: a header line, then one `Clip` a line.
"""

import contextlib
import gc
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests import beside
from manifests.clip import Clip, ManifestError, unknown
from manifests.corpora import corpus_names

FORMAT = 1
AGAIN = "write it again with make manifest"


@dataclass(frozen=True)
class Manifest:
    """The clips of one corpus, in order, and the folder their paths start from."""

    corpus: str
    root: Path
    clips: tuple[Clip, ...]
    reader: str = ""
    """The file in `corpora/` that read it, where the manifest has another name."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What was asked of the reader."""
    warnings: tuple[str, ...] = ()
    """What must be known of the whole corpus before a number is believed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reader", self.reader or self.corpus)
        seen: dict[str, int] = {}
        for row, clip in enumerate(self.clips, start=1):
            if clip.corpus != self.corpus:
                raise ManifestError(f"row {row}, column 'corpus': expected {self.corpus!r}, got {clip.corpus!r}")
            if clip.id in seen:
                raise ManifestError(f"row {row}, column 'id': {clip.id!r} already stands in row {seen[clip.id]}")
            seen[clip.id] = row

    @property
    def language(self) -> str:
        """Return what is spoken, where all clips are known to speak one language."""
        spoken = {clip.language for clip in self.clips}
        return spoken.pop() or "" if len(spoken) == 1 else ""


def folder() -> Path:
    """Return where manifests lie: `MANIFESTS_ROOT`, or this package's own folder."""
    return Path(os.environ.get("MANIFESTS_ROOT") or Path(__file__).parent)


def path_of(corpus: str) -> Path:
    """Return the manifest file of a corpus, whose name is never a path to elsewhere."""
    if not re.fullmatch(r"\w[\w.-]*", corpus):
        raise ManifestError(unknown("corpus", corpus, corpus_names()))
    return folder() / f"{corpus}.jsonl"


def write(manifest: Manifest) -> Path:
    """Write a manifest beside its place and rename it there, so that a reader never sees half of one."""
    target = path_of(manifest.corpus)
    target.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "format": FORMAT,
        "corpus": manifest.corpus,
        "root": str(manifest.root),
        "clips": len(manifest.clips),
        "reader": manifest.reader,
        "options": dict(manifest.options),
        "warnings": manifest.warnings,
    }
    rows = [json.dumps(row, ensure_ascii=False) for row in (header, *(clip.to_row() for clip in manifest.clips))]
    beside.replace(target, "\n".join(rows) + "\n")
    return target


def read(corpus: str) -> Manifest:
    """Read the manifest of `corpus` back, exactly as it was written."""
    path = path_of(corpus)
    if not path.is_file():
        if corpus not in corpus_names():
            raise ManifestError(unknown("corpus", corpus, corpus_names()))
        raise ManifestError(
            f"no manifest of {corpus!r} at {path}. Make one: make manifest CORPUS={corpus} ROOT=/where/it/lies"
        )
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path}: expected UTF-8, got byte {error.object[error.start]:#04x} at {error.start}; {AGAIN}"
        ) from None
    header = _header(path, corpus, lines[0])
    with gc_paused():
        clips = tuple(_clip(path, row, line) for row, line in enumerate(lines[1:], start=1) if line)
    if len(clips) != header["clips"]:
        raise ManifestError(f"{path}: the header promises {header['clips']} clips, {len(clips)} follow; {AGAIN}")
    try:
        return Manifest(
            corpus,
            Path(header["root"]),
            clips,
            header.get("reader", ""),
            header.get("options", {}),
            tuple(header.get("warnings", ())),
        )
    except ManifestError as error:
        raise ManifestError(f"{path}, {error}") from None


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """Look for no garbage: among the objects of a large corpus, which all stay, that takes as long as making them."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()


def _header(path: Path, corpus: str, line: str) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or {"format", "corpus", "root", "clips"} - header.keys():
        raise ManifestError(f"{path}, line 1: expected a manifest header, got {line[:80]!r}; {AGAIN}")
    if not isinstance(header["root"], str):
        raise ManifestError(f"{path}, line 1, column 'root': expected a folder, got {header['root']!r}; {AGAIN}")
    for column, shape in (("reader", str), ("options", dict), ("warnings", list)):
        if not isinstance(header.get(column, shape()), shape):
            raise ManifestError(f"{path}, line 1, column {column!r}: not as written, got {header[column]!r}; {AGAIN}")
    for column, texts in (("options", header.get("options", {}).values()), ("warnings", header.get("warnings", []))):
        if not all(isinstance(text, str) for text in texts):
            raise ManifestError(f"{path}, line 1, column {column!r}: expected texts, got {header[column]!r}; {AGAIN}")
    if (header["format"], header["corpus"]) != (FORMAT, corpus):
        raise ManifestError(
            f"{path}, line 1: expected format {FORMAT} of {corpus!r}, "
            f"got {header['format']} of {header['corpus']!r}; {AGAIN}"
        )
    return header


def _clip(path: Path, row: int, line: str) -> Clip:
    try:
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError(f"expected an object, got {line[:80]!r}")
        return Clip.from_row(values)
    except json.JSONDecodeError as error:
        raise ManifestError(f"{path}, row {row}, column {error.colno}: not JSON: {error.msg}") from None
    except (ValueError, TypeError) as error:
        raise ManifestError(f"{path}, row {row}, {error}") from None
