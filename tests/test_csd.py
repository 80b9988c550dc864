"""CMU's computational sequences: read as their SDK writes them, cut by time, and written as it wants them."""

import json
import zlib

import h5py
import numpy as np
import pytest

from features import CacheError, Reader, csd
from features.__main__ import main
from features.exchange import INTERVALS, Chosen, Piece, whole
from features.imported import Import, store

DEPLOYED = {"compression": "gzip", "compression_opts": 9}
ASKED = (
    "root name",
    "computational sequence description",
    "dimension namescomputational sequence version",  # the SDK's own list lacks a comma
    "alignment compatible",
    "dataset name",
    "dataset version",
    "creator",
    "contact",
    "featureset bib citation",
    "dataset bib citation",
)
"""What CMU-MultimodalSDK at 4f2eadc looks for in the metadata."""


def lay(path, entries, root="COVAREP", told=(("creator", "somebody"),), **packed):
    """Write a sequence as the SDK does: entries are (features, intervals), metadata are texts of JSON in a heap."""
    with h5py.File(path, "w") as file:
        for name, arrays in entries.items():
            for array, values in zip(("features", "intervals"), arrays, strict=True):
                file.create_dataset(f"{root}/data/{name}/{array}", data=values, **packed)
        for name, value in told:
            made = file.create_dataset(f"{root}/metadata/{name}", (1,), h5py.string_dtype())
            made[0] = json.dumps(value)
    return path


def steps(count, begin_s=0.0, each_s=0.5, width=3, dtype=np.float32):
    """Make steps that follow each other, each of which holds its own number."""
    values = np.arange(count, dtype=dtype)[:, None] + np.zeros(width, dtype)
    edges = begin_s + each_s * np.arange(count + 1)
    return values + np.float32(begin_s), np.stack([edges[:-1], edges[1:]], axis=1)


def table(path, *rows):
    """Write a table of clips."""
    path.write_text("\n".join(("id,recording,start,end", *rows)) + "\n", encoding="utf-8")
    return str(path)


def found(pieces):
    """Return what was read: of a clip the first number of each step, and its span."""
    return {
        piece.clip: (piece.windows.values[:, 0].tolist(), *map(tuple, piece.windows.spans_s.tolist()))
        for piece in pieces
    }


