"""A clip of one's own from file to answer: its manifest, its features, what the run's models say, and three files.

Each stage goes where the ones before have left off: in a place that is kept, what was extracted is not extracted again.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import manifests
from fuse import backdrop, extraction, recordings, trained
from fuse.extraction import ENVELOPE, WHISPER, Order, Times
from fuse.pages import of_prediction
from fuse.prediction import is_text, score
from fuse.prediction_files import Prediction, write
from fuse.recordings import Found, Wish
from fuse.trained import Trained

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Places:
    """Where the media lie, where what is extracted goes, and where the answer goes; by default beside the run."""

    clip: Path
    work: Path | None = None
    """Kept, so that the same command extracts nothing twice; otherwise a place that is removed in the end."""
    out: Path | None = None


def predict(run: Path, places: Places, wish: Wish, tell: Tell) -> tuple[Prediction, Path]:
    """Score media with a finished run; return what was found, and the page that shows it."""
    with tempfile.TemporaryDirectory(prefix="predict-") as spare:
        return _predicted(run, places, wish, Path(spare), tell)


def _predicted(run: Path, places: Places, wish: Wish, spare: Path, tell: Tell) -> tuple[Prediction, Path]:
    times = Times()
    with times.stage("run"):
        known = trained.read(run, spare)
        spoken = known.kept.languages
        wordy = [m for m in known.entries if is_text(known, m)]
        warnings = tuple(_warnings(known))
    language = wish.language or (spoken[0] if len(spoken) == 1 else "en")
    with times.stage("manifest"):
        found = recordings.find(places.clip, Wish(wish.text, language, wish.cut_s))
    with recordings.placed((places.work or spare / "work").absolute(), known.kept.root):
        notes = _extracted(known, found, wordy, times, tell)
        with times.stage("fuse"):
            scored, more = score(known, found)
        trained_on = [folder for folders in known.entries.values() for folder in folders]
        behind = backdrop.read(found.clips, trained_on)
    prediction = Prediction(known, found, scored, behind, times, (*warnings, *notes, *found.notes, *more))
    out = places.out or run / "predictions" / _name(places.clip, wish)
    return prediction, write(prediction, of_prediction.render(prediction), out)


def _extracted(known: Trained, found: Found, wordy: list[str], times: Times, tell: Tell) -> list[str]:
    """Fill the entries of the new clips; return what is to be said of their words."""
    entries = [folder for folders in known.entries.values() for folder in folders]
    wanted = extraction.orders(entries)
    wanted.setdefault(Order("exact", ""), []).append(ENVELOPE)
    with times.stage("extract"):
        manifests.write(found.manifest)
        own = [m for m in wordy if not any(trained.builds_on(folder) for folder in known.entries[m])]
        why = extraction.transcribe(found, times, tell) if own else ""
        manifests.write(found.manifest)
        extraction.extract(wanted, times, tell)
        extraction.refuse_unlike(entries)
    notes = [] if times.encoders else ["Features were in the place that is kept: extraction took no time of its own."]
    return [*notes, *_words(known, found, wordy, own, why or _unheard(times))]


def _words(known: Trained, found: Found, wordy: list[str], own: list[str], why: str) -> Iterator[str]:
    if wordy and not own:
        yield "Words are transcribed as those that the run was trained on."
    if not own:
        return
    heard = [clip.id for clip in found.clips if clip.text_source == WHISPER]
    silent = [clip.id for clip in found.clips if not clip.text]
    if heard:
        yield (
            f"Words of {_few(heard)} are transcribed by {WHISPER}; the run was trained on the transcripts that "
            f"{', '.join(known.recipe.corpora)} came with."
        )
    if silent:
        yield (
            f"Scored without words: {_few(silent)}. Nobody says what is said, and {WHISPER} heard nothing: {why}. "
            f"Say it with TEXT= or with a .txt beside it, or get what transcribes it: make weights ENCODERS={WHISPER}"
        )


def _unheard(times: Times) -> str:
    return "there are no words in it" if WHISPER in times.encoders else "there is no sound, or it was not asked again"


def _few(ids: list[str], most: int = 3) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more


def _warnings(known: Trained) -> Iterator[str]:
    if known.changed:
        yield "Labels or features of its corpus have changed since the run was trained; statistics may be others now."
    if known.recipe.data.random_weights:
        yield "The features are of encoders with random weights. These answers mean nothing; they show that it runs."


def _name(clip: Path, wish: Wish) -> str:
    """Name the answer after the file, and after all that is said of it, so that it replaces no other's."""
    said = f"{clip.resolve()}\n{wish}"
    name = "".join(letter for letter in clip.resolve().stem if letter.isalnum() or letter in "-_.")[:60]
    return f"{name}-{hashlib.sha256(said.encode(errors='surrogateescape')).hexdigest()[:8]}"
