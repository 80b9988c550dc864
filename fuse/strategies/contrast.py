"""Contrast between classes: what the heads read is brought together within a class and apart between classes.

`supervised` is Khosla et al. (2020), of one view of each clip. `inter_class` is after "Emotional cross-modal fusion and
inter-class contrastive learning" (2024), of which only its summary is known: classes are to lie apart, and rare ones
not to be drowned. Inferred: the whole formula (`fuse.losses.inter_class_contrast`), and the projection. Of soft labels
the greatest class counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from fuse import losses, seams
from fuse.batch import Batch
from fuse.strategies import Lesson, _strategy
from fuse.strategies._task import class_task

FORMULAS = {"supervised": losses.supervised_contrast, "inter_class": losses.inter_class_contrast}


@dataclass(frozen=True)
class Config:
    """The dials of the contrast."""

    kind: Literal["supervised", "inter_class"] = "supervised"
    """Clips against clips, or clips against the centres of classes; both of one batch."""
    task: str = ""
    """Whose classes; the recipe's first task where nothing is said."""
    weight: float = 0.1
    """What it counts beside the losses of the tasks."""
    temperature: float = 0.1
    """The lower it is, the more only the nearest of other classes count."""
    width: int = 128
    """Width of the projection's layers."""

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"strategies.contrast.temperature: expected more than 0, got {self.temperature:g}")


class Strategy(_strategy.Strategy):
    """Add the contrast of projected representations."""

    def __init__(self, config: Config, lesson: Lesson) -> None:
        super().__init__()
        self.task = class_task("contrast", lesson.tasks, config.task)
        self.config = config
        module = seams.representation(lesson.model)
        batch = lesson.data.batch(lesson.data.examples(lesson.split.train[:1]))
        (example,) = seams.given(lesson.model, [module], batch)
        hidden = nn.Linear(example[0].numel(), config.width)
        self.project = nn.Sequential(hidden, nn.ReLU(), nn.Linear(config.width, config.width))
        self._heard = seams.Heard(module)

    def loss(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:  # noqa: ARG002 (the hook's arguments)
        """Return the weighed contrast of the clips that have the label."""
        known = batch.known[self.task]
        vectors = functional.normalize(self.project(self._heard.values.float().flatten(1)), dim=1)
        classes = batch.labels[self.task].argmax(dim=1)
        formula = FORMULAS[self.config.kind]
        return self.config.weight * formula(vectors[known], classes[known], self.config.temperature)
