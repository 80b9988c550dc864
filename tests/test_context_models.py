"""Every fusion model that looks at conversations keeps to what it may hear of them."""

import dataclasses

import pytest
import torch
from model_kit import TASKS, clips_of, loss_of, right, shapes_of

from fuse import models

pytestmark = pytest.mark.usefixtures("one_thread")

IN_ORDER = [1, 4, 2, 6, 0]
"""The clips of the long conversation, by turn."""


@pytest.fixture(
    scope="module", params=[name for name in models.names() if hasattr(models.module(name).Config(), "context")]
)
def module(request):
    """Give one file after the other of those whose settings say which turns are heard."""
    return models.module(request.param)


def in_context(module, context):
    """Return the model for one use of its conversations."""
    torch.manual_seed(0)
    config = dataclasses.replace(module.Config(), context=context)
    return module.Model(config, shapes_of(module), TASKS).eval()


def conversations(module):
    """Give the eight clips as one conversation of five turns, one of two, and a clip that stands alone."""
    batch = clips_of(module)
    return dataclasses.replace(
        batch,
        dialogue=torch.tensor([4, 4, 4, 7, 4, 7, 4, -1]),
        turn=torch.tensor([6, 0, 2, 1, 1, 0, 3, 0]),  # mixed on purpose, and with a gap
        speaker=torch.tensor([1, 2, 1, 5, -1, 5, 2, 1]),
    )


def heard(model, batch):
    """Return (turns, turns) bool: whether another input of a column's turn changes what is said of a row's."""
    before, found = model(batch), []
    for changed in IN_ORDER:
        values = {m: x.clone() for m, x in batch.values.items()}
        for x in values.values():
            x[changed] = -x[changed] + 1
        after = model(dataclasses.replace(batch, values=values))
        moved = torch.stack([(after[task] - before[task]).abs().amax(dim=1) for task in TASKS]).amax(dim=0)
        assert moved[[3, 5, 7]].max() == 0, "another conversation was heard"
        found.append(moved[IN_ORDER] > 1e-6)
    return torch.stack(found, dim=1)


@torch.no_grad()
def test_a_causal_model_hears_no_turn_that_is_still_to_come(module):
    """With the past alone as context, a turn changes what is said of itself and of later turns, of none before it."""
    found = heard(in_context(module, "past"), conversations(module))
    assert not found.triu(1).any()
    assert found.diagonal().all()
    assert found.tril(-1).any()


@torch.no_grad()
def test_without_context_a_turn_is_heard_alone(module):
    """Without context, each turn changes what is said of itself and of nothing else."""
    assert torch.equal(heard(in_context(module, "none"), conversations(module)), torch.eye(5, dtype=torch.bool))


@torch.no_grad()
def test_with_both_sides_turns_to_come_are_heard_too(module):
    """The causal test's own control: with both sides as context, turns before and after change what is said."""
    found = heard(in_context(module, "both"), conversations(module))
    assert found.diagonal().all()
    assert found.triu(1).any()
    assert found.tril(-1).any()


def test_four_conversations_are_learnt_by_heart(module):
    """Eight turns in four conversations of two are all right after at most 200 steps, whichever turns may be heard."""
    batch = dataclasses.replace(
        clips_of(module), dialogue=torch.arange(8) // 2, turn=torch.arange(8) % 2, speaker=torch.arange(8) % 3
    )
    for context in ("both", "past"):
        model = in_context(module, context)
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(200):
            optimiser.zero_grad()
            loss_of(model.train()(batch), batch).backward()
            optimiser.step()
            with torch.no_grad():
                if right(model.eval()(batch), batch):
                    break
        else:
            pytest.fail(f"context {context}: not all eight turns are right")
