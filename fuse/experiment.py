"""One experiment from a recipe to its run: join, split, train every seed, measure the floors beside it.

A run is found again by what it is: its folder's name hashes recipe, features, labels and code, so that the same command
continues a killed run and repeats no finished one.
"""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import manifests
from fuse import data, floors, protocol
from fuse.data import Dataset
from fuse.protocol import Split
from fuse.recipe import Recipe
from fuse.result import Outcome, Part, Predictions, Run
from fuse.train import Seed, probabilities
from manifests.labels import TASKS

SCORED = ("dev", "test")
RANDOM_NOTE = "The features are of encoders with random weights. These numbers mean nothing; they show that it runs."


@dataclass(frozen=True)
class Experiment:
    """A recipe joined with its clips and features; nothing is trained yet."""

    recipe: Recipe
    data: Dataset
    split: Split
    note: str
    """What a reader must know about the corpus."""

    @property
    def folder(self) -> Path:
        """Return where the run goes: `RUNS_ROOT`, or `.runs`."""
        settings = json.dumps(self.recipe.to_json(), sort_keys=True)
        code = _code_digest(self.recipe.model)
        what = hashlib.sha256(f"{settings}\n{self.data.digest}\n{code}".encode()).hexdigest()[:8]
        runs = Path(os.environ.get("RUNS_ROOT") or ".runs")
        return runs / f"{self.recipe.name}-{self.recipe.corpus}-{what}"

    def seeds(self) -> Iterator[Seed]:
        """Yield each seed, as far as an earlier run has come with it."""
        for seed in range(self.recipe.seeds):
            yield Seed(self.data, self.split, self.recipe, seed, self.folder)

    def outcome(self, seed: Seed) -> Outcome:
        """Score a trained seed."""
        model = seed.best()
        found = {part: probabilities(model, self.data, self.split.parts()[part]) for part in SCORED}
        predictions = {
            part: {task: shares.double().numpy() for task, shares in tasks.items()} for part, tasks in found.items()
        }
        return Outcome(seed.seed, seed.progress.history, seed.progress.best_epoch, predictions)

    def run(self, outcomes: tuple[Outcome, ...], command: str) -> Run:
        """Put everything together that a report is made of."""
        return Run(
            recipe=self.recipe.name,
            model=self.recipe.model,
            corpora=(self.recipe.corpus,),
            classes={task: TASKS[task].classes for task in self.recipe.tasks},
            parts={name: self._part(index) for name, index in self.split.parts().items()},
            majority={task: floors.majority(self.data, self.split, task) for task in self.recipe.tasks},
            floors={"linear floor": self._linear()},
            outcomes=outcomes,
            command=command,
            provenance=self._provenance(),
            warnings=tuple(self._warnings()),
        )

    def _warnings(self) -> Iterator[str]:
        if self.note:
            yield self.note
        if self.recipe.data.random_weights:
            yield RANDOM_NOTE
        for modality, lacks in self.data.lacking.items():
            yield f"The recipe asks for {lacks} of {modality}; these features were made without, which was allowed."

    def _linear(self) -> Predictions:
        parts = {part: self.split.parts()[part] for part in SCORED}
        fitted = {task: floors.linear(self.data, self.split, task) for task in self.recipe.tasks}
        return {part: {task: fitted[task](index) for task in fitted} for part, index in parts.items()}

    def _part(self, index: tuple[int, ...]) -> Part:
        rows = list(index)
        truth = {
            task: np.where(self.data.known[task][rows], labels[rows].argmax(dim=1), -1).astype(np.int64)
            for task, labels in self.data.labels.items()
        }
        missing = {modality: ~covered[rows].numpy() for modality, covered in self.data.covered.items()}
        return Part(tuple(self.data.clips[i].id for i in rows), truth, missing)

    def _provenance(self) -> dict[str, Any]:
        return {
            "code": _commit(),
            "training code": _code_digest(self.recipe.model),
            "libraries": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
            "python": platform.python_version(),
            "features": {modality: folder.name for modality, folder in self.data.entries.items()},
            "labels and sources": self.data.digest[:16],
            "seeds": list(range(self.recipe.seeds)),
            "recipe": self.recipe.to_json(),
        }


def prepare(recipe: Recipe) -> Experiment:
    """Join a recipe with its clips and features; whatever is wrong is said before anything is trained."""
    module = manifests.corpus_module(recipe.corpus)
    clips = manifests.read(recipe.corpus).clips
    split = protocol.official(clips)
    for task in recipe.tasks:
        protocol.check_classes(task, clips, split)
    return Experiment(recipe, data.load(clips, recipe, split.train), split, getattr(module, "NOTE", ""))


def _commit() -> str:
    """Return the commit this runs from, and whether the tree differs from it."""
    try:
        asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 (no input)
    except (OSError, subprocess.CalledProcessError):
        return "no git checkout"


def _code_digest(model: str) -> str:
    """Digest what decides the weights: changed code must not continue an old run."""
    package = Path(__file__).parent
    names = ("batch", "data", "losses", "metrics", "protocol", "train", f"models/{model}")
    return hashlib.sha256(b"".join((package / f"{name}.py").read_bytes() for name in names)).hexdigest()[:12]
