"""A plan carried out: what is written, what fails, what is resumed, and that no clip knows its neighbours."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import media_kit as kit
import numpy as np
import pytest

import manifests
from extract import __main__ as cli
from extract import ahead, encode, line
from extract.denoisers import spleeter
from extract.encoders import Encoded, mtcnn, silero, toy_text
from extract.plan import plan, wants
from extract.slices import Job
from extract.tally import Meter, Tally
from extract.work import Worker
from features import Reader, folder_of
from features.failures import recorded
from features.roots import root

TOYS = ("toy_audio", "toy_frames", "toy_text")
SPOKEN_S = np.array([[0.1, 0.6]], np.float32)
FACES = ("mfcc", "face_hog", "toy_frames", "toy_text")


@pytest.fixture
def corpus(roots):
    """Make the small corpus and its manifest."""
    made = kit.small_corpus(roots / "media")
    manifests.write(made)
    return made


@pytest.fixture
def opened(monkeypatch):
    """Note every file that the decoder opens."""
    names, opening = [], av.open
    monkeypatch.setattr(
        av, "open", lambda name, *rest, **more: names.append(Path(name).name) or opening(name, *rest, **more)
    )
    return names


def extract(corpus, *names, chosen=lambda _: True, retry=False):
    """Plan and work in this process; return the tally."""
    todo = plan(corpus, wants("toys", names), chosen, retry=retry)
    worker = Worker(Job(todo.manifest.root, tuple(entry.want for entry in todo.entries if entry.todo)))
    tally = Tally()
    for part in todo.slices:
        tally.add(worker.work(part, Meter(time_limit=30)))
    return tally


def reader(encoder):
    """Open the one entry of an encoder."""
    want = wants("toys", [encoder])[-1]
    return Reader(folder_of("toys", want.key))


def failed(encoder):
    """Return the recorded failures of an encoder's entry."""
    return recorded(reader(encoder).folder)


def same(one, other):
    """Return whether two windows are equal in every part."""
    arrays = [(getattr(one, name), getattr(other, name)) for name in ("values", "start", "spans_s", "valid")]
    arrays += [(one.steps[name], other.steps[name]) for name in one.steps]
    return all(np.array_equal(a, b) for a, b in arrays)


def test_one_visit_opens_each_file_once_for_all_encoders(corpus, opened):
    """Sound at one rate and frames for three encoders come out of one pass over the file."""
    tally = extract(corpus, *FACES, chosen=lambda clip: clip.id in ("a", "wav", "text0"))
    assert sorted(opened) == ["a.mp4", "s.wav"]
    assert (tally.clips, tally.files, tally.failed) == (3, 2, set())


def test_a_second_run_opens_nothing(corpus, opened, capsys):
    """Run again, the command line says that there is nothing to do, and no media file is opened."""
    extract(corpus, *TOYS)
    opened.clear()
    before = kit.snapshot(root())
    assert cli.main(["run", "toys", "--encoders", ",".join(TOYS)]) == 0
    assert "nothing to do: every chosen clip is in the cache. 0 media files opened." in capsys.readouterr().out
    assert (opened, kit.snapshot(root())) == ([], before)


def test_only_what_is_missing_is_computed(corpus, opened):
    """One more encoder of text opens no film, and clips that were left out are all that is opened later."""
    extract(corpus, "toy_audio", chosen=lambda clip: clip.split == "train")
    opened.clear()
    tally = extract(corpus, "toy_audio", "toy_text")
    assert sorted(opened) == ["b.mp4", "s.wav"]
    assert sorted(tally.windows.values()) == [2, 7]


