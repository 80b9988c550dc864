"""The two pictures of a report, as PNG bytes: who was taken for whom, and how training went.

Colours are readable for colour-blind eyes and in grey. Nothing here touches pyplot, so threads and servers are fine.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from fuse.metrics import EXPLAINED

Counts = NDArray[np.int64]
History = Sequence[Mapping[str, float]]

# Okabe and Ito's palette without its yellow, which is too pale for a line.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_GREY = "#8c8c8c"


def confusion(title: str, rows: Sequence[Mapping[str, Counts]], classes: Sequence[str]) -> bytes:
    """Draw one matrix per panel, in rows: counts as numbers, the share of each true class as colour."""
    side, columns = 2.2 + 0.55 * len(classes), max(map(len, rows))
    figure = Figure(figsize=(side * columns + 0.9, (side + 0.2) * len(rows) + 0.2), layout="compressed")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    for line, panels in zip(grid, rows, strict=True):
        for axes, (name, counts) in zip(line, panels.items(), strict=False):
            axes.set_visible(True)
            image = _matrix(axes, counts)
            axes.set_title(name, fontsize=11, parse_math=False)
            _name_classes(axes, classes, counts)
    figure.colorbar(image, ax=list(grid.flat), format=PercentFormatter(1), label="share of the true class", pad=0.03)
    figure.suptitle(title, fontsize=13, parse_math=False)
    return _png(figure)


def curves(title: str, trained: Sequence[tuple[History, int]]) -> bytes:
    """Draw losses and dev scores over epochs, one line per fold and seed; a ring marks the epoch each was scored at."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    keys = dict.fromkeys(key for history, _ in trained for record in history for key in record)
    _lines(left, [key for key in keys if key.endswith("loss")], trained)
    _lines(right, [key for key in keys if key.endswith("score") or key.split()[0] in EXPLAINED], trained)
    left.set(title="Training", ylabel="loss")
    right.set(title="Dev", ylabel="score")
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.suptitle(title, fontsize=13, parse_math=False)
    return _png(figure)


def _matrix(axes: Axes, counts: Counts) -> AxesImage:
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else "black" if count else _GREY
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9)
    return axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)


def _name_classes(axes: Axes, classes: Sequence[str], counts: Counts) -> None:
    """Label both sides, the true one with how many there are, and draw white lines between cells."""
    places = np.arange(len(classes))
    axes.set_xticks(places, classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, [f"{name} ({n:,})" for name, n in zip(classes, counts.sum(axis=1), strict=True)])
    axes.set(xlabel="predicted", ylabel="true (count)")
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def _lines(axes: Axes, keys: Sequence[str], trained: Sequence[tuple[History, int]]) -> None:
    alpha = max(0.25, 0.8 / max(1, len(trained) / 5) ** 0.5)
    for key, colour in zip(keys, _COLOURS * len(keys), strict=False):
        label: str | None = key
        for history, chosen in trained:
            points = [(epoch, record[key]) for epoch, record in enumerate(history, start=1) if key in record]
            epochs, values = zip(*points, strict=True) if points else ((), ())
            axes.plot(epochs, values, color=colour, linewidth=1.6, alpha=alpha, label=label)
            ring = [point for point in points if point[0] == chosen]
            axes.plot(*zip(*ring, strict=True), "o", color=colour, markerfacecolor="white") if ring else None
            label = None
    if keys:
        axes.plot([], [], "o", color=_GREY, markerfacecolor="white", label="chosen epoch")
        axes.legend(frameon=False)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # No version of matplotlib in the file: the same run gives the same bytes.
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()
