"""Parquet: what goes out comes back, others read it, and a file that is not what it says is refused."""

import os
import sys

import arrow_kit as kit
import numpy as np
import pytest

from features import CacheError, Reader, arrow, parquet, parquet_footer
from features.exchange import HOWS
from features.imported import Import, store

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install '.[exchange]'")
pq = pytest.importorskip("pyarrow.parquet")

IDS = ["a", "b"]
STEPS = pa.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]], pa.list_(pa.list_(pa.float32())))


@pytest.fixture
def file(tmp_path):
    """Return a function that writes columns to a file as anybody would, and its path."""

    def write(columns, metadata=None, **options):
        path = tmp_path / "other.parquet"
        table = pa.table(columns)
        pq.write_table(table.replace_schema_metadata(metadata), path, **options)
        return path

    return write


def values(pieces):
    """Return the arrays that came in, by feature and clip, as lists."""
    return {(piece.feature, piece.clip): piece.windows.values.tolist() for piece in pieces}


@pytest.mark.parametrize("how", HOWS)
def test_what_goes_out_comes_back(roots, how):
    """Every step, its dtype, its axes and its seconds are read back to the bit, and a gap stays a gap."""
    asked = kit.chosen(how=how)
    parquet.write(roots / "toys.parquet", asked)
    kit.same(parquet.read(roots / "toys.parquet"), asked)


def test_the_layout_is_the_one_that_is_documented(roots):
    """Pyarrow finds float16 in lists of lists, null for what is absent, numbers as numbers, and how it was made."""
    asked = kit.chosen()
    parquet.write(roots / "toys.parquet", asked)
    table, wanted = pq.read_table(roots / "toys.parquet"), kit.sequences(asked)
    assert table.column("id").to_pylist() == kit.CLIPS
    assert table.schema.field("audio").type.value_type.value_type == pa.float16()
    assert table.column("vision").is_null().to_pylist() == [clip == "clip2" for clip in kit.CLIPS]
    assert table.column("turn").to_pylist() == [*range(7)]
    assert table.column("emotion").to_pylist()[:2] == ["anger", None]
    assert table.column("speaker").to_pylist()[0] == "00"
    for row, clip in enumerate(kit.CLIPS):
        steps = wanted[clip, "audio"]
        assert np.array(table.column("audio")[row].as_py(), "f2").tobytes() == steps.values.tobytes()
        assert table.column("audio_interval_s")[row].as_py() == steps.interval_s.tolist()
    assert b'"Numbers drawn by a die."' in table.schema.metadata[b"affectline"]


def test_pandas_reads_it(roots):
    """A data frame has an array of float16 for every step."""
    pandas = pytest.importorskip("pandas")
    asked = kit.chosen("audio")
    parquet.write(roots / "toys.parquet", asked, intervals="no")
    frame = pandas.read_parquet(roots / "toys.parquet")
    steps = kit.sequences(asked)["clip1", "audio"].values
    assert [*frame.columns] == ["id", *list(kit.ROWS["clip0"])[1:], "audio"]
    assert np.stack(frame.audio[1]).tobytes() == steps.tobytes()


