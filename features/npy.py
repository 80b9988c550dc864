"""numpy's own files, `.npy` and `.npz`: read some rows at a time, never unpickled, and written so."""

import contextlib
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from features.roots import CacheError
from features.rows import MOST_ARRAY_BYTES, Allowance, Rows, step_of
from features.windows import Array

SUFFIX = ".npy"
KINDS = "iufbSU"
"""Numbers and texts."""
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_PLAIN, _ENCRYPTED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}, 1
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
Stream = Callable[[], AbstractContextManager[IO[bytes]]]


def array(path: Path) -> Rows:
    """Return the array of a file."""
    return _rows(f"{path}", lambda: path.open("rb"), path.stat().st_size)


@contextlib.contextmanager
def archive(path: Path) -> Iterator[dict[str, Rows]]:
    """Open an archive of arrays, which are unpacked block by block."""
    size = path.stat().st_size
    allowance = Allowance(path, size)
    with zipfile.ZipFile(path) as opened:
        found: dict[str, Rows] = {}
        for info in opened.infolist():
            name = info.filename.removesuffix(SUFFIX)
            if name == info.filename:
                continue
            if name in found or info.compress_type not in _PLAIN or info.flag_bits & _ENCRYPTED:
                raise CacheError(f"{path}: {name} stands there twice, or is not packed as numpy does; save it anew")
            if info.compress_type == zipfile.ZIP_DEFLATED or info.file_size > size:
                allowance.take(name, info.file_size)
            found[name] = _rows(f"{path}: {name}", partial(opened.open, info), info.file_size)
        yield found


def _rows(where: str, stream: Stream, size: int) -> Rows:
    with stream() as file:
        shape, fortran, dtype = _header(where, file)
        begin = file.tell()
    nbytes = math.prod(shape) * dtype.itemsize
    if begin + nbytes != size:
        raise CacheError(
            f"{where}: expected {shape} of {dtype}, which are {nbytes} bytes, got {size - begin}; is the copy complete?"
        )
    if fortran and nbytes > MOST_ARRAY_BYTES:
        raise CacheError(f"{where}: lies column by column; save np.ascontiguousarray of it, to be read row by row")
    return Rows(shape, dtype, partial(_columns if fortran else _blocks, stream, begin, shape, dtype))


def _header(where: str, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read what an array is; numpy takes its header for a Python literal and nothing else."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise CacheError(f"{where}: expected a file of numpy's version 1.0 or 2.0, got {version}")
    shape, fortran, dtype = _HEADERS[version](file)
    if dtype.kind not in KINDS or dtype.hasobject:
        raise CacheError(
            f"{where}: expected numbers or texts, got {dtype}; objects are pickles, which could run anything: whoever "
            "made it can save arrays of numbers"
        )
    if not shape or min(shape) < 0 or not math.prod(shape[1:]) * dtype.itemsize:
        raise CacheError(f"{where}: expected a row for each clip, got the axes {shape} of {dtype}")
    return shape, fortran, dtype


def _blocks(stream: Stream, begin: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[Array]:
    row_bytes = math.prod(shape[1:]) * dtype.itemsize
    step = step_of(row_bytes)
    with stream() as file:
        _exactly(file, begin)
        for first in range(0, shape[0], step):
            count = min(step, shape[0] - first)
            yield np.frombuffer(_exactly(file, count * row_bytes), dtype).reshape(count, *shape[1:])
        _exactly(file, 0)


def _columns(stream: Stream, begin: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[Array]:
    with stream() as file:
        _exactly(file, begin)
        data = _exactly(file, math.prod(shape) * dtype.itemsize)
        _exactly(file, 0)
    yield np.frombuffer(data, dtype).reshape(shape[::-1]).T


def _exactly(file: IO[bytes], size: int) -> bytes:
    """Read so many bytes; none is asked for at the end, where an archive compares its checksum."""
    data = file.read(size or 1)
    if len(data) != size:
        raise ValueError("it was cut short, or has grown, while it was read")
    return data


class Making:
    """Arrays that are being written for others, in an archive or in a folder."""

    def __init__(self, create: Callable[[str], AbstractContextManager[IO[bytes]]]) -> None:
        self._create = create

    def table(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[Array]) -> None:
        """Write an array some rows at a time."""
        head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        with self._create(name + SUFFIX) as file:
            np.lib.format.write_array_header_1_0(file, head)
            for block in blocks:
                file.write(block.astype(dtype, copy=False).tobytes())

    def texts(self, name: str, texts: Sequence[str]) -> None:
        """Write texts."""
        array = np.array(texts, np.str_)
        self.table(name, array.shape, array.dtype, [array])


@contextlib.contextmanager
def making(path: Path) -> Iterator[Making]:
    """Write a new archive, unpacked: its arrays can be read where they lie."""
    with zipfile.ZipFile(path, "x") as archive:
        # The date is always the same, so that the same arrays are the same file.
        yield Making(lambda name: archive.open(zipfile.ZipInfo(name, _LONG_AGO), "w", force_zip64=True))
