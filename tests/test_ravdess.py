"""RAVDESS: takes of up to three files, their names, folds and options, and the real names where they lie beside us."""

import csv
import itertools
import struct
import wave
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import ravdess as laid

from manifests import Audio, ManifestError, Video, build, expected, scan
from manifests.corpora import ravdess
from manifests.labels import TASKS, of, one_hot
from manifests.licence import PARTS, may_share
from manifests.tree import Tree

REAL = Path(__file__).parents[2] / "shared" / "data" / "ravdess"
SAID = "01-05-02-02-02"
"""Angry, strong, the dogs, for the second time."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tree, laid once."""
    place = tmp_path_factory.mktemp("ravdess")
    laid.lay(place)
    return place


@pytest.fixture(scope="module")
def found(root):
    """What is found in it."""
    return scan("ravdess", root)


@pytest.fixture(scope="module")
def clips(found):
    """Its clips by id."""
    return {clip.id: clip for clip in found.manifest.clips}


def name_files(root, names):
    """Put files of these names under a root; what is in them does not matter."""
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / name).write_bytes(b"RIFF")
    return root


def all_takes():
    """Name every take there should be by design: 60 of speech for each actor, 44 of song for 23 of them."""
    for actor, emotion, intensity, sentence, repetition in itertools.product(
        range(1, 25), range(1, 9), (1, 2), (1, 2), (1, 2)
    ):
        if (emotion, intensity) != (1, 2):
            yield f"01-{emotion:02}-{intensity:02}-{sentence:02}-{repetition:02}-{actor:02}"
            if emotion <= 6 and actor != 18:
                yield f"02-{emotion:02}-{intensity:02}-{sentence:02}-{repetition:02}-{actor:02}"


def test_a_clip_is_a_take(clips):
    """Every take of speech is one clip, however many files it has; stubs, empty files and copies make none."""
    usual = [f"01-{emotion}-01-01-01-{actor}" for emotion in laid.EMOTIONS for actor in laid.ACTORS]
    assert list(clips) == sorted([*usual, *(f"{SAID}-{actor}" for actor in laid.ACTORS)])


@pytest.mark.parametrize(
    ("take", "sound", "picture"),
    [
        (
            "01-01-01-01-01-01",
            f"{laid.SPEECH}/Actor_01/03-01-01-01-01-01-01.wav",
            f"{laid.FILMS}/Actor_01/01-01-01-01-01-01-01.mp4",
        ),
        ("01-05-01-01-01-08", f"{laid.SPEECH}/Actor_08/03-01-05-01-01-01-08.wav", None),
        (f"{SAID}-01", None, f"{laid.FILMS}/Actor_01/02-{SAID}-01.mp4"),
        (f"{SAID}-04", f"{laid.FILMS}/Actor_04/01-{SAID}-04.mp4", f"{laid.FILMS}/Actor_04/01-{SAID}-04.mp4"),
        (f"{SAID}-08", f"{laid.FILMS}/Actor_08/01-{SAID}-08.wav", f"{laid.FILMS}/Actor_08/02-{SAID}-08.mp4"),
        (f"{SAID}-18", f"{laid.SPEECH}/Actor_18/03-{SAID}-18.wav", None),
    ],
)
def test_files_of_a_take(clips, take, sound, picture):
    """Sound comes from 03, else from 01; the picture from 01, else from 02; what is missing is flagged."""
    clip = clips[take]
    assert clip.audio == (sound and Audio(sound))
    assert clip.video == (picture and Video(picture))
    assert clip.flags == ("missing_video",) * (not picture) + ("missing_audio",) * (not sound)


def test_a_whole_clip(clips):
    """Actor, sex, words, fold, labels and the corpus' own words all come from the name."""
    clip = clips[f"{SAID}-18"]
    assert (clip.speaker_id, clip.sex, clip.language, clip.dialogue_id) == ("18", "f", "en", None)
    assert (clip.text, clip.text_source) == ("Dogs are sitting by the door", "script")
    assert (clip.split, clip.split_source, clip.label_kind) == ("fold5", "EmoBox", "intended")
    assert clip.duration_s == pytest.approx(0.6)
    assert clip.native == {
        "channel": "speech",
        "emotion": "angry",
        "intensity": "strong",
        "sentence": "02",
        "repetition": 2,
        "take": f"{SAID}-18",
    }
    assert clip.labels == {"emotion8": one_hot("emotion8", "anger"), "emotion": one_hot("emotion", "anger")}
    assert clips["01-01-01-01-01-01"].sex == "m"
    assert clips["01-01-01-01-01-01"].text == "Kids are talking by the door"
    assert all(may_share(clip.licence, part) for part in PARTS)


