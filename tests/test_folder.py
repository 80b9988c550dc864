"""A lab's own data: tables as spreadsheets write them, folders named after labels, and what is said when neither is."""

import csv
import io
import re
import unicodedata
from pathlib import PurePosixPath

import pytest
import real_kit
import tree_kit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import folder as laid

from manifests import Audio, ManifestError, Video, build, scan
from manifests.corpora import _own as own
from manifests.corpora import folder
from manifests.labels import TASKS, of, one_hot
from manifests.licence import may_share

WAV = b"RIFF"
NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=12
).filter(lambda name: name.strip(".") and name == name.strip() and not re.match(r"\._|.:", name))
"""Of files: letters of all the world, blanks, commas, quotes, and what cannot be seen."""
FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tree, laid once."""
    place = tmp_path_factory.mktemp("folder")
    laid.lay(place)
    return place


@pytest.fixture(scope="module")
def found(root):
    """What is found in it, under the lab's own name."""
    return scan("folder", root, laid.OPTIONS, name="mylab")


@pytest.fixture(scope="module")
def clips(found):
    """Its clips by id."""
    return {clip.id: clip for clip in found.manifest.clips}


def table(*rows, mark=","):
    """Return a table as a program writes it."""
    file = io.StringIO()
    csv.writer(file, delimiter=mark, lineterminator="\n").writerows(rows)
    return file.getvalue()


def read(root, files, **options):
    """Lay files down and return what is read there."""
    tree_kit.lay(root, files)
    return scan("folder", root, options)


def one(root, files, **options):
    """Lay files down and return the only clip there."""
    (clip,) = read(root, files, **options).manifest.clips
    return clip


# A table


def test_a_whole_table(clips):
    """Every row with anything in it is one clip, in the order of the table."""
    assert list(clips) == [f"{split}{number}" for split in laid.SPLITS for number in range(4)] + [
        "gone",
        "lfs",
        "other",
    ]


def test_a_film(clips):
    """A film has its sound in it; quotes, blanks, commas and semicolons are what they are."""
    clip = clips["Train0"]
    assert (clip.audio, clip.video) == (Audio("films/Train, 0.mp4"), Video("films/Train, 0.mp4"))
    assert (clip.text, clip.text_source) == ('Ich sagte "ang"; wirklich.', "table")
    assert (clip.corpus, clip.language, clip.speaker_id, clip.sex) == ("mylab", "de", "s-Train", "m")
    assert (clip.labels, clip.label_kind) == ({"emotion": one_hot("emotion", "anger")}, "majority")
    assert clip.native == {"Rated as": "ang", "Room": "4.12"}


def test_a_sound(clips):
    """Backslashes, another case of the suffix, and a bare name without suffix find their file."""
    assert clips["TEST1"].audio == Audio("sounds/TEST 1.wav")
    assert clips["TEST2"].audio == Audio("sounds/TEST 2.wav")
    assert (clips["TEST1"].video, clips["TEST1"].duration_s) == (None, 0.6)


def test_a_part_of_a_recording(clips):
    """Start and end cut a clip out of a longer file, whose name may hold another suffix."""
    assert clips["Train3"].audio == Audio("sounds/long.flac.wav", start_s=0.4, end_s=0.8)
    assert clips["Train3"].duration_s == 0.4


def test_splits_by_the_houses_names(clips):
    """Train, validation and TEST are train, dev and test."""
    assert [clips[f"{split}0"].split for split in laid.SPLITS] == ["train", "dev", "test"]
    assert clips["Train0"].split_source == "table"


def test_words_are_mapped(clips):
    """What the user maps, our own words in any case, and a word that is no label."""
    words = {clip.native["Rated as"]: clip.labels for clip in clips.values()}
    assert {word: labels and of("emotion", labels).index(1) for word, labels in words.items()} == {
        "ang": 3,
        "Freude": 1,
        "neu": 0,
        "Sadness": 2,
        "oth": {},
    }
    assert {clip.label_kind for clip in clips.values()} == {"majority", None}


def test_the_kind_of_labels(tmp_path):
    """What actors were asked for is said by an option, in both layouts."""
    table_of_one = {"t.csv": "path,emotion\nsad/a.wav,joy\n", "sad/a.wav": WAV}
    for layout in ("", "none"):
        assert one(tmp_path, table_of_one, table=layout, label_kind="intended").label_kind == "intended"


def test_what_is_missing(found, clips):
    """A row without its media stays with flags; media without a row, stubs and unlabelled clips are told."""
    assert clips["gone"].flags == ("missing_video", "missing_audio")
    assert clips["lfs"].flags == ("missing_audio", "no_transcript")
    assert [name for name, clip in clips.items() if clip.flags] == ["gone", "lfs"]
    assert found.tree.left_out == {
        "sounds/lfs.wav": "not downloaded: a pointer of Git LFS (git lfs pull)",
        "sounds/nobody.wav": "Clips.csv does not name it",
    }
    assert found.manifest.warnings == ("1 of 15 clips have no label; columns of labels: emotion",)


