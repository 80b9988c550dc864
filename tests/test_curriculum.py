"""Conversations come from the easiest on, and how hard one is follows from the shifts of its emotions."""

import dataclasses
import math

import fuse_kit
import pytest
import torch

from fuse import protocol
from fuse.models import turns
from fuse.strategies import Lesson, curriculum
from manifests import labels
from manifests.labels import TASKS

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

# Three emotions, of which the first two are alike by one half and the third is like none.
ALIKE = ((1.0, 0.5, 0.0), (0.5, 1.0, 0.0), (0.0, 0.0, 1.0))
DIALS = curriculum.Config(between=0.5, shift=0.4)


def lesson_of(clips, tasks=("emotion",), epochs=8):
    """Return a lesson of these clips under the official division."""
    recipe = fuse_kit.load_recipe("turns", f"tasks={','.join(tasks)}", f"train.epochs={epochs}")
    data = fuse_kit.joined(clips, f"tasks={','.join(tasks)}")
    parts = ([i for i, clip in enumerate(clips) if clip.split == part] for part in ("train", "dev", "test"))
    split = protocol.Split(*map(tuple, parts))
    kinds = {task: len(TASKS[task].classes) for task in tasks}
    return Lesson(turns.Model(turns.Config(), data.shapes, kinds), data, split, kinds, recipe.train)


def said(words):
    """Return training clips in dialogues whose turns have these emotions, two speakers in turn, and other splits."""
    made = list(fuse_kit.clips(train=4 * len(words)))
    for i, word in enumerate(word for dialogue in words for word in dialogue):
        told = {**made[i].labels, "emotion": labels.emotion(word)}
        made[i] = dataclasses.replace(made[i], labels=told, speaker_id=f"{i // 4} {i % 2}")
    fuse_kit.store(made)
    return tuple(made)


@pytest.mark.parametrize(
    ("speakers", "emotions", "expected"),
    [
        ([7, 7, 7], [0, 0, 0], (0 + 1) / (3 + 1)),
        ([7, 7, 7], [0, 1, 2], (0.9 + 0.4 + 1) / (3 + 1)),
        # The first speaker shifts from 0 to 2 and the second not at all; all three shifts from turn to turn are 0 to 1,
        # 1 to 2 and 2 to 1.
        ([7, 8, 7, 8], [0, 1, 2, 1], (0.4 + 0.5 * (0.9 + 0.4 + 0.4) + 2) / (4 + 2)),
        ([7, 7, 7], [0, -1, 2], (0 + 1) / (3 + 1)),
        ([7], [0], (0 + 1) / (1 + 1)),
    ],
)
def test_difficulty_by_hand(speakers, emotions, expected):
    """Shifts of a speaker, half of those between speakers, and speakers, for each turn and speaker."""
    assert curriculum.difficulty(speakers, emotions, ALIKE, DIALS) == pytest.approx(expected)


def test_likeness_by_hand():
    """Cosines on the wheel; opposite pleasantness is not alike at all, and neutral is a part of all classes."""
    assert curriculum.likeness("happy", "excited", 6) == pytest.approx(math.cos(math.radians(36)))
    assert curriculum.likeness("anger", "surprise", 7) == 0
    assert curriculum.likeness("sad", "anger", 7) == 0
    assert curriculum.likeness("fear", "neutral", 7) == curriculum.likeness("neutral", "fear", 7) == 1 / 7


def test_every_emotion_has_a_place():
    """No class of the vocabularies of emotions is missing on the wheel."""
    for task in ("emotion", "emotion4", "emotion6", "emotion8"):
        assert {"neutral", *curriculum.DEGREES} >= set(TASKS[task].classes)


def test_easy_conversations_come_first():
    """The steady one is there from the beginning, the restless one at the end, and each in the order drawn."""
    restless, steady = ["happy", "surprise", "anger", "disgust"], ["happy"] * 4
    lesson = lesson_of(said([restless, steady, ["happy", "happy", "sad", "sad"]]))
    strategy = curriculum.Strategy(curriculum.Config(buckets=3, every=2), lesson)
    drawn = torch.tensor([5, 0, 9, 4, 3, 11, 7, 1, 8, 2, 10, 6])
    kept = [strategy.order(drawn, epoch).tolist() for epoch in (1, 2, 3, 4, 5, 8)]
    assert kept[0] == kept[1] == [5, 4, 7, 6]
    assert kept[2] == kept[3] == [5, 9, 4, 11, 7, 8, 10, 6]
    assert kept[4] == kept[5] == drawn.tolist()


