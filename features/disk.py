"""Writing to a disk that others share: whole or not at all, for all who may write there, and with a word of cure."""

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

_CURES = {
    "make room there, or let FEATURES_ROOT name another disk": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "make that folder writable, or let FEATURES_ROOT name one of your own": (errno.EROFS, errno.EACCES, errno.EPERM),
    "see whether that disk is still mounted": (errno.ENOENT, errno.ESTALE, errno.EIO, errno.ENODEV),
}


@contextlib.contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Law 6: write beside, flush file and folder to the disk, then rename. Present means complete."""
    with hidden(target) as temporary, writing(target):
        yield temporary
        let_the_group(temporary)
        flush(temporary)
        temporary.replace(target)
        flush(target.parent)


@contextlib.contextmanager
def hidden(target: Path) -> Iterator[Path]:
    """Name a file beside another that no reader looks at; whatever is left of it in the end is removed."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):  # what went wrong before says more; gc removes what is left
            temporary.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it."""
    with writing(folder):
        for level in reversed([folder, *folder.parents]):
            if not level.is_dir():
                level.mkdir(exist_ok=True)
                let_the_group(level)


def let_the_group(path: Path) -> None:
    """Let the group do with a new file what it may do with its folder: no umask shuts colleagues out of it."""
    own = path.stat().st_mode
    wanted = as_the_group(own, path.parent.stat().st_mode)
    if wanted != stat.S_IMODE(own):
        with contextlib.suppress(PermissionError):  # somebody else made it at the same time
            path.chmod(wanted)


def as_the_group(own: int, above: int) -> int:
    """Return the rights of what lies in a folder of these rights, if its group shall do with it as with the folder."""
    bits = stat.S_IRWXG if stat.S_ISDIR(own) else stat.S_IRGRP | stat.S_IWGRP
    return stat.S_IMODE(own) | (above & bits if above & stat.S_IWGRP else 0)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of an error of the disk which file it hit and what to do."""
    try:
        yield
    except OSError as error:
        cure = next((cure for cure, codes in _CURES.items() if error.errno in codes), "look after that disk")
        raise OSError(error.errno, f"cannot write: {error.strerror or error}; {cure}", str(path)) from error


def flush(path: Path) -> None:
    """Have a file or a folder on the disk before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
