"""The training loop: one seed of one fold of one experiment, killed and continued without a difference.

Everything random is drawn from (seed, epoch), and the learning rate follows from the epochs done and their scores, so
that the state after an epoch is weights, optimiser moments and history, and nothing else.
"""

import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fuse import decide, losses, metrics, models, predict, schedule, strategies
from fuse.augment import harder
from fuse.batch import Batch
from fuse.data import Dataset
from fuse.judged import MAIN, view_of
from fuse.protocol import Split
from fuse.recipe import Recipe, model_config, strategy_configs
from fuse.result import Predicted
from fuse.strategies._strategy import Strategy
from manifests.labels import TASKS

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
    seconds: float = field(default=0.0, compare=False)
    """What all epochs took, scoring of dev included."""


class Seed:
    """One seed: `epochs()` trains from wherever an earlier run was stopped, `best()` is the model that is scored."""

    def __init__(
        self,
        data: Dataset,
        split: Split,
        recipe: Recipe,
        seed: int,
        folder: Path,
        begin: Callable[[nn.Module], None] | None = None,
    ) -> None:
        _check(recipe)
        self.split, self.recipe, self.seed = split, recipe, seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(self._mixed(0))
        tasks = {task: labels.shape[1] for task, labels in data.labels.items()}
        model = models.build(recipe.model, model_config(recipe), data.shapes, tasks, data.entries)
        if begin:
            begin(model)
        self.model: nn.Module = model.to(self.device)
        lesson = strategies.Lesson(self.model, data, split, tasks, recipe.train)
        own = [strategies.module(n).Strategy(config, lesson) for n, config in strategy_configs(recipe).items()]
        self._strategies = nn.ModuleList(own).to(self.device)
        for strategy in self.strategies:
            data = strategy.relabelled(data)
        self.data = data.to(self.device)
        self.optimiser = schedule.optimiser(self.model, recipe.train, self.strategies)
        self.progress = Progress()
        self._best = self._copied()
        self._weights = self._class_weights()
        fold = split.name.replace(" ", "-")
        self._file = folder / f"{fold and fold + '-'}seed-{seed}.safetensors"
        if self._file.is_file():
            self._resume()

    @property
    def over(self) -> bool:
        """Return whether training has ended."""
        train, done = self.recipe.train, self.progress
        return self.recipe.score_only or done.epoch >= train.epochs or done.epoch - done.best_epoch >= train.patience

    def epochs(self) -> Iterator[Progress]:
        """Train epoch by epoch, with the state on the disk every few seconds and at the end."""
        saved = time.monotonic()
        while not self.over:
            began = time.monotonic()
            self.progress.epoch += 1
            record = {"lr": self._lr(self.progress.epoch - 1), "loss": self._trained(), **self._score()}
            self.progress.history.append(record)
            if record["score"] > self.progress.best_score:
                self.progress.best_epoch, self.progress.best_score = self.progress.epoch, record["score"]
                self._best = self._copied()
            self.progress.seconds += time.monotonic() - began
            if self.over or time.monotonic() - saved >= SAVE_EVERY_S:
                self._save()
                saved = time.monotonic()
            yield self.progress

    def best(self) -> nn.Module:
        """Return the model of the epoch that was best on dev."""
        self.model.load_state_dict(self._best)
        return self.model.eval()

    @property
    def strategies(self) -> list[Strategy]:
        """Return the recipe's ways of training, in the order in which they act."""
        return [strategy for strategy in self._strategies if isinstance(strategy, Strategy)]

    @property
    def half(self) -> bool:
        """Return whether products of matrices are computed in bfloat16."""
        return self.recipe.train.precision == "bfloat16"

    def _trained(self) -> float:
        """Train an epoch and return its loss; weights that are no numbers any more must not become the best."""
        loss = self._train()
        if not math.isfinite(loss):
            raise ValueError(
                f"{self.recipe.name}, seed {self.seed}: the loss of epoch {self.progress.epoch} is {loss}; "
                f"lower train.lr (now {self.recipe.train.lr:g}), or say SET=data.standardise=true"
            )
        return loss

    def _train(self) -> float:
        train, epoch = self.recipe.train, self.progress.epoch - 1
        torch.manual_seed(self._mixed(self.progress.epoch))
        self.model.train()
        order = self._order()
        for strategy in self.strategies:
            order = strategy.order(order, self.progress.epoch)
        total, seen, begun = torch.zeros((), device=self.device), 0, 0
        for number, (chosen, batch) in enumerate(self.data.batches(order, train.batch), start=1):
            loss = self._loss(harder(batch, train))
            (loss / train.accumulate).backward()  # type: ignore[no-untyped-call]
            total += loss.detach() * len(chosen)
            seen += len(chosen)
            if number % train.accumulate == 0:
                self._step(epoch + begun / len(order))
                begun = seen
        if left := number % train.accumulate:
            for parameter in (*self.model.parameters(), *self._strategies.parameters()):
                if parameter.grad is not None:
                    parameter.grad *= train.accumulate / left
            self._step(epoch + begun / len(order))
        return total.item() / len(order)

    def _step(self, epoch: float) -> None:
        train = self.recipe.train
        for group in self.optimiser.param_groups:
            group["lr"] = self._lr(epoch if train.schedule == "restarts" else math.floor(epoch), group["highest"])
        for strategy in self.strategies:
            strategy.steer()
        if train.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), train.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def _order(self) -> Tensor:
        """Draw the order of an epoch: every example once, or as many with those of rare classes more often."""
        examples = self.data.examples(self.split.train)
        if self.recipe.train.sampler == "shuffle":
            return examples[torch.randperm(len(examples))]
        return examples[torch.multinomial(self._rarity(examples), len(examples), replacement=True)]

    def _rarity(self, examples: Tensor) -> Tensor:
        """Return how often each example is drawn; one that shows no class as often as the others on average."""
        task = self.recipe.tasks[0]
        labels = self.data.labels[task][self.data.clip_of[examples]]
        rare = losses.class_weights(labels.sum(dim=0), "balanced", self.recipe.train.sampler_power)
        shown = labels.sum(dim=1)
        weights = (labels * rare).sum(dim=1) / shown.clamp(min=1e-6)
        average = weights.sum() / (shown > 0).sum().clamp(min=1)
        return torch.where(shown > 0, weights, average) + 1e-9

    def _loss(self, batch: Batch) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            logits = self.model(batch)
        train, found = self.recipe.train, []
        for name, one in logits.items():
            part, _, task = name.rpartition("/")
            weight = train.task_weights.get(task, 1.0) * (train.part_weight if part else 1.0)
            if weight:
                found.append(weight * self._task_loss(task, one.float(), batch))
        regulariser: Callable[[], Tensor] | None = getattr(self.model, "regulariser", None)
        if regulariser:
            found.append(regulariser())
        added = [strategy.loss(logits, batch) for strategy in self.strategies]
        return torch.stack([*found, *(one for one in added if one is not None)]).sum()

    def _task_loss(self, task: str, logits: Tensor, batch: Batch) -> Tensor:
        for strategy in self.strategies:
            if (each := strategy.task_loss(task, logits, batch)) is not None:
                return losses.averaged(each, batch.known[task])
        if TASKS[task].kind == "score" and (of_batch := losses.OF_BATCHES.get(self.recipe.train.score_loss)):
            return of_batch(logits, batch.labels[task], batch.known[task])
        own: Callable[[str, Tensor, Tensor], Tensor] | None = getattr(self.model, "losses", None)
        if own:
            each = own(task, logits, batch.labels[task])
        else:
            each = losses.losses(
                TASKS[task].kind,
                logits,
                batch.labels[task],
                weights=self._weights[task],
                smoothing=self.recipe.train.label_smoothing,
                focus=self.recipe.train.focus,
            )
        return losses.averaged(each, batch.known[task])

    def _score(self) -> dict[str, float]:
        """Score dev by corpus and task, and average over tasks and then over corpora, which chooses the epoch."""
        dev = self.split.dev
        found = predict.shares(self.model, self.data, dev, self.recipe.test_without, half=self.half)
        each: dict[str, float] = {}
        by_corpus: dict[str, list[float]] = {}
        for task in self.recipe.tasks:
            threshold = predict.threshold(self.data, dev, task, found[task], self.recipe.model)
            said = predict.said(self.data, dev, task, found[task], threshold)
            for corpus, rows in self._known(task).items():
                metric, value = self._judged(task, corpus, rows, said)
                by_corpus.setdefault(corpus, []).append(value)
                several = len(self.recipe.corpora) > 1
                each[f"{metric} {task}{f' {corpus}' if several else ''}"] = value
        score = statistics.fmean(statistics.fmean(values) for values in by_corpus.values())
        return {"score": score, **each}

    def _known(self, task: str) -> dict[str, list[int]]:
        """Return the places in dev of the clips that have a label, by corpus."""
        found: dict[str, list[int]] = {}
        for place, i in enumerate(self.split.dev):
            if self.data.known[task][i]:
                found.setdefault(self.data.clips[i].corpus, []).append(place)
        return found

    def _judged(self, task: str, corpus: str, rows: list[int], said: Predicted) -> tuple[str, float]:
        truth = self.data.labels[task][[self.split.dev[row] for row in rows]].double().numpy()
        if TASKS[task].kind == "score":
            view = view_of(task, truth)
            score = metrics.dimension if view == "dimension" else metrics.score
            value = score(truth[:, 0], said.shares[rows, 0])[MAIN[view]]
            return MAIN[view], value if math.isfinite(value) else 0.0
        if corpus in self.data.several(task):
            assert said.sets is not None  # noqa: S101 (said forms them for such tasks)
            return "mmf1", metrics.several(decide.there(task, truth), said.sets[rows])["mmf1"]
        select = self.recipe.train.select
        return select, metrics.single(truth.argmax(axis=1), said.shares[rows].argmax(axis=1), truth.shape[1])[select]

    def _lr(self, epoch: float, highest: float | None = None) -> float:
        scores = [record["score"] for record in self.progress.history]
        return schedule.lr(self.recipe.train, self.recipe.train.lr if highest is None else highest, epoch, scores)

    def _class_weights(self) -> dict[str, Tensor | None]:
        train = self.recipe.train
        sums = {task: labels[list(self.split.train)].sum(dim=0) for task, labels in self.data.labels.items()}
        plain = {task for task in sums if train.class_weights == "none" or TASKS[task].kind != "class"}
        return {
            task: None
            if task in plain
            else losses.class_weights(one, train.class_weights, train.class_weight_power).to(self.device)
            for task, one in sums.items()
        }

    def _mixed(self, epoch: int) -> int:
        return self.seed * 1_000_003 + epoch

    def _copied(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _save(self) -> None:
        """Write the state as one file beside its place, then rename; of a finished seed only the best weights stay."""
        tensors = {f"best/{name}": tensor for name, tensor in self._best.items()}
        if not self.over:
            tensors |= {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
            tensors |= {f"strategies/{name}": tensor for name, tensor in self._strategies.state_dict().items()}
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
            if not self.over:
                self._strategies.load_state_dict(_below(tensors, "strategies/"))
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{self._file} is not the state of this run ({error}); delete it to begin anew") from None
        moments: dict[int, dict[str, Any]] = {}
        for name, tensor in _below(tensors, "moments/").items():
            number, _, moment = name.partition("/")
            moments.setdefault(int(number), {})[moment] = tensor
        if moments:
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})


def _check(recipe: Recipe) -> None:
    """Refuse dials that would be missed only after an epoch."""
    train, known = recipe.train, metrics.single([0], [0], 1)
    if train.select not in known:
        raise ValueError(f"train.select: expected one of {', '.join(known)}, got {train.select!r}")
    if train.sampler == "weighted" and TASKS[recipe.tasks[0]].kind == "score":
        raise ValueError(
            f"train.sampler: expected classes to draw by, got the score task {recipe.tasks[0]}; say shuffle"
        )


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
