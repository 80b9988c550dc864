"""A training clip without one of two labels is given it by the nearest one that agrees in the other."""

import dataclasses
from pathlib import Path

import fuse_kit
import numpy as np
import pytest
import torch

import manifests
from features import Windows
from fuse import protocol
from fuse.models import concat
from fuse.strategies import Lesson, unified
from manifests import Manifest
from manifests.labels import TASKS

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

TASKS_OF = ("tasks=emotion,sentiment", "modalities=text")
STREAMED = "data.memory_gb=1e-7"


def without(clip, task):
    """Return a clip that lacks a label, and what it would follow from."""
    return dataclasses.replace(clip, labels={t: label for t, label in clip.labels.items() if not t.startswith(task)})


def placed(clips, places):
    """Cache for each clip a text of one step that points to a place on a circle, in degrees; a place may be absent."""

    def make(clip):
        angle = np.radians(places.get(clip.id, 200.0))
        step = np.array([[np.cos(angle), np.sin(angle)] + [0.0] * 6], np.float32)
        return Windows.join([step * len(clip.id)], [(0.0, 3.0)], [1])

    manifests.write(Manifest("demo", Path("nowhere"), tuple(clips)))
    fuse_kit.entry([clip for clip in clips if places.get(clip.id, 0.0) is not None], "minilm", make)


def strategy_of(data, config=None, tasks=("emotion", "sentiment")):
    """Return the strategy and its division for a small corpus."""
    recipe = fuse_kit.load_recipe()
    parts = ([i for i, clip in enumerate(data.clips) if clip.split == part] for part in ("train", "dev", "test"))
    split = protocol.Split(*map(tuple, parts))
    kinds = {task: len(TASKS[task].classes) for task in tasks}
    model = concat.Model(concat.Config(), data.shapes, kinds)
    return unified.Strategy(config or unified.Config(), Lesson(model, data, split, kinds, recipe.train))


PLACES = {f"train_{i}": 90.0 + 10 * i for i in range(12)}


def half_labelled():
    """Twelve training clips (neutral, happy, sad, anger in turn), of which 2 lacks its emotion and 5 its sentiment."""
    clips = list(fuse_kit.clips(train=12))
    clips[2], clips[5] = without(clips[2], "emotion"), without(clips[5], "sentiment")
    return tuple(clips)


@pytest.fixture
def lacking():
    """Those clips in their places.

    Clip 2 is negative: 3, 6, 7, 10 and 11 are, too. Its place is nearest to 5, which is positive, and then to 7.
    """
    clips = half_labelled()
    placed(clips, {**PLACES, "train_2": 10.0, "train_5": 12.0, "train_7": 17.0, "train_6": 40.0, "train_9": 30.0})
    return clips


@pytest.mark.parametrize("memory", [(), (STREAMED,)])
def test_the_nearest_that_agrees_gives_its_label(lacking, memory):
    """In memory and streamed: 2 becomes anger as 7 is, and 5 positive as 9 is; nobody else changes."""
    data = fuse_kit.joined(lacking, *TASKS_OF, *memory)
    assert (data.stored is None) == bool(memory)
    found = strategy_of(data).relabelled(data)
    assert found.labels["emotion"][2].tolist() == data.labels["emotion"][7].tolist()
    assert found.labels["sentiment"][5].tolist() == data.labels["sentiment"][9].tolist()
    for task, i in (("emotion", 2), ("sentiment", 5)):
        assert not data.known[task][i]
        assert found.known[task][i]
        others = [j for j in range(len(lacking)) if j != i]
        assert torch.equal(found.labels[task][others], data.labels[task][others])
        assert torch.equal(found.known[task][others], data.known[task][others])


def test_other_splits_neither_give_nor_take(lacking):
    """A dev clip at the very place, which agrees, is not asked, and a test clip without a label stays without."""
    clips = list(lacking)
    clips[-1] = without(clips[-1], "emotion")
    data = fuse_kit.joined(tuple(clips), *TASKS_OF)
    found = strategy_of(data).relabelled(data)
    changed = dataclasses.replace(data, labels={t: x.clone() for t, x in data.labels.items()})
    changed.labels["emotion"][12:] = changed.labels["emotion"][12:].roll(1, dims=1)
    other = strategy_of(changed).relabelled(changed)
    assert torch.equal(other.labels["emotion"][:12], found.labels["emotion"][:12])
    assert torch.equal(other.labels["emotion"][12:], changed.labels["emotion"][12:])
    assert torch.equal(found.known["emotion"][12:], data.known["emotion"][12:])
    assert not found.known["emotion"][-1]


