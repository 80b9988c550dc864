"""Learning Alignment: tokens hear real frames and nothing else, weighed as it is worked out by hand."""

import dataclasses

import pytest
import torch
from batch_kit import batch_of

from fuse.models import align

SHAPES = {"audio": (5, 6), "text": (4, 8)}
TASKS = {"emotion": 7}
WIDTH = 8
pytestmark = pytest.mark.usefixtures("one_thread")


def build(shapes=None, **config):
    """Return a small untrained model."""
    torch.manual_seed(0)
    return align.Model(align.Config(width=WIDTH, **config), shapes or SHAPES, TASKS).eval()


def clips(b=3, real=None, shapes=None):
    """Return random clips of one window, of which some steps may be padding."""
    generator = torch.Generator().manual_seed(0)
    values = {m: torch.randn(b, t, d, generator=generator) for m, (t, d) in (shapes or SHAPES).items()}
    return batch_of(values, real)


@torch.no_grad()
def test_steps_are_a_two_way_lstm_over_what_is_real():
    """Each clip has the states of torch's own two-way LSTM over its real steps alone, and zero behind them."""
    torch.manual_seed(0)
    steps, values, lengths = align.Steps(6, WIDTH), torch.randn(3, 5, 6), [5, 3, 0]
    whole = torch.nn.LSTM(6, WIDTH, batch_first=True, bidirectional=True)
    back = {f"{name}_reverse": x for name, x in steps.backwards.state_dict().items()}
    whole.load_state_dict(steps.forwards.state_dict() | back)
    states = steps(values, torch.arange(5) < torch.tensor(lengths)[:, None])
    for clip, length in enumerate(lengths):
        if length:
            torch.testing.assert_close(states[clip, :length], whole(values[clip : clip + 1, :length])[0][0])
        assert not states[clip, length:].any()


@torch.no_grad()
@pytest.mark.parametrize("score", ["sum", "product"])
def test_weights_of_padded_frames_are_zero(score):
    """Over real frames the weights of a token sum to one, whatever stands in the others."""
    torch.manual_seed(0)
    alignment = align.Alignment(4, align.Config(width=WIDTH, score=score))
    tokens, steps = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    real = torch.tensor([[True, True, True, False, False], [True, False, False, False, False]])
    weights = alignment.weights(tokens, steps, real)
    assert not weights.masked_select(~real[:, None].expand_as(weights)).any()
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 3))
    torch.testing.assert_close(weights[1, :, 0], torch.ones(3))
    spoilt = torch.where(real[:, :, None], steps, 1e4)
    torch.testing.assert_close(alignment.weights(tokens, spoilt, real), weights)


@torch.no_grad()
def test_scores_are_those_worked_out_by_hand():
    """A token of 1 and frames of 0 and 2: tanh of their sums, or their products over the root of the width."""
    tokens, steps, real = torch.ones(1, 1, 1), torch.tensor([[[0.0], [2.0]]]), torch.ones(1, 2, dtype=torch.bool)
    for score, scores in (("sum", torch.tensor([1.0, 3.0]).tanh()), ("product", torch.tensor([0.0, 2.0]) * 4**0.5)):
        alignment = align.Alignment(1, align.Config(width=4, score=score))
        for parameter in alignment.parameters():
            parameter.fill_(1)
        alignment.token.bias.zero_()
        expected = scores.softmax(dim=0)
        torch.testing.assert_close(alignment.weights(tokens, steps, real)[0, 0], expected)
        torch.testing.assert_close(alignment(tokens, steps, real)[0, 0, 0], 2 * expected[1])


@torch.no_grad()
@pytest.mark.parametrize("score", ["sum", "product"])
def test_without_frames_a_token_hears_nothing(score):
    """A clip without sound has zeros beside each of its tokens."""
    alignment = align.Alignment(4, align.Config(width=WIDTH, score=score))
    heard = alignment(torch.randn(1, 3, 4), torch.zeros(1, 5, 4), torch.zeros(1, 5, dtype=torch.bool))
    assert heard.isfinite().all()
    assert not heard.any()


@torch.no_grad()
def test_a_clip_without_text_is_answered_from_its_sound():
    """One empty token asks in its place; without sound, too, all such clips are answered alike."""
    model, batch = build(), clips(real={"text": [0, 0, 4]})
    output = model(batch)["emotion"]
    assert (output[0] - output[1]).abs().max() > 1e-4
    nothing = clips(real={"text": [0, 0, 4], "audio": [0, 0, 5]})
    output = model(nothing)["emotion"]
    torch.testing.assert_close(output[0], output[1])


@torch.no_grad()
def test_the_order_of_frames_and_tokens_counts():
    """The same steps in another order are other speech, and other words."""
    model, batch = build(), clips()
    before = model(batch)["emotion"]
    for modality in SHAPES:
        turned = batch.replaced({**batch.values, modality: batch.values[modality].flip(2)})
        assert (model(turned)["emotion"] - before).abs().max() > 1e-4


@torch.no_grad()
def test_frames_of_several_windows_are_one_sequence():
    """Two windows with padding in the first are as their real frames in one."""
    model, batch = build(), clips(b=1)
    frames = batch.values["audio"][0, 0]
    parted = torch.full((1, 2, 5, 6), 1e4)
    parted[0, 0, :2], parted[0, 1, :3] = frames[:2], frames[2:]
    other = dataclasses.replace(
        batch,
        values={**batch.values, "audio": parted},
        windows={**batch.windows, "audio": torch.ones(1, 2, dtype=torch.bool)},
        steps={**batch.steps, "audio": torch.arange(5) < torch.tensor([[[2], [3]]])},
    )
    torch.testing.assert_close(model(other)["emotion"], model(batch)["emotion"])


@torch.no_grad()
def test_any_other_modalities_are_aligned_beside_each_other():
    """A third and one that nobody has named before each have an alignment of their own."""
    shapes = {**SHAPES, "video": (3, 5), "pulse": (7, 2)}
    model = build(shapes)
    assert set(model.alignments) == {"text_audio", "text_video", "text_pulse"}
    assert model(clips(shapes=shapes))["emotion"].shape == (3, 7)


@torch.no_grad()
@pytest.mark.parametrize(("context", "heard"), [("none", {1}), ("past", {1, 2}), ("both", {0, 1, 2})])
def test_turns_are_heard_as_the_setting_says(context, heard):
    """Other words in the second of three turns change its own answer, and those that may hear it."""
    model, batch = build(context=context), clips()
    batch = dataclasses.replace(batch, dialogue=torch.zeros(3, dtype=torch.long), turn=torch.arange(3))
    values = batch.values["text"].clone()
    values[1] += 3
    change = model(batch.replaced({**batch.values, "text": values}))["emotion"] - model(batch)["emotion"]
    assert set((change.abs().amax(dim=1) > 1e-6).nonzero()[:, 0].tolist()) == heard


@pytest.mark.parametrize(
    ("shapes", "got"),
    [
        ({"audio": (5, 6), "video": (3, 4)}, "audio of vectors, video of vectors"),
        ({"text": (4, 8)}, "text of vectors"),
        ({"text": (4, 8), "video": (25, 64, 64)}, "text of vectors, video of pictures"),
        ({}, "nothing"),
    ],
)
def test_other_modalities_are_refused_with_what_to_do(shapes, got):
    """Without text, with text alone and with pictures there is nothing to align."""
    with pytest.raises(ValueError, match=f"^align: expected vectors of text and .*, got {got}; .*concat"):
        align.Model(align.Config(), shapes, TASKS)
