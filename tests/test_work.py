"""The line from manifest to cache on real files: only what is missing, failures as data, no neighbour matters."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time

import av
import numpy as np
import pytest
import work_kit as kit
from work_kit import ENCODERS

from extract import media
from extract.__main__ import main
from features import Reader, find
from features.failures import recorded
from manifests import Manifest

RUN = ["run", "demo", "--encoders", ENCODERS]
PLAIN = {"toy_audio": 7, "toy_frames": 7, "toy_text": 10, "mfcc": 7}


@pytest.fixture
def opened(monkeypatch):
    """Count the files that the decoder really opens."""
    count = []
    real = av.open
    monkeypatch.setattr(media.av, "open", lambda *args, **options: count.append(args[0]) or real(*args, **options))
    return count


@pytest.fixture
def corpus(roots):
    """The small corpus, with roots of its own."""
    return kit.corpus(roots)


def clips_of(encoder):
    """The clips that the cache has of an encoder."""
    with Reader(find("demo", encoder)) as reader:
        return set(reader)


def mended(corpus, name, **columns):
    """Write the manifest again with one clip changed."""
    clips = tuple(dataclasses.replace(clip, **columns) if clip.id == name else clip for clip in corpus.clips)
    return kit.save(Manifest("demo", corpus.root, clips))


def test_every_clip_is_a_normal_clip(corpus, opened, capsys):
    """Films, sound alone, picture alone and words alone give the modalities they have; each file is opened once."""
    assert main(RUN) == 0
    assert {name: len(clips_of(name)) for name in PLAIN} == PLAIN
    assert len(opened) == len(set(opened)) == 8
    assert "12 clips" in capsys.readouterr().out
    assert len(corpus.clips) == 12


@pytest.mark.usefixtures("corpus")
def test_again_decodes_nothing(opened, capsys):
    """The second run opens no media file, writes nothing, and says so."""
    main(RUN)
    opened.clear()
    capsys.readouterr()
    assert main(RUN) == 0
    assert not opened
    assert "nothing to do: every chosen clip is in the cache. 0 media files opened." in capsys.readouterr().out


def test_only_what_is_missing(corpus, opened, roots):
    """A new encoder, a new split: what is there stays as it is, to the byte."""
    main([*RUN[:3], "toy_audio", "--split", "dev"])
    before = kit.contents(roots)
    opened.clear()
    main([*RUN[:3], "toy_audio"])
    assert clips_of("toy_audio") == {clip.id for clip in corpus.clips if clip.audio}
    assert len(opened) == 5
    assert before.items() <= kit.contents(roots).items()


@pytest.mark.parametrize(
    ("columns", "stale"),
    [
        ({"text": "Something else."}, {"toy_text": {"film0"}}),
        ({"labels": {"emotion": (1.0,) + (0.0,) * 6}}, {}),
        ({"speaker_id": "somebody"}, {}),
    ],
)
def test_a_mended_manifest_makes_only_what_it_touches_stale(corpus, opened, columns, stale):
    """A transcript makes text stale and nothing else; a label makes nothing stale."""
    main(RUN)
    before = {name: dict(Reader(find("demo", name)).sources) for name in PLAIN}
    opened.clear()
    mended(corpus, "film0", **columns)
    main(RUN)
    after = {name: dict(Reader(find("demo", name)).sources) for name in PLAIN}
    changed = {name: {clip for clip in after[name] if after[name][clip] != before[name][clip]} for name in PLAIN}
    assert {name: clips for name, clips in changed.items() if clips} == stale
    assert not opened


def test_a_moved_time_makes_its_stream_stale(corpus):
    """The sound of one clip moves: its sound is computed again and its old row is gone; its picture stays."""
    main(RUN)
    before = kit.rows(Reader(find("demo", "toy_audio"))["film2"])
    frames = dict(Reader(find("demo", "toy_frames")).sources)
    mended(corpus, "film2", audio=dataclasses.replace(corpus.clips[2].audio, start_s=0.5))
    main(RUN)
    with Reader(find("demo", "toy_audio")) as reader:
        assert len(kit.rows(reader["film2"])) == len(before)
        assert reader["film2"].valid.sum() < 150
        assert sum(len(reader.part(path).ids) for path in reader.parts) == len(reader)
    assert dict(Reader(find("demo", "toy_frames")).sources) == frames


def test_touching_a_file_recomputes_nothing(corpus, opened):
    """Another time of change hashes the file again; the same content stays done."""
    main(RUN)
    opened.clear()
    os.utime(corpus.root / "film0.mp4", (1, 1))
    main(RUN)
    assert not opened


def test_a_new_recording_recomputes_that_clip(corpus, opened):
    """Other content under the same name is noticed."""
    main(RUN)
    opened.clear()
    shutil.copy(corpus.root / "film3.mp4", corpus.root / "film0.mp4")
    main(RUN)
    assert [path.rpartition("/")[2] for path in opened] == ["film0.mp4"]
    with Reader(find("demo", "toy_audio")) as reader:
        np.testing.assert_array_equal(kit.rows(reader["film0"]), kit.rows(reader["film3"]))


def test_a_broken_clip_is_data(corpus, opened, capsys, monkeypatch):
    """It is recorded with its reason, stops nobody, is left out next time, and tried again when told or mended."""
    monkeypatch.setenv("MAX_FAILED", "0.5")
    whole = (corpus.root / "film1.mp4").read_bytes()
    (corpus.root / "film1.mp4").write_bytes(b"this is a text")
    assert main(RUN) == 0
    failure = recorded(find("demo", "toy_audio"))["film1"]
    assert (failure.stage, failure.attempts) == ("decode", 1)
    assert "film1.mp4" in failure.reason
    assert "film1" not in clips_of("toy_audio")
    assert "film1" in clips_of("toy_text")
    assert len(clips_of("toy_audio")) == 6
    opened.clear()
    main(RUN)
    assert not opened
    assert "RETRY=1" in capsys.readouterr().out
    main([*RUN, "--retry"])
    assert recorded(find("demo", "toy_audio"))["film1"].attempts == 2
    (corpus.root / "film1.mp4").write_bytes(whole)
    main(RUN)
    assert "film1" in clips_of("toy_audio")


@pytest.mark.parametrize(("allowed", "code"), [("0.05", 1), ("0.5", 0)])
def test_too_many_failures_fail_the_run(corpus, monkeypatch, allowed, code):
    """Above the allowed share the exit code is not zero; what worked is written all the same."""
    monkeypatch.setenv("MAX_FAILED", allowed)
    (corpus.root / "film1.mp4").unlink()
    assert main(RUN) == code
    assert len(clips_of("toy_audio")) == 6


def test_neighbours_change_nothing(corpus, roots, monkeypatch, tmp_path):
    """Each clip extracted alone has the features it has among others, to a unit in the last place of float16."""
    main(RUN)
    together = {
        name: {clip: kit.rows(windows) for clip, windows in Reader(find("demo", name)).items()} for name in PLAIN
    }
    for clip in corpus.clips[:3]:
        monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / f"alone-{clip.id}"))
        (roots / "one.txt").write_text(clip.id)
        main([*RUN, "--clips", str(roots / "one.txt")])
        for name in PLAIN:
            alone = kit.rows(Reader(find("demo", name))[clip.id])
            np.testing.assert_allclose(alone, together[name][clip.id], rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("corpus")
def test_killed_and_continued_gives_the_same_bytes(roots):
    """A run killed with SIGKILL at several moments ends, run again, in the parts of an undisturbed run."""
    command = [sys.executable, "-m", "extract", *RUN]
    for delay_s in (0.6, 1.0, 1.4):
        process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, env=os.environ, check=True, stdout=subprocess.DEVNULL)
    continued = kit.contents(roots)
    shutil.move(roots / "features", roots / "first")
    subprocess.run(command, env=os.environ, check=True, stdout=subprocess.DEVNULL)
    assert continued
    assert continued == kit.contents(roots)
