"""Values from a file or a command line as the types that a dataclass declares, or a word about the wrong key."""

import dataclasses
import tomllib
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from manifests import unknown

T = TypeVar("T")


class RecipeError(ValueError):
    """A recipe that cannot be run; the message names the key."""


def put(values: dict[str, Any], path: Sequence[str], value: Any, setting: str) -> None:
    """Set a value deep in nested tables, which are copied on the way; below a plain encoder its key fields begin."""
    *parents, last = path
    table = values
    for parent in parents:
        below = table.get(parent, {})
        table[parent] = beneath(below, f"SET: {setting!r}")
        table = table[parent]
    table[last] = value


def beneath(value: Any, where: str) -> dict[str, Any]:
    """Return what a key below a value is put into: a table, or a plain encoder's key fields."""
    if isinstance(value, str) and "+" not in value:
        return {"encoder": value}
    if not isinstance(value, Mapping):
        raise RecipeError(f"{where} goes below {value!r}, which has no keys")
    return dict(value)


def value_of(text: str) -> Any:
    """Read what was typed as TOML, and words without quotes as words."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def build(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Return a dataclass of values; unknown, missing and wrong ones are named with `where` before them."""
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
        return build(hint, value, f"{where}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(f"{where}: {unknown('value', str(value), arguments)}")
        return value
    if origin is tuple:
        items = [value_of(one) for one in value.split(",")] if isinstance(value, str) else value
        items = items if isinstance(items, list | tuple) else [items]
        return tuple(_typed(arguments[0], item, where) for item in items)
    if origin is not None and issubclass(origin, Mapping):
        if isinstance(value, Mapping):
            return {key: _typed(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    elif hint is Any or (isinstance(value, hint) and not (hint is int and isinstance(value, bool))):
        return value
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise RecipeError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {value!r}")
