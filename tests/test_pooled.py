"""Pooling and back-ends: each against numbers worked out by hand, and all twelve with steps that are padding."""

from itertools import product
from typing import get_args, get_type_hints

import pytest
import torch
from batch_kit import batch_of, first

from fuse import losses, recipe
from fuse.models import concat, pooled
from fuse.models._steps import in_front

pytestmark = pytest.mark.usefixtures("one_thread")

POOLINGS = get_args(pooled.Pooling)
BACKENDS = get_args(get_type_hints(pooled.Config)["backend"])
PAIRS = list(product(BACKENDS, POOLINGS))
TASKS = {"emotion": 3}
STEPS = torch.tensor([[[1.0, 0], [3, 4], [5, 2]], [[2, 6], [9, 9], [9, 9]], [[8, 8], [8, 8], [8, 8]]])
"""Three steps, one step and none, two wide; what lies behind is padding."""
LENGTHS = [3, 1, 0]
each_pair = pytest.mark.parametrize(("backend", "pooling"), PAIRS)


def real():
    """Return the steps with zero where there is none, and which are real."""
    mask = first(LENGTHS, 3)
    return STEPS * mask[:, :, None], mask


def build(shapes=None, **settings):
    """Return a small untrained model."""
    torch.manual_seed(0)
    config = pooled.Config(**{"width": 8, **settings})
    return pooled.Model(config, shapes or {"audio": (3, 2)}, TASKS).eval()


def test_the_mean_is_that_of_real_steps():
    """(1 + 3 + 5) / 3 and (0 + 4 + 2) / 3; of one step itself; of none zero."""
    assert pooled.mean(*real()).tolist() == [[3, 2], [2, 6], [0, 0]]


def test_the_last_is_the_last_real_step():
    """Padding behind it is not it."""
    assert pooled.last(*real()).tolist() == [[5, 2], [2, 6], [0, 0]]


