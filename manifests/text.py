"""Tables and lists of names for a terminal."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

WIDE = 120


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield lines in columns: names to the left, numbers to the right."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    yield ""
    for row in cells:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([first.strip().ljust(widths[0]), *others])


def names(given: Iterable[str]) -> Iterator[str]:
    """Yield lines that hold all the names, indented; a name is never broken."""
    lines = textwrap.wrap(
        "  ".join(name.replace(" ", "\xa0") for name in given),
        WIDE,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (line.replace("\xa0", " ") for line in lines)
