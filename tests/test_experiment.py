"""From a recipe to what was found: stages hand weights on, folds are scored apart, a run is known by what it is."""

import ast
import dataclasses
import inspect
import os
from importlib import import_module
from pathlib import Path

import fuse_kit
import numpy as np
import pytest
import torch

import manifests
from fuse import experiment, missing, models, predict, recipe, seams
from fuse.experiment import prepare
from manifests import Manifest
from manifests.labels import TASKS

pytestmark = pytest.mark.usefixtures("one_thread", "roots")

STAGED = """
model = "unimodal"
corpora = ["demo"]
start_from = ["ears", "eyes"]
config.width = 8
seeds = 1
[encoders]
audio = "mfcc"
video = "face_hog"
[train]
epochs = 2
batch = 8
lr = 1e-2
[[stage]]
name = "ears"
modalities = ["audio"]
[[stage]]
name = "eyes"
modalities = ["video"]
train.epochs = 1
"""


@pytest.fixture
def clips(roots):  # noqa: ARG001 - it says where the cache lies
    """The small corpus, with a cache."""
    made = fuse_kit.clips()
    fuse_kit.store(made)
    return made


@pytest.fixture
def staged(tmp_path, monkeypatch, clips):  # noqa: ARG001 - they are what it is about
    """Return a function that loads and prepares a recipe of two stages."""
    monkeypatch.setattr(recipe, "FOLDER", tmp_path / "recipes")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "staged.toml").write_text(STAGED, encoding="utf-8")
    return lambda *settings: prepare(recipe.load("staged", settings))


def prepared(*settings, model="concat"):
    """Prepare the small recipe."""
    return prepare(fuse_kit.load_recipe(model, *settings))


def trained(one, fold=0, seed=0):
    """Train every stage and the experiment itself; return its seed."""
    for each in one.seeds(fold, seed):
        list(each.epochs())
    return each


def ran(one):
    """Train and score every fold and seed."""
    folds = []
    for number, split in enumerate(one.splits):
        seeds = [trained(one, number, seed) for seed in range(one.recipe.seeds)]
        folds.append(one.fold(split, tuple(map(one.outcome, seeds))))
    return one.run(tuple(folds), "make fuse", seeds[-1].model)


# Stages.


def test_stages_hand_their_best_weights_on(staged):
    """Each is trained first, in order, and the last begins with what they learnt, to the bit."""
    one, states, order = staged(), {}, []
    for each in one.seeds(0, 3):
        order.append(each.recipe.name)
        if each.recipe.name == "staged":
            begun = {name: tensor.clone() for name, tensor in each.model.state_dict().items()}
        list(each.epochs())
        states[each.recipe.name] = {name: tensor.clone() for name, tensor in each.best().state_dict().items()}
        assert each.seed == 3
    assert order == ["ears", "eyes", "staged"]
    assert states["ears"].keys() | states["eyes"].keys() == begun.keys()
    for name, tensor in begun.items():
        assert torch.equal(tensor, states["ears" if "audio" in name else "eyes"][name])
    assert not all(torch.equal(tensor, begun[name]) for name, tensor in states["staged"].items())


def test_a_stage_that_is_not_begun_with_is_trained_and_left(staged):
    """What begins with one stage alone takes nothing of the other."""
    one = staged("start_from=ears")
    states = {}
    for each in one.seeds(0, 0):
        begun = {name: tensor.clone() for name, tensor in each.model.state_dict().items()}
        list(each.epochs())
        states[each.recipe.name] = dict(each.best().state_dict())
    for name, tensor in begun.items():
        stage = "ears" if "audio" in name else "eyes"
        assert torch.equal(tensor, states[stage][name]) == (stage == "ears")


