"""MERBench: folders of `.npy`, as its loader reads them and its extractors write them."""

import json
import pickle
import zipfile

import arrow_kit as kit
import numpy as np
import pytest

from features import CacheError, Reader, merbench
from features.exchange import HOWS
from features.imported import Import, store

RNG = np.random.default_rng(0)


def as_their_loader(folder, clip):
    """Read a clip as the README and the loader of MERBench say: squeezed, and a vector as one step."""
    values = np.load(folder / f"{clip}.npy").squeeze()
    return values[None] if values.ndim == 1 else values


@pytest.fixture
def tree(tmp_path):
    """Return a function that saves arrays under names of features and clips, and their folder."""

    def save(**features):
        for name, clips in features.items():
            folder = tmp_path / "features" / name
            folder.mkdir(parents=True)
            for clip, values in clips.items():
                path = folder / f"{clip}.npy"
                path.parent.mkdir(exist_ok=True)
                np.save(path, values)
        return tmp_path / "features"

    return save


def values(pieces):
    """Return the arrays that came in by feature and clip."""
    return {(piece.feature, piece.clip): piece.windows.values for piece in pieces}


def odd(corpus, *clips):
    """Choose clips of these names."""
    key = kit.Key("audio", 1, "clip")
    with kit.Writer(kit.folder_of(corpus, key), key, {}, "MIT") as writer:
        for clip in clips:
            writer.add(clip, "source", kit.windows((4,), "float16", RNG))
    return kit.Chosen(corpus, {"audio": Reader(writer.folder)}, clips)


@pytest.mark.parametrize("how", HOWS)
def test_what_goes_out_comes_back(roots, how):
    """Steps are read back to the bit, in the dtype of the cache; only their axes and seconds are gone."""
    asked = kit.chosen("audio", "vision", how=how)
    merbench.write(roots / "out", asked, absent="none")
    found = values(merbench.read(roots / "out"))
    wanted = kit.sequences(asked)
    assert found.keys() == {(f"{name}-FRA", clip) for clip, name in wanted}
    for (clip, name), steps in wanted.items():
        each = found[f"{name}-FRA", clip]
        assert each.dtype == steps.values.dtype
        assert each.tobytes() == steps.values.tobytes()
        assert len(each) == len(steps.values)


def test_the_layout_is_the_one_of_their_loader(roots):
    """A folder for every feature, a file for every clip, (t, d) or (d,), and zeros where there is nothing."""
    asked = kit.chosen("audio", "vision")
    wanted = kit.sequences(asked)
    merbench.write(roots / "fra", asked)
    merbench.write(roots / "utt", asked, level="utt")
    assert sorted(path.name for path in (roots / "fra").iterdir()) == ["audio-FRA", "vision-FRA"]
    for clip in kit.CLIPS:
        steps = wanted[clip, "audio"].values
        assert as_their_loader(roots / "fra" / "audio-FRA", clip).tobytes() == steps.tobytes()
        mean = np.load(roots / "utt" / "audio-UTT" / f"{clip}.npy", allow_pickle=False)
        assert mean.tolist() == steps.mean(axis=0, dtype=np.float64).astype("f2").tolist()
    assert as_their_loader(roots / "fra" / "vision-FRA", "clip2").tolist() == [[0] * 6]
    assert np.load(roots / "utt" / "vision-UTT" / "clip2.npy").tolist() == [0] * 6


def test_what_came_in_is_an_entry(roots):
    """Features are called as their folders, and asked for by a name of one's own."""
    asked = kit.chosen("audio")
    merbench.write(roots / "out", asked)
    job = Import("copies", "merbench", roots / "out", {"audio-FRA": "audio_fra"})
    [(folder, clips)] = store(job, merbench.read(roots / "out")).items()
    assert (folder.name[:10], clips) == ("audio_fra-", 7)
    with Reader(folder) as reader:
        assert reader["clip0"].values.tobytes() == kit.sequences(asked)["clip0", "audio"].values.tobytes()


STEPS = RNG.normal(size=(3, 5)).astype("f4")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (STEPS, STEPS),
        (STEPS[0], STEPS[:1]),
        (STEPS[:1], STEPS[:1]),
        (STEPS[None], STEPS),
        (STEPS[:, None], STEPS),
        (STEPS[:1, None], STEPS[:1]),
        (np.asfortranarray(STEPS), STEPS),
        (STEPS.astype(">f8"), STEPS.astype("f8")),
        (np.arange(4), np.arange(4)[None]),
        (STEPS[:, :1], STEPS[:, :1]),
    ],
)
def test_arrays_of_their_extractors(tree, stored, expected):
    """Axes of length 1 go, a vector is one step, and two axes are steps whatever their lengths."""
    [piece] = merbench.read(tree(**{"wavlm-base-FRA": {"a": stored}}))
    assert piece.windows.values.tolist() == expected.tolist()
    assert piece.windows.valid.tolist() == [len(expected)]


