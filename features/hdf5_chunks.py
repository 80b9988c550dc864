"""Arrays of somebody else's HDF5 that lie in chunks, packed or not."""

import itertools
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from h5py import h5d, h5s, h5z

from features.roots import CacheError
from features.rows import Allowance, Rows
from features.windows import Array

LZF = 32_000
POINTER = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])
"""How HDF5 says where a text of any length lies: in which heap, as which object."""


class File(Protocol):
    """What a chunk asks of the file that it lies in."""

    path: Path
    cure: str
    allowance: Allowance

    def content(self, begin: int, size: int) -> bytes:
        """Return bytes of the file."""
        ...


class Chunks:
    """An array in chunks that may be packed: HDF5 itself would unpack one without a bound."""

    def __init__(self, file: File, name: str, found: h5d.DatasetID, dtype: np.dtype[Any]) -> None:
        self.file, self.name, self.found, self.dtype = file, name, found, dtype
        how = found.get_create_plist()
        self.chunk: tuple[int, ...] = how.get_chunk()
        self.nbytes = math.prod(self.chunk) * dtype.itemsize
        self.packed = [how.get_filter(i) for i in range(how.get_nfilters())]
        kinds = {each[0] for each in self.packed}
        # LZF is left to HDF5: it can grow no more than some 90 times, and who knows a chunk's size lets none grow so.
        self.by_hdf5 = kinds <= {LZF, h5z.FILTER_SHUFFLE} and LZF in kinds and dtype != POINTER
        sizes = {values[2] for kind, _, values, _ in self.packed if kind == LZF}
        if not (self.by_hdf5 or kinds <= {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE}) or sizes - {self.nbytes}:
            names = ", ".join(each[3].decode("ascii", "replace") for each in self.packed)
            raise CacheError(
                f"{file.path}: {name} is packed by {names}; expected gzip or lzf, with shuffle or without: "
                "h5repack -f GZIP=4 IN OUT makes such a file"
            )

    def rows(self) -> Rows:
        """Return its rows."""
        return Rows(self.found.shape, self.dtype, self._blocks)

    def _blocks(self) -> Iterator[Array]:
        where = self._where()
        shape = self.found.shape
        for first in range(0, shape[0], self.chunk[0]):
            block = np.empty((min(self.chunk[0], shape[0] - first), *shape[1:]), self.dtype)
            for at in itertools.product(*(range(0, n, c) for n, c in zip(shape[1:], self.chunk[1:], strict=True))):
                place = block[(slice(None), *(slice(a, a + c) for a, c in zip(at, self.chunk[1:], strict=True)))]
                place[...] = self._unpacked(where[first, *at], place.shape)
            yield block

    def _where(self) -> dict[tuple[int, ...], Any]:
        """Return where each chunk lies; all must be there, and what they unfold to is asked for first."""
        counts = [-(-n // c) for n, c in zip(self.found.shape, self.chunk, strict=True)]
        promised = math.prod(counts) * self.nbytes
        stored = self.found.get_storage_size()
        if self.found.get_num_chunks() != math.prod(counts) or (not self.packed and stored != promised):
            raise CacheError(f"{self.file.path}: {self.name} promises more than is stored; {self.file.cure}")
        if self.packed:
            self.file.allowance.take(self.name, promised)
        found: dict[tuple[int, ...], Any] = {}
        self.found.chunk_iter(lambda chunk: found.update({chunk.chunk_offset: chunk}))
        return found

    def _unpacked(self, chunk: Any, shape: tuple[int, ...]) -> Array:
        if self.by_hdf5:
            values, space = np.empty(shape, self.dtype), self.found.get_space()
            space.select_hyperslab(chunk.chunk_offset, shape)
            self.found.read(h5s.create_simple(shape), space, values, self.found.get_type())
            return values
        data = self.file.content(chunk.byte_offset, chunk.size)
        for place, (kind, _, values, _) in reversed([*enumerate(self.packed)]):
            if not chunk.filter_mask >> place & 1:
                data = _inflated(data, self.nbytes) if kind == h5z.FILTER_DEFLATE else _in_order(data, values[0])
        if len(data) != self.nbytes:
            raise ValueError(f"a chunk of {self.name} is not of the size that it promises")
        return np.frombuffer(data, self.dtype).reshape(self.chunk)[tuple(map(slice, shape))]


def _inflated(data: bytes, size: int) -> bytes:
    """Unpack what must become so many bytes and no more."""
    stream = zlib.decompressobj()
    found = stream.decompress(data, size + 1)
    if len(found) != size or not stream.eof:
        raise ValueError("a chunk unfolds to something else than it promises")
    return found


def _in_order(data: bytes, size: int) -> bytes:
    """Undo the shuffling of the bytes of numbers, each of which has so many."""
    return np.frombuffer(data, np.uint8).reshape(size, -1).T.tobytes()
