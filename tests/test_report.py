"""A report is a pure function of a run: every number in it can be worked out by hand from what the run holds."""

import csv
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from run_kit import EMOTION, NAMES, SENTIMENT, both, fold, outcome, part, run, said, sole, two_folds

from fuse import pictures, record, report
from fuse.embedding import Embedded

FILES = {
    "confusion_emotion.png",
    "confusion_sentiment.png",
    "curves.png",
    "predictions.csv",
    "report.html",
    "report.json",
    "report.md",
}
SETS = run(
    dataclasses.replace(
        sole(
            "emotion",
            ("sad+happy", "neutral", "sad", None),
            ["happy", "neutral", "happy+sad", "fear"],
            "sad",
            several=True,
        ),
        outcomes=(
            outcome(
                0,
                {"emotion": said("emotion", ["happy", "neutral", "happy+sad", "fear"], several=True)},
                thresholds={"emotion": 1 / 7},
            ),
        ),
    )
)


def cells(made, *words, table=report.table):
    """Return the numbers of the one row that begins with these words."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table(made).splitlines()]
    (found,) = [row for row in rows if row[: len(words)] == list(words)]
    return found[len(words) :]


def rows_of(made):
    """Return the predictions as they are written."""
    return list(csv.DictReader(record.predictions(made).splitlines()))


def section(made, name):
    """Return one section of the report."""
    return report.text(made).partition(f"## {name}\n")[2].partition("## ")[0]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write the example's report once."""
    folder = tmp_path_factory.mktemp("run")
    report.write(run(fold()), folder)
    return folder


@pytest.fixture(scope="module")
def folded():
    """Return a run of two folds, with parts and ablations."""
    one = both(["happy"] * 4)
    more = {
        "parts": {"audio": {"dev": one, "test": one}},
        "ablated": {"without audio": {"test": one}},
        "thinned": {0.1: {"test": one}, 0.5: {"test": one}},
    }
    folds = [
        dataclasses.replace(each, outcomes=tuple(dataclasses.replace(seed, **more) for seed in each.outcomes))
        for each in two_folds()
    ]
    return run(*folds)


def test_table_by_hand():
    """Floors have one number, the model mean and sample deviation; clips without the label are not counted."""
    made = run(fold())
    assert cells(made, "emotion", "demo", "test", "majority") == ["3", "33.3", "16.7", "25.0", "50.0", ""]
    assert cells(made, "emotion", "demo", "test", "linear") == ["3", "66.7", "66.7", "66.7", "75.0", ""]
    # Seed 0 scores 1; seed 1 has accuracy 2/3, F1 of 0 and 4/5, recall of 0 and 1.
    model = ["3", "83.3 ± 23.6", "76.7 ± 33.0", "70.0 ± 42.4", "75.0 ± 35.4"]
    assert cells(made, "emotion", "demo", "dev", "lefsa") == [*model, ""]
    assert cells(made, "emotion", "demo", "test", "lefsa")[:-1] == model
    assert cells(made, "emotion", "demo", "test", "lefsa")[-1].endswith(" (clips)")
    assert cells(made, "sentiment", "demo", "dev", "lefsa")[:2] == ["4", "100.0 ± 0.0"]


def test_one_seed_has_no_spread():
    """A single seed shows a dash where the deviation would be."""
    made = run(fold(outcomes=(outcome(0, both(["neutral", "happy", "happy", "sad"])),)))
    assert cells(made, "emotion", "demo", "dev", "lefsa")[1] == "100.0 ± \N{EN DASH}"


def test_tables_are_aligned_and_one_for_each_view():
    """Every row of a table is equally long, for a terminal; scores have no percent, what is undefined is a dash."""
    assert len({len(row) for row in report.table(run(fold())).splitlines()}) == 1
    assert "| micro_f1 |" in report.table(SETS)
    score = run(sole("sentiment_score", (-1.0, 0.5, 2.0, None), [-2.0, 0.5, 1.0, 9.0], 0.2))
    assert cells(score, "sentiment_score", "demo", "dev", "lefsa")[1].startswith("0.667")
    assert cells(score, "sentiment_score", "demo", "dev", "majority")[2] == "\N{EN DASH}"


def test_every_file_is_written_and_nothing_else(written):
    """The folder holds the report's files and no half of one."""
    assert {path.name for path in written.iterdir()} == FILES


