"""A published or private experiment, typed: which features, which model, which protocol, how trained.

A recipe is a TOML file in `fuse/recipes/`. Every key is checked for name and type before anything is opened.
"""

import dataclasses
import json
import math
import tomllib
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from fuse import models, strategies
from fuse.dials import Data, Train
from fuse.typed import RecipeError, beneath, build, put, value_of
from manifests import unknown
from manifests.labels import TASKS

FOLDER = Path(__file__).parent / "recipes"
DEFAULT = "default"
PAPER_002_FOLDS = 5


@dataclass(frozen=True)
class Recipe:
    """One experiment."""

    name: str
    model: str
    corpora: tuple[str, ...]
    encoders: Mapping[str, tuple[Mapping[str, str], ...]]
    """Modality to the entries that lie side by side in it: `encoder` and the key fields that say which is meant."""
    without: tuple[str, ...] = ()
    """Key fields of `encoders` that an entry may lack, such as `settings.denoise`; the report says which did."""
    tasks: tuple[str, ...] = ("emotion", "sentiment")
    modalities: tuple[str, ...] = ()
    """Those of `encoders` that are used, in this order; all when empty."""
    protocol: Literal["official", "group", "sessions", "random", "paper001", "paper002"] = "official"
    group_by: Literal["speaker", "dialogue"] = "speaker"
    """What protocol `group` never divides."""
    folds: int = 5
    """Into how many parts `group` and `random` divide the clips."""
    only_folds: tuple[int, ...] = ()
    """Run these folds alone, counted from 0."""
    seeds: int = 1
    unseen_classes: bool = False
    """Score classes that no training clip has; they can only be wrong."""
    weights: str = ""
    """A file of weights to begin with: the authors' checkpoint, or the best of an earlier run."""
    score_only: bool = False
    """Train nothing; score the weights."""
    test_without: tuple[str, ...] = ()
    """Modalities that dev and test clips are scored without."""
    ablate: bool = False
    """Score the test clips without each modality, too."""
    start_from: tuple[str, ...] = ()
    """Stages whose best weights training begins with."""
    data: Data = field(default_factory=Data)
    train: Train = field(default_factory=Train)
    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the model."""
    strategies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Ways of training by name, each with its settings, in the order in which they act."""
    stages: tuple["Recipe", ...] = ()
    """What is trained before, each whole in itself, in order."""

    def __post_init__(self) -> None:
        self._check_tasks()
        self._check_modalities()
        for stage in self.start_from:
            if stage not in {one.name for one in self.stages}:
                raise RecipeError(f"start_from: {unknown('stage', stage, [one.name for one in self.stages])}")
        if self.score_only and not self.weights:
            raise RecipeError("score_only: expected weights to score, got none; say FROM=file EVAL=1")
        train = {f"train.{name}": getattr(self.train, name) for name in ("epochs", "batch", "patience", "accumulate")}
        least = {"seeds": 1, "folds": 2, "corpora": 1, "tasks": 1, "data.turns": 1}
        at_least = {"train.focus": 0, **least, **dict.fromkeys(train, 1)}
        counts = {
            "train.focus": self.train.focus,
            "data.turns": self.data.turns,
            "seeds": self.seeds,
            "folds": self.folds,
            "corpora": len(self.corpora),
            "tasks": len(self.tasks),
        }
        for name, value in {**counts, **train}.items():
            if value < at_least[name]:
                raise RecipeError(f"{name}: expected at least {at_least[name]}, got {value}")
        if self.protocol == "paper002" and self.folds != PAPER_002_FOLDS:
            raise RecipeError(
                f"folds: paper002 has {PAPER_002_FOLDS}, got {self.folds}; protocol random takes any number"
            )
        for fold in self.only_folds:
            if fold not in range(self.folds):
                raise RecipeError(f"only_folds: expected numbers from 0 to {self.folds - 1}, got {fold}")

    def _check_tasks(self) -> None:
        for task in self.tasks:
            if task not in TASKS:
                raise RecipeError(f"tasks: {unknown('task', task, TASKS)}")
            if TASKS[task].kind == "score" and len(TASKS[task].classes) > 1:
                raise RecipeError(f"tasks: {task} is {len(TASKS[task].classes)} numbers a clip; emotions is trained on")

    def _check_modalities(self) -> None:
        named = {
            "modalities": self.modalities,
            "test_without": self.test_without,
            "train.modality_drop": [name for names in self.train.modality_drop for name in names.split("+")],
            "data.compress": self.data.compress,
        }
        for key, modalities in named.items():
            for modality in modalities:
                if modality not in self.encoders:
                    raise RecipeError(f"{key}: {unknown('modality', modality, self.encoders)}")
        for modality, entries in self.encoders.items():
            if not entries or any("encoder" not in where for where in entries):
                raise RecipeError(f"encoders.{modality}: expected the name of an encoder, got {list(entries)}")
        for modality, steps in self.data.compress.items():
            if steps < 1:
                raise RecipeError(f"data.compress.{modality}: expected at least 1, got {steps}")
        if sum(self.train.modality_drop.values()) > 1:
            raise RecipeError(f"train.modality_drop: expected shares of 1 in all, got {self.train.modality_drop}")

    @property
    def context(self) -> Literal["both", "past", "none"]:
        """Return which other turns of a conversation the model looks at."""
        looked_at: Literal["both", "past", "none"] = getattr(model_config(self), "context", "none")
        return looked_at

    @property
    def used(self) -> dict[str, tuple[Mapping[str, str], ...]]:
        """Return the entries of the modalities that are used."""
        return {modality: self.encoders[modality] for modality in self.modalities or self.encoders}

    def stage(self, name: str) -> Self:
        """Return one of the stages that come before."""
        (found,) = (one for one in self.stages if one.name == name)
        return typing.cast("Self", found)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe in readable form."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Table:
    """Experiments that belong together, as a paper's table does; a recipe without rows is a table of one."""

    name: str
    title: str
    rows: tuple[Recipe, ...]
    columns: tuple[str, ...] = ()
    """`corpus/task/metric` of each number; what is not measured here stays empty."""
    paper: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Row to column to the number that the paper prints."""
    notes: tuple[str, ...] = ()
    """What a reader must know about all rows, such as which encoders stand in for others."""

    def only(self, names: Sequence[str]) -> Self:
        """Return the table with some of its rows, which their first words, such as their number, are enough to name."""
        short = {row.name.removeprefix(f"{self.name}-").lstrip("0"): row for row in self.rows}
        chosen = []
        for name in names:
            wanted = name.removeprefix(f"{self.name}-").lstrip("0")
            found = [row.name for said, row in short.items() if said == wanted or said.startswith(f"{wanted}-")]
            if not wanted or not found:
                raise RecipeError(f"ROWS: {unknown('row', name, short)}")
            chosen += found
        return dataclasses.replace(self, rows=tuple(row for row in self.rows if row.name in chosen))


def names() -> tuple[str, ...]:
    """Name every recipe that has a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str, settings: Sequence[str] = (), **overrides: Any) -> Recipe:
    """Read the recipe `name`, or the default recipe with model `name`, and change keys by `key=value` settings."""
    rows = table(name, settings, **overrides).rows
    if len(rows) > 1:
        raise RecipeError(f"{name} is a table of {len(rows)} rows: {', '.join(row.name for row in rows)}")
    return rows[0]


