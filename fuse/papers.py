"""Papers' tables from the runs that are finished: nothing is trained, and no cache is needed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fuse import done, experiment, latex, recipe, tables, written
from fuse.done import Done
from fuse.pages import of_table
from fuse.recipe import Table
from fuse.tables import Filled
from fuse.typed import RecipeError


@dataclass(frozen=True)
class Variant:
    """A table with other corpora, or another number of seeds, than its recipe says; with neither it is the recipe's."""

    name: str
    corpora: tuple[str, ...] = ()
    seeds: int = 0

    @property
    def file(self) -> str:
        """Return what its files are called."""
        seeds = f"{self.seeds}seeds" if self.seeds else ""
        return written.file_name("-".join(part for part in (self.name, "+".join(self.corpora), seeds) if part))

    def read(self) -> Table:
        """Return the table itself."""
        return recipe.table(self.name, corpora=list(self.corpora) or None, seeds=self.seeds or None)


@dataclass(frozen=True)
class Paper:
    """One table, and the runs that its rows are of."""

    variant: Variant
    filled: Filled
    runs: dict[str, Done]


def fill(names: Sequence[str], corpora: Sequence[str] = ()) -> tuple[list[Paper], list[str]]:
    """Return the tables that have some finished row, of all or of some, and what was noticed on the way."""
    runs, words = done.read(done.root())
    papers = [paper for name in names or _every() for paper in _of(name, tuple(corpora), runs)]
    if not papers:
        where = f" on {', '.join(corpora)}" if corpora else ""
        raise ValueError(
            f"expected a finished run of some row of {' or '.join(names) or 'a table'}{where} in {done.root()}, got "
            f"none; make fuse MODEL={(names or ['table1'])[0]} trains them. The tables are: {', '.join(_every())}"
        )
    lacking = set(names) - {paper.variant.name for paper in papers}
    return papers, [*words, *(f"{name}: no row of it is finished" for name in names if name in lacking)]


def write(paper: Paper, out: Path | None) -> list[Path]:
    """Write a table as a page, as Markdown and as LaTeX, and return where they are."""
    folder = done.root() / "tables" if out is None else out
    links = {row: written.to_report(run.folder, folder) for row, run in paper.runs.items()}
    names = {row: run.folder.name for row, run in paper.runs.items()}
    set_in_latex = latex.table(paper.filled)
    forms = {
        "html": of_table.html(paper.filled, names, links, set_in_latex),
        "md": f"# {tables.text(paper.filled)}\n",
        "tex": set_in_latex,
    }
    return [written.put(folder / f"{paper.variant.file}.{form}", words) for form, words in forms.items()]


@cache
def _every() -> tuple[str, ...]:
    """Name every recipe that has rows."""
    return tuple(
        name
        for name in recipe.names()
        if name != recipe.DEFAULT and any(row.name != name for row in recipe.table(name).rows)
    )


def _of(name: str, corpora: tuple[str, ...], runs: Sequence[Done]) -> Iterator[Paper]:
    """Yield a table for each choice of corpora and seeds with which some of its rows were run."""
    read = cache(Variant.read)
    rows = {row.name for row in read(Variant(name)).rows}
    found: dict[Variant, dict[str, Done]] = {}
    for run in runs:
        if run.recipe["name"] in rows and (variant := _variant(name, corpora, run, read)):
            found.setdefault(variant, {}).setdefault(run.recipe["name"], run)
    for variant, chosen in sorted(found.items(), key=lambda one: one[0].file):
        yield _paper(variant, read(variant), chosen)


def _variant(name: str, corpora: tuple[str, ...], run: Done, read: Callable[[Variant], Table]) -> Variant | None:
    """Return with which corpora and seeds a run is of its row, asked for as little as possible."""
    if corpora not in ((), run.corpora):
        return None
    for variant in (
        *([] if corpora else [Variant(name), Variant(name, seeds=run.recipe["seeds"])]),
        Variant(name, run.corpora),
        Variant(name, run.corpora, run.recipe["seeds"]),
    ):
        try:
            (row,) = [row for row in read(variant).rows if row.name == run.recipe["name"]]
        except RecipeError:  # nothing that a run of ours could have had
            continue
        if run.is_of(row):
            return variant
    return None


def _paper(variant: Variant, table: Table, runs: dict[str, Done]) -> Paper:
    summaries = {row: run.summary for row, run in runs.items()}
    lacking = {row.name: "no finished run" for row in table.rows if row.name not in runs}
    other = [row.name for row in table.rows if row.name in runs and runs[row.name].code != experiment.code_digest(row)]
    return Paper(variant, tables.filled(table, summaries, lacking, other), runs)
