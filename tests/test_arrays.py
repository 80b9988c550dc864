"""Arrays with a table of ids: real sets come in by options alone, hostile files stay out, what goes out comes back."""

import ast
import io
import os
import struct
import zipfile
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from features import CacheError, Reader, arrays, find
from features.__main__ import main
from features.exchange import INTERVALS, Chosen, Piece, whole
from features.imported import Import, store
from features.rows import BLOCK_BYTES

MMMO = {
    "files": "{feature}_{split}_emb.h5,{feature}_{split}.h5",
    "ids": "{split}_{row:03}",
    "align": "audio",
    "labels": "y",
}
IDS = ["b", "a", "ç[3]"]


def read(path, **options):
    """Read a file: of each feature the values of its clips."""
    found = {}
    for piece in arrays.read(path, **options):
        found.setdefault(piece.feature, {})[piece.clip] = piece.windows.values.tolist()
    return found


def shaped(*shape, dtype="f4"):
    """Make numbers that are all different, and none of them 0."""
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


@pytest.mark.parametrize("shared", ["ravdess-au-mfcc"], indirect=True)
@pytest.mark.usefixtures("roots")
def test_vectors_of_ravdess(shared, capsys):
    """A real archive: 1,440 takes of two features, equal to the file's, verified; its labels are columns."""
    path, options = shared / "ravdess_au_mfcc.npz", {"ids": "clip"}
    names = {"audio_mfcc": "mfcc_statistics", "video_au": "openface_au"}
    made = store(Import("ravdess_au", "arrays", path, names, options), arrays.read(path, **options))
    assert sorted(made.values()) == [1440, 1440]
    with np.load(path, allow_pickle=False) as file:
        for theirs, ours in names.items():
            with Reader(find("ravdess_au", ours)) as reader:
                values = np.stack([reader[str(clip)].values[0] for clip in file["clip"]])
            assert values.dtype == np.float32
            assert np.array_equal(values, file[theirs].astype(np.float32))
        rows = list(arrays.labels(path, **options))
        assert [int(row["emotion"]) for row in rows] == file["emotion"].tolist()
        assert [row["id"] for row in rows] == file["clip"].tolist()
    assert Counter(row["actor"] for row in rows) == {str(actor): 60 for actor in range(1, 25)}
    assert main(["verify"]) == 0
    assert "46 parts checked, 0 damaged" in capsys.readouterr().out


@pytest.mark.parametrize("shared", ["ict-mmmo-seq"], indirect=True)
@pytest.mark.usefixtures("roots")
def test_sequences_of_mmmo(shared, capsys):
    """A real folder without ids or masks: 220, 40 and 80 reviews, no words in training, real steps by the sound."""
    made = store(Import("ict_mmmo", "arrays", shared, options=MMMO), arrays.read(shared, **MMMO))
    assert {folder.name.partition("-")[0]: clips for folder, clips in made.items()} == {
        "audio": 340,
        "video": 340,
        "text": 120,
    }
    theirs = {"train": "train", "dev": "valid", "test": "test"}
    with Reader(find("ict_mmmo", "audio")) as audio, Reader(find("ict_mmmo", "video")) as video:
        assert Counter(clip.partition("_")[0] for clip in audio) == {"train": 220, "dev": 40, "test": 80}
        for split, name in theirs.items():
            with h5py.File(shared / f"audio_{name}.h5") as sound, h5py.File(shared / f"video_{name}.h5") as picture:
                for row, (heard, seen) in enumerate(zip(sound["d1"][:], picture["d1"][:], strict=True)):
                    there = np.flatnonzero(heard.any(axis=1))
                    real = slice(there[0], there[-1] + 1)
                    assert np.array_equal(audio[f"{split}_{row:03}"].values, heard[real].astype(np.float32))
                    assert np.array_equal(video[f"{split}_{row:03}"].values, seen[real].astype(np.float32))
    with Reader(find("ict_mmmo", "text")) as text:
        assert Counter(clip.partition("_")[0] for clip in text) == {"dev": 40, "test": 80}
    rows = list(arrays.labels(shared, **MMMO))
    assert Counter(row["split"] for row in rows) == {"train": 220, "dev": 40, "test": 80}
    with h5py.File(shared / "y_valid.h5") as file:
        assert [float(row["y"]) for row in rows if row["split"] == "dev"] == file["d1"][:].tolist()
    assert main(["verify"]) == 0
    assert "0 damaged" in capsys.readouterr().out


