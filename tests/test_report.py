"""A report is a pure function of a run: every number in it can be worked out by hand from what the run holds."""

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from fuse import report
from fuse.result import Outcome, Part, Run

CLASSES = {"emotion": ("neutral", "happy", "sad"), "sentiment": ("negative", "positive")}
FILES = {
    "confusion_emotion.png",
    "confusion_sentiment.png",
    "curves.png",
    "predictions.csv",
    "report.json",
    "report.md",
}
NAMES = ("=1+1", "-b", "@c", 'say "d", e')


def sure(classes, count):
    """Return probabilities that are sure of the classes given."""
    return np.eye(count)[list(classes)]


def part(prefix="", featureless=()):
    """Return four clips; the last has no emotion, the first no video, `featureless` ones have nothing."""
    nothing = np.isin(np.arange(4), featureless)
    return Part(
        ids=tuple(prefix + name for name in NAMES),
        truth={"emotion": np.array([0, 1, 1, -1]), "sentiment": np.array([0, 0, 1, 1])},
        missing={"audio": nothing, "video": nothing | np.array([True, False, False, False])},
    )


def outcome(seed, emotion, sentiment=(0, 0, 1, 1)):
    """Return a seed of three epochs that says the same on dev and test."""
    said = {"emotion": sure(emotion, 3), "sentiment": sure(sentiment, 2)}
    history = [{"loss": 2.0 / epoch, "lr": 0.1, "score": 0.2 * epoch, "mf1 emotion": 0.1} for epoch in (1, 2, 3)]
    return Outcome(seed, history, 2, {"dev": said, "test": said})


def example(**changes):
    """Return a small run of two seeds: the first is all right, the second always says happy."""
    linear = {"emotion": sure([0, 0, 1, 1], 3), "sentiment": sure([1, 1, 1, 1], 2)}
    run = Run(
        recipe="mine",
        model="lefsa",
        corpora=("demo",),
        classes=CLASSES,
        parts={"train": part("t"), "dev": part(), "test": part()},
        majority={"emotion": np.array([0.5, 0.3, 0.2]), "sentiment": np.array([0.4, 0.6])},
        floors={"linear": {"dev": linear, "test": linear}},
        outcomes=(outcome(0, [0, 1, 1, 2]), outcome(1, [1, 1, 1, 1])),
        command="make fuse MODEL=lefsa CORPUS=demo",
        provenance={"code": "abc", "features": {"audio": "mfcc-12", "video": ["a|b", "c"]}, "none": {}},
        warnings=("its scores mean *nothing*",),
    )
    return dataclasses.replace(run, **changes)


def cells(run, task, split, line):
    """Return the four scores of one row of the table."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in report.table(run).splitlines()]
    (found,) = [row for row in rows if row[:3] == [task, split, line]]
    return found[3:]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write the example's report once."""
    folder = tmp_path_factory.mktemp("run")
    report.write(example(), folder)
    return folder


def test_table_by_hand():
    """Floors have one number, the model mean and sample deviation; clips without the label are not counted."""
    run = example()
    assert cells(run, "emotion", "test", "majority") == ["3", "33.3", "16.7", "25.0", "50.0"]
    assert cells(run, "emotion", "test", "linear") == ["3", "66.7", "66.7", "66.7", "75.0"]
    # Seed 0 scores 1; seed 1 has accuracy 2/3, F1 of 0 and 4/5, recall of 0 and 1.
    assert cells(run, "emotion", "test", "lefsa") == ["3", "83.3 ± 23.6", "76.7 ± 33.0", "70.0 ± 42.4", "75.0 ± 35.4"]
    assert cells(run, "sentiment", "dev", "majority") == ["4", "50.0", "33.3", "33.3", "50.0"]
    assert cells(run, "sentiment", "dev", "lefsa") == ["4", *["100.0 ± 0.0"] * 4]


def test_one_seed_has_no_spread():
    """A single seed shows a dash where the deviation would be."""
    assert cells(example(outcomes=(outcome(0, [0, 1, 1, 2]),)), "emotion", "dev", "lefsa")[1] == "100.0 ± \N{EN DASH}"


def test_table_is_aligned():
    """Every row of the table is equally long, for a terminal."""
    assert len({len(row) for row in report.table(example()).splitlines()}) == 1


def test_clip_without_features_is_scored_as_the_majority():
    """Whatever the model or a floor says of a clip that has nothing, the training majority counts."""
    parts = {**example().parts, "test": part(featureless=[1, 2])}
    run = example(parts=parts)
    assert cells(run, "emotion", "test", "lefsa")[1] == "16.7 ± 23.6"
    assert cells(run, "emotion", "test", "linear")[1] == "33.3"
    assert cells(run, "emotion", "dev", "linear")[1] == "66.7"


def test_split_without_the_label_is_left_out(tmp_path):
    """A task that no clip of a split has gives no row there; one that no split has gives no picture."""
    nowhere = {"emotion": np.full(4, -1), "sentiment": np.array([0, 0, 1, 1])}
    bare = dataclasses.replace(part(), truth=nowhere)
    run = example(parts={**example().parts, "test": bare})
    assert "| emotion   | test" not in report.table(run)
    assert "| emotion   | dev" in report.table(run)
    report.write(example(parts=dict.fromkeys(("train", "dev", "test"), bare)), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"confusion_emotion.png"}


def test_every_file_is_written_and_nothing_else(written):
    """The folder holds the report's files and no half of one."""
    assert {path.name for path in written.iterdir()} == FILES


