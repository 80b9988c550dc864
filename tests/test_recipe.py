"""Recipes are typed: a wrong name or type is refused before anything is opened."""

import dataclasses

import pytest

from extract.listing import LEFSA
from extract.wanted import wants
from fuse import recipe
from fuse.recipe import RecipeError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that puts a recipe into the folder, beside the default one."""
    default = (recipe.FOLDER / "default.toml").read_text(encoding="utf-8")
    monkeypatch.setattr(recipe, "FOLDER", tmp_path)
    (tmp_path / "default.toml").write_text(default, encoding="utf-8")
    return lambda name, text: (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")


def test_the_papers_recipe_reads_what_is_extracted_by_default():
    """What `make features` extracts for a paper's corpus is what `lefsa_paper` asks the cache for."""
    wanted = wants("meld", LEFSA, weights="random:0")
    for (where,) in recipe.load("lefsa_paper").used.values():
        (want,) = (one for one in wanted if one.encoder == where["encoder"])
        fields = want.key.to_json() | {f"settings.{name}": value for name, value in want.key.settings.items()}
        assert {name: fields[name] for name in where} == where


# One recipe.


def test_a_model_without_a_recipe_takes_the_default():
    """`make fuse MODEL=concat` needs no file of its own."""
    loaded = recipe.load("concat")
    assert (loaded.name, loaded.model, loaded.corpora) == ("concat", "concat", ("demo",))
    assert loaded.used == {
        "audio": ({"encoder": "egemaps", "grid": "windows(3,2,2)"},),
        "video": ({"encoder": "face_hog"},),
        "text": ({"encoder": "minilm"},),
    }


def test_settings_change_keys():
    """SET reaches every level, with TOML's types, and words without quotes."""
    loaded = recipe.load(
        "concat",
        [
            "train.lr=3",
            "modalities=text,audio",
            "data.windows=all",
            "encoders.audio.grid=clip",
            "config.width=7",
            "only_folds=1,3",
            "train.modality_drop.audio+text=0.2",
            "train.freeze=heads",
        ],
        corpora=["meld", "mosei"],
        seeds=5,
    )
    assert loaded.train.lr == 3.0
    assert isinstance(loaded.train.lr, float)
    assert loaded.modalities == ("text", "audio")
    assert list(loaded.used) == ["text", "audio"]
    assert loaded.used["audio"] == ({"encoder": "egemaps", "grid": "clip"},)
    assert (loaded.data.windows, loaded.corpora, loaded.seeds) == ("all", ("meld", "mosei"), 5)
    assert loaded.only_folds == (1, 3)
    assert loaded.train.modality_drop == {"audio+text": 0.2}
    assert loaded.train.freeze == ("heads",)
    assert recipe.model_config(loaded).width == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"mfcc"', ({"encoder": "mfcc"},)),
        ('"mfcc+egemaps"', ({"encoder": "mfcc"}, {"encoder": "egemaps"})),
        ('["mfcc", "egemaps"]', ({"encoder": "mfcc"}, {"encoder": "egemaps"})),
        ('{ encoder = "mfcc", grid = "clip" }', ({"encoder": "mfcc", "grid": "clip"},)),
        ('[{ encoder = "mfcc", grid = "clip" }, "xlmr"]', ({"encoder": "mfcc", "grid": "clip"}, {"encoder": "xlmr"})),
        ('{ encoder = "mfcc", settings.denoise = "no" }', ({"encoder": "mfcc", "settings.denoise": "no"},)),
    ],
)
def test_entries_are_named_in_several_ways(write, text, expected):
    """One entry, several side by side, and fields that say which; all become one form."""
    write("mine", f'model = "concat"\ncorpora = ["demo"]\n[encoders]\naudio = {text}\n')
    assert recipe.load("mine").encoders == {"audio": expected}


