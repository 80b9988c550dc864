"""Multimodal Interaction: every set it joins counts, and what a missing modality has a part in is zero."""

import dataclasses
from itertools import combinations

import pytest
import torch

from fuse.batch import Batch
from fuse.models import interaction

SHAPES = {"text": (50, 768), "audio": (1, 128), "video": (25, 64, 64)}
SMALL = {"text": (6, 16), "audio": (9, 12), "video": (5, 8)}
TASKS = {"emotion": 7, "sentiment": 3}
# How many vectors of the common width each set has, of three modalities.
VECTORS = {"uni": 3, "pairs": 6, "triple": 1, "unions": 12}

pytestmark = pytest.mark.usefixtures("one_thread")


def batch_of(shapes, b=3, lacking=()):
    """Random clips of some shapes, one window each; every step is real; clip 0 lacks some modalities."""
    generator = torch.Generator().manual_seed(0)
    values = {m: torch.randn(b, 1, *shape, generator=generator) for m, shape in shapes.items()}
    batch = Batch(
        ids=tuple(f"clip{i}" for i in range(b)),
        values=values,
        windows={m: torch.ones(b, 1, dtype=torch.bool) for m in values},
        steps={m: torch.ones(b, 1, x.shape[2], dtype=torch.bool) for m, x in values.items()},
        dialogue=torch.full((b,), -1),
        turn=torch.zeros(b, dtype=torch.long),
        speaker=torch.full((b,), -1),
    )
    return batch.without(dict.fromkeys(lacking, torch.arange(b) == 0))


def build(*sets, shapes=SMALL):
    """Return a small untrained model that joins some sets, or all."""
    torch.manual_seed(0)
    config = interaction.Config(width=8, sets=sets or interaction.Config().sets)
    return interaction.Model(config, shapes, TASKS).eval()


def vectors(model, batch):
    """Return what the sets are made from."""
    return [vector(batch) for vector in model.vectors.values()]


def without(model, name):
    """Return the same model, all its weights kept, but for one set."""
    kept = [other for other in model.sets if other != name]
    columns = torch.cat([torch.full((8 * VECTORS[other],), other != name) for other in model.sets])
    less, state = build(*kept), model.state_dict()
    state = {key: x[:, columns] if key.startswith("heads.") and x.dim() > 1 else x for key, x in state.items()}
    less.load_state_dict({key: x for key, x in state.items() if key != f"biases.{name}"})
    return less


@pytest.mark.parametrize("name", VECTORS)
def test_every_set_counts(name):
    """Leaving one set out, all else equal, changes the outputs and what every modality's weights learn."""
    batch, found = batch_of(SMALL), []
    whole = build()
    for model in (whole, without(whole, name)):
        logits = model(batch)["emotion"]
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 4, 6])).backward()
        found.append((logits, [p.grad for p in model.vectors.parameters()]))
    (logits, gradients), (fewer, other_gradients) = found
    assert (logits - fewer).abs().amax(dim=1).min() > 1e-2
    for one, other in zip(gradients, other_gradients, strict=True):
        assert one.abs().max() > 0
        assert (one - other).abs().max() > 1e-3 * one.abs().max()


def test_a_pair_is_what_the_paper_of_the_operation_says():
    """Each of two vectors attends to the other element by element and is multiplied with what it saw."""
    x, y = torch.randn(2, 4, 5, dtype=torch.float64)
    seen_by_x = torch.stack([torch.softmax(torch.outer(a, b), dim=1) @ b for a, b in zip(x, y, strict=True)])
    seen_by_y = torch.stack([torch.softmax(torch.outer(b, a), dim=1) @ a for a, b in zip(x, y, strict=True)])
    torch.testing.assert_close(interaction.pair(x, y), torch.cat([seen_by_x * x, seen_by_y * y], dim=1))
    assert not interaction.pair(x, torch.zeros_like(y)).any()
    assert not interaction.pair(torch.zeros_like(x), y).any()


