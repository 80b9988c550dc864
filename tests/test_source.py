"""One modality on the disk: entries side by side, windows averaged while they are read, clips in any order."""

import fuse_kit
import numpy as np
import pytest
import torch

from features import CacheError, Reader, Windows, find
from fuse import source
from fuse.source import Source

pytestmark = pytest.mark.usefixtures("roots")

CLIPS = fuse_kit.clips(train=6, dev=1, test=1)
FIVE, ONE, TWO = [5, 5], [1, 1], [2, 2]


def drawn(d, lengths, dtype=np.float32):
    """Return a maker of windows of noise whose numbers follow from the clip."""

    def make(clip):
        rng = np.random.default_rng([d, *lengths, *clip.id.encode()])
        windows = [rng.standard_normal((t, d)).astype(dtype) for t in lengths]
        return Windows.join(windows, fuse_kit.spans(len(lengths)), lengths)

    return make


def opened(*encoders, mean=False, clips=CLIPS):
    """Return the source of some entries side by side."""
    return Source("audio", {"demo": [Reader(find("demo", encoder)) for encoder in encoders]}, clips, mean=mean)


def values_of(one, i):
    """Read one clip."""
    return one.load([i]).take(torch.tensor([0]))[0][0].numpy()


def test_entries_side_by_side_are_joined_along_the_width():
    """Each step has the numbers of all entries, in the recipe's order; a single step holds for its whole window."""
    makers = {"left": drawn(3, FIVE), "right": drawn(2, FIVE), "whole": drawn(4, ONE)}
    for name, make in makers.items():
        fuse_kit.entry(CLIPS, name, make)
    one = opened("left", "whole", "right")
    assert one.shape == (5, 9)
    left, whole, right = (makers[name](CLIPS[3]) for name in ("left", "whole", "right"))
    for window, found in enumerate(values_of(one, 3)):
        np.testing.assert_array_equal(found[:, :3], left.window(window))
        np.testing.assert_array_equal(found[:, 3:7], whole.window(window).repeat(5, axis=0))
        np.testing.assert_array_equal(found[:, 7:], right.window(window))


def test_side_by_side_knows_half_floats_from_floats():
    """Entries of other types lose nothing of each other's digits."""
    fuse_kit.entry(CLIPS, "coarse", drawn(1, [2], np.float16), dtype="float16")
    fuse_kit.entry(CLIPS, "fine", drawn(2, [2]))
    one = opened("coarse", "fine")
    np.testing.assert_array_equal(values_of(one, 0)[0, :, 1:], drawn(2, [2])(CLIPS[0]).window(0))
    assert one.dtype == np.float32


