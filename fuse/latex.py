"""A table as LaTeX that compiles with `booktabs` alone, whatever letters stand in it."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby

from fuse.tables import AVERAGE, Cell, Filled, place

SPECIAL = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "-": "{-}",
    "[": "{[}",
    "*": "{*}",
    '"': "''",
    "`": "{`}",
    "'": "{'}",
    "±": r"$\pm$",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{DAGGER}": r"$\dagger$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}
"""What a letter becomes; braces keep apart what would join, and what would be an option of the command before it."""
ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": "`",
    "\N{COMBINING ACUTE ACCENT}": "'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
    "\N{COMBINING DIAERESIS}": '"',
    "\N{COMBINING CARON}": "v",
    "\N{COMBINING CEDILLA}": "c",
    "\N{COMBINING RING ABOVE}": "r",
}


def escape(words: str) -> str:
    """Return text as one line that LaTeX sets as it is; a letter that it may not know is named by its number."""
    return "".join(map(_letter, unicodedata.normalize("NFC", " ".join(words.split()))))


def table(one: Filled) -> str:
    """Return a table that floats, with a caption that says how to read it."""
    rows = ["row", *map(_measure, one.columns), "parameters", "s/epoch"]
    body = [
        [escape(line.name), *map(_cell, line.cells), escape(line.parameters), escape(line.seconds)]
        for line in one.lines
    ]
    caption = " ".join(escape(words) for words in (f"{one.title.rstrip('.')}.", one.reading, *one.notes))
    pieces = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(rows) - 1)}}}",
        r"\toprule",
        *_corpora(one.columns),
        _row([escape(words) for words in rows]),
        r"\midrule",
        *map(_row, body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(pieces) + "\n"


def _letter(letter: str) -> str:
    if letter in SPECIAL:
        return SPECIAL[letter]
    if letter.isascii() and letter.isprintable():
        return letter
    divided = unicodedata.normalize("NFD", letter)
    base, mark = divided[:1], divided[1:]
    if mark in ACCENTS and base.isascii() and base.isalpha():
        return f"\\{ACCENTS[mark]}{{{base}}}"
    return f"{{[}}U+{ord(letter):04X}]"


def _cell(cell: Cell) -> str:
    score = rf"\textbf{{{escape(cell.score)}}}" if cell.best else escape(cell.score)
    rest = escape(cell.text.removeprefix(cell.score))
    return f"{score} {rest}" if rest else score


def _corpora(columns: Sequence[str]) -> Iterator[str]:
    """Yield a row of corpora, each above its columns, and the rules below them."""
    cells, rules, at = [""], [], 2
    for corpus, group in groupby(columns, _corpus):
        width = len(list(group))
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(corpus)}}}")
        rules += [rf"\cmidrule(lr){{{at}-{at + width - 1}}}"] if corpus else []
        at += width
    if rules:
        yield _row([*cells, "", ""])
        yield "".join(rules)


def _corpus(column: str) -> str:
    return "" if column == AVERAGE else place(column)[0]


def _measure(column: str) -> str:
    return column if column == AVERAGE else " ".join(place(column)[1:])


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
