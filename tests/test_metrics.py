"""Every number that a reference implementation gives is ours under some id, and the rest is worked out by hand."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn

from fuse import metrics

with np.load(Path(__file__).parent / "golden" / "metrics.npz") as _file:
    GOLDEN = dict(_file)
RESULTS = json.loads(str(GOLDEN["meta"]))["results"]
CASES = range(5)
ROUNDED = 0.5e-4 + 1e-9
# Six clips of the classes 0, 1, 2, 2, 2, 1: precision 1/2, 1/1, 2/3 and recall 1, 1/2, 2/3 of the classes 0, 1, 2.
TRUTH, PREDICTED = [0, 1, 2, 2, 2, 1], [0, 1, 2, 2, 0, 2]
# What each reference calls what, in percent.
CHIMERA_SINGLE = {"war": "acc", "uar": "uar", "weighted_f1": "wf1", "macro_f1": "mf1"}
EMOSEN_SINGLE = {"A(WAR)": "acc", "UAR": "uar_all", "WF1": "wf1", "MacroF1": "mf1_all"}
CHIMERA_SEVERAL = {"emo_mWA": "mwa", "emo_mWF1": "mwf1", "emo_mMacroF1": "mmf1_supported", "emo_mA_WAR": "macc"}
EMOSEN_SEVERAL = {"mWA": "mwa", "mWF1": "mwf1", "mMacroF1": "mmf1", "mUAR": "muar", "mA(WAR)": "macc"}
# TAILOR hands its truth over as the prediction, so that its precision is the recall.
TAILOR = {"micro_f1": "micro_f1", "micro_precision": "micro_r", "micro_recall": "micro_p"}
MOSEI = {
    "Has0_acc_2": "acc2_has0",
    "Has0_F1_score": "wf1_has0",
    "Non0_acc_2": "acc2_non0",
    "Non0_F1_score": "wf1_non0",
    "Mult_acc_5": "acc5",
    "Mult_acc_7": "acc7",
    "MAE": "mae",
    "Corr": "corr",
}
SIMS = {
    **{f"Mult_acc_{n}": f"sims_acc{n}" for n in (2, 3, 5)},
    "F1_score": "sims_wf1",
    "MAE": "sims_mae",
    "Corr": "sims_corr",
}
POLARITY = {
    "Has0_acc_2": "polarity_acc2_has0",
    "Has0_F1_score": "polarity_wf1_has0",
    "Non0_acc_2": "polarity_acc2_non0_mmsa",
    "Non0_F1_score": "polarity_wf1_non0_mmsa",
    "Acc_3": "polarity_acc3",
    "F1_score_3": "polarity_wf1_3",
}
CROSS_BERT = {"acc": "acc", "acc7": "acc", "weighted_precision": "wp", "weighted_f1": "wf1", "weighted_recall": "acc"}


def assert_golden(got, names, expected, whole=100.0, within=1e-9):
    """Compare every number of a reference with ours; of those that it rounded, half a last digit may be missing."""
    assert names.keys() == {name for name in expected if not name.endswith("_per_class")}
    for theirs, ours in names.items():
        assert whole * got[ours] == pytest.approx(float(expected[theirs]), abs=within, nan_ok=True), theirs


def sets_of(case):
    """Return the true and the predicted sets of one case."""
    return (GOLDEN[f"multi_{case}_{name}_bin"].astype(bool) for name in ("target", "pred"))


@pytest.mark.parametrize("case", CASES)
def test_single_labels_as_the_references(case):
    """Accuracy, F1 and recall are chimera_ml's and EmoSen's, also where a class is absent and they differ."""
    got = metrics.single(GOLDEN[f"single_{case}_target"], GOLDEN[f"single_{case}_logits"].argmax(axis=1), 7)
    assert_golden(got, CHIMERA_SINGLE, RESULTS["single_label"][case]["chimera"])
    assert_golden(got, EMOSEN_SINGLE, RESULTS["single_label"][case]["emosen"])


@pytest.mark.parametrize("case", CASES)
def test_several_labels_as_the_references(case):
    """Means over emotions are chimera_ml's and EmoSen's, means over clips and cells TAILOR's."""
    got, expected = metrics.several(*sets_of(case)), RESULTS["cmu_multilabel"][case]
    assert_golden(got, CHIMERA_SEVERAL, expected["chimera"])
    assert_golden(got, EMOSEN_SEVERAL, expected["emosen"])
    tailor = dict(expected["tailor"]["get_metrics_called_as_in_train_py"])
    assert_golden(got, {"acc": "ml_acc"}, {"acc": tailor.pop("acc")}, 1, ROUNDED)
    assert_golden(got, TAILOR, tailor, 1)


