"""Eight random clips for any fusion model, and what can be done to them."""

import ast
import dataclasses
import inspect

import pytest
import torch

from fuse import losses
from fuse.batch import Batch

SHAPES = {"audio": (9, 16), "video": (5, 8), "text": (6, 16)}
TASKS = {"emotion": 7, "sentiment": 3}
OTHER_TASKS = {"sentiment_score": 1, "emotions": 6, "emotion8": 8}
N = 3  # windows
# Two turns of one conversation, two of another, four clips that stand alone; the order is mixed on purpose.
DIALOGUE, TURN = [0, 1, -1, 0, -1, 1, -1, -1], [0, 1, 0, 1, 0, 0, 0, 0]
SPEAKER = [3, 5, -1, 4, 3, 5, -1, 8]


def shapes_of(module):
    """Return the shapes of those modalities that a model can take."""
    return {m: shape for m, shape in SHAPES.items() if m in getattr(module, "MODALITIES", SHAPES)}


def build(module, seed=0, tasks=TASKS):
    """Return the model with its own settings, in eval mode."""
    torch.manual_seed(seed)
    return module.Model(module.Config(), shapes_of(module), tasks).eval()


def clips_of(module, seed=0):
    """Return the eight clips with the modalities that a model can take."""
    batch, taken = clips(seed), shapes_of(module)
    kept = {
        field: {m: x for m, x in getattr(batch, field).items() if m in taken}
        for field in ("values", "windows", "steps")
    }
    return dataclasses.replace(batch, **kept)


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
        speaker=torch.tensor(SPEAKER),
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
        speaker=batch.speaker[index],
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


def loss_of(output, batch):
    """Return the training loss, summed over tasks."""
    return sum(losses.soft_cross_entropy(output[task], batch.labels[task], batch.known[task]) for task in TASKS)


def right(output, batch):
    """Return whether every clip is given its class in every task."""
    return all((output[task].argmax(dim=1) == batch.labels[task].argmax(dim=1)).all() for task in TASKS)


def padded(batch, modality, windows=0, steps=0):
    """Lengthen a batch by windows, or windows by steps, that do not exist."""
    pad = torch.nn.functional.pad
    return dataclasses.replace(
        batch,
        values={**batch.values, modality: pad(batch.values[modality], (0, 0, 0, steps, 0, windows))},
        windows={**batch.windows, modality: pad(batch.windows[modality], (0, windows))},
        steps={**batch.steps, modality: pad(batch.steps[modality], (0, steps, 0, windows))},
    )


def assert_settings_explained(module):
    """Check that a file's `Config` is frozen and that each field has a default and a line below it."""
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