def test_what_may_be_shared(clips, root):
    """What the lab says and nothing else; without a word, nothing, whatever the licence is called."""
    tag = clips["Train0"].licence
    assert [may_share(tag, part) for part in ("raw", "features", "labels", "transcript")] == [False, True, True, False]
    silent = {**laid.OPTIONS, "shared": "", "licence": "CC; may be shared: raw"}
    assert not may_share(scan("folder", root, silent).manifest.clips[0].licence, "raw")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "CSV"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_whatever_spreadsheet_wrote_it(tmp_path, mark, suffix, encoding, line_end):
    """Marks between cells, encodings and line ends are seen, not asked for."""
    text = table(("Path", "Emotion", "Text"), ("a.wav", "joy", "Né, \N{EURO SIGN}; no"), mark=mark)
    content = text.replace("\n", line_end).encode(encoding)
    clip = one(tmp_path, {f"t.{suffix}": content, "a.wav": WAV})
    assert (clip.text, clip.labels) == ("Né, \N{EURO SIGN}; no", {"emotion": one_hot("emotion", "happy")})


def test_every_column_of_ours(tmp_path):
    """Each declared column goes where it belongs; an unknown one is kept as it stands, empty ones are not."""
    columns = {
        "id": "one",
        "audio": "far.wav",
        "video": "close.mp4",
        "audio_start": "1.5",
        "audio_end": "2.25",
        "video_start": "1",
        "end": "2",
        "audio_offset": "0.1",
        "video_offset": "-0.2",
        "channel": "Left",
        "side": "right",
        "split": "fold3",
        "speaker": "Zoë",
        "sex": "Female",
        "language": "fr",
        "dialogue": "d1",
        "turn": "7",
        "text": "Bon.",
        "licence": "CC0",
        "emotion": "Fearful",
        "sentiment": "negative",
        "sentiment_score": "-1.5",
        "valence": "2",
        "activation": "3.5",
        "dominance": "4",
        "label.emotion6": "frustrated",
        "cut_start_s": "12.5",
        "Rater 2": "fear?",
        "note": " ",
        "": "3",
    }
    files = {"t.csv": table(columns.keys(), columns.values()), "far.wav": WAV, "x/close.mp4": b"mp4"}
    clip = one(tmp_path, files, language="de", shared="raw")
    assert clip.audio == Audio("far.wav", 1.5, 2.25, channel="left", offset_s=0.1)
    assert clip.video == Video("x/close.mp4", 1.0, 2.0, side="right", offset_s=-0.2)
    assert (clip.id, clip.split, clip.speaker_id, clip.sex, clip.language) == ("one", "fold3", "Zoë", "f", "fr")
    assert (clip.dialogue_id, clip.utt_index, clip.text, clip.duration_s) == ("d1", 7, "Bon.", 0.75)
    assert clip.licence.startswith("CC0")
    assert may_share(clip.licence, "raw")
    assert clip.labels == {
        "emotion": one_hot("emotion", "fear"),
        "sentiment": one_hot("sentiment", "negative"),
        "sentiment_score": (-1.5,),
        "valence": (2,),
        "arousal": (3.5,),
        "dominance": (4,),
        "emotion6": one_hot("emotion6", "frustrated"),
    }
    assert clip.native["Rater 2"] == "fear?"
    assert clip.native["cut_start_s"] == 12.5
    assert not {"note", "", "id", "text"} & clip.native.keys()


@pytest.mark.parametrize(
    ("task", "cell", "label"),
    [
        ("emotion", "0.25 0.75 0 0 0 0 0", (0.25, 0.75, 0, 0, 0, 0, 0)),
        ("emotion4", "Angry", (0, 0, 0, 1)),
        ("emotion8", "calm", (0, 1, 0, 0, 0, 0, 0, 0)),
        ("emotion8", "Surprised", (0, 0, 0, 0, 0, 0, 0, 1)),
        ("emotions", "happy|Sadness", (1, 1, 0, 0, 0, 0)),
        ("emotions", "disgust", (0, 0, 0, 0, 1, 0)),
        ("emotions", "neutral", (0, 0, 0, 0, 0, 0)),
        ("emotions", "0;1;0;0;1;0", (0, 1, 0, 0, 1, 0)),
        ("sentiment7", "-1", (0, 0, 1, 0, 0, 0, 0)),
        ("sentiment2_has0", "not  Negative", (0, 1)),
        ("emotion_scores", "3 0 0.5 0 0 1", (3, 0, 0.5, 0, 0, 1)),
    ],
)
def test_labels_of_every_kind(tmp_path, task, cell, label):
    """A word, several words, shares or scores, in a column of their own and in the one that the option names."""
    for column, said in ((f"label.{task}", {}), ("label", {"task": task})):
        clip = one(tmp_path, {"t.csv": table(("path", column), ("a.wav", cell)), "a.wav": WAV}, **said)
        assert clip.labels == {task: label}