def test_features_are_those_of_the_clip(corpus):
    """Values, spans and real steps of known media are what they must be."""
    extract(corpus, *TOYS)
    with reader("toy_audio") as sound, reader("toy_frames") as frames, reader("toy_text") as text:
        loudness = sound["b"].window(0)[10:140, 0]
        np.testing.assert_allclose(loudness, 0.4 / np.sqrt(2), rtol=0.05)
        assert sound["wav"].spans_s.tolist() == [[0, 3]]
        assert sound["flac"].valid.tolist() == [35]
        assert frames["b"].spans_s.tolist() == [[0, 3]]
        assert frames["long1"].valid.tolist() == [20]
        assert text["text0"].values[:, 0].tolist()[:10] == [ord(character) for character in "Only words"]
        assert sound.keys() == {"a", "b", "long0", "long1", "wav", "flac"}


def test_a_changed_clip_replaces_its_row_and_leaves_every_other_byte(corpus):
    """After a mended transcript the stale row is gone, and the rows and parts of all others are what they were."""
    extract(corpus, *TOYS)
    before, was = kit.snapshot(root()), dict(reader("toy_text"))
    mended = [replace(clip, text="Mended!") if clip.id == "long0" else clip for clip in corpus.clips]
    extract(replace(corpus, clips=tuple(mended)), *TOYS)
    after = kit.snapshot(root())
    assert {name: after[name] for name in before if "toy_text" not in name} == {
        name: content for name, content in before.items() if "toy_text" not in name
    }
    with reader("toy_text") as text:
        assert chr(int(text["long0"].values[0, 0])) == "M"
        assert all(same(text[clip], was[clip]) for clip in was if clip != "long0")
        rows = [clip for path in text.parts for clip in text.part(path).ids]
        assert len(rows) == len(set(rows)) == len(was)


def test_a_broken_clip_is_recorded_and_stops_no_other(corpus):
    """A film that cannot be decoded fails for sound and picture, with stage and reason; its words are done."""
    (corpus.root / "b.mp4").write_bytes(b"broken")
    tally = extract(corpus, *TOYS)
    assert tally.failed == {"b"}
    for encoder in TOYS[:2]:
        failure = failed(encoder)["b"]
        assert (failure.stage, failure.attempts) == ("decode", 1)
        assert "b.mp4: expected a whole film" in failure.reason
    assert "b" not in reader("toy_audio")
    assert {"a", "long0", "wav"} < set(reader("toy_audio"))
    assert "b" in reader("toy_text")


def test_a_failed_clip_is_left_out_until_it_is_mended_or_tried_again(corpus, opened):
    """The next run leaves it out; --retry counts another attempt; a mended file is tried by itself."""
    whole = (corpus.root / "b.mp4").read_bytes()
    (corpus.root / "b.mp4").write_bytes(b"broken")
    extract(corpus, *TOYS)
    opened.clear()
    assert extract(corpus, *TOYS).clips == 0
    assert not opened
    assert extract(corpus, *TOYS, retry=True).clips == 1
    assert failed("toy_audio")["b"].attempts == 2
    (corpus.root / "b.mp4").write_bytes(whole)
    assert not extract(corpus, *TOYS).failed
    assert "b" in reader("toy_audio")
    assert extract(corpus, *TOYS).clips == 0


def test_only_the_broken_stream_of_a_film_fails(corpus):
    """NaN in the sound of a film leaves its pictures, and says what is wrong with the sound."""
    sound = kit.tone(300, 1)
    sound[500] = np.nan
    pictures = [kit.picture(i) for i in range(25)]
    kit.write(corpus.root / "nan.mkv", pictures, sound, how=kit.Sound("pcm_f32le", "flt"))
    clip = kit.clip("nan.mkv", "nan.mkv", id="nan")
    extract(replace(corpus, clips=(*corpus.clips, clip)), *TOYS)
    assert failed("toy_audio")["nan"].reason == "nan.mkv: 1 samples are not finite"
    assert "nan" in reader("toy_frames")


@pytest.fixture
def moody_text(monkeypatch):
    """Let the text encoder give other answers than it should."""
    whole = toy_text.load("cpu", "exact")

    def spoil(answer):
        monkeypatch.setattr(toy_text, "load", lambda *_: lambda batch, valid: answer(whole(batch, valid), batch))

    return spoil


