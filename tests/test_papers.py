"""A paper's table is filled from runs that are finished, each where it belongs, and from nothing that is broken."""

import dataclasses
import functools
import json
import os
from html.parser import HTMLParser

import pytest
import test_tables
from browser_kit import assert_fits
from run_kit import EMOTION, NAMES, SENTIMENT, both, fold, outcome, part, run

from fuse import done, experiment, papers, recipe, record, tables
from fuse.__main__ import main
from fuse.pages import of_table
from fuse.tables import Cell, Filled, Line

CORPORA = ("ramas", "meld", "mosei")
RIGHT = ["neutral", "happy", "happy", "sad"]
HOSTILE = "</script><img src=x onerror=alert(1)>"


def scored(*said, corpora=CORPORA):
    """Return a run on four clips of each corpus, with the emotions that each seed says of them."""
    names = [f"{corpus} {name}" for corpus in corpora for name in NAMES]
    of = [corpus for corpus in corpora for _ in NAMES]
    times = len(corpora)
    own = part({"emotion": EMOTION * times, "sentiment": SENTIMENT * times}, names, of)
    seeds = [outcome(i, both(list(words) * times, SENTIMENT * times)) for i, words in enumerate(said)]
    return run(fold(parts={"train": own, "dev": own, "test": own}, floors={}, outcomes=tuple(seeds)))


RUNS = {
    "one": scored(RIGHT),
    "two": scored(RIGHT, ["happy"] * 4),
    "demo": scored(RIGHT, corpora=("demo",)),
    "odd": scored(RIGHT, corpora=("../../x",)),
}


@functools.cache
def numbers(made):
    """Return what a report says of one of the runs, worked out once."""
    return record.numbers(RUNS[made])


def finish(root, row, made="one", *, code="", name="", when=1):
    """Write the run of a row as training leaves it, made at some time."""
    folder = root / (name or f"{row.name}-{'+'.join(row.corpora)}-01234567")
    folder.mkdir(parents=True)
    told = {"recipe": row.to_json(), "training code": code or experiment.code_digest(row)}
    report = folder / "report.json"
    report.write_text(json.dumps({**numbers(made), "provenance": told}))
    (folder / "report.html").write_text("<p>a report")
    os.utime(report, (when, when))
    return folder


def rows(name="table1", **changes):
    """Return the rows of a table."""
    return recipe.table(name, **changes).rows


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Have no runs yet."""
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))
    return tmp_path / "runs"


def line(paper, number):
    """Return a row of what was filled."""
    return paper.filled.lines[number]


def test_rows_are_found_by_their_recipes(root):
    """Ours stands beside the paper's in the row that was run, and what was not run says so."""
    first, second, *_ = rows()
    finish(root, first)
    (paper,), words = papers.fill(["table1"])
    assert words == []
    assert paper.filled.columns[0] == "ramas/emotion/mf1"
    assert line(paper, 0).cells[0] == Cell(
        "100.0", f" ± {tables.score_tables.DASH}", "100.0 to 100.0", "60.57", "+39.4", better=True
    )
    assert line(paper, 1).cells[0].text == f"{tables.score_tables.DASH} (62.35)"
    assert [run.folder.name for run in paper.runs.values()] == [f"{first.name}-ramas+meld+mosei-01234567"]
    assert any(note.endswith("no finished run") and "02-exhubert" in note for note in paper.filled.notes)
    assert not any(tables.MARK in note for note in paper.filled.notes)
    assert second.name not in paper.runs


def test_the_newest_run_counts_and_other_settings_do_not(root):
    """Of two runs of a row the newer is shown; one with another setting is of no row."""
    row = rows()[0]
    finish(root, row, "two", name="old", when=1)
    finish(root, row, "one", name="new", when=3)
    changed = dataclasses.replace(row, train=dataclasses.replace(row.train, lr=0.5))
    finish(root, changed, "two", name="other", when=9)
    (paper,), _ = papers.fill(["table1"])
    assert paper.runs[row.name].folder.name == "new"


def test_other_corpora_and_seeds_are_tables_of_their_own(root):
    """With no corpus asked for, each choice that was run is a table; with one, only that."""
    finish(root, rows()[0])
    finish(root, rows(seeds=2)[0], "two", name="seeds")
    finish(root, rows(corpora=["demo"])[1], "demo", name="demo")
    found, _ = papers.fill([])
    assert [paper.variant.file for paper in found] == ["table1", "table1-2seeds", "table1-demo"]
    assert line(found[1], 0).cells[0].spread == " ± 42.4"
    assert found[2].filled.columns[0] == "demo/emotion/mf1"
    assert found[2].filled.notes[0].startswith("On demo, ")
    ((only,), _) = papers.fill(["table1"], ["demo"])
    assert only.variant.file == "table1-demo"
    with pytest.raises(ValueError, match="of table1 on meld in"):
        papers.fill(["table1"], ["meld"])


