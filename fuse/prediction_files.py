"""What a run says of new clips, for machines: `prediction.json` holds everything, `prediction.csv` a row per answer."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.disk import beside, make_folder
from fuse.backdrop import Backdrop
from fuse.extraction import WHISPER, Times
from fuse.prediction import Answer, Answers, Scored
from fuse.record import DECIMALS
from fuse.recordings import Found
from fuse.trained import Trained
from manifests.labels import TASKS

COLUMNS = "clip file start_s end_s part voice task said".split()
HOW = (
    "A whole clip is scored as the run scored its test clips. A window is scored as a clip that has this window alone; "
    "words, which lie nowhere in time, are given with every window. A voice is the fused model, a head of its own for "
    "one modality, or, named alone, the fused model given nothing but that modality."
)
PAPER = (
    "Paper 000 states 0.38 on a GeForce RTX 3080 and 0.52 on an Intel i9, with wav2vec 2.0, YOLO, EmoAffectNet, "
    "Whisper's base size and Jina; loading networks, which counts here, is not mentioned there."
)
VOTED = " Where the run lets windows vote, shares of a whole clip are shares of its windows."


@dataclass(frozen=True)
class Prediction:
    """Everything that the three files tell."""

    trained: Trained
    found: Found
    scored: list[Scored]
    backdrops: Mapping[str, Backdrop]
    times: Times
    notes: tuple[str, ...]
    """What a reader must know before believing an answer."""

    @property
    def how(self) -> str:
        """Say how the answers were found."""
        return HOW + (VOTED if self.trained.recipe.data.windows == "vote" else "")

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Return the classes of each task."""
        return {task: TASKS[task].classes for task in self.trained.recipe.tasks}

    @property
    def speeds(self) -> dict[str, tuple[float, float | None]]:
        """Return each stage's seconds, and those per second of media, which is its real-time factor."""
        media_s = self.found.media_s
        return {
            stage: (took_s, took_s / media_s if media_s else None)
            for stage, took_s in {**self.times.stages, "all": sum(self.times.stages.values()), **self._encoders}.items()
        }

    @property
    def beside(self) -> str:
        """Return what real-time factors of others stand beside these, where the same was done."""
        return PAPER if WHISPER in self.times.encoders else ""

    @property
    def _encoders(self) -> dict[str, float]:
        return {f"extract: {name}": took_s for name, took_s in self.times.encoders.items()}


def write(prediction: Prediction, page: str, folder: Path) -> Path:
    """Write all three files, each whole or not at all; return the page, which comes last."""
    make_folder(folder)
    numbers = json.dumps(as_json(prediction), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, text in {"json": numbers, "csv": as_csv(prediction), "html": page}.items():
        with beside(folder / f"prediction.{name}") as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder / "prediction.html"


def as_json(prediction: Prediction) -> dict[str, Any]:
    """Return everything as JSON can hold it."""
    trained, found = prediction.trained, prediction.found
    return {
        "run": trained.folder.name,
        "recipe": trained.recipe.name,
        "model": trained.recipe.model,
        "corpora": trained.recipe.corpora,
        "models": [{"fold": one.fold, "seed": one.seed} for one in trained.weights],
        "features": {m: [folder.name for folder in folders] for m, folders in trained.entries.items()},
        "classes": prediction.classes,
        "how": prediction.how,
        "notes": prediction.notes,
        "media_s": _rounded(found.media_s),
        "stages": {
            name: {"seconds": _rounded(took_s), "real_time_factor": None if factor is None else _rounded(factor)}
            for name, (took_s, factor) in prediction.speeds.items()
        },
        "unreadable": found.unreadable,
        "clips": [_clip(scored, prediction.backdrops[scored.clip.id]) for scored in prediction.scored],
    }


def as_csv(prediction: Prediction) -> str:
    """Return a row for each clip or window, voice and task; texts are quoted, so that an id like `=1` stays a text."""
    names = dict.fromkeys(name for task in prediction.classes for name in _names(task))
    header = [*COLUMNS, *(f"p_{name}" for name in names), *(f"sd_{name}" for name in names)]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, restval="", quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writeheader()
    for scored in prediction.scored:
        writer.writerows(_rows(scored))
    return buffer.getvalue()


def file_of(scored: Scored) -> str:
    """Name the file that a clip lies in."""
    track = scored.clip.video or scored.clip.audio
    return track.path if track else ""


def starts_s(scored: Scored) -> float:
    """Return when a clip begins in its file."""
    track = scored.clip.audio or scored.clip.video
    return track.start_s if track else 0.0


def _clip(scored: Scored, backdrop: Backdrop) -> dict[str, Any]:
    clip = scored.clip
    return {
        "clip": clip.id,
        "file": file_of(scored),
        "start_s": _rounded(starts_s(scored)),
        "duration_s": clip.duration_s,
        "text": clip.text,
        "text_source": clip.text_source,
        "missing": scored.missing,
        "faces": None
        if backdrop.face_share is None
        else {"share": _rounded(backdrop.face_share), "seconds": backdrop.faces_s},
        "whole": _answers(scored.whole),
        "windows": [
            {"start_s": _rounded(one.start_s), "end_s": _rounded(one.end_s), "said": _answers(one.answers)}
            for one in scored.windows
        ],
    }


def _answers(answers: Answers) -> dict[str, Any]:
    return {voice: {task: _answer(one) for task, one in by.items()} for voice, by in answers.items()}


def _answer(answer: Answer) -> dict[str, Any]:
    names = _names(answer.task) or [answer.task]
    spread = None if answer.spread is None else dict(zip(names, map(_rounded, answer.spread), strict=True))
    return {"said": answer.said, "mean": dict(zip(names, map(_rounded, answer.mean), strict=True)), "spread": spread}


def _rows(scored: Scored) -> Iterator[dict[str, Any]]:
    begin_s = starts_s(scored)
    stretches = [("whole", 0.0, scored.clip.duration_s or 0.0, scored.whole)]
    stretches += [("window", one.start_s, one.end_s, one.answers) for one in scored.windows]
    for part, start_s, end_s, answers in stretches:
        where: dict[str, Any] = {"clip": scored.clip.id, "file": file_of(scored), "part": part}
        where |= {"start_s": _rounded(begin_s + start_s), "end_s": _rounded(begin_s + end_s)}
        for voice, by in answers.items():
            for task, one in by.items():
                yield {**where, "voice": voice, "task": task, "said": one.said, **_shares(one)}


def _shares(answer: Answer) -> dict[str, float]:
    names = _names(answer.task)
    found = {f"p_{name}": _rounded(x) for name, x in zip(names, answer.mean, strict=bool(names))}
    if answer.spread is not None:
        found |= {f"sd_{name}": _rounded(x) for name, x in zip(names, answer.spread, strict=bool(names))}
    return found


def _names(task: str) -> tuple[str, ...]:
    """Name the classes that have shares; a score is said itself."""
    return () if TASKS[task].kind == "score" else TASKS[task].classes


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS)
