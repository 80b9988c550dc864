"""What all formats share: pieces become entries that say so, and entries go out as sequences, mean or whole."""

import dataclasses

import numpy as np
import pytest

from features import CacheError, Reader, Windows, about, exchange, find
from features.__main__ import main
from features.entries import key_of
from features.exchange import Chosen, Piece, sequence, whole
from features.imported import CLIPS, Import, store
from features.windows import Windows as Plain

RAGGED = Windows.join(
    [np.arange(6.0).reshape(3, 2), np.arange(8.0).reshape(4, 2) + 10, np.zeros((2, 2))],
    [(0, 3), (2, 5), (4, 5)],
    [3, 2, 0],
)


def pieces(count=3, feature="vision", dtype=np.float32, bad=0.0):
    """Make pieces of a few steps; the first value of each may be none."""
    for i in range(count):
        values = np.full((i % 4 + 1, 2), i, dtype)
        values[0, 0] = bad or values[0, 0]
        yield Piece(feature, f"clip{i}", whole(values))


@pytest.fixture
def job(roots):
    """What is asked of an import of some file."""
    source = roots / "theirs.bin"
    source.write_bytes(b"theirs")
    return Import("toys", "mmsa", source, {"vision": "facet"})


def test_steps_are_the_real_ones():
    """Padding does not go out, every real step does, and each window is divided evenly among its real steps."""
    out = sequence(RAGGED, "steps")
    assert out.values.tolist() == [[0, 1], [2, 3], [4, 5], [10, 11], [12, 13]]
    assert out.interval_s.tolist() == [[0, 1], [1, 2], [2, 3], [2, 3.5], [3.5, 5]]


def test_a_mean_for_each_window_or_for_the_clip():
    """Means are over real steps alone; a window without any has none, and the clip's mean weighs steps, not windows."""
    out = sequence(RAGGED, "windows")
    assert (out.values.tolist(), out.interval_s.tolist()) == ([[2, 3], [11, 12]], [[0, 3], [2, 5]])
    out = sequence(RAGGED, "clip")
    assert np.allclose(out.values, [[28 / 5, 33 / 5]])
    assert out.interval_s.tolist() == [[0, 5]]


@pytest.mark.parametrize("how", exchange.HOWS)
def test_a_clip_without_a_real_step(how):
    """Nothing goes out of a clip in which nothing is real, in the shape of what would."""
    empty = Windows.join([np.ones((2, 3), np.float16)], [(0, 1)], [0])
    out = sequence(empty, how)
    assert (out.values.shape, out.values.dtype, out.interval_s.shape) == ((0, 3), np.float16, (0, 2))


def test_a_mean_of_halves_does_not_overflow():
    """Sums are taken in float64, so that large half floats have a mean."""
    windows = whole(np.full((100, 1), 60_000, np.float16))
    assert sequence(windows, "clip").values.tolist() == [[60_000]]


def test_steps_that_say_when_they_last():
    """Times that a file gave are kept to the bit."""
    times = np.array([[0.1, 0.30000000000000004], [0.7, 0.9]])
    assert np.array_equal(sequence(whole(np.ones((2, 1)), interval_s=times), "steps").interval_s, times)


def test_an_import_is_an_entry_like_any(job, capsys):
    """It is found, verified and read; its key says where it is from, and a second import writes nothing."""
    (folder,) = store(job, pieces(CLIPS + 5))
    key = key_of(folder)
    assert folder == find("toys", "facet")
    assert dict(key.settings) | {"content": ""} == {
        "origin": "imported",
        "format": "mmsa",
        "feature": "vision",
        "content": "",
    }
    with Reader(folder) as reader:
        assert (len(reader), len(reader.parts)) == (CLIPS + 5, 2)
        assert all(np.array_equal(reader[one.clip].values, one.windows.values) for one in pieces(CLIPS + 5))
    assert main(["verify"]) == 0
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert store(job, pieces(CLIPS + 5)) == {folder: CLIPS + 5}
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert about.read(folder)["file"] == "theirs.bin"
    assert main(["show"]) == 0
    assert "imported from vision of theirs.bin (mmsa" in capsys.readouterr().out


def test_an_import_that_was_stopped_goes_on(job):
    """What was written before the file turned out broken stays, and the next import adds the rest."""

    def broken():
        yield from pieces(CLIPS)
        raise CacheError("broken here")

    with pytest.raises(CacheError, match="broken here"):
        store(job, broken())
    assert len(Reader(find("toys", "facet"))) == CLIPS
    store(job, pieces(CLIPS + 1))
    assert len(Reader(find("toys", "facet"))) == CLIPS + 1


def test_another_content_is_another_entry(job):
    """A file that was changed never mixes with what it held before."""
    (one,) = store(job, pieces())
    job.source.write_bytes(b"theirs, mended")
    (other,) = store(job, pieces())
    assert one != other


