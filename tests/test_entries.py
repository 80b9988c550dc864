"""Which entry is opened is never a guess, and none outside the cache ever is."""

import dataclasses
import json
import tomllib

import pytest

from features import CacheError, Key, Reader, entries, find, folder_of, root
from features.disk import beside
from features.entries import create
from features.roots import corpora

MFCC = Key("mfcc", 1, "windows(3,2,2)", settings={"n_mels": 64, "centre": True})
OTHER_GRID = dataclasses.replace(MFCC, grid="clip")
OTHER_MELS = dataclasses.replace(MFCC, settings={"n_mels": 80, "centre": True})
MORE_SETTINGS = dataclasses.replace(MFCC, settings={"n_mels": 64, "centre": True, "n_fft": 512})


def said(error):
    """Return what the line to add holds, read as a recipe would read it."""
    line = str(error.value).splitlines()[-1].partition("MODALITY = ")[2]
    return tomllib.loads(f"audio = {line}")["audio"]


def test_the_only_entry(fill):
    """An encoder with one entry needs no more than its name."""
    part = fill(MFCC, a="1")
    assert find("toys", "mfcc") == part.parent == folder_of("toys", MFCC)
    assert entries("toys") == {part.parent: MFCC}


def test_roots_move(fill, roots):
    """FEATURES_ROOT moves the cache, and its corpora are those with an entry."""
    fill(MFCC, a="1", corpus="b")
    fill(MFCC, a="1", corpus="a")
    (root() / ".hidden" / MFCC.name).mkdir(parents=True)
    (root() / ".hidden" / MFCC.name / "spec.json").write_text("{}")
    assert root() == roots / "features"
    assert corpora() == ["a", "b"]


def test_no_entry_says_what_there_is(fill):
    """An encoder that was never run is answered with those that were, and the command that makes it."""
    fill(MFCC, a="1")
    fill(dataclasses.replace(MFCC, encoder="minilm"), a="1")
    with pytest.raises(
        CacheError, match=r"no entry of 'hubert' \(it has: mfcc, minilm\).*make features .* ENCODERS=hubert"
    ):
        find("toys", "hubert")
    with pytest.raises(CacheError, match="it has: nothing"):
        find("empty", "mfcc")


@pytest.mark.parametrize(
    ("keys", "differs", "same"),
    [
        ((MFCC, OTHER_GRID), "grid", "version"),
        ((MFCC, OTHER_MELS), "settings.n_mels", "grid"),
        ((MFCC, MORE_SETTINGS), "settings.n_fft", "settings.n_mels"),
        ((MFCC, dataclasses.replace(MFCC, builds_on=("a-1", "b-2"))), "builds_on", "dtype"),
        ((MFCC, dataclasses.replace(MFCC, version=2)), "version", "grid"),
    ],
)
def test_several_entries_are_refused_with_a_way_out(fill, keys, differs, same):
    """Of several entries none is guessed: the table shows what differs, and the line it offers opens exactly one."""
    folders = [fill(key, a="1").parent for key in keys]
    with pytest.raises(CacheError, match="several entries of 'mfcc'") as error:
        find("toys", "mfcc")
    assert all(f"{folder.name}: {differs}=" in str(error.value) for folder in folders)
    assert f"{same}=" not in str(error.value)
    assert find("toys", **said(error)) in folders


def test_three_entries_two_fields(fill):
    """What was already said stays in the line that is offered, so that following it always ends at one entry."""
    for key in (MFCC, OTHER_GRID, OTHER_MELS, dataclasses.replace(OTHER_MELS, grid="clip")):
        fill(key, a="1")
    where = {"encoder": "mfcc"}
    for _ in range(2):
        with pytest.raises(CacheError, match="several entries") as error:
            find("toys", **where)
        assert where.items() < said(error).items()
        where = said(error)
    assert find("toys", **where)


@pytest.mark.parametrize(
    ("where", "key"),
    [
        ({"grid": "clip"}, OTHER_GRID),
        ({"settings.n_mels": 80}, OTHER_MELS),
        ({"settings.n_mels": "80"}, OTHER_MELS),
        ({"settings.n_fft": 512, "settings.centre": True}, MORE_SETTINGS),
        ({"settings.n_fft": "", "settings.n_mels": "64", "grid": "windows(3,2,2)", "version": "1"}, MFCC),
    ],
)
def test_fields_choose(fill, where, key):
    """Fields of spec.json choose one entry, as numbers from code and as text from a recipe."""
    for one in (MFCC, OTHER_GRID, OTHER_MELS, MORE_SETTINGS):
        fill(one, a="1")
    assert find("toys", "mfcc", **where) == folder_of("toys", key)


