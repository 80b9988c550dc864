"""Hugging Face datasets: ours are theirs and theirs are ours, and a folder that leads elsewhere is not followed."""

import json

import arrow_kit as kit
import numpy as np
import pytest

from features import CacheError, Reader, huggingface
from features.exchange import HOWS
from features.imported import Import, store

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install '.[exchange]'")

PLAIN = {clip: {"id": clip, "emotion": row["emotion"]} for clip, row in kit.ROWS.items()}
DATA = "data-00000-of-00001.arrow"
STEPS = pa.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]], pa.list_(pa.list_(pa.float32())))
TABLE = pa.table({"id": ["a", "b"], "x": STEPS})


@pytest.fixture
def saved(tmp_path):
    """Return a function that lays a dataset down as `save_to_disk` does, and its folder."""

    def save(table=TABLE, files=(DATA,), options=None, **state):
        folder = tmp_path / "saved"
        folder.mkdir(exist_ok=True)
        with pa.ipc.new_stream(str(folder / DATA), table.schema, options=options) as stream:
            stream.write_table(table)
        told = {"_data_files": [{"filename": name} for name in files], "_fingerprint": "0", "_split": None, **state}
        (folder / "state.json").write_text(json.dumps(told))
        (folder / "dataset_info.json").write_text(json.dumps({"description": "by hand", "features": {}}))
        return folder

    return save


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("rows", [kit.ROWS, PLAIN], ids=["splits", "no splits"])
def test_what_goes_out_comes_back(roots, how, rows):
    """Every step, its dtype, its axes and its seconds are read back to the bit, with splits and without."""
    asked = kit.chosen(how=how, rows=rows)
    huggingface.write(roots / "toys", asked)
    kit.same(huggingface.read(roots / "toys"), asked)
    assert {row["id"]: row for row in huggingface.labels(roots / "toys")} == rows


def test_the_layout_is_the_one_that_datasets_has(roots):
    """Arrow's stream of rows, the types in JSON and in the schema, files by name, and whose work it is."""
    asked = kit.chosen("audio")
    huggingface.write(roots / "toys", asked)
    assert json.loads((roots / "toys/dataset_dict.json").read_text()) == {"splits": ["train", "validation", "test"]}
    folder = roots / "toys" / "validation"
    state, info = (json.loads((folder / name).read_text()) for name in ("state.json", "dataset_info.json"))
    assert state["_data_files"] == [{"filename": DATA}]
    assert info["citation"] == "@misc{toys}\n\n@misc{die}"
    assert info["license"] == "toys: GPL-3.0; audio: CC-BY-NC-4.0"
    assert "Numbers drawn by a die." in info["description"]
    assert "make features CORPUS=toys" in info["description"]
    with pa.ipc.open_stream(str(folder / DATA)) as stream:
        table = stream.read_all()
    assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"] == info["features"]
    assert table.column("id").to_pylist() == ["clip1", "clip4"]
    steps = kit.sequences(asked)["clip4", "audio"].values
    assert np.array(table.column("audio")[1].as_py(), "f2").tobytes() == steps.tobytes()
    assert table.schema.field("audio").type == pa.list_(pa.list_(pa.float16(), 4))
    assert not list(roots.rglob("*.tmp"))


def test_other_rows_have_another_fingerprint(roots):
    """What `datasets` keeps of one export is never taken for that of another."""
    prints = set()
    for number, rows in enumerate((PLAIN, PLAIN, {**PLAIN, "clip0": {"id": "clip0", "emotion": "fear"}})):
        huggingface.write(roots / f"toys{number}", kit.chosen("audio", rows=rows))
        prints.add(json.loads((roots / f"toys{number}" / "state.json").read_text())["_fingerprint"])
    assert len(prints) == 2