@torch.no_grad()
def test_the_sets_are_made_as_said():
    """Pairs of each two vectors, the product of three, and unions of each two pairs, in that order."""
    model = build()
    t, a, v = given = vectors(model, batch_of(SMALL))
    made = model.made(given)
    pairs = [interaction.pair(x, y) for x, y in ((t, a), (t, v), (a, v))]
    torch.testing.assert_close(made["uni"], torch.cat([t, a, v], dim=1))
    torch.testing.assert_close(made["pairs"], torch.cat(pairs, dim=1))
    torch.testing.assert_close(made["triple"], t * a * v)
    torch.testing.assert_close(made["unions"], torch.cat([interaction.pair(*two) for two in combinations(pairs, 2)], 1))
    assert {name: x.shape[1] // 8 for name, x in made.items()} == VECTORS


@torch.no_grad()
@pytest.mark.parametrize("lacking", [("text",), ("audio",), ("video",), ("text", "video"), tuple(SMALL)], ids="+".join)
def test_what_an_absent_modality_has_a_part_in_is_zero(lacking):
    """Its vector, its pairs, the triple and the unions of its pairs are zero; the others are as before."""
    model = build()
    full = model.made(vectors(model, batch_of(SMALL)))
    made = model.made(vectors(model, batch_of(SMALL, lacking=lacking)))
    there = [m not in lacking for m in model.vectors]
    pairs = [x and y for x, y in combinations(there, 2)]
    unions = [x and y for x, y in combinations(pairs, 2)]
    expected = {"uni": there, "pairs": pairs, "triple": [all(there)], "unions": unions}
    for name, x in made.items():
        parts = x[0].chunk(len(expected[name]))
        for part, before, present in zip(parts, full[name][0].chunk(len(parts)), expected[name], strict=True):
            torch.testing.assert_close(part, before if present else torch.zeros_like(before))
        torch.testing.assert_close(x[1:], full[name][1:])
    assert model(batch_of(SMALL, lacking=lacking))["emotion"].isfinite().all()


def test_parameters_are_counted():
    """The model of the paper's inputs with seven classes has as many parameters as its description adds up to."""
    model = interaction.Model(interaction.Config(), SHAPES, {"emotion": 7})
    projections, norms, weights, biases = (768 + 128) * 128, 3 * 2 * 128, 3, 4
    convolution = 5 * 32 * 4**3 + 2 * 32
    lstm = 4 * 128 * (6656 + 128 + 2) + 4 * 128 * (128 + 128 + 2)
    outputs = 7 * (128 * sum(VECTORS.values()) + 1)
    count = sum(p.numel() for p in model.parameters())
    assert count == projections + norms + weights + biases + convolution + lstm + outputs == 3_752_014


@torch.no_grad()
@pytest.mark.parametrize("modalities", [("audio", "text"), ("video", "text"), ("video",)], ids="+".join)
def test_fewer_modalities_have_fewer_sets(modalities):
    """Two have their vectors and one pair, one has its vector; the report names the rest."""
    shapes = {m: SMALL[m] for m in modalities}
    model = build(shapes=shapes)
    assert model.sets == (("uni", "pairs") if len(modalities) > 1 else ("uni",))
    assert [note.split()[3] for note in model.notes()] == [name for name in VECTORS if name not in model.sets]
    assert model(batch_of(shapes))["sentiment"].shape == (3, 3)
    assert build().notes() == ()


@torch.no_grad()
def test_the_order_of_modalities_does_not_matter():
    """A recipe that names its modalities in another order builds the same model."""
    turned = dict(reversed(SMALL.items()))
    one, other = build(), build(shapes=turned)
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(one(batch_of(SMALL)), other(batch_of(SMALL)))


@torch.no_grad()
def test_pictures_count_and_absent_ones_do_not():
    """Pictures of 0 to 255 change the output, and whatever stands in the place of absent ones does not."""
    shapes = {**SMALL, "video": (25, 64, 64)}
    model, batch = build(shapes=shapes), batch_of(shapes, lacking=("video",))
    pictures = batch.values["video"] * 60 + 128
    logits = model(dataclasses.replace(batch, values={**batch.values, "video": pictures}))["emotion"]
    other = model(dataclasses.replace(batch, values={**batch.values, "video": pictures.flip(-1)}))["emotion"]
    torch.testing.assert_close(other[0], logits[0])
    assert (other - logits)[1:].abs().amax(dim=1).min() > 1e-3


@pytest.mark.parametrize("video", [(5, 8), (25, 64, 64)], ids=["vectors", "pictures"])
def test_half_precision_trains(video):
    """Under bfloat16 autocast outputs and gradients are finite, and every parameter gets one."""
    shapes = {**SMALL, "video": video}
    model = build(shapes=shapes).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(batch_of(shapes, lacking=("audio",)))["emotion"]
    torch.nn.functional.cross_entropy(logits.float(), torch.tensor([0, 4, 6])).backward()
    assert logits.isfinite().all()
    unused = {f"heads.sentiment.{name}" for name in ("weight", "bias")}
    found = {name: p.grad for name, p in model.named_parameters() if name not in unused}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in found.values())


@pytest.mark.parametrize(
    ("sets", "message"),
    [((), "got none"), (("uni", "quads"), "got uni, quads"), (("uni", "uni"), "each at most once, got uni, uni")],
)
def test_other_sets_are_refused(sets, message):
    """The message says which there are and what came."""
    with pytest.raises(ValueError, match=f"expected sets out of uni, pairs, triple, unions, .*{message}"):
        interaction.Config(sets=sets)


def test_what_cannot_be_built_is_refused():
    """Unknown modalities, pictures of sound, and sets none of which exists of so few modalities."""
    with pytest.raises(ValueError, match=r"out of text, audio, video, got text, pulse; .*concat"):
        build(shapes={"text": (4, 8), "pulse": (4, 8)})
    with pytest.raises(ValueError, match="expected vectors as audio, got pictures"):
        build(shapes={**SMALL, "audio": (4, 64, 64)})
    with pytest.raises(ValueError, match=r"at least 3 modalities for triple, unions, got audio, text; .*add uni"):
        build("triple", "unions", shapes={"audio": (9, 12), "text": (6, 16)})