def test_rows_go_out_and_come_in_a_few_at_a_time(roots, monkeypatch):
    """A file has several groups of rows, and what stands before a damaged one is read before it is found."""
    monkeypatch.setattr("features.arrow_columns.ROWS", 3)
    asked = kit.chosen("vision")
    parquet.write(roots / "toys.parquet", asked)
    groups = pq.ParquetFile(roots / "toys.parquet").metadata
    assert groups.num_row_groups == 3
    column = groups.row_group(2).column(len(kit.ROWS["clip0"]))
    data = bytearray((roots / "toys.parquet").read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    data[middle : middle + 8] = os.urandom(8)
    (roots / "toys.parquet").write_bytes(data)
    found = []
    with pytest.raises(CacheError, match=r"toys\.parquet"):
        found += [*map(found.append, parquet.read(roots / "toys.parquet"))]
    assert [piece.clip for piece in found] == ["clip0", "clip1", "clip3", "clip4", "clip5"]


def test_float32_for_tools_without_float16_comes_back_as_float16(roots):
    """The dtype of the cache is noted, so that nothing is lost by widening."""
    asked = kit.chosen("audio")
    parquet.write(roots / "wide.parquet", asked, dtype="float32")
    assert pq.read_schema(roots / "wide.parquet").field("audio").type.value_type.value_type == pa.float32()
    kit.same(parquet.read(roots / "wide.parquet"), asked)


def test_what_came_in_is_an_entry(roots):
    """An import holds the same steps and seconds as the entry that was exported, and says where it is from."""
    asked = kit.chosen("audio")
    parquet.write(roots / "toys.parquet", asked)
    job = Import("copies", "parquet", roots / "toys.parquet", about={"said": parquet.said(roots / "toys.parquet")})
    [(folder, clips)] = store(job, parquet.read(roots / "toys.parquet")).items()
    assert clips == len(kit.CLIPS)
    with Reader(folder) as reader:
        assert reader.key.settings["origin"] == "imported"
        assert reader.key.dtype == "float16"
        for (clip, _), steps in kit.sequences(asked).items():
            assert reader[clip].values.tobytes() == steps.values.tobytes()
    assert "toys/audio-" in parquet.said(roots / "toys.parquet")["audio"]


def test_labels_come_back(roots):
    """The table that went out is the table that comes in."""
    parquet.write(roots / "toys.parquet", kit.chosen("audio"))
    found = {row["id"]: row for row in parquet.labels(roots / "toys.parquet")}
    assert found == {clip: row | {"turn": row["turn"]} for clip, row in kit.ROWS.items()}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (STEPS, [[1.0, 2.0], [3.0, 4.0]]),
        (STEPS.cast(pa.list_(pa.large_list(pa.float64()))), [[1.0, 2.0], [3.0, 4.0]]),
        (pa.array([[[1, 2]], [[3, 4]]], pa.list_(pa.list_(pa.int16(), 2))), [[1, 2]]),
        (pa.array([[1, 2, 3], [4, 5, 6]], pa.list_(pa.float16(), 3)), [[1, 2, 3]]),
        (pa.array([[1.0, 2.0], []], pa.list_(pa.float32())), [[1.0, 2.0]]),
        (pa.array([[[[1.0], [2.0]]], None], pa.list_(pa.list_(pa.list_(pa.float32())))), [[[1.0], [2.0]]]),
    ],
)
def test_lists_of_others(file, column, expected):
    """Lists of lists are steps, a plain list is one vector, whichever of Arrow's lists they are; none is no feature."""
    found = values(parquet.read(file({"id": IDS, "x": column})))
    assert found["x", "a"] == expected
    assert (("x", "b") in found) == bool(column[1].as_py())


def test_tables_of_others(tmp_path, file):
    """A column of any name, even of numbers, names the clips; a file's name and class labels say what they mean."""
    info = b'{"info": {"features": {"label": {"names": ["sad", "happy"], "_type": "ClassLabel"}}}}'
    columns = {"nr": [7, 8], "label": [1, -1], "score": pa.array([0.1, None], pa.float32()), "loud": [True, False]}
    path = file({**columns, "x": STEPS, "when": pa.array([0, 1], pa.timestamp("s"))}, {b"huggingface": info})
    path.rename(tmp_path / "validation-00000-of-00001.parquet")
    first, second = parquet.labels(tmp_path, id="nr")
    assert first == {"id": "7", "split": "dev", "label": "happy", "score": "0.1", "loud": "True"}
    assert second == {"id": "8", "split": "dev", "label": "", "score": "", "loud": "False"}
    assert values(parquet.read(tmp_path, id="nr"))["x", "8"] == [[5.0, 6.0]]


def test_a_missing_number_becomes_none_that_is_finite(file):
    """What is missing among floats is left to whoever imports, who is asked to say zeros."""
    path = file({"id": ["a"], "x": pa.array([[1.0, None]], pa.list_(pa.float16()))})
    [piece] = parquet.read(path)
    assert np.isnan(piece.windows.values).tolist() == [[False, True]]


def test_the_footer_says_what_pyarrow_finds(roots):
    """Our reading of the footer has the rows of each group, and no less than the bytes that pyarrow counts."""
    parquet.write(roots / "toys.parquet", kit.chosen())
    metadata = pq.ParquetFile(roots / "toys.parquet").metadata
    groups = parquet_footer.groups(roots / "toys.parquet", metadata.schema.to_arrow_schema().names)
    assert [group.rows for group in groups] == [metadata.row_group(i).num_rows for i in range(len(groups))]
    assert groups[0].bytes >= sum(metadata.row_group(0).column(i).total_uncompressed_size for i in range(13))


def zeros():
    """Return one list of so many zeros that they take next to no place in a file."""
    many = pa.array(np.zeros(10_000_000))
    return pa.ListArray.from_arrays([0, len(many)], many)


