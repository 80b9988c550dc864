"""Every fusion model found in its folder keeps the contract: what is masked cannot change an output."""

import dataclasses
import inspect
import re

import pytest
import torch
from model_kit import (
    DIALOGUE,
    OTHER_TASKS,
    SHAPES,
    TASKS,
    N,
    assert_same,
    assert_settings_explained,
    build,
    clips,
    clips_of,
    loss_of,
    masked,
    only,
    padded,
    right,
    shapes_of,
    spoilt,
)

from fuse import models, seams
from fuse.batch import Batch

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", params=models.names())
def module(request):
    """Give one model file after the other."""
    return models.module(request.param)


@pytest.fixture(scope="module")
def model(module):
    """Give its model with its own settings, untrained; nothing here changes it."""
    return build(module)


@pytest.fixture
def modality(request, module):
    """Give one modality after the other, of those that the model can take."""
    if request.param not in shapes_of(module):
        pytest.skip(f"{module.__name__} takes {', '.join(module.MODALITIES)}")
    return request.param


each_modality = pytest.mark.parametrize("modality", SHAPES, indirect=True)


@torch.no_grad()
def test_outputs_are_logits_by_task(module, model):
    """Every task has finite (b, k) logits; anything else is named `part/task` and is as wide as its task."""
    assert_logits(model(clips_of(module)), TASKS)


def assert_logits(output, tasks):
    """Check names, shapes and numbers of what a model says of the eight clips."""
    assert set(tasks) <= set(output)
    for name, logits in output.items():
        assert re.fullmatch(rf"([a-z_]+/)?({'|'.join(tasks)})", name), name
        assert logits.shape == (len(DIALOGUE), tasks[name.rpartition("/")[2]])
        assert logits.isfinite().all()


@torch.no_grad()
def test_any_tasks_can_be_learnt(module):
    """Scores, several classes at once and other vocabularies have logits, too."""
    assert_logits(build(module, tasks=OTHER_TASKS)(clips_of(module)), OTHER_TASKS)


@torch.no_grad()
def test_half_precision_is_borne(module, model):
    """With products of matrices in bfloat16, outputs are finite and close to what they are in single precision."""
    batch = clips_of(module)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(batch)
    assert_logits(half, TASKS)
    for name, logits in model(batch).items():
        assert (half[name].float() - logits).abs().max() < 0.1 * (1 + logits.abs().max())


@torch.no_grad()
def test_present_input_does_change_the_output(module, model):
    """The watcher's own control: other values in any one modality give another output."""
    batch = clips_of(module)
    before = model(batch)
    for m, values in batch.values.items():
        after = model(dataclasses.replace(batch, values={**batch.values, m: values + torch.randn_like(values)}))
        assert any((after[task] - before[task]).abs().max() > 1e-3 for task in TASKS), m


@torch.no_grad()
@each_modality
def test_masked_windows_cannot_change_an_output(module, model, modality):
    """Whatever finite number stands in a window that is masked out, the output is the same."""
    where = torch.arange(len(DIALOGUE))[:, None] % N < torch.arange(N)
    batch = masked(clips_of(module), modality, where)
    expected = model(spoilt(batch, modality, 0.0))
    for garbage in (1.0, -1e4, 1e30):
        assert_same(model(spoilt(batch, modality, garbage)), expected)


@torch.no_grad()
@each_modality
def test_more_padding_windows_cannot_change_an_output(module, model, modality):
    """A batch padded for a longer clip's sake gives the shorter clips the same output."""
    batch = clips_of(module)
    assert_same(model(padded(batch, modality, windows=4)), model(batch))


@torch.no_grad()
@each_modality
@pytest.mark.parametrize("left", [1, 3])
def test_a_batch_of_short_clips_is_as_if_a_long_one_lay_beside_them(module, model, modality, left):
    """Windows that all have fewer steps than the corpus' longest give what they give padded to its length."""
    batch, t = clips_of(module), SHAPES[modality][0]
    short = dataclasses.replace(
        batch,
        values={**batch.values, modality: batch.values[modality][:, :, :left]},
        steps={**batch.steps, modality: batch.steps[modality][:, :, :left]},
    )
    output = model(short)
    assert_logits(output, TASKS)
    assert_same(model(padded(short, modality, steps=t - left)), output)


