"""One way to lift a voice out of all that sounds per file: `load(device)`, which returns `clean(sound)`.

`clean` turns one clip, mono float32 at `RATE_HZ`, into its vocals, mono and as long. It knows no other clip, and works
piece by piece: what it needs of memory beyond a few copies of the sound does not grow with it. A module also declares
`WEIGHTS` (one or more), `LICENCE`, `PARAMETERS` and `VERSION`.

Being a file in this folder is the registration; an underscore means not one of them. Importing a denoiser imports no
heavy library: that is left to `load`.
"""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from extract.weights import digest_of
from manifests import unknown

Sound = NDArray[np.float32]
Clean = Callable[[Sound], Sound]


def names() -> tuple[str, ...]:
    """Name every denoiser that has a file here."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def module(name: str) -> ModuleType:
    """Import one denoiser; an unknown name is answered with the nearest known one."""
    if name not in names():
        raise ValueError(unknown("denoiser", name, names()))
    return import_module(f"extract.denoisers.{name}")


def settings(name: str, weights: str = "") -> dict[str, str | int]:
    """Return what a key says of a denoiser; `weights` is nothing or `random:<seed>`."""
    chosen = module(name)
    digests = weights or "+".join(map(digest_of, chosen.WEIGHTS))
    return {"denoise": name, "denoise_version": chosen.VERSION, "denoise_weights": digests}
