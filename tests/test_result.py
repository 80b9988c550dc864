"""What a run found follows from its predictions: lines over folds and seeds, corpora apart, three ways of scoring."""

import dataclasses
import math

import numpy as np
import pytest
from run_kit import EMOTION, NAMES, SENTIMENT, both, fold, outcome, part, run, said, sole, two_folds, vectors

from fuse import result
from fuse.result import Predicted

SETS = ("happy+sad", "neutral", "sad", None)


def line(made, name, task="emotion", split="test", corpus="demo"):
    """Return the one line of a name."""
    cell = (task, corpus, split, name)
    (found,) = [one for one in made.lines if (one.task, one.corpus, one.split, one.name) == cell]
    return found


def test_lines_by_hand():
    """The model has the mean and sample deviation over seeds; clips without the label are not counted."""
    model = line(run(fold()), "lefsa")
    assert (model.clips, model.role, model.view) == (3, "model", "single")
    # Seed 0 scores 1; seed 1 has accuracy 2/3 and F1 of 0 and 4/5.
    assert model.mean("acc") == pytest.approx(5 / 6)
    assert model.mean("mf1") == pytest.approx(0.7)
    assert model.spread("mf1") == pytest.approx(math.sqrt(0.18))
    assert model.extremes("mf1") == pytest.approx((0.4, 1.0))
    assert line(run(fold()), "majority").mean("acc") == pytest.approx(1 / 3)
    assert line(run(fold()), "linear").spread("acc") is None


def test_floors_come_first_and_what_the_model_is_made_of_last():
    """Majority, other floors, the model, its parts, what it says with less, for every task, corpus and split."""
    one = both(["happy"] * 4)
    more = {"parts": {"audio": {"dev": one, "test": one}}, "ablated": {"without audio": {"test": one}}}
    made = run(fold(outcomes=(outcome(0, one, thinned={0.1: {"test": one}, 0.5: {"test": one}}, **more),)))
    names = [(x.name, x.role) for x in made.lines if (x.task, x.split) == ("emotion", "test")]
    assert names == [
        ("majority", "floor"),
        ("linear", "floor"),
        ("lefsa", "model"),
        ("audio", "part"),
        ("without audio", "ablation"),
        ("10 % missing", "thinned"),
        ("50 % missing", "thinned"),
    ]
    assert made.rates == {"10 % missing": 0.1, "50 % missing": 0.5}
    assert [x.name for x in made.lines if (x.task, x.split) == ("emotion", "dev")][-1] == "audio"


def test_folds_are_averaged_and_pooled():
    """Mean and deviation are over folds and seeds; pooled scores have each clip once per seed."""
    made = line(run(*two_folds()), "lefsa")
    assert [(one.fold, one.seed, one.values["acc"]) for one in made.scores] == [
        ("one", 0, 1.0),
        ("one", 1, pytest.approx(2 / 3)),
        ("two", 0, 0.0),
        ("two", 1, 0.0),
    ]
    assert made.clips == 7
    assert made.mean("acc") == pytest.approx(5 / 12)
    assert made.spread("acc") == pytest.approx(np.std([1, 2 / 3, 0, 0], ddof=1))
    assert made.of_fold("one", "acc") == pytest.approx(5 / 6)
    assert [one["acc"] for one in made.pooled] == pytest.approx([3 / 7, 2 / 7])
    assert made.of_all("acc") == pytest.approx(5 / 14)
    assert line(run(*two_folds()), "linear").spread("acc") is not None


def test_folds_that_share_clips_are_not_pooled():
    """Dev clips that come in several folds are averaged, never counted twice in one score."""
    made = line(run(*two_folds()), "lefsa", split="dev")
    assert (made.pooled, made.clips) == ((), 3)
    assert math.isnan(made.of_all("acc"))


def test_a_fold_without_the_label_is_left_out():
    """Of a fold in which nobody has the label there is no score, and the others count."""
    nowhere = part({"emotion": [None] * 4, "sentiment": SENTIMENT}, [f"2{name}" for name in NAMES])
    made = line(run(fold("one"), fold("two", test=nowhere)), "lefsa")
    assert {one.fold for one in made.scores} == {"one"}
    assert made.of_all("acc") == pytest.approx(5 / 6)


