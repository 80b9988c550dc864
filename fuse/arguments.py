"""What `python -m fuse` can be asked, verb by verb."""

import argparse

from fuse import models, recipe, strategies

EPILOG = """\
examples:
  python -m fuse lefsa --corpus demo --seeds 5
  python -m fuse concat --corpus meld --set modalities=text train.lr=1e-3
  python -m fuse turns --corpus meld --set modalities=text config.context=past strategies=curriculum
  python -m fuse table1 --corpus demo --rows 1,9,10
  python -m fuse lefsa --corpus meld --from lefsa.pt --eval
  python -m fuse sweep concat --corpus meld --over train.lr=1e-3,3e-4 config.width=64,128
  python -m fuse compare .runs/lefsa-meld-1c2d3e4f .runs/concat-meld-5a6b7c8d
  python -m fuse table table1 --corpus demo
  python -m fuse page
  python -m fuse predict .runs/lefsa-meld-1c2d3e4f talk.mp4 --text "Well, well."
"""


def parser(verb: str = "train") -> argparse.ArgumentParser:
    """Return what reads the words behind a verb."""
    made = argparse.ArgumentParser(
        prog="python -m fuse" + (f" {verb}" if verb != "train" else ""),
        description="Train fusion models from cached features, on the CPU or a GPU, and write their reports.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _OPTIONS[verb](made)
    return made


def _train(parser: argparse.ArgumentParser) -> None:
    known = ", ".join(sorted({*recipe.names(), *models.names()} - {recipe.DEFAULT}))
    parser.add_argument("model", help=f"a recipe, or a model with the default recipe: {known}")
    parser.add_argument("--corpus", help="train and score on these corpora, joined with commas")
    parser.add_argument("--encoders", nargs="*", metavar="MODALITY=NAME", help="take other features")
    parser.add_argument("--seeds", type=int, help="how many seeds")
    parser.add_argument("--folds", type=int, help="into how many folds")
    parser.add_argument("--rows", help="run these rows of a table only, joined with commas")
    turned_on = ",".join(strategies.names())
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help=f"change keys of the recipe, or turn on ways of training: strategies={turned_on}",
    )
    parser.add_argument(
        "--from", dest="weights", metavar="FILE", help="begin with these weights: a run's, the authors'"
    )
    parser.add_argument("--eval", action="store_true", help="train nothing, score the weights")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run of this has trained")


def _sweep(parser: argparse.ArgumentParser) -> None:
    _train(parser)
    parser.add_argument("--over", nargs="+", required=True, metavar="KEY=V1,V2", help="try every combination")


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of finished runs; the first is the measure")
    parser.add_argument("--out", metavar="FILE", help="where the page goes [RUNS_ROOT/comparisons]")


def _table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="of these recipes [all with some finished row]")
    parser.add_argument("--corpus", help="only of runs on these corpora, joined with commas")
    parser.add_argument("--out", metavar="DIR", help="where the tables go [RUNS_ROOT/tables]")


def _page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("corpora", nargs="*", metavar="CORPUS", help="show these corpora [all that have features]")
    parser.add_argument("--out", default=".page", help="where the page goes [.page]")


def _predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("clip", metavar="CLIP", help="a sound, a film, or a folder of them")
    parser.add_argument("--text", default="", help="what is said in it [a .txt beside it, or what whisper_base hears]")
    parser.add_argument("--language", default="", help="what is spoken, as en [what the run's corpus speaks]")
    parser.add_argument("--cut", type=float, default=0.0, metavar="SECONDS", help="cut longer recordings into pieces")
    parser.add_argument("--work", help="keep what is extracted there, and go on from it")
    parser.add_argument("--out", help="where the answer goes [RUN/predictions/CLIP]")


_OPTIONS = {
    "train": _train,
    "sweep": _sweep,
    "compare": _compare,
    "table": _table,
    "page": _page,
    "predict": _predict,
}
