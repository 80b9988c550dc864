"""CMU-MOSEI: labels joined by time, four kinds of label tables, folds that are never run, files that lie."""

import csv
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import tree_kit
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import mosei as laid

from manifests import Audio, ManifestError, Video, expected, scan
from manifests.corpora import _cmu, _csd, mosei
from manifests.labels import TASKS, of, one_hot
from manifests.licence import may_share
from manifests.tree import Tree

REAL = Path(__file__).parents[2] / "shared" / "data" / "cmu-folds"
LABELS, FOLD_LIST = "CMU_MOSEI_Labels.csd", "cmu_mosei_std_folds.py"
GLAD, SAD = laid.GLAD, laid.SAD


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tree, laid once."""
    place = tmp_path_factory.mktemp("mosei")
    laid.lay(place)
    return place


@pytest.fixture(scope="module")
def found(root):
    """What is found in it."""
    return scan("mosei", root)


@pytest.fixture(scope="module")
def clips(found):
    """Its clips by id."""
    return {clip.id: clip for clip in found.manifest.clips}


def lay(root, rated=None, lists=None, **files):
    """Lay down labels, folds and texts without media; `__` in a name of a file stands for a folder."""
    if rated is not None:
        laid.csd(root / LABELS, rated)
    if lists is not None:
        tree_kit.lay(root, {FOLD_LIST: laid.folds(lists)})
    tree_kit.lay(root, {name.replace("__", "/"): content for name, content in files.items()})
    return root


def read(root, **options):
    """Read a tree and return its clips by id, and the tree."""
    found = scan("mosei", root, options)
    return {clip.id: clip for clip in found.manifest.clips}, found.tree


def words(root, video, *lines):
    """Write a transcript."""
    tree_kit.lay(root, {f"Raw/Transcript/Segmented/Combined/{video}.txt": "\n".join(lines)})


def table(columns, *rows):
    """Return a table with a head."""
    file = io.StringIO()
    csv.writer(file).writerows([columns, *rows])
    return file.getvalue()


def test_who_is_found(clips):
    """Clips are named by the numbers of their transcript, whatever the order of the label file; folds are the SDK's."""
    numbered = {video: {f"{video}_0", f"{video}_2"} for video in laid.VIDEOS}
    numbered["NoWordsHere"] = {"NoWordsHere_at-488ms", "NoWordsHere_at350ms"}
    for split, lists in {"train": "train", "dev": "valid", "test": "test"}.items():
        wanted = set().union(*(numbered[video] for video in laid.FOLDS[lists] if video in numbered))
        assert {clip.id for clip in clips.values() if clip.split == split} == wanted
    assert {clip.split_source for clip in clips.values()} == {f"official: {FOLD_LIST}"}


def test_a_label_belongs_to_its_time(clips):
    """The later sentence stands first in the label file, and still has its own words and its own number."""
    first, later = clips["-Made__up01_0"], clips["-Made__up01_2"]
    assert (first.text, later.text) == ("words 0 of -Made__up01", "words 2 of -Made__up01")
    assert (first.labels["sentiment_score"], later.labels["sentiment_score"]) == ((2.0,), (-1.333333,))
    assert (first.audio.end_s, later.audio.start_s, later.audio.end_s) == (0.45, 0.35, 0.95)
    assert (later.utt_index, later.dialogue_id, later.speaker_id) == (2, "-Made__up01", "-Made__up01")
    assert (later.duration_s, later.language, later.text_source) == (0.6, "en", "transcript")
    assert (later.label_kind, may_share(later.licence, "raw"), may_share(later.licence, "labels")) == (
        "mean rating",
        False,
        True,
    )


def test_scores_are_in_house_order(clips):
    """Six emotions follow each other as the house has them, shares follow from them, and the rest is derived."""
    glad, mixed = clips["-Made__up01_0"].labels, clips["12345_0"].labels
    assert glad["emotion_scores"] == (2.333333, 0, 0, 0.333333, 0, 0)
    assert glad["emotion"] == pytest.approx((0, 7 / 8, 0, 0, 1 / 8, 0, 0), abs=1e-6)
    assert mixed["emotion_scores"] == (0.333333, 0, 0.666667, 0, 1, 0)
    assert of("emotions", mixed) == (1, 0, 1, 0, 1, 0)
    assert of("sentiment", mixed) == one_hot("sentiment", "negative")
    assert of("sentiment7", mixed) == one_hot("sentiment7", "0")
    assert of("sentiment7_bins", mixed) == one_hot("sentiment7_bins", "-1")
    assert dict(clips["12345_0"].native).items() >= {"sentiment": -0.333333, "anger": 0.666667}.items()


def test_nobody_saw_an_emotion(clips):
    """Where all six are zero the clip is neutral, not happy; it is no clip without emotions."""
    labels = clips["12345_2"].labels
    assert labels["emotion_scores"] == (0,) * 6
    assert labels["emotion"] == one_hot("emotion", "neutral")
    assert of("sentiment", labels) == one_hot("sentiment", "neutral")
    assert of("sentiment2", labels) is None


