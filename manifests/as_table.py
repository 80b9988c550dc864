"""A manifest as a table with a row per clip: what `CORPUS=folder` reads back, and exports take their labels from.

`recording` is the path of a clip's sound, else of its picture, below the corpus' root and without its suffix; `start`
and `end` are seconds in that file, blank where the clip is all of it. Of a clip that came without media they say what
it was cut from. No reader follows them unless told to, so that the table is as good where no media are.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

from manifests import beside
from manifests.clip import Clip, ManifestError
from manifests.corpora import _own as own
from manifests.corpora._own_head import LABELS
from manifests.corpora._own_table import CUT, MISSING
from manifests.labels import TASKS, Task, Vector, one_hot
from manifests.licence import Part, may_share, name_of
from manifests.shelf import Manifest

HEAD = tuple("id split speaker sex language dialogue turn recording start end".split())
"""Every such table begins with these, whatever a corpus has to say there."""
TOLD = {task: task if task in LABELS else f"label.{task}" for task in TASKS}
"""Which column tells a task."""
COLUMNS = (*HEAD, *TOLD.values(), "text", "licence", "label_kind")
HEAD_CHARACTERS = 1 << 16


def table_of(manifest: Manifest, *, with_text: bool = False) -> str:
    """Return the table; words that their licence keeps in the lab are left out unless asked for."""
    rows = [_row(clip, with_text=with_text) for clip in manifest.clips]
    told = {*HEAD, *(column for row in rows for column in row)}
    if len({row.get("licence") for row in rows}) < 2:  # then whoever reads the table says it once
        told -= {"licence"}
    file = io.StringIO()
    writer = csv.DictWriter(file, [column for column in COLUMNS if column in told], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def write(table: str, target: Path) -> None:
    """Write a table whole, over an older one at most."""
    if target.exists() and not _is_table(target):
        raise ManifestError(
            f"{target}: expected no file, or a table that begins with {','.join(HEAD)}; got something else. "
            "Name another file, or move this one away"
        )
    beside.replace(target.resolve(), table)


def withheld(manifest: Manifest, *, with_text: bool = False) -> Iterator[str]:
    """Say what licences keep in the lab: what the table is without, and what it holds all the same."""
    if texts := _kept((clip for clip in manifest.clips if clip.text), "transcript"):
        has, but = ("with", "") if with_text else ("without", "; --with-text writes them")
        yield f"{has} the words of {texts} clips, which their licence keeps in the lab{but}"
    if labels := _kept((clip for clip in manifest.clips if clip.labels), "labels"):
        yield f"with the labels of {labels} clips, which their licence keeps in the lab: keep the table there, too"


def _kept(clips: Iterable[Clip], part: Part) -> int:
    return sum(not may_share(clip.licence, part) for clip in clips)


def _row(clip: Clip, *, with_text: bool) -> dict[str, str]:
    """Return the cells of a clip that say anything."""
    cells = {
        "id": clip.id,
        "split": clip.split,
        "speaker": clip.speaker_id,
        "sex": clip.sex,
        "language": clip.language,
        "dialogue": clip.dialogue_id,
        "turn": clip.utt_index,
        **_place(clip),
        **{TOLD[task]: _label(TASKS[task], vector) for task, vector in clip.labels.items()},
        "text": clip.text if with_text or may_share(clip.licence, "transcript") else None,
        "licence": name_of(clip.licence),  # what may be shared under it no table grants
        "label_kind": clip.label_kind if clip.label_kind != own.Said.label_kind else None,
    }
    return {column: str(value) for column, value in cells.items() if value not in (None, "")}


def _place(clip: Clip) -> dict[str, str | None]:
    """Return where a clip lies: in its file, or in what it was cut from where it came without one."""
    stream = clip.audio or clip.video
    if stream is None:
        if not MISSING.isdisjoint(clip.flags):
            return {}
        told = zip(("recording", "start", "end"), map(clip.native.get, ("cut_from", *CUT)), strict=True)
        return {column: cut if cut is None or isinstance(cut, str) else _exact(cut) for column, cut in told}
    start_s = max(0.0, stream.start_s + stream.offset_s)
    whole = stream.end_s is None and not start_s
    return {
        "recording": own.stem_of(stream.path),
        "start": None if whole else _exact(start_s),
        "end": None if stream.end_s is None else _exact(stream.end_s + stream.offset_s),
    }


def _label(task: Task, vector: Vector) -> str:
    """Write a label so that the same is read: a word, words, or numbers where raters disagreed or gave them."""
    if task.kind == "multi":
        return "|".join(name for name, there in zip(task.classes, vector, strict=True) if there) or "neutral"
    word = task.classes[vector.index(max(vector))]
    if task.kind == "class" and vector == one_hot(task.name, word):
        return word
    return " ".join(map(_exact, vector))


def _exact(number: float) -> str:
    """Write a number in plain digits, as many as it takes to read the same one back."""
    return f"{Decimal(repr(float(number))):f}"


def _is_table(file: Path) -> bool:
    """Tell what this module wrote by its head, which nobody has added a column to."""
    if not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace", newline="") as opened:
        columns = opened.readline(HEAD_CHARACTERS).rstrip("\r\n").split(",")
    return tuple(columns[: len(HEAD)]) == HEAD and set(columns) <= set(COLUMNS)
