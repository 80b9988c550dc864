"""First the group, then the class: the losses by hand, and answers of one group alone."""

import dataclasses

import fuse_kit
import numpy as np
import pytest
import torch

from fuse import losses, predict, protocol
from fuse.dials import Train
from fuse.models import concat
from fuse.strategies import Lesson, two_stage
from manifests.labels import TASKS

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

KINDS = {"emotion": 7, "sentiment": 3}
PLAIN = Train(class_weights="none")
GROUPS = "neutral|happy+surprise|sad+anger+disgust+fear"


@pytest.fixture
def data():
    """The small corpus with its cache."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    return fuse_kit.joined(clips)


def strategy_of(data, config=None, train=PLAIN, model=None):
    """Return the strategy for the small corpus."""
    (split,) = protocol.splits(data.clips, fuse_kit.load_recipe())
    model = model or concat.Model(concat.Config(), data.shapes, KINDS)
    return two_stage.Strategy(config or two_stage.Config(), Lesson(model, data, split, KINDS, train))


def batch_of(data, task, targets):
    """Return a batch whose clips have these labels of a task."""
    batch = data.batch(torch.arange(len(targets)))
    known = torch.ones(len(targets), dtype=torch.bool)
    return dataclasses.replace(batch, labels={task: targets}, known={task: known})


def test_both_losses_by_hand(data):
    """Neutral or not from summed shares, then the class among its own group; a share of each where labels are soft."""
    logits = torch.tensor([[1.0, 2.0, 0.0], [0.5, -1.0, 3.0]])
    strategy = strategy_of(data, two_stage.Config(task="sentiment", within=0.25))
    first = [[0.0, 1.0, 0.0], [0.5, 0.2, 0.3]]
    found = strategy.task_loss("sentiment", logits, batch_of(data, "sentiment", torch.tensor(first)))
    negative, neutral, positive = logits.softmax(dim=1).unbind(dim=1)
    rest = negative + positive
    group = -torch.stack([neutral[0].log(), 0.2 * neutral[1].log() + 0.8 * rest[1].log()])
    within = -(0.5 * (negative / rest)[1].log() + 0.3 * (positive / rest)[1].log())
    torch.testing.assert_close(found, group + 0.25 * torch.stack([torch.zeros(()), within]))


@pytest.mark.parametrize("smooth", [False, True])
def test_without_weights_it_is_cross_entropy(data, smooth):
    """What is true of shares: the group's log-share and the class's within it sum to the class's, hard or soft."""
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(6, 7, generator=generator), torch.eye(7)[:6]
    if smooth:
        targets = torch.rand(6, 7, generator=generator).softmax(dim=1)
    found = strategy_of(data, two_stage.Config(groups=GROUPS)).task_loss(
        "emotion", logits, batch_of(data, "emotion", targets)
    )
    torch.testing.assert_close(found, losses.losses("class", logits, targets))


def test_each_stage_has_weights_of_its_own(data):
    """24 clips, 6 of each of four classes: groups of 6 and 18 weigh 2 and 2/3, the others' three weigh 1 of six."""
    strategy = strategy_of(data, train=Train())
    torch.testing.assert_close(strategy.of_groups, torch.tensor([24 / 12, 24 / 36]))
    expected = torch.tensor([1.0, 18 / 36, 18 / 36, 18 / 36, 0, 0, 0])
    torch.testing.assert_close(strategy.of_classes, expected)
    logits = torch.randn(2, 7, generator=torch.Generator().manual_seed(0))
    shares = logits.softmax(dim=1)
    found = strategy.task_loss("emotion", logits, batch_of(data, "emotion", torch.eye(7)[:2]))
    rest = 1 - shares[1, 0]
    happy = -2 / 3 * rest.log() - 0.5 * (shares[1, 1] / rest).log()
    torch.testing.assert_close(found, torch.stack([-2 * shares[0, 0].log(), happy]))


def test_smoothing_and_focus_reach_both_stages(data):
    """Each stage is the loss of the recipe over its own few classes."""
    dials = Train(class_weights="none", label_smoothing=0.2, focus=2.0)
    strategy = strategy_of(data, two_stage.Config(task="sentiment"), dials)
    logits, targets = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    groups = torch.stack([logits[:, 1], logits[:, [0, 2]].logsumexp(dim=1)], dim=1)
    stages = [(groups, torch.tensor([[0.0, 1.0]])), (logits[:, [0, 2]], torch.tensor([[1.0, 0.0]]))]
    expected = sum(losses.losses("class", *stage, smoothing=0.2, focus=2.0) for stage in stages)
    found = strategy.task_loss("sentiment", logits, batch_of(data, "sentiment", targets))
    torch.testing.assert_close(found, expected)