def test_negative_starts(clips):
    """What begins before its video begins at zero, flagged, and the label file's own time is kept."""
    early = {clip.id for clip in clips.values() if "neg_start_clamped" in clip.flags}
    assert early == {name for name in clips if name.endswith(("_0", "at-488ms"))}
    assert clips["12345_0"].audio == Audio("Raw/Audio/Full/WAV_16000/12345.wav", 0.0, 0.45)
    assert clips["12345_0"].native["start_s"] == -0.4875
    assert clips["12345_0"].duration_s == 0.45
    assert "start_s" not in clips["12345_2"].native


def test_where_media_lie(clips):
    """Whole files are preferred, cut ones and MMSA's stand in, and a film's own sound where the wav did not arrive."""
    whole = "Raw/Videos/Full/Combined"
    assert clips["12345_2"].video == Video(f"{whole}/12345.mp4", 0.35, 0.95)
    assert clips["678901_2"].audio == Audio(f"{whole}/678901.mp4", 0.35, 0.95)
    assert clips["LostFilm_07_2"].video == Video("Raw/Videos/Segmented/Combined/LostFilm_07_2.mp4")
    assert clips["LostFilm_07_2"].audio == Audio("Raw/Audio/Full/WAV_16000/LostFilm_07.wav", 0.35, 0.95)
    assert clips["9876_2"].video == Video("Raw/9876/2.mp4")
    assert clips["9876_2"].audio == Audio("Raw/9876/2.mp4")
    assert clips["-Made__up01_0"].video == Video(f"{whole}/-Made__up01.mp4", 0.0, 0.45)
    cuts = {
        clip.id: [clip.native[f"cut_{what}"] for what in ("from", "start_s", "end_s")]
        for clip in clips.values()
        if "cut_from" in clip.native
    }
    assert cuts == {
        f"{v}_{n}": [v, *s] for v in ("LostFilm_07", "9876") for n, s in ((0, (0.0, 0.45)), (2, (0.35, 0.95)))
    }
    segmented = {clip.id for clip in clips.values() if "segmented_clip" not in clip.native}
    assert segmented == {"LostFilm_07_0", "LostFilm_07_2", "-Made__up01_0", "9876_0", "9876_2"}


def test_what_is_left_out(found):
    """Everything that does not become a clip is named with its reason."""
    left = found.tree.left_out
    folds = f"the folds (official: {FOLD_LIST})"
    assert left["OutOfFolds0_0"] == left["OutOfFolds0_2"] == f"not in {folds}"
    assert left["NeverLabel0"] == f"in {folds}, but without a label"
    assert left["Raw/Audio/Full/WAV_16000/NotLabelled.wav"] == "no label names it"
    assert left["Raw/Audio/Full/WAV_16000/678901.wav"] == "an empty file"
    assert left["Raw/Videos/Full/Combined/LostFilm_07.mp4"].startswith("not downloaded")
    unlabelled = {name for name, why in left.items() if why == "a line of a transcript that has no label"}
    assert unlabelled == {f"{v}_1" for v in laid.VIDEOS if v not in ("NoWordsHere", "Test-Video1")} | {"NotLabelled_0"}
    assert left["Raw/Transcript/Segmented/Combined/Test-Video1.txt, 2 lines"].startswith("not video___number")
    assert len(left) == 7 + len(unlabelled)
    assert found.tree.junk == 1


def test_broken_words(found, clips):
    """Python's bytes are no words, gaps of underscores are; a clip without words is flagged, and the file named."""
    assert clips["Test-Video1_2"].text == "a gap ____ and ___ another___"
    wordless = {clip.id for clip in clips.values() if "no_transcript" in clip.flags}
    assert wordless == {"Test-Video1_0", "NoWordsHere_at-488ms", "NoWordsHere_at350ms"}
    assert all((clip.text is None) == (clip.id in wordless) for clip in clips.values())
    broken, unnumbered = found.tree.warnings
    assert "Test-Video1.txt is broken: 1 of its 2 lines hold no words" in broken
    assert unnumbered.startswith("2 labels have no line of a transcript")


@pytest.mark.parametrize("line", ["{}", "\ufeff{}"])
def test_a_transcript_of_numbers(tmp_path, line):
    """A file without a single letter holds no words, though its lines look right; the join by time still holds."""
    lay(tmp_path, {"12345": [(0, 1, GLAD)]}, {"train": ["12345"], "test": []})
    words(tmp_path, "12345", line.format(laid.line("12345", 7, 0, 1, "17 18")), laid.line("12345", 8, 1, 2, "19."))
    clips, tree = read(tmp_path)
    assert clips["12345_7"].text is None
    assert clips["12345_7"].flags == ("no_transcript", "missing_video", "missing_audio")
    assert "2 of its 2 lines hold no words" in tree.warnings[0]


