"""The loop: same seed, same numbers; killed and continued, same weights; every dial does what it says."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fuse_kit
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fuse import protocol, train
from fuse.models import concat
from fuse.train import Seed

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

PLAIN = ("config.dropout=0.0", "train.weight_decay=0.0")
STREAMED = "data.memory_gb=4e-6"


@pytest.fixture
def joined(roots):  # noqa: ARG001 - it says where the cache lies
    """The clips of the small corpus, with a cache."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    return clips


def weights(seed):
    """The model that is scored."""
    return {name: tensor.clone() for name, tensor in seed.best().state_dict().items()}


def same(one, other):
    """Whether two sets of weights are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def moved(seed, begun):
    """Return the names of the weights that training has changed."""
    return {name for name, tensor in seed.model.state_dict().items() if not torch.equal(tensor, begun[name])}


def begun(seed):
    """Return a copy of the weights as they are now."""
    return {name: tensor.clone() for name, tensor in seed.model.state_dict().items()}


# Repeating and going on.


def test_same_seed_same_numbers(joined, tmp_path):
    """Two runs of a seed agree to the bit; another seed does not."""
    runs = [fuse_kit.trained(joined, tmp_path / str(i), number=number) for i, number in enumerate((0, 0, 1))]
    assert runs[0].progress == runs[1].progress
    assert same(weights(runs[0]), weights(runs[1]))
    assert not same(weights(runs[0]), weights(runs[2]))


RANDOM = ("train.sampler=weighted", "train.modality_drop={audio=0.3}", "train.noise=0.1", "train.time_mask=0.3")


@pytest.mark.parametrize(
    ("settings", "stop"),
    [
        ((), 1),
        ((), 2),
        ((), 5),
        (("train.schedule=plateau", "train.plateau=0", "train.factor=0.3"), 3),
        (("train.schedule=restarts", "train.every=2"), 3),
        (("train.schedule=exponential",), 2),
        (("train.schedule=steps", "train.every=2"), 3),
        (("train.schedule=constant", "train.optimiser=adam"), 2),
        (("train.accumulate=2", "train.lr_of.heads=1e-3", "train.freeze=projections.text"), 2),
        (RANDOM, 2),
        ((*RANDOM, "data.windows=vote"), 2),
        ((STREAMED,), 3),
        (("train.precision=bfloat16",), 2),
    ],
)
def test_stopped_and_continued_ends_with_the_same_weights(joined, tmp_path, monkeypatch, settings, stop):
    """Whatever is asked for, a run that is dropped goes on to equal weights, moments and history, to the bit."""
    monkeypatch.setattr(train, "SAVE_EVERY_S", 0.0)
    settings = ("train.epochs=6", "train.patience=100", *settings)
    whole = fuse_kit.trained(joined, tmp_path / "whole", *settings)
    for _, progress in zip(range(stop), fuse_kit.seed_of(joined, tmp_path / "cut", *settings).epochs(), strict=False):
        assert progress.epoch <= stop
    again = fuse_kit.seed_of(joined, tmp_path / "cut", *settings)
    assert again.progress.epoch == stop
    list(again.epochs())
    assert again.progress == whole.progress
    assert same(begun(again), begun(whole))
    assert same(weights(again), weights(whole))
    moments = [seed.optimiser.state_dict()["state"] for seed in (again, whole)]
    assert moments[0].keys() == moments[1].keys()
    for number, one in moments[0].items():
        assert same(one, moments[1][number])
    if "plateau" in str(settings):
        assert len({record["lr"] for record in whole.progress.history}) > 1


def test_a_finished_seed_is_not_trained_again(joined, tmp_path):
    """Its best weights alone stay on the disk, and come back."""
    first = fuse_kit.trained(joined, tmp_path)
    again = fuse_kit.seed_of(joined, tmp_path)
    assert again.over
    assert not list(again.epochs())
    assert same(weights(again), weights(first))
    assert [file.name for file in tmp_path.glob("seed*")] == ["seed-0.safetensors"]
    assert all(name.startswith("best/") for name in load_file(tmp_path / "seed-0.safetensors"))


def test_each_fold_and_seed_has_a_file_of_its_own(joined, tmp_path):
    """Named after the fold, without spaces."""
    small = fuse_kit.load_recipe("concat", "protocol=random", "train.epochs=1")
    data = fuse_kit.joined(joined)
    for split in protocol.splits(joined, small)[:2]:
        list(Seed(data, split, small, 3, tmp_path / "run").epochs())
    assert {file.name for file in (tmp_path / "run").iterdir()} == {
        "fold-1-of-5-seed-3.safetensors",
        "fold-2-of-5-seed-3.safetensors",
    }


def test_a_state_of_something_else_is_refused(joined, tmp_path):
    """A damaged or foreign state is named, with what to do."""
    fuse_kit.trained(joined, tmp_path, "config.width=8", "train.epochs=1")
    with pytest.raises(ValueError, match=r"seed-0\.safetensors is not the state of this run (.|\n)*delete it"):
        fuse_kit.seed_of(joined, tmp_path)
    (tmp_path / "seed-0.safetensors").write_bytes(b"not tensors")
    with pytest.raises(ValueError, match=r"seed-0\.safetensors is not the state of this run .* delete it"):
        fuse_kit.seed_of(joined, tmp_path)


CHILD = """
import sys
from pathlib import Path
import fuse_kit
from fuse import train
train.SAVE_EVERY_S = 0.2
list(fuse_kit.seed_of(fuse_kit.clips(), Path(sys.argv[1]), *sys.argv[2:]).epochs())
"""


def test_killed_for_real_and_continued(joined, tmp_path):
    """A process killed with SIGKILL in the middle of training leaves a state from which another goes on."""
    settings = ("train.epochs=4000", "train.patience=4000")
    places = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    command = [sys.executable, "-c", CHILD, str(tmp_path / "run"), *settings]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"})
    state = tmp_path / "run" / "seed-0.safetensors"
    deadline = time.monotonic() + 120
    while not state.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = fuse_kit.seed_of(joined, tmp_path / "run", *settings)
    assert 0 < again.progress.epoch < 4000
    assert next(again.epochs()).epoch == len(again.progress.history)


def test_a_model_may_begin_with_other_weights(joined, tmp_path):
    """What begins it is called once, before training; a run that goes on has its own."""
    calls = []

    def begin(model):
        calls.append(model)
        torch.nn.init.constant_(model.heads["emotion"].bias, 3.0)

    seed = fuse_kit.seed_of(joined, tmp_path, begin=begin)
    assert (weights(seed)["heads.emotion.bias"] == 3).all()
    list(seed.epochs())
    trained = weights(seed)
    assert same(weights(fuse_kit.seed_of(joined, tmp_path, begin=begin)), trained)
    assert len(calls) == 2


def test_what_is_only_scored_is_not_trained(joined, tmp_path):
    """It is over before it begins, and best is what it began with."""
    settings = ("score_only=true", "weights=somewhere.pt")
    seed = fuse_kit.seed_of(joined, tmp_path / "run", *settings)
    assert seed.over
    assert not list(seed.epochs())
    assert seed.progress.history == []
    assert same(weights(seed), weights(fuse_kit.seed_of(joined, tmp_path / "other")))
    assert not (tmp_path / "run").exists()


# Which epoch is chosen, and when training ends.


def test_the_best_epoch_on_dev_is_kept(joined, tmp_path):
    """The weights that are scored give the best dev score of the history, the first of equals."""
    seed = fuse_kit.trained(joined, tmp_path, "train.epochs=8")
    scores = [record["score"] for record in seed.progress.history]
    assert seed.progress.best_epoch == 1 + scores.index(max(scores))
    assert seed.progress.best_score == max(scores)
    seed.best()
    assert seed._score()["score"] == pytest.approx(max(scores))


def test_patience_stops_early(joined, tmp_path):
    """Without a better dev score training ends after `patience` epochs more."""
    seed = fuse_kit.trained(joined, tmp_path, "train.epochs=50", "train.patience=2", "train.lr=0.0", "train.min_lr=0.0")
    assert (seed.progress.epoch, seed.progress.best_epoch) == (3, 1)


def test_the_learning_rate_is_half_a_cosine(joined, tmp_path):
    """It starts at lr, never rises, and ends near min_lr."""
    seed = fuse_kit.trained(joined, tmp_path, "train.epochs=20", "train.patience=100", "train.min_lr=1e-4")
    rates = [record["lr"] for record in seed.progress.history]
    assert rates[0] == pytest.approx(1e-2)
    assert rates == sorted(rates, reverse=True)
    assert 1e-4 < rates[-1] < 3e-4


def test_restarts_fall_within_an_epoch(joined, tmp_path):
    """As the precursor's authors do, the rate of a step follows from the share of the epoch that is done."""
    seed = fuse_kit.seed_of(joined, tmp_path, "train.schedule=restarts", "train.every=1", "train.min_lr=0.0")
    seen, step = [], seed.optimiser.step

    def watched(*given):
        seen.append(seed.optimiser.param_groups[0]["lr"])
        return step(*given)

    seed.optimiser.step = watched
    next(seed.epochs())
    assert seen == pytest.approx([1e-2 * (1 + np.cos(np.pi * i / 3)) / 2 for i in range(3)])


