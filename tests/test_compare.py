"""Finished runs are compared on the clips that they share, and nothing that their files hold is taken on trust."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest
from run_kit import EMOTION, NAMES, SENTIMENT, both, fold, outcome, part, run, said, sole, two_folds

from fuse import apart, comparison_lines, record
from fuse.compare import compare, holm

RNG = np.random.default_rng(0)
MANY = [f"clip {i}" for i in range(60)]
TRUTH = RNG.choice(["happy", "sad", "neutral"], 60).tolist()


def finish(folder, made):
    """Write the two files that a comparison reads."""
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(record.numbers(made)))
    (folder / "predictions.csv").write_text(record.predictions(made))
    return folder


def guessed(share, **more):
    """Return a run on sixty clips that is right about a share of them."""
    right = np.random.default_rng(1).random(60) < share
    words = [word if ok else "fear" for word, ok in zip(TRUTH, right, strict=True)]
    return run(sole("emotion", TRUTH, words, "sad", names=MANY, **more))


def told(folders):
    """Return what a terminal shows of a comparison."""
    return "\n\n".join(comparison_lines.lines(compare(folders)))


def row(text, name):
    """Return the cells of the row of a run."""
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Finish the example and another run that always says happy."""
    root = tmp_path_factory.mktemp("runs")
    flat = fold(outcomes=(outcome(0, both(["happy"] * 4)),))
    return finish(root / "first", run(fold())), finish(root / "second", run(flat, model="concat"))


def test_scores_by_hand(done):
    """Each run has its mean and deviation over seeds, and the difference to the first."""
    text = told(done)
    emotion, sentiment = text.split("sentiment on demo")
    assert text.startswith("emotion on demo, 3 test clips that all runs have:\n\n| run ")
    assert row(emotion, "first")[:5] == ["lefsa", "3", "83.3 ± 23.6", "76.7 ± 33.0", "70.0 ± 42.4"]
    assert row(emotion, "first")[-4:] == ["", "", "", ""]
    assert row(emotion, "second")[:3] == ["concat", "3", "66.7 ± \N{EN DASH}"]
    assert row(emotion, "second")[-4] == "-30.0"
    assert row(sentiment, "second")[-4:] == ["+0.0", "+0.0 to +0.0", "1.000", "1.000"]
    assert row(sentiment, "run")[-3:] == ["95 % of clips", "p", "p, Holm"]
    assert "These are 2 comparisons" in text
    assert text == told(done)


def test_a_clear_difference_is_clear(tmp_path):
    """Better on most of sixty clips: the interval lies above zero and p is small; over speakers where there are ten."""
    speakers = [f"who {i % 12}" for i in range(60)]
    bad = finish(tmp_path / "bad", guessed(0.4, speakers=speakers))
    good = finish(tmp_path / "good", guessed(0.95, speakers=speakers))
    text = told([bad, good])
    more, interval, p = row(text, "good")[-3:]
    assert float(more) > 30
    assert float(interval.split()[0]) > 0
    assert row(text, "run")[-2:] == ["95 % of speakers", "p"]
    assert "comparisons" not in text
    assert float(p) < 0.01


def test_only_shared_clips_count(tmp_path):
    """A run on fewer clips is compared on those, and how many each has is said."""
    few = run(sole("emotion", TRUTH[:20], TRUTH[:20], "sad", names=MANY[:20]))
    text = told([finish(tmp_path / "all", guessed(0.5)), finish(tmp_path / "few", few)])
    assert "20 test clips that all runs have" in text
    assert [row(text, name)[1] for name in ("all", "few")] == ["60", "20"]


def test_folds_sets_and_scores(tmp_path):
    """Clips of all folds come together, sets and scores are read back as they were, corpora stay apart."""
    folds = finish(tmp_path / "folds", run(*two_folds()))
    assert "7 test clips" in told([folds, finish(tmp_path / "again", run(*two_folds()))])
    truth = ("happy+sad", "neutral", "sad", None)
    sets = run(sole("emotion", truth, ["happy", "neutral", "happy+sad", "fear"], "sad", several=True))
    text = told([finish(tmp_path / "sets", sets), finish(tmp_path / "sets2", sets)])
    model = next(line for line in sets.lines if (line.role, line.split) == ("model", "test"))
    assert row(text, "sets")[2:6] == [
        f"{100 * model.mean(m):.1f} ± \N{EN DASH}" for m in ("mwa", "mwf1", "mmf1", "micro_f1")
    ]
    multi = run(sole("emotions", ("happy+sad", "", None, "fear"), ["", "", "sad", "fear"], "sad", several=True))
    text = told([finish(tmp_path / "multi", multi), finish(tmp_path / "multi2", multi)])
    assert row(text, "multi")[-4].startswith("50.0")
    corpora = ["mosi", "mosi", "mosei", "mosei"]
    score = run(sole("sentiment_score", (-1.0, 0.5, 2.0, 1.0), [-2.0, 0.5, 1.0, 9.0], 0.2, corpora=corpora))
    text = told([finish(tmp_path / "score", score), finish(tmp_path / "score2", score)])
    assert "sentiment_score on mosi, 2 test clips" in text
    assert row(text.split("on mosei")[0], "score2")[2] == "0.500 ± \N{EN DASH}"


