"""A chart lies where its numbers say, and says them to those who cannot see it."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from fuse.insight import Bin
from fuse.pages import charts
from fuse.pages.charts import Bar, Curve, Scale

HOSTILE = "<img src=x onerror=alert(1)>"


def picture(made):
    """Return the one SVG of a chart as a tree."""
    return ET.fromstring(re.search(r"<svg.*?</svg>", made, re.DOTALL).group())  # noqa: S314 (our own)


def test_bars_are_as_long_as_their_values():
    """Bars begin at zero and end in proportion, a score that is not defined has none, the model comes first."""
    lines = [Bar("floor", "majority", 0.25, "25"), Bar("floor", "none", np.nan, "-"), Bar("model", "mine", 0.5, "50")]
    made = charts.bars("mf1", lines, (0.4, 0.625))
    wide = {kind: float(width) for kind, width in re.findall(r'class="fill-(\w+)".*?width="([\d.]+)"', made)}
    assert wide == {"floor": 400, "model": 800}
    assert made.index("mine") < made.index("majority")
    assert made.count('class="band" x="640.0"') == 3
    assert made.count("whisker") == 3


def test_a_score_below_zero_points_the_other_way():
    """A negative correlation ends where the positive ones begin."""
    made = charts.bars("corr", [Bar("floor", "a", -0.5, "-0.5"), Bar("model", "b", 0.5, "0.5")])
    assert re.findall(r'class="fill-\w+" x="([\d.]+)".*?width="([\d.]+)"', made) == [
        ("500.0", "500.0"),
        ("0.0", "500.0"),
    ]


def test_curves_have_gaps_and_rings():
    """What is not finite is a gap, the chosen epoch a ring, and each name has one place in the legend."""
    points = [(1.0, 3.0), (2.0, np.nan), (3.0, 2.0), (4.0, np.inf), (5.0, 1.0)]
    made = charts.curves(
        "Training", [Curve("loss", points, 3), Curve("loss", points, 4), Curve(HOSTILE, [], 1)], percent=False
    )
    root = picture(made)
    assert len(root.findall("polyline")) == 6
    assert len(root.findall("circle")) == 1
    assert root.find("title").text == "Training"
    assert made.count("<i></i>") == 2
    assert "<img" not in made


def test_dots_and_their_mean():
    """A dot for each seed, a line at the mean, and every number in the description."""
    root = picture(charts.dots("mf1", {"one": [0.2, 0.4], "two": [np.nan]}, percent=True))
    places = [float(dot.get("cx")) for dot in root.findall("circle")]
    (mean,) = [float(line.get("x1")) for line in root.findall("line") if line.get("class") == "mean"]
    assert mean == pytest.approx(sum(places) / 2, abs=0.1)
    assert root.find("desc").text == "one 20 %, 40 %; two \N{EN DASH}."


def test_decline_by_hand():
    """A ring at the whole, a dot at each share that is known, whiskers of a spread's length, a level below."""
    points = [(0.0, 0.8, 0.1), (0.1, np.nan, 0.1), (0.5, 0.4, 0.0)]
    root = picture(charts.decline("mf1", "missing", points, 0.2, percent=True))
    assert [one.get("class") for one in root.findall("circle")] == ["dot s1", "dot s1", "ring s1"]
    ring, dot = root.findall("circle")[2], root.findall("circle")[1]
    (whisker,) = [one for one in root.findall("line") if one.get("class") == "whisker"]
    (level,) = [one for one in root.findall("line") if one.get("class") == "ideal"]
    long, drop = (float(whisker.get("y1")) - float(whisker.get("y2")), float(dot.get("cy")) - float(ring.get("cy")))
    assert long == pytest.approx(drop / 2, abs=0.2)
    assert float(level.get("y1")) - float(dot.get("cy")) == pytest.approx(drop / 2, abs=0.2)
    assert level.get("y1") == level.get("y2")
    assert root.find("desc").text.startswith("80 % at 0%; \N{EN DASH} at 10%; 40 % at 50%; the majority has 20 %")
    without = picture(charts.decline("corr", "missing", points, np.nan, percent=False))
    assert not [one for one in without.findall("line") if one.get("class") == "ideal"]


def test_scatter_tells_kinds_by_colour_and_by_shape():
    """Eight kinds are eight pairs of both, in the legend, too; who has none is faint and below, a name is a text."""
    names = [*"abcdefg", HOSTILE]
    points = [(float(i), float(-i)) for i in range(9)]
    made = charts.scatter("Map", points, [*range(8), -1], names, [f"{HOSTILE}{i}" for i in range(9)])
    root = picture(made)
    marks = root.findall("path")
    assert len({(one.get("class"), one.get("d")) for one in marks}) == 9
    assert marks[0].get("class") == "faint"
    assert [one.find("title").text for one in marks[1:3]] == [f"{HOSTILE}0: a", f"{HOSTILE}1: b"]
    assert marks[0].find("title").text == f"{HOSTILE}8: no label"
    assert made.count("<li>") == 8
    assert all(made.count(one.get("d")) >= 2 for one in marks)
    places = [tuple(map(float, re.findall(r"[\d.]+", one.get("transform"))[:2])) for one in marks[1:]]
    assert places == sorted(places)
    assert all(0 < x < charts.WIDTH and 0 < y < 400 for x, y in places)
    assert "<img" not in made


def test_reliability_by_hand():
    """A bin of which half is right reaches half of the height; empty bins are not drawn."""
    root = picture(charts.reliability("r", [None] * 9 + [Bin(4, 0.95, 0.5)]))
    tall = [float(bar.get("height")) for bar in root.findall("rect") if bar.get("class") == "bin s1"]
    assert tall == [pytest.approx((charts.BOTTOM - charts.TOP) / 2)]
    assert "95% said, 50% right of 4" in root.find("desc").text


def test_heat_has_counts_and_shares():
    """Each cell has its count and its share of the true class; a class that never comes up is nothing of nothing."""
    made = charts.heat("c", ["a", HOSTILE], np.array([[3, 1], [0, 0]]))
    assert re.findall(r"--s:([\d.]+)", made) == ["0.75", "0.25", "0.00", "0.00"]
    assert "3<small>75%</small>" in made
    assert "<img" not in made


@pytest.mark.parametrize("values", [[], [0.0], [5.0, 5.0], [-1e9, 1e9], [1e-12, 2e-12], [np.nan]])
def test_axes_hold_anything(values):
    """Whatever the values are, an axis holds them and has a few round ticks."""
    scale = Scale.over(values, 0, 100)
    assert all(0 <= float(scale(value)) <= 100 for value in values if np.isfinite(value))
    assert 2 <= len(scale.ticks()) <= 6


@pytest.mark.parametrize("high", np.linspace(0.11, 1.1, 34))
def test_every_axis_has_at_least_two_ticks(high):
    """Wherever it ends, an axis can be read; epochs are whole numbers."""
    assert 2 <= len(Scale(0.055, high, 0, 100).ticks()) <= 6
    assert all(float(tick).is_integer() for tick in Scale(1, 10 * high, 0, 100).ticks(whole=True))
