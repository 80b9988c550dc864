"""Every fusion model found in its folder keeps the contract: what is masked cannot change an output."""

import ast
import dataclasses
import inspect
import re

import pytest
import torch

from fuse import models
from fuse.batch import Batch
from fuse.losses import soft_cross_entropy

SHAPES = {"audio": (9, 16), "video": (5, 8), "text": (6, 16)}
TASKS = {"emotion": 7, "sentiment": 3}
N = 3  # windows
# Two turns of one conversation, two of another, four clips that stand alone; the order is mixed on purpose.
DIALOGUE, TURN = [0, 1, -1, 0, -1, 1, -1, -1], [0, 1, 0, 1, 0, 0, 0, 0]


@pytest.fixture(scope="module", params=models.names())
def module(request):
    """Give one model file after the other."""
    return models.module(request.param)


@pytest.fixture(scope="module")
def model(module):
    """Give its model with its own settings, untrained; nothing here changes it."""
    return build(module)


@pytest.fixture(autouse=True)
def _two_threads():
    """Small tensors are slower on many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, before))
    yield
    torch.set_num_threads(before)


def build(module, seed=0):
    """Return the model with its own settings, in eval mode."""
    torch.manual_seed(seed)
    return module.Model(module.Config(), SHAPES, TASKS).eval()


def varied(b, t, d, generator):
    """Return noise around a level of each clip's own, as features have it."""
    return torch.randn(b, N, t, d, generator=generator) + torch.randn(b, 1, 1, d, generator=generator)


def clips(seed=0):
    """Eight random clips with every window, step, label and modality."""
    generator = torch.Generator().manual_seed(seed)
    b = len(DIALOGUE)
    classes = {task: torch.arange(b) * 3 % k for task, k in TASKS.items()}
    return Batch(
        ids=tuple(f"clip{i}" for i in range(b)),
        values={m: varied(b, t, d, generator) for m, (t, d) in SHAPES.items()},
        windows={m: torch.ones(b, N, dtype=torch.bool) for m in SHAPES},
        steps={m: torch.ones(b, N, t, dtype=torch.bool) for m, (t, _) in SHAPES.items()},
        dialogue=torch.tensor(DIALOGUE),
        turn=torch.tensor(TURN),
        labels={task: torch.nn.functional.one_hot(classes[task], k).float() for task, k in TASKS.items()},
        known={task: torch.ones(b, dtype=torch.bool) for task in TASKS},
    )


def only(batch, index):
    """Pick some clips of a batch, in the order given."""
    index = torch.tensor(index)

    def pick(mapping):
        return {name: tensor[index] for name, tensor in mapping.items()}

    return Batch(
        ids=tuple(batch.ids[i] for i in index),
        values=pick(batch.values),
        windows=pick(batch.windows),
        steps=pick(batch.steps),
        dialogue=batch.dialogue[index],
        turn=batch.turn[index],
        labels=pick(batch.labels),
        known=pick(batch.known),
    )


def masked(batch, modality, where):
    """Take windows (b, n) away: window and steps are said to be absent, values stay."""
    windows = batch.windows[modality] & ~where
    steps = batch.steps[modality] & windows[:, :, None]
    return dataclasses.replace(
        batch, windows={**batch.windows, modality: windows}, steps={**batch.steps, modality: steps}
    )


def spoilt(batch, modality, garbage):
    """Write garbage into every window that is masked out."""
    values = torch.where(batch.windows[modality][:, :, None, None], batch.values[modality], garbage)
    return dataclasses.replace(batch, values={**batch.values, modality: values})


def assert_same(got, expected, rows=slice(None)):
    """Compare all outputs within the contract's tolerance."""
    assert got.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(got[name], expected[name][rows], rtol=1e-5, atol=1e-5)


def loss_of(model, batch):
    """Return the training loss, summed over tasks."""
    output = model(batch)
    return sum(soft_cross_entropy(output[task], batch.labels[task], batch.known[task]) for task in TASKS)


@torch.no_grad()
def test_outputs_are_logits_by_task(model):
    """Every task has finite (b, k) logits; anything else is named `part/task` and is as wide as its task."""
    output = model(clips())
    assert set(TASKS) <= set(output)
    for name, logits in output.items():
        assert re.fullmatch(rf"([a-z_]+/)?({'|'.join(TASKS)})", name), name
        assert logits.shape == (len(DIALOGUE), TASKS[name.rpartition("/")[2]])
        assert logits.isfinite().all()


@torch.no_grad()
def test_present_input_does_change_the_output(model):
    """The watcher's own control: other values in any one modality give another output."""
    batch = clips()
    for m, values in batch.values.items():
        other = dataclasses.replace(batch, values={**batch.values, m: values + torch.randn_like(values)})
        assert any((model(other)[task] - model(batch)[task]).abs().max() > 1e-3 for task in TASKS), m


