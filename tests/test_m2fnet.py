"""M2FNet: one modality asks the others over the turns, and what is of a modality alone stays with it."""

import dataclasses

import pytest
import torch
from batch_kit import batch_of

from fuse.models import m2fnet

SHAPES = {"audio": (5, 6), "text": (4, 8), "pulse": (3, 5)}
TASKS = {"emotion": 7, "sentiment_score": 1}
SMALL = {"width": 16, "heads": 4}
pytestmark = pytest.mark.usefixtures("one_thread")


def build(*modalities, **config):
    """Return a small model of some modalities in eval mode."""
    torch.manual_seed(0)
    shapes = {m: SHAPES[m] for m in modalities}
    return m2fnet.Model(m2fnet.Config(**SMALL, **config), shapes, TASKS).eval()


def dialogue(turns=4):
    """Make one conversation with all modalities."""
    generator = torch.Generator().manual_seed(0)
    batch = batch_of({m: torch.randn(turns, t, d, generator=generator) for m, (t, d) in SHAPES.items()})
    return dataclasses.replace(batch, dialogue=torch.zeros(turns, dtype=torch.long), turn=torch.arange(turns))


def changed(batch, modality, turn):
    """Return the batch with other values of a modality in one turn."""
    values = batch.values[modality].clone()
    values[turn] += 1
    return batch.replaced({**batch.values, modality: values})


@pytest.mark.parametrize(
    ("modalities", "asking"), [(("audio", "text"), "text"), (("pulse", "audio"), "pulse"), (("audio",), "audio")]
)
def test_text_asks_or_else_the_first_there_is(modalities, asking):
    """The fusion layers' first argument is the turns of text, or of the first modality where there is no text."""
    model, batch, asked = build(*modalities), dialogue(), []
    assert model.asking == asking
    assert len(model.fusion) == (2 if len(modalities) > 1 else 0)
    for layer in list(model.fusion)[:1]:
        layer.register_forward_hook(lambda _module, given, _output: asked.append(given[0][0]))
    own = []
    model.parts[asking].register_forward_hook(lambda _module, _given, output: own.append(output))
    assert model(batch)["emotion"].shape == (4, 7)
    for turns in asked:
        torch.testing.assert_close(turns, own[0])
    assert len(asked) == (1 if len(modalities) > 1 else 0)


@torch.no_grad()
def test_a_fusion_layer_is_what_is_found_beside_who_asked():
    """Two turns and two keys by hand: one head's softmax of likenesses, its mean of keys, then the linear layer."""
    torch.manual_seed(0)
    layer = m2fnet.Fusion(m2fnet.Config(width=2, heads=1)).eval()
    layer.attention.in_proj_weight.copy_(torch.eye(2).repeat(3, 1))
    layer.attention.in_proj_bias.zero_()
    layer.attention.out_proj.weight.copy_(torch.eye(2))
    layer.attention.out_proj.bias.zero_()
    layer.linear.weight.copy_(torch.tensor([[1.0, 10, 100, 1000], [0, 0, 0, 0]]))
    layer.linear.bias.copy_(torch.tensor([0.0, 7]))
    asking, others = torch.tensor([[[2.0**0.5, 0], [0, 3]]]), torch.tensor([[[1.0, 0], [0, 1]]])
    unheard = torch.tensor([[[False, False], [True, False]]])
    first = torch.softmax(torch.tensor([1.0, 0]), dim=0)  # sqrt(2) * 1 / sqrt(2), and 0
    expected = [first[0] + 10 * first[1] + 100 * 2**0.5, 10 + 3000]  # the second turn hears the second key alone
    torch.testing.assert_close(layer(asking, others, unheard), torch.tensor([[[expected[0], 7], [expected[1], 7]]]))


@torch.no_grad()
def test_no_head_of_the_fusion_hears_turns_to_come():
    """With the past alone, sound and pulse of a later turn change no answer before it, and those after it do."""
    model, batch = build(*SHAPES, context="past"), dialogue()
    before = model(batch)["emotion"]
    for modality in SHAPES:
        moved = (model(changed(batch, modality, 2))["emotion"] - before).abs().amax(dim=1)
        assert moved[:2].max() < 1e-6
        assert moved[2:].min() > 1e-5


def test_answers_of_one_modality_train_that_modality_alone():
    """What comes out of a modality's part moves no other part."""
    model = build(*SHAPES)
    heard = []
    model.parts["audio"].register_forward_hook(lambda _module, _given, output: heard.append(output))
    model(dialogue())
    heard[0].square().sum().backward()
    touched = {name.split(".")[1] for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {"audio"}


@torch.no_grad()
@pytest.mark.parametrize("layers", [0, 2])
def test_steps_are_counted_as_they_are_real(layers):
    """Padding between the real steps of two windows leaves the vector as it is; so does what stands there."""
    torch.manual_seed(0)
    steps = m2fnet.Steps(8, m2fnet.Config(**SMALL, step_layers=layers)).eval()
    values, garbage = torch.randn(2, 4, 8), torch.full((2, 3, 8), 1e30)
    parted = torch.cat([values[:, :1], garbage, values[:, 1:]], dim=1)
    real = torch.tensor([1, 0, 0, 0, 1, 1, 1]).bool().expand(2, -1)
    torch.testing.assert_close(steps(parted, real), steps(values, torch.ones(2, 4, dtype=torch.bool)))
    assert torch.equal(steps(garbage, torch.zeros(2, 3, dtype=torch.bool)), torch.zeros(2, 16))


@torch.no_grad()
def test_the_order_of_steps_counts_only_where_layers_look_at_it():
    """Steps the other way round are another vector after a layer, and the same where they are averaged."""
    values, real = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0)), torch.ones(2, 4).bool()
    moved = []
    for layers in (0, 1):
        torch.manual_seed(0)
        steps = m2fnet.Steps(8, m2fnet.Config(**SMALL, step_layers=layers)).eval()
        moved.append((steps(values, real) - steps(values.flip(1), real)).abs().max())
    assert moved[0] < 1e-5
    assert moved[1] > 1e-3


@torch.no_grad()
def test_transformers_over_turns_are_added_to_what_they_are_given():
    """A part whose transformers say nothing gives the vectors of the steps."""
    model, batch = build("text"), dialogue()
    part = model.parts["text"]
    for encoder in part.encoders:
        encoder.layers[-1].norm2.weight.zero_()
        encoder.layers[-1].norm2.bias.zero_()
    vectors = []
    part.steps.register_forward_hook(lambda _module, _given, output: vectors.append(output))
    said = []
    part.register_forward_hook(lambda _module, _given, output: said.append(output))
    model(batch)
    assert torch.equal(said[0], vectors[0])


def test_a_width_that_heads_cannot_share_is_refused():
    """The message names the model and both numbers."""
    with pytest.raises(ValueError, match=r"^m2fnet: .*10 and 4"):
        m2fnet.Model(m2fnet.Config(width=10, heads=4), SHAPES, TASKS)
