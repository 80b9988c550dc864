"""The files of a corpus as they lie on a lab's disk, and what a reader has to say about them.

Archives are unpacked in many ways, so a file is known by the end of its path, in whatever letters. What only looks
like a file (resource forks, empty files, broken links, pointers of Git LFS) is never handed to a reader.
"""

import os
import re
from collections import deque
from collections.abc import Iterator
from os.path import isdir
from pathlib import Path

from manifests.clip import ManifestError, check_path, is_text

DEEPEST = 9  # folders below the root; the deepest habit seen is a wrapper around Raw/Videos/Segmented/Combined/
MAX_TEXT_BYTES = 1 << 28
_LFS = b"version https://git-lfs"
_JUNK = re.compile(r"\._.*|\.DS_Store|Thumbs\.db|desktop\.ini", re.IGNORECASE)
_JUNK_FOLDERS = {"__macosx", ".git", ".svn"}


class Tree:
    """What lies under a root; a reader asks it for files, and tells it what it leaves out and why."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.left_out: dict[str, str] = {}
        """Clip or file to the reason, for everything that a user may miss in the manifest."""
        self.warnings: list[str] = []
        """What holds for the corpus as a whole, and must be known before a number is believed."""
        self.junk = 0
        """Files that a file manager or an archiver left behind."""
        self._paths = self._walk()

    def leave_out(self, what: str, why: str) -> None:
        """Note a clip or file that does not come into the manifest."""
        self.left_out[what] = why

    def warn(self, text: str) -> None:
        """Note what a user must know about the whole corpus."""
        if text not in self.warnings:
            self.warnings.append(text)

    def find(self, pattern: str) -> Iterator[tuple[str, re.Match[str]]]:
        """Yield usable files whose path is or ends in `pattern`, whatever the case; the nearest to the root first.

        A file that was left out is none of them any more.
        """
        wanted = re.compile(f"(?:.*/)?(?:{pattern})", re.IGNORECASE | re.ASCII | re.DOTALL)
        for path in self._paths:
            if (match := wanted.fullmatch(path)) and self._arrived(path):
                yield path, match

    def index(self, pattern: str, *, lower: bool = False) -> dict[str, str]:
        """Return usable files by the first group of `pattern`; of two copies the one nearest to the root."""
        found: dict[str, str] = {}
        for path, match in self.find(pattern):
            found.setdefault(match[1].lower() if lower else match[1], path)
        return found

    def bytes(self, path: str) -> bytes:
        """Return the whole of a table or a transcript, which is never as large as a film."""
        size_bytes = (self.root / path).stat().st_size
        if size_bytes > MAX_TEXT_BYTES:
            raise ManifestError(f"{self.root / path}: expected a table, got {size_bytes >> 20} MB; is it another file?")
        return (self.root / path).read_bytes()

    def _walk(self) -> tuple[str, ...]:
        """List the files, each under its own folder's name rather than that of a link to it."""
        found: list[str] = []
        seen: set[tuple[int, int]] = set()
        ahead = deque([""])
        while ahead:
            here = ahead.popleft()
            try:
                status = (self.root / here).stat()
                if (status.st_dev, status.st_ino) in seen:  # a link to where we were
                    continue
                seen.add((status.st_dev, status.st_ino))
                with os.scandir(self.root / here) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        path = f"{here}/{entry.name}".lstrip("/")
                        # Of what is no link the listing knows it; `isdir` bears every link, `Path.is_dir` does not.
                        if not (isdir(entry) if entry.is_symlink() else entry.is_dir()):  # noqa: PTH112
                            self._note(path, found)
                        elif entry.name.lower() not in _JUNK_FOLDERS and path.count("/") < DEEPEST:
                            (ahead.append if entry.is_symlink() else ahead.appendleft)(path)
            except OSError as error:
                self.leave_out(ascii(here), f"a folder that cannot be read: {error.strerror}")
        return tuple(sorted(found, key=lambda path: (path.count("/"), path)))

    def _note(self, path: str, found: list[str]) -> None:
        """Add a file whose name can stand in a manifest."""
        if _JUNK.fullmatch(path.rpartition("/")[2]):
            self.junk += 1
            return
        try:
            check_path(path)
            found.append(path)
        except ValueError:
            self.leave_out(ascii(path), "its name is not UTF-8" if not is_text(path) else "its name says another place")

    def _arrived(self, path: str) -> bool:
        """Tell a file from what only looks like one, and note the difference."""
        if path in self.left_out:
            return False
        file = self.root / path
        try:
            size_bytes = file.stat().st_size if file.is_file() else -1
            stub = 0 < size_bytes < 200 and file.read_bytes().startswith(_LFS)
        except OSError as error:
            self.leave_out(path, f"cannot be read: {error.strerror}")
            return False
        if size_bytes < 0:
            self.leave_out(path, "a broken link")
        elif size_bytes == 0:
            self.leave_out(path, "an empty file")
        elif stub:
            self.leave_out(path, "not downloaded: a pointer of Git LFS (git lfs pull)")
        return size_bytes > 0 and not stub
