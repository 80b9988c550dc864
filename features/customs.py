"""Import and export as one asks for them: options become those of a format, and labels come from a table."""

import argparse
import csv
import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from features.disk import beside, make_folder
from features.entries import entries, find
from features.exchange import Chosen
from features.imported import Import, digest_of, store
from features.labels import table
from features.reader import Reader
from features.roots import CacheError, corpus_folder


def bring(asked: argparse.Namespace) -> Iterator[str]:
    """Make entries of another tool's features, and say which."""
    if not asked.source.exists():
        raise CacheError(f"{asked.source} is not there")
    corpus_folder(asked.corpus)
    made = _format(asked.format)
    options = _options(made.read, asked.set, asked.format)
    if asked.labels_out and not hasattr(made, "labels"):
        raise CacheError(f"files of {asked.format} hold no labels; leave --labels-out away")
    job = Import(
        asked.corpus,
        asked.format,
        asked.source,
        _pairs(asked.names, "FEATURE=NAME"),
        _deciding(made, options),
        asked.dtype,
        asked.zeros,
        {"corpus_licence": asked.corpus_licence, "corpus_shares": _plain(asked.shares)},
        asked.licence,
        asked.holds,
        _known(asked, made, options),
    )
    for folder, clips in store(job, made.read(asked.source, **options)).items():
        yield f"{clips} clips in {folder}"
    if asked.labels_out:
        rows = _write_table(asked.labels_out, made.labels(asked.source, **options))
        yield f"{rows} rows of labels in {asked.labels_out}"
        where = f'ROOT={asked.labels_out.parent} NAME={asked.corpus} SET="table={asked.labels_out.name}"'
        yield f"read them with: make manifest CORPUS=folder {where}"


def _deciding(made: ModuleType, options: Mapping[str, str]) -> dict[str, str]:
    """Return the options that decide a number, as an entry's key shall have them: of a file its content."""
    kept = {name: value for name, value in options.items() if name not in getattr(made, "IDLE", ())}
    return {name: digest_of(Path(value)) if Path(value).is_file() else value for name, value in kept.items()}


def _known(asked: argparse.Namespace, made: ModuleType, options: Mapping[str, str]) -> dict[str, object]:
    bibtex = {"encoder": asked.bibtex.read_text(encoding="utf-8")} if asked.bibtex else {}
    said = made.said(asked.source, **options) if hasattr(made, "said") else {}
    known = {"encoder_licence": asked.licence, "note": asked.note, "said": said, "bibtex": bibtex}
    return {name: value for name, value in known.items() if value}


def send(asked: argparse.Namespace) -> Iterator[str]:
    """Write features for another tool, and say where."""
    made = _format(asked.format)
    options = _options(made.write, asked.set, asked.format)
    named = _pairs([each if "=" in each else f"{each}={each}" for each in asked.entries], "NAME=ENTRY")
    folders = _folders(asked.corpus, named)
    rows = table(asked.labels) if asked.labels else {}
    readers = {name: Reader(folder) for name, folder in folders.items()}
    held = dict.fromkeys(clip for reader in readers.values() for clip in reader)
    clips = [clip for clip in rows if clip in held] if rows else list(held)
    if not clips:
        raise CacheError(f"none of the {len(rows)} clips of {asked.labels} has features in {', '.join(folders)}")
    made.write(asked.target, Chosen(asked.corpus, readers, clips, rows, asked.how), **options)
    for reader in readers.values():
        reader.close()
    yield f"{len(clips)} clips of {', '.join(folders)} in {asked.target}"
    left = len(held) - len(clips)
    if left:
        yield f"{left} clips with features do not stand in {asked.labels}, and were left out"


def _folders(corpus: str, named: Mapping[str, str]) -> dict[str, Path]:
    there = {folder.name: folder for folder in entries(corpus)}
    if not named:
        return {folder.rpartition("-")[0]: find(corpus, folder.rpartition("-")[0]) for folder in there}
    return {name: there.get(entry) or find(corpus, entry) for name, entry in named.items()}


def _write_table(path: Path, rows: Iterable[Mapping[str, str]]) -> int:
    every = list(rows)
    columns = list(dict.fromkeys(name for row in every for name in row))
    make_folder(path.parent)
    with beside(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(every)
    return len(every)


def _format(name: str) -> ModuleType:
    return import_module(f"features.{name}")


def _pairs(given: Sequence[str], shape: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals and value):
            raise CacheError(f"expected {shape}, got {each!r}")
        found[name] = value
    return found


def _options(function: Callable[..., Any], given: Sequence[str], name: str) -> dict[str, str]:
    """Return what was set, if the function of a format takes it."""
    takes = [each.name for each in inspect.signature(function).parameters.values() if each.kind is each.KEYWORD_ONLY]
    found = _pairs(given, "OPTION=VALUE")
    for option in found:
        if option not in takes:
            near = difflib.get_close_matches(option, takes, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise CacheError(f"{name} has no option {option!r}{hint} (it has: {', '.join(takes) or 'none'})")
    return found


def _plain(shares: str) -> str:
    return ",".join(shares.replace(",", " ").split())
