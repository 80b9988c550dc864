"""MERBench: a folder for every feature, a `.npy` for every clip, as zeroQiaoba/MERTools extracts and trains.

Layout, as its extractors and its loader have it: `features/<encoder>-FRA/<clip>.npy` holds (t, d) steps, and
`<encoder>-UTT/<clip>.npy` one vector (d,), their mean (some extractors write `_FRA`, `_UTT`). A clip may be a folder
instead, with one `.npy` for each face, read in the order of their names. The loader drops axes of length 1, takes what
is left for steps if it has two, and stops where a clip of its labels has no file. Where its extractors find nothing,
they write zeros, one step or a vector: such clips are read as zeros.

SOURCE is the folder of all features, or of one; features are called as their folders. Labels are those of `label*.npz`
in it or in the folder above it, dictionaries that are read as data (`unpickle`). `emo` is a word, or a number whose
meaning differs between corpora (MELD: anger, joy, sadness, neutral, disgust, fear, surprise) and which stays in a
column `emo`, with the end of the file's name where there are several. `val` is a sentiment where every `emo` is 0;
otherwise it stays `val`, but for -10, which means none. Splits test1 to test3 are test.

MELD's clips are `val_dia0_utt0` there and `dev_dia0_utt0` here, and renamed both ways.

Kept: every real step to the bit in the cache's dtype; its loader makes float32 of it. Lost: seconds, padding, windows,
side channels, axes of a step (they are laid out flat). `level=utt` writes means of all real steps; `absent=none` writes
no zeros for clips without a feature, which its loader then cannot do with. Its own label files go with what is written.
"""

import dataclasses
import math
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from features import folders, npy, unpickle
from features.exchange import Chosen, Piece, whole
from features.roots import CacheError
from features.rows import Allowance
from features.windows import Array

LEVELS = {"fra": "-FRA", "utt": "-UTT"}
CORPUS = "_corpus"
NO_VALUE = -10
MOST_LABEL_BYTES = 64 * 2**20
_FEATURE = re.compile(r".+[-_](FRA|UTT)")
_THEIRS, _OURS = re.compile(r"val_(?=dia\d+_utt\d+$)"), re.compile(r"dev_(?=dia\d+_utt\d+$)")
_SPLITS = {"train": "train", "val": "dev", "test": "test", "test1": "test", "test2": "test", "test3": "test"}


def read(source: Path) -> Iterator[Piece]:
    """Yield the steps of every clip, feature by feature."""
    for folder in _features(source):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or not (path.suffix == npy.SUFFIX or path.is_dir()):
                continue
            clip = path.name if path.is_dir() else path.name.removesuffix(npy.SUFFIX)
            with folders.refusing(path):
                values = _steps(folders.inside(path, source))
            if values.size:
                yield Piece(folder.name, _THEIRS.sub("dev_", clip), whole(values))


def _features(source: Path) -> list[Path]:
    if not source.is_dir():
        raise CacheError(f"{source}: expected a folder of folders such as clip-vit-large-patch14-FRA")
    found = [path for path in sorted(source.iterdir()) if path.is_dir() and _FEATURE.fullmatch(path.name)]
    if found:
        return [folders.inside(path, source) for path in found]
    if any(source.glob(f"*{npy.SUFFIX}")) or _FEATURE.fullmatch(source.name):
        return [source]
    raise CacheError(f"{source}: expected folders that end in FRA or UTT, or .npy files; say where those lie")


def _steps(path: Path) -> Array:
    """Return the steps of a clip (t, ...): those of its file, or one of each of its faces."""
    if path.is_file():
        return _squeezed(npy.array(path).whole())
    faces = [_squeezed(npy.array(each).whole()) for each in folders.files(path, npy.SUFFIX)]
    return np.concatenate(faces) if faces else np.empty((0, 0))


def _squeezed(values: Array) -> Array:
    """Return steps as the loader takes them: without axes of length 1, and a vector as one step."""
    if values.dtype.kind not in "iufb":
        raise ValueError(f"expected numbers, got {values.dtype}")
    values = values if values.ndim == 2 else values.squeeze()
    return values.reshape(1, -1) if values.ndim < 2 and values.size else values


