"""A disk that fills up, goes away or may not be written: one error that names the file, and nothing half written."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import TOY

from features import Failure, Reader, Windows, Writer
from features.entries import create
from features.failures import FILE, record, recorded

HERE = Path(__file__).parents[1]
BIG = Windows.join([np.ones((5000, 2))], [(0, 1)], [0])
FULL = """
import json, resource, sys
from pathlib import Path
import numpy as np
from features import Key, Reader, Windows, Writer
key = Key("toy", 1, "clip")
folder = Path(sys.argv[1]) / key.name
def write(clip, bytes_):
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, -1))
    with Writer(folder, key, {}, "") as writer:
        writer.add(clip, "s", Windows.join([np.ones((5000, 2))], [(0, 1)], [0]))
    return writer.path.stat().st_size
size = write("first", -1)
errors = []
for room in [*range(0, 1000, 250), *range(1000, size - 4000, 1999), *range(size - 4000, size, 83)]:
    try:
        write(f"c{room}", room)
    except OSError as error:
        errors.append([error.errno, error.strerror, error.filename])
write("last", -1)
with Reader(folder) as reader:
    [reader.part(path).verify() for path in reader.parts]
    print(json.dumps([sorted(reader), errors, [path.name for path in folder.iterdir()]]))
"""


def test_a_disk_that_fills_up(tmp_path):
    """However little room is left, a part that does not fit is one error, and leaves a process that goes on writing."""
    command = [sys.executable, "-c", FULL, tmp_path]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    clips, errors, left = json.loads(done.stdout)
    assert clips == ["first", "last"]
    assert len(errors) > 50
    for code, reason, path in errors:
        assert (code, Path(path).parent) == (errno.EFBIG, tmp_path / TOY.name)
        assert Path(path).name.startswith("part-")
        assert "make room there" in reason
    assert sorted(left, key=len) == ["spec.json", "index.jsonl", *(name for name in left if name.startswith("part-"))]


@contextmanager
def little_room():
    """Let no file grow beyond 100 bytes, the test runner's own log included: so only for a moment."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room_to_begin_an_entry(tmp_path):
    """An entry whose key does not fit on the disk is not begun by half."""
    with pytest.raises(OSError, match=r"make room there.*spec\.json") as error, little_room():
        create(tmp_path / TOY.name, TOY)
    assert error.value.errno == errno.EFBIG
    assert not list((tmp_path / TOY.name).iterdir())


def test_no_room_for_failures(tmp_path):
    """A failure that cannot be noted is an error that says where, and costs no failure that is noted already."""
    record(tmp_path, [Failure("a", "s", "x", "y")])
    with pytest.raises(OSError, match=r"make room there.*failures\.jsonl"), little_room():
        record(tmp_path, [Failure("b", "s", "decode", "too long a story for so little room")])
    assert recorded(tmp_path) == {"a": Failure("a", "s", "x", "y")}


def test_a_full_disk_costs_only_the_last_failure(tmp_path):
    """What is noted after there is room again stands on a line of its own."""
    record(tmp_path, [Failure("a", "s", "x", "y")])
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"clip": "b", "sou')
    record(tmp_path, [Failure("c", "s", "x", "y")])
    assert set(recorded(tmp_path)) == {"a", "c"}


def begin(folder, **options):
    """Write one part."""
    with Writer(folder, TOY, {}, "", **options) as writer:
        writer.add("a", "s", BIG)


def test_an_entry_that_went_away(tmp_path):
    """Whoever has begun an entry and finds it gone, as with a disk that was unmounted, does not begin it anew."""
    folder = tmp_path / "disk" / TOY.name
    begin(folder)
    shutil.rmtree(folder)
    for write in (lambda: begin(folder, begins=False), lambda: record(folder, [Failure("a", "s", "x", "y")])):
        with pytest.raises(OSError, match="still mounted") as error:
            write()
        assert Path(error.value.filename).parent == folder
    assert not folder.exists()
    begin(folder)
    assert set(Reader(folder)) == {"a"}


def test_a_folder_that_cannot_be_made(tmp_path):
    """A file in the place of the cache is one error that names it."""
    (tmp_path / "cache").touch()
    with pytest.raises(OSError, match=r"cannot write.*cache"):
        begin(tmp_path / "cache" / TOY.name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into any folder")
def test_a_folder_that_may_not_be_written(tmp_path):
    """A cache that belongs to somebody else is one error that says so, and is read as ever."""
    begin(tmp_path / TOY.name)
    (tmp_path / TOY.name).chmod(0o500)
    try:
        with (
            pytest.raises(PermissionError, match="make that folder writable"),
            Writer(tmp_path / TOY.name, TOY, {}, "") as writer,
        ):
            writer.add("b", "s", BIG)
        assert set(Reader(tmp_path / TOY.name)) == {"a"}
    finally:
        (tmp_path / TOY.name).chmod(0o700)
