"""MFER computes what the authors' code computes, hands on what its stages learnt, and reads no padding unless asked."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from batch_kit import batch_of
from golden import fill

from fuse.batch import Batch
from fuse.models import mfer

GOLDEN = Path(__file__).parent / "golden"
SHAPES = {"audio": (149, 768), "video": (20, 768)}
CLASSES = 8
PADDED = 6
SMALL = {"audio": (9, 16), "video": (5, 8)}
NARROW = {"width": 12}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def golden():
    """Read what the authors' code gave for weights and inputs that are made from names."""
    with np.load(GOLDEN / "mfer.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def filled(golden):
    """Give the golden weights of a mode under the authors' names."""
    meta = json.loads(str(golden["meta"]))

    def weights(mode):
        shapes = meta["state_dict"][mode]
        return fill.fill_({name: torch.zeros(shape) for name, shape in shapes.items()}, seed=meta["seed"])

    return weights


@pytest.fixture(scope="module")
def values():
    """Make the same two clips; the second has six frames less, and zeros behind them."""
    audio = 0.8 * fill.inputs("mfer.audio", (2, 149, 768))
    video = fill.inputs("mfer.visual", (2, 20, 768))
    video[1, -PADDED:] = 0
    return {"audio": torch.from_numpy(audio), "video": torch.from_numpy(video)}


def build(shapes, tasks, state=None, **config):
    """Return a model in eval mode, with weights under the authors' names if there are any."""
    torch.manual_seed(0)
    model = mfer.Model(mfer.Config(**config), shapes, tasks)
    if state is not None:
        model.load_state_dict(mfer.from_reference(state))
    return model.eval()


def small(tasks=None, seed=1, shapes=SMALL, **config):
    """Return a small model, drawn anew for each seed."""
    torch.manual_seed(seed)
    return mfer.Model(mfer.Config(**NARROW, **config), shapes, tasks or {"emotion8": CLASSES}).eval()


def only(modality):
    """Return the small shapes of one modality."""
    return {modality: SMALL[modality]}


def assert_golden(got, expected):
    """Compare within the tolerance that the golden file states."""
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def padded(values, modality, more):
    """Return the clips with more zeros behind a modality's steps."""
    return {**values, modality: torch.nn.functional.pad(values[modality], (0, 0, 0, more))}


REAL = {"video": [20, 20 - PADDED]}


@torch.no_grad()
@pytest.mark.parametrize(("mode", "modality"), [("visual", "video"), ("audio", "audio")])
def test_an_arm_matches_the_authors(golden, filled, values, mode, modality):
    """The state and the logits of each arm alone are those of the authors' code, padding read."""
    chosen = {modality: values[modality]}
    batch = batch_of(chosen, {m: REAL[m] for m in chosen if m in REAL})
    model = build({modality: SHAPES[modality]}, {"emotion8": CLASSES}, filled(mode), variant="authors")
    assert_golden(model.state(batch, modality), golden[f"{mode}_state"])
    assert_golden(model(batch)["emotion8"], golden[f"logits_{mode}"])


@torch.no_grad()
def test_both_arms_match_the_authors(golden, filled, values):
    """The logits of both arms are those of the authors' code, and with padding left out those of frames dropped."""
    state, batch = filled("both"), batch_of(values, REAL)
    read = build(SHAPES, {"emotion8": CLASSES}, state, variant="authors")(batch)["emotion8"]
    assert_golden(read, golden["logits_both"])
    left_out = build(SHAPES, {"emotion8": CLASSES}, state)(batch)["emotion8"]
    assert_golden(left_out[1:], golden["logits_both_ignoring_padding"])
    assert_golden(left_out[:1], golden["logits_both"][:1])
    assert (left_out - read)[1].abs().max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("modality", SHAPES)
def test_only_the_authors_variant_depends_on_padding(values, modality):
    """Zeros that a longer neighbour brings with it change what the authors' variant says of a clip, and only that."""
    short = {m: x[:, :10] for m, x in values.items()}  # a GRU forgets what stands before many steps
    real = {m: [10, 10] for m in SHAPES}
    for variant, depends in (("authors", True), ("repaired", False)):
        model = build(SHAPES, {"emotion8": CLASSES}, variant=variant)
        alone, beside = (model(batch_of(x, real))["emotion8"] for x in (short, padded(short, modality, 7)))
        change = (alone - beside).abs().max()
        assert change > 1e-4 if depends else change < 1e-6, f"{variant} changes by {change:.1e}"


@torch.no_grad()
def test_steps_that_are_not_real_are_left_out_wherever_they_stand():
    """Two windows with padding in the first give the state of their real steps in one row."""
    model = small()
    batch = batch_of({m: torch.randn(3, t, d) for m, (t, d) in SMALL.items()})
    whole = batch.values["audio"][:, 0]
    parted = torch.full((3, 2, 9, 16), 1e4)
    parted[:, 0, :4], parted[:, 1, :5] = whole[:, :4], whole[:, 4:]
    steps = torch.arange(9) < torch.tensor([[4], [5]])
    windows = torch.ones(3, 2, dtype=torch.bool)
    other = Batch(
        batch.ids,
        {"audio": parted},
        {"audio": windows},
        {"audio": steps.expand(3, 2, 9)},
        batch.dialogue,
        batch.turn,
        batch.speaker,
    )
    torch.testing.assert_close(model.state(other, "audio"), model.state(batch, "audio"))


@torch.no_grad()
@pytest.mark.parametrize("variant", ["authors", "repaired"])
def test_an_absent_modality_has_a_state_of_zeros(variant):
    """A clip without pictures is classified by its sound and nothing else."""
    model = small(variant=variant)
    batch = batch_of({m: torch.randn(2, t, d) for m, (t, d) in SMALL.items()}, {"video": [0, 5]})
    assert not model.state(batch, "video")[0].any()
    head = model.heads["emotion8"]
    expected = model.state(batch, "audio") @ head.weight[:, NARROW["width"] :].T + head.bias
    torch.testing.assert_close(model(batch)["emotion8"][0], expected[0])


@torch.no_grad()
def test_fusion_begins_with_both_classifiers_as_the_authors_do(golden, filled, values):
    """The head is [visual | audio] with the mean of both biases, and the GRUs are those of the stages."""
    both = mfer.from_reference(filled("both"))

    def stage(modality, mode):
        arm = {name: x for name, x in both.items() if name.startswith(f"arms.{modality}.")}
        weight, bias = ((f"{mode}.classifier.{kind}", shape) for kind, shape in (("weight", (8, 384)), ("bias", (8,))))
        named = {"weight": weight, "bias": bias}
        return arm | {f"heads.emotion8.{kind}": torch.from_numpy(fill.values(*of)) for kind, of in named.items()}

    model = build(SHAPES, {"emotion8": CLASSES})
    mfer.begin(model, {"first": stage("audio", "audio"), "second": stage("video", "visual")})
    model.authors = True  # the golden logits read padding
    assert_golden(model(batch_of(values, REAL))["emotion8"], golden["logits_both_head_from_unimodal"])


def test_the_authors_last_stage_forgets_the_gru_of_video():
    """In the authors' variant the GRU of video stays as drawn; its classifier is used all the same."""
    stages = {m: small(shapes=only(m), seed=seed).state_dict() for seed, m in ((2, "video"), (3, "audio"))}
    for variant, forgotten in (("authors", True), ("repaired", False)):
        model = small(variant=variant)
        drawn = {name: x.clone() for name, x in model.state_dict().items()}
        mfer.begin(model, stages)
        for name, now in model.arms.state_dict(prefix="arms.").items():
            given = drawn if forgotten and ".video." in name else stages["video" if ".video." in name else "audio"]
            assert torch.equal(now, given[name]), (variant, name)
        assert torch.equal(model.heads["emotion8"].weight[:, :12], stages["video"]["heads.emotion8.weight"])


def test_the_authors_last_stage_uses_an_arm_that_stays_alone():
    """A stage of video alone begins with what an earlier one taught, in either variant."""
    earlier = small(shapes=only("video"), seed=2).state_dict()
    for variant in ("authors", "repaired"):
        model = small(shapes=only("video"), variant=variant)
        mfer.begin(model, {"before": earlier})
        assert all(torch.equal(x, earlier[name]) for name, x in model.state_dict().items())


def test_eight_classes_begin_with_an_arm_of_four():
    """The arm comes from the stage before, the head is drawn anew, whether the task or only its classes differ."""
    four = small({"emotion4": 4}, seed=2, shapes=only("audio")).state_dict()
    for tasks in ({"emotion8": 8}, {"emotion4": 8}):
        model = small(tasks, shapes=only("audio"))
        head = {name: x.clone() for name, x in model.heads.state_dict().items()}
        mfer.begin(model, {"audio4": four})
        assert all(torch.equal(x, four[f"arms.{name}"]) for name, x in model.arms.state_dict().items())
        assert all(torch.equal(x, head[name]) for name, x in model.heads.state_dict().items())


def test_the_last_stage_that_has_an_arm_is_taken():
    """Of several stages with sound the last one counts, and a stage of both gives each arm its own columns."""
    first, last = (small(shapes=only("audio"), seed=seed).state_dict() for seed in (2, 3))
    model = small(shapes=only("audio"))
    mfer.begin(model, {"first": first, "last": last})
    assert torch.equal(model.heads["emotion8"].weight, last["heads.emotion8.weight"])
    both = small(seed=4).state_dict()
    mfer.begin(model, {"both": both})
    assert torch.equal(model.heads["emotion8"].weight, both["heads.emotion8.weight"][:, NARROW["width"] :])


def test_stages_without_a_fitting_arm_are_refused():
    """The message says which stages there are and which arm was expected."""
    video = small(shapes=only("video")).state_dict()
    with pytest.raises(ValueError, match="none of the stages visual has an arm of audio"):
        mfer.begin(small(shapes=only("audio")), {"visual": video})


def test_the_authors_names_fit_one_to_one(filled):
    """Every parameter of a mode has a place here, every place is filled, and the encoders are left out."""
    state = filled("both") | {"v_backbone.vit.layernorm.bias": torch.zeros(3)}
    assert mfer.from_reference(state).keys() == build(SHAPES, {"emotion8": CLASSES}).state_dict().keys()
    with pytest.raises(ValueError, match="expected a classifier of 4 or 8 classes, got 5"):
        mfer.from_reference({"classifier.bias": torch.zeros(5)})


def test_parameters_are_counted_as_in_the_authors_code():
    """Each GRU, the head of eight classes and their sum have the authors' numbers of parameters."""
    model = mfer.Model(mfer.Config(), SHAPES, {"emotion8": CLASSES})
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_modules()}
    assert (count["arms.video"], count["arms.audio"], count["heads"], count[""]) == (2216448, 2216448, 6152, 4439048)


def test_wrong_input_is_refused_with_what_to_do():
    """Text, pictures, nothing at all and sizes below 1 are answered with what was expected."""
    for shapes, got in (
        ({"audio": (9, 8), "text": (4, 8)}, "audio of vectors, text of vectors"),
        ({"video": (25, 64, 64)}, "video of pictures"),
        ({}, "nothing"),
    ):
        with pytest.raises(ValueError, match=f"expected vectors of audio, video or both, got {got}; .*concat"):
            mfer.Model(mfer.Config(), shapes, {"emotion8": CLASSES})
    with pytest.raises(ValueError, match="expected a width and layers of 1 or more, got 384 and 0"):
        mfer.Config(layers=0)


def test_notes_say_what_the_authors_variant_does():
    """Padding and the forgotten GRU are told where they happen, and nothing is told where neither does."""
    assert [len(small(variant="authors", shapes=shapes).notes()) for shapes in (SMALL, only("video"))] == [2, 1]
    assert small().notes() == ()
