"""IEMOCAP: who is seen and heard where, what raters said, and the counts of the real six-class table."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import tree_kit
from hypothesis import given
from hypothesis import strategies as st
from trees import iemocap as small

from manifests import Audio, ManifestError, Series, Video, labels, scan
from manifests.corpora import iemocap
from manifests.expected import count
from manifests.labels import one_hot
from manifests.tree import Tree

REAL = Path(__file__).parents[2] / "shared" / "data" / "iemocap" / "iemocap_6way_ids_labels.csv"
SESSION1 = "IEMOCAP_full_release/Session1"
UNSEEN = small.UNSEEN
NOT_TAKEN = "no turn takes it: none is rated, another of its tables is missing, or markers=speaker"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Lay the small corpus down once."""
    folder = tmp_path_factory.mktemp("iemocap")
    small.lay(folder)
    return folder


@pytest.fixture(scope="module")
def found(root):
    """Read it once with the defaults."""
    return scan("iemocap", root)


@pytest.fixture(scope="module")
def clips(found):
    """Return its clips by id."""
    return {clip.id: clip for clip in found.manifest.clips}


def one_dialogue(root, *turns, name="Ses01F_impro01", **files):
    """Lay an evaluation of these turns alone, with further files as bytes."""
    tree_kit.lay(root, {f"EmoEvaluation/{name}.txt": small.HEAD + "".join(turns), **files})
    return root


def read(root, **options):
    """Return the clips of a tree by id."""
    return {clip.id: clip for clip in scan("iemocap", root, options).manifest.clips}


def test_a_whole_turn(clips):
    """Every column of a clip is that of its turn: sound from its own wav, pictures from the film of its dialogue."""
    clip = clips["Ses02F_script01_1_M000"]
    at = "IEMOCAP_full_release/Session2"
    assert clip.audio == Audio(f"{at}/sentences/wav/Ses02F_script01_1/Ses02F_script01_1_M000.wav")
    assert clip.video == Video(f"{at}/dialog/avi/DivX/Ses02F_script01_1.avi", 0.4, 0.8, "right")
    tables = [f"{at}/sentences/MOCAP_{of}/{clip.dialogue_id}/{clip.id}.txt" for of in ("rotated", "hand", "head")]
    assert clip.series == {"mocap": Series(tuple(tables), time_column=1)}
    assert (clip.split, clip.split_source) == ("session2", "the corpus' sessions")
    assert (clip.dialogue_id, clip.utt_index, clip.speaker_id, clip.sex) == ("Ses02F_script01_1", 1, "Ses02_M", "m")
    assert (clip.text, clip.text_source, clip.language, clip.duration_s) == ("Say hap.", "transcriptions", "en", 0.4)
    assert clip.native == {
        "emotion": "hap",
        "valence": 2.5,
        "activation": 3.0,
        "dominance": 3.5,
        "style": "scripted",
        "script": "script01_1",
        "cut_from": "Ses02F_script01_1",
        "cut_start_s": 0.4,
        "cut_end_s": 0.8,
    }
    assert clip.labels == {
        "emotion": one_hot("emotion", "happy"),
        "emotion6": one_hot("emotion6", "happy"),
        "valence": (2.5,),
        "arousal": (3.0,),
        "dominance": (3.5,),
    }
    assert (clip.label_kind, clip.flags) == ("majority", ())
    assert clip.licence == "IEMOCAP release form, research only; may be shared: nothing"


def test_every_rated_turn_and_no_other_is_a_clip(clips):
    """Dialogues come in order, turns in order of time; where two begin together the first line is the first."""
    unseen = [f"{UNSEEN}_{tail}" for tail in ("F000", "M000", "F001", "M001", "F002", "F003")]
    first, *others = ([f"{name}_{tail}" for tail, _ in small.TURNS] for name in small.DIALOGUES)
    assert list(clips) == first + unseen + [turn_id for turns in others for turn_id in turns]
    assert [clips[turn_id].utt_index for turn_id in unseen] == list(range(6))


