"""Labels, which no cache holds: a table of clips, as `python -m manifests table CORPUS` writes it."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from features.roots import CacheError

ID = "id"
MOST_BYTES = 64 * 2**20


def table(path: str | Path) -> dict[str, dict[str, str]]:
    """Read a table with a head and a column `id`: the row of every clip, cells as they stand there."""
    path = Path(path)
    with path.open("rb") as file:
        raw = file.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise CacheError(f"{path}: expected a table of at most {MOST_BYTES // 2**20} MiB; leave columns out")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CacheError(f"{path}: expected UTF-8, got byte {raw[error.start]:#04x} at {error.start}") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return _rows(path, _head(path, next(lines, [])), ((lines.line_num, line) for line in lines if line))
    except csv.Error as error:
        raise CacheError(f"{path}, line {lines.line_num}: {error}; is the file complete?") from None


def _head(path: Path, head: list[str]) -> list[str]:
    if ID not in head or len(set(head)) < len(head):
        expected = f"a head with a column {ID!r} and no name twice, with commas between"
        raise CacheError(f"{path}: expected {expected}; got {','.join(head)!r:.200}")
    return head


def _rows(path: Path, head: Sequence[str], lines: Iterator[tuple[int, list[str]]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for number, line in lines:
        if len(line) != len(head):
            raise CacheError(f"{path}, line {number}: expected {len(head)} cells, as in the head, got {len(line)}")
        row = dict(zip(head, line, strict=True))
        if not row[ID] or row[ID] in found:
            raise CacheError(f"{path}, line {number}: expected a clip that no other row has, got {row[ID]!r:.80}")
        found[row[ID]] = row
    return found
