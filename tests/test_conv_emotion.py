"""conv-emotion's pickles: all layouts of its loaders come in, and what goes out is read as those loaders do."""

import contextlib
import pickle

import arrow_kit as kit
import junk_kit
import numpy as np
import pytest

from features import CacheError, Reader, Windows, Writer, conv_emotion, folder_of
from features import conv_emotion_meld as meld
from features.exchange import Chosen
from features.imported import Import, store
from features.key import Key

RNG = np.random.default_rng(0)
IEMOCAP = {"Ses01F_impro01": 3, "Ses05M_script03_2": 2, "Ses02F_impro04": 1}
"""Dialogues, and how many utterances each has."""
MELD = {0: 3, 1: 7, 66: 2, 1039: 1, 1432: 2}
NUMBERS = {0: [0, 1, 2], 1: [0, 1, 2, 3, 4, 5, 8], 66: [1, 2], 1039: [0], 1432: [0, 1]}
"""Utterances as MELD's tables number them."""
SPLITS = {0: "train", 1: "train", 66: "train", 1039: "dev", 1432: "test"}
SIX = ["happy", "sad", "neutral", "anger", "excited", "frustrated"]
SEVEN = ["neutral", "surprise", "fear", "sad", "happy", "disgust", "anger"]


def vectors(dialogues, width):
    """Return a vector for each utterance, as a list of arrays for each dialogue."""
    return {key: [RNG.normal(size=width).astype(np.float32) for _ in range(n)] for key, n in dialogues.items()}


def by_place(dialogues, value):
    """Return what a function says of each place in each dialogue."""
    return {key: [value(key, place) for place in range(n)] for key, n in dialogues.items()}


def iemocap():
    """Return the tuple of IEMOCAP_features.pkl; its lists of dialogues are sets."""
    return (
        by_place(IEMOCAP, lambda key, place: f"{key}_{'FM'[place % 2]}{place:03}"),
        by_place(IEMOCAP, lambda _, place: "FM"[place % 2]),
        by_place(IEMOCAP, lambda _, place: (place * 2 + 1) % 6),
        vectors(IEMOCAP, 4),
        vectors(IEMOCAP, 3),
        vectors(IEMOCAP, 5),
        by_place(IEMOCAP, lambda key, place: f"{key} says {place}"),
        {"Ses01F_impro01", "Ses02F_impro04"},
        {"Ses05M_script03_2"},
    )


def meld_raw(*, visual=False, text_numbers=False):
    """Return the list of MELD_features_raw.pkl, or of raw1, which has visual."""
    numbers = {key: [str(n) for n in each] if text_numbers else each for key, each in NUMBERS.items()}
    return [
        numbers,
        by_place(MELD, lambda _, place: [int(place % 2 == party) for party in range(9)]),
        by_place(MELD, lambda _, place: place % 7),
        vectors(MELD, 4),
        vectors(MELD, 3),
        *([vectors(MELD, 5)] if visual else []),
        by_place(MELD, lambda key, place: f"{key} says {place}"),
        [0, 1, 66, 1039],
        [1432],
        by_place(MELD, lambda _, place: place % 3),
    ]


def cosmic(*, of_meld):
    """Return the list of COSMIC's features of RoBERTa."""
    if of_meld:
        speakers, emotions, sentences, sentiments = (meld_raw()[place] for place in (1, 2, 5, 8))
        ids = ([0, 1, 66], [1432], [1039])
        return [speakers, emotions, sentiments, *(vectors(MELD, 6) for _ in range(4)), sentences, *ids]
    _, speakers, labels, *_, sentences, train, test = iemocap()
    ids = (["Ses01F_impro01"], [*test], [*train - {"Ses01F_impro01"}])
    return [speakers, labels, *(vectors(IEMOCAP, 6) for _ in range(4)), sentences, *ids]


@pytest.fixture
def save(tmp_path):
    """Return a function that saves a value as its owners do."""

    def write(value, name="features.pkl", protocol=2):
        (tmp_path / name).write_bytes(pickle.dumps(value, protocol))
        return tmp_path / name

    return write