def test_a_table_of_words_alone(tmp_path):
    """Without media an id and a text make a clip, and nothing is missing."""
    clip = one(tmp_path, {"t.tsv": "id\ttext\temotion\n007\tWell.\tjoy\n"})
    assert (clip.id, clip.audio, clip.video, clip.text, clip.flags) == ("007", None, None, "Well.", ())


def test_a_table_of_features_alone(tmp_path):
    """Where only features exist an id and labels make a clip, without media and words, and that is said."""
    found = read(tmp_path, {"t.csv": "id,split,sentiment_score\na,train,-2.5\nb,test,1\n"})
    clips = found.manifest.clips
    assert [(clip.id, clip.split, clip.labels) for clip in clips] == [
        ("a", "train", {"sentiment_score": (-2.5,)}),
        ("b", "test", {"sentiment_score": (1.0,)}),
    ]
    assert {(clip.tracks, clip.text, clip.flags, clip.duration_s) for clip in clips} == {((), None, (), None)}
    assert found.manifest.warnings == ("2 clips without media: features only",)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,,Oh.\nb,,No.\n", "2 clips without media: words alone"),
        ("a,,Oh.\nb,,\n", "2 clips without media: features only, but for the words of 1"),
        ("a,x.wav,Oh.\nb,,\nc,,\n", "2 clips without media (b is the first): features only"),
        ("a,x.wav,Oh.\nb,gone.wav,\n", None),
    ],
)
def test_clips_without_media_are_counted(tmp_path, rows, said):
    """What has words beside features is told apart, a forgotten path is seen, and a missing file is another thing."""
    no_label, *others = read(tmp_path, {"t.csv": f"id,path,text\n{rows}", "x.wav": WAV}).manifest.warnings
    assert "have no label" in no_label
    assert others == ([said] if said else [])


def test_media_that_a_table_forgets(tmp_path):
    """A table that names no media where some lie is refused with what to say; where none lie it is read."""
    files = {"t.csv": "id,emotion\na,joy\n", "deep/a.wav": WAV}
    with pytest.raises(
        ManifestError, match=r"media lie there, as deep/a\.wav; it has id, emotion\. Say .*columns=path="
    ):
        read(tmp_path / "a", files)
    assert one(tmp_path / "a", {}, columns="path=id").audio == Audio("deep/a.wav")
    assert one(tmp_path / "b", {"t.csv": files["t.csv"]}).audio is None


def test_where_a_clip_without_media_was_cut_from(tmp_path):
    """Its recording and seconds are kept as what it was cut from; beside media a recording is the lab's own word."""
    head, row = "id,recording,start,end,cut_end_s,path", "a,films/long,1.5,2.75,9"
    bare = one(tmp_path / "a", {"t.csv": f"{head}\n{row},\n"})
    assert bare.native == {"cut_from": "films/long", "cut_start_s": 1.5, "cut_end_s": 2.75}
    assert bare.duration_s == 1.25
    clip = one(tmp_path / "b", {"t.csv": f"{head}\n{row},x.wav\n", "x.wav": WAV})
    assert clip.native == {"recording": "films/long", "cut_end_s": 9.0}
    assert clip.audio == Audio("x.wav", 1.5, 2.75)


def test_scores_of_another_scale(tmp_path):
    """The middle of a scale is subtracted from scores of sentiment alone, whichever column tells them."""
    for column in ("sentiment_score", "label.sentiment_score", "label"):
        task = {"task": "sentiment_score"} if column == "label" else {}
        table_of_one = {"t.csv": f"id,{column},valence\na,4.5,4.5\n"}
        clip = one(tmp_path, table_of_one, middle="3", **task)
        assert (clip.labels, clip.native[column]) == ({"sentiment_score": (1.5,), "valence": (4.5,)}, "4.5")
        assert one(tmp_path, table_of_one, **task).labels["sentiment_score"] == (4.5,)


