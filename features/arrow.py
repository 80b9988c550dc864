"""Arrow's columns, row by row: which of them hold lists of numbers, and what stands in a row of one.

The only module that asks for pyarrow. Whatever comes from a file is looked through before it is used: Arrow itself
trusts what it maps.
"""

import functools
import importlib
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from features.roots import CacheError
from features.rows import MOST_ARRAY_BYTES
from features.windows import Array

MOST_LEVELS = 8


@functools.cache
def library() -> ModuleType:
    """Return pyarrow with what we use of it; whoever has none is told how to get it."""
    try:
        for name in ("compute", "ipc", "parquet"):
            importlib.import_module(f"pyarrow.{name}")
        return importlib.import_module("pyarrow")
    except ModuleNotFoundError:
        raise CacheError(
            "parquet and Hugging Face datasets need pyarrow, which is not installed; it comes with: "
            "pip install '.[exchange]' (or make setup)"
        ) from None


def checked(batch: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the columns of some rows once their lengths, places and letters were found to be sound."""
    some = batch.select(names)
    some.validate(full=True)
    return {name: _plain(some.column(name)) for name in names}


def plain(kind: Any) -> Any:
    """Return how a type is stored, where it is one that somebody made up."""
    return getattr(kind, "storage_type", kind)


def _plain(column: Any) -> Any:
    return getattr(column, "storage", column)


def is_name(kind: Any) -> bool:
    """Return whether a column's values can name clips."""
    types = library().types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind))


def is_value(kind: Any) -> bool:
    """Return whether a column has a word or a number in each row."""
    return is_name(kind) or _is_number(kind) or bool(library().types.is_boolean(kind))


def is_lists(kind: Any) -> bool:
    """Return whether a column has a list of numbers in each row, or lists of lists of them."""
    level = 0
    while _is_list(kind) and level < MOST_LEVELS:
        kind, level = plain(kind.value_type), level + 1
    return bool(level) and _is_number(kind)


def _is_list(kind: Any) -> bool:
    types = library().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_number(kind: Any) -> bool:
    return bool(library().types.is_integer(kind) or library().types.is_floating(kind))


def text(column: Any, row: int, classes: Sequence[str] = ()) -> str:
    """Return a row's value in words; a whole number is the name of a class where those have names."""
    value = column[row].as_py()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if classes and isinstance(value, int):
        return classes[value] if 0 <= value < len(classes) else ""
    if isinstance(value, float):
        return str(column.type.to_pandas_dtype()(value))  # 0.1, where the double nearest to its bits is longer
    return str(value)


def numbers(column: Any, row: int) -> tuple[list[int], Array] | None:
    """Return how long the lists of a row are, level by level, and all their numbers; nothing where there is no list.

    A number that is missing becomes NaN, so that whoever imports says what to do.
    """
    part = column.slice(row, 1)
    if part.null_count:
        return None
    lengths = []
    while _is_list(part.type):
        if part.null_count:
            raise ValueError("one of the lists in it is missing; leave the whole clip out instead")
        lengths.append(_length(part))
        part = _plain(part.flatten())
    if part.null_count and not library().types.is_floating(part.type):
        raise ValueError("one of its whole numbers is missing; leave the whole clip out instead")
    values: Array = part.to_numpy(zero_copy_only=False)
    if values.nbytes > MOST_ARRAY_BYTES:
        raise ValueError(f"one clip of {values.nbytes} bytes; expected no more than {MOST_ARRAY_BYTES}")
    return lengths, values


def _length(lists: Any) -> int:
    if library().types.is_fixed_size_list(lists.type):
        return int(lists.type.list_size)
    lengths = library().compute.list_value_length(lists).to_numpy(zero_copy_only=False)
    low, high = (int(lengths.min()), int(lengths.max())) if len(lengths) else (0, 0)
    if low != high:
        raise ValueError(f"expected steps of one width, got lists of {low} to {high} numbers; leave that clip out")
    return low


def steps(column: Any, row: int, shape: Sequence[int] | None = None) -> Array | None:
    """Return the steps (t, ...) of a row: of one list one step; nothing where there is none, or none of known width.

    `shape` is that of a step where it is known better than by the lists.
    """
    found = numbers(column, row)
    if found is None or found[0] == [0]:
        return None
    lengths, values = found
    axes = (1, *lengths) if len(lengths) == 1 else tuple(lengths)
    axes = axes if shape is None else (axes[0], *shape)
    if values.size != math.prod(axes) or (axes[0] and not values.size):
        raise ValueError(f"expected an array {axes}, got {values.size} numbers in lists of {lengths}")
    return values.reshape(axes) if math.prod(axes[1:]) else None