def test_a_number_that_stands_twice(tmp_path):
    """Of two lines of one number the first is used, and the other told; the same line twice is nothing to tell."""
    lay(tmp_path, {"12345": [(0, 1, GLAD)]}, {"train": ["12345"], "test": []})
    first = laid.line("12345", 7, 0, 1, "yes")
    words(tmp_path, "12345", first, first, laid.line("12345", 7, 0, 1, "no"))
    clips, tree = read(tmp_path)
    assert clips["12345_7"].text == "yes"
    assert [name for name in tree.left_out if "another line 7" in name]


@given(
    st.from_regex(r"[A-Za-z0-9-]([A-Za-z0-9-]|_{1,2}[A-Za-z0-9-]){3,6}-?", fullmatch=True),
    st.integers(0, 97),
    st.integers(-500, 10**6),
    st.text(st.characters(blacklist_characters="\n\r", blacklist_categories=["Cs"])),
)
def test_any_line(video, number, start_ms, text):
    """A line is read back, whatever the id and the words hold."""
    line = laid.line(video, number, start_ms / 1000, start_ms / 1000 + 2, text)
    read_video, read_line = mosei._line(line, video)
    assert (read_video, read_line.number, read_line.start_s) == (video, number, start_ms / 1000)
    assert read_line.text == _cmu.words(text)


@st.composite
def joins(draw):
    """Sentences with a second between their beginnings, of which some are labelled, in any order, a little off."""
    count = draw(st.integers(1, 12))
    starts_s = np.cumsum(draw(st.lists(st.floats(1.1, 9), min_size=count, max_size=count))) - 1.5
    lines = [_cmu.Line(number, f"line {number}", s, s + 3) for number, s in enumerate(starts_s.tolist())]
    labelled = draw(st.lists(st.sampled_from(lines), unique=True, min_size=1))
    shifts_s = draw(st.lists(st.floats(-0.45, 0.45), min_size=len(labelled), max_size=len(labelled)))
    return draw(st.permutations(lines)), [
        (line, line.start_s + shift) for line, shift in zip(labelled, shifts_s, strict=True)
    ]


@settings(max_examples=60)
@given(joins())
def test_any_order_of_labels(tmp_path_factory, drawn):
    """Whatever the orders of the two lists, each label finds the sentence that begins with it, and no other."""
    lines, labelled = drawn
    tree = Tree(tmp_path_factory.mktemp("nothing"))
    rated = [_cmu.Rated("v", {"sentiment": 0.0}, start_s, line.end_s) for line, start_s in labelled]
    found = _cmu.joined(rated, {"v": lines}, tree)
    assert [(one.number, one.text) for one in found] == [(line.number, line.text) for line, _ in labelled]
    left = {line.number for line in lines} - {line.number for line, _ in labelled}
    assert tree.left_out.keys() == {f"v_{number}" for number in left}


def test_the_nearest_is_found_once(tmp_path):
    """Two labels never share a line: the nearer has it, the other is named by its time; an end elsewhere is flagged."""
    rated = [(10.3, 12, GLAD), (10.1, 12, SAD), (20.0, 29, GLAD), (30.51, 32, GLAD)]
    lay(tmp_path, {"12345": rated}, {"train": ["12345"], "test": []})
    lines = [(1, 10.0, 12), (2, 20.0, 22), (3, 30.0, 32)]
    words(tmp_path, "12345", *(laid.line("12345", *line, "words") for line in lines))
    clips, tree = read(tmp_path)
    assert list(clips) == ["12345_1", "12345_at10300ms", "12345_2", "12345_at30510ms"]
    assert of("sentiment", clips["12345_1"].labels) == one_hot("sentiment", "negative")
    assert {name for name, clip in clips.items() if "label_transcript_mismatch" in clip.flags} == {"12345_2"}
    assert tree.warnings[0].startswith(
        "1 labels begin at another time than their line of the transcript, by up to 0.5 s"
    )
    assert tree.left_out == {"12345_3": "a line of a transcript that has no label"}


def test_a_wav_that_is_too_short(tmp_path):
    """Where a wav ends long before the label does, the two are out of step, which is flagged."""
    lay(tmp_path, {"12345": [(0, 1, GLAD), (8, 9.5, SAD)]}, {"train": ["12345"], "test": []})
    tree_kit.wav(tmp_path / "Audio/WAV_16000/12345.wav", seconds=1.0)
    clips, _ = read(tmp_path)
    assert ["dur_mismatch" in clip.flags for clip in clips.values()] == [False, True]


def test_an_end_before_the_beginning(tmp_path):
    """A span that ends before it, or its video, begins can be cut from nothing, and is told."""
    lay(tmp_path, {"12345": [(0, 1, GLAD), (5, 4, GLAD), (-2, -1, SAD)]}, {"train": ["12345"], "test": []})
    clips, tree = read(tmp_path)
    assert list(clips) == ["12345_at0ms"]
    assert tree.left_out["12345_at5000ms"] == "ends at 4.0 s, before it begins"
    assert "12345_at-2000ms" in tree.left_out


