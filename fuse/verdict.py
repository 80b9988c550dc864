"""The result of a run in sentences: is it better than the floors, and which modality carried it."""

import math
from collections.abc import Iterable, Mapping

from fuse.chance import learnt
from fuse.lines import Line
from fuse.result import Run
from fuse.score_tables import NOT_SHARES, number, with_spread

POINT = 0.01
"""Modalities that differ by less than this, or by less than seeds do, are said to weigh the same."""


def reached(run: Run, task: str, corpus: str) -> str:
    """Say what the model scores on test, and how that stands to the best floor."""
    lines = _lines(run, task, corpus)
    (model,) = [line for line in lines if line.role == "model"]
    metric, mean = model.main, model.mean(model.main)
    said = f"{model.name} reaches {metric} {with_spread(metric, mean, model.spread(metric))}"
    if (interval := model.interval) and math.isfinite(interval.low):
        said += f" (95 % interval {number(metric, interval.low)} to {number(metric, interval.high)})"
    floors = [line for line in lines if line.role == "floor" and math.isfinite(line.mean(metric))]
    if not floors or not math.isfinite(mean):
        return f"{said}{_others(run, model)}."
    best = max(floors, key=lambda line: line.mean(metric))
    floor = best.mean(metric)
    if interval and interval.low <= floor <= interval.high:
        stands = "which lies within that interval"
    else:
        stands = "which it beats" if floor < mean else "which it does not reach"
    return f"{said}; the best floor is {best.name} with {number(metric, floor)}, {stands}{_others(run, model)}."


def _others(run: Run, model: Line) -> str:
    """Say in half a sentence what is reached elsewhere."""
    cell = model.task, model.corpus, model.main
    near = [one for one in run.beside if (one.task, one.corpus, one.metric) == cell and math.isfinite(one.mean)]
    return "".join(f"; {one.name} reaches {number(one.metric, one.mean)} ({one.where})" for one in near)


def carried(run: Run, task: str, corpus: str) -> str:
    """Say which modality the result rests on, from the best evidence that the run has."""
    lines = _lines(run, task, corpus)
    modalities = list(run.folds[0].parts["test"].missing)
    if len(modalities) < 2:
        return f"The only modality is {modalities[0]}."
    named: dict[tuple[str, str], Line] = {(line.role, line.name): line for line in lines}
    (model,) = [line for line in lines if line.role == "model"]
    if model.together and not learnt(model.together):
        return f"No modality carried it: given to clips at random, the same answers score as much {model.main}."
    for role, name, say in (
        ("ablation", "without {}", _lost),
        ("part", "{}", _alone),
        ("floor", "linear, {} alone", _alone),
    ):
        found = {m: named[role, name.format(m)] for m in modalities if (role, name.format(m)) in named}
        values = {m: line.mean(line.main) for m, line in found.items()}
        if len(values) > 1 and all(map(math.isfinite, [*values.values(), model.mean(model.main)])):
            return say(model, found)
    return "Nothing in this run tells modalities apart: no ablation, no parts and no floor of one modality is scored."


def _lost(model: Line, without: Mapping[str, Line]) -> str:
    metric, mean = model.main, model.mean(model.main)
    changed = {m: line.mean(metric) - mean for m, line in without.items()}
    first, second, *_ = order = sorted(changed, key=lambda m: changed[m])
    unit = "" if metric in NOT_SHARES else " points"
    changes = ", ".join(f"{number(metric, changed[m], sign=True)} without {m}" for m in order)
    evidence = f"{metric} changes by {changes.replace(' ', f'{unit} ', 1)}"
    if -changed[first] <= _close([model, *without.values()]):
        return f"No modality carried it alone: {evidence}."
    if changed[second] - changed[first] <= _close(without.values()):
        return f"{first.capitalize()} and {second} carried it about equally: {evidence}."
    return f"{first.capitalize()} carried it: {evidence}."


def _alone(_: Line, alone: Mapping[str, Line]) -> str:
    scores = {m: line.mean(line.main) for m, line in alone.items()}
    first, second, *_rest = order = sorted(scores, key=lambda m: -scores[m])
    some = next(iter(alone.values()))
    evidence = ", ".join(f"{m} {number(some.main, scores[m])}" for m in order)
    whose = "of the model's own heads" if some.role == "part" else "of linear models of one modality each"
    if scores[first] - scores[second] <= _close(alone.values()):
        return f"{first.capitalize()} and {second} say about equally much alone ({some.main} {whose}: {evidence})."
    told = f"{first.capitalize()} says the most alone ({some.main} {whose}: {evidence})"
    return f"{told}; nothing was taken away to test it."


def _close(lines: Iterable[Line]) -> float:
    return max([POINT, *(line.spread(line.main) or 0 for line in lines)])


def _lines(run: Run, task: str, corpus: str) -> list[Line]:
    return [line for line in run.lines if (line.task, line.corpus, line.split) == (task, corpus, "test")]