@pytest.fixture
def chosen(roots):
    """Three features of some clips, of which one lacks one, on their way out with a table."""
    generator = np.random.default_rng(0)

    def pieces(feature, clips, shape, dtype):
        for i, clip in enumerate(clips):
            times = np.sort(generator.random((i + 2, 2)))
            values = generator.standard_normal((i + 2, *shape)).astype(dtype)
            yield Piece(feature, clip, whole(values, valid=i + 1, span_s=(0, 2), interval_s=times))

    source = roots / "theirs"
    source.touch()
    made = [
        *store(Import("toys", "arrays", source), pieces("audio", IDS, (4,), "f2")),
        *store(Import("toys", "arrays", source), pieces("maps", IDS[:2], (2, 3), "f4")),
        *store(Import("toys", "arrays", source), pieces("pitch", IDS, (), "f4")),
    ]
    rows = {"b": {"id": "b", "split": "dev", "emotion": "sad"}, "a": {"id": "a", "emotion": "", "text": ""}}
    return Chosen("toys", dict(zip(("audio", "maps", "pitch"), map(Reader, made), strict=True)), IDS, rows)


@pytest.mark.parametrize("name", ["new/x.npz", "x.h5", "x.hdf5", "x"])
@pytest.mark.parametrize("how", ["steps", "clip"])
def test_what_goes_out_comes_back(chosen, tmp_path, name, how):
    """Without a word of options values and times come back to the bit, and so do labels; who lacked a feature does."""
    chosen = Chosen("toys", chosen.readers, IDS, chosen.rows, how)
    arrays.write(tmp_path / name, chosen)
    back = {(piece.feature, piece.clip): piece.windows for piece in arrays.read(tmp_path / name)}
    sent = {(feature, clip): steps for clip, each in chosen.sequences() for feature, steps in each.items()}
    assert back.keys() == sent.keys()
    assert ("maps", IDS[2]) not in back
    for key, steps in sent.items():
        assert back[key].values.dtype == steps.values.dtype
        assert back[key].values.tobytes() == steps.values.tobytes()
        assert np.array_equal(back[key].steps[INTERVALS], steps.interval_s)
    assert list(arrays.labels(tmp_path / name)) == [
        {"id": "b", "split": "dev", "emotion": "sad"},
        {"id": "a", "split": "", "emotion": ""},
        {"id": IDS[2], "split": "", "emotion": ""},
    ]


@pytest.mark.parametrize("name", ["x.npz", "x.h5", "x"])
def test_what_goes_out_is_read_without_us(chosen, tmp_path, name):
    """By numpy or h5py alone: ids, arrays padded with 0, lengths and times, in the dtype of the cache."""
    arrays.write(tmp_path / name, chosen)
    if name == "x.npz":
        with np.load(tmp_path / name, allow_pickle=False) as file:
            found = dict(file)
    elif name == "x.h5":
        with h5py.File(tmp_path / name) as file:
            found = {each: file[each][:] for each in file}
        found["ids"] = np.array([clip.decode() for clip in found["ids"]])
    else:
        found = {path.stem: np.load(path, mmap_mode="r") for path in (tmp_path / name).glob("*.npy")}
        found["ids"] = np.array((tmp_path / name / "ids.txt").read_text(encoding="utf-8").splitlines())
    assert found["ids"].tolist() == IDS
    assert (found["audio"].shape, found["audio"].dtype) == ((3, 3, 4), np.float16)
    assert (found["maps"].shape, found["maps_lengths"].tolist()) == ((3, 2, 2, 3), [1, 2, 0])
    assert found["audio_interval_s"].shape == (3, 3, 2)
    for row, clip in enumerate(IDS):
        real = chosen.readers["audio"][clip].values[: row + 1]
        assert np.array_equal(found["audio"][row, : row + 1], real)
        assert not found["audio"][row, row + 1 :].any()


