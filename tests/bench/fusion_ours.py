"""What is ours in `fusion.py`, each in a process of its own: `python tests/bench/fusion_ours.py WAY …` prints JSON.

`open`: a cache that fits into memory, from opening it to the first step, and the memory of training on it.
`load`: the memory of the same without a network.
`bare`: the memory of the network alone, trained on a batch of noise.
`stream MEMORY_GB`: one epoch of batches of a cache that does not fit, without a model.
`turns CLIPS`: for every line that comes in, an epoch over so many clips, and the same without a loader.
"""

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import fusion_cache as cache
import fusion_plain as plain
import torch
from torch import nn

import manifests
from fuse import data, models, protocol, recipe, schedule
from fuse.batch import Batch
from fuse.protocol import Split
from fuse.recipe import Recipe, model_config
from fuse.train import Seed

PRECISIONS = ("bfloat16", "float32")
BATCH = 64
SOME = 256
"""Training and dev clips by which the memory of training is measured: every kind of batch that a run has."""
NEVER_WRITTEN = Path(tempfile.gettempdir()) / "never-written"


class Timed(Seed):
    """A seed that says when it made its steps."""

    def __init__(self, joined: data.Dataset, split: Split, settings: Recipe) -> None:
        super().__init__(joined, split, settings, 0, NEVER_WRITTEN)
        self.stepped_s: list[float] = []

    def _step(self, epoch: float) -> None:
        super()._step(epoch)
        self.stepped_s.append(time.monotonic())

    def train(self) -> None:
        """Train one epoch."""
        self.progress.epoch += 1
        self._train()

    def score(self) -> None:
        """Score dev."""
        self._score()


def lefsa(precision: str = "float32", memory_gb: float = 0.0) -> Recipe:
    """Return LEFSA as paper 000 trains it, on the generated cache."""
    settings = [
        "data.standardise=false",
        f"data.memory_gb={memory_gb}",
        f"train.batch={BATCH}",
        f"train.precision={precision}",
        *(f"encoders.{modality}={cache.encoder(modality)}" for modality in cache.SHAPES),
    ]
    return recipe.load("lefsa", settings, corpora=[cache.CORPUS])


def joined(settings: Recipe) -> tuple[data.Dataset, Split]:
    """Read manifest and cache, as every run does."""
    clips = manifests.read(cache.CORPUS).clips
    (split,) = protocol.splits(clips, settings)
    return data.load(clips, settings), split


def fewer(split: Split, clips: int) -> Split:
    """Return a split with no more than so many training and dev clips, drawn from all."""
    drawn = torch.Generator().manual_seed(0)

    def some(index: Sequence[int]) -> tuple[int, ...]:
        return tuple(index[i] for i in torch.randperm(len(index), generator=drawn)[:clips].tolist())

    return Split(some(split.train), some(split.dev), split.test)


def opened() -> dict[str, float]:
    """Open the whole cache and train and score on some of it."""
    process_gb, began_s = _peak_gb(), time.monotonic()
    found, split = joined(lefsa())
    loaded_s = time.monotonic()
    seed = Timed(found, fewer(split, SOME), lefsa())
    seed.train()
    seed.score()
    return {
        "load_s": loaded_s - began_s,
        "to_first_step_s": seed.stepped_s[0] - began_s,
        "first_step_at_s": seed.stepped_s[0],
        "process_gb": process_gb,
        "peak_gb": _peak_gb(),
        "clips": len(found.clips),
    }


def loaded() -> dict[str, float]:
    """Open the whole cache and take batches, with no network in reach."""
    found, split = joined(lefsa())
    drain(found, split.train[:SOME])
    return {"peak_gb": _peak_gb()}


