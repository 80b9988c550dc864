"""What has changed since entries were made: encoders, weights, grids, settings, media, texts. Touches none of them."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import manifests
from extract import encoders, told
from extract.plan import EntryPlan, Want, plan
from extract.recalled import differences, request, today
from extract.sources import reachable
from extract.weights import WeightsError
from features import CacheError, Key, Reader, entries
from features.key import RANDOM
from features.roots import corpora
from features.words import plain
from manifests import Manifest, ManifestError, unknown

State = Literal["fresh", "imported", "cannot tell", "stale", "cannot be read"]
CODES: Mapping[State, int] = {"stale": 1, "cannot be read": 2}
MOST_NAMES, MOST_LETTERS = 3, 40


@dataclass
class Finding:
    """What became of one entry since it was made."""

    folder: Path
    key: Key
    clips: frozenset[str] = frozenset()
    changed: list[str] = field(default_factory=list)
    """Why its features are not what would be made today."""
    unsure: list[str] = field(default_factory=list)
    """What could not be compared."""
    notes: list[str] = field(default_factory=list)
    """What changes no feature that it has."""
    command: str = ""
    """What to type for it."""
    want: Want | None = None
    """What would be made today."""
    unreadable: bool = False

    @property
    def imported(self) -> bool:
        """Return whether another tool computed it."""
        return self.key.settings.get("origin") == "imported"

    @property
    def state(self) -> State:
        """Return the word for it."""
        if self.unreadable:
            return "cannot be read"
        if self.changed:
            return "stale"
        return "imported" if self.imported else "cannot tell" if self.unsure else "fresh"


@dataclass(frozen=True)
class Survey:
    """What became of the entries of one corpus."""

    corpus: str
    findings: Sequence[Finding]
    lack: str
    """Why media or texts could not be compared; nothing where they were."""

    @property
    def code(self) -> int:
        """Return the exit code: 0 where nothing is stale, 1 where something is, 2 where something cannot be read."""
        return max(CODES.get(finding.state, 0) for finding in self.findings)


def survey(corpus: str, *, deep: bool = False) -> Survey:
    """Look at every entry of a corpus; `deep` hashes every media file, whatever its size and time say."""
    found = entries(corpus)
    if not found:
        raise CacheError(unknown("corpus with features", corpus, corpora()))
    manifest, lack = _manifest(corpus)
    findings = [_compared(corpus, folder, key, manifest.language if manifest else "") for folder, key in found.items()]
    if manifest:
        lack = _compare_clips(manifest, findings, deep=deep)
    _follow(findings)
    return Survey(corpus, findings, lack)


def lines(surveys: Iterable[Survey]) -> Iterator[str]:
    """Say of every entry what became of it, why, and what to type; a terminal obeys nothing in it."""
    return map(plain, _lines(surveys))


def _lines(surveys: Iterable[Survey]) -> Iterator[str]:
    row = "{:10} {:26} {:>7}  {}".format
    yield row("corpus", "entry", "clips", "state")
    for one in surveys:
        for found in one.findings:
            yield row(one.corpus, found.key.name, len(found.clips), found.state)
            yield from (f"  {said}" for said in (*found.changed, *found.unsure, *found.notes))
            if found.changed and found.command:
                yield f"  refresh: {found.command}"
        if one.lack:
            yield f"{one.corpus}: {one.lack}"


def _manifest(corpus: str) -> tuple[Manifest | None, str]:
    lack = "media and texts could not be compared"
    try:
        if manifests.path_of(corpus).is_file():
            return manifests.read(corpus), ""
        lack += f", for no manifest is here: make manifest CORPUS={corpus}"
    except ManifestError as error:
        lack += f": {error}"
    return None, lack


def _compared(corpus: str, folder: Path, key: Key, language: str) -> Finding:
    """Compare an entry's key with the one that it would get today."""
    found = Finding(folder, key)
    try:
        with Reader(folder) as reader:
            found.clips = frozenset(reader)
    except CacheError as error:
        found.unreadable = True
        found.notes.append(str(error))
    if found.imported:
        return found
    if key.encoder not in encoders.names():
        found.changed.append(f"there is no encoder {key.encoder!r} any more, so nothing can make it again")
        return found
    asked = request(folder, key)
    asked = replace(asked, language=language or asked.language)
    try:
        found.want = today(corpus, key, asked)
    except WeightsError as error:
        found.unsure.append(f"cannot tell: weights not here: {error}")
        found.want = today(corpus, key, replace(asked, weights=f"{RANDOM}0"))
    except ValueError as error:
        found.changed.append(f"it was asked for as {asked.asked!r}, which nobody can any more: {error}")
        return found
    found.changed += _changes(key, found.want.key, unsure=bool(found.unsure))
    if shlex.quote(corpus) == corpus:  # else it is no manifest's name either
        found.command = told.command(corpus, asked.asked, asked.precision, asked.weights)
    return found


