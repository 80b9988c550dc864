"""The queries of EmoQ-Former: how many there are, whom they look at, in which order, and what they weigh."""

import dataclasses

import pytest
import torch
from batch_kit import batch_of

from fuse.models import qformer

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = {"audio": (9, 6), "text": (7, 10)}
TASKS = {"emotion": 7}
SMALL = qformer.Config(width=8, heads=2, queries=5, layers=2)


def model_of(shapes=SHAPES, **changes):
    """Return a small model in eval mode."""
    torch.manual_seed(0)
    return qformer.Model(dataclasses.replace(SMALL, **changes), shapes, TASKS).eval()


def clips():
    """Random clips."""
    generator = torch.Generator().manual_seed(0)
    return batch_of({m: torch.randn(4, *shape, generator=generator) for m, shape in SHAPES.items()})


def asked(model, batch):
    """Return the queries after the last layer."""
    heard = []
    hook = model.layers[-1].register_forward_hook(lambda _, __, output: heard.append(output))
    model(batch)
    hook.remove()
    return heard[0]


@torch.no_grad()
@pytest.mark.parametrize("queries", [1, 5])
def test_there_are_as_many_queries_as_said_however_long_the_clips(queries):
    """Sequences of any length become so many vectors, and their mean is what the head reads."""
    model, batch = model_of(queries=queries), clips()
    found = asked(model, batch)
    assert found.shape == (4, queries, 8)
    torch.testing.assert_close(model(batch)["emotion"], model.heads["emotion"](found.mean(dim=1)))


@torch.no_grad()
def test_queries_hear_one_another():
    """What one query starts with reaches all the others."""
    model, batch = model_of(), clips()
    before = asked(model, batch)
    model.queries[0] += 1
    assert ((asked(model, batch) - before).abs().amax(dim=(0, 2)) > 1e-4).all()


@torch.no_grad()
def test_queries_that_are_alike_stay_alike():
    """Nothing but what they start with tells queries apart."""
    model = model_of()
    model.queries[:] = model.queries[0].clone()
    found = asked(model, clips())
    torch.testing.assert_close(found, found[:, :1].expand_as(found))


@torch.no_grad()
def test_modalities_are_looked_at_in_turn():
    """The second modality is asked by queries that have seen the first, and not the other way round."""
    model, batch = model_of(layers=1), clips()
    given = {}
    for name, looking in model.layers[0].across.items():
        looking.register_forward_pre_hook(lambda _, args, name=name: given.setdefault(name, []).append(args[0]))
    model(batch)
    model(batch.replaced({**batch.values, "audio": batch.values["audio"] + 1}))
    model(batch.replaced({**batch.values, "text": batch.values["text"] + 1}))
    first, second = given["to_audio"], given["to_text"]
    assert torch.equal(first[0], first[1])
    assert torch.equal(first[0], first[2])
    assert not torch.allclose(second[0], second[1])
    assert torch.equal(second[0], second[2])


@torch.no_grad()
def test_an_absent_modality_leaves_the_queries_to_the_others():
    """Where a clip has no sound, its answer is that of queries that were normed and looked at its words alone."""
    model, batch = model_of(layers=1), clips()
    silent = asked(model, batch.without({"audio": torch.ones(4, dtype=torch.bool)}))
    (layer,) = model.layers
    queries = model.queries.expand(4, -1, -1)
    queries = layer.across["to_audio"].norm(layer.own(queries, queries, torch.ones(4, 5, dtype=torch.bool)))
    values, real = batch.sequence("text")
    queries = layer.across["to_text"](queries, model.steps["text"](values), real)
    torch.testing.assert_close(silent, layer.norm(queries + layer.ff(queries)))


def test_parameters_are_counted_by_hand():
    """Queries, projections, and in each layer three attentions with norms and a feed-forward layer with its own."""
    attention, norm = 4 * (8 * 8 + 8), 2 * 8
    layer = 3 * (attention + norm) + (8 * 16 + 16) + (16 * 8 + 8) + norm
    projections = (6 * 8 + 8) + (10 * 8 + 8)
    count = sum(p.numel() for p in model_of().parameters())
    assert count == 5 * 8 + projections + 2 * layer + (8 * 7 + 7)
    assert sum(p.numel() for p in model_of(layers=3).parameters()) == count + layer


def test_heads_that_do_not_share_the_width_are_refused():
    """The message names the model and both numbers."""
    with pytest.raises(ValueError, match=r"^qformer: expected a width that its heads share evenly, got 128 and 3"):
        qformer.Config(heads=3)
