"""What the parts of corpora share although they should be apart, as counts with examples.

A part is a split of the manifest: train, dev and test where they are official, else a session, a fold or what a user's
list says. Several manifests are looked at as one, as they are trained together: `train` of one is compared with `test`
of all. What a corpus calls a speaker, a dialogue, a sentence or a take means something within its reader alone; words,
files and the recordings that clips were cut from are compared across corpora too.
"""

import heapq
import math
import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from manifests.clip import Clip
from manifests.shelf import Manifest
from manifests.text import WIDE, table

MOST_PARTS = 3
"""Up to so many parts each pair of them is told apart."""
EXAMPLES = 3
MOMENT_S = 0.05
"""Neighbours whose times were rounded may touch for a moment; that is no overlap."""
COMMON_WORDS = 3
"""Up to so many words, as in `Oh my God!`, are said alike by chance."""
NEAR_WORDS = 5
"""From so many words on, texts of which four fifths of the words are the same are told."""
_HELD_OUT = {"dev": 1, "test": 2}
_WORD = re.compile(r"[^\W_]+")
_INSIDE_WORDS = dict.fromkeys(map(ord, "'`\u2018\u2019\u02bc\u200b\u200c\u200d\u200e\u200f"))

Held = Mapping[Hashable, Mapping[str, Sequence[Clip]]]
"""Who has a thing, by part: a speaker, a text, some seconds of a recording."""
Link = tuple[Hashable, Hashable]
"""What should lie in one part: mostly a thing and itself, else two that are alike."""


class Name(NamedTuple):
    """What a corpus calls a speaker, a dialogue, a sentence or a take."""

    reader: str
    name: str

    def __str__(self) -> str:
        return self.name


class Span(NamedTuple):
    """Some seconds of a recording."""

    source: str
    start_s: float
    end_s: float

    def __str__(self) -> str:
        end = "its end" if self.end_s == math.inf else f"{self.end_s:.2f} s"
        return f"{self.source.rpartition('/')[2]} from {self.start_s:.2f} to {end}"


class Row(NamedTuple):
    """Who says what in which seconds."""

    span: Span
    speaker: str
    words: str

    def __str__(self) -> str:
        return f"{self.speaker} in {self.span}"


class Meeting(NamedTuple):
    """Clips of a part that is held out, and the clips elsewhere that have the same thing or one like it."""

    link: Link
    others: Sequence[Clip]
    clips: Sequence[Clip]


@dataclass(frozen=True)
class Kind:
    """One way to share something: what clips have, which of it should lie in one part, and what to do about it."""

    name: str
    advice: str
    things: Callable[[Manifest, Clip], Iterable[Hashable]]
    links: Callable[[Held], Iterable[Link]] = lambda held: zip(held, held, strict=True)
    leak: bool = True
    one_moment: bool = False
    """Whoever shares it shows the same moment, so that raters should have said the same."""


@dataclass(frozen=True)
class Finding:
    """How much of one kind is shared."""

    kind: Kind
    parts: tuple[str, ...]
    """Two parts, of which the second is held out; one that holds something twice; or all, where they are many."""
    shared: int
    clips: int
    """Clips of what is held out that are touched; where parts are many, each is held out once."""
    of_clips: int
    other_labels: int
    """Of what is shared, how much is one moment to which raters gave different labels."""
    examples: tuple[str, ...]

    @property
    def leaks(self) -> bool:
        """Tell a leak from a note, and from nothing."""
        return self.kind.leak and self.shared > 0


