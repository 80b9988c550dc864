"""CREMA-D: names, three kinds of media, votes and their ties, actors, and the real tables where they lie beside us."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_kit import lay
from trees import cremad as laid

from manifests import Audio, ManifestError, Video, build, expected, scan
from manifests.corpora import cremad
from manifests.labels import TASKS, of, one_hot
from manifests.licence import PARTS, may_share
from manifests.tree import Tree

REAL = Path(__file__).parents[2] / "shared" / "data" / "crema-d"
RATED = ("voice", "face", "multimodal")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tree, laid once."""
    place = tmp_path_factory.mktemp("cremad")
    laid.lay(place)
    return place


@pytest.fixture(scope="module")
def found(root):
    """What is found in it."""
    return scan("cremad", root)


@pytest.fixture(scope="module")
def clips(found):
    """Its clips by id."""
    return {clip.id: clip for clip in found.manifest.clips}


def share(*words):
    """Return the label of seven emotions that these words share."""
    return tuple((name in words) / len(words) for name in TASKS["emotion"].classes)


def test_every_clip_with_a_file_or_votes(clips):
    """A clip is there once, in order, under the name that tables give it, with files alone or with votes alone."""
    usual = [f"{actor}_{rest}" for actor in laid.ACTORS for rest in laid.USUAL]
    odd = ["1001_IOM_SAD_XX", laid.NO_FILES, laid.NO_VOTES]
    assert list(clips) == sorted([*usual, *odd, *laid.LONE.values(), *laid.BAD])


@pytest.mark.parametrize(
    ("name", "sound", "picture"),
    [
        (laid.EVERYTHING, f"AudioWAV/{laid.EVERYTHING}.wav", f"VideoFlash/{laid.EVERYTHING}.flv"),
        ("1001_IOM_SAD_XX", "AudioWAV/1001_IOM_SAD_X.wav", "VideoFlash/1001_iom_sad_xx.FLV"),
        (laid.LONE["mp3"], f"AudioMP3/{laid.LONE['mp3']}.mp3", None),
        (laid.LONE["flv"], f"VideoFlash/{laid.LONE['flv']}.flv", f"VideoFlash/{laid.LONE['flv']}.flv"),
        (laid.LONE["mp4"], f"VideoMP4/{laid.LONE['mp4']}.mp4", f"VideoMP4/{laid.LONE['mp4']}.mp4"),
        (laid.NO_FILES, None, None),
    ],
)
def test_files_of_a_clip(clips, name, sound, picture):
    """Sound is the wav, else the mp3, else the film's; the picture is the flv's; stubs and empty files are missing."""
    clip = clips[name]
    assert clip.audio == (sound and Audio(f"CREMA-D/{sound}"))
    assert clip.video == (picture and Video(f"CREMA-D/{picture}"))
    assert clip.flags == ("missing_video",) * (not picture) + ("missing_audio",) * (not sound)


def test_a_whole_clip(clips):
    """Actor, words, what was intended, what raters said and how long it lasts."""
    clip = clips["1064_DFA_ANG_XX"]
    assert (clip.speaker_id, clip.sex, clip.language, clip.dialogue_id) == ("1064", "f", "en", None)
    assert (clip.split, clip.split_source) == ("all", "none")
    assert (clip.text, clip.text_source) == ("Don't forget a jacket", "script")
    assert clip.duration_s == pytest.approx(0.6)
    assert clip.native == {
        "emotion": "ANG",
        "level": "XX",
        "sentence": "DFA",
        "age": 38,
        "voice_vote": "A:F:N",
        "voice_level": "7.333:87.333:51.667",
        "face_vote": "A",
        "face_level": "68.25",
        "multimodal_vote": "N:S",
        "multimodal_level": "60:61.5",
    }
    assert (clip.labels, clip.label_kind) == ({"emotion": one_hot("emotion", "anger")}, "intended")
    assert all(may_share(clip.licence, part) for part in PARTS)
    assert clips["1001_IEO_HAP_HI"].native["level"] == "HI"
    assert clips["1001_IEO_HAP_HI"].sex == "m"