def test_a_scale_that_is_not_ours_is_seen(tmp_path):
    """Where no score is below 0, the option that moves them is named; where some are, or one says little, it is not."""
    for scores, said in ((("1", "5"), True), (("0", "2"), True), (("-1", "5"), False), (("4", "4"), False)):
        rows = "".join(f"c{number},{score}\n" for number, score in enumerate(scores))
        (_, *warnings) = read(tmp_path, {"t.csv": f"id,sentiment_score\n{rows}"}).manifest.warnings
        assert [warning.endswith("say middle=3") for warning in warnings] == [True] * said


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize("shared", [real_kit.MMMO], indirect=True)
def test_the_ratings_of_ict_mmmo(shared, tmp_path):
    """A table of ids and of ratings from 1 to 5 gives the labels that these reviews are trained with."""
    manifest, _ = real_kit.lay_mmmo(shared.parent)
    rows = [(clip.id, clip.split, repr(clip.native["rating"])) for clip in manifest.clips]
    said = {"columns": "sentiment_score=rating", "middle": "3", "label_kind": "mean rating", "licence": "research use"}
    found = read(tmp_path / "table", {"t.csv": table(("id", "split", "rating"), *rows)}, **said)
    assert [(clip.id, clip.split, clip.labels, clip.label_kind) for clip in found.manifest.clips] == [
        (clip.id, clip.split, clip.labels, clip.label_kind) for clip in manifest.clips
    ]
    assert found.manifest.warnings == ("340 clips without media: features only",)


def test_the_kind_of_labels_of_a_row(tmp_path):
    """A column tells it where rows differ, the option where the cell is blank, and an unknown kind is refused."""
    rows = "id,emotion,label_kind\na,joy,intended\nb,joy,\nc,,intended\n"
    clips = read(tmp_path, {"t.csv": rows}, label_kind="mean rating").manifest.clips
    assert [clip.label_kind for clip in clips] == ["intended", "mean rating", None]
    with pytest.raises(ManifestError, match=r"row 1, column 'label_kind': expected one of intended, majority"):
        read(tmp_path, {"t.csv": "id,emotion,label_kind\na,joy,guessed\n"})


def test_a_film_in_a_column_of_its_own(tmp_path):
    """A film alone brings its sound; beside a column of sound it is picture alone."""
    clip = one(tmp_path / "a", {"t.csv": "video,emotion\nx.mp4,joy\n", "x.mp4": b"mp4"})
    assert (clip.audio, clip.video) == (Audio("x.mp4"), Video("x.mp4"))
    clip = one(tmp_path / "b", {"t.csv": "video,audio,emotion\nx.mp4,,joy\n", "x.mp4": b"mp4"})
    assert (clip.audio, clip.video, clip.flags) == (None, Video("x.mp4"), ())


@pytest.mark.parametrize(
    ("row", "flags"),
    [
        ("a.wav,,", ("missing_audio",)),
        ("a.mp4,,", ("missing_video", "missing_audio")),
        ("a,,", ("missing_video", "missing_audio")),
        (",a.wav,there.mp4", ("missing_audio",)),
        (",there.wav,a.mp4", ("missing_video",)),
        ("there.mp4,a.wav,", ("missing_audio",)),
        ("there,,", ()),
    ],
)
def test_flags_of_what_is_named_in_vain(tmp_path, row, flags):
    """What a row names and is not there is flagged; what it does not name is not missed."""
    files = {"t.csv": f"path,audio,video,emotion\n{row},joy\n", "there.wav": WAV, "there.mp4": b"mp4"}
    assert one(tmp_path, files).flags == flags


def test_sound_and_film_of_one_name(tmp_path):
    """A path without suffix is all that has this name: the best sound, and the picture."""
    files = {
        "t.csv": "path,emotion\nclips/a,joy\n",
        **dict.fromkeys(("clips/a.mp3", "clips/A.wav", "clips/a.mp4"), WAV),
    }
    clip = one(tmp_path, files)
    assert (clip.audio, clip.video) == (Audio("clips/a.mp3"), Video("clips/a.mp4"))


@pytest.mark.parametrize("cell", ["clips/é.wav", "CLIPS/É.WAV", "e\u0301", "clips\\é", "./clips/é.wav", "é.wav"])
@pytest.mark.parametrize("place", ["t.csv", "tables/t.csv", "x/y/t.csv"])
def test_where_a_path_may_start(tmp_path, cell, place):
    """At the table, at a folder above it, or anywhere while no other file has the name; in any case and composition."""
    top = PurePosixPath(place).parts[0] if place.startswith("x") else ""
    media = str(PurePosixPath(top, "clips/é.wav"))
    clip = one(tmp_path, {place: f"path,emotion\n{cell},joy\n", media: WAV}, table=place)
    assert clip.audio == Audio(media)


def test_a_path_from_the_top_of_the_disk(tmp_path):
    """An absolute path inside the root is as good as a relative one; one outside is refused."""
    clip = one(tmp_path, {"t.csv": f"path,emotion\n{tmp_path}/x/a.wav,joy\n", "x/a.wav": WAV})
    assert (clip.audio, clip.id) == (Audio("x/a.wav"), "x__a")
    for cell in ("/etc/a.wav", "../a.wav", "C:\\lab\\a.wav", f"{tmp_path}/../a.wav"):
        with pytest.raises(ManifestError, match=r"t\.csv, row 1, column 'path': .*a path inside the corpus root"):
            read(tmp_path, {"t.csv": table(("path", "emotion"), (cell, "joy"))})


