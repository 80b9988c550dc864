"""Somebody else's HDF5: read to the bit whatever packs it, never followed, never believed; and written on any disk."""

import errno
import random
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from features import CacheError, hdf5, hdf5_making
from features.rows import BLOCK_BYTES

HERE = Path(__file__).parents[1]
VALUES = np.random.default_rng(0).standard_normal((37, 5, 3))
WORDS = ["a", "grüße", "", "long " * 30, "last"]


def read(path, name="a"):
    """Read one array of a file."""
    with hdf5.whole(path, "mend it"), hdf5.opened(path, "mend it") as file:
        return file.rows(name).whole()


@pytest.fixture
def path(tmp_path):
    """Where a file shall lie."""
    return tmp_path / "theirs.h5"


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("block", [0, 512])
@pytest.mark.parametrize(
    "packed",
    [
        {},
        {"chunks": (10, 2, 3)},
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "chunks": (10, 5, 2)},
        {"compression": "lzf", "shuffle": True, "chunks": (7, 5, 3)},
        {"compression": "lzf", "chunks": (64, 2, 2), "maxshape": (None, 5, 3)},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "f2", "i4", "?"])
def test_arrays_are_read_to_the_bit(path, packed, dtype, block, libver):
    """Whatever lays an array out and packs it, its values and their type come back, also behind a user block."""
    values = VALUES.astype(dtype)
    with h5py.File(path, "w", libver=libver, userblock_size=block) as file:
        file.create_dataset("group/a", data=values, **packed)
    found, native = read(path, "group/a"), values.astype(values.dtype.newbyteorder("="))
    assert (found.dtype, found.tobytes()) == (native.dtype, native.tobytes())


def test_blocks_are_small(path):
    """A large array is read some rows at a time, plain or in chunks."""
    values = np.arange(3 * BLOCK_BYTES // 8, dtype=np.int64).reshape(-1, 1024)
    with h5py.File(path, "w") as file:
        file["plain"] = values
        file.create_dataset("packed", data=values, chunks=(512, 1024), compression="lzf")
    with hdf5.opened(path, "") as file:
        for name in ("plain", "packed"):
            blocks = [block.copy() for block in file.rows(name).blocks()]
            assert max(block.nbytes for block in blocks) <= BLOCK_BYTES
            assert np.array_equal(np.concatenate(blocks), values)


@pytest.mark.parametrize("block", [0, 512])
def test_texts_of_any_kind(path, block):
    """Texts of one length and of any, in a heap, are read as they are; so is what other tools pad with blanks."""
    with h5py.File(path, "w", userblock_size=block) as file:
        file["any"] = WORDS
        file.create_dataset("packed", data=WORDS, chunks=(2,), compression="gzip", dtype=h5py.string_dtype())
        file["fixed"] = np.array([word.encode() for word in WORDS])
        file["one"] = "alone"
        for name, pad in (("blanks", h5py.h5t.STR_SPACEPAD), ("ends", h5py.h5t.STR_NULLTERM)):
            kind = h5py.h5t.C_S1.copy()
            kind.set_size(6)
            kind.set_strpad(pad)
            made = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple((2,)))
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([b"ab    ", b"c d   "]), kind)
    with hdf5.opened(path, "") as file:
        assert [file.texts(name) for name in ("any", "packed", "fixed", "one")] == [WORDS] * 3 + [["alone"]]
        assert file.texts("blanks") == ["ab", "c d"]
        assert [text.strip() for text in file.texts("ends")] == ["ab", "c d"]
        assert file.rows("any").whole().tolist() == WORDS


def test_many_texts(path):
    """Texts that fill many heaps are all found."""
    words = [f"clip {i} " + "x" * (i % 300) for i in range(3000)]
    with h5py.File(path, "w") as file:
        file["ids"] = words
    with hdf5.opened(path, "") as file:
        assert file.texts("ids") == words


def linked(file, other):
    """Name what lies elsewhere."""
    file["a"] = h5py.ExternalLink(other, "a")


def soft(file, _):
    """Name something by a second name that is no more than a name."""
    file["b"] = np.ones((2, 2))
    file["a"] = h5py.SoftLink("/b")


def dangling(file, _):
    """Name what is not there."""
    file["a"] = h5py.SoftLink("/nothing")