def test_a_take_of_a_script_is_the_same_script(clips):
    """The letter of a second take is no part of the script's name, which all sessions act; improvised is no script."""
    assert clips["Ses05M_script01_1b_F000"].native["script"] == clips["Ses02F_script01_1_F000"].native["script"]
    improvised = clips["Ses03M_impro05a_F000"]
    assert (improvised.native["style"], improvised.dialogue_id) == ("improvised", "Ses03M_impro05a")
    assert "script" not in improvised.native


def test_the_last_letter_speaks(clips):
    """The letter after the session is who wears the markers, so both speak in every dialogue."""
    assert {clip.speaker_id for clip in clips.values()} == {
        f"Ses0{session}_{who}" for session in range(1, 6) for who in "FM"
    }
    assert all(clip.sex == clip.id.rpartition("_")[2][0].lower() for clip in clips.values())


@pytest.mark.parametrize(
    ("code", "seven", "four", "six"),
    [
        ("neu", "neutral", "neutral", "neutral"),
        ("hap", "happy", "happy", "happy"),
        ("exc", "happy", "happy", "excited"),
        ("sad", "sad", "sad", "sad"),
        ("ang", "anger", "anger", "anger"),
        ("fru", None, None, "frustrated"),
        ("sur", "surprise", None, None),
        ("fea", "fear", None, None),
        ("dis", "disgust", None, None),
        ("oth", None, None, None),
        ("xxx", None, None, None),
    ],
)
def test_classes(clips, code, seven, four, six):
    """Each of the corpus' words is a class of each task that has it; emotion4 follows from emotion."""
    clip = next(clip for clip in clips.values() if clip.native["emotion"] == code)
    for task, word in (("emotion", seven), ("emotion4", four), ("emotion6", six)):
        assert labels.of(task, clip.labels) == (one_hot(task, word) if word else None), task
    assert "emotion4" not in clip.labels


def test_excited_is_not_happy_where_asked(root):
    """With happy=strict excited turns have no class of seven or four; of six they have their own either way."""
    excited = read(root, happy="strict")["Ses03M_impro05a_M000"]
    assert labels.of("emotion", excited.labels) is labels.of("emotion4", excited.labels) is None
    assert excited.labels["emotion6"] == one_hot("emotion6", "excited")
    assert read(root, happy="strict")["Ses01F_impro01_M000"].labels["emotion"] == one_hot("emotion", "happy")


def test_no_agreement_is_kept_with_its_ratings(clips):
    """A turn without a majority is flagged and has ratings, but no class."""
    turn = clips[f"{UNSEEN}_M001"]
    assert turn.labels == {"valence": (2.6667,), "arousal": (2.3333,), "dominance": (2.0,)}
    assert [name for name, clip in clips.items() if "xxx_label" in clip.flags] == [turn.id]


@pytest.mark.parametrize("tail", ["F000", "M000"])
def test_ratings_without_dominance(clips, tail):
    """Where dominance is missing or no number it is not asked for, and the two that are known stay."""
    clip = clips[f"{UNSEEN}_{tail}"]
    assert clip.labels["valence"] == (clip.native["valence"],)
    assert clip.labels["arousal"] == (clip.native["activation"],)
    assert "dominance" not in clip.labels.keys() | clip.native.keys()


def test_missing_media_are_flags(clips):
    """Turns without film, sound or words stay; stubs and empty files count as missing."""
    have = {name.rpartition("_")[2]: clip.flags for name, clip in clips.items() if clip.dialogue_id == UNSEEN}
    assert have == {
        "F000": ("missing_video",),
        "M000": ("missing_video", "no_transcript"),
        "F001": ("missing_video", "missing_audio", "no_transcript"),
        "M001": ("missing_video", "xxx_label"),
        "F002": ("missing_video", "missing_audio", "no_transcript"),
        "F003": ("missing_video", "missing_audio", "no_transcript"),
    }
    assert clips[f"{UNSEEN}_F001"].audio is clips[f"{UNSEEN}_F001"].video is None
    assert clips[f"{UNSEEN}_M000"].text is clips[f"{UNSEEN}_M000"].text_source is None