def test_a_name_of_several_files(tmp_path):
    """A bare name that two folders have is refused with both; with its folder it is clear."""
    files = {"t.csv": "path,emotion\na.wav,joy\n", "s1/a.wav": WAV, "s2/a.wav": WAV}
    with pytest.raises(ManifestError, match=r"row 1, column 'path': 'a\.wav' may be s1/a\.wav or s2/a\.wav"):
        read(tmp_path, files)
    assert one(tmp_path, {"t.csv": "path,emotion\ns2/a.wav,joy\n"}).audio == Audio("s2/a.wav")


def test_a_path_that_is_a_folder(tmp_path):
    """A folder is no file: its clip is missing, and the reason is told."""
    found = read(tmp_path, {"t.csv": "id,path,emotion\na,s1,joy\nb,s1/a.wav,sad\n", "s1/a.wav": WAV})
    assert [clip.flags for clip in found.manifest.clips] == [("missing_video", "missing_audio"), ()]
    assert found.tree.left_out == {"s1": "a folder; expected a file"}


def test_renamed_columns_free_their_names(tmp_path):
    """A column that stands in for ours leaves a column of our name to native."""
    files = {"t.csv": "path,emotion,Final Label\na.wav,?,joy\n", "a.wav": WAV}
    clip = one(tmp_path, files, columns="emotion=final_label")
    assert clip.labels == {"emotion": one_hot("emotion", "happy")}
    assert clip.native == {"emotion": "?", "Final Label": "joy"}


def test_ids_of_parts(tmp_path):
    """Parts of one file are told apart by where they start."""
    rows = "path,start,end,emotion\nx/a.wav,0,1.5,joy\nx/a.wav,1.50,2,sad\n"
    assert [clip.id for clip in read(tmp_path, {"t.csv": rows, "x/a.wav": WAV}).manifest.clips] == [
        "x__a@0",
        "x__a@1.50",
    ]


BAD_ROWS = {
    "path,emotion\na.wav,fru\n": r"row 1, column 'emotion': 'fru' is no label of emotion: expected one of neutral, .*"
    r"say what it means with words=fru=…, or that it is none with words=fru=",
    "path,label.emotions\na.wav,happy|glad\n": r"column 'label\.emotions': 'glad' is no label",
    "path,label.emotion\na.wav,1 1 0 0 0 0 0\n": r"column 'labels\.emotion': expected shares",
    "path,label.emotions\na.wav,0 0 2 0 0 0\n": r"column 'labels\.emotions': expected 0 or 1",
    'path,sentiment_score\na.wav,"1,5"\n': r"column 'labels\.sentiment_score': expected 1 numbers \(sentiment\), got 2",
    "path,valence\na.wav,nan\n": r"column 'valence': expected a number, got 'nan'",
    "path,valence\na.wav,1e999\n": r"column 'valence': expected a number, got '1e999'",
    f"path,valence\na.wav,{'9' * 400}\n": r"column 'valence': expected a number",
    "path,start\na.wav,-1\n": r"column 'start_s': expected seconds from 0",
    "path,start\na.wav,0:10\n": r"column 'start': expected a number, got '0:10'",
    "path,Start,END\na.wav,2,1\n": r"column 'end_s': expected more than start_s 2\.0, got 1\.0",
    "path,channel\na.wav,center\n": r"column 'channel': expected one of centre, left, mix, right, got 'center'",
    "path,sex\na.wav,x\n": r"column 'sex': expected f, m, female, male or nothing, got 'x'",
    "path,turn\na.wav,1.0\n": r"column 'turn': expected a whole number from 0, got '1\.0'",
    "path,split\na.wav,\n": r"column 'split': expected a printable name",
    "id,path\na/b,a.wav\n": r"column 'id': expected a printable name without slashes, got 'a/b'",
    "id,path\na,a.wav\na,a.wav\n": r"row 2, column 'id': 'a' already stands in row 1",
    "path,emotion\na.wav,joy\na.wav,sad\n": r"row 2, column 'id': 'a' already stands in row 1; give each row an id",
    "path,emotion\n,joy\n": r"row 1, expected a path, an audio, a video, or an id; columns read: path, emotion",
    "path,text\n,Well.\n": r"row 1, expected a path, an audio, a video, or an id; columns read: path, text",
    "path,emotion\nnotes.md,joy\n": r"row 1, column 'path': expected one of wav, .*, got 'notes\.md'",
    "path,emotion\na\0.wav,joy\n": r"row 1, column 'path': expected a relative path",
    "path,text,emotion\na.wav,Well, well.,joy\n": r"row 1: expected 3 cells, got also 'joy'",
    'path,text\na.wav,"Well': r"line \d+: .*is the file complete",
    "path,Emotion,emotion \na.wav,joy,sad\n": r"column 'emotion' stands twice in its head",
    "path,note,note\na.wav,1,2\n": r"column 'note' stands twice in its head",
    "path,emotion,label\na.wav,joy,sad\n": r"several columns tell emotion: say which with columns=emotion=…, or task=…",
    "path,label.mood\na.wav,joy\n": r"column 'label\.mood': unknown task 'mood'",
    "clip,emotion\na.wav,joy\n": r"no column path, .*; it has clip, emotion\. Say .*columns=path=YOURS",
    "\n\n": r"no column path, audio, video or text; it has none",
    "id,mean\na,1\n": r"no column path, .*; it has id, mean\. .* Where only features exist, an id and labels will do",
    "id,start,path\na,x,\n": r"row 1, column 'start': expected a number, got 'x'",
}


