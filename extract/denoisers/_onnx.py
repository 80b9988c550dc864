"""The named float32 tensors of an ONNX file, and nothing else of it: its graph is never read, let alone run.

The file is one protobuf message, a model; its field 7 is the graph, and each field 5 of that is a tensor.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GRAPH, TENSOR = 7, 5
SHAPE, TYPE, NAME, RAW = 1, 2, 8, 9
FLOAT32 = 1
FIXED_BYTES = {1: 8, 5: 4}
LONGEST_NUMBER_BYTES = 10


def tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read every float32 tensor that is stored under a name."""
    found = {}
    for graph in _inner(memoryview(path.read_bytes()), GRAPH):
        for tensor in _inner(graph, TENSOR):
            if FLOAT32 in (value for field, value in _fields(tensor) if field == TYPE):
                name = b"".join(_inner(tensor, NAME)).decode(errors="replace")
                found[name] = _values(tensor, name)
    return found


def _values(tensor: memoryview, name: str) -> NDArray[np.float32]:
    shape: list[int] = []
    for field, value in _fields(tensor):
        if field == SHAPE:  # one by one, or packed into one field
            shape += [value] if isinstance(value, int) else _numbers(value)
    raw = b"".join(_inner(tensor, RAW))
    if not 0 < 4 * math.prod(shape) == len(raw):
        raise ValueError(f"expected the float32 numbers of {name}, of shape {shape}, got {len(raw)} bytes")
    return np.frombuffer(raw, "<f4").astype(np.float32).reshape(shape)


def _inner(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for field, value in _fields(message):
        if field == wanted and not isinstance(value, int):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Walk one message: the number of each field, with the whole number or the bytes that it holds."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        field, kind = tag >> 3, tag & 7
        if kind not in (0, 2, *FIXED_BYTES):
            raise ValueError(f"expected an ONNX file, got a field of kind {kind}")
        held, at = (FIXED_BYTES[kind], at) if kind in FIXED_BYTES else _number(message, at)
        if kind == 0:
            yield field, held
            continue
        if held > len(message) - at:
            raise ValueError(f"expected an ONNX file, got one that ends {held - len(message) + at} bytes too early")
        yield field, message[at : at + held]
        at += held


def _numbers(packed: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(packed):
        value, at = _number(packed, at)
        found.append(value)
    return found


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """Read a whole number, 7 bits a byte and the lowest first, and say where it ends."""
    value = 0
    for place, byte in enumerate(message[at : at + LONGEST_NUMBER_BYTES]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise ValueError("expected an ONNX file, got a whole number without an end")
