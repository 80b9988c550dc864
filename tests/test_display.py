"""What a person sees of a run: stages, speed, what bound it, and failures by reason."""

from pathlib import Path

import media_kit as kit
import pytest

from extract import display
from extract.check import Verdict
from extract.forecast import forecast
from extract.plan import plan, wants
from extract.slices import Job
from extract.tally import Meter, Tally
from features import Failure


def tally(**busy_s):
    """Return what a run did that spent these seconds on its stages."""
    done = Tally(clips=8, files=8, media_s=80.0)
    done.busy_s |= busy_s
    for stage in busy_s:
        done.staged_s[stage], done.units[stage] = 80.0, 800
    return done


@pytest.mark.parametrize(
    ("busy_s", "waited_s", "slowest"),
    [
        ({"decode": 5, "mfcc": 4, "yolo_face": 12, "load": 60}, 1, "yolo_face: 75%"),
        ({"decode": 30, "mfcc": 4}, 25, "decode: the encoders waited for it 50%"),
        ({"decode": 5, "faces": 9, "mfcc": 4}, 1, "faces: 69%"),
    ],
)
def test_the_summary_names_what_bound_the_run(busy_s, waited_s, slowest):
    """The stage with most work after decoding, or decoding when the encoders waited for it; loading is no stage."""
    done = tally(**busy_s)
    done.waited_s = waited_s
    assert display.bound_by(done, 50.0).startswith(slowest)


def test_stages_stand_in_the_order_of_the_work():
    """Loading, decoding, the rest by name, writing last; what never ran is not shown."""
    done = tally(write=1, mfcc=2, decode=4, load=3, faces=1)
    done.busy_s["jina_v3"] = 0.0
    assert [stage for stage, *_ in display.stages(done)] == ["load", "decode", "faces", "mfcc", "write"]
    assert display.stages(done)[1] == ("decode", 4, 20.0, 800)


def test_failures_are_grouped_by_reason():
    """Clips that failed for one reason are one line whatever their files are called; the file with all is named."""
    clips = [kit.clip(f"{name}.wav", id=name) for name in "abc"]
    todo = plan(kit.manifest(Path(), clips), wants("toys", ["toy_audio"]))
    done = tally(mfcc=1)
    reasons = {"a": "a.wav: cut short", "b": "no boxes: b.wav: damaged", "c": "c.wav: cut short"}
    done.failures[todo.entries[0].name] = [Failure(clip, "x", "decode", reason) for clip, reason in reasons.items()]
    lines = list(display.summary(done, 10.0, todo))
    assert "    2 x decode: cut short (first: a)" in lines
    assert "    1 x decode: no boxes: damaged (first: b)" in lines
    assert any(line.endswith("failures.jsonl") and "3 clips failed" in line for line in lines)


@pytest.mark.parametrize(("seconds", "said"), [(3, "3 s"), (119, "119 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_are_said_as_people_say_them(seconds, said):
    """Seconds, then minutes, then hours."""
    assert display.lasting(seconds) == said


def test_plain_lines_come_now_and_then_where_there_is_no_terminal(capsys, monkeypatch):
    """In a log file a line tells clips, speed, queue, failures and the time left."""
    monkeypatch.setattr(display, "PLAIN_LINE_EVERY_S", 0.0)
    with display.progress(16) as show:
        show(tally(mfcc=1), 0.5)
    assert "8/16 clips" in (said := capsys.readouterr().out)
    assert "queue 50% full, 0 failed, about" in said


def test_a_verdict_says_what_was_measured_and_what_it_means():
    """A failed check says which bar was missed and that `fast` is refused."""
    lines = "\n".join(display.verdict_lines(Verdict("x", 3, 30, 0.0, 0.95, 0.9)))
    assert "0.95000 on average (at least 0.999)" in lines
    assert "NOT passed: PRECISION=fast is refused" in lines


def test_a_forecast_measures_and_leaves_no_trace(roots):
    """A trial on the first clips says how long and how large all will be, and the cache is as it was."""
    made = kit.small_corpus(roots / "media")
    todo = plan(made, wants("toys", ["toy_audio", "toy_text"]))
    job = Job(made.root, tuple(entry.want for entry in todo.entries))
    found = forecast(todo, job)
    assert found.clips == 4
    assert 0 < found.wall_s < 60
    assert 1000 < found.disk_bytes < 1e6
    assert not (roots / "features").exists()


def test_a_meter_counts_what_steps_tell():
    """Steps are told with their clips and a limit in proportion to the media; pauses do not count."""
    told = []
    meter = Meter(10, told.append)
    with meter.step("mfcc", ["a", "a", "b"], 3.0, 2) as clock, clock.paused():
        pass
    first, *_ = told
    assert (first.stage, first.clips, first.limit_s) == ("mfcc", ("a", "b"), 50)
    assert told[1:] == [first.number, first, first.number]
    assert (meter.tally.staged_s["mfcc"], meter.tally.units["mfcc"]) == (3.0, 2)
