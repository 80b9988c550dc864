"""The doctor: a whole corpus is well, every fault is named and counted once, and no file makes it stumble."""

import math
import random
import struct
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import media_kit
import numpy as np
import pytest
import tree_kit
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests import Audio, Clip, Found, Manifest, Video, corpus_module, deep, doctor, probe, scan
from manifests.tree import Tree

REAL = Path(__file__).parents[2] / "shared" / "data" / "meld"
RATE_HZ = 16_000
TONE = media_kit.tone(300, 2.0, amplitude=0.3)
FACES = [tree_kit.face(number) for number in range(20)]
GREY = np.full((160, 160, 3), 90, np.uint8)
SLOW = media_kit.Film(fps=Fraction(10))


def module(**known):
    """A reader that knows so much of its corpus."""
    return SimpleNamespace(**({"clips": lambda _: iter(())} | known))


def examined(root, *clips, options=None, is_deep=False, **known):
    """The report on clips that lie under a root."""
    manifest = Manifest("toys", root, clips, options=options or {})
    silent = lambda *_: None  # noqa: E731
    return doctor.examine(Found(manifest, Tree(root)), module(**known), deep=is_deep, progress=silent)


def found(report):
    """What was found of which."""
    return {finding.what: [which for _, which, _ in finding.signs] for finding in report.findings}


def clip(name, path=None, **columns):
    """A clip of a film, unless its tracks are said."""
    tracks = {"audio": Audio(path), "video": Video(path)} if path else {}
    return Clip(**({"id": name, "corpus": "toys", "split": "train"} | tracks | columns))


def film(root, name="film.mp4", pictures=FACES, sound=TONE, layout="mono", **options):
    """Write two seconds of film."""
    codec, kind = ("pcm_s16le", "s16") if name.endswith(".avi") else ("aac", "fltp")
    how = media_kit.Sound(codec, kind, RATE_HZ, layout, options.pop("from_s", 0.0))
    media_kit.write(root / name, pictures, sound, SLOW, how, **options)
    return name