def values(pieces):
    """Return the vectors that came in by feature and clip; every clip has one step."""
    found = {(piece.feature, piece.clip): piece.windows.values for piece in pieces}
    assert {len(each) for each in found.values()} <= {1}
    return {place: each[0] for place, each in found.items()}


def named(key, number):
    """Return what an utterance of MELD is called in our manifests."""
    first = {"train": 0, "dev": 1039, "test": 1153}[SPLITS[key]]
    return f"{SPLITS[key]}_dia{key - first}_utt{number}"


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_iemocap_comes_in(save, protocol):
    """Every utterance has its vectors of text, audio and visual under its name, to the bit."""
    told = iemocap()
    found = values(conv_emotion.read(save(told, protocol=protocol)))
    assert len(found) == 3 * 6
    for place, feature in ((3, "text"), (4, "audio"), (5, "visual")):
        for key, names in told[0].items():
            for name, vector in zip(names, told[place][key], strict=True):
                assert found[feature, name].tobytes() == vector.tobytes()


def test_labels_of_iemocap(save):
    """Six emotions in the order of the authors, who speaks as our IEMOCAP names them, and their splits."""
    rows = {row["id"]: row for row in conv_emotion.labels(save(iemocap()))}
    assert rows["Ses01F_impro01_M001"] == {
        "id": "Ses01F_impro01_M001",
        "split": "train",
        "dialogue": "Ses01F_impro01",
        "turn": "1",
        "speaker": "Ses01_M",
        "sex": "m",
        "label.emotion6": "anger",
        "text": "Ses01F_impro01 says 1",
    }
    assert [row["split"] for row in rows.values()] == ["train"] * 3 + ["test"] * 2 + ["train"]
    every = iemocap()
    every[2]["Ses01F_impro01"] = [0, 1, 2]
    every[2]["Ses05M_script03_2"] = [3, 4]
    every[2]["Ses02F_impro04"] = [5]
    assert [row["label.emotion6"] for row in conv_emotion.labels(save(every))] == SIX


@pytest.mark.parametrize("options", [{}, {"visual": True}, {"text_numbers": True}])
def test_meld_comes_in(save, options):
    """Dialogues that are numbered on belong to train, dev and test, and utterances keep the numbers of the tables."""
    told = meld_raw(**options)
    found = values(conv_emotion.read(save(told)))
    assert {feature for feature, _ in found} == {"text", "audio", *(["visual"] if options.get("visual") else [])}
    for key, numbers in NUMBERS.items():
        for number, vector in zip(numbers, told[3][key], strict=True):
            assert found["text", named(key, number)].tobytes() == vector.tobytes()
    assert len(found) == sum(MELD.values()) * (3 if options.get("visual") else 2)


def test_labels_of_meld(save):
    """Seven emotions and three sentiments in the order of the authors; speakers are numbers, as no names are there."""
    rows = [*conv_emotion.labels(save(meld_raw()))]
    assert rows[3] == {
        "id": "train_dia1_utt0",
        "split": "train",
        "dialogue": "train_dia1",
        "turn": "0",
        "speaker": "train_dia1_speaker0",
        "emotion": "neutral",
        "sentiment": "neutral",
        "text": "1 says 0",
    }
    assert [row["emotion"] for row in rows[3:10]] == SEVEN
    assert [row["sentiment"] for row in rows[3:6]] == ["neutral", "positive", "negative"]
    assert rows[9]["turn"] == "8"
    assert [row["split"] for row in rows[12:]] == ["dev", "test", "test"]


def test_cosmic_of_meld_counts_as_the_tables_do(save):
    """Its files have no numbers: utterances that the tables leave out are left out."""
    told = cosmic(of_meld=True)
    found = values(conv_emotion.read(save(told)))
    assert {feature for feature, _ in found} == {f"roberta{i}" for i in range(1, 5)}
    for key, numbers in NUMBERS.items():
        for number, vector in zip(numbers, told[4][key], strict=True):
            assert found["roberta2", named(key, number)].tobytes() == vector.tobytes()
    assert [*conv_emotion.labels(save(told))] == [*conv_emotion.labels(save(meld_raw()))]