def test_another_encoder_replaces_all_that_was_said_of_the_first(write):
    """Fields that chose an entry of one encoder say nothing of another's; the rest of the recipe stays."""
    given = 'audio = { encoder = "mfcc", grid = "clip" }\ntext = "minilm"'
    write("mine", f'model = "concat"\ncorpora = ["demo"]\n[encoders]\n{given}')
    loaded = recipe.load("mine", encoders={"audio": "egemaps"})
    assert loaded.encoders == {"audio": ({"encoder": "egemaps"},), "text": ({"encoder": "minilm"},)}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.lrr=3", r"train\.lrr: unknown key 'lrr'. Did you mean 'lr'"),
        ("train.lr=fast", r"train\.lr: expected float, got 'fast'"),
        ("train.epochs=true", r"train\.epochs: expected int, got True"),
        ("train.epochs=0", r"train\.epochs: expected at least 1, got 0"),
        ("train.accumulate=0", r"train\.accumulate: expected at least 1, got 0"),
        ("train.batch=0", r"train\.batch: expected at least 1, got 0"),
        ("train.patience=0", r"train\.patience: expected at least 1, got 0"),
        ("train.schedule=cosin", r"train\.schedule: unknown value 'cosin'. Did you mean 'cosine'"),
        ("train.modality_drop.adio=0.1", r"train\.modality_drop: unknown modality 'adio'. Did you mean 'audio'"),
        ("train.modality_drop={audio=0.7, video=0.6}", r"train\.modality_drop: expected shares of 1 in all"),
        ("train.task_weights.emotion=much", r"train\.task_weights\.emotion: expected float, got 'much'"),
        ("seeds=-1", r"seeds: expected at least 1"),
        ("folds=1", r"folds: expected at least 2, got 1"),
        ("train.focus=-1", r"train.focus: expected at least 0, got -1"),
        ("only_folds=5", r"only_folds: expected numbers from 0 to 4, got 5"),
        ("tasks=emotoin", r"unknown task 'emotoin'. Did you mean 'emotion'"),
        ("tasks=[]", r"tasks: expected at least 1, got 0"),
        ("corpora=[]", r"corpora: expected at least 1, got 0"),
        ("modalities=vidoe", r"unknown modality 'vidoe'. Did you mean 'video'"),
        ("test_without=vidoe", r"test_without: unknown modality 'vidoe'. Did you mean 'video'"),
        ("data.windows=most", r"data\.windows: unknown value 'most'"),
        ("data=3", r"data: expected Data, got 3"),
        ("protocol=leaky", r"unknown value 'leaky'. .*official"),
        ("group_by=actor", r"group_by: unknown value 'actor'"),
        ("config.widht=3", r"config\.widht: unknown key 'widht'. Did you mean 'width'"),
        ("start_from=audio", r"start_from: unknown stage 'audio'"),
        ("score_only=true", r"score_only: expected weights to score, got none; say FROM=file EVAL=1"),
        ("stages.audio.train.lr=1", r"SET: unknown stage 'audio'"),
        ("train.lr", r"SET: expected key=value"),
        ("train.lr.x=3", r"SET: 'train\.lr\.x=3' goes below 0.0003, which has no keys"),
        ("encoders.other.grid=clip", r"encoders\.other: expected the name of an encoder"),
        ("encoders=mfcc", r"encoders: expected modality = encoder, got 'mfcc'"),
        ("=3", r"SET: expected key=value"),
    ],
)
def test_a_wrong_setting_names_its_key(setting, message):
    """The message says which key, what was expected, and the nearest name."""
    with pytest.raises(RecipeError, match=message):
        recipe.load("concat", [setting])


def test_no_seeds_are_refused_and_not_replaced():
    """Zero seeds is a mistake, not the recipe's own number."""
    with pytest.raises(RecipeError, match="seeds: expected at least 1, got 0"):
        recipe.load("concat", seeds=0)


def test_an_unknown_model_names_the_nearest():
    """A typo is answered with the valid names."""
    with pytest.raises(RecipeError, match=r"unknown model or recipe 'lesfa'\. Did you mean 'lefsa'"):
        recipe.load("lesfa")


def test_a_recipe_in_readable_form_is_all_of_it():
    """What is written beside a run names every dial, in types that JSON has."""
    told = recipe.load("concat", ["train.lr=0.5"]).to_json()
    assert told["train"]["lr"] == 0.5
    assert told.keys() == {entry.name for entry in dataclasses.fields(recipe.Recipe)}


# Stages.

