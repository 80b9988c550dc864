"""MMSA's dictionaries: files as its authors and MMSA-FET write them come in, and its loader reads what goes out."""

import contextlib
import pickle

import arrow_kit as kit
import junk_kit
import numpy as np
import pytest

from features import CacheError, Reader, Windows, Writer, find, folder_of, mmsa, unpickle
from features.exchange import Chosen
from features.imported import Import, store
from features.key import Key

LENGTHS = {"audio": [3, 1, 5], "vision": [2, 4, 1], "tokens": [4, 5, 3]}
WIDTHS = {"text": 6, "audio": 2, "vision": 3}
L = 5
RNG = np.random.default_rng(0)


def padded(lengths, width, *, at_start=False, dtype=np.float32):
    """Return sequences that are padded with zeros, as (n, L, width)."""
    block = np.zeros((len(lengths), L, width), dtype)
    for row, length in enumerate(lengths):
        block[row, L - length if at_start else 0 :][:length] = RNG.normal(size=(length, width)) + 3
    return block


def split(name="a", *, at_start=False, clips=3):
    """Return one split as the README has it: arrays, lists of texts, and lengths."""
    lengths = {key: each[:clips] for key, each in LENGTHS.items()}
    mask = (np.arange(L) < np.array(lengths["tokens"]).reshape(-1, 1)).astype(np.int64)
    return {
        "raw_text": [f"text {row}, of {name}" for row in range(clips)],
        "audio": padded(lengths["audio"], WIDTHS["audio"], at_start=at_start),
        "vision": padded(lengths["vision"], WIDTHS["vision"], at_start=at_start),
        "id": [f"_video-{name}$_${row}" for row in range(clips)],
        "text": RNG.normal(size=(clips, L, WIDTHS["text"])).astype(np.float32),
        "text_bert": np.stack([mask * RNG.integers(1000, 2000, mask.shape), mask, mask * 0], axis=1).astype(np.float64),
        "audio_lengths": lengths["audio"],
        "vision_lengths": lengths["vision"],
        "annotations": ["Negative", "Neutral", "Positive"][:clips],
        "classification_labels": np.arange(clips),
        "regression_labels": np.array([-0.8, 0, 2.2][:clips], np.float32),
    }


def whole(**options):
    """Return a file of three splits."""
    return {name: split(name, **options) for name in ("train", "valid", "test")}


def aligned():
    """Return a file without lengths, whose sounds and pictures are aligned with the words."""
    data = whole()
    for each in data.values():
        each.pop("audio_lengths")
        each.pop("vision_lengths")
        for name in ("audio", "vision"):
            each[name] = padded(LENGTHS["tokens"], WIDTHS[name])
    return data


def by_mmsa_fet(*, at_start=False):
    """Return what MMSA-FET saves: texts as arrays, float64, lists of words as objects, its settings, no classes."""
    data = aligned()
    for each in data.values():
        words = np.empty(3, object)
        words[:] = [[{"word": "a", "start": 0.1, "end": 0.2}] * row for row in range(3)]
        each |= {name: np.array(each[name]) for name in ("raw_text", "id", "annotations")}
        each |= {name: each[name].astype(np.float64) for name in ("audio", "vision", "text", "regression_labels")}
        each |= {"align": words, "regression_labels_T": np.array([0.5, 1, np.nan])}
        each.pop("classification_labels")
        if at_start:
            each |= {"audio": padded(LENGTHS["audio"], 2, at_start=True), "audio_lengths": np.array(LENGTHS["audio"])}
    return data | {
        "config": {"audio": {"tool": "librosa", "sample_rate": None}, "text": {"model": "bert"}, "align": {}}
    }


@pytest.fixture
def save(tmp_path):
    """Return a function that saves a dictionary as its owners do."""

    def write(data, protocol=4):
        path = tmp_path / "unaligned_50.pkl"
        path.write_bytes(pickle.dumps(data, protocol))
        return path

    return write


def values(pieces):
    """Return the arrays that came in by feature and clip."""
    return {(piece.feature, piece.clip): piece.windows.values for piece in pieces}


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("at_start", [False, True])
def test_real_steps_come_in_by_their_lengths(save, at_start, protocol):
    """Padding stays behind, on whichever side it stands, and every real step comes in to the bit."""
    data = whole(at_start=at_start)
    found = values(mmsa.read(save(data, protocol)))
    assert len(found) == 3 * 3 * 4
    for name, each in data.items():
        for feature in ("audio", "vision"):
            for row, length in enumerate(LENGTHS[feature]):
                steps = each[feature][row]
                got = found[feature, f"_video-{name}_{row}"]
                assert got.dtype == np.float32
                assert got.tobytes() == (steps[L - length :] if at_start else steps[:length]).tobytes()