def test_other_training_code_is_marked(root):
    """What other code trained is shown with a mark that a note explains."""
    finish(root, rows()[0], code="0123456789ab")
    finish(root, rows()[1])
    (paper,), _ = papers.fill(["table1"])
    assert line(paper, 0).name.endswith(tables.MARK)
    assert tables.MARK not in line(paper, 1).name
    assert tables.OTHER_CODE in paper.filled.notes


def test_without_a_run_the_tables_are_named(root):
    """Nothing finished is an error that says what there is; a name that is no table is one, too."""
    with pytest.raises(
        ValueError, match=r"(?s)finished run of some row of a table .*got none.*mer_clip_table10.*table1"
    ):
        papers.fill([])
    with pytest.raises(ValueError, match="unknown model or recipe"):
        papers.fill(["table99"])
    finish(root, rows()[0])
    (_,), words = papers.fill(["table1", "table2"])
    assert words == ["table2: no row of it is finished"]


BROKEN = {
    "cut": lambda data: "{",
    "list": lambda data: "[]",
    "deep": lambda data: "[" * 100_000,
    "bare": lambda data: "{}",
    "recipe": lambda data: {**data, "provenance": {**data["provenance"], "recipe": []}},
    "corpora": lambda data: {**data, "provenance": {**data["provenance"], "recipe": {"name": "x", "corpora": [1]}}},
    "parameters": lambda data: {**data, "parameters": "many"},
    "yes": lambda data: {**data, "parameters": True},
    "endless": lambda data: {**data, "seconds_per_epoch": float("inf")},
    "huge": lambda data: {**data, "seconds_per_epoch": 10**400},
    "task": lambda data: {**data, "scores": {"joy": {}}},
    "scores": lambda data: {**data, "scores": {"emotion": {"meld": {"test": [{"role": "model"}]}}}},
    "words": lambda data: {**data, "scores": {"emotion": {"meld": {"test": [scores(mean={"mf1": "0.5"})]}}}},
    "spread": lambda data: {**data, "scores": {"emotion": {"meld": {"test": [scores(spread={})]}}}},
}


def scores(**changes):
    """Return a line of a report."""
    return {"role": "model", "mean": {"mf1": 0.5}, "spread": {"mf1": None}, "interval": None, **changes}


def test_broken_reports_are_passed_over_with_a_word(root):
    """Whatever lies there, the run that is whole is shown, and each that is not is named once."""
    whole = json.loads((finish(root, rows()[0]) / "report.json").read_text())
    for name, spoil in BROKEN.items():
        (root / name).mkdir()
        made = spoil(whole)
        (root / name / "report.json").write_text(made if isinstance(made, str) else json.dumps(made))
    (root / "binary").mkdir()
    (root / "binary" / "report.json").write_bytes(b"\xff\xfe\x00")
    (paper,), words = papers.fill(["table1"])
    assert list(paper.runs) == [rows()[0].name]
    assert len(words) == len(BROKEN) + 1
    assert all(any(f"/{name}/report.json is passed over" in word for word in words) for name in (*BROKEN, "binary"))


def test_what_a_report_says_comes_back(root):
    """Scores, deviations, intervals and costs are those of the run."""
    finish(root, rows()[0], "two")
    ((found,), _) = done.read(root)
    (model,) = [
        x for x in RUNS["two"].lines if (x.role, x.task, x.corpus, x.split) == ("model", "emotion", "meld", "test")
    ]
    assert found.summary.scores["meld", "emotion", "mf1"] == (model.mean("mf1"), model.spread("mf1"))
    assert found.summary.intervals["meld", "emotion", "mf1"] == model.interval
    assert (found.summary.parameters, found.corpora) == (1234567, CORPORA)


