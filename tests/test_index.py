"""The index of an entry: it saves opening parts, and whatever it says, nothing is read, kept or deleted by it alone."""

import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import xxhash
from conftest import TOY

from features import CacheError, Reader, Windows, Writer
from features.__main__ import main
from features.index import FILE, WORTH_PARTS
from features.store import discard

PARTS = WORTH_PARTS + 4


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write an entry of many parts with two clips each, and a duplicate; return its folder."""
    folder = tmp_path_factory.mktemp("entry") / TOY.name
    parts = [{f"a{i}": "1", f"b{i}": "1"} for i in range(PARTS)]
    for clips in (*parts, {"a0": "2"}):
        with Writer(folder, TOY, {}, "") as writer:
            for i, (clip, source) in enumerate(clips.items()):
                writer.add(
                    clip,
                    source,
                    Windows.join(
                        [np.full((2, 3), parts.index(clips) * 2 + i if clips in parts else 99)], [(0, 1)], [2]
                    ),
                )
    return folder


@pytest.fixture
def entry(written, roots):
    """Copy that entry into a cache of the test's own, times included."""
    return Path(shutil.copytree(written, roots / "features" / "toys" / TOY.name))


def values(reader):
    """Read everything."""
    return {clip: (reader.sources[clip], windows.values.tolist()) for clip, windows in reader.items()}


def spoil(folder):
    """Change a byte in every part behind the back of its size and time: nothing can open them any more."""
    for path in folder.glob("part-*.h5"):
        before = path.stat()
        path.write_bytes(b"?" + path.read_bytes()[1:])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def rewrite(folder, change):
    """Write the index with other lines, each with the digest that fits."""
    lines = [json.loads(line.partition(" ")[2]) for line in (folder / FILE).read_text().splitlines() if line]
    bodies = [json.dumps(change(line)) for line in lines]
    text = "".join(f"{xxhash.xxh3_64_hexdigest(body.encode())} {body}\n" for body in bodies)
    (folder / FILE).write_text(text)


def test_what_the_index_knows_is_not_opened(entry):
    """An entry opens and says all its clips and sources by the index alone, and its values by the parts alone."""
    with Reader(entry) as reader:
        expected = list(reader), reader.sources, reader.where
    spoil(entry)
    with Reader(entry) as reader:
        assert (list(reader), reader.sources, reader.where) == expected
        with pytest.raises(CacheError, match=r"part-.*damaged"):
            reader["a1"]
        with pytest.raises(CacheError, match=r"part-.*damaged"):
            reader.read(["a1"])
    with pytest.raises(CacheError, match=r"part-.*damaged"):
        Reader(entry, alone=True)


def test_writers_keep_the_index(entry):
    """Each part that is written is in the index at once, with its clips, their sources and its count of windows."""
    lines = [json.loads(line.partition(" ")[2]) for line in (entry / FILE).read_text().splitlines() if line]
    assert {line["part"] for line in lines} == {path.name for path in entry.glob("part-*.h5")}
    (line,) = [line for line in lines if line["clips"] == ["a3", "b3"]]
    status = (entry / line["part"]).stat()
    assert (line["sources"], line["windows"]) == (["1", "1"], 2)
    assert (line["size"], line["mtime_ns"]) == (status.st_size, status.st_mtime_ns)


def test_a_lost_index_is_made_again(entry):
    """Without an index every part is opened, once: the next reader has one again."""
    with Reader(entry) as reader:
        expected = values(reader)
    (entry / FILE).unlink()
    with Reader(entry) as reader:
        assert values(reader) == expected
    spoil(entry)
    assert len(Reader(entry)) == len(expected)


def test_an_index_that_lacks_little_is_left_alone(entry):
    """A few parts that the index does not know are opened, and it is not written anew for them."""
    lines = (entry / FILE).read_text().splitlines(keepends=True)
    (entry / FILE).write_text("".join(lines[:-8]))
    before = (entry / FILE).stat()
    with Reader(entry) as reader:
        assert set(reader) == {f"{letter}{i}" for letter in "ab" for i in range(PARTS)}
    assert (entry / FILE).stat() == before


