"""Who is trained on, who chooses the epoch, who is scored."""

import dataclasses
from collections import Counter

import fuse_kit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuse import protocol
from fuse.protocol import ProtocolError
from fuse.recipe import RecipeError
from manifests import Clip, labels

NOT_DEMO = fuse_kit.clips(corpus="other")


def asked(*more):
    """Return the small recipe with another protocol."""
    return fuse_kit.load_recipe("concat", "folds=5", *more)


def divided(clips, *more):
    """Return the folds of some clips."""
    return protocol.splits(clips, asked(*more))


def changed(clips, **columns):
    """Return the clips with other columns, each said by a function of number and clip."""
    return tuple(
        dataclasses.replace(clip, **{name: value(i, clip) for name, value in columns.items()})
        for i, clip in enumerate(clips)
    )


def assert_folds_are_sound(clips, folds):
    """Every clip is tested once, and in each fold it is in one part alone."""
    assert sorted(i for fold in folds for i in fold.test) == list(range(len(clips)))
    assert sorted(i for fold in folds for i in fold.dev) == list(range(len(clips)))
    for fold in folds:
        assert sorted((*fold.train, *fold.dev, *fold.test)) == list(range(len(clips)))


# The corpora's own splits.


def test_official_keeps_every_clip():
    """The parts are the manifest's own, whole and apart."""
    clips = fuse_kit.clips()
    (split,) = divided(clips)
    assert split == protocol.official(clips)
    assert split.name == ""
    assert [len(part) for part in split.parts().values()] == [24, 8, 8]
    assert sorted(split.train + split.dev + split.test) == list(range(40))


def test_official_over_two_corpora_keeps_the_splits_of_each():
    """Train, dev and test of both stand together; a corpus that has no dev of its own leaves that to the other."""
    clips = (*fuse_kit.clips(), *NOT_DEMO[:24], *NOT_DEMO[32:])
    (split,) = divided(clips)
    assert [len(part) for part in split.parts().values()] == [48, 8, 16]
    assert all(clips[i].split == name for name, part in split.parts().items() for i in part)
    assert {clips[i].corpus for i in split.test} == {"demo", "other"}


def test_a_missing_part_is_refused():
    """Without a dev part no epoch could be chosen, and without a test part there would be nothing to say."""
    with pytest.raises(ProtocolError, match="no clip in split 'dev'; the manifest has: test, train"):
        divided(fuse_kit.clips(dev=0))
    with pytest.raises(ProtocolError, match="no clip in split 'test'; the manifest has: dev, train"):
        divided(fuse_kit.clips(test=0))


# Folds that keep speakers or conversations together.


@pytest.mark.parametrize(("by", "column"), [("speaker", "speaker_id"), ("dialogue", "dialogue_id")])
def test_groups_are_never_divided(by, column):
    """Whoever is tested is neither trained on nor chooses, and every clip is tested once."""
    clips = fuse_kit.clips()
    folds = divided(clips, "protocol=group", f"group_by={by}")
    assert_folds_are_sound(clips, folds)
    assert [fold.name for fold in folds] == [f"fold {i} of 5" for i in range(1, 6)]
    for fold in folds:
        groups = [{getattr(clips[i], column) for i in part} for part in fold.parts().values()]
        assert not groups[0] & groups[1]
        assert not groups[0] & groups[2]
        assert not groups[1] & groups[2]


SMALL = asked("protocol=group", "tasks=emotion", "unseen_classes=true")


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from(fuse_kit.EMOTIONS), st.booleans()), min_size=12, max_size=60),
    st.integers(2, 6),
)
def test_groups_of_any_sizes_are_never_divided(drawn, folds):
    """However clips, classes and speakers fall, a division is sound or refused with a word."""
    clips = [
        Clip(f"c{i}", ("demo", "other")[other], "all", speaker_id=f"s{who}", labels={"emotion": labels.emotion(word)})
        for i, (who, word, other) in enumerate(drawn)
    ]
    try:
        found = protocol.splits(clips, dataclasses.replace(SMALL, folds=folds))
    except ProtocolError:
        return
    assert_folds_are_sound(clips, found)
    speakers = [{(clips[i].corpus, clips[i].speaker_id) for i in fold.test} for fold in found]
    assert sum(map(len, speakers)) == len(set().union(*speakers))


def test_speakers_of_two_corpora_are_different_people():
    """The first actor of one corpus may be trained on where that of another is tested."""
    clips = changed(fuse_kit.clips() + NOT_DEMO, speaker_id=lambda i, clip: f"actor {i // 8 % 5}")
    folds = divided(clips, "protocol=group")
    assert any({clips[i].speaker_id for i in fold.test} & {clips[i].speaker_id for i in fold.train} for fold in folds)
    for fold in folds:
        tested = {(clips[i].corpus, clips[i].speaker_id) for i in fold.test}
        assert not tested & {(clips[i].corpus, clips[i].speaker_id) for i in (*fold.train, *fold.dev)}