def bare() -> dict[str, float]:
    """Train the network on one batch of noise, with no cache in reach."""
    settings, classes = lefsa(), plain.classes()
    model = models.build("lefsa", model_config(settings), cache.SHAPES, classes, {}).train()
    values = {modality: torch.randn(BATCH, *shape) for modality, shape in cache.SHAPES.items()}
    labels = {task: torch.eye(k)[torch.arange(BATCH) % k] for task, k in classes.items()}
    floor(model, schedule.optimiser(model, settings.train), [plain.as_batch(values, labels)] * 2, half=False)
    return {"peak_gb": _peak_gb()}


def streamed(memory_gb: str) -> dict[str, float]:
    """Take every clip once, in random order, as fast as batches come."""
    found, _ = joined(lefsa(memory_gb=float(memory_gb)))
    if found.stored is not None:
        raise RuntimeError(f"expected a cache that does not fit into {memory_gb} GB, but it does")
    order, seen, began_s = torch.randperm(len(found.clips)), 0, time.perf_counter()
    for _, batch in found.batches(order, BATCH):
        seen += len(batch)
    took_s = time.perf_counter() - began_s
    if seen != len(found.clips):
        raise RuntimeError(f"expected {len(found.clips)} clips, got {seen}")
    return {"gb_per_s": cache.size_bytes(seen) / 1e9 / took_s, "peak_gb": _peak_gb()}


def floor(model: nn.Module, optimiser: torch.optim.Optimizer, batches: Sequence[Batch], *, half: bool) -> None:
    """Go forward and back and step over batches in memory, and do nothing else."""
    for batch in batches:
        with torch.autocast(batch.dialogue.device.type, torch.bfloat16, enabled=half):
            logits = model(batch)
        loss = plain.loss_of(logits, batch.labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    loss.item()


def network(found: data.Dataset, settings: Recipe) -> nn.Module:
    """Return LEFSA, untrained."""
    tasks = {task: labels.shape[1] for task, labels in found.labels.items()}
    return models.build("lefsa", model_config(settings), found.shapes, tasks, found.entries)


def turns(clips: str) -> None:
    """Let every way have its turn whenever a line comes in, and answer with clips per second."""
    found, split = joined(lefsa())
    few, split = fewer(split, BATCH), fewer(split, int(clips))
    ways: dict[str, tuple[int, Callable[[], Any]]] = {}
    for precision in PRECISIONS:
        settings = lefsa(precision)
        seed = Timed(found, split, settings)
        made = made_before(seed.data, split.train)
        rival = network(found, settings).to(seed.device).train()
        optimiser = schedule.optimiser(rival, settings.train)
        floor(rival, optimiser, made[:1], half=seed.half)
        seed.split = few
        seed.train()
        seed.split = split
        ways |= {
            f"ours {precision}": (len(split.train), seed.train),
            f"floor {precision}": (len(split.train), partial(floor, rival, optimiser, made, half=seed.half)),
            f"scoring {precision}": (len(split.dev), seed.score),
        }
    ways["batches alone"] = (len(split.train), partial(drain, seed.data, split.train))
    plain.answer({})
    for _ in sys.stdin:
        plain.answer({name: count / _took_s(go) for name, (count, go) in ways.items()})


def made_before(found: data.Dataset, clips: Sequence[int]) -> list[Batch]:
    """Return the batches of an epoch, all in memory."""
    return [batch for _, batch in found.batches(found.examples(clips), BATCH)]


def drain(found: data.Dataset, clips: Sequence[int]) -> None:
    """Take the batches of an epoch, one after another, and do nothing with them."""
    for _ in found.batches(found.examples(clips), BATCH):
        pass


def _took_s(go: Callable[[], Any]) -> float:
    began_s = time.perf_counter()
    go()
    return time.perf_counter() - began_s


def _peak_gb() -> float:
    """Return the most memory that this process has had, as Linux says."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024 / 1e9


def main(way: str, *words: str) -> None:
    """Measure what the command line says."""
    if way == "turns":
        turns(*words)
        return
    sys.stdout.write(json.dumps({"open": opened, "load": loaded, "bare": bare, "stream": streamed}[way](*words)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
