"""Tables and cells of corpora: what is read, and what is refused by file, row and column."""
# ruff: noqa: RUF001 - typographic quotes are what old tables are about

import contextlib
import csv
import io
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import ManifestError
from manifests.tables import cell, in_row, number, rows_of, text_of, whole

WHERE = Path("some/table.csv")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def written(rows, **dialect):
    """Return rows as a table."""
    file = io.StringIO(newline="")
    csv.writer(file, **dialect).writerows(rows)
    return file.getvalue()


@given(
    st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\r\n", "\n"]),
    st.permutations("abc"),
)
def test_tables_come_back(rows, delimiter, line_end, head):
    """Commas, quotes and line ends inside cells survive, whatever stands between cells and in whatever order."""
    text = written([head, *rows], delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    expected = [dict(zip(head, row, strict=True)) for row in rows]
    assert rows_of(text, WHERE, ("a", "b"), delimiter) == expected


@given(TEXT)
def test_encodings(text):
    """UTF-8 with and without its mark reads alike, unless the text itself begins with one."""
    plain = text.removeprefix("\ufeff")
    assert text_of(plain.encode()) == text_of(plain.encode("utf-8-sig")) == plain.removeprefix("\ufeff")


def test_old_windows():
    """What is not UTF-8 was written on an old Windows; a byte that has no meaning there does not end the reading."""
    assert text_of("Élan – “oui”".encode("cp1252")) == "Élan – “oui”"
    assert text_of(b"caf\xe9 \x81") == "café \ufffd"


@given(st.binary())
def test_any_bytes(raw):
    """Whatever lies in a table, it is read as text or refused."""
    with contextlib.suppress(ManifestError):
        rows = rows_of(text_of(raw), WHERE, ())
        assert all(isinstance(name, str) and isinstance(value, str) for row in rows for name, value in row.items())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected columns a, b; missing: a, b"),
        ("a,c\n1,2\n", "expected columns a, b; missing: b"),
        ("A,b\n1,2\n", "expected columns a, b; missing: a"),
        ("a,b,a\n1,2,3\n", "column 'a' stands twice in the head"),
        ('a,b\n1,"2\n', "line 2: .*; is the file complete"),
        ('a,b\n1,"2"3\n', "line 2: .*; is the file complete"),
        (f"a,b\n1,{'x' * 200_000}\n", "line 2: field larger than field limit"),
        ("a,b\n1,2\n1,2,3\n", "row 2: expected 2 cells, got also '3'"),
    ],
)
def test_bad_tables(text, complaint):
    """A table without its columns, cut off within quotes or with shifted rows is refused by file and place."""
    with pytest.raises(ManifestError, match=rf"^some/table\.csv[,:] {complaint}"):
        rows_of(text, WHERE, ("a", "b"))


def test_rows_of_other_lengths():
    """A short row has empty cells, and blank cells beyond the head mean nothing."""
    assert rows_of("a,b\n1\n1,2,, \n", WHERE, ("a",)) == [{"a": "1", "b": ""}, {"a": "1", "b": "2"}]


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15), st.integers(0, 15))
def test_numbers(value, places):
    """A decimal number is read as Python reads it, with blanks around it, with a sign, in scientific notation."""
    plain, scientific = f"{value:.{places}f}", f"{value:.{places}e}"
    if abs(value) < 1e14:
        assert number(f" {plain}\n") == float(plain)
    if "e-1" not in scientific[:-2] and len(scientific.partition("e")[2]) <= 3:
        assert number(scientific) == number(scientific.upper()) == float(scientific)


@pytest.mark.parametrize(("text", "value"), [("+1", 1), ("-.5", -0.5), ("3.", 3), ("1e-3", 0.001), ("0", 0), ("-0", 0)])
def test_spellings_of_numbers(text, value):
    """What tables write is read."""
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "-",
        "nan",
        "inf",
        "-Infinity",
        "1_000",
        "1,5",
        "0x10",
        "1e400",
        "9" * 400,
        "٣",
        "½",
        "1 2",
        "--1",
        "1e",
    ],
)
def test_no_numbers(text):
    """What Python would take for a number, and a table does not mean as one, is refused."""
    with pytest.raises(ValueError, match="expected a number, got "):
        number(text)


@given(st.text())
def test_any_text_as_a_number(text):
    """Whatever a cell holds, it is a finite number or is refused."""
    for read in (number, whole):
        with contextlib.suppress(ValueError):
            assert math.isfinite(read(text))


@given(st.integers(0, 10**9 - 1))
def test_whole_numbers(value):
    """A whole number comes back, with zeros before it, too."""
    assert whole(str(value)) == whole(f"{value:09}") == value


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1e3", " 1", "1\n", "1" * 10, "٣", "1_0"])
def test_no_whole_numbers(text):
    """What is not digits alone is refused, and so are more of them than any corpus counts."""
    with pytest.raises(ValueError, match="expected a whole number from 0, got "):
        whole(text)


def test_a_complaint_names_file_row_and_column():
    """What goes wrong in a cell is said with its place; a complaint that has its place already keeps it."""
    complaint = r"^some/table\.csv, row 7, column 'start': expected a number, got 'x'$"
    with pytest.raises(ManifestError, match=complaint), in_row(WHERE, 7):
        cell({"start": "x"}, "start", number)
    with pytest.raises(ManifestError, match=r"^placed already$"), in_row(WHERE, 7):
        raise ManifestError("placed already")
    with pytest.raises(KeyError), in_row(WHERE, 7):  # a fault of ours is not dressed up as theirs
        cell({}, "start", number)
