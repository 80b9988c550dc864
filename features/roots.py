"""Where caches lie: `FEATURES_ROOT` names one folder, or several of which the first is one's own and the others shared.

What is made goes to the first; what is read is looked for in all, so that a colleague's features are found where they
lie and never copied.
"""

import os
import re
from pathlib import Path

SPEC = "spec.json"
_APART = "let FEATURES_ROOT name both folders, as in FEATURES_ROOT=/here:/there"
ENTRY = re.compile(r"[\w.]+-[0-9a-f]{8}", re.ASCII)


class CacheError(ValueError):
    """A cache, an entry or a part that cannot be used; the message says which and what to do."""


def roots() -> list[Path]:
    """Return the folders that `FEATURES_ROOT` names, as PATH names its own, or this package's own folder."""
    said = os.environ.get("FEATURES_ROOT", "").split(os.pathsep)
    named = [Path(part).absolute() for part in said if part] or [Path(__file__).parent]
    first, *shared = dict.fromkeys(named)
    for folder in shared:
        if not folder.is_dir():
            raise CacheError(f"FEATURES_ROOT names {folder}, which is not there: mount it, or leave it out")
    return [first, *shared]


def root() -> Path:
    """Return where new features go."""
    return roots()[0]


def corpus_folder(corpus: str) -> Path:
    """Return the folder of a corpus in one's own cache, whether it exists or not; law 13: never one outside of it."""
    return root() / _plain(corpus)


def _plain(corpus: str) -> str:
    if not corpus or corpus.startswith((".", "_")) or set(corpus) & set("/\\\0"):
        raise CacheError(f"expected the name of a corpus, got {corpus!r}")
    return corpus


def corpora() -> list[str]:
    """Name every corpus that has an entry in any cache."""
    names = {spec.parent.parent.name for each in roots() for spec in each.glob(f"*/*-????????/{SPEC}")}
    return sorted(name for name in names if not name.startswith((".", "_")))


def folders(corpus: str) -> list[Path]:
    """Return the folders of a corpus' entries in all caches, those of one entry after each other, one's own first."""
    found = [spec.parent for each in roots() for spec in sorted((each / _plain(corpus)).glob(f"*-????????/{SPEC}"))]
    return sorted(found, key=lambda folder: folder.name)


def copies(folder: Path) -> list[Path]:
    """Return where an entry lies: in every cache that has some of it, or else in the one folder that was named."""
    here = roots()
    if folder.parent.parent not in here:
        return [folder] if (folder / SPEC).is_file() else []
    found = (each / folder.parent.name / folder.name for each in here)
    return [each for each in found if (each / SPEC).is_file()]


def inside(path: Path, top: Path, cure: str = _APART) -> Path:
    """Law 13: refuse what leads out of a folder by a link."""
    if not path.resolve().is_relative_to(top.resolve()):
        raise CacheError(f"{path} is a link that leads out of {top}, to {path.resolve()}; it is not followed: {cure}")
    return path
