"""The vocabularies of emotion and sentiment, and every conversion between them.

A converted label is a vector as long as its task's classes: one-hot, or soft where raters disagreed.
A task that a corpus does not have is absent from the clip, never zero.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, ...]


@dataclass(frozen=True)
class Task:
    """One thing to predict: its classes in house order, or the names of its dimensions.

    Of a `class` task one class is meant, softly where raters disagreed; of a `multi` task each class is there or not.
    """

    name: str
    kind: Literal["class", "multi", "score"]
    classes: tuple[str, ...]

    def check(self, vector: Sequence[float]) -> None:
        """Refuse a vector that cannot be a label of this task."""
        if len(vector) != len(self.classes):
            raise ValueError(f"expected {len(self.classes)} numbers ({', '.join(self.classes)}), got {len(vector)}")
        if not all(map(is_number, vector)):
            raise ValueError(f"expected finite numbers, got {list(vector)}")
        if self.kind == "class" and (min(vector) < 0 or max(vector) > 1 + 1e-6 or abs(sum(vector) - 1) > 1e-6):
            raise ValueError(f"expected shares of {', '.join(self.classes)} that sum to 1, got {list(vector)}")
        if self.kind == "multi" and set(vector) - {0, 1}:
            raise ValueError(f"expected 0 or 1 for each of {', '.join(self.classes)}, got {list(vector)}")


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("emotion", "class", ("neutral", "happy", "sad", "anger", "surprise", "disgust", "fear")),
        Task("emotions", "multi", ("happy", "sad", "anger", "surprise", "disgust", "fear")),
        Task("emotion4", "class", ("neutral", "happy", "sad", "anger")),
        Task("emotion6", "class", ("neutral", "happy", "sad", "anger", "excited", "frustrated")),
        Task("emotion8", "class", ("neutral", "calm", "happy", "sad", "anger", "fear", "disgust", "surprise")),
        Task("sentiment", "class", ("negative", "neutral", "positive")),
        Task("sentiment2", "class", ("negative", "positive")),
        Task("sentiment2_has0", "class", ("negative", "not negative")),
        Task("sentiment5", "class", ("-2", "-1", "0", "1", "2")),
        Task("sentiment7", "class", ("-3", "-2", "-1", "0", "1", "2", "3")),
        Task("sentiment7_bins", "class", ("-3", "-2", "-1", "0", "1", "2", "3")),
        Task("sentiment_score", "score", ("sentiment",)),
        Task("emotion_scores", "score", ("happy", "sad", "anger", "surprise", "disgust", "fear")),
        Task("valence", "score", ("valence",)),
        Task("arousal", "score", ("arousal",)),
        Task("dominance", "score", ("dominance",)),
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


def of(task: str, labels: Mapping[str, Vector]) -> Vector | None:
    """Return a clip's label of a task, as it stands or as it follows from another; nothing where it has none."""
    if task in labels:
        return labels[task]
    for source, derive in _DERIVED.get(task, {}).items():
        if source in labels and (found := derive(labels[source])) is not None:
            return found
    return None


def soft_emotion(scores: Sequence[float]) -> Vector:
    """Turn how much of six emotions raters saw into shares of seven, as paper 000's equation 3 does.

    The paper divides by the sum and does not say what becomes of a clip in which nobody saw any: it is neutral.
    """
    total = sum(scores)
    return (0.0, *(score / total for score in scores)) if total > 0 else one_hot("emotion", "neutral")


def shares(task: str, votes: Mapping[str, float]) -> Vector | None:
    """Turn votes for words into shares of a task's classes; nothing where no class of it has a vote."""
    total = sum(votes.get(name, 0) for name in TASKS[task].classes)
    return tuple(votes.get(name, 0) / total for name in TASKS[task].classes) if total > 0 else None


def _present(scores: Vector) -> Vector:
    """Tell which of six emotions are there at all."""
    return tuple(float(score > 0) for score in scores)


def _one_of(source: str, task: str) -> Callable[[Vector], Vector | None]:
    """Turn a clear label of a larger vocabulary into one of a smaller, where that has the word."""

    def convert(vector: Vector) -> Vector | None:
        word = TASKS[source].classes[vector.index(max(vector))]
        return one_hot(task, word) if max(vector) == 1 and word in TASKS[task].classes else None

    return convert


def _sign(score: Vector) -> Vector:
    return one_hot("sentiment", "negative" if score[0] < 0 else "positive" if score[0] > 0 else "neutral")


def _polarity(score: Vector) -> Vector | None:
    """Positive or negative; what is neither is left out, as the field does since 2019."""
    return _one_of("sentiment", "sentiment2")(_sign(score))


def _not_negative(score: Vector) -> Vector:
    """Negative or not, as the field had it until 2019."""
    return one_hot("sentiment2_has0", "negative" if score[0] < 0 else "not negative")


def _binned(score: Vector) -> Vector:
    """Away from zero to the next whole number, as the authors of MOSEI describe seven classes; only 0 is neutral."""
    steps = math.ceil(abs(score[0]))
    return one_hot("sentiment7_bins", str(min(3, steps) if score[0] > 0 else -min(3, steps)))


def _rounded(task: str) -> Callable[[Vector], Vector]:
    """Round half to even after clipping, as the field's evaluations do."""
    most = len(TASKS[task].classes) // 2
    return lambda score: one_hot(task, str(round(max(-most, min(most, score[0])))))


_DERIVED: Mapping[str, Mapping[str, Callable[[Vector], Vector | None]]] = {
    # Neutral, the first of seven shares, is none of the six.
    "emotions": {"emotion_scores": _present, "emotion": lambda shares: _present(shares[1:])},
    "emotion4": {"emotion": _one_of("emotion", "emotion4"), "emotion8": _one_of("emotion8", "emotion4")},
    "sentiment": {"sentiment_score": _sign},
    "sentiment2": {"sentiment_score": _polarity, "sentiment": _one_of("sentiment", "sentiment2")},
    "sentiment2_has0": {"sentiment_score": _not_negative},
    "sentiment5": {"sentiment_score": _rounded("sentiment5")},
    "sentiment7": {"sentiment_score": _rounded("sentiment7")},
    "sentiment7_bins": {"sentiment_score": _binned},
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
