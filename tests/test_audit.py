"""The leakage audit: against comparing every clip with every other, on MELD's own tables, and in what it says."""

import dataclasses
import itertools
import math
import random
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import Audio, Clip, Manifest, Video, scan
from manifests.audit import BETWEEN, WITHIN, audit, lines, words
from manifests.labels import emotion

REAL = Path(__file__).parents[2] / "shared" / "data" / "meld"
TEXTS = (
    None,
    "!",
    "Yeah.",
    "yeah",
    "Oh my God!",
    "One, two, three, four.",
    "one two THREE four",
    "I don't know you at all",
    "I don\N{RIGHT SINGLE QUOTATION MARK}t know: you, at all!",
    "I don't know you at all today",
    "At all, I don't know you",
    "no no no no no",
    "no no no no no no",
    "no no no no no no no no",
)


def clip(name, split, corpus="toy", **values):
    """Make a clip of which only what matters is said; a cut is its source, start and end."""
    if cut := values.pop("cut", None):
        values["native"] = dict(zip(("cut_from", "cut_start_s", "cut_end_s"), cut, strict=True))
    return Clip(id=name, corpus=corpus, split=split, **values)


def manifest(*clips, root="/toy", reader="toy"):
    """Gather clips of one corpus."""
    return Manifest(clips[0].corpus, Path(root), clips, reader)


def counts(findings):
    """Return what is shared by kind and parts, without what is not; what is twice in one part stands under that."""
    return {
        (finding.kind.name, *finding.parts): (finding.shared, finding.clips) for finding in findings if finding.shared
    }


PLACES = st.tuples(st.sampled_from([0, 1, 1.5, 3]), st.sampled_from([0, 0.03, 0.5, 2.5]))
CUTS = st.builds(lambda source, place: (source, place[0], place[0] + place[1]), st.sampled_from("ab"), PLACES)


@st.composite
def streams(draw, kind):
    """Draw a file, all of it or some seconds; a file of the folder `inner` has two names, by the two roots."""
    start_s, length_s = draw(PLACES)
    return kind(draw(st.sampled_from(["inner/x.mp4", "x.mp4"])), start_s, start_s + length_s if length_s else None)


@st.composite
def corpora(draw, parts):
    """Draw two small corpora in which everything occurs more than once."""
    found = []
    for corpus, root in (("one", "/data"), ("two", "/data/inner")):
        clips = tuple(
            clip(
                f"c{number}",
                draw(st.sampled_from(parts)),
                corpus,
                speaker_id=draw(st.sampled_from([None, "A", "B"])),
                dialogue_id=draw(st.sampled_from([None, "d1", "d2", "d3"])),
                text=draw(st.sampled_from(TEXTS)),
                audio=draw(st.none() | streams(Audio)),
                video=draw(st.none() | streams(Video)),
                labels=draw(st.sampled_from([{}, {"emotion": emotion("joy")}, {"emotion": emotion("fear")}])),
                cut=draw(st.none() | CUTS),
            )
            for number in range(draw(st.integers(1, 7)))
        )
        found.append(Manifest(corpus, Path(root), clips, draw(st.sampled_from(["ours", corpus]))))
    return found


def things(kind, corpus, one):
    """Return what a clip has of a kind, as said in the audit's documentation."""
    if kind in ("speakers", "dialogues"):
        name = one.speaker_id if kind == "speakers" else one.dialogue_id
        return set() if name is None else {(corpus.reader, name)}
    cut = tuple(one.native.values())
    media = {
        (str(corpus.root / stream.path), stream.start_s, math.inf if stream.end_s is None else stream.end_s)
        for stream in (one.audio, one.video)
        if stream
    }
    if kind == "same row":
        return {(span, one.speaker_id, words(one.text or "")) for span in ({cut} if cut else media)}
    if kind == "twice":
        return {cut} if cut else media
    if kind.endswith(("interval", "intervals")):
        return {cut} if cut else set()
    if kind.endswith("media"):
        return media
    return {words(one.text)} - {""} if one.text else set()