def test_a_part_of_another_time_is_opened(entry):
    """What the index says of a part counts as long as its size and time are what they were."""
    spoil(entry)
    touched = sorted(entry.glob("part-*.h5"))[3]
    os.utime(touched, (1, 1))
    with pytest.raises(CacheError, match=touched.name):
        Reader(entry)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_index_costs_nothing_but_time(entry, seed):
    """Cut short, overwritten or shuffled at random, the index changes nothing that is read."""
    with Reader(entry) as reader:
        expected = values(reader)
    generator, data = random.Random(seed), bytearray((entry / FILE).read_bytes())
    for _ in range(generator.randrange(1, 9)):
        begin = generator.randrange(len(data))
        data[begin : begin + generator.randrange(300)] = generator.randbytes(generator.randrange(300))
    (entry / FILE).write_bytes(data[: generator.choice([len(data), generator.randrange(len(data))])])
    with Reader(entry) as reader:
        assert values(reader) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda line: {**line, "clips": list(reversed(line["clips"]))},
        lambda line: {**line, "clips": ["nobody", *line["clips"][1:]]},
        lambda line: {**line, "clips": [*line["clips"], "nobody"], "sources": [*line["sources"], "1"]},
        lambda line: {**line, "clips": line["clips"][:1], "sources": line["sources"][:1]},
    ],
    ids="swapped another more fewer".split(),
)
def test_an_index_that_lies_is_found_out(entry, change):
    """Clips that stand elsewhere than the index says are read where they are, and those that it makes up are not."""
    with Reader(entry) as reader:
        expected = {clip: windows.values.tolist() for clip, windows in reader.items()}
    rewrite(entry, change)
    for clip, wanted in expected.items():
        with Reader(entry) as reader:
            if clip in reader:
                assert reader[clip].values.tolist() == wanted
    with Reader(entry) as reader:
        found = {clip: windows.values.tolist() for clip, windows in reader.read(list(reader)).items()}
        assert found.items() <= expected.items()
    with Reader(entry) as reader:
        with pytest.raises(KeyError):
            reader["nobody"]
        assert reader.get("nobody") is None


@pytest.mark.parametrize(
    "line",
    [
        *({"clips": wrong} for wrong in (None, "a3", ["a3"], ["a3", 3], [["a3"], "b3"], {"a3": 1, "b3": 2})),
        *({"sources": wrong} for wrong in (None, [], ["1", None])),
        *({"windows": wrong} for wrong in (None, "2", [2])),
        *({"size": wrong} for wrong in (None, [1], {})),
        {"part": ["a"]},
    ],
    ids=str,
)
def test_a_line_that_is_no_line(entry, line):
    """What has a digest that fits and is not what the format says is passed over."""
    with Reader(entry) as reader:
        expected = values(reader)
    rewrite(entry, lambda known: {**known, **line})
    with Reader(entry) as reader:
        assert values(reader) == expected


@pytest.mark.parametrize("content", [b"0000000000000000 []\n", b"[" * 100_000, b"\xff\xfe\n\0 {}\n", b" \n \n"])
def test_a_file_that_is_no_index(entry, content):
    """Whatever stands in the place of the index, the entry opens."""
    (entry / FILE).write_bytes(content)
    assert len(Reader(entry)) == 2 * PARTS


def test_a_cache_that_cannot_be_written(entry):
    """Where no index can be kept, every reader opens every part, and nothing is left lying about."""
    (entry / FILE).unlink()
    (entry / FILE).mkdir()
    for _ in range(2):
        assert len(Reader(entry)) == 2 * PARTS
    assert not list(entry.glob(".*"))


def test_gc_believes_no_index(entry, capsys):
    """Deleting goes by what the parts hold: a lie in the index costs no clip."""
    with Reader(entry) as reader:
        expected = {clip: windows.values.tolist() for clip, windows in reader.items()}
    rewrite(entry, lambda line: {**line, "clips": [f"x{clip}" for clip in line["clips"]]})
    assert main(["gc", "--yes"]) == 0
    assert "1 duplicate clips" in capsys.readouterr().out
    with Reader(entry) as reader:
        assert {clip: windows.values.tolist() for clip, windows in reader.items()} == expected


def test_discard_believes_no_index(entry):
    """A row goes when the part itself says what made it unwanted, and no part goes that has none."""
    rewrite(entry, lambda line: {**line, "sources": ["old" for _ in line["sources"]]})
    parts = set(entry.glob("part-*.h5"))
    assert discard(entry, lambda _path, _row, _clip, source: source == "old") == 0
    assert set(entry.glob("part-*.h5")) == parts
    assert len(Reader(entry, alone=True)) == 2 * PARTS


def test_a_part_of_another_entry_is_never_indexed(entry, fill):
    """A part that a reader refuses is not taken for known by the next."""
    (entry / FILE).unlink()
    other = fill(type(TOY)("toy", 2, "clip"), z="1")
    (entry / other.name).write_bytes(other.read_bytes())
    for _ in range(2):
        with pytest.raises(CacheError, match="belongs to another entry"):
            Reader(entry)
