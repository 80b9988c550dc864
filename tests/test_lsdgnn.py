"""LSDGNN: edges, layers and the regulariser are those worked out by hand, and what is to come stays unheard."""

import dataclasses
import math

import pytest
import torch
from batch_kit import batch_of

from fuse.models import lsdgnn

ANNA, BEN, NOBODY = 3, 5, -1
TASKS = {"emotion": 7}
WIDTH = 8
pytestmark = pytest.mark.usefixtures("one_thread")


def edges(speakers, reach, turns=None):
    """Return by turn whom it hears of its own speaker, and whom of others, in a conversation of so many real turns."""
    speaker = torch.tensor([speakers])
    same = (speaker[:, :, None] == speaker[:, None]) & (speaker >= 0)[:, :, None]
    same |= torch.eye(len(speakers), dtype=torch.bool)
    real = torch.arange(len(speakers))[None] < (len(speakers) if turns is None else turns)
    own, others = lsdgnn.edges(same, real, reach)[0]
    columns = [[set(row.nonzero()[:, 0].tolist()) for row in relation] for relation in (own, others)]
    return list(zip(*columns, strict=True))


def conversation(speakers, turns=None, seed=0):
    """Return the clips of one conversation, one vector of text each; `turns` are their places."""
    values = torch.randn(len(speakers), 1, 6, generator=torch.Generator().manual_seed(seed))
    return dataclasses.replace(
        batch_of({"text": values}),
        dialogue=torch.zeros(len(speakers), dtype=torch.long),
        turn=torch.tensor(turns or range(len(speakers))),
        speaker=torch.tensor(speakers),
    )


def build(**config):
    """Return a small untrained model."""
    torch.manual_seed(0)
    return lsdgnn.Model(lsdgnn.Config(width=WIDTH, **config), {"text": (1, 6)}, TASKS).eval()


@torch.no_grad()
def moved(model, batch, place):
    """Return which clips are answered otherwise when the clip at a place says something else."""
    values = batch.values["text"].clone()
    values[place] += 3
    change = model(batch.replaced({"text": values}))["emotion"] - model(batch)["emotion"]
    return set((change.abs().amax(dim=1) > 1e-6).nonzero()[:, 0].tolist())


def test_the_short_graph_goes_back_to_the_last_turn_of_the_same_speaker():
    """Each turn hears all since its speaker's last one, and that; who has not spoken yet hears all."""
    assert edges([ANNA, BEN, ANNA, ANNA, BEN], 1) == [
        (set(), set()),
        (set(), {0}),
        ({0}, {1}),
        ({2}, set()),
        ({1}, {2, 3}),
    ]


def test_the_long_graph_goes_back_further():
    """With a reach of two, Anna's third turn hears both of hers and Ben's between them."""
    assert edges([ANNA, BEN, ANNA, ANNA, BEN], 2) == [
        (set(), set()),
        (set(), {0}),
        ({0}, {1}),
        ({0, 2}, {1}),
        ({1}, {0, 2, 3}),
    ]


def test_a_voice_nobody_knows_hears_all_before_as_others():
    """No earlier turn is known to be its own; to those who are known it is another's."""
    assert edges([ANNA, NOBODY, ANNA, NOBODY], 1)[1:] == [(set(), {0}), ({0}, {1}), (set(), {0, 1, 2})]


def test_padding_hears_nobody_and_is_heard_by_nobody():
    """A conversation of two turns beside a longer one has the edges that it has alone."""
    assert edges([ANNA, BEN, ANNA, ANNA], 5, turns=2) == [(set(), set()), (set(), {0}), (set(), set()), (set(), set())]


@torch.no_grad()
def test_a_layer_is_what_its_formulas_say():
    """Turn by turn: attention over the edges with its term of the asking turn, a matrix per speaker, two cells."""
    torch.manual_seed(0)
    layer, turns = lsdgnn.Layer(WIDTH), torch.randn(1, 4, WIDTH)
    parents = {1: ([], [0]), 2: ([0], [1]), 3: ([2], [1])}
    over = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    for i, by_whom in parents.items():
        for relation, columns in enumerate(by_whom):
            over[0, relation, i, columns] = True
    asking = torch.randn(WIDTH)
    of_same, of_others = layer.said.weight.chunk(2, dim=1)
    states = []
    for i, turn in enumerate(turns[0]):
        heard = torch.zeros(WIDTH)
        own, others = parents.get(i, ([], []))
        if i:
            score = [
                (asking @ turn + layer.score.weight[0] @ states[j] + layer.score.bias[0]).item() for j in own + others
            ]
            shares = torch.tensor(score).softmax(dim=0)
            said = [of_same @ states[j] for j in own] + [of_others @ states[j] for j in others]
            heard = sum(share * one for share, one in zip(shares, said, strict=True))
        state = layer.turn(turn[None], heard[None]) + layer.around(heard[None], turn[None])
        states.append(state[0])
    torch.testing.assert_close(layer(turns, over)[0], torch.stack(states))


