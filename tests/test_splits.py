"""The user's own list of splits, the options of a reader, and the other name that a manifest may have."""

import csv
import io
from types import SimpleNamespace
from typing import Literal

import pytest
import tree_kit
from hypothesis import given
from hypothesis import strategies as st

from manifests import Audio, Clip, ManifestError, Video, read, scan, splits, write
from manifests.reading import options_of
from manifests.tree import Tree

CLIPS = (
    Clip("a1", "toy", "session1", speaker_id="Ann", dialogue_id="d1", audio=Audio("wav/one/a1.wav")),
    Clip("a2", "toy", "session1", speaker_id="Bob", dialogue_id="d1", video=Video("film/a2.x.mp4")),
    Clip("b1", "toy", "session2", speaker_id="Ann", dialogue_id="d2", audio=Audio("wav/two/a1.wav")),
    Clip("b2", "toy", "session2"),
)


def divided(tmp_path, table, clips=CLIPS):
    """Divide clips by a list with this text; return the split of each that is left, and what was left out."""
    file = tmp_path / "list.csv"
    file.write_bytes(table if isinstance(table, bytes) else table.encode())
    (tmp_path / "empty").mkdir(exist_ok=True)
    tree = Tree(tmp_path / "empty")
    found = splits.divided(clips, file, tree)
    assert {clip.split_source for clip in found} == {"file: list.csv"}
    return {clip.id: clip.split for clip in found}, tree.left_out


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("id,split\na1,train\nb1,dev\nb2,test\n", {"a1": "train", "b1": "dev", "b2": "test"}),
        ("dialogue,split\nd1,train\nd2,test\n", {"a1": "train", "a2": "train", "b1": "test"}),
        ("base,split\nd2,test\n", {"b1": "test"}),
        ("speaker,split\nAnn,train\n", {"a1": "train", "b1": "train"}),
        ("session,split\nsession2,test\n", {"b1": "test", "b2": "test"}),
        ("split,note,id\ntest,fine,a2\n", {"a2": "test"}),
        ("id,speaker,split\na1,Bob,test\n", {"a1": "test"}),
        ("file,split\na1.wav,train\n", {"a1": "train", "b1": "train"}),
        ("file,split\none/a1,train\na1,test\n", {"a1": "train", "b1": "test"}),
        ("file,split\nfilm/a2.x.mp4,dev\n", {"a2": "dev"}),
        ("file,split\na2.x,dev\n", {"a2": "dev"}),
        ("id,split\na1,VALID\na2,val\nb1,Devel\nb2, Test \n", {"a1": "dev", "a2": "dev", "b1": "dev", "b2": "test"}),
        ("\ufeffid,split\r\n a1 ,fold 3\r\n\r\n", {"a1": "fold 3"}),
        ("id,split\na1,train\na1,train\n", {"a1": "train"}),
    ],
)
def test_every_way_to_say_whose(tmp_path, table, expected):
    """A list may go by id, dialogue, speaker, session or file; it may have other columns, in any order."""
    found, left_out = divided(tmp_path, table)
    assert found == expected
    unnamed = {clip.id for clip in CLIPS} - expected.keys()
    assert {name for name, why in left_out.items() if why == "not in list.csv"} == unnamed


def test_what_the_list_names_in_vain(tmp_path):
    """A name of the list that no clip has is told, in the list's order."""
    _, left_out = divided(tmp_path, "id,split\nz,train\na1,train\ny,test\n")
    vain = [name for name, why in left_out.items() if why == "no such clip in the corpus"]
    assert vain == ["list.csv: z", "list.csv: y"]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("", "expected columns split"),
        ("id\na1\n", "expected columns split; missing: split"),
        ("split\ntrain\n", "expected a column id or .* beside split, got split"),
        ("name,split\na1,train\n", "expected a column id or .* beside split, got name, split"),
        ("id,split\n", "expected a column id or"),
        ("id,split\na1,\n", "row 1: expected a id and a split, got 'a1' and ''"),
        ("id,split\na1,train\n,test\n", "row 2: expected a id and a split, got '' and 'test'"),
        ("id,split\na1,train\na1,test\n", "row 2: a1 is in 'train' and in 'test'"),
        ("id,split\nnobody,train\n", "names none of these clips by its column 'id'"),
        ("id,split\na1,one/two\n", "column 'split': expected a printable name without slashes, got 'one/two'"),
        (f"id,split\na1,{'x' * 300}\n", "column 'split': expected at most 200 bytes"),
        ("name,split\na1,train,more\n", "row 1: expected 2 cells, got also 'more'"),
        ('id,split\n"a1,train\n', "is the file complete"),
        (b"\x00\xff\xfe" * 9, "expected columns split"),
    ],
)
def test_bad_lists(tmp_path, table, complaint):
    """A list that cannot be used is refused by its name, and by row where there is one."""
    with pytest.raises(ManifestError, match=rf"list\.csv.* {complaint}"):
        divided(tmp_path, table)


def test_no_list(tmp_path):
    """A list that is not there, a folder and a film are refused."""
    tree = Tree(tmp_path)
    with pytest.raises(ManifestError, match=r"gone\.csv: no such file; expected a table of id or "):
        splits.divided(CLIPS, tmp_path / "gone.csv", tree)
    with pytest.raises(ManifestError, match="no such file"):
        splits.divided(CLIPS, tmp_path, tree)
    with (tmp_path / "film.csv").open("wb") as file:
        file.truncate(splits.MAX_BYTES + 1)
    with pytest.raises(ManifestError, match="expected a table, got 64 MB"):
        splits.divided(CLIPS, tmp_path / "film.csv", tree)


NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)


@given(st.dictionaries(NAMES, st.sampled_from(["train", "dev", "test"]), min_size=1), st.sets(NAMES), st.data())
def test_any_list(tmp_path_factory, split_of, others, data):
    """Every clip of the list gets its split, in the corpus' order; no other clip is kept, and all are told."""
    ids = data.draw(st.permutations([*split_of, *sorted(others - split_of.keys())]))
    text = io.StringIO()
    csv.writer(text).writerows([("id", "split"), *split_of.items()])
    clips = tuple(Clip(name, "toy", "all") for name in ids)
    found, left_out = divided(tmp_path_factory.mktemp("list"), text.getvalue(), clips)
    assert list(found.items()) == [(name, split_of[name]) for name in ids if name in split_of]
    assert left_out.keys() == others - split_of.keys()


def reader(
    tree,
    *,
    side: Literal["left", "right"] = "left",
    shortest_s: float = 0.3,
    frames: int = 0,
    language: str = "",
):
    """Have one option of each kind, as readers do."""


OPTIONS = SimpleNamespace(clips=reader)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({}, {}),
        ({"side": "right"}, {"side": "right"}),
        ({"shortest_s": "1.5"}, {"shortest_s": 1.5}),
        ({"shortest_s": "2"}, {"shortest_s": 2.0}),
        ({"frames": "-5"}, {"frames": -5}),
        ({"frames": "5.0", "language": "fa"}, {"frames": 5, "language": "fa"}),
        ({"language": ""}, {"language": ""}),
    ],
)
def test_options(given_, expected):
    """What a user says becomes what the reader takes."""
    found = options_of(OPTIONS, given_)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("given_", "complaint"),
    [
        ({"sied": "left"}, r"unknown option 'sied'\. Did you mean 'side'\? Valid: frames, language, shortest_s, side"),
        ({"tree": "x"}, "unknown option 'tree'"),
        ({"side": "Left"}, "option 'side': expected one of left, right, got 'Left'"),
        ({"shortest_s": "nan"}, "option 'shortest_s': expected a number, got 'nan'"),
        ({"shortest_s": ""}, "option 'shortest_s': expected a number, got ''"),
        ({"frames": "2.5"}, "option 'frames': expected a whole number, got '2.5'"),
        ({"frames": "five"}, "option 'frames': expected a number, got 'five'"),
    ],
)
def test_bad_options(given_, complaint):
    """What the reader cannot take is refused by the option's name."""
    with pytest.raises(ManifestError, match=complaint):
        options_of(OPTIONS, given_)


@pytest.fixture
def urdu(tmp_path):
    """A few names of a corpus whose reader needs nothing but names."""
    tree_kit.lay(
        tmp_path / "urdu",
        {f"{word}/S{who}_F1_{word[0]}01.wav": "x" for word in ("Angry", "Happy") for who in ("M1", "F2")},
    )
    return tmp_path / "urdu"


def test_scan_with_a_list_and_another_name(tmp_path, monkeypatch, urdu):
    """A corpus read under another name and by a user's list is written so, and says how it was made."""
    monkeypatch.setenv("MANIFESTS_ROOT", str(tmp_path / "shelf"))
    plain = scan("urdu", urdu).manifest
    chosen = [clip.id for clip in plain.clips if clip.labels][:3]
    rows = zip(chosen, ("train", "dev", "test"), strict=True)
    (tmp_path / "mine.csv").write_text("id,split\n" + "".join(f"{name},{split}\n" for name, split in rows), "utf-8")
    found = scan("urdu", urdu, name="few", split_file=tmp_path / "mine.csv")
    write(found.manifest)
    kept = read("few")
    assert kept == found.manifest
    assert [(clip.id, clip.corpus, clip.split) for clip in kept.clips] == [
        (name, "few", split) for name, split in zip(chosen, ("train", "dev", "test"), strict=True)
    ]
    assert (kept.corpus, kept.reader) == ("few", "urdu")
    assert kept.options == {"splits": str(tmp_path / "mine.csv")}
    assert found.tree.left_out.items() >= {
        (clip.id, "not in mine.csv") for clip in plain.clips if clip.id not in chosen
    }


@pytest.mark.parametrize("name", ["../few", "a/b", "", ".hidden", "a b"])
def test_a_name_is_no_path(urdu, name):
    """Another name is a plain word; none at all is the reader's own."""
    if name:
        with pytest.raises(ManifestError, match="unknown corpus"):
            scan("urdu", urdu, name=name)
    else:
        assert scan("urdu", urdu, name=name).manifest.corpus == "urdu"


@pytest.mark.parametrize(
    ("corpus", "root", "options", "complaint"),
    [
        ("urdo", ".", {}, r"unknown corpus 'urdo'\. Did you mean 'urdu'\?"),
        ("urdu", None, {}, r"where does urdu lie\? Say ROOT=.*Expected there"),
        ("urdu", "gone", {}, r"gone is not a folder\. Expected there"),
        ("urdu", "empty", {}, r"no clip of urdu found under .*empty\. Expected there"),
        ("meld", "empty", {"tables": "old"}, r"option 'tables': expected one of multiparty, dyadic, got 'old'"),
    ],
)
def test_what_cannot_be_read(tmp_path, corpus, root, options, complaint):
    """A wrong name, folder or option is answered with what would be right."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match=complaint):
        scan(corpus, root and tmp_path / root, options)
