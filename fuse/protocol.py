"""Which clips are trained on, which choose the epoch, which are scored."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fuse.recipe import Recipe
from manifests import Clip
from manifests.labels import TASKS
from manifests.labels import of as label_of

OFFICIAL = ("train", "dev", "test")
SHUFFLED = 42
AT_RANDOM = {
    "random": "folds are drawn at random over clips",
    "paper001": "a fifth of the clips is drawn at random for the test, as paper 001 does",
    "paper002": "five folds are drawn at random over clips, as paper 002 does",
}
"""Protocols that know no speakers, and what they do."""


class ProtocolError(ValueError):
    """Clips that a protocol cannot be applied to; the message says what is missing."""


@dataclass(frozen=True)
class Split:
    """Indices into the clips of a dataset; one division of several has a name."""

    train: tuple[int, ...]
    dev: tuple[int, ...]
    test: tuple[int, ...]
    name: str = ""

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Return the parts by name."""
        return {"train": self.train, "dev": self.dev, "test": self.test}


def splits(clips: Sequence[Clip], recipe: Recipe) -> tuple[Split, ...]:
    """Divide the clips as the recipe's protocol does: once, or into folds each of which is scored once."""
    if recipe.protocol == "official":
        found = [official(clips)]
    elif recipe.protocol == "sessions":
        found = list(_sessions(clips))
    elif recipe.protocol == "paper001":
        found = [_eighty_twenty(clips, recipe)]
    else:
        grouped = recipe.protocol == "group"
        places = _grouped(clips, recipe) if grouped else _at_random(clips, recipe, recipe.folds)
        found = [_fold(places, number, recipe.folds) for number in range(recipe.folds)]
    for split in found:
        _check(clips, split, recipe)
    if not recipe.only_folds:
        return tuple(found)
    missing = [number for number in recipe.only_folds if number >= len(found)]
    if missing:
        raise ProtocolError(f"only_folds: expected numbers from 0 to {len(found) - 1}, got {missing[0]}")
    return tuple(found[number] for number in recipe.only_folds)


def leaks(clips: Sequence[Clip], division: Sequence[Split], recipe: Recipe) -> Iterator[str]:
    """Say what a reader must know before believing scores of such folds."""
    if recipe.protocol not in AT_RANDOM:
        return
    speakers = _known(clips, division, "speaker_id")
    told = f"{speakers} test speakers also speak in training" if speakers else "speakers are not known"
    if dialogues := _known(clips, division, "dialogue_id"):
        told += f", {dialogues} test dialogues are also trained on"
    yield f"LEAK: {AT_RANDOM[recipe.protocol]}: {told}. Protocol group shows what is left."


def _known(clips: Sequence[Clip], division: Sequence[Split], column: str) -> str:
    """Count over all divisions how many speakers or dialogues of the test clips training has met."""
    tested = known = 0
    for split in division:
        scored = {(clips[i].corpus, getattr(clips[i], column)) for i in split.test if getattr(clips[i], column)}
        trained = {(clips[i].corpus, getattr(clips[i], column)) for i in split.train}
        tested, known = tested + len(scored), known + len(scored & trained)
    return f"{known} of {tested}" if tested else ""


def official(clips: Sequence[Clip]) -> Split:
    """Follow the corpora's own splits; every clip of dev and test is scored, whatever could be extracted of it."""
    found = {name: tuple(i for i, clip in enumerate(clips) if clip.split == name) for name in OFFICIAL}
    for name, indices in found.items():
        if not indices:
            have = ", ".join(sorted({clip.split for clip in clips})) or "none"
            raise ProtocolError(
                f"protocol official: no clip in split {name!r}; the manifest has: {have}. "
                "Say SET=protocol=sessions or group, or give the manifest your own list: make manifest SPLITS=list.csv"
            )
    _refuse_unused(clips, {i for indices in found.values() for i in indices})
    return Split(found["train"], found["dev"], found["test"])


def _refuse_unused(clips: Sequence[Clip], used: set[int]) -> None:
    """Refuse a corpus that has no official split while others have; its clips would vanish without a word."""
    having = {clips[i].corpus for i in used}
    for clip in clips:
        if clip.corpus not in having:
            raise ProtocolError(
                f"protocol official: {clip.corpus} has no official split, its clips are in {clip.split!r} and others; "
                f"give it a list: make manifest CORPUS={clip.corpus} SPLITS=list.csv"
            )


def _sessions(clips: Sequence[Clip]) -> Iterator[Split]:
    """Leave each session out once, the next one choosing the epoch; a corpus in sessions names them as its splits."""
    names = sorted({clip.split for clip in clips})
    if len(names) < 3 or set(names) & set(OFFICIAL):
        raise ProtocolError(f"protocol sessions: expected at least three sessions as splits, got {', '.join(names)}")
    of = {name: tuple(i for i, clip in enumerate(clips) if clip.split == name) for name in names}
    for number, test in enumerate(names):
        dev = names[(number + 1) % len(names)]
        train = tuple(i for i, clip in enumerate(clips) if clip.split not in (test, dev))
        yield Split(train, of[dev], of[test], test)


