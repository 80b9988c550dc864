"""Bridge tokens: nothing passes between modalities but through them, and what they weigh."""

import dataclasses

import pytest
import torch
from batch_kit import batch_of

from fuse import seams
from fuse.models import bridge

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = {"audio": (9, 6), "video": (5, 4), "text": (7, 10)}
TASKS = {"emotion4": 4, "valence": 1, "arousal": 1, "dominance": 1}
SMALL = bridge.Config(width=8, heads=2, tokens=3)


def model_of(shapes=SHAPES):
    """Return a small model in eval mode."""
    torch.manual_seed(0)
    return bridge.Model(SMALL, shapes, TASKS).eval()


def clips(seed=0):
    """Random clips."""
    generator = torch.Generator().manual_seed(seed)
    return batch_of({m: torch.randn(4, *shape, generator=generator) for m, shape in SHAPES.items()})


def parts(model, batch):
    """Return what the heads read of each modality."""
    heard = []
    hook = model.representation.register_forward_hook(lambda _, __, output: heard.append(output))
    model(batch)
    hook.remove()
    return dict(zip(SHAPES, heard[0].split(SMALL.width, dim=1), strict=True))


def with_other(batch, modality):
    """Return the batch with other values of one modality."""
    return batch.replaced({**batch.values, modality: clips(seed=1).values[modality]})


def moved(model, batch, other):
    """Name the modalities whose part differs."""
    before, after = parts(model, batch), parts(model, other)
    return {m for m in before if not torch.allclose(before[m], after[m], atol=1e-6)}


@torch.no_grad()
def test_audio_reaches_text_and_video_through_its_tokens_alone():
    """Other audio moves every part; with the tokens of audio held still it moves the part of audio alone."""
    model, batch = model_of(), clips()
    other = with_other(batch, "audio")
    assert moved(model, batch, other) == {"audio", "video", "text"}
    held = torch.randn(4, SMALL.tokens, SMALL.width)
    model.bridges["audio"].register_forward_hook(lambda *_: held)
    assert moved(model, batch, other) == {"audio"}
    assert moved(model, batch, with_other(batch, "text")) == {"audio", "video", "text"}


@torch.no_grad()
def test_no_modality_reads_its_own_tokens():
    """With the others' tokens as they are, other tokens of audio leave the part of audio as it is."""
    model, batch = model_of(), clips()
    before = parts(model, batch)
    model.bridges["audio"].register_forward_hook(lambda _, __, output: output + torch.randn_like(output))
    after = parts(model, batch)
    assert torch.equal(before["audio"], after["audio"])
    assert not torch.allclose(before["text"], after["text"])


@torch.no_grad()
def test_tokens_of_an_absent_modality_are_not_read():
    """Without sound and pictures, words read nothing and are what they are in a model of words alone."""
    model, batch = model_of(), clips()
    gone = torch.ones(4, dtype=torch.bool)
    said = parts(model, batch.without({"audio": gone, "video": gone}))["text"]
    values, real = batch.sequence("text")
    steps = model.steps["text"](values, real)
    torch.testing.assert_close(said, model.readers["to_text"].norm(steps).mean(dim=1))
    alone = model_of({"text": SHAPES["text"]})
    assert not alone.bridges
    assert not alone.readers
    assert alone(batch)["valence"].shape == (4, 1)


@torch.no_grad()
def test_the_order_of_steps_does_not_matter():
    """There are no positions: steps and their masks in another order give the same answers."""
    model, batch = model_of(), clips()
    short = dataclasses.replace(batch, steps={**batch.steps, "text": batch.steps["text"] & (torch.arange(7) < 4)})
    flipped = dataclasses.replace(
        short,
        values={m: x.flip(2) for m, x in short.values.items()},
        steps={m: x.flip(2) for m, x in short.steps.items()},
    )
    for task in TASKS:
        torch.testing.assert_close(model(flipped)[task], model(short)[task])
        assert not torch.allclose(model(batch)[task], model(short)[task])


def test_parameters_are_counted_by_hand():
    """Three attentions with norms for each modality, its projection and its tokens; one head for each task."""
    attention = 4 * (8 * 8 + 8) + 2 * 8
    projections = (6 * 8 + 8) + (4 * 8 + 8) + (10 * 8 + 8)
    heads = 24 * (4 + 1 + 1 + 1) + 7
    assert sum(p.numel() for p in model_of().parameters()) == 9 * attention + projections + 3 * 3 * 8 + heads
    one = model_of({"text": SHAPES["text"]})
    assert sum(p.numel() for p in one.parameters()) == attention + (10 * 8 + 8) + 8 * 7 + 7


def test_what_is_of_one_modality_is_found_under_its_name():
    """A strategy that asks for audio gets its steps first, its tokens, too, and no reader of another's tokens."""
    model = model_of()
    assert seams.branch(model, "audio") is model.steps["audio"]
    mine = {id(p) for part in (model.steps["audio"], model.bridges["audio"]) for p in part.parameters()}
    assert {id(p) for p in seams.parameters_of(model, "audio", list(SHAPES))} == mine


def test_heads_that_do_not_share_the_width_are_refused():
    """The message names the model and both numbers."""
    with pytest.raises(ValueError, match=r"^bridge: expected a width that its heads share evenly, got 128 and 3"):
        bridge.Config(heads=3)