def test_a_clip_alone_is_easy():
    """What is in no conversation is there from the beginning."""
    made = said([["happy", "anger", "sad", "fear"], ["happy"] * 4, ["happy", "sad", "happy", "sad"]])
    alone = tuple(
        dataclasses.replace(clip, dialogue_id=None, utt_index=None) if clip.id in ("train_0", "train_1") else clip
        for clip in made
    )
    strategy = curriculum.Strategy(curriculum.Config(buckets=3), lesson_of(alone))
    assert {0, 1, 4, 5, 6, 7} == set(strategy.order(torch.arange(12), 1).tolist())


def test_labels_of_other_splits_do_not_matter():
    """Only training clips say how hard a conversation is."""
    lesson = lesson_of(said([["happy", "anger", "sad", "fear"], ["happy"] * 4, ["happy", "sad", "happy", "sad"]]))
    rest = [*lesson.split.dev, *lesson.split.test]
    other = {"emotion": lesson.data.labels["emotion"].clone()}
    other["emotion"][rest] = other["emotion"][rest].roll(1, dims=1)
    changed = dataclasses.replace(lesson, data=dataclasses.replace(lesson.data, labels=other))
    dials, drawn = curriculum.Config(buckets=3), torch.arange(12)
    for epoch in (1, 2, 3):
        kept = [curriculum.Strategy(dials, one).order(drawn, epoch) for one in (lesson, changed)]
        assert torch.equal(*kept)


def test_more_buckets_than_conversations():
    """There are no empty buckets: each conversation is one."""
    lesson = lesson_of(said([["happy"] * 4, ["sad", "anger", "fear", "sad"]]))
    strategy = curriculum.Strategy(curriculum.Config(buckets=5), lesson)
    assert [len(strategy.order(torch.arange(8), epoch)) for epoch in (1, 2, 3)] == [4, 8, 8]


@pytest.mark.parametrize("tasks", [("sentiment",), ("emotions", "sentiment_score")])
def test_other_tasks_are_refused(tasks):
    """Without a task of single emotions there is no difficulty, and that is said."""
    with pytest.raises(ValueError, match="one emotion a clip"):
        curriculum.Strategy(curriculum.Config(), lesson_of(said([["happy"] * 4]), tasks))


def test_emotions_that_come_together_are_refused():
    """A corpus whose clips show several emotions at once has no shift from one to the next."""
    made = said([["happy"] * 4, ["sad"] * 4])
    soft = (0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)
    made = tuple(dataclasses.replace(clip, labels={"emotion": soft}, label_kind="mean rating") for clip in made)
    with pytest.raises(ValueError, match="one emotion a clip"):
        curriculum.Strategy(curriculum.Config(), lesson_of(made))


def test_no_conversation_is_refused():
    """Where every clip stands alone a curriculum would do nothing."""
    made = tuple(dataclasses.replace(clip, dialogue_id=None, utt_index=None) for clip in said([["happy"] * 4]))
    with pytest.raises(ValueError, match="no training clip is in a conversation"):
        curriculum.Strategy(curriculum.Config(), lesson_of(made))


def test_buckets_that_never_come_in_are_refused():
    """Epochs that end before the last bucket would leave clips out for good."""
    lesson = lesson_of(said([["happy"] * 4]), epochs=6)
    curriculum.Strategy(curriculum.Config(buckets=3, every=2), lesson)
    late = curriculum.Config(buckets=4, every=2)
    with pytest.raises(ValueError, match="fewer buckets or more epochs"):
        curriculum.Strategy(late, lesson)
    with pytest.raises(ValueError, match="at least one bucket"):
        curriculum.Config(buckets=0)


def test_a_run_sees_one_dialogue_more_each_epoch(tmp_path):
    """Four dialogues and four buckets: the epochs go through 4, 8, 12 and 16 clips, and dev is scored whole."""
    words = [["happy"] * 4, ["sad", "anger", "neutral", "sad"], ["happy", "happy", "sad", "sad"], ["neutral"] * 4]
    seed = fuse_kit.seed_of(said(words), tmp_path, "tasks=emotion", "strategies.curriculum.every=1")
    read, batches = [], seed.data.batches

    def counted(order, size):
        read.append(len(order))
        return batches(order, size)

    object.__setattr__(seed.data, "batches", counted)
    list(seed.epochs())
    assert read == [4, 8, 8, 8, 12, 8, 16, 8]
