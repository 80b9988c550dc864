"""MELD: every habit of unpacking it, every quirk of its tables, and the real tables where they lie beside us."""
# ruff: noqa: RUF001 - typographic quotes and dashes are what these tables are about

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
import tree_kit
from hypothesis import given
from hypothesis import strategies as st
from tree_kit import LFS
from trees import meld as laid
from trees.meld import COLUMNS, DYADIC, table

from manifests import Audio, ManifestError, Video, __main__, build, expected, read, scan
from manifests.corpora import meld
from manifests.labels import one_hot
from manifests.licence import may_share

REAL = Path(__file__).parents[2] / "shared" / "data" / "meld"
MP4 = b"\0\0\0\x18ftypmp42"
SPLITS = ("train", "dev", "test")
# A wrapper, the folder of each split's clips, the folder of each split's table.
UNPACKED = {
    "as the archives lie": ("", "train_splits dev_splits_complete output_repeated_splits_test", ". . ."),
    "with the outer folder": ("MELD.Raw", "train_splits dev_splits_complete output_repeated_splits_test", ". . ."),
    "each archive in its folder": (
        "MELD.Raw",
        "train/train_splits dev/dev_splits_complete test/output_repeated_splits_test",
        "train dev test",
    ),
    "two wrappers": (
        "MELD-RAW/MELD.Raw",
        "train/train_splits dev/dev_splits_complete test/output_repeated_splits_test",
        "train . .",
    ),
    "renamed": ("Raw", "train dev test", "train dev test"),
    "renamed, capitals": ("raw", "Train DEV Test", ". . ."),
    "tables from git": (
        "",
        "train_splits dev_splits_complete output_repeated_splits_test",
        "data/MELD data/MELD data/MELD",
    ),
    "tables beside the clips": ("", "Train_Splits dev_splits test_splits", "Train_Splits dev_splits test_splits"),
}


def lay(root, files):
    """Put files, given as {path: bytes}, under `root`, and return it."""
    tree_kit.lay(root, files)
    return root


def tables(**split_bytes):
    """Return three tables at the root, each of one row where not given."""
    return {f"{split}_sent_emo.csv": split_bytes.get(split, table({})) for split in SPLITS}


