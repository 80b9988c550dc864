"""CMU-MOSI: labels without a head, numbers that only the labels know, a film that does not open."""

from collections import Counter
from pathlib import Path

import pytest
import tree_kit
from hypothesis import given
from hypothesis import strategies as st
from trees import mosei as laid_mosei
from trees import mosi as laid

from manifests import Audio, ManifestError, Video, expected, scan
from manifests.corpora import mosi
from manifests.labels import of, one_hot
from manifests.licence import may_share

REAL = Path(__file__).parents[2] / "shared" / "data" / "cmu-folds"
TABLE, CSD, FOLD_LIST = "Labels/OpinionLevelSentiment.csv", "CMU_MOSI_Opinion_Labels.csd", "cmu_mosi_std_folds.py"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tree, laid once."""
    place = tmp_path_factory.mktemp("mosi")
    laid.lay(place)
    return place


@pytest.fixture(scope="module")
def found(root):
    """What is found in it."""
    return scan("mosi", root)


@pytest.fixture(scope="module")
def clips(found):
    """Its clips by id."""
    return {clip.id: clip for clip in found.manifest.clips}


def read(root, files=(), **options):
    """Lay down texts, read a tree, and return its clips by id, and the tree."""
    tree_kit.lay(root, dict(files))
    found = scan("mosi", root, options)
    return {clip.id: clip for clip in found.manifest.clips}, found.tree


def folds(*train):
    """Return the SDK's lists, all of train."""
    return {FOLD_LIST: laid_mosei.folds({"train": list(train), "test": []})}


def csd(root, rated):
    """Write the SDK's label file."""
    laid_mosei.csd(root / CSD, rated, columns=("sentiment",), head="Opinion Segment Labels")


def test_who_is_found(clips):
    """Every labelled sentence of the folds is there once, named by its video and number."""
    for split, lists in {"train": "train", "dev": "valid", "test": "test"}.items():
        here = {clip.id for clip in clips.values() if clip.split == split}
        assert here == {f"{video}_{number}" for video in laid.FOLDS[lists] for number in (1, 2)}
    assert {clip.split_source for clip in clips.values()} == {f"official: {FOLD_LIST}"}
    assert {(clip.speaker_id, clip.dialogue_id) for clip in clips.values()} == {
        (video, video) for videos in laid.FOLDS.values() for video in videos
    }


def test_a_whole_row(clips):
    """Times, words and score come from the row and the line of the same number; there are no emotions."""
    clip = clips["Train__one1_2"]
    assert clip.audio == Audio("Audio/WAV_16000/Full/Train__one1.wav", 0.45, 0.95)
    assert clip.video == Video("Video/Full/Train__one1.mp4", 0.45, 0.95)
    assert (clip.text, clip.utt_index, clip.duration_s) == ("TWO_DELIM_AND MORE", 2, 0.5)
    assert clip.labels == {"sentiment_score": (0.0,)}
    assert clip.native["sentiment"] == 0
    assert of("sentiment2_has0", clip.labels) == one_hot("sentiment2_has0", "not negative")
    assert (clip.label_kind, clip.language, may_share(clip.licence, "raw")) == ("mean rating", "en", False)
    assert clips["c5xsKMxpXnc_2"].labels["sentiment_score"] == (-0.25,)


def test_the_film_that_does_not_open(clips, tmp_path):
    """The known bad film is passed over for its segments; without them it is used, and flagged."""
    for number in (1, 2):
        clip = clips[f"{laid.BAD_FILM}_{number}"]
        assert clip.video == Video(f"Video/Segmented/{laid.BAD_FILM}_{number}.mp4")
        assert "known_bad" not in clip.flags
    film = f"Video/Full/{laid.BAD_FILM}.mp4"
    files = {TABLE: f"1,2,{laid.BAD_FILM},1,0.8\n", film: "mp4", **folds(laid.BAD_FILM)}
    clip = read(tmp_path, files)[0][f"{laid.BAD_FILM}_1"]
    assert clip.video == Video(film, 1, 2)
    assert clip.flags == ("no_transcript", "known_bad")


def test_segments_that_the_sdk_s_issues_name(tmp_path):
    """A segment that is known to be cut in the wrong place is flagged, its neighbours are not."""
    rows = "".join(f"{n},{n + 1},2WGyTLYerpo,{n},1\n" for n in (42, 43, 44, 45))
    found, _ = read(tmp_path, {TABLE: rows, **folds("2WGyTLYerpo")})
    assert [clip.utt_index for clip in found.values() if "known_bad" in clip.flags] == [43, 44]


