"""Each kind of task has torch's own loss, over the clips that have the label."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from fuse import metrics
from fuse.losses import (
    ANCHOR,
    averaged,
    class_weights,
    concordance,
    inter_class_contrast,
    losses,
    ranklist,
    soft_cross_entropy,
    supervised_contrast,
)

WEIGHTS = torch.tensor([0.5, 2.0, 1.0])
KINDS = ("class", "multi", "score")


@pytest.fixture
def clips():
    """Logits and soft targets of five clips."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator)
    return logits, torch.rand(5, 3, generator=generator).softmax(dim=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.03])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_class_task_is_torchs_cross_entropy(clips, weights, smoothing):
    """Each clip's loss is torch's for targets that are shares, with weights and smoothing or without."""
    expected = cross_entropy(*clips, weights, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(losses("class", *clips, weights=weights, smoothing=smoothing), expected)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_multi_task_is_torchs_binary_cross_entropy(clips, weights):
    """Each clip's loss is the mean over classes, each counting what its weight says, there or not."""
    logits, targets = clips[0], clips[1].round()
    expected = binary_cross_entropy_with_logits(logits, targets, weights, reduction="none").mean(dim=1)
    torch.testing.assert_close(losses("multi", logits, targets, weights=weights), expected)


def test_smoothing_a_multi_task_moves_targets_to_one_half(clips):
    """There becomes 0.95 and not there 0.05."""
    logits, targets = clips[0], clips[1].round()
    smooth = torch.where(targets > 0, 0.95, 0.05)
    torch.testing.assert_close(losses("multi", logits, targets, smoothing=0.1), losses("multi", logits, smooth))


@pytest.mark.parametrize("focus", [1.0, 2.0])
def test_focus_takes_from_what_is_learnt(focus):
    """By its formula: what is true counts by what the model does not give it yet; zero is plain cross-entropy."""
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], dtype=torch.double)
    targets, shares = torch.eye(3, dtype=torch.double)[:2], logits.softmax(dim=1)
    given = shares[[0, 1], [0, 1]]
    torch.testing.assert_close(losses("class", logits, targets, focus=focus), -((1 - given) ** focus) * given.log())
    given = torch.where(targets > 0, logits.sigmoid(), 1 - logits.sigmoid())
    expected = (-((1 - given) ** focus) * given.log()).mean(dim=1)
    torch.testing.assert_close(losses("multi", logits, targets, focus=focus), expected)
    for kind in ("class", "multi"):
        torch.testing.assert_close(losses(kind, logits, targets, focus=1e-9), losses(kind, logits, targets))


def test_focus_bears_certainty():
    """A clip that is wholly right or wholly wrong has a finite loss and finite gradients."""
    for kind in ("class", "multi"):
        logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
        losses(kind, logits, torch.tensor([[1.0, 0.0], [1.0, 0.0]]), focus=2.0).sum().backward()
        assert torch.isfinite(logits.grad).all()


def test_concordance_is_that_of_the_metric():
    """It is 1 minus what the report shows, over the clips that have the label, and a lone clip teaches nothing."""
    said, true = torch.tensor([[1.0], [2.5], [2.0], [9.0]], requires_grad=True), torch.tensor([[1.0], [2], [3], [0]])
    known = torch.tensor([True, True, True, False])
    expected = 1 - metrics.dimension(true[:3, 0].numpy(), said[:3, 0].detach().numpy())["ccc"]
    loss = concordance(said, true, known)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    loss.backward()
    assert said.grad[3] == 0
    assert said.grad[:3].abs().sum() > 0
    alone = concordance(said, true, torch.tensor([False, True, False, False]))
    assert alone.item() == 0
    same = torch.full((3, 1), 2.0, requires_grad=True)
    concordance(same, torch.full((3, 1), 2.0), torch.ones(3, dtype=torch.bool)).backward()
    assert torch.isfinite(same.grad).all()


def test_ranklist_by_hand():
    """Ranks 0, 0, 1 and 2: three pairs one rank apart and two that are two apart; a clip without the label is none."""
    true = torch.tensor([[2.0], [-1.0], [-1.0], [0.5], [9.0]])
    said = torch.tensor([[0.3], [0.1], [-0.4], [0.9], [-7.0]], requires_grad=True)
    one = math.log(1 + math.exp(0.1 - 0.9) + math.exp(-0.4 - 0.9) + math.exp(0.9 - 0.3))
    two = math.log(1 + math.exp(0.1 - 0.3) + math.exp(-0.4 - 0.3))
    distance = (1.7 + 1.1 + 0.6 + 0.4) / 4
    loss = ranklist(said, true, torch.tensor([True, True, True, True, False]))
    assert loss.item() == pytest.approx((one + two) / 2 + ANCHOR * distance, abs=1e-6)
    loss.backward()
    assert said.grad[4] == 0
    assert said.grad[:4].all()


