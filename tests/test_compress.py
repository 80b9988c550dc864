"""Token compression: which neighbours are merged, into what, and that nothing else is touched."""

import dataclasses

import fuse_kit
import numpy as np
import pytest
import torch

from features import Windows
from fuse import compress, data, models
from fuse.recipe import RecipeError, model_config
from fuse.stored import Stored

pytestmark = pytest.mark.usefixtures("roots", "one_thread")


def uniform(*windows, valid=None, dtype=torch.float32):
    """Store windows of one length, one a clip; all steps are real unless said."""
    frames = torch.tensor(windows, dtype=dtype)
    valid = torch.tensor(valid or [frames.shape[1]] * len(frames))
    return Stored(frames, None, valid, torch.arange(len(frames) + 1))


def ragged(*windows, valid=None):
    """Store windows of other lengths, one a clip."""
    lengths = torch.tensor([len(window) for window in windows])
    frames = torch.cat([torch.tensor(window, dtype=torch.float32).reshape(-1, 2) for window in windows])
    start = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    return Stored(frames, start, lengths if valid is None else torch.tensor(valid), torch.arange(len(windows) + 1))


def steps(*numbers):
    """Return steps of two features, the second of which is the first's negative."""
    return [[number, -number] for number in numbers]


def firsts(stored):
    """Return what is left of each window, by the first feature of its real steps."""
    values, _, real = stored.take(torch.arange(len(stored.counts)))
    return [one[mask][:, 0].tolist() for one, mask in zip(values[:, 0], real[:, 0], strict=True)]


def drawn(w=40, t=23, d=5, seed=0):
    """Return noise for windows, and how many steps of each are real."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(w, t, d, generator=generator), torch.randint(4, t + 1, (w,), generator=generator)


HAND = [
    # The two nearest are 4 and 5; then 0 and 1.5, which lie 1.5 apart; then 4.5 and 9; their 3 steps' mean is 6.
    ([0, 1.5, 4, 5, 9], 4, [0, 1.5, 4.5, 9]),
    ([0, 1.5, 4, 5, 9], 3, [0.75, 4.5, 9]),
    ([0, 1.5, 4, 5, 9], 2, [3.9 - 1.275, 9]),
    ([0, 1.5, 4, 5, 9], 1, [3.9]),
    # Equal steps are merged before all others, and weigh as many as they are: (3 x 2 + 6) / 4 = 3.
    ([2, 2, 2, 6, 20], 3, [2, 6, 20]),
    ([2, 2, 2, 6, 20], 2, [3, 20]),
    # Only neighbours are merged, however alike others are: time order is kept.
    ([0, 5, 0, 5, 9], 4, [0, 5, 0, 7]),
    # Of equally near pairs the first is taken; its mean is then farther from the next than those are.
    ([0, 1, 2, 3], 3, [0.5, 2, 3]),
    ([0, 1, 2, 3], 2, [0.5, 2.5]),
]


@pytest.mark.parametrize(("given", "most", "left"), HAND)
def test_merges_are_what_a_hand_works_out(given, most, left):
    """The nearest neighbours become their weighted mean, again and again."""
    (made,) = firsts(compress.compressed(uniform(steps(*given)), most))
    assert made == pytest.approx(left)


@pytest.mark.parametrize("most", [1, 2, 3, 7])
def test_means_are_kept(most):
    """Weighted by how many steps each holds, the mean over a window's real steps is what it was."""
    values, valid = drawn()
    keep = valid > most
    values, valid = values[keep], valid[keep]
    merged, size = compress.merge(values, valid, most)
    assert size.sum(dim=1).equal(valid)
    assert (size > 0).all()
    for one, weights, before, real in zip(merged, size, values, valid, strict=True):
        torch.testing.assert_close((one * weights[:, None]).sum(dim=0) / real, before[:real].mean(dim=0))


def test_each_step_left_is_the_mean_of_neighbours():
    """Step for step, what is left is the plain mean of the next so many real steps."""
    values, valid = drawn()
    merged, size = compress.merge(values, valid, 3)
    for one, weights, before, real in zip(merged, size, values, valid, strict=True):
        runs = before[:real].split(weights.tolist())
        torch.testing.assert_close(one, torch.stack([run.mean(dim=0) for run in runs]))


