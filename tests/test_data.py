"""The loader: every pad and mask is made here."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import fuse_kit
import numpy as np
import pytest
import torch

from extract import work
from extract.encoders import exhubert
from features import CacheError, Key, Reader, Windows, find, folder_of
from features.entries import create, is_random
from features.store import Part
from fuse import data, entries, predict, protocol
from fuse.batch import Batch

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

STREAMED = "data.memory_gb=4e-6"
"""A third of the small corpus at most, in blocks of a few clips."""


@pytest.fixture
def clips(roots):  # noqa: ARG001 - it says where the cache lies
    """The small corpus, with a cache."""
    made = fuse_kit.clips()
    fuse_kit.store(made)
    return made


def everything(joined):
    """All examples of a dataset as one batch."""
    return joined.batch(joined.examples(range(len(joined.clips))))


def test_a_batch_holds_what_the_cache_holds(clips):
    """Values, masks, labels and dialogues of a clip arrive unchanged, in the order asked for."""
    batch = fuse_kit.joined(clips, "data.windows=all", "data.standardise=false").batch(torch.tensor([3, 0]))
    with Reader(find("demo", "mfcc")) as reader:
        np.testing.assert_array_equal(batch.values["audio"][0], reader["train_3"].stack())
    assert batch.ids == ("train_3", "train_0")
    assert {name: tuple(values.shape) for name, values in batch.values.items()} == {
        "audio": (2, 2, 5, 4),
        "video": (2, 2, 3, 6),
        "text": (2, 1, 4, 8),
    }
    assert batch.labels["emotion"].argmax(dim=1).tolist() == [3, 0]
    assert batch.turn.tolist() == [3, 0]
    assert batch.dialogue[0] == batch.dialogue[1]
    assert batch.speaker[0] == batch.speaker[1] >= 0


def test_mean_of_windows_is_taken_once(clips):
    """`windows = mean` gives the element-wise mean that a model would take itself."""
    mean = everything(fuse_kit.joined(clips))
    every = everything(fuse_kit.joined(clips, "data.windows=all"))
    assert mean.values["audio"].shape[1] == 1
    torch.testing.assert_close(mean.mean_of_windows("audio"), every.mean_of_windows("audio"))


def test_missing_modalities_are_masked():
    """A clip without a modality has zeros, no window, and is not present; its neighbours are untouched."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, missing=lambda modality, clip: modality == "video" and clip.id == "train_1")
    joined = fuse_kit.joined(clips)
    batch = joined.batch(torch.tensor([0, 1]))
    assert batch.present["video"].tolist() == [True, False]
    assert not batch.values["video"][1].any()
    assert not batch.steps["video"][1].any()
    assert (~joined.covered["video"]).sum() == 1