STAGED = """
model = "concat"
corpora = ["demo"]
start_from = ["second"]
ablate = true
[encoders]
audio = "mfcc"
text = "minilm"
[train]
lr = 0.5
epochs = 9
[[stage]]
name = "first"
modalities = ["audio"]
train.lr = 0.25
[[stage]]
name = "second"
start_from = ["first"]
config.width = 7
"""


def test_stages_are_whole_recipes(write):
    """A stage is the recipe with its own changes; it knows the stages before it and begins with what it names."""
    write("staged", STAGED)
    loaded = recipe.load("staged", seeds=4)
    first, second = loaded.stages
    assert [one.name for one in (loaded, first, second)] == ["staged", "first", "second"]
    assert [one.train.lr for one in (loaded, first, second)] == [0.5, 0.25, 0.5]
    assert [one.train.epochs for one in (loaded, first, second)] == [9, 9, 9]
    assert [list(one.used) for one in (loaded, first, second)] == [["audio", "text"], ["audio"], ["audio", "text"]]
    assert [one.start_from for one in (loaded, first, second)] == [("second",), (), ("first",)]
    assert [len(one.stages) for one in (loaded, first, second)] == [2, 0, 1]
    assert [one.seeds for one in (loaded, first, second)] == [4, 4, 4]
    assert (recipe.model_config(second).width, recipe.model_config(first).width) == (7, 128)
    assert loaded.stage("first") is first


def test_settings_reach_stages(write):
    """What is set of the recipe holds in all stages that say nothing else; a stage is named, or all are."""
    write("staged", STAGED)
    for settings, expected in (
        (["train.lr=2"], [2, 0.25, 2]),
        (["stages.first.train.lr=2"], [0.5, 2, 0.5]),
        (["stages.*.train.lr=2"], [0.5, 2, 2]),
        (["stages.second.encoders.audio={encoder='mfcc', grid='clip'}"], [0.5, 0.25, 0.5]),
    ):
        loaded = recipe.load("staged", settings)
        assert [one.train.lr for one in (loaded, *loaded.stages)] == expected
    assert loaded.stage("second").encoders["audio"] == ({"encoder": "mfcc", "grid": "clip"},)
    assert loaded.encoders["audio"] == ({"encoder": "mfcc"},)


def test_a_mistake_in_a_stage_names_the_stage(write):
    """The message begins with it; an unknown stage is answered with those there are."""
    write("staged", STAGED)
    with pytest.raises(RecipeError, match=r"^stage second: train\.lrr: unknown key 'lrr'"):
        recipe.load("staged", ["stages.second.train.lrr=3"])
    with pytest.raises(RecipeError, match=r"SET: unknown stage 'fist'. Did you mean 'first'"):
        recipe.load("staged", ["stages.fist.train.lr=3"])
    write("staged", STAGED.replace('"first"]', '"frist"]'))
    with pytest.raises(RecipeError, match=r"^stage second: start_from: unknown stage 'frist'. Did you mean 'first'"):
        recipe.load("staged")
    write("staged", STAGED.replace('name = "first"\n', ""))
    with pytest.raises(RecipeError, match="stage: expected a name, got nothing"):
        recipe.load("staged")


# Tables.

TABLED = """
title = "A paper's table"
model = "concat"
corpora = ["meld"]
columns = ["meld/emotion/mf1", "meld/sentiment/mf1"]
[encoders]
audio = { encoder = "wav2vec2_msp", grid = "clip" }
text = ["jina_v3", "xlmr"]
[on.demo]
train.batch = 4
[on.demo.stand_ins]
wav2vec2_msp = "egemaps"
xlmr = "minilm"
[[row]]
name = "01-all"
paper = [0.5, 0.25]
[[row]]
name = "02-text"
modalities = ["text"]
train.lr = 0.5
[[row]]
name = "10-staged"
stage = [{ name = "before", encoders = { audio = "xlmr" } }]
"""


