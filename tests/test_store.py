"""The store: what is written reads back bit for bit, and what is damaged, hostile or half written is never read."""

import dataclasses
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import CacheError, Key, Reader, Windows, Writer
from features import reader as reader_module
from features.__main__ import main
from features.store import Part, discard

HERE = Path(__file__).parents[1]
TOY = Key("toy", 1, "clip")


def same(one, other):
    """Compare two clips bit for bit, types and shapes included."""
    arrays = [
        [w.values, w.spans_s, w.start, w.valid, *(w.steps[name] for name in sorted(w.steps))] for w in (one, other)
    ]
    return one.steps.keys() == other.steps.keys() and all(
        (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in zip(*arrays, strict=True)
    )


def windows_of(generator, lengths, shape, dtype, channels=()):
    """Make windows of any bits that are numbers: zeros of both signs, subnormal and extreme values among them."""
    values = [
        np.nan_to_num(np.frombuffer(generator.bytes(length * int(np.prod(shape)) * dtype.itemsize), dtype), nan=-0.0)
        for length in lengths
    ]
    return Windows.join(
        [value.reshape(length, *shape) for value, length in zip(values, lengths, strict=True)],
        [(2.0 * i, 2 * i + generator.random()) for i in range(len(lengths))],
        [generator.integers(0, length + 1) for length in lengths],
        {name: [generator.integers(0, 9, length).astype(np.uint16) for length in lengths] for name in channels},
    )


@st.composite
def parts(draw):
    """Draw the clips of one part: any ids, any lengths, one shape, one type, some side channels."""
    ids = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=8)
    dtype = np.dtype(draw(st.sampled_from(["float16", "float32", "uint8"])))
    shape = draw(st.sampled_from([(), (1,), (3,), (2, 3), (2, 1, 2)]))
    channels = draw(st.sets(st.sampled_from(["n_faces", "token_mask"])))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    lengths = draw(st.dictionaries(ids, st.lists(st.integers(0, 4), min_size=1, max_size=4), min_size=1, max_size=4))
    return dtype, {clip: windows_of(generator, drawn, shape, dtype, channels) for clip, drawn in lengths.items()}


@settings(max_examples=60)
@given(parts())
def test_ragged_windows_read_back_bit_for_bit(part):
    """Any clips of any lengths, shapes and types are read as they were written, and found by their ids."""
    dtype, clips = part
    key = dataclasses.replace(TOY, dtype=str(dtype))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / key.name
        with Writer(folder, key, {}, "") as writer:
            for clip, windows in clips.items():
                writer.add(clip, f"source of {clip}", windows)
        with Reader(folder) as reader:
            assert list(reader) == list(clips)
            assert reader.sources == {clip: f"source of {clip}" for clip in clips}
            assert all(same(reader[clip], windows) for clip, windows in clips.items())
            reader.part(writer.path).verify()


def test_a_clip_without_windows(tmp_path):
    """A clip that has no window at all is in the cache, and is not the same as a clip that is not."""
    folder = tmp_path / TOY.name
    empty = Windows(np.zeros((0, 3), np.float16), np.zeros(1, int), np.zeros((0, 2)), np.zeros(0, int))
    with Writer(folder, TOY, {}, "") as writer:
        writer.add("silent", "s", empty)
    with Reader(folder) as reader:
        assert len(reader["silent"]) == 0
        assert reader.get("absent") is None
        with pytest.raises(KeyError, match=r"has no features of 'absent'"):
            reader["absent"]


def test_a_part_is_what_the_format_says(tmp_path):
    """docs/format.md is true, whatever types the encoder returned, and a digest of format 1 never drifts."""
    spans_s, mask = np.array([[0, 3], [2, 4]], np.float32), np.array([1, 1, 0], np.uint8)
    windows = Windows(
        np.arange(6.0).reshape(3, 2), np.array([0, 2, 3], np.int32), spans_s, np.array([2, 0]), {"mask": mask}
    )
    with Writer(tmp_path / TOY.name, TOY, {"numpy": "2"}, "CC-BY-4.0 ©") as writer:
        writer.add("é", "s", windows)
    with h5py.File(writer.path) as file:
        stored = {name: (str(data.dtype), data.shape) for name, data in walk(file)}
        attrs = {name: value.decode() if isinstance(value, bytes) else value for name, value in file.attrs.items()}
    assert stored == {
        "frames": ("float16", (3, 2)),
        "windows/start": ("int64", (3,)),
        "windows/span_s": ("float64", (2, 2)),
        "windows/valid": ("int32", (2,)),
        "clips/id": ("|S2", (1,)),
        "clips/window_start": ("int64", (2,)),
        "clips/source": ("|S1", (1,)),
        "steps/mask": ("uint8", (3,)),
    }
    assert json.loads(attrs.pop("key")) == json.loads((writer.folder / "spec.json").read_text()) == TOY.to_json()
    assert json.loads(attrs.pop("provenance")) == {"numpy": "2"}
    assert attrs == {"format": 1, "licence": "CC-BY-4.0 ©", "digest": "643c9f690278c7356f6121c289520c86"}
    assert writer.path.name == "part-8440049ba3b1cbd4.h5"