def test_stages_and_seeds_are_found_again(staged):
    """The same command trains nothing twice: neither a stage nor what begins with it."""
    first = trained(staged())
    again = list(staged().seeds(0, 0))
    assert [each.over for each in again] == [True] * 3
    assert again[-1].progress == first.progress
    files = {file.name for one in (staged(), *staged().stages) for file in one.folder.iterdir()}
    assert files == {"seed-0.safetensors"}
    assert [each.over for each in staged().seeds(0, 1)] == [False] * 3


@pytest.mark.parametrize(
    ("setting", "same"),
    [
        ("stages.ears.train.lr=0.5", set()),  # the second stage knows the first, and could have begun with it
        ("stages.eyes.train.epochs=2", {"ears"}),
        ("start_from=ears", {"ears", "eyes"}),
        ("train.lr=0.5", set()),
    ],
)
def test_what_is_changed_is_another_run_and_so_is_what_begins_with_it(staged, setting, same):
    """A changed stage makes another folder for itself and for the whole, and leaves other stages where they are."""

    def folders(*settings):
        one = staged(*settings)
        return {each.recipe.name: each.folder for each in (*one.stages, one)}

    before, after = folders(), folders(setting)
    assert {name for name in before if before[name] == after[name]} == same


# Folds.


def test_every_fold_is_trained_and_scored(clips):
    """Each clip is in the test part of one fold, and each fold has what its own seeds say."""
    run = ran(prepared("protocol=group", "folds=3", "seeds=2", "train.epochs=1"))
    assert [fold.name for fold in run.folds] == [f"fold {i} of 3" for i in (1, 2, 3)]
    tested = [name for fold in run.folds for name in fold.parts["test"].ids]
    assert sorted(tested) == sorted(clip.id for clip in clips)
    for fold in run.folds:
        assert [outcome.seed for outcome in fold.outcomes] == [0, 1]
        for outcome in fold.outcomes:
            assert outcome.epoch == 1
            for part in experiment.SCORED:
                assert outcome.predictions[part].keys() == {"emotion", "sentiment"}
                assert outcome.predictions[part]["emotion"].shares.shape == (len(fold.parts[part].ids), 7)
    assert {line.corpus for line in run.lines} == {"demo"}


@pytest.mark.usefixtures("clips")
def test_some_folds_alone():
    """Two of five are trained, under the names they have among all five."""
    one = prepared("protocol=random", "only_folds=1,3", "train.epochs=1")
    assert [split.name for split in one.splits] == ["fold 2 of 5", "fold 4 of 5"]
    trained(one, 1)
    assert [file.name for file in one.folder.iterdir()] == ["fold-4-of-5-seed-0.safetensors"]


def test_stages_are_trained_on_the_clips_of_the_fold(staged):
    """What is tested in a fold no stage has seen."""
    one = staged("protocol=group", "folds=4", "stages.*.train.epochs=1")
    for fold, split in enumerate(one.splits):
        for each in one.seeds(fold, 0):
            assert each.split == split


@pytest.mark.usefixtures("clips")
def test_statistics_are_those_of_the_folds_training_clips():
    """Standardised features of one fold differ from those of another, and plain ones do not."""
    for standardise in (True, False):
        one = prepared("protocol=group", "folds=3", f"data.standardise={str(standardise).lower()}")
        batches = [one.of(split).batch(torch.arange(40)).values["audio"] for split in one.splits[:2]]
        assert torch.equal(*batches) != standardise
        train = one.of(one.splits[2]).batch(torch.tensor(one.splits[2].train)).values["audio"].flatten(0, 2)
        assert (train.mean(dim=0).abs().max() < 1e-5) == standardise
        assert one.of(one.splits[2]) is one.of(one.splits[2])


# What is said of clips.


@pytest.mark.usefixtures("clips")
def test_scored_without_a_modality():
    """`test_without` takes it from dev and test, says so, and leaves it to the floors and to training."""
    one = prepared("test_without=audio")
    outcome = one.outcome(trained(one))
    assert any("Dev and test clips are scored without audio" in note for note in one.notes)
    other = prepared()
    whole = other.outcome(trained(other))
    assert not np.allclose(
        outcome.predictions["test"]["emotion"].shares, whole.predictions["test"]["emotion"].shares, atol=1e-3
    )