def test_meld_numbers_cover_its_splits():
    """The first and the last dialogue of every split are where the next begins, and names lead back to numbers."""
    ends = {"train_dia0": 0, "train_dia1038": 1038, "dev_dia0": 1039, "dev_dia113": 1152, "test_dia0": 1153}
    assert {meld.name_of(number): number for number in ends.values()} == ends
    assert all(meld.number_of(meld.name_of(number)) == number for number in range(meld.END))
    assert [meld.number_of(name) for name in ("train_dia1039", "dev_dia114", "test_dia280", "x_dia1", "")] == [None] * 5


def test_cosmic_of_iemocap_takes_names_from_beside(save):
    """Names that its files do not have are those of the file of features in the same folder, or places in order."""
    source, _ = save(cosmic(of_meld=False)), save(iemocap(), "IEMOCAP_features.pkl")
    with_names = values(conv_emotion.read(source, names="IEMOCAP_features.pkl"))
    without = values(conv_emotion.read(source))
    assert ("roberta1", "Ses01F_impro01_turn1") in without
    assert (
        with_names["roberta1", "Ses01F_impro01_M001"].tobytes() == without["roberta1", "Ses01F_impro01_turn1"].tobytes()
    )
    rows = [*conv_emotion.labels(source, names="IEMOCAP_features.pkl")]
    assert [row["id"] for row in rows] == [row["id"] for row in conv_emotion.labels(save(iemocap(), "other.pkl"))]
    assert [row["split"] for row in rows] == ["train"] * 3 + ["test"] * 2 + ["dev"]


def test_names_of_another_corpus_are_refused(save):
    """Names are only taken where labels are the same, so that no vector gets the name of another."""
    source, other = save(cosmic(of_meld=False)), iemocap()
    other[2]["Ses01F_impro01"] = [5, 5, 5]
    save(other, "IEMOCAP_features.pkl")
    with pytest.raises(CacheError, match=r"labels of 'Ses01F_impro01': expected those of IEMOCAP_features\.pkl"):
        [*conv_emotion.read(source, names="IEMOCAP_features.pkl")]


@pytest.mark.parametrize("name", ["../features.pkl", "/features.pkl", "..", "features.pkl"])
def test_names_stand_in_a_file_of_the_same_folder(save, name):
    """No path leads elsewhere, and a file without names is told."""
    with pytest.raises(CacheError, match=r"expected (the name of a file|a file with names)"):
        [*conv_emotion.read(save(cosmic(of_meld=False)), names=name)]


def test_labels_without_features(save):
    """COSMIC's own first files hold labels alone; they are a table, and no features."""
    speakers, emotions, sentiments, *_, sentences, train, test, dev = cosmic(of_meld=True)
    source = save([speakers, emotions, sentiments, sentences, train, test, dev])
    assert [*conv_emotion.read(source)] == []
    assert [*conv_emotion.labels(source)] == [*conv_emotion.labels(save(meld_raw(), "raw.pkl"))]
    assert conv_emotion.said(source) == {"layout": "cosmic meld labels", "dialogues": "5", "utterances": "15"}


def test_melds_own_files_come_in(save):
    """Vectors by dialogue and utterance of every split are called as the file is."""
    told = [{"0_0": np.arange(3.0), "0_2": np.ones(3)}, {"5_1": np.ones(3)}, {"279_0": np.zeros(3)}]
    source = save(told, "text_glove_average_emotion.pkl")
    found = values(conv_emotion.read(source))
    assert found["text_glove_average_emotion", "train_dia0_utt2"].tolist() == [1, 1, 1]
    assert {clip for _, clip in found} == {"train_dia0_utt0", "train_dia0_utt2", "dev_dia5_utt1", "test_dia279_utt0"}
    assert [*conv_emotion.labels(source)][2] == {
        "id": "dev_dia5_utt1",
        "split": "dev",
        "dialogue": "dev_dia5",
        "turn": "1",
    }


