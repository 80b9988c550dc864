"""The key of an entry: everything in it changes the fingerprint, nothing else does, and format 1 never drifts."""

import dataclasses
import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import Grid, Key

KEY = Key("toy", 1, "clip", settings={"a": 1, "b": "x"})
CHANGES = {
    "encoder": "other",
    "version": 2,
    "grid": "clip@even=12",
    "dtype": "float32",
    "weights": "0" * 64,
    "builds_on": ("mtcnn-b9b8ce80",),
    "variant": "repaired",
    "precision": "fast",
    "settings": {"a": 2, "b": "x"},
    "format": 2,
}
seconds = st.fractions(Fraction(1, 1000), 100, max_denominator=1000)
samplings = st.sampled_from(["", "every=5,max=25", "even=12"])


def test_golden_fingerprints():
    """Caches already lie on disks: the hash of a key may not change as long as the format is 1."""
    full = Key(
        encoder="face_hog",
        version=3,
        grid="windows(3,2,2)@fps=10",
        dtype="float32",
        weights="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        builds_on=("mtcnn-b9b8ce80",),
        variant="authors",
        precision="fast",
        settings={"text": "é", "whole": 9, "real": 0.5, "truth": True},
    )
    assert Key("toy", 1, "clip").name == "toy-0cdb92d1"
    assert full.name == "face_hog-acabb35f"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Key)])
def test_every_field_counts(field):
    """A key that differs in one field, whichever, is another entry."""
    assert dataclasses.replace(KEY, **{field: CHANGES[field]}).fingerprint != KEY.fingerprint


@pytest.mark.parametrize("settings", [{}, {"a": 1}, {"a": 1, "b": "y"}, {"a": 1, "c": "x"}, {"a": 1.5, "b": "x"}])
def test_every_setting_counts(settings):
    """A setting that is changed, gone or renamed makes another entry."""
    assert dataclasses.replace(KEY, settings=settings).fingerprint != KEY.fingerprint


@given(st.permutations([("a", 1), ("b", 2.5), ("é", "x"), ("d", True)]))
def test_order_does_not_count(items):
    """The same settings said in another order are the same entry."""
    ordered = Key("toy", 1, "clip", settings=dict(sorted(items)))
    assert Key("toy", 1, "clip", settings=dict(items)).name == ordered.name


@pytest.mark.parametrize("field", CHANGES)
def test_json_is_the_whole_key(field):
    """A key survives its readable form, as it lies in spec.json."""
    key = dataclasses.replace(KEY, **{field: CHANGES[field]})
    assert Key.from_json(json.loads(json.dumps(key.to_json()))) == key


@pytest.mark.parametrize("change", [{"host": "x"}, {"grid": None}])
def test_json_with_other_fields_is_refused(change):
    """A field too many or too few is named, not dropped."""
    values = {name: value for name, value in (KEY.to_json() | change).items() if value is not None}
    with pytest.raises(ValueError, match=r"expected the fields \['builds_on'"):
        Key.from_json(values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("windows(3, 2, 2)", "windows(3,2,2)"),
        ("windows(3.0,2,2)@fps=10", "windows(3,2,2)@fps=10"),
        ("windows(0.1,1/10,0)", "windows(0.1,0.1,0)"),
        ("windows(1/30,1/30,0)@fps=30", "windows(1/30,1/30,0)@fps=30"),
        ("clip @ every=5, max=25", "clip@every=5,max=25"),
    ],
)
def test_grid_has_one_spelling(text, said):
    """However a grid is typed, it is said in one way, exactly, because the words are hashed."""
    assert str(Grid.parse(text)) == said


@given(st.tuples(seconds, seconds, seconds), samplings)
def test_windows_say_themselves(times, sampling):
    """Any grid of windows reads back as itself, to the last fraction of a second."""
    tail, step, length = sorted(times)
    grid = Grid("windows", length, step, tail, sampling)
    assert Grid.parse(str(grid)) == grid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "window(3,2,2)",
        "windows(3,2)",
        "windows(3,0,2)",
        "windows(3,2,4)",
        "windows(3,2,-1)",
        "windows(0,1,0)",
        "windows(a,b,c)",
        "windows(1/0,1,0)",
        "windows(3,2,2)@fps=0",
        "windows(3,2,2)@fps=29.97",
        "windows(3,0.25,2)@fps=10",
        "clip@every=5",
        "clip@odd=3",
    ],
)
def test_bad_grids_are_refused(text):
    """A grid that cannot be cut is refused where it is said, with what was expected."""
    with pytest.raises(ValueError, match="expected"):
        Grid.parse(text)


@pytest.mark.parametrize(("sampling", "fps"), [("fps=10", 10), ("every=5,max=25", None), ("even=12", None), ("", None)])
def test_slots_per_second(sampling, fps):
    """Only a sampling by time has slots per second."""
    assert Grid("clip", sampling=sampling).fps == fps