def _changes(then: Key, now: Key, *, unsure: bool) -> Iterator[str]:
    """Say field by field what differs; of unknown weights, and of entries that rest on them, nothing can be said."""
    for name, (one, other) in differences(then, now).items():
        if not (unsure and (name == "builds_on" or other.startswith(RANDOM))):
            yield f"{_short(name)} {_short(one)} then, {_short(other)} now"


def _short(value: str) -> str:
    return (value if len(value) <= MOST_LETTERS else f"{value[:12]}…") or "nothing"


def _compare_clips(manifest: Manifest, findings: Sequence[Finding], *, deep: bool) -> str:
    """Compare what encoders read of each clip then and now; return why media could not be, where they are not here."""
    lack = ""
    try:
        reachable(manifest.root)
    except OSError:
        lack = f"only texts could be compared: the media are not at {manifest.root}"
    known = [f for f in findings if f.want and not f.unreadable and (f.want.source == "text" or not lack)]
    wanted = [replace(f.want, key=f.key, folder=f.folder) for f in known if f.want]
    for found, entry in zip(known, plan(manifest, wanted, deep=deep).entries, strict=True):
        _say_clips(found, entry, manifest)
    ids = {clip.id for clip in manifest.clips}
    for found in findings:
        if gone := found.clips - ids:
            found.notes.append(f"not in the manifest any more: {_count(gone)}")
    return lack


def _say_clips(found: Finding, entry: EntryPlan, manifest: Manifest) -> None:
    medium = entry.want.source
    lost = _lost(manifest, entry.stale, medium)
    bare = found.clips.intersection(clip.id for clip in manifest.clips) - entry.sources.keys()
    if changed := entry.stale - lost:
        found.changed.append(f"{medium} has changed: {_count(changed)}")
    if lost:
        found.unsure.append(f"cannot tell: {medium} is not there: {_count(lost)}")
    if bare:
        found.notes.append(f"no {medium} in the manifest any more: {_count(bare)}")
    if missing := entry.todo - entry.stale:
        found.notes.append(f"not extracted yet: {_count(missing)}")


def _lost(manifest: Manifest, clips: frozenset[str], medium: str) -> frozenset[str]:
    """Return those clips whose media files are gone: a disk that is not mounted is no change."""
    tracks = {clip.id: clip.track(medium) for clip in manifest.clips if clip.id in clips and medium != "text"}
    there = {id_ for id_, one in tracks.items() if one and all((manifest.root / path).is_file() for path in one.paths)}
    return frozenset(tracks.keys() - there)


def _count(clips: Iterable[str]) -> str:
    names = sorted(clips)
    few = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
    return f"{len(names)} clip{'s' * (len(names) != 1)} ({few})"


def _follow(findings: Sequence[Finding]) -> None:
    """Say of entries that what they build on is stale, or not here."""
    names = {found.key.name for found in findings}
    stale = {found.key.name for found in findings if found.changed}
    while more := {f.key.name for f in findings if stale & set(f.key.builds_on)} - stale:
        stale |= more
    for found in findings:
        found.changed += [f"{name}, which it builds on, is stale" for name in found.key.builds_on if name in stale]
        found.notes += [f"{name}, which it builds on, is not here" for name in found.key.builds_on if name not in names]