def test_words_are_as_many_as_the_mask_says(save):
    """Vectors of words end where the mask of their tokens does, and tokens come as steps of three whole numbers."""
    data = whole()
    found = values(mmsa.read(save(data)))
    for row, length in enumerate(LENGTHS["tokens"]):
        clip = f"_video-train_{row}"
        assert found["text", clip].tobytes() == data["train"]["text"][row][:length].tobytes()
        assert found["text_bert", clip].tolist() == data["train"]["text_bert"][row].T[:length].tolist()
        assert found["text_bert", clip].dtype == np.int32


def test_aligned_features_follow_the_mask(save):
    """Where a file has no lengths, steps that are aligned with words are as many as those."""
    data = aligned()
    found = values(mmsa.read(save(data)))
    for row, length in enumerate(LENGTHS["tokens"]):
        assert found["vision", f"_video-test_{row}"].tobytes() == data["test"]["vision"][row][:length].tobytes()


def test_a_mask_is_no_guide_where_it_would_lose_steps(save):
    """A mask that leaves out what is no zero does not fit that feature, all of whose steps come in."""
    data = aligned()
    data["train"]["audio"][0, -1] = 7
    found = values(mmsa.read(save(data)))
    assert [len(found["audio", f"_video-train_{row}"]) for row in range(3)] == [L] * 3
    assert [len(found["vision", f"_video-train_{row}"]) for row in range(3)] == LENGTHS["tokens"]


def test_without_lengths_and_mask_all_steps_are_real(save):
    """Nothing is guessed from zeros alone."""
    data = aligned()
    for each in data.values():
        each.pop("text_bert")
    assert {len(each) for each in values(mmsa.read(save(data))).values()} == {L}


@pytest.mark.parametrize("at_start", [False, True])
def test_what_mmsa_fet_writes_comes_in(save, at_start):
    """Its arrays of texts, its lists of words and its settings are read, and padding at the start, too."""
    data = by_mmsa_fet(at_start=at_start)
    source = save(data, 5)
    found = values(mmsa.read(source))
    lengths = LENGTHS["audio"] if at_start else LENGTHS["tokens"]
    assert [len(found["audio", f"_video-valid_{row}"]) for row in range(3)] == lengths
    assert found["audio", "_video-valid_0"].any(axis=1).all()
    assert mmsa.said(source) == {
        "clips": "3 train, 3 valid, 3 test",
        "config": "audio.tool=librosa, audio.sample_rate=None, text.model=bert, align=0 in a dict",
    }
    rows = [*mmsa.labels(source)]
    assert rows[0]["text"] == "text 0, of train"
    assert [row["regression_labels_T"] for row in rows[:3]] == ["0.5", "1.0", ""]


def test_lists_of_sequences_come_in(save):
    """The README shows lists; a feature may be one array for each clip, of any lengths."""
    data = whole()
    data["train"]["audio"] = [np.ones((length, 2), np.float32) for length in LENGTHS["audio"]]
    data["train"]["vision"] = []
    found = values(mmsa.read(save(data)))
    assert [len(found["audio", f"_video-train_{row}"]) for row in range(3)] == LENGTHS["audio"]
    assert ("vision", "_video-train_0") not in found
    assert ("vision", "_video-test_0") in found


def test_a_clip_of_length_0_has_no_such_feature(save):
    """Where nothing was found, nothing comes in."""
    data = whole()
    data["train"]["audio_lengths"] = [0, *LENGTHS["audio"][1:]]
    data["train"]["audio"][0] = 0
    found = values(mmsa.read(save(data)))
    assert ("audio", "_video-train_0") not in found
    assert ("vision", "_video-train_0") in found


@pytest.mark.parametrize(("ids", "name"), [("house", "_video-valid_1"), ("file", "_video-valid$_$1")])
def test_labels_are_a_table(save, ids, name):
    """Splits, scores, words and the place in the video are told as our tables have them."""
    rows = [*mmsa.labels(save(whole()), ids=ids)]
    assert [row["split"] for row in rows] == ["train"] * 3 + ["dev"] * 3 + ["test"] * 3
    assert rows[3]["sentiment_score"] == "-0.8"
    assert rows[4] == {
        "id": name,
        "split": "dev",
        "dialogue": "_video-valid",
        "turn": "1",
        "text": "text 1, of valid",
        "sentiment_score": "0.0",
        "annotation": "Neutral",
        "sentiment": "neutral",
    }


