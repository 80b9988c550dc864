"""Finished runs side by side, on the test clips that all of them have, with how sure their differences are."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fuse import finished, intervals, score_tables
from fuse.finished import Cell, Finished
from fuse.judged import MAIN, Judged, main_score
from fuse.markdown import escape, table
from fuse.metrics import SHOWN


def compare(folders: Sequence[Path]) -> str:
    """Return one table for each task and corpus that all runs have; differences are to the first run."""
    if len(folders) < 2:
        raise ValueError(f"expected the folders of at least two runs, got {len(folders)}")
    runs = [finished.read(folder) for folder in folders]
    cells = [cell for cell in runs[0].clips if all(cell in run.clips for run in runs)]
    if not cells:
        raise ValueError(f"expected a task on a corpus that all runs were tested on, got {_have(runs)}")
    return "\n\n".join([*(_side_by_side(runs, cell) for cell in cells), READING])


READING = """In percent where a score is a share. ± is the sample standard deviation over seeds, each scored on the
clips of all folds. The difference is to the first run, averaged over seeds. Of 1,000 draws of clips, the same for both
runs, 95 % lie in its interval; whole speakers are drawn where there are ten or more.
p is how often chance alone would give a difference as large."""


def _side_by_side(runs: Sequence[Finished], cell: Cell) -> str:
    task, corpus = cell
    if len({run.views[cell] for run in runs}) > 1:
        raise ValueError(f"{task} on {corpus}: expected one way of scoring it, got {[run.views[cell] for run in runs]}")
    clips = _shared(runs, cell)
    judged = [run.judged(cell, clips) for run in runs]
    ids = SHOWN[runs[0].views[cell]]
    rows = [
        [
            name,
            run.model,
            f"{len(run.truth(cell)):,}",
            *_scores(seeds, ids),
            *(_difference(seeds, judged[0]) if i else [""] * 3),
        ]
        for i, (name, run, seeds) in enumerate(zip(_names(runs), runs, judged, strict=True))
    ]
    header = ["run", "model", "clips", *ids, f"{MAIN[runs[0].views[cell]]} more", "95 %", "p"]
    title = f"{escape(task)} on {escape(corpus)}, {len(clips):,} test clips that all runs have"
    return f"{title}:\n\n{table(header, rows, words=2)}"


def _shared(runs: Sequence[Finished], cell: Cell) -> list[str]:
    """Return the clips that all runs have, in order; the label must be the same in all."""
    truths = [run.truth(cell) for run in runs]
    clips = sorted(set(truths[0]).intersection(*truths[1:]))
    where = f"{cell[0]} on {cell[1]}"
    if not clips:
        raise ValueError(f"{where}: expected test clips that all runs have, got none; were they divided differently?")
    for run, truth in zip(runs, truths, strict=True):
        for clip in clips:
            if truth[clip] != truths[0][clip]:
                raise ValueError(
                    f"{where}: expected one label of clip {clip!r}, got {truths[0][clip]!r} in {runs[0].folder} and "
                    f"{truth[clip]!r} in {run.folder}; run again what is older than its labels"
                )
    return clips


def _scores(seeds: Sequence[Judged], ids: Sequence[str]) -> list[str]:
    each = [one.scores() for one in seeds]
    values = [[one[metric] for one in each] for metric in ids]
    spreads = [float(np.std(one, ddof=1)) if len(one) > 1 else None for one in values]
    return [score_tables.with_spread(m, float(np.mean(one)), s) for m, one, s in zip(ids, values, spreads, strict=True)]


def _difference(seeds: Sequence[Judged], first: Sequence[Judged]) -> list[str]:
    metric, (over, groups) = MAIN[first[0].view], first[0].groups
    found = intervals.paired(main_score(seeds), main_score(first), groups)
    mean, low, high = (score_tables.number(metric, x, sign=True) for x in (found.mean, found.low, found.high))
    shown = f"{low} to {high} ({over})" if math.isfinite(found.low) else score_tables.DASH
    return [mean, shown, f"{found.p:.3f}" if math.isfinite(found.p) else score_tables.DASH]


def _names(runs: Sequence[Finished]) -> list[str]:
    """Name runs by their folders, with what lies above them where that is not enough."""
    names = [run.folder.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def _have(runs: Sequence[Finished]) -> str:
    return "; ".join(f"{run.folder}: {', '.join(f'{t} on {c}' for t, c in run.clips) or 'nothing'}" for run in runs)