@torch.no_grad()
def test_the_exchange_weighs_the_other_graphs_turns_by_their_products():
    """The turns of each graph become the other's, by the softmax of what one matrix makes of both."""
    torch.manual_seed(0)
    exchange, short, long = lsdgnn.Exchange(WIDTH), torch.randn(2, 3, WIDTH), torch.randn(2, 3, WIDTH)
    heard = torch.ones(3, 3, dtype=torch.bool).tril().expand(2, -1, -1)
    found = exchange(short, long, heard)
    scores = short @ exchange.short.weight.T @ long.mT
    torch.testing.assert_close(found[..., :WIDTH], scores.masked_fill(~heard, -math.inf).softmax(dim=2) @ long)
    scores = long @ exchange.long.weight.T @ short.mT
    torch.testing.assert_close(found[..., WIDTH:], scores.masked_fill(~heard, -math.inf).softmax(dim=2) @ short)


@pytest.mark.parametrize(
    ("long", "expected"),
    [
        ([[0.0, 3], [0, -3]], 1 / math.sqrt(2)),  # at right angles, whatever their length
        ([[-1.0, 0], [1, 0]], 1 / 2),  # opposed
        ([[5.0, 7], [3, 7]], 1e6),  # the same but for where they are measured from
    ],
)
def test_the_regulariser_is_one_over_the_distance_of_directions(long, expected):
    """States (1, 0) and (-1, 0) of the short graph beside those of the long one; padding does not count."""
    padding = torch.full((1, 1, 2), 1e3)
    short = torch.cat([torch.tensor([[[1.0, 0], [-1, 0]]]), padding], dim=1)
    real = torch.tensor([[True, True, False]])
    found = lsdgnn.difference(short, torch.cat([torch.tensor([long]), -padding], dim=1), real)
    torch.testing.assert_close(found.item(), expected, rtol=1e-4, atol=1e-4)


def test_the_regulariser_is_the_mean_over_conversations():
    """Distances of sqrt(2) and 2, whose mean is halfway, each conversation counting once however long it is."""
    short = torch.tensor([[[1.0, 0], [-1, 0]], [[1, 0], [-1, 0]]])
    long = torch.tensor([[[0.0, 1], [0, -1]], [[-1, 0], [1, 0]]])
    found = lsdgnn.difference(short, long, torch.ones(2, 2, dtype=torch.bool))
    torch.testing.assert_close(found.item(), 2 / (math.sqrt(2) + 2), rtol=1e-4, atol=1e-4)


def test_the_regulariser_drives_the_graphs_apart():
    """A step against its gradient lowers it, it counts as the setting says, and of a lone turn it is nothing."""
    batch, model = conversation([ANNA, BEN, ANNA]), build()
    model(batch)
    before = model.regulariser()
    before.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    model(batch)
    assert 0 < model.regulariser() < before
    double = build(difference=0.4)
    double(batch)
    torch.testing.assert_close(double.regulariser(), 2 * before)
    model(conversation([ANNA]))
    assert model.regulariser() == 0


def test_what_is_to_come_is_heard_in_the_exchange_alone():
    """The past alone is causal; with both, the exchange hears later turns; without context nobody hears anybody."""
    batch = conversation([ANNA, BEN, ANNA, BEN], turns=[0, 2, 3, 9])
    assert moved(build(), batch, 1) == {1, 2, 3}
    assert moved(build(), batch, 3) == {3}
    assert moved(build(context="both"), batch, 3) == {0, 1, 2, 3}
    assert moved(build(context="none"), batch, 1) == {1}


@torch.no_grad()
def test_speakers_count():
    """The same words said by one voice or by two are answered otherwise."""
    model = build()
    one, two = (model(conversation(speakers))["emotion"] for speakers in ([ANNA] * 4, [ANNA, BEN] * 2))
    torch.testing.assert_close(one[0], two[0])
    assert (one[1:] - two[1:]).abs().amax(dim=1).min() > 1e-5