def test_melds_own_dialogues_come_in(save):
    """Vectors of a whole dialogue end before the zeros at its end, and count as the tables do."""
    block = np.zeros((33, 2), np.float32)
    block[:7] = np.arange(1, 15).reshape(7, 2)
    found = values(conv_emotion.read(save([{"1": block, "3": block * 0}, {}, {}], "text_emotion.pkl")))
    assert [clip for _, clip in found] == [f"train_dia1_utt{number}" for number in NUMBERS[1]]
    assert found["text_emotion", "train_dia1_utt8"].tolist() == [13, 14]


def test_lists_of_numbers_are_vectors(save):
    """Where a vector is a list of Python's numbers, it is one of float64, and an array of vectors is read by rows."""
    told = iemocap()
    told[3]["Ses01F_impro01"] = [[1, 2.5, 3, 4]] * 3
    told[4]["Ses01F_impro01"] = np.arange(9.0).reshape(3, 3)
    found = values(conv_emotion.read(save(told)))
    assert found["text", "Ses01F_impro01_F000"].tolist() == [1, 2.5, 3, 4]
    assert found["audio", "Ses01F_impro01_F002"].tolist() == [6, 7, 8]


def test_a_dialogue_without_a_feature_comes_in_without(save):
    """What a file does not hold is not made up."""
    told = iemocap()
    del told[5]["Ses02F_impro04"]
    found = values(conv_emotion.read(save(told)))
    assert len(found) == 3 * 6 - 1


def chosen(source, names=("text", "audio", "visual"), rows=None, how="clip"):
    """Import a file, and choose all of it for an export."""
    folders = store(Import("theirs", "conv_emotion", source), conv_emotion.read(source))
    readers = {folder.name.rpartition("-")[0]: Reader(folder) for folder in folders}
    table = {row["id"]: row for row in conv_emotion.labels(source)} if rows is None else rows
    return Chosen("theirs", {name: readers[name] for name in names}, [*table], table, how)


def as_dialogue_rnn(path, layout, *, train):
    """Read a file as DialogueRNN does, dialogue by dialogue: which fields it unpacks, and what it makes of each."""
    told = pickle.loads(path.read_bytes(), encoding="latin1")  # noqa: S301 - written by the test itself
    if layout == "iemocap":
        ids, speakers, labels, text, audio, visual, sentences, train_ids, test_ids = told
    else:
        ids, speakers, labels, text, audio, *rest = told
        *visual, sentences, train_ids, test_ids, sentiments = rest
        assert sentiments.keys() == labels.keys()
    for key in train_ids if train else test_ids:
        party = [[1, 0] if who == "M" else [0, 1] for who in speakers[key]] if layout == "iemocap" else speakers[key]
        arrays = [np.array(each, np.float32) for each in (text[key], audio[key], party)]
        assert [array.ndim for array in arrays] == [2, 2, 2]
        assert {len(array) for array in (*arrays, sentences[key], ids[key])} == {len(labels[key])}
        yield key, labels[key], arrays, visual


def test_iemocap_goes_out_and_comes_back(save, roots):
    """Import, export and import again give the same vectors, names and labels; the loader finds both splits."""
    source, target = save(iemocap()), roots / "ours.pkl"
    conv_emotion.write(target, chosen(source))
    first, again = values(conv_emotion.read(source)), values(conv_emotion.read(target))
    assert first.keys() == again.keys()
    assert all(first[place].tobytes() == again[place].tobytes() for place in first)
    assert [*conv_emotion.labels(target)] == [*conv_emotion.labels(source)]
    told = iemocap()
    for train, keys in ((True, told[7]), (False, told[8])):
        read = {key: (labels, arrays) for key, labels, arrays, _ in as_dialogue_rnn(target, "iemocap", train=train)}
        assert read.keys() == keys
        for key, (labels, arrays) in read.items():
            assert labels == told[2][key]
            assert arrays[2].tolist() == [[1, 0] if who == "M" else [0, 1] for who in told[1][key]]