def test_two_clips_are_ranknet():
    """One pair costs log(1 + exp(b - a)), whatever their targets are beside their order."""
    said, known = torch.tensor([[1.0], [3.0]]), torch.ones(2, dtype=torch.bool)
    for true in ([[5.0], [4.0]], [[0.1], [-8.0]]):
        order = ranklist(said, torch.tensor(true), known) - ANCHOR * (said - torch.tensor(true)).abs().mean()
        assert order.item() == pytest.approx(math.log(1 + math.exp(2.0)), abs=1e-6)


def test_ranklist_knows_no_order_of_clips():
    """Neither a batch's order nor which of equal targets comes first changes it."""
    generator = torch.Generator().manual_seed(0)
    said, true = torch.randn(12, 1, generator=generator), torch.arange(12.0)[:, None] // 3
    known = torch.ones(12, dtype=torch.bool)
    mixed = torch.randperm(12, generator=generator)
    torch.testing.assert_close(ranklist(said[mixed], true[mixed], known), ranklist(said, true, known))


def test_ranklist_bears_every_batch():
    """No clip, one clip, equal targets and scores far off give finite losses and gradients; the right order little."""
    far = torch.tensor([[1e6], [0.0], [-1e6]])
    for said, true in ((far, -far), (far, far), (far, 0 * far), (far[:1], far[:1]), (far[:0], far[:0])):
        logits = said.clone().requires_grad_()
        loss = ranklist(logits, true, torch.ones(len(said), dtype=torch.bool))
        loss.backward()
        assert loss.isfinite()
        assert logits.grad.isfinite().all()
    assert ranklist(far, far, torch.ones(3, dtype=torch.bool)) == 0
    assert ranklist(far, -far, torch.ones(3, dtype=torch.bool)) > 1e6