@pytest.mark.parametrize(
    ("dtype", "said", "stored"),
    [
        ("float64", "", "float32"),
        ("float32", "", "float32"),
        ("float16", "", "float16"),
        (">f4", "", "float32"),
        ("int64", "", "int64"),
        ("float32", "float16", "float16"),
    ],
)
def test_how_values_are_stored(job, dtype, said, stored):
    """As they are, but for float64, unless somebody says otherwise."""
    (folder,) = store(dataclasses.replace(job, dtype=said), pieces(dtype=dtype))
    assert key_of(folder).dtype == stored
    assert Reader(folder)["clip1"].values.dtype == np.dtype(stored)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_what_is_no_number(job, bad):
    """It is refused with a count, or put to 0 where that is asked, and then the key says so."""
    with pytest.raises(CacheError, match=r"'clip0' has 1 values that are no finite numbers as float32; say --zeros"):
        store(job, pieces(dtype=np.float64, bad=bad))
    (folder,) = store(dataclasses.replace(job, zeros=True), pieces(dtype=np.float64, bad=bad))
    assert key_of(folder).settings["nonfinite"] == "zero"
    assert Reader(folder)["clip2"].values.tolist() == [[0, 2], [2, 2], [2, 2]]


def test_names_choose(job):
    """Only what is named comes in; without names everything does, under names that a folder can bear."""
    both = [*pieces(), *pieces(feature="au/35 cols")]
    assert [folder.name.rpartition("-")[0] for folder in store(job, both)] == ["facet"]
    every = store(dataclasses.replace(job, names={}), both)
    assert sorted(folder.name.rpartition("-")[0] for folder in every) == ["au_35_cols", "vision"]


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        ({"audio": "x"}, pieces(), "has no feature audio; it has: vision"),
        ({"vision": "../x"}, pieces(), "expected a name of letters"),
        ({"vision": "x"}, [*pieces(1), *pieces(1)], "has vision of 'clip0' twice"),
        ({}, [], "holds no features of any clip"),
    ],
)
def test_an_import_that_cannot_be(job, names, given, message):
    """What is absent, misnamed or there twice is said by its name."""
    with pytest.raises(CacheError, match=message):
        store(dataclasses.replace(job, names=names), given)


def test_an_export_takes_clips_some_at_a_time(job, monkeypatch):
    """Every clip comes with those features that it has, in the order asked for."""
    monkeypatch.setattr(exchange, "AT_ONCE", 2)
    store(job, pieces(5))
    with Reader(find("toys", "facet")) as reader:
        chosen = Chosen("toys", {"vision": reader}, ["clip3", "nobody", "clip0", "clip4"])
        out = dict(chosen.sequences())
    assert {clip: len(found) for clip, found in out.items()} == {"clip3": 1, "nobody": 0, "clip0": 1, "clip4": 1}
    assert list(out) == list(chosen.clips)
    assert out["clip3"]["vision"].values.shape == (4, 2)


def test_labels_that_nobody_gave():
    """A format that needs splits says how to get them."""
    chosen = Chosen("toys", {}, ["a", "b"], {"a": {"split": "train"}})
    with pytest.raises(CacheError, match=r"needs split of every clip: .* manifests table toys"):
        chosen.table("split")
    assert chosen.table()["b"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "npz", "x", "--corpus", "c"], "invalid choice"),
        (["import", "mmsa", "{here}/x", "--corpus", "c"], "x is not there"),
        (["import", "merbench", "{here}", "--corpus", "../c"], "expected the name of a corpus"),
        (["import", "merbench", "{here}", "--corpus", "c", "--as", "vision"], "expected FEATURE=NAME, got 'vision'"),
        (["import", "merbench", "{here}", "--corpus", "c", "--set", "colour=red"], "merbench has no option 'colour'"),
        (["export", "merbench", "{here}/out", "--corpus", "c", "--entries", "x"], "has no entry of 'x'"),
    ],
)
def test_a_wrong_question_is_answered(roots, capsys, arguments, message):
    """What a format does not know, or what is not there, is a message and exit code 2."""
    try:
        code = main([each.replace("{here}", str(roots)) for each in arguments])
    except SystemExit as exited:
        code = exited.code
    assert (code, message in capsys.readouterr().err) == (2, True)


def test_real_steps():
    """The real steps of all windows stand one after another; of a clip without windows there are none."""
    assert RAGGED.real().tolist() == [[0, 1], [2, 3], [4, 5], [10, 11], [12, 13]]
    nothing = Plain(np.zeros((0, 4)), np.zeros(1, int), np.zeros((0, 2)), np.zeros(0, int))
    assert nothing.real().shape == (0, 4)


def test_what_decides_no_number_is_not_in_the_key(roots):
    """Choosing labels makes no other entry, and a file that an option names counts by its content, not its path."""
    np.savez(roots / "x.npz", values=np.ones((2, 3), np.float32), name=np.array(["a", "b"]), label=np.arange(2))
    for name in ("one", "other"):
        (roots / name).mkdir()
        (roots / name / "ids.txt").write_text("a\nb\n")
        options = ["--set", f"ids={roots / name / 'ids.txt'}", f"labels={'label' if name == 'one' else 'name'}"]
        assert main(["import", "arrays", str(roots / "x.npz"), "--corpus", "toys", "--as", "values=v", *options]) == 0
    settings = dict(key_of(find("toys", "v")).settings)
    assert "labels" not in settings
    assert str(roots) not in str(settings)


@pytest.mark.parametrize(
    ("dtype", "said", "holds"),
    [("float32", "", "features"), ("int64", "", "transcript"), ("int64", "features", "features")],
)
def test_what_an_import_holds(job, dtype, said, holds):
    """Whole numbers may be a sentence's tokens, and are kept like its words unless somebody knows better."""
    (folder,) = store(dataclasses.replace(job, holds=said), pieces(dtype=dtype))
    with Reader(folder) as reader:
        assert {reader.part(path).provenance["holds"] for path in reader.parts} == {holds}
