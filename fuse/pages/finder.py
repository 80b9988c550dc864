"""A table of very many rows: a reader sees the first, searches and sorts all, and is led to the page of each.

The rows lie in the page as data, so that twenty thousand of them cost nothing until they are asked for. Without
JavaScript the first rows are there, and the pages that hold the others can be turned one after the other.
"""

import json
from collections.abc import Sequence

from fuse.pages.page import text, wide

SHOWN = 100
"""Rows at once."""
A_SHEET = 100
"""Clips on one page."""


def sheet_of(number: int) -> str:
    """Return the page on which a clip stands, by its number from zero."""
    return f"clips-{number // A_SHEET + 1:03}.html"


def link_to(number: int) -> str:
    """Return where on its page a clip stands."""
    return f"{sheet_of(number)}#c{number}"


def finder(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table; the first column leads to the clip of that number."""
    heads = "".join(f'<th scope="col" class="word">{text(name)}</th>' for name in head)
    first = "\n".join(_row(number, row) for number, row in enumerate(rows[:SHOWN]))
    data = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    shown = f"<caption>{text(caption)}</caption><thead><tr>{heads}</tr></thead>\n<tbody>\n{first}\n</tbody>"
    return (
        '<div class="finder"><div class="filter" hidden><label>Only clips with <input type="search" autocomplete="off">'
        '</label> <output aria-live="polite"></output></div>'
        f"{wide(f'<table>{shown}</table>', caption)}"
        '<button type="button" class="further" hidden>Show more</button>'
        f'<script type="application/json">{data}</script></div>'
    )


def _row(number: int, row: Sequence[str]) -> str:
    name, *others = row
    cells = "".join(f'<td class="word">{text(cell)}</td>' for cell in others)
    return f'<tr><th scope="row" class="word"><a href="{link_to(number)}">{text(name)}</a></th>{cells}</tr>'


SCRIPT = f"""
"use strict";
const sheet = (number) =>
  `clips-${{String(Math.floor(number / {A_SHEET}) + 1).padStart(3, "0")}}.html#c${{number}}`;
const cell = (row, kind, inner) => {{
  const made = document.createElement(kind);
  made.className = "word"; made.append(inner); row.append(made); return made; }};
const drawn = ([name, ...others], number) => {{
  const row = document.createElement("tr"), link = document.createElement("a");
  link.href = sheet(number); link.textContent = name;
  cell(row, "th", link).scope = "row";
  for (const other of others) cell(row, "td", other);
  return row; }};
for (const finder of document.querySelectorAll(".finder")) {{
  const every = JSON.parse(finder.querySelector("[type='application/json']").textContent)
    .map((row, number) => ({{ row, number, words: row.join(" ").toLowerCase() }}));
  const field = finder.querySelector(".filter"), further = finder.querySelector(".further");
  const input = field.querySelector("input"), told = field.querySelector("output");
  const table = finder.querySelector("table");
  let found = every, shown = {SHOWN};
  const show = () => {{
    table.tBodies[0].replaceChildren(...found.slice(0, shown).map((one) => drawn(one.row, one.number)));
    told.textContent = `${{found.length}} of ${{every.length}}`;
    further.hidden = found.length <= shown; }};
  input.oninput = () => {{
    const words = input.value.toLowerCase().split(/\\s+/);
    found = every.filter((one) => words.every((word) => one.words.includes(word)));
    shown = {SHOWN}; show(); }};
  further.onclick = () => {{ shown += {SHOWN}; show(); }};
  [...table.tHead.rows[0].cells].forEach((head, column) => {{
    const button = document.createElement("button");
    button.type = "button"; button.append(...head.childNodes); head.append(button);
    button.onclick = () => {{
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const by = new Intl.Collator("en", {{ numeric: true }}).compare;
      every.sort((a, b) => (up ? 1 : -1) * by(a.row[column], b.row[column]));
      input.oninput(); }}; }});
  field.hidden = false; told.textContent = `${{every.length}} of ${{every.length}}`;
  further.hidden = every.length <= shown; }}
"""