def found(root):
    """Read a tree and return its clips by id."""
    return {clip.id: clip for clip in build("meld", root).clips}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What is found in the tree with real media, laid once."""
    place = tmp_path_factory.mktemp("meld")
    laid.lay(place)
    return scan("meld", place)


def test_a_tree_as_it_unpacks(whole):
    """Every row of the three tables is a clip, with its film where that arrived, and with a flag where it is bad."""
    clips = {clip.id: clip for clip in whole.manifest.clips}
    assert list(clips) == [
        f"{split}_dia{dialogue}_utt{utterance}" for split, said in laid.SAID.items() for dialogue, utterance in said
    ]
    assert Counter(clip.split for clip in clips.values()) == {"train": 13, "dev": 4, "test": 4}
    for name, clip in clips.items():
        split, dialogue, utterance = name.split("_")
        path = f"{laid.FOLDERS[split]}/{dialogue}_{utterance}.mp4"
        assert (clip.audio, clip.video) == (
            (None, None) if name in laid.WITHOUT_FILE else (Audio(path, channel="centre"), Video(path))
        )
    gone = ("missing_video", "missing_audio")
    assert {name: clip.flags for name, clip in clips.items() if clip.flags} == {
        laid.GARBAGE: ("known_bad",),
        laid.STUB: gone,
        laid.EMPTY: gone,
        "dev_dia110_utt7": (*gone, "known_bad"),
        "test_dia38_utt4": ("known_bad", "too_long"),
    }
    for split in SPLITS:
        assert clips[f"{split}_dia0_utt0"].text == "I’m here… " + ("" if split != "train" else " ") + "— ‘no’"
        assert clips[f"{split}_dia0_utt0"].duration_s == (1 if split == "train" else 1.05)
    assert clips["train_dia0_utt0"].speaker_id == "Joey’s Date"
    assert clips["test_dia38_utt4"].duration_s == 304.941


def test_what_a_tree_leaves_out(whole):
    """Films that did not arrive or that nobody labelled are told; re-cuts of the test split and junk are not."""
    assert whole.tree.left_out == {
        f"{laid.FOLDERS['train']}/dia125_utt4.mp4": "not downloaded: a pointer of Git LFS (git lfs pull)",
        f"{laid.FOLDERS['train']}/dia125_utt5.mp4": "an empty file",
        f"{laid.FOLDERS['dev']}/dia49_utt4.mp4": "no table names it",
    }
    assert whole.tree.junk == 3


@pytest.mark.parametrize("habit", UNPACKED)
def test_every_habit_of_unpacking(tmp_path, habit):
    """However the archives were unpacked and renamed, each split finds its own clip of the same name."""
    wrapper, clip_folders, table_folders = UNPACKED[habit]
    files = {}
    for split, clips_at, table_at in zip(SPLITS, clip_folders.split(), table_folders.split(), strict=True):
        files[f"{wrapper}/{clips_at}/dia0_utt0.mp4".lstrip("/")] = MP4
        files[f"{wrapper}/{table_at}/{split}_sent_emo.csv".lstrip("/")] = table({})
    clips = found(lay(tmp_path, files))
    assert list(clips) == ["train_dia0_utt0", "dev_dia0_utt0", "test_dia0_utt0"]
    for clip, clips_at in zip(clips.values(), clip_folders.split(), strict=True):
        assert clip.video == Video(f"{wrapper}/{clips_at}/dia0_utt0.mp4".lstrip("/"))
        assert clip.flags == ()


def test_a_whole_row(tmp_path):
    """Every column of a clip comes from the row it belongs to; times are those of the clip, not of the episode."""
    row = {
        "Utterance": "Could I *be* more, …",
        "Speaker": "Richard’s Date",
        "Emotion": "surprise",
        "Sentiment": "negative",
    }
    row |= {"Dialogue_ID": "12", "Utterance_ID": "3", "Season": "3", "Episode": "14"}
    row |= {"StartTime": "00:16:21,731", "EndTime": "0:16:24,20"}
    clip = found(lay(tmp_path, {**tables(dev=table(row)), "dev_splits_complete/dia12_utt3.mp4": MP4}))["dev_dia12_utt3"]
    assert clip.audio == Audio("dev_splits_complete/dia12_utt3.mp4", channel="centre")
    assert clip.video == Video("dev_splits_complete/dia12_utt3.mp4")
    assert (clip.split, clip.split_source, clip.dialogue_id, clip.utt_index) == ("dev", "official", "dev_dia12", 3)
    assert (clip.text, clip.text_source, clip.language) == (row["Utterance"], "subtitles", "en")
    assert (clip.speaker_id, clip.sex) == ("Richard’s Date", None)
    assert clip.native == {
        "emotion": "surprise",
        "sentiment": "negative",
        "cut_from": "season 3, episode 14",
        "cut_start_s": 981.731,
        "cut_end_s": 984.2,
    }
    assert clip.duration_s == 2.469
    assert clip.labels == {"emotion": (0, 0, 0, 0, 1, 0, 0), "sentiment": (1, 0, 0)}
    assert (clip.label_kind, clip.licence) == ("majority", meld.LICENCE.tag)
    assert [may_share(clip.licence, part) for part in ("raw", "features", "transcript", "labels")] == [0, 0, 1, 1]


def test_what_only_looks_like_a_clip_is_missing(tmp_path):
    """Resource forks, empty files, LFS pointers, broken links and files never published all count as missing."""
    rows = [{"Utterance_ID": str(number)} for number in range(6)]
    lay(
        tmp_path,
        {
            **tables(train=table(*rows)),
            "._train_sent_emo.csv": b"\0\5\x16\7",
            "train_splits/dia0_utt0.mp4": MP4,
            "train_splits/._dia0_utt1.mp4": MP4,
            "train_splits/dia0_utt2.mp4": b"",
            "train_splits/dia0_utt3.mp4": LFS,
            "train_splits/DIA0_UTT4.MP4": MP4,
            "train_splits/.DS_Store": MP4,
        },
    )
    (tmp_path / "train_splits" / "dia0_utt5.mp4").symlink_to(tmp_path / "gone.mp4")
    read = scan("meld", tmp_path)
    clips = {clip.id: clip for clip in read.manifest.clips}
    have = {clip.utt_index: clip.video and clip.video.path for clip in clips.values() if clip.split == "train"}
    assert have == {0: "train_splits/dia0_utt0.mp4", 4: "train_splits/DIA0_UTT4.MP4"} | dict.fromkeys((1, 2, 3, 5))
    assert clips["train_dia0_utt3"].flags == ("missing_video", "missing_audio")
    assert clips["train_dia0_utt3"].audio is None
    assert read.tree.left_out == {
        "train_splits/dia0_utt2.mp4": "an empty file",
        "train_splits/dia0_utt3.mp4": "not downloaded: a pointer of Git LFS (git lfs pull)",
        "train_splits/dia0_utt5.mp4": "a broken link",
    }
    assert read.tree.junk == 3


def test_a_good_copy_stands_in_for_a_stub(tmp_path):
    """Where one copy of a clip did not arrive, another that did is used; of two good ones the nearest to the root."""
    files = {"train/dia0_utt0.mp4": LFS, "train/train_splits/dia0_utt0.mp4": MP4}
    assert (
        found(lay(tmp_path, {**tables(), **files}))["train_dia0_utt0"].video.path == "train/train_splits/dia0_utt0.mp4"
    )
    lay(tmp_path, {"train/dia0_utt0.mp4": MP4})
    assert found(tmp_path)["train_dia0_utt0"].video.path == "train/dia0_utt0.mp4"


def test_folder_of_clips_may_be_a_link(tmp_path):
    """Clips on another disk are found through a link, and a link in a circle does not hang the reader."""
    lay(tmp_path, {"disk/dia0_utt0.mp4": MP4, **{f"root/{name}": content for name, content in tables().items()}})
    (tmp_path / "root" / "train_splits").symlink_to(tmp_path / "disk")
    (tmp_path / "root" / "again").symlink_to(tmp_path / "root")
    assert found(tmp_path / "root")["train_dia0_utt0"].video.path == "train_splits/dia0_utt0.mp4"


def test_stray_media(tmp_path):
    """Clips that no table names are told, the authors' re-cuts of the test split are not."""
    extras = [
        "dev_splits_complete/dia49_utt4.mp4",
        "dia0_utt0.mp4",
        "output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
        "output_repeated_splits_test/dia0_utt0.mp4",
    ]
    lay(tmp_path, tables() | dict.fromkeys(extras, MP4))
    assert scan("meld", tmp_path).tree.left_out == {
        "dia0_utt0.mp4": "no folder tells whether it is of train, dev or test",
        "dev_splits_complete/dia49_utt4.mp4": "no table names it",
    }


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
@pytest.mark.parametrize(
    "cell",
    [
        "It’s… “here” – ‘é’".encode(),
        "It\x92s\x85 \x93here\x94 \x96\xa0\x91é\x92".encode(),
        "It’s… “here” – ‘é’".encode("cp1252"),
        "It’s… “here” \x96 ".encode() + "‘é’".encode("cp1252"),
    ],
    ids=["utf-8", "C1 characters", "cp1252", "a mixture"],
)
def test_both_generations_of_tables_read_alike(tmp_path, cell, line_end):
    """Quotes, dashes and accents are the same text, whatever became of them on the way."""
    content = table({"Utterance": "HERE"}, line_end=line_end).replace(b"HERE", cell)
    assert found(lay(tmp_path, tables(test=content)))["test_dia0_utt0"].text == "It’s… “here” – ‘é’"


