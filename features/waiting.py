"""One line on a terminal, drawn over and over while something takes long; through a pipe there is nothing of it."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO, TypeVar

One = TypeVar("One")
SILENT_S = 3.0
"""How long a command may say nothing."""
AGAIN_S = 1.0
"""How often it says how long it has been."""
_waits: list[threading.Event] = []
"""What is being waited for, and what for within that; only the last is told, for there is one line."""


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
def waiting(what: str | Callable[[], str]) -> Iterator[None]:
    """Say on a terminal what is being waited for, and for how long, once that is longer than one stays patient."""
    if not redraws(sys.stderr):
        yield
        return
    over, began = threading.Event(), time.monotonic()

    def tell() -> None:
        pause_s, told = SILENT_S, False
        while not over.wait(pause_s):
            pause_s = AGAIN_S
            if _waits[-1] is over:
                told = True
                draw(f"{what if isinstance(what, str) else what()}: {time.monotonic() - began:.0f} s")
        if told:
            draw("")

    teller = threading.Thread(target=tell, daemon=True)
    _waits.append(over)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        _waits.remove(over)


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


def counted(each: Collection[One], what: str) -> Iterator[One]:
    """Yield one after another; where they take long, say how many of them are done."""
    done = 0
    with waiting(lambda: f"{what}: {done} of {len(each)}"):
        for done, one in enumerate(each):  # noqa: B007 (the line reads it)
            yield one


@contextmanager
def between(say: Callable[[str], None], what: str) -> Iterator[Callable[[str], None]]:
    """Give what says a line, and tell what is going on where the next one, or the end, is long in coming."""
    with ExitStack() as stack:

        def tell(line: str) -> None:
            stack.close()
            say(line)
            stack.enter_context(waiting(what))

        stack.enter_context(waiting(what))
        yield tell
