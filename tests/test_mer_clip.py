"""MER-CLIP is built as paper 004 tells it, and each part of it does what the paper's tables take away or exchange."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from fuse.batch import Batch
from fuse.models import mer_clip
from fuse.models._text_tower import Prompts, Sizes, TextTower
from fuse.models.mer_clip import Config, DecoderLayer, Fixed, Model
from manifests.labels import TASKS

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = {"text": (6, 16), "video": (5, 8), "audio": (4, 16)}
EMOTION = {"emotions": 6}
SMALL = Config(width=16, heads=4, ff=24, contexts=2, dropout=0)
EACH_TASK = {name: len(task.classes) for name, task in TASKS.items()}


def clips(b=4, n=2, shapes=SHAPES, seed=0):
    """Random clips with every window; the last two steps of the last window are padding."""
    generator = torch.Generator().manual_seed(seed)
    steps = {m: torch.ones(b, n, t, dtype=torch.bool) for m, (t, _) in shapes.items()}
    for mask in steps.values():
        mask[:, -1, -2:] = False
    return Batch(
        ids=tuple(f"clip{i}" for i in range(b)),
        values={m: torch.randn(b, n, t, d, generator=generator) for m, (t, d) in shapes.items()},
        windows={m: torch.ones(b, n, dtype=torch.bool) for m in shapes},
        steps=steps,
        dialogue=torch.full((b,), -1),
        turn=torch.zeros(b, dtype=torch.long),
        speaker=torch.full((b,), -1),
    )


def build(config=SMALL, shapes=SHAPES, tasks=EMOTION, tower=None):
    """Return a model with the same weights every time, in eval mode."""
    torch.manual_seed(0)
    return Model(config, shapes, tasks, tower).eval()


def tower(projected=16):
    """Return a small random text network whose words are letters."""
    sizes = Sizes(
        layers=2, heads=4, width=32, context=200, activation="quick_gelu", epsilon=1e-5, start_id=198, end_id=199
    )
    shapes = {"fc1.weight": (48, 32), "fc1.bias": (48,), "fc2.weight": (32, 48), "token_embedding.weight": (200, 32)}
    shapes |= {"position_embedding.weight": (200, 32), "text_projection.weight": (projected, 32)}
    generator, state = torch.Generator().manual_seed(0), {}
    for name in sizes.names():
        usual = (32, 32) if name.endswith("_proj.weight") else (32,)
        shape = next((s for end, s in shapes.items() if name.endswith(end)), usual)
        state[name] = torch.randn(shape, generator=generator) / 4
    return TextTower(sizes, state, lambda text: [ord(letter) for letter in text])


def said(small, **changes):
    """Change settings."""
    return dataclasses.replace(small, **changes)


def count(module):
    """Count what is trained."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_parameters_are_counted_exactly():
    """A decoder layer of the paper's size has 4,204,032 parameters, three 12,612,096, with a narrow part 7,888,896."""
    with torch.device("meta"):
        wide = [DecoderLayer(Config()) for _ in range(3)]
        narrow = [DecoderLayer(Config(ff=512)) for _ in range(3)]
    assert count(wide[0]) == 4_204_032
    assert sum(map(count, wide)) == 12_612_096
    assert sum(map(count, narrow)) == 7_888_896


def test_the_whole_model_is_counted():
    """Beside its decoder a model has an adapter per modality and a scale; with the text network, contexts too."""
    shapes = {"text": (77, 512), "video": (12, 512), "audio": (9, 512)}
    plain = Model(Config(), shapes, {"sentiment2": 2})
    assert count(plain) == 12_612_096 + 3 * (512 * 512 + 512) + 1
    learned = Model(Config(), shapes, {"sentiment2": 2}, tower(512))
    assert count(learned) == count(plain) + 2 * 8 * 32
    assert sum(x.numel() for x in learned.state_dict().values()) == count(learned)
    contexts = {"texts.contexts.sentiment2_query", "texts.contexts.sentiment2_labels"}
    assert learned.state_dict().keys() - plain.state_dict().keys() == contexts