def audit(manifests: Iterable[Manifest]) -> tuple[Finding, ...]:
    """Compare every two parts of these manifests, and look into each; a kind of which no clip tells is left out."""
    looked_at = tuple({manifest.corpus: manifest for manifest in manifests}.values())
    sizes = Counter(clip.split for manifest in looked_at for clip in manifest.clips)
    parts = tuple(sorted(sizes, key=lambda part: (_HELD_OUT.get(part, 0), -sizes[part], part)))
    many = len(parts) > MOST_PARTS
    held = {things: _held(looked_at, things) for things in {kind.things for kind in (*BETWEEN, *WITHIN)}}
    found: list[Finding] = []
    for kind in BETWEEN:
        links = list(kind.links(held[kind.things]))
        for pair in [parts] if many else combinations(parts, 2):
            out = pair if many else pair[1:]
            met = [[*_between(held[kind.things], link, pair, out)] for link in links]
            found.append(_finding(kind, pair, met, sum(sizes[part] for part in out)))
    for kind in WITHIN:
        for ones in [parts] if many else zip(parts, strict=True):
            met = [[*_within(thing, having, ones)] for thing, having in held[kind.things].items()]
            found.append(_finding(kind, ones, met, sum(sizes[part] for part in ones)))
    return tuple(finding for finding in found if held[finding.kind.things])


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield a table of the counts, then of each kind what it means, what to do, and examples."""
    between = [finding for finding in findings if finding.kind in BETWEEN]
    within = [finding for finding in findings if finding.kind in WITHIN]
    if between:
        yield from _counts("in both", between)
        yield from textwrap.wrap(_legend(between), WIDE)
    else:
        yield from textwrap.wrap(_UNDIVIDED, WIDE)
    if any(finding.shared for finding in within):
        yield from _counts("twice in", within)
    for kind in (*BETWEEN, *WITHIN):
        if shared := [finding for finding in findings if finding.kind is kind and finding.shared]:
            yield ""
            yield from textwrap.wrap(f"{'LEAK' if kind.leak else 'note'}, {kind.name}: {kind.advice}", WIDE)
            for finding in shared:
                others = f", {finding.other_labels} of them with different labels" if finding.other_labels else ""
                yield f"  {_column(finding)}: {finding.shared}{others}"
                yield from (f"    {example}" for example in finding.examples)
    if between and not any(finding.leaks for finding in findings):
        yield "\nnothing leaks"


def _held(manifests: Iterable[Manifest], things: Callable[[Manifest, Clip], Iterable[Hashable]]) -> Held:
    held: dict[Hashable, dict[str, list[Clip]]] = {}
    for manifest in manifests:
        for clip in manifest.clips:
            for thing in things(manifest, clip):
                held.setdefault(thing, {}).setdefault(clip.split, []).append(clip)
    return held


def _between(held: Held, link: Link, parts: Sequence[str], held_out: Sequence[str]) -> Iterator[Meeting]:
    """Yield where each part that is held out meets the other ones, whichever of the two things it has."""
    for ends in dict.fromkeys((link, link[::-1])):
        theirs, ours = held[ends[0]], held[ends[1]]
        for part in held_out:
            if part in ours and (others := [clip for one in parts if one != part for clip in theirs.get(one, ())]):
                yield Meeting(ends, others, ours[part])


def _within(thing: Hashable, having: Mapping[str, Sequence[Clip]], parts: Sequence[str]) -> Iterator[Meeting]:
    """Yield what a part holds more than once: the first clip by name, and its copies."""
    for part in parts:
        if len(having.get(part, ())) > 1:
            first, *copies = sorted(having[part], key=_place)
            yield Meeting((thing, thing), [first], copies)


def _finding(kind: Kind, parts: tuple[str, ...], met: Iterable[Sequence[Meeting]], of_clips: int) -> Finding:
    shared = [meetings for meetings in met if meetings]
    return Finding(
        kind,
        parts,
        len(shared),
        len({_place(clip) for meetings in shared for meeting in meetings for clip in meeting.clips}),
        of_clips,
        sum(any(map(_differ, meetings)) for meetings in shared) if kind.one_moment else 0,
        tuple(_example(meetings) for meetings in heapq.nsmallest(EXAMPLES, shared, key=_first)),
    )


def _differ(meeting: Meeting) -> bool:
    """Tell whether two clips of a meeting have different labels of the same task."""
    return any(
        other.labels.get(task, vector) != vector
        for clip in meeting.clips
        for task, vector in clip.labels.items()
        for other in meeting.others
    )


def _first(meetings: Sequence[Meeting]) -> tuple[int, str]:
    """Order examples: what touches most clips comes first, then by name."""
    return -sum(len(meeting.clips) for meeting in meetings), min(str(meeting.link) for meeting in meetings)


def _example(meetings: Sequence[Meeting]) -> str:
    """Say what is shared, and by which clips."""
    meeting = min(meetings, key=lambda meeting: min(map(_place, meeting.clips)))
    other, clip = min(meeting.others, key=_place), min(meeting.clips, key=_place)
    things = dict.fromkeys(textwrap.shorten(str(thing), 60, placeholder=" ...") for thing in meeting.link)
    names = (one.id if other.corpus == clip.corpus else f"{one.id} of {one.corpus}" for one in (other, clip))
    more = sum(len(meeting.clips) for meeting in meetings) - 1
    return f"{' / '.join(things)}: {' and '.join(names)}{f', and {more} clips more' if more else ''}"


def _place(clip: Clip) -> tuple[str, str]:
    return clip.corpus, clip.id


def _counts(head: str, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield a table of kinds and parts."""
    rows: dict[str, list[object]] = {}
    for finding in findings:
        said = f"{finding.shared} ({finding.clips} clips)" if finding.shared else "0"
        rows.setdefault(finding.kind.name, [finding.kind.name]).append(said)
    yield from table([head, *dict.fromkeys(map(_column, findings))], rows.values())


