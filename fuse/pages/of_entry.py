"""The page of an entry: how it was made, what its values look like, and who sounds or looks unlike the rest."""

import json
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from features import words
from features.measured import Drift, drift
from fuse.overview import UNKNOWN, Held, Overview
from fuse.pages import charts, finder, page
from fuse.pages.of_cache import leaves, megabytes
from fuse.pages.of_clips import Near
from fuse.pages.page import Section, figure, paragraph

BINS = 24
MOST = 100
"""Rows of a table."""
SAME = 0.9999
"""From which cosine on two clips are called the same."""


def html(corpus: Overview, held: Held, near: Sequence[Sequence[Near]]) -> str:
    """Return the page; `near` are the clips most like each clip, in the order of what was measured."""
    clips = len(held.place)
    head = page.trail([("All corpora", "../index.html"), (corpus.corpus, "index.html")]) + paragraph(
        f"{clips:,} clips of {len(corpus.rows):,}, {held.measured.windows.sum():,} windows, {megabytes(held.nbytes)}; "
        f"{len(corpus.absent(held)):,} missing, {len(held.failed):,} quarantined.",
        "lead",
    )
    found = {
        "How it was made": _made(corpus, held),
        "Values": _values(held),
        "Splits and speakers": _drift(corpus, held),
        "Odd clips": _odd(corpus, held, near),
    }
    return page.document(held.name, head, [Section(title, body) for title, body in found.items() if body])


def _made(corpus: Overview, held: Held) -> str:
    """Say in words how it was made, under which terms, and how to make it again."""
    said = paragraph(words.methods(held.key, held.told, held.made))
    terms = paragraph(
        f"Terms of the encoder: {held.licence or UNKNOWN}. Terms of the corpus: {'; '.join(corpus.terms) or UNKNOWN}; "
        f"{leaves(corpus)}."
    )
    command, cited = words.command(held.key, held.told), words.cited(held.told)
    return (
        said
        + terms
        + (page.code(command) if command else "")
        + (page.folded("To cite", page.code(cited)) if cited else "")
        + page.folded("The whole key", page.code(json.dumps(held.key.to_json(), indent=2, sort_keys=True)))
        + page.folded("What its parts say of their making", page.code(json.dumps(held.made, indent=2, sort_keys=True)))
    )


def _values(held: Held) -> str:
    """Draw how clips are spread, and say what should not be there."""
    found = held.measured
    broken = paragraph(f"Parts that could not be read: {'; '.join(found.unreadable)}") if found.unreadable else ""
    if not len(found.clips):
        return broken + paragraph("It has no clip.")
    seconds = found.seconds[found.seconds > 0]
    drawn = [
        _spread("Windows", "windows of a clip", found.windows),
        _spread("Real input", "share of steps that are no padding", found.valid, percent=True),
    ]
    drawn += [_spread("Length", "seconds until the last window ends", seconds)] if len(seconds) else []
    if held.shows_values:
        drawn += [
            _spread("Norms", "mean length of a clip's vectors", found.norms),
            _spread("Zeros", "share of values that are exactly zero", found.zeros, percent=True),
        ]
    bad, empty = int((found.bad > 0).sum()), int((found.zeros >= 1).sum()) if held.shows_values else 0
    words_ = f"NaN or infinite values: {f'in {bad:,} clips' if bad else 'none'}. "
    words_ += f"Clips that are all zero: {empty:,}." if held.shows_values else ""
    return broken + paragraph(words_) + page.side_by_side(drawn)


def _spread(title: str, label: str, values: NDArray[np.generic], *, percent: bool = False) -> str:
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    low, high = (0.0, 1.0) if percent else (float(known.min(initial=np.inf)), float(known.max(initial=-np.inf)))
    if not len(known) or low == high:
        return figure(title, label, paragraph(f"{low:g} for every clip." if len(known) else "Nothing is known."))
    counts, edges = np.histogram(known, BINS, (low, high))
    return figure(title, label, charts.histogram(title, label, counts.tolist(), edges.tolist(), percent=percent))


def _drift(corpus: Overview, held: Held) -> str:
    """Say which splits and speakers have other features than the clips that are trained on."""
    if not held.shows_values:
        return ""
    known = {row.id: row for row in corpus.rows}
    rows = [known.get(clip) for clip in held.measured.clips]
    splits = [row.split if row else UNKNOWN for row in rows]
    trained = np.array([split == "train" for split in splits], dtype=np.bool_)
    against = trained if trained.sum() > 1 else np.ones(len(rows), np.bool_)
    of_splits = drift(held.measured.means, splits, against)
    of_speakers = drift(held.measured.means, [row.speaker if row else "" for row in rows], against)
    of_speakers = sorted((one for one in of_speakers if one.group), key=_beyond, reverse=True)
    table = page.table(
        ["group", "clips", "distance", "by chance", "times"],
        [*map(_drifted, of_splits), *map(_drifted, of_speakers[:MOST])],
        1,
        caption="Distance to the other clips",
        name="table-of-drift",
    )
    than = "the clips that are trained on" if against is trained else "all other clips"
    said = (
        f"How far the mean of a split or speaker lies from that of {than}, in standard deviations of a dimension, "
        "averaged over dimensions (root mean square), beside what chance alone gives for as many clips. A split far "
        "above 1 times chance was recorded, or cut, differently."
    )
    return (paragraph(said, "soft") + table) if of_splits or of_speakers else ""


def _beyond(one: Drift) -> float:
    return one.distance / one.expected


def _drifted(one: Drift) -> list[str]:
    return [one.group, f"{one.clips:,}", f"{one.distance:.3f}", f"{one.expected:.3f}", f"{_beyond(one):.1f}"]


def _odd(corpus: Overview, held: Held, near: Sequence[Sequence[Near]]) -> str:
    """List the clips that a reader would look at first: broken, empty, unusually large, the same as another."""
    rows = list(_oddities(corpus, held, near))
    if not rows:
        return paragraph("No clip is all zero, holds what is no number, or is the same as another.")
    more = f" These are the first {MOST} of {len(rows):,}." if len(rows) > MOST else ""
    words_ = f"Clips that are all zero, hold what is no number, or point where another clip points.{more}"
    return paragraph(words_, "soft") + page.table(["clip", "why"], rows[:MOST], 2, caption="Odd clips", head=0)


def _oddities(corpus: Overview, held: Held, near: Sequence[Sequence[Near]]) -> Iterator[list[str]]:
    number = {row.id: i for i, row in enumerate(corpus.rows)}
    for place, clip in enumerate(held.measured.clips):
        why = []
        if held.measured.bad[place]:
            why.append(f"{held.measured.bad[place]:,} values are NaN or infinite")
        if held.shows_values and held.measured.zeros[place] >= 1:
            why.append("all zero")
        same = [corpus.rows[one.number].id for one in (near[place] if near else ()) if one.cosine >= SAME]
        if same:
            why.append(f"the same as {', '.join(same)}")
        if why:
            yield [page.Link(clip, finder.link_to(number[clip])) if clip in number else clip, "; ".join(why)]
