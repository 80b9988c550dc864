"""Where windows lie and which frames fall into them: pure, half-open, exact.

Time is a `Fraction` of a second from the clip's start; a float would put frames into the wrong slot.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from features import Grid

Span = tuple[Fraction, Fraction]


def spans(duration_s: Fraction, grid: Grid) -> list[Span]:
    """Cut [0, duration) into the windows of a grid.

    A clip no longer than a window is one window. Longer: windows start at every step, cutting stops at the first
    window that reaches the end, and a tail counts as that window when it is long enough.
    """
    if duration_s <= 0:
        return []
    if grid.form != "windows" or duration_s <= grid.length_s:
        return [(Fraction(0), duration_s)]
    found: list[Span] = []
    start_s = Fraction(0)
    while not found or found[-1][1] < duration_s:
        end_s = min(start_s + grid.length_s, duration_s)
        if end_s - start_s < grid.min_tail_s or start_s >= duration_s:
            break
        found.append((start_s, end_s))
        start_s += grid.step_s
    return found


@dataclass(frozen=True)
class Slots:
    """Which frame fills each slot of a window: indices into the frames, and how many slots had none of their own."""

    frames: tuple[int, ...]
    repeated: int


def slot_of(time_s: Fraction, fps: int) -> int:
    """Return the slot of a clip that a moment belongs to."""
    return math.floor(time_s * fps)


def slots(times_s: Sequence[Fraction], span: Span, fps: int) -> Slots:
    """Fill slot k of a span with the first frame in [start + k/fps, start + (k+1)/fps); an empty one repeats.

    `times_s` rises. A slot before the first frame takes that first frame. Slots of a window are slots of the clip, so a
    span that begins with an empty one repeats what the slot before it shows, not whatever frame came last.
    """
    if not times_s:
        return Slots((), 0)
    start_s, end_s = span
    count = max(1, math.ceil((end_s - start_s) * fps))
    chosen: list[int] = []
    repeated = 0
    for k in range(count):
        first = bisect_left(times_s, start_s + Fraction(k, fps))
        if first < len(times_s) and times_s[first] < min(start_s + Fraction(k + 1, fps), end_s):
            chosen.append(first)
        else:
            chosen.append(chosen[-1] if chosen else _shown_before(times_s, first, fps))
            repeated += 1
    return Slots(tuple(chosen), repeated)


def spread(taken: Sequence[int], count: int) -> Slots:
    """Fill slots 0 to `count` with the frames that began them, `taken` in rising order; an empty one repeats."""
    frames = [max(0, bisect_right(taken, k) - 1) for k in range(count)] if taken else []
    return Slots(tuple(frames), count - len(taken) if taken else 0)


def _shown_before(times_s: Sequence[Fraction], first: int, fps: int) -> int:
    return bisect_left(times_s, Fraction(slot_of(times_s[first - 1], fps), fps)) if first else 0


def share(steps: int, span: Span, length_s: Fraction) -> int:
    """Return how many of a window's steps rest on real input when the span fills only part of its length."""
    if not length_s:
        return steps
    return min(steps, math.ceil(steps * (span[1] - span[0]) / length_s))


def samples(span: Span, rate_hz: int) -> tuple[int, int]:
    """Return the half-open range of samples of a span."""
    return round(span[0] * rate_hz), round(span[1] * rate_hz)


def covered_s(duration_s: Fraction, grid: Grid) -> Fraction:
    """Return where the last window ends; however the clip goes on, what lies before is in a window."""
    if grid.form != "windows" or duration_s <= grid.length_s:
        return duration_s
    # Windows start every step for as long as the tail is long enough and none before has reached the end.
    begun = math.ceil(duration_s / grid.step_s) - 1
    long_enough = math.floor((duration_s - grid.min_tail_s) / grid.step_s)
    needed = math.ceil((duration_s - grid.length_s) / grid.step_s)
    return min(min(begun, long_enough, needed) * grid.step_s + grid.length_s, duration_s)
