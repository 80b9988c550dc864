"""How good predictions are: four numbers whose names mean one thing each, for tasks with one class per clip.

The field's "WA" is accuracy for some and balanced accuracy for others, and macro scores differ by which classes they
average. So these ids are used everywhere:

- `acc`: share of clips that are right (WA, WAR, A and weighted recall elsewhere).
- `wf1`: F1 per class, averaged by the number of true clips.
- `mf1`: F1 per class, averaged over the classes that occur in the truth.
- `uar`: recall per class, averaged over the classes that occur in the truth (UA elsewhere; balanced accuracy).

A class that is predicted but never true has no F1 of its own in the average; its clips are misses of the classes they
belong to. LEFSA's authors score so; scikit-learn, which averages over that class too, gives lower numbers.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sklearn

IDS = ("acc", "wf1", "mf1", "uar")


def scores(truth: ArrayLike, predicted: ArrayLike, classes: int) -> dict[str, float]:
    """Return every metric in `IDS` for class numbers below `classes`."""
    true, pred = _checked(truth, predicted, classes)
    supported = np.unique(true)
    over = {"labels": supported, "zero_division": 0}
    return {
        "acc": float(sklearn.accuracy_score(true, pred)),
        "wf1": float(sklearn.f1_score(true, pred, average="weighted", **over)),
        "mf1": float(sklearn.f1_score(true, pred, average="macro", **over)),
        "uar": float(sklearn.recall_score(true, pred, average="macro", **over)),
    }


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return how many clips of each true class (row) were given each class (column)."""
    true, pred = _checked(truth, predicted, classes)
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (true, pred), 1)
    return counts


def majority(truth: ArrayLike, classes: int) -> int:
    """Return the most frequent class, the first one of equals."""
    true, _ = _checked(truth, truth, classes)
    return int(np.bincount(true, minlength=classes).argmax())


def _checked(truth: ArrayLike, predicted: ArrayLike, classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Refuse what cannot be scored."""
    true, pred = np.asarray(truth), np.asarray(predicted)
    if true.ndim != 1 or true.shape != pred.shape or not len(true):
        raise ValueError(
            f"expected as many predictions as true classes and at least one, got {pred.shape}, {true.shape}"
        )
    for name, values in (("truth", true), ("predicted", pred)):
        if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= classes:
            raise ValueError(f"{name}: expected class numbers from 0 to {classes - 1}, got {np.unique(values)[:10]}")
    return true.astype(np.int64), pred.astype(np.int64)
