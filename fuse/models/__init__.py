"""One fusion model per file: a frozen `Config` and `Model(config, shapes, tasks)`.

`forward(batch)` returns logits by task, and by `part/task` where the model has them. Being a file in this folder is the
registration. What is of one modality alone lies under the modality's name, and what the heads read passes through
`representation`, an `nn.Identity`: there strategies listen (`fuse.seams`).

What else a file may hold, all of it optional:

- `THRESHOLD`: from which share on a class counts as there, where several may be; else it is tuned on dev.
- `from_reference(state)`: the authors' checkpoint under the names of `Model`.
- `begin(model, states)`: how weights of earlier stages come in; else what has the same name and shape is taken.
- `build(config, shapes, tasks, entries)`: a `Model` that needs something from the folder of a cache entry.
- `Model.losses(task, logits, targets)`: the loss of each clip (b), where it is not the task's own.
- `Config.context`: which other turns of its conversation an answer may rest on, `both`, `past` or `none`; unless it is
  `none`, batches hold whole conversations (`fuse.conversation`).
- `Model.regulariser()`: what its last forward adds to the training loss.
- `Model.notes()`: what a report must say about this model as it was built.
"""

import pkgutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from manifests import unknown

if TYPE_CHECKING:  # naming the models must not import torch
    from torch import nn

    from fuse.batch import Shapes, Tasks


def names() -> tuple[str, ...]:
    """Name every model that has a file here."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def module(name: str) -> ModuleType:
    """Import one model; an unknown name is answered with the nearest known one."""
    if name not in names():
        raise ValueError(unknown("model", name, names()))
    return import_module(f"fuse.models.{name}")


def build(
    name: str, config: Any, shapes: "Shapes", tasks: "Tasks", entries: Mapping[str, Sequence[Path]]
) -> "nn.Module":
    """Return a model, untrained; `entries` are the folders of the cache entries by modality."""
    file = module(name)
    made: nn.Module
    made = file.build(config, shapes, tasks, entries) if hasattr(file, "build") else file.Model(config, shapes, tasks)
    return made