def table(name: str, settings: Sequence[str] = (), **overrides: Any) -> Table:
    """Read every row of a recipe; overrides and settings change all of them."""
    if name not in names() and name not in models.names():
        raise RecipeError(unknown("model or recipe", name, {*names(), *models.names()} - {DEFAULT}))
    path = FOLDER / f"{name if name in names() else DEFAULT}.toml"
    try:
        values = {"name": name, "model": name, **tomllib.loads(path.read_text(encoding="utf-8"))}
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: {error}") from None
    changes = {key: value for key, value in overrides.items() if value is not None}
    tabled = {key: values.pop(key, empty) for key, empty in _TABLED.items()}
    rows = [_merged(values, row) for row in tabled["row"]] or [values]
    papers = [row.pop("paper", []) for row in rows]
    for row, given in zip(rows, tabled["row"], strict=False):
        row["name"] = f"{name}-{given.get('name', '')}"
    corpora = changes.get("corpora") or values.get("corpora", [])
    stand_ins, elsewhere = _elsewhere(tabled["on"], corpora)
    recipes = tuple(_recipe(_merged(_merged(_replaced(row, stand_ins), elsewhere), changes), settings) for row in rows)
    columns = tuple(tabled["columns"])
    paper = {
        row.name: {column: x for column, x in zip(columns, numbers, strict=bool(numbers)) if not math.isnan(x)}
        for row, numbers in zip(recipes, papers, strict=True)
    }
    notes = [f"On {', '.join(corpora)}, {_encoder(new)} stands in for {old}." for old, new in stand_ins.items()]
    if elsewhere:
        notes.append(f"On {', '.join(corpora)} these settings are not the paper's: {json.dumps(elsewhere)}.")
    return Table(name, tabled["title"] or name, recipes, columns, paper, tuple(notes))


_TABLED: dict[str, Any] = {"row": [], "title": "", "columns": [], "on": {}}


def _recipe(values: Mapping[str, Any], settings: Sequence[str]) -> Recipe:
    values = {**values, **({"stage": [dict(one) for one in values["stage"]]} if "stage" in values else {})}
    for setting in settings:
        _set(values, setting)
    stages = values.pop("stage", [])
    base = {key: value for key, value in values.items() if key not in ("start_from", "weights", "score_only")}
    built: list[Recipe] = []
    for stage in stages:
        if "name" not in stage:
            raise RecipeError("stage: expected a name, got nothing")
        whole = _entries_listed({**_merged(base, stage), "stages": tuple(built)})
        built.append(_checked(whole, f"stage {stage['name']}: "))
    return _checked(_entries_listed({**values, "stages": tuple(built)}), "")


