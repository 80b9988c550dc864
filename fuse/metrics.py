"""How good predictions are, under ids that mean one thing each.

The field's "WA" is accuracy for some and balanced accuracy for others; macro scores differ by the classes they average
over, and published evaluations differ where a class is absent. So every variant that a reference implementation prints
has an id of its own, and `EXPLAINED` says in a sentence what it is. All of them are shares, 1 being best, except `mae`,
`sims_mae` (0 is best), `corr` and `sims_corr` (from -1 to 1).

What has no value counts as the references count it: the precision of a class that is never predicted and the recall and
F1 of one that is never met are 0. Where they have no answer at all the score is NaN: the correlation of constant
scores, and two classes without zeros where every score is zero.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHOWN: Mapping[str, tuple[str, ...]] = {
    "single": ("acc", "wf1", "mf1", "uar"),
    "several": ("mwa", "mwf1", "mmf1", "micro_f1"),
    "score": ("mae", "corr", "acc7", "acc2_non0", "wf1_non0"),
    "dimension": ("ccc", "corr", "mae"),
}
"""What a report's tables hold of each kind; all the rest is kept beside them."""

EXPLAINED: Mapping[str, str] = {
    "acc": "Share of clips that are right (A, WA, WAR and weighted recall elsewhere).",
    "wf1": "F1 of each class, averaged by its number of true clips.",
    "mf1": "F1 of each class, averaged over the classes that some clip truly has.",
    "mf1_all": "F1 of each class, averaged over the classes that are true or predicted (scikit-learn's macro F1).",
    "uar": "Recall of each class, averaged over the classes that some clip truly has (UA; balanced accuracy).",
    "uar_all": "Recall of each class, averaged over the classes that are true or predicted.",
    "wp": "Precision of each class, averaged by its number of true clips.",
    "mwa": "Mean over classes of the balanced accuracy of there or not (WA elsewhere), as (TP N / P + TN) / 2N: "
    "a class that is never there gets 1/2 at most, and one that always is gets 0.",
    "mwf1": "Mean over classes of the weighted F1 of there or not.",
    "mmf1": "Mean over classes of the macro F1 of there or not, over whichever of both is true or predicted.",
    "mmf1_supported": "Mean over classes of the macro F1 of there or not, over whichever of both is true somewhere.",
    "muar": "Mean over classes of the recall of there or not, over whichever of both is true or predicted.",
    "macc": "Mean over classes of the share of clips for which there or not is right.",
    "ml_acc": "Mean over clips of the classes in both sets over those in either; two empty sets count 0.",
    "ml_acc_empty": "Mean over clips of the classes in both sets over those in either; two empty sets count 1.",
    "micro_p": "Precision over all clips and classes together.",
    "micro_r": "Recall over all clips and classes together.",
    "micro_f1": "F1 over all clips and classes together.",
    "gap": "Average precision when every clip and class is ranked by its share; equal shares count as one step.",
    "mae": "Mean distance between predicted and true score.",
    "corr": "Pearson correlation of predicted and true scores; NaN if either never changes.",
    "acc7": "Share of clips that are right when scores are cut at 3 and rounded, halves to even.",
    "acc5": "Share of clips that are right when scores are cut at 2 and rounded, halves to even.",
    "acc3": "Share of clips that are right when scores are cut at 1 and rounded, halves to even.",
    "acc2_has0": "Share of clips that are right about negative or not (zero is not).",
    "wf1_has0": "Weighted F1 of negative or not (zero is not).",
    "acc2_non0": "Share of the clips whose true score is not zero that are right about positive or not.",
    "wf1_non0": "Weighted F1 of positive or not, over the clips whose true score is not zero.",
    "ccc": "Concordance of predicted and true values: their correlation, less what is shifted or stretched.",
    "sims_acc2": "Share of clips that are right about above zero or not, as CH-SIMS has it.",
    "sims_acc3": "Share of clips that are right when scores are divided at -0.1 and 0.1, as CH-SIMS has it.",
    "sims_acc5": "Share of clips that are right when scores are divided at -0.7, -0.1, 0.1 and 0.7, as CH-SIMS has it.",
    "sims_wf1": "Weighted F1 of above zero or not, as CH-SIMS has it.",
    "sims_mae": "Mean distance between predicted and true score, both cut at 1.",
    "sims_corr": "Pearson correlation of predicted and true scores, both cut at 1.",
    "polarity_acc3": "Share of clips whose greatest of three shares is the true one.",
    "polarity_wf1_3": "Weighted F1 of the greatest of three shares.",
    "polarity_acc2_has0": "Share of clips right about positive or not, asking whether positive beats negative.",
    "polarity_wf1_has0": "Weighted F1 of positive or not, asking whether positive beats negative.",
    "polarity_acc2_non0": "Share of clips right among those not neutral, asking whether positive beats negative.",
    "polarity_wf1_non0": "Weighted F1 among the clips not neutral, asking whether positive beats negative.",
    "polarity_acc2_non0_mmsa": "As polarity_acc2_non0 in MMSA's code, where a positive clip can never be right.",
    "polarity_wf1_non0_mmsa": "As polarity_wf1_non0 in MMSA's code, where a positive clip can never be right.",
}

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def single(truth: ArrayLike, predicted: ArrayLike, classes: int) -> dict[str, float]:
    """Score class numbers below `classes`, one per clip; weighted recall is `acc` and has no second id."""
    counts = confusion(truth, predicted, classes)
    hits, true, said = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    f1, recall, precision = _over(2 * hits, true + said), _over(hits, true), _over(hits, said)
    clips, supported, met = true.sum(), true > 0, true + said > 0
    return {
        "acc": float(hits.sum() / clips),
        "wf1": float(f1 @ true / clips),
        "mf1": float(f1[supported].mean()),
        "mf1_all": float(f1[met].mean()),
        "uar": float(recall[supported].mean()),
        "uar_all": float(recall[met].mean()),
        "wp": float(precision @ true / clips),
    }


