"""What a run keeps so that it scores new clips anywhere: shapes and scales of training, no feature of anybody."""

import json
import os

import fuse_kit
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from test_experiment import prepared

import manifests
from features import Reader, Windows
from features.entries import entries
from features.roots import folders
from fuse import kept
from fuse.experiment import prepare
from fuse.trained import Trained, Weights
from manifests import Manifest

FOLDS = ("protocol=group", "folds=3", "data.standardise=true", "encoders.video=face_hog", "encoders.text=minilm")


@pytest.fixture
def run(roots):
    """Keep what a run over three folds needs; return its folder and what it would have been trained on."""
    fuse_kit.store(fuse_kit.clips())
    experiment = prepared(*FOLDS)
    kept.write(experiment, roots / "run")
    return roots / "run", experiment


def test_it_has_the_keys_and_the_shapes_and_no_feature(run):
    """Every entry is there with its key and its longest window, all of it zeros; the whole takes a few kilobytes."""
    folder, experiment = run
    found = kept.read(folder)
    for modality, source in experiment.data.sources.items():
        (theirs,) = experiment.data.entries[modality]
        with Reader(found.entry(theirs.name)) as reader, Reader(theirs) as whole:
            assert reader.key == whole.key
            assert list(reader) == [kept.ZEROS.id]
            assert reader[kept.ZEROS.id].values.shape == source.shape
            assert not reader[kept.ZEROS.id].values.any()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 100_000


def test_words_lie_nowhere_in_time(roots):
    """That is told by the span of what is kept."""
    clips = fuse_kit.clips()
    for encoder, end_s in (("heard", 2.0), ("read", 0.0)):
        fuse_kit.entry(
            clips, encoder, lambda clip, end_s=end_s: Windows.join([np.ones((len(clip.id), 2))], [(0, end_s)], [1])
        )
    manifests.write(Manifest("demo", roots, clips))
    experiment = prepared("encoders={a='heard',b='read'}")
    kept.write(experiment, roots / "run")
    found = kept.read(roots / "run")
    timeless = {m: kept.is_timeless(found.entry(one.name)) for m, (one,) in experiment.data.entries.items()}
    assert timeless == {"a": False, "b": True}


def test_of_several_corpora_the_longest_window_counts(roots):
    """Keys are those of the first corpus; how long its windows are, another may decide."""
    short, long = fuse_kit.clips(), fuse_kit.clips(corpus="other")
    for clips, steps in ((short, 2), (long, 7)):
        fuse_kit.entry(
            clips, "heard", lambda clip, t=steps: Windows.join([np.ones((t + len(clip.id) % 2, 3))], [(0, 1)], [t])
        )
        manifests.write(Manifest(clips[0].corpus, roots, clips))
    experiment = prepare(fuse_kit.load_recipe("concat", "encoders={a='heard'}", corpora=("demo", "other")))
    kept.write(experiment, roots / "run")
    found = kept.read(roots / "run")
    with Reader(found.entry(experiment.data.entries["a"][0].name)) as reader:
        assert reader[kept.ZEROS.id].values.shape == experiment.data.shapes["a"] == (8, 3)


def test_each_fold_has_its_own_scales(run):
    """They are those of the fold's training clips, to the bit, and differ from fold to fold."""
    folder, experiment = run
    found = kept.read(folder)
    shifts = []
    for split in experiment.splits:
        theirs = experiment.data.standardised(split.train).scaling
        mine = found.of_fold(split.name, theirs)
        assert mine.keys() == theirs.keys()
        for modality, (shift, scale) in mine.items():
            assert torch.equal(torch.from_numpy(shift), theirs[modality][0])
            assert torch.equal(torch.from_numpy(scale), theirs[modality][1])
        shifts.append(mine["audio"][0])
    assert not np.allclose(shifts[0], shifts[1])