@pytest.mark.parametrize("settings", [(), (STREAMED,), ("data.windows=vote",), ("encoders.text=ragged",)])
def test_standardising_sees_training_clips_alone(clips, settings):
    """Over train, real steps have mean 0 and deviation 1; in memory and streamed, by clips and by windows."""
    fuse_kit.ragged(clips)
    train = protocol.official(clips).train
    joined = fuse_kit.joined(clips, *settings).standardised(train)
    batch = joined.batch(joined.examples(train))
    real = batch.values["audio"][batch.steps["audio"]]
    torch.testing.assert_close(real.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(real.std(dim=0, correction=0), torch.ones(4), atol=1e-4, rtol=0)
    assert not batch.values["text"][~batch.steps["text"]].any()


def test_standardising_bears_features_far_from_zero_and_those_that_never_change(clips):
    """A deviation of a hundredth beside a mean of a thousand is found; what does not vary becomes zero."""
    rng = np.random.default_rng(0)
    drawn = {clip.id: rng.normal([1000, 7], [0.01, 0], (4, 2)).astype(np.float32) for clip in clips}
    fuse_kit.entry(clips, "far", lambda clip: Windows.join([drawn[clip.id]], [(0, 1)], [4]))
    train = protocol.official(clips).train
    joined = fuse_kit.joined(clips, "encoders.audio=far").standardised(train)
    far, still = joined.batch(torch.tensor(train)).values["audio"].flatten(0, 2).unbind(dim=1)
    assert abs(far.std() - 1) < 0.05
    assert not still.any()


def test_each_fold_is_standardised_by_its_own_clips(clips):
    """Standardising anew forgets the statistics before, and the dataset that it came from stays as it was."""
    joined = fuse_kit.joined(clips)
    plain = everything(joined).values["audio"]
    first, second = joined.standardised(range(8)), joined.standardised(range(8, 24))
    again = first.standardised(range(8, 24))
    torch.testing.assert_close(everything(again).values["audio"], everything(second).values["audio"])
    assert not torch.equal(everything(first).values["audio"], everything(second).values["audio"])
    assert torch.equal(everything(joined).values["audio"], plain)


def test_absent_labels_are_unknown_not_zero(clips):
    """A clip without a task is masked for it."""
    clips = list(clips)
    clips[2] = dataclasses.replace(clips[2], labels={"sentiment": clips[2].labels["sentiment"]})
    batch = fuse_kit.joined(clips).batch(torch.tensor([1, 2]))
    assert batch.known["emotion"].tolist() == [True, False]
    assert batch.known["sentiment"].tolist() == [True, True]


def test_labels_may_follow_from_others(clips):
    """A task that no clip names is derived where it can be: sets from emotions, polarity from scores."""
    joined = fuse_kit.joined(clips, "tasks=emotions,sentiment2")
    batch = joined.batch(torch.arange(4))  # neutral, happy, sad, anger
    assert batch.labels["emotions"].tolist() == [[0.0] * 6, *torch.eye(6)[:3].tolist()]
    assert batch.known["sentiment2"].tolist() == [False, True, True, True]
    assert joined.several("emotions") == {"demo"}
    assert not joined.several("sentiment2")


def test_where_raters_see_several_classes_the_corpus_is_scored_by_sets(clips):
    """One soft label of two emotions is enough, and only the corpus that has it counts."""
    soft = dataclasses.replace(clips[0], labels={"emotion": (0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)})
    other = fuse_kit.clips(corpus="other")
    fuse_kit.store(other)
    assert fuse_kit.joined([soft, *clips[1:], *other]).several("emotion") == {"demo"}
    assert not fuse_kit.joined(clips).several("emotion")


def test_ragged_windows_are_padded(clips):
    """A batch is as long as its longest clip, with a mask that says what is padding."""
    lengths = fuse_kit.ragged(clips)
    joined = fuse_kit.joined(clips, "encoders.audio=ragged")
    assert joined.shapes["audio"] == (4, 2)
    batch = joined.batch(torch.tensor([0, 2]))
    assert batch.steps["audio"][:, 0].tolist() == [[True, False, False], [True, True, True]]
    assert batch.values["audio"][0, 0].tolist() == [[1, 1], [0, 0], [0, 0]]
    torch.testing.assert_close(batch.mean_of_steps("audio"), torch.tensor([[1.0, 1.0], [3.0, 3.0]]))
    batch = everything(joined)
    assert batch.steps["audio"].sum(dim=(1, 2)).tolist() == [lengths[clip.id] for clip in clips]


def test_windows_of_different_lengths_cannot_be_averaged(clips):
    """They are refused with what to say instead, and kept as they are where all are asked for."""
    uneven = Windows.join([np.ones((t, 2), np.float32) for t in (2, 3)], fuse_kit.spans(2), [2, 3])
    fuse_kit.entry(clips, "uneven", lambda _: uneven)
    with pytest.raises(CacheError, match=r"encoders\.audio: uneven-\w+ has windows of different lengths.*windows=all"):
        fuse_kit.joined(clips, "encoders.audio=uneven")
    batch = everything(fuse_kit.joined(clips, "encoders.audio=uneven", "data.windows=all"))
    assert batch.steps["audio"][0].tolist() == [[True, True, False], [True, True, True]]


def test_pictures_pass_through(clips):
    """Pictures keep their axes and their 256 levels, as float32, whether windows are averaged or not."""
    drawn = {clip.id: np.random.default_rng(i).integers(0, 256, (3, 4, 4)) for i, clip in enumerate(clips)}

    def make(clip):
        return Windows.join([drawn[clip.id].astype(np.uint8)], [(0, 2)], [3])

    fuse_kit.entry(clips, "faces", make, dtype="uint8")
    joined = fuse_kit.joined(clips, "encoders.video=faces")
    assert joined.shapes["video"] == (3, 4, 4)
    values = joined.batch(torch.tensor([5])).values["video"]
    assert values.dtype == torch.float32
    np.testing.assert_array_equal(values[0, 0], drawn[clips[5].id])


def test_several_corpora_may_have_clips_of_one_name():
    """Each clip gets the features of its own corpus, and conversations of two corpora are never one."""
    clips = (*fuse_kit.clips(), *fuse_kit.clips(corpus="other"))
    fuse_kit.store(clips)
    joined = fuse_kit.joined(clips, "data.windows=all")
    batch = joined.batch(torch.tensor([0, 40]))
    assert batch.ids == ("train_0", "train_0")
    for row, corpus in enumerate(("demo", "other")):
        with Reader(find(corpus, "mfcc")) as reader:
            np.testing.assert_array_equal(batch.values["audio"][row], reader["train_0"].stack())
    assert batch.dialogue[0] != batch.dialogue[1]
    assert batch.speaker[0] != batch.speaker[1]


def test_corpora_of_other_grids_are_refused():
    """What one model reads must have been extracted one way; both entries and the field are named."""
    clips = (*fuse_kit.clips(), *fuse_kit.clips(corpus="other"))
    fuse_kit.store(clips)
    one = Windows.join([np.ones((1, 2))], [(0, 1)], [1])
    for some, grid in ((clips[:40], "clip"), (clips[40:], "windows(3,2,2)")):
        fuse_kit.entry(some, "odd", lambda _: one, grid)
    with pytest.raises(
        CacheError, match=r"encoders\.audio: the entries of demo and other differ in grid: clip and windows\(3,2,2\)"
    ):
        fuse_kit.joined(clips, "encoders.audio=odd")


def test_every_missing_entry_is_said_at_once(clips):
    """One command's output is enough to extract all that is lacking."""
    with pytest.raises(CacheError, match=r"encoders\.audio: (.|\n)*egemaps(.|\n)*encoders\.text: (.|\n)*jina_v3"):
        fuse_kit.joined(clips, "encoders.audio=egemaps", "encoders.text=jina_v3")


def test_an_encoder_that_knows_the_corpus_is_noted():
    """Whoever scores on what an encoder was trained on is told, in the words in which `extract` notes it."""
    origin = work._origin(SimpleNamespace(spec=exhubert.SPEC))
    for corpus in ("cremad", "mosei"):
        clips = fuse_kit.clips(corpus=corpus)
        fuse_kit.store(clips)
        one = Windows.join([np.ones((1, 2))], [(0, 1)], [1])
        fuse_kit.entry(clips, "exhubert", lambda _, one=one: one, provenance={"python": "3.11", **origin})
        notes = fuse_kit.joined(clips, "encoders.audio=exhubert").notes
        assert len(notes) == (corpus == "cremad"), notes
        assert not notes or "exhubert (audio) was itself trained on cremad" in notes[0]


def test_numbers_that_are_not_finite_are_refused(clips):
    """A damaged half float is found while reading; modality and clip are named."""
    path = fuse_kit.entry(
        clips, "half", lambda _: Windows.join([np.ones((2, 3), np.float16)], [(0, 1)], [2]), dtype="float16"
    )
    frames = Part(path, Key("half", 1, "clip", "float16")).stored["frames"]
    for wrong in (b"\x00\x7e", b"\x00\x7c", b"\x01\xfc"):  # NaN, infinity, NaN with a sign
        with path.open("r+b") as file:
            file.seek(frames.begin + 7 * 2 * frames.row_bytes)  # the first number of the eighth clip
            file.write(wrong)
        for settings in ((), ("data.windows=all",)):
            with pytest.raises(CacheError, match="audio of train_7: some features are not finite numbers"):
                fuse_kit.joined(clips, "encoders.audio=half", *settings)


def test_a_cache_with_none_of_the_clips_is_refused(clips):
    """The entry is named, and what fills it."""
    others = [dataclasses.replace(clip, id=f"other_{clip.id}") for clip in clips]
    with pytest.raises(CacheError, match=r"mfcc-\w+: none of the 40 clips is here; make features fills it"):
        fuse_kit.joined(others)


def test_a_missing_entry_names_the_key_and_the_command(clips):
    """The recipe's key, what the cache has, and what makes it."""
    with pytest.raises(CacheError, match=r"encoders\.audio: .*no entry of 'egemaps'(.|\n)*ENCODERS=egemaps"):
        fuse_kit.joined(clips, "encoders.audio=egemaps")


def test_the_digest_follows_features_and_labels(clips):
    """A run is another run when a label or a source has changed, and the same run otherwise."""
    first = fuse_kit.joined(clips).digest
    assert fuse_kit.joined(clips, STREAMED).digest == first
    fuse_kit.store(reversed_sources := clips[::-1])
    assert fuse_kit.joined(reversed_sources[::-1]).digest != first
    fuse_kit.store(clips)
    relabelled = (dataclasses.replace(clips[0], labels=clips[1].labels), *clips[1:])
    assert fuse_kit.joined(relabelled).digest != first
    speaks = (dataclasses.replace(clips[0], speaker_id="another"), *clips[1:])
    assert fuse_kit.joined(speaks).digest != first
    for moved in ({"dialogue_id": "another"}, {"utt_index": 9}):
        assert fuse_kit.joined((dataclasses.replace(clips[0], **moved), *clips[1:])).digest != first


@pytest.mark.parametrize("field", ["windows", "steps"])
def test_a_batch_refuses_masks_that_do_not_fit(clips, field):
    """A mask of another shape is refused where the batch is born."""
    batch = fuse_kit.joined(clips).batch(torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="audio: expected"):
        dataclasses.replace(batch, **{field: {**getattr(batch, field), "audio": torch.ones(2, 7, dtype=torch.bool)}})
    assert isinstance(batch, Batch)


def test_a_batch_without_a_modality_is_as_if_it_had_never_been(clips):
    """Taking audio from one clip gives it the zeros and masks that a clip without audio has."""
    batch = fuse_kit.joined(clips).batch(torch.arange(2))
    left = batch.without({"audio": torch.tensor([True, False])})
    assert left.present["audio"].tolist() == [False, True]
    assert not left.values["audio"][0].any()
    assert not left.steps["audio"][0].any()
    assert torch.equal(left.values["audio"][1], batch.values["audio"][1])
    assert torch.equal(left.values["text"], batch.values["text"])


# Streaming.


def lacking(modality, clip):
    """Half of the clips, side by side on the disk, have no picture; one has nothing at all."""
    return (modality == "video" and clip.split == "train") or clip.id == "dev_3"


@pytest.mark.parametrize("settings", [(), ("data.windows=all",), ("data.windows=vote",)])
@pytest.mark.parametrize("scaled", [False, True])
def test_streaming_gives_what_memory_gives(settings, scaled):
    """Each example comes exactly once, with the same values, masks and labels; no batch is larger than asked for."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, missing=lacking)
    fuse_kit.ragged(clips)
    memory, streamed = (fuse_kit.joined(clips, "encoders.text=ragged", *settings, *more) for more in ((), (STREAMED,)))
    if scaled:
        memory, streamed = (one.standardised(range(24)) for one in (memory, streamed))
    assert memory.stored is not None
    assert streamed.stored is None
    order = torch.randperm(len(memory.clip_of), generator=torch.Generator().manual_seed(0))
    seen = []
    for chosen, batch in streamed.batches(order, 3):
        assert len(batch) == len(chosen) <= 3
        seen += chosen.tolist()
        expected = dataclasses.asdict(memory.batch(chosen))
        assert batch.ids == expected.pop("ids")
        for name, field in expected.items():
            torch.testing.assert_close(getattr(batch, name), field, msg=name, atol=1e-6, rtol=1e-5)
    assert sorted(seen) == sorted(order.tolist())
    assert len(set(streamed._block_of.tolist())) > 3


def test_a_block_is_read_once_and_no_batch_crosses_it(clips, monkeypatch):
    """What is read of the disk in an epoch is the corpus once, whatever the order of examples."""
    streamed = fuse_kit.joined(clips, STREAMED)
    source, read = streamed.sources["audio"], []
    load = source.load
    monkeypatch.setattr(source, "load", lambda index: read.extend(index) or load(index))
    for chosen, _ in streamed.batches(torch.randperm(len(clips)), 3):
        assert len(set(streamed._block_of[chosen].tolist())) == 1
    assert sorted(read) == list(range(len(clips)))


def test_streamed_scores_are_those_of_memory(clips, tmp_path):
    """A model says the same of dev clips wherever their features are."""
    model = fuse_kit.seed_of(clips, tmp_path).best()
    dev = protocol.official(clips).dev[::-1]
    found = [predict.shares(model, fuse_kit.joined(clips, *settings), dev) for settings in ((), (STREAMED,))]
    assert found[0].keys() == found[1].keys() == {"emotion", "sentiment"}
    for task, shares in found[0].items():
        np.testing.assert_allclose(found[1][task], shares, atol=1e-6)


# Windows that vote.


def test_each_window_of_a_vote_is_an_example(clips):
    """A clip of two windows is two examples; what it has only once stands beside each of them."""
    joined = fuse_kit.joined(clips, "data.windows=vote")
    assert joined.clip_of.tolist() == [i for i in range(40) for _ in range(2)]
    assert joined.examples([3, 1]).tolist() == [6, 7, 2, 3]
    batch = joined.batch(torch.tensor([6, 7]))
    with Reader(find("demo", "mfcc")) as audio, Reader(find("demo", "minilm")) as text:
        np.testing.assert_array_equal(batch.values["audio"][:, 0], audio["train_3"].stack())
        np.testing.assert_array_equal(batch.values["text"][:, 0], text["train_3"].stack().repeat(2, axis=0))
    assert batch.ids == ("train_3", "train_3")


def test_a_clip_without_windows_is_one_example_of_nothing():
    """It is scored like any other, as the training majority."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, missing=lambda modality, clip: clip.id == "dev_0")
    joined = fuse_kit.joined(clips, "data.windows=vote")
    (example,) = joined.examples([24])
    assert not any(there.any() for there in joined.batch(example[None]).present.values())


def test_windows_of_other_seconds_cannot_vote(clips):
    """Pictures cut elsewhere than the sound are refused, with the clip."""
    cut = Windows.join(list(np.ones((3, 2, 4), np.float32)), [(0, 2), (2, 4), (4, 6)], [2] * 3)
    fuse_kit.entry(clips, "cut", lambda _: cut)
    with pytest.raises(CacheError, match=r"encoders\.video: its windows of train_0 are of other seconds"):
        fuse_kit.joined(clips, "encoders.video=cut", "data.windows=vote")
    assert fuse_kit.joined(clips, "encoders.video=cut", "data.windows=all").shapes["video"] == (2, 4)


# Which entries may be used.

ALL = dict.fromkeys(fuse_kit.SHAPES, "random:0")
ALLOWED = "data.random_weights=true"


@pytest.mark.parametrize(
    ("weights", "settings", "reason"),
    [
        (ALL, (), r"audio .*video .*text .*no score would mean anything.*data.random_weights=true"),
        ({"audio": "random:0"}, (), r"audio \(mfcc-\w+\): .*never mixed with real ones"),
        ({"audio": "random:0"}, (ALLOWED,), "never mixed with real ones"),
    ],
)
def test_features_of_random_weights_are_refused(weights, settings, reason):
    """Nobody takes them for real ones, and nobody mixes them with real ones, allowed or not."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, weights=weights)
    with pytest.raises(CacheError, match=reason):
        fuse_kit.joined(clips, *settings)


def test_features_of_random_weights_may_be_allowed_where_all_are():
    """Whoever tries a pipeline says so; an entry that builds on random boxes counts as random too."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, weights=ALL)
    assert len(fuse_kit.joined(clips, ALLOWED).clips) == len(clips)
    boxes = Key("yolo_face", 1, "clip", weights="random:0")
    create(folder_of("demo", boxes), boxes)
    faces = Key("hog", 1, "clip", builds_on=(boxes.name,))
    create(folder_of("demo", faces), faces)
    assert is_random(folder_of("demo", faces))


def test_a_recipe_may_allow_what_an_entry_lacks(clips):
    """Asked for separated voices, it refuses features without; allowed, it takes them and says what they lack."""
    audio = {"encoder": "mfcc", "settings.denoise": "spleeter"}
    small = fuse_kit.load_recipe()
    asks = dataclasses.replace(small, encoders={**small.encoders, "audio": (audio,)})
    with pytest.raises(CacheError, match=r"encoders.audio: demo has no entry of 'mfcc' with settings.denoise=spleeter"):
        data.load(clips, asks)
    allowed = dataclasses.replace(asks, without=("settings.denoise",))
    (note,) = data.load(clips, allowed).notes
    assert note.startswith("The recipe asks for settings.denoise = spleeter of audio; these features were made without")
    key = Key("mfcc", 1, "windows(3,2,2)", "float32", settings={"denoise": "spleeter"})
    shutil.copytree(find("demo", "mfcc"), folder_of("demo", key))
    (folder_of("demo", key) / "spec.json").write_text(json.dumps(key.to_json()))
    assert entries._find("demo", audio, allowed.without) == (folder_of("demo", key), "")


def in_context(clips, *settings):
    """Join clips for a model that looks at conversations."""
    fuse_kit.store(clips)
    corpora = dict.fromkeys(clip.corpus for clip in clips)
    return data.load(clips, fuse_kit.load_recipe("turns", *settings, corpora=corpora))


def test_a_batch_holds_whole_conversations():
    """Whatever the order, no conversation of four turns is divided; batches of ten take two of them."""
    joined = in_context(fuse_kit.clips(), "data.memory_gb=1")
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    batches = list(joined.batches(order, 10))
    assert [len(batch) for _, batch in batches] == [8, 8, 8]
    assert sorted(torch.cat([chosen for chosen, _ in batches]).tolist()) == list(range(24))
    for _, batch in batches:
        assert torch.bincount(batch.dialogue).tolist().count(4) == 2
    assert [len(batch) for _, batch in joined.batches(order, 2)] == [4] * 6  # one alone may be longer than a batch


def test_a_streamed_batch_holds_whole_conversations():
    """Where features come from the disk in blocks, a conversation lies in one of them."""
    joined = dataclasses.replace(in_context(fuse_kit.clips()), stored=None, block_bytes=1500)
    batches = list(joined.batches(torch.arange(24), 8))
    assert len(batches) > 3
    seen = [number for _, batch in batches for number in batch.dialogue.unique().tolist()]
    assert len(seen) == len(set(seen)) == 6


def test_a_conversation_longer_than_the_limit_is_cut_evenly():
    """Four turns under a limit of three are two of two, in order; the limit itself is no reason to cut."""
    clips = fuse_kit.clips()
    pieces = in_context(clips, "data.turns=3").batch(torch.arange(8))
    assert pieces.dialogue.unique(return_counts=True)[1].tolist() == [2, 2, 2, 2]
    assert pieces.dialogue[0] == pieces.dialogue[1] != pieces.dialogue[2]
    assert in_context(clips, "data.turns=4").batch(torch.arange(8)).dialogue.unique().tolist() == [0, 1]


def test_a_clip_whose_place_is_not_known_stands_alone():
    """Without a turn a clip has no neighbours; of two in one place the first in the manifest comes first."""
    first, second, third, *rest = fuse_kit.clips()
    second = dataclasses.replace(second, utt_index=None)
    third = dataclasses.replace(third, utt_index=0)
    batch = in_context((third, first, second, *rest)).batch(torch.arange(3))
    assert batch.ids == (third.id, first.id, second.id)
    assert batch.dialogue.tolist()[2] == -1
    assert batch.dialogue[0] == batch.dialogue[1] >= 0
    assert batch.turn.tolist()[:2] == [0, 1]


@pytest.mark.parametrize(
    ("setting", "word"), [("data.windows=vote", "data.windows"), ("train.sampler=weighted", "train.sampler")]
)
def test_what_would_tear_conversations_apart_is_refused(setting, word):
    """Voting windows and draws by class are for clips alone, and fine again without context."""
    with pytest.raises(ValueError, match=word):
        fuse_kit.load_recipe("turns", setting)
    assert fuse_kit.load_recipe("turns", setting, "config.context=none")
