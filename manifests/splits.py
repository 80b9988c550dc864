"""Who is trained on and who is scored, where a corpus does not say it itself: the user's own list.

The list is a table with a column `split` and one that says whose: `id`, `dialogue` (or `base`), `speaker`, `session`
(the split that the reader gave), or `file` (the end of a path, with or without its suffix).
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from manifests import tables
from manifests.clip import Clip, ManifestError
from manifests.tree import Tree

MAX_BYTES = 1 << 26
_SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "devel", "development", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def divided(clips: Iterable[Clip], file: Path, tree: Tree) -> tuple[Clip, ...]:
    """Return the clips with the splits of a user's list; those that it does not name are left out, each by name."""
    whose, split_of = _read(file)
    found: list[Clip] = []
    met: set[str] = set()
    for clip in clips:
        key = next((key for key in KEYS[whose](clip) if key in split_of), None)
        if key is None:
            tree.leave_out(clip.id, f"not in {file.name}")
            continue
        met.add(key)
        try:
            found.append(dataclasses.replace(clip, split=split_of[key], split_source=f"file: {file.name}"))
        except ValueError as error:
            raise ManifestError(f"{file}: {error}") from None
    if not found:
        raise ManifestError(f"{file}: names none of these clips by its column {whose!r}")
    for key in (key for key in split_of if key not in met):
        tree.leave_out(f"{file.name}: {key}", "no such clip in the corpus")
    return tuple(found)


def named(word: str) -> str:
    """Return the house's name of a split, or the word as it is."""
    return _SPELLINGS.get(word.strip().lower(), word.strip())


def _files(clip: Clip) -> Iterator[str]:
    for name in (name for track in clip.tracks for name in track.paths):
        path = PurePosixPath(name)
        for start in range(len(path.parts)):
            tail = PurePosixPath(*path.parts[start:])
            yield str(tail)
            yield str(tail.with_suffix(""))


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


KEYS: Mapping[str, Callable[[Clip], Iterable[str]]] = {
    "id": lambda clip: (clip.id,),
    "dialogue": lambda clip: _one(clip.dialogue_id),
    "base": lambda clip: _one(clip.dialogue_id),
    "speaker": lambda clip: _one(clip.speaker_id),
    "session": lambda clip: (clip.split,),
    "file": _files,
}


def _read(file: Path) -> tuple[str, dict[str, str]]:
    """Read the list as key to split; a key that stands twice must say the same."""
    if not file.is_file():
        raise ManifestError(f"{file}: no such file; expected a table of {' or '.join(KEYS)}, and split")
    if file.stat().st_size > MAX_BYTES:
        raise ManifestError(f"{file}: expected a table, got {file.stat().st_size >> 20} MB")
    rows = tables.rows_of(tables.text_of(file.read_bytes()), file, ("split",))
    head = rows[0].keys() if rows else ()
    whose = next((column for column in KEYS if column in head), None)
    if whose is None:
        raise ManifestError(f"{file}: expected a column {' or '.join(KEYS)} beside split, got {', '.join(head)}")
    split_of: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        key, split = row[whose].strip(), named(row["split"])
        if not key or not split:
            raise ManifestError(f"{file}, row {number}: expected a {whose} and a split, got {key!r} and {split!r}")
        if split_of.setdefault(key, split) != split:
            raise ManifestError(f"{file}, row {number}: {key} is in {split_of[key]!r} and in {split!r}")
    return whose, split_of
