"""Shared plus private: one's own cache first, those of others read where they lie, and no link leads out of any."""

import os
import shutil
import stat
import tempfile
import traceback
from pathlib import Path

import pytest

from features import CacheError, Key, Reader, find, folder_of
from features.__main__ import main
from features.disk import beside, make_folder
from features.entries import entries, is_random
from features.failures import Failure, record, recorded
from features.reader import Reader as Plain
from features.roots import copies, corpora, root, roots
from features.store import discard

TOY = Key("toy", 1, "clip")


@pytest.fixture
def both(fill, roots, monkeypatch):
    """Make a colleague's cache of the clips a and b, and set up one's own in front of it; return how to fill that."""
    shared, own = roots / "shared", roots / "own"
    monkeypatch.setenv("FEATURES_ROOT", str(shared))
    fill(a="1", b="2")
    monkeypatch.setenv("FEATURES_ROOT", f"{own}{os.pathsep}{shared}")
    return fill


def test_the_first_is_written_to_and_all_are_read(both, roots):
    """What is made goes to the first cache; a reader has the clips of both, and of one in both one's own."""
    assert set(Reader(find("toys", "toy"))) == {"a", "b"}
    path = both(b="3", c="4")
    assert path.is_relative_to(roots / "own")
    reader = Reader(folder_of("toys", TOY))
    assert (set(reader), reader.sources) == ({"a", "b", "c"}, {"a": "1", "b": "3", "c": "4"})
    assert set(reader.read("abc")) == set("abc")
    assert (len(reader.folders), len(list(Plain(path.parent, alone=True)))) == (2, 2)


def test_what_a_colleague_made_is_found(both):
    """An entry that lies in the shared cache alone is listed and found, though one's own cache has no folder at all."""
    assert corpora() == ["toys"]
    assert list(entries("toys").values()) == [TOY]
    assert not folder_of("toys", TOY).exists()
    assert set(Reader(folder_of("toys", TOY))) == {"a", "b"}
    both(key=Key("other", 1, "clip", builds_on=(TOY.name,)), c="1")
    assert not is_random(find("toys", "other"))


def test_shared_caches_are_never_written_to(both, roots, capsys):
    """Neither tidying nor discarding touches anybody else's cache, and verify looks at all of them."""
    before = {path: path.stat().st_mtime_ns for path in (roots / "shared").rglob("*")}
    both(a="1")
    assert main(["gc", "--yes"]) == 0
    assert discard(folder_of("toys", TOY), lambda *_: True) == 1
    assert {path: path.stat().st_mtime_ns for path in (roots / "shared").rglob("*")} == before
    both(a="1")
    assert main(["verify"]) == 0
    assert "2 parts checked" in capsys.readouterr().out


def test_failures_of_colleagues_count(both, roots):
    """A clip that failed for somebody else is not tried again, unless one's own record says more."""
    theirs, mine = (Failure("x", "1", "decode", reason) for reason in ("theirs", "mine"))
    record(roots / "shared" / "toys" / TOY.name, [theirs])
    assert recorded(folder_of("toys", TOY)) == {"x": theirs}
    both(c="1")
    record(folder_of("toys", TOY), [mine])
    assert recorded(folder_of("toys", TOY)) == {"x": mine}


def test_a_shared_cache_that_is_not_there_is_said(roots, monkeypatch):
    """A disk that is not mounted is an error, and no reason to compute everything again."""
    monkeypatch.setenv("FEATURES_ROOT", f"{roots / 'own'}:{roots / 'gone'}")
    with pytest.raises(CacheError, match="gone, which is not there: mount it"):
        find("toys", "toy")


@pytest.mark.parametrize("said", ["", ":", "::"])
def test_nothing_said_is_the_package(monkeypatch, said):
    """An empty path means the cache in the checkout, as no path does."""
    monkeypatch.setenv("FEATURES_ROOT", said)
    assert [each.name for each in roots()] == ["features"]
    assert root() == roots()[0]


def test_a_cache_twice_is_one(both, roots, monkeypatch):
    """A folder that is named twice is looked into once."""
    own = roots / "own"
    monkeypatch.setenv("FEATURES_ROOT", os.pathsep.join(map(str, (own, own, roots / "shared", own))))
    both(c="1")
    assert len(copies(folder_of("toys", TOY))) == 2


