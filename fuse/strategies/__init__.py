"""One way of training per file: a frozen `Config` and `Strategy(config, lesson)`, for any model.

Being a file in this folder is the registration; a recipe turns it on by `[strategies.<name>]`. What a strategy learns
itself are its parameters, which are trained, saved and continued beside the model's; what it remembers are its buffers.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from manifests import unknown

if TYPE_CHECKING:  # naming the strategies must not import torch
    from torch import nn

    from fuse.data import Dataset
    from fuse.dials import Train
    from fuse.protocol import Split


@dataclass(frozen=True)
class Lesson:
    """What a strategy is told when training begins."""

    model: "nn.Module"
    data: "Dataset"
    split: "Split"
    tasks: Mapping[str, int]
    """Task to the number of its classes; the first is the one that is mainly meant."""
    train: "Train"


def names() -> tuple[str, ...]:
    """Name every strategy that has a file here."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def module(name: str) -> ModuleType:
    """Import one strategy; an unknown name is answered with the nearest known one."""
    if name not in names():
        raise ValueError(unknown("strategy", name, names()))
    return import_module(f"fuse.strategies.{name}")
