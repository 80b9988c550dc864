"""What the features of an entry look like: worked out by hand, kept between calls, and believed only where it fits."""

import json
import math
import os
from dataclasses import replace

import numpy as np
import pytest
import xxhash
from conftest import TOY

from features import Reader, Windows, Writer, folder_of, index
from features.measured import SUFFIX, WIDEST, Measured, drift, measure, nearest

FLOATS = replace(TOY, dtype="float32")
NOTHING = np.empty((0, 2))


@pytest.fixture
def put(roots):  # noqa: ARG001 - it says where the cache lies
    """Return a function that writes one part of an entry: clips with their windows."""

    def write(clips, key=FLOATS, source="s"):
        with Writer(folder_of("toys", key), key, {}, "MIT") as writer:
            for clip, windows in clips.items():
                writer.add(clip, source, windows)
        return writer.path

    return write


def one(*steps, valid=None, end_s=1.0):
    """Return one window of these steps."""
    return Windows.join([np.array(steps)], [(0, end_s)], [len(steps) if valid is None else valid])


def of(key=FLOATS, keep=None):
    """Measure an entry."""
    with Reader(folder_of("toys", key)) as reader:
        return measure(reader, keep)


def same(one, other):
    """Return whether two entries look the same to the last bit."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in Measured.__dataclass_fields__]
    return all(np.array_equal(a, b) for a, b in pairs)


def test_values_worked_out_by_hand(put):
    """Padding does not count, and every column is what one finds with a pencil."""
    two = Windows.join([np.array([[3, 4], [0, 0]]), np.array([[6, 8], [9, 9]])], [(0, 2), (1, 2.5)], [2, 1])
    put(
        {"two": two, "none": Windows.join([NOTHING, NOTHING], [(0, 1), (1, 2)], [0, 0]), "padded": one([7, 7], valid=0)}
    )
    found = of()
    assert found.clips == ("two", "none", "padded")
    assert found.windows.tolist() == [2, 2, 1]
    assert found.seconds.tolist() == [2.5, 2, 1]
    assert found.valid.tolist() == [0.75, 0, 0]
    assert found.norms.tolist() == [5, 0, 0]  # (5 + 0 + 10) / 3
    assert found.zeros.tolist() == pytest.approx([2 / 6, 0, 0])
    assert found.bad.tolist() == [0, 0, 0]
    assert found.means.tolist() == [[3, 4], [0, 0], [0, 0]]
    assert found.unreadable == ()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_long_clips_are_taken_in_blocks(put, dtype):
    """A clip of many blocks of wide steps, laid flat, has the mean and norm that numpy finds with float64."""
    steps = np.random.default_rng(0).normal(5, 1, (700, 4, 128)).astype(dtype)
    put({"long": Windows.join([steps[:300], steps[300:]], [(0, 1), (1, 2)], [300, 250])}, replace(TOY, dtype=dtype))
    found = of(replace(TOY, dtype=dtype))
    real = steps[:550].reshape(550, -1).astype(np.float64)
    np.testing.assert_allclose(found.means[0], real.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.norms[0], np.linalg.norm(real, axis=1).mean(), rtol=1e-6)


def test_what_has_no_mean_has_none(put):
    """Letters and pictures are counted and not averaged: d is 0."""
    letters, picture = replace(TOY, dtype="uint8"), replace(TOY, dtype="float16", grid="windows(3,2,2)")
    text = np.frombuffer(b"a\0b", np.uint8)
    put({"said": Windows.join([text], [(0, 0)], [3]), "silent": Windows.join([text[:0]], [(0, 0)], [0])}, letters)
    put({"seen": Windows.join([np.ones((2, 3, WIDEST))], [(0, 1)], [2])}, picture)
    said, seen = of(letters), of(picture)
    assert said.means.shape == (2, 0)
    assert said.zeros.tolist() == pytest.approx([1 / 3, 0])
    assert said.norms.tolist() == [65, 0]  # 97, 0, 98
    assert said.seconds.tolist() == [0, 0]
    assert seen.means.shape == (1, 0)
    assert seen.norms.tolist() == pytest.approx([math.sqrt(3 * WIDEST)])


def test_an_entry_without_clips(put):
    """An entry whose parts are gone is measured as nothing."""
    put({"a": one([1, 2])}).unlink()
    found = of()
    assert (found.clips, found.unreadable, found.means.shape) == ((), (), (0, 0))


def test_of_duplicates_the_one_that_is_read_counts(put):
    """Of a clip in two parts the measure is that of the row that a reader reads, and each clip stands there once."""
    put({"a": one([1, 1]), "b": one([2, 2])})
    put({"b": one([9, 9]), "c": one([3, 3])}, source="t")
    with Reader(folder_of("toys", FLOATS)) as reader:
        found = measure(reader)
        assert found.clips == tuple(reader)
        assert found.means.tolist() == [reader[clip].values[0].tolist() for clip in found.clips]


def overwrite(path, old, new):
    """Put other values in the place of some in a part, behind the back of its size, its time and its digest."""
    before, data = path.stat(), path.read_bytes()
    at = data.index(old.tobytes())
    path.write_bytes(data[:at] + new.tobytes() + data[at + new.nbytes :])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_values_that_are_no_numbers_are_counted(put):
    """NaN and infinity are counted, their steps left out, and what is merely large is not mistaken for them."""
    path = put({"a": one([1, 2], [71, 72], [3, 4]), "large": one([3e38, 0])})
    overwrite(path, np.array([71, 72], np.float32), np.array([np.nan, -np.inf], np.float32))
    found = of()
    assert found.bad.tolist() == [2, 0]
    assert found.means[0].tolist() == [2, 3]
    assert found.norms.tolist() == pytest.approx([(math.sqrt(5) + 5) / 2, 3e38])
    assert found.zeros.tolist() == [0, 0.5]


def spoil(path):
    """Make a part unreadable behind the back of its size and time."""
    before = path.stat()
    path.write_bytes(b"?" + path.read_bytes()[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_damaged_part_stops_no_other(put):
    """A part that cannot be read is named with its reason and without its folder; the others are measured."""
    broken, gone = put({"a": one([1, 1])}), put({"b": one([2, 2])})
    put({"c": one([3, 3])})
    heard = []
    with Reader(broken.parent) as reader:
        spoil(broken)
        gone.unlink()
        found = measure(reader, tell=lambda *said: heard.append(said))
    assert found.clips == ("c",)
    assert found.means.tolist() == [[3, 3]]
    assert sorted(said.partition(": ")[0] for said in found.unreadable) == sorted([broken.name, gone.name])
    assert "damaged" in str(found.unreadable)
    assert str(broken.parent) not in str(found.unreadable)
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_steps_of_another_width_are_told(put):
    """A part whose steps are as wide as no other's stops nothing and is told."""
    paths = put({"a": one([1, 1])}), put({"b": one([1, 2, 3])})
    found = of()
    assert found.clips == (("a",) if paths[0] < paths[1] else ("b",))
    assert found.unreadable == (f"{max(paths).name}: its steps are not as wide as those of the parts before",)


