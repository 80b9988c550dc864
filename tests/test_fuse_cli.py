"""`python -m fuse` as a user meets it."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import fuse_kit
import numpy as np
import pytest

from fuse.__main__ import main

SMALL = ["--corpus", "demo", "--seeds", "1", "--set", "encoders.audio=mfcc", "train.epochs=3"]
pytestmark = pytest.mark.usefixtures("roots")


def test_help_needs_no_torch():
    """--help answers at once: torch is not imported for it."""
    code = "import sys; import fuse.__main__; fuse.__main__.parser().format_help(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_run_ends_with_its_table_and_the_reports_path(roots, capsys):
    """The report, its numbers, predictions and pictures lie in the run's folder, with all that made them."""
    fuse_kit.store(fuse_kit.clips())
    assert main(["concat", *SMALL]) == 0
    out = capsys.readouterr().out
    path = out.strip().splitlines()[-1].removeprefix("report: ")
    assert re.search(r"\| emotion +\| demo +\| test +\| linear floor ", out)
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
        (["lesfa", "--corpus", "demo"], "unknown model or recipe 'lesfa'. Did you mean 'lefsa'?"),
        (["concat", "--corpus", "dmeo"], "unknown corpus 'dmeo'. Did you mean 'demo'?"),
        (["concat", "--corpus", "demo", "--set", "train.lrr=1"], "unknown key 'lrr'. Did you mean 'lr'?"),
        (["concat", "--corpus", "demo"], "has no entry of 'egemaps' (it has: face_hog, mfcc, minilm)"),
        (["lefsa", *SMALL, "modalities=text"], "audio"),
        (["concat", *SMALL, "encoders.audio=mfc"], "no entry of 'mfc'"),
        (["table1", "--corpus", "demo", "--rows", "eleven"], "ROWS: unknown row 'eleven'"),
        (["concat", *SMALL, "train.select=f1"], "train.select: expected one of acc"),
        (["concat", *SMALL, "train.lr=1e30", "train.clip_norm=0"], "is nan; lower train.lr (now 1e+30)"),
        (["concat", "--corpus", "demo", "--eval"], "score_only: expected weights to score, got none; say FROM="),
        (["concat", "--from", "nowhere.pt", *SMALL], "FROM: cannot read nowhere.pt: No such file"),
        (["concat", "--folds", "41", *SMALL, "protocol=random"], "expected a clip for each of 41 folds, got 40"),
        (["sweep", "concat", *SMALL, "--over", "train.lr"], "OVER: expected key=value1,value2"),
        (["compare", "nowhere", "neither"], "nowhere"),
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
    assert {line["clips"] for line in numbers["scores"]["emotion"]["demo"]["test"]} == {8}
    assert numbers["folds"][0]["parts"]["test"]["demo"]["featureless"] == 1
    assert "without any feature" in report.with_name("report.md").read_text()
    assert "note" not in capsys.readouterr().err


def test_a_table_says_what_it_lacks_and_runs_the_rest(capsys):
    """Rows whose features are not here are left out with the command that makes them; the others are trained."""
    fuse_kit.store(fuse_kit.clips())
    tiny = ["train.epochs=1", "config.width=8"]
    assert main(["table1", "--corpus", "demo", "--rows", "1,2", "--set", *tiny]) == 0
    out = capsys.readouterr().out
    assert "row table1-01-wav2vec2-emoaffectnet-jina-bfs is left out" in out
    assert out.index('make features CORPUS=demo ENCODERS="egemaps:windows(3,2,2)"') < out.index("epoch 1")
    rendered = out[out.rindex("Paper 000") :] if "Paper 000" in out else out
    assert "02-exhubert-emoaffectnet-jina-bfs" in rendered
    assert "On demo, mfcc stands in for exhubert." in out


def test_a_table_of_nothing_is_refused(capsys):
    """When no row can be run, everything that is missing is said at once, and nothing is trained."""
    fuse_kit.store(fuse_kit.clips())
    assert main(["table1", "--corpus", "demo", "--rows", "1,3"]) == 2
    assert 'make features CORPUS=demo ENCODERS="egemaps:windows(3,2,2)"' in capsys.readouterr().err