def test_known_bad_clips_stay(clips):
    """What the authors call bad is flagged beside whatever is missing, and stays in."""
    flags = {name: clip.flags for name, clip in clips.items() if "known_bad" in clip.flags}
    assert flags == {
        "1064_TIE_SAD_XX": ("known_bad",),
        "1076_MTI_NEU_XX": ("missing_video", "known_bad"),
        "1076_MTI_SAD_XX": ("known_bad",),
    }
    assert set(cremad.KNOWN_BAD) - set(flags) == {"1064_IEO_DIS_MD"}


def test_what_is_left_out(found):
    """Stubs, empty films and names that are none are told; junk is counted."""
    assert found.tree.left_out == {
        f"CREMA-D/AudioWAV/{laid.LONE['mp3']}.wav": "not downloaded: a pointer of Git LFS (git lfs pull)",
        f"CREMA-D/VideoFlash/{laid.LONE['mp3']}.flv": "an empty file",
        "CREMA-D/VideoFlash/1076_MTI_NEU_XX.flv": "an empty file",
        "CREMA-D/AudioWAV/1001_IEO_SUR_HI.wav": "expected a name like 1001_IEO_ANG_HI, got '1001_IEO_SUR_HI'",
    }
    assert found.tree.junk == 2


@pytest.mark.parametrize(
    ("labels", "of_1001", "of_1064", "of_others"),
    [
        ("voice", ("neutral",), ("anger", "fear", "neutral"), ("happy",)),
        ("face", ("anger", "disgust"), ("anger",), ("sad",)),
        ("multimodal", ("anger",), ("neutral", "sad"), ("disgust",)),
    ],
)
def test_votes_are_an_option(root, clips, labels, of_1001, of_1064, of_others):
    """What most raters said becomes the label, shared where they were of two minds; all else stays as it was."""
    found = scan("cremad", root, {"labels": labels})
    voted = {clip.id: clip for clip in found.manifest.clips}
    assert found.tree.left_out[laid.NO_VOTES] == "no row of summaryTable.csv has votes on it"
    assert voted.keys() == clips.keys() - {laid.NO_VOTES}
    assert {clip.label_kind for clip in voted.values()} == {"majority"}
    want = {"1001_DFA_ANG_XX": share(*of_1001), "1064_DFA_ANG_XX": share(*of_1064)}
    assert {name: clip.labels["emotion"] for name, clip in voted.items()} == {
        name: want.get(name, share(*of_others)) for name in voted
    }
    assert all(clip.native == clips[name].native for name, clip in voted.items())
    assert of("emotion4", voted["1064_DFA_ANG_XX"].labels) == (
        one_hot("emotion4", "anger") if labels == "face" else None
    )


def test_a_lab_that_has_sound_alone(tmp_path):
    """Without tables sex, age and votes are unknown, and asking for votes says which table is missing."""
    lay(tmp_path, {"1001_IEO_ANG_HI.wav": b"RIFF", "1002_ITS_NEU_XX.wav": b"RIFF"})
    clips = build("cremad", tmp_path).clips
    assert [(clip.id, clip.sex, clip.flags, clip.duration_s) for clip in clips] == [
        ("1001_IEO_ANG_HI", None, ("missing_video",), None),
        ("1002_ITS_NEU_XX", None, ("missing_video",), None),
    ]
    assert clips[0].native == {"emotion": "ANG", "level": "HI", "sentence": "IEO"}
    with pytest.raises(ManifestError, match=r"labels=face: no summaryTable\.csv under .*\nROOT/"):
        scan("cremad", tmp_path, {"labels": "face"})
    with pytest.raises(ManifestError, match="option 'labels': expected one of intended, voice, face, multimodal"):
        scan("cremad", tmp_path, {"labels": "votes"})


