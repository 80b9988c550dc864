"""Every recipe is one that can be run: its models, features, columns and the paper's numbers fit together."""

import math
import re

import pytest

from extract import asked
from extract.listing import NO_DOWNLOAD, default_encoders
from extract.wanted import wants
from fuse import metrics, models, recipe
from manifests import labels
from manifests.labels import TASKS

ROWS = {
    "table1": 10,
    "table2": 2,
    "emosen": 1,
    "lefsa_paper": 1,
    "cross_bert_table1": 5,
    "cross_bert_table3": 14,
    "interaction_ablation": 5,
    "mfer_audio4": 1,
    "mfer_table4": 3,
    "mfer_actors": 1,
    "mer_clip_table1": 1,
    "mer_clip_table2": 2,
    "mer_clip_table3": 15,
    "mer_clip_table4": 4,
    "mer_clip_table7": 2,
    "mer_clip_table8": 4,
    "mer_clip_table9": 7,
    "mer_clip_table10": 7,
    "mer_clip_table11": 7,
    "meld_dialogue": 20,
    "meld_strategies": 9,
    "meld_fusion": 12,
    "pooling_study": 12,
    "unified": 2,
}
NAMES = [name for name in recipe.names() if name != recipe.DEFAULT]
COMMAND = re.compile(r'make features CORPUS=(\w+)(?: ENCODERS="?([^"\s]+)"?)?')
VIEWS = {"single": {"acc", "wf1", "mf1", "uar", "wp"}, "several": {"mwa", "mwf1", "mmf1", "ml_acc"}}
VIEWS["several"] |= {"micro_p", "micro_r", "micro_f1"}
# Corpora whose seven emotions may be there together, which is how the papers score them.
SEVERAL_EMOTIONS = {"mosei"}


def text_of(name):
    """Return a recipe as it is written."""
    return (recipe.FOLDER / f"{name}.toml").read_text(encoding="utf-8")


def comment_of(name):
    """Return the lines before the first key."""
    return text_of(name).partition("\n\n")[0]


def experiments(table):
    """Yield every row and every stage of it."""
    for row in table.rows:
        yield from (*row.stages, row)


def extracted(name, corpus=None):
    """Return the fields of all entries that the commands in a recipe's comment make, those for the demo apart."""
    found = []
    for said, encoders in COMMAND.findall(comment_of(name)):
        if (said == "demo") != (corpus == "demo"):
            continue
        found += wants(said, asked.split(encoders) or default_encoders(said), weights="random:0")
    if corpus == "demo" and not found:
        found = wants("demo", NO_DOWNLOAD)
    keys = [want.key.to_json() for want in found]
    return [key | {f"settings.{name}": value for name, value in key["settings"].items()} for key in keys]


def meant(where, keys):
    """Return the entries that have the fields a recipe asks for; what a key does not mention is empty."""
    return [key for key in keys if all(key.get(name, "") == value for name, value in where.items())]


def numbers(table, row):
    """Return the paper's numbers of a row that there are, by column."""
    return {column: value for column, value in table.paper[row.name].items() if not math.isnan(value)}


def test_every_published_table_has_a_recipe():
    """Each file is there, with as many rows as its table has of the paper's own systems."""
    assert {name: len(recipe.table(name).rows) for name in ROWS} == ROWS


@pytest.mark.parametrize("name", NAMES)
def test_every_row_can_be_built(name):
    """Each row and stage names a model that exists and settings that it takes, under a name of its own."""
    table = recipe.table(name)
    assert len({row.name for row in table.rows}) == len(table.rows)
    for one in experiments(table):
        assert one.model in models.names()
        recipe.model_config(one)
        known = getattr(models.module(one.model), "MODALITIES", None)
        assert known is None or set(one.used) <= set(known), f"{one.name} has modalities that {one.model} lacks"


