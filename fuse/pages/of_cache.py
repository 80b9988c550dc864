"""The first page of a cache: which corpora have which features, how much of them, and what was made of them."""

from collections.abc import Collection, Iterator, Sequence

from fuse import score_tables
from fuse.done import Done
from fuse.overview import UNKNOWN, Held, Overview
from fuse.pages import charts, page
from fuse.pages.page import Section, paragraph

ENTRIES = "table-of-entries"
RUNS = "table-of-runs"


def html(corpora: Sequence[Overview], runs: Sequence[Done], shown: Collection[str]) -> str:
    """Return the page; the reports of the runs that are shown lie beside it."""
    clips, nbytes = sum(len(one.rows) for one in corpora), sum(held.nbytes for one in corpora for held in one.held)
    corpora_, entries = counted(len(corpora), "corpus", "corpora"), sum(len(one.held) for one in corpora)
    head = paragraph(
        f"{corpora_} with {counted(clips, 'clip')}, {counted(entries, 'entry', 'entries')} of {megabytes(nbytes)}, "
        f"{counted(len(runs), 'run')}.",
        "lead",
    )
    sections = [
        Section("Corpora", _corpora(corpora)),
        Section("Coverage", _coverage(corpora)),
        Section("Entries", _entries(corpora)),
        Section("Runs", _runs(runs, shown)),
    ]
    return page.document("What is in this cache", head, sections)


def folder_of(corpus: str) -> str:
    """Return the link to what belongs to a corpus."""
    return page.address(corpus)


def megabytes(nbytes: int) -> str:
    """Return a size as people say it."""
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.{1 if nbytes >= 1e5 else 3}f} MB"


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number of things."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def leaves(corpus: Overview) -> str:
    """Say what may leave."""
    return f"may leave the lab: {', '.join(sorted(corpus.leave)) or 'nothing'}"


def _corpora(corpora: Sequence[Overview]) -> str:
    if not corpora:
        return paragraph("The cache has no entry of any corpus; make features CORPUS=demo fills it.")
    return "".join(
        f"<h3>{page.link(one.corpus, f'{folder_of(one.corpus)}/index.html')}</h3>"
        + paragraph(
            f"{counted(len(one.rows), 'clip')}{'' if one.known else ', of which no manifest tells'}, "
            f"{counted(len(one.held), 'entry', 'entries')}. "
            f"Terms: {'; '.join(one.terms) or UNKNOWN}; {leaves(one)}."
        )
        for one in corpora
    )


def _coverage(corpora: Sequence[Overview]) -> str:
    encoders = sorted({held.key.encoder for one in corpora for held in one.held})
    rows = [(one.corpus, [_share(one, encoder) for encoder in encoders]) for one in corpora]
    words = "Of each corpus' clips, how many have features of an encoder, rounded down; of several entries the fullest."
    return paragraph(words, "soft") + charts.coverage("Clips with features", encoders, rows) if corpora else ""


def _share(corpus: Overview, encoder: str) -> float | None:
    covered = [len(held.place) for held in corpus.held if held.key.encoder == encoder]
    return max(covered) / max(1, len(corpus.rows)) if covered else None


def _entries(corpora: Sequence[Overview]) -> str:
    words = (
        "Terms are the encoder's. Quarantined clips could not be extracted; make features RETRY=1 tries them again. "
        "Missing clips were not tried, or have no sound, picture or words to take them from."
    )
    header = ["corpus", "entry", "grid", "terms", "clips", "missing", "quarantined", "windows", "MB"]
    rows = [row for one in corpora for held in one.held for row in _entry(one, held)]
    return (
        paragraph(words, "soft")
        + page.search(ENTRIES, "Only rows with")
        + page.table(header, rows, 4, caption="Entries", name=ENTRIES, head=1)
    )


def _entry(corpus: Overview, held: Held) -> Iterator[list[str]]:
    yield [
        corpus.corpus,
        page.Link(held.name, f"{folder_of(corpus.corpus)}/{held.name}.html"),
        held.key.grid,
        held.licence,
        *(f"{count:,}" for count in (len(held.place), len(corpus.absent(held)), len(held.failed))),
        f"{held.measured.windows.sum():,}",
        f"{held.nbytes / 1e6:.1f}",
    ]


def run_link(name: str) -> str:
    """Return where the report of a run lies."""
    return f"runs/{name}.html"


def _runs(runs: Sequence[Done], shown: Collection[str]) -> str:
    if not runs:
        return paragraph("No run is finished yet; make fuse MODEL=lefsa CORPUS=demo trains one.")
    rows = [
        [
            page.Link(run.name, page.address(run_link(run.name))) if run.name in shown else run.name,
            str(run.recipe["model"]),
            *(corpus, task, metric),
            score_tables.with_spread(metric, *run.summary.scores[corpus, task, metric]),
            f"{run.summary.parameters:,}",
        ]
        for run in runs
        for corpus, task, metric in run.mains
    ]
    words = "On test; ± is the sample standard deviation over seeds and folds."
    if kept := len(runs) - len(shown):
        words += (
            f" Of {counted(kept, 'run')} the report is not here: it names clips and labels, which a corpus' terms "
            "keep in the lab, or another version wrote it. It lies in RUNS_ROOT."
        )
    header = ["run", "model", "corpus", "task", "metric", "score", "parameters"]
    table = page.table(header, rows, 5, caption="Runs", name=RUNS, head=0)
    return paragraph(words, "soft") + page.search(RUNS, "Only rows with") + table
