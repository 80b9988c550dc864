"""What a model says of clips: shares by the kind of a task, windows that vote, and sets where several may be."""

import dataclasses

import fuse_kit
import numpy as np
import pytest
import torch
from torch import nn

from features import Windows
from fuse import predict, protocol

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

DEV = list(range(24, 32))


class Reads(nn.Module):
    """A model whose logits are the mean audio features, as many as the task has classes, and half of them for a part.

    It counts how many clips it was shown at once.
    """

    def __init__(self, *tasks):
        super().__init__()
        self.tasks, self.shown = tasks, []

    def forward(self, batch):
        """Return logits by task, and by part."""
        assert not self.training
        self.shown.append(batch)
        read = batch.mean_of_steps("audio")
        widths = {task: batch.labels[task].shape[1] for task in self.tasks}
        logits = {task: read[:, :k] for task, k in widths.items()}
        return logits | {f"half/{task}": x / 2 for task, x in logits.items()}


def stored(clips, windows=1):
    """Write a cache whose audio of window j of clip i is drawn from i and j; return those numbers by clip."""
    fuse_kit.store(clips, windows=windows)
    drawn = {c.id: 3 * np.random.default_rng([*c.id.encode()]).standard_normal((windows, 1, 8)) for c in clips}
    drawn = {name: values.astype(np.float32) for name, values in drawn.items()}

    def make(clip):
        return Windows.join(list(drawn[clip.id]), fuse_kit.spans(windows), [1] * windows)

    fuse_kit.entry(clips, "said", make)
    return {name: values[:, 0] for name, values in drawn.items()}


def joined(clips, *settings):
    """Join the clips with what was stored."""
    return fuse_kit.joined(clips, "encoders.audio=said", *settings)


def soft(x):
    """Softmax by hand."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_shares_follow_from_the_kind_of_a_task():
    """Softmax where one class is meant, sigmoid where several may be, the number itself of a score; also of parts."""
    clips = fuse_kit.clips()
    drawn = stored(clips)
    tasks = ("emotion", "emotions", "sentiment_score")
    data = joined(clips, f"tasks={','.join(tasks)}")
    found = predict.shares(Reads(*tasks), data, DEV[::-1])
    x = np.concatenate([drawn[clips[i].id] for i in DEV[::-1]]).astype(np.float64)
    np.testing.assert_allclose(found["emotion"], soft(x[:, :7]), atol=1e-6)
    np.testing.assert_allclose(found["emotions"], 1 / (1 + np.exp(-x[:, :6])), atol=1e-6)
    np.testing.assert_allclose(found["sentiment_score"], x[:, :1], atol=1e-6)
    np.testing.assert_allclose(found["half/emotion"], soft(x[:, :7] / 2), atol=1e-6)
    assert all(rows.dtype == np.float64 for rows in found.values())


def test_rows_follow_the_clips_asked_for_in_any_portions(monkeypatch):
    """However many clips a model is shown at once, row i is what it says of clip i."""
    clips = fuse_kit.clips()
    stored(clips)
    data, order = joined(clips), [31, 2, 25, 17]
    whole = predict.shares(Reads("emotion"), data, order)
    monkeypatch.setattr(predict, "AT_ONCE", 3)
    model = Reads("emotion")
    portions = predict.shares(model, data, order)
    assert [len(batch) for batch in model.shown] == [3, 1]
    for name, rows in whole.items():
        np.testing.assert_allclose(portions[name], rows, atol=1e-6)


def test_clips_can_be_scored_without_a_modality():
    """The model is shown them as if they had never had it."""
    clips = fuse_kit.clips()
    stored(clips)
    model = Reads("emotion")
    found = predict.shares(model, joined(clips), DEV, ["audio"])
    (batch,) = model.shown
    assert not batch.present["audio"].any()
    assert batch.present["video"].all()
    np.testing.assert_allclose(found["emotion"], 1 / 7)


@pytest.mark.parametrize("windows", ["keep", "vote"])
def test_some_clips_can_lack_a_modality_and_others_not(windows):
    """Clips that are said to lack it answer as if they had never had it, in all their windows, and others as ever."""
    clips = fuse_kit.clips()
    stored(clips, windows=2)
    data = joined(clips, *(["data.windows=vote"] if windows == "vote" else []))
    lacks = torch.zeros(len(clips), dtype=torch.bool)
    lacks[DEV[::3]] = True
    found, whole = (
        predict.shares(Reads("emotion"), data, DEV[::-1], lacking=x)["emotion"] for x in ({"audio": lacks}, {})
    )
    rows = lacks[data.clip_of[data.examples(DEV[::-1])]].numpy()
    assert 0 < rows.sum() < len(rows)
    np.testing.assert_allclose(found[rows], 1 / 7)
    np.testing.assert_array_equal(found[~rows], whole[~rows])


class Heads(nn.Module):
    """A model whose heads read, for each clip, its mean audio features and twice these."""

    def __init__(self):
        super().__init__()
        self.weight, self.representation = nn.Parameter(torch.ones(())), nn.Identity()

    def forward(self, batch):
        """Return logits."""
        read = batch.mean_of_steps("audio") * self.weight
        return {"emotion": self.representation(torch.stack([read, 2 * read], dim=1))[:, 0, :7]}


def test_what_the_heads_read_is_one_vector_for_each_clip():
    """Axes beyond the clip's are laid one after another, windows that vote averaged, in the order of the clips."""
    clips = fuse_kit.clips()
    drawn = stored(clips, windows=3)
    expected = np.stack([np.tile(drawn[clips[i].id].mean(axis=0), 2) for i in DEV[::-1]])
    expected[:, 8:] *= 2
    for settings in ((), ("data.windows=vote",)):
        found = predict.vectors(Heads(), joined(clips, *settings), DEV[::-1])
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not predict.vectors(Heads(), joined(clips), DEV, ["audio"]).any()


