"""Charts inside a page: SVG and tables that are coloured, both to be read by eye, by ear and in print.

Colours are names of the page's style, so that they follow light and dark. Nothing is told by colour alone.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fuse.insight import Bin
from fuse.lines import Role
from fuse.metrics import Counts
from fuse.pages.page import text, wide

WIDTH, HEIGHT = 440, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 430, 10, 218
COLOURS = 7
Kind = Role | Literal["beside"]
"""Whose a bar is."""
GROUPS: Mapping[Kind, str] = {
    "model": "the model",
    "beside": "to compare with",
    "floor": "floors: what it has to beat",
    "part": "parts of it alone",
    "ablation": "without a modality",
    "thinned": "with modalities missing at random",
}
Point = tuple[float, float]
SHAPES = (
    "M-1,0a1,1 0 1 0 2,0a1,1 0 1 0 -2,0z",
    "M0-1.2L1.1.8H-1.1z",
    "M-.9-.9H.9V.9H-.9z",
    "M0-1.3L1.1,0 0,1.3-1.1,0z",
    "M0,1.2L-1.1-.8H1.1z",
    "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4z",
    "M0-.5L.7-1.2 1.2-.7.5,0 1.2.7.7,1.2 0,.5-.7,1.2-1.2.7-.5,0-1.2-.7-.7-1.2z",
)
"""Marks about one unit wide to each side: circle, triangle, square, diamond, triangle, plus, cross."""


@dataclass(frozen=True)
class Scale:
    """Where numbers lie on an axis."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> "Scale":
        """Return an axis that holds all values, with a little room."""
        known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        room = (max(known) - min(known)) * 0.06 or abs(max(known)) * 0.1 or 0.5
        return cls(min(known) - room, max(known) + room, start, end)

    def __call__(self, value: float) -> str:
        """Return where a number lies, as an attribute of a mark."""
        return f"{self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start):.1f}"

    def ticks(self, *, whole: bool = False) -> list[float]:
        """Return round numbers along the axis."""
        rough = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        steps = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
        step = next(power * one for one in steps if power * one >= rough)
        step = max(1.0, step) if whole else step
        return [step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


@dataclass(frozen=True)
class Bar:
    """One line of a bar chart."""

    role: Kind
    name: str
    value: float
    shown: str


@dataclass(frozen=True)
class Curve:
    """One line over epochs; the chosen epoch is marked."""

    name: str
    points: Sequence[Point]
    chosen: float


@dataclass(frozen=True)
class Gap:
    """How far something lies from what it is held against, and between which ends that may lie."""

    name: str
    mean: float
    low: float
    high: float
    shown: str
    clear: bool
    """Whether it is more than chance gives."""


def bars(
    caption: str,
    lines: Sequence[Bar],
    interval: tuple[float, float] | None = None,
    groups: Mapping[Kind, str] = GROUPS,
) -> str:
    """Return bars that begin at zero, the model's first; its interval runs behind all of them as a band."""
    known = [0.0, *(one.value for one in lines), *(interval or ())]
    known = [value for value in known if math.isfinite(value)]
    scale = Scale(min(known), max(known) or 1.0, 0, 1000)
    band = interval if interval and all(map(math.isfinite, interval)) else None
    bodies = []
    for role, said in groups.items():
        rows = "\n".join(_bar(one, scale, band) for one in lines if one.role == role)
        head = f'<tr class="kind"><th scope="rowgroup" colspan="3">{said}</th></tr>'
        bodies += [f"<tbody>{head}\n{rows}</tbody>"] if rows else []
    return f'<table class="bars"><caption>{text(caption)}</caption>{"".join(bodies)}</table>'


def gaps(caption: str, lines: Sequence[Gap], say: Callable[[float], str]) -> str:
    """Return a point for each difference, its interval as a line, and no difference in the middle of all."""
    ends = [abs(value) for one in lines for value in (one.mean, one.low, one.high) if math.isfinite(value)]
    most = 1.05 * max(ends, default=0.0) or 1.0
    rows = "\n".join(_gap(one, Scale(-most, most, 0, 1000)) for one in lines)
    said = f"<span>{text(say(-most))}</span><span>0</span><span>{text(say(most))}</span>"
    foot = f'<tr class="ends"><th></th><td class="track"><div aria-hidden="true">{said}</div></td><td></td></tr>'
    return f'<table class="bars gaps"><caption>{text(caption)}</caption><tbody>{rows}{foot}</tbody></table>'


def curves(title: str, drawn: Sequence[Curve], *, percent: bool) -> str:
    """Return lines over epochs, a colour for each name, and a legend of the names."""
    names = list(dict.fromkeys(one.name for one in drawn))
    points = [(x, y) for one in drawn for x, y in one.points if math.isfinite(y)]
    across = Scale(1, max([2.0, *(x for x, _ in points)]), LEFT, RIGHT)
    up = Scale.over([y for _, y in points], BOTTOM, TOP)
    marks = [_axes(across, up, "epoch", percent=percent, whole=True)]
    marks += [_curve(one, across, up, names.index(one.name) % COLOURS + 1) for one in drawn]
    times = len(drawn) // max(1, len(names))
    desc = f"{', '.join(names)} over {across.high:.0f} epochs, {times} lines each; a ring marks the chosen epoch."
    return svg(title, desc, "".join(marks)) + _legend(names)


def decline(
    title: str, label: str, points: Sequence[tuple[float, float, float]], level: float, *, percent: bool
) -> str:
    """Return a line over a share that grows from a ring at none, each point with its spread, above a dashed level."""
    known = [one for one in points if math.isfinite(one[1])]
    ends = [y + side * spread for _, y, spread in known for side in (-1, 1)]
    across = Scale(0, 1.03 * max([0.1, *(x for x, _, _ in points)]), LEFT, RIGHT)
    up = Scale.over([*ends, level], BOTTOM, TOP)
    marks = [_axes(across, up, label, percent=percent)]
    if math.isfinite(level):
        height = up(level)
        marks.append(f'<line class="ideal" x1="{LEFT}" y1="{height}" x2="{RIGHT}" y2="{height}"/>')
        marks.append(f'<text x="{RIGHT}" y="{float(height) - 5:.1f}" text-anchor="end">majority</text>')
    for x, y, spread in known:
        place = f'x1="{across(x)}" x2="{across(x)}" y1="{up(y - spread)}" y2="{up(y + spread)}"'
        marks += [f'<line class="whisker" {place}/>'] if spread else []
        marks.append(f'<circle class="dot s1" cx="{across(x)}" cy="{up(y)}" r="3"/>')
    marks.append(_curve(Curve("", [(x, y) for x, y, _ in points], 0.0), across, up, 1))
    said = "; ".join(f"{_number(y, percent=percent)} at {x:.0%}" for x, y, _ in points)
    return svg(title, f"{said}; the majority has {_number(level, percent=percent)}.", "".join(marks))


def scatter(
    title: str, points: Sequence[Point], kinds: Sequence[int], names: Sequence[str], clips: Sequence[str]
) -> str:
    """Return clips in the plane, each kind with a colour and a shape of its own; a kind below zero is a faint speck."""
    bottom = HEIGHT + 90
    across = Scale.over([x for x, _ in points], 6, WIDTH - 6)
    up = Scale.over([y for _, y in points], bottom - 6, 6)
    size = 4.2 if len(points) < 300 else 3.0
    marks = [f'<rect class="frame" x="0.5" y="0.5" width="{WIDTH - 1}" height="{bottom - 1}"/>']
    for (x, y), kind, clip in sorted(zip(points, kinds, clips, strict=True), key=lambda one: one[1] >= 0):
        said = f"{clip}: {names[kind] if kind >= 0 else 'no label'}"
        place = f'transform="translate({across(x)} {up(y)})scale({size if kind >= 0 else 1.5})"'
        marks.append(f'<path class="{_colour(kind)}" {place} d="{_shape(kind)}"><title>{text(said)}</title></path>')
    counts = [sum(kind == number for kind in kinds) for number in range(len(names))]
    said = "; ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True) if count)
    return svg(title, f"Clips: {said}.", "".join(marks), bottom) + _kinds(names, counts)


def dots(title: str, rows: Mapping[str, Sequence[float]], *, percent: bool) -> str:
    """Return a row of dots for each name, and the mean of each as an upright line."""
    space = max(map(len, rows), default=0) * 6.5 + 16
    left, bottom = min(space, 150.0), 14 + 30 * len(rows)
    across = Scale.over([value for values in rows.values() for value in values], left, RIGHT)
    marks = [_grid_across(across, 4, bottom, percent=percent)]
    for number, (name, values) in enumerate(rows.items()):
        y, known = 24 + 30 * number, [value for value in values if math.isfinite(value)]
        marks.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{text(_short(name))}</text>')
        marks += [f'<circle class="dot s1" cx="{across(value)}" cy="{y}" r="5"/>' for value in known]
        if known:
            x = across(float(np.mean(known)))
            marks.append(f'<line class="mean" x1="{x}" x2="{x}" y1="{y - 11}" y2="{y + 11}"/>')
    each = {name: ", ".join(_number(value, percent=percent) for value in one) for name, one in rows.items()}
    said = "; ".join(f"{name} {numbers}" for name, numbers in each.items())
    return svg(title, f"{said}.", "".join(marks), bottom + 26)


def reliability(title: str, bins: Sequence[Bin | None]) -> str:
    """Return for each tenth of the greatest share how many clips are right, beside what that share promises."""
    across, up = Scale(0, 1, LEFT, RIGHT), Scale(0, 1, BOTTOM, TOP)
    most = max((one.clips for one in bins if one), default=1)
    marks = [_axes(across, up, "greatest share", percent=True)]
    for number, one in enumerate(bins):
        if one:
            left, width = LEFT + number * 38.2 + 2, 34.2
            tall, few = (BOTTOM - TOP) * one.right, 26 * one.clips / most
            place = f'x="{left:.1f}" width="{width}"'
            marks.append(f'<rect class="faint" {place} y="{TOP}" height="{few:.1f}"/>')
            marks.append(f'<rect class="bin s1" {place} y="{BOTTOM - tall:.1f}" height="{tall:.1f}"/>')
            marks.append(f'<circle class="ring s2" cx="{across(one.share)}" cy="{up(one.right)}" r="4"/>')
    marks.append(f'<line class="ideal" x1="{LEFT}" y1="{BOTTOM}" x2="{RIGHT}" y2="{TOP}"/>')
    said = "; ".join(f"{one.share:.0%} said, {one.right:.0%} right of {one.clips:,}" for one in bins if one)
    return svg(title, f"{said}.", "".join(marks))


def histogram(title: str, label: str, counts: Sequence[int], edges: Sequence[float], *, percent: bool) -> str:
    """Return how many clips lie in each stretch of an axis."""
    across = Scale(edges[0], edges[-1] if edges[-1] > edges[0] else edges[0] + 1, LEFT, RIGHT)
    up = Scale(0, max([1, *counts]), BOTTOM, TOP)
    marks = [_grid_up(up, percent=False), _axis_across(across, label, percent=percent)]
    for count, start, end in zip(counts, edges, edges[1:], strict=False):
        x, tall = float(across(start)), (BOTTOM - TOP) * count / up.high
        place = f'x="{x:.1f}" y="{BOTTOM - tall:.1f}" width="{max(1.0, float(across(end)) - x - 1):.1f}"'
        marks.append(f'<rect class="bin s1" {place} height="{tall:.1f}"/>')
    said = f"{_number(edges[0], percent=percent)} to {_number(edges[-1], percent=percent)}"
    return svg(title, f"{sum(counts):,} clips from {said}; counts {', '.join(map(str, counts))}.", "".join(marks))


def coverage(caption: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    """Return which share of its clips each corpus has of each encoder; nothing where it has no entry of it."""
    cells = [
        (name, [_cell(0, "") if share is None else _cell(share, f"{math.floor(100 * share)}") for share in shares])
        for name, shares in rows
    ]
    return _heat(caption, "percent", columns, cells)


def heat(caption: str, classes: Sequence[str], counts: Counts) -> str:
    """Return a confusion matrix: true classes down, predicted ones across, each cell with its count and its share."""
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    rows = [
        (f"{name} ({total:,})", [_cell(y, f"{x:,}", f"{y:.0%}") for x, y in zip(row, of, strict=True)])
        for name, total, row, of in zip(classes, counts.sum(axis=1).tolist(), counts.tolist(), shares, strict=True)
    ]
    return _heat(caption, "true (count) \N{RIGHTWARDS ARROW} predicted", classes, rows)


def shares(
    caption: str, names: Sequence[str], values: Sequence[Sequence[float]], columns: Sequence[str] | None = None
) -> str:
    """Return shares between each two of some names, or of names and columns; a dash where one is not defined."""
    rows = [(name, [_share(value) for value in row]) for name, row in zip(names, values, strict=True)]
    return _heat(caption, "in percent", names if columns is None else columns, rows)


def svg(title: str, desc: str, marks: str, height: float = HEIGHT) -> str:
    """Return a picture that says what it shows to those who cannot see it."""
    return (
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH} {height:g}"><title>{text(title)}</title>'
        f"<desc>{text(desc)}</desc>{marks}</svg>"
    )


def _bar(one: Bar, scale: Scale, band: tuple[float, float] | None) -> str:
    marks = []
    if band:
        low, high = map(scale, band)
        marks.append(f'<rect class="band" x="{low}" y="0" width="{float(high) - float(low):.1f}" height="20"/>')
    if math.isfinite(one.value):
        start, end = sorted((float(scale(0)), float(scale(one.value))))
        marks.append(f'<rect class="fill-{one.role}" x="{start}" y="3" width="{end - start:.1f}" height="14"/>')
    if band and one.role == "model":
        ends = ((low, low, 6, 14), (high, high, 6, 14), (low, high, 10, 10))
        line = '<line class="whisker" vector-effect="non-scaling-stroke" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        marks += [line.format(*end) for end in ends]
    return _track(one.role, one.name, marks, one.shown)


def _gap(one: Gap, scale: Scale) -> str:
    line = '<line class="{}" vector-effect="non-scaling-stroke" x1="{}" x2="{}" y1="{}" y2="{}"/>'
    marks = [line.format("ideal", scale(0), scale(0), 0, 20)]
    if math.isfinite(one.low) and math.isfinite(one.high):
        low, high = scale(one.low), scale(one.high)
        ends = ((low, high, 10, 10), (low, low, 6, 14), (high, high, 6, 14))
        marks += [line.format("whisker", *end) for end in ends]
    if math.isfinite(one.mean):
        kind = "model" if one.clear else "floor"
        marks.append(f'<rect class="fill-{kind}" x="{float(scale(one.mean)) - 9:.1f}" y="4" width="18" height="12"/>')
    return _track("model" if one.clear else "beside", one.name, marks, one.shown)


def _track(kind: str, name: str, marks: Sequence[str], shown: str) -> str:
    drawn = f'<svg viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true">{"".join(marks)}</svg>'
    return (
        f'<tr class="{kind}"><th scope="row" title="{text(name)}">{text(name)}</th>'
        f'<td class="track">{drawn}</td><td>{text(shown)}</td></tr>'
    )


def _curve(one: Curve, across: Scale, up: Scale, colour: int) -> str:
    """Draw a line, with a gap where a number is not finite, and a ring at the chosen epoch."""
    pieces: list[list[str]] = [[]]
    for x, y in one.points:
        if math.isfinite(y):
            pieces[-1].append(f"{across(x)},{up(y)}")
        elif pieces[-1]:
            pieces.append([])
    lines = "".join(f'<polyline class="s{colour}" points="{" ".join(piece)}"/>' for piece in pieces if piece)
    ring = [
        f'<circle class="ring s{colour}" cx="{across(x)}" cy="{up(y)}" r="3.5"/>'
        for x, y in one.points
        if x == one.chosen and math.isfinite(y)
    ]
    return lines + "".join(ring)


def _axes(across: Scale, up: Scale, label: str, *, percent: bool, whole: bool = False) -> str:
    return _grid_up(up, percent=percent) + _axis_across(across, label, percent=percent, whole=whole)


def _grid_up(up: Scale, *, percent: bool) -> str:
    marks = []
    for tick in up.ticks():
        y = up(tick)
        marks.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}"/>')
        said = _number(tick, percent=percent)
        marks.append(f'<text x="{LEFT - 7}" y="{float(y) + 4:.1f}" text-anchor="end">{said}</text>')
    return "".join(marks)