def _column(finding: Finding) -> str:
    return "-".join(finding.parts) if len(finding.parts) < MOST_PARTS else f"any of {len(finding.parts)} parts"


def _legend(between: Sequence[Finding]) -> str:
    """Say whose clips are counted, and what could not be looked at."""
    sizes = {finding.parts[-1]: finding.of_clips for finding in between}
    if len(between[0].parts) == 2:
        told = "Clips are those of the second part: " + ", ".join(f"{part} has {size}" for part, size in sizes.items())
    else:
        told = f"Clips are those, of {between[0].of_clips}, that meet something of another part"
    silent = [kind.name for kind in BETWEEN if kind not in {finding.kind for finding in between}]
    return f"{told}. {'No clip tells its ' + ', '.join(silent) + '.' if silent else ''}"


def _named(of: Callable[[Clip], object]) -> Callable[[Manifest, Clip], Iterable[Hashable]]:
    return lambda manifest, clip: () if of(clip) is None else (Name(manifest.reader, str(of(clip))),)


def _cut(_: Manifest, clip: Clip) -> Iterator[Span]:
    """Yield where the medium of a clip was itself cut from."""
    source, start_s, end_s = (clip.native.get(f"cut_{end}") for end in ("from", "start_s", "end_s"))
    if isinstance(source, str) and isinstance(start_s, float | int) and isinstance(end_s, float | int):
        yield Span(source, round(start_s, 3), round(end_s, 3))


def _media(manifest: Manifest, clip: Clip) -> Iterable[Span]:
    """Name the seconds of its media files that a clip is; sound and picture may be of one file."""
    return {
        Span(
            f"{manifest.root}/{stream.path}",
            round(stream.start_s + stream.offset_s, 3),
            math.inf if stream.end_s is None else round(stream.end_s + stream.offset_s, 3),
        )
        for stream in (clip.audio, clip.video)
        if stream
    }


def _spans(manifest: Manifest, clip: Clip) -> Iterable[Span]:
    return [*_cut(manifest, clip)] or _media(manifest, clip)


def _rows(manifest: Manifest, clip: Clip) -> Iterator[Row]:
    for span in _spans(manifest, clip):
        yield Row(span, clip.speaker_id or "", words(clip.text or ""))


def _overlaps(held: Held) -> Iterator[Link]:
    """Pair different spans of one recording that have more than a moment in common."""
    running: list[Span] = []
    for span in sorted(span for span in held if isinstance(span, Span)):
        running = [one for one in running if one.source == span.source and one.end_s - span.start_s > MOMENT_S]
        yield from ((one, span) for one in running if span.end_s - span.start_s > MOMENT_S)
        running.append(span)


def _texts(_: Manifest, clip: Clip) -> Iterable[str]:
    said = words(clip.text or "")
    return (said,) if said else ()


@lru_cache(maxsize=1 << 16)
def words(text: str) -> str:
    """Return the words of a text alone: no capitals, no accents, no punctuation, one blank between two."""
    plain = text if text.isascii() else unicodedata.normalize("NFKD", text)
    kept = (character for character in plain.casefold() if not unicodedata.combining(character))
    return " ".join(_WORD.findall("".join(kept).translate(_INSIDE_WORDS)))


def _said_by_chance(held: Held) -> Iterator[Link]:
    yield from ((text, text) for text in held if _length(text) <= COMMON_WORDS)


def _said_again(held: Held) -> Iterator[Link]:
    yield from ((text, text) for text in held if _length(text) > COMMON_WORDS)


