"""A lab's own table: a row per clip, columns by our names or by the lab's, whatever spreadsheet wrote it."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from manifests import Audio, Clip, ManifestError, Video, splits, wav
from manifests.corpora import _own as own
from manifests.corpora._own import Said
from manifests.corpora._own_head import MEDIA, NO_TABLE, columns_of, is_ours, plain_name, tasks_of
from manifests.corpora._own_media import Media
from manifests.labels import Vector
from manifests.licence import Licence
from manifests.tables import cell, in_row, number, rows_of, text_of, whole
from manifests.tree import Tree

SEXES: Mapping[str, Literal["f", "m"] | None] = {
    **dict.fromkeys(("f", "female", "woman"), "f"),
    **dict.fromkeys(("m", "male", "man"), "m"),
    **dict.fromkeys(("", "unknown", "other"), None),
}
MISSING = {"missing_audio", "missing_video"}
CUT = ("cut_start_s", "cut_end_s")
"""Native columns that are read as numbers: where a medium was itself cut from."""
HEAD_CHARACTERS = 1 << 16


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
    columns = columns_of(head, said, where)
    media = Media(tree, path)
    _check_media(columns, media, where)
    seen: dict[str, int] = {}
    found: list[Clip] = []
    for row_number, row in enumerate(rows, start=1):
        if not any(map(str.strip, row.values())):  # a spreadsheet writes them
            continue
        with in_row(where, row_number):
            clip = _Row(row, columns, said, media).clip()
            if clip.id in seen:
                raise ValueError(f"column 'id': {clip.id!r} already stands in row {seen[clip.id]}; give each row an id")
        seen[clip.id] = row_number
        found.append(clip)
        yield clip
    for warning in _warnings(found, ", ".join(tasks_of(columns, said))):
        tree.warn(warning)
    for medium in media.unnamed:
        tree.leave_out(medium, f"{Path(path).name} does not name it")


def _warnings(clips: Sequence[Clip], told: str) -> Iterator[str]:
    """Say what no single row shows, given the columns that tell labels."""
    if unlabelled := sum(not clip.labels for clip in clips):
        told = told or "none; name one with columns=emotion=YOURS"
        yield f"{unlabelled} of {len(clips)} clips have no label; columns of labels: {told}"
    if bare := [clip for clip in clips if not clip.tracks and MISSING.isdisjoint(clip.flags)]:
        worded = sum(clip.text is not None for clip in bare)
        of_some = f"features only, but for the words of {worded}" if worded else "features only"
        first = "" if len(bare) == len(clips) else f" ({bare[0].id} is the first)"
        yield f"{len(bare)} clips without media{first}: {'words alone' if worded == len(bare) else of_some}"
    scores = {clip.labels["sentiment_score"][0] for clip in clips if "sentiment_score" in clip.labels}
    if len(scores) > 1 and min(scores) >= 0:
        yield (
            f"sentiment_score goes from {min(scores):g} to {max(scores):g}, and below 0 would be negative; "
            "where another number is neither good nor bad, say middle=3"
        )


class _Row:
    """One row of the table, read by our names of its columns."""

    def __init__(self, row: Mapping[str, str], columns: Mapping[str, str], said: Said, media: Media) -> None:
        self.row, self.columns, self.said, self.media = row, columns, said, media

    def clip(self) -> Clip:
        """Return what the row says."""
        sound, film, missing = self._files()
        text = self.text("text")
        bare = not (sound or film or any(missing.values()))
        audio = Audio(sound, channel=self._choice("channel", "mix"), **self._times("audio")) if sound else None
        video = Video(film, side=self._choice("side", "full"), **self._times("video")) if film else None
        split = splits.named(self.text("split")) if "split" in self.columns else "all"
        labels = self._labels()
        cut = self._cut() if bare else {}
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
            duration_s=self._seconds(audio or video, cut),
            audio=audio,
            video=video,
            text=text or None,
            text_source="table" if text else None,
            native=self._native(bare=bare) | cut,
            labels=labels,
            label_kind=self.text("label_kind") or self.said.label_kind if labels else None,
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

    def _seconds(self, stream: Audio | Video | None, cut: Mapping[str, float]) -> float | None:
        start_s, end_s = (stream.start_s, stream.end_s) if stream else map(cut.get, CUT)
        if end_s is not None:
            return round(max(0.0, end_s - (start_s or 0.0)), 6) or None
        return wav.seconds(self.media.root / stream.path) if stream and not start_s else None

    def _cut(self) -> dict[str, Any]:
        """Return what a clip without media was cut from, as far as the row says."""
        told = (self.text("recording") or None, self.read("start", number), self.read("end", number))
        return {name: value for name, value in zip(("cut_from", *CUT), told, strict=True) if value is not None}

    def _name(self) -> str:
        """Name a clip after its file, and after its start where it is a part of it."""
        path = next(filter(None, map(self.text, ("path", "audio", "video"))), None)
        if path is None:
            raise ValueError(f"expected a path, an audio, a video, or an id; columns read: {', '.join(self.columns)}")
        start = next(filter(None, map(self.text, ("start", "audio_start", "video_start"))), "")
        return own.name_of(own.stem_of(self.media.inside(path)) + (f"@{start}" if start else ""))

    def _labels(self) -> dict[str, Vector]:
        found = {}
        for column, task in tasks_of(self.columns, self.said).items():
            vector = self.read(column, lambda text, task=task: own.label(task, text, self.said.words))
            if vector:
                middle = self.said.middle if task == "sentiment_score" else 0.0
                found[task] = tuple(score - middle for score in vector)
        return found

    def _native(self, *, bare: bool) -> dict[str, str | float]:
        """Return what the table says beside our columns, and the words of labels as they stand."""
        kept = {*tasks_of(self.columns, self.said), *(() if bare else ("recording",))}
        ours = {header for column, header in self.columns.items() if column not in kept}
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
    names = [name if not is_ours(plain_name(name)) else plain_name(name) for name in heads[mark] if name.strip()]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ManifestError(f"{where}: column {twice[0]!r} stands twice in its head")
    rows = rows_of(text, where, (), mark)
    return heads[mark], rows


def _check_media(columns: Mapping[str, str], media: Media, where: Path) -> None:
    """Refuse a table that would leave all media aside, unless it holds words."""
    if media.unnamed and columns.keys().isdisjoint((*MEDIA, "text")):
        raise ManifestError(
            f"{where}: no column path, audio or video, but media lie there, as {next(iter(media.unnamed))}; it has "
            f"{', '.join(columns.values())}. Say which with columns=path=YOURS, or table={NO_TABLE} if this is not the "
            "table of the clips; where only features are meant, move it to a folder of its own"
        )


def _holds(table: str, medium: str) -> bool:
    folder = table.rpartition("/")[0]
    return not folder or medium.startswith(f"{folder}/")


def _sex(text: str) -> Literal["f", "m"] | None:
    if text.lower() not in SEXES:
        raise ValueError(f"expected f, m, female, male or nothing, got {text!r}")
    return SEXES[text.lower()]
