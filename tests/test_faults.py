"""Whatever befalls a run, nothing that was written is lost, and the same command ends with the same bytes."""

import os
import shutil
import signal
import subprocess
import time

import fault_kit as faults
import pytest

from features import Reader
from features.failures import recorded

STAGES = ("decode", "encode", "write", "rename")


@pytest.fixture(scope="module")
def peace(tmp_path_factory):
    """Make four slices of films, and let one run fill a cache in peace."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("faults")
        patch.setenv("MANIFESTS_ROOT", str(folder / "manifests"))
        patch.setenv("RUNS_ROOT", str(folder / "runs"))
        faults.films(folder / "media")
        ended = faults.run(folder / "peace")
        assert (ended.returncode, ended.stderr) == (0, "")
        yield folder / "peace"


@pytest.fixture
def war(peace, tmp_path):
    """Name a cache that is to be filled under blows, of the corpus that was filled in peace."""
    return tmp_path / peace.name.replace("peace", "war")


@pytest.fixture
def log(tmp_path):
    """Name the file that each blow is noted in."""
    return tmp_path / "blows"


def reader(cache, encoder):
    """Open the one entry of an encoder."""
    return Reader(next(cache.glob(f"toys/{encoder}-*")))


def alive(pattern):
    """List the processes whose command line holds a text."""
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def wait_for(what, seconds=60):
    """Wait until something is true."""
    until_s = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "stage", [pytest.param(one, marks=[pytest.mark.slow] * (one in ("decode", "rename"))) for one in STAGES]
)
def test_a_worker_killed_once_costs_nothing(peace, war, log, stage):
    """Killed by -9 at any stage, the worker is started again, and the run ends with the bytes of a run in peace."""
    # Only the first worker is struck: its successor finds that the point is passed.
    ended = faults.run(war, KILL_STAGE=stage, KILL_LOG=log, KILL_ONCE=1, KILL_AFTER=2)
    assert log.read_text() == f"{stage}\n"
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "1 times a worker died" in ended.stdout
    assert faults.parts(war) == faults.parts(peace)


def test_a_clip_that_kills_its_worker_is_quarantined_alone(peace, war, log):
    """A clip at which the worker dies whenever it is decoded is given up after three deaths; all others are done."""
    ended = faults.run(war, "--max-failed", "0.05", KILL_STAGE="decode", KILL_CLIP="2_7", KILL_LOG=log)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert log.read_text().count("decode") == 3
    for encoder in ("toy_audio", "toy_frames"):
        done, whole = reader(war, encoder), reader(peace, encoder)
        assert done.keys() == whole.keys() - {"2_7"}
        assert all((done[clip].values == whole[clip].values).all() for clip in done)
        failure = recorded(done.folder)["2_7"]
        assert (failure.stage, failure.attempts) == ("decode", 3)
        assert failure.reason == "the worker was killed by SIGKILL, 3 times"
    again = faults.run(war)
    assert "nothing to do: what is not in the cache failed before" in again.stdout
    mended = faults.run(war, "--retry")
    assert mended.returncode == 0
    assert reader(war, "toy_audio").keys() == reader(peace, "toy_audio").keys()


def test_a_clip_that_kills_its_encoder_fails_there_only(war, log):
    """When the worker dies while one encoder works on a clip, the clip is still done by the others."""
    options = {"KILL_STAGE": "encode", "KILL_CLIP": "1_3", "KILL_PLACE": "/encoders/toy_audio", "KILL_LOG": log}
    ended = faults.run(war, **options)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert log.read_text().count("encode") == 3
    assert {path.parent.name.rpartition("-")[0] for path in war.glob("toys/*/failures.jsonl")} == {"toy_audio"}
    assert recorded(reader(war, "toy_audio").folder).keys() == {"1_3"}
    assert len(reader(war, "toy_audio")) == 131
    assert len(reader(war, "toy_frames")) == len(reader(war, "toy_text")) == 132


@pytest.mark.slow
def test_a_clip_that_never_ends_is_cut_off(war, log):
    """A worker that stands still at a clip is ended after a time in proportion to it, and the others are done."""
    options = {"KILL_STAGE": "decode", "KILL_CLIP": "0_5", "KILL_LOG": log, "KILL_WHAT": "hang"}
    ended = faults.run(war, TIME_LIMIT=2, **options)
    assert ended.returncode == 0, ended.stderr
    failure = recorded(reader(war, "toy_audio").folder)["0_5"]
    assert "took more than" in failure.reason
    assert "TIME_LIMIT=2" in failure.reason
    assert len(reader(war, "toy_audio")) == 131


def test_workers_end_with_the_run(war):
    """When the whole run is killed by -9, its worker does not go on alone."""
    before = set(alive("extract.worker"))
    process = subprocess.Popen(
        faults.command(), cwd=faults.HERE.parent, env=faults.environment(war), stdout=subprocess.DEVNULL
    )
    wait_for(lambda: set(alive("extract.worker")) - before)
    process.kill()
    process.wait()
    wait_for(lambda: not set(alive("extract.worker")) - before, 10)


def test_control_c_is_a_word(war, log):
    """Control-C, which reaches the worker too, ends with the usual exit code and says how to go on."""
    options = {"KILL_STAGE": "decode", "KILL_CLIP": "0_5", "KILL_LOG": log, "KILL_WHAT": "hang"}
    # Tests that were started in the background ignore Control-C, and so would whatever they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        faults.command(),
        cwd=faults.HERE.parent,
        env=faults.environment(war, **options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, before)
    wait_for(log.is_file)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "stopped. What was written before is whole; the same command goes on from there.\n"


def test_two_runs_of_one_job_end_whole(peace, war):
    """Two runs started at the same moment on one cache both succeed, and the bytes are those of one run."""
    both = [
        subprocess.Popen(
            faults.command(),
            cwd=faults.HERE.parent,
            env=faults.environment(war),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [process.communicate()[1] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert faults.parts(war) == faults.parts(peace)


@pytest.mark.slow
def test_twenty_interruptions(roots, log):
    """Killed by -9 as a whole, five times in each of decode, encode, write and rename: the bytes are the same."""
    faults.films(roots / "media", files=12)
    peace, war = roots / "peace", roots / "war"
    assert faults.run(peace).returncode == 0
    wanted = faults.parts(peace)
    assert sum(name.endswith(".h5") for name in wanted) == 36
    for blow in range(20):
        options = {"KILL_STAGE": STAGES[blow % 4], "KILL_LOG": log, "KILL_WHAT": "run", "KILL_AFTER": blow % 3}
        assert faults.run(war, **options).returncode == -signal.SIGKILL
        assert faults.parts(war).items() <= wanted.items()
    assert sorted(log.read_text().split()) == sorted(STAGES * 5)
    assert faults.run(war).returncode == 0
    assert faults.parts(war) == wanted


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 10 MB, which only root may."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


def test_a_full_disk_is_one_clear_error(peace, small_disk):
    """When the disk is full the run ends with one sentence; what was written is whole, and room is all it needs."""
    filler = small_disk / "filler"
    room = sum(len(content) for content in faults.parts(peace).values()) // 2
    filler.write_bytes(bytes(10 * 2**20 - room - 64 * 2**10))
    ended = faults.run(small_disk / "cache")
    assert ended.returncode == 3
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert faults.parts(small_disk / "cache").items() <= faults.parts(peace).items()
    filler.unlink()
    assert faults.run(small_disk / "cache").returncode == 0
    assert faults.parts(small_disk / "cache") == faults.parts(peace)


def test_a_read_only_cache_is_one_clear_error(peace, small_disk):
    """A cache that may only be read says so before hours are spent; a finished one is simply used."""
    shutil.copytree(peace, small_disk / "cache")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert "nothing to do" in faults.run(small_disk / "cache").stdout
    ended = faults.run(small_disk / "cache", encoders="mfcc")
    assert ended.returncode == 3
    assert "Read-only file system" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_vanished_mount_is_one_clear_error(roots, small_disk):
    """When the disk with the media is gone, no clip is blamed for it and nothing is quarantined."""
    faults.films(small_disk / "media", files=1)
    subprocess.run(["umount", "-l", small_disk], check=True)
    ended = faults.run(roots / "cache")
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert not list((roots / "cache").glob("toys/*/failures.jsonl"))
