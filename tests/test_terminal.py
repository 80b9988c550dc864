"""What commands write where: lines through a pipe, no colours where NO_COLOR is set, progress on a terminal."""

import itertools
import os
import pty
import re
import shlex
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import tree_kit

import manifests
from features import waiting

ROOT = Path(__file__).parents[1]
CONTROL = re.compile(r"[^\n\t -\x7e\xa0-\U0010ffff]")
"""What no file of lines has: escapes, returns, bells."""
COLOUR = re.compile(r"\x1b\[[\d;]*m")
OVER = re.compile(r"\x1b|\r(?!\r*\n)")
"""What draws over a line; a terminal itself ends each with a return."""
MANIFEST = "manifests folder --root {media} --name mine --set licence=ours 'shared=labels features'"
FUSE = "fuse concat --corpus mine --seeds 1 --set modalities=audio encoders.audio=toy_audio"
FUSE += " tasks=emotion train.epochs=2"
COMMANDS = [
    MANIFEST,
    "manifests doctor mine --deep",
    "extract encoders",
    "extract run mine --encoders toy_audio --dry",
    "features verify",
    "features push {new} mine",
    "features pull {lab} mine",
]
SLOW = [
    "manifests --list",
    "manifests about folder",
    "manifests audit mine",
    "manifests table mine",
    "manifests doctor nowhere",
    "extract status mine",
    "extract stale mine",
    "features ls",
    "features show mine",
    "features du",
    "features gc",
    "features push {lab} nowhere",
]
TRAINING = [
    FUSE,
    FUSE.replace("concat", "unimodal"),
    "fuse compare {runs}/*-mine-*",
    FUSE.replace("concat", "sweep concat") + " --over train.lr=1e-2,1e-3",
]
LONG = [
    ("extract run mine --encoders toy_audio --dry", "extract.__main__.plan", "looking for what mine lacks"),
    ("extract run mine --encoders toy_audio:clip --dry", "extract.__main__.forecast", "trying the first clips"),
    ("extract run mine --encoders toy_audio --dry", "manifests.read", "reading the manifest of mine"),
    ("extract run folder --root {media} --encoders toy_audio --split none --dry", "manifests.again", "reading folder"),
    ("extract check toy_audio --corpus mine --weights random:0", "extract.trial.check", "toy_audio: alone"),
    ("extract status mine", "extract.status.recorded", "reading the cache"),
    ("extract stale mine", "extract.stale.entries", "comparing corpora: 0 of 1"),
    ("extract stale mine --deep", "extract.sources.digest", "looking at media: "),
    ("features push {new} mine --dry", "features.share.chosen", "looking at what "),
    ("features push {new} mine --dry", "features.share.lacks", "looking at what "),
    ("features push {new} mine --dry", "features.share.licence_at", "reading whose terms hold"),
    ("features pull {lab} mine --dry", "features.share.lacks", "looking at what "),
    ("features gc mine", "features.__main__.Reader", "looking through toy_audio-"),
    ("features ls mine", "features.look.Reader", "reading the cache"),
    ("features export parquet {new} --corpus mine", "features.parquet.write", "writing "),
    ("manifests table mine", "manifests.__main__.read", "reading the manifest of mine"),
    ("manifests audit mine", "manifests.audit.audit", "comparing the splits of mine"),
    ("fuse concat --corpus nowhere", "fuse.recipe.table", "looking for what is to be trained from"),
    ("fuse page mine --out {new}", "fuse.overview.read", "making the page"),
    ("fuse predict {runs} {media}", "fuse.trained.read", "predicting"),
]
"""Commands that take long on a large corpus, what takes long in them, and what is said of it."""
NEW = itertools.count()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a lab's folder of clips, with a manifest and a cache of it, as values for commands."""
    top = tmp_path_factory.mktemp("terminal")
    for split in ("train", "dev", "test"):
        for number, word in enumerate(("anger", "happy", "neutral", "sad")):
            tree_kit.wav(top / "media" / split / word / "one.wav", hz=200 + 90 * number)
    piped(MANIFEST, top)
    piped("extract run mine --encoders toy_audio", top)
    piped("features push {lab} mine", top)
    return top


