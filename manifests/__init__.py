"""Which clips exist and what they mean: the shelf that `extract` and `fuse` read.

Times are seconds in the named media file, spans are half-open, paths are relative to the corpus root.
"""

from manifests.clip import Audio, Clip, ManifestError, Series, Track, Video, unknown
from manifests.corpora import corpus_module, corpus_names
from manifests.reading import Found, again, build, make, scan
from manifests.shelf import Manifest, folder, gc_paused, path_of, read, write

__all__ = [
    "Audio",
    "Clip",
    "Found",
    "Manifest",
    "ManifestError",
    "Series",
    "Track",
    "Video",
    "again",
    "build",
    "corpus_module",
    "corpus_names",
    "folder",
    "gc_paused",
    "make",
    "path_of",
    "read",
    "scan",
    "unknown",
    "write",
]