@pytest.mark.parametrize("packed", [{}, DEPLOYED], ids=["plain", "deployed"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_sequence_is_read_as_it_is(tmp_path, packed, dtype):
    """Values, infinities among them, and times come to the bit, under the names that the file has."""
    generator = np.random.default_rng(0)
    values, times = generator.standard_normal((7, 5)).astype(dtype), np.sort(generator.random((7, 2)))
    values[2, 3], values[4] = np.nan, -np.inf
    path = lay(tmp_path / "a.csd", {"-vid_1": (values, times), "v[10]": steps(2)}, **packed)
    read = {piece.clip: piece for piece in csd.read(path)}
    assert {piece.feature for piece in read.values()} == {"COVAREP"}
    assert list(read) == ["-vid_1", "v[10]"]
    windows = read["-vid_1"].windows
    assert (windows.values.dtype, windows.values.tobytes()) == (values.dtype, values.tobytes())
    assert np.array_equal(windows.steps[INTERVALS], times)
    assert windows.spans_s.tolist() == [[times[:, 0].min(), times[:, 1].max()]]
    assert windows.valid.tolist() == [7]


def test_steps_of_several_axes_and_entries_without_steps(tmp_path):
    """A step may be a matrix; an entry without a step is left out."""
    values = np.arange(24.0).reshape(2, 3, 4)
    none = np.zeros((0, 3, 4)), np.zeros((0, 2))
    path = lay(tmp_path / "a.csd", {"a": (values, steps(2)[1]), "b": none})
    (piece,) = csd.read(path)
    assert (piece.clip, piece.windows.values.tolist()) == ("a", values.tolist())


def test_what_a_file_says_of_itself(tmp_path):
    """Metadata are told as text, whatever JSON they are; those that cannot be read are left out."""
    told = (("creator", "CMU"), ("dimension names", ["f0", "VAD"]), ("md5", None))
    path = lay(tmp_path / "a.csd", {"a": steps(2)}, told=told)
    with h5py.File(path, "a") as file:
        file["COVAREP/metadata/old"] = "no JSON"
        file["COVAREP/metadata/number"] = 3
        file["COVAREP/metadata/linked"] = h5py.ExternalLink("/etc/hostname", "/")
    said = csd.said(path)
    assert said == {"creator": "CMU", "dimension names": '["f0", "VAD"]', "md5": "null", "old": "no JSON"}
    lay(tmp_path / "b.csd", {"a": steps(2)}, root="FACET 4.2")
    assert csd.said(tmp_path)["FACET 4.2: creator"] == "somebody"
    assert {piece.feature for piece in csd.read(tmp_path)} == {"COVAREP", "FACET 4.2"}


def test_a_step_belongs_where_its_middle_lies(tmp_path):
    """Clips are half open, times become the clip's, a step may belong to two clips or to none."""
    path = lay(tmp_path / "a.csd", {"vid": steps(6), "other": steps(2)})
    rows = "first,Audio/Full/vid,0,1.25", "second,vid,1.25,2.75", "both,vid,1,2", "late,vid,9,10", "else,nobody,0,1"
    read = {piece.clip: piece.windows for piece in csd.read(path, segments=table(tmp_path / "t.csv", *rows))}
    assert {clip: windows.values[:, 0].tolist() for clip, windows in read.items()} == {
        "first": [0, 1],
        "second": [2, 3, 4],
        "both": [2, 3],
    }
    assert read["second"].steps[INTERVALS].tolist() == [[-0.25, 0.25], [0.25, 0.75], [0.75, 1.25]]
    assert [windows.spans_s.tolist() for windows in read.values()] == [[[0, 1.25]], [[0, 1.5]], [[0, 1]]]


def test_a_clip_that_is_the_whole_recording(tmp_path):
    """Where a row says no seconds the clip begins with its recording, and ends with its last step."""
    path = lay(tmp_path / "a.csd", {"vid": steps(3)})
    segments = table(tmp_path / "t.csv", "all,a/b/vid,,", "rest,vid,0.5,")
    assert found(csd.read(path, segments=segments)) == {"all": ([0, 1, 2], (0, 1.5)), "rest": ([1, 2], (0, 1))}


def test_an_ordinal_is_not_a_clips_number(tmp_path):
    """Of `video[0]` and its siblings, in whatever order they count, times alone tell the clip; doubles count once."""
    early, late = steps(3), steps(3, begin_s=10)
    double = tuple(np.concatenate([one, other[:1]]) for one, other in zip(late, early, strict=True))
    path = lay(tmp_path / "a.csd", {"vid[0]": double, "vid[1]": early, "vid[10]": steps(1, begin_s=20)})
    assert found(csd.read(path)).keys() == {"vid[0]", "vid[1]", "vid[10]"}
    segments = table(tmp_path / "t.csv", "vid_0,vid,0,1.5", "vid_1,vid,10,11.5", "vid_2,vid,0,")
    read = found(csd.read(path, segments=segments))
    assert read["vid_0"][0] == [0, 1, 2]
    assert read["vid_1"][0] == [10, 11, 12]
    assert read["vid_2"][0] == [0, 1, 2, 10, 11, 12, 20]


def test_doubles_that_are_no_numbers_count_once(tmp_path):
    """A step that several entries have counts once although NaN is not equal to itself."""
    values, times = steps(2)
    path = lay(tmp_path / "a.csd", {"v[0]": (values * np.nan, times), "v[1]": (values * np.nan, times)})
    (piece,) = csd.read(path, segments=table(tmp_path / "t.csv", "v_0,v,0,9"))
    assert len(piece.windows.values) == 2


@pytest.mark.usefixtures("roots")
def test_an_import_trains_like_any(tmp_path, capsys):
    """What was read becomes an entry that verifies; what is no number is refused, or 0 where one says so."""
    values, times = steps(4)
    values[1, 1] = -np.inf
    path = lay(tmp_path / "a.csd", {"a": (values, times), "b": steps(2)}, **DEPLOYED)
    with pytest.raises(CacheError, match="--zeros"):
        store(Import("mosi", "csd", path), csd.read(path))
    (folder,) = store(Import("mosi", "csd", path, {"COVAREP": "covarep"}, zeros=True), csd.read(path))
    with Reader(folder) as reader:
        assert np.array_equal(reader["a"].values, np.where(np.isfinite(values), values, 0))
        assert np.array_equal(reader["a"].steps[INTERVALS], times)
    assert main(["verify"]) == 0
    assert "0 damaged" in capsys.readouterr().out


@pytest.fixture
def chosen(roots):
    """Two features of some clips, one of which lacks one, on their way out."""
    generator = np.random.default_rng(1)

    def pieces(feature, clips, shape, dtype):
        for i in range(clips):
            times = np.sort(generator.random((i + 1, 2)))
            values = generator.standard_normal((i + 1, *shape)).astype(dtype)
            yield Piece(feature, f"vid[{i}]", whole(values, span_s=(0, 2), interval_s=times))

    source = roots / "theirs"
    source.write_bytes(b"theirs")
    job = Import("mosi", "csd", source)
    every = store(job, pieces("FACET 4.2", 5, (3,), "f4")) | store(job, pieces("glove", 4, (2, 2), "f2"))
    readers = dict(zip(("FACET 4.2", "glove"), map(Reader, every), strict=True))
    return Chosen("mosi", readers, [f"vid[{i}]" for i in (3, 0, 4)])


def test_what_goes_out_comes_back(chosen, tmp_path):
    """Written and read again, values and times are the same to the bit; a clip lacks what it lacked."""
    csd.write(tmp_path / "out", chosen)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["FACET 4.2.csd", "glove.csd"]
    back = {(piece.feature, piece.clip): piece.windows for piece in csd.read(tmp_path / "out")}
    sent = {(name, clip): steps for clip, each in chosen.sequences() for name, steps in each.items()}
    assert back.keys() == sent.keys()
    assert len(back) == 5
    for name, steps_out in sent.items():
        assert back[name].values.dtype == steps_out.values.dtype
        assert back[name].values.tobytes() == steps_out.values.tobytes()
        assert np.array_equal(back[name].steps[INTERVALS], steps_out.interval_s)


def test_what_goes_out_is_what_the_sdk_reads(chosen, tmp_path):
    """By h5py alone: one root, tables that fit, and all that the SDK asks for, as texts of JSON in arrays of one."""
    one = Chosen("mosi", {"FACET 4.2": chosen.readers["FACET 4.2"]}, chosen.clips)
    csd.write(tmp_path / "a.csd", one, root="OpenFace_2")
    with h5py.File(tmp_path / "a.csd") as file:
        assert list(file) == ["OpenFace_2"]
        data, metadata = file["OpenFace_2/data"], file["OpenFace_2/metadata"]
        assert {clip: (e["features"].shape, e["intervals"].shape) for clip, e in data.items()} == {
            f"vid[{i}]": ((i + 1, 3), (i + 1, 2)) for i in (0, 3, 4)
        }
        assert np.array_equal(data["vid[3]/features"][:], chosen.readers["FACET 4.2"]["vid[3]"].values)
        told = {name: json.loads(metadata[name][0]) for name in metadata}
    assert set(ASKED) - told.keys() == set()
    assert (told["root name"], told["dataset name"], len(told["dimension names"])) == ("OpenFace_2", "mosi", 3)
    assert all(isinstance(told[name], str) for name in ASKED if name != "alignment compatible")


def test_a_mean_goes_out_as_one_step(chosen, tmp_path):
    """With how=clip every entry is one step that lasts as long as the clip."""
    one = Chosen("mosi", {"glove": chosen.readers["glove"]}, ["vid[3]"], how="clip")
    csd.write(tmp_path / "new" / "a.csd", one)
    (piece,) = csd.read(tmp_path / "new" / "a.csd")
    assert piece.windows.values.shape == (1, 2, 2)
    assert piece.windows.steps[INTERVALS].tolist() == [[0, 2]]


def two_roots(path):
    """Two sequences in one file."""
    lay(path, {"a": steps(1)})
    with h5py.File(path, "a") as file:
        file.create_group("other/data")


def no_root(path):
    """Some other HDF5."""
    with h5py.File(path, "w") as file:
        file.create_group("a/b")


def an_array(path):
    """An array where a group should be."""
    with h5py.File(path, "w") as file:
        file["a"] = np.ones(3)


def linked(path):
    """An entry that lies in another file."""
    lay(path.with_name("other.csd.txt"), {"a": steps(1)})
    lay(path, {"b": steps(1)})
    with h5py.File(path, "a") as file:
        file["COVAREP/data/a"] = h5py.ExternalLink("other.csd.txt", "/COVAREP/data/a")


def no_times(path):
    """An entry without times."""
    with h5py.File(path, "w") as file:
        file["COVAREP/data/a/features"] = np.ones((2, 2))


def words(path):
    """Words, as `words` of CMU-MOSI."""
    lay(path, {"a": (np.array([[b"hello"], [b"sp"]]), steps(2)[1])})


def objects(path):
    """Words of any length."""
    with h5py.File(path, "w") as file:
        file["COVAREP/data/a/features"] = [["hello"], ["sp"]]
        file["COVAREP/data/a/intervals"] = steps(2)[1]


def fewer_times(path):
    """Fewer times than steps."""
    lay(path, {"a": (steps(3)[0], steps(2)[1])})


def three_times(path):
    """Three times for each step."""
    lay(path, {"a": (steps(3)[0], np.ones((3, 3)))})


def one_axis(path):
    """Numbers and no steps of them."""
    lay(path, {"a": (np.ones(3), steps(3)[1])})


def no_seconds(path):
    """A time that is none."""
    lay(path, {"a": (steps(2)[0], np.array([[0, 1], [1, np.nan]]))})


def backwards(path):
    """Steps that end before they begin."""
    lay(path, {"a": (steps(2)[0], np.array([[5, 1], [6, 2.0]]))})


def bomb(path):
    """A gigabyte and a half of zeros in a small file."""
    with h5py.File(path, "w") as file:
        made = file.create_dataset("R/data/a/features", (3 * 2**15, 2**12), "f4", chunks=(2**13, 2**12), **DEPLOYED)
        file["R/data/a/intervals"] = np.zeros((3 * 2**15, 2))
        packed = zlib.compress(bytes(2**27), 9)
        for row in range(0, 3 * 2**15, 2**13):
            made.id.write_direct_chunk((row, 0), packed)


def promised(path):
    """Steps that were never written."""
    with h5py.File(path, "w") as file:
        file.create_dataset("R/data/a/features", (2**40, 74), "f4", chunks=(100, 74))
        file.create_dataset("R/data/a/intervals", (2**40, 2), "f8", chunks=(100, 2))


def text(path):
    """A page that says that the download failed."""
    path.write_text("<html>404</html>")


HOSTILE = {
    two_roots: "expected one root",
    no_root: "expected one root",
    an_array: "a is not a group",
    linked: "COVAREP/data/a is missing or a link",
    no_times: "a/intervals is missing or a link",
    words: "words are no features",
    objects: "words are no features",
    fewer_times: r"features \(3, 3\) and intervals \(2, 2\)",
    three_times: r"intervals \(3, 3\)",
    one_axis: r"features \(3,\)",
    no_seconds: "seconds from when to when",
    backwards: "seconds from when to when",
    bomb: "would unfold to 1611 MB",
    promised: "promises more than is stored",
    text: "cut short or damaged",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_hostile_files_are_refused(tmp_path, make):
    """Each is refused with a word that names the file, whether its clips are cut or not."""
    path = tmp_path / "x.csd"
    make(path)
    for options in ({}, {"segments": table(tmp_path / "t.csv", "a_0,a,0,9")}):
        with pytest.raises(CacheError, match=HOSTILE[make]) as told:
            list(csd.read(path, **options))
        assert str(path) in str(told.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,,0,1"], "a table with the columns id, recording"),
        (["a,vid,now,1"], "seconds as start and end of a"),
        (["a,nobody,0,1"], "videos that the table names as recording, such as 'nobody'"),
        (["a,vid,0,1", "a,vid,1,2"], "a clip that no other row has"),
    ],
)
def test_tables_that_cannot_cut(tmp_path, rows, message):
    """A table without recordings, of other videos or with words for seconds is refused with a word."""
    path = lay(tmp_path / "a.csd", {"vid": steps(3)})
    with pytest.raises(CacheError, match=message):
        list(csd.read(path, segments=table(tmp_path / "t.csv", *rows)))


def test_what_cannot_go_out(chosen, tmp_path):
    """Two features in one file, a name that is a path, a target that is there: refused, and nothing is left behind."""
    one = {"glove": chosen.readers["glove"]}
    (tmp_path / "there.csd").touch()
    with pytest.raises(CacheError, match="expected one feature for one"):
        csd.write(tmp_path / "a.csd", chosen)
    with pytest.raises(CacheError, match="expected one feature for one"):
        csd.write(tmp_path / "a", chosen, root="R")
    with pytest.raises(CacheError, match="is there already"):
        csd.write(tmp_path / "there.csd", Chosen("mosi", one, ["vid[0]"]))
    with pytest.raises(CacheError, match="without / that a group"):
        csd.write(tmp_path / "a.csd", Chosen("mosi", one, ["vid[0]"]), root="a/b")
    with pytest.raises(CacheError, match="has no step of any clip"):
        csd.write(tmp_path / "a.csd", Chosen("mosi", one, ["nobody"]))
    assert sorted(path.name for path in tmp_path.iterdir() if "csd" in path.name) == ["there.csd"]


def test_a_clip_whose_name_is_a_path(roots, tmp_path):
    """A name that would make groups of its own is refused, and no half file is left."""
    source = roots / "theirs"
    source.touch()
    (folder,) = store(Import("odd", "csd", source), [Piece("f", "a/../b", whole(np.ones((1, 2), "f4")))])
    with pytest.raises(CacheError, match=r"without / that a group of HDF5 can have, got 'a/\.\./b'"):
        csd.write(tmp_path / "a.csd", Chosen("odd", {"f": Reader(folder)}, ["a/../b"]))
    assert not [path for path in tmp_path.iterdir() if "csd" in path.name]
