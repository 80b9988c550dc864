"""LEFSA computes what the authors' code computes, LEFS and BFS are what is left of it, and mistakes are noticed."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from batch_kit import batch_of
from golden import fill

from fuse.batch import Batch
from fuse.losses import soft_cross_entropy
from fuse.models import bfs, lefs, lefsa

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parent / "golden"
SHAPES = {"audio": (149, 1024), "video": (30, 512), "text": (48, 1024)}
TASKS = {"emotion": 7, "sentiment": 3}
SMALL = {"audio": (9, 8), "video": (3, 5), "text": (4, 6)}
FAMILY = (bfs, lefs, lefsa)


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
        names = [f"block_{key[0]}_{query[0]}_mean" for *keys, query in bfs.WIRING for key in keys]
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


NARROW_VIDEO = {**SHAPES, "video": (30, 256)}
NARROW_TEXT = {**SHAPES, "text": (48, 768)}


@pytest.mark.parametrize(
    ("variant", "shapes", "counts"),
    [
        ("authors", SHAPES, (6_578_442, 7_185_960, 7_186_260)),
        ("authors", NARROW_VIDEO, (6_512_906, 7_117_864, 7_118_164)),
        ("authors", NARROW_TEXT, (6_512_906, 7_117_864, 7_118_164)),
        ("paper_literal", SHAPES, (6_578_442, 7_139_624, 7_139_624)),
    ],
)
def test_parameters_are_counted_as_published(variant, shapes, counts):
    """The trainable parameters of BFS, LEFS and LEFSA are those of the authors' code and of the paper, to the last."""
    models = [file.Model(file.Config(variant=variant), shapes, TASKS) for file in FAMILY]
    assert tuple(sum(p.numel() for p in model.parameters() if p.requires_grad) for model in models) == counts


def test_the_authors_names_fit_one_to_one(state):
    """Every parameter of the authors' checkpoint has a place here, and every place is filled."""
    assert len(lefsa.from_reference(state)) == len(state)
    assert lefsa.from_reference(state).keys() == lefsa.Model(lefsa.Config(), SHAPES, TASKS).state_dict().keys()


@pytest.mark.parametrize("name", ["a_classifier.fc_emo.weight", "block_a_v.self_attention.in_proj", "x_upsampler.w"])
def test_unknown_names_of_a_checkpoint_are_refused(state, name):
    """A name that the authors do not have stays without a place, so that loading stops at it."""
    model = lefsa.Model(lefsa.Config(), SHAPES, TASKS)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        model.load_state_dict(lefsa.from_reference({**state, name: torch.zeros(1)}))


@torch.no_grad()
def test_the_weighted_fusion_matches_the_authors(golden, state, values):
    """The authors' unused alternative gives their numbers, with the same weights."""
    model = lefsa.Model(lefsa.Config(fusion="weighted"), SHAPES, TASKS)
    model.load_state_dict(lefsa.from_reference(state))
    assert_golden(joined(model.eval()(batch_of(values))), golden["logits_weighted_fusion"])


@torch.no_grad()
def test_lefs_answers_with_the_multimodal_logits(golden, state, values):
    """LEFS holds LEFSA's weights without the fusion of predictions, and answers what LEFSA calls multimodal."""
    model = lefs.Model(lefs.Config(), SHAPES, TASKS)
    ours = lefsa.from_reference(state)
    model.load_state_dict({name: x for name, x in ours.items() if not name.startswith("fusion_weights")})
    output = model.eval()(batch_of(values))
    assert_golden(joined(output), golden["multimodal_logits"])
    assert_golden(joined(output, "text/"), golden["uni_logits_t"])


@torch.no_grad()
def test_bfs_is_lefs_without_label_encoders(state, values):
    """With the same weights BFS is what LEFS is when its label encoding is zero; with the golden one it is not."""
    ours = {name: x for name, x in lefsa.from_reference(state).items() if not name.startswith("fusion_weights")}
    whole, without = lefs.Model(lefs.Config(), SHAPES, TASKS).eval(), bfs.Model(bfs.Config(), SHAPES, TASKS).eval()
    without.load_state_dict({name: x for name, x in ours.items() if not name.startswith("label_encoders")})
    output = joined(without(batch_of(values)))
    whole.load_state_dict(ours)
    assert np.abs(joined(whole(batch_of(values))) - output).max() > 0.05
    whole.load_state_dict({name: torch.zeros_like(x) if ".spread." in name else x for name, x in ours.items()})
    np.testing.assert_allclose(joined(whole(batch_of(values))), output, rtol=1e-5, atol=1e-6)
    assert set(without(batch_of(values))) == set(TASKS)


