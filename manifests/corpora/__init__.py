"""One corpus per file: what it is, its tree, its quirks; being a file here is the registration.

A reader has `LICENCE`, `TREE` and `BIBTEX`, and `clips(tree, *, option=...)`, which yields every clip of the corpus in
a stable order. Its keyword arguments are the options that a user can set, typed and with a default. It tells the tree
what it leaves out. It may have `KNOWN_BAD` (clip or dialogue to what is wrong with it), `EXPECTED` (what to count to
how many there should be, in the words of `manifests.expected`), `NOTE` for every report, and, where it makes its own
media, `default_root` and `make`.
"""

import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType

from manifests.clip import ManifestError, unknown


def corpus_names() -> tuple[str, ...]:
    """Name every corpus that has a file in `manifests/corpora/`."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def corpus_module(corpus: str) -> ModuleType:
    """Import the reader of one corpus; an unknown name is answered with the nearest known one."""
    if corpus not in corpus_names():
        raise ManifestError(unknown("corpus", corpus, corpus_names()))
    return import_module(f"manifests.corpora.{corpus}")
