"""Series of numbers: how tables are read and refused, what a slot holds, and that a new one needs no edit anywhere."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial

import command_kit
import media_kit as kit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import iemocap as small

from extract import cut
from extract.encoders import Spec
from extract.media import Files, MediaError, Need
from extract.series import MOST_BYTES, TICKS, Readings, Table, Tables
from features import Grid, Reader, find
from manifests import Series

PULSE = Spec(
    reads="series",
    series="pulse",
    columns=2,
    width=(2,),
    steps=12,
    grids=("windows(3,2,2)", "clip"),
    rate_hz=4,
    licence="MIT",
    dtype="float32",
)


def table(folder, text, name="a.txt"):
    """Write a table; return its name."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def read(folder, track):
    """Read the tables of one clip."""
    return Tables(folder).read("numbers", track)


def values(readings, rate_hz=1):
    """Return the steps of a series with one column."""
    return readings.steps(rate_hz)[0][:, 0].tolist()


@pytest.mark.parametrize(
    "text",
    [
        "0 1\n1 2\n2 4\n",
        "time,value\n0,1\n1,2\n2,4",
        "\ufeff0\t1\r\n1\t2\r\n\r\n2\t4\r\n",
        "Seconds;Beats\nX;Y\n\n0.0;1e0\n1.0;+2\n2.;4.0\n",
    ],
    ids="plain comma tab head".split(),
)
def test_a_table_as_it_may_be_written(tmp_path, text):
    """Blanks, commas, tabs or semicolons, any line ends, a mark of UTF-8, lines of head or none: the same numbers."""
    found = read(tmp_path, Series((table(tmp_path, text),)))
    assert (found.duration_s, found.columns) == (3, (1,))
    assert values(found) == [1, 2, 4]


def test_a_table_of_motion_capture(tmp_path):
    """Frame and seconds lead, two lines of head stand above, a hidden marker is NaN: the numbers are those written."""
    text = small.markers("hand", 3)
    found = read(tmp_path, Series((table(tmp_path, text),), time_column=1))
    written = np.array([line.split()[2:] for line in text.splitlines()[2:]], np.float32)
    np.testing.assert_array_equal(found.tables[0].values, written)
    assert np.isnan(written).any()
    assert float(found.duration_s) == pytest.approx(0.4, abs=1e-5)


@pytest.mark.parametrize("clock_s", [0, 12.5, -3])
def test_seconds_count_from_the_first_row(tmp_path, clock_s):
    """Whatever clock a table keeps, its first row is its start; a span is half-open, and an offset moves it."""
    rows = "".join(f"{clock_s + i / 10} {i}\n" for i in range(50))
    name = table(tmp_path, rows)
    whole = read(tmp_path, Series((name,)))
    assert (whole.duration_s, values(whole, 10)) == (5, [*map(float, range(50))])
    part = read(tmp_path, Series((name,), 1.0, 2.0))
    assert (part.duration_s, values(part, 10)) == (1, [*map(float, range(10, 20))])
    assert values(read(tmp_path, Series((name,), 1.0, 2.0, 0.3)), 10) == [*map(float, range(13, 23))]
    assert read(tmp_path, Series((name,), 4.5, 9.0)).duration_s == Fraction(1, 2)


def test_tables_side_by_side_share_one_clock(tmp_path):
    """Of tables with other rates and other starts, each lies where its own seconds say; the longest is the length."""
    slow = table(tmp_path, "1 10\n2 20\n3 30\n4 40\n", "slow.txt")
    fast = table(tmp_path, "".join(f"{i / 2} {i} {-i}\n" for i in range(6)), "fast.txt")
    found = read(tmp_path, Series((slow, fast)))
    assert (found.columns, found.duration_s) == ((1, 2), 5)
    steps, empty = found.steps(1)
    np.testing.assert_array_equal(steps[:, 0], [10, 10, 20, 30, 40])
    np.testing.assert_array_equal(steps[:, 1], [0.5, 2.5, 4.5, 4.5, 4.5])
    assert empty == 0


def test_a_table_is_read_once_for_all_its_clips(tmp_path):
    """Clips of one recording after another share its tables; what each is given is what it is given alone."""
    names = [table(tmp_path, "".join(f"{i / 10} {k * i}\n" for i in range(50)), f"{k}.txt") for k in range(2)]
    clips = [
        kit.clip(id=f"c{i}", series={name: Series((path,), i, i + 1) for name, path in zip("ab", names, strict=True)})
        for i in range(3)
    ]
    with Files(tmp_path) as files:
        found = [files.read(clip, Need(series=frozenset("ab")), lambda *_: None) for clip in clips]
    assert [media.opened for media in found] == [2, 0, 0]
    for clip, media in zip(clips, found, strict=True):
        assert media.length_s == 1
        for name, track in clip.series.items():
            assert values(media.measured(name), 10) == values(read(tmp_path, track), 10)


