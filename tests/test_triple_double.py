"""TripleFusion and DoubleFusion compute what the authors' code computes, and bear any shapes beside theirs."""

import dataclasses

import numpy as np
import pytest
import torch
from batch_kit import batch_of
from golden import fill

from fuse.losses import soft_cross_entropy
from fuse.models import _precursor, double, triple

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = {"audio": (199, 1024), "video": (20, 512), "text": (32, 1024)}
SMALL = {"audio": (199, 8), "video": (20, 16), "text": (32, 6)}
TASKS = {"emotion": 7, "sentiment": 3}
TINY = {
    triple: triple.Config(width=16, heads=2, hidden=8),
    double: double.Config(width=16, heads=2, hidden=8),
}
# What the code of markitantov/EmoSen (8f911f8c9614) gives for two clips, with weights and inputs made by `fill` from
# the names used here: AttentionFusionTF, and AttentionFusionDFAV, DFAT and DFVT, run once on a CPU in eval mode.
TRIPLE = [
    [-0.22903, 0.09405, -0.00721, -0.71374, -0.35113, -0.30904, -0.13194, -0.20293, 0.52778, 0.44643],
    [0.34631, -0.5477, 0.1924, -0.37997, -0.3884, -0.07195, 0.11143, -0.33852, 0.59616, 0.2345],
]
DOUBLE = {
    "text": [
        [-0.21594, -1.29039, -0.52713, 0.38288, 0.21462, -0.20391, 0.03757, -0.34378, -0.2224, 0.50362],
        [-0.16025, -1.41877, -0.40061, 0.31506, 0.23415, 0.03888, -0.21572, -0.36291, -0.01691, 0.58593],
    ],
    "video": [
        [-0.32895, 0.33483, -1.49447, -0.52799, -0.42494, 0.54616, -0.4202, 0.67804, -0.34913, -0.07478],
        [-0.02618, 0.00844, -1.37128, -0.49763, -0.18927, 0.33983, -0.34359, 0.58524, 0.08588, -0.099],
    ],
    "audio": [
        [-0.31015, 0.53699, -0.27581, -0.39605, -0.4406, 0.27381, -0.71485, 0.56129, -0.48952, -0.28899],
        [-0.11804, 0.52654, -0.0978, -0.16613, -0.60568, 0.14962, -0.80659, 0.44052, -0.37633, -0.19476],
    ],
}


def random(shapes, b=4):
    """Random clips."""
    generator = torch.Generator().manual_seed(0)
    return batch_of({m: torch.randn(b, *shape, generator=generator) for m, shape in shapes.items()})


@pytest.fixture(scope="module")
def clips():
    """Make the two clips that the authors' code was given."""
    parts = {
        m: (fill.inputs(f"precursor.{m}", (2, t, d)), fill.inputs(f"precursor.{m}.offset", (2, 1, d)))
        for m, (t, d) in SHAPES.items()
    }
    return batch_of({m: torch.from_numpy(values + offset) for m, (values, offset) in parts.items()})


def filled(model):
    """Fill a model's weights from their names."""
    model.load_state_dict(fill.fill_(model.state_dict()))
    return model.eval()


@pytest.fixture(scope="module")
def tripled():
    """Give TripleFusion with the weights that the authors' code was given."""
    return filled(triple.Model(triple.Config(), SHAPES, TASKS))


def joined(output):
    """Both tasks side by side, as numbers."""
    return torch.cat([output[task] for task in TASKS], dim=1).numpy()


@torch.no_grad()
def test_triple_matches_the_authors(tripled, clips):
    """The logits of both tasks are those of the authors' code."""
    np.testing.assert_allclose(joined(tripled(clips)), TRIPLE, rtol=1e-4, atol=2e-5)


@torch.no_grad()
@pytest.mark.parametrize("query", DOUBLE)
def test_double_matches_the_authors(clips, query):
    """The logits of both tasks are those of the authors' code, whichever modality asks the other two."""
    model = filled(double.Model(double.Config(query=query), SHAPES, TASKS))
    np.testing.assert_allclose(joined(model(clips)), DOUBLE[query], rtol=1e-4, atol=2e-5)


WRONG_TRIPLES = {
    "query and key exchanged": tuple(tuple((key, query) for query, key in one) for one in triple.TRIPLES),
    "halves exchanged": triple.TRIPLES[::-1],
    "another order within a half": (triple.TRIPLES[0][::-1], triple.TRIPLES[1]),
}


@torch.no_grad()
@pytest.mark.parametrize("name", WRONG_TRIPLES)
def test_a_wrong_wiring_is_noticed(tripled, clips, monkeypatch, name):
    """Each way of pairing the blocks wrongly moves the logits a thousand times beyond the tolerance."""
    monkeypatch.setattr(triple, "TRIPLES", WRONG_TRIPLES[name])
    change = np.abs(joined(tripled(clips)) - TRIPLE).max()
    assert change > 0.05, f"{name} changes the logits by {change:.1e}"