def started(command, top, **said):
    """Return the words of a command and the environment in which it runs."""
    names = {name: str(top / name) for name in ("media", "lab", "features", "manifests", "runs", "demo")}
    names["new"] = str(top / f"new-{next(NEW)}")
    words = [str(word) for part in shlex.split(command.format(**names)) for word in expanded(part)]
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}}
    environment |= {f"{name.upper()}_ROOT": folder for name, folder in names.items()} | said
    return [sys.executable, "-W", "ignore", "-m", *words], environment


def ends(command):
    """Return how a command may end: what asks for what is nowhere is refused."""
    return {2} if "nowhere" in command else {0, 1}


def expanded(word):
    """Return what a shell makes of a word that may have stars."""
    return sorted(Path(word).parent.glob(Path(word).name)) if "*" in word else [word]


def piped(command, top):
    """Run a command whose output and errors go into one pipe; return what came out."""
    words, environment = started(command, top, TERM="xterm-256color")
    done = subprocess.run(
        words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode in ends(command), done.stdout
    return done.stdout


def at_a_terminal(command, top, **said):
    """Run a command on a terminal of its own; return everything that was written there."""
    words, environment = started(command, top, **{"TERM": "xterm-256color", **said})
    ours, its = pty.openpty()
    with subprocess.Popen(words, env=environment, cwd=ROOT, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        written = drained(ours)
    assert process.returncode in ends(command), written
    return written


def drained(terminal):
    """Read a terminal until nobody writes to it any more."""
    found = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:  # so a terminal says that its other side is closed
            more = b""
        if not more:
            os.close(terminal)
            return found.decode()
        found += more


def left(written):
    """Return the lines that stand on a terminal in the end."""
    lines = []
    for line in written.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return lines


def lines_alone(command, place):
    """Look at a command through a pipe, and on a terminal that shall have no colours."""
    said = piped(command, place)
    assert said.strip()
    assert CONTROL.findall(said) == []
    assert COLOUR.findall(at_a_terminal(command, place, NO_COLOR="1")) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_writes_lines(command, place):
    """Through a pipe comes no control character, on a terminal with NO_COLOR no colour."""
    lines_alone(command, place)


@pytest.mark.slow
@pytest.mark.parametrize("command", SLOW)
def test_every_command_writes_lines(command, place):
    """So do all others, mistakes among them."""
    lines_alone(command, place)


@pytest.mark.slow
def test_training_writes_lines(place):
    """So do commands that train, sweep and compare, one after another."""
    for command in TRAINING:
        lines_alone(command, place)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["help", "about CORPUS=demo", "status CORPUS=demo"])
def test_make_writes_lines(target):
    """What make adds to a command is lines, too."""
    if not (ROOT / ".venv" / "ready").exists():
        pytest.skip(".venv is not set up by make setup, and this would do it")
    done = subprocess.run(["make", *target.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert CONTROL.findall(done.stdout + done.stderr) == []


@pytest.mark.parametrize(
    ("said", "draws", "colours"),
    [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, False, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_a_run_draws_where_it_can(place, tmp_path, said, draws, colours):
    """Extraction draws a table on a terminal, without colours where they are not wanted, and not on a dumb one."""
    written = at_a_terminal("extract run mine --encoders toy_audio", place, FEATURES_ROOT=str(tmp_path), **said)
    assert "12 clips" in written
    assert (bool(OVER.search(written)), bool(COLOUR.search(written))) == (draws, colours)


@pytest.mark.parametrize("command", ["features verify", "manifests audit mine"])
def test_progress_is_for_terminals(command, place):
    """What is drawn over on a terminal is gone when the command ends, and never there on a dumb one."""
    drawn = at_a_terminal(command, place)
    assert OVER.search(drawn)
    assert "\x1b" not in drawn
    dumb = at_a_terminal(command, place, TERM="dumb")
    assert OVER.findall(dumb) == []
    assert left(drawn) == left(dumb)


def test_a_copy_shows_how_far_it_is(place):
    """Megabytes are counted on a terminal, and are gone when the copy is there."""
    drawn = at_a_terminal("features push {new} mine", place)
    assert "MB/s" in drawn
    assert "MB/s" not in "".join(left(drawn))


@pytest.fixture
def shown(monkeypatch):
    """Return a function that does something whose errors go to a terminal, and returns what is written there."""
    monkeypatch.setenv("TERM", "xterm")

    def show(doing):
        ours, its = pty.openpty()
        with os.fdopen(its, "w") as errors, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", errors)
            doing()
        return drained(ours)

    return show


def slower(module, name, monkeypatch):
    """Let a function take its time; what it does, it does."""
    quick = getattr(module, name)

    def slow(*arguments, **options):
        time.sleep(0.15)
        return quick(*arguments, **options)

    monkeypatch.setattr(module, name, slow)


@pytest.mark.parametrize(("command", "lasts", "told"), LONG, ids=[f"{one[0]}, {one[1]}" for one in LONG])
def test_no_command_is_silent_for_long(command, lasts, told, place, shown, monkeypatch, capsys):
    """Whatever takes long on a large corpus, a terminal is told what is being waited for, and nothing of it stays."""
    words, environment = started(command, place)
    main = import_module(f"{words[4]}.__main__").main
    module, _, name = lasts.rpartition(".")
    slower(import_module(module), name, monkeypatch)
    monkeypatch.setattr(waiting, "SILENT_S", 0.01)
    for variable in (each for each in environment if each.endswith("_ROOT")):
        monkeypatch.setenv(variable, environment[variable])
    written = shown(lambda: main(words[5:]))
    assert told in written
    assert not [line for line in left(written)[:-1] if told in line]
    assert told not in capsys.readouterr().out


def test_media_are_counted(place, shown, monkeypatch):
    """Of many files that are read, a terminal is told how many were."""
    sources = import_module("extract.sources")
    monkeypatch.setattr(sources, "FILES_AT_ONCE", 1)
    monkeypatch.setattr(sources, "THREADS", 1)
    monkeypatch.setattr(waiting, "SILENT_S", 0.01)
    monkeypatch.setattr(waiting, "AGAIN_S", 0.2)  # a terminal that nobody reads yet takes some kilobytes
    monkeypatch.setenv("RUNS_ROOT", str(place / "elsewhere"))
    monkeypatch.setenv("MANIFESTS_ROOT", str(place / "manifests"))
    slower(sources, "digest", monkeypatch)
    manifest = manifests.read("mine")
    written = shown(lambda: sources.Sources(manifest).of(manifest.clips, "audio"))
    counts = [int(count) for count in re.findall(r"looking at media: (\d+) of 12 files", written)]
    assert counts == sorted(counts)
    assert len({*counts}) > 2


def slowly():
    """Come after a while, then fail."""
    time.sleep(0.1)
    yield 1
    time.sleep(0.1)
    raise ValueError("no more")


def test_what_takes_long_is_told(shown, monkeypatch):
    """After some silence a terminal is told what is going on; nothing of it stays, also where that fails."""
    monkeypatch.setattr(waiting, "SILENT_S", 0.01)
    came = []

    def wait():
        with pytest.raises(ValueError, match="no more"):
            came.extend(waiting.awaited(slowly(), "reading"))

    written = shown(wait)
    assert came == [1]
    assert "\rreading: 0 s" in written
    assert left(written) == [""]


def test_what_is_quick_is_not_told(shown):
    """Nobody is told of what is over before one could wonder."""
    assert shown(lambda: list(waiting.awaited(iter("ab"), "reading"))) == ""