def wav(root, *rows, name="sound.wav"):
    """Write one channel for each row, exactly as it is."""
    layout = {1: "mono", 2: "stereo"}[len(rows)]
    media_kit.write(root / name, sound=np.array(rows), how=media_kit.Sound("pcm_s16le", "s16", RATE_HZ, layout))
    return name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with one faultless film."""
    root = tmp_path_factory.mktemp("whole")
    film(root)
    return root


def test_a_whole_corpus_is_well(whole):
    """What is as it was published is nothing to mend, decoded or not, and each kind of media is counted."""
    known = {"EXPECTED": {"clips": 2, "split train": 2}, "KNOWN_BAD": {}}
    clips = [clip("a", "film.mp4", text="Hi there.", duration_s=2.0), clip("b", "film.mp4", text="It is I.")]
    report = examined(whole, *clips, is_deep=True, **known)
    assert found(report) == {}
    assert not report.to_mend
    assert report.counts == (("clips", 2, 2), ("split train", 2, 2))
    assert report.media == {"sound": Counter({"16000 Hz, mono": 1}), "picture": Counter({"160 x 160, 10 fps": 1})}
    assert "nothing is to be mended" in list(doctor.lines(report))


def test_another_number_is_to_mend(whole):
    """A corpus that lacks clips is not as published; whoever reads it with options is told that nobody counts then."""
    report = examined(whole, clip("a", "film.mp4"), EXPECTED={"clips": 3})
    assert report.to_mend
    assert [line for line in doctor.lines(report) if line.split() == ["clips", "3", "1", "-2"]]
    report = examined(whole, clip("a", "film.mp4"), options={"side": "left"}, EXPECTED={"clips": 3})
    assert not report.to_mend
    assert any("not looked at: the counts" in line for line in doctor.lines(report))


HALF = {"audio": Audio("film.mp4", 0.5, 1.5), "video": Video("film.mp4", 0.5, 1.5)}
BY_TABLES = {
    "no fault": (HALF, {}, set()),
    "begins after": ({"audio": Audio("film.mp4", 3.0, 4.0)}, {}, {doctor.AFTER_END}),
    "an offset counts": ({"audio": Audio("film.mp4", 1.0, 1.5, offset_s=2.0)}, {}, {doctor.AFTER_END}),
    "ends after": ({"video": Video("film.mp4", 1.0, 3.0)}, {}, {doctor.BEYOND_END}),
    "hardly ends after": ({"video": Video("film.mp4", 1.0, 2.4)}, {}, set()),
    "the tables say more": ({"audio": Audio("film.mp4")}, {"duration_s": 3.5}, {doctor.OTHER_LENGTH}),
    "the tables are of a part": (HALF, {"duration_s": 3.5}, set()),
    "short": ({"audio": Audio("film.mp4", 1.0, 1.2)}, {}, {doctor.SHORT}),
    "no words": (HALF, {"text": " "}, {doctor.NO_TEXT}),
    "a letter": (HALF, {"text": "I"}, {doctor.TINY_TEXT}),
    "many words": (HALF, {"text": "blah " * 9}, {doctor.FAST_TEXT}),
    "few words": ({}, {"text": "Well, no.", "duration_s": 30.0}, {doctor.SLOW_TEXT, doctor.WORDS_ONLY}),
    "long": ({}, {"text": "blah " * 40, "duration_s": 61.0}, {doctor.LONG, doctor.WORDS_ONLY}),
}
MENDED = {doctor.AFTER_END}


@pytest.mark.parametrize("what", BY_TABLES)
def test_times_and_words_are_held_against_the_file(whole, what):
    """A time, a length or a text that does not fit the file is found, and nothing else."""
    tracks, columns, wanted = BY_TABLES[what]
    good = clip("good", "film.mp4", text="Hi there.")
    report = examined(whole, good, clip("odd", **{"text": "Hello."} | tracks | columns))
    assert found(report) == {what: ["odd"] for what in wanted}
    assert report.to_mend == bool(wanted & MENDED)


def test_a_reader_says_what_is_long(whole):
    """What is too long for one corpus is usual in another."""
    assert found(examined(whole, clip("a", "film.mp4"), TOO_LONG_S=1.0)) == {doctor.LONG: ["a"]}


def damaged(root):
    """Write a file for every way in which files are damaged, and return what is to be found of each."""
    data = (root / film(root, movflags="faststart")).read_bytes()
    sound = (root / wav(root, TONE)).read_bytes()
    recorded = (root / film(root, "film.avi")).read_bytes()
    mute = film(root, "mute.mp4", sound=None)
    files = {
        "garbage.mp4": (random.Random(1).randbytes(5000), {doctor.UNOPENED}),
        "text.mp4": (b"<html>404</html>" * 40, {doctor.UNOPENED}),
        "list.mp4": (b"ffconcat version 1.0\nfile film.mp4\n", {doctor.UNOPENED}),
        "half.mp4": (data[: len(data) * 2 // 3], {doctor.CUT_SHORT}),
        "head.mp4": (data[:600], {doctor.UNOPENED, doctor.CUT_SHORT}),
        "half.wav": (sound[: len(sound) // 2], {doctor.CUT_SHORT, doctor.NO_PICTURE}),
        "half.avi": (recorded[: len(recorded) * 2 // 3], {doctor.CUT_SHORT}),
        "streamed.wav": (sound[:4] + b"\xff" * 4 + sound[8:], {doctor.NO_PICTURE}),
        mute: ((root / mute).read_bytes(), {doctor.NO_SOUND}),
    }
    for name, (content, _) in files.items():
        (root / name).write_bytes(content)
    return {name: wanted for name, (_, wanted) in files.items()}


def test_damage_is_found_by_heads(tmp_path):
    """A file that is cut off, is no film or lacks a stream is to be mended, with the file's name."""
    wanted = damaged(tmp_path)
    report = examined(tmp_path, clip("good", "film.mp4"), *(clip(name, name) for name in wanted))
    by_file = {name: {what for what, which in found(report).items() if name in which} for name in wanted}
    assert by_file == wanted
    assert all(finding.to_mend for finding in report.findings)
    assert any("half.mp4: " in line and "bytes are missing" in line for line in doctor.lines(report))


