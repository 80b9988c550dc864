"""Clips that are one thing under two names: what is a copy, what is only alike, and how both are counted."""

import dataclasses

import fuse_kit
import numpy as np
import pytest
import real_kit
from command_kit import called

import manifests
from features import Key, Windows, Writer, folder_of
from features.__main__ import main
from fuse import recipe
from fuse.experiment import prepare
from manifests import Manifest

pytestmark = pytest.mark.usefixtures("roots")

ENCODER = {"audio": "heard", "video": "seen", "text": "read"}
SOME = np.arange(6.0).reshape(2, 3)


def noted(made, digests, *settings, values=SOME):
    """Write clips with these digests by modality and clip, all others' their own; return what is said of twins."""
    corpora = list(dict.fromkeys(clip.corpus for clip in made))
    for corpus in corpora:
        mine = [clip for clip in made if clip.corpus == corpus]
        manifests.write(Manifest(corpus, folder_of(corpus, Key("heard", 1, "clip")), tuple(mine)))
        for modality in digests:
            key = Key(ENCODER[modality], 1, "clip")
            with Writer(folder_of(corpus, key), key, {}, "MIT") as writer:
                for clip in mine:
                    windows = Windows.join([values.astype(np.float32)], [(0.0, 1.0)], [len(values)])
                    writer.add(clip.id, digests[modality].get(clip.id, f"{corpus} {clip.id}"), windows)
    encoders = ",".join(f"{modality}='{ENCODER[modality]}'" for modality in digests)
    asked = ["tasks=emotion", f"encoders={{{encoders}}}", *settings]
    return [note for note in prepare(recipe.load("concat", asked, corpora=corpora)).notes if "test clips" in note]


def test_a_digest_of_two_parts_is_a_copy():
    """Test clips are counted by modality, whether training or dev has them too; copies within a part are nobody's."""
    audio = dict.fromkeys(("train_0", "train_1", "test_0", "test_1"), "a") | dict.fromkeys(("dev_0", "test_2"), "b")
    video = dict.fromkeys(("train_3", "dev_0"), "c") | dict.fromkeys(("test_5", "test_6"), "d")
    (note,) = noted(fuse_kit.clips(), {"audio": audio, "video": video})
    assert "of 8 test clips, training or dev has the same under another name: audio of 3; " in note
    assert "test_0 of demo is train_0 of demo" in note
    assert "video" not in note


def test_the_same_words_are_counted_and_no_leak():
    """Many say `Yeah.`, and nobody has copied anything."""
    (note,) = noted(fuse_kit.clips(), {"audio": {}, "text": dict.fromkeys(("train_0", "test_0", "test_1"), "yeah")})
    assert note.startswith("Of 8 test clips, 2 say word for word what a clip of training or dev says")


def test_what_stands_where_nothing_was_found_is_no_copy():
    """Zeros for faces that are not there are the same in many clips; so is any one number."""
    faceless = {"video": dict.fromkeys(("train_0", "test_0"), "nobody")}
    assert not noted(fuse_kit.clips(), faceless, values=np.zeros((2, 3)))
    assert not noted(fuse_kit.clips(corpus="other"), faceless, values=np.full((2, 3), 0.5))
    assert noted(fuse_kit.clips(corpus="third"), faceless)


def test_folds_are_counted_one_by_one():
    """A pair that a division tears apart leaks in both of its folds, one that it keeps together in none."""
    made = [dataclasses.replace(clip, split=f"session{1 + i % 5}") for i, clip in enumerate(fuse_kit.clips())]
    apart, together = (made[0], made[2]), (made[1], made[6])
    digests = {clip.id: name for name, pair in (("a", apart), ("b", together)) for clip in pair}
    (note,) = noted(made, {"audio": digests}, "protocol=sessions")
    assert "of 40 test clips, training or dev has the same under another name: audio of 2; " in note


def test_one_corpus_under_two_names_is_found():
    """Whoever adds a corpus to training that holds the other one's test clips is told of which corpus they are."""
    other = [dataclasses.replace(c, id=f"my_{c.id}", split="train") for c in fuse_kit.clips(corpus="other")]
    digests = dict.fromkeys(("test_3", "my_test_3"), "a")
    (note,) = noted([*fuse_kit.clips(), *other], {"audio": digests})
    assert "audio of 1; test_3 of demo is my_test_3 of other" in note


@pytest.mark.parametrize("shared", ["ravdess-au-mfcc"], indirect=True)
def test_a_published_set_has_a_take_twice(shared, capsys):
    """Two of RAVDESS' 1,440 vectors are one to the bit: folds at random tear them apart, whole actors never."""
    file = shared / "ravdess_au_mfcc.npz"
    asked = ["import", "arrays", file, "--corpus", "ravdess_au", "--set", "ids=clip", "--as", "video_au=seen"]
    assert called(main, capsys, asked)[0] == 0
    laid, _ = real_kit.lay_ravdess(shared.parent)
    named = tuple(dataclasses.replace(clip, id=f"01-{clip.id}") for clip in laid.clips)
    manifests.write(dataclasses.replace(laid, clips=named))
    settings = ["tasks=emotion8", "encoders={video='seen'}"]
    random, whole = (
        prepare(recipe.load("concat", [*settings, f"protocol={name}"], corpora=["ravdess_au"])).notes
        for name in ("random", "sessions")
    )
    twins_said = "video of 2; 01-01-03-01-02-01-07 of ravdess_au is 01-01-03-01-02-02-07 of ravdess_au"
    assert twins_said in " ".join(random)
    assert not whole
