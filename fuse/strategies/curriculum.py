"""Curriculum by weighted emotional shift: training begins with the conversations whose emotions shift least.

Hybrid Curriculum Learning (Yang et al. 2022) counts how often a speaker's emotion changes; LSDGNN (2025) lets a change
count more between emotions that are alike, because they are hard to tell apart; PRC-Emo (2025) counts changes from one
speaker to the next, too. A clip is as hard as its conversation, also for models that look at no other turn.

The places of emotions, how alike they are and the sum are those of LSDGNN's published code, where `between` is 0.
Inferred: `between`, of which PRC-Emo says only that both kinds are weighed; the place of calm; that turns of nobody
known are one speaker's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fuse.strategies import Lesson, _strategy
from manifests.labels import TASKS

DEGREES = {
    "happy": 27.0,
    "excited": 63.0,
    "surprise": 81.0,
    "anger": 99.0,
    "disgust": 153.0,
    "fear": 171.0,
    "frustrated": 189.0,
    "sad": 261.0,
    "calm": 351.0,
}
"""Where emotions stand on a wheel whose right is pleasant and whose top is aroused; neutral is its middle."""


@dataclass(frozen=True)
class Config:
    """The dials of the curriculum."""

    buckets: int = 4
    """How many parts the conversations are cut into, from the easiest to the hardest."""
    every: int = 1
    """Epochs until the next bucket comes in; `train.patience` counts these epochs, too."""
    between: float = 0.5
    """What a shift from one speaker's turn to the next one's counts, beside 1 for a shift of the same speaker."""
    shift: float = 0.4
    """What every shift counts, beside how alike its two emotions are."""

    def __post_init__(self) -> None:
        if self.buckets < 1 or self.every < 1:
            raise ValueError("strategies.curriculum: expected at least one bucket and one epoch until the next")


class Strategy(_strategy.Strategy):
    """Leave out of early epochs what is hard."""

    def __init__(self, config: Config, lesson: Lesson) -> None:
        super().__init__()
        if (config.buckets - 1) * config.every >= lesson.train.epochs:
            raise ValueError(
                f"strategies.curriculum: {config.buckets} buckets, one more every {config.every} epochs, are not all "
                f"in before train.epochs={lesson.train.epochs} are over; say fewer buckets or more epochs"
            )
        self.every = config.every
        self._clip_of = lesson.data.clip_of
        self._bucket_of = _buckets(config, lesson)

    def order(self, examples: Tensor, epoch: int) -> Tensor:
        """Keep the examples of the buckets that are in, in their order."""
        return examples[self._bucket_of[self._clip_of[examples]] <= (epoch - 1) // self.every]


def difficulty(
    speakers: Sequence[int], emotions: Sequence[int], alike: Sequence[Sequence[float]], dials: Config
) -> float:
    """Return how hard the turns of a conversation are, in order; -1 is an emotion that is not known.

    Shifts and speakers are counted for each turn and speaker: (shifts + speakers) / (turns + speakers).
    """
    shifts, last = 0.0, dict.fromkeys(speakers, -1)
    for place, (speaker, now) in enumerate(zip(speakers, emotions, strict=True)):
        shifts += _shift(last[speaker], now, alike, dials)
        if place and speakers[place - 1] != speaker:
            shifts += dials.between * _shift(emotions[place - 1], now, alike, dials)
        last[speaker] = now
    return (shifts + len(last)) / (len(speakers) + len(last))


def _shift(before: int, now: int, alike: Sequence[Sequence[float]], dials: Config) -> float:
    return 0.0 if before in (-1, now) or now == -1 else alike[before][now] + dials.shift


def likeness(one: str, other: str, classes: int) -> float:
    """Return how alike two emotions of a vocabulary are, from 0 to 1.

    It is the cosine of their places on the wheel; none where one is pleasant and the other is not, and one part in
    all classes where one of them is neutral.
    """
    if "neutral" in (one, other):
        return 1 / classes
    here, there = math.radians(DEGREES[one]), math.radians(DEGREES[other])
    return max(0.0, math.cos(here - there)) if math.cos(here) * math.cos(there) > 0 else 0.0


def _buckets(config: Config, lesson: Lesson) -> Tensor:
    """Return the bucket of each clip, counted from 0; clips that stand alone are in the first."""
    data, task = lesson.data, _emotions(lesson)
    conversations: dict[int, list[int]] = {}
    for _, number, clip in sorted((int(data.turn[i]), int(data.dialogue[i]), i) for i in lesson.split.train):
        if number >= 0:
            conversations.setdefault(number, []).append(clip)
    if not conversations:
        raise ValueError(
            "strategies.curriculum: no training clip is in a conversation, so that none is easier; leave it out"
        )
    classes = TASKS[task].classes
    alike = [[likeness(one, other, len(classes)) for other in classes] for one in classes]
    emotion = torch.where(data.known[task], data.labels[task].argmax(dim=1), -1)

    def hard(clips: list[int]) -> float:
        return difficulty(data.speaker[clips].tolist(), emotion[clips].tolist(), alike, config)

    found = torch.zeros(len(data.clips), dtype=torch.long)
    numbers = torch.tensor(sorted(conversations, key=lambda number: (hard(conversations[number]), number)))
    for bucket, some in enumerate(numbers.tensor_split(min(config.buckets, len(numbers)))):
        for number in some.tolist():
            found[conversations[number]] = bucket
    return found


def _emotions(lesson: Lesson) -> str:
    """Return the first task whose classes are emotions, one at a time."""
    for task in lesson.tasks:
        known = {"neutral", *DEGREES}
        if TASKS[task].kind == "class" and known.issuperset(TASKS[task].classes) and not lesson.data.several(task):
            return task
    raise ValueError(
        f"strategies.curriculum: expected a task of one emotion a clip, got {', '.join(lesson.tasks)}; take emotion "
        "or leave it out"
    )
