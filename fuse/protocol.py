"""Which clips are trained on, which choose the epoch, which are scored."""

from collections.abc import Sequence
from dataclasses import dataclass

from manifests import Clip


class ProtocolError(ValueError):
    """Clips that a protocol cannot be applied to; the message says what is missing."""


@dataclass(frozen=True)
class Split:
    """Indices into the clips of a dataset."""

    train: tuple[int, ...]
    dev: tuple[int, ...]
    test: tuple[int, ...]

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Return the parts by name."""
        return {"train": self.train, "dev": self.dev, "test": self.test}


def official(clips: Sequence[Clip]) -> Split:
    """Follow the corpus' own split; every clip of dev and test is scored, whatever could be extracted of it."""
    found = {name: tuple(i for i, clip in enumerate(clips) if clip.split == name) for name in ("train", "dev", "test")}
    for name, indices in found.items():
        if not indices:
            have = ", ".join(sorted({clip.split for clip in clips})) or "none"
            raise ProtocolError(f"protocol official: no clip in split {name!r}; the manifest has: {have}")
    return Split(**found)


def check_classes(task: str, clips: Sequence[Clip], split: Split) -> None:
    """Refuse a task that the training clips cannot teach."""
    labels = [clips[i].labels[task] for i in split.train if task in clips[i].labels]
    seen = {label.index(max(label)) for label in labels}
    if len(seen) < 2:
        what = "no label" if not seen else "one class only"
        raise ProtocolError(f"task {task!r}: {what} among {len(split.train)} training clips; nothing could be learnt")
