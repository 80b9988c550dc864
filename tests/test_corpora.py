"""Every corpus, as its own generator lays it on a disk: what all readers have in common, and the way to a report."""

import importlib
import json
import os
import shutil
from functools import partial
from pathlib import Path

import command_kit
import pytest
import tree_kit

import manifests
from manifests import corpus_module, corpus_names, expected, scan
from manifests.labels import TASKS
from manifests.licence import PARTS, Licence

CORPORA = tuple(name for name in corpus_names() if name != "demo")  # which makes itself, and has a file of its own


@pytest.fixture(scope="module")
def laid(tmp_path_factory):
    """The tree of each corpus, laid down when first asked for; whoever changes one copies it."""
    trees = {}

    def lay(corpus):
        if corpus not in trees:
            trees[corpus] = tmp_path_factory.mktemp(corpus) / "root"
            trees[corpus].mkdir()
            generator(corpus).lay(trees[corpus])
        return trees[corpus]

    return lay


def generator(corpus):
    """Import the generator of a corpus' tree."""
    return importlib.import_module(f"trees.{corpus}")


def found(corpus, root):
    """Read a tree with the options that its generator asks for."""
    return scan(corpus, root, getattr(generator(corpus), "OPTIONS", {}))


def placeless(clips, prefix=""):
    """Return the rows of clips without where their files lie."""
    rows = [clip.to_row() for clip in clips]
    for row in rows:
        for stream in ("audio", "video"):
            if stream in row:
                assert row[stream]["path"].startswith(prefix)
                row[stream] = {**row[stream], "path": row[stream]["path"].removeprefix(prefix).lower()}
        for series in row.get("series", {}).values():
            assert all(path.startswith(prefix) for path in series["paths"])
            series["paths"] = [path.removeprefix(prefix).lower() for path in series["paths"]]
    return rows


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_reader_tells_what_it_is(corpus):
    """Each has its terms, its tree, its quirks in words, and counts that can be read."""
    module = corpus_module(corpus)
    about = module.__doc__
    assert isinstance(module.LICENCE, Licence)
    assert set(module.LICENCE.shared) <= set(PARTS)
    assert module.TREE.startswith("ROOT/")
    assert "\n\nLayout: " in about
    assert "\nQuirks:\n- " in about
    assert (module.BIBTEX == "") == (corpus == "folder")
    for words, count in getattr(module, "EXPECTED", {}).items():
        assert expected.count((), words) == 0
        assert count > 0
    assert all(reason for reason in getattr(module, "KNOWN_BAD", {}).values())


@pytest.mark.parametrize("corpus", CORPORA)
def test_what_a_reader_finds_is_there(corpus, laid):
    """Every named file exists and is no pointer or empty, every label is of a task, and what is missing is flagged."""
    root = laid(corpus)
    clips = found(corpus, root).manifest.clips
    assert len({clip.split for clip in clips} - {"all"}) != 1
    for clip in clips:
        assert clip.corpus == corpus
        assert clip.licence != "unknown" or corpus == "folder"
        assert set(clip.labels) <= set(TASKS)
        assert clip.label_kind or not clip.labels
        for path in (path for track in clip.tracks for path in track.paths):
            content = (root / path).read_bytes()
            assert content
            assert not content.startswith(b"version https://git-lfs")
            assert not Path(path).name.startswith("._")
    labelled = [clip for clip in clips if clip.labels]
    assert len(labelled) > len(clips) / 2
    assert any(clip.audio for clip in clips)


@pytest.mark.parametrize("corpus", CORPORA)
def test_wrapper_folders_and_letters_do_not_matter(corpus, laid, tmp_path):
    """The same clips come from one folder deeper, and from a copy whose folders were written in capitals."""
    root = laid(corpus)
    clips = found(corpus, root).manifest.clips
    shutil.copytree(root, tmp_path / "outer" / "wrapper", symlinks=True)
    assert placeless(found(corpus, tmp_path / "outer").manifest.clips, "wrapper/") == placeless(clips)
    if corpus != "folder":  # whose folders are labels and whose table names its files
        shutil.copytree(root, tmp_path / "capitals", symlinks=True)
        for folder in sorted((path for path in (tmp_path / "capitals").rglob("*") if path.is_dir()), reverse=True):
            folder.rename(folder.with_name(folder.name.upper()))
        assert placeless(found(corpus, tmp_path / "capitals").manifest.clips) == placeless(clips)