def test_words_keep_their_tags(clips):
    """A transcript's text is everything behind the times, laughter and colons too; of two lines the first is read."""
    assert clips[f"{UNSEEN}_F000"].text == "[LAUGHTER] It's 5 o'clock: go!"
    assert clips[f"{UNSEEN}_M001"].text == "One."


def test_what_is_left_out_is_told(found):
    """Every line and file that does not become a clip is named with its reason, and nothing else is."""
    words = f"{SESSION1}/dialog/transcriptions/{UNSEEN}.txt"
    wavs = f"{SESSION1}/sentences/wav/{UNSEEN}/{UNSEEN}"
    assert found.tree.left_out == {
        f"{UNSEEN}_MXX0, row 3": "a turn without a number, never cut or rated",
        f"{UNSEEN}_MXX0, row 4": "a turn without a number, never cut or rated",
        f"{words}, row 5": "not like Ses01F_impro01_F000 [1.0-2.0]: Hi.",
        f"{words}, row 7": "a second line of its turn",
        f"{UNSEEN}_M009": "written down, but not rated",
        f"{SESSION1}/dialog/EmoEvaluation/notes.txt": "not named like a dialogue, Ses01F_impro01",
        f"{wavs}_F001.wav": "not downloaded: a pointer of Git LFS (git lfs pull)",
        f"{wavs}_F002.wav": "an empty file",
        f"{wavs}_M008.wav": "no evaluation names it",
        f"{SESSION1}/sentences/MOCAP_head/{UNSEEN}/{UNSEEN}_F000.txt": NOT_TAKEN,
    }
    assert found.tree.warnings == []
    assert found.tree.junk == 13


def test_motion_capture_of_who_wears_the_markers(root, clips):
    """A turn has motion capture where all three tables are there; with markers=speaker the listener's is left out."""
    assert {clip.dialogue_id for clip in clips.values() if not clip.series} == {UNSEEN}
    asked = scan("iemocap", root, {"markers": "speaker"})
    shown = {clip.id for clip in asked.manifest.clips if clip.series}
    assert shown == {name for name, clip in clips.items() if clip.series and name[5] == clip.speaker_id[-1]}
    assert sum(why == NOT_TAKEN for why in asked.tree.left_out.values()) == 1 + 3 * 10


def test_a_table_of_a_turn_that_nobody_rated(tmp_path):
    """Tables that no turn takes are named, and a package without motion capture is read as before."""
    one_dialogue(tmp_path, small.turn("Ses01F_impro01_F000", "ang", 0, 1))
    assert scan("iemocap", tmp_path).manifest.clips[0].series == {}
    tables = {f"sentences/MOCAP_{of}/Ses01F_impro01_F001.txt": small.markers(of, 0) for of in small.COLUMNS}
    tree_kit.lay(tmp_path, tables)
    assert scan("iemocap", tmp_path).tree.left_out == dict.fromkeys(tables, NOT_TAKEN)


@pytest.mark.parametrize(
    ("side", "wearer", "other"),
    [("wearer_left", "left", "right"), ("wearer_right", "right", "left"), ("full", "full", "full")],
)
def test_side(root, side, wearer, other):
    """Who wears the markers is in one half of the picture and the other actor in the other, in every session."""
    for clip in read(root, side=side).values():
        if clip.video:
            assert clip.video.side == (wearer if clip.id[5] == clip.speaker_id[-1] else other)


def test_offset_is_in_frames_of_the_film(root):
    """Five frames earlier are 0.167 s earlier in the film, and the sound stays."""
    clip = read(root, offset_frames="-5")["Ses01F_impro01_M000"]
    assert clip.video.offset_s == pytest.approx(-5 / 29.97, abs=1e-5)
    assert (clip.video.start_s, clip.audio.offset_s) == (0.4, 0.0)


