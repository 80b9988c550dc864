"""The watcher over every encoder: what it declares is true; neighbours, order and padding do not change a feature.

Encoders whose weights no package carries run at full size with random weights, in the slow tier.
"""

import functools
import hashlib
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import media_kit as kit
import numpy as np
import pytest
from skimage.data import astronaut

from extract import check, cut, encoders, weights
from extract.asked import TRANSCRIBERS
from extract.cut import Layout
from extract.encode import BatchSize, Feed, Unit
from extract.encoders import minilm, silero
from extract.faces import PRESETS
from extract.faces import cut as crop
from extract.media import Files, Need
from extract.picture import Sampling
from extract.series import TICKS, Readings, Table
from extract.weights import Weights
from features import Grid


def heavy(name):
    """Return whether an encoder's weights do not come with the packages."""
    pinned = encoders.spec(name).weights
    return bool(pinned and not pinned.package)


SLOW = [pytest.mark.slow, pytest.mark.timeout(1200)]


def each(cases):
    """Mark the cases of heavy encoders, whose names come first, as slow."""
    cases = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=SLOW if heavy(case[0]) else []) for case in cases]


def reading(kind):
    """Name the encoders that read one kind of input."""
    return each(name for name in encoders.names() if encoders.spec(name).reads == kind)


def grids(name):
    """Name the grids that make a difference here: crops are laid out one by one whatever the grid."""
    spec = encoders.spec(name)
    return spec.grids[:1] if spec.reads == "faces" else spec.grids


LARGEST = {"whisper_large_v3_turbo"}
"""Half a minute for each piece of sound; its code is that of its base size, which goes through every test."""
EVERY = each((name, grid) for name in encoders.names() for grid in grids(name))
NETWORKS = each(name for name in encoders.names() if encoders.spec(name).parameters)
# The largest difference that neighbours, order or threads may make, in the feature's own unit; what was measured is at
# least ten times smaller. Matrix libraries of other processors may add the sums of networks in other orders.
TOLERANCE = {
    "mfcc": 1e-3,
    "minilm": 1e-4,
    "mtcnn": 0.01,
    "wav2vec2_msp": 1e-3,
    "exhubert": 1e-3,
    "emotion2vec": 1e-3,
    "jina_v3": 1e-3,
    "xlmr": 1e-3,
    "bert": 1e-3,
    "clip_text": 1e-3,
    "clip_vision": 1e-4,
    "clip_mel": 1e-4,
    "emoaffectnet": 1e-2,
    "resemotenet": 1e-5,
    "vit_fer": 1e-3,
}
POINTS = (0.3, 0.4, 0.7, 0.4, 0.5, 0.6, 0.35, 0.8, 0.65, 0.8)
SENTENCES = [
    "I am so happy to see you!",
    "No.",
    "?",
    "",
    "word " * 100,
    "Wait \N{EM DASH} what? \N{SLIGHTLY SMILING FACE}",
]


@functools.lru_cache(maxsize=2)  # conftest lets the tests of one encoder follow each other: large ones come alone
def load(name, precision="exact"):
    """Load an encoder once for all tests."""
    import torch

    spec = encoders.spec(name)
    if spec.optional and not weights.present(spec.weights):
        pytest.skip(f"{spec.weights.files[0]} is not here, and no random weights can stand in for it")
    with weights.using("random:0" if heavy(name) else ""):
        encode = encoders.module(name).load("cpu", precision)
    torch.set_num_threads(1)  # two would wait for each other while other tests run
    return encode


