"""The real sets beside the checkout are laid as their own notes say, and can be trained on."""

from collections import Counter

import h5py
import numpy as np
import pytest
import real_kit
import torch

import manifests
from features import Reader, find
from fuse import data, protocol, recipe
from fuse.__main__ import main

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

RAVDESS = ["encoders.audio=mfcc_statistics", "encoders.video=openface_au", "modalities=audio,video"]
MMMO = ["encoders.audio=covarep", "encoders.video=facet", "encoders.text=glove"]


def of(corpus, tasks, *settings):
    """Return the default recipe for a laid corpus."""
    return recipe.load("concat", [f"tasks={tasks}", *settings], corpora=[corpus])


@pytest.fixture
def ravdess(shared):
    """Lay the vectors of RAVDESS."""
    return real_kit.lay_ravdess(shared)[0].clips


@pytest.fixture
def mmmo(shared):
    """Lay the sequences of ICT-MMMO."""
    return real_kit.lay_mmmo(shared)[0].clips


def test_ravdess_is_what_its_notes_count(ravdess):
    """24 actors in six parts of four, 96 takes that are neutral and 192 of each other emotion, all of both media."""
    assert manifests.read("ravdess_au").clips == ravdess
    assert len(ravdess) == 1440
    assert Counter(clip.split for clip in ravdess) == {f"fold{i}": 240 for i in range(1, 7)}
    assert len({(clip.split, clip.speaker_id) for clip in ravdess}) == 24
    words = Counter(clip.native["emotion"] for clip in ravdess)
    assert words.pop("neutral") == 96
    assert set(words.values()) == {192}
    assert len(words) == 7
    joined = data.load(ravdess, of("ravdess_au", "emotion8", "protocol=sessions", *RAVDESS))
    assert joined.shapes == {"audio": (1, 259), "video": (1, 35)}
    assert all(covered.all() for covered in joined.covered.values())
    assert joined.labels["emotion8"].sum(dim=0).tolist() == [96, *[192] * 7]


def test_ravdess_leaves_whole_actors_out(ravdess):
    """Six folds, none of which trains on an actor that it scores or chooses by."""
    folds = protocol.splits(ravdess, of("ravdess_au", "emotion8", "protocol=sessions", *RAVDESS))
    assert len(folds) == 6
    assert sorted(i for fold in folds for i in fold.test) == list(range(1440))
    for fold in folds:
        actors = [{ravdess[i].speaker_id for i in part} for part in fold.parts().values()]
        assert [len(part) for part in actors] == [16, 4, 4]
        assert len(set.union(*actors)) == 24


def test_vectors_are_those_of_the_file(shared, ravdess):
    """Clip by clip, in float32."""
    with np.load(shared / real_kit.RAVDESS / "ravdess_au_mfcc.npz") as file:
        audio, names = file["audio_mfcc"], file["clip"]
    with Reader(find("ravdess_au", "mfcc_statistics")) as reader:
        for i in (0, 700, 1439):
            assert names[i] == f"01-{ravdess[i].id}"
            np.testing.assert_array_equal(reader[ravdess[i].id].values[0], audio[i].astype(np.float32))


def test_mmmo_is_what_its_notes_count(mmmo):
    """220, 40 and 80 reviews of 20 steps, whose training part lacks the text; ratings become scores around zero."""
    assert manifests.read("ict_mmmo").clips == mmmo
    assert Counter(clip.split for clip in mmmo) == {"train": 220, "dev": 40, "test": 80}
    joined = data.load(mmmo, of("ict_mmmo", "sentiment_score", *MMMO))
    assert joined.shapes == {"audio": (20, 74), "video": (20, 36), "text": (20, 300)}
    assert joined.covered["text"].tolist() == [False] * 220 + [True] * 120
    assert joined.covered["audio"].all()
    assert joined.covered["video"].all()
    scores = joined.labels["sentiment_score"]
    assert (scores.min(), scores.max()) == (-2, 2)
    assert (joined.batch(torch.arange(220)).values["audio"].abs() == 255).sum() == 395


def test_words_are_told_from_padding(shared, mmmo):
    """Real steps are those of the file in their order; behind them all is zero; the text's are the sound's."""
    joined = data.load(mmmo, of("ict_mmmo", "sentiment_score", "data.standardise=false", *MMMO))
    batch = joined.batch(torch.arange(220, 260))
    for modality, name in (("audio", "audio_valid"), ("video", "video_valid"), ("text", "text_valid_emb")):
        values, real = batch.values[modality][:, 0], batch.steps[modality][:, 0]
        assert real.equal(batch.steps["audio"][:, 0])
        assert not values[~real].any()
        with h5py.File(shared / real_kit.MMMO / f"{name}.h5") as file:
            theirs = torch.from_numpy(file["d1"][:]).float()
        for mine, mask, steps in zip(values, real, theirs, strict=True):
            there = steps.any(dim=1).nonzero()[:, 0]
            assert mine.any(dim=1).sum() == len(there)
            assert mine[mine.any(dim=1)].equal(steps[there])
            if modality != "video":
                assert mask.sum() == there[-1] - there[0] + 1
                assert mask[0]
                assert mine[0].any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lay", "corpus", "settings", "least"),
    [
        (real_kit.lay_ravdess, "ravdess_au", ["tasks=emotion8", "protocol=sessions", "only_folds=0", *RAVDESS], 0.3),
        (real_kit.lay_mmmo, "ict_mmmo", ["tasks=sentiment_score", "modalities=audio,video", *MMMO], 0.15),
    ],
    ids=["ravdess", "mmmo"],
)
def test_concat_is_trained_on_it(lay, corpus, settings, least, shared, roots, capsys):
    """A few epochs of the floor end with a report, and its best dev score is better than what chance gives."""
    lay(shared)
    quick = ["train.epochs=6", "train.lr=1e-3", "train.batch=32"]
    assert main(["concat", "--corpus", corpus, "--seeds", "1", "--set", *settings, *quick]) == 0
    out = capsys.readouterr().out
    assert (roots / out.strip().splitlines()[-1].removeprefix("report: ")).is_file()
    assert float(out.rpartition(" best ")[2].partition(" at")[0]) > least


def test_what_was_laid_is_told(shared):
    """A line for each corpus with its splits, and one for each entry."""
    lines = list(real_kit.told(real_kit.lay_mmmo(shared)))
    assert lines[0] == "ict_mmmo: 340 clips (40 dev, 80 test, 220 train)"
    assert [line.split()[:2] for line in lines[1:]] == [["covarep:", "340"], ["facet:", "340"], ["glove:", "120"]]
