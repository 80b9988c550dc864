"""RAMAS: votes summed by second, ties kept as ties, intervals, days as splits, and the user's own list."""

from collections import Counter
from itertools import pairwise

import pytest
import tree_kit
from hypothesis import given
from hypothesis import strategies as st
from trees import ramas as small

from manifests import Audio, ManifestError, Video, labels, scan
from manifests.corpora import ramas
from manifests.labels import one_hot
from manifests.tree import Tree

TOP = "RAMAS/RAMAS"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Lay the small corpus down once."""
    folder = tmp_path_factory.mktemp("ramas")
    small.lay(folder)
    return folder


@pytest.fixture(scope="module")
def found(root):
    """Read it once with the defaults."""
    return scan("ramas", root)


@pytest.fixture(scope="module")
def clips(found):
    """Return its clips by id."""
    return {clip.id: clip for clip in found.manifest.clips}


def read(root, **options):
    """Return the clips of a tree by id."""
    return {clip.id: clip for clip in scan("ramas", root, options).manifest.clips}


def one_recording(root, seconds, base="10dec_O11_1", **how):
    """Lay the votes of one recording alone."""
    tree_kit.lay(root, {f"Annotations_by_files/{base}_ann.csv": small.votes(seconds, **how)})
    return root


def test_a_whole_clip(clips):
    """Two seconds with the same winner are one clip of the recording's sound and close-up, from a table with `;`."""
    clip = clips["21dec_O11_1_001"]
    assert clip.audio == Audio(f"{TOP}/Data/Audio/21dec_O11_1_mic.wav", 2.3, 4.3)
    assert clip.video == Video(f"{TOP}/Data/Video_close/21dec_O11_1_Video.mp4", 2.3, 4.3)
    assert (clip.split, clip.split_source) == ("21dec", "the day of the recording")
    assert (clip.dialogue_id, clip.utt_index, clip.duration_s, clip.language) == ("21dec_O11_1", 1, 2.0, "ru")
    assert clip.speaker_id is clip.sex is clip.text is None
    assert clip.native == {"emotion": "Happy", "votes": "Happy 4, Sad 1", "scenario": "O11"}
    assert clip.labels == {"emotion": one_hot("emotion", "happy")}
    assert (clip.label_kind, clip.flags) == ("vote series", ())
    assert clip.licence == "RAMAS on request to its owner; may be shared: nothing"


def test_every_clip(clips):
    """Recordings come by name, their clips by time, with places that lone seconds keep free."""
    plain = ["O11_1_000", "O11_1_001"]
    mixed = ["D2_2_000", "D2_2_002", "D2_2_003"]
    assert list(clips) == [f"{day}_{tail}" for day in small.DAYS for tail in mixed + plain] + ["22dec_S4_1_000"]


def test_a_tie_is_shared(clips):
    """Where two emotions have the most votes in a row of seconds, each has half of the label."""
    tie = clips["22dec_D2_2_002"]
    assert tie.native == {"emotion": "Angry+Scared", "votes": "Angry 3, Scared 3, Sad 1", "scenario": "D2"}
    assert tie.labels == {"emotion": (0, 0, 0, 0.5, 0, 0, 0.5)}
    assert (tie.video.start_s, tie.video.end_s) == (3.25, 5.25)


def test_domination_never_wins(clips):
    """Social scales have more votes than the emotion beside them, and are told, but do not win or break a clip."""
    sad = clips["22dec_D2_2_000"]
    assert sad.native["votes"] == "Sad 4, Domination 3"
    assert (sad.labels["emotion"], sad.duration_s) == (one_hot("emotion", "sad"), 2.0)


@pytest.mark.parametrize("word", ramas.EMOTIONS)
def test_words(tmp_path, word):
    """Each of the seven words is its own class of the house."""
    clip = read(one_recording(tmp_path, ((word,),) * 2))["10dec_O11_1_000"]
    house = {"Sad": "sad", "Happy": "happy", "Neutral": "neutral", "Disgusted": "disgust", "Surprised": "surprise"}
    house |= {"Angry": "anger", "Scared": "fear"}
    assert clip.labels == {"emotion": one_hot("emotion", house[word])}


def test_a_start_before_the_recording(clips):
    """What begins before zero is cut at zero and flagged; the rest of its recording is not."""
    assert clips["10dec_D2_2_000"].flags == ("neg_start_clamped",)
    assert (clips["10dec_D2_2_000"].audio.start_s, clips["10dec_D2_2_000"].audio.end_s) == (0.0, 1.6)
    assert clips["10dec_D2_2_000"].duration_s == 1.6
    assert clips["10dec_D2_2_002"].flags == ()