@pytest.mark.parametrize(
    ("task", "name", "settings"),
    [
        ("emotion", "mf1 emotion", ()),
        ("emotion", "uar emotion", ("train.select=uar",)),
        ("sentiment_score", "corr sentiment_score", ()),
        ("emotions", "mmf1 emotions", ()),
    ],
)
def test_each_kind_of_task_is_learnt_and_judged_in_its_own_way(joined, tmp_path, task, name, settings):
    """Classes by the metric asked for, several classes by mmf1, scores by correlation."""
    seed = fuse_kit.trained(joined, tmp_path, f"tasks={task}", "train.epochs=30", "train.patience=30", *settings)
    for record in seed.progress.history:
        assert record.keys() == {"lr", "loss", "score", name}
        assert record["score"] == record[name]
    assert seed.progress.best_score > 0.8
    assert seed.progress.history[-1]["loss"] < seed.progress.history[0]["loss"]


def test_windows_that_vote_are_learnt(joined, tmp_path):
    """Each window is a training example; dev is judged by what the windows of a clip agree on."""
    seed = fuse_kit.seed_of(joined, tmp_path, "data.windows=vote", "train.epochs=30", "train.patience=30", *PLAIN)
    assert len(seed._order()) == 48
    list(seed.epochs())
    assert seed.progress.best_score > 0.8