@pytest.mark.parametrize("text", BAD_ROWS)
def test_a_table_that_cannot_be_right(tmp_path, text):
    """A wrong row is refused with the file, the row, the column and what to do; a wrong head with its columns."""
    with pytest.raises(ManifestError, match=rf"t\.csv.*{BAD_ROWS[text]}"):
        read(tmp_path, {"t.csv": text, "a.wav": WAV, "notes.md": "x"})


def test_a_table_of_garbage(tmp_path):
    """Bytes that are no table end in a word about it, not in a stack."""
    for content in (b"\xff\xfe\0\1" * 99, b"\0" * 999, bytes(range(256)) * 9, b'"' + b"x" * 200_000):
        with pytest.raises(ManifestError, match=r"t\.csv"):
            read(tmp_path, {"t.csv": content, "a.wav": WAV})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"columns": "emotion"}, r"option 'columns': expected pairs like emotion=Label.*, got 'emotion'"),
        ({"columns": "emotoin=path"}, r"option 'columns': unknown column 'emotoin'\. Did you mean 'emotion'"),
        ({"columns": "emotion=labl"}, r"option 'columns': .*t\.csv: unknown column 'labl'\. Did you mean 'Label'"),
        ({"words": "=anger"}, r"option 'words': expected pairs like ang=anger"),
        ({"words": "a=anger,a=sad"}, r"option 'words': 'a' is said to be 'anger' and 'sad'"),
        ({"words": "joy=hapy", "task": "emotion"}, r"'joy' \(words= makes it 'hapy'\) is no label of emotion"),
        ({"task": "moods"}, r"option 'task': unknown task 'moods'"),
        ({"task": "sentiment_score"}, r"column 'Label': expected a number, got 'joy'"),
        ({"table": "none", "task": "valence"}, r"option 'task': a folder tells a class, and valence is a number"),
        ({"shared": "labels, all"}, r"option 'shared': unknown part 'all'"),
        ({"table": "u.csv"}, r"option 'table': no u\.csv under"),
        ({"tables": "t.csv"}, r"unknown option 'tables'\. Did you mean 'table'"),
        ({"middle": "three"}, r"option 'middle': expected a number, got 'three'"),
    ],
)
def test_options_that_cannot_be_right(tmp_path, options, complaint):
    """A slip in an option is answered with what is valid and what was probably meant."""
    with pytest.raises(ManifestError, match=complaint):
        read(tmp_path, {"t.csv": "path,Label\na.wav,joy\n", "a.wav": WAV}, **options)


def test_several_tables(tmp_path):
    """Of two tables the user chooses, and is told how; one beside only some of the media is never taken unasked."""
    files = {"a.csv": "path,emotion\nx.wav,joy\n", "b.csv": "path,emotion\nx.wav,sad\n", "x.wav": WAV}
    with pytest.raises(ManifestError, match=r"holds several tables: a\.csv, b\.csv\. Say which: table=a\.csv"):
        read(tmp_path, files)
    assert one(tmp_path, {}, table="b.csv").labels == {"emotion": one_hot("emotion", "sad")}


def test_no_label_is_told(tmp_path):
    """A table without any column of labels is read, and the manifest says what is not there."""
    found = read(tmp_path, {"t.csv": "path,Class\na.wav,joy\n", "a.wav": WAV})
    (warning,) = found.manifest.warnings
    assert warning == "1 of 1 clips have no label; columns of labels: none; name one with columns=emotion=YOURS"


# Folders


def test_folders_of_labels(tmp_path):
    """Files of one name are one clip; a wrapper does not matter, what lies between label and clip does."""
    files = dict.fromkeys(("w/anger/a.wav", "w/anger/a.mp4", "w/Happiness/s1/a.flac", "w/Happiness/s2/a.flac"), WAV)
    found = read(tmp_path, {**files, "w/anger/a.txt": "\ufeffWell,\r\n well."})
    clips = {clip.id: clip for clip in found.manifest.clips}
    assert list(clips) == ["Happiness__s1__a", "Happiness__s2__a", "anger__a"]
    clip = clips["anger__a"]
    assert (clip.audio, clip.video) == (Audio("w/anger/a.wav"), Video("w/anger/a.mp4"))
    assert (clip.text, clip.text_source, clip.native) == ("Well, well.", "transcript", {"emotion": "anger"})
    assert (clip.split, clip.split_source, clip.speaker_id, clip.flags) == ("all", "none", None, ())
    assert clips["Happiness__s1__a"].labels == {"emotion": one_hot("emotion", "happy")}
    assert clips["Happiness__s1__a"].flags == ("no_transcript",)


