"""What the heads read is contrasted by class, beside the losses of the tasks."""

import dataclasses

import fuse_kit
import pytest
import torch
from torch.nn.functional import normalize

from fuse import losses, protocol
from fuse.models import concat
from fuse.strategies import Lesson, contrast

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

KINDS = {"emotion": 7, "sentiment": 3, "sentiment_score": 1}


@pytest.fixture
def lesson():
    """The small corpus and an untrained model."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    data = fuse_kit.joined(clips)
    recipe = fuse_kit.load_recipe()
    (split,) = protocol.splits(clips, recipe)
    return Lesson(concat.Model(concat.Config(dropout=0.0), data.shapes, KINDS), data, split, KINDS, recipe.train)


@pytest.mark.parametrize(
    ("kind", "formula"),
    [("supervised", losses.supervised_contrast), ("inter_class", losses.inter_class_contrast)],
)
def test_it_is_the_formula_of_what_the_heads_read(lesson, kind, formula):
    """The representation through the projection, at length 1, of the clips that have the label, weighed."""
    strategy = contrast.Strategy(contrast.Config(kind=kind, task="sentiment", weight=0.3, temperature=0.2), lesson)
    read = []
    lesson.model.representation.register_forward_hook(lambda _, __, output: read.append(output))
    batch = lesson.data.batch(torch.arange(8))
    known = torch.arange(8) % 3 > 0
    batch = dataclasses.replace(batch, known={**batch.known, "sentiment": known})
    found = strategy.loss(lesson.model.train()(batch), batch)
    vectors = normalize(strategy.project(read[0]), dim=1)[known]
    expected = 0.3 * formula(vectors, batch.labels["sentiment"].argmax(dim=1)[known], 0.2)
    torch.testing.assert_close(found, expected)
    assert expected > 0


def test_model_and_projection_are_taught(lesson):
    """Its gradient reaches what the model reads with and the projection, and not the heads."""
    strategy = contrast.Strategy(contrast.Config(), lesson)
    batch = lesson.data.batch(torch.arange(8))
    strategy.loss(lesson.model.train()(batch), batch).backward()
    assert all(parameter.grad.any() for parameter in strategy.parameters())
    taught = {n for n, parameter in lesson.model.named_parameters() if parameter.grad is not None}
    assert taught
    assert not any(name.startswith("heads") for name in taught)


def test_training_brings_classes_together(tmp_path):
    """After some epochs, clips of a class lie nearer together than after the same epochs without it."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    plain = ("train.epochs=12", "config.dropout=0.0", "tasks=emotion")

    def spread(seed):
        read = []
        model = seed.best()
        model.representation.register_forward_hook(lambda _, __, output: read.append(output))
        batch = seed.data.batch(torch.tensor(seed.split.train))
        with torch.no_grad():
            model(batch)
        return losses.supervised_contrast(normalize(read[0], dim=1), batch.labels["emotion"].argmax(dim=1), 0.1)

    without = spread(fuse_kit.trained(clips, tmp_path / "without", *plain))
    for kind in ("supervised", "inter_class"):
        dials = (f"strategies.contrast.kind={kind}", "strategies.contrast.weight=1")
        assert spread(fuse_kit.trained(clips, tmp_path / kind, *plain, *dials)) < without


def test_no_clip_with_the_label_teaches_nothing(lesson):
    """A batch in which nobody has the label adds zero."""
    strategy = contrast.Strategy(contrast.Config(kind="inter_class"), lesson)
    batch = lesson.data.batch(torch.arange(4))
    batch = dataclasses.replace(batch, known={**batch.known, "emotion": torch.zeros(4, dtype=torch.bool)})
    loss = strategy.loss(lesson.model.train()(batch), batch)
    loss.backward()
    assert loss == 0


def test_what_cannot_be_contrasted_is_refused(lesson):
    """Scores have no classes, and a temperature of zero no meaning."""
    score = contrast.Config(task="sentiment_score")
    with pytest.raises(ValueError, match="expected a task of single classes, got sentiment_score"):
        contrast.Strategy(score, lesson)
    with pytest.raises(ValueError, match="more than 0, got 0"):
        contrast.Config(temperature=0.0)