def test_a_metric_that_nobody_has_is_refused_before_training(joined, tmp_path):
    """The message names those there are."""
    with pytest.raises(ValueError, match=r"train\.select: expected one of acc, wf1, mf1, .*got 'mf2'"):
        fuse_kit.seed_of(joined, tmp_path, "train.select=mf2")


def test_scores_that_cannot_be_correlated_count_zero(joined, tmp_path):
    """A model that says the same of every clip is no better than chance, and not the best for ever."""
    seed = fuse_kit.seed_of(joined, tmp_path, "tasks=sentiment_score")
    with torch.no_grad():
        for parameter in seed.model.parameters():
            parameter.zero_()
    assert seed._score()["score"] == 0.0


def test_of_two_corpora_each_counts_the_same(tmp_path):
    """The dev score is the mean over corpora of the mean over tasks, whatever their sizes."""
    clips = (*fuse_kit.clips(), *fuse_kit.clips(train=24, dev=16, corpus="other"))
    clips = tuple(
        dataclasses.replace(clip, labels={"emotion": clip.labels["emotion"]}) if clip.corpus == "other" else clip
        for clip in clips
    )
    fuse_kit.store(clips)
    seed = fuse_kit.trained(clips, tmp_path, "train.epochs=1")
    (record,) = seed.progress.history
    names = {"mf1 emotion demo", "mf1 sentiment demo", "mf1 emotion other"}
    assert record.keys() == {"lr", "loss", "score", *names}
    demo = (record["mf1 emotion demo"] + record["mf1 sentiment demo"]) / 2
    assert record["score"] == pytest.approx((demo + record["mf1 emotion other"]) / 2)
    assert len({record[name] for name in names}) > 1


# What is minimised.


def loss_by_hand(seed, smoothing=0.0, scheme="balanced", power=1.0, weigh=lambda name: 1.0):
    """Return the first epoch's loss of a model that does not learn and drops nothing."""
    data, rows = seed.data, list(seed.split.train)
    with torch.no_grad():
        logits = seed.model.eval()(data.batch(torch.tensor(rows)))
    total = 0.0
    for name, one in logits.items():
        target = data.labels[name.rpartition("/")[2]][rows].double().numpy()
        n = target.sum(axis=0)
        with np.errstate(divide="ignore"):
            by = {"balanced": n.sum() / (len(n) * n), "share": n / n.sum(), "none": np.ones_like(n)}[scheme]
        by = np.where(n > 0, by, 0 if scheme != "none" else 1) ** power
        smooth = target * (1 - smoothing) + smoothing / len(n)
        shares = one.double().log_softmax(dim=1).numpy()
        total += weigh(name) * -(by * smooth * shares).sum(axis=1).mean()
    return total


