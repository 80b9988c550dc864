"""A table shows what was measured beside what the paper prints, and says of every row without numbers why."""

import dataclasses

import pytest

from fuse import recipe, tables
from fuse.lines import Interval
from fuse.recipe import Recipe, Table
from fuse.result import Summary

COLUMNS = ("meld/emotion/mf1", "mosei/emotion/mmf1", "mosi/sentiment_score/mf1")
DASH = "\N{EN DASH}"


def rows(corpora=("meld", "mosei"), names=("first", "second", "third")):
    """Return recipes that differ in nothing but their names."""
    return tuple(
        Recipe(name=f"paper-{name}", model="concat", corpora=corpora, encoders={"audio": ({"encoder": "mfcc"},)})
        for name in names
    )


def table(**changes):
    """Return a table of three rows, of which the paper has all numbers of one and none of another."""
    made = {
        "name": "paper",
        "title": "Paper, table 1",
        "rows": rows(),
        "columns": COLUMNS,
        "paper": {"paper-first": dict(zip(COLUMNS, (60.54, 62.5, 40.09), strict=True)), "paper-second": {}},
        "notes": ("On demo, x stands in for y.",),
    }
    return Table(**{**made, **changes})


def measured(meld=0.5, mosei=0.4, mosi=0.9):
    """Return what a run found, and what it cost."""
    return Summary(
        {
            ("meld", "emotion", "mf1"): (meld, 0.0123),
            ("meld", "emotion", "acc"): (0.7, None),
            ("mosei", "emotion", "mmf1"): (mosei, None),
            ("mosi", "sentiment_score", "mf1"): (mosi, 0.01),
        },
        parameters=12345,
        seconds_per_epoch=1.234,
    )


def cells(text, name):
    """Return the cells of one row, without its parameters and its seconds."""
    return every_cell(text, name)[:-2]


def every_cell(text, name):
    """Return the cells of one row."""
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def test_ours_stands_beside_the_papers():
    """Test scores in percent with their deviations, the paper's numbers as it prints them, and the average of all."""
    text = tables.render(table(), {"paper-first": measured(), "paper-second": measured()}, {})
    assert text.startswith("Paper, table 1\n\n| row ")
    assert cells(text, "row") == [*COLUMNS, "average"]
    assert cells(text, "first") == [
        "50.0 ± 1.2 (60.54)",
        f"40.0 ± {DASH} (62.5)",
        "90.0 ± 1.0 (40.09)",
        "60.0 (54.38)",
    ]
    assert cells(text, "second") == ["50.0 ± 1.2", f"40.0 ± {DASH}", "90.0 ± 1.0", "60.0"]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert "\n- On demo, x stands in for y.\n" in text


def test_a_row_says_what_it_cost():
    """Parameters and seconds of an epoch stand behind the scores, and dashes where nothing was run."""
    text = tables.render(table(), {"paper-first": measured()}, {})
    assert every_cell(text, "row")[-2:] == ["parameters", "s/epoch"]
    assert every_cell(text, "first")[-2:] == ["12,345", "1.2"]
    assert every_cell(text, "second")[-2:] == [DASH, DASH]


def test_an_interval_stands_behind_its_score():
    """The interval follows the metric that it is of, and what the paper prints comes last."""
    found = dataclasses.replace(measured(), intervals={("meld", "emotion", "mf1"): Interval(0.461, 0.5367, "speakers")})
    text = tables.render(table(), {"paper-first": found}, {})
    assert cells(text, "first")[:2] == ["50.0 ± 1.2, 46.1 to 53.7 (60.54)", f"40.0 ± {DASH} (62.5)"]


