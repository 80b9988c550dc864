"""The lines that a fusion model has to beat."""

import fuse_kit
import numpy as np
import pytest

from fuse import data, floors, protocol

pytestmark = pytest.mark.usefixtures("roots")


def joined():
    """The small corpus, joined."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    split = protocol.official(clips)
    return data.load(clips, fuse_kit.load_recipe(), split.train), split


def test_majority_is_the_share_in_training():
    """Every class gets its share of the training clips."""
    shares = floors.majority(*joined(), "sentiment")
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25])


def test_linear_floor_learns_and_knows_all_classes():
    """It predicts shares of every class of the task, zero for those that training never showed."""
    dataset, split = joined()
    shares = floors.linear(dataset, split, "emotion")(split.test)
    truth = dataset.labels["emotion"][list(split.test)].argmax(dim=1).numpy()
    assert shares.shape == (8, 7)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert not shares[:, 4:].any()
    assert (shares.argmax(axis=1) == truth).mean() > 0.8