def test_ranklist_learns_an_order():
    """A line that begins upside down is right after some steps, and near its scale, for which the distance is there."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(64, 3, generator=generator)
    true = features @ torch.tensor([[1.0], [-0.5], [0.2]])
    line = torch.nn.Linear(3, 1)
    optimiser = torch.optim.Adam(line.parameters(), lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        ranklist(line(features), true, torch.ones(64, dtype=torch.bool)).backward()
        optimiser.step()
    found = metrics.score(true[:, 0].numpy(), line(features)[:, 0].detach().numpy())
    assert found["corr"] > 0.99


def test_supervised_contrast_by_hand():
    """Three vectors, two of one class: each of the two is told from the two others; the third has no equal."""
    vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], requires_grad=True)
    loss = supervised_contrast(vectors, torch.tensor([4, 4, 1]), 0.5)
    first = -math.log(math.exp(1.2) / (math.exp(1.2) + math.exp(0.0)))
    second = -math.log(math.exp(1.2) / (math.exp(1.2) + math.exp(1.6)))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)
    loss.backward()
    assert vectors.grad.abs().sum(dim=1).all()


def test_supervised_contrast_averages_over_equals():
    """A clip with two equals has the mean of both logarithms."""
    vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    alike = vectors @ vectors.T
    expected = [-sum(alike[i, j] - alike[i, others(i)].logsumexp(dim=0) for j in others(i)) / 2 for i in range(3)]
    found = supervised_contrast(vectors, torch.zeros(3, dtype=torch.long), 1.0)
    torch.testing.assert_close(found, torch.stack(expected).mean())


def others(i):
    """Return the two places of three that are not this one."""
    return [j for j in range(3) if j != i]


def test_inter_class_contrast_by_hand():
    """Two clips of a class whose centre is (0, 1) and one of another: classes count evenly, not clips."""
    vectors = torch.tensor([[0.6, 0.8], [-0.6, 0.8], [1.0, 0.0]], requires_grad=True)
    loss = inter_class_contrast(vectors, torch.tensor([0, 0, 5]), 0.5)
    one = -math.log(math.exp(1.6) / (math.exp(1.6) + math.exp(1.2)))
    other = -math.log(math.exp(1.6) / (math.exp(1.6) + math.exp(-1.2)))
    lone = -math.log(math.exp(2.0) / (math.exp(2.0) + math.exp(0.0)))
    assert loss.item() == pytest.approx(((one + other) / 2 + lone) / 2, abs=1e-6)
    loss.backward()
    assert vectors.grad.abs().sum() > 0


@pytest.mark.parametrize("formula", [supervised_contrast, inter_class_contrast])
def test_contrast_bears_every_batch(formula):
    """No clip, one clip, and for the contrast of classes one class, teach nothing and break nothing."""
    several = torch.nn.functional.normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    classes = {0: [], 1: [2], 4: [2, 2, 2, 2] if formula is inter_class_contrast else [0, 1, 2, 3]}
    for count, labels in classes.items():
        vectors = several[:count].clone().requires_grad_()
        loss = formula(vectors, torch.tensor(labels, dtype=torch.long), 0.1)
        loss.backward()
        assert loss == 0
        assert not vectors.grad.any()


@pytest.mark.parametrize("formula", [supervised_contrast, inter_class_contrast])
def test_contrast_falls_where_classes_part(formula):
    """Vectors that lie by class cost less than the same vectors under mixed labels, and order does not matter."""
    vectors = torch.tensor([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0], [0.28, 0.96]])
    apart, mixed = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    assert formula(vectors, apart, 0.1) < formula(vectors, mixed, 0.1)
    turned = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(formula(vectors[turned], mixed[turned], 0.1), formula(vectors, mixed, 0.1))


def test_a_score_task_is_the_distance():
    """Each clip's loss is how far the score is off; weights and smoothing do not touch it."""
    logits, targets = torch.tensor([[1.0], [-2.0], [0.5]]), torch.tensor([[3.0], [-2.0], [-0.5]])
    expected = torch.tensor([2.0, 0.0, 1.0])
    torch.testing.assert_close(losses("score", logits, targets), expected)
    torch.testing.assert_close(losses("score", logits, targets, weights=WEIGHTS[:1], smoothing=0.5), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_halved_logits_are_scored_in_full_precision(clips, kind):
    """What a model says in half precision loses nothing more in its loss, and more precise logits stay so."""
    logits, targets = clips
    half = logits.bfloat16()
    found = losses(kind, half, targets)
    torch.testing.assert_close(found, losses(kind, half.float(), targets))
    assert found.dtype == torch.float32
    assert losses(kind, logits.double(), targets, weights=WEIGHTS).dtype == torch.float64


@pytest.mark.parametrize("kind", KINDS)
def test_one_clip_does_not_change_another(clips, kind):
    """Each clip's loss is what it is alone."""
    logits, targets = clips
    alone = torch.cat([losses(kind, x[None], y[None]) for x, y in zip(logits, targets, strict=True)])
    torch.testing.assert_close(losses(kind, logits, targets), alone)


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


@pytest.mark.parametrize("kind", KINDS)
def test_no_known_clip_is_zero(clips, kind):
    """A batch without any label of the task adds nothing and has a gradient of zero, smoothed or not."""
    logits, targets = clips
    logits.requires_grad_()
    each = losses(kind, logits, torch.zeros_like(targets), smoothing=0.1)
    loss = averaged(each, torch.zeros(5, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_one_known_clip_is_the_average(clips):
    """Among clips without the label its loss stands for the batch."""
    each = losses("class", *clips)
    torch.testing.assert_close(averaged(each, torch.tensor([False, False, True, False, False])), each[2])


def test_by_hand():
    """Equal logits over four classes cost log 4, whatever the target is."""
    loss = soft_cross_entropy(torch.zeros(2, 4), torch.eye(4)[:2], torch.ones(2, dtype=torch.bool))
    torch.testing.assert_close(loss, torch.tensor(4.0).log())


def test_balanced_weights_by_hand():
    """Twelve clips of three classes, 6, 4 and 2 of them, weigh 12/18, 12/12 and 12/6."""
    torch.testing.assert_close(class_weights(torch.tensor([6.0, 4.0, 2.0])), torch.tensor([2 / 3, 1.0, 2.0]))


def test_shares_by_hand():
    """The other scheme weighs frequent classes more: 6, 4 and 2 of twelve weigh 1/2, 1/3 and 1/6."""
    found = class_weights(torch.tensor([6, 4, 2]), "share")
    torch.testing.assert_close(found, torch.tensor([1 / 2, 1 / 3, 1 / 6]))


def test_none_weighs_all_the_same(clips):
    """Its weights change no loss."""
    weights = class_weights(torch.tensor([6, 0, 2]), "none", 0.5)
    torch.testing.assert_close(losses("class", *clips, weights=weights), losses("class", *clips))


def test_a_power_softens_the_weights():
    """To the power 0 every class that occurs weighs the same, and between, weights are nearer to each other."""
    sums = torch.tensor([6.0, 4.0, 0.0, 2.0])
    torch.testing.assert_close(class_weights(sums, power=0.3), class_weights(sums) ** 0.3)
    torch.testing.assert_close(class_weights(sums, power=0.0), torch.tensor([1.0, 1.0, 0.0, 1.0]))


@pytest.mark.parametrize("scheme", ["balanced", "share"])
def test_weights_take_soft_sums_and_empty_classes(scheme):
    """Soft counts are divided like whole ones; a class without examples weighs nothing, and nothing is infinite."""
    soft = class_weights(torch.tensor([0.5, 0.0, 1.5]), scheme)
    torch.testing.assert_close(soft, class_weights(torch.tensor([1, 0, 3]), scheme))
    assert soft.isfinite().all()
    assert soft[1] == 0
    assert not class_weights(torch.zeros(3), scheme).any()


@pytest.mark.parametrize("case", [0, 1])
def test_the_weights_are_the_authors(case):
    """Where a class has clips its weight is chimera_ml's; where it has none, theirs is 1 and no loss can tell."""
    with np.load(Path(__file__).parent / "golden" / "metrics.npz") as file:
        golden = json.loads(str(file["meta"]))["results"]["class_weights"][case]
    sums, theirs = torch.tensor(golden["counts"]), torch.tensor(golden["chimera_weights"])
    ours = class_weights(sums)
    torch.testing.assert_close(torch.where(sums > 0, ours, 1), theirs)
    targets = torch.eye(len(sums))[sums > 0]
    logits = torch.randn(targets.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        losses("class", logits, targets, weights=ours), losses("class", logits, targets, weights=theirs)
    )