@pytest.mark.parametrize("visual", [False, True])
def test_meld_goes_out_and_comes_back(save, roots, visual):
    """Import, export and import again give the same, under MELD's numbers; with visual it is the tuple of raw1."""
    source, target = save(meld_raw(visual=visual)), roots / "ours.pkl"
    conv_emotion.write(target, chosen(source, ("text", "audio", *(["visual"] * visual))), layout="meld")
    first, again = values(conv_emotion.read(source)), values(conv_emotion.read(target))
    assert first.keys() == again.keys()
    assert all(first[place].tobytes() == again[place].tobytes() for place in first)
    assert [*conv_emotion.labels(target)] == [*conv_emotion.labels(source)]
    told = meld_raw()
    read = [*as_dialogue_rnn(target, "meld", train=True), *as_dialogue_rnn(target, "meld", train=False)]
    assert [key for key, *_ in read] == [0, 1, 66, 1039, 1432]
    for key, labels, arrays, pictures in read:
        assert labels == told[2][key]
        assert arrays[2].tolist() == told[1][key]
        assert bool(pictures) == visual


def entry(name, clips, width=2, steps=1, dtype="float32", value=1.0):
    """Write an entry of some clips, and open it."""
    key = Key(name, 1, "clip", dtype)
    with Writer(folder_of("own", key), key, {}, "MIT") as writer:
        for clip in clips:
            writer.add(clip, clip, Windows.join([np.full((steps, width), value, dtype)], [(0, 1)], [steps]))
    return Reader(writer.folder)


def own(*, layout="iemocap", absent=(), **cells):
    """Choose clips of a corpus of one's own: two dialogues, of two and of three turns that stand in no order."""
    rows = {}
    for dialogue, turn in (("b", 1), ("a", 0), ("b", 0), ("a", 1), ("a", 2)):
        clip = f"{dialogue}{turn}"
        row = {"split": "dev" if dialogue == "b" else "test", "dialogue": dialogue, "turn": str(turn)}
        row |= {"speaker": ("Ann", "Bob")[turn % 2], "emotion": "happy", "sentiment": "positive", "text": clip}
        rows[clip] = row | {name: value(clip) if callable(value) else value for name, value in cells.items()}
    names = ("text", "audio", "visual") if layout == "iemocap" else ("text", "audio")
    readers = {name: entry(name, [clip for clip in rows if clip not in absent]) for name in names}
    return Chosen("own", readers, [*rows], rows, "clip")


def test_turns_stand_in_order(roots):
    """Whatever order clips come in, a dialogue has its turns one after another, and dev is among the training."""
    conv_emotion.write(roots / "ours.pkl", own())
    rows = [*conv_emotion.labels(roots / "ours.pkl")]
    assert [(row["id"], row["split"]) for row in rows] == [
        ("b0", "train"),
        ("b1", "train"),
        ("a0", "test"),
        ("a1", "test"),
        ("a2", "test"),
    ]
    assert [row["speaker"] for row in rows] == ["b_M", "b_F", "a_M", "a_F", "a_M"]


def test_a_corpus_of_ones_own_keeps_its_names(roots):
    """In the layout of MELD, too, whose numbers stand for its own utterances alone."""
    conv_emotion.write(roots / "ours.pkl", own(layout="meld"), layout="meld")
    rows = [*conv_emotion.labels(roots / "ours.pkl")]
    assert [row["id"] for row in rows] == ["b0", "b1", "a0", "a1", "a2"]
    assert [row["emotion"] for row in rows] == ["happy"] * 5
    assert {clip for _, clip in values(conv_emotion.read(roots / "ours.pkl"))} == {row["id"] for row in rows}


def test_a_clip_without_a_feature_is_zeros_and_one_without_a_label_is_left_out(roots):
    """Loaders need a vector and a class of every utterance."""
    asked = own(absent=["a1"], emotion=lambda clip: "boredom" if clip == "b1" else "happy")
    conv_emotion.write(roots / "ours.pkl", asked)
    found = values(conv_emotion.read(roots / "ours.pkl"))
    assert found["audio", "a1"].tolist() == [0, 0]
    assert found["audio", "a0"].tolist() == [1, 1]
    assert not [clip for _, clip in found if clip == "b1"]


