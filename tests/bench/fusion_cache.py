"""A cache of MELD's size and LEFSA's shapes, made of noise once and kept; and how fast its disk gives it back."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import manifests
from features import Key, Reader, Windows, Writer, folder_of
from manifests import Clip, Manifest
from manifests.labels import TASKS, one_hot

CORPUS = "bench_fusion"
SPLITS = {"train": 9989, "dev": 1109, "test": 2610}
CLIPS = sum(SPLITS.values())
SHAPES = {"audio": (149, 1024), "video": (30, 512), "text": (48, 1024)}
"""Steps and width of a clip's only window, in float16."""
TASKS_HERE = ("emotion", "sentiment")
CLIPS_PER_PART = 64
PIECE_BYTES = 8 << 20
SPARE_BYTES = 10**9
"""Disk that must stay free."""


class FullError(Exception):
    """A disk that has no room for the cache; the message says how much is needed."""


def make(clips: int) -> None:
    """Write manifest and entries under the roots; parts that are there already stay."""
    listed = tuple(_clips(clips))
    parts = [listed[first : first + CLIPS_PER_PART] for first in range(0, clips, CLIPS_PER_PART)]
    lacking = {modality: _lacking(modality, parts) for modality in SHAPES}
    needed = sum(len(part) * _clip_bytes(modality) for modality, some in lacking.items() for part in some)
    root = folder("audio").parent
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if needed and free < needed + SPARE_BYTES:
        raise FullError(
            f"expected {(needed + SPARE_BYTES) / 1e9:.1f} GB of free disk for a cache of {clips} clips, "
            f"got {free / 1e9:.1f} under RUNS_ROOT; make room, or let it name another disk"
        )
    manifests.write(Manifest(CORPUS, Path("nowhere"), listed))
    for modality, some in lacking.items():
        for part in some:
            _write(modality, part)


def _clips(clips: int) -> Iterator[Clip]:
    """Yield clips in the shares of MELD's splits, in dialogues of ten, every class in turn."""
    dev, test = (max(1, clips * SPLITS[split] // CLIPS) for split in ("dev", "test"))
    for split, count in {"train": clips - dev - test, "dev": dev, "test": test}.items():
        for i in range(count):
            labels = {task: one_hot(task, TASKS[task].classes[i % len(TASKS[task].classes)]) for task in TASKS_HERE}
            yield Clip(
                id=f"{split}_dia{i // 10}_utt{i % 10}",
                corpus=CORPUS,
                split=split,
                dialogue_id=f"{split}_dia{i // 10}",
                utt_index=i % 10,
                text="words",
                labels=labels,
                label_kind="majority",
            )


def _lacking(modality: str, parts: Sequence[Sequence[Clip]]) -> list[Sequence[Clip]]:
    there = set(Reader(folder(modality))) if folder(modality).is_dir() else set()
    return [part for part in parts if any(clip.id not in there for clip in part)]


def _write(modality: str, part: Sequence[Clip]) -> None:
    """Write a part; every clip has the same noise, rolled by another number of values."""
    t, d = SHAPES[modality]
    noise = np.random.default_rng(len(modality)).standard_normal(t * d).astype(np.float16)
    with Writer(folder(modality), _key(modality), {}, "") as writer:
        for clip in part:
            source = hashlib.sha256(f"{modality} {clip.id}".encode()).hexdigest()
            values = np.roll(noise, int(source[:8], 16)).reshape(t, d)
            writer.add(clip.id, source, Windows.join([values], [(0.0, 3.0)], [t]))


def _key(modality: str) -> Key:
    return Key(encoder(modality), 1, "clip" if modality == "text" else "windows(3,2,2)")


def encoder(modality: str) -> str:
    """Return what a modality's encoder is called."""
    return f"bench_{modality}"


def folder(modality: str) -> Path:
    """Return where a modality's entry lies."""
    return folder_of(CORPUS, _key(modality))


def _clip_bytes(modality: str) -> int:
    return 2 * SHAPES[modality][0] * SHAPES[modality][1]


def size_bytes(clips: int) -> int:
    """Return what the features of so many clips take."""
    return clips * sum(map(_clip_bytes, SHAPES))


def drop() -> None:
    """Let the system forget every file of the cache, so that the next to read it reads the disk."""
    for path in _files():
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def read_gb_per_s() -> float:
    """Read every part from beginning to end into one piece of memory, as fast as that goes."""
    piece, total, began_s = bytearray(PIECE_BYTES), 0, time.perf_counter()
    for path in _files():
        handle, at = os.open(path, os.O_RDONLY), 0
        while size := os.preadv(handle, [piece], at):
            at += size
        os.close(handle)
        total += at
    return total / 1e9 / (time.perf_counter() - began_s)


def _files() -> list[Path]:
    return [path for modality in SHAPES for path in sorted(folder(modality).glob("part-*.h5"))]