def test_known_bad_and_missing(clips):
    """The recording that one lab skips is flagged; a stub and a film that is not there are missing."""
    assert [name for name, clip in clips.items() if "known_bad" in clip.flags] == ["10dec_O11_1_000", "10dec_O11_1_001"]
    gone = clips["22dec_S4_1_000"]
    assert (gone.flags, gone.audio, gone.video) == (("missing_video", "missing_audio"), None, None)


def test_what_is_left_out_is_told(found):
    """Lone seconds, seconds without an emotion, stubs and media without votes are named, and nothing else is."""
    votes = f"{TOP}/Annotations_by_files"
    assert found.tree.left_out == {
        **{f"{day}_D2_2_001": "shorter than 1.5 s" for day in small.DAYS},
        **{f"{votes}/{day}_D2_2_ann.csv: 1 of 8 s": "nobody saw one of the seven emotions" for day in small.DAYS},
        f"{votes}/22dec_S4_2_ann.csv: 0 of 0 s": "nobody saw one of the seven emotions",
        f"{TOP}/Data/Audio/22dec_S4_1_mic.wav": "not downloaded: a pointer of Git LFS (git lfs pull)",
        f"{TOP}/Data/Audio/10dec_O12_1_mic.wav": "no annotation names it",
    }
    assert found.tree.junk == 3
    assert len(found.tree.warnings) == 1
    assert "ramas_split.csv (base,split)" in found.tree.warnings[0]


def test_shortest(root):
    """A lower limit brings lone seconds back, in their own places; a higher one leaves less."""
    assert read(root, min_s="0")["22dec_D2_2_001"].native["emotion"] == "Happy"
    assert {clip.duration_s for clip in read(root, min_s="2.5").values()} == {3.0}


@pytest.mark.parametrize(("time", "start_s"), [("start", 3.0), ("centre", 2.5), ("end", 2.0)])
def test_where_in_its_second_a_row_lies(tmp_path, time, start_s):
    """A row's time may name the start, the centre or the end of its second; nothing else moves."""
    clip = read(one_recording(tmp_path, (small.TWICE,) * 3, first_s=3), time=time)["10dec_O11_1_000"]
    assert (clip.native["emotion"], clip.duration_s) == ("Angry", 3.0)
    tree_kit.lay(tmp_path, {"10dec_O11_1_mic.wav": b"RIFF"})
    assert read(tmp_path, time=time)["10dec_O11_1_000"].audio == Audio("10dec_O11_1_mic.wav", start_s, start_s + 3)


def test_a_gap_ends_a_clip(tmp_path):
    """Seconds that do not follow each other are two clips, though the same emotion wins on both sides."""
    early, late = (small.votes((small.TWICE,) * 2, first_s) for first_s in (0, 5))
    tree_kit.lay(tmp_path, {"10dec_O11_1_ann.csv": early + late.partition("\n")[2]})
    assert [clip.duration_s for clip in read(tmp_path).values()] == [2.0, 2.0]


def test_raters_a_little_apart_share_a_second(tmp_path):
    """Raters whose clocks differ by less than half a second vote on the same seconds."""
    one, other = small.votes((("Sad",),) * 3, 0.5), small.votes((("Sad",),) * 3, 0.75)
    tree_kit.lay(tmp_path, {"10dec_O11_1_ann.csv": one + other.partition("\n")[2]})
    (clip,) = read(tmp_path).values()
    assert (clip.native["votes"], clip.duration_s) == ("Sad 6", 3.0)


def test_web_camera(root):
    """The scene camera stands in for the close-up where asked; where it has no film, there is none."""
    seen = read(root, video="web")
    assert seen["10dec_O11_1_000"].video.path == f"{TOP}/Data/Video_web/10dec_O11_1_web.mp4"
    assert seen["21dec_O11_1_000"].flags == ("missing_video",)