@pytest.mark.parametrize("corpus", CORPORA)
def test_what_an_archiver_left_behind_changes_nothing(corpus, laid, tmp_path):
    """Beside every file lies its resource fork, and folders hold what file managers put there."""
    root = laid(corpus)
    clips = found(corpus, root).manifest.clips
    shutil.copytree(root, tmp_path / "forked", symlinks=True)
    for path in [path for path in (tmp_path / "forked").rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(tree_kit.FORK)
        path.with_name(".DS_Store").write_bytes(tree_kit.FORK)
        (path.parent / "__MACOSX").mkdir(exist_ok=True)
        shutil.copy(path, path.parent / "__MACOSX")
    again = found(corpus, tmp_path / "forked")
    assert placeless(again.manifest.clips) == placeless(clips)
    assert again.tree.junk > len(clips)


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_wrong_folder_shows_the_tree(corpus, tmp_path):
    """An empty folder is refused with what is expected in it."""
    with pytest.raises(manifests.ManifestError, match=r"\nROOT/"):
        found(corpus, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("corpus", CORPORA)
def test_from_the_disk_to_the_report(corpus, laid, tmp_path):
    """What `make manifest`, `features`, `fuse`, `doctor` and `audit` run, with every modality that the corpus has."""
    folders = {"FEATURES_ROOT": "features", "MANIFESTS_ROOT": "manifests", "RUNS_ROOT": "runs"}
    environment = {**os.environ, **{name: str(tmp_path / place) for name, place in folders.items()}}
    root, asked = laid(corpus), generator(corpus)
    options = [f"{name}={value}" for name, value in getattr(asked, "OPTIONS", {}).items()]
    clips = found(corpus, root).manifest.clips
    encoders = {
        "audio": "mfcc" if any(clip.audio for clip in clips) else "",
        "video": "face_hog" if any(clip.video for clip in clips) else "",
        "text": "minilm" if any(clip.text for clip in clips) else "",
        "mocap": "iemocap_mocap" if any(clip.series for clip in clips) else "",
    }
    used = {modality: encoder for modality, encoder in encoders.items() if encoder}

    run = partial(command_kit.run, environment=environment)
    said = run(["manifests", corpus, "--root", str(root), *(["--set", *options] if options else [])])
    assert f"{len(clips)} clips of {corpus}" in said
    # Some clips are broken on purpose: they are set aside with the reason, and the exit code says so.
    run(["extract", "run", corpus, "--encoders", ",".join(used.values())], ends=(0, 1))
    entries = [f"{modality}={encoder}" for modality, encoder in used.items()]
    settings = ["train.epochs=2", "unseen_classes=true", f"modalities={','.join(used)}", *asked.FUSE]
    run(["fuse", "concat", "--corpus", corpus, "--seeds", "1", "--encoders", *entries, "--set", *settings])
    (written,) = (tmp_path / "runs").rglob("report.json")
    report = json.loads(written.read_text(encoding="utf-8"))
    for task in report["scores"]:
        (model,) = [line for line in report["scores"][task][corpus]["test"] if line["role"] == "model"]
        assert model["clips"] > 0
    for modality in used:  # but for what is broken on purpose, features of everything were trained on
        having = sum(bool(clip.text if modality == "text" else clip.track(modality)) for clip in clips)
        for fold in report["folds"]:
            parts = [part[corpus] for part in fold["parts"].values()]
            assert sum(part["clips"] - part["missing"][modality] for part in parts) > having / 2
    assert "found" in run(["manifests", "doctor", corpus, "--deep"], ends=(0, 1))
    in_parts = len({clip.split for clip in clips}) > 1
    assert ("in both" in run(["manifests", "audit", corpus], ends=(0, 1))) == in_parts