def walk(group):
    """Name every dataset of a file."""
    for name, found in group.items():
        yield from ((f"{name}/{n}", d) for n, d in walk(found)) if isinstance(found, h5py.Group) else [(name, found)]


def one_window(values, **steps):
    """Make a clip of one window."""
    values = np.asarray(values)
    return Windows.join([values], [(0, 1)], [0], {name: [np.asarray(channel)] for name, channel in steps.items()})


@pytest.mark.parametrize(
    ("dtype", "windows", "message"),
    [
        ("float16", one_window([1.0, 65520.0]), "not finite as float16"),
        ("float16", one_window([1.0, -1e300]), "not finite as float16"),
        ("float32", one_window([1.0, np.nan]), "not finite as float32"),
        ("float16", one_window([1.0], confidence=[np.inf]), "not finite"),
        ("uint8", one_window([256]), "uint8 cannot hold"),
        ("uint8", one_window([-1]), "uint8 cannot hold"),
        ("uint8", one_window([0.5]), "uint8 cannot hold"),
        ("uint8", one_window([np.nan]), "uint8 cannot hold"),
    ],
)
def test_values_that_the_cache_cannot_hold(tmp_path, dtype, windows, message):
    """What is not finite, or another number, after the cast to the stored type is refused, and not written."""
    key = dataclasses.replace(TOY, dtype=dtype)
    with Writer(tmp_path / key.name, key, {}, "") as writer, pytest.raises(ValueError, match=message):
        writer.add("a", "s", windows)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "other",
    [
        one_window(np.zeros((2, 4)), mask=[1, 1]),
        one_window(np.zeros((2, 3))),
        one_window(np.zeros((2, 3)), n_faces=[1, 1]),
        one_window(np.zeros((2, 3)), mask=[1.0, 1.0]),
    ],
)
def test_a_clip_that_does_not_fit_its_part(tmp_path, other):
    """A clip of another width or with other side channels is refused alone, and the part's other clips are written."""
    with Writer(tmp_path / TOY.name, TOY, {}, "") as writer:
        writer.add("a", "s", one_window(np.zeros((5, 3)), mask=[1] * 5))
        with pytest.raises(ValueError, match="like the part's others"):
            writer.add("b", "s", other)
    assert list(Reader(tmp_path / TOY.name)) == ["a"]


def test_a_clip_twice(tmp_path):
    """The same clip twice in one part is a mistake of the caller."""
    writer = Writer(tmp_path / TOY.name, TOY, {}, "")
    writer.add("a", "s", one_window([1.0]))
    with pytest.raises(CacheError, match="added twice"):
        writer.add("a", "s", one_window([1.0]))


