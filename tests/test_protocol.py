"""Who is trained on, who chooses the epoch, who is scored."""

import dataclasses

import fuse_kit
import pytest

from fuse import protocol
from fuse.protocol import ProtocolError


def test_official_keeps_every_clip():
    """The parts are the manifest's own, whole and apart."""
    clips = fuse_kit.clips()
    split = protocol.official(clips)
    assert [len(part) for part in split.parts().values()] == [24, 8, 8]
    assert sorted(split.train + split.dev + split.test) == list(range(40))


def test_a_missing_part_is_refused():
    """Without a dev part no epoch could be chosen."""
    with pytest.raises(ProtocolError, match="no clip in split 'dev'; the manifest has: test, train"):
        protocol.official(fuse_kit.clips(dev=0))


def test_soft_labels_of_one_class_are_refused():
    """Raters who differ a little, and always see the same class first, teach nothing either."""
    rest = (0.0,) * 5
    soft = [(0.9, 0.1, *rest), (0.8, 0.2, *rest)]
    clips = [dataclasses.replace(clip, labels={"emotion": soft[i % 2]}) for i, clip in enumerate(fuse_kit.clips())]
    with pytest.raises(ProtocolError, match="one class only"):
        protocol.check_classes("emotion", clips, protocol.official(clips))


@pytest.mark.parametrize(("labels", "word"), [({}, "no label"), ({"emotion": (1.0,) + (0.0,) * 6}, "one class only")])
def test_what_cannot_be_learnt_is_refused(labels, word):
    """One class, or none, is a clear word and no stack trace later."""
    clips = [dataclasses.replace(clip, labels=labels) for clip in fuse_kit.clips()]
    with pytest.raises(ProtocolError, match=f"task 'emotion': {word} among 24"):
        protocol.check_classes("emotion", clips, protocol.official(clips))