def test_columns_are_believed_by_name(tmp_path):
    """The label file's own names of its columns count; without any, the documented order, with a warning."""
    order = ("anger", "Happiness", "sentiment", "sad", "surprise", "disgust", "fear")
    lay(tmp_path, None, {"train": ["v"], "test": []})
    for named, scores in ((True, (3, 0, 2, 0, 0, 0)), (False, (3, -0.0, 0, 0, 0, 0))):
        laid.csd(tmp_path / LABELS, {"v": [(0, 1, (2, 3, 0, 0, 0, 0, 0))]}, columns=order, named=named)
        clips, tree = read(tmp_path)
        assert clips["v_at0ms"].labels["emotion_scores"] == scores
        assert any("does not name its columns" in warning for warning in tree.warnings) != named


def test_columns_that_nobody_knows(tmp_path):
    """Six columns without names could be in any order, so they are refused."""
    laid.csd(tmp_path / LABELS, {"v": [(0, 1, (2, 3, 0, 0, 0, 0))]}, columns=("a", "b"))
    with pytest.raises(ManifestError, match=r"Labels\.csd: does not say what its 6 columns are"):
        read(tmp_path)


def test_the_older_pair_of_label_files(tmp_path):
    """Emotions and sentiment of two files meet by video and time; what stands in one alone keeps what it has."""
    lay(tmp_path, None, {"train": ["v"], "test": []})
    sentiment = {"v": [(5, 6, (1,)), (0, 1, (-2,)), (8, 9, (3,))]}
    laid.csd(tmp_path / "CMU_MOSEI_LabelsSentiment.csd", sentiment, columns=("sentiment",))
    emotions = {"v": [(0, 1, (0, 2, 0, 0, 0, 0)), (5, 6, (0, 0, 0, 0, 1, 0))]}
    columns = ("anger", "disgust", "fear", "happy", "sad", "surprise")
    laid.csd(tmp_path / "CMU_MOSEI_LabelsEmotions.csd", emotions, columns=columns)
    clips, _ = read(tmp_path)
    assert [clip.labels["sentiment_score"] for clip in clips.values()] == [(-2.0,), (1.0,), (3.0,)]
    assert clips["v_at0ms"].labels["emotion"] == one_hot("emotion", "disgust")
    assert clips["v_at5000ms"].labels["emotion"] == one_hot("emotion", "sad")
    assert "emotion" not in clips["v_at8000ms"].labels


def test_keys_of_what_was_aligned(tmp_path):
    """A label file that was aligned has one entry a segment, `video[3]`, all of the one video."""
    lay(tmp_path, {"v[0]": [(0, 1, GLAD)], "v[1]": [(5, 6, SAD)]}, {"train": ["v"], "test": []})
    assert list(read(tmp_path)[0]) == ["v_at0ms", "v_at5000ms"]


MMSA = table(
    ("video_id", "clip_id", "text", "label", "label_T", "annotation", "mode"),
    ("12345", "0003", "it is, well, good", "1.5", "", "Positive", "train"),
    ("-a__b", "7", "bad", "-2.333333", "", "Negative", "valid"),
    ("x_y", "1", "so", "0.0", "", "Neutral", "test"),
)


def test_tables_of_mmsa(tmp_path):
    """MMSA's table has numbers, words and splits, and no emotions and no times; its media lie by video and number."""
    lay(tmp_path, **{"label.csv": MMSA})
    tree_kit.wav(tmp_path / "Raw/12345/0003.wav", seconds=0.5)
    clips, tree = read(tmp_path)
    assert {name: clip.split for name, clip in clips.items()} == {"-a__b_7": "dev", "12345_3": "train", "x_y_1": "test"}
    assert clips["12345_3"].audio == Audio("Raw/12345/0003.wav")
    assert (clips["12345_3"].text, clips["12345_3"].duration_s) == ("it is, well, good", 0.5)
    assert clips["-a__b_7"].labels == {"sentiment_score": (-2.333333,)}
    assert clips["-a__b_7"].split_source == "label.csv"
    assert tree.warnings == ["label.csv has no emotions: sentiment alone is read"]


def test_mmsa_with_transcripts(tmp_path):
    """Where the transcript tells the times of a number, whole files will do."""
    lay(tmp_path, **{"label.csv": MMSA, "Audio__12345.wav": b"RIFF"})
    words(tmp_path, "12345", laid.line("12345", 3, 5.0, 6.5, "other words"))
    clip = read(tmp_path)[0]["12345_3"]
    assert clip.audio == Audio("Audio/12345.wav", 5.0, 6.5)
    assert clip.text == "it is, well, good"


LAB = ("video", "start_time", "end_time", "sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear", "text")


