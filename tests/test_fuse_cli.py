"""`python -m fuse` as a user meets it."""

import dataclasses
import json
import subprocess
import sys

import fuse_kit
import pytest

from fuse.__main__ import main

SMALL = ["--corpus", "demo", "--seeds", "1", "--set", "encoders.audio=mfcc", "train.epochs=3"]
pytestmark = pytest.mark.usefixtures("roots")


def test_help_needs_no_torch():
    """--help answers at once: torch is not imported for it."""
    code = "import sys; from fuse.__main__ import _parser; _parser().format_help(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_run_ends_with_its_table_and_the_reports_path(roots, capsys):
    """The report, its numbers, predictions and pictures lie in the run's folder, with all that made them."""
    fuse_kit.store(fuse_kit.clips())
    assert main(["concat", *SMALL]) == 0
    out = capsys.readouterr().out
    path = out.strip().splitlines()[-1].removeprefix("report: ")
    assert "| emotion   | test  | linear floor |" in out
    folder = roots / path.rpartition("/")[0]
    names = {file.name for file in folder.iterdir()}
    assert {"report.md", "report.json", "predictions.csv", "curves.png", "confusion_emotion.png"} <= names
    made = json.loads((folder / "report.json").read_text())["provenance"]
    assert made["features"]["audio"].startswith("mfcc-")
    assert made["recipe"]["train"]["epochs"] == 3
    assert made["seeds"] == [0]


def test_the_same_command_trains_nothing_again(capsys):
    """A finished run is found by what it is; another setting is another run; FRESH trains again."""
    fuse_kit.store(fuse_kit.clips())
    main(["concat", *SMALL])
    first = capsys.readouterr().out
    main(["concat", *SMALL])
    again = capsys.readouterr().out
    assert "already trained" in again
    assert first.splitlines()[-1] == again.splitlines()[-1]
    main(["concat", *SMALL, "--fresh"])
    assert "already trained" not in capsys.readouterr().out
    main(["concat", *SMALL, "train.lr=1e-2"])
    assert "already trained" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lefas", "--corpus", "demo"], "unknown model or recipe 'lefas'. Did you mean 'lefsa'?"),
        (["concat", "--corpus", "dmeo"], "unknown corpus 'dmeo'. Did you mean 'demo'?"),
        (["concat", "--corpus", "demo", "--set", "train.lrr=1"], "unknown key 'lrr'. Did you mean 'lr'?"),
        (["concat", "--corpus", "demo"], "has no entry of 'egemaps' (it has: face_hog, mfcc, minilm)"),
        (["lefsa", *SMALL, "modalities=text"], "audio"),
        (["concat", *SMALL, "encoders.audio=mfc"], "no entry of 'mfc'"),
        (["concat", *SMALL, "encoders.audio.corpus=meld"], "no entry of 'mfcc' with corpus=meld"),
        (["lefsa", *SMALL, "config.heads=3"], "a width that its heads share evenly, got 256 and 3"),
    ],
)
def test_a_mistake_is_a_message(arguments, message, capsys):
    """Wrong names, keys, entries and modalities: exit code 2, a word that helps, no stack trace."""
    fuse_kit.store(fuse_kit.clips())
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_no_manifest_names_the_command(capsys):
    """Without a manifest the command that makes it is named."""
    assert main(["concat", "--corpus", "meld"]) == 2
    assert "make manifest CORPUS=meld ROOT=" in capsys.readouterr().err


def test_one_class_only_is_a_clear_word(capsys):
    """A corpus that can teach nothing is refused before the first step."""
    calm = [dataclasses.replace(clip, labels=fuse_kit.clips()[0].labels) for clip in fuse_kit.clips()]
    fuse_kit.store(calm)
    assert main(["concat", *SMALL]) == 2
    assert "task 'emotion': one class only among 24 training clips" in capsys.readouterr().err


def test_scores_cover_every_clip(roots, capsys):
    """A test clip without any feature is scored as the training majority and counted beside the score."""
    fuse_kit.store(fuse_kit.clips(), missing=lambda modality, clip: clip.id == "test_3")
    assert main(["concat", *SMALL]) == 0
    (report,) = roots.glob("**/report.json")
    numbers = json.loads(report.read_text())
    assert {line["clips"] for line in numbers["scores"]["emotion"]["test"]} == {8}
    assert numbers["parts"]["test"]["featureless"] == 1
    assert "without any feature" in report.with_name("report.md").read_text()
    assert "note" not in capsys.readouterr().err
