"""A lab's own table: a row per clip, columns by our names or by the lab's, whatever spreadsheet wrote it."""

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from manifests import Audio, Clip, ManifestError, Video, splits, unknown, wav
from manifests.corpora import _own as own
from manifests.corpora._own import Said
from manifests.labels import TASKS, Vector
from manifests.licence import Licence
from manifests.tables import cell, in_row, number, rows_of, text_of, whole
from manifests.tree import Tree

NO_TABLE = "none"
STREAMS = ("audio", "video")
TIMES = {f"{stream}_{time}" for stream in STREAMS for time in ("start", "end", "offset")}
LABELS = ("emotion", "sentiment", "sentiment_score", "valence", "arousal", "dominance")
"""Columns that are called as the task that they tell."""
COLUMNS = {*"id path audio video text start end channel side split speaker sex language dialogue turn licence".split()}
COLUMNS |= {"label", *TIMES, *LABELS}
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
SEXES: Mapping[str, Literal["f", "m"] | None] = {
    **dict.fromkeys(("f", "female", "woman"), "f"),
    **dict.fromkeys(("m", "male", "man"), "m"),
    **dict.fromkeys(("", "unknown", "other"), None),
}
CUT = ("cut_start_s", "cut_end_s")
"""Native columns that are read as numbers: where a medium was itself cut from."""
HEAD_CHARACTERS = 1 << 16
SHOWN = 3


def find(tree: Tree, said: Said) -> str | None:
    """Return the table that is named, or the one that has all media below its folder; nothing where there is none."""
    if said.table == NO_TABLE:
        return None
    if said.table:
        found = [path for path, _ in tree.find(re.escape(said.table.replace("\\", "/")))]
        if not found:
            raise ManifestError(f"option 'table': no {said.table} under {tree.root}")
        return found[0]
    media = [path for path, _ in tree.find(r".*") if own.is_media(path)]
    found = [path for path in everywhere(tree) if all(_holds(path, medium) for medium in media)]
    if len(found) > 1:
        raise ManifestError(
            f"{tree.root} holds several tables: {', '.join(found)}. Say which: table={found[0]}, "
            f"or table={NO_TABLE} to read folders named after labels"
        )
    return found[0] if found else None


def everywhere(tree: Tree) -> list[str]:
    """List all tables, the nearest to the root first."""
    return [path for path, _ in tree.find(r"[^/]*\.(?:csv|tsv)")]


def clips(tree: Tree, said: Said, path: str) -> Iterator[Clip]:
    """Yield a clip for each row; media that no row names are told."""
    where = tree.root / path
    head, rows = _rows(tree, path)
    columns = _columns(head, said, where)
    media = _Media(tree, path)
    seen: dict[str, int] = {}
    unlabelled = 0
    for row_number, row in enumerate(rows, start=1):
        if not any(map(str.strip, row.values())):  # a spreadsheet writes them
            continue
        with in_row(where, row_number):
            clip = _Row(row, columns, said, media).clip()
            if clip.id in seen:
                raise ValueError(f"column 'id': {clip.id!r} already stands in row {seen[clip.id]}; give each row an id")
        seen[clip.id] = row_number
        unlabelled += not clip.labels
        yield clip
    if unlabelled:
        told = ", ".join(_tasks(columns, said)) or "none; name one with columns=emotion=YOURS"
        tree.warn(f"{unlabelled} of {len(seen)} clips have no label; columns of labels: {told}")
    for medium in media.unnamed:
        tree.leave_out(medium, f"{Path(path).name} does not name it")


class _Media:
    """The files below a root, and which of them a cell means."""

    def __init__(self, tree: Tree, table: str) -> None:
        self.tree, self.root = tree, tree.root
        paths = [path for path, _ in tree.find(r".*") if path != table]
        self.paths = set(paths)
        self.unnamed = dict.fromkeys(filter(own.is_media, paths))
        self._bases = ["" if str(folder) == "." else f"{folder}/" for folder in PurePosixPath(table).parents]
        self._folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
        self._meant: dict[str, list[str]] = {}
        for path in paths:
            self._meant.setdefault(_folded(path), []).append(path)
        whole_names = set(self._meant)
        for path in filter(own.is_media, paths):  # a cell may leave the suffix out
            if (stem := _folded(own.stem_of(path))) not in whole_names:
                self._meant.setdefault(stem, []).append(path)
        self._by_name: dict[str, list[str]] = {}
        for meant in self._meant:
            self._by_name.setdefault(meant.rpartition("/")[2], []).append(meant)

    def named(self, cell: str) -> list[str]:
        """Return the files that a cell means: below the table, else below a folder above it, else by the path's end."""
        for path in (found := self._found(self.inside(cell))):
            self.unnamed.pop(path, None)
        if not found and not self._folders.isdisjoint(base + cell for base in self._bases):
            self.tree.leave_out(cell, "a folder; expected a file")
        return found

    def inside(self, cell: str) -> str:
        """Return a path relative to the root; one that lies elsewhere stays as it is, and is refused."""
        path = PurePosixPath(cell.replace("\\", "/"))
        for root in (self.root.absolute().as_posix(), self.root.resolve().as_posix()):
            if path.is_relative_to(root):
                path = path.relative_to(root)
        try:
            return Audio(str(path)).path
        except ValueError as error:
            raise ValueError(str(error).removeprefix("column 'path': ")) from None

    def _found(self, path: str) -> list[str]:
        for base in self._bases:
            if base + path in self.paths:
                return [base + path]
        folded = _folded(path)
        for base in self._bases:
            if meant := self._meant.get(_folded(base) + folded):
                return [found for found in meant if own.stem_of(found) == base + path] or meant
        tails = [meant for meant in self._by_name.get(folded.rpartition("/")[2], ()) if meant.endswith(f"/{folded}")]
        if len(tails) > 1:
            there = sorted(self._meant[tail][0] for tail in tails)
            raise ValueError(f"{path!r} may be {' or '.join(there[:SHOWN])}: write its folder too")
        return self._meant[tails[0]] if tails else []


