"""The digest of exactly what an encoder reads of a clip, so that only what really changed is computed again.

A moved time makes sound stale and a mended transcript does not. Media files are known by their content; their size and
time of change only decide whether to hash them again.
"""

import contextlib
import json
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import xxhash

from features.waiting import waiting
from manifests import Audio, Clip, Manifest, Series, Track

BLOCK_BYTES = 1 << 20
THREADS = 8
"""Looking at a file waits for a disk or a network, and hashing leaves the interpreter to others."""
FILES_AT_ONCE = 64
_canonical = json.JSONEncoder(sort_keys=True).encode
Stamp = list[int | str]
"""Size, time of change and digest of a media file."""
_UNKNOWN: Stamp = [-1, -1, ""]


class Sources:
    """Digests of the clips of one manifest, with the digests of its media files kept in a local side file."""

    def __init__(self, manifest: Manifest, *, deep: bool = False) -> None:
        self.root = manifest.root
        place = xxhash.xxh3_64_hexdigest(str(manifest.root).encode())
        runs = Path(os.environ.get("RUNS_ROOT") or ".runs")
        self._file = runs / "media" / f"{manifest.corpus}-{place}.json"
        self._known: dict[str, Stamp] = _load(self._file)
        self._trusted: dict[str, Stamp] = {} if deep else self._known
        self._content: dict[str, str] = {}
        self._changed = False

    def of(self, clips: Sequence[Clip], medium: str) -> dict[str, str]:
        """Return the digest of what is read of a medium, for every clip that has it."""
        if medium == "text":
            return {clip.id: _hash(clip.text) for clip in clips if clip.text and clip.text.strip()}
        tracks = {clip.id: found for clip in clips if (found := clip.track(medium))}
        self._look_at({path for found in tracks.values() for path in found.paths} - self._content.keys())
        return {clip: _hash(_canonical(self._where(found))) for clip, found in tracks.items()}

    def save(self) -> None:
        """Keep the digests of media files for the next run; where that cannot be, it hashes them again."""
        if self._changed:
            beside = self._file.with_suffix(f".{os.getpid()}.tmp")
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                beside.write_text(json.dumps(self._known), encoding="utf-8")
                beside.replace(self._file)
            with contextlib.suppress(OSError):
                beside.unlink()
            self._changed = False

    def _where(self, found: Track) -> dict[str, str | float | list[str] | None]:
        times = {"start_s": found.start_s, "end_s": found.end_s, "offset_s": found.offset_s}
        if isinstance(found, Series):
            return {**times, "paths": [self._content[path] for path in found.paths], "time_column": found.time_column}
        own = {"channel": found.channel} if isinstance(found, Audio) else {"side": found.side}
        return {**times, "path": self._content[found.path], **own}

    def _look_at(self, paths: Collection[str]) -> None:
        seen = 0
        with waiting(lambda: f"looking at media: {seen} of {len(paths)} files"), ThreadPoolExecutor(THREADS) as pool:
            for contents, changed in pool.map(self._digests, _some(paths)):
                seen += len(contents)
                self._content |= contents
                if changed:
                    self._known |= changed
                    self._changed = True

    def _digests(self, paths: Sequence[str]) -> tuple[dict[str, str], dict[str, Stamp]]:
        """Return the digests of some media files, and notes of those that had to be hashed.

        One that cannot be read has a digest too, and the decoder will say what is wrong.
        """
        contents: dict[str, str] = {}
        changed: dict[str, Stamp] = {}
        for path in paths:
            size, mtime_ns, known = self._trusted.get(path, _UNKNOWN)
            try:
                status = os.stat(f"{self.root}/{path}")  # noqa: PTH116 - twice as fast as Path, for 100,000 files
                if status.st_size != size or status.st_mtime_ns != mtime_ns:
                    known = digest(self.root / path, status)
                    changed[path] = [status.st_size, status.st_mtime_ns, known]
                contents[path] = str(known)
            except OSError as error:
                contents[path] = f"unreadable: {error.strerror or error}"
        return contents, changed


def digest(path: Path, status: os.stat_result) -> str:
    """Return the xxh3-128 of a whole file; reading what is none, such as a pipe, would wait for ever."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    found, block = xxhash.xxh3_128(), memoryview(bytearray(BLOCK_BYTES))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            found.update(block[:size])
    return found.hexdigest()


def _hash(text: str) -> str:
    return xxhash.xxh3_128_hexdigest(text.encode())


def _some(paths: Collection[str]) -> Iterator[list[str]]:
    left = iter(sorted(paths))  # neighbours on the disk are read together
    while some := list(islice(left, FILES_AT_ONCE)):
        yield some


def _load(file: Path) -> dict[str, Stamp]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return {path: entry for path, entry in known.items() if isinstance(entry, list) and len(entry) == 3}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}  # a side file: without it files are hashed again, nothing more


def reachable(root: Path) -> None:
    """Raise where the folder of a corpus is gone or empty, as a lost mount leaves it: no clip is to blame for that."""
    if not any(root.iterdir()):
        raise FileNotFoundError(f"{root} is empty; is the disk with the media mounted?")
