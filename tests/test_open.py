"""`features.open`: entries by name, clips in numpy, batches with masks for torch, labels, and the notebook."""

import csv
import json
import os
import pickle
import re
import runpy
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import features
from features import CacheError, Key, Windows, Writer, folder_of
from features.batches import padded

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "read_a_cache.ipynb"
TOY, MFCC = Key("toy", 1, "clip"), Key("mfcc", 1, "windows(3,2,2)")
CLIP_MFCC = Key("mfcc", 1, "clip", settings={"coefficients": 20})


def ragged(seed, lengths, shape=(3,)):
    """Windows of these lengths, of which the last steps of every other one are padding."""
    made = np.random.default_rng(seed)
    values = [made.normal(size=(length, *shape)).astype(np.float32) for length in lengths]
    valid = [max(0, length - i % 2) for i, length in enumerate(lengths)]
    return Windows.join(values, [(2.0 * i, 2.0 * i + 3) for i in range(len(lengths))], valid)


def put(key, corpus="toys", /, **clips):
    """Write one part of an entry."""
    with Writer(folder_of(corpus, key), key, {"numpy": "2"}, "MIT") as writer:
        for clip, windows in clips.items():
            writer.add(clip, f"source of {clip}", windows)
    return writer.path


@pytest.fixture
def toys(roots):  # noqa: ARG001 - it says where the cache lies
    """A corpus of sound in windows and of words of any number; one clip lacks words, one has nothing but words."""
    audio = {"a": [4, 4], "b": [4], "c": [4, 4, 4]}
    text = {"a": [5], "b": [2], "d": [3]}
    put(MFCC, **{clip: ragged(i, lengths, (2,)) for i, (clip, lengths) in enumerate(audio.items())})
    put(TOY, **{clip: ragged(9 + i, lengths) for i, (clip, lengths) in enumerate(text.items())})
    with features.open("toys") as cache:
        yield cache


BOTH = {"audio": "mfcc", "text": "toy"}


def test_an_entry_is_asked_for_by_its_encoder(toys):
    """Encoder and clip lead to the windows that were written, in numpy."""
    windows = toys["mfcc"]["c"]
    assert windows.stack().shape == (3, 4, 2)
    assert np.array_equal(windows.window(1), ragged(2, [4, 4, 4], (2,)).window(1).astype(np.float16))


def test_it_is_a_mapping(toys):
    """Every name that is listed leads to its entry, absent ones are absent, and each entry is opened once."""
    assert list(toys) == ["mfcc", "toy"]
    assert len(toys) == 2
    assert {name: reader.key.encoder for name, reader in toys.items()} == {"mfcc": "mfcc", "toy": "toy"}
    assert "toy" in toys
    assert MFCC.name in toys
    assert "minilm" not in toys
    assert toys.get("minilm") is None
    assert toys["mfcc"] is toys[MFCC.name] is toys.entry("mfcc")


def test_an_absent_entry_says_what_is_there(toys):
    """The message of a name that is not there stands in lines, names the others and the command that makes it."""
    with pytest.raises(KeyError, match=re.escape("it has: mfcc, toy). Make it: make features CORPUS=toys")) as raised:
        toys["minilm"]
    assert isinstance(raised.value, CacheError)
    assert not str(raised.value).startswith(("'", '"'))


def test_several_entries_of_an_encoder_are_never_guessed(toys):
    """They go by the names of their folders; a field tells which, and the encoder alone is refused with both ways."""
    put(CLIP_MFCC, a=ragged(0, [7]))
    cache = features.open(toys.name)
    assert sorted(cache) == sorted([MFCC.name, CLIP_MFCC.name, "toy"])
    assert {name: reader.folder.name for name, reader in cache.items()} == {n: n for n in cache if n != "toy"} | {
        "toy": TOY.name
    }
    assert cache.entry("mfcc", grid="clip") is cache[CLIP_MFCC.name]
    assert cache.entry("mfcc", **{"settings.coefficients": 20}) is cache[CLIP_MFCC.name]
    assert "mfcc" in cache
    with pytest.raises(
        CacheError, match=r"(?s)several entries of 'mfcc'.*grid=clip.*In Python: open\('toys'\)\['mfcc-"
    ):
        cache["mfcc"]
    with pytest.raises(CacheError, match="no entry of 'mfcc' with grid=frames"):
        cache.entry("mfcc", grid="frames")


