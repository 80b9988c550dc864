"""What a cache holds, as lines for people."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from os import stat_result
from pathlib import Path

from features import about, words
from features.entries import fields, key_of
from features.failures import Failure, recorded
from features.reader import Reader
from features.roots import CacheError, copies


def ls(folders: Sequence[Path]) -> Iterator[str]:
    """List entries: clips, windows, size, failures, grid, licence."""
    row = "{:10} {:26} {:>7} {:>8} {:>9} {:>7}  {:24} {}".format
    yield row("corpus", "entry", "clips", "windows", "MB", "failed", "grid", "licence")
    for folder in folders:
        with Reader(folder) as reader:
            windows = sum(rows.windows for rows in reader.rows.values())
            licence = reader.part(reader.parts[0]).attribute("licence") if reader.parts else ""
            size_mb = f"{sum(map(size, reader.folders)) / 1e6:.1f}"
            failed, corpus = len(_failed(reader)), folder.parent.name
            yield words.plain(row(corpus, folder.name, len(reader), windows, size_mb, failed, reader.key.grid, licence))


def show(folders: Sequence[Path]) -> Iterator[str]:
    """Tell how entries were made: in words, the whole key, whose work it is, the command that makes it again."""
    for folder in folders:
        with Reader(folder) as reader:
            made = Counter(json.dumps(reader.part(path).provenance, sort_keys=True) for path in reader.parts)
            told = about.known(folder)
            usual = json.loads(made.most_common(1)[0][0]) if made else {}
            yield from (str(each) for each in reader.folders)
            yield f"\n{words.methods(reader.key, told, usual)}\n"
            yield from _terms(usual)
            if line := words.command(reader.key, told):
                yield f"made again by: {line}\n"
            if cite := words.cited(told):
                yield f"{cite}\n"
            yield json.dumps(reader.key.to_json(), indent=2)
            megabytes = sum(map(size, reader.folders)) / 1e6
            yield f"{len(reader)} clips in {len(reader.parts)} parts, {megabytes:.1f} MB, made with:"
            yield from (f"  {words.plain(line)}" for line in sorted(made))
            for failure in _failed(reader):
                said = f"{failure.clip} at {failure.stage}, {failure.attempts} x: {failure.reason}"
                yield f"  failed: {words.plain(said)}"


def _terms(provenance: Mapping[str, str]) -> Iterator[str]:
    if "corpus_licence" in provenance:
        leave = provenance.get("corpus_shares", "").replace(",", ", ") or "nothing"
        yield words.plain(f"terms of the corpus: {provenance['corpus_licence']}; may leave under them: {leave}")


def du(folders: Sequence[Path]) -> Iterator[str]:
    """Tell the size of every entry in every cache, the largest first, and of all."""
    sizes = {each: size(each) for folder in folders for each in copies(folder)}
    for folder, nbytes in sorted(sizes.items(), key=lambda item: -item[1]):
        yield f"{nbytes / 1e6:12.1f} MB  {folder}"
    yield f"{sum(sizes.values()) / 1e6:12.1f} MB  in {len(sizes)} entries"


def diff(one: Path, other: Path) -> Iterator[str]:
    """Name the parts of two keys that differ; nothing where they are alike."""
    mine, theirs = fields(key_of(one)), fields(key_of(other))
    wide = max(map(len, (*mine, *theirs)))
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            values = (each.get(name, "(absent)") or "(empty)" for each in (mine, theirs))
            yield words.plain(f"{name:{wide}}  {'  |  '.join(values)}")


def size(folder: Path) -> int:
    """Return the bytes of an entry's files."""
    return sum(status.st_size for status in files(folder, "*").values())


def files(folder: Path, pattern: str) -> dict[Path, stat_result]:
    """List files and their state, without those that a running extraction renames meanwhile."""
    found = {}
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError):
            found[path] = path.stat()
    return found


def one_of(folders: Sequence[Path], named: str) -> Path:
    """Return the one entry that CORPUS/START means."""
    corpus, _, start = named.rpartition("/")
    found = [each for each in folders if each.name.startswith(start) and corpus in ("", each.parent.name)]
    if len(found) != 1:
        have = ", ".join(f"{each.parent.name}/{each.name}" for each in found or folders) or "nothing"
        raise CacheError(f"expected {named!r} to mean one entry; {'it could be' if found else 'there are'}: {have}")
    return found[0]


def _failed(reader: Reader) -> list[Failure]:
    """Name the failures of clips that have no features; one that succeeded later is no failure any more."""
    return [failure for clip, failure in recorded(reader.folder).items() if clip not in reader]