def test_a_sweep_chooses_on_dev(roots, capsys):
    """Every combination stands with its dev score, best first, and one report is written."""
    fuse_kit.store(fuse_kit.clips())
    assert main(["sweep", "concat", *SMALL, "--over", "train.lr=1e-2,1e-9", "config.width=8,16"]) == 0
    out = capsys.readouterr().out
    rows = re.findall(r"^\| (train\.lr=\S+) config\.width=\d+ +\| +([\d.]+) \|", out, re.MULTILINE)
    assert len(rows) == 4
    assert [float(score) for _, score in rows] == sorted((float(score) for _, score in rows), reverse=True)
    assert len(list(roots.glob("**/report.md"))) == 1


def test_runs_are_compared_clip_by_clip(roots, capsys):
    """Two finished runs are laid side by side with the difference and its interval."""
    fuse_kit.store(fuse_kit.clips())
    main(["concat", *SMALL])
    main(["unimodal", *SMALL])
    capsys.readouterr()
    folders = sorted(str(report.parent) for report in roots.glob("**/report.json"))
    assert main(["compare", *folders]) == 0
    out = capsys.readouterr().out
    assert "concat" in out
    assert "unimodal" in out


def test_weights_of_a_run_are_scored_again(roots, capsys):
    """EVAL=1 trains nothing, and the weights of a run score what the run scored."""
    fuse_kit.store(fuse_kit.clips())
    main(["concat", *SMALL, "train.lr=1e-2"])
    (trained,) = roots.glob("**/report.json")
    (state,) = roots.glob("**/seed-0.safetensors")
    assert main(["concat", "--from", str(state), "--eval", *SMALL, "train.lr=1e-2"]) == 0
    assert "scored as it is" in capsys.readouterr().out
    (scored,) = set(roots.glob("**/report.json")) - {trained}
    first, again = (json.loads(report.read_text())["scores"] for report in (trained, scored))
    assert first == again


def test_folds_are_trained_and_told(roots):
    """Random folds: every fold is scored, and the report warns of what leaks."""
    fuse_kit.store(fuse_kit.clips())
    assert main(["concat", "--folds", "3", *SMALL, "protocol=random"]) == 0
    (report,) = roots.glob("**/report.md")
    text = report.read_text()
    assert "LEAK: folds are drawn at random" in text
    assert len(list(report.parent.glob("fold-*-of-3-seed-0.safetensors"))) == 3


def test_the_authors_checkpoint_is_imported_and_scored(roots, capsys):
    """A file with the authors' names, nested as training code nests them, is scored as the model that holds it."""
    import torch

    from fuse.models import lefsa

    fuse_kit.store(fuse_kit.clips())
    shapes = {modality: (t, d) for modality, (_, t, d) in fuse_kit.SHAPES.items()}
    torch.manual_seed(3)
    model = lefsa.Model(lefsa.Config(), shapes, {"emotion": 7, "sentiment": 3})
    with np.load(Path(__file__).parent / "golden" / "lefsa.npz") as golden:
        theirs = json.loads(str(golden["meta"]))["state_dict"]
    ours = model.state_dict()
    state = {name: ours[mine] for name in theirs for mine in lefsa.from_reference({name: torch.zeros(1)})}
    torch.save({"epoch": 7, "model_state_dict": state}, roots / "lefsa.pt")
    torch.save(ours, roots / "ours.pt")
    for file in ("lefsa.pt", "ours.pt"):
        assert main(["lefsa", "--corpus", "demo", "--from", str(roots / file), "--eval", *SMALL[2:]]) == 0
    assert "scored as it is" in capsys.readouterr().out
    first, again = (json.loads(report.read_text())["scores"] for report in roots.glob("**/report.json"))
    assert first == again
    torch.save({**state, "surplus": torch.zeros(1)}, roots / "other.pt")
    assert main(["lefsa", "--corpus", "demo", "--from", str(roots / "other.pt"), "--eval", *SMALL[2:]]) == 2
    assert 'Unexpected key(s) in state_dict: "surplus"' in capsys.readouterr().err