def labels(source: Path) -> Iterator[dict[str, str]]:
    """Yield what the label files say of every clip."""
    files = sorted(source.glob("label*.npz")) or sorted(source.absolute().parent.glob("label*.npz"))
    if not files:
        raise CacheError(
            f"{source}: expected label.npz, as MERBench has it, there or in the folder above; put it there"
        )
    rows: dict[str, dict[str, str]] = {}
    for path in files:
        end = path.stem.removeprefix("label") if len(files) > 1 else ""
        with folders.refusing(path):
            corpora = [*_corpora(path)]
        emotions = any(told.get("emo") for _, clips in corpora for told in clips.values())
        for split, clips in corpora:
            for name, told in clips.items():
                clip = _THEIRS.sub("dev_", str(name))
                row = rows.setdefault(clip, {"id": clip, "split": _SPLITS.get(split, "")})
                row |= _label(told, end, emotions=emotions)
    yield from rows.values()


def _label(told: Mapping[str, Any], end: str, *, emotions: bool) -> dict[str, str]:
    """Return the columns of what a label file says of a clip."""
    row, emotion, value = {}, told.get("emo"), told.get("val")
    if isinstance(emotion, str):
        row["emotion"] = emotion
    elif isinstance(emotion, int) and emotions:
        row[f"emo{end}"] = str(emotion)
    if isinstance(value, str | int | float) and value not in ("", NO_VALUE):
        row["val" if emotions else "sentiment_score"] = str(value)
    return row


def _corpora(path: Path) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield the splits of a label file; each is a dictionary in an array of one object."""
    with zipfile.ZipFile(path) as archive:
        allowance = Allowance(path, path.stat().st_size)
        for info in archive.infolist():
            name = info.filename.removesuffix(CORPUS + npy.SUFFIX)
            if name != info.filename:
                allowance.take(info.filename, info.file_size)
                with archive.open(info) as file:
                    yield name, _clips(file, f"{path}: {info.filename}")


def _clips(file: IO[bytes], where: str) -> dict[Any, Any]:
    """Return the dictionary of an array of one object: behind its head a pickle, which is read as data."""
    if np.lib.format.read_magic(file) != (1, 0) or np.lib.format.read_array_header_1_0(file)[0] != ():
        raise CacheError(f"{where}: expected one dictionary, as MERBench saves it; fetch it again")
    with tempfile.TemporaryDirectory() as folder:
        pickled = Path(folder) / "labels.pkl"
        pickled.write_bytes(file.read(MOST_LABEL_BYTES))
        try:
            clips = unpickle.load(pickled)
        except CacheError as error:
            raise CacheError(str(error).replace(str(pickled), where)) from None
    if not isinstance(clips, dict) or not all(isinstance(each, dict) for each in clips.values()):
        raise CacheError(f"{where}: expected for every clip a dictionary with emo and val; fetch it again")
    return clips


def write(target: Path, chosen: Chosen, *, level: str = "fra", absent: str = "zeros") -> None:
    """Write a folder for every feature: `level=fra` all steps, `level=utt` their mean; `absent=none` leaves gaps."""
    if level not in LEVELS or absent not in ("zeros", "none"):
        raise CacheError(f"expected level=fra or utt and absent=zeros or none, got level={level} and absent={absent}")
    chosen = dataclasses.replace(chosen, how="clip") if level == "utt" else chosen
    blanks = {name: _blank(chosen, name) for name in chosen.readers}
    files = {clip: folders.file_name(_OURS.sub("val_", clip)) + npy.SUFFIX for clip in chosen.clips}
    if len(set(files.values())) < len(files):
        raise CacheError("two clips, dev_… and val_…, would be one file there; leave those out that are none of MELD's")
    with folders.new(target) as folder:
        places = {name: folder / f"{folders.file_name(name)}{LEVELS[level]}" for name in chosen.readers}
        for place in places.values():
            place.mkdir()
        for clip, found in chosen.sequences():
            for name, place in places.items():
                values = found[name].values if name in found else blanks[name][:0]
                if not len(values) and absent == "none":
                    continue
                steps = (values if len(values) else blanks[name]).reshape(-1, blanks[name].shape[1])
                np.save(place / files[clip], steps[0] if level == "utt" else steps, allow_pickle=False)


def _blank(chosen: Chosen, name: str) -> Array:
    """Return a step of zeros, as wide as the feature's are."""
    reader = chosen.readers[name]
    clips = [clip for clip in chosen.clips if clip in reader]
    width = math.prod(reader[clips[0]].values.shape[1:]) if clips else 0
    if width < 2:
        raise CacheError(
            f"the steps of {name} have {width} numbers: MERBench's loader drops an axis of length 1 and would take all "
            "steps for one; leave it out"
        )
    return np.zeros((1, width), reader.key.dtype)