def test_what_is_missing_is_what_it_was(tmp_path):
    """A gap repeats what was before, a late beginning shows what comes first, what never was is zero; gaps are told."""
    rows = ["0 nan 1 nan", "1 5 NaN NaN", "1.5 7 3 -nan", "4 8 nan nan", "5 nan 2 nan"]
    steps, empty = read(tmp_path, Series((table(tmp_path, "\n".join(rows)),))).steps(1)
    np.testing.assert_array_equal(steps, [[6, 1, 0], [6, 3, 0], [6, 3, 0], [6, 3, 0], [8, 3, 0], [8, 2, 0]])
    assert empty == 2


@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=60), st.sampled_from([1, 3, 10, 30]))
def test_a_slot_holds_the_mean_of_its_own_rows(moments, rate_hz):
    """At any rate a row counts in the one slot in which its time lies, exactly, and in no other."""
    moments = sorted(moments)
    ticks, numbers = np.array(moments) - moments[0], np.arange(len(moments), dtype=np.float32)[:, None]
    series = Readings([Table(ticks, numbers)], Fraction(int(ticks[-1]) + 1, TICKS))
    steps, empty = series.steps(rate_hz)
    slots = [int(Fraction(int(tick), TICKS) * rate_hz) for tick in ticks]
    last = 0.0
    for slot, step in enumerate(steps[:, 0].tolist()):
        own = [i for i, other in enumerate(slots) if other == slot]
        last = float(np.mean(own)) if own else last
        assert step == pytest.approx(last)
    assert empty == len(steps) - len(set(slots))


def test_a_tenth_that_is_written_begins_its_slot(tmp_path):
    """Times like 0.3 and 1.1 fall into the slot that they name, where a float times ten falls short of some."""
    rows = "".join(f"{i / 10} {i}\n" for i in range(3000))
    assert values(read(tmp_path, Series((table(tmp_path, rows),))), 10) == [*map(float, range(3000))]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected rows of numbers"),
        ("a b\nc d\n", "expected rows of numbers"),
        ("0\n1\n", "expected rows of numbers"),
        ("head\n" * 10 + "0 1\n", "head of at most 10 lines"),
        (b"\0" * 1000, "expected rows of numbers"),
        (b"RIFF\x24\0\0\0WAVE" + bytes(range(256)) * 9, "expected rows of numbers"),
        ("0 1 " * 30_000, "got a line of 65536 bytes or more"),
        ("0 1\n1 x\n", "could not convert string 'x'"),
        ("0 1\n1 2 3\n", "number of columns changed"),
        ("0 1\n1\n", "number of columns changed"),
        ("0 1\n1 2\n0.5 3\n", "expected times that rise, got 0.5 after 1.0"),
        ("0 1\nnan 2\n", "expected seconds in column 0, got nan"),
        ("inf 1\n", "expected seconds in column 0, got inf"),
        ("0 1\n1e30 2\n", "expected seconds in column 0, got 1e"),
        ("0 1\n1 inf\n", "got 1 that are infinite"),
        ("0 1\n1 1e39\n", "got 1 that are infinite"),
        ("0 1\n20000 2\n", "expected a clip of at most 4 hours, got 11.1"),
    ],
)
def test_a_table_that_cannot_be_right(tmp_path, text, complaint):
    """What is no table, changes its shape, goes back in time or is as long as no clip is refused with its name."""
    name = table(tmp_path, text)
    with pytest.raises(MediaError, match=rf"a\.txt: .*{complaint}"):
        read(tmp_path, Series((name,)))


def test_files_that_are_no_tables(tmp_path):
    """A missing file, a folder, a pipe and a huge file are refused at once; nobody waits, nothing is read."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    for name, complaint in (
        ("gone", "No such file"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("huge", "expected a table of at most 128 MB"),
    ):
        with pytest.raises(MediaError, match=f"{name}: {complaint}"):
            read(tmp_path, Series((name,)))
    with pytest.raises(MediaError, match=r"a\.txt: no row lies in the clip, which begins at 9.0 s"):
        read(tmp_path, Series((table(tmp_path, "0 1\n1 2\n"),), 9.0))


@given(st.binary(max_size=300) | st.text("0123456789.eE+-naif, \n", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    """Whatever a file holds, it gives finite steps or a complaint with its name."""
    folder = tmp_path_factory.mktemp("any")
    with suppress(MediaError):
        assert np.isfinite(read(folder, Series((table(folder, data),))).steps(2)[0]).all()


@pytest.mark.parametrize(
    ("seconds", "real", "spans"),
    [
        (1.1, [5], [[0, 1.1]]),
        (3, [12], [[0, 3]]),
        (4.9, [12, 12], [[0, 3], [2, 4.9]]),
        (7.2, [12, 12, 12], [[0, 3], [2, 5], [4, 7]]),
    ],
)
def test_windows_are_those_of_sound(seconds, real, spans):
    """A series is cut at the seconds at which sound is; what a window lacks repeats its last step and is not real."""
    rows = round(seconds * 20)
    ramp = np.arange(rows, dtype=np.float32)
    series = Readings([Table(np.arange(rows) * TICKS // 20, np.stack([ramp, -ramp], axis=1))], Fraction(rows, 20))
    windows, layout = cut.series(series, PULSE, Grid.parse("windows(3,2,2)"))
    _, heard = cut.sound(np.zeros(rows * 800, np.float32), replace(PULSE, rate_hz=16_000), Grid.parse("windows(3,2,2)"))
    assert layout.spans == heard.spans
    assert np.allclose([[float(start), float(end)] for start, end in layout.spans], spans)
    assert [count for _, count in windows] == real
    for i, (window, count) in enumerate(windows):
        assert window.shape == (12, 2)
        assert window[0, 0] == 40 * i + 2
        assert (window[count:] == window[count - 1]).all()
    whole, _ = cut.series(series, PULSE, Grid.parse("clip"))
    assert [len(data) for data, _ in whole] == [-(-rows // 5)]


ENCODER = '''"""Beats a minute, four steps a second."""

import numpy as np

from extract.encoders import WINDOWS, Spec

SPEC = Spec(
    reads="series", series="pulse", columns=2, width=(1,), steps=12, grids=(WINDOWS,), rate_hz=4, licence="MIT"
)


def load(device, precision):
    """Return the encoder."""
    return lambda batch, valid: np.log(batch[:, :, :1])
'''
CORPUS = '''"""People at rest and in a hurry.

