"""What a fusion model has to beat: the majority class, and a linear classifier on averaged features."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fuse.data import Dataset
from fuse.protocol import Split

Shares = NDArray[np.float64]


def majority(data: Dataset, split: Split, task: str) -> Shares:
    """Return the share of each class in training: the greatest is the majority class."""
    train = list(split.train)
    shares: Shares = data.labels[task][train][data.known[task][train]].mean(dim=0).double().numpy()
    return shares


def linear(data: Dataset, split: Split, task: str) -> Callable[[Sequence[int]], Shares]:
    """Fit logistic regression on each modality's mean over real steps, side by side; return what predicts clips."""
    known = [i for i in split.train if data.known[task][i]]
    truth = data.labels[task][known].argmax(dim=1).numpy()
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a floor that has not quite settled is a floor
        classifier.fit(_means(data, known), truth)

    def predict(index: Sequence[int]) -> Shares:
        shares = np.zeros((len(index), data.labels[task].shape[1]))
        shares[:, classifier.classes_] = classifier.predict_proba(_means(data, index))
        return shares

    return predict


def _means(data: Dataset, index: Sequence[int]) -> NDArray[np.float32]:
    rows = []
    for chosen in torch.split(torch.tensor(index), 1024):
        batch = data.batch(chosen)
        rows.append(torch.cat([batch.mean_of_steps(modality) for modality in data.stored], dim=1))
    return torch.cat(rows).numpy()
