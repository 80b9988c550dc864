"""Caches at other places than a folder: on machines reached by ssh, in S3-compatible stores, on web servers to read.

Law 13: whatever a server answers, only names that `features.catalogue` admits are passed on, nothing is read beyond
what was expected, and it is written only to where the caller says.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

from features import catalogue
from features.causes import RemoteError, absent, denied, failed
from features.connect import BLOCK_BYTES, Line, connect, parsed, run
from features.disk import writing
from features.places import MOST_TEXT_BYTES
from features.roots import SPEC, CacheError

PAUSES_S = (0.5, 2.0, 5.0)
"""Before each further try of what may pass by itself."""
T = TypeVar("T")


class Remote:
    """A cache behind an address such as `ssh://user@host:port/path`, `s3://bucket/prefix` or `https://host/path`."""

    def __init__(self, address: str) -> None:
        self._at = parsed(address)
        self.writes = self._at.scheme not in {"http", "https"}
        self._line: Line | None = None
        self._connecting = threading.Lock()

    def __str__(self) -> str:
        return self._at.shown

    def entries(self) -> list[str]:
        """Name the entries there, as CORPUS/NAME-FINGERPRINT."""
        if self.writes:
            return self._asked("", _entries)
        text = self.text(catalogue.ENTRIES)
        if text is None:
            raise CacheError(
                f"{self}: expected {catalogue.ENTRIES}, because a web server lists nothing, and found none; "
                "give the address of the top of a cache that make share has pushed to"
            )
        return catalogue.parse_entries(text, f"{self}/{catalogue.ENTRIES}")

    def files(self, entry: str) -> dict[str, int]:
        """Return the files of an entry with their sizes; none where there is no such entry."""
        if self.writes:
            found = self._asked(entry, lambda line: _listed(line, entry, "file"))
            return {name: size for name, size in sorted(found.items()) if catalogue.FILES.fullmatch(name)}
        path = f"{entry}/{catalogue.FILE}"
        text = self.text(path)
        if text is None:
            return {}
        listed = catalogue.parse(text, f"{self}/{path}")
        return {**{name: file.size for name, file in listed.items()}, catalogue.FILE: len(text.encode())}

    def text(self, path: str) -> str | None:
        """Return a small text file, or None where there is none."""
        try:
            return _tried(lambda: self._whole(path)).decode("utf-8", "replace")
        except RemoteError as error:
            if error.absent:
                return None
            raise

    def fetch(self, path: str, to: Path, size: int) -> None:
        """Copy a file that is known to have `size` bytes to `to`; never a byte more reaches the disk."""
        arrived = _tried(lambda: self._copied(path, to, size))
        if arrived != size:
            raise CacheError(
                f"{self}/{path}: expected {size} bytes, got {arrived if arrived < size else 'more'}; "
                "if somebody pushes there right now, try again; else push to that place again"
            )

    def put(self, data: Path, path: str) -> None:
        """Copy a file there; under its name it is visible only when whole."""
        data.stat()  # one that is not here is not the place's fault
        self._asked(path, lambda line: line.put(data, path))

    def _whole(self, path: str) -> bytes:
        with contextlib.closing(self._blocks(path, MOST_TEXT_BYTES)) as blocks:
            data = b"".join(blocks)
        if len(data) > MOST_TEXT_BYTES:
            raise CacheError(f"{self}/{path}: expected a text of at most {MOST_TEXT_BYTES} bytes, got more")
        return data

    def _copied(self, path: str, to: Path, size: int) -> int:
        arrived = 0
        with writing(to), to.open("wb") as file, contextlib.closing(self._blocks(path, size)) as blocks:
            for block in blocks:
                file.write(block[: size - arrived])
                arrived += len(block)
        return arrived

    def _blocks(self, path: str, size: int) -> Generator[bytes]:
        """Yield a file in large blocks, and of a longer one than expected a single byte more."""
        with self._asking(path) as line:
            file = run(line, line.open(path))
            try:
                left = size + 1
                while left > 0 and (block := run(line, file.read(min(left, BLOCK_BYTES)))):
                    yield block
                    left -= len(block)
            finally:
                run(line, file.close())

    def _asked(self, path: str, question: Callable[[Line], Coroutine[Any, Any, T]]) -> T:
        def ask() -> T:
            with self._asking(path) as line:
                return run(line, question(line))

        return _tried(ask)

    @contextlib.contextmanager
    def _asking(self, path: str) -> Iterator[Line]:
        """Hold the line to the place; turn an error into words about it, and give up a line that broke."""
        line = None
        try:
            with self._connecting:
                line = self._line = self._line or connect(self._at)
            yield line
        except CacheError:
            raise
        except Exception as error:
            said = failed(self._at, path, error)
            if said.passing and self._line is line:
                self._line = None
            raise said from error


def _tried(work: Callable[[], T]) -> T:
    for pause_s in PAUSES_S:
        try:
            return work()
        except RemoteError as error:
            if not error.passing:
                raise
        time.sleep(pause_s)
    return work()


async def _entries(line: Line) -> list[str]:
    """Look two folders deep; a corpus that is closed to us is passed over, as a folder's own listing does."""
    corpora = [
        name for name in await _listed(line, "", "directory") if catalogue.ENTRY.fullmatch(f"{name}/any-00000000")
    ]
    inside = await asyncio.gather(*(_listed(line, corpus, "directory", closed=True) for corpus in corpora))
    found = [f"{corpus}/{name}" for corpus, names in zip(corpora, inside, strict=True) for name in names]
    found = [entry for entry in found if catalogue.ENTRY.fullmatch(entry)]
    specs = await asyncio.gather(*(_is_file(line, f"{entry}/{SPEC}") for entry in found))
    return sorted(entry for entry, spec in zip(found, specs, strict=True) if spec)


async def _listed(line: Line, path: str, kind: str, *, closed: bool = False) -> dict[str, int]:
    try:
        found = await line.fs._ls(line.full(path), detail=True)  # noqa: SLF001 - fsspec's name for callers that await
    except Exception as error:
        if absent(error) or (closed and denied(error)):
            return {}
        raise
    return {one["name"].rpartition("/")[2]: int(one["size"] or 0) for one in found if one["type"] == kind}


async def _is_file(line: Line, path: str) -> bool:
    try:
        return bool((await line.fs._info(line.full(path)))["type"] == "file")  # noqa: SLF001 - as above
    except Exception as error:
        if absent(error) or denied(error):
            return False
        raise
