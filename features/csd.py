"""CMU's computational sequences, `.csd`: one feature each, step by step with its times, as CMU-MultimodalSDK has them.

Layout: HDF5, `/<root name>/data/<id>/features` (t, ...) and `.../intervals` (t, 2), in seconds, and texts of JSON under
`/<root name>/metadata`. An id is a whole video, or `video[3]` once the SDK has aligned it: the 3 counts what it was
aligned to, in the order of that file. **It is not the number that transcripts, and our manifests, give a clip**; no
name of a clip is made of it, and times tell which clip it is.

- SOURCE is a `.csd`, or a folder of them.
- `segments=TABLE.csv`, as `python -m manifests table mosei` writes it, cuts videos into clips: a step belongs to those
  rows of its `recording` (the name of its file, or of its video) whose `start` to `end` its middle lies in. Times are
  then those of the clip. Of `video[3]` and its siblings all steps are taken together and told apart by their times.

Kept: values as they are, NaN and infinities of COVAREP among them (say --zeros), and when each step lasts. A clip
without a step is left out. Words, which some sequences hold, are no features. Lost on the way out: padding, and which
steps make up a window; times are those of the clip, where CMU's own count from the beginning of the video.
"""

import json
import math
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from features import about, folders, hdf5, hdf5_making
from features.disk import beside, make_folder
from features.exchange import Chosen, Piece, whole
from features.hdf5 import Opened
from features.labels import table
from features.roots import CacheError
from features.windows import Array

SUFFIX = ".csd"
CURE = "fetch it again, or ask whoever made it"
MOST_METADATA, MOST_SAID = 64, 4000
_ALIGNED = re.compile(r"\[\d+\]$", re.ASCII)


def read(source: Path, *, segments: str = "") -> Iterator[Piece]:
    """Yield every clip of every sequence: as the file calls them, or as a table cuts them out of their videos."""
    clips = _clips(Path(segments)) if segments else {}
    for path in folders.files(source, SUFFIX):
        with hdf5.whole(path, CURE), hdf5.opened(path, CURE) as file:
            root = _root(file)
            yield from _cut(file, root, clips) if segments else _as_named(file, root)


def said(source: Path, *, segments: str = "") -> dict[str, str]:  # noqa: ARG001 - every option of `read`
    """Return the metadata; those that cannot be read are left out, for they change no number."""
    found: dict[str, str] = {}
    paths = folders.files(source, SUFFIX)
    for path in paths:
        with hdf5.whole(path, CURE), hdf5.opened(path, CURE) as file:
            root = _root(file)
            for name in file.names(f"{root}/metadata")[:MOST_METADATA]:
                with suppress(CacheError), hdf5.whole(path, CURE):
                    text = " ".join(file.texts(f"{root}/metadata/{name}"))
                    found[name if len(paths) == 1 else f"{root}: {name}"] = _plain(text)[:MOST_SAID]
    return found


def _plain(text: str) -> str:
    """Return what a text of JSON says; older files have it without quotes."""
    with suppress(ValueError, RecursionError):
        told = json.loads(text)
        return told if isinstance(told, str) else text
    return text


def _root(file: Opened) -> str:
    names = file.names()
    roots = [name for name in names if "data" in file.names(name)]
    if len(roots) != 1:
        raise CacheError(
            f"{file.path}: expected one root, a group that holds a group 'data', as computational sequences have; got "
            f"{', '.join(names)[:MOST_SAID] or 'nothing'}"
        )
    return roots[0]


@dataclass(frozen=True)
class _Steps:
    """The steps of an entry, or of several: values (t, ...), and from when to when each lasts."""

    values: Array
    interval_s: Array

    def piece(self, feature: str, clip: str, span_s: tuple[float, float]) -> Piece:
        """Return them as one clip's."""
        return Piece(feature, clip, whole(self.values, span_s=span_s, interval_s=self.interval_s))


def _steps(file: Opened, entry: str) -> _Steps:
    rows, times = file.rows(f"{entry}/features"), file.rows(f"{entry}/intervals")
    if rows.dtype.kind not in "iufb":
        raise CacheError(f"{file.path}: expected numbers in {entry}/features, got {rows.dtype}; words are no features")
    if len(rows.shape) < 2 or times.shape != (rows.shape[0], 2) or times.dtype.kind not in "iuf":
        raise CacheError(
            f"{file.path}: expected steps of numbers and two times for each in {entry}, got features {rows.shape} "
            f"and intervals {times.shape}; {CURE}"
        )
    interval_s = times.whole().astype(np.float64)
    if not np.isfinite(interval_s).all() or (len(interval_s) and interval_s[:, 1].max() < interval_s[:, 0].min()):
        raise CacheError(
            f"{file.path}: expected seconds from when to when each step lasts in {entry}/intervals; {CURE}"
        )
    return _Steps(rows.whole(), interval_s)


def _as_named(file: Opened, root: str) -> Iterator[Piece]:
    for name in file.names(f"{root}/data"):
        steps = _steps(file, f"{root}/data/{name}")
        if len(steps.values):
            span_s = float(steps.interval_s[:, 0].min()), float(steps.interval_s[:, 1].max())
            yield steps.piece(root, name, span_s)


@dataclass(frozen=True)
class _Clip:
    """A row of the table: a clip, and from when to when it lasts in its recording."""

    name: str
    begin_s: float
    end_s: float


