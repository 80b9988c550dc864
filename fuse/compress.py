"""Token compression: windows brought to so many steps, the most similar neighbours merged into one.

DeepMSI-MER (2025) compresses the visual sequence before it fuses. Inferred: how, for its details are not published.
Here two neighbours are as similar as their steps lie near each other (squared distance), what is merged is the mean of
all steps in it, and the nearest two are merged again until no more steps are left than wanted.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from fuse.batch import Shapes
from fuse.stored import Stored

AT_ONCE_BYTES = 2**23
"""What is merged at once: enough that calls are not what costs, and little enough to stay near the core."""
_FARTHEST = torch.finfo(torch.float32).max / 2


def shortened(shapes: Shapes, most: Mapping[str, int]) -> Shapes:
    """Return the shapes with at most so many steps of some modalities."""
    return {modality: (min(t, most.get(modality, t)), *axes) for modality, (t, *axes) in shapes.items()}


def notes(shapes: Shapes, most: Mapping[str, int]) -> Iterator[str]:
    """Say of what windows consist now; `shapes` are those of the cache."""
    for modality, steps in most.items():
        t = shapes[modality][0] if modality in shapes else 0
        if t > steps:
            yield (
                f"Windows of {modality} have up to {t} steps in the cache; where more than {steps} are real, the most "
                f"similar neighbours were merged until {steps} were left."
            )


def compressed(stored: Stored, most: int) -> Stored:
    """Return the windows with at most so many steps each, in their order; what has no more is as it was."""
    uniform, device = stored.start is None, stored.frames.device
    axes = stored.frames.shape[2 if uniform else 1 :]
    frames = stored.frames.reshape(-1, *axes)
    begin, lengths = _outline(stored)
    if not bool((lengths > most).any()):
        return stored
    kept = lengths.clamp(max=most)
    place = kept.cumsum(0) - kept
    made = frames[(begin - place).repeat_interleave(kept) + torch.arange(int(kept.sum()), device=device)]
    made = made if made.is_floating_point() else made.float()  # a mean of whole numbers is none
    for some in _alike(stored.valid, most, 4 * frames[:1].numel()):
        valid = stored.valid[some]
        steps = begin[some][:, None] + torch.arange(int(valid.max()), device=device)
        values = frames[steps.clamp(max=len(frames) - 1)].flatten(2).float()
        rows = place[some][:, None] + torch.arange(most, device=device)
        made[rows] = merge(values, valid, most)[0].reshape(*rows.shape, *axes).to(made.dtype)
    return dataclasses.replace(
        stored,
        frames=made.reshape(-1, min(most, stored.frames.shape[1]), *axes) if uniform else made,
        start=None if uniform else torch.cat([place, kept.sum()[None]]),
        valid=stored.valid.clamp(max=most),
    )


def _outline(stored: Stored) -> tuple[Tensor, Tensor]:
    """(r) where each window begins, and (r) how many steps it has."""
    if stored.start is not None:
        return stored.start[:-1], stored.start.diff()
    lengths = torch.full_like(stored.valid, stored.frames.shape[1])
    return lengths.cumsum(0) - lengths, lengths


def _alike(valid: Tensor, most: int, step_bytes: int) -> Iterator[Tensor]:
    """Yield the windows that are too long, few at a time, those of about one length together."""
    order = valid.argsort(stable=True)
    order = order[valid[order] > most]
    while len(order):
        some = max(1, AT_ONCE_BYTES // (int(valid[order[-1]]) * step_bytes))
        yield order[-some:]
        order = order[:-some]


def merge(values: Tensor, valid: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Merge the first `valid` (w) steps of windows (w, t, d) until `most` are left, fewer than each has.

    Return the steps left (w, most, d), and how many were merged into each (w, most). Of equally near neighbours the
    first are merged. No window changes another's result.
    """
    w, t, d = values.shape
    nobody = w * t  # it stands before every first step and behind every last
    steps = torch.cat([values.reshape(nobody, d), values.new_zeros(1, d)])
    behind = torch.arange(t, device=values.device).expand(w, -1) + 1
    own = torch.arange(nobody, device=values.device).reshape(w, t)
    after = _with_nobody((own + 1).masked_fill(behind >= valid[:, None], nobody), nobody)
    before = _with_nobody((own - 1).masked_fill(behind == 1, nobody), nobody)
    size = _with_nobody((behind <= valid[:, None]).float(), 0)
    gap = _with_nobody(torch.full((w, t), torch.inf, device=values.device), 0)
    gap[:nobody].view(w, t)[:, :-1] = _distance(values[:, :-1], values[:, 1:])
    gap[after == nobody] = torch.inf
    window, left = own[:, 0] // t, valid.clone()
    while len(window):
        one = window * t + gap[:nobody].view(w, t).index_select(0, window).argmin(dim=1)
        other, previous = after[one], before[one]
        following = after[other]
        total = size[one] + size[other]
        mean = torch.lerp(steps.index_select(0, one), steps.index_select(0, other), (size[other] / total)[:, None])
        steps.index_copy_(0, one, mean)
        size[one], size[other], gap[other] = total, 0, torch.inf
        after[one], before[following] = following, one
        gap[previous] = _distance(steps.index_select(0, previous), mean)
        gap[one] = _distance(steps.index_select(0, following), mean).masked_fill_(following == nobody, torch.inf)
        left[window] -= 1
        window = window[left[window] > most]
    there = size[:nobody].nonzero()[:, 0]
    return steps.index_select(0, there).view(w, most, d), size[there].view(w, most).long()


def _with_nobody(steps: Tensor, said: int) -> Tensor:
    return torch.cat([steps.flatten(), steps.new_tensor([said])])


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).square_().sum(dim=-1).clamp(max=_FARTHEST)
