"""`python -m features`: what it prints, what it exits with, and that a broken cache is a message."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from features import Failure, Key, about
from features.__main__ import main
from features.entries import entries
from features.failures import record

HERE = Path(__file__).parents[1]
COMMANDS = ["ls", "show", "verify", "gc"]
TOY, OTHER = Key("toy", 1, "clip", settings={"tokens": 48}), Key("mfcc", 2, "windows(3,2,2)")


def damage(path):
    """Change one value of a part behind its digest's back."""
    with h5py.File(path, "r+") as file:
        file["frames"][0, 0] = 7


def test_ls(fill, capsys):
    """One line per entry says how much it holds, on which grid, under which licence."""
    fill(TOY, a="1", b="1", licence="CC-BY-4.0")
    fill(OTHER, corpus="other", c="1")
    assert main(["ls"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "corpus entry clips windows MB failed grid licence".split()
    assert lines[1] == ["other", OTHER.name, "1", "1", "0.0", "0", "windows(3,2,2)", "MIT"]
    assert lines[2] == ["toys", TOY.name, "2", "2", "0.0", "0", "clip", "CC-BY-4.0"]


@pytest.mark.parametrize(
    ("arguments", "shown"), [(["toys"], 2), (["toys", "--entry", "mf"], 1), (["--entry", "toy"], 2)]
)
def test_corpus_and_entry_choose(fill, capsys, arguments, shown):
    """A corpus and the start of an entry's name narrow down what a command is about."""
    for key, corpus in ((TOY, "toys"), (OTHER, "toys"), (TOY, "other")):
        fill(key, corpus=corpus, a="1")
    assert main(["ls", *arguments]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + shown


def test_a_failure_that_was_overcome_is_none(fill, capsys):
    """A clip that failed and later succeeded is no failure, neither counted nor shown; one without features is."""
    folder = fill(TOY, a="1").parent
    record(folder, [Failure("a", "1", "decode", "disk"), Failure("b", "1", "encode", "too short", 2)])
    assert main(["ls"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[5] == "1"
    assert main(["show"]) == 0
    out = capsys.readouterr().out
    assert "failed: b at encode, 2 x: too short" in out
    assert "failed: a" not in out


def test_show(fill, capsys):
    """The whole key and what made the parts are printed."""
    folder = fill(TOY, a="1").parent
    assert main(["show"]) == 0
    out = capsys.readouterr().out
    assert all(text in out for text in (str(folder), '"tokens": 48', "1 clips in 1 parts", '{"numpy": "2"}'))


def test_verify_is_0_when_whole(fill, capsys):
    """A whole cache is said to be whole."""
    fill(TOY, a="1")
    fill(TOY, b="1")
    assert main(["verify", "toys"]) == 0
    assert capsys.readouterr().out == "2 parts checked, 0 damaged\n"


def test_verify_is_1_and_names_each_damaged_part(fill, capsys):
    """Every damaged part is named, in whatever way it is damaged, and the others are still checked."""
    paths = [fill(TOY, a="1"), fill(TOY, b="1"), fill(OTHER, c="1")]
    damage(paths[0])
    paths[1].write_bytes(paths[1].read_bytes()[:1000])
    assert main(["verify"]) == 1
    out = capsys.readouterr().out
    assert [str(path) in out for path in paths] == [True, True, False]
    assert "make features" in out
    assert out.endswith("3 parts checked, 2 damaged\n")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing cached there yet"),
        (["meld"], "has no corpus 'meld'; it has: nothing"),
        (["../etc"], "expected the name of a corpus, got '../etc'"),
    ],
)
@pytest.mark.usefixtures("roots")
def test_an_empty_cache_is_a_message(capsys, command, arguments, message):
    """Nothing there, or a corpus that is not, is said in one line on stderr with exit code 2."""
    assert main([command, *arguments]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert message in error


def test_an_unknown_corpus_is_answered_with_the_known(fill, capsys):
    """Whoever mistypes a corpus sees which there are; an entry that is not there is said as well."""
    for corpus in ("demo", "meld"):
        fill(TOY, corpus=corpus, a="1")
    assert main(["ls", "mled"]) == 2
    assert "no corpus 'mled'; it has: demo, meld" in capsys.readouterr().err
    assert main(["ls", "meld", "--entry", "hubert"]) == 2


@pytest.mark.parametrize("command", ["ls", "show", "gc"])
def test_a_damaged_part_is_a_message(fill, capsys, command):
    """A part that cannot be opened stops what needs it with its name and exit code 2."""
    path = fill(TOY, a="1")
    path.write_bytes(b"")
    assert main([command]) == 2
    assert str(path) in capsys.readouterr().err


def test_gc_does_nothing_without_yes(fill, capsys):
    """What can be freed is said, and freed only when told to: duplicates and what a killed run left a day ago."""
    paths = [fill(TOY, a="1"), fill(TOY, a="2", b="1")]
    left = paths[0].with_name(".part-0.h5.0a1b2c3d.tmp")
    left.write_bytes(b"x" * 2_000_000)
    os.utime(left, (0, 0))
    for arguments, freed in (([], "could be freed"), (["--yes"], "freed")):
        assert main(["gc", *arguments]) == 0
        out = capsys.readouterr().out
        assert f"{TOY.name}: 1 duplicate clips, 1 unfinished files, 2.0 MB\n2.0 MB {freed}" in out
        assert left.exists() == (not arguments)
    assert main(["gc"]) == 0
    assert "0 duplicate clips, 0 unfinished" in capsys.readouterr().out


def test_files_that_vanish_meanwhile(fill, capsys, monkeypatch):
    """A listing while an extraction runs survives its files being renamed and removed."""
    ghost = fill(TOY, a="1").with_name(".part-0.h5.0a1b2c3d.tmp")
    glob = Path.glob
    monkeypatch.setattr(
        Path, "glob", lambda self, pattern: [*glob(self, pattern), *[ghost] * (pattern in ("*", ".*.tmp"))]
    )
    assert [main([command]) for command in COMMANDS] == [0] * 4
    assert "Traceback" not in capsys.readouterr().err


def test_as_a_command(fill):
    """The module runs as the README says, with the same exit codes."""
    damage(fill(TOY, a="1"))
    for arguments, code in ((["ls"], 0), (["verify"], 1), (["ls", "nope"], 2), (["--help"], 0), (["mow"], 2)):
        command = [sys.executable, "-m", "features", *arguments]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_a_key_of_strange_words(fill, capsys):
    """A grid that nobody knows, or that would steer a terminal, is shown as text by every command that tells of it."""
    fill(Key("toy", 1, "\x1b[2Jgrid", settings={"\x1bname": "x"}), a="1")
    fill(Key("toy", 2, "clip"), a="1")
    for command in (["ls"], ["show"], ["diff", *(f"toys/{key.name}" for key in entries("toys").values())]):
        assert main(command) in (0, 1)
        assert "\x1b" not in capsys.readouterr().out


def test_du(fill, capsys):
    """Sizes are those of the files, the largest entry first, and the last line is their sum."""
    small, large = fill(TOY, a="1").parent, fill(OTHER, **{f"clip{i}": "1" for i in range(200)}).parent
    assert main(["du"]) == 0
    *lines, total = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == [str(large), str(small)]
    nbytes = sum(path.stat().st_size for folder in (small, large) for path in folder.iterdir())
    assert total.split()[0] == f"{nbytes / 1e6:.1f}"


def test_diff(fill, capsys):
    """The parts of two keys that differ are named with both values, and nothing else is."""
    keys = Key("toy", 1, "clip"), Key("toy", 2, "clip", settings={"layer": 3})
    for key in keys:
        fill(key, a="1")
    names = [f"toys/{key.name}" for key in keys]
    assert main(["diff", *names]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["settings.layer", "(absent)", "|", "3"], ["version", "1", "|", "2"]]
    assert main(["diff", names[0], names[0]]) == 0
    capsys.readouterr()
    assert main(["diff", "toys/toy", names[0]]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in names)


def test_show_says_what_a_methods_section_says(fill, capsys):
    """An entry's making is told in sentences, with whose work it is and the command that makes it again."""
    key = Key(
        "faces", 2, "windows(3,2,2)@fps=10", "float16", "ab" * 32, ("mtcnn-01234567",), "repaired", settings={"px": 224}
    )
    folder = fill(key=key, a="1").parent
    told = {"encoder_does": "Looks at faces.", "command": "make features CORPUS=toys ENCODERS=faces"}
    about.write(folder, told | {"bibtex": {"corpus": "@misc{toys}", "encoder": "@article{faces}"}})
    assert main(["show", "--entry", "faces"]) == 0
    shown = capsys.readouterr().out
    for words in (
        "computed with faces (version 2, SHA-256 abababababababab…, repaired): Looks at faces.",
        "windows of 3 s with a step of 2 s, a tail kept from 2 s on, 10 frames a second.",
        "stored as float16. They build on what mtcnn-01234567 found. Settings: px = 224. Computed with numpy 2",
        "made again by: make features CORPUS=toys ENCODERS=faces",
        "@misc{toys}\n@article{faces}",
    ):
        assert words in shown


@pytest.mark.parametrize(
    "junk", ["\x1b[31mred", "{", "[1]", '{"command": ["\\u001b[2J"]}', '{"bibtex": 3}', "[" * 100_000]
)
def test_what_others_left_obeys_no_terminal(fill, capsys, junk):
    """Whatever stands in about.json or a failure, show prints it without control characters, or does without."""
    folder = fill(a="1").parent
    (folder / about.FILE).write_text(junk)
    record(folder, [Failure("z", "1", "decode", "\x1b]0;title\x07")])
    assert main(["show"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "failed: z" in shown