def test_what_is_known_is_nothing_to_mend(tmp_path):
    """A clip, or a dialogue, that is known to be bad is told with its reason; one more bad clip is to be mended."""
    (tmp_path / "bad.mp4").write_bytes(b"no film at all, but long enough")
    known = {"KNOWN_BAD": {"a": "does not decode", "d": "out of step"}}
    a, b = clip("a", "bad.mp4", flags=("known_bad",)), clip("b", "bad.mp4", dialogue_id="d", flags=("known_bad",))
    report = examined(tmp_path, a, b, **known)
    assert found(report) == {doctor.UNOPENED: ["a", "b"]}
    assert not report.to_mend
    assert report.known_bad == (("a", "does not decode", doctor.UNOPENED), ("b", "out of step", doctor.UNOPENED))
    report = examined(tmp_path, a, b, clip("c", "bad.mp4"), **known)
    assert report.to_mend
    assert found(report) == {doctor.UNOPENED: ["c", "a", "b"]}


def test_what_is_missing(whole):
    """One missing film is to be mended, a corpus without any picture came so, and one without media is elsewhere."""
    there, blind, gone = (
        clip("there", "film.mp4"),
        clip("blind", audio=Audio("film.mp4"), flags=("missing_video",)),
        clip("gone", flags=("missing_audio", "missing_video")),
    )
    report = examined(whole, there, blind, gone)
    assert found(report) == {doctor.NO_FILE_HEARD: ["gone"], doctor.NO_FILE_SEEN: ["blind", "gone"]}
    assert report.to_mend
    report = examined(whole, blind)
    assert found(report) == {doctor.ALL_UNSEEN: ["all"]}
    assert not report.to_mend
    report = examined(whole, gone)
    assert found(report) == {doctor.NO_MEDIA: ["all"]}
    assert report.to_mend


def test_clips_that_came_without_media(whole):
    """Where features alone exist, or words, that is noted in plain words and nothing is to be mended."""
    bare, worded = clip("bare"), clip("worded", text="Well, well.")
    report = examined(whole, bare, worded)
    assert found(report) == {doctor.FEATURES_ONLY: ["bare"], doctor.WORDS_ONLY: ["worded"], doctor.NO_TEXT: ["bare"]}
    assert not report.to_mend
    assert doctor.NO_MEDIA in found(examined(whole, bare, clip("gone", flags=("missing_audio",))))


def test_what_was_left_out_is_grouped(whole):
    """Media that no table names are told by their reason, a few of each by name."""
    tree = Tree(whole)
    for number in range(7):
        tree.leave_out(f"extra{number}.mp4", "no table names it")
    report = doctor.examine(Found(Manifest("toys", whole, (clip("a", "film.mp4"),)), tree), module())
    assert [(finding.what, len(finding.signs)) for finding in report.findings] == [("left out, no table names it", 7)]
    assert "  and 2 more" in list(doctor.lines(report))
    assert not report.to_mend


def test_without_a_decoder(tmp_path, monkeypatch):
    """Where PyAV is not installed, the rest is looked at, wavs' lengths too, and how to install it is said."""
    monkeypatch.setitem(sys.modules, "av", None)
    wav_clip = clip("long", audio=Audio(wav_of_zeros(tmp_path)), duration_s=9.0)
    report = examined(tmp_path, wav_clip, is_deep=True, EXPECTED={"clips": 1})
    assert found(report) == {doctor.OTHER_LENGTH: ["long"]}
    assert report.counts == (("clips", 1, 1),)
    assert any(f"PyAV is not installed; it comes with: {probe.INSTALL}" in line for line in doctor.lines(report))


