"""The zoo of broken media: whatever a file holds, reading it ends soon, in little memory, with features or a reason."""

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import zoo_kit
from zoo_kit import Visit

HERE = Path(__file__).parents[1]
SECONDS_A_FILE = 20
SLACK_MB = 300
"""How much memory all files but the bombs may need, all in all."""
BOMB_MB = 1300
"""Four hours of sound at 16 kHz are 922 MB; more is refused."""
WORK_ALL_THE_SAME = frozenset(("healthy", "lack", "odd_pictures"))


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """Fill a folder with the zoo, once."""
    return zoo_kit.make(tmp_path_factory.mktemp("zoo") / "zoo")


def lines_of(process):
    """Yield what a process says, line by line; kill it when it says nothing for too long."""
    said = queue.SimpleQueue()
    threading.Thread(target=lambda: [said.put(line) for line in [*process.stdout, ""]], daemon=True).start()
    while line := said.get(timeout=SECONDS_A_FILE):
        yield json.loads(line)


@pytest.fixture(scope="session")
def visits(zoo):
    """Read the whole zoo in a process of its own, which may neither die nor fall silent."""
    command = [sys.executable, "-W", "error", zoo_kit.__file__, str(zoo)]
    place = {"PYTHONPATH": os.pathsep.join((str(HERE), str(HERE / "tests"))), "OMP_NUM_THREADS": "1"}
    found, reading = {}, "nothing yet"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | place) as process:
        try:
            for line in lines_of(process):
                reading = line.get("begins", reading)
                if "clip" in line:
                    found[line["clip"]] = Visit(**line)
        except queue.Empty:
            process.kill()
            pytest.fail(f"{reading}: read for more than {SECONDS_A_FILE} s")
    assert process.returncode == 0, f"{reading}: killed its reader ({process.returncode})"
    return found


def test_the_zoo_is_large_and_always_the_same(zoo, tmp_path):
    """There are at least 200 files of at least 15 kinds, and making them again gives the same bytes."""
    names = {path.relative_to(zoo) for path in zoo.glob("*/*")}
    assert len(names) >= 200
    assert len({name.parts[0] for name in names} - {"healthy"}) >= 15
    again = zoo_kit.make(tmp_path / "zoo")
    assert {path.relative_to(again) for path in again.glob("*/*")} == names
    plain = [name for name in names if (zoo / name).is_file() and (zoo / name).stat().st_size < 1_000_000]
    assert [name for name in plain if (zoo / name).read_bytes() != (again / name).read_bytes()] == []


def test_every_file_ends_as_features_or_as_a_named_reason(zoo, visits):
    """Of each file there are samples or a reason, and frames or a reason; a reason names the file, not the machine."""
    assert visits.keys() == {clip.id for clip in zoo_kit.manifest(zoo).clips}
    for visit in visits.values():
        assert bool(visit.samples) != ("audio" in visit.errors)
        assert bool(visit.frames) != ("video" in visit.errors)
        for error in visit.errors.values():
            assert error.startswith(visit.clip.replace(".", "/", 1) + ": ")
            assert str(zoo) not in error


def test_memory_does_not_follow_what_headers_claim(visits):
    """The process that read everything stayed small; hours of silence in a tiny file are refused in time."""
    small = [visit.most_mb for visit in visits.values() if not visit.clip.startswith("bombs")]
    assert max(small) <= small[0] + SLACK_MB
    assert max(visit.most_mb for visit in visits.values()) <= small[0] + BOMB_MB
    assert {
        visit.errors["audio"].split(", got")[0].split(": ")[1]
        for visit in visits.values()
        if visit.clip.startswith("bombs")
    } == {
        "expected a clip of at most 4 hours",
        "expected at most 4 hours of sound in a clip",
    }


def test_what_is_odd_and_not_broken_gives_features(visits):
    """Missing modalities, silence, rare pixel formats, many channels and every rotation are read for what they are."""
    for visit in visits.values():
        if visit.clip.split(".")[0] in WORK_ALL_THE_SAME:
            assert visit.samples or visit.frames
            assert all("has no" in error for error in visit.errors.values())
    for name in ("16.wav", "16.mkv", "8000.wav", "8.flac", "192000.wav"):
        assert visits[f"odd_sound.{name}"].samples == 16_000 * zoo_kit.SECONDS
    for name in ("90", "180", "270", "askew", "flat"):
        assert visits[f"odd_times.{name}.mp4"].frames == visits["healthy.a.mp4"].frames
    for name in ("nan", "inf", "minus_inf"):
        assert "10 samples are not finite" in visits[f"odd_sound.{name}.wav"].errors["audio"]


def test_no_part_of_a_film_passes_for_the_whole(visits):
    """A container that says how long it is, and lacks more than a second of that, is refused wherever it was cut."""
    whole = visits["healthy.head.mp4"]
    for visit in visits.values():
        if visit.clip.startswith("cut_off") and visit.samples:
            assert visit.samples >= whole.samples - 16_000 * 1.1
            assert visit.frames == 0 or visit.frames >= whole.frames - 11
    assert not any(visits[f"cut_off.{place:02}-head.mp4"].samples for place in range(zoo_kit.PLACES - 1))


def test_nothing_but_a_file_is_opened(visits):
    """Pipes, folders, devices and links to nowhere are named; play lists open nothing beside themselves."""
    for visit in visits.values():
        kind, name = visit.clip.split(".", 1)
        if kind in ("lists", "no_files") and name not in ("film.mp4", "link.mp4"):
            assert visit.errors.keys() == {"audio", "video"}


def test_what_may_not_be_read_is_named(visits):
    """A file without permission is named as such; root may read all, so root is not asked."""
    if not os.geteuid():
        pytest.skip("root may read every file")
    assert "Permission denied" in visits["no_files.secret.mp4"].errors["video"]