def test_durations_are_those_of_the_wav(clips):
    """Wherever the sound is a wav its head tells how long it lasts; a film's does not."""
    assert clips[f"{SAID}-08"].duration_s == pytest.approx(0.5)
    assert clips[f"{SAID}-04"].duration_s is None
    assert clips[f"{SAID}-01"].duration_s is None


def test_what_is_left_out(found):
    """Names that cannot be, files that did not arrive and songs are told; landmarks and junk are not."""
    left_out = found.tree.left_out
    assert left_out.pop("2 takes of song") == "channel=speech was asked for; channel=both takes them, too"
    assert {path.rpartition("/")[2]: why for path, why in left_out.items()} == {
        "03-01-01-02-01-01-01.wav": "neutral was never strong; is the name right?",
        "03-01-09-01-01-01-01.wav": "there is no emotion 09; is the name right?",
        "03-01-03-01-01-01-25.wav": "there is no actor 25; is the name right?",
        "03-01-03-01-01-01-01.mp4": "no mp4 begins with 03; is the name right?",
        "03-02-03-01-01-01-18.wav": "never sung; is the name right?",
        "03-01-06-01-01-01-01.wav": "an empty file",
        "03-01-07-01-01-01-01.wav": "not downloaded: a pointer of Git LFS (git lfs pull)",
    }


def test_songs_are_an_option(root, clips):
    """Song alone, or both, in which every take of speech is as it was."""
    songs = {clip.id: clip for clip in scan("ravdess", root, {"channel": "song"}).manifest.clips}
    assert list(songs) == ["02-02-02-02-01-04", "02-03-01-01-01-01"]
    assert songs["02-03-01-01-01-01"].native["channel"] == "song"
    assert songs["02-03-01-01-01-01"].video == Video(f"{laid.FILMS}/Actor_01/01-02-03-01-01-01-01.mp4")
    assert songs["02-02-02-02-01-04"].audio.path.endswith("03-02-02-02-02-01-04.WAV")
    both = scan("ravdess", root, {"channel": "both"})
    assert {clip.id: clip for clip in both.manifest.clips} == clips | songs
    assert not [what for what in both.tree.left_out if "takes of" in what]


def test_only_songs_are_there(tmp_path):
    """Who has only songs is told how to ask for them, and who has nothing sees the tree."""
    name_files(tmp_path, ["03-02-03-01-01-01-01.wav", "01-02-03-01-01-01-01.mp4"])
    with pytest.raises(ManifestError, match=r"no speech, but 1 takes of song; say SET=channel=song"):
        build("ravdess", tmp_path)
    assert len(scan("ravdess", tmp_path, {"channel": "song"}).manifest.clips) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match=r"no clip of ravdess found under .*\nROOT/"):
        build("ravdess", tmp_path / "empty")


def test_calm_is_an_option(root, clips):
    """Calm has no place among seven emotions unless it is asked to be neutral; among eight it always has its own."""
    asked = {clip.id: clip for clip in scan("ravdess", root, {"calm": "neutral"}).manifest.clips}
    calm = [name for name, clip in clips.items() if clip.native["emotion"] == "calm"]
    assert len(calm) == 4
    for name, clip in clips.items():
        assert asked[name].labels["emotion8"] == clip.labels["emotion8"]
        if name in calm:
            assert clip.labels == {"emotion8": one_hot("emotion8", "calm")}
            assert of("emotion4", clip.labels) is None
            assert asked[name].labels["emotion"] == one_hot("emotion", "neutral")
        else:
            assert asked[name] == clip


@pytest.mark.parametrize(("option", "value"), [("channel", "Speech"), ("calm", "dropped"), ("modality", "03")])
def test_options_that_are_not(root, option, value):
    """An option or a value that is not known is refused by name."""
    with pytest.raises(ManifestError, match=option):
        scan("ravdess", root, {option: value})


@pytest.mark.parametrize(
    ("code", "native", "house"),
    [
        ("01", "neutral", "neutral"),
        ("02", "calm", "calm"),
        ("03", "happy", "happy"),
        ("04", "sad", "sad"),
        ("05", "angry", "anger"),
        ("06", "fearful", "fear"),
        ("07", "disgust", "disgust"),
        ("08", "surprised", "surprise"),
    ],
)
def test_codes_of_emotions(tmp_path, code, native, house):
    """Each code is one word of the corpus and one class of the house, the same among seven and eight."""
    (clip,) = build("ravdess", name_files(tmp_path, [f"03-01-{code}-01-01-01-01.wav"])).clips
    assert clip.native["emotion"] == native
    assert clip.labels["emotion8"] == one_hot("emotion8", house)
    assert clip.labels.get("emotion") == (None if house == "calm" else one_hot("emotion", house))


