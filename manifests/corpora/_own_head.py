"""The head of a lab's own table: which of its columns are ours, by what the user says or by what they are called."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from manifests import ManifestError, unknown
from manifests.corpora import _own as own
from manifests.corpora._own import Said
from manifests.labels import TASKS

NO_TABLE = "none"
STREAMS = ("audio", "video")
MEDIA = ("path", *STREAMS)
TIMES = {f"{stream}_{time}" for stream in STREAMS for time in ("start", "end", "offset")}
LABELS = ("emotion", "sentiment", "sentiment_score", "valence", "arousal", "dominance")
"""Columns that are called as the task that they tell."""
COLUMNS = {*"id split speaker sex language dialogue turn start end channel side text licence label_kind".split()}
COLUMNS |= {"recording", "label", *MEDIA, *TIMES, *LABELS}
# What tables call these most often, our own manifests among them.
ALSO = {
    "file": "path",
    "filename": "path",
    "file_name": "path",
    "start_s": "start",
    "end_s": "end",
    "speaker_id": "speaker",
    "gender": "sex",
    "dialogue_id": "dialogue",
    "utt_index": "turn",
    "transcript": "text",
    "activation": "arousal",
}


def columns_of(head: Sequence[str], said: Said, where: Path) -> dict[str, str]:
    """Return our names of columns to the table's: as the user says, else as they are called."""
    theirs = {plain_name(name): name for name in head if name.strip()}
    found = _renamed(theirs, said, where)
    free = {column: name for column, name in theirs.items() if name not in found.values()}
    for column, name in free.items():
        if is_ours(column):
            found.setdefault(column, name)
        elif column.startswith("label."):
            task = column.removeprefix("label.")
            raise ManifestError(f"{where}, column {name!r}: {unknown('task', task, TASKS)}")
    for column, name in free.items():
        if column in ALSO:
            found.setdefault(ALSO[column], name)
    if found.keys().isdisjoint((*MEDIA, "text")) and not {"id"} < found.keys():
        raise ManifestError(
            f"{where}: no column path, audio, video or text; it has {', '.join(theirs.values()) or 'none'}. "
            f"Say which with columns=path=YOURS, or table={NO_TABLE} if this is not the table of the clips. "
            "Where only features exist, an id and labels will do"
        )
    _check_tasks(found, said, where)
    return found


def _renamed(theirs: Mapping[str, str], said: Said, where: Path) -> dict[str, str]:
    """Return the columns that the user names."""
    found = {}
    for ours, name in said.columns.items():
        if not is_ours(plain_name(ours)):
            raise ManifestError(f"option 'columns': {unknown('column', ours, {*COLUMNS, 'label.TASK'})}")
        if plain_name(name) not in theirs:
            raise ManifestError(f"option 'columns': {where}: {unknown('column', name, theirs.values())}")
        found[plain_name(ours)] = theirs[plain_name(name)]
    return found


def _check_tasks(columns: Mapping[str, str], said: Said, where: Path) -> None:
    """Refuse two columns that tell the same."""
    tasks = list(tasks_of(columns, said).values())
    for task in tasks:
        if tasks.count(task) > 1:
            raise ManifestError(f"{where}: several columns tell {task}: say which with columns={task}=…, or task=…")


def tasks_of(columns: Mapping[str, str], said: Said) -> dict[str, str]:
    """Return which column tells which task."""
    known = {**dict(zip(LABELS, LABELS, strict=True)), "label": said.task}
    return {
        column: known.get(column, column.removeprefix("label."))
        for column in columns
        if column in known or column.startswith("label.")
    }


def is_ours(column: str) -> bool:
    """Tell our columns from those that are kept as native."""
    return column in COLUMNS or (column.startswith("label.") and column.removeprefix("label.") in TASKS)


def plain_name(name: str) -> str:
    """Return the name of a column without what differs between two ways of typing it."""
    return re.sub(r"[\s_-]+", "_", own.plain(name))
