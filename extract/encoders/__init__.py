"""One frozen encoder per file: a `SPEC` and `load(device, precision)`, which returns `encode(batch, valid)`.

`encode` is given units of one kind and one shape from any clips: (b, samples) float32 sound, (b, h, w, 3) uint8 frames
or face crops, b strings, or (b, steps, columns) float32 series of numbers; `valid` says how many leading samples or
steps of each are real, of a face whether there is one. It returns (b, t, ...) features, or `Encoded` when units differ
in length or carry side channels. It never opens a file, cuts, batches, averages or writes. What `SPEC.options` offers,
`load` takes by name.

Being a file in this folder is the registration; an underscore means not one of them. Importing an encoder imports no
heavy library: that is left to `load`.
"""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from extract.weights import Weights, digest_of
from features import Grid, Key
from features.key import Precision, Variant
from features.windows import Array
from manifests import unknown

Reads = Literal["audio", "frames", "faces", "text", "series"]
Holds = Literal["features", "transcript", "raw"]
MEDIA: Mapping[Reads, str] = {"audio": "audio", "frames": "video", "faces": "video", "text": "text"}
"""Where what is read lies; a series has a name of its own."""
WINDOWS = "windows(3,2,2)"
"""The house's default grid."""


@dataclass(frozen=True)
class Spec:
    """All that an encoder knows about itself; nobody restates it."""

    reads: Reads
    width: tuple[int, ...]
    """Shape of one time step."""
    grids: tuple[str, ...]
    """Grids that it accepts, the default first."""
    licence: str
    steps: int | None = None
    """Time steps of a window of the default grid; nothing where units differ in length."""
    rate_hz: int = 0
    """Samples of sound, or steps of a series, a second."""
    series: str = ""
    """Which of a clip's series it reads."""
    columns: int = 0
    """How many numbers a series holds at each moment."""
    size_px: int = 0
    resize: Literal["bilinear", "nearest"] = "bilinear"
    """How face crops are brought to `size_px`."""
    preset: str = ""
    """How faces are found and cut, unless another way of `faces.PRESETS` is chosen."""
    vad: Literal["none", "cut"] = "none"
    """Whether it hears speech alone unless it is told otherwise."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Choices that `load` takes by name, the default first; `settings` of the module says what they mean."""
    needs: str = ""
    """A package that is installed apart from the others."""
    optional: bool = False
    """Whether another does its work where its weights are missing."""
    channels: tuple[str, ...] = ()
    """Names of its per-step side channels."""
    dtype: str = "float16"
    batch: int = 8
    """Units per call on a CPU; fixed, because byte identity rests on it."""
    fast: bool = False
    """Whether `precision="fast"` means something here; elsewhere it changes nothing."""
    version: int = 1
    weights: Weights | None = None
    tokenizer: Weights | None = None
    """The file that cuts its sentences; its digest is part of the key too."""
    parameters: int = 0
    trained_on: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    holds: Holds = "features"
    """What can be read back from its values: whoever may not have the words or the pictures may not have these."""
    bibtex: str = ""
    """Whose work it is, one entry after another."""

    @property
    def medium(self) -> str:
        """Name the medium of a clip in which it finds what it reads."""
        return self.series or MEDIA[self.reads]

    @property
    def detects(self) -> bool:
        """Return whether crops are cut by what it finds in a frame."""
        return self.reads == "frames" and self.steps is None

    def key(
        self,
        encoder: str,
        grid: Grid,
        builds_on: tuple[str, ...] = (),
        *,
        precision: Precision = "exact",
        weights: str = "",
        variant: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> Key:
        """Return the cache key of this encoder on a grid; `weights` is nothing or `random:<seed>`."""
        return Key(
            encoder,
            self.version,
            str(grid),
            self.dtype,
            key_of(self.weights, weights),
            builds_on,
            variant=cast("Variant", variant),
            precision=precision if self.fast else "exact",
            settings={**self.settings, **self._tokenizer(weights), **(settings or {})},
        )

    def _tokenizer(self, weights: str) -> dict[str, str]:
        return {"tokenizer": key_of(self.tokenizer, weights)} if self.tokenizer else {}


def key_of(weights: Weights | None, chosen: str) -> str:
    """Return what a key says of weights: their digest, or the random ones that were chosen."""
    if weights is None:
        return ""
    return chosen if chosen and not weights.package else digest_of(weights)


@dataclass(frozen=True)
class Encoded:
    """Features of units that differ in length or say more about their steps."""

    values: Sequence[Array] | Array
    """Per unit (t, ...)."""
    valid: Sequence[int] | None = None
    """Leading steps of each unit that rest on real input, where only the encoder can know."""
    steps: Mapping[str, Sequence[Array] | Array] = field(default_factory=dict)
    """Side channels, per unit (t, ...)."""


Encode = Callable[[Any, Array], Array | Encoded]


def names() -> tuple[str, ...]:
    """Name every encoder that has a file here."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def module(name: str) -> ModuleType:
    """Import one encoder; an unknown name is answered with the nearest known one."""
    if name not in names():
        raise ValueError(unknown("encoder", name, names()))
    return import_module(f"extract.encoders.{name}")


def spec(name: str) -> Spec:
    """Return what an encoder says about itself."""
    declared: Spec = module(name).SPEC
    return declared


def does(name: str) -> str:
    """Return the line that says what an encoder computes."""
    return (module(name).__doc__ or "").partition("\n")[0]