def test_it_says_what_it_holds(toys):
    """A line per entry: the name to ask by, clips, grid, type, and what the first clip looks like."""
    assert repr(toys).splitlines() == [
        "toys: 2 entries",
        "  mfcc  3 clips  windows(3,2,2)  float16  'a': (2, 4, 2)",
        "  toy   3 clips  clip  float16  'a': (1, 5, 3)",
    ]
    put(Key("words", 1, "clip"), "other", x=ragged(0, [2, 5, 3]))
    assert repr(features.open("other")) == "other: 1 entry\n  words  1 clips  clip  float16  'x': (3, 2..5, 3)"


def test_one_broken_entry_hides_no_other(toys):
    """What cannot be read is told in its line, and whoever asks for another entry never meets it."""
    (folder_of("toys", TOY) / "spec.json").write_text("[]")
    cache = features.open(toys.name)
    assert len(cache["mfcc"]) == 3
    assert "toy   cannot be read: " in repr(cache)
    with pytest.raises(CacheError, match=r"spec\.json: expected the key of an entry"):
        cache["toy"]


@pytest.mark.parametrize("name", ["meld", "../toys", "", ".", "_x", "/", "toys/mfcc"])
def test_a_corpus_that_is_not_there(toys, name):
    """An unknown corpus is refused with those that are known, and a path is no corpus."""
    with pytest.raises(CacheError, match=r"it has: toys\. FEATURES_ROOT|expected the name of a corpus"):
        features.open(name)
    assert len(toys["mfcc"]) == 3


def test_closing_lets_go_of_every_file(toys):
    """After the `with` block no file is open, and whoever reads on opens it again."""
    with toys:
        toys["mfcc"]["a"]
        part = toys["mfcc"].part(toys["mfcc"].parts[0])
        assert part.is_open
    assert not part.is_open
    assert len(toys["mfcc"]["a"]) == 2


def test_a_shared_cache_behind_ones_own(toys, roots, monkeypatch):
    """What lies in another cache of the search path is opened like one's own, and copies of an entry are one."""
    own = roots / "own"
    monkeypatch.setenv("FEATURES_ROOT", str(own))
    put(MFCC, z=ragged(5, [4], (2,)))
    monkeypatch.setenv("FEATURES_ROOT", os.pathsep.join([str(own), str(roots / "features")]))
    cache = features.open(toys.name)
    assert list(cache) == ["mfcc", "toy"]
    assert set(cache["mfcc"]) == {"a", "b", "c", "z"}
    assert cache.entry("mfcc") is cache["mfcc"]
    assert len(cache["toy"]["a"]) == 1


@pytest.mark.parametrize("lengths", [[], [0], [3], [3, 3], [1, 0, 4], [0, 2]])
def test_padding_is_zero_and_masked(lengths):
    """Every real step is where its window has it, and whatever is not real is zero and said to be."""
    windows = ragged(1, lengths or [1], (2, 3))
    windows = windows if lengths else windows.split([0, 0])[0]
    values, real = padded(windows, "float32")
    assert values.shape == (len(lengths), max(lengths, default=0), 2, 3)
    for i, valid in enumerate(windows.valid):
        assert np.array_equal(values[i, :valid], windows.window(i)[:valid])
        assert real[i].tolist() == [step < valid for step in range(real.shape[1])]
    assert not values[~real].any()


def test_padding_is_bounded():
    """Very many windows beside a very long one are few bytes on the disk, and would fill any memory when padded."""
    start = np.append(np.arange(100_001), 200_000)
    windows = Windows(np.zeros((200_000, 1), np.float16), start, np.zeros((100_001, 2)), np.zeros(100_001, np.int32))
    with pytest.raises(CacheError, match=r"got \(100001, 100000, 1\); read them one by one"):
        padded(windows, "float32")


def test_an_item_has_masks(toys):
    """A clip is its id, its values by modality, and which windows and steps are real; what it lacks has no windows."""
    data = toys.dataset(BOTH)
    assert isinstance(data, Dataset)
    assert [item["id"] for item in data] == ["a", "b", "c", "d"]
    a, d = data[0], data[-1]
    assert a["values"]["audio"].shape == (2, 4, 2)
    assert a["values"]["audio"].dtype == torch.float32
    assert a["windows"]["audio"].tolist() == [True, True]
    assert a["steps"]["audio"].tolist() == [[True] * 4, [True] * 3 + [False]]
    assert torch.equal(a["values"]["audio"][0], torch.from_numpy(toys["mfcc"]["a"].window(0)).float())
    assert not a["values"]["audio"][1, 3].any()
    assert toys["mfcc"]["a"].window(1)[3].any()
    assert d["values"]["audio"].shape == (0, 0, 2)
    assert "label" not in a


