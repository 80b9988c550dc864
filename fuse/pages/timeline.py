"""A recording over time as a picture: how loud it is, when a face is there, and what each voice says at each moment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fuse.backdrop import STEP_S, Backdrop
from fuse.pages.page import text, wide
from fuse.prediction import Answer, Answers, Scored
from manifests.labels import TASKS

WIDTH, LEFT, RIGHT = 880, 110, 856
WAVE, STRIP, ROW, GAP = 44, 8, 76, 14
COLUMNS = 746
"""Of the wave form."""
COLOURS = 7


@dataclass(frozen=True)
class Piece:
    """One clip, and when it begins in its recording."""

    start_s: float
    scored: Scored
    behind: Backdrop

    @property
    def end_s(self) -> float:
        """Return when it ends, as far as anything tells."""
        windows = [one.end_s for one in self.scored.windows]
        known = [self.scored.clip.duration_s or 0.0, STEP_S * len(self.behind.loudness), *(windows or [0.0])]
        return self.start_s + (known[0] or max(known))


@dataclass(frozen=True)
class _Time:
    """Where seconds lie across the picture."""

    start_s: float
    end_s: float

    def __call__(self, at_s: float) -> float:
        share = (min(at_s, self.end_s) - self.start_s) / max(self.end_s - self.start_s, 1e-9)
        return round(LEFT + share * (RIGHT - LEFT), 1)


def drawn(title: str, pieces: Sequence[Piece], task: str) -> str:
    """Return the time line of one recording for one task, with a legend of the classes."""
    across = _Time(pieces[0].start_s, max(piece.end_s for piece in pieces))
    marks, y = [], 4.0
    if any(piece.behind.loudness for piece in pieces):
        marks += [_named("sound", y + WAVE / 2 + 4), _wave(pieces, across, y)]
        y += WAVE + GAP
    if any(piece.behind.faces_s is not None for piece in pieces):
        marks += [_named("a face", y + STRIP), *_faces(pieces, across, y)]
        y += STRIP + GAP
    for voice in dict.fromkeys(voice for piece in pieces for voice in piece.scored.whole):
        marks += _voice(voice, pieces, task, across, y)
        y += ROW + GAP
    marks += _seconds(across, y)
    picture = (
        f'<svg class="plot" style="min-width: 40rem; max-width: none" role="img" viewBox="0 0 {WIDTH} {y + 22:g}">'
        f"<title>{text(title)}</title><desc>{text(_told(pieces, task))}</desc>{''.join(marks)}</svg>"
    )
    names = TASKS[task].classes if TASKS[task].kind != "score" else (task,)
    items = "".join(f'<li class="s{i % COLOURS + 1}"><i></i>{text(name)}</li>' for i, name in enumerate(names))
    return wide(picture, title) + f'<ul class="legend" style="margin-bottom: 1.5rem">{items}</ul>'


def _wave(pieces: Sequence[Piece], across: _Time, top: float) -> str:
    """Draw the greatest amplitude of each column, above and below a middle, as one outline."""
    loudest = max(max(piece.behind.loudness, default=0.0) for piece in pieces) or 1.0
    heights: dict[int, float] = {}
    for piece in pieces:
        for i, value in enumerate(piece.behind.loudness):
            column = int((across(piece.start_s + i * STEP_S) - LEFT) * COLUMNS / (RIGHT - LEFT))
            heights[column] = max(heights.get(column, 0.0), value / loudest)
    middle, half = top + WAVE / 2, WAVE / 2
    points = [(LEFT + c * (RIGHT - LEFT) / COLUMNS, h) for c, h in sorted(heights.items())]
    outline = [f"{x:.1f},{middle - h * half:.1f}" for x, h in points]
    outline += [f"{x:.1f},{middle + h * half:.1f}" for x, h in reversed(points)]
    return f'<polygon class="faint" points="{" ".join(outline)}"/>'


def _faces(pieces: Sequence[Piece], across: _Time, top: float) -> Iterator[str]:
    for piece in pieces:
        x, end = across(piece.start_s), across(piece.end_s)
        yield f'<rect class="band" x="{x}" y="{top}" width="{max(0.0, end - x):.1f}" height="{STRIP}"/>'
        for start_s, end_s in piece.behind.faces_s or ():
            x, end = across(piece.start_s + start_s), across(piece.start_s + end_s)
            yield f'<rect class="fill-part" x="{x}" y="{top}" width="{max(0.0, end - x):.1f}" height="{STRIP}"/>'


def _voice(voice: str, pieces: Sequence[Piece], task: str, across: _Time, top: float) -> Iterator[str]:
    """Draw what one voice says: a line for each class, through the middle of each window."""
    lines = [line for piece in pieces for line in _lines(piece, voice, task)]
    values = [value for _, points in lines for _, value in points]
    low, high = min([0.0, *values]), max([0.0, *values]) or 1.0
    bottom = top + ROW
    yield _named(voice, top + ROW / 2 + 4)
    yield _named(_number(high, task), top + 12)
    yield _named(_number(low, task), bottom - 1)
    yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{top}" y2="{top}"/>'
    for number, points in lines:
        drawn = " ".join(f"{across(x)},{bottom - (y - low) / max(high - low, 1e-9) * ROW:.1f}" for x, y in points)
        yield f'<polyline class="s{number % COLOURS + 1}" points="{drawn}"/>'


def _number(value: float, task: str) -> str:
    return f"{value:.2g}" if TASKS[task].kind == "score" else f"{100 * value:.0f} %"


def _lines(piece: Piece, voice: str, task: str) -> list[tuple[int, list[tuple[float, float]]]]:
    """Return for each class its share over time: of windows, or of the whole where none is scored alone."""
    said: list[tuple[float, float, Answer]] = [
        (piece.start_s + one.start_s, piece.start_s + one.end_s, one.answers[voice][task])
        for one in piece.scored.windows
        if task in one.answers.get(voice, {})
    ]
    if not said and task in piece.scored.whole.get(voice, {}):
        said = [(piece.start_s, piece.end_s, piece.scored.whole[voice][task])]
    if not said:
        return []
    times_s = [said[0][0], *((start_s + end_s) / 2 for start_s, end_s, _ in said), said[-1][1]]
    means = np.array([said[0][2].mean, *(one.mean for *_, one in said), said[-1][2].mean])
    return [(k, list(zip(times_s, means[:, k].tolist(), strict=True))) for k in range(means.shape[1])]


def _seconds(across: _Time, top: float) -> Iterator[str]:
    length_s = max(across.end_s - across.start_s, 1e-9)
    step_s = next((s for s in (0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800) if length_s / s <= 12), 3600)
    for number in range(int(length_s / step_s) + 1):
        at_s = across.start_s + number * step_s
        shown = f"{at_s:g} s" if across.end_s < 120 else f"{int(at_s // 60)}:{int(at_s % 60):02}"
        yield f'<text x="{across(at_s)}" y="{top + 12}" text-anchor="middle">{shown}</text>'


def _named(name: str, y: float) -> str:
    return f'<text x="{LEFT - 8}" y="{y:g}" text-anchor="end">{text(name)}</text>'


def _told(pieces: Sequence[Piece], task: str) -> str:
    """Say in words what the picture shows."""
    parts = []
    for voice in dict.fromkeys(voice for piece in pieces for voice in piece.scored.whole):
        said = [str(by[voice][task].said) for piece in pieces for by in _heard(piece) if task in by.get(voice, {})]
        parts.append(f"{voice}: {', '.join(said[:40])}{' and so on' if len(said) > 40 else ''}")
    return ". ".join(parts) + ". Every number stands in the tables."


def _heard(piece: Piece) -> list[Answers]:
    return [one.answers for one in piece.scored.windows] or [piece.scored.whole]
