"""A run as TensorBoard shows it: `board/<fold and seed>/` in the run's folder, from the history its report is made of.

An epoch stands once, however often a run was killed: whoever continues writes the file anew. Curves may be lost, to a
full disk for instance, and then are again with the next command; a run never fails for them.
"""

import json
import math
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuse.result import Run

if TYPE_CHECKING:  # what writes the files is imported when there is something to write
    from tensorboardX.proto.summary_pb2 import Summary

    from fuse.experiment import Experiment
    from fuse.train import Seed

FILE = "events.out.tfevents.0"
"""TensorBoard looks for `tfevents`; no host is named, as elsewhere in a run."""
TOOK = "train/seconds"


def installed() -> bool:
    """Return whether the library that knows the format is here."""
    return find_spec("tensorboardX") is not None


def path_of(folder: Path, fold: str, seed: int) -> Path:
    """Return where the curves of a seed lie in a run's folder."""
    fold = fold.replace(" ", "-")
    return folder / "board" / f"{fold and fold + '-'}seed-{seed}" / FILE


class Board:
    """The curves of one seed while it is trained."""

    def __init__(self, experiment: "Experiment", seed: "Seed") -> None:
        own = next(one for one in (*experiment.stages, experiment) if one.recipe is seed.recipe)
        self._seed = seed
        self._path = path_of(own.folder, seed.split.name, seed.seed)
        self._whole = installed() and self._begun()
        self._seconds = seed.progress.seconds

    def note(self) -> None:
        """Add the epoch that has just ended."""
        done = self._seed.progress
        took_s, self._seconds = done.seconds - self._seconds, done.seconds
        if self._whole:
            self._whole = _added(self._path, _epoch(done.epoch, done.history[-1], time.time(), took_s))

    def _begun(self) -> bool:
        """Write what is known so far; when an epoch ended, and what it took, only an earlier file can tell."""
        now_s = time.time()
        recipe = json.dumps(self._seed.recipe.to_json(), indent=2, ensure_ascii=False)
        records = [_record(wall_time=now_s, file_version="brain.Event:2"), _text("recipe", recipe, now_s)]
        known = dict(_times(self._path))
        for epoch, numbers in enumerate(self._seed.progress.history, start=1):
            records.append(_epoch(epoch, numbers, *known.get(epoch, (now_s, None))))
        beside = self._path.with_name(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(b"".join(records))
            beside.replace(self._path)
        except OSError:
            return False
        return True


def finish(run: Run, folder: Path) -> None:
    """Add what each seed scored on test, and the recipe as what distinguishes runs in a table of them."""
    for fold in run.folds if installed() else ():
        for one in fold.outcomes:
            path = path_of(folder, fold.name, one.seed)
            settings = {"fold": fold.name, "seed": one.seed, **dict(_flat(run.provenance.get("recipe", {})))}
            if path.is_file():
                _added(path, _scores(one.epoch, _scored(run, fold.name, one.seed), settings))


def _scored(run: Run, fold: str, seed: int) -> dict[str, float]:
    return {
        f"test/{metric} {line.task}{f' {line.corpus}' if len(run.corpora) > 1 else ''}": value
        for line in run.lines
        if (line.role, line.split) == ("model", "test")
        for one in line.scores
        if (one.fold, one.seed) == (fold, seed)
        for metric, value in one.values.items()
        if math.isfinite(value)
    }


def _epoch(epoch: int, numbers: Mapping[str, float], ended_s: float, took_s: float | None) -> bytes:
    named = {f"{'train' if name == 'lr' or name.endswith('loss') else 'dev'}/{name}": x for name, x in numbers.items()}
    return _scalars(epoch, named if took_s is None else {**named, TOOK: took_s}, ended_s)


def _scalars(step: int, named: Mapping[str, float], wall_s: float) -> bytes:
    from tensorboardX.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in named.items()]
    return _record(step=step, wall_time=wall_s, summary=Summary(value=values))


def _scores(step: int, named: Mapping[str, float], settings: Mapping[str, Any]) -> bytes:
    from tensorboardX.summary import hparams

    now_s = time.time()
    _, *session = hparams(settings, {})  # TensorBoard gathers from all runs which settings and scores there are
    return _scalars(step, named, now_s) + b"".join(_record(wall_time=now_s, summary=one) for one in session)


def _text(tag: str, text: str, wall_s: float) -> bytes:
    from tensorboardX import summary

    shown: Summary = summary.text(tag, "\n".join(f"    {line}" for line in text.splitlines()))
    return _record(wall_time=wall_s, summary=shown)


def _record(**parts: Any) -> bytes:
    """Return an event as it stands in a file: its length, the event, and a checksum behind each."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    event = Event(**parts).SerializeToString()
    length = struct.pack("<Q", len(event))
    return b"".join((length, struct.pack("<I", masked_crc32c(length)), event, struct.pack("<I", masked_crc32c(event))))


def _times(path: Path) -> Iterator[tuple[int, tuple[float, float]]]:
    """Yield each epoch in a file with when it ended and what it took, up to where the file ends or is torn."""
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.event_pb2 import Event

    with suppress(OSError, DecodeError, struct.error):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            yield from ((event.step, (event.wall_time, x.simple_value)) for x in event.summary.value if x.tag == TOOK)
            at += length + 16


def _added(path: Path, record: bytes) -> bool:
    """Append a record whole or not at all."""
    try:
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            if file.write(record) == len(record):
                return True
            file.truncate(end)
    except OSError:
        pass
    return False


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested settings with dotted names, as a table can show them."""
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(one, f"{before}{name}.")
        elif one is not None:
            yield before + name, one if isinstance(one, bool | int | float | str) else json.dumps(one)