def test_copies_of_a_table(tmp_path):
    """Copies in both generations agree; copies that differ are refused by name, as nobody can tell which is right."""
    old, new = table({"Utterance": "I\x92m"}, line_end="\n"), table({"Utterance": "I’m"})
    lay(tmp_path, {**tables(train=old), "data/MELD/train_sent_emo.csv": new})
    assert found(tmp_path)["train_dia0_utt0"].text == "I’m"
    lay(tmp_path, {"data/MELD/train_sent_emo.csv": table({"Utterance": "You are"})})
    with pytest.raises(ManifestError, match=r"train_sent_emo\.csv and .*data/MELD/train_sent_emo\.csv differ"):
        build("meld", tmp_path)


def test_columns_are_matched_by_name(tmp_path):
    """Columns may stand in another order, with others between and with a byte order mark before."""
    content = table({"Speaker": "Ross"}, columns=["note", *reversed(COLUMNS)], encoding="utf-8-sig")
    assert found(lay(tmp_path, tables(dev=content)))["dev_dia0_utt0"].speaker_id == "Ross"


@pytest.mark.parametrize(
    ("end", "long"),
    [
        ("0:03:21,00", False),
        ("0:03:21,01", True),
        ("00:03:21,001", True),
        ("0:03:20,999", False),
        ("01:00:01,000", True),
    ],
)
def test_times(tmp_path, end, long):
    """Hours have one digit or two and the fraction is decimal, so `,01` is ten milliseconds; over 200 s is too long."""
    clip = found(lay(tmp_path, tables(test=table({"EndTime": end}))))["test_dia0_utt0"]
    assert ("too_long" in clip.flags) == long