def test_a_recipe_names_entries_side_by_side():
    """`audio = "mfcc+egemaps"` gives one modality, of which a clip lacks all where it lacks either."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    fuse_kit.entry(clips[1:], "egemaps", drawn(3, ONE), "windows(3,2,2)")
    joined = fuse_kit.joined(clips, "encoders.audio=mfcc+egemaps")
    assert joined.shapes["audio"] == (5, 7)
    batch = joined.batch(torch.tensor([0, 1]))
    assert batch.present["audio"].tolist() == [False, True]
    assert batch.values["audio"][1, 0, :, 4:].std(dim=0).max() == 0
    assert [folder.name.rpartition("-")[0] for folder in joined.entries["audio"]] == ["mfcc", "egemaps"]


def test_entries_with_other_windows_are_refused():
    """Seconds that differ cannot lie side by side, and neither can another number of windows."""
    fuse_kit.entry(CLIPS, "left", drawn(3, FIVE))
    fuse_kit.entry(CLIPS, "three", drawn(2, [5, 5, 5]))
    late = Windows.join([np.ones((5, 2))] * 2, [(0.0, 3.0), (2.5, 5.5)], FIVE)
    fuse_kit.entry(CLIPS, "late", lambda _: late)
    for other in ("three", "late"):
        with pytest.raises(
            CacheError, match=rf"encoders\.audio: left-\w+ and {other}-\w+ have other windows of train_0"
        ):
            opened("left", other)


def test_entries_whose_steps_do_not_fit_are_refused():
    """Of five steps and two none says which lies beside which; clip and entries are named."""
    fuse_kit.entry(CLIPS, "left", drawn(3, FIVE))
    fuse_kit.entry(CLIPS, "right", drawn(2, TWO))
    with pytest.raises(
        CacheError, match=r"encoders\.audio: .* left-\w+ and right-\w+ have \[5, 5\] and \[2, 2\] of train_0"
    ):
        opened("left", "right")


def test_a_clip_without_windows_in_one_entry_lacks_the_modality():
    """No window at all is absence, in the first entry and in the second."""

    def make(clip):
        empty = Windows(
            np.zeros((0, 2), np.float32), np.zeros(1, np.int64), np.zeros((0, 2)), np.zeros(0, np.int32), {}
        )
        return empty if clip is CLIPS[2] else drawn(2, FIVE)(clip)

    fuse_kit.entry(CLIPS, "full", drawn(3, FIVE))
    fuse_kit.entry(CLIPS, "gaps", make)
    for encoders in (("gaps",), ("gaps", "full"), ("full", "gaps")):
        one = opened(*encoders)
        assert one.counts.tolist() == [2, 2, 0, 2, 2, 2, 2, 2]
        assert not values_of(one, 2).any()


def test_windows_are_averaged_in_single_precision():
    """The mean of half floats is computed with more digits than it is kept with, and spans the whole clip."""
    windows = np.array([[[2048.0]], [[2049.0 + 1]], [[1.0]]], np.float16)
    fuse_kit.entry(CLIPS, "half", lambda _: Windows.join(list(windows), fuse_kit.spans(3), [1] * 3), dtype="float16")
    one = opened("half", mean=True)
    assert one.counts.tolist() == [1] * 8
    assert values_of(one, 0).item() == np.float16(windows.astype(np.float64).mean())
    np.testing.assert_array_equal(one.outlines[0][1], [[0.0, 7.0]])
    assert one.bytes == 8 * 2


def test_the_mean_of_several_windows_is_as_real_as_its_longest():
    """A step is real where any window had something real in it."""
    fuse_kit.entry(CLIPS, "some", lambda _: Windows.join([np.ones((4, 2))] * 2, fuse_kit.spans(2), [4, 2]))
    assert opened("some", mean=True).load([0]).valid.tolist() == [4]


@pytest.mark.parametrize("at_once", [1, 100, 10**9])
@pytest.mark.parametrize("lengths", [FIVE, [2, 5]])
def test_clips_come_in_the_order_asked_for(monkeypatch, at_once, lengths):
    """However much is read at once, and wherever it lies on the disk."""
    monkeypatch.setattr(source, "AT_ONCE_BYTES", at_once)
    make = drawn(3, lengths)
    for part in (CLIPS[4:], CLIPS[:3]):  # the fourth clip is nowhere, and the others lie in two parts
        fuse_kit.entry(part, "mixed", make)
    one = opened("mixed")
    order = [6, 1, 3, 0, 5]
    values, windows, _ = one.load(order).take(torch.arange(5))
    for row, i in enumerate(order):
        if i == 3:
            assert not windows[row].any()
            continue
        for window, length in enumerate(lengths):
            np.testing.assert_array_equal(values[row, window, :length], make(CLIPS[i]).window(window))
    assert one.order.index(3) == 0
    assert sorted(one.order) == list(range(8))


def test_clips_without_any_window_can_be_read():
    """A stretch of the disk that lacks a modality altogether is zeros."""
    for lengths, name in ((FIVE, "even"), ([2, 5], "odd")):
        fuse_kit.entry(CLIPS[:2], name, drawn(3, lengths))
        values, windows, steps = opened(name).load([4, 5]).take(torch.tensor([0, 1]))
        assert values.shape[0] == 2
        assert not values.any()
        assert not windows.any()
        assert not steps.any()


def test_what_goes_while_it_is_read_is_said():
    """A clip that was there when the experiment began and is gone now is no absence."""
    fuse_kit.entry(CLIPS, "gone", drawn(3, FIVE))
    one = opened("gone")
    for part in find("demo", "gone").glob("part-*"):
        part.unlink()
    for reader in one.readers["demo"]:
        reader.close()
    with pytest.raises(CacheError, match=r"gone-\w+: 'train_0' is gone; nothing may write there now"):
        one.load([0])


def test_parts_of_other_widths_are_refused():
    """Two parts of one entry must agree on what a step is; modality and clip are named."""
    fuse_kit.entry(CLIPS[:3], "torn", drawn(3, FIVE))
    fuse_kit.entry(CLIPS[3:], "torn", drawn(4, FIVE))
    one = opened("torn")
    with pytest.raises(CacheError, match=r"audio of train_\d: expected steps of \(\d,\), got \(\d,\)"):
        one.load(range(8))


def test_clips_in_the_order_of_the_disk_are_read_straight_to_their_place(monkeypatch):
    """What lies one after another is read at once, without a copy; the values are those of reading clip by clip."""
    fuse_kit.entry(CLIPS, "mfcc", drawn(4, FIVE))
    one = opened("mfcc")
    expected = [values_of(one, i) for i in range(len(CLIPS))]
    monkeypatch.setattr(Reader, "read", None)
    stored = one.load(range(len(CLIPS)))
    for i, values in enumerate(expected):
        np.testing.assert_array_equal(stored.take(torch.tensor([i]))[0][0].numpy(), values)


def test_what_does_not_fit_its_place_is_not_read_there():
    """Clips that do not follow each other, or a place of another size or type, are left to reading clip by clip."""
    fuse_kit.entry(CLIPS, "mfcc", drawn(4, FIVE))
    with Reader(find("demo", "mfcc")) as reader:
        first, second, third = (clip.id for clip in CLIPS[:3])
        assert reader.read_run([first, second], np.zeros((20, 4), np.float32)) is not None
        assert reader.read_run([first, third], np.zeros((20, 4), np.float32)) is None
        assert reader.read_run([first, second], np.zeros((19, 4), np.float32)) is None
        assert reader.read_run([first, second], np.zeros((20, 4), np.float16)) is None
