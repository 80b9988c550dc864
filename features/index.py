"""The index of an entry: which clips each of its parts holds, so that thousands of parts need not be opened to know.

A side file that is derived from the parts: a line counts while its part has the size and the time of change that it
names, a missing or damaged line costs opening that part, and no value is ever read by it alone.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import xxhash

from features.disk import beside, let_the_group
from features.roots import inside

FILE = "index.jsonl"
WORTH_PARTS = 16
"""Fewer parts are opened as fast as the index is written anew."""
Stamp = tuple[int, int]
"""Size and time of change of a file."""


@dataclass(frozen=True)
class Rows:
    """What a part holds: its clips in order, the digest of what each was computed from, and how many windows in all."""

    clips: tuple[str, ...]
    sources: tuple[str, ...]
    windows: int


def stamp(status: os.stat_result) -> Stamp:
    """Return by what a file is known to be unchanged."""
    return status.st_size, status.st_mtime_ns


def look(folder: Path, read: Callable[[Path], Rows], *, trust: bool = True) -> dict[Path, Rows]:
    """Return what every part of an entry holds, by name; `read` opens those that the index does not know."""
    known = _load(folder) if trust else {}
    stamps = {folder / name: at for name, at in sorted(_parts(folder))}
    found, opened = {}, 0
    for path, at in stamps.items():
        rows = known.get((path.name, at))
        if rows is None:
            opened += 1
            try:
                rows = read(path)
            except FileNotFoundError:  # rewritten just now without a stale row, under another name
                return look(folder, read, trust=trust)
        found[path] = rows
    if opened >= WORTH_PARTS:
        with contextlib.suppress(OSError), beside(folder / FILE) as temporary:  # somebody else's cache: do without
            temporary.write_bytes(b"".join(_line(path.name, at, found[path]) for path, at in stamps.items()))
    return found


def add(path: Path, rows: Rows) -> None:
    """Note a part that was just written."""
    with contextlib.suppress(OSError):
        line = _line(path.name, stamp(path.stat()), rows)
        handle = os.open(path.with_name(FILE), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(handle, b"\n" + line)  # at once, and behind whatever a killed writer left
            let_the_group(path.with_name(FILE))
        finally:
            os.close(handle)


def _parts(folder: Path) -> Iterator[tuple[str, Stamp]]:
    with os.scandir(folder) as listed:
        for entry in listed:
            if entry.name.startswith("part-") and entry.name.endswith(".h5"):
                if entry.is_symlink():
                    inside(Path(entry.path), folder.parent.parent)
                with contextlib.suppress(FileNotFoundError):
                    yield entry.name, stamp(entry.stat())


def _line(name: str, at: Stamp, rows: Rows) -> bytes:
    values = {"part": name, "size": at[0], "mtime_ns": at[1], "windows": rows.windows}
    body = json.dumps({**values, "clips": rows.clips, "sources": rows.sources}).encode()
    return f"{xxhash.xxh3_64_hexdigest(body)} ".encode() + body + b"\n"


def _load(folder: Path) -> Mapping[tuple[str, Stamp], Rows]:
    try:
        lines = (folder / FILE).read_bytes().split(b"\n")
    except OSError:
        return {}
    known = {}
    for line in lines:
        digest, _, body = line.partition(b" ")
        if digest.decode("ascii", "replace") == xxhash.xxh3_64_hexdigest(body):
            with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError):
                values = json.loads(body)
                known[values["part"], (values["size"], values["mtime_ns"])] = rows_from(values)
    return known


def rows_from(values: Mapping[str, object]) -> Rows:
    """Return what a line of an index says a part holds; one that is not as written is refused."""
    clips, sources, windows = values["clips"], values["sources"], values["windows"]
    if not (isinstance(clips, list) and isinstance(sources, list) and isinstance(windows, int)):
        raise TypeError("expected two lists and a number")
    if len(clips) != len(sources) or {type(text) for text in (*clips, *sources)} - {str}:
        raise ValueError("expected as many sources as clips, all text")
    return Rows(tuple(clips), tuple(sources), windows)
