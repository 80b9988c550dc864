"""ShEMO: names that tell everything, texts with marks, names out of step, and the project that paired them anew."""

import json
from collections import Counter
from itertools import cycle

import pytest
import tree_kit
from hypothesis import given
from hypothesis import strategies as st
from trees import shemo as laid

from manifests import Audio, ManifestError, build, expected, scan
from manifests.corpora import shemo
from manifests.labels import of, one_hot
from manifests.licence import may_share

MODIFIED = {"labels": "modified"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tree, laid once."""
    place = tmp_path_factory.mktemp("shemo")
    laid.lay(place)
    return place


@pytest.fixture(scope="module")
def found(root):
    """What is found in it."""
    return scan("shemo", root)


@pytest.fixture(scope="module")
def clips(found):
    """Its clips by id."""
    return {clip.id: clip for clip in found.manifest.clips}


@pytest.fixture(scope="module")
def mended(root):
    """Its clips by id, as the modification project pairs them."""
    return {clip.id: clip for clip in scan("shemo", root, MODIFIED).manifest.clips}


def entry(name="F01A01", **changes):
    """Return what the modification project says of one wav."""
    usual = {"path": f"shemo/{name}.wav", "gender": "female", "speech_name": name, "text_name": name}
    return {**usual, "emotion": "anger", "transcript": "سلام", "ipa": "s", **changes}


def lay_modified(root, table):
    """Lay one wav and a table of the modification project, given as JSON or as what it holds."""
    text = table if isinstance(table, str | bytes) else json.dumps(table)
    tree_kit.lay(root, {"F01A01.wav": b"RIFF", shemo.MODIFIED: text})
    return root


def test_every_wav_is_a_clip(clips):
    """Each usable wav is one clip, in the order of the names, whether or not it has words."""
    assert list(clips) == sorted([*laid.names(), laid.UNSPOKEN])


def test_a_whole_clip(clips):
    """Everything that name, text and head tell stands in the clip."""
    clip = clips["M01S01"]
    assert clip.audio == Audio("male/M01S01.wav")
    assert (clip.video, clip.speaker_id, clip.sex, clip.language) == (None, "M01", "m", "fa")
    assert (clip.split, clip.split_source, clip.label_kind) == ("all", "none", "majority")
    assert clip.native == {"emotion": "sadness", "ipa": "nemidun M01S01"}
    assert clip.labels == {"emotion": one_hot("emotion", "sad")}
    assert (clip.text, clip.text_source, clip.flags) == (laid.CLEAN, "transcript", ())


@pytest.mark.parametrize(
    ("name", "emotion", "sex"),
    [("F01F12", "fear", "f"), ("F02A01", "anger", "f"), ("M01W100", "surprise", "m"), ("M05H01", "happy", "m")],
)
def test_the_fourth_letter_is_the_emotion(clips, name, emotion, sex):
    """The F of a woman is not the F of fear, and numbers may have three digits."""
    assert clips[name].labels == {"emotion": one_hot("emotion", emotion)}
    assert clips[name].sex == sex


def test_four_classes_follow(clips):
    """Anger, happy, neutral and sad are the four; fear and surprise have no label there."""
    four = Counter(of("emotion4", clip.labels) is not None for clip in clips.values())
    assert four == {True: 17, False: 2}


def test_durations_come_from_the_heads(clips):
    """Files of both rates last as long as their own heads say."""
    assert {clip.duration_s for clip in clips.values()} == {0.5}


def test_names_out_of_step_are_told(found, clips):
    """A wav without text stays with a flag and another's text is never given to it; a text without wav is told."""
    assert clips[laid.UNSPOKEN].flags == ("no_transcript",)
    assert clips[laid.UNSPOKEN].text is clips[laid.UNSPOKEN].text_source is None
    assert [name for name, clip in clips.items() if clip.flags] == [laid.UNSPOKEN]
    assert found.tree.left_out == {
        f"{laid.UNHEARD}.ort": "a transcript without a wav of its name",
        "female/F01A02.wav": "an empty file",
        "female/F01A03.wav": "not downloaded: a pointer of Git LFS (git lfs pull)",
        "female/F01X01.wav": "its name is not sex, speaker, emotion and number, as in F01A01.wav",
    }


@given(st.lists(st.sampled_from([*"سلام", "\N{ZERO WIDTH NON-JOINER}", *"\r\n\t \ufeff\u200e\u200f"]), max_size=20))
def test_marks_go_and_joiners_stay(letters):
    """What a text is made of remains in its order; marks of direction, of byte order and of line ends do not."""
    cleaned = shemo._clean("".join(letters))
    spelling = [letter for letter in letters if letter not in "\r\n\t \ufeff\u200e\u200f"]
    assert cleaned.replace(" ", "") == "".join(spelling)
    assert cleaned == " ".join(cleaned.split())


def test_a_text_that_is_only_marks_is_none(tmp_path):
    """A transcript that holds no letter counts as missing."""
    tree_kit.lay(tmp_path, {"F01A01.wav": b"RIFF", "final text/F01A01.ort": "\ufeff\u200e\r\n"})
    (clip,) = build("shemo", tmp_path).clips
    assert (clip.text, clip.flags) == (None, ("no_transcript",))


def test_however_it_was_unpacked(tmp_path):
    """Wrappers, one folder for all, another case of letters and a folder around the texts change nothing."""
    files = {"shemo/x/f01a01.WAV": b"RIFF", "shemo/Transcript/FINAL TEXT/f01A01.ORT": "سلام"}
    tree_kit.lay(tmp_path, files)
    (clip,) = build("shemo", tmp_path).clips
    assert (clip.id, clip.text, clip.speaker_id) == ("F01A01", "سلام", "F01")
    assert clip.audio == Audio("shemo/x/f01a01.WAV")


def test_of_two_copies_the_nearest_counts(clips):
    """A copy deeper down is no second clip."""
    assert clips["F01A01"].audio == Audio("female/F01A01.wav")


def test_the_modified_labels(mended, clips):
    """Emotion and words are the text's, the name stays the wav's, and where their letters differ a flag says so."""
    clip = mended[laid.UNSPOKEN]
    assert clip.labels == {"emotion": one_hot("emotion", "neutral")}
    assert (clip.native["text_name"], clip.native["emotion"]) == (laid.UNHEARD, "neutral")
    assert (clip.text, clip.flags) == (laid.CLEAN, ("label_transcript_mismatch",))
    assert clip.audio == clips[laid.UNSPOKEN].audio
    assert mended["F01A01"].labels == clips["F01A01"].labels


def test_the_modified_table_drives(root, mended):
    """A wav it names that is not there stays as missing; a wav it does not name is told."""
    assert mended["F01A02"].audio is None
    assert mended["F01A02"].flags == ("missing_audio",)
    assert "M05S01" not in mended
    assert scan("shemo", root, MODIFIED).tree.left_out["male/M05S01.wav"] == "modified_shemo.json does not name it"


def test_the_modified_table_must_be_there(tmp_path):
    """Asking for it without having it is answered with what is expected where."""
    tree_kit.lay(tmp_path, {"F01A01.wav": b"RIFF"})
    with pytest.raises(ManifestError, match=r"labels=modified: no modified_shemo\.json under (.|\n)*final text/"):
        scan("shemo", tmp_path, MODIFIED)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('{"F01A01.wav": {"path"', r"not JSON: .*is the file complete"),
        (b"\xff\xfe\0", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "expected an object with an entry per wav"),
        ({"x": 3}, r"x, row 1, column 'speech_name': expected text, got None"),
        ({"x": entry(emotion=None)}, r"x, row 1, column 'emotion': expected text, got None"),
        ({"x": entry(emotion="boredom")}, r"row 1, column 'emotion': expected one of neutral, .*, got 'boredom'"),
        ({"x": entry(text_name="F01")}, r"row 1, column 'text_name': expected a name like F01A01, got 'F01'"),
        ({"x": entry("F0\u0661A01")}, r"column 'speech_name': expected a name"),
        ({"x": entry(), "y": entry()}, r"y, row 2, column 'speech_name': F01A01 is named twice"),
        ({"x": entry(transcript="\ud800")}, r"row 1, column 'text'"),
        ({"x": entry(ipa=1e308)}, r"row 1, column 'ipa': expected text"),
    ],
)
def test_a_modified_table_that_cannot_be_right(tmp_path, table, complaint):
    """What is cut off, of another shape or no name is refused with the file, the entry and the column."""
    with pytest.raises(ManifestError, match=rf"modified_shemo\.json.*{complaint}"):
        scan("shemo", lay_modified(tmp_path, table), MODIFIED)


