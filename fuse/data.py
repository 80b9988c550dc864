"""Clips joined with their cached windows: padding, masks and labels are made here and nowhere else."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from features import CacheError, Reader, Windows, find
from features.entries import is_random
from fuse.batch import Batch, Shapes
from fuse.recipe import Recipe
from manifests import Clip
from manifests.labels import TASKS


@dataclass(frozen=True)
class Stored:
    """One modality of all clips, padded: values (N, n, t, d) and its two masks."""

    values: Tensor
    windows: Tensor
    steps: Tensor


@dataclass(frozen=True)
class Dataset:
    """All clips of an experiment, in memory, in the manifest's order."""

    clips: tuple[Clip, ...]
    stored: Mapping[str, Stored]
    labels: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    dialogue: Tensor
    turn: Tensor
    entries: Mapping[str, Path]
    """Modality to the folder of the cache entry."""
    lacking: Mapping[str, str]
    """Modality to what its entry lacks of what the recipe asks for, where the recipe allows that."""
    digest: str
    """What was read: the sources of all windows, and the labels."""

    @property
    def shapes(self) -> Shapes:
        """Return (t, d) by modality."""
        return {name: (stored.values.shape[2], stored.values.shape[3]) for name, stored in self.stored.items()}

    @property
    def covered(self) -> dict[str, Tensor]:
        """Return which clips have at least one window, by modality."""
        return {name: stored.windows.any(dim=1) for name, stored in self.stored.items()}

    def batch(self, index: Tensor) -> Batch:
        """Return some clips as a batch of float32."""
        return Batch(
            ids=tuple(self.clips[i].id for i in index.tolist()),
            values={name: stored.values[index].float() for name, stored in self.stored.items()},
            windows={name: stored.windows[index] for name, stored in self.stored.items()},
            steps={name: stored.steps[index] for name, stored in self.stored.items()},
            dialogue=self.dialogue[index],
            turn=self.turn[index],
            labels={task: labels[index] for task, labels in self.labels.items()},
            known={task: known[index] for task, known in self.known.items()},
        )


def load(clips: Sequence[Clip], recipe: Recipe, train: Sequence[int]) -> Dataset:
    """Join clips with the entries that a recipe names; statistics come from the training clips alone."""
    found = {modality: _find(recipe, modality, where) for modality, where in recipe.used.items()}
    entries = {modality: folder for modality, (folder, _) in found.items()}
    _refuse_random(entries, allowed=recipe.data.random_weights)
    read = {modality: _read(folder, clips, recipe.data.windows) for modality, folder in entries.items()}
    digest = hashlib.sha256()
    for modality, (_, sources) in read.items():
        digest.update(f"{modality} {entries[modality].name} {sources}\n".encode())
    labels, known = _labels(clips, recipe.tasks)
    digest.update(repr([(clip.id, clip.split, dict(clip.labels)) for clip in clips]).encode())
    stored = {modality: _pad(windows, modality) for modality, (windows, _) in read.items()}
    if recipe.data.standardise:
        stored = {modality: _standardised(one, torch.tensor(train)) for modality, one in stored.items()}
    dialogue, turn = _dialogues(clips)
    lacking = {modality: lacks for modality, (_, lacks) in found.items() if lacks}
    return Dataset(tuple(clips), stored, labels, known, dialogue, turn, entries, lacking, digest.hexdigest())


def _find(recipe: Recipe, modality: str, where: Mapping[str, str]) -> tuple[Path, str]:
    """Return the one entry that is meant, and what it lacks of what the recipe asks for but allows to be absent."""
    spared = {name: value for name, value in where.items() if name in recipe.without}
    try:
        return find(recipe.corpus, **where), ""
    except CacheError as error:
        if not spared:
            raise CacheError(f"encoders.{modality}: {error}") from None
    try:
        folder = find(recipe.corpus, **{**where, **dict.fromkeys(spared, "")})
    except CacheError as error:
        raise CacheError(f"encoders.{modality}: {error}") from None
    return folder, ", ".join(f"{name} = {value}" for name, value in spared.items())


