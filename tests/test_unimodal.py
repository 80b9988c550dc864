"""Each modality classifies alone, and the answer is the mean of those that the clip has."""

import dataclasses

import pytest
import torch

from fuse.batch import Batch
from fuse.models import unimodal

SHAPES = {"audio": (4, 6), "pulse": (3, 5)}
TASKS = {"emotion": 7, "sentiment_score": 1}


@pytest.fixture
def model():
    """Give the model for two modalities, one of which nobody has named before."""
    torch.manual_seed(0)
    return unimodal.Model(unimodal.Config(width=8), SHAPES, TASKS).eval()


def clips(presence=((1, 1), (1, 0), (0, 1), (0, 0))):
    """Make clips that have audio, pulse, both or none, two windows of each."""
    there = torch.tensor(presence, dtype=torch.bool)
    windows = {m: there[:, i, None].expand(-1, 2) for i, m in enumerate(SHAPES)}
    generator = torch.Generator().manual_seed(0)
    return Batch(
        ids=tuple(map(str, range(len(there)))),
        values={m: torch.randn(len(there), 2, t, d, generator=generator) for m, (t, d) in SHAPES.items()},
        windows=windows,
        steps={m: windows[m][:, :, None].expand(-1, -1, t) for m, (t, _) in SHAPES.items()},
        dialogue=torch.full((len(there),), -1),
        turn=torch.zeros(len(there), dtype=torch.long),
        speaker=torch.full((len(there),), -1),
    )


@torch.no_grad()
@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_the_mean_of_what_is_there(model, task):
    """Both modalities count half, one alone is the answer, and none is zero."""
    output = model(clips())
    audio, pulse, both = output[f"audio/{task}"], output[f"pulse/{task}"], output[task]
    torch.testing.assert_close(both[0], (audio[0] + pulse[0]) / 2)
    assert torch.equal(both[1], audio[1])
    assert torch.equal(both[2], pulse[2])
    assert torch.equal(both[3], torch.zeros_like(both[3]))
    assert torch.equal(pulse[1], torch.zeros_like(pulse[1]))


@torch.no_grad()
def test_padded_steps_do_not_count(model):
    """What stands in a step that is not real changes nothing."""
    batch = clips()
    steps = batch.steps["audio"] & (torch.arange(4) < 2)
    batch = dataclasses.replace(batch, steps={**batch.steps, "audio": steps})
    values = torch.where(steps[..., None], batch.values["audio"], 1e4)
    spoilt = dataclasses.replace(batch, values={**batch.values, "audio": values})
    assert torch.equal(model(spoilt)["emotion"], model(batch)["emotion"])


def test_one_modality_never_trains_the_other(model):
    """The loss of `audio/emotion`, or of clips that have audio alone, leaves the pulse's classifier as it is."""
    for output in (model(clips())["audio/emotion"], model(clips([[1, 0]] * 4))["emotion"]):
        model.zero_grad()
        output.square().sum().backward()
        moved = {
            m: any(p.grad is not None and p.grad.abs().max() > 0 for p in model.parts[m].parameters()) for m in SHAPES
        }
        assert moved == {"audio": True, "pulse": False}


@torch.no_grad()
def test_a_single_modality_is_its_own_answer():
    """With one modality the answer is that modality's."""
    model = unimodal.Model(unimodal.Config(width=8), {"audio": SHAPES["audio"]}, TASKS).eval()
    output = model(clips([[1, 0], [1, 1]]))
    assert set(output) == {"emotion", "sentiment_score", "audio/emotion", "audio/sentiment_score"}
    assert torch.equal(output["emotion"], output["audio/emotion"])
