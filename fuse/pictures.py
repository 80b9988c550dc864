"""The two pictures of a report, as PNG bytes: who was taken for whom, and how training went.

Colours are readable for colour-blind eyes and in grey. Nothing here touches pyplot, so threads and servers are fine.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from fuse.metrics import IDS

Counts = NDArray[np.int64]
History = Sequence[Mapping[str, float]]

# Okabe and Ito's palette without its yellow, which is too pale for a line.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_GREY = "#8c8c8c"


def confusion(title: str, panels: Mapping[str, Counts], classes: Sequence[str]) -> bytes:
    """Draw one matrix per panel: counts as numbers, the share of each true class as colour."""
    side = 2.2 + 0.55 * len(classes)
    figure = Figure(figsize=(side * len(panels) + 0.9, side + 0.4), layout="compressed")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, counts) in zip(grid, panels.items(), strict=True):
        shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.55 else "black" if count else _GREY
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9)
        axes.set_title(name, fontsize=11, parse_math=False)
        _name_classes(axes, classes, counts)
    figure.colorbar(image, ax=list(grid), format=PercentFormatter(1), label="share of the true class", pad=0.03)
    figure.suptitle(title, fontsize=13, parse_math=False)
    return _png(figure)


def curves(title: str, histories: Mapping[int, History], chosen: Mapping[int, int]) -> bytes:
    """Draw losses and dev scores over epochs, one line per seed; a ring marks the epoch each seed was scored at."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    keys = dict.fromkeys(key for history in histories.values() for record in history for key in record)
    _lines(left, [key for key in keys if key.endswith("loss")], histories, chosen)
    _lines(right, [key for key in keys if key.endswith("score") or key.startswith(IDS)], histories, chosen)
    left.set(title="Training", ylabel="loss")
    right.set(title="Dev", ylabel="score")
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.suptitle(title, fontsize=13, parse_math=False)
    return _png(figure)


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


def _lines(axes: Axes, keys: Sequence[str], histories: Mapping[int, History], chosen: Mapping[int, int]) -> None:
    for key, colour in zip(keys, _COLOURS * len(keys), strict=False):
        label: str | None = key
        for seed, history in histories.items():
            points = [(epoch, record[key]) for epoch, record in enumerate(history, start=1) if key in record]
            epochs, values = zip(*points, strict=True) if points else ((), ())
            axes.plot(epochs, values, color=colour, linewidth=1.6, alpha=0.8, label=label)
            ring = [point for point in points if point[0] == chosen[seed]]
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