@pytest.mark.usefixtures("clips")
def test_ablation_takes_each_modality_away_once():
    """Test clips are scored without each, beside whole; dev is not, and none where there is only one."""
    one = prepared("ablate=true")
    seed = trained(one)
    outcome = one.outcome(seed)
    assert outcome.ablated.keys() == {"without audio", "without video", "without text"}
    whole = outcome.predictions["test"]["emotion"].shares
    for name, predictions in outcome.ablated.items():
        assert predictions.keys() == {"test"}
        lost = name.removeprefix("without ")
        test = list(seed.split.test)
        batch = seed.data.batch(torch.tensor(test))
        with torch.no_grad():
            logits = seed.best()(batch.without({lost: torch.ones(len(test), dtype=torch.bool)}))
        np.testing.assert_allclose(predictions["test"]["emotion"].shares, logits["emotion"].softmax(dim=1), atol=1e-6)
        assert not np.allclose(predictions["test"]["emotion"].shares, whole, atol=1e-3)
    single = prepared("ablate=true", "modalities=text")
    assert not single.outcome(trained(single)).ablated
    without = prepared("ablate=true", "test_without=audio")
    seed = trained(without)
    ablated = without.outcome(seed).ablated
    assert ablated.keys() == {"without video", "without text"}
    both = predict.shares(seed.best(), seed.data, seed.split.test, ("audio", "text"))
    np.testing.assert_allclose(ablated["without text"]["test"]["emotion"].shares, both["emotion"])


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(("model", "settings"), [("concat", ()), ("turns", ("config.width=8", "config.context=both"))])
def test_modalities_are_taken_at_random_in_growing_shares(model, settings):
    """Of each test clip those go that its id says, also where the model looks at whole conversations."""
    one = prepared("ablate=true", *settings, model=model)
    seed = trained(one)
    outcome = one.outcome(seed)
    assert tuple(outcome.thinned) == missing.rates(3)
    test = list(seed.split.test)
    batch = seed.data.batch(torch.tensor(test))
    has = dict.fromkeys(seed.data.sources, np.ones(len(test), bool))
    gone_from = missing.gone_from([("demo", clip) for clip in batch.ids], has)
    for rate, predictions in outcome.thinned.items():
        assert predictions.keys() == {"test"}
        gone = {modality: torch.from_numpy(above < rate) for modality, above in gone_from.items()}
        with torch.no_grad():
            logits = seed.best()(batch.without(gone))
        np.testing.assert_allclose(predictions["test"]["emotion"].shares, logits["emotion"].softmax(dim=1), atol=1e-5)
    assert not prepared().outcome(trained(prepared())).thinned
    whole = prepared("ablate=true", "test_without=audio")
    assert tuple(whole.outcome(trained(whole)).thinned) == missing.rates(2)
    single = prepared("ablate=true", "modalities=text")
    assert not single.outcome(trained(single)).thinned


def test_what_heads_read_is_kept_of_one_seed_on_one_fold(roots):  # noqa: ARG001 - it says where the cache lies
    """Of every test clip that has a feature, as the model gives it; other seeds and models without it keep nothing."""
    made = fuse_kit.clips()
    fuse_kit.store(made, missing=lambda _, clip: clip.id == "test_2")
    one = prepared("seeds=2")
    seed, other = trained(one), trained(one, seed=1)
    found = one.outcome(seed).embedded
    assert found.rows == (0, 1, 3, 4, 5, 6, 7)
    clips = [seed.split.test[row] for row in found.rows]
    model = seed.best()
    (expected,) = seams.given(model, [seams.representation(model)], seed.data.batch(torch.tensor(clips)))
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    assert one.outcome(other).embedded is None
    del seed.model.representation
    seed.model.representation = lambda read: read
    assert one.outcome(seed).embedded is None


