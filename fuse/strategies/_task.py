"""Which task a strategy acts on."""

from collections.abc import Iterable

from manifests import unknown
from manifests.labels import TASKS


def class_task(strategy: str, tasks: Iterable[str], wanted: str) -> str:
    """Return the task of classes that a strategy's `task` names; the recipe's first where it names none."""
    named = list(tasks)
    if wanted and wanted not in named:
        raise ValueError(f"strategies.{strategy}.task: {unknown('task', wanted, named)}")
    task = wanted or named[0]
    if TASKS[task].kind != "class":
        raise ValueError(f"strategies.{strategy}.task: expected a task of single classes, got {task}")
    return task