def test_nothing_here_prints_the_tree(tmp_path):
    """A folder without any wav of it is answered with the tree that is expected."""
    tree_kit.lay(tmp_path, {"final text/F01A01.ort": "سلام"})
    with pytest.raises(ManifestError, match=r"no clip of shemo found under (.|\n)*female/F01A01\.wav"):
        build("shemo", tmp_path)


def test_the_expected_counts_are_the_papers(tmp_path):
    """3000 names with the paper's speakers and emotions fulfil what is expected; without texts, each lacks one."""
    letters = [*"A" * 1059, *"F" * 38, *"H" * 201, *"N" * 1028, *"S" * 449, *"W" * 225]
    women, men = (cycle([f"{sex}{number:02}" for number in range(1, end)]) for sex, end in (("F", 32), ("M", 57)))
    names = [f"{next(women if place < 1263 else men)}{letter}{place // 31:02}" for place, letter in enumerate(letters)]
    tree_kit.lay(tmp_path, {f"{name}.wav": b"RIFF" for name in names})
    clips = build("shemo", tmp_path).clips
    counted = {words: expected.count(clips, words) for words in shemo.EXPECTED}
    assert counted == {**shemo.EXPECTED, "flags no_transcript": 3000}


def test_what_may_be_shared(clips):
    """Words and labels lie in a public repository; sound and features stay in the lab."""
    tag = clips["F01A01"].licence
    assert [may_share(tag, part) for part in ("raw", "features", "labels", "transcript")] == [False, False, True, True]