def _nearly_said_again(held: Held) -> Iterator[Link]:
    """Pair different texts of which at least four fifths of the words are the same, without trying every pair.

    At most a fifth of the words of either is not in the other, so of its rarest words, which are a fifth and two more,
    at least two are among the rarest of the other.
    """
    bags = {text: _bag(text) for text in map(str, held) if _length(text) >= NEAR_WORDS}
    rarity = Counter(word for bag in bags.values() for word in bag)
    having: dict[tuple[str, int], list[str]] = {}
    for text, bag in bags.items():
        rarest = sorted(bag, key=lambda word: (rarity[word], word))[: len(bag) // 5 + 2]
        met = Counter(other for word in rarest for other in having.get(word, ()))
        for other in (other for other, common in met.items() if common > 1):
            both = len(bag & bags[other])
            if 5 * both >= 4 * (len(bag) + len(bags[other]) - both):
                yield other, text
        for word in rarest:
            having.setdefault(word, []).append(text)


def _length(text: Hashable) -> int:
    return str(text).count(" ") + 1


def _bag(text: str) -> frozenset[tuple[str, int]]:
    """Return the words of a text, numbered so that a word said twice counts twice."""
    seen: Counter[str] = Counter()
    found = set()
    for word in text.split(" "):
        seen[word] += 1
        found.add((word, seen[word]))
    return frozenset(found)


_ELSEWHERE = "Take it out of one part: make manifest SPLITS=list.csv keeps the clips that your list names."
BETWEEN = (
    Kind(
        "speakers",
        "Who is scored is known from training, so the score says little about strangers. "
        "SET='protocol=group group_by=speaker' keeps speakers apart.",
        _named(lambda clip: clip.speaker_id),
    ),
    Kind(
        "dialogues",
        "Utterances of one conversation, which share its topic, mood and room, lie in both parts. "
        "SET='protocol=group group_by=dialogue' keeps dialogues apart.",
        _named(lambda clip: clip.dialogue_id),
    ),
    Kind(
        "sentences",
        "Actors speak the same script in both parts: sound and picture are told apart by how it is said, but a text "
        "line sees nothing new. Hold some sentences out by your own list (SPLITS=list.csv) where words are used.",
        _named(lambda clip: clip.native.get("sentence", clip.native.get("script"))),
    ),
    Kind(
        "takes",
        "One performance lies in both parts, as two files of it do. Keep the files of a take together by your own list "
        "(SPLITS=list.csv), or read one clip per take.",
        _named(lambda clip: clip.native.get("take")),
        one_moment=True,
    ),
    Kind(
        "same interval",
        f"The same seconds of the same recording were cut for both parts. {_ELSEWHERE}",
        _cut,
        one_moment=True,
    ),
    Kind(
        "overlapping intervals",
        f"Cuts of both parts have seconds of the same recording in common, but not all. {_ELSEWHERE}",
        _cut,
        _overlaps,
    ),
    Kind("same media", f"The same seconds of one file are in both parts. {_ELSEWHERE}", _media, one_moment=True),
    Kind(
        "overlapping media",
        f"Clips of both parts have seconds of one file in common, but not all. {_ELSEWHERE}",
        _media,
        _overlaps,
    ),
    Kind(
        "same words",
        f"Texts of more than {COMMON_WORDS} words are the same, but for capitals, accents and punctuation; where "
        "labels follow the words, they were seen in training. Compare scores with and without these clips.",
        _texts,
        _said_again,
    ),
    Kind(
        "nearly the same words",
        f"Different texts of at least {NEAR_WORDS} words have four fifths of all their words in common, in any order. "
        "Read the examples: mostly it is a set phrase, sometimes one utterance that was cut or typed twice.",
        _texts,
        _nearly_said_again,
    ),
    Kind(
        "same short words",
        f"Texts of up to {COMMON_WORDS} words are the same, as `Yeah.` and `Oh my God!` are by chance: no leak.",
        _texts,
        _said_by_chance,
        leak=False,
    ),
)
WITHIN = (
    Kind(
        "same interval",
        "One part has the same seconds of the same recording more than once, which count as often in training and in "
        "scores. Clips are those beyond the first.",
        _spans,
        leak=False,
        one_moment=True,
    ),
    Kind(
        "same row",
        "Of these, the same speaker says the same words, so it is the same row again. Where labels differ, no model "
        "can be right on both.",
        _rows,
        leak=False,
        one_moment=True,
    ),
)
_UNDIVIDED = (
    "There are no two parts to compare, or no clip tells anything that they could share: speakers, dialogues, words, "
    "media. Divide the corpus by your own list (make manifest SPLITS=list.csv), or train with protocol=group, which "
    "keeps speakers or dialogues apart."
)
