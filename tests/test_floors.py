"""The lines that a fusion model has to beat."""

import dataclasses

import fuse_kit
import numpy as np
import pytest

from fuse import floors, protocol

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

SCORED = ("dev", "test")


def prepared(*settings, clips=None, **kept):
    """The small corpus, joined, and its split."""
    clips = clips or fuse_kit.clips(train=80)
    fuse_kit.store(clips, **kept)
    return fuse_kit.joined(clips, *settings), protocol.official(clips)


def truth_of(data, index, task):
    """Return the labels of some clips."""
    return data.labels[task][list(index)].numpy()


def test_majority_is_the_share_in_training():
    """Every class gets its share of the training clips, every clip the same."""
    said = floors.majority(*prepared(), "sentiment")
    np.testing.assert_allclose(said.shares, [[0.5, 0.25, 0.25]])
    assert said.sets is None


def test_majority_knows_only_training_clips_with_the_label():
    """What dev and test are, and clips without a label, do not move it."""
    clips = list(fuse_kit.clips())
    for i, clip in enumerate(clips):  # no training clip is known to be positive, and all others are
        told = {"emotion": clip.labels["emotion"], **({"sentiment": (0.0, 0.0, 1.0)} if i >= 24 else {})}
        clips[i] = dataclasses.replace(clip, labels=told) if i % 4 == 1 or i >= 24 else clip
    said = floors.majority(*prepared(clips=clips), "sentiment")
    np.testing.assert_allclose(said.shares, [[2 / 3, 1 / 3, 0]])


def test_majority_of_sets_and_scores():
    """A class is there if more than half of the training clips have it; a score is the mean."""
    clips = [
        dataclasses.replace(clip, labels={**clip.labels, "emotions": (float(i % 4 > 0), float(i % 4 > 2), 0, 0, 0, 0)})
        for i, clip in enumerate(fuse_kit.clips())
    ]
    data, split = prepared("tasks=emotions,sentiment_score", clips=clips)
    several = floors.majority(data, split, "emotions")
    np.testing.assert_allclose(several.shares, [[0.75, 0.25, 0, 0, 0, 0]])
    assert several.sets.tolist() == [[True, False, False, False, False, False]]
    score = floors.majority(data, split, "sentiment_score")
    np.testing.assert_allclose(score.shares, [[(1.6 - 0.8 - 2.2) / 4]], atol=1e-6)
    assert score.sets is None


@pytest.mark.parametrize("settings", [(), ("data.windows=vote",), ("data.windows=all",), ("data.memory_gb=4e-6",)])
def test_linear_floor_learns_and_knows_all_classes(settings):
    """It predicts shares of every class of the task, zero for those that training never showed."""
    data, split = prepared(*settings)
    found = floors.linear(data, split, SCORED)["linear floor"]
    for part in SCORED:
        shares = found[part]["emotion"].shares
        assert shares.shape == (8, 7)
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
        assert not shares[:, 4:].any()
        right = shares.argmax(axis=1) == truth_of(data, split.parts()[part], "emotion").argmax(axis=1)
        assert right.mean() > 0.8


def test_each_modality_has_a_floor_of_its_own():
    """What one modality knows alone is measured beside what all know; with one there is one line."""
    data, split = prepared()
    found = floors.linear(data, split, ("test",))
    assert list(found) == ["linear floor", *(f"linear, {m} alone" for m in ("audio", "video", "text"))]
    truth = truth_of(data, split.test, "emotion").argmax(axis=1)
    right = {name: (one["test"]["emotion"].shares.argmax(axis=1) == truth).mean() for name, one in found.items()}
    assert right["linear floor"] > 0.8
    assert all(right[name] < 0.8 for name in right if name != "linear floor")  # each knows half of the label
    data, split = prepared("modalities=text")
    assert list(floors.linear(data, split, ("test",))) == ["linear floor"]


@pytest.mark.parametrize("task", ["emotions", "sentiment_score"])
def test_linear_floor_of_sets_and_scores(task):
    """It says sets where several may be, and scores where there are scores; classes that nobody shows are no error."""
    data, split = prepared(f"tasks={task}")
    said = floors.linear(data, split, ("test",))["linear floor"]["test"][task]
    truth = truth_of(data, split.test, task)
    if task == "emotions":
        assert said.shares.shape == (8, 6)
        assert (said.sets == (truth > 0)).mean() > 0.9
        assert not said.sets[:, 3:].any()
    else:
        assert np.corrcoef(said.shares[:, 0], truth[:, 0])[0, 1] > 0.7


def test_linear_floor_learns_from_clips_that_have_the_label():
    """A clip without it, or without a modality, is no stumbling block; both are scored all the same."""
    clips = [
        dataclasses.replace(clip, labels={"sentiment": clip.labels["sentiment"]}) if i % 5 == 0 else clip
        for i, clip in enumerate(fuse_kit.clips())
    ]
    data, split = prepared(clips=clips, missing=lambda modality, clip: modality == "video" and clip.id[-1] == "3")
    found = floors.linear(data, split, SCORED)["linear floor"]
    assert found["test"]["emotion"].shares.shape == (8, 7)
    assert np.isfinite(found["dev"]["sentiment"].shares).all()


def test_linear_floor_averages_over_real_steps_of_all_windows():
    """However windows are handed over, a clip's features are their mean."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, windows=3)
    fuse_kit.ragged(clips)
    settings = ("encoders.text=ragged",)
    means = [floors._means(fuse_kit.joined(clips, *settings, f"data.windows={one}")) for one in ("mean", "all", "vote")]
    for other in means[1:]:
        for modality, rows in means[0].items():
            np.testing.assert_allclose(other[modality], rows, atol=1e-6)