def test_where_only_cuts_lie(clips):
    """Files that hold one sentence are used from their beginning, and where they were cut from is kept."""
    clip = clips["OnlyCuts_55_2"]
    assert clip.audio == Audio("Audio/WAV_16000/Segmented/OnlyCuts_55_2.wav")
    assert clip.video == Video("Video/Segmented/OnlyCuts_55_2.mp4")
    assert [clip.native[f"cut_{what}"] for what in ("from", "start_s", "end_s")] == ["OnlyCuts_55", 0.45, 0.95]
    assert "cut_from" not in clips["Test-Video4_1"].native


def test_what_is_left_out(found, clips):
    """Sentences of no fold, lines of no label and files of no video are told; a line without words is flagged."""
    assert found.tree.left_out == {
        "OutOfFolds0_1": f"not in the folds (official: {FOLD_LIST})",
        "OutOfFolds0_2": f"not in the folds (official: {FOLD_LIST})",
        "Test-Video4_3": "a line of a transcript that has no label",
        "Transcript/Segmented/Test-Video4.annotprocessed, line 4": "not number_DELIM_words, or its number stands twice",
        "Audio/WAV_16000/Full/NotLabelled.wav": "no label names it",
    }
    assert [clip.id for clip in clips.values() if clip.text is None] == ["Test-Video4_2"]
    assert clips["Test-Video4_2"].flags == ("no_transcript",)


def test_labels_with_a_head(tmp_path):
    """Some labs gave the table a head; blanks around cells do not matter."""
    head = "start,end,video_id,segment_no,label\r\n"
    found, _ = read(tmp_path, {TABLE: head + "1.5, 2.5,-a_b,3, -0.4\r\n", **folds("-a_b")})
    assert list(found) == ["-a_b_3"]
    assert found["-a_b_3"].labels == {"sentiment_score": (-0.4,)}


@given(
    st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True),
    st.integers(1, 63),
    st.integers(0, 10_000),
    st.integers(-30, 30),
)
def test_any_row(tmp_path_factory, video, number, start_ds, score):
    """The id is split nowhere: whatever it holds, it comes back with its number, its time and its score."""
    root = tmp_path_factory.mktemp("row")
    row = f"{start_ds / 10},{start_ds / 10 + 2},{video},{number},{score / 10}\n"
    (clip,) = read(root, {TABLE: row, **folds(video)})[0].values()
    assert (clip.id, clip.dialogue_id, clip.utt_index) == (f"{video}_{number}", video, number)
    assert clip.labels == {"sentiment_score": (score / 10,)}
    assert clip.duration_s == 2


def test_the_sdk_s_label_file(tmp_path):
    """It has no numbers: sentences are counted by when they begin, not by where they stand; words follow the count."""
    csd(tmp_path, {"a__b": [(5, 6, (1.6,)), (0, 1, (-0.2,))], "c": [(0, 1, (0,)), (2, 3, (1,))]})
    words = {
        "Transcript/Segmented/a__b.annotprocessed": "1_DELIM_FIRST\n2_DELIM_SECOND\n",
        "Transcript/Segmented/c.annotprocessed": "1_DELIM_FIRST\n3_DELIM_THIRD\n",
    }
    found, tree = read(tmp_path, {**words, **folds("a__b", "c")})
    assert [(clip.id, clip.text, clip.labels["sentiment_score"]) for clip in found.values()] == [
        ("a__b_1", "FIRST", (-0.2,)),
        ("a__b_2", "SECOND", (1.6,)),
        ("c_1", None, (0.0,)),
        ("c_2", None, (1.0,)),
    ]
    assert {name for name, clip in found.items() if "label_transcript_mismatch" in clip.flags} == {"c_1", "c_2"}
    assert any("segments are counted in the order in which they begin" in warning for warning in tree.warnings)


def test_tables_of_mmsa(tmp_path):
    """MMSA's table brings its own words and splits."""
    rows = "video_id,clip_id,text,label,annotation,mode\n-a_b,7,so good,2.4,Positive,test\nc,1,so,0,Neutral,valid\n"
    found, _ = read(tmp_path, {"label.csv": rows, "Raw/-a_b/7.mp4": "mp4"})
    assert {name: (clip.split, clip.text) for name, clip in found.items()} == {
        "-a_b_7": ("test", "so good"),
        "c_1": ("dev", "so"),
    }
    assert found["-a_b_7"].video == Video("Raw/-a_b/7.mp4")
    assert found["c_1"].flags == ("missing_video", "missing_audio")


