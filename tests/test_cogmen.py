"""COGMEN: edges end with their windows, speakers count only as same or other, and a relation says its mean."""

import dataclasses

import pytest
import torch
from batch_kit import batch_of

from fuse.conversation import Conversations
from fuse.models import cogmen

SHAPES = {"text": (4, 8)}
TASKS = {"emotion": 7}
SMALL = {"width": 8, "heads": 2}
pytestmark = pytest.mark.usefixtures("one_thread")


def dialogue(speakers, turns=None):
    """Make one conversation of given voices, at given places."""
    b = len(speakers)
    batch = batch_of({"text": torch.randn(b, *SHAPES["text"], generator=torch.Generator().manual_seed(0))})
    return dataclasses.replace(
        batch,
        dialogue=torch.zeros(b, dtype=torch.long),
        turn=torch.tensor(turns or range(b)),
        speaker=torch.tensor(speakers),
    )


def drawn(speakers, turns=None, past=5, future=5, context="both"):
    """Return for each relation the pairs (who hears, whom)."""
    over = cogmen.edges(Conversations.of(dialogue(speakers, turns), context), past, future)[0]
    return {name: over[i].nonzero().tolist() for i, name in enumerate(cogmen.RELATIONS)}


def build(**config):
    """Return a small model in eval mode; without transformer layers only the graph looks at other turns."""
    torch.manual_seed(0)
    return cogmen.Model(cogmen.Config(**SMALL, **config), SHAPES, TASKS).eval()


def test_edges_of_three_turns_by_hand():
    """A, B, A: the first and last are of one voice, the middle one is another's."""
    assert drawn([4, 9, 4]) == {
        "same/past": [[2, 0]],
        "same/future": [[0, 2]],
        "other/past": [[1, 0], [2, 1]],
        "other/future": [[0, 1], [1, 2]],
    }


def test_windows_are_of_their_own_width_and_count_missing_turns():
    """Two back and one ahead; turn 3 is missing, and who is three turns away is not heard."""
    found = drawn([1, 1, 1, 1], turns=[0, 1, 2, 4], past=2, future=1)
    assert found["same/past"] == [[1, 0], [2, 0], [2, 1], [3, 2]]
    assert found["same/future"] == [[0, 1], [1, 2]]
    assert found["other/past"] == found["other/future"] == []


def test_voices_nobody_knows_are_others():
    """Two turns of unknown voices are of two speakers, to each other and to everybody."""
    found = drawn([-1, -1, 7])
    assert found["same/past"] == found["same/future"] == []
    assert found["other/past"] == [[1, 0], [2, 0], [2, 1]]


@pytest.mark.parametrize(("context", "some"), [("past", ["other/past"]), ("none", [])])
def test_edges_keep_to_the_context(context, some):
    """With the past alone nothing ahead is heard, and without context nothing at all."""
    found = drawn([0, 1], context=context)
    assert [name for name in cogmen.RELATIONS if found[name]] == some


@torch.no_grad()
def test_a_relation_says_its_mean():
    """Four turns by hand: itself counts 1, its voice's before 10, after 100, others' before 1000, after 10000."""
    layer = cogmen.Relational(1, 1)
    layer.linear.weight.copy_(torch.tensor([[1.0, 10, 100, 1000, 10000]]))
    layer.linear.bias.fill_(0.5)
    over = cogmen.edges(Conversations.of(dialogue([0, 0, 1, 2]), "both"), 5, 5)
    said = layer(torch.tensor([[[1.0], [2], [3], [5]]]), over)
    expected = [1 + 200 + 40000.5, 2 + 10 + 40000.5, 3 + 1500 + 50000.5, 5 + 2000.5]
    torch.testing.assert_close(said.flatten(), torch.tensor(expected))


@torch.no_grad()
def test_graph_attention_is_over_edges_and_the_turn_itself():
    """Two turns by hand, one of which hears the other: softmax of q k / sqrt(d) over both, plus the turn's own part."""
    layer = cogmen.GraphTransformer(1, 1, heads=1)
    layer.attended.weight.copy_(torch.tensor([[1.0], [1], [1]]))
    layer.attended.bias.zero_()
    layer.skip.weight.fill_(100)
    layer.skip.bias.zero_()
    over = torch.zeros(1, 4, 2, 2, dtype=torch.bool)
    over[0, 2, 1, 0] = True
    share = torch.softmax(torch.tensor([2.0, 4.0]), dim=0)
    said = layer(torch.tensor([[[1.0], [2]]]), over).flatten()
    torch.testing.assert_close(said, torch.stack([torch.tensor(101.0), share[0] + 2 * share[1] + 200]))


@torch.no_grad()
def test_only_same_or_other_is_known_of_a_speaker():
    """Other names for the same voices change nothing, and another grouping of the turns does."""
    model, speakers = build(), [0, 1, 0, 2, 1]
    before = model(dialogue(speakers))["emotion"]
    renamed = model(dialogue([{0: 55, 1: 0, 2: 1}[one] for one in speakers]))["emotion"]
    assert torch.equal(renamed, before)
    assert (model(dialogue([0, 1, 1, 2, 1]))["emotion"] - before).abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("graph_heads", [1, 3])
def test_the_graph_reaches_two_windows(graph_heads):
    """Without a transformer before it, two layers of the graph hear one turn each way twice, and nothing beyond."""
    model, batch = build(layers=0, past=1, future=1, graph_heads=graph_heads), dialogue([0, 1, 0, 1, 0, 1])
    before = model(batch)["emotion"]
    values = batch.values["text"].clone()
    values[0] += 1
    moved = (model(batch.replaced({"text": values}))["emotion"] - before).abs().amax(dim=1)
    assert moved[:3].min() > 1e-6
    assert torch.equal(moved[3:], torch.zeros(3))


def test_parameters_are_those_of_the_authors_layers():
    """At the authors' width of 100: an RGCN of four relations, root and bias, and four linear layers of each head."""
    relational, graph = cogmen.Relational(100, 100), cogmen.GraphTransformer(100, 100, heads=7)
    assert sum(p.numel() for p in relational.parameters()) == (4 + 1) * 100 * 100 + 100
    assert sum(p.numel() for p in graph.parameters()) == 4 * (100 * 700 + 700)


@torch.no_grad()
def test_the_classifier_may_also_read_what_the_graph_was_given():
    """With the switch it reads as much more as the graph was given."""
    alone, both = build(keep_context=False), build()
    assert both.hidden[0].in_features - alone.hidden[0].in_features == SMALL["width"]
    assert both(dialogue([0, 1]))["emotion"].shape == (2, 7)


def test_a_width_that_heads_cannot_share_is_refused():
    """The message names the model and both numbers."""
    with pytest.raises(ValueError, match=r"^cogmen: .*9 and 2"):
        cogmen.Model(cogmen.Config(width=9, heads=2), SHAPES, TASKS)
