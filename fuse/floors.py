"""What a fusion model has to beat: what training says without looking, and a linear model of averaged features.

The linear model is fitted on all modalities side by side and on each alone, so that a reader sees what fusing is worth.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fuse import decide
from fuse.data import Dataset
from fuse.judged import Shares
from fuse.protocol import Split
from fuse.result import Predicted, Predictions
from manifests.labels import TASKS

SEVERAL_THRESHOLD = 0.5


def majority(data: Dataset, split: Split, task: str) -> Predicted:
    """Return the share of each class among the training clips that have the label, or their mean score."""
    known = [i for i in split.train if data.known[task][i]]
    mean = data.labels[task][known].double().mean(dim=0, keepdim=True).numpy()
    if not data.several(task):
        return Predicted(mean)
    there = decide.there(task, data.labels[task][known].double().numpy())
    return Predicted(mean, there.mean(axis=0, keepdims=True) > SEVERAL_THRESHOLD)


def linear(data: Dataset, split: Split, scored: Sequence[str], without: Sequence[str] = ()) -> dict[str, Predictions]:
    """Return what linear models say of the scored parts: of all modalities, and of each where there are several."""
    means = _means(data)
    given = {modality: 0 * rows if modality in without else rows for modality, rows in means.items()}
    chosen = {"linear floor": tuple(means)}
    if len(means) > 1:
        chosen |= {f"linear, {modality} alone": (modality,) for modality in means}
    found: dict[str, Predictions] = {}
    for name, modalities in chosen.items():
        features, seen = (np.concatenate([of[m] for m in modalities], axis=1) for of in (means, given))
        fitted = {task: _fitted(data, split, task, features) for task in data.labels}
        parts = {part: list(split.parts()[part]) for part in scored}
        found[name] = {
            part: {task: predict(seen[index]) for task, predict in fitted.items()} for part, index in parts.items()
        }
    return found


def _fitted(data: Dataset, split: Split, task: str, features: NDArray[np.float32]) -> Callable[..., Predicted]:
    # scikit-learn takes two seconds, and floors are measured when everything else is done.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = [i for i in split.train if data.known[task][i]]
    labels = data.labels[task][known].double().numpy()
    kind = TASKS[task].kind
    last = {
        "class": LogisticRegression(max_iter=1000),
        "multi": OneVsRestClassifier(LogisticRegression(max_iter=1000)),
        "score": Ridge(alpha=10.0),
    }[kind]
    model = make_pipeline(StandardScaler(), last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a floor that has not quite settled is a floor
        warnings.filterwarnings("ignore", message="Label .* is present in all|Label not .* is present in all")
        model.fit(features[known], labels.argmax(axis=1) if kind == "class" else labels)
    several = bool(data.several(task))

    def predict(rows: NDArray[np.float32]) -> Predicted:
        shares = _shares(model, rows, labels.shape[1], kind)
        return Predicted(shares, decide.sets(shares, task=task, threshold=SEVERAL_THRESHOLD) if several else None)

    return predict


def _shares(model: Any, rows: NDArray[np.float32], classes: int, kind: str) -> Shares:
    if kind == "score":
        return np.asarray(model.predict(rows), float).reshape(-1, 1)
    found = np.asarray(model.predict_proba(rows))
    if kind == "multi":
        return found
    shares = np.zeros((len(rows), classes))
    shares[:, model.classes_] = found
    return shares


def _means(data: Dataset) -> Mapping[str, NDArray[np.float32]]:
    """Return each clip's mean over real steps, by modality."""
    found = {m: torch.zeros(len(data.clips), int(np.prod(shape[1:]))) for m, shape in data.shapes.items()}
    counts = torch.zeros(len(data.clips))
    for examples, batch in data.batches(data.examples(range(len(data.clips))), 512):
        clips = data.clip_of[examples]
        counts.index_add_(0, clips, torch.ones(len(clips)))
        for modality, rows in found.items():
            rows.index_add_(0, clips, batch.mean_of_steps(modality).flatten(1).cpu())
    return {modality: (rows / counts[:, None]).numpy() for modality, rows in found.items()}
