"""The key of a cache entry: everything that can change its numbers, and the fingerprint of that.

Pure. Device, batch size, worker count, host and user never enter a key.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, Self

FORMAT = 1
RANDOM = "random:"
"""How weights begin that a trial drew."""
Precision = Literal["exact", "fast"]
Variant = Literal["", "authors", "repaired"]
_KINDS = {"encoder": str, "version": int, "grid": str, "dtype": str, "weights": str, "builds_on": list}
_KINDS |= {"variant": str, "precision": str, "settings": dict, "format": int}
"""Of a key in readable form."""
_SCALARS = {str, int, float, bool}
_WINDOWS = re.compile(r"windows\(([^,()]+),([^,()]+),([^,()]+)\)")
_SAMPLING = re.compile(r"fps=[1-9]\d*|every=[1-9]\d*,max=[1-9]\d*|even=[1-9]\d*")


@dataclass(frozen=True)
class Grid:
    """How a clip is cut in time: overlapping windows, one span over the whole clip, or frame by frame.

    Also which frames are taken: the first of every slot of a clock, every nth, or so many evenly spread over the clip.
    """

    form: Literal["windows", "clip", "frames"]
    length_s: Fraction = Fraction(0)
    step_s: Fraction = Fraction(0)
    min_tail_s: Fraction = Fraction(0)
    sampling: str = ""

    def __post_init__(self) -> None:
        if self.sampling and not _SAMPLING.fullmatch(self.sampling):
            raise ValueError(f"expected a sampling like fps=10, every=5,max=25 or even=12, got {self.sampling!r}")
        if self.form == "frames" and not self.sampling:
            raise ValueError("expected a sampling of frames, as in frames@every=5,max=25")
        if self.form == "windows" and not (self.step_s > 0 and 0 <= self.min_tail_s <= self.length_s > 0):
            raise ValueError(f"expected 0 < step and 0 <= min_tail <= length, got {self}")
        # Slots of a window are slots of the clip only when windows start on a slot.
        if self.form == "windows" and self.fps and (self.step_s * self.fps).denominator != 1:
            raise ValueError(f"expected step x fps to be whole, got {self}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `windows(3,2,2)`, `windows(3,2,2)@fps=10`, `clip`, `clip@even=12` or `frames@every=5,max=25`."""
        form, _, sampling = text.replace(" ", "").partition("@")
        if form in ("clip", "frames"):
            return cls("clip" if form == "clip" else "frames", sampling=sampling)
        match = _WINDOWS.fullmatch(form)
        if not match:
            raise ValueError(f"expected a grid like windows(3,2,2)@fps=10 or clip, got {text!r}")
        try:
            length_s, step_s, min_tail_s = map(Fraction, match.groups())
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"expected seconds like 3, 0.1 or 1/30, got {text!r}") from None
        return cls("windows", length_s, step_s, min_tail_s, sampling)

    def __str__(self) -> str:
        seconds = ",".join(_exact(value) for value in (self.length_s, self.step_s, self.min_tail_s))
        form = f"windows({seconds})" if self.form == "windows" else self.form
        return f"{form}@{self.sampling}" if self.sampling else form

    @property
    def fps(self) -> int | None:
        """Return the slots per second, where frames are taken by time."""
        return int(self.sampling[4:]) if self.sampling.startswith("fps=") else None

    @property
    def even(self) -> int | None:
        """Return how many frames are taken, where they are spread evenly over a clip."""
        return int(self.sampling[5:]) if self.sampling.startswith("even=") else None


@dataclass(frozen=True)
class Key:
    """All that decides the numbers of an entry. Equal keys mean equal features."""

    encoder: str
    version: int
    grid: str
    dtype: str = "float16"
    weights: str = ""
    builds_on: tuple[str, ...] = ()
    variant: Variant = ""
    precision: Precision = "exact"
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def random(self) -> bool:
        """Return whether random weights had a part in it, its own or a setting's."""
        return any(str(value).startswith(RANDOM) for value in (self.weights, *self.settings.values()))

    @property
    def fingerprint(self) -> str:
        """Return the hash of the canonical form."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """Return the folder name of the entry."""
        return f"{self.encoder}-{self.fingerprint}"

    def to_json(self) -> dict[str, Any]:
        """Return the whole key in readable form."""
        return dataclasses.asdict(self) | {"builds_on": list(self.builds_on), "settings": dict(self.settings)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Build a key from its readable form."""
        names = {entry.name for entry in dataclasses.fields(cls)}
        if set(values) != names:
            raise ValueError(f"expected the fields {sorted(names)}, got {sorted(values)}")
        wrong = [name for name, kind in _KINDS.items() if type(values[name]) is not kind]
        texts = [*values["settings"], *values["builds_on"]] if not wrong else []
        scalars = values["settings"].values() if not wrong else []
        if wrong or {type(text) for text in texts} - {str} or {type(each) for each in scalars} - _SCALARS:
            raise ValueError(f"expected the kinds of values that a key has, got others in {wrong or 'lists'}")
        return cls(**{**values, "builds_on": tuple(values["builds_on"])})


def _exact(value: Fraction) -> str:
    """Write a decimal where it says the value exactly, a fraction such as 1/30 where none does."""
    decimal = str(value.numerator) if value.denominator == 1 else repr(float(value))
    return decimal if Fraction(decimal) == value else str(value)