def test_what_came_in_is_an_entry(save, roots):
    """Features become entries under names that one asks for, and are there for whoever reads the cache."""
    source = save(whole())
    store(Import("mosi", "mmsa", source, {"vision": "facet", "text_bert": "tokens"}), mmsa.read(source))
    with Reader(find("mosi", "facet")) as facet, Reader(find("mosi", "tokens", dtype="int32")) as tokens:
        assert len(facet) == len(tokens) == 9
        assert len(facet["_video-train_1"].values) == LENGTHS["vision"][1]
        assert facet.key.settings["origin"] == "imported"
        assert tokens["_video-test_2"].values.shape == (LENGTHS["tokens"][2], 3)
    assert not (roots / "features" / "mosi" / "audio").exists()


def chosen(source, *, ids="house", rows=None):
    """Import a file, and choose all of it for an export."""
    job = Import("mosi", "mmsa", source, options={"ids": ids})
    readers = {mmsa_name(folder): Reader(folder) for folder in store(job, mmsa.read(source, ids=ids))}
    table = {row["id"]: row for row in mmsa.labels(source, ids=ids)} if rows is None else rows
    return Chosen("mosi", readers, [*table], table)


def mmsa_name(folder):
    """Return the feature that an entry was made of."""
    return folder.name.rpartition("-")[0]


@pytest.mark.parametrize("ids", ["house", "file"])
def test_what_goes_out_comes_back(save, roots, ids):
    """Import, export and import again give the same steps, labels and names, to the bit."""
    source, target = save(whole()), roots / "ours.pkl"
    asked = chosen(source, ids=ids)
    mmsa.write(target, asked, ids=ids)
    first, again = values(mmsa.read(source, ids=ids)), values(mmsa.read(target, ids=ids))
    assert first.keys() == again.keys()
    assert all(first[place].tobytes() == again[place].tobytes() for place in first)
    assert all(first[place].dtype == again[place].dtype for place in first)
    assert [*mmsa.labels(target, ids=ids)] == [*mmsa.labels(source, ids=ids)]


def as_their_loader(path, mode):
    """Read a split as MMSA's loader does: what it casts, which axes it asks for, and what it takes of every clip."""
    data = pickle.loads(path.read_bytes())[mode]  # noqa: S301 - written by the test itself
    arrays = {name: data[name].astype(np.float32) for name in ("text", "text_bert", "audio", "vision")}
    assert {name: each.ndim for name, each in arrays.items()} == dict.fromkeys(arrays, 3)
    assert arrays["text_bert"].shape[1] == 3
    labels = np.array(data["regression_labels"]).astype(np.float32)
    lengths = {name: [data[f"{name}_lengths"][row] for row in range(len(labels))] for name in ("audio", "vision")}
    return arrays, labels, lengths, list(zip(data["raw_text"], data["id"], strict=True))


def test_their_loader_reads_what_goes_out(save, roots):
    """Every split has arrays of one length, lengths, texts, names and labels, as their documented layout has them."""
    data, target = whole(), roots / "ours.pkl"
    mmsa.write(target, chosen(save(data)))
    for mode, told in data.items():
        arrays, labels, lengths, names = as_their_loader(target, mode)
        assert names == list(zip(told["raw_text"], told["id"], strict=True))
        assert labels.tolist() == told["regression_labels"].tolist()
        assert lengths == {"audio": LENGTHS["audio"], "vision": LENGTHS["vision"]}
        assert arrays["audio"].tobytes() == told["audio"].tobytes()
        assert arrays["vision"].tobytes() == told["vision"][:, : max(LENGTHS["vision"])].tobytes()
        assert arrays["text_bert"].tolist() == told["text_bert"].tolist()
    ours = pickle.loads(target.read_bytes())  # noqa: S301 - written by the test itself
    assert list(ours) == ["train", "valid", "test"]
    assert ours["train"]["annotations"] == ["Negative", "Neutral", "Positive"]
    assert ours["train"]["classification_labels"].tolist() == [0, 1, 2]


def test_sequences_are_cut_and_padded_to_a_length(save, roots):
    """A length that one asks for is that of every feature, and lengths say what is left."""
    asked, target = chosen(save(whole())), roots / "ours.pkl"
    mmsa.write(target, asked, length="2")
    arrays, _, lengths, _ = as_their_loader(target, "train")
    assert {name: each.shape for name, each in arrays.items()} == {
        **{name: (3, 2, width) for name, width in WIDTHS.items()},
        "text_bert": (3, 3, 2),
    }
    assert lengths == {"audio": [2, 1, 2], "vision": [2, 2, 1]}