@pytest.mark.parametrize("where", [{"grid": "windows(2,2,0)"}, {"grdi": "clip"}, {"settings.n_mels": 81}])
def test_no_match_shows_what_was_asked(fill, where):
    """A field that no entry has is answered with what was asked and what there is, never with the nearest entry."""
    fill(MFCC, a="1")
    with pytest.raises(CacheError, match="no entry of 'mfcc' with") as error:
        find("toys", "mfcc", **where)
    assert all(f"{name}={value}" in str(error.value) for name, value in where.items())
    assert "grid=windows(3,2,2)" in str(error.value)
    assert "Make it: make features CORPUS=toys ENCODERS=" in str(error.value)
    assert find("toys", **said(error))


@pytest.mark.usefixtures("roots")
def test_the_command_asks_for_what_was_looked_for():
    """Grid, options and the authors' way stand in the command, as extraction wants them."""
    with pytest.raises(CacheError, match="no entry of 'hubert'") as error:
        find("toys", "hubert", grid="clip", variant="authors", **{"settings.denoise": "spleeter"})
    assert 'ENCODERS="hubert:clip+denoise=spleeter+as=authors"' in str(error.value)


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize("corpus", ["", ".", "..", "../meld", "a/b", "a\\b", "/etc", ".git", "__pycache__", "a\0b"])
def test_a_corpus_is_a_plain_name(corpus):
    """No name of a corpus leads out of the cache or into what is not a corpus, whoever asks."""
    for ask in (lambda: folder_of(corpus, MFCC), lambda: entries(corpus), lambda: find(corpus, "mfcc")):
        with pytest.raises(CacheError, match="expected the name of a corpus"):
            ask()


def test_a_renamed_folder_is_refused(fill):
    """A folder that is not named after its key is refused, and both names are said."""
    folder = fill(MFCC, a="1").parent
    renamed = folder.rename(folder.with_name("mfcc-00000000"))
    for ask in (lambda: find("toys", "mfcc"), lambda: entries("toys"), lambda: Reader(renamed)):
        with pytest.raises(CacheError, match=f"describes {MFCC.name}, but the folder is named mfcc-00000000"):
            ask()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda spec: json.dumps(spec | {"version": 2}), "but the folder is named"),
        (lambda spec: json.dumps(spec | {"settings": {}}), "but the folder is named"),
        (lambda spec: json.dumps(spec | {"format": 2}), "expected cache format 1, got 2"),
        (lambda spec: json.dumps(spec | {"host": "x"}), "expected the fields"),
        (lambda spec: json.dumps(spec | {"builds_on": 7}), "expected the key"),
        (lambda spec: json.dumps(spec | {"settings": 7}), "expected the key"),
        (lambda spec: json.dumps(spec)[:-9], "expected the key"),
        (lambda _: "[" * 100_000, "expected the key"),
        (lambda _: "[]", "expected the key"),
        (lambda _: "\udcff", "expected the key"),
        (lambda _: "", "expected the key"),
    ],
)
def test_an_edited_spec_is_refused(fill, edit, message):
    """A spec.json that is not the one the folder was made for is refused, and named."""
    spec = fill(MFCC, a="1").parent / "spec.json"
    text = edit(json.loads(spec.read_text()))
    spec.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CacheError, match=message) as error:
        find("toys", "mfcc")
    assert str(spec) in str(error.value)


def test_one_broken_entry_does_not_hide_the_others(fill):
    """An entry of another encoder, of a later format or damaged, does not stop the one that is asked for."""
    folder = fill(MFCC, a="1").parent
    (fill(dataclasses.replace(MFCC, encoder="later"), a="1").parent / "spec.json").write_text('{"format": 2}')
    assert find("toys", "mfcc") == folder


def test_a_folder_without_spec_is_no_entry(fill):
    """What a kill left before the first part is not an entry, and the next run makes it one."""
    folder = fill(MFCC, a="1").parent
    (folder / "spec.json").unlink()
    assert entries("toys") == {}
    create(folder, MFCC)
    assert entries("toys") == {folder: MFCC}


def test_a_folder_of_another_key_is_not_written_to(fill):
    """Two keys never share a folder."""
    folder = fill(MFCC, a="1").parent
    with pytest.raises(CacheError, match="describes another entry"):
        create(folder, OTHER_GRID)


def test_beside_leaves_the_old_file_when_writing_fails(tmp_path):
    """A file that was not written to its end never replaces the one that is there, and leaves nothing beside it."""
    target = tmp_path / "file"
    target.write_text("old")

    def stopped():
        with beside(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]
