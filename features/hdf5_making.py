"""HDF5 that is written for other tools, as one goes: plain arrays, without compression, times or heaps."""

import contextlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from features.windows import Array


class Making:
    """A file that is being written for other tools: plain arrays and texts under their names, in groups by `/`."""

    def __init__(self, file: h5py.File, sink: "_Sink") -> None:
        self._file, self._sink = file, sink

    def array(self, name: str, array: Array) -> None:
        """Write an array."""
        self._file.create_dataset(name, data=array, track_times=False)
        self._sink.check()

    def table(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[Array]) -> None:
        """Write an array some rows at a time."""
        table, first = self._file.create_dataset(name, shape, dtype, track_times=False), 0
        for block in blocks:
            table[first : first + len(block)] = block
            first += len(block)
            self._sink.check()

    def texts(self, name: str, texts: Iterable[str]) -> None:
        """Write texts, padded to one length: others lie in a heap, where one wrong byte makes HDF5 hang or crash."""
        data = [text.encode() for text in texts]
        dtype = h5py.string_dtype("utf-8", max([1, *map(len, data)]))
        self.array(name, np.array(data, dtype))


@contextlib.contextmanager
def making(path: Path) -> Iterator[Making]:
    """Write a new file as one goes; a disk that fills up is an error and ends no process."""
    with path.open("w+b", buffering=0) as stream:
        sink = _Sink(stream)
        try:
            with h5py.File(sink, "w") as file:
                yield Making(file, sink)
        finally:
            sink.check()  # says more than whatever HDF5 made of it


class _Sink(io.RawIOBase):
    """A file that keeps to itself what the disk refuses until it is asked: HDF5 crashes where a write fails."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise what the disk said."""
        if self._error:
            raise self._error

    def write(self, data: Any) -> int:
        """Write all of it, or pretend to."""
        with self._kept():
            done = 0
            while done < len(data):
                done += self._stream.write(data[done:])
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Cut the file to a size, or pretend to."""
        with self._kept():
            self._stream.truncate(size)
        return self.tell() if size is None else size

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._error = self._error or error

    def readinto(self, place: Any) -> int:
        """Read what is there, and zeros behind it."""
        data = self._stream.read(len(place)) or b""
        place[:] = data + bytes(len(place) - len(data))
        return len(place)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        return self._stream.seek(place, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._stream.tell()