@pytest.mark.parametrize(
    ("settings", "by_hand"),
    [
        ((), {}),
        (("train.label_smoothing=0.2",), {"smoothing": 0.2}),
        (("train.class_weights=share",), {"scheme": "share"}),
        (("train.class_weights=none", "train.label_smoothing=0.1"), {"scheme": "none", "smoothing": 0.1}),
        (("train.class_weight_power=0.5",), {"power": 0.5}),
        (("train.task_weights={sentiment=0.25}",), {"weigh": lambda name: 0.25 if name == "sentiment" else 1.0}),
        (("train.accumulate=3",), {}),
        ((STREAMED,), {}),
    ],
)
def test_the_loss_is_what_the_recipe_says(joined, tmp_path, settings, by_hand):
    """Weights of classes and tasks, smoothing: the loss of an epoch is the mean over its clips."""
    seed = fuse_kit.seed_of(joined, tmp_path, *PLAIN, "train.lr=0.0", "train.min_lr=0.0", *settings)
    expected = loss_by_hand(seed, **by_hand)
    record = next(seed.epochs()).history[0]
    assert record["loss"] == pytest.approx(expected, rel=1e-5)


def test_parts_of_a_model_may_count(joined, tmp_path):
    """The losses of `part/task` are added, as heavy as the recipe says and not at all by default."""
    for settings, part_weight in (((), 0.0), (("train.part_weight=0.5", "train.task_weights={emotion=2.0}"), 0.5)):
        small = fuse_kit.load_recipe("unimodal", *PLAIN, "train.lr=0.0", "train.min_lr=0.0", *settings)
        seed = Seed(fuse_kit.joined(joined), protocol.official(joined), small, 0, tmp_path / str(part_weight))
        expected = loss_by_hand(
            seed,
            weigh=lambda name, w=part_weight: (
                (w if "/" in name else 1.0) * (2.0 if w and name.endswith("emotion") else 1.0)
            ),
        )
        assert next(seed.epochs()).history[0]["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_model_may_have_a_loss_of_its_own(joined, tmp_path, monkeypatch):
    """`losses` of the model takes the place of the task's, clip by clip, over the clips that have the label."""
    clips = [
        dataclasses.replace(clip, labels={"emotion": clip.labels["emotion"]}) if i % 2 else clip
        for i, clip in enumerate(joined)
    ]

    def own(_, task, logits, targets):
        assert logits.shape == targets.shape
        return targets.sum(dim=1) * (3.0 if task == "emotion" else 4.0)  # what is unknown has targets of zero

    monkeypatch.setattr(concat.Model, "losses", own, raising=False)
    seed = fuse_kit.seed_of(clips, tmp_path, "train.lr=0.0", "train.min_lr=0.0")
    found = seed._loss(seed.data.batch(torch.tensor(seed.split.train)))
    assert found.item() == pytest.approx(7.0)


def test_class_weights_are_balanced_over_training(joined, tmp_path):
    """N / (K n_k): absent classes weigh nothing, and `none` switches them off."""
    weighed = fuse_kit.seed_of(joined, tmp_path)._weights["emotion"]
    torch.testing.assert_close(weighed, torch.tensor([24 / 7 / 6] * 4 + [0.0] * 3))
    assert fuse_kit.seed_of(joined, tmp_path, "train.class_weights=none")._weights["emotion"] is None


def test_clips_without_a_label_do_not_count(joined, tmp_path):
    """The loss is the mean over the clips that have it, and a task that nobody has in a batch costs nothing."""
    bare = tuple(
        dataclasses.replace(clip, labels={"emotion": clip.labels["emotion"]}) if clip.id != "train_1" else clip
        for clip in joined
    )
    seed = fuse_kit.seed_of(joined, tmp_path, *PLAIN)
    other = fuse_kit.joined(bare)
    index = torch.tensor([0, 1, 2])
    one = {"emotion": 1.0, "sentiment": 1.0}
    with torch.no_grad():
        logits = seed.model(seed.data.batch(index))
        for task in one:
            whole = seed._task_loss(task, logits[task], seed.data.batch(index))
            some = seed._task_loss(task, logits[task], other.batch(index))
            alone = seed._task_loss(task, logits[task][1:2], seed.data.batch(index[1:2]))
            torch.testing.assert_close(some, whole if task == "emotion" else alone)
            nobody = seed._task_loss("sentiment", logits["sentiment"][:1], other.batch(index[:1]))
            assert nobody.item() == 0.0


# The steps.


@pytest.mark.parametrize("count", [24, 20])
def test_accumulated_batches_make_one_larger_step(tmp_path, count):
    """Two batches of four give the weights of one batch of eight, also where the last step has but one batch left."""
    clips = fuse_kit.clips(train=count)
    fuse_kit.store(clips)
    settings = (*PLAIN, "train.epochs=2", "train.clip_norm=0.0")
    one = fuse_kit.trained(clips, tmp_path / "one", *settings, "train.batch=8")
    two = fuse_kit.trained(clips, tmp_path / "two", *settings, "train.batch=4", "train.accumulate=2")
    for name, tensor in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], tensor, atol=1e-6, rtol=1e-5)
    assert one.optimiser.state_dict()["state"][0]["step"] == two.optimiser.state_dict()["state"][0]["step"] == 6


