"""Tables and cells as corpora have them; every complaint names the file, the row and the column."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from manifests.clip import ManifestError

T = TypeVar("T")


def text_of(raw: bytes) -> str:
    """Read UTF-8 with or without its mark, or UTF-16 with it; what is neither was written on an old Windows."""
    try:
        return raw.decode("utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def rows_of(text: str, where: Path, columns: Collection[str], delimiter: str = ",") -> list[dict[str, str]]:
    """Read a table with a head, which must have these columns; others may stand between."""
    table = csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True, delimiter=delimiter)
    try:
        head = list(table.fieldnames or ())
        if missing := [column for column in columns if column not in head]:
            raise ManifestError(f"{where}: expected columns {', '.join(columns)}; missing: {', '.join(missing)}")
        if twice := [column for column in columns if head.count(column) > 1]:
            raise ManifestError(f"{where}: column {twice[0]!r} stands twice in the head; which is right?")
        rows = list(table)
    except csv.Error as error:
        raise ManifestError(f"{where}, line {table.reader.line_num}: {error}; is the file complete?") from None
    for number, row in enumerate(rows, start=1):
        # `DictReader` keeps under no name what lies beyond the head: the row is shifted, unless it is blank.
        beyond = row.pop(None, [])
        if "".join(beyond).strip():
            raise ManifestError(f"{where}, row {number}: expected {len(row)} cells, got also {', '.join(beyond)!r}")
    return rows


@contextmanager
def in_row(where: Path | str, number: int) -> Iterator[None]:
    """Say in which row of which file a value was that could not be read; the first row below the head is 1."""
    try:
        yield
    except ManifestError:
        raise
    except ValueError as error:
        raise ManifestError(f"{where}, row {number}, {error}") from None


def cell(row: Mapping[str, str], column: str, parse: Callable[[str], T]) -> T:
    """Read one cell; the complaint names its column."""
    try:
        return parse(row[column])
    except ValueError as error:
        raise ValueError(f"column {column!r}: {error}") from None


def whole(text: str) -> int:
    """Read a whole number from 0."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError(f"expected a whole number from 0, got {text!r}")
    return int(text)


def number(text: str) -> float:
    """Read a decimal number in plain digits, as tables have them."""
    if not re.fullmatch(r"[+-]?(\d{1,15}(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?", text.strip(), re.ASCII | re.IGNORECASE):
        raise ValueError(f"expected a number, got {text!r}")
    return float(text)
