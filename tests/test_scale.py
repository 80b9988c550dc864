"""The same work on dask: as many workers as one likes, which come and go, and the same bytes in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fault_kit as faults
import pytest

from extract.scale import Where, _device, threads
from features import Reader

DASK = Path(sys.executable).with_name("dask")


@pytest.fixture(scope="module")
def peace(tmp_path_factory):
    """Make six slices of films, and let one run fill a cache in peace."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("scale")
        patch.setenv("MANIFESTS_ROOT", str(folder / "manifests"))
        patch.setenv("RUNS_ROOT", str(folder / "runs"))
        faults.films(folder / "media", files=6)
        assert faults.run(folder / "peace").returncode == 0
        yield folder / "peace"


@pytest.fixture
def war(peace, tmp_path):
    """Name a cache that is to be filled by many."""
    return tmp_path / peace.name.replace("peace", "war")


def start(cache, *options, **more):
    """Start a run that goes on in the background."""
    return subprocess.Popen(
        faults.command(*options),
        cwd=faults.HERE.parent,
        env=faults.environment(cache, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def below(pid):
    """List every process that descends from another, with its command line."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()]
    children = [(int(child), args) for child, parent, args in rows if int(parent) == pid]
    return children + [found for child, _ in children for found in below(child)]


def named(pid, text):
    """List the descendants whose command line holds a text."""
    return [child for child, args in below(pid) if text in args]


def wait_for(what, seconds=60):
    """Wait until something is true, and return it."""
    until_s = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(0.02)
    return found


def features(cache):
    """Return the values of every clip of every entry."""
    readers = {folder.name: Reader(folder) for folder in cache.glob("toys/*-*")}
    return {name: {clip: reader[clip].values.tobytes() for clip in reader} for name, reader in readers.items()}


def kill(pids):
    """Kill by -9 what may be gone already."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_two_workers_write_what_one_writes(peace, war):
    """WORKERS=2 runs on a real cluster of processes, says where its dashboard is, and gives the same bytes."""
    ended = faults.run(war, "--workers", "2")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "dashboard at http" in ended.stdout
    assert "198 clips" in ended.stdout
    assert faults.parts(war) == faults.parts(peace)


@pytest.mark.slow
def test_a_clip_that_kills_is_found_on_a_cluster_too(war, tmp_path):
    """A clip that kills its worker is quarantined after three deaths, and every other clip is done."""
    log = tmp_path / "blows"
    ended = faults.run(war, "--workers", "2", KILL_STAGE="decode", KILL_CLIP="3_3", KILL_LOG=log)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert log.read_text().count("decode") == 3
    assert "3 times a worker died" in ended.stdout
    assert "the worker was killed by SIGKILL, 3 times" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["extract.worker", "multiprocessing"])
def test_workers_killed_on_a_local_cluster(peace, war, victim):
    """Whether the process with the encoders is killed or dask's own, the run ends whole, with the same features."""
    process = start(war, "--workers", "2")
    for parts in (1, 8):
        wait_for(lambda parts=parts: len(list(war.glob("toys/*/part-*.h5"))) >= parts)
        kill(named(process.pid, victim)[-1:])
    said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    # Not parts: of a slice that was hit twice, the clips under way have parts of their own.
    assert features(war) == features(peace)


@pytest.mark.slow
def test_a_run_on_a_local_cluster_is_killed_whole(peace, war):
    """The run itself is killed by -9: no process of it is left, and the same command goes on to the same bytes."""
    process = start(war, "--workers", "2")
    wait_for(lambda: list(war.glob("toys/*/part-*.h5")))
    family = [pid for pid, _ in below(process.pid)]
    kill([process.pid])
    process.communicate(timeout=60)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), 20)
    assert faults.parts(war).items() <= faults.parts(peace).items()
    assert faults.run(war, "--workers", "2").returncode == 0
    assert faults.parts(war) == faults.parts(peace)


class Lab:
    """A scheduler on a machine of the lab, and workers that come and go."""

    def __init__(self, folder):
        self.file, self.processes = folder / "scheduler.json", []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        wait_for(self.file.is_file)
        self.address = wait_for(self._address)

    def _start(self, *arguments):
        process = subprocess.Popen(
            [DASK, *arguments, "--scheduler-file", self.file],
            cwd=faults.HERE.parent,
            env=os.environ | {"PYTHONPATH": str(faults.HERE.parent)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def _address(self):
        try:
            return json.loads(self.file.read_text())["address"]
        except ValueError:  # not written to its end yet
            return None

    def worker(self):
        """Let a worker come."""
        return self._start("worker", "--nthreads", "1", "--no-dashboard")

    def close(self):
        """End everything."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=30)


@pytest.fixture
def lab(tmp_path):
    """Start a scheduler without any worker."""
    found = Lab(tmp_path)
    yield found
    found.close()


@pytest.mark.slow
def test_workers_come_and_go(peace, war, lab):
    """A run waits for its first worker, takes a second one, and ends whole when the first is killed."""
    process = start(war, "--cluster", lab.address)
    first = lab.worker()
    wait_for(lambda: list(war.glob("toys/*/part-*.h5")))
    lab.worker()
    kill([pid for pid, _ in below(first.pid)] + [first.pid])
    said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert faults.parts(war) == faults.parts(peace)


@pytest.mark.slow
def test_the_scheduler_is_killed(peace, war, lab):
    """Without its scheduler the run ends with one sentence; what was written is whole and the rest is done without."""
    process = start(war, "--cluster", lab.address)
    lab.worker()
    wait_for(lambda: list(war.glob("toys/*/part-*.h5")))
    kill([lab.scheduler.pid])
    _, error = process.communicate(timeout=120)
    assert process.returncode == 3, error
    assert "Traceback" not in error
    assert "the scheduler" in error
    assert faults.parts(war).items() <= faults.parts(peace).items()
    assert faults.run(war).returncode == 0
    assert faults.parts(war) == faults.parts(peace)


@pytest.mark.parametrize("where", ["tcp", "localhost:8786", "pbs"])
def test_an_address_that_is_none_is_answered(where):
    """What is neither an address nor slurm is refused with an example."""
    with pytest.raises(ValueError, match="expected tcp://HOST:PORT"):
        Where(cluster=where)


def test_workers_share_the_cores(monkeypatch):
    """Each of n workers of one machine has its share of the cores, and at least one; alone it has all."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    assert [threads(Where(workers=n)) for n in (0, 1, 2, 3, 16)] == [0, 8, 4, 2, 1]


@pytest.mark.parametrize(
    ("device", "name", "own"), [("cpu", "3", "cpu"), ("cuda:1", "0", "cuda:1"), ("cuda", "tcp://x", "cuda")]
)
def test_only_numbered_workers_are_given_a_gpu_of_their_own(device, name, own):
    """A named device is kept, and so is what a worker of another machine finds there."""
    assert _device(device, name) == own
