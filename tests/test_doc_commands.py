"""Every command that a page tells a reader to type is typed here, in order, on a desk of small imitations.

What a reader has is laid down once: trees of corpora, a disk of the lab, a cache of which the heavy encoders' features
are made up, a run. What is trained is trained with one seed for one epoch: that is all that is added to a command.
"""

import functools
import grp
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import media_kit
import numpy as np
import pytest
import test_mmsa
import tree_kit

import manifests
from extract.wanted import wants
from features import Windows, Writer

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TREES = {
    "meld": "data/MELD.Raw",
    "iemocap": "data/IEMOCAP_full_release",
    "ravdess": "data/RAVDESS",
    "ramas": "data/RAMAS",
    "mosei": "data/mosei",
    "mosi": "data/mosi",
}
ALSO = {"where/the/tables/lie": "meld", "where/it/lies": "iemocap", "...": "iemocap"}
HEAVY = {
    "meld": ("wav2vec2_msp+denoise=spleeter", "emoaffectnet", "jina_v3"),
    "iemocap": ("wav2vec2_msp",),
}
"""Features that only weights from the network could make."""
NARROWED = {"table1": "ROWS=1", "meld_dialogue": "ROWS=concat", "meld_strategies": "ROWS=focal"}
"""Of tables one row is trained, where a reader lets all of them."""
EXCUSED = {
    r"make demo$": "tests/test_end_to_end.py types what it does",
    r"make test$": "this is one of them",
    r"make bench": "takes an hour; tests/test_bench.py runs every part of it",
    r"\S+/python tests/bench/run.py --tiny$": "tests/test_bench.py runs it",
    r"make weights .*YES=1": "would fetch gigabytes",
    r"make \w+ \S+=(ssh|s3|https)://": "needs another machine; tests/test_share_remote.py stands in for one",
}
"""What is not run, and why; that its options exist is looked up in --help."""
FINDS = ("audit", "doctor", "share", "stale")
"""Targets that end with 1 where they have found something."""
REFUSED = re.compile(r"make weights ENCODERS=|say YES=1")
"""What is answered where weights would have to be fetched: all else of the command was understood."""


def commands(page):
    """Return every command in the blocks of a page, comments left out."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = (re.sub(r"(^|\s+)#.*", "", line).strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line]


WITH = {str(page.relative_to(ROOT)): found for page in PAGES if (found := commands(page))}


class Desk:
    """A reader's folder, from which the checkout's Makefile can be called, and all that the pages speak of."""

    def __init__(self, top):
        self.top = top
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
        } | {
            "HOME": str(top / "home"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "FEATURES_ROOT": str(top / "home" / "features"),
            "MANIFESTS_ROOT": str(top / "lab" / "manifests"),
            "RUNS_ROOT": str(top / ".runs"),
            "DEMO_ROOT": str(top / "demo"),
            "WEIGHTS_ROOT": str(top / "weights"),
        }
        self.run = functools.cache(self._run)

    def _run(self, line, features):
        """Run a command in a shell, with a cache of features; return its exit code and all that it says."""
        environment = self.environment | {"FEATURES_ROOT": features}
        words = ["bash", "-c", line]
        done = subprocess.run(
            words, cwd=self.top, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        return done.returncode, done.stdout + done.stderr

    def typed(self, line):
        """Return a command as it is typed here: its places lie on the desk, what it trains is soon over."""
        line = re.sub(r"(?<=[\s=:])/(?=(data|lab|srv|where)/)", f"{self.top}/", line)
        line = line.replace("ROOT=... ", f"ROOT={self.top}/... ").replace("chgrp lab ", f"chgrp {_group()} ")
        line = re.sub(r"\.runs/(\w+)-(\w+)-[0-9a-f]{8}", lambda match: str(self.newest(*match.groups())), line)
        for shown, here in {"lefsa.pt": "lefsa.safetensors", "mfcc-1a2b": "mfcc", "mfcc-5e6f": "egemaps"}.items():
            line = line.replace(shown, here)
        line = soon_over(line) if re.match(r"make (fuse|sweep)\b", line) else line
        # What make would set up is set up: this runs in it.
        return re.sub(r"^make ", f"make -o .venv/ready PY={shlex.quote(sys.executable)} ", line)

    def newest(self, model, corpus):
        """Return the last run of a model on a corpus."""
        return max((self.top / ".runs").glob(f"{model}-{corpus}-*"), key=lambda path: path.stat().st_mtime)

    def wrong(self, line, features=""):
        """Type a line; what it says where it does not end as it should, else nothing."""
        typed = self.typed(line)
        code, said = self.run(typed, features or self.environment["FEATURES_ROOT"])
        found = (line.split()[1] in FINDS and "Error 1" in said) or (" diff " in line and code == 1)
        ends_well = (code == 0 or found or REFUSED.search(said)) and "Traceback" not in said
        return "" if ends_well else f"{line}\n{typed}\n{said}"

    def lay(self, line):
        """Type a line that has to work."""
        assert not (wrong := self.wrong(line)), wrong


def soon_over(line):
    """Let a command that trains take one seed, one epoch, and of a table one row."""
    said = re.search(r'SET="([^"]*)"', line)
    settings = " ".join([*(said.groups() if said else ()), "train.epochs=1"])
    model = re.search(r"MODEL=(\w+)", line)[1]
    rows = "" if "ROWS=" in line else NARROWED.get(model, "")
    corpus = "CORPUS=meld" if model == "table1" and "CORPUS=" not in line else ""  # one of its three lies here
    return re.sub(r' SET="[^"]*"', "", line) + f' {rows} {corpus} SEEDS=1 SET="{settings}"'


def _group():
    return grp.getgrgid(os.getgid()).gr_name


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Lay down all that the pages take for granted."""
    top = tmp_path_factory.mktemp("desk")
    made = Desk(top)
    for name in ("Makefile", "tests"):
        (top / name).symlink_to(ROOT / name)
    (top / ".venv").mkdir()
    for corpus, place in (*TREES.items(), *((corpus, place) for place, corpus in ALSO.items())):
        (top / place).mkdir(parents=True)
        import_module(f"trees.{corpus}").lay(top / place)
    for split in ("train", "dev", "test"):
        for number, word in enumerate(("anger", "happy", "neutral", "sad")):
            tree_kit.wav(top / "data" / "mine" / split / word / "one.wav", hz=200 + 90 * number)
    rows = "id,split,speaker,sentiment_score\nreview_000,train,s1,1.5\nreview_001,test,s2,4\n"
    split_of = {clip.id: ("train", "dev", "test")[i % 3] for i, clip in enumerate(_clips("ramas", top))}
    listed = "".join(f"{clip},{split}\n" for clip, split in split_of.items())
    tree_kit.lay(top, {"data/reviews/table.csv": rows, "data/ramas_split.csv": f"id,split\n{listed}"})
    tree_kit.lay(top, {"lab/features/licensed.txt": "meld  The lab that types these\n"})
    (top / "aligned_50.pkl").write_bytes(pickle.dumps(test_mmsa.aligned()))
    frames = [tree_kit.face(number) for number in range(20)]
    media_kit.write(top / "talk.mp4", frames, media_kit.tone(220, 2), media_kit.Film(fps=media_kit.Fraction(10)))
    tree_kit.lay(top, {"srv/www/index.html": "", "home/features/.keep": ""})
    (top / "srv/www/index.html").unlink()
    for corpus, place in TREES.items():
        made.lay(f"python -m manifests {corpus} --root {place}")
    made.lay("python -m manifests demo")
    for split in ("train", "dev", "test"):
        made.lay(f"python -m extract run demo --encoders egemaps,face_hog,minilm --split {split} --limit 16")
    made.lay("python -m extract run meld --encoders minilm,mfcc,face_hog,egemaps --max-failed 1")
    made.lay("python -m extract run mosei --encoders minilm --max-failed 1")
    made.lay("python -m extract run iemocap --encoders iemocap_mocap --max-failed 1")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        for corpus, names in HEAVY.items():
            make_up(corpus, names)
    made.lay("python -m features push lab/features meld --holds features || true")
    for model in ("lefsa", "concat"):
        made.lay(f"make fuse MODEL={model} CORPUS=meld")
    shutil.copy(made.newest("lefsa", "meld") / "seed-0.safetensors", top / "lefsa.safetensors")
    return made