def test_every_block_counts_what_is_no_number(put):
    """Values that are no numbers are counted in all blocks of a long clip."""
    steps = np.arange(1, 600 * 512 + 1, dtype=np.float32).reshape(600, 512)
    path = put({"long": Windows.join([steps], [(0, 1)], [600])})
    for row in (0, 300, 599):
        overwrite(path, steps[row], np.full(512, np.nan, np.float32))
    assert of().bad.tolist() == [3 * 512]


def test_a_folder_that_is_gone_is_told_without_its_name(put, tmp_path):
    """What the system says of a part is told by the part's name, and not by where on this machine it lay."""
    path = put({"a": one([1, 2])})
    with Reader(path.parent) as reader:
        path.parent.rename(tmp_path / "away")
        path.parent.write_text("no folder")
        found = measure(reader, tmp_path / "keep")
    assert found.unreadable[0].startswith(f"{path.name}: ")
    assert str(tmp_path) not in found.unreadable[0]


def test_an_index_that_lies_is_told(put):
    """Measures are given to no clip that a part does not hold, whatever the index beside it says."""
    path = put({"a": one([1, 2])})
    index.add(path, index.Rows(("b",), ("s",), 1))
    found = of()
    assert found.clips == ()
    assert "delete index.jsonl" in found.unreadable[0]