@pytest.mark.parametrize(
    ("channel", "heard"),
    [
        ("mix", {"Ses01F_impro01_F000": "mix", "Ses03M_impro05a_F000": "mix"}),
        (
            "wearer_left",
            {"Ses01F_impro01_F000": "left", "Ses01F_impro01_M000": "right", "Ses03M_impro05a_F000": "right"},
        ),
        ("wearer_right", {"Ses01F_impro01_F000": "right", "Ses03M_impro05a_F000": "left"}),
        (
            "female_left",
            {"Ses01F_impro01_F000": "left", "Ses03M_impro05a_F000": "left", "Ses03M_impro05a_M000": "right"},
        ),
        ("female_right", {"Ses01F_impro01_F000": "right", "Ses03M_impro05a_M000": "left"}),
    ],
)
def test_wavs_of_dialogues_alone(tmp_path, channel, heard):
    """Where no turn has its own wav the dialogue's is cut, in the channel that was asked for, and a warning says so."""
    for name in small.DIALOGUES[::2]:
        one_dialogue(tmp_path, small.dialogue(name)[0], name=name, **{f"dialog/wav/{name.upper()}.wav": b"RIFF"})
    tree_kit.lay(tmp_path, {f"dialog/wav/{UNSEEN}.wav": b"RIFF"})
    seen = scan("iemocap", tmp_path, {"channel": channel})
    clips = {clip.id: clip for clip in seen.manifest.clips}
    assert clips["Ses01F_impro01_M000"].audio.path == "dialog/wav/SES01F_IMPRO01.wav"
    assert {name: clips[name].audio.channel for name in heard} == heard
    assert all(
        (clip.audio.start_s, clip.audio.end_s) == (clip.native["cut_start_s"], clip.native["cut_end_s"])
        for clip in clips.values()
    )
    assert "no sentences/wav" in seen.tree.warnings[0]
    assert seen.tree.left_out == {f"dialog/wav/{UNSEEN}.wav": "no evaluation names it"}


@pytest.mark.parametrize(
    ("raters", "expected"),
    [
        (("Neutral;", "Anger;", "Anger;"), {"emotion": {"neutral": 1 / 3, "anger": 2 / 3}}),
        (("Neutral; Frustration;", "Anger;", "Anger"), {"emotion": {"neutral": 0.2, "anger": 0.8}}),
        (("Excited;", "Happiness;", "Sadness;"), {"emotion": {"happy": 2 / 3, "sad": 1 / 3}}),
        (("Excited;", "Happiness;", "Sadness;"), {"emotion6": {"excited": 1 / 3, "happy": 1 / 3, "sad": 1 / 3}}),
        (("Fear;", "Surprise;", "Anger;"), {"emotion4": {}, "emotion6": {}}),
        (("Frustration;", "Frustration;", "Anger;"), {"emotion": {}, "emotion4": {}}),
        (("Neutral;", "Other;"), {"emotion": {}, "emotion4": {}, "emotion6": {}}),
        (("Happiness;", "happy ; "), {"emotion4": {"happy": 1.0}}),
    ],
)
def test_votes(tmp_path, raters, expected):
    """Each rater has one vote, what actors said of themselves is none, and half of the votes elsewhere is no label."""
    one_dialogue(tmp_path, small.turn("Ses01F_impro01_F000", "xxx", 0, 1, raters=raters))
    clip = read(tmp_path, labels="votes")["Ses01F_impro01_F000"]
    for task, votes in expected.items():
        wanted = [pytest.approx(votes.get(name, 0)) for name in labels.TASKS[task].classes]
        assert list(labels.of(task, clip.labels) or ()) == (wanted if votes else []), task
    assert clip.label_kind == "vote series"