def _checked(values: Mapping[str, Any], where: str) -> Recipe:
    try:
        recipe = build(Recipe, values, "")
        _check_conversations(recipe)
        strategy_configs(recipe)
    except RecipeError as error:
        raise RecipeError(f"{where}{error}") from None
    return recipe


def model_config(recipe: Recipe) -> Any:
    """Return the `Config` of the recipe's model, checked."""
    return build(models.module(recipe.model).Config, recipe.config, "config.")


def strategy_configs(recipe: Recipe) -> dict[str, Any]:
    """Return the `Config` of each of the recipe's strategies, checked."""
    named = recipe.strategies.items()
    return {name: build(strategies.module(name).Config, own, f"strategies.{name}.") for name, own in named}


def _check_conversations(recipe: Recipe) -> None:
    """Refuse what would tear conversations apart."""
    if recipe.context == "none":
        return
    if recipe.data.windows == "vote":
        raise RecipeError(f"data.windows: {recipe.model} looks at whole turns, which windows that vote are not")
    if recipe.train.sampler == "weighted":
        raise RecipeError(
            f"train.sampler: {recipe.model} is trained on whole conversations, which are not drawn by class; say "
            "shuffle, or config.context = none"
        )


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with changes; tables are merged, all else is replaced; an encoder is all else."""
    found = dict(values)
    for key, value in changes.items():
        before = found.get(key)
        below = isinstance(value, Mapping) and "encoder" not in value and isinstance(before, Mapping | str)
        found[key] = _merged(beneath(before, key), value) if below else value
    return found


def _elsewhere(declared: Mapping[str, Any], corpora: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return which encoders stand in for which on these corpora, and what else is other than on the recipe's own."""
    stand_ins: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    for corpus in corpora:
        values = dict(declared.get(corpus, {}))
        stand_ins |= values.pop("stand_ins", {})
        changed = _merged(changed, values)
    return stand_ins, changed


def _encoder(entry: Any) -> Any:
    return entry["encoder"] if isinstance(entry, Mapping) else entry


def _replaced(values: Mapping[str, Any], stand_ins: Mapping[str, Any]) -> dict[str, Any]:
    def of(entry: Any) -> Any:
        if isinstance(entry, list):
            return [of(one) for one in entry]
        return stand_ins.get(_encoder(entry), entry)

    def walk(table: Mapping[str, Any]) -> dict[str, Any]:
        encoders = {modality: of(entry) for modality, entry in table.get("encoders", {}).items()}
        stages = [walk(stage) for stage in table.get("stage", [])]
        return {**table, **({"encoders": encoders} if encoders else {}), **({"stage": stages} if stages else {})}

    return walk(values)


def _entries_listed(values: dict[str, Any]) -> dict[str, Any]:
    """Bring `audio = "mfcc"`, `audio = {encoder = "mfcc"}` and `audio = ["mfcc", "egemaps"]` into one form."""

    def listed(entry: Any) -> list[Any]:
        entries = entry.split("+") if isinstance(entry, str) else entry if isinstance(entry, list | tuple) else [entry]
        return [{"encoder": one} if isinstance(one, str) else _dotted(one) for one in entries]

    encoders = values.get("encoders", {})
    if not isinstance(encoders, Mapping):
        raise RecipeError(f"encoders: expected modality = encoder, got {encoders!r}")
    return {**values, "encoders": {modality: listed(entry) for modality, entry in encoders.items()}}


def _dotted(entry: Any) -> Any:
    """Name a setting of an entry as `spec.json` does: `settings.faces`, also where it was given as a table."""
    settings = entry.get("settings") if isinstance(entry, Mapping) else None
    if not isinstance(settings, Mapping):
        return entry
    rest = {key: value for key, value in entry.items() if key != "settings"}
    return {**rest, **{f"settings.{name}": value for name, value in settings.items()}}


def _set(values: dict[str, Any], setting: str) -> None:
    key, separator, text = setting.partition("=")
    if not separator or not key:
        raise RecipeError(f"SET: expected key=value such as train.lr=3e-4, got {setting!r}")
    head, _, rest = key.partition(".")
    stage, _, below = rest.partition(".")
    if key == "strategies" and isinstance(value_of(text), str):  # names, each as it is
        values[key] = {name: {} for name in text.split(",")}
        return
    if head != "stages":
        put(values, key.split("."), value_of(text), setting)
        return
    chosen = [one for one in values.get("stage", []) if stage in ("*", one.get("name"))]
    if (not chosen and stage != "*") or not below:
        known = [one.get("name", "") for one in values.get("stage", [])]
        raise RecipeError(f"SET: {unknown('stage', stage, [*known, '*'])}")
    for one in chosen:
        put(one, below.split("."), value_of(text), setting)