Layout: a wav and a table a person.

Quirks:
- None.
"""

from manifests.clip import Audio, Clip, Series
from manifests.labels import one_hot
from manifests.licence import Licence

LICENCE = Licence("MIT")
TREE = "ROOT/p1.wav and p1.csv"
BIBTEX = ""


def clips(tree):
    """Yield every person."""
    tables = tree.index(r"(p\\d+)\\.csv")
    for name, path in tree.index(r"(p\\d+)\\.wav").items():
        number = int(name[1:])
        yield Clip(
            id=name,
            corpus="hearts",
            split=("train", "train", "dev", "test")[number // 2 % 4],
            speaker_id=name,
            audio=Audio(path),
            series={"pulse": Series((tables[name],))} if name in tables else {},
            labels={"emotion": one_hot("emotion", ("neutral", "fear")[number % 2])},
            label_kind="intended",
            licence=LICENCE.tag,
        )
'''


@pytest.fixture
def checkout(tmp_path):
    """A copy of the four packages with two files more: a corpus that names a series nobody knew, and its encoder."""
    for package in ("extract", "features", "fuse", "manifests"):
        ignored = shutil.ignore_patterns("__pycache__", "*.h5", "*.jsonl")
        shutil.copytree(command_kit.ROOT / package, tmp_path / "copy" / package, ignore=ignored)
    (tmp_path / "copy/extract/encoders/toy_pulse.py").write_text(ENCODER)
    (tmp_path / "copy/manifests/corpora/hearts.py").write_text(CORPUS)
    folder = tmp_path / "media"
    folder.mkdir()
    for person in range(16):
        kit.write(folder / f"p{person}.wav", sound=kit.noise(5, 16_000), how=kit.Sound("pcm_s16le", "s16"))
        bpm = 60 + 60 * (person % 2)
        table(folder, "time,bpm,rest\n" + "".join(f"{i / 8},{bpm + i % 8},0\n" for i in range(40)), f"p{person}.csv")
    (folder / "p15.csv").unlink()
    table(folder, "time,bpm\n0,60\n", "p14.csv")
    return tmp_path / "copy"


@pytest.mark.slow
def test_a_new_series_needs_a_corpus_and_an_encoder_alone(checkout, roots):
    """From the disk to the report by the commands: read, planned, encoded, joined to sound and trained with it."""
    run = partial(command_kit.run, environment=dict(os.environ), cwd=checkout)
    assert "text pulse" in " ".join(run(["manifests", "hearts", "--root", str(roots / "media")]).split())
    asked = ["extract", "run", "hearts", "--encoders", "toy_pulse,toy_audio", "--max-failed", "0.1"]
    planned = next(line for line in run([*asked, "--dry"]).splitlines() if line.startswith("toy_pulse"))
    assert planned.split()[2:7] == ["0", "15", "0", "0", "1"]
    assert "expected 2 columns of pulse in all, got 1; is a table of another kind? (first: p14)" in run(asked)
    with Reader(find("hearts", "toy_pulse")) as reader:
        assert len(reader) == 14
        windows = reader["p1"]
    assert windows.spans_s.tolist() == [[0, 3], [2, 5]]
    first = [np.mean([120 + i % 8, 121 + i % 8]) for i in range(0, 24, 2)]
    np.testing.assert_allclose(np.exp(windows.window(0)[:, 0], dtype=np.float32), first, rtol=1e-2)
    chosen = ["encoders.audio=toy_audio", "encoders.pulse=toy_pulse", "modalities=audio,pulse"]
    settings = [*chosen, "tasks=emotion", "train.epochs=2", "unseen_classes=true"]
    run(["fuse", "concat", "--corpus", "hearts", "--seeds", "1", "--set", *settings])
    (written,) = (roots / "runs").rglob("report.json")
    report = json.loads(written.read_text(encoding="utf-8"))
    parts = [part["hearts"] for fold in report["folds"] for part in fold["parts"].values()]
    assert sum(part["missing"]["pulse"] for part in parts) == 2
    assert sum(part["missing"]["audio"] for part in parts) == 0
