"""`report.html`: a run as one page to look at, with nothing beside it; sentences first, then charts, then every table.

What a run does not have is left out, or said in a plain word where a reader would look for it.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from fuse import embedding, facts, insight, score_tables, verdict
from fuse.embedding import Nearest
from fuse.insight import Agreement
from fuse.lines import Line
from fuse.metrics import EXPLAINED
from fuse.pages import charts, page
from fuse.pages.page import Section, figure, paragraph
from fuse.result import Beside, Run, confusion
from manifests.labels import TASKS

CLIPS = "hardest"
BY_EYE = "Rows are what the model or a part of it says, columns the same; a cell is the share of test clips alike."


def html(run: Run) -> str:
    """Return the page."""
    head = "".join(page.note("Note", warning) for warning in run.warnings) + paragraph(facts.summary(run), "lead")
    found = {
        "At a glance": _glance(run),
        "Scores": _scores(run),
        "Classes": _classes(run),
        "Confusion": _confusion(run),
        "Seeds and folds": _spread(run),
        "Training": _training(run),
        "Calibration": _calibration(run),
        "Missing modalities": _missing(run),
        "Map": _map(run),
        "Agreement": _agreement(run),
        "Hardest clips": _hardest(run),
        "Clips": _clips(run),
        "Sources": _sources(run),
        "Again": _again(run),
    }
    sections = [Section(title, body) for title, body in found.items() if body]
    return page.document(f"{run.model} on {', '.join(run.corpora)}", head, sections)


def _cells(run: Run) -> list[tuple[str, str]]:
    """Return each task and corpus that is scored on test."""
    return [(task, corpus) for task, corpus, split in run.scored if split == "test"]


def _single(run: Run) -> list[tuple[str, str]]:
    return [cell for cell in _cells(run) if run.views[cell] == "single"]


def _tested(run: Run, task: str, corpus: str) -> list[Line]:
    return [line for line in run.lines if (line.task, line.corpus, line.split) == (task, corpus, "test")]


def _percent(metric: str) -> bool:
    return metric not in score_tables.NOT_SHARES | {"ccc"}


def _glance(run: Run) -> str:
    if not _cells(run):
        return paragraph("No test clip has a label of any task.")
    said = [
        paragraph(f"{verdict.carried(run, *cell)} {verdict.reached(run, *cell)}", about=f"{cell[0]} on {cell[1]}")
        for cell in _cells(run)
    ]
    drawn = [
        _bars([one for one in _tested(run, *cell) if one.role != "thinned"], _beside(run, *cell))
        for cell in _cells(run)
    ]
    band = any(line.interval for line in run.lines)
    words = "The band behind the bars is the model's 95 % interval: a line that ends inside it may be as good. "
    how = "± is the sample standard deviation over seeds and folds. Bars begin at zero."
    return "".join(said) + page.side_by_side(drawn) + paragraph(f"{words if band else ''}{how}", "soft") + _others(run)


def _beside(run: Run, task: str, corpus: str) -> list[Beside]:
    return [one for one in run.beside if (one.task, one.corpus) == (task, corpus)]


def _others(run: Run) -> str:
    """Say where what stands beside comes from, or how to get what does not."""
    found = facts.beside(run)
    told = paragraph(facts.BESIDE, "soft") + page.table(*found, caption="Beside others", head=3) if found[1] else ""
    return told + (paragraph(facts.UNLAID, "soft") + page.code(run.plain_by) if run.plain_by else "")


def _bars(lines: list[Line], others: Sequence[Beside] = ()) -> str:
    """Draw the main metric of every line of one task and corpus, and of what the model is held against."""
    model = next(line for line in lines if line.role == "model")
    metric, interval = model.main, model.interval
    bars = [_bar(line.role, line.name, metric, line.mean(metric), line.spread(metric)) for line in lines]
    bars += [_bar("beside", one.name, metric, one.mean, one.spread) for one in others if one.metric == metric]
    caption = f"{model.task} on {model.corpus}: {metric} of {model.clips:,} test clips"
    return charts.bars(caption, bars, (interval.low, interval.high) if interval else None)


def _bar(role: charts.Kind, name: str, metric: str, mean: float, spread: float | None) -> charts.Bar:
    return charts.Bar(role, name, mean, facts.shown(metric, mean, spread))


def _scores(run: Run) -> str:
    lines = [line for line in run.lines if line.role not in {"ablation", "thinned"}]
    draw = partial(page.table, caption="Scores on dev and test", strong=run.model)
    metrics = page.folded("What the metrics are", page.items(score_tables.explained(lines).splitlines()))
    return paragraph(facts.reading(run), "soft") + metrics + score_tables.scores(lines, draw)


def _classes(run: Run) -> str:
    found = score_tables.classes(run, partial(page.table, caption="Classes on test"))
    return paragraph(facts.CLASSES, "soft") + found if found else ""


def _confusion(run: Run) -> str:
    if not _single(run):
        return ""
    drawn = [
        charts.heat(f"{task} on {corpus}, test", TASKS[task].classes, confusion(run, task, corpus, "test"))
        for task, corpus in _single(run)
    ]
    return paragraph(facts.CONFUSION, "soft") + "".join(drawn)


def _spread(run: Run) -> str:
    drawn = []
    for task, corpus in _cells(run):
        (line,) = [one for one in _tested(run, task, corpus) if one.role == "model"]
        rows: dict[str, list[float]] = {}
        for one in line.scores:
            rows.setdefault(one.fold or "all seeds", []).append(one.values[line.main])
        picture = charts.dots(f"{line.main} of each seed", rows, percent=_percent(line.main))
        drawn.append(figure(f"{task} on {corpus}", f"{line.main} on test", picture))
    if not drawn:
        return ""
    words = "Each dot is a seed; the upright line is the mean of its row."
    folds = score_tables.folds(run.lines, partial(page.table, caption="The model on test, fold by fold"))
    table = paragraph(facts.FOLDS, "soft") + folds if len(run.folds) > 1 else ""
    return paragraph(words, "soft") + page.side_by_side(drawn) + table


def _training(run: Run) -> str:
    words = facts.THRESHOLD if facts.thresholds(run) else ""
    seeds = (paragraph(words) if words else "") + page.table(*facts.training(run), caption="Seeds", head=0)
    if not facts.trained(run):
        return paragraph(facts.AS_GIVEN) + seeds
    drawn = [
        figure(title, words, charts.curves(title, found, percent=percent))
        for title, words, percent, found in (
            ("Training", "loss", False, _curves(run, losses=True)),
            ("Dev", "scores", True, _curves(run, losses=False)),
        )
        if found
    ]
    return page.side_by_side(drawn) + page.folded("Every seed", seeds)


def _curves(run: Run, *, losses: bool) -> list[charts.Curve]:
    """Return the losses, or the scores, of every seed and fold over epochs."""
    found = []
    for history, epoch in facts.trained(run):
        for name in dict.fromkeys(key for record in history for key in record):
            drawn = name.endswith("loss") if losses else name.endswith("score") or name.split()[0] in EXPLAINED
            if drawn:
                points = [(float(i), record[name]) for i, record in enumerate(history, start=1) if name in record]
                found.append(charts.Curve(name, points, float(epoch)))
    return found


def _calibration(run: Run) -> str:
    if not _single(run):
        return paragraph("Only tasks with one class per clip are looked at here, and this run has none.")
    drawn = []
    for task, corpus in _single(run):
        bins, error = insight.calibration(run.of_model(task, corpus, "test"))
        words = f"expected calibration error {100 * error:.1f} %"
        drawn.append(figure(f"{task} on {corpus}", words, charts.reliability(f"Reliability of {task}", bins)))
    words = (
        "Clips are put into ten bins by the greatest share that the model gives. A blue bar is how many of a bin are "
        "right, a ring where its mean share lies; on the dashed line both are the same. Grey from above: how many "
        "clips a bin has. The expected calibration error is the mean distance between share and right, weighted by "
        "clips, all seeds and folds together. Shares are as the model gives them, nothing was fitted on dev; where "
        "logits of parts or windows are averaged, they are the shares of that average."
    )
    return page.side_by_side(drawn) + paragraph(words, "soft")


def _missing(run: Run) -> str:
    if not any(line.role == "ablation" for line in run.lines):
        return paragraph("Not asked for; SET=ablate=true scores the test clips without each modality in turn.")
    drawn = [_bars([one for one in _tested(run, *cell) if one.role in {"model", "ablation"}]) for cell in _cells(run)]
    table = score_tables.missing(run.lines, partial(page.table, caption="Without a modality", strong=run.model))
    return paragraph(facts.MISSING, "soft") + page.side_by_side(drawn) + table + _thinned(run)


def _thinned(run: Run) -> str:
    """Show what becomes of the main metric while a growing share of modalities is missing at random."""
    if not run.rates:
        return ""
    drawn = [_decline(run, *cell) for cell in _cells(run)]
    words = "The ring is the model with all that the clips have; whiskers reach one sample standard deviation over "
    told = paragraph(f"{facts.THINNED} {words}seeds and folds to each side.", "soft")
    draw = partial(page.table, caption="With modalities missing at random", strong=run.model)
    return told + page.side_by_side(drawn) + page.folded("Every share", score_tables.thinned(run.lines, draw))


def _decline(run: Run, task: str, corpus: str) -> str:
    lines = _tested(run, task, corpus)
    (model,) = [line for line in lines if line.role == "model"]
    (usual,) = [line for line in lines if (line.role, line.name) == ("floor", "majority")]
    metric, shares = model.main, {model.name: 0.0, **run.rates}
    points = [
        (shares[line.name], line.mean(metric), line.spread(metric) or 0.0)
        for line in lines
        if line.role in {"model", "thinned"}
    ]
    picture = charts.decline(
        f"{metric} with modalities missing", "share missing", points, usual.mean(metric), percent=_percent(metric)
    )
    return figure(f"{task} on {corpus}", f"{metric} on test", picture)


def _map(run: Run) -> str:
    drawn, part = embedding.of(run), run.folds[0].parts["test"]
    if drawn is None:
        return ""
    read = f"What the heads of {run.model} read of a test clip, "
    if drawn.spoilt:
        return paragraph(f"{read}is not drawn: {drawn.spoilt}.")
    corpora = [part.corpora[i] for i in drawn.rows]
    names = [
        part.ids[i] if len(run.corpora) == 1 else f"{c} {part.ids[i]}" for i, c in zip(drawn.rows, corpora, strict=True)
    ]
    figures = [
        figure(
            task,
            _nearest(drawn.nearest(classes)),
            charts.scatter(f"Map by {task}", drawn.points.tolist(), classes.tolist(), TASKS[task].classes, names),
        )
        for task, classes in embedding.classes(run).items()
    ]
    if not figures:
        return paragraph("Only tasks with one class per clip are drawn, and this run has none.")
    fold, seed = run.folds[0].name, run.folds[0].outcomes[0].seed
    words = (
        f"{read}as a point in the plane, by {drawn.how}; {len(drawn.rows):,} of {len(part.ids):,} test clips, "
        f"{f'fold {fold}, ' if fold else ''}seed {seed}. Colour and shape are the true class. Points that lie together "
        "are alike; how far groups lie from each other, how large they are and where they lie mean nothing. The share "
        "beside each map is counted in the full space, not in the plane."
    )
    return page.side_by_side(figures) + paragraph(words, "soft")


def _nearest(found: Nearest | None) -> str:
    if found is None:
        return "fewer than two clips have the label"
    return f"the nearest neighbour has the same class for {found.share:.0%} of clips, by chance for {found.chance:.0%}"


def _agreement(run: Run) -> str:
    found = {cell: one for cell in _cells(run) if (one := insight.agreement(run, *cell))}
    if not found:
        return paragraph("The model has no parts that say something alone.")
    names = [f"{task} on {corpus}" for task, corpus in found]
    drawn = [charts.shares(name, one.names, one.same.tolist()) for name, one in zip(names, found.values(), strict=True)]
    rows = [row for name, one in zip(names, found.values(), strict=True) for row in _apart(name, one)]
    header = ["of", "part", "says something else", "model right then", "part right then", "neither"]
    table = page.table(header, rows, 2, caption="Where a part disagrees with the model, in percent")
    return paragraph(f"{BY_EYE} Counted over seeds and folds.", "soft") + page.side_by_side(drawn) + table


def _apart(name: str, one: Agreement) -> Iterator[list[str]]:
    for part, same, (apart, model, own) in zip(one.names[1:], one.same[0, 1:], one.apart.tolist(), strict=True):
        counts = (model, own, apart - model - own)
        shares = [f"{100 * count / apart:.1f}" if apart else score_tables.DASH for count in counts]
        yield [name, part, f"{100 * (1 - same):.1f}", *shares]


def _hardest(run: Run) -> str:
    if not _single(run):
        return paragraph("Only tasks with one class per clip are looked at here, and this run has none.")
    rows = [
        [
            *(one.clip, one.speaker, one.task, one.corpus, one.truth, one.said),
            *(f"{100 * one.share:.1f}", f"{one.missed} of {one.times}"),
        ]
        for one in insight.hardest(run)
    ]
    if not rows:
        return paragraph("No test clip was missed by any seed.")
    header = ["clip", "speaker", "task", "corpus", "truth", "said", "share in %", "missed by seeds"]
    words = (
        f"Test clips that most seeds miss, those first to which the wrong class was given the greatest share; at most "
        f"{insight.HARDEST}. Said is what most of the seeds that missed it say, share the mean of theirs."
    )
    table = page.table(header, rows, 6, caption="Hardest clips of test", name=CLIPS, head=0)
    return paragraph(words, "soft") + page.search(CLIPS, "Only rows with") + table


def _clips(run: Run) -> str:
    words, counted = facts.clips(run)
    return paragraph(words, "soft") + page.table(*counted, caption="Clips by split")


def _sources(run: Run) -> str:
    """Say whose features, corpora and terms the numbers rest on, and whom to cite."""
    table = page.table(*facts.sources(run), caption="Features", head=0) if run.sources else ""
    said = [paragraph(words, "soft") for words in (*facts.terms(run), facts.untold(run)) if words]
    made = list(dict.fromkeys(one.command for one in run.sources if one.command))
    again = page.folded("How the features are made", page.code("\n".join(made))) if made else ""
    cited = [page.code(one) for one in facts.citations(run)]
    return table + "".join(said) + again + "".join(["<h3>To be cited</h3>" if cited else "", *cited])


def _again(run: Run) -> str:
    table = page.table(*facts.provenance(run), caption="Provenance", head=0)
    words = paragraph("Every prediction is in predictions.csv, every number in report.json, beside this page.", "soft")
    return page.code(" ".join(run.command.split())) + words + page.folded("Provenance: code, libraries, recipe", table)