def virtual(file, other):
    """Put an array together of another file's."""
    layout = h5py.VirtualLayout((2, 2), "f8")
    layout[:] = h5py.VirtualSource(other, "a", (2, 2))
    file.create_virtual_dataset("a", layout)


def elsewhere(file, other):
    """Store an array's bytes in another file."""
    file.create_dataset("a", (2, 2), "f8", external=[(other, 0, 32)])


def references(file, _):
    """Hold references."""
    file["a"] = np.array([file.ref], h5py.ref_dtype)


def ragged(file, _):
    """Hold arrays of any lengths, which lie in a heap."""
    made = file.create_dataset("a", (2,), h5py.vlen_dtype("f4"))
    made[0] = [1, 2, 3]


def records(file, _):
    """Hold records."""
    file["a"] = np.zeros(3, [("x", "f4"), ("y", "i4")])


def unwritten(file, _):
    """Promise an exabyte that was never written."""
    file.create_dataset("a", (2**40, 2**17), "f8", chunks=(1, 2**17))


def half_written(file, _):
    """Promise more chunks than there are."""
    file.create_dataset("a", (100, 4), "f8", chunks=(10, 4))[:50] = 1


def flat(file, _):
    """Promise rows without numbers, more of them than anybody could count."""
    file.create_dataset("a", (2**60, 0), "f8", chunks=None)


def zeros(file, _):
    """Pack two gigabytes of zeros into few kilobytes."""
    space = h5py.h5s.create_simple((64, 2**22))
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_chunk((1, 2**22))
    how.set_deflate(9)
    made = h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F64LE, space, how)
    packed = zlib.compress(bytes(2**25), 9)
    for row in range(64):
        made.write_direct_chunk((row, 0), packed)


def bomb(file, _):
    """Let a chunk of some bytes unfold to many."""
    made = file.create_dataset("a", (10, 4), "f8", chunks=(10, 4), compression="gzip")
    made.id.write_direct_chunk((0, 0), zlib.compress(bytes(2**27), 9))


def short(file, _):
    """Let a chunk unfold to less than it promises."""
    made = file.create_dataset("a", (10, 4), "f8", chunks=(10, 4), compression="gzip")
    made.id.write_direct_chunk((0, 0), zlib.compress(bytes(8)))


def other_filter(file, _):
    """Use a filter that is not known here."""
    file.create_dataset("a", data=np.ones((10, 4)), chunks=(10, 4), fletcher32=True)


def group(file, _):
    """Put a group where an array should be."""
    file.create_group("a")


HOSTILE = {
    linked: "missing or a link",
    soft: "missing or a link",
    dangling: "missing or a link",
    virtual: "lies in other files",
    elsewhere: "lies in other files",
    references: "something else than numbers",
    ragged: "something else than numbers",
    records: "something else than numbers",
    unwritten: "promises more than is stored",
    half_written: "promises more than is stored",
    flat: "no number in a row",
    zeros: "would unfold to 2147 MB",
    bomb: "unfolds to something else",
    short: "unfolds to something else",
    other_filter: "packed by fletcher32",
    group: "not an array",
}


@pytest.mark.parametrize("lay", HOSTILE, ids=lambda lay: lay.__name__)
def test_hostile_arrays_are_refused(path, tmp_path, lay):
    """Nothing is followed, nothing unfolds, and nothing is believed: a word that names the file and what to do."""
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["a"] = np.ones((2, 2))
    with h5py.File(path, "w") as file:
        lay(file, str(other))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CacheError, match=HOSTILE[lay]) as told:
        read(path)
    assert str(path) in str(told.value)
    assert "mend it" in str(told.value) or "store it without" in str(told.value) or "h5repack" in str(told.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_a_chunk_that_wants_much_memory(path):
    """LZF takes as much memory as the file says that a chunk needs, so that what it says is compared first."""
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.zeros((10, 4)), compression="lzf", chunks=(10, 4))
    honest, lying = (struct.pack("<III", 4, 261, size) for size in (320, 2**31))
    assert path.read_bytes().count(honest) == 1
    path.write_bytes(path.read_bytes().replace(honest, lying))
    with pytest.raises(CacheError, match="packed by lzf"):
        read(path)


