"""The simplified fusion: what its layers weigh, what is absent where modalities meet, and whose turns are heard."""

import dataclasses

import pytest
import torch
from batch_kit import batch_of

from fuse.models import simple

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = {"audio": (5, 4), "text": (3, 6)}
TASKS = {"emotion": 7, "valence": 1}
SMALL = simple.Config(width=8, fused=10)


def model_of(**changes):
    """Return a small model in eval mode."""
    torch.manual_seed(0)
    return simple.Model(dataclasses.replace(SMALL, **changes), SHAPES, TASKS).eval()


def clips(b=4):
    """Random clips, all of one conversation."""
    generator = torch.Generator().manual_seed(0)
    batch = batch_of({m: torch.randn(b, *shape, generator=generator) for m, shape in SHAPES.items()})
    return dataclasses.replace(batch, dialogue=torch.zeros(b, dtype=torch.long), turn=torch.arange(b))


def parameters(model):
    """Count the parameters."""
    return sum(p.numel() for p in model.parameters())


def test_parameters_are_counted_by_hand():
    """Two layers for each modality, one over both, and a head for each task; recurrent layers where turns are heard."""
    encoders = (4 * 8 + 8) + (8 * 8 + 8) + (6 * 8 + 8) + (8 * 8 + 8)
    fusion = 16 * 10 + 10
    assert parameters(model_of()) == encoders + fusion + (10 * 7 + 7) + (10 * 1 + 1)
    gru = 3 * (10 * 8 + 8 * 8 + 8 + 8)
    heads = {states: states * 8 + 8 for states in (10 + 8, 10 + 16)}
    assert parameters(model_of(context="past")) == encoders + fusion + gru + heads[18]
    assert parameters(model_of(context="both")) == encoders + fusion + 2 * gru + heads[26]


@torch.no_grad()
def test_only_the_mean_of_the_steps_counts():
    """Steps in another order give the same answer, and so do clips that are their own mean."""
    model, batch = model_of(), clips()
    expected = model(batch)
    turned = batch.replaced({m: x.flip(2) for m, x in batch.values.items()})
    flat = batch.replaced({m: x.mean(dim=2, keepdim=True).expand_as(x) for m, x in batch.values.items()})
    for task in TASKS:
        torch.testing.assert_close(model(turned)[task], expected[task])
        torch.testing.assert_close(model(flat)[task], expected[task])


@torch.no_grad()
def test_an_absent_modality_is_zero_where_modalities_meet():
    """What goes into the dense layer is zero in the half of an absent modality, whose encoder has biases of its own."""
    model, batch = model_of(), clips()
    into = []
    model.fusion.register_forward_pre_hook(lambda _, given: into.append(given[0]))
    model(batch.without({"audio": torch.tensor([True, False, False, False])}))
    model(batch)
    assert torch.equal(into[0][0, :8], torch.zeros(8))
    assert torch.equal(into[0][1:], into[1][1:])
    assert torch.equal(into[0][0, 8:], into[1][0, 8:])


@torch.no_grad()
@pytest.mark.parametrize(
    ("context", "moved"),
    [
        ("none", [False, True, False, False]),
        ("past", [False, True, True, True]),
        ("both", [True, True, True, True]),
    ],
)
def test_turns_are_heard_where_the_context_says_so(context, moved):
    """Another second turn changes its own answer, later ones where the past is heard, and all where both are."""
    model, batch = model_of(context=context), clips()
    values = batch.values["text"].clone()
    values[1] += 1
    before, after = model(batch)["emotion"], model(batch.replaced({**batch.values, "text": values}))["emotion"]
    assert [bool(change) for change in (after - before).abs().amax(dim=1) > 1e-6] == moved