def film(seconds, top=0):
    """Return the frames of a film of a real face that wanders, with a black picture in its middle, and their times."""
    times_s = [Fraction(k, 10) for k in range(round(seconds * 10))]
    images = [astronaut()[top : top + 256, 120 + 4 * k : 376 + 4 * k] for k in range(len(times_s))]
    images[len(images) // 2] = np.zeros_like(images[0])
    return [(image, 1) for image in images], times_s, Fraction(seconds)


@functools.cache
def clips(name, grid):
    """Return what an encoder is given of clips that are usual, short, long or empty of what it looks for."""
    spec, grid = encoders.spec(name), Grid.parse(grid)
    if spec.reads == "text":
        return {f"c{i}": ([(sentence, 1)], cut.text()) for i, sentence in enumerate(SENTENCES)}
    if spec.reads == "frames":
        return {clip: pictures(film(*shape), grid) for clip, shape in {"face": (3, 0), "short": (0.5, 30)}.items()}
    if spec.reads == "faces":
        corners = [[(160 * i + 40, 150 * k + 20) for k in range(3)] for i in range(3)]  # a face is among them
        return {
            f"c{i}": faces([face(spec, [x, y, x + 90, y + 120, 1]) for x, y in row]) for i, row in enumerate(corners)
        }
    if spec.reads == "series":
        lasting = {"usual": 3, "long": 7.3, "short": 1, "shortest": 0.01, "gappy": 4}
        return {clip: cut.series(readings(spec, lasting[clip], clip), spec, grid) for clip in lasting}
    sounds = {
        "speech": kit.tone(150, 3, spec.rate_hz) * np.abs(kit.tone(2, 3, spec.rate_hz, 1)),
        "long": kit.noise(7.3, spec.rate_hz, seed=1) * 0.2,
        "short": kit.tone(220, 1.0, spec.rate_hz),
        "shortest": kit.noise(0.05, spec.rate_hz, seed=2),
        "silent": np.zeros(2 * spec.rate_hz),
    }
    if heavy(name):  # a minute and more for each pass of the largest
        few = ("short", "silent") if name in LARGEST else ("speech", "short", "silent")
        sounds = {clip: sounds[clip] for clip in few}
    return {clip: cut.sound(sound.astype(np.float32), spec, grid) for clip, sound in sounds.items()}


def readings(spec, seconds, clip="usual"):
    """Return what tables of 120 rows a second hold, with numbers as large as positions; in a gappy clip many lack."""
    rng = np.random.default_rng([len(clip), spec.columns])
    values = (300 * rng.standard_normal((max(1, round(seconds * 120)), spec.columns))).astype(np.float32)
    values[rng.random(values.shape) < (0.9 if clip == "gappy" else 0)] = np.nan
    return Readings([Table(np.arange(len(values)) * TICKS // 120, values)], Fraction(len(values), 120))


def pictures(shown, grid):
    """Lay out the frames that a grid takes."""
    images, times_s, duration_s = shown
    sampling = Sampling(None, [grid.sampling], duration_s)
    taken = {i: slots for i, time_s in enumerate(times_s) if (slots := sampling.takes(time_s, Fraction(0)))}
    slots = [begun[grid.sampling] for begun in taken.values()]
    return [images[i] for i in taken], cut.frames([times_s[i] for i in taken], slots, duration_s, grid)


def face(spec, box):
    """Cut a face out as an extraction does; eyes, nose and mouth stand where they do in most boxes."""
    x, y, width, height = box[0], box[1], box[2] - box[0], box[3] - box[1]
    points = [x + width * share if i % 2 == 0 else y + height * share for i, share in enumerate(POINTS)]
    row = np.array([*box, *points], np.float32)
    return crop(astronaut(), row, PRESETS[spec.preset], spec.size_px, spec.resize, "mtcnn")


def faces(crops):
    """Lay crops out, one a frame, each frame a window."""
    alone = [(i,) for i in range(len(crops))]
    layout = Layout(alone, alone, [(Fraction(0), Fraction(1))] * len(crops), counts={"n_faces": [1] * len(crops)})
    return [(crop, 1) for crop in crops], layout


def features(name, given):
    """Encode clips together and lay what came out into windows."""
    found, failures = {clip: {} for clip in given}, {}
    feed = Feed(
        load(name),
        BatchSize(encoders.spec(name).batch, grows=False),
        lambda _: nullcontext(),
        lambda unit, output: found[unit.clip].__setitem__(unit.index, output),
        failures.__setitem__,
    )
    for clip, (units, _) in given.items():
        for i, (data, real) in enumerate(units):
            feed.add(Unit(clip, i, data, real))
    feed.flush()
    assert not failures
    return {clip: cut.assemble(layout, found[clip], encoders.spec(name)) for clip, (_, layout) in given.items()}


def difference(one, other):
    """Return the largest difference between two sets of windows of the same clips; shapes must agree."""
    assert one.keys() == other.keys()
    for clip in one:
        assert one[clip].start.tolist() == other[clip].start.tolist()
        assert one[clip].valid.tolist() == other[clip].valid.tolist()
    pairs = ((one[clip].values.astype(np.float64), other[clip].values) for clip in one)
    return max(np.abs(mine - theirs).max(initial=0) for mine, theirs in pairs)


@pytest.mark.parametrize("name", encoders.names())
def test_spec_is_complete(name):
    """An encoder says what it is, what it may be used for, what it reads, and on which grids."""
    module, spec = encoders.module(name), encoders.spec(name)
    assert len(module.__doc__.splitlines()[0]) > 30
    assert len(spec.licence) > 2
    assert spec.version >= 1
    assert min(spec.width) >= 1
    assert np.dtype(spec.dtype).kind in "fu"
    grids = [Grid.parse(grid) for grid in spec.grids]
    assert [str(grid) for grid in grids] == list(spec.grids)
    assert (spec.rate_hz > 0) == (spec.reads in ("audio", "series"))
    assert (spec.columns > 0) == (spec.reads == "series") == bool(spec.series)
    assert (spec.size_px > 0) == (spec.reads == "faces") == bool(spec.preset)
    assert not spec.preset or spec.preset in PRESETS
    assert not spec.tokenizer or spec.reads == "text" or spec.dtype == "uint8"
    assert all(bool(grid.sampling) == (spec.reads in ("frames", "faces")) for grid in grids)
    assert spec.reads != "text" or spec.grids == ("clip",)
    assert spec.key(name, grids[0], weights="random:0").name.startswith(f"{name}-")


@pytest.mark.parametrize(("name", "grid"), EVERY)
def test_features_have_the_declared_shape(name, grid):
    """Features are finite numbers in windows of the declared steps and width, with the declared side channels."""
    spec = encoders.spec(name)
    for windows in features(name, clips(name, grid)).values():
        assert windows.values.dtype.kind == np.dtype(spec.dtype).kind
        assert windows.values.shape[1:] == spec.width
        assert np.isfinite(windows.values).all()
        assert np.isfinite(windows.values.astype(spec.dtype)).all()
        assert windows.steps.keys() == set(spec.channels)
        if spec.steps and grid == spec.grids[0] and spec.reads != "faces":
            assert set(np.diff(windows.start)) == {spec.steps}


@pytest.mark.parametrize(("name", "grid"), [case for case in EVERY if case.values[0] not in LARGEST])
def test_neighbours_and_order_do_not_change_a_feature(name, grid):
    """Alone, together, beside longer clips, in another order, and again: the features of a clip are the same."""
    given = clips(name, grid)
    together = features(name, given)
    alone = {clip: features(name, {clip: units})[clip] for clip, units in given.items()}
    assert difference(together, alone) <= TOLERANCE.get(name, 0)
    assert difference(together, features(name, dict(reversed(given.items())))) <= TOLERANCE.get(name, 0)
    assert difference(together, features(name, given)) == 0


@pytest.mark.parametrize("name", [case for case in NETWORKS if case.values[0] not in LARGEST])
def test_threads_do_not_change_a_feature(name):
    """A network gives the same on one core and on two."""
    import torch

    given = clips(name, encoders.spec(name).grids[0])
    one = features(name, given)
    torch.set_num_threads(2)
    try:
        assert difference(one, features(name, given)) <= TOLERANCE.get(name, 0)
    finally:
        torch.set_num_threads(1)


def networks(function):
    """Find the networks that a function holds, however deep."""
    import torch

    for cell in getattr(function, "__closure__", None) or ():
        held = cell.cell_contents
        if isinstance(held, torch.nn.Module):
            yield held
        elif callable(held):
            yield from networks(held)


@pytest.mark.parametrize("name", [name for name in encoders.names() if not encoders.spec(name).optional])
def test_declared_parameters_are_those_of_the_loaded_network(name):
    """What stands in the listing was counted: everything that is loaded, pooler and unused halves included."""
    import torch

    if heavy(name):  # before anything is folded; a large one is built without memory for its weights
        with torch.device("meta" if encoders.spec(name).parameters > 50e6 else "cpu"):
            found = [encoders.module(name).build()]
    else:
        found = {id(network): network for network in networks(load(name))}.values()
    counted = sum(parameter.numel() for network in found for parameter in network.parameters())
    assert counted == encoders.spec(name).parameters


@pytest.mark.parametrize("name", each(name for name in encoders.names() if encoders.spec(name).fast))
def test_fast_is_close_enough(name):
    """What is promised to be fast reaches the bars of `check`; a detector that finds nobody cannot be judged."""
    spec = encoders.spec(name)
    given = [unit for units, _ in clips(name, spec.grids[0]).values() for unit in units]
    with weights.using("random:0" if heavy(name) else ""):
        found = check.check(name, given, "cpu")
    assert found.passed or found.steps == 0, found
    assert found.neighbours <= check.NEIGHBOURS


@pytest.mark.parametrize("name", reading("audio"))
@pytest.mark.parametrize("samples", [1, 160, 800])
def test_the_shortest_sound(name, samples):
    """A whole clip of a few samples gives finite features and no error."""
    units = cut.sound(np.full(samples, 0.1, np.float32), encoders.spec(name), Grid.parse("clip"))
    assert np.isfinite(features(name, {"c": units})["c"].values).all()


@pytest.mark.parametrize("name", reading("series"))
@pytest.mark.parametrize("lacks", [False, True])
def test_the_shortest_series(name, lacks):
    """A whole clip of a single row, and one in which every value is missing, give finite features and no error."""
    spec = encoders.spec(name)
    values = np.full((1, spec.columns), np.nan if lacks else 7, np.float32)
    given = Readings([Table(np.zeros(1, np.int64), values)], Fraction(1, TICKS))
    found = features(name, {"c": cut.series(given, spec, Grid.parse("clip"))})["c"]
    assert np.isfinite(found.values).all()
    assert found.valid.tolist() == [1]


@pytest.mark.parametrize("name", reading("faces"))
def test_the_smallest_crops(name):
    """A face of one pixel gives finite features and no error."""
    speck = face(encoders.spec(name), [99.1, 99.1, 99.2, 99.2, 1])
    assert np.isfinite(features(name, {"c": faces([speck])})["c"].values).all()


@pytest.mark.parametrize("name", reading("frames"))
@pytest.mark.parametrize("size_px", [1, 12, 19, 20, 21])
def test_the_smallest_pictures(name, size_px):
    """A picture of one pixel, or smaller than the smallest face, gives finite features and no error."""
    grid = Grid.parse(encoders.spec(name).grids[0])
    tiny = [(np.full((size_px, size_px, 3), 99, np.uint8), 1)], [Fraction(0)], Fraction(1, 25)
    assert np.isfinite(features(name, {"c": pictures(tiny, grid)})["c"].values).all()


@pytest.mark.parametrize(("name", "steps"), [("mfcc", 50), ("toy_audio", 50), ("egemaps_lld", 99), ("egemaps", 1)])
def test_padding_is_marked(name, steps):
    """Of a window with one second of sound in three, so many steps are real; the others hold what silence gives."""
    given = clips(name, "windows(3,2,2)")
    found = features(name, {clip: given[clip] for clip in ("short", "silent")})
    assert found["short"].valid.tolist() == [steps]
    if name in ("mfcc", "toy_audio"):
        np.testing.assert_allclose(found["short"].values[steps:], found["silent"].values[steps:], atol=1e-3)
        assert (found["short"].values[steps - 1] != found["silent"].values[steps - 1]).any()


def test_faces_are_found_where_they_are():
    """One face in a real portrait, around eyes and mouth and within the head as seen by eye, and none in black."""
    found = load("mtcnn")(np.stack([astronaut(), np.zeros_like(astronaut())]), np.ones(2)).values
    assert [len(boxes) for boxes in found] == [1, 0]
    x0, y0, x1, y1, confidence = found[0][0][:5]
    assert confidence > 0.99
    assert (150 < x0 < 203, 246 < x1 < 300) == (True, True)
    assert (40 < y0 < 101, 146 < y1 < 190) == (True, True)


def test_mfcc_is_librosas():
    """Our coefficients are those that librosa computes from its own mel spectrogram, one sound at a time."""
    import librosa

    sound = (kit.noise(3, 16_000) * 0.3).astype(np.float32)
    level_db = librosa.power_to_db(
        librosa.feature.melspectrogram(
            y=sound, sr=16_000, n_mels=64, n_fft=512, win_length=400, hop_length=320, center=False
        ),
        top_db=None,
    )
    found = load("mfcc")(sound[None], np.array([48_000]))[0]
    np.testing.assert_allclose(found, librosa.feature.mfcc(S=level_db, n_mfcc=40).T, atol=1e-3)


@pytest.fixture(scope="module")
def tokens():
    """Tokenise with the tokenizer that lies beside the weights."""
    from transformers import AutoTokenizer

    folder = weights.located(minilm.WEIGHTS)[0].parent
    return functools.partial(
        AutoTokenizer.from_pretrained(folder, local_files_only=True), truncation=True, max_length=48
    )


def test_the_mask_of_words_is_the_tokenizers(tokens):
    """`token_mask` and `valid` count what the tokenizer makes of each sentence, both end marks included, at most 48."""
    found = load("minilm")(SENTENCES, np.ones(len(SENTENCES)))
    wanted = [len(tokens(sentence)["input_ids"]) for sentence in SENTENCES]
    assert found.valid == wanted
    assert max(wanted) == 48
    for mask, real in zip(found.steps["token_mask"], wanted, strict=True):
        assert mask.tolist() == [1] * real + [0] * (48 - real)


def test_sentences_that_mean_alike_lie_near():
    """The mean over real tokens tells a paraphrase from another matter: these are the weights they say they are."""
    sentences = ["The boy is very happy.", "The child is full of joy.", "Shares fell sharply on Monday."]
    found = load("minilm")(sentences, np.ones(3))
    means = np.stack([states[:real].mean(axis=0) for states, real in zip(found.values, found.valid, strict=True)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    likeness = means @ means.T
    assert likeness[0, 1] > 0.5
    assert max(likeness[0, 2], likeness[1, 2]) < 0.2


def test_weights_that_were_changed_are_refused(tmp_path, monkeypatch):
    """One byte of the packaged weights is another: loading says what was expected and what was got, and stops."""
    package = Path(find_spec(minilm.WEIGHTS.package).submodule_search_locations[0])
    copy = shutil.copytree(package, tmp_path / minilm.WEIGHTS.package)
    with (copy / minilm.WEIGHTS.files[0]).open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(weights.WeightsError, match=f"expected sha256 {minilm.WEIGHTS.sha256}, got .*make setup"):
        minilm.load("cpu", "exact")


@pytest.mark.parametrize(
    ("package", "files", "reason"),
    [
        ("pack", ("one.bin", "two.bin"), ""),
        ("pack", ("two.bin", "one.bin"), "two.bin: expected sha256 .*, got .*; install it again: make setup"),
        ("pack", ("one.bin", "three.bin"), "expected three.bin of it at .*; install it again: make setup"),
        ("no_such_package", ("one.bin",), "install it: make setup"),
    ],
)
def test_weights_in_several_files(tmp_path, monkeypatch, package, files, reason):
    """The digest covers every file in order; a file or package that is not there is named with the command for it."""
    folder = tmp_path / "pack"
    folder.mkdir()
    for name, content in (("__init__.py", b""), ("one.bin", b"o"), ("two.bin", b"t")):
        (folder / name).write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    wanted = Weights("it", files, hashlib.sha256(b"ot").hexdigest(), package)
    if not reason:
        assert weights.located(wanted) == [folder / "one.bin", folder / "two.bin"]
        return
    with pytest.raises(weights.WeightsError, match=reason):
        weights.located(wanted)


def recordings(folder):
    """Decode the real recordings in a folder, as encoders hear them."""
    with Files(folder) as files:
        for path in sorted((*folder.glob("*.wav"), *folder.glob("*.flac"))):
            found = files.read(kit.clip(path.name), Need(frozenset({16_000})), lambda *_: None)
            yield path.stem, found.sound[16_000]


@pytest.mark.parametrize("shared", ["speech-public-domain"], indirect=True)
def test_speech_is_found_in_real_speech_and_not_in_silence(shared):
    """Silero marks most of each real recording as speech, and nothing of silence or faint noise."""
    for name, sound in recordings(shared):
        spans_s = load("silero")(sound[None], np.array([len(sound)])).values[0]
        share = (spans_s[:, 1] - spans_s[:, 0]).sum() / (len(sound) / silero.SPEC.rate_hz)
        assert 0.6 < share <= 1, name
        assert (np.diff(spans_s.ravel()) >= 0).all()
    quiet = np.stack([np.zeros(48_000), kit.noise(3, 16_000) * 0.002]).astype(np.float32)
    assert [len(spans_s) for spans_s in load("silero")(quiet, np.array([48_000] * 2)).values] == [0, 0]


@pytest.mark.parametrize("shared", ["speech-public-domain"], indirect=True)
def test_egemaps_of_real_speech(shared):
    """The 88 functionals of real speech are finite, and its pitch and loudness are those of a human voice."""
    import opensmile

    names = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals).feature_names
    assert len(names) == 88
    for _, sound in recordings(shared):
        found = dict(zip(names, load("egemaps")(sound[None], np.array([len(sound)]))[0, 0], strict=True))
        assert np.isfinite(list(found.values())).all()
        pitch_hz = 27.5 * 2 ** (found["F0semitoneFrom27.5Hz_sma3nz_amean"] / 12)
        assert 70 < pitch_hz < 300


def test_every_encoder_says_whose_work_it_is():
    """Each but our own has whole BibTeX with title, author and year, and of one key there is one entry."""
    known, ours = {}, {"envelope", *(name for name in encoders.names() if name.startswith("toy_"))}
    for name in (name for name in encoders.names() if name not in ours):
        entries = re.split(r"\n(?=@)", encoders.spec(name).bibtex)
        for entry in entries:
            head = re.match(r"@[a-z]+\{([a-z]+\d{4}\w+),", entry)
            assert head, (name, entry)
            assert (entry.count("{"), entry[-1]) == (entry.count("}"), "}"), entry
            assert {"title", "author", "year"} <= set(re.findall(r"[ ,](\w+) = \{\S", entry)), entry
            assert re.search(r"year = \{(19|20)\d\d\}", entry), entry
            assert known.setdefault(head[1], entry) == entry
    assert len(known) > 15


def test_what_holds_words_or_pictures_says_so():
    """Whole bytes are texts or pictures, not features; who transcribes holds transcripts, as the toy of text does."""
    specs = {name: encoders.spec(name) for name in encoders.names()}
    holding = {name: spec.holds for name, spec in specs.items() if spec.holds != "features"}
    assert {name for name, spec in specs.items() if spec.dtype == "uint8"} <= holding.keys()
    assert {name for name, holds in holding.items() if holds == "transcript"} == {*TRANSCRIBERS, "toy_text"}
    assert {specs[name].medium for name, holds in holding.items() if holds == "raw"} == {"video", "mocap"}


OFFLINE = """
import socket
def refuse(*_): raise SystemExit("a socket was wanted")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from extract.encoders import minilm
print(minilm.load("cpu", "exact")(["hello"], [1]).values.shape)
"""


@pytest.mark.slow
def test_nothing_is_fetched(monkeypatch):
    """Text is encoded although nobody said "offline" and every socket is refused."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OFFLINE],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "(1, 48, 384)"), done.stderr


def test_iemocap_mocap_is_what_the_authors_average():
    """In an utterance of twenty seconds without a gap each step is the mean that the authors' 200 equal parts have."""
    given = readings(encoders.spec("iemocap_mocap"), 20)
    found = features("iemocap_mocap", {"c": cut.series(given, encoders.spec("iemocap_mocap"), Grid.parse("clip"))})["c"]
    parts = [part.mean(axis=0, dtype=np.float64) for part in np.array_split(given.tables[0].values, 200)]
    np.testing.assert_allclose(found.values, parts, rtol=1e-6, atol=1e-5)
