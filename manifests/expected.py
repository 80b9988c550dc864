"""Counts in words, so that a corpus file can say how many clips there should be: `dialogues, split train`.

Parts are joined by commas. One may say what is counted (`clips`, the default, `speakers`, `dialogues`, `splits`), the
others are a column of `Clip` and its value: `split train`, `native.emotion joy`, `flags xxx_label`, `sex f`, or a task
and a class of it: `emotion4 happy`.
"""

from collections.abc import Iterable

from manifests.clip import Clip
from manifests.labels import TASKS
from manifests.labels import of as label_of

COUNTED = {"clips": "id", "speakers": "speaker_id", "dialogues": "dialogue_id", "splits": "split"}


def count(clips: Iterable[Clip], words: str) -> int:
    """Count what the words say."""
    parts = [part.strip() for part in words.split(",")]
    column = next((COUNTED[part] for part in parts if part in COUNTED), "id")
    asked = [part.partition(" ")[::2] for part in parts if part not in COUNTED]
    found = (clip for clip in clips if all(_is(clip, name, value) for name, value in asked))
    return len({getattr(clip, column) for clip in found} - {None})


def _is(clip: Clip, name: str, value: str) -> bool:
    if name in TASKS:
        label = label_of(name, clip.labels)
        if not value:
            return label is not None
        return label is not None and label[TASKS[name].classes.index(value)] == max(label) > 0
    if name.startswith("native."):
        return str(clip.native.get(name.removeprefix("native."), "")) == value
    found = getattr(clip, name)
    return value in found if isinstance(found, tuple) else str(found) == value
