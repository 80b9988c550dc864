"""`python -m fuse`: train fusion models from cached features and write their reports."""

import argparse
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from features import CacheError
from features.waiting import awaited, between, waiting
from fuse import recipe
from fuse.arguments import parser
from fuse.recipe import Recipe, Table
from manifests import ManifestError

if TYPE_CHECKING:  # torch is imported when there is something to train, not for --help
    from fuse.board import Board
    from fuse.experiment import Experiment
    from fuse.result import Run
    from fuse.train import Seed

TELL_EVERY_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; what a user can get wrong is a message and exit code 2, never a stack trace."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = "python -m fuse " + shlex.join(given)
    verb = given.pop(0) if given and given[0] in VERBS else "train"
    options = parser(verb).parse_args(given)
    try:
        VERBS[verb](options, command)
    except (CacheError, ManifestError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed; it comes with: pip install '.[train]' (or make setup)", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot go on: {error}. The same command continues from the last saved epoch.", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("stopped. The same command continues from the last saved epoch.", file=sys.stderr)
        return 130
    return 0


def _train(options: argparse.Namespace, command: str) -> None:
    with waiting("looking for what is to be trained from"):
        table = _table(options)
        from fuse import report, result, tables

        found, failed = {}, _lacking(table)
    if len(failed) == len(table.rows):
        raise ValueError("\n\n".join(dict.fromkeys(failed.values())))
    for name, lacks in failed.items():
        print(f"row {name} is left out: {lacks}\n")
    for row in table.rows:
        if row.name in failed:
            continue
        run, experiment = _run(row, table, command, fresh=options.fresh)
        with waiting("drawing intervals"):
            scores = report.table(run)
        print(f"\n{scores}")
        for warning in run.warnings:
            print(f"note: {warning}")
        with waiting("writing the report"):
            path = report.write(run, experiment.folder)
        print(f"report: {path}")
        found[row.name] = result.summary(run)
    if len(table.rows) > 1:
        print(f"\n{tables.render(table, found, failed)}")


def _sweep(options: argparse.Namespace, command: str) -> None:
    from fuse import sweep

    tried = []
    for settings in sweep.combinations(options.over):
        table = _table(options, settings)
        if len(table.rows) > 1:
            raise ValueError(f"{table.name} is a table; a sweep is over one recipe")
        run, experiment = _run(table.rows[0], table, command, fresh=options.fresh)
        tried.append(sweep.Tried(settings, run, experiment.folder))
    with waiting("writing the report of the best"):
        ranked = sweep.render(tried)
    print(f"\n{ranked}")


def _compare(options: argparse.Namespace, _: str) -> None:
    from pathlib import Path

    from fuse import comparison_lines, written
    from fuse.compare import compare

    with waiting("comparing clip by clip"):
        compared = compare([Path(run) for run in options.runs])
        page = written.comparison(compared, Path(options.out) if options.out else None)
    print("\n\n".join(comparison_lines.lines(compared)))
    print(f"page: {page}")


def _paper(options: argparse.Namespace, _: str) -> None:
    from pathlib import Path

    with waiting("looking for finished runs"):
        from fuse import papers, tables

        found, words = papers.fill(options.names, options.corpus.split(",") if options.corpus else ())
    for word in words:
        print(f"note: {word}")
    for paper in found:
        print(f"\n{tables.text(paper.filled)}\n")
        for path in papers.write(paper, Path(options.out) if options.out else None):
            print(f"table: {path}")


def _page(options: argparse.Namespace, _: str) -> None:
    from pathlib import Path

    from fuse import site

    with between(partial(print, flush=True), "making the page") as tell:
        first = site.write(Path(options.out), options.corpora, tell)
    print(f"page: {first}")


def _predict(options: argparse.Namespace, _: str) -> None:
    from pathlib import Path

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from fuse.predicting import Places, predict
    from fuse.prediction_lines import lines
    from fuse.recordings import Wish

    places = Places(Path(options.clip), *(Path(one) if one else None for one in (options.work, options.out)))
    wish = Wish(options.text, options.language, options.cut)
    try:
        with between(partial(print, flush=True), "predicting") as tell:
            prediction, page = predict(Path(options.run), places, wish, tell)
    except OSError as error:
        raise ValueError(f"cannot go on: {error}") from None
    for line in lines(prediction):
        print(line)
    print(f"prediction: {page}")
    if prediction.found.unreadable or not all(one.whole for one in prediction.scored):
        raise SystemExit(1)


VERBS = {"train": _train, "sweep": _sweep, "compare": _compare, "table": _paper, "page": _page, "predict": _predict}


def _table(options: argparse.Namespace, settings: Sequence[str] = ()) -> Table:
    """Read what is to be run, with everything that the command line changes."""
    # Before a model imports torch: threads that spin while they wait take the cores from everything else.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    encoders = dict(pair.partition("=")[::2] for pair in options.encoders or [])
    table = recipe.table(
        options.model,
        [*options.set, *settings],
        corpora=options.corpus.split(",") if options.corpus else None,
        encoders=encoders or None,
        seeds=options.seeds,
        folds=options.folds,
        weights=options.weights,
        score_only=options.eval or None,
    )
    return table.only(options.rows.split(",")) if options.rows else table


def _lacking(table: Table) -> dict[str, str]:
    """Return which rows cannot be run, and what they lack, before anything is trained."""
    from functools import cache

    import manifests
    from fuse import entries, protocol

    read = cache(lambda corpus: manifests.read(corpus).clips)
    failed: dict[str, str] = {}
    for row in table.rows:
        for one in (*row.stages, row):
            try:
                clips = [clip for corpus in one.corpora for clip in read(corpus)]
                entries.found(one)
                protocol.splits(clips, one)
            except (CacheError, ManifestError, protocol.ProtocolError) as error:
                failed.setdefault(row.name, str(error))
    return failed


def _run(row: Recipe, table: Table, command: str, *, fresh: bool) -> tuple["Run", "Experiment"]:
    from fuse import beside, board, kept
    from fuse.experiment import prepare

    began = time.monotonic()
    with waiting(f"{row.name}: reading features"):
        experiment = prepare(row, table.notes)
    _introduce(experiment, time.monotonic() - began)
    if fresh:
        for one in (*experiment.stages, experiment):
            shutil.rmtree(one.folder, ignore_errors=True)
    folds = []
    for number, split in enumerate(experiment.splits):
        outcomes = []
        for seed in range(row.seeds):
            for trained in experiment.seeds(number, seed):
                _follow(trained, board.Board(experiment, trained))
            with waiting("scoring"):
                outcomes.append(experiment.outcome(trained))
        with waiting("measuring the floors"):
            folds.append(experiment.fold(split, tuple(outcomes)))
    run = beside.laid(experiment.run(tuple(folds), command, trained.model), row, table, experiment.folder)
    with waiting("scoring"):
        board.finish(run, experiment.folder)
    kept.write(experiment, experiment.folder)
    return run, experiment


def _introduce(experiment: "Experiment", took_s: float) -> None:
    row, data = experiment.recipe, experiment.data
    sizes = ", ".join(f"{len(index)} {name}" for name, index in experiment.splits[0].parts().items())
    folds = f" in the first of {len(experiment.splits)} folds" if len(experiment.splits) > 1 else ""
    shapes = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in data.shapes.items())
    streamed = "" if data.stored is not None else "; too large for memory, streamed from the disk"
    print(
        f"{row.name}: {row.model} on {', '.join(row.corpora)}: {sizes} clips{folds}; {shapes}; "
        f"read in {took_s:.1f} s{streamed}"
    )