def test_a_word_that_no_rater_should_have(tmp_path):
    """An unknown word weighs as other, and is told once."""
    one_dialogue(tmp_path, small.turn("Ses01F_impro01_F000", "ang", 0, 1, raters=("Wrath;", "Anger;", "Anger;")))
    seen = scan("iemocap", tmp_path, {"labels": "votes"})
    assert seen.manifest.clips[0].labels["emotion"] == one_hot("emotion", "anger")
    assert seen.tree.warnings == [
        "EmoEvaluation/Ses01F_impro01.txt: a rater's word 'Wrath' is none of the ten; it counts as other"
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "[0.0 - 1.0]\tSes01F_impro01_F000\tangry\t[1, 2, 3]",
            "column 'emotion': expected one of neu, .*, got 'angry'",
        ),
        ("[0.0 - 1.0]\tSes01F_impro02_F000\tang\t[1, 2, 3]", "column 'utterance': expected one of ses01f_impro01"),
        ("[0.0 - 1.0]\tSes01F_impro01_FXX0\tang\t[1, 2, 3]", "column 'utterance'"),
        ("[0.0 - 1.0]\tSes01F_impro01_F\u0660\u0660\u0660\tang\t[1, 2, 3]", "column 'utterance'"),
        ("[1.0 - 1.0]\tSes01F_impro01_F000\tang\t[1, 2, 3]", "column 'end': expected a span"),
        ("[-1.0 - 1.0]\tSes01F_impro01_F000\tang\t[1, 2, 3]", "column 'end': expected a span"),
        ("[nan - 1.0]\tSes01F_impro01_F000\tang\t[1, 2, 3]", "column 'start': expected a number, got 'nan'"),
        ("[0.0 - 1e999]\tSes01F_impro01_F000\tang\t[1, 2, 3]", "column 'end': expected a number"),
        (
            "[0.0 - 1.0]\tSes01F_impro01_F000\tang\t[1, two, 3]",
            "column 'ratings': column 'activation': expected a number",
        ),
        (
            "[0.0 - 1.0]\tSes01F_impro01_F000\tang\t[1, 2, 30]",
            "column 'dominance': expected a rating from 1 to 5, got '30'",
        ),
        (
            "[0.0 - 1.0]\tSes01F_impro01_F000\tang\t[1, 2, 3, 4]",
            "column 'ratings': expected valence, activation, dominance",
        ),
        ("[0.0 - 1.0]\tSes01F_impro01_F000\tang\t[1, 2", "expected .start - end., .* is the file complete"),
        ("[0.0 - 1", "expected .start - end., .* is the file complete"),
        (
            small.turn("Ses01F_impro01_F000", "ang", 0, 1) * 2,
            "column 'utterance': Ses01F_impro01_F000 has a line already",
        ),
    ],
)
def test_a_line_that_cannot_be_right(tmp_path, line, complaint):
    """A turn that cannot be read is refused with its file, row and column."""
    one_dialogue(tmp_path, line)
    with pytest.raises(ManifestError, match=rf"EmoEvaluation/Ses01F_impro01\.txt, row \d+, .*{complaint}"):
        scan("iemocap", tmp_path)


def test_lines_that_are_neither_turn_nor_rater(tmp_path):
    """What is no turn and no rater's line is told, and so is an evaluation that rates nothing."""
    one_dialogue(tmp_path, "C-E1:\tAnger;\t()\n", small.turn("Ses01F_impro01_F000", "ang", 0, 1), "Well.\n")
    one_dialogue(tmp_path, name="Ses02F_impro01")
    assert scan("iemocap", tmp_path).tree.left_out == {
        "EmoEvaluation/Ses01F_impro01.txt, row 3": "neither a turn nor a rater",
        "EmoEvaluation/Ses01F_impro01.txt, row 12": "neither a turn nor a rater",
        "EmoEvaluation/Ses02F_impro01.txt": "rates no turn",
    }


def test_no_evaluation_prints_the_tree(tmp_path):
    """Sound alone is no corpus: the error shows what should be there."""
    tree_kit.wav(tmp_path / "sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav")
    with pytest.raises(ManifestError, match=r"no clip of iemocap found under .*\n(.*\n)*.*EmoEvaluation"):
        scan("iemocap", tmp_path)


