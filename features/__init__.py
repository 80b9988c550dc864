"""What has been extracted: the shelf that `extract` fills and `fuse` reads.

Reading a shared cache needs nothing beyond numpy, h5py and xxhash, and `dataset` torch:

    import features
    cache = features.open("meld")
    windows = cache["wav2vec2_msp"]["train_dia0_utt0"]
    rows = features.table("labels.csv")
    dataset = cache.dataset({"audio": "wav2vec2_msp", "text": "minilm"}, clips=rows)

docs/notebooks/read_a_cache.ipynb goes on from here.
"""

from features.corpus import Corpus
from features.corpus import open_corpus as open  # noqa: A004 (read as features.open, as there is gzip.open)
from features.entries import entries, find, folder_of
from features.failures import Failure
from features.key import Grid, Key
from features.labels import table
from features.reader import Reader
from features.roots import CacheError, root
from features.store import Writer
from features.windows import Windows

__all__ = [
    "CacheError",
    "Corpus",
    "Failure",
    "Grid",
    "Key",
    "Reader",
    "Windows",
    "Writer",
    "entries",
    "find",
    "folder_of",
    "open",
    "root",
    "table",
]