NO_FEATURES = {
    "no ids": (lambda: {"x": STEPS}, "expected a column 'id'"),
    "ids that are no names": (lambda: {"id": [1.5, 2.5], "x": STEPS}, "expected a column 'id'"),
    "no lists": (lambda: {"id": IDS}, "no column holds lists"),
    "lists of words": (lambda: {"id": IDS, "x": [["a"], ["b"]]}, "no column holds lists"),
    "an id is missing": (lambda: {"id": ["a", None], "x": STEPS}, "a clip's name in every 'id', got ''"),
    "an id is a book": (lambda: {"id": ["a", "b" * 2000], "x": STEPS}, "a clip's name in every 'id'"),
    "steps of two widths": (lambda: {"id": ["a"], "x": pa.array([[[1.0], [2.0, 3.0]]])}, "lists of 1 to 2 numbers"),
    "a step is missing": (lambda: {"id": ["a"], "x": pa.array([[[1.0], None]])}, "lists in it is missing"),
    "a whole number is missing": (lambda: {"id": ["a"], "x": pa.array([[1, None]])}, "whole numbers is missing"),
    "steps of nothing": (lambda: {"id": ["a"], "x": pa.array([[[], []]], STEPS.type)}, "got 0 numbers"),
    "seconds of other steps": (
        lambda: {"id": IDS, "x": STEPS, "x_interval_s": [[[0.0, 1.0]], [[0.0, 1.0]]]},
        "each of 2 steps lasts, got 2",
    ),
    "zeros": (lambda: {"id": ["a"], "x": zeros()}, "expected at most 64 times"),
}


@pytest.mark.parametrize("what", NO_FEATURES)
def test_a_table_that_holds_no_features_or_too_much_is_refused(file, what):
    """What cannot be features, or would unfold to far more than the file, is refused with a word and not half read."""
    columns, said = NO_FEATURES[what]
    path = file(columns())
    with pytest.raises(CacheError, match=said) as error:
        [*parquet.read(path)]
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (b'{"features": {"x": {"shape": [3]}}}', r"expected an array \(2, 3\), got 4"),
        (b'{"features": {"x": {"shape": [2147483647, 2147483647]}}}', "expected an array"),
        (b'{"features": {"x": {"shape": []}}}', r"expected an array \(2,\), got 4"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(file, metadata, said):
    """Axes that others wrote in our name are compared with what is there."""
    with pytest.raises(CacheError, match=said):
        [*parquet.read(file({"id": IDS, "x": STEPS}, {b"affectline": metadata}))]


@pytest.mark.parametrize(
    "metadata",
    [
        b"{",
        b"[]",
        b'{"features": []}',
        b'{"features": {"x": 1, "y": {}}}',
        b"[" * 100_000,
        b'{"features": {"x": {"shape": [-1], "dtype": "O"}}}',
    ],
)
def test_metadata_that_say_nothing_are_passed_over(file, metadata):
    """Junk where our JSON should be changes nothing."""
    path = file({"id": IDS, "x": STEPS}, {b"affectline": metadata, b"huggingface": metadata})
    assert len(values(parquet.read(path))) == 2
    assert parquet.said(path)["written by"].startswith("parquet-cpp")
    assert len([*parquet.labels(path)]) == 2


def test_labels_are_short(file):
    """A cell as long as a book is no label."""
    with pytest.raises(CacheError, match="100000 letters are no label"):
        [*parquet.labels(file({"id": ["a"], "text": ["x" * 100_000]}))]


@pytest.mark.parametrize("encoding", [None, "PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"])
def test_texts_that_stand_for_longer_ones_are_read_a_few_at_a_time(file, monkeypatch, encoding):
    """Where a dictionary, or the text before, stands for a long text in every row, no batch of rows grows large."""
    monkeypatch.setattr(parquet, "TEXT_BYTES", 1 << 20)
    texts = [f"{'x' * 6_000}{i % 50}" for i in range(600)]
    options = {"use_dictionary": False, "column_encoding": {"text": encoding}} if encoding else {}
    path = file({"id": [f"{i}" for i in range(600)], "text": texts}, **options)
    with parquet._File(path, "id") as opened:
        sizes = [batch.nbytes for batch in opened.batches(["id", "text"])]
    assert max(sizes) <= 1 << 20
    assert [row["text"] for row in parquet.labels(path)] == texts


def test_two_columns_of_one_name_are_refused(tmp_path):
    """Which of two columns is meant is never guessed."""
    table = pa.Table.from_arrays([pa.array(IDS), STEPS, STEPS], names=["id", "x", "x"])
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(CacheError, match="two of its columns have one name: id, x, x"):
        [*parquet.read(tmp_path / "twice.parquet")]


@pytest.mark.parametrize("cut", [0, 3, 11, 200, -9, -1])
def test_a_file_that_is_cut_short_is_refused(file, cut):
    """Whatever is missing of a file, it is refused under its name."""
    path = file({"id": IDS, "x": STEPS})
    path.write_bytes(path.read_bytes()[:cut])
    for ask in (parquet.read, parquet.labels):
        with pytest.raises(CacheError, match=r"other\.parquet: cannot be read"):
            [*ask(path)]


def test_rows_that_lie_in_another_file_are_refused(tmp_path, file):
    """A footer that points to another file leads nowhere."""
    metadata = pq.ParquetFile(file({"id": IDS, "x": STEPS})).metadata
    metadata.set_file_path("../secret.parquet")
    metadata.write_metadata_file(tmp_path / "points.parquet")
    with pytest.raises(CacheError, match="lies in another file"):
        [*parquet.read(tmp_path / "points.parquet")]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path, file):
    """What lies elsewhere is neither read nor passed over in silence."""
    path = file({"id": IDS, "x": STEPS})
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.parquet").symlink_to(path)
    with pytest.raises(CacheError, match="a link that leads out of"):
        [*parquet.read(tmp_path / "folder")]
    with pytest.raises(CacheError, match="is not there"):
        [*parquet.read(tmp_path / "nothing")]


