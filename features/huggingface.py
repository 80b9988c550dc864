"""Hugging Face datasets on a disk, as `Dataset.save_to_disk` lays them down and `datasets.load_from_disk` reads them.

Layout: a folder with `dataset_info.json` (features, description, citation, license), `state.json` (which files, in
order) and the rows in `data-*.arrow`, Arrow's streaming format. With splits it is one such folder for each, and
`dataset_dict.json` above them that names them: train, validation, test. Columns are those of `parquet`.

Kept: every real step to the bit in the cache's dtype, labels, how each feature was made. Lost: as in `parquet`.

Neither way needs the library `datasets`, which the tests ask whether it reads what we write: its files are plain JSON
and Arrow, so that nothing is looked up, downloaded or run, and rows are read where they lie, a few at a time.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import xxhash

from features import arrow_rows, exchange, folders
from features.arrow import library
from features.arrow_columns import Sheet
from features.arrow_stream import Stream
from features.exchange import Chosen, Piece
from features.roots import CacheError

DICT, STATE, INFO, DATA = "dataset_dict.json", "state.json", "dataset_info.json", "data-00000-of-00001.arrow"
MOST_JSON_BYTES = 16 * 2**20
SPLITS = {"dev": "validation"}
"""What the others call our splits."""
KNOWN = ("dataset_name", "description", "citation", "license")
ORDER = ("train", "validation", "test")
STEPS = {"steps": "every step", "windows": "the mean of each window", "clip": "one mean of each clip"}
TOLD = {"encoder_does": "What it is:", "command": "Made by:"}


def read(source: Path, *, id: str = "id") -> Iterator[Piece]:  # noqa: A002 - it is what a user says
    """Yield what every row of every split holds of every feature."""
    for _, path in _files(source):
        with folders.refusing(path), Stream(path, id) as stream:
            for batch in stream.batches():
                yield from stream.layout.pieces(batch)


def labels(source: Path, *, id: str = "id") -> Iterator[dict[str, str]]:  # noqa: A002
    """Yield the single values of every row, and the split that it lies in."""
    for split, path in _files(source):
        with folders.refusing(path), Stream(path, id) as stream:
            for batch in stream.batches():
                yield from stream.layout.rows(batch, split)


def said(source: Path, *, id: str = "id") -> dict[str, str]:  # noqa: A002
    """Return what the first split says of its making."""
    for _, path in _files(source):
        info = _json(path.with_name(INFO), source)
        told = {name: str(info[name])[:4000] for name in KNOWN if info.get(name)}
        with folders.refusing(path), Stream(path, id) as stream:
            return told | arrow_rows.said(stream.schema)
    return {}


def write(target: Path, chosen: Chosen, *, dtype: str = "", intervals: str = "yes") -> None:
    """Write a folder, with one for each split in it where the table has splits.

    `dtype=float32` is for tools without float16, `intervals=no` for features alone.
    """
    sheet = Sheet(chosen, dtype, intervals)
    splits = {}
    if any(row.get("split") for row in chosen.rows.values()):
        splits = {clip: SPLITS.get(row["split"], row["split"]) for clip, row in chosen.table("split").items()}
    with folders.new(target) as folder:
        written: dict[str, _Split] = {}
        with contextlib.ExitStack() as stack:
            for split, batch in sheet.batches(lambda clip: splits.get(clip, "")):
                if split not in written:
                    place = folder / folders.file_name(split) if split else folder
                    written[split] = stack.enter_context(_Split(place, sheet))
                written[split].add(batch)
        if splits:
            names = dict.fromkeys(name for name in (*ORDER, *written) if name in written)
            _write(folder / DICT, {"splits": list(names)})


class _Split:
    """The folder of one split while it is filled."""

    def __init__(self, folder: Path, sheet: Sheet) -> None:
        self.folder, self.sheet, self.digest = folder, sheet, xxhash.xxh3_64()
        folder.mkdir(exist_ok=True)
        features = {"info": {"features": _types(sheet)}}
        metadata = {**sheet.schema.metadata, b"huggingface": json.dumps(features)}
        self._stream = library().ipc.new_stream(str(folder / DATA), sheet.schema.with_metadata(metadata))

    def __enter__(self) -> Self:
        return self

    def add(self, batch: Any) -> None:
        """Write some rows."""
        self._stream.write_batch(batch)
        for buffer in (buffer for column in batch.columns for buffer in column.buffers() if buffer):
            self.digest.update(buffer)

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        _write(self.folder / INFO, _info(self.sheet))
        # What `datasets` computes from these rows it keeps under a name made of this.
        state = {"_data_files": [{"filename": DATA}], "_fingerprint": self.digest.hexdigest(), "_split": None}
        formats: dict[str, Any] = {"_format_type": None, "_format_columns": None, "_format_kwargs": {}}
        _write(self.folder / STATE, state | formats | {"_output_all_columns": False})


def _write(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _types(sheet: Sheet) -> dict[str, Any]:
    return {name: _type(kind) for name, kind in zip(sheet.schema.names, sheet.schema.types, strict=True)}


def _type(kind: Any) -> dict[str, Any]:
    """Describe a column as `datasets` does; its word for a list before version 4 is understood by all."""
    types = library().types
    if types.is_list(kind) or types.is_fixed_size_list(kind):
        return {"feature": _type(kind.value_type), "length": getattr(kind, "list_size", -1), "_type": "Sequence"}
    return {"dtype": "string" if types.is_string(kind) else np.dtype(kind.to_pandas_dtype()).name, "_type": "Value"}


def _info(sheet: Sheet) -> dict[str, Any]:
    """Say what is in there, whose work it is and on which terms."""
    corpus = sheet.chosen.corpus
    lines, citations, licences = [f"Features of {corpus}: {STEPS[sheet.chosen.how]}."], [], []
    for feature in sheet.features:
        made, known = feature.making, feature.making["about"]
        lines += [f"{feature.name}: {made['entry']}, steps of {list(feature.shape)} {feature.values.dtype}."]
        lines += [f"{words} {known[name]}" for name, words in TOLD.items() if known.get(name)]
        licences += [f"{corpus}: {licence}" for licence in made["licences"]]
        licences += [f"{made['key']['encoder']}: {known['encoder_licence']}"] if known.get("encoder_licence") else []
        bibtex = known.get("bibtex")
        citations += [str(each) for each in bibtex.values() if each] if isinstance(bibtex, dict) else []
    return {
        "dataset_name": corpus,
        "description": "\n".join(lines),
        "citation": "\n\n".join(dict.fromkeys(citations)),
        "license": "; ".join(dict.fromkeys(licences)),
        "homepage": "",
        "features": _types(sheet),
    }


def _files(source: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file of rows with the split that it is of; names that are paths are refused, and links out of it."""
    if (source / DICT).is_file():
        names = _json(source / DICT, source).get("splits")
    elif (source / STATE).is_file():
        names = [""]
    else:
        raise CacheError(
            f"{source}: expected what Dataset.save_to_disk writes, a folder with {DICT} or {STATE}; "
            "a folder of parquet files is read as parquet"
        )
    for name in _plain(names, source / DICT, empty=True):
        state = source / name / STATE
        told = _json(state, source)
        files = told.get("_data_files")
        if told.get("_indices_data_files") or not isinstance(files, list):
            raise CacheError(f"{state}: expected a list of files and no index; load it with datasets and save it again")
        for file in _plain([each.get("filename") if isinstance(each, dict) else None for each in files], state):
            yield exchange.SPLITS.get(name, name), folders.inside(source / name / file, source)


def _plain(names: object, path: Path, *, empty: bool = False) -> list[str]:
    found = names if isinstance(names, list) and names else [None]
    for name in found:
        if not isinstance(name, str) or name.startswith(".") or set(name) & set("/\\\0") or not (name or empty):
            raise CacheError(f"{path}: expected the names of what lies beside it, got {name!r:.80}; it is not followed")
    return [str(name) for name in found]


def _json(path: Path, source: Path) -> dict[str, Any]:
    with folders.refusing(path), folders.inside(path, source).open("rb") as file:
        values = json.loads(file.read(MOST_JSON_BYTES))
        if not isinstance(values, dict):
            raise ValueError(f"expected names with values, got {values!r:.80}")
        return values
