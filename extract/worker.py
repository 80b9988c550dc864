"""The process in which encoders run: `python -m extract.worker FD`, started and watched by `extract.guard`.

It talks over a socket that it inherits: a `Job` comes first, then slices; steps and tallies go back.
"""

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from extract.slices import Job
from extract.tally import Meter, Step
from extract.work import Worker

PROGRESS_EVERY_S = 0.5


def serve(connection: Connection) -> None:
    """Work on slices until nobody is at the other end."""
    send = _Sender(connection)
    try:
        job: Job = connection.recv()
        worker = Worker(job)
        send(None)
        while True:
            part = connection.recv()
            meter = Meter(job.time_limit, send.with_progress)
            send.meter = meter
            send(worker.work(part, meter))
    except (EOFError, ConnectionError):
        return
    except (OSError, ValueError, ImportError) as error:  # whoever started this process can say it to a person
        send(error)
    except Exception as error:
        send(RuntimeError(f"the worker failed: {type(error).__name__}: {error}"))
        raise


class _Sender:
    """Sends from any thread, and now and then the progress so far with it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._told_s = time.monotonic()
        self.meter: Meter | None = None

    def __call__(self, message: Any) -> None:
        with self._lock:
            self._connection.send(message)

    def with_progress(self, message: Step | int) -> None:
        self(message)
        now_s = time.monotonic()
        # Only the main thread counts windows and failures, so only it may copy them.
        main = threading.current_thread() is threading.main_thread()
        if main and self.meter and now_s - self._told_s > PROGRESS_EVERY_S:
            self._told_s = now_s
            self(self.meter.progress())


def _end_with_parent() -> None:
    """End when whoever started this process is gone, even in the middle of a step."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve(Connection(int(sys.argv[1])))