RENAMED = {
    "self_attention": "self_attn",
    "cross_attention": "multihead_attn",
    "ff.0": "linear1",
    "ff.3": "linear2",
    "norm_self": "norm1",
    "norm_cross": "norm2",
    "norm_ff": "norm3",
}


def test_a_layer_is_the_usual_decoder_layer():
    """With one query and a mask over steps it computes what torch's own post-norm decoder layer computes."""
    torch.manual_seed(0)
    ours = DecoderLayer(SMALL).eval()
    usual = torch.nn.TransformerDecoderLayer(16, 4, 24, 0, batch_first=True).eval()
    state = {
        next(name.replace(a, b) for a, b in RENAMED.items() if a in name): x for name, x in ours.named_parameters()
    }
    usual.load_state_dict(state)
    z, values, real = torch.randn(3, 1, 16), torch.randn(3, 7, 16), torch.rand(3, 7) > 0.3
    expected = usual(z, values, memory_key_padding_mask=~real)
    torch.testing.assert_close(ours(z, values, real), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_query_does_not_see_another():
    """Queries side by side find what each finds alone."""
    torch.manual_seed(0)
    layer, z, values = DecoderLayer(SMALL).eval(), torch.randn(3, 4, 16), torch.randn(3, 7, 16)
    real = torch.ones(3, 7, dtype=torch.bool)
    together = layer(z, values, real)
    for i in range(4):
        torch.testing.assert_close(layer(z[:, i : i + 1], values, real), together[:, i : i + 1], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_tasks_do_not_see_each_other():
    """A task's logits are the same when other tasks are there."""
    many, batch = build(tasks=EACH_TASK), clips()
    found = many(batch)
    assert {task: x.shape for task, x in found.items()} == {task: (4, k) for task, k in EACH_TASK.items()}
    for task, k in EACH_TASK.items():
        alone = build(tasks={task: k})
        alone.load_state_dict({name: many.state_dict()[name] for name in alone.state_dict()})
        torch.testing.assert_close(alone(batch)[task], found[task], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_attention_to_one_vector_is_that_vector():
    """With pooled modalities the cross-attention gives the same whatever is asked; with steps as keys it does not."""
    torch.manual_seed(0)
    layer, z, values = DecoderLayer(SMALL).eval(), torch.randn(2, 1, 16), torch.randn(1, 5, 16).expand(2, -1, -1)
    for keys, same in ((values[:, :1], True), (values, False)):
        first, second = layer.cross_attention(z, keys, keys, need_weights=False)[0]
        assert torch.allclose(first, second, atol=1e-6) == same


@torch.no_grad()
def test_a_clip_without_a_modality_passes_it_by():
    """What is absent leaves the query as it was after seeing itself: the layer without its cross-attention."""
    torch.manual_seed(0)
    layer, z, values = DecoderLayer(SMALL).eval(), torch.randn(2, 1, 16), torch.randn(2, 5, 16)
    real = torch.tensor([[True] * 5, [False] * 5])
    found = layer(z, values, real)
    itself = layer.self_attention.out_proj(functional.linear(z, *_value_of(layer.self_attention)))
    seen = layer.norm_self(z + itself)
    torch.testing.assert_close(found[1], layer.norm_ff(seen + layer.ff(seen))[1], rtol=1e-5, atol=1e-5)
    assert (found[0] - layer.norm_ff(seen + layer.ff(seen))[0]).abs().max() > 1e-2


def _value_of(attention):
    return attention.in_proj_weight[-16:], attention.in_proj_bias[-16:]


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"pooled": True}, {"decoder": False}, {"label_encoder": False}])
@pytest.mark.parametrize("absent", [("text",), ("video", "audio"), tuple(SHAPES)])
def test_absent_and_padded_values_cannot_change_an_output(changes, absent):
    """In each form, steps of padding and modalities that a clip lacks may hold anything; the output is finite."""
    model, batch = build(said(SMALL, **changes)), clips()
    gone = torch.arange(4) % 2 == 0
    batch = batch.without(dict.fromkeys(absent, gone))
    expected = model(batch)["emotions"]
    assert expected.isfinite().all()
    assert (expected - model(clips())["emotions"])[gone].abs().max() > 1e-3
    real = {m: batch.steps[m] & batch.windows[m][:, :, None] for m in SHAPES}
    dirty = {m: torch.where(real[m][..., None], x, 1e30) for m, x in batch.values.items()}
    torch.testing.assert_close(model(dataclasses.replace(batch, values=dirty))["emotions"], expected)