def wav_of_zeros(root):
    """Write a second of silence without any decoder."""
    tree_kit.wav(root / "zeros.wav", seconds=1.0, hz=0)
    return "zeros.wav"


def test_progress_is_told(whole):
    """Each file counts once, for its head and for decoding, however many clips it holds."""
    told = []
    manifest = Manifest("toys", whole, (clip("a", "film.mp4"), clip("b", "film.mp4")))
    doctor.examine(Found(manifest, Tree(whole)), module(), deep=True, progress=lambda *now: told.append(now))
    assert told == [("heads", 1, 1), ("decoded", 1, 1)]


@pytest.mark.skipif(not REAL.is_dir(), reason="the published tables of MELD are not beside this checkout")
def test_the_tables_of_meld_are_as_published(tmp_path):
    """Where MELD's real tables lie alone, every count is right, all that is bad is named, and the media are missed."""
    for path in REAL.rglob("*_sent_emo.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    report = doctor.examine(scan("meld", tmp_path), corpus_module("meld"))
    assert [row for row in report.counts if row[1] != row[2]] == []
    assert len(report.counts) == 16
    assert {which for which, *_ in report.known_bad} >= {"train_dia125_utt3", "dev_dia110_utt7", "train_dia241_utt0"}
    assert [finding.what for finding in report.findings if finding.to_mend] == [doctor.NO_MEDIA]
    assert len(found(report)[doctor.TINY_TEXT]) == 13


# Sound, as numbers.


def heard(*rows, names=("FL", "FR"), wanted="mix"):
    """What is odd about channels."""
    sound = deep.Sound()
    sound.take(np.array(rows, np.float32), names[: len(rows)])
    return [what for what, _ in sound.signs(wanted)]


NOISE = media_kit.noise(2.0, RATE_HZ)
SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR")
SOUNDS = {
    "one voice": ([TONE], "mix", []),
    "nothing": ([[]], "mix", [deep.NO_SAMPLES]),
    "silence": ([TONE * 0], "mix", [deep.SILENT]),
    "all but silence": ([TONE / 1000], "mix", [deep.SILENT]),
    "quiet": ([TONE / 100], "mix", []),
    "clipped": ([np.clip(TONE * 9, -1, 1)], "mix", [deep.CLIPPED]),
    "one peak": ([[1.0, *TONE]], "mix", []),
    "no number": ([[math.nan, math.inf, *TONE]], "mix", [deep.DAMAGED]),
    "stereo": ([TONE, TONE], "mix", []),
    "two voices": ([TONE, NOISE], "mix", []),
    "left alone": ([TONE, TONE * 0], "mix", [deep.LONE]),
    "left, as wanted": ([TONE, TONE * 0], "left", []),
    "left, right wanted": ([TONE, TONE * 0], "right", [deep.LONE]),
    "opposed": ([TONE, -TONE], "mix", [deep.OPPOSED]),
    "opposed, one wanted": ([TONE, -TONE], "right", []),
    "surround": ([NOISE / 9, NOISE / 9, TONE, TONE * 0, NOISE / 9, NOISE / 9], "centre", []),
    "no centre": ([NOISE, NOISE, TONE * 0, TONE * 0, NOISE, NOISE], "centre", [deep.NO_CENTRE]),
    "no centre, mixed": ([NOISE, NOISE, TONE * 0, TONE * 0, NOISE, NOISE], "mix", []),
    "stereo, centre wanted": ([TONE, TONE], "centre", []),
}


@pytest.mark.parametrize("what", SOUNDS)
def test_odd_sound(what):
    """Silence, full scale, lone and opposed channels are told, each alone; what is usual is not."""
    rows, wanted, signs = SOUNDS[what]
    assert heard(*rows, names=SURROUND if len(rows) > 2 else SURROUND[:2], wanted=wanted) == signs


@given(st.lists(st.integers(0, len(TONE)), max_size=8))
@settings(max_examples=30)
def test_sound_comes_in_any_pieces(cuts):
    """Where a decoder cuts a sound into pieces changes nothing."""
    rows = np.array([TONE, np.clip(-3 * TONE, -1, 1)], np.float32)
    whole, parts = deep.Sound(), deep.Sound()
    whole.take(rows, ("FL", "FR"))
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), len(TONE)], strict=True):
        parts.take(rows[:, first:last], ("FL", "FR"))
    assert (parts.samples, parts.clipped) == (whole.samples, whole.clipped)
    assert list(parts.signs("mix")) == list(whole.signs("mix"))
    np.testing.assert_allclose(parts.products, whole.products)


