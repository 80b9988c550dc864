"""What parts and entries tell beside their numbers: whose terms hold, whose work it is, how to make it again."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import media_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import told
from extract.encoders import toy_text
from extract.plan import plan, wants
from extract.slices import Job
from extract.tally import Meter
from extract.work import Worker
from features import Reader, about
from manifests import corpus_module
from manifests.licence import PARTS, Licence

OPEN = Licence("CC0-1.0", PARTS).tag
WORDS = Licence("GPL-3.0 tables", ("transcript", "labels")).tag
CLOSED = Licence("on request").tag


def extract(clips, name, root, **job):
    """Fill an entry from clips in this process; return the want, and what its parts tell."""
    todo = plan(kit.manifest(root, clips), wants("toys", [name]))
    worker = Worker(Job(root, tuple(entry.want for entry in todo.entries), **job))
    for part in todo.slices:
        worker.work(part, Meter(time_limit=30))
    (want,) = (entry.want for entry in todo.entries)
    with Reader(want.folder) as reader:
        return want, [json.loads(reader.part(path).attribute("provenance")) for path in reader.parts]


@given(st.lists(st.builds(Licence, st.text(min_size=1), st.lists(st.sampled_from(PARTS), unique=True).map(tuple))))
def test_terms_of_several_clips_are_the_strictest(licences):
    """Only what every clip's terms let out may leave, whatever their names, and where there is no clip, nothing."""
    found = told.terms(kit.clip(licence=licence.tag) for licence in licences)
    assert found["corpus_shares"].split(",") == [
        part for part in PARTS if licences and all(part in licence.shared for licence in licences)
    ] or [""]
    assert all(licence.name in found["corpus_licence"] for licence in licences)


def test_a_part_tells_the_terms_of_the_clips_that_it_holds(roots):
    """Terms are those of an entry's own clips, each name once; a clip without words closes nothing for the others."""
    clips = [
        kit.clip(id="a", text="One.", licence=OPEN),
        kit.clip(id="b", text="Two.", licence=WORDS),
        kit.clip(id="c", text="Three.", licence=WORDS),
        kit.clip(id="silent", text=" ", licence=CLOSED),
    ]
    _, (provenance,) = extract(clips, "toy_text", roots)
    assert provenance["corpus_licence"] == "CC0-1.0; GPL-3.0 tables"
    assert provenance["corpus_shares"] == "transcript,labels"
    assert provenance["holds"] == "transcript"


def test_terms_that_nobody_named_share_nothing(roots):
    """A clip of unknown terms says so, and that nothing of it may leave, in words that are there."""
    _, (provenance,) = extract([kit.clip(id="a", text="One.")], "toy_text", roots)
    assert (provenance["corpus_licence"], provenance["corpus_shares"]) == ("unknown", "")


def test_what_says_transcript_can_be_read(roots):
    """The toy that says it holds words gives them back to whoever reads its values."""
    want, _ = extract([kit.clip(id="a", text="Secret.")], "toy_text", roots)
    with Reader(want.folder) as reader:
        assert "".join(map(chr, reader["a"].values[:7, 0].astype(int))) == "Secret."


def test_about_an_entry(roots):
    """Beside an entry stands what made it, whose work it is and the line that makes it again."""
    want, _ = extract([kit.clip(id="a", text="One.")], "toy_text:clip", roots, reader="meld")
    assert about.read(want.folder) == {
        "origin": "extracted",
        "asked": "toy_text:clip",
        "command": "make features CORPUS=toys ENCODERS=toy_text:clip",
        "encoder_does": toy_text.__doc__.splitlines()[0],
        "encoder_licence": "MIT",
        "weights_of": "",
        "parameters": 0,
        "trained_on": [],
        "bibtex": {"corpus": corpus_module("meld").BIBTEX, "encoder": ""},
    }


@pytest.mark.usefixtures("roots")
def test_about_an_encoder_with_weights():
    """Whose weights, how many numbers, trained on what, and whose paper stand there as the encoder declares them."""
    (want,) = wants("toys", ["wav2vec2_msp"])
    found = told.about(want, "nobody")
    assert found["weights_of"] == f"{want.spec.weights.id} {want.spec.weights.revision}"
    assert (found["parameters"], found["trained_on"]) == (want.spec.parameters, ["msp-podcast"])
    assert found["bibtex"] == {"corpus": "", "encoder": want.spec.bibtex}
    assert "{wagner2023dawn," in want.spec.bibtex


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize(
    ("name", "precision", "weights", "more"),
    [
        ("minilm", "exact", "", ""),
        ("minilm", "fast", "", " PRECISION=fast"),
        ("toy_audio", "fast", "random:1", ""),  # has neither, and is the same without
        ("xlmr", "exact", "random:1", " WEIGHTS=random:1"),
        ("emoaffectnet", "fast", "random:1", " PRECISION=fast WEIGHTS=random:1"),
        ("face_hog+faces=lefsa", "exact", "random:1", " WEIGHTS=random:1"),  # they choose its detector
        ("face_hog+faces=lefsa+boxes=yolo_face", "fast", "", " PRECISION=fast"),  # as its detector is
    ],
)
def test_the_line_says_what_else_was_chosen(name, precision, weights, more):
    """Precision and random weights stand in it where the entry, or one that it builds on, follows from them."""
    want = wants("toys", [name], precision, weights)[-1]
    assert told.about(want, weights=weights)["command"] == f"make features CORPUS=toys ENCODERS={name}{more}"


@pytest.mark.parametrize("asked", ["toy_audio:windows(3,2,2)", "a$(shell echo no)b", "$HOME and `more`"])
def test_a_line_means_what_it_says(asked):
    """Neither a shell nor make takes anything in it for more than a name."""
    words = shlex.split(told.command("toys", asked))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    root = Path(__file__).parents[1]
    done = subprocess.run([words[0], "-n", *words[1:]], cwd=root, env=env, capture_output=True, text=True, check=True)
    assert f"--encoders '{asked}'" in done.stdout
