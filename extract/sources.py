"""The digest of exactly what an encoder reads of a clip, so that only what really changed is computed again.

A moved time makes sound stale and a mended transcript does not. Media files are known by their content; their size and
time of change only decide whether to hash them again.
"""

import dataclasses
import json
import os
import stat
from pathlib import Path

import xxhash

from extract.encoders import Reads
from manifests import Clip, Manifest

BLOCK_BYTES = 1 << 20


class Sources:
    """Digests of the clips of one manifest, with the digests of its media files kept in a local side file."""

    def __init__(self, manifest: Manifest) -> None:
        self.root = manifest.root
        place = xxhash.xxh3_64_hexdigest(str(manifest.root).encode())
        runs = Path(os.environ.get("RUNS_ROOT") or ".runs")
        self._file = runs / "media" / f"{manifest.corpus}-{place}.json"
        self._known: dict[str, list[int | str]] = _load(self._file)
        self._changed = False

    def __call__(self, clip: Clip, reads: Reads) -> str | None:
        """Return the digest of what an encoder of this kind reads, or nothing where the clip has no such modality."""
        if reads == "text":
            return xxhash.xxh3_128_hexdigest(clip.text.encode()) if clip.text and clip.text.strip() else None
        track = clip.audio if reads == "audio" else clip.video
        if track is None:
            return None
        where = dataclasses.asdict(track) | {"path": self._media(track.path)}
        return xxhash.xxh3_128_hexdigest(json.dumps(where, sort_keys=True).encode())

    def save(self) -> None:
        """Keep the digests of media files for the next run."""
        if self._changed:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_suffix(f".{os.getpid()}.tmp")
            beside.write_text(json.dumps(self._known), encoding="utf-8")
            beside.replace(self._file)
            self._changed = False

    def _media(self, path: str) -> str:
        """Digest a media file; one that cannot be read has a digest too, and the decoder will say what is wrong."""
        try:
            status = (self.root / path).stat()
            if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
                return "unreadable: not a regular file"
            stamp: list[int | str] = [status.st_size, status.st_mtime_ns]
            if self._known.get(path, [])[:2] != stamp:
                self._known[path] = [*stamp, _digest(self.root / path)]
                self._changed = True
            return str(self._known[path][2])
        except OSError as error:
            return f"unreadable: {error.strerror}"


def _digest(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _load(file: Path) -> dict[str, list[int | str]]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a side file: without it files are hashed again, nothing more
    return {path: entry for path, entry in known.items() if isinstance(entry, list) and len(entry) == 3}