@pytest.mark.parametrize("case", CASES)
def test_each_emotion_as_the_references(case):
    """Scored alone, each emotion has the number that both references print for it."""
    expected = RESULTS["cmu_multilabel"][case]
    truth, predicted = sets_of(case)
    chimera = {f"m{name}": CHIMERA_SEVERAL[f"emo_m{name}"] for name in ("WA", "WF1", "MacroF1", "A_WAR")}
    for place, emotion in enumerate(("happy", "sad", "anger", "surprise", "disgust", "fear")):
        got = metrics.several(truth[:, [place]], predicted[:, [place]])
        of_one = {name: values[emotion] for name, values in expected["chimera_per_class"].items()}
        assert_golden(got, chimera, of_one)
        of_one = {name: expected["emosen"][f"{name}_per_class"][place] for name in EMOSEN_SEVERAL}
        assert_golden(got, EMOSEN_SEVERAL, of_one)


@pytest.mark.parametrize("case", CASES)
def test_ranking_as_the_reference(case):
    """The average precision is TAILOR's; where shares are equal, it shuffles and we count them as one step."""
    truth, _ = sets_of(case)
    logits = GOLDEN[f"multi_{case}_logits"]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = RESULTS["cmu_multilabel"][case]["tailor"]["gap"]
    equal = case == 4
    assert metrics.ranked(truth, shares[:, 1:])["gap"] == pytest.approx(expected, abs=0.02 if equal else 1e-9)


@pytest.mark.parametrize("case", CASES)
def test_scores_as_the_reference(case):
    """Errors, correlation and the classes made of scores are MMSA's, for MOSEI and for CH-SIMS."""
    truth, predicted = GOLDEN[f"reg_{case}_true"], GOLDEN[f"reg_{case}_pred"]
    expected = RESULTS["sentiment"][case]
    assert_golden(metrics.score(truth, predicted), MOSEI, expected["mosei_regression"], 1, within=ROUNDED)
    assert_golden(metrics.sims(truth / 3, predicted / 3), SIMS, expected["sims_regression"], 1, within=ROUNDED)


@pytest.mark.parametrize("case", CASES)
def test_polarity_as_the_reference(case):
    """What MMSA makes of three classes is ours, its fault included where the id says so."""
    got = metrics.polarity(GOLDEN[f"cls_{case}_true"], GOLDEN[f"cls_{case}_logits"])
    assert_golden(got, POLARITY, RESULTS["sentiment"][case]["mosi_classification"], 1, within=ROUNDED)


@pytest.mark.parametrize("case", CASES)
def test_rounded_scores_as_the_reference(case):
    """Cross-BERT's numbers are those of rounded scores taken as classes, its confusion among them."""
    expected = dict(RESULTS["sentiment"][case]["cross_bert"])
    predicted = np.clip(GOLDEN[f"reg_{case}_pred"] + 1, 0, 3).round().astype(int)
    truth = np.clip((GOLDEN[f"reg_{case}_true"] + 1).round(), 0, 3).astype(int)
    assert metrics.confusion(truth, predicted, 4).tolist() == expected.pop("confusion")
    expected.pop("input")
    assert_golden(metrics.single(truth, predicted, 4), CROSS_BERT, expected, 1)


