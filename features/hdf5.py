"""HDF5, as far as this house knows it: read without following anything, written as plain arrays.

No other module of `features` knows HDF5. Law 13: a file goes nowhere by a link, neither to other files nor within,
holds no objects, and promises no more than it stores; all of that is looked at before memory is taken.
"""

import contextlib
import io
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5l, h5o, h5p, h5t

from features.roots import CacheError
from features.windows import Array

_ACCESS = h5p.create(h5p.FILE_ACCESS)
_ACCESS.set_fclose_degree(h5f.CLOSE_STRONG)
_ACCESS.set_file_locking(use_file_locking=False, ignore_when_disabled=False)


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
        self._objects: dict[str, Any] = {"": h5o.open(file, b"/")}

    def handle(self) -> int:
        """Return a handle of the open file that is the caller's own."""
        return os.dup(self._file.get_vfd_handle())

    def names(self, group: str = "") -> list[str]:
        """Name what lies in a group; nothing where there is none."""
        above, _, step = group.rpartition("/")
        there = not group or step.encode() in self._object(above)
        return [name.decode() for name in self._object(group)] if there else []

    def array(self, name: str, size: int) -> Stored:
        """Return where an array lies: no objects, nothing from other files, nothing promised that is not stored."""
        found = self._object(name)
        if not isinstance(found, h5d.DatasetID) or not _is_plain(found):
            raise CacheError(f"{self.path}: {name} is not a plain array; {self.cure}")
        shape, dtype = found.shape, found.get_type().dtype
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        nbytes = shape[0] * row_bytes
        begin = found.get_offset() if nbytes else 0
        if found.get_storage_size() != nbytes or begin is None or begin + nbytes > size:
            raise CacheError(f"{self.path}: {name} promises more than is stored; {self.cure}")
        return Stored(begin, shape, dtype, row_bytes)

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

    def _object(self, name: str) -> Any:
        if name not in self._objects:
            above, _, step = name.rpartition("/")
            group = self._object(above)
            if step.encode() not in group or group.links.get_info(step.encode()).type != h5l.TYPE_HARD:
                raise CacheError(f"{self.path}: {name} is missing or a link; {self.cure}")
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