def test_rows_of_all_splits_go_out_a_few_at_a_time(roots, monkeypatch):
    """Splits that take turns are each written in order, and no more rows wait than make a batch."""
    monkeypatch.setattr("features.arrow_columns.ROWS", 2)
    asked = kit.chosen("audio")
    huggingface.write(roots / "toys", asked)
    with pa.ipc.open_stream(str(roots / "toys/train" / DATA)) as stream:
        assert [batch.num_rows for batch in stream] == [2, 1]
    kit.same(huggingface.read(roots / "toys"), asked)


def test_what_came_in_is_an_entry(roots):
    """A dataset by others is imported, with what it says of itself."""
    huggingface.write(roots / "toys", kit.chosen("vision", rows=PLAIN), intervals="no")
    job = Import("copies", "huggingface", roots / "toys", {"vision": "facet"})
    [(folder, clips)] = store(job, huggingface.read(roots / "toys")).items()
    assert clips == len(kit.CLIPS) - 1
    with Reader(folder) as reader:
        assert reader["clip0"].values.shape[1:] == (2, 3)
    assert huggingface.said(roots / "toys")["license"] == "toys: GPL-3.0; vision: CC-BY-NC-4.0"


def test_several_files_and_types_that_somebody_made_up(saved):
    """Files are read in their order, and a made-up type as what it is stored as."""
    array2d = {b"ARROW:extension:name": b"datasets.features.features.Array2DExtensionType"}
    array2d[b"ARROW:extension:metadata"] = b'[[null, 2], "float32"]'
    schema = pa.schema([pa.field("id", pa.string()), pa.field("x", STEPS.type, metadata=array2d)])
    folder = saved(TABLE.cast(schema), files=(DATA, "second.arrow"))
    with pa.ipc.new_stream(str(folder / "second.arrow"), schema) as stream:
        stream.write_table(pa.table({"id": ["c", "d"], "x": STEPS}).cast(schema))
    assert [piece.clip for piece in huggingface.read(folder)] == ["a", "b", "c", "d"]
    assert huggingface.said(folder) == {"description": "by hand"}


