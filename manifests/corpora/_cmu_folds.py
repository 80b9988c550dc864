"""The folds of CMU-MOSEI and CMU-MOSI, which lie in a list of the SDK's or of the user's, and never in this project."""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests import ManifestError, splits
from manifests.corpora._cmu import SPLITS, VIDEO, Rated, split_named
from manifests.tables import cell, in_row, rows_of, text_of, whole
from manifests.tree import Tree

MAX_FOLDS_BYTES = 1 << 24


@dataclass(frozen=True)
class Folds:
    """Who is trained on and who is scored, by videos or by single clips; without a list all is one split."""

    where: str = ""
    videos: Mapping[str, str] = field(default_factory=dict)
    clips: Mapping[str, str] = field(default_factory=dict)

    def split(self, one: Rated) -> str | None:
        """Return the split of a rated stretch, or nothing where the list leaves it out."""
        if not self.where:
            return "all"
        return self.clips.get(one.id) or self.videos.get(one.video)


def folds(tree: Tree, corpus: str, option: str, rated: Iterable[Rated], source: str) -> Folds:
    """Find the list of folds: the one the user names, that of the labels themselves, or the SDK's in the tree."""
    if option == "none":
        return Folds()
    if option:
        return _read_folds(tree.root / option, f"file: {Path(option).name}")
    if own := {one.id: one.split for one in rated if one.split}:
        return Folds(source, clips=own)
    for path, _ in tree.find(rf"[^/]*{corpus}[^/]*std_folds[^/]*\.(?:py|json)"):
        return _read_folds(tree.root / path, f"official: {Path(path).name}")
    raise ManifestError(
        f"no list of folds under {tree.root}. Put cmu_{corpus}_std_folds.py there, which comes with CMU-MultimodalSDK "
        f"in mmsdk/mmdatasdk/dataset/standard_datasets/CMU_{corpus.upper()}, or name a list with the option folds: "
        "that file, a .json of train, valid and test with ids of videos, or a .csv with the columns segment and split. "
        "folds=none reads everything as one split."
    )


def _read_folds(file: Path, where: str) -> Folds:
    if not file.is_file():
        raise ManifestError(f"option 'folds': no such file: {file}; expected a .py, .json or .csv, or none")
    if file.stat().st_size > MAX_FOLDS_BYTES:
        raise ManifestError(f"{file}: expected a list of folds, got {file.stat().st_size >> 20} MB")
    text = text_of(file.read_bytes())
    if file.suffix.lower() == ".csv":
        return Folds(where, clips=_one_split_each(_table_pairs(text, file), file))
    return Folds(where, videos=_one_split_each(_list_pairs(text, file), file))


def _list_pairs(text: str, file: Path) -> Iterator[tuple[str, str]]:
    """Yield videos with their splits from lists; Python that holds lists is parsed, and never run."""
    try:
        found = json.loads(text) if file.suffix.lower() == ".json" else dict(_assigned(text))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ManifestError(f"{file}: cannot be read as lists of videos: {error}") from None
    lists = {key.lower().removeprefix("standard_").removesuffix("_fold"): value for key, value in _items(found)}
    if not {"train", "test"} <= lists.keys():
        raise ManifestError(f"{file}: expected lists train, valid and test, got {', '.join(lists) or 'none'}")
    for key, videos in lists.items():
        if (split := splits.named(key)) not in SPLITS:
            continue
        if not isinstance(videos, list) or not all(isinstance(v, str) and VIDEO.fullmatch(v) for v in videos):
            raise ManifestError(f"{file}: expected a list of ids of videos in {key}, each as text")
        yield from ((video, split) for video in videos)


def _items(found: Any) -> Iterable[tuple[str, Any]]:
    return found.items() if isinstance(found, dict) else ()


def _assigned(code: str) -> Iterator[tuple[str, Any]]:
    for node in ast.parse(code).body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and re.fullmatch(r"standard_\w+_fold", target.id):
                yield target.id, ast.literal_eval(node.value)


def _table_pairs(text: str, file: Path) -> Iterator[tuple[str, str]]:
    """Yield clips with their splits from a table of segments, or from MMSA's `label.csv`."""
    mmsa = "clip_id" in text.partition("\n")[0]
    rows = rows_of(text, file, ("video_id", "clip_id", "mode") if mmsa else ("segment", "split"))
    for row_number, row in enumerate(rows, start=1):
        with in_row(file, row_number):
            name = f"{row['video_id']}_{cell(row, 'clip_id', whole)}" if mmsa else row["segment"].strip()
            yield name, cell(row, "mode" if mmsa else "split", split_named)


def _one_split_each(pairs: Iterable[tuple[str, str]], file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, split in pairs:
        if found.setdefault(name, split) != split:
            raise ManifestError(f"{file}: {name} is in {found[name]} and in {split}")
    return found
