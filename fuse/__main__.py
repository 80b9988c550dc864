"""`python -m fuse`: train a fusion model from cached features and write its report."""

import argparse
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import manifests
from features import CacheError
from fuse import models, recipe
from manifests import ManifestError

if TYPE_CHECKING:  # torch is imported when there is something to train, not for --help
    from fuse.train import Seed

EPILOG = """\
examples:
  python -m fuse lefsa --corpus demo --seeds 5
  python -m fuse concat --corpus meld --set modalities=text train.lr=1e-3
"""
TELL_EVERY_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one experiment; what a user can get wrong is a message and exit code 2, never a stack trace."""
    options = _parser().parse_args(arguments)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _run(options, "python -m fuse " + shlex.join(given))
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fuse",
        description="Train a fusion model from cached features, on the CPU or a GPU, and write a report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = ", ".join(sorted({*recipe.names(), *models.names()} - {recipe.DEFAULT}))
    parser.add_argument("model", help=f"a recipe, or a model with the default recipe: {known}")
    parser.add_argument("--corpus", help="train and score on this corpus")
    parser.add_argument("--seeds", type=int, help="how many seeds")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="change keys of the recipe")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run of this has trained")
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    if options.corpus:
        manifests.corpus_module(options.corpus)
    # Before a model imports torch: threads that spin while they wait take the cores from everything else.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    chosen = recipe.load(options.model, options.set, corpus=options.corpus, seeds=options.seeds)

    from fuse import report
    from fuse.experiment import prepare

    began = time.monotonic()
    experiment = prepare(chosen)
    sizes = ", ".join(f"{len(index)} {name}" for name, index in experiment.split.parts().items())
    shapes = ", ".join(f"{name} {t} x {d}" for name, (t, d) in experiment.data.shapes.items())
    print(f"{chosen.model} on {chosen.corpus}: {sizes} clips; {shapes}; read in {time.monotonic() - began:.1f} s")
    if options.fresh and experiment.folder.is_dir():
        shutil.rmtree(experiment.folder)
    outcomes = []
    for seed in experiment.seeds():
        if seed.over:
            print(f"seed {seed.seed}: already trained; FRESH=1 trains it again")
        _train(seed)
        outcomes.append(experiment.outcome(seed))
    run = experiment.run(tuple(outcomes), command)
    written = report.write(run, experiment.folder)
    print(f"\n{report.table(run)}")
    for warning in run.warnings:
        print(f"note: {warning}")
    print(f"report: {written}")


def _train(seed: "Seed") -> None:
    last = began = time.monotonic()
    first = seed.progress.epoch
    for progress in seed.epochs():
        now = time.monotonic()
        if now - last < TELL_EVERY_S and not seed.over:
            continue
        last = now
        each_s = (now - began) / (progress.epoch - first)
        at_most_s = each_s * (seed.recipe.train.epochs - progress.epoch)
        left = "done" if seed.over else f"at most {at_most_s:.0f} s left"
        print(
            f"seed {seed.seed}, epoch {progress.epoch}: loss {progress.history[-1]['loss']:.3f}, "
            f"dev {progress.history[-1]['score']:.3f}, best {progress.best_score:.3f} at {progress.best_epoch}; {left}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
