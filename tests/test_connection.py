"""Connection vectors: what modalities share is counted once, and what is left of each is what it alone has."""

import dataclasses
import math

import pytest
import torch
from batch_kit import batch_of

from fuse.models import connection

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = {"audio": (5, 4), "video": (4, 4), "text": (3, 6)}
TASKS = {"emotion": 7}
EVERYBODY = torch.ones(2, 3, dtype=torch.bool)


@pytest.fixture
def connect():
    """Give a small connection, untrained."""
    torch.manual_seed(0)
    return connection.Connection(4)


def turns(m=3):
    """Random vectors of two turns."""
    return torch.randn(2, m, 4, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_modalities_that_say_the_same_share_all_of_it(connect):
    """Equal vectors are the shared part itself, however many say it, and nothing is left of any."""
    said = turns(1)
    for m in (1, 2, 3):
        shared, rest = connect(said.expand(-1, m, -1), EVERYBODY[:, :m])
        torch.testing.assert_close(shared, said[:, 0])
        torch.testing.assert_close(rest, torch.zeros(2, m, 4), atol=1e-6, rtol=0)


@torch.no_grad()
def test_shared_and_rest_make_the_whole(connect):
    """Each modality is the shared part and its own rest, and the shared part lies between them."""
    said = turns()
    shared, rest = connect(said, EVERYBODY)
    torch.testing.assert_close(shared[:, None] + rest, said)
    assert (shared <= said.amax(dim=1)).all()
    assert (shared >= said.amin(dim=1)).all()


@torch.no_grad()
def test_a_connection_worked_by_hand(connect):
    """Two modalities that answer the vector by log 3 and nothing are shared three parts to one."""
    connect.vector.copy_(torch.tensor([2.0, 0.0, 0.0, 0.0]))  # two is the root of the width
    connect.key.weight.copy_(torch.eye(4))
    first, second = torch.tensor([math.log(3), 0.0, 8.0, 0.0]), torch.tensor([0.0, 4.0, 0.0, 0.0])
    shared, rest = connect(torch.stack([first, second])[None], EVERYBODY[:1, :2])
    torch.testing.assert_close(shared[0], 0.75 * first + 0.25 * second)
    torch.testing.assert_close(rest[0], torch.stack([0.25 * (first - second), 0.75 * (second - first)]))


@torch.no_grad()
def test_absent_modalities_share_nothing(connect):
    """They count neither in the shared part nor in the rest; where nobody is present, all count."""
    said = turns()
    present = torch.tensor([[True, False, True], [False, False, False]])
    shared, rest = connect(said, present)
    some, of_some = connect(said[:, [0, 2]], EVERYBODY[:, :2])
    everybody, of_all = connect(said, EVERYBODY)
    torch.testing.assert_close(shared, torch.stack([some[0], everybody[1]]))
    torch.testing.assert_close(rest[0, [0, 2]], of_some[0])
    assert torch.equal(rest[0, 1], torch.zeros(4))
    torch.testing.assert_close(rest[1], of_all[1])


def test_parameters_are_counted_by_hand():
    """A vector layer, two recurrent layers and a normed mix for each modality, one connection for all, and a fusion."""
    model = connection.Model(connection.Config(width=8), SHAPES, TASKS)
    vectors = (4 * 8 + 8) + (4 * 8 + 8) + (6 * 8 + 8)
    gru = 3 * (8 * 8 + 8 * 8 + 8 + 8)
    mix = (24 * 8 + 8) + 2 * 8
    fusion = 32 * 16 + 16
    count = vectors + 3 * (2 * gru + mix) + (8 + 8 * 8) + fusion + (16 * 7 + 7)
    assert sum(p.numel() for p in model.parameters()) == count


@torch.no_grad()
def test_a_turn_without_anything_is_answered_from_its_neighbours():
    """What was said around decides, before it too where only the past is heard; without context nothing does."""
    silent = torch.tensor([False, True, False])
    for context, heard in (("both", True), ("past", True), ("none", False)):
        torch.manual_seed(0)
        model = connection.Model(connection.Config(context=context, width=8), SHAPES, TASKS).eval()
        answers = []
        for seed in (0, 1):
            generator = torch.Generator().manual_seed(seed)
            batch = batch_of({m: torch.randn(3, *shape, generator=generator) for m, shape in SHAPES.items()})
            batch = dataclasses.replace(batch, dialogue=torch.zeros(3, dtype=torch.long), turn=torch.arange(3))
            answers.append(model(batch.without(dict.fromkeys(SHAPES, silent)))["emotion"][1])
        assert torch.allclose(*answers, atol=1e-6) != heard, context
