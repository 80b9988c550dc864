"""What a fusion model has to beat: the majority class, and a linear classifier on averaged features."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fuse.data import Dataset
from fuse.protocol import Split

Probabilities = NDArray[np.float64]


def majority(data: Dataset, split: Split, task: str, index: Sequence[int]) -> Probabilities:
    """Return the share of each class in training, for every clip: its greatest is the majority class."""
    known = data.known[task][list(split.train)]
    shares = data.labels[task][list(split.train)][known].mean(dim=0).double().numpy()
    return np.tile(shares, (len(index), 1))


def linear(data: Dataset, split: Split, task: str, index: Sequence[int]) -> Probabilities:
    """Return what logistic regression says, on each modality's mean over real steps, side by side."""
    known = [i for i in split.train if data.known[task][i]]
    truth = data.labels[task][known].argmax(dim=1).numpy()
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a floor that has not quite settled is a floor
        classifier.fit(_means(data, known), truth)
    found = np.zeros((len(index), data.labels[task].shape[1]))
    found[:, classifier.classes_] = classifier.predict_proba(_means(data, index))
    return found


def _means(data: Dataset, index: Sequence[int]) -> NDArray[np.float32]:
    rows = []
    for chosen in torch.split(torch.tensor(index), 1024):
        batch = data.batch(chosen)
        rows.append(torch.cat([batch.mean_of_steps(modality) for modality in data.stored], dim=1))
    return torch.cat(rows).numpy()
