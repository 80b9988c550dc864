"""One fusion model per file: a frozen `Config` and `Model(config, shapes, tasks)`.

`forward(batch)` returns logits by task, and by `modality/task` where the model has them. Being a file in this folder is
the registration.
"""

import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType

from manifests import unknown


def names() -> tuple[str, ...]:
    """Name every model that has a file here."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def module(name: str) -> ModuleType:
    """Import one model; an unknown name is answered with the nearest known one."""
    if name not in names():
        raise ValueError(unknown("model", name, names()))
    return import_module(f"fuse.models.{name}")