def test_gradients_are_clipped(joined, tmp_path):
    """No step's gradients have a greater norm than the recipe says; 0 leaves them alone."""
    for most in (0.01, 0.0):
        seed = fuse_kit.seed_of(joined, tmp_path / str(most), f"train.clip_norm={most}")
        norms, step = [], seed.optimiser.step

        def watched(*given, seed=seed, norms=norms, step=step):
            grads = [p.grad for p in seed.model.parameters() if p.grad is not None]
            norms.append(torch.stack([grad.norm() for grad in grads]).norm().item())
            return step(*given)

        seed.optimiser.step = watched
        next(seed.epochs())
        assert len(norms) == 3
        assert all(norm <= 0.010001 for norm in norms) == bool(most)


def test_half_precision_trains(joined, tmp_path):
    """In bfloat16 it learns as well; weights, losses and what is said stay in single precision."""
    settings = ("train.epochs=30", "train.patience=30")
    seed = fuse_kit.trained(joined, tmp_path / "half", *settings, "train.precision=bfloat16")
    whole = fuse_kit.trained(joined, tmp_path / "whole", *settings)
    assert seed.half
    assert seed.progress.best_score > 0.8
    assert {tensor.dtype for tensor in seed.best().state_dict().values()} == {torch.float32}
    assert seed.progress.history[0]["loss"] != whole.progress.history[0]["loss"]
    assert seed.progress.history[0]["loss"] == pytest.approx(whole.progress.history[0]["loss"], rel=0.02)


def test_what_is_frozen_does_not_move(joined, tmp_path):
    """Neither by gradients nor by decay; all else does."""
    seed = fuse_kit.seed_of(joined, tmp_path, "train.freeze=projections.audio,heads.emotion.bias")
    first = begun(seed)
    list(seed.epochs())
    still = {"projections.audio.1.weight", "projections.audio.1.bias", "heads.emotion.bias"}
    assert moved(seed, first) == first.keys() - still


@pytest.mark.parametrize("rate", ["1e-3", "0.0"])
def test_parts_may_learn_at_another_rate(joined, tmp_path, rate):
    """Each group follows the schedule from its own rate; at a rate of zero it stays as it was."""
    seed = fuse_kit.seed_of(joined, tmp_path, f"train.lr_of.heads={rate}", "train.min_lr=0.0")
    first = begun(seed)
    list(seed.epochs())
    lrs = {group["highest"]: group["lr"] for group in seed.optimiser.param_groups}
    assert lrs == pytest.approx({high: high * (1 + np.cos(np.pi * 3 / 4)) / 2 for high in (1e-2, float(rate))})
    heads = {name for name in first if name.startswith("heads")}
    assert moved(seed, first) == (first.keys() if float(rate) else first.keys() - heads)


