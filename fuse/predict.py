"""What a model says of clips: shares of each class, and which classes are there where several may be."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from fuse import decide, models, seams
from fuse.batch import Batch
from fuse.data import Dataset
from fuse.judged import Shares
from fuse.result import Predicted
from manifests.labels import TASKS

AT_ONCE = 64
NONE: Mapping[str, Tensor] = MappingProxyType({})


def shares(
    model: nn.Module,
    data: Dataset,
    clips: Sequence[int],
    without: Sequence[str] = (),
    *,
    lacking: Mapping[str, Tensor] = NONE,
    half: bool = False,
) -> dict[str, Shares]:
    """Return what each output of a model says of the examples of some clips, one row for each.

    All are shown without some modalities, and those of all clips (bool) that lack another without that one, too.
    """
    examples = data.examples(clips)
    found: dict[str, Tensor] = {}
    model.eval()
    with torch.inference_mode():
        for chosen, batch in _shown(data, examples, without, lacking):
            with torch.autocast(data.device.type, torch.bfloat16, enabled=half):
                logits = model(batch)
            for name, one in logits.items():
                rows = found.setdefault(name, torch.zeros(len(data.clip_of), one.shape[1]))
                rows[chosen] = _activated(name, one.float()).cpu()
    return {name: rows[examples].double().numpy() for name, rows in found.items()}


def vectors(
    model: nn.Module, data: Dataset, clips: Sequence[int], without: Sequence[str] = (), *, half: bool = False
) -> Shares:
    """Return what the heads of a model read of some clips (clips, d): the mean over the examples of each."""
    examples, read = data.examples(clips), [seams.representation(model)]
    order, found = [], []
    with torch.inference_mode():
        for chosen, batch in _shown(data, examples, without):
            with torch.autocast(data.device.type, torch.bfloat16, enabled=half):
                (values,) = seams.given(model, read, batch)
            order.append(chosen)
            found.append(values.flatten(1).float().cpu())
    rows = torch.zeros(len(data.clip_of), found[0].shape[1])
    rows[torch.cat(order)] = torch.cat(found)
    return _mean(data, clips, rows[examples].double().numpy())


def _shown(
    data: Dataset, examples: Tensor, without: Sequence[str], lacking: Mapping[str, Tensor] = NONE
) -> Iterator[tuple[Tensor, Batch]]:
    """Yield examples in batches, as if some or all of them lacked a modality."""
    for chosen, batch in data.batches(_by_clip(data, examples), AT_ONCE):
        everyone = torch.ones(len(batch), dtype=torch.bool, device=data.device)
        gone = {modality: clips[data.clip_of[chosen]].to(data.device) for modality, clips in lacking.items()}
        yield chosen, batch.without(gone | dict.fromkeys(without, everyone))


def _by_clip(data: Dataset, examples: Tensor) -> Tensor:
    """Order examples as clips lie on the disk where they are streamed."""
    return examples if data.stored is not None else examples.sort().values


def _activated(name: str, logits: Tensor) -> Tensor:
    kind = TASKS[name.rpartition("/")[2]].kind
    return logits.softmax(dim=1) if kind == "class" else logits.sigmoid() if kind == "multi" else logits


def said(data: Dataset, clips: Sequence[int], task: str, rows: Shares, threshold: float) -> Predicted:
    """Bring the examples of some clips together: windows vote, and where several classes may be, sets are formed."""
    several = data.several(task)
    sets = decide.sets(rows, task=task, threshold=threshold) if several else None
    if data.window_of is None or TASKS[task].kind == "score":
        return Predicted(_mean(data, clips, rows), sets if data.window_of is None else None)
    clip_of = _places(data, clips)
    voted = None if sets is None else decide.votes_of_sets(sets, clip_of, len(clips))
    if TASKS[task].kind == "multi":
        return Predicted(_mean(data, clips, rows), voted)
    return Predicted(decide.votes(rows, clip_of, len(clips)), voted)


def _places(data: Dataset, clips: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return for each example of some clips the place of its clip among them."""
    place = np.zeros(len(data.clips), np.int64)
    place[list(clips)] = np.arange(len(clips))
    found: np.ndarray[tuple[int], np.dtype[np.int64]] = place[data.clip_of[data.examples(clips)].numpy()]
    return found


def _mean(data: Dataset, clips: Sequence[int], rows: Shares) -> Shares:
    if data.window_of is None:
        return rows
    places = _places(data, clips)
    sums = np.zeros((len(clips), rows.shape[1]))
    np.add.at(sums, places, rows)
    return sums / np.bincount(places, minlength=len(clips))[:, None]


def threshold(data: Dataset, dev: Sequence[int], task: str, rows: Shares, model: str) -> float:
    """Return from which share on a class is there: the model's own rule, or what is best on dev."""
    own: float | None = getattr(models.module(model), "THRESHOLD", None)
    if own is not None or not data.several(task):
        return own or 0.0
    several, known = data.several(task), data.known[task].tolist()
    places = [place for place, i in enumerate(dev) if data.clips[i].corpus in several and known[i]]
    if not places:
        return 0.5
    truth = data.labels[task][[dev[place] for place in places]].double().numpy()
    return decide.tuned(task, truth, _mean(data, dev, rows)[places])