def test_statistics_are_mean_and_deviation():
    """Around 3 lie 1, 3 and 5: the root of (4 + 0 + 4) / 3; around 2 lie 0, 4 and 2 as far; one step does not vary."""
    root = (8 / 3) ** 0.5
    expected = torch.tensor([[3, 2, root, root], [2, 6, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(pooled.statistics(*real()), expected, atol=1e-5, rtol=0)


def test_a_deviation_of_nothing_has_a_gradient():
    """Where steps do not vary it is zero, not infinite."""
    steps, mask = real()
    steps.requires_grad_()
    pooled.statistics(steps, mask).sum().backward()
    assert steps.grad.isfinite().all()


@torch.no_grad()
def test_attention_weights_by_its_scores():
    """Scores ln 1, ln 2 and ln 5 make weights of 1/8, 2/8 and 5/8; a step alone weighs 1, whatever its score."""
    model = build(pooling="attentive", backend="linear")
    score = model.of["audio"].pool.score
    score.weight.copy_(torch.tensor([[0.0, 1.0]]))
    score.bias.zero_()
    steps, mask = real()
    steps[0, :, 1] = torch.tensor([1.0, 2, 5]).log()
    got = model.of["audio"].pool(steps, mask)
    torch.testing.assert_close(got[:, 0], torch.tensor([(1 * 1 + 2 * 3 + 5 * 5) / 8, 2, 0]))


def test_real_steps_are_brought_in_front():
    """Steps of two windows with padding between them follow each other in their order; what is left over is cut."""
    steps = torch.tensor([[1.0, 9, 2, 3, 9], [9, 9, 4, 9, 9]])[:, :, None]
    mask = torch.tensor([[True, False, True, True, False], [False, False, True, False, False]])
    got, there = in_front(steps, mask)
    assert got[:, :, 0].tolist() == [[1, 2, 3], [4, 0, 0]]
    assert there.tolist() == [[True, True, True], [True, False, False]]
    nothing, nowhere = in_front(steps, torch.zeros_like(mask))
    assert nothing.shape == (2, 1, 1)
    assert not nothing.any()
    assert not nowhere.any()


@torch.no_grad()
def test_the_mean_through_a_hidden_layer_is_concat():
    """With the same weights it says what the floor says."""
    shapes = {"audio": (3, 2), "text": (4, 5)}
    batch = batch_of({"audio": STEPS, "text": torch.randn(3, 4, 5)}, {"audio": LENGTHS, "text": [4, 0, 2]})
    model = build(shapes, pooling="mean", backend="mlp")
    floor = concat.Model(concat.Config(width=8), shapes, TASKS).eval()
    for modality in shapes:
        floor.projections[modality].load_state_dict(model.of[modality].layers.state_dict())
    floor.heads.load_state_dict(model.heads.state_dict())
    torch.testing.assert_close(model(batch), floor(batch))


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean", "attentive", "last"])
def test_the_linear_back_end_is_linear(pooling):
    """Of a single step, the logits of a sum are the sum of the logits, but for the constant."""
    model = build({"audio": (1, 2)}, pooling=pooling)
    one, other = torch.randn(2, 4, 1, 2)
    nothing, a, b, both = (model(batch_of({"audio": x}))["emotion"] for x in (0 * one, one, other, one + other))
    torch.testing.assert_close(both + nothing, a + b)
    bent = build({"audio": (1, 2)}, pooling=pooling, backend="mlp")
    nothing, a, b, both = (bent(batch_of({"audio": x}))["emotion"] for x in (0 * one, one, other, one + other))
    assert ((both + nothing) - (a + b)).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize(("backend", "pooling"), [("recurrent", p) for p in POOLINGS] + [("mlp", "last")])
def test_order_counts_where_it_is_looked_at(backend, pooling):
    """A recurrent layer, and the last step, tell a sequence from the same one backwards."""
    model = build(backend=backend, pooling=pooling)
    forth, back = (model(batch_of({"audio": x}))["emotion"] for x in (STEPS, STEPS.flip(1)))
    assert (forth - back)[0].abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize(("backend", "pooling"), [pair for pair in PAIRS if not {"recurrent", "last"} & {*pair}])
def test_order_does_not_count_elsewhere(backend, pooling):
    """What only pools gives the same of the same steps backwards."""
    model = build(backend=backend, pooling=pooling)
    forth, back = (model(batch_of({"audio": x})) for x in (STEPS, STEPS.flip(1)))
    torch.testing.assert_close(forth, back)


@torch.no_grad()
@each_pair
def test_padding_and_absence_cannot_change_an_output(backend, pooling):
    """Whatever stands in padding, between windows and where a modality is absent, each pair says the same."""
    shapes = {"audio": (3, 2), "text": (4, 5)}
    model = build(shapes, backend=backend, pooling=pooling)
    lengths, text = {"audio": LENGTHS, "text": [2, 4, 0]}, torch.randn(3, 4, 5)
    expected = model(batch_of({"audio": STEPS, "text": text}, lengths))["emotion"]
    spoilt = {"audio": STEPS.clone(), "text": text.clone()}
    for modality, values in spoilt.items():
        values[~first(lengths[modality], values.shape[1])] = 1e30
    torch.testing.assert_close(model(batch_of(spoilt, lengths))["emotion"], expected)
    gap = torch.cat([STEPS[:1, :2], torch.full((1, 2, 2), 7.0), STEPS[:1, 2:]], dim=1)
    mask = torch.tensor([[True, True, False, False, True]])
    apart = batch_of({"audio": gap, "text": text[:1]}, {"audio": mask, "text": [2]})
    torch.testing.assert_close(model(apart)["emotion"], expected[:1])


@each_pair
def test_every_pair_learns(backend, pooling):
    """Three clips are learnt by heart, from sequences of other lengths; half precision trains, too."""
    model = build({"audio": (3, 2), "text": (4, 5)}, backend=backend, pooling=pooling)
    batch = batch_of({"audio": STEPS, "text": torch.randn(3, 4, 5)}, {"audio": LENGTHS, "text": [4, 1, 2]})
    labels, known = torch.eye(3), torch.ones(3, dtype=torch.bool)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(100):
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=step % 2 == 0):
            logits = model.train()(batch)["emotion"]
        losses.soft_cross_entropy(logits.float(), labels, known).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimiser.step()
    assert model.eval()(batch)["emotion"].argmax(dim=1).tolist() == [0, 1, 2]


def test_the_study_has_every_pair_once_and_nothing_else_differs():
    """Twelve rows, each named after its pair, all trained alike and as the text floor is."""
    rows, floor = recipe.table("pooling_study").rows, recipe.load("meld_text")
    pairs = [(row.config["backend"], row.config["pooling"]) for row in rows]
    assert pairs == PAIRS
    assert [row.name for row in rows] == [f"pooling_study-{backend}-{pooling}" for backend, pooling in pairs]
    for row in rows:
        assert (row.train, row.data, row.used, row.tasks) == (floor.train, floor.data, floor.used, floor.tasks)
        assert {name: row.config[name] for name in floor.config} == floor.config
