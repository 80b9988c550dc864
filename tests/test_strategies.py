"""Every strategy found in its folder keeps the contract: it changes how is trained, and nothing of what is scored."""

import dataclasses
import inspect
import math
import re

import fuse_kit
import pytest
import torch
from model_kit import assert_settings_explained

from fuse import models, seams, strategies, train
from fuse.strategies._strategy import Strategy

pytestmark = pytest.mark.usefixtures("one_thread")

WORD = re.compile(r"\b(use|say|name|take|leave)\b")
"""A refusal says what to do next."""
HOOKS = ("relabelled", "order", "task_loss", "loss", "steer")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Sixteen training clips in four dialogues; some lack a label that others have, or a modality, or both."""
    with pytest.MonkeyPatch.context() as patch:
        for root in ("FEATURES_ROOT", "MANIFESTS_ROOT"):
            patch.setenv(root, str(tmp_path_factory.mktemp(root)))
        clips = labelled_in_part(fuse_kit.clips(train=16, dev=8, test=8))
        fuse_kit.store(clips, missing=lambda modality, clip: clip.id in LACKING[modality])
        yield clips


LACKING = {"audio": ("train_2", "dev_1"), "video": ("train_2", "train_5"), "text": ("train_9",)}


@pytest.fixture(scope="module", params=strategies.names())
def name(request):
    """Name one strategy after the other."""
    return request.param


@pytest.fixture(scope="module")
def module(name):
    """Give its file."""
    return strategies.module(name)


def labelled_in_part(clips):
    """Leave every fifth training clip without sentiment, and one without any label."""
    return tuple(
        dataclasses.replace(clip, labels=kept(clip, i)) if clip.split == "train" else clip
        for i, clip in enumerate(clips)
    )


def kept(clip, i):
    """Return what is left of a training clip's labels."""
    gone = (
        {"emotion", "sentiment", "sentiment_score"} if i == 7 else {"sentiment", "sentiment_score"} if not i % 5 else ()
    )
    return {task: label for task, label in clip.labels.items() if task not in gone}


def on(*names):
    """Return the settings that switch strategies on."""
    return tuple(f"strategies.{name}={{}}" for name in names)


def modalities(model):
    """Return the settings that give a model those modalities that it can take, and its own small size."""
    file = models.module(model)
    taken = [m for m in fuse_kit.SHAPES if m in getattr(file, "MODALITIES", fuse_kit.SHAPES)]
    small = ["config.width=40"] * ("width" in {field.name for field in dataclasses.fields(file.Config)})
    return (f"model={model}", f"modalities={','.join(taken)}", *small)


def state(module):
    """Return a copy of what a module has learnt and remembers."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one, other):
    """Whether two states are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


# What the file says.


def test_settings_are_frozen_have_defaults_and_say_what_they_are(module):
    """As those of models are."""
    assert_settings_explained(module)


def test_the_file_explains_itself(module):
    """The module, its `Config` and its `Strategy` each have a docstring."""
    assert all(inspect.cleandoc(thing.__dict__["__doc__"] or "") for thing in (module, module.Config, module.Strategy))


def test_it_acts_at_moments_that_there_are(module):
    """It overrides at least one hook, each with the arguments that the loop gives, and no public name is a slip."""
    overridden = [hook for hook in HOOKS if hook in vars(module.Strategy)]
    assert overridden
    for hook in overridden:
        expected = inspect.signature(getattr(Strategy, hook)).parameters
        assert list(inspect.signature(getattr(module.Strategy, hook)).parameters) == list(expected)


def test_an_unknown_strategy_is_answered_with_the_nearest():
    """So that a slip of the pen is seen at once."""
    with pytest.raises(ValueError, match=r"strategies\.cgm|cggm"):
        fuse_kit.load_recipe("concat", *on("cgm"))


# What it does to training.


@pytest.mark.parametrize(
    "settings", [(), ("train.precision=bfloat16", "train.accumulate=3"), ("data.memory_gb=4e-6",), ("model=turns",)]
)
def test_it_trains(corpus, name, tmp_path, settings):
    """Losses are finite to the last epoch, and so are weights and what it remembers."""
    seed = fuse_kit.trained(corpus, tmp_path, *on(name), *settings)
    assert all(math.isfinite(record["loss"]) for record in seed.progress.history)
    for tensor in (*seed.model.state_dict().values(), *seed._strategies.state_dict().values()):
        assert tensor.isfinite().all()


def test_it_makes_a_difference(corpus, name, tmp_path):
    """The watcher's own control: a run with it ends with other weights, or answers otherwise, than one without."""
    plain, other = fuse_kit.trained(corpus, tmp_path / "0"), fuse_kit.trained(corpus, tmp_path / "1", *on(name))
    assert not same(state(plain.model), state(other.model))