def test_groups_need_to_be_known_and_to_be_enough():
    """A clip without a speaker, and fewer speakers than folds, are refused with what to say instead."""
    clips = fuse_kit.clips()
    with pytest.raises(ProtocolError, match="protocol group: dev_3 has no speaker; say SET=group_by=… or official"):
        divided(changed(clips, speaker_id=lambda i, clip: None if clip.id == "dev_3" else "a"), "protocol=group")
    with pytest.raises(ProtocolError, match=r"a speaker for each of 5 folds, got 3; say FOLDS=3"):
        divided(changed(clips, speaker_id=lambda i, clip: f"s{i % 3}"), "protocol=group")


# Sessions, one after the other.


def test_each_session_is_left_out_once():
    """Five sessions make five folds: one is tested, the next one chooses, the others teach."""
    clips = changed(fuse_kit.clips(), split=lambda i, clip: f"session{1 + i // 8}")
    folds = divided(clips, "protocol=sessions")
    assert_folds_are_sound(clips, folds)
    assert [fold.name for fold in folds] == [f"session{i}" for i in range(1, 6)]
    for number, fold in enumerate(folds):
        assert {clips[i].split for i in fold.test} == {f"session{1 + number}"}
        assert {clips[i].split for i in fold.dev} == {f"session{1 + (number + 1) % 5}"}
        assert len(fold.train) == 24


def test_splits_that_are_no_sessions_are_refused():
    """Two are too few, and train, dev and test are something else."""
    two = changed(fuse_kit.clips(), split=lambda i, clip: f"session{i % 2}")
    for clips, told in ((two, "session0, session1"), (fuse_kit.clips(), "dev, test, train")):
        with pytest.raises(ProtocolError, match=f"expected at least three sessions as splits, got {told}"):
            divided(clips, "protocol=sessions")


# Folds at random, which leak.


def test_random_folds_are_stratified_and_say_that_they_leak():
    """Every fold has the classes in the corpus' shares; how many test speakers were heard in training is counted."""
    clips = fuse_kit.clips()
    folds = divided(clips, "protocol=random")
    assert_folds_are_sound(clips, folds)
    for fold in folds:
        words = Counter(clips[i].labels["emotion"].index(1) for i in fold.test)
        assert set(words.values()) == {2}
    (note,) = protocol.leaks(clips, folds, asked("protocol=random"))
    tested = [{clips[i].speaker_id for i in fold.test} for fold in folds]
    known = [said & {clips[i].speaker_id for i in fold.train} for said, fold in zip(tested, folds, strict=True)]
    counts = sum(map(len, known)), sum(map(len, tested))
    assert counts[0] > 0
    assert note.startswith("LEAK: ")
    assert f"{counts[0]} of {counts[1]} test speakers also speak in training" in note


def test_the_division_of_paper_001():
    """A fifth of the clips is scored, a tenth of the others chooses the epoch, in shares; the note names the paper."""
    clips = tuple(dataclasses.replace(clip, id=f"{clip.id}{n}") for n in range(5) for clip in fuse_kit.clips())
    wanted = asked("protocol=paper001")
    (split,) = protocol.splits(clips, wanted)
    assert sorted((*split.train, *split.dev, *split.test)) == list(range(200))
    assert [len(part) for part in split.parts().values()] == [144, 16, 40]
    words = Counter(clips[i].labels["emotion"].index(1) for i in split.test)
    assert words == Counter(clip.labels["emotion"].index(1) for clip in fuse_kit.clips())
    (note,) = protocol.leaks(clips, [split], wanted)
    assert note.startswith("LEAK: a fifth of the clips is drawn at random for the test, as paper 001 does: ")
    assert "test dialogues are also trained on" in note


def test_the_folds_of_paper_002():
    """Its five folds are five at random, by their own name; another number of them would be another paper's."""
    clips = fuse_kit.clips()
    assert divided(clips, "protocol=paper002") == divided(clips, "protocol=random")
    wanted = asked("protocol=paper002")
    (note,) = protocol.leaks(clips, protocol.splits(clips, wanted), wanted)
    assert "as paper 002 does" in note
    with pytest.raises(RecipeError, match="paper002 has 5, got 3; protocol random takes any number"):
        asked("protocol=paper002", "folds=3")


def test_a_corpus_without_official_splits_is_refused_beside_one_that_has_them():
    """Clips that no part would hold do not vanish without a word."""
    other = changed(NOT_DEMO, split=lambda i, clip: f"day{i % 3}")
    with pytest.raises(ProtocolError, match=r"other has no official split.*make manifest CORPUS=other SPLITS="):
        divided((*fuse_kit.clips(), *other))


def test_who_does_not_know_speakers_says_so():
    """Without names nobody can count, and the note does not pretend to."""
    clips = changed(fuse_kit.clips(), speaker_id=lambda i, clip: None)
    wanted = asked("protocol=random")
    (note,) = protocol.leaks(clips, protocol.splits(clips, wanted), wanted)
    assert "LEAK" in note
    assert "speakers are not known" in note