def test_a_batch_is_padded_to_its_longest(toys):
    """Each modality is as long as its longest clip; the masks say where each clip ends, and the rest is zero."""
    data = toys.dataset(BOTH, labels={"a": 1, "b": 0, "c": 2, "d": 1})
    batch = data.collate([data[i] for i in range(4)])
    assert batch["id"] == ["a", "b", "c", "d"]
    assert batch["label"].tolist() == [1, 0, 2, 1]
    assert batch["values"]["audio"].shape == (4, 3, 4, 2)
    assert batch["values"]["text"].shape == (4, 1, 5, 3)
    assert batch["windows"]["audio"].sum(dim=1).tolist() == [2, 1, 3, 0]
    assert batch["windows"]["text"].sum(dim=1).tolist() == [1, 1, 0, 1]
    assert batch["steps"]["text"].sum(dim=(1, 2)).tolist() == [5, 2, 0, 3]
    for modality, name in BOTH.items():
        values, steps = batch["values"][modality], batch["steps"][modality]
        assert not values[~steps].any()
        for row, clip in enumerate(batch["id"]):
            if clip in toys[name]:
                real, mask = padded(toys[name][clip], "float32")
                assert torch.equal(values[row][steps[row]], torch.from_numpy(real[mask]))


def test_a_batch_in_which_nobody_has_a_modality(toys):
    """It has one window of one step that are not there, for a model cannot take the largest of nothing."""
    data = toys.dataset(BOTH, clips=["d"])
    batch = data.collate([data[0]])
    assert batch["values"]["audio"].shape == (1, 1, 1, 2)
    assert not batch["windows"]["audio"].any()
    assert not batch["steps"]["audio"].any()


def test_clips_are_chosen_in_their_order(toys):
    """Clips are those that were asked for, or those of which a label is known; one that has nothing is masked."""
    assert toys.dataset(BOTH, clips=["c", "a", "nobody", "a"]).clips == ["c", "a", "nobody", "a"]
    assert toys.dataset(BOTH, labels={"d": 0, "b": 1, "elsewhere": 2}).clips == ["b", "d"]
    data = toys.dataset({"audio": toys.entry("mfcc", grid="windows(3,2,2)")}, clips=["nobody", "a"])
    assert not data.collate([data[0]])["windows"]["audio"].any()
    assert repr(data) == f"2 clips without labels\n  audio: 1 of them in {MFCC.name}, steps of (2,)"


@pytest.mark.parametrize(
    ("label", "dtype"),
    [(3, torch.int64), (True, torch.bool), (0.5, torch.float32), ([0.1, 0.9], torch.float32), (np.int8(1), torch.int8)],
)
def test_labels_are_numbers(toys, label, dtype):
    """Classes stay whole numbers, and what is trained towards is of the type of the values."""
    data = toys.dataset(BOTH, labels={"a": label, "b": label})
    batch = next(iter(DataLoader(data, batch_size=2, collate_fn=data.collate)))
    assert batch["label"].dtype == dtype
    assert torch.equal(batch["label"][1], torch.tensor(label, dtype=dtype))


def test_half_the_memory(toys):
    """Values come in the type that is asked for; one that cannot hold them is refused, not given as infinity."""
    assert toys.dataset(BOTH, dtype="float16")[0]["values"]["text"].dtype == torch.float16
    put(Key("loud", 1, "clip", "float32"), a=Windows.join([np.full((1, 2), 1e6, np.float32)], [(0, 1)], [1]))
    data = features.open(toys.name).dataset({"audio": "loud"}, dtype="float16")
    with pytest.raises(CacheError, match=r"'a' has values that are no finite numbers as float16"):
        data[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"entries": {}}, "expected an entry for at least one modality"),
        ({"entries": {"audio": "minilm"}}, "no entry of 'minilm'"),
        ({"clips": []}, "such as 'a', got none"),
        ({"clips": ["x", "y"]}, "such as 'a', got 2 others, such as 'x'"),
        ({"labels": {"x": 1}}, "expected labelled clips of"),
        ({"clips": ["a", "x", "y"], "labels": {"a": 1}}, "a label of every clip, got none of 2, such as 'x'"),
        ({"labels": {"a": "happy"}}, "a number as the label of 'a', got 'happy'; number the classes"),
        ({"labels": {"a": {"emotion": "happy"}}}, "a number as the label of 'a', got {'emotion': 'happy'}"),
        ({"labels": {"a": None}}, "a number as the label of 'a', got None"),
    ],
)
def test_a_dataset_that_cannot_be(toys, arguments, message):
    """Each is refused when it is asked for, not in the middle of training."""
    with pytest.raises(ValueError, match=re.escape(message)):
        toys.dataset(arguments.pop("entries", BOTH), **arguments)