@pytest.mark.parametrize("stop", [1, 3])
def test_stopped_and_continued_ends_with_the_same_weights(corpus, name, tmp_path, monkeypatch, stop):
    """A run that is dropped goes on to equal weights, memory, moments and history, to the bit."""
    monkeypatch.setattr(train, "SAVE_EVERY_S", 0.0)
    settings = (*on(name), "train.epochs=5", "train.patience=100", "train.modality_drop={audio=0.3}")
    whole = fuse_kit.trained(corpus, tmp_path / "whole", *settings)
    for _, progress in zip(range(stop), fuse_kit.seed_of(corpus, tmp_path / "cut", *settings).epochs(), strict=False):
        assert progress.epoch <= stop
    again = fuse_kit.seed_of(corpus, tmp_path / "cut", *settings)
    assert again.progress.epoch == stop
    list(again.epochs())
    assert again.progress == whole.progress
    assert same(state(again.model), state(whole.model))
    assert same(state(again._strategies), state(whole._strategies))
    moments = [seed.optimiser.state_dict()["state"] for seed in (again, whole)]
    assert moments[0].keys() == moments[1].keys()
    assert all(same(one, moments[1][number]) for number, one in moments[0].items())


def test_an_epoch_goes_through_training_clips_alone(corpus, name, tmp_path):
    """What it leaves or adds is drawn from the training clips, the same when asked again, and never nothing."""
    seed = fuse_kit.seed_of(corpus, tmp_path, *on(name))
    (strategy,) = seed.strategies
    examples = seed.data.examples(seed.split.train)
    for epoch in range(1, seed.recipe.train.epochs + 1):
        order = strategy.order(examples, epoch)
        assert len(order)
        assert set(order.tolist()) <= set(examples.tolist())
        assert torch.equal(order, strategy.order(examples, epoch))


def test_it_overfits_four_dialogues(name, roots):
    """Trained for long, every training clip of four dialogues is given each label that it has."""
    clips = labelled_in_part(fuse_kit.clips(train=16))
    fuse_kit.store(clips)
    settings = ("model=turns", "config.dropout=0.0", "train.epochs=60", "train.patience=60", *on(name))
    seed = fuse_kit.seed_of(clips, roots / "run", *settings)
    batch = seed.data.batch(torch.tensor(seed.split.train))
    for _ in seed.epochs():
        with torch.no_grad():
            outputs = seed.model.eval()(batch)
        wrong = [
            task for task, known in batch.known.items() if not right(outputs[task], batch.labels[task])[known].all()
        ]
        if not wrong:
            return
    pytest.fail(f"{', '.join(wrong)} of some clip is still wrong")


def right(logits, labels):
    """Return which clips (b) are given their class."""
    return logits.argmax(dim=1) == labels.argmax(dim=1)


# What it leaves alone.


def test_labels_of_dev_and_test_are_none_of_its_business(corpus, name, tmp_path):
    """Whatever it makes of training labels, those that are scored are the manifest's, and so are clips and features."""
    seed, plain = fuse_kit.seed_of(corpus, tmp_path, *on(name)), fuse_kit.joined(corpus)
    scored = [*seed.split.dev, *seed.split.test]
    assert seed.data.labels.keys() == plain.labels.keys()
    for task, labels in plain.labels.items():
        assert torch.equal(seed.data.labels[task][scored], labels[scored])
        assert torch.equal(seed.data.known[task], plain.known[task]) or "relabelled" in vars(type(seed.strategies[0]))
        assert torch.equal(seed.data.known[task][scored], plain.known[task][scored])
    assert seed.data.clips == plain.clips
    for m, stored in plain.stored.items():
        assert torch.equal(seed.data.stored[m].frames, stored.frames)


def test_it_has_no_part_of_the_model(corpus, name, tmp_path):
    """What it learns is its own; the model begins as it would have, under the same names, ready to be trained."""
    seed, plain = fuse_kit.seed_of(corpus, tmp_path, *on(name)), fuse_kit.seed_of(corpus, tmp_path)
    of_model = {id(parameter) for parameter in seed.model.parameters()}
    assert not of_model & {id(parameter) for parameter in seed._strategies.parameters()}
    assert same(state(seed.model), state(plain.model))
    listed = [id(parameter) for group in seed.optimiser.param_groups for parameter in group["params"]]
    assert len(listed) == len(set(listed)) == len(of_model) + len(list(seed._strategies.parameters()))
    assert seed.model.training