def test_the_same_goes_out_the_same(chosen, tmp_path):
    """Two exports are the same bytes, and without times there are none."""
    for name in ("a", "b"):
        arrays.write(tmp_path / f"{name}.npz", chosen, intervals="no")
        arrays.write(tmp_path / f"{name}.h5", chosen, intervals="no")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with np.load(tmp_path / "a.npz") as file:
        assert not [name for name in file.files if "interval" in name]


def test_times_that_nobody_knows(roots, tmp_path):
    """Where the cache has no times none go out, and none come back."""
    np.savez(tmp_path / "x.npz", ids=IDS, a=shaped(3, 2, 1))
    (folder,) = store(Import("toys", "arrays", tmp_path / "x.npz"), arrays.read(tmp_path / "x.npz"))
    arrays.write(roots / "y.npz", Chosen("toys", {"a": Reader(folder)}, IDS))
    assert [piece.windows.steps for piece in arrays.read(roots / "y.npz")] == [{}, {}, {}]


def test_much_goes_out_and_in_by_blocks(roots, tmp_path):
    """Rows that make several blocks come back each in its place."""
    wide = BLOCK_BYTES // 4 // 10
    source = roots / "theirs"
    source.touch()
    pieces = (Piece("wide", f"{i}", whole(np.full((1, wide), i, np.float32))) for i in range(25))
    (folder,) = store(Import("toys", "arrays", source), pieces)
    arrays.write(tmp_path / "x.npz", Chosen("toys", {"wide": Reader(folder)}, [f"{i}" for i in range(25)]))
    found = {piece.clip: piece.windows.values for piece in arrays.read(tmp_path / "x.npz")}
    assert {clip: set(values.flat) for clip, values in found.items()} == {f"{i}": {i} for i in range(25)}


def test_vectors_and_sequences(tmp_path):
    """Two axes are a vector for each clip, three are steps; what has not a row for each clip is left aside."""
    path = tmp_path / "x.npz"
    vectors, sequences = shaped(3, 2), shaped(3, 2, 2, dtype=">f8")
    np.savez(path, ids=IDS, v=vectors, s=sequences, other=np.ones((5, 2)), words=[IDS] * 3, one=np.ones(3))
    found = read(path)
    assert found == {
        "v": {clip: [vectors[i].tolist()] for i, clip in enumerate(IDS)},
        "s": {clip: sequences[i].tolist() for i, clip in enumerate(IDS)},
    }


def test_arrays_that_are_named(tmp_path):
    """Which are features and which labels may be said; labels of several numbers are told with blanks between."""
    path = tmp_path / "x.npz"
    shares = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]], np.float32)
    np.savez(path, name=IDS, v=shaped(3, 2), pitch=shaped(3), shares=shares, y=[3, 1, 2], glad=[True, False, True])
    assert read(path, ids="name", features="pitch")["pitch"] == {"b": [[1]], "a": [[2]], "ç[3]": [[3]]}
    first, *_ = arrays.labels(path, ids="name", labels="shares,y")
    assert first == {"id": "b", "shares": "0.25 0.75", "y": "3"}
    _, second, _ = arrays.labels(path, ids="name", features="pitch")
    assert second == {"id": "a", "y": "1", "glad": "False"}
    assert "v" in read(path, ids="name")
    assert "shares" not in read(path, ids="name", labels="shares")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_archives_of_either_kind(tmp_path, compressed, order):
    """Packed or not, row by row or column by column, values are the same."""
    path = tmp_path / "x.npz"
    values = np.asarray(np.random.default_rng(0).standard_normal((3, 4, 5)), order=order)
    (np.savez_compressed if compressed else np.savez)(path, ids=IDS, a=values)
    assert read(path)["a"] == {clip: values[i].tolist() for i, clip in enumerate(IDS)}