def test_names_of_folders_stay_apart(tmp_path):
    """Two folders of one name are called by their paths."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    runs = [finish(tmp_path / name / "same", run(fold())) for name in "ab"]
    assert all(str(one) in told(runs) for one in runs)


def test_what_cannot_be_compared_is_refused(done, tmp_path):
    """One run alone, other tasks, other clips, another truth and another way of scoring are each named."""
    with pytest.raises(ValueError, match="at least two runs, got 1"):
        compare(done[:1])
    score = run(sole("sentiment_score", (-1.0, 0.5, 2.0, 1.0), [-2.0, 0.5, 1.0, 9.0], 0.2))
    with pytest.raises(ValueError, match=r"that all runs were tested on, got .*sentiment_score on demo"):
        compare([done[0], finish(tmp_path / "score", score)])
    other = part({"emotion": EMOTION, "sentiment": SENTIMENT}, [f"2{name}" for name in NAMES])
    with pytest.raises(ValueError, match="emotion on demo: expected test clips that all runs have, got none"):
        compare([done[0], finish(tmp_path / "clips", run(fold(test=other)))])
    changed = part({"emotion": ("neutral", "sad", "happy", None), "sentiment": SENTIMENT})
    with pytest.raises(ValueError, match=r"one label of clip '-b', got 'happy' in .*first and 'sad' in .*run again"):
        compare([done[0], finish(tmp_path / "truth", run(fold(test=changed)))])
    sets = run(sole("emotion", ("happy+sad", *EMOTION[1:]), ["happy"] * 4, "sad", several=True))
    with pytest.raises(ValueError, match=r"one way of scoring it, got \['single', 'several'\]"):
        compare([done[0], finish(tmp_path / "sets", sets)])


def broken(done, folder, **files):
    """Copy a finished run with some files replaced."""
    folder.mkdir()
    for name in ("report.json", "predictions.csv"):
        given = files.get(name.partition(".")[0])
        data = (done[0] / name).read_bytes() if given is None else given
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def altered(done, **cells):
    """Return the predictions with some cells of each test row replaced."""
    rows = list(csv.DictReader((done[0] / "predictions.csv").read_text().splitlines()))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, rows[0])
    writer.writeheader()
    writer.writerows({**one, **cells} for one in rows)
    return buffer.getvalue()


def test_broken_files_are_refused(done, tmp_path):
    """Half a file, another version's, a foreign class, a clip twice: one message each that names the folder."""
    views = {"emotion": {"demo": "single"}, "sentiment": {"demo": "single"}}
    cases = {
        "json": ({"report": '{"views": '}, "report"),
        "list": ({"report": "[]"}, "report"),
        "old": ({"report": '{"model": "x"}'}, "views"),
        "deep": ({"report": "[" * 100_000}, "recursion"),
        "view": ({"report": json.dumps({"model": "x", "views": {"emotion": {"demo": "odd"}}})}, "the view 'odd'"),
        "task": ({"report": json.dumps({"model": "x", "views": {"joy": {"demo": "single"}}})}, "a task 'joy'"),
        "shape": ({"report": json.dumps({"model": "x", "views": {"emotion": ["demo"]}})}, "items"),
        "unknown": ({"report": json.dumps({"model": "x", "views": {"emotion": views["emotion"]}})}, "does not have"),
        "kind": ({"report": json.dumps({"model": "x", "views": {**views, "emotion": {"demo": "score"}}})}, "float"),
        "empty": ({"predictions": ""}, "no column"),
        "columns": ({"predictions": "clip,truth\na,b\n"}, "no column corpus"),
        "bytes": ({"predictions": b"\xff\xfe\x00"}, "decode"),
        "cut": ({"predictions": (done[0] / "predictions.csv").read_bytes()[:-20]}, "line|end of data"),
        "class": ({"predictions": altered(done, predicted="joy")}, "the classes 'joy' of emotion"),
        "twice": ({"predictions": altered(done, clip="x")}, "two predictions of test clip 'x'"),
        "long": ({"predictions": altered(done, clip="x" * 200_000)}, "field larger"),
    }
    for name, (files, message) in cases.items():
        folder = broken(done, tmp_path / name, **files)
        with pytest.raises(ValueError, match=message) as caught:
            compare([done[0], folder])
        assert str(caught.value).startswith(f"{folder}: expected report.json and predictions.csv"), name


def test_seeds_must_agree(done, tmp_path):
    """Seeds that were tested on other clips than each other are refused."""
    lines = (done[0] / "predictions.csv").read_text().splitlines(keepends=True)
    fewer = "".join(line for line in lines if '"",1,"test","emotion","-b"' not in line)
    assert len(fewer.splitlines()) == len(lines) - 1
    with pytest.raises(ValueError, match="seeds with other clips or other labels of emotion on demo"):
        compare([done[0], broken(done, tmp_path / "seeds", predictions=fewer)])


