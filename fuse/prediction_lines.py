"""What a run says of new clips, in lines for a terminal."""

from collections.abc import Iterator

from fuse.prediction import FUSION, Answer, Scored
from fuse.prediction_files import Prediction
from manifests.labels import TASKS

MOST_CLIPS = 20


def lines(prediction: Prediction) -> Iterator[str]:
    """Say what the fused model and every other voice say of each clip, how long it took, and what to know."""
    for scored in prediction.scored[:MOST_CLIPS]:
        yield ""
        yield from _clip(scored)
    if len(prediction.scored) > MOST_CLIPS:
        yield f"and {len(prediction.scored) - MOST_CLIPS} clips more, in the files"
    yield f"\n{prediction.found.media_s:.1f} s of media; seconds of work for each second of media:"
    for stage, (took_s, factor) in prediction.speeds.items():
        yield f"  {stage:24} {took_s:8.2f} s" + ("" if factor is None else f" {factor:8.2f}")
    if prediction.beside:
        yield f"  {prediction.beside}"
    yield from (f"note: {note}" for note in prediction.notes)
    yield from (f"not scored: {file}: {reason}" for file, reason in prediction.found.unreadable.items())


def _clip(scored: Scored) -> Iterator[str]:
    yield f"{scored.clip.id}: {len(scored.windows)} windows"
    for voice, by in scored.whole.items():
        yield f"  {voice:14} " + "   ".join(f"{task} {_said(one)}" for task, one in by.items())
    yield from (f"  without {modality}: {why}" for modality, why in scored.missing.items())
    if not scored.whole:
        yield f"  nothing is left that {FUSION} could be asked with"


def _said(answer: Answer) -> str:
    """Return an answer with the share of what it is, and how far seeds and folds are apart there."""
    if TASKS[answer.task].kind == "score":
        spread = "" if answer.spread is None else f" \N{PLUS-MINUS SIGN} {answer.spread[0]:.2f}"
        return f"{answer.mean[0]:.2f}{spread}"
    best = int(answer.mean.argmax())
    spread = "" if answer.spread is None else f" \N{PLUS-MINUS SIGN} {100 * answer.spread[best]:.0f}"
    return f"{answer.said} {100 * answer.mean[best]:.0f}{spread} %"