@given(arrays(np.int64, st.tuples(st.just(2), st.integers(1, 40)), elements=st.integers(0, 6)))
def test_single_is_scikit_learn(drawn):
    """For any clips the numbers are scikit-learn's, averaged over the classes that each id names."""
    truth, predicted = drawn
    over = {"average": "macro", "zero_division": 0}
    supported = {**over, "labels": np.unique(truth)}
    got = metrics.single(truth, predicted, 7)
    assert got == pytest.approx(
        {
            "acc": sklearn.accuracy_score(truth, predicted),
            "wf1": sklearn.f1_score(truth, predicted, average="weighted", zero_division=0),
            "mf1": sklearn.f1_score(truth, predicted, **supported),
            "mf1_all": sklearn.f1_score(truth, predicted, **over),
            "uar": sklearn.recall_score(truth, predicted, **supported),
            "uar_all": sklearn.recall_score(truth, predicted, **over),
            "wp": sklearn.precision_score(truth, predicted, average="weighted", zero_division=0),
        }
    )
    theirs = sklearn.confusion_matrix(truth, predicted, labels=range(7))
    assert (metrics.confusion(truth, predicted, 7) == theirs).all()


@given(arrays(np.bool_, st.tuples(st.just(2), st.integers(1, 20), st.integers(1, 4))))
def test_several_is_scikit_learn(drawn):
    """For any sets the numbers are the means of scikit-learn's over the binary problems, or its micro average."""
    truth, predicted = drawn
    got = metrics.several(truth, predicted)

    def mean(score, **options):
        pairs = zip(truth.T.astype(int), predicted.T.astype(int), strict=True)
        return np.mean([score(*pair, **options) for pair in pairs])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert got["mmf1"] == pytest.approx(mean(sklearn.f1_score, average="macro"))
        assert got["mwf1"] == pytest.approx(mean(sklearn.f1_score, average="weighted"))
        assert got["muar"] == pytest.approx(mean(sklearn.recall_score, average="macro"))
        assert got["macc"] == pytest.approx(mean(sklearn.accuracy_score))
        flat = truth.ravel(), predicted.ravel()
        assert got["micro_f1"] == pytest.approx(sklearn.f1_score(*flat))
        assert got["micro_p"] == pytest.approx(sklearn.precision_score(*flat))
        assert got["micro_r"] == pytest.approx(sklearn.recall_score(*flat))
        assert got["ml_acc"] == pytest.approx(
            np.mean([np.sum(t & p) / max(1, np.sum(t | p)) for t, p in zip(truth, predicted, strict=True)])
        )
        if truth.any(axis=0).all() and not truth.all(axis=0).any():
            assert got["mwa"] == pytest.approx(mean(sklearn.balanced_accuracy_score))
            assert got["muar"] == pytest.approx(got["mwa"])


@given(arrays(np.bool_, 12), arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])))
def test_ranking_is_scikit_learn(truth, shares):
    """The average precision over all cells is scikit-learn's, equal shares included; nobody there gives 0."""
    got = metrics.ranked(truth.reshape(4, 3), shares.reshape(4, 3))["gap"]
    assert got == pytest.approx(sklearn.average_precision_score(truth, shares) if truth.any() else 0)


def test_by_hand():
    """Six clips worked out on paper."""
    f1 = (2 / 3, 2 / 3, 2 / 3)
    expected = {"acc": 4 / 6, "wf1": np.average(f1, weights=[1, 2, 3]), "mf1": 2 / 3, "uar": (1 + 1 / 2 + 2 / 3) / 3}
    expected |= {"mf1_all": 2 / 3, "uar_all": expected["uar"], "wp": (1 * 1 / 2 + 2 * 1 + 3 * 2 / 3) / 6}
    assert metrics.single(TRUTH, PREDICTED, 3) == pytest.approx(expected)


def test_a_class_without_clips_is_left_out():
    """More classes in the vocabulary than in truth and prediction change nothing."""
    assert metrics.single(TRUTH, PREDICTED, 7) == metrics.single(TRUTH, PREDICTED, 3)


