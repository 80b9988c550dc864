"""What a run says of new clips as a page to look at: the answers, a time line of each recording, how it was found."""

from collections import Counter
from collections.abc import Iterator, Sequence

from fuse.pages import page, timeline
from fuse.pages.page import Section
from fuse.pages.timeline import Piece
from fuse.prediction import Answer, Scored
from fuse.prediction_files import Prediction, file_of, starts_s
from manifests.labels import TASKS

MOST_DRAWN = 24


def render(prediction: Prediction) -> str:
    """Return the page."""
    run, recordings = prediction.trained, _recordings(prediction)
    title = (
        f"{next(iter(recordings)) if len(recordings) == 1 else f'{len(recordings)} recordings'}, by {run.recipe.name}"
    )
    models = f"{len(run.weights)} models" if len(run.weights) > 1 else "one model"
    head = page.paragraph(
        f"{prediction.found.media_s:.1f} seconds of media, scored by {models} of {run.folder.name}, trained on "
        f"{', '.join(run.recipe.corpora)}. Shares are what a model gives each class; none is a measured probability.",
        "lead",
    ) + "".join(page.paragraph(note, "note") for note in prediction.notes)
    sections = [
        Section("Answers", "".join(_answers(prediction, task) for task in run.recipe.tasks)),
        Section("Time lines", "".join(_timelines(prediction, recordings))),
        Section("How long it took", _times(prediction)),
        Section("How it was found", _found(prediction)),
    ]
    return page.document(title, head, sections)


def _recordings(prediction: Prediction) -> dict[str, list[Scored]]:
    found: dict[str, list[Scored]] = {}
    for scored in prediction.scored:
        found.setdefault(file_of(scored), []).append(scored)
    return found


def _answers(prediction: Prediction, task: str) -> str:
    heads, rows = _heads(task), list[list[str]]()
    for scored in prediction.scored:
        rows += [[scored.clip.id, voice, *_cells(by[task])] for voice, by in scored.whole.items() if task in by]
        rows += [[scored.clip.id, f"{m} (missing)", *[""] * len(heads)] for m in scored.missing]
    spread = " \N{PLUS-MINUS SIGN} the standard deviation over models" if len(prediction.trained.weights) > 1 else ""
    caption = f"{task}: shares in percent{spread}" if TASKS[task].kind != "score" else f"{task}{spread}"
    return page.table(["clip", "voice", *heads], rows, 1 + _words(task), caption=caption)


def _cells(answer: Answer) -> list[str]:
    score = TASKS[answer.task].kind == "score"
    factor, form = (1, "{:.2f}") if score else (100, "{:.0f}")
    spreads: Sequence[float | None] = (
        [None] * len(answer.mean) if answer.spread is None else [float(x) for x in answer.spread]
    )
    shown = [
        form.format(factor * mean) + ("" if spread is None else f" \N{PLUS-MINUS SIGN} {form.format(factor * spread)}")
        for mean, spread in zip(answer.mean, spreads, strict=True)
    ]
    return shown if score else [str(answer.said), *shown]


def _heads(task: str) -> list[str]:
    return ["score"] if TASKS[task].kind == "score" else ["said", *TASKS[task].classes]


def _words(task: str) -> int:
    """Count the columns of words from the voice on: what is said is a word, unless it is a score."""
    return 1 if TASKS[task].kind == "score" else 2


def _timelines(prediction: Prediction, recordings: dict[str, list[Scored]]) -> Iterator[str]:
    for name, clips in list(recordings.items())[:MOST_DRAWN]:
        pieces = [Piece(starts_s(one), one, prediction.backdrops[one.clip.id]) for one in clips]
        yield f"<h3>{page.text(name)}</h3>"
        words = " ".join(filter(None, (one.clip.text for one in clips)))
        if words:
            source = next(one.clip.text_source for one in clips if one.clip.text)
            yield page.paragraph(f"\N{LEFT DOUBLE QUOTATION MARK}{words}\N{RIGHT DOUBLE QUOTATION MARK} ({source})")
        yield from (page.paragraph(one, "soft") for one in _missing(clips))
        for task in prediction.classes:
            drawn = timeline.drawn(f"{task} of {name}", pieces, task)
            yield page.figure(task, "What each voice says of each window alone, drawn at its middle.", drawn)
        yield page.folded("Every window in numbers", "".join(_windows(clips, task) for task in prediction.classes))
    if len(recordings) > MOST_DRAWN:
        yield page.paragraph(f"{len(recordings) - MOST_DRAWN} recordings more stand in prediction.csv.")


def _missing(clips: Sequence[Scored]) -> Iterator[str]:
    """Say what the pieces of a recording are without, and how many of them."""
    found = Counter((modality, why) for one in clips for modality, why in one.missing.items())
    for (modality, why), count in found.items():
        yield f"Without {modality}{'' if count == len(clips) else f' in {count} of {len(clips)} pieces'}: {why}."


def _windows(clips: Sequence[Scored], task: str) -> str:
    rows = [
        [f"{starts_s(one) + window.start_s:.1f}", f"{starts_s(one) + window.end_s:.1f}", voice, *_cells(by[task])]
        for one in clips
        for window in one.windows
        for voice, by in window.answers.items()
        if task in by
    ]
    caption = f"{task}, each window alone"
    return page.table(["from s", "to s", "voice", *_heads(task)], rows, 2 + _words(task), caption=caption)


def _times(prediction: Prediction) -> str:
    rows = [
        [stage, f"{took_s:.2f}", "" if factor is None else f"{factor:.3f}"]
        for stage, (took_s, factor) in prediction.speeds.items()
    ]
    words = "Below 1 is faster than the recording lasts. What encoders and the decoder took is part of extract."
    heads = ["stage", "seconds", "a second of media"]
    return page.paragraph(f"{words} {prediction.beside}".strip()) + page.table(
        heads, rows, 1, caption="Seconds of work"
    )


def _found(prediction: Prediction) -> str:
    run = prediction.trained
    rows = [["run", run.folder.name], ["model", run.recipe.model]]
    rows += [[m, ", ".join(folder.name for folder in folders)] for m, folders in run.entries.items()]
    rows += [[file, f"not scored: {why}"] for file, why in prediction.found.unreadable.items()]
    return page.paragraph(prediction.how) + page.table(["what", "which"], rows, 2, caption="By what")