def test_tables_of_a_lab(tmp_path):
    """A lab's three tables hold times, words, scores and, by their names, splits; rows that stand twice are told."""
    row = ("12345", "-0.4875", "4.5", "1.0", "2", "0", "0", "0", "0", "0", "Good, I say")
    lay(
        tmp_path,
        **{
            "Labels__Data_Train_modified.csv": table(LAB, row, row, (*row[:3], "-1.0", *row[4:])),
            "Labels__Data_Val_modified.csv": table(LAB, ("a__b", "1", "2", *row[3:])),
            "Labels__Data_Test_original.csv": table(LAB, ("-c", "1", "2", *row[3:])),
            "Labels__Data_Test_original_without_neg_time.csv": table(LAB, ("-c", "1", "2", "3", *row[4:])),
        },
    )
    clips, tree = read(tmp_path)
    assert {name: clip.split for name, clip in clips.items()} == {
        "-c_at1000ms": "test",
        "12345_at-488ms": "train",
        "a__b_at1000ms": "dev",
    }
    clip = clips["12345_at-488ms"]
    assert clip.labels["emotion"] == one_hot("emotion", "happy")
    assert (clip.text, clip.labels["sentiment_score"]) == ("Good, I say", (1.0,))
    assert {"dup_segment", "neg_start_clamped"} < set(clip.flags)
    assert tree.left_out["12345_at-488ms, a second time"] == "stands twice, with another label"
    assert any("without_neg_time.csv is not read" in warning for warning in tree.warnings)


TURK = ("Input.VIDEO_ID", "Input.CLIP", "WorkerId", *(f"Answer.{word}" for word in mosei._ANSWERS))


def test_exports_of_mechanical_turk(tmp_path):
    """Raters are averaged by video and number, each once; a missing answer is told."""
    lay(
        tmp_path,
        None,
        {"train": ["12345"], "test": []},
        **{
            "Raw__Labels__a_batch.csv": table(
                TURK,
                ("clips/12345", 4, "w1", 1, 3, 0, 0, 0, 0, 0),
                ("12345", 4, "w2", 2, 0, 0, 0, 0, 0, 0),
                ("12345", 4, "w3", "", 0, 0, 0, 0, 0, 0),
            ),
            "Raw__Labels__b_copy.csv": table(TURK, ("12345", 4, "w1", -3, 0, 0, 0, 0, 0, 0)),
            "Raw__Labels__notes.csv": "who,what\n",
        },
    )
    words(tmp_path, "12345", laid.line("12345", 4, 5.0, 6.5, "words"))
    clips, tree = read(tmp_path)
    assert clips["12345_4"].labels["sentiment_score"] == (1.5,)
    assert clips["12345_4"].labels["emotion_scores"] == (1.5, 0, 0, 0, 0, 0)
    assert (clips["12345_4"].text, clips["12345_4"].duration_s) == ("words", 1.5)
    assert tree.left_out["Raw/Labels/a_batch.csv, row 3"] == "a rater did not answer"
    assert tree.left_out["Raw/Labels/notes.csv"] == "not an export of Mechanical Turk"


def test_several_label_sources(tmp_path):
    """The first of several is read, and which were not is said; Turk's exports are what all the others are made of."""
    lay(tmp_path, {"v": [(0, 1, GLAD)]}, {"train": ["v"], "test": []}, **{"label.csv": MMSA, "Labels__x.csv": "a"})
    clips, tree = read(tmp_path)
    assert list(clips) == ["v_at0ms"]
    assert f"labels are read from {LABELS}, not from label.csv" in tree.warnings


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (
            {"label.csv": MMSA.replace("1.5", "4")},
            r"label\.csv, row 1, column 'sentiment': expected a mean from -3 to 3",
        ),
        ({"label.csv": MMSA.replace("1.5", "nan")}, r"label\.csv, row 1, column 'label': expected a number, got 'nan'"),
        ({"label.csv": MMSA.replace("valid", "x")}, r"label\.csv, row 2, column 'mode': expected one of train"),
        ({"label.csv": MMSA.replace("x_y", "../y")}, r"label\.csv, row 3, column 'video': expected letters"),
        ({"label.csv": MMSA.replace("clip_id", "n")}, r"label\.csv: expected columns .*; missing: clip_id"),
        (
            {"Data_Train_x.csv": table(LAB, ("v", "0", "1e9", *"0000000", "w"))},
            r"Data_Train_x\.csv, row 1, column 'end': expected seconds",
        ),
        (
            {"Labels__t.csv": table(TURK, ("v", "1", "w", "0", "0", "0", "-1", "0", "0", "0"))},
            r"t\.csv, row 1, column 'anger': expected a mean from 0 to 3",
        ),
    ],
)
def test_rows_that_cannot_be_right(tmp_path, files, complaint):
    """A wrong cell is refused with its file, row and column."""
    with pytest.raises(ManifestError, match=complaint):
        read(lay(tmp_path, **files))