def linked(kind, one, other):
    """Tell whether two things should lie in one part."""
    if kind.startswith("overlapping"):
        seconds = min(one[2], other[2]) - max(one[1], other[1])
        return one != other and one[0] == other[0] and seconds > 0.05
    if kind == "nearly the same words":
        mine, theirs = Counter(one.split()), Counter(other.split())
        alike = Fraction((mine & theirs).total(), (mine | theirs).total())
        return one != other and min(mine.total(), theirs.total()) >= 5 and alike >= Fraction(4, 5)
    if kind == "same words":
        return one == other and len(one.split()) > 3
    if kind == "same short words":
        return one == other and len(one.split()) <= 3
    return one == other


def compared(manifests, kind, parts, held_out):
    """Compare every clip of what is held out with every clip of the other parts."""
    everything = [(corpus, one) for corpus in manifests for one in corpus.clips if one.split in parts]
    links, touched = set(), set()
    for (corpus, one), (elsewhere, other) in itertools.product(everything, repeat=2):
        if one.split in held_out and other.split != one.split:
            met = {
                frozenset((mine, theirs))
                for mine in things(kind, corpus, one)
                for theirs in things(kind, elsewhere, other)
                if linked(kind, mine, theirs)
            }
            links |= met
            touched |= {(one.corpus, one.id)} if met else set()
    return len(links), len(touched)


@given(corpora(["train", "dev", "test"]) | corpora(["a", "b", "c", "d"]))
def test_every_clip_against_every_other(manifests):
    """Every count is that of comparing each clip with each, for pairs of three parts and for any two of four."""
    for finding in audit(manifests):
        if finding.kind in BETWEEN:
            held_out = finding.parts[1:] if len(finding.parts) == 2 else finding.parts
            expected = compared(manifests, finding.kind.name, finding.parts, held_out)
            assert (finding.shared, finding.clips) == expected, finding.kind.name
            assert finding.of_clips == sum(one.split in held_out for corpus in manifests for one in corpus.clips)


@given(corpora(["train", "test"]))
def test_every_clip_against_its_own_part(manifests):
    """What a part holds twice is counted once per thing, and its clips beyond the first."""
    for finding in audit(manifests):
        if finding.kind in WITHIN:
            kind = "twice" if finding.kind.name == "same interval" else "same row"
            everything = [(corpus, one) for corpus in manifests for one in corpus.clips if one.split in finding.parts]
            having = Counter(thing for corpus, one in everything for thing in things(kind, corpus, one))
            assert finding.shared == sum(count > 1 for count in having.values())
            assert finding.clips <= sum(count - 1 for count in having.values())
            assert (finding.clips > 0) == (finding.shared > 0)


@given(corpora(["train", "dev", "test"]) | corpora(["a", "b", "c", "d"]), st.randoms(use_true_random=False))
def test_order_does_not_matter(manifests, chance):
    """Clips and corpora in another order give the same findings, examples and all."""
    mixed = [dataclasses.replace(one, clips=tuple(chance.sample(one.clips, len(one.clips)))) for one in manifests]
    assert audit(reversed(mixed)) == audit(manifests)


@given(corpora(["a", "b", "c"]), st.permutations(["a", "b", "c"]))
def test_names_of_parts_do_not_matter(manifests, names):
    """Parts of other names share as much; which of two is held out may change, what they share does not."""
    renamed = dict(zip("abc", names, strict=True))
    other = [
        dataclasses.replace(
            corpus, clips=tuple(dataclasses.replace(one, split=renamed[one.split]) for one in corpus.clips)
        )
        for corpus in manifests
    ]

    def shared(findings, names):
        return {
            (finding.kind.name, frozenset(names[part] for part in finding.parts)): (
                finding.shared,
                finding.other_labels,
            )
            for finding in findings
        }

    assert shared(audit(manifests), renamed) == shared(audit(other), dict(zip("abc", "abc", strict=True)))


@given(corpora(["train", "dev", "test"]) | corpora(["a", "b", "c", "d"]))
def test_whatever_is_found_can_be_said(manifests):
    """Every finding has its line in the report, and a leak its word."""
    findings = audit(manifests)
    said = list(lines(findings))
    for finding in findings:
        if finding.shared:
            word = "LEAK" if finding.leaks else "note"
            assert any(line.startswith(f"{word}, {finding.kind.name}: ") for line in said)
            assert 1 <= len(finding.examples) <= 3
            assert all(f"    {example}" in said for example in finding.examples)


