"""`python -m features`: look at the cache, check it, tidy it."""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from features.entries import entries, key_of
from features.failures import Failure, recorded
from features.reader import Reader
from features.roots import CacheError, corpora, corpus_folder, root
from features.store import Part, discard

STALE_TEMPORARY_S = 24 * 3600


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a cache that cannot be used is a message and exit code 2, never a stack trace."""
    parser = argparse.ArgumentParser(
        prog="python -m features",
        description=f"The feature cache at {root()} (FEATURES_ROOT moves it).",
        epilog="example: python -m features verify meld",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("ls", _ls, "list entries: clips, windows, size, failures, grid, licence"),
        ("show", _show, "print the whole key, provenance and failures of entries"),
        ("verify", _verify, "read every part and compare its digest; exit code 1 when one is damaged"),
        ("gc", _gc, "say what can be freed (unfinished files, duplicate clips); free it with --yes"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("corpus", nargs="?", help="one corpus; all when left out")
        command.add_argument("--entry", help="one entry, by the start of its folder name, such as minilm")
        command.set_defaults(run=run)
        if name == "gc":
            command.add_argument("--yes", action="store_true", help="really delete")
    options = parser.parse_args(arguments)
    try:
        return int(options.run(_chosen(options.corpus, options.entry), options))
    except (CacheError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _chosen(corpus: str | None, entry: str | None) -> list[Path]:
    if corpus and not corpus_folder(corpus).is_dir():
        have = ", ".join(corpora()) or "nothing"
        raise CacheError(f"the cache at {root()} has no corpus {corpus!r}; it has: {have}")
    names = [corpus] if corpus else corpora()
    folders = [folder for name in names for folder in entries(name) if folder.name.startswith(entry or "")]
    if not folders and entry and names:
        have = ", ".join(sorted({folder.name for name in names for folder in entries(name)})) or "nothing"
        raise CacheError(f"no entry of {', '.join(names)} begins with {entry!r}; there are: {have}")
    if not folders:
        raise CacheError(f"nothing cached there yet under {root()}; make features fills it")
    return folders


def _ls(folders: list[Path], _: argparse.Namespace) -> int:
    row = "{:10} {:26} {:>7} {:>8} {:>9} {:>7}  {:24} {}".format
    print(row("corpus", "entry", "clips", "windows", "MB", "failed", "grid", "licence"))
    for folder in folders:
        with Reader(folder) as reader:
            windows = sum(rows.windows for rows in reader.rows.values())
            licence = reader.part(reader.parts[0]).attribute("licence") if reader.parts else ""
            size_mb = f"{_size(folder) / 1e6:.1f}"
            failed = len(_failed(reader))
            print(row(folder.parent.name, folder.name, len(reader), windows, size_mb, failed, reader.key.grid, licence))
    return 0


def _show(folders: list[Path], _: argparse.Namespace) -> int:
    for folder in folders:
        with Reader(folder) as reader:
            print(f"{folder}\n{json.dumps(reader.key.to_json(), indent=2)}")
            made = {reader.part(path).attribute("provenance") for path in reader.parts}
            print(f"{len(reader)} clips in {len(reader.parts)} parts, {_size(folder) / 1e6:.1f} MB, made with:")
            print("\n".join(f"  {line}" for line in sorted(made)))
            for failure in _failed(reader):
                print(f"  failed: {failure.clip} at {failure.stage}, {failure.attempts} x: {failure.reason}")
    return 0


def _verify(folders: list[Path], _: argparse.Namespace) -> int:
    damaged = checked = 0
    for folder in folders:
        key = key_of(folder)
        for path in sorted(folder.glob("part-*.h5")):
            checked += 1
            try:
                with contextlib.suppress(FileNotFoundError), contextlib.closing(Part(path, key)) as part:
                    part.verify()  # one that a running extraction has just replaced is none any more
            except CacheError as error:
                damaged += 1
                print(error)
    print(f"{checked} parts checked, {damaged} damaged")
    return 1 if damaged else 0


def _gc(folders: list[Path], options: argparse.Namespace) -> int:
    freed = 0
    for folder in folders:
        with Reader(folder, alone=True) as reader:
            kept = set(reader.where.values())
            duplicates = sum(len(rows.clips) for rows in reader.rows.values()) - len(kept)
        before = time.time() - STALE_TEMPORARY_S
        old = {path: stat.st_size for path, stat in _files(folder, ".*.tmp").items() if stat.st_mtime < before}
        size = sum(old.values())
        freed += size
        print(f"{folder.name}: {duplicates} duplicate clips, {len(old)} unfinished files of {size / 1e6:.1f} MB")
        if options.yes:
            for path in old:
                path.unlink(missing_ok=True)
            discard(folder, lambda path, row, _clip, _source, kept=kept: (path, row) not in kept)  # type: ignore[misc]
    print(f"{freed / 1e6:.1f} MB of unfinished files " + ("freed" if options.yes else "could be freed: add --yes"))
    return 0


def _failed(reader: Reader) -> list[Failure]:
    """Name the failures of clips that have no features; one that succeeded later is no failure any more."""
    return [failure for clip, failure in recorded(reader.folder).items() if clip not in reader]


def _size(folder: Path) -> int:
    return sum(stat.st_size for stat in _files(folder, "*").values())


def _files(folder: Path, pattern: str) -> dict[Path, os.stat_result]:
    """List files and their state, without those that a running extraction renames meanwhile."""
    files = {}
    for path in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            files[path] = path.stat()
    return files


if __name__ == "__main__":
    sys.exit(main())
