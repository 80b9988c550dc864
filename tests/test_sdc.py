"""SDC: nobody knows its layout, so folders and tables in English and Arabic read alike."""

import unicodedata

import pytest
import tree_kit
from trees import sdc as laid

from manifests import Audio, ManifestError, build, scan
from manifests.corpora import sdc
from manifests.labels import of, one_hot
from manifests.licence import PARTS, may_share

ALL_WORDS = [(word, emotion) for emotion, words in sdc.ARABIC.items() for word in words.split()]
ALL_WORDS += [("Angry", "anger"), ("anger", "anger"), ("HAPPINESS", "happy"), ("happy", "happy")]
ALL_WORDS += [("neutral", "neutral"), ("sad", "sad"), ("Sadness", "sad")]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tree, laid once."""
    place = tmp_path_factory.mktemp("sdc")
    laid.lay(place)
    return place


@pytest.fixture(scope="module")
def found(root):
    """What is found in it."""
    return scan("sdc", root)


def test_folders_tell_the_emotion(found):
    """Every clip is found below its folder's word, with folders in between or not."""
    told = {clip.audio.path: clip.labels for clip in found.manifest.clips}
    assert told == {
        f"{folder}/مقطع {number}.wav": {"emotion": one_hot("emotion", emotion)}
        for folder, emotion in laid.FOLDERS.items()
        for number in range(laid.CLIPS_EACH)
    }


def test_a_whole_clip(found):
    """What is known of a clip stands in it, and nothing else."""
    clip = next(clip for clip in found.manifest.clips if clip.id == "سعيد__مقطع 3")
    assert (clip.corpus, clip.language, clip.split, clip.split_source) == ("sdc", "ar", "all", "none")
    assert (clip.speaker_id, clip.sex, clip.text, clip.video, clip.flags) == (None, None, None, None, ())
    assert (clip.native, clip.duration_s) == ({"emotion": "سعيد"}, 0.5)
    assert of("emotion4", clip.labels) == one_hot("emotion4", "happy")
    assert not any(may_share(clip.licence, part) for part in PARTS)


def test_what_is_left_out(found):
    """What lies below no emotion is told with what to do."""
    assert found.tree.left_out == {
        "غاضب/empty.wav": "an empty file",
        "unsorted/clip.wav": "no folder above it is a label of emotion; say words=FOLDER=LABEL if one is",
    }


@pytest.mark.parametrize(("word", "emotion"), ALL_WORDS)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_every_word_in_folder_and_table(tmp_path, word, emotion, form):
    """A word means the same as a folder and in a table, however its letters are composed."""
    word = unicodedata.normalize(form, word)
    tree_kit.lay(tmp_path / "folders", {f"{word}/a.wav": b"RIFF"})
    tree_kit.lay(tmp_path / "table", {"a.wav": b"RIFF", "sdc.csv": f"Path,Emotion,Dataset\na.wav,{word},UJ\n"})
    for layout in ("folders", "table"):
        (clip,) = build("sdc", tmp_path / layout).clips
        assert clip.labels == {"emotion": one_hot("emotion", emotion)}


def test_a_table_with_speakers(tmp_path):
    """Speaker and sex come from the table where it has them; its other columns are kept."""
    table = "Path,Emotion,Dataset,speaker,sex\nclips/a,غاضب,UJ_ARABIC,s7,male\n"
    tree_kit.lay(tmp_path, {"x/sdc.csv": table, "x/clips/a.wav": b"RIFF"})
    (clip,) = build("sdc", tmp_path).clips
    assert (clip.id, clip.audio) == ("clips__a", Audio("x/clips/a.wav"))
    assert (clip.speaker_id, clip.sex) == ("s7", "m")
    assert clip.native == {"Emotion": "غاضب", "Dataset": "UJ_ARABIC"}


def test_more_words_and_other_columns(tmp_path):
    """What a lab calls its columns and emotions can be said."""
    tree_kit.lay(tmp_path, {"a.wav": b"RIFF", "b.wav": b"RIFF", "t.csv": "file,class\na.wav,3\nb.wav,زعل\n"})
    said = {"columns": "emotion=class,path=file", "words": "3=neutral,زعل=sad"}
    told = [clip.labels["emotion"] for clip in scan("sdc", tmp_path, said).manifest.clips]
    assert told == [one_hot("emotion", "neutral"), one_hot("emotion", "sad")]


def test_an_unknown_word(tmp_path):
    """A word that nobody mapped is refused by row and column, with the way to map it."""
    tree_kit.lay(tmp_path, {"a.wav": b"RIFF", "t.csv": "path,emotion\na.wav,خجول\n"})
    with pytest.raises(ManifestError, match=r"t\.csv, row 1, column 'emotion': 'خجول' is no label .* words=خجول=…"):
        build("sdc", tmp_path)


def test_another_number_of_clips_than_the_paper_has(tmp_path):
    """What was counted there is no more than a warning, as nobody knows which clips a copy holds."""
    many = {"anger": 69, "happy": 31, "neutral": 37, "sad": 38}
    for emotion, count in many.items():
        tree_kit.lay(tmp_path, {f"{emotion}/{number}.wav": b"RIFF" for number in range(count)})
    assert build("sdc", tmp_path).warnings == ()
    (tmp_path / "sad" / "0.wav").unlink()
    assert build("sdc", tmp_path).warnings == ("174 clips; the paper has 175: 69 angry, 31 happy, 37 neutral, 38 sad",)


def test_nothing_here(tmp_path):
    """A folder that is neither layout is answered with both."""
    tree_kit.lay(tmp_path, {"a/b.wav": b"RIFF"})
    with pytest.raises(ManifestError, match=r"neither a table nor a folder .* lie in a; none of these is a label"):
        build("sdc", tmp_path)