def test_several_label_sources(tmp_path):
    """The table without a head is read before the others, and which were not is said."""
    csd(tmp_path, {"a": [(0, 1, (1,))]})
    _, tree = read(tmp_path, {TABLE: "0,1,a,1,-1\n", **folds("a")})
    assert tree.warnings == [f"labels are read from {TABLE}, not from {CSD}"]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("0,1,a,1,3.4", "column 'sentiment': expected a mean from -3 to 3, got 3.4"),
        ("0,1,a,1,", "column 'label': expected a number, got ''"),
        ("0,1,a,1", "column 'label': expected a number, got ''"),
        ("0,1,a,one,1", "column 'segment_no': expected a whole number from 0, got 'one'"),
        ("0,1e9,a,1,1", "column 'end': expected seconds in a video"),
        ("zero,1,a,1,1", "column 'start': expected a number, got 'zero'"),
        ("0,1,../a,1,1", "column 'video': expected letters, digits"),
    ],
)
def test_rows_that_cannot_be_right(tmp_path, row, complaint):
    """A wrong cell is refused with its file, row and column, though the table has no head."""
    with pytest.raises(ManifestError, match=rf"OpinionLevelSentiment\.csv, row 2, {complaint}"):
        read(tmp_path, {TABLE: f"0,1,a,9,0\n{row}\n", **folds("a")})


def test_a_sentence_that_stands_twice(tmp_path):
    """The first is kept with a flag, the second is told."""
    found, tree = read(tmp_path, {TABLE: "0,1,a,1,1\n0,1,a,1,2\n", **folds("a")})
    assert found["a_1"].labels == {"sentiment_score": (1.0,)}
    assert "dup_segment" in found["a_1"].flags
    assert tree.left_out == {"a_1, a second time": "stands twice, with another label"}


def test_without_labels_or_folds(tmp_path):
    """What is missing is said: the tree that is expected, or the list of folds and where it comes from."""
    tree_kit.lay(tmp_path, {"Video/Full/a.mp4": "mp4"})
    with pytest.raises(ManifestError, match=r"no labels of MOSI under (.|\n)*\nROOT/"):
        read(tmp_path)
    with pytest.raises(ManifestError, match=r"cmu_mosi_std_folds\.py.*CMU_MOSI.*folds=none"):
        read(tmp_path, {TABLE: "0,1,a,1,1\n"})
    assert [clip.split for clip in read(tmp_path, folds="none")[0].values()] == ["all"]


def test_real_folds(tmp_path):
    """Each video of the real folds, one sentence long, comes into its split."""
    if not (REAL / "mosi_std_folds.json").is_file():
        pytest.skip(f"the real folds of MOSI are not at {REAL}")
    tree_kit.lay(tmp_path, {"mosi_std_folds.json": (REAL / "mosi_std_folds.json").read_bytes()})
    videos = _real_videos()
    found, tree = read(tmp_path, {TABLE: "".join(f"0,1,{video},1,0.2\n" for video in videos)})
    assert Counter(clip.split for clip in found.values()) == {"train": 52, "dev": 10, "test": 31}
    for words, count in mosi.EXPECTED.items():
        if words.startswith("speakers"):
            assert expected.count(found.values(), words) == count
    assert tree.left_out == {}
    assert laid.BAD_FILM in {clip.dialogue_id for clip in found.values() if clip.split == "dev"}


def _real_videos():
    """Return the ids of the real list by its text alone, not by the code that is tested."""
    text = (REAL / "mosi_std_folds.json").read_text()
    return [word for word in text.split('"')[1::2] if word not in ("train", "valid", "test")]


def test_published_counts_add_up():
    """The counts that a whole corpus is held against agree with each other."""
    for split in ("train", "dev", "test"):
        signs = [mosi.EXPECTED[f"split {split}, sentiment {sign}"] for sign in ("negative", "neutral", "positive")]
        assert sum(signs) == mosi.EXPECTED[f"split {split}"]
    assert sum(mosi.EXPECTED[f"split {name}"] for name in ("train", "dev", "test")) == 2199
    assert sum(count for words, count in mosi.EXPECTED.items() if "sentiment7" in words) == 686
