"""What a cache lacks of another, decided before anything is copied.

By content: a part that the other side has under its name, or all of whose clips it has from other parts, stays; of one
whose clips it has in part, the rest travels. So two caches made in different pieces merge to one, each clip once.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from features import about, catalogue, index, permission
from features.catalogue import Listed
from features.entries import read_key
from features.failures import FILE as FAILURES
from features.index import Rows
from features.key import Key
from features.places import Folder, Place
from features.roots import SPEC, CacheError
from features.store import Part, rows_of

KEPT = frozenset((SPEC, catalogue.CARD, catalogue.FILE, FAILURES, index.FILE))
"""Files that each side writes for itself."""
Refusal = Callable[[str, str], str]
"""Says of the part of an entry why it may not go to a place."""


class NothingError(CacheError):
    """A place that has nothing of what was asked for."""


@dataclass(frozen=True)
class Item:
    """A file that travels; of a part, perhaps only some of its clips."""

    name: str
    size: int
    clips: frozenset[str] | None = None

    @property
    def is_part(self) -> bool:
        """Tell features from what lies beside them."""
        return bool(catalogue.PART.fullmatch(self.name))


@dataclass(frozen=True)
class Lack:
    """What one entry lacks at the other place, and why some of it stays away."""

    entry: str
    key: Key
    items: tuple[Item, ...]
    there: int
    """Clips that are there already."""
    new: Mapping[str, str]
    """Clips that will be new there, and what they rest on."""
    renewed: Mapping[str, str]
    """Those that are there and rest on other media or words than here."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Why parts stay here, and how many."""

    @property
    def bytes(self) -> int:
        """Return what is read to bring it there."""
        return sum(item.size for item in self.items)


def chosen(place: Place, corpus: str = "", encoders: Sequence[str] = ()) -> list[str]:
    """Name the entries of a corpus, of all or of some encoders, and those that they build on."""
    there = place.entries()
    mine = [entry for entry in there if not corpus or entry.partition("/")[0] == corpus]
    if not mine:
        have = ", ".join(sorted({entry.partition("/")[0] for entry in there})) or "nothing"
        raise NothingError(f"{place} has nothing of {corpus or 'any corpus'}; it has: {have}")
    if absent := [name for name in encoders if not any(_is(entry, name) for entry in mine)]:
        have = ", ".join(sorted({entry.partition("/")[2].rpartition("-")[0] for entry in mine}))
        raise NothingError(f"{place} has no {', '.join(absent)} of {corpus or 'any corpus'}; it has: {have}")
    named = [entry for entry in mine if not encoders or any(_is(entry, name) for name in encoders)]
    for entry in named:  # it grows meanwhile
        leaders = (f"{entry.partition('/')[0]}/{name}" for name in key_at(place, entry).builds_on)
        named += [leader for leader in leaders if leader in mine and leader not in named]
    return sorted(named)


def _is(entry: str, name: str) -> bool:
    folder = entry.partition("/")[2]
    return name in (folder, folder.rpartition("-")[0])


def key_at(place: Place, entry: str) -> Key:
    """Read the key of an entry, wherever it lies."""
    return read_key(place.text(f"{entry}/{SPEC}") or "", f"{place}/{entry}/{SPEC}", entry.partition("/")[2])


def licence_at(place: Place, lack: Lack) -> str:
    """Return the terms of an entry's encoder, wherever it lies; nothing where nobody noted them."""
    parts = [item.name for item in lack.items if item.is_part]
    if isinstance(place, Folder) and parts:
        with contextlib.closing(Part(place.top / lack.entry / parts[0], lack.key)) as part:
            return part.attribute("licence")
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        return str(json.loads(place.text(f"{lack.entry}/{about.FILE}") or "{}").get("encoder_licence", ""))
    return ""


def permitted(source: Folder, target: Place, holds: str = "") -> Refusal:
    """Return what says why a part may not leave for a place; `holds` is what there is in parts that do not say so."""
    marks = permission.licensed(target.text(permission.MARK))

    def refusal(entry: str, part: str) -> str:
        key = key_at(source, entry)
        if key.random:
            return "features of random weights are for trying out, not for sharing"
        with contextlib.closing(Part(source.top / entry / part, key)) as opened:
            said = {"holds": holds} | opened.provenance
            return permission.refusal(entry.partition("/")[0], said, marks, str(target))

    return refusal


def lacks(
    source: Place,
    target: Place,
    entries: Iterable[str],
    refusal: Refusal = lambda _entry, _part: "",
    *,
    renew: bool = False,
) -> list[Lack]:
    """Compare two caches, and change neither; `renew` also takes clips that rest on other media or words there."""
    return [_lack(source, target, entry, refusal, renew=renew) for entry in entries]


def _lack(source: Place, target: Place, entry: str, refusal: Refusal, *, renew: bool) -> Lack:
    key = key_at(source, entry)
    here, there = held(source, entry, key), held(target, entry, key)
    have = {clip: digest for listed in there.values() for clip, digest in _clips(listed).items()}
    mine = {clip: digest for listed in here.values() for clip, digest in _clips(listed).items()}
    renewed = {clip: digest for clip, digest in mine.items() if have.get(clip, digest) != digest}
    known = have.keys() - (renewed if renew else ())
    new: dict[str, str] = {}
    refused: dict[str, int] = {}
    items = []
    for name, listed in here.items():
        clips = _clips(listed)
        wanted = clips.keys() - known - new.keys()
        if name in there or name in KEPT or (clips and not wanted):
            continue
        if catalogue.PART.fullmatch(name) and (reason := refusal(entry, name)):
            refused[reason] = refused.get(reason, 0) + 1
            continue
        items.append(Item(name, listed.size, frozenset(wanted) if len(wanted) < len(clips) else None))
        new |= {clip: clips[clip] for clip in wanted}
    if refused and not new:
        items = []  # nothing lies beside features that stay away
    return Lack(entry, key, tuple(items), len(have), new, renewed, refused)


def _clips(listed: Listed) -> dict[str, str]:
    return dict(zip(listed.rows.clips, listed.rows.sources, strict=True)) if listed.rows else {}


def held(place: Place, entry: str, key: Key) -> dict[str, Listed]:
    """Return the files of an entry, and which clips its parts hold as far as that can be known without copying them."""
    files = place.files(entry)
    rows: dict[str, Rows | None] = {}
    if isinstance(place, Folder):
        looked = index.look(place.top / entry, lambda path: rows_of(path, key)) if files else {}
        rows |= {path.name: each for path, each in looked.items()}
    else:
        where = f"{entry}/{catalogue.FILE}"
        told = catalogue.parse(place.text(where) or "", f"{place}/{where}")
        rows |= {name: listed.rows for name, listed in told.items() if files.get(name) == listed.size}
    return {name: Listed(size, rows.get(name)) for name, size in sorted(files.items())}
