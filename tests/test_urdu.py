"""URDU: names with irregular numbers, folders that must agree, and speakers who give the label away."""

import pytest
import tree_kit
from hypothesis import given
from hypothesis import strategies as st
from trees import urdu as laid

from manifests import Audio, ManifestError, build, expected, scan
from manifests.corpora import urdu
from manifests.labels import of, one_hot
from manifests.licence import may_share
from manifests.tree import Tree

EMOTIONS = {"A": "anger", "H": "happy", "N": "neutral", "S": "sad"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tree, laid once."""
    place = tmp_path_factory.mktemp("urdu")
    laid.lay(place)
    return place


@pytest.fixture(scope="module")
def found(root):
    """What is found in it."""
    return scan("urdu", root)


@pytest.fixture(scope="module")
def clips(found):
    """Its clips by id."""
    return {clip.id: clip for clip in found.manifest.clips}


def test_every_name_is_a_clip(clips):
    """Each wav with a name is one clip, in the order of the names."""
    assert list(clips) == sorted(name for names in laid.CLIPS.values() for name in names)


def test_a_whole_clip(clips):
    """Everything that the name tells stands in the clip."""
    clip = clips["SM4_F48_A0100"]
    assert clip.audio == Audio("Angry/SM4_F48_A0100.wav")
    assert (clip.speaker_id, clip.sex, clip.language, clip.duration_s) == ("SM4", "m", "ur", 0.5)
    assert (clip.split, clip.split_source, clip.text, clip.flags) == ("all", "none", None, ())
    assert clip.native == {"emotion": "angry"}
    assert clip.labels == {"emotion": one_hot("emotion", "anger")}
    assert of("emotion4", clip.labels) == one_hot("emotion4", "anger")


@pytest.mark.parametrize(("folder", "emotion"), [*zip(laid.CLIPS, EMOTIONS.values(), strict=True)])
def test_the_letter_is_the_emotion(clips, folder, emotion):
    """The letter before the last number tells the emotion; the F before the file's number tells nothing."""
    assert {clips[name].labels["emotion"] for name in laid.CLIPS[folder]} == {one_hot("emotion", emotion)}


def test_man_and_woman_of_one_number(clips):
    """SM1 and SF1 are two speakers."""
    assert {clips[name].speaker_id: clips[name].sex for name in ("SM1_F1_A01", "SF1_F1_H01")} == {
        "SM1": "m",
        "SF1": "f",
    }


def test_what_is_left_out(found):
    """A folder that says another emotion than the name, a copy, a foreign name and what did not arrive are told."""
    assert found.tree.left_out == {
        "Angry/SM1_F2_A02.wav": "an empty file",
        "Happy/SF1_F3_H03.wav": "not downloaded: a pointer of Git LFS (git lfs pull)",
        "Happy/SM9_F1_S099.wav": "its name says sad, its folder happy",
        "old/copies/Sad/SM27_F1_S01.wav": "a copy of SM27_F1_S01",
        "Sad/interview.wav": "its name does not tell speaker and emotion, as SM1_F10_A010.wav does",
    }
    assert found.tree.junk == 2


def test_confounding_is_told(found):
    """The manifest says how many speakers are heard in one emotion only."""
    (warning,) = found.manifest.warnings
    assert warning.startswith("speaker and label are confounded: 8 of 9 speakers are heard in one emotion only")


def test_confounding_is_counted_not_claimed(tmp_path):
    """Where every speaker is heard in several emotions there is nothing to warn of."""
    tree_kit.lay(tmp_path, dict.fromkeys(("Angry/SM1_F1_A01.wav", "Sad/SM1_F2_S01.wav"), b"RIFF"))
    assert scan("urdu", tmp_path).manifest.warnings == ()


def test_folders_may_be_gone(tmp_path):
    """All wavs in one folder, with a wrapper and in small letters, read alike."""
    tree_kit.lay(tmp_path, {"URDU-Dataset-master/all/sm1_f10_a010.WAV": b"RIFF"})
    (clip,) = build("urdu", tmp_path).clips
    assert (clip.id, clip.speaker_id, clip.labels) == ("SM1_F10_A010", "SM1", {"emotion": one_hot("emotion", "anger")})


@given(
    st.sampled_from("MF"),
    st.integers(1, 99),
    st.integers(1, 999),
    st.sampled_from(sorted(EMOTIONS)),
    st.integers(1, 999),
    st.integers(0, 1),
)
def test_any_name_reads_back(tmp_path_factory, sex, speaker, file, letter, number, zeros):
    """Whatever the padding, sex, speaker and emotion are those that the name was made of."""
    root = tmp_path_factory.mktemp("name")
    name = f"S{sex}{speaker}_F{file}_{letter}{'0' * zeros}{number}"
    tree_kit.lay(root, {f"{name}.wav": b"RIFF"})
    (clip,) = urdu.clips(Tree(root))
    assert (clip.id, clip.speaker_id, clip.sex) == (name, f"S{sex}{speaker}", sex.lower())
    assert clip.labels == {"emotion": one_hot("emotion", EMOTIONS[letter])}


def test_the_expected_counts(tmp_path):
    """400 clips of 18 men and 11 women, a hundred of each emotion, fulfil every expectation."""
    men = [f"SM{number}" for number in (*range(1, 8), *range(17, 28))]
    women = [f"SF{number}" for number in range(1, 12)]
    speakers = men + women
    for place, (letter, folder) in enumerate(zip("AHNS", laid.CLIPS, strict=True)):
        names = [f"{speakers[(place * 8 + number) % 29]}_F{number}_{letter}0{number}" for number in range(1, 101)]
        tree_kit.lay(tmp_path, {f"{folder}/{name}.wav": b"RIFF" for name in names})
    clips = build("urdu", tmp_path).clips
    assert {words: expected.count(clips, words) for words in urdu.EXPECTED} == urdu.EXPECTED


def test_nothing_here_prints_the_tree(tmp_path):
    """A folder without any of its names is answered with the tree that is expected."""
    tree_kit.lay(tmp_path, {"Angry/SM1_F1_B01.wav": b"RIFF"})
    with pytest.raises(ManifestError, match=r"no clip of urdu found under (.|\n)*Angry/SM1_F10_A010\.wav"):
        build("urdu", tmp_path)


def test_what_may_be_shared(clips):
    """Research only: of all parts only labels, which the names tell."""
    tag = clips["SM1_F1_A01"].licence
    assert [may_share(tag, part) for part in ("raw", "features", "labels", "transcript")] == [False, False, True, False]