@pytest.mark.parametrize(
    ("ids", "name", "content"),
    [
        ("clips.txt", "clips.txt", "b\r\na\r\nç[3]"),
        ("clips.csv", "clips.csv", "split,id\ntrain,b\n,a\ndev,ç[3]\n"),
        ("", "ids.txt", "b\na\nç[3]\n"),
        ("", "ids.csv", "\ufeffid\nb\na\nç[3]\n"),
    ],
)
def test_ids_in_a_file(tmp_path, ids, name, content):
    """A list or a table beside the arrays names the clips."""
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    np.save(tmp_path / "a.npy", shaped(3, 2))
    assert list(read(tmp_path, ids=ids)["a"]) == IDS
    assert list(read(tmp_path / "a.npy", ids=str(tmp_path / name))["a"]) == IDS


def test_ids_in_hdf5(tmp_path):
    """Texts of any length and numbers name clips, too; groups are part of a name."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["text"], file["fixed"], file["number"] = IDS, [clip.encode() for clip in IDS], [7, 8, 9]
        file.create_dataset("audio/mfcc", data=shaped(3, 2), compression="gzip")
    assert [list(read(tmp_path / "x.h5", ids=ids)["audio/mfcc"]) for ids in ("text", "fixed", "number")] == [
        IDS,
        IDS,
        ["7", "8", "9"],
    ]


def test_lengths_tell_what_is_real(tmp_path):
    """Steps beyond a clip's length are padding, and of length 0 it lacks the feature, whoever the array is called."""
    steps = shaped(3, 2, 1)
    np.savez(tmp_path / "x.npz", ids=IDS, a=steps, b=steps, a_lengths=[1, 2, 0], n=np.array([[2], [1], [1]]))
    assert read(tmp_path / "x.npz")["a"] == {"b": [[1]], "a": [[3], [4]]}
    assert read(tmp_path / "x.npz", lengths="n")["b"] == {"b": [[1], [2]], "a": [[3]], "ç[3]": [[5]]}


def test_times_tell_when_steps_last(tmp_path):
    """Times beside an array are those of its real steps."""
    times = np.array([[[0, 1], [1, 3]], [[0, 0.5], [9, 9]], [[2, 3], [3, 4]]])
    np.savez(tmp_path / "x.npz", ids=IDS, a=shaped(3, 2, 1), a_lengths=[2, 1, 2], when=times)
    read_back = {piece.clip: piece.windows for piece in arrays.read(tmp_path / "x.npz", times="when", features="a")}
    assert read_back["a"].steps[INTERVALS].tolist() == [[0, 0.5]]
    assert [windows.spans_s.tolist() for windows in read_back.values()] == [[[0, 3]], [[0, 0.5]], [[2, 4]]]


def test_zeros_are_padding(tmp_path):
    """Steps of zeros go at either end and stay within; NaN is no zero; a clip of zeros lacks the feature."""
    a = np.zeros((3, 5, 2))
    a[0, 1:4:2] = 1
    a[1, 2, 1] = np.nan
    vectors = np.array([[0, 1], [0, 0], [2, 0]])
    np.savez(tmp_path / "x.npz", ids=IDS, a=a, v=vectors)
    found = read(tmp_path / "x.npz", padding="zeros")
    assert found["a"].keys() == {"b", "a"}
    assert found["a"]["b"] == [[1, 1], [0, 0], [1, 1]]
    assert found["v"] == {"b": [[0, 1]], "ç[3]": [[2, 0]]}
    assert len(read(tmp_path / "x.npz")["a"]["b"]) == 5


def test_features_that_are_aligned(tmp_path):
    """Steps are those that are real in one feature, vectors stay; without a real step there each keeps its own."""
    sound, picture = np.zeros((3, 4, 1)), shaped(3, 4, 2)
    sound[0, 1:3], sound[1, 3] = 1, 1
    picture[0, 1] = 0
    np.savez(tmp_path / "x.npz", ids=IDS, sound=sound, picture=picture, v=shaped(3, 2))
    found = read(tmp_path / "x.npz", align="sound")
    assert found["picture"]["b"] == picture[0, 1:3].tolist()
    assert found["picture"]["a"] == picture[1, 3:].tolist()
    assert found["picture"]["ç[3]"] == picture[2].tolist()
    assert "ç[3]" not in found["sound"]
    assert len(found["v"]) == 3


