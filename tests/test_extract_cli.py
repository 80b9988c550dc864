"""`python -m extract` as a user meets it."""

import subprocess
import sys

import pytest
import work_kit as kit

from extract import encoders
from extract.__main__ import main
from manifests import Manifest

RUN = ["run", "demo", "--encoders", "toy_text"]


@pytest.fixture
def corpus(roots):
    """The small corpus, with roots of its own."""
    return kit.corpus(roots, films=2)


def test_help_is_real():
    """--help of the command and of run say what there is and show an example."""
    for arguments in (["--help"], ["run", "--help"]):
        done = subprocess.run([sys.executable, "-m", "extract", *arguments], capture_output=True, text=True, check=True)
        assert "usage: python -m extract" in done.stdout
    assert "--retry" in done.stdout


def test_encoders_are_listed_with_their_licence(capsys):
    """Every encoder has a row with its output and licence, and the line that says what it is."""
    assert main(["encoders"]) == 0
    out = capsys.readouterr().out
    for name in encoders.names():
        assert name in out
        assert encoders.spec(name).licence in out
    assert "48 x 384" in out


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "demo", "--encoders", "minlm"], "unknown encoder 'minlm'. Did you mean 'minilm'?"),
        (["run", "demo", "--encoders", "mfcc:clp"], "mfcc: unknown grid 'clp'. Did you mean 'clip'?"),
        (["run", "mled", *RUN[2:]], "unknown corpus 'mled'. Did you mean 'meld'?"),
        (["run", "meld", *RUN[2:]], "Expected there:\nROOT/"),
        (["run", "meld", *RUN[2:], "--root", "/nowhere"], "/nowhere is not a folder. Expected there:"),
        ([*RUN, "--split", "tset"], "unknown split 'tset'. Valid: dev, train"),
        ([*RUN, "--clips", "nothing.txt"], "nothing.txt"),
    ],
)
def test_a_mistake_is_a_message(arguments, message, capsys):
    """Wrong names are answered with the nearest, a missing root with its tree; no stack trace, exit code not zero."""
    assert main(arguments) in (2, 3)
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("corpus")
def test_dry_says_what_would_be_done_and_does_nothing(roots, capsys):
    """The plan names the entries and counts; no folder appears."""
    assert main([*RUN, "--dry"]) == 0
    out = capsys.readouterr().out
    assert "toy_text-" in out
    assert "6 clips to visit in 1 parts" in out
    assert not (roots / "features").exists()


@pytest.mark.usefixtures("corpus")
def test_choosing_clips(roots, capsys):
    """--limit, --split and --clips narrow what is done; a clip that is not there is named."""
    main([*RUN, "--split", "dev", "--dry"])
    main([*RUN, "--limit", "3", "--dry"])
    (roots / "ids.txt").write_text("film1\nwords2\n")
    main([*RUN, "--clips", str(roots / "ids.txt"), "--dry"])
    visits = [line for line in capsys.readouterr().out.splitlines() if "to visit" in line]
    assert [line.split()[0] for line in visits] == ["1", "2", "2"]
    (roots / "ids.txt").write_text("film9\n")
    assert main([*RUN, "--clips", str(roots / "ids.txt")]) == 2
    assert "unknown clip 'film9'. Did you mean 'film" in capsys.readouterr().err


@pytest.mark.usefixtures("corpus")
def test_words_alone_are_counted_in_clips(capsys):
    """Where no media is read, the speed is in clips per second."""
    assert main(RUN) == 0
    assert "clips per second; 0 files opened" in capsys.readouterr().out


def test_an_empty_manifest_is_a_clear_word(corpus, capsys):
    """A manifest without clips names the command that makes it."""
    kit.save(Manifest("demo", corpus.root, ()))
    assert main(RUN) == 2
    assert "holds no clip; make it again: make manifest CORPUS=demo" in capsys.readouterr().err


@pytest.mark.usefixtures("corpus")
def test_a_cache_that_cannot_be_written_is_a_clear_word(roots, capsys):
    """A file in the folder's place: one error that says what stands and how to go on."""
    (roots / "features").write_text("in the way")
    assert main(RUN) == 3
    assert "cannot go on" in capsys.readouterr().err
