"""Media of one's own, scored by a trained run: the whole way, through processes, to three files."""

import csv
import json
import re
import shutil

import command_kit
import media_kit as kit
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from skimage.data import astronaut

import manifests
from extract import __main__ as extract_cli
from features import CacheError, Key, about, folder_of
from features.entries import create
from fuse import __main__ as cli
from fuse import extraction, kept, recordings
from fuse.backdrop import Backdrop
from fuse.pages import timeline
from fuse.prediction import Answer, Scored, Stretch
from fuse.recordings import CORPUS, Wish
from manifests import Audio, Video, labels

EMOTIONS = ("neutral", "happy", "sad", "anger")
SPLITS = ("train",) * 4 + ("dev",) * 2 + ("test",) * 2
TRAINED = ["unimodal", "--corpus", "toys", "--seeds", "2", "--encoders", "audio=toy_audio", "video=toy_frames"]
TRAINED += ["text=toy_text", "--set", "train.epochs=1", "train.lr=1e-2", "data.standardise=true"]
TRAINED += ["tasks=emotion,sentiment,sentiment_score"]
ROOTS = ("FEATURES", "MANIFESTS", "RUNS", "WEIGHTS")


def film(path, number, seconds):
    """Write a short film that looks and sounds like its number."""
    frames = [np.roll(astronaut()[20:116, 130:226], 9 * number + i, axis=1) for i in range(round(5 * seconds))]
    return kit.write(path, frames, kit.tone(100 + 60 * number, seconds), kit.Film(fps=kit.Fraction(5)))