def test_damaged_numbers_are_not_trained_on(toys):
    """A value that became no number behind the digest's back is refused by name, and its neighbours are not."""
    with h5py.File(put(TOY, n=ragged(0, [2])), "r+") as file:
        file["frames"][0, 0] = np.nan
    data = features.open(toys.name).dataset({"text": "toy"}, clips=["a", "n"])
    assert data[0]["values"]["text"].isfinite().all()
    with pytest.raises(CacheError, match=rf"{TOY.name}: 'n' has values that are no finite numbers"):
        data[1]


def test_steps_of_two_widths_are_no_batch(toys):
    """Of parts that do not fit each other, the clips of one are refused."""
    put(TOY, w=ragged(0, [2], (5,)))
    data = features.open(toys.name).dataset({"text": "toy"}, clips=["a", "w"])
    fits = data.axes["text"] == (3,)
    assert data[1 - fits]["values"]["text"].shape[2:] == data.axes["text"]
    with pytest.raises(CacheError, match=r"expected steps of \([35],\), got \([35],\) of '[aw]'"):
        data[int(fits)]


def test_an_entry_without_clips(toys):
    """One whose parts are gone is still listed, and refused by a dataset with what to do."""
    for path in folder_of("toys", TOY).glob("part-*.h5"):
        path.unlink()
    cache = features.open(toys.name)
    assert "  toy   0 clips  clip  float16" in repr(cache)
    with pytest.raises(CacheError, match="holds no clips yet; make features fills it"):
        cache.dataset({"text": "toy"})


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_workers_read_what_this_process_reads(toys):
    """Two forked workers, begun while files are open here, give the same batches as none."""
    data = toys.dataset(BOTH, labels=dict.fromkeys("abcd", 0))
    alone, forked = ([*DataLoader(data, 2, collate_fn=data.collate, num_workers=n)] for n in (0, 2))
    assert [batch["id"] for batch in alone] == [["a", "b"], ["c", "d"]]
    assert_same(alone, forked)
    assert len(toys["mfcc"]["a"]) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_workers_that_begin_anew(toys):
    """Workers that inherit nothing, as on other systems, open the entries again."""
    data = toys.dataset(BOTH)
    loader = DataLoader(data, 2, collate_fn=data.collate, num_workers=2, multiprocessing_context="spawn")
    assert_same([*DataLoader(data, 2, collate_fn=data.collate)], [*loader])


def test_a_dataset_travels(toys):
    """A copy in another process is the same dataset with files of its own."""
    data = toys.dataset(BOTH, clips=["c", "a"], labels={"a": 1, "c": 2}, dtype="float16")
    data[0]
    copy = pickle.loads(pickle.dumps(data))  # noqa: S301 - how torch sends it to its workers
    assert copy.readers["audio"] is not data.readers["audio"]
    assert_same([data.collate([*data])], [copy.collate([*copy])])


def assert_same(some, others):
    """Compare batches to the bit."""
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.keys() == other.keys()
        assert one["id"] == other["id"]
        for kind in ("values", "windows", "steps"):
            assert all(torch.equal(one[kind][m], other[kind][m]) for m in one[kind])
        assert "label" not in one or torch.equal(one["label"], other["label"])