def with_link(file):
    """Make a label a link within the file."""
    file["All Labels/data/w"] = h5py.SoftLink("/All Labels/data/v")


def with_external_link(file):
    """Make a label a link to another file, which is there."""
    file["All Labels/data/w"] = h5py.ExternalLink("other.csd", "/All Labels/data/v")


def with_external_head(file):
    """Make the whole group a link to another file, which is there."""
    del file["All Labels"]
    file["All Labels"] = h5py.ExternalLink("other.csd", "/All Labels")


def with_external_values(file):
    """Make values bytes of another file."""
    del file["All Labels/data/v/features"]
    file["All Labels/data/v"].create_dataset("features", (1, 7), dtype="f4", external=[("other.csd", 0, 28)])


def with_virtual_values(file):
    """Make values a window into another file."""
    del file["All Labels/data/v/features"]
    layout = h5py.VirtualLayout((1, 7), dtype="f4")
    layout[:] = h5py.VirtualSource("other.csd", "All Labels/data/v/features", (1, 7))
    file["All Labels/data/v"].create_virtual_dataset("features", layout)


def put(name, value):
    """Return a change that replaces one array."""

    def change(file):
        del file[f"All Labels/data/v/{name}"]
        file[f"All Labels/data/v/{name}"] = value

    return change


