"""Where the weights of an encoder lie, verified before anything reads them."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from extract.encoders import Weights


class WeightsError(ValueError):
    """Weights that are missing or not the pinned ones; the message says how to get them."""


def packaged(package: str, weights: Weights) -> Path:
    """Return the weight file that an installed package carries; the package itself is not imported."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise WeightsError(f"{weights.id} comes with the package {package}; install it: make setup")
    path = Path(found.submodule_search_locations[0]) / weights.file
    if not path.is_file():
        raise WeightsError(f"expected {weights.file} of {weights.id} at {path}; install it again: make setup")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != weights.sha256:
        raise WeightsError(f"{path}: expected sha256 {weights.sha256}, got {digest}; install it again: make setup")
    return path
