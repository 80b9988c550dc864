"""A map shows what lies together, the same each time, and says so where there is nothing to show."""

import dataclasses

import numpy as np
import pytest
from run_kit import NAMES, both, fold, outcome, run

from fuse import embedding
from fuse.embedding import Embedded


def groups(each, apart=8.0, count=3, width=16):
    """Return clips around some centres, and of which each is."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(count), each)
    centres = apart * rng.standard_normal((count, width))
    return Embedded(tuple(range(len(classes))), centres[classes] + rng.standard_normal((len(classes), width))), classes


@pytest.mark.parametrize("each", [3, 40])
def test_what_lies_together_is_drawn_together(each):
    """Few clips by principal components, more by t-SNE: each group is far narrower than the groups are apart."""
    made, classes = groups(each)
    assert ("t-SNE" in made.how) == (each == 40)
    points = made.points
    assert points.shape == (3 * each, 2)
    middles = np.stack([points[classes == one].mean(axis=0) for one in range(3)])
    within = np.linalg.norm(points - middles[classes], axis=1).max()
    between = min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert between > 1.5 * within


@pytest.mark.parametrize("each", [3, 40])
def test_the_same_vectors_give_the_same_map(each):
    """Nothing is left to chance, and how long the vectors are does not enter."""
    made, _ = groups(each)
    np.testing.assert_array_equal(made.points, groups(each)[0].points)
    longer = dataclasses.replace(made, vectors=made.vectors * 4)
    np.testing.assert_allclose(made.points, longer.points, atol=1e-6)


def test_nearest_neighbours_against_chance():
    """Apart, all neighbours are alike; mixed, so many as by chance: of 2 + 4 clips (2 + 12) of 30 pairs."""
    apart, classes = groups(40)
    assert apart.nearest(classes) == embedding.Nearest(120, 1.0, pytest.approx(3 * 40 * 39 / (120 * 119)))
    mixed, _ = groups(400, apart=0.0)
    found = mixed.nearest(np.repeat(np.arange(3), 400))
    assert found.share == pytest.approx(found.chance, abs=0.06)
    vectors = np.array([[1.0, 0], [1, 0.1], [0, 1], [0, 2], [0.1, 1], [1, 0.3]])
    by_hand = Embedded(tuple(range(6)), vectors).nearest(np.array([0, 0, 1, 1, 1, 1]))
    assert by_hand == embedding.Nearest(6, 5 / 6, pytest.approx(14 / 30))


def test_clips_without_a_label_are_nobodys_neighbours():
    """They count neither as clips nor as neighbours, and one labelled clip has no neighbour."""
    vectors = np.array([[1.0, 0], [1, 0.001], [1, 0.2], [0, 1]])
    made = Embedded((0, 1, 2, 3), vectors)
    assert made.nearest(np.array([0, -1, 0, 1])).share == pytest.approx(2 / 3)
    assert made.nearest(np.array([0, -1, -1, -1])) is None


@pytest.mark.parametrize(
    ("vectors", "why"),
    [
        (np.ones((20, 4)), "same for every clip"),
        (np.zeros((20, 4)), "same for every clip"),
        (np.outer(np.arange(1, 21), [1.0, 2, 3]), "same for every clip"),
        (np.where(np.eye(20), np.nan, 1.0), "not finite"),
        (np.eye(2), "only 2"),
        (np.zeros((0, 0)), "only 0"),
    ],
)
def test_what_cannot_be_drawn_is_said(vectors, why):
    """Constant but for its length, not finite, or hardly a clip."""
    assert why in Embedded(tuple(range(len(vectors))), vectors).spoilt
    assert not groups(3)[0].spoilt


def test_one_number_per_clip_is_a_line():
    """A representation of width one has no second component, and a map nevertheless."""
    vectors = np.linspace(-1, 1, 30)[:, None] ** 3
    made = Embedded(tuple(range(30)), np.hstack([vectors, np.ones((30, 1))]))
    assert np.isfinite(made.points).all()
    two_sides = Embedded(tuple(range(30)), vectors)
    assert np.isfinite(two_sides.points).all()


def test_clips_are_taken_at_even_steps_whatever_their_order():
    """The same clips by name, first and last parts alike, in the order in which they stood."""
    clips = [("b" if i % 2 else "a", f"{i:03}") for i in range(100)]
    places = embedding.spread_over(clips, 10)
    assert len(set(places)) == 10
    assert places == sorted(places)
    turned = clips[::-1]
    assert {turned[i] for i in embedding.spread_over(turned, 10)} == {clips[i] for i in places}
    assert sum(clips[i][0] == "a" for i in places) == 5
    assert embedding.spread_over(clips[:10], 10) == list(range(10))
    assert embedding.spread_over([], 10) == []


def test_classes_of_the_clips_drawn():
    """The true class of each task for each clip that is drawn; the last has no emotion."""
    drawn = Embedded((3, 1, 0), np.eye(3))
    made = run(fold(outcomes=(outcome(0, both(["happy"] * 4), embedded=drawn),)))
    assert embedding.of(made) is drawn
    found = {task: classes.tolist() for task, classes in embedding.classes(made).items()}
    assert found == {"emotion": [-1, 1, 0], "sentiment": [2, 0, 0]}
    assert len(NAMES) == 4
    assert embedding.classes(run(fold())) == {}
