"""The loader: every pad and mask is made here."""

import dataclasses
import json
import shutil

import fuse_kit
import numpy as np
import pytest
import torch

from features import CacheError, Key, Reader, find, folder_of
from features.entries import create, is_random
from fuse import data, protocol
from fuse.batch import Batch

pytestmark = pytest.mark.usefixtures("roots")


def loaded(clips, *settings):
    """Join clips with the cache under the small recipe."""
    return data.load(clips, fuse_kit.load_recipe("concat", *settings), protocol.official(clips).train)


def test_a_batch_holds_what_the_cache_holds():
    """Values, masks, labels and dialogues of a clip arrive unchanged, in the manifest's order."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    batch = loaded(clips, "data.windows=all", "data.standardise=false").batch(torch.tensor([3, 0]))
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
    assert batch.same_dialogue.tolist() == [[True, True], [True, True]]


def test_mean_of_windows_is_taken_once():
    """`windows = mean` gives the element-wise mean that a model would take itself."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, windows=3)
    index = torch.arange(len(clips))
    mean = loaded(clips, "data.standardise=false").batch(index)
    every = loaded(clips, "data.windows=all", "data.standardise=false").batch(index)
    assert mean.values["audio"].shape[1] == 1
    torch.testing.assert_close(mean.mean_of_windows("audio"), every.mean_of_windows("audio"))


def test_missing_modalities_are_masked():
    """A clip without a modality has zeros, no window, and is not present; its neighbours are untouched."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, missing=lambda modality, clip: modality == "video" and clip.id == "train_1")
    joined = loaded(clips)
    batch = joined.batch(torch.tensor([0, 1]))
    assert batch.present["video"].tolist() == [True, False]
    assert not batch.values["video"][1].any()
    assert not batch.steps["video"][1].any()
    assert (~joined.covered["video"]).sum() == 1


def test_standardising_sees_training_clips_alone():
    """Statistics come from train; changing a test clip's features changes no other clip."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    batch = loaded(clips).batch(torch.tensor(protocol.official(clips).train))
    real = batch.values["audio"][batch.steps["audio"]]
    torch.testing.assert_close(real.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(real.std(dim=0, correction=0), torch.ones(4), atol=1e-4, rtol=0)


def test_absent_labels_are_unknown_not_zero():
    """A clip without a task is masked for it."""
    clips = list(fuse_kit.clips())
    clips[2] = dataclasses.replace(clips[2], labels={"sentiment": clips[2].labels["sentiment"]})
    fuse_kit.store(clips)
    batch = loaded(clips).batch(torch.tensor([1, 2]))
    assert batch.known["emotion"].tolist() == [True, False]
    assert batch.known["sentiment"].tolist() == [True, True]


def test_ragged_windows_are_padded():
    """Whole-clip entries of different lengths are padded to the longest, with a mask that says so."""
    from features import Key, Windows, Writer, folder_of

    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    key = Key("ragged", 1, "clip", "float16")
    with Writer(folder_of("demo", key), key, {}, "MIT") as writer:
        for i, clip in enumerate(clips):
            steps = 1 + i % 3
            writer.add(clip.id, "x", Windows.join([np.ones((steps, 2), np.float16)], [(0, 1)], [steps]))
    batch = loaded(clips, "encoders.audio=ragged", "data.standardise=false").batch(torch.tensor([0, 2]))
    assert batch.steps["audio"][:, 0].tolist() == [[True, False, False], [True, True, True]]
    torch.testing.assert_close(batch.mean_of_steps("audio"), torch.ones(2, 2))


def test_a_cache_with_none_of_the_clips_is_refused():
    """The entry is named, and what fills it."""
    fuse_kit.store(fuse_kit.clips())
    others = [dataclasses.replace(clip, id=f"other_{clip.id}") for clip in fuse_kit.clips()]
    with pytest.raises(CacheError, match="has none of the 40 clips; make features fills it"):
        loaded(others)


def test_a_missing_entry_names_the_key_and_the_command():
    """The recipe's key, what the cache has, and what makes it."""
    fuse_kit.store(fuse_kit.clips())
    with pytest.raises(CacheError, match=r"encoders\.audio: .*no entry of 'egemaps'(.|\n)*ENCODERS=egemaps"):
        loaded(fuse_kit.clips(), "encoders.audio=egemaps")


def test_the_digest_follows_features_and_labels():
    """A run is another run when a label or a source has changed, and the same run otherwise."""
    clips = list(fuse_kit.clips())
    fuse_kit.store(clips)
    first = loaded(clips).digest
    assert loaded(clips).digest == first
    clips[0] = dataclasses.replace(clips[0], labels=clips[1].labels)
    assert loaded(clips).digest != first


@pytest.mark.parametrize("field", ["windows", "steps"])
def test_a_batch_refuses_masks_that_do_not_fit(field):
    """A mask of another shape is refused where the batch is born."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    batch = loaded(clips).batch(torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="audio: expected"):
        dataclasses.replace(batch, **{field: {**getattr(batch, field), "audio": torch.ones(2, 7, dtype=torch.bool)}})
    assert isinstance(batch, Batch)


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
        loaded(clips, *settings)


def test_features_of_random_weights_may_be_allowed_where_all_are():
    """Whoever tries a pipeline says so; an entry that builds on random boxes counts as random too."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips, weights=ALL)
    assert len(loaded(clips, ALLOWED).clips) == len(clips)
    boxes = Key("yolo_face", 1, "clip", weights="random:0")
    create(folder_of("demo", boxes), boxes)
    faces = Key("hog", 1, "clip", builds_on=(boxes.name,))
    create(folder_of("demo", faces), faces)
    assert is_random(folder_of("demo", faces))


def test_a_recipe_may_allow_what_an_entry_lacks():
    """Asked for separated voices, it refuses features without; allowed, it takes them and says what they lack."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    asks = dataclasses.replace(
        fuse_kit.load_recipe(), encoders={"audio": {"encoder": "mfcc", "settings.denoise": "spleeter"}}
    )
    train = protocol.official(clips).train
    with pytest.raises(CacheError, match=r"encoders.audio: demo has no entry of 'mfcc' with settings.denoise=spleeter"):
        data.load(clips, asks, train)
    allowed = dataclasses.replace(asks, without=("settings.denoise",))
    assert data.load(clips, allowed, train).lacking == {"audio": "settings.denoise = spleeter"}
    key = Key("mfcc", 1, "windows(3,2,2)", "float32", settings={"denoise": "spleeter"})
    shutil.copytree(find("demo", "mfcc"), folder_of("demo", key))
    (folder_of("demo", key) / "spec.json").write_text(json.dumps(key.to_json()))
    assert data._find(allowed, "audio", allowed.encoders["audio"]) == (folder_of("demo", key), "")