@given(st.lists(st.floats(0, 500).map(lambda at_s: round(at_s, 4)), min_size=1, max_size=30))
def test_places_follow_time(tmp_path_factory, starts_s):
    """Whatever the order of lines, places count up with time and each turn keeps its own span and id."""
    names = [f"Ses01F_impro01_F{number:03}" for number in range(len(starts_s))]
    turns = [small.turn(name, "neu", at_s, at_s + 1) for name, at_s in zip(names, starts_s, strict=True)]
    found = list(iemocap.clips(Tree(one_dialogue(tmp_path_factory.mktemp("times"), *turns))))
    assert [clip.utt_index for clip in found] == list(range(len(starts_s)))
    assert [clip.native["cut_start_s"] for clip in found] == sorted(starts_s)
    assert {clip.id: clip.native["cut_start_s"] for clip in found} == dict(zip(names, starts_s, strict=True))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Write evaluations of the real ids and emotions, with times made up, and read them."""
    if not REAL.is_file():
        pytest.skip(f"the real six-class table of IEMOCAP is not at {REAL}")
    turns = defaultdict(list)
    with REAL.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at_s = float(row["order"])
            turns[row["dialogue"]].append(small.turn(row["utterance"], row["name"], at_s, at_s + 1))
    folder = tmp_path_factory.mktemp("real")
    for name, rated in turns.items():
        one_dialogue(folder / f"Session{name[4]}" / "dialog", *rated, name=name)
    return scan("iemocap", folder)


@pytest.mark.parametrize(
    ("words", "number"),
    {
        "clips": 7433,
        "dialogues": 151,
        "speakers": 10,
        "split session5": 1623,
        "dialogues, split session5": 31,
        "dialogues, native.style improvised": 80,
        "dialogues, native.style scripted": 71,
        "native.emotion hap": 648,
        "native.emotion sad": 1084,
        "native.emotion neu": 1708,
        "native.emotion ang": 1103,
        "native.emotion exc": 1041,
        "native.emotion fru": 1849,
        "emotion4": 5531 + 53,
        "emotion4 happy": 1636 + 53,
        "emotion6": 7433,
        "emotion6 frustrated": 1849,
        "flags missing_audio": 7433,
    }.items(),
)
def test_real_counts(real, words, number):
    """The public six-class list, which has 53 more happy turns than the corpus, is read with every id in its place."""
    assert count(real.manifest.clips, words) == number


def test_real_order_and_nothing_left_out(real):
    """The places of real turns are their order in the table, and no real id is refused."""
    with REAL.open(encoding="utf-8", newline="") as file:
        rows = {row["utterance"]: (int(row["order"]), row["speaker"]) for row in csv.DictReader(file)}
    assert {clip.id: clip.utt_index for clip in real.manifest.clips}.keys() == rows.keys()
    assert all(clip.speaker_id[-1] == rows[clip.id][1] for clip in real.manifest.clips)
    by_dialogue = defaultdict(list)
    for clip in real.manifest.clips:
        by_dialogue[clip.dialogue_id].append(rows[clip.id][0])
    assert all(orders == sorted(orders) for orders in by_dialogue.values())
    assert real.tree.left_out == {}


def test_expected_counts_agree_with_each_other():
    """What should be counted adds up: sessions, emotions and classes are of the same ten thousand turns."""
    expected = iemocap.EXPECTED
    kinds = Counter()
    for words, number in expected.items():
        kinds[words.rpartition(" ")[0]] += number
    assert kinds["split"] == expected["clips"] == kinds["native.emotion"] + expected["flags xxx_label"]
    assert kinds["dialogues, split"] == kinds["dialogues, native.style"] == expected["dialogues"]
    assert kinds["emotion4, split"] == expected["emotion4"]
    assert expected["emotion4 happy"] == expected["native.emotion hap"] + expected["native.emotion exc"]


@given(st.data())
def test_a_file_cut_off_invents_nothing(tmp_path_factory, data):
    """Wherever an evaluation ends, it is refused or gives turns of the whole one, each as it was."""
    whole = small.dialogue("Ses01F_impro01")[0].removeprefix(small.HEAD)
    kept = {clip.id: clip for clip in iemocap.clips(Tree(one_dialogue(tmp_path_factory.mktemp("whole"), whole)))}
    part = whole[: data.draw(st.integers(0, len(whole)))]
    folder = one_dialogue(tmp_path_factory.mktemp("cut"), part)
    opened, closed = part.count("["), part.count("]")
    if opened > closed or closed % 2:  # a turn has two pairs
        with pytest.raises(ManifestError, match="is the file complete"):
            list(iemocap.clips(Tree(folder)))
    else:
        found = list(iemocap.clips(Tree(folder)))
        assert found == list(kept.values())[: len(found)]
