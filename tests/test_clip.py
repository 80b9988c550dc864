"""Clip: what it accepts, what it refuses, and that every complaint names the column."""

import json
import math
from dataclasses import FrozenInstanceError

import pytest

from manifests import Audio, Clip, Series, Video, unknown

PLAIN = {"id": "dia0_utt0", "corpus": "toy", "split": "train"}


def test_three_columns_are_enough():
    """A clip needs a name, a corpus and a split; all else has a default that says it is absent."""
    clip = Clip(**PLAIN)
    assert (clip.audio, clip.video, clip.text, clip.sex) == (None, None, None, None)
    assert clip.to_row() == PLAIN


def test_clip_cannot_be_changed():
    """A clip is passed through every room, so none of them may alter it."""
    with pytest.raises(FrozenInstanceError):
        Clip(**PLAIN).split = "test"


def test_streams_lie_in_different_files():
    """Sound and picture each have their own file, times, channel and side."""
    clip = Clip(
        **PLAIN,
        audio=Audio("wav/a.wav", channel="left"),
        video=Video("avi/dialogue.avi", 12.5, 14.0, side="right", offset_s=-0.04),
    )
    assert Clip.from_row(clip.to_row()) == clip
    assert clip.to_row()["video"] == {
        "path": "avi/dialogue.avi",
        "start_s": 12.5,
        "end_s": 14.0,
        "side": "right",
        "offset_s": -0.04,
    }


def test_a_series_is_a_medium_of_its_own():
    """Numbers over time lie in tables side by side, under a name; a clip without any has the row that it always had."""
    clip = Clip(**PLAIN, audio=Audio("a.wav"), series={"mocap": Series(("face.txt", "hand.txt"), 1.5, time_column=1)})
    row = json.loads(json.dumps(clip.to_row()))
    assert row["series"] == {"mocap": {"paths": ["face.txt", "hand.txt"], "start_s": 1.5, "time_column": 1}}
    assert Clip.from_row(row) == clip
    assert [clip.track(medium) for medium in ("audio", "video", "mocap", "pulse")] == [
        clip.audio,
        None,
        clip.series["mocap"],
        None,
    ]
    assert [path for track in clip.tracks for path in track.paths] == ["a.wav", "face.txt", "hand.txt"]
    assert "series" not in Clip(**PLAIN).to_row()


@pytest.mark.parametrize(
    ("series", "column"),
    [
        (["a.txt"], "series"),
        (None, "series"),
        ({"audio": {"paths": ["a.txt"]}}, "series"),
        ({"two words": {"paths": ["a.txt"]}}, "series"),
        ({"mocap": "a.txt"}, r"series\.mocap"),
        ({"mocap": {}}, r"series\.mocap\.paths"),
        ({"mocap": {"path": "a.txt", "paths": ["a.txt"]}}, r"series\.mocap\.path"),
        ({"mocap": {"paths": "a.txt"}}, r"series\.mocap\.paths"),
        ({"mocap": {"paths": []}}, r"series\.mocap\.paths"),
        ({"mocap": {"paths": ["a.txt", "../b.txt"]}}, r"series\.mocap\.paths"),
        ({"mocap": {"paths": ["a.txt", 7]}}, r"series\.mocap\.paths"),
        ({"mocap": {"paths": ["a.txt"], "start_s": -1}}, r"series\.mocap\.start_s"),
        ({"mocap": {"paths": ["a.txt"], "end_s": 0}}, r"series\.mocap\.end_s"),
        ({"mocap": {"paths": ["a.txt"], "time_column": True}}, r"series\.mocap\.time_column"),
        ({"mocap": {"paths": ["a.txt"], "time_column": -1}}, r"series\.mocap\.time_column"),
    ],
)
def test_wrong_series(series, column):
    """A series whose name is another medium's, or that names no file inside the corpus, is refused by column."""
    with pytest.raises(ValueError, match=f"column '{column}'"):
        Clip.from_row({**PLAIN, "series": series})


def test_row_is_plain_json():
    """A row holds only what JSON holds, so it reads back with and without a file between."""
    clip = Clip(**PLAIN, labels={"sentiment": (0.5, 0.5, 0.0)}, flags=("too_long",), native={"valence": 2})
    row = clip.to_row()
    assert json.loads(json.dumps(row)) == row
    assert Clip.from_row(row) == clip


