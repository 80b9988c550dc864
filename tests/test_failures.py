"""Failures as data: the newest of each clip counts, and damage costs the damaged record alone."""

import pytest

from features import Failure
from features.failures import FILE, record, recorded

FIRST, SECOND = Failure("a", "s1", "decode", "no “sound”\nat all"), Failure("é/b", "s2", "encode", "too short", 2)


def test_nothing_failed(tmp_path):
    """Without failures there is no file, and none is made."""
    record(tmp_path, [])
    assert recorded(tmp_path) == {}
    assert not list(tmp_path.iterdir())


def test_they_read_back(tmp_path):
    """Every field of every failure is there again, whatever characters it holds."""
    record(tmp_path, [FIRST, SECOND])
    assert recorded(tmp_path) == {"a": FIRST, "é/b": SECOND}


def test_the_newest_counts(tmp_path):
    """A clip that failed again is one failure, the last one."""
    again = Failure("a", "s3", "encode", "not finite", 2)
    for failure in (FIRST, SECOND, again):
        record(tmp_path, [failure])
    assert recorded(tmp_path) == {"a": again, "é/b": SECOND}


def test_a_torn_last_line_costs_one_record(tmp_path):
    """Cut short at any byte of the last line, only that line is lost, and the next record is not."""
    path, third = tmp_path / FILE, Failure("c", "s", "decode", "x")
    record(tmp_path, [FIRST])
    whole_before = path.stat().st_size
    record(tmp_path, [SECOND])
    whole = path.read_bytes()
    for size in range(whole_before, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert recorded(tmp_path) == {"a": FIRST}
        record(tmp_path, [third])
        assert recorded(tmp_path) == {"a": FIRST, "c": third}


def test_versions_are_kept_and_may_be_absent(tmp_path):
    """A failure says which libraries tried; a line of an earlier day, which does not, is read all the same."""
    (tmp_path / FILE).write_text('{"clip": "old", "source": "s", "stage": "decode", "reason": "x", "attempts": 3}\n')
    record(tmp_path, [Failure("new", "s", "decode", "x", 1, {"av": "14.0"})])
    found = recorded(tmp_path)
    assert (found["old"].attempts, found["old"].versions, found["new"].versions) == (3, {}, {"av": "14.0"})


@pytest.mark.parametrize("line", [b"\xff\xfe\x00", b"\0" * 100, b"7", b"[]", b'{"clip": "b"}', b'"a"', b""])
def test_a_line_that_is_no_record(tmp_path, line):
    """What a disk left in place of a line is passed over."""
    record(tmp_path, [FIRST])
    with (tmp_path / FILE).open("ab") as file:
        file.write(line + b"\n")
    record(tmp_path, [SECOND])
    assert recorded(tmp_path) == {"a": FIRST, "é/b": SECOND}
