"""Runs leave notes beside the entries, and whoever sees the cache sees how far they are."""

import time
from dataclasses import replace

import fault_kit as faults
import pytest

from extract import __main__ as cli
from extract import status
from extract.plan import plan, wants
from extract.tally import Tally
from features import runs
from features.roots import corpora, root
from features.runs import Run


@pytest.fixture
def run():
    """Return a run that is going on."""
    now = time.time()
    return Run("0123", now - 100, now, {"mfcc-00000000": 40}, clips=40, done=10, failed=1, media_s=50.0)


@pytest.mark.usefixtures("roots")
def test_a_note_is_read_back(run):
    """What a run notes is what others read; a corpus of notes alone is no corpus of features."""
    runs.note("toys", run)
    assert runs.noted("toys") == [run]
    assert corpora() == []


def test_a_run_knows_its_state_and_what_is_left(run):
    """Ten of forty clips in 100 s leave 300 s; a run that is silent for an hour is taken for dead."""
    assert (run.state, run.left_s) == ("running", pytest.approx(300, rel=0.01))
    assert replace(run, noted=time.time() - 3600).state == "no sign of life for 60 min"
    assert replace(run, ended=True).state == "ended"
    assert replace(run, done=0).left_s is None


@pytest.mark.usefixtures("roots")
def test_notes_of_ended_and_dead_runs_go_and_damaged_ones_are_passed_over(run):
    """A new run sweeps up; what is no note is left alone and harms nobody."""
    runs.note("toys", run)
    runs.note("toys", replace(run, id="ended", ended=True))
    runs.note("toys", replace(run, id="dead", noted=0.0))
    (root() / "toys" / runs.FOLDER / "odd.json").write_text("{")
    (root() / "toys" / runs.FOLDER / "old.json").write_text('{"id": 3}')
    assert len(runs.noted("toys")) == 3
    runs.forget("toys")
    assert [note.id for note in runs.noted("toys")] == ["0123"]


def test_a_cache_that_cannot_be_noted_in_stops_nobody(roots, run):
    """A note is a kindness: where there is no room for it the run goes on."""
    (roots / "features").write_text("in the way")
    runs.note("toys", run)
    assert runs.noted("toys") == []


def test_status_tells_of_a_run_from_the_cache_alone(roots, capsys):
    """Another machine that only sees the cache is told entries, clips, failures and the end of the run."""
    faults.films(roots / "media", files=1)
    assert faults.run(roots / "features").returncode == 0
    for path in (roots / "media").iterdir():
        path.unlink()
    assert cli.main(["status", "toys"]) == 0
    said = capsys.readouterr().out
    assert "toy_audio-" in said
    assert "ended; 33/33 clips" in said


def test_a_run_notes_its_progress(roots, monkeypatch):
    """Now and then a run notes how far it is, and at its end that it ended; one that is killed stays unended."""
    monkeypatch.setattr(status, "NOTE_EVERY_S", 0.0)
    todo = plan(faults.films(roots / "media", files=1), wants("toys", ["toy_text"]))
    with status.noting(todo) as note:
        note(Tally(clips=5, media_s=2.5))
        (run,) = runs.noted("toys")
        assert (run.done, run.clips, run.state) == (5, 33, "running")
    assert runs.noted("toys")[0].ended
