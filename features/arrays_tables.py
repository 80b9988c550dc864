"""Arrays whose rows are clips, wherever other tools leave them: in one file, or over the files of a folder."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from features import folders, hdf5, npy
from features.exchange import SPLITS
from features.labels import MOST_BYTES, table
from features.roots import CacheError
from features.rows import Rows
from features.windows import Array

IDS = "ids"
PATTERN = "{feature}.npy"
HDF5 = (".h5", ".hdf5")
OURS = ("train", "dev", "test")
MOST_FILES, MOST_ID = 1024, 1024
"""Of a folder, and letters of a clip's name."""
CURE = "fetch it again, or ask whoever made it"
_PLACES = {r"\{feature\}": "(?P<feature>.+?)", r"\{split\}": f"(?P<split>{'|'.join((*OURS, *SPLITS))})"}
_ROW = re.compile(r"\{row(?::(\d\d?))?\}", re.ASCII)


@dataclass(frozen=True)
class Table:
    """Arrays that belong together: a row of each is the same clip."""

    where: Path
    split: str
    arrays: Mapping[str, Rows]

    def shown(self) -> str:
        """Name the arrays, and what each of them is."""
        told = (f"{name} {rows.shape} {rows.dtype}" for name, rows in self.arrays.items())
        return ", ".join(told).replace(" object", " text") or "none"

    def ids(self, asked: str) -> list[str]:
        """Name the clips, as a user says that they are named."""
        if (asked or IDS) in self.arrays:
            return _checked(self.where, texts(self.arrays[asked or IDS]))
        if asked and (path := self._beside(asked.replace("{split}", self.split))):
            return _checked(path, _listed(path))
        if asked and _ROW.search(asked):
            return [_numbered(asked.replace("{split}", self.split), row) for row in range(self._count())]
        if not asked and (path := self._beside(f"{IDS}.txt") or self._beside(f"{IDS}.csv")):
            return _checked(path, _listed(path))
        raise CacheError(
            f"{self.where}: expected {f'{asked!r} as' if asked else 'what tells'} the name of each clip, got "
            f"{self.shown()}. Say ids=ARRAY, ids=FILE.txt, ids=FILE.csv, or ids={{split}}_{{row:03}} where nothing does"
        )

    def _beside(self, name: str) -> Path | None:
        """Return a list of clips that lies among the arrays, or beside their file, or where its path says."""
        folder = self.where if self.where.is_dir() else self.where.parent
        found = (path for path in (folder / name, Path(name)) if path.suffix in (".txt", ".csv") and path.is_file())
        return next(found, None)

    def _count(self) -> int:
        counts = {rows.shape[0] for rows in self.arrays.values()}
        if len(counts) != 1:
            raise CacheError(
                f"{self.where}: expected arrays with as many rows as there are clips, got {self.shown()}; "
                "say files= so that only those are read which belong together"
            )
        return counts.pop()


def _numbered(pattern: str, row: int) -> str:
    return _ROW.sub(lambda match: f"{row:{match[1] or ''}}", pattern)


def _listed(path: Path) -> list[str]:
    if path.suffix == ".csv":
        return list(table(path))
    if path.stat().st_size > MOST_BYTES:
        raise CacheError(f"{path}: expected a list of clips of at most {MOST_BYTES >> 20} MiB")
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise CacheError(f"{path}: expected a list of clips in UTF-8, got {error}") from None


def _checked(where: Path, clips: list[str]) -> list[str]:
    for row, clip in enumerate(clips):
        if not clip or len(clip) > MOST_ID or "\0" in clip or clip.encode(errors="replace").decode() != clip:
            raise CacheError(f"{where}: expected the name of a clip in row {row}, got {clip!r:.80}")
    return clips


def texts(rows: Rows) -> list[str]:
    """Return the values of rows as text; where a row has several, with blanks between them."""
    return [" ".join(map(_text, np.reshape(row, -1))) for row in rows.each()]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def opened(source: Path, pattern: str) -> Iterator[list[Table]]:
    """Find the arrays of a file, or those of a folder by what its files are called; none is read yet."""
    with contextlib.ExitStack() as stack:
        if source.is_dir():
            yield _of_folder(source, pattern or PATTERN, stack)
        elif source.is_file():
            yield [Table(source, "", stack.enter_context(_of_file(source)))]
        else:
            raise CacheError(f"{source} is not there; expected .npz, .npy, .h5, or a folder of them")


def _of_folder(source: Path, pattern: str, stack: contextlib.ExitStack) -> list[Table]:
    patterns = [_compiled(each) for each in pattern.split(",")]
    found: dict[str, dict[str, Rows]] = {}
    files = folders.files(source, "")
    for path in files[:MOST_FILES]:
        name = path.relative_to(source).as_posix()
        match = next(filter(None, (each.fullmatch(name) for each in patterns)), None)
        if match:
            said = match.groupdict()
            split = SPLITS.get(said.get("split", ""), said.get("split", ""))
            there = found.setdefault(split, {})
            for array, rows in _called(path, said.get("feature"), stack.enter_context(_of_file(path))).items():
                if array in there:
                    raise CacheError(f"{path}: {array} was found in another file, too; say files= so that one fits")
                there[array] = rows
    if not found or len(files) > MOST_FILES:
        names = ", ".join(path.relative_to(source).as_posix() for path in files[:20])
        raise CacheError(
            f"{source}: expected up to {MOST_FILES} files, some called {pattern}, got {len(files)}: {names or 'none'}. "
            "Say what they are called, as in files={feature}_{split}.h5"
        )
    ours = sorted(found, key=lambda split: (OURS.index(split) if split in OURS else -1, split))
    return [Table(source, split, found[split]) for split in ours]


def _compiled(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern.strip())
    for place, words in _PLACES.items():
        escaped = escaped.replace(place, words, 1)
    return re.compile(escaped)


def _called(path: Path, feature: str | None, arrays: Mapping[str, Rows]) -> Mapping[str, Rows]:
    """Name the one array of a file as the file's name says, or several as they are called within."""
    if feature is None:
        return arrays
    if len(arrays) != 1:
        raise CacheError(
            f"{path}: expected one array, the {feature}, got {', '.join(arrays) or 'none'}; "
            "where arrays have names of their own, leave {feature} out of files="
        )
    return {feature: next(iter(arrays.values()))}


@contextlib.contextmanager
def _of_file(path: Path) -> Iterator[dict[str, Rows]]:
    """Open a file; whatever goes wrong now or while it is read is told with its name."""
    with contextlib.ExitStack() as stack:
        with hdf5.whole(path, CURE):
            if path.suffix == ".npy":
                arrays = {path.stem: npy.array(path)}
            elif path.suffix == ".npz":
                arrays = stack.enter_context(npy.archive(path))
            elif path.suffix in HDF5:
                file = stack.enter_context(hdf5.opened(path, CURE))
                arrays = {name: file.rows(name) for name in file.arrays()}
            else:
                raise CacheError(f"{path}: expected a file .npz, .npy or {' or '.join(HDF5)}")
        yield {name: replace(rows, blocks=partial(_told, path, rows)) for name, rows in arrays.items()}


def _told(path: Path, rows: Rows) -> Iterator[Array]:
    with hdf5.whole(path, CURE):
        yield from rows.blocks()
