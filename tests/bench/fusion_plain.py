"""LEFSA as a paper's script trains it: torch's own loader, one clip at a time out of HDF5, float32.

`python tests/bench/fusion_plain.py NAME CLIPS CLIPS_IN_BATCHES` trains on so many clips one by one, and on so many in
batches of 64, whenever a line comes in, and answers with clips per second. It knows nothing of `features` and `fuse`
but the network itself and what that is given.
"""

import json
import random
import sys
import time
from collections.abc import Mapping, Sequence

import fusion_cache as cache
import h5py
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torch.utils.data import Dataset as TorchDataset

import manifests
from fuse.batch import Batch
from fuse.models import lefsa
from manifests.labels import TASKS

Sample = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
BATCH, WARM_UP = 64, 8


class Clips(TorchDataset[Sample]):
    """The training clips: each reads its three windows when it is asked for, from files that stay open."""

    def __init__(self) -> None:
        self.clips = [clip for clip in manifests.read(cache.CORPUS).clips if clip.split == "train"]
        self.places = {modality: _places(modality) for modality in cache.SHAPES}

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> Sample:
        clip, values = self.clips[i], {}
        for modality, (t, _) in cache.SHAPES.items():
            frames, row = self.places[modality][clip.id]
            values[modality] = torch.from_numpy(frames[row * t : (row + 1) * t]).float()
        return values, {task: torch.tensor(clip.labels[task]) for task in cache.TASKS_HERE}


def _places(modality: str) -> dict[str, tuple[h5py.Dataset, int]]:
    found = {}
    for path in sorted(cache.folder(modality).glob("part-*.h5")):
        file = h5py.File(path)
        found |= {clip.decode(): (file["frames"], row) for row, clip in enumerate(file["clips/id"][:])}
    return found


def as_batch(values: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Batch:
    """Return what the network is given."""
    b = len(next(iter(labels.values())))
    return Batch(
        ids=("",) * b,
        values={modality: one[:, None] for modality, one in values.items()},
        windows={modality: torch.ones(b, 1, dtype=torch.bool) for modality in values},
        steps={modality: torch.ones(b, 1, one.shape[1], dtype=torch.bool) for modality, one in values.items()},
        dialogue=torch.full((b,), -1),
        turn=torch.zeros(b, dtype=torch.long),
        speaker=torch.full((b,), -1),
        labels=labels,
        known={task: torch.ones(b, dtype=torch.bool) for task in labels},
    )


def classes() -> dict[str, int]:
    """Return the number of classes by task."""
    return {task: len(TASKS[task].classes) for task in cache.TASKS_HERE}


def loss_of(logits: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Tensor:
    """Return the cross entropies of the tasks, added."""
    return sum(nn.functional.cross_entropy(logits[task].float(), labels[task]) for task in labels)


def train(model: nn.Module, optimiser: torch.optim.Optimizer, clips: TorchDataset[Sample], batch: int) -> None:
    """Train one epoch."""
    device = next(model.parameters()).device
    for values, labels in DataLoader(clips, batch_size=batch, shuffle=True):
        one = as_batch(values, labels).to(device)
        loss = loss_of(model(one), one.labels)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        loss.item()


def answer(row: Mapping[str, float]) -> None:
    """Say what a round gave; the first answer, which is empty, says that all is loaded and warm."""
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def main(name: str, counts: Sequence[int]) -> None:
    """Load, warm up, and run a round for every line that comes in."""
    clips, model = Clips(), lefsa.Model(lefsa.Config(), cache.SHAPES, classes()).train()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    drawn = random.Random(0)
    train(model, optimiser, Subset(clips, range(min(WARM_UP, len(clips)))), 1)
    answer({})
    for _ in sys.stdin:
        row = {}
        for way, count, batch in zip(("one by one", "in batches"), counts, (1, BATCH), strict=True):
            some = Subset(clips, drawn.sample(range(len(clips)), min(count, len(clips))))
            began_s = time.perf_counter()
            train(model, optimiser, some, batch)
            row[f"{name} {way}"] = len(some) / (time.perf_counter() - began_s)
        answer(row)


if __name__ == "__main__":
    main(sys.argv[1], [int(count) for count in sys.argv[2:]])