def several(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> dict[str, float]:
    """Score sets of classes (n, m): which are there, and which are said to be."""
    _check_sets(truth, predicted)
    clips, hits = len(truth), truth & predicted
    both, true, said = hits.sum(axis=0), truth.sum(axis=0), predicted.sum(axis=0)
    # Two rows: of being there, and of not being there.
    right = np.stack([both, clips - true - said + both])
    support = np.stack([true, clips - true])
    met = support + np.stack([said, clips - said])
    f1, recall = _over(2 * right, met), _over(right, support)
    in_both, in_either = hits.sum(axis=1), (truth | predicted).sum(axis=1)
    jaccard = _over(in_both, in_either)
    return {
        "mwa": float(np.where(support[1] > 0, recall.mean(axis=0), 0).mean()),
        "mwf1": float((f1 * support).sum(axis=0).mean() / clips),
        "mmf1": _mean_of_means(f1, met > 0),
        "mmf1_supported": _mean_of_means(f1, support > 0),
        "muar": _mean_of_means(recall, met > 0),
        "macc": float(right.sum(axis=0).mean() / clips),
        "ml_acc": float(jaccard.mean()),
        "ml_acc_empty": float(np.where(in_either > 0, jaccard, 1).mean()),
        "micro_p": float(_over(both.sum(), said.sum())),
        "micro_r": float(_over(both.sum(), true.sum())),
        "micro_f1": float(_over(2 * both.sum(), true.sum() + said.sum())),
    }


def ranked(truth: NDArray[np.bool_], shares: ArrayLike) -> dict[str, float]:
    """Score the shares (n, m) that sets are decided by; nobody there gives 0, as TAILOR has it."""
    given = np.asarray(shares)
    _check_sets(truth, given > 0)
    order = np.argsort(-given, axis=None, kind="stable")
    values, hits = given.ravel()[order], np.cumsum(truth.ravel()[order])
    # A place is the last of a run of equal shares.
    last = np.append(values[1:] != values[:-1], True)
    precision = hits[last] / (np.flatnonzero(last) + 1)
    return {"gap": float(_over(np.diff(hits[last], prepend=0) @ precision, hits[-1]))}


def score(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Score scores, from -3 to 3 where classes are made of them, as MMSA does for MOSI and MOSEI."""
    true, pred = _checked_scores(truth, predicted)
    has0, non0 = _two(true >= 0, pred >= 0), _two(true[true != 0] > 0, pred[true != 0] > 0)
    rounded = {f"acc{2 * most + 1}": _right(*(x.clip(-most, most).round() for x in (true, pred))) for most in (3, 2, 1)}
    return {
        "mae": float(np.abs(true - pred).mean()),
        "corr": _correlation(true, pred),
        **rounded,
        "acc2_has0": has0["acc"],
        "wf1_has0": has0["wf1"],
        "acc2_non0": non0["acc"],
        "wf1_non0": non0["wf1"],
    }


def dimension(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Score valence, arousal or dominance, on whatever scale: what is right but shifted or stretched is not right."""
    true, pred = _checked_scores(truth, predicted)
    apart = true.var() + pred.var() + (true.mean() - pred.mean()) ** 2
    together = 2 * ((true - true.mean()) * (pred - pred.mean())).mean()
    return {
        "ccc": float(together / apart) if apart > 0 else np.nan,
        "corr": _correlation(true, pred),
        "mae": float(np.abs(true - pred).mean()),
    }


def sims(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Score scores from -1 to 1, as MMSA does for CH-SIMS."""
    true, pred = (values.clip(-1, 1) for values in _checked_scores(truth, predicted))

    def divided(*bounds: float) -> tuple[Counts, Counts]:
        # A bound belongs to the class below, and single precision keeps a stored 0.1 equal to the bound 0.1.
        true_class, pred_class = (
            np.searchsorted(np.array(bounds, np.float32), x.astype(np.float32)) for x in (true, pred)
        )
        return true_class, pred_class

    of2 = divided(0)
    return {
        "sims_acc2": _right(*of2),
        "sims_acc3": _right(*divided(-0.1, 0.1)),
        "sims_acc5": _right(*divided(-0.7, -0.1, 0.1, 0.7)),
        "sims_wf1": single(*of2, 2)["wf1"],
        "sims_mae": float(np.abs(true - pred).mean()),
        "sims_corr": _correlation(true, pred),
    }


def polarity(truth: ArrayLike, shares: ArrayLike) -> dict[str, float]:
    """Score shares (n, 3) of negative, neutral, positive against class numbers, or against scores by their sign.

    MMSA's code numbers the classes of clips that are not neutral 0 and 2 in the truth, but 0 and 1 in what is
    predicted; the two ids that end in `_mmsa` keep that, to compare with numbers that came from it.
    """
    given, true = np.asarray(shares), np.asarray(truth)
    if given.ndim != 2 or given.shape[1] != 3:
        raise ValueError(f"expected shares of negative, neutral and positive (n, 3), got {given.shape}")
    if true.dtype.kind == "f":
        true = np.sign(true).astype(np.int64) + 1
    three = single(true, given.argmax(axis=1), 3)
    positive, clear = given[:, 2] > given[:, 0], true != 1
    has0, non0 = _two(true == 2, positive), _two(true[clear] == 2, positive[clear])
    as_mmsa = single(true[clear], positive[clear].astype(np.int64), 3) if clear.any() else dict.fromkeys(three, np.nan)
    return {
        "polarity_acc3": three["acc"],
        "polarity_wf1_3": three["wf1"],
        "polarity_acc2_has0": has0["acc"],
        "polarity_wf1_has0": has0["wf1"],
        "polarity_acc2_non0": non0["acc"],
        "polarity_wf1_non0": non0["wf1"],
        "polarity_acc2_non0_mmsa": as_mmsa["acc"],
        "polarity_wf1_non0_mmsa": as_mmsa["wf1"],
    }


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int) -> Counts:
    """Return how many clips of each true class (row) were given each class (column)."""
    true, pred = _checked(truth, predicted, classes)
    return np.bincount(true * classes + pred, minlength=classes**2).reshape(classes, classes)


def _over(count: ArrayLike, whole: ArrayLike) -> Floats:
    """Divide; nothing of nothing is 0."""
    return np.asarray(count) / np.maximum(whole, 1)


def _mean_of_means(values: Floats, counted: Bools) -> float:
    """Average each column over what counts in it, then the columns."""
    return float(((values * counted).sum(axis=0) / counted.sum(axis=0)).mean())


def _two(truth: Bools, predicted: Bools) -> dict[str, float]:
    """Score yes or no; without any clip there is nothing to say."""
    if not len(truth):
        return {"acc": np.nan, "wf1": np.nan}
    return single(truth.astype(np.int64), predicted.astype(np.int64), 2)


def _right(truth: NDArray[np.generic], predicted: NDArray[np.generic]) -> float:
    return float((truth == predicted).mean())


def _correlation(truth: Floats, predicted: Floats) -> float:
    if np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        return np.nan
    return float(np.corrcoef(truth, predicted)[0, 1])


def _checked(truth: ArrayLike, predicted: ArrayLike, classes: int) -> tuple[Counts, Counts]:
    """Refuse what cannot be scored."""
    true, pred = np.asarray(truth), np.asarray(predicted)
    if true.ndim != 1 or true.shape != pred.shape or not len(true):
        raise ValueError(
            f"expected as many predictions as true classes and at least one, got {pred.shape}, {true.shape}"
        )
    for name, values in (("truth", true), ("predicted", pred)):
        if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= classes:
            raise ValueError(f"{name}: expected class numbers from 0 to {classes - 1}, got {np.unique(values)[:10]}")
    return true.astype(np.int64, copy=False), pred.astype(np.int64, copy=False)


def _checked_scores(truth: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    true, pred = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if true.ndim != 1 or true.shape != pred.shape or not len(true):
        raise ValueError(
            f"expected as many predictions as true scores and at least one, got {pred.shape}, {true.shape}"
        )
    for name, values in (("truth", true), ("predicted", pred)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: expected finite scores, got {values[~np.isfinite(values)][:10]}")
    return true, pred


def _check_sets(truth: Bools, predicted: Bools) -> None:
    if truth.ndim != 2 or truth.shape != predicted.shape or not truth.size:
        raise ValueError(
            f"expected as many predicted as true sets (n, m) and at least one, got {predicted.shape}, {truth.shape}"
        )
    for name, values in (("truth", truth), ("predicted", predicted)):
        if values.dtype != np.bool_:
            raise ValueError(f"{name}: expected true or false for each class, got {values.dtype}")