def test_without_features_nothing_is_given():
    """A clip of which no features are there lies near nobody, and gives nobody its label."""
    clips = half_labelled()
    placed(clips, {**PLACES, "train_2": None, "train_9": None, "train_1": 100.0, "train_5": 300.0})
    data = fuse_kit.joined(clips, *TASKS_OF)
    found = strategy_of(data).relabelled(data)
    assert not found.known["emotion"][2]
    assert found.labels["sentiment"][5].tolist() == data.labels["sentiment"][1].tolist()


def test_without_text_all_modalities_say_what_is_near():
    """Where a recipe has no text, the features that it has decide."""
    clips = list(fuse_kit.clips(train=12))
    clips[2] = without(clips[2], "emotion")
    fuse_kit.store(clips)
    data = fuse_kit.joined(tuple(clips), "modalities=audio,video", "data.windows=vote")
    found = strategy_of(data).relabelled(data)
    assert TASKS["emotion"].classes[found.labels["emotion"][2].argmax()] == "sad"


def test_what_agrees():
    """Classes by the greatest share, scores by their sign, several classes by all of them."""
    shares = torch.tensor([[0.2, 0.8, 0.0], [0.0, 1.0, 0.0], [0.6, 0.4, 0.0]])
    assert unified.polarity("sentiment", shares).tolist() == [1, 1, 0]
    assert unified.polarity("sentiment_score", torch.tensor([[-0.2], [-3.0], [0.0], [2.0]])).tolist() == [-1, -1, 0, 1]
    there = torch.tensor([[0.0, 1, 0, 1, 0, 0], [0, 1, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0]])
    one, same, other = unified.polarity("emotions", there).tolist()
    assert one == same != other


def test_nearest_by_hand():
    """Direction counts, not length; who has nobody of its kind to ask is left out."""
    vectors = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [9, 1], [1, 1], [0, 1], [1, 0.1]]), dim=1)
    kinds, lacking = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([True, False, False, True, False])
    asking, giving = unified.nearest(vectors, kinds, lacking, torch.tensor([False, True, True, False, False]))
    assert asking.tolist() == [0]
    assert giving.tolist() == [1]


def test_a_run_is_trained_on_what_was_given(lacking, tmp_path):
    """The labels are there before the first epoch, and with them the class weights; dev is scored as ever."""
    settings = (*TASKS_OF, "unseen_classes=true")
    plain = fuse_kit.trained(lacking, tmp_path / "plain", *settings)
    found = fuse_kit.trained(lacking, tmp_path / "unified", *settings, "strategies.unified.tasks=emotion,sentiment")
    assert found.data.known["emotion"][:12].all()
    assert not plain.data.known["emotion"][:12].all()
    assert found.progress.history[0]["loss"] != plain.progress.history[0]["loss"]
    assert torch.equal(found.data.labels["emotion"][12:], plain.data.labels["emotion"][12:])


def test_nothing_to_do_is_refused():
    """Where every clip has both labels, or none has, the strategy says so."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    data = fuse_kit.joined(clips)
    with pytest.raises(ValueError, match="every training clip has both emotion and sentiment"):
        strategy_of(data).relabelled(data)
    halves = tuple(without(clip, "emotion" if i % 2 else "sentiment") for i, clip in enumerate(clips))
    data = fuse_kit.joined(halves)
    with pytest.raises(ValueError, match="no training clip has both emotion and sentiment"):
        strategy_of(data).relabelled(data)


@pytest.mark.parametrize(
    ("tasks", "said", "word"),
    [
        (("emotion",), (), "expected two tasks, got emotion"),
        (("emotion", "sentiment"), ("emotion", "emotion"), "expected two tasks"),
        (("emotion", "sentiment"), ("emotion", "sentimnt"), "sentimnt"),
    ],
)
def test_other_than_two_tasks_are_refused(tasks, said, word):
    """One task, one twice, and one that is not there are said so."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    data = fuse_kit.joined(clips)
    config = unified.Config(tasks=said)
    with pytest.raises(ValueError, match=word):
        strategy_of(data, config, tasks)