def test_a_clip_without_a_feature_has_one_step_of_zeros(roots):
    """Their models can do without a clip, and not without a step of it."""
    rows = kit.ROWS
    asked = Chosen("toys", kit.readers("audio") | {"vision": flat_vision()}, kit.CLIPS, rows)
    mmsa.write(roots / "ours.pkl", asked)
    data = unpickle.load(roots / "ours.pkl")
    place = data["test"]["id"].index("clip2")
    assert data["test"]["vision_lengths"][place] == 1
    assert not data["test"]["vision"][place].any()
    assert data["test"]["audio_lengths"][place] > 1


def flat_vision():
    """Write an entry that leaves out one clip."""
    key = Key("vision", 2, "clip", "float32")
    with Writer(folder_of("toys", key), key, {}, "MIT") as writer:
        for clip in kit.CLIPS:
            if clip != "clip2":
                writer.add(clip, clip, Windows.join([np.ones((2, 4), np.float32)], [(0, 1)], [2]))
    return Reader(writer.folder)


def test_emotions_are_classes_where_nobody_rated_sentiment(save, roots):
    """Of a corpus of emotions, classes are those of the house, and no score is made up."""
    source = save(whole())
    rows = {row["id"]: {"id": row["id"], "split": row["split"], "emotion": "fear"} for row in mmsa.labels(source)}
    mmsa.write(roots / "ours.pkl", chosen(source, rows=rows))
    data = unpickle.load(roots / "ours.pkl")
    assert data["train"]["classification_labels"].tolist() == [6, 6, 6]
    assert "regression_labels" not in data["train"]
    assert {row["emotion"] for row in mmsa.labels(roots / "ours.pkl")} == {"fear"}


def without(*names, **others):
    """Return a file whose first split lacks some columns, or has others."""
    data = whole()
    data["train"] = {name: each for name, each in data["train"].items() if name not in names} | others
    return data