@given(st.text())
def test_words_of_words(text):
    """Taking the words of words changes nothing, and capitals and blanks never matter."""
    assert words(words(text)) == words(text)
    assert words(f"  {text}\n!") == words(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I\N{RIGHT SINGLE QUOTATION MARK}m  OK…", "im ok"),
        ("Ça va, Élise?", "ca va elise"),
        ("STRASSE", "Straße"),
        ("می‌روم", "میروم"),  # a joiner of no width, which some keyboards lack
        ("snake_case", "snake case"),
    ],
)
def test_words(one, other):
    """Texts that differ in capitals, accents, quotes, punctuation and joiners are the same words."""
    assert words(one) == words(other)


def test_two_parts_of_one_corpus():
    """The counts, the clips of the part that is held out, and the clips that are told, of every kind at once."""
    joy, fear = {"emotion": emotion("joy")}, {"emotion": emotion("fear")}
    toy = manifest(
        clip("t1", "train", speaker_id="Ann", text="You are always late.", cut=("film", 1, 2), labels=joy),
        clip("t2", "train", speaker_id="Ann", text="Yeah.", cut=("film", 5, 7)),
        clip("t3", "train", speaker_id="Bob", text="What do you think of the new house?"),
        clip("e1", "test", speaker_id="Ann", text="you are always LATE", cut=("film", 1, 2), labels=fear),
        clip("e2", "test", speaker_id="Ann", text="yeah", cut=("film", 6.96, 9)),
        clip("e3", "test", speaker_id="Cid", text="What do you think of the house?", cut=("film", 6.5, 6.96)),
    )
    found = audit([toy])
    pair = ("train", "test")
    assert counts(found) == {
        ("speakers", *pair): (1, 2),
        ("same interval", *pair): (1, 1),
        ("overlapping intervals", *pair): (1, 1),  # 40 ms of a neighbour are not told
        ("same words", *pair): (1, 1),
        ("nearly the same words", *pair): (1, 1),
        ("same short words", *pair): (1, 1),
    }
    by_kind = {finding.kind.name: finding for finding in found if finding.shared}
    assert by_kind["same interval"].other_labels == 1
    assert by_kind["speakers"].examples == ("Ann: t1 and e1, and 1 clips more",)
    assert by_kind["overlapping intervals"].examples == (
        "film from 5.00 to 7.00 s / film from 6.50 to 6.96 s: t2 and e3",
    )
    assert {name for name, finding in by_kind.items() if not finding.leaks} == {"same short words"}


def test_takes_and_sentences():
    """Files of one take in two parts are told, with labels that differ; a scripted sentence is told apart from it."""
    spoken = {"native": {"take": "01-02", "sentence": "dogs"}}
    toy = manifest(
        clip("voice", "train", **spoken, labels={"emotion": emotion("joy")}),
        clip("face", "test", **spoken, labels={"emotion": emotion("anger")}),
        clip("script", "test", native={"script": "dogs"}),
    )
    found = {finding.kind.name: finding for finding in audit([toy])}
    assert found["takes"].examples == ("01-02: voice and face",)
    assert (found["takes"].clips, found["takes"].other_labels) == (1, 1)
    assert (found["sentences"].clips, found["sentences"].other_labels) == (2, 0)


def test_labels_of_different_tasks_do_not_differ():
    """A moment that has an emotion in one part and a sentiment in the other carries no two labels of one thing."""
    cut = {"cut": ("film", 0, 1)}
    one = clip("a", "train", labels={"emotion": emotion("joy")}, **cut)
    other = clip("b", "test", labels={"sentiment": (1.0, 0.0, 0.0)}, **cut)
    (found,) = (finding for finding in audit([manifest(one, other)]) if finding.shared)
    assert (found.kind.name, found.other_labels) == ("same interval", 0)


