"""Files that are there whole or not at all."""

import os
from pathlib import Path


def replace(target: Path, text: str) -> None:
    """Write a text beside its place and rename it there, so that a reader never sees half of one."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