def test_rows_are_recipes_of_one_table(write):
    """Each row is the recipe with its own changes; the paper's numbers stand in the columns."""
    write("paper", TABLED)
    table = recipe.table("paper", ["train.epochs=3"])
    assert table.title == "A paper's table"
    assert [row.name for row in table.rows] == ["paper-01-all", "paper-02-text", "paper-10-staged"]
    assert [row.train.lr for row in table.rows] == [1e-5, 0.5, 1e-5]
    assert {row.train.epochs for row in table.rows} == {3}
    assert table.paper["paper-01-all"] == {"meld/emotion/mf1": 0.5, "meld/sentiment/mf1": 0.25}
    assert table.paper["paper-02-text"] == {}
    assert not table.notes
    with pytest.raises(RecipeError, match="paper is a table of 3 rows: paper-01-all, "):
        recipe.load("paper")


def test_stand_ins_take_the_place_of_encoders_where_a_corpus_has_others(write):
    """On another corpus encoders and dials are other ones, in stages too, and notes say which."""
    write("paper", TABLED)
    table = recipe.table("paper", corpora=["demo"])
    assert {row.corpora for row in table.rows} == {("demo",)}
    for row in table.rows:
        assert row.encoders == {
            "audio": ({"encoder": "egemaps"},),
            "text": ({"encoder": "jina_v3"}, {"encoder": "minilm"}),
        }
        assert row.train.batch == 4
    assert table.rows[2].stage("before").encoders["audio"] == ({"encoder": "minilm"},)
    assert "On demo, egemaps stands in for wav2vec2_msp." in table.notes
    assert "On demo, minilm stands in for xlmr." in table.notes
    assert any("not the paper's" in note and '"batch": 4' in note for note in table.notes)
    asked = recipe.table("paper", corpora=["demo"], encoders={"audio": "mfcc"}).rows[0]
    assert asked.encoders["audio"] == ({"encoder": "mfcc"},)


def test_rows_are_picked_by_their_numbers(write):
    """A number, a name or the whole name is enough; an unknown one is answered with those there are."""
    write("paper", TABLED)
    table = recipe.table("paper")
    for names, expected in (
        (["1"], ["paper-01-all"]),
        (["10", "2"], ["paper-02-text", "paper-10-staged"]),
        (["01-all", "paper-02-text"], ["paper-01-all", "paper-02-text"]),
    ):
        assert [row.name for row in table.only(names).rows] == expected
    for wrong in ("3", "", "0"):
        with pytest.raises(RecipeError, match=rf"ROWS: unknown row '{wrong}'"):
            table.only([wrong])


def test_a_paper_with_too_few_numbers_is_refused(write):
    """Numbers that do not fill the columns would stand in wrong ones."""
    write("paper", TABLED.replace("[0.5, 0.25]", "[0.5]"))
    with pytest.raises(ValueError, match="shorter"):
        recipe.table("paper")


def test_key_fields_may_be_put_below_a_plain_encoder(tmp_path, monkeypatch):
    """A row adds a grid to an encoder that the recipe names alone; two encoders side by side have no keys."""
    with pytest.raises(RecipeError, match=r"goes below 'mfcc\+egemaps', which has no keys"):
        recipe.load("concat", ['encoders.audio="mfcc+egemaps"', "encoders.audio.grid=clip"])
    monkeypatch.setattr(recipe, "FOLDER", tmp_path)
    text = 'model = "concat"\ncorpora = ["demo"]\nencoders.audio = "mfcc"\n[[row]]\nname = "1"\n'
    (tmp_path / "mine.toml").write_text(text + 'encoders.audio.grid = "clip"\n', encoding="utf-8")
    assert recipe.load("mine").used == {"audio": ({"encoder": "mfcc", "grid": "clip"},)}


def test_strategies_are_named_or_set():
    """Names joined with commas turn strategies on as they are; a table sets their dials; a slip is answered."""
    named = recipe.load("concat", ["strategies=cggm,curriculum"])
    assert named.strategies == {"cggm": {}, "curriculum": {}}
    assert named.strategies == recipe.load("concat", ["strategies.cggm={}", "strategies.curriculum={}"]).strategies
    assert recipe.strategy_configs(recipe.load("concat", ["strategies.cggm.rho=1.5"]))["cggm"].rho == 1.5
    for slip, word in (
        ("strategies=cgm", "Did you mean 'cggm'"),
        ("strategies.cggm.rh=1", "strategies.cggm.rh: .*rho"),
    ):
        with pytest.raises(ValueError, match=word):
            recipe.load("concat", [slip])