def test_six_emotions_come_before_seven(roots):
    """Where a table tells both, what is excited is not taken for happy; sessions are split as the authors do."""
    sessions = {"a": "session5", "b": "session2"}
    asked = own(split=lambda clip: sessions[clip[0]], **{"label.emotion6": "excited"})
    conv_emotion.write(roots / "ours.pkl", asked)
    rows = [*conv_emotion.labels(roots / "ours.pkl")]
    assert {row["label.emotion6"] for row in rows} == {"excited"}
    assert {row["dialogue"]: row["split"] for row in rows} == {"a": "test", "b": "train"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "cosmic"}, "one of iemocap, meld"),
        ({"turn": "first"}, "'turn' of 'b1': expected a whole number, got 'first'"),
        ({"turn": ""}, "needs turn of every clip"),
        ({"speaker": ""}, "needs speaker"),
        ({"dialogue": ""}, "needs dialogue"),
        ({"split": ""}, "needs split"),
        ({"split": "session9"}, "expected 'b' in train, dev or test, got session9"),
        ({"split": lambda clip: "train" if clip == "a0" else "test"}, "got test, train"),
        ({"emotion": "boredom"}, "expected emotions of happy, sad, neutral.*none of 5"),
        ({"speaker": lambda clip: clip}, "expected two speakers of 'a', got 3; say layout=meld"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(roots, options, words):
    """What a loader could not make sense of is told before anything is written."""
    layout = options.pop("layout", "iemocap")
    asked = own(**options)
    with pytest.raises(CacheError, match=words):
        conv_emotion.write(roots / "ours.pkl", asked, layout=layout)
    assert not (roots / "ours.pkl").exists()


def test_meld_needs_sentiments(roots):
    """Its loader reads them in the place of emotions when asked for three classes."""
    with pytest.raises(CacheError, match="and sentiments; none of 5 clips has one"):
        conv_emotion.write(roots / "ours.pkl", own(layout="meld", sentiment=""), layout="meld")


def test_features_are_those_of_the_loader(roots):
    """None may be missing, and none is left aside without a word."""
    asked = own()
    few = Chosen("own", {"text": asked.readers["text"]}, asked.clips, asked.rows, "clip")
    with pytest.raises(CacheError, match="needs audio, visual: say --entries audio=ENTRY"):
        conv_emotion.write(roots / "ours.pkl", few)
    more = Chosen("own", {**asked.readers, "face": asked.readers["text"]}, asked.clips, asked.rows, "clip")
    with pytest.raises(CacheError, match="has no place for face"):
        conv_emotion.write(roots / "ours.pkl", more)


def test_an_utterance_is_one_vector(roots):
    """Sequences are averaged when one says so, and never without."""
    asked = own()
    readers = {**asked.readers, "audio": entry("long", asked.clips, steps=3)}
    with pytest.raises(CacheError, match="audio of 'b1': expected one vector, got 3; say --how clip"):
        conv_emotion.write(roots / "ours.pkl", Chosen("own", readers, asked.clips, asked.rows, "steps"))
    large = {**asked.readers, "audio": entry("large", asked.clips, dtype="float64", value=1e300)}
    with pytest.raises(CacheError, match="float32 can hold"):
        conv_emotion.write(roots / "ours.pkl", Chosen("own", large, asked.clips, asked.rows, "clip"))


def test_nothing_is_written_over(roots):
    """A file that is there stays, and is told before anything is read."""
    (roots / "theirs.pkl").write_bytes(b"theirs")
    with pytest.raises(CacheError, match="none is overwritten"):
        conv_emotion.write(roots / "theirs.pkl", Chosen("toys", kit.readers("audio"), []))
    assert (roots / "theirs.pkl").read_bytes() == b"theirs"


def changed(place, key, value, data=None):
    """Return IEMOCAP's tuple with another value of one dialogue in one place."""
    told = list(data or iemocap())
    told[place] = {**told[place], key: value}
    return tuple(told)


FIRST = "Ses01F_impro01"
SELF = [[0.0]]
SELF.append(SELF)
HOSTILE = {
    "a dictionary": {"train": {}},
    "a text": "abc",
    "nothing": (),
    "eight values": iemocap()[:8],
    "lists where dictionaries stand": (*iemocap()[:3], [], *iemocap()[4:]),
    "two dictionaries": ({}, {}),
    "a number that is none of MELD": changed(2, 5000, [0]),
    "a number below zero": changed(2, -1, [0]),
    "a dialogue called by a half": changed(2, 0.5, [0]),
    "labels that are one": changed(2, FIRST, 3),
    "labels without axes": changed(2, FIRST, np.array(3)),
    "fewer vectors": changed(3, FIRST, [np.zeros(4)]),
    "more names": changed(0, FIRST, ["a", "b", "c", "d"]),
    "names that are numbers": changed(0, FIRST, [1, 2, 3]),
    "a vector that is a text": changed(3, FIRST, ["abc"] * 3),
    "a vector of texts": changed(3, FIRST, [np.array(["a"])] * 3),
    "a vector of nothing": changed(3, FIRST, [np.zeros(0)] * 3),
    "a vector of vectors": changed(3, FIRST, [np.zeros((2, 2))] * 3),
    "a list of lists": changed(3, FIRST, [[[1.0]]] * 3),
    "a list of itself": changed(3, FIRST, [SELF] * 3),
    "a number for a vector": changed(3, FIRST, np.zeros(3)),
    "a dialogue that is a text": changed(3, FIRST, "abc"),
    "an utterance without a number": changed(0, 0, ["a", 1, 2], meld_raw()),
    "an utterance that is a list": changed(0, 0, [[0], 1, 2], meld_raw()),
    "a key that is none of MELD's own": ({"a_b": np.zeros(3)}, {}, {}),
    "a key that is a number": ({0: np.zeros(3)}, {}, {}),
    "a dialogue of MELD's own that is a list": ({"0": [1.0]}, {}, {}),
}
HOSTILE_LABELS = {
    "an emotion beyond the last": changed(2, FIRST, [0, 1, 6]),
    "an emotion below the first": changed(2, FIRST, [0, 1, -1]),
    "an emotion that is a number of AVEC": changed(2, FIRST, [0.5, 0.1, 0.2]),
    "an emotion that is a list": changed(2, FIRST, [[0], 1, 2]),
    "a speaker that is neither": changed(1, FIRST, ["M", "F", "user"]),
    "a speaker that is an array": changed(1, FIRST, [np.array(["M", "F"])] * 3),
    "a sentiment beyond the last": changed(8, 0, [0, 1, 3], meld_raw()),
    "two who speak": changed(1, 0, [[1, 1]] * 3, meld_raw()),
    "nobody who speaks": changed(1, 0, [[0, 0]] * 3, meld_raw()),
    "a speaker that is a nest": changed(1, 0, [SELF] * 3, meld_raw()),
    "texts that are fewer": changed(6, FIRST, ["a"]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_files_that_are_not_as_documented_are_refused(save, what):
    """Whatever stands in the place of a field, the file is named, and what was expected there."""
    with pytest.raises(CacheError, match=r"features\.pkl.*expected"):
        [*conv_emotion.read(save(HOSTILE[what]))]


@pytest.mark.parametrize("what", HOSTILE_LABELS)
def test_labels_that_are_none_are_refused(save, what):
    """A class that its authors do not count is never taken for another."""
    with pytest.raises(CacheError, match=r"features\.pkl.*expected"):
        [*conv_emotion.labels(save(HOSTILE_LABELS[what]))]


@pytest.mark.parametrize("make", [iemocap, meld_raw, lambda: cosmic(of_meld=True), lambda: cosmic(of_meld=False)])
def test_anything_in_any_place_is_read_or_refused(save, make):
    """No value of another kind raises anything but the one error that a caller expects."""
    for value in junk_kit.spoiled(make(), 150):
        source = save(value)
        for function in (conv_emotion.read, conv_emotion.labels, conv_emotion.said):
            with contextlib.suppress(CacheError):
                [*function(source)]


def test_a_text_that_is_none_is_blank(save):
    """What should be a sentence and is not leaves the cell empty."""
    rows = [*conv_emotion.labels(save(changed(6, FIRST, [1, "b", [SELF]])))]
    assert [row["text"] for row in rows[:3]] == ["", "b", ""]