def test_small_arrays_may_unfold_far(path):
    """A few zeros pack a thousandfold, as padding does, and are read all the same."""
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.zeros((1000, 1000)), compression="gzip", compression_opts=9)
    assert path.stat().st_size < 8_000_000 / 64
    assert not read(path).any()


def test_a_group_within_itself(path):
    """A file whose groups go round in a circle ends with a word."""
    with h5py.File(path, "w") as file:
        file.create_group("a")["again"] = file["/"]
    with hdf5.opened(path, "mend it") as file, pytest.raises(CacheError, match="groups deep"):
        file.arrays()


def test_more_arrays_than_anybody_has(path, monkeypatch):
    """Arrays are counted before they are looked at."""
    monkeypatch.setattr(hdf5, "MOST_ARRAYS", 3)
    with h5py.File(path, "w") as file:
        for i in range(4):
            file[f"g/{i}"] = i
    with hdf5.opened(path, "mend it") as file, pytest.raises(CacheError, match="more than 3 arrays"):
        file.arrays()


def test_what_is_no_hdf5(path):
    """Neither text nor the half of a file is taken for one."""
    with h5py.File(path, "w") as file:
        file["a"] = VALUES
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(CacheError, match="cut short or damaged"):
            read(path)


FUZZ = """
import random, resource, signal, sys
from pathlib import Path
from features import CacheError, csd

path, seed, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
whole, chance, told = path.read_bytes(), random.Random(seed), 0
for _ in range(times):
    data = bytearray(whole)
    for _ in range(chance.choice([1, 1, 4])):
        at = chance.randrange(len(data))
        data[at] = chance.choice([0, 255, data[at] ^ 1 << chance.randrange(8)])
    path.write_bytes(data)
    signal.alarm(20)
    try:
        list(csd.read(path)), csd.said(path)
    except CacheError:
        told += 1
print(told)
"""


@pytest.mark.parametrize("packed", [{}, {"compression": "gzip"}, {"compression": "lzf"}], ids=["plain", "gzip", "lzf"])
def test_a_wrong_byte_anywhere(tmp_path, packed):
    """Of 150 damaged files none crashes, hangs or takes the memory: each is read, or refused with a word."""
    path = tmp_path / "x.csd"
    with h5py.File(path, "w") as file:
        for i in range(3):
            file.create_dataset(f"R/data/{i}/features", data=VALUES[:20, 0], **packed)
            file.create_dataset(f"R/data/{i}/intervals", data=np.arange(40.0).reshape(20, 2), **packed)
        file["R/metadata/creator"] = ['"somebody"']

    command = [sys.executable, "-c", FUZZ, str(path), str(random.Random(str(packed)).randrange(99)), "150"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 10


def test_what_is_written_is_read_by_anybody(path):
    """Arrays come out at once or by blocks, texts padded to one length, all of them plain."""
    with hdf5_making.making(path) as made:
        made.array("g/a", VALUES)
        made.table("t", VALUES.shape, VALUES.dtype, (VALUES[i : i + 10] for i in range(0, 37, 10)))
        made.texts("w", WORDS)
        made.texts("none", [])
    with h5py.File(path) as file:
        assert np.array_equal(file["g/a"][:], VALUES)
        assert np.array_equal(file["t"][:], VALUES)
        assert [word.decode() for word in file["w"][:]] == WORDS
        assert {file[name].chunks for name in ("g/a", "t", "w", "none")} == {None}
    with hdf5.opened(path, "") as file:
        assert file.arrays() == ["g/a", "none", "t", "w"]
        assert file.texts("w") == WORDS
        assert file.texts("none") == []


FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from features import hdf5_making

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    with hdf5_making.making(Path(sys.argv[1])) as made:
        for i in range(100):
            made.array(f"group{i}/a", np.ones(int(sys.argv[2])))
except OSError as error:
    print(error.errno)
"""


@pytest.mark.parametrize("size", [100_000, 1_000, 3])
def test_a_disk_that_is_full(path, size):
    """A write that the disk refuses is an error of the disk, whenever it comes, and ends no process."""
    command = [sys.executable, "-c", FULL, str(path), str(size)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{errno.EFBIG}\n", "")