@pytest.mark.parametrize("name", NAMES)
def test_every_column_is_measured_by_a_row(name):
    """A column names a corpus and a task that some row scores, and a metric that such a task has."""
    table = recipe.table(name)
    for column in table.columns:
        corpus, task, metric = column.split("/")
        assert any(corpus in row.corpora and task in row.tasks for row in table.rows), column
        several = TASKS[task].kind == "multi" or (task == "emotion" and corpus in SEVERAL_EMOTIONS)
        assert metric in VIEWS["several" if several else "single"] & set(metrics.EXPLAINED), column


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_numbers_stand_where_a_row_measures(name):
    """A row has the paper's percentages in columns of its own corpora and tasks, and in no other."""
    table = recipe.table(name)
    for row in table.rows:
        for column, value in numbers(table, row).items():
            corpus, task, _ = column.split("/")
            assert corpus in row.corpora, (row.name, column)
            assert task in row.tasks, (row.name, column)
            assert 10 < value < 100, f"{row.name}: {column} is not in percent"


@pytest.mark.parametrize("name", NAMES)
def test_the_comment_says_how_to_run_it(name):
    """A recipe begins with commands, and what they extract are exactly the features that it asks for."""
    assert f"make fuse MODEL={name}" in comment_of(name)
    keys = extracted(name)
    for one in experiments(recipe.table(name)):
        for where in (where for entries in one.used.values() for where in entries):
            assert len(meant(where, keys)) == 1, f"{one.name}: {where}"


@pytest.mark.parametrize("name", [name for name in NAMES if "[on.demo.stand_ins]" in text_of(name)])
def test_it_can_be_tried_on_the_demo_corpus(name):
    """There every entry is one that `make demo`, or the command in the comment, extracts, and every task has labels."""
    keys = extracted(name, "demo")
    clip = {"emotion": labels.emotion("happy"), "sentiment": labels.sentiment("positive")}
    settings = re.findall(r'CORPUS=demo SET="([^"]+)"', comment_of(name))
    table = recipe.table(name, settings, corpora=["demo"])
    assert table.notes
    for one in experiments(table):
        assert one.corpora == ("demo",)
        assert all(labels.of(task, clip) for task in one.tasks), f"{one.name}: {one.tasks}"
        for where in (where for entries in one.used.values() for where in entries):
            assert len(meant(where, keys)) == 1, f"{one.name}: {where}"


def test_table_1_prints_the_average_that_the_paper_prints():
    """The mean of a row's six numbers is the paper's last column, which would notice a slip in any of them."""
    printed = [59.18, 58.85, 57.84, 57.35, 57.21, 57.14, 53.19, 53.18, 59.64, 59.81]
    table = recipe.table("table1")
    for row, average in zip(table.rows, printed, strict=True):
        six = list(table.paper[row.name].values())
        assert len(six) == 6
        assert round(sum(six) / 6, 2) == pytest.approx(average, abs=0.0101), row.name
    assert [row.model for row in table.rows] == [*["bfs"] * 8, "lefs", "lefsa"]
    assert round(sum(six) / 6, 2) == 59.81


def test_table_1_has_eight_different_sets_of_features():
    """The baseline rows are all pairs of encoders; the last two rows take those of the first."""
    used = [str(row.used) for row in recipe.table("table1").rows]
    assert len(set(used[:8])) == 8
    assert used[8] == used[9] == used[0]


@pytest.mark.parametrize("name", ["table1", "table2", "lefsa_paper"])
def test_paper_000_is_trained_as_its_code_does(name):
    """Every row has the optimiser, schedule and weights of the authors' code."""
    for row in recipe.table(name).rows:
        train = row.train
        assert (train.epochs, train.batch, train.lr, train.min_lr, train.patience) == (75, 64, 1e-5, 1e-7, 10)
        assert (train.schedule, train.class_weights, train.clip_norm) == ("cosine", "balanced", 1.0)
        assert (train.optimiser, train.betas, train.eps, train.weight_decay) == ("adamw", (0.9, 0.999), 1e-8, 0.01)
        assert row.data.windows == "mean"


def test_the_precursor_is_trained_as_its_code_does():
    """Windows vote, the learning rate restarts, and class weights are shares."""
    row = recipe.load("emosen")
    train = row.train
    assert (train.schedule, train.every, train.class_weights) == ("restarts", 10, "share")
    assert (row.model, row.data.windows) == ("triple", "vote")