@pytest.mark.parametrize(
    "content", [b"R", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"RIFF" + bytes(400), b"\xff" * 90], ids=len
)
def test_a_broken_wav_is_a_clip_of_unknown_length(tmp_path, content):
    """A wav that is cut off or none at all stays in, for the extractor to tell that it does not decode."""
    (tmp_path / "03-01-03-01-01-01-01.wav").write_bytes(content)
    (clip,) = build("ravdess", tmp_path).clips
    assert (clip.duration_s, clip.flags) == (None, ("missing_video",))


def test_a_head_that_promises_too_much(tmp_path):
    """The length is that of the samples that are there, not of what the head says."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16_000, 2, 16, b"data", 2**32 - 1
    )
    (tmp_path / "03-01-03-01-01-01-01.wav").write_bytes(head + bytes(4000))
    assert build("ravdess", tmp_path).clips[0].duration_s == 0.25


@given(st.lists(st.integers(0, 31), min_size=7, max_size=7), st.sampled_from(["wav", "mp4", "WAV", "Mp4"]))
def test_any_seven_numbers(tmp_path_factory, numbers, suffix):
    """Every file whose name has the form is either a clip that says what its name says, or left out with a reason."""
    root = tmp_path_factory.mktemp("one")
    name = f"{'-'.join(f'{number:02}' for number in numbers)}.{suffix}"
    tree = Tree(name_files(root, [name]))
    clips = list(ravdess.clips(tree, channel="both"))
    assert (name in tree.left_out) == (not clips)
    for clip in clips:
        assert f"{numbers[0]:02}-{clip.id}.{suffix}" == name
        assert {stream.path for stream in (clip.audio, clip.video) if stream} == {name}
        assert clip.id in set(all_takes())
        assert numbers[0] in ((1, 2) if suffix.lower() == "mp4" else (1, 3))


def test_the_whole_design(tmp_path):
    """With all 7,356 names there are as many takes as the authors say, with sound and picture, in EmoBox' folds."""
    takes = list(all_takes())
    assert len(takes) == 2452
    root = name_files(
        tmp_path, [f"{kind}-{take}.{'wav' if kind == '03' else 'mp4'}" for take in takes for kind in ("01", "02", "03")]
    )
    found = scan("ravdess", root, {"channel": "both"})
    clips = found.manifest.clips
    assert sorted(clip.id for clip in clips) == sorted(takes)
    assert not found.tree.left_out
    assert all(clip.audio.path == f"03-{clip.id}.wav" and clip.video.path == f"01-{clip.id}.mp4" for clip in clips)
    assert Counter(clip.native["channel"] for clip in clips) == {"speech": 1440, "song": 1012}
    fold_of = {clip.speaker_id: clip.split.removeprefix("fold") for clip in clips}
    assert "".join(fold_of[actor] for actor in sorted(fold_of)) == "154246433212625565311634"
    songs = [clip for clip in clips if clip.native["channel"] == "song"]
    assert {clip.speaker_id for clip in songs} == {clip.speaker_id for clip in clips} - {"18"}
    assert Counter(clip.native["emotion"] for clip in songs) == {"neutral": 92} | dict.fromkeys(
        ("calm", "happy", "sad", "angry", "fearful"), 184
    )


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Read the real names of all speech once."""
    table = REAL / "ravdess_speech_audio_names.csv"
    if not table.is_file():
        pytest.skip(f"the real RAVDESS names are not at {REAL}")
    with table.open(encoding="utf-8", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    return scan("ravdess", name_files(tmp_path_factory.mktemp("names"), names))


def test_real_names(real):
    """All 1,440 real names are clips, as many of each emotion, sex, actor and fold as were counted."""
    clips = real.manifest.clips
    assert len(clips) == 1440
    assert not real.tree.left_out
    assert {clip.id for clip in clips} == {take for take in all_takes() if take.startswith("01")}
    for words, count in ravdess.EXPECTED.items():
        assert expected.count(clips, words) == count, words
    assert Counter(clip.speaker_id for clip in clips) == {f"{actor:02}": 60 for actor in range(1, 25)}
    assert Counter(clip.native["emotion"] for clip in clips)["neutral"] == 96
    assert sum(of("emotion4", clip.labels) is not None for clip in clips) == 96 + 3 * 192


def test_real_sound():
    """The 24 real wavs are eight emotions of three actors, and last as long as the authors' do."""
    if not (REAL / "audio").is_dir():
        pytest.skip(f"the real RAVDESS wavs are not at {REAL / 'audio'}")
    clips = build("ravdess", REAL).clips
    assert len(clips) == 24
    assert {clip.speaker_id for clip in clips} == {"01", "02", "11"}
    assert Counter(clip.labels["emotion8"] for clip in clips) == {
        one_hot("emotion8", word): 3 for word in TASKS["emotion8"].classes
    }
    assert all(2.9 <= clip.duration_s <= 5.3 for clip in clips)
    for clip in clips:
        with wave.open(str(REAL / clip.audio.path)) as file:
            assert clip.duration_s == pytest.approx(file.getnframes() / file.getframerate())