@pytest.mark.usefixtures("clips")
def test_parts_of_a_model_are_scored_beside_it():
    """A model that says something per modality has a line for each."""
    one = prepared(model="unimodal")
    outcome = one.outcome(trained(one))
    assert outcome.parts.keys() == {"audio", "video", "text"}
    assert outcome.parts["audio"]["dev"]["sentiment"].shares.shape == (8, 3)


def test_votes_for_one_class_are_no_several_classes(clips):
    """Raters who disagree leave shares to train on; what is scored is one class, by training and report alike."""
    torn = (0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)
    voted = [
        dataclasses.replace(clip, labels={**clip.labels, "emotion": torn}, label_kind="vote series")
        for clip in clips[:2]
    ]
    voted += [dataclasses.replace(clip, label_kind="majority") for clip in clips[2:]]
    manifests.write(Manifest("demo", Path("nowhere"), tuple(voted)))
    run = ran(prepared("tasks=emotion", "train.epochs=1"))
    assert run.views == {("emotion", "demo"): "single"}
    rated = [dataclasses.replace(clip, label_kind="mean rating") for clip in voted]
    manifests.write(Manifest("demo", Path("nowhere"), tuple(rated)))
    assert ran(prepared("tasks=emotion", "train.epochs=1")).views == {("emotion", "demo"): "several"}


def test_dimensions_are_learnt_and_scored_by_concordance(clips):
    """Valence is a number on a scale of its own: nothing of it is counted as a class."""
    told = [dataclasses.replace(clip, labels={"valence": (clip.labels["sentiment_score"][0] + 3,)}) for clip in clips]
    manifests.write(Manifest("demo", Path("nowhere"), tuple(told)))
    found = {}
    for loss in ("distance", "concordance"):
        run = ran(prepared("tasks=valence", "train.epochs=20", "train.lr=1e-2", f"train.score_loss={loss}"))
        assert run.views == {("valence", "demo"): "dimension"}
        (line,) = [line for line in run.lines if line.role == "model" and line.split == "test"]
        assert set(line.scores[0].values) == {"ccc", "corr", "mae"}
        found[loss] = line.mean("ccc")
    assert min(found.values()) > 0.5
    assert found["distance"] != found["concordance"]


@pytest.mark.usefixtures("clips")
def test_sets_are_formed_where_several_classes_may_be():
    """Their threshold is kept; of a task with one class per clip there is none."""
    one = prepared("tasks=emotions,sentiment,sentiment_score")
    run = ran(one)
    (outcome,) = run.folds[0].outcomes
    assert outcome.thresholds.keys() == {"emotions"}
    assert outcome.predictions["test"]["emotions"].sets.shape == (8, 6)
    assert outcome.predictions["test"]["sentiment"].sets is None
    assert {line.task for line in run.lines} == {"emotions", "sentiment", "sentiment_score"}


def test_truth_is_what_the_manifest_says():
    """Labels stand beside predictions in the protocol's order; what a clip does not have is no number."""
    bare = tuple(
        dataclasses.replace(clip, labels={"emotion": clip.labels["emotion"]}) if clip.id == "test_3" else clip
        for clip in fuse_kit.clips()
    )
    fuse_kit.store(bare, missing=lambda modality, clip: (modality, clip.id) == ("video", "test_5"))
    run = ran(prepared("train.epochs=1"))
    part = run.folds[0].parts["test"]
    assert part.ids == tuple(f"test_{i}" for i in range(8))
    assert np.isnan(part.truth["sentiment"][3]).all()
    assert not np.isnan(np.delete(part.truth["sentiment"], 3, axis=0)).any()
    assert part.truth["emotion"].argmax(axis=1).tolist() == [0, 1, 2, 3] * 2
    assert part.missing["video"].tolist() == [i == 5 for i in range(8)]
    assert part.speakers[0] == "demo test_s0"
    assert set(run.folds[0].parts) == {"train", "dev", "test"}


