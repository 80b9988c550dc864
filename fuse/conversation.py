"""Which conversation and turn each clip is, and the clips of a batch laid out as conversations.

Axes: c conversations, u turns; b clips. A clip that stands alone is a conversation of one turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from fuse.batch import Batch
from manifests import Clip

Context = Literal["both", "past", "none"]
"""Which other turns of its conversation a clip's answer may rest on: all of them, those before it, or none."""


@dataclass(frozen=True)
class Conversations:
    """Whole conversations, their turns in order, padded at the end."""

    real: Tensor
    """(c, u) bool: there is a turn."""
    turn: Tensor
    """(c, u) whole number: its place in the whole conversation, in which others may be missing."""
    speaker: Tensor
    """(c, u) whole number: turns of one voice share it; -1 is nobody known."""
    context: Context
    _place: Tensor
    """(b) where each clip stands, counted over all turns of all conversations."""

    @classmethod
    def of(cls, batch: Batch, context: Context) -> Self:
        """Lay a batch out; without context every clip is a conversation of its own."""
        alone = -1 - torch.arange(len(batch), device=batch.dialogue.device)
        number = alone if context == "none" else torch.where(batch.dialogue >= 0, batch.dialogue, alone)
        order = batch.turn.long().argsort(stable=True)
        order = order[number[order].argsort(stable=True)]
        fresh = number[order].diff(prepend=number.new_tensor([number.min() - 1])) != 0
        lengths = fresh.cumsum(0).bincount()[1:]
        longest = int(lengths.max())
        real = torch.arange(longest, device=number.device) < lengths[:, None]
        place = torch.empty_like(order)
        place[order] = real.flatten().nonzero()[:, 0]
        laid = cls(real, real.long(), real.long(), context, place)
        return cls(real, laid.lay(batch.turn.long()), laid.lay(batch.speaker.long()), context, place)

    def lay(self, clips: Tensor) -> Tensor:
        """Turn (b, ...) into (c, u, ...), zero where there is no turn."""
        laid = clips.new_zeros(self.real.numel(), *clips.shape[1:])
        return laid.index_copy(0, self._place, clips).reshape(*self.real.shape, *clips.shape[1:])

    def back(self, turns: Tensor) -> Tensor:
        """Turn (c, u, ...) into (b, ...), the clips in the order of their batch."""
        return turns.flatten(0, 1)[self._place]

    @property
    def heard(self) -> Tensor:
        """(c, u, u) bool: the turn of a row may look at that of a column; every turn at itself, padding included."""
        u = self.real.shape[1]
        both = self.real[:, :, None] & self.real[:, None, :]
        allowed = both & ~self.later if self.context == "past" else both
        return allowed | torch.eye(u, dtype=torch.bool, device=both.device)

    @property
    def later(self) -> Tensor:
        """(u, u) bool: the turn of a column comes after that of a row."""
        u = self.real.shape[1]
        return torch.ones(u, u, dtype=torch.bool, device=self.real.device).triu(1)

    @property
    def same_speaker(self) -> Tensor:
        """(c, u, u) bool: two turns are of one voice; every turn with itself, and nobody known with nobody else."""
        same = (self.speaker[:, :, None] == self.speaker[:, None, :]) & (self.speaker[:, :, None] >= 0)
        return same | torch.eye(self.real.shape[1], dtype=torch.bool, device=same.device)

    def reversed(self, turns: Tensor) -> Tensor:
        """Read (c, u, ...) from the last turn to the first; padding stays at the end."""
        u = self.real.shape[1]
        place = torch.arange(u, device=turns.device)
        last = self.real.sum(dim=1, keepdim=True) - 1
        index = torch.where(self.real, last - place, place)
        return turns.gather(1, index.reshape(*index.shape, *(1,) * (turns.dim() - 2)).expand_as(turns))


def places(clips: Sequence[Clip], limit: int) -> tuple[Tensor, Tensor]:
    """Return each clip's conversation and its place there; one with more turns than the limit is cut evenly.

    A clip whose place is not known stands alone. Two that claim one place stand there in the manifest's order.
    """
    whole: dict[tuple[str, str, str], list[int]] = {}
    for i, clip in enumerate(clips):
        if clip.dialogue_id and clip.utt_index is not None:
            whole.setdefault((clip.corpus, clip.split, clip.dialogue_id), []).append(i)
    dialogue, turn = torch.full((len(clips),), -1), torch.zeros(len(clips), dtype=torch.long)
    number = 0
    for members in whole.values():
        in_order = sorted(members, key=lambda i: clips[i].utt_index or 0)
        turns: list[int] = []
        for i in in_order:
            turns.append(max(clips[i].utt_index or 0, turns[-1] + 1 if turns else 0))
        turn[in_order] = torch.tensor(turns)
        for piece in torch.tensor(in_order).tensor_split(-(-len(in_order) // limit)):
            dialogue[piece] = number
            number += 1
    return dialogue, turn


def speakers(clips: Sequence[Clip]) -> Tensor:
    """Return a number that clips of one voice share; -1 where nobody is named."""
    numbers: dict[tuple[str, str], int] = {}
    return torch.tensor(
        [numbers.setdefault((clip.corpus, clip.speaker_id), len(numbers)) if clip.speaker_id else -1 for clip in clips]
    )