def test_nothing_is_there(tmp_path):
    """Where there is neither a clip nor a table, the expected tree is shown."""
    with pytest.raises(ManifestError, match=r"no clip of cremad found under .*\nROOT/"):
        build("cremad", tmp_path)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"1001_IEO_ANG": laid.USUAL_VOTE}, "column 'FileName': expected a name like .*, got '1001_IEO_ANG'"),
        ({"1001_ITH_SAD_X": laid.USUAL_VOTE}, "column 'FileName': 1001_ITH_SAD_XX stands in an earlier row, too"),
        ({"1001_IEO_ANG_HI": ("X", *laid.USUAL_VOTE[1:])}, "column 'VoiceVote': expected some of A, .*, got 'X'"),
        ({"1001_IEO_ANG_HI": ("A:A", *laid.USUAL_VOTE[1:])}, "column 'VoiceVote': expected .*, got 'A:A'"),
        ({"1001_IEO_ANG_HI": (*laid.USUAL_VOTE[:2], "", *laid.USUAL_VOTE[3:])}, "column 'FaceVote': .*, got ''"),
        ({"1001_IEO_ANG_HI": (*laid.USUAL_VOTE[:4], "NA", "1")}, "column 'MultiModalVote': .*, got 'NA'"),
        ({"1001_IEO_ANG_HI": (*laid.USUAL_VOTE[:5], "nan")}, "column 'MultiModalLevel': expected a number, got 'nan'"),
        ({"1001_IEO_ANG_HI": ("A", "1:", *laid.USUAL_VOTE[2:])}, "column 'VoiceLevel': expected a number, got ''"),
    ],
)
def test_bad_votes(tmp_path, changed, complaint):
    """A row that cannot be right is refused with its file, row and column."""
    lay(tmp_path, {"summaryTable.csv": laid.summary({"1001_ITH_SAD_XX": laid.USUAL_VOTE} | changed)})
    with pytest.raises(ManifestError, match=rf"summaryTable\.csv, row 2, {complaint}"):
        build("cremad", tmp_path)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('1001,51,"X"', "row 1, column 'Sex': expected Female or Male, got 'X'"),
        ('1001,-1,"Male"', "row 1, column 'Age': expected a whole number from 0, got '-1'"),
        ('1001,51,"Male', r"line \d: .*is the file complete"),
        ('1001.0,51,"Male"', "row 1, column 'ActorID': expected a whole number from 0, got '1001.0'"),
        ('1001,51,"Male"\n1001,52,"Male"', "row 2, column 'ActorID': 1001 stands in an earlier row, too"),
    ],
)
def test_bad_demographics(tmp_path, row, complaint):
    """A table of actors that cannot be right is refused in the same way."""
    lay(tmp_path, {"VideoDemographics.csv": laid.demographics(row), "1001_IEO_ANG_HI.wav": b"RIFF"})
    with pytest.raises(ManifestError, match=rf"VideoDemographics\.csv, {complaint}"):
        build("cremad", tmp_path)


def test_tables_of_the_wrong_kind(tmp_path):
    """Tables that lack a column are refused with what is needed."""
    lay(tmp_path, {"summaryTable.csv": "FileName,VoiceVote\n", "1001_IEO_ANG_HI.wav": b"RIFF"})
    with pytest.raises(ManifestError, match=r"summaryTable\.csv: expected columns .*; missing: VoiceLevel, FaceVote"):
        build("cremad", tmp_path)
    lay(tmp_path, {"summaryTable.csv": laid.summary({}), "VideoDemographics.csv": "ActorID,Age\n"})
    with pytest.raises(ManifestError, match=r"VideoDemographics\.csv: expected columns .*; missing: Sex"):
        build("cremad", tmp_path)


def test_an_actor_of_whom_nothing_is_known(tmp_path):
    """An actor that the table does not name has no sex and no age."""
    lay(tmp_path, {"VideoDemographics.csv": laid.demographics(), "1002_IEO_ANG_HI.wav": b"RIFF"})
    (clip,) = build("cremad", tmp_path).clips
    assert (clip.sex, clip.native.get("age")) == (None, None)


@given(
    st.tuples(
        st.integers(990, 1105).map(str),
        st.sampled_from([*cremad.SENTENCES, "ieo", 3 * "X", ""]),
        st.sampled_from([*cremad.EMOTIONS, "ang", "SUR"]),
        st.sampled_from(["LO", "MD", "HI", "XX", "X", "xx", 3 * "X", ""]),
    )
)
def test_any_name(tmp_path_factory, parts):
    """Every file is either the clip that its name says, or left out with its name."""
    root, name = tmp_path_factory.mktemp("one"), "_".join(parts)
    lay(root, {f"{name}.wav": b"RIFF"})
    tree = Tree(root)
    clips = list(cremad.clips(tree))
    actor, sentence, emotion, level = (part.upper() for part in parts)
    right = (
        "1000" <= actor <= "1099"
        and len(actor) == 4
        and sentence in cremad.SENTENCES
        and emotion in cremad.EMOTIONS
        and level in ("LO", "MD", "HI", "XX", "X")
    )
    clip_id = f"{actor}_{sentence}_{emotion}_{'XX' if level == 'X' else level}"
    assert [clip.id for clip in clips] == [clip_id] * right
    assert (f"{name}.wav" in tree.left_out) != right


