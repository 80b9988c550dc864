"""LEFSA computes what the authors' code computes, and the comparison notices the mistakes one could make."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch

from fuse.batch import Batch
from fuse.losses import soft_cross_entropy
from fuse.models import lefsa

GOLDEN = Path(__file__).parent / "golden"
SHAPES = {"audio": (149, 1024), "video": (30, 512), "text": (48, 1024)}
TASKS = {"emotion": 7, "sentiment": 3}


def _load_fill():
    spec = spec_from_file_location("golden_fill", GOLDEN / "fill.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fill = _load_fill()


def batch_of(values):
    """One window per clip and modality, every step real."""
    b = len(values["audio"])
    return Batch(
        ids=tuple(f"clip{i}" for i in range(b)),
        values={m: x[:, None] for m, x in values.items()},
        windows={m: torch.ones(b, 1, dtype=torch.bool) for m in values},
        steps={m: torch.ones(b, 1, x.shape[1], dtype=torch.bool) for m, x in values.items()},
        dialogue=torch.full((b,), -1),
        turn=torch.zeros(b, dtype=torch.long),
    )


@pytest.fixture(scope="module")
def golden():
    """Read what the authors' code gave for weights and inputs that are made from names."""
    with np.load(GOLDEN / "lefsa.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def state(golden):
    """Fill the same weights under the authors' names."""
    meta = json.loads(str(golden["meta"]))
    state = fill.fill_({name: torch.zeros(shape) for name, shape in meta["state_dict"].items()}, seed=meta["seed"])
    for modality in "avt":
        state[f"{modality}_upsampler.upsampler.0.weight"] *= 64
    return state


@pytest.fixture(scope="module")
def values():
    """Make the same two clips."""
    values = {}
    for m, (t, d) in SHAPES.items():
        offset = fill.inputs(f"lefsa.{m}.offset", (2, 1, d))
        values[m] = torch.from_numpy(fill.inputs(f"lefsa.{m}", (2, t, d)) + offset)
    values["text"][1, 40:] = 0
    return values


def build(state, kind=lefsa.Model):
    """Return a model of some kind that holds the golden weights."""
    model = kind(lefsa.Config(), SHAPES, TASKS)
    model.load_state_dict(lefsa.from_reference(state))
    return model.eval()


def joined(output, prefix=""):
    """Both tasks side by side, as the authors' code returns them."""
    return torch.cat([output[f"{prefix}{task}"] for task in TASKS], dim=1).numpy()


def assert_golden(got, expected):
    """Compare within the tolerance that the golden file states."""
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_every_logit_matches_the_authors(golden, state, values):
    """The final, the three unimodal and the multimodal logits are those of the authors' code."""
    output = build(state)(batch_of(values))
    assert_golden(joined(output), golden["logits"])
    assert_golden(joined(output, "multimodal/"), golden["multimodal_logits"])
    for m in SHAPES:
        assert_golden(joined(output, f"{m}/"), golden[f"uni_logits_{m[0]}"])


@torch.no_grad()
def test_every_block_matches_the_authors(golden, state, values):
    """Each of the six cross blocks and what is made of them match, so that a difference can be found."""

    def fuse(self, means):
        names = [f"block_{key[0]}_{query[0]}_mean" for *keys, query in lefsa.WIRING for key in keys]
        for name, mean in zip(names, means, strict=True):
            assert_golden(mean, golden[name])
        assert_golden(torch.cat(means, dim=1), golden["pooled"])
        hidden = lefsa.Model.fuse(self, means)
        assert_golden(hidden, golden["h"])
        return hidden

    build(state, type("Watched", (lefsa.Model,), {"fuse": fuse}))(batch_of(values))


@torch.no_grad()
@pytest.mark.parametrize("clip", [0, 1])
def test_a_clip_alone_matches_the_authors(golden, state, values, clip):
    """A batch of one works and gives the authors' numbers."""
    output = build(state)(batch_of({m: x[clip : clip + 1] for m, x in values.items()}))
    assert_golden(joined(output), golden[f"logits_batch1_{clip}"])


def test_the_golden_tolerance_is_ours(golden):
    """The tolerance and the change to the weights are copied here; the golden file has not moved on."""
    meta = json.loads(str(golden["meta"]))
    assert meta["tolerance"].startswith("rtol 1e-4, atol 1e-5")
    assert "upsampler.0.weight (ConvTranspose1d) by 64" in meta["post_fill"]


# Which features query, key and value take; the authors' way is labelled, plain, labelled.
WRONG_ROLES = {
    "label encoding on query and key": ("labelled", "labelled", "plain"),
    "label encoding on all three": ("labelled", "labelled", "labelled"),
    "label encoding left out": ("plain", "plain", "plain"),
}
# Which block mean stands where; the authors' order is av, tv, at, vt, va, ta (key, query).
WRONG_ORDERS = {
    "halves of each group exchanged": (1, 0, 3, 2, 5, 4),
    "groups in the order of modalities": (4, 5, 0, 1, 2, 3),
    "blocks paired by key": (0, 2, 4, 3, 5, 1),
}


def with_roles(query_role, key_role, value_role):
    """Return a cross attention whose roles take other features."""

    def attend(self, key, query, plain, labelled):
        features = {"plain": plain, "labelled": labelled}
        block = self.blocks[f"{key}_{query}"]
        return block(features[query_role][query], features[key_role][key], features[value_role][key]).mean(dim=1)

    return {"attend": attend}


def swapped(self, key, query, plain, labelled):
    """Ask from the modality that should be looked at."""
    return self.blocks[f"{key}_{query}"](labelled[key], plain[query], labelled[query]).mean(dim=1)


def with_order(order):
    """Return a fusion that joins the block means in another order."""
    return {"fuse": lambda self, means: lefsa.Model.fuse(self, [means[i] for i in order])}


MISTAKES = {
    **{name: with_roles(*roles) for name, roles in WRONG_ROLES.items()},
    "query and key modality swapped": {"attend": swapped},
    **{name: with_order(order) for name, order in WRONG_ORDERS.items()},
    "no residual": {"fuse": lambda self, means: self.hidden(torch.cat(means, dim=1))},
}


@torch.no_grad()
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(golden, state, values, name):
    """Each way of wiring it wrongly moves the final logits a thousand times beyond the tolerance."""
    mistaken = build(state, type("Mistaken", (lefsa.Model,), MISTAKES[name]))
    change = np.abs(joined(mistaken(batch_of(values))) - golden["logits"]).max()
    assert change > 0.05, f"{name} changes the logits by {change:.1e}"


def test_parameters_are_counted_as_published():
    """The trainable parameters are those of the authors' code, to the last one."""
    model = lefsa.Model(lefsa.Config(), SHAPES, TASKS)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 7_186_260


def test_the_authors_names_fit_one_to_one(state):
    """Every parameter of the authors' checkpoint has a place here, and every place is filled."""
    assert len(lefsa.from_reference(state)) == len(state)
    assert lefsa.from_reference(state).keys() == lefsa.Model(lefsa.Config(), SHAPES, TASKS).state_dict().keys()


def test_tasks_keep_the_order_they_are_given_in():
    """Another order and other numbers of classes give logits of the right size under the right names."""
    shapes = {"text": (4, 6), "audio": (9, 8), "video": (3, 5)}
    model = lefsa.Model(lefsa.Config(width=8, heads=2), shapes, {"sentiment": 3, "emotion": 6, "valence": 2})
    output = model(batch_of({m: torch.randn(2, *shape) for m, shape in shapes.items()}))
    assert list(output)[:3] == ["sentiment", "emotion", "valence"]
    assert [output[f"{m}/emotion"].shape for m in ("", *shapes, "multimodal") if m] == [(2, 6)] * 4
    four = torch.stack([output[f"{m}/valence"] for m in (*shapes, "multimodal")])
    torch.testing.assert_close(output["valence"], four.mean(dim=0))


def test_a_missing_modality_is_refused():
    """The message says what was expected, what came and what to do."""
    with pytest.raises(ValueError, match=r"expected the modalities audio, video, text, got audio, text; .*concat"):
        lefsa.Model(lefsa.Config(), {"audio": (9, 8), "text": (4, 8)}, TASKS)


@pytest.mark.parametrize(
    ("name", "weighted", "alphas"),
    [("plain", False, (1, 1)), ("weighted", True, (1, 1)), ("weighted_alpha", True, (0.3, 2))],
)
def test_the_loss_matches_the_authors(golden, name, weighted, alphas):
    """The sum of both tasks' losses is the authors' `EmotionSentimentLoss`, with and without weights."""
    weights = (torch.tensor([0.5, 1.5, 1, 2, 0.8, 1.2, 3]), torch.tensor([1.4, 0.7, 0.9])) if weighted else (None, None)
    logits, targets = (torch.from_numpy(golden[k]).split([7, 3], dim=1) for k in ("logits", "loss_targets"))
    known = torch.ones(2, dtype=torch.bool)
    parts = [soft_cross_entropy(x, y, known, w) for x, y, w in zip(logits, targets, weights, strict=True)]
    total = sum(alpha * part for alpha, part in zip(alphas, parts, strict=True))
    assert_golden(total, golden[f"loss_{name}"][0])
