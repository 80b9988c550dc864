"""What is said of encoders and their weights: what is listed, what is missing, what is asked before a fetch."""

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import media_kit as kit
import numpy as np
import pytest

import manifests
from extract import __main__ as cli
from extract import encoders, listing
from extract.encoders import exhubert, jina_v3, wav2vec2_msp
from extract.listing import LEFSA, NO_DOWNLOAD, Need
from extract.plan import plan
from extract.wanted import wants
from extract.weights import Weights, WeightsError, sized
from features import Windows, Writer
from features.roots import root
from manifests import Manifest

HERE = Path(__file__).parents[1]
BODY = b"weights" * 1000
SMALL = Weights("lab/net", ("net.bin",), hashlib.sha256(BODY).hexdigest(), revision="main")


@pytest.fixture
def bare(roots, monkeypatch):
    """Point WEIGHTS_ROOT at a folder without anything, and the hub at nothing."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(roots / "weights"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return roots / "weights"


@pytest.fixture
def words(roots):
    """Make a corpus that has nothing but text."""
    made = kit.manifest(roots, [kit.clip(id=f"t{i}", text=f"sentence {i}") for i in range(3)])
    manifests.write(made)
    return made


@pytest.fixture
def hub(bare, monkeypatch):  # noqa: ARG001 - it says where weights go
    """Start a hub that has one small file, whatever is asked for; an encoder needs it and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

    monkeypatch.setattr(wav2vec2_msp, "SPEC", replace(wav2vec2_msp.SPEC, weights=SMALL))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()


def run(capsys, *arguments):
    """Run a command; return its exit code and what it said on both channels."""
    code = cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return code, said.out, said.err


def rows(name, lines):
    """Return the lines about one encoder."""
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name} "))
    return [lines[start], *[line for line in lines[start + 1 : start + 8] if line.startswith("  ")]]


@pytest.mark.usefixtures("bare")
def test_the_listing_says_whether_weights_are_here():
    """In a package, missing, needed by nobody; with what a download would be, as far as it is known."""
    lines = list(listing.encoder_lines())
    for name, said in (("minilm", "in package"), ("wav2vec2_msp", "661 MB missing"), ("mfcc", "- none needed")):
        assert f" {said} " in rows(name, lines)[0]
    assert " 17 MB+? missing " in rows("jina_v3", lines)[0]
    (folder := jina_v3.TOKENIZER.folder).mkdir(parents=True)
    (folder / "tokenizer.json").write_bytes(b"x")
    (folder / "model.safetensors").write_bytes(b"x")
    assert " wrong size " in rows("jina_v3", list(listing.encoder_lines()))[0]
    exhubert.WEIGHTS.folder.mkdir(parents=True)
    exhubert.WEIGHTS.paths[0].write_bytes(b"x")
    assert " not pinned " in rows("exhubert", list(listing.encoder_lines()))[0]


@pytest.mark.usefixtures("bare")
def test_the_listing_warns_of_encoders_that_know_the_answers():
    """Who was trained on a corpus that is scored is marked, by whatever name the corpus goes; others are not."""
    lines = list(listing.encoder_lines())
    warned = {name: [line for line in rows(name, lines)[:4] if "CAUTION" in line] for name in encoders.names()}
    (line,) = warned["emotion2vec"]
    assert "trained on iemocap, meld, cmu-mosei, ravdess, crema-d;" in line
    assert warned["wav2vec2_msp"] == warned["mfcc"] == []


@pytest.mark.usefixtures("bare")
def test_the_listing_fits_a_terminal():
    """With a width every line but the widest licences keeps to it; grids, options and their values are all there."""
    narrow = list(listing.encoder_lines(100))
    assert max(len(line) for line in narrow if line.startswith(" ")) <= 100
    assert sorted(map(len, narrow))[-5] <= 110
    whole = "\n".join(listing.encoder_lines())
    assert "windows(3,2,2)@fps=10  windows(3,2,2)@fps=5  +faces=lefsa  +boxes=preset" in whole
    assert re.search(r"^  \+faces +house \| lefsa \| mfer \| cross_bert$", whole, re.MULTILINE)
    assert re.search(r"^  \+language +en \| .* \| … \(\d+ in all\)$", whole, re.MULTILINE)