def test_other_tasks_keep_their_loss(data):
    """What the strategy is not about, it says nothing of."""
    assert strategy_of(data).task_loss("sentiment", torch.zeros(1, 3), data.batch(torch.arange(1))) is None


def test_the_group_is_decided_first(data):
    """Two classes that are likely together win over one that is likelier than each; others have no share left."""
    strategy = strategy_of(data, two_stage.Config(task="sentiment", groups="neutral|negative+positive"))
    logits = torch.tensor([[1.0, 1.2, 0.9], [1.0, 3.0, 0.9]])
    shares = strategy.decided(logits).softmax(dim=1)
    assert shares.argmax(dim=1).tolist() == [0, 1]
    assert shares[0, 1] == 0
    torch.testing.assert_close(shares[0, [0, 2]], logits[0, [0, 2]].softmax(dim=0))
    assert shares[1].tolist() == [0, 1, 0]


def test_answers_in_training_are_untouched(data):
    """The model decides in two stages only where it is asked, and only about its task; parts do as the whole does."""

    class Said(torch.nn.Module):
        def forward(self, batch):
            assert len(batch) == 1
            logits = torch.tensor([[0.5, 2.0, 1.9, 1.8, 1.7, 1.6, 1.5]])
            return {"emotion": logits, "text/emotion": logits, "sentiment": logits[:, :3]}

    model = Said()
    strategy = strategy_of(data, model=model)
    batch = data.batch(torch.arange(1))
    plain, decided = model.train()(batch), model.eval()(batch)
    assert plain["emotion"].min() == 0.5
    assert decided["emotion"].min() < -1000
    assert torch.equal(decided["emotion"], strategy.decided(plain["emotion"]))
    assert torch.equal(decided["text/emotion"], decided["emotion"])
    assert torch.equal(decided["sentiment"], plain["sentiment"])


def test_a_run_is_scored_in_two_stages(tmp_path):
    """What is said of dev clips has shares within one group alone."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    seed = fuse_kit.trained(clips, tmp_path, f"strategies.two_stage.groups={GROUPS}")
    shares = predict.shares(seed.best(), seed.data, seed.split.dev)["emotion"]
    groups = np.stack([shares[:, members].sum(axis=1) for members in two_stage.groups_of(GROUPS, classes())], axis=1)
    assert ((groups > 0).sum(axis=1) == 1).all()


def classes():
    """Return the seven emotions."""
    return TASKS["emotion"].classes


def test_groups_are_read():
    """The default is neutral and the rest; a recipe's own may come in any order."""
    assert two_stage.groups_of("", classes()) == [[0], [1, 2, 3, 4, 5, 6]]
    assert two_stage.groups_of("fear+sad|neutral|happy+surprise+anger+disgust", classes()) == [
        [6, 2],
        [0],
        [1, 4, 3, 5],
    ]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("neutral|hapy", "hapy"),
        ("neutral|happy", "each of neutral"),
        (f"{GROUPS}+neutral", "each of neutral"),
        ("neutral+happy+sad+anger+surprise+disgust+fear", "each of neutral"),
    ],
)
def test_wrong_groups_are_refused(said, word):
    """A class that is unknown, left out or named twice, and one group alone, are said so."""
    with pytest.raises(ValueError, match=word):
        two_stage.groups_of(said, classes())


def test_without_neutral_groups_must_be_named():
    """There is no default for classes without neutral."""
    with pytest.raises(ValueError, match="expected groups of negative, positive"):
        two_stage.groups_of("", TASKS["sentiment2"].classes)


def test_a_task_of_no_classes_is_refused(data):
    """Several classes at once have no stages, and a task that is not there is answered with the nearest."""
    (split,) = protocol.splits(data.clips, fuse_kit.load_recipe())
    lesson = Lesson(concat.Model(concat.Config(), data.shapes, KINDS), data, split, {"emotions": 6}, PLAIN)
    with pytest.raises(ValueError, match="expected a task of single classes, got emotions"):
        two_stage.Strategy(two_stage.Config(), lesson)
    misspelt = two_stage.Config(task="emotoin")
    with pytest.raises(ValueError, match="emotoin"):
        strategy_of(data, misspelt)