def raises(given, batch):
    """Dislike one sentence."""
    if "Two, and no more." in batch:
        raise ZeroDivisionError("two is too many")
    return given


def not_finite(given, batch):
    """Answer one sentence with something that is no number."""
    for row, sentence in enumerate(batch):
        if sentence.startswith("Two"):
            given.values[row] = np.inf
    return given


def too_long(given, batch):
    """Claim more real steps than there are."""
    valid = [99 if sentence.startswith("Two") else 1 for sentence in batch]
    return replace(given, valid=valid)


@pytest.mark.parametrize(
    ("answer", "stage", "reason"),
    [
        (raises, "encode", "ZeroDivisionError: two is too many"),
        (not_finite, "write", "not finite"),
        (too_long, "encode", "expected valid between 0 and"),
    ],
    ids="raises not-finite too-long".split(),
)
def test_an_encoder_that_fails_on_one_clip(corpus, moody_text, answer, stage, reason):
    """Whether it raises, gives infinity or contradicts itself: the clip is recorded, and the others are written."""
    moody_text(answer)
    assert extract(corpus, *TOYS).failed == {"long1"}
    failure = failed("toy_text")["long1"]
    assert failure.stage == stage
    assert reason in failure.reason
    assert set(reader("toy_text")) == {"a", "b", "long0", "flac", "text0", "text1"}


@pytest.mark.parametrize(("broken", "allowed", "code"), [(1, "", 1), (0, "", 0), (1, "0.2", 0), (3, "0.2", 1)])
def test_exit_code_tells_too_many_failures(corpus, monkeypatch, capsys, broken, allowed, code):
    """More than 5 % of failed clips, or than MAX_FAILED says, is exit code 1; the summary names them either way."""
    monkeypatch.setenv("MAX_FAILED", allowed)
    for name in ("a.mp4", "s.wav", "s.flac")[:broken]:
        (corpus.root / name).write_bytes(b"broken")
    assert cli.main(["run", "toys", "--encoders", ",".join(TOYS)]) == code
    said = capsys.readouterr()
    assert ("clips failed, recorded in" in said.out) == bool(broken)
    assert ("MAX_FAILED" in said.err) == bool(code)


@pytest.mark.usefixtures("one_thread")
def test_crops_are_cut_by_stored_boxes(corpus, monkeypatch):
    """When only the crops' encoder is missing no detector is loaded, and the features are those of a run of both."""
    extract(corpus, "face_hog")
    both = dict(reader("face_hog"))
    assert both["mute"].steps["n_faces"].tolist() == [1] * 30
    shutil.rmtree(reader("face_hog").folder)
    monkeypatch.setattr(mtcnn, "load", lambda *_: pytest.fail("boxes were computed again"))
    assert not extract(corpus, "face_hog").failed
    again = reader("face_hog")
    assert again.keys() == both.keys()
    assert all(same(again[clip], both[clip]) for clip in both)


@pytest.mark.usefixtures("one_thread")
def test_boxes_of_an_earlier_picture_are_never_used(corpus, monkeypatch):
    """A film was replaced and its new boxes could not be had: no crop is cut by the old ones, and it says so."""
    extract(corpus, "mtcnn", chosen=lambda clip: clip.id == "mute")
    kit.write(corpus.root / "mute.mp4", [kit.picture(3)] * 9)
    monkeypatch.setattr(mtcnn, "load", lambda *_: lambda *_: 1 / 0)
    assert extract(corpus, "mtcnn", chosen=lambda clip: clip.id == "mute").failed == {"mute"}
    assert extract(corpus, "face_hog", chosen=lambda clip: clip.id == "mute").failed == {"mute"}
    assert failed("face_hog")["mute"].reason.startswith("mtcnn-")


