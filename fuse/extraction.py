"""The same features for new clips as a run was trained on, by `python -m extract` as a process of its own.

Machines never import each other: what an entry was asked for stands beside it, and an equal key means equal features.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from features import CacheError, Reader, about, entries, folder_of
from features.entries import create, find, key_of, lineage
from features.key import RANDOM, Key
from features.look import diff
from fuse.recordings import CORPUS, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVELOPE = "envelope"
WHISPER = "whisper_base"
_WORK = re.compile(r"  (\S+) +([\d.]+) s of work")
Tell = Callable[[str], None]


@dataclass
class Times:
    """How long each stage took, in seconds; what encoders took is part of their extraction."""

    stages: dict[str, float] = field(default_factory=dict)
    encoders: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> "Iterator[None]":
        """Time a stage."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.monotonic() - began_s


@dataclass(frozen=True)
class Order:
    """How entries are asked for that one call of extraction makes."""

    precision: str
    weights: str


def orders(trained: Iterable[Path]) -> dict[Order, list[str]]:
    """Return what is to be asked for so that new clips have the features of these entries."""
    found: dict[Order, list[str]] = {}
    for folder in trained:
        told = about.known(folder)
        asked = told.get("asked")
        if not isinstance(asked, str) or not asked:
            made = "was imported" if told.get("origin") == "imported" else "does not say how it was asked for"
            raise CacheError(f"{folder}: {made}, so that no new clip can be given the same features")
        chain = list(lineage(folder))
        fast = any(key.precision == "fast" for key in chain)
        order = Order("fast" if fast else "exact", next(filter(None, map(_drawn, chain)), ""))
        found.setdefault(order, []).append(asked)
    return found


def _drawn(key: Key) -> str:
    values = map(str, (key.weights, *key.settings.values()))
    return next((value for value in values if value.startswith(RANDOM)), "")


def extract(wanted: Mapping[Order, list[str]], times: Times, tell: Tell) -> None:
    """Fill the entries of the new clips; a clip that fails is recorded there and stops nobody."""
    for order, asked in wanted.items():
        code = _run(["--encoders=" + ",".join(asked), *_said(order)], times, tell)
        if code:
            raise ValueError(f"the features that the run needs could not be extracted (exit code {code}; see above)")


def transcribe(found: Found, times: Times, tell: Tell) -> str:
    """Let whisper say what is said in clips without words; return why it does not, where it does not."""
    silent = [clip for clip in found.clips if not clip.text and clip.audio]
    if not silent:
        return ""
    held: list[str] = []

    def later(line: str) -> None:
        """Say nothing before there is a plan: what comes instead of one is the reason."""
        held.append(line)
        if held[0].startswith("entry "):
            tell(line)

    if _run([f"--encoders={WHISPER}+language={silent[0].language}"], times, later):
        return held[-1] if len(held) == 1 else f"its {held[0].partition(',')[0]}" if held else "it ended at once"
    with Reader(find(CORPUS, WHISPER)) as reader:
        heard = reader.read(clip.id for clip in silent)
        words = {name: bytes(one.values).decode("utf-8", "replace").strip() for name, one in heard.items()}
    found.worded({name: text for name, text in words.items() if text}, WHISPER)
    return ""


def _said(order: Order) -> list[str]:
    return [f"--precision={order.precision}", *([f"--weights={order.weights}"] if order.weights else [])]


def _run(said: list[str], times: Times, tell: Tell) -> int:
    command = [sys.executable, "-m", "extract", "run", CORPUS, "--max-failed=1", *said]
    # What the run was trained on says which weights are random, and nothing else does.
    environment = {name: value for name, value in os.environ.items() if name != "WEIGHTS"}
    with subprocess.Popen(  # noqa: S603 (our own command, its words in a list)
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    ) as process:
        for line in process.stdout or ():
            tell(line.rstrip("\n"))
            if match := _WORK.match(line):
                times.encoders[match[1]] = times.encoders.get(match[1], 0.0) + float(match[2])
    return process.returncode


def refuse_unlike(trained: Iterable[Path]) -> None:
    """Refuse features that are not those which the run was trained on; an entry that nobody needed is made, empty."""
    made = entries(CORPUS)
    for folder in trained:
        key = key_of(folder)
        others = [path for path, other in made.items() if other.encoder == key.encoder]
        if folder.name in {path.name for path in made}:
            continue
        if not others:
            create(folder_of(CORPUS, key), key)
            continue
        unlike = "\n".join(f"  {line}" for line in diff(folder, others[0]))
        raise CacheError(
            f"{key.encoder} is not what the run was trained on ({folder.name}): made now is {others[0].name}, and the "
            f"keys differ in\n  field: trained  |  now\n{unlike}\nGet the same weights and version, or train again."
        )
