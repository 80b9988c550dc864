"""The vocabularies of emotion and sentiment, and every conversion between them.

A converted label is a vector as long as its task's classes: one-hot, or soft where raters disagreed.
A task that a corpus does not have is absent from the clip, never zero.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, ...]


@dataclass(frozen=True)
class Task:
    """One thing to predict: its classes in house order, or the names of its dimensions."""

    name: str
    kind: Literal["class", "score"]
    classes: tuple[str, ...]

    def check(self, vector: Sequence[float]) -> None:
        """Refuse a vector that cannot be a label of this task."""
        if len(vector) != len(self.classes):
            raise ValueError(f"expected {len(self.classes)} numbers ({', '.join(self.classes)}), got {len(vector)}")
        if not all(map(is_number, vector)):
            raise ValueError(f"expected finite numbers, got {list(vector)}")
        if self.kind == "class" and (min(vector) < 0 or max(vector) > 1 + 1e-6 or abs(sum(vector) - 1) > 1e-6):
            raise ValueError(f"expected shares of {', '.join(self.classes)} that sum to 1, got {list(vector)}")


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("emotion", "class", ("neutral", "happy", "sad", "anger", "surprise", "disgust", "fear")),
        Task("sentiment", "class", ("negative", "neutral", "positive")),
        Task("sentiment_score", "score", ("sentiment",)),
    )
}

# How corpora spell the house's seven emotions.
_EMOTION_SPELLINGS = {
    "joy": "happy",
    "happiness": "happy",
    "sadness": "sad",
    "angry": "anger",
    "surprised": "surprise",
    "disgusted": "disgust",
    "fearful": "fear",
    "scared": "fear",
}


def is_number(value: object) -> bool:
    """Tell a finite number; comparing, unlike `math.isfinite`, also bears whole numbers too big for a float."""
    return isinstance(value, float | int) and not isinstance(value, bool) and -math.inf < value < math.inf


def emotion(word: str) -> Vector:
    """Turn a corpus' own emotion word into the one-hot of the house order."""
    lower = word.strip().lower()
    return one_hot("emotion", _EMOTION_SPELLINGS.get(lower, lower))


def sentiment(word: str) -> Vector:
    """Turn `negative`, `neutral` or `positive` into its one-hot."""
    return one_hot("sentiment", word.strip().lower())


def one_hot(task: str, word: str) -> Vector:
    """Return the vector of `task` that is 1 at `word`; the vocabulary is named when the word is not in it."""
    classes = TASKS[task].classes
    if word not in classes:
        raise ValueError(f"expected one of {', '.join(classes)}, got {word!r}")
    return tuple(float(name == word) for name in classes)