def test_names_of_features_and_clips(tree):
    """Folders that end in FRA or UTT are features, others are not; MELD's development clips are called as here."""
    source = tree(
        **{"IS09_FRA": {"a": STEPS}, "clip-UTT": {"val_dia0_utt1": STEPS[0]}, "subaudio": {"a": STEPS}},
        **{"empty-UTT": {"a": np.zeros((0, 5)), "b": np.zeros(0), "val_x": STEPS}},
    )
    (source / "clip-UTT" / "notes.txt").write_text("none")
    (source / "clip-UTT" / ".hidden.npy").write_text("none")
    assert [*values(merbench.read(source))] == [
        ("IS09_FRA", "a"),
        ("clip-UTT", "dev_dia0_utt1"),
        ("empty-UTT", "val_x"),
    ]
    assert [*values(merbench.read(source / "clip-UTT"))] == [("clip-UTT", "dev_dia0_utt1")]
    assert [*values(merbench.read(source / "subaudio"))] == [("subaudio", "a")]


def test_meld_goes_out_under_their_names(roots):
    """The clips of a development set are found by MERBench's own label file."""
    clips = ["dev_dia0_utt1", "train_dia0_utt1"]
    asked = odd("meld", *clips)
    merbench.write(roots / "out", asked)
    names = sorted(path.name for path in (roots / "out/audio-FRA").iterdir())
    assert names == ["train_dia0_utt1.npy", "val_dia0_utt1.npy"]
    assert sorted(piece.clip for piece in merbench.read(roots / "out")) == clips
    with pytest.raises(CacheError, match="would be one file"):
        merbench.write(roots / "again", odd("both", *clips, "val_dia0_utt1"))


def test_a_clip_may_be_a_folder_of_faces(tree):
    """Each file is a face; they are steps in the order of their names."""
    source = tree(**{"face-FRA": {"a/2": STEPS[1], "a/1": STEPS[:1], "a/3": STEPS[2], "b": STEPS}})
    found = values(merbench.read(source))
    assert found["face-FRA", "a"].tolist() == STEPS.tolist()
    assert found["face-FRA", "b"].tolist() == STEPS.tolist()


class Harm:
    """Writes a file when somebody unpickles it."""

    def __reduce__(self):
        return open, ("harm-was-done", "w")


def npy(descr, shape, data=b""):
    """Return a file of numpy that promises this."""
    head = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + data