def test_a_row_that_was_not_run_says_why():
    """Its numbers are the paper's alone, and rows that lack the same are named together."""
    lacking = "lacks mfcc of meld:\n    make features CORPUS=meld"
    text = tables.render(table(), {"paper-second": measured()}, {"paper-first": lacking, "paper-third": lacking})
    assert cells(text, "first") == [f"{DASH} (60.54)", f"{DASH} (62.5)", f"{DASH} (40.09)", f"{DASH} (54.38)"]
    assert cells(text, "third") == [DASH] * 4
    assert "- Not run: first, third: lacks mfcc of meld: make features CORPUS=meld" in text
    assert "not asked for" not in text
    assert "- Not run: third: not asked for" in tables.render(
        table(), dict.fromkeys(("paper-first", "paper-second"), measured()), {}
    )


def test_what_is_not_measured_stays_empty():
    """A corpus that was not used has a dash, and an average over some of the columns is not one."""
    text = tables.render(
        table(rows=rows(("meld",))), {"paper-first": Summary({("meld", "emotion", "mf1"): (0.5, None)})}, {}
    )
    assert cells(text, "first") == [f"50.0 ± {DASH} (60.54)", f"{DASH} (62.5)", f"{DASH} (40.09)"]
    assert cells(text, "row") == list(COLUMNS)
    undefined = tables.render(table(), {"paper-first": measured(mosei=float("nan"))}, {})
    assert cells(undefined, "first")[1] == f"{DASH} ± {DASH} (62.5)"
    assert "average" not in undefined


def test_another_corpus_has_the_same_columns_without_the_papers_numbers():
    """Where none of the paper's corpora was used, its tasks and metrics are shown of those that were."""
    found = {"paper-first": Summary({("demo", "emotion", "mf1"): (0.5, 0.1), ("demo", "emotion", "acc"): (0.6, 0.1)})}
    text = tables.render(table(rows=rows(("demo",))), found, {"paper-second": "lacks x"})
    assert cells(text, "row") == ["demo/emotion/mf1"]
    assert cells(text, "first") == ["50.0 ± 10.0"]
    assert cells(text, "second") == [DASH]
    nothing = tables.render(table(rows=rows(("demo",))), {}, {"paper-first": "lacks x"})
    assert cells(nothing, "row") == ["demo/emotion/mf1", "demo/emotion/mmf1", "demo/sentiment_score/mf1"]


def test_a_table_without_columns_shows_what_each_task_is_judged_by():
    """Without the paper's tasks or columns, the main metrics of whatever was scored are shown."""
    found = {
        "paper-first": Summary(
            {
                ("demo", "sentiment", "mf1"): (0.5, 0.1),
                ("demo", "sentiment", "acc"): (0.6, 0.1),
                ("demo", "sentiment_score", "corr"): (0.25, 0.125),
                ("demo", "sentiment_score", "mae"): (0.6, 0.1),
            }
        )
    }
    text = tables.render(table(rows=rows(("demo",)), columns=(), paper={}), found, {})
    assert cells(text, "row") == ["demo/sentiment/mf1", "demo/sentiment_score/corr"]
    assert cells(text, "first") == ["50.0 ± 10.0", "0.250 ± 0.125"]


@pytest.mark.parametrize("columns", [("meld/emotion/mf1", "meld/emotion/acc"), ("meld/emotion/mf1",)])
def test_only_several_tasks_are_averaged(columns):
    """Two metrics of one task, or one alone, have no average that says anything."""
    text = tables.render(table(columns=columns, paper={}), {"paper-first": measured()}, {})
    assert cells(text, "row") == list(columns)


def test_notes_from_outside_stay_one_line():
    """Bars and line breaks in a note or a reason cannot break the table."""
    text = tables.render(table(title="a\n| b |"), {}, {"paper-first": "x\n| y |\x1b[2J"})
    assert text.startswith("a \\| b \\|\n\n| row ")
    assert "first: x \\| y \\|\N{REPLACEMENT CHARACTER}\\[2J" in text


@pytest.mark.parametrize("name", sorted({*recipe.names()} - {recipe.DEFAULT}))
def test_every_recipe_has_a_table(name):
    """Whatever a recipe is, its table can be shown before anything was run."""
    made = recipe.table(name)
    text = tables.render(made, {}, {row.name: "lacks features" for row in made.rows})
    assert text.count("\n|") == 2 + len(made.rows)
