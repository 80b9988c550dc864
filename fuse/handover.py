"""Weights that come from elsewhere: from earlier stages of a recipe, from a finished run, from the authors.

Nothing of a file is executed: tensors and plain containers are all that is read.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fuse import models

State = Mapping[str, Tensor]
NESTED = ("model_state_dict", "state_dict", "model")
"""Under which names training code keeps weights in a checkpoint."""


def from_stages(name: str, model: nn.Module, states: Mapping[str, State]) -> None:
    """Give a model the weights of earlier stages: as its file says, or whatever has the same name and shape."""
    file = models.module(name)
    if hasattr(file, "begin"):
        file.begin(model, states)
        return
    own = model.state_dict()
    given = [(key, tensor) for state in states.values() for key, tensor in state.items()]
    fitting = {key: tensor for key, tensor in given if key in own and own[key].shape == tensor.shape}
    if not fitting:
        raise ValueError(f"{name}: none of the weights of {', '.join(states)} fits; are they of another model?")
    model.load_state_dict({**own, **fitting})


def from_file(name: str, model: nn.Module, path: Path) -> None:
    """Give a model all of its weights from a file: the best of a run of ours, or the authors' checkpoint."""
    state = _tensors(path)
    file = models.module(name)
    best = {key.removeprefix("best/"): tensor for key, tensor in state.items() if key.startswith("best/")}
    if best:
        state = best
    elif hasattr(file, "from_reference"):
        state = file.from_reference(state)
    broken = [key for key, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise ValueError(f"{path}: {broken[0]} holds numbers that are not finite")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit {name} as this recipe builds it: {error}") from None


def digest(path: Path) -> str:
    """Return what a file of weights is, for the name of a run."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ValueError(f"FROM: cannot read {path}: {error.strerror}") from None


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 (a broken or hostile file fails in any way)
        raise ValueError(f"{path}: expected a file of weights and nothing that would run, got: {error}") from None
    for key in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found or not all(isinstance(one, Tensor) for one in found.values()):
        raise ValueError(f"{path}: expected tensors by name, at the top or under {', '.join(NESTED)}")
    return {str(key).removeprefix("module."): tensor for key, tensor in found.items()}
