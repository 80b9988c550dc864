"""What a run is held against is the same task: the plain fusion on the same clips, and the paper's own number."""

import dataclasses
import json
import os
import shlex
import subprocess
from html.parser import HTMLParser

import fuse_kit
import numpy as np
import pytest
from command_kit import ROOT
from run_kit import EMOTION, NAMES, SENTIMENT, fold, part, run, sole

from fuse import beside, facts, recipe, record, report, sources, verdict
from fuse.__main__ import _table, main
from fuse.arguments import parser
from fuse.pages import of_run
from fuse.result import Beside

HOSTILE = "</pre><img src=x onerror=alert(1)>|```\n# not a title"
FEATURES = {"features": {"audio": "mfcc-1", "video": "face_hog-2"}}
UNIMODAL = recipe.load("unimodal")
SOLE = sole("emotion", EMOTION, ["happy"] * 4, "happy")
NO_TABLE = recipe.Table("unimodal", "", (UNIMODAL,))


def made(model="concat", of=UNIMODAL, folds=(), **provenance):
    """Return a run of a model with features and a recipe by name."""
    told = {**FEATURES, "recipe": of.to_json(), **provenance}
    return run(*(folds or [fold()]), model=model, provenance=told)


def put(folder, one):
    """Write what is read back of a finished run."""
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(record.numbers(one)))
    (folder / "predictions.csv").write_text(record.predictions(one))


def laid(roots, one=None, of=UNIMODAL, table=NO_TABLE):
    """Return a run of another model with what is found beside it."""
    return beside.laid(one or made("unimodal", of), of, table, roots / "runs" / "unimodal-demo-01234567")


def arguments(command):
    """Return what make hands to `python -m fuse` for a command as it is typed."""
    done = subprocess.run(["sh", "-c", f"{command} -n"], cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if " -m fuse " in line]
    words = shlex.split(line)
    return words[words.index("fuse") + 1 :]


def test_the_newest_run_of_concat_stands_beside(roots):
    """Its score, deviation and folder, in the bars, the verdict, both reports and the record."""
    for number in (1, 2):
        folder = roots / "runs" / f"concat-demo-0000000{number}"
        put(folder, made())
        os.utime(folder / "report.json", (number, number))
    found = laid(roots)
    (model,) = [x for x in found.lines if (x.role, x.task, x.split) == ("model", "emotion", "test")]
    assert found.plain_by == ""
    emotion, sentiment = found.beside
    assert emotion == Beside(
        "concat", "demo", "emotion", "mf1", model.mean("mf1"), model.spread("mf1"), "concat-demo-00000002"
    )
    assert sentiment.task == "sentiment"
    assert "; concat reaches 70.0 (concat-demo-00000002)." in verdict.reached(found, "emotion", "demo")
    assert of_run.html(found).count('<tr class="beside">') == 2
    assert "concat-demo-00000002 | 70.0 ± 42.4 |" in report.text(found)
    assert json.loads(json.dumps(record.numbers(found)))["beside"][0]["where"] == "concat-demo-00000002"


OTHER = {
    "model": made("unimodal"),
    "features": made(features={"audio": "mfcc-9", "video": "face_hog-2"}),
    "protocol": made(of=dataclasses.replace(UNIMODAL, folds=3)),
    "tasks": made(folds=[SOLE]),
    "labels": made(folds=[fold(test=part({"emotion": ("neutral", "happy", "sad", None), "sentiment": SENTIMENT}))]),
    "clips": made(
        folds=[fold(test=part({"emotion": EMOTION, "sentiment": SENTIMENT}, [*NAMES[:3], "another"]))],
    ),
}


@pytest.mark.parametrize("other", OTHER)
def test_what_is_not_the_same_stands_not_beside(roots, other):
    """Another model, other features, folds, tasks, labels or clips are no measure, and the command is said."""
    put(roots / "runs" / "concat-demo-00000001", OTHER[other])
    found = laid(roots)
    assert found.beside == ()
    assert "make fuse MODEL=concat CORPUS=demo" in report.text(found)
    assert "make fuse MODEL=concat CORPUS=demo" in of_run.html(found)


