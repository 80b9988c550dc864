"""What another tool computed becomes an entry like any other: its key says `origin: imported`, and of which content.

Whatever is already there is not written again, so that an import that was stopped goes on.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xxhash

from features import about
from features.entries import folder_of
from features.exchange import Piece
from features.key import Key
from features.reader import Reader
from features.roots import CacheError, copies
from features.store import Writer
from features.windows import Array, Windows

CLIPS, BYTES = 64, 64 * 2**20
"""A part is full when it has so many clips, or so many bytes."""
BLOCK = 1 << 20
_NAME = re.compile(r"\w[\w.]{0,79}", re.ASCII)


@dataclass(frozen=True)
class Import:
    """What is asked of an import: whose features, out of what, under which names, and what is known of them."""

    corpus: str
    format: str
    source: Path
    names: Mapping[str, str] = field(default_factory=dict)
    """Feature of the file to the name that it shall have here; all of them under their own names where it is empty."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What the format was told; it is part of the key."""
    dtype: str = ""
    """As the file has it, but float32 for float64, unless it is said."""
    zeros: bool = False
    """Put 0 in the place of what is no number; the key says so."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    licence: str = "unknown"
    holds: str = ""
    """What can be read from it; of whole numbers, which may be tokens, a transcript unless it is said."""
    about: Mapping[str, object] = field(default_factory=dict)

    def encoder(self, feature: str) -> str:
        """Name the entry of a feature; nothing where it was not asked for."""
        name = self.names.get(feature, "") if self.names else re.sub(r"\W+", "_", feature, flags=re.ASCII).strip("_")
        if name and not _NAME.fullmatch(name):
            raise CacheError(f"expected a name of letters, digits, _ and . for {feature!r}, got {name!r}")
        return name


def store(job: Import, pieces: Iterable[Piece]) -> dict[Path, int]:
    """Write what comes in, entry by entry; return how many clips each of them has got."""
    content = digest_of(job.source)
    entries: dict[str, _Entry] = {}
    met: set[str] = set()
    for piece in pieces:
        met.add(piece.feature)
        if not job.encoder(piece.feature):
            continue
        if piece.feature not in entries:
            entries[piece.feature] = _Entry(job, piece, content)
        entries[piece.feature].add(piece)
    if absent := job.names.keys() - met:
        raise CacheError(
            f"{job.source.name} has no feature {', '.join(sorted(absent))}; it has: {', '.join(sorted(met)) or 'none'}"
        )
    if not entries:
        raise CacheError(f"{job.source.name} holds no features of any clip")
    return {entry.folder: entry.end() for entry in entries.values()}


def digest_of(source: Path) -> str:
    """Return the digest of a file, or of all files in a folder with their names."""
    digest = xxhash.xxh3_128()
    for path in sorted(_files(source)):
        digest.update(f"{path.relative_to(source).as_posix()}\n{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for path in source.rglob("*") if source.is_dir() else ():
        if path.is_file():
            yield path


class _Entry:
    """One entry that is being filled: clips are collected until a part is full."""

    def __init__(self, job: Import, first: Piece, content: str) -> None:
        self.job = job
        dtype = first.windows.values.dtype
        usual = "float32" if dtype == np.float64 else str(dtype.newbyteorder("="))
        settings = {"origin": "imported", "format": job.format, "feature": first.feature, "content": content}
        settings |= {**job.options, **({"nonfinite": "zero"} if job.zeros else {})}
        self.key = Key(job.encoder(first.feature), 1, "clip", job.dtype or usual, settings=settings)
        self.folder = folder_of(job.corpus, self.key)
        self.there: frozenset[str] = frozenset()
        if copies(self.folder):
            with Reader(self.folder) as reader:
                self.there = frozenset(reader)
        self.seen: set[str] = set()
        self.told = {**job.provenance, "holds": job.holds or ("transcript" if dtype.kind in "iu" else "features")}
        self._begin()

    def _begin(self) -> None:
        self.writer = Writer(self.folder, self.key, self.told, self.job.licence)
        self.bytes = 0

    def add(self, piece: Piece) -> None:
        """Take a clip in, and write the part when it is full."""
        if piece.clip in self.seen:
            raise CacheError(f"{self.job.source.name} has {piece.feature} of {piece.clip!r} twice; which one is meant?")
        self.seen.add(piece.clip)
        if piece.clip in self.there:
            return
        windows = self._finite(piece)
        self.writer.add(piece.clip, _digest(windows), windows)
        self.bytes += windows.values.nbytes
        if len(self.writer.clips) >= CLIPS or self.bytes >= BYTES:
            self.writer.write()
            self._begin()

    def _finite(self, piece: Piece) -> Windows:
        windows = piece.windows
        with np.errstate(over="ignore", invalid="ignore"):  # what does not fit is found in the next line
            values = windows.values.astype(self.key.dtype, copy=False)
        wrong = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(0, bool)
        if wrong.any() and not self.job.zeros:
            raise CacheError(
                f"{piece.feature} of {piece.clip!r} has {int(wrong.sum())} values that are no finite numbers as "
                f"{self.key.dtype}; say --zeros to put 0 in their place, which the key will say"
            )
        if wrong.any():
            values = np.where(wrong, np.zeros((), values.dtype), values)
        return Windows(values, windows.start, windows.spans_s, windows.valid, windows.steps)

    def end(self) -> int:
        """Write what is left, and say what is known of it all."""
        if self.writer.clips:
            self.writer.write()
        told = {"origin": "imported", "format": self.job.format, "file": self.job.source.name}
        with contextlib.suppress(FileNotFoundError):  # every clip was there already, in another root
            about.write(self.folder, {**told, "feature": self.key.settings["feature"], **self.job.about})
        return len(self.seen)


def _digest(windows: Windows) -> str:
    digest = xxhash.xxh3_128()
    arrays: list[Array] = [windows.values, windows.spans_s, windows.valid, *(windows.steps[n] for n in windows.steps)]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()
