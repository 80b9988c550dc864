"""Windows in memory: whatever lies side by side there, a batch is padded and masked like every other."""

import numpy as np
import pytest
import torch

from fuse.stored import Stored

pytestmark = pytest.mark.usefixtures("one_thread")

CLIPS = [[3, 1], [], [2], [4, 4, 1]]
"""The steps of each window of four clips."""


def stored(clips, d=2, valid=None):
    """Windows whose numbers count on from 1, so that none is zero, with all steps real unless said."""
    lengths = [length for clip in clips for length in clip]
    start = torch.tensor([0, *np.cumsum(lengths)])
    frames = torch.arange(1, int(start[-1]) * d + 1).reshape(-1, d).half()
    first = torch.tensor([0, *np.cumsum([len(clip) for clip in clips])])
    valid = torch.tensor(lengths if valid is None else valid)
    if len(set(lengths)) == 1:
        return Stored(frames.reshape(-1, lengths[0], d), None, valid, first)
    return Stored(frames, start, valid, first)


def by_hand(one, clips, chosen):
    """Pad the windows of some clips one after another, the slow way."""
    windows, begin = [], 0
    for lengths in clips:
        flat = one.frames.reshape(-1, one.frames.shape[-1])
        windows.append([flat[begin + sum(lengths[:i]) :][:t].float() for i, t in enumerate(lengths)])
        begin += sum(lengths)
    picked = [windows[i] for i in chosen]
    n = max(1, *map(len, picked))
    t = max([len(window) for clip in picked for window in clip], default=1)
    values, steps = torch.zeros(len(chosen), n, t, flat.shape[-1]), torch.zeros(len(chosen), n, t, dtype=torch.bool)
    for b, clip in enumerate(picked):
        for i, window in enumerate(clip):
            values[b, i, : len(window)], steps[b, i, : len(window)] = window, True
    return values, steps


@pytest.mark.parametrize("chosen", [[0], [3, 0], [2, 1, 0, 3], [0, 0]])
def test_windows_of_any_lengths_are_padded_to_the_longest_of_the_batch(chosen):
    """Values lie where they belong, all else is zero and said to be padding."""
    one = stored(CLIPS)
    values, windows, steps = one.take(torch.tensor(chosen))
    expected, real = by_hand(one, CLIPS, chosen)
    assert torch.equal(values, expected)
    assert torch.equal(steps, real)
    assert windows.sum(dim=1).tolist() == [len(CLIPS[i]) for i in chosen]
    assert values.dtype == torch.float32
    assert one.counts.tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize("clips", [CLIPS, [[3, 3], [], [3]]])
def test_a_clip_without_windows_alone_is_one_absent_window(clips):
    """Nothing is read for it, and it is zeros."""
    values, windows, steps = stored(clips).take(torch.tensor([1]))
    assert windows.tolist() == [[False]]
    assert not values.any()
    assert not steps.any()


def test_windows_of_one_length_keep_it():
    """Where all windows are equally long, so is every batch; padding of a window's own stays what the encoder made."""
    values, windows, steps = stored([[3, 3], [], [3]], valid=[3, 1, 2]).take(torch.tensor([0, 1, 2]))
    assert values.shape == (3, 2, 3, 2)
    assert windows.tolist() == [[True, True], [False, False], [True, False]]
    assert steps.sum(dim=2).tolist() == [[3, 1], [0, 0], [2, 0]]
    assert torch.equal(values[0], torch.arange(1.0, 13).reshape(2, 3, 2))
    assert not values[1].any()
    assert not values[2, 1].any()


@pytest.mark.parametrize("clips", [[[2, 2, 2], [2], []], [[2, 1, 3], [2], []]])
def test_one_window_of_each_clip(clips):
    """A window is picked by its number; a clip that has one has it at every moment, and one without has none."""
    one = stored(clips)
    every, _, _ = one.take(torch.tensor([0, 1]))
    values, windows, _ = one.take(torch.tensor([0, 1, 2]), torch.tensor([2, 2, 2]))
    assert windows.tolist() == [[True], [True], [False]]
    t = values.shape[2]
    torch.testing.assert_close(values[:2, 0], torch.stack([every[0, 2, :t], every[1, 0, :t]]))
    assert not values[2].any()


@pytest.mark.parametrize("clips", [CLIPS, [[3, 3], [], [3], [3]]])
def test_standardising_touches_real_numbers_alone(clips):
    """What a window has is shifted and scaled; what a mask leaves out stays zero."""
    shift, scale = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])
    one = stored(clips)
    chosen = torch.tensor([0, 1, 3])
    plain, _, steps = one.take(chosen)
    values, _, _ = one.standardised(shift, scale).take(chosen)
    torch.testing.assert_close(values, torch.where(steps[..., None], (plain - shift) * scale, 0))


def test_pictures_are_windows_too():
    """Steps may have two axes; bytes become float32 with all their levels."""
    frames = torch.arange(0, 256, dtype=torch.uint8).reshape(2, 8, 4, 4)
    one = Stored(frames, None, torch.tensor([8, 8]), torch.tensor([0, 1, 1, 2]))
    values, windows, _ = one.take(torch.tensor([2, 1]))
    assert torch.equal(values[0, 0], frames[1].float())
    assert not values[1].any()
    assert windows.tolist() == [[True], [False]]


def test_moving_keeps_everything():
    """On a device there is the same to take."""
    one = stored(CLIPS).standardised(torch.ones(2), torch.ones(2))
    moved = one.to(torch.device("cpu"))
    for here, there in zip(one.take(torch.tensor([0, 3])), moved.take(torch.tensor([0, 3])), strict=True):
        assert torch.equal(here, there)