@torch.no_grad()
@pytest.mark.parametrize(("modality", "last"), [("text", True), ("video", False), ("audio", False)])
def test_pooled_text_is_its_end_token_and_all_else_a_mean(modality, last):
    """Of text the last real step alone counts; of the others the order of steps does not."""
    model, batch = build(said(SMALL, pooled=True)), clips(n=1)
    values, real = model.source(modality, batch)
    end = SHAPES[modality][0] - 2
    steps = batch.values[modality][:, 0, :end]
    expected = steps[:, -1] if last else steps.mean(dim=1)
    assert real.all()
    torch.testing.assert_close(values[:, 0], model.adapters[modality](expected), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_modalities_are_asked_in_the_order_given():
    """The first layer asks the first modality of the recipe; another order of the same weights gives other logits."""
    model, batch = build(), clips()
    other = build(shapes={m: SHAPES[m] for m in ("audio", "video", "text")})
    other.load_state_dict(model.state_dict())
    assert [*model.adapters] == [*SHAPES]
    assert (other(batch)["emotions"] - model(batch)["emotions"]).abs().max() > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("modality", SHAPES)
def test_a_modality_alone_is_enough(modality):
    """Table 3 has each modality alone: one layer, and the batch's other modalities are not looked at."""
    model = build(shapes={modality: SHAPES[modality]})
    assert len(model.layers) == 1
    assert model(clips())["emotions"].shape == (4, 6)


def test_adapters_begin_as_no_change():
    """Where widths agree nothing is changed at first; where they do not, and without adapters, it is as told."""
    model = build()
    values = torch.randn(3, 16)
    torch.testing.assert_close(model.adapters["text"](values), values, rtol=0, atol=0)
    assert model.adapters["video"].weight.shape == (16, 8)
    plain = build(said(SMALL, adapters=False), shapes={"text": (6, 16)})
    assert not list(plain.adapters.parameters())


@torch.no_grad()
def test_several_labels_are_standardised():
    """Logits of several labels have mean 0 and population deviation 1, so their shares lie between 0.10 and 0.90."""
    logits = build()(clips())["emotions"]
    torch.testing.assert_close(logits.mean(dim=1), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(logits.std(dim=1, correction=0), torch.ones(4), rtol=1e-4, atol=0)
    model = build()
    sure = model.answer("emotions", model.texts()["emotions_labels"][:1], model.texts())
    assert sure.sigmoid().max().item() == pytest.approx(torch.tensor(5**0.5).sigmoid().item(), abs=1e-4)
    assert mer_clip.THRESHOLD == 0.6


def test_equal_likenesses_are_no_label_and_have_a_gradient():
    """A clip that is equally like every label has a share of one half of each, and a finite gradient."""
    model = build()
    z = torch.ones(1, 16, requires_grad=True)
    logits = model.answer("emotions", z, {"emotions_labels": torch.ones(6, 16)})
    logits.sigmoid().square().sum().backward()
    torch.testing.assert_close(logits, torch.zeros(1, 6))
    assert z.grad.isfinite().all()


@torch.no_grad()
def test_one_label_is_the_scaled_cosine():
    """Logits of one label are the cosine times a learned scale that begins at 1 / 0.07; lengths do not matter."""
    model = build(tasks={"sentiment": 3})
    z, labels = torch.randn(4, 16), torch.randn(3, 16)
    found = model.answer("sentiment", z, {"sentiment_labels": labels})
    expected = functional.normalize(z) @ functional.normalize(labels).T / 0.07
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    longer = model.answer("sentiment", 3 * z, {"sentiment_labels": labels * torch.tensor([[1.0], [2], [3]])})
    torch.testing.assert_close(longer, expected, rtol=1e-4, atol=1e-4)
    model.log_scales["sentiment"] += math.log(2)
    torch.testing.assert_close(
        model.answer("sentiment", z, {"sentiment_labels": labels}), 2 * expected, rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_half_precision_keeps_the_digits_of_likeness():
    """Labels that are much alike are told apart under bfloat16 too: standardised logits keep their order and size."""
    model = build()
    labels = torch.ones(1, 16) * 3 + 0.02 * torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    z = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    expected = model.answer("emotions", z, {"emotions_labels": labels})
    with torch.autocast("cpu", torch.bfloat16):
        found = model.answer("emotions", z, {"emotions_labels": labels})
        assert all(x.isfinite().all() for x in model(clips()).values())
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def loss_of(model, batch, targets):
    """Return the training loss of one task with one or several labels."""
    ((task, logits),) = model(batch).items()
    if TASKS[task].kind == "class":
        return functional.cross_entropy(logits, targets)
    return functional.binary_cross_entropy_with_logits(logits, functional.one_hot(targets, logits.shape[1]).float())


@pytest.mark.parametrize("decoder", [True, False])
@pytest.mark.parametrize("label_encoder", [True, False])
def test_every_row_of_table_4_learns(decoder, label_encoder):
    """With and without decoder and label encoder, a few clips are learnt by heart, and every parameter is reached."""
    model = build(said(SMALL, decoder=decoder, label_encoder=label_encoder), tasks={"sentiment": 3}, tower=tower())
    batch, targets = clips(6), torch.arange(6) % 3
    assert bool(len(model.layers)) == decoder
    assert bool(len(model.heads)) == (not label_encoder)
    assert isinstance(model.texts, Prompts) == label_encoder
    optimiser = torch.optim.Adam(model.train().parameters(), lr=1e-2)
    first = None
    for _ in range(80):
        optimiser.zero_grad()
        loss = loss_of(model, batch, targets)
        first = first or loss.item()
        loss.backward()
        optimiser.step()
    assert loss.item() < first / 4
    assert all(p.grad is not None for p in model.parameters())


def test_learned_prompts_pass_the_gradient():
    """The contexts of labels and of the query both learn from the loss; nothing else of the texts is trained."""
    model = build(tower=tower()).train()
    loss_of(model, clips(6), torch.arange(6)).backward()
    gradients = {name: p.grad.abs().max() for name, p in model.texts.named_parameters()}
    assert gradients.keys() == {"contexts.emotions_query", "contexts.emotions_labels"}
    assert min(gradients.values()) > 0


@torch.no_grad()
def test_frozen_prompts_are_embedded_once():
    """Without contexts the texts are what the text network makes of them, kept as they are, not trained, not stored."""
    network = tower()
    model = build(said(SMALL, prompts="frozen"), tower=network)
    expected = Prompts(network, {"labels": mer_clip._groups(SMALL, EMOTION)["emotions_labels"]}, 0)()["labels"]
    assert isinstance(model.texts, Fixed)
    torch.testing.assert_close(model.texts()["emotions_labels"], expected)
    assert not [name for name in model.state_dict() if name.startswith("texts")]
    assert {x.device.type for x in model.to("meta").texts().values()} == {"meta"}


@torch.no_grad()
def test_texts_without_a_network_are_fixed_and_orthonormal():
    """Labels stand at right angles, each follows from its own text and those before, and nothing of them is learned."""
    first, second = (build(said(SMALL, width=32), tasks=EACH_TASK).texts() for _ in range(2))
    for name, embedding in first.items():
        torch.testing.assert_close(embedding, second[name], rtol=0, atol=0)
        torch.testing.assert_close(embedding @ embedding.T, torch.eye(len(embedding)), rtol=0, atol=1e-5)
    assert (first["emotion_query"] - first["sentiment_query"]).abs().max() > 0.1
    assert not list(build().texts.parameters())
    # A value of its own, so that another library's numbers are noticed where runs are compared.
    assert mer_clip._orthonormal(["Emotion"], 4)[0].tolist() == pytest.approx(ORTHONORMAL, abs=1e-6)


ORTHONORMAL = [0.21829578, 0.07180678, -0.66367590, -0.71184623]


def test_every_task_has_words():
    """Each class of each task has a word of its own, those of seven sentiments as the paper calls them."""
    for task, k in EACH_TASK.items():
        groups = mer_clip._groups(SMALL, {task: k})
        labels = groups.get(f"{task}_labels", [])
        assert len({*labels}) == len(labels) == (0 if TASKS[task].kind == "score" else k)
        assert all(label.replace(" ", "").isalpha() for label in labels)
        assert groups[f"{task}_query"] == ["Sentiment" if "sentiment" in task else "Emotion"]
    assert mer_clip._groups(SMALL, EMOTION)["emotions_labels"] == "happy sad angry surprise disgust fear".split()
    assert mer_clip._groups(SMALL, {"sentiment7": 7})["sentiment7_labels"][:2] == ["strongly negative", "negative"]


@pytest.mark.parametrize(
    ("labels", "tasks", "first"),
    [
        ("sentence", ("emotion", "emotions", "emotion4", "emotion6", "emotion8"), "A state of feeling delighted"),
        ("phrase", ("sentiment", "sentiment2"), "Feelings of dissatisfaction"),
    ],
)
def test_labels_may_be_phrases_and_sentences(labels, tasks, first):
    """Emotions have sentences and sentiments phrases; the wrong kind is refused, and says which the paper has."""
    config = said(SMALL, labels=labels)
    for task in tasks:
        texts = mer_clip._groups(config, {task: EACH_TASK[task]})[f"{task}_labels"]
        assert any(text.startswith(first) for text in texts)
        assert len({*texts}) == EACH_TASK[task]
        assert build(config, tasks={task: EACH_TASK[task]}, tower=tower())(clips())[task].isfinite().all()
    wrong = "sentence" if labels == "phrase" else "phrase"
    with pytest.raises(ValueError, match="the paper has phrases for sentiment and sentences for emotions"):
        build(said(SMALL, labels=wrong), tasks={tasks[0]: EACH_TASK[tasks[0]]})


@pytest.mark.parametrize(("query", "text"), [("task", "Emotion"), ("Mood", "Mood"), ("", "")])
def test_the_query_is_the_word_asked_for(query, text):
    """The task's word, another word, or contexts alone before the stop."""
    network = tower()
    model = build(said(SMALL, query=query), tower=network)
    words = network.embed(torch.tensor([198, *map(ord, f"{text}."), 199]))
    torch.testing.assert_close(model.texts.get_buffer("words")[0, : len(words)], words)


def test_a_score_is_read_by_a_linear_layer():
    """A score has a query and no labels; its number comes from a linear layer, and a note says so."""
    model = build(tasks={"sentiment_score": 1}, tower=tower())
    assert [*model.texts.counts] == ["sentiment_score_query"]
    assert model(clips())["sentiment_score"].shape == (4, 1)
    assert [note for note in model.notes() if note.startswith("sentiment_score: ")]


def test_notes_say_what_is_not_the_papers():
    """Made-up texts, texts of ours and scores are noted; the paper's own model has nothing to say."""
    assert build(tower=tower()).notes() == ()
    assert build(said(SMALL, prompts="frozen"), tower=tower()).notes() == ()
    assert build(said(SMALL, label_encoder=False)).notes() == ()
    (note,) = build().notes()
    assert note.startswith("frozen prompts: no text tower beside the text features")
    (note,) = build(said(SMALL, labels="sentence"), tasks={"emotion4": 4}, tower=tower()).notes()
    assert note == "the paper has no sentence for neutral: ours is used"
    assert build(said(SMALL, labels="sentence"), tower=tower()).notes() == ()


def test_the_network_beside_the_features_is_used(monkeypatch):
    """`build` looks through the folders of every modality, and not at all where labels are no texts."""
    asked = []

    def found(folders):
        asked.extend(folders)
        return tower()

    monkeypatch.setattr(mer_clip._text_tower, "found", found)
    entries = {"video": ["a"], "text": ["b", "c"]}
    assert isinstance(mer_clip.build(SMALL, SHAPES, EMOTION, entries).texts, Prompts)
    assert asked == ["a", "b", "c"]
    plain = mer_clip.build(said(SMALL, label_encoder=False), SHAPES, EMOTION, entries)
    assert isinstance(plain.texts, Fixed)
    assert asked == ["a", "b", "c"]


@pytest.mark.parametrize("folders", [{}, {"text": ()}])
def test_features_without_a_network_give_fixed_texts(folders, tmp_path):
    """Where no folder has the files, texts are fixed; `Model` alone is the same."""
    entries = folders or {"text": (tmp_path,)}
    assert build().notes() == mer_clip.build(SMALL, SHAPES, EMOTION, entries).notes() != ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "a width that its heads share evenly, got 16 and 3"),
        ({"heads": 0}, "a width that its heads share evenly"),
        ({"contexts": 0}, "contexts >= 1"),
        ({"layers": -1}, "layers >= 0"),
        ({"query": "", "prompts": "frozen"}, "expected a query, got none"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    """The message says what was expected and what came."""
    with pytest.raises(ValueError, match=f"mer_clip: .*{message}"):
        said(SMALL, **changes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"config": said(SMALL, layers=2)}, "one layer for each of 3 modalities, got 2"),
        ({"config": said(SMALL, adapters=False)}, "expected video of width 16, got 8; set adapters = true"),
        ({"shapes": {"video": (5, 64, 64)}}, r"vectors of video, got the shape \(5, 64, 64\); name another encoder"),
        ({"tasks": {"valence": 2}}, "a task whose labels have texts, got valence with 2 classes"),
        ({"tasks": {"emotion": 6}}, "a task whose labels have texts, got emotion with 6 classes"),
        ({"config": said(SMALL, width=4)}, "a width of at least 6, one for each label, got 4"),
        ({"tower": tower(24)}, "config.width=24, which the text tower gives, got 16"),
    ],
)
def test_what_a_model_cannot_take_is_refused(given, message):
    """Layers, widths, pictures and tasks that do not fit are named with what was expected."""
    with pytest.raises(ValueError, match=f"mer_clip: expected .*{message}|mer_clip: {message}"):
        build(**given)


def test_one_label_cannot_be_standardised(monkeypatch):
    """A task of several labels that has only one is refused: over one there is no deviation."""
    monkeypatch.setitem(TASKS, "lone", dataclasses.replace(TASKS["emotions"], name="lone", classes=("happy",)))
    with pytest.raises(ValueError, match="at least 2 labels to standardise over, got 1 of lone"):
        build(tasks={"lone": 1})


def test_as_many_layers_as_modalities_may_be_named():
    """0 and the number of modalities mean the same."""
    named = build(said(SMALL, layers=3))
    assert named.state_dict().keys() == build().state_dict().keys()