def _clips(path: Path) -> Mapping[str, list[_Clip]]:
    """Return the clips of each recording, by the name of the file or of the video that it is."""
    found: dict[str, list[_Clip]] = defaultdict(list)
    for name, row in table(path).items():
        recording = row.get("recording", "").rpartition("/")[2]
        try:
            clip = _Clip(name, float(row.get("start") or 0), float(row.get("end") or math.inf))
        except ValueError as error:
            raise CacheError(f"{path}: expected seconds as start and end of {name}, got {error}") from None
        if recording:
            found[recording].append(clip)
    if not found:
        raise CacheError(
            f"{path}: expected a table with the columns id, recording, start and end, and recordings in it; "
            "python -m manifests table CORPUS writes one"
        )
    return found


def _cut(file: Opened, root: str, clips: Mapping[str, list[_Clip]]) -> Iterator[Piece]:
    entries: dict[str, list[str]] = defaultdict(list)
    for name in file.names(f"{root}/data"):
        entries[_ALIGNED.sub("", name)].append(name)
    if not entries.keys() & clips.keys():
        raise CacheError(
            f"{file.path}: expected videos that the table names as recording, such as {next(iter(clips))!r}, "
            f"got {', '.join(list(entries)[:5]) or 'none'}"
        )
    for video in [video for video in entries if video in clips]:
        steps = _together([_steps(file, f"{root}/data/{name}") for name in entries[video]])
        middles_s = steps.interval_s.mean(axis=1)
        for clip in clips[video]:
            there = (clip.begin_s <= middles_s) & (middles_s < clip.end_s)
            if there.any():
                interval_s = steps.interval_s[there] - clip.begin_s
                end_s = clip.end_s - clip.begin_s if math.isfinite(clip.end_s) else float(interval_s[:, 1].max())
                yield _Steps(steps.values[there], interval_s).piece(root, clip.name, (0.0, max(0.0, end_s)))


def _together(entries: list[_Steps]) -> _Steps:
    """Return the steps of all entries of a video in time; one that several entries have counts once."""
    values = np.concatenate([steps.values for steps in entries])
    interval_s = np.concatenate([steps.interval_s for steps in entries])
    order = np.lexsort((interval_s[:, 1], interval_s[:, 0]))
    values, interval_s = values[order], interval_s[order]
    if len(entries) > 1:
        flat = np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
        new = np.ones(len(values), bool)
        new[1:] = (interval_s[1:] != interval_s[:-1]).any(axis=1) | (flat[1:] != flat[:-1]).any(axis=1)
        values, interval_s = values[new], interval_s[new]
    return _Steps(values, interval_s)


def write(target: Path, chosen: Chosen, *, root: str = "") -> None:
    """Write one feature to a `.csd`, or each to one in a folder; `root` names the one, else it is called as it is."""
    if len(chosen.readers) != 1 and (root or target.suffix == SUFFIX):
        raise CacheError(
            f"expected one feature for one {SUFFIX}, got {', '.join(chosen.readers)}; name a folder instead"
        )
    if target.suffix != SUFFIX:
        with folders.new(target) as folder:
            for name in chosen.readers:
                _write(folder / f"{folders.file_name(name)}{SUFFIX}", root or name, name, chosen)
        return
    if target.exists():
        raise CacheError(f"{target} is there already; name another file, or move it away")
    make_folder(target.parent)
    with beside(target) as temporary:
        _write(temporary, root or next(iter(chosen.readers)), next(iter(chosen.readers)), chosen)


def _write(path: Path, root: str, name: str, chosen: Chosen) -> None:
    width = 0
    with hdf5_making.making(path) as made:
        for clip, found in replace(chosen, readers={name: chosen.readers[name]}).sequences():
            if name in found and len(steps := found[name].values):
                entry = f"{_group(root)}/data/{_group(clip)}"
                width = math.prod(steps.shape[1:])
                made.array(f"{entry}/features", steps.reshape(len(steps), *(steps.shape[1:] or (1,))))
                made.array(f"{entry}/intervals", found[name].interval_s)
        for key, value in _metadata(root, name, chosen, width).items():
            made.texts(f"{_group(root)}/metadata/{key}", [json.dumps(value)])
    if not width:
        raise CacheError(f"{chosen.readers[name].folder} has no step of any clip that was chosen; leave {name} out")


def _group(name: str) -> str:
    """Return a name where it can be that of a group; others would lie elsewhere, or under another name."""
    if name in ("", ".") or set(name) & set("/\0"):
        raise CacheError(
            f"expected a name without / that a group of HDF5 can have, got {name!r:.80}; name it otherwise"
        )
    return name


def _metadata(root: str, name: str, chosen: Chosen, width: int) -> dict[str, Any]:
    """Return all that the SDK asks for."""
    reader = chosen.readers[name]
    key, known = reader.key, about.known(reader.folder)
    does, cited = str(known.get("encoder_does") or key.encoder).rstrip("."), known.get("bibtex")
    bibtex = cited if isinstance(cited, dict) else {}
    version = {"computational sequence version": key.name}
    return {
        "root name": root,
        "computational sequence description": f"{does}. Grid {key.grid}, {chosen.how}, of the entry {key.name}.",
        "dimension names": [f"{root} {i}" for i in range(width)],
        **version,
        # Between these two names the SDK's list lacks a comma, so that it misses the one that they are together.
        "".join(("dimension names", *version)): key.name,
        "alignment compatible": True,
        "dataset name": chosen.corpus,
        "dataset version": "unknown",
        "creator": "affectline",
        "contact": "unknown",
        "featureset bib citation": str(bibtex.get("encoder") or "unknown"),
        "dataset bib citation": str(bibtex.get("corpus") or "unknown"),
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{chosen.corpus} {key.name} {root} {chosen.how}")),
        "md5": None,
    }
