"""Cross-BERT computes what the authors' code computes, and what was repaired of it is repaired."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from batch_kit import batch_of, first
from golden import fill

from fuse.models import _branches, cross_bert

GOLDEN = Path(__file__).parent / "golden"
SHAPES = {"text": (50, 768), "audio": (1, 128), "video": (25, 64, 64)}
SMALL = {"text": (6, 16), "audio": (9, 12), "video": (5, 8)}
TASKS = {"emotion": 7, "sentiment": 3}
KIN = (("text",), ("audio",), ("video",), ("text", "audio"), ("text", "video"), ("text", "audio", "video"))
AUTHORS = cross_bert.Config(variant="authors", head="index")

pytestmark = pytest.mark.usefixtures("one_thread")


def noise(shapes, b=3, seed=0):
    """Random values of some shapes."""
    generator = torch.Generator().manual_seed(seed)
    return {m: torch.randn(b, *shape, generator=generator) for m, shape in shapes.items()}


def small(config=None, modalities=tuple(SMALL), shapes=SMALL, seed=0):
    """Return a small untrained model of some modalities."""
    torch.manual_seed(seed)
    return cross_bert.Model(config or cross_bert.Config(), {m: shapes[m] for m in modalities}, TASKS).eval()


@pytest.fixture(scope="module")
def golden():
    """Read what the authors' code gave for weights and inputs that are made from names."""
    with np.load(GOLDEN / "cross_bert_head.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def state(golden):
    """Fill the same weights under the authors' names."""
    meta = json.loads(str(golden["meta"]))
    state = {name: torch.zeros(shape) for name, shape in meta["state_dict"].items()}
    state["BertFinetun.bn1.num_batches_tracked"] = torch.tensor(0)
    state = fill.fill_(state, seed=meta["seed"])
    for name, value in meta["post_fill"].items():
        state[name].fill_(value)
    return state


@pytest.fixture(scope="module")
def values():
    """Make the same two clips; the authors' groups hold five pictures each."""
    video = fill.integers("crossbert.video", (2, 5, 10, 64, 64), 0, 0, 256)[:, :, :5].reshape(2, 25, 64, 64)
    return {
        "text": torch.from_numpy(fill.inputs("crossbert.hidden", (2, 50, 768))),
        "audio": torch.from_numpy(fill.inputs("crossbert.audio", (2, 1, 128))),
        "video": torch.from_numpy((video / 255 * 2).astype(np.float32)),
    }


@pytest.fixture(scope="module")
def batch(values):
    """Make the same batch: the second text has 17 tokens."""
    return batch_of(values, {"text": first([50, 17], 50)})


@pytest.fixture(scope="module")
def authors(state):
    """Return the authors' model with the golden weights; nothing here changes it."""
    return golden_model(state)


def golden_model(state, config=AUTHORS):
    """Return a model that holds the golden weights."""
    model = cross_bert.Model(config, SHAPES, {"sentiment": 3})
    model.load_state_dict(cross_bert.from_reference(state))
    return model.eval()


def alone(batch, clip):
    """Return one clip of a batch."""
    rows = slice(clip, clip + 1)
    values = {m: x[rows, 0] for m, x in batch.values.items()}
    return batch_of(values, {m: x[rows, 0] for m, x in batch.steps.items()})


def number(model, batch):
    """The one output (b, 1) that the authors' code has."""
    return model.heads[0](model.trunk(batch))


def assert_golden(got, expected):
    """Compare within the tolerance that the golden file states."""
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_output_matches_the_authors(golden, authors, batch):
    """What is classified and the one output are those of the authors' code."""
    assert_golden(authors.trunk(batch), golden["pooled"])
    assert_golden(number(authors, batch), golden["logit"])


@torch.no_grad()
def test_every_step_on_the_way_matches_the_authors(golden, authors, batch):
    """Convolution, LSTM, maps and softmax match, so that a difference can be found."""
    fusion = authors.trunk
    convolved = fusion.video.sequence.pictures(batch)
    assert list(convolved.shape) == golden["conv3d_bn_shape"].tolist()
    assert_golden(convolved[:, :4, :, :3, :6], golden["conv3d_bn_corner"])
    assert_golden(fusion.video(batch), golden["lstm"])
    maps = fusion.maps(batch, batch.mean_of_windows("text"))
    assert_golden(maps["text"][:, 0], golden["text_map_row0"])
    fused = fusion.fused(maps)
    assert_golden(fused[:, 0].relu(), golden["fused_map_row0"])
    real = batch.steps["text"][:, 0]
    assert_golden(fusion.attention(fused, real)[real], golden["attention"][real])


@torch.no_grad()
@pytest.mark.parametrize("clip", [0, 1])
def test_the_authors_output_hangs_on_the_batch_and_ours_does_not(golden, authors, state, batch, clip):
    """A clip alone gives the authors' other number for it; repaired it gives the same alone and in a batch."""
    assert_golden(number(authors, alone(batch, clip)), golden[f"logit_batch1_{clip}"])
    assert np.abs(golden["logit"][clip] - golden[f"logit_batch1_{clip}"]).max() > 0.02
    ours = golden_model(state, cross_bert.Config(head="index"))
    torch.testing.assert_close(number(ours, alone(batch, clip))[0], number(ours, batch)[clip])


def test_audio_is_dead_in_the_authors_variant_and_alive_in_ours(state, values):
    """Other audio leaves the authors' output as it is and gets no gradient; with steps and repaired it counts."""
    steps = noise({"audio": (30, 128)}, b=2)["audio"] / 4  # more, and each step would look at itself alone
    for config, dead in ((AUTHORS, True), (cross_bert.Config(head="index"), False)):
        model = golden_model(state, config)
        one = number(model, batch_of({**values, "audio": steps}))
        other = number(model, batch_of({**values, "audio": steps.flip(1) * torch.linspace(0, 3, 30)[:, None]}))
        one.sum().backward()
        gradient = model.trunk.projections["audio"].weight.grad.abs().max().item()
        change = (other - one).abs().max().item()
        assert change < 1e-5 if dead else change > 1e-3, change
        assert gradient < 1e-5 if dead else gradient > 1e-3, gradient


def test_the_golden_tolerance_is_ours(golden):
    """The tolerance is copied here; the golden file has not moved on."""
    meta = json.loads(str(golden["meta"]))
    assert meta["tolerance"].startswith("rtol 1e-4, atol 1e-5")
    assert meta["parameters"] == 1_440_085


def test_parameters_are_counted_as_in_the_authors_code():
    """The trainable parameters are those of the authors' code, to the last one; CM-BERT's lack the video branch."""
    config, task = cross_bert.Config(head="index"), {"sentiment": 3}

    def count(*modalities):
        model = cross_bert.Model(config, {m: SHAPES[m] for m in modalities}, task)
        return sum(p.numel() for p in model.parameters())

    assert count("text", "audio", "video") == 1_440_085
    assert count("text", "audio") == 1_440_085 - 10_240 - 64 - 810_000 - 1
    assert count("text") == 769


def test_the_authors_names_fit_one_to_one(state, authors):
    """Every parameter of the authors' code has a place here, and every place is filled."""
    renamed = cross_bert.from_reference(state)
    assert len(renamed) == len(state)
    assert renamed.keys() == authors.state_dict().keys()


MISTAKES = {
    "video map left out": lambda model: model.trunk.weights["video"].data.zero_(),
    "text map left out": lambda model: model.trunk.weights["text"].data.zero_(),
    "groups overlap": lambda model: setattr(model.trunk.video.sequence.pictures, "overlap", True),
    "each clip its own scale": lambda model: setattr(model.trunk, "scaled", per_clip),
    "padding attended to": lambda model: setattr(model.trunk, "attention", lambda fused, _: fused.softmax(dim=-1)),
    "no residual": lambda model: model.trunk.dense.register_forward_pre_hook(without_first_token),
}


def per_clip(text):
    """Scale as the repaired variant does."""
    return text / torch.linalg.vector_norm(text, dim=(1, 2), keepdim=True).sqrt()


def without_first_token(_module, inputs):
    """Take the residual away again."""
    token = torch.from_numpy(fill.inputs("crossbert.hidden", (2, 50, 768)))[:, 0]
    return (inputs[0] - token,)


@torch.no_grad()
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(golden, state, batch, name):
    """Each way of wiring it wrongly moves what is classified fifty times beyond the tolerance."""
    model = golden_model(state)
    MISTAKES[name](model)
    change = np.abs(model.trunk(batch).numpy() - golden["pooled"]).max()
    assert change > 0.01, f"{name} changes it by {change:.1e}"


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_steps_are_averaged_as_adaptive_pooling_does(steps):
    """Only the real steps count, wherever they are; garbage beside them and their number do not; nothing gives zero."""
    values = noise({"audio": (60, 4)}, b=4)["audio"]
    real = first([60, 23, 3, 0], 60)
    real[1] = real[1].flip(0)
    values[~real] = 1e30
    got = _branches.resampled(values, real, steps)
    for clip in range(3):
        expected = torch.nn.functional.adaptive_avg_pool1d(values[clip][real[clip]].T, steps).T
        torch.testing.assert_close(got[clip], expected)
    assert not got[3].any()


def test_groups_begin_every_five_pictures():
    """Repaired, a group holds ten pictures and shares five with the next; the authors leave half of each empty."""
    frames = torch.arange(1.0, 24)[None, :, None, None].expand(-1, -1, 2, 2)  # two short of 25
    ours = _branches.grouped(frames, overlap=True)[0, :, :, 0, 0].tolist()
    assert ours[0] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert ours[3] == [16, 17, 18, 19, 20, 21, 22, 23, 0, 0]
    assert ours[4] == [21, 22, 23, 0, 0, 0, 0, 0, 0, 0]
    theirs = _branches.grouped(frames, overlap=False)[0, :, :, 0, 0].tolist()
    assert theirs[1] == [6, 7, 8, 9, 10, 0, 0, 0, 0, 0]
    assert theirs[4] == [21, 22, 23, 0, 0, 0, 0, 0, 0, 0]


@torch.no_grad()
@pytest.mark.parametrize("modalities", KIN, ids="+".join)
@pytest.mark.parametrize("pictures", [False, True], ids=["vectors", "pictures"])
def test_every_model_of_table_1_ignores_what_is_not_there(modalities, pictures):
    """Padded steps, an absent modality and a shorter batch cannot change an output; what is there can."""
    shapes = {**SMALL, "video": (25, 16, 16)} if pictures else SMALL
    model = small(modalities=modalities, shapes=shapes)
    values = noise({m: shapes[m] for m in modalities})
    real = {m: first([shapes[m][0] - 2, 2, 0], shapes[m][0]) for m in modalities}
    clean = {m: x.masked_fill(~real[m].reshape(*real[m].shape, *(1,) * (x.dim() - 2)), 0) for m, x in values.items()}
    dirty = {m: x + 1e4 * (clean[m] == 0) for m, x in values.items()}
    expected = model(batch_of(clean, real))
    short = batch_of({m: x[:, :-2] for m, x in clean.items()}, {m: x[:, :-2] for m, x in real.items()})
    for batch in (batch_of(dirty, real), short):
        for task, logits in model(batch).items():
            assert logits.shape == (3, TASKS[task])
            torch.testing.assert_close(logits, expected[task], rtol=1e-5, atol=1e-5)
    louder = model(batch_of({m: 2 * x + 1 for m, x in values.items()}, real))
    assert (louder["emotion"] - expected["emotion"])[:2].abs().amax(dim=1).min() > 1e-4
    assert expected["emotion"].isfinite().all()


@torch.no_grad()
def test_text_alone_is_its_first_token():
    """The model of text alone is one linear layer over the first token."""
    model, values = small(modalities=("text",)), noise({"text": SMALL["text"]})
    torch.testing.assert_close(model(batch_of(values))["emotion"], model.heads[0](values["text"][:, 0]))


@torch.no_grad()
def test_a_clip_without_text_is_answered_from_nothing():
    """Without tokens there is nothing to mix: whatever is heard and seen, the answer is one and finite."""
    real = {"text": first([0, 0, 0], 6)}
    for variant in ("repaired", "authors"):
        model = small(cross_bert.Config(variant=variant))
        logits = model(batch_of(noise(SMALL) | {"text": torch.zeros(3, 6, 16)}, real))["emotion"]
        assert logits.isfinite().all()
        torch.testing.assert_close(logits, logits[:1].expand(3, -1))


@torch.no_grad()
def test_one_number_is_rounded_to_the_nearest_class():
    """The highest logit is that of the class nearest to the one output, and of the last classes beyond them."""
    model = small(cross_bert.Config(head="index"), modalities=("text",))
    model.heads[0].weight.zero_()
    for output, expected in {-3.0: 0, 0.4: 0, 0.6: 1, 3.49: 3, 5.8: 6, 6.4: 6, 40.0: 6}.items():
        model.heads[0].bias.fill_(output)
        logits = model(batch_of(noise({"text": SMALL["text"]})))["emotion"]
        assert logits.shape == (3, 7)
        assert logits.argmax(dim=1).tolist() == [expected] * 3


def test_the_loss_of_one_number_is_half_its_squared_error():
    """It is the authors' loss, by clip; outputs by class leave the loss to the trainer."""
    model = small(cross_bert.Config(head="index"))
    batch = batch_of(noise(SMALL))
    labels = torch.tensor([4, 0, 6])
    targets = torch.nn.functional.one_hot(labels, 7).float()
    expected = 0.5 * (number(model, batch)[:, 0] - labels).square()
    torch.testing.assert_close(model.losses("emotion", model(batch)["emotion"], targets), expected)
    assert not hasattr(small(), "losses")


@pytest.mark.parametrize("video", [(5, 8), (25, 64, 64)], ids=["vectors", "pictures"])
@pytest.mark.parametrize("config", [cross_bert.Config(), AUTHORS], ids=["repaired", "authors"])
def test_half_precision_trains(config, video):
    """Under bfloat16 autocast outputs and gradients are finite, and every parameter but dead audio's gets one."""
    shapes = {**SMALL, "video": video}
    model = small(config, shapes=shapes).train()
    values = noise(shapes)
    values["video"] = values["video"] * 60 + 128
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(batch_of(values))
        loss = sum(x.float().logsumexp(dim=1).sum() - x[:, 0].sum() for x in logits.values())
    loss.backward()
    assert all(x.isfinite().all() for x in logits.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("modalities", "message"),
    [
        (("audio", "video"), "expected text, alone or with audio, .* got audio, video; .*concat"),
        (("text", "pulse"), "got text, pulse"),
        ((), "got none"),
    ],
)
def test_other_modalities_are_refused(modalities, message):
    """The message says what was expected, what came and what to do."""
    with pytest.raises(ValueError, match=message):
        cross_bert.Model(cross_bert.Config(), dict.fromkeys(modalities, (4, 8)), TASKS)


def test_what_cannot_be_is_refused():
    """Sound as pictures, and the number of a class of tasks that have no classes or several at once."""
    with pytest.raises(ValueError, match="expected vectors as audio, got pictures"):
        cross_bert.Model(cross_bert.Config(), {"text": (4, 8), "audio": (4, 64, 64)}, TASKS)
    with pytest.raises(ValueError, match="got emotions, sentiment_score; say head = classes"):
        cross_bert.Model(AUTHORS, SMALL, {"emotions": 6, "sentiment": 3, "sentiment_score": 1})


def test_a_report_says_what_the_authors_ways_do():
    """The repaired model has nothing to say; the authors' names its dead audio, its batches and its one number."""
    assert small().notes() == ()
    said = " ".join(small(AUTHORS).notes())
    assert all(word in said for word in ("other clips of its batch", "audio cannot", "nearest to one number"))
    assert not small(cross_bert.Config(variant="authors"), modalities=("text",)).notes()