@torch.no_grad()
@pytest.mark.parametrize("absent", [("audio",), ("video", "text"), tuple(SHAPES)])
def test_absent_modalities_cannot_change_an_output(module, model, absent):
    """A clip without some or any modality gets a finite output that its absent values do not touch."""
    where = (torch.arange(len(DIALOGUE)) % 2 == 0)[:, None].expand(-1, N)
    clean = clips_of(module)
    absent = [m for m in absent if m in clean.values]
    for m in absent:
        clean = spoilt(masked(clean, m, where), m, 0.0)
    expected = model(clean)
    assert_logits(expected, TASKS)
    for garbage in (1.0, 1e30):
        dirty = clean
        for m in absent:
            dirty = spoilt(dirty, m, garbage)
        assert_same(model(dirty), expected)


@torch.no_grad()
def test_other_conversations_and_padding_clips_cannot_change_an_output(module, model):
    """Turns of other conversations, clips that stand alone and empty clips beside it leave a conversation as it is."""
    batch, empty = clips_of(module), clips_of(module, seed=1)
    for m in batch.values:
        empty = masked(empty, m, torch.ones(len(DIALOGUE), N, dtype=torch.bool))
    conversation, alone, one_empty = only(batch, [0, 3]), only(batch, [2]), only(empty, [4])
    expected = model(batch)
    assert_same(model(conversation), expected, [0, 3])
    assert_same(model(alone), expected, [2])
    beside = Batch(
        ids=conversation.ids + one_empty.ids,
        values={m: torch.cat([conversation.values[m], one_empty.values[m]]) for m in batch.values},
        windows={m: torch.cat([conversation.windows[m], one_empty.windows[m]]) for m in batch.values},
        steps={m: torch.cat([conversation.steps[m], one_empty.steps[m]]) for m in batch.values},
        dialogue=torch.cat([conversation.dialogue, one_empty.dialogue]),
        turn=torch.cat([conversation.turn, one_empty.turn]),
        speaker=torch.cat([conversation.speaker, one_empty.speaker]),
    )
    assert_same({name: logits[:2] for name, logits in model(beside).items()}, expected, [0, 3])


@torch.no_grad()
def test_order_in_a_batch_does_not_matter(module, model):
    """The same clips in another order give the same outputs in that order."""
    batch = clips_of(module)
    order = [5, 2, 7, 0, 3, 1, 6, 4]
    assert_same(model(only(batch, order)), model(batch), order)


def test_what_the_heads_read_passes_through_the_representation(module):
    """Strategies can listen to every model: one representation of each clip, as many rows as there are clips."""
    model, batch = build(module), clips_of(module)
    listener = seams.Heard(seams.representation(model))
    output = model.train()(batch)
    values = listener.values
    assert values.shape[0] == len(batch)
    (gradient,) = torch.autograd.grad(sum(output[task].square().sum() for task in TASKS), values)
    assert (gradient.flatten(1).abs().amax(dim=1) > 0).all()


def test_gradients_flow(module):
    """The loss reaches parameters, finitely, also where modalities are missing."""
    model, batch = build(module).train(), clips_of(module)
    where = (torch.arange(len(DIALOGUE)) % 3 == 0)[:, None].expand(-1, N)
    for m in list(batch.values)[:-1]:
        batch = masked(batch, m, where)
    loss_of(model(batch), batch).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)


def test_every_model_learns_eight_clips_by_heart(module):
    """With all of its dropout, its loss falls below a tenth in 150 steps or fewer, and every clip is then right."""
    model, batch = build(module), clips_of(module)
    with torch.no_grad():
        before = loss_of(model(batch), batch).item()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for step in range(1, 151):
        optimiser.zero_grad()
        loss_of(model.train()(batch), batch).backward()
        optimiser.step()
        if step % 5 == 0:
            with torch.no_grad():
                output = model.eval()(batch)
            if loss_of(output, batch).item() < before / 10 and right(output, batch):
                return
    pytest.fail(f"the loss was {before:.3f} and is {loss_of(output, batch).item():.3f}; right: {right(output, batch)}")


