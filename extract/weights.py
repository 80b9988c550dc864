"""Where the weights of an encoder lie, verified before anything reads them."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Weights:
    """Which weights exactly: where they come from, and the digest that their files must have."""

    id: str
    files: tuple[str, ...]
    """Where they lie in their package."""
    sha256: str
    """Of all files, one after another."""
    revision: str = ""


class WeightsError(ValueError):
    """Weights that are missing or not the pinned ones; the message says how to get them."""


def packaged(package: str, weights: Weights) -> list[Path]:
    """Return the weight files that an installed package carries; the package itself is not imported."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise WeightsError(f"{weights.id} comes with the package {package}; install it: make setup")
    paths = [Path(found.submodule_search_locations[0]) / name for name in weights.files]
    digest = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            raise WeightsError(f"expected {path.name} of {weights.id} at {path}; install it again: make setup")
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    if digest.hexdigest() != weights.sha256:
        raise WeightsError(
            f"{paths[0]}: expected sha256 {weights.sha256}, got {digest.hexdigest()}; install it again: make setup"
        )
    return paths
