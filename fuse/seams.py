"""Where a strategy can listen to a model or take hold of it, whatever the model is.

Two names are the whole agreement: what is of one modality lies under that modality's name, and what the heads read
passes through `representation`, beside the `heads` that read it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fuse.batch import Batch

REPRESENTATION = "representation"
CONTAINERS = (nn.ModuleDict, nn.ModuleList, nn.ParameterDict, nn.ParameterList)
"""What holds parts and is never asked anything itself."""


class Heard:
    """What last came out of a module while training."""

    def __init__(self, module: nn.Module) -> None:
        self._values: Tensor | None = None
        module.register_forward_hook(self._listen)

    @property
    def values(self) -> Tensor:
        """Return the tensor; one that never was is a strategy asked before its model."""
        if self._values is None:
            raise RuntimeError("a strategy was asked for a loss before its model had answered")
        return self._values

    def _listen(self, module: nn.Module, _given: Any, output: Any) -> None:
        if module.training:
            self._values = _tensor(output)


def representation(model: nn.Module) -> nn.Module:
    """Return the module through which what the heads read (b, ..., d) passes."""
    found: nn.Module = model.get_submodule(_representation(model))
    return found


def branch(model: nn.Module, modality: str) -> nn.Module:
    """Return the first module that is of one modality alone and gives something out."""
    parts: dict[str, nn.Module] = dict(model.named_modules())
    for name, module in parts.items():
        if name.rpartition(".")[2] == modality and not isinstance(module, CONTAINERS):
            return module
    raise ValueError(
        f"{_name(model)} has no part of its own for {modality}; use concat, or another model whose modalities are named"
    )


def parameters_of(model: nn.Module, modality: str, modalities: Sequence[str]) -> list[nn.Parameter]:
    """Return the parameters of one modality: those that lie under its name and under no other's."""
    others = set(modalities) - {modality}
    return [
        parameter
        for name, parameter in model.named_parameters()
        if modality in name.split(".") and not others & set(name.split("."))
    ]


def head(model: nn.Module, task: str) -> nn.Linear | None:
    """Return the linear layer that turns the representation into a task's logits, if there is one."""
    wanted = f"{_representation(model).removesuffix(REPRESENTATION)}heads.{task}"
    found = dict(model.named_modules()).get(wanted)
    return found if isinstance(found, nn.Linear) else None


@torch.no_grad()
def given(model: nn.Module, modules: Sequence[nn.Module], batch: Batch) -> list[Tensor]:
    """Return what some modules give of a batch, each (b, ...), without training anything."""
    heard: dict[nn.Module, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda module, _, output: heard.update({module: _tensor(output)}))
        for module in modules
    ]
    training = model.training
    model.eval()(batch.to(next(model.parameters()).device))
    model.train(training)
    for hook in hooks:
        hook.remove()
    for module in modules:
        if len(found := heard.get(module, batch.turn[:0])) != len(batch):
            raise ValueError(
                f"{_name(model)}: expected one answer per clip, {len(batch)}, of a part that a strategy listens to "
                f"({type(module).__name__}), got {len(found)}; use concat, or another model"
            )
    return [heard[module] for module in modules]


def _tensor(output: Any) -> Tensor:
    """Return what a module gave out, or the first of it: recurrent layers give their last state, too."""
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found


def _representation(model: nn.Module) -> str:
    """Return the name of the one module that is called so."""
    found: list[str] = [name for name, _ in model.named_modules() if name.rpartition(".")[2] == REPRESENTATION]
    if len(found) != 1:
        raise ValueError(f"{_name(model)} has no {REPRESENTATION} that a strategy could listen to; use another model")
    return found[0]


def _name(model: nn.Module) -> str:
    return type(model).__module__.rpartition(".")[2]