def test_a_class_that_is_only_predicted():
    """It costs its clips' own classes recall; whether it is averaged itself is the difference between two ids."""
    got = metrics.single([0, 0, 1, 1], [0, 2, 1, 1], 3)
    assert (got["mf1"], got["mf1_all"]) == pytest.approx(((2 / 3 + 1) / 2, (2 / 3 + 1) / 3))
    assert (got["uar"], got["uar_all"]) == pytest.approx((3 / 4, 1 / 2))


def test_one_class_only():
    """A truth of one class is scored by that class, all right or all wrong."""
    assert set(metrics.single([1, 1], [1, 1], 3).values()) == {1}
    assert set(metrics.single([1, 1], [0, 2], 3).values()) == {0}


def test_sets_by_hand():
    """Three clips of two classes: two empty sets count for nothing or for all, by id."""
    truth = np.array([[1, 0], [1, 1], [0, 0]], bool)
    got = metrics.several(truth, np.array([[1, 1], [1, 0], [0, 0]], bool))
    assert (got["ml_acc"], got["ml_acc_empty"]) == pytest.approx((1 / 3, 2 / 3))
    assert (got["micro_p"], got["micro_r"], got["micro_f1"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert got["mwa"] == pytest.approx((1 + (0 / 1 + 1 / 2) / 2) / 2)
    assert got["macc"] == pytest.approx((1 + 1 / 3) / 2)


def test_a_constant_score_has_no_correlation():
    """It is NaN without a warning, also for a constant that no mean meets exactly."""
    assert math.isnan(metrics.score([1, -2, 0.5], [0.1, 0.1, 0.1])["corr"])
    assert math.isnan(metrics.sims([-1, -2, -3], [0.1, 0.2, 0.1])["sims_corr"])


def test_only_zeros_leave_two_classes_undefined():
    """Without a clip that is positive or negative, what is asked of those alone is NaN and the rest is there."""
    got = metrics.score([0, 0], [1, -1]) | metrics.polarity([0.0, 0.0], np.eye(3)[:2])
    undefined = {name for name, value in got.items() if math.isnan(value)}
    assert undefined == {"corr", *(name for name in got if "non0" in name)}


def test_dimensions_by_hand():
    """Concordance by its formula; a prediction that is shifted or never changes is correlated at most."""
    assert metrics.dimension([1, 2, 3], [1, 2, 3]) == {"ccc": 1, "corr": pytest.approx(1), "mae": 0}
    shifted = metrics.dimension([1, 2, 3], [2, 3, 4])
    assert shifted["corr"] == pytest.approx(1)
    assert shifted["ccc"] == pytest.approx(2 * (2 / 3) / (2 / 3 + 2 / 3 + 1))
    flat = metrics.dimension([1, 2, 3], [2, 2, 2])
    assert (flat["ccc"], math.isnan(flat["corr"])) == (0, True)
    assert math.isnan(metrics.dimension([2, 2], [2, 2])["ccc"])


def test_scores_by_hand():
    """Halves round to even after cutting, zero counts as not negative, and accuracy of three cuts at one."""
    got = metrics.score([-3, 0.5, 0, 2.6], [-5, 0, -0.1, 1.5])
    assert (got["acc7"], got["acc5"], got["acc3"]) == (3 / 4, 4 / 4, 4 / 4)
    assert (got["acc2_has0"], got["acc2_non0"], got["mae"]) == pytest.approx((3 / 4, 2 / 3, (2 + 0.5 + 0.1 + 1.1) / 4))


def test_a_score_on_a_bound_belongs_below():
    """CH-SIMS' classes hold their upper bound, whatever precision the scores are stored in."""
    truth = np.array([-0.7, -0.1, 0.0, 0.1, 0.7])
    assert metrics.sims(truth, truth.astype(np.float32))["sims_acc5"] == 1
    assert metrics.sims(truth, truth - 0.05)["sims_acc5"] == 1
    assert metrics.sims(truth, truth + 0.05)["sims_acc5"] == 1 / 5


def test_polarity_takes_scores_by_their_sign():
    """Scores and the classes that follow from them are the same truth."""
    shares = np.random.default_rng(0).random((6, 3))
    by_score = metrics.polarity(np.array([-2.5, -0.1, 0, 0, 0.1, 3]), shares)
    assert by_score == metrics.polarity([0, 0, 1, 1, 2, 2], shares)


def test_polarity_repaired():
    """Right about every clip is 1; in MMSA's code a positive clip is wrong all the same."""
    got = metrics.polarity([0, 2, 2, 1], np.eye(3)[[0, 2, 2, 0]])
    assert (got["polarity_acc2_non0"], got["polarity_wf1_non0"]) == (1, 1)
    assert (got["polarity_acc2_non0_mmsa"], got["polarity_wf1_non0_mmsa"]) == pytest.approx((1 / 3, 1 / 3))


def test_every_id_is_explained_once():
    """Dimensions share two ids with scores, no others do; each id has one sentence, and what is shown exists."""
    truth = np.array([True, False]).reshape(1, 2)
    found = {
        "single": metrics.single([0], [0], 1),
        "several": metrics.several(truth, truth),
        "ranked": metrics.ranked(truth, [[0.5, 0.2]]),
        "score": metrics.score([1, 2], [2, 1]),
        "dimension": metrics.dimension([1, 2], [2, 1]),
        "sims": metrics.sims([0.5, 0.1], [0.1, 0.5]),
        "polarity": metrics.polarity([0], [[1, 0, 0]]),
    }
    ids = [name for kind, scores in found.items() for name in scores if kind != "dimension" or name == "ccc"]
    assert ids == list(metrics.EXPLAINED)
    assert all(sentence.endswith(".") and sentence.count(". ") == 0 for sentence in metrics.EXPLAINED.values())
    assert {kind: set(shown) - found[kind].keys() for kind, shown in metrics.SHOWN.items()} == {
        "single": set(),
        "several": set(),
        "score": set(),
        "dimension": set(),
    }


def test_confusion_counts_truth_in_rows():
    """Rows are true classes, columns predicted ones, and a class without clips keeps its place."""
    expected = [[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert metrics.confusion(TRUTH, PREDICTED, 4).tolist() == expected


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([], [], "at least one"),
        ([0, 1], [0], "as many predictions"),
        ([0, 3], [0, 1], "truth: expected class numbers from 0 to 2"),
        ([0, 1], [0, -1], "predicted: expected class numbers from 0 to 2"),
        ([0.5, 1.0], [0, 1], "truth: expected class numbers"),
    ],
)
def test_what_cannot_be_scored_is_refused(truth, predicted, message):
    """Nothing, unequal lengths, unknown classes and scores in place of classes are named, not averaged."""
    with pytest.raises(ValueError, match=message):
        metrics.single(truth, predicted, 3)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda: metrics.score([], []), "at least one, got"),
        (lambda: metrics.score([[1.0]], [[1.0]]), r"true scores and at least one, got \(1, 1\)"),
        (lambda: metrics.sims([1.0, 2.0], [1.0, np.nan]), "predicted: expected finite scores, got"),
        (lambda: metrics.several(np.eye(2) > 0, np.eye(3) > 0), r"sets \(n, m\) and at least one, got \(3, 3\)"),
        (lambda: metrics.several(np.eye(2) > 0, np.eye(2)), "predicted: expected true or false for each class, got"),
        (lambda: metrics.polarity([0, 1], [0.2, 0.8]), r"negative, neutral and positive \(n, 3\), got \(2,\)"),
        (lambda: metrics.polarity([-1, 1], np.eye(3)[:2]), "truth: expected class numbers from 0 to 2"),
    ],
)
def test_what_is_no_score_and_no_set_is_refused(score, message):
    """Each kind of task says what it expected and what it got."""
    with pytest.raises(ValueError, match=message):
        score()
