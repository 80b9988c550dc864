"""Clips that are one thing under two names: what is scored was computed from the very thing that was learnt from.

Each clip of a cache has a digest of what its features were computed from: seconds of a medium with the content of its
file, a text, or the imported values themselves. So a copied file, under whatever name, and copied features are found;
what was cut anew, encoded anew or changed in any number is not.
"""

from collections.abc import Iterator, Sequence

from fuse.data import Dataset
from fuse.protocol import Split
from fuse.source import Source

WORDS = "text"
"""The modality in which the same thing is often said by chance."""


def told(data: Dataset, division: Sequence[Split]) -> Iterator[str]:
    """Say how many test clips have a twin among those that are learnt from, or that choose the epoch."""
    tested = sum(len(split.test) for split in division)
    met = {modality: _met(source, division) for modality, source in data.sources.items()}
    said = met.pop(WORDS, {})
    if any(met.values()):
        counts = ", ".join(f"{modality} of {len(found)}" for modality, found in met.items() if found)
        pair = min(pair for found in met.values() for pair in found.items())
        test, other = (f"{data.clips[i].id} of {data.clips[i].corpus}" for i in pair)
        yield (
            f"LEAK: of {tested} test clips, training or dev has the same under another name: {counts}; {test} is "
            f"{other}. make audit tells what else the parts share; make manifest SPLITS=list.csv leaves clips out."
        )
    if said:
        yield (
            f"Of {tested} test clips, {len(said)} say word for word what a clip of training or dev says, as 'Yeah.' is "
            "by chance."
        )


def _met(source: Source, division: Sequence[Split]) -> dict[int, int]:
    """Return which test clips have a twin, and the first that they have."""
    digests, there = list(source.sources()), (source.counts > 0).tolist()
    found: dict[int, int] = {}
    for split in division:
        known = {digests[i]: i for i in reversed((*split.train, *split.dev)) if there[i]}
        found |= {i: known[digests[i]] for i in split.test if there[i] and digests[i] in known}
    return {i: twin for i, twin in found.items() if _says_something(source, i)}


def _says_something(source: Source, clip: int) -> bool:
    """Tell features from the one number that stands where nothing was found, as zeros do where no face is."""
    frames = source.load([clip]).frames
    return bool((frames != frames.flatten()[0]).any())
