"""Folders of other tools: what lies in one and does not lead out of it, and a new one that appears when it is whole."""

import contextlib
import os
import shutil
import struct
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError

from features import roots
from features.disk import flush, let_the_group, make_folder, writing
from features.roots import CacheError

_RAISED = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, NotImplementedError, OSError),
    *(MemoryError, RecursionError, SyntaxError, TokenError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What files that are not as they should be make libraries raise, and us."""

MANY = 256
"""Files that are flushed one by one; of more, each would wait for the disk, and all of it is flushed at once."""


def inside(path: Path, folder: Path) -> Path:
    """Refuse what leads out of a folder by a link."""
    return roots.inside(path, folder, "put the file itself there (cp -rL makes such a copy)")


def files(source: Path, suffix: str) -> list[Path]:
    """Return a file, or all in a folder whose names end so, but for hidden ones; none of them leads out of it."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise CacheError(f"{source} is not there; expected a folder, or a file {suffix}")
    found = [path for path in sorted(source.rglob(f"*{suffix}")) if path.is_file()]
    return [inside(path, source) for path in found if not _hidden(path.relative_to(source))]


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def file_name(clip: str) -> str:
    """Return a clip's name where it is one for a file, too; others would lead elsewhere or could not be written."""
    if not clip.strip(".") or clip.startswith(".") or not clip.isprintable() or set(clip) & set("/\\"):
        raise CacheError(f"expected a clip whose name can be that of a file, got {clip!r}; name the clips otherwise")
    if len(os.fsencode(clip)) > 200:
        raise CacheError(f"expected a clip whose name is no longer than 200 bytes, as files' are, got {clip!r:.80}")
    return clip


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Say of whatever goes wrong with a file which file it is."""
    try:
        yield
    except CacheError:
        raise
    except _RAISED as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        raise CacheError(f"{path}: cannot be read: {said:.400}; get it again, or write it anew") from None


@contextlib.contextmanager
def new(target: Path) -> Iterator[Path]:
    """Fill a folder beside where it shall lie, flush all of it, then rename; one that holds something is refused."""
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise CacheError(f"{target} is there already; name another folder, or move that one away")
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with writing(target):
            temporary.mkdir()
            yield temporary
            made = [temporary, *temporary.rglob("*")]
            for path in made:
                let_the_group(path)
            if len(made) > MANY:
                os.sync()
            else:
                for path in made:
                    flush(path)
            temporary.replace(target)
            flush(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