def call(capsys, *arguments):
    """Run `python -m fuse`; return its exit code and what it said on both channels."""
    return command_kit.called(cli.main, capsys, arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train two seeds for an epoch on eight clips of toys; return the folder that holds media, caches and the run."""
    place = tmp_path_factory.mktemp("predict")
    (place / "media").mkdir()
    clips = []
    for number, split in enumerate(SPLITS):
        film(place / "media" / f"c{number}.mp4", number, 1.2 if number % 2 else 4.4)
        word = EMOTIONS[number % 4]
        told = {
            "emotion": labels.emotion(word),
            "sentiment": labels.sentiment("positive" if number % 2 else "negative"),
        }
        told["sentiment_score"] = (number / 2 - 2,)
        name = f"c{number}.mp4"
        clips.append(
            kit.clip(
                name, name, id=f"c{number}", split=split, text=f"It is {word}.", labels=told, label_kind="majority"
            )
        )
    with pytest.MonkeyPatch.context() as patch:
        for name in ROOTS:
            patch.setenv(f"{name}_ROOT", str(place / name.lower()))
        manifests.write(kit.manifest(place / "media", clips))
        assert extract_cli.main(["run", "toys", "--encoders", "toy_audio,toy_frames,toy_text"]) == 0
        assert cli.main(TRAINED) == 0
        yield place


@pytest.fixture
def run(trained):
    """Return the folder of the finished run."""
    (folder,) = (trained / "runs").glob("unimodal-toys-*")
    return folder


@pytest.fixture(scope="module")
def mixed(trained):
    """Score two test clips, a film without sound and a broken one; return exit code and what was written."""
    given, out = trained / "given", trained / "out"
    given.mkdir()
    for name in ("c6", "c7"):
        shutil.copy(trained / "media" / f"{name}.mp4", given)
        (given / f"{name}.txt").write_text(f"It is\n {EMOTIONS[int(name[1]) % 4]}.", encoding="utf-8")
    kit.write(given / "mute.mp4", [astronaut()[:64, :64]] * 8, film=kit.Film(fps=kit.Fraction(5)))
    (given / "broken.mp4").write_bytes(b"\0" * 999)
    (given / "notes.pdf").write_bytes(b"no medium")
    (folder,) = (trained / "runs").glob("unimodal-toys-*")
    with pytest.raises(SystemExit) as stop:
        cli.main(["predict", str(folder), str(given), "--out", str(out)])
    return stop.value.code, json.loads((out / "prediction.json").read_text(encoding="utf-8")), out


def test_a_test_clip_gets_what_the_run_said_of_it(mixed, run):
    """Scored anew from its file, through other caches, a test clip gets the shares that stand in predictions.csv."""
    with (run / "predictions.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    for clip in mixed[1]["clips"][:2]:
        for task, answer in clip["whole"]["fusion"].items():
            each = [row for row in rows if (row["clip"], row["task"]) == (clip["clip"], task)]
            assert len(each) == 2
            for name, mean in answer["mean"].items():
                known = [float(row["predicted" if task == name else f"p_{name}"]) for row in each]
                assert mean == pytest.approx(np.mean(known), abs=2e-6)
                assert answer["spread"][name] == pytest.approx(np.std(known, ddof=1), abs=4e-6)


def test_what_is_missing_is_said(mixed):
    """A film without sound and words is scored by its picture; a broken one is named, with exit code 1."""
    code, found, _ = mixed
    assert code == 1
    assert list(found["unreadable"]) == ["broken.mp4"]
    mute = found["clips"][2]
    assert mute["missing"] == {"audio": "the file has no sound", "text": "nobody says what is said in it"}
    assert set(mute["whole"]) == {"fusion", "video"}
    assert any("Scored without words: mute." in note for note in found["notes"])


def test_every_stage_has_its_real_time_factor(mixed):
    """Stages and encoders state their seconds, and those per second of media."""
    found = mixed[1]
    assert {"run", "manifest", "extract", "fuse", "all", "extract: toy_audio", "extract: decode"} <= found[
        "stages"
    ].keys()
    for stage in found["stages"].values():
        assert stage["real_time_factor"] == pytest.approx(stage["seconds"] / found["media_s"], abs=1e-5)


def test_table_and_page_tell_the_same(mixed):
    """Each answer of the JSON is a row of the table; the page shows every clip and loads nothing."""
    _, found, out = mixed
    with (out / "prediction.csv").open(encoding="utf-8") as file:
        rows = {
            (row["clip"], row["part"], row["start_s"], row["voice"], row["task"]): row for row in csv.DictReader(file)
        }
    count = 0
    for clip in found["clips"]:
        for part, start_s, said in [("whole", 0.0, clip["whole"])] + [
            ("window", one["start_s"], one["said"]) for one in clip["windows"]
        ]:
            for voice, by in said.items():
                for task, answer in by.items():
                    row = rows[clip["clip"], part, str(start_s), voice, task]
                    assert row["said"] == str(answer["said"])
                    given = {name: row["said" if name == task else f"p_{name}"] for name in answer["mean"]}
                    assert {name: float(value) for name, value in given.items()} == answer["mean"]
                    count += 1
    assert count == len(rows)
    page = (out / "prediction.html").read_text(encoding="utf-8")
    assert all(clip["file"] in page for clip in found["clips"])
    assert not re.search(r"(src|href)=[\"']?(https?:|//)", page)


def test_a_window_is_scored_as_a_clip_of_that_window(capsys, trained, run, mixed):
    """What is said of the first window equals what is said of a piece of the recording that is cut there."""
    out = trained / "cut"
    given = trained / "given" / "c6.mp4"
    code, said, _ = call(capsys, "predict", run, given, "--cut", "3", "--out", out, "--text", "not of the pieces")
    assert code == 0
    assert "words are of the whole recording" in said
    pieces = json.loads((out / "prediction.json").read_text(encoding="utf-8"))["clips"]
    assert [(one["clip"], one["start_s"]) for one in pieces] == [("c6.0000", 0.0), ("c6.0001", 3.0)]
    windows = mixed[1]["clips"][0]["windows"]
    assert [(one["start_s"], one["end_s"]) for one in windows] == [(0.0, 3.0), (2.0, pytest.approx(4.4, abs=0.3))]
    for task, answer in pieces[0]["whole"]["audio"].items():
        assert answer["mean"] == pytest.approx(windows[0]["said"]["audio"][task]["mean"], abs=2e-3)
        assert answer["mean"] != pytest.approx(windows[1]["said"]["audio"][task]["mean"], abs=1e-9)


def without_stages(found):
    """Return the answers of a prediction, without what differs from one machine to another."""
    return {name: value for name, value in found.items() if name not in {"stages", "notes", "media_s"}}


def alike(one, other):
    """Say whether two answers are the same, shares to the last decimal that is written."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == pytest.approx(other, abs=2e-6) if isinstance(one, float) else one == other


def test_a_run_travels(capsys, trained, run, mixed, tmp_path, monkeypatch):
    """Far from corpus and cache the run's folder alone gives the same answers, and says nothing of changed labels."""
    away = shutil.copytree(run, tmp_path / "away")
    for name in ("FEATURES", "MANIFESTS"):
        monkeypatch.setenv(f"{name}_ROOT", str(tmp_path / name))
    code, said, _ = call(capsys, "predict", away, trained / "given", "--out", tmp_path / "out")
    assert code == 1  # the broken file
    assert "have changed" not in said
    found = json.loads((tmp_path / "out" / "prediction.json").read_text(encoding="utf-8"))
    assert alike({**without_stages(found), "run": run.name}, without_stages(mixed[1]))
    assert sum(path.stat().st_size for path in (away / kept.FOLDER).rglob("*") if path.is_file()) < 1_000_000


def test_an_older_run_needs_corpus_and_cache(capsys, trained, run, mixed, tmp_path, monkeypatch):
    """A run that keeps nothing is scored where both are, and elsewhere a message says what mends it."""
    old = shutil.copytree(run, tmp_path / "old")
    shutil.rmtree(old / kept.FOLDER)
    given = trained / "given"
    assert call(capsys, "predict", old, given, "--out", tmp_path / "out")[0] == 1
    found = json.loads((tmp_path / "out" / "prediction.json").read_text(encoding="utf-8"))
    assert alike({**without_stages(found), "run": run.name}, without_stages(mixed[1]))
    assert not (old / kept.FOLDER).exists()
    for name in ("MANIFESTS", "FEATURES"):
        monkeypatch.setenv(f"{name}_ROOT", str(tmp_path / name))
        code, _, said = call(capsys, "predict", old, given / "c6.mp4", "--out", tmp_path / "none")
        assert code == 2
        assert "run its command again, which trains nothing twice" in said


@pytest.mark.parametrize(
    ("harm", "answer"),
    [
        (lambda place: (place / kept.SCALES).write_bytes(b"\x80\x04c__builtin__\neval"), "what this version keeps"),
        (lambda place: (place / kept.SCALES).unlink(), "expected the scales of fold ''"),
        (lambda place: _narrow(place / kept.SCALES), "of other widths"),
        (lambda place: shutil.rmtree(next(place.glob(f"{kept.CORPUS}/toy_audio-*"))), "not among what is kept"),
        (lambda place: next(place.glob("*/toy_audio-*/part-*")).write_bytes(b"\0" * 999), "toy_audio"),
    ],
)
def test_a_harmed_run_is_refused(capsys, trained, run, tmp_path, harm, answer):
    """What a run keeps is read strictly: a message, and nothing is extracted or scored."""
    harmed = shutil.copytree(run, tmp_path / "harmed")
    harm(harmed / kept.FOLDER)
    code, _, said = call(capsys, "predict", harmed, trained / "media" / "c6.mp4", "--out", tmp_path / "out")
    assert code == 2
    assert answer in said
    assert not (tmp_path / "out").exists()


def _narrow(path):
    save_file({name: scale[..., :1].copy() for name, scale in load_file(path).items()}, path)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda run, clip: (run.parent, clip), "expected a finished run with report.json"),
        (lambda run, clip: (run / "nowhere", clip), "expected a finished run with report.json"),
        (lambda run, clip: (run, clip.with_name("nowhere.mp4")), "which is not there"),
        (lambda run, clip: (run, clip.with_name("broken.mp4")), "broken.mp4: cannot be read"),
        (lambda run, clip: (run, clip, "--cut", "-1"), "CUT: expected seconds from 1"),
        (lambda run, clip: (run, clip.parent, "--text", "Hm."), "TEXT: is what one clip says"),
    ],
)
@pytest.mark.usefixtures("mixed")
def test_what_a_user_gets_wrong_is_a_message(capsys, trained, run, change, answer):
    """No run, no medium, a broken one, nonsense: exit code 2 and what was expected."""
    code, _, said = call(capsys, "predict", *change(run, trained / "given" / "c6.mp4"))
    assert code == 2
    assert answer in said


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("provenance"),
        lambda data: data["provenance"].update(recipe=7),
        lambda data: data["provenance"]["recipe"].update(model="../../etc"),
        lambda data: data["provenance"]["features"].update(audio="toy_audio-00000000"),
        lambda data: data["folds"][0].update(name="../../elsewhere"),
        lambda data: data["folds"][0]["seeds"][0].update(seed="x"),
        lambda data: data["folds"][0]["seeds"][0].update(seed=99),
        lambda data: data.update(folds=[]),
    ],
)
def test_a_damaged_report_is_a_message(capsys, trained, run, tmp_path, damage):
    """Whatever stands in report.json, it is refused with a word and never a stack trace."""
    copy = shutil.copytree(run, tmp_path / "run")
    data = json.loads((copy / "report.json").read_text(encoding="utf-8"))
    damage(data)
    (copy / "report.json").write_text(json.dumps(data), encoding="utf-8")
    code, _, said = call(capsys, "predict", copy, trained / "media" / "c6.mp4", "--out", tmp_path / "out")
    assert code == 2
    assert len(said) > 20
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("roots")
def test_other_features_are_refused_with_the_field_that_differs():
    """Features of another version of an encoder are no input of the run, and the message says which field it is."""
    old, new = Key("toy", 1, "clip"), Key("toy", 2, "clip")
    for corpus, key in (("toys", old), (CORPUS, new)):
        create(folder_of(corpus, key), key)
    with pytest.raises(CacheError, match=r"version +1  \|  2"):
        extraction.refuse_unlike([folder_of("toys", old)])
    extraction.refuse_unlike([folder_of(CORPUS, new)])