def test_corpora_are_scored_apart():
    """Each corpus has lines of its own, and one without the label has none."""
    mixed = part({"emotion": EMOTION, "sentiment": SENTIMENT}, corpora=["meld", "meld", "ramas", "mosi"])
    made = run(fold(test=mixed, parts=dict.fromkeys(("train", "dev", "test"), mixed)))
    assert line(made, "lefsa", corpus="meld").clips == 2
    assert line(made, "lefsa", corpus="ramas").mean("acc") == 1
    assert ("emotion", "mosi", "test") not in made.scored
    assert ("sentiment", "mosi", "test") in made.scored


def test_soft_labels_of_several_classes_are_scored_as_sets():
    """Where some clip of a corpus has two emotions, what counts is which are there, and neutral is none."""
    made = run(sole("emotion", SETS, ["happy", "neutral", "happy+sad", "fear"], "neutral", several=True))
    model = line(made, "lefsa")
    assert (model.view, model.clips) == ("several", 3)
    # Happy and sad: one right, one missed, one too many; twice there, twice said.
    assert model.mean("micro_f1") == pytest.approx(2 * 2 / (3 + 3))
    assert {"mmf1", "mwa", "gap"} <= set(model.scores[0].values)
    assert line(made, "majority").mean("micro_f1") == 0


def test_the_same_task_has_another_view_in_another_corpus():
    """One corpus names one emotion of a clip, the other several; each is scored in its own way."""
    corpora = ["meld", "mosei", "mosei", "mosei"]
    made = run(
        sole("emotion", ("happy", "happy+sad", "neutral", "sad"), ["happy"] * 4, "happy", several=True, corpora=corpora)
    )
    assert made.views == {("emotion", "meld"): "single", ("emotion", "mosei"): "several"}
    assert line(made, "lefsa", corpus="meld").mean("acc") == 1


def test_tasks_of_several_classes_and_of_scores():
    """A multi task is always scored as sets, a score as a number with its polarity beside it."""
    multi = run(
        sole("emotions", ("happy+sad", "", "fear", None), ["happy+sad", "", "fear", "sad"], "happy", several=True)
    )
    assert line(multi, "lefsa", "emotions").mean("mmf1") == 1
    score = run(sole("sentiment_score", (-1.0, 0.5, 2.0, None), [-2.0, 0.5, 1.0, 9.0], 0.2))
    assert line(score, "lefsa", "sentiment_score").mean("mae") == pytest.approx(2 / 3)
    assert math.isnan(line(score, "majority", "sentiment_score").mean("corr"))
    assert line(run(fold()), "lefsa", "sentiment").mean("polarity_acc2_non0") == 1


def test_clip_without_features_is_scored_as_the_majority():
    """Whatever is said of a clip that has nothing, even what is no number, the training majority counts."""
    test = part({"emotion": EMOTION, "sentiment": SENTIMENT}, featureless=[1, 2])
    lost = said("emotion", ["neutral", None, None, "sad"])
    one = outcome(0, {"emotion": lost, "sentiment": said("sentiment", SENTIMENT)})
    made = run(fold(test=test, parts=dict.fromkeys(("train", "dev", "test"), test), outcomes=(one,)))
    assert line(made, "lefsa").mean("acc") == pytest.approx(1 / 3)
    assert line(made, "linear").mean("acc") == pytest.approx(1 / 3)
    sets = run(sole("emotion", SETS, ["happy+sad", "neutral", "sad", None], "fear", several=True, featureless=[0, 3]))
    assert line(sets, "lefsa").mean("ml_acc") == pytest.approx(1 / 3)