@torch.no_grad()
def test_paper_literal_has_thirty_steps_of_every_modality():
    """The convolutions run, the guess has two layers, and every modality crosses as 30 x 256, however short it is."""

    def attend(self, key, query, plain, labelled):
        assert {tuple(x.shape) for x in (*plain.values(), *labelled.values())} == {(2, 30, 8)}
        return lefsa.Model.attend(self, key, query, plain, labelled)

    torch.manual_seed(0)
    watched = type("Watched", (lefsa.Model,), {"attend": attend})
    model = watched(lefsa.Config(width=8, heads=2, variant="paper_literal"), SMALL, TASKS).eval()
    batch = batch_of({m: torch.randn(2, *shape) for m, shape in SMALL.items()})
    before = model(batch)["emotion"]
    model.projections["video"].time[3].weight.mul_(3)
    assert (model(batch)["emotion"] - before).abs().max() > 1e-3
    assert not list(model.fusion_weights)
    assert [type(layer).__name__ for layer in model.label_encoders["text"].heads["emotion"]] == [
        "Linear",
        "ReLU",
        "Dropout",
        "Linear",
    ]


def test_paper_literal_refuses_a_single_step():
    """What is one vector per clip would be normed to nothing; the message names the modality and the way out."""
    with pytest.raises(ValueError, match=r"text: expected two steps or more .*, got 1; use the variant authors"):
        bfs.Model(bfs.Config(variant="paper_literal"), {**SMALL, "text": (1, 6)}, TASKS)


@torch.no_grad()
def test_the_order_of_tasks_does_not_matter(state, values):
    """The authors' checkpoint gives the same logits under the same names in whatever order a recipe names the tasks."""
    model = lefsa.Model(lefsa.Config(), SHAPES, dict(reversed(TASKS.items())))
    model.load_state_dict(lefsa.from_reference(state))
    np.testing.assert_array_equal(joined(model.eval()(batch_of(values))), joined(build(state)(batch_of(values))))


def test_any_tasks_will_do():
    """Other tasks and numbers of classes give logits of the right size, and still the mean of four."""
    model = lefsa.Model(lefsa.Config(width=8, heads=2), SMALL, {"sentiment": 3, "emotion": 6, "valence": 2})
    output = model(batch_of({m: torch.randn(2, *shape) for m, shape in SMALL.items()}))
    assert [output[f"{m}/emotion"].shape for m in (*SMALL, "multimodal")] == [(2, 6)] * 4
    four = torch.stack([output[f"{m}/valence"] for m in (*SMALL, "multimodal")])
    torch.testing.assert_close(output["valence"], four.mean(dim=0))


def windowed():
    """Three clips of one, two and three windows, whose audio windows differ."""
    windows = torch.arange(3)[None, :] <= torch.arange(3)[:, None]
    return Batch(
        ids=("a", "b", "c"),
        values={m: torch.randn(3, 3, *shape, generator=torch.Generator().manual_seed(0)) for m, shape in SMALL.items()},
        windows=dict.fromkeys(SMALL, windows),
        steps={m: windows[:, :, None].expand(3, 3, t) for m, (t, _) in SMALL.items()},
        dialogue=torch.full((3,), -1),
        turn=torch.zeros(3, dtype=torch.long),
        speaker=torch.full((3,), -1),
    )


def weighing(file, seed=0):
    """Return a small model that weighs windows, and the same that averages them."""
    torch.manual_seed(seed)
    weighs = file.Model(file.Config(width=8, heads=2, windows="attention"), SMALL, TASKS).eval()
    averages = file.Model(file.Config(width=8, heads=2), SMALL, TASKS).eval()
    left_over = averages.load_state_dict(weighs.state_dict(), strict=False)
    assert left_over.unexpected_keys == [f"window_attention.{m}.score.weight" for m in SMALL]
    return weighs, averages