# Pictures, as numbers.


def seen(*pictures, every_s=0.1):
    """What is odd about grey pictures that follow one another."""
    film_seen = deep.Film()
    for number, picture in enumerate(pictures):
        film_seen.take(np.asarray(picture, np.uint8), number * every_s)
    return film_seen


STILL = np.random.default_rng(0).integers(0, 255, (48, 64))
STIRRED = STILL.copy()
STIRRED[40:44, 10:14] = (STILL[40:44, 10:14] + 90) % 255
FILMS = {
    "none": ([], [deep.NO_FRAMES]),
    "one": ([STILL], []),
    "still, and short": ([STILL] * 5, []),
    "still": ([STILL] * 12, [deep.FROZEN]),
    "still but for the codec": ([np.maximum(STILL, 2) - number % 3 for number in range(12)], [deep.FROZEN]),
    "a mouth moves": ([STILL, STIRRED] * 6, []),
    "black": ([STILL * 0 + 3] * 12, [deep.BLACK]),
    "fades in": ([STILL * 0 + 3 * number for number in range(30)], []),
}


@pytest.mark.parametrize("what", FILMS)
def test_odd_pictures(what):
    """Black and frozen pictures are told, and neither is a still face whose mouth moves."""
    pictures, signs = FILMS[what]
    assert [what for what, _ in seen(*pictures).signs()] == signs


def test_halves_move_apart():
    """What moves at the lower left is the left half's, and the upper part does not count."""
    above = STILL.copy()
    above[:20] = 0
    assert seen(STILL, STIRRED).moved[0] > 0
    assert seen(STILL, STIRRED).moved[1] == 0
    assert seen(STILL, STIRRED[:, ::-1]).moved[1] > seen(STILL[:, ::-1], STIRRED[:, ::-1]).moved[0]
    assert not seen(STILL, above).moved.any()


@pytest.mark.parametrize(
    ("turns", "against", "swapped"),
    [
        ([("d", "left", (9, 1)), ("d", "right", (1, 9))], [], False),
        ([("d", "left", (1, 9)), ("d", "right", (9, 1))], ["d"], True),
        # Who sits at the left never sits still, and moves a little more when speaking.
        ([("d", "left", (9, 1)), ("d", "left", (9, 1)), ("d", "right", (7, 3))], [], False),
        ([("d", "left", (1, 9)), ("e", "left", (9, 1)), ("f", "left", (9, 1))], ["d"], False),
        ([("d", "left", (49, 51)), ("e", "left", (9, 1))], [], False),
        ([("d", "full", (1, 9)), ("e", "left", (0, 0))], [], False),
    ],
)
def test_whose_half_moves(turns, against, swapped):
    """The half that is thrown away should not move more while its neighbour speaks; most dialogues say which it is."""
    signs = list(deep.side_signs((dialogue, side, np.array(moved, float)) for dialogue, side, moved in turns))
    assert [which for what, which, _ in signs if what == deep.OTHER_MOVES] == against
    assert any(what == deep.SWAPPED for what, *_ in signs) == swapped


# Decoded media.