def test_an_error_while_collecting_writes_nothing(tmp_path):
    """A part is written when its block ends well, and not otherwise."""

    def stopped():
        with Writer(tmp_path / TOY.name, TOY, {}, "") as writer:
            writer.add("a", "s", one_window([1.0]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with Writer(tmp_path / TOY.name, TOY, {}, ""):
        pass
    assert not list(tmp_path.iterdir())


def test_the_same_clips_make_the_same_bytes(fill):
    """A part's name follows from its clips and sources, and its bytes from its data: written again it is the same."""
    path = fill(a="1", b="2")
    before = path.read_bytes()
    assert fill(a="1", b="2") == path
    assert path.read_bytes() == before
    assert len({fill(a="1"), fill(a="2"), fill(b="1"), path}) == 4


def test_a_part_cut_short_at_any_byte(fill):
    """Of every length from nothing to one byte too few, a part is refused, and the message names it."""
    path = fill(a="1", b="2")
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.unlink()
        path.write_bytes(whole[:size])
        with pytest.raises(CacheError) as error:
            Part(path, TOY)
        assert str(path) in str(error.value)
        assert "make features" in str(error.value)


FLIPS = """
import json, sys
from pathlib import Path
from features import CacheError, Reader
path = Path(sys.argv[1])
whole = path.read_bytes()
def values(folder):
    with Reader(folder) as reader:
        read = {clip: (w.values.tobytes(), w.spans_s.tobytes(), w.valid.tolist()) for clip, w in reader.items()}
        reader.part(path).verify()
        return read
before = values(path.parent)
for at, mask in json.load(sys.stdin):
    path.unlink()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1:])
    try:
        print("same" if values(path.parent) == before else "WRONG", flush=True)
    except CacheError as error:
        print("refused" if str(path) in str(error) else f"unnamed: {error}", flush=True)
"""


def flipped(path, flips):
    """Read a part once per flip in a process of its own, which HDF5 might crash or hang; return what came of each."""
    command = [sys.executable, "-c", FLIPS, path]
    done = subprocess.run(
        command, input=json.dumps(flips), capture_output=True, text=True, cwd=HERE, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1]


def test_a_flip_in_the_data_is_noticed(fill):
    """Any bit of any dataset that changes is noticed when the part is opened, read or verified."""
    path, generator = fill(a="1", b="2"), random.Random(0)
    with Reader(path.parent) as reader:
        stored = reader.part(path).stored.values()
    places = [(data.begin, data.shape[0] * data.row_bytes) for data in stored]
    bytes_ = [at for begin, size in places for at in range(begin, begin + size)]
    assert set(flipped(path, [(at, 1 << generator.randrange(8)) for at in bytes_])) == {"refused"}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_flip_anywhere_is_noticed_or_harmless(fill, seed):
    """Whatever byte changes, a part is refused or read right: no crash, no hang, no other error, no wrong value."""
    path, generator = fill(a="1", b="2"), random.Random(seed)
    whole = path.read_bytes()
    written = [at for at, byte in enumerate(whole) if byte] if seed == 0 else range(len(whole))
    flips = [(at, generator.randrange(1, 256)) for at in (generator.sample(written, 500) if seed == 0 else written)]
    assert set(flipped(path, flips)) == {"refused", "same"}


WRITES = """
import itertools, os, signal, sys
from pathlib import Path
import numpy as np
from features import Key, Windows, Writer
key = Key("toy", 1, "clip")
folder, first, die_at = Path(sys.argv[1]) / key.name, int(sys.argv[2]), int(sys.argv[3])
fsync, calls = os.fsync, itertools.count()
def counted(handle):
    if next(calls) == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(handle)
os.fsync = counted
for i in itertools.count(first):
    with Writer(folder, key, {}, "") as writer:
        for clip in (f"{i}a", f"{i}b"):
            writer.add(clip, "s", Windows.join([np.full((1 << 19, 2), i % 7, np.float32)], [(0, 1)], [0]))
    print(i, flush=True)
"""


def whole_clips(folder):
    """Verify every part of an entry, and return its clips."""
    with Reader(folder) as reader:
        for path in reader.parts:
            reader.part(path).verify()
        return set(reader)


@pytest.mark.parametrize("die_at", range(6))
def test_killed_at_each_step_of_writing(tmp_path, die_at):
    """A process killed before any of its flushes leaves whole parts or none, and what is half is not called a part."""
    command = [sys.executable, "-c", WRITES, tmp_path, "0", str(die_at)]
    assert subprocess.run(command, cwd=HERE, stdout=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    # Two flushes for spec.json, then two for each part: the file before its renaming, the folder after it.
    folder = tmp_path / TOY.name
    assert (folder / "spec.json").exists() == (die_at >= 1)
    assert len(list(folder.glob("part-*"))) == max(0, die_at - 1) // 2
    assert len(list(folder.glob(".*.tmp"))) == (die_at + 1) % 2
    assert die_at == 0 or len(whole_clips(folder)) == 2 * ((die_at - 1) // 2)


def test_killed_at_random_moments(roots, capsys):
    """Writers killed again and again leave nothing that looks complete and is not, and gc finds what they left."""
    generator, folder = random.Random(0), roots / "features" / "toys" / TOY.name
    written = set()
    for run in range(5):
        command = [sys.executable, "-c", WRITES, folder.parent, str(run * 1000), "-1"]
        with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
            written.add(int(process.stdout.readline()))
            time.sleep(generator.random() / 10)
            process.kill()
            written |= set(map(int, process.stdout.read().split()))
    clips = whole_clips(folder)
    assert {f"{i}{letter}" for i in written for letter in "ab"} <= clips
    left = list(folder.glob(".*.tmp"))
    for path in left:
        os.utime(path, (0, 0))
    young = folder / ".part-0.h5.00000000.tmp"
    young.touch()
    assert main(["gc", "--yes"]) == 0
    assert f"{len(left)} unfinished files" in capsys.readouterr().out
    assert [path.name for path in folder.glob(".*")] == [young.name]
    assert whole_clips(folder) == clips


def test_writers_of_the_same_part_end_whole(tmp_path):
    """Several processes that write the same part at once never show a reader anything but a whole one."""
    commands = [[sys.executable, "-c", WRITES, tmp_path, "0", str(die_at)] for die_at in (8, 9, 11)]
    running = [subprocess.Popen(command, cwd=HERE, stdout=subprocess.DEVNULL) for command in commands]
    folder = tmp_path / TOY.name
    while any(process.poll() is None for process in running):
        if (folder / "spec.json").exists():
            whole_clips(folder)
    assert len(whole_clips(folder)) >= 6
    assert len(list(folder.glob("part-*"))) == len(whole_clips(folder)) / 2


def test_of_duplicates_the_lowest_part_wins(fill, capsys):
    """A clip in several parts is read from the one with the lowest name, and gc drops the others and nothing else."""
    paths = sorted([fill(a="1", b="1"), fill(a="2", c="1"), fill(a="3")])
    with Reader(paths[0].parent) as reader:
        before = {clip: windows.values.tolist() for clip, windows in reader.items()}
        assert reader.where["a"] == (paths[0], 0)
    assert main(["gc", "toys"]) == 0
    assert all(path.exists() for path in paths)
    assert main(["gc", "toys", "--yes"]) == 0
    assert "2 duplicate clips" in capsys.readouterr().out
    with Reader(paths[0].parent) as reader:
        assert {clip: windows.values.tolist() for clip, windows in reader.items()} == before
        assert sum(len(reader.part(path).ids) for path in reader.parts) == 3


def test_discard_removes_stale_rows_alone(fill):
    """Rows whose source is no longer true go, and every other clip keeps its values, source and provenance."""
    path = fill(a="old", b="1", c="1", licence="CC0")
    fill(d="old")
    untouched = fill(e="1")
    before = untouched.stat().st_mtime_ns
    values = dict(Reader(path.parent))
    assert discard(path.parent, lambda _path, _row, _clip, source: source == "old") == 2
    with Reader(path.parent) as reader:
        assert set(reader) == {"b", "c", "e"}
        assert all(same(reader[clip], values[clip]) for clip in reader)
        assert {reader.part(part).attribute("licence") for part in reader.parts} == {"CC0", "MIT"}
    assert untouched.stat().st_mtime_ns == before
    assert discard(path.parent, lambda _path, _row, _clip, source: source == "old") == 0


def test_discard_after_a_killed_discard(fill):
    """When the part that is left after a row goes is there already, from a killed run, its clips are not lost."""
    for name in map(str, itertools.count()):
        newer, both, rest = fill(c=name), fill(c="old", b=name), fill(b=name)
        if newer < both < rest:
            break
        for path in (newer, both, rest):
            path.unlink()
    assert main(["gc", "--yes"]) == 0
    assert set(Reader(rest.parent)) == {"b", "c"}


def test_discard_does_not_bless_damage(fill):
    """A part whose values no longer match their digest is refused, not rewritten with a digest that fits."""
    path = fill(a="old", b="1")
    with h5py.File(path, "r+") as file:
        file["frames"][0] = 7
    with pytest.raises(CacheError, match="do not match"):
        discard(path.parent, lambda _path, _row, clip, _source: clip == "a")
    assert path.exists()


def swap(file, name, data=None, **options):
    """Put another dataset in the place of one."""
    del file[name]
    return file.create_dataset(name, data=data, **options)


def outside(file):
    """Make another HDF5 file beside the part, with steps and values to be tempted by."""
    path = Path(file.filename).with_name("outside.h5")
    with h5py.File(path, "w") as other:
        other["frames"] = file["frames"][()]
        other.create_group("empty")
    return path


def relink(file, name, link):
    """Put a link in the place of what a part holds under a name."""
    file.pop(name, None)
    file[name] = link


def virtual(file):
    """Make the values a view of another file."""
    layout = h5py.VirtualLayout(file["frames"].shape, file["frames"].dtype)
    layout[:] = h5py.VirtualSource(outside(file), "frames", file["frames"].shape)
    del file["frames"]
    file.create_virtual_dataset("frames", layout)


def put(file, name, at, value):
    """Overwrite one number of a table."""
    file[name][at] = value


def strange(file, name, kind):
    """Store steps as a kind of number whose bytes are not those that numpy would have in memory."""
    if name in file:
        del file[name]
    space = h5py.h5s.create_simple((4, 3))
    h5py.h5d.create(
        file.require_group("steps").id if "/" in name else file.id, name.split("/")[-1].encode(), kind, space
    )
    file[name][...] = 1


def brain_half():
    """Return 16 bits with the exponent of a 32-bit float."""
    kind = h5py.h5t.IEEE_F16LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_ebias(127)
    return kind


def twelve_bits():
    """Return a whole number that leaves four of its bits unsaid."""
    kind = h5py.h5t.STD_I16LE.copy()
    kind.set_precision(12)
    return kind


def compact(file, name):
    """Store a table where no offset finds it."""
    data = file[name][()]
    del file[name]
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(data.shape)
    h5py.h5d.create(file["windows"].id, name.split("/")[-1].encode(), h5py.h5t.py_create(data.dtype), space, layout)
    file[name][...] = data


HOSTILE = {
    "a link to another file": lambda f: relink(f, "frames", h5py.ExternalLink(outside(f), "frames")),
    "steps in another file": lambda f: relink(f, "steps", h5py.ExternalLink(outside(f), "empty")),
    "a link within the file": lambda f: (f.move("frames", "x"), relink(f, "frames", h5py.SoftLink("/x"))),
    "a linked folder": lambda f: (f.move("windows", "x"), relink(f, "windows", h5py.SoftLink("/x"))),
    "a view of another file": virtual,
    "bytes in another file": lambda f: swap(
        f, "frames", f["frames"][()], external=[(str(outside(f)), 0, h5py.h5f.UNLIMITED)]
    ),
    "objects": lambda f: swap(f, "clips/source", np.array(["1", "2"], object), dtype=h5py.string_dtype()),
    "references": lambda f: swap(f, "windows/valid", [f.ref, f.ref], dtype=h5py.ref_dtype),
    "chunks": lambda f: swap(f, "frames", f["frames"][()], chunks=(1, 3)),
    "values never written": lambda f: swap(f, "frames", shape=(1 << 40, 3), dtype="float16"),
    "values of another type": lambda f: swap(f, "frames", f["frames"][()].astype("float32")),
    "values of another order": lambda f: swap(f, "frames", f["frames"][()].astype(">f2")),
    "a scalar": lambda f: swap(f, "frames", np.float16(1)),
    "no values": lambda f: f.pop("frames"),
    "halves of another kind": lambda f: strange(f, "frames", brain_half()),
    "numbers of twelve bits": lambda f: strange(f, "steps/mask", twelve_bits()),
    "values packed into the header": lambda f: compact(f, "windows/valid"),
    "a table instead of a folder": lambda f: (f.pop("windows"), f.create_dataset("windows", data=[1])),
    "a folder instead of a table": lambda f: (f.pop("clips/id"), f.create_group("clips/id")),
    "starts that are not whole": lambda f: swap(f, "windows/start", [0.0, 2.0, 4.0]),
    "clip starts that are not whole": lambda f: swap(f, "clips/window_start", [0.0, 1.0, 2.0]),
    "no starts": lambda f: swap(f, "windows/start", np.zeros(0, np.int64)),
    "starts that fall": lambda f: put(f, "windows/start", 1, 9),
    "starts below zero": lambda f: put(f, "clips/window_start", 0, -1),
    "a last start beyond the end": lambda f: put(f, "windows/start", 2, 5),
    "ids in a square": lambda f: swap(f, "clips/id", np.array([[b"a", b"b"]])),
    "ids that are no text": lambda f: put(f, "clips/id", 0, b"\xff"),
    "a clip too many": lambda f: swap(f, "clips/id", np.array([b"a", b"b", b"c"])),
    "a source too few": lambda f: swap(f, "clips/source", np.array([b"1"])),
    "spans of three": lambda f: swap(f, "windows/span_s", np.zeros((2, 3))),
    "spans that are not finite": lambda f: put(f, "windows/span_s", 0, np.nan),
    "more real steps than steps": lambda f: put(f, "windows/valid", 1, 3),
    "a side channel too short": lambda f: f.create_dataset("steps/mask", data=[1, 1]),
    "a folder of side channels": lambda f: f.create_group("steps/mask"),
    "another format": lambda f: f.attrs.create("format", 2),
    "no format": lambda f: f.attrs.pop("format"),
    "another key": lambda f: f.attrs.create("key", np.bytes_(json.dumps(TOY.to_json() | {"version": 2}))),
    "a key that is none": lambda f: f.attrs.create("key", np.bytes_("[]")),
    "a key on the heap": lambda f: f.attrs.create("key", json.dumps(TOY.to_json())),
}


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_hostile_part_is_refused(fill, trick):
    """Law 13: whatever a part promises, links to or leaves out, it is refused and named, and verify says so too."""
    path = fill(a="1", b="2")
    with h5py.File(path, "r+") as file:
        HOSTILE[trick](file)
    with pytest.raises(CacheError) as error:
        dict(Reader(path.parent))
    assert str(path) in str(error.value)
    assert main(["verify"]) == 1


def test_a_part_behind_other_bytes_is_read_right(fill):
    """A file that HDF5 finds behind a block of somebody else's bytes gives the same values, or none."""
    path = fill(a="1", b="2")
    expected = dict(Reader(path.parent))
    with h5py.File(path) as plain, h5py.File(path.with_name("part-1.h5"), "w", userblock_size=512) as behind:
        for name in plain:
            plain.copy(name, behind)
        for name in plain.attrs:
            behind.attrs.create(name, plain.attrs[name])
    path.unlink()
    with Reader(path.parent) as reader:
        assert all(same(reader[clip], windows) for clip, windows in expected.items())
        reader.part(reader.parts[0]).verify()


def test_a_part_of_another_entry_is_refused(fill):
    """A part that was copied from another entry is not read under a key that it was not made for."""
    other = fill(dataclasses.replace(TOY, version=2), a="1")
    path = fill(b="1").with_name(other.name)
    path.write_bytes(other.read_bytes())
    with pytest.raises(CacheError, match="belongs to another entry than toy"):
        Reader(path.parent)


def test_windows_one_by_one(tmp_path):
    """A single window is what the clip has at that place, from either end, and what is not there is refused."""
    windows = windows_of(np.random.default_rng(0), [3, 0, 5, 1], (4,), np.dtype("float16"))
    with Writer(tmp_path / TOY.name, TOY, {}, "") as writer:
        writer.add("before", "s", windows)
        writer.add("a", "s", windows)
    with Reader(tmp_path / TOY.name) as reader:
        for i in range(-4, 4):
            assert reader.window("a", i).tolist() == windows.window(i).tolist()
        for i in (4, -5):
            with pytest.raises(IndexError):
                reader.window("a", i)
        with pytest.raises(KeyError, match="has no features of 'b'"):
            reader.window("b", 0)


@given(st.lists(st.sampled_from("abcdefgxyz")))
def test_many_clips_at_once(several, wanted):
    """Whatever clips are asked for, in whatever order, those that are there come as they would one by one."""
    with Reader(several) as reader:
        found = reader.read(wanted)
        assert found.keys() == set(wanted) & set("abcdefg")
        assert all(same(windows, reader[clip]) for clip, windows in found.items())


def test_a_whole_part_at_once(several):
    """All windows of a part stand one after another, and the clips' bounds cut them as reading them one by one does."""
    with Reader(several) as reader:
        for path in reader.parts:
            part = reader.part(path)
            clips = part.whole().split(part.clip_start.tolist())
            assert all(same(windows, part.read(row)) for row, windows in enumerate(clips))
            assert len(clips) == len(part.ids)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Write an entry of three parts with clips of several lengths and a side channel."""
    folder = tmp_path_factory.mktemp("several") / TOY.name
    generator = np.random.default_rng(0)
    for clips in ("abcd", "ef", "ga"):
        with Writer(folder, TOY, {}, "") as writer:
            for clip in clips:
                lengths = generator.integers(0, 4, generator.integers(0, 4)).tolist()
                if lengths:
                    windows = windows_of(generator, lengths, (3,), np.dtype("float16"), ["mask"])
                else:
                    none = {"mask": np.zeros(0, np.uint16)}
                    windows = Windows(np.zeros((0, 3)), np.zeros(1, int), np.zeros((0, 2)), np.zeros(0, int), none)
                writer.add(clip, "s", windows)
    return folder


def test_what_was_read_is_the_readers_own(fill):
    """Whoever changes an array that was read changes nothing that is read later."""
    path = fill(a="1", b="2")
    with Reader(path.parent) as reader:
        before = {clip: [w.values.tolist(), w.spans_s.tolist(), w.valid.tolist()] for clip, w in reader.items()}
        for windows in (reader["a"], *reader.read("ab").values()):
            windows.values[...], windows.spans_s[...], windows.valid[...], windows.start[...] = 7, 7, 7, 7
        reader.window("a", 0)[...] = 7
        assert {c: [w.values.tolist(), w.spans_s.tolist(), w.valid.tolist()] for c, w in reader.items()} == before


def test_a_part_cut_short_while_it_is_open(tmp_path):
    """What vanishes under an open reader is an error that names the part, not the end of the process."""
    with Writer(tmp_path / TOY.name, TOY, {}, "") as writer:
        writer.add("a", "s", Windows.join([np.ones((5000, 3))], [(0, 1)], [0]))
    with Reader(writer.folder) as reader:
        assert len(reader["a"].values) == 5000
        os.truncate(writer.path, 9000)
        for read in (lambda: reader["a"], lambda: reader.window("a", 0), lambda: reader.read("a")):
            with pytest.raises(CacheError, match=rf"{writer.path.name}: cut short while it was read"):
                read()


@pytest.mark.parametrize("close", [False, True])
def test_a_clip_that_moves_to_another_part(fill, close):
    """A reader whose part is rewritten by somebody else, without a row that was stale, finds its clips all the same."""
    path = fill(a="1", b="old")
    with Reader(path.parent) as reader:
        expected = reader["a"]
        if close:
            reader.close()
        assert discard(path.parent, lambda _path, _row, clip, _source: clip == "b") == 1
        assert same(reader.read(["a"])["a"], expected)
        assert same(reader["a"], expected)
        assert same(Reader(path.parent)["a"], expected)


def test_a_part_that_is_written_anew(fill):
    """A reader takes a part that another run wrote once more, under the same name, for what it is."""
    path = fill(a="1", b="2")
    with Reader(path.parent) as reader:
        expected = reader["b"]
        reader.close()
        path.unlink()
        assert fill(a="1", b="2") == path
        os.utime(path, (1, 1))
        assert same(reader["b"], expected)
        assert same(reader.read(["b"])["b"], expected)


def open_files():
    """Count the files that this process holds open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_more_parts_than_handles(fill, monkeypatch):
    """However many parts there are, no more than `MAX_OPEN` are open at once, and all can be read in any order."""
    monkeypatch.setattr(reader_module, "MAX_OPEN", 3)
    paths = [fill(**{f"clip{i}": "1"}) for i in range(8)]
    before = open_files()
    with Reader(paths[0].parent) as reader:
        expected = {clip: windows.values.tolist() for clip, windows in reader.items()}
        for clip in [*reversed(expected), *expected]:
            assert reader[clip].values.tolist() == expected[clip]
            assert open_files() <= before + 3
    assert open_files() == before
    assert reader["clip5"].values.tolist() == expected["clip5"]
    del reader
    assert open_files() == before


FORKS = """
import os, sys
from pathlib import Path
from features import Reader
reader = Reader(Path(sys.argv[1]))
before = {clip: windows.values.tolist() for clip, windows in reader.items()}
handles = {path: part._handle for path, part in reader._open.items()}
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        last = list(reader)[-1]
        fine = reader[last].values.tolist() == before[last] and len(reader._open) == 1
        fine = fine and all(reader[clip].values.tolist() == before[clip] for clip in reader)
        reader.close()
        os._exit(0 if fine else 1)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
assert all(reader[clip].values.tolist() == before[clip] for clip in reader)
assert {path: part._handle for path, part in reader._open.items()} == handles
"""


def test_a_forked_child_opens_for_itself(fill):
    """Children of a process that reads open the parts for themselves, and the parent's handles stay as they were."""
    paths = [fill(**{f"clip{i}": "1"}) for i in range(3)]
    subprocess.run([sys.executable, "-c", FORKS, paths[0].parent], cwd=HERE, check=True, timeout=60)
