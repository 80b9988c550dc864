"""An encoder is measured on the user's own clips before hours rest on it, and `fast` is refused where it fails."""

import json

import media_kit as kit
import pytest

import manifests
from extract import __main__ as cli
from extract import trial
from extract.plan import plan, wants
from features.roots import root


@pytest.fixture
def corpus(roots):
    """Make the small corpus and its manifest."""
    made = kit.small_corpus(roots / "media")
    manifests.write(made)
    return made


def test_units_are_what_the_whole_way_gives(corpus):
    """What an encoder is checked on is what an extraction would give it, and the cache is not touched."""
    units = trial.gathered(corpus, wants("toys", ["toy_audio"]), ["long0", "long1"], "cpu")
    assert [(len(sound), real) for sound, real in units] == [(48_000, 24_000), (48_000, 32_000)]
    assert not root().exists()


@pytest.mark.usefixtures("corpus")
def test_check_measures_and_remembers(capsys):
    """The real MiniLM bears bfloat16 on real sentences: the command says so, and a run need not measure again."""
    assert cli.main(["check", "minilm", "--corpus", "toys"]) == 0
    assert "passed" in capsys.readouterr().out
    (want,) = wants("toys", ["minilm"], "fast")
    verdict = trial.known(want, "cpu")
    assert verdict is not None
    assert verdict.passed
    assert cli.main(["run", "toys", "--encoders", "minilm", "--precision", "fast"]) == 0
    assert "measuring" not in capsys.readouterr().out


@pytest.mark.usefixtures("corpus")
def test_what_fails_the_check_is_refused(capsys):
    """Where fast was measured to be unlike exact, the run ends before it begins, with the figures and the way out."""
    (want,) = wants("toys", ["minilm"], "fast")
    place = trial._place(want, "cpu")
    place.parent.mkdir(parents=True)
    poor = {"encoder": "minilm", "units": 4, "steps": 40, "neighbours": 0.0, "mean": 0.98, "worst": 0.9}
    place.write_text(json.dumps(poor))
    assert cli.main(["run", "toys", "--encoders", "minilm", "--precision", "fast"]) == 2
    said = capsys.readouterr().err
    assert "0.98000 on average (at least 0.999)" in said
    assert "PRECISION=exact is always right" in said
    assert not list(root().glob("toys/*/part-*.h5"))


def test_a_run_measures_what_nobody_has_measured(corpus):
    """The first fast run checks its encoder on its own clips, and leaves a verdict; a damaged one is none."""
    said = []
    todo = plan(corpus, wants("toys", ["minilm", "toy_text"], "fast"))
    trial.refuse_unlike(todo, "cpu", said.append)
    assert said == ["minilm: measuring PRECISION=fast on your clips, once"]
    trial.refuse_unlike(todo, "cpu", said.append)
    assert len(said) == 1
    trial._place(todo.entries[0].want, "cpu").write_text("{")
    assert trial.known(todo.entries[0].want, "cpu") is None


def test_clips_without_the_modality_cannot_be_checked_on(corpus):
    """Nothing to encode is answered with what to do."""
    with pytest.raises(ValueError, match="give toy_audio nothing to encode; name others"):
        trial.tried(corpus, wants("toys", ["toy_audio"]), ["text0"], "cpu")
