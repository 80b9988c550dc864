"""Markdown that reads well in a terminal, too, and that no text from outside can break."""

import re
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """Return a table whose columns are aligned as text; after `words` columns come numbers."""
    cells = [[escape(cell) for cell in row] for row in (header, *rows)]
    # A rule needs a dash beside its colon.
    widths = [max(2, *map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [
        [
            cell.ljust(width) if i < words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]
    rule = ["-" * width if i < words else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (aligned[0], rule, *aligned[1:]))


def escape(text: str) -> str:
    """Return text as one line that Markdown shows as it is; what no terminal should be sent is replaced."""
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))
    return re.sub(r"([\\`*<>\[\]|#])", r"\\\1", line)