def test_folders_of_splits(tmp_path):
    """A split above the label is the clip's split, in any of its names, and part of its id."""
    files = dict.fromkeys((f"x/{split}/Sad/1.wav" for split in ("Train", "val", "testing")), WAV)
    found = read(tmp_path, files).manifest.clips
    assert {clip.id: (clip.split, clip.split_source) for clip in found} == {
        "Train__Sad__1": ("train", "folder"),
        "val__Sad__1": ("dev", "folder"),
        "testing__Sad__1": ("test", "folder"),
    }


def test_speakers_folders_above_the_label(tmp_path):
    """Folders above the label keep clips of one name apart; the first word for a label counts."""
    files = dict.fromkeys(("lab/s1/anger/1.wav", "lab/s2/anger/1.wav", "lab/s2/anger/sad/1.wav"), WAV)
    found = {clip.id: clip.labels["emotion"] for clip in read(tmp_path, files).manifest.clips}
    assert found == dict.fromkeys(("s1__anger__1", "s2__anger__1", "s2__anger__sad__1"), one_hot("emotion", "anger"))


def test_words_and_tasks_of_folders(tmp_path):
    """Folders may have the lab's own words, be no label, and be of another task."""
    files = dict.fromkeys(("01_wut/a.wav", "oth/b.wav", "calm/c.wav"), WAV)
    found = read(tmp_path, files, words="01_Wut=anger,oth=", task="emotion8").manifest.clips
    assert [(clip.id, clip.labels) for clip in found] == [
        ("01_wut__a", {"emotion8": one_hot("emotion8", "anger")}),
        ("calm__c", {"emotion8": one_hot("emotion8", "calm")}),
        ("oth__b", {}),
    ]


def test_what_folders_leave_out(tmp_path):
    """Below no label, in a second form, words without a recording: everything that is no clip is told."""
    files = dict.fromkeys(("sad/a.wav", "sad/a.mp3", "bored/b.wav", "loose.mp4"), WAV)
    found = read(tmp_path, {**files, "sad/ReadMe.txt": "Ours.", "sad/._a.wav": tree_kit.FORK, "sad/notes.pdf": b"%PDF"})
    assert [clip.id for clip in found.manifest.clips] == ["sad__a"]
    no_label = "no folder above it is a label of emotion; say words=FOLDER=LABEL if one is"
    assert found.tree.left_out == {
        "sad/a.mp3": "another form of sad/a.wav",
        "sad/ReadMe.txt": "words without a recording of the same name",
        "bored/b.wav": no_label,
        "loose.mp4": no_label,
    }


def test_folders_of_texts(tmp_path):
    """Where there are no media at all, each text is a clip."""
    found = read(tmp_path, {"sad/a.txt": "Oh.", "joy/b.txt": "Ah!"}).manifest.clips
    assert [(clip.id, clip.text, clip.flags) for clip in found] == [("joy__b", "Ah!", ()), ("sad__a", "Oh.", ())]


def test_a_table_beside_some_media_is_not_the_table(tmp_path):
    """A list within one label's folder does not stand for all; table=none puts even one at the top aside."""
    files = {"sad/a.wav": WAV, "joy/b.wav": WAV, "joy/features.csv": "mean,std\n1,2\n"}
    assert len(read(tmp_path, files).manifest.clips) == 2
    tree_kit.lay(tmp_path, {"features.csv": "mean,std\n1,2\n"})
    with pytest.raises(ManifestError, match="table=none if this is not the table of the clips"):
        build("folder", tmp_path)
    assert len(read(tmp_path, {}, table="none").manifest.clips) == 2


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), "It holds no media"),
        (("a.wav",), "It holds media, but in no folder"),
        (
            ("s1/a.wav", "s2/wut/b.wav"),
            r"Its media lie in s1, s2, wut; none of these is a label of emotion \(neutral, ",
        ),
        (("lists/t.csv", "wavs/a.wav"), r"Tables lie elsewhere: lists/t\.csv; say which: table=lists/t\.csv"),
    ],
)
def test_neither_table_nor_folders(tmp_path, files, said):
    """What is there is said, and both ways are shown by example."""
    tree_kit.lay(tmp_path, dict.fromkeys(files, WAV))
    both_ways = r"(.|\n)*path,emotion,split,speaker,text(.|\n)*anger/clip1\.wav"
    with pytest.raises(ManifestError, match=rf"neither a table nor a folder .*{said}{both_ways}"):
        build("folder", tmp_path)