def test_intervals(root):
    """Intervals of emotions are clips as they stand; the same one of two emotions is shared, a short one left out."""
    seen = scan("ramas", root, {"annotations": "emotions"})
    rows = [
        (clip.id, clip.audio.start_s, clip.audio.end_s, clip.native["emotion"], clip.flags)
        for clip in seen.manifest.clips
    ]
    assert rows == [
        ("10dec_O11_1_000", 0.0, 1.5, "Angry", ("neg_start_clamped", "known_bad")),
        ("10dec_O11_1_001", 0.0, 1.75, "Angry+Happy", ("known_bad",)),
        ("10dec_O11_1_002", 2.0, 4.5, "Happy", ("known_bad",)),
        ("21dec_O11_1_000", 1.0, 3.0, "Angry", ()),
    ]
    assert seen.manifest.clips[1].labels == {"emotion": (0, 0.5, 0, 0.5, 0, 0, 0)}
    at = f"{TOP}/Annotations_by_emotions"
    told = {what: why for what, why in seen.tree.left_out.items() if "Data/" not in what}
    assert told == {
        f"{at}/data_Angry.csv, row 4": "an interval that stands there already",
        f"{at}/data_Surprised.csv, row 1": "ends before it starts, or before the recording does",
        f"{at}/data_Surprised.csv, row 2": "ends before it starts, or before the recording does",
        f"{at}/data_Domination.csv": "none of the seven emotions",
        "10dec_O11_1_003": "shorter than 1.5 s",
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("Happy",), "positive"),
        (("Angry", "Sad"), "negative"),
        (("Scared",), "negative"),
        (("Disgusted",), "negative"),
        (("Neutral",), "neutral"),
        (("Surprised",), None),
        (("Happy", "Surprised"), None),
        (("Happy", "Neutral", "Sad"), (1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_polarity(tmp_path, words, expected):
    """Sentiment follows from the winners where asked, and is nothing where one of them is a surprise."""
    one_recording(tmp_path, (words,) * 2)
    vector = one_hot("sentiment", expected) if isinstance(expected, str) else expected
    assert read(tmp_path, sentiment="polarity")["10dec_O11_1_000"].labels.get("sentiment") == vector
    assert "sentiment" not in read(tmp_path)["10dec_O11_1_000"].labels


def test_own_list(root, tmp_path):
    """A list beside the corpus says who is trained on, who speaks, and leaves out what it does not name."""
    lines = ["base,split,speaker,sex", "10dec_O11_1,train,anna,F", "21dec_O11_1,valid,boris,m", "22dec_O11_1,test,,"]
    for folder in root.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    tree_kit.lay(tmp_path, {"lists/ramas_split.csv": "\n".join(lines)})
    seen = scan("ramas", tmp_path)
    rows = {clip.dialogue_id: (clip.split, clip.speaker_id, clip.sex) for clip in seen.manifest.clips}
    assert rows == {
        "10dec_O11_1": ("train", "anna", "f"),
        "21dec_O11_1": ("dev", "boris", "m"),
        "22dec_O11_1": ("test", None, None),
    }
    assert {clip.split_source for clip in seen.manifest.clips} == {"file: ramas_split.csv"}
    assert seen.tree.left_out["22dec_D2_2_000"] == "not in ramas_split.csv"
    assert seen.tree.warnings == []


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("base,split,sex\n10dec_O11_1,train,x\n", "row 1, column 'sex': expected f or m, got 'x'"),
        ("base\n10dec_O11_1\n", "expected columns base, split; missing: split"),
        ("base,split\n10dec,train\n", "names none of these clips"),
    ],
)
def test_own_list_that_cannot_be_right(tmp_path, table, complaint):
    """A list that cannot be used is refused by its name."""
    tree_kit.lay(one_recording(tmp_path, small.AGREED), {"ramas_split.csv": table})
    with pytest.raises(ManifestError, match=rf"ramas_split\.csv.*{complaint}"):
        scan("ramas", tmp_path)


@pytest.mark.parametrize(
    ("base", "day"), [("take 7", "take 7"), ("2DEC_x", "2dec"), ("_1", "unknown day"), ("Дубль_1", "дубль")]
)
def test_other_names(tmp_path, base, day):
    """A recording with a name of another form is read: its day is what stands before the first line."""
    tree_kit.lay(one_recording(tmp_path, small.AGREED, base), {f"Data/Audio/{base.upper()}_MIC.WAV": b"RIFF"})
    clips = read(tmp_path)
    assert list(clips) == [f"{base}_000", f"{base}_001"]
    assert {(clip.split, clip.audio.path) for clip in clips.values()} == {(day, f"Data/Audio/{base.upper()}_MIC.WAV")}
    assert all("scenario" not in clip.native for clip in clips.values())