def by_hand(given, most):
    """Merge one window the slow way: every pair is looked at again after every merge."""
    runs = [[step] for step in given.double()]
    while len(runs) > most:
        means = torch.stack([torch.stack(run).mean(dim=0) for run in runs])
        i = int((means[1:] - means[:-1]).square().sum(dim=1).argmin())
        runs[i : i + 2] = [runs[i] + runs[i + 1]]
    return torch.stack([torch.stack(run).mean(dim=0) for run in runs]).float()


@pytest.mark.parametrize("most", [1, 3])
def test_many_at_once_are_as_one_after_another_the_slow_way(most):
    """Windows of all lengths beside each other give what a plain loop over one gives."""
    values, valid = drawn()
    made = compress.compressed(Stored(values, None, valid, torch.arange(len(values) + 1)), most)
    for one, before, real in zip(made.frames, values, valid, strict=True):
        torch.testing.assert_close(one, by_hand(before[:real], most))


@pytest.mark.parametrize("at_once", [1, 2000, 2**23])
def test_neighbours_and_how_many_are_merged_at_once_change_nothing(at_once, monkeypatch):
    """To the last bit, a window is the same alone, beside longer ones, in other company and beside other padding."""
    values, valid = drawn(d=37)
    whole = compress.compressed(Stored(values, None, valid, torch.arange(len(values) + 1)), 4).frames
    monkeypatch.setattr(compress, "AT_ONCE_BYTES", at_once)
    again = compress.compressed(Stored(values, None, valid, torch.arange(len(values) + 1)), 4).frames
    assert again.equal(whole)
    for i in (0, 7, 21):
        alone = Stored(values[i : i + 1, : int(valid[i])], None, valid[i : i + 1], torch.tensor([0, 1]))
        assert compress.compressed(alone, 4).frames[0].equal(whole[i])
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(1))
    mixed = Stored(values[order], None, valid[order], torch.arange(len(values) + 1))
    assert compress.compressed(mixed, 4).frames.equal(whole[order])


def test_padding_is_never_merged():
    """Only the leading real steps count; a window with no more of them than wanted keeps them, and its padding."""
    stored = uniform(steps(1, 2, 50, 50, 50), steps(1, 4, 5, 50, 50), steps(7, 7, 7, 7, 7), valid=[2, 3, 0])
    made = compress.compressed(stored, 2)
    assert made.frames.shape == (3, 2, 2)
    assert made.valid.tolist() == [2, 2, 0]
    assert firsts(made) == [[1, 2], [1, 4.5], []]
    assert made.frames[2, :, 0].tolist() == [7, 7]


def test_windows_of_other_lengths():
    """Each is brought to as many steps alone, and shorter ones, also of none, stay as they are."""
    stored = ragged(steps(1, 9, 10), steps(3), [], steps(1, 2, 9, 30), valid=[3, 1, 0, 3])
    made = compress.compressed(stored, 2)
    assert made.start.tolist() == [0, 2, 3, 3, 5]
    assert firsts(made) == [[1, 9.5], [3], [], [1.5, 9]]
    assert made.counts.equal(stored.counts)


@pytest.mark.parametrize("stored", [uniform(steps(1, 2), steps(3, 4), valid=[2, 1]), ragged(steps(1, 2), steps(3))])
def test_short_windows_stay_as_they_are(stored):
    """Where no window has more steps than wanted, there is nothing to do."""
    made = compress.compressed(stored, 2)
    assert made.frames.equal(stored.frames)
    assert made.valid.equal(stored.valid)
    assert (made.start is None) == (stored.start is None)


def test_half_floats_stay_and_bytes_become_numbers_with_fractions():
    """The cache's half floats are merged as float32; pictures of bytes have means between two bytes."""
    half = compress.compressed(uniform(steps(1000, 1001, 9), dtype=torch.float16), 2)
    assert half.frames.dtype == torch.float16
    assert firsts(half) == [[1000.5, 9]]
    pictures = torch.tensor([10, 13, 200], dtype=torch.uint8).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    made = compress.compressed(Stored(pictures, None, torch.tensor([3]), torch.tensor([0, 1])), 2)
    assert made.frames.shape == (1, 2, 4, 4)
    assert made.frames[0, :, 0, 0].tolist() == [11.5, 200]


def test_numbers_too_large_to_square_are_merged_last():
    """No distance is infinite, which is what padding's is."""
    (made,) = firsts(compress.compressed(uniform(steps(1e30, -1e30, 1, 2)), 3))
    assert made == pytest.approx([1e30, -1e30, 1.5])


