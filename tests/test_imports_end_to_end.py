"""Real sets of features that others computed: imported, verified, read as a corpus and trained from, by commands."""

import csv

import pytest
from test_sharing_end_to_end import run

QUICK = ["train.epochs=2", "train.lr=1e-3"]
CODES = "0=neutral,1=calm,2=happy,3=sad,4=anger,5=fear,6=disgust,7=surprise"
pytestmark = pytest.mark.slow


def fuse(corpus, audio, video, *settings):
    """Train `concat` on two entries of a corpus; return what was printed."""
    entries = [f"audio={audio}", f"video={video}"]
    said = ["modalities=audio,video", *QUICK, *settings]
    return run("fuse", "concat", "--corpus", corpus, "--encoders", *entries, "--seeds", "1", "--set", *said)


@pytest.mark.parametrize("shared", ["ravdess-au-mfcc"], indirect=True)
def test_vectors_of_ravdess(shared, roots):
    """1,440 vectors of sound and face in an npz become two entries and a corpus with its speakers."""
    table = roots / "ravdess" / "labels.csv"
    names = ["--as", "audio_mfcc=mfcc_statistics", "video_au=openface_au", "--labels-out", str(table)]
    options = ["--set", "ids=clip", "labels=emotion,actor"]
    out = run(
        "features", "import", "arrays", shared / "ravdess_au_mfcc.npz", "--corpus", "ravdess_au", *names, *options
    )
    assert out.count("1440 clips in") == 2
    assert " 0 damaged" in run("features", "verify", "ravdess_au")
    settings = ["task=emotion8", f"words={CODES}", "columns=label=emotion,speaker=actor", "language=en"]
    said = run("manifests", "folder", "--root", str(table.parent), "--name", "ravdess_au", "--set", *settings)
    assert "1440 clips without media: features only" in said
    report = fuse("ravdess_au", "mfcc_statistics", "openface_au", "protocol=group", "folds=3", "tasks=emotion8")
    assert "| emotion8 | ravdess_au | test  | concat" in report


@pytest.mark.parametrize("shared", ["ict-mmmo-seq"], indirect=True)
def test_sequences_of_ict_mmmo(shared, roots):
    """Padded sequences in files without ids become entries of real steps; words that training lacks are masked."""
    table = roots / "mmmo" / "labels.csv"
    names = ["--as", "audio=covarep", "video=facet", "text=glove", "--labels-out", str(table)]
    files = "files={feature}_{split}_emb.h5,{feature}_{split}.h5"
    options = ["--set", files, "ids={split}_{row:03}", "padding=zeros", "align=audio", "labels=y"]
    out = run("features", "import", "arrays", shared, "--corpus", "ict_mmmo", *names, *options)
    assert (out.count("340 clips in"), out.count("120 clips in")) == (2, 1)
    run("features", "verify", "ict_mmmo")
    with table.open(encoding="utf-8", newline="") as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"train", "dev", "test"}
    settings = ["columns=sentiment_score=y", "middle=3", "language=en"]
    run("manifests", "folder", "--root", str(table.parent), "--name", "ict_mmmo", "--set", *settings)
    report = fuse("ict_mmmo", "covarep", "facet", "protocol=official", "tasks=sentiment_score")
    assert "| sentiment_score | ict_mmmo | test  | concat" in report
