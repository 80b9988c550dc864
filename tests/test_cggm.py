"""Gradient modulation against numbers worked by hand, and what the guides look at."""

import dataclasses

import fuse_kit
import numpy as np
import pytest
import torch
from torch import nn

from fuse import seams
from fuse.strategies import cggm

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

PLAIN = ("config.dropout=0.0", "strategies.cggm={dropout=0.0}", "train.clip_norm=0.0")


@pytest.fixture
def joined(roots):  # noqa: ARG001 - it says where the cache lies
    """The clips of the small corpus, with a cache."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    return clips


def own(seed, modality):
    """Return the gradients of what is of one modality, by hand: the names of `concat` are known."""
    return {n: p.grad for n, p in seed.model.named_parameters() if n.startswith(f"projections.{modality}.")}


def answered(seed, rows=range(8)):
    """Train a batch up to its gradients; return the batch."""
    batch = seed.data.batch(torch.tensor(rows))
    seed._loss(batch).backward()
    return batch


# The numbers.


@pytest.mark.parametrize(
    ("variant", "gains", "expected"),
    [
        ("authors", (0.3, 0.1, 0.1), (0.4, 0.8, 0.8)),
        ("repaired", (0.3, 0.1, 0.1), (0.4, 0.8, 0.8)),
        ("authors", (0.3, -0.1, 0.1), (0.0, 4 / 3, 2 / 3)),
        ("repaired", (0.3, -0.1, 0.1), (0.25, 1.0, 0.75)),
        ("authors", (0.1, -0.3), (1.5, -0.5)),
        ("repaired", (0.1, -0.3), (0.0, 1.0)),
        ("authors", (0.5, -0.5), (-5e7, 5e7)),
        ("repaired", (0.5, -0.5), (0.0, 1.0)),
        ("repaired", (0.0, 0.0, 0.0), (2 / 3, 2 / 3, 2 / 3)),
        ("repaired", (-0.1, -0.3), (0.5, 0.5)),
    ],
)
def test_coefficients_by_hand(variant, gains, expected):
    """A modality's coefficient is what the others gained of what all gained; repaired, it lies between 0 and 1."""
    found = cggm.coefficients(torch.tensor(gains), variant)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_the_direction_by_hand():
    """Of cosines 1/2 and 0 with coefficients 0.4 and -0.5 the loss is (0.4 - 0.2 + 0.5) / 2, and its slope follows."""
    fusion = torch.eye(2, requires_grad=True)
    guides = [torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.tensor([[0.0, -1.0], [1.0, 0.0]])]
    found = cggm.direction_loss(torch.tensor([0.4, -0.5]), guides, fusion)
    assert found.item() == pytest.approx(0.35)
    found.backward()
    torch.testing.assert_close(fusion.grad, torch.tensor([[-0.05, -0.225], [0.125, 0.05]]))


def test_a_direction_without_length_is_none():
    """Gradients of zero have the cosine 0 and teach nothing that is not finite."""
    fusion = torch.zeros(2, 2, requires_grad=True)
    found = cggm.direction_loss(torch.tensor([0.5, 1.0]), [torch.eye(2), torch.zeros(2, 2)], fusion)
    assert found.item() == pytest.approx(0.75)
    found.backward()
    assert fusion.grad.isfinite().all()


def test_gradients_are_scaled_by_hand(joined, tmp_path):
    """Accuracies of 3/8, 4/8 and 6/8 after 1/8, 4/8 and 4/8: gains 1/4, 0 and 1/4, factors 0.65, 1.3 and 0.65."""
    seed = fuse_kit.seed_of(joined, tmp_path, *PLAIN)
    strategy = fuse_kit.strategy_of(seed)
    strategy.accuracies.copy_(torch.tensor([1, 4, 4]) / 8)
    strategy.right.copy_(torch.tensor([3.0, 4.0, 6.0]))
    strategy.seen.fill_(8.0)
    for parameter in seed.model.parameters():
        parameter.grad = torch.full_like(parameter, 2.0)
    strategy.steer()
    for modality, factor in (("audio", 0.65), ("video", 1.3), ("text", 0.65)):
        for gradient in own(seed, modality).values():
            torch.testing.assert_close(gradient, torch.full_like(gradient, 2 * factor))
    for parameter in seed.model.heads.parameters():
        assert (parameter.grad == 2).all()
    torch.testing.assert_close(strategy.accuracies, torch.tensor([3, 4, 6]) / 8)
    torch.testing.assert_close(strategy.shares, torch.tensor([0.5, 1.0, 0.5]))
    assert not strategy.seen.any()
    assert not strategy.right.any()


# What it does in training.


