"""LaTeX that stands on its own: every row has its cells, every brace its partner, and no letter is a command."""

import dataclasses
import re

import pytest
from test_tables import DASH, measured, table

from fuse import latex, recipe, tables
from fuse.lines import Interval

EVERY = "".join(map(chr, range(32, 127)))
KNOWN = set(
    "begin end centering caption toprule midrule bottomrule cmidrule multicolumn textbf pm dagger times".split()
)
KNOWN |= {"textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar"}


def pieces(source):
    """Return LaTeX as its commands and letters, with what stands in braces as lists; a stray brace is an error."""
    found = re.findall(r"\\[A-Za-z]+|\\.|%[^\n]*\n?|.", source, re.DOTALL)
    stack = [[]]
    for one in (piece for piece in found if not piece.startswith("%")):
        if one == "{":
            stack.append([])
        elif one == "}":
            inner = stack.pop()
            stack[-1].append(inner)
        else:
            stack[-1].append(one)
    (whole,) = stack
    return whole


def said(parts):
    """Return the letters that a reader sees of some pieces, with commands by their names."""
    return "".join(said(one) if isinstance(one, list) else one for one in parts)


def cells(source):
    """Return how many columns a tabular declares, and how many each of its rows has."""
    parts = pieces(source)
    start = max(i for i, one in enumerate(parts) if one == "\\begin")
    assert said(parts[start + 1]) == "tabular"
    columns, body = said(parts[start + 2]), parts[start + 3 : parts.index("\\bottomrule")]
    rows, wide = [1], False
    for one in body:
        if one == "\\\\":
            rows.append(1)
        elif one == "&":
            rows[-1] += 1
        elif wide:
            rows[-1] += int(said(one)) - 1
        wide = one == "\\multicolumn"
    assert rows.pop() == 1
    return len(columns), rows


def commands(source):
    """Name the commands that are called with letters."""
    without = re.sub(r"(?<!\\)%.*", "", source.replace("\\\\", ""))
    return set(re.findall(r"\\([A-Za-z]+)", without))


def test_every_letter_is_set_as_it_is():
    """What steers LaTeX is written out, accents are made of letters that it has, and others are named."""
    assert latex.escape("50% & x_1 #2 $3 {a}") == r"50\% \& x\_1 \#2 \$3 \{a\}"
    assert latex.escape("a\\b^c~d") == r"a\textbackslash{}b\textasciicircum{}c\textasciitilde{}d"
    assert latex.escape("\\input{/etc/passwd}") == r"\textbackslash{}input\{/etc/passwd\}"
    assert latex.escape(f"1 ± 2 {DASH} --x [*]") == r"1 $\pm$ 2 -- {-}{-}x {[}{*}]"
    assert latex.escape("é ü e\N{COMBINING ACUTE ACCENT} ç") == r"\'{e} \"{u} \'{e} \c{c}"
    assert latex.escape("\N{CJK UNIFIED IDEOGRAPH-4E2D}\x1b") == "{[}U+4E2D]{[}U+001B]"
    assert latex.escape("a\n\n% b") == r"a \% b"
    escaped = latex.escape(EVERY)
    assert escaped.isascii()
    assert commands(escaped) <= KNOWN
    assert not re.search(r"(?<!\\)[%#&_$~^]", escaped)


def test_numbers_stand_in_their_cells():
    """Ours with its deviation and interval, the paper's in parentheses, the best bold, corpora above columns."""
    found = {
        "paper-first": dataclasses.replace(
            measured(), intervals={("meld", "emotion", "mf1"): Interval(0.461, 0.5367, "speakers")}
        ),
        "paper-second": measured(meld=0.6, mosei=0.3),
    }
    source = latex.table(tables.filled(table(), found, {}))
    assert cells(source) == (7, [7] * 5)
    lines = source.splitlines()
    assert (
        r" & \multicolumn{1}{c}{meld} & \multicolumn{1}{c}{mosei} & \multicolumn{1}{c}{mosi} & \multicolumn" in source
    )
    assert r"\cmidrule(lr){2-2}\cmidrule(lr){3-3}\cmidrule(lr){4-4}" in lines
    assert r"row & emotion mf1 & emotion mmf1 & sentiment\_score mf1 & average & parameters & s/epoch \\" in lines
    first = r"first & 50.0 $\pm$ 1.2, 46.1 to 53.7 (60.54) & \textbf{40.0} $\pm$ -- (62.5) & \textbf{90.0} $\pm$ 1.0"
    assert any(line.startswith(first) for line in lines)
    assert r"\caption{Paper, table 1. On test, in percent where a score is a share; $\pm$ is" in source
    assert "On demo, x stands in for y." in source
    assert commands(source) <= KNOWN


@pytest.mark.parametrize("name", sorted({*recipe.names()} - {recipe.DEFAULT}))
def test_every_recipe_is_a_table(name):
    """Whatever a recipe is, with nothing measured its rows are whole and its letters plain."""
    made = recipe.table(name)
    source = latex.table(tables.filled(made, {}, {row.name: "no finished run" for row in made.rows}))
    columns, rows = cells(source)
    assert set(rows) == {columns}
    assert len(rows) >= 1 + len(made.rows)
    assert source.isascii()
    assert commands(source) <= KNOWN
    assert re.findall(r"\\(?:begin|end)\{(\w+)\}", source) == ["table", "tabular", "tabular", "table"]
    assert "\n\n" not in source


def test_names_from_outside_break_nothing():
    """Titles, rows, columns and notes of every letter there is leave the table whole."""
    hostile = f"{EVERY}\n\n\x1b\N{CJK UNIFIED IDEOGRAPH-4E2D}"
    line = tables.Line("x", hostile, (tables.Cell("1.0", best=True),) * 2, "1", "2")
    columns = (f"{hostile.replace('/', '')}/emotion/mf1", "average")
    made = tables.Filled("x", hostile, columns, (line, line), hostile, (hostile,))
    source = latex.table(made)
    assert cells(source) == (5, [5] * 4)
    assert commands(source) <= KNOWN
    assert source.isascii()