@pytest.mark.usefixtures("one_thread")
def test_speech_is_cut_by_stored_spans(corpus, monkeypatch):
    """When only the hearer is missing nobody looks for speech again, and the features are those of a run of both."""
    name = "mfcc:clip+vad=cut"
    monkeypatch.setattr(line, "LONGER_THAN_S", 0)
    monkeypatch.setattr(silero, "load", lambda *_, **__: lambda sounds, _: Encoded([SPOKEN_S] * len(sounds)))
    extract(corpus, name)
    both = dict(reader(name))
    assert both["long1"].spans_s[0, 1] > SPOKEN_S[0, 1]
    assert len(both["long1"].values) < 50
    shutil.rmtree(reader(name).folder)
    monkeypatch.setattr(silero, "load", lambda *_, **__: pytest.fail("speech was looked for again"))
    assert not extract(corpus, name).failed
    again = reader(name)
    assert again.keys() == both.keys()
    assert all(same(again[clip], both[clip]) for clip in both)


def test_a_voice_is_separated_once_for_all_that_hear_it(corpus, monkeypatch):
    """Two encoders that want the voice share one separation of each clip; one that fails says so and stops no other."""
    heard = []

    def separate(sound):
        heard.append(len(sound))
        if len(heard) == 1:
            raise RuntimeError("too loud")
        return sound / 2

    monkeypatch.setattr(spleeter, "load", lambda _: separate)
    tally = extract(corpus, "mfcc+denoise=spleeter", "egemaps_lld+denoise=spleeter", "mfcc")
    (first,) = tally.failed
    assert failed("mfcc+denoise=spleeter")[first].reason == "spleeter: RuntimeError: too loud"
    assert failed("egemaps_lld+denoise=spleeter").keys() == {first}
    whole, voice = reader("mfcc"), reader("mfcc+denoise=spleeter")
    assert len(heard) == len(whole)
    assert voice.keys() == whole.keys() - {first}
    assert not any(same(voice[clip], whole[clip]) for clip in voice)


@pytest.mark.usefixtures("one_thread")
def test_no_clip_knows_its_neighbours(corpus, monkeypatch, roots):
    """Extracted alone, a clip has bit for bit the features that it has in the whole corpus."""
    extract(corpus, *FACES)
    together = {encoder: dict(reader(encoder)) for encoder in FACES}
    for name in ("b", "long1", "flac"):
        monkeypatch.setenv("FEATURES_ROOT", str(roots / f"alone_{name}"))
        extract(corpus, *FACES, chosen=lambda clip, name=name: clip.id == name)
        for encoder in FACES:
            if name in together[encoder]:
                assert same(reader(encoder)[name], together[encoder][name]), (encoder, name)


def test_pictures_do_not_pile_up(corpus, monkeypatch, roots):
    """When too many pictures wait for a full batch they are encoded at once, which changes no feature."""
    extract(corpus, *TOYS)
    waited = dict(reader("toy_frames"))
    monkeypatch.setenv("FEATURES_ROOT", str(roots / "hasty"))
    monkeypatch.setattr(encode, "HELD_BYTES", 0)
    monkeypatch.setattr(ahead, "QUEUE_BYTES", 1)
    extract(corpus, *TOYS)
    assert all(same(reader("toy_frames")[clip], waited[clip]) for clip in waited)


@pytest.fixture
def many(roots):
    """Make a corpus of 240 segments of six recordings: six slices."""
    folder = roots / "media"
    folder.mkdir()
    clips = []
    for file in range(6):
        kit.write(folder / f"{file}.wav", sound=kit.noise(21, 16_000, file), how=kit.Sound("pcm_s16le", "s16"))
        spans = [{"path": f"{file}.wav", "start_s": i / 2, "end_s": i / 2 + 0.5 + i / 60} for i in range(40)]
        clips += [kit.clip(span, id=f"{file}_{i}", text=f"{i} !") for i, span in enumerate(spans)]
    made = kit.manifest(folder, clips)
    manifests.write(made)
    return made


