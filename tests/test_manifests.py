"""Manifests: they read back exactly, and a bad one is refused with its row and column."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manifests
from manifests import Audio, Clip, Manifest, ManifestError, Video, __main__, counts, path_of, read, write
from manifests.clip import FLAGS, LABEL_KINDS
from manifests.labels import TASKS, one_hot

HERE = Path(__file__).parents[1]
names = st.text("abcXYZ0189_-. é", min_size=1, max_size=12).filter(
    lambda name: name == name.strip() and name.strip(".")
)
texts = st.text(max_size=30) | st.sampled_from(["two\nlines", "\u2028\u2029", "a\r\nb\r", '"quoted"', "\x85\x1e", "\0"])
maybe_text = st.none() | texts
paths = st.lists(names.filter(lambda name: name != ".."), min_size=1, max_size=3).map("/".join)
spans = st.tuples(st.floats(0, 1e5), st.none() | st.floats(1e-3, 1e5)).map(
    lambda span: {"start_s": span[0], "end_s": None if span[1] is None else span[0] + span[1]}
)
offsets = st.fixed_dictionaries({"path": paths, "offset_s": st.floats(-1e3, 1e3)})
audios = st.builds(
    lambda where, span, channel: Audio(**where, **span, channel=channel),
    offsets,
    spans,
    st.sampled_from(["mix", "centre", "left", "right"]),
)
videos = st.builds(
    lambda where, span, side: Video(**where, **span, side=side),
    offsets,
    spans,
    st.sampled_from(["full", "left", "right"]),
)
labels = st.fixed_dictionaries(
    {},
    optional={
        "emotion": st.sampled_from(TASKS["emotion"].classes).map(lambda name: one_hot("emotion", name)),
        "sentiment": st.floats(0, 1).map(lambda share: (share, 0.0, 1 - share)),
        "sentiment_score": st.tuples(st.floats(-3, 3)),
    },
)
clips = st.builds(
    Clip,
    id=names | st.sampled_from(["-x", "--list", "007", "1234567"]),
    corpus=st.just("toy"),
    split=names,
    split_source=texts,
    dialogue_id=maybe_text,
    utt_index=st.none() | st.integers(0, 2**70),
    speaker_id=maybe_text,
    sex=st.sampled_from([None, "f", "m"]),
    language=maybe_text,
    audio=st.none() | audios,
    video=st.none() | videos,
    text=maybe_text,
    text_source=maybe_text,
    native=st.dictionaries(texts, texts | st.floats(allow_nan=False, allow_infinity=False), max_size=2),
    labels=labels,
    label_kind=st.none() | st.sampled_from(sorted(LABEL_KINDS)),
    flags=st.lists(st.sampled_from(sorted(FLAGS)), max_size=2).map(tuple),
    licence=texts,
)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Keep manifests of this test apart from the real ones."""
    monkeypatch.setenv("MANIFESTS_ROOT", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def toy(shelf):
    """Write a manifest of three clips and return its file."""
    media = {"audio": Audio("a.wav"), "labels": {"sentiment": (1.0, 0.0, 0.0)}}
    return write(Manifest("toy", shelf, tuple(Clip(f"c{n}", "toy", "train", **media) for n in range(3))))


def mend(path, row, **columns):
    """Change columns of one row (0 is the header) of a manifest file, as a careless editor would."""
    lines = path.read_text("utf-8").splitlines()
    lines[row] = json.dumps({**json.loads(lines[row]), **columns})
    path.write_text("\n".join(lines) + "\n", "utf-8")


@settings(max_examples=60, deadline=None)
@given(st.lists(clips, max_size=4, unique_by=lambda clip: clip.id))
def test_what_is_written_is_read(tmp_path_factory, found):
    """Every clip comes back exactly as it was, whatever its text holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANIFESTS_ROOT", str(tmp_path_factory.mktemp("shelf")))
        manifest = Manifest("toy", Path("/data/toy"), tuple(found))
        write(manifest)
        assert read("toy") == manifest


def test_one_line_a_clip(toy):
    """The file is a header and one JSON object a line, so `wc -l` and `jq` count right."""
    header, *rows = toy.read_text("utf-8").splitlines()
    assert json.loads(header)["clips"] == len(rows) == 3
    assert json.loads(rows[1])["id"] == "c1"


def test_writing_again_replaces_and_leaves_nothing_beside(toy, shelf):
    """A second write replaces the first whole, and no half-written file stays."""
    write(Manifest("toy", shelf, ()))
    assert read("toy").clips == ()
    assert list(shelf.iterdir()) == [toy]


def test_a_failed_write_keeps_the_old_manifest(toy, shelf, monkeypatch):
    """When the disk fails, the manifest of before is still there and nothing beside it."""

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(Manifest("toy", shelf, ()))
    assert len(read("toy").clips) == 3
    assert list(shelf.iterdir()) == [toy]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"audio": {"path": "../x"}}, r"column 'audio\.path': expected a path inside the corpus root, got '\.\./x'"),
        ({"audio": {"path": "/etc/passwd"}}, r"column 'audio\.path'"),
        ({"audio": {"path": "C:\\x"}}, r"column 'audio\.path'"),
        ({"audio": {"path": "a.wav", "end_s": float("nan")}}, r"column 'audio\.end_s': expected seconds, got nan"),
        ({"id": "c0"}, "column 'id': 'c0' already stands in row 1"),
        ({"id": 2}, "column 'id': expected a printable name"),
        ({"labels": {"sentiment": [0, 2, 0]}}, r"column 'labels\.sentiment'"),
        ({"labels": {"humour": [1]}}, r"column 'labels\.humour': unknown task"),
        ({"speaker": "Joey"}, "column 'speaker': .*Did you mean 'speaker_id'"),
        ({"utt_index": "2"}, "column 'utt_index': expected a whole number from 0, got '2'"),
        ({"flags": 3}, "column 'flags': expected a list, got 3"),
        ({"corpus": "meld"}, "column 'corpus': expected 'toy', got 'meld'"),
        ({"utt_index": 10**400, "audio": {"path": "a", "start_s": -(10**400)}}, r"column 'audio\.start_s'"),
    ],
)
def test_bad_row(toy, columns, complaint):
    """A row that cannot be used is refused with the file, the row and the column."""
    mend(toy, 2, **columns)
    with pytest.raises(ManifestError, match=rf"toy\.jsonl, row 2, {complaint}"):
        read("toy")


@pytest.mark.parametrize("line", ["[1]", "7", "null"])
def test_row_that_is_no_object(toy, line):
    """A row that is JSON but no object is refused by row."""
    lines = toy.read_text().splitlines()
    toy.write_text("\n".join([*lines[:2], line, lines[3]]))
    with pytest.raises(ManifestError, match="row 2, expected an object"):
        read("toy")


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"clips": 4}, "the header promises 4 clips, 3 follow; write it again"),
        ({"format": 2}, "line 1: expected format 1 of 'toy', got 2 of 'toy'; write it again"),
        ({"corpus": "meld"}, "line 1: expected format 1 of 'toy', got 1 of 'meld'"),
        ({"root": 5}, "line 1, column 'root': expected a folder, got 5"),
        ({"reader": 5}, "line 1, column 'reader': not as written, got 5"),
        ({"options": ["side"]}, "line 1, column 'options': not as written, got"),
        ({"options": {"splits": 5}}, "line 1, column 'options': expected texts, got"),
        ({"warnings": [None]}, "line 1, column 'warnings': expected texts, got"),
    ],
)
def test_bad_header(toy, columns, complaint):
    """A header that does not fit what follows is refused, and the message says what to do."""
    mend(toy, 0, **columns)
    with pytest.raises(ManifestError, match=complaint):
        read("toy")


@pytest.mark.parametrize("text", ["", "{}\n", "[]\n", "id,split\nc0,train\n"])
def test_no_header(toy, text):
    """A file that is no manifest is refused at its first line."""
    toy.write_text(text)
    with pytest.raises(ManifestError, match="line 1: expected a manifest header"):
        read("toy")


def test_truncated_file(toy):
    """A copy that stopped midway is refused, wherever it stopped."""
    whole = toy.read_bytes()
    for size_bytes in range(len(whole) - 1):
        toy.write_bytes(whole[:size_bytes])
        with pytest.raises(ManifestError, match=r"line 1|row \d, column \d+: not JSON|the header promises 3 clips"):
            read("toy")


def test_not_utf8(toy):
    """A file in another encoding is refused with the byte that is not UTF-8."""
    toy.write_bytes(toy.read_bytes().replace(b"c1", b"c\xe9"))
    with pytest.raises(ManifestError, match=r"expected UTF-8, got byte 0xe9 at \d+"):
        read("toy")


def test_windows_line_ends(toy):
    """An editor that turned line ends into CRLF has not changed a clip."""
    before = read("toy")
    toy.write_bytes(toy.read_bytes().replace(b"\n", b"\r\n"))
    assert read("toy") == before


@pytest.mark.usefixtures("shelf")
def test_unknown_corpus_names_the_nearest():
    """A misspelt corpus is answered with the one probably meant, by reading and by building."""
    for ask in (read, manifests.build, manifests.corpus_module):
        with pytest.raises(ManifestError, match=r"unknown corpus 'medl'\. Did you mean 'meld'"):
            ask("medl")


@pytest.mark.parametrize("name", ["../meld", "/etc/passwd", "a/b", "..", "", "-x", "a\\b"])
def test_a_corpus_name_is_no_path(shelf, name):
    """Nothing outside the shelf is read or written through the name of a corpus."""
    for ask in (read, path_of, manifests.build):
        with pytest.raises(ManifestError, match="unknown corpus"):
            ask(name)
    with pytest.raises(ManifestError, match="unknown corpus"):
        write(Manifest(name, shelf, ()))


@pytest.mark.parametrize("searching", [True, False])
def test_reading_leaves_the_search_for_garbage_as_it_was(toy, searching):
    """Whether a manifest is whole or not, what was on stays on and what was off stays off."""
    before = gc.isenabled()
    (gc.enable if searching else gc.disable)()
    try:
        read("toy")
        toy.write_text(toy.read_text("utf-8").replace('"id"', '"idd"'), "utf-8")
        with pytest.raises(ManifestError):
            read("toy")
        assert gc.isenabled() == searching
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.usefixtures("shelf")
def test_known_corpus_without_manifest():
    """Where a corpus is known but not yet read, the message is the command that reads it."""
    with pytest.raises(ManifestError, match="make manifest CORPUS=meld ROOT="):
        read("meld")


def test_missing_root_prints_the_tree(tmp_path):
    """Whoever names no folder, or a wrong one, is shown what is expected there."""
    for root in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(ManifestError, match=r"Expected there:\nROOT/(.|\n)*train_splits/dia0_utt0\.mp4"):
            manifests.build("meld", root)


def test_every_corpus_tells_what_it_is(capsys):
    """The listing has a line and a licence for every corpus."""
    assert __main__.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert out.count("licence: ") == len(manifests.corpus_names())
    assert "meld\n  MELD: 13,708 utterances" in out


def test_help_has_an_example(capsys):
    """The help shows a command to copy."""
    with pytest.raises(SystemExit, match="0"):
        __main__.main(["--help"])
    assert "python -m manifests meld --root /data/MELD.Raw" in capsys.readouterr().out


def test_command_without_corpus(capsys):
    """Whoever names no corpus is told which there are."""
    with pytest.raises(SystemExit, match="2"):
        __main__.main([])
    assert "which CORPUS? One of: " in capsys.readouterr().err


def test_command_line_complains_without_a_trace(tmp_path):
    """A wrong folder is one message on stderr and exit code 2, for a shell to see."""
    command = [sys.executable, "-m", "manifests", "meld", "--root", tmp_path / "nowhere"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nowhere is not a folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_soft_labels_and_scores_are_counted(shelf):
    """The summary counts a soft label at its likeliest class, shows the range of scores, and counts what is absent."""
    vectors = [{"sentiment": (0.2, 0.3, 0.5)}, {"sentiment": (0.5, 0.0, 0.5), "sentiment_score": (-1.5,)}, {}]
    made = tuple(Clip(f"c{n}", "toy", "train", labels=vector) for n, vector in enumerate(vectors))
    lines = [line.split() for line in counts.of(Manifest("toy", shelf, made))]
    assert lines[lines.index(["sentiment", "negative", "neutral", "positive", "unlabelled"]) + 1] == [
        *("train", "1", "0", "1", "1")
    ]
    assert lines[lines.index(["sentiment_score", "sentiment", "unlabelled"]) + 1] == [
        "train",
        "-1.5",
        "to",
        "-1.5",
        "2",
    ]