def test_a_network_beside_the_features_is_missed(roots):
    """MER-CLIP's text network stays in the cache; without it no other labels are made up in its place."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    settings = ("encoders={text='minilm'}", "tasks=emotion", "train.epochs=1", "config.adapters=true")
    experiment = prepared(*settings, model="mer_clip")
    (folder,) = experiment.data.entries["text"]
    save_file({"a": np.zeros(1)}, folder / "other.safetensors")
    kept.write(experiment, roots / "run")
    found = kept.read(roots / "run")
    assert found.networks == (folder.name,)
    assert not (found.root / kept.CORPUS / folder.name / "other.safetensors").exists()
    known = Trained(roots, experiment.recipe, (), {}, {"text": (found.entry(folder.name),)}, "", found)
    (folder / "other.safetensors").unlink()
    with pytest.raises(ValueError, match="reads a network beside the features, which no run keeps"):
        known.model(Weights("", 0, roots, {}))


def test_what_is_kept_is_kept_once(run):
    """A second time nothing is written; what was not finished is."""
    folder, experiment = run
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    kept.write(experiment, folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    (folder / kept.FOLDER / kept.TOLD).unlink()
    assert kept.read(folder) is None
    kept.write(experiment, folder)
    assert kept.read(folder).scales


def test_the_cache_itself_stays_as_it_is(run):
    """What is kept lies in the run alone."""
    assert run
    assert not folders(kept.CORPUS)
    assert {key.encoder for key in entries("demo").values()} == {"mfcc", "face_hog", "minilm"}


def _put(place, name, text):
    (place / name).write_text(text, encoding="utf-8")


def _far(place):
    (place / kept.SCALES).unlink()
    (place / kept.SCALES).symlink_to(os.devnull)


def _many(place):
    for number in range(kept.MOST_FILES):
        (place / kept.CORPUS / f"a-{number:08x}").mkdir()


def _scales(place, **tensors):
    save_file(tensors, place / kept.SCALES)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda place: _put(place, kept.TOLD, "[" * 99_999), "RecursionError|JSONDecodeError"),
        (lambda place: _put(place, kept.TOLD, '{"format": 2, "languages": []}'), "the format 2 instead of 1"),
        (lambda place: _put(place, kept.TOLD, '{"format": 1}'), "languages"),
        (lambda place: _put(place, kept.TOLD, '{"format": 1, "languages": [], "networks": 7}'), "TypeError"),
        (lambda place: _put(place, kept.TOLD, json.dumps({"format": 1, "languages": ["en --x"]})), "the language"),
        (lambda place: _put(place, kept.TOLD, " " * (kept.MOST_WORDS_BYTES + 1)), "more than any run keeps"),
        (lambda place: _put(place, "run.py", "import os"), "'run.py', which no run keeps"),
        (lambda place: (place / "predicted").mkdir(), "'predicted', which no run keeps"),
        (lambda place: os.mkfifo(place / kept.CORPUS / "pipe"), "which no run keeps"),
        (_far, "scales.safetensors', which no run keeps"),
        (_many, "more than any run keeps"),
        (lambda place: _put(place, kept.SCALES, "\x80\x04pickle"), "scales.safetensors: "),
        (lambda place: _scales(place, **{"a/shift": np.zeros(2, np.float32)}), "KeyError"),
        (lambda place: _scales(place, **{"a/shift": np.full(2, np.nan, np.float32)}), "not finite"),
        (lambda place: _scales(place, **{"a/shift": np.zeros(2, np.int8)}), "of the kind that is kept"),
    ],
)
def test_what_we_would_not_have_written_is_refused(run, harm, said):
    """A run from elsewhere is read strictly: no link, no stranger, no more than fits, nothing that would run."""
    folder, _ = run
    harm(folder / kept.FOLDER)
    with pytest.raises(ValueError, match=said) as refused:
        kept.read(folder)
    assert "have the run sent again" in str(refused.value)


@pytest.mark.parametrize("name", ["../../demo/mfcc-00000000", "mfcc-00000000", "", "kept.json"])
def test_an_entry_that_is_not_kept_is_refused(run, name):
    """Names from a report lead nowhere else."""
    with pytest.raises(ValueError, match="which is not among what is kept"):
        kept.read(run[0]).entry(name)


def test_a_key_that_is_not_that_of_its_folder_is_refused(run):
    """What an entry is said to be follows from its key alone."""
    folder, experiment = run
    (theirs,) = experiment.data.entries["audio"]
    spec = folder / kept.FOLDER / kept.CORPUS / theirs.name / "spec.json"
    spec.write_text(spec.read_text(encoding="utf-8").replace('"version": 1', '"version": 2'), encoding="utf-8")
    with pytest.raises(ValueError, match="but the folder is named"):
        kept.read(folder).entry(theirs.name)