@pytest.mark.parametrize("link", ["corpus", "entry", "part", "spec"])
def test_a_link_out_of_the_cache_is_refused(fill, roots, link):
    """Law 13: a corpus, an entry, a part or a key that is a link to elsewhere is named and not followed."""
    part = fill(a="1")
    path = {"corpus": part.parent.parent, "entry": part.parent, "part": part, "spec": part.parent / "spec.json"}[link]
    path.rename(roots / "elsewhere")
    path.symlink_to(roots / "elsewhere")
    with pytest.raises(CacheError, match="a link that leads out of"):
        Reader(folder_of("toys", TOY))
    assert main(["ls"]) == 2


def test_a_link_within_the_cache_is_followed(fill):
    """What stays inside is nobody's trick: annexes keep files so."""
    part = fill(a="1")
    part.rename(root() / "kept.h5")
    part.symlink_to(root() / "kept.h5")
    assert set(Reader(part.parent)) == {"a"}


def test_the_group_may_do_with_files_what_it_may_do_with_the_folder(tmp_path):
    """Under a strict umask, what is made in a folder of a group is the group's, too, and elsewhere it is not."""
    mask = os.umask(0o077)
    try:
        for name, mode, file_bits, folder_bits in (("group", 0o2770, 0o660, 0o770), ("own", 0o700, 0o600, 0o700)):
            top = tmp_path / name
            top.mkdir()
            top.chmod(mode)
            make_folder(top / "corpus" / "entry")
            with beside(top / "corpus" / "entry" / "file") as temporary:
                temporary.write_text("x")
            assert stat.S_IMODE((top / "corpus" / "entry" / "file").stat().st_mode) == file_bits
            assert {stat.S_IMODE(path.stat().st_mode) & 0o777 for path in (top / "corpus").rglob("entry")} == {
                folder_bits
            }
    finally:
        os.umask(mask)


def test_a_whole_entry_is_the_groups(fill):
    """Parts, key, index and failures of a shared cache can be added to by everybody in the group."""
    root().mkdir(parents=True)
    root().chmod(0o2770)
    mask = os.umask(0o022)
    try:
        part = fill(a="1")
        record(part.parent, [Failure("x", "1", "decode", "x")])
    finally:
        os.umask(mask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o060 for path in part.parent.iterdir()}
    assert set(modes.values()) == {0o060}
    assert {"spec.json", "index.jsonl", "failures.jsonl", part.name} == modes.keys()


def as_somebody(user, group, work):
    """Do something in a process of another user whose umask leaves the group no rights; return how it ended."""
    child = os.fork()
    if not child:
        try:
            os.setgroups([group])
            os.setgid(group)
            os.setuid(user)
            os.umask(0o077)
            work()
        except BaseException:  # noqa: BLE001 - whatever it is must not go on in a copy of this test
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two others")
def test_two_people_of_a_group_fill_one_cache(fill, monkeypatch):
    """One begins an entry, the other adds to it, both note failures and push; strangers cannot look."""
    top = Path(tempfile.mkdtemp())
    cache = top / "cache"
    try:
        top.chmod(0o755)
        cache.mkdir()
        os.chown(cache, -1, 5_000)
        cache.chmod(0o2770)
        monkeypatch.setenv("FEATURES_ROOT", str(cache))
        failure = Failure("x", "1", "decode", "x")
        for user, clips in ((5_001, {"a": "1"}), (5_002, {"b": "1"})):
            assert as_somebody(user, 5_000, lambda clips=clips: record(fill(**clips).parent, [failure])) == 0
        assert set(Reader(folder_of("toys", TOY))) == {"a", "b"}
        assert as_somebody(5_003, 5_000, lambda: dict(Reader(folder_of("toys", TOY)))) == 0
        assert as_somebody(5_004, 5_004, lambda: dict(Reader(folder_of("toys", TOY)))) != 0
        assert len((folder_of("toys", TOY) / "failures.jsonl").read_text().splitlines()) == 2
    finally:
        shutil.rmtree(top)
