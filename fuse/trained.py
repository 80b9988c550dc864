"""A finished run as what scores new clips: its recipe, its weights, and the cache entries that it was trained on."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features import CacheError
from features.entries import fields, key_of
from features.roots import folders
from fuse import finished
from fuse.judged import View
from fuse.recipe import Recipe
from fuse.typed import build

if TYPE_CHECKING:  # torch is imported when there is something to score
    from torch import nn

    from fuse.experiment import Experiment
    from fuse.protocol import Split

LIGHT_GB = 0.25
"""What of the training features is kept in memory: of them only shapes and scales are needed."""


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
    """Modality to the entries of the first corpus, which a new clip needs too."""
    digest: str
    """Of the labels and features that it was trained on."""

    @cached_property
    def experiment(self) -> "Experiment":
        """Return what it was trained on, joined anew."""
        from fuse.experiment import prepare

        return prepare(self.recipe)

    @property
    def changed(self) -> bool:
        """Return whether labels or features are others by now."""
        return not self.experiment.data.digest.startswith(self.digest or " ")

    def split(self, fold: str) -> "Split":
        """Return which clips a fold was trained on."""
        found = {split.name: split for split in self.experiment.splits}
        if fold not in found:
            raise ValueError(
                f"{self.folder}: was divided into {fold!r}, its corpus now divides into {', '.join(map(repr, found))}; "
                "run its command again"
            )
        return found[fold]

    def model(self, weights: Weights) -> "nn.Module":
        """Return the model of one seed, as it was best on dev."""
        from fuse import handover, models
        from fuse.recipe import model_config

        joined = self.experiment.data
        tasks = {task: labels.shape[1] for task, labels in joined.labels.items()}
        model = models.build(self.recipe.model, model_config(self.recipe), joined.shapes, tasks, joined.entries)
        handover.from_file(self.recipe.model, model, weights.path)
        return model.eval()


def read(folder: Path) -> Trained:
    """Read a finished run; what is none, or lies apart from the features it was trained on, is refused."""
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
    entries = {m: tuple(_entry(recipe, m, each) for each in names[m][: len(recipe.used[m])]) for m in recipe.used}
    light = dataclasses.replace(recipe.data, memory_gb=LIGHT_GB)
    return Trained(
        folder, dataclasses.replace(_exactly(recipe, entries, names), data=light), weights, views, entries, digest
    )


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
            f"the shape of a window, are read there; pull it, or make it again: make features CORPUS={corpus}"
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
