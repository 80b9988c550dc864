"""Every encoder on the real speech, faces, films and sentences beside the checkout, through the whole engine."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import DATA

from extract import encoders, weights
from extract.asked import choices
from extract.plan import plan, wants
from extract.slices import Job
from extract.tally import Meter, Tally
from extract.work import Worker
from features import Reader
from manifests import Audio, Clip, Manifest, Video

pytestmark = [pytest.mark.usefixtures("roots"), pytest.mark.slow, pytest.mark.timeout(1200)]
SPEECH, FILMS = DATA / "speech-public-domain", DATA / "grid-talking-faces"
WAYS = {
    "emotion2vec": [":clip+vad=cut"],
    "vit_fer": [":clip@fps=5", ":clip@fps=5+as=authors"],
    "mfcc": [":clip", "+denoise=spleeter"],
    "egemaps": [":clip"],
    "emoaffectnet": ["+as=authors", "+boxes=yolo_face"],
    "minilm": ["+words=whisper_base"],
    "silero": ["+preset=lefsa"],
}
"""What the papers ask of some encoders beside their defaults."""
ALIKE = {"emoaffectnet+boxes=yolo_face", "minilm+words=whisper_base", "whisper_base", "whisper_large_v3_turbo"}
"""With random weights boxes find nobody, and every sound is transcribed alike."""
RECORDED = [name for name in encoders.names() if not encoders.spec(name).optional and not encoders.spec(name).series]
"""Series, such as motion capture, are no recordings: `test_series.py` has them."""
ASKED = [f"{name}{way}" for name in RECORDED for way in ("", *WAYS.get(name, ()))]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Put two talking faces and two sentences read aloud, with their words, into one corpus."""
    for folder in (SPEECH, FILMS):
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there: real media lie beside the checkout where this was made")
    root = tmp_path_factory.mktemp("media")
    with (SPEECH / "ljspeech_metadata.csv").open(encoding="utf-8", newline="") as file:
        said = {row[0]: row[-1] for row in csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE)}
    clips = []
    for name in ("LJ001-0002", "LJ001-0008"):
        shutil.copy(SPEECH / f"{name}.wav", root)
        clips.append(Clip(name, "toys", "train", language="en", audio=Audio(f"{name}.wav"), text=said[name]))
    for name in ("brbk7n", "lbbc2a"):
        shutil.copy(FILMS / f"{name}.mpg", root)
        path = f"{name}.mpg"
        clips.append(Clip(name, "toys", "train", language="en", audio=Audio(path), video=Video(path), text="bin red"))
    return Manifest("toys", root, tuple(clips))


@pytest.mark.parametrize("name", ASKED)
def test_real_media_give_finite_features_twice_the_same(corpus, name, tmp_path):
    """Features are finite, of the declared shape, not all alike, and the same to the bit when computed again."""
    wanted = wants("toys", [name], weights="random:0", language="en")
    clips = corpus.clips[:1] if name == "whisper_large_v3_turbo" else corpus.clips  # half a minute each
    some = replace(corpus, clips=clips)
    found = [extracted(some, wanted, tmp_path / turn) for turn in ("one", "two")]
    want, spec = wanted[-1], wanted[-1].spec
    for clip, windows in found[0].items():
        assert windows.values.dtype == spec.dtype
        assert windows.values.shape[1:] == spec.width
        assert np.isfinite(windows.values).all()
        assert windows.steps.keys() == set(spec.channels)
        if spec.steps and str(want.grid) == spec.grids[0]:
            assert set(np.diff(windows.start)) == {spec.steps}
        np.testing.assert_array_equal(windows.values, found[1][clip].values)
    means = [windows.values.astype(np.float64).mean(axis=0) for windows in found[0].values() if len(windows.values)]
    assert name in ALIKE or len(means) < 2 or any((means[0] != mean).any() for mean in means[1:])


def extracted(corpus, wanted, folder):
    """Extract into a folder; return every clip's windows of the last entry."""
    moved = _moved(wanted[-1], folder)
    chain = [moved]
    while chain[0].leader:
        chain.insert(0, chain[0].leader)
    todo = plan(corpus, chain)
    worker, tally = Worker(Job(corpus.root, tuple(chain), weights="random:0")), Tally()
    for part in todo.slices:
        tally.add(worker.work(part, Meter(time_limit=60)))
    assert not tally.failed, {one.clip: one.reason for many in tally.failures.values() for one in many}
    with Reader(moved.folder) as reader:
        assert len(reader) == len([clip for clip in corpus.clips if clip.video or not moved.reads_frames])
        return dict(reader)


def _moved(want, folder):
    leader = _moved(want.leader, folder) if want.leader else None
    return replace(want, folder=folder / want.name, leader=leader)


def test_every_way_of_an_encoder_is_known():
    """The ways that are tried above are ways that are offered."""
    for name, ways in WAYS.items():
        for way in ways:
            _, *options = way.split("+")
            assert all(option.partition("=")[2] in choices(name)[option.partition("=")[0]] for option in options)
    assert weights.random_seed() is None
