"""A manifest as a table: read back it says the same, words stay in the lab where they must, and no file is lost."""

import csv
import dataclasses
import io
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifests import Audio, Clip, Manifest, ManifestError, Video, __main__, as_table, audit, scan, write
from manifests.corpora import _demo_make
from manifests.labels import TASKS
from manifests.licence import PARTS, Licence

FREE = Licence("ours", PARTS).tag
NO_WORDS = Licence("theirs", ("labels", "features")).tag
OPTIONS = {"iemocap": {"labels": "votes"}}
"""Of some trees more than their generators ask for: votes are soft labels."""
KEPT = ("split", "dialogue_id", "utt_index", "speaker_id", "sex", "language", "text", "labels", "label_kind")
NUMBERS = st.floats(-1e14, 1e14)
SHARES = st.floats(0, 1) | st.sampled_from([0.0, 1.0])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return a function that lays a corpus down, once, and returns its manifest."""
    read = {}

    def lay(corpus):
        if corpus not in read:
            root = tmp_path_factory.mktemp(corpus) / "root"
            options = OPTIONS.get(corpus, {})
            if corpus == "demo":
                with pytest.MonkeyPatch.context() as patch:  # its table is what counts, and its films take long to make
                    patch.setattr(_demo_make, "make_clip", lambda _, path: path.write_bytes(b"film"))
                    read[corpus] = scan(corpus, root).manifest
            else:
                generator = import_module(f"trees.{corpus}")
                root.mkdir()
                generator.lay(root)
                read[corpus] = scan(corpus, root, getattr(generator, "OPTIONS", {}) | options).manifest
        return read[corpus]

    return lay


@pytest.fixture
def shelf(roots):
    """Keep the manifests of this test apart; return a folder of its own."""
    return roots


def toys(*clips):
    """Return a manifest."""
    return Manifest("toys", Path("toys"), clips)


def clip(name="a", **columns):
    """Return a clip of which only what matters is said."""
    return Clip(**{"id": name, "corpus": "toys", "split": "train", "licence": FREE} | columns)


def back(folder, table, **options):
    """Read a table as `CORPUS=folder` does, where no media are."""
    folder.mkdir(exist_ok=True)
    (folder / "clips.csv").write_text(table, encoding="utf-8", newline="")
    return scan("folder", folder, options).manifest


def rows(manifest, **options):
    """Return the rows of a table as any reader of tables has them."""
    return list(csv.DictReader(io.StringIO(as_table.table_of(manifest, **options), newline="")))


def kept(clips):
    """Return by id what a table keeps of clips."""
    return {clip.id: {column: getattr(clip, column) for column in KEPT} for clip in clips}


# There and back


@pytest.mark.parametrize("corpus", ["demo", "folder", "iemocap", "meld", "mosi", "ravdess"])
def test_what_a_table_says_is_read_back(corpus, found, tmp_path):
    """Ids, splits, speakers, dialogues, turns, words and labels are the same, in the same order, without any media."""
    manifest = found(corpus)
    again = back(tmp_path, as_table.table_of(manifest, with_text=True))
    assert kept(again.clips) == kept(manifest.clips)
    assert [clip.id for clip in again.clips] == [clip.id for clip in manifest.clips]
    assert not any(clip.tracks for clip in again.clips)


@pytest.mark.parametrize("corpus", ["folder", "iemocap", "meld", "mosi"])
def test_a_table_of_a_table_is_the_same(corpus, found, tmp_path):
    """Where clips lie, and when, is kept even where they are not there, so that a table can be handed on."""
    table = as_table.table_of(found(corpus), with_text=True)
    assert as_table.table_of(back(tmp_path, table), with_text=True) == table


@pytest.mark.parametrize("corpus", ["demo", "folder", "meld"])
def test_a_table_beside_the_media(corpus, found):
    """Told that `recording` is a path, the reader finds every file and cuts every clip as before."""
    manifest = found(corpus)
    table = manifest.root / "again.csv"
    as_table.write(as_table.table_of(manifest), table)
    try:
        again = scan("folder", manifest.root, {"table": table.name, "columns": "path=recording"}).manifest
    finally:
        table.unlink()
    for one, was in zip(again.clips, manifest.clips, strict=True):
        for track, before in ((one.audio, was.audio), (one.video, was.video)):
            assert bool(track) == bool(before)
            assert not track or (track.path, track.start_s, track.end_s) == (before.path, before.start_s, before.end_s)


def test_the_audit_of_a_table(found, tmp_path):
    """That two splits have the same seconds of one recording is seen in the table as in the manifest with its media."""
    moved = dataclasses.replace(found("mosi").clips[1], id="moved", split="test")
    manifest = dataclasses.replace(found("mosi"), clips=(*found("mosi").clips, moved))
    for looked_at, kind in ((manifest, "same media"), (back(tmp_path, as_table.table_of(manifest)), "same interval")):
        touched = {(each.kind.name, each.parts): each.clips for each in audit.audit([looked_at])}
        assert [touched[kind, parts] for parts in (("train", "test"), ("train", "dev"))] == [1, 0]


@st.composite
def labels(draw):
    """Draw labels of any tasks: one class, shares, several classes, scores."""
    found = {}
    for task in draw(st.lists(st.sampled_from(list(TASKS.values())), unique=True, max_size=4)):
        size = len(task.classes)
        if task.kind == "score":
            found[task.name] = tuple(draw(st.lists(NUMBERS, min_size=size, max_size=size)))
        elif task.kind == "multi":
            found[task.name] = tuple(draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=size, max_size=size)))
        else:
            shares = draw(st.lists(SHARES, min_size=size, max_size=size).filter(sum))
            found[task.name] = tuple(share / sum(shares) for share in shares)
    return found


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.builds(
            dict,
            labels=labels(),
            text=st.none()
            | st.text(max_size=12)
            | st.sampled_from(['"a", b', "two\nlines\r\nor\rthree", "\0", "=1+1"]),
            speaker_id=st.none() | st.sampled_from(["s;1", "Zoë", "1\t", "-"]),
            utt_index=st.none() | st.integers(0, 10**9 - 1),
            sex=st.sampled_from([None, "f", "m"]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_clip_is_read_back(tmp_path, drawn):
    """Labels of every kind come back to the last digit, words and names with all but blanks at their ends."""
    clips = [clip(f"c{number}", **columns) for number, columns in enumerate(drawn)]
    for one, was in zip(back(tmp_path, as_table.table_of(toys(*clips))).clips, clips, strict=True):
        assert (one.labels, one.utt_index, one.sex) == (was.labels, was.utt_index, was.sex)
        assert [one.text or "", one.speaker_id or ""] == [(was.text or "").strip(), (was.speaker_id or "").strip()]


@pytest.mark.parametrize(
    ("task", "vector", "cell"),
    [
        ("emotion", (0, 1, 0, 0, 0, 0, 0), "happy"),
        ("emotion", (0.1, 0.7, 0.2, 0.0, 0.0, 0.0, 0.0), "0.1 0.7 0.2 0.0 0.0 0.0 0.0"),
        ("emotions", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), "happy|disgust"),
        ("emotions", (0.0,) * 6, "neutral"),
        ("sentiment2_has0", (0.0, 1.0), "not negative"),
        ("sentiment7", (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0), "-2"),
        ("sentiment_score", (1e-7,), "0.0000001"),
        ("arousal", (2 / 3,), "0.6666666666666666"),
    ],
)
def test_how_labels_are_written(task, vector, cell):
    """A word, several words, or numbers in plain digits, in a column that tells its task."""
    (row,) = rows(toys(clip(labels={task: vector})))
    column = task if task in ("emotion", "sentiment_score", "arousal") else f"label.{task}"
    assert row[column] == cell
    assert list(row) == [*as_table.HEAD, column]


# Where clips lie


@pytest.mark.parametrize(
    ("tracks", "place"),
    [
        ({"audio": Audio("a/b.c.wav"), "video": Video("v.mp4", 1.0, 2.0)}, ("a/b.c", "", "")),
        ({"video": Video("v.MP4", 1.0, 2.5)}, ("v", "1.0", "2.5")),
        ({"audio": Audio("a.wav", 0.0, 2.5)}, ("a", "0.0", "2.5")),
        ({"audio": Audio("a.wav", 1.5)}, ("a", "1.5", "")),
        ({"audio": Audio("a.wav", 1.5, 2.5, offset_s=0.25)}, ("a", "1.75", "2.75")),
        ({"audio": Audio("a.wav", 0.0, 2.5, offset_s=-0.25)}, ("a", "0.0", "2.25")),
        ({"native": {"cut_from": "long", "cut_start_s": 3, "cut_end_s": 4.5}}, ("long", "3.0", "4.5")),
        ({"native": {"cut_from": "long"}, "flags": ("missing_audio",)}, ("", "", "")),
        ({}, ("", "", "")),
    ],
)
def test_where_a_clip_lies(tracks, place):
    """The sound's file and seconds, else the picture's, else what a clip without files was cut from."""
    (row,) = rows(toys(clip(**tracks)))
    assert (row["recording"], row["start"], row["end"]) == place


def test_how_long_a_clip_without_media_is(tmp_path):
    """Its start and end tell, so that hours are counted; where the end is not known, nothing does."""
    clips = (clip("a", audio=Audio("x.wav", 0.5, 2.0)), clip("b", audio=Audio("x.wav", 0.5)), clip("c"))
    again = back(tmp_path, as_table.table_of(toys(*clips)))
    assert [one.duration_s for one in again.clips] == [1.5, None, None]


# What stays in the lab


def test_words_stay_in_the_lab():
    """Without being asked for, words that a licence keeps are not in the table, and how many are is said."""
    manifest = toys(
        clip("free", text="Yes."),
        clip("kept", text="No.", licence=NO_WORDS, labels={"sentiment_score": (1.0,)}),
        clip("shut", text="Never.", licence="unknown", labels={"sentiment_score": (1.0,)}),
        clip("silent", licence=NO_WORDS),
    )
    assert [row["text"] for row in rows(manifest)] == ["Yes.", "", "", ""]
    assert [row["text"] for row in rows(manifest, with_text=True)] == ["Yes.", "No.", "Never.", ""]
    assert list(as_table.withheld(manifest)) == [
        "without the words of 2 clips, which their licence keeps in the lab; --with-text writes them",
        "with the labels of 1 clips, which their licence keeps in the lab: keep the table there, too",
    ]
    assert next(as_table.withheld(manifest, with_text=True)).startswith("with the words of 2 clips")
    assert list(as_table.withheld(toys(clip(text="Yes.")))) == []


def test_licences_of_clips_that_differ(tmp_path):
    """Each clip's terms stand in the table where there are several, and nothing that a table may not grant."""
    assert "licence" not in rows(toys(clip("a"), clip("b")))[0]
    table = as_table.table_of(toys(clip("a"), clip("b", licence=NO_WORDS), clip("c", licence="old")))
    again = back(tmp_path, table, shared="labels").clips
    assert [one.licence for one in again] == [Licence(name, ("labels",)).tag for name in ("ours", "theirs", "old")]