def _axis_across(across: Scale, label: str, *, percent: bool, whole: bool = False) -> str:
    marks = []
    for tick in across.ticks(whole=whole):
        said = f"{tick:g}" if whole else _number(tick, percent=percent)
        marks.append(f'<text x="{across(tick)}" y="{BOTTOM + 18}" text-anchor="middle">{said}</text>')
    marks.append(f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}"/>')
    marks.append(f'<text x="{RIGHT}" y="{BOTTOM + 36}" text-anchor="end">{label}</text>')
    return "".join(marks)


def _grid_across(across: Scale, top: float, bottom: float, *, percent: bool) -> str:
    marks = []
    for tick in across.ticks():
        x = across(tick)
        marks.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>')
        marks.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{_number(tick, percent=percent)}</text>')
    return "".join(marks)


def _heat(caption: str, corner: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    named = "".join(f'<th scope="col">{text(name)}</th>' for name in heads)
    body = "\n".join(f'<tr><th scope="row">{text(name)}</th>{"".join(cells)}</tr>' for name, cells in rows)
    return wide(
        f'<table class="heat"><caption>{text(caption)}</caption><thead><tr><th scope="col">{corner}</th>{named}</tr>'
        f"</thead>\n<tbody>\n{body}\n</tbody></table>",
        caption,
    )


def _cell(share: float, shown: str, below: str = "") -> str:
    kind = "" if share else ' class="none"'
    small = f"<small>{below}</small>" if below and share else ""
    return f'<td{kind} style="--s:{share:.2f}">{shown}{small}</td>'


def _share(value: float) -> str:
    return _cell(value, f"{100 * value:.1f}") if math.isfinite(value) else _cell(0, "\N{EN DASH}")


def _colour(kind: int) -> str:
    return f"dot s{kind % COLOURS + 1}" if kind >= 0 else "faint"


def _shape(kind: int) -> str:
    """Return a mark; beyond seven kinds, colours come again with other marks."""
    return SHAPES[(kind + kind // COLOURS) % len(SHAPES)] if kind >= 0 else SHAPES[0]


def _kinds(names: Sequence[str], counts: Sequence[int]) -> str:
    icon = '<svg viewBox="-1.3 -1.3 2.6 2.6" aria-hidden="true"><path class="{}" d="{}"/></svg>'
    items = [
        f"<li>{icon.format(_colour(kind), _shape(kind))}{text(name)} ({count:,})</li>"
        for kind, (name, count) in enumerate(zip(names, counts, strict=True))
        if count
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _legend(names: Sequence[str]) -> str:
    items: Iterator[str] = (f'<li class="s{i % COLOURS + 1}"><i></i>{text(name)}</li>' for i, name in enumerate(names))
    return f'<ul class="legend">{"".join(items)}<li>\N{WHITE CIRCLE} chosen epoch</li></ul>'


def _number(value: float, *, percent: bool) -> str:
    if not math.isfinite(value):
        return "\N{EN DASH}"
    return f"{100 * value:.3g} %" if percent else f"{value:.3g}"


def _short(name: str, most: int = 20) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
