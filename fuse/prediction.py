"""New clips scored by a trained run: what every voice says of the whole clip, and of each of its windows alone.

The voices are the fused model, the heads that it has for its modalities, and, where it has none, the model given that
modality alone. Several seeds and folds are averaged, with the spread between them.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from features import CacheError, folder_of
from features.entries import fields, key_of
from features.failures import recorded
from fuse import data, decide, kept, predict, record
from fuse.data import Dataset
from fuse.judged import Shares
from fuse.recordings import CORPUS, Found
from fuse.trained import Trained, Weights
from manifests import Clip

FUSION = "fusion"
ALONE = " alone"
Cell = tuple[str, str]
"""A voice and a task."""


@dataclass(frozen=True)
class Answer:
    """What all seeds and folds say of one stretch for one task."""

    task: str
    said: str | float
    mean: Shares
    """(k)"""
    spread: Shares | None
    """(k) the sample standard deviation; nothing of one alone."""


Answers = Mapping[str, Mapping[str, Answer]]
"""Voice to task to answer."""


@dataclass(frozen=True)
class Stretch:
    """A window of a clip, in seconds from the clip's start, and what is said of it alone."""

    start_s: float
    end_s: float
    answers: Answers


@dataclass(frozen=True)
class Scored:
    """One clip, and what is said of it."""

    clip: Clip
    missing: Mapping[str, str]
    """Modality to why the clip is without it."""
    whole: Answers
    """Nothing where every modality is missing."""
    windows: tuple[Stretch, ...]


def score(trained: Trained, found: Found) -> tuple[list[Scored], list[str]]:
    """Return what the run says of each clip, and what a reader must know of how that was found."""
    notes = list[str]()
    whole, rows = _joined(trained, found.clips, trained.recipe.data.windows)
    try:
        alone = [dataclasses.replace(clip, dialogue_id=None, utt_index=None) for clip in found.clips]
        windows = _joined(trained, alone, "vote")[0]
    except CacheError as error:
        windows = None
        notes.append(f"Windows are not scored one by one: {error}")
    said_of_whole, said_of_windows = _heard(trained, whole, windows, rows)
    scored, first = [], 0
    for place, (row, clip) in enumerate(zip(rows, found.clips, strict=True)):
        missing = {m: _why(trained, m, clip) for m, covered in whole.covered.items() if not covered[row]}
        spans_s = list(_spans_s(windows, row, clip)) if windows else []
        if len(missing) == len(whole.covered):
            scored.append(Scored(clip, missing, {}, ()))
        else:
            stretches = (
                Stretch(*span_s, _answers(trained, said_of_windows, first + i, missing))
                for i, span_s in enumerate(spans_s)
            )
            scored.append(Scored(clip, missing, _answers(trained, said_of_whole, place, missing), tuple(stretches)))
        first += max(1, len(spans_s))
    return scored, notes


def _heard(
    trained: Trained, whole: Dataset, windows: Dataset | None, rows: Sequence[int]
) -> tuple[dict[Cell, list[Shares]], dict[Cell, list[Shares]]]:
    """Ask every seed of every fold: what each voice says of whole clips, and of windows alone."""
    of_whole: dict[Cell, list[Shares]] = {}
    of_windows: dict[Cell, list[Shares]] = {}
    for weights in trained.weights:
        model = trained.model(weights)
        for cell, shares in _voices(trained, weights, model, whole, rows).items():
            joined = predict.said(whole, rows, cell[1], shares, weights.thresholds.get(cell[1], 0.5))
            of_whole.setdefault(cell, []).append(joined.shares)
        for cell, shares in _voices(trained, weights, model, windows, rows).items() if windows else ():
            of_windows.setdefault(cell, []).append(shares)
    return of_whole, of_windows


