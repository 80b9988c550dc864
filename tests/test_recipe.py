"""Recipes are typed: a wrong name or type is refused before anything is opened."""

import pytest

from extract.listing import LEFSA
from extract.wanted import wants
from fuse import models, recipe
from fuse.recipe import RecipeError


def test_every_recipe_loads():
    """Each file in the folder is a recipe of a model that exists."""
    for name in set(recipe.names()) - {recipe.DEFAULT}:
        assert recipe.load(name).model in models.names()


def test_the_papers_recipe_reads_what_is_extracted_by_default():
    """What `make features` extracts for a paper's corpus is what `lefsa_paper` asks the cache for."""
    wanted = wants("meld", LEFSA, weights="random:0")
    for where in recipe.load("lefsa_paper").used.values():
        (want,) = (one for one in wanted if one.encoder == where["encoder"])
        fields = want.key.to_json() | {f"settings.{name}": value for name, value in want.key.settings.items()}
        assert {name: fields[name] for name in where} == where


def test_a_model_without_a_recipe_takes_the_default():
    """`make fuse MODEL=concat` needs no file of its own."""
    loaded = recipe.load("concat")
    assert (loaded.name, loaded.model, loaded.corpus) == ("concat", "concat", "demo")
    assert loaded.used == {
        "audio": {"encoder": "egemaps"},
        "video": {"encoder": "face_hog"},
        "text": {"encoder": "minilm"},
    }


def test_settings_change_keys():
    """SET reaches every level, with TOML's types, and words without quotes."""
    loaded = recipe.load(
        "concat",
        ["train.lr=3", "modalities=text,audio", "data.windows=all", "encoders.audio.grid=clip", "config.width=7"],
        corpus="meld",
        seeds=5,
    )
    assert loaded.train.lr == 3.0
    assert isinstance(loaded.train.lr, float)
    assert loaded.modalities == ("text", "audio")
    assert list(loaded.used) == ["text", "audio"]
    assert loaded.used["audio"] == {"encoder": "egemaps", "grid": "clip"}
    assert (loaded.data.windows, loaded.corpus, loaded.seeds) == ("all", "meld", 5)
    assert recipe.model_config(loaded).width == 7


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.lrr=3", r"train\.lrr: unknown key 'lrr'. Did you mean 'lr'"),
        ("train.lr=fast", r"train\.lr: expected float, got 'fast'"),
        ("train.epochs=true", r"train\.epochs: expected int, got True"),
        ("train.epochs=0", r"train\.epochs: expected at least 1, got 0"),
        ("seeds=-1", r"seeds: expected at least 1"),
        ("tasks=emotoin", r"unknown task 'emotoin'. Did you mean 'emotion'"),
        ("modalities=vidoe", r"unknown modality 'vidoe'. Did you mean 'video'"),
        ("data.windows=most", r"data\.windows: unknown value 'most'"),
        ("data=3", r"data: expected Data, got 3"),
        ("protocol=random", r"unknown value 'random'. .*official"),
        ("config.widht=3", r"config\.widht: unknown key 'widht'. Did you mean 'width'"),
        ("train.lr", r"SET: expected key=value"),
        ("train.lr.x=3", r"SET: 'train\.lr\.x=3' goes below 'lr'"),
        ("train.patience=0", r"train\.patience: expected at least 1, got 0"),
        ("encoders.other.grid=clip", r"encoders\.other: expected the name of an encoder"),
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
