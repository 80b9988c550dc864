"""Clips that could not be extracted, as data beside the parts: which, at what stage, why, how often."""

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

FILE = "failures.jsonl"


@dataclass(frozen=True)
class Failure:
    """One clip that failed, and the digest of what it read, so that a mended file is tried again by itself."""

    clip: str
    source: str
    stage: str
    reason: str
    attempts: int = 1


def record(folder: Path, failures: Iterable[Failure]) -> None:
    """Append failures; one line each, so that a torn last line costs one record and no other."""
    lines = [json.dumps(dataclasses.asdict(failure)) + "\n" for failure in failures]
    if lines:
        with (folder / FILE).open("a+b") as file:
            before = "" if _ends_whole(file) else "\n"
            file.write((before + "".join(lines)).encode())


def _ends_whole(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def recorded(folder: Path) -> dict[str, Failure]:
    """Return the newest failure of each clip."""
    path = folder / FILE
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    newest: dict[str, Failure] = {}
    for line in lines:
        try:
            failure = Failure(**json.loads(line))
            newest[failure.clip] = failure
        except (json.JSONDecodeError, TypeError):
            continue  # torn by a kill; the clip is simply tried again
    return newest