# The dial.


@pytest.fixture
def clips():
    """The small corpus, and an entry of whole clips of 1 to 9 steps."""
    made = fuse_kit.clips()
    fuse_kit.store(made)
    rng = np.random.default_rng(0)
    lengths = {clip.id: 1 + i % 9 for i, clip in enumerate(made)}

    def windows(clip):
        t = lengths[clip.id]
        return Windows.join([rng.standard_normal((t, 3)).astype(np.float32)], [(0.0, 2.0)], [t])

    fuse_kit.entry(made, "series", windows)
    return made


MOST = ("data.compress={audio = 2, text = 1}", "encoders.audio=series")


def everything(joined):
    """All examples of a dataset as one batch."""
    return joined.batch(torch.arange(len(joined.clips)))


@pytest.mark.parametrize("standardise", ["true", "false"])
def test_the_dial_shortens_some_modalities(clips, standardise):
    """Batches, shapes and what is standardised are of the shorter windows; other modalities are as they were."""
    setting = f"data.standardise={standardise}"
    plain, joined = fuse_kit.joined(clips, MOST[1], setting), fuse_kit.joined(clips, *MOST, setting)
    assert plain.shapes == {"audio": (9, 3), "video": (3, 6), "text": (4, 8)}
    assert joined.shapes == {"audio": (2, 3), "video": (3, 6), "text": (1, 8)}
    before, after = everything(plain), everything(joined)
    assert after.steps["audio"].sum(dim=2).equal(before.steps["audio"].sum(dim=2).clamp(max=2))
    assert after.values["video"].equal(before.values["video"])
    torch.testing.assert_close(after.values["text"][:, :, 0], before.mean_of_steps("text")[:, None])
    if standardise == "true":
        scaled = joined.standardised(range(24))
        values, real = scaled.batch(torch.arange(24)).sequence("audio")
        torch.testing.assert_close(values[real].mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)


def test_streamed_batches_are_the_same(clips):
    """What is compressed block by block is to the last bit what is compressed at once."""
    whole = everything(fuse_kit.joined(clips, *MOST))
    streamed = fuse_kit.joined(clips, *MOST, "data.memory_gb=4e-6")
    assert streamed.stored is None
    blocks = list(streamed.batches(torch.arange(len(clips)), 8))
    assert len(blocks) > len(clips) / 8
    for chosen, batch in blocks:
        for modality, values in batch.values.items():
            t = values.shape[2]
            assert values.equal(whole.values[modality][chosen, :, :t])
            assert batch.steps[modality].equal(whole.steps[modality][chosen, :, :t])


def test_the_report_says_so(clips):
    """A note names each modality that was shortened, and none that had nothing to merge."""
    (note,) = fuse_kit.joined(clips, "data.compress={audio = 2, video = 3}", MOST[1]).notes
    assert note.startswith("Windows of audio have up to 9 steps in the cache; where more than 2 are real,")
    assert not fuse_kit.joined(clips, MOST[1]).notes


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.compress.vidoe=8", r"data.compress: unknown modality 'vidoe'\. Did you mean 'video'"),
        ("data.compress.video=0", "data.compress.video: expected at least 1, got 0"),
        ("data.compress.video=1.5", "data.compress.video: expected int, got 1.5"),
    ],
)
def test_a_wrong_dial_is_named(setting, message):
    """Modalities that there are not, and fewer steps than one, are refused before anything is read."""
    with pytest.raises(RecipeError, match=message):
        fuse_kit.load_recipe("concat", setting)


@pytest.mark.parametrize("name", models.names())
def test_every_model_takes_shorter_windows(clips, name):
    """Whatever looks at steps is built for as many as are left."""
    known = getattr(models.module(name), "MODALITIES", tuple(fuse_kit.SHAPES))
    few = "data.compress={audio = 2, video = 2, text = 1}"
    recipe = fuse_kit.load_recipe("concat", f"model={name}", few, MOST[1])
    recipe = dataclasses.replace(recipe, modalities=tuple(m for m in fuse_kit.SHAPES if m in known))
    joined = data.load(clips, recipe)
    model = models.build(name, model_config(recipe), joined.shapes, {"emotion": 7}, joined.entries)
    assert model.eval()(everything(joined))["emotion"].isfinite().all()