def test_only_what_can_be_drawn_is_drawn(tmp_path):
    """Sets and scores have no confusion, weights scored as given no curves, and a task without labels nothing."""
    report.write(SETS, tmp_path / "sets")
    assert {path.name for path in (tmp_path / "sets").iterdir()} == FILES - {
        "confusion_emotion.png",
        "confusion_sentiment.png",
    }
    bare = part({"emotion": [None] * 4, "sentiment": SENTIMENT})
    given = dataclasses.replace(outcome(0, both(["happy"] * 4)), history=[], epoch=0)
    made = run(fold(parts=dict.fromkeys(("train", "dev", "test"), bare), outcomes=(given,)))
    report.write(made, tmp_path / "bare")
    assert {path.name for path in (tmp_path / "bare").iterdir()} == FILES - {"confusion_emotion.png", "curves.png"}
    assert "scored as given" in (tmp_path / "bare" / "report.md").read_text()


def test_the_same_run_gives_the_same_bytes(written, folded, tmp_path):
    """Nothing but the run enters the report: no date, no host, no version of a library."""
    assert report.write(run(fold()), tmp_path) == tmp_path / "report.md"
    assert all((tmp_path / name).read_bytes() == (written / name).read_bytes() for name in FILES)
    for made in (folded, SETS):
        for write in (report.text, record.predictions, record.numbers):
            assert repr(write(made)) == repr(write(dataclasses.replace(made)))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """Where the disk fails in the middle, what stood there before still stands, and nothing lies beside it."""
    report.write(SETS, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def half(path, data):
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="no space"):
        report.write(SETS, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_markdown_says_what_a_reader_needs(written):
    """Title, warning, size, table, counts, pictures, provenance and the command are all there, and text stays text."""
    text = (written / "report.md").read_text()
    assert text.startswith("# lefsa on demo\n\n> **Note:** its scores mean \\*nothing\\*\n")
    assert "1,234,567 numbers were trained" in text
    assert report.table(run(fold())) in text
    assert "- `mf1`: F1 of each class" in text
    assert "| corpus | split | clips | without audio | without video | without any feature |" in text
    assert "| demo   | test  |     4 |             0 |             1 |                   0 |" in text
    assert "emotion neutral, sentiment positive" in text
    for name in FILES - {"report.md"}:
        assert f"]({name})" in text
    assert "| features.video | a\\|b, c |" in text
    assert "\n    make fuse MODEL=lefsa CORPUS=demo\n" in text
    assert "## Folds" not in text
    assert "## Missing" not in text


def test_classes_by_hand():
    """Precision, recall and F1 of each class on test; what never comes up has a dash."""

    def classes(made):
        return section(made, "Classes")

    made = run(fold())
    assert cells(made, "emotion", "demo", "happy", table=classes) == ["4", "5", "80.0", "100.0", "88.9"]
    assert cells(made, "emotion", "demo", "fear", table=classes) == ["0", "0", *["\N{EN DASH}"] * 3]


def test_sets_are_told_in_their_own_way():
    """The threshold is stated, neutral is no class of its own, and truth and prediction are joined with plus."""
    assert cells(SETS, "0", table=lambda made: section(made, "Training")) == ["3", "2", "0.143"]
    assert "threshold of emotion" in section(SETS, "Training")
    assert "| happy " in section(SETS, "Classes")
    assert "| neutral " not in section(SETS, "Classes")
    said_of = [(row["truth"], row["predicted"]) for row in rows_of(SETS) if row["split"] == "test"]
    assert said_of == [("happy+sad", "happy"), ("neutral", "neutral"), ("sad", "happy+sad"), ("", "fear")]


def test_folds_have_a_section(folded):
    """Each fold, the least, the greatest and all clips together, for the model on test."""

    def acc(name):
        return cells(folded, "emotion", "demo", name, table=lambda made: section(made, "Folds"))[0]

    assert [acc(name) for name in ("one", "two")] == ["83.3", "0.0"]
    assert [acc(name) for name in ("least", "greatest", "all clips together")] == ["0.0", "100.0", "35.7"]
    assert "| demo   | test  |     8 |" in section(folded, "Clips")
    assert "Folds: 2." in report.text(folded)


def test_missing_modalities_have_a_section(folded):
    """What the model says without a modality stands beside what it says with all, and parts beside the model."""

    def change(name):
        return cells(folded, "emotion", "demo", name, table=lambda made: section(made, "Missing modalities"))[-1]

    # With everything 1 and 0.4 on one fold and twice 0 on the other; always happy has 0.4 and 1, twice each.
    assert (change("without audio"), change("lefsa")) == ("+35.0", "")
    assert "without audio" not in section(folded, "Scores")
    assert "audio alone" in section(folded, "Scores")


def test_text_from_outside_cannot_break_markdown():
    """Names with bars, line breaks, brackets and what moves a cursor stay one cell of one row."""
    corpora = ("<img>", "[x](y)")
    test = part({"emotion": EMOTION, "sentiment": SENTIMENT}, corpora=[*corpora, *corpora])
    made = run(fold(floors={}, parts=dict.fromkeys(("train", "dev", "test"), test)), model="a|b\n# c\x1b[2J")
    rows = report.table(made).splitlines()
    assert len(rows) == 2 + 2 * 2 * 2 * 2
    assert all("a\\|b \\# c\N{REPLACEMENT CHARACTER}\\[2J" in row for row in rows[3::2])
    assert "\\<img\\>" in rows[2]


def test_json_holds_every_number(written):
    """Scores as mean, spread and one by one, confusions, counts, history and provenance read back as numbers."""
    data = json.loads((written / "report.json").read_text())
    model = data["scores"]["emotion"]["demo"]["test"][-1]
    assert (model["line"], model["role"], model["view"], model["clips"]) == ("lefsa", "model", "single", 3)
    assert model["mean"]["acc"] == pytest.approx(5 / 6)
    assert (model["min"]["acc"], model["max"]["acc"]) == pytest.approx((2 / 3, 1))
    assert [(one["fold"], one["seed"]) for one in model["each"]] == [("", 0), ("", 1)]
    assert [one["acc"] for one in model["each"]] == pytest.approx([1, 2 / 3])
    assert {name: model["interval"][name] for name in ("metric", "level", "over")} == {
        "metric": "mf1",
        "level": 0.95,
        "over": "clips",
    }
    assert data["scores"]["emotion"]["demo"]["test"][0]["spread"]["acc"] is None
    assert [row[:3] for row in data["confusion"]["emotion"]["demo"]["dev"][:3]] == [[1, 1, 0], [0, 4, 0], [0, 0, 0]]
    counted = {"clips": 4, "missing": {"audio": 0, "video": 1}, "featureless": 0}
    assert data["folds"][0]["parts"]["test"]["demo"] == counted
    assert data["folds"][0]["seeds"][1]["epoch"] == 2
    assert data["folds"][0]["seeds"][1]["history"][0]["loss"] == 2.0
    assert data["provenance"]["features"]["audio"] == "mfcc-12"
    assert (data["parameters"], data["views"]["emotion"]) == (1234567, {"demo": "single"})


def test_json_has_pooled_scores_of_folds(folded):
    """The clips of all folds scored at once stand beside the averages."""
    data = record.numbers(folded)
    model = next(one for one in data["scores"]["emotion"]["demo"]["test"] if one["role"] == "model")
    assert [one["acc"] for one in model["pooled"]] == pytest.approx([3 / 7, 2 / 7])
    assert [one["name"] for one in data["folds"]] == ["one", "two"]


def test_modalities_missing_at_random_have_a_table_of_their_own(folded):
    """Their lines stand among no other scores; JSON has each with its rate."""
    assert "50 % missing" not in section(folded, "Scores") + report.table(folded)
    found = section(folded, "Modalities missing at random")
    assert found.index("lefsa") < found.index("10 % missing") < found.index("50 % missing")
    lines = record.numbers(folded)["scores"]["emotion"]["demo"]["test"]
    assert [one["missing"] for one in lines if one["role"] == "thinned"] == [0.1, 0.5]
    assert not any("missing" in one for one in lines if one["role"] != "thinned")


def test_json_has_the_map():
    """Each clip that is drawn has its place, and neighbours stand beside chance; what cannot be drawn is null."""
    vectors = np.array([[1.0, 0], [0.9, 0.1], [0, 1]])
    made = [
        run(fold(outcomes=(outcome(0, both(["happy"] * 4), embedded=Embedded((2, 1, 0), values)),)))
        for values in (vectors, np.ones((3, 2)))
    ]
    found, nothing = (record.numbers(one)["map"] for one in made)
    assert [(one["corpus"], one["clip"]) for one in found["clips"]] == [("demo", NAMES[i]) for i in (2, 1, 0)]
    assert found["how"] == "principal components"
    assert all(isinstance(one[axis], float) for one in found["clips"] for axis in "xy")
    assert found["nearest"]["emotion"] == {"clips": 3, "share": pytest.approx(2 / 3), "chance": pytest.approx(1 / 3)}
    assert nothing is None
    assert record.numbers(run(fold()))["map"] is None


def test_numbers_that_are_not_finite_become_null(tmp_path):
    """A loss that ran away is written as null and drawn as a gap, and the rest of the report still comes."""
    wild = outcome(0, both(["neutral", "happy", "happy", "sad"]))
    wild = dataclasses.replace(wild, history=[{"loss": float("nan")}, {"loss": float("inf")}])
    report.write(run(fold(outcomes=(wild,)), provenance={"path": tmp_path, "n": np.float32(1.5)}), tmp_path)
    data = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert [epoch["loss"] for epoch in data["folds"][0]["seeds"][0]["history"]] == [None, None]
    assert data["provenance"] == {"path": str(tmp_path), "n": 1.5}


def test_predictions_read_back_as_they_were(written, folded):
    """One row per fold, seed, task, split and clip; ids that look like formulas are quoted and unchanged."""
    text = (written / "predictions.csv").read_text()
    assert '"=1+1"' in text
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 2 * 2 * 2 * 4
    assert {row["clip"] for row in rows} == set(NAMES)
    row = next(r for r in rows if (r["seed"], r["split"], r["task"], r["clip"]) == ("1", "test", "emotion", "=1+1"))
    assert (row["corpus"], row["truth"], row["predicted"], row["no_features"]) == ("demo", "neutral", "happy", "0")
    assert [row[f"p_{name}"] for name in ("neutral", "happy", "sad", "negative")] == ["0.0", "1.0", "0.0", ""]
    assert [row["truth"] for row in rows if row["clip"] == NAMES[3] and row["task"] == "emotion"] == [""] * 4
    test = {(row["fold"], row["clip"]) for row in rows_of(folded) if row["split"] == "test"}
    assert test == {("one", name) for name in NAMES} | {("two", f"2{name}") for name in NAMES}


def test_predictions_of_scores_and_soft_labels():
    """A score is a number without shares; a soft label names its greatest class first."""
    rows = rows_of(run(sole("sentiment_score", (-1.0, 0.5, 2.0, None), [-2.0, 0.5, 1.0, 9.0], 0.2)))
    found = [(row["truth"], row["predicted"]) for row in rows][:4]
    assert found == [("-1.0", "-2.0"), ("0.5", "0.5"), ("2.0", "1.0"), ("", "9.0")]
    assert not [name for name in rows[0] if name.startswith("p_")]
    made = sole("emotion", ("happy", "sad", "fear", None), ["happy"] * 4, "happy")
    truth = made.parts["test"].truth["emotion"].copy()
    truth[0, :3] = 0.4, 0, 0.6
    soft = dataclasses.replace(made.parts["test"], truth={"emotion": truth})
    rows = rows_of(run(dataclasses.replace(made, parts=dict.fromkeys(made.parts, soft))))
    assert rows[0]["truth"] == "sad+neutral"


def test_predictions_show_which_clips_had_nothing():
    """A clip without features carries its mark, the training shares and their majority."""
    made = run(fold(test=part({"emotion": EMOTION, "sentiment": SENTIMENT}, featureless=[2])))
    lost = [row for row in rows_of(made) if row["no_features"] == "1" and row["task"] == "emotion"]
    assert {(row["split"], row["clip"], row["predicted"], row["p_neutral"]) for row in lost} == {
        ("test", "@c", "neutral", "0.5")
    }
    assert "|     4 |             1 |             2 |                   1 |" in section(made, "Clips")


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith(".png")))
def test_pictures_are_pictures(written, name):
    """Each is a PNG of a readable size with something on it."""
    pixels = imread(written / name)
    assert min(pixels.shape[:2]) > 300
    assert len(np.unique(pixels[..., 0])) > 20


def test_every_corpus_has_a_row_of_pictures():
    """A panel for each corpus and split that has one class per clip; what a corpus lacks stays white."""
    counts = np.eye(3, dtype=np.int64)
    one, two = (
        pictures.confusion("title", [{"a": counts, "b": counts}, *more], "xyz") for more in ((), ({"c": counts},))
    )
    tall = [imread(io.BytesIO(picture), format="png") for picture in (one, two)]
    assert tall[1].shape[0] > 1.5 * tall[0].shape[0]
    corner = tall[1][tall[1].shape[0] * 2 // 3 :, tall[1].shape[1] // 2 : tall[1].shape[1] * 3 // 4]
    assert corner.min() == 1


def test_pyplot_stays_out():
    """Writing reports needs no pyplot, so no display and no global state."""
    code = "import sys; import fuse.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
