"""Files as they lie on a disk: letters, wrappers, links, and what only looks like a file."""

import os
import re
import socket
import string
from pathlib import Path

import pytest
import tree_kit
from hypothesis import given
from hypothesis import strategies as st

from manifests import Audio, ManifestError
from manifests import tree as tree_module
from manifests.tree import DEEPEST, Tree

NAME = st.text(string.ascii_letters + string.digits + " _-ÄÖéñ", min_size=1, max_size=8).filter(
    lambda name: name == name.strip()
)


def tree(root, **files):
    """Lay files with one word of content each, and read what lies there."""
    tree_kit.lay(root, files)
    return Tree(root)


def paths(tree, pattern=r".*\.wav"):
    """List what a reader finds by a pattern."""
    return [path for path, _ in tree.find(pattern)]


@given(st.lists(NAME, max_size=3), NAME, st.randoms(use_true_random=False))
def test_wrappers_and_letters(tmp_path_factory, wrappers, name, chance):
    """A file is found by the end of its path in whatever ASCII letters, under any wrapper, and named as it is spelt."""
    root = tmp_path_factory.mktemp("tree")
    path = "/".join((*wrappers, "Raw", f"{name}.WAV"))
    tree_kit.lay(root, {path: "x"})
    asked = "".join(chance.choice((letter.lower(), letter.upper())) if letter.isascii() else letter for letter in name)
    assert paths(Tree(root), rf"raw/{re.escape(asked)}\.wav") == [path]
    assert Tree(root).index(r"raw/([^/]+)\.wav", lower=True) == {name.lower(): path}


def test_a_pattern_begins_at_a_folder(tmp_path):
    """`a.wav` is not found in the end of `banana.wav`."""
    found = tree(tmp_path, **{"a.wav": "x", "banana.wav": "x", "b/a.wav": "x", "b/a.wav.txt": "x"})
    assert paths(found, r"a\.wav") == ["a.wav", "b/a.wav"]


def test_digits_are_plain(tmp_path):
    """A number in a pattern is one of plain digits, which everything that reads it further expects."""
    assert paths(tree(tmp_path, **{"dia3.wav": "x", "dia\N{ARABIC-INDIC DIGIT THREE}.wav": "x"}), r"dia\d\.wav") == [
        "dia3.wav"
    ]


def test_the_nearest_comes_first(tmp_path):
    """Of copies the one nearest to the root comes first, then by name; the index keeps the first that arrived."""
    found = tree(tmp_path, **{"z/a.wav": "x", "b/c/a.wav": "x", "y/a.wav": "", "x/d/e/a.wav": "x"})
    assert paths(found) == ["z/a.wav", "b/c/a.wav", "x/d/e/a.wav"]
    assert found.index(r"(a)\.wav") == {"a": "z/a.wav"}


@pytest.mark.parametrize("newline", ["\n", "\r", "\u2028"])
def test_odd_names(tmp_path, newline):
    """A line end in a name is a character like any other."""
    assert paths(tree(tmp_path, **{f"a{newline}b.wav": "x"})) == [f"a{newline}b.wav"]


@pytest.mark.parametrize(
    "junk", ["._a.wav", ".DS_Store", "Thumbs.db", "THUMBS.DB", "desktop.ini", "__MACOSX/a.wav", ".git/a.wav"]
)
def test_junk(tmp_path, junk):
    """What a file manager or an archiver left behind is neither found nor told by name."""
    found = tree(tmp_path, **{junk: "x", "sub/" + junk: "x", "good.wav": "x"})
    assert paths(found, ".*") == ["good.wav"]
    assert found.junk == (0 if "/" in junk else 2)
    assert found.left_out == {}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "an empty file"),
        (tree_kit.LFS, "not downloaded: a pointer of Git LFS (git lfs pull)"),
    ],
)
def test_what_only_looks_like_a_file(tmp_path, content, why):
    """An empty file and a pointer of Git LFS are told, not found."""
    found = tree(tmp_path, **{"a.wav": content, "b.wav": "x"})
    assert paths(found) == ["b.wav"]
    assert found.left_out == {"a.wav": why}


@given(st.integers(1, 400))
def test_what_only_begins_like_a_pointer(tmp_path_factory, size_bytes):
    """Only a short file that begins as a pointer does is one."""
    content = (tree_kit.LFS * 9)[:size_bytes]
    whole_line = len(b"version https://git-lfs")
    found = tree(tmp_path_factory.mktemp("tree"), **{"a.wav": content})
    assert (paths(found) == []) == (whole_line <= size_bytes < 200)