def _refuse_random(entries: Mapping[str, Path], *, allowed: bool) -> None:
    """Let nobody take features of random weights for real ones, and nobody mix them with real ones."""
    drawn = {modality: is_random(folder) for modality, folder in entries.items()}
    names = ", ".join(f"{modality} ({entries[modality].name})" for modality, yes in drawn.items() if yes)
    if names and not all(drawn.values()):
        raise CacheError(f"{names}: features of random weights are never mixed with real ones; extract real ones")
    if names and not allowed:
        raise CacheError(
            f"{names}: these features are of random weights, so that no score would mean anything; extract real ones, "
            'or say SET="data.random_weights=true" to try the pipeline'
        )


def _read(folder: Path, clips: Sequence[Clip], windows: str) -> tuple[list[Windows | None], list[str | None]]:
    with Reader(folder) as reader:
        stored = reader.read([clip.id for clip in clips if clip.id in reader])
        found = [stored.get(clip.id) for clip in clips]
        sources = [reader.sources.get(clip.id) for clip in clips]
    if not any(found):
        raise CacheError(f"{folder} has none of the {len(clips)} clips; make features fills it")
    return [one and (_mean(one) if windows == "mean" else one) for one in found], sources


def _mean(windows: Windows) -> Windows:
    """Average the windows of a clip element-wise, as paper 000 does; a single window stays as it is."""
    if len(windows) < 2:
        return windows
    stacked = windows.stack()
    values = stacked.mean(axis=0, dtype=np.float32).astype(stacked.dtype)
    whole = (windows.spans_s[0, 0], windows.spans_s[-1, 1])
    return Windows.join([values], [whole], [int(windows.valid.max())])


def _pad(clips: Sequence[Windows | None], modality: str) -> Stored:
    present = [windows for windows in clips if windows is not None and len(windows)]
    most_n = max(map(len, present))
    most_t = max(int(np.diff(windows.start).max()) for windows in present)
    shape = present[0].values.shape[1:]
    dtype = present[0].values.dtype
    if len(shape) != 1:
        raise CacheError(f"encoders.{modality}: expected steps of one axis, got {shape}")
    values = np.zeros((len(clips), most_n, most_t, *shape), dtype)
    exists = np.zeros(values.shape[:2], bool)
    real = np.zeros(values.shape[:3], bool)
    for row, windows in enumerate(clips):
        if windows is None:
            continue
        exists[row, : len(windows)] = True
        for i, valid in enumerate(windows.valid):
            window = windows.window(i)
            values[row, i, : len(window)] = window
            real[row, i, :valid] = True
    return Stored(torch.from_numpy(values), torch.from_numpy(exists), torch.from_numpy(real))


def _standardised(stored: Stored, train: Tensor) -> Stored:
    """Features that do not vary in training become zero, never infinite; padding stays zero."""
    values = stored.values.float()
    real = values[train][stored.steps[train]]
    if not len(real):
        return stored
    mean, deviation = real.mean(dim=0), real.std(dim=0, correction=0)
    scale = torch.where(deviation > 1e-6, 1 / deviation.clamp(min=1e-6), 0.0)
    return Stored((values - mean) * scale * stored.windows[:, :, None, None], stored.windows, stored.steps)


def _labels(clips: Sequence[Clip], tasks: Sequence[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    labels, known = {}, {}
    for task in tasks:
        absent = (0.0,) * len(TASKS[task].classes)
        labels[task] = torch.tensor([clip.labels.get(task, absent) for clip in clips], dtype=torch.float32)
        known[task] = torch.tensor([task in clip.labels for clip in clips])
    return labels, known


def _dialogues(clips: Sequence[Clip]) -> tuple[Tensor, Tensor]:
    numbers: dict[str, int] = {}
    dialogue = [numbers.setdefault(clip.dialogue_id, len(numbers)) if clip.dialogue_id else -1 for clip in clips]
    return torch.tensor(dialogue), torch.tensor([clip.utt_index or 0 for clip in clips])
