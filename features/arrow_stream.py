"""Files in Arrow's streaming format, mapped: no row takes memory before it is asked for, or more than the file has."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from features import arrow_rows
from features.arrow import library

END = bytes.fromhex("ffffffff00000000")
"""Ends a whole stream."""


class Stream:
    """One open file of rows, as `datasets` saves them: neither compressed nor with dictionaries."""

    def __init__(self, path: Path, ids: str) -> None:
        pa, self.path = library(), path
        with path.open("rb") as file:
            file.seek(-len(END), 2)
            if file.read() != END:
                raise ValueError("its end is missing")
        self._file = pa.memory_map(str(path))
        self._messages = pa.ipc.MessageReader.open_stream(self._file)
        first = self._next()
        if not first or first.type != "schema":  # of anything else pyarrow reads a schema where none is
            raise ValueError("expected it to begin with a schema")
        self.schema = pa.ipc.read_schema(first)
        self.layout = arrow_rows.layout(self.schema, path, ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def batches(self) -> Iterator[Any]:
        """Yield the rows as they were written, some at a time."""
        while message := self._next():
            packed = _is_packed(bytes(message.metadata))
            if message.type != "record batch" or packed:
                raise ValueError(f"expected plain rows, got {'packed ones' if packed else message.type}")
            yield library().ipc.read_record_batch(message, self.schema)

    def _next(self) -> Any:
        with contextlib.suppress(StopIteration):
            return self._messages.read_next_message()
        return None


def _is_packed(message: bytes) -> bool:
    """Return whether the head of a message says that its rows are compressed: they could unfold to any size."""
    root = struct.unpack_from("<I", message)[0]
    header = root + _field(message, root, 2)
    return bool(_field(message, header + struct.unpack_from("<I", message, header)[0], 3))


def _field(message: bytes, table: int, number: int) -> int:
    """Return where a field of a flatbuffer's table lies behind its begin; 0 where it is not there."""
    fields, place = table - struct.unpack_from("<i", message, table)[0], 4 + 2 * number
    there = place < struct.unpack_from("<H", message, fields)[0]
    return int(struct.unpack_from("<H", message, fields + place)[0]) if there else 0