@pytest.mark.parametrize(
    ("end", "end_s", "duration_s"),
    [
        ("0:00:01,000", 1, None),
        ("0:00:00,999", 0.999, None),
        ("0:00:01,0001", 1.0001, None),
        ("0:00:01,006", 1.006, 0.006),
    ],
)
def test_a_clip_of_no_length(tmp_path, end, end_s, duration_s):
    """Where the table's times leave nothing between them the length is unknown; the times stay as they are."""
    clip = found(lay(tmp_path, tables(dev=table({"EndTime": end}))))["dev_dia0_utt0"]
    assert clip.duration_s == duration_s
    assert (clip.native["cut_start_s"], clip.native["cut_end_s"]) == (1, end_s)


@given(
    st.integers(0, 99),
    st.integers(0, 59),
    st.integers(0, 59),
    st.text("0123456789", min_size=1, max_size=3),
    st.sampled_from(["d", "02d"]),
    st.sampled_from(",."),
)
def test_any_time(tmp_path_factory, hours, minutes, seconds, fraction, pad, mark):
    """A time is its hours, minutes and seconds, and its fraction is decimal, whatever the digits."""
    start = f"{hours:{pad}}:{minutes:02}:{seconds:02}{mark}{fraction}"
    row = {"StartTime": start, "EndTime": "100:00:00,0"}
    clip = found(lay(tmp_path_factory.mktemp("time"), tables(dev=table(row))))["dev_dia0_utt0"]
    want_s = Fraction(hours * 3600 + minutes * 60 + seconds) + Fraction(int(fraction), 10 ** len(fraction))
    assert clip.native["cut_start_s"] == pytest.approx(float(want_s), abs=1e-9)
    assert clip.duration_s == round(float(360_000 - want_s), 3)


def dyadic(**split_rows):
    """Return three tables of two-party dialogues at the root, each of one row where not given."""
    usual = [{"Old_Dialogue_ID": 0, "Old_Utterance_ID": 0}]
    return {f"{split}_sent_emo_dya.csv": table(*split_rows.get(split, usual), columns=DYADIC) for split in SPLITS}


