"""A sheet of clips: where the windows of each lie in time, which others are most like it, why something is missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fuse.overview import Overview, Row
from fuse.pages import finder, page
from fuse.pages.of_cache import counted
from fuse.pages.page import text, wide

WIDTH, LEFT, RIGHT, ROW = 880, 190, 862, 18
MOST_BARS = 120
"""Windows of one entry that are drawn one by one; of more only where they lie."""
Span = tuple[float, float, float]
"""Start and end of a window in seconds, and which share of it rests on real input."""


@dataclass(frozen=True)
class Near:
    """Another clip, and how alike it is."""

    number: int
    cosine: float


@dataclass(frozen=True)
class Sheet:
    """What is known of a hundred clips."""

    number: int
    """From zero."""
    rows: Sequence[Row]
    spans: Mapping[str, Mapping[str, Sequence[Span]]]
    """Clip to entry to its windows."""
    near: Mapping[str, Mapping[str, Sequence[Near]]]
    """Clip to entry to the clips that are most like it."""

    @property
    def first(self) -> int:
        """Return the number of its first clip."""
        return self.number * finder.A_SHEET


def html(corpus: Overview, sheet: Sheet) -> str:
    """Return the page."""
    last, sheets = sheet.first + len(sheet.rows), -(-len(corpus.rows) // finder.A_SHEET)
    trail = [("All corpora", "../index.html"), (corpus.corpus, "index.html")]
    trail += [("before", finder.sheet_of(sheet.first - 1))] if sheet.number else []
    trail += [("after", finder.sheet_of(last))] if sheet.number + 1 < sheets else []
    words = (
        "A bar is a window; the paler, the less of it rests on real input. Clips are alike where the means of their "
        "features point in one direction, seen from the mean of the corpus; 1 is the same."
    )
    head = page.trail(trail) + page.paragraph(words, "soft")
    body = "\n".join(_clip(corpus, sheet, i, row) for i, row in enumerate(sheet.rows))
    title = f"{corpus.corpus}, clips {sheet.first + 1:,} to {last:,} of {len(corpus.rows):,}"
    return page.document(title, head, [], main=body)


def _clip(corpus: Overview, sheet: Sheet, place: int, row: Row) -> str:
    anchor = f"c{sheet.first + place}"
    said = ", ".join(one for one in (row.split, row.speaker, row.label) if one)
    lacks = f"; without {', '.join(row.lacks)}" if row.lacks else ""
    return (
        f'<section class="clip" id="{anchor}" aria-labelledby="{anchor}-title">'
        f'<h2 id="{anchor}-title">{text(row.id)}</h2>'
        + page.paragraph(f"{said}{lacks}")
        + (f"<blockquote>{text(row.text)}</blockquote>" if row.text else "")
        + _line(sheet.spans.get(row.id, {}))
        + f'<p class="soft">{"<br>".join(_near(corpus, sheet.near.get(row.id, {})))}</p>'
        + "".join(_failed(corpus, row))
        + "</section>"
    )


def _line(spans: Mapping[str, Sequence[Span]]) -> str:
    """Draw a row of windows for each entry; those that lie nowhere in time, such as words, are only counted."""
    if not spans:
        return page.paragraph("No entry has it.", "soft")
    until_s = max((end_s for each in spans.values() for _, end_s, _ in each), default=0.0)
    marks, y = [], 14
    for entry, each in spans.items():
        marks.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{text(entry[:30])}</text>')
        marks += _bars(each, until_s, y) if any(end_s for _, end_s, _ in each) else [_counted(each, y)]
        y += ROW
    marks += [
        f'<text x="{_x(share * until_s, until_s):.1f}" y="{y}" text-anchor="middle">{share * until_s:.3g} s</text>'
        for share in ((0, 0.25, 0.5, 0.75, 1) if until_s else ())
    ]
    told = "; ".join(f"{entry}: {len(each)} windows" for entry, each in spans.items())
    drawn = f"<title>Windows</title><desc>{text(told)}, until {until_s:.2f} s.</desc>{''.join(marks)}"
    style = 'style="min-width: 40rem; max-width: none"'
    return wide(f'<svg class="plot line" {style} role="img" viewBox="0 0 {WIDTH} {y + 6}">{drawn}</svg>', "Windows")


def _bars(each: Sequence[Span], until_s: float, y: int) -> Iterator[str]:
    shown = each if len(each) <= MOST_BARS else _merged(each)
    for number, (start_s, end_s, real) in enumerate(shown):
        x, end = _x(start_s, until_s), _x(end_s, until_s)
        # Windows overlap: every other one lies a little lower.
        top = y - 11 + (number % 2) * 5
        place = f'x="{x:.1f}" y="{top}" width="{max(0.8, end - x - 0.6):.1f}" height="6"'
        yield f'<rect class="bin s1" {place} opacity="{0.25 + 0.75 * real:.2f}"/>'


def _merged(each: Sequence[Span]) -> list[Span]:
    """Join windows of which one begins where, or before, the last one ends."""
    found: list[Span] = []
    for start_s, end_s, real in each:
        if found and start_s <= found[-1][1] + 1e-6:
            found[-1] = found[-1][0], max(found[-1][1], end_s), max(found[-1][2], real)
        else:
            found.append((start_s, end_s, real))
    return found


def _counted(each: Sequence[Span], y: int) -> str:
    return f'<text x="{LEFT}" y="{y}">{counted(len(each), "window")}, nowhere in time</text>'


def _x(at_s: float, until_s: float) -> float:
    return LEFT + at_s / max(until_s, 1e-9) * (RIGHT - LEFT)


def _near(corpus: Overview, near: Mapping[str, Sequence[Near]]) -> Iterator[str]:
    for entry, others in near.items():
        links = ", ".join(
            f"{page.link(corpus.rows[one.number].id, finder.link_to(one.number))} {one.cosine:.3f}" for one in others
        )
        if links:
            yield f"Most alike by {text(entry)}: {links}"


def _failed(corpus: Overview, row: Row) -> Iterator[str]:
    for held in corpus.held:
        if failure := held.failed.get(row.id):
            yield page.note("Quarantined", f"{held.name}, {failure.stage}, {failure.attempts} x: {failure.reason}")
