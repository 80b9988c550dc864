"""A finished run as what scores new clips: its recipe, its weights, and what it keeps of its features."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features import CacheError, Reader
from features.entries import fields, key_of
from features.roots import folders
from fuse import finished, kept
from fuse.judged import View
from fuse.kept import Kept
from fuse.recipe import Recipe
from fuse.typed import build
from manifests import ManifestError
from manifests.labels import TASKS

if TYPE_CHECKING:  # torch is imported when there is something to score
    from torch import Tensor, nn

    from fuse.batch import Shapes
    from fuse.experiment import Experiment

LIGHT_GB = 0.25
"""What of the training features is kept in memory: of them only shapes and scales are needed."""
AGAIN = (
    "let whoever has corpus and cache of the run run its command again, which trains nothing twice: what scoring needs "
    "is then kept in the run's folder"
)


@dataclass(frozen=True)
class Weights:
    """What one seed of one fold has learnt."""

    fold: str
    seed: int
    path: Path
    thresholds: Mapping[str, float]
    """Task to the share from which on a class counts as there, where several may be."""


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    folder: Path
    recipe: Recipe
    weights: tuple[Weights, ...]
    views: Mapping[str, View]
    """How each task was scored in the first corpus that has it."""
    entries: Mapping[str, tuple[Path, ...]]
    """Modality to the entries of the first corpus, as they are kept; a new clip needs the same."""
    digest: str
    """Of the labels and features that it was trained on."""
    kept: Kept

    @property
    def changed(self) -> bool:
        """Return whether labels or features are others by now, as far as they are here."""
        try:
            return not _experiment(self.recipe).data.digest.startswith(self.digest or " ")
        except (ValueError, OSError):  # no corpus, no cache, or other folds
            return False

    @cached_property
    def shapes(self) -> "Shapes":
        """Return (t, d) by modality, as the models were built for."""
        from fuse import compress
        from fuse.source import Source

        mean = self.recipe.data.windows == "mean"
        shapes = {}
        for modality, each in self.entries.items():
            readers = {kept.CORPUS: [Reader(folder) for folder in each]}
            shapes[modality] = Source(modality, readers, [kept.ZEROS], mean=mean).shape
        return compress.shortened(shapes, self.recipe.data.compress)

    def scaling(self, fold: str) -> dict[str, "tuple[Tensor, Tensor]"]:
        """Return what standardises the features of each modality, by the training clips of a fold."""
        import torch

        found = self.kept.of_fold(fold, self.entries) if self.recipe.data.standardise else {}
        wrong = [m for m, scale in found.items() for one in scale if one.shape != self.shapes[m][1:]]
        if wrong or (self.recipe.data.standardise and not found):
            what = f"{wrong[0]} of other widths" if wrong else "none"
            raise ValueError(f"{self.kept.root}: expected the scales of fold {fold!r}, got {what}; {AGAIN}")
        return {m: (torch.from_numpy(shift), torch.from_numpy(scale)) for m, (shift, scale) in found.items()}

    def model(self, weights: Weights) -> "nn.Module":
        """Return the model of one seed, as it was best on dev."""
        from fuse import entries, handover, models
        from fuse.recipe import model_config

        every = [folder for corpus in self.recipe.corpora for folder in folders(corpus)]
        here = {folder.name: folder for folder in reversed(every) if kept.has_network(folder)}
        if self.kept.networks and not here.keys() & set(self.kept.networks):
            raise ValueError(
                f"{self.recipe.model} reads a network beside the features, which no run keeps and this cache does not "
                f"have: {', '.join(self.kept.networks)} of {', '.join(self.recipe.corpora)}; pull it, or extract it"
            )
        beside = {m: tuple(here.get(folder.name, folder) for folder in each) for m, each in self.entries.items()}
        tasks = {task: len(TASKS[task].classes) for task in self.recipe.tasks}
        config = model_config(self.recipe)
        model = models.build(self.recipe.model, config, self.shapes, tasks, beside | entries.unused(self.recipe))
        handover.from_file(self.recipe.model, model, weights.path)
        return model.eval()


def _experiment(recipe: Recipe) -> "Experiment":
    """Return what a run was trained on, joined anew."""
    from fuse.experiment import prepare

    return prepare(recipe)


def read(folder: Path, spare: Path) -> Trained:
    """Read a finished run; what is none is refused.

    A run of an earlier version keeps nothing: where its corpus and cache are, that is made up for in a spare place.
    """
    done = finished.read(folder)
    try:
        data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        provenance = data["provenance"]
        # What was trained before has gone into the weights.
        recipe = build(Recipe, {**provenance["recipe"], "stages": (), "start_from": ()}, "")
        weights = tuple(_weights(folder, recipe, data["folds"]))
        names = {modality: str(provenance["features"][modality]).split(", ") for modality in recipe.used}
        views = {task: view for (task, _), view in reversed(list(done.views.items()))}
        digest = str(provenance["labels and sources"])
        missing = [task for task in recipe.tasks if task not in views]
        if missing or not weights:
            raise ValueError(f"no view of {', '.join(missing)}" if missing else "no seed of any fold")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{folder}: expected report.json as this version writes it, got {type(error).__name__}: {error}; "
            "run its command again"
        ) from None
    recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, memory_gb=LIGHT_GB))
    firsts = {m: names[m][: len(recipe.used[m])] for m in recipe.used}
    own = kept.read(folder) or _made_up_for(recipe, firsts, names, spare)
    entries = {m: tuple(map(own.entry, each)) for m, each in firsts.items()}
    known = Trained(folder, _exactly(recipe, entries, names), weights, views, entries, digest, own)
    for one in weights:
        known.scaling(one.fold)  # refused before anything is extracted
    return known


def _made_up_for(recipe: Recipe, firsts: Mapping[str, list[str]], names: Mapping[str, list[str]], spare: Path) -> Kept:
    entries = {m: tuple(_entry(recipe, m, name) for name in each) for m, each in firsts.items()}
    try:
        kept.write(_experiment(_exactly(recipe, entries, names)), spare)
    except ManifestError as error:
        raise ValueError(f"{error}\nor {AGAIN}") from None
    found = kept.read(spare)
    assert found is not None  # noqa: S101 (it has just been written)
    return found


def _weights(folder: Path, recipe: Recipe, folds: Any) -> Iterator[Weights]:
    for fold in folds:
        for one in fold["seeds"]:
            name, seed = str(fold["name"]), int(one["seed"])
            own = folder / f"{name and name.replace(' ', '-') + '-'}seed-{seed}.safetensors"
            if own.parent != folder:
                raise ValueError(f"a fold called {name!r}")
            path = Path(recipe.weights) if recipe.score_only else own
            if not path.is_file():
                raise ValueError(f"no weights of seed {seed} at {path}")
            yield Weights(name, seed, path, {str(task): float(bar) for task, bar in one["thresholds"].items()})


def _entry(recipe: Recipe, modality: str, name: str) -> Path:
    corpus = recipe.corpora[0]
    found = next((folder for folder in folders(corpus) if folder.name == name), None)
    if found is None:
        raise CacheError(
            f"the run was trained on {name} of {corpus} ({modality}), which is not in the cache: how it was made, and "
            f"the shape of a window, are read there; pull it, or make it again: make features CORPUS={corpus}\n"
            f"or {AGAIN}"
        )
    return found


def _exactly(recipe: Recipe, entries: Mapping[str, tuple[Path, ...]], names: Mapping[str, list[str]]) -> Recipe:
    """Return the recipe with every field of its entries' keys, for the cache may hold more entries by now."""
    exact = {
        modality: tuple(fields(key_of(folder)) for folder in each)
        for modality, each in entries.items()
        if set(names[modality]) == {folder.name for folder in each}
    }
    return dataclasses.replace(recipe, encoders={**recipe.encoders, **exact})


def builds_on(folder: Path) -> tuple[str, ...]:
    """Return what an entry was computed from; words that are the corpus' own were computed from nothing."""
    return key_of(folder).builds_on