def test_dyadic_tables(tmp_path):
    """Of two-party dialogues the old numbers say which film is theirs, and two utterances may share one."""
    columns = ("Dialogue_ID", "Utterance_ID", "Old_Dialogue_ID", "Old_Utterance_ID")
    numbers = [(0, 0, 7, 2), (0, 1, 7, 4), (1, 0, 7, 4), (2, 0, 125, 3), (125, 3, 8, 0)]
    rows = [dict(zip(columns, row, strict=True)) for row in numbers]
    media = ["train_splits/dia7_utt2.mp4", "train_splits/dia7_utt4.mp4", "train_splits/dia0_utt0.mp4"]
    lay(tmp_path, dyadic(train=rows) | tables() | dict.fromkeys(media, MP4))
    read = scan("meld", tmp_path, {"tables": "dyadic"})
    clips = {clip.id: clip for clip in read.manifest.clips}
    assert {name: clip.video and clip.video.path for name, clip in clips.items()} == {
        "train_dia0_utt0": "train_splits/dia7_utt2.mp4",
        "train_dia0_utt1": "train_splits/dia7_utt4.mp4",
        "train_dia1_utt0": "train_splits/dia7_utt4.mp4",
        "train_dia2_utt0": None,
        "train_dia125_utt3": None,
        "dev_dia0_utt0": None,
        "test_dia0_utt0": None,
    }
    assert (clips["train_dia1_utt0"].dialogue_id, clips["train_dia1_utt0"].utt_index) == ("train_dia1", 0)
    assert [name for name, clip in clips.items() if "known_bad" in clip.flags] == ["train_dia2_utt0"]
    assert read.tree.left_out == {"train_splits/dia0_utt0.mp4": "no table names it"}
    assert read.manifest.options == {"tables": "dyadic"}
    assert found(tmp_path)["train_dia0_utt0"].video == Video("train_splits/dia0_utt0.mp4")


def test_dyadic_tables_need_no_clean_text(tmp_path):
    """Bytes that are not UTF-8 are cp1252 there, too."""
    files = dyadic(dev=[{"Utterance": "HERE", "Old_Dialogue_ID": 0, "Old_Utterance_ID": 0}])
    files["dev_sent_emo_dya.csv"] = files["dev_sent_emo_dya.csv"].replace(b"HERE", b"It\x92s \xe9t\xc3\xa9")
    clips = {clip.id: clip for clip in scan("meld", lay(tmp_path, files), {"tables": "dyadic"}).manifest.clips}
    assert clips["dev_dia0_utt0"].text == "It’s été"


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (tables(), r"no train_sent_emo_dya\.csv under .*\nROOT/"),
        (dyadic() | {"dev_sent_emo_dya.csv": table({})}, r"dev_sent_emo_dya\.csv: expected columns .*; missing: Old_"),
        (
            dyadic(test=[{"Old_Dialogue_ID": 0, "Old_Utterance_ID": "1.5"}]),
            r"test_sent_emo_dya\.csv, row 1, column 'Old_Utterance_ID': expected a whole number from 0, got '1\.5'",
        ),
    ],
    ids=["only the others", "no old numbers", "a bad old number"],
)
def test_bad_dyadic_tables(tmp_path, files, complaint):
    """Tables that are not of two-party dialogues are refused by name."""
    with pytest.raises(ManifestError, match=complaint):
        scan("meld", lay(tmp_path, files), {"tables": "dyadic"})


def test_known_bad_clips_are_kept_and_flagged(tmp_path):
    """A clip that is known to be broken stays in its split with a flag, a whole dialogue too."""
    rows = [{"Dialogue_ID": str(d), "Utterance_ID": str(u)} for d, u in ((125, 3), (125, 4), (241, 0), (241, 1))]
    clips = found(lay(tmp_path, tables(train=table(*rows), dev=table(rows[0]))))
    bad = {name for name, clip in clips.items() if "known_bad" in clip.flags}
    assert bad == {"train_dia125_utt3", "train_dia241_utt0", "train_dia241_utt1"}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"Emotion": "boredom"}, "column 'Emotion': expected one of neutral, .*, got 'boredom'"),
        ({"Sentiment": ""}, "column 'Sentiment': expected one of negative, .*, got ''"),
        ({"Dialogue_ID": "1.0"}, "column 'Dialogue_ID': expected a whole number from 0, got '1.0'"),
        ({"Utterance_ID": "-1"}, "column 'Utterance_ID': expected a whole number from 0, got '-1'"),
        ({"Utterance_ID": "٣"}, "column 'Utterance_ID'"),
        ({"StartTime": "1.5"}, "column 'StartTime': expected a time like 00:16:21,731, got '1.5'"),
        ({"EndTime": ""}, "column 'EndTime'"),
        ({"EndTime": f"{'9' * 400}:00:00,0"}, "column 'EndTime': expected a time like 00:16:21,731"),
        ({}, "column 'Utterance_ID': dev_dia0_utt0 already stands in row 1"),
    ],
)
def test_bad_row(tmp_path, row, complaint):
    """A row that cannot be right is refused with its file, row and column."""
    lay(tmp_path, tables(dev=table({}, row)))
    with pytest.raises(ManifestError, match=rf"dev_sent_emo\.csv, row 2, {complaint}"):
        build("meld", tmp_path)