BROKEN = {
    "nothing": {},
    "no JSON": {"report.json": '{"model": "concat", '},
    "no keys": {"report.json": '{"model": "concat"}'},
    "a list": {"report.json": '["model", {"model": "concat"}]'},
    "deep": {"report.json": '{"model": "concat", "x": ' + "[" * 100_000},
    "no predictions": {"report.json": json.dumps(record.numbers(made()))},
    "other predictions": {"report.json": json.dumps(record.numbers(made())), "predictions.csv": "a,b\n1,2\n"},
    "no scores": {
        "report.json": json.dumps(record.numbers(made())).replace('"role": "model"', '"role": 5'),
        "predictions.csv": record.predictions(made()),
    },
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_runs_are_passed_over(roots, broken):
    """A folder that cannot be read fails no report, and hides no older one that can."""
    put(roots / "runs" / "concat-demo-00000001", made())
    os.utime(roots / "runs" / "concat-demo-00000001" / "report.json", (1, 1))
    folder = roots / "runs" / "concat-demo-00000002"
    folder.mkdir()
    for name, text in BROKEN[broken].items():
        (folder / name).write_text(text)
    (roots / "runs" / "concat-demo-00000003" / "report.json").mkdir(parents=True)
    assert {one.where for one in laid(roots).beside} == {"concat-demo-00000001"}


def test_concat_itself_does_not_look(roots):
    """Its own report names no other run of it and asks for none."""
    put(roots / "runs" / "concat-demo-00000001", made())
    found = laid(roots, made())
    assert (found.beside, found.plain_by) == ((), "")


SETTINGS = (
    [],
    ["modalities=text,audio", "encoders.audio=mfcc"],
    ["protocol=group", "folds=3", "only_folds=0,2", "group_by=dialogue", "tasks=emotion"],
    ["test_without=video", "unseen_classes=true", "data.random_weights=true", "seeds=2"],
    ['encoders.face=[{encoder="a","settings.faces"="x$y"},{encoder="b"}]', "without=settings.faces"],
)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_command_says_the_same_clips_and_features(settings):
    """Through the shell and make, it is read as the same features, folds, tasks and seeds."""
    mine = recipe.load("unimodal", settings, corpora=["demo", "meld"])
    (theirs,) = _table(parser().parse_args(arguments(beside.command(mine)))).rows
    assert theirs.model == "concat"
    for name in ("corpora", "used", "tasks", "seeds", *beside.DIVIDED):
        assert getattr(theirs, name) == getattr(mine, name), name
    assert theirs.data.random_weights == mine.data.random_weights


@pytest.mark.slow
def test_following_the_command_makes_the_next_report_show_it(roots, capsys):
    """What the first report asks for is found by the second, whose scores are those of that run."""
    fuse_kit.store(fuse_kit.clips())
    asked = ["unimodal", "--corpus", "demo", "--seeds", "1", "--set", "train.epochs=2", "encoders.audio=mfcc"]
    asked += ["modalities=audio,text", "protocol=group", "folds=3", "only_folds=1"]

    def reported(words):
        assert main(words) == 0
        path = roots / capsys.readouterr().out.splitlines()[-1].removeprefix("report: ")
        return path.parent.name, json.loads(path.with_name("report.json").read_text())

    _, before = reported(asked)
    assert before["beside"] == []
    name, plain = reported([*arguments(before["plain_by"]), "train.epochs=2"])
    _, after = reported(asked)
    assert after["plain_by"] == ""
    (line,) = [one for one in plain["scores"]["emotion"]["demo"]["test"] if one["role"] == "model"]
    (found,) = [one for one in after["beside"] if one["task"] == "emotion"]
    assert (found["where"], found["mean"]) == (name, line["mean"]["mf1"])
    assert plain["plain_by"] == ""


def papers(table, **more):
    """Return the first row of a table as it was run on four clips of MELD, beside its paper."""
    own = sole("emotion", EMOTION, ["happy"] * 4, "happy", corpora=["meld"] * 4)
    row = dataclasses.replace(table.rows[0], **more)
    one = run(own, model="concat", recipe=row.name)
    return list(beside.laid(one, row, table, ROOT / "nowhere" / "folder").beside)


def test_the_papers_number_stands_only_beside_its_own_experiment(roots):  # noqa: ARG001 (no run is looked for elsewhere)
    """In the unit of our scores, with its row; not on another corpus, with stand-ins, other features or folds."""
    (found,) = papers(recipe.table("table1", corpora=["meld"]))
    printed = recipe.table("table1").paper[recipe.table("table1").rows[0].name]["meld/emotion/mf1"]
    assert (found.name, found.corpus, found.metric, found.spread) == ("the paper", "meld", "mf1", None)
    assert found.mean == pytest.approx(printed / 100)
    assert found.where.endswith("of table1, trained on ramas, meld, mosei")
    assert not papers(recipe.table("table1", corpora=["demo"]))
    assert not papers(recipe.table("table1", corpora=["demo", "meld"]))
    assert not papers(recipe.table("table1", corpora=["meld"], encoders={"audio": "mfcc"}))
    assert not papers(recipe.table("table1", corpora=["meld"]), protocol="group")
    assert not papers(recipe.table("concat", corpora=["meld"]))


class Tags(HTMLParser):
    """Collects tags and text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(source)

    def handle_starttag(self, tag, attributes):  # noqa: ARG002 (the library's)
        """Keep a tag."""
        self.tags.append(tag)

    def handle_data(self, data):
        """Keep a text."""
        self.text += data


def told(fill, about):
    """Write an entry with a word beside it, and return what is read of both."""
    folder = fill(c1="a").parent
    if about is not None:
        (folder / "about.json").write_text(json.dumps(about))
    return sources.read({"audio": [folder]})


def test_sources_are_told_in_both_reports(fill):
    """Modality, entry, what the encoder does, terms, weights and citations, of which each stands once."""
    known = {
        "encoder_does": "hears moods",
        "encoder_licence": "MIT",
        "weights_of": "a/b 12",
        "trained_on": ["msp", "meld"],
        "parameters": 7,
        "command": "make features CORPUS=toys",
        "bibtex": {"corpus": "@misc{toys}", "encoder": "@misc{ears}\n"},
    }
    (one,) = told(fill, known)
    found = dataclasses.replace(made(folds=[SOLE]), sources=(one, one))
    assert (one.entry.partition("/")[0], one.encoder, one.parameters, one.told) == ("toys", "toy", 7, True)
    for text in (report.text(found), Tags(of_run.html(found)).text):
        assert all(word in text for word in ("hears moods", "MIT", "a/b 12", "msp, meld"))
        assert text.count("@misc{toys}") == text.count("@misc{ears}") == 1
    assert record.numbers(found)["sources"][0]["bibtex"]["encoder"] == "@misc{ears}"
    assert facts.untold(found) == ""


def test_an_entry_without_a_word_is_said_plainly(fill):
    """Where nobody left about.json, or something else stands there, that is said of the entry."""
    for about in (None, ["a"], "x", {}):
        (one,) = told(fill, about)
        found = dataclasses.replace(made(folds=[SOLE]), sources=(one,))
        assert not one.told
        for text in (report.text(found), Tags(of_run.html(found)).text):
            assert f"No about.json lies beside {one.entry}" in text


@pytest.mark.parametrize("odd", [HOSTILE, [HOSTILE, 3], {"a": HOSTILE}, 7, None, True])
def test_a_strangers_words_stay_text(fill, odd):
    """Markup, fences and values of another kind make neither a tag nor a title, and no report fails."""
    names = ("encoder_does", "encoder_licence", "weights_of", "trained_on", "parameters", "command")
    (one,) = told(fill, {**dict.fromkeys(names, odd), "bibtex": {"corpus": odd, "encoder": odd}})
    (two,) = told(fill, {"bibtex": odd})
    found = dataclasses.replace(made(folds=[SOLE]), sources=(one, two))
    page = Tags(of_run.html(found))
    assert "img" not in page.tags
    text = report.text(found)
    inside, fence = [], ""
    for line in text.splitlines():
        if fence:
            inside.append(line)
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = "`" * (len(line) - len(line.lstrip("`")))
        else:
            assert "# not a title" not in line or "\\# not" in line
    assert fence == ""
    assert ("# not a title" in inside) == (odd in (HOSTILE, [HOSTILE, 3]))


def test_names_of_what_stands_beside_stay_text():
    """A folder's name, a paper's row and a command with markup in them make no tag."""
    near = (Beside(HOSTILE, "demo", "emotion", "mf1", 0.5, None, HOSTILE),)
    found = dataclasses.replace(made("unimodal"), beside=near, plain_by=HOSTILE)
    page = Tags(of_run.html(found))
    assert "img" not in page.tags
    assert page.text.count(HOSTILE) == 6


def test_hundreds_of_runs_are_looked_through_at_once(roots):
    """Only what is called after the corpora and names concat is read whole."""
    big = json.dumps({"recipe": "x", "model": "lefsa", "more": "x" * 200_000})
    for number in range(300):
        folder = roots / "runs" / f"lefsa-demo-{number:08x}"
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(big)
    put(roots / "runs" / "concat-demo-ffffffff", made())
    assert np.all([one.where == "concat-demo-ffffffff" for one in laid(roots).beside])
    assert [path.parent.name for path in beside._candidates(roots / "runs", ["demo"])] == ["concat-demo-ffffffff"]