def test_splits_are_in_the_names_of_files(tmp_path):
    """Files of one split belong together, whose rows have numbers of their own; our words for splits are used."""
    for split, rows in {"train": 3, "val": 1, "Testing": 2}.items():
        np.savez(tmp_path / f"{split}.npz", a=shaped(rows, 2), y=np.arange(rows))
    options = {"files": "{split}.npz", "ids": "clip{row:02}_of_{split}"}
    found = read(tmp_path, **options)["a"]
    assert list(found) == ["clip00_of_train", "clip01_of_train", "clip02_of_train", "clip00_of_dev"]
    rows = list(arrays.labels(tmp_path, **options))
    assert rows[-1] == {"id": "clip00_of_dev", "split": "dev", "y": "0"}
    assert list(arrays.said(tmp_path, **options)) == ["arrays train", "arrays dev"]


def test_a_split_may_be_a_column(tmp_path):
    """A column split has our words, as a table of labels must."""
    np.savez(tmp_path / "x.npz", ids=IDS, a=shaped(3, 2), split=["train", "valid", "test"])
    assert [row["split"] for row in arrays.labels(tmp_path / "x.npz")] == ["train", "dev", "test"]


def header(text, version=(1, 0)):
    """Return the head of an array as somebody wrote it."""
    text = text.encode()
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(text)) + text


def raw(path, text, data=b"", version=(1, 0)):
    """Write an array with such a head."""
    path.write_bytes(header(text, version) + data)


def npz(path, how=zipfile.ZIP_DEFLATED, **members):
    """Write an archive of such files."""
    with zipfile.ZipFile(path, "w", how) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def saved(array):
    """Return the bytes of an array's file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


class Evil:
    """What would run when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("pwned",)