# Names


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), unique=True, max_size=8))
def test_no_two_paths_have_one_name(paths):
    """Different paths have different names, the same path always the same, and every name is a valid id."""
    composed = {unicodedata.normalize("NFC", path) for path in paths}
    names = {own.name_of(path) for path in paths}
    assert len(names) == len(composed)
    for path in paths:
        assert own.name_of(unicodedata.normalize("NFD", path)) == own.name_of(path)


@pytest.mark.parametrize(
    ("path", "name"),
    [("s1/a b", "s1__a b"), ("a", "a"), ("-x/Zoë", "-x__Zoë"), ("e\u0301", "é"), ("a.b", "a.b"), ("a_b/c", "a_b__c")],
)
def test_a_plain_path_stays_readable(path, name):
    """Blanks, dots, single underscores and accents are kept."""
    assert own.name_of(path) == name


@pytest.mark.parametrize("path", ["a__b", "a_/b", "a\u200cb", "a\nb", "x" * 300, "..", "…" * 99])
def test_what_cannot_be_written_back_has_a_digest(path):
    """Such a path has a name of its own all the same."""
    assert own.name_of(path).rpartition(".")[2].isalnum()
    assert own.name_of(path) not in (path, path.replace("/", "__"))
    assert len(own.name_of(path).encode()) <= 200


@FEW
@given(st.lists(st.tuples(NAMES, NAMES), unique_by=lambda pair: own.plain("/".join(pair)), min_size=1, max_size=4))
def test_any_names_of_files_in_a_table(tmp_path_factory, pairs):
    """Whatever files are called, the table that lists them finds each, and no two clips are one."""
    root = tmp_path_factory.mktemp("names")
    paths = [f"{first}/{second}.wav" for first, second in pairs]
    tree_kit.lay(
        root, {**dict.fromkeys(paths, WAV), "clips.csv": table(("path", "emotion"), *((p, "joy") for p in paths))}
    )
    clips = build("folder", root).clips
    assert [clip.audio and clip.audio.path for clip in clips] == paths
    assert [clip.id for clip in clips] == [own.name_of(path.removesuffix(".wav")) for path in paths]


@FEW
@given(st.lists(NAMES, unique_by=own.plain, min_size=1, max_size=4))
def test_any_names_of_files_in_folders(tmp_path_factory, names):
    """Whatever files are called, each in a label's folder is one clip, with the same id when more come."""
    root = tmp_path_factory.mktemp("names")
    tree_kit.lay(root, {f"sad/{name}.wav": WAV for name in names[:-1]})
    before = {clip.id for clip in build("folder", root).clips} if names[:-1] else set()
    tree_kit.lay(root, {f"sad/{names[-1]}.wav": WAV})
    after = build("folder", root).clips
    assert {clip.audio.path for clip in after} == {f"sad/{name}.wav" for name in names}
    assert before < {clip.id for clip in after}


@given(st.sampled_from([task for task in TASKS.values() if task.kind == "class"]), st.data())
def test_any_word_can_be_mapped(task, data):
    """A word of any script, typed in any case and composition, means the class that it is said to mean."""
    word = data.draw(NAMES.filter(lambda word: own.plain(word) and not set(word) & set(",=")))
    ours = data.draw(st.sampled_from(task.classes))
    words = folder.meanings(f" {word} = {ours} ")
    typed = data.draw(st.sampled_from([word, unicodedata.normalize("NFD", word), f" {word}  "]))
    assert own.label(task.name, typed, words) == one_hot(task.name, ours)
    assert own.label(task.name, typed, folder.meanings(f"{word}=")) is None


@given(st.text(max_size=20), st.sampled_from(sorted(TASKS)))
def test_any_cell_is_a_label_or_refused(text, task):
    """No cell ends in anything but a label, nothing, or a complaint."""
    try:
        label = own.label(task, text, {})
    except ValueError:
        return
    assert label is None or all(isinstance(number, float) for number in label)


PIECES = st.sampled_from(
    [*'\n\n,,;\t"\r \0', "path", "emotion", "label.vad", "id", "start", "a.wav", "joy", "9", "nan", "."]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_a_table_or_refused(tmp_path_factory, text):
    """Whatever stands in a table, it is read or refused with the name of the file or the folder."""
    root = tmp_path_factory.mktemp("any")
    tree_kit.lay(root, {"t.csv": f"path,emotion\n{text}", "u/v.csv": f"{text},x", "a.wav": WAV})
    for chosen in ("t.csv", "v.csv"):
        try:
            said = scan("folder", root, {"table": chosen}).manifest.clips
        except ManifestError as error:
            said = str(root) in str(error)
        assert said