@pytest.mark.usefixtures("clips")
def test_windows_that_vote_are_scored_by_clip():
    """Predictions are as many as clips, whatever the number of windows."""
    run = ran(prepared("data.windows=vote", "train.epochs=1"))
    (outcome,) = run.folds[0].outcomes
    shares = outcome.predictions["test"]["emotion"].shares
    assert shares.shape == (8, 7)
    assert set(np.unique(shares)) <= {0.0, 0.5, 1.0}


def test_weights_of_a_staged_run_need_no_stages(staged):
    """FROM and EVAL on a recipe with stages scores the file, and trains no stage on the way."""
    first = staged()
    said = first.outcome(trained(first))
    (path,) = first.folder.iterdir()
    second = staged(f"weights={path}", "score_only=true")
    assert [one.recipe.name for one in second.seeds(0, 0)] == ["staged"]
    again = second.outcome(trained(second))
    np.testing.assert_array_equal(
        again.predictions["test"]["emotion"].shares, said.predictions["test"]["emotion"].shares
    )


def test_stages_of_the_same_features_share_them(staged):
    """What is read once is read once, however many stages there are."""
    one = staged("stages.*.modalities=audio")
    assert one.stages[0].data is one.stages[1].data
    assert one.stages[1].stages == one.stages[:1]


def test_a_stage_with_other_folds_is_refused(staged):
    """A stage that divides the same clips otherwise would train on what is scored."""
    with pytest.raises(ValueError, match=r"stage ears: expected the 3 divisions of demo .* got 1"):
        staged("protocol=random", "folds=3", "stages.ears.protocol=official")


# Weights from elsewhere.


@pytest.mark.usefixtures("clips")
def test_weights_of_a_finished_run_are_scored_as_they_are():
    """FROM and EVAL say of each clip what the run said whose weights they are; the run is another one."""
    first = prepared()
    said = first.outcome(trained(first))
    (path,) = first.folder.iterdir()
    second = prepared(f"weights={path}", "score_only=true")
    seed = trained(second)
    again = second.outcome(seed)
    assert seed.over
    assert second.folder != first.folder
    assert not second.folder.exists()
    for part in experiment.SCORED:
        for task in first.recipe.tasks:
            np.testing.assert_array_equal(again.predictions[part][task].shares, said.predictions[part][task].shares)
    assert again.history == []


@pytest.mark.usefixtures("clips")
def test_a_run_that_begins_with_weights_is_known_by_what_is_in_them(tmp_path):
    """A file of the same content elsewhere is the same run, another content another one."""
    one = prepared()
    trained(one)
    (path,) = one.folder.iterdir()
    copy, other = tmp_path / "copy.safetensors", tmp_path / "other.safetensors"
    copy.write_bytes(path.read_bytes())
    other.write_bytes(path.read_bytes() + b" ")
    folders = [prepared(f"weights={file}").folder for file in (path, copy, other)]
    assert folders[0] == folders[1] != folders[2]
    with pytest.raises(ValueError, match="FROM: cannot read"):
        _ = prepared("weights=nowhere.pt").folder


# What a run is.


def test_a_run_is_found_by_what_it_is(clips):
    """Recipe, features, labels and code name its folder; where it lies does not, and neither does the time."""
    folder = prepared().folder
    assert prepared().folder == folder
    assert folder.parent == type(folder)(os.environ["RUNS_ROOT"])
    assert folder.name.startswith("concat-demo-")
    for setting in ("train.lr=0.5", "seeds=2", "config.width=7", "modalities=text", "tasks=emotion"):
        assert prepared(setting).folder != folder
    relabelled = (dataclasses.replace(clips[0], labels=clips[1].labels), *clips[1:])
    fuse_kit.store(relabelled)
    assert prepared().folder != folder


@pytest.mark.usefixtures("clips")
def test_changed_code_is_another_run(monkeypatch):
    """A run of older code is not continued."""
    before = prepared().folder
    monkeypatch.setattr(experiment, "CODE", experiment.CODE[:-1])
    assert prepared().folder != before


