"""HDF5, as far as this house knows it: read without following anything, written as plain arrays.

No module of `features` but this and `hdf5_*` knows HDF5. Law 13: a file goes nowhere by a link, neither to other files
nor within, holds no objects, and promises no more than it stores; all of that is looked at before memory is taken. The
library is asked where things lie; their bytes are read, and unpacked within bounds, here.
"""

import contextlib
import io
import itertools
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5l, h5o, h5p, h5t

from features.hdf5_chunks import POINTER, Chunks
from features.roots import CacheError
from features.rows import Allowance, Rows, step_of
from features.windows import Array

_ACCESS = h5p.create(h5p.FILE_ACCESS)
_ACCESS.set_fclose_degree(h5f.CLOSE_STRONG)
_ACCESS.set_file_locking(use_file_locking=False, ignore_when_disabled=False)
MOST_OPEN = 256
"""Objects of a file that are kept open."""
MOST_ARRAYS, DEEPEST = 4096, 8
"""Arrays of a file, and groups within each other, that are looked through."""


@contextlib.contextmanager
def whole(path: Path, cure: str) -> Iterator[None]:
    """Turn whatever HDF5 raises on damaged bytes into one message that names the file."""
    try:
        yield
    except (CacheError, FileNotFoundError, MemoryError):
        raise
    except PermissionError:
        raise CacheError(f"{path}: may not be read; ask whoever owns it") from None
    except Exception as error:  # noqa: BLE001 - which one it is depends on which byte is wrong
        raise CacheError(f"{path}: cut short or damaged ({error}); {cure}") from None


@dataclass(frozen=True)
class Stored:
    """A plain array in a file: where it begins and what it holds."""

    begin: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    row_bytes: int


