"""Clips that could not be extracted, as data beside the parts: which, at what stage, why, how often."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from features.disk import let_the_group, writing
from features.roots import copies

FILE = "failures.jsonl"


@dataclass(frozen=True)
class Failure:
    """One clip that failed, and the digest of what it read, so that a mended file is tried again by itself."""

    clip: str
    source: str
    stage: str
    reason: str
    attempts: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the libraries that tried."""


def record(folder: Path, failures: Iterable[Failure]) -> None:
    """Append failures; one line each, so that a torn last line costs one record and no other."""
    lines = [json.dumps(dataclasses.asdict(failure)) + "\n" for failure in failures]
    if lines:
        with writing(folder / FILE), (folder / FILE).open("a+b", buffering=0) as file:
            let_the_group(folder / FILE)
            data = (("" if _ends_whole(file) else "\n") + "".join(lines)).encode()
            while data:  # at once, unless the disk is full: other runs append to the same file
                data = data[file.write(data) :]


def _ends_whole(file: FileIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def recorded(folder: Path) -> dict[str, Failure]:
    """Return the newest failure of each clip, of one's own cache before those that others share."""
    newest: dict[str, Failure] = {}
    for each in reversed(copies(folder) or [folder]):
        newest |= _recorded(each / FILE)
    return newest


def _recorded(path: Path) -> dict[str, Failure]:
    return parse(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else {}


def parse(text: str) -> dict[str, Failure]:
    """Return the newest failure of each clip that a text tells of."""
    newest: dict[str, Failure] = {}
    for line in text.splitlines():
        try:
            failure = Failure(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            continue  # torn by a kill; the clip is simply tried again
        texts = (failure.clip, failure.source, failure.stage, failure.reason)
        if all(isinstance(text, str) for text in texts) and isinstance(failure.attempts, int):
            newest[failure.clip] = failure
    return newest