def halves(*sides):
    """Return pictures of which so many halves hold a face that moves, or grey."""
    return [np.concatenate([{"face": picture, "grey": GREY}[side] for side in sides], axis=1) for picture in FACES]


def level(*values):
    """Return two seconds of a picture for each value, with a corner that tells it from black."""
    return [np.full((160, 160, 3), value, np.uint8) for value in values for _ in range(20 // len(values))]


MEDIA = {
    "silent": ({"sound": TONE * 0}, [deep.SILENT]),
    "clipped": ({"name": "film.avi", "sound": np.clip(TONE * 9, -1, 1)}, [deep.CLIPPED]),
    "lone": ({"sound": [TONE, TONE * 0], "layout": "stereo"}, [deep.LONE]),
    "opposed": ({"sound": [TONE, -TONE], "layout": "stereo"}, [deep.OPPOSED]),
    "no centre": ({"sound": [TONE, TONE, TONE * 0, TONE * 0, TONE, TONE], "layout": "5.1"}, [deep.NO_CENTRE]),
    "black": ({"pictures": level(0)}, [deep.BLACK]),
    "frozen": ({"pictures": [FACES[0]] * 20}, [deep.FROZEN]),
    "sound ends early": ({"sound": TONE[:RATE_HZ]}, [deep.APART]),
    "sound ends late": ({"pictures": FACES[:12]}, [deep.APART]),
    "sound begins late": ({"sound": TONE[3200:], "from_s": 0.2}, [deep.APART]),
}


@pytest.mark.parametrize("what", MEDIA)
def test_odd_media(tmp_path, what):
    """What is odd in numbers is found in films, too, and nothing else with it."""
    how, signs = MEDIA[what]
    path = film(tmp_path, **how)
    odd = clip("odd", audio=Audio(path, channel="centre"), video=Video(path))
    assert found(examined(tmp_path, odd, is_deep=True)) == {what: ["odd"] for what in signs}


def test_every_clip_has_its_own_span(tmp_path):
    """Of a long film the silent part is told of the clip that lies there, and what reaches past the end has nothing."""
    sound = np.concatenate([TONE[:RATE_HZ], TONE[:RATE_HZ] * 0])
    pictures = [*FACES[:10], *[FACES[9]] * 10]
    film(tmp_path, pictures=pictures, sound=sound)
    spans = {"early": (0.0, 0.9), "late": (1.2, 2.0), "both": (0.5, 1.5), "past": (2.2, 2.9)}
    clips = [clip(name, audio=Audio("film.mp4", *span), video=Video("film.mp4", *span)) for name, span in spans.items()]
    assert found(examined(tmp_path, *clips, is_deep=True)) == {
        doctor.AFTER_END: ["past"],
        deep.NO_SAMPLES: ["past"],
        deep.NO_FRAMES: ["past"],
        deep.SILENT: ["late"],
    }


def test_damage_inside_is_found(tmp_path):
    """A film whose head is whole and whose end or middle is not is found when it is decoded."""
    data = bytearray((tmp_path / film(tmp_path, movflags="faststart")).read_bytes())
    (tmp_path / "short.mp4").write_bytes(data[: len(data) // 3])
    middle = len(data) // 2
    data[middle : middle + 3000] = random.Random(3).randbytes(3000)
    (tmp_path / "torn.mp4").write_bytes(data)
    clips = [clip("good", "film.mp4"), clip("short", "short.mp4"), clip("torn", "torn.mp4")]
    report = examined(tmp_path, *clips, is_deep=True)
    assert set(found(report)[deep.DAMAGED]) == {"short", "torn"}
    assert report.to_mend


def with_sides(_, *, side: Literal["wearer_left", "wearer_right"] = "wearer_left"):  # noqa: ARG001
    """A reader that can be told whose half is whose."""
    yield from ()


def test_faces_are_looked_for_in_the_half_that_is_kept(tmp_path):
    """A face that moves in the other half does not count; where most halves have none, the option to set is named."""
    film(tmp_path, pictures=halves("face", "grey"))
    kept = {side: clip(side, audio=Audio("film.mp4"), video=Video("film.mp4", side=side)) for side in ("left", "right")}
    wrong = {deep.NO_FACE: ["right"], deep.OTHER_MOVES: ["right"]}
    report = examined(tmp_path, *kept.values(), is_deep=True)
    assert found(report) == wrong
    assert not report.to_mend
    report = examined(tmp_path, kept["right"], is_deep=True, clips=with_sides)
    assert found(report) == wrong | {deep.NO_FACES: ["all"], deep.SWAPPED: ["all"]}
    assert {finding.what for finding in report.findings if finding.to_mend} == {deep.NO_FACES, deep.SWAPPED}
    assert sum("set SET=side= to one of wearer_left, wearer_right" in line for line in doctor.lines(report)) == 2


# Hostile media.


def patched(data, *at_and_bytes):
    """Return a film of which some bytes are others, each so far behind the name of a part."""
    data = bytearray(data)
    for name, behind, content in at_and_bytes:
        at = data.index(name)
        while at >= 0:
            data[at + behind : at + behind + len(content)] = content
            at = data.find(name, at + 1)
    return data


COUNTS = [(name, 12 if name == b"stsz" else 8, bytes(4)) for name in (b"stts", b"stsc", b"stsz", b"stco")]
CLAIMS = {
    "no frames": ("film.mp4", COUNTS, {deep.DAMAGED}),
    "centuries": ("film.mkv", [(b"\x44\x89\x88", 3, struct.pack(">d", 1e14))], {doctor.LONG, deep.DAMAGED}),
    "endless": ("film.mkv", [(b"\x44\x89\x88", 3, struct.pack(">d", math.inf))], set()),
    "pictures that stay for years": ("film.mp4", [(b"stts", 16, b"\x7f\xff\xff\xff")], {deep.APART}),
    "a picture as large as a country": ("film.mp4", [(b"avc1", 28, b"\xff\xff\xff\xff")], set()),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_head_may_claim_anything(tmp_path, claim):
    """Neither endless films nor films without a frame end in a crash; what they claim is told where it is odd."""
    name, patches, wanted = CLAIMS[claim]
    path = tmp_path / film(tmp_path, name)
    path.write_bytes(patched(path.read_bytes(), *patches))
    report = examined(tmp_path, clip("a", name), is_deep=True)
    assert set(found(report)) >= wanted
    assert any("something is to be mended" in line for line in doctor.lines(report)) == report.to_mend


@pytest.mark.parametrize("name", ["film.mp4", "film.avi", "film.mkv", "sound.wav"])
def test_no_damage_makes_it_stumble(tmp_path, name):
    """Whatever bytes are lost, changed or put in, the head and every piece of a file are read or complained about."""
    data = (tmp_path / (wav(tmp_path, TONE) if name.endswith("wav") else film(tmp_path, name))).read_bytes()
    chance = random.Random(name)
    target = tmp_path / f"bad-{name}"
    for _ in range(25):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 30)):
            broken[chance.choice([chance.randrange(len(broken)), chance.randrange(400)])] = chance.randrange(256)
        target.write_bytes(broken[: chance.choice([len(broken), chance.randrange(len(broken))])])
        head = probe.head(target)
        assert head.seconds is None or math.isfinite(head.seconds)
        clips = [clip("c", target.name)]
        heads = {target.name: head}
        assert isinstance(list(deep.signs(tmp_path, clips, heads, None, lambda *_: None)), list)


def test_what_is_no_file(tmp_path):
    """A folder, a file that went away and one that may not be read have no head, and the reason is said."""
    (tmp_path / "folder.mp4").mkdir()
    for name in ("folder.mp4", "gone.mp4"):
        assert probe.head(tmp_path / name).error
        assert [type(piece) for piece in probe.pieces(tmp_path / name, {"audio"}, math.inf)] == [probe.Broken]
