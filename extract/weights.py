"""Where the weights of an encoder lie, verified before anything reads them; or random ones, to try without."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

RANDOM = "random"
_chosen: ContextVar[int | None] = ContextVar("random_seed", default=None)


@dataclass(frozen=True)
class Weights:
    """Which weights exactly: where they come from, and the digest that their files must have."""

    id: str
    files: tuple[str, ...]
    """Where they lie in their package, or in their folder under `WEIGHTS_ROOT`."""
    sha256: str = ""
    """Of all files, one after another; nothing where nobody states it, and the first fetch pins what it finds."""
    package: str = ""
    """The installed package that carries them; such weights are never random."""
    revision: str = ""
    sizes: tuple[int, ...] = ()
    """Bytes of each file, where they are known."""
    url: str = ""
    """Where a {file} of the {revision} of this {id} is fetched, unless from the Hugging Face hub."""
    page: str = ""
    """Where a person finds files that no command can fetch."""
    packed: Literal["", "bz2"] = ""
    """How the one file is packed at its `url`."""
    user: str = ""
    """The module of an encoder, or a denoiser, that they belong to: what to ask `make weights` for."""

    @property
    def folder(self) -> Path:
        """Return the folder under `WEIGHTS_ROOT` that they belong into."""
        return root() / self.id.replace("/", "--") / self.revision

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return where each file belongs that no package carries."""
        return tuple(self.folder / name for name in self.files)

    @property
    def pin(self) -> Path:
        """Return where it is written down what the first fetch found."""
        return self.folder / ("+".join(self.files).replace("/", "--") + ".pin.json")


@dataclass(frozen=True)
class Pin:
    """What the first fetch found; nothing else is accepted after that."""

    sha256: str
    sizes: tuple[int, ...]
    source: str
    """Where the files were fetched from, or that somebody put them there."""
    revision: str = ""
    """What was asked for."""
    commit: str = ""
    """What the hub made of it."""


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


def pinned(weights: Weights) -> Pin | None:
    """Return what the first fetch found, if there was one."""
    try:
        row = json.loads(weights.pin.read_text(encoding="utf-8"))
        return Pin(**{**row, "sizes": tuple(row["sizes"])})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            f"{weights.pin}: expected what the first fetch found, got {error}; delete it, then {_command(weights)}"
        ) from None


def digest_of(weights: Weights) -> str:
    """Return the digest that the files must have, declared or pinned; nothing is hashed."""
    found = weights.sha256 or ((pin := pinned(weights)) and pin.sha256)
    if found:
        return found
    place = next((i for i, path in enumerate(weights.paths) if not path.is_file()), None)
    raise WeightsError(_unpinned(weights) if place is None else _missing(weights, weights.paths[place], place))


def sizes_of(weights: Weights) -> tuple[int | None, ...]:
    """Return the bytes of each file, where they were declared or pinned."""
    pin = None if weights.sizes or weights.package else pinned(weights)
    known = pin.sizes if pin else weights.sizes
    return known + (None,) * (len(weights.files) - len(known))


def present(weights: Weights) -> bool:
    """Return whether every file is there, and of the right size where it is known; nothing is hashed or imported."""
    try:
        folder = _package(weights) if weights.package else weights.folder
        sizes = sizes_of(weights)
    except WeightsError:
        return False
    return all(of_size(folder / name, size) for name, size in zip(weights.files, sizes, strict=True))


def of_size(path: Path, size: int | None) -> bool:
    """Return whether a file is there, and of that size where one is known."""
    return path.is_file() and size in (None, path.stat().st_size)


def located(weights: Weights, licence: str = "") -> list[Path]:
    """Return the verified weight files of a package, which itself is not imported, or under `WEIGHTS_ROOT`."""
    folder = _package(weights) if weights.package else weights.folder
    paths = [folder / name for name in weights.files]
    for place, path in enumerate(paths):
        if not path.is_file():
            raise WeightsError(_missing(weights, path, place, licence))
    expected, got = digest_of(weights), digest(paths)
    if got != expected:
        raise WeightsError(f"{paths[0]}: expected sha256 {expected}, got {got}; {_again(weights)}")
    return paths


def digest(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of files, one after another."""
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: found)
    return found.hexdigest()


def sized(count: float) -> str:
    """Write a number of bytes as a person would say it."""
    scale, unit = next(((s, unit) for s, unit in ((1e9, "GB"), (1e6, "MB")) if count >= s), (1e3, "kB"))
    return f"{count / scale:.{1 if unit == 'GB' else 0}f} {unit}"


def _package(weights: Weights) -> Path:
    found = find_spec(weights.package)
    if found is None or not found.submodule_search_locations:
        raise WeightsError(f"{weights.id} comes with the package {weights.package}; install it: make setup")
    return Path(found.submodule_search_locations[0])


def _missing(weights: Weights, path: Path, place: int, licence: str = "") -> str:
    if weights.package:
        return f"expected {path.name} of {weights.id} at {path}; {_again(weights)}"
    bytes_ = sizes_of(weights)[place]
    size = f", {sized(bytes_)}" if bytes_ is not None else ""
    return (
        f"expected {path.name} of {weights.id}, revision {weights.revision or 'unknown'}{size}, at {path}; "
        f"{licence and f'its licence is {licence}; '}fetch it: {_command(weights)}; "
        f"or say WEIGHTS_ROOT=<where it lies>, or WEIGHTS={RANDOM}:0 to try without"
    )


def _unpinned(weights: Weights) -> str:
    return (
        f"no digest is known of {', '.join(weights.files)} of {weights.id} in {weights.folder}; "
        f"accept what lies there: {_command(weights)}"
    )


def _again(weights: Weights) -> str:
    return "install it again: make setup" if weights.package else f"fetch it again: {_command(weights)}"


def _command(weights: Weights) -> str:
    return f"make weights ENCODERS={weights.user.rpartition('.')[2]}"