def test_the_command_writes_three_forms(root, tmp_path, capsys):
    """Markdown is printed, and a page, Markdown and LaTeX lie where it says; the page leads to the reports."""
    finish(root, rows()[0], name="a run")
    (root / "odd").mkdir()
    (root / "odd" / "report.json").write_text("{")
    assert main(["table", "table1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"note: {root / 'odd' / 'report.json'} is passed over")
    assert "\nPaper 000, table 1" in out
    names = [f"table1.{form}" for form in ("html", "md", "tex")]
    assert [entry for entry in out.splitlines() if entry.startswith("table: ")] == [
        f"table: {root / 'tables' / name}" for name in names
    ]
    assert sorted(path.name for path in (root / "tables").iterdir()) == names
    assert (root / "tables" / "table1.md").read_text().startswith("# Paper 000, table 1")
    assert "../a%20run/report.html" in Words((root / "tables" / "table1.html").read_text()).links
    assert main(["table", "table1", "--out", str(tmp_path / "elsewhere")]) == 0
    assert "report.html" not in (tmp_path / "elsewhere" / "table1.html").read_text()
    assert main(["table", "table1", "--corpus", "meld"]) == 2


def test_better_and_best():
    """Less is better of distances; the best of a column is bold where there are several, equal ones alike."""
    mae, f1 = ("mosi", "sentiment_score", "mae"), ("mosi", "sentiment", "mf1")
    columns = ("/".join(mae), "/".join(f1))
    papers_own = {"paper-first": (0.8, 50.0), "paper-second": (0.7, 50.0)}
    made_of = test_tables.table(
        rows=test_tables.rows(("mosi",)),
        columns=columns,
        paper={name: dict(zip(columns, values, strict=True)) for name, values in papers_own.items()},
    )
    found = {
        f"paper-{name}": tables.Summary({mae: (off, None), f1: (share, None)})
        for name, off, share in (("first", 0.75, 0.5), ("second", 0.75, 0.4), ("third", 0.9, 0.5))
    }
    made = tables.filled(made_of, found, {})
    assert [[(cell.more, cell.better, cell.best) for cell in one.cells] for one in made.lines] == [
        [("-0.050", True, True), ("+0.0", None, True)],
        [("+0.050", False, True), ("-10.0", False, False)],
        [("", None, False), ("", None, True)],
    ]
    page = of_table.html(made, {}, {}, "")
    assert (page.count('<span class="up">'), page.count('<span class="down">'), page.count("<b>")) == (1, 2, 4)
    alone = tables.filled(made_of, {"paper-first": found["paper-first"]}, {})
    assert not any(cell.best for one in alone.lines for cell in one.cells)


class Words(HTMLParser):
    """Collects tags, addresses and the text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        """Keep a tag, and where it leads."""
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in {"href", "src"}]

    def handle_data(self, data):
        """Keep a text."""
        self.text += data


def test_names_from_outside_stay_text():
    """Corpora, rows, notes and runs with markup in their names make no tag."""
    row = Line(HOSTILE, HOSTILE, (Cell("1.0", paper=HOSTILE, more=HOSTILE, lies=HOSTILE, better=True),), "1", "2")
    made = Filled("x", HOSTILE, (f"{HOSTILE}/emotion/mf1",), (row,), HOSTILE, (HOSTILE,))
    found = Words(of_table.html(made, {HOSTILE: HOSTILE}, {}, HOSTILE))
    assert "img" not in found.tags
    assert found.tags.count("script") == 1
    assert found.text.count(HOSTILE) > 8


def test_a_corpus_that_is_called_like_a_path_leads_nowhere(root):
    """The name of a file holds nothing that leads out of its folder."""
    finish(root, rows(corpora=["../../x"])[0], "odd", name="odd")
    (paper,), _ = papers.fill([])
    assert {path.resolve().parent for path in papers.write(paper, None)} == {(root / "tables").resolve()}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Write the page of a table of which some rows are finished."""
    root = tmp_path_factory.mktemp("runs")
    for number, row in enumerate(rows()):
        if number % 3 != 1:
            finish(root, row, "two" if number % 2 else "one", code="other" if number == 3 else "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_ROOT", str(root))
        (paper,), _ = papers.fill(["table1"])
        return papers.write(paper, None)[0]


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it_at_any_width(browser, file, dark):
    """The console is empty, only the file itself is read, and no width makes the page scroll sideways."""
    assert_fits(browser, file, "table", dark=dark)


@pytest.mark.slow
def test_it_can_be_sorted_and_filtered(browser, file):
    """A click sorts by our score, words narrow the rows, and every table has a name."""
    page = browser.open(file)
    column = "[...document.querySelectorAll('#numbers tbody tr')].map(row => parseFloat(row.cells[1].textContent))"
    page.run("document.querySelectorAll('#numbers thead button')[1].click()")
    known = [value for value in page.run(column) if value is not None]
    assert known == sorted(known)
    assert len(set(known)) > 1
    page.run("const i = document.querySelector('.filter input'); i.value = 'exhubert BFS'; i.oninput()")
    shown = page.run(
        "[...document.querySelectorAll('#numbers tbody tr')].filter(x => !x.hidden).map(x => x.cells[0].textContent)"
    )
    assert len(shown) == 4
    assert all("exhubert" in name for name in shown)
    assert page.run("[...document.querySelectorAll('table')].every(x => x.caption && x.querySelector('th[scope]'))")
    assert page.run("[...document.querySelectorAll('nav a')].every(x => document.querySelector(x.hash))")
    assert page.errors == []
