"""The files beside a lab's own table, and which of them a cell of it means."""

import unicodedata
from pathlib import PurePosixPath

from manifests import Audio
from manifests.corpora import _own as own
from manifests.tree import Tree

SHOWN = 3


class Media:
    """The files below a root, and which of them a cell means."""

    def __init__(self, tree: Tree, table: str) -> None:
        self.tree, self.root = tree, tree.root
        paths = [path for path, _ in tree.find(r".*") if path != table]
        self.paths = set(paths)
        self.unnamed = dict.fromkeys(filter(own.is_media, paths))
        self._bases = ["" if str(folder) == "." else f"{folder}/" for folder in PurePosixPath(table).parents]
        self._folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
        self._meant: dict[str, list[str]] = {}
        for path in paths:
            self._meant.setdefault(_folded(path), []).append(path)
        whole_names = set(self._meant)
        for path in filter(own.is_media, paths):  # a cell may leave the suffix out
            if (stem := _folded(own.stem_of(path))) not in whole_names:
                self._meant.setdefault(stem, []).append(path)
        self._by_name: dict[str, list[str]] = {}
        for meant in self._meant:
            self._by_name.setdefault(meant.rpartition("/")[2], []).append(meant)

    def named(self, cell: str) -> list[str]:
        """Return the files that a cell means: below the table, else below a folder above it, else by the path's end."""
        for path in (found := self._found(self.inside(cell))):
            self.unnamed.pop(path, None)
        if not found and not self._folders.isdisjoint(base + cell for base in self._bases):
            self.tree.leave_out(cell, "a folder; expected a file")
        return found

    def inside(self, cell: str) -> str:
        """Return a path relative to the root; one that lies elsewhere stays as it is, and is refused."""
        path = PurePosixPath(cell.replace("\\", "/"))
        for root in (self.root.absolute().as_posix(), self.root.resolve().as_posix()):
            if path.is_relative_to(root):
                path = path.relative_to(root)
        try:
            return Audio(str(path)).path
        except ValueError as error:
            raise ValueError(str(error).removeprefix("column 'path': ")) from None

    def _found(self, path: str) -> list[str]:
        for base in self._bases:
            if base + path in self.paths:
                return [base + path]
        folded = _folded(path)
        for base in self._bases:
            if meant := self._meant.get(_folded(base) + folded):
                return [found for found in meant if own.stem_of(found) == base + path] or meant
        tails = [meant for meant in self._by_name.get(folded.rpartition("/")[2], ()) if meant.endswith(f"/{folded}")]
        if len(tails) > 1:
            there = sorted(self._meant[tail][0] for tail in tails)
            raise ValueError(f"{path!r} may be {' or '.join(there[:SHOWN])}: write its folder too")
        return self._meant[tails[0]] if tails else []


def _folded(path: str) -> str:
    """Return a path without what differs between disks: the case, and how letters are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