# The file


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    """A newer table replaces an older one, also behind a link; when the disk fails, the older one is still there."""
    first, second = (as_table.table_of(toys(*(clip(f"c{n}") for n in range(count)))) for count in (1, 2))
    file, link = tmp_path / "t.csv", tmp_path / "link.csv"
    as_table.write(first, file)
    link.symlink_to(file)
    as_table.write(second, link)
    assert link.is_symlink()
    assert file.read_bytes() == second.encode()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        as_table.write(first, file)
    assert file.read_bytes() == second.encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "t.csv"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "id,split,emotion\na,train,sad\n",
        ",".join((*as_table.HEAD, "emotion", "my notes")) + "\n",
        ",".join(reversed(as_table.HEAD)) + "\n",
        "\0" * 999,
        b"\xff\xfe" + ",".join(as_table.HEAD).encode("utf-16-le"),
    ],
)
def test_another_file_is_never_replaced(tmp_path, content):
    """A file that this command did not write, or that somebody added a column to, is refused and stays as it is."""
    file = tmp_path / "mine.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = file.read_bytes()
    with pytest.raises(ManifestError, match=r"mine\.csv: expected no file, or a table that begins with id,split,"):
        as_table.write(as_table.table_of(toys(clip())), file)
    assert file.read_bytes() == before
    with pytest.raises(ManifestError, match="got something else"):
        as_table.write("", tmp_path)