def test_missing_column(tmp_path):
    """A table without a needed column is refused with what is needed and what is missing."""
    lay(tmp_path, tables(train=table({}, columns=[name for name in COLUMNS if name != "Emotion"])))
    with pytest.raises(ManifestError, match=r"train_sent_emo\.csv: expected columns .*; missing: Emotion"):
        build("meld", tmp_path)


@pytest.mark.parametrize("cut", [4, 30, 45])
def test_truncated_table(tmp_path, cut):
    """A table that ends within a row is refused, not read as a smaller one."""
    content = table({}, {"Utterance_ID": "1", "Utterance": "Well, well."})
    lay(tmp_path, tables(train=content[:-cut]))
    with pytest.raises(ManifestError, match=r"train_sent_emo\.csv, (row 2, column|line \d+: .*is the file complete)"):
        build("meld", tmp_path)


def test_missing_table_prints_the_tree(tmp_path):
    """Where a table is not there, or only its LFS pointer, the expected tree is shown."""
    lay(tmp_path, {**tables(dev=LFS), "train_splits/dia0_utt0.mp4": MP4})
    with pytest.raises(ManifestError, match=r"no dev_sent_emo\.csv under .*\nROOT/"):
        build("meld", tmp_path)


def test_command_line_counts_what_it_found(tmp_path, monkeypatch, capsys):
    """`python -m manifests meld` writes the manifest, counts what is in it, and names what is not."""
    monkeypatch.setenv("MANIFESTS_ROOT", str(tmp_path / "shelf"))
    strays = [f"test/dia9_utt{number}.mp4" for number in range(12)]
    rows = [{}, {"Utterance_ID": "1", "Emotion": "fear", "Sentiment": "negative", "Speaker": "Ross"}]
    lay(tmp_path / "root", tables(train=table(*rows)) | dict.fromkeys(["train/dia0_utt0.mp4", *strays], MP4))
    assert __main__.main(["meld", "--root", str(tmp_path / "root")]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert f"{tmp_path}/shelf/meld.jsonl: 4 clips of meld in {tmp_path}/root" in out
    head = lines.index("split clips hours dialogues speakers sound picture text".split())
    assert lines[head + 1] == "train 2 0.00 1 2 1 1 2".split()
    assert "all 4 0.00 3 2 1 1 4".split() in lines
    assert "train 0 1 0 0 0 0 1 0".split() in lines
    assert "train 1 0 1 0".split() in lines
    assert "Joey ? 3 0.00".split() in lines
    assert "missing_video 1 1 1 3".split() in lines
    assert "\nleft out: 12\n12 x no table names it:\n" in out
    assert all(stray in out.split() for stray in strays)
    assert "may be shared: transcript, labels; stays in the lab: raw, features" in out
    assert len(read("meld").clips) == 4


@pytest.fixture(scope="module")
def real():
    """Read the real tables once."""
    if not (REAL / "train_sent_emo.csv").is_file():
        pytest.skip(f"the real MELD tables are not at {REAL}")
    return build("meld", REAL).clips


def test_real_rows_and_dialogues(real):
    """The real splits have as many utterances, dialogues and speakers as were counted, and train has no dialogue 60."""
    assert Counter(clip.split for clip in real) == {"train": 9989, "dev": 1109, "test": 2610}
    dialogues = {clip.dialogue_id for clip in real}
    assert Counter(name.split("_")[0] for name in dialogues) == {"train": 1038, "dev": 114, "test": 280}
    assert "train_dia60" not in dialogues
    speakers = {(clip.split, clip.speaker_id) for clip in real}
    assert Counter(split for split, _ in speakers) == {"train": 260, "dev": 47, "test": 100}


@pytest.mark.parametrize(
    ("task", "word", "counts"),
    [
        ("emotion", "anger", (1109, 153, 345)),
        ("emotion", "disgust", (271, 22, 68)),
        ("emotion", "fear", (268, 40, 50)),
        ("emotion", "joy", (1743, 163, 402)),
        ("emotion", "neutral", (4710, 470, 1256)),
        ("emotion", "sadness", (683, 111, 208)),
        ("emotion", "surprise", (1205, 150, 281)),
        ("sentiment", "negative", (2945, 406, 833)),
        ("sentiment", "neutral", (4710, 470, 1256)),
        ("sentiment", "positive", (2334, 233, 521)),
    ],
)
def test_real_classes(real, task, word, counts):
    """Every class has as many clips as was counted from the published tables, natively and converted."""
    house = {"joy": "happy", "sadness": "sad"}.get(word, word)
    native = Counter(clip.split for clip in real if clip.native[task] == word)
    assert tuple(native[split] for split in SPLITS) == counts
    assert {clip.labels[task] for clip in real if clip.native[task] == word} == {one_hot(task, house)}


def test_real_counts_are_as_expected(real):
    """What the doctor compares with is what the real tables hold."""
    for words, count in meld.EXPECTED.items():
        assert expected.count(real, words) == count, words


def test_real_durations(real):
    """The real tables' times add up to as many hours as were counted, and leave one clip without a length."""
    hours = {split: sum(clip.duration_s or 0 for clip in real if clip.split == split) / 3600 for split in SPLITS}
    assert {split: round(sum_h, 3) for split, sum_h in hours.items()} == {"train": 8.706, "dev": 0.96, "test": 2.399}
    assert [clip.id for clip in real if clip.duration_s is None] == ["test_dia155_utt3"]


def test_real_cuts_in_two_splits(real):
    """Exactly five real clips of train are the same seconds of the same episode as one of dev or test."""
    cuts = {}
    for clip in real:
        span = tuple(clip.native[name] for name in ("cut_from", "cut_start_s", "cut_end_s"))
        cuts.setdefault(span, {}).setdefault(clip.split, clip.id)
    assert {tuple(split.values()) for split in cuts.values() if len(split) > 1} == {
        ("train_dia12_utt7", "test_dia85_utt0"),
        ("train_dia12_utt8", "test_dia85_utt1"),
        ("train_dia887_utt0", "test_dia117_utt8"),
        ("train_dia433_utt1", "dev_dia77_utt0"),
        ("train_dia53_utt0", "dev_dia52_utt2"),
    }


def test_real_text_is_repaired(real):
    """No real utterance or speaker holds a C1 control character or a no-break space, and real quotes are there."""
    text = "".join(f"{clip.text}{clip.speaker_id}" for clip in real)
    assert not any("\x80" <= character <= "\xa0" for character in text)
    assert text.count("’") > 4000
    assert all(clip.text for clip in real)


def test_real_flags(real):
    """Exactly two real test clips are too long, and every known bad item is in the tables and flagged."""
    assert [clip.id for clip in real if "too_long" in clip.flags] == ["test_dia38_utt4", "test_dia220_utt0"]
    bad = [clip for clip in real if "known_bad" in clip.flags]
    assert {clip.id for clip in bad} | {clip.dialogue_id for clip in bad} >= meld.KNOWN_BAD.keys()
    assert len(bad) == 32
    assert all({"missing_video", "missing_audio"} <= set(clip.flags) and clip.text for clip in real)


def test_real_tables_round_trip(real, tmp_path, monkeypatch):
    """The real manifest reads back exactly, with whole numbers where the table has them."""
    monkeypatch.setenv("MANIFESTS_ROOT", str(tmp_path))
    assert __main__.main(["meld", "--root", str(REAL)]) == 0
    assert read("meld").clips == real
    row = json.loads((tmp_path / "meld.jsonl").read_text("utf-8").split("\n")[1])
    assert (row["id"], row["utt_index"]) == ("train_dia0_utt0", 0)
