"""A published or private experiment, typed: which features, which model, which protocol, how trained.

A recipe is a TOML file in `fuse/recipes/`. Every key is checked for name and type before anything is opened.
"""

import dataclasses
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from fuse import models
from manifests import unknown
from manifests.labels import TASKS

FOLDER = Path(__file__).parent / "recipes"
DEFAULT = "default"
T = TypeVar("T")


class RecipeError(ValueError):
    """A recipe that cannot be run; the message names the key."""


@dataclass(frozen=True)
class Data:
    """How cached windows become what a model sees."""

    windows: Literal["mean", "all"] = "mean"
    """Average the windows of a clip element-wise, as paper 000 does, or keep them all."""
    standardise: bool = False
    """Bring every feature to mean 0 and deviation 1 over the training clips."""
    random_weights: bool = False
    """Let features of random weights through, to try a pipeline; the report says that its numbers mean nothing."""


@dataclass(frozen=True)
class Train:
    """The training loop's dials."""

    epochs: int = 75
    batch: int = 64
    lr: float = 1e-5
    min_lr: float = 1e-7
    """Where the cosine ends."""
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    patience: int = 10
    """Epochs without a better dev score before stopping."""
    class_weights: Literal["balanced", "none"] = "balanced"


@dataclass(frozen=True)
class Recipe:
    """One experiment."""

    name: str
    model: str
    corpus: str
    encoders: Mapping[str, Mapping[str, str]]
    """Modality to `encoder` and the key fields that say which entry of it is meant."""
    without: tuple[str, ...] = ()
    """Key fields of `encoders` that an entry may lack, such as `settings.denoise`; the report says which did."""
    tasks: tuple[str, ...] = ("emotion", "sentiment")
    modalities: tuple[str, ...] = ()
    """Those of `encoders` that are used; all when empty."""
    protocol: Literal["official"] = "official"
    seeds: int = 1
    data: Data = field(default_factory=Data)
    train: Train = field(default_factory=Train)
    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the model."""

    def __post_init__(self) -> None:
        for task in self.tasks:
            if task not in TASKS:
                raise RecipeError(f"tasks: {unknown('task', task, TASKS)}")
        for modality in self.modalities:
            if modality not in self.encoders:
                raise RecipeError(f"modalities: {unknown('modality', modality, self.encoders)}")
        for modality, where in self.encoders.items():
            if "encoder" not in where:
                raise RecipeError(f"encoders.{modality}: expected the name of an encoder, got {dict(where)}")
        train = {f"train.{name}": getattr(self.train, name) for name in ("epochs", "batch", "patience")}
        for name, value in {"seeds": self.seeds, **train}.items():
            if value < 1:
                raise RecipeError(f"{name}: expected at least 1, got {value}")

    @property
    def used(self) -> dict[str, Mapping[str, str]]:
        """Return the encoders of the modalities that are used."""
        chosen = self.modalities or tuple(self.encoders)
        return {modality: self.encoders[modality] for modality in chosen}

    def to_json(self) -> dict[str, Any]:
        """Return the recipe in readable form."""
        return dataclasses.asdict(self)


def names() -> tuple[str, ...]:
    """Name every recipe that has a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str, settings: Sequence[str] = (), **overrides: Any) -> Recipe:
    """Read recipe `name`, or the default recipe with model `name`, and change keys by `key=value` settings."""
    if name not in names() and name not in models.names():
        raise RecipeError(unknown("model or recipe", name, {*names(), *models.names()} - {DEFAULT}))
    path = FOLDER / f"{name if name in names() else DEFAULT}.toml"
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    values = {
        "name": name,
        "model": name,
        **values,
        **{key: value for key, value in overrides.items() if value is not None},
    }
    for setting in settings:
        _set(values, setting)
    entries = values.get("encoders", {})
    values["encoders"] = {
        modality: {"encoder": entry} if isinstance(entry, str) else entry for modality, entry in entries.items()
    }
    recipe = _build(Recipe, values, "")
    model_config(recipe)
    return recipe


def model_config(recipe: Recipe) -> Any:
    """Return the `Config` of the recipe's model, checked."""
    return _build(models.module(recipe.model).Config, recipe.config, "config.")


def _set(values: dict[str, Any], setting: str) -> None:
    key, separator, text = setting.partition("=")
    if not separator or not key:
        raise RecipeError(f"SET: expected key=value such as train.lr=3e-4, got {setting!r}")
    *parents, last = key.split(".")
    table = values
    for parent in parents:
        below = table.setdefault(parent, {})
        table[parent] = {"encoder": below} if isinstance(below, str) else below
        table = table[parent]
        if not isinstance(table, dict):
            raise RecipeError(f"SET: {setting!r} goes below {parent!r}, which is {table!r}")
    table[last] = _value(text)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _build(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in hints:
            raise RecipeError(f"{where}{key}: {unknown('key', key, hints)}")
    for entry in dataclasses.fields(cls):  # type: ignore[arg-type]
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and entry.name not in values:
            raise RecipeError(f"{where}{entry.name}: expected a value, got nothing")
    return cls(**{key: _typed(hints[key], value, f"{where}{key}") for key, value in values.items()})


def _typed(hint: Any, value: Any, where: str) -> Any:
    """Return the value as the type that a field declares, or say what was expected."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return _build(hint, value, f"{where}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(f"{where}: {unknown('value', str(value), arguments)}")
        return value
    if origin is tuple:
        items = value.split(",") if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(item, arguments[0]) for item in items):
            return tuple(items)
    elif origin is not None and issubclass(origin, Mapping):
        if isinstance(value, Mapping):
            return {key: _typed(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    elif hint is Any or (isinstance(value, hint) and not (hint is int and isinstance(value, bool))):
        return value
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise RecipeError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {value!r}")