@torch.no_grad()
@pytest.mark.parametrize("file", FAMILY)
def test_weighing_windows_begins_as_their_mean(file):
    """Before training every window weighs the same, for clips of one, two and three windows."""
    weighs, averages = weighing(file)
    expected = averages(windowed())
    for name, logits in weighs(windowed()).items():
        torch.testing.assert_close(logits, expected[name], rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_a_high_score_lets_one_window_speak():
    """A window whose mean scores far above the others is the clip; a window that does not exist never is."""
    weighs, averages = weighing(bfs)
    weighs.window_attention["audio"].score.weight[0, 0] = 1e5
    batch = windowed()
    first = batch.values["audio"][..., 0].mean(dim=2).masked_fill(~batch.windows["audio"], -torch.inf).argmax(dim=1)
    chosen = torch.nn.functional.one_hot(first, 3).bool()
    alone = dataclasses.replace(batch, windows={**batch.windows, "audio": chosen})
    torch.testing.assert_close(weighs(batch)["emotion"], averages(alone)["emotion"], rtol=1e-4, atol=1e-5)
    assert (weighs(batch)["emotion"] - averages(batch)["emotion"]).abs().max() > 1e-3


def test_the_scorer_is_trained():
    """The loss reaches the scores of every modality although they begin at zero, and without a window all is finite."""
    weighs, _ = weighing(lefsa)
    none = torch.zeros(3, 3, dtype=torch.bool)
    for batch in (windowed(), windowed().without({m: torch.tensor([True, False, False]) for m in SMALL})):
        weighs.zero_grad()
        weighs(batch)["emotion"].square().sum().backward()
        gradients = [weighs.window_attention[m].score.weight.grad for m in SMALL]
        assert all(x.isfinite().all() and x.abs().max() > 0 for x in gradients)
    empty = dataclasses.replace(windowed(), windows=dict.fromkeys(SMALL, none))
    assert weighs(empty)["emotion"].isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("settings", [{}, {"variant": "paper_literal"}, {"windows": "attention"}])
@pytest.mark.parametrize("file", FAMILY)
def test_a_batch_of_short_clips_is_lengthened(file, settings):
    """A clip gives the same logits beside a longer one as in a batch that is only as long as itself."""
    torch.manual_seed(0)
    model = file.Model(file.Config(width=8, heads=2, **settings), SMALL, TASKS).eval()
    if "windows" in settings:
        model.window_attention["audio"].score.weight.normal_()
    batch = windowed()
    real = torch.arange(9) < 4
    batch = dataclasses.replace(
        batch,
        values={**batch.values, "audio": batch.values["audio"] * real[:, None]},
        steps={**batch.steps, "audio": batch.steps["audio"] & real},
    )
    short = dataclasses.replace(
        batch,
        values={**batch.values, "audio": batch.values["audio"][:, :, :4]},
        steps={**batch.steps, "audio": batch.steps["audio"][:, :, :4]},
    )
    expected = model(batch)
    for name, logits in model(short).items():
        torch.testing.assert_close(logits, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("file", FAMILY)
def test_the_threshold_is_the_papers(file):
    """All three say that an emotion is there from one seventh on."""
    assert pytest.approx(1 / 7) == file.THRESHOLD


@pytest.mark.parametrize(
    ("file", "settings", "message"),
    [
        (bfs, {"heads": 3}, "bfs, lefs, lefsa: expected a width that its heads share evenly, got 256 and 3"),
        (lefsa, {"width": 0}, "expected a width"),
        (lefsa, {"variant": "paper_literal", "fusion": "weighted"}, "lefsa: expected fusion mean .*, got weighted"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(file, settings, message):
    """The message says what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        file.Config(**settings)


@pytest.mark.parametrize("file", FAMILY)
def test_a_missing_modality_is_refused(file):
    """The message says which model expected what, what came and what to do."""
    name = file.__name__.rpartition(".")[2]
    message = rf"^{name}: expected the modalities audio, video, text, got audio, text; .*concat"
    with pytest.raises(ValueError, match=message):
        file.Model(file.Config(), {"audio": (9, 8), "text": (4, 8)}, TASKS)


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
