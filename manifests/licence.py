"""What the owners of a corpus allow to be shared, as a tag that every clip carries; not legal advice."""

from dataclasses import dataclass
from typing import Literal, get_args

Part = Literal["raw", "transcript", "labels", "features"]
"""Sound and pictures, face crops among them; words; what raters said; what encoders made of it."""
PARTS: tuple[Part, ...] = get_args(Part)
_SHARED, _NOTHING = "; may be shared: ", "nothing"


@dataclass(frozen=True)
class Licence:
    """The name of a corpus' terms, and the parts that may leave the lab under them."""

    name: str
    shared: tuple[Part, ...] = ()

    @property
    def tag(self) -> str:
        """Return the terms in one line, which `may_share` reads back."""
        return f"{self.name}{_SHARED}{', '.join(self.shared) or _NOTHING}"


def name_of(tag: str) -> str:
    """Return the name of the terms in a clip's licence tag."""
    name, said, _ = tag.rpartition(_SHARED)
    return name if said else tag


def may_share(tag: str, part: Part) -> bool:
    """Tell whether a clip's licence tag lets a part of it leave the lab; a tag without a word on it does not."""
    return part in tag.rpartition(_SHARED)[2].split(", ") if _SHARED in tag else False
