"""The demo corpus: its design is balanced, its media are real and repeatable, and it is complete or absent."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

import manifests
from manifests import labels
from manifests.corpora import _demo_make, _demo_media, _demo_voice, demo
from manifests.corpora._demo_script import FPS, LENGTHS_S, generator, scripts
from manifests.tree import Tree

EMOTIONS = set(labels.TASKS["emotion"].classes)
SCRIPTS = list(scripts())
# One of each voice and face, of both rates and both channel counts, as short as they come, and one long clip.
SAMPLE = [
    min((s for s in SCRIPTS if (s.voice, s.face) == setting and s.sex == sex), key=lambda s: s.length_s)
    for setting, sex in (
        (("calm", "open"), "f"),
        (("calm", "tense"), "m"),
        (("excited", "open"), "m"),
        (("excited", "tense"), "f"),
    )
] + [next(s for s in SCRIPTS if s.length_s > 5)]
KILLED = """
import os, signal, sys
from pathlib import Path
from manifests.corpora import _demo_make, demo
make_clip, made = _demo_make.make_clip, []
def two_then_die(script, path):
    if len(made) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    made.append(make_clip(script, path))
_demo_make.make_clip = two_then_die
demo.make(Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Make the sample clips once."""
    folder = tmp_path_factory.mktemp("media")
    for script in SAMPLE:
        _demo_media.make_clip(script, folder / f"{script.clip_id}.mp4")
    return folder


@pytest.fixture
def hollow(monkeypatch):
    """Let `make` write names in the place of media, and count how often."""
    made = []

    def stand_in(script, path):
        made.append(script.clip_id)
        path.write_text(script.clip_id)

    monkeypatch.setattr(_demo_make, "make_clip", stand_in)
    return made


def decoded(path):
    """Return frames, samples as (samples, channels), and the sampling rate of an mp4."""
    import av

    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        rate_hz = container.streams.audio[0].rate
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1).T
    return pictures, sound, rate_hz


def test_table_becomes_valid_clips(tmp_path, hollow):
    """What make wrote reads back as one valid clip per script, with words, labels and a file that exists."""
    manifest = manifests.build("demo", tmp_path / "demo")
    assert [clip.id for clip in manifest.clips] == [script.clip_id for script in SCRIPTS] == hollow
    for clip, script in zip(manifest.clips, SCRIPTS, strict=True):
        assert clip == manifests.Clip.from_row(clip.to_row())
        assert clip.audio.path == clip.video.path
        assert (manifest.root / clip.video.path).read_text() == clip.id
        assert (clip.text, clip.sex, clip.split) == (script.text, script.sex, script.split)
        assert clip.native == {"emotion": script.emotion, "sentiment": script.sentiment}
        assert clip.labels["emotion"] == labels.emotion(script.emotion)
        assert (clip.label_kind, clip.split_source, clip.licence) == ("intended", "made", demo.LICENCE.tag)


def test_counts():
    """There are 64 clips of 16 speakers in 16 dialogues, half of them to train on."""
    assert Counter(script.split for script in SCRIPTS) == {"train": 32, "dev": 16, "test": 16}
    assert len({script.clip_id for script in SCRIPTS}) == 64
    assert len({script.speaker for script in SCRIPTS}) == len({script.speaker_id for script in SCRIPTS}) == 16
    assert len({script.dialogue_id for script in SCRIPTS}) == 16


@pytest.mark.parametrize("column", ["speaker_id", "dialogue_id", "text"])
def test_splits_share_nothing(column):
    """No speaker, dialogue or sentence lies in two splits."""
    homes = {(getattr(script, column), script.split) for script in SCRIPTS}
    assert len(homes) == len({value for value, _ in homes})


def test_every_emotion_twice_in_every_split():
    """Each split holds all seven emotions, each at least twice."""
    for split in ("train", "dev", "test"):
        counts = Counter(script.emotion for script in SCRIPTS if script.split == split)
        assert set(counts) == EMOTIONS
        assert min(counts.values()) >= 2


def test_factors_are_balanced_within_speakers_and_splits():
    """Every speaker has each factor as often either way, and every split each of the eight settings as often."""
    for factor in ("words", "voice", "face"):
        assert set(Counter((s.speaker_id, getattr(s, factor)) for s in SCRIPTS).values()) == {2}
    settings = Counter((s.split, s.words, s.voice, s.face) for s in SCRIPTS)
    assert len(settings) == 24
    assert set(settings.values()) == {2, 4}


def test_words_and_setting_decide_the_label():
    """The emotion is a function of the three factors, and the sentiment of the emotion."""
    assert len({(s.words, s.voice, s.face, s.emotion) for s in SCRIPTS}) == 8
    assert len({(s.emotion, s.sentiment) for s in SCRIPTS}) == 7


def test_length_does_not_tell_the_label():
    """Lengths lie within 1 to 8 s, some are short, some hold several windows; in no split do they tell a factor."""
    lengths_s = [script.length_s for script in SCRIPTS]
    assert 1 <= min(lengths_s) < max(lengths_s) <= 8
    assert min(sum(length_s < 2 for length_s in lengths_s), sum(length_s > 6 for length_s in lengths_s)) >= 4
    for split, factor in product(("train", "dev", "test"), ("words", "voice", "face")):
        sides = {}
        for script in (script for script in SCRIPTS if script.split == split):
            sides.setdefault(getattr(script, factor), []).append(script.length_s)
        one, other = sides.values()
        assert sorted(one) == sorted(other)
    assert np.array(LENGTHS_S) * FPS == pytest.approx(np.round(np.array(LENGTHS_S) * FPS))


def test_dialogues_take_turns():
    """Each dialogue has two speakers who take turns, three to five of them, numbered from 0."""
    for dialogue in {script.dialogue_id for script in SCRIPTS}:
        turns = [script for script in SCRIPTS if script.dialogue_id == dialogue]
        assert 3 <= len(turns) <= 5
        assert [turn.utt_index for turn in turns] == list(range(len(turns)))
        assert all(a.speaker_id != b.speaker_id for a, b in pairwise(turns))
        assert len({turn.speaker_id for turn in turns}) == 2


def test_media_are_as_long_as_declared(media):
    """Frames are exact; sound starts with them and ends within one AAC packet, at the speaker's rate and channels."""
    seen = set()
    for script in SAMPLE:
        pictures, sound, rate_hz = decoded(media / f"{script.clip_id}.mp4")
        assert len(pictures) == round(script.length_s * FPS)
        assert pictures[0].shape == (192, 192, 3)
        assert (rate_hz, sound.shape[1]) == (script.speaker.rate_hz, script.speaker.channels)
        assert 0 <= len(sound) - round(script.length_s * rate_hz) < 1024
        seen.add((rate_hz, sound.shape[1]))
    assert len(seen) >= 3


def test_sound_is_not_late(media):
    """What is decoded lies on what was spoken, to the sample: the encoder's lead-in is no part of the clip."""
    script = SAMPLE[0]
    rng = generator(script.clip_id)
    spoken = _demo_voice.speak(script, _demo_voice.plan(script, rng), rng)[:, 0]
    _, heard, _ = decoded(media / f"{script.clip_id}.mp4")
    alike = np.correlate(heard[: len(spoken), 0], spoken, mode="full")
    assert np.argmax(alike) == len(spoken) - 1


def test_sound_is_finite_and_not_clipped(media):
    """No sample is missing, at full scale or digitally silent for long, and excited is louder than calm."""
    level_db = {}
    for script in SAMPLE:
        _, sound, _ = decoded(media / f"{script.clip_id}.mp4")
        assert np.isfinite(sound).all()
        assert 0.02 < np.abs(sound).max() < 0.99
        level_db.setdefault(script.voice, []).append(10 * np.log10(np.mean(sound**2)))
    assert max(level_db["calm"]) < min(level_db["excited"])


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")  # silero-vad's way to load its own file
def test_voice_is_taken_for_speech(media):
    """A detector of human speech hears it in every sampled clip."""
    import silero_vad
    import torch

    detector = silero_vad.load_silero_vad()
    for script in SAMPLE:
        _, sound, rate_hz = decoded(media / f"{script.clip_id}.mp4")
        mono = sound.mean(axis=1)[:: rate_hz // 16_000].copy()  # hardly any of the voice lies above 8 kHz
        spans = silero_vad.get_speech_timestamps(torch.from_numpy(mono), detector, sampling_rate=16_000)
        assert sum(span["end"] - span["start"] for span in spans) > 0.3 * len(mono), script.clip_id


def test_one_face_in_every_sampled_frame(media):
    """A detector of human faces finds exactly one, and surely, wherever it looks."""
    from facenet_pytorch import MTCNN
    from PIL import Image

    detector = MTCNN(keep_all=True)
    for script in SAMPLE:
        pictures, _, _ = decoded(media / f"{script.clip_id}.mp4")
        _, sureness = detector.detect([Image.fromarray(picture) for picture in pictures[:: FPS // 2]])
        assert all(len(found) == 1 and found[0] > 0.9 for found in sureness), script.clip_id


def test_mouth_follows_the_voice():
    """The control track that opens the mouth runs from shut to open and is shut at both ends."""
    tracks = _demo_voice.plan(SAMPLE[0], generator(SAMPLE[0].clip_id))
    mouth = _demo_voice.loudness(tracks, round(SAMPLE[0].length_s * FPS))
    assert mouth[0] == mouth[-1] == 0
    assert 0.7 < mouth.max() <= 1


def test_syllables_follow_the_spelling():
    """A sentence falls into consonants and the vowel after them."""
    assert _demo_voice.syllables("We cheer, so!") == [("w", "e"), ("ch", "e"), ("s", "o")]


def test_same_bytes_twice(media, tmp_path):
    """A clip made again is the same file, to the byte."""
    for script in SAMPLE[:2]:
        _demo_media.make_clip(script, tmp_path / "again.mp4")
        assert (tmp_path / "again.mp4").read_bytes() == (media / f"{script.clip_id}.mp4").read_bytes()


def test_killed_make_is_not_complete(tmp_path, hollow):
    """A killed make leaves no root, what it had made is the same as ours, and the next make works beside it."""
    root = tmp_path / "demo"
    killed = subprocess.run([sys.executable, "-c", KILLED, root], check=False, env=os.environ | {"PYTHONHASHSEED": "1"})
    assert killed.returncode == -signal.SIGKILL
    assert not root.exists()
    (part,) = tmp_path.glob("demo.part-*")
    left = sorted((part / "clips").iterdir())
    assert [path.stem for path in left] == [script.clip_id for script in SCRIPTS[:2]]
    _demo_media.make_clip(SCRIPTS[1], tmp_path / "here.mp4")
    assert left[1].read_bytes() == (tmp_path / "here.mp4").read_bytes()
    demo.make(root)
    assert len(list(demo.clips(Tree(root)))) == len(hollow) == 64
    assert part.exists(), "a young part may belong to a make that still runs"
    os.utime(part, (0, 0))
    (root / "demo.json").write_text('{"recipe": "older"}')
    demo.make(root)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["demo"]


def test_failed_make_leaves_nothing(tmp_path, monkeypatch):
    """A make that fails keeps the older corpus and takes its own half away."""

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(_demo_make, "make_clip", fail)
    root = tmp_path / "demo"
    root.mkdir()
    (root / "demo.json").write_text('{"recipe": "older"}')
    with pytest.raises(OSError, match="disk full"):
        demo.make(root)
    assert [path.name for path in tmp_path.rglob("*")] == ["demo", "demo.json"]


def test_made_once(tmp_path, hollow):
    """A complete corpus is left alone within milliseconds; one of another recipe is made anew."""
    root = tmp_path / "new" / "demo"
    demo.make(root)
    began_s = time.perf_counter()
    demo.make(root)
    assert time.perf_counter() - began_s < 0.05
    assert len(hollow) == 64
    (root / "demo.json").write_text('{"recipe": "older"}')
    (root / "stray").touch()
    demo.make(root)
    assert len(hollow) == 128
    assert not (root / "stray").exists()


@pytest.mark.parametrize("marker", [None, "", "[]", "{}"])
def test_foreign_folder_is_refused(tmp_path, hollow, marker):
    """A folder that holds anything but a demo corpus is never replaced."""
    (tmp_path / "thesis.tex").touch()
    if marker is not None:
        (tmp_path / "demo.json").write_text(marker)
    with pytest.raises(manifests.ManifestError, match="something else"):
        demo.make(tmp_path)
    assert (tmp_path / "thesis.tex").exists()
    assert not hollow


def test_missing_table_says_what_to_do(tmp_path):
    """Reading a folder without the table names the command that makes it."""
    with pytest.raises(manifests.ManifestError, match="make manifest CORPUS=demo"):
        list(demo.clips(Tree(tmp_path)))


def test_default_root(monkeypatch):
    """The corpus lies in `.demo` unless `DEMO_ROOT` says otherwise."""
    monkeypatch.delenv("DEMO_ROOT", raising=False)
    assert demo.default_root() == Path(".demo")
    monkeypatch.setenv("DEMO_ROOT", "/elsewhere")
    assert demo.default_root() == Path("/elsewhere")


def test_recipe_follows_the_code():
    """The recipe changes with any file that makes media, and with nothing else."""
    sources = sorted(Path(demo.__file__).parent.glob("_demo_*.py"))
    assert demo.recipe() == hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    assert len(sources) == 5


def test_importing_the_corpus_is_light():
    """Importing the corpus loads no decoder, no image library and not even numpy."""
    code = "import sys, manifests.corpora.demo; print(sorted({'av', 'numpy', 'skimage', 'torch'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"


def test_says_that_its_scores_mean_nothing():
    """The first thing that the module says of its scores is that they mean nothing about emotion."""
    assert "scores mean nothing about emotion" in demo.__doc__
    assert "CC0-1.0" in demo.__doc__