def test_a_folder_without_a_run_is_told_what_it_holds(done, tmp_path):
    """What is missing and what is there instead stands in the message."""
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "seed-0.safetensors").touch()
    with pytest.raises(ValueError, match=r"finished run .* got seed-0\.safetensors"):
        compare([done[0], tmp_path / "unfinished"])
    with pytest.raises(ValueError, match="got no folder"):
        compare([done[0], tmp_path / "nowhere"])


def test_names_from_outside_cannot_break_the_table(tmp_path):
    """A model's name with bars and line breaks stays one cell."""
    runs = [finish(tmp_path / f"r{i}", run(dataclasses.replace(fold()), model="a|b\n# c\x1b[2J")) for i in range(2)]
    text = told(runs)
    assert "a\\|b \\# c\N{REPLACEMENT CHARACTER}\\[2J" in text
    assert "\x1b" not in text


def test_holm_by_hand():
    """The least p is multiplied by how many there are, the next by one fewer, and none falls below the one before."""
    assert holm([0.01, 0.04, 0.03, np.nan]) == pytest.approx([0.03, 0.06, 0.06, np.nan], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]


def test_who_is_right_about_which_clip_by_hand(tmp_path):
    """A run is right where more than half of its seeds are; McNemar's test counts the clips of one alone."""
    truth = ["happy"] * 8
    halves = [outcome(0, {"emotion": said("emotion", truth)}), outcome(1, {"emotion": said("emotion", ["sad"] * 8)})]
    names = [f"clip {i}" for i in range(8)]
    one = sole("emotion", truth, ["happy"] * 2 + ["sad"] * 6, "sad", names=names)
    folders = [
        finish(tmp_path / "never", run(dataclasses.replace(one, outcomes=tuple(halves)))),
        finish(tmp_path / "twice", run(one)),
        finish(tmp_path / "always", run(sole("emotion", truth, truth, "sad", names=names))),
    ]
    found = compare(folders)
    (cell,) = found.cells
    twice, always = (row.against.agreed for row in cell.rows[1:])
    assert (twice.both, twice.first, twice.own, twice.neither, twice.p) == (0, 0, 2, 6, 0.5)
    assert (always.both, always.first, always.own, always.neither, always.p) == (0, 0, 8, 0, 2 / 2**8)
    assert always.holm == pytest.approx(4 / 2**8)
    assert found.comparisons == 2
    first = apart.clips(found)[0]
    assert (first.clip, first.truth, first.said) == ("clip 2", "happy", ("happy (1 of 2)", "sad", "happy"))
    assert (first.right, first.apart) == ((False, False, True), 1.0)
    assert [one.apart for one in apart.clips(found)] == [1.0] * 6 + [0.5] * 2


def test_scores_lie_apart_by_their_distance(tmp_path):
    """Of numbers, the distances to the truth differ; nobody is quite right, and equal runs differ nowhere."""
    truth = (-1.0, 0.5, 2.0, 1.0)
    near, far = (
        finish(tmp_path / name, run(sole("sentiment_score", truth, values, 0.2)))
        for name, values in (("near", [-1.0, 0.5, 2.0, 0.5]), ("far", [-1.5, 0.5, 0.0, 0.5]))
    )
    found = compare([near, far])
    assert [(one.clip, one.said, one.apart) for one in apart.clips(found)] == [
        ("@c", ("2", "0"), 2.0),
        (NAMES[0], ("-1", "-1.5"), 0.5),
    ]
    assert found.cells[0].rows[1].against.agreed is None
    assert apart.clips(compare([near, near])) == []


def test_what_was_done_otherwise(tmp_path):
    """Settings that differ have their dotted name and both values; what is the same is left out."""
    recipes = [
        {"train": {"lr": lr, "epochs": 3}, "encoders": {"text": [{"encoder": name}]}, **more}
        for lr, name, more in ((0.1, "xlmr", {}), (0.2, "minilm", {"seeds": 2}))
    ]
    folders = [
        finish(tmp_path / str(i), run(fold(), provenance={"recipe": one, "features": {"text": f"x-{i}", "audio": "m"}}))
        for i, one in enumerate(recipes)
    ]
    found = compare(folders)
    assert found.features == (("text", ("x-0", "x-1")),)
    assert found.settings == (
        ("train.lr", ("0.1", "0.2")),
        ("encoders.text.0.encoder", ("xlmr", "minilm")),
        ("seeds", ("", "2")),
    )


@pytest.mark.parametrize("wrong", ["warnings", "provenance"])
def test_what_a_report_tells_must_be_in_form(done, tmp_path, wrong):
    """Words where a list or a table belongs are refused like everything else that is broken."""
    data = json.loads((done[0] / "report.json").read_text())
    with pytest.raises(ValueError, match="as this version writes them"):
        compare([done[0], broken(done, tmp_path / wrong, report=json.dumps({**data, wrong: "abc"}))])
