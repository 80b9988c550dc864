"""One corpus of the cache, opened: its entries by the names of their encoders, for whoever trains with other tools."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from features.batches import Clips, dataset, step_shape
from features.entries import find
from features.reader import Reader
from features.roots import CacheError, corpora, folders, roots


class NoEntryError(CacheError, KeyError):
    """An entry that is not there: like any absent key of a mapping, so that `get` works."""

    __str__ = CacheError.__str__  # a KeyError would show the message as one line in quotes


class Corpus(Mapping[str, Reader]):
    """The entries of one corpus, each opened when it is first asked for.

    Named by their encoders, or as their folders are where an encoder has several; then `entry` says which by fields.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._folders = {folder.name: folder for folder in folders(name)}
        self._named: dict[str, list[str]] = {}
        for folder in self._folders:
            self._named.setdefault(folder.rpartition("-")[0], []).append(folder)
        self._readers: dict[str, Reader] = {}
        if not self._folders:
            where, have = os.pathsep.join(map(str, roots())), ", ".join(corpora()) or "nothing"
            raise CacheError(
                f"the cache at {where} has no corpus {name!r}; it has: {have}. FEATURES_ROOT names another cache"
            )

    def entry(self, encoder: str, /, **where: object) -> Reader:
        """Return the one entry of an encoder whose key has these fields, such as `entry("mfcc", grid="clip")`."""
        names = self._named.get(encoder, [])
        try:
            folder = find(self.name, encoder, **where)
        except CacheError as error:
            if not names:
                raise NoEntryError(str(error)) from None
            here = " or ".join(f"open({self.name!r})[{name!r}]" for name in names)
            raise (CacheError(f"{error}\nIn Python: {here}") if len(names) > 1 else error) from None
        return self._opened(folder)

    def __getitem__(self, name: str) -> Reader:
        one, *more = self._named.get(name, [name])
        return self.entry(name) if more or one not in self._folders else self._opened(self._folders[one])

    def __contains__(self, name: object) -> bool:
        return name in self._folders or name in self._named

    def __iter__(self) -> Iterator[str]:
        for encoder, names in self._named.items():
            yield from names if len(names) > 1 else [encoder]

    def __len__(self) -> int:
        return len(self._folders)

    def __repr__(self) -> str:
        wide = max(map(len, self))
        lines = [f"  {name:{wide}}  {self._outline(name)}" for name in self]
        return "\n".join([f"{self.name}: {len(self)} {'entry' if len(self) == 1 else 'entries'}", *lines])

    def _outline(self, name: str) -> str:
        try:
            return _outline(self[name])
        except (CacheError, OSError) as error:
            return f"cannot be read: {error}"

    def _opened(self, folder: Path) -> Reader:
        if folder.name not in self._readers:
            self._readers[folder.name] = Reader(folder)
        return self._readers[folder.name]

    def dataset(
        self,
        entries: Mapping[str, str | Reader],
        *,
        clips: Iterable[str] | None = None,
        labels: Mapping[str, Any] | None = None,
        dtype: str = "float32",
    ) -> Clips:
        """Return a torch `Dataset` of clips with masks; give its `collate` to a `DataLoader`.

        `entries` says of each modality which entry it is, as in `{"audio": "mfcc"}`; `labels` has a number, or several,
        for each clip. Without `clips` it holds all that any of the entries has, of which a label is known.
        """
        readers = {modality: self[one] if isinstance(one, str) else one for modality, one in entries.items()}
        return dataset(readers, clips, labels, dtype)

    def close(self) -> None:
        """Let go of every file; reading opens them again."""
        for reader in self._readers.values():
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_corpus(name: str) -> Corpus:
    """Open a corpus of the cache that `FEATURES_ROOT` names: `features.open("meld")["mfcc"]["dia0_utt0"]`."""
    return Corpus(name)


def _outline(reader: Reader) -> str:
    """Say in a line what an entry holds, with the shape of its first clip: windows, steps, width."""
    text = f"{len(reader)} clips  {reader.key.grid}  {reader.key.dtype}"
    for clip in reader:
        lengths, _ = reader.outline(clip)
        steps = sorted(set(lengths.tolist())) or [0]
        span = "..".join(map(str, dict.fromkeys([steps[0], steps[-1]])))
        return f"{text}  {clip!r:.60}: ({', '.join(map(str, [len(lengths), span, *step_shape(reader)]))})"
    return text