FINE = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }"
HOSTILE = {
    "objects": lambda path: np.save(path, np.array([Evil()] * 3, object), allow_pickle=True),
    "a pickle": lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n."),
    "a call": lambda path: raw(
        path, "{'descr': __import__('os').mkdir('pwned'), 'fortran_order': False, 'shape': (3,)}"
    ),
    "deep": lambda path: raw(path, "(" * 5000),
    "endless": lambda path: raw(path, "{" + "'x':1," * 100_000, version=(2, 0)),
    "records": lambda path: np.save(path, np.zeros(3, [("a", "f4")])),
    "dates": lambda path: np.save(path, np.zeros((3, 2), "M8[s]")),
    "complex": lambda path: np.save(path, np.zeros((3, 2), complex)),
    "alone": lambda path: np.save(path, np.float32(3)),
    "a petabyte": lambda path: raw(path, FINE.replace("3, 2", "3, 1000000000000000"), bytes(48)),
    "nothing in a row": lambda path: raw(path, FINE.replace("3, 2", "1000000000000000, 0")),
    "below nothing": lambda path: raw(path, FINE.replace("3, 2", "-3, -2"), bytes(48)),
    "no axes": lambda path: raw(path, FINE.replace("(3, 2)", "True"), bytes(48)),
    "cut short": lambda path: raw(path, FINE, bytes(47)),
    "grown": lambda path: raw(path, FINE, bytes(49)),
    "a later version": lambda path: raw(path, FINE, bytes(48), version=(3, 0)),
    "empty": lambda path: path.touch(),
}
ARCHIVES = {
    "objects": lambda path: np.savez(path, ids=IDS, a=np.array([Evil()] * 3, object)),
    "a bomb": lambda path: npz(path, ids=saved(np.array(IDS)), a=saved(np.zeros((3, 2**22)))),
    "a lie": lambda path: npz(path, ids=saved(np.array(IDS)), a=header(FINE.replace("3, 2", "3, 99999999999"))),
    "bzip2": lambda path: npz(path, zipfile.ZIP_BZIP2, ids=saved(np.array(IDS)), a=saved(shaped(3, 2))),
    "lzma": lambda path: npz(path, zipfile.ZIP_LZMA, ids=saved(np.array(IDS)), a=saved(shaped(3, 2))),
    "no archive": lambda path: path.write_bytes(b"PK\x03\x04"),
    "a pickle": lambda path: npz(path, ids=b"\x80\x04cos\nsystem\n."),
    "ids of nobody": lambda path: np.savez(path, ids=["a", "", "b"], a=shaped(3, 2)),
    "ids with an end": lambda path: np.savez(path, ids=["a", "b\0c", "b"], a=shaped(3, 2)),
    "endless ids": lambda path: np.savez(path, ids=["a", "b" * 5000, "c"], a=shaped(3, 2)),
    "halves of letters": lambda path: np.savez(path, ids=["a", "\ud800", "c"], a=shaped(3, 2)),
    "too long": lambda path: np.savez(path, ids=IDS, a=shaped(3, 2, 1), a_lengths=[1, 3, 1]),
    "below nothing": lambda path: np.savez(path, ids=IDS, a=shaped(3, 2, 1), a_lengths=[1, -1, 1]),
    "lengths of some": lambda path: np.savez(path, ids=IDS, a=shaped(3, 2, 1), a_lengths=[1, 1]),
    "times that are none": lambda path: np.savez(path, ids=IDS, a=shaped(3, 2), a_interval_s=np.full((3, 2), np.nan)),
    "times of some": lambda path: np.savez(path, ids=IDS, a=shaped(3, 2, 1), a_interval_s=np.ones((3, 1, 2))),
    "nothing": lambda path: np.savez(path, ids=IDS, y=np.ones(3)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arrays_are_refused(tmp_path, monkeypatch, name):
    """Nothing is unpickled, run or believed: each is refused with a word that names the file."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.npy"
    HOSTILE[name](path)
    (tmp_path / "ids.txt").write_text("\n".join(IDS), encoding="utf-8")
    for source in (path, tmp_path):
        with pytest.raises(CacheError) as told:
            list(arrays.read(source, ids="ids.txt"))
        assert "a.npy" in str(told.value)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", ARCHIVES)
def test_hostile_archives_are_refused(tmp_path, monkeypatch, name):
    """No member is unpacked beyond what is allowed, and none is believed before it fits the others."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.npz"
    ARCHIVES[name](path)
    with pytest.raises(CacheError) as told:
        list(arrays.read(path))
    assert "x.npz" in str(told.value)
    assert not (tmp_path / "pwned").exists()


def test_a_wrong_byte_in_an_archive(tmp_path):
    """The archive's checksum is compared, whichever of its bytes is wrong."""
    path = tmp_path / "x.npz"
    np.savez(path, ids=IDS, a=shaped(3, 20))
    data = bytearray(path.read_bytes())
    data[data.index(shaped(3, 20).tobytes()) + 7] ^= 1
    path.write_bytes(data)
    with pytest.raises(CacheError, match="CRC"):
        read(path)


def test_two_members_of_one_name(tmp_path):
    """Of two arrays that are called the same none is taken."""
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("a.npy", saved(shaped(3, 2)))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.npy", saved(shaped(3, 2) + 1))
    with pytest.raises(CacheError, match="stands there twice"):
        read(tmp_path / "x.npz")


ODD = {
    "no such option": ({"padding": "ones"}, "expected padding=zeros"),
    "no such feature": ({"features": "a,nobody"}, r"expected nobody, got .*a \(3, 2, 2\) float32"),
    "no such ids": ({"ids": "nobody"}, "expected 'nobody' as the name of each clip"),
    "no such lengths": ({"lengths": "nobody"}, "expected nobody, the lengths of a"),
    "no such times": ({"times": "nobody_{feature}"}, "expected nobody_a, the times of a"),
    "nobody to align with": ({"align": "nobody"}, "expected nobody"),
    "other steps": ({"align": "b"}, "expected 5 steps, as b has, in a"),
    "words": ({"features": "ids"}, "expected numbers in ids"),
    "of other clips": ({"features": "c"}, "expected 3 rows, one for each clip"),
    "labels of others": ({"labels": "c"}, "expected 3 rows, one for each clip"),
    "rows that differ": ({"ids": "{row}"}, "as many rows as there are clips"),
}


@pytest.mark.parametrize("name", ODD)
def test_options_that_do_not_fit(tmp_path, name):
    """Whoever names an array that is not there, or not of the clips, is told what there is."""
    options, message = ODD[name]
    np.savez(tmp_path / "x.npz", ids=IDS, a=shaped(3, 2, 2), b=shaped(3, 5, 2), c=shaped(4, 2))
    with pytest.raises(CacheError, match=message):
        list(arrays.read(tmp_path / "x.npz", **options))


def test_folders_that_do_not_fit(tmp_path):
    """Patterns that nothing or too much fits, and links out of a folder, are refused."""
    np.savez(tmp_path / "a_train.npz", x=shaped(3, 2), y=shaped(3, 2))
    np.save(tmp_path / "a_test.npy", shaped(3, 2))
    with pytest.raises(CacheError, match=r"some called \{feature\}_of_\{split\}.npz, got 2: a_test.npy, a_train.npz"):
        read(tmp_path, files="{feature}_of_{split}.npz", ids="{row}")
    with pytest.raises(CacheError, match="expected one array, the a, got x, y"):
        read(tmp_path, files="{feature}_{split}.npz", ids="{row}")
    np.save(tmp_path / "b_train.npy", shaped(3, 2, 2))
    with pytest.raises(CacheError, match="test has no b to align"):
        read(tmp_path, files="{feature}_{split}.npy", ids="{row}{split}", align="b")
    (tmp_path / "a_dev.bin").touch()
    with pytest.raises(CacheError, match=r"a_dev\.bin: expected a file \.npz"):
        read(tmp_path, files="{feature}_{split}.bin", ids="{row}")
    (tmp_path / "c_train.npy").symlink_to("/etc/hostname")
    with pytest.raises(CacheError, match="a link that leads out"):
        read(tmp_path, files="{feature}_{split}.npy", ids="{row}")
    with pytest.raises(CacheError, match="is not there"):
        read(tmp_path / "nothing")


@pytest.mark.usefixtures("roots")
def test_a_clip_that_stands_twice(tmp_path):
    """Two rows of one clip are refused when they are stored."""
    np.savez(tmp_path / "x.npz", ids=["a", "b", "a"], a=shaped(3, 2))
    with pytest.raises(CacheError, match="has a of 'a' twice"):
        store(Import("toys", "arrays", tmp_path / "x.npz"), arrays.read(tmp_path / "x.npz"))


@pytest.mark.parametrize(
    ("target", "change", "message"),
    [
        ("x.npy", {}, "expected NAME.npz, NAME.h5"),
        ("there.npz", {}, "there.npz is there already"),
        ("there", {}, "there is there already"),
        ("x.npz", {"clips": ["a", "b\0"]}, "names that arrays can hold"),
        ("x", {"clips": ["a", " b"]}, "lines of ids.txt"),
        ("x", {"clips": ["a", "b\nc"]}, "lines of ids.txt"),
        ("x.h5", {"clips": ["nobody"]}, "no step of any clip"),
        ("x.h5", {"rows": {"a": {"id": "a", "audio": "3"}}}, "two arrays would be called audio"),
        ("x.h5", {"rows": {"a": {"id": "a", "a/b": "3"}}}, "can be that of a file"),
    ],
)
def test_what_cannot_go_out(chosen, tmp_path, target, change, message):
    """What would not come back, or would replace something, is refused, and nothing is left behind."""
    (tmp_path / "there").mkdir()
    for path in (tmp_path / "there.npz", tmp_path / "there" / "file"):
        path.touch()
    before = sorted(path.name for path in tmp_path.iterdir())
    said = {"readers": chosen.readers, "clips": IDS, "rows": {}, **change}
    with pytest.raises(CacheError, match=message):
        arrays.write(tmp_path / target, Chosen("toys", **said))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_docstring_names_every_option():
    """Whoever asks what can be set is told, and of nothing that cannot."""
    code = ast.parse(Path(arrays.__file__).read_text(encoding="utf-8"))
    (function,) = (node for node in code.body if isinstance(node, ast.FunctionDef) and node.name == "read")
    assert [each.arg for each in function.args.kwonlyargs if f"{each.arg}=" not in ast.get_docstring(code)] == []
