"""Which cache entries a recipe means, one for each corpus and encoder, and which it must not use."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from features import CacheError, Reader, find
from features.entries import is_random, key_of
from fuse import models
from fuse.recipe import Recipe

ALIKE = ("encoder", "version", "grid", "weights", "variant")
"""Fields of a key in which the entries of one modality must agree over corpora."""


def found(recipe: Recipe) -> tuple[dict[str, dict[str, tuple[Path, ...]]], dict[str, str]]:
    """Return modality to corpus to the folders of its entries, and modality to what they lack where that is allowed.

    Everything that is missing is said at once.
    """
    found: dict[str, dict[str, tuple[Path, ...]]] = {}
    lacking, missing = {}, []
    for modality, wheres in recipe.used.items():
        for corpus in recipe.corpora:
            folders = []
            for where in wheres:
                try:
                    folder, lacks = _find(corpus, where, recipe.without)
                except CacheError as error:
                    missing.append(f"encoders.{modality}: {error}")
                    continue
                folders.append(folder)
                if lacks:
                    lacking[modality] = lacks
            found.setdefault(modality, {})[corpus] = tuple(folders)
    if missing:
        raise CacheError("\n".join(dict.fromkeys(missing)))
    for modality, by in found.items():
        _refuse_unlike(modality, by)
    return found, lacking


def unused(recipe: Recipe) -> dict[str, tuple[Path, ...]]:
    """Return the entries of modalities that the recipe names and does not use, for a model that reads beside them.

    So MER-CLIP has its text network without reading texts.
    """
    there: dict[str, tuple[Path, ...]] = {}
    if not hasattr(models.module(recipe.model), "build"):
        return there
    for modality in recipe.encoders.keys() - recipe.used.keys():
        for corpus in recipe.corpora:
            for where in recipe.encoders[modality]:
                with contextlib.suppress(CacheError):
                    there[modality] = (*there.get(modality, ()), _find(corpus, where, recipe.without)[0])
    return dict(sorted(there.items()))


def _find(corpus: str, where: Mapping[str, str], without: Sequence[str]) -> tuple[Path, str]:
    """Return the one entry that is meant, and what it lacks of what the recipe asks for but allows to be absent."""
    spared = {name: value for name, value in where.items() if name in without}
    try:
        return find(corpus, **where), ""
    except CacheError:
        if not spared:
            raise
    folder = find(corpus, **{**where, **dict.fromkeys(spared, "")})
    return folder, ", ".join(f"{name} = {value}" for name, value in spared.items())


def _refuse_unlike(modality: str, by: Mapping[str, Sequence[Path]]) -> None:
    """Refuse corpora whose features of one modality are not of the same kind."""
    keys = {corpus: [key_of(folder).to_json() for folder in folders] for corpus, folders in by.items()}
    first = next(iter(keys))
    for corpus, others in keys.items():
        for mine, other in zip(keys[first], others, strict=True):
            unlike = [name for name in ALIKE if mine.get(name) != other.get(name)]
            if unlike:
                told = ", ".join(f"{name}: {mine.get(name)} and {other.get(name)}" for name in unlike)
                raise CacheError(
                    f"encoders.{modality}: the entries of {first} and {corpus} differ in {told}; name one of them in "
                    "the recipe, or extract the other corpus the same way"
                )


def refuse_random(entries: Mapping[str, Sequence[Path]], *, allowed: bool) -> None:
    """Let nobody take features of random weights for real ones, and nobody mix them with real ones."""
    drawn = {(modality, folder): is_random(folder) for modality, folders in entries.items() for folder in folders}
    names = ", ".join(f"{modality} ({folder.name})" for (modality, folder), yes in drawn.items() if yes)
    if names and not all(drawn.values()):
        raise CacheError(f"{names}: features of random weights are never mixed with real ones; extract real ones")
    if names and not allowed:
        raise CacheError(
            f"{names}: these features are of random weights, so that no score would mean anything; extract real ones, "
            'or say SET="data.random_weights=true" to try the pipeline'
        )


def seen(modality: str, by: Mapping[str, Sequence[Path]]) -> Iterator[str]:
    """Say which encoders were trained on a corpus that is scored here, as their parts tell."""
    for corpus, folders in by.items():
        for folder in folders:
            with Reader(folder) as reader:
                told = json.loads(reader.part(reader.parts[0]).attribute("provenance")) if reader.parts else {}
            trained_on = str(told.get("trained_on", "")).split(",")
            if _plain(corpus) in map(_plain, trained_on):
                yield (
                    f"{key_of(folder).encoder} ({modality}) was itself trained on {corpus}: "
                    "scores there say more than it would know of new clips."
                )


def _plain(corpus: str) -> str:
    """Bring `cmu-mosei`, `CREMA-D` and `cremad` into one spelling."""
    return re.sub("[^a-z0-9]", "", corpus.lower().removeprefix("cmu-"))