COMMAND = [sys.executable, "-m", "extract", "run", "toys", "--encoders", "toy_audio,mfcc,toy_text"]


def command(cache, kill_at=None):
    """Run the real command in a process of its own; kill it as soon as so many parts are there."""
    environment = os.environ | {"FEATURES_ROOT": str(cache)}
    process = subprocess.Popen(
        COMMAND,
        cwd=Path(__file__).parents[1],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while kill_at and process.poll() is None:
        if len(list(cache.glob("toys/*/part-*.h5"))) >= kill_at:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    said = process.communicate(timeout=120)
    return process.returncode, said


def parts(cache):
    """Return the parts and keys of a cache, byte for byte."""
    found = kit.snapshot(cache)
    return {name: content for name, content in found.items() if name.endswith((".h5", "spec.json"))}


@pytest.mark.usefixtures("many")
def test_a_killed_run_is_resumed_to_the_same_bytes(roots):
    """Killed by -9 after the first and after the fourth part, the command ends with the parts of a run in peace."""
    peace, war = roots / "peace", roots / "war"
    code, said = command(peace)
    assert (code, said[1]) == (0, "")
    wanted = parts(peace)
    assert sum(name.endswith(".h5") for name in wanted) == 18
    for _ in range(5):  # on a busy machine the blow may come too late
        shutil.rmtree(war, ignore_errors=True)
        if [command(war, kill_at)[0] for kill_at in (1, 4)] == [-signal.SIGKILL] * 2 and parts(war) != wanted:
            break
    else:
        pytest.fail("never killed in time")
    left = parts(war)
    assert sum(name.endswith(".h5") for name in left) >= 4
    assert left.items() <= wanted.items()
    assert command(war)[0] == 0
    assert parts(war) == wanted


def test_what_fails_anew_keeps_its_old_row(corpus):
    """One stale clip is computed again while another's new file is broken: only the first one's old row goes."""
    extract(corpus, "toy_frames")
    old = reader("toy_frames")["b"]
    shutil.copy(corpus.root / corpus.clips[1].video.path, corpus.root / corpus.clips[0].video.path)
    (corpus.root / corpus.clips[1].video.path).write_bytes(b"nothing to see")
    assert extract(corpus, "toy_frames").failed == {"b"}
    assert same(reader("toy_frames")["b"], old)
    assert same(reader("toy_frames")["a"], old)


@pytest.mark.usefixtures("roots", "one_thread")
@pytest.mark.parametrize("shared", ["grid-talking-faces"], indirect=True)
def test_real_talking_faces_reach_the_cache(shared):
    """Four real films through decoder, detector, windows and cache: one window, a face in each of its 30 frames."""
    names = sorted(path.stem for path in shared.glob("*.mpg"))
    films = [kit.clip(f"{name}.mpg", f"{name}.mpg", id=name) for name in names]
    assert not extract(kit.manifest(shared, films), "mfcc", "face_hog").failed
    assert set(reader("face_hog")) == set(reader("mfcc")) == set(names)
    for name in names:
        faces, sound = reader("face_hog")[name], reader("mfcc")[name]
        assert (faces.stack().shape, faces.spans_s.tolist()) == ((1, 30, 576), [[0, 3]])
        assert faces.steps["n_faces"].tolist() == [1] * 30
        assert sound.stack().shape == (1, 149, 40)
        assert sound.spans_s[0, 1] == pytest.approx(2.98, abs=0.005)


def test_slots_without_a_frame_are_counted(roots):
    """A film of 5 pictures a second, sampled at 10, repeats every second one, and the summary says how many."""
    film = kit.Film(fps=Fraction(5))
    kit.write(roots / "slow.mp4", [kit.picture(i) for i in range(10)], film=film)
    tally = extract(kit.manifest(roots, [kit.clip(video="slow.mp4")]), "toy_frames")
    assert list(tally.repeated.values()) == [10]
