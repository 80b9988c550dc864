"""One experiment from a recipe to its run: join, divide, train every fold and seed, measure the floors beside it.

A run is found again by what it is: its folder's name hashes recipe, features, labels and code, so that the same command
continues a killed run and repeats no finished one.
"""

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import manifests
from fuse import data, done, embedding, floors, handover, missing, models, predict, protocol, sources, strategies, twins
from fuse.data import Dataset
from fuse.embedding import Embedded
from fuse.protocol import Split
from fuse.recipe import Recipe
from fuse.result import Fold, Outcome, Part, Predictions, Run
from fuse.train import Seed

SCORED = ("dev", "test")
RANDOM_NOTE = "The features are of encoders with random weights. These numbers mean nothing; they show that it runs."
HEARD = {
    "both": "Two-sided: what is said of a turn rests on the whole conversation, turns to come included.",
    "past": "Causal: what is said of a turn rests on it and on what was said before, as in live use.",
}
CODE = (
    "augment batch compress conversation data decide entries handover losses metrics predict protocol schedule seams "
    "source stored train"
).split()
"""Modules that decide what weights a run ends with; changed code must not continue an old run."""


@dataclass(frozen=True)
class Experiment:
    """A recipe joined with its clips and features; nothing is trained yet."""

    recipe: Recipe
    data: Dataset
    splits: tuple[Split, ...]
    stages: tuple["Experiment", ...]
    """What is trained before, in order."""
    notes: tuple[str, ...]
    """What a reader must know before believing a number."""
    _scaled: dict[Split, Dataset] = field(default_factory=dict, repr=False, compare=False)
    _scaling: dict[str, Mapping[str, tuple[Tensor, Tensor]]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def folder(self) -> Path:
        """Return where the run goes."""
        weights = handover.digest(Path(self.recipe.weights)) if self.recipe.weights else ""
        settings = json.dumps({**self.recipe.to_json(), "weights": weights}, sort_keys=True)
        before = [stage.folder.name for stage in self.stages]
        what = f"{settings}\n{self.data.digest}\n{code_digest(self.recipe)}\n{before}"
        digest = hashlib.sha256(what.encode()).hexdigest()[:8]
        return done.root() / f"{self.recipe.name}-{'+'.join(self.recipe.corpora)}-{digest}"

    def of(self, split: Split) -> Dataset:
        """Return the data as one fold sees them: statistics come from its training clips alone."""
        if not self.recipe.data.standardise:
            return self.data
        if split not in self._scaled:
            self._scaled.clear()
            self._scaled[split] = self.data.standardised(split.train)
            self._scaling[split.name] = self._scaled[split].scaling
        return self._scaled[split]

    def scaling(self, split: Split) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Return what standardises each modality as one fold sees it."""
        return self._scaling.get(split.name) or self.of(split).scaling

    def seeds(self, fold: int, seed: int) -> Iterator[Seed]:
        """Yield what is to be trained for one seed of one fold: every stage, then the experiment itself.

        Each must be trained before the next is asked for, because it may begin with what the ones before have learnt.
        """
        states: dict[str, dict[str, Tensor]] = {}
        for one in (*(() if self.recipe.weights else self.stages), self):
            split = one.splits[fold if len(one.splits) == len(self.splits) else 0]
            trained = Seed(one.of(split), split, one.recipe, seed, one.folder, one.beginning(states))
            yield trained
            states[one.recipe.name] = {name: x.clone() for name, x in trained.best().state_dict().items()}

    def beginning(self, states: Mapping[str, dict[str, Tensor]]) -> Callable[[nn.Module], None] | None:
        """Return what gives a fresh model its first weights, if it does not begin with those it was drawn with."""
        if self.recipe.weights:
            return partial(handover.from_file, self.recipe.model, path=Path(self.recipe.weights))
        begin_with = {name: states[name] for name in self.recipe.start_from}
        return partial(handover.from_stages, self.recipe.model, states=begin_with) if begin_with else None

    def outcome(self, seed: Seed) -> Outcome:
        """Score a trained seed."""
        model, split, joined = seed.best(), seed.split, seed.data
        say = partial(predict.shares, model, joined, half=seed.half)
        absent = self.recipe.test_without
        found = {part: say(split.parts()[part], absent) for part in SCORED}
        tasks = self.recipe.tasks
        bars = {
            task: predict.threshold(joined, split.dev, task, found["dev"][task], self.recipe.model) for task in tasks
        }

        def predictions(rows: Mapping[str, Any], prefix: str = "") -> Predictions:
            return {
                part: {
                    task: predict.said(joined, split.parts()[part], task, rows[part][prefix + task], bars[task])
                    for task in tasks
                }
                for part in rows
            }

        names = list(dict.fromkeys(name.rpartition("/")[0] for name in found["dev"] if "/" in name))
        lost = [m for m in joined.sources if self.recipe.ablate and len(joined.sources) > 1 and m not in absent]
        return Outcome(
            seed.seed,
            seed.progress.history,
            seed.progress.best_epoch,
            predictions(found),
            parts={
                name: predictions(found, f"{name}/")
                for name in names
                if all(f"{name}/{t}" in found["dev"] for t in tasks)
            },
            ablated={f"without {m}": predictions({"test": say(split.test, (*absent, m))}) for m in lost},
            thinned={
                rate: predictions({"test": say(split.test, absent, lacking=lacking)})
                for rate, lacking in _thinned(joined, lost)
            },
            thresholds={task: bar for task, bar in bars.items() if joined.several(task)},
            seconds=seed.progress.seconds,
            embedded=self._embedded(seed, model) if seed.seed == 0 and split == self.splits[0] else None,
        )

    def _embedded(self, seed: Seed, model: nn.Module) -> Embedded | None:
        """Return what the heads read of test clips that have any feature, of so many as can be drawn."""
        joined, test, absent = seed.data, seed.split.test, self.recipe.test_without
        there = torch.stack([has & (m not in absent) for m, has in joined.covered.items()]).any(dim=0)
        able = [place for place, i in enumerate(test) if there[i]]
        clips = [joined.clips[test[place]] for place in able]
        rows = [able[i] for i in embedding.spread_over([(clip.corpus, clip.id) for clip in clips])]
        try:
            return Embedded(tuple(rows), predict.vectors(model, joined, test, absent, half=seed.half)[rows])
        except ValueError:  # a model of one's own may have no representation of each clip; it is scored all the same
            return None

    def fold(self, split: Split, outcomes: tuple[Outcome, ...]) -> Fold:
        """Put together what was found on one division of the clips."""
        joined = self.of(split)
        return Fold(
            split.name,
            {name: self._part(index) for name, index in split.parts().items()},
            {task: floors.majority(joined, split, task) for task in self.recipe.tasks},
            floors.linear(joined, split, SCORED, self.recipe.test_without),
            outcomes,
        )

    def run(self, folds: tuple[Fold, ...], command: str, model: nn.Module) -> Run:
        """Put everything together that a report is made of."""
        told: tuple[str, ...] = getattr(model, "notes", tuple)()
        return Run(
            recipe=self.recipe.name,
            model=self.recipe.model,
            corpora=self.recipe.corpora,
            tasks=self.recipe.tasks,
            folds=folds,
            command=command,
            provenance=self._provenance(),
            warnings=(*self.notes, *told),
            parameters=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
            voted=self.data.voted,
            sources=sources.read(self.data.entries),
        )

    def _part(self, index: tuple[int, ...]) -> Part:
        rows = list(index)
        clips = [self.data.clips[i] for i in rows]
        truth = {
            task: np.where(self.data.known[task][rows][:, None], labels[rows].double(), np.nan)
            for task, labels in self.data.labels.items()
        }
        return Part(
            tuple(clip.id for clip in clips),
            tuple(clip.corpus for clip in clips),
            tuple(f"{clip.corpus} {clip.speaker_id or clip.id}" for clip in clips),
            truth,
            {modality: ~covered[rows].numpy() for modality, covered in self.data.covered.items()},
        )

    def _provenance(self) -> dict[str, Any]:
        return {
            "code": _commit(),
            "training code": code_digest(self.recipe),
            "libraries": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
            "python": platform.python_version(),
            "features": {m: ", ".join(folder.name for folder in folders) for m, folders in self.data.entries.items()},
            "labels and sources": self.data.digest[:16],
            "stages": {stage.recipe.name: stage.folder.name for stage in self.stages},
            "seeds": list(range(self.recipe.seeds)),
            "recipe": self.recipe.to_json(),
        }


def _thinned(joined: Dataset, modalities: Sequence[str]) -> Iterator[tuple[float, dict[str, Tensor]]]:
    """Yield every rate at which modalities are missing at random, and which clips then lack which."""
    if rates := missing.rates(len(modalities)):
        has = {modality: joined.covered[modality].numpy() for modality in modalities}
        gone_from = missing.gone_from([(clip.corpus, clip.id) for clip in joined.clips], has)
        for rate in rates:
            yield rate, {modality: torch.from_numpy(above < rate) for modality, above in gone_from.items()}


def prepare(recipe: Recipe, notes: tuple[str, ...] = ()) -> Experiment:
    """Join a recipe with its clips and features; whatever is wrong is said before anything is trained."""
    joined: dict[str, Dataset] = {}
    stages: tuple[Experiment, ...] = ()
    for stage in recipe.stages:
        stages = (*stages, _prepared(replace(stage, seeds=recipe.seeds), stages, joined))
    whole = _prepared(recipe, stages, joined)
    for before in stages:
        _refuse_other_folds(whole, before)
    return replace(whole, notes=(*notes, *whole.notes))


def _prepared(recipe: Recipe, stages: tuple[Experiment, ...], joined: dict[str, Dataset]) -> Experiment:
    shelf = [manifests.read(corpus) for corpus in recipe.corpora]
    clips = [clip for manifest in shelf for clip in manifest.clips]
    division = protocol.splits(clips, recipe)
    named = (recipe.corpora, recipe.used, recipe.encoders, recipe.tasks, recipe.data, recipe.without, recipe.model)
    same = repr((*named, recipe.context))
    if same not in joined:
        joined[same] = data.load(clips, recipe)
    found = joined[same]
    told = [note for manifest in shelf for note in (_note(manifest.reader), *manifest.warnings) if note]
    if recipe.data.random_weights:
        told.append(RANDOM_NOTE)
    if recipe.context != "none":
        told.append(HEARD[recipe.context])
    told += [*found.notes, *protocol.leaks(clips, division, recipe), *twins.told(found, division)]
    if recipe.test_without:
        told.append(f"Dev and test clips are scored without {', '.join(recipe.test_without)}.")
    return Experiment(recipe, found, division, stages, tuple(told))


def _refuse_other_folds(experiment: Experiment, stage: Experiment) -> None:
    """Let no stage train on clips that the experiment scores."""
    shared = set(experiment.recipe.corpora) & set(stage.recipe.corpora)
    if shared and len(stage.splits) != len(experiment.splits):
        raise protocol.ProtocolError(
            f"stage {stage.recipe.name}: expected the {len(experiment.splits)} divisions of {', '.join(shared)} that "
            f"the recipe has, got {len(stage.splits)}; what is scored would have been trained on"
        )


def _note(reader: str) -> str:
    known = reader in manifests.corpus_names()
    return getattr(manifests.corpus_module(reader), "NOTE", "") if known else ""


def _commit() -> str:
    """Return the commit this runs from, and whether the tree differs from it."""
    try:
        asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 (no input)
    except (OSError, subprocess.CalledProcessError):
        return "no git checkout"


def code_digest(recipe: Recipe) -> str:
    """Digest what decides the weights: changed code must not continue an old run."""
    package = Path(__file__).parent
    files = [package / f"{name}.py" for name in CODE]
    found: tuple[ModuleType, ...] = ()
    for module in (models.module(recipe.model), *map(strategies.module, recipe.strategies)):
        found = _behind(module, found)
    files += [Path(str(module.__file__)) for module in found]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:12]


def _behind(module: ModuleType, found: tuple[ModuleType, ...] = ()) -> tuple[ModuleType, ...]:
    """Return the module of a model or strategy and those of its folder that it is made of."""
    found = (*found, module)
    for value in vars(module).values():
        name = value.__name__ if isinstance(value, ModuleType) else str(getattr(value, "__module__", ""))
        if (
            name.startswith(tuple(f"{package.__name__}." for package in (models, strategies)))
            and sys.modules[name] not in found
        ):
            found = _behind(sys.modules[name], found)
    return found