def test_a_table_of_labels(tmp_path):
    """Cells stand as they are written, by clip, in the order of the file; the mark of UTF-8 is no part of the head."""
    path = tmp_path / "labels.csv"
    path.write_text('\ufeffsplit,id,text\ntrain,"a,1","said ""no""\nand left"\n\ndev,é,\n', encoding="utf-8")
    assert features.table(path) == {
        "a,1": {"split": "train", "id": "a,1", "text": 'said "no"\nand left'},
        "é": {"split": "dev", "id": "é", "text": ""},
    }
    assert list(features.table(str(path))) == ["a,1", "é"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "expected a head with a column 'id'"),
        (b"\n", "expected a head with a column 'id'"),
        (b"clip,split\na,train\n", "got 'clip,split'"),
        (b"id;split\na;train\n", "with commas between; got 'id;split'"),
        (b"id,split,split\na,train,dev\n", "no name twice"),
        (b"id,split\na\n", "line 2: expected 2 cells, as in the head, got 1"),
        (b"id,split\na,train,x\n", "line 2: expected 2 cells, as in the head, got 3"),
        (b"id,split\na,train\na,dev\n", "line 3: expected a clip that no other row has, got 'a'"),
        (b"id,split\n,train\n", "line 2: expected a clip that no other row has, got ''"),
        (b'id,split\na,"train\nb,dev\n', "is the file complete?"),
        (b'id,split\na,"tra"in\n', "is the file complete?"),
        (b"id,split\n\xff,train\n", "expected UTF-8, got byte 0xff at 9"),
        ("id,split\na,train\n".encode("utf-16"), "expected UTF-8, got byte 0xff at 0"),
        (b"id,text\na," + b"x" * 200_000, "field larger than field limit"),
        (b"id" + b",x" * 1000 + b"\n" + b"a\n" * 9, "no name twice"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "expected UTF-8, got byte 0x89"),
    ],
)
def test_a_table_that_is_none(tmp_path, raw, message):
    """What is not a whole table of clips is refused, with file, place and reason."""
    path = tmp_path / "labels.csv"
    path.write_bytes(raw)
    with pytest.raises(CacheError, match=re.escape(message)) as raised:
        features.table(path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 500 + len(str(path))


def test_a_table_is_bounded():
    """A file without an end, or one that is larger than any table, is not read on and on."""
    with pytest.raises(CacheError, match="expected a table of at most 64 MiB"):
        features.table("/dev/zero")


def cells(kind):
    """List the cells of the notebook."""
    return [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def test_the_notebook_is_one():
    """Format 4 as its owners describe it, a sentence before every cell of code, and small outputs of a real run."""
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"], book["metadata"]["kernelspec"]["name"]) == (4, 5, "python3")
    kinds = [cell["cell_type"] for cell in book["cells"]]
    assert all(before == "markdown" for before, kind in pairwise(kinds) if kind == "code")
    assert len({cell["id"] for cell in book["cells"]}) == len(kinds)
    assert [cell["execution_count"] for cell in cells("code")] == list(range(1, 1 + kinds.count("code")))
    assert all({"metadata", "source"} <= cell.keys() for cell in book["cells"])
    assert all("outputs" in cell and "error" not in json.dumps(cell["outputs"]) for cell in cells("code"))
    assert NOTEBOOK.stat().st_size < 20_000


LIKE_DEMO = {"mfcc": ([9] * 3, 40), "egemaps": ([1] * 3, 88), "face_hog": ([5] * 3, 12), "minilm": ([8], 16)}
"""Entry to the lengths of a clip's windows, and the width of a step."""


def demo_like():
    """A small cache and table as the demo corpus has them: words, voice and face of each clip carry its emotion."""
    made, emotions = np.random.default_rng(0), ["anger", "happy", "neutral"]
    rows = [
        {"id": f"demo_d{i:02}_u00", "split": "train" if i < 24 else "test", "emotion": emotions[i % 3]}
        for i in range(32)
    ]
    for encoder, (lengths, width) in LIKE_DEMO.items():
        shape = made.normal(size=(3, width))
        clips = {}
        for i, row in enumerate(rows):
            steps = [shape[i % 3] + made.normal(size=(length, width)) / 4 for length in lengths]
            clips[row["id"]] = Windows.join(steps, [(0, 3)] * len(lengths), [max(1, n - 2) for n in lengths])
        put(Key(encoder, 1, "clip"), "demo", **clips)
    with Path("labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


@pytest.mark.usefixtures("roots", "one_thread")
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_the_notebook_runs(tmp_path, monkeypatch):
    """Its cells, one after another, read a cache like the demo's, train on it, and are right about unseen clips."""
    monkeypatch.chdir(tmp_path)
    demo_like()
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join("".join(cell["source"]) for cell in cells("code")), encoding="utf-8")
    space = runpy.run_path(str(script))
    assert space["right"].all()
    assert space["shapes"]["text"] == [(16, 1, 8, 16), (16, 1), (16, 1, 8)]
    assert space["text"].valid.tolist() == [6]
