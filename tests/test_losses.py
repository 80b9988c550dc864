"""The loss is torch's for targets that are shares, over the clips that have the label."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from fuse.losses import balanced_weights, soft_cross_entropy

WEIGHTS = torch.tensor([0.5, 2.0, 1.0])


@pytest.fixture
def clips():
    """Logits and soft targets of five clips."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator)
    return logits, torch.rand(5, 3, generator=generator).softmax(dim=1)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_all_known_is_torch(clips, weights):
    """With every label known it is torch's cross-entropy, weights or not."""
    known = torch.ones(5, dtype=torch.bool)
    torch.testing.assert_close(soft_cross_entropy(*clips, known, weights), cross_entropy(*clips, weight=weights))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_unknown_clips_are_as_good_as_gone(clips, weights):
    """A clip without the label changes neither the loss nor its own logits' gradient, and does not dilute the rest."""
    logits, targets = clips
    logits.requires_grad_()
    known = torch.tensor([True, False, True, True, False])
    loss = soft_cross_entropy(logits, targets * known[:, None], known, weights)
    torch.testing.assert_close(loss, cross_entropy(logits[known], targets[known], weight=weights))
    loss.backward()
    assert not logits.grad[~known].any()
    assert logits.grad[known].all()


def test_weights_scale_and_do_not_normalise(clips):
    """Doubling the weights doubles the loss: it is divided by clips and not by weights."""
    known = torch.ones(5, dtype=torch.bool)
    torch.testing.assert_close(
        soft_cross_entropy(*clips, known, 2 * WEIGHTS), 2 * soft_cross_entropy(*clips, known, WEIGHTS)
    )


def test_no_known_clip_is_zero(clips):
    """A batch without any label of the task adds nothing and has a gradient of zero."""
    logits, targets = clips
    logits.requires_grad_()
    loss = soft_cross_entropy(logits, torch.zeros_like(targets), torch.zeros(5, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_by_hand():
    """Equal logits over four classes cost log 4, whatever the target is."""
    loss = soft_cross_entropy(torch.zeros(2, 4), torch.eye(4)[:2], torch.ones(2, dtype=torch.bool))
    torch.testing.assert_close(loss, torch.tensor(4.0).log())


def test_balanced_weights_by_hand():
    """Twelve clips of three classes, 6, 4 and 2 of them, weigh 12/18, 12/12 and 12/6."""
    torch.testing.assert_close(balanced_weights(torch.tensor([6.0, 4.0, 2.0])), torch.tensor([2 / 3, 1.0, 2.0]))


def test_balanced_weights_take_soft_sums_and_empty_classes():
    """Soft counts are divided like whole ones; a class without examples weighs nothing, and nothing is infinite."""
    torch.testing.assert_close(balanced_weights(torch.tensor([0.5, 0.0, 1.5])), torch.tensor([4 / 3, 0.0, 4 / 9]))
    assert not balanced_weights(torch.zeros(3)).any()
    torch.testing.assert_close(balanced_weights(torch.tensor([1, 3])), torch.tensor([2.0, 2 / 3]))
