"""The training loop: one seed of one experiment, killed and continued without a difference.

Everything random is drawn from (seed, epoch), and the learning rate is a function of the epoch, so that the state after
an epoch is weights, optimiser moments and history, and nothing else.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fuse import metrics, models
from fuse.data import Dataset
from fuse.losses import balanced_weights, soft_cross_entropy
from fuse.protocol import Split
from fuse.recipe import Recipe, model_config

SCORED_AT_ONCE = 256
SAVE_EVERY_S = 5.0
"""A state is four copies of the weights; writing it each epoch can take longer than the epoch."""


@dataclass
class Progress:
    """How far a seed has come; the best epoch is chosen on dev, and every number of a run comes from that one epoch."""

    epoch: int = 0
    """Epochs that are done."""
    best_epoch: int = 0
    best_score: float = -math.inf
    history: list[dict[str, float]] = field(default_factory=list)


class Seed:
    """One seed: `epochs()` trains from wherever an earlier run was stopped, `best()` is the model that is scored."""

    def __init__(self, data: Dataset, split: Split, recipe: Recipe, seed: int, folder: Path) -> None:
        self.data, self.split, self.recipe, self.seed = data, split, recipe, seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(self._mixed(0))
        tasks = {task: labels.shape[1] for task, labels in data.labels.items()}
        model = models.module(recipe.model).Model(model_config(recipe), data.shapes, tasks)
        self.model: nn.Module = model.to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.train.lr, weight_decay=recipe.train.weight_decay
        )
        self.progress = Progress()
        self._best = self._copied()
        self._weights = self._class_weights()
        self._file = folder / f"seed-{seed}.safetensors"
        if self._file.is_file():
            self._resume()

    @property
    def over(self) -> bool:
        """Return whether training has ended."""
        train, done = self.recipe.train, self.progress
        return done.epoch >= train.epochs or done.epoch - done.best_epoch >= train.patience

    def epochs(self) -> Iterator[Progress]:
        """Train epoch by epoch, with the state on the disk every few seconds and at the end."""
        saved = time.monotonic()
        while not self.over:
            self.progress.epoch += 1
            record = {"loss": self._train(), "lr": self._lr(), **self._score()}
            self.progress.history.append(record)
            if record["score"] > self.progress.best_score:
                self.progress.best_epoch, self.progress.best_score = self.progress.epoch, record["score"]
                self._best = self._copied()
            if self.over or time.monotonic() - saved >= SAVE_EVERY_S:
                self._save()
                saved = time.monotonic()
            yield self.progress

    def best(self) -> nn.Module:
        """Return the model of the epoch that was best on dev."""
        self.model.load_state_dict(self._best)
        return self.model.eval()

    def _train(self) -> float:
        torch.manual_seed(self._mixed(self.progress.epoch))
        for group in self.optimiser.param_groups:
            group["lr"] = self._lr()
        self.model.train()
        order = torch.tensor(self.split.train)[torch.randperm(len(self.split.train))]
        total = 0.0
        for chosen in torch.split(order, self.recipe.train.batch):
            batch = self.data.batch(chosen).to(self.device)
            logits = self.model(batch)
            loss = torch.stack(
                [
                    soft_cross_entropy(logits[task], labels, batch.known[task], self._weights[task])
                    for task, labels in batch.labels.items()
                ]
            ).sum()
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.train.clip_norm)
            self.optimiser.step()
            total += loss.item() * len(chosen)
        return total / len(order)

    def _score(self) -> dict[str, float]:
        """Return macro F1 on dev by task, and their mean, which chooses the epoch."""
        dev = list(self.split.dev)
        found: dict[str, float] = {}
        for task, shares in probabilities(self.model, self.data, dev).items():
            known = self.data.known[task][dev]
            truth = self.data.labels[task][dev][known].argmax(dim=1).numpy()
            if len(truth):
                found[task] = metrics.scores(truth, shares[known].argmax(dim=1).numpy(), shares.shape[1])["mf1"]
        return {"score": sum(found.values()) / max(1, len(found)), **{f"mf1 {task}": v for task, v in found.items()}}

    def _lr(self) -> float:
        """Half a cosine from `lr` in the first epoch down towards `min_lr`."""
        train = self.recipe.train
        share = (self.progress.epoch - 1) / train.epochs
        return train.min_lr + (train.lr - train.min_lr) * (1 + math.cos(math.pi * share)) / 2

    def _class_weights(self) -> dict[str, Tensor | None]:
        if self.recipe.train.class_weights == "none":
            return dict.fromkeys(self.data.labels)
        train = list(self.split.train)
        sums = {task: labels[train].sum(dim=0) for task, labels in self.data.labels.items()}
        return {task: balanced_weights(label_sums).to(self.device) for task, label_sums in sums.items()}

    def _mixed(self, epoch: int) -> int:
        return self.seed * 1_000_003 + epoch

    def _copied(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _save(self) -> None:
        """Write the state as one file beside its place, then rename; of a finished seed only the best weights stay."""
        tensors = {f"best/{name}": tensor for name, tensor in self._best.items()}
        if not self.over:
            tensors |= {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
            for number, moments in self.optimiser.state_dict()["state"].items():
                tensors |= {f"moments/{number}/{name}": tensor for name, tensor in moments.items()}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".tmp")
        metadata = {"progress": json.dumps(asdict(self.progress))}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, beside, metadata)
        beside.replace(self._file)

    def _resume(self) -> None:
        try:
            with safe_open(self._file, framework="pt", device=str(self.device)) as file:
                self.progress = Progress(**json.loads(file.metadata()["progress"]))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            self._best = _below(tensors, "best/")
            self.model.load_state_dict(self._best if self.over else _below(tensors, "model/"))
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{self._file} is not the state of this run ({error}); delete it to begin anew") from None
        moments: dict[int, dict[str, Any]] = {}
        for name, tensor in _below(tensors, "moments/").items():
            number, _, moment = name.partition("/")
            moments.setdefault(int(number), {})[moment] = tensor
        if moments:
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})


def probabilities(model: nn.Module, data: Dataset, index: Sequence[int]) -> dict[str, Tensor]:
    """Return the probabilities of each task for some clips, on the CPU."""
    device = next(model.parameters()).device
    model.eval()
    parts: list[dict[str, Tensor]] = []
    with torch.inference_mode():
        for chosen in torch.split(torch.tensor(index), SCORED_AT_ONCE):
            logits = model(data.batch(chosen).to(device))
            parts.append({task: logits[task].softmax(dim=1).cpu() for task in data.labels})
    return {task: torch.cat([part[task] for part in parts]) for task in data.labels}


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
