"""What is asked for by name, grid and options: parted, checked, and turned into entries that build on others."""

import pytest

from extract import encoders, faces, wanted
from extract.asked import choices, split
from extract.plan import wants
from extract.wanted import detector_of
from features.key import Key


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("mfcc,egemaps", ["mfcc", "egemaps"]),
        (" mfcc , egemaps:clip ", ["mfcc", "egemaps:clip"]),
        ("a:windows(3,2,2)@fps=10,b", ["a:windows(3,2,2)@fps=10", "b"]),
        ("a:clip@every=5,max=25+faces=mfer,b+as=authors,c", ["a:clip@every=5,max=25+faces=mfer", "b+as=authors", "c"]),
        ("a,,b,", ["a", "b"]),
    ],
)
def test_names_are_parted_and_grids_are_not(names, found):
    """Commas part names; those within a grid belong to it."""
    assert split(names) == found


def test_every_encoder_can_be_asked_for_in_every_way():
    """Each option of each encoder, on each of its grids, is a sound entry with a key that survives its file."""
    seen = {}
    for name in encoders.names():
        for grid in encoders.spec(name).grids:
            for option, values in choices(name).items():
                for value in values if option != "language" else values[:2]:
                    if (value == "cut" and grid != "clip") or (name, value) == ("face_gray64", "yolo_face"):
                        continue
                    entry = wants("toys", [f"{name}:{grid}+{option}={value}"], weights="random:0", language="en")[-1]
                    assert Key.from_json(entry.key.to_json()) == entry.key
                    seen.setdefault(entry.key.fingerprint, set()).add(entry.name)
    assert all(len(names) == 1 for names in seen.values())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mfcc+denois=none", "mfcc: unknown option 'denois'. Did you mean 'denoise'?"),
        ("mfcc+vad=cat", "mfcc: unknown vad 'cat'. Did you mean 'cut'?"),
        ("mfcc+vad", r"mfcc\+vad: expected NAME:GRID\+OPTION=VALUE, got 'vad'"),
        ("mfcc+vad=cut", r"vad=cut joins what is spoken.*mfcc:clip\+vad=cut"),
        ("face_hog+faces=lefsi", "unknown faces 'lefsi'. Did you mean 'lefsa'?"),
        ("face_gray64+boxes=yolo_face", "yolo_face finds no points to turn faces upright by; say boxes=mtcnn"),
        ("minilm+words=whisper", "unknown words 'whisper'. Did you mean 'whisper_base'?"),
        ("whisper_base", r"the manifest names no single language; say what is spoken: whisper_base\+language=en"),
        ("minilm+words=whisper_base+language=xx", "unknown language 'xx'"),
    ],
)
def test_a_slip_of_the_pen_is_answered(name, reason):
    """What is asked for wrongly is refused with the nearest right thing, before anything is opened."""
    with pytest.raises(ValueError, match=reason):
        wants("toys", [name])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mfcc", "mfcc+denoise=none", True),
        ("mfcc", "mfcc+vad=mark", True),
        ("mfcc:clip", "mfcc:clip+vad=cut", False),
        ("mfcc:clip+vad=cut", "mfcc:clip+vad=cut+speech=lefsa", False),
        ("mfcc", "mfcc+denoise=spleeter", False),
        ("silero", "silero+preset=lefsa", False),
        ("face_hog", "face_hog+as=authors", False),
        ("face_hog", "face_hog+faces=mfer", False),
        ("mtcnn", "mtcnn+faces=house", True),
        ("mtcnn", "mtcnn+faces=mfer", False),
        ("minilm", "minilm+words=whisper_base", False),
        ("minilm+words=whisper_base", "minilm+words=whisper_base+language=ru", False),
        ("whisper_base+language=en", "whisper_base+language=ru", False),
    ],
)
def test_what_changes_numbers_changes_the_key(one, other, same):
    """An option that changes a feature gives the entry another name; one that changes none does not."""
    first, second = (wants("toys", [name], weights="random:0", language="en")[-1].name for name in (one, other))
    assert (first == second) == same


def test_speech_that_is_marked_stands_beside():
    """Marked speech is an entry of its own: another threshold makes no feature stale."""
    beside, mfcc = wants("toys", ["mfcc+vad=mark+speech=lefsa"])
    assert (beside.encoder, beside.key.settings["threshold"]) == ("silero", 0.4)
    assert (mfcc.leader, mfcc.key.builds_on) == (None, ())


def test_words_build_on_a_transcript_that_builds_on_speech():
    """A chain of entries: whoever reads names who transcribed, who names where somebody spoke."""
    speech, transcript, words = wants("toys", ["minilm+words=whisper_base"], weights="random:0", language="ru")
    assert words.key.builds_on == (transcript.name,)
    assert transcript.key.builds_on == (speech.name,)
    assert transcript.key.settings["language"] == "ru"
    assert {want.source for want in (speech, transcript, words)} == {"audio"}
    assert words.stages == {"minilm", "whisper_base", "silero"}


@pytest.mark.parametrize(("installed", "found"), [(True, "yolo_face"), (False, "mtcnn")])
def test_mtcnn_stands_in_where_a_package_is_missing(monkeypatch, installed, found):
    """Without ultralytics MTCNN finds the faces, and the key says so."""
    monkeypatch.setattr(wanted, "find_spec", lambda _: installed or None)
    assert detector_of(faces.PRESETS["lefsa"]) == found
    assert wants("toys", ["emoaffectnet"])[-1].key.builds_on[0].startswith(f"{found}-")


def test_mtcnn_stands_in_where_dlibs_file_is_missing(monkeypatch, tmp_path):
    """Paper 001's faces are aligned by dlib's points where that file is present, else by MTCNN's."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    pinned = encoders.spec("dlib").weights
    assert detector_of(faces.PRESETS["cross_bert"]) == "mtcnn"
    pinned.folder.mkdir(parents=True)
    with (pinned.folder / pinned.files[0]).open("wb") as file:
        file.truncate(pinned.sizes[0])
    assert detector_of(faces.PRESETS["cross_bert"]) == "dlib"
