"""Copying what `share` decided: checked on arrival, seen only when whole; what was stopped goes on by the same command.

Unless one asks to renew, nothing is replaced or removed at the other place, so that two who push at once end with the
union of both.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

from features import about, catalogue, failures, index, words
from features.catalogue import Listed
from features.disk import beside, hidden
from features.entries import create
from features.index import Rows
from features.key import Key
from features.places import Folder, Place
from features.roots import SPEC, CacheError
from features.share import Item, Lack, held, key_at
from features.store import Part, Writer, discard, part_name, rest, rows_of

AT_ONCE = 4
"""Copies that run beside each other: while one waits for a disk or a network, another checks a digest."""
TRIES = 8
MOST_WORDS = 10_000
Done = Callable[[int], None]
"""Is told the bytes of every file that is there and whole."""


def pull(source: Place, target: Folder, wanted: Iterable[Lack], done: Done = lambda _: None) -> None:
    """Carry out what was decided, entry by entry, into a folder."""
    for lack in wanted:
        if lack.items:
            _pull(source, target, lack, done)


def push(source: Folder, target: Place, wanted: Iterable[Lack], done: Done = lambda _: None) -> None:
    """Carry out what was decided, entry by entry, and leave a card and a catalogue of each."""
    for lack in wanted:
        sent: dict[str, Rows] = {}
        if lack.items and isinstance(target, Folder):
            _pull(source, target, lack, done)
        elif lack.items:
            sent = _push(source, target, lack, done)
        if (lack.new or lack.there) and any((source.top / lack.entry).glob("part-*.h5")):
            _publish(source, target, lack.entry, sent)


def _pull(source: Place, target: Folder, lack: Lack, done: Done) -> None:
    folder = target.top / lack.entry
    create(folder, lack.key)
    _all(lambda item: _arrive(source, folder, lack, item), lack.items, done)
    wanted = {clip: lack.new[clip] for clip in lack.renewed.keys() & lack.new.keys()}
    if wanted:
        discard(folder, lambda _path, _row, clip, digest: wanted.get(clip, digest) != digest)
    told = failures.parse(source.text(f"{lack.entry}/{failures.FILE}") or "")
    known = failures.recorded(folder)
    failures.record(folder, [failure for clip, failure in told.items() if clip not in known])


def _arrive(source: Place, folder: Path, lack: Lack, item: Item) -> None:
    where = f"{lack.entry}/{item.name}"
    if item.clips is not None:
        with hidden(folder / item.name) as temporary:
            source.fetch(where, temporary, item.size)
            _checked(temporary, lack.key, item.name, f"{source}/{where}")
            writer = _some(temporary, lack.key, item.clips)
            if writer.clips:  # none, where a catalogue promised what the part does not hold
                writer.write()
        return
    rows = None
    with beside(folder / item.name) as temporary:
        source.fetch(where, temporary, item.size)
        if item.is_part:
            rows = _checked(temporary, lack.key, item.name, f"{source}/{where}")
    if rows:
        index.add(folder / item.name, rows)


def _push(source: Folder, target: Place, lack: Lack, done: Done) -> dict[str, Rows]:
    """Send what is lacking; return what parts hold that were made for it."""
    target.put(source.top / lack.entry / SPEC, f"{lack.entry}/{SPEC}")
    sent: dict[str, Rows] = {}
    _all(lambda item: sent.update(_send(source.top / lack.entry, target, lack, item)), lack.items, done)
    return sent


def _send(folder: Path, target: Place, lack: Lack, item: Item) -> dict[str, Rows]:
    path = folder / item.name
    if item.is_part:
        _checked(path, lack.key, item.name, str(path))
    if item.clips is None:
        target.put(path, f"{lack.entry}/{item.name}")
        return {}
    with tempfile.TemporaryDirectory() as place:
        writer = _some(path, lack.key, item.clips)
        writer.folder = Path(place)
        writer.write()
        target.put(writer.path, f"{lack.entry}/{writer.path.name}")
        return {writer.path.name: rows_of(writer.path, lack.key)}


def _all(do: Callable[[Item], None], items: Iterable[Item], done: Done) -> None:
    """Do it with several items at once; the first error stops those that have not begun."""
    pool = ThreadPoolExecutor(AT_ONCE)
    jobs = {pool.submit(do, item): item for item in items}
    try:
        while jobs:
            ended, _ = wait(jobs, return_when=FIRST_COMPLETED)
            for job in ended:
                job.result()
                done(jobs.pop(job).size)
    finally:
        pool.shutdown(cancel_futures=True)


def _checked(path: Path, key: Key, name: str, where: str) -> Rows:
    """Return what a part holds, if its name, its structure, its digest and its texts are what they should be."""
    with contextlib.closing(Part(path, key)) as part:
        rows = part.rows
        if part_name(dict(zip(rows.clips, rows.sources, strict=True))) != name:
            raise CacheError(f"{where}: its name is not that of its clips; ask whoever put it there to push again")
        part.verify()
        if len(part.attribute("licence")) + sum(map(len, part.provenance.values())) > MOST_WORDS:
            raise CacheError(f"{where}: says more about itself than any part does; ask whoever put it there")
        return rows


def _some(path: Path, key: Key, clips: frozenset[str]) -> Writer:
    return rest(path, key, lambda _, rows: [row for row, clip in enumerate(rows.clips) if clip in clips])[0]


def _publish(source: Folder, target: Place, entry: str, sent: Mapping[str, Rows]) -> None:
    """Leave a card and a catalogue of an entry that was pushed, and the entry in the list of all.

    Whoever else pushes meanwhile writes them too; each looks again until they say what is there.
    """
    key = key_at(source, entry)
    known = {name: listed.rows for name, listed in held(source, entry, key).items() if listed.rows} | {**sent}
    _settle(target, f"{entry}/{catalogue.FILE}", lambda: catalogue.render(_listed(target, entry, key, known)))
    rows = [listed.rows for listed in held(target, entry, key).values() if listed.rows]
    clips = {clip for each in rows for clip in each.clips}
    told, (provenance, licence) = about.read(source.top / entry), _terms(source, entry, key, clips)
    card = words.card(entry, key, told, provenance, licence, len(clips))
    _settle(target, f"{entry}/{catalogue.CARD}", lambda: card)
    _settle(target, catalogue.ENTRIES, lambda: catalogue.render_entries(target.entries()))


def _terms(source: Folder, entry: str, key: Key, clips: set[str]) -> tuple[dict[str, str], str]:
    """Return what the parts that hold these clips say: every name of terms, and only what all of them let leave."""
    said: list[dict[str, str]] = []
    for name, listed in held(source, entry, key).items():
        if listed.rows and not clips.isdisjoint(listed.rows.clips):
            with contextlib.closing(Part(source.top / entry / name, key)) as part:
                said.append(part.provenance)
                licence = part.attribute("licence")
    if not said:
        return {}, ""
    names = {one["corpus_licence"] for one in said if one.get("corpus_licence")}
    shares = set.intersection(*({*one.get("corpus_shares", "").split(",")} for one in said))
    terms = {"corpus_licence": "; ".join(sorted(names)), "corpus_shares": ",".join(sorted(shares))}
    return said[0] | terms, licence


def _listed(target: Place, entry: str, key: Key, known: Mapping[str, Rows]) -> dict[str, Listed]:
    """Return what is there, with the clips of parts as far as this side or an earlier catalogue knows them."""
    there = held(target, entry, key)
    return {
        name: Listed(listed.size, listed.rows or known.get(name))
        for name, listed in there.items()
        if name != catalogue.FILE
    }


def _settle(target: Place, path: str, text: Callable[[], str]) -> None:
    """Write a text that follows from what is there, again where that changed meanwhile."""
    for _ in range(TRIES):
        wanted = text()
        if target.text(path) == wanted:
            return
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".tmp") as file:
            file.write(wanted)
            file.flush()
            target.put(Path(file.name), path)