@pytest.mark.usefixtures("roots")
def test_features_are_asked_for_as_they_were():
    """Precision and random weights of an entry, or of one it builds on, are asked for again; imports cannot be."""
    boxes = Key("boxes", 1, "clip", precision="fast")
    for key in (boxes, Key("face", 1, "clip", builds_on=(boxes.name,)), Key("drawn", 1, "clip", weights="random:3")):
        create(folder_of("toys", key), key)
        about.write(folder_of("toys", key), {"asked": key.encoder})
    plain = Key("plain", 1, "clip")
    create(folder_of("toys", plain), plain)
    names = ("face", "drawn")
    folders = [next(folder_of("toys", boxes).parent.glob(f"{name}-*")) for name in names]
    found = extraction.orders(folders)
    assert {(one.precision, one.weights): asked for one, asked in found.items()} == {
        ("fast", ""): ["face"],
        ("exact", "random:3"): ["drawn"],
    }
    about.write(folder_of("toys", plain), {"origin": "imported"})
    with pytest.raises(CacheError, match="was imported, so that no new clip"):
        extraction.orders([folder_of("toys", plain)])


def test_a_recording_is_cut_into_turns(tmp_path):
    """Pieces follow each other without a gap to the end, as turns of one conversation; a short rest joins the last."""
    kit.write(tmp_path / "talk.wav", sound=kit.tone(200, 6.2, 8_000), how=kit.Sound("pcm_s16le", "s16", 8_000))
    found = recordings.find(tmp_path / "talk.wav", Wish(cut_s=2))
    spans = [(clip.audio.start_s, clip.audio.end_s) for clip in found.clips]
    assert spans == [(0.0, 2.0), (2.0, 4.0), (4.0, pytest.approx(6.2))]
    assert [(clip.dialogue_id, clip.utt_index) for clip in found.clips] == [("talk", i) for i in range(3)]


