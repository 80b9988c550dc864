"""Makes the whole demo corpus beside its place and renames it there, so that it is complete or absent."""

import csv
import json
import os
import shutil
import time
from pathlib import Path

from manifests.corpora._demo_media import make_clip
from manifests.corpora._demo_script import scripts

COLUMNS = (
    "clip_id split dialogue_id utt_index speaker_id sex emotion sentiment words voice face length_s path text"
).split()
STALE_S = 3600


def replace(root: Path, recipe: str) -> None:
    """Put a newly made corpus at `root`, in the place of an older one."""
    root.parent.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    beside = root.with_name(f"{root.name}.part-{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        _fill(beside, recipe)
        _swap(beside, root)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Remove what killed makes left beside `root`; young folders may belong to a make that still runs."""
    for part in root.parent.glob(f"{root.name}.part-*"):
        if time.time() - part.stat().st_mtime > STALE_S:
            shutil.rmtree(part, ignore_errors=True)


def _fill(folder: Path, recipe: str) -> None:
    """Make every clip, then the table, then the marker, and flush each to the disk."""
    (folder / "clips").mkdir(parents=True)
    rows = []
    for script in scripts():
        make_clip(script, folder / script.path)
        rows.append({column: getattr(script, column) for column in COLUMNS})
    with (folder / "demo.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    marker = folder / "demo.json"
    for path in (*(folder / "clips").iterdir(), folder / "clips", folder / "demo.csv"):
        _flush(path)
    marker.write_text(json.dumps({"recipe": recipe, "clips": len(rows)}) + "\n", encoding="utf-8")
    for path in (marker, folder):
        _flush(path)


def _swap(beside: Path, root: Path) -> None:
    """Rename the new corpus to `root`; an older one is gone only after the new one stands."""
    aside = root.with_name(f"{beside.name}-old")
    if root.exists():
        root.rename(aside)
    beside.rename(root)
    _flush(root.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until a file or folder lies on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