def imported(module):
    """Return the modules of the models' folder that a file imports, by reading it."""
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fuse.models."):
            found.add(node.module)
        elif isinstance(node, ast.ImportFrom) and node.module == "fuse.models":
            found |= {f"fuse.models.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", models.names())
def test_a_models_code_is_all_that_it_is_made_of(name):
    """Files that it shares with other models count, also those that these import."""
    wanted, ahead = set(), {f"fuse.models.{name}"}
    while ahead:
        module = ahead.pop()
        wanted.add(module)
        ahead |= imported(import_module(module)) - wanted
    assert {module.__name__ for module in experiment._behind(models.module(name))} == wanted


def test_every_module_that_decides_a_run_counts():
    """What training, joining and scoring import of this package is in the list, but for what only says things."""
    told = {"result", "judged", "lines", "models", "strategies", "recipe", "typed", "dials"}
    for name in experiment.CODE:
        tree = ast.parse(inspect.getsource(import_module(f"fuse.{name}")))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fuse":
                modules = [alias.name for alias in node.names] if node.module == "fuse" else [node.module.split(".")[1]]
                assert set(modules) <= {*experiment.CODE, *told}, name


@pytest.mark.usefixtures("clips")
def test_a_run_says_where_it_comes_from():
    """Recipe, seeds, features, stages, versions and code stand in its provenance."""
    one = prepared("train.epochs=1")
    run = ran(one)
    made = run.provenance
    assert made["recipe"]["train"]["epochs"] == 1
    assert made["seeds"] == [0]
    assert made["features"]["audio"].startswith("mfcc-")
    assert made["stages"] == {}
    assert made["libraries"].keys() == {"torch", "numpy", "scikit-learn"}
    seed = trained(one)
    assert run.parameters == sum(parameter.numel() for parameter in seed.model.parameters())
    assert (run.recipe, run.model, run.corpora) == ("concat", "concat", ("demo",))


@pytest.mark.usefixtures("clips")
def test_frozen_parameters_are_not_counted():
    """How many numbers were trained is what the report says."""
    one = prepared("train.freeze=projections", "train.epochs=1")
    seed = trained(one)
    heads = sum(parameter.numel() for parameter in seed.model.heads.parameters())
    assert ran(one).parameters == heads


def test_notes_say_what_a_reader_must_know():
    """Whatever the table says stands first, then random weights and leaks, before any number."""
    fuse_kit.store(fuse_kit.clips(), weights=dict.fromkeys(fuse_kit.SHAPES, "random:0"))
    made = fuse_kit.load_recipe("concat", "data.random_weights=true", "protocol=random")
    notes = prepare(made, ("from the table",)).notes
    assert notes[0] == "from the table"
    assert experiment.RANDOM_NOTE in notes
    assert any(note.startswith("LEAK") for note in notes)


@pytest.mark.usefixtures("clips")
def test_majority_and_linear_floors_stand_beside_the_model():
    """Every fold has its own, of every task and scored part."""
    run = ran(prepared("train.epochs=1", "modalities=text"))
    (fold,) = run.folds
    assert fold.majority.keys() == {"emotion", "sentiment"}
    assert fold.majority["emotion"].shares.shape == (1, len(TASKS["emotion"].classes))
    assert fold.floors.keys() == {"linear floor"}
    assert fold.floors["linear floor"].keys() == {"dev", "test"}


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(("context", "word"), [("both", "Two-sided"), ("past", "Causal"), ("none", None)])
def test_a_report_says_which_turns_were_heard(context, word):
    """Causal and two-sided use are named in the notes; a model without context has nothing to say."""
    one = experiment.prepare(fuse_kit.load_recipe("turns", f"config.context={context}"))
    said = [note.partition(":")[0] for note in one.notes if note.startswith(("Two-sided", "Causal"))]
    assert said == ([word] if word else [])