def test_the_interval_is_of_the_models_test_line():
    """It holds the score, is drawn over clips, or over speakers where there are ten, and no other line has one."""
    made = run(fold())
    assert [(one.name, one.split) for one in made.lines if one.interval] == [("lefsa", "test")] * 2
    found = line(made, "lefsa").interval
    assert found.over == "clips"
    assert found.low <= line(made, "lefsa").mean("mf1") <= found.high
    names = [f"{i}" for i in range(30)]
    truth = ["happy", "sad", "fear"] * 10
    for speakers, over in ((10, "speakers"), (9, "clips"), (30, "clips")):
        of = [f"who {i % speakers}" for i in range(30)]
        many = run(sole("emotion", truth, truth[1:] + truth[:1], "sad", names=names, speakers=of))
        assert line(many, "lefsa").interval.over == over


def test_confusion_is_added_over_folds_and_seeds():
    """Rows are true, columns predicted, and each clip counts once per seed."""
    counts = result.confusion(run(*two_folds()), "emotion", "demo", "test")
    assert counts[:3, :3].tolist() == [[1, 1, 0], [0, 4, 8], [0, 0, 0]]
    assert counts.sum() == 14


def test_summary_is_the_models():
    """Of test by corpus, task and metric: mean and deviation, the interval of the main metric, and what it cost."""
    whole = run(fold(outcomes=tuple(dataclasses.replace(one, seconds=6.0) for one in fold().outcomes)))
    found = result.summary(whole)
    assert {(corpus, task) for corpus, task, _ in found.scores} == {("demo", "emotion"), ("demo", "sentiment")}
    assert found.scores["demo", "emotion", "acc"] == pytest.approx((5 / 6, math.sqrt(1 / 18)))
    assert set(found.intervals) == {("demo", "emotion", "mf1"), ("demo", "sentiment", "mf1")}
    assert (found.parameters, found.seconds_per_epoch) == (1234567, 2.0)  # two seeds of three epochs


def test_predictions_that_do_not_fit_are_refused():
    """Too few clips, a split or sets that are missing, and what is no number are named with whose they are."""
    short = outcome(5, both(["neutral", "happy"], SENTIMENT[:2]))
    with pytest.raises(ValueError, match=r"seed 5, dev, emotion: expected shares of shape \(4, 7\), got \(2, 7\)"):
        run(fold(outcomes=(short,)))
    only_test = dataclasses.replace(outcome(0, {}), predictions={"dev": {}, "test": both(["happy"] * 4)})
    with pytest.raises(ValueError, match=r"seed 0, dev, emotion: .* got None"):
        run(fold(outcomes=(only_test,)))
    with pytest.raises(ValueError, match=r"seed 0, dev, emotion: expected finite"):
        run(fold(outcomes=(outcome(0, both(["happy", None, "happy", "sad"])),)))
    with pytest.raises(ValueError, match=r"majority, dev, emotion: expected sets of shape \(4, 6\), got None"):
        run(sole("emotion", SETS, ["happy"] * 4, "neutral"))
    wrong = Predicted(vectors("emotion", ["happy"] * 4), np.ones((4, 7), bool))
    with pytest.raises(ValueError, match=r"expected sets of shape \(4, 6\), got \(4, 7\)"):
        run(fold(floors={"linear": {"test": {"emotion": wrong}}}))


def test_runs_that_make_no_sense_are_refused():
    """No seed, folds of one name or with other seeds, columns of unequal length and a clip twice are refused."""
    with pytest.raises(ValueError, match="at least one seed"):
        run(fold(outcomes=()))
    with pytest.raises(ValueError, match="each fold and each seed once"):
        run(fold("a"), fold("a"))
    with pytest.raises(ValueError, match="the same seeds, floors and parts on each fold"):
        run(fold("a"), fold("b", outcomes=(outcome(7, both(["sad"] * 4)), outcome(1, both(["sad"] * 4)))))
    with pytest.raises(ValueError, match="speakers: expected 4 clips, got 1"):
        part({"emotion": EMOTION}, speakers=["x"])
    with pytest.raises(ValueError, match="each clip of a corpus once, got 1 of 4 again"):
        part({"emotion": EMOTION}, names=["a", "a", "b", "c"])
    part({"emotion": EMOTION}, names=["a", "a", "b", "c"], corpora=["x", "y", "x", "x"])
