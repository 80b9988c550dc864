"""Licence tags: what may be shared is what was said, and nothing where nothing was."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifests import corpus_module, corpus_names
from manifests.licence import PARTS, Licence, may_share, name_of


@example("terms; may be shared: raw", ["labels"])
@given(st.text(), st.lists(st.sampled_from(PARTS), unique=True))
def test_a_tag_says_what_its_licence_says(name, shared):
    """Whatever the terms are called, their tag lets out exactly the parts that they name, and gives the name back."""
    tag = Licence(name, tuple(shared)).tag
    assert name_of(tag) == name
    assert [part for part in PARTS if may_share(tag, part)] == [part for part in PARTS if part in shared]


@pytest.mark.parametrize("tag", ["", "unknown", "GPL-3.0", "raw", "raw, labels", "may be shared: raw"])
def test_a_tag_without_a_word_shares_nothing(tag):
    """Terms that nobody read let nothing out, and are called what they say."""
    assert not any(may_share(tag, part) for part in PARTS)
    assert name_of(tag) == tag


@pytest.mark.parametrize("corpus", corpus_names())
def test_every_corpus_says_what_may_be_shared(corpus):
    """Each corpus has a name for its terms in one line, and its parts are known ones."""
    licence = corpus_module(corpus).LICENCE
    assert licence.name.strip() == licence.name != ""
    assert "\n" not in licence.tag
    assert set(licence.shared) <= set(PARTS)
    assert [part for part in PARTS if may_share(licence.tag, part)] == [
        part for part in PARTS if part in licence.shared
    ]


@pytest.mark.parametrize("corpus", ["meld", "iemocap", "ramas", "mosei", "mosi", "shemo", "urdu", "sdc"])
def test_raw_media_stay_in_the_lab(corpus):
    """Corpora whose owners do not let sound and pictures out say so."""
    assert not may_share(corpus_module(corpus).LICENCE.tag, "raw")