def test_windows_vote():
    """The class that most windows of a clip say has the greatest share: that of its windows."""
    clips = fuse_kit.clips()
    drawn = stored(clips, windows=5)
    data = joined(clips, "data.windows=vote")
    dev = [26, 24]
    rows = predict.shares(Reads("emotion"), data, dev)["emotion"]
    assert rows.shape == (10, 7)
    said = predict.said(data, dev, "emotion", rows, 0.0)
    for row, i in enumerate(dev):
        votes = np.bincount(drawn[clips[i].id][:, :7].argmax(axis=1), minlength=7)
        np.testing.assert_allclose(said.shares[row], votes / 5)
    assert said.sets is None


def test_scores_and_shares_of_several_classes_are_averaged_over_windows():
    """A score does not vote; of several classes the sets do: what more than half of the windows show."""
    clips = fuse_kit.clips()
    drawn = stored(clips, windows=3)
    data = joined(clips, "data.windows=vote", "tasks=emotions,sentiment_score")
    rows = predict.shares(Reads("emotions", "sentiment_score"), data, DEV)
    score = predict.said(data, DEV, "sentiment_score", rows["sentiment_score"], 0.0)
    several = predict.said(data, DEV, "emotions", rows["emotions"], 0.6)
    assert score.sets is None
    for row, i in enumerate(DEV):
        shares = 1 / (1 + np.exp(-drawn[clips[i].id][:, :6].astype(np.float64)))
        np.testing.assert_allclose(score.shares[row], drawn[clips[i].id][:, :1].mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(several.shares[row], shares.mean(axis=0), atol=1e-6)
        np.testing.assert_array_equal(several.sets[row], (shares >= 0.6).sum(axis=0) >= 2)


def test_where_raters_saw_several_classes_there_are_sets():
    """A class task with one soft label is read as sets, neutral being none of them."""
    clips = list(fuse_kit.clips())
    clips[0] = dataclasses.replace(clips[0], labels={"emotion": (0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)})
    stored(clips)
    data = joined(clips, "tasks=emotion")
    rows = predict.shares(Reads("emotion"), data, DEV)["emotion"]
    said = predict.said(data, DEV, "emotion", rows, 0.3)
    np.testing.assert_array_equal(said.sets, (rows[:, 1:] >= 0.3) & (rows[:, :1] < 0.7))
    assert said.shares is rows


def test_the_threshold_is_the_best_on_dev_or_the_models_own(monkeypatch):
    """A model's own rule goes before; where one class is meant there is nothing to tune."""
    clips = fuse_kit.clips()
    stored(clips)
    data = joined(clips, "tasks=emotions,sentiment")
    truth = data.labels["emotions"][DEV].double().numpy()
    for bar in (0.2, 0.8):  # whatever is there has a share above it, and all else one below
        rows = np.where(truth > 0, bar + 0.03, bar - 0.03)
        found = predict.threshold(data, DEV, "emotions", rows, "concat")
        assert bar - 0.03 < found <= bar + 0.03
    assert predict.threshold(data, DEV, "sentiment", np.ones((8, 3)) / 3, "concat") == 0.0
    monkeypatch.setattr("fuse.models.concat.THRESHOLD", 0.4, raising=False)
    assert predict.threshold(data, DEV, "emotions", rows, "concat") == 0.4


def test_a_threshold_is_tuned_on_dev_clips_of_corpora_that_need_it():
    """Clips of other corpora and clips without the label have no say; without any, one half is taken."""
    clips = list(fuse_kit.clips() + fuse_kit.clips(corpus="other"))
    clips[24:32] = [dataclasses.replace(clip, labels={"sentiment": (1.0, 0.0, 0.0)}) for clip in clips[24:32]]
    stored(clips)
    data = joined(clips, "tasks=emotions,sentiment")
    assert predict.threshold(data, DEV, "emotions", np.ones((8, 6)), "concat") == 0.5
    dev = [*DEV, *range(64, 72)]
    assert protocol.official(clips).dev == tuple(dev)
    truth = data.labels["emotions"][dev].double().numpy()
    rows = np.where(truth > 0, 0.33, 0.27)
    rows[:8] = 0.9
    assert 0.27 < predict.threshold(data, dev, "emotions", rows, "concat") <= 0.33
