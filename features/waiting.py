"""One line on a terminal, drawn over and over while something takes long; through a pipe there is nothing of it."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

One = TypeVar("One")
SILENT_S = 3.0
"""How long a command may say nothing."""


def redraws(stream: TextIO) -> bool:
    """Return whether a line on a stream can be drawn over: a pipe keeps every line, and so does a dumb terminal."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def draw(text: str) -> None:
    """Put a line in the place of the one before; an empty one leaves nothing there."""
    if redraws(sys.stderr):
        columns = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r{text[:columns]:{columns}}\r{text[:columns]}")
        sys.stderr.flush()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say on a terminal what is being waited for, and for how long, once that is longer than one stays patient."""
    if not redraws(sys.stderr):
        yield
        return
    over, began = threading.Event(), time.monotonic()

    def tell() -> None:
        pause_s = SILENT_S
        while not over.wait(pause_s):
            draw(f"{what}: {time.monotonic() - began:.0f} s")
            pause_s = 1.0
        if pause_s != SILENT_S:
            draw("")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def awaited(each: Iterable[One], what: str) -> Iterator[One]:
    """Yield what may take long to come, and say so meanwhile."""
    coming = iter(each)
    while True:
        with waiting(what):
            try:
                one = next(coming)
            except StopIteration:
                return
        yield one
