"""What a strategy can do at each moment of training; whatever it does not override does nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from fuse.batch import Batch

if TYPE_CHECKING:  # the dataset reads the cache, which a strategy never does
    from fuse.data import Dataset


class Strategy(nn.Module):
    """One way of training."""

    lr: float | None = None
    """The learning rate of its own parameters; the recipe's where nothing is said."""

    def relabelled(self, data: "Dataset") -> "Dataset":
        """Return the data with other labels of training clips; dev and test are none of its business."""
        return data

    def order(self, examples: Tensor, epoch: int) -> Tensor:  # noqa: ARG002 (the hook's arguments)
        """Return which examples an epoch, counted from 1, goes through, and in which order."""
        return examples

    def task_loss(self, task: str, logits: Tensor, batch: Batch) -> Tensor | None:  # noqa: ARG002
        """Return the loss of each clip (b) in the place of the task's own, or nothing."""
        return None

    def loss(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor | None:  # noqa: ARG002
        """Return what is added to the loss of a batch that the model has just answered, or nothing."""
        return None

    def steer(self) -> None:
        """Change the gradients before they make a step."""