@pytest.mark.parametrize("name", ["-dash", "--root", "0123", "_x", "a___b", "é", "two words", "x" * 200])
def test_names_that_corpora_really_use(name):
    """Ids may look like options or like numbers and stay the text that they are."""
    assert Clip.from_row({**PLAIN, "id": name}).id == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "a\nb", "a\0b", "\u2028", " a", "a ", "é" * 101, "\ud800", 7, None, True]
)
@pytest.mark.parametrize("column", ["id", "corpus", "split"])
def test_names_that_cannot_be(column, name):
    """A name that could not be a file name, an HDF5 string and a CSV cell at once is refused."""
    with pytest.raises(ValueError, match=f"column '{column}'"):
        Clip.from_row({**PLAIN, column: name})


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/passwd", "\\\\server\\x", "..\\x", "C:\\x", "c:x", "", "a\0b", "\udcff.mp4", 7, None],
)
@pytest.mark.parametrize("stream", ["audio", "video"])
def test_no_path_leaves_the_root(stream, path):
    """A manifest from elsewhere cannot name a file outside the corpus, on any system."""
    with pytest.raises(ValueError, match=f"column '{stream}.path'"):
        Clip.from_row({**PLAIN, stream: {"path": path}})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("start_s", -0.1),
        ("start_s", math.nan),
        ("start_s", math.inf),
        ("start_s", "0"),
        ("start_s", True),
        ("start_s", None),
        ("end_s", 0.0),
        ("end_s", math.nan),
        ("offset_s", math.nan),
        ("offset_s", None),
        ("side", "top"),
        ("side", ["left"]),
    ],
)
def test_wrong_times_and_sides(column, value):
    """A time that is no finite second, a span without length and an unknown side are refused by column."""
    with pytest.raises(ValueError, match=f"column 'video.{column}'"):
        Clip.from_row({**PLAIN, "video": {"path": "a.mp4", column: value}})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sex", "x"),
        ("utt_index", -1),
        ("utt_index", 1.0),
        ("utt_index", True),
        ("utt_index", "1"),
        ("text", 7),
        ("text", "\ud800"),
        ("speaker_id", 7),
        ("dialogue_id", ["a"]),
        ("split_source", None),
        ("licence", None),
        ("label_kind", "guess"),
        ("flags", ["odd"]),
        ("flags", "too_long"),
        ("flags", None),
        ("native", ["joy"]),
        ("native", None),
        ("labels", None),
        ("labels", [1, 0]),
        ("audio", "a.wav"),
        ("video", ["a.mp4"]),
    ],
)
def test_wrong_values(column, value):
    """A value of the wrong type or outside its vocabulary is refused by column."""
    with pytest.raises(ValueError, match=f"column '{column}'"):
        Clip.from_row({**PLAIN, column: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, True, None, [1]])
def test_wrong_native_label(value):
    """What the corpus said is text or a finite number, nothing else."""
    with pytest.raises(ValueError, match=r"column 'native\.valence'"):
        Clip.from_row({**PLAIN, "native": {"valence": value}})


@pytest.mark.parametrize(
    ("task", "vector", "message"),
    [
        ("mood", [1.0], "unknown task 'mood'"),
        ("sentimnt", [1.0], "Did you mean 'sentiment'"),
        ("sentiment", [1.0, 0.0], "expected 3 numbers"),
        ("sentiment", [1.0, 1.0, 0.0], "sum to 1"),
        ("sentiment", "positive", "expected a list"),
        ("sentiment", [math.nan, 0.5, 0.5], "finite"),
        ("sentiment", [[1.0], 0.0, 0.0], "finite"),
        ("sentiment", ["1", 0.0, 0.0], "finite"),
    ],
)
def test_wrong_label(task, vector, message):
    """A label outside its task's vocabulary is refused by task, with what was expected."""
    with pytest.raises(ValueError, match=rf"column 'labels\.{task}': .*{message}"):
        Clip.from_row({**PLAIN, "labels": {task: vector}})


def test_a_label_like_one_that_was_seen_before():
    """A label is judged by its own values: true is no 1, also where 1 was right a moment ago."""
    for good in ((1.0, 0.0, 0.0), (1, 0, 0)):
        assert Clip(**PLAIN, labels={"sentiment": good}).labels["sentiment"] == good
    with pytest.raises(ValueError, match=r"column 'labels\.sentiment': .*finite"):
        Clip(**PLAIN, labels={"sentiment": (True, False, False)})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**PLAIN, "emotion": "joy"}, "column 'emotion': unknown column"),
        ({**PLAIN, "speeker_id": "Joey"}, "Did you mean 'speaker_id'"),
        ({**PLAIN, "audio": {"path": "a.wav", "start": 1}}, r"column 'audio\.start': .*Did you mean 'start_s'"),
        ({"id": "a", "corpus": "toy"}, "column 'split': expected a value, got nothing"),
        ({**PLAIN, "audio": {}}, r"column 'audio\.path': expected a value, got nothing"),
    ],
)
def test_columns_by_name(row, message):
    """An unknown column is answered with the nearest known one, a missing one with its name."""
    with pytest.raises(ValueError, match=message):
        Clip.from_row(row)


def test_unknown_names_the_nearest():
    """A misspelt name is answered with the one probably meant and with all that are valid."""
    assert (
        unknown("corpus", "medl", ["meld", "demo"]) == "unknown corpus 'medl'. Did you mean 'meld'? Valid: demo, meld"
    )
    assert unknown("corpus", "zzz", []) == "unknown corpus 'zzz'. Valid: none"
