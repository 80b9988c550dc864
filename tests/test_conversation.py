"""Clips become the conversations that they are turns of, and come back as they were."""

import pytest
import torch
from batch_kit import batch_of

from fuse.conversation import Conversations


def batch(dialogue, turn, speaker=None):
    """Return clips of one number each: their place in the batch."""
    b = len(dialogue)
    made = batch_of({"text": torch.arange(float(b)).reshape(b, 1, 1)})
    placed = {"dialogue": torch.tensor(dialogue), "turn": torch.tensor(turn)}
    speakers = torch.tensor(speaker) if speaker else torch.full((b,), -1)
    return type(made)(**{**vars(made), **placed, "speaker": speakers})


MIXED = batch([7, -1, 7, 2, 7, 2], [4, 0, 0, 1, 2, 0], [5, 5, 6, 6, 5, -1])


def test_turns_stand_in_order_and_come_back_in_that_of_the_batch():
    """Each conversation holds its clips by turn, padded at the end; a clip that stands alone is one of its own."""
    laid = Conversations.of(MIXED, "both")
    clips = torch.arange(6)
    rows = {tuple(row[real].tolist()) for row, real in zip(laid.lay(clips + 1), laid.real, strict=True)}
    assert rows == {(3, 5, 1), (6, 4), (2,)}
    assert torch.equal(laid.back(laid.lay(clips)), clips)
    assert sorted(laid.real.sum(dim=1).tolist()) == [1, 2, 3]


def test_a_turn_that_is_missing_leaves_a_gap():
    """Turns keep the numbers that they have in the whole conversation, and speakers go with them."""
    laid = Conversations.of(MIXED, "both")
    (row,) = (row for row in range(3) if laid.real[row].sum() == 3)
    assert laid.turn[row].tolist() == [0, 2, 4]
    assert laid.speaker[row].tolist() == [6, 5, 5]
    assert laid.same_speaker[row].long().tolist() == [[1, 0, 0], [0, 1, 1], [0, 1, 1]]


def test_nobody_known_is_of_one_voice_with_nobody_else():
    """Two turns without a speaker are not taken for one voice."""
    laid = Conversations.of(batch([0, 0], [0, 1]), "both")
    assert laid.same_speaker[0].tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("context", "expected"),
    [("both", [[1, 1, 0], [1, 1, 0], [0, 0, 1]]), ("past", [[1, 0, 0], [1, 1, 0], [0, 0, 1]])],
)
def test_what_is_heard_is_named(context, expected):
    """With the past alone no turn hears a later one; padding hears itself and is heard by no turn."""
    laid = Conversations.of(batch([0, 0, 1, 1, 1], [0, 1, 0, 1, 2]), context)
    (row,) = (row for row in range(2) if laid.real[row].sum() == 2)
    assert laid.heard[row].long().tolist() == expected


def test_without_context_every_clip_is_alone():
    """Without context there are as many conversations as clips."""
    laid = Conversations.of(MIXED, "none")
    assert laid.real.shape == (6, 1)
    assert laid.heard.all()
    assert torch.equal(laid.back(laid.lay(MIXED.turn)), MIXED.turn)


def test_reading_backwards_leaves_padding_at_the_end():
    """Each conversation is turned round within its own length, and twice is once too often."""
    laid = Conversations.of(batch([0, 0, 0, 1], [0, 1, 2, 0]), "both")
    turns = laid.lay(torch.arange(1.0, 5)[:, None].expand(-1, 2))
    back = laid.reversed(turns)
    assert {tuple(row) for row in back[:, :, 0].tolist()} == {(3, 2, 1), (4, 0, 0)}
    assert torch.equal(laid.reversed(back), turns)
