"""A paper's table as a page: ours in front, the paper's number in parentheses, and which of both is better.

Titles and rows are ours, names of runs and corpora may be anybody's; all of them enter the page as text.
"""

from collections.abc import Mapping, Sequence

from fuse.pages import page
from fuse.pages.page import Section, paragraph, text
from fuse.tables import AVERAGE, Cell, Filled, Line, place

TABLE = "numbers"
SIGNS = {True: ("up", "\N{BLACK UP-POINTING TRIANGLE}"), False: ("down", "\N{BLACK DOWN-POINTING TRIANGLE}")}
HOW = (
    f"{SIGNS[True][1]} stands where ours is better than what the paper prints and {SIGNS[False][1]} where it is worse, "
    "each behind how much more ours is. The best of ours in a column is bold."
)


def html(one: Filled, runs: Mapping[str, str], links: Mapping[str, str], latex: str) -> str:
    """Return the page; `runs` names the run of each row that has one, `links` lead to their reports."""
    compared = any(cell.more for line in one.lines for cell in line.cells)
    head = paragraph(one.reading, "soft") + (paragraph(HOW, "soft") if compared else "")
    sections = [
        Section("Table", _table(one, links)),
        *([Section("Notes", page.items(one.notes))] if one.notes else []),
        Section("Runs", _runs(one, runs, links)),
        Section("LaTeX", page.folded("To be copied", page.code(latex))),
    ]
    return page.document(one.title, head, sections)


def _table(one: Filled, links: Mapping[str, str]) -> str:
    heads = ["row", *map(_head, one.columns), "parameters", "s/epoch"]
    head = "".join(f'<th scope="col"{"" if i else " class=word"}>{text(name)}</th>' for i, name in enumerate(heads))
    body = "\n".join(_line(line, links.get(line.recipe, "")) for line in one.lines)
    return page.search(TABLE, "Only rows with") + page.wide(
        f'<table class="sortable paper" id="{TABLE}"><caption>{text(one.title)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>",
        one.title,
    )


def _head(column: str) -> str:
    return column if column == AVERAGE else " ".join(place(column))


def _line(line: Line, report: str) -> str:
    cells = "".join(f"<td>{_cell(cell)}</td>" for cell in line.cells)
    costs = f"<td>{text(line.parameters)}</td><td>{text(line.seconds)}</td>"
    name = page.link(line.name, report) if report else text(line.name)
    return f'<tr><th scope="row" class="word">{name}</th>{cells}{costs}</tr>'


def _cell(cell: Cell) -> str:
    score = f"<b>{text(cell.score)}</b>" if cell.best else text(cell.score)
    paper = f" ({text(cell.paper)})" if cell.paper else ""
    kind, sign = SIGNS[cell.better] if cell.better is not None else ("", "")
    more = f'<small>{text(cell.more)} <span class="{kind}">{sign}</span></small>' if cell.more else ""
    lies = f"<small>{text(cell.lies)}</small>" if cell.lies else ""
    return f"{score}{text(cell.spread)}{paper}{more}{lies}"


def _runs(one: Filled, runs: Mapping[str, str], links: Mapping[str, str]) -> str:
    rows: Sequence[list[str]] = [
        [line.name, page.Link(runs[line.recipe], links[line.recipe]) if links.get(line.recipe) else runs[line.recipe]]
        for line in one.lines
        if line.recipe in runs
    ]
    return page.table(["row", "run"], rows, 2, caption="Which run each row is of", head=0)
