"""Parquet: a row for every clip, as pandas, polars, DuckDB, pyarrow and `datasets` read it without us.

Layout (the format's logical types LIST, STRING and FLOAT16): `id`; the columns of the table of labels, those that are
numbers as numbers; for every feature a list of steps, each a list of its numbers, or with `how=clip` one list; and
beside it `<feature>_interval_s`, from when to when each step lasts, in seconds of the clip. A step of several axes is
laid out flat. A clip that lacks a feature has null there. The axes, and how each feature was made, stand as JSON in the
metadata `affectline`.

Kept: every real step to the bit, in the dtype of the cache (float16, too: DuckDB shows it as float32). Lost: padding,
which steps make up a window, and side channels such as `n_faces`.

Read is any parquet file, or folder of them, in which a column names the clip (`id=COLUMN`) and others hold lists of
numbers: a list of lists is steps, a plain list is one vector. Rows are read a few at a time.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from features import arrow_rows, exchange, folders, parquet_footer
from features.arrow import library
from features.arrow_columns import Sheet
from features.disk import beside, make_folder
from features.exchange import Chosen, Piece
from features.roots import CacheError

BATCH_BYTES, TEXT_BYTES = 32 * 2**20, 256 * 2**20
MOST_ROWS = 1024


def read(source: Path, *, id: str = "id") -> Iterator[Piece]:  # noqa: A002 - it is what a user says
    """Yield what every row holds of every feature."""
    for path in folders.files(source, ".parquet"):
        with folders.refusing(path), _File(path, id) as file:
            for batch in file.batches(file.layout.arrays):
                yield from file.layout.pieces(batch)


def labels(source: Path, *, id: str = "id") -> Iterator[dict[str, str]]:  # noqa: A002
    """Yield the single values of every row; a file named after a split, as `train-00000-of-00001`, is of that one."""
    for path in folders.files(source, ".parquet"):
        first = path.stem.partition("-")[0]
        split = exchange.SPLITS.get(first, first)
        with folders.refusing(path), _File(path, id) as file:
            for batch in file.batches(file.layout.words):
                yield from file.layout.rows(batch, split if split in exchange.SPLITS.values() else "")


def said(source: Path, *, id: str = "id") -> dict[str, str]:  # noqa: A002, ARG001
    """Return what the first file says of its making."""
    for path in folders.files(source, ".parquet"):
        with folders.refusing(path), library().parquet.ParquetFile(path) as file:
            return {"written by": str(file.metadata.created_by)[:200], **arrow_rows.said(file.schema_arrow)}
    return {}


def write(target: Path, chosen: Chosen, *, dtype: str = "", intervals: str = "yes") -> None:
    """Write all clips to one file; `dtype=float32` for tools without float16, `intervals=no` for features alone."""
    if target.exists():
        raise CacheError(f"{target} is there already; name another file, as in features.parquet, or move it away")
    sheet = Sheet(chosen, dtype, intervals)
    texts = ["id", *sheet.labels]  # numbers of features do not repeat, which a dictionary would live from
    packed = {"compression": "zstd", "use_dictionary": texts, "write_statistics": texts, "write_page_checksum": True}
    make_folder(target.parent)
    with beside(target) as temporary, library().parquet.ParquetWriter(temporary, sheet.schema, **packed) as writer:
        for _, batch in sheet.batches():
            writer.write_batch(batch, row_group_size=batch.num_rows)


class _File:
    """One open file, read a few rows at a time once its promises were compared with its size."""

    def __init__(self, path: Path, ids: str) -> None:
        options = {"buffer_size": 1 << 20, "pre_buffer": False, "page_checksum_verification": True}
        self.path, self._file = path, library().parquet.ParquetFile(path, **options)
        self.layout = arrow_rows.layout(self._file.schema_arrow, path, ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield some rows at a time, fewer where they are large."""
        for number, group in enumerate(parquet_footer.groups(self.path, columns)):
            few = min(group.rows * BATCH_BYTES // max(group.bytes, 1), TEXT_BYTES // max(group.longest, 1), MOST_ROWS)
            yield from self._file.iter_batches(
                max(few, 1), row_groups=[number], columns=list(columns), use_threads=False
            )