def _follow(seed: "Seed", board: "Board") -> None:
    where = ", ".join(part for part in (seed.recipe.name, seed.split.name, f"seed {seed.seed}") if part)
    if seed.over:
        done = "scored as it is" if seed.recipe.score_only else "already trained; FRESH=1 trains it again"
        print(f"{where}: {done}")
    for line in _told(seed, board, where):
        print(f"{where}, {line}", flush=True)


def _told(seed: "Seed", board: "Board", where: str) -> Iterator[str]:
    last = began = time.monotonic()
    first = seed.progress.epoch
    for progress in awaited(seed.epochs(), f"{where}, an epoch"):
        board.note()
        now = time.monotonic()
        if now - last < TELL_EVERY_S and not seed.over and progress.epoch > first + 1:
            continue
        last = now
        each_s = (now - began) / (progress.epoch - first)
        at_most_s = each_s * (seed.recipe.train.epochs - progress.epoch)
        left = "done" if seed.over else f"at most {at_most_s:.0f} s left"
        yield (
            f"epoch {progress.epoch}: loss {progress.history[-1]['loss']:.3f}, "
            f"dev {progress.history[-1]['score']:.3f}, best {progress.best_score:.3f} at {progress.best_epoch}; {left}"
        )


if __name__ == "__main__":
    sys.exit(main())
