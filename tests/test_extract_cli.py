"""`python -m extract` as a user meets it: what it lists, what it refuses, what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import command_kit
import media_kit as kit
import pytest

import manifests
from extract import __main__ as cli
from extract import encoders
from features.roots import root

TOYS = "toy_audio,toy_frames,toy_text"


@pytest.fixture
def corpus(roots):
    """Make the small corpus and its manifest."""
    made = kit.small_corpus(roots / "media")
    manifests.write(made)
    return made


@pytest.fixture
def words(roots):
    """Make a corpus that has nothing but text."""
    made = kit.manifest(roots, [kit.clip(id=f"t{i}", text=f"sentence {i}") for i in range(40)])
    manifests.write(made)
    return made


def run(capsys, *arguments):
    """Run a command; return its exit code and what it said on both channels."""
    return command_kit.called(cli.main, capsys, arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["encoders", "--help"]])
def test_help(capsys, arguments):
    """Help goes to the standard output and is no failure."""
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert out.startswith("usage: python -m extract")


def test_the_listing_says_what_matters_of_every_encoder(capsys):
    """Each encoder is listed with what it reads, its licence and the first line of its description."""
    code, out, _ = run(capsys, "encoders")
    assert code == 0
    for name in encoders.names():
        (line,) = [line for line in out.splitlines() if line.startswith(f"{name} ")]
        assert encoders.spec(name).reads in line
        assert line.endswith(encoders.spec(name).licence)
        assert encoders.module(name).__doc__.splitlines()[0] in out


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["run", "toys", "--encoders", "mini_lm"], "unknown encoder 'mini_lm'. Did you mean 'minilm'?"),
        (["run", "toys", "--encoders", "mfcc+vad=cat"], "unknown vad 'cat'. Did you mean 'cut'?"),
        (["run", "toys", "--encoders", "mfcc:clips"], "unknown grid 'clips'. Did you mean 'clip'?"),
        (["run", "toys", "--encoders", "mtcnn:windows(0.1,0.1)@fps=10"], "Did you mean 'windows(0.1,0.1,0)@fps=10'?"),
        (["run", "toys", "--split", "trian"], "unknown split 'trian'. Did you mean 'train'?"),
        (["run", "demos"], "unknown corpus 'demos'. Did you mean 'demo'?"),
        (["run", "../toys"], "unknown corpus '../toys'"),
        (["run", "meld"], "where does meld lie? Say ROOT=/its/folder. Expected there:"),
        (["run", "meld", "--root", "/no/such/folder"], "/no/such/folder is not a folder. Expected there:"),
        (["run", "toys", "--limit", "0"], "expected a number from 1, got '0'"),
        (["run", "toys", "--limit", "-2"], "expected a number from 1, got '-2'"),
        (["run"], "corpus"),
        (["rnu", "toys"], "run"),
        ([], "COMMAND"),
    ],
)
def test_what_a_user_gets_wrong(capsys, arguments, answer):
    """A slip is answered on the error channel with what was probably meant or is expected, and exit code 2."""
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert answer in err
    assert not root().exists()


def test_an_unknown_clip_is_named_with_its_file(capsys, corpus, roots):
    """A list of clips with a slip names the list, the clip and the nearest id; a missing list is named too."""
    (roots / "ids.txt").write_text("a\nlong2\n")
    code, _, err = run(capsys, "run", corpus.corpus, "--clips", roots / "ids.txt")
    assert code == 2
    assert f"{roots / 'ids.txt'}: unknown clip 'long2'. Did you mean 'long1'?" in err
    code, _, err = run(capsys, "run", corpus.corpus, "--clips", roots / "none.txt")
    assert code == 2
    assert f"expected a file of clip ids, one a line, got {roots / 'none.txt'}" in err


def test_an_empty_manifest(capsys, roots):
    """A manifest without clips says how to make it again."""
    manifests.write(kit.manifest(roots, []))
    code, _, err = run(capsys, "run", "toys")
    assert code == 2
    assert "make manifest CORPUS=toys" in err


def test_a_dry_run_touches_nothing(capsys, corpus):
    """The plan is printed, and neither the cache nor the manifests nor the corpus change."""
    before = kit.snapshot(corpus.root), kit.snapshot(manifests.folder())
    code, out, _ = run(capsys, "run", "toys", "--encoders", TOYS, "--dry")
    assert code == 0
    assert "9 clips to visit in 1 parts" in out
    assert not root().exists()
    assert (kit.snapshot(corpus.root), kit.snapshot(manifests.folder())) == before


def test_a_dry_run_with_a_root_writes_no_manifest(capsys, roots):
    """Reading a corpus anew for a dry run leaves the manifest unwritten."""
    text = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
    for split in ("train", "dev", "test"):
        (roots / f"{split}_sent_emo.csv").write_text(
            text + '1,Hi,Ross,joy,positive,0,0,1,1,"00:00:01,0","00:00:02,0"\n'
        )
    code, out, err = run(capsys, "run", "meld", "--root", roots, "--encoders", "toy_text", "--dry")
    assert (code, err) == (0, "")
    assert "3 clips to visit" in out
    assert not manifests.path_of("meld").exists()


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(
    ("choice", "clips"),
    [
        (["--limit", "2"], 2),
        (["--split", "dev"], 2),
        (["--split", "train", "--limit", "4"], 4),
        (["--clips", "ids.txt"], 3),
        (["--clips", "ids.txt", "--split", "train"], None),
        (["--clips", "ids.txt", "--limit", "1"], 1),
    ],
)
def test_a_choice_of_clips(capsys, monkeypatch, roots, choice, clips):
    """LIMIT, SPLIT and CLIPS choose; a clip of another split than the chosen one is an error."""
    monkeypatch.chdir(roots)
    (roots / "ids.txt").write_text("long0\n\nb\ntext1\n")
    code, out, err = run(capsys, "run", "toys", "--encoders", TOYS, "--dry", *choice)
    if clips is None:
        assert (code, "unknown clip 'b'" in err) == (2, True)
    else:
        assert f"\n{clips} clips to visit" in out


def test_a_corpus_of_features_alone(capsys, roots):
    """Of clips that have neither media nor words nothing can be extracted, and a run says so."""
    manifests.write(kit.manifest(roots, [kit.clip(id="a"), kit.clip(id="b")]))
    code, out, _ = run(capsys, "run", "toys", "--encoders", TOYS)
    assert code == 0
    assert re.search(r"nothing to do: no chosen clip has audio.*only the features that were imported", out)


def test_the_summary_of_a_run(capsys, corpus):
    """A run says how many clips, seconds and files it took and how fast; what failed is named, also next time."""
    (corpus.root / "s.wav").write_bytes(b"broken")
    code, out, err = run(capsys, "run", "toys", "--encoders", TOYS)
    assert code == 1
    assert "9 clips, " in out
    assert "media seconds per second; 7 files opened" in out
    assert "1 x decode: expected a whole film or sound file" in out
    assert "11.1% of the clips failed, more than 5% (MAX_FAILED)" in err
    code, out, _ = run(capsys, "run", "toys", "--encoders", TOYS)
    assert code == 0
    assert "1 clips failed before and are left out; RETRY=1 tries them again" in out
    assert "nothing to do: what is not in the cache failed before. 0 media files opened." in out


@pytest.mark.usefixtures("words")
def test_text_alone_is_measured_in_clips(capsys):
    """A corpus without media says clips a second, not zero media seconds."""
    code, out, err = run(capsys, "run", "toys", "--encoders", "toy_text")
    assert (code, err) == (0, "")
    assert re.search(r"40 clips in \d+ s: ", out)
    assert "clips per second; 0 files opened" in out
    assert "media" not in out


@pytest.mark.usefixtures("words")
def test_a_cache_that_cannot_be_written(capsys, roots):
    """A file lies where the cache should be: the message names it, says that nothing is lost, and is no stack trace."""
    (roots / "features").write_text("in the way")
    code, _, err = run(capsys, "run", "toys", "--encoders", "toy_text")
    assert code == 3
    assert str(roots / "features" / "toys") in err
    assert "What was written before is whole; run the same again." in err


@pytest.mark.usefixtures("words")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache(capsys):
    """A cache without the right to write is named in the same way."""
    root().mkdir()
    root().chmod(0o500)
    code, _, err = run(capsys, "run", "toys", "--encoders", "toy_text")
    assert code == 3
    assert "Permission denied" in err


@pytest.mark.usefixtures("words")
def test_the_real_command_imports_no_network_for_toys():
    """In a process of its own the command works from the checkout, and without a network to load it needs no torch."""
    script = "import sys; from extract.__main__ import main; sys.exit(main(sys.argv[1:]) or 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, "run", "toys", "--encoders", "toy_text"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "40 windows" in done.stdout


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize("device", ["nonsense", "cuda:77"])
def test_a_device_that_is_not_there_is_a_word(device, capsys):
    """A device that torch does not know, or the machine does not have, is refused before anything is loaded."""
    code, _, err = run(capsys, "run", "toys", "--encoders", "minilm", "--device", device)
    assert (code, f"--device {device}: " in err) == (2, True)


@pytest.mark.usefixtures("corpus")
def test_a_share_that_is_no_number_is_refused_before_the_work(monkeypatch, capsys):
    """MAX_FAILED=5% is answered at once, not after a night."""
    monkeypatch.setenv("MAX_FAILED", "5%")
    code, _, err = run(capsys, "run", "toys", "--encoders", "toy_text")
    assert (code, "expected a share from 0 to 1, got '5%'" in err) == (2, True)
    assert not root().exists()
