"""The label files of CMU's corpora, `.csd`: HDF5 that holds, video by video, spans of time and what raters said.

They come from the net, so nothing in them is followed to another file, and nothing is believed before it is checked.
"""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s
from numpy.typing import NDArray

from manifests.clip import ManifestError

MAX_FILE_BYTES = 1 << 28
MAX_SPANS = 2_000  # in one video; the most that any real one has is below 100
MAX_COLUMNS = 64
MAX_HEAP_BYTES = 1 << 16
_ALIGNED = re.compile(r"\[\d+\]$", re.ASCII)


@dataclass(frozen=True)
class Spans:
    """What a label file says of one video: times in seconds and values in rows that belong together."""

    video: str
    times_s: tuple[tuple[float, float], ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Csd:
    """A label file: its videos, and what it calls the columns of the values, where it says so."""

    columns: tuple[str, ...]
    videos: tuple[Spans, ...]


def read(file: Path) -> Csd:
    """Read a label file; whatever is wrong with it is said in one sentence."""
    size_bytes = file.stat().st_size
    if size_bytes > MAX_FILE_BYTES:
        raise ManifestError(f"{file}: expected labels, got {size_bytes >> 20} MB; is it a file of features?")
    try:
        with h5py.File(file, "r", locking=False) as opened:
            return _read(opened["/"].id, file)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - which one it is depends on which byte is wrong
        raise ManifestError(f"{file}: cannot be read as labels ({error}); is the download complete?") from None


def _read(opened: h5g.GroupID, file: Path) -> Csd:
    heads = [head for name in opened if _has(head := _own(opened, name), b"data")]
    if len(heads) != 1:
        raise ValueError(f"expected one group that holds data, got {len(heads)}")
    return Csd(_columns(heads[0], file), tuple(_videos(_own(heads[0], b"data"))))


def _videos(data: Any) -> Iterator[Spans]:
    if not isinstance(data, h5g.GroupID):
        raise TypeError("data is not a group of videos")
    for key in data:
        entry, video = _own(data, key), key.decode()
        times, values = (_numbers(f"{video}/{name}", _own(entry, name.encode())) for name in ("intervals", "features"))
        if times.shape[1] != 2 or len(times) != len(values):
            raise ValueError(f"{video}: expected two times for each row, got {times.shape} beside {values.shape}")
        # What was aligned with the SDK has an entry for each segment, `video[3]`.
        yield Spans(_ALIGNED.sub("", video), tuple(map(tuple, times.tolist())), tuple(map(tuple, values.tolist())))


def _has(group: Any, name: bytes) -> bool:
    return isinstance(group, h5g.GroupID) and group.links.exists(name)


def _own(group: Any, name: bytes) -> Any:
    """Return what lies in a group itself. Law 13: go nowhere by a link, neither to other files nor within."""
    if not _has(group, name) or group.links.get_info(name).type != h5l.TYPE_HARD:
        raise ValueError(f"{name.decode()} is missing or a link")
    return h5o.open(group, name)


def _numbers(name: str, found: Any) -> NDArray[np.float64]:
    """Return a small table of finite numbers; its size is looked at before it is read."""
    if not isinstance(found, h5d.DatasetID) or found.rank != 2 or found.dtype.kind not in "fiu":
        raise TypeError(f"{name} is not a table of numbers")
    if found.shape[0] > MAX_SPANS or found.shape[1] > MAX_COLUMNS:
        raise ValueError(f"{name} is far too large: {found.shape}")
    if _is_elsewhere(found):
        raise ValueError(f"{name} lies in another file")
    values = np.empty(found.shape)
    found.read(h5s.ALL, h5s.ALL, values)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds what is not a number")
    return values


def _is_elsewhere(found: h5d.DatasetID) -> bool:
    how = found.get_create_plist()
    return bool(how.get_layout() == h5d.VIRTUAL or how.get_external_count())


def _columns(head: h5g.GroupID, file: Path) -> tuple[str, ...]:
    """Return the names of the columns, which the metadata may hold as JSON."""
    if not _has(head, b"metadata") or not _has(metadata := _own(head, b"metadata"), b"dimension names"):
        return ()
    found = _own(metadata, b"dimension names")
    if not isinstance(found, h5d.DatasetID) or found.shape != (1,) or _is_elsewhere(found):
        return ()
    kind, begin = h5py.check_string_dtype(found.dtype), found.get_offset()
    if kind is None or kind.length is not None or begin is None:
        return ()
    try:
        names = json.loads(_text(file, begin))
    except (ValueError, RecursionError):
        return ()
    known = isinstance(names, list) and len(names) <= MAX_COLUMNS and all(isinstance(name, str) for name in names)
    return tuple(names) if known else ()


def _text(file: Path, begin: int) -> bytes:
    """Return a text from the heap by where its address stands; HDF5 itself may hang where one byte of one is wrong."""
    with file.open("rb") as stream:
        stream.seek(begin)
        size_bytes, heap, wanted = struct.unpack("<IQI", stream.read(16))
        stream.seek(heap)
        content = stream.read(MAX_HEAP_BYTES)
    at = 16
    while content.startswith(b"GCOL") and at + 16 <= len(content):
        number, length_bytes = struct.unpack_from("<H6xQ", content, at)
        if number == wanted:
            return content[at + 16 : at + 16 + min(size_bytes, length_bytes)]
        at += 16 + length_bytes + -length_bytes % 8
    raise TypeError("the names of its columns are damaged")