def test_mfer_hands_arms_on_from_stage_to_stage():
    """Four emotions in two phases, then eight; the last stage trains the classifier alone."""
    visual, audio, combined = recipe.table("mfer_table4").rows
    assert [stage.name for stage in combined.stages] == ["audio4_first", "audio4", "visual", "audio8"]
    assert [stage.start_from for stage in combined.stages] == [(), ("audio4_first",), (), ("audio4",)]
    assert combined.start_from == ("visual", "audio8")
    assert combined.train.freeze == ("arms",)
    assert all(not stage.train.freeze for stage in combined.stages)
    assert [stage.train.epochs for stage in combined.stages] == [20, 10, 30, 25]
    assert [stage.train.sampler_power for stage in combined.stages] == [0.6, 0.9, 0.5, 0.5]
    assert combined.stage("audio8").train == audio.train
    assert combined.stage("visual").train == visual.train
    # What two rows share is trained once: a run is found again by its recipe and by the stages before it.
    assert combined.stages[:2] == audio.stages


def test_mfer_with_actors_apart_differs_in_protocol_and_variant_alone():
    """The repaired recipe is the paper's but for what it mends."""
    apart, paper = recipe.load("mfer_actors"), recipe.table("mfer_table4").rows[2]
    assert (apart.protocol, apart.group_by, paper.protocol) == ("group", "speaker", "paper002")
    assert (apart.config, paper.config) == ({"variant": "repaired"}, {"variant": "authors"})
    assert apart.train == paper.train
    assert [stage.train for stage in apart.stages] == [stage.train for stage in paper.stages]
    assert [stage.protocol for stage in apart.stages] == ["random", "random", "group", "group"]
    audio4 = recipe.load("mfer_audio4")
    assert [audio4.stages[0].train.epochs, audio4.train.epochs] == [20, 10]


def test_mfer_speech_is_the_mean_of_the_papers_recalls():
    """The UAR beside each corpus is the mean over the four classes of the paper's table II."""
    recalls = {
        "cremad": (97.01, 94.02, 96.41, 82.91),
        "shemo": (94.03, 84.50, 91.41, 75.28),
        "sdc": (73.85, 70.00, 74.29, 48.57),
        "urdu": (97, 90, 94, 91),
    }
    (row,) = recipe.table("mfer_audio4").rows
    paper = recipe.table("mfer_audio4").paper[row.name]
    assert {f"{corpus}/emotion4/uar": pytest.approx(sum(four) / 4) for corpus, four in recalls.items()} == {
        column: value for column, value in paper.items() if column.endswith("uar")
    }


def test_mer_clip_asks_in_the_order_of_the_rows_name():
    """Table 3 has every order of one, two and three modalities once, each as its letters say."""
    letters = {"v": "video", "a": "audio", "l": "text"}
    table = recipe.table("mer_clip_table3")
    orders = [tuple(row.used) for row in table.rows]
    assert len(set(orders)) == 15
    for row, order in zip(table.rows, orders, strict=True):
        assert order == tuple(letters[letter] for letter in row.name.rpartition("-")[2])


def test_tables_agree_where_the_papers_repeat_a_number():
    """One system on one corpus has one number, in whichever table it stands."""

    def paper(name, row):
        table = recipe.table(name)
        return numbers(table, next(one for one in table.rows if one.name == f"{name}-{row}"))

    whole = paper("mer_clip_table2", "mosei")
    assert whole == {"mosei/sentiment2/acc": 85.3, "mosei/sentiment2/wf1": 85.1}
    for name, row in (("table3", "lva"), ("table4", "whole"), ("table8", "mosei-word"), ("table10", "sentiment")):
        assert paper(f"mer_clip_{name}", row) == whole
    emotions = paper("mer_clip_table1", "mer-clip")
    assert list(emotions.values()) == [49.3, 53.1, 63.4, 57.8]
    assert paper("mer_clip_table7", "word") == paper("mer_clip_table9", "emotion") == emotions
    assert paper("mer_clip_table11", "sentiment") == paper("mer_clip_table2", "mosi")
    assert paper("interaction_ablation", "whole") == paper("cross_bert_table3", "mosi-interaction")


def test_the_query_words_are_the_papers():
    """Tables 9 to 11 ask for seven words, the last of which is none."""
    words = ["Emotion", "Sentiment", "Feeling", "Impression", "Mood", "Sensation", ""]
    for number in (9, 10, 11):
        rows = recipe.table(f"mer_clip_table{number}").rows
        assert [row.config["query"] for row in rows] == words