@torch.no_grad()
@pytest.mark.parametrize("garbage", [1.0, -1e4, 1e30])
@pytest.mark.parametrize("modality", SHAPES)
def test_masked_windows_cannot_change_an_output(model, modality, garbage):
    """Whatever finite number stands in a window that is masked out, the output is the same."""
    where = torch.arange(len(DIALOGUE))[:, None] % N < torch.arange(N)
    batch = masked(clips(), modality, where)
    assert_same(model(spoilt(batch, modality, garbage)), model(spoilt(batch, modality, 0.0)))


@torch.no_grad()
@pytest.mark.parametrize("modality", SHAPES)
def test_more_padding_windows_cannot_change_an_output(model, modality):
    """A batch padded for a longer clip's sake gives the shorter clips the same output."""
    batch = clips()
    padded = dataclasses.replace(
        batch,
        values={**batch.values, modality: torch.nn.functional.pad(batch.values[modality], (0, 0, 0, 0, 0, 4))},
        windows={**batch.windows, modality: torch.nn.functional.pad(batch.windows[modality], (0, 4))},
        steps={**batch.steps, modality: torch.nn.functional.pad(batch.steps[modality], (0, 0, 0, 4))},
    )
    assert_same(model(padded), model(batch))


@torch.no_grad()
@pytest.mark.parametrize("garbage", [1.0, 1e30])
@pytest.mark.parametrize("absent", [("audio",), ("video", "text"), tuple(SHAPES)])
def test_absent_modalities_cannot_change_an_output(model, absent, garbage):
    """A clip without some or any modality gets a finite output that its absent values do not touch."""
    where = (torch.arange(len(DIALOGUE)) % 2 == 0)[:, None].expand(-1, N)
    clean = dirty = clips()
    for m in absent:
        clean, dirty = spoilt(masked(clean, m, where), m, 0.0), spoilt(masked(dirty, m, where), m, garbage)
    output = model(clean)
    assert all(logits.isfinite().all() for logits in output.values())
    assert_same(model(dirty), output)


@torch.no_grad()
def test_other_conversations_and_padding_clips_cannot_change_an_output(model):
    """Turns of other conversations, clips that stand alone and empty clips beside it leave a conversation as it is."""
    batch = clips()
    empty = clips(seed=1)
    for m in SHAPES:
        empty = masked(empty, m, torch.ones(len(DIALOGUE), N, dtype=torch.bool))
    conversation, alone, one_empty = only(batch, [0, 3]), only(batch, [2]), only(empty, [4])
    expected = model(batch)
    assert_same(model(conversation), expected, [0, 3])
    assert_same(model(alone), expected, [2])
    beside = Batch(
        ids=conversation.ids + one_empty.ids,
        values={m: torch.cat([conversation.values[m], one_empty.values[m]]) for m in SHAPES},
        windows={m: torch.cat([conversation.windows[m], one_empty.windows[m]]) for m in SHAPES},
        steps={m: torch.cat([conversation.steps[m], one_empty.steps[m]]) for m in SHAPES},
        dialogue=torch.cat([conversation.dialogue, one_empty.dialogue]),
        turn=torch.cat([conversation.turn, one_empty.turn]),
    )
    assert_same({name: logits[:2] for name, logits in model(beside).items()}, expected, [0, 3])


@torch.no_grad()
def test_order_in_a_batch_does_not_matter(model):
    """The same clips in another order give the same outputs in that order."""
    batch = clips()
    order = [5, 2, 7, 0, 3, 1, 6, 4]
    assert_same(model(only(batch, order)), model(batch), order)


def test_gradients_flow(module):
    """The loss reaches parameters, finitely, also where modalities are missing."""
    model = build(module).train()
    where = (torch.arange(len(DIALOGUE)) % 3 == 0)[:, None].expand(-1, N)
    loss_of(model, masked(masked(clips(), "audio", where), "video", where)).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)


def test_eight_clips_can_be_learnt_by_heart(module):
    """Some tens of steps on eight random clips bring the loss down tenfold."""
    model, batch = build(module), clips()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    with torch.no_grad():
        before = loss_of(model, batch).item()
    model.train()
    for _ in range(60):
        optimiser.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimiser.step()
        if loss.item() < before / 20:
            break
    with torch.no_grad():
        assert loss_of(model.eval(), batch).item() < before / 10


def test_settings_are_frozen_have_defaults_and_say_what_they_are(module):
    """`Config` is a frozen dataclass, each field has a default and a line below it that says what it is."""
    config = module.Config()
    for entry in dataclasses.fields(config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, entry.name, None)
    (tree,) = ast.parse(inspect.getsource(module.Config)).body
    fields = [i for i, node in enumerate(tree.body) if isinstance(node, ast.AnnAssign)]
    assert len(fields) == len(dataclasses.fields(config))
    for i in fields:
        below = tree.body[i + 1] if i + 1 < len(tree.body) else None
        said = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and below.value.value
        assert isinstance(said, str), f"{module.__name__}.Config.{tree.body[i].target.id}"


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