def test_a_time_line_draws_what_is_said_when():
    """A picture has a line for each class, the face where it is, and the sound; nothing runs out of it."""

    def answer(share):
        return {"fusion": {"sentiment": Answer("sentiment", "neutral", np.array([share, 1 - share, 0.0]), None)}}

    clip = manifests.Clip(id="<b>", corpus=CORPUS, split="test", duration_s=4.0, audio=Audio("a"), video=Video("a"))
    windows = (Stretch(0, 2, answer(0.2)), Stretch(2, 9, answer(0.4)))
    behind = Backdrop((0.1, 0.9) * 40, ((0.0, 1.0),), 0.25)
    drawn = timeline.drawn("<i>", [timeline.Piece(0.0, Scored(clip, {}, answer(0.3), windows), behind)], "sentiment")
    assert drawn.count("<polyline") == 3
    assert drawn.count('class="fill-part"') == drawn.count("<polygon") == 1
    assert "<i>" not in drawn.replace("<i></i>", "")
    xs = [float(x) for points in re.findall(r'points="([^"]+)"', drawn) for x in re.findall(r"([-\d.]+),", points)]
    assert min(xs) >= timeline.LEFT
    assert max(xs) <= timeline.RIGHT


@pytest.mark.slow
@pytest.mark.parametrize("shared", ["grid-talking-faces"], indirect=True)
def test_real_talking_faces(roots, shared, capsys):
    """Real films are scored by a run on the demo corpus: faces are seen in nearly every frame, all modalities speak."""
    assert roots
    manifests.write(manifests.build("demo"))
    assert extract_cli.main(["run", "demo", "--encoders", "mfcc,face_hog,minilm"]) == 0
    assert (
        cli.main(["concat", "--corpus", "demo", "--encoders", "audio=mfcc", "--seeds", "2", "--set", "train.epochs=3"])
        == 0
    )
    (folder,) = (roots / "runs").glob("concat-demo-*")
    given = roots / "given"
    given.mkdir()
    for path in shared.glob("*.mpg"):
        shutil.copy(path, given)
        (given / f"{path.stem}.txt").write_text("set white with p two soon", encoding="utf-8")
    code, _, _ = call(capsys, "predict", folder, given, "--out", roots / "out")
    assert code == 0
    found = json.loads((roots / "out" / "prediction.json").read_text(encoding="utf-8"))
    assert len(found["clips"]) == 4
    for clip in found["clips"]:
        assert clip["faces"]["share"] > 0.9
        assert clip["missing"] == {}
        assert set(clip["whole"]) == {"fusion", "audio alone", "video alone", "text alone"}
        assert len(clip["windows"]) == 1