class _Row:
    """One row of the table, read by our names of its columns."""

    def __init__(self, row: Mapping[str, str], columns: Mapping[str, str], said: Said, media: _Media) -> None:
        self.row, self.columns, self.said, self.media = row, columns, said, media

    def clip(self) -> Clip:
        """Return what the row says."""
        sound, film, missing = self._files()
        text = self.text("text")
        if not (sound or film or any(missing.values()) or text):
            raise ValueError(f"expected a path, an audio, a video or a text; columns read: {', '.join(self.columns)}")
        audio = Audio(sound, channel=self._choice("channel", "mix"), **self._times("audio")) if sound else None
        video = Video(film, side=self._choice("side", "full"), **self._times("video")) if film else None
        split = splits.named(self.text("split")) if "split" in self.columns else "all"
        labels = self._labels()
        flags = missing | {"no_transcript": "text" in self.columns and not text}
        return Clip(
            id=self.text("id") or self._name(),
            corpus=self.said.corpus,
            split=split,
            split_source="table" if "split" in self.columns else "none",
            dialogue_id=self.text("dialogue") or None,
            utt_index=self.read("turn", whole),
            speaker_id=self.text("speaker") or None,
            sex=self.read("sex", _sex),
            language=self.text("language") or self.said.language,
            duration_s=self._seconds(audio or video),
            audio=audio,
            video=video,
            text=text or None,
            text_source="table" if text else None,
            native=self._native(),
            labels=labels,
            label_kind=self.said.label_kind if labels else None,
            flags=tuple(flag for flag, raised in flags.items() if raised),
            licence=self._licence(),
        )

    def text(self, column: str) -> str:
        """Return a cell without blanks around it, or nothing where the table has no such column."""
        return self.row[self.columns[column]].strip() if column in self.columns else ""

    def read(self, column: str, parse: Any) -> Any:
        """Read a cell that may be empty; the complaint names the table's column."""
        return cell(self.row, self.columns[column], lambda text: parse(text.strip())) if self.text(column) else None

    def _files(self) -> tuple[str | None, str | None, dict[str, bool]]:
        """Return sound and film where they are there, and the flags of what the row names in vain."""
        # Nothing where no file is named, an empty list where the file is not there.
        path, audio, video = (self.read(column, self.media.named) for column in ("path", "audio", "video"))
        sound, film = own.sound_and_film(path or ())
        if path and not sound:
            kinds = ", ".join(own.SOUND + own.FILM)
            raise ValueError(f"column {self.columns['path']!r}: expected one of {kinds}, got {path[0]!r}")
        if video is not None:
            film = next(iter(video), None)
            if not {"audio", "path"} & self.columns.keys():
                audio = video
        if audio is not None:
            sound = next(iter(audio), None)
        filmed = video is not None or own.suffix_of(self.text("path")) not in own.SOUND
        return (
            sound,
            film,
            {
                "missing_video": film is None and filmed and [] in (path, video),
                "missing_audio": sound is None and [] in (path, audio),
            },
        )

    def _times(self, stream: str) -> dict[str, Any]:
        """Return where a stream begins and ends, by its own columns or by those of both."""
        columns = (f"{stream}_{time}" if self.text(f"{stream}_{time}") else time for time in ("start", "end"))
        start, end = (self.read(column, number) for column in columns)
        return {"start_s": start or 0.0, "end_s": end, "offset_s": self.read(f"{stream}_offset", number) or 0.0}

    def _choice(self, column: str, usual: str) -> Any:
        return self.text(column).lower() or usual

    def _seconds(self, stream: Audio | Video | None) -> float | None:
        if stream is None or (stream.start_s and stream.end_s is None):
            return None
        if stream.end_s is None:
            return wav.seconds(self.media.root / stream.path)
        return round(stream.end_s - stream.start_s, 6) or None

    def _name(self) -> str:
        """Name a clip after its file, and after its start where it is a part of it."""
        path = next(filter(None, map(self.text, ("path", "audio", "video"))), None)
        if path is None:
            raise ValueError("a clip that is text alone needs a column 'id'")
        start = next(filter(None, map(self.text, ("start", "audio_start", "video_start"))), "")
        return own.name_of(own.stem_of(self.media.inside(path)) + (f"@{start}" if start else ""))

    def _labels(self) -> dict[str, Vector]:
        found = {}
        for column, task in _tasks(self.columns, self.said).items():
            vector = self.read(column, lambda text, task=task: own.label(task, text, self.said.words))
            if vector:
                found[task] = vector
        return found

    def _native(self) -> dict[str, str | float]:
        """Return what the table says beside our columns, and the words of labels as they stand."""
        labels = _tasks(self.columns, self.said)
        ours = {header for column, header in self.columns.items() if column not in labels}
        told = [name for name in self.row if name.strip() and name not in ours and self.row[name].strip()]
        return {name: cell(self.row, name, number) if name in CUT else self.row[name].strip() for name in told}

    def _licence(self) -> str:
        name = self.text("licence")
        return Licence(name, self.said.licence.shared).tag if name else self.said.licence.tag


