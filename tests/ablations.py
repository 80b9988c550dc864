"""What systems of list 003 are worth on the real sets of `real_kit`, each beside the same model without it.

`PYTHONPATH=. FEATURES_ROOT=… MANIFESTS_ROOT=… RUNS_ROOT=… python tests/ablations.py [SET ...]` lays the sets, trains
what is not trained yet, and prints a table for each. Settings are the same in all rows of a set, but for what a row
says. `meld_halves` needs MELD's manifest and its `minilm` in the cache.
"""

import sys
from collections.abc import Mapping, Sequence

import real_kit

from fuse import recipe, result, tables
from fuse.experiment import prepare
from fuse.recipe import Recipe, Table

RAVDESS = (
    "tasks=emotion8",
    "protocol=sessions",
    "encoders={audio='mfcc_statistics',video='openface_au'}",
    "train.epochs=40",
    "train.lr=1e-3",
    "train.weight_decay=0.5",
    "train.patience=12",
)
MMMO = (
    "tasks=sentiment_score",
    "protocol=official",
    "encoders={audio='covarep',video='facet'}",
    "train.epochs=40",
    "train.lr=1e-3",
    "train.weight_decay=0.5",
    "train.patience=12",
)
MELD = (
    "model=turns",
    "encoders={text='minilm'}",
    "data.compress={text=1}",
    "config={width=128,dropout=0.5}",
    "train.epochs=20",
    "train.batch=128",
    "train.lr=1e-3",
    "train.weight_decay=0.5",
    "train.patience=5",
    "train.select=wf1",
    "train.class_weight_power=0.3",
    "train.label_smoothing=0.1",
)
STATISTICS = ("model=pooled", "config={pooling='statistics',backend='mlp',dropout=0.5}")
SETS: Mapping[str, tuple[str, Sequence[str], int, Sequence[str], Mapping[str, Sequence[str]]]] = {
    "ravdess_au": (
        "RAVDESS, action units and MFCC, actors apart",
        RAVDESS,
        1,
        ("ravdess_au/emotion8/mf1", "ravdess_au/emotion8/uar"),
        {
            "audio alone": ("modalities=audio",),
            "video alone": ("modalities=video",),
            "concat": (),
            "concat, cggm": ("strategies.cggm={}",),
            "concat, cggm as its authors": ("strategies.cggm={variant='authors'}",),
            "concat, speaker_adversarial": ("strategies.speaker_adversarial={strength=0.1}",),
            "concat, two_stage": ("strategies.two_stage={}",),
            "concat, supervised contrast": ("strategies.contrast={}",),
            "concat, inter-class contrast": ("strategies.contrast={kind='inter_class'}",),
            "concat, focal": ("train.focus=2.0",),
            "simple": ("model=simple",),
            "simple, cggm": ("model=simple", "strategies.cggm={}"),
            "connection": ("model=connection",),
            "bridge": ("model=bridge",),
            "qformer": ("model=qformer",),
            "m2fnet": ("model=m2fnet",),
        },
    ),
    "ict_mmmo": (
        "ICT-MMMO, words of sound and faces, official split",
        MMMO,
        5,
        ("ict_mmmo/sentiment_score/corr", "ict_mmmo/sentiment_score/mae"),
        {
            "concat": (),
            "pooled, statistics": STATISTICS,
            "pooled, statistics, concordance": (*STATISTICS, "train.score_loss=concordance"),
            "pooled, statistics, ranklist": (*STATISTICS, "train.score_loss=ranklist"),
            "pooled, recurrent": ("model=pooled", "config={backend='recurrent',dropout=0.5}"),
            "pooled, recurrent, video in 4 steps": (
                *("model=pooled", "config={backend='recurrent',dropout=0.5}"),
                "data.compress={video=4}",
            ),
            "bridge": ("model=bridge",),
            "bridge, video in 4 steps": ("model=bridge", "data.compress={video=4}"),
            "qformer": ("model=qformer",),
        },
    ),
    "meld_halves": (
        "MELD whose training clips mostly have one of two labels, text alone",
        MELD,
        5,
        ("meld_halves/emotion/wf1", "meld_halves/emotion/mf1", "meld_halves/sentiment/wf1"),
        {"turns": (), "turns, unified": ("strategies.unified={}",)},
    ),
}
LAY = {
    "ravdess_au": real_kit.lay_ravdess,
    "ict_mmmo": real_kit.lay_mmmo,
    "meld_halves": lambda _: real_kit.lay_meld_halves(),
}


def rows(name: str) -> Table:
    """Return the experiments of a set."""
    title, settings, seeds, columns, named = SETS[name]
    made = []
    for row, own in named.items():
        short = row.replace(", ", "-").replace(" ", "_")
        made.append(recipe.load("concat", [*settings, *own, f"name={name}-{short}"], corpora=[name], seeds=seeds))
    return Table(name, title, tuple(made), tuple(columns))


def measured(row: Recipe) -> result.Summary:
    """Train and score one experiment."""
    experiment = prepare(row)
    folds = []
    for number, split in enumerate(experiment.splits):
        outcomes = []
        for seed in range(row.seeds):
            for trained in experiment.seeds(number, seed):
                for _ in trained.epochs():
                    pass
            outcomes.append(experiment.outcome(trained))
        folds.append(experiment.fold(split, tuple(outcomes)))
    return result.summary(experiment.run(tuple(folds), "tests/ablations.py", trained.model))


def main() -> None:
    """Lay the sets that are asked for, or those that lie beside the checkout, and print the table of each."""
    for name in sys.argv[1:] or ("ravdess_au", "ict_mmmo"):
        LAY[name](real_kit.FOLDER)
        table = rows(name)
        found = {row.name: measured(row) for row in table.rows}
        sys.stdout.write(f"{tables.render(table, found, {})}\n\n")


if __name__ == "__main__":
    main()
