"""One self-contained HTML page: nothing is loaded from elsewhere, and everything can be read without JavaScript.

Its policy lets a browser run the scripts that are ours and fetch nothing, whatever a name from outside would say.
"""

import base64
import hashlib
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from fuse.pages.look import SCRIPT, STYLE

LONG = 40
"""From how many letters on a cell may break into lines."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Section:
    """A headline that the table of contents leads to, and what stands below it as HTML."""

    title: str
    body: str

    @property
    def anchor(self) -> str:
        """Return what a link to it ends with."""
        return "-".join("".join(letter if letter.isalnum() else " " for letter in self.title.lower()).split())


class Link(str):
    """A text that leads somewhere."""

    __slots__ = ("to",)
    to: str

    def __new__(cls, words: str, to: str) -> Self:
        """Return the text, which remembers where it leads."""
        made = super().__new__(cls, words)
        made.to = to
        return made


def document(title: str, head: str, sections: Sequence[Section], *, main: str = "", more_script: str = "") -> str:
    """Return the page: its title, HTML that comes before the table of contents, its sections, and what has no title."""
    scripts = [script for script in (SCRIPT, more_script) if script]
    listed = "".join(f'<li><a href="#{one.anchor}">{text(one.title)}</a></li>' for one in sections)
    contents = f'<nav aria-label="Contents"><ul>{listed}</ul></nav>' if sections else ""
    body = "\n".join(
        f'<section id="{one.anchor}" aria-labelledby="{one.anchor}-title">\n'
        f'<h2 id="{one.anchor}-title">{text(one.title)}</h2>\n{one.body}\n</section>'
        for one in sections
    )
    return f"""{_start(scripts)}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header>
<button type="button" class="theme" aria-label="Switch between light and dark" hidden>Dark</button>
<h1>{text(title)}</h1>
{head}
{contents}
</header>
<main id="main">
{body}{main}
</main>
{"".join(f"<script>{script}</script>" for script in scripts)}
</body>
</html>
"""


def text(value: object) -> str:
    """Return anything as text that a browser shows as it is; what steers a screen is replaced."""
    said = str(value)
    if not said.isprintable():
        said = "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in said)
    return html.escape(said)


def link(words: str, to: str) -> str:
    """Return a link."""
    return f"<a href={_quoted(to)}>{text(words)}</a>"


def address(path: str) -> str:
    """Return a relative path as a link can hold it, whatever letters are in it."""
    return PurePosixPath("/", path).as_uri().removeprefix("file:///")


def is_ours(written: str) -> bool:
    """Tell whether a page begins as every report does, so that no browser runs anything in it that is not ours."""
    return written.startswith(_start([SCRIPT]))


def _start(scripts: Sequence[str]) -> str:
    """Return the first lines of a page; the policy stands before all that it shall hold for."""
    digests = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in digests)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}; script-src {allowed}">"""


def trail(steps: Sequence[tuple[str, str]]) -> str:
    """Return the way back from a page that lies below others."""
    links = " \N{MIDDLE DOT} ".join(link(*step) for step in steps)
    return f'<p class="trail">{links}</p>'


def paragraph(words: str, kind: str = "", *, about: str = "") -> str:
    """Return a paragraph of plain text, and in front, if that is said, what it is about."""
    begin = f"<strong>{text(about)}.</strong> " if about else ""
    return f"<p{_class(kind)}>{begin}{text(words)}</p>"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    words: int,
    *,
    caption: str = "",
    strong: str = "",
    name: str = "",
    head: int | None = None,
) -> str:
    """Return a table in which numbers stand right after `words` columns of words; `head`, or the last, names the row.

    A word that repeats the one above it is not shown again. Rows of which a word is `strong` stand out. A table with a
    name can be sorted, and filtered by a `filter` of that name; in it, every word is shown.
    """
    attributes = f'class="sortable" id={_quoted(name)}' if name else ""
    said = f"<caption>{text(caption)}</caption>" if caption else ""
    kinds = [_class("word" if i < words else "") for i in range(len(header))]
    heads = "".join(f'<th scope="col"{kind}>{text(x)}</th>' for kind, x in zip(kinds, header, strict=True))
    body = "\n".join(_rows(rows, words, words - 1 if head is None else head, strong, repeat=bool(name)))
    return wide(
        f"<table {attributes}>{said}<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table>",
        caption or ", ".join(header),
    )


def note(name: str, words: str) -> str:
    """Return what a reader must not miss."""
    return f'<p class="note"><strong>{text(name)}:</strong> {text(words)}</p>'


def items(lines: Sequence[str]) -> str:
    """Return a list; what stands between backticks is set as code, and a dash in front is dropped."""
    pieces = (one.removeprefix("- ").split("`") for one in lines)
    rows = ("".join(f"<code>{text(x)}</code>" if i % 2 else text(x) for i, x in enumerate(one)) for one in pieces)
    return f"<ul>{''.join(f'<li>{row}</li>' for row in rows)}</ul>"


def code(words: str) -> str:
    """Return text to be copied as it is."""
    return f"<pre>{text(words)}</pre>"


def wide(inner: str, label: str) -> str:
    """Return HTML that scrolls sideways where it is wider than the page, with the keyboard, too."""
    return f'<div class="wide" role="region" tabindex="0" aria-label={_quoted(label)}>{inner}</div>'


def search(name: str, label: str) -> str:
    """Return a field that filters the rows of a table; without JavaScript it is not there."""
    field = f'<input type="search" data-of={_quoted(name)} autocomplete="off">'
    return f'<div class="filter" hidden><label>{text(label)} {field}</label> <output aria-live="polite"></output></div>'


def folded(title: str, inner: str) -> str:
    """Return HTML that is shown when it is asked for."""
    return f"<details><summary>{text(title)}</summary>\n{inner}\n</details>"


def figure(title: str, words: str, inner: str) -> str:
    """Return a chart below its title and what it shows."""
    return f"<figure><figcaption><b>{text(title)}</b> {text(words)}</figcaption>\n{inner}</figure>"


def side_by_side(figures: Sequence[str]) -> str:
    """Return figures beside each other, or below each other where there is no room."""
    return f'<div class="pair">{"".join(figures)}</div>' if figures else ""


def _rows(rows: Sequence[Sequence[str]], words: int, head: int, strong: str, *, repeat: bool) -> Iterator[str]:
    above: Sequence[str] = ()
    for row in rows:
        same = 0
        while not repeat and same < min(head, len(above)) and row[same] == above[same]:
            same += 1
        kinds = ["strong"] if strong and strong in row[:words] else []
        kinds += ["group"] if above and not repeat and same < head else []
        cells = "".join(_cell(cell, head=i == head, word=i < words, again=i < same) for i, cell in enumerate(row))
        yield f"<tr{_class(' '.join(kinds))}>{cells}</tr>"
        above = row


def _cell(cell: str, *, head: bool, word: bool, again: bool) -> str:
    kinds = [name for name, so in {"word": word, "again": again, "long": len(cell) > LONG}.items() if so]
    start, end = ('th scope="row"', "th") if head else ("td", "td")
    inner = link(cell, cell.to) if isinstance(cell, Link) else text(cell)
    return f"<{start}{_class(' '.join(kinds))}>{inner}</{end}>"


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""


def _quoted(value: str) -> str:
    return f'"{text(value)}"'