HOSTILE = {
    "a file by its path": ({"files": ["/etc/passwd"]}, "got '/etc/passwd'; it is not followed"),
    "a file above": ({"files": ["../other.arrow"]}, "got '../other.arrow'"),
    "a file that is a folder's name": ({"files": [".."]}, r"got '\.\.'"),
    "no file": ({"files": []}, "got None"),
    "a file that is no name": ({"_data_files": [7]}, "got None"),
    "files that are no list": ({"_data_files": {"filename": DATA}}, "expected a list of files"),
    "a file that is not there": ({"files": ["gone.arrow"]}, "No such file"),
    "an index": ({"_indices_data_files": [{"filename": DATA}]}, "no index"),
    "two columns of one name": ({"table": pa.Table.from_arrays([STEPS, STEPS], ["id", "id"])}, "have one name"),
    "no ids": ({"table": TABLE.select(["x"])}, "expected a column 'id'"),
    "an id is missing": ({"table": TABLE.set_column(0, "id", [["a", None]])}, "a clip's name"),
    "no lists": ({"table": TABLE.select(["id"])}, "no column holds lists"),
    "dictionaries": ({"table": TABLE.set_column(0, "id", TABLE["id"].dictionary_encode())}, "got dictionary"),
    "packed rows": ({"options": pa.ipc.IpcWriteOptions(compression="zstd")}, "got packed ones"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_leads_elsewhere_or_is_no_table_of_features_is_refused(saved, what):
    """No path, index, dictionary or packed row of others is followed or unfolded."""
    asked, said = HOSTILE[what]
    folder = saved(**asked)
    with pytest.raises(CacheError, match=said) as error:
        [*huggingface.read(folder)]
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("splits", ['["../saved"]', '["/elsewhere"]', '["a\\\\b"]', "[1]", "[]", "7", '["."]'])
def test_splits_that_are_no_names_are_refused(saved, splits):
    """A split is a folder beside the file that names it, and nothing else."""
    folder = saved()
    (folder / "dataset_dict.json").write_text(f'{{"splits": {splits}}}')
    with pytest.raises(CacheError, match="expected the names of what lies beside it"):
        [*huggingface.read(folder)]


@pytest.mark.parametrize("junk", ["", "[]", "{", "[" * 100_000, '"x"', '{"_data_files": "\\ud800"}'])
def test_junk_for_json_is_refused(saved, junk):
    """Whatever stands where the state should, the error names the file."""
    folder = saved()
    (folder / "state.json").write_text(junk)
    with pytest.raises(CacheError, match=r"state\.json"):
        [*huggingface.read(folder)]


def test_links_out_of_the_folder_are_not_followed(saved, tmp_path):
    """Rows, states and splits that lie elsewhere are refused."""
    folder = saved()
    for name in (DATA, "state.json"):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
        with pytest.raises(CacheError, match="a link that leads out of"):
            [*huggingface.read(folder)]
        (folder / name).unlink()
        (tmp_path / name).rename(folder / name)
    (tmp_path / "top").mkdir()
    (tmp_path / "top/train").symlink_to(folder)
    (tmp_path / "top/dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(CacheError, match="a link that leads out of"):
        [*huggingface.read(tmp_path / "top")]


@pytest.mark.parametrize("cut", [0, 4, 100, -9, -1])
def test_a_file_that_is_cut_short_is_refused(saved, cut):
    """Fewer rows than were saved are never taken for all."""
    folder = saved()
    (folder / DATA).write_bytes((folder / DATA).read_bytes()[:cut])
    with pytest.raises(CacheError, match=rf"{DATA}: cannot be read"):
        [*huggingface.read(folder)]


@pytest.mark.parametrize("before", [0, 1])
def test_a_stream_that_does_not_begin_with_a_schema_is_refused(saved, before):
    """An end without a beginning, or rows without a schema, is no table."""
    folder = saved()
    data = (folder / DATA).read_bytes()
    schema = 8 + int.from_bytes(data[4:8], "little")
    (folder / DATA).write_bytes(data[schema:] if before else data[-8:])
    with pytest.raises(CacheError, match="begin with a schema"):
        [*huggingface.read(folder)]


@pytest.mark.parametrize(
    ("right", "wrong"), [((0, 2, 3), (0, 9, 3)), ((0, 2, 3), (0, 2, 1 << 30)), ((0, 2, 3), (-4, 2, 3))]
)
def test_lists_that_begin_or_end_elsewhere_are_refused(saved, right, wrong):
    """Where lists lie is looked through before a number of them is read: Arrow would read beyond the file."""
    folder = saved()
    data = (folder / DATA).read_bytes()
    assert data.count(np.array(right, "i4").tobytes()) == 1
    (folder / DATA).write_bytes(data.replace(np.array(right, "i4").tobytes(), np.array(wrong, "i4").tobytes()))
    with pytest.raises(CacheError, match=rf"{DATA}: cannot be read"):
        [*huggingface.read(folder)]


def test_damage_anywhere_is_refused_or_harmless(roots):
    """Two hundred files with wrong bytes are read, or refused under their names, and nothing else happens."""
    huggingface.write(roots / "toys", kit.chosen(rows=PLAIN))
    path = roots / "toys" / DATA
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 3):
            data[place : place + 4] = [b"\xff\xff\xff\x7f", b"\0\0\0\0", rng.bytes(1)][rng.integers(3)]
        path.write_bytes(data)
        try:
            for ask in (huggingface.read, huggingface.labels):
                assert len([*ask(roots / "toys")]) <= 21
        except CacheError as error:
            assert DATA in str(error)  # noqa: PT017 - both outcomes are right
            refused += 1
    assert refused > 50


def test_what_is_no_dataset_is_refused(tmp_path):
    """A folder of other things is sent to where it is read."""
    with pytest.raises(CacheError, match="a folder of parquet files is read as parquet"):
        [*huggingface.read(tmp_path)]


def test_what_is_there_is_not_written_over(roots):
    """A folder that holds something is left alone, an empty one is filled, and a split that is a path leads nowhere."""
    asked = kit.chosen("audio", rows=PLAIN)
    (roots / "toys").mkdir()
    huggingface.write(roots / "toys", asked)
    with pytest.raises(CacheError, match="is there already"):
        huggingface.write(roots / "toys", asked)
    rows = {clip: {"id": clip, "split": "../../away"} for clip in kit.CLIPS}
    with pytest.raises(CacheError, match="can be that of a file"):
        huggingface.write(roots / "others", kit.chosen("audio", rows=rows))
    rows = {"clip0": {"split": "train"}}
    with pytest.raises(CacheError, match="needs split of every clip"):
        huggingface.write(roots / "others", kit.chosen("audio", rows=rows))
    assert sorted(path.name for path in roots.iterdir()) == ["features", "toys"]


def test_datasets_reads_ours(roots):
    """Hugging Face's library loads what we write, with its splits and types, equal to the bit."""
    datasets = pytest.importorskip("datasets")
    asked = kit.chosen("audio", "vision")
    huggingface.write(roots / "toys", asked)
    loaded, wanted = datasets.load_from_disk(roots / "toys"), kit.sequences(asked)
    assert [*loaded] == ["train", "validation", "test"]
    assert loaded["train"].features["audio"] == datasets.List(datasets.List(datasets.Value("float16"), length=4))
    assert loaded["train"].info.license.startswith("toys: GPL-3.0")
    for row in (row for split in loaded.values() for row in split):
        steps = np.array(row["audio"], "f2")
        assert steps.tobytes() == wanted[row["id"], "audio"].values.tobytes()
        assert (row["vision"] is None) == (row["id"] == "clip2")
    assert loaded["train"].with_format("numpy")[1]["audio"].shape == wanted["clip3", "audio"].values.shape
    assert loaded["train"].filter(lambda row: row["id"] == "clip3", load_from_cache_file=False).num_rows == 1


def test_datasets_writes_what_we_read(tmp_path):
    """What Hugging Face's library saves is read: arrays, lists, class labels, several files, splits."""
    datasets = pytest.importorskip("datasets")
    rng = np.random.default_rng(0)
    steps = [rng.normal(size=(n, 3)).astype("f2") for n in range(1, 9)]
    types = datasets.Features(
        id=datasets.Value("string"),
        array=datasets.Array2D((None, 3), "float16"),
        lists=datasets.List(datasets.List(datasets.Value("float16"))),
        mean=datasets.List(datasets.Value("float64"), length=3),
        emotion=datasets.ClassLabel(names=["sad", "happy"]),
    )
    columns = {
        "id": [f"c{i}" for i in range(8)],
        "array": steps,
        "lists": steps,
        "mean": [each.mean(axis=0) for each in steps],
        "emotion": [i % 2 for i in range(8)],
    }
    rows = datasets.Dataset.from_dict(columns, types)
    saved = datasets.DatasetDict(train=rows.select(range(6)), validation=rows.select(range(6, 8)))
    saved.save_to_disk(tmp_path / "theirs", num_shards={"train": 3, "validation": 1})
    found = {(piece.feature, piece.clip): piece.windows.values for piece in huggingface.read(tmp_path / "theirs")}
    for i, each in enumerate(steps):
        for name in ("array", "lists"):
            assert found[name, f"c{i}"].dtype == np.float16
            assert found[name, f"c{i}"].tolist() == each.tolist()
        assert found["mean", f"c{i}"].tolist() == [each.mean(axis=0).tolist()]
    assert [*huggingface.labels(tmp_path / "theirs")][6:] == [
        {"id": "c6", "split": "dev", "emotion": "sad"},
        {"id": "c7", "split": "dev", "emotion": "happy"},
    ]
