"""The same work here, on all cores, on many GPUs or on a cluster; the only module that imports dask.

Wherever it runs, each worker is a `Guard` with its own process, so that a clip that kills or hangs it is found in the
same way, and dask only ever sees whole machines come and go.
"""

import dataclasses
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from extract.guard import Guard, WorkerError
from extract.slices import Job, Slice
from extract.tally import Progress, Tally

if TYPE_CHECKING:
    from distributed import Client, Future

TOPIC = "affectline"
AHEAD = 2
"""Slices that wait at the scheduler for each worker, so that none is ever idle."""
LOST_WORKERS = 20
"""How often a slice may lose its whole worker before dask gives up; a clip that kills is found by the guard."""

Show = Callable[[Tally, float], None]
"""Told now and then what all workers have done, and how full their queues are."""


@dataclass(frozen=True)
class Where:
    """Where the work runs: here, in `workers` processes of this machine, or on a cluster."""

    workers: int = 0
    cluster: str = ""
    """Address of a dask scheduler (`tcp://…`), or `slurm`."""

    def __post_init__(self) -> None:
        if self.cluster and self.cluster != "slurm" and "://" not in self.cluster:
            raise ValueError(f"CLUSTER: expected tcp://HOST:PORT of a dask scheduler, or slurm; got {self.cluster!r}")


def run(job: Job, slices: Sequence[Slice], where: Where, show: Show, say: Callable[[str], None]) -> Tally:
    """Carry slices out; what is written stays written, whatever happens."""
    board = _Board(show)
    if not where.workers and not where.cluster:
        with closing(Guard(job, lambda progress: board.progress("here", progress))) as guard:
            for part in slices:
                board.done("here", guard.work(part))
        return board.total
    with _client(where, say) as client:
        client.subscribe_topic(TOPIC, lambda event: board.event(event[1]))
        for worker, tally in _spread(client, job, slices):
            board.done(worker, tally)
    return board.total


class _Board:
    """What all workers have done, with the slices that are under way."""

    def __init__(self, show: Show) -> None:
        self.total = Tally()
        self._under_way: dict[str, Progress] = {}
        self._show = show
        self._lock = threading.Lock()
        """Events of dask come in a thread of their own."""

    def done(self, worker: str, tally: Tally) -> None:
        with self._lock:
            self._under_way.pop(worker, None)
            self.total.add(tally)
            self._tell()

    def progress(self, worker: str, progress: Progress) -> None:
        with self._lock:
            self._under_way[worker] = progress
            self._tell()

    def event(self, message: dict[str, Any]) -> None:
        """Take the progress of a distant worker, which travels as plain values."""
        self.progress(message["worker"], Progress(Tally(**message["tally"]), message["held"]))

    def _tell(self) -> None:
        shown = Tally()
        shown.add(self.total)
        held = 0.0
        for progress in self._under_way.values():
            shown.add(progress.tally)
            held = max(held, progress.held)
        self._show(shown, held)


def _spread(client: "Client", job: Job, slices: Sequence[Slice]) -> Iterator[tuple[str, Tally]]:
    """Keep every worker busy, however many there are at the moment, and yield what each slice gave."""
    from distributed import as_completed

    waiting = iter(slices)
    running: set[Future[Any]] = set()
    done = as_completed()

    def top_up() -> None:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        while len(running) < AHEAD * max(1, workers) + 1 and (part := next(waiting, None)):
            future = client.submit(_task, job, part, pure=False)
            running.add(future)
            done.add(future)

    top_up()
    for future in done:
        running.remove(future)
        yield future.result()
        top_up()


def _task(job: Job, part: Slice) -> tuple[str, Tally]:
    """Work on a slice in a dask worker, whose guard stays from slice to slice."""
    from distributed import get_worker

    worker = get_worker()
    name = str(worker.name)
    job = replace(job, device=_device(job.device, name), threads=job.threads or _cores())
    guard: Guard | None = getattr(worker, TOPIC, None)
    if guard is None or guard.job != job:
        if guard:
            guard.close()

        def show(progress: Progress) -> None:
            worker.log_event(TOPIC, {"worker": name, "tally": _plain(progress.tally), "held": progress.held})

        guard = Guard(job, show)
        setattr(worker, TOPIC, guard)
    return name, guard.work(part)


def _plain(tally: Tally) -> dict[str, Any]:
    """Return the counts of a tally as plain values, which alone may travel as an event of dask."""
    values = {entry.name: getattr(tally, entry.name) for entry in dataclasses.fields(tally)}
    values["failures"] = {}
    return {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}


def _device(device: str, name: str) -> str:
    """Give each worker of one machine a GPU of its own."""
    if device != "cuda" or not name.isdecimal():
        return device
    import torch

    return f"cuda:{int(name) % torch.cuda.device_count()}"


@contextmanager
def _client(where: Where, say: Callable[[str], None]) -> Iterator["Client"]:
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")  # the processes that it starts look here
    import dask
    from distributed import Client
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it is said in one sentence
    dask.config.set({"distributed.scheduler.allowed-failures": LOST_WORKERS})
    with _cluster(where) as address, Client(address) as client:
        say(f"dask: {client.scheduler.address}, dashboard at {client.dashboard_link}")
        try:
            yield client
        except KilledWorker as error:
            raise WorkerError(f"workers were lost again and again ({error})") from None
        except (FutureCancelledError, CommClosedError):
            raise WorkerError(f"the scheduler at {client.scheduler.address} is gone") from None


@contextmanager
def _cluster(where: Where) -> Iterator[Any]:
    if where.cluster == "slurm":
        from dask_jobqueue.slurm import SLURMCluster  # configured in jobqueue.yaml: docs/cluster.md

        with SLURMCluster() as cluster:
            cluster.scale(jobs=max(1, where.workers))
            yield cluster
    elif where.cluster:
        yield where.cluster
    else:
        from distributed import LocalCluster

        # Without a limit of memory, which dask would only see of its own small process.
        options = {"threads_per_worker": 1, "processes": True, "memory_limit": 0, "dashboard_address": ":0"}
        with LocalCluster(n_workers=where.workers, **options) as cluster:
            yield cluster


def threads(where: Where) -> int:
    """Return how many cores a worker of this machine may use; 0 where it is alone, or on another machine."""
    return max(1, _cores() // where.workers) if where.workers and not where.cluster else 0


def _cores() -> int:
    """Return how many cores are this process's own, which a cluster may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
