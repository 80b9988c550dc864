"""Which entries a corpus has, where each lies, and which one is meant.

An entry is a folder named after its encoder and fingerprint; its `spec.json` is the whole key in readable form.
"""

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from features.key import FORMAT, Key

SPEC = "spec.json"


class CacheError(ValueError):
    """A cache, an entry or a part that cannot be used; the message says which and what to do."""


def root() -> Path:
    """Return where the cache lies: `FEATURES_ROOT`, or this package's own folder."""
    return Path(os.environ.get("FEATURES_ROOT") or Path(__file__).parent)


def folder_of(corpus: str, key: Key) -> Path:
    """Return the folder of an entry, whether it exists or not."""
    if not corpus or corpus.startswith((".", "_")) or set(corpus) & set("/\\"):
        raise CacheError(f"expected the name of a corpus, got {corpus!r}")
    return root() / corpus / key.name


def create(folder: Path, key: Key) -> None:
    """Make the folder of an entry and say in `spec.json` what it holds; a folder of another key is refused."""
    spec = folder / SPEC
    if spec.is_file():
        if key_of(folder) != key:
            raise CacheError(f"{spec} describes another entry than {key.name}; move that folder away")
        return
    folder.mkdir(parents=True, exist_ok=True)
    with beside(spec) as temporary:
        temporary.write_text(json.dumps(key.to_json(), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def key_of(folder: Path) -> Key:
    """Read the key of an entry, and check that the folder is named after it."""
    try:
        key = Key.from_json(json.loads((folder / SPEC).read_text(encoding="utf-8")))
        name = key.name
    except (OSError, ValueError, TypeError) as error:
        raise CacheError(f"{folder / SPEC}: expected the key of an entry, got {error}") from None
    if key.format != FORMAT:
        raise CacheError(f"{folder / SPEC}: expected cache format {FORMAT}, got {key.format}; use a matching version")
    if name != folder.name:
        raise CacheError(f"{folder / SPEC}: describes {name}, but the folder is named {folder.name}")
    return key


def entries(corpus: str) -> dict[Path, Key]:
    """Return every entry of a corpus."""
    specs = sorted((root() / corpus).glob(f"*-????????/{SPEC}"))
    return {spec.parent: key_of(spec.parent) for spec in specs}


def find(corpus: str, encoder: str, **where: object) -> Path:
    """Return the one entry of `encoder` whose key has these fields; none or several is refused, never guessed."""
    known = entries(corpus)
    candidates = {folder: key.to_json() for folder, key in known.items() if key.encoder == encoder}
    matches = {path: key for path, key in candidates.items() if all(_field(key, k) == v for k, v in where.items())}
    if len(matches) == 1:
        return next(iter(matches))
    if not candidates:
        have = ", ".join(sorted({key.encoder for key in known.values()})) or "nothing"
        raise CacheError(
            f"the cache at {root() / corpus} has no entry of {encoder!r} (it has: {have}). "
            f"Make it: make features CORPUS={corpus} ENCODERS={encoder}"
        )
    raise CacheError(_which(corpus, encoder, matches or candidates, found=bool(matches)))


def _field(key: Mapping[str, Any], name: str) -> object:
    return key["settings"].get(name.removeprefix("settings.")) if name.startswith("settings.") else key.get(name)


def _which(corpus: str, encoder: str, keys: Mapping[Path, Mapping[str, Any]], *, found: bool) -> str:
    flat = {
        path.name: {**key, **{f"settings.{name}": value for name, value in key["settings"].items()}}
        for path, key in keys.items()
    }
    names = sorted({name for key in flat.values() for name in key} - {"settings"})
    differing = [name for name in names if len({repr(key.get(name)) for key in flat.values()}) > 1] or names
    rows = [
        f"  {entry}: " + ", ".join(f"{name}={key.get(name)!r}" for name in differing) for entry, key in flat.items()
    ]
    what = "several entries" if found else "no entry that matches; there are entries"
    first = differing[0]
    example = next(iter(flat.values())).get(first)
    return (
        f"{corpus} has {what} of {encoder!r}:\n"
        + "\n".join(rows)
        + f'\nSay which, in the recipe: {first} = "{example}"'
    )


@contextlib.contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Law 6: write beside, flush file and folder to the disk, then rename. Present means complete."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(target)
        _flush(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