def _clips(corpus, top):
    return manifests.scan(corpus, top / TREES[corpus]).manifest.clips


def make_up(corpus, names):
    """Fill entries of heavy encoders with noise, under the keys that real weights would have."""
    manifest = manifests.read(corpus)
    for name in names:
        want = wants(corpus, [name], weights="random:0", language=manifest.language)[-1]
        settings = {key: value for key, value in want.key.settings.items() if not str(value).startswith("random")}
        key = replace(
            want.key, weights="0" * 64, settings={**settings, **({"denoise": "spleeter"} if want.denoise else {})}
        )
        folder = want.folder.with_name(key.name)
        draw, steps = np.random.default_rng(0), want.spec.steps or 1
        with Writer(folder, key, {"numpy": np.__version__}, "MIT") as writer:
            for clip in manifest.clips:
                values = draw.normal(size=(steps, *want.spec.width)).astype(key.dtype)
                writer.add(clip.id, clip.id, Windows.join([values], [(0, 1)], [steps]))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", WITH)
def test_what_a_page_says_to_type_works(page, desk):
    """Each command of a page ends well, one after another, or with the word that weights are to be fetched."""
    shutil.rmtree(desk.top / "out", ignore_errors=True)
    features, wrong = "", []
    for line in WITH[page]:
        if why_not(line):
            known(line)
        elif match := re.match(r"export (\w+)=(.*)", line):
            value = re.sub(r"~|\$HOME", desk.environment["HOME"], desk.typed(f"x={match[2]}").removeprefix("x="))
            features = value if match[1] == "FEATURES_ROOT" else features
        else:
            wrong.append(desk.wrong(line, features))
    assert not any(wrong), "\n\n".join(filter(None, wrong))


def test_what_is_excused_is_still_there():
    """Whatever is not run stands on some page."""
    lines = [line for found in WITH.values() for line in found]
    assert [start for start in EXCUSED if not any(re.match(start, line) for line in lines)] == []


def why_not(line):
    """Return why a command is not run; nothing where it is."""
    return next((why for start, why in EXCUSED.items() if re.match(start, line)), "")


def known(line):
    """Look up every option of a command in its --help."""
    shown = (
        subprocess.run(
            ["bash", "-c", line.replace("make ", "make -n ", 1)], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout
        if line.startswith("make ")
        else line
    )
    for module, verb, said in re.findall(r"-m (manifests|extract|features|fuse) (\w+)([^&]*)", shown):
        words = [sys.executable, "-m", module, verb, "--help"]
        told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert [option for option in re.findall(r"--[\w-]+", said) if option not in told] == []