def test_the_same_run_gives_the_same_bytes(written, tmp_path):
    """Nothing but the run enters the report: no date, no host, no version of a library."""
    assert report.write(example(), tmp_path) == tmp_path / "report.md"
    assert all((tmp_path / name).read_bytes() == (written / name).read_bytes() for name in FILES)


def test_a_failed_write_leaves_the_old_file(written, tmp_path, monkeypatch):
    """Where the disk fails in the middle, what stood there before still stands, and nothing lies beside it."""
    report.write(example(), tmp_path)

    def half(path, data):
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="no space"):
        report.write(example(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert (tmp_path / "report.md").read_bytes() == (written / "report.md").read_bytes()


def test_markdown_says_what_a_reader_needs(written):
    """Title, warning, table, counts, pictures, provenance and the command are all there, and text stays text."""
    text = (written / "report.md").read_text()
    assert text.startswith("# lefsa on demo\n\n> **Note:** its scores mean \\*nothing\\*\n")
    assert report.table(example()) in text
    assert "| split | clips | without audio | without video | without any feature |" in text
    assert "| test  |     4 |             0 |             1 |                   0 |" in text
    assert "emotion neutral, sentiment positive" in text
    for name in FILES - {"report.md"}:
        assert f"]({name})" in text
    assert "| features.video | a\\|b, c |" in text
    assert "\n    make fuse MODEL=lefsa CORPUS=demo\n" in text


def test_text_from_outside_cannot_break_markdown():
    """Names with bars, line breaks and brackets stay one cell of one row."""
    run = example(model="a|b\n# c", floors={}, corpora=("<img>", "[x](y)"))
    rows = report.table(run).splitlines()
    assert len(rows) == 2 + 2 * 2 * 2
    assert all("a\\|b \\# c" in row for row in rows[3::2])


def test_json_holds_every_number(written):
    """Scores as mean, spread and per seed, confusions, counts, history and provenance read back as numbers."""
    data = json.loads((written / "report.json").read_text())
    model = data["scores"]["emotion"]["test"][-1]
    assert (model["line"], model["floor"], model["clips"]) == ("lefsa", False, 3)
    assert model["mean"]["acc"] == pytest.approx(5 / 6)
    assert [one["acc"] for one in model["each"]] == pytest.approx([1, 2 / 3])
    assert data["scores"]["emotion"]["test"][0]["spread"]["acc"] is None
    assert data["confusion"]["emotion"]["dev"] == [[1, 1, 0], [0, 4, 0], [0, 0, 0]]
    assert data["parts"]["test"] == {"clips": 4, "missing": {"audio": 0, "video": 1}, "featureless": 0}
    assert data["seeds"][1]["epoch"] == 2
    assert data["seeds"][1]["history"][0]["loss"] == 2.0
    assert data["provenance"]["features"]["audio"] == "mfcc-12"


def test_numbers_that_are_not_finite_become_null(tmp_path):
    """A loss that ran away is written as null and drawn as a gap, and the rest of the report still comes."""
    wild = dataclasses.replace(outcome(0, [0, 1, 1, 2]), history=[{"loss": float("nan")}, {"loss": float("inf")}])
    report.write(example(outcomes=(wild,), provenance={"path": tmp_path, "n": np.float32(1.5)}), tmp_path)
    data = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert [epoch["loss"] for epoch in data["seeds"][0]["history"]] == [None, None]
    assert data["provenance"] == {"path": str(tmp_path), "n": 1.5}


def test_predictions_read_back_as_they_were(written):
    """One row per seed, task, split and clip; ids that look like formulas are quoted and unchanged."""
    text = (written / "predictions.csv").read_text()
    assert '"=1+1"' in text
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 2 * 2 * 2 * 4
    assert {row["clip"] for row in rows} == set(NAMES)
    row = next(r for r in rows if (r["seed"], r["split"], r["task"], r["clip"]) == ("1", "test", "emotion", "=1+1"))
    assert (row["truth"], row["predicted"], row["no_features"]) == ("neutral", "happy", "0")
    assert [row[f"p_{name}"] for name in ("neutral", "happy", "sad", "negative")] == ["0.0", "1.0", "0.0", ""]
    assert [row["truth"] for row in rows if row["clip"] == NAMES[3] and row["task"] == "emotion"] == [""] * 4


def test_predictions_show_which_clips_had_nothing(tmp_path):
    """A clip without features carries its mark, the training shares and their majority."""
    report.write(example(parts={**example().parts, "test": part(featureless=[2])}), tmp_path)
    rows = csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines())
    lost = [row for row in rows if row["no_features"] == "1" and row["task"] == "emotion"]
    assert {(row["split"], row["clip"], row["predicted"], row["p_neutral"]) for row in lost} == {
        ("test", "@c", "neutral", "0.5")
    }


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith(".png")))
def test_pictures_are_pictures(written, name):
    """Each is a PNG of a readable size with something on it."""
    pixels = imread(written / name)
    assert min(pixels.shape[:2]) > 300
    assert np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0).shape[0] > 20


def test_pyplot_stays_out():
    """Writing reports needs no pyplot, so no display and no global state."""
    code = "import sys; import fuse.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_predictions_that_do_not_fit_are_refused():
    """Too few clips, a split that a line lacks, or no seed at all is named when the run is put together."""
    with pytest.raises(
        ValueError, match=r"seed 5, dev, emotion: expected probabilities of shape \(4, 3\), got \(2, 3\)"
    ):
        example(outcomes=(outcome(5, [0, 1]),))
    with pytest.raises(ValueError, match=r"linear, dev, emotion: .*got none"):
        example(floors={"linear": {"test": example().floors["linear"]["test"]}})
    with pytest.raises(ValueError, match="at least one seed"):
        example(outcomes=())