def _fold(places: NDArray[np.int64], number: int, folds: int) -> Split:
    """Score one part, let the next one choose the epoch, train on the rest."""
    test, dev = places == number, places == (number + 1) % folds
    train, dev, test = (tuple(np.flatnonzero(mask).tolist()) for mask in (~test & ~dev, dev, test))
    return Split(train, dev, test, f"fold {number + 1} of {folds}")


def _grouped(clips: Sequence[Clip], recipe: Recipe) -> NDArray[np.int64]:
    column = {"speaker": "speaker_id", "dialogue": "dialogue_id"}[recipe.group_by]
    for clip in clips:
        if getattr(clip, column) is None:
            raise ProtocolError(f"protocol group: {clip.id} has no {recipe.group_by}; say SET=group_by=… or official")
    groups = [f"{clip.corpus} {getattr(clip, column)}" for clip in clips]
    if len(set(groups)) < recipe.folds:
        raise ProtocolError(
            f"protocol group: expected a {recipe.group_by} for each of {recipe.folds} folds, got {len(set(groups))}; "
            f"say FOLDS={max(2, len(set(groups)))}"
        )
    from sklearn.model_selection import StratifiedGroupKFold  # it takes two seconds, and most runs need no folds

    divide = StratifiedGroupKFold(recipe.folds, shuffle=True, random_state=SHUFFLED)
    return _places(divide.split(np.zeros(len(clips)), _strata(clips, recipe, recipe.folds), groups), len(clips))


def _at_random(clips: Sequence[Clip], recipe: Recipe, folds: int) -> NDArray[np.int64]:
    if len(clips) < folds:
        raise ProtocolError(f"protocol {recipe.protocol}: expected a clip for each of {folds} folds, got {len(clips)}")
    from sklearn.model_selection import StratifiedKFold

    divide = StratifiedKFold(folds, shuffle=True, random_state=SHUFFLED)
    return _places(divide.split(np.zeros(len(clips)), _strata(clips, recipe, folds)), len(clips))


def _eighty_twenty(clips: Sequence[Clip], recipe: Recipe) -> Split:
    """Score a fifth of the clips; where the paper let that fifth choose the epoch, a tenth of the others does."""
    scored = _at_random(clips, recipe, 5) == 0
    others = np.flatnonzero(~scored)
    choosing = _at_random([clips[i] for i in others.tolist()], recipe, 10) == 0
    train, dev, test = others[~choosing], others[choosing], np.flatnonzero(scored)
    return Split(tuple(train.tolist()), tuple(dev.tolist()), tuple(test.tolist()), "80/20")


def _places(parts: Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]], clips: int) -> NDArray[np.int64]:
    places = np.zeros(clips, np.int64)
    for number, (_, test) in enumerate(parts):
        places[test] = number
    return places


def _strata(clips: Sequence[Clip], recipe: Recipe, folds: int) -> list[str]:
    """Return corpus and class of the first task, which every fold is to have in the same shares.

    What is too rare to be in every fold counts as the most common, so that chance decides where it goes.
    """
    task = recipe.tasks[0]
    labels = [label_of(task, clip.labels) for clip in clips]
    named = [
        f"{clip.corpus} {'' if label is None or TASKS[task].kind != 'class' else label.index(max(label))}"
        for clip, label in zip(clips, labels, strict=True)
    ]
    counts = Counter(named)
    ((common, _),) = counts.most_common(1)
    return [name if counts[name] >= folds else common for name in named]


def _check(clips: Sequence[Clip], split: Split, recipe: Recipe) -> None:
    where = f"{split.name}: " if split.name else ""
    for name, index in split.parts().items():
        if not index:
            raise ProtocolError(f"{where}no clip in {name}; say fewer FOLDS, or another protocol")
        labelled = any(label_of(task, clips[i].labels) is not None for i in index for task in recipe.tasks)
        if not labelled:
            raise ProtocolError(f"{where}no clip in {name} has a label of {', '.join(recipe.tasks)}")
    for task in recipe.tasks:
        _check_classes(task, clips, split, where, allowed=recipe.unseen_classes)


def _check_classes(task: str, clips: Sequence[Clip], split: Split, where: str, *, allowed: bool) -> None:
    """Refuse a task that the training clips cannot teach, and classes that are scored and cannot be learnt."""
    if TASKS[task].kind == "score":
        return

    def seen(index: Sequence[int]) -> set[int]:
        labels = (label_of(task, clips[i].labels) for i in index)
        return {k for label in labels if label is not None for k, share in enumerate(label) if share > 0}

    learnt, scored = seen(split.train), seen((*split.dev, *split.test))
    if TASKS[task].kind == "class" and len(learnt) < 2:
        what = "one class only" if learnt else "no label"
        raise ProtocolError(
            f"{where}task {task!r}: {what} among {len(split.train)} training clips; nothing could be learnt"
        )
    if scored - learnt and not allowed:
        names = ", ".join(TASKS[task].classes[k] for k in sorted(scored - learnt))
        raise ProtocolError(
            f"{where}task {task!r}: no training clip of {names}, which would be scored; choose other folds, "
            "or say SET=unseen_classes=true to score what can only be wrong"
        )