def test_damage_anywhere_is_refused_or_harmless(roots):
    """Two hundred files with wrong bytes are read, or refused under their names, and nothing else happens."""
    parquet.write(roots / "toys.parquet", kit.chosen())
    whole, rng, refused = (roots / "toys.parquet").read_bytes(), np.random.default_rng(0), 0
    path = roots / "damaged.parquet"
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 2):
            data[place : place + 4] = [b"\xff\xff\xff\x7f", b"\0\0\0\0", rng.bytes(1)][rng.integers(3)]
        path.write_bytes(data)
        try:
            for ask in (parquet.read, parquet.labels):
                assert len([*ask(path)]) <= 21
        except CacheError as error:
            assert "damaged.parquet" in str(error)  # noqa: PT017 - both outcomes are right
            refused += 1
    assert refused > 50


def test_what_cannot_be_written_is_refused(roots):
    """A target that is there, a wrong option, a dtype that loses bits, names that clash: nothing is written of them."""
    asked = kit.chosen("audio", "vision")
    write = parquet.write
    for options, said in (
        ({"dtype": "int8"}, "expected dtype to be float16"),
        ({"intervals": "maybe"}, "yes or no"),
        ({"dtype": "float16"}, "vision is float32, which float16 cannot hold"),
    ):
        with pytest.raises(CacheError, match=said):
            write(roots / "toys.parquet", asked, **options)
    with pytest.raises(CacheError, match="two columns would be called audio"):
        write(roots / "toys.parquet", kit.chosen("audio", rows={"clip0": {"audio": "loud"}}))
    with pytest.raises(CacheError, match="no features of any clip"):
        write(roots / "toys.parquet", kit.Chosen("toys", asked.readers, ["other"]))
    assert not [*roots.glob("*.parquet")]
    write(roots / "toys.parquet", asked)
    with pytest.raises(CacheError, match="is there already"):
        write(roots / "toys.parquet", asked)


def test_whoever_has_no_pyarrow_is_told_how_to_get_it(tmp_path, monkeypatch):
    """The error names the command."""
    arrow.library.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").touch()
    with pytest.raises(CacheError, match=r"pip install '\.\[exchange\]'"):
        [*parquet.read(tmp_path / "x.parquet")]
    arrow.library.cache_clear()


def test_datasets_reads_it(roots):
    """Hugging Face's library makes a dataset of the file as it is."""
    datasets = pytest.importorskip("datasets")
    asked = kit.chosen("audio")
    parquet.write(roots / "toys.parquet", asked)
    found = datasets.Dataset.from_parquet(str(roots / "toys.parquet"), cache_dir=str(roots / "cache"))
    assert np.array(found[0]["audio"], "f2").tobytes() == kit.sequences(asked)["clip0", "audio"].values.tobytes()
