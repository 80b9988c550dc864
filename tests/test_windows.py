"""Windows: any lengths lie one after another, and what does not fit together is refused at birth."""

from itertools import pairwise

import numpy as np
import pytest

from features import Windows

PLAIN = {
    "values": np.arange(12.0).reshape(6, 2),
    "start": np.array([0, 2, 2, 6]),
    "spans_s": np.array([[0, 1], [1, 2], [2, 4.5]]),
    "valid": np.array([2, 0, 3]),
    "steps": {"n_faces": np.arange(6)},
}


def test_ragged_windows():
    """Each window holds its own steps, the empty one none."""
    windows = Windows(**PLAIN)
    assert len(windows) == 3
    assert [windows.window(i).tolist() for i in range(3)] == [[[0, 1], [2, 3]], [], [[4, 5], [6, 7], [8, 9], [10, 11]]]


@pytest.mark.parametrize(("i", "same"), [(-1, 2), (-3, 0)])
def test_windows_count_from_the_end(i, same):
    """A negative number counts from the end, as everywhere in Python."""
    windows = Windows(**PLAIN)
    assert np.array_equal(windows.window(i), windows.window(same))


@pytest.mark.parametrize("bounds", [[0, 1, 3], [0, 0, 2, 3, 3], [1, 2], [0, 3], [2]])
def test_windows_of_many_clips_split(bounds):
    """Between two bounds lie whole windows that are sound on their own."""
    windows = Windows(**PLAIN)
    parts = windows.split(bounds)
    assert len(parts) == len(bounds) - 1
    for (begin, end), part in zip(pairwise(bounds), parts, strict=True):
        checked = Windows(part.values, part.start, part.spans_s, part.valid, part.steps)
        assert len(checked) == end - begin
        for i in range(end - begin):
            assert part.window(i).tolist() == windows.window(begin + i).tolist()
        assert part.spans_s.tolist() == windows.spans_s[begin:end].tolist()
        assert part.valid.tolist() == windows.valid[begin:end].tolist()
        first, last = windows.start[begin], windows.start[end]
        assert part.steps["n_faces"].tolist() == windows.steps["n_faces"][first:last].tolist()


@pytest.mark.parametrize("i", [3, -4])
def test_a_window_that_is_not_there(i):
    """Asking beyond the last window is an error, never an empty window."""
    with pytest.raises(IndexError):
        Windows(**PLAIN).window(i)


@pytest.mark.parametrize(
    ("part", "wrong", "message"),
    [
        ("values", np.float32(1), "values"),
        ("values", np.zeros((5, 2)), "from 0 to 5"),
        ("start", np.array([0, 2, 6]), r"start \(4,\)"),
        ("start", np.array([[0], [2], [2], [6]]), r"start \(4,\)"),
        ("start", np.array([1, 2, 2, 6]), "rise from 0"),
        ("start", np.array([0, 2, 2, 7]), "rise from 0 to 6"),
        ("start", np.array([0, 4, 2, 6]), "rise from 0"),
        ("start", np.array([0, 4, 2, 6], np.uint64), "as integers"),
        ("start", np.array([0, 2, 2, 6.0]), "as integers"),
        ("spans_s", np.zeros((2, 2)), r"spans_s \(3, 2\)"),
        ("spans_s", np.zeros(6), r"spans_s \(3, 2\)"),
        ("spans_s", np.array([[0, 1], [1, np.nan], [2, 3]]), "finite spans"),
        ("spans_s", np.array([[0, 1], [1, np.inf], [2, 3]]), "finite spans"),
        ("spans_s", np.array([[0, 1], [2, 1], [2, 3]]), "end before they start"),
        ("valid", np.array([2, 0]), r"start \(3,\)"),
        ("valid", np.array([[2], [0], [3]]), r"valid \(3,\)"),
        ("valid", np.array([2, 1, 3]), "valid between"),
        ("valid", np.array([-1, 0, 3]), "valid between"),
        ("valid", np.array([1.5, 0, 3]), "as integers"),
        ("steps", {"n_faces": np.arange(5)}, "6 steps of n_faces, got 5"),
    ],
)
def test_what_does_not_fit_is_refused(part, wrong, message):
    """Every malformed part is named, with what was expected and what was found."""
    with pytest.raises(ValueError, match=message):
        Windows(**PLAIN | {part: wrong})


def test_join_is_the_inverse_of_window():
    """Windows of any lengths joined come apart again as they were, and so do their side channels."""
    parts = [np.full((n, 2, 3), n, np.float16) for n in (3, 0, 1)]
    channel = [np.arange(n, dtype=np.uint16) for n in (3, 0, 1)]
    windows = Windows.join(parts, [(0, 1), (1, 2), (2, 3)], [3, 0, 1], {"n_faces": channel})
    assert all(np.array_equal(windows.window(i), part) for i, part in enumerate(parts))
    assert windows.steps["n_faces"].tolist() == [0, 1, 2, 0]
    assert (windows.start.dtype, windows.spans_s.dtype, windows.valid.dtype) == (np.int64, np.float64, np.int32)


def test_join_of_other_counts_is_refused():
    """Two windows with three spans are a mistake of the caller."""
    with pytest.raises(ValueError, match="expected valid"):
        Windows.join([np.zeros((1, 2))] * 2, [(0, 1)] * 3, [1, 1])


@pytest.mark.parametrize("n", [0, 1, 4])
def test_equal_windows_stack(n):
    """Windows of one length are one array, also where there is none."""
    values = np.arange(n * 15.0).reshape(n * 5, 3)
    windows = Windows(values, np.arange(n + 1) * 5, np.zeros((n, 2)), np.full(n, 5))
    assert windows.stack().shape == (n, 5 if n else 0, 3)
    assert np.array_equal(windows.stack().ravel(), values.ravel())


def test_ragged_windows_do_not_stack():
    """Windows of several lengths are not one array, and the message says what to use."""
    with pytest.raises(ValueError, match=r"lengths \[2, 0, 4\]; use window"):
        Windows(**PLAIN).stack()
