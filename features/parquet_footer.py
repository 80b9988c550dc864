"""What a parquet file promises, from its own footer and the heads of its pages, before anything of it is unfolded.

Parquet writes both in Thrift's compact protocol, of which this reads as much as they use. Arrow has the numbers, too,
but ends the process over some that are wrong, and believes them of pages.
"""

import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.roots import CacheError
from features.rows import HARMLESS_BYTES, MOST_TIMES

MAGIC = b"PAR1"
DEEP = 16
TEXT = 6
WIDTHS = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8, TEXT: 4}
"""Bytes of a value by its physical type; of a text those of its place in a dictionary."""
Fields = Mapping[int, Any]


@dataclass(frozen=True)
class Group:
    """Rows that stand together: how many, and how many bytes their columns take in memory."""

    rows: int
    bytes: int
    longest: int
    """No text in it can be longer: a dictionary or a beginning may stand for it in every row."""


def groups(path: Path, columns: Sequence[str]) -> list[Group]:
    """Return the groups of rows of a file; one with columns that would take far more than their place is refused."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        length = int.from_bytes(data[-8:-4], "little")
        if data[-4:] != MAGIC or length + 12 > len(data):
            raise ValueError("its end is missing")
        footer = _Thrift(data, len(data) - 8 - length).struct()
        leaves = [leaf for leaf in footer[2] if 1 in leaf]
        return [_group(path, data, group, leaves, columns) for group in footer.get(4, [])]


def _group(path: Path, data: mmap.mmap, group: Fields, leaves: Sequence[Fields], columns: Sequence[str]) -> Group:
    total = longest = 0
    for chunk, leaf in zip(group[1], leaves, strict=True):
        about = chunk[3]
        name = b".".join(about[3]).decode()
        if not any(f"{name}.".startswith(f"{column}.") for column in columns):
            continue
        if 1 in chunk:
            raise CacheError(f"{path}: {name} lies in another file, which is not opened; write all to one file")
        width = WIDTHS.get(about[1]) or leaf.get(2, 0)
        pages = [(page[2], width * _values(page)) for page in _pages(data, about)]
        size = max(about[6], width * about[5], sum(max(page) for page in pages))
        if size > max(MOST_TIMES * about[7], HARMLESS_BYTES):
            raise CacheError(
                f"{path}: {name} would take {size} bytes, but has {about[7]} in the file; "
                f"expected at most {MOST_TIMES} times as much: write it anew without compression"
            )
        total += size
        if about[1] == TEXT:
            longest = max(longest, *(unfolded for unfolded, _ in pages))
    return Group(group[3], total, longest)


def _pages(data: mmap.mmap, about: Fields) -> Iterator[Fields]:
    """Yield the heads of a column's pages."""
    place = min(start for start in (about[9], about.get(11, 0)) if start)
    end = place + about[7]
    if not 0 < place <= end <= len(data):
        raise ValueError(f"a column is said to lie at bytes {place} to {end} of {len(data)}")
    while place < end:
        thrift = _Thrift(data, place)
        page = thrift.struct()
        place = thrift.place + page[3]
        if page[3] < 0 or place > end:
            raise ValueError(f"a page of {page[3]} bytes reaches over the end of its column")
        yield page


def _values(page: Fields) -> int:
    """Return how many values a page has; of its kinds, those with values say so first."""
    head = page.get(5) or page.get(8) or page.get(7) or {}
    return int(head.get(1, 0))


class _Thrift:
    """Values in the compact protocol, from a place in a file on; structures are numbered fields."""

    def __init__(self, data: mmap.mmap, place: int) -> None:
        self.data, self.place, self.depth = data, place, 0

    def struct(self) -> dict[int, Any]:
        """Read one structure."""
        self.depth += 1
        if self.depth > DEEP:
            raise ValueError("its description is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind)
        self.depth -= 1
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind == 8:
            return self._bytes(self._unsigned())
        if kind in (9, 10):
            return self._list()
        if kind == 12:
            return self.struct()
        raise ValueError(f"its description has a value of unknown kind {kind}")

    def _list(self) -> list[Any]:
        head = self._byte()
        length = head >> 4
        if length == 15:
            length = self._unsigned()
        if length > len(self.data) - self.place:  # every value takes a byte
            raise ValueError(f"its description has a list of {length}, more than it has bytes")
        return [self._value(head & 15) for _ in range(length)]

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)

    def _unsigned(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("its description has a number without an end")

    def _byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

    def _bytes(self, length: int) -> bytes:
        self.place += length
        if self.place > len(self.data):
            raise ValueError("its description is cut short")
        return self.data[self.place - length : self.place]