# What the file says of its model.


def test_modalities_that_it_cannot_take_are_refused_with_those_it_can(module):
    """A model that names its modalities refuses another with a word; one that names none takes whatever there is."""
    config, shapes = module.Config(), {**shapes_of(module), "pulse": (4, 8)}
    if not hasattr(module, "MODALITIES"):
        assert module.Model(config, shapes, TASKS)
        return
    with pytest.raises(ValueError, match=rf"^{module.__name__.rpartition('.')[2]}: expected .*{module.MODALITIES[0]}"):
        module.Model(config, shapes, TASKS)


def test_hooks_are_called_as_they_are_declared(module):
    """Whatever else the file has of what `fuse.models` names takes the arguments that it says there."""
    hooks = {"from_reference": 1, "begin": 2, "build": 4}
    for name, arguments in hooks.items():
        if hasattr(module, name):
            assert len(inspect.signature(getattr(module, name)).parameters) == arguments
    if hasattr(module.Model, "losses"):
        assert len(inspect.signature(module.Model.losses).parameters) == 4
    assert 0 < getattr(module, "THRESHOLD", 0.5) < 1


def test_what_a_model_notes_are_sentences(module, model):
    """Its notes stand in a report: each is text of one line."""
    notes = getattr(model, "notes", tuple)()
    assert isinstance(notes, tuple)
    assert all(isinstance(note, str) and note.strip() and "\n" not in note for note in notes)
    made = models.build(module.__name__.rpartition(".")[2], module.Config(), shapes_of(module), TASKS, {})
    assert type(made) is type(model)


def test_settings_are_frozen_have_defaults_and_say_what_they_are(module):
    """`Config` is a frozen dataclass, each field has a default and a line below it that says what it is."""
    assert_settings_explained(module)


def test_the_file_explains_itself(module):
    """The module, its `Config` and its `Model` each have a docstring."""
    assert all(inspect.cleandoc(thing.__dict__["__doc__"] or "") for thing in (module, module.Config, module.Model))


@torch.no_grad()
def test_concat_takes_any_modalities():
    """The floor works with one modality, with two, and with one that nobody has named before."""
    from fuse.models import concat

    full = clips()
    for chosen in (["text"], ["audio", "video"]):
        model = concat.Model(concat.Config(), {m: SHAPES[m] for m in chosen}, TASKS).eval()
        assert model(full)["emotion"].shape == (len(DIALOGUE), 7)
    renamed = dataclasses.replace(
        full,
        values={"pulse": full.values["text"]},
        windows={"pulse": full.windows["text"]},
        steps={"pulse": full.steps["text"]},
    )
    assert concat.Model(concat.Config(), {"pulse": SHAPES["text"]}, TASKS)(renamed)["sentiment"].shape == (8, 3)


@torch.no_grad()
def test_concat_knows_absence_from_zero_and_padding_from_input():
    """A clip without a modality is told apart from one whose features are zero; padded steps do not count."""
    from fuse.models import concat

    model, batch = build(concat), clips()
    zero = dataclasses.replace(batch, values={**batch.values, "text": torch.zeros_like(batch.values["text"])})
    absent = masked(zero, "text", torch.ones(len(DIALOGUE), N, dtype=torch.bool))
    assert (model(zero)["emotion"] - model(absent)["emotion"]).abs().max() > 1e-3
    steps = batch.steps["audio"].clone()
    steps[:, :, 5:] = False
    short = dataclasses.replace(batch, steps={**batch.steps, "audio": steps})
    values = batch.values["audio"].clone()
    values[:, :, 5:] = 1e4
    assert_same(model(dataclasses.replace(short, values={**batch.values, "audio": values})), model(short))
