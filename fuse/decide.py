"""From shares to what is said: which classes are there, and what the windows of a clip agree on.

A class task whose first class is neutral can be read as sets, as LEFSA does on MOSEI: whoever is neutral shows none of
the other classes, and of those several may be there at once. Neutral itself is no member of a set.
"""

import numpy as np
from numpy.typing import NDArray

from fuse import metrics
from manifests.labels import TASKS

Shares = NDArray[np.float64]
Sets = NDArray[np.bool_]
Numbers = NDArray[np.int64]

GRID = tuple(step / 20 for step in range(1, 20))
"""The thresholds that are tried on dev."""


def sets(shares: Shares, *, task: str, threshold: float) -> Sets:
    """Return (n, m): the classes whose share reaches the threshold; none where neutral reaches 1 minus the threshold.

    LEFSA's rule for seven emotions has the threshold 1/7.
    """
    reached = _without_neutral(task, shares) >= threshold
    if TASKS[task].kind == "multi":
        return reached
    return reached & (shares[:, :1] < 1 - threshold)


def several(task: str, truth: Shares, *, votes: bool = False) -> bool:
    """Tell whether labels (n, k) of a task name several classes of one clip, or could; shares of votes do not."""
    if TASKS[task].kind == "multi":
        return True
    return not votes and _neutral_first(task) and bool((there(task, truth).sum(axis=1) > 1).any())


def there(task: str, truth: Shares) -> Sets:
    """Return (n, m): the classes that a label vector gives any share."""
    return _without_neutral(task, truth) > 0


def tuned(task: str, truth: Shares, shares: Shares) -> float:
    """Return the threshold of `GRID` with the best mmf1; the middle one of equals, farthest from being worse."""
    true = there(task, truth)
    found = [metrics.several(true, sets(shares, task=task, threshold=one))["mmf1"] for one in GRID]
    best = [one for one, value in zip(GRID, found, strict=True) if value == max(found)]
    return best[len(best) // 2]


def votes(shares: Shares, clip_of: Numbers, clips: int) -> Shares:
    """Return (clips, k): which share of a clip's windows each class is the greatest in; zeros without a window."""
    classes = shares.shape[1]
    counts = np.bincount(clip_of * classes + shares.argmax(axis=1), minlength=clips * classes).reshape(clips, classes)
    votes_of_each: Shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    return votes_of_each


def votes_of_sets(given: Sets, clip_of: Numbers, clips: int) -> Sets:
    """Return (clips, m): the classes that more than half of a clip's windows show."""
    shown = np.zeros((clips, given.shape[1]), dtype=np.int64)
    np.add.at(shown, clip_of, given)
    more_than_half: Sets = 2 * shown > np.bincount(clip_of, minlength=clips)[:, None]
    return more_than_half


def _neutral_first(task: str) -> bool:
    return TASKS[task].kind == "class" and TASKS[task].classes[0] == "neutral"


def _without_neutral(task: str, values: Shares) -> Shares:
    """Return the columns that can be in a set."""
    if TASKS[task].kind == "multi":
        return values
    if _neutral_first(task):
        return values[:, 1:]
    raise ValueError(
        f"{task}: expected a multi task or classes that begin with neutral, got the {TASKS[task].kind} task of "
        f"{', '.join(TASKS[task].classes)}; score it by one class per clip, or as a score"
    )