def test_what_was_kept_is_used_while_the_part_is_the_same(put, tmp_path):
    """A part that can no longer be read is told of from what was kept, until its time of change is another."""
    path = put({"a": one([1, 2]), "b": one([0, 4])})
    first = of(keep=tmp_path / "keep")
    assert same(first, of())
    spoil(path)
    with Reader(path.parent) as reader:
        assert same(first, measure(reader, tmp_path / "keep"))
        os.utime(path, ns=(1, 1))
        assert measure(reader, tmp_path / "keep").unreadable[0].startswith(f"{path.name}: ")


def test_a_part_that_changed_is_measured_again(put, tmp_path):
    """Values of a rewritten part are never those that were kept of the one before."""
    path = put({"a": one([1, 2])})
    of(keep=tmp_path / "keep")
    put({"a": one([5, 6])})
    os.utime(path, ns=(1, 1))
    assert of(keep=tmp_path / "keep").means.tolist() == [[5, 6]]


def forged(path, clips, body):
    """Return what a kept file with any body would be, with the digest that fits."""
    at = path.stat()
    told = json.dumps([1, at.st_size, at.st_mtime_ns, *clips]).encode()
    return xxhash.xxh3_128_digest(told + body) + body


@pytest.mark.parametrize("kind", ["nothing", "junk", "torn", "longer", "flipped", "nan", "narrow", "folder", "pipe"])
def test_a_hostile_kept_file_is_measured_anew(put, tmp_path, kind):
    """Whatever stands where something was kept, the part itself answers, and that is kept where it can be."""
    path = put({"a": one([1, 2]), "b": one([0, 4])})
    expected = of(keep=tmp_path / "keep")
    kept = next((tmp_path / "keep").rglob(f"*{SUFFIX}"))
    good = kept.read_bytes()
    assert good == forged(path, "ab", good[16:])  # so that the digests below do fit
    flipped = bytearray(good)
    flipped[20] ^= 1
    nan = good[16:-4] + np.float32(np.nan).tobytes()
    bad = {"nothing": b"", "junk": b"\x93NUMPY" * 9, "torn": good[:-3], "longer": good * 99, "flipped": bytes(flipped)}
    bad |= {"nan": forged(path, "ab", nan), "narrow": forged(path, "ab", good[16:60])}
    kept.unlink()
    if kind == "folder":
        kept.mkdir()
    elif kind == "pipe":
        os.mkfifo(kept)
    else:
        kept.write_bytes(bad[kind])
    assert same(expected, of(keep=tmp_path / "keep"))
    assert kind == "folder" or kept.read_bytes() == good


def test_a_folder_that_cannot_be_written_is_done_without(put, tmp_path):
    """Where nothing can be kept, everything is measured."""
    put({"a": one([1, 2])})
    (tmp_path / "keep").write_text("a file")
    assert of(keep=tmp_path / "keep").means.tolist() == [[1, 2]]


def test_entries_of_two_corpora_are_kept_apart(fill, tmp_path):
    """Two corpora with the same entry and the same clips do not take what was kept for each other."""
    paths = [fill(corpus=corpus, a="1") for corpus in ("toys", "others")]
    for path in paths:
        with Reader(path.parent) as reader:
            measure(reader, tmp_path / "keep")
    assert len(list((tmp_path / "keep").rglob(f"*{SUFFIX}"))) == 2


def test_nearest_is_what_brute_force_finds():
    """Over several blocks, the nearest are those that every pair compared with float64 gives, in order."""
    rng = np.random.default_rng(1)
    means = rng.normal(3, 1, (700, 8)).astype(np.float32)
    means[[5, 600]] = 0
    asked = [*range(699, 0, -1), 0]
    places, cosines = nearest(means, asked, 4)
    real = means.any(axis=1)
    away = means.astype(np.float64) - means[real].mean(axis=0, dtype=np.float64)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    for row, clip in enumerate(asked):
        if clip in {5, 600}:
            assert places[row].tolist() == [-1] * 4
            continue
        alike = away @ away[clip]
        alike[[5, 600, clip]] = -2
        np.testing.assert_allclose(cosines[row], np.sort(alike)[::-1][:4], atol=1e-5)
        np.testing.assert_allclose(alike[places[row]], cosines[row], atol=1e-5)


