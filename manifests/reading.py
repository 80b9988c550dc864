"""From a corpus as it lies on a disk to its manifest: the reader, its options, the user's own splits."""

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from manifests import splits, tables
from manifests.clip import ManifestError, unknown
from manifests.corpora import corpus_module, corpus_names
from manifests.shelf import Manifest, path_of, read
from manifests.tree import Tree


@dataclass(frozen=True)
class Found:
    """A corpus as it was read: the manifest, and the tree, which knows what was left out of it."""

    manifest: Manifest
    tree: Tree


def build(corpus: str, root: Path | None = None) -> Manifest:
    """Read a corpus as it lies on the disk under `root`, with the defaults of its reader."""
    return scan(corpus, root).manifest


def scan(
    corpus: str,
    root: Path | None = None,
    options: Mapping[str, str] | None = None,
    name: str = "",
    split_file: Path | None = None,
) -> Found:
    """Read a corpus as it lies on the disk; its manifest may have another name than its reader."""
    module = corpus_module(corpus)
    path_of(name or corpus)
    values = options_of(module, options or {})
    root = root or getattr(module, "default_root", lambda: None)()
    if root is None:
        raise ManifestError(f"where does {corpus} lie? Say ROOT=/its/folder. Expected there:\n{module.TREE}")
    if hasattr(module, "make"):
        module.make(root)
    if not root.is_dir():
        raise ManifestError(f"{root} is not a folder. Expected there:\n{module.TREE}")
    tree = Tree(root)
    try:
        clips = tuple(module.clips(tree, **values))
    except ManifestError:
        raise
    except ValueError as error:  # a clip, at its birth
        raise ManifestError(f"{root}: {error}") from None
    if not clips:
        raise ManifestError(f"no clip of {corpus} found under {root}. Expected there:\n{module.TREE}")
    if split_file:
        clips = splits.divided(clips, split_file, tree)
    if name and name != corpus:
        clips = tuple(dataclasses.replace(clip, corpus=name) for clip in clips)
    said = dict(options or {}) | ({"splits": str(split_file.resolve())} if split_file else {})
    manifest = Manifest(name or corpus, root.resolve(), clips, corpus, said, tuple(tree.warnings))
    return Found(manifest, tree)


def again(
    corpus: str, root: Path | None = None, options: Mapping[str, str] | None = None, split_file: Path | None = None
) -> Found:
    """Read a corpus as its manifest was made, by the same reader with the same options, but for what is said anew."""
    if not path_of(corpus).is_file():
        return scan(corpus, root, options, split_file=split_file)
    made = read(corpus)
    said = {**made.options, **(options or {})}
    splits_before = said.pop("splits", None)
    split_file = split_file or (Path(splits_before) if splits_before else None)
    return scan(made.reader, root or made.root, said, made.corpus, split_file)


def make(manifest: Manifest) -> None:
    """Make the media of a corpus that makes itself, where they are gone; other corpora are left alone."""
    if manifest.reader in corpus_names():
        getattr(corpus_module(manifest.reader), "make", lambda _: None)(manifest.root)


def options_of(module: ModuleType, given: Mapping[str, str]) -> dict[str, Any]:
    """Turn `name=text` settings into the arguments of a reader, which says what it takes by their types."""
    known = {
        name: parameter
        for name, parameter in inspect.signature(module.clips, eval_str=True).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    for name in given:
        if name not in known:
            raise ManifestError(unknown("option", name, known))
    return {name: _value(name, known[name].annotation, text) for name, text in given.items()}


def _value(name: str, kind: Any, text: str) -> Any:
    try:
        if get_origin(kind) is Literal:
            if text not in get_args(kind):
                raise ValueError(f"expected one of {', '.join(get_args(kind))}, got {text!r}")
            return text
        if kind is float:
            return tables.number(text)
        if kind is int:
            if not (found := tables.number(text)).is_integer():
                raise ValueError(f"expected a whole number, got {text!r}")
            return int(found)
        return kind(text)
    except ValueError as error:
        raise ManifestError(f"option {name!r}: {error}") from None
