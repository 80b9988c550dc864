"""A cache somewhere: a folder here or on a shared disk, or, by an address, one on another machine.

`share` knows no more of a place than this, so that a copy from a disk, over ssh or out of a store is one copy.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Protocol

from features import catalogue
from features.disk import beside, make_folder
from features.roots import CacheError, inside

MOST_TEXT_BYTES = 64 * 2**20


class Place(Protocol):
    """What can be asked of a cache wherever it lies; every path is `CORPUS/ENTRY/FILE` below its top."""

    @property
    def writes(self) -> bool:
        """Tell whether anything can be copied there."""
        ...

    def entries(self) -> list[str]:
        """Name every entry, as `meld/minilm-4e1eddc6`."""
        ...

    def files(self, entry: str) -> dict[str, int]:
        """Return the files of an entry and their bytes; nothing where there is no such entry."""
        ...

    def text(self, path: str) -> str | None:
        """Return a small text; nothing where there is no such file."""
        ...

    def fetch(self, path: str, to: Path, size: int) -> None:
        """Copy a file to here; one that is not exactly so large is refused."""
        ...

    def put(self, data: Path, path: str) -> None:
        """Copy a file there, where it is seen whole or not at all."""
        ...


class Folder:
    """A cache in a folder."""

    writes = True

    def __init__(self, top: Path) -> None:
        self.top = top.absolute()

    def __str__(self) -> str:
        return str(self.top)

    def entries(self) -> list[str]:
        """Name every entry."""
        found = (spec.parent for spec in self.top.glob("*/*-????????/spec.json"))
        return sorted(name for path in found if catalogue.ENTRY.fullmatch(name := f"{path.parent.name}/{path.name}"))

    def files(self, entry: str) -> dict[str, int]:
        """Return the files of an entry and their bytes."""
        if not (self.top / entry).is_dir():
            return {}
        with os.scandir(inside(self.top / entry, self.top)) as listed:
            return {one.name: one.stat().st_size for one in listed if catalogue.FILES.fullmatch(one.name)}

    def text(self, path: str) -> str | None:
        """Return a small text."""
        try:
            with inside(self.top / path, self.top).open("rb") as file:
                data = file.read(MOST_TEXT_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CacheError(f"{self.top / path}: {error.strerror}; ask whoever owns it") from None
        if len(data) > MOST_TEXT_BYTES:
            raise CacheError(f"{self.top / path}: larger than any text of a cache")
        return data.decode("utf-8", "replace")

    def fetch(self, path: str, to: Path, size: int) -> None:
        """Copy a file to here."""
        shutil.copyfile(inside(self.top / path, self.top), to)
        if to.stat().st_size != size:
            raise CacheError(f"{self.top / path}: has changed while it was copied; run the same command again")

    def put(self, data: Path, path: str) -> None:
        """Copy a file there."""
        target = self.top / path
        make_folder(target.parent)
        with beside(inside(target, self.top)) as temporary:
            shutil.copyfile(data, temporary)


def place(address: str) -> Place:
    """Return the cache at an address: a folder, or `ssh://`, `s3://`, `https://` and what follows."""
    if re.match(r"[a-z][a-z0-9+]*://", address):
        from features.remote import Remote

        return Remote(address)
    if not address:
        raise CacheError("expected a folder, or an address like ssh://host/folder, s3://bucket/folder, https://host/")
    return Folder(Path(address).expanduser())