@pytest.mark.parametrize(("reader", "speakers"), [("toy", 1), ("other", 0)])
def test_between_corpora(reader, speakers):
    """Words and files are compared across corpora, also where one lies inside the other; names within a reader."""
    outer = clip("a", "train", "outer", speaker_id="1", text="So this is what you want", audio=Audio("in/a.wav"))
    inner = clip("a", "test", "inner", speaker_id="1", text="So, this is what you want!", audio=Audio("a.wav"))
    found = audit([manifest(outer, root="/data"), manifest(inner, root="/data/in", reader=reader)])
    shared = {finding.kind.name: finding.shared for finding in found}
    assert shared["same media"] == shared["same words"] == 1
    assert shared["speakers"] == speakers
    told = next(finding for finding in found if finding.kind.name == "same media")
    assert told.examples == ("a.wav from 0.00 to its end: a of outer and a of inner",)


def test_a_manifest_given_twice_counts_once():
    """Naming a corpus twice does not make every clip a copy of itself."""
    toy = manifest(clip("a", "train", cut=("film", 0, 1)), clip("b", "test", cut=("film", 2, 3)))
    assert audit([toy, toy]) == audit([toy])
    assert counts(audit([toy, toy])) == {}


def test_the_held_out_part():
    """Test is held out from dev and dev from train, however large they are; of other parts the smaller one is."""
    sizes = {"test": 3, "dev": 2, "train": 1}
    toy = manifest(*(clip(f"{part}{i}", part, speaker_id="A") for part, size in sizes.items() for i in range(size)))
    assert counts(audit([toy])) == {
        ("speakers", "train", "dev"): (1, 2),
        ("speakers", "train", "test"): (1, 3),
        ("speakers", "dev", "test"): (1, 3),
    }
    toy = manifest(*(clip(f"{i}", part, speaker_id="A") for i, part in enumerate("abbbb")))
    assert counts(audit([toy])) == {("speakers", "b", "a"): (1, 1)}


def test_many_parts_are_told_together():
    """Of more than three parts, each held out once, there is one column; a part is not compared with itself."""
    speakers = {"s1": "AAB", "s2": "AC", "s3": "DD", "s4": "E"}
    toy = manifest(
        *(clip(f"{part}_{i}", part, speaker_id=who) for part, all_ in speakers.items() for i, who in enumerate(all_))
    )
    (found,) = audit([toy])
    assert (found.shared, found.clips, found.of_clips) == (1, 3, 8)
    assert found.examples == ("A: s2_0 and s1_0, and 2 clips more",)
    said = "\n".join(lines([found]))
    assert "any of 4 parts" in said
    assert "of 8, that meet something of another part" in said


def test_nothing_to_compare():
    """A corpus in one part, and no corpus at all, are answered with what to do."""
    for found in (audit([manifest(clip("a", "all", speaker_id="A"))]), audit([])):
        assert counts(found) == {}
        assert "no two parts" in " ".join(lines(found))


def test_nothing_leaks():
    """Parts that share nothing, or short words alone, are told so, and kinds of which nobody tells are named."""
    toy = manifest(clip("a", "train", text="Yeah.", speaker_id="A"), clip("b", "test", text="yeah", speaker_id="B"))
    found = audit([toy])
    said = list(lines(found))
    assert not any(finding.leaks for finding in found)
    assert "nothing leaks" in said[-1]
    assert any("No clip tells its dialogues, sentences, takes" in line for line in said)


def test_odd_cuts():
    """A recording without times, times that are words, and a cut that ends before it begins, are no overlap."""
    odd = [{"cut_from": "film"}, {"cut_from": "film", "cut_start_s": "0", "cut_end_s": "9"}]
    odd += [{"cut_from": "film", "cut_start_s": start, "cut_end_s": end} for start, end in ((5, 2), (0, 9), (3, 3))]
    toy = manifest(*(clip(f"c{i}", ("train", "test")[i % 2], native=native) for i, native in enumerate(odd)))
    assert counts(audit([toy])) == {}


def test_a_late_stream_is_where_it_was_moved_to():
    """The place of a stream in its file is compared with its offset, as it is decoded."""
    late = clip("a", "train", video=Video("x.mp4", 1, 2, offset_s=2))
    toy = manifest(late, clip("b", "test", video=Video("x.mp4", 3, 4)), clip("c", "test", video=Video("x.mp4", 1, 2)))
    assert counts(audit([toy])) == {("same media", "train", "test"): (1, 1)}