def test_other_protocols_do_not_leak():
    """Nothing is said where nobody is heard twice."""
    clips = fuse_kit.clips()
    for name in ("official", "group"):
        wanted = asked(f"protocol={name}")
        assert not list(protocol.leaks(clips, protocol.splits(clips, wanted), wanted))


@pytest.mark.parametrize("name", ["group", "random"])
def test_the_same_clips_are_always_divided_the_same_way(name):
    """Folds are no matter of luck: another seed of training sees the same ones."""
    clips = fuse_kit.clips()
    assert divided(clips, f"protocol={name}") == divided(clips, f"protocol={name}", "seeds=7")


@pytest.mark.parametrize("name", ["group", "random"])
def test_a_class_of_few_clips_is_no_stumbling_block(name):
    """Where a class has fewer clips than there are folds, some folds do without."""
    rare = labels.emotion("fear")
    clips = changed(
        fuse_kit.clips(), labels=lambda i, clip: {**clip.labels, "emotion": rare if i < 2 else clip.labels["emotion"]}
    )
    assert_folds_are_sound(clips, divided(clips, f"protocol={name}", "unseen_classes=true"))


# Some folds alone.


def test_only_folds_picks_by_number():
    """The first and the last of five are those of all five."""
    clips = fuse_kit.clips()
    every = divided(clips, "protocol=random")
    assert divided(clips, "protocol=random", "only_folds=0,4") == (every[0], every[4])
    with pytest.raises(ProtocolError, match=r"only_folds: expected numbers from 0 to 0, got 2"):
        divided(clips, "only_folds=2")


# What cannot be learnt or scored.


def test_soft_labels_of_one_class_teach_several():
    """Raters who differ a little teach every class that somebody saw."""
    rest = (0.0,) * 5
    soft = [(0.9, 0.1, *rest), (0.8, 0.2, *rest)]
    clips = changed(fuse_kit.clips(), labels=lambda i, clip: {**clip.labels, "emotion": soft[i % 2]})
    assert len(divided(clips)) == 1


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"sentiment": (0.0, 1.0, 0.0)}, "no label"),
        ({"emotion": (1.0,) + (0.0,) * 6, "sentiment": (0.0, 1.0, 0.0)}, "one class only"),
    ],
)
def test_what_cannot_be_learnt_is_refused(known, told):
    """One class, or none, is a clear word and no stack trace later."""
    clips = changed(fuse_kit.clips(), labels=lambda i, clip: known)
    with pytest.raises(ProtocolError, match=f"task 'emotion': {told} among 24 training clips; nothing could be learnt"):
        divided(clips)


def test_fewer_clips_than_folds_are_refused():
    """Nothing is divided into more parts than it has."""
    with pytest.raises(ProtocolError, match="a clip for each of 5 folds, got 4"):
        divided(fuse_kit.clips()[:4], "protocol=random")


@pytest.mark.parametrize("part", ["train", "dev", "test"])
def test_a_part_without_any_label_is_refused(part):
    """Nothing could be trained, chosen or scored there."""
    clips = changed(fuse_kit.clips(), labels=lambda i, clip: {} if clip.split == part else clip.labels)
    with pytest.raises(ProtocolError, match=f"no clip in {part} has a label of emotion, sentiment"):
        divided(clips)


@pytest.mark.parametrize("part", ["dev", "test"])
def test_classes_that_training_never_shows_are_refused_unless_allowed(part):
    """They could only be wrong; whoever wants to count that says so."""
    clips = changed(
        fuse_kit.clips(),
        labels=lambda i, clip: (
            {**clip.labels, "emotion": labels.emotion("fear")} if clip.id == f"{part}_1" else clip.labels
        ),
    )
    with pytest.raises(ProtocolError, match=r"task 'emotion': no training clip of fear, .*SET=unseen_classes=true"):
        divided(clips)
    assert len(divided(clips, "unseen_classes=true")) == 1
    with pytest.raises(ProtocolError, match=r"task 'emotions': no training clip of fear"):
        divided(clips, "tasks=emotions")


def test_folds_say_which_of_them_cannot_be_used():
    """The message begins with the fold's name."""
    rare = labels.emotion("fear")
    clips = changed(
        fuse_kit.clips(), labels=lambda i, clip: {**clip.labels, "emotion": rare if i < 1 else clip.labels["emotion"]}
    )
    with pytest.raises(ProtocolError, match=r"^fold \d of 5: task 'emotion': no training clip of fear"):
        divided(clips, "protocol=random")


def test_scores_need_no_classes():
    """A score task is learnt from any numbers, and folds are made without its classes."""
    clips = fuse_kit.clips()
    for name in ("official", "group", "random"):
        assert divided(clips, "tasks=sentiment_score", f"protocol={name}")