def _joined(
    trained: Trained, clips: Sequence[Clip], windows: Literal["mean", "vote", "all"]
) -> tuple[Dataset, list[int]]:
    """Join clips with their features, beside one that has every modality, so that they may lack any."""
    exactly = {m: tuple(fields(key_of(folder)) for folder in each) for m, each in trained.entries.items()}
    recipe = dataclasses.replace(
        trained.recipe,
        corpora=(kept.CORPUS, CORPUS),
        encoders={**trained.recipe.encoders, **exactly},
        data=dataclasses.replace(trained.recipe.data, windows=windows),
    )
    return data.load([kept.ZEROS, *clips], recipe), list(range(1, 1 + len(clips)))


def _voices(
    trained: Trained, weights: Weights, model: nn.Module, joined: Dataset, clips: Sequence[int]
) -> dict[Cell, Shares]:
    """Return what each voice of one model says of the examples of some clips."""
    recipe, device = trained.recipe, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if recipe.data.standardise:
        joined = dataclasses.replace(joined, scaling=trained.scaling(weights.fold), stored=None)
    joined, model = joined.to(device), model.to(device)
    half = recipe.train.precision == "bfloat16"

    def say(without: Sequence[str]) -> dict[str, Shares]:
        try:
            return predict.shares(model, joined, clips, without, half=half)
        except (RuntimeError, IndexError) as error:
            raise ValueError(
                f"{recipe.model} cannot take these clips, whose windows differ from those it was trained on: {error}"
            ) from None

    found = {_cell(name): rows for name, rows in say(recipe.test_without).items()}
    modalities = [m for m in joined.sources if m not in recipe.test_without]
    for modality in modalities if len(modalities) > 1 else ():
        if (modality, recipe.tasks[0]) not in found:
            alone = say([other for other in joined.sources if other != modality])
            found |= {(modality + ALONE, task): alone[task] for task in recipe.tasks}
    return found


def _cell(name: str) -> Cell:
    part, _, task = name.rpartition("/")
    return part or FUSION, task


def _answers(
    trained: Trained, said: Mapping[Cell, Sequence[Shares]], row: int, missing: Mapping[str, str]
) -> dict[str, dict[str, Answer]]:
    found: dict[str, dict[str, Answer]] = {}
    for (voice, task), rows in said.items():
        if task in trained.recipe.tasks and voice.removesuffix(ALONE) not in missing:
            found.setdefault(voice, {})[task] = _answer(trained, task, np.array([each[row] for each in rows]))
    return found


def _answer(trained: Trained, task: str, each: Shares) -> Answer:
    mean: Shares = each.mean(axis=0)
    bars = [one.thresholds[task] for one in trained.weights if task in one.thresholds]
    view = trained.views[task]
    several = view == "several" and bars
    there = decide.sets(mean[None], task=task, threshold=sum(bars) / len(bars))[0] if several else None
    spread = each.std(axis=0, ddof=1) if len(each) > 1 else None
    return Answer(task, record.said(task, view, mean, there), mean, spread)


def _spans_s(joined: Dataset, row: int, clip: Clip) -> Iterator[tuple[float, float]]:
    """Yield the seconds of each window of a clip; one that lies nowhere in time is the whole clip."""
    outlines = [one.outlines[row] for one in joined.sources.values()]
    spans_s = max((outline[1] for outline in outlines if outline), key=lambda each: (len(each), each.max()), default=())
    for start_s, end_s in np.asarray(spans_s).reshape(-1, 2).tolist():
        yield start_s, end_s if end_s > start_s else clip.duration_s or 0.0


def _why(trained: Trained, modality: str, clip: Clip) -> str:
    """Say why a clip has no features of a modality."""
    for folder in trained.entries[modality]:
        failed = recorded(folder_of(CORPUS, key_of(folder))).get(clip.id)
        if failed:
            return f"{failed.stage}: {failed.reason}"
    if is_text(trained, modality):
        return "nobody says what is said in it"
    return (
        "the file has no sound" if clip.audio is None else "the file has no picture" if clip.video is None else "none"
    )


def is_text(trained: Trained, modality: str) -> bool:
    """Return whether a modality lies nowhere in time, as words do."""
    return kept.is_timeless(trained.entries[modality][0])
