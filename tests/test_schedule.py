"""How fast is learnt, by hand and as torch has it."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fuse import schedule
from fuse.dials import Train


def rates(train, epochs, highest=1.0):
    """Return the learning rate of each epoch."""
    return [schedule.lr(train, highest, epoch, ()) for epoch in range(epochs)]


def torchs(make, epochs, highest=1.0, scores=None):
    """Return the learning rate of each epoch under one of torch's own schedules."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=highest)
    steps, found = make(optimiser), []
    for epoch in range(epochs):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        steps.step(*([scores[epoch]] if scores else []))
    return found


def test_the_cosine_falls_from_lr_to_min_lr():
    """Half a cosine over all epochs, as paper 000 has it."""
    train = Train(epochs=4, min_lr=0.2)
    half = 0.4 * (1 + math.cos(math.pi / 4))
    assert rates(train, 5) == pytest.approx([1.0, 0.2 + half, 0.6, 1.0 - half, 0.2])
    expected = torchs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 75, 1e-7), 75, 1e-5)
    assert rates(Train(epochs=75, min_lr=1e-7), 75, 1e-5) == pytest.approx(expected)


def test_a_cosine_never_rises():
    """Where parameters learn more slowly than `min_lr` already, they go on so."""
    assert rates(Train(epochs=4, min_lr=0.2), 4, highest=0.1) == [0.1] * 4


def test_restarts_double_each_time():
    """Ten epochs, then twenty, then forty, each from the top; within an epoch the rate falls, too."""
    train = Train(schedule="restarts", every=10, min_lr=0.0)
    assert [schedule.lr(train, 1.0, epoch, ()) for epoch in (0, 5, 10, 20, 30, 50)] == pytest.approx(
        [1.0, 0.5, 1.0, 0.5, 1.0, 0.5]
    )
    assert schedule.lr(train, 1.0, 2.5, ()) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert schedule.lr(train, 1.0, 9.99, ()) < 1e-4
    made = torchs(lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 10, 2, 1e-3), 80)
    assert rates(Train(schedule="restarts", every=10, min_lr=1e-3), 80) == pytest.approx(made)


def test_exponential_steps_and_constant():
    """Each epoch, every few epochs, or never."""
    assert rates(Train(schedule="exponential", factor=0.5), 4) == [1.0, 0.5, 0.25, 0.125]
    assert rates(Train(schedule="steps", factor=0.1, every=2), 5) == pytest.approx([1.0, 1.0, 0.1, 0.1, 0.01])
    assert rates(Train(schedule="constant", factor=0.1), 3) == [1.0] * 3


def test_a_plateau_is_left_more_slowly():
    """After more than `plateau` epochs without a rise of a thousandth the rate falls, and the count begins anew."""
    train = Train(schedule="plateau", factor=0.1, plateau=1)
    scores = [0.5, 0.5002, 0.5004, 0.6, 0.59, 0.58, 0.57, 0.56]
    found = [schedule.lr(train, 1.0, epoch, scores[:epoch]) for epoch in range(9)]
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=40), st.integers(0, 3))
def test_plateaus_are_those_of_torch(scores, patience):
    """Whatever the dev scores, as long as they are above zero."""

    def make(optimiser):
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, "max", 0.5, patience, 1e-3, eps=0)

    train = Train(schedule="plateau", plateau=patience)
    found = [schedule.lr(train, 1.0, epoch, scores[:epoch]) for epoch in range(len(scores))]
    assert found == pytest.approx(torchs(make, len(scores), scores=scores))


def test_scores_below_zero_have_plateaus_too():
    """A correlation may be negative; closer to zero is better there, by a thousandth of itself."""
    train = Train(schedule="plateau", plateau=0)
    for score, falls in ((-0.4, False), (-0.49999, True), (-0.6, True)):
        assert (schedule.lr(train, 1.0, 2, [-0.5, score]) < 1) == falls


class Two(nn.Module):
    """Two parts of a model."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))
        self.heads = nn.Linear(3, 1)


def named(model, group):
    """Return the names of the parameters of a group."""
    ids = {id(parameter) for parameter in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in ids}


def test_groups_learn_at_their_own_rates():
    """The longest prefix that fits decides, and every parameter is in one group."""
    model = Two()
    optimiser = schedule.optimiser(model, Train(lr=0.1, lr_of={"body": 0.01, "body.1": 0.001}))
    found = {group["highest"]: named(model, group) for group in optimiser.param_groups}
    assert found == {
        0.1: {"heads.weight", "heads.bias"},
        0.01: {"body.0.weight", "body.0.bias"},
        0.001: {"body.1.weight", "body.1.bias"},
    }


def test_what_is_frozen_is_in_no_group():
    """It needs no gradient, either; what the model froze itself stays frozen."""
    model = Two()
    model.body[0].bias.requires_grad = False
    (group,) = schedule.optimiser(model, Train(freeze=("body.1", "heads.bias"))).param_groups
    assert named(model, group) == {"body.0.weight", "heads.weight"}
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == named(model, group)


@pytest.mark.parametrize("dials", [{"freeze": ("haeds",)}, {"lr_of": {"haeds": 1.0}}])
def test_a_prefix_of_nothing_is_refused(dials):
    """A typo would silently train everything; the message says what there is."""
    with pytest.raises(ValueError, match=r"no parameter's name begins with 'haeds'; there are body, heads"):
        schedule.optimiser(Two(), Train(**dials))


def test_something_must_be_left_to_train():
    """Freezing all is a mistake."""
    with pytest.raises(ValueError, match=r"train\.freeze: nothing is left to be trained"):
        schedule.optimiser(Two(), Train(freeze=("body", "heads")))


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_optimiser_is_the_recipes(name, kind):
    """Its dials arrive."""
    made = schedule.optimiser(Two(), Train(optimiser=name, betas=(0.8, 0.9), eps=1e-5, weight_decay=0.3))
    assert type(made) is kind
    (group,) = made.param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.8, 0.9), 1e-5, 0.3)


@pytest.mark.parametrize("dials", [{"every": 0, "schedule": "restarts"}, {"betas": (0.9,)}])
def test_dials_that_training_would_choke_on_are_refused(dials):
    """A restart after no epoch would never come to an end, and an optimiser needs both of its betas."""
    with pytest.raises(ValueError, match=rf"train\.{next(iter(dials))}: expected"):
        schedule.optimiser(Two(), Train(**dials))