def _rows(tree: Tree, path: str) -> tuple[list[str], list[dict[str, str]]]:
    """Read the table, whichever of comma, semicolon and tab stands between its cells."""
    where = tree.root / path
    text = text_of(tree.bytes(path)).lstrip("\r\n")
    first = re.split(r"[\r\n]", text, maxsplit=1)[0][:HEAD_CHARACTERS]
    usual = ("\t", ",", ";") if path.lower().endswith(".tsv") else (",", ";", "\t")
    heads = {mark: next(csv.reader([first], delimiter=mark), []) for mark in usual}
    mark = max(usual, key=lambda mark: len(heads[mark]))
    names = [name if not _known(_column(name)) else _column(name) for name in heads[mark] if name.strip()]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ManifestError(f"{where}: column {twice[0]!r} stands twice in its head")
    rows = rows_of(text, where, (), mark)
    return heads[mark], rows


def _columns(head: Sequence[str], said: Said, where: Path) -> dict[str, str]:
    """Return our names of columns to the table's: as the user says, else as they are called."""
    theirs = {_column(name): name for name in head if name.strip()}
    found = _renamed(theirs, said, where)
    free = {column: name for column, name in theirs.items() if name not in found.values()}
    for column, name in free.items():
        if _known(column):
            found.setdefault(column, name)
        elif column.startswith("label."):
            task = column.removeprefix("label.")
            raise ManifestError(f"{where}, column {name!r}: {unknown('task', task, TASKS)}")
    for column, name in free.items():
        if column in ALSO:
            found.setdefault(ALSO[column], name)
    if found.keys().isdisjoint(("path", "audio", "video", "text")):
        raise ManifestError(
            f"{where}: no column path, audio, video or text; it has {', '.join(theirs.values()) or 'none'}. "
            f"Say which with columns=path=YOURS, or table={NO_TABLE} if this is not the table of the clips"
        )
    _check_tasks(found, said, where)
    return found


def _renamed(theirs: Mapping[str, str], said: Said, where: Path) -> dict[str, str]:
    """Return the columns that the user names."""
    found = {}
    for ours, name in said.columns.items():
        if not _known(_column(ours)):
            raise ManifestError(f"option 'columns': {unknown('column', ours, {*COLUMNS, 'label.TASK'})}")
        if _column(name) not in theirs:
            raise ManifestError(f"option 'columns': {where}: {unknown('column', name, theirs.values())}")
        found[_column(ours)] = theirs[_column(name)]
    return found


def _check_tasks(columns: Mapping[str, str], said: Said, where: Path) -> None:
    """Refuse two columns that tell the same."""
    tasks = list(_tasks(columns, said).values())
    for task in tasks:
        if tasks.count(task) > 1:
            raise ManifestError(f"{where}: several columns tell {task}: say which with columns={task}=…, or task=…")


def _tasks(columns: Mapping[str, str], said: Said) -> dict[str, str]:
    """Return which column tells which task."""
    known = {**dict(zip(LABELS, LABELS, strict=True)), "label": said.task}
    return {
        column: known.get(column, column.removeprefix("label."))
        for column in columns
        if column in known or column.startswith("label.")
    }


def _known(column: str) -> bool:
    return column in COLUMNS or (column.startswith("label.") and column.removeprefix("label.") in TASKS)


def _column(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", own.plain(name))


def _folded(path: str) -> str:
    """Return a path without what differs between disks: the case, and how letters are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _holds(table: str, medium: str) -> bool:
    folder = table.rpartition("/")[0]
    return not folder or medium.startswith(f"{folder}/")


def _sex(text: str) -> Literal["f", "m"] | None:
    if text.lower() not in SEXES:
        raise ValueError(f"expected f, m, female, male or nothing, got {text!r}")
    return SEXES[text.lower()]