class Opened:
    """What lies under the names of an open file."""

    def __init__(self, path: Path, file: h5f.FileID, cure: str) -> None:
        self.path, self.cure = path, cure
        self._file = file
        self._top = h5o.open(file, b"/")
        self._objects: dict[str, Any] = {}
        self._handle = file.get_vfd_handle()
        self.size = os.fstat(self._handle).st_size
        self.allowance = Allowance(path, self.size)
        self._heaps: dict[int, dict[int, bytes]] = {}

    def handle(self) -> int:
        """Return a handle of the open file that is the caller's own."""
        return os.dup(self._handle)

    def names(self, group: str = "") -> list[str]:
        """Name what lies in a group; nothing where there is none."""
        above, _, step = group.rpartition("/")
        if group and step.encode() not in self._object(above):
            return []
        found = self._object(group)
        if not isinstance(found, h5g.GroupID):
            raise CacheError(f"{self.path}: {group} is not a group; {self.cure}")
        return [name.decode() for name in found]

    def array(self, name: str, size: int) -> Stored:
        """Return where an array lies: no objects, nothing from other files, nothing promised that is not stored."""
        found = self._object(name)
        if not isinstance(found, h5d.DatasetID) or not _is_plain(found):
            raise CacheError(f"{self.path}: {name} is not a plain array; {self.cure}")
        return self._stored(name, found, found.shape, found.get_type().dtype, size)

    def number(self, name: str) -> int:
        """Return an attribute of the file that is a whole number."""
        return int(self._attribute(name, "i"))

    def text(self, name: str) -> str:
        """Return an attribute of the file that is a text of fixed length."""
        return str(self._attribute(name, "S").decode())

    def _attribute(self, name: str, kind: str) -> Any:
        found = h5a.open(self._file, name.encode())
        if found.dtype.kind != kind or found.shape:
            raise ValueError(f"its {name} is not what the format says")
        value = np.empty((), found.dtype)
        found.read(value)
        return value[()]

    def arrays(self) -> list[str]:
        """Name every array, in whatever group it lies."""
        found = list(itertools.islice(self._walk("", DEEPEST), MOST_ARRAYS + 1))
        if len(found) > MOST_ARRAYS:
            raise CacheError(f"{self.path}: more than {MOST_ARRAYS} arrays; {self.cure}")
        return found

    def _walk(self, group: str, deeper: int) -> Iterator[str]:
        for step in self.names(group):
            name = f"{group}/{step}" if group else step
            found = self._object(name)
            if isinstance(found, h5d.DatasetID):
                yield name
            elif isinstance(found, h5g.GroupID) and deeper:
                yield from self._walk(name, deeper - 1)
            elif isinstance(found, h5g.GroupID):
                raise CacheError(f"{self.path}: {name} lies more than {DEEPEST} groups deep; {self.cure}")

    def rows(self, name: str) -> Rows:
        """Return an array of somebody else's, of numbers or texts, plain or packed."""
        found = self._dataset(name)
        kind = found.get_type()
        if isinstance(kind, h5t.TypeStringID):
            return Rows(found.shape or (1,), np.dtype(object), lambda: iter([np.array(self.texts(name), object)]))
        if kind.dtype.kind not in "iufb" or h5t.py_create(kind.dtype, logical=True) != kind:
            raise CacheError(f"{self.path}: {name} holds something else than numbers or texts; {self.cure}")
        return self._rows(name, found, kind.dtype)

    def texts(self, name: str) -> list[str]:
        """Return texts, of one length or of any; HDF5 itself may hang where one byte of a heap is wrong."""
        found = self._dataset(name)
        kind = found.get_type()
        if not isinstance(kind, h5t.TypeStringID):
            raise CacheError(f"{self.path}: {name} holds no texts; {self.cure}")
        if kind.is_variable_str():
            pointers = self._rows(name, found, POINTER).whole().reshape(-1).tolist()
            return [self._heap(heap).get(index, b"")[:length].decode() for length, heap, index in pointers]
        padding = " " if kind.get_strpad() == h5t.STR_SPACEPAD else ""
        padded = self._rows(name, found, kind.dtype).whole().reshape(-1).tolist()
        return [text.partition(b"\0")[0].decode().rstrip(padding) for text in padded]

    def _heap(self, address: int) -> dict[int, bytes]:
        """Return the texts of a heap by their numbers."""
        if address in (0, 2**64 - 1):  # of no text
            return {}
        if address not in self._heaps:
            begin = address + self._file.get_create_plist().get_userblock()
            size = int.from_bytes(self.content(begin, 16)[8:], "little")
            self.allowance.take(f"the heap at {begin}", size)
            content, found, at = self.content(begin, size), {}, 16
            if not content.startswith(b"GCOL\1"):
                raise ValueError("a heap of texts is none")
            while at + 16 <= size and (number := int.from_bytes(content[at : at + 2], "little")):
                length = int.from_bytes(content[at + 8 : at + 16], "little")
                found[number] = content[at + 16 : at + 16 + length]
                at += 16 + length + -length % 8
            self._heaps[address] = found
        return self._heaps[address]

    def content(self, begin: int, size: int) -> bytes:
        """Return bytes of the file."""
        if begin + size > self.size:
            raise ValueError("it promises more than is stored")
        data = os.pread(self._handle, size, begin)
        if len(data) != size:
            raise ValueError("it was cut short while it was read")
        return data

    def _rows(self, name: str, found: h5d.DatasetID, dtype: np.dtype[Any]) -> Rows:
        how = found.get_create_plist()
        if found.shape is None or how.get_external_count() or how.get_layout() not in (h5d.CONTIGUOUS, h5d.CHUNKED):
            raise CacheError(f"{self.path}: {name} lies in other files, or is no array of its own; {self.cure}")
        shape = found.shape or (1,)
        if not math.prod(shape[1:]):
            raise CacheError(f"{self.path}: {name} has the axes {shape}, with no number in a row; {self.cure}")
        if how.get_layout() == h5d.CHUNKED:
            return Chunks(self, name, found, dtype).rows()
        stored = self._stored(name, found, shape, dtype, self.size)
        return Rows(shape, dtype, partial(self._blocks, stored))

    def _blocks(self, stored: Stored) -> Iterator[Array]:
        step = step_of(stored.row_bytes)
        for first in range(0, stored.shape[0], step):
            count = min(step, stored.shape[0] - first)
            data = self.content(stored.begin + first * stored.row_bytes, count * stored.row_bytes)
            yield np.frombuffer(data, stored.dtype).reshape(count, *stored.shape[1:])

    def _dataset(self, name: str) -> h5d.DatasetID:
        found = self._object(name)
        if not isinstance(found, h5d.DatasetID):
            raise CacheError(f"{self.path}: {name} is not an array; {self.cure}")
        return found

    def _stored(
        self, name: str, found: h5d.DatasetID, shape: tuple[int, ...], dtype: np.dtype[Any], size: int
    ) -> Stored:
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        nbytes = shape[0] * row_bytes
        begin = found.get_offset() if nbytes else 0
        if found.get_storage_size() != nbytes or begin is None or begin + nbytes > size:
            raise CacheError(f"{self.path}: {name} promises more than is stored; {self.cure}")
        return Stored(begin, shape, dtype, row_bytes)

    def _object(self, name: str) -> Any:
        if not name:
            return self._top
        if name not in self._objects:
            above, _, step = name.rpartition("/")
            group = self._object(above)
            if step.encode() not in group or group.links.get_info(step.encode()).type != h5l.TYPE_HARD:
                raise CacheError(f"{self.path}: {name} is missing or a link; {self.cure}")
            if len(self._objects) >= MOST_OPEN:
                self._objects.clear()
            self._objects[name] = h5o.open(group, step.encode())
        return self._objects[name]


@contextlib.contextmanager
def opened(path: Path, cure: str) -> Iterator[Opened]:
    """Open a file to look at what lies in it."""
    file = h5f.open(os.fsencode(path), h5f.ACC_RDONLY, fapl=_ACCESS)
    try:
        yield Opened(path, file, cure)
    finally:
        file.close()


def _is_plain(found: h5d.DatasetID) -> bool:
    """Tell an array whose bytes in the file are those that numpy would have in memory."""
    layout, kind = found.get_create_plist(), found.get_type()
    if layout.get_layout() != h5d.CONTIGUOUS or layout.get_external_count() or not found.shape:
        return False
    return kind.dtype.kind in "iufbS" and h5t.py_create(kind.dtype, logical=True) == kind


def image(arrays: Mapping[str, Array], attributes: Mapping[str, int | str]) -> memoryview:
    """Return the bytes of a file. HDF5 makes them in memory: on a disk that fills up it crashes the process."""
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, track_times=False)
        for name, value in attributes.items():
            if isinstance(value, int):
                file.attrs[name] = value
            else:
                # Of fixed length: others lie in a heap, where one wrong byte makes HDF5 hang or crash.
                dtype = h5py.string_dtype("utf-8", len(value.encode()) or 1)
                file.attrs.create(name, value.encode(), dtype=dtype)
    return made.getbuffer()