def test_clips_that_are_as_alike_come_in_their_order():
    """Ties go by order, the clip itself is left out, and what is missing is -1."""
    means = np.array([[1, 0], [0, 1], [1, 0], [0, 0], [1, 0], [0, 1]], np.float32)
    places, cosines = nearest(means, [0, 4, 1, 3], 5)
    assert places.tolist() == [[2, 4, 1, 5, -1], [0, 2, 1, 5, -1], [5, 0, 2, 4, -1], [-1] * 5]
    assert cosines[0].tolist() == [1, 1, -1, -1, 0]
    many = np.tile(np.random.default_rng(3).normal(0, 1, (7, 301)).astype(np.float32), (30, 1))
    places, cosines = nearest(many, [203], 29)
    assert places[0].tolist() == list(range(0, 203, 7))
    assert (cosines == 1).all()


@pytest.mark.parametrize("means", [np.zeros((3, 0)), np.zeros((3, 2)), np.ones((1, 2)), np.ones((2, 2))])
def test_nearest_of_next_to_nothing(means):
    """Without values, with one clip, or with clips that are all the same, no cosine is invented."""
    places, cosines = nearest(means.astype(np.float32), range(len(means)), 2)
    assert places.shape == cosines.shape == (len(means), 2)
    assert not cosines.any()
    assert (places[:, 0] >= 0).all() == bool(len(means) == 2)
    assert nearest(np.zeros((0, 2), np.float32), [], 2)[0].shape == (0, 2)


def test_drift_worked_out_by_hand():
    """The distance of a group is in standard deviations of what it is compared with; constant dimensions count not."""
    means = np.array([[1, 1, 7], [-1, 3, 7], [1, 3, 7], [-1, 1, 7], [3, 2, 7], [3, 2, 9]], np.float32)
    means = np.concatenate([means, [[0, 0, 0], [5, 5, 5], [0, 0, 0]]], dtype=np.float32)
    groups = ["train"] * 4 + ["test", "test", "test", "single", "train"]
    found = drift(means, groups, np.array([group == "train" for group in groups]))
    assert [(each.group, each.clips) for each in found] == [("test", 2)]  # nobody is left to compare train with
    assert found[0].distance == pytest.approx(math.sqrt((3**2 + 0**2) / 2))
    assert found[0].expected == pytest.approx(math.sqrt(1 / 2 + 1 / 4))


def test_a_group_is_compared_with_the_others_alone():
    """A group within `against` is compared with the rest of it, in units of the whole."""
    means = np.array([[1.0], [3], [5], [7]], np.float32)
    found = drift(means, ["a", "a", "b", "b"], np.ones(4, np.bool_))
    assert [each.distance for each in found] == pytest.approx([4 / math.sqrt(5)] * 2)
    assert [each.expected for each in found] == [1, 1]


def test_chance_alone_gives_what_is_expected():
    """Where groups are drawn at random, distance is about what was expected, and a moved group stands out."""
    rng = np.random.default_rng(2)
    means = (rng.normal(0, 1, (600, 50)) @ rng.normal(0, 1, (50, 200)) + 40).astype(np.float32)
    groups = [f"g{i}" for i in rng.integers(0, 6, 600)]
    times = [each.distance / each.expected for each in drift(means, groups, np.ones(600, np.bool_))]
    assert np.mean(np.square(times)) == pytest.approx(1, abs=0.25)
    means[np.array(groups) == "g3"] += 10
    beyond = {each.group: each.distance / each.expected for each in drift(means, groups, np.ones(600, np.bool_))}
    assert max(beyond, key=beyond.__getitem__) == "g3"
    assert beyond["g3"] > 5


def test_drift_of_next_to_nothing():
    """Without clips to compare with, or without any spread, nothing is said."""
    means = np.ones((4, 2), np.float32)
    groups = ["a", "a", "b", "b"]
    assert drift(means, groups, np.ones(4, np.bool_)) == []
    assert drift(means, groups, np.zeros(4, np.bool_)) == []
    assert drift(np.zeros((4, 0), np.float32), groups, np.ones(4, np.bool_)) == []