@given(st.lists(st.sampled_from("ADFHNS"), min_size=1, unique=True), st.sampled_from(RATED))
def test_any_tie(tmp_path_factory, letters, rated):
    """However many classes tie, and in whatever order, they share the label evenly."""
    root = tmp_path_factory.mktemp("tie")
    cells = list(laid.USUAL_VOTE)
    cells[2 * RATED.index(rated)] = ":".join(letters)
    lay(root, {"summaryTable.csv": laid.summary({"1001_IEO_ANG_HI": cells})})
    (clip,) = scan("cremad", root, {"labels": rated}).manifest.clips
    words = {"A": "anger", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}
    assert clip.labels["emotion"] == share(*(words[letter] for letter in letters))


@pytest.fixture(scope="module")
def real_root(tmp_path_factory):
    """The real names as files without sound, beside the real tables."""
    if not (REAL / "audio_wav_names.csv").is_file():
        pytest.skip(f"the real CREMA-D tables are not at {REAL}")
    place = tmp_path_factory.mktemp("real")
    with (REAL / "audio_wav_names.csv").open(encoding="utf-8", newline="") as file:
        lay(place, {f"AudioWAV/{row['name']}": b"RIFF" for row in csv.DictReader(file)})
    for table in ("summaryTable.csv", "VideoDemographics.csv", "SentenceFilenames.csv"):
        (place / table).symlink_to(REAL / table)
    return place


@pytest.fixture(scope="module")
def real(real_root):
    """Read them once, with what was intended."""
    return scan("cremad", real_root)


def test_real_clips(real):
    """The real names are 7,442 clips, as many of each emotion, level, actor and sex as were counted."""
    clips = real.manifest.clips
    assert len(clips) == 7442
    assert not real.tree.left_out
    for words, count in cremad.EXPECTED.items():
        assert expected.count(clips, words) == count, words
    assert Counter(Counter(clip.speaker_id for clip in clips).values()) == {82: 86, 81: 2, 76: 3}
    assert Counter(clip.sex for clip in {clip.speaker_id: clip for clip in clips}.values()) == {"m": 48, "f": 43}
    assert {clip.native["sentence"] for clip in clips if clip.native["level"] != "XX"} == {"IEO"}
    assert {clip.native["sentence"] for clip in clips} == set(cremad.SENTENCES)
    assert {clip.id for clip in clips if "known_bad" in clip.flags} == set(cremad.KNOWN_BAD)
    assert all(clip.audio and clip.text and clip.native["age"] >= 20 for clip in clips)


def test_real_tables_alone(real):
    """Where only the tables are there, they name the same clips, all without files."""
    alone = build("cremad", REAL).clips
    assert [clip.id for clip in alone] == [clip.id for clip in real.manifest.clips]
    assert all({"missing_video", "missing_audio"} <= set(clip.flags) for clip in alone)


@pytest.mark.parametrize(
    ("rated", "counts", "ties", "percent"),
    [
        ("voice", {"N": 3897, "A": 986, "F": 645, "D": 547, "S": 370, "H": 353}, 644, 41.6),
        ("face", {"N": 2076, "H": 1266, "D": 1057, "A": 968, "F": 822, "S": 783}, 470, 66.3),
        ("multimodal", {"N": 1972, "H": 1219, "D": 1139, "F": 1084, "A": 1019, "S": 589}, 420, 72.2),
    ],
)
def test_real_votes(real_root, real, rated, counts, ties, percent):
    """The real votes are as many as were counted, and agree with what was intended as often."""
    intended = {clip.id: clip.labels["emotion"] for clip in real.manifest.clips}
    votes = Counter(clip.native[f"{rated}_vote"] for clip in real.manifest.clips)
    assert {letter: votes[letter] for letter in counts} == counts
    assert sum(count for letters, count in votes.items() if ":" in letters) == ties
    clips = scan("cremad", real_root, {"labels": rated}).manifest.clips
    assert len(clips) == 7442
    assert sum(max(clip.labels["emotion"]) < 1 for clip in clips) == ties
    agreeing = sum(clip.labels["emotion"] == intended[clip.id] for clip in clips)
    assert round(100 * agreeing / len(clips), 1) == percent
