"""What has been extracted: the shelf that `extract` fills and `fuse` reads.

Reading a shared cache needs nothing beyond numpy, h5py and xxhash:

    from features import Reader, find
    reader = Reader(find("meld", "minilm"))
    windows = reader["train_dia0_utt0"]
"""

from features.entries import entries, find, folder_of
from features.failures import Failure
from features.key import Grid, Key
from features.reader import Reader
from features.roots import CacheError, root
from features.store import Writer
from features.windows import Windows

__all__ = [
    "CacheError",
    "Failure",
    "Grid",
    "Key",
    "Reader",
    "Windows",
    "Writer",
    "entries",
    "find",
    "folder_of",
    "root",
]
