"""Runs beside each other as one page to look at: what differs, how surely, on which clips, and what was done otherwise.

The runs may be anybody's, so nothing that their files say enters the page but as text.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fuse import apart, comparison_lines, score_tables
from fuse.compare import Against, Compared, Comparison, Row
from fuse.judged import NUMBERS
from fuse.metrics import EXPLAINED, SHOWN
from fuse.pages import charts, page
from fuse.pages.page import Section, figure, paragraph

CLIPS = "apart"
LONGEST = 24
CLEAR = 0.05
"""What comes by chance more often than this is not said to be a difference."""
GROUPS: Mapping[charts.Kind, str] = {"model": "the first run", "beside": "the others"}
UNSAID, RIGHT = "not said", "\N{CHECK MARK}"
BANDS = (
    "The band behind the bars is the first run's 95 % interval. Beside them is how much more or less than the first "
    "run each other one has, and between which ends that may lie: on the dashed line they are level, and what stands "
    "out is more than chance gives. Averaged over seeds, on the clips that all runs have; ± is the sample standard "
    "deviation over seeds."
)
AGREED = (
    "A run is right about a clip if more than half of its seeds are. p is McNemar's exact: how often chance alone "
    "would divide the clips that only one of both has right as unevenly."
)


def html(found: Comparison, links: Sequence[str]) -> str:
    """Return the page; `links` lead to the reports of the runs, where they do."""
    labels = _labels(found)
    body = {
        "At a glance": _glance(found, labels),
        "Scores": _scores(found, labels),
        "Seeds": _seeds(found, labels),
        "Classes": _classes(found, labels),
        "Agreement": _agreement(found, labels),
        "Clips": _clips(found, labels),
        "What differs": _differs(found, labels),
        "Runs": _runs(found, labels, links),
    }
    sections = [Section(title, inner) for title, inner in body.items() if inner]
    return page.document(f"{len(labels)} runs side by side", _head(found, labels), sections)


def _labels(found: Comparison) -> list[str]:
    """Return a short name for each run: its number and its model."""
    models = [run.model if len(run.model) <= LONGEST else f"{run.model[: LONGEST - 1]}…" for run in found.runs]
    return [f"{number} {model}" for number, model in enumerate(models, start=1)]


def _head(found: Comparison, labels: Sequence[str]) -> str:
    names = page.items([f"{label}: {name}" for label, name in zip(labels, found.names, strict=True)])
    lead = paragraph(f"On {', '.join(cell.name for cell in found.cells)}. The first run is the measure.", "lead")
    told: dict[str, list[str]] = {}
    for label, run in zip(labels, found.runs, strict=True):
        for warning in dict.fromkeys(run.warnings):
            told.setdefault(warning, []).append(label)
    notes = [page.note("Note" if who == labels else f"Note of {', '.join(who)}", words) for words, who in told.items()]
    return f"{lead}{names}{''.join(notes)}"


def _glance(found: Comparison, labels: Sequence[str]) -> str:
    several = comparison_lines.SEVERAL.format(found.comparisons) if found.comparisons > 1 else ""
    pieces = []
    for cell in found.cells:
        said = " ".join(_verdict(cell, row.against, label, labels[0]) for row, label in _others(cell, labels))
        pieces.append(paragraph(said, about=cell.name) + page.side_by_side([_bars(cell, labels), _gaps(cell, labels)]))
    return "".join(pieces) + paragraph(f"{BANDS} {several}", "soft")


def _others(cell: Compared, labels: Sequence[str]) -> Iterator[tuple[Row, str]]:
    return ((row, label) for row, label in zip(cell.rows, labels, strict=True) if row.against)


def _verdict(cell: Compared, against: Against | None, label: str, first: str) -> str:
    if against is None or not math.isfinite(against.more.mean):
        return f"{label}: no {cell.main} to compare."
    more, metric = against.more, cell.main
    if not math.isfinite(more.p):
        surely = "; on so few clips nobody can tell whether by chance"
    else:
        lies = comparison_lines.interval(more.low, more.high, metric)
        surely = f" ({lies}), {'more than chance gives' if against.holm < CLEAR else 'which may be chance'}"
    return f"{label} has {score_tables.number(metric, more.mean, sign=True)} {metric} against {first}{surely}."


def _bars(cell: Compared, labels: Sequence[str]) -> str:
    bars = [
        charts.Bar(
            "beside" if row.against else "model",
            label,
            row.mean(cell.main),
            score_tables.with_spread(cell.main, row.mean(cell.main), row.spread(cell.main)),
        )
        for row, label in zip(cell.rows, labels, strict=True)
    ]
    caption = f"{cell.name}: {cell.main} of {len(cell.clips):,} test clips"
    return charts.bars(caption, bars, cell.interval, GROUPS)


def _gaps(cell: Compared, labels: Sequence[str]) -> str:
    lines = [
        charts.Gap(
            label,
            row.against.more.mean,
            row.against.more.low,
            row.against.more.high,
            score_tables.number(cell.main, row.against.more.mean, sign=True),
            row.against.holm < CLEAR,
        )
        for row, label in _others(cell, labels)
        if row.against
    ]
    caption = f"{cell.name}: {cell.main} more than {labels[0]}, 95 % of draws of {cell.over}"
    return charts.gaps(caption, lines, lambda value: score_tables.number(cell.main, value, sign=True))


def _scores(found: Comparison, labels: Sequence[str]) -> str:
    several = found.comparisons > 1
    tables = []
    for number, cell in enumerate(found.cells):
        rows = [
            [label, *comparison_lines.cells(row, cell, several=several)]
            for row, label in zip(cell.rows, labels, strict=True)
        ]
        header = ["run", *comparison_lines.head(cell, several=several)]
        title = comparison_lines.title(cell)
        tables.append(page.table(header, rows, 1, caption=title, name=f"scores-{number}"))
    shown = dict.fromkeys(metric for cell in found.cells for metric in SHOWN[cell.view])
    metrics = page.folded("What the metrics are", page.items([f"`{one}`: {EXPLAINED[one]}" for one in shown]))
    return paragraph(comparison_lines.READING, "soft") + metrics + "".join(tables)


def _seeds(found: Comparison, labels: Sequence[str]) -> str:
    drawn = []
    for cell in found.cells:
        rows = {label: [one[cell.main] for one in row.scores] for row, label in zip(cell.rows, labels, strict=True)}
        percent = cell.main not in score_tables.NOT_SHARES | {"ccc"}
        picture = charts.dots(f"{cell.main} of each seed, {cell.name}", rows, percent=percent)
        drawn.append(figure(cell.name, f"{cell.main} on test", picture))
    return paragraph("Each dot is a seed; the upright line is the mean of its row.", "soft") + page.side_by_side(drawn)


def _classes(found: Comparison, labels: Sequence[str]) -> str:
    drawn = []
    for cell in found.cells:
        if cell.view in NUMBERS:
            continue
        tables = [np.sum([one.tables() for one in row.judged], axis=0) for row in cell.rows]
        true = cell.rows[0].judged[0].tables()[:, 0]
        names = [
            f"{name} ({count:,})" for name, count in zip(cell.rows[0].judged[0].members, true.tolist(), strict=True)
        ]
        values = [[_f1(*table[place].tolist()) for table in tables] for place in range(len(names))]
        drawn.append(charts.shares(f"{cell.name}: F1 of each class", names, values, labels))
    words = "Behind a class stands how many clips truly have it. Counts are added over seeds."
    return paragraph(words, "soft") + page.side_by_side(drawn) if drawn else ""


def _f1(true: int, said: int, both: int) -> float:
    return 2 * both / (true + said) if true + said else math.nan


def _agreement(found: Comparison, labels: Sequence[str]) -> str:
    several = found.comparisons > 1
    rows = []
    for cell in found.cells:
        for row, label in _others(cell, labels):
            if row.against and (one := row.against.agreed):
                counts = (f"{count:,}" for count in (one.both, one.first, one.own, one.neither))
                chances = (one.p, *([one.holm] if several else []))
                rows.append([cell.name, label, *counts, *map(comparison_lines.chance, chances)])
    if not rows:
        return ""
    header = ["of", "run", "both right", f"only {labels[0]}", "only this run", "neither", "p"]
    table = page.table([*header, *(["p, Holm"] if several else [])], rows, 2, caption="Test clips that are right")
    return paragraph(AGREED, "soft") + table


def _clips(found: Comparison, labels: Sequence[str]) -> str:
    rows = [
        [one.clip, one.speaker, *(one.cell.task, one.cell.corpus, one.truth), *_said(one), _apart(one)]
        for one in apart.clips(found)
    ]
    if not rows:
        return paragraph("All runs are as right, or as wrong, about every clip.")
    header = ["clip", "speaker", "task", "corpus", "truth", *labels, "apart"]
    words = (
        f"Test clips on which runs differ most, at most {apart.MOST}: below each run what most of its seeds say, with "
        f"{RIGHT} where more than half of them are right, or the mean of what they say. Apart is how far the share of "
        "seeds that are wrong, or the distance to a true score, lies between the best and the worst run."
    )
    table = page.table(header, rows, len(header) - 1, caption="Clips on which runs differ", name=CLIPS, head=0)
    return paragraph(words, "soft") + page.search(CLIPS, "Only rows with") + table


def _said(one: apart.Apart) -> list[str]:
    return [f"{said} {RIGHT}" if right else said for said, right in zip(one.said, one.right, strict=True)]


def _apart(one: apart.Apart) -> str:
    return f"{one.apart:.2f}" if one.cell.view in NUMBERS else f"{100 * one.apart:.0f} %"


def _differs(found: Comparison, labels: Sequence[str]) -> str:
    tables = [
        page.table(
            [what, *labels],
            [[key, *(value or UNSAID for value in values)] for key, values in rows],
            1 + len(labels),
            caption=caption,
            head=0,
        )
        for what, caption, rows in (
            ("modality", "Features that differ", found.features),
            ("setting", "Settings of the recipes that differ", found.settings),
        )
        if rows
    ]
    return "".join(tables) or paragraph("Neither features nor settings; what differs is code, seeds or chance.")


def _runs(found: Comparison, labels: Sequence[str], links: Sequence[str]) -> str:
    pieces = []
    for label, name, run, link in zip(labels, found.names, found.runs, links, strict=True):
        report = f"<p>{page.link('Its report', link)}</p>" if link else ""
        command = page.code(" ".join(run.command.split())) if run.command.split() else ""
        pieces.append(f"<h3>{page.text(f'{label}: {name}')}</h3>{report}{command}")
    return "".join(pieces)
