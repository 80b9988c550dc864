"""Whose features a run is made of, as `about.json` beside each entry tells; a word of a stranger, and shown as such."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features import about
from features.entries import is_random, key_of

MOST_LETTERS = 20_000
"""What is read of one text."""


@dataclass(frozen=True)
class Source:
    """One entry of the cache that a run is made of; texts are empty where nobody said anything."""

    modality: str
    entry: str
    """Corpus and folder."""
    encoder: str
    does: str = ""
    licence: str = ""
    weights: str = ""
    trained_on: str = ""
    parameters: int = 0
    command: str = ""
    """What to type to make it again."""
    bibtex: Mapping[str, str] = field(default_factory=dict)
    """`corpus` and `encoder` to whose work is to be cited."""
    told: bool = False
    """Whether anybody left a word beside the entry."""


def read(entries: Mapping[str, Sequence[Path]]) -> tuple[Source, ...]:
    """Return what is known of the entries of each modality."""
    return tuple(_read(modality, folder) for modality, folders in entries.items() for folder in folders)


def _read(modality: str, folder: Path) -> Source:
    known = about.known(folder)
    cited, parameters = known.get("bibtex"), known.get("parameters")
    return Source(
        modality,
        f"{folder.parent.name}/{folder.name}",
        key_of(folder).encoder,
        does=_words(known.get("encoder_does")),
        licence=_words(known.get("encoder_licence")),
        weights="random" if is_random(folder) else _words(known.get("weights_of")),
        trained_on=_words(known.get("trained_on")),
        parameters=parameters if type(parameters) is int else 0,
        command=_words(known.get("command")),
        bibtex={name: _words(cited.get(name)) for name in ("corpus", "encoder")} if isinstance(cited, dict) else {},
        told=bool(known),
    )


def _words(value: Any) -> str:
    """Return what is said, whatever stands there: a text, several, or nothing that could be shown."""
    found = value if isinstance(value, list) else [value]
    return ", ".join(one for one in found if isinstance(one, str))[:MOST_LETTERS].strip()
