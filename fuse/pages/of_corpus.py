"""The page of a corpus: its splits, what its entries lack and why, and every clip, to be searched."""

from collections import Counter
from collections.abc import Iterator

from fuse.overview import UNKNOWN, Held, Overview, Row
from fuse.pages import finder, page
from fuse.pages.of_cache import counted, leaves, megabytes
from fuse.pages.page import Section, paragraph

MOST_REASONS = 50


def html(corpus: Overview) -> str:
    """Return the page."""
    head = (
        page.trail([("All corpora", "../index.html")])
        + paragraph(
            f"{counted(len(corpus.rows), 'clip')}, {counted(len(corpus.held), 'entry', 'entries')} of "
            f"{megabytes(sum(held.nbytes for held in corpus.held))}. "
            f"Terms: {'; '.join(corpus.terms) or UNKNOWN}; {leaves(corpus)}.",
            "lead",
        )
        + _notes(corpus)
    )
    found = {
        "Splits": _splits(corpus),
        "Quarantined": _quarantined(corpus),
        "Clips": _clips(corpus),
    }
    sections = [Section(title, body) for title, body in found.items()]
    return page.document(corpus.corpus, head, sections, more_script=finder.SCRIPT)


def _notes(corpus: Overview) -> str:
    broken = "".join(page.note("Cannot be shown", f"{one} make verify reads every part.") for one in corpus.broken)
    return broken + _kept(corpus)


def _kept(corpus: Overview) -> str:
    if not corpus.known:
        words = "No manifest tells of this corpus here, so splits, speakers and labels are not known."
        return page.note("Note", f"{words} make manifest CORPUS={corpus.corpus} ROOT=... reads it.")
    kept = [
        what for part, what in (("labels", "labels and speakers"), ("transcript", "words")) if part not in corpus.leave
    ]
    return page.note("Note", f"Its terms keep {' and '.join(kept)} in the lab; they are not shown.") if kept else ""


def _splits(corpus: Overview) -> str:
    """Return how many clips of each split each entry has."""
    clips = Counter(row.split for row in corpus.rows)
    split_of = {row.id: row.split for row in corpus.rows}
    rows = []
    for held in corpus.held:
        covered = Counter(split_of.get(clip, UNKNOWN) for clip in held.place)
        shares = [f"{covered[split]:,} of {clips[split]:,}" for split in corpus.splits]
        rows.append([page.Link(held.name, f"{held.name}.html"), *shares])
    words = "Clips with features of all clips, split by split."
    return paragraph(words, "soft") + page.table(["entry", *corpus.splits], rows, 1, caption="Entries by split")


def _quarantined(corpus: Overview) -> str:
    reasons = Counter(
        (held.name, failure.stage, failure.reason) for held in corpus.held for failure in held.failed.values()
    )
    if not reasons:
        return paragraph("Every clip that was tried could be extracted.")
    rows = [[*reason, f"{count:,}"] for reason, count in reasons.most_common(MOST_REASONS)]
    more = f" These are the {MOST_REASONS} most common." if len(reasons) > MOST_REASONS else ""
    words = f"Clips that could not be extracted, by reason.{more} Which they are stands with each clip."
    table = page.table(["entry", "stage", "reason", "clips"], rows, 3, caption="Reasons", head=0)
    return paragraph(words, "soft") + table


def _clips(corpus: Overview) -> str:
    head = ["clip", "split", "speaker", "label", "entries", "lacks"]
    words = "The first column leads to a clip's windows and to the clips that are most like it."
    rows = list(_listed(corpus))
    turn = page.link("all clips, page by page", finder.sheet_of(0)) if rows else ""
    return paragraph(words, "soft") + finder.finder("Clips", head, rows) + f"<p>{turn}</p>"


def _listed(corpus: Overview) -> Iterator[list[str]]:
    for row in corpus.rows:
        having = sum(row.id in held.place for held in corpus.held)
        yield [row.id, row.split, row.speaker, row.label, f"{having} of {len(corpus.held)}", _lacks(row, corpus.held)]


def _lacks(row: Row, held: tuple[Held, ...]) -> str:
    quarantined = any(row.id in one.failed for one in held)
    return ", ".join([*row.lacks, *(["quarantined"] if quarantined else [])])
