"""Notes of the runs that fill a corpus, beside its entries: whoever sees the cache sees their progress."""

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from features.disk import beside, make_folder
from features.roots import corpus_folder, roots

FOLDER = ".runs"
SILENT_S = 60.0
"""A run that has noted nothing for so long is taken for dead."""


@dataclass(frozen=True)
class Run:
    """How far a run has come, by its own newest note. Times are seconds since 1970."""

    id: str
    began: float
    noted: float
    wanted: Mapping[str, int]
    """Entry to the clips that the run set out to compute."""
    clips: int
    done: int = 0
    failed: int = 0
    media_s: float = 0.0
    ended: bool = False

    @property
    def state(self) -> str:
        """Return whether the run goes on, as far as its notes tell."""
        if self.ended:
            return "ended"
        silent_s = time.time() - self.noted
        return "running" if silent_s < SILENT_S else f"no sign of life for {silent_s / 60:.0f} min"

    @property
    def left_s(self) -> float | None:
        """Return how long the rest will take at the speed so far."""
        return (self.noted - self.began) / self.done * (self.clips - self.done) if self.done else None


def note(corpus: str, run: Run) -> None:
    """Replace the note of a run; where none can be written, the run goes on without."""
    with contextlib.suppress(OSError):
        folder = corpus_folder(corpus) / FOLDER
        make_folder(folder)
        with beside(folder / f"{run.id}.json") as temporary:
            temporary.write_text(json.dumps(asdict(run)), encoding="utf-8")


def noted(corpus: str) -> list[Run]:
    """Return every run that left a note, the oldest first."""
    found = []
    paths = (path for each in roots() for path in (each / corpus / FOLDER).glob("*.json"))
    for path in paths:
        with contextlib.suppress(OSError, ValueError, TypeError):  # somebody else's file, or one just removed
            found.append(Run(**json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda run: run.began)


def forget(corpus: str) -> None:
    """Remove the notes of runs that have ended, or died."""
    for run in noted(corpus):
        if run.state != "running":
            (corpus_folder(corpus) / FOLDER / f"{run.id}.json").unlink(missing_ok=True)