# The command


@pytest.mark.usefixtures("shelf")
def test_the_command_writes_to_standard_output(capsysbinary):
    """The table and nothing else goes there; what stays in the lab is said beside it."""
    manifest = toys(clip("a", text="Né.", licence=NO_WORDS))
    write(manifest)
    assert __main__.main(["table", "toys"]) == 0
    said = capsysbinary.readouterr()
    assert said.out == as_table.table_of(manifest).encode()
    assert said.err.startswith(b"without the words of 1 clips")
    assert __main__.main(["table", "toys", "--with-text"]) == 0
    assert "Né.".encode() in capsysbinary.readouterr().out


def test_the_command_writes_a_file(shelf, capsys):
    """A file is told; one that may not be replaced, or a corpus without manifest, ends in a word and with 2."""
    write(toys(clip("a")))
    file = shelf / "toys.csv"
    assert __main__.main(["table", "toys", "-o", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: 1 clips of toys\n"
    assert file.read_text(encoding="utf-8").splitlines()[1] == "a,train,,,,,,,,"
    file.write_text("mine")
    for given_arguments, complaint in (
        (["toys", "--output", str(file)], "got something else"),
        (["toys", "-o", str(shelf / "nowhere" / "t.csv")], "No such file"),
        (["toyz"], "unknown corpus 'toyz'"),
    ):
        assert __main__.main(["table", *given_arguments]) == 2
        assert complaint in capsys.readouterr().err


def test_the_command_has_help(capsys):
    """The help shows commands to copy."""
    with pytest.raises(SystemExit, match="0"):
        __main__.main(["table", "--help"])
    assert "python -m manifests table meld -o meld.csv" in capsys.readouterr().out
