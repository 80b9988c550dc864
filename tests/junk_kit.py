"""What may stand in a pickle where something else is expected, and files in which it does."""

import numpy as np

SELF = [0.0]
SELF.append(SELF)
JUNK = [
    *(None, True, 1, -1, 2**62, 0.5, float("nan"), float("inf"), 1j, "", "a", "$_$", "..\0/", b"a", bytearray(b"x")),
    *([], {}, (), set(), frozenset("a"), [[1, 2]], [1.0, 2.0], ["a", "b", "c"], {"a": 1}, {0: [1]}, SELF),
    *(np.array(1.0), np.array("a"), np.float64(3), np.array([b"a"]), np.array(["a", "b", "c"]), np.array([1, 2, 3])),
    *(np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0)), np.zeros((3, 5, 0)), np.array([True, False, True])),
    *(np.ones((3, 5, 2)), np.ones((3, 5, 2), complex), np.array([[1, 2], [3, 4]])),
]
"""All of it is plain, so that a pickle of it is read."""


def places(value, above=()):
    """Yield every place in nested containers, as the keys that lead there."""
    yield above
    if isinstance(value, dict | list | tuple):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(below, (*above, key))


def put(value, place, other):
    """Return a value with something else in one place."""
    if not place:
        return other
    key, *below = place
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[key] = put(value[key], below, other)
    return tuple(changed) if isinstance(value, tuple) else changed


def spoiled(value, count, seed=0):
    """Yield so many values, each with something else in one place."""
    rng = np.random.default_rng(seed)
    everywhere = [*places(value)]
    for _ in range(count):
        yield put(value, everywhere[rng.integers(len(everywhere))], JUNK[rng.integers(len(JUNK))])