HOSTILE = {
    "a link within": (with_link, "w is missing or a link"),
    "a link to a file": (with_external_link, "w is missing or a link"),
    "a head elsewhere": (with_external_head, "All Labels is missing or a link"),
    "values elsewhere": (with_virtual_values, "lies in another file"),
    "bytes elsewhere": (with_external_values, "lies in another file"),
    "no number": (put("features", np.full((1, 7), np.nan)), "what is not a number"),
    "endless": (put("intervals", np.array([[0, np.inf]])), "what is not a number"),
    "words": (put("features", np.array([[b"x"] * 7])), "not a table of numbers"),
    "a group": (put("features", h5py.SoftLink("/")), "is missing or a link"),
    "one axis": (put("features", np.zeros(7)), "not a table of numbers"),
    "fewer times": (put("intervals", np.zeros((0, 2))), "expected two times for each row"),
    "three times": (put("intervals", np.zeros((1, 3))), "expected two times for each row"),
    "too many": (put("features", np.zeros((5000, 7))), "far too large"),
    "no values": (lambda file: file["All Labels/data/v"].__delitem__("features"), "features is missing"),
    "two heads": (lambda file: file.create_group("Other/data"), "expected one group that holds data, got 2"),
    "out of bounds": (put("features", np.full((1, 7), 9.0)), r"video v, row 1, column 'sentiment': expected a mean"),
    "a year long": (put("intervals", np.array([[0, 3e7]])), r"video v, row 1, column 'end': expected seconds"),
    "an odd id": (
        lambda file: file.move("All Labels/data/v", "All Labels/data/a b"),
        r"column 'video': expected letters",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_label_files_that_lie(tmp_path, what):
    """Links, arrays of other files, wrong shapes and what is not a number end in a sentence that names the file."""
    change, complaint = HOSTILE[what]
    laid.csd(tmp_path / "other.csd", {"v": [(0, 1, GLAD)]})
    lay(tmp_path, {"v": [(0, 1, GLAD)]}, {"train": ["v"], "test": []})
    with h5py.File(tmp_path / LABELS, "a") as file:
        change(file)
    with pytest.raises(ManifestError, match=rf"{LABELS}.*{complaint}"):
        read(tmp_path)


@pytest.mark.parametrize("names", ['["a"', "7", '{"a": 1}', "[1, 2]", "[" * 5000, "", '"sentiment"'])
def test_names_of_columns_that_lie(tmp_path, names):
    """Metadata that make no sense are passed over, with a warning, and the documented order is read."""
    lay(tmp_path, {"v": [(0, 1, GLAD)]}, {"train": ["v"], "test": []})
    with h5py.File(tmp_path / LABELS, "a") as file:
        file["All Labels/metadata/dimension names"][0] = names
    clips, tree = read(tmp_path)
    assert clips["v_at0ms"].labels["sentiment_score"] == (2.0,)
    assert any("does not name its columns" in warning for warning in tree.warnings)


def test_label_files_cut_short(tmp_path):
    """A download that ended early, or brought a page of the web, is refused by name and never read as a smaller one."""
    lay(tmp_path, {f"v{number}": [(0, 1, GLAD)] for number in range(30)}, {"train": ["v1"], "test": []})
    content = (tmp_path / LABELS).read_bytes()
    pieces = [content[: len(content) * part // 12] for part in range(1, 12)]
    for piece in (*pieces, content[:-1], b"<html>Not found</html>", content[8:]):
        (tmp_path / LABELS).write_bytes(piece)
        with pytest.raises(ManifestError, match=rf"{LABELS}: cannot be read as labels .*is the download complete"):
            read(tmp_path)


def test_a_damaged_byte_in_the_names_of_columns(tmp_path):
    """HDF5 may hang where a byte of its heap is wrong, so the names are read without it: as they are, or refused."""
    file = tmp_path / LABELS
    laid.csd(file, {"v": [(0, 1, GLAD)]})
    content = file.read_bytes()
    heap = content.index(b"GCOL")
    told = Counter()
    for place in range(heap, heap + 200):
        file.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        try:
            told[_csd.read(file).columns == laid.COLUMNS] += 1
        except ManifestError:
            told["refused"] += 1
    assert min(told[True], told[False], told["refused"]) > 0


def test_folds_are_not_run(tmp_path):
    """The SDK's list is parsed, never executed: what it would do is not done, and other lines do not matter."""
    trap = tmp_path / "trap"
    code = f"import pathlib\npathlib.Path({str(trap)!r}).touch()\nother = print(1)\n" + laid.folds(
        {"train": ["v"], "test": []}
    )
    lay(tmp_path, {"v": [(0, 1, GLAD)]}, **{FOLD_LIST: code})
    assert read(tmp_path)[0]["v_at0ms"].split == "train"
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("f.py", "standard_train_fold = [print(1)]\nstandard_test_fold = []", "cannot be read as lists of videos"),
        ("f.py", "standard_train_fold = ['a'", "cannot be read as lists of videos"),
        ("f.py", "x" * 10 + "\0", "cannot be read as lists of videos"),
        ("f.py", "standard_train_fold=" + "[" * 5000, "cannot be read as lists of videos"),
        ("f.py", "standard_train_fold = ['a']", "expected lists train, valid and test, got train"),
        ("f.json", '{"train": ["a"], "test": "a"}', "expected a list of ids of videos in test"),
        ("f.json", '{"train": ["a"], "test": [12345]}', "expected a list of ids of videos in test"),
        ("f.json", "[" * 100_000, "cannot be read as lists of videos"),
        ("f.json", '["a"]', "expected lists train, valid and test, got none"),
        ("f.json", '{"train": ["a"], "valid": ["a"], "test": []}', "a is in train and in dev"),
        ("f.csv", "segment,split\na_1,train\na_1,test\n", "a_1 is in train and in test"),
        ("f.csv", "segment,split\na_1,best\n", r"row 1, column 'split': expected one of train"),
        ("f.csv", "who,split\na_1,best\n", "expected columns segment, split; missing: segment"),
        ("g.json", "", r"no such file: .*f\.json"),
    ],
)
def test_folds_that_cannot_be_read(tmp_path, name, content, complaint):
    """A list of folds that makes no sense is refused with its file and what is expected."""
    lay(tmp_path, {"v": [(0, 1, GLAD)]}, **{name: content})
    with pytest.raises(ManifestError, match=complaint):
        read(tmp_path, folds=name.replace("g", "f"))


def test_without_folds(tmp_path):
    """Without a list the user hears which file is missing, where it comes from and how else to say it."""
    lay(tmp_path, {"v": [(0, 1, GLAD)], "w": [(0, 1, SAD)]})
    with pytest.raises(ManifestError, match=r"cmu_mosei_std_folds\.py.*CMU-MultimodalSDK.*option folds.*folds=none"):
        read(tmp_path)
    clips, tree = read(tmp_path, folds="none")
    assert {(clip.split, clip.split_source, clip.flags) for clip in clips.values()} == {
        ("all", "", ("no_transcript", "missing_video", "missing_audio"))
    }
    assert tree.left_out == {}


def test_folds_of_ones_own(tmp_path):
    """A list of videos or a table of segments, inside or outside of the root, goes before the SDK's."""
    root = lay(tmp_path / "root", {"v": [(0, 1, GLAD), (5, 6, SAD)]}, {"train": ["v"], "test": []})
    words(root, "v", laid.line("v", 1, 0, 1, "one"), laid.line("v", 2, 5, 6, "two"))
    tree_kit.lay(
        tmp_path,
        {
            "mine.json": json.dumps({"train": [], "val": ["v"], "test": ["w"], "note": 1}),
            "root/mme2e.csv": "segment,split,sentiment\nv_2,val,0\nv_9,test,0\n",
            "root/label_mine.csv": MMSA.replace("12345,0003", "v,0001"),
        },
    )
    for option, splits, where in (
        (str(tmp_path / "mine.json"), {"v_1": "dev", "v_2": "dev"}, "file: mine.json"),
        ("mme2e.csv", {"v_2": "dev"}, "file: mme2e.csv"),
        ("label_mine.csv", {"v_1": "train"}, "file: label_mine.csv"),
    ):
        clips, tree = read(root, folds=option)
        assert {name: clip.split for name, clip in clips.items()} == splits
        assert {clip.split_source for clip in clips.values()} == {where}
        assert {name for name, why in tree.left_out.items() if why.startswith("not in the folds")} == {
            "v_1",
            "v_2",
        } - splits.keys()
    assert read(root, folds="mme2e.csv")[1].left_out["v_9"] == "in the folds (file: mme2e.csv), but without a label"


def test_no_labels(tmp_path):
    """Media without any labels are refused with the tree that is expected."""
    tree_kit.lay(tmp_path, {"Raw/Audio/Full/WAV_16000/v.wav": b"RIFF"})
    with pytest.raises(ManifestError, match=r"no labels of MOSEI under (.|\n)*\nROOT/"):
        read(tmp_path)


def test_options_are_checked(root):
    """An unknown variant is refused with those that there are."""
    with pytest.raises(ManifestError, match="option 'variant': expected one of sdk, processed22856, got 'full'"):
        read(root, variant="full")


def test_reading_other_corpora_does_not_load_hdf5():
    """Listing corpora stays light: only who reads a label file waits for HDF5."""
    code = "import sys, manifests; manifests.corpus_module('mosei'); sys.exit('h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=False).returncode == 0


# What the label file has beside the processed set, by the numbers that are missing there.
BESIDE = {"HuIKyKkEL0Q": [0], "JGEEA_JVriE": [1, 2, 3], "zsRTbbKlsEg": [0], "aa0J1AXSseY": [4, 5, 6]}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A label file of the real segments, at times of our own and in no order, and their real folds."""
    if not (REAL / "mosei_sentiment_labels.csv").is_file():
        pytest.skip(f"the real folds of MOSEI are not at {REAL}")
    with (REAL / "mosei_sentiment_labels.csv").open(newline="") as file:
        rows = [(*row["segment"].rsplit("_", 1), float(row["sentiment"])) for row in csv.DictReader(file)]
    rows += [(video, str(number), 0.0) for video, numbers in BESIDE.items() for number in numbers]
    root = tmp_path_factory.mktemp("real")
    rated, lines = {}, {}
    for video, number, score in reversed(rows):
        span = (8 * int(number), 8 * int(number) + 7.5)
        rated.setdefault(video, []).append((*span, (score,)))
        lines.setdefault(video, []).append(laid.line(video, number, *span, "words"))
    laid.csd(root / LABELS, rated, columns=("sentiment",))
    (root / "Transcript").mkdir()
    for video, transcript in lines.items():
        (root / f"Transcript/{video}.txt").write_text("\n".join(transcript))
    tree_kit.lay(root, {"cmu_mosei_std_folds.json": (REAL / "mosei_std_folds.json").read_bytes()})
    return root


def test_real_folds(real):
    """The SDK's folds have as many videos and segments as were counted; a video of no fold is left out by name."""
    found = scan("mosei", real)
    clips, left = found.manifest.clips, found.tree.left_out
    assert Counter(clip.split for clip in clips) == {"train": 16327, "dev": 1871, "test": 4662}
    for words_, count in mosei.EXPECTED.items():
        if "sentiment" not in words_:  # of the nine beside the processed set we do not know it
            assert expected.count(clips, words_) == count
    why = "not in the folds (official: cmu_mosei_std_folds.json)"
    assert {name for name, reason in left.items() if reason == why} == {f"-NFrJFQijFE_{n}" for n in (0, 1, 2, 8)}
    assert left.keys() - {f"-NFrJFQijFE_{n}" for n in (0, 1, 2, 8)} == {"7l3BNtSE0xc", "dZFV0lyedX4"}
    assert not any("no_transcript" in clip.flags for clip in clips)


def test_the_real_processed_set(real):
    """The variant has exactly the segments and the two counts of seven sentiments that papers have."""
    clips = scan("mosei", real, {"variant": "processed22856"}).manifest.clips
    assert {clip.split_source for clip in clips} == {"official: cmu_mosei_std_folds.json, processed22856"}
    with (REAL / "mosei_sentiment_labels.csv").open(newline="") as file:
        wanted = {row["segment"]: row["split"].replace("val", "dev") for row in csv.DictReader(file)}
    assert {clip.id: clip.split for clip in clips} == wanted
    counts = {
        "sentiment": {"train": (4738, 3540, 8048), "dev": (506, 433, 932), "test": (1350, 1025, 2284)},
        "sentiment7_bins": {
            "train": (613, 1583, 2542, 3540, 5288, 2255, 505),
            "dev": (47, 159, 300, 433, 631, 251, 50),
            "test": (156, 489, 705, 1025, 1510, 664, 110),
        },
        "sentiment7": {
            "train": (311, 1305, 2039, 6798, 4117, 1549, 207),
            "dev": (24, 110, 244, 835, 470, 169, 19),
            "test": (70, 399, 554, 1927, 1228, 440, 41),
        },
    }
    for task, splits in counts.items():
        counted = Counter((clip.split, of(task, clip.labels).index(1)) for clip in clips)
        for split, wanted_counts in splits.items():
            assert tuple(counted[split, place] for place in range(len(TASKS[task].classes))) == wanted_counts