def test_texts_of_a_large_corpus():
    """Ten thousand texts with planted pairs are compared without trying all fifty million pairs."""
    chance = random.Random(0)
    vocabulary = [f"w{number}" for number in range(3000)]
    texts = [" ".join(chance.choices(vocabulary, k=20)) for _ in range(10_000)]
    clips = [clip(f"c{i}", ("train", "test")[i % 2], text=text) for i, text in enumerate(texts)]
    for i in range(0, 100, 2):
        clips[i + 1] = clip(f"c{i + 1}", "test", text=f"{clips[i].text} again")
    found = counts(audit([manifest(*clips)]))
    assert found == {("nearly the same words", "train", "test"): (50, 50)}


SAID = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=14).map(" ".join)


@given(st.lists(SAID, min_size=1, max_size=8), st.lists(SAID, min_size=1, max_size=8))
def test_texts_that_are_nearly_the_same(trained, tested):
    """Whatever words texts have, those found are those of comparing each with each: at least four fifths in common."""
    trained += [f"{tested[0]} z", f"{tested[-1].rpartition(' ')[0]} z"]
    clips = [
        clip(f"{part}{i}", part, text=text)
        for part, texts in (("a", trained), ("b", tested))
        for i, text in enumerate(texts)
    ]
    toy = manifest(*clips)
    found = next(one for one in audit([toy]) if one.kind.name == "nearly the same words")
    assert (found.shared, found.clips) == compared([toy], found.kind.name, found.parts, found.parts[1:])


@pytest.mark.parametrize(("last", "alike"), [("j", 1), ("i j", 0)])
def test_four_fifths(last, alike):
    """Eight words in common of ten are enough, and eight of eleven are not."""
    toy = manifest(
        clip("a", "train", text="a b c d e f g h i"),
        clip("b", "test", text=f"a b c d e f g h {last}".replace("i", "k")),
    )
    assert counts(audit([toy])) == ({("nearly the same words", "train", "test"): (1, 1)} if alike else {})


def test_labels_among_many_parts():
    """Two parts that gave one moment different labels are told, although a third gave it none."""
    labels = {"s1": {"emotion": emotion("joy")}, "s2": {"emotion": emotion("fear")}, "s3": {}, "s4": {}}
    toy = manifest(*(clip(part, part, labels=given_, cut=("film", 0, 1)) for part, given_ in labels.items()))
    (found,) = (one for one in audit([toy]) if one.shared)
    assert (found.kind.name, found.shared, found.clips, found.other_labels) == ("same interval", 1, 4, 1)


@pytest.fixture(scope="module")
def real():
    """What the audit finds in MELD's own tables."""
    if not REAL.is_dir():
        pytest.skip("MELD's tables are not beside this checkout (shared/data/meld)")
    return audit([scan("meld", REAL).manifest])


def test_real_intervals(real):
    """MELD has five cuts in two splits, three of them under different emotions, and no dialogue in two."""
    found = {
        finding.parts: finding for finding in real if finding.kind in BETWEEN and finding.kind.name == "same interval"
    }
    told = {parts: [example.rpartition(": ")[2] for example in finding.examples] for parts, finding in found.items()}
    assert {parts: sorted(pairs) for parts, pairs in told.items()} == {
        ("train", "dev"): ["train_dia433_utt1 and dev_dia77_utt0", "train_dia53_utt0 and dev_dia52_utt2"],
        ("train", "test"): [
            "train_dia12_utt7 and test_dia85_utt0",
            "train_dia12_utt8 and test_dia85_utt1",
            "train_dia887_utt0 and test_dia117_utt8",
        ],
        ("dev", "test"): [],
    }
    assert sum(finding.other_labels for finding in found.values()) == 3
    assert counts(real).get(("dialogues", "train", "test")) is None


def test_real_rows_that_stand_twice(real):
    """Ten rows of MELD's train repeat another by speaker, words and time; dev and test repeat none."""
    repeated = {finding.parts: finding.shared for finding in real if finding.kind.name == "same row"}
    assert repeated == {("train",): 10, ("dev",): 0, ("test",): 0}


def test_real_speakers(real):
    """MELD's splits share their speakers, which is a leak although it is official."""
    speakers = {finding.parts: finding for finding in real if finding.kind.name == "speakers"}
    assert all(finding.leaks for finding in speakers.values())
    assert speakers["train", "test"].clips > 0.9 * 2610