HOSTILE = {
    "objects": npy("|O", (1,), pickle.dumps([Harm()])),
    "objects in fields": npy([("a", "|O")], (1,), b"\0" * 8),
    "fields": npy([("a", "<f4")], (1,), b"\0" * 4),
    "texts": npy("<U1", (2,), b"a\0\0\0b\0\0\0"),
    "times": npy("<M8[s]", (1,), b"\0" * 8),
    "more than there is": npy("<f4", (1 << 40, 512), b"\0" * 100),
    "less than there is": npy("<f4", (2, 2), b"\0" * 100),
    "more than can be": npy("<f4", (1 << 62, 1 << 62)),
    "less than nothing": npy("<f4", (-1, 4), b"\0" * 16),
    "a step of nothing": npy("<f4", (1 << 40, 0)),
    "one number": npy("<f4", (), b"\0" * 4),
    "a shape that is a call": npy("<f4", (1,)).replace(b"(1,)", b"exit()"),
    "no numpy": b"PK\x03\x04 something else",
    "a version of the future": npy("<f4", (1,), b"\0" * 4).replace(b"\x01\x00", b"\x09\x00", 1),
    "nothing": b"",
    "a head cut short": npy("<f4", (1,))[:20],
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_is_no_array_of_numbers_is_refused(tree, tmp_path, monkeypatch, what):
    """No object is unpickled, and no memory is taken for what a file only promises."""
    monkeypatch.chdir(tmp_path)
    source = tree(**{"a-FRA": {}})
    (source / "a-FRA" / "clip.npy").write_bytes(HOSTILE[what])
    with pytest.raises(CacheError, match=r"clip\.npy"):
        [*merbench.read(source)]
    assert not (tmp_path / "harm-was-done").exists()


def test_faces_of_different_widths_are_refused(tree):
    """What cannot be steps of one feature is not guessed at."""
    with pytest.raises(CacheError, match=r"face-FRA/a: cannot be read"):
        [*merbench.read(tree(**{"face-FRA": {"a/1": STEPS[0], "a/2": STEPS[0, :3]}}))]


@pytest.mark.parametrize("place", ["a-FRA", "b-FRA/clip.npy", "b-FRA/clip2", "b-FRA/faces/1.npy"])
def test_links_out_of_the_folder_are_not_followed(tree, tmp_path, place):
    """A feature, a clip or a face that lies elsewhere is refused."""
    source = tree(**{"b-FRA": {"faces/2": STEPS}})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.save(elsewhere / "x.npy", STEPS)
    (source / place).symlink_to(elsewhere / "x.npy" if place.endswith(".npy") else elsewhere)
    with pytest.raises(CacheError, match="a link that leads out of"):
        [*merbench.read(source)]


def test_a_source_without_features_is_refused(tmp_path):
    """Whoever names the wrong folder is told what a right one holds."""
    for source, said in ((tmp_path, "end in FRA or UTT"), (tmp_path / "nothing", "expected a folder of folders")):
        with pytest.raises(CacheError, match=said):
            [*merbench.read(source)]


@pytest.mark.parametrize("clip", ["../away", "a/b", ".hidden", "..", "a\\b", "line\nbreak", "x" * 300])
def test_a_clip_that_is_no_file_name_is_refused(roots, clip):
    """An id is any text in the cache, and never a path on its way out."""
    with pytest.raises(CacheError, match="expected a clip whose name"):
        merbench.write(roots / "out", odd("odd", clip))
    assert [path.name for path in roots.iterdir()] == ["features"]


def test_what_cannot_be_written_is_refused(roots):
    """A wrong option, steps of one number, a folder that holds something: nothing is written."""
    asked = kit.chosen("audio")
    for said, refused, options in (
        ("level=fra or utt", asked, {"level": "frame"}),
        ("absent=zeros or none", asked, {"absent": "mean"}),
        ("have 1 numbers", kit.chosen("words"), {}),
        ("have 0 numbers", kit.Chosen("toys", asked.readers, ["other"]), {}),
        ("can be that of a file", kit.Chosen("toys", {"../x": asked.readers["audio"]}, kit.CLIPS), {}),
    ):
        with pytest.raises(CacheError, match=said):
            merbench.write(roots / "out", refused, **options)
    assert not (roots / "out").exists()
    merbench.write(roots / "out", asked)
    with pytest.raises(CacheError, match="is there already"):
        merbench.write(roots / "out", asked)


@pytest.fixture
def labelled(tmp_path):
    """Return a function that saves dictionaries of labels as MERBench does, and the folder of features."""

    def save(name="label.npz", **corpora):
        np.savez_compressed(tmp_path / name, **corpora)
        (tmp_path / "features").mkdir(exist_ok=True)
        return tmp_path / "features"

    return save


def test_labels_of_emotions(labelled):
    """MELD's numbers stay numbers, its splits are ours; words of MER2023 are emotions, and -10 is none."""
    source = labelled(
        train_corpus={"train_dia0_utt0": {"emo": 3, "val": -10}},
        val_corpus={"val_dia0_utt0": {"emo": 0, "val": -10}, "val_dia0_utt1": {"emo": 1, "val": -10}},
    )
    assert [*merbench.labels(source)] == [
        {"id": "train_dia0_utt0", "split": "train", "emo": "3"},
        {"id": "dev_dia0_utt0", "split": "dev", "emo": "0"},
        {"id": "dev_dia0_utt1", "split": "dev", "emo": "1"},
    ]
    labelled(train_corpus={"a": {"emo": "worried", "val": 1.5}}, test3_corpus={"b": {"emo": "happy", "val": -10}})
    assert [*merbench.labels(source)] == [
        {"id": "a", "split": "train", "emotion": "worried", "val": "1.5"},
        {"id": "b", "split": "test", "emotion": "happy"},
    ]


def test_labels_of_sentiment_and_of_several_files(labelled):
    """Where there are no emotions, `val` is a sentiment, a number of numpy, too; files of one corpus are joined."""
    source = labelled(test_corpus={"a": {"emo": 0, "val": np.float32(-0.5)}})
    assert [*merbench.labels(source)] == [{"id": "a", "split": "test", "sentiment_score": "-0.5"}]
    (source.parent / "label.npz").unlink()
    labelled("label_4way.npz", whole_corpus={"x": {"emo": 2, "val": -10}})
    labelled("label_6way.npz", whole_corpus={"x": {"emo": 1, "val": -10}, "y": {"emo": 5, "val": -10}})
    assert [*merbench.labels(source)] == [
        {"id": "x", "split": "", "emo_4way": "2", "emo_6way": "1"},
        {"id": "y", "split": "", "emo_6way": "5"},
    ]


def test_labels_that_are_none_are_refused(labelled, tmp_path, monkeypatch):
    """A pickle that would do something, or is no dictionary, or unfolds to far too much, is refused under its name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CacheError, match=r"expected label\.npz"):
        [*merbench.labels(tmp_path)]
    for corpus, said in (
        (np.array(Harm(), object), r"label\.npz: train_corpus\.npy"),
        (np.array([1, 2]), "expected one dictionary"),
        (np.array([{"a": 1}, 2], object), "expected one dictionary"),
        ({"a": 1}, "a dictionary with emo and val"),
    ):
        with pytest.raises(CacheError, match=said):
            [*merbench.labels(labelled(train_corpus=corpus))]
    assert not (tmp_path / "harm-was-done").exists()
    with zipfile.ZipFile(tmp_path / "label.npz", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("train_corpus.npy", b"\0" * (100 << 20))
    with pytest.raises(CacheError, match="would unfold to"):
        [*merbench.labels(tmp_path / "features")]
    (tmp_path / "label.npz").write_text(json.dumps("no archive"))
    with pytest.raises(CacheError, match=r"label\.npz: cannot be read"):
        [*merbench.labels(tmp_path / "features")]