def test_head_in_other_letters(tmp_path):
    """Letters and blanks of the head do not matter, nor columns that nobody knows or that are not there."""
    columns = ["note", *reversed(small.COLUMNS[:8])]
    table = small.votes(small.AGREED, columns=columns)
    head, _, rows = table.partition("\n")
    tree_kit.lay(tmp_path, {"10dec_O11_1_ann.csv": f"{head.upper().replace(',', ', ')}\r\n{rows}"})
    assert [clip.native["emotion"] for clip in read(tmp_path).values()] == ["Angry", "Happy"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("0.00,", "nan,", "row 1, column 'Time': expected a number, got 'nan'"),
        ("0.00,", "1e9,", "row 1, column 'Time': expected seconds of one recording, got '1e9'"),
        ("0.00,1,", "0.00,-1,", "row 1, column 'Angry': expected votes from 0 to 1000, got '-1'"),
        ("0.00,1,", "0.00,yes,", "row 1, column 'Angry': expected a number, got 'yes'"),
        ("Scared", "Fear", ": expected columns .*; missing: Scared"),
        ("Time", '"Time', "is the file complete"),
    ],
)
def test_votes_that_cannot_be_right(tmp_path, old, new, complaint):
    """A table of votes that cannot be read is refused with its file, row and column."""
    tree_kit.lay(tmp_path, {"10dec_O11_1_ann.csv": small.votes(small.AGREED).replace(old, new, 1)})
    with pytest.raises(ManifestError, match=rf"10dec_O11_1_ann\.csv.*{complaint}"):
        scan("ramas", tmp_path)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("1,,0,1", "row 1, column 'File': expected the name of a recording, got nothing"),
        ("1,10dec_O11_1,soon,1", "row 1, column 'Start': expected a number, got 'soon'"),
        ("1,10dec_O11_1,0", "row 1, column 'End': expected a number, got ''"),
        ("1,10dec_O11_1,0,1e99", "row 1, column 'End': expected seconds of one recording"),
    ],
)
def test_intervals_that_cannot_be_right(tmp_path, row, complaint):
    """A table of intervals that cannot be read is refused with its file, row and column."""
    tree_kit.lay(tmp_path, {"data_Happy.csv": f"ID,File,Start,End\n{row}\n"})
    with pytest.raises(ManifestError, match=rf"data_Happy\.csv, {complaint}"):
        scan("ramas", tmp_path, {"annotations": "emotions"})


def test_a_name_that_cannot_be_an_id(tmp_path):
    """A recording whose name no file can have is refused by that name."""
    tree_kit.lay(tmp_path, {"data_Happy.csv": "ID,File,Start,End\n1,../x,0,2\n"})
    with pytest.raises(ManifestError, match=r"recording '\.\./x', row 0, column 'id'"):
        scan("ramas", tmp_path, {"annotations": "emotions"})


WORDS = st.sampled_from((*ramas.EMOTIONS, *ramas.NO_EMOTIONS))


@given(st.lists(st.lists(WORDS, min_size=1, max_size=5), min_size=1, max_size=12), st.floats(0, 0.99), st.randoms())
def test_every_second_is_in_the_clip_of_its_winners(tmp_path_factory, seconds, first_s, shuffle):
    """Whatever raters say, in whatever order rows stand, each second is in one clip, with the label of its winners."""
    head, *rows = small.votes(seconds, first_s).splitlines()
    shuffle.shuffle(rows)
    folder = tmp_path_factory.mktemp("votes")
    tree_kit.lay(folder, {"10dec_O11_1_ann.csv": "\n".join([head, *rows]), "10dec_O11_1_mic.wav": b"RIFF"})
    found = list(ramas.clips(Tree(folder), min_s=0))
    for before, after in pairwise(found):
        assert before.audio.end_s <= after.audio.start_s + 1e-9
        assert before.audio.end_s < after.audio.start_s - 0.5 or before.labels != after.labels
    for second, words in enumerate(seconds):
        votes = Counter(word for word in words if word in ramas.EMOTIONS)
        winners = [ramas.EMOTIONS[word] for word in votes if votes[word] == max(votes.values())]
        middle_s = round(first_s, 2) + second + 0.5
        around = [clip for clip in found if clip.audio.start_s <= middle_s < clip.audio.end_s]
        assert len(around) == bool(winners)
        for clip in around:
            shares = dict(zip(labels.TASKS["emotion"].classes, clip.labels["emotion"], strict=True))
            assert shares == pytest.approx({word: (word in winners) / len(winners) for word in shares})