HOSTILE = {
    "a list": [1, 2],
    "no splits": {"dev": {}, "config": {}},
    "a split that is none": {"train": [1]},
    "no names": without("id"),
    "a name that is none": without(id=["a", 1, "c"]),
    "names as numbers": without(id=np.arange(3)),
    "fewer names": without(id=["a", "b"]),
    "fewer lengths": without(audio_lengths=[1, 2]),
    "a length beyond the end": without(audio_lengths=[1, 2, L + 1]),
    "a length below zero": without(audio_lengths=[1, 2, -1]),
    "a length of a half": without(audio_lengths=[1.5, 2, 3]),
    "a length without an end": without(audio_lengths=[float("inf"), 2, 3]),
    "a length that is a list": without(audio_lengths=[[1], 2, 3]),
    "lengths that are one": without(audio_lengths=3),
    "lengths that fit nothing": without(audio_lengths=[1, 1, 1], audio=np.ones((3, L, 2), np.float32)),
    "a feature without steps": without(vision=np.ones((3, 4), np.float32)),
    "a feature with more axes": without(vision=np.ones((3, L, 4, 2), np.float32)),
    "a feature of texts": without(vision=np.full((3, L, 4), "a")),
    "a feature of lists": without(vision=[[[1.0, 2.0]]] * 3),
    "a feature that is a text": without(vision="abc"),
    "a feature that is a number": without(vision=3),
    "an array without axes": without(vision=np.array(1.0)),
    "tokens of two rows": without(text_bert=np.ones((3, 2, L))),
    "tokens of a half": without(text_bert=np.full((3, 3, L), 0.5)),
    "tokens without an end": without(text_bert=np.full((3, 3, L), np.nan)),
    "tokens that are too large": without(text_bert=np.full((3, 3, L), 2.0**40)),
    "a mask of twos": without(text_bert=np.full((3, 3, L), 2)),
    "an object": without(vision=[Reader, Reader, Reader]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_files_that_are_not_as_documented_are_refused(save, what):
    """Whatever stands in the place of a column, the file is named, and what was expected there."""
    with pytest.raises(CacheError, match=r"unaligned_50\.pkl.*expected"):
        [*mmsa.read(save(HOSTILE[what]))]


@pytest.mark.parametrize("make", [whole, aligned, by_mmsa_fet])
def test_anything_in_any_place_is_read_or_refused(save, make):
    """No value of another kind raises anything but the one error that a caller expects."""
    for value in junk_kit.spoiled(make(), 150):
        source = save(value)
        for function in (mmsa.read, mmsa.labels, mmsa.said):
            with contextlib.suppress(CacheError):
                [*function(source)]


@pytest.mark.parametrize("what", ["no names", "fewer names", "no splits"])
def test_labels_of_such_files_are_refused_too(save, what):
    """Labels are looked at as features are."""
    with pytest.raises(CacheError, match="expected"):
        [*mmsa.labels(save(HOSTILE[what]))]


@pytest.mark.parametrize("column", ["raw_text", "regression_labels", "annotations", "regression_labels_A"])
def test_a_column_of_labels_that_is_too_short_is_refused(save, column):
    """A label belongs to each clip, or to none."""
    with pytest.raises(CacheError, match=f"train, {column}: expected 3 values"):
        [*mmsa.labels(save(without(**{column: [1, 2]})))]


def test_settings_that_would_never_end_are_told_in_few_words(save):
    """A nest of settings that refer to each other is cut off."""
    config = {"end": 1}
    for i in range(60):
        config = {f"a{i}": config, f"b{i}": config}
    said = mmsa.said(save({**whole(), "config": config}))["config"]
    assert len(said) < 10_000


@pytest.mark.parametrize("padding", ["end", "start", "none"])
def test_one_may_say_where_padding_stands(save, padding):
    """Lengths that no zeros confirm are believed when one says so, or not at all."""
    source = save(HOSTILE["lengths that fit nothing"])
    found = values(mmsa.read(source, padding=padding))
    assert len(found["audio", "_video-train_0"]) == (L if padding == "none" else 1)


@pytest.mark.parametrize(
    ("options", "words"), [({"ids": "ours"}, "one of house, file"), ({"padding": "left"}, "one of auto, end")]
)
def test_options_that_there_are_none_of_are_refused(save, options, words):
    """A slip of an option is told with what there is."""
    for function in (mmsa.read, mmsa.labels, mmsa.said):
        with pytest.raises(CacheError, match=words):
            [*function(save(whole()), **options)]


ROW = {"split": "train", "sentiment_score": "1"}


@pytest.mark.parametrize(
    ("features", "row", "options", "words"),
    [
        (("audio",), {"split": "train"}, {}, "needs sentiment_score of every clip"),
        (("audio",), {"sentiment_score": "1"}, {}, "needs split"),
        (("audio",), ROW | {"split": "session1"}, {}, "splits train, dev and test, got session1"),
        (("audio",), ROW | {"sentiment_score": "good"}, {}, "'sentiment_score': expected numbers"),
        (("audio",), {"split": "train", "emotion": "boredom"}, {}, "expected one of neutral.*got 'boredom'"),
        (("vision",), ROW, {}, "steps .t, width., got .*export another entry"),
        (("words",), ROW, {}, "export another entry"),
        (("audio",), ROW, {"ids": "ours"}, "one of house, file"),
        (("audio",), ROW, {"length": "-1"}, "a number of steps"),
        (("audio",), ROW, {"length": "many"}, "a number of steps"),
    ],
)
def test_what_cannot_go_out_is_refused(roots, features, row, options, words):
    """Labels, splits and shapes that MMSA has no place for are told, and nothing is left behind."""
    asked = Chosen("toys", kit.readers(*features), kit.CLIPS, dict.fromkeys(kit.CLIPS, row))
    with pytest.raises(CacheError, match=words):
        mmsa.write(roots / "ours.pkl", asked, **options)
    assert [path.name for path in roots.iterdir()] == ["features"]


def test_names_of_labels_are_no_features(roots):
    """A feature cannot take the place of a column of labels."""
    asked = Chosen("toys", {"raw_text": kit.readers("audio")["audio"]}, kit.CLIPS, dict.fromkeys(kit.CLIPS, ROW))
    with pytest.raises(CacheError, match="no feature can be called raw_text"):
        mmsa.write(roots / "ours.pkl", asked)


def test_tokens_have_three_numbers(roots):
    """What is called text_bert must be what their models take for it."""
    asked = Chosen("toys", {"text_bert": kit.readers("audio")["audio"]}, kit.CLIPS, dict.fromkeys(kit.CLIPS, ROW))
    with pytest.raises(CacheError, match="steps of three numbers"):
        mmsa.write(roots / "ours.pkl", asked)


def test_nothing_is_written_over(roots):
    """A file that is there stays, and is told before anything is read."""
    (roots / "theirs.pkl").write_bytes(b"theirs")
    with pytest.raises(CacheError, match="none is overwritten"):
        mmsa.write(roots / "theirs.pkl", Chosen("toys", {}, []))
    assert (roots / "theirs.pkl").read_bytes() == b"theirs"