@pytest.mark.parametrize("variant", ["authors", "repaired"])
def test_a_step_is_what_plain_gradients_and_guides_say(joined, tmp_path, variant):
    """In the first step nothing but the scale of each modality's gradients differs from a run without it."""
    settings = ("config.dropout=0.0", "train.clip_norm=0.0")
    plain = fuse_kit.seed_of(joined, tmp_path / "plain", *settings)
    seed = fuse_kit.seed_of(
        joined, tmp_path / "cggm", *settings, f"strategies.cggm={{dropout=0.0,variant={variant!r}}}"
    )
    answered(plain, range(24))
    strategy = fuse_kit.strategy_of(seed)
    with torch.no_grad():  # guides that say one thing of all clips would hide whose accuracy is whose
        for number, guide in enumerate(strategy.guides.values()):
            guide.last.weight *= 5 * (1 + number)
    batch = answered(seed, range(24))
    accuracies = []
    for m, guide in strategy.guides.items():
        features = seed.model.projections[m](batch.mean_of_steps(m))[:, None]
        said = guide(features, torch.ones(24, 1, dtype=torch.bool)).argmax(dim=1)
        accuracies.append((said == batch.labels["emotion"].argmax(dim=1)).double().mean().item())
    assert len(set(accuracies)) > 1
    gains = np.array(accuracies)
    strategy.steer()
    for modality, factor in zip(("audio", "video", "text"), 1.3 * (gains.sum() - gains) / gains.sum(), strict=True):
        assert own(seed, modality)
        for name, gradient in own(seed, modality).items():
            torch.testing.assert_close(gradient, factor * own(plain, modality)[name], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(strategy.accuracies.double(), torch.from_numpy(gains), rtol=1e-6, atol=1e-6)
    for one, other in zip(seed.model.heads.parameters(), plain.model.heads.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_the_term_is_added_to_the_next_step(joined, tmp_path):
    """With the coefficients of the last step, and `direction` as its weight; before the first step there is none."""
    without = fuse_kit.seed_of(joined, tmp_path / "0", *PLAIN, "strategies.cggm.direction=0.0")
    seed = fuse_kit.seed_of(
        joined, tmp_path / "1", *PLAIN, "strategies.cggm.direction=0.5", "strategies.cggm.variant=authors"
    )
    strategy = fuse_kit.strategy_of(seed)
    rows = torch.tensor(range(8))
    first = [one._loss(one.data.batch(rows)).item() for one in (seed, without)]
    assert first[0] == pytest.approx(first[1])
    shares = torch.tensor([0.5, -1.0, 2.0])
    strategy.shares.copy_(shares)
    added = seed._loss(seed.data.batch(rows)) - without._loss(without.data.batch(rows))
    head = seed.model.heads["emotion"].weight.detach().double().flatten().numpy()
    cosines = []
    for guide in strategy.guides.values():
        last = guide.last.weight.detach().double().flatten().numpy()
        cosines.append(last @ head / np.linalg.norm(last) / np.linalg.norm(head))
    expected = 0.5 * (np.abs(shares.numpy()) - shares.numpy() * np.array(cosines)).mean()
    assert added.item() == pytest.approx(expected.item(), rel=1e-4)


def test_repaired_directions_are_those_of_gradients(joined, tmp_path):
    """The fusion's gradient is the mean over clips of (share - label) times what the head reads, by hand."""
    seed = fuse_kit.seed_of(joined, tmp_path, *PLAIN)
    strategy, seen = fuse_kit.strategy_of(seed), []
    strategy.shares.copy_(torch.tensor([0.5, 1.0, 0.5]))
    module = seams.representation(seed.model)
    module.register_forward_hook(lambda _module, _given, output: seen.append(output))
    batch = seed.data.batch(torch.tensor(range(8)))
    outputs = seed.model(batch)
    wrong = outputs["emotion"].softmax(dim=1) - batch.labels["emotion"]
    fusion = (wrong[:, :, None] * seen[0][:, None]).mean(dim=0)
    lasts = []
    for m, guide in strategy.guides.items():
        features = seed.model.projections[m](batch.mean_of_steps(m)).detach()[:, None]
        logits = guide(features, torch.ones(8, 1, dtype=torch.bool))
        nn.functional.cross_entropy(logits, batch.labels["emotion"]).backward()
        lasts.append(guide.last.weight.grad.clone())
        guide.zero_grad()
    expected = cggm.direction_loss(strategy.shares, lasts, fusion)
    own = list(seed.model.projections.parameters())
    whole = strategy.loss(outputs, batch)
    slopes = torch.autograd.grad(whole, own, retain_graph=True)  # guides send nothing back: all of it is the term's
    for slope, by_hand in zip(slopes, torch.autograd.grad(0.2 * expected, own, retain_graph=True), strict=True):
        assert by_hand.abs().max() > 0
        torch.testing.assert_close(slope, by_hand, rtol=1e-3, atol=1e-7)
    strategy._config = dataclasses.replace(strategy._config, direction=0.0)
    torch.testing.assert_close(whole - strategy.loss(outputs, batch), 0.2 * expected, rtol=1e-4, atol=1e-6)


def test_guides_send_nothing_back(joined, tmp_path):
    """Without the direction term, gradients of the model are those of a run without the strategy."""
    plain = fuse_kit.seed_of(joined, tmp_path / "plain", "config.dropout=0.0")
    seed = fuse_kit.seed_of(joined, tmp_path / "cggm", *PLAIN, "strategies.cggm.direction=0.0")
    answered(plain)
    answered(seed)
    for one, other in zip(seed.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    guides = fuse_kit.strategy_of(seed).guides
    assert all(parameter.grad.abs().max() > 0 for parameter in guides.parameters() if parameter.dim() > 1)


def test_several_batches_make_the_accuracy_of_a_step(joined, tmp_path):
    """With accumulated batches the accuracies are of all clips of the step."""
    seed = fuse_kit.seed_of(joined, tmp_path, *PLAIN, "train.accumulate=2")
    strategy = fuse_kit.strategy_of(seed)
    counts = []
    for rows in (range(8), range(8, 24)):
        before = strategy.right.clone()
        answered(seed, rows)
        counts.append(strategy.right - before)
    strategy.steer()
    torch.testing.assert_close(strategy.accuracies, sum(counts) / 24)


def test_guides_learn_at_their_own_rate(joined, tmp_path):
    """That of video comes to know which two of the four classes it can be, and no more is there to be known."""
    settings = (*PLAIN, "train.epochs=40", "train.patience=40", "train.schedule=constant", "strategies.cggm.lr=2e-3")
    seed = fuse_kit.seed_of(joined, tmp_path, *settings)
    list(seed.epochs())
    assert {group["lr"] for group in seed.optimiser.param_groups} == {1e-2, 2e-3}
    batch = seed.data.batch(torch.tensor(seed.split.train))
    features = seed.model.projections["video"](batch.mean_of_steps("video"))[:, None]
    with torch.no_grad():
        guide = fuse_kit.strategy_of(seed).guides["video"]
        shares = guide(features, torch.ones(24, 1, dtype=torch.bool)).softmax(dim=1)
    upper = shares[:, 2:4].sum(dim=1)  # of sad and anger, which are every third and fourth clip
    assert upper.reshape(6, 4).mean(dim=0).round().tolist() == [0, 0, 1, 1]
    assert seed.progress.best_score > 0.8


# What is absent.


def test_clips_without_a_modality_do_not_count(roots, tmp_path):  # noqa: ARG001 - it says where the cache lies
    """They are left out of its accuracy and of its guide's loss, whatever the guide would say of them."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, missing=lambda m, clip: m == "video" and int(clip.id.rpartition("_")[2]) % 2 == 0)
    seed = fuse_kit.seed_of(clips, tmp_path, *PLAIN)
    strategy = fuse_kit.strategy_of(seed)
    answered(seed)
    assert strategy.seen.tolist() == [8, 4, 8]
    strategy.steer()
    before = strategy.accuracies.clone()
    guide = strategy.guides["video"]
    guide.zero_grad()
    answered(seed, range(0, 8, 2))
    assert strategy.seen.tolist() == [4, 0, 4]
    assert all(p.grad is None or not p.grad.any() for p in guide.parameters())
    strategy.steer()
    assert strategy.accuracies[1] == before[1]
    assert strategy.shares.isfinite().all()


def test_padded_steps_tell_a_guide_nothing():
    """A guide takes the mean of real steps alone, and bears clips that have none."""
    torch.manual_seed(0)
    guide = cggm.Guide(cggm.Config(dropout=0.0), 6, 12, 4)
    steps = torch.randn(3, 5, 6)
    real = torch.tensor([[True] * 3 + [False] * 2, [True] * 5, [False] * 5])
    spoilt = torch.where(real[:, :, None], steps, 1e3)
    torch.testing.assert_close(guide(spoilt, real)[:2], guide(steps, real)[:2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(guide(steps[:1, :3], real[:1, :3]), guide(steps, real)[:1], rtol=1e-4, atol=1e-5)
    assert guide(spoilt, real).isfinite().all()


# Whom it suits.


@pytest.mark.parametrize("tasks", ["sentiment,emotion", "emotions", "sentiment_score"])
def test_the_first_task_guides(joined, tmp_path, tasks):
    """Whatever its kind: guides are as wide as its classes, and accuracies are shares."""
    seed = fuse_kit.seed_of(joined, tmp_path, f"tasks={tasks}", "strategies.cggm={}")
    strategy, task = fuse_kit.strategy_of(seed), tasks.partition(",")[0]
    assert strategy.guides["audio"].last.weight.shape == seed.model.heads[task].weight.shape
    list(seed.epochs())
    assert 0 < strategy.accuracies.min() <= strategy.accuracies.max() <= 1


def test_a_score_is_right_on_the_right_side_of_the_mean(joined, tmp_path):
    """The scores of the corpus, 0, 1.6, -0.8 and -2.2, have the mean -0.35."""
    strategy = fuse_kit.strategy_of(fuse_kit.seed_of(joined, tmp_path, "tasks=sentiment_score", "strategies.cggm={}"))
    assert strategy.middle.item() == pytest.approx(-0.35)
    said, true = torch.tensor([[-0.3], [-0.4], [5.0]]), torch.tensor([[0.0], [0.0], [-0.8]])
    assert strategy._known(said, true).tolist() == [1.0, 0.0, 0.0]


def test_several_classes_are_right_by_the_share_of_them(joined, tmp_path):
    """Two of six wrong are a third."""
    strategy = fuse_kit.strategy_of(fuse_kit.seed_of(joined, tmp_path, "tasks=emotions", "strategies.cggm={}"))
    said, true = torch.tensor([[1.0, -1, -1, 1, -1, -1]]), torch.tensor([[1.0, 0, 0, 0, 0.5, 0.4]])
    assert strategy._known(said, true).item() == pytest.approx(4 / 6)


def test_one_modality_is_refused(joined, tmp_path):
    """There is nothing to balance, and the message says what to do."""
    with pytest.raises(
        ValueError, match=r"^cggm: expected at least two modalities.* got text; .* leave this strategy out"
    ):
        fuse_kit.seed_of(joined, tmp_path, "modalities=text", "strategies.cggm={}")


@pytest.mark.parametrize("settings", [("heads=3",), ("width=0",), ("lr=0.0",)])
def test_dials_that_cannot_be_are_refused(settings):
    """A width that heads cannot share, and guides that never learn."""
    with pytest.raises(ValueError, match=r"cggm: expected"):
        fuse_kit.load_recipe("concat", f"strategies.cggm={{{','.join(settings)}}}")


def test_a_model_that_has_no_parameters_of_a_modality_is_refused(joined, tmp_path):
    """What is named and not trained cannot be steered."""
    with pytest.raises(ValueError, match=r"cggm: nothing that is trained is of audio alone; use concat"):
        fuse_kit.seed_of(
            joined,
            tmp_path,
            *(
                "model=mer_clip",
                "config.adapters=false",
                "config.label_encoder=false",
                "config.width=4",
                "config.heads=1",
            ),
            *("encoders.video=mfcc", "modalities=audio,video", "strategies.cggm={}"),
        )


@pytest.mark.parametrize(
    ("settings", "there"),
    [
        ((), True),
        (("train.freeze=heads.emotion",), False),
        (("strategies.cggm.direction=0.0",), False),
        (("model=unimodal",), False),
        (("model=cross_bert",), False),
        (("model=mer_clip", "config.width=32"), False),
        (("model=mer_clip", "config.width=32", "config.label_encoder=false"), True),
        (("model=lefsa", "config.width=16"), True),
    ],
)
def test_the_term_needs_a_linear_head_that_is_trained(joined, tmp_path, settings, there):
    """Where the fusion has none, gradients are scaled all the same."""
    seed = fuse_kit.seed_of(joined, tmp_path, "strategies.cggm={}", *settings)
    strategy = fuse_kit.strategy_of(seed)
    batch = seed.data.batch(torch.tensor(range(8)))
    outputs = seed.model.train()(batch)
    found = [guide.last.weight.sum() * 0 for guide in strategy.guides.values()]
    assert bool(strategy._direction(found, outputs, batch)) == there
    next(seed.epochs())
    assert strategy.accuracies.any()


@pytest.mark.parametrize("variant", ["authors", "repaired"])
def test_it_goes_on_as_it_would_have(joined, tmp_path, monkeypatch, variant):
    """What it remembers of the last step is saved: the run ends with the same weights and coefficients, to the bit."""
    monkeypatch.setattr("fuse.train.SAVE_EVERY_S", 0.0)
    settings = ("train.accumulate=2", f"strategies.cggm={{variant={variant!r}}}")
    whole = fuse_kit.trained(joined, tmp_path / "whole", *settings)
    next(fuse_kit.seed_of(joined, tmp_path / "cut", *settings).epochs())
    again = fuse_kit.seed_of(joined, tmp_path / "cut", *settings)
    assert fuse_kit.strategy_of(again).accuracies.any()
    list(again.epochs())
    for one, other in zip(
        again._strategies.state_dict().values(), whole._strategies.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
    assert again.progress == whole.progress