@pytest.mark.usefixtures("words")
def test_listing_loads_no_library(bare):
    """Neither the listing nor the check for missing weights imports what encoders need."""
    code = (
        "import sys\nfrom extract.__main__ import main\n"
        "main(['encoders'])\ncode = main(['run', 'toys', '--encoders', 'jina_v3', '--dry'])\n"
        "print(code, *{'torch', 'transformers', 'av', 'cv2', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "2"
    assert str(bare) in done.stderr


def test_what_an_entry_needs():
    """Its own weights and tokenizer, and those of what it builds on or is told to use, once each."""

    def names(*asked, **options):
        return [need.encoder for need in listing.needs(asked, **options)]

    assert names("mfcc", "toy_text") == []
    assert names("jina_v3:clip", "minilm") == ["jina_v3", "jina_v3", "minilm"]
    assert names("emoaffectnet:windows(3,2,2)@fps=5", best=True) == ["yolo_face", "emoaffectnet"]
    assert names("emoaffectnet+boxes=dlib", "resemotenet+boxes=dlib") == ["dlib", "emoaffectnet", "resemotenet"]
    assert names("mfcc+denoise=demucs", "demucs") == ["demucs"]
    assert names("minilm+words=whisper_base")[:2] == ["whisper_base", "whisper_base"]
    with pytest.raises(ValueError, match="Did you mean 'jina_v3'"):
        names("jina_v4")


@pytest.mark.usefixtures("bare")
def test_a_stand_in_is_no_reason_to_stop():
    """Where another may do the work of an optional file, its absence does not count, but it is fetched if asked for."""
    preset = encoders.spec("face_gray64").preset
    detector = listing.PRESETS[preset].detector
    stands_in = encoders.spec(detector).optional
    assert [need.encoder for need in listing.needs(["face_gray64"], best=True)] == [detector]
    found = [need.encoder for need in listing.needs(["face_gray64"])]
    assert found == [listing.PRESETS[preset].instead if stands_in else detector]


def test_nothing_missing_is_no_word(bare):
    """Weights that are here, or in a package, let the work begin."""
    listing.refuse_missing(listing.needs(NO_DOWNLOAD), "demo")
    bare.mkdir()
    need = Need("net", SMALL, "MIT")
    SMALL.folder.mkdir(parents=True)
    SMALL.paths[0].write_bytes(BODY)
    listing.refuse_missing([need], "demo")


@pytest.mark.usefixtures("bare")
def test_what_is_missing_is_a_table_with_ways_out():
    """Each file with its size and folder, those that are to be put there by hand with their page, and what to say."""
    by_hand = Weights("lab/drive", ("d.pth",), page="https://drive.example")
    unset = Weights("lab/package", ("p.bin",), "0" * 64, package="no_such_package")
    needs = [*listing.needs(["jina_v3"]), Need("drive", by_hand, "MIT"), Need("packed", unset, "MIT")]
    with pytest.raises(WeightsError) as caught:
        listing.refuse_missing(needs, "meld")
    said = str(caught.value)
    folder = f"jinaai--jina-embeddings-v3-hf/{jina_v3.REVISION}"
    assert f"  jina_v3  missing       17 MB  {folder}/tokenizer.json\n" in said
    assert "  drive    by hand           ?  lab--drive/d.pth, from https://drive.example\n" in said
    assert "  packed   not set up        ?  package no_such_package\n" in said
    assert re.search("make weights ENCODERS=jina_v3,drive\n.* make setup\n", said)
    assert "make features CORPUS=meld ENCODERS=silero,mfcc,egemaps,face_hog,minilm\n" in said


@pytest.mark.usefixtures("bare", "words")
@pytest.mark.parametrize("dry", [["--dry"], []])
def test_a_run_stops_before_the_work(capsys, dry):
    """Missing weights are exit code 2 and the table, and nothing was written; with random ones the plan is made."""
    code, out, err = run(capsys, "run", "toys", "--encoders", "toy_text,jina_v3", *dry)
    assert (code, out) == (2, "")
    assert "jina_v3  missing " in err
    assert not root().exists()
    if dry:
        code, out, _ = run(capsys, "run", "toys", "--encoders", "toy_text,mfcc", "--weights", "random:0", *dry)
        assert code == 0


def test_the_default_set_is_the_papers_for_a_papers_corpus():
    """Paper 000's set for the corpora of the papers, what needs no download for every other."""
    assert [
        listing.default_encoders(corpus) for corpus in ("ramas", "meld", "mosei", "mosi", "iemocap", "ravdess")
    ] == [LEFSA] * 6
    assert listing.default_encoders("demo") == listing.default_encoders("mine") == NO_DOWNLOAD
    assert all(wants("toys", LEFSA + NO_DOWNLOAD, weights="random:0"))


@pytest.mark.usefixtures("bare")
def test_a_papers_corpus_without_weights_says_both_ways_out(capsys, roots):
    """`make features CORPUS=meld` on a fresh machine is answered with the commands that go on."""
    kit.write(roots / "a.mp4", [kit.picture(0)] * 25, kit.tone(220, 1))
    clips = (kit.clip("a.mp4", "a.mp4", id="a", text="hello", corpus="meld"),)
    manifests.write(Manifest("meld", roots, clips))
    code, _, err = run(capsys, "run", "meld", "--dry")
    assert code == 2
    assert "make weights ENCODERS=spleeter,wav2vec2_msp,yolo_face,emoaffectnet,jina_v3\n" in err
    assert "make features CORPUS=meld ENCODERS=silero,mfcc,egemaps,face_hog,minilm\n" in err


@pytest.mark.usefixtures("bare")
def test_weights_that_nothing_needs_are_not_asked_for(capsys, roots):
    """Of a corpus of words alone, or of which all is cached, only what has work to do must be here."""
    manifests.write(Manifest("meld", roots, (kit.clip(id="t", text="hello", corpus="meld"),)))
    code, _, err = run(capsys, "run", "meld", "--dry")
    assert (code, "make weights ENCODERS=jina_v3\n" in err) == (2, True)
    code, out, _ = run(capsys, "run", "meld", "--encoders", "wav2vec2_msp")
    assert (code, "nothing to do" in out) == (0, True)


@pytest.mark.usefixtures("hub")
def test_fetching_asks_first(capsys, monkeypatch):
    """Without a terminal it refuses and says how; a person may say no, which fetches nothing, or yes."""
    monkeypatch.setattr(sys, "stdin", open("/dev/null", encoding="utf-8"))  # noqa: PTH123, SIM115
    code, out, err = run(capsys, "weights", "wav2vec2_msp")
    assert code == 2
    assert "wav2vec2_msp  missing        7 kB  net.bin" in out
    assert "licence: CC BY-NC-SA 4.0, no commercial use; digest: declared" in out
    assert "YES=1" in err
    sys.stdin.close()

    for said, status in (("", 1), ("\n", 1), ("n\n", 1), ("Y\n", 0)):
        monkeypatch.setattr(sys, "stdin", Person(said))
        code, out, err = run(capsys, "weights", "wav2vec2_msp:clip+vad=mark")
        assert (code, err) == (status, "")
        assert SMALL.paths[0].exists() == (status == 0)
        assert ("nothing was fetched" in out) == (status == 1)


class Person:
    """Somebody at a terminal who has one answer."""

    def __init__(self, answer):
        self.answer = answer

    def isatty(self):
        """Return that it is a terminal."""
        return True

    def readline(self, _=-1):
        """Return the answer."""
        return self.answer


def test_fetching_goes_on_after_a_failure(capsys, hub):
    """What can be fetched is; what cannot is said, and the exit code says so."""
    assert hub.server_port
    code, out, err = run(capsys, "weights", "jina_v3,wav2vec2_msp", "--yes")
    assert code == 2
    assert "wav2vec2_msp: net.bin fetched" in out
    assert "expected 17082756 bytes, the server has 7000" in err
    code, out, err = run(capsys, "weights", "wav2vec2_msp")
    assert (code, err) == (0, "")
    assert "0 to fetch" in out
    assert "wav2vec2_msp: net.bin here" in out


@pytest.mark.usefixtures("hub")
def test_all_and_nothing(capsys, monkeypatch):
    """`all` is every encoder and denoiser; nobody named is paper 000's set, with the detector of its faces."""
    monkeypatch.setattr(sys, "stdin", Person("n\n"))
    _, out, _ = run(capsys, "weights", "all")
    for name in ("exhubert", "whisper_base", "demucs", "mtcnn", "resemotenet"):
        assert re.search(rf"^{name} +(missing|by hand|in package)", out, re.MULTILINE)
    monkeypatch.setattr(sys, "stdin", Person("n\n"))
    _, out, _ = run(capsys, "weights")
    listed = dict.fromkeys(re.findall(r"^(\w+) +(?:missing|in package)", out, re.MULTILINE))
    assert list(listed) == ["silero", "spleeter", "wav2vec2_msp", "yolo_face", "emoaffectnet", "jina_v3"]


def test_a_name_that_is_none(capsys):
    """It is answered with the nearest that is."""
    code, _, err = run(capsys, "weights", "wav2vec_msp", "--yes")
    assert (code, "Did you mean 'wav2vec2_msp'?" in err) == (2, True)


@pytest.mark.usefixtures("bare")
def test_the_documented_table_is_true():
    """What docs/weights.md says of a file is what its encoder declares; a new encoder need not stand there."""
    text = (HERE / "docs" / "weights.md").read_text(encoding="utf-8")
    said = [line.split(" | ")[:6] for line in text.splitlines() if line.startswith("| ")][1:]
    declared = []
    for file in listing.files(listing.needs(listing.everything(), best=True)):
        weights, size = file.need.weights, "unknown" if file.size is None else sized(file.size)
        digest = "declared" if weights.sha256 else "pinned at first fetch"
        declared.append([f"| {file.need.encoder}", file.name, weights.id, weights.revision[:8] or "none", size, digest])
    assert len(said) > 20
    assert [row for row in said if row not in declared] == []


@pytest.mark.usefixtures("bare")
def test_a_detector_whose_boxes_are_cached_is_not_asked_for(capsys, roots):
    """Of faces whose boxes lie in a shared cache only the faces' own weights must be here."""
    kit.write(roots / "a.mp4", [kit.picture(0)] * 25)
    manifest = Manifest("meld", roots, (kit.clip(video="a.mp4", id="a", corpus="meld"),))
    manifests.write(manifest)
    boxes = wants("meld", ["emoaffectnet"])[0]
    with Writer(boxes.folder, boxes.key, {}, "MIT") as writer:
        source = plan(manifest, [boxes]).entries[0].sources["a"]
        writer.add("a", source, Windows.join([np.zeros((0, 5), np.float32)], [(0, 1)], [0]))
    code, _, err = run(capsys, "run", "meld", "--encoders", "emoaffectnet")
    assert (code, "make weights ENCODERS=emoaffectnet\n" in err) == (2, True)