def test_answers_do_not_hang_on_the_batch(corpus, name, tmp_path):
    """Dev clips are answered alike in any order and alone, twice; being asked teaches it nothing."""
    seed = fuse_kit.seed_of(corpus, tmp_path, *on(name))
    next(seed.epochs())
    before = state(seed._strategies)
    dev = torch.tensor(seed.split.dev)
    mixed = torch.randperm(len(dev), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, other, alone = (seed.model.eval()(seed.data.batch(some)) for some in (dev, dev[mixed], dev[:1]))
        again = seed.model(seed.data.batch(dev))
    for task, logits in whole.items():
        torch.testing.assert_close(other[task], logits[mixed], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone[task], logits[:1], rtol=1e-5, atol=1e-5)
        assert torch.equal(again[task], logits)
    assert same(state(seed._strategies), before)


# With whom it works.


@pytest.mark.parametrize("model", models.names())
def test_it_works_with_every_model(corpus, name, tmp_path, model):
    """An epoch is trained of every model that takes two modalities or more; what refuses one alone says what to do."""
    settings = modalities(model)
    try:
        seed = fuse_kit.seed_of(corpus, tmp_path, *settings, *on(name))
    except ValueError as error:
        refusal = str(error)
    else:
        assert math.isfinite(next(seed.epochs()).history[0]["loss"])
        return
    assert "," not in settings[1], refusal
    assert WORD.search(refusal), refusal


def test_one_modality_is_enough_or_too_little_with_a_word(corpus, name, tmp_path):
    """A refusal names the strategy and says what to do."""
    try:
        seed = fuse_kit.seed_of(corpus, tmp_path, "modalities=text", *on(name))
    except ValueError as error:
        refusal = str(error)
    else:
        assert math.isfinite(next(seed.epochs()).history[0]["loss"])
        return
    assert name in refusal
    assert WORD.search(refusal), refusal


def test_all_of_them_work_together(corpus, tmp_path):
    """Each at its moment, in the recipe's order; the run goes on to the end."""
    seed = fuse_kit.trained(corpus, tmp_path, *on(*strategies.names()))
    assert len(seed.strategies) == len(strategies.names())
    assert all(math.isfinite(record["loss"]) for record in seed.progress.history)


# Where a strategy takes hold of a model.


class Silent(torch.nn.Module):
    """A model of no modality, without anything to listen to."""

    def __init__(self):
        super().__init__()
        self.audio = torch.nn.ModuleDict({"part": torch.nn.Linear(2, 2)})


def test_models_without_seams_are_refused_with_a_word():
    """No representation, or nothing that is of one modality and gives something out."""
    with pytest.raises(ValueError, match=r"no representation .*; use another model"):
        seams.representation(Silent())
    with pytest.raises(ValueError, match="no part of its own for audio; use concat"):
        seams.branch(Silent(), "audio")


def test_a_head_is_what_reads_the_representation(corpus, tmp_path):
    """Not a part's own head; none where the model has no linear one."""
    for model, there in {"concat": True, "lefsa": True, "triple": True, "unimodal": False, "mer_clip": False}.items():
        seed = fuse_kit.seed_of(corpus, tmp_path / model, *modalities(model))
        found = seams.head(seed.model, "emotion")
        assert (found is not None) == there
        seen = []
        seams.representation(seed.model).register_forward_hook(
            lambda _m, _given, output, seen=seen: seen.append(output)
        )
        seed.model.eval()(seed.data.batch(torch.tensor([0, 1])))
        assert found is None or found.in_features == seen[0].shape[-1]


def test_a_part_that_does_not_answer_clip_by_clip_is_refused(corpus, tmp_path):
    """Conversations in the place of clips would be taken for other clips; a part that is never asked says nothing."""
    seed = fuse_kit.seed_of(corpus, tmp_path, "model=turns")
    batch = seed.data.batch(torch.tensor([0, 1, 2]))
    for module in (seed.model.around.recurrent, torch.nn.Identity()):
        with pytest.raises(ValueError, match=r"turns: expected one answer per clip, 3, .* got [01]; use concat"):
            seams.given(seed.model, [module], batch)


def test_asking_a_model_leaves_it_as_it_was(corpus, tmp_path):
    """No gradient, no hook and no random number is left behind, and it is in the mode that it was in."""
    seed = fuse_kit.seed_of(corpus, tmp_path)
    batch, module = seed.data.batch(torch.tensor([0, 1, 2])), seams.representation(seed.model)
    for training in (True, False):
        seed.model.train(training)
        drawn = torch.get_rng_state()
        (found,) = seams.given(seed.model, [module], batch)
        assert found.shape == (3, 3 * 129)
        assert not found.requires_grad
        assert torch.equal(torch.get_rng_state(), drawn)
        assert seed.model.training == module.training == training
        assert not module._forward_hooks


def test_only_what_comes_out_in_training_is_heard():
    """Scoring in between changes nothing; asking before anything came out is a fault of the strategy's."""
    module = torch.nn.Identity()
    heard = seams.Heard(module)
    with pytest.raises(RuntimeError, match="before its model had answered"):
        _ = heard.values
    module(torch.tensor([1.0]))
    module.eval()(torch.tensor([2.0]))
    assert heard.values.item() == 1.0


def test_of_a_recurrent_layer_its_states_are_heard():
    """Not the last of them, which it gives beside."""
    layer = torch.nn.GRU(2, 3, batch_first=True)
    heard = seams.Heard(layer)
    layer(torch.zeros(4, 5, 2))
    assert heard.values.shape == (4, 5, 3)