@torch.no_grad()
def test_positions_are_noticed(tripled, clips, monkeypatch):
    """Blocks that are not told the steps give other logits."""
    for block in tripled.modules():
        if isinstance(block, _precursor.Block):
            monkeypatch.setattr(block, "positions", torch.zeros_like(block.positions))
    assert np.abs(joined(tripled(clips)) - TRIPLE).max() > 0.005


@pytest.mark.parametrize(("file", "count"), [(triple, 47_755_530), (double, 19_952_906)])
def test_parameters_are_counted(file, count):
    """The authors' 47,767,818 and 19,960,074 without the layer norms of 2 x width per block that never run."""
    model = file.Model(file.Config(), SHAPES, TASKS)
    assert sum(p.numel() for p in model.parameters()) == count
    blocks = [block for block in model.modules() if isinstance(block, _precursor.Block)]
    dead = sum(2 * block.positions.shape[1] for block in blocks)
    assert count + dead == {triple: 47_767_818, double: 19_960_074}[file]


@torch.no_grad()
@pytest.mark.parametrize("file", TINY)
def test_the_authors_shapes_need_nothing_more(file):
    """Their lengths come out as 20 steps without being averaged, so that there is nothing to note."""
    model = file.Model(TINY[file], SMALL, TASKS).eval()
    assert model.notes() == ()
    for m, reader in model.readers.of.items():
        features = torch.randn(2, *SMALL[m])
        assert torch.equal(reader(features), reader.layers(features.mT).mT)


@torch.no_grad()
@pytest.mark.parametrize("file", TINY)
@pytest.mark.parametrize("t", [1, 2, 24, 30, 149])
def test_any_shape_will_do(file, t):
    """Sequences of any length and width give finite logits, and the notes say what was done to them."""
    shapes = {"audio": (t, 5), "video": (t, 3), "text": (t, 4)}
    model = file.Model(TINY[file], shapes, TASKS).eval()
    assert all(logits.isfinite().all() for logits in model(random(shapes)).values())
    left = {1: (1, 1), 2: (1, 1), 24: (1, 12), 30: (1, 18), 149: (14, 137)}[t]
    assert model.notes() == (
        f"audio: {left[0]} steps of {t} are left, averaged to 20",
        f"video: {t} steps of {t} are left, averaged to 20",
        "video: 3 wide, projected to 16",
        f"text: {left[1]} steps of {t} are left, averaged to 20",
    )


@torch.no_grad()
@pytest.mark.parametrize("file", TINY)
def test_a_batch_of_short_clips_is_lengthened(file):
    """A clip gives the same logits beside a longer one as in a batch that is only as long as itself."""
    model, batch = file.Model(TINY[file], SMALL, TASKS).eval(), random(SMALL)
    values = batch.values["audio"] * (torch.arange(199) < 50)[:, None]
    long = dataclasses.replace(batch, values={**batch.values, "audio": values})
    short = dataclasses.replace(
        batch,
        values={**batch.values, "audio": values[:, :, :50]},
        steps={**batch.steps, "audio": batch.steps["audio"][:, :, :50]},
    )
    for task in TASKS:
        torch.testing.assert_close(model(short)[task], model(long)[task], rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("file", TINY)
def test_scoring_does_not_depend_on_the_batch(file):
    """After training has moved the batch norm, a clip alone scores as it does among others."""
    model = file.Model(TINY[file], SMALL, TASKS).train()
    batch = random(SMALL)
    model(batch)
    model.eval()
    alone = batch_of({m: x[:1, 0] for m, x in batch.values.items()})
    for task in TASKS:
        torch.testing.assert_close(model(alone)[task], model(batch)[task][:1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("file", TINY)
def test_a_training_batch_of_one_clip_works(file):
    """The last batch of an epoch may hold one clip: it is normed as in scoring, trains, and moves no statistics."""
    model = file.Model(TINY[file], SMALL, TASKS).train()
    norm = model.classifier.hidden[1]
    output = model(random(SMALL, b=1))
    soft_cross_entropy(output["emotion"], torch.eye(7)[:1], torch.ones(1, dtype=torch.bool)).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    assert torch.equal(norm.running_mean, torch.zeros(8))
    assert norm.num_batches_tracked == 0
    model(random(SMALL))
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize("file", TINY)
def test_what_does_not_go_together_is_refused(file):
    """The message names the model, what was expected and what came."""
    name = file.__name__.rpartition(".")[2]
    with pytest.raises(ValueError, match=f"^{name}: expected a width that its heads share evenly, got 512 and 7"):
        file.Config(heads=7)
    with pytest.raises(ValueError, match=f"^{name}: expected the modalities audio, video, text, got audio, pulse"):
        file.Model(TINY[file], {"audio": (9, 8), "pulse": (4, 8)}, TASKS)