def test_modalities_are_dropped_in_training_alone(joined, tmp_path):
    """Where audio always goes missing nothing is learnt of it; dev clips keep theirs."""
    seed = fuse_kit.seed_of(joined, tmp_path, *PLAIN, "train.modality_drop={audio=1.0}")
    first, seen = begun(seed), []
    hook = seed.model.register_forward_pre_hook(
        lambda model, given: seen.append((model.training, bool(given[0].present["audio"].any())))
    )
    list(seed.epochs())
    hook.remove()
    assert set(seen) == {(True, False), (False, True)}
    assert not any(name.startswith("projections.audio") for name in moved(seed, first))
    assert any(name.startswith("projections.text") for name in moved(seed, first))


def test_dev_clips_lose_what_test_clips_lose(joined, tmp_path):
    """`test_without` takes modalities from dev as well, so that the epoch is chosen for what is scored."""
    seed, seen = fuse_kit.seed_of(joined, tmp_path, "test_without=audio"), set()
    seed.model.register_forward_pre_hook(
        lambda model, given: seen.add((model.training, bool(given[0].present["audio"].any())))
    )
    next(seed.epochs())
    assert seen == {(True, True), (False, False)}


# Which clips are drawn.


def rare(clips, every=8):
    """Let only each eighth clip be happy, and all others neutral."""
    words = [clips[1].labels if i % every == 1 else clips[0].labels for i in range(len(clips))]
    return tuple(dataclasses.replace(clip, labels=labels) for clip, labels in zip(clips, words, strict=True))


def drawn(seed, epochs):
    """Return the share of happy clips among what some epochs show."""
    found = []
    for epoch in range(epochs):
        torch.manual_seed(epoch)
        order = seed._order()
        assert len(order) == len(seed.split.train)
        assert set(order.tolist()) <= set(seed.split.train)
        found += [i % 8 == 1 for i in order.tolist()]
    return float(np.mean(found))


def test_an_epoch_shows_every_clip_once_or_rare_ones_more_often(tmp_path):
    """Shuffled, each comes once; weighted, classes come equally often, and less so at a lower power."""
    clips = rare(fuse_kit.clips(train=64))
    fuse_kit.store(clips)
    shuffled = fuse_kit.seed_of(clips, tmp_path)
    orders = [shuffled._order().tolist() for _ in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(64))
    assert orders[0] != orders[1]
    for power, share in ((1.0, 1 / 2), (0.5, 1 / (1 + 7**0.5)), (0.0, 1 / 8)):
        seed = fuse_kit.seed_of(clips, tmp_path, "train.sampler=weighted", f"train.sampler_power={power}")
        assert drawn(seed, 60) == pytest.approx(share, abs=0.03)


def test_weighted_windows_of_a_clip_weigh_the_same(tmp_path):
    """Where windows vote, each is drawn as often as its clip's class says."""
    clips = rare(fuse_kit.clips())
    fuse_kit.store(clips)
    seed = fuse_kit.seed_of(clips, tmp_path, "train.sampler=weighted", "data.windows=vote")
    rarity = seed._rarity(seed.data.examples(seed.split.train)).reshape(24, 2)
    assert torch.equal(rarity[:, 0], rarity[:, 1])
    assert rarity[1, 0] == pytest.approx(7 * rarity[0, 0].item(), rel=1e-5)


@pytest.mark.parametrize("tasks", ["emotions", "sentiment,emotion"])
def test_no_clip_is_left_out_by_weighted_draws(joined, tmp_path, tasks):
    """Clips that show no emotion, or lack the first task's label, are drawn like the others on average."""
    clips = [
        dataclasses.replace(clip, labels={"emotion": clip.labels["emotion"], **({} if i % 3 else clip.labels)})
        for i, clip in enumerate(joined)
    ]
    fuse_kit.store(clips)
    seed = fuse_kit.seed_of(clips, tmp_path, "train.sampler=weighted", f"tasks={tasks}")
    rarity = seed._rarity(seed.data.examples(seed.split.train))
    shows = seed.data.labels[tasks.partition(",")[0]][:24].any(dim=1)
    assert 0 < shows.sum() < 24
    assert rarity[shows].min() > 0.1
    torch.testing.assert_close(rarity[~shows], rarity[shows].mean().expand(int((~shows).sum())))


def test_scores_have_no_classes_to_draw_by(joined, tmp_path):
    """A weighted sampler needs a first task with classes."""
    with pytest.raises(ValueError, match=r"train\.sampler: expected classes to draw by, got .* sentiment_score"):
        fuse_kit.seed_of(joined, tmp_path, "train.sampler=weighted", "tasks=sentiment_score")