def test_links(tmp_path):
    """A link to a file or a folder elsewhere is followed; one to nowhere, to itself or in a circle is harmless."""
    disk, root = tmp_path / "disk", tmp_path / "root"
    tree_kit.lay(disk, {"far.wav": "x", "deep/down.wav": "x"})
    tree_kit.lay(root, {"near.wav": "x", "sub/in.wav": "x"})
    links = {"far.wav": disk / "far.wav", "there": disk / "deep", "gone.wav": disk / "nothing", "self.wav": "self.wav"}
    links |= {"sub/up": root, "sub/itself": "itself", "sub/again": root / "sub"}
    for name, target in links.items():
        (root / name).symlink_to(target)
    found = Tree(root)
    assert paths(found, ".*") == ["far.wav", "near.wav", "sub/in.wav", "there/down.wav"]
    assert found.left_out == dict.fromkeys(("gone.wav", "self.wav", "sub/itself"), "a broken link")


@pytest.mark.parametrize("link", ["all", "zero"])
def test_a_folder_keeps_its_own_name(tmp_path, link):
    """A link to a folder of the tree does not hide its real name, which may be all that tells a split."""
    tree_kit.lay(tmp_path, {"some/train/a.wav": "x"})
    (tmp_path / link).symlink_to(tmp_path / "some" / "train")
    assert paths(Tree(tmp_path)) == ["some/train/a.wav"]


@pytest.mark.parametrize(("folders", "seen"), [(DEEPEST, True), (DEEPEST + 1, False)])
def test_how_deep_it_looks(tmp_path, folders, seen):
    """The search ends at a depth that no habit of unpacking reaches."""
    path = "/".join(["d"] * folders + ["a.wav"])
    assert (paths(tree(tmp_path, **{path: "x"})) == [path]) == seen


def test_names_that_no_manifest_can_hold(tmp_path):
    """A name that is not UTF-8, or that another system would take for another place, is told and not found."""
    tree_kit.lay(tmp_path, {"good.wav": "x", "..\\up.wav": "x", "C:a.wav": "x"})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xffd.wav")).write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xe9")).mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xe9/a.wav")).write_bytes(b"x")
    found = Tree(tmp_path)
    assert paths(found, ".*") == ["good.wav"]
    assert found.left_out == {
        r"'b\udcffd.wav'": "its name is not UTF-8",
        r"'f\udce9/a.wav'": "its name is not UTF-8",
        r"'..\\up.wav'": "its name says another place",
        "'C:a.wav'": "its name says another place",
    }


@given(st.lists(st.text("ab.\\:~ \n", min_size=1, max_size=6).filter(lambda name: name not in {".", ".."})))
def test_whatever_is_found_can_stand_in_a_manifest(tmp_path_factory, names):
    """Every path that a reader is handed makes a clip."""
    root = tmp_path_factory.mktemp("tree")
    tree_kit.lay(root, dict.fromkeys(names, "x"))
    found = Tree(root)
    assert all(Audio(path) for path in paths(found, ".*"))
    assert len(paths(found, ".*")) + len(found.left_out) + found.junk == len(set(names))


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    """A folder that the system refuses to list is told, and the others are read."""

    def refusing(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    listing = os.scandir
    monkeypatch.setattr(tree_module.os, "scandir", refusing)
    found = tree(tmp_path, **{"locked/a.wav": "x", "open/a.wav": "x"})
    assert paths(found) == ["open/a.wav"]
    assert found.left_out == {"'locked'": "a folder that cannot be read: Permission denied"}


def test_a_socket_is_no_file(tmp_path, monkeypatch):
    """What cannot be opened is never opened."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.wav")
        assert paths(Tree(tmp_path)) == []


def test_a_file_that_vanishes_is_told(tmp_path):
    """What was there when the tree was listed, and is not when it is looked for, does not end the reading."""
    found = tree(tmp_path, **{"a.wav": "x", "b.wav": "x"})
    (tmp_path / "a.wav").unlink()
    assert paths(found) == ["b.wav"]
    assert list(found.left_out) == ["a.wav"]


def test_what_a_reader_leaves_out_stays_out(tmp_path):
    """What a reader has left out is found no more, and keeps the reader's reason."""
    found = tree(tmp_path, **{"a.wav": "", "b.wav": "x"})
    found.leave_out("a.wav", "known to be bad")
    found.leave_out("b.wav", "no table names it")
    assert paths(found) == []
    assert found.left_out == {"a.wav": "known to be bad", "b.wav": "no table names it"}


def test_a_warning_is_said_once(tmp_path):
    """What holds for the whole corpus is not said for every clip."""
    found = tree(tmp_path)
    for _ in range(3):
        found.warn("no official split")
    assert found.warnings == ["no official split"]


def test_a_table_as_large_as_a_film_is_refused(tmp_path):
    """A film with the name of a table is not read into memory."""
    found = tree(tmp_path, **{"a.csv": "x", "b.csv": "x"})
    with (tmp_path / "b.csv").open("r+b") as file:
        file.truncate(tree_module.MAX_TEXT_BYTES + 1)
    assert found.bytes("a.csv") == b"x"
    with pytest.raises(ManifestError, match=r"b\.csv: expected a table, got 256 MB"):
        found.bytes("b.csv")
